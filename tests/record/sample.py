"""Records as a run would leave them, drawn by hand: a wave that fells a fleet, wounds it, or is borne."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seawall.record.histogram import BUCKETS, bucket_edges
from seawall.record.record import Event, Record

TIMEOUT = 30
WAVE = (60.0, 120.0)
_EDGES = bucket_edges()


@dataclass(frozen=True)
class Shape:
    """How a variant takes the wave: what share fails and how, and how slow the rest is."""

    name: str
    median_ms: float = 120.0
    slow_factor: float = 4.0
    timed_out: float = 0.0
    failed: float = 0.0
    pod_mib: tuple[float, float] = (310.0, 505.0)
    machines: int = 4
    more_machines: int = 4
    price: float = 0.0416
    stalls: tuple[int, ...] = ()
    kills_every: int = 0


DEFAULT = Shape(
    "default", 180.0, 30.0, timed_out=0.62, pod_mib=(520.0, 1240.0), price=0.0832, stalls=(96, 109, 121)
)
MEMORY_LIMIT = Shape(
    "memory-limit", 170.0, 12.0, failed=0.09, pod_mib=(500.0, 700.0), price=0.0832, kills_every=3
)
TUNED = Shape("tuned")
ALL = (DEFAULT, MEMORY_LIMIT, TUNED)


def sample(shape: Shape = TUNED, bins: int = 600, seed: int = 7) -> Record:
    """A record of `bins` seconds with the columns of a run in a cluster."""
    rng = np.random.default_rng([seed, len(shape.name), bins])
    t = np.arange(bins, dtype=np.float64)
    users = np.where(t < bins - TIMEOUT, np.clip((t - WAVE[0]) / 60.0, 0.0, 1.0) * 900 + 100, 0).astype(int)
    sent = rng.poisson(users / 5.0)
    sent[bins - TIMEOUT :] = 0
    strain = np.clip((t - 92.0) / 40.0, 0.0, 1.0) * np.where(t < 330, 1.0, np.exp((330 - t) / 60.0))
    ends = _outcomes(rng, shape, sent, strain)
    latency, latency_sum_s = _latencies(rng, shape, ends["answered"], strain)
    series = {"t": t, "sent": sent, **ends, "attempts": sent.copy()}
    series |= _moments(series, bins)
    series |= _states(rng, shape, t, users, strain, series)
    totals = {key: int(series[key].sum()) for key in ("sent", *ends, "attempts", "wasted", "oom_kills")}
    totals |= {"under_way": 0, "retries": 0, "restarts": totals["oom_kills"] // 2}
    return Record(
        description=_description(shape, bins, seed),
        series=series,
        events=_events(shape, series),
        latency=latency,
        latency_sum_s=latency_sum_s,
        totals=totals,
        per_class=_two_classes(totals),
    )


def _outcomes(rng: np.random.Generator, shape: Shape, sent: Any, strain: Any) -> dict[str, Any]:
    timed_out = rng.binomial(sent, np.minimum(1.0, shape.timed_out * strain))
    failed = rng.binomial(sent - timed_out, shape.failed * strain)
    refused = rng.binomial(sent - timed_out - failed, 0.02 * strain * bool(shape.stalls))
    answered = sent - timed_out - failed - refused
    return {
        "answered": answered,
        "failed": failed,
        "timed_out": timed_out,
        "refused": refused,
        "shed": np.zeros_like(sent),
    }


def _latencies(rng: np.random.Generator, shape: Shape, answered: Any, strain: Any) -> tuple[Any, Any]:
    latency = np.zeros((len(answered), BUCKETS), np.uint32)
    sums = np.zeros(len(answered))
    for i, n in enumerate(answered):
        median = shape.median_ms * 1e-3 * (1.0 + (shape.slow_factor - 1.0) * strain[i] * 0.25)
        drawn = np.minimum(rng.lognormal(np.log(median), 0.45, n), TIMEOUT)
        np.add.at(latency[i], np.searchsorted(_EDGES, drawn, side="right") - 1, 1)
        sums[i] = drawn.sum()
    return latency, sums


def _moments(series: dict[str, Any], bins: int) -> dict[str, Any]:
    """Answers within their bin, failures at once, time-outs 30 s later."""
    late = np.zeros(bins, np.int64)
    late[TIMEOUT:] = series["timed_out"][: bins - TIMEOUT]
    failed_at = series["failed"] + series["refused"] + late
    under_way = np.cumsum(series["sent"] - series["answered"] - failed_at)
    return {
        "answered_at": series["answered"].copy(),
        "failed_at": failed_at,
        "wasted": late // 2,
        "under_way": under_way,
    }


def _states(
    rng: np.random.Generator, shape: Shape, t: Any, users: Any, strain: Any, series: dict[str, Any]
) -> dict[str, Any]:
    desired = np.select([t < 75, t < 105, t < 135], [6, 12, 20], 24)
    ready = np.minimum(desired, np.select([t < 80, t < 150, t < 200], [6, 10, 16], 24))
    nodes = np.where(t < 140, shape.machines, shape.machines + shape.more_machines)
    stalled = sum(((t >= s) & (t < s + 120)).astype(int) for s in shape.stalls) + np.zeros(len(t), int)
    not_ready = sum(((t >= s + 50) & (t < s + 180)).astype(int) for s in shape.stalls) + np.zeros(len(t), int)
    low, high = shape.pod_mib
    memory = low + (high - low) * np.maximum(strain, (users - 100) / 1800) + rng.normal(0, 4, len(t))
    kills = np.zeros(len(t), int)
    if shape.kills_every:
        kills = ((t > 95) & (t < 420) & (t % shape.kills_every == 0)).astype(int)
    cpu = np.minimum(ready * 1.0, series["answered_at"] * 0.055) * rng.uniform(0.95, 1.05, len(t))
    return {
        "users": users,
        "lb_queue": (strain * 90 * (1 + shape.slow_factor / 10)).astype(int),
        "accept_queue": (strain * 40 * bool(shape.stalls) * stalled).astype(int),
        "workers": ready * 5,
        "workers_busy": np.minimum(ready * 5, (cpu * 4).astype(int)),
        "pods": desired,
        "pods_ready": np.maximum(ready - 2 * not_ready, 1),
        "replicas_desired": desired,
        "nodes": nodes,
        "nodes_ready": nodes - np.minimum(not_ready, nodes),
        "nodes_stalled": np.minimum(stalled, nodes),
        "cpu_cores": cpu,
        "cpu_requested_cores": desired * 0.5,
        "pod_memory_max_mib": memory,
        "pod_memory_mean_mib": memory * 0.86,
        "node_memory_max_share": np.clip(memory / high * (1.0 if shape.stalls else 0.72), 0, 1),
        "oom_kills": kills,
        "cost_per_hour": nodes * shape.price + 0.2,
    }


def _events(shape: Shape, series: dict[str, Any]) -> tuple[Event, ...]:
    events = [
        Event(WAVE[0], "wave-begins", "traffic", "100 -> 1000 users in 60s"),
        Event(WAVE[1], "wave-ends", "traffic", "1000 users"),
        *(
            Event(
                float(t),
                "hpa-scale",
                "deployment/passporter",
                f"{a} -> {b}: CPU at 92 %, target 60 %",
                {"to": b},
            )
            for t, a, b in ((75, 6, 12), (105, 12, 20), (135, 20, 24))
        ),
        Event(107.0, "pod-unschedulable", "pod/passporter-13", "0/4 nodes have 500m CPU free"),
        Event(110.0, "node-requested", "nodepool/service", "4 more machines"),
        Event(140.0, "node-added", "node/service-5"),
    ]
    for n, t in enumerate(shape.stalls):
        message = "memory of the node ran out (7.6 GiB of 7.6 GiB)"
        events.append(Event(float(t), "node-stall", f"node/service-{n + 1}", message))
        events.append(Event(t + 50.0, "node-not-ready", f"node/service-{n + 1}", "no lease for 50 s"))
    for t in np.nonzero(series["oom_kills"])[0]:
        pod = f"pod/passporter-{t % 6}"
        events.append(Event(float(t), "oom-kill", pod, "a worker killed at 700Mi", {"limit_mib": 700}))
    return tuple(sorted(events, key=lambda event: event.t))


def _two_classes(totals: dict[str, int]) -> dict[str, dict[str, int]]:
    keys = ("sent", "answered", "failed", "timed_out", "refused", "shed", "under_way", "attempts", "retries")
    small = {key: totals[key] // 4 for key in keys}
    small["sent"] = sum(small[key] for key in keys[1:7])
    small["attempts"] = small["sent"]
    return {"feed": {key: totals[key] - small[key] for key in keys}, "login": small}


def _description(shape: Shape, bins: int, seed: int) -> dict[str, Any]:
    return {
        "format": 1,
        "version": "0.1.0",
        "world": "twin",
        "fleet": "passporter",
        "variant": shape.name,
        "seed": seed,
        "completed": {"name": "passporter", "service": {"server": {"kind": "apache-prefork"}}},
        "assumptions": {
            "service.requests.feed.cpu": "CPU work was not measured; 55 ms gives the rate of the seed",
            "service.memory.application": "500 MB a pod with 5 workers",
            "platform.nodePools.service.whenMemoryRunsOut.stall": "no figure in the seed",
        },
        "defaults": ["service.start.cpu", "platform.imagePull"],
        "notes": {"requests/s in the wave, as the team measured": "50 to 60"},
        "warnings": [],
        "bin_seconds": 1.0,
        "duration_s": float(bins),
        "wave": list(WAVE),
        "currency": "USD",
        "objectives": {"served": 0.999, "latency": {"p99": 2.5}},
        "memory_limit_mib": 700.0 if shape.kills_every else None,
    }


def tiny(
    sent: list[int],
    answered: list[int],
    *,
    latency_s: float = 0.1,
    events: tuple[Event, ...] = (),
    **description: Any,
) -> Record:
    """A run against a bare URL: no pods, no nodes, no users; what is not answered has failed."""
    counts, ends = np.array(sent, np.int64), np.array(answered, np.int64)
    none = np.zeros_like(counts)
    latency = np.zeros((len(sent), BUCKETS), np.uint32)
    latency[:, int(np.searchsorted(_EDGES, latency_s, side="right")) - 1] = ends
    failed = counts - ends
    series = {
        "t": np.arange(len(sent), dtype=np.float64),
        "sent": counts,
        "answered": ends,
        "failed": failed,
        "timed_out": none,
        "refused": none,
        "shed": none,
        "attempts": counts,
        "answered_at": ends,
        "failed_at": failed,
        "under_way": none,
    }
    totals = {key: int(series[key].sum()) for key in ("sent", "answered", "failed", "attempts")}
    totals |= {"timed_out": 0, "refused": 0, "shed": 0, "under_way": 0, "retries": 0}
    base: dict[str, Any] = {"format": 1, "version": "0.1.0", "world": "twin", "fleet": "tiny", "seed": 1}
    base |= {"bin_seconds": 1.0, "wave": None, "currency": None, "objectives": {"served": 0.999}}
    return Record(base | description, series, events, latency, ends * latency_s, totals)


def changed(record: Record, **columns: Any) -> Record:
    """The same record with some columns of its series replaced."""
    return replace(record, series=record.series | columns)
