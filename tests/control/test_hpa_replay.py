"""The closed loop of `seawall hpa`: the sizes that Kubernetes itself went through, and laws of its own."""

from __future__ import annotations

import json
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seawall.control.hpa import HpaOptions
from seawall.control.hpa_replay import Replay, ReplayOptions, Workload, needed_columns, replay
from seawall.control.pods import ContainerRequests, PodShape
from seawall.fleet.errors import InputError
from seawall.fleet.hpa_manifest import parse_hpa
from seawall.fleet.hpa_spec import HpaSpec
from seawall.fleet.loadcsv import LoadTable

TRACES = Path(__file__).parents[1] / "data" / "hpa" / "traces"
SHAPE = PodShape((ContainerRequests("app", {"cpu": 1000, "memory": 1024**3 * 1000}),))


def load(points: list[tuple[float, float]], end: float, column: str = "cpu") -> LoadTable:
    times, values = zip(*points, strict=True)
    return LoadTable("load.csv", np.array(times, float), {column: np.array(values, float)}, end)


def hpa(text: dict[str, Any] | None = None, **spec: Any) -> HpaSpec:
    manifest = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 100,
            **spec,
        },
    }
    return parse_hpa(manifest, scale_to_zero=spec.get("minReplicas") == 0)


def pods(replicas: int, cpu_limit: float | None = None) -> Workload:
    return Workload("web", "app", SHAPE, cpu_limit, None, replicas)


def sizes(found: Replay) -> list[int]:
    """The sizes that the Deployment went through."""
    return [size for size, _ in groupby(step.after for step in found.steps)]


def recorded(name: str) -> tuple[dict[str, Any], ReplayOptions, Workload, LoadTable, HpaSpec]:
    """A recorded closed loop: the trace, and the same set up for our loop."""
    trace = json.loads((TRACES / f"{name}.json").read_text())
    flags, delays, used = trace["controller"], trace["pod_delays"], trace["usage_rule"]["cpu"]
    options = ReplayOptions(
        delays["start_delay"],
        delays["ready_delay"],
        resolution_seconds=trace["metric_window_s"],
        hpa=HpaOptions(
            sync_period_seconds=flags["sync_period"],
            downscale_stabilization_seconds=flags["downscale_stabilization"],
            cpu_initialization_seconds=flags["cpu_initialization_period"],
            initial_readiness_delay_seconds=flags["initial_readiness_delay"],
            scale_to_zero="HPAScaleToZero" in str(flags.get("feature_gates")),
        ),
    )
    column, points = trace["load"]["target"], trace["load"]["points"]
    workload = pods(trace["target"]["initial_replicas"], used["max"])
    table = load([(t, v) for t, v in points], trace["duration_s"], column)
    return trace, options, workload, table, hpa(**trace["hpa_spec"])


@pytest.mark.parametrize("name", ["external-average", "scale-to-zero"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_sizes_that_kubernetes_went_through(name: str, seed: int) -> None:
    trace, options, workload, table, spec = recorded(name)
    options = ReplayOptions(
        options.run_seconds,
        options.ready_seconds,
        resolution_seconds=options.resolution_seconds,
        seed=seed,
        hpa=options.hpa,
    )
    expected = [size for size, _ in groupby(sync["desired"] for sync in trace["syncs"])]
    assert sizes(replay(spec, workload, table, options)) == expected


@pytest.mark.parametrize(
    "name", ["default-steps", "minmax-clamp", "realtime-defaults", "unready-slow", "up-pods"]
)
def test_with_cpu_the_plateaus_are_the_same(name: str) -> None:
    """In between, the mean over a scrape window is not the value at the moment that the record has."""
    trace, options, workload, table, spec = recorded(name)
    ours, theirs = sizes(replay(spec, workload, table, options)), [s["desired"] for s in trace["syncs"]]
    assert ours[-1] == theirs[-1]
    assert abs(max(ours) - max(theirs)) <= 1


def test_limited_pods_grow_by_the_limit_over_the_target_each_round() -> None:
    """Ten times the load with limit = request and a target of 80 %: no round gives more than a quarter."""
    spec = hpa(metrics=[cpu_target(80)], behavior={})
    table = load([(0, 6.0), (60, 60.0)], 900)
    found = replay(spec, pods(8, 1.0), table, ReplayOptions())
    grown = sizes(found)
    assert all(after <= 1.26 * before + 1 for before, after in pairwise(grown))
    assert len(grown) >= 9
    assert found.cpu is not None
    assert found.cpu.unmet > 0
    unlimited = replay(spec, pods(8), table, ReplayOptions())
    assert unlimited.cpu is not None
    assert unlimited.cpu.unmet == 0
    assert len(sizes(unlimited)) < len(grown)


def cpu_target(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def test_a_steady_load_changes_nothing() -> None:
    found = replay(hpa(metrics=[cpu_target(50)]), pods(10), load([(0, 5.0)], 600), ReplayOptions())
    assert sizes(found) == [10]
    assert {step.why for step in found.steps} == {
        "cpu at 50 % of request against a target of 50 %: within the tolerance of 10 %, no change asked for"
    }


def test_same_seed_same_run_and_another_seed_other_phases() -> None:
    table, spec = load([(0, 5.0), (60, 30.0)], 600), hpa(metrics=[cpu_target(50)])
    first, again, other = (replay(spec, pods(10), table, ReplayOptions(seed=n)) for n in (3, 3, 4))
    assert first == again
    assert first.first_sync != other.first_sync
    assert 0 <= other.first_scrape < 15


def test_scaling_all_times_scales_the_run() -> None:
    """A controller, pods and load that are twice as slow go through the same sizes."""
    spec = hpa(metrics=[{"type": "External", "external": {"metric": {"name": "q"}, "target": value("30")}}])
    fast = replay(
        spec,
        pods(2),
        load([(0, 60.0), (100, 900.0), (300, 90.0)], 1200, "external:q"),
        ReplayOptions(4, 6, resolution_seconds=15, hpa=HpaOptions()),
    )
    slow = replay(
        spec,
        pods(2),
        load([(0, 60.0), (200, 900.0), (600, 90.0)], 2400, "external:q"),
        ReplayOptions(
            8, 12, resolution_seconds=30,
            hpa=HpaOptions(sync_period_seconds=30, downscale_stabilization_seconds=600),
        ),
    )  # fmt: skip
    assert sizes(fast) == sizes(slow)
    assert [2 * step.at for step in fast.steps] == pytest.approx([step.at for step in slow.steps])


def value(text: str) -> dict[str, Any]:
    return {"type": "AverageValue", "averageValue": text}


def test_new_pods_count_as_idle_until_they_are_measured() -> None:
    found = replay(
        hpa(metrics=[cpu_target(50)]), pods(10), load([(0, 5.0), (60, 50.0)], 300), ReplayOptions(10, 20)
    )
    told = [step for step in found.steps if "not ready or not measured since, counted as idle" in step.why]
    assert told
    for step in told:
        proposal = step.decision.evaluations[0].proposal
        assert proposal is not None
        assert proposal.unready_pods + proposal.missing_pods >= step.unready
        assert proposal.final_ratio < proposal.usage_ratio


def test_pods_without_room_stay_pending() -> None:
    found = replay(
        hpa(metrics=[cpu_target(50)]),
        pods(4),
        load([(0, 2.0), (60, 20.0)], 600),
        ReplayOptions(max_pods=6),
    )
    assert max(step.ready for step in found.steps) == 6
    assert found.steps[-1].unready == found.steps[-1].replicas - 6 > 0


def test_many_pods_are_created_at_the_pace_of_the_client() -> None:
    found = replay(hpa(minReplicas=100), pods(1), load([(0, 1.0)], 60), ReplayOptions(0, 0))
    assert found.steps[0].after == 100
    # 30 at once, then 20 a second: the last 69 of the 99 new ones take 3.5 s.
    assert found.steps[1].ready == 100
    quick = ReplayOptions(0, 0, hpa=HpaOptions(sync_period_seconds=1))
    ready = [
        step.ready for step in replay(hpa(minReplicas=100), pods(1), load([(0, 1.0)], 60), quick).steps[:6]
    ]
    assert ready[0] == 1
    assert ready[1] == pytest.approx(1 + 30 + 20, abs=1)
    assert ready[5] == 100


def test_memory_and_metrics_of_pods() -> None:
    memory = {"type": "Resource", "resource": {"name": "memory", "target": value("1Gi")}}
    found = replay(hpa(metrics=[memory]), pods(2), load([(0, 6 * 2.0**30)], 120, "memory"), ReplayOptions())
    assert found.steps[-1].after == 6
    assert found.cpu is None
    custom = {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": value("10")}}
    spec = hpa(metrics=[custom])
    assert needed_columns(spec) == ["custom:rps"]
    assert replay(spec, pods(2), load([(0, 65.0)], 120, "custom:rps"), ReplayOptions()).steps[-1].after == 7


def test_a_target_at_zero_is_left_alone() -> None:
    found = replay(hpa(), pods(0), load([(0, 9.0)], 60), ReplayOptions())
    assert sizes(found) == [0]
    assert "switched off" in found.steps[0].why


def test_absurd_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="check the load's units"):
        replay(hpa(minReplicas=60_000, maxReplicas=60_000), pods(1), load([(0, 1.0)], 60), ReplayOptions())
