"""Kubernetes around the pods: more of them, nodes for them, their start, their end, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.record.cost import total_cost
from seawall.record.record import Record
from seawall.twin.simulate import make_record
from seawall.twin.world import World

from .small import clients, deployment, events, fleet, gunicorn, hpa, rate, record, request, service, workers

AUTOSCALER = {"platform": {"clusterAutoscaler": {"enabled": True}}}
WORK = (request(cpu="200ms", wait="0s"), service(start={"wait": "500ms"}))


def nodes(most: int) -> dict[str, Any]:
    """Nodes of one core, which take one pod of 600m each."""
    machine = {"vcpu": 1, "memory": "4Gi", "pricePerHour": 3.6}
    return {"platform": {"nodePools": [{"name": "n", "instanceType": machine, "max": most}]}}


def wave(low: str = "1/s", then: str = "hold 200s") -> dict[str, Any]:
    return rate(f"{low} for 30s, {low} -> 4/s at once, {then}")


def scaled(*changes: dict[str, Any], most: int = 2) -> Record:
    manifests = [deployment(1, cpu="600m"), hpa(1, most, 50)]
    return record(fleet(*WORK, nodes(most), AUTOSCALER, *changes, manifests=manifests))


def test_from_load_to_a_ready_pod_on_a_new_node() -> None:
    r = scaled(wave())
    asked = events(r, "hpa-scale")[0].t
    created = events(r, "pod-created")[0].t
    requested = events(r, "node-requested")[0].t
    added = events(r, "node-added")[0].t
    bound = events(r, "pod-scheduled")[0].t
    ready = events(r, "pod-ready")[0].t
    assert 30 <= asked <= 30 + 15 + 15 + 15
    assert created - asked <= 1.0
    # The cluster autoscaler's next scan, the machine's boot time, then image, container, start.
    assert 0 <= requested - created <= 10.0 + 1.0
    assert added - requested == pytest.approx(30.0)
    assert 0 <= bound - added <= 1.0
    assert ready - bound == pytest.approx(20 + 1 + 0.5, abs=0.6)
    assert events(r, "pod-unschedulable") != []


def test_an_image_is_pulled_once_a_node() -> None:
    """One new node for two new pods: both wait for one pull of 20 s; a third one later finds the image there."""
    two = {"vcpu": 1.4, "memory": "4Gi", "pricePerHour": 1}
    pool = {"platform": {"nodePools": [{"name": "n", "instanceType": two, "max": 2}]}}
    r = scaled(rate("2/s for 40s, 2/s -> 12/s at once, hold 200s"), pool, most=4)
    bound = {e.object: e.t for e in events(r, "pod-scheduled")}
    waits = {e.object: e.t - bound[e.object] for e in events(r, "pod-ready") if e.object in bound}
    there = [e for e in events(r, "pod-scheduled") if "n-0" in e.message]
    new = [e.object for e in events(r, "pod-scheduled") if "n-1" in e.message]
    assert [waits[e.object] < 3.0 for e in there] == [True]
    assert len(new) == 2
    assert waits[new[0]] == pytest.approx(21.5, abs=1.0)
    assert bound[new[1]] + waits[new[1]] >= bound[new[0]] + 20.0
    assert waits[new[1]] <= waits[new[0]] + 1.0


@pytest.mark.parametrize("server", [workers(4), gunicorn(4)])
def test_pods_that_are_deleted_finish_what_they_have(server: dict[str, Any]) -> None:
    """From four pods to one while requests of 1 s run: none is lost behind a proxy."""
    manifests = [deployment(4), hpa(1, 4, 50)]
    changes = (rate("3/s for 320s"), server, request(wait="1s"), clients(timeout="30s"))
    r = record(fleet(*changes, manifests=manifests))
    assert len(events(r, "pod-deleted")) == 3
    assert r.series["pods"][-1] == 1
    assert r.totals["answered"] == r.totals["sent"] == 960


def test_what_is_not_finished_within_the_grace_period_is_lost() -> None:
    manifests = [deployment(4, grace=5), hpa(1, 4, 50)]
    changes = (rate("0.5/s for 320s"), workers(40), request(wait="20s"), clients(timeout="60s"))
    r = record(fleet(*changes, manifests=manifests))
    deleted = events(r, "pod-deleted")
    assert len(deleted) == 3
    assert 0 < r.totals["failed"] <= 30
    assert r.totals["answered"] + r.totals["failed"] == r.totals["sent"]


def test_a_node_that_is_not_needed_goes_after_ten_minutes() -> None:
    r = scaled(rate("1/s for 30s, 1/s -> 4/s at once, hold 120s, 4/s -> 0.2/s at once, hold 1500s"))
    added = events(r, "node-added")[0].t
    removed = events(r, "node-removed")[0].t
    idle = max(e.t for e in events(r, "pod-deleted"))
    assert removed - added >= 600.0
    assert 600.0 <= removed - idle <= 600.0 + 2 * 10.0 + 10.0
    assert r.series["nodes"][-1] == 1


def test_nodes_cost_by_the_second_and_so_does_the_control_plane() -> None:
    """One node at 3.60 an hour and 0.36 for the control plane: 1.1 in 1,000 s."""
    plane = {"platform": {"controlPlanePerHour": 0.36}}
    r = record(fleet(rate("1/s for 970s"), plane))
    assert r.bins == 1000
    assert total_cost(r) == pytest.approx(1.1)


def test_a_second_node_costs_from_its_request_on() -> None:
    r = scaled(wave())
    requested = events(r, "node-requested")[0].t
    seconds = r.bins + (r.bins - requested)
    assert total_cost(r) == pytest.approx(seconds * 3.6 / 3600.0, abs=0.002)


def test_most_replicas_bound_the_scaling() -> None:
    r = scaled(rate("8/s for 200s"), most=3)
    assert r.series["replicas_desired"].max() == 3
    assert r.series["nodes"].max() == 3


def test_a_pod_deleted_on_a_node_that_stands_still_goes_when_the_node_goes_on() -> None:
    """Two pods of 120 MiB on a node of 500; three requests of 100 MiB each stop it for 40 s."""
    machine = {"vcpu": 4, "memory": "500Mi", "pricePerHour": 1}
    pool = {"name": "n", "instanceType": machine, "whenMemoryRunsOut": {"stall": "40s"}}
    small = service(memory={"application": "10Mi"}, server={"MaxSpareServers": 4})
    shape = rate("20/s for 500ms, 20/s -> 0/s at once, hold 90s")
    changes = (shape, small, request(memory="100Mi", wait="2s"), {"platform": {"nodePools": [pool]}})
    world = World(fleet(*changes, manifests=[deployment(2)]), 0)
    asked = []

    def delete_once(share: float) -> None:
        node = next(iter(world.objects.nodes.values()))
        if not asked and not node.answers(world.now):
            asked.append(world.now)
            world.kubelet.delete(world.objects.pods[0], "asked for by hand")

    world.run(delete_once)
    r = make_record(world)
    stall = events(r, "node-stall")[0].t
    gone = next(e.t for e in events(r, "pod-deleted") if e.object == "pod/web-0")
    assert stall <= asked[0] < stall + 10
    assert stall + 40 <= gone <= stall + 42
    assert len(world.objects.pods) == 2
    assert r.series["pods_ready"][-1] == 2
