"""What stands for chance where a real controller draws among equals: a hash of ids and the run's seed."""

from __future__ import annotations

import numpy as np

from seawall.control.view import IntArray

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mixed(*keys: int) -> int:
    """A number in [0, 2^64) that depends on every key and their order.

    Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), once for each key.
    """
    value = 0
    for key in keys:
        value = (value + _GOLDEN + (key & _MASK)) & _MASK
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        value ^= value >> 31
    return value


def one_of(rows: IntArray, *keys: int) -> int:
    """One of the rows, each as likely as another over all keys. `rows` int64 (n,), n > 0."""
    return int(rows[mixed(*keys) % len(rows)])


def order_of(ids: IntArray, seed: int) -> IntArray:
    """A rank for each id, shape (n,), as if names were random: what ordering by UID comes to."""
    return np.argsort(np.argsort(np.array([mixed(seed, int(i)) for i in ids], np.uint64))).astype(np.int64)
