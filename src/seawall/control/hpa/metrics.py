"""From one entry of `spec.metrics` and its reading to a proposal, with the controller's names and messages.

Source: Kubernetes 1.36, pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetric and below).
"""

from __future__ import annotations

from dataclasses import dataclass

from seawall.control.hpa.errors import MetricError
from seawall.control.hpa.observation import HpaObservation, MetricReading, PodSamples
from seawall.control.hpa.options import HpaOptions, Tolerances
from seawall.control.hpa.replica_calculator import (
    Proposal,
    average_replicas,
    external_average_replicas,
    external_total,
    object_average_replicas,
    total_replicas,
    utilization_replicas,
)
from seawall.control.hpa.state import EMPTY_STATUS, MetricStatus
from seawall.fleet.hpa_spec import HpaSpec, MetricSelector, MetricSpec, MetricType


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of one metric.

    Either `proposal`, with `name` (the metric in the controller's words) and its `status`; or `error`, with
    the reason and the cause that the HPA's condition would show.
    """

    spec: MetricSpec
    proposal: Proposal | None = None
    name: str = ""
    status: MetricStatus = EMPTY_STATUS
    error: str = ""
    failure_reason: str = ""
    failure_cause: str = ""


_REASONS = {
    MetricType.RESOURCE: "FailedGetResourceMetric",
    MetricType.CONTAINER_RESOURCE: "FailedGetContainerResourceMetric",
    MetricType.PODS: "FailedGetPodsMetric",
    MetricType.OBJECT: "FailedGetObjectMetric",
    MetricType.EXTERNAL: "FailedGetExternalMetric",
}
_NO_TARGET = {
    MetricType.RESOURCE: (
        "invalid resource metric source: neither an average utilization target nor an average value "
        "(usage) target was set"
    ),
    MetricType.OBJECT: (
        "invalid object metric source: neither a value target nor an average value target was set"
    ),
    MetricType.EXTERNAL: (
        "invalid external metric source: neither a value target nor an average value target was set"
    ),
}
_NO_TARGET[MetricType.CONTAINER_RESOURCE] = _NO_TARGET[MetricType.RESOURCE]


def evaluate(
    spec: HpaSpec,
    metric: MetricSpec,
    reading: MetricReading,
    seen: HpaObservation,
    at: float,
    options: HpaOptions,
) -> Evaluation:
    """The proposal of one metric, from what was read at time `at`."""
    try:
        kind = MetricType(metric.type)
    except ValueError:
        error = f'unknown metric source type "{metric.type}"'
        return Evaluation(metric, error=error, failure_reason="InvalidMetricSourceType", failure_cause=error)
    tolerances = Tolerances.of(spec, options)
    try:
        proposal = propose(spec.namespace, metric, reading, seen, at, tolerances, options)
    except MetricError as failure:
        cause, inner = _told(metric, kind, str(failure))
        error = f"{_value_of(metric, kind)}: {inner}"
        return Evaluation(metric, error=error, failure_reason=_REASONS[kind], failure_cause=cause)
    total = metric.target.value_m is not None and kind in (MetricType.OBJECT, MetricType.EXTERNAL)
    status = MetricStatus(
        metric.type,
        metric.name,
        metric.container,
        value_m=proposal.value_m if total else None,
        average_value_m=None if total else proposal.value_m,
        average_utilization=proposal.utilization,
    )
    return Evaluation(metric, proposal, metric_name(metric, kind), status)


def metric_name(metric: MetricSpec, kind: MetricType) -> str:
    """A metric in the words of the controller's events and conditions."""
    if kind in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        if metric.target.average_value_m is not None:
            return f"{metric.name} resource"
        container = " container" if kind is MetricType.CONTAINER_RESOURCE else ""
        return f"{metric.name}{container} resource utilization (percentage of request)"
    if kind is MetricType.PODS:
        return f"pods metric {metric.name}"
    if kind is MetricType.OBJECT and metric.target.value_m is not None:
        return f"{metric.object_kind} metric {metric.name}"
    # An Object metric with an average goes under the name of an external one: the original says so.
    return f"external metric {metric.name}({_printed(metric.selector)})"


def _printed(selector: MetricSelector | None) -> str:
    return "nil" if selector is None else str(selector)


def _value_of(metric: MetricSpec, kind: MetricType) -> str:
    return {
        MetricType.RESOURCE: f"failed to get {metric.name} resource metric value",
        MetricType.CONTAINER_RESOURCE: f"failed to get {metric.container} container metric value",
        MetricType.PODS: "failed to get pods metric value",
        MetricType.OBJECT: "failed to get object metric value",
        MetricType.EXTERNAL: f"failed to get {metric.name} external metric value",
    }[kind]


def _told(metric: MetricSpec, kind: MetricType, failure: str) -> tuple[str, str]:
    """A failure as the condition tells it, and as the error that the sync returns tells it."""
    average = metric.target.average_value_m is not None
    if failure == _NO_TARGET.get(kind):
        return failure, failure
    if kind in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        wrapped = f"failed to get {metric.name} {'usage' if average else 'utilization'}: {failure}"
        return wrapped, wrapped
    if kind is MetricType.OBJECT and average:
        return failure, f"failed to get {metric.name} object metric: {failure}"
    if kind is MetricType.EXTERNAL:
        which = f"{metric.name} external metric" if average else f"external metric {metric.name}"
        return failure, f"failed to get {which}: {failure}"
    return failure, failure


def propose(
    namespace: str,
    metric: MetricSpec,
    reading: MetricReading,
    seen: HpaObservation,
    at: float,
    tolerances: Tolerances,
    options: HpaOptions,
) -> Proposal:
    """What one metric of a known type asks for; MetricError in the replica calculator's words."""
    if metric.type == MetricType.OBJECT:
        return _object(namespace, metric, reading, seen, tolerances)
    if metric.type == MetricType.EXTERNAL:
        return _external(namespace, metric, reading, seen, tolerances)
    current, target = seen.scale.spec_replicas, metric.target
    if metric.type == MetricType.PODS:
        samples = _samples(reading, "custom", f"metric {metric.name}")
        wanted_m = target.average_value_m or 0
        return average_replicas(current, seen.pods, samples, "", wanted_m, tolerances, at, options)
    if target.average_value_m is None and target.average_utilization is None:
        raise MetricError(_NO_TARGET[MetricType.RESOURCE])
    samples = _samples(reading, "resource", f"metrics for resource {metric.name}")
    if target.average_value_m is not None:
        wanted_m = target.average_value_m
        return average_replicas(current, seen.pods, samples, metric.name, wanted_m, tolerances, at, options)
    percent = target.average_utilization or 0
    return utilization_replicas(
        current, seen.pods, samples, metric.name, metric.container, percent, tolerances, at, options
    )


def _samples(reading: MetricReading, api: str, wanted: str) -> PodSamples:
    """The samples, or the metrics client's failure; it takes an empty answer for one."""
    error = reading.error
    if error is None and reading.samples is not None and len(reading.samples) > 0:
        return reading.samples
    raise MetricError(f"unable to get {wanted}: {error or f'no metrics returned from {api} metrics API'}")


def _object(
    namespace: str, metric: MetricSpec, reading: MetricReading, seen: HpaObservation, tolerances: Tolerances
) -> Proposal:
    target = metric.target
    if target.value_m is None and target.average_value_m is None:
        raise MetricError(_NO_TARGET[MetricType.OBJECT])
    if reading.error is not None or reading.value_m is None:
        described = f"{metric.object_kind} {namespace}/{metric.object_name}"
        raise MetricError(f"unable to get metric {metric.name}: {reading.error or ''} on {described}")
    if target.value_m is not None:
        current = seen.scale.spec_replicas
        return total_replicas(current, seen.pods, reading.value_m, target.value_m, tolerances)
    replicas = seen.scale.status_replicas
    return object_average_replicas(replicas, reading.value_m, target.average_value_m or 0, tolerances)


def _external(
    namespace: str, metric: MetricSpec, reading: MetricReading, seen: HpaObservation, tolerances: Tolerances
) -> Proposal:
    target = metric.target
    if target.value_m is None and target.average_value_m is None:
        raise MetricError(_NO_TARGET[MetricType.EXTERNAL])
    if reading.error is not None or not reading.values_m:
        identity = f"{namespace}/{metric.name}/{_printed(metric.selector)}"
        error = reading.error or "no metrics returned from external metrics API"
        raise MetricError(f"unable to get external metric {identity}: {error}")
    average = target.average_value_m is not None
    usage_m = external_total(list(reading.values_m), capped_by_sign=average)
    if target.average_value_m is not None:
        replicas = seen.scale.status_replicas
        return external_average_replicas(replicas, usage_m, target.average_value_m, tolerances)
    return total_replicas(seen.scale.spec_replicas, seen.pods, usage_m, target.value_m or 0, tolerances)
