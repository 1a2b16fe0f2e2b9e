"""Who has room for a pod: requests against allocatable, for the scheduler and the cluster autoscaler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seawall.control.config import PlaneConfig, PoolConfig
from seawall.control.view import BoolArray, ClusterView, FloatArray, IntArray, Phase, PodTable, rows_of

NONZERO_CPU_MILLI = 100
NONZERO_MEMORY = 200 * 1024 * 1024
"""What scoring takes for a pod that requests nothing.

Source: Kubernetes, pkg/scheduler/util/pod_resources.go.
"""


@dataclass(frozen=True, slots=True)
class Need:
    """What one pod requests: millicores and bytes."""

    cpu_milli: int
    memory: int

    @property
    def scored_cpu(self) -> int:
        """Millicores as scoring counts them."""
        return self.cpu_milli or NONZERO_CPU_MILLI

    @property
    def scored_memory(self) -> int:
        """Bytes as scoring counts them."""
        return self.memory or NONZERO_MEMORY


@dataclass(frozen=True, slots=True)
class Capacity:
    """What nodes have and what has been promised of it; int64 columns of shape (nodes,), rows as `node`.

    Its arrays are changed in place by `take` and `give_back`: whoever wants a what-if takes a `copy` first.
    """

    node: IntArray
    """Node ids; made-up nodes of a simulation have ids below -1."""
    closed: IntArray
    """0: takes pods; else the index of the reason in CLOSED."""
    cpu_milli: IntArray
    memory: IntArray
    max_pods: IntArray
    used_cpu: IntArray
    used_memory: IntArray
    scored_cpu: IntArray
    scored_memory: IntArray
    used_pods: IntArray
    """Pods that take a place, those that are being deleted included."""
    own_pods: IntArray
    """Pods of the Deployment that are not being deleted: what topology spread counts."""

    def __len__(self) -> int:
        return len(self.node)

    def columns(self) -> Iterator[IntArray]:
        """The columns, in their order."""
        return (getattr(self, name) for name in self.__slots__)

    def copy(self) -> Capacity:
        """The same, in arrays of its own."""
        return Capacity(*(column.copy() for column in self.columns()))

    def only(self, rows: BoolArray | IntArray) -> Capacity:
        """Some rows, in arrays of their own."""
        return Capacity(*(column[rows] for column in self.columns()))


CLOSED = (
    "",
    "node(s) were unschedulable",
    "node(s) had untolerated taint {node.kubernetes.io/unreachable: }",
)


def milli(cores: FloatArray | float) -> IntArray:
    """Cores as millicores, rounded up as Kubernetes' quantities are."""
    return np.ceil(np.asarray(cores, np.float64) * 1000.0 - 1e-6).astype(np.int64)


def need_of(cpu: float, memory: float) -> Need:
    """A pod's request from cores and bytes."""
    return Need(int(milli(cpu)), int(np.ceil(memory)))


def needs_of(pods: PodTable, rows: IntArray) -> dict[int, Need]:
    """What the pods in `rows` request, by row; pods that are alike share one Need."""
    known: dict[tuple[int, int], Need] = {}
    found: dict[int, Need] = {}
    cpu, memory = milli(pods.cpu_request[rows]).tolist(), np.ceil(pods.memory_request[rows]).tolist()
    for row, *request in zip(rows.tolist(), cpu, memory, strict=True):
        key = (request[0], int(request[1]))
        if key not in known:
            known[key] = Need(*key)
        found[row] = known[key]
    return found


def capacity_of(config: PlaneConfig, view: ClusterView) -> Capacity:
    """The nodes of a view that have registered, with everything that the API server knows to be on them.

    Failed pods give their place back, pods that are being deleted keep it until they are gone.
    """
    nodes, pods = view.nodes, view.pods
    seen = nodes.registered
    ids = nodes.id[seen]
    daemon_cpu, daemon_memory = _daemons(config)
    pool = nodes.pool[seen]
    closed = np.where(nodes.unschedulable[seen] | nodes.deleting[seen], 1, 0)
    closed = np.where(nodes.ready[seen], closed, 2).astype(np.int64)

    placed = np.flatnonzero((pods.node >= 0) & (pods.phase != Phase.FAILED))
    row = rows_of(ids, pods.node[placed])
    placed, row = placed[row >= 0], row[row >= 0]
    size = len(ids)
    cpu = milli(pods.cpu_request[placed])
    memory = np.ceil(pods.memory_request[placed]).astype(np.int64)
    own = row[~pods.deleting[placed]]
    return Capacity(
        node=ids,
        closed=closed,
        cpu_milli=milli(nodes.allocatable_cpu[seen]),
        memory=nodes.allocatable_memory[seen].astype(np.int64),
        max_pods=nodes.max_pods[seen],
        used_cpu=_summed(row, cpu, size) + daemon_cpu[pool],
        used_memory=_summed(row, memory, size) + daemon_memory[pool],
        scored_cpu=_summed(row, np.where(cpu == 0, NONZERO_CPU_MILLI, cpu), size) + daemon_cpu[pool],
        scored_memory=_summed(row, np.where(memory == 0, NONZERO_MEMORY, memory), size) + daemon_memory[pool],
        used_pods=np.bincount(row, minlength=size).astype(np.int64),
        own_pods=np.bincount(own, minlength=size).astype(np.int64),
    )


def empty_nodes(pool: PoolConfig, count: int, first_id: int = -2) -> Capacity:
    """So many new nodes of a pool with only its daemon sets on them; ids run downwards from `first_id`."""

    def same(value: int) -> IntArray:
        return np.full(count, value, np.int64)

    cpu, memory = int(milli(pool.daemon_set_cpu)), int(pool.daemon_set_memory)
    return Capacity(
        node=first_id - np.arange(count, dtype=np.int64),
        closed=same(0),
        cpu_milli=same(int(milli(pool.allocatable_cpu))),
        memory=same(int(pool.allocatable_memory)),
        max_pods=same(pool.max_pods),
        used_cpu=same(cpu),
        used_memory=same(memory),
        scored_cpu=same(cpu),
        scored_memory=same(memory),
        used_pods=same(0),
        own_pods=same(0),
    )


def joined(first: Capacity, second: Capacity) -> Capacity:
    """The rows of both, in arrays of their own."""
    return Capacity(*(np.concatenate(pair) for pair in zip(first.columns(), second.columns(), strict=True)))


def fits(capacity: Capacity, need: Need) -> BoolArray:
    """Which nodes can take such a pod. Shape (nodes,).

    Source: Kubernetes, pkg/scheduler/framework/plugins/noderesources/fit.go; a resource that the pod does not
    request is not looked at.
    """
    ok: BoolArray = (capacity.closed == 0) & (capacity.used_pods < capacity.max_pods)
    if need.cpu_milli:
        ok &= capacity.used_cpu + need.cpu_milli <= capacity.cpu_milli
    if need.memory:
        ok &= capacity.used_memory + need.memory <= capacity.memory
    return ok


def room(capacity: Capacity, need: Need) -> IntArray:
    """How many such pods each node could take, shape (nodes,)."""
    places = capacity.max_pods - capacity.used_pods
    if need.cpu_milli:
        places = np.minimum(places, (capacity.cpu_milli - capacity.used_cpu) // need.cpu_milli)
    if need.memory:
        places = np.minimum(places, (capacity.memory - capacity.used_memory) // need.memory)
    return np.where(capacity.closed == 0, np.maximum(places, 0), 0).astype(np.int64)


def take(capacity: Capacity, row: int, need: Need, pods: int = 1) -> None:
    """Put so many pods on a node, in place."""
    capacity.used_cpu[row] += pods * need.cpu_milli
    capacity.used_memory[row] += pods * need.memory
    capacity.scored_cpu[row] += pods * need.scored_cpu
    capacity.scored_memory[row] += pods * need.scored_memory
    capacity.used_pods[row] += pods
    capacity.own_pods[row] += pods


def reasons(capacity: Capacity, need: Need) -> Counter[str]:
    """Why each node cannot take such a pod, as the scheduler counts it: a node may have several reasons."""
    found: Counter[str] = Counter()
    for index in (1, 2):
        found[CLOSED[index]] = int(np.count_nonzero(capacity.closed == index))
    is_open = capacity.closed == 0
    found["Too many pods"] = int(np.count_nonzero(is_open & (capacity.used_pods >= capacity.max_pods)))
    if need.cpu_milli:
        short = capacity.used_cpu + need.cpu_milli > capacity.cpu_milli
        found["Insufficient cpu"] = int(np.count_nonzero(is_open & short))
    if need.memory:
        short = capacity.used_memory + need.memory > capacity.memory
        found["Insufficient memory"] = int(np.count_nonzero(is_open & short))
    return +found


def fit_error(capacity: Capacity, need: Need) -> str:
    """Why no node takes the pod, in the scheduler's words.

    Source: Kubernetes, pkg/scheduler/framework/types.go (FitError); what it adds about preemption is left
    out, since all pods have the same priority.
    """
    if not len(capacity):
        return "no nodes available to schedule pods"
    counts = sorted(f"{count} {reason}" for reason, count in reasons(capacity, need).items())
    return f"0/{len(capacity)} nodes are available: {', '.join(counts)}."


def _daemons(config: PlaneConfig) -> tuple[IntArray, IntArray]:
    cpu = milli(np.array([pool.daemon_set_cpu for pool in config.pools]))
    return cpu, np.array([int(pool.daemon_set_memory) for pool in config.pools], np.int64)


def _summed(row: IntArray, values: IntArray, size: int) -> IntArray:
    # Below 2^53 the floats of bincount are exact.
    return np.bincount(row, weights=values, minlength=size).astype(np.int64)
