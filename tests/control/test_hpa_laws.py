"""Laws that hold for every HPA, and the ladders that follow from Kubernetes' defaults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.control.hpa import (
    HpaDecision,
    HpaObservation,
    HpaOptions,
    HpaState,
    MetricReading,
    PodSamples,
    Recommendation,
    ScaleEvent,
    ScaleView,
    Tolerances,
    sync,
)
from seawall.control.hpa.replica_calculator import Hold, Proposal, utilization_replicas
from seawall.control.pods import PodColumns
from seawall.fleet.hpa_spec import (
    DEFAULT_METRICS,
    Behavior,
    HpaSpec,
    MetricSpec,
    MetricTarget,
    MetricType,
    PolicyType,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    TargetType,
)

NOW = 10_000.0
REQUEST_M = 1000


def pod(name: str, **changed: Any) -> dict[str, Any]:
    """A pod that has been Ready for an hour and asks for one core."""
    return {
        "name": name,
        "phase": "Running",
        "ready": "True",
        "started_s": 3600,
        "ready_transition_s": 3590,
        "containers": [{"name": "app", "requests_m": {"cpu": REQUEST_M}}],
        **changed,
    }


def samples(pods: PodColumns, usage_m: list[int | None]) -> PodSamples:
    """A fresh sample for each pod that has a usage."""
    rows = [row for row, used in enumerate(usage_m) if used is not None]
    values = [used for used in usage_m if used is not None]
    count = len(rows)
    return PodSamples(
        np.array(rows, np.int64),
        np.array(values, np.int64),
        np.full(count, NOW - 5),
        np.full(count, 15.0),
    )


def run(
    spec: HpaSpec,
    current: int,
    usage_m: int,
    state: HpaState | None = None,
    now: float = NOW,
    options: HpaOptions | None = None,
) -> tuple[HpaState, HpaDecision]:
    """A sync over `current` ready pods that all use the same."""
    pods = PodColumns.of([pod(f"p{n}") for n in range(current)], now)
    reading = MetricReading(samples=samples(pods, [usage_m] * current))
    seen = HpaObservation(ScaleView(current, current, "app=web"), pods, [reading])
    return sync(spec, state or HpaState(), seen, now, options or HpaOptions())


def hpa(low: int = 1, high: int = 100, percent: int = 50, behavior: Behavior | None = None) -> HpaSpec:
    target = MetricTarget(TargetType.UTILIZATION, average_utilization=percent)
    return HpaSpec(high, (MetricSpec(MetricType.RESOURCE, "cpu", target),), low, behavior)


def ladder(spec: HpaSpec, current: int, usage_m: int, steps: int) -> list[int]:
    """Replicas from sync to sync, 15 s apart; each pod uses the same, new ones are ready at once."""
    state, found = HpaState(), [current]
    for step in range(steps):
        state, decision = run(spec, current, usage_m, state, NOW + 15.0 * step)
        assert decision.desired is not None
        current = decision.desired
        found.append(current)
    return found


def test_default_ladder() -> None:
    assert ladder(hpa(), 10, 5000, 5) == [10, 20, 40, 80, 100, 100]


@pytest.mark.parametrize(("current", "last", "syncs"), [(10, 500, 6), (20, 1000, 6), (4, 400, 7)])
def test_steps_to_the_top(current: int, last: int, syncs: int) -> None:
    found = ladder(hpa(high=last), current, 50_000, syncs)
    assert found[-1] == last > found[-2]


@pytest.mark.parametrize(
    ("behavior", "current", "first"),
    [(None, 1, 4), (None, 2, 4), (None, 4, 8), (Behavior(), 1, 5), (Behavior(), 2, 6), (Behavior(), 4, 8)],
)
def test_first_step_without_and_with_default_behavior(
    behavior: Behavior | None, current: int, first: int
) -> None:
    """max(2c, 4) without behavior, max(2c, c + 4) with an empty one."""
    assert ladder(hpa(behavior=behavior), current, 90_000, 1)[-1] == first


def test_cpu_saturates() -> None:
    """A pod that cannot use more than its request multiplies the fleet by 100 / target a round, no faster."""
    assert ladder(hpa(percent=80, behavior=Behavior()), 10, REQUEST_M, 3) == [10, 13, 17, 22]


def test_a_fall_waits_for_the_window() -> None:
    spec, state, current = hpa(), HpaState(), 8
    found = []
    for step in range(24):
        state, decision = run(spec, current, 100 if step else 500, state, NOW + 15.0 * step)
        found.append(decision.desired)
    # The recommendation of 8 at the first sync counts for 300 s, both ends included.
    assert found[:21] == [8] * 21
    assert found[21] == 2


def test_a_forgetful_controller_keeps_only_the_status() -> None:
    state, _ = run(hpa(behavior=Behavior()), 4, 5000)
    assert state.recommendations and state.up_events
    fresh = state.after_controller_restart()
    assert fresh == HpaState(state.status)
    assert fresh.status.conditions


@pytest.mark.parametrize(("percent", "held"), [(44, False), (45, True), (55, True), (56, False)])
def test_tolerance_includes_its_ends(percent: int, held: bool) -> None:
    _, decision = run(hpa(percent=50), 100, percent * 10)
    assert (decision.proposed == 100) is held
    proposal = decision.evaluations[0].proposal
    assert proposal is not None
    assert (proposal.hold is Hold.TOLERANCE) is held


kinds = st.sampled_from(["ready", "pending", "initialising", "never_ready", "deleting", "failed"])
CHANGES: dict[str, dict[str, Any]] = {
    "ready": {},
    "pending": {"phase": "Pending", "started_s": None, "ready_transition_s": None, "ready": None},
    "initialising": {"started_s": 20, "ready_transition_s": 10},
    "never_ready": {"ready": "False", "started_s": 3600, "ready_transition_s": 3600},
    "deleting": {"deleting": True},
    "failed": {"phase": "Failed"},
}


@st.composite
def fleets(draw: st.DrawFn) -> tuple[PodColumns, list[int | None], list[int]]:
    """Pods in all states, their usage (None: no metrics), and how much more each uses in a second look."""
    states = draw(st.lists(kinds, min_size=1, max_size=30))
    pods = PodColumns.of([pod(f"p{n}", **CHANGES[kind]) for n, kind in enumerate(states)], NOW)
    size = len(states)
    usage = st.one_of(st.none(), st.integers(0, 3000))
    used = draw(st.lists(usage, min_size=size, max_size=size))
    more = draw(st.lists(st.integers(0, 2000), min_size=size, max_size=size))
    return pods, used, more


def proposal(pods: PodColumns, used: list[int | None], current: int, percent: int = 60) -> Proposal | None:
    """What CPU asks for, None where it cannot be told."""
    try:
        return utilization_replicas(
            current, pods, samples(pods, used), "cpu", "", percent, Tolerances(0.1, 0.1), NOW, HpaOptions()
        )
    except Exception as error:
        assert "metrics" in str(error)
        return None


@given(fleets())
@settings(max_examples=200, deadline=None)
def test_more_usage_never_asks_for_fewer(fleet: tuple[PodColumns, list[int | None], list[int]]) -> None:
    pods, used, more = fleet
    counted = int(np.count_nonzero(~pods.deleting & (pods.phase != 3)))
    first = proposal(pods, used, counted)
    higher = [None if u is None else u + m for u, m in zip(used, more, strict=True)]
    second = proposal(pods, higher, counted)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert first.replicas <= second.replicas


@given(fleets(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_of_pods_does_not_matter(
    fleet: tuple[PodColumns, list[int | None], list[int]], random: Any
) -> None:
    pods, used, _ = fleet
    order = list(range(len(pods)))
    random.shuffle(order)
    turned = PodColumns(
        tuple(pods.name[n] for n in order),
        pods.phase[order],
        pods.ready[order],
        pods.deleting[order],
        pods.started_at[order],
        pods.ready_transition_at[order],
        pods.shape[order],
        pods.shapes,
        pods.node[order],
    )
    assert proposal(pods, used, 5) == proposal(turned, [used[n] for n in order], 5)


@given(fleets(), st.integers(2, 50))
@settings(max_examples=100, deadline=None)
def test_only_shares_matter(fleet: tuple[PodColumns, list[int | None], list[int]], factor: int) -> None:
    """Usage and requests in other units give the same replicas."""
    pods, used, _ = fleet
    shapes = tuple(
        replace(
            shape,
            containers=tuple(replace(c, requests_m={"cpu": REQUEST_M * factor}) for c in shape.containers),
        )
        for shape in pods.shapes
    )
    scaled = [None if u is None else u * factor for u in used]
    first, second = proposal(pods, used, 7), proposal(replace(pods, shapes=shapes), scaled, 7)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert (first.replicas, first.utilization) == (second.replicas, second.utilization)


rules = st.builds(
    ScalingRules,
    st.one_of(st.none(), st.integers(0, 600)),
    st.sampled_from(SelectPolicy),
    st.lists(
        st.builds(ScalingPolicy, st.sampled_from(PolicyType), st.integers(1, 200), st.integers(1, 600)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.one_of(st.none(), st.floats(0, 0.9)),
)
events = st.lists(st.builds(ScaleEvent, st.integers(1, 50), st.floats(NOW - 900, NOW)), max_size=5).map(tuple)
memories = st.builds(
    HpaState,
    recommendations=st.one_of(
        st.none(),
        st.lists(st.builds(Recommendation, st.integers(0, 200), st.floats(NOW - 900, NOW)), max_size=8).map(
            tuple
        ),
    ),
    up_events=events,
    down_events=events,
)


@given(
    st.integers(1, 30),
    st.integers(0, 60),
    st.one_of(st.none(), st.builds(Behavior, rules, rules)),
    memories,
    st.integers(0, 60),
    st.integers(0, 8000),
)
@settings(max_examples=300, deadline=None)
def test_a_decision_lies_between_min_and_max(
    low: int, span: int, behavior: Behavior | None, memory: HpaState, current: int, usage_m: int
) -> None:
    spec = hpa(low, low + span, 50, behavior)
    remembered, decision = run(spec, current, usage_m, memory)
    assert decision.error == ""
    if current == 0:
        assert decision.desired == 0 and not decision.rescaled
    else:
        assert decision.desired is not None
        assert low <= decision.desired <= low + span
    # The same again: nothing is hidden, nothing is random.
    assert run(spec, current, usage_m, memory) == (remembered, decision)


def test_a_raised_minimum_is_one_step() -> None:
    """The fastest way up: no metric, no rate limit, no window."""
    _, decision = run(hpa(low=80), 10, 0)
    assert (decision.desired, decision.proposed, decision.rescaled) == (80, None, True)
    assert decision.reason == "Current number of replicas below Spec.MinReplicas"


def test_missing_request_stops_the_hpa() -> None:
    bare = pod("web-1", containers=[{"name": "app", "requests_m": {}}])
    pods = PodColumns.of([bare], NOW)
    seen = HpaObservation(ScaleView(1, 1, "app=web"), pods, [MetricReading(samples=samples(pods, [900]))])
    _, decision = sync(HpaSpec(10, DEFAULT_METRICS), HpaState(), seen, NOW)
    assert decision.desired is None and not decision.rescaled
    assert "missing request for cpu in container app of Pod web-1" in decision.error
    active = decision.status.conditions[1]
    assert (active.type, active.status, active.reason) == ("ScalingActive", False, "FailedGetResourceMetric")
