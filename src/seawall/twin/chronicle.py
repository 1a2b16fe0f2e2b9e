"""What the world writes down as it goes: events in words, and the fleet's size over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.reader import Fleet
from seawall.record.record import Event
from seawall.twin.objects import Node, Objects, Pod

_COLUMNS = (
    "pods", "pods_ready", "replicas_desired", "nodes", "nodes_ready", "nodes_stalled", "nodes_booting",
    "cpu_requested_cores", "cost_per_hour",
)  # fmt: skip
_WHOLE = _COLUMNS[:7]


class Chronicle:
    """Events in the order in which they happen, and a row for each change of the fleet's size."""

    def __init__(self, fleet: Fleet, objects: Objects, clock: Callable[[], float]) -> None:
        self._fleet, self._objects, self._clock = fleet, objects, clock
        self.events: list[Event] = []
        self._times: list[float] = []
        self._rows: list[tuple[float, ...]] = []

    def tell(self, kind: str, thing: str, message: str, data: dict[str, Any] | None = None) -> None:
        """Note an event at the world's time; what came before the run began is not told."""
        if self._clock() >= 0.0:
            self.events.append(Event(self._clock(), kind, thing, message, data or {}))

    def tell_pod(self, kind: str, pod: Pod, message: str, data: dict[str, Any] | None = None) -> None:
        """Note an event of a pod."""
        self.tell(kind, f"pod/{self._fleet.deployment.name}-{pod.id}", message, data)

    def tell_node(self, kind: str, node: Node, message: str, data: dict[str, Any] | None = None) -> None:
        """Note an event of a node."""
        self.tell(kind, f"node/{self.node_name(node)}", message, data)

    def node_name(self, node: Node) -> str:
        """How reports name a node."""
        return f"{self._fleet.pools[node.pool].name}-{node.id}"

    def begin_wave(self, wave: tuple[float, float] | None) -> None:
        """Mark the wave's window among the events."""
        if wave is not None:
            self.events.append(Event(wave[0], "wave-begins", "traffic", "the load begins to rise"))
            self.events.append(Event(wave[1], "wave-ends", "traffic", "the load has settled"))

    def note(self, now: float, replicas: int) -> None:
        """Write down the fleet's size, if it has changed."""
        pods, nodes = self._objects.pods.values(), self._objects.nodes.values()
        platform = self._fleet.file.platform
        price = sum(self._fleet.pools[n.pool].price_per_hour for n in nodes)
        row = (
            len(pods),
            sum(p.ready for p in pods),
            replicas,
            sum(n.registered for n in nodes),
            sum(n.ready for n in nodes),
            sum(n.registered and n.silent_since_s <= now for n in nodes),
            sum(not n.registered for n in nodes),
            sum(p.node >= 0 for p in pods) * self._objects.cpu_request,
            price + platform.control_plane_per_hour,
        )
        if not self._rows or row != self._rows[-1]:
            self._times.append(now)
            self._rows.append(row)

    def columns(self, ends_s: NDArray[np.floating[Any]]) -> dict[str, NDArray[Any]]:
        """The fleet's size at the end of each bin: columns of shape (bins,)."""
        at = np.searchsorted(np.array(self._times), ends_s, side="right") - 1
        table = np.array(self._rows, dtype=np.float64)[np.maximum(at, 0)]
        return {
            name: table[:, i].astype(np.int64) if name in _WHOLE else table[:, i]
            for i, name in enumerate(_COLUMNS)
        }

    def in_order(self) -> tuple[Event, ...]:
        """All events by time."""
        return tuple(sorted(self.events, key=lambda e: e.t))
