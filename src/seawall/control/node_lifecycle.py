"""The node lifecycle controller: when a silent node is NotReady, and when its pods are given up.

Each monitor period: a node whose lease nobody has seen renewed for the grace period becomes NotReady, its
pods with it. From the next pass on it waits for its NoExecute taint, which the zone's rate limit lets
through (0.1/s); pods are deleted when they have tolerated the taint long enough. All nodes lie in one zone:
with none left that is Ready, all taints come off and nothing is evicted.

Source: Kubernetes, pkg/controller/nodelifecycle/node_lifecycle_controller.go, pkg/controller/tainteviction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from seawall.control.config import PlaneConfig
from seawall.control.decisions import Decision, DeletePod, Note, SetNodeReady
from seawall.control.pacing import EPSILON_S, Bucket, Limit, available, following, take, when
from seawall.control.view import BoolArray, ClusterView, FloatArray, IntArray, rows_of

EVICTION_QPS = 0.1
SECONDARY_EVICTION_QPS = 0.01
LARGE_CLUSTER = 50
UNHEALTHY_ZONE_SHARE = 0.55
"""Source: pkg/controller/nodelifecycle/config/v1alpha1/defaults.go."""


class Zone(Enum):
    """How a zone is: few, many, or all of its nodes not Ready."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


@dataclass(frozen=True, slots=True)
class NodeLifecycleState:
    """What the controller remembers of each registered node, rows by ascending `id`; times in seconds.

    `seen_s`: when it last saw the lease renewed; `lease_s`: that renewal; `given_up`: it has declared the
    node NotReady; `queued_s`: since when the node waits for its taint, `tainted_s`: since when it has it
    (NaN: not).
    """

    due: float
    id: IntArray
    lease_s: FloatArray
    seen_s: FloatArray
    given_up: BoolArray
    queued_s: FloatArray
    tainted_s: FloatArray
    zone: Zone
    qps: float
    bucket: Bucket
    timers: float = math.inf

    @property
    def next(self) -> float:
        """When something happens next: a monitor pass, a taint, an eviction."""
        return min(self.due, self.timers)


def initial(first_pass: float) -> NodeLifecycleState:
    """A controller that has met no node."""
    none = np.empty(0, np.float64)
    return NodeLifecycleState(
        due=first_pass,
        id=np.empty(0, np.int64),
        lease_s=none,
        seen_s=none,
        given_up=np.empty(0, np.bool_),
        queued_s=none,
        tainted_s=none,
        zone=Zone.NORMAL,
        qps=EVICTION_QPS,
        bucket=Bucket(1.0, 0.0),
    )


def watch(
    config: PlaneConfig, state: NodeLifecycleState, view: ClusterView
) -> tuple[NodeLifecycleState, list[Decision]]:
    """Run what is due at `view.now`: the monitor's pass, then taints, then evictions."""
    decisions: list[Decision] = []
    if state.due <= view.now + EPSILON_S:
        state, decisions = _monitor(config, state, view)
    state = _taint(state, view.now)
    toleration = config.node_lifecycle.not_ready_toleration
    decisions += _evictions(state, view, toleration)
    return replace(state, timers=_timers(state, view.now, toleration)), decisions


def _monitor(
    config: PlaneConfig, state: NodeLifecycleState, view: ClusterView
) -> tuple[NodeLifecycleState, list[Decision]]:
    now, nodes = view.now, view.nodes
    seen = np.flatnonzero(nodes.registered)
    state = _aligned(state, nodes.id[seen], nodes.lease_s[seen], now)
    ready, lease = nodes.ready[seen], nodes.lease_s[seen]

    renewed = lease > state.lease_s
    seen_s = np.where(renewed, now, state.seen_s)
    silent = now >= seen_s + config.node_monitor_grace_period - EPSILON_S
    lost = silent & ready
    # After a disruption everybody is "seen", so only a renewed lease brings a node back.
    back = state.given_up & renewed & ~ready
    # The pass that sees a node fall still saw it Ready: the taint's queue takes it at the next one.
    tainted = np.where(ready | back, math.nan, state.tainted_s)
    enters = ~ready & ~back & np.isnan(tainted) & np.isnan(state.queued_s)
    queued = np.where(enters, now, state.queued_s)
    queued = np.where(ready | back, math.nan, queued)
    decisions: list[Decision] = [
        SetNodeReady(int(node), False, "Kubelet stopped posting node status.") for node in state.id[lost]
    ]
    decisions += [SetNodeReady(int(node), True, "kubelet is posting ready status") for node in state.id[back]]
    state = replace(
        state,
        due=following(state.due, config.node_lifecycle.node_monitor_period, now),
        lease_s=lease,
        seen_s=seen_s,
        given_up=(state.given_up | lost) & ~back & ~(ready & ~lost),
        queued_s=queued,
        tainted_s=tainted,
    )
    state, notes = _zone_changes(state, (ready | back) & ~lost, now)
    return state, decisions + notes


def _zone_changes(
    state: NodeLifecycleState, ready: BoolArray, now: float
) -> tuple[NodeLifecycleState, list[Decision]]:
    """Enter and leave disruption: the pace of taints follows how many nodes of the zone are left."""
    zone = zone_state(int(np.count_nonzero(ready)), len(ready))
    if zone is state.zone:
        return state, []
    if zone is Zone.FULL:
        none = np.full(len(state.id), math.nan)
        message = "Controller detected that all Nodes are not-Ready. Entering master disruption mode."
        state = replace(state, zone=zone, qps=0.0, bucket=Bucket(0.0, now), queued_s=none, tainted_s=none)
        return state, [Note("FullDisruption", "zone", message)]
    message = f"Controller detected that zone is now in new state {zone.value}"
    if state.zone is Zone.FULL:
        message = "Controller detected that some Nodes are Ready. Exiting master disruption mode."
        state = replace(state, seen_s=np.full(len(state.id), now))
    qps = EVICTION_QPS
    if zone is Zone.PARTIAL:
        qps = SECONDARY_EVICTION_QPS if len(ready) > LARGE_CLUSTER else 0.0
    unused = state.qps > 0 and available(Limit(state.qps, 1), state.bucket, now) >= 1
    state = replace(state, zone=zone, qps=qps, bucket=Bucket(1.0 if unused and qps else 0.0, now))
    return state, [Note(zone.value, "zone", message)]


def zone_state(ready: int, nodes: int) -> Zone:
    """Full disruption: none Ready. Partial: more than two not, and at least 55 %."""
    bad = nodes - ready
    if bad and not ready:
        return Zone.FULL
    if bad > 2 and bad / nodes >= UNHEALTHY_ZONE_SHARE:
        return Zone.PARTIAL
    return Zone.NORMAL


def _taint(state: NodeLifecycleState, now: float) -> NodeLifecycleState:
    """Taint the nodes whose turn it is, those that have waited longest first."""
    queue = np.flatnonzero(~np.isnan(state.queued_s))
    if not len(queue) or not state.qps:
        return state
    limit = Limit(state.qps, 1)
    if not available(limit, state.bucket, now):
        return state
    first = queue[np.argmin(state.queued_s[queue])]
    queued, tainted = state.queued_s.copy(), state.tainted_s.copy()
    queued[first], tainted[first] = math.nan, now
    return replace(state, queued_s=queued, tainted_s=tainted, bucket=take(limit, state.bucket, now, 1))


def _evictions(state: NodeLifecycleState, view: ClusterView, toleration: float) -> list[Decision]:
    over = state.tainted_s + toleration <= view.now + EPSILON_S
    if not over.any():
        return []
    pods = view.pods
    rows = np.flatnonzero(np.isin(pods.node, state.id[over]) & ~pods.deleting)
    return [
        DeletePod(
            int(pods.id[row]),
            f"node {int(pods.node[row])} has had the taint node.kubernetes.io/unreachable:NoExecute "
            f"for the tolerated {toleration:g} s",
        )
        for row in rows
    ]


def _timers(state: NodeLifecycleState, now: float, toleration: float) -> float:
    """The next taint or eviction, infinity where none is coming."""
    coming = state.tainted_s + toleration
    coming = coming[coming > now + EPSILON_S]
    timers = float(coming.min()) if len(coming) else math.inf
    if state.qps and not np.isnan(state.queued_s).all():
        timers = min(timers, when(Limit(state.qps, 1), state.bucket, 1))
    return timers


def _aligned(state: NodeLifecycleState, ids: IntArray, lease: FloatArray, now: float) -> NodeLifecycleState:
    """The memory with a row for each of these nodes: new ones are seen now, gone ones forgotten."""
    if np.array_equal(state.id, ids):
        return state
    rows = rows_of(state.id, ids)
    old, new = rows[rows >= 0], rows < 0

    def moved(column: FloatArray, value: FloatArray | float) -> FloatArray:
        result = np.empty(len(ids), np.float64)
        result[~new] = column[old]
        result[new] = value[new] if isinstance(value, np.ndarray) else value
        return result

    given_up = np.zeros(len(ids), np.bool_)
    given_up[~new] = state.given_up[old]
    return replace(
        state,
        id=ids,
        lease_s=moved(state.lease_s, lease),
        seen_s=moved(state.seen_s, now),
        given_up=given_up,
        queued_s=moved(state.queued_s, math.nan),
        tainted_s=moved(state.tainted_s, math.nan),
    )
