"""The twin: control's decisions carried out by simulated kubelets and a simulated cloud, around the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seawall.control import plane
from seawall.control.config import Phases, plane_config
from seawall.control.decisions import (
    BindPod,
    CordonNode,
    CreatePods,
    Decision,
    DeletePod,
    Note,
    RemoveNode,
    RequestNodes,
    SetEndpoints,
    SetNodeReady,
    SetReplicas,
    UncordonNode,
    UnschedulablePod,
)
from seawall.fleet.distribution import Distribution
from seawall.fleet.reader import Fleet
from seawall.traffic.draws import Stream, stream_key, uniform_at
from seawall.traffic.workload import Workload, workload
from seawall.twin.agenda import Agenda
from seawall.twin.chronicle import Chronicle
from seawall.twin.driver import Kernel
from seawall.twin.kubelet import Kubelet
from seawall.twin.objects import Node, Objects, Pod
from seawall.twin.setup import make_state

Progress = Callable[[float], None]
LONG_AGO = -3600.0
"""When what is there at the start came into being, seconds."""
_SPARE_PLACES = 32
_EPSILON_S = 1e-9


class World:
    """One run of one fleet. `run` carries it through; the chronicle and the kernel's state then hold the record."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet, self.seed, self.now = fleet, seed, 0.0
        self.work: Workload = workload(fleet, seed)
        most = self._most_pods()
        nodes = sum(max(pool.spec.max, pool.initial) for pool in fleet.pools)
        state = make_state(fleet, self.work, seed, pods=4 * most + _SPARE_PLACES, nodes=2 * nodes + 2)
        self.kernel = Kernel(state, fleet, self.work.chunks(), self.work.first_s)
        self.objects = Objects(
            fleet.pools, fleet.deployment.pod_cpu_request, fleet.deployment.pod_memory_request
        )
        self.agenda = Agenda()
        self.chronicle = Chronicle(fleet, self.objects, lambda: self.now)
        self.kubelet = Kubelet(self)
        self.config = plane_config(fleet, self._phases())

    def _most_pods(self) -> int:
        replicas = self.fleet.deployment.replicas
        return max(replicas, self.fleet.hpa.max_replicas if self.fleet.hpa else 0, 1)

    @property
    def _lead_s(self) -> float:
        """How long control has looked on before the run begins: some scrapes, so that there are metrics."""
        return 4.0 * self.fleet.file.platform.metrics_server.resolution

    def _phases(self) -> Phases:
        # There is no load before the run begins: whoever scales by load begins with the run.
        platform = self.fleet.file.platform

        def phase(n: int, period: float) -> float:
            return period * uniform_at(stream_key(self.seed, Stream.CONTROL), 0, n)

        return Phases(
            hpa_s=self._lead_s + phase(0, platform.hpa.sync_period),
            metrics_s=phase(1, platform.metrics_server.resolution),
            autoscaler_s=self._lead_s + phase(2, platform.cluster_autoscaler.scan_interval),
            node_monitor_s=phase(3, platform.node_lifecycle.node_monitor_period),
            seed=self.seed,
        )

    def draw(self, distribution: Distribution, stream: Stream, entity: int, n: int) -> float:
        """A value of a distribution for a pod or a node."""
        return distribution.quantile(uniform_at(stream_key(self.seed, stream), entity, n))

    def draw_unit(self, stream: Stream, entity: int, n: int) -> float:
        """A draw between 0 and 1 for a pod or a node."""
        return uniform_at(stream_key(self.seed, stream), entity, n)

    # ------------------------------------------------------------------------------------------- the run

    def run(self, progress: Progress | None = None) -> None:
        """Carry the run through. `progress` is told the share that is done."""
        lead = self._begin()
        while min(self.state.due, self.agenda.due) < -_EPSILON_S:
            self._settle(max(lead, min(self.state.due, self.agenda.due)))
        self._settle(0.0)
        self.chronicle.begin_wave(self.work.wave)
        # To the end of the last bin, so that it has its states too.
        state = self.kernel.state
        end = len(state["bins"]) * float(state["params"]["bin_s"][0])
        while self.kernel.now < end:
            events = self.kernel.run(min(self.state.due, self.agenda.due, end))
            self.now = self.kernel.now
            changed = self.kubelet.hear(events)
            self._settle(self.kernel.now, changed)
            if progress is not None:
                progress(self.kernel.now / end)
        self.kernel.check()

    def _begin(self) -> float:
        """The fleet as it has been for long: initial nodes and pods, seen by control since some scrapes ago."""
        lead = -self._lead_s
        self.now = lead
        for index, pool in enumerate(self.fleet.pools):
            for _ in range(pool.initial):
                node = self.objects.add_node(index, LONG_AGO)
                self.register(node, LONG_AGO)
                node.has_image = True
        replicas = self.fleet.deployment.replicas
        hpa = self.fleet.hpa
        if hpa is not None:
            replicas = min(max(replicas, hpa.min_replicas), hpa.max_replicas)
        for _ in range(replicas):
            self.objects.add_pod(LONG_AGO)
        self.state = plane.initial(self.config, replicas, lead)
        return lead

    def _settle(self, now: float, changed: bool = False) -> None:
        """Do what is due, and let control decide until it has nothing more to say."""
        self.now = now
        changed = self.agenda.run_until(now + _EPSILON_S) or changed
        for _ in range(1000):
            if not changed and plane.next_due(self.state) > now + _EPSILON_S:
                break
            view = self.objects.view(now, self.kernel.state)
            self.state, decisions = plane.step(self.config, self.state, view, changed)
            changed = False
            for decision in decisions:
                changed = self.apply(decision) or changed
        self.chronicle.note(now, self.state.replicas)

    # ------------------------------------------------------------------------------------- the decisions

    def apply(self, decision: Decision) -> bool:
        """Carry out a decision. Returns whether an object that controllers watch has changed."""
        match decision:
            case BindPod(pod, node):
                self.kubelet.accept(self.objects.pods[pod], self.objects.nodes[node], warm=self.now < 0.0)
                return True
            case SetEndpoints(pods):
                slots = [self.objects.pods[p].slot for p in pods if p in self.objects.pods]
                self.hear(self.kernel.set_endpoints([slot for slot in slots if slot >= 0]))
                return False
            case CreatePods(count, reason):
                for _ in range(count):
                    self.chronicle.tell_pod("pod-created", self.objects.add_pod(self.now), reason)
                return True
            case DeletePod(pod, reason):
                self.kubelet.delete(self.objects.pods[pod], reason)
                return True
            case UnschedulablePod(pod, reason):
                self.chronicle.tell_pod("pod-unschedulable", self.objects.pods[pod], reason)
                return False
            case SetReplicas(replicas, reason, message):
                self.chronicle.tell(
                    "hpa-scale", "hpa", message or reason, {"replicas": replicas, "reason": reason}
                )
                return False
            case Note(kind, thing, message):
                self.chronicle.tell("autoscaler", thing, message, {"reason": kind})
                return False
            case _:
                return self._apply_to_nodes(decision)

    def _apply_to_nodes(self, decision: Decision) -> bool:
        match decision:
            case RequestNodes(pool, count, reason):
                for _ in range(count):
                    self._request_node(pool, reason)
            case RemoveNode(node, reason):
                self._remove_node(self.objects.nodes[node], reason)
            case CordonNode(node, _):
                self.objects.nodes[node].unschedulable = True
            case UncordonNode(node, _):
                self.objects.nodes[node].unschedulable = False
            case SetNodeReady(node, ready, reason):
                self._set_node_ready(self.objects.nodes[node], ready, reason)
            case _:
                raise TypeError(f"the twin cannot carry out {decision!r}")
        return True

    def _request_node(self, pool: int, reason: str) -> None:
        node = self.objects.add_node(pool, self.now)
        boot = self.draw(self.fleet.pools[pool].spec.boot_time, Stream.NODES, node.id, 0)
        self.chronicle.tell_node("node-requested", node, reason, {"boot_seconds": round(boot, 3)})
        self.agenda.at(self.now + boot, lambda t: self._boot(node, t))

    def _boot(self, node: Node, t: float) -> None:
        if node.id in self.objects.nodes:
            self.register(node, t)
            self.chronicle.tell_node("node-added", node, "")

    def register(self, node: Node, t: float) -> None:
        """A machine is up: its kubelet registers it and reports it Ready."""
        node.registered = node.ready = True
        node.ready_transition_s = t
        phase = uniform_at(stream_key(self.seed, Stream.NODES), node.id, 1)
        node.lease_phase_s = t + 10.0 * phase if t <= LONG_AGO else t
        node.slot = self.kernel.add_node(node.pool, node.id)

    def _remove_node(self, node: Node, reason: str) -> None:
        for pod in self.objects.on_node(node.id):
            self.kubelet.remove(pod, "its node is gone")
        if node.slot >= 0:
            self.kernel.remove_node(node.slot)
        del self.objects.nodes[node.id]
        self.chronicle.tell_node("node-removed", node, reason)

    def _set_node_ready(self, node: Node, ready: bool, reason: str) -> None:
        node.ready = ready
        node.ready_transition_s = self.now
        self.chronicle.tell_node("node-ready" if ready else "node-not-ready", node, reason)
        if not ready:
            for pod in self.objects.on_node(node.id):
                self.set_pod_ready(pod, False, "its node is NotReady")

    def set_pod_ready(self, pod: Pod, ready: bool, reason: str) -> None:
        """Write a pod's Ready condition, if it changes."""
        if pod.ready != ready:
            pod.ready = ready
            pod.ready_transition_s = self.now
            self.chronicle.tell_pod("pod-ready" if ready else "pod-unready", pod, reason)

    def hear(self, events: list[Any]) -> None:
        """Events that came of a command: control sees what follows from them at the next settling."""
        if self.kubelet.hear(events):
            self.agenda.at(self.now, lambda t: None)

    def by_slot(self, slot: int) -> Pod | None:
        """The pod in a place of the kernel."""
        pod = self.objects.pods.get(int(self.kernel.state["pods"]["id"][slot]))
        return pod if pod is not None and pod.slot == slot else None

    def node_by_slot(self, slot: int) -> Node | None:
        """The node in a place of the kernel."""
        return self.objects.nodes.get(int(self.kernel.state["nodes"]["id"][slot]))
