"""The kernel as the world uses it: run until a time, give commands, hear what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from seawall.fleet.reader import Fleet
from seawall.traffic.arrivals import Chunk
from seawall.twin.kernel import layout, loop
from seawall.twin.kernel.state import State

_NO_LIMIT = np.inf
_LEAST_SHARE = 0.002
"""cpu.shares of a container without a CPU request: 2 of 1024."""


class InvariantError(Exception):
    """The simulation broke a law that it must keep: its figures are worth nothing."""


class Kernel:
    """One run of the kernel. Slots are places of pods and nodes in its arrays."""

    def __init__(self, state: State, fleet: Fleet, chunks: Iterator[Chunk], first_s: Any) -> None:
        self.state = state
        self._fleet = fleet
        self._chunks = chunks
        self._free_pods = list(range(len(state["pods"]) - 1, -1, -1))
        self._free_nodes = list(range(len(state["nodes"]) - 1, -1, -1))
        heap = len(first_s) + 4096
        if len(state["heap"]) < heap:
            state.grow_heap(heap)
        loop.prepare(state.row, np.ascontiguousarray(first_s, dtype=np.float64))

    @property
    def now(self) -> float:
        """The kernel's clock, seconds."""
        return float(self.state.row["now"])

    def run(self, until: float) -> list[Any]:
        """Run until `until` or until something has happened that control must see; the events since."""
        self._call(until, layout.C_NONE, 0, 0)
        return self._events()

    def _call(self, until: float, command: int, a: int, b: int) -> None:
        state = self.state
        while True:
            why = loop.run(state.row, until, command, a, b)
            command = layout.C_NONE
            if why == layout.R_REQUESTS:
                state.grow_requests(len(state["reqs"]))
            elif why == layout.R_HEAP:
                state.grow_heap(2 * len(state["reqs"]) + len(state["users"]) + 4096)
            elif why == layout.R_ARRIVALS:
                self._next_chunk()
            else:
                return

    def _next_chunk(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            self.state.row["arrivals_done"] = 1
        else:
            self.state.set_arrivals(chunk.times_s, chunk.classes.astype(np.int64))

    def _events(self) -> list[Any]:
        row = self.state.row
        n = int(row["events"])
        events = [tuple(e) for e in self.state["events"][:n].tolist()] if n else []
        row["events"] = row["urgent"] = 0
        return events

    def command(self, command: int, a: int, b: int = 0) -> list[Any]:
        """Carry out a command at the kernel's time; the events that came of it."""
        self._call(self.now, command, a, b)
        return self._events()

    def add_node(self, pool: int, node_id: int) -> int:
        """Put a machine of a pool into the kernel. Returns its slot."""
        slot = self._free_nodes.pop()
        spec = self._fleet.pools[pool]
        row = self.state["nodes"][slot : slot + 1]
        row[:] = 0
        row["id"], row["present"], row["weight"] = node_id, 1, 1.0
        row["cores"] = max(0.01, spec.capacity_cpu - spec.spec.system_cpu)
        row["capacity"] = spec.capacity_memory
        row["pods_cap"] = spec.kubepods_memory_cap
        row["system"] = row["mem"] = row["mem_peak"] = spec.spec.system_memory
        row["relief"] = spec.capacity_memory - spec.spec.eviction_hard
        row["stall_s"] = spec.spec.when_memory_runs_out.stall
        return slot

    def remove_node(self, slot: int) -> None:
        """A machine is gone; its pods have been removed before."""
        self.state["nodes"]["present"][slot] = 0
        self._free_nodes.append(slot)

    def place_pod(self, pod_id: int, node_slot: int) -> int:
        """Give a pod its place on a node. Returns its slot."""
        if not self._free_pods:
            raise InvariantError("more pods at once than the run was made for")
        slot = self._free_pods.pop()
        state, deployment = self.state, self._fleet.deployment
        row = state["pods"][slot : slot + 1]
        generation = int(row["gen"][0])
        row[:] = 0
        for name in ("head", "tail", "endpoint", "overflow_bin", "at_limit_bin", "slot_head", "slot_tail"):
            row[name] = -1
        row["gen"], row["id"], row["node"], row["weight"] = generation + 1, pod_id, node_slot, 1.0
        row["next_cpu"], row["last"] = np.inf, self.now
        limit = deployment.cpu_limit
        row["quota"] = _NO_LIMIT if limit is None else limit * self._fleet.file.service.kernel.cfs_period
        row["share"] = max(deployment.cpu_request, _LEAST_SHARE)
        memory = deployment.memory_limit
        row["limit"] = _NO_LIMIT if memory is None else memory
        row["oom_adj"] = oom_score_adj(self._fleet, float(state["nodes"]["capacity"][node_slot]))
        count = int(state["nodes"]["pods"][node_slot])
        state["node_pods"]["x"][node_slot * len(state["pods"]) + count] = slot
        state["nodes"]["pods"][node_slot] = count + 1
        return slot

    def start(self, slot: int, *, warm: bool) -> list[Any]:
        """Start the container of a placed pod."""
        return self.command(layout.C_START, slot, int(warm))

    def drain(self, slot: int) -> list[Any]:
        """Tell a pod's server to finish what it has and end."""
        return self.command(layout.C_DRAIN, slot)

    def remove_pod(self, slot: int) -> list[Any]:
        """End a pod at once and free its place."""
        events = self.command(layout.C_REMOVE, slot)
        state = self.state
        node = int(state["pods"]["node"][slot])
        count = int(state["nodes"]["pods"][node])
        first = node * len(state["pods"])
        row = state["node_pods"]["x"]
        kept = [x for x in row[first : first + count] if x != slot]
        row[first : first + len(kept)] = kept
        state["nodes"]["pods"][node] = len(kept)
        self._free_pods.append(slot)
        return events

    def set_endpoints(self, slots: list[int]) -> list[Any]:
        """The balancer knows exactly these pods from now on."""
        self.state["endpoints"]["x"][: len(slots)] = slots
        return self.command(layout.C_ENDPOINTS, len(slots))

    def check(self) -> None:
        """Raise InvariantError if an invariant was broken anywhere in the run."""
        broken = self.state["broken"]["x"]
        if broken.any():
            names = ("S2 causality", "S1 conservation", "S5 idle worker beside a waiting request",
                     "S6 workers", "S6 accept queue", "S6 memory", "S6 CPU", "S5 proxy queue")  # fmt: skip
            said = ", ".join(f"{n} ({int(x)} times)" for n, x in zip(names, broken, strict=True) if x)
            raise InvariantError(f"broken: {said}")


def oom_score_adj(fleet: Fleet, capacity_bytes: float) -> float:
    """The kubelet's oom_score_adj of the pods. Source: Kubernetes, pkg/kubelet/qos/policy.go.

    Guaranteed -997, BestEffort 1000, else 1000 - 1000 * memory request / capacity within [3, 999].
    """
    d = fleet.deployment
    if d.cpu_request == 0.0 and d.memory_request == 0.0 and d.cpu_limit is None and d.memory_limit is None:
        return 1000.0
    guaranteed = d.cpu_limit == d.cpu_request and d.memory_limit == d.memory_request
    if guaranteed and d.cpu_limit and d.memory_limit:
        return -997.0
    return float(min(999, max(3, 1000 - int(1000 * d.memory_request / capacity_bytes))))
