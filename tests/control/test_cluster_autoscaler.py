"""The cluster autoscaler: nodes for pods that fit nowhere, and none that nobody needs, when it is time."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.control.config import Phases, PlaneConfig, PoolConfig
from seawall.control.decisions import (
    BindPod,
    CordonNode,
    DeletePod,
    Note,
    RemoveNode,
    RequestNodes,
    UncordonNode,
)
from seawall.fleet.kubernetes import DisruptionBudget, Manifest
from seawall.fleet.model import ClusterAutoscaler
from seawall.fleet.yamlfile import Place

from .toy_world import World, config, pool

PHASES = Phases(autoscaler_s=7.0)
BUDGET = Manifest("PodDisruptionBudget", "web", "policy/v1", {}, Place("pdb.yaml", 1))


def autoscaled(*pools: PoolConfig, flags: dict[str, Any] | None = None, **other: Any) -> PlaneConfig:
    return config(*pools, autoscaler=ClusterAutoscaler(**(flags or {})), phases=PHASES, **other)


def requests(one: World) -> list[tuple[float, int, int]]:
    return [(when, d.pool, d.count) for when, d in one.of(RequestNodes)]


def notes(one: World, kind: str) -> list[tuple[float, str]]:
    return [(when, d.message) for when, d in one.of(Note) if d.kind == kind]


def full_node() -> World:
    """One node with the four pods that it can hold, twenty seconds on."""
    return World(autoscaled()).with_nodes(1).with_pods(4).run(20.0)


# ------------------------------------------------------------------------------------------------------- more


def test_pending_pods_bring_nodes_at_the_next_scan():
    one = full_node().scale(13).run(200.0)
    assert requests(one) == [(27.0, 0, 3)]
    assert {when for when, _ in one.of(BindPod)} == {87.0}
    assert notes(one, "TriggeredScaleUp") == [
        (27.0, "9 pods: pod triggered scale-up: [{workers 1->4 (max: 10)}]")
    ]
    assert len(one.endpoints) == 13


def test_pods_younger_than_two_seconds_wait_for_company():
    one = full_node().run(26.0).scale(6).run(60.0)
    assert requests(one) == [(37.0, 0, 1)]


def test_new_pod_scale_up_delay():
    one = World(autoscaled(flags={"new_pod_scale_up_delay": 30.0})).with_nodes(1).with_pods(4).run(20.0)
    assert requests(one.scale(6).run(100.0)) == [(57.0, 0, 1)]


def test_nodes_on_their_way_are_not_asked_for_twice():
    one = full_node().scale(12).run(40.0).scale(13).run(80.0)
    assert requests(one) == [(27.0, 0, 2), (47.0, 0, 1)]


def test_no_pool_grows_beyond_its_maximum_and_that_is_said_once():
    one = World(autoscaled(pool(max=2))).with_nodes(1).with_pods(4).run(20.0).scale(20).run(400.0)
    assert requests(one) == [(27.0, 0, 1)]
    # While the node boots its pods count as placed; the rest is refused as soon as the pool is full.
    assert [message for _, message in notes(one, "NotTriggerScaleUp")] == [
        "12 pods: pod didn't trigger scale-up: 1 max node group size reached"
    ]


def test_a_pod_too_large_for_any_machine():
    one = World(autoscaled(cpu=3.0)).with_nodes(1)
    one.with_pods(0).run(20.0).scale(2).run(100.0)
    assert requests(one) == []
    [(when, message)] = notes(one, "NotTriggerScaleUp")
    assert (when, message) == (27.0, "2 pods: pod didn't trigger scale-up: 1 Insufficient cpu")


def test_machines_that_never_come_are_ended_and_the_pool_rests():
    one = full_node()
    one.boot = math.inf
    one.scale(6).run(1240.0)
    assert requests(one)[0] == (27.0, 0, 1)
    [(when, message)] = notes(one, "ScaleUpTimedOut")
    assert when == 927.0 and message == "Nodes added to group workers failed to register within 900 s"
    # It was first seen missing at the scan of t = 37.
    assert [when for when, _ in one.of(RemoveNode)] == [937.0]
    assert (927.0, "2 pods: pod didn't trigger scale-up: 1 in backoff after failed scale-up") in notes(
        one, "NotTriggerScaleUp"
    )
    # Five minutes later it is tried again.
    assert requests(one)[1:] == [(1227.0, 0, 1)]


def test_with_many_nodes_unready_it_does_nothing():
    def struck(dead: int) -> World:
        one = World(autoscaled(pool(max=20))).with_nodes(10).with_pods(40).run(20.0)
        for node in range(dead):
            one.kill(node)
        return one.run(100.0).scale(60).run(200.0)

    five, four = struck(5), struck(4)
    assert requests(five) == [] and len(notes(five, "ClusterUnhealthy")) == 1
    assert len(requests(four)) == 1 and notes(four, "ClusterUnhealthy") == []


# ------------------------------------------------------------------------------------------------------- less


def peak() -> World:
    """Four nodes with thirteen pods since t = 87, asked for at t = 27."""
    return full_node().scale(13).run(200.0)


def test_empty_nodes_go_together_ten_minutes_after_they_were_first_unneeded():
    one = World(autoscaled()).with_nodes(4).with_pods(4).run(1000.0)
    # Each node has one pod: drained one at a time, the first after ten minutes and 5 s for the taint.
    gone = [when for when, _ in one.of(RemoveNode)]
    assert gone[0] >= 607.0 + 5.0
    empty = World(autoscaled()).with_nodes(4).with_pods(0).run(1000.0)
    assert [when for when, _ in empty.of(CordonNode)] == [607.0] * 3
    assert [when for when, _ in empty.of(RemoveNode)] == [612.0] * 3


def test_at_most_ten_at_a_time():
    one = World(autoscaled(pool(max=20))).with_nodes(16).with_pods(0).run(1000.0)
    assert [when for when, _ in one.of(RemoveNode)] == [612.0] * 10 + [622.0] * 5


def test_never_below_the_minimum():
    one = World(autoscaled(pool(min=2))).with_nodes(4).with_pods(0).run(2000.0)
    assert len(one.nodes) == 2


def test_not_within_ten_minutes_of_a_scale_up():
    one = peak().scale(4).run(2000.0)
    first = min(when for when, _ in one.of(CordonNode))
    # Unneeded since about t = 207, which ends at 807; the last scale-up was long before.
    assert 807.0 <= first <= 817.0
    later = peak().scale(4).run(700.0).scale(20).run(760.0)
    assert requests(later)[-1][0] == 707.0
    later.scale(4).run(1300.0)
    assert later.of(CordonNode) == []


def test_a_busy_node_stays():
    one = World(autoscaled()).with_nodes(2).with_pods(6).run(2000.0)
    assert one.of(CordonNode) == [] and len(one.nodes) == 2


def test_a_node_whose_pods_fit_nowhere_stays():
    one = World(autoscaled(pool(max=3), cpu=0.9)).with_nodes(2).with_pods(4)
    one.run(50.0).scale(3).run(2000.0)
    # 1.8 of 2 cores on one node, 0.9 on the other: under half, but no room for it.
    assert sorted(p.node for p in one.pods.values()) in ([0, 0, 1], [0, 1, 1])
    assert one.of(CordonNode) == []


def test_draining_moves_the_pods_and_keeps_them_all():
    one = World(autoscaled()).with_nodes(4).with_pods(4).run(3000.0)
    assert len(one.nodes) == 1
    assert sum(pod.ready for pod in one.pods.values()) == 4
    cordoned = [when for when, _ in one.of(CordonNode)]
    removed = [when for when, _ in one.of(RemoveNode)]
    assert len(cordoned) == 3
    assert all(end <= start for end, start in zip(removed, cordoned[1:], strict=False))
    assert {d.reason for _, d in one.of(DeletePod)} == {"deleting pod for node scale down"}


def test_a_disruption_budget_paces_the_drain():
    budget = DisruptionBudget("web", None, "1", BUDGET)
    one = World(autoscaled(disruption_budget=budget)).with_nodes(2).with_pods(4).run(900.0)
    times = [when for when, _ in one.of(DeletePod)]
    assert times == [612.0, 622.0]
    assert len(one.of(RemoveNode)) == 1


def test_a_budget_that_allows_nothing_keeps_the_node():
    budget = DisruptionBudget("web", "100%", None, BUDGET)
    one = World(autoscaled(disruption_budget=budget)).with_nodes(2).with_pods(4).run(2000.0)
    assert one.of(DeletePod) == [] and len(one.nodes) == 2


def test_pods_that_do_not_end_stop_the_drain():
    one = World(autoscaled()).with_nodes(2).with_pods(4)
    one.terminate = 1e9
    one.run(1300.0)
    [(when, note)] = [(when, d) for when, d in one.of(Note) if d.kind == "ScaleDownFailed"]
    assert note.message == "failed to drain the node: pods remaining after timeout"
    assert when == pytest.approx(612.0 + 630.0, abs=5.0)
    assert len(one.of(UncordonNode)) == 1 and one.of(RemoveNode) == []


def test_dead_nodes_go_after_twenty_minutes():
    one = World(autoscaled(pool(max=4))).with_nodes(3).with_pods(9).run(20.0)
    one.kill(0)
    one.run(3000.0)
    [(when, gone)] = one.of(RemoveNode)
    # Given up at 70, its pods at 375, empty on paper from then on: 20 minutes later.
    assert gone.node == 0
    assert 375.0 + 1200.0 <= when <= 375.0 + 1200.0 + 15.0


def test_scale_down_can_be_switched_off():
    one = World(autoscaled(flags={"scale_down_enabled": False})).with_nodes(4).with_pods(0).run(2000.0)
    assert len(one.nodes) == 4


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=5),
    st.integers(1, 3),
    st.integers(3, 6),
    st.floats(5.0, 120.0),
)
def test_the_bounds_of_the_pool_hold_whatever_happens(scales: list[int], low: int, high: int, boot: float):
    one = World(autoscaled(pool(min=low, max=high))).with_nodes(low).with_pods(0)
    one.boot = boot
    for number in scales:
        one.scale(number).run(one.now + 400.0)
        assert low <= len(one.nodes) <= high
        for node in one.nodes.values():
            cores = sum(0.5 for pod in one.pods.values() if pod.node == node.id)
            assert cores <= 2.0
    one.run(one.now + 200.0)
    running = sum(pod.ready for pod in one.pods.values())
    assert running == min(scales[-1], 4 * high)
