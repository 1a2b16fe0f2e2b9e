"""From what the metrics ask for to what may be done: stabilisation windows, policies, minimum and maximum.

Source: Kubernetes 1.36, pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendation*,
convertDesiredReplicasWith*, calculateScale*, storeScaleEvent). All times are seconds on one clock; windows
are compared in microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from seawall.control.hpa.integers import MAX_INT32, MIN_INT32, ceil, int32_of, wrap32
from seawall.control.hpa.state import Recommendation, ScaleEvent
from seawall.fleet.hpa_spec import Behavior, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy


class LimitReason(StrEnum):
    """The reason of the condition ScalingLimited."""

    WITHIN_RANGE = "DesiredWithinRange"
    SCALE_UP_LIMIT = "ScaleUpLimit"
    SCALE_DOWN_LIMIT = "ScaleDownLimit"
    TOO_MANY = "TooManyReplicas"
    TOO_FEW = "TooFewReplicas"


LIMIT_MESSAGES = {
    LimitReason.WITHIN_RANGE: "the desired count is within the acceptable range",
    LimitReason.SCALE_UP_LIMIT: "the desired replica count is increasing faster than the maximum scale rate",
    LimitReason.SCALE_DOWN_LIMIT: (
        "the desired replica count is decreasing faster than the maximum scale rate"
    ),
    LimitReason.TOO_MANY: "the desired replica count is more than the maximum replica count",
    LimitReason.TOO_FEW: "the desired replica count is less than the minimum replica count",
}


class StabilizeReason(StrEnum):
    """The reason of the condition AbleToScale when a window changed the recommendation."""

    UP = "ScaleUpStabilized"
    DOWN = "ScaleDownStabilized"


STABILIZE_MESSAGES = {
    StabilizeReason.UP: (
        "recent recommendations were lower than current one, applying the lowest recent recommendation"
    ),
    StabilizeReason.DOWN: (
        "recent recommendations were higher than current one, applying the highest recent recommendation"
    ),
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one policy allows: from `start_replicas` at the beginning of its period to `replicas`."""

    policy: ScalingPolicy
    start_replicas: int
    replicas: int


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The limit of one direction and the policies that it comes from (none: the direction is disabled)."""

    replicas: int
    allowances: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True)
class Limited:
    """Replicas after limits, why, and the rate limit if there was one to look at."""

    replicas: int
    reason: LimitReason
    rate: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Stabilized:
    """Replicas after the windows, the reason that holds if they changed anything, and the new log."""

    replicas: int
    reason: StabilizeReason
    recommendations: tuple[Recommendation, ...]


def _before(a: float, b: float) -> bool:
    return round(a * 1e6) < round(b * 1e6)


_Entry = TypeVar("_Entry")


def _stored(log: Sequence[_Entry], entry: _Entry, place: int | None) -> tuple[_Entry, ...]:
    """The log with the entry in an old one's place, or at its end."""
    if place is None:
        return (*log, entry)
    return (*log[:place], entry, *log[place + 1 :])


def stabilize(
    recommendations: Sequence[Recommendation], desired: int, window_seconds: float, now: float
) -> Stabilized:
    """Without behavior: the largest recommendation of the downscale window, `desired` among them."""
    highest, place = desired, None
    cutoff = now - window_seconds
    for index, past in enumerate(recommendations):
        if _before(past.at, cutoff):
            place = index
        else:
            highest = max(highest, past.replicas)
    log = _stored(recommendations, Recommendation(desired, now), place)
    return Stabilized(highest, StabilizeReason.DOWN, log)


def stabilize_behavior(
    recommendations: Sequence[Recommendation],
    current: int,
    desired: int,
    up_window_seconds: float,
    down_window_seconds: float,
    now: float,
) -> Stabilized:
    """With behavior: up to the lowest recommendation of the up window, down to the highest of the other."""
    lowest = highest = desired
    up_cutoff, down_cutoff, place = now - up_window_seconds, now - down_window_seconds, None
    for index, past in enumerate(recommendations):
        if _before(up_cutoff, past.at):
            lowest = min(lowest, past.replicas)
        if _before(down_cutoff, past.at):
            highest = max(highest, past.replicas)
        if _before(past.at, up_cutoff) and _before(past.at, down_cutoff):
            place = index
    log = _stored(recommendations, Recommendation(desired, now), place)
    reason = StabilizeReason.UP if desired >= current else StabilizeReason.DOWN
    return Stabilized(min(max(current, lowest), highest), reason, log)


def change_in_period(events: Sequence[ScaleEvent], period_seconds: float, now: float) -> int:
    """By how many pods the events of the last `period_seconds` changed the target."""
    cutoff = now - period_seconds
    return wrap32(sum(event.change for event in events if _before(cutoff, event.at)))


def store_event(
    events: Sequence[ScaleEvent], change: int, rules: ScalingRules | None, now: float
) -> tuple[ScaleEvent, ...]:
    """The events with a new one: in the place of the last one that no policy can still see, or at the end.

    Without rules (an HPA without behavior) nothing is stored.
    """
    if rules is None:
        return tuple(events)
    longest = max((policy.period_seconds for policy in rules.policies), default=0)
    marked = [replace(e, outdated=True) if _before(e.at, now - longest) else e for e in events]
    outdated = [index for index, event in enumerate(marked) if event.outdated]
    return _stored(marked, ScaleEvent(change, now), outdated[-1] if outdated else None)


def scale_up_limit(
    current: int,
    up_events: Sequence[ScaleEvent],
    down_events: Sequence[ScaleEvent],
    rules: ScalingRules,
    now: float,
) -> RateLimit:
    """The most replicas that the policies of `behavior.scaleUp` allow now."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return RateLimit(current)
    allowances = []
    for policy, start in _period_starts(current, up_events, down_events, rules, now):
        if policy.type is PolicyType.PODS:
            allowed = wrap32(start + policy.value)
        else:
            # Rounded up: a percentage of few pods would otherwise never add one.
            allowed = int32_of(ceil(float(start) * (1 + float(policy.value) / 100)))
        allowances.append(Allowance(policy, start, allowed))
    pick = _fewest if rules.select_policy is SelectPolicy.MIN else _most
    return RateLimit(pick(allowances), tuple(allowances))


def scale_down_limit(
    current: int,
    up_events: Sequence[ScaleEvent],
    down_events: Sequence[ScaleEvent],
    rules: ScalingRules,
    now: float,
) -> RateLimit:
    """The fewest replicas that the policies of `behavior.scaleDown` allow now."""
    if rules.select_policy is SelectPolicy.DISABLED:
        return RateLimit(current)
    allowances = []
    for policy, start in _period_starts(current, up_events, down_events, rules, now):
        if policy.type is PolicyType.PODS:
            allowed = wrap32(start - policy.value)
        else:
            allowed = int32_of(float(start) * (1 - float(policy.value) / 100))
        allowances.append(Allowance(policy, start, allowed))
    pick = _most if rules.select_policy is SelectPolicy.MIN else _fewest
    return RateLimit(pick(allowances), tuple(allowances))


def _fewest(allowances: Sequence[Allowance]) -> int:
    return min((a.replicas for a in allowances), default=MAX_INT32)


def _most(allowances: Sequence[Allowance]) -> int:
    return max((a.replicas for a in allowances), default=MIN_INT32)


def _period_starts(
    current: int,
    up_events: Sequence[ScaleEvent],
    down_events: Sequence[ScaleEvent],
    rules: ScalingRules,
    now: float,
) -> list[tuple[ScalingPolicy, int]]:
    """Each policy with the replicas that there were when its period began."""
    starts = []
    for policy in rules.policies:
        added = change_in_period(up_events, policy.period_seconds, now)
        deleted = change_in_period(down_events, policy.period_seconds, now)
        starts.append((policy, wrap32(current - added + deleted)))
    return starts


def limit_with_behavior(
    current: int,
    desired: int,
    low: int,
    high: int,
    behavior: Behavior,
    up_events: Sequence[ScaleEvent],
    down_events: Sequence[ScaleEvent],
    now: float,
) -> Limited:
    """With behavior: the (stabilised) desired replicas within the policies, `low` and `high`."""
    if desired > current:
        rate = scale_up_limit(current, up_events, down_events, behavior.scale_up, now)
        allowed = max(rate.replicas, current)
        rated = high > allowed
        if desired > min(high, allowed):
            reason = LimitReason.SCALE_UP_LIMIT if rated else LimitReason.TOO_MANY
            return Limited(min(high, allowed), reason, rate)
        return Limited(desired, LimitReason.WITHIN_RANGE, rate)
    if desired < current:
        rate = scale_down_limit(current, up_events, down_events, behavior.scale_down, now)
        allowed = min(rate.replicas, current)
        rated = low < allowed
        if desired < max(low, allowed):
            reason = LimitReason.SCALE_DOWN_LIMIT if rated else LimitReason.TOO_FEW
            return Limited(max(low, allowed), reason, rate)
        return Limited(desired, LimitReason.WITHIN_RANGE, rate)
    return Limited(desired, LimitReason.WITHIN_RANGE)


def limit_without_behavior(
    current: int, desired: int, low: int, high: int, factor: float, minimum: float
) -> Limited:
    """Without behavior: within `low`, `high` and max(factor * current, minimum)."""
    cap = int32_of(max(factor * float(current), minimum))
    rate = RateLimit(cap)
    if desired < low:
        return Limited(low, LimitReason.TOO_FEW, rate)
    if desired > min(high, cap):
        return Limited(
            min(high, cap), LimitReason.SCALE_UP_LIMIT if high > cap else LimitReason.TOO_MANY, rate
        )
    return Limited(desired, LimitReason.WITHIN_RANGE, rate)
