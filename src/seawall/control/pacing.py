"""Client-side rate limits: the token bucket that paces a controller's calls to the API server."""

from __future__ import annotations

import math
from dataclasses import dataclass

EPSILON_S = 1e-9
"""Times closer together than this are the same moment (sums of floats)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Calls per second in the long run, and how many may be made at once.

    Source: client-go, util/flowcontrol (a token bucket that starts full).
    """

    qps: float
    burst: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tokens` as they were at `at` (seconds)."""

    tokens: float
    at: float


def full(limit: Limit, now: float) -> Bucket:
    """A bucket that nobody has taken from."""
    return Bucket(float(limit.burst), now)


def available(limit: Limit, bucket: Bucket, now: float) -> int:
    """How many calls may be made at `now`."""
    return math.floor(_tokens(limit, bucket, now) + EPSILON_S * limit.qps)


def take(limit: Limit, bucket: Bucket, now: float, calls: int) -> Bucket:
    """The bucket after so many calls at `now`; they must have been available."""
    return Bucket(max(0.0, _tokens(limit, bucket, now) - calls), now)


def when(limit: Limit, bucket: Bucket, calls: int) -> float:
    """The first moment (seconds) at which so many calls, at most `burst`, can be made."""
    missing = min(calls, limit.burst) - bucket.tokens
    return bucket.at + max(0.0, missing) / limit.qps


def following(due: float, period: float, now: float) -> float:
    """The first of due, due + period, ... that lies after `now`: a ticker's next tick."""
    if due > now + EPSILON_S:
        return due
    return due + period * (math.floor((now - due + EPSILON_S) / period) + 1)


def _tokens(limit: Limit, bucket: Bucket, now: float) -> float:
    return min(float(limit.burst), bucket.tokens + (now - bucket.at) * limit.qps)
