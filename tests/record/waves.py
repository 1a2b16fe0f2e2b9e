"""Records of waves as a generator would leave them: drawn request by request, so that they can be cut into parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.record.failures import failure_events
from seawall.record.generator import lateness_by_bin
from seawall.record.generator import void as void_of
from seawall.record.histogram import BUCKETS, bucket_edges, percentile
from seawall.record.record import Event, Record
from seawall.record.vocabulary import PARTS

TIMEOUT = 10.0
OUTCOMES = (
    "answered", "answered_4xx", "failed_5xx", "failed_reset", "failed_body", "failed_protocol",
    "timed_out_connect", "timed_out_read", "refused", "shed",
)  # fmt: skip
CLASSES = ("feed", "login")
REQUEST = np.dtype(
    [("intended", "f8"), ("done", "f8"), ("lateness", "f8"), ("first_byte", "f8"), ("outcome", "i8"),
     ("cls", "i8"), ("retries", "i8"), ("connects", "i8")]
)  # fmt: skip
"""One request: seconds from the start, `first_byte` from its sending; `outcome` and `cls` by number."""
_EDGES = bucket_edges()


@dataclass(frozen=True)
class Storm:
    """What is sent and how it fares: users who join within a minute, and a server that holds so many a second."""

    name: str = "wave"
    users: int = 1000
    pace: float = 5.0
    seconds: int = 240
    median_ms: float = 38.0
    breaks_at: float | None = None
    lateness_ms: float = 0.08
    objectives: tuple[tuple[str, float], ...] = (("p99", 0.8),)


CALM = Storm()
BROKEN = Storm(breaks_at=95.0)
LATE = Storm(lateness_ms=6.0)


def storm(shape: Storm = CALM, seed: int = 11) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The requests of a wave, and when each user joins and leaves: shape (users, 2)."""
    rng = np.random.default_rng([seed, shape.users, shape.seconds])
    joins = np.sort(20.0 + 60.0 * np.sqrt(rng.random(shape.users)) * (np.arange(shape.users) >= 50))
    stays = np.stack([joins, np.full(shape.users, float(shape.seconds))], axis=1)
    times = [np.arange(join + rng.random() * shape.pace, shape.seconds, shape.pace) for join in joins]
    intended = np.concatenate(times)
    found = np.zeros(len(intended), REQUEST)
    found["intended"] = intended
    found["lateness"] = rng.lognormal(math.log(shape.lateness_ms * 1e-3), 0.5, len(intended))
    load = np.clip((intended - 60.0) / 40.0, 0.0, 1.0)
    service = rng.lognormal(math.log(shape.median_ms * 1e-3), 0.35, len(intended)) * (1.0 + 2.0 * load**2)
    found["first_byte"] = service * 0.9
    found["cls"] = rng.random(len(intended)) < 0.2
    found["connects"] = rng.random(len(intended)) < np.where(load < 1.0, 0.2, 0.03)
    found["outcome"] = np.where(rng.random(len(intended)) < 0.004, OUTCOMES.index("answered_4xx"), 0)
    if shape.breaks_at is not None:
        _break(rng, shape.breaks_at, found, service)
    found["done"] = found["intended"] + found["lateness"] + service
    return found, stays


def _break(rng: np.random.Generator, at: float, found: NDArray[Any], service: NDArray[np.float64]) -> None:
    """From `at` on the server queues, then times out, refuses and fails; a minute later it recovers."""
    since = found["intended"] - at
    strain = np.clip(since / 12.0, 0.0, 1.0) * np.where(since < 60.0, 1.0, np.exp((60.0 - since) / 12.0))
    service *= 1.0 + 60.0 * strain
    draw = rng.random(len(found))
    ends = (
        ("timed_out_read", 0.0, 0.5), ("refused", 0.5, 0.62), ("failed_5xx", 0.62, 0.72), ("failed_reset", 0.72, 0.75)
    )  # fmt: skip
    for outcome, low, high in ends:
        where = (draw >= low) & (draw < low + (high - low) * np.where(since > 0, strain, 0.0))
        found["outcome"][where] = OUTCOMES.index(outcome)
        found["connects"][where] = 1
        service[where] = {"timed_out_read": TIMEOUT, "refused": 0.0004}.get(outcome, 0.05)
    over = (service > TIMEOUT) & (found["outcome"] == 0)
    found["outcome"][over] = OUTCOMES.index("timed_out_read")
    service[over] = TIMEOUT
    found["first_byte"] = service * 0.9


def wave(
    shape: Storm = CALM, *, part: tuple[int, int] = (1, 1), seed: int = 11, **description: Any
) -> Record:
    """The record of a storm, or of one of its parts."""
    requests, stays = storm(shape, seed)
    i, n = part
    named = shape.name if n == 1 else f"part-{i}-of-{n}"
    promised = {"served": 0.999, "latency": dict(shape.objectives)}
    told = {
        "seed": seed,
        "traffic_s": float(shape.seconds),
        "wave": [20.0, 80.0],
        "objectives": promised,
    } | description
    return record_of(requests[i - 1 :: n], stays[i - 1 :: n], part=part, variant=named, **told)


def record_of(
    requests: NDArray[Any],
    stays: NDArray[np.float64],
    *,
    part: tuple[int, int] = (1, 1),
    bins: int = 0,
    events: tuple[Event, ...] = (),
    **description: Any,
) -> Record:
    """What a generator that sent these would write: at least `bins` seconds, and all until the last outcome."""
    last = max([0.0, *requests["done"], *requests["intended"], *stays[:, 0], *stays[:, 1]])
    bins = max(1, bins, math.floor(last) + 1)
    series = _series(requests, stays, bins)
    sent = requests["outcome"] != OUTCOMES.index("shed")
    fine = requests["outcome"] <= 1
    at = requests["intended"].astype(int)
    histograms = {
        "lateness": _histogram(at[sent], requests["lateness"][sent], bins),
        "first_byte": _histogram(at[fine], requests["first_byte"][fine], bins),
    }
    latencies = (requests["done"] - requests["intended"])[fine]
    series["lateness_p99_ms"] = lateness_by_bin(histograms["lateness"])
    begins = description.get("wave")
    told = [Event(begins[0], "wave-begins", "traffic", "the load begins to rise")] if begins else []
    told += [*failure_events(series), *events]
    return Record(
        description=_description(part, float(last), histograms["lateness"]) | description,
        series=series,
        events=tuple(sorted(told, key=lambda event: event.t)),
        latency=_histogram(at[fine], latencies, bins),
        latency_sum_s=np.bincount(at[fine], latencies, bins),
        totals=_totals(series, requests),
        per_class={name: _class(requests[requests["cls"] == i]) for i, name in enumerate(CLASSES)},
        histograms=histograms,
    )


def _series(requests: NDArray[Any], stays: NDArray[np.float64], bins: int) -> dict[str, NDArray[Any]]:
    at, end = requests["intended"].astype(int), requests["done"].astype(int)

    def counted(where: NDArray[Any], when: NDArray[Any] = at, weights: Any = None) -> NDArray[Any]:
        of = None if weights is None else weights[where]
        return np.bincount(when[where], of, bins).astype(np.int64)

    by = {name: requests["outcome"] == i for i, name in enumerate(OUTCOMES)}
    everything = np.ones(len(requests), bool)
    fine = by["answered"] | by["answered_4xx"]
    series: dict[str, NDArray[Any]] = {"t": np.arange(bins, dtype=np.float64), "sent": counted(everything)}
    series |= {name: counted(where) for name, where in by.items()}
    series["answered"] = counted(fine)
    series |= {whole: sum(series[part] for part in parts) for whole, parts in PARTS.items()}
    series["attempts"] = counted(~by["shed"]) + counted(everything, at, requests["retries"])
    series["answered_at"] = counted(fine, end)
    series["failed_at"] = counted(~fine & ~by["shed"], end)
    series["under_way"] = np.cumsum(
        series["sent"] - series["answered_at"] - series["failed_at"] - series["shed"]
    )
    joined, left = (np.bincount(stays[:, i].astype(int), minlength=bins) for i in (0, 1))
    series["users"] = np.cumsum(joined - left)
    series["connects"] = counted(everything, at, requests["connects"])
    series["sent_bytes"] = 180 * series["attempts"]
    series["received_bytes"] = 4200 * series["answered_at"] + 240 * series["failed_5xx"]
    return series


def _histogram(at: NDArray[Any], seconds: NDArray[Any], bins: int) -> NDArray[np.uint32]:
    counts = np.zeros((bins, BUCKETS), np.uint32)
    np.add.at(counts, (at, np.searchsorted(_EDGES, seconds, side="right") - 1), 1)
    return counts


def _totals(series: dict[str, NDArray[Any]], requests: NDArray[Any]) -> dict[str, int]:
    apart = ("t", "answered_at", "failed_at", "under_way", "users", "lateness_p99_ms")
    totals = {name: int(values.sum()) for name, values in series.items() if name not in apart}
    return totals | {"under_way": 0, "retries": int(requests["retries"].sum()), "resent": 0}


def _class(requests: NDArray[Any]) -> dict[str, int]:
    by = {name: int((requests["outcome"] == i).sum()) for i, name in enumerate(OUTCOMES)}
    return {
        "sent": len(requests),
        "answered": by["answered"] + by["answered_4xx"],
        **{whole: sum(by[part] for part in parts) for whole, parts in PARTS.items()},
        "refused": by["refused"],
        "shed": by["shed"],
        "under_way": 0,
    }


def _description(part: tuple[int, int], ended: float, lateness: NDArray[np.uint32]) -> dict[str, Any]:
    counts = lateness.sum(axis=0)
    p50, p99 = ((percentile(counts, share) or 0.0) * 1e3 for share in (0.5, 0.99))
    return {
        "format": 1,
        "version": "0.1.0",
        "world": "wave",
        "fleet": "wave",
        "variant": "wave",
        "seed": 11,
        "target": "http://127.0.0.1:8000",
        "schedule": "5eaf00d5ca1ab1e0",
        "part": list(part),
        "void": void_of(lateness, 5.0),
        "completed": {"traffic": {"users": {"shape": "0 -> 1000 in 60s"}}},
        "assumptions": {},
        "defaults": [],
        "notes": {},
        "warnings": [],
        "bin_seconds": 1.0,
        "duration_s": ended,
        "traffic_s": ended,
        "interrupted_s": None,
        "wave": None,
        "currency": None,
        "objectives": {"served": 0.999},
        "generator": {
            "processes": 2,
            "lateness_p50_ms": round(p50, 3),
            "lateness_p99_ms": round(p99, 3),
            "lateness_limit_ms": 5.0,
            "most_connections": 100,
            "new_connections": 0.03,
        },
    }
