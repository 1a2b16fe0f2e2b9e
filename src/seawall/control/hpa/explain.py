"""A decision in plain words: what each metric said, and what was made of it."""

from __future__ import annotations

from seawall.control.hpa.limits import Limited, LimitReason, RateLimit, StabilizeReason
from seawall.control.hpa.metrics import Evaluation
from seawall.control.hpa.options import HpaOptions, Tolerances
from seawall.control.hpa.replica_calculator import Hold, Proposal
from seawall.control.hpa.sync import ABOVE_MAX, BELOW_MIN, HpaDecision
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, MetricType, PolicyType, SelectPolicy


def explain(spec: HpaSpec, current: int, decision: HpaDecision, options: HpaOptions) -> str:
    """Why `current` replicas became, or stayed, what was decided."""
    if decision.desired is None and not decision.evaluations:
        return f"no action: {decision.error}"
    if decision.reason == ABOVE_MAX and decision.proposed is None:
        return f"{_pods(current)} are more than maxReplicas {spec.max_replicas}: set at once, no metric asked"
    if decision.reason == BELOW_MIN and decision.proposed is None:
        return (
            f"{_pods(current)} are fewer than minReplicas {spec.min_replicas}: set at once, no metric asked"
        )
    if decision.proposed is None and decision.desired is not None:
        return "switched off: the target was set to 0 replicas, and not by this HPA"
    parts = [_metric(one, current, Tolerances.of(spec, options)) for one in decision.evaluations]
    if len(parts) > 1 and decision.proposed is not None:
        parts.append(f"the largest counts: {_pods(decision.proposed)}")
    if decision.desired is None:
        return "; ".join([*parts, _why_stopped(decision, current)])
    parts += _stabilised(spec, decision, options)
    if decision.limited is not None and decision.stabilized is not None:
        parts += _limited(spec, decision.limited, decision.stabilized.replicas, options)
    if decision.raised_to_min:
        parts.append(f"minReplicas is {spec.min_replicas}")
    return "; ".join(parts)


def _why_stopped(decision: HpaDecision, current: int) -> str:
    if all(one.proposal is None for one in decision.evaluations):
        return "no metric can be read, so no action"
    if decision.error.startswith("failed to rescale"):
        return f"the new scale could not be written: {decision.error}"
    return f"a metric that fails forbids scaling down, so it stays at {_pods(current)}"


def _metric(one: Evaluation, current: int, tolerances: Tolerances) -> str:
    if one.proposal is None:
        return f"{metric_label(one.spec)} cannot be read: {one.failure_cause}"
    proposal, said = one.proposal, _reading(one.spec, one.proposal)
    if proposal.hold is Hold.TOLERANCE:
        share = tolerances.up if proposal.final_ratio >= 1 else tolerances.down
        held = f"within the tolerance of {share * 100:g} %, no change asked for"
        return f"{said}: {_counted(proposal)}{held}"
    if proposal.hold is Hold.DIRECTION:
        return f"{said}: {_counted(proposal)}no change asked for"
    as_now = ", as there are" if proposal.replicas == current else ""
    return f"{said}: {_counted(proposal)}{_pods(proposal.replicas)} asked for{as_now}"


def _counted(proposal: Proposal) -> str:
    """The pods that were counted otherwise than by their metrics, if any were."""
    told = []
    if proposal.unready_pods and proposal.usage_ratio > 1:
        # CPU also passes over pods that are ready and have no sample of a whole window since.
        told.append(f"{_pods(proposal.unready_pods)} not ready or not measured since, counted as idle")
    if proposal.missing_pods and proposal.usage_ratio != 1:
        as_what = "at their whole request or target" if proposal.usage_ratio < 1 else "idle"
        told.append(f"{_pods(proposal.missing_pods)} without metrics, counted as {as_what}")
    return f"{', '.join(told)}: " if told else ""


def metric_label(metric: MetricSpec) -> str:
    """A metric's name for a reader: `cpu`, `cpu of app`, `queue`."""
    return f"{metric.name} of {metric.container}" if metric.container else metric.name or metric.type


def metric_target(metric: MetricSpec) -> str:
    """A metric with its target: `cpu at 70 % of request`, `queue at 30 a pod`."""
    label, target = metric_label(metric), metric.target
    if target.average_utilization is not None:
        return f"{label} at {target.average_utilization} % of request"
    total = target.value_m is not None
    return f"{label} at {amount(metric, target.value_m if total else target.average_value_m)}" + (
        "" if total else " a pod"
    )


def _reading(metric: MetricSpec, proposal: Proposal) -> str:
    label, target = metric_label(metric), metric.target
    if proposal.utilization is not None:
        return (
            f"{label} at {proposal.utilization} % of request against a target of "
            f"{target.average_utilization} %"
        )
    total = target.value_m is not None and metric.type in (MetricType.OBJECT, MetricType.EXTERNAL)
    wanted_m = target.value_m if total else target.average_value_m
    where = "" if total else " a pod"
    return (
        f"{label} at {amount(metric, proposal.value_m)}{where} against a target of {amount(metric, wanted_m)}"
    )


def amount(metric: MetricSpec, value_m: int | None) -> str:
    """Milli-units as people write them: `250m` cores, `400Mi`, `12.5`."""
    value_m = value_m or 0
    resource = metric.type in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE)
    if resource and metric.name == "memory":
        return f"{value_m / 1000 / 1024**2:.4g}Mi"
    if resource and metric.name == "cpu":
        return f"{value_m}m"
    return f"{value_m / 1000:g}"


def _stabilised(spec: HpaSpec, decision: HpaDecision, options: HpaOptions) -> list[str]:
    stable, proposed = decision.stabilized, decision.proposed
    if stable is None or proposed is None or stable.replicas == max(proposed, 0):
        return []
    behavior = spec.behavior
    window: float | None = options.downscale_stabilization_seconds
    if behavior is not None and stable.reason is StabilizeReason.UP:
        window = behavior.scale_up.stabilization_window_seconds
    elif behavior is not None and behavior.scale_down.stabilization_window_seconds is not None:
        window = behavior.scale_down.stabilization_window_seconds
    which = "lowest" if stable.reason is StabilizeReason.UP else "highest"
    return [f"the {which} recommendation of the last {window:g} s holds: {stable.replicas}"]


def _limited(spec: HpaSpec, limited: Limited, wanted: int, options: HpaOptions) -> list[str]:
    if limited.replicas == wanted:
        return []
    if limited.reason is LimitReason.TOO_MANY:
        return [f"maxReplicas: {limited.replicas}"]
    if limited.reason is LimitReason.TOO_FEW:
        return [f"minReplicas: {limited.replicas}"]
    if spec.behavior is None:
        factor, least = options.scale_up_limit_factor, options.scale_up_limit_minimum
        return [f"without behavior at most {factor:g} times the pods, or {least:g}: {limited.replicas}"]
    up = limited.reason is LimitReason.SCALE_UP_LIMIT
    rules = spec.behavior.scale_up if up else spec.behavior.scale_down
    name = "scaleUp" if up else "scaleDown"
    if rules.select_policy is SelectPolicy.DISABLED:
        return [f"{name} is disabled: {limited.replicas}"]
    return [f"{name} {_policies(limited.rate, up, rules.select_policy)}: {limited.replicas}"]


def _policies(rate: RateLimit | None, up: bool, select: SelectPolicy) -> str:
    allowances = rate.allowances if rate is not None else ()
    sign = "+" if up else "-"
    told = []
    for one in allowances:
        unit = "%" if one.policy.type is PolicyType.PERCENT else "pods"
        told.append(f"{one.start_replicas} {sign} {one.policy.value} {unit} in {one.policy.period_seconds} s")
    plural = "policies allow" if len(told) > 1 else "policy allows"
    link = " and " if select is SelectPolicy.MIN else " or "
    return f"{plural} {link.join(told)}"


def _pods(count: int) -> str:
    return f"{count} pod" if count == 1 else f"{count} pods"
