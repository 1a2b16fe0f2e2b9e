"""What was promised against what was measured: served share, its worst minute, latency percentiles."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.record.histogram import bucket_edges, percentile
from seawall.record.record import Record

WINDOW_SECONDS = 60.0
DEFAULT_SERVED = 0.999
_EPSILON = 1e-12
"""Shares are compared with this slack, so that 99.9 % written as a fraction equals 999 of 1000."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise and what became of it; `actual` is None where there was nothing to measure.

    Shares are fractions of one, latencies milliseconds (`p99_ms`).
    """

    name: str
    target: float
    actual: float | None
    met: bool

    def as_json(self) -> dict[str, Any]:
        """The object of the verdict's JSON."""
        return {"name": self.name, "target": self.target, "actual": self.actual, "met": self.met}


@dataclass(frozen=True, slots=True)
class Loss:
    """When an objective was lost: `asked` by the requests' intended time, `seen` by what had happened."""

    objective: str
    asked: float
    seen: float


def share_of(name: str) -> float:
    """The share behind a percentile's name: `p99` is 0.99, `p99.9` is 0.999. InputError for anything else."""
    match = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", name)
    if match is None or float(match.group(1)) <= 0.0:
        raise InputError(f"{name!r} is not a percentile; write for example p50, p95, p99 or p99.9")
    return float(match.group(1)) / 100.0


def at_least(actual: float, target: float) -> bool:
    """Whether a share reaches its target, free of the rounding of decimal fractions."""
    return actual >= target - _EPSILON


def targets(record: Record) -> tuple[float, dict[str, float]]:
    """The promised served share and the latency bounds in seconds by percentile."""
    promised = record.description.get("objectives") or {}
    latency = {str(name): float(bound) for name, bound in (promised.get("latency") or {}).items()}
    return float(promised.get("served", DEFAULT_SERVED)), latency


def judge(record: Record) -> tuple[Objective, ...]:
    """Every objective of the record: `served`, `served_worst_60s`, then each latency as `p99_ms`."""
    served, latency = targets(record)
    found = [
        _share_objective("served", served, served_share(record)),
        _share_objective("served_worst_60s", served, worst_window(record)),
    ]
    counts = record.latency.sum(axis=0, dtype=np.int64)
    for name, bound in latency.items():
        actual = percentile(counts, share_of(name))
        met = actual is not None and actual <= bound
        found.append(Objective(f"{name}_ms", round(bound * 1e3, 3), milliseconds(actual), met))
    return tuple(found)


def _share_objective(name: str, target: float, actual: float | None) -> Objective:
    return Objective(name, round(target, 12), actual, actual is not None and at_least(actual, target))


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds, to a microsecond; None stays None."""
    return None if seconds is None else round(seconds * 1e3, 3)


def served_share(record: Record, bins: NDArray[np.bool_] | None = None) -> float | None:
    """Answered / sent, shed counted in sent, over the run or over some bins; None where nothing was sent."""
    if bins is None:
        sent, answered = record.totals["sent"], record.totals["answered"]
    else:
        sent, answered = (int(record.series[key][bins].sum()) for key in ("sent", "answered"))
    return answered / sent if sent else None


def worst_window(record: Record) -> float | None:
    """The lowest served share of any 60 s by intended time in which something was sent.

    A run shorter than that is judged as a whole. None where nothing was sent.
    """
    width = window_bins(record)
    sent, answered = (_windows(record.series[key], width) for key in ("sent", "answered"))
    some = sent > 0
    return float((answered[some] / sent[some]).min()) if some.any() else None


def window_bins(record: Record) -> int:
    """60 s in bins, or the whole run where that is shorter."""
    return max(1, min(record.bins, round(WINDOW_SECONDS / record.bin_seconds)))


def bucket_middles() -> NDArray[np.float64]:
    """What a latency in each bucket is taken to be, in seconds; shape (BUCKETS,)."""
    edges = bucket_edges()
    return np.append((edges[:-1] + edges[1:]) / 2.0, edges[-1])


def _windows(values: NDArray[Any], width: int) -> NDArray[np.int64]:
    """Sums over every full window of `width` bins; shape (bins - width + 1,)."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    return np.asarray(total[width:] - total[:-width], np.int64)


def _trailing(values: NDArray[Any], width: int) -> NDArray[np.int64]:
    """Sums over the `width` bins up to and with each bin, fewer at the start; shape (bins,)."""
    total = np.concatenate([np.zeros(width, np.int64), np.cumsum(values, dtype=np.int64)])
    return np.asarray(total[width:] - total[: len(values)], np.int64)


# ----------------------------------------------------------------------------------------- the moment of loss


def first_loss(record: Record, objectives: Sequence[Objective]) -> Loss | None:
    """The first objective to be lost, None where all were met."""
    losses = [_loss(record, objective) for objective in objectives if not objective.met]
    found = [loss for loss in losses if loss is not None]
    return min(found, key=lambda loss: (loss.seen, loss.asked), default=None)


def _loss(record: Record, objective: Objective) -> Loss | None:
    if objective.name.startswith("served"):
        return _served_loss(record, objective)
    return _latency_loss(record, objective)


def _served_loss(record: Record, objective: Objective) -> Loss | None:
    """By intended time and by the time of the outcomes: a time-out comes long after the request."""
    series, width = record.series, window_bins(record)
    asked = _first(
        record,
        _below(_trailing(series["answered"], width), _trailing(series["sent"], width), objective.target),
    )
    if asked is None:
        return None
    seen = None
    if "answered_at" in series and "failed_at" in series:
        answered = _trailing(series["answered_at"], width)
        ended = answered + _trailing(series["failed_at"] + series["shed"], width)
        seen = _first(record, _below(answered, ended, objective.target))
    return Loss(objective.name, asked, max(asked, seen or asked))


def _below(part: NDArray[np.int64], whole: NDArray[np.int64], target: float) -> NDArray[np.bool_]:
    return np.asarray(part < (target - _EPSILON) * whole)


def _latency_loss(record: Record, objective: Objective) -> Loss | None:
    """The first trailing window whose percentile is above the bound."""
    share, width = share_of(objective.name.removesuffix("_ms")), window_bins(record)
    within = int(np.searchsorted(bucket_middles(), objective.target / 1e3, side="right"))
    below = _trailing(record.latency[:, :within].sum(axis=1, dtype=np.int64), width)
    total = _trailing(record.latency.sum(axis=1, dtype=np.int64), width)
    rank = np.maximum(1, np.ceil(share * total - 1e-9))
    lost = _first(record, (total > 0) & (below < rank))
    return None if lost is None else Loss(objective.name, lost, lost + math.ceil(objective.target / 1e3))


def _first(record: Record, where: NDArray[np.bool_]) -> float | None:
    bins = np.nonzero(where)[0]
    return float(record.series["t"][bins[0]]) if len(bins) else None
