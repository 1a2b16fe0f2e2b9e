"""One sync of the HPA controller: what it sees and remembers in, its decision and new memory out.

Source: Kubernetes 1.36, pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from seawall.control.hpa.limits import (
    LIMIT_MESSAGES,
    STABILIZE_MESSAGES,
    Limited,
    Stabilized,
    limit_with_behavior,
    limit_without_behavior,
    stabilize,
    stabilize_behavior,
    store_event,
)
from seawall.control.hpa.metrics import Evaluation, evaluate
from seawall.control.hpa.observation import HpaObservation
from seawall.control.hpa.options import HpaOptions
from seawall.control.hpa.selectors import selector_error
from seawall.control.hpa.state import ConditionType, HpaState, HpaStatus, Recommendation
from seawall.fleet.hpa_spec import HpaSpec, MetricType

ABOVE_MAX = "Current number of replicas above Spec.MaxReplicas"
BELOW_MIN = "Current number of replicas below Spec.MinReplicas"
ALL_BELOW = "All metrics below target"
DEFAULT_OPTIONS = HpaOptions()


class Action(StrEnum):
    """The controller's own label for what a sync did."""

    NONE = "none"
    SCALE_UP = "scale_up"
    SCALE_DOWN = "scale_down"


class ErrorLabel(StrEnum):
    """The controller's own label for what went wrong: nothing, the HPA's spec, anything else."""

    NONE = "none"
    SPEC = "spec"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class HpaDecision:
    """What a sync decided and why.

    `proposed`: the largest proposal over the metrics, None if none was computed; `metric`: where it comes
    from. `desired`: what `spec.replicas` is to be, None after an error that stops the sync; `rescaled`:
    whether it is written, for the `reason`. `error`: the controller's, "" if none; with `desired` set, some
    metrics failed. `status`: the HPA's status afterwards; `status_changed`: whether it would be written.

    For the explanation: `evaluations` of the metrics; `stabilized` and `limited`, None where that step was
    not reached; `raised_to_min`: a workload that the HPA had scaled to zero got minReplicas.
    """

    proposed: int | None
    metric: str
    desired: int | None
    rescaled: bool
    reason: str
    error: str
    error_label: ErrorLabel
    action: Action
    status: HpaStatus
    status_changed: bool
    evaluations: tuple[Evaluation, ...] = ()
    stabilized: Stabilized | None = None
    limited: Limited | None = None
    raised_to_min: bool = False


@dataclass(frozen=True, slots=True)
class _Course:
    """Where a sync stands: memory and status so far, and what it is going to do.

    `desired` is None when it stops with `error`.
    """

    state: HpaState
    status: HpaStatus
    desired: int | None = None
    reason: str = ""
    proposed: int | None = None
    metric: str = ""
    error: str = ""
    error_label: ErrorLabel = ErrorLabel.INTERNAL
    action: Action = Action.NONE
    evaluations: tuple[Evaluation, ...] = ()
    stabilized: Stabilized | None = None
    limited: Limited | None = None
    raised_to_min: bool = False


def sync(
    spec: HpaSpec,
    state: HpaState,
    seen: HpaObservation,
    now: float,
    options: HpaOptions = DEFAULT_OPTIONS,
    *,
    done_at: float | None = None,
) -> tuple[HpaState, HpaDecision]:
    """One run of the controller for one HPA.

    `now` (seconds) is the time of the decision, from which windows and policy periods count back; `done_at`
    is when the write of the new scale returned (default `now`), the stamp of the scale event. The caller
    applies `decision.desired` when `decision.rescaled`.
    """
    taken_at = now if seen.taken_at is None else seen.taken_at
    start = _Course(state, state.status)
    course = _scale_failure(spec, start, seen)
    if course is None:
        course = _remembered(start, seen.scale.spec_replicas, taken_at)
        course = _decide(spec, course, seen, taken_at, now, options)
        if course.desired is not None and course.desired != seen.scale.spec_replicas:
            course = _rescale(spec, course, seen, now if done_at is None else done_at, options)
        course = replace(course, status=_counted(course, seen.scale.spec_replicas))
    decision = HpaDecision(
        proposed=course.proposed,
        metric=course.metric,
        desired=course.desired,
        rescaled=course.action is not Action.NONE,
        reason=course.reason if course.action is not Action.NONE else "",
        error=course.error,
        error_label=course.error_label if course.error else ErrorLabel.NONE,
        action=course.action,
        status=course.status,
        status_changed=course.action is not Action.NONE or course.status.differs_from(state.status),
        evaluations=course.evaluations,
        stabilized=course.stabilized,
        limited=course.limited,
        raised_to_min=course.raised_to_min,
    )
    return replace(course.state, status=course.status), decision


def _counted(course: _Course, current: int) -> HpaStatus:
    """The status with its numbers; a sync that stopped leaves the desired replicas as they were."""
    desired = course.status.desired_replicas if course.desired is None else course.desired
    metrics = tuple(one.status for one in course.evaluations)
    return replace(course.status, current_replicas=current, desired_replicas=desired, current_metrics=metrics)


def _scale_failure(spec: HpaSpec, course: _Course, seen: HpaObservation) -> _Course | None:
    """The end of a sync whose target cannot be read, or None."""
    label = ErrorLabel.INTERNAL
    if spec.target.api_version.count("/") > 1:
        cause = f"unexpected GroupVersion string: {spec.target.api_version}"
        error, label = f"invalid API version in scale target reference: {cause}", ErrorLabel.SPEC
    elif seen.scale.error is not None:
        cause = seen.scale.error
        error = f"failed to query scale subresource for {spec.reference}: {cause}"
    else:
        return None
    message = f"the HPA controller was unable to get the target's current scale: {cause}"
    status = course.status.with_condition(ConditionType.ABLE_TO_SCALE, False, "FailedGetScale", message)
    return replace(course, status=status, error=error, error_label=label)


def _remembered(course: _Course, current: int, at: float) -> _Course:
    """With the target read, and the current replicas as the first recommendation of an HPA not met before."""
    message = "the HPA controller was able to get the target's current scale"
    status = course.status.with_condition(ConditionType.ABLE_TO_SCALE, True, "SucceededGetScale", message)
    state = course.state
    if state.recommendations is None:
        state = replace(state, recommendations=(Recommendation(current, at),))
    return replace(course, state=state, status=status)


def _decide(
    spec: HpaSpec, course: _Course, seen: HpaObservation, taken_at: float, now: float, options: HpaOptions
) -> _Course:
    """The desired replicas: by a shortcut that asks no metric, or from the metrics within the limits."""
    current = seen.scale.spec_replicas
    scaled_to_zero = options.scale_to_zero and course.status.is_true(ConditionType.SCALED_TO_ZERO)
    if current == 0:
        if not scaled_to_zero or (spec.min_replicas == 0 and not _counts_without_pods(spec)):
            return _disabled(course, options)
    elif current > spec.max_replicas:
        return replace(course, desired=spec.max_replicas, reason=ABOVE_MAX)
    elif current < spec.min_replicas:
        return replace(course, desired=spec.min_replicas, reason=BELOW_MIN)

    course = _propose(spec, course, seen, taken_at, options)
    if course.proposed is None:
        return course
    wanted, reason = max(course.proposed, 0), ""
    if wanted > current:
        reason = f"{course.metric} above target"
    elif wanted < current:
        reason = ALL_BELOW
    course = _normalise(spec, course, current, wanted, now, options)
    desired = course.desired
    if current == 0 and desired is not None and desired < spec.min_replicas:
        # Scaled to zero by this HPA, and minReplicas raised since.
        course, desired = replace(course, raised_to_min=True), spec.min_replicas
        reason = reason or BELOW_MIN
    return replace(course, desired=desired, reason=reason)


def _counts_without_pods(spec: HpaSpec) -> bool:
    """Whether some metric can be read while there are no pods."""
    return any(metric.type in (MetricType.OBJECT, MetricType.EXTERNAL) for metric in spec.metrics)


def _disabled(course: _Course, options: HpaOptions) -> _Course:
    """At zero replicas that this HPA did not set itself, it does nothing."""
    message = "scaling is disabled since the replica count of the target is zero"
    status = course.status.with_condition(ConditionType.SCALING_ACTIVE, False, "ScalingDisabled", message)
    if not options.scale_to_zero:
        status = status.without_condition(ConditionType.SCALED_TO_ZERO)
    return replace(course, status=status, desired=0)


def _propose(
    spec: HpaSpec, course: _Course, seen: HpaObservation, taken_at: float, options: HpaOptions
) -> _Course:
    """The largest proposal; none if all metrics failed, or some did and the rest would scale down."""
    current = seen.scale.spec_replicas
    bad = _selector_failure(seen)
    if bad is not None:
        reason, error, message = bad
        status = course.status.with_condition(ConditionType.SCALING_ACTIVE, False, reason, message)
        return _failed(spec, replace(course, status=status), error)
    found = tuple(
        evaluate(spec, metric, reading, seen, taken_at, options)
        for metric, reading in zip(spec.metrics, seen.metrics, strict=True)
    )
    course = replace(course, evaluations=found)
    replicas, name = 0, ""
    for one in found:
        # A first proposal of 0 is overwritten by any later one, as in the original.
        if one.proposal is not None and (replicas == 0 or one.proposal.replicas > replicas):
            replicas, name = one.proposal.replicas, one.name
    failures = [one for one in found if one.proposal is None]
    error = ""
    if failures:
        error = (
            f"invalid metrics ({len(failures)} invalid out of {len(found)}), "
            f"first error is: {failures[0].error}"
        )
    if len(failures) == len(found) or (failures and replicas < current):
        first = failures[0]
        reason, cause = first.failure_reason, first.failure_cause
        message = f"the HPA was unable to compute the replica count: {cause}"
        status = course.status.with_condition(ConditionType.SCALING_ACTIVE, False, reason, message)
        return _failed(spec, replace(course, status=status), error)
    message = f"the HPA was able to successfully calculate a replica count from {name}"
    status = course.status.with_condition(ConditionType.SCALING_ACTIVE, True, "ValidMetricFound", message)
    return replace(course, status=status, proposed=replicas, metric=name, error=error)


def _selector_failure(seen: HpaObservation) -> tuple[str, str, str] | None:
    """Reason, error and message if the target's selector is no good for finding its pods."""
    selector = seen.scale.selector
    if not selector:
        message = "the HPA target's scale is missing a selector"
        return "InvalidSelector", "selector is required", message
    wrong = selector_error(selector)
    if wrong is not None:
        error = f"couldn't convert selector into a corresponding internal selector object: {wrong}"
        return "InvalidSelector", error, error
    if seen.other_hpas and len(seen.pods) > 0:
        others = " ".join(f"{{{name} {namespace}}}" for name, namespace in seen.other_hpas)
        error = f"pods by selector {selector} are controlled by multiple HPAs: [{others}]"
        return "AmbiguousSelector", error, error
    return None


def _failed(spec: HpaSpec, course: _Course, error: str) -> _Course:
    """The end of a sync in which no metric may be followed."""
    prefix = f"failed to compute desired number of replicas based on listed metrics for {spec.reference}: "
    return replace(course, error=prefix + error)


def _normalise(
    spec: HpaSpec, course: _Course, current: int, desired: int, now: float, options: HpaOptions
) -> _Course:
    """Stabilised, then limited; both steps leave their condition."""
    state, behavior = course.state, spec.behavior
    past = state.recommendations or ()
    if behavior is None:
        stable = stabilize(past, desired, options.downscale_stabilization_seconds, now)
        limited = limit_without_behavior(
            current,
            stable.replicas,
            spec.min_replicas,
            spec.max_replicas,
            options.scale_up_limit_factor,
            options.scale_up_limit_minimum,
        )
    else:
        up = behavior.scale_up.stabilization_window_seconds or 0
        down = behavior.scale_down.stabilization_window_seconds
        down_window = options.downscale_stabilization_seconds if down is None else down
        stable = stabilize_behavior(past, current, desired, up, down_window, now)
        limited = limit_with_behavior(
            current,
            stable.replicas,
            spec.min_replicas,
            spec.max_replicas,
            behavior,
            state.up_events,
            state.down_events,
            now,
        )
    changed = stable.replicas != desired
    able = stable.reason.value if changed else "ReadyForNewScale"
    message = STABILIZE_MESSAGES[stable.reason] if changed else "recommended size matches current size"
    status = course.status.with_condition(ConditionType.ABLE_TO_SCALE, True, able, message)
    status = status.with_condition(
        ConditionType.SCALING_LIMITED,
        limited.replicas != stable.replicas,
        limited.reason,
        LIMIT_MESSAGES[limited.reason],
    )
    return replace(
        course,
        state=replace(state, recommendations=stable.recommendations),
        status=status,
        desired=limited.replicas,
        stabilized=stable,
        limited=limited,
    )


def _rescale(
    spec: HpaSpec, course: _Course, seen: HpaObservation, done_at: float, options: HpaOptions
) -> _Course:
    """The new scale written, or the sync ended because it could not be."""
    current, desired = seen.scale.spec_replicas, course.desired
    assert desired is not None
    if seen.scale.update_error is not None:
        cause = seen.scale.update_error
        message = f"the HPA controller was unable to update the target scale: {cause}"
        status = course.status.with_condition(
            ConditionType.ABLE_TO_SCALE, False, "FailedUpdateScale", message
        )
        return replace(
            course, status=status, desired=None, error=f"failed to rescale {spec.reference}: {cause}"
        )
    message = f"the HPA controller was able to update the target scale to {desired}"
    status = course.status.with_condition(ConditionType.ABLE_TO_SCALE, True, "SucceededRescale", message)
    status = _scaled_to_zero(spec, status, current, desired, options)
    state = _with_event(spec, course.state, current, desired, done_at)
    action = Action.SCALE_UP if desired > current else Action.SCALE_DOWN
    return replace(course, state=state, status=status, action=action)


def _scaled_to_zero(
    spec: HpaSpec, status: HpaStatus, current: int, desired: int, options: HpaOptions
) -> HpaStatus:
    """The condition by which an HPA knows later that it was itself who scaled to zero."""
    if not options.scale_to_zero:
        return status.without_condition(ConditionType.SCALED_TO_ZERO)
    if current > 0 and desired == 0 and spec.min_replicas == 0 and _counts_without_pods(spec):
        message = "the HPA controller scaled the workload to zero"
        return status.with_condition(ConditionType.SCALED_TO_ZERO, True, "ScaledToZero", message)
    message = "the HPA controller did not scale the workload to zero"
    return status.with_condition(ConditionType.SCALED_TO_ZERO, False, "NotScaledToZero", message)


def _with_event(spec: HpaSpec, state: HpaState, current: int, desired: int, at: float) -> HpaState:
    """The scale event remembered, for the policies of later syncs."""
    behavior = spec.behavior
    if desired > current:
        rules = None if behavior is None else behavior.scale_up
        return replace(state, up_events=store_event(state.up_events, desired - current, rules, at))
    rules = None if behavior is None else behavior.scale_down
    return replace(state, down_events=store_event(state.down_events, current - desired, rules, at))
