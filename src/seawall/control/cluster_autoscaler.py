"""The cluster autoscaler: at each scan more nodes for pods that fit nowhere, fewer where nobody needs them.

Source: cluster-autoscaler 1.37, core/static_autoscaler.go (RunOnce). Left out: balancing of similar pools,
limits on the whole cluster, candidate limits in very large clusters, soft taints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from seawall.control.capacity import Capacity, capacity_of, empty_nodes, joined
from seawall.control.config import PlaneConfig
from seawall.control.decisions import Decision, Note, RemoveNode
from seawall.control.node_groups import (
    Group,
    Pools,
    Sorted,
    cluster_healthy,
    groups,
    settle,
    sort_nodes,
    still_missing,
    upcoming,
)
from seawall.control.node_removal import Removal, advance, begin
from seawall.control.pacing import EPSILON_S, following
from seawall.control.scale_down import Unneeded, removable, unneeded
from seawall.control.scale_up import NEW_PODS_S, grow, pods_to_help
from seawall.control.view import BoolArray, ClusterView, IntArray


@dataclass(frozen=True, slots=True)
class AutoscalerState:
    """What the autoscaler remembers between scans; times in seconds, node and pool ids as keys."""

    due: float
    pools: Pools = field(default_factory=lambda: Pools({}, {}))
    unneeded: Unneeded = field(default_factory=lambda: Unneeded({}, {}))
    removals: Mapping[int, Removal] = field(default_factory=dict)
    last_scale_up: float = -math.inf
    missing_since: Mapping[int, float] = field(default_factory=dict)
    healthy: bool = True
    refused: str = ""

    @property
    def next(self) -> float:
        """When something happens next: a scan, a step of a removal."""
        return min(self.due, min((removal.due for removal in self.removals.values()), default=math.inf))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A scan's view of the cluster."""

    view: ClusterView
    nodes: Sorted
    groups: tuple[Group, ...]


def run(
    config: PlaneConfig,
    state: AutoscalerState,
    view: ClusterView,
    unschedulable: Sequence[int],
    replicas: int,
) -> tuple[AutoscalerState, list[Decision]]:
    """Take removals further, and scan when a scan is due.

    `unschedulable` are the pods that the scheduler has refused, `replicas` is the Deployment's. A step that
    changes nodes or pods ends there; a scan that is due then comes at the next step.
    """
    removals, decisions = advance(config, state.removals, view, replicas)
    if removals is not state.removals:
        state = replace(state, removals=removals)
    if decisions or state.due > view.now + EPSILON_S:
        return state, decisions
    state = replace(state, due=following(state.due, config.autoscaler.scan_interval, view.now))
    return _scan(config, state, view, unschedulable, replicas)


def _scan(
    config: PlaneConfig,
    state: AutoscalerState,
    view: ClusterView,
    unschedulable: Sequence[int],
    replicas: int,
) -> tuple[AutoscalerState, list[Decision]]:
    now = view.now
    missing = still_missing(state.missing_since, view.nodes, now)
    nodes = sort_nodes(config, view.nodes, missing, now)
    found = groups(config, view.nodes, nodes)
    seen = _Seen(view, nodes, found)
    pools, decisions = settle(config, state.pools, found, now)
    state = replace(state, pools=pools, missing_since=missing)
    decisions += _never_registered(config, seen)
    if not cluster_healthy(found):
        if state.healthy:
            decisions.append(Note("ClusterUnhealthy", "cluster", "Cluster is unhealthy"))
        return replace(state, healthy=False, unneeded=Unneeded({}, state.unneeded.unremovable)), decisions
    state = replace(state, healthy=True)

    capacity = _snapshot(config, state, seen)
    rows = pods_to_help(view.pods, unschedulable, capacity, config.autoscaler.new_pod_scale_up_delay, now)
    all_new = len(rows) > 0 and now - float(view.pods.created_s[rows].min()) < NEW_PODS_S
    if len(rows) and not all_new:
        result = grow(config, state.pools, found, view.pods, rows, now, state.refused)
        decisions += result.decisions
        state = replace(
            state,
            pools=result.pools,
            refused=result.refused,
            last_scale_up=now if result.grew else state.last_scale_up,
        )
    elif not len(rows):
        state = replace(state, refused="")
    if not config.autoscaler.scale_down_enabled:
        return state, decisions
    state, told = _shrink(config, state, seen, capacity, replicas, held=all_new)
    return state, decisions + told


def _snapshot(config: PlaneConfig, state: AutoscalerState, seen: _Seen) -> Capacity:
    """The nodes to simulate on: the registered ones, and empty ones for those on their way."""
    view, now = seen.view, seen.view.now
    capacity = capacity_of(config, view)
    coming = [upcoming(state.pools, seen.groups, index, now) for index in range(len(config.pools))]
    if not any(coming):
        return capacity
    expected = np.array([count > 0 for count in coming])[view.nodes.pool]
    starting: IntArray = view.nodes.id[seen.nodes.not_started & expected]
    keep: BoolArray = ~np.isin(capacity.node, starting)
    capacity, first_id = capacity.only(keep), -2
    for pool, count in zip(config.pools, coming, strict=True):
        capacity = joined(capacity, empty_nodes(pool, count, first_id))
        first_id -= count
    return capacity


def _never_registered(config: PlaneConfig, seen: _Seen) -> list[Decision]:
    """End machines that have not come up within maxNodeProvisionTime, down to the pool's minimum."""
    nodes = seen.view.nodes
    decisions: list[Decision] = []
    for index, pool in enumerate(config.pools):
        late = np.flatnonzero(seen.nodes.long_unregistered & (nodes.pool == index))
        for row in late[: max(0, seen.groups[index].target - pool.min)]:
            node = int(nodes.id[row])
            decisions.append(Note("DeleteUnregistered", f"node/{node}", "Removed unregistered node"))
            wait = config.autoscaler.max_node_provision_time
            decisions.append(RemoveNode(node, f"the machine has not registered within {wait:g} s"))
    return decisions


def _shrink(
    config: PlaneConfig, state: AutoscalerState, seen: _Seen, capacity: Capacity, replicas: int, held: bool
) -> tuple[AutoscalerState, list[Decision]]:
    """Keep the account of unneeded nodes, and start removals unless a scale-up was too recent."""
    now, leaving = seen.view.now, state.removals
    memory, found = unneeded(config, state.unneeded, seen.view, seen.nodes, capacity, leaving, replicas)
    state = replace(state, unneeded=memory)
    if held or state.last_scale_up + config.autoscaler.scale_down_delay_after_add > now + EPSILON_S:
        return state, []
    drains = {node: removal.drain for node, removal in leaving.items()}
    empty, drained = removable(config, memory, found, seen.view, seen.groups, drains)
    removals, decisions = begin(leaving, empty, drained, now)
    return replace(state, removals=removals), decisions
