"""Clients: users with a pace or a think time, bursts, leaving, retries, giving up, what arrives from outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seawall.traffic.shape import parse_shape
from seawall.traffic.workload import sessions

from . import small
from .small import (
    KUBE_PROXY,
    NO_POD,
    balancer,
    clients,
    fleet,
    rate,
    record,
    request,
    service,
    users,
    workers,
)


def test_a_user_asks_once_a_pace() -> None:
    r = record(fleet(users("3 for 60s")))
    assert r.totals["sent"] == r.totals["answered"] == 3 * 12
    assert r.latency_sum_s.sum() == pytest.approx(36 * 0.1)


def test_jitter_varies_the_pace_but_not_its_mean() -> None:
    even, odd = (record(fleet(users("20 for 500s", jitter=j))) for j in (0, 0.1))
    assert even.totals["sent"] == 20 * 100
    assert odd.totals["sent"] == pytest.approx(2000, abs=20)
    assert odd.series["sent"].tolist() != even.series["sent"].tolist()


def test_who_was_there_before_the_run_counts_as_connected_from_its_start() -> None:
    assert record(fleet(users("7 for 20s"))).series["users"][0] == 7


def test_users_wait_for_their_answer_before_they_ask_again() -> None:
    """One worker, 1 s a request, two users who would ask every 0.5 s: the worker's rate, not theirs."""
    r = record(fleet(users("2 for 60s", pace="500ms"), workers(1), request(wait="1s")))
    assert 58 <= r.totals["sent"] <= 62
    assert r.series["under_way"].max() <= 2


def test_a_think_time_counts_from_the_answer() -> None:
    """First request at 2 s, then every 2 + 0.1 s, before 63 s: 1 + floor(61 / 2.1) = 30."""
    assert record(fleet(users("1 for 63s", think="2s"))).totals["sent"] == 30


def test_an_app_that_opens_makes_its_calls_one_after_another() -> None:
    """Ten who join in 10 s make three calls each, 100 ms apart, and none more within the run."""
    burst = {"startBurst": {"calls": 3}}
    r = record(fleet(users("0 -> 10 in 10s, hold 20s", pace="100s", **burst)))
    assert r.totals["sent"] == r.totals["answered"] == 30
    assert r.series["sent"][1:10].tolist() == [3] * 9


def test_those_longest_connected_leave_first_and_the_rest_at_the_end() -> None:
    join, leave = sessions(parse_shape("0 -> 4 in 4s, hold 4s, 4 -> 2 in 2s, hold 5s", "users"))
    assert join.tolist() == [1, 2, 3, 4]
    assert leave.tolist() == pytest.approx([8, 9, 15, 15])


def test_a_user_leaves_only_after_its_request() -> None:
    """Asks at 1, 6.6: answered at 11.2, though it was to leave at 10."""
    r = record(fleet(users("1 for 10s", think="1s"), request(wait="4600ms")))
    assert r.totals["answered"] == 2
    assert r.series["users"][:13].tolist() == [1] * 11 + [0] * 2


@pytest.mark.parametrize(
    ("retries", "attempts", "seconds"),
    [
        ({"max": 0}, 1, 0),
        ({"max": 3, "backoff": "immediate"}, 4, 0),
        ({"max": 3, "base": "1s", "jitter": False}, 4, 1 + 2 + 4),
        ({"max": 3, "base": "1s", "cap": "2s", "jitter": False}, 4, 1 + 2 + 2),
    ],
)
def test_attempts_and_waits_of_retries(retries: dict[str, object], attempts: int, seconds: int) -> None:
    r = record(fleet(rate("1/s for 10s"), clients(retries=retries), manifests=[NO_POD]))
    assert r.totals["sent"] == r.totals["failed"] == 10
    assert r.totals["attempts"] == attempts * 10
    assert r.totals["retries"] == (attempts - 1) * 10
    assert small.shift(r.series, "sent", "failed_at") == seconds


def test_full_jitter_waits_half_as_long_in_the_mean() -> None:
    retries = {"max": 1, "base": "10s"}
    r = record(fleet(rate("100/s for 1s"), clients(retries=retries), manifests=[NO_POD]))
    mean = (r.series["failed_at"] * r.series["t"]).sum() / 100
    assert mean == pytest.approx(5.0, abs=1.0)


def test_a_budget_bounds_retries_by_requests() -> None:
    retries = {"max": 3, "backoff": "immediate", "budget": 0.1}
    r = record(fleet(rate("10/s for 20s"), clients(retries=retries), manifests=[NO_POD]))
    assert r.totals["sent"] == 200
    assert 18 <= r.totals["retries"] <= 20


def test_a_retry_that_succeeds_counts_as_one_answered_request() -> None:
    """One worker, 1 s; the second request waits too long, is tried again, and has its answer then."""
    slow = (
        workers(1),
        request(wait="1s"),
        clients(timeout="1500ms", retries={"max": 1, "backoff": "immediate"}),
    )
    r = record(fleet(rate("4/s for 500ms, 4/s -> 0/s at once, hold 5s"), *slow))
    assert (r.totals["sent"], r.totals["answered"], r.totals["attempts"]) == (2, 2, 3)
    # From 0.375 s, when it was first intended, to the end of the third second of work.
    assert r.latency_sum_s.sum() == pytest.approx(1.0 + 3.125 - 0.375)
    assert r.totals["wasted"] == 1


def test_a_user_gives_up_after_failures_in_a_row() -> None:
    r = record(fleet(users("5 for 60s", pace="1s", giveUpAfter=2), manifests=[NO_POD]))
    assert r.totals["sent"] == r.totals["failed"] == 10
    assert r.series["users"][-1] == 0


def test_a_request_whose_client_has_gone_is_served_in_full() -> None:
    r = record(fleet(rate("1/s for 5s"), request(wait="0s", cpu="1200ms"), clients(timeout="1s"), workers(5)))
    assert r.totals["timed_out"] == r.totals["wasted"] == 5
    assert small.shift(r.series, "sent", "failed_at") == 1
    assert r.series["cpu_cores"].sum() == pytest.approx(5 * 1.2)


def test_five_workers_carry_one_request_a_second_for_direct_keep_alive_clients() -> None:
    """Each answer holds its worker for KeepAliveTimeout: 5 workers / (5 s + 0.1 s)."""
    keep = clients(keepAlive=True, timeout="120s")
    direct = record(fleet(rate("10/s for 60s"), workers(5, KeepAliveTimeout="5s"), keep, KUBE_PROXY))
    assert direct.series["answered_at"][10:60].mean() == pytest.approx(5 / 5.1, rel=0.05)
    proxied = record(fleet(rate("10/s for 60s"), workers(5, KeepAliveTimeout="5s"), keep))
    assert proxied.totals["answered"] == 600
    closed = record(fleet(rate("10/s for 60s"), workers(5, KeepAlive=False), keep, KUBE_PROXY))
    assert closed.totals["answered"] == 600


def test_a_user_asks_again_on_the_connection_it_kept() -> None:
    """Two workers, two users, each request within KeepAliveTimeout: a third user never gets a worker."""
    keep = (workers(2, KeepAliveTimeout="5s", MaxKeepAliveRequests=0), clients(keepAlive=True), KUBE_PROXY)
    two = record(fleet(users("2 for 60s", pace="3s"), *keep))
    assert two.latency_sum_s.sum() == pytest.approx(two.totals["answered"] * 0.1)
    three = record(fleet(users("3 for 60s", pace="3s"), *keep))
    assert three.totals["answered"] <= 2 * 20 + 3
    assert three.totals["timed_out"] >= 1


def test_a_connection_serves_so_many_requests_and_is_closed() -> None:
    """MaxKeepAliveRequests 2: the third user takes over a worker after every second request."""
    keep = (workers(2, KeepAliveTimeout="5s", MaxKeepAliveRequests=2), clients(keepAlive=True), KUBE_PROXY)
    r = record(fleet(users("3 for 120s", pace="3s"), *keep))
    assert r.totals["timed_out"] == 0
    assert r.totals["answered"] > 60


def test_slow_readers_hold_a_worker_only_without_a_proxy() -> None:
    slow = (rate("1/s for 10s"), clients(slowReaders=1.0, slowReadTime="2s"))
    assert record(fleet(*slow, KUBE_PROXY)).latency_sum_s.sum() == pytest.approx(10 * 2.1)
    assert record(fleet(*slow)).latency_sum_s.sum() == pytest.approx(10 * 0.1)


def test_arrivals_at_random_vary_as_poisson_does() -> None:
    """Mean and variance of a second's arrivals are equal; evenly spaced ones do not vary."""
    quick = (request(wait="1ms"), workers(4))
    at_random = record(fleet({"traffic": {"arrivals": {"rate": "50/s for 400s"}}}, *quick)).series["sent"][
        :400
    ]
    assert at_random.mean() == pytest.approx(50, abs=1.5)
    assert at_random.var() / at_random.mean() == pytest.approx(1.0, abs=0.25)
    assert record(fleet(rate("50/s for 40s"), *quick)).series["sent"][:40].var() < 1.0


def test_arrivals_make_visits_one_after_another() -> None:
    r = record(fleet(rate("1/s for 10s", visits=3)))
    assert r.totals["sent"] == r.totals["answered"] == 30
    assert r.series["sent"][:9].tolist() == [3] * 9


def test_a_recorded_rate_comes_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "rate.csv").write_text("t,requests_per_second\n0,10\n10,40\n20,0\n30,0\n")
    r = record(fleet({"traffic": {"recorded": {"file": "rate.csv"}}}, folder=tmp_path))
    assert r.series["sent"][:10].sum() == pytest.approx(100, abs=35)
    assert r.series["sent"][10:20].sum() == pytest.approx(400, abs=70)
    assert r.series["sent"][20:].sum() == 0


def test_a_recorded_log_comes_at_its_times_and_in_its_classes(tmp_path: Path) -> None:
    line = '10.0.0.1 - - [17/May/2026:10:00:{:02d} +0000] "GET {} HTTP/1.1" 200 512\n'
    lines = [line.format(t, "/slow/1" if t % 2 else "/page") for t in (0, 0, 1, 5, 5, 5, 9)]
    (tmp_path / "access.log").write_text("".join(lines))
    classes = {"page": {"match": ["/page"]}, "slow": {"match": ["/slow/*"], "wait": "2s", "cpu": 0}}
    r = record(
        fleet(service(requests=classes), {"traffic": {"recorded": {"file": "access.log"}}}, folder=tmp_path)
    )
    assert np.flatnonzero(r.series["sent"]).tolist() == [0, 1, 5, 9]
    assert r.series["sent"][[0, 1, 5, 9]].tolist() == [2, 1, 3, 1]
    assert (r.per_class["page"]["sent"], r.per_class["slow"]["sent"]) == (2, 5)
    assert r.latency_sum_s.sum() == pytest.approx(2 * 0.1 + 5 * 2.0)
    assert any("served" in w for w in r.description["warnings"])


def test_no_endpoints_fail_at_once_with_a_proxy_and_are_refused_without() -> None:
    """A proxy answers 503; kube-proxy rejects the connection."""
    assert record(fleet(rate("5/s for 4s"), manifests=[NO_POD])).totals["failed"] == 20
    assert record(fleet(rate("5/s for 4s"), KUBE_PROXY, manifests=[NO_POD])).totals["refused"] == 20
    assert record(fleet(rate("5/s for 4s"), balancer(maxconn=1), manifests=[NO_POD])).totals["failed"] == 20


def test_users_without_a_think_time_do_not_make_time_stand_still() -> None:
    """Each refusal takes a round trip of 10 ms: 100 requests a second and user, no more."""
    far = clients(roundTrip="10ms")
    r = record(fleet(users("2 for 5s", think="0s"), far, KUBE_PROXY, manifests=[NO_POD]))
    assert r.totals["sent"] == r.totals["refused"] == pytest.approx(2 * 500, abs=4)
