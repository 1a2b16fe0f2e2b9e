"""Numbers as the Go controller computes them: wrapping integers, truncating division, float conversions.

Source: the Go language specification (integer overflow, conversions between numeric types); where it leaves a
conversion open (a float out of range, NaN), what amd64 does.
"""

from __future__ import annotations

import math

MAX_INT32 = (1 << 31) - 1
MIN_INT32 = -(1 << 31)
MAX_INT64 = (1 << 63) - 1
MIN_INT64 = -(1 << 63)


def wrap64(value: int) -> int:
    """An integer reduced to int64."""
    return (value - MIN_INT64) % (1 << 64) + MIN_INT64


def wrap32(value: int) -> int:
    """An integer reduced to int32."""
    return (value - MIN_INT32) % (1 << 32) + MIN_INT32


def divide(dividend: int, divisor: int) -> int:
    """int64 division, towards zero; ZeroDivisionError where Go panics."""
    quotient = abs(dividend) // abs(divisor)
    return wrap64(quotient if (dividend < 0) == (divisor < 0) else -quotient)


def ratio(numerator: float, denominator: float) -> float:
    """float64 division: infinity or NaN where Python would raise."""
    if denominator == 0.0:
        return math.nan if numerator == 0.0 or math.isnan(numerator) else math.copysign(math.inf, numerator)
    return numerator / denominator


def ceil(value: float) -> float:
    """Rounded up, still a float; infinity and NaN stay."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def int64_of(value: float) -> int:
    """float64 to int64; out of range and NaN give the smallest integer, as amd64 does."""
    if not math.isfinite(value) or not -(2.0**63) <= value < 2.0**63:
        return MIN_INT64
    return int(value)


def int32_of(value: float) -> int:
    """float64 to int32: the low half of the conversion to int64."""
    return wrap32(int64_of(value))
