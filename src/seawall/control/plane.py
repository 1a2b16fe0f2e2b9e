"""The control plane: every loop of a cluster's controllers behind one pure step.

    state = initial(config, replicas, now)
    state, decisions = step(config, state, view, changed=True)

A world calls `step` when `next_due` has come and whenever an object that controllers watch has changed (a
pod created, bound, ready, failed, gone; a node registered, ready, gone; `changed=True`), applies the
decisions in their order, and calls again until `next_due` lies in the future. A step ends with the first
loop whose decisions change objects, so that no loop decides on a view that another has outdated.

The times at which the loops run are those of the real ones: the HPA every 15 s, metrics-server every
resolution, the cluster autoscaler every 10 s, the node monitor every 5 s, each from its phase on; the
ReplicaSet, the scheduler and the endpoints at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from seawall.control import (
    cluster_autoscaler,
    deployment,
    endpoints,
    horizontal,
    metrics,
    node_lifecycle,
    scheduler,
)
from seawall.control.cluster_autoscaler import AutoscalerState
from seawall.control.config import PlaneConfig
from seawall.control.decisions import Decision, Note, SetEndpoints, SetReplicas, UnschedulablePod
from seawall.control.deployment import DeploymentState
from seawall.control.endpoints import EndpointsState
from seawall.control.horizontal import HorizontalState
from seawall.control.metrics import MetricsState
from seawall.control.node_lifecycle import NodeLifecycleState
from seawall.control.pacing import EPSILON_S
from seawall.control.scheduler import SchedulerState
from seawall.control.view import ClusterView, MetricSample

CHANGES_NOTHING = (Note, SetEndpoints, SetReplicas, UnschedulablePod)
"""Decisions after which the objects in a view are what they were."""


@dataclass(frozen=True, slots=True)
class PlaneState:
    """The memory of all controllers. `replicas` is the Deployment's spec.replicas; `due` when to step next.

    `watched` says that a change has not been seen by all loops yet. Without an HPA or an autoscaler the
    state is None.
    """

    replicas: int
    due: float
    watched: bool
    deployment: DeploymentState
    scheduler: SchedulerState
    endpoints: EndpointsState
    metrics: MetricsState
    nodes: NodeLifecycleState
    horizontal: HorizontalState | None
    autoscaler: AutoscalerState | None

    @property
    def served(self) -> MetricSample:
        """What the metrics API would answer now."""
        return self.metrics.served


def initial(
    config: PlaneConfig, replicas: int, now: float, endpoints_now: tuple[int, ...] = ()
) -> PlaneState:
    """A control plane that starts at `now` (seconds) on a Deployment of so many replicas.

    `endpoints_now` are the pods (ids, ascending) that the balancer knows already. A world that starts in
    the middle of a service's life begins two resolutions earlier, so that metrics-server has two points of
    each pod.
    """
    phases, scaling = config.phases, config.hpa is not None
    return PlaneState(
        replicas=replicas,
        due=now,
        watched=True,
        deployment=deployment.initial(now),
        scheduler=scheduler.initial(now),
        endpoints=EndpointsState(endpoints_now),
        metrics=metrics.initial(now + phases.metrics_s),
        nodes=node_lifecycle.initial(now + phases.node_monitor_s),
        horizontal=HorizontalState(now + phases.hpa_s) if scaling else None,
        autoscaler=AutoscalerState(now + phases.autoscaler_s) if config.autoscaler.enabled else None,
    )


def next_due(state: PlaneState) -> float:
    """When the world must call `step` again, seconds, if nothing changes before."""
    return state.due


def step(
    config: PlaneConfig, state: PlaneState, view: ClusterView, changed: bool = False
) -> tuple[PlaneState, list[Decision]]:
    """Run what is due at `view.now`, and what watches, if something has `changed`."""
    if not changed and view.now < state.due - EPSILON_S:
        return state, []
    if changed and not state.watched:
        state = replace(state, watched=True)
    decisions: list[Decision] = []
    for loop in _LOOPS:
        state, told = loop(config, state, view)
        decisions += told
        if any(not isinstance(decision, CHANGES_NOTHING) for decision in told):
            return replace(state, watched=True, due=view.now), decisions
    return replace(state, watched=False, due=_next(state)), decisions


def _next(state: PlaneState) -> float:
    return min(
        state.deployment.due,
        state.scheduler.due,
        state.endpoints.due,
        state.metrics.next,
        state.nodes.next,
        state.horizontal.due if state.horizontal else math.inf,
        state.autoscaler.next if state.autoscaler else math.inf,
    )


_Told = tuple[PlaneState, list[Decision]]


def _is_due(due: float, view: ClusterView) -> bool:
    return due <= view.now + EPSILON_S


def _nodes(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if not _is_due(state.nodes.next, view):
        return state, []
    nodes, told = node_lifecycle.watch(config, state.nodes, view)
    return replace(state, nodes=nodes), told


def _metrics(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if not _is_due(state.metrics.next, view):
        return state, []
    return replace(state, metrics=metrics.scrape(state.metrics, view, config.metrics_server.resolution)), []


def _horizontal(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if state.horizontal is None or not _is_due(state.horizontal.due, view):
        return state, []
    after, replicas, told = horizontal.autoscale(
        config, state.horizontal, state.replicas, view, state.metrics.served
    )
    return replace(state, horizontal=after, replicas=replicas, watched=True), told


def _deployment(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if not (state.watched or _is_due(state.deployment.due, view)):
        return state, []
    after, told = deployment.reconcile(
        config.deployment, state.deployment, state.replicas, view, config.phases.seed
    )
    return (state if after is state.deployment else replace(state, deployment=after)), told


def _autoscaler(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if state.autoscaler is None or not _is_due(state.autoscaler.next, view):
        return state, []
    after, told = cluster_autoscaler.run(
        config, state.autoscaler, view, tuple(state.scheduler.waiting), state.replicas
    )
    return replace(state, autoscaler=after), told


def _scheduler(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if not (state.watched or _is_due(state.scheduler.due, view)):
        return state, []
    after, told = scheduler.schedule(config, state.scheduler, view)
    return (state if after is state.scheduler else replace(state, scheduler=after)), told


def _endpoints(config: PlaneConfig, state: PlaneState, view: ClusterView) -> _Told:
    if not (state.watched or _is_due(state.endpoints.due, view)):
        return state, []
    after, told = endpoints.watch(state.endpoints, view, config.endpoints_delay, state.watched)
    return (state if after is state.endpoints else replace(state, endpoints=after)), told


_LOOPS: tuple[Callable[[PlaneConfig, PlaneState, ClusterView], _Told], ...] = (
    _nodes,
    _metrics,
    _horizontal,
    _deployment,
    _autoscaler,
    _scheduler,
    _endpoints,
)
