"""Memory: what a pod takes, what an OOM in a container kills, what happens on a node that is full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seawall.record.record import Record

from .small import clients, deployment, events, fleet, rate, record, request, service, workers


def oom(what: str) -> dict[str, Any]:
    return service(kernel={"oomKill": what})


def node(**parts: Any) -> dict[str, Any]:
    return {"platform": {"nodePools": [{"name": "n", **parts}]}}


def small_node(memory: str, **more: Any) -> dict[str, Any]:
    return node(instanceType={"vcpu": 4, "memory": memory, "pricePerHour": 1}, **more)


def test_a_pods_memory_is_base_workers_and_requests_in_flight() -> None:
    """40 + 4 * (10 + 50) MiB at rest, and 5 more for each of the four requests under way."""
    r = record(fleet(rate("1000/s for 4ms"), request(memory="5Mi", wait="3s")))
    assert r.series["pod_memory_max_mib"][0] == pytest.approx(280 + 20)
    assert r.series["pod_memory_max_mib"][6] == pytest.approx(280)


def test_what_leaks_stays() -> None:
    r = record(fleet(rate("1/s for 20s"), service(memory={"leakPerRequest": "1Mi"})))
    assert r.series["pod_memory_max_mib"][25] == pytest.approx(280 + 20)


def test_a_worker_grows_to_its_steady_size_as_it_serves() -> None:
    """A pair of requests each second; the second child is new: 10, + 50 at its first request, + 2 each to 10."""
    two = {"StartServers": 1, "MinSpareServers": 1, "MaxSpareServers": 2, "MaxRequestWorkers": 2}
    grow = service(server=two, memory={"growth": "10Mi", "growthRequests": 5})
    r = record(fleet(rate("2/s for 20s"), grow, request(wait="600ms")))
    used = r.series["pod_memory_max_mib"]
    assert used[-1] == pytest.approx(40 + 2 * (10 + 50 + 10))
    assert np.diff(used[3:]).max() == pytest.approx(2.0)
    assert (np.diff(used) >= 0).all()


def test_an_oom_kills_one_process_and_loses_its_request() -> None:
    """280 + 2 * 30 MiB are too many for 320: one of two requests is lost, the server goes on."""
    heavy = (request(memory="30Mi", wait="1s"), oom("process"))
    r = record(fleet(rate("2000/s for 1ms"), *heavy, manifests=[deployment(memory_limit="320Mi")]))
    assert (r.totals["oom_kills"], r.totals["restarts"]) == (1, 0)
    assert (r.totals["failed"], r.totals["answered"]) == (1, 1)
    assert r.series["workers"].tolist()[0] in (3, 4)
    assert r.series["pod_memory_max_mib"].max() <= 320


def test_an_oom_kills_the_container_and_loses_all() -> None:
    heavy = (request(memory="30Mi", wait="1s"), oom("container"))
    r = record(fleet(rate("2000/s for 1ms"), *heavy, manifests=[deployment(memory_limit="320Mi")]))
    assert (r.totals["oom_kills"], r.totals["restarts"]) == (1, 1)
    assert r.totals["failed"] == 2


def gaps(r: Record) -> list[float]:
    """From each OOM to the container's next start."""
    starts = [e.t for e in events(r, "container-restart")]
    kills = [e.t for e in events(r, "oom-kill")]
    return [start - max(k for k in kills if k <= start) for start in starts]


def test_crash_loop_back_off_doubles_from_ten_seconds() -> None:
    """Each start dies of its first requests: again at once, then after 10, 20, 40 s (and up to 1 s to notice)."""
    heavy = (request(memory="300Mi", wait="1s"), oom("container"))
    r = record(fleet(rate("1/s for 90s"), *heavy, manifests=[deployment(memory_limit="320Mi")]))
    found = gaps(r)
    assert len(found) >= 4
    assert [int(g) for g in found[:4]] == [0, 10, 20, 40]
    assert len(events(r, "crash-loop-back-off")) >= 3


def test_pods_together_stay_under_their_cap_and_the_node_stays_ready() -> None:
    """1024 - 600 MiB for pods: the third request of 100 MiB is one too many."""
    heavy = (request(memory="100Mi", wait="5s"), oom("process"))
    r = record(fleet(rate("3000/s for 1ms"), *heavy, small_node("1Gi", reserved={"memory": "600Mi"})))
    assert r.totals["oom_kills"] >= 1
    assert r.totals["answered"] >= 1
    assert events(r, "node-stall") == events(r, "node-not-ready") == []
    assert r.series["nodes_ready"].min() == 1


@pytest.mark.parametrize(("version", "grace"), [("1.36", 50), ("1.31", 40)])
def test_a_node_without_reservations_stands_still_and_traffic_still_goes_there(
    version: str, grace: int
) -> None:
    """Two pods on two nodes of 700 MiB; 100 + 280 + 4 * 100 MiB stop the one that has the slow requests first.

    NotReady comes `node-monitor-grace-period` after the last lease (up to 10 s old), at the next look (5 s).
    """
    heavy = (request(memory="90Mi", wait="5s"), workers(4, ListenBacklog=20), clients(timeout="10s"))
    pools = small_node("700Mi", whenMemoryRunsOut={"stall": "120s"})
    shape = rate("4/s for 2s, 4/s -> 0.4/s at once, hold 200s")
    platform = {"platform": {"kubernetes": version}}
    r = record(fleet(shape, *heavy, pools, platform))
    stall = events(r, "node-stall")[0].t
    lost = events(r, "node-not-ready")[0].t
    assert grace - 10 <= lost - stall <= grace + 5
    back = next(e.t for e in events(r, "node-ready") if e.t > lost)
    assert 120 <= back - stall <= 130
    gone, none = int(stall) + 1, int(lost) + 3  # a connect takes 5 s until it fails
    # Until the node is NotReady clients wait in vain, afterwards the proxy has no server.
    assert r.series["timed_out"][gone : int(lost) - 5].sum() == r.series["sent"][gone : int(lost) - 5].sum()
    assert (
        r.series["failed"][none : int(stall) + 115].sum() == r.series["sent"][none : int(stall) + 115].sum()
    )
    assert r.series["answered"][int(back) + 20 : int(back) + 60].sum() >= 14
    assert r.series["nodes_stalled"][gone] == 1
