"""Arrivals obey their load, their seed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seawall.traffic.arrivals import (
    DRAWN,
    Arrivals,
    Chunk,
    Requests,
    arrivals_from_load,
    arrivals_from_requests,
)
from seawall.traffic.curve import Load, StepRate
from seawall.traffic.shape import parse_shape

from .strategies import shapes

WAVE = "20/s -> 200/s in 10s, hold 5s, -> 0/s in 10s, hold 5s, -> 50/s at once, hold 5s"


def gathered(arrivals: Arrivals) -> Chunk:
    """All chunks as one; none of them may be empty."""
    chunks = list(arrivals)
    assert all(len(chunk) > 0 for chunk in chunks)
    if not chunks:
        return Chunk(np.empty(0), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))
    return Chunk(
        np.concatenate([c.times_s for c in chunks]),
        np.concatenate([c.classes for c in chunks]),
        np.concatenate([c.sessions for c in chunks]),
    )


def as_bytes(arrivals: Arrivals) -> tuple[bytes, bytes, bytes]:
    """All columns, byte for byte."""
    all_of = gathered(arrivals)
    return all_of.times_s.tobytes(), all_of.classes.tobytes(), all_of.sessions.tobytes()


def recorded(*, whole: bool = True, count: int = 500, seed: int = 3, span: int = 60) -> Requests:
    """Requests at random times, several a second, from three classes and twenty sessions."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, span, count)) + 1431857100.0
    return Requests(
        np.floor(times) if whole else times,
        rng.integers(0, 3, count).astype(np.int32),
        rng.integers(0, 20, count),
        20,
        whole,
    )


# ------------------------------------------------------------------------------------------- from a load


def test_the_time_change_gives_back_a_poisson_process_of_rate_one() -> None:
    load = parse_shape("0/s -> 2000/s in 20s, hold 5s, -> 100/s in 10s, hold 5s")
    times = gathered(arrivals_from_load(load, seed=7)).times_s
    areas = load.integral(times)
    gaps = np.diff(areas, prepend=0.0)
    assert stats.kstest(gaps, "expon").pvalue > 0.01
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 3 / np.sqrt(gaps.size)
    assert abs(times.size - load.integral(load.duration_s)) < 4 * np.sqrt(times.size)


def test_counts_of_equal_parts_vary_as_a_poisson_process_does() -> None:
    load = parse_shape("40/s for 1m")
    counts = [len(gathered(arrivals_from_load(load, seed))) for seed in range(200)]
    assert np.mean(counts) == pytest.approx(2400, abs=4 * np.sqrt(2400 / 200))
    assert 0.7 < np.var(counts) / 2400 < 1.4


def test_even_arrivals_come_where_the_area_reaches_a_half_more() -> None:
    ramp = parse_shape("0/s -> 100/s in 50s")
    even = arrivals_from_load(ramp, seed=1, process="even")
    times = gathered(even).times_s
    assert times.size == even.expected_count() == 2500
    np.testing.assert_allclose(times, np.sqrt(np.arange(2500) + 0.5), rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 700), st.integers(-(2**70), 2**70), st.sampled_from(["poisson", "even"]))
def test_chunks_do_not_change_arrivals_from_a_load(chunk: int, seed: int, process: str) -> None:
    load = parse_shape(WAVE)
    whole = arrivals_from_load(load, seed, process)  # type: ignore[arg-type]
    cut = arrivals_from_load(load, seed, process, chunk=chunk)  # type: ignore[arg-type]
    assert as_bytes(cut) == as_bytes(whole)
    assert all(len(part) <= chunk for part in cut)


@settings(max_examples=50, deadline=None)
@given(
    shapes().map(lambda s: s.multiplied(min(1.0, 2000.0 / max(1.0, float(s.integral(1e9)))))),
    st.integers(0, 9),
)
def test_arrivals_are_in_order_and_within_the_load(load: Load, seed: int) -> None:
    for process in ("poisson", "even"):
        arrivals = arrivals_from_load(load, seed, process, chunk=64)  # type: ignore[arg-type]
        times = gathered(arrivals).times_s
        assert arrivals.duration_s == load.duration_s
        assert (np.diff(times) >= 0).all()
        assert ((times >= 0) & (times <= load.duration_s)).all()
        assert times.size <= 2.0 * arrivals.expected_count() + 60


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 50.0), st.integers(0, 99), st.sampled_from(["poisson", "even"]))
def test_scaling_all_times_scales_the_arrivals(factor: float, seed: int, process: str) -> None:
    load = parse_shape(WAVE)
    scaled = load.stretched(factor).multiplied(1.0 / factor)  # as many requests, in another time
    times = gathered(arrivals_from_load(load, seed, process)).times_s  # type: ignore[arg-type]
    others = gathered(arrivals_from_load(scaled, seed, process)).times_s  # type: ignore[arg-type]
    assert abs(times.size - others.size) <= 1  # one may fall on the very end
    n = min(times.size, others.size)
    np.testing.assert_allclose(others[:n], times[:n] * factor, rtol=1e-9)


def test_scaling_by_a_power_of_two_scales_every_bit() -> None:
    load = parse_shape(WAVE)
    times = gathered(arrivals_from_load(load, 5)).times_s
    others = gathered(arrivals_from_load(load.stretched(4.0).multiplied(0.25), 5)).times_s
    assert (times * 4.0).tobytes() == others.tobytes()


def test_a_higher_load_does_not_come_later() -> None:
    load = parse_shape(WAVE)
    low = gathered(arrivals_from_load(load, 5)).times_s
    high = gathered(arrivals_from_load(load.multiplied(1.5), 5)).times_s
    assert high.size > low.size
    assert (high[: low.size] <= low).all()


def test_the_seed_decides_and_the_same_seed_repeats() -> None:
    load = parse_shape(WAVE)
    arrivals = arrivals_from_load(load, 5)
    assert as_bytes(arrivals) == as_bytes(arrivals) == as_bytes(arrivals_from_load(load, 5))
    assert as_bytes(arrivals) != as_bytes(arrivals_from_load(load, 6))
    assert as_bytes(arrivals) != as_bytes(arrivals_from_load(load, 5, entity=1))


def test_arrivals_from_a_load_are_a_visitor_each_and_of_no_class_yet() -> None:
    arrivals = gathered(arrivals_from_load(parse_shape(WAVE), 5, chunk=100))
    assert (arrivals.classes == DRAWN).all()
    np.testing.assert_array_equal(arrivals.sessions, np.arange(len(arrivals)))


def test_no_load_no_arrivals() -> None:
    for process in ("poisson", "even"):
        assert list(arrivals_from_load(parse_shape("0/s for 1m"), 1, process)) == []  # type: ignore[arg-type]


def test_users_do_not_arrive() -> None:
    with pytest.raises(ValueError, match="requests/s, not users"):
        arrivals_from_load(parse_shape("10 users for 1m"), 1)


def test_a_recorded_rate_has_its_requests_in_its_steps() -> None:
    rate = StepRate(np.arange(4) * 100.0, np.array([50.0, 0.0, 20.0]))
    counts, _ = np.histogram(gathered(arrivals_from_load(rate, 2)).times_s, rate.times_s)
    assert counts[1] == 0
    assert abs(counts[0] - 5000) < 4 * np.sqrt(5000)
    assert abs(counts[2] - 2000) < 4 * np.sqrt(2000)


# ------------------------------------------------------------------------------------ from recorded requests


def test_recorded_requests_stay_in_their_second_and_in_their_order() -> None:
    requests = recorded()
    arrivals = arrivals_from_requests(requests, 1)
    found = gathered(arrivals)
    assert arrivals.expected_count() == 500
    assert arrivals.duration_s == 60.0
    np.testing.assert_array_equal(np.floor(found.times_s), requests.times_s - 1431857100.0)
    np.testing.assert_array_equal(found.classes, requests.classes)
    np.testing.assert_array_equal(found.sessions, requests.sessions)
    assert (np.diff(found.times_s) > 0).all()


def test_within_their_second_requests_lie_evenly() -> None:
    times = gathered(arrivals_from_requests(recorded(count=20_000), 1)).times_s
    assert stats.kstest(times % 1.0, "uniform").pvalue > 0.01


def test_times_finer_than_a_second_stay_as_they_are() -> None:
    requests = recorded(whole=False)
    arrivals = gathered(arrivals_from_requests(requests, 1))
    np.testing.assert_allclose(arrivals.times_s, requests.times_s - 1431857100.0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 300),
    st.sampled_from([0.3, 1.0, 2.0, 3.7]),
    st.booleans(),
    st.sampled_from([(0.0, None), (12.5, 30.25), (59.5, None)]),
)
def test_chunks_do_not_change_recorded_arrivals(
    chunk: int, multiply: float, whole: bool, part: tuple[float, float | None]
) -> None:
    requests, (from_s, for_s) = recorded(whole=whole), part
    both = [
        arrivals_from_requests(
            requests, 4, multiply=multiply, from_s=from_s, for_s=for_s, speed=3.0, chunk=size
        )
        for size in (chunk, 65_536)
    ]
    assert as_bytes(both[0]) == as_bytes(both[1])
    assert all(len(part) <= chunk for part in both[0])
    times = gathered(both[0]).times_s
    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times < both[0].duration_s)).all()


def test_where_ends_were_stamped_requests_are_put_in_order_across_seconds() -> None:
    times = np.sort(np.random.default_rng(1).uniform(0, 50, 400))  # ends less durations
    times -= times[0] - 0.25
    requests = Requests(times, np.zeros(400, dtype=np.int32), np.arange(400), 400, True)
    all_at_once = arrivals_from_requests(requests, 1)
    found = gathered(all_at_once)
    assert (np.diff(found.times_s) >= 0).all()
    assert (np.diff(found.sessions) < 0).any()
    assert as_bytes(arrivals_from_requests(requests, 1, chunk=7)) == as_bytes(all_at_once)
    offsets = found.times_s[np.argsort(found.sessions)] - times
    assert ((offsets >= 0) & (offsets < 1)).all()


def test_a_part_of_a_recording_is_that_part_of_the_whole() -> None:
    requests = recorded()
    whole = gathered(arrivals_from_requests(requests, 1, multiply=2.5)).times_s
    part = arrivals_from_requests(requests, 1, multiply=2.5, from_s=10.5, for_s=20)
    wanted = whole[(whole >= 10.5) & (whole < 30.5)] - 10.5
    np.testing.assert_allclose(gathered(part).times_s, wanted, atol=1e-9)
    assert part.duration_s == 20.0
    assert part.expected_count() == pytest.approx(wanted.size, rel=0.1)


def test_speed_divides_the_times() -> None:
    requests = recorded()
    slow, fast = arrivals_from_requests(requests, 1), arrivals_from_requests(requests, 1, speed=4.0)
    np.testing.assert_array_equal(gathered(fast).times_s, gathered(slow).times_s / 4.0)
    assert (fast.duration_s, fast.expected_count()) == (15.0, 500.0)


@pytest.mark.parametrize("whole", [True, False])
def test_each_copy_is_a_visitor_of_its_own_and_the_first_stays(whole: bool) -> None:
    requests = recorded(whole=whole)
    once = gathered(arrivals_from_requests(requests, 1))
    thrice = gathered(arrivals_from_requests(requests, 1, multiply=3.0))
    assert len(thrice) == 1500
    first = thrice.sessions < 20
    np.testing.assert_array_equal(thrice.times_s[first], once.times_s)
    for copy in range(3):
        of_copy = thrice.sessions // 20 == copy
        assert of_copy.sum() == 500
        assert np.unique(np.floor(thrice.times_s[of_copy])).size == np.unique(np.floor(once.times_s)).size
    assert np.unique(thrice.times_s).size == 1500


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("multiply", [0.5, 1.0, 2.5])
def test_each_arrival_tells_which_request_it_repeats(whole: bool, multiply: float) -> None:
    requests = recorded(whole=whole)
    for chunk in arrivals_from_requests(requests, 7, multiply=multiply, chunk=64):
        assert chunk.records is not None
        np.testing.assert_array_equal(requests.classes[chunk.records], chunk.classes)
        np.testing.assert_array_equal(requests.sessions[chunk.records], chunk.sessions % 20)
        seconds = np.floor(chunk.times_s + np.floor(requests.times_s[0]))
        np.testing.assert_array_equal(np.floor(requests.times_s[chunk.records]), seconds)
    rows = np.arange(500) * 3 + 1
    some = Requests(requests.times_s, requests.classes, requests.sessions, 20, whole, rows)
    both = zip(arrivals_from_requests(requests, 7), arrivals_from_requests(some, 7), strict=True)
    for chunk, of_some in both:
        assert chunk.records is not None
        np.testing.assert_array_equal(rows[chunk.records], of_some.records)
        np.testing.assert_array_equal(chunk.times_s, of_some.times_s)


def test_arrivals_from_a_load_repeat_nothing() -> None:
    assert all(chunk.records is None for chunk in arrivals_from_load(parse_shape(WAVE), seed=1))


def test_a_part_of_the_requests_is_taken_by_chance() -> None:
    requests = recorded(count=4000)
    for multiply in (0.25, 1.25):
        sizes = [len(gathered(arrivals_from_requests(requests, s, multiply=multiply))) for s in range(20)]
        assert np.mean(sizes) == pytest.approx(4000 * multiply, abs=4 * np.sqrt(750 / 20))
        assert len(set(sizes)) > 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 0.0},
        {"multiply": -1.0},
        {"multiply": np.inf},
        {"from_s": 60.0},
        {"from_s": -1.0},
        {"for_s": 0.0},
    ],
)
def test_parts_and_factors_that_leave_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"above 0|nothing lies"):
        arrivals_from_requests(recorded(), 1, **wrong)  # type: ignore[arg-type]
