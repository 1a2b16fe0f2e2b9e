"""Loads over time: area and inverse are exact, and the wave in them is found where it is defined to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.traffic.curve import Shape, StepRate
from seawall.traffic.shape import parse_shape

from .strategies import shapes


def test_the_load_at_a_step_is_the_load_after_it() -> None:
    shape = parse_shape("10 for 1m, wall to 20, hold 1m, -> 5 at once")
    np.testing.assert_array_equal(shape.at([-1, 0, 59.9, 60, 119.9, 120, 121]), [0, 10, 10, 20, 20, 5, 0])
    assert float(shape.at(30.0)) == 10.0
    assert shape.at([[1, 2], [61, 62]]).shape == (2, 2)


def test_a_ramp_brings_requests_by_the_square_root_law() -> None:
    ramp = parse_shape("0/s -> 100/s in 50s")
    assert float(ramp.integral(50.0)) == 2500.0
    k = np.array([1.0, 100.0, 1600.0, 2500.0])
    np.testing.assert_allclose(ramp.inverse_integral(k), np.sqrt(k), rtol=1e-14)


def test_nothing_arrives_while_the_load_rests() -> None:
    shape = parse_shape("10/s for 10s, -> 0/s at once, hold 1m, -> 10/s at once, hold 10s")
    np.testing.assert_allclose(shape.inverse_integral([100.0, 100.001, 200.0]), [10.0, 70.0001, 80.0])
    assert math.isinf(shape.inverse_integral(200.001))
    np.testing.assert_array_equal(shape.integral([-5, 10, 70, 900]), [0, 100, 100, 200])


@given(shapes(), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_the_inverse_undoes_the_area(shape: Shape, shares: list[float]) -> None:
    total = float(shape.integral(shape.duration_s))
    areas = np.array(shares) * total
    times = shape.inverse_integral(areas)
    assert ((times >= 0) & (times <= shape.duration_s)).all()
    np.testing.assert_allclose(shape.integral(times), areas, rtol=1e-9, atol=1e-9 * max(total, 1.0))


@given(shapes())
def test_the_area_is_the_sum_of_the_levels(shape: Shape) -> None:
    # The mid-point rule is exact on straight pieces.
    edges = np.unique(np.concatenate((shape.times_s, np.linspace(0, shape.duration_s, 50))))
    pieces = np.diff(edges) * shape.at((edges[1:] + edges[:-1]) / 2)
    np.testing.assert_allclose(shape.integral(edges[1:]), np.cumsum(pieces), rtol=1e-7, atol=1e-6)


@given(shapes(), st.floats(0.1, 10.0))
def test_scaling_times_and_levels_scales_the_area(shape: Shape, factor: float) -> None:
    total = float(shape.integral(shape.duration_s))
    longer, higher = shape.stretched(factor), shape.multiplied(factor)
    assert float(longer.integral(longer.duration_s)) == pytest.approx(total * factor)
    assert float(higher.integral(higher.duration_s)) == pytest.approx(total * factor)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("0 -> 1000 in 100s, hold 5m", (0.0, 90.0)),
        ("20 for 1m, -> 1000 in 100s, hold 5m", (60.0, 60.0 + 100 * 880 / 980)),
        ("0 -> 1000 in 60s, hold 5m, -> 200 in 80s, hold 2m", (0.0, 360 + 80 * 780 / 800)),
        ("100 for 1m, -> 50 in 1m, hold 1m, -> 500 in 2m, hold 1m", (180.0, 180 + 120 * 400 / 450)),
        ("10 for 1m, wall to 1000, hold 5m, -> 10 at once, hold 5m", (60.0, 360.0)),
        ("0 -> 100 in 60s, hold 1m, -> 0 in 60s, hold 1m", (0.0, 180.0)),
        ("0 -> 100 in 200s", (0.0, 200.0)),
        ("0 -> 100 in 60s, hold 5m, -> 95 in 60s", (0.0, 420.0)),
        ("0 -> 100 in 60s, hold 1m, -> 0 in 60s", (0.0, 180.0)),
        ("0 -> 100 in 100s, hold 5m, -> 0 at once", (0.0, 90.0)),
        ("5 for 1m, -> 50 in 1m, -> 5 in 1m, hold 1m, -> 80 in 1m, -> 5 in 1m, hold 5m", (60.0, 360 - 0.4)),
        ("wall to 1000, hold 5m", (0.0, 60.0)),
        ("wall to 1000, hold 30s", (0.0, 30.0)),
        ("0 -> 1000 in 10s, hold 5m", (0.0, 60.0)),
        ("200 for 10m", None),
        ("200 -> 100 in 5m, hold 1m", None),
    ],
)
def test_the_wave_is_from_the_first_rise_to_the_plateau(
    text: str, window: tuple[float, float] | None
) -> None:
    found = parse_shape(text).wave_window()
    assert found == (None if window is None else pytest.approx(window))


def test_the_shortest_wave_is_the_callers_to_choose() -> None:
    assert parse_shape("wall to 1000, hold 5m").wave_window(at_least_s=0.0) == (0.0, 0.0)
    assert parse_shape("wall to 1000, hold 5m").wave_window(at_least_s=10.0) == (0.0, 10.0)


@pytest.mark.parametrize(
    ("times", "levels"),
    [
        ([0.0], [1.0]),
        ([0.0, 1.0], [1.0]),
        ([1.0, 2.0], [1.0, 1.0]),
        ([0.0, 2.0, 1.0], [1.0, 1.0, 1.0]),
        ([0.0, 0.0], [0.0, 1.0]),
        ([0.0, 1.0], [1.0, -1.0]),
        ([0.0, 1.0], [1.0, math.nan]),
        ([0.0, math.inf], [1.0, 1.0]),
    ],
)
def test_points_that_are_no_shape_are_refused(times: list[float], levels: list[float]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Shape(np.array(times), np.array(levels))


def test_a_shape_cannot_be_changed_behind_its_back() -> None:
    times = np.array([0.0, 1.0])
    shape = Shape(times, np.array([1.0, 1.0]))
    times[1] = 5.0
    assert shape.duration_s == 1.0
    with pytest.raises(ValueError, match="read-only"):
        shape.levels[0] = 7.0


def test_a_step_rate_counts_what_its_steps_hold() -> None:
    rate = StepRate(np.array([0.0, 1.0, 3.0, 4.0]), np.array([10.0, 0.0, 5.0]))
    np.testing.assert_array_equal(rate.at([0, 0.5, 1, 2.9, 3, 4, 5]), [10, 10, 0, 0, 5, 5, 0])
    np.testing.assert_array_equal(rate.integral([0.5, 1, 3, 3.5, 9]), [5, 10, 10, 12.5, 15])
    np.testing.assert_array_equal(rate.inverse_integral([10, 12.5, 15]), [1, 3.5, 4])
    assert (rate.duration_s, rate.peak, rate.unit) == (4.0, 10.0, "requests/s")
    assert float(rate.as_shape().integral(4.0)) == 15.0


def test_a_part_of_a_step_rate_has_its_requests() -> None:
    rate = StepRate(np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, 2.0, 3.0]))
    part = rate.window(5.0, 20.0)
    np.testing.assert_array_equal(part.times_s, [0, 5, 15, 20])
    np.testing.assert_array_equal(part.rates, [1, 2, 3])
    np.testing.assert_array_equal(rate.window(10.0).times_s, [0, 10, 20])
    twice = part.faster(2.0).multiplied(3.0)
    assert twice.duration_s == 10.0
    assert float(twice.integral(10.0)) == 3.0 * (float(rate.integral(25.0)) - float(rate.integral(5.0)))
    for nothing in ((30.0, None), (-1.0, None), (5.0, 0.0)):
        with pytest.raises(ValueError, match="nothing lies between"):
            rate.window(*nothing)
