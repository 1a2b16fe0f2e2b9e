"""The ReplicaSet: what is missing is created, what is too much deleted, at its client's pace."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.control import deployment
from seawall.control.decisions import CreatePods, DeletePod
from seawall.control.view import ClusterView, NodeTable, Phase, PodTable, node_table, pod_table

NODES = node_table(**{name: [] for name in NodeTable.__slots__})


def pods(*rows: dict[str, object]) -> PodTable:
    """A table of running, ready pods, each changed by its row."""
    columns: dict[str, list[object]] = {}
    for number, row in enumerate(rows):
        usual: dict[str, object] = {
            "id": number,
            "node": 0,
            "phase": Phase.RUNNING,
            "ready": True,
            "ready_transition_s": 10.0,
            "created_s": 0.0,
            "bound_s": 0.0,
            "started_s": 0.0,
            "deleting": False,
            "cpu_request": 0.5,
            "memory_request": 1.0,
            "cpu_seconds": 1.0,
            "memory_bytes": 1.0,
            "container_started_s": 0.0,
            "readable": True,
            "read_s": 0.0,
        }
        for key, value in {**usual, **row}.items():
            columns.setdefault(key, []).append(value)
    return pod_table(**columns) if rows else pod_table(**{name: [] for name in PodTable.__slots__})


def reconcile(table: PodTable, replicas: int, now: float = 1000.0):
    """One run with a full bucket."""
    view = ClusterView(now, table, NODES)
    return deployment.reconcile("web", deployment.initial(now), replicas, view, seed=1)


def created(decisions) -> int:
    return sum(d.count for d in decisions if isinstance(d, CreatePods))


def test_thirty_pods_at_once_then_twenty_a_second():
    state, now, made, at_once = deployment.initial(0.0), 0.0, 0, 0
    while made < 500:
        table = pods(*({"ready": False} for _ in range(made)))
        state, decisions = deployment.reconcile("web", state, 500, ClusterView(now, table, NODES), seed=1)
        made += created(decisions)
        at_once = at_once or made
        last, now = now, state.due
    assert at_once == 30
    assert math.isclose(last, (500 - 30) / 20, abs_tol=1e-6)
    assert state.due == math.inf


def test_failed_pods_and_pods_on_their_way_out_are_replaced():
    table = pods({}, {"phase": Phase.FAILED, "ready": False}, {"deleting": True})
    _, decisions = reconcile(table, 3)
    assert created(decisions) == 2


def test_deletes_exactly_the_surplus():
    _, decisions = reconcile(pods(*({"id": n, "node": n} for n in range(7))), 4)
    assert len(decisions) == 3
    assert len({d.pod for d in decisions}) == 3


def test_order_of_deletion():
    table = pods(
        {"id": 0, "node": 0, "ready_transition_s": 10.0},
        {"id": 1, "node": 1, "ready_transition_s": 10.0},
        {"id": 2, "node": 1, "ready_transition_s": 900.0},
        {"id": 3, "node": 2, "ready_transition_s": 900.0},
        {"id": 4, "node": 3, "ready": False, "ready_transition_s": 990.0},
        {"id": 5, "node": 4, "phase": Phase.PENDING, "ready": False, "ready_transition_s": math.nan},
        {"id": 6, "node": -1, "phase": Phase.PENDING, "ready": False, "ready_transition_s": math.nan},
    )
    rows = deployment.deletion_order(table, np.arange(7), 1000.0, seed=1)
    # Unbound, pending, not ready, two on node 1 (the one ready for less time first), the younger of the rest.
    assert rows.tolist() == [6, 5, 4, 2, 1, 3, 0]


def test_ages_within_a_power_of_two_are_equal_and_chance_decides():
    table = pods(*({"id": n, "node": n, "ready_transition_s": 100.0 + n} for n in range(8)))
    orders = {
        tuple(deployment.deletion_order(table, np.arange(8), 1000.0, seed).tolist()) for seed in range(20)
    }
    assert len(orders) > 10


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 80), st.integers(0, 80))
def test_never_more_than_the_difference(have: int, want: int):
    state, decisions = reconcile(pods(*({"id": n, "node": n} for n in range(have))), want)
    made, gone = created(decisions), sum(isinstance(d, DeletePod) for d in decisions)
    assert made == min(max(want - have, 0), 30)
    assert gone == min(max(have - want, 0), 30)
    assert (state.due == math.inf) == (made - gone == want - have)
