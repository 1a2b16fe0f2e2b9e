"""Token buckets, tickers, and what stands for chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.control.disruption import scaled
from seawall.control.pacing import Limit, available, following, full, take, when
from seawall.control.ties import mixed, one_of, order_of

LIMIT = Limit(qps=20.0, burst=30)


def test_a_full_bucket_gives_its_burst_and_then_its_rate():
    bucket = take(LIMIT, full(LIMIT, 0.0), 0.0, 30)
    assert available(LIMIT, bucket, 0.0) == 0
    assert when(LIMIT, bucket, 5) == 0.25
    assert available(LIMIT, bucket, 0.25) == 5
    assert available(LIMIT, bucket, 1000.0) == 30


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.integers(0, 40)), max_size=40))
def test_never_more_than_burst_and_rate_allow(calls: list[tuple[float, int]]):
    bucket, now, made = full(LIMIT, 0.0), 0.0, 0
    for pause, wanted in calls:
        now += pause
        got = min(wanted, available(LIMIT, bucket, now))
        bucket, made = take(LIMIT, bucket, now, got), made + got
        assert made <= 30 + 20.0 * now + 1e-6


@given(st.floats(0.0, 1e5), st.sampled_from([5.0, 10.0, 15.0, 0.7]), st.floats(0.0, 1e5))
def test_a_ticker_keeps_its_phase(due: float, period: float, now: float):
    after = following(due, period, now)
    assert after > now
    assert after == due or after <= now + period + 1e-6
    ticks = (after - due) / period
    assert ticks == pytest.approx(round(ticks), abs=1e-6)


def test_chance_is_even_and_repeatable():
    rows = np.arange(4)
    drawn = [one_of(rows, seed, 5) for seed in range(4000)]
    assert drawn == [one_of(rows, seed, 5) for seed in range(4000)]
    assert np.bincount(drawn).min() > 900
    assert mixed(1, 2) != mixed(2, 1)


def test_an_order_is_a_permutation_that_depends_on_the_seed():
    ids = np.arange(50)
    assert sorted(order_of(ids, 1).tolist()) == list(range(50))
    assert order_of(ids, 1).tolist() != order_of(ids, 2).tolist()


@pytest.mark.parametrize(
    ("value", "total", "count"), [("2", 10, 2), ("25%", 10, 3), ("100%", 7, 7), ("0%", 7, 0)]
)
def test_percentages_are_rounded_up(value: str, total: int, count: int):
    assert scaled(value, total) == count
