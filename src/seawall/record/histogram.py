"""Latencies as counts in log-linear buckets, filled by compiled code and by Python alike, merged by adding.

Values are whole microseconds. The first 128 buckets hold one microsecond each; from there every doubling is
cut into 64 equal buckets, so that a value is known within 1/64 of itself (the layout of HdrHistogram, with
6 bits below the leading one). The last bucket takes all from 2**36 microseconds (19 hours) on.
"""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

njit: Any = nb.njit
"""Numba's decorator; what it makes is called with NumPy scalars and records, which its types do not cover."""

LINEAR = 128
PLACE_BITS = 6
PER_DOUBLING = 1 << PLACE_BITS
TOP_BITS = 36
BUCKETS = LINEAR + (TOP_BITS - 7) * PER_DOUBLING + 1


@njit
def bucket_of(seconds: float) -> int:
    """The bucket of a latency in seconds."""
    us = seconds * 1e6
    if us < 128.0:
        return int(us) if us > 0.0 else 0
    # The bits of a float from 2**7 on: its exponent, then its mantissa, whose first 6 bits are the place within the
    # doubling; so one shift counts places from 2**-1023 on.
    places = np.float64(us).view(np.int64) >> (52 - PLACE_BITS)
    return min(LINEAR + int(places) - ((1023 + 7) << PLACE_BITS), BUCKETS - 1)


def bucket_edges() -> NDArray[np.float64]:
    """Lower edges of all buckets in seconds, shape (BUCKETS,)."""
    low = np.arange(LINEAR, dtype=np.float64)
    doublings = 2.0 ** np.arange(7, TOP_BITS)[:, None] * (
        1.0 + np.arange(PER_DOUBLING)[None, :] / PER_DOUBLING
    )
    return np.concatenate([low, doublings.ravel(), [2.0**TOP_BITS]]) * 1e-6


_EDGES = bucket_edges()
_MIDDLES = np.concatenate([(_EDGES[:-1] + _EDGES[1:]) / 2.0, _EDGES[-1:]])


def percentile(counts: NDArray[np.integer], share: float) -> float | None:
    """The latency in seconds below which `share` of the counted values lie; None where nothing was counted.

    `counts` has shape (BUCKETS,). The answer is the middle of the bucket that holds the value.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    rank = max(1, math.ceil(share * total - 1e-9))
    return float(_MIDDLES[int(np.searchsorted(np.cumsum(counts), rank))])
