"""What a node's kubelet does with pods: pull, start, report, restart with back-off, end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seawall.control.view import Phase
from seawall.fleet.units import MIB
from seawall.traffic.draws import Stream
from seawall.twin.kernel import layout
from seawall.twin.objects import Node, Pod

if TYPE_CHECKING:
    from seawall.twin.world import World

KILLS_TOLD = 3
"""The kernel reports so many kills of a pod's processes (serving.oom_kill)."""
RELIST_SECONDS = 1.0
"""The kubelet looks for dead containers once a second (PLEG relist)."""
BACK_OFF_SECONDS, MOST_BACK_OFF_SECONDS = 10.0, 300.0
"""CrashLoopBackOff: 10 s doubling to 300 s, anew after 600 s of running (Kubernetes, kubelet.go)."""
BACK_OFF_RESET_SECONDS = 2.0 * MOST_BACK_OFF_SECONDS


class Kubelet:
    """All kubelets of the world; each deals with its own node's pods."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.restarts = 0

    # ------------------------------------------------------------------------------------ coming and going

    def accept(self, pod: Pod, node: Node, *, warm: bool) -> None:
        """A pod has been bound to the node: pull its image if need be, and start it."""
        world, now = self.world, self.world.now
        pod.node = node.id
        pod.bound_s = pod.started_s = pod.ready_transition_s = now
        if warm:
            self._start_warm(pod, node)
            return
        world.chronicle.tell_pod("pod-scheduled", pod, f"to {world.chronicle.node_name(node)}")
        platform = world.fleet.file.platform
        pulled = now
        if not node.has_image:
            pull = world.draw(platform.image_pull, Stream.NODES, node.id, 2 + pod.id)
            # Pulls of one node come one after another (serializeImagePulls); later ones find the image there.
            pulled = max(now, node.pulls_until_s) if node.pulls_until_s > now else now + pull
            node.pulls_until_s = pulled
        begin = pulled + world.draw(platform.container_start, Stream.PODS, pod.id, 0)
        world.agenda.at(pulled, lambda t: setattr(node, "has_image", True))
        world.agenda.at(begin, lambda t: self._start(pod))

    def _start_warm(self, pod: Pod, node: Node) -> None:
        """A pod that was there before the run: it has been ready for long."""
        pod.created_s = pod.bound_s = pod.started_s = pod.ready_transition_s = (
            pod.container_started_s
        ) = -3600.0
        pod.last_start_s = -3600.0
        # It has used CPU before; metrics-server passes over containers that have used none.
        pod.used_before_s = -1.0
        pod.phase, pod.ready = Phase.RUNNING, True
        pod.slot = self.world.kernel.place_pod(pod.id, node.slot)
        self.world.hear(self.world.kernel.start(pod.slot, warm=True))

    def _start(self, pod: Pod) -> None:
        """Start (or start again) the container of a pod, unless pod or node are gone or stand still."""
        world = self.world
        node = world.objects.nodes.get(pod.node)
        if pod.id not in world.objects.pods or pod.deleting or node is None:
            return
        if not node.answers(world.now):
            world.agenda.at(world.now + RELIST_SECONDS, lambda t: self._start(pod))
            return
        if pod.slot < 0:
            pod.slot = world.kernel.place_pod(pod.id, node.slot)
        pod.used_before_s = float(world.kernel.state["pods"]["used"][pod.slot])
        pod.phase = Phase.RUNNING
        pod.container_started_s = pod.last_start_s = world.now
        world.hear(world.kernel.start(pod.slot, warm=False))

    def delete(self, pod: Pod, reason: str) -> None:
        """Deletion has been asked for: drain, and remove after the grace period at the latest."""
        world = self.world
        if pod.node < 0 or pod.slot < 0:
            self.remove(pod, reason)
            return
        pod.deleting = True
        node = world.objects.nodes.get(pod.node)
        if node is not None and not node.answers(world.now):
            return
        self._terminate(pod, reason)

    def _terminate(self, pod: Pod, reason: str) -> None:
        world = self.world
        pod.draining_since_s = world.now
        world.hear(world.kernel.drain(pod.slot))
        grace = world.fleet.deployment.termination_grace_s
        world.agenda.at(world.now + grace, lambda t: self.remove(pod, reason))
        if int(world.kernel.state["pods"]["state"][pod.slot]) != layout.DRAINING:
            world.agenda.at(world.now, lambda t: self.remove(pod, reason))

    def remove(self, pod: Pod, reason: str) -> None:
        """The pod is gone: its processes, its place, its object."""
        world = self.world
        if world.objects.pods.pop(pod.id, None) is None:
            return
        if pod.slot >= 0:
            world.hear(world.kernel.remove_pod(pod.slot))
            pod.slot = -1
        world.chronicle.tell_pod("pod-deleted", pod, reason)

    # ------------------------------------------------------------------------------ what the kernel reports

    def hear(self, events: list[Any]) -> bool:
        """Take in the kernel's events. Returns whether an object that controllers watch has changed."""
        changed = False
        for t, kind, pod_slot, node_slot, value in events:
            pod = self.world.by_slot(pod_slot) if pod_slot >= 0 else None
            self.world.now = max(self.world.now, t) if self.world.now >= 0.0 else self.world.now
            if kind in (layout.E_STALL, layout.E_STALL_END):
                node = self.world.node_by_slot(node_slot)
                if node is not None:
                    changed = self._node_event(kind, node, value) or changed
            elif kind in (layout.E_NO_SERVER, layout.E_QUEUE_TIMEOUT) or pod is not None:
                changed = self._pod_event(kind, pod, value) or changed
        return changed

    def _node_event(self, kind: int, node: Node, value: float) -> bool:
        world, t = self.world, self.world.now
        if kind == layout.E_STALL:
            node.silent_since_s = t
            stall = world.fleet.pools[node.pool].spec.when_memory_runs_out.stall
            world.chronicle.tell_node(
                "node-stall",
                node,
                f"its memory has run out ({value / MIB:.0f} MiB wanted, "
                f"{world.fleet.pools[node.pool].capacity_memory / MIB:.0f} MiB there): its processes and its "
                f"kubelet stand still for {stall:g} s",
            )
            return False
        node.silent_since_s = float("inf")
        node.lease_phase_s = t
        for pod in world.objects.on_node(node.id):
            if pod.deleting:
                self._terminate(pod, "deleted while its node stood still") if pod.slot >= 0 else None
            elif pod.slot >= 0:
                world.set_pod_ready(
                    pod, bool(world.kernel.state["pods"]["ready"][pod.slot]), "its kubelet answers again"
                )
        return True

    def _pod_event(self, kind: int, pod: Pod | None, value: float) -> bool:
        world = self.world
        tell = world.chronicle.tell
        if pod is None:
            if kind == layout.E_NO_SERVER:
                tell("no-server", "balancer", "no ready pod: the proxy answers 503")
            else:
                tell("queue-timeout", "balancer", f"{value:.0f} requests wait in the proxy: it answers 503")
            return False
        if kind in (layout.E_READY, layout.E_UNREADY):
            if pod.deleting:
                return False
            word = "readiness probe " + ("succeeded" if kind == layout.E_READY else "failed")
            world.set_pod_ready(pod, kind == layout.E_READY, word)
            return True
        if kind == layout.E_DEAD:
            self._died(pod)
            return False
        if kind == layout.E_DRAINED:
            # Until the balancer knows better it still sends here, and is refused.
            until = max(world.now, pod.draining_since_s + 1.5 * world.fleet.file.platform.endpoints_delay)
            world.agenda.at(until, lambda t: self.remove(pod, "has finished its requests"))
            return False
        self._tell_pod_event(kind, pod, value)
        return False

    def _tell_pod_event(self, kind: int, pod: Pod, value: float) -> None:
        tell = self.world.chronicle.tell_pod
        mib = f"{value / MIB:.0f} MiB"
        if kind == layout.E_OOM_PROCESS:
            pod.kills_told += 1
            more = "; its further kills are counted, not told" if pod.kills_told == KILLS_TOLD else ""
            said = f"at {mib} the kernel killed its largest process{more}"
            tell("oom-kill", pod, said, {"memory_mib": value / MIB})
        elif kind == layout.E_OOM_CONTAINER:
            tell("oom-kill", pod, f"at {mib} the kernel killed the container", {"memory_mib": value / MIB})
        elif kind == layout.E_LISTENING:
            tell("pod-listening", pod, "")
        elif kind == layout.E_OVERFLOW:
            tell("accept-queue-overflow", pod, f"{value:.0f} connections wait: the kernel drops further ones")
        elif kind == layout.E_AT_LIMIT:
            tell("workers-at-limit", pod, f"all {value:.0f} workers are busy, and no more are allowed")

    def _died(self, pod: Pod) -> None:
        """A container is dead: noticed at the next relist, started again at once or after the back-off."""
        world = self.world
        seen = world.now + world.draw_unit(Stream.PODS, pod.id, 100 + pod.restarts) * RELIST_SECONDS
        if world.now - pod.last_start_s > BACK_OFF_RESET_SECONDS:
            pod.restarts = 0
        wait = 0.0
        if pod.restarts > 0:
            wait = min(MOST_BACK_OFF_SECONDS, BACK_OFF_SECONDS * 2.0 ** (pod.restarts - 1))
        pod.restarts += 1
        self.restarts += 1

        def notice(t: float) -> None:
            if pod.id not in world.objects.pods:
                return
            if pod.deleting:
                self.remove(pod, "its container has ended")
                return
            world.set_pod_ready(pod, False, "its container is dead")
            if wait > 0.0:
                world.chronicle.tell_pod(
                    "crash-loop-back-off", pod, f"waits {wait:g} s before its next start"
                )

        def again(t: float) -> None:
            if pod.id in world.objects.pods and not pod.deleting:
                world.chronicle.tell_pod("container-restart", pod, f"start {pod.restarts + 1}")
                self._start(pod)

        pod.container_started_s = float("nan")
        world.agenda.at(seen, notice)
        world.agenda.at(seen + wait, again)
