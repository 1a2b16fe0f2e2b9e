"""The Deployment's ReplicaSet: as many pods as spec.replicas says, at the pace of its client.

Source: Kubernetes, pkg/controller/replicaset/replica_set.go and pkg/controller/controller_utils.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seawall.control.decisions import CreatePods, Decision, DeletePod
from seawall.control.pacing import EPSILON_S, Bucket, Limit, available, full, take, when
from seawall.control.ties import order_of
from seawall.control.view import ClusterView, IntArray, Phase, PodTable

CLIENT = Limit(qps=20.0, burst=30)
"""kube-controller-manager's client. Source: controller/apis/config/v1alpha1/defaults.go."""
BURST_REPLICAS = 500
"""At most so many creations or deletions in one sync."""
BATCH = 5
"""Calls that have to wait are made in groups of so many, to spare a world's steps: 0.25 s at 20/s."""


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """The client's bucket, and when the next calls can be made (infinity: nothing waits)."""

    bucket: Bucket
    due: float = math.inf


def initial(now: float) -> DeploymentState:
    """A controller that has made no calls."""
    return DeploymentState(full(CLIENT, now))


def reconcile(
    name: str, state: DeploymentState, replicas: int, view: ClusterView, seed: int
) -> tuple[DeploymentState, list[Decision]]:
    """Create what is missing, delete what is too much, as far as the client's rate allows now."""
    active = np.flatnonzero(view.pods.active)
    missing = replicas - len(active)
    if missing == 0:
        return (state if state.due == math.inf else DeploymentState(state.bucket)), []
    now, wanted = view.now, min(abs(missing), BURST_REPLICAS)
    calls = min(wanted, available(CLIENT, state.bucket, now))
    decisions: list[Decision] = []
    if calls:
        if missing > 0:
            decisions.append(CreatePods(calls, f"{name} has {len(active)} of {replicas} pods"))
        else:
            reason = f"{name} has {len(active)} pods and wants {replicas}"
            victims = deletion_order(view.pods, active, now, seed)[:calls]
            decisions.extend(DeletePod(int(view.pods.id[row]), reason) for row in victims)
    bucket, rest = take(CLIENT, state.bucket, now, calls), abs(missing) - calls
    due = max(when(CLIENT, bucket, min(BATCH, rest)), now + EPSILON_S) if rest else math.inf
    return DeploymentState(bucket, due), decisions


def deletion_order(pods: PodTable, rows: IntArray, now: float, seed: int) -> IntArray:
    """The pods of `rows` with the one to delete first at the front.

    Unbound first; pending; not ready; more pods on the same node; ready for a shorter time; of those that are
    not ready the one created later. Ages count by their power of two, and within one by UID, which is chance:
    here a hash. Restarts are not looked at (rule 7).
    Source: ActivePodsWithRanks, with LogarithmicScaleDown on.
    """
    node = pods.node[rows]
    ready = pods.ready[rows]
    _, inverse, counts = np.unique(node, return_inverse=True, return_counts=True)
    colocated = counts[inverse]
    ready_for = np.where(ready, _magnitude(now - pods.ready_transition_s[rows]), 0)
    keys = (
        order_of(pods.id[rows], seed),
        np.where(ready, 0, _magnitude(now - pods.created_s[rows])),
        ready_for,
        -colocated,
        ready,
        pods.phase[rows] != Phase.PENDING,
        node >= 0,
    )
    return rows[np.lexsort(keys)]


def _magnitude(seconds: np.typing.NDArray[np.float64]) -> IntArray:
    """Power of two of an age in nanoseconds, -1 for none."""
    age = np.nan_to_num(seconds, nan=0.0) * 1e9
    return np.where(age > 0, np.log2(np.maximum(age, 1e-3)), -1.0).astype(np.int64)
