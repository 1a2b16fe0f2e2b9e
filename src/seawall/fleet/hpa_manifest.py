"""From a HorizontalPodAutoscaler manifest (autoscaling/v2 or v1) to an `HpaSpec`.

It is checked and completed as the API server checks and completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from seawall.fleet.errors import InputError
from seawall.fleet.hpa_spec import (
    DEFAULT_METRICS,
    DEFAULT_SCALE_DOWN,
    DEFAULT_SCALE_UP,
    Behavior,
    HpaSpec,
    LabelRequirement,
    MetricSelector,
    MetricSpec,
    MetricTarget,
    MetricType,
    PolicyType,
    ScaleTarget,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    TargetType,
)
from seawall.fleet.quantity import approximate_float, milli_value

KeyPath = tuple[str | int, ...]
LineOf = Callable[[KeyPath], int | None]
_Choice = TypeVar("_Choice", bound=StrEnum)

# Source: Kubernetes, pkg/apis/autoscaling/validation/validation.go.
_MAX_WINDOW_SECONDS = 3600
_MAX_PERIOD_SECONDS = 1800
_MAX_INT32 = (1 << 31) - 1


def parse_hpa(
    manifest: Any,
    *,
    file: str | Path | None = None,
    line_of: LineOf | None = None,
    scale_to_zero: bool = False,
) -> HpaSpec:
    """The autoscaler that a plain manifest (as loaded from YAML) describes, with all defaults filled in.

    `line_of` gives the line of a path of keys, for messages. `scale_to_zero` is the feature gate
    HPAScaleToZero, without which minReplicas is at least 1. InputError for what the API server would refuse.
    """
    root = _Node(manifest, (), file, line_of)
    if not isinstance(manifest, Mapping) or manifest.get("kind") != "HorizontalPodAutoscaler":
        raise root.fail("not a HorizontalPodAutoscaler")
    version = manifest.get("apiVersion")
    if version not in ("autoscaling/v2", "autoscaling/v1"):
        raise root.get("apiVersion").fail(
            f"{version!r} is not served by Kubernetes 1.36; write autoscaling/v2"
        )
    metadata = manifest.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise root.get("metadata").fail("expected a mapping with name")
    spec = root.get("spec")
    read = _spec_v2 if version == "autoscaling/v2" else _spec_v1
    if version == "autoscaling/v1":
        _refuse_annotations(root.get("metadata"))
    return read(spec, str(metadata.get("name", "")), str(metadata.get("namespace", "default")), scale_to_zero)


@dataclass(frozen=True, slots=True)
class _Node:
    """A place in the manifest: its value, its path, and how to find its line."""

    value: Any
    path: KeyPath
    file: str | Path | None
    line_of: LineOf | None

    def fail(self, message: str) -> InputError:
        line = self.line_of(self.path) if self.line_of is not None else None
        return InputError(f"{_dotted(self.path)}: {message}", file=self.file, line=line)

    def child(self, key: str | int, value: Any) -> _Node:
        return _Node(value, (*self.path, key), self.file, self.line_of)

    def get(self, key: str) -> _Node:
        return self.child(key, self.value.get(key))

    def mapping(self, known: Sequence[str]) -> _Node:
        if not isinstance(self.value, Mapping):
            raise self.fail(f"expected a mapping with {', '.join(known)}")
        for key in self.value:
            if key not in known:
                raise self.child(str(key), None).fail(f"unknown field; known here are {', '.join(known)}")
        return self

    def items(self) -> list[_Node]:
        if not isinstance(self.value, list):
            raise self.fail("expected a list")
        return [self.child(n, item) for n, item in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.fail("expected a name")
        return self.value

    def integer(self, low: int, high: int = _MAX_INT32) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.fail(f"expected a whole number, not {self.value!r}")
        if not low <= self.value <= high:
            raise self.fail(f"{self.value} is out of range; write a number from {low} to {high}")
        return self.value

    def positive_m(self) -> int:
        try:
            value = milli_value(self.value)
        except ValueError as error:
            raise self.fail(str(error)) from None
        if value <= 0:
            raise self.fail(f"{self.value!r} must be greater than 0")
        return value

    def choice(self, kind: type[_Choice]) -> _Choice:
        try:
            return kind(self.value)
        except ValueError:
            raise self.fail(f"{self.value!r} is none of {', '.join(kind)}") from None


def _dotted(path: KeyPath) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "manifest"


def _spec_v2(spec: _Node, name: str, namespace: str, scale_to_zero: bool) -> HpaSpec:
    spec.mapping(("scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior"))
    written = spec.get("metrics")
    metrics = tuple(_metric(item) for item in written.items()) if written.value else DEFAULT_METRICS
    return HpaSpec(
        min_replicas=_min_replicas(spec, metrics, scale_to_zero),
        max_replicas=_max_replicas(spec),
        metrics=metrics,
        behavior=None if spec.value.get("behavior") is None else _behavior(spec.get("behavior")),
        target=_scale_target(spec.get("scaleTargetRef")),
        name=name,
        namespace=namespace,
    )


def _spec_v1(spec: _Node, name: str, namespace: str, scale_to_zero: bool) -> HpaSpec:
    spec.mapping(("scaleTargetRef", "minReplicas", "maxReplicas", "targetCPUUtilizationPercentage"))
    percent = spec.get("targetCPUUtilizationPercentage")
    metrics = DEFAULT_METRICS
    if percent.value is not None:
        target = MetricTarget(TargetType.UTILIZATION, average_utilization=percent.integer(1))
        metrics = (MetricSpec(MetricType.RESOURCE, "cpu", target),)
    return HpaSpec(
        min_replicas=_min_replicas(spec, metrics, scale_to_zero),
        max_replicas=_max_replicas(spec),
        metrics=metrics,
        target=_scale_target(spec.get("scaleTargetRef")),
        name=name,
        namespace=namespace,
    )


def _refuse_annotations(metadata: _Node) -> None:
    annotations = (metadata.value or {}).get("annotations") or {}
    for key in ("autoscaling.alpha.kubernetes.io/metrics", "autoscaling.alpha.kubernetes.io/behavior"):
        if key in annotations:
            node = metadata.child("annotations", None).child(key, None)
            raise node.fail("metrics and behaviour in annotations are not read; write them as autoscaling/v2")


def _min_replicas(spec: _Node, metrics: Sequence[MetricSpec], scale_to_zero: bool) -> int:
    node = spec.get("minReplicas")
    if node.value is None:
        return 1
    if node.value == 0 and not isinstance(node.value, bool) and not scale_to_zero:
        raise node.fail("0 needs the feature gate HPAScaleToZero (alpha, off in 1.36); write 1")
    low = node.integer(0)
    if low == 0 and not any(m.type in (MetricType.OBJECT, MetricType.EXTERNAL) for m in metrics):
        raise node.fail("0 needs at least one Object or External metric; write 1")
    return low


def _max_replicas(spec: _Node) -> int:
    node = spec.get("maxReplicas")
    if node.value is None:
        raise node.fail("missing; write the largest number of pods")
    high = node.integer(1)
    low = spec.value.get("minReplicas")
    if isinstance(low, int) and high < low:
        raise node.fail(f"{high} is less than minReplicas {low}")
    return high


def _scale_target(node: _Node) -> ScaleTarget:
    if node.value is None:
        raise node.fail("missing; write kind, name and apiVersion of what is to be scaled")
    node.mapping(("apiVersion", "kind", "name"))
    return ScaleTarget(
        node.get("kind").text(), node.get("name").text(), str(node.value.get("apiVersion", ""))
    )


_SOURCES = {
    MetricType.RESOURCE: ("resource", ("name", "target")),
    MetricType.CONTAINER_RESOURCE: ("containerResource", ("name", "container", "target")),
    MetricType.PODS: ("pods", ("metric", "target")),
    MetricType.OBJECT: ("object", ("describedObject", "metric", "target")),
    MetricType.EXTERNAL: ("external", ("metric", "target")),
}
_TARGETS = {
    MetricType.RESOURCE: (TargetType.UTILIZATION, TargetType.AVERAGE_VALUE),
    MetricType.CONTAINER_RESOURCE: (TargetType.UTILIZATION, TargetType.AVERAGE_VALUE),
    MetricType.PODS: (TargetType.AVERAGE_VALUE,),
    MetricType.OBJECT: (TargetType.VALUE, TargetType.AVERAGE_VALUE),
    MetricType.EXTERNAL: (TargetType.VALUE, TargetType.AVERAGE_VALUE),
}


def _metric(node: _Node) -> MetricSpec:
    node.mapping(("type", *(source for source, _ in _SOURCES.values())))
    kind = node.get("type").choice(MetricType)
    field, known = _SOURCES[kind]
    source = node.get(field)
    if source.value is None:
        raise node.fail(f"type {kind} needs {field}")
    source.mapping(known)
    target = _metric_target(source.get("target"), _TARGETS[kind])
    if kind in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE):
        container = source.get("container").text() if kind is MetricType.CONTAINER_RESOURCE else ""
        return MetricSpec(kind, source.get("name").text(), target, container=container)
    metric = source.get("metric").mapping(("name", "selector"))
    described = ScaleTarget(kind="")
    if kind is MetricType.OBJECT:
        described = _scale_target(source.get("describedObject"))
    return MetricSpec(
        kind,
        metric.get("name").text(),
        target,
        selector=_selector(metric.get("selector")),
        object_kind=described.kind,
        object_name=described.name,
    )


def _metric_target(node: _Node, allowed: Sequence[TargetType]) -> MetricTarget:
    if node.value is None:
        raise node.fail(f"missing; write a target of type {' or '.join(allowed)}")
    fields = {
        TargetType.UTILIZATION: "averageUtilization",
        TargetType.AVERAGE_VALUE: "averageValue",
        TargetType.VALUE: "value",
    }
    node.mapping(("type", *fields.values()))
    kind = node.get("type").choice(TargetType)
    if kind not in allowed:
        raise node.get("type").fail(f"{kind} cannot be used here; write {' or '.join(allowed)}")
    value = node.get(fields[kind])
    if value.value is None:
        raise node.fail(f"type {kind} needs {fields[kind]}")
    if kind is TargetType.UTILIZATION:
        return MetricTarget(kind, average_utilization=value.integer(1))
    if kind is TargetType.AVERAGE_VALUE:
        return MetricTarget(kind, average_value_m=value.positive_m())
    return MetricTarget(kind, value_m=value.positive_m())


def _selector(node: _Node) -> MetricSelector | None:
    if node.value is None:
        return None
    node.mapping(("matchLabels", "matchExpressions"))
    labels = node.value.get("matchLabels") or {}
    if not isinstance(labels, Mapping):
        raise node.get("matchLabels").fail("expected a mapping of labels")
    rules = node.get("matchExpressions")
    parsed = []
    for rule in rules.items() if rules.value else []:
        rule.mapping(("key", "operator", "values"))
        listed = rule.get("values")
        values = tuple(str(item.value) for item in listed.items()) if listed.value else ()
        parsed.append(LabelRequirement(rule.get("key").text(), rule.get("operator").text(), values))
    return MetricSelector(tuple((str(k), str(v)) for k, v in labels.items()), tuple(parsed))


def _behavior(node: _Node) -> Behavior:
    node.mapping(("scaleUp", "scaleDown"))
    return Behavior(
        _rules(node.get("scaleUp"), DEFAULT_SCALE_UP),
        _rules(node.get("scaleDown"), DEFAULT_SCALE_DOWN),
    )


def _rules(node: _Node, default: ScalingRules) -> ScalingRules:
    if node.value is None:
        return default
    node.mapping(("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"))
    window, select, policies = (
        node.get(key) for key in ("stabilizationWindowSeconds", "selectPolicy", "policies")
    )
    if policies.value is not None and not policies.items():
        raise policies.fail("empty; write at least one policy, or leave it out for the default")
    return ScalingRules(
        default.stabilization_window_seconds
        if window.value is None
        else window.integer(0, _MAX_WINDOW_SECONDS),
        default.select_policy if select.value is None else select.choice(SelectPolicy),
        default.policies if policies.value is None else tuple(_policy(item) for item in policies.items()),
        _tolerance(node.get("tolerance")),
    )


def _policy(node: _Node) -> ScalingPolicy:
    node.mapping(("type", "value", "periodSeconds"))
    return ScalingPolicy(
        node.get("type").choice(PolicyType),
        node.get("value").integer(1),
        node.get("periodSeconds").integer(1, _MAX_PERIOD_SECONDS),
    )


def _tolerance(node: _Node) -> float | None:
    if node.value is None:
        return None
    try:
        tolerance = approximate_float(node.value)
    except ValueError as error:
        raise node.fail(str(error)) from None
    if tolerance < 0:
        raise node.fail(f"{node.value!r} must not be negative")
    return tolerance
