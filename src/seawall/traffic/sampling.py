"""Distributions as compiled code reads them: one row each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from seawall.fleet.distribution import CONSTANT, EXPONENTIAL, LOGNORMAL, UNIFORM, Distribution
from seawall.traffic.draws import normal_quantile

njit: Any = nb.njit
"""Numba's decorator; what it makes is called with NumPy scalars and records, which its types do not cover."""

MAX_POINTS = 64

ROW = np.dtype(
    [("kind", "i8"), ("a", "f8"), ("b", "f8"), ("points", "i8"), ("shares", "f8", (MAX_POINTS,)),
     ("values", "f8", (MAX_POINTS,))]
)  # fmt: skip
"""A distribution: its kind and parameters, and the points of its quantile function."""


def encode(distributions: Sequence[Distribution]) -> NDArray[np.void]:
    """Rows of `ROW`, one a distribution, shape (n,). At most 64 quantile points each."""
    rows = np.zeros(len(distributions), ROW)
    for row, d in zip(rows, distributions, strict=True):
        if len(d.shares) > MAX_POINTS:
            raise ValueError(f"{len(d.shares)} quantile points; at most {MAX_POINTS} are used")
        row["kind"], row["a"], row["b"], row["points"] = d.kind, d.a, d.b, len(d.shares)
        row["shares"][: len(d.shares)] = d.shares
        row["values"][: len(d.values)] = d.values
    return rows


@njit
def sample(row, u):  # type: ignore[no-untyped-def]
    """The value of a distribution (a row of `ROW`) at the share `u`, strictly between 0 and 1."""
    if row.kind == CONSTANT:
        return row.a
    if row.kind == EXPONENTIAL:
        return -row.a * math.log(u)
    if row.kind == LOGNORMAL:
        return math.exp(row.a + row.b * normal_quantile(u))
    if row.kind == UNIFORM:
        return row.a + (row.b - row.a) * u
    low, high = 0, row.points - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if row.shares[middle] <= u:
            low = middle
        else:
            high = middle
    width = row.shares[high] - row.shares[low]
    part = (u - row.shares[low]) / width if width > 0.0 else 0.0
    return row.values[low] + part * (row.values[high] - row.values[low])
