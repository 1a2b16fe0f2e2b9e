"""Does it stand? One record's verdict: objectives, peaks, cost, and what began its fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.record.cause import first_cause
from seawall.record.cost import per_concurrent_user_month, per_hour_at_peak, total_cost
from seawall.record.expectation import Expectation
from seawall.record.failures import failures
from seawall.record.generator import figures
from seawall.record.histogram import percentile
from seawall.record.objectives import (
    Loss,
    Objective,
    first_loss,
    judge,
    milliseconds,
    served_share,
    share_of,
)
from seawall.record.record import Event, Record
from seawall.record.vocabulary import COLUMNS, REQUEST_TOTALS

_COUNTS = ("answered_4xx", "connects", "resent", "redirected", "sent_bytes", "received_bytes")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One variant's verdict. `stands` is None where there is none to give: no request was sent, or the run is void.

    Shares are fractions of one, latencies milliseconds, memory MiB; a figure that the run has no meaning for
    (nodes of a bare URL) is None.
    """

    name: str
    stands: bool | None
    provisional: bool
    served_share: float | None
    requests: dict[str, int]
    attempts: int
    latency_ms: dict[str, float | None]
    objectives: tuple[Objective, ...]
    expectations: tuple[Objective, ...]
    peak: dict[str, float | None]
    oom_kills: int | None
    restarts: int | None
    cost: dict[str, Any]
    first_cause: Event | None
    first_loss: Loss | None
    rates: dict[str, float | None]
    """Requests a second: `sent_in_wave` and `answered_in_wave`, over the whole run where there is no wave."""
    wave: tuple[float, float] | None = None
    """Start and end of the wave in seconds, None where there is none."""
    void: str | None = None
    """Why the figures of the run do not hold: the sentence of its generator, None where they do."""
    generator: dict[str, Any] | None = None
    """What is known of the generator (`generator.figures`); this and those below are None where a run has none."""
    first_byte_ms: dict[str, float | None] | None = None
    """Percentiles from sending to the first byte of the answer, over answered requests."""
    failures: dict[str, int] | None = None
    """Requests not answered, by kind (`vocabulary.FAILURES`)."""
    counts: dict[str, int] = field(default_factory=dict)
    """Further totals of the generator: `answered_4xx`, `connects`, `sent_bytes`, `received_bytes`, `resent`."""

    @property
    def expected(self) -> bool:
        """Whether every expectation was met; what was not measured was not met."""
        return all(expectation.met for expectation in self.expectations)

    def as_json(self) -> dict[str, Any]:
        """The verdict as plain JSON data; expectations follow the objectives, named as they were written.

        What only a generator knows is there where there was one: `void`, `generator`, `first_byte_ms`, `failures`
        and the counts.
        """
        data: dict[str, Any] = {
            "name": self.name,
            "stands": self.stands,
            "provisional": self.provisional,
            "served_share": self.served_share,
            "requests": self.requests,
            "attempts": self.attempts,
            "latency_ms": self.latency_ms,
            "objectives": [objective.as_json() for objective in (*self.objectives, *self.expectations)],
            "peak": self.peak,
            "oom_kills": self.oom_kills,
            "restarts": self.restarts,
            "cost": self.cost,
            "first_cause": None if self.first_cause is None else self.first_cause.as_json(),
        }
        if self.generator is not None or self.void is not None:
            data["void"] = self.void
        own = {"generator": self.generator, "first_byte_ms": self.first_byte_ms, "failures": self.failures}
        return data | {key: value for key, value in own.items() if value is not None} | self.counts


def verdict(record: Record, expectations: Sequence[Expectation] = ()) -> Verdict:
    """Judge a record by its own objectives; InputError where an expectation asks for what the run lacks.

    It stands when every objective is met: served share over the whole run and over its worst 60 s, and each
    latency percentile. A request still under way at the end was not answered. A void run has no verdict.
    """
    totals, description = record.totals, record.description
    objectives = judge(record)
    void = description.get("void") or None
    stands = all(objective.met for objective in objectives) if totals["sent"] and not void else None
    loss = first_loss(record, objectives) if stands is False else None
    first_byte = record.histograms.get("first_byte")
    return Verdict(
        name=record.name,
        stands=stands,
        provisional=bool(description.get("assumptions") or description.get("defaults")),
        served_share=served_share(record),
        requests={key: totals[key] for key in REQUEST_TOTALS},
        attempts=totals.get("attempts", totals["sent"] - totals["shed"]),
        latency_ms=_percentiles(record.latency),
        objectives=objectives,
        expectations=tuple(expectation.judge(record) for expectation in expectations),
        peak=_peaks(record),
        oom_kills=totals.get("oom_kills"),
        restarts=totals.get("restarts"),
        cost={
            "currency": description.get("currency"),
            "total": total_cost(record),
            "per_hour_at_peak": per_hour_at_peak(record),
            "per_concurrent_user_month": per_concurrent_user_month(record),
        },
        first_cause=first_cause(record, loss),
        first_loss=loss,
        rates=_rates(record),
        wave=record.wave,
        void=void,
        generator=figures(record),
        first_byte_ms=None if first_byte is None else _percentiles(first_byte),
        failures=failures(record),
        counts={name: totals[name] for name in _COUNTS if name in totals},
    )


def _percentiles(histogram: NDArray[np.uint32]) -> dict[str, float | None]:
    counts = histogram.sum(axis=0, dtype=np.int64)
    return {name: milliseconds(percentile(counts, share_of(name))) for name in ("p50", "p95", "p99")}


def _peaks(record: Record) -> dict[str, float | None]:
    series = record.series

    def most(name: str) -> float | None:
        values = series.get(name)
        if values is None or len(values) == 0:
            return None
        return int(values.max()) if COLUMNS[name].whole else round(float(values.max()), 3)

    not_ready = None
    if "nodes" in series and "nodes_ready" in series and record.bins:
        not_ready = int((series["nodes"] - series["nodes_ready"]).max())
    return {
        "pods": most("pods"),
        "nodes": most("nodes"),
        "nodes_not_ready": not_ready,
        "pod_memory_mib": most("pod_memory_max_mib"),
    }


def _rates(record: Record) -> dict[str, float | None]:
    """Mean requests a second in the wave, by intended time; over all of the traffic where there is no wave."""
    t = record.series["t"]
    traffic = record.description.get("interrupted_s") or record.description.get("traffic_s") or np.inf
    start, end = record.wave or (0.0, float(traffic))
    inside = (t >= start) & (t < end)
    seconds = int(inside.sum()) * record.bin_seconds
    return {
        f"{key}_in_wave": round(float(record.series[key][inside].sum()) / seconds, 3) if seconds else None
        for key in ("sent", "answered")
    }
