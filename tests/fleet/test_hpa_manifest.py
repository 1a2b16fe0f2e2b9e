"""An autoscaler manifest is completed as the API server completes it, or refused in plain words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from seawall.fleet.errors import InputError
from seawall.fleet.hpa_manifest import parse_hpa
from seawall.fleet.hpa_spec import (
    DEFAULT_METRICS,
    DEFAULT_SCALE_DOWN,
    DEFAULT_SCALE_UP,
    Behavior,
    MetricType,
    PolicyType,
    ScalingPolicy,
    SelectPolicy,
    TargetType,
)
from seawall.fleet.quantity import approximate_float, exact_quantity, milli_value

HEAD = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 10
"""


def manifest(text: str = "") -> Any:
    return yaml.safe_load(HEAD + text)


def test_defaults() -> None:
    spec = parse_hpa(manifest())
    assert (spec.min_replicas, spec.max_replicas, spec.metrics) == (1, 10, DEFAULT_METRICS)
    assert spec.metrics[0].target.average_utilization == 80
    assert spec.behavior is None
    assert spec.reference == "Deployment/shop/web"


def test_an_empty_behavior_gets_all_its_defaults() -> None:
    assert parse_hpa(manifest("  behavior: {}\n")).behavior == Behavior(DEFAULT_SCALE_UP, DEFAULT_SCALE_DOWN)


def test_what_is_written_of_a_behavior_is_kept() -> None:
    behavior = parse_hpa(
        manifest(
            """
  behavior:
    scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 7}], tolerance: 300m}
    scaleDown: {stabilizationWindowSeconds: 0, selectPolicy: Disabled}
"""
        )
    ).behavior
    assert behavior is not None
    assert behavior.scale_up.policies == (ScalingPolicy(PolicyType.PODS, 2, 7),)
    assert behavior.scale_up.tolerance == 0.3
    assert behavior.scale_up.select_policy is SelectPolicy.MAX
    assert behavior.scale_down.stabilization_window_seconds == 0
    assert behavior.scale_down.select_policy is SelectPolicy.DISABLED
    assert behavior.scale_down.policies == DEFAULT_SCALE_DOWN.policies


def test_every_kind_of_metric() -> None:
    spec = parse_hpa(
        manifest(
            """
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 400Mi}}}
  - type: ContainerResource
    containerResource: {name: cpu, container: app, target: {type: Utilization, averageUtilization: 60}}
  - {type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: "1500m"}}}
  - type: Object
    object:
      describedObject: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: main}
      metric: {name: hits}
      target: {type: Value, value: 2k}
  - type: External
    external:
      metric: {name: queue, selector: {matchLabels: {queue: worker, app: a}}}
      target: {type: AverageValue, averageValue: "30"}
"""
        )
    )
    memory, container, pods, described, external = spec.metrics
    assert memory.target.average_value_m == 400 * 1024 * 1024 * 1000
    assert (container.container, container.target.average_utilization) == ("app", 60)
    assert pods.target.average_value_m == 1500
    assert (described.object_kind, described.object_name, described.target.value_m) == (
        "Ingress",
        "main",
        2_000_000,
    )
    assert external.target.type is TargetType.AVERAGE_VALUE
    assert str(external.selector) == (
        "&LabelSelector{MatchLabels:map[string]string{app: a,queue: worker,},"
        "MatchExpressions:[]LabelSelectorRequirement{},}"
    )


def test_version_1() -> None:
    old = manifest("  targetCPUUtilizationPercentage: 55\n  minReplicas: 3\n")
    old["apiVersion"] = "autoscaling/v1"
    spec = parse_hpa(old)
    assert (spec.min_replicas, spec.metrics[0].target.average_utilization) == (3, 55)
    assert spec.metrics[0].type == MetricType.RESOURCE
    del old["spec"]["targetCPUUtilizationPercentage"]
    assert parse_hpa(old).metrics == DEFAULT_METRICS


def test_zero_replicas_need_the_gate_and_a_metric_without_pods() -> None:
    zero = manifest("  minReplicas: 0\n")
    with pytest.raises(InputError, match="HPAScaleToZero"):
        parse_hpa(zero)
    with pytest.raises(InputError, match="Object or External"):
        parse_hpa(zero, scale_to_zero=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  minReplicas: 11\n", "spec.maxReplicas: 10 is less than minReplicas 11"),
        ("  minReplicas: two\n", "spec.minReplicas: expected a whole number, not 'two'"),
        ("  metric: []\n", "spec.metric: unknown field"),
        ("  metrics: cpu\n", "spec.metrics: expected a list"),
        ("  metrics: [{type: Cpu}]\n", r"spec.metrics\[0\].type: 'Cpu' is none of Resource"),
        ("  metrics: [{type: Pods}]\n", r"spec.metrics\[0\]: type Pods needs pods"),
        (
            "  metrics: [{type: Resource, resource: {name: cpu, target: {type: Value, value: 1}}}]\n",
            "Value cannot be used here; write Utilization or AverageValue",
        ),
        (
            "  metrics: [{type: Resource, resource: {name: cpu, target: "
            "{type: AverageValue, averageValue: 1x}}}]\n",
            "'1x' is not a quantity",
        ),
        ("  behavior: {scaleUp: {policies: []}}\n", "spec.behavior.scaleUp.policies: empty"),
        (
            "  behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}}\n",
            "1801 is out of range; write a number from 1 to 1800",
        ),
        ("  behavior: {scaleDown: {stabilizationWindowSeconds: 3601}}\n", "from 0 to 3600"),
        ("  behavior: {scaleDown: {selectPolicy: Off}}\n", "is none of Max, Min, Disabled"),
        ("  behavior: {scaleDown: {tolerance: -1}}\n", "must not be negative"),
    ],
)
def test_what_the_api_server_would_refuse(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_hpa(manifest(text))


def test_errors_carry_file_and_line() -> None:
    with pytest.raises(InputError) as caught:
        parse_hpa(
            manifest("  minReplicas: -1\n"),
            file="hpa.yaml",
            line_of=lambda path: 7 if path == ("spec", "minReplicas") else None,
        )
    assert str(caught.value).startswith("hpa.yaml:7: spec.minReplicas: -1 is out of range")


@pytest.mark.parametrize("wrong", [None, 3, [], {}, {"kind": "Deployment"}])
def test_what_is_no_autoscaler(wrong: Any) -> None:
    with pytest.raises(InputError, match="not a HorizontalPodAutoscaler"):
        parse_hpa(wrong)


def test_old_versions_are_named() -> None:
    old = manifest()
    old["apiVersion"] = "autoscaling/v2beta2"
    with pytest.raises(InputError, match="is not served by Kubernetes"):
        parse_hpa(old)


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [
        ("500m", 500),
        ("2", 2000),
        (0.1, 100),
        ("1.5Gi", 1610612736000),
        ("1e3", 1_000_000),
        ("100u", 1),
        (".5", 500),
    ],
)
def test_quantities_round_up_to_thousandths(text: Any, thousandths: int) -> None:
    assert milli_value(text) == thousandths


@pytest.mark.parametrize("text", ["", "1x", "m", None, True, "1e999999999", "--1", "1 000"])
def test_what_is_no_quantity(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        exact_quantity(text)


def test_tolerances_are_read_as_the_controller_reads_them() -> None:
    assert [approximate_float(text) for text in ("300m", "50m", "0.05", 0, "1")] == [
        0.3,
        0.05,
        0.05,
        0.0,
        1.0,
    ]
