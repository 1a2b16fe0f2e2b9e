"""Readiness probes: through the accept queue and the workers, with Kubernetes' thresholds and time-outs."""

from __future__ import annotations

from typing import Any

import pytest

from .small import balancer, clients, deployment, events, fleet, rate, record, request, service, workers

HTTP = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "timeoutSeconds": 1, "failureThreshold": 3}
TCP = {"tcpSocket": {"port": 80}, "periodSeconds": 2, "timeoutSeconds": 1, "failureThreshold": 3}
BUSY = (workers(1), request(wait="20s"), clients(timeout="60s"))


def test_an_overloaded_pod_leaves_the_endpoints_after_its_failures() -> None:
    """Taken from 0.5 s on: the third probe in 2 s steps fails 1 s after it was sent, 5.5 to 7.5 s later."""
    traffic = rate("1/s for 1s, 1/s -> 0/s at once, hold 9s, 0/s -> 1/s at once, hold 3s")
    r = record(fleet(traffic, *BUSY, manifests=[deployment(probe=HTTP)]))
    unready = events(r, "pod-unready")[0].t
    assert 5.0 <= unready - 0.5 <= 7.5
    # Who comes after that, and after the endpoints' delay, meets no server.
    assert r.totals["failed"] == 3
    ready = events(r, "pod-ready")[0].t
    assert 20.5 <= ready <= 23.0


def test_a_probe_that_waits_is_answered_by_the_next_free_worker() -> None:
    """A worker that is taken for 700 ms answers within the probe's second."""
    r = record(
        fleet(rate("1/s for 30s"), workers(1), request(wait="700ms"), manifests=[deployment(probe=HTTP)])
    )
    assert events(r, "pod-unready") == []
    assert r.totals["answered"] == 30


def test_a_tcp_probe_sees_a_full_queue_only() -> None:
    few = (rate("1/s for 1s, 1/s -> 0/s at once, hold 12s"), *BUSY)
    assert events(record(fleet(*few, manifests=[deployment(probe=TCP)])), "pod-unready") == []
    many = (rate("10/s for 1s, 10/s -> 0/s at once, hold 12s"), *BUSY, service(server={"ListenBacklog": 1}))
    assert events(record(fleet(*many, manifests=[deployment(probe=TCP)])), "pod-unready") != []


@pytest.mark.parametrize("delay", [0, 15])
def test_the_first_probe_waits_for_its_initial_delay(delay: int) -> None:
    """A pod that starts again is ready at its first good probe: a start of 1 s, a probe each 2 s."""
    probe: dict[str, Any] = {**HTTP, "initialDelaySeconds": delay}
    heavy = (request(memory="300Mi"), service(start={"wait": "1s"}))
    manifests = [deployment(probe=probe, memory_limit="320Mi")]
    r = record(fleet(rate("1/s for 1s, 1/s -> 0/s at once, hold 30s"), *heavy, manifests=manifests))
    again = events(r, "container-restart")[0].t
    ready = events(r, "pod-ready")[0].t
    assert max(1.0, delay) <= ready - again <= max(1.0, delay) + 3.0


def test_overload_of_one_pod_falls_on_the_rest() -> None:
    """Two pods at twice what one can carry: first one leaves the endpoints, then the other has it all."""
    traffic = rate("30/s for 60s")
    proxy = balancer(**{"timeout server": "300s"})
    changes = (traffic, workers(1), request(wait="100ms"), proxy, clients(timeout="3s"))
    r = record(fleet(*changes, manifests=[deployment(2, probe={**HTTP, "failureThreshold": 1})]))
    assert r.series["pods_ready"].min() == 0
    assert r.totals["failed"] > 0
