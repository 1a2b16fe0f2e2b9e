"""The plane as a whole: loops at their times, the HPA's ladder, endpoints, and a step that costs nothing."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.control import horizontal, plane
from seawall.control.config import Phases, plane_config
from seawall.control.decisions import BindPod, CreatePods, DeletePod, Note, SetEndpoints, SetReplicas
from seawall.control.horizontal import HorizontalState
from seawall.control.view import MetricSample
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, MetricTarget, TargetType
from seawall.fleet.model import ClusterAutoscaler
from seawall.fleet.reader import fleet_from_data

from .toy_world import GIB, World, config, cpu_hpa, pool

BIG = pool(allocatable_cpu=200.0, allocatable_memory=500 * GIB, max_pods=500)


def scales(one: World) -> list[tuple[float, int]]:
    return [(when, decision.replicas) for when, decision in one.of(SetReplicas)]


def under_load(minimum: int, maximum: int, load: float, **other: object) -> World:
    """A settled fleet at its minimum that gets `load` cores of work from t = 100 on."""
    phases = Phases(hpa_s=3.0, metrics_s=1.0)
    one = World(config(BIG, hpa=cpu_hpa(minimum, maximum, 50, **other), phases=phases), most=5.0)
    one.load = lambda now: 0.25 * minimum if now < 100.0 else load
    return one.with_nodes(4).with_pods(minimum)


# ------------------------------------------------------------------------------------------------ the ladder


@pytest.mark.parametrize(
    ("minimum", "maximum", "steps"),
    [
        (10, 100, [20, 40, 80, 100]),
        (10, 500, [20, 40, 80, 160, 320, 500]),
        (4, 400, [8, 16, 32, 64, 128, 256, 400]),
        (1, 10, [4, 8, 10]),
    ],
)
def test_the_doubling_ladder(minimum: int, maximum: int, steps: list[int]):
    one = under_load(minimum, maximum, 5.0 * maximum).run(400.0)
    assert scales(one) == [(108.0 + 15.0 * n, replicas) for n, replicas in enumerate(steps)]
    assert sum(pod.ready for pod in one.pods.values()) == maximum


def test_the_scale_down_waits_for_five_minutes():
    one = under_load(2, 8, 8.0).run(300.0)
    assert scales(one)[-1][1] == 8
    one.load = lambda now: 0.0
    one.run(1000.0)
    ups = [when for when, replicas in scales(one) if replicas == 8]
    [(when, replicas)] = [entry for entry in scales(one) if entry[0] > 300.0]
    # The last sync that wanted eight was that of t = 303.
    assert replicas == 2 and 300.0 < when - 303.0 <= 315.0 and ups
    assert len(one.of(DeletePod)) == 6


def test_pods_are_made_and_bound_in_the_step_of_the_decision():
    one = under_load(10, 100, 500.0).run(110.0)
    assert {when for when, _ in one.of(SetReplicas)} == {108.0}
    assert [(when, d.count) for when, d in one.of(CreatePods)] == [(108.0, 10)]
    assert {when for when, _ in one.of(BindPod)} == {108.0}


def test_below_the_minimum_it_jumps():
    one = World(config(BIG, hpa=cpu_hpa(40, 100))).with_nodes(4).with_pods(3).run(1.0)
    assert scales(one) == [(0.0, 40)]
    [decision] = [d for _, d in one.of(SetReplicas)]
    assert decision.reason == "Current number of replicas below Spec.MinReplicas"
    assert decision.message == f"New size: 40; reason: {decision.reason}"


def test_without_metrics_nothing_is_scaled_and_it_is_said_once():
    lost = MetricSpec("External", "queue", MetricTarget(TargetType.AVERAGE_VALUE, average_value_m=1000))
    hpa = HpaSpec(max_replicas=9, metrics=(lost,), min_replicas=2, name="web")
    one = World(config(BIG, hpa=hpa)).with_nodes(1).with_pods(3).run(200.0)
    assert scales(one) == []
    [note] = [d for _, d in one.of(Note)]
    assert note.kind == "FailedGetExternalMetric" and note.object == "hpa/web"
    assert "unable to fetch metrics from external metrics API" in note.message


@pytest.mark.parametrize(("window", "counts"), [(15.0, True), (15.3, False)])
def test_stamps_are_whole_seconds(window: float, counts: bool):
    one = World(config(BIG, hpa=cpu_hpa(1, 10))).with_nodes(1).with_pods(1)
    pod = next(iter(one.pods.values()))
    pod.started, pod.ready_at, one.now = 10.4, 20.9, 40.0
    sample = MetricSample(
        np.array([pod.id]), np.array([500]), np.array([1]), np.array([35.9]), np.array([window])
    )
    # Served as of 35, ready since 20: a window of 15.3 s began before that, one of 15 s did not.
    _, replicas, _ = horizontal.autoscale(one.config, HorizontalState(40.0), 1, one.view(), sample)
    assert replicas == (2 if counts else 1)


def test_dead_nodes_count_against_the_scale_up():
    # Half of the pods have no metrics any more: for a scale-up they are taken to use nothing.
    one = under_load(4, 40, 0.0).run(99.0)
    one.load = lambda now: 1.6
    one.kill(0)
    one.kill(1)
    one.run(180.0)
    # 0.8 cores on each of two pods is 160 %, over all four 80 %: 7 pods, not 13.
    assert scales(one)[0][1] == 7


# ------------------------------------------------------------------------------------------------- endpoints


def test_endpoints_follow_readiness_a_second_later():
    one = World(config(BIG)).with_nodes(1).with_pods(1).run(10.0).scale(2).run(60.0)
    [(when, published)] = one.of(SetEndpoints)
    # Bound at 10, running at 12, ready at 15.
    assert when == 16.0 and len(published.pods) == 2


def test_a_deleted_pod_leaves_the_endpoints_a_second_later():
    one = World(config(BIG)).with_nodes(1).with_pods(3).run(10.0).scale(1).run(60.0)
    assert [(when, len(d.pods)) for when, d in one.of(SetEndpoints)] == [(11.0, 1)]


# ------------------------------------------------------------------------------------------------ everything


def test_pods_then_nodes_then_pods():
    phases = Phases(hpa_s=3.0, metrics_s=1.0, autoscaler_s=7.0)
    flags = ClusterAutoscaler()
    one = World(config(pool(max=6), hpa=cpu_hpa(4, 20), autoscaler=flags, phases=phases)).with_nodes(1)
    one.load = lambda now: 1.0 if now < 100.0 else 40.0
    one.with_pods(4).run(600.0)
    assert len(one.nodes) == 5 and len(one.endpoints) == 20
    one.load = lambda now: 0.1
    one.run(3000.0)
    assert len(one.nodes) == 1 and len(one.endpoints) == 4


def test_the_same_run_twice():
    first, second = (under_load(4, 40, 100.0).run(700.0) for _ in range(2))
    assert first.told == second.told


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(1.0, 90.0), st.integers(0, 60)), max_size=6))
def test_replicas_are_what_was_asked_for(scalings: list[tuple[float, int]]):
    one = World(config(BIG)).with_nodes(2).with_pods(5)
    wanted = 5
    for after, wanted in scalings:
        one.run(one.now + after).scale(wanted)
    one.run(one.now + 60.0)
    assert len(one.pods) == wanted == len(one.endpoints)
    assert one.endpoints == tuple(sorted(one.pods))


def test_a_step_with_nothing_due_costs_microseconds():
    one = World(config(BIG)).with_nodes(4).with_pods(100).run(62.5)
    view = one.view()
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(1000):
            plane.step(one.config, one.state, view)
        best = min(best, time.perf_counter() - start)
    assert best / 1000 < 20e-6


def test_the_next_due_lies_ahead():
    one = under_load(10, 100, 500.0)
    for second in range(300):
        one.run(float(second))
        assert plane.next_due(one.state) > second


def test_a_configuration_from_a_fleet():
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "server",
                            "image": "web:1",
                            "resources": {"requests": {"cpu": "250m", "memory": "300Mi"}},
                        }
                    ]
                },
            },
        },
    }
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 3,
            "maxReplicas": 9,
        },
    }
    fleet = fleet_from_data(
        {
            "name": "small",
            "service": {
                "server": {"kind": "gunicorn-sync", "workers": 2},
                "requests": {"page": {"cpu": "10ms", "wait": "5ms", "memory": "1Mi"}},
            },
            "platform": {
                "kubernetes": "1.31",
                "manifests": [deployment, hpa],
                "nodePools": [{"name": "workers", "instanceType": "t3.medium", "min": 1, "max": 4}],
            },
            "traffic": {"arrivals": {"rate": "10/s for 60s"}},
        }
    )
    made = plane_config(fleet, Phases(seed=3))
    assert (made.deployment, made.container) == ("web", "server")
    assert made.pod_cpu_request == 0.25 and made.pod_memory_request == 300 * 1024**2
    assert made.pod_shape.containers[0].requests_m == {"cpu": 250, "memory": 300 * 1024**2 * 1000}
    assert made.hpa is not None and made.hpa.max_replicas == 9
    assert made.node_monitor_grace_period == 40.0
    assert made.pools[0].allocatable_cpu == pytest.approx(1.93)
    assert made.pools[0].capacity_cpu == 2.0
