"""Kubernetes quantities without rounding, and the two ways in which Kubernetes itself rounds them."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

_MAX_INT64 = (1 << 63) - 1
# Nothing that is counted in a cluster is longer or larger, and 1e999999999 must not be computed.
_MAX_CHARACTERS = 64
_MAX_EXPONENT = 30
_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$")
_DECIMAL_EXPONENT = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def exact_quantity(value: Any) -> Fraction:
    """A Kubernetes quantity (`500m`, `1.5Gi`, `1e3`, 2) without rounding; ValueError if it is none.

    Source: Kubernetes, apimachinery/pkg/api/resource/quantity.go.
    """
    text = str(value).strip()
    match = None if isinstance(value, bool) or len(text) > _MAX_CHARACTERS else _QUANTITY.match(text)
    if match is None or (text[-1].isdigit() and abs(int((match.group(2) or "e0")[1:])) > _MAX_EXPONENT):
        raise ValueError(f"{value!r} is not a quantity; write for example 500m, 2 or 1200Mi")
    number, suffix = Fraction(match.group(1)), match.group(2) or ""
    if suffix.endswith("i"):
        return number * (1 << 10 * ("KMGTPE".index(suffix[0]) + 1))
    exponent = _DECIMAL_EXPONENT[suffix] if suffix in _DECIMAL_EXPONENT else int(suffix[1:])
    scale = Fraction(f"1e{exponent}")
    return number * scale


def milli_value(value: Any) -> int:
    """A quantity in thousandths, rounded away from zero as Kubernetes' `MilliValue` does."""
    thousandths = exact_quantity(value) * 1000
    whole = math.ceil(thousandths) if thousandths >= 0 else math.floor(thousandths)
    return max(-_MAX_INT64 - 1, min(_MAX_INT64, whole))


def approximate_float(value: Any) -> float:
    """A quantity as Kubernetes' `AsApproximateFloat64` gives it: a whole number times a power of ten."""
    exact, exponent = exact_quantity(value), 0
    while exact.denominator != 1 and exponent > -9:
        exact, exponent = exact * 1000, exponent - 3
    return float(exact) * 10.0**exponent if exponent else float(exact)
