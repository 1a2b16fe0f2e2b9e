"""Estimates with their standard errors from a record, by batch means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seawall.record.record import Record

WARM_UP_SHARE = 0.05
BATCHES = 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and the standard error of its measurement."""

    value: float
    error: float

    def minus(self, constant: float) -> Estimate:
        """The estimate less a known number."""
        return Estimate(self.value - constant, self.error)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> Estimate:
    """sum(above) / sum(below) over batches, each of shape (batches,), with the ratio estimator's error."""
    value = above.sum() / below.sum()
    rest = above - value * below
    n = len(rest)
    return Estimate(float(value), float(np.sqrt((rest**2).sum() / (n * (n - 1))) / below.mean()))


def batches(record: Record, column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of a column over equal batches of bins, without warm-up and what follows the traffic."""
    whole = int(record.description["traffic_s"] / record.bin_seconds)
    first = int(WARM_UP_SHARE * whole)
    size = (whole - first) // BATCHES
    kept = column[whole - size * BATCHES : whole].astype(np.float64)
    return np.asarray(kept.reshape(BATCHES, size).sum(axis=1))


def mean_response(record: Record) -> Estimate:
    """Mean latency of answered requests, seconds."""
    return ratio(batches(record, record.latency_sum_s), batches(record, record.series["answered"]))


def lost_share(record: Record) -> Estimate:
    """Share of requests that failed."""
    return ratio(batches(record, record.series["failed"]), batches(record, record.series["sent"]))


def throughput(record: Record) -> Estimate:
    """Answers per second, by when they were given."""
    answers = batches(record, record.series["answered_at"])
    seconds = batches(record, np.full(record.bins, record.bin_seconds))
    return ratio(answers, seconds)


def report(what: str, estimate: Estimate, theory: float, unit: str = "s") -> float:
    """Print an estimate beside the theory; how many standard errors lie between them."""
    away = (estimate.value - theory) / estimate.error
    print(
        f"{what}: {estimate.value:.6g} {unit}, theory {theory:.6g}; "
        f"standard error {100 * estimate.error / abs(estimate.value):.2f} %, {away:+.2f} of them away"
    )
    return abs(away)


def assert_agrees(what: str, estimate: Estimate, theory: float, unit: str = "s") -> None:
    """Within three standard errors, and the standard error at most half a percent of the value."""
    away = report(what, estimate, theory, unit)
    assert estimate.error <= 0.005 * abs(estimate.value), f"{what}: the run is too short to tell"
    assert away <= 3.0, f"{what}: {estimate.value:g} {unit}, theory {theory:g}"
