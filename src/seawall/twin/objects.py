"""The API server's objects in the twin: pods and machines, and what each kubelet knows of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from seawall.control.view import ClusterView, NodeTable, Phase, PodTable, node_table, pod_table
from seawall.fleet.pools import Pool
from seawall.twin.kernel.state import State

_NEVER = math.nan
LEASE_SECONDS = 10.0
"""A kubelet renews its node's lease every 10 s (nodeLeaseDurationSeconds 40, times 0.25)."""


@dataclass(slots=True)
class Pod:
    """A pod as the API server has it; `slot` is its place in the kernel, -1 where it has none."""

    id: int
    created_s: float
    node: int = -1
    phase: Phase = Phase.PENDING
    ready: bool = False
    ready_transition_s: float = _NEVER
    bound_s: float = _NEVER
    started_s: float = _NEVER
    container_started_s: float = _NEVER
    deleting: bool = False
    slot: int = -1
    used_before_s: float = 0.0
    """CPU seconds of earlier containers of this pod, which a kubelet no longer counts."""
    draining_since_s: float = _NEVER
    restarts: int = 0
    kills_told: int = 0
    last_start_s: float = _NEVER


@dataclass(slots=True)
class Node:
    """A machine, from the request for it on; `slot` is its place in the kernel, -1 before it runs."""

    id: int
    pool: int
    created_s: float
    registered: bool = False
    ready: bool = False
    ready_transition_s: float = _NEVER
    unschedulable: bool = False
    deleting: bool = False
    slot: int = -1
    has_image: bool = False
    pulls_until_s: float = 0.0
    lease_phase_s: float = 0.0
    silent_since_s: float = math.inf
    """From when on its kubelet does not answer."""

    def lease_s(self, now: float) -> float:
        """When its lease was last renewed."""
        if not self.registered:
            return _NEVER
        until = min(now, self.silent_since_s)
        return until - (until - self.lease_phase_s) % LEASE_SECONDS

    def answers(self, now: float) -> bool:
        """Whether its kubelet answers."""
        return self.registered and now < self.silent_since_s


@dataclass(slots=True)
class Objects:
    """All pods and machines, by id in ascending order."""

    pools: tuple[Pool, ...]
    cpu_request: float
    memory_request: float
    pods: dict[int, Pod] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    made_pods: int = 0
    made_nodes: int = 0

    def add_pod(self, now: float) -> Pod:
        """A new pod, Pending and unbound."""
        pod = Pod(self.made_pods, now)
        self.pods[pod.id] = pod
        self.made_pods += 1
        return pod

    def add_node(self, pool: int, now: float) -> Node:
        """A machine that has been asked for."""
        node = Node(self.made_nodes, pool, now)
        self.nodes[node.id] = node
        self.made_nodes += 1
        return node

    def on_node(self, node: int) -> list[Pod]:
        """The pods bound to a node."""
        return [pod for pod in self.pods.values() if pod.node == node]

    def view(self, now: float, state: State) -> ClusterView:
        """What the control plane may know at `now`."""
        return ClusterView(now, self._pod_table(now, state), self._node_table(now))

    def _pod_table(self, now: float, state: State) -> PodTable:
        pods, rows = list(self.pods.values()), state["pods"]
        running = [p.slot >= 0 and not math.isnan(p.container_started_s) for p in pods]
        # The kernel writes down a pod's CPU time when its rate changes; since then it has run at that rate.
        since = np.maximum(0.0, now - rows["last"]) * np.where(
            rows["throttled"] == 0, rows["rate"] * rows["jobs"], 0.0
        )
        used, memory = rows["used"] + since, rows["mem"]
        return pod_table(
            id=[p.id for p in pods],
            node=[p.node for p in pods],
            phase=[p.phase for p in pods],
            ready=[p.ready for p in pods],
            ready_transition_s=[p.ready_transition_s for p in pods],
            created_s=[p.created_s for p in pods],
            bound_s=[p.bound_s for p in pods],
            started_s=[p.started_s for p in pods],
            deleting=[p.deleting for p in pods],
            cpu_request=[self.cpu_request] * len(pods),
            memory_request=[self.memory_request] * len(pods),
            cpu_seconds=[
                used[p.slot] - p.used_before_s if on else 0.0 for p, on in zip(pods, running, strict=True)
            ],
            memory_bytes=[memory[p.slot] if on else 0.0 for p, on in zip(pods, running, strict=True)],
            container_started_s=[p.container_started_s for p in pods],
            readable=[p.node in self.nodes and self.nodes[p.node].answers(now) for p in pods],
            read_s=[now] * len(pods),
        )

    def _node_table(self, now: float) -> NodeTable:
        nodes = list(self.nodes.values())
        pools = [self.pools[n.pool] for n in nodes]
        return node_table(
            id=[n.id for n in nodes],
            pool=[n.pool for n in nodes],
            registered=[n.registered for n in nodes],
            ready=[n.ready for n in nodes],
            ready_transition_s=[n.ready_transition_s for n in nodes],
            created_s=[n.created_s for n in nodes],
            lease_s=[n.lease_s(now) for n in nodes],
            unschedulable=[n.unschedulable for n in nodes],
            deleting=[n.deleting for n in nodes],
            allocatable_cpu=[p.allocatable_cpu for p in pools],
            allocatable_memory=[p.allocatable_memory for p in pools],
            max_pods=[p.max_pods for p in pools],
            reachable=[n.answers(now) for n in nodes],
        )
