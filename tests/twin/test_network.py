"""Connections: the accept queue's size, what a full one does to a client, and when the client tries again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .small import KUBE_PROXY, clients, events, fleet, rate, record, request, service, workers

LONG = request(wait="1000s")
PATIENT = clients(timeout="200s", roundTrip="0s")


def linux(version: str, **more: Any) -> dict[str, Any]:
    return service(kernel={"linux": version, **more})


def test_the_accept_queue_holds_one_more_than_listen_says() -> None:
    r = record(fleet(rate("20/s for 1s"), workers(1, ListenBacklog=3), LONG, KUBE_PROXY))
    assert r.series["accept_queue"].max() == 4
    assert len(events(r, "accept-queue-overflow")) == 1


def test_somaxconn_bounds_the_backlog() -> None:
    few = service(kernel={"net.core.somaxconn": 2})
    r = record(fleet(rate("20/s for 1s"), workers(1, ListenBacklog=511), few, LONG, KUBE_PROXY))
    assert r.series["accept_queue"].max() == 3


@pytest.mark.parametrize(
    ("version", "retries", "seconds"),
    [
        ("4.19", 1, 1 + 2),
        ("4.19", 2, 1 + 2 + 4),
        ("4.19", 6, 127),
        ("6.8", 1, 1 + 1 + 1 + 1 + 1 + 2),
        ("6.8", 2, 11),
        ("6.8", 6, 131),
    ],
)
def test_a_connect_ends_when_its_last_syn_has_waited(version: str, retries: int, seconds: int) -> None:
    """ip-sysctl: six retries end after 127 s, with four linear time-outs after 131 s (the last SYN at 67 s)."""
    kernel = linux(version, **{"net.ipv4.tcp_syn_retries": retries})
    r = record(fleet(rate("10/s for 1s"), workers(1, ListenBacklog=1), LONG, PATIENT, KUBE_PROXY, kernel))
    assert r.series["failed_at"][:195].sum() == 10 - 3
    assert set(np.flatnonzero(r.series["failed_at"][:195])) <= {seconds, seconds + 1}


@pytest.mark.parametrize(("version", "enters"), [("6.8", 4), ("4.19", 7)])
def test_a_dropped_syn_comes_again_at_1_2_3_4_seconds_or_at_1_3_7(version: str, enters: int) -> None:
    """Three workers for 3.2 s, two in the queue, the sixth is dropped until there is room."""
    changes = (workers(3, ListenBacklog=1), request(wait="3200ms"), PATIENT, KUBE_PROXY, linux(version))
    r = record(fleet(rate("1000/s for 6ms"), *changes))
    assert r.totals["answered"] == 6
    assert r.latency_sum_s.sum() == pytest.approx(3 * 3.2 + 2 * 6.4 + enters + 3.2, abs=0.05)


def test_who_believes_itself_connected_sends_its_data_again_after_200_ms_and_doubling() -> None:
    """Its SYN was answered before the queue was full: data at 0.2, 0.6, 1.4 s, when there is room (1.1 s)."""
    far = clients(timeout="200s", roundTrip="50ms")
    changes = (workers(3, ListenBacklog=1), request(wait="1100ms"), far, KUBE_PROXY)
    r = record(fleet(rate("1000/s for 6ms"), *changes))
    assert r.latency_sum_s.sum() == pytest.approx(3 * 1.1 + 2 * 2.2 + 1.4 + 1.1, abs=0.05)


def test_abort_on_overflow_refuses() -> None:
    kernel = linux("6.8", **{"net.ipv4.tcp_abort_on_overflow": True})
    r = record(fleet(rate("10/s for 1s"), workers(1, ListenBacklog=1), LONG, KUBE_PROXY, kernel))
    assert r.totals["refused"] == 10 - 3
    assert r.series["failed_at"][0] == 7
