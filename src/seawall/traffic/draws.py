"""Random numbers without a state: a draw is a hash of (seed, stream, entity, n).

So the n-th draw of a user is the same whatever happened to others before it, a new draw in one subsystem
shifts none in another, and parts of a wave sent from several machines stay aligned. The mixing function is
the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), applied to the key and a counter.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

njit: Any = nb.njit
"""Numba's decorator; what it makes is called with NumPy scalars and records, which its types do not cover."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ENTITY = np.uint64(0xD1342543DE82EF95)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_UNIT = 1.0 / 9007199254740992.0


class Stream(IntEnum):
    """One random stream per subsystem."""

    ARRIVALS = 1
    USERS = 2
    CLASSES = 3
    CPU = 4
    WAITING = 5
    MEMORY = 6
    BALANCER = 7
    RETRIES = 8
    CLIENTS = 9
    PODS = 10
    NODES = 11
    CONTROL = 12
    SECONDS = 13
    """Places of recorded requests within their second."""
    CONNECTIONS = 14
    """Which requests are sent on a connection of their own."""
    TARGETS = 15
    """Which of its class's targets a request is for."""


@njit
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit
def uniform(key: np.uint64, entity: np.uint64, n: np.uint64) -> float:
    """The n-th draw of an entity in a stream: a float strictly between 0 and 1, of 53 bits."""
    z = _mix(key ^ (np.uint64(entity) * _ENTITY))
    z = _mix(z + np.uint64(n) * _GOLDEN)
    return (float(z >> _S11) + 0.5) * _UNIT


@njit
def normal_quantile(p: float) -> float:
    """The standard normal quantile, by Acklam's rational approximation (relative error below 1.2e-9)."""
    if p < 0.02425 or p > 0.97575:
        tail = p if p < 0.5 else 1.0 - p
        q = math.sqrt(-2.0 * math.log(tail))
        num = (
            ((((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838) * q
              - 2.549732539343734) * q + 4.374664141464968) * q + 2.938163982698783
        )  # fmt: skip
        den = (
            (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q
             + 3.754408661907416) * q + 1.0
        )  # fmt: skip
        x = num / den
        return x if p < 0.5 else -x
    q = p - 0.5
    r = q * q
    num = (
        ((((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
          + 1.383577518672690e02) * r - 3.066479806614716e01) * r + 2.506628277459239
    ) * q  # fmt: skip
    den = (
        ((((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
          + 6.680131188771972e01) * r - 1.328068155288572e01) * r + 1.0
    )  # fmt: skip
    return num / den


def stream_key(seed: int, stream: int) -> np.uint64:
    """The key of one stream under a seed (any integer)."""
    mask = (1 << 64) - 1
    z = (seed * 0x9E3779B97F4A7C15 + stream * 0xD1342543DE82EF95 + 0x632BE59BD9B4E019) & mask
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = ((z ^ (z >> shift)) * factor) & mask
    return np.uint64(z ^ (z >> 31))


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


def _draws(key: np.uint64, entities: NDArray[np.uint64], ns: NDArray[np.uint64]) -> NDArray[np.float64]:
    z = _mixed(_mixed(key ^ (entities * _ENTITY)) + ns * _GOLDEN)
    return (np.asarray(z >> _S11, dtype=np.float64) + 0.5) * _UNIT


def uniforms(key: np.uint64, entity: int, first: int, count: int) -> NDArray[np.float64]:
    """`count` draws of an entity from its `first` on: floats strictly between 0 and 1.

    The same numbers as `uniform`, by NumPy: nothing has to be compiled for them.
    """
    ns = np.arange(first, first + count, dtype=np.uint64)
    return _draws(key, np.full(count, entity, np.uint64), ns)


def uniforms_of(key: np.uint64, entities: NDArray[np.integer], n: int) -> NDArray[np.float64]:
    """The n-th draw of each of many entities."""
    return _draws(key, entities.astype(np.uint64), np.full(len(entities), n, np.uint64))


def uniform_at(key: np.uint64, entity: int, n: int) -> float:
    """One draw, for those who are not compiled."""
    return float(uniforms(key, entity, n, 1)[0])
