"""A record is written whole, read back as it was, and refused by name where it is damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seawall.fleet.errors import InputError
from seawall.record import record as record_module
from seawall.record.histogram import BUCKETS
from seawall.record.record import Event, Record, read, read_wallclock, write
from seawall.record.vocabulary import COLUMNS, HISTOGRAMS, KINDS, TOTALS

from .sample import DEFAULT, MEMORY_LIMIT, TUNED, changed, sample, tiny
from .waves import Storm, wave


def same(a: Record, b: Record) -> bool:
    """Whether two records say the same."""
    return (
        a.description == b.description
        and a.series.keys() == b.series.keys()
        and all(np.array_equal(a.series[name], b.series[name]) for name in a.series)
        and a.events == b.events
        and np.array_equal(a.latency, b.latency)
        and np.array_equal(a.latency_sum_s, b.latency_sum_s)
        and (a.totals, a.per_class) == (b.totals, b.per_class)
        and a.extra.keys() == b.extra.keys()
        and all(np.array_equal(a.extra[name], b.extra[name]) for name in a.extra)
        and a.histograms.keys() == b.histograms.keys()
        and all(np.array_equal(a.histograms[name], b.histograms[name]) for name in a.histograms)
    )


@pytest.mark.parametrize("shape", [DEFAULT, MEMORY_LIMIT, TUNED], ids=lambda shape: shape.name)
def test_what_is_written_is_read_back(tmp_path: Path, shape) -> None:
    original = replace(sample(shape, bins=200), extra={"pod_peak_memory_mib": np.array([510.5, 498.0])})
    assert same(read(write(original, tmp_path / "out" / shape.name)), original)


def test_further_histograms_have_files_of_their_own(tmp_path: Path) -> None:
    original = wave(Storm(users=60, seconds=90))
    folder = write(original, tmp_path / "wave", wallclock={"started_at": 1.5})
    assert same(read(folder), original) and read_wallclock(folder) == {"started_at": 1.5}
    assert {path.name for path in folder.glob("histograms-*")} == {
        "histograms-lateness.parquet",
        "histograms-first_byte.parquet",
    }
    (folder / "histograms-lateness.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError) as raised:
        read(folder)
    assert raised.value.file == str(folder / "histograms-lateness.parquet")
    write(tiny([5], [5]), folder)
    assert read(folder).histograms == {} and read_wallclock(folder) is None


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write(sample(TUNED, bins=120), tmp_path / name) for name in ("one", "two"))
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    other = write(sample(TUNED, bins=120, seed=8), tmp_path / "other")
    assert (one / "series.parquet").read_bytes() != (other / "series.parquet").read_bytes()


def test_what_a_run_does_not_have_is_absent(tmp_path: Path) -> None:
    folder = write(tiny([5, 5], [5, 4]), tmp_path / "url")
    columns = pq.read_table(folder / "series.parquet").column_names
    assert "pods" not in columns and "cost_per_hour" not in columns
    assert not (folder / "extra.parquet").exists()
    assert "pods" not in read(folder).series


def test_facts_of_the_wall_clock_go_to_a_side_file_alone(tmp_path: Path) -> None:
    without = write(tiny([5], [5]), tmp_path / "a")
    beside = write(tiny([5], [5]), tmp_path / "b", wallclock={"seconds": 1.25})
    assert json.loads((beside / "wallclock.json").read_text()) == {"seconds": 1.25}
    for path in without.iterdir():
        assert (beside / path.name).read_bytes() == path.read_bytes()


def test_an_older_record_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write(tiny([5], [5]), tmp_path / "run", wallclock={"seconds": 1})
    write(tiny([7], [6]), tmp_path / "run")
    assert read(tmp_path / "run").totals["sent"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not (tmp_path / "run" / "wallclock.json").exists()


@pytest.mark.parametrize("beside_a_record", [True, False])
def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path, beside_a_record: bool) -> None:
    home = tmp_path / "thesis"
    if beside_a_record:
        write(tiny([5], [5]), home)
    home.mkdir(exist_ok=True)
    (home / "chapter1.md").write_text("years of work")
    with pytest.raises(InputError, match=r"chapter1\.md"):
        write(tiny([5], [5]), home)
    assert (home / "chapter1.md").read_text() == "years of work"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="this is a file"):
        write(tiny([5], [5]), tmp_path / "out")
    with pytest.raises(InputError, match="cannot write a record here"):
        write(tiny([5], [5]), tmp_path / "out" / "run")


def test_a_failure_half_way_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tiny([5], [5]), tmp_path / "run")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record_module, "_write_histograms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tiny([7], [7]), tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert read(tmp_path / "run").totals["sent"] == 5


@pytest.mark.parametrize("name", ["totals.json", "series.parquet", "events.jsonl", "histograms.parquet"])
@pytest.mark.parametrize("damage", ["missing", "cut", "binary"])
def test_damage_is_reported_with_its_file(tmp_path: Path, name: str, damage: str) -> None:
    folder = write(sample(DEFAULT, bins=130), tmp_path / "run")
    path = folder / name
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.write_bytes(b"\xff\xfe\x00garbage" * 10)
    with pytest.raises(InputError) as raised:
        read(folder)
    assert raised.value.file == str(path)


def test_a_damaged_line_of_events_is_reported_with_its_number(tmp_path: Path) -> None:
    folder = write(sample(DEFAULT, bins=130), tmp_path / "run")
    lines = (folder / "events.jsonl").read_text().splitlines()
    (folder / "events.jsonl").write_text("\n".join([*lines[:2], '{"t": 1, "colour": "red"}', *lines[2:]]))
    with pytest.raises(InputError) as raised:
        read(folder)
    assert raised.value.line == 3


def test_another_format_and_no_record_at_all_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record here"):
        read(tmp_path)
    folder = write(tiny([5], [5]), tmp_path / "run")
    (folder / "description.json").write_text('{"format": 2}')
    with pytest.raises(InputError, match="format 2"):
        read(folder)


def test_parts_that_do_not_fit_together_are_reported(tmp_path: Path) -> None:
    long, short = (write(sample(TUNED, bins=bins), tmp_path / str(bins)) for bins in (200, 100))
    (short / "histograms.parquet").write_bytes((long / "histograms.parquet").read_bytes())
    with pytest.raises(InputError, match="a bin that the series lacks"):
        read(short)


def test_events_with_any_text_survive(tmp_path: Path) -> None:
    events = (Event(0.0, "oom-kill", "pod/ü\u2028x", 'a "quoted"\n</script>', {"n": [1, None]}),)
    folder = write(tiny([5], [5], events=events), tmp_path / "run")
    assert read(folder).events == events


def test_words_outside_the_vocabulary_are_an_error() -> None:
    good = tiny([5], [5])
    with pytest.raises(ValueError, match="'pod-exploded'"):
        replace(good, events=(Event(0.0, "pod-exploded"),))
    with pytest.raises(ValueError, match="'happiness'"):
        changed(good, happiness=np.zeros(1))
    with pytest.raises(ValueError, match="'mood'"):
        replace(good, histograms={"mood": good.latency})
    with pytest.raises(ValueError, match="lateness must have shape"):
        replace(good, histograms={"lateness": good.latency[:, 1:]})
    with pytest.raises(ValueError, match="'luck'"):
        replace(good, totals=good.totals | {"luck": 1})


def test_parts_of_another_shape_or_order_are_an_error() -> None:
    good = tiny([5, 5], [5, 5])
    with pytest.raises(ValueError, match="as t is: failed"):
        changed(good, failed=np.zeros(3))
    with pytest.raises(ValueError, match="lacks attempts"):
        replace(good, series={name: v for name, v in good.series.items() if name != "attempts"})
    with pytest.raises(ValueError, match="BUCKETS"):
        replace(good, latency=np.zeros((2, BUCKETS - 1), np.uint32))
    with pytest.raises(ValueError, match="order of time"):
        replace(good, events=(Event(2.0, "pod-ready"), Event(1.0, "pod-ready")))
    with pytest.raises(ValueError, match="lacks shed"):
        replace(good, totals={key: n for key, n in good.totals.items() if key != "shed"})


def test_the_documentation_has_every_word() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "record.md").read_text()
    missing = [name for name in (*COLUMNS, *KINDS, *TOTALS, *HISTOGRAMS) if f"`{name}`" not in page]
    assert not missing
