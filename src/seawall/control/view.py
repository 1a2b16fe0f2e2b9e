"""What a controller can see: the API server's pods and nodes and the kubelets' readings, as NumPy columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
SmallArray = npt.NDArray[np.int8]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

UNBOUND = -1
"""`PodTable.node` of a pod that no node has been chosen for."""


class Phase(IntEnum):
    """status.phase of a pod. A pod that has succeeded does not occur: services do not end."""

    PENDING = 0
    RUNNING = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class PodTable:
    """All pods of the Deployment that the API server still knows, one row each, in ascending order of `id`.

    Every column has shape (pods,). Times are seconds of the run's clock, NaN where the thing has not
    happened. A row goes when the object goes: a deleted pod stays, with `deleting` set, until its kubelet has
    ended it.
    """

    id: IntArray
    """Name of the pod: unique, ascending, never given twice."""
    node: IntArray
    """spec.nodeName as a node id, UNBOUND (-1) before the scheduler has chosen."""
    phase: SmallArray
    """status.phase, see `Phase`."""
    ready: BoolArray
    """Condition Ready, as last written by the kubelet, or by the node controller on a NotReady node."""
    ready_transition_s: FloatArray
    """lastTransitionTime of Ready; NaN while the pod has no such condition (no kubelet has seen it)."""
    created_s: FloatArray
    """metadata.creationTimestamp."""
    bound_s: FloatArray
    """When the scheduler bound it."""
    started_s: FloatArray
    """status.startTime: when the kubelet accepted the pod."""
    deleting: BoolArray
    """metadata.deletionTimestamp is set."""
    cpu_request: FloatArray
    """Cores that scheduling counts: the sum over containers, or the pod's own request."""
    memory_request: FloatArray
    """Bytes, likewise."""
    cpu_seconds: FloatArray
    """Kubelet: CPU time since the container started, at `read_s`."""
    memory_bytes: FloatArray
    """Kubelet: working set at `read_s`."""
    container_started_s: FloatArray
    """Kubelet: when the container that runs now was started (a restart moves it); NaN when none runs."""
    readable: BoolArray
    """Whether a scrape of the pod's kubelet at `now` gets an answer: the node neither stalled nor gone."""
    read_s: FloatArray
    """When the kubelet took these readings: `now`, or earlier where cAdvisor's housekeeping is modelled."""

    def __len__(self) -> int:
        return len(self.id)

    @property
    def active(self) -> BoolArray:
        """Which pods a ReplicaSet counts: neither failed nor being deleted."""
        active: BoolArray = (self.phase != Phase.FAILED) & ~self.deleting
        return active


@dataclass(frozen=True, slots=True)
class NodeTable:
    """All machines, booting ones included, one row each, in ascending order of `id`; shape (nodes,).

    A row appears as soon as a machine has been asked for (`RequestNodes`) and goes when it has been removed.
    A machine that crashed keeps its row: its lease is no longer renewed.
    """

    id: IntArray
    pool: IntArray
    """Index into `PlaneConfig.pools`."""
    registered: BoolArray
    """Whether there is a Node object; False while the machine boots."""
    ready: BoolArray
    """Condition Ready. A node that has registered and is not ready yet has False here as well."""
    ready_transition_s: FloatArray
    """lastTransitionTime of Ready; NaN before it is registered."""
    created_s: FloatArray
    """When the machine was asked for; for nodes of the start of a run a time long ago: one that falls silent
    within 15 minutes of it counts as still starting for the autoscaler."""
    lease_s: FloatArray
    """Last renewal of the node's lease; NaN before it is registered."""
    unschedulable: BoolArray
    """spec.unschedulable, or the autoscaler's ToBeDeleted taint."""
    deleting: BoolArray
    """The cloud has been told to end the machine."""
    allocatable_cpu: FloatArray
    """Cores, as the Node object says: daemon sets not taken off."""
    allocatable_memory: FloatArray
    """Bytes, likewise."""
    max_pods: IntArray
    reachable: BoolArray
    """Whether a scrape of the kubelet at `now` gets an answer; metrics-server alone looks here."""

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Everything that the control plane may know at `now` (seconds of the run's clock)."""

    now: float
    pods: PodTable
    nodes: NodeTable


@dataclass(frozen=True, slots=True)
class MetricSample:
    """What the metrics API serves, a row a pod; a value's age is `now - timestamp_s` (S3: never the future).

    Columns of shape (n,): `id` ascending, `cpu_milli` and `memory_bytes` the values, `timestamp_s` the end of
    the span that the CPU value is a mean over, `window_s` its length. A pod without a row has no metrics.
    """

    id: IntArray
    cpu_milli: IntArray
    memory_bytes: IntArray
    timestamp_s: FloatArray
    window_s: FloatArray

    def __len__(self) -> int:
        return len(self.id)


_POD_TYPES: dict[str, Any] = {
    "id": np.int64, "node": np.int64, "phase": np.int8,
    "ready": np.bool_, "deleting": np.bool_, "readable": np.bool_,
}  # fmt: skip
_NODE_TYPES: dict[str, Any] = {
    "id": np.int64, "pool": np.int64, "max_pods": np.int64, "registered": np.bool_, "ready": np.bool_,
    "unschedulable": np.bool_, "deleting": np.bool_, "reachable": np.bool_,
}  # fmt: skip


def pod_table(**columns: Any) -> PodTable:
    """A PodTable from any array-likes, each column by its name, with the right types."""
    return PodTable(**{k: np.asarray(v, dtype=_POD_TYPES.get(k, np.float64)) for k, v in columns.items()})


def node_table(**columns: Any) -> NodeTable:
    """A NodeTable from any array-likes, each column by its name, with the right types."""
    return NodeTable(**{k: np.asarray(v, dtype=_NODE_TYPES.get(k, np.float64)) for k, v in columns.items()})


def empty_sample() -> MetricSample:
    """The metrics API before it has anything to serve."""
    none, nothing = np.empty(0, np.int64), np.empty(0, np.float64)
    return MetricSample(none, none, none, nothing, nothing)


def rows_of(ids: IntArray, wanted: IntArray) -> IntArray:
    """Row of each wanted id in the ascending column `ids`, -1 where it is not there. Shape (wanted,)."""
    if len(ids) == 0:
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1).astype(np.int64)
