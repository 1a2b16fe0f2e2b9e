"""The requests that a utilisation is measured against, per pod.

Source: Kubernetes 1.36, pkg/controller/podautoscaler/replica_calculator.go (calculateRequests) and
staging/src/k8s.io/component-helpers/resource/helpers.go (PodRequests).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from seawall.control.hpa.errors import MetricError
from seawall.control.pods import IntColumn, PodColumns, PodShape

_POD_LEVEL_RESOURCES = ("cpu", "memory")
_HUGE_PAGES = "hugepages-"


def pod_requests(pods: PodColumns, container: str, resource: str, pod_level_resources: bool) -> IntColumn:
    """Each pod's request in milli-units, int64 [n]; of one container if `container` is given.

    MetricError, naming the first pod in the list that it holds for, if a container has no request.
    """
    by_shape = [_shape_request(shape, container, resource, pod_level_resources) for shape in pods.shapes]
    wrong = np.array([isinstance(request, str) for request in by_shape], np.bool_)
    if wrong.any() and wrong[pods.shape].any():
        first = int(np.argmax(wrong[pods.shape]))
        raise MetricError(f"{by_shape[pods.shape[first]]} {pods.name[first]}")
    requests_m = np.array([0 if isinstance(r, str) else r for r in by_shape], np.int64)
    return requests_m[pods.shape] if len(pods) else np.empty(0, np.int64)


def _shape_request(shape: PodShape, container: str, resource: str, pod_level_resources: bool) -> int | str:
    """The request of a pod of this shape, or the message (short of the pod's name) that there is none."""
    if pod_level_resources and not container and _has_pod_level_requests(shape):
        request = _pod_level_requests(shape).get(resource)
        return f"missing pod-level request for {resource} in Pod" if request is None else request
    total = 0
    for one in (*shape.containers, *(c for c in shape.init_containers if c.sidecar)):
        if container and one.name != container:
            continue
        if resource not in one.requests_m:
            return f"missing request for {resource} in container {one.name} of Pod"
        total += one.requests_m[resource]
        if container:
            return total
    return f"container {container} not found in Pod" if container else total


def _supported(resource: str) -> bool:
    return resource in _POD_LEVEL_RESOURCES or resource.startswith(_HUGE_PAGES)


def _has_pod_level_requests(shape: PodShape) -> bool:
    return any(_supported(resource) for resource in shape.pod_requests_m or ())


def _pod_level_requests(shape: PodShape) -> dict[str, int]:
    """What the pod asks for in all: pod-level values over its containers' sums, plus its overhead."""
    running: Counter[str] = Counter()
    for one in shape.containers:
        running.update(one.requests_m)
    sidecars: Counter[str] = Counter()
    starting: dict[str, int] = {}
    for one in shape.init_containers:
        if one.sidecar:
            running.update(one.requests_m)
            sidecars.update(one.requests_m)
            needed = dict(sidecars)
        else:
            needed = dict(sidecars)
            for resource, amount in one.requests_m.items():
                needed[resource] = needed.get(resource, 0) + amount
        for resource, amount in needed.items():
            starting[resource] = max(starting.get(resource, amount), amount)
    requests = dict(running)
    for resource, amount in starting.items():
        requests[resource] = max(requests.get(resource, amount), amount)
    requests.update({r: m for r, m in (shape.pod_requests_m or {}).items() if _supported(r)})
    for resource, amount in (shape.overhead_m or {}).items():
        requests[resource] = requests.get(resource, 0) + amount
    return requests
