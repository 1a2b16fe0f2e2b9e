"""The cluster autoscaler's scale-down: which nodes nobody needs, since when, and which of them go now.

Source: cluster-autoscaler 1.37, core/scaledown/{eligibility,planner,unneeded,budgets}, simulator/cluster.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seawall.control.capacity import Capacity, milli
from seawall.control.config import PlaneConfig
from seawall.control.disruption import disruptions_allowed
from seawall.control.node_groups import Group, Sorted
from seawall.control.pacing import EPSILON_S
from seawall.control.scale_up import by_need, place
from seawall.control.view import BoolArray, ClusterView, FloatArray, IntArray, rows_of

UNREADY_S = 1200.0
"""scale-down-unready-time."""
RECHECK_S = 300.0
"""unremovable-node-recheck-timeout: how long a node that could not be emptied is left alone."""
PARALLELISM = 10
DRAIN_PARALLELISM = 1
"""max-scale-down-parallelism (empty and drained together), max-drain-parallelism."""


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Memory between scans: since when a node is unneeded, until when an unremovable one is left alone."""

    since: Mapping[int, float]
    unremovable: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may go now: its id, its pods (rows), its utilisation."""

    node: int
    pods: IntArray
    utilisation: float


def unneeded(
    config: PlaneConfig,
    memory: Unneeded,
    view: ClusterView,
    sorted_nodes: Sorted,
    capacity: Capacity,
    leaving: Mapping[int, object],
    replicas: int,
) -> tuple[Unneeded, list[Candidate]]:
    """Which nodes are unneeded now, in the order in which they were found so.

    A node is, when requests take at most the threshold of its allocatable and its pods fit on the other
    nodes together with those of the nodes found unneeded before it. `capacity` is what the scan has left
    (pending pods placed, machines on their way included); it is changed in place. Empty nodes come first,
    then those that were unneeded at the last scan, then by id. Pods that are being deleted are not looked
    at.
    """
    now, nodes, pods = view.now, view.nodes, view.pods
    utilisation = utilisations(config, view)
    on_node = np.flatnonzero(pods.active & (pods.node >= 0))
    row_of_pod = rows_of(nodes.id, pods.node[on_node])
    counts = np.bincount(row_of_pod[row_of_pod >= 0], minlength=len(nodes))
    budget = disruptions_allowed(config, view, replicas)
    unremovable = {node: until for node, until in memory.unremovable.items() if until > now}
    destinations = nodes.registered & ~nodes.deleting & ~np.isin(nodes.id, _ids(leaving))
    candidates = destinations & ~sorted_nodes.not_started
    rows = [
        row
        for row in np.flatnonzero(candidates).tolist()
        if utilisation[row] <= config.autoscaler.scale_down_utilization_threshold
        and int(nodes.id[row]) not in unremovable
    ]
    rows.sort(key=lambda row: (counts[row] > 0, int(nodes.id[row]) not in memory.since, row))
    since: dict[int, float] = {}
    found: list[Candidate] = []
    for row in rows:
        node, moving = int(nodes.id[row]), on_node[row_of_pod == row]
        blocked = len(moving) > 0 and budget is not None and budget < 1
        if blocked or not _move(view, capacity, node, moving, nodes.id[destinations]):
            unremovable[node] = now + RECHECK_S
            continue
        destinations[row] = False
        budget = None if budget is None else budget - len(moving)
        since[node] = memory.since.get(node, now)
        found.append(Candidate(node, moving, float(utilisation[row])))
    return Unneeded(since, unremovable), found


def removable(
    config: PlaneConfig,
    memory: Unneeded,
    found: list[Candidate],
    view: ClusterView,
    pools: tuple[Group, ...],
    leaving: Mapping[int, bool],
) -> tuple[list[Candidate], list[Candidate]]:
    """Those that go now: empty ones, ones to drain.

    Unneeded for longer than scaleDownUnneededTime (an unready node: 20 min), the pool stays at its minimum,
    at most ten removals at a time, one of them with pods on it. `leaving` says of each removal under way
    whether it is a drain. Where more could go than may, the real one's choice is chance; here the longest
    unneeded first.
    """
    now, nodes = view.now, view.nodes
    size = {index: group.target for index, group in enumerate(pools)}
    for node in leaving:
        row = int(rows_of(nodes.id, np.array([node]))[0])
        if row >= 0 and not nodes.deleting[row]:
            size[int(nodes.pool[row])] -= 1
    budget = PARALLELISM - len(leaving)
    drains = DRAIN_PARALLELISM - sum(leaving.values())
    empty: list[Candidate] = []
    drained: list[Candidate] = []
    order = sorted(found, key=lambda one: (len(one.pods) > 0, memory.since[one.node], one.node))
    for one in order:
        row = int(rows_of(nodes.id, np.array([one.node]))[0])
        pool = int(nodes.pool[row])
        wait = config.autoscaler.scale_down_unneeded_time if nodes.ready[row] else UNREADY_S
        if now - memory.since[one.node] < wait - EPSILON_S:
            continue
        if size[pool] <= config.pools[pool].min:
            continue
        size[pool] -= 1
        if budget <= 0 or (len(one.pods) and drains <= 0):
            continue
        budget -= 1
        if len(one.pods):
            drains -= 1
            drained.append(one)
        else:
            empty.append(one)
    return empty, drained


def utilisations(config: PlaneConfig, view: ClusterView) -> FloatArray:
    """The larger share of requests in allocatable, CPU or memory, daemon sets included. Shape (nodes,)."""
    nodes, pods = view.nodes, view.pods
    rows = np.flatnonzero(pods.active & (pods.node >= 0))
    at = rows_of(nodes.id, pods.node[rows])
    rows, at = rows[at >= 0], at[at >= 0]
    daemon_cpu = np.array([pool.daemon_set_cpu for pool in config.pools])[nodes.pool]
    daemon_memory = np.array([pool.daemon_set_memory for pool in config.pools])[nodes.pool]
    requested = np.bincount(at, weights=milli(pods.cpu_request[rows]), minlength=len(nodes))
    cpu = (requested + milli(daemon_cpu)) / np.maximum(milli(nodes.allocatable_cpu), 1)
    requested = np.bincount(at, weights=pods.memory_request[rows], minlength=len(nodes))
    memory = (requested + daemon_memory) / np.maximum(nodes.allocatable_memory, 1.0)
    larger: FloatArray = np.maximum(cpu, memory)
    return larger


def _move(view: ClusterView, capacity: Capacity, node: int, moving: IntArray, destinations: IntArray) -> bool:
    """Whether a node's pods fit elsewhere; if so they are moved there and the node closed, in place."""
    own = capacity.node == node
    allowed: BoolArray = np.isin(capacity.node, destinations) & ~own
    if len(moving):
        trial = capacity.copy()
        trial.closed[~allowed] = 1
        for need, members in by_need(view.pods, moving).items():
            if place(trial, need, len(members)) < len(members):
                return False
        for column, moved in zip(capacity.columns(), trial.columns(), strict=True):
            if column is not capacity.closed:
                column[:] = moved
    capacity.closed[own] = 1
    return True


def _ids(leaving: Mapping[int, object]) -> IntArray:
    return np.array(sorted(leaving), np.int64)
