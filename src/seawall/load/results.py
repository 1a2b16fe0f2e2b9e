"""From what the generators have counted to the record of a wave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall import __version__
from seawall.load.processes import GeneratorError, Sent
from seawall.load.tally import HISTOGRAMS
from seawall.load.wave import Wave
from seawall.record.conservation import check_conservation
from seawall.record.failures import failure_events
from seawall.record.generator import lateness_by_bin, limit_s, void
from seawall.record.histogram import percentile
from seawall.record.record import Event, Record

_COLUMNS = (
    "sent", "answered", "failed", "timed_out", "refused", "shed", "attempts", "answered_at", "failed_at",
    "answered_4xx", "failed_5xx", "failed_reset", "failed_body", "failed_protocol", "timed_out_connect",
    "timed_out_read", "connects", "sent_bytes", "received_bytes",
)  # fmt: skip
_REQUESTS = ("sent", "answered", "failed", "timed_out", "refused", "shed", "under_way")


def make_record(wave: Wave, sent: Sent, asked_p99_s: Sequence[float]) -> Record:
    """The record of a wave that was sent. `asked_p99_s`: every bound on the p99 that was asked for, in seconds.

    Raises GeneratorError where its counts do not add up (S1).
    """
    tally = sent.tally
    bins = _used_bins(wave, sent)
    series: dict[str, NDArray[Any]] = {"t": np.arange(bins) * wave.bin_s}
    for name in _COLUMNS:
        series[name] = tally.bins[name][:bins].copy()
    series["under_way"] = np.cumsum(
        series["sent"] - series["answered_at"] - series["failed_at"] - series["shed"]
    )
    if len(wave.workload.join_s):
        series["users"] = np.cumsum(tally.bins["joined"][:bins] - tally.bins["left"][:bins])
    histograms = {name: tally.histograms[name][:bins].copy() for name in HISTOGRAMS}
    latency = histograms.pop("latency")
    series["lateness_p99_ms"] = lateness_by_bin(histograms["lateness"])
    record = Record(
        description=_description(wave, sent, histograms["lateness"], asked_p99_s),
        series=series,
        events=_events(wave, series),
        latency=latency,
        latency_sum_s=tally.bins["latency_s"][:bins].copy(),
        totals=_totals(sent, series),
        per_class={
            name: {key: int(row[key]) for key in _REQUESTS}
            for name, row in zip(wave.classes, tally.classes, strict=True)
        },
        histograms=histograms,
    )
    broken = check_conservation(record)
    if broken:
        raise GeneratorError(f"the generator broke a law of its own: S1 conservation: {broken[0]}")
    return record


def _used_bins(wave: Wave, sent: Sent) -> int:
    """Bins up to the end of the traffic and to the last outcome, whichever is later."""
    traffic = wave.workload.traffic_s if sent.interrupted_s is None else sent.interrupted_s
    last = max(traffic, float(sent.tally.status["ended_s"][0]))
    some = np.flatnonzero(
        sent.tally.bins["sent"] + sent.tally.bins["answered_at"] + sent.tally.bins["failed_at"]
    )
    most = int(some[-1]) + 1 if len(some) else 1
    return max(1, most, min(len(sent.tally.bins), math.ceil(last / wave.bin_s - 1e-6)))


def _totals(sent: Sent, series: dict[str, NDArray[Any]]) -> dict[str, int]:
    status = sent.tally.status[0]
    totals = {name: int(series[name].sum()) for name in _COLUMNS if not name.endswith("_at")}
    return (
        totals
        | {name: int(status[name]) for name in ("retries", "resent", "redirected")}
        | {"under_way": int(status["live"])}
    )


def _events(wave: Wave, series: dict[str, NDArray[Any]]) -> tuple[Event, ...]:
    events = []
    if wave.workload.wave is not None:
        events.append(Event(wave.workload.wave[0], "wave-begins", "traffic", "the load begins to rise"))
        events.append(Event(wave.workload.wave[1], "wave-ends", "traffic", "the load has settled"))
    events += failure_events(series)
    return tuple(sorted(events, key=lambda event: event.t))


def _description(
    wave: Wave, sent: Sent, lateness: NDArray[np.uint32], asked_p99_s: Sequence[float]
) -> dict[str, Any]:
    work = wave.workload
    status = sent.tally.status[0]
    counts = lateness.sum(axis=0, dtype=np.int64)
    p50, p99 = percentile(counts, 0.50), percentile(counts, 0.99)
    limit = limit_s(asked_p99_s)
    warnings = [*wave.warnings, *work.notes]
    if status["left_out"]:
        warnings.append(
            f"{int(status['left_out'])} recorded requests were not sent: their methods were not asked for"
        )
    if status["trouble"]:
        warnings.append(f"the first trouble with TLS: {status['trouble'].decode(errors='replace')}")
    return {
        "format": 1,
        "version": __version__,
        "world": "wave",
        "fleet": wave.name,
        "variant": wave.variant,
        "seed": wave.seed,
        "target": f"{wave.target.scheme}://{wave.target.authority}",
        "schedule": wave.fingerprint(),
        "part": list(wave.part),
        "void": void(lateness, limit * 1e3),
        "completed": {"traffic": wave.traffic.model_dump(mode="json", by_alias=True)},
        "assumptions": {},
        "defaults": [],
        "notes": {},
        "warnings": warnings,
        "bin_seconds": wave.bin_s,
        "duration_s": float(status["ended_s"]),
        "traffic_s": work.traffic_s,
        "interrupted_s": sent.interrupted_s,
        "wave": None if work.wave is None else [float(t) for t in work.wave],
        "objectives": dict(wave.objectives),
        "generator": {
            "processes": sent.processes,
            "lateness_p50_ms": _ms(p50),
            "lateness_p99_ms": _ms(p99),
            "lateness_limit_ms": round(limit * 1e3, 3),
            "real_time": bool(status["real_time"] == sent.processes),
            "most_connections": int(status["most_open"]),
            "new_connections": wave.new_connections if wave.traffic.clients.keep_alive else 1.0,
        },
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)


def wallclock(sent: Sent, clock: dict[str, Any] | None) -> dict[str, Any]:
    """Facts of the wall clock: when time 0 was, how the clock stood to the target's, CPU time of the sending."""
    status = sent.tally.status[0]
    attempts = int(sent.tally.bins["attempts"].sum())
    return {
        "started_at": sent.origin_epoch_s,
        "clock": clock,
        "cpu_s": round(float(status["cpu_s"]), 6),
        "cpu_us_per_request": round(float(status["cpu_s"]) / attempts * 1e6, 3) if attempts else None,
    }
