"""What an HPA remembers: its status, kept by the API server, and the controller's memory, lost with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class ConditionType(StrEnum):
    """`status.conditions[].type`."""

    ABLE_TO_SCALE = "AbleToScale"
    SCALING_ACTIVE = "ScalingActive"
    SCALING_LIMITED = "ScalingLimited"
    SCALED_TO_ZERO = "ScaledToZero"


@dataclass(frozen=True, slots=True)
class Condition:
    """One of `status.conditions`; a message of None is not known (and not compared)."""

    type: str
    status: bool
    reason: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class MetricStatus:
    """One of `status.currentMetrics`; all empty for a metric that could not be computed."""

    type: str = ""
    name: str = ""
    container: str = ""
    value_m: int | None = None
    average_value_m: int | None = None
    average_utilization: int | None = None


EMPTY_STATUS = MetricStatus()


@dataclass(frozen=True, slots=True)
class HpaStatus:
    """The HPA's status; `current_metrics` of None is not known (and not compared)."""

    current_replicas: int = 0
    desired_replicas: int = 0
    conditions: tuple[Condition, ...] = ()
    current_metrics: tuple[MetricStatus, ...] | None = ()

    def with_condition(self, kind: ConditionType, status: bool, reason: str, message: str) -> HpaStatus:
        """With this condition set: in its old place if it was there, else at the end."""
        new = Condition(kind, status, reason, message)
        if any(c.type == kind for c in self.conditions):
            return replace(self, conditions=tuple(new if c.type == kind else c for c in self.conditions))
        return replace(self, conditions=(*self.conditions, new))

    def without_condition(self, kind: ConditionType) -> HpaStatus:
        """Without this condition."""
        return replace(self, conditions=tuple(c for c in self.conditions if c.type != kind))

    def is_true(self, kind: ConditionType) -> bool:
        """Whether the condition is there and True."""
        return any(c.type == kind and c.status for c in self.conditions)

    def differs_from(self, other: HpaStatus) -> bool:
        """Whether what is known of both differs."""
        if (self.current_replicas, self.desired_replicas) != (other.current_replicas, other.desired_replicas):
            return True
        known = self.current_metrics is not None and other.current_metrics is not None
        if known and self.current_metrics != other.current_metrics:
            return True
        if len(self.conditions) != len(other.conditions):
            return True
        return any(_differ(a, b) for a, b in zip(self.conditions, other.conditions, strict=True))


def _differ(a: Condition, b: Condition) -> bool:
    if (a.type, a.status, a.reason) != (b.type, b.status, b.reason):
        return True
    return a.message is not None and b.message is not None and a.message != b.message


@dataclass(frozen=True, slots=True)
class Recommendation:
    """How many replicas the metrics asked for, unstabilised, at a time (seconds)."""

    replicas: int
    at: float


@dataclass(frozen=True, slots=True)
class ScaleEvent:
    """By how many pods the target was scaled (positive in either direction) at a time (seconds).

    An outdated event is a place that the next one takes.
    """

    change: int
    at: float
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class HpaState:
    """`recommendations` of None: the controller has not met this HPA yet."""

    status: HpaStatus = HpaStatus()
    recommendations: tuple[Recommendation, ...] | None = None
    up_events: tuple[ScaleEvent, ...] = ()
    down_events: tuple[ScaleEvent, ...] = ()

    def after_controller_restart(self) -> HpaState:
        """Only what the API server keeps."""
        return HpaState(self.status)
