"""Laws of whole runs, whatever the fleet: tried on fleets drawn by hypothesis, through the public interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from theory.fleets import queue_data

from seawall.fleet.reader import fleet_from_data
from seawall.record.conservation import check_conservation
from seawall.record.histogram import LINEAR, PER_DOUBLING
from seawall.record.record import Record
from seawall.twin.simulate import simulate

few = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def run(data: dict[str, Any], seed: int = 0) -> Record:
    """Simulate fleet data; what must hold for every run is checked here."""
    record = simulate(fleet_from_data(data), seed)
    assert check_conservation(record) == []
    return record


def prefork(most: int, **memory: Any) -> dict[str, Any]:
    """The `service` of an Apache with at most so many workers, requests of 200 ms and 3 MiB, no CPU work."""
    return {
        "server": {"kind": "apache-prefork", "MaxRequestWorkers": most, "StartServers": 2},
        "requests": {"any": {"cpu": 0, "wait": {"exponential": "200ms"}, "memory": "3Mi"}},
        "memory": {"base": "50Mi", "worker": "10Mi", "application": "50Mi", **memory},
        "start": {"cpu": 0, "wait": 0, "applicationCpu": 0, "workerCpu": 0},
    }


@few
@given(fewer=st.integers(2, 20), more=st.integers(1, 20), rate=st.integers(20, 300), seed=st.integers(0, 99))
def test_more_workers_never_need_less_memory(fewer: int, more: int, rate: int, seed: int) -> None:
    """Until the smaller server is full both do the same; from then on the larger has at least as many busy."""

    def peak(most: int) -> float:
        traffic = {"arrivals": {"rate": f"5/s -> {rate}/s in 20s, hold 10s"}}
        data = queue_data(traffic, workers=1) | {"service": prefork(most)}
        return float(run(data, seed).series["pod_memory_max_mib"].max())

    assert peak(fewer) <= peak(fewer + more) + 1e-6


def test_where_memory_is_short_of_workers_it_grows_with_them() -> None:
    """The law above is no equality: under a load that fills all workers, each costs its 63 MiB."""
    traffic = {"arrivals": {"rate": "1000/s for 60s"}}
    peaks = [
        run(queue_data(dict(traffic), workers=1) | {"service": prefork(most)}).series["pod_memory_max_mib"]
        for most in (10, 20)
    ]
    assert round(float(peaks[1].max() - peaks[0].max())) == 10 * 63


@st.composite
def calm_fleets(draw: st.DrawFn) -> dict[str, Any]:
    """A fleet under a constant load of at most 40 % of what its workers and its CPU carry."""
    workers, pods = draw(st.integers(3, 12)), draw(st.integers(1, 4))
    cpu_ms, wait_ms = draw(st.integers(0, 20)), draw(st.integers(5, 100))
    share = draw(st.floats(0.05, 0.4))
    by_workers = pods * workers * 1000.0 / (cpu_ms + wait_ms)
    by_cpu = 4 * 1000.0 / max(cpu_ms, 0.001)
    rate = share * min(by_workers, by_cpu)
    traffic: dict[str, Any] = {"arrivals": {"rate": f"{rate:.3f}/s for 60s"}}
    if draw(st.booleans()):
        users = max(1, int(rate * 2))
        traffic = {"users": {"count": f"{users} for 60s", "pace": "2s"}}
    data = queue_data(
        traffic,
        workers=workers,
        pods=pods,
        backlog=2048,
        cpu={"exponential": f"{cpu_ms}ms"} if cpu_ms else 0,
        wait={"lognormal": {"mean": f"{wait_ms}ms", "cv": 1}},
        balance=draw(st.sampled_from(["roundrobin", "leastconn", "random"])),
        cores=4,
    )
    if draw(st.booleans()):
        data["service"]["server"] = {"kind": "apache-prefork", "MaxRequestWorkers": workers}
    if draw(st.booleans()):
        data["platform"]["balancer"] = {"kind": "kube-proxy"}
        data["traffic"]["clients"]["keepAlive"] = False
    return data


@few
@given(data=calm_fleets(), seed=st.integers(0, 99))
def test_no_wave_no_failure(data: dict[str, Any], seed: int) -> None:
    totals = run(data, seed).totals
    assert totals["sent"] > 0
    assert totals["answered"] == totals["sent"]


def timed(factor: float, workers: int, backlog: int, quota: str | None) -> dict[str, Any]:
    """An overloaded fleet all of whose times are multiplied by a factor, those of the record's bins as well."""
    data = queue_data(
        {
            "arrivals": {"rate": f"{8 / factor}/s for {3590 * factor}s"},
            "users": {
                "count": f"15 for {3590 * factor}s",
                "think": {"exponential": f"{3 * factor}s"},
                "startBurst": {"calls": 3, "gap": f"{factor}s"},
            },
            "clients": {"timeout": f"{10 * factor}s", "keepAlive": False, "roundTrip": f"{0.01 * factor}s"},
        },
        workers=workers,
        backlog=backlog,
        cpu={"uniform": [f"{0.01 * factor}s", f"{0.08 * factor}s"]},
        wait={"exponential": f"{factor}s"},
        pods=2,
        cores=1,
        cpu_limit=quota,
    )
    retries = {"max": 2, "base": f"{0.5 * factor}s", "cap": f"{10 * factor}s"}
    data["traffic"]["clients"]["retries"] = retries
    data["service"]["kernel"]["cpu.cfs_period"] = f"{0.1 * factor}s"
    data["platform"]["balancer"] = {"kind": "kube-proxy"}
    return data


@settings(few, max_examples=6)
@given(
    workers=st.integers(1, 6),
    backlog=st.integers(1, 30),
    quota=st.sampled_from([None, "300m", "700m"]),
    seed=st.integers(0, 99),
)
def test_scaling_all_times_scales_the_record(
    workers: int, backlog: int, quota: str | None, seed: int
) -> None:
    """No constant of ours is hidden in it: twice as slow in everything is the same run at half the speed.

    By a factor of two every digit is the same, as floats double without rounding; by other factors a system that
    answers to itself (users, a shared quota) drifts apart from the last digit on, about tenfold a second.
    """
    one = run(timed(1.0, workers, backlog, quota), seed)
    two = run(timed(2.0, workers, backlog, quota), seed)
    assert (one.bin_seconds, two.bin_seconds) == (1.0, 2.0)
    assert two.totals == one.totals
    assert one.totals["retries"] > 0 and one.totals["answered"] > 1000
    for column in ("sent", "answered", "timed_out", "refused", "attempts", "workers_busy", "cpu_cores"):
        np.testing.assert_array_equal(two.series[column], one.series[column], err_msg=column)
    np.testing.assert_array_equal(two.latency_sum_s, 2.0 * one.latency_sum_s)
    # A doubling has 64 buckets, so that all counts move up by as many.
    np.testing.assert_array_equal(
        two.latency[:, LINEAR + PER_DOUBLING :], one.latency[:, LINEAR:-PER_DOUBLING]
    )


@st.composite
def any_fleets(draw: st.DrawFn) -> dict[str, Any]:
    """A fleet with three classes of requests under a wave that it may well not carry."""
    traffic: dict[str, Any] = {
        "clients": {
            "timeout": draw(st.sampled_from(["300ms", "3s"])),
            "keepAlive": draw(st.booleans()),
            "slowReaders": draw(st.sampled_from([0, 0.2])),
            "retries": {
                "max": draw(st.integers(0, 3)),
                "backoff": draw(st.sampled_from(["immediate", "exponential"])),
            },
        }
    }
    if draw(st.booleans()):
        traffic["users"] = {
            "count": "10 for 5s, -> 150 in 10s, hold 10s, -> 5 in 5s, hold 5s",
            "pace": "500ms",
            "startBurst": {"calls": draw(st.integers(1, 3))},
            "giveUpAfter": draw(st.integers(0, 3)),
        }
    if draw(st.booleans()) or "users" not in traffic:
        traffic["arrivals"] = {
            "rate": "20/s for 5s, -> 400/s in 10s, hold 10s, -> 10/s at once, hold 5s",
            "visits": draw(st.integers(1, 3)),
        }
    data = queue_data(
        traffic,
        workers=draw(st.integers(1, 8)),
        pods=draw(st.integers(1, 3)),
        backlog=draw(st.integers(1, 40)),
        balance=draw(st.sampled_from(["roundrobin", "leastconn", "random"])),
        cores=2,
        cpu_limit=draw(st.sampled_from([None, "400m"])),
    )
    data["service"]["requests"] = {
        "page": {"share": 5, "cpu": "3ms", "wait": {"exponential": "30ms"}, "memory": "1Mi"},
        "search": {"share": 2, "cpu": {"lognormal": {"mean": "10ms", "cv": 1}}, "wait": 0, "memory": 0},
        "image": {"share": 1, "cpu": 0, "wait": {"quantiles": {"p50": "5ms", "p100": "2s"}}},
    }
    data["service"]["kernel"]["net.ipv4.tcp_abort_on_overflow"] = draw(st.booleans())
    if draw(st.booleans()):
        data["platform"]["balancer"] = {"kind": "kube-proxy"}
    else:
        data["platform"]["balancer"] |= {
            "maxconn": draw(st.integers(0, 10)),
            "maxqueue": draw(st.integers(0, 50)),
            "retries": draw(st.integers(0, 3)),
            "timeout connect": "1s",
            "timeout server": draw(st.sampled_from(["500ms", "10s"])),
            "http-reuse": draw(st.booleans()),
        }
    return data


@settings(few, max_examples=25)
@given(data=any_fleets(), seed=st.integers(0, 99))
def test_every_request_of_every_class_has_one_end(data: dict[str, Any], seed: int) -> None:
    record = run(data, seed)
    assert record.totals["sent"] > 0
    assert all(counts["sent"] > 0 for counts in record.per_class.values())


@few
@given(rate=st.integers(5, 200), workers=st.integers(1, 5), seed=st.integers(0, 99))
def test_arrivals_depend_on_the_seed_alone(rate: int, workers: int, seed: int) -> None:
    def sent(workers: int, seed: int) -> list[int]:
        data = queue_data({"arrivals": {"rate": f"{rate}/s for 30s"}}, workers=workers, wait="50ms")
        return [int(x) for x in run(data, seed).series["sent"]]

    assert sent(workers, seed) == sent(workers + 1, seed)
    assert sent(workers, seed) != sent(workers, seed + 1)


WRITE = """
import sys
from seawall.fleet.reader import complete
from seawall.fleet.stories import load
from seawall.record.record import write
from seawall.twin.simulate import simulate
fleet = complete(load("passporter"), "memory-limit")
write(simulate(fleet, int(sys.argv[1])), sys.argv[2])
"""


def test_same_seed_same_bytes_in_any_process(tmp_path: Path) -> None:
    def contents(seed: int, name: str) -> dict[str, bytes]:
        subprocess.run([sys.executable, "-c", WRITE, str(seed), str(tmp_path / name)], check=True)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first, again, other = contents(7, "first"), contents(7, "again"), contents(8, "other")
    assert first == again
    assert first["series.parquet"] != other["series.parquet"]
    assert first["events.jsonl"] != other["events.jsonl"]
