"""A recorded rate, described as a wave, is the wave that it was made from; and it can be read as one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.traffic.arrivals import arrivals_from_load
from seawall.traffic.counts import Counts, counts_of_rate, counts_of_times
from seawall.traffic.curve import StepRate
from seawall.traffic.described import MOST_STEPS, described
from seawall.traffic.shape import parse_shape

T0 = 1_431_857_100.0


def counts_of(wave: str, seed: int = 1) -> Counts:
    arrivals = arrivals_from_load(parse_shape(wave, "requests/s"), seed)
    times = np.concatenate([np.zeros(1), *(chunk.times_s for chunk in arrivals)])
    return counts_of_times([np.floor(T0 + times)])


@pytest.mark.parametrize(
    "wave",
    [
        "40/s for 10m",
        "50/s for 2m, -> 800/s in 30s, hold 5m, -> 50/s in 1m, hold 90s",
        "10/s -> 300/s in 10m",
        "100/s for 4m, -> 400/s at once, hold 6m",
        "0.5/s for 5m, -> 4/s in 1m, hold 4m",
    ],
)
def test_the_wave_that_was_recorded_comes_out(wave: str) -> None:
    counts, truth = counts_of(wave), parse_shape(wave, "requests/s")
    text = described(counts, 0.0, 600.0)
    assert text is not None
    found = parse_shape(text, "requests/s")
    assert found.unit == "requests/s"
    assert found.duration_s == pytest.approx(600.0)
    assert len(text.split(",")) <= len(wave.split(",")) + 3
    assert float(found.integral(600.0)) == pytest.approx(float(counts.area(600.0)), rel=0.03)
    edges = np.linspace(0.0, 600.0, 21)
    off = np.abs(np.diff(found.integral(edges)) - np.diff(truth.integral(edges))) / 30.0
    assert off.max() < 0.1 * truth.peak + 3.0 * np.sqrt(truth.peak / 30.0)


def test_what_is_steady_needs_one_step() -> None:
    text = described(counts_of("40/s for 10m"), 0.0, 600.0)
    assert text is not None
    assert "," not in text
    assert text.endswith(" for 10m")


@settings(max_examples=40)
@given(
    st.lists(st.one_of(st.just(0.0), st.floats(0.0, 1e6)), min_size=1, max_size=60),
    st.sampled_from([0.25, 1.0, 7.5, 60.0, 1e4]),
    st.integers(1, MOST_STEPS),
)
def test_any_rate_is_described_in_words_that_are_understood(
    rates: list[float], step: float, most: int
) -> None:
    rate = StepRate(np.arange(len(rates) + 1) * step, np.array(rates))
    text = described(counts_of_rate(rate, step, None), 0.0, rate.duration_s, most)
    if text is None:
        assert max(rates) == 0.0
        return
    found = parse_shape(text, "requests/s")
    assert found.duration_s == pytest.approx(rate.duration_s, rel=1e-3, abs=0.01)
    assert found.peak <= max(rates) * 1.01
    assert len(text.split(",")) <= most


def test_a_part_is_described_in_its_own_time() -> None:
    counts = counts_of("20/s for 10m, -> 200/s in 10s, hold 10m")
    text = described(counts, 300.0, 600.0)
    assert text is not None
    found = parse_shape(text, "requests/s")
    assert found.at(100.0) == pytest.approx(20.0, rel=0.2)
    assert found.at(500.0) == pytest.approx(200.0, rel=0.1)
