"""From a numeric case of Kubernetes' own tests to our functions, and back to the case's form of an answer.

Ages in a case count back from the decision, which is at time 0 here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from seawall.control.hpa import (
    Condition,
    HpaObservation,
    HpaOptions,
    HpaState,
    HpaStatus,
    MetricReading,
    MetricStatus,
    PodSamples,
    Recommendation,
    ScaleEvent,
    ScaleView,
    Tolerances,
    limits,
    sync,
)
from seawall.control.hpa import replica_calculator as calculator
from seawall.control.hpa.errors import MetricError
from seawall.control.hpa.metrics import propose
from seawall.control.hpa.requests import pod_requests
from seawall.control.pods import PodColumns
from seawall.fleet.hpa_spec import (
    Behavior,
    HpaSpec,
    MetricSpec,
    MetricTarget,
    PolicyType,
    ScaleTarget,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    TargetType,
)

Answer = dict[str, Any]


def answer(case: Mapping[str, Any]) -> Answer:
    """What our code says to a case; KeyError for a kind that is not known."""
    return KINDS[case["kind"]](case["in"])


def _rules(given: Mapping[str, Any]) -> ScalingRules:
    return ScalingRules(
        given.get("stabilization_window_s"),
        SelectPolicy(given["select_policy"]),
        tuple(ScalingPolicy(PolicyType(p["type"]), p["value"], p["period_s"]) for p in given["policies"]),
        given.get("tolerance"),
    )


def _behavior(given: Mapping[str, Any] | None) -> Behavior | None:
    return None if given is None else Behavior(_rules(given["scale_up"]), _rules(given["scale_down"]))


def _events(given: Sequence[Mapping[str, Any]]) -> tuple[ScaleEvent, ...]:
    return tuple(ScaleEvent(e["change"], -e["age_s"], e.get("outdated", False)) for e in given)


def _recommendations(given: Sequence[Mapping[str, Any]]) -> tuple[Recommendation, ...]:
    return tuple(Recommendation(r["replicas"], -r["age_s"]) for r in given)


def _age(at: float) -> float:
    return round(-at, 1) + 0.0


def _metric(given: Mapping[str, Any]) -> MetricSpec:
    fields = {
        TargetType.UTILIZATION: given.get("target_utilization"),
        TargetType.AVERAGE_VALUE: given.get("target_average_value_m"),
        TargetType.VALUE: given.get("target_value_m"),
    }
    kind = next((kind for kind, value in fields.items() if value is not None), TargetType.UTILIZATION)
    target = MetricTarget(
        kind, fields[TargetType.UTILIZATION], fields[TargetType.AVERAGE_VALUE], fields[TargetType.VALUE]
    )
    return MetricSpec(given["type"], given.get("name", ""), target, given.get("container", ""))


def _reading(given: Mapping[str, Any], pods: PodColumns) -> MetricReading:
    if "error" in given:
        return MetricReading(error=given["error"])
    if "samples" in given:
        return MetricReading(samples=PodSamples.of(given["samples"], pods))
    return MetricReading(value_m=given.get("value_m"), values_m=given.get("values_m"))


def _calculator_options(given: Mapping[str, Any]) -> HpaOptions:
    return HpaOptions(
        cpu_initialization_seconds=given["cpu_initialization_s"],
        initial_readiness_delay_seconds=given["initial_readiness_delay_s"],
    )


def replica_calc(given: Mapping[str, Any]) -> Answer:
    pods, current = PodColumns.of(given["pods"]), given["current_replicas"]
    metric, reading = _metric(given["metric"]), _reading(given["metric"], pods)
    seen = HpaObservation(ScaleView(current, current), pods, [reading])
    tolerances = Tolerances(given["tolerance"]["down"], given["tolerance"]["up"])
    try:
        found = propose("test-namespace", metric, reading, seen, 0.0, tolerances, _calculator_options(given))
    except MetricError as error:
        return {"error": str(error)}
    out: Answer = {"replicas": found.replicas, "value_m": found.value_m}
    if found.utilization is not None:
        out["utilization"] = found.utilization
    return out


def group_pods(given: Mapping[str, Any]) -> Answer:
    pods = PodColumns.of(given["pods"])
    samples = PodSamples.of(given["samples"], pods)
    groups = calculator.group_pods(pods, samples, given["resource"], 0.0, _calculator_options(given))

    def names(mask: Any) -> list[str]:
        return sorted(pods.name[row] for row in np.flatnonzero(mask))

    return {
        "ready_count": groups.ready_count,
        "unready": names(groups.unready),
        "missing": names(groups.missing),
        "ignored": names(groups.ignored),
    }


def requests(given: Mapping[str, Any]) -> Answer:
    pods = PodColumns.of(given["pods"])
    try:
        found = pod_requests(pods, given["container"], given["resource"], given["pod_level_resources"])
    except MetricError as error:
        return {"error": str(error)}
    return {"requests_m": dict(zip(pods.name, found.tolist(), strict=True))}


def utilization_ratio(given: Mapping[str, Any]) -> Answer:
    rows = {name: row for row, name in enumerate(given["requests_m"])}
    try:
        usage = calculator.utilization_ratio(
            np.array([rows.get(name, -1) for name in given["values_m"]], np.int64),
            np.array(list(given["values_m"].values()), np.int64),
            np.array(list(given["requests_m"].values()), np.int64),
            given["target_utilization"],
        )
    except MetricError as error:
        return {"error": str(error)}
    return {"ratio": usage.ratio, "utilization": usage.utilization, "value_m": usage.value_m}


def usage_ratio(given: Mapping[str, Any]) -> Answer:
    values = np.array(list(given["values_m"].values()), np.int64)
    usage = calculator.usage_ratio(values, given["target_value_m"])
    return {"ratio": usage.ratio, "value_m": usage.value_m}


def limits_without_behavior(given: Mapping[str, Any]) -> Answer:
    found = limits.limit_without_behavior(
        given["current_replicas"],
        given["desired_replicas"],
        given["min_replicas"],
        given["max_replicas"],
        given["scale_up_limit_factor"],
        given["scale_up_limit_minimum"],
    )
    return {"replicas": found.replicas, "reason": str(found.reason)}


def behavior_rate(given: Mapping[str, Any]) -> Answer:
    behavior = _behavior(given["behavior"])
    assert behavior is not None
    found = limits.limit_with_behavior(
        given["current_replicas"],
        given["desired_replicas"],
        given["min_replicas"],
        given["max_replicas"],
        behavior,
        _events(given["up_events"]),
        _events(given["down_events"]),
        0.0,
    )
    return {"replicas": found.replicas, "reason": str(found.reason)}


def behavior_limit(given: Mapping[str, Any]) -> Answer:
    limit = limits.scale_up_limit if given["direction"] == "up" else limits.scale_down_limit
    up, down = _events(given["up_events"]), _events(given["down_events"])
    return {"limit": limit(given["current_replicas"], up, down, _rules(given["rules"]), 0.0).replicas}


def stabilize(given: Mapping[str, Any]) -> Answer:
    past = _recommendations(given["recommendations"])
    found = limits.stabilize(past, given["desired_replicas"], given["downscale_stabilization_s"], 0.0)
    return {"replicas": found.replicas, "log_length": len(found.recommendations)}


def stabilize_behavior(given: Mapping[str, Any]) -> Answer:
    found = limits.stabilize_behavior(
        _recommendations(given["recommendations"]),
        given["current_replicas"],
        given["desired_replicas"],
        given["up_window_s"],
        given["down_window_s"],
        0.0,
    )
    log = [{"replicas": r.replicas, "age_s": _age(r.at)} for r in found.recommendations]
    return {"replicas": found.replicas, "reason": str(found.reason), "recommendations": log}


def scale_events(given: Mapping[str, Any]) -> Answer:
    events, change = _events(given["events"]), abs(given["to_replicas"] - given["from_replicas"])
    before = limits.change_in_period(events, given["sum_period_s"], 0.0)
    rules = None if given["rules"] is None else _rules(given["rules"])
    after = limits.store_event(events, change, rules, 0.0)
    log = [{"change": e.change, "age_s": _age(e.at), "outdated": e.outdated} for e in after]
    return {"change_in_period_before": before, "events": log}


def controller(given: Mapping[str, Any]) -> Answer:
    flags, gates, scale = given["controller"], given["feature_gates"], given["scale"]
    options = HpaOptions(
        downscale_stabilization_seconds=flags["downscale_stabilization_s"],
        tolerance=flags["tolerance"],
        cpu_initialization_seconds=flags["cpu_initialization_s"],
        initial_readiness_delay_seconds=flags["initial_readiness_delay_s"],
        scale_up_limit_factor=flags["scale_up_limit_factor"],
        scale_up_limit_minimum=flags["scale_up_limit_minimum"],
        configurable_tolerance=gates.get("HPAConfigurableTolerance", True),
        scale_to_zero=gates.get("HPAScaleToZero", False),
        pod_level_resources=gates.get("PodLevelResources", True),
    )
    spec = HpaSpec(
        given["max_replicas"],
        tuple(_metric(m) for m in given["metrics"]),
        given["min_replicas"],
        _behavior(given.get("behavior")),
        ScaleTarget("ReplicationController", "test-rc", "v1"),
        "test-hpa",
        "test-namespace",
    )
    pods = PodColumns.of(given["pods"])
    # The tests begin with a status that shows the target as it is; where the case does not tell how that is
    # (its scale cannot be read), there is one pod for each replica.
    replicas = scale.get("spec_replicas", len(pods))
    before = HpaStatus(replicas, replicas, _conditions(given["status_conditions"]), None)
    past = given["recommendations"]
    state = HpaState(before, None if past is None else _recommendations(past))
    seen = HpaObservation(
        ScaleView(
            scale.get("spec_replicas", 0),
            scale.get("status_replicas", 0),
            scale.get("selector", ""),
            scale.get("error"),
            next((str(value) for key, value in {**given, **scale}.items() if "update" in key), None),
        ),
        pods,
        [_reading(m, pods) for m in given["metrics"]],
        other_hpas=(("test-hpa-2", "test-namespace"),) if given.get("pods_selected_by_other_hpas") else (),
    )
    _, decision = sync(spec, state, seen, 0.0, options)
    status = decision.status
    return {
        "action": str(decision.action),
        "error_label": str(decision.error_label),
        "no_status_update": not decision.status_changed,
        "rescaled": decision.rescaled,
        "desired_replicas": status.desired_replicas,
        "current_replicas": status.current_replicas,
        "conditions": [
            {"type": str(c.type), "status": str(c.status), "reason": str(c.reason)} for c in status.conditions
        ],
        "current_metrics": [_shown(m) for m in status.current_metrics or ()],
    }


def _conditions(given: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    return tuple(Condition(c["type"], c["status"] == "True", c["reason"]) for c in given)


def _shown(status: MetricStatus) -> Answer:
    values = {
        "value_m": status.value_m,
        "average_value_m": status.average_value_m,
        "utilization": status.average_utilization,
    }
    return {"type": str(status.type), **{key: value for key, value in values.items() if value is not None}}


KINDS: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
    "behavior_limit": behavior_limit,
    "behavior_rate": behavior_rate,
    "controller": controller,
    "group_pods": group_pods,
    "limits": limits_without_behavior,
    "replica_calc": replica_calc,
    "requests": requests,
    "scale_events": scale_events,
    "stabilize": stabilize,
    "stabilize_behavior": stabilize_behavior,
    "usage_ratio": usage_ratio,
    "utilization_ratio": utilization_ratio,
}
