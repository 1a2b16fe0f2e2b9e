"""Distributions: what is written is what is drawn from."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.distribution import Distribution, constant, distribution_as_data, parse_distribution
from seawall.fleet.units import parse_quantity, parse_seconds


def times(value: Any) -> Distribution:
    return parse_distribution(value, parse_seconds)


@pytest.mark.parametrize(
    ("written", "mean"),
    [
        ("20ms", 0.020),
        (2, 2.0),
        ({"constant": "20ms"}, 0.020),
        ({"exponential": "20ms"}, 0.020),
        ({"exponential": {"mean": "20ms"}}, 0.020),
        ({"uniform": ["10ms", "30ms"]}, 0.020),
        ({"lognormal": {"mean": "20ms", "cv": 0.5}}, 0.020),
        ({"lognormal": {"mean": "20ms", "cv": 0}}, 0.020),
        ({"quantiles": {"p0": 0, "p50": "20ms", "p100": "40ms"}}, 0.020),
        ({"quantiles": {"p50": "20ms", "p100": "20ms"}}, 0.015),
    ],
)
def test_the_mean_is_what_the_words_say(written: Any, mean: float) -> None:
    assert times(written).mean == pytest.approx(mean)


def test_a_lognormal_by_median_and_percentile() -> None:
    drawn = times({"lognormal": {"median": "20ms", "p95": "60ms"}})
    assert math.exp(drawn.a) == pytest.approx(0.020)
    assert math.exp(drawn.a + 1.6448536 * drawn.b) == pytest.approx(0.060)


def test_a_lognormal_by_mean_and_variation() -> None:
    drawn = times({"lognormal": {"mean": 2, "cv": 0.5}})
    assert math.sqrt(math.expm1(drawn.b**2)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "written",
    [
        "20 parsecs",
        -1,
        True,
        None,
        [],
        {},
        {"exponential": "20ms", "constant": "20ms"},
        {"exponential": {"median": "20ms"}},
        {"exponential": -1},
        {"uniform": ["30ms", "10ms"]},
        {"uniform": ["-1s", "10ms"]},
        {"uniform": "10ms"},
        {"uniform": [1]},
        {"lognormal": "20ms"},
        {"lognormal": {"median": "20ms"}},
        {"lognormal": {"median": "60ms", "p95": "20ms"}},
        {"lognormal": {"median": 0, "p95": "20ms"}},
        {"lognormal": {"mean": "20ms", "cv": "x"}},
        {"lognormal": {"mean": "20ms", "cv": [1]}},
        {"lognormal": {"mean": 0, "cv": 1}},
        {"lognormal": {"mean": 1, "cv": 1e300}},
        {"lognormal": {"median": "20ms", "p95": "60ms", "p99": "90ms"}},
        {"quantiles": {"p50": "20ms"}},
        {"quantiles": {"p50": "20ms", "p100": "10ms"}},
        {"quantiles": {"median": "20ms", "p100": 1}},
        {"quantiles": {"p101": "20ms"}},
        {"quantiles": {"pp": 1, "p100": 2}},
        {"quantiles": {}},
        {"normal": 1},
    ],
)
def test_what_is_no_distribution_is_refused(written: Any) -> None:
    with pytest.raises(ValueError):
        times(written)


_WRITTEN = st.one_of(
    st.floats(0, 1e6).map(lambda v: v),
    st.floats(0, 1e6).map(lambda v: {"exponential": v}),
    st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)).map(lambda p: {"uniform": sorted(p)}),
    st.tuples(st.floats(1e-3, 1e3), st.floats(1, 10)).map(
        lambda p: {"lognormal": {"median": p[0], "p95": p[0] * p[1]}}
    ),
    st.lists(st.floats(0, 1e3), min_size=3, max_size=3).map(
        lambda v: {"quantiles": dict(zip(("p0", "p50", "p100"), sorted(v), strict=True))}
    ),
)


@given(_WRITTEN, st.floats(0.01, 100))
def test_scaling_scales_the_mean(written: Any, factor: float) -> None:
    drawn = times(written)
    assert drawn.scaled(factor).mean == pytest.approx(drawn.mean * factor, rel=1e-9, abs=1e-12)


def test_a_distribution_is_kept_as_data() -> None:
    assert distribution_as_data(constant(2.0)) == 2.0
    assert distribution_as_data(times({"exponential": "20ms"})) == {"exponential": 0.020}
    assert distribution_as_data(times({"uniform": [1, 2]})) == {"uniform": [1.0, 2.0]}
    sizes = parse_distribution({"quantiles": {"p0": 0, "p99.9": "1Ki", "p100": "2Ki"}}, parse_quantity)
    assert distribution_as_data(sizes) == {"quantiles": {"p0": 0.0, "p99.9": 1024.0, "p100": 2048.0}}
