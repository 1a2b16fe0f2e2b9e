"""The server: how many processes there are and when, what holds them, what ends them, what a first request costs."""

from __future__ import annotations

import numpy as np
import pytest

from .small import MIB, clients, fleet, gunicorn, rate, record, request, run, service, workers

LONG = request(wait="100s")
PATIENT = clients(timeout="200s")
FOREVER = {"platform": {"balancer": {"timeout server": "300s"}}}


def prefork(start: int, low: int, high: int, most: int, **more: object) -> dict[str, object]:
    names = ("StartServers", "MinSpareServers", "MaxSpareServers", "MaxRequestWorkers")
    return service(server={**dict(zip(names, (start, low, high, most), strict=True)), **more})


def test_children_are_started_1_2_4_to_32_a_second_up_to_max_request_workers() -> None:
    """400 requests at once that take for ever; 5 children at first."""
    r = record(fleet(rate("400/s for 1s"), prefork(5, 5, 250, 256), LONG, FOREVER))
    steps = [5 + n for n in np.cumsum([1, 2, 4, 8, 16, 32, 32, 32, 32, 32, 32])]
    assert r.series["workers"][:13].tolist() == [*steps, 256, 256]
    assert r.series["accept_queue"][14] == 400 - 256


def test_the_rate_of_starting_begins_anew_once_enough_are_idle() -> None:
    """Two waves, 20 s apart, of 12 long requests: 1, 2, 4 ... each time."""
    r = record(
        fleet(rate("12/s for 1s, 12/s -> 0/s at once, hold 20s"), prefork(2, 2, 250, 256), LONG, FOREVER)
    )
    # 12 busy and at least 2 idle: 2 + 1 + 2 + 4 + 8 = 17.
    assert r.series["workers"][:8].tolist() == [3, 5, 9, 17, 17, 17, 17, 17]


def test_above_max_spare_servers_one_child_ends_each_second() -> None:
    """Twenty idle children at first, ten may be."""
    r = record(fleet(rate("0/s for 15s, 0/s -> 1/s at once, hold 1s"), prefork(20, 1, 10, 60)))
    assert r.series["workers"][:13].tolist() == [*range(19, 10, -1), 10, 10, 10, 10]


def test_server_limit_bounds_max_request_workers() -> None:
    r = record(fleet(rate("40/s for 1s"), prefork(1, 1, 5, 8, ServerLimit=4), LONG, FOREVER))
    assert r.series["workers"].max() == 4


def test_workers_bound_what_is_served_a_second() -> None:
    """8 workers, 100 ms: 80 a second, whatever comes."""
    r = record(fleet(rate("200/s for 20s"), workers(8)))
    assert r.series["answered_at"][2:19].tolist() == pytest.approx([80] * 17, abs=1)


def test_a_child_ends_after_its_connections_and_its_successor_loads_the_application() -> None:
    """20 requests, 5 a child; the first child has loaded long ago, three more load for 1 s of CPU each."""
    child = (workers(1, MaxConnectionsPerChild=5), service(start={"applicationCpu": "1s"}))
    r = record(fleet(rate("1/s for 20s"), *child, clients(timeout="60s")))
    assert r.totals["answered"] == 20
    assert r.series["cpu_cores"].sum() == pytest.approx(3.0)


def test_an_embedded_child_loads_the_application_at_its_first_request() -> None:
    """The second request meets a child that was forked a moment before: 2 s of loading more."""
    load = service(start={"applicationCpu": "2s"})
    changes = (rate("1/s for 2s"), prefork(1, 1, 2, 2), request(wait="10s"), load, clients(timeout="60s"))
    embedded = record(fleet(*changes))
    assert embedded.latency_sum_s.sum() == pytest.approx(10 + 12)
    daemon = record(fleet(*changes, service(server={"modWsgi": {"processes": 1, "threads": 5}})))
    assert daemon.latency_sum_s.sum() == pytest.approx(20)


def test_daemon_mode_serves_processes_times_threads_at_once() -> None:
    """Twenty requests of 1 s within a moment, ten children, one process of two threads: two a second."""
    daemon = (workers(10), service(server={"modWsgi": {"processes": 1, "threads": 2}}), request(wait="1s"))
    r = record(fleet(rate("1000/s for 20ms"), *daemon))
    assert r.series["answered_at"][:11].tolist() == [0] + [2] * 10
    assert r.series["workers_busy"][0] == 10


def test_in_daemon_mode_memory_is_that_of_its_processes() -> None:
    """40 + 2 * (10 + 50) of the daemon's processes + 4 * 10 of Apache's children MiB."""
    daemon = service(server={"modWsgi": {"processes": 2, "threads": 2}})
    r = record(fleet(rate("10/s for 5s"), daemon))
    assert r.series["pod_memory_max_mib"][2] == pytest.approx(40 + 2 * 60 + 4 * 10)


def test_gunicorn_kills_a_worker_that_is_silent_for_too_long() -> None:
    """A request of 10 s under a time-out of 3 s is lost at the arbiter's next look, within a second."""
    r = record(fleet(rate("1/s for 1s"), gunicorn(1, timeout="3s"), request(wait="10s")))
    assert r.totals["failed"] == 1
    assert np.flatnonzero(r.series["failed_at"])[0] in (3, 4)
    assert r.series["workers"][-1] == 1


def test_gunicorn_replaces_a_worker_after_max_requests_and_loads_before_it_accepts() -> None:
    """One worker, five requests each: three successors load for 1 s of CPU, none at a request's cost beyond it."""
    child = (gunicorn(1, max_requests=5), service(start={"applicationCpu": "1s"}))
    r = record(fleet(rate("1/s for 20s"), *child))
    assert r.totals["answered"] == 20
    # The fourth is due after the twentieth request, as the run goes on for its clients' time-out.
    assert r.series["cpu_cores"].sum() == pytest.approx(4.0)


def test_gunicorn_shares_an_application_loaded_before_the_fork() -> None:
    apart = record(fleet(rate("1/s for 3s"), gunicorn(4)))
    assert apart.series["pod_memory_max_mib"][1] == pytest.approx(40 + 4 * 60)
    shared = record(fleet(rate("1/s for 3s"), gunicorn(4, preload_app=True)))
    assert shared.series["pod_memory_max_mib"][1] == pytest.approx(40 + 50 + 4 * 10)


def test_gunicorn_does_not_keep_connections() -> None:
    direct = {"platform": {"balancer": {"kind": "kube-proxy"}}}
    r = record(fleet(rate("10/s for 30s"), gunicorn(2), direct, clients(keepAlive=True)))
    assert r.totals["answered"] == 300


def test_a_fork_takes_its_cpu_work_before_the_worker_accepts() -> None:
    """workerCpu 500 ms: the second child, forked within a second, accepts half a second after."""
    world = run(fleet(rate("1/s for 1s"), prefork(1, 1, 2, 2), LONG, service(start={"workerCpu": "500ms"})))
    rows = world.kernel.state["pods"]
    assert rows["used"][world.objects.pods[0].slot] == pytest.approx(0.5)
    assert rows["mem"].sum() / MIB == pytest.approx(40 + 60 + 10)
