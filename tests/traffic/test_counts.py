"""Counts by steps say what the requests say, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.traffic.counts import Counts, counts_of_rate, counts_of_times, round_step
from seawall.traffic.curve import StepRate

TIMES = st.lists(st.integers(0, 300), min_size=2, max_size=200).map(
    lambda s: np.sort(np.array(s, dtype=float))
)
T0 = 1_431_857_103.0


def counted(times: np.ndarray) -> Counts:
    return counts_of_times([times])


def by_second(times: np.ndarray) -> np.ndarray:
    """The count of every second, the empty ones too."""
    seconds = (np.floor(times) - np.floor(times[0])).astype(int)
    return np.bincount(seconds)


def without_holes(times: np.ndarray) -> np.ndarray:
    """The counts of the seconds outside the holes that are found."""
    counts = counted(times)
    every = by_second(times)
    return np.concatenate([every[int(begin) : int(end)] for begin, end in counts.stretches])


@given(TIMES)
def test_rates_are_those_of_all_seconds_outside_holes(times: np.ndarray) -> None:
    counts, every = counted(times), without_holes(times)
    assert counts.total == times.size == every.sum()
    assert counts.recorded_s == every.size
    assert counts.rates.max() == every.max()
    for share in (0.0, 0.5, 0.9, 0.99, 1.0):
        expected = np.quantile(every, share, method="inverted_cdf")
        assert counts.quantile(share) == expected
    if every.size > 1:
        assert counts.dispersion() == pytest.approx(every.var(ddof=1) / every.mean())


@given(TIMES, st.integers(1, 400))
def test_the_busiest_part_is_the_busiest_of_all(times: np.ndarray, seconds: int) -> None:
    every = by_second(times)
    begin, held = counted(times).busiest(float(seconds))
    windows = [every[i : i + seconds].sum() for i in range(max(1, every.size - seconds + 1))]
    assert held == max(windows) == every[int(begin) : int(begin) + seconds].sum()


@given(TIMES)
def test_dispersion_within_minutes_is_the_pooled_variance_of_each(times: np.ndarray) -> None:
    counts = counted(times)
    found = counts.dispersion_within(60.0)
    origin = int(times[0])
    every = by_second(times)
    groups: dict[tuple[int, int], list[int]] = {}
    for stretch, (begin, end) in enumerate(counts.stretches):
        for second in range(int(begin), int(end)):
            groups.setdefault((stretch, (origin + second) // 60), []).append(every[second])
    spread = sum(np.square(np.array(g) - np.mean(g)).sum() for g in groups.values())
    freedom = sum(len(g) - 1 for g in groups.values())
    if found is None:
        assert counts.recorded_s < 180.0
    elif len(counts.stretches) == 1:
        assert found == pytest.approx(spread / freedom / (times.size / counts.recorded_s))


def test_chance_has_a_dispersion_of_one_and_a_slow_change_is_taken_out() -> None:
    rng = np.random.default_rng(3)
    steady = counted(T0 + np.sort(rng.uniform(0.0, 3600.0, 40_000)))
    assert steady.dispersion() == pytest.approx(1.0, abs=0.08)
    assert steady.dispersion_within(60.0) == pytest.approx(1.0, abs=0.08)
    rising = counted(T0 + 3600.0 * np.sqrt(np.sort(rng.uniform(0.0, 1.0, 40_000))))
    assert (rising.dispersion() or 0.0) > 3.0
    assert rising.dispersion_within(60.0) == pytest.approx(1.0, abs=0.08)
    bunched = counted(T0 + np.repeat(np.sort(rng.uniform(0.0, 3600.0, 4_000)), 10))
    assert bunched.dispersion_within(60.0) == pytest.approx(10.0, rel=0.1)


def test_a_thinned_log_has_holes_and_a_quiet_one_has_none() -> None:
    rng = np.random.default_rng(5)
    hours = np.repeat(np.arange(24.0) * 3600.0, 120)
    thinned = counted(T0 + np.sort(hours + rng.uniform(0.0, 60.0, hours.size)))
    assert thinned.holes.size == 23
    assert thinned.holes == pytest.approx(3540.0, abs=3.0)
    assert thinned.total / thinned.recorded_s == pytest.approx(2.0, rel=0.05)
    assert thinned.dispersion() == pytest.approx(1.0, abs=0.15)
    quiet = np.sort(rng.uniform(0.0, 86400.0, 144))
    burst = 40_000.0 + np.sort(rng.uniform(0.0, 10.0, 100_000))
    assert counted(T0 + np.sort(np.concatenate((quiet, burst)))).holes.size == 0
    assert counted(T0 + quiet).holes.size == 0


def test_nothing_is_known_in_a_hole() -> None:
    counts = counted(np.concatenate((np.arange(100.0), np.arange(20_000.0, 20_100.0))))
    assert counts.stretches.tolist() == [[0.0, 100.0], [20_000.0, 20_100.0]]
    assert counts.recorded([50.0, 5000.0, 20_050.0]).tolist() == [50.0, 100.0, 150.0]
    rates = counts.mean_rates(np.array([0.0, 100.0, 20_000.0, 20_100.0]))
    assert rates[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(rates[1])


def test_a_recorded_rate_is_counted_as_it_stands() -> None:
    counts = counts_of_rate(
        StepRate(np.array([0.0, 60.0, 120.0, 180.0]), np.array([1.0, 0.0, 4.0])), 60.0, None
    )
    assert (counts.total, counts.duration_s, counts.origin) == (300.0, 180.0, None)
    assert counts.busiest(90.0) == (90.0, 240.0)
    assert counts.quantile(0.5) == 1.0
    assert counts.quantile(0.3) == 0.0
    assert counts.dispersion() == pytest.approx(np.var([60, 0, 240], ddof=1) / 100.0)
    uneven = counts_of_rate(StepRate(np.array([0.0, 60.0, 90.0]), np.array([1.0, 2.0])), 60.0, None)
    assert uneven.dispersion() is None
    nothing = counts_of_rate(StepRate(np.array([0.0, 1.0, 2.0]), np.zeros(2)), 1.0, None)
    assert (nothing.total, nothing.dispersion(), nothing.quantile(1.0)) == (0.0, None, 0.0)


def test_lengths_of_time_are_those_that_people_count_in() -> None:
    assert [round_step(s) for s in (0.1, 1.0, 1.1, 61.0, 3601.0)] == [1.0, 1.0, 2.0, 120.0, 7200.0]
    assert round_step(1e8) % (28 * 86400.0) == 0.0
    assert round_step(1e8) >= 1e8


def test_counts_need_no_whole_seconds() -> None:
    counts: Counts = counted(np.array([T0 + 0.25, T0 + 0.75, T0 + 2.5]))
    assert counts.origin == T0
    assert counts.starts.tolist() == [0.0, 2.0]
    assert counts.requests.tolist() == [2.0, 1.0]


@given(TIMES, st.lists(st.integers(0, 200), max_size=6))
def test_it_does_not_matter_how_times_are_cut_into_blocks(times: np.ndarray, cuts: list[int]) -> None:
    whole, cut = counted(times), counts_of_times(np.split(times, sorted(min(c, times.size) for c in cuts)))
    assert cut.starts.tolist() == whole.starts.tolist()
    assert cut.requests.tolist() == whole.requests.tolist()
    assert cut.stretches.tolist() == whole.stretches.tolist()
