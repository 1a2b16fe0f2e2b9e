"""Several files are read as one log: by name, by folder, by pattern; in order of time, whatever their order."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from threading import Thread

import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.files import recorded_files
from seawall.traffic.logs.read import read_log
from seawall.traffic.recorded import read_recording


def line(minute: int, path: str = "/") -> str:
    """A line of combined format."""
    return f'192.0.2.1 - - [17/May/2015:10:{minute:02d}:00 +0000] "GET {path} HTTP/1.1" 200 1 "-" "Agent"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """access.log, access.log.1 and, in a folder of its own, access.log.2.gz, the oldest; and a hidden file."""
    (tmp_path / "access.log").write_text(line(20, "/e") + line(21, "/f"))
    (tmp_path / "access.log.1").write_text(line(10, "/c") + line(11, "/d"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "access.log.2.gz").write_bytes(
        gzip.compress((line(0, "/a") + line(1, "/b")).encode())
    )
    (tmp_path / ".hidden").write_text("nothing of the kind")
    return tmp_path


def test_a_folder_gives_all_of_its_files(folder: Path) -> None:
    log = read_log(folder)
    assert [log.paths[p] for p in log.path] == ["/a", "/b", "/c", "/d", "/e", "/f"]
    assert (log.files, log.lines, log.out_of_order, log.jumps) == (3, 6, 0, 0)
    assert log.sessions == 1


def test_a_pattern_gives_the_files_that_match(folder: Path) -> None:
    assert [Path(p).name for p in recorded_files(str(folder / "access.log*"))] == [
        "access.log",
        "access.log.1",
    ]
    assert len(recorded_files(folder / "**" / "*.log*")) == 3
    log = read_log([folder / "old", str(folder / "access.*")])
    assert [log.paths[p] for p in log.path] == ["/a", "/b", "/c", "/d", "/e", "/f"]


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "access[1].log"
    path.write_text(line(0))
    (tmp_path / "access1.log").write_text(line(0) * 2)
    assert len(read_log(path)) == 1


def test_files_of_different_times_that_overlap_are_merged(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.log").write_text("".join(line(m, f"/{m}") for m in range(n, 60, 3)))
    log = read_log([tmp_path / "2.log", tmp_path / "0.log", tmp_path / "1.log"])
    assert [log.paths[p] for p in log.path] == [f"/{m}" for m in range(60)]
    assert log.out_of_order == 0


def test_requests_of_the_same_time_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.log").write_text(line(5, f"/{n}"))
    log = read_log([tmp_path / f"{n}.log" for n in (2, 0, 1)])
    assert [log.paths[p] for p in log.path] == ["/2", "/0", "/1"]


def test_a_clock_that_runs_backwards_in_a_file_is_noted_and_its_requests_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("".join(line(m, f"/{m}") for m in (30, 31, 32, 33, 10, 11, 12, 13)))
    log = read_log(path)
    assert (log.jumps, [log.paths[p] for p in log.path][:2]) == (1, ["/10", "/11"])
    assert (
        "its clock runs backwards once by more than a minute (first from 2015-05-17 10:33:00 UTC to "
        "2015-05-17 10:10:00 UTC): its requests were put in order of time, so those of two stretches are mixed"
    ) in log.notes
    path.write_text("".join(line(m) for m in (30, 31, 29, 32)))
    assert read_log(path).jumps == 0


def test_what_gives_no_files_is_refused(tmp_path: Path) -> None:
    for paths, message in (
        (tmp_path, "this folder has no files"),
        (str(tmp_path / "*.log"), "no file matches this pattern"),
        ([], "no file is named"),
        (tmp_path / "none.log", "No such file"),
    ):
        with pytest.raises(InputError, match=message):
            read_log(paths)
    for n in range(2):
        (tmp_path / f"{n}.log").write_text("")
    with pytest.raises(InputError, match="all 2 files are empty"):
        read_log(tmp_path)


def test_a_recording_may_be_many_files_but_a_rate_is_one(folder: Path, tmp_path: Path) -> None:
    recording = read_recording(folder, classes={"page": ["/*"]})
    assert (recording.kind, sum(len(chunk) for chunk in recording.arrivals(1))) == ("accesslog", 6)
    assert read_recording([folder / "access.log"], log_format='%h %l %u %t "%r" %>s %b').log is not None
    rates = tmp_path / "rates"
    rates.mkdir()
    for n in range(2):
        (rates / f"{n}.csv").write_text("time,rate\n0,5\n")
    with pytest.raises(InputError, match="a CSV of requests per second is read alone"):
        read_recording(rates)
    assert read_recording(rates / "0.csv", rate_column="rate", time_column="time").kind == "csv"


def test_a_pipe_is_read_once_whatever_is_in_it(tmp_path: Path) -> None:
    for content in (line(0).encode(), gzip.compress(line(0).encode())):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        assert len(read_log(pipe)) == 1
        writer.join()
        pipe.unlink()
