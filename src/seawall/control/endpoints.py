"""The endpoints of the Service: which pods the balancer knows, `endpointsDelay` after the API server does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seawall.control.decisions import Decision, SetEndpoints
from seawall.control.pacing import EPSILON_S
from seawall.control.view import ClusterView


@dataclass(frozen=True, slots=True)
class EndpointsState:
    """What has been published, and what is on its way: (when it arrives, pods), in order of time."""

    published: tuple[int, ...] = ()
    coming: tuple[tuple[float, tuple[int, ...]], ...] = ()

    @property
    def due(self) -> float:
        """When the next set arrives, infinity where none is under way."""
        return self.coming[0][0] if self.coming else math.inf

    @property
    def latest(self) -> tuple[int, ...]:
        """The set that was last seen at the API server."""
        return self.coming[-1][1] if self.coming else self.published


def watch(
    state: EndpointsState, view: ClusterView, delay: float, changed: bool
) -> tuple[EndpointsState, list[Decision]]:
    """Take note of a change, publish what has arrived.

    In the set: pods that are Ready and not being deleted. Each change arrives `delay` seconds after it was
    made, whatever happens meanwhile. Source: Kubernetes, EndpointSlice controller (staging/src/k8s.io/
    endpointslice).
    """
    now, coming, published = view.now, state.coming, state.published
    if changed:
        pods = view.pods
        ready = tuple(pods.id[np.flatnonzero(pods.ready & pods.active & (pods.node >= 0))].tolist())
        if ready != state.latest:
            coming = (*coming, (now + delay, ready))
    arrived = published
    while coming and coming[0][0] <= now + EPSILON_S:
        arrived, coming = coming[0][1], coming[1:]
    if coming is state.coming and arrived == published:
        return state, []
    decisions: list[Decision] = [SetEndpoints(arrived)] if arrived != published else []
    return EndpointsState(arrived, coming), decisions
