"""The verdict: what stands, what falls, on which objective, for what cause and at what cost."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.record.expectation import parse_expectation
from seawall.record.histogram import percentile
from seawall.record.record import Event
from seawall.record.verdict import verdict

from .sample import DEFAULT, MEMORY_LIMIT, TUNED, changed, sample, tiny


def test_the_json_has_the_published_shape() -> None:
    data = json.loads(json.dumps(verdict(sample(DEFAULT)).as_json(), allow_nan=False))
    assert list(data) == [
        "name", "stands", "provisional", "served_share", "requests", "attempts", "latency_ms", "objectives",
        "peak", "oom_kills", "restarts", "cost", "first_cause",
    ]  # fmt: skip
    assert list(data["requests"]) == [
        "sent", "answered", "failed", "timed_out", "refused", "shed", "under_way",
    ]  # fmt: skip
    assert list(data["latency_ms"]) == ["p50", "p95", "p99"]
    assert list(data["objectives"][0]) == ["name", "target", "actual", "met"]
    assert list(data["peak"]) == ["pods", "nodes", "nodes_not_ready", "pod_memory_mib"]
    assert list(data["cost"]) == ["currency", "total", "per_hour_at_peak", "per_concurrent_user_month"]


def test_the_three_samples_fall_are_wounded_and_stand() -> None:
    fallen, wounded, standing = (verdict(sample(shape)) for shape in (DEFAULT, MEMORY_LIMIT, TUNED))
    assert (fallen.stands, wounded.stands, standing.stands) == (False, False, True)
    assert fallen.first_cause is not None and fallen.first_cause.kind == "node-stall"
    assert wounded.first_cause is not None and wounded.first_cause.kind == "oom-kill"
    assert standing.first_cause is None and standing.first_loss is None
    assert fallen.peak["nodes_not_ready"] == 3 and standing.peak["nodes_not_ready"] == 0


def test_999_of_1000_meets_99_9_percent_and_998_does_not() -> None:
    written_as_percent = {"objectives": {"served": 99.9 / 100.0}}
    assert verdict(tiny([1000], [999], **written_as_percent)).stands is True
    assert verdict(tiny([1000], [998], **written_as_percent)).stands is False


def test_requests_shed_and_under_way_count_as_not_answered() -> None:
    record = tiny([100], [100])
    shed = replace(record, totals=record.totals | {"sent": 200, "shed": 60, "under_way": 40})
    assert verdict(shed).served_share == 0.5


def test_the_worst_minute_is_judged_apart_from_the_whole() -> None:
    sent, answered = [100] * 600, [100] * 600
    answered[300] = 60
    judged = {o.name: o for o in verdict(tiny(sent, answered)).objectives}
    assert judged["served"].met and judged["served"].actual == pytest.approx(1 - 40 / 60000)
    assert not judged["served_worst_60s"].met
    assert judged["served_worst_60s"].actual == pytest.approx(1 - 40 / 6000)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=200))
def test_the_worst_minute_is_the_worst_of_all_minutes(pairs: list[tuple[int, int]]) -> None:
    sent, answered = [a + b for a, b in pairs], [a for a, _ in pairs]
    width = min(60, len(sent))
    windows = [(sum(sent[i : i + width]), sum(answered[i : i + width])) for i in range(len(sent) - width + 1)]
    shares = [ok / of for of, ok in windows if of]
    actual = verdict(tiny(sent, answered)).objectives[1].actual
    assert actual == (pytest.approx(min(shares)) if shares else None)


def test_no_request_no_verdict() -> None:
    nothing = verdict(tiny([0, 0], [0, 0]))
    assert nothing.stands is None and nothing.served_share is None
    assert nothing.latency_ms == {"p50": None, "p95": None, "p99": None}


def test_a_percentile_of_no_answers_is_not_met() -> None:
    judged = verdict(tiny([5], [0], objectives={"served": 0.0, "latency": {"p99": 1.0}}))
    assert judged.stands is False and judged.objectives[-1].actual is None


@given(st.floats(0.001, 5.0), st.floats(0.001, 5.0))
def test_a_latency_bound_is_met_exactly_when_the_percentile_is_within_it(
    latency: float, bound: float
) -> None:
    record = tiny([10] * 3, [10] * 3, latency_s=latency, objectives={"latency": {"p99": bound}})
    value = percentile(record.latency.sum(axis=0), 0.99)
    judged = verdict(record)
    assert judged.objectives[-1].met == (value is not None and value <= bound)
    assert (judged.first_loss is None) == judged.objectives[-1].met


def test_provisional_while_there_are_assumptions_or_defaults() -> None:
    assert not verdict(tiny([5], [5])).provisional
    assert verdict(tiny([5], [5], assumptions={"service.requests.a.cpu": "a guess"})).provisional
    assert verdict(tiny([5], [5], defaults=["service.memory.base"])).provisional


def test_cost_is_integrated_and_divided_by_the_users_at_the_height_of_the_wave() -> None:
    record = tiny([10] * 3600, [10] * 3600, currency="USD")
    users = np.where(np.arange(3600) < 1800, 100, 1000)
    cost = np.where(np.arange(3600) < 1800, 2.0, 4.0)
    judged = verdict(changed(record, users=users, cost_per_hour=cost)).cost
    assert judged == {
        "currency": "USD",
        "total": pytest.approx(3.0),
        "per_hour_at_peak": 4.0,
        "per_concurrent_user_month": pytest.approx(4.0 / 1000 * 730),
    }
    assert verdict(changed(record, cost_per_hour=cost)).cost["per_concurrent_user_month"] is None
    assert verdict(record).cost["total"] is None


# ------------------------------------------------------------------------------------------ the first cause


def fall(*events: Event, at: int = 100, bins: int = 300) -> Event | None:
    """The first cause of a run in which everything fails from `at` on."""
    record = tiny([10] * bins, [10 if t < at else 0 for t in range(bins)], events=events)
    return verdict(record).first_cause


def test_the_earliest_break_is_the_cause_not_what_it_brought_about() -> None:
    stall = Event(95.0, "node-stall", "node/a")
    assert fall(stall, Event(97.0, "accept-queue-overflow"), Event(99.0, "node-stall", "node/b")) == stall
    assert fall(Event(90.0, "queue-timeout"), Event(91.0, "workers-at-limit"), stall) == stall


def test_pressure_comes_before_its_symptom() -> None:
    limit = Event(98.0, "workers-at-limit", "pod/a")
    assert fall(Event(97.0, "queue-timeout"), limit) == limit


def test_an_event_after_the_loss_is_no_cause() -> None:
    assert fall(Event(140.0, "node-not-ready")) is None
    assert fall(Event(103.0, "no-server")) is not None


def test_an_old_wound_does_not_hide_the_fresh_one() -> None:
    fresh = Event(260.0, "accept-queue-overflow")
    assert fall(Event(20.0, "oom-kill"), fresh, at=260) == fresh
    old = Event(20.0, "oom-kill")
    assert fall(old, at=260) == old


def test_a_time_out_is_traced_past_the_moment_its_request_was_sent() -> None:
    """Requests sent at 65 time out at 95; the stall at 90 lies between, and is the cause."""
    record = tiny([10] * 200, [10 if t < 65 else 0 for t in range(200)])
    at = np.where(np.arange(200) < 95, 0, 10)
    stall = Event(90.0, "node-stall")
    late = replace(changed(record, failed_at=at), events=(stall,))
    judged = verdict(late)
    assert judged.first_cause == stall
    assert judged.first_loss is not None and (judged.first_loss.asked, judged.first_loss.seen) == (65.0, 95.0)


# --------------------------------------------------------------------------------------------- expectations


@pytest.mark.parametrize(
    ("text", "actual", "met"),
    [
        ("served > 99.9%", 0.95, False),
        ("served >= 95%", 0.95, True),
        ("served in wave > 80%", 0.9, True),
        ("served in the wave = 90%", 0.9, True),
        ("served worst 60s < 1", 0.95, True),
        ("failed <= 50", 50.0, True),
        ("failed in wave == 50", 50.0, True),
        ("failed != 50", 50.0, False),
        ("timed_out = 0", 0.0, True),
        ("attempts < 1k", 1000.0, False),
        ("nodes <= 10", 12.0, False),
        ("nodes in wave <= 10", 3.0, True),
        ("nodes_not_ready = 0", 1.0, False),
        ("cost < 3.5/h", 4.0, False),
        ("cost < 0.05", 0.0111, True),
        ("cost < 40/user-month", 29.2, True),
        ("pod_memory < 600Mi", 512.0, True),
    ],
)
def test_an_expectation_is_held_against_the_run(text: str, actual: float, met: bool) -> None:
    sent, answered = [100] * 10, [100] * 5 + [90] * 5
    record = changed(
        tiny(sent, answered, wave=[5.0, 10.0]),
        nodes=np.array([12] + [3] * 9),
        nodes_ready=np.array([12] + [2] * 9),
        cost_per_hour=np.full(10, 4.0),
        users=np.full(10, 100),
        pod_memory_max_mib=np.full(10, 512.0),
    )
    [judged] = verdict(record, [parse_expectation(text)]).expectations
    assert judged.actual == pytest.approx(actual, rel=2e-3)
    assert judged.met is met


def test_expected_latencies_are_in_milliseconds() -> None:
    record = tiny([100], [100], latency_s=0.75)
    [judged] = verdict(record, [parse_expectation("p99 < 800ms")]).expectations
    assert judged.target == 800.0 and judged.actual == pytest.approx(750, rel=1 / 64) and judged.met
    assert not verdict(record, [parse_expectation("p99.9 < 0.5s")]).expected


def test_an_expectation_appears_among_the_objectives_and_leaves_the_verdict_alone() -> None:
    judged = verdict(tiny([10], [10]), [parse_expectation("sent > 11")])
    assert judged.stands and not judged.expected
    assert judged.as_json()["objectives"][-1] == {
        "name": "sent > 11",
        "target": 11.0,
        "actual": 10.0,
        "met": False,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p99", "write for example"),
        ("", "write for example"),
        ("p99 < 800", "800ms"),
        ("p0 < 1s", "percentile"),
        ("served > 99.9", "99.9%"),
        ("happiness > 3", "served"),
        ("nodes < many", "quantity"),
        ("pod_memory < 600", "600Mi"),
        ("cost < 3.5/day", "3.5/h"),
        ("restarts in wave = 0", "leave out 'in wave'"),
    ],
)
def test_what_is_no_expectation_is_told_what_to_write(text: str, says: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_expectation(text)
    assert says in raised.value.message


@pytest.mark.parametrize("text", ["nodes < 3", "cost < 3/h", "oom_kills = 0", "served in wave > 9%"])
def test_a_figure_that_the_run_lacks_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="this run has no"):
        verdict(tiny([10], [10]), [parse_expectation(text)])
