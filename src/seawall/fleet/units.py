"""Units as people write them (`500m`, `1200Mi`, `15ms`, `99.9%`), read into SI floats."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DECIMAL = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
}
_BINARY = {f"{p}i": 1024.0 ** (n + 1) for n, p in enumerate("KMGTPE")}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"^\s*({_NUMBER})\s*([A-Za-z]*)\s*$")
_DURATION_PART = re.compile(rf"({_NUMBER})\s*([a-zµ]+)\s*")


def parse_seconds(value: Any) -> float:
    """A duration in seconds from `15ms`, `1m30s`, `5min`, or a plain number of seconds."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a duration; write for example 15ms, 30s, 5m or 1h")
    if isinstance(value, int | float):
        return float(value)
    text = str(value).strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    total, at = 0.0, 0
    for part in _DURATION_PART.finditer(text):
        if part.start() != at or part.group(2) not in _SECONDS:
            break
        total += float(part.group(1)) * _SECONDS[part.group(2)]
        at = part.end()
    if at == 0 or at != len(text):
        raise ValueError(f"{text!r} is not a duration; write for example 15ms, 30s, 5m or 1h")
    return total


def parse_quantity(value: Any) -> float:
    """A Kubernetes quantity (`500m`, `1200Mi`, `2`, `1e3`) as a float in its base unit.

    Source: Kubernetes, apimachinery/pkg/api/resource/quantity.go (suffixes n u m k M G T P E and Ki to Ei).
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a quantity; write for example 500m, 2 or 1200Mi")
    if isinstance(value, int | float):
        return float(value)
    match = _QUANTITY.match(str(value))
    if match is None or (match.group(2) not in _DECIMAL and match.group(2) not in _BINARY):
        raise ValueError(f"{value!r} is not a quantity; write for example 500m, 2 or 1200Mi")
    suffix = match.group(2)
    return float(match.group(1)) * (_BINARY.get(suffix) or _DECIMAL[suffix])


def parse_share(value: Any) -> float:
    """A share of one from `99.9%` or `0.999`."""
    if isinstance(value, str) and value.strip().endswith("%"):
        number = value.strip()[:-1].strip()
        if re.fullmatch(_NUMBER, number):
            return float(number) / 100.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(_NUMBER, value.strip()):
        return float(value)
    raise ValueError(f"{value!r} is not a share; write for example 99.9% or 0.999")


def parse_switch(value: Any) -> bool:
    """On or Off, as Apache writes it, or a YAML truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("on", "yes", "true", "1"):
        return True
    if isinstance(value, str) and value.strip().lower() in ("off", "no", "false", "0"):
        return False
    raise ValueError(f"{value!r} is neither On nor Off")


Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(ge=0, json_schema_extra={"unit": "seconds"})]
Cores = Annotated[float, BeforeValidator(parse_quantity), Field(ge=0, json_schema_extra={"unit": "cores"})]
Bytes = Annotated[float, BeforeValidator(parse_quantity), Field(ge=0, json_schema_extra={"unit": "bytes"})]
Share = Annotated[float, BeforeValidator(parse_share), Field(ge=0, le=1, json_schema_extra={"unit": "share"})]
Switch = Annotated[bool, BeforeValidator(parse_switch)]

MIB = 1024.0 * 1024.0
