"""Rows of any number are put in order, and their clock is watched, whatever is in memory at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.traffic.logs import columns, spool
from seawall.traffic.logs.columns import COLUMNS, Clock, Rows, longest_silence

NO_MORE = {name: 0 for name in COLUMNS if name not in ("t_s", "path")}


def ordered(times: list[float], sizes: list[int]) -> dict[str, np.ndarray]:
    """Rows with these times and their number as path, added so many at a time."""
    rows = Rows()
    at = 0
    for size in [*sizes, len(times)]:
        part = np.array(times[at : at + size])
        rows.extend({"t_s": part, "path": np.arange(at, at + part.size), **NO_MORE})
        at += part.size
    assert len(rows) == len(times)
    return rows.finished()


@given(
    st.lists(st.integers(0, 40).map(float), max_size=120),
    st.lists(st.integers(1, 50), max_size=6),
    st.sampled_from([1, 2, 7, 16, 1000]),
    st.sampled_from([0, 1000]),
)
def test_rows_come_out_in_order_of_time_and_else_as_they_came(
    times: list[float], sizes: list[int], run: int, in_memory: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "RUN", run)
        patch.setattr(columns, "MERGED", 0)
        patch.setattr(columns, "LEAST_MERGED", 3)
        patch.setattr(spool, "IN_MEMORY_BYTES", in_memory)
        found = ordered(times, sizes)
    expected = sorted(range(len(times)), key=lambda n: (times[n], n))
    assert found["path"].tolist() == expected
    assert found["t_s"].tolist() == [times[n] for n in expected]
    assert {name: column.dtype.str[1:] for name, column in found.items()} == COLUMNS


def test_long_columns_lie_in_a_file_that_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = ordered([2.0, 1.0], [])
    assert isinstance(found["t_s"], np.memmap)
    assert not found["t_s"].flags.writeable
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_the_file_is_an_input_error(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    from seawall.fleet.errors import InputError

    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(InputError, match="set TMPDIR"):
        ordered([2.0, 1.0], [])


def seen(*files: list[float], at_once: int = 1000) -> Clock:
    """A clock that has seen the times of files."""
    clock = Clock()
    for times in files:
        clock.new_file()
        for at in range(0, len(times), at_once):
            clock.see(np.array(times[at : at + at_once]))
    return clock


@pytest.mark.parametrize("at_once", [1, 2, 3, 1000])
def test_a_clock_that_is_set_back_is_told_from_disorder(at_once: int) -> None:
    forward = [float(t) for t in range(0, 1000, 10)]
    back = [t - 600.0 for t in range(1000, 2000, 10)]
    clock = seen(forward + back, at_once=at_once)
    assert (clock.jumps, clock.places, clock.out_of_order) == (1, [(990.0, 400.0)], 1)
    slightly = [t - 59.0 if n % 3 else t for n, t in enumerate(forward)]
    assert seen(slightly, at_once=at_once).jumps == 0
    # Long requests are written late, two in a row by chance.
    late = [t for n, t in enumerate(forward) for t in ([t] if n % 10 else [t, t - 300.0, t - 200.0])]
    assert seen(late, at_once=at_once).jumps == 0
    assert seen(late, at_once=at_once).out_of_order == 10
    twice = seen(forward + back + back, at_once=at_once)
    assert (twice.jumps, len(twice.places)) == (2, 2)
    backwards = seen(forward[::-1], at_once=at_once)
    assert backwards.jumps > 5
    assert len(backwards.places) == 5


def test_each_file_has_a_clock_of_its_own() -> None:
    forward = [float(t) for t in range(0, 1000, 10)]
    clock = seen(forward, forward, forward)
    assert (clock.jumps, clock.out_of_order) == (0, 0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_the_longest_silence_is_found_over_all_blocks(times: list[float]) -> None:
    in_order = np.sort(times)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "RUN", 7)
        assert longest_silence(in_order) == max(np.diff(in_order), default=0.0)
