"""What a controller sees of pods, as columns: phase, readiness, age, requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.quantity import milli_value

IntColumn = NDArray[np.int64]
FloatColumn = NDArray[np.float64]
BoolColumn = NDArray[np.bool_]


class Phase(IntEnum):
    """`status.phase`; UNKNOWN also stands for a pod whose phase is not set yet."""

    PENDING = 0
    RUNNING = 1
    SUCCEEDED = 2
    FAILED = 3
    UNKNOWN = 4


class Ready(IntEnum):
    """The status of a pod's Ready condition; ABSENT: the pod has no such condition."""

    ABSENT = -1
    FALSE = 0
    TRUE = 1
    UNKNOWN = 2


@dataclass(frozen=True, slots=True)
class ContainerRequests:
    """A container's name and its requests, resource -> milli-units (millicores, thousandths of a byte)."""

    name: str
    requests_m: Mapping[str, int]
    sidecar: bool = False


@dataclass(frozen=True, slots=True)
class PodShape:
    """The part of a pod that all pods of one template share: who asks for how much.

    `init_containers` with `sidecar` are those with `restartPolicy: Always`. `pod_requests_m` is
    `spec.resources.requests` (pod-level resources), None where it is not written.
    """

    containers: tuple[ContainerRequests, ...] = ()
    init_containers: tuple[ContainerRequests, ...] = ()
    pod_requests_m: Mapping[str, int] | None = None
    overhead_m: Mapping[str, int] | None = None

    @staticmethod
    def from_pod_spec(spec: Mapping[str, Any]) -> PodShape:
        """From `spec.template.spec` of a manifest; ValueError for a quantity that is none."""
        pod_level = _quantities(spec, "resources", "requests")
        return PodShape(
            tuple(_container(c) for c in spec.get("containers") or ()),
            tuple(_container(c) for c in spec.get("initContainers") or ()),
            pod_level or None,
            _quantities(spec, "overhead") or None,
        )


def _container(spec: Mapping[str, Any]) -> ContainerRequests:
    # The API server takes a limit for the request where no request is written.
    requests = _quantities(spec, "resources", "limits") | _quantities(spec, "resources", "requests")
    return ContainerRequests(str(spec.get("name", "")), requests, spec.get("restartPolicy") == "Always")


def _quantities(spec: Mapping[str, Any], *path: str) -> dict[str, int]:
    """Resource -> milli-units at `path`; nothing where that is not a mapping."""
    found: Any = spec
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {name: milli_value(value) for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class PodColumns:
    """n pods, one array element each; times are seconds on the caller's clock.

    `name` is read by index (messages name pods). `phase` (Phase) and `ready` (Ready) int8 [n]; `deleting`
    bool [n] (has a deletion timestamp); `started_at` and `ready_transition_at` float64 [n], NaN where the
    pod has none; `shape` int32 [n], an index into `shapes`; `node` int32 [n], -1 while unbound.
    """

    name: Sequence[str]
    phase: NDArray[np.int8]
    ready: NDArray[np.int8]
    deleting: BoolColumn
    started_at: FloatColumn
    ready_transition_at: FloatColumn
    shape: NDArray[np.int32]
    shapes: tuple[PodShape, ...]
    node: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.name)

    def rows(self) -> dict[str, int]:
        """Pod name -> row."""
        return {name: row for row, name in enumerate(self.name)}

    def ready_running(self) -> int:
        """How many pods are Running and Ready; those that are being deleted count too."""
        return int(np.count_nonzero((self.phase == Phase.RUNNING) & (self.ready == Ready.TRUE)))

    @staticmethod
    def of(pods: Sequence[Mapping[str, Any]], now: float = 0.0) -> PodColumns:
        """From a list of mappings, of whose keys only `name` is needed.

        `name`, `phase`, `ready` ("True", "False", "Unknown" or None), `deleting`, `started_s` and
        `ready_transition_s` (ages in seconds at `now`, or None), `containers` [{`name`, `requests_m`}],
        `init_containers` [{..., `sidecar`}], `pod_requests_m`, `overhead_m`, `node`.
        """
        shapes: dict[str, int] = {}
        found: list[PodShape] = []
        index = np.empty(len(pods), np.int32)
        for row, pod in enumerate(pods):
            shape = _shape_of(pod)
            key = repr(shape)
            if key not in shapes:
                shapes[key] = len(found)
                found.append(shape)
            index[row] = shapes[key]
        return PodColumns(
            name=tuple(str(pod["name"]) for pod in pods),
            phase=np.array([_PHASES.get(str(pod.get("phase")), Phase.UNKNOWN) for pod in pods], np.int8),
            ready=np.array([_READY[pod.get("ready")] for pod in pods], np.int8),
            deleting=np.array([bool(pod.get("deleting")) for pod in pods], np.bool_),
            started_at=np.array([_at(now, pod.get("started_s")) for pod in pods], np.float64),
            ready_transition_at=np.array(
                [_at(now, pod.get("ready_transition_s")) for pod in pods], np.float64
            ),
            shape=index,
            shapes=tuple(found),
            node=np.array([pod.get("node", -1) for pod in pods], np.int32),
        )


_PHASES = {phase.name.capitalize(): phase for phase in Phase}
_READY = {None: Ready.ABSENT, "True": Ready.TRUE, "False": Ready.FALSE, "Unknown": Ready.UNKNOWN}


def _at(now: float, age_seconds: float | None) -> float:
    return math.nan if age_seconds is None else now - age_seconds


def _shape_of(pod: Mapping[str, Any]) -> PodShape:
    def read(containers: Sequence[Mapping[str, Any]]) -> tuple[ContainerRequests, ...]:
        return tuple(
            ContainerRequests(c["name"], dict(c.get("requests_m") or {}), bool(c.get("sidecar")))
            for c in containers
        )

    return PodShape(
        read(pod.get("containers") or ()),
        read(pod.get("init_containers") or ()),
        pod.get("pod_requests_m"),
        pod.get("overhead_m"),
    )
