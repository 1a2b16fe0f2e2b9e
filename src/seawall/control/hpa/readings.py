"""From what a metrics API serves to a `MetricReading`, by the rules of the controller's metrics client.

Source: Kubernetes 1.36, pkg/controller/podautoscaler/metrics/client.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seawall.control.hpa.observation import MetricReading, PodSamples

RESOURCE_API, CUSTOM_API, EXTERNAL_API = "resource", "custom", "external"


@dataclass(frozen=True, slots=True)
class PodUsage:
    """One pod as metrics-server serves it.

    `row`: its row in PodColumns, -1 if it is not listed there; `usage_m`: container -> resource ->
    milli-units; `timestamp` and `window` in seconds.
    """

    name: str
    row: int
    timestamp: float
    window: float
    usage_m: Mapping[str, Mapping[str, int]]


def unavailable(api: str, message: str) -> MetricReading:
    """What the controller makes of an API that answered with an error."""
    return MetricReading(error=f"unable to fetch metrics from {api} metrics API: {message}")


def resource_reading(
    pods: Sequence[PodUsage], resource: str, container: str = "", namespace: str = "default"
) -> MetricReading:
    """A resource's use: the sum over each pod's containers, or the one container that is asked for.

    A pod of which some container lacks the resource has no sample; if the container that is asked for is
    missing from any pod, the whole reading fails.
    """
    found: list[tuple[PodUsage, int]] = []
    for pod in pods:
        if container and container not in pod.usage_m:
            where = f"{namespace}/{pod.name}"
            return MetricReading(
                error="failed to get container metrics: "
                f"container {container} not present in metrics for pod {where}"
            )
        uses = [pod.usage_m[container]] if container else list(pod.usage_m.values())
        if uses and all(resource in use for use in uses):
            found.append((pod, sum(use[resource] for use in uses)))
    return MetricReading(
        samples=PodSamples(
            np.array([pod.row for pod, _ in found], np.int64),
            np.array([value_m for _, value_m in found], np.int64),
            np.array([pod.timestamp for pod, _ in found], np.float64),
            np.array([pod.window for pod, _ in found], np.float64),
        )
    )
