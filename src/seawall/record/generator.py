"""The generator's own lateness: whether a wave has measured the server, or itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.record import words
from seawall.record.histogram import percentile
from seawall.record.record import Record

LATEST_SECONDS = 0.005
"""A generator whose own lateness has a p99 above this measures itself, whatever is asked ..."""
LATEST_SHARE = 0.05
"""... and so does one above this share of the p99 that is asked for."""


def limit_s(asked_p99_s: Sequence[float]) -> float:
    """How late a generator may be at its p99 for its figures to hold, by all bounds that are set on the p99."""
    return min([LATEST_SECONDS, *(LATEST_SHARE * p99 for p99 in asked_p99_s)])


def lateness_by_bin(lateness: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The 99th percentile of each bin's lateness in milliseconds, 0 where nothing was sent; shape (bins,).

    `lateness` has shape (bins, BUCKETS).
    """
    found = [percentile(counts, 0.99) for counts in lateness]
    return np.array([0.0 if p99 is None else p99 * 1e3 for p99 in found], np.float64)


def lateness_ms(record: Record, share: float) -> float | None:
    """A percentile of the lateness over the run in milliseconds; None where it was not measured."""
    counts = record.histograms.get("lateness")
    found = None if counts is None else percentile(counts.sum(axis=0, dtype=np.int64), share)
    return None if found is None else round(found * 1e3, 3)


def void(lateness: NDArray[np.uint32], limit_ms: float) -> str | None:
    """The sentence that says why a wave is void, None where the generator was punctual enough.

    `lateness` has shape (bins, BUCKETS); `limit_ms` is the most that its p99 may be for the figures to hold.
    """
    p99 = percentile(lateness.sum(axis=0, dtype=np.int64), 0.99)
    if p99 is None or p99 * 1e3 <= limit_ms:
        return None
    return (
        f"the generator itself was {words.milliseconds(p99 * 1e3)} late at its p99, and its figures hold up to "
        f"{words.milliseconds(limit_ms)}; give it more processes or a machine of its own"
    )


def figures(record: Record) -> dict[str, Any] | None:
    """What the verdict says of the generator; None where the run had none.

    `lateness_p50_ms`, `lateness_p99_ms` and `limit_ms` in milliseconds, then what else the description has.
    """
    told: dict[str, Any] = dict(record.description.get("generator") or {})
    if not told and "lateness" not in record.histograms:
        return None
    return {
        "lateness_p50_ms": told.pop("lateness_p50_ms", lateness_ms(record, 0.50)),
        "lateness_p99_ms": told.pop("lateness_p99_ms", lateness_ms(record, 0.99)),
        "limit_ms": told.pop("lateness_limit_ms", None),
        **told,
    }
