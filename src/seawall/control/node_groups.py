"""What the cluster autoscaler knows of its pools: who is ready, what is coming, what has failed.

Source: cluster-autoscaler 1.37, clusterstate/clusterstate.go and utils/backoff/exponential_backoff.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seawall.control.config import PlaneConfig
from seawall.control.decisions import Decision, Note
from seawall.control.pacing import EPSILON_S
from seawall.control.view import BoolArray, NodeTable

MAX_NODE_STARTUP_S = 900.0
"""A registered node that is not Ready counts as starting for so long, not as unready."""
INITIAL_BACKOFF_S = 300.0
MAX_BACKOFF_S = 1800.0
BACKOFF_RESET_S = 3 * 3600.0
OK_TOTAL_UNREADY = 3
MAX_UNREADY_SHARE = 0.45
"""ok-total-unready-count, max-total-unready-percentage."""


@dataclass(frozen=True, slots=True)
class ScaleUpRequest:
    """Nodes asked for that have not all come: how many, when last, until when they are waited for."""

    increase: int
    at: float
    expected: float


@dataclass(frozen=True, slots=True)
class Backoff:
    """A pool that failed: how long it rests, until when, when it last failed (seconds)."""

    duration: float
    until: float
    failed_at: float


@dataclass(frozen=True, slots=True)
class Pools:
    """Memory between scans, by index of the pool."""

    requests: Mapping[int, ScaleUpRequest]
    backoffs: Mapping[int, Backoff]

    def backed_off(self, pool: int, now: float) -> bool:
        """Whether the pool rests."""
        backoff = self.backoffs.get(pool)
        return backoff is not None and backoff.until > now + EPSILON_S

    def with_scale_up(self, pool: int, nodes: int, now: float, provision_time: float) -> Pools:
        """With so many more nodes asked for."""
        before = self.requests.get(pool)
        increase = nodes + (before.increase if before else 0)
        request = ScaleUpRequest(increase, now, now + provision_time)
        return Pools({**self.requests, pool: request}, self.backoffs)


@dataclass(frozen=True, slots=True)
class Group:
    """A pool at a scan, in numbers of nodes; machines that the cloud is already ending are not counted."""

    target: int
    ready: int
    unready: int
    not_started: int
    unregistered: int
    long_unregistered: int

    @property
    def coming(self) -> int:
        """How many are neither there nor given up."""
        return self.target - (self.ready + self.unready + self.long_unregistered)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Which nodes of the view are what; masks of shape (nodes,)."""

    ready: BoolArray
    unready: BoolArray
    not_started: BoolArray
    unregistered: BoolArray
    long_unregistered: BoolArray


def still_missing(since: Mapping[int, float], nodes: NodeTable, now: float) -> Mapping[int, float]:
    """Since which scan each machine has been seen not to have registered, by id."""
    missing = nodes.id[~nodes.deleting & ~nodes.registered].tolist()
    return {node: since.get(node, now) for node in missing}


def sort_nodes(
    config: PlaneConfig, nodes: NodeTable, missing_since: Mapping[int, float], now: float
) -> Sorted:
    """Tell the nodes of a view apart by readiness and age; `missing_since` as `still_missing` gives it."""
    there = ~nodes.deleting
    young = now - nodes.created_s < MAX_NODE_STARTUP_S
    missing = there & ~nodes.registered
    since = np.full(len(nodes), now)
    since[missing] = [missing_since[node] for node in nodes.id[missing].tolist()]
    late = now - since >= config.autoscaler.max_node_provision_time - EPSILON_S
    up = there & nodes.registered
    return Sorted(
        ready=up & nodes.ready,
        unready=up & ~nodes.ready & ~young,
        not_started=up & ~nodes.ready & young,
        unregistered=missing & ~late,
        long_unregistered=missing & late,
    )


def groups(config: PlaneConfig, nodes: NodeTable, sorted_nodes: Sorted) -> tuple[Group, ...]:
    """The pools in numbers, in the order of the configuration."""
    size = len(config.pools)

    def count(mask: BoolArray) -> list[int]:
        counts: list[int] = np.bincount(nodes.pool[mask], minlength=size).tolist()
        return counts

    masks = (
        ~nodes.deleting,
        sorted_nodes.ready,
        sorted_nodes.unready,
        sorted_nodes.not_started,
        sorted_nodes.unregistered,
        sorted_nodes.long_unregistered,
    )
    return tuple(Group(*numbers) for numbers in zip(*(count(mask) for mask in masks), strict=True))


def settle(
    config: PlaneConfig, pools: Pools, found: tuple[Group, ...], now: float
) -> tuple[Pools, list[Decision]]:
    """Close the requests that have been met, give up those that have taken too long."""
    requests: dict[int, ScaleUpRequest] = {}
    backoffs = {
        pool: backoff
        for pool, backoff in pools.backoffs.items()
        if backoff.failed_at + BACKOFF_RESET_S >= now
    }
    notes: list[Decision] = []
    for pool, request in pools.requests.items():
        if found[pool].coming <= 0:
            continue
        if request.expected > now + EPSILON_S:
            requests[pool] = request
            continue
        backoffs[pool] = _failed(backoffs.get(pool), now)
        name = config.pools[pool].name
        took = f"{now - request.at:.0f} s"
        message = f"Nodes added to group {name} failed to register within {took}"
        notes.append(Note("ScaleUpTimedOut", f"pool/{name}", message))
    if not notes and len(requests) == len(pools.requests) and len(backoffs) == len(pools.backoffs):
        return pools, notes
    return Pools(requests, backoffs), notes


def _failed(before: Backoff | None, now: float) -> Backoff:
    """5 min; doubled, to at most 30 min, by a failure after the last back-off had ended."""
    duration = INITIAL_BACKOFF_S
    if before is not None:
        duration = before.duration
        if before.until <= now:
            duration = min(2.0 * duration, MAX_BACKOFF_S)
    return Backoff(duration, now + duration, now)


def upcoming(pools: Pools, found: tuple[Group, ...], pool: int, now: float) -> int:
    """How many nodes of a pool are expected: only for a request that stands, in a pool that does not rest."""
    if pool not in pools.requests or pools.backed_off(pool, now):
        return 0
    return max(found[pool].coming, 0)


def cluster_healthy(found: tuple[Group, ...]) -> bool:
    """False where more than 3 nodes and more than 45 % are unready: the autoscaler then does nothing."""
    unready = sum(group.unready for group in found)
    registered = sum(group.ready + group.unready + group.not_started for group in found)
    return unready <= OK_TOTAL_UNREADY or unready <= MAX_UNREADY_SHARE * registered


def group_healthy(pools: Pools, group: Group, pool: int) -> bool:
    """False where a pool lacks more than 3 nodes, and more than 45 %, that should be Ready by now."""
    request = pools.requests.get(pool)
    expected = group.target - group.long_unregistered - (request.increase if request else 0)
    lacking = max(0, expected - group.ready)
    registered = group.ready + group.unready + group.not_started
    return lacking <= OK_TOTAL_UNREADY or lacking <= MAX_UNREADY_SHARE * registered
