"""From a recorded closed loop of the real controller to our `sync`, at the recorded decision times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from seawall.control.hpa import (
    HpaDecision,
    HpaObservation,
    HpaOptions,
    HpaState,
    MetricReading,
    PodSamples,
    ScaleView,
    sync,
)
from seawall.control.hpa.readings import PodUsage, resource_reading, unavailable
from seawall.control.pods import PodColumns
from seawall.fleet.hpa_manifest import parse_hpa
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, MetricType
from seawall.fleet.quantity import milli_value

Expected = dict[str, Any]
_PERCENT = "averageUtilization"
_APIS = {MetricType.OBJECT: "custom", MetricType.PODS: "custom", MetricType.EXTERNAL: "external"}
_PREFIX = re.compile(r"^failed to compute desired number of replicas based on listed metrics for [^:]*: ")
_REFERENCE = re.compile(r"for (?P<kind>\w+)/(?P<namespace>[^/\s]+)/(?P<name>[^:\s]+): ")
_SERVED = re.compile(r"unable to fetch metrics from \w+ metrics API: (.*)$", re.DOTALL)
_UNAVAILABLE = "the server is currently unable to handle the request (get {}.metrics.k8s.io)"


def replay(trace: Mapping[str, Any]) -> list[tuple[Expected, Expected]]:
    """For each sync what was recorded and what we decide, our own memory carried from sync to sync."""
    return [(_recorded(record), _ours(decision, record)) for record, decision in _replayed(trace)]


def replay_status(trace: Mapping[str, Any]) -> list[tuple[Expected, Expected]]:
    """The same for the HPA's status after each sync, and the metric that was followed."""
    return [(_recorded_status(record), _our_status(decision)) for record, decision in _replayed(trace)]


def _replayed(trace: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], HpaDecision]]:
    options, state = _options(trace["controller"]), HpaState()
    for record in trace["syncs"]:
        spec = _spec(trace, record["t"], options)
        state, decision = sync(
            spec,
            state,
            _observation(trace, record, spec),
            record.get("decide_t") or record["t"],
            options,
            done_at=record.get("done_t"),
        )
        yield record, decision


def _recorded_status(record: Mapping[str, Any]) -> Expected:
    status, metrics = record["hpa"], []
    for metric in status["currentMetrics"] or []:
        source = next(value for key, value in metric.items() if key != "type")
        shown = {key: milli_value(value) for key, value in source["current"].items() if key != _PERCENT}
        metrics.append({"type": metric["type"], **shown, _PERCENT: source["current"].get(_PERCENT)})
    return {
        "metric": record.get("metric") or "",
        "replicas": (status["currentReplicas"] or 0, status["desiredReplicas"] or 0),
        "conditions": [(c["type"], c["status"], c["reason"]) for c in status["conditions"]],
        "metrics": metrics,
    }


def _our_status(decision: HpaDecision) -> Expected:
    status, metrics = decision.status, []
    for metric in status.current_metrics or ():
        values = {"averageValue": metric.average_value_m, "value": metric.value_m}
        shown = {key: value for key, value in values.items() if value is not None}
        metrics.append({"type": metric.type, **shown, _PERCENT: metric.average_utilization})
    return {
        "metric": decision.metric,
        "replicas": (status.current_replicas, status.desired_replicas),
        "conditions": [(c.type, str(c.status), c.reason) for c in status.conditions],
        "metrics": metrics,
    }


def _recorded(record: Mapping[str, Any]) -> Expected:
    expected = {key: record.get(key) for key in ("proposed", "desired", "rescaled")}
    return expected | {key: record.get(key) or "" for key in ("reason", "error")}


def _ours(decision: HpaDecision, record: Mapping[str, Any]) -> Expected:
    error = decision.error
    if error and not _PREFIX.match(record.get("error") or ""):
        # The record may have the error as the event tells it, without the target in front.
        error = _PREFIX.sub("", error)
    return {
        "proposed": decision.proposed,
        "desired": decision.desired,
        "rescaled": decision.rescaled,
        "reason": decision.reason,
        "error": error,
    }


def _options(flags: Mapping[str, Any]) -> HpaOptions:
    gates = flags.get("feature_gates") or {}
    if isinstance(gates, str):
        gates = dict(part.split("=") for part in gates.split(","))
    on = {name: str(value).lower() == "true" for name, value in gates.items()}
    return HpaOptions(
        sync_period_seconds=flags["sync_period"],
        downscale_stabilization_seconds=flags["downscale_stabilization"],
        tolerance=flags["tolerance"],
        cpu_initialization_seconds=flags["cpu_initialization_period"],
        initial_readiness_delay_seconds=flags["initial_readiness_delay"],
        configurable_tolerance=on.get("HPAConfigurableTolerance", True),
        scale_to_zero=on.get("HPAScaleToZero", False),
        pod_level_resources=on.get("PodLevelResources", True),
    )


def _target(trace: Mapping[str, Any]) -> dict[str, str]:
    """Kind, namespace and name of the target: the record tells them only in its errors and pod names."""
    for record in trace["syncs"]:
        if match := _REFERENCE.search(record.get("error") or ""):
            return match.groupdict()
    names = [pod["name"] for record in trace["syncs"] for pod in record.get("pods") or ()]
    name = names[0].rsplit("-", 2)[0] if names else "web"
    return {"kind": trace["target"]["kind"], "namespace": "default", "name": name}


def _spec(trace: Mapping[str, Any], t: float, options: HpaOptions) -> HpaSpec:
    """The HPA as it was at time `t`: the one that was made, with the patches that had been applied."""
    written, target = dict(trace["hpa_spec"]), _target(trace)
    for action in trace.get("actions") or ():
        if action["action"] == "hpa" and action["t"] <= t:
            patch = action["argument"]
            written = _merged(written, patch.get("spec", patch))
    reference = {"apiVersion": "apps/v1", "kind": target["kind"], "name": target["name"]}
    manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": target["name"], "namespace": target["namespace"]},
        "spec": {**written, "scaleTargetRef": reference},
    }
    return parse_hpa(manifest, scale_to_zero=options.scale_to_zero)


def _merged(data: Any, patch: Any) -> Any:
    """A JSON merge patch, as the API server applies it."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(data) if isinstance(data, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _observation(trace: Mapping[str, Any], record: Mapping[str, Any], spec: HpaSpec) -> HpaObservation:
    t, listed = record["t"], record.get("pods") or []
    containers = [
        {
            "name": one["name"],
            "requests_m": {r: milli_value(v) for r, v in one.items() if r != "name" and v is not None},
        }
        for one in trace["target"]["containers"]
    ]
    pods = PodColumns.of(
        [
            {
                **pod,
                "ready": None if pod.get("ready_transition_s") is None else str(bool(pod["ready"])),
                "containers": containers,
            }
            for pod in listed
        ],
        now=t,
    )
    return HpaObservation(
        ScaleView(record["current"], record.get("status_replicas") or 0, "app=web"),
        pods,
        [_reading(trace, record, spec, metric, pods) for metric in spec.metrics],
        taken_at=t,
    )


def _reading(
    trace: Mapping[str, Any],
    record: Mapping[str, Any],
    spec: HpaSpec,
    metric: MetricSpec,
    pods: PodColumns,
) -> MetricReading:
    kind, listed = MetricType(metric.type), record.get("pods") or []
    items = [
        item
        for served in record.get("other_metrics") or ()
        if served["metric"] == metric.name
        for item in served["items"] or ()
    ]
    if record.get("metrics_down") and not items:
        # What the API answered is an input of the sync; the record has it only inside the controller's error.
        served = _SERVED.search(record.get("error") or "")
        api = _APIS.get(kind, "resource")
        object_kind = {"resource": "pods"}.get(api, f"{metric.name}.{api}")
        return unavailable(api, served.group(1) if served else _UNAVAILABLE.format(object_kind))
    if kind in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        used = [_usage(trace, record, pods, row) for row, pod in enumerate(listed) if pod.get("usage")]
        return resource_reading(used, metric.name, metric.container, spec.namespace)
    if kind is MetricType.EXTERNAL:
        return MetricReading(values_m=[milli_value(item["value"]) for item in items])
    if kind is MetricType.OBJECT:
        return MetricReading(value_m=milli_value(items[0]["value"]) if items else None)
    rows = pods.rows()
    return MetricReading(
        samples=PodSamples(
            np.array([rows.get(item["describedObject"]["name"], -1) for item in items], np.int64),
            np.array([milli_value(item["value"]) for item in items], np.int64),
            np.full(len(items), float(record.get("metric_t") or record["t"])),
            np.full(len(items), float(trace["metric_window_s"])),
        )
    )


def _usage(trace: Mapping[str, Any], record: Mapping[str, Any], pods: PodColumns, row: int) -> PodUsage:
    pod = record["pods"][row]
    stamp = record.get("metric_t") or record["t"]
    if pod.get("sample_minus_transition_s") is not None:
        stamp = pods.ready_transition_at[row] + pod["sample_minus_transition_s"]
    usage_m = {
        name: {"cpu": used["cpu_m"], "memory": used["memory_bytes"] * 1000}
        for name, used in pod["usage"].items()
    }
    return PodUsage(pod["name"], row, stamp, trace["metric_window_s"], usage_m)
