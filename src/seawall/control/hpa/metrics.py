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
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, MetricType


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


def evaluate(
    spec: HpaSpec,
    metric: MetricSpec,
    reading: MetricReading,
    seen: HpaObservation,
    at: float,
    options: HpaOptions,
) -> Evaluation:
    """The proposal of one metric, from what was read at time `at`."""
    tolerances = Tolerances.of(spec, options)
    try:
        kind = MetricType(metric.type)
    except ValueError:
        error = f'unknown metric source type "{metric.type}"'
        return Evaluation(metric, error=error, failure_reason="InvalidMetricSourceType", failure_cause=error)
    try:
        if kind in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
            return _resource(metric, reading, seen, at, tolerances, options)
        if kind is MetricType.PODS:
            return _pods(metric, reading, seen, at, tolerances, options)
        if kind is MetricType.OBJECT:
            return _object(spec, metric, reading, seen, tolerances)
        return _external(spec, metric, reading, seen, tolerances)
    except MetricError as failure:
        cause = str(failure)
        return Evaluation(
            metric,
            error=f"{_wrapping(metric)}: {cause}",
            failure_reason=_REASONS[kind],
            failure_cause=cause,
        )


def _wrapping(metric: MetricSpec) -> str:
    """What the controller puts before the cause of a failed metric."""
    return {
        MetricType.RESOURCE: f"failed to get {metric.name} resource metric value",
        MetricType.CONTAINER_RESOURCE: f"failed to get {metric.container} container metric value",
        MetricType.PODS: "failed to get pods metric value",
        MetricType.OBJECT: "failed to get object metric value",
        MetricType.EXTERNAL: f"failed to get {metric.name} external metric value",
    }[MetricType(metric.type)]


def _samples(reading: MetricReading, api: str) -> PodSamples:
    """The samples, or the metrics client's failure; it takes an empty answer for one."""
    if reading.error is not None:
        raise MetricError(reading.error)
    if reading.samples is None or len(reading.samples) == 0:
        raise MetricError(f"no metrics returned from {api} metrics API")
    return reading.samples


def _resource(
    metric: MetricSpec,
    reading: MetricReading,
    seen: HpaObservation,
    at: float,
    tolerances: Tolerances,
    options: HpaOptions,
) -> Evaluation:
    current, target = seen.scale.spec_replicas, metric.target
    plain = target.average_value_m is not None
    if not plain and target.average_utilization is None:
        raise MetricError(
            "invalid resource metric source: neither an average utilization target nor an average value "
            "(usage) target was set"
        )
    try:
        try:
            samples = _samples(reading, "resource")
        except MetricError as failure:
            raise MetricError(f"unable to get metrics for resource {metric.name}: {failure}") from None
        if target.average_value_m is not None:
            proposal = average_replicas(
                current, seen.pods, samples, metric.name, target.average_value_m, tolerances, at, options
            )
        else:
            proposal = utilization_replicas(
                current, seen.pods, samples, metric.name, metric.container,
                target.average_utilization or 0, tolerances, at, options,
            )  # fmt: skip
    except MetricError as failure:
        raise MetricError(
            f"failed to get {metric.name} {'usage' if plain else 'utilization'}: {failure}"
        ) from None
    of_container = " container" if metric.type == MetricType.CONTAINER_RESOURCE else ""
    name = f"{metric.name}{of_container} resource utilization (percentage of request)"
    return Evaluation(
        metric,
        proposal,
        f"{metric.name} resource" if plain else name,
        MetricStatus(
            metric.type,
            metric.name,
            metric.container,
            average_value_m=proposal.value_m,
            average_utilization=proposal.utilization,
        ),
    )


def _pods(
    metric: MetricSpec,
    reading: MetricReading,
    seen: HpaObservation,
    at: float,
    tolerances: Tolerances,
    options: HpaOptions,
) -> Evaluation:
    try:
        samples = _samples(reading, "custom")
    except MetricError as failure:
        raise MetricError(f"unable to get metric {metric.name}: {failure}") from None
    target_m = metric.target.average_value_m or 0
    current = seen.scale.spec_replicas
    proposal = average_replicas(current, seen.pods, samples, "", target_m, tolerances, at, options)
    status = MetricStatus(metric.type, metric.name, average_value_m=proposal.value_m)
    return Evaluation(metric, proposal, f"pods metric {metric.name}", status)


def _object(
    spec: HpaSpec, metric: MetricSpec, reading: MetricReading, seen: HpaObservation, tolerances: Tolerances
) -> Evaluation:
    target = metric.target
    if target.value_m is None and target.average_value_m is None:
        raise MetricError(
            "invalid object metric source: neither a value target nor an average value target was set"
        )
    if reading.error is not None or reading.value_m is None:
        described = f"{metric.object_kind} {spec.namespace}/{metric.object_name}"
        cause = f"unable to get metric {metric.name}: {reading.error or ''} on {described}"
        prefix = "" if target.value_m is not None else f"failed to get {metric.name} object metric: "
        raise MetricError(prefix + cause)
    if target.value_m is not None:
        current = seen.scale.spec_replicas
        proposal = total_replicas(current, seen.pods, reading.value_m, target.value_m, tolerances)
        status = MetricStatus(metric.type, metric.name, value_m=proposal.value_m)
        return Evaluation(metric, proposal, f"{metric.object_kind} metric {metric.name}", status)
    replicas = seen.scale.status_replicas
    proposal = object_average_replicas(replicas, reading.value_m, target.average_value_m or 0, tolerances)
    status = MetricStatus(metric.type, metric.name, average_value_m=proposal.value_m)
    return Evaluation(metric, proposal, f"external metric {_identified(metric)}", status)


def _external(
    spec: HpaSpec, metric: MetricSpec, reading: MetricReading, seen: HpaObservation, tolerances: Tolerances
) -> Evaluation:
    target = metric.target
    if target.value_m is None and target.average_value_m is None:
        raise MetricError(
            "invalid external metric source: neither a value target nor an average value target was set"
        )
    average = target.average_value_m is not None
    failed = f"failed to get {metric.name} external metric" if average else (
        f"failed to get external metric {metric.name}"
    )  # fmt: skip
    error = reading.error
    if error is None and not reading.values_m:
        error = "no metrics returned from external metrics API"
    if error is not None:
        selector = "nil" if metric.selector is None else str(metric.selector)
        identity = f"{spec.namespace}/{metric.name}/{selector}"
        raise MetricError(f"{failed}: unable to get external metric {identity}: {error}")
    usage_m = external_total(list(reading.values_m or ()), capped_by_sign=average)
    if target.average_value_m is not None:
        replicas = seen.scale.status_replicas
        proposal = external_average_replicas(replicas, usage_m, target.average_value_m, tolerances)
        status = MetricStatus(metric.type, metric.name, average_value_m=proposal.value_m)
    else:
        try:
            current = seen.scale.spec_replicas
            proposal = total_replicas(current, seen.pods, usage_m, target.value_m or 0, tolerances)
        except MetricError as failure:
            raise MetricError(f"{failed}: {failure}") from None
        status = MetricStatus(metric.type, metric.name, value_m=proposal.value_m)
    return Evaluation(metric, proposal, f"external metric {_identified(metric)}", status)


def _identified(metric: MetricSpec) -> str:
    return f"{metric.name}({'nil' if metric.selector is None else metric.selector})"
