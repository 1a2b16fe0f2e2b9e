"""Rises and waves are found where they are, and nowhere in what is chance alone."""

from __future__ import annotations

import numpy as np
import pytest

from seawall.traffic.arrivals import arrivals_from_load
from seawall.traffic.counts import Counts, counts_of_times
from seawall.traffic.shape import parse_shape
from seawall.traffic.swells import steepest_rise, step_for, waves

T0 = 1_431_857_100.0


def counts_of(wave: str, seed: int = 1) -> Counts:
    """A recording in whole seconds of requests that came by a wave."""
    arrivals = arrivals_from_load(parse_shape(wave, "requests/s"), seed)
    return counts_of_times([np.floor(T0 + chunk.times_s) for chunk in arrivals])


@pytest.mark.parametrize("rate", [0.05, 2.0, 50.0])
@pytest.mark.parametrize("seed", range(4))
def test_chance_makes_neither_rise_nor_wave(rate: float, seed: int) -> None:
    counts = counts_of(f"{rate}/s for {int(min(40_000, 40_000 / rate))}s", seed)
    step = step_for(counts)
    assert steepest_rise(counts, step) is None
    assert waves(counts, step) == []


@pytest.mark.parametrize(("base", "peak"), [(0.5, 20), (5, 60), (50, 400)])
@pytest.mark.parametrize("seed", range(2))
def test_a_wave_is_found_with_its_beginning_and_end(base: float, peak: float, seed: int) -> None:
    counts = counts_of(f"{base}/s for 30m, -> {peak}/s in 30s, hold 3m, -> {base}/s in 1m, hold 30m", seed)
    step = step_for(counts)
    (wave,) = waves(counts, step)
    assert wave.base == pytest.approx(base, rel=0.2)
    assert wave.peak == pytest.approx(peak, rel=0.2)
    assert wave.begin_s == pytest.approx(1800.0, abs=2.0 * step + 5.0)
    assert wave.end_s == pytest.approx(1800.0 + 270.0, abs=2.0 * step + 15.0)
    assert 1800.0 <= wave.peak_s <= 2070.0
    rise = steepest_rise(counts, step)
    assert rise is not None
    assert rise.begin_s == pytest.approx(1800.0, abs=3.0 * step)
    assert rise.seconds <= 30.0 + 2.0 * step
    assert rise.high - rise.low > 0.7 * (peak - base)


def test_of_two_rises_to_one_height_the_quicker_is_the_steepest() -> None:
    counts = counts_of(
        "50/s for 5m, -> 300/s in 40s, hold 5m, -> 50/s in 1m, hold 5m, -> 300/s in 10s, hold 5m"
    )
    rise = steepest_rise(counts, step_for(counts))
    assert rise is not None
    assert rise.begin_s == pytest.approx(1000.0, abs=15.0)
    assert rise.seconds <= 20.0


def test_a_wave_stands_on_the_day_that_it_comes_in() -> None:
    """A day's hump is no part of the wave on top of it, and the wave's base is the hump's height there."""
    counts = counts_of(
        "2/s -> 20/s in 6h, hold 2h, -> 90/s in 1m, hold 5m, -> 20/s in 2m, hold 2h, -> 2/s in 6h"
    )
    wave = waves(counts, step_for(counts))[0]
    assert wave.base == pytest.approx(20.0, rel=0.15)
    assert wave.begin_s == pytest.approx(8 * 3600.0, abs=30.0)
    assert wave.seconds == pytest.approx(480.0, abs=60.0)


def test_waves_are_counted_down_to_half_the_height() -> None:
    calm = "hold 20m"
    counts = counts_of(
        f"20/s for 20m, -> 200/s in 20s, hold 2m, -> 20/s in 20s, {calm}, -> 150/s in 20s, hold 2m, "
        f"-> 20/s in 20s, {calm}, -> 70/s in 20s, hold 2m, -> 20/s in 20s, {calm}"
    )
    found = waves(counts, step_for(counts))
    assert [round(wave.peak, -1) for wave in found] == [
        pytest.approx(200, abs=30),
        pytest.approx(150, abs=30),
    ]
    assert all(wave.base == pytest.approx(20.0, rel=0.2) for wave in found)


def test_a_recording_may_begin_or_end_within_its_wave() -> None:
    (early,) = waves(c := counts_of("200/s for 3m, -> 20/s in 30s, hold 30m"), step_for(c))
    assert early.begin_s is None
    assert early.end_s == pytest.approx(210.0, abs=30.0)
    assert early.seconds is None
    (late,) = waves(c := counts_of("20/s for 30m, -> 200/s in 30s, hold 3m"), step_for(c))
    assert late.begin_s == pytest.approx(1800.0, abs=15.0)
    assert late.end_s is None


def test_a_rise_is_not_looked_for_across_a_hole() -> None:
    rng = np.random.default_rng(2)
    low, high = np.sort(rng.uniform(0.0, 600.0, 6000)), np.sort(rng.uniform(90_000.0, 90_600.0, 60_000))
    counts = counts_of_times([T0 + np.floor(low), T0 + np.floor(high)])
    assert counts.holes.size == 1
    assert steepest_rise(counts, step_for(counts)) is None
