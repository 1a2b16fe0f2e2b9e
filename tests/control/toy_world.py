"""A cluster in pure Python, just real enough to run the control plane over simulated time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from seawall.control import plane
from seawall.control.config import Phases, PlaneConfig, PoolConfig
from seawall.control.decisions import (
    BindPod,
    CordonNode,
    CreatePods,
    Decision,
    DeletePod,
    RemoveNode,
    RequestNodes,
    SetEndpoints,
    SetNodeReady,
    UncordonNode,
)
from seawall.control.pods import ContainerRequests, PodShape
from seawall.control.view import ClusterView, NodeTable, Phase, PodTable, node_table, pod_table
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, MetricTarget, TargetType
from seawall.fleet.model import ClusterAutoscaler, HpaController, MetricsServer, NodeLifecycle

MIB = 1024.0**2
GIB = 1024.0**3
LONG_AGO = -1e6


def cpu_hpa(minimum: int, maximum: int, target: int = 50, **other: Any) -> HpaSpec:
    """An HPA on CPU utilisation."""
    cpu = MetricSpec("Resource", "cpu", MetricTarget(TargetType.UTILIZATION, average_utilization=target))
    return HpaSpec(max_replicas=maximum, metrics=(cpu,), min_replicas=minimum, name="web", **other)


def pool(name: str = "workers", **other: Any) -> PoolConfig:
    """A pool of nodes with 2 cores and 4 GiB to give away."""
    numbers: dict[str, Any] = {
        "min": 1,
        "max": 10,
        "allocatable_cpu": 2.0,
        "allocatable_memory": 4 * GIB,
        "max_pods": 110,
        "price_per_hour": 0.1,
        "capacity_cpu": 2.0,
        "capacity_memory": 4 * GIB,
    }
    return PoolConfig(name=name, **{**numbers, **other})


def config(*pools: PoolConfig, cpu: float = 0.5, memory: float = 512 * MIB, **other: Any) -> PlaneConfig:
    """A configuration with Kubernetes' defaults and all phases 0; pods of half a core and 512 MiB."""
    requests = {"cpu": round(cpu * 1000), "memory": round(memory * 1000)}
    fields: dict[str, Any] = {
        "deployment": "web",
        "container": "web",
        "pod_shape": PodShape((ContainerRequests("web", requests),)),
        "pod_cpu_request": cpu,
        "pod_memory_request": memory,
        "pools": pools or (pool(),),
        "hpa": None,
        "hpa_flags": HpaController(),
        "autoscaler": ClusterAutoscaler(enabled=False),
        "metrics_server": MetricsServer(),
        "node_lifecycle": NodeLifecycle(),
        "node_monitor_grace_period": 50.0,
        "endpoints_delay": 1.0,
        "phases": Phases(),
    }
    return PlaneConfig(**{**fields, **other})


@dataclass
class Pod:
    """A pod as the API server and its kubelet know it."""

    id: int
    created: float
    node: int = -1
    phase: Phase = Phase.PENDING
    ready: bool = False
    ready_at: float = math.nan
    bound: float = math.nan
    started: float = math.nan
    container: float = math.nan
    deleting: bool = False
    cpu_seconds: float = 0.0


@dataclass
class Node:
    """A machine."""

    id: int
    pool: int
    created: float
    registered: bool = False
    ready: bool = False
    ready_at: float = math.nan
    lease: float = math.nan
    cordoned: bool = False
    deleting: bool = False
    alive: bool = True


@dataclass
class World:
    """Pods start `start` seconds after they are bound and are ready `ready` later; machines boot in `boot`.

    `load` gives cores asked for in all at a time, shared by the ready pods, each at most `most` cores.
    """

    config: PlaneConfig
    boot: float = 60.0
    start: float = 2.0
    ready: float = 3.0
    terminate: float = 1.0
    most: float = 1.0
    load: Callable[[float], float] = lambda now: 0.0
    now: float = 0.0
    pods: dict[int, Pod] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    endpoints: tuple[int, ...] = ()
    told: list[tuple[float, Decision]] = field(default_factory=list)
    steps: int = 0
    state: Any = None
    _queue: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0
    _ids: int = 0

    def with_nodes(self, *numbers: int) -> World:
        """With so many nodes of each pool, up and ready for a long time."""
        for index, number in enumerate(numbers):
            for _ in range(number):
                node = Node(self._next_id(), index, LONG_AGO, True, True, LONG_AGO, self.now)
                self.nodes[node.id] = node
                self._renew(node)
        return self

    def with_pods(self, number: int) -> World:
        """With so many pods, running and ready for a long time, and the plane started on them."""
        chosen = plane.scheduler.settled(self.config, self.view(), number)
        for node in chosen.tolist():
            pod = Pod(self._next_id(), LONG_AGO, node, Phase.RUNNING, True, LONG_AGO, LONG_AGO, LONG_AGO)
            pod.container, pod.cpu_seconds = LONG_AGO, 1.0
            self.pods[pod.id] = pod
        self.endpoints = tuple(self.pods)
        self.state = plane.initial(self.config, number, self.now, self.endpoints)
        return self

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, action))

    def scale(self, replicas: int) -> World:
        """Somebody sets spec.replicas."""
        self.state = replace(self.state, replicas=replicas)
        self._step(True)
        return self

    def kill(self, node: int) -> None:
        """The machine stops: nothing on it answers or renews."""
        self.nodes[node].alive = False

    def revive(self, node: int) -> None:
        """The machine goes on."""
        self.nodes[node].alive = True
        self._renew(self.nodes[node])
        self.at(self.now + 5.0, lambda: self._report(node))

    def run(self, until: float) -> World:
        """On to a time."""
        while True:
            due = min(
                self._queue[0][0] if self._queue else math.inf, max(plane.next_due(self.state), self.now)
            )
            if due > until:
                break
            self._pass(due)
            changed = False
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
                changed = True
            self._step(changed)
        self._pass(until)
        return self

    def of(self, kind: type) -> list[tuple[float, Any]]:
        """The decisions of a kind, with their times."""
        return [(when, decision) for when, decision in self.told if isinstance(decision, kind)]

    def view(self) -> ClusterView:
        """What the control plane may see now."""
        return ClusterView(self.now, self._pod_table(), self._node_table())

    # ------------------------------------------------------------------------------------------ what happens

    def _step(self, changed: bool) -> None:
        while True:
            self.state, decisions = plane.step(self.config, self.state, self.view(), changed)
            self.steps += 1
            for decision in decisions:
                self.told.append((self.now, decision))
                self._apply(decision)
            changed = False
            if plane.next_due(self.state) > self.now:
                return

    def _apply(self, decision: Decision) -> None:
        match decision:
            case CreatePods(count=count):
                for _ in range(count):
                    pod = Pod(self._next_id(), self.now)
                    self.pods[pod.id] = pod
            case DeletePod(pod=number):
                self._delete(self.pods[number])
            case BindPod(pod=number, node=node):
                pod = self.pods[number]
                assert pod.node == -1 and not pod.deleting and self.nodes[node].ready
                pod.node, pod.bound = node, self.now
                self.at(self.now + self.start, lambda: self._start(pod))
            case RequestNodes(pool=index, count=count):
                for _ in range(count):
                    node_ = Node(self._next_id(), index, self.now)
                    self.nodes[node_.id] = node_
                    self.at(self.now + self.boot, lambda node_=node_: self._boot(node_))
            case RemoveNode(node=number):
                self.nodes.pop(number)
                self.pods = {key: pod for key, pod in self.pods.items() if pod.node != number}
            case CordonNode(node=number):
                self.nodes[number].cordoned = True
            case UncordonNode(node=number):
                self.nodes[number].cordoned = False
            case SetNodeReady(node=number, ready=ready):
                self.nodes[number].ready, self.nodes[number].ready_at = ready, self.now
                for pod in self.pods.values():
                    if pod.node == number and pod.ready and not ready:
                        pod.ready, pod.ready_at = False, self.now
            case SetEndpoints(pods=pods):
                self.endpoints = pods
            case _:
                pass

    def _delete(self, pod: Pod) -> None:
        assert not pod.deleting
        pod.deleting = True
        if pod.node == -1:
            del self.pods[pod.id]
        else:
            self.at(self.now + self.terminate, lambda: self._gone(pod))

    def _gone(self, pod: Pod) -> None:
        if pod.node in self.nodes and self.nodes[pod.node].alive:
            self.pods.pop(pod.id, None)

    def _start(self, pod: Pod) -> None:
        if self._there(pod):
            pod.phase, pod.started, pod.container = Phase.RUNNING, self.now, self.now
            pod.ready, pod.ready_at = False, self.now
            self.at(self.now + self.ready, lambda: self._be_ready(pod))

    def _be_ready(self, pod: Pod) -> None:
        if self._there(pod) and not pod.deleting:
            pod.ready, pod.ready_at = True, self.now

    def _there(self, pod: Pod) -> bool:
        return pod.id in self.pods and pod.node in self.nodes and self.nodes[pod.node].alive

    def _boot(self, node: Node) -> None:
        if node.id in self.nodes and node.alive:
            node.registered = node.ready = True
            node.ready_at = self.now
            self._renew(node)

    def _renew(self, node: Node) -> None:
        if node.id in self.nodes and node.alive:
            node.lease = self.now
            self.at(self.now + 10.0, lambda: self._renew(node))

    def _report(self, node: int) -> None:
        for pod in self.pods.values():
            if pod.node == node and pod.phase == Phase.RUNNING and not pod.ready and not pod.deleting:
                pod.ready, pod.ready_at = True, self.now

    def _pass(self, until: float) -> None:
        serving = [pod for pod in self.pods.values() if pod.ready and self._there(pod)]
        if serving:
            each = min(self.most, self.load(self.now) / len(serving)) * (until - self.now)
            for pod in serving:
                pod.cpu_seconds += each
        for pod in self.pods.values():
            if pod.phase == Phase.RUNNING and self._there(pod):
                pod.cpu_seconds += 1e-6 * (until - self.now)
        self.now = until

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids - 1

    # ------------------------------------------------------------------------------------------- what is seen

    def _pod_table(self) -> PodTable:
        pods = sorted(self.pods.values(), key=lambda pod: pod.id)
        size = len(pods)
        return pod_table(
            id=[p.id for p in pods],
            node=[p.node for p in pods],
            phase=[p.phase for p in pods],
            ready=[p.ready for p in pods],
            ready_transition_s=[p.ready_at for p in pods],
            created_s=[p.created for p in pods],
            bound_s=[p.bound for p in pods],
            started_s=[p.started for p in pods],
            deleting=[p.deleting for p in pods],
            cpu_request=np.full(size, self.config.pod_cpu_request),
            memory_request=np.full(size, self.config.pod_memory_request),
            cpu_seconds=[p.cpu_seconds for p in pods],
            memory_bytes=np.full(size, 100 * MIB),
            container_started_s=[p.container for p in pods],
            readable=[self._there(p) for p in pods],
            read_s=np.full(size, self.now),
        )

    def _node_table(self) -> NodeTable:
        nodes = sorted(self.nodes.values(), key=lambda node: node.id)
        pools = [self.config.pools[n.pool] for n in nodes]
        return node_table(
            id=[n.id for n in nodes],
            pool=[n.pool for n in nodes],
            registered=[n.registered for n in nodes],
            ready=[n.ready for n in nodes],
            ready_transition_s=[n.ready_at for n in nodes],
            created_s=[n.created for n in nodes],
            lease_s=[n.lease for n in nodes],
            unschedulable=[n.cordoned for n in nodes],
            deleting=[n.deleting for n in nodes],
            allocatable_cpu=[p.allocatable_cpu for p in pools],
            allocatable_memory=[p.allocatable_memory for p in pools],
            max_pods=[p.max_pods for p in pools],
            reachable=[n.alive for n in nodes],
        )
