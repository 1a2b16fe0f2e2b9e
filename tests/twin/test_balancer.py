"""The balancer: who gets a request, what waits in the proxy, and after which of its time-outs it answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from . import small
from .small import balancer, clients, deployment, fleet, rate, record, request, run, workers

LONG = request(wait="100s")
PATIENT = clients(timeout="200s")


def served(changes: list[dict[str, Any]], pods: int) -> list[int]:
    """How many requests each pod has served."""
    world = run(fleet(*changes, manifests=[deployment(pods, cpu="600m")]))
    rows = world.kernel.state["pods"]
    fresh = int(world.kernel.state["params"]["growth_requests"][0])
    return [int(rows["served"][p.slot]) - fresh for p in world.objects.pods.values()]


def test_round_robin_is_even() -> None:
    assert served([rate("8/s for 10s")], 4) == [20, 20, 20, 20]


def test_random_is_even_only_in_the_mean() -> None:
    counts = served([rate("20/s for 20s"), balancer(balance="random")], 4)
    assert sum(counts) == 400
    assert len(set(counts)) > 1
    assert all(60 < c < 140 for c in counts)


def test_least_connections_send_more_to_the_faster_pod() -> None:
    """A pod on a machine of 1 core and one on 0.7 cores, 100 ms of CPU a request, 20 requests/s."""
    pool = {"min": 1, "max": 1, "reserved": "none", "systemCpu": 0}
    machines = [
        {"name": name, "instanceType": {"vcpu": vcpu, "memory": "8Gi", "pricePerHour": 1}, **pool}
        for name, vcpu in (("n", 1), ("m", 0.7))
    ]
    load = [rate("20/s for 30s"), request(cpu="100ms", wait="0s"), {"platform": {"nodePools": machines}}]
    few, many = sorted(served([*load, balancer(balance="leastconn")], 2))
    assert many / few == pytest.approx(1 / 0.7, rel=0.15)
    few, many = sorted(served([*load, balancer(balance="roundrobin")], 2))
    assert many - few <= 1


def test_maxconn_bounds_sessions_and_the_rest_waits_in_the_proxy() -> None:
    """20 requests of 1 s, two at a time: the last ends after 10 s, all answered."""
    changes = (request(wait="1s"), balancer(maxconn=2, **{"timeout queue": "60s"}))
    r = record(fleet(rate("100/s for 200ms"), *changes))
    assert r.totals["answered"] == 20
    assert r.series["workers_busy"].max() == 2
    assert r.series["accept_queue"].max() == 0
    assert r.series["lb_queue"][:4].tolist() == [18, 16, 14, 12]
    assert r.series["answered_at"][1:11].sum() == 20


def test_timeout_queue_answers_503_at_its_time() -> None:
    changes = (LONG, PATIENT, balancer(maxconn=1, **{"timeout queue": "2s", "timeout server": "300s"}))
    r = record(fleet(rate("1/s for 6s"), workers(1), *changes))
    assert r.totals["failed"] == 5
    first = int(np.flatnonzero(r.series["failed_at"])[0])
    assert first == int(np.flatnonzero(r.series["sent"])[1]) + 2
    assert r.series["failed_at"][:100].sum() == 5


def test_maxqueue_answers_503_at_once() -> None:
    changes = (LONG, PATIENT, balancer(maxconn=1, maxqueue=3, **{"timeout queue": "60s"}))
    r = record(fleet(rate("10/s for 1s"), workers(1), *changes))
    assert r.series["lb_queue"].max() == 3
    assert r.series["failed_at"][:2].sum() == 10 - 1 - 3


@pytest.mark.parametrize(("retries", "seconds"), [(0, 3), (1, 6), (3, 12)])
def test_a_full_accept_queue_says_nothing_and_the_proxy_gives_up_after_its_time_outs(
    retries: int, seconds: int
) -> None:
    """One worker taken, two in the accept queue (backlog 1 holds 2); each connect of the rest takes 3 s."""
    proxy = balancer(retries=retries, redispatch=False, **{"timeout connect": "3s", "timeout server": "300s"})
    r = record(fleet(rate("10/s for 1s"), workers(1, ListenBacklog=1), LONG, PATIENT, proxy))
    assert r.series["accept_queue"].max() == 2
    assert r.totals["failed"] == 10 - 3
    assert set(np.flatnonzero(r.series["failed_at"][:100])) <= {seconds, seconds + 1}


def test_a_refused_connection_is_tried_again_after_a_second() -> None:
    proxy = balancer(retries=2, redispatch=False, **{"timeout server": "300s"})
    abort = {"service": {"kernel": {"net.ipv4.tcp_abort_on_overflow": True}}}
    r = record(fleet(rate("10/s for 1s"), workers(1, ListenBacklog=1), LONG, PATIENT, proxy, abort))
    assert r.totals["failed"] == 7
    assert set(np.flatnonzero(r.series["failed_at"][:100])) <= {2, 3}


def test_timeout_server_answers_504_and_the_server_goes_on() -> None:
    """Kept busy by what nobody waits for: worker time is spent in full."""
    proxy = balancer(**{"timeout server": "2s"})
    r = record(fleet(rate("1/s for 4s"), request(wait="10s"), proxy))
    assert r.totals["failed"] == r.totals["wasted"] == 4
    assert small.shift(r.series, "sent", "failed_at") == 2
    assert r.series["workers_busy"][8] == 4


def test_the_last_retry_goes_to_another_server() -> None:
    """Two pods; the one on the slow machine has a full queue: with redispatch its share is served elsewhere."""
    pool = {"min": 1, "max": 1, "reserved": "none", "systemCpu": 0}
    machines = [
        {"name": name, "instanceType": {"vcpu": vcpu, "memory": "8Gi", "pricePerHour": 1}, **pool}
        for name, vcpu in (("n", 1.1), ("m", 0.61))
    ]
    changes = [
        rate("6/s for 40s"),
        request(cpu="250ms", wait="0s"),
        workers(8, ListenBacklog=1),
        {"platform": {"nodePools": machines}},
        clients(timeout="100s"),
    ]
    answered = {}
    for on in (True, False):
        proxy = balancer(retries=1, redispatch=on, **{"timeout connect": "2s", "timeout server": "300s"})
        manifests = [deployment(2, cpu="600m")]
        answered[on] = record(fleet(*changes, proxy, manifests=manifests)).totals["answered"]
    assert answered[True] == 240
    assert answered[False] < 235


def test_reused_connections_hold_their_workers_between_requests() -> None:
    """Two workers kept by the proxy serve it without a wait, but nobody else: a probe finds no worker."""
    probe = {
        "httpGet": {"path": "/", "port": 80},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "failureThreshold": 1,
    }
    keep = (rate("5/s for 20s"), workers(2, KeepAliveTimeout="5s", MaxKeepAliveRequests=0))
    manifests = [deployment(probe=probe)]
    reused = record(fleet(*keep, balancer(**{"http-reuse": True}), manifests=manifests))
    own = record(fleet(*keep, manifests=manifests))
    assert own.totals["answered"] == 100
    assert own.series["pods_ready"].min() == 1
    # Round after round one worker is kept and serves; the other, once it has served a probe, stays free for them.
    assert reused.latency_sum_s.sum() == pytest.approx(reused.totals["answered"] * 0.1)
    assert reused.series["workers_busy"].max() <= 2
