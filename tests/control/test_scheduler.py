"""The scheduler: who gets which node, and what is said to a pod that gets none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.control import scheduler
from seawall.control.capacity import Need, capacity_of, fit_error, fits, take
from seawall.control.decisions import BindPod, UnschedulablePod

from .toy_world import GIB, MIB, Node, Pod, World, config, pool


def world(nodes: int, pending: int, **pool_numbers: object) -> World:
    """A world with nodes and pods that nobody has scheduled yet; the plane does not run."""
    one = World(config(pool(**pool_numbers))).with_nodes(nodes)
    for _ in range(pending):
        pod = Pod(one._next_id(), 0.0)
        one.pods[pod.id] = pod
    return one


def schedule(one: World, state: scheduler.SchedulerState | None = None):
    return scheduler.schedule(one.config, state or scheduler.initial(one.now), one.view())


def bind(one: World, decisions) -> None:
    for decision in decisions:
        if isinstance(decision, BindPod):
            one.pods[decision.pod].node = decision.node


def test_pods_spread_over_like_nodes():
    _, decisions = schedule(world(4, 8))
    nodes = [d.node for d in decisions if isinstance(d, BindPod)]
    assert len(nodes) == 8
    assert np.bincount(nodes).tolist() == [2, 2, 2, 2]


def test_in_kubernetes_own_words():
    state, decisions = schedule(world(3, 13))
    assert sum(isinstance(d, BindPod) for d in decisions) == 12
    refusals = [d.reason for d in decisions if isinstance(d, UnschedulablePod)]
    assert refusals == ["0/3 nodes are available: 3 Insufficient cpu."]
    assert len(state.waiting) == 1


def test_all_reasons_are_counted():
    one = world(4, 1, allocatable_memory=100 * MIB)
    one.nodes[0].cordoned = True
    one.nodes[1].ready = False
    _, decisions = schedule(one)
    assert [d.reason for d in decisions] == [
        "0/4 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, "
        "1 node(s) were unschedulable, 2 Insufficient memory."
    ]


def test_max_pods_bounds():
    _, decisions = schedule(world(1, 3, max_pods=2))
    assert sum(isinstance(d, BindPod) for d in decisions) == 2
    assert decisions[-1].reason == "0/1 nodes are available: 1 Too many pods."


def test_no_nodes():
    _, decisions = schedule(world(0, 1))
    assert decisions[0].reason == "no nodes available to schedule pods"


def test_a_booting_machine_is_no_node():
    one = world(0, 1)
    one.nodes[99] = Node(99, 0, 0.0)
    _, decisions = schedule(one)
    assert decisions[0].reason == "no nodes available to schedule pods"


def test_a_pod_on_its_way_out_keeps_its_place():
    one = world(1, 4)
    bind(one, schedule(one)[1])
    next(iter(one.pods.values())).deleting = True
    one.pods[50] = Pod(50, 1.0)
    _, decisions = schedule(one)
    assert isinstance(decisions[0], UnschedulablePod)
    one.pods.pop(next(iter(one.pods)))
    assert isinstance(schedule(one)[1][0], BindPod)


def test_the_refusal_is_said_once_and_the_pod_tried_again_when_there_is_room():
    one = world(1, 5)
    state, decisions = schedule(one)
    bind(one, decisions)
    one.now = 3.0
    state, decisions = schedule(one, state)
    assert decisions == [] and len(state.waiting) == 1
    one.with_nodes(1)
    state, decisions = schedule(one, state)
    assert [type(d) for d in decisions] == [BindPod]
    assert state.waiting == {}


def test_back_off_doubles_to_ten_seconds():
    assert [scheduler.backoff(n) for n in range(1, 7)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_refused_pod_rests_before_it_is_tried_again():
    one = world(0, 1)
    state, _ = schedule(one)
    one.with_nodes(1)
    one.now = 0.4
    state, decisions = schedule(one, state)
    assert decisions == [] and state.due == pytest.approx(1.0)
    one.now = 1.0
    _, decisions = schedule(one, state)
    assert isinstance(decisions[0], BindPod)


def test_a_hundred_calls_at_once_then_fifty_a_second():
    one = world(60, 220)
    state, decisions = schedule(one)
    assert sum(isinstance(d, BindPod) for d in decisions) == 100
    while state.due < 100:
        bind(one, decisions)
        one.now = state.due
        state, decisions = schedule(one, state)
    bind(one, decisions)
    assert all(p.node >= 0 for p in one.pods.values())
    assert one.now == pytest.approx((220 - 100) / 50)


def test_scores_by_hand():
    one = world(2, 0, allocatable_cpu=2.0, allocatable_memory=4 * GIB)
    capacity, need = capacity_of(one.config, one.view()), Need(500, 1024**3)
    take(capacity, 0, need)
    rows = np.array([0, 1])
    # With the pod: node 0 has 50 % of its CPU and of its memory left, node 1 75 % of both.
    assert scheduler.least_allocated(capacity, need, rows).tolist() == [50, 75]
    assert scheduler.balanced_allocation(capacity, need, rows).tolist() == [100, 100]
    # Counts 1 and 0: 1 * ln 4 + 2 and 2, each with one pod * ln 3 + 4 for the zone, rounded: 8 and 7.
    assert scheduler.topology_spread(capacity, rows).tolist() == [87, 100]


def test_balanced_allocation_prefers_like_shares():
    one = world(1, 0, allocatable_cpu=2.0, allocatable_memory=4 * GIB)
    capacity = capacity_of(one.config, one.view())
    # 50 % of CPU, 12.5 % of memory: half their distance is 18.75 points.
    assert scheduler.balanced_allocation(capacity, Need(1000, 1024**3 // 2), np.array([0])).tolist() == [81]


def test_equals_are_drawn_by_the_seed():
    one = world(8, 0)
    capacity = capacity_of(one.config, one.view())
    chosen = {scheduler.choose(capacity, Need(500, 1), seed, pod=7) for seed in range(40)}
    assert len(chosen) > 4


def test_settled_pods_lie_as_the_scheduler_would_have_put_them():
    one = world(3, 0)
    nodes = scheduler.settled(one.config, one.view(), 13).tolist()
    assert sorted(nodes) == [-1] + [0] * 4 + [1] * 4 + [2] * 4


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["up", "cordoned", "not ready"]), min_size=1, max_size=6),
    st.integers(0, 30),
    st.floats(0.1, 8.0),
    st.integers(1, 12),
)
def test_never_above_allocatable(states: list[str], pending: int, cores: float, max_pods: int):
    one = world(len(states), pending, allocatable_cpu=cores, max_pods=max_pods)
    for node, state in zip(one.nodes.values(), states, strict=True):
        node.cordoned, node.ready = state == "cordoned", state != "not ready"
    _, decisions = schedule(one)
    bind(one, decisions)
    capacity = capacity_of(one.config, one.view())
    assert (capacity.used_cpu <= capacity.cpu_milli).all()
    assert (capacity.used_memory <= capacity.memory).all()
    assert (capacity.used_pods <= max_pods).all()
    assert all(
        one.nodes[d.node].ready and not one.nodes[d.node].cordoned
        for d in decisions
        if isinstance(d, BindPod)
    )
    # Whoever is left over finds no node that would take it.
    if any(isinstance(d, UnschedulablePod) for d in decisions):
        need = Need(500, 512 * 1024**2)
        assert not fits(capacity, need).any()
        assert fit_error(capacity, need) == decisions[-1].reason
