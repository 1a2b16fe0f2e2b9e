"""A recording of either kind is known for what it is, read, and made to arrive."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.arrivals import DRAWN
from seawall.traffic.logs.log import SERVED_NOT_ASKED
from seawall.traffic.logs.read import read_log
from seawall.traffic.recorded import detect_kind, read_recording

DATA = Path(__file__).parent.parent / "data" / "traffic"
LOG, RATE = DATA / "apache_extract.log", DATA / "stream_extract.csv"
GOOD = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "Agent"\n'
STATIC = {"page": ["/", "/blog/*"], "static": [r"~\.(png|css|js|ico)$"]}


def test_a_log_arrives_as_it_was_recorded() -> None:
    recording = read_recording(LOG, classes=STATIC)
    arrivals = recording.arrivals(seed=3)
    chunks = list(arrivals)
    times = np.concatenate([c.times_s for c in chunks])
    classes = np.concatenate([c.classes for c in chunks])
    log = read_log(LOG)
    np.testing.assert_array_equal(np.floor(times), log.t_s - log.first)
    assert recording.kind == "accesslog"
    assert recording.duration_s == arrivals.duration_s == log.last - log.first + 1
    assert recording.shares is not None
    for index, name in enumerate(STATIC):
        assert np.mean(classes == index) == pytest.approx(recording.shares[name])
    assert np.mean(classes == DRAWN) == pytest.approx(recording.shares["other"])
    assert recording.notes[0] == SERVED_NOT_ASKED
    assert any("match no class" in note for note in recording.notes)


def test_without_patterns_all_classes_are_drawn() -> None:
    for classes in (None, {}, {"page": []}):
        recording = read_recording(LOG, classes=classes)
        assert recording.shares is None
        assert all((chunk.classes == DRAWN).all() for chunk in recording.arrivals(1))


def test_what_matches_nothing_is_other_where_that_is_a_class() -> None:
    recording = read_recording(LOG, classes={**STATIC, "other": []})
    classes = np.concatenate([chunk.classes for chunk in recording.arrivals(1)])
    assert set(classes.tolist()) == {0, 1, 2}
    assert not any("match no class" in note for note in recording.notes)


def test_lines_without_a_request_do_not_arrive(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(GOOD + GOOD.replace("GET /a HTTP/1.1", "-"))
    assert sum(len(chunk) for chunk in read_recording(path).arrivals(1)) == 1
    path.write_text(GOOD.replace("GET /a HTTP/1.1", "-"))
    with pytest.raises(InputError, match="none of the log's lines holds a request") as caught:
        read_recording(path).arrivals(1)
    assert caught.value.file == str(path)


def test_an_arrival_names_the_row_of_the_log_that_it_repeats(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    lines = [
        GOOD.replace("/a", f"/{n}") if n % 3 else GOOD.replace("GET /a HTTP/1.1", "-") for n in range(30)
    ]
    path.write_text("".join(lines))
    for classes in (None, {"page": ["/*"]}):
        recording = read_recording(path, classes=classes)
        log = recording.log
        assert log is not None
        (chunk,) = recording.arrivals(1)
        assert chunk.records is not None
        assert [log.paths[p] for p in log.path[chunk.records]] == [f"/{n}" for n in range(30) if n % 3]
        (twice,) = recording.arrivals(1, multiply=2.0)
        assert sorted(twice.records.tolist()) == sorted(chunk.records.tolist() * 2)


def test_a_rate_arrives_as_a_poisson_process() -> None:
    recording = read_recording(RATE)
    assert (recording.kind, recording.shares, recording.duration_s) == ("csv", None, 300.0)
    arrivals = recording.arrivals(3)
    count = sum(len(chunk) for chunk in arrivals)
    counts = [int(line.split(",")[1]) for line in RATE.read_text().splitlines()[1:]]
    assert arrivals.expected_count() == sum(counts)
    assert abs(count - sum(counts)) < 4 * np.sqrt(sum(counts))


@pytest.mark.parametrize("path", [LOG, RATE])
def test_a_part_faster_and_more_of_it(path: Path) -> None:
    recording = read_recording(path)
    half = recording.duration_s / 2
    whole = recording.arrivals(1)
    first, second = recording.arrivals(1, for_s=half), recording.arrivals(1, from_s=half)
    assert first.expected_count() + second.expected_count() == pytest.approx(whole.expected_count())
    much = recording.arrivals(1, speed=5.0, multiply=3.0)
    assert much.duration_s == pytest.approx(recording.duration_s / 5.0)
    assert much.expected_count() == pytest.approx(3.0 * whole.expected_count())
    count = sum(len(chunk) for chunk in much)
    assert count == pytest.approx(much.expected_count(), abs=4 * np.sqrt(much.expected_count()))


@pytest.mark.parametrize("path", [LOG, RATE])
def test_a_part_that_is_not_there_is_an_input_error(path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing lies between.*change from, for") as caught:
        read_recording(path).arrivals(1, from_s=1e9)
    assert caught.value.file == str(path)
    for factor in ("speed", "multiply"):
        with pytest.raises(InputError, match=f"{factor} .*above 0"):
            read_recording(path).arrivals(1, **{factor: 0.0})


def test_the_kind_is_told_by_the_lines_not_by_the_name(tmp_path: Path) -> None:
    for name, content, kind in (
        ("a.csv", GOOD, "accesslog"),
        ("a.txt", "\n\nhalf a line\n" + GOOD, "accesslog"),
        ("a.log", "time,rate\n0,5\n", "csv"),
        ("a", "5\n7\n", "csv"),
        ("a.tsv", "Zeit\tAnfragen je Sekunde im Mittel über alles\n0\t5\n", "csv"),
    ):
        path = tmp_path / name
        path.write_text(content)
        assert detect_kind(path) == kind
        path.write_bytes(gzip.compress(content.encode()))
        assert detect_kind(path) == kind


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for content in (b"Dear diary, today the site was down once more\n", b"\x89PNG\x01\xff\xfe\n", b"\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="give kind") as caught:
            read_recording(path)
        assert caught.value.file == str(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a pipe"):
        detect_kind(tmp_path / "pipe")


def test_a_kind_that_is_given_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "rate.csv"
    path.write_text("0,5\n1,6\n")
    with pytest.raises(InputError, match="no line could be read"):
        read_recording(path, "accesslog")
    assert read_recording(path, "csv").kind == "csv"
