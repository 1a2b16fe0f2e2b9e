"""What a HorizontalPodAutoscaler asks for: its spec as types, with Kubernetes' defaults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DEFAULT_CPU_UTILIZATION = 80


class MetricType(StrEnum):
    """`spec.metrics[].type`."""

    RESOURCE = "Resource"
    CONTAINER_RESOURCE = "ContainerResource"
    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"


class TargetType(StrEnum):
    """`target.type` of a metric."""

    UTILIZATION = "Utilization"
    VALUE = "Value"
    AVERAGE_VALUE = "AverageValue"


class PolicyType(StrEnum):
    """`type` of a scaling policy."""

    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(StrEnum):
    """`selectPolicy` of a direction: which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class MetricTarget:
    """What a metric is held to: a percentage of the request, a mean per pod, or a total (milli-units)."""

    type: TargetType
    average_utilization: int | None = None
    average_value_m: int | None = None
    value_m: int | None = None


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One entry of `matchExpressions`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricSelector:
    """The label selector of a custom or external metric; prints as Kubernetes prints it in its messages."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[LabelRequirement, ...] = ()

    def __str__(self) -> str:
        labels = "".join(f"{key}: {value}," for key, value in sorted(self.match_labels))
        rules = "".join(
            f"LabelSelectorRequirement{{Key:{r.key},Operator:{r.operator},Values:[{' '.join(r.values)}],}},"
            for r in self.match_expressions
        )
        return (
            f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
            f"MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}"
        )


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One of `spec.metrics`.

    `type` is a `MetricType`; it is kept as text because the controller has a rule for a type that it does not
    know. `name` is the resource or the metric; `container` is for ContainerResource, `object_*` for Object.
    """

    type: str
    name: str = ""
    target: MetricTarget = MetricTarget(TargetType.UTILIZATION)
    container: str = ""
    selector: MetricSelector | None = None
    object_kind: str = ""
    object_name: str = ""


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """At most so many pods, or percent of the pods, in so many seconds."""

    type: PolicyType
    value: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """`behavior.scaleUp` or `behavior.scaleDown`; a window of None stands for the controller's flag."""

    stabilization_window_seconds: int | None
    select_policy: SelectPolicy
    policies: tuple[ScalingPolicy, ...]
    tolerance: float | None = None


# Source: Kubernetes, pkg/apis/autoscaling/v2/defaults.go.
DEFAULT_SCALE_UP = ScalingRules(
    0,
    SelectPolicy.MAX,
    (ScalingPolicy(PolicyType.PODS, 4, 15), ScalingPolicy(PolicyType.PERCENT, 100, 15)),
)
DEFAULT_SCALE_DOWN = ScalingRules(None, SelectPolicy.MAX, (ScalingPolicy(PolicyType.PERCENT, 100, 15),))


@dataclass(frozen=True, slots=True)
class Behavior:
    """`spec.behavior`, complete: a direction that was not written has its defaults."""

    scale_up: ScalingRules = DEFAULT_SCALE_UP
    scale_down: ScalingRules = DEFAULT_SCALE_DOWN


@dataclass(frozen=True, slots=True)
class ScaleTarget:
    """`spec.scaleTargetRef`."""

    kind: str = "Deployment"
    name: str = ""
    api_version: str = "apps/v1"


@dataclass(frozen=True, slots=True)
class HpaSpec:
    """A HorizontalPodAutoscaler; `behavior` is None when the manifest has none (other limits hold then)."""

    max_replicas: int
    metrics: tuple[MetricSpec, ...]
    min_replicas: int = 1
    behavior: Behavior | None = None
    target: ScaleTarget = ScaleTarget()
    name: str = ""
    namespace: str = "default"

    @property
    def reference(self) -> str:
        """The target as Kubernetes names it in its messages, for example `Deployment/default/web`."""
        return f"{self.target.kind}/{self.namespace}/{self.target.name}"


DEFAULT_METRICS = (
    MetricSpec(
        MetricType.RESOURCE,
        "cpu",
        MetricTarget(TargetType.UTILIZATION, average_utilization=DEFAULT_CPU_UTILIZATION),
    ),
)
