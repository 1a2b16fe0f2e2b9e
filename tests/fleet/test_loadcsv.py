"""A load's CSV is read in its units, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.fleet.errors import InputError
from seawall.fleet.loadcsv import LoadTable, read_load_csv, with_cpu


def read(tmp_path: Path, text: str) -> LoadTable:
    path = tmp_path / "load.csv"
    path.write_text(text)
    return read_load_csv(path)


def test_units_and_columns(tmp_path: Path) -> None:
    load = read(tmp_path, "t,cpu,memory,external:queue\n10,12500m,2Gi,7\n\n70,1.5,8e9,1k\n")
    assert load.times.tolist() == [0, 60]
    assert load.columns["cpu"].tolist() == [12.5, 1.5]
    assert load.columns["memory"].tolist() == [2.0**31, 8e9]
    assert load.columns["external:queue"].tolist() == [7, 1000]
    assert (load.end, load.began_at) == (120, None)


def test_dates(tmp_path: Path) -> None:
    load = read(
        tmp_path, "time;cpu\n2026-05-17T18:00:00Z;1\n2026-05-17T20:00:30+02:00;2\n2026-05-17T18:01:00;3\n"
    )
    assert load.times.tolist() == [0, 30, 60]
    assert load.began_at == 1779040800


def test_cpu_of_requests(tmp_path: Path) -> None:
    load = with_cpu(read(tmp_path, "t,requests_per_second\n0,50\n"), 0.02)
    assert load.columns["cpu"].tolist() == [1.0]
    assert load.end == 60


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "the file is empty"),
        ("\n\n", None, "the file is empty"),
        ("t,cpu\n", 1, "a header and no row"),
        ("cpu\n1\n", 1, "there is no column t"),
        ("t,time,cpu\n1,1,1\n", 1, "several time columns"),
        ("t\n1\n", 1, "no column of load"),
        ("t,cpus\n1,1\n", 1, "unknown column 'cpus'; known are cpu, memory"),
        ("t,external:\n1,1\n", 1, "unknown column 'external:'"),
        ("t,cpu,cpu\n1,1,1\n", 1, "there twice"),
        ("t,cpu\n0,1\n60\n", 3, "1 cells where the header has 2"),
        ("t,cpu\n0,1\n60,\n", 3, "is not a quantity"),
        ("t,cpu\n0,1\n60,12x\n", 3, "is not a quantity"),
        ("t,cpu\n0,nan\n", 2, "is not a quantity"),
        ("t,cpu\n0,-1\n", 2, "must not be negative"),
        ("t,cpu\n0,1e9\n", 2, "check its unit"),
        ("t,cpu\n0,1\n0,2\n", 3, "times must rise"),
        ("t,cpu\nnoon,1\n", 2, "'noon' is no time"),
        ("t,cpu\n2026-05-17,1\n60,1\n", 3, "mixed"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, text)
    assert caught.value.line == line
    assert caught.value.file == str(tmp_path / "load.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_load_csv(tmp_path / "missing.csv")
