"""The HPA's place in the plane: from pods and served metrics to one sync of its controller.

The rule itself is `hpa/`. What the metrics clients say when there is nothing to read is from Kubernetes,
pkg/controller/podautoscaler/metrics/client.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from seawall.control.config import PlaneConfig
from seawall.control.decisions import Decision, Note, SetReplicas
from seawall.control.hpa.observation import HpaObservation, MetricReading, PodSamples, ScaleView
from seawall.control.hpa.options import HpaOptions
from seawall.control.hpa.state import Condition, HpaState
from seawall.control.hpa.sync import HpaDecision, sync
from seawall.control.pacing import following
from seawall.control.pods import Phase as ColumnPhase
from seawall.control.pods import PodColumns, Ready
from seawall.control.view import ClusterView, IntArray, MetricSample, Phase, PodTable, rows_of
from seawall.fleet.hpa_spec import MetricSpec, MetricType

NO_RESOURCE_METRICS = "no metrics returned from resource metrics API"
NO_CUSTOM_API = (
    "unable to fetch metrics from custom metrics API: "
    "no custom metrics API (custom.metrics.k8s.io) registered"
)
NO_EXTERNAL_API = (
    "unable to fetch metrics from external metrics API: "
    "the server could not find the requested resource (get {name}.external.metrics.k8s.io)"
)
QUIET_REASONS = frozenset({"SucceededGetScale", "SucceededRescale", "ReadyForNewScale", "DesiredWithinRange"})
_PHASES = np.zeros(len(Phase), np.int8)
_PHASES[Phase.PENDING] = ColumnPhase.PENDING
_PHASES[Phase.RUNNING] = ColumnPhase.RUNNING
_PHASES[Phase.FAILED] = ColumnPhase.FAILED


@dataclass(frozen=True, slots=True)
class HorizontalState:
    """The controller's memory of the HPA, and when it syncs next."""

    due: float
    memory: HpaState = field(default_factory=HpaState)


def hpa_options(config: PlaneConfig) -> HpaOptions:
    """The controller's flags, as the fleet gives them."""
    flags = config.hpa_flags
    return HpaOptions(
        sync_period_seconds=flags.sync_period,
        downscale_stabilization_seconds=flags.downscale_stabilization,
        tolerance=flags.tolerance,
        cpu_initialization_seconds=flags.cpu_initialization_period,
        initial_readiness_delay_seconds=flags.initial_readiness_delay,
    )


def autoscale(
    config: PlaneConfig, state: HorizontalState, replicas: int, view: ClusterView, served: MetricSample
) -> tuple[HorizontalState, int, list[Decision]]:
    """One sync, with spec.replicas as it is: the new state, spec.replicas as it is to be, what to tell."""
    spec, now = config.hpa, view.now
    assert spec is not None
    pods = view.pods
    served = _listed(pods, served)
    seen = HpaObservation(
        scale=ScaleView(replicas, int(np.count_nonzero(pods.active)), f"app={config.deployment}"),
        pods=pod_columns(config, pods),
        metrics=tuple(_reading(config, metric, pods, served) for metric in spec.metrics),
    )
    memory, decided = sync(spec, state.memory, seen, now, hpa_options(config))
    due = following(state.due, config.hpa_flags.sync_period, now)
    decisions = _notes(spec.name or config.deployment, state.memory, memory)
    if decided.rescaled and decided.desired is not None:
        replicas = decided.desired
        decisions.append(SetReplicas(replicas, decided.reason, _message(decided)))
    return replace(state, due=due, memory=memory), replicas, decisions


def pod_columns(config: PlaneConfig, pods: PodTable) -> PodColumns:
    """The pods as the HPA takes them; API stamps are whole seconds, so times are cut down to them."""
    size = len(pods)
    ready = np.where(pods.ready, int(Ready.TRUE), int(Ready.FALSE))
    ready = np.where(np.isnan(pods.ready_transition_s), int(Ready.ABSENT), ready)
    return PodColumns(
        name=tuple(f"{config.deployment}-{pod}" for pod in pods.id.tolist()),
        phase=_PHASES[pods.phase],
        ready=ready.astype(np.int8),
        deleting=pods.deleting,
        started_at=np.floor(pods.started_s),
        ready_transition_at=np.floor(pods.ready_transition_s),
        shape=np.zeros(size, np.int32),
        shapes=(config.pod_shape,),
        node=pods.node.astype(np.int32),
    )


def _reading(config: PlaneConfig, metric: MetricSpec, pods: PodTable, served: MetricSample) -> MetricReading:
    """What the metrics clients return for one entry of spec.metrics."""
    if metric.type in (MetricType.PODS, MetricType.OBJECT):
        return MetricReading(error=NO_CUSTOM_API)
    if metric.type == MetricType.EXTERNAL:
        return MetricReading(error=NO_EXTERNAL_API.format(name=metric.name))
    if metric.type not in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        return MetricReading()
    if not len(served):
        return MetricReading(error=NO_RESOURCE_METRICS)
    if metric.type == MetricType.CONTAINER_RESOURCE and metric.container != config.container:
        pod = f"default/{config.deployment}-{int(served.id[0])}"
        return MetricReading(
            error=f"failed to get container metrics: container {metric.container} not present in metrics "
            f"for pod {pod}"
        )
    rows = rows_of(pods.id, served.id)
    if metric.name == "cpu":
        return MetricReading(samples=_samples(rows, served.cpu_milli, served))
    if metric.name == "memory":
        return MetricReading(samples=_samples(rows, served.memory_bytes * 1000, served))
    return MetricReading(samples=PodSamples.of({}, pod_columns(config, pods)))


def _listed(pods: PodTable, served: MetricSample) -> MetricSample:
    """The metrics API lists pods that exist and are Running. Source: metrics-server, pkg/api/pod.go."""
    rows = rows_of(pods.id, served.id)
    there = rows >= 0
    there[there] = pods.phase[rows[there]] == Phase.RUNNING
    if there.all():
        return served
    return MetricSample(
        served.id[there],
        served.cpu_milli[there],
        served.memory_bytes[there],
        served.timestamp_s[there],
        served.window_s[there],
    )


def _samples(rows: IntArray, values: IntArray, served: MetricSample) -> PodSamples:
    return PodSamples(rows, values, np.floor(served.timestamp_s), served.window_s)


def _notes(name: str, before: HpaState, after: HpaState) -> list[Decision]:
    """The conditions that have changed, as events; those that only say that all is well are left out."""
    known = {condition.type: condition for condition in before.status.conditions}
    return [
        Note(str(now.reason), f"hpa/{name}", now.message or str(now.reason))
        for now in after.status.conditions
        if _differs(known.get(now.type), now) and not _all_is_well(known.get(now.type), now)
    ]


def _all_is_well(before: Condition | None, after: Condition) -> bool:
    recovered = before is not None and before.status != after.status
    return str(after.reason) in QUIET_REASONS or (after.reason == "ValidMetricFound" and not recovered)


def _differs(before: Condition | None, after: Condition) -> bool:
    return before is None or (before.status, before.reason) != (after.status, after.reason)


def _message(decided: HpaDecision) -> str:
    """The event's text. Source: podautoscaler/horizontal.go (SuccessfulRescale)."""
    return f"New size: {decided.desired}; reason: {decided.reason}"
