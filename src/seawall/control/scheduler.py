"""kube-scheduler: which node gets a pod, in whose words one gets none, and when it is tried again.

Filters: the node is registered, Ready, schedulable, not full, and its allocatable holds the requests.
Scores: the default plugins that can tell the nodes of one Deployment apart, with their default weights
(NodeResourcesFit's LeastAllocated 1, NodeResourcesBalancedAllocation 1, PodTopologySpread's system defaults
2). Left out: ImageLocality (image sizes are not known), affinities, volumes, pre-emption, and the sampling of
nodes from 100 nodes on.

Source: Kubernetes, pkg/scheduler/apis/config/v1/default_plugins.go and pkg/scheduler/framework/plugins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from seawall.control.capacity import Capacity, Need, capacity_of, fit_error, fits, need_of, needs_of, take
from seawall.control.config import PlaneConfig
from seawall.control.decisions import BindPod, Decision, UnschedulablePod
from seawall.control.pacing import EPSILON_S, Bucket, Limit, available, full, when
from seawall.control.pacing import take as take_tokens
from seawall.control.ties import one_of
from seawall.control.view import UNBOUND, ClusterView, IntArray, Phase

CLIENT = Limit(qps=50.0, burst=100)
"""Each attempt is one call: a binding, or a condition written.

Source: pkg/scheduler/apis/config/v1/defaults.go.
"""
BATCH = 10
"""Calls that have to wait are made in groups of so many, to spare a world's steps: 0.2 s at 50/s."""
INITIAL_BACKOFF_S = 1.0
MAX_BACKOFF_S = 10.0
"""Of a pod that did not fit, doubling. Source: the same (podInitialBackoffSeconds, podMaxBackoffSeconds)."""
HOSTNAME_MAX_SKEW = 3
ZONE_MAX_SKEW = 5
"""Source: plugins/podtopologyspread/plugin.go (systemDefaultConstraints)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pod that did not fit: how often it was tried, when last, and what was said."""

    attempts: int
    tried_at: float
    reason: str


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """The pods that did not fit (by pod id), the client's bucket, and when the scheduler must look again."""

    bucket: Bucket
    waiting: Mapping[int, Waiting]
    due: float = math.inf


def initial(now: float) -> SchedulerState:
    """A scheduler that has not seen a pod."""
    return SchedulerState(full(CLIENT, now), {})


def schedule(
    config: PlaneConfig, state: SchedulerState, view: ClusterView
) -> tuple[SchedulerState, list[Decision]]:
    """Bind what fits, say why the rest does not.

    A new pod is tried at once. One that did not fit is tried again when some node could take it, but not
    before its back-off (1 s, doubled with each attempt, at most 10 s) has passed. Who has waited longest is
    first.
    """
    now, pods = view.now, view.pods
    rows = np.flatnonzero((pods.node == UNBOUND) & (pods.phase == Phase.PENDING) & ~pods.deleting)
    if not len(rows):
        if not state.waiting and state.due == math.inf:
            return state, []
        return replace(state, waiting={}, due=math.inf), []
    waiting = {int(pods.id[row]): state.waiting.get(int(pods.id[row])) for row in rows}
    capacity = capacity_of(config, view)
    needs = needs_of(pods, rows)
    queue, retry_at = _queue(view, capacity, needs, waiting)
    calls = min(len(queue), available(CLIENT, state.bucket, now))
    decisions: list[Decision] = []
    refused: dict[Need, str] = {}
    for row in queue[:calls]:
        pod, need = int(pods.id[row]), needs[row]
        reason = refused.get(need)
        if reason is None:
            chosen = choose(capacity, need, config.phases.seed, pod)
            if chosen >= 0:
                take(capacity, chosen, need)
                decisions.append(BindPod(pod, int(capacity.node[chosen])))
                del waiting[pod]
                continue
            reason = refused[need] = fit_error(capacity, need)
        before = waiting[pod]
        if before is None or before.reason != reason:
            decisions.append(UnschedulablePod(pod, reason))
        waiting[pod] = Waiting(before.attempts + 1 if before else 1, now, reason)
    bucket = take_tokens(CLIENT, state.bucket, now, calls)
    due = retry_at
    if calls < len(queue):
        due = min(due, max(when(CLIENT, bucket, min(BATCH, len(queue) - calls)), now + EPSILON_S))
    tried = {pod: entry for pod, entry in waiting.items() if entry is not None}
    return SchedulerState(bucket, tried, due), decisions


def choose(capacity: Capacity, need: Need, seed: int, pod: int) -> int:
    """Row of the best node for a pod, -1 where none takes it.

    Among equals kube-scheduler draws; here a hash of the seed and the pod's id does.
    """
    rows = np.flatnonzero(fits(capacity, need))
    if not len(rows):
        return -1
    if len(rows) == 1:
        return int(rows[0])
    points = scores(capacity, need, rows)
    return one_of(rows[points == points.max()], seed, pod)


def settled(config: PlaneConfig, view: ClusterView, pods: int) -> IntArray:
    """Where so many further pods of the Deployment come to lie on the nodes of a view, ids of nodes.

    For a world that starts with pods that have long been running. Shape (pods,), UNBOUND where none takes it;
    pods are numbered after those of the view.
    """
    capacity = capacity_of(config, view)
    need = need_of(config.pod_cpu_request, config.pod_memory_request)
    first = int(view.pods.id[-1]) + 1 if len(view.pods) else 0
    chosen = np.full(pods, UNBOUND, np.int64)
    for pod in range(pods):
        row = choose(capacity, need, config.phases.seed, first + pod)
        if row < 0:
            break
        take(capacity, row, need)
        chosen[pod] = capacity.node[row]
    return chosen


def scores(capacity: Capacity, need: Need, rows: IntArray) -> IntArray:
    """Points of the nodes in `rows` (those that fit) for such a pod, shape (rows,)."""
    return (
        least_allocated(capacity, need, rows)
        + balanced_allocation(capacity, need, rows)
        + 2 * topology_spread(capacity, rows)
    )


def least_allocated(capacity: Capacity, need: Need, rows: IntArray) -> IntArray:
    """The share that stays free, 0 to 100, mean over CPU and memory in whole points; shape (rows,).

    Source: plugins/noderesources/least_allocated.go.
    """
    cpu = _free_points(capacity.scored_cpu[rows] + need.scored_cpu, capacity.cpu_milli[rows])
    memory = _free_points(capacity.scored_memory[rows] + need.scored_memory, capacity.memory[rows])
    points: IntArray = (cpu + memory) // 2
    return points


def balanced_allocation(capacity: Capacity, need: Need, rows: IntArray) -> IntArray:
    """How alike the shares of CPU and memory in use are, 0 to 100; shape (rows,).

    Source: plugins/noderesources/balanced_allocation.go; a pod without requests gets no points anywhere.
    """
    if not need.cpu_milli and not need.memory:
        return np.zeros(len(rows), np.int64)
    cpu = (capacity.used_cpu[rows] + need.cpu_milli) / capacity.cpu_milli[rows]
    memory = (capacity.used_memory[rows] + need.memory) / capacity.memory[rows]
    deviation = np.abs(np.minimum(cpu, 1.0) - np.minimum(memory, 1.0)) / 2.0
    points: IntArray = ((1.0 - deviation) * 100.0).astype(np.int64)
    return points


def topology_spread(capacity: Capacity, rows: IntArray) -> IntArray:
    """Fewer pods of the Deployment, more points, 0 to 100; shape (rows,).

    Hostname with maxSkew 3 and zone with maxSkew 5, ScheduleAnyway; all nodes lie in one zone.
    Source: plugins/podtopologyspread/scoring.go.
    """
    by_host = capacity.own_pods[rows] * math.log(len(rows) + 2) + (HOSTNAME_MAX_SKEW - 1)
    by_zone = int(capacity.own_pods.sum()) * math.log(3) + (ZONE_MAX_SKEW - 1)
    crowd = np.floor(by_host + by_zone + 0.5).astype(np.int64)
    most, least = int(crowd.max()), int(crowd.min())
    points: IntArray = 100 * (most + least - crowd) // most
    return points


def _free_points(requested: IntArray, allocatable: IntArray) -> IntArray:
    free = (allocatable - requested) * 100 // np.maximum(allocatable, 1)
    points: IntArray = np.maximum(free, 0)
    return points


def _queue(
    view: ClusterView, capacity: Capacity, needs: Mapping[int, Need], waiting: Mapping[int, Waiting | None]
) -> tuple[list[int], float]:
    """Rows to try now, in order, and when the first of the others is due (infinity: not by itself)."""
    pods, now = view.pods, view.now
    ready: list[tuple[float, int]] = []
    retry_at = math.inf
    wanted: dict[Need, bool] = {}
    for row, need in needs.items():
        entry = waiting[int(pods.id[row])]
        if entry is None:
            ready.append((float(pods.created_s[row]), row))
            continue
        if need not in wanted:
            wanted[need] = bool(fits(capacity, need).any())
        if not wanted[need]:
            continue
        at = entry.tried_at + backoff(entry.attempts)
        if at <= now + EPSILON_S:
            ready.append((entry.tried_at, row))
        else:
            retry_at = min(retry_at, at)
    return [row for _, row in sorted(ready)], retry_at


def backoff(attempts: int) -> float:
    """Seconds that a pod rests after so many attempts (at least one)."""
    return min(MAX_BACKOFF_S, INITIAL_BACKOFF_S * 2.0 ** min(attempts - 1, 10))
