"""The closed loop as one compiled step: when a user asks next, given the last request and how it ended.

The same step serves the simulated users and the generator of real requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from seawall.fleet.distribution import constant
from seawall.fleet.model import Users
from seawall.traffic.draws import uniform, uniforms_of
from seawall.traffic.sampling import encode, sample

njit: Any = nb.njit
"""Numba's decorator; what it makes is called with NumPy scalars and records, which its types do not cover."""

LOOP = np.dtype(
    [("think", "i8"), ("pace_s", "f8"), ("jitter", "f8"), ("burst_calls", "i8"), ("burst_gap_s", "f8")]
)
"""One kind of user: `think` 1 for a think time, 0 for a pace; seconds; the pace's relative jitter."""


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """How users of one kind behave, as compiled code reads it."""

    loop: NDArray[np.void]
    think: NDArray[np.void]


def closed_loop(users: Users | None) -> ClosedLoop:
    """Encode a fleet's users; without any, a loop that is never asked."""
    loop = np.zeros(1, LOOP)
    think = encode([users.think if users and users.think else constant(0.0)])
    if users is not None:
        loop[0] = (
            users.think is not None,
            users.pace or 0.0,
            users.jitter,
            users.start_burst.calls,
            users.start_burst.gap,
        )
    return ClosedLoop(loop, think)


@njit
def next_intended(loop, think, key, user, k, intended, done):  # type: ignore[no-untyped-def]
    """When user `user` intends request `k` (from 1; request 0 is its first), in seconds.

    `intended` and `done` are those of request k - 1. With a pace: max(intended + pace, done), the pace varied
    evenly by the jitter; with a think time: done + think. The calls of an opening app come before that, each
    as soon as the last has ended and `gap` has passed.
    """
    if k < loop.burst_calls:
        return max(intended + loop.burst_gap_s, done)
    u = uniform(key, np.uint64(user), np.uint64(k))
    if loop.think:
        return done + sample(think, u)
    return max(intended + loop.pace_s * (1.0 + loop.jitter * (2.0 * u - 1.0)), done)


def first_intended(users: Users, key: np.uint64, join_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """When each user intends its first request, given when it joins (seconds from the start of the run).

    Who joins during the run opens the app and asks at once. Who is there from the start has been for long:
    its place in its pace or think time is drawn evenly (for an exponential think time, anew).
    """
    there = np.flatnonzero(join_s <= 0.0)
    u = uniforms_of(key, there, 0)
    out = join_s.copy()
    if users.think is None:
        out[there] = (users.pace or 0.0) * u
    else:
        out[there] = [users.think.quantile(float(share)) for share in u]
    return out
