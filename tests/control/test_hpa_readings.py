"""What the metrics client makes of an API's answer, and what the controller says where it can do nothing."""

from __future__ import annotations

import pytest

from seawall.control.hpa import HpaObservation, HpaState, MetricReading, ScaleView, sync
from seawall.control.hpa.readings import PodUsage, resource_reading, unavailable
from seawall.control.hpa.selectors import selector_error
from seawall.control.pods import PodColumns, PodShape
from seawall.fleet.hpa_spec import (
    DEFAULT_METRICS,
    HpaSpec,
    MetricSelector,
    MetricSpec,
    MetricTarget,
    MetricType,
    ScaleTarget,
    TargetType,
)

BOTH = {"app": {"cpu": 300, "memory": 5}, "proxy": {"cpu": 20, "memory": 1}}
SPEC = HpaSpec(10, DEFAULT_METRICS, target=ScaleTarget(name="web"), namespace="shop")
PODS = PodColumns.of([{"name": "web-1", "phase": "Running"}, {"name": "web-2", "phase": "Running"}])


def usage(name: str, row: int, used: dict[str, dict[str, int]]) -> PodUsage:
    return PodUsage(name, row, 100.0, 15.0, used)


def test_a_pod_is_the_sum_of_its_containers() -> None:
    reading = resource_reading([usage("web-1", 0, BOTH), usage("web-2", 1, {"app": {"memory": 1}})], "cpu")
    assert reading.samples is not None
    assert (reading.samples.pod.tolist(), reading.samples.value_m.tolist()) == ([0], [320])


def test_one_container_or_nothing() -> None:
    reading = resource_reading([usage("web-1", 0, BOTH)], "cpu", "app")
    assert reading.samples is not None
    assert reading.samples.value_m.tolist() == [300]
    lone = [usage("web-1", 0, BOTH), usage("web-2", 1, {"proxy": {"cpu": 1}})]
    assert resource_reading(lone, "cpu", "app", "shop").error == (
        "failed to get container metrics: container app not present in metrics for pod shop/web-2"
    )


def decide(spec: HpaSpec, *readings: MetricReading, scale: ScaleView | None = None) -> str:
    scale = scale or ScaleView(2, 2, "app=web")
    _, decision = sync(spec, HpaState(), HpaObservation(scale, PODS, readings), 0.0)
    assert decision.desired is None or decision.desired == 2
    return decision.error


def test_an_api_that_is_down() -> None:
    assert decide(SPEC, unavailable("resource", "the server is down")) == (
        "failed to compute desired number of replicas based on listed metrics for Deployment/shop/web: "
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: "
        "failed to get cpu utilization: unable to get metrics for resource cpu: "
        "unable to fetch metrics from resource metrics API: the server is down"
    )


def test_an_api_that_answers_nothing() -> None:
    assert decide(SPEC, resource_reading([], "cpu")).endswith(
        "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
    )


def test_external_and_object_metrics_are_named_in_full() -> None:
    external = MetricSpec(
        MetricType.EXTERNAL,
        "queue",
        MetricTarget(TargetType.AVERAGE_VALUE, average_value_m=30_000),
        selector=MetricSelector((("app", "a"),)),
    )
    described = MetricSpec(
        MetricType.OBJECT,
        "hits",
        MetricTarget(TargetType.VALUE, value_m=1000),
        object_kind="Ingress",
        object_name="main",
    )
    spec = HpaSpec(10, (external, described), target=SPEC.target, namespace="shop")
    error = decide(spec, unavailable("external", "no"), unavailable("custom", "no"))
    assert "invalid metrics (2 invalid out of 2)" in error
    assert (
        "failed to get queue external metric value: failed to get queue external metric: unable to get external "
        "metric shop/queue/&LabelSelector{MatchLabels:map[string]string{app: a,},MatchExpressions:"
        "[]LabelSelectorRequirement{},}: unable to fetch metrics from external metrics API: no"
    ) in error
    alone = HpaSpec(10, (described,), target=SPEC.target, namespace="shop")
    assert decide(alone, unavailable("custom", "no")).endswith(
        "failed to get object metric value: unable to get metric hits: "
        "unable to fetch metrics from custom metrics API: no on Ingress shop/main"
    )


def test_scales_that_cannot_be_read_or_written() -> None:
    unread = ScaleView(error="not found")
    assert decide(SPEC, MetricReading(), scale=unread) == (
        "failed to query scale subresource for Deployment/shop/web: not found"
    )
    unwritten = ScaleView(20, 20, "app=web", update_error="conflict")
    assert decide(SPEC, MetricReading(), scale=unwritten) == "failed to rescale Deployment/shop/web: conflict"


@pytest.mark.parametrize(
    "selector", ["app=web", "a==b, !c", "tier in (front, back),x", "example.org/zone notin ()", "n>3", "a!="]
)
def test_selectors_that_can_be_read(selector: str) -> None:
    assert selector_error(selector) is None


@pytest.mark.parametrize("selector", ["cheddar cheese", "=web", "a=b=c", "a in b", "a in (b", "-a", "a>b"])
def test_selectors_that_cannot(selector: str) -> None:
    assert selector_error(selector) is not None
    assert "couldn't convert selector" in decide(SPEC, MetricReading(), scale=ScaleView(2, 2, selector))


def test_requests_as_the_api_server_completes_them() -> None:
    shape = PodShape.from_pod_spec(
        {
            "resources": {"requests": {"cpu": "2"}},
            "overhead": {"cpu": "50m"},
            "containers": [{"name": "app", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}],
            "initContainers": [{"name": "mesh", "restartPolicy": "Always", "resources": {"requests": None}}],
        }
    )
    assert shape.containers[0].requests_m == {"cpu": 1000, "memory": 1024**3 * 1000}
    assert (shape.pod_requests_m, shape.overhead_m) == ({"cpu": 2000}, {"cpu": 50})
    assert shape.init_containers[0].sidecar
