"""From a journey that Locust has walked to the record of a wave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall import __version__
from seawall.load.locust import PATIENCE_SECONDS, Journey, Walked
from seawall.load.processes import GeneratorError, Sent
from seawall.record.conservation import check_conservation
from seawall.record.failures import failure_events
from seawall.record.generator import lateness_by_bin, limit_s, void
from seawall.record.histogram import percentile
from seawall.record.record import Event, Record

_COLUMNS = (
    "sent", "answered", "failed", "timed_out", "refused", "shed", "attempts", "answered_at", "failed_at",
    "answered_4xx", "failed_5xx", "failed_reset", "failed_body", "failed_protocol", "timed_out_connect",
    "timed_out_read",
)  # fmt: skip
"""Locust does not tell of connections and bytes on the wire, nor of first bytes: such columns are absent."""


def journey_record(journey: Journey, walked: Walked, asked_p99_s: Sequence[float]) -> Record:
    """The record of a journey. `asked_p99_s`: every bound on the p99 that was asked for, in seconds.

    Raises GeneratorError where its counts do not add up (S1).
    """
    tally = walked.sent.tally
    bins = _used_bins(journey, walked.sent)
    series: dict[str, NDArray[Any]] = {"t": np.arange(bins) * journey.bin_s}
    for name in _COLUMNS:
        series[name] = tally.bins[name][:bins].copy()
    series["under_way"] = np.cumsum(series["sent"] - series["answered_at"] - series["failed_at"])
    series["users"] = np.cumsum(tally.bins["joined"][:bins] - tally.bins["left"][:bins])
    lateness = tally.histograms["lateness"][:bins].copy()
    series["lateness_p99_ms"] = lateness_by_bin(lateness)
    totals = {name: int(series[name].sum()) for name in _COLUMNS if not name.endswith("_at")}
    record = Record(
        description=_description(journey, walked, lateness, asked_p99_s),
        series=series,
        events=_events(journey, series),
        latency=tally.histograms["latency"][:bins].copy(),
        latency_sum_s=tally.bins["latency_s"][:bins].copy(),
        totals={**totals, "under_way": int(tally.status["live"][0]), "retries": 0},
        per_class=walked.classes,
        histograms={"lateness": lateness},
    )
    broken = check_conservation(record)
    if broken:
        raise GeneratorError(f"the generator broke a law of its own: S1 conservation: {broken[0]}")
    return record


def _used_bins(journey: Journey, sent: Sent) -> int:
    """Bins up to the end of the traffic and to the last outcome, whichever is later."""
    bins = sent.tally.bins
    traffic = journey.workload.traffic_s if sent.interrupted_s is None else sent.interrupted_s
    last = max(traffic, float(sent.tally.status["ended_s"][0]))
    some = np.flatnonzero(bins["sent"] + bins["answered_at"] + bins["failed_at"] + bins["left"])
    most = int(some[-1]) + 1 if len(some) else 1
    return max(1, most, min(len(bins), math.ceil(last / journey.bin_s - 1e-6)))


def _events(journey: Journey, series: dict[str, NDArray[Any]]) -> tuple[Event, ...]:
    events = failure_events(series)
    if journey.workload.wave is not None:
        begin, end = journey.workload.wave
        events.append(Event(begin, "wave-begins", "traffic", "the load begins to rise"))
        events.append(Event(end, "wave-ends", "traffic", "the load has settled"))
    return tuple(sorted(events, key=lambda event: event.t))


def _description(
    journey: Journey, walked: Walked, lateness: NDArray[np.uint32], asked_p99_s: Sequence[float]
) -> dict[str, Any]:
    sent, work = walked.sent, journey.workload
    counts = lateness.sum(axis=0, dtype=np.int64)
    limit = limit_s(asked_p99_s)
    return {
        "format": 1,
        "version": __version__,
        "world": "wave",
        "fleet": "wave",
        "variant": journey.variant,
        "seed": journey.seed,
        "target": journey.target.origin,
        "schedule": journey.fingerprint(),
        "part": list(journey.part),
        "void": void(lateness, limit * 1e3),
        "completed": {"traffic": {"users": {"count": journey.users, "locustfile": journey.file.name}}},
        "assumptions": {},
        "defaults": [],
        "notes": {},
        "warnings": _warnings(walked),
        "bin_seconds": journey.bin_s,
        "duration_s": float(sent.tally.status["ended_s"][0]),
        "traffic_s": work.traffic_s,
        "interrupted_s": sent.interrupted_s,
        "wave": None if work.wave is None else [float(t) for t in work.wave],
        "objectives": {},
        "generator": {
            "processes": sent.processes,
            "lateness_p50_ms": _ms(percentile(counts, 0.50)),
            "lateness_p99_ms": _ms(percentile(counts, 0.99)),
            "lateness_limit_ms": round(limit * 1e3, 3),
            "guest": f"locust {walked.locust.version}",
        },
    }


def _warnings(walked: Walked) -> list[str]:
    said = [
        f"sent by Locust {walked.locust.version}, which has no schedule: latencies are counted from the sending, and "
        "users who wait for an answer send less in an outage, so that it looks shorter than it was",
        *walked.notes,
    ]
    live = int(walked.sent.tally.status["live"][0])
    if live:
        said.append(
            f"{live:,} requests had no outcome when their users were stopped, {PATIENCE_SECONDS:g} s after the end; "
            "time-outs are the journey's own (HttpUser has none)"
        )
    return said


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
