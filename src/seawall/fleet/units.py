"""Units as people write them (`500m`, `1200Mi`, `15ms`, `99.9%`), read into SI floats and written back."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

MIB = 1024.0 * 1024.0

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {f"{p}i": 1024.0 ** (n + 1) for n, p in enumerate("KMGTPE")}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]*)\s*")
_DURATION_PART = re.compile(rf"({_NUMBER})\s*([a-zµ]+)\s*")
_MOST = 10**9

_DURATION_ADVICE = "is not a duration; write for example 15ms, 30s, 5m or 1h"
_QUANTITY_ADVICE = "is not a quantity; write for example 500m, 2 or 1200Mi"
_SHARE_ADVICE = "is not a share; write for example 99.9% or 0.999"


def parse_seconds(value: Any) -> float:
    """A duration in seconds from `15ms`, `1m30s`, `5min`, or a plain number of seconds."""
    if _is_number(value):
        return _finite(value, _DURATION_ADVICE)
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(_NUMBER, text):
        return _finite(text, _DURATION_ADVICE)
    total, at = 0.0, 0
    for part in _DURATION_PART.finditer(text):
        if part.start() != at or part.group(2) not in _SECONDS:
            break
        total += float(part.group(1)) * _SECONDS[part.group(2)]
        at = part.end()
    if at == 0 or at != len(text):
        raise ValueError(f"{shown(value)} {_DURATION_ADVICE}")
    return _finite(total, _DURATION_ADVICE)


def parse_quantity(value: Any) -> float:
    """A Kubernetes quantity (`500m`, `1200Mi`, `2`, `1e3`) as a float in its base unit.

    Source: Kubernetes, apimachinery/pkg/api/resource/quantity.go (suffixes n u m k M G T P E and Ki to Ei).
    """
    if _is_number(value):
        return _finite(value, _QUANTITY_ADVICE)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    number, suffix = match.groups() if match is not None else ("", "none")
    if suffix in _BINARY:
        return _finite(float(number) * _BINARY[suffix], _QUANTITY_ADVICE)
    exponent = _DECIMAL_EXPONENTS.get(suffix)
    if exponent is None:
        raise ValueError(f"{shown(value)} {_QUANTITY_ADVICE}")
    # Dividing by a power of ten rounds once where multiplying by its inverse would round twice.
    number_read = float(number)
    read = number_read * 10.0**exponent if exponent >= 0 else number_read / 10.0**-exponent
    return _finite(read, _QUANTITY_ADVICE)


def parse_share(value: Any) -> float:
    """A share of one from `99.9%` or `0.999`."""
    if _is_number(value):
        return _finite(value, _SHARE_ADVICE)
    text = value.strip() if isinstance(value, str) else ""
    percent = text.endswith("%")
    number = text.removesuffix("%").strip()
    if not re.fullmatch(_NUMBER, number):
        raise ValueError(f"{shown(value)} {_SHARE_ADVICE}")
    # As decimals: 99.9 / 100 in floats is 0.9990000000000001.
    return _finite(float(Decimal(number) / 100) if percent else number, _SHARE_ADVICE)


def parse_switch(value: Any) -> bool:
    """On or Off, as Apache writes it, or a YAML truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("on", "yes", "true", "1"):
        return True
    if isinstance(value, str) and value.strip().lower() in ("off", "no", "false", "0"):
        return False
    raise ValueError(f"{shown(value)} is neither On nor Off")


def parse_count(value: Any) -> int:
    """A whole number; truth values, fractions and anything beyond a thousand millions are refused."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,12}\s*", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{shown(value)} is not a whole number; write for example 5")
    if abs(value) > _MOST:
        raise ValueError(f"{shown(value)} is impossible; write at most {_MOST}")
    return value


def parse_number(value: Any) -> float:
    """A plain number; a truth value is none."""
    if _is_number(value) or (isinstance(value, str) and re.fullmatch(_NUMBER, value.strip())):
        return _finite(value, "is not a finite number")
    raise ValueError(f"{shown(value)} is not a number; write for example 1.5")


def format_seconds(seconds: float) -> str:
    """A duration as people write it: `15ms`, `1.5s`, `5m`, `1m30s`; it reads back to the same float."""
    if seconds == 0:
        return "0s"
    whole, rest = divmod(seconds, 60.0)
    if seconds >= 60 and rest == int(rest):
        hours, minutes = divmod(int(whole), 60)
        parts = ((hours, "h"), (minutes, "m"), (int(rest), "s"))
        return _exact("".join(f"{n}{unit}" for n, unit in parts if n), seconds)
    if seconds < 1:
        return _exact(f"{round(seconds * 1e3, 9):g}ms", seconds)
    return f"{seconds!r}s".replace(".0s", "s")


def format_bytes(size: float) -> str:
    """A size as people write it: `600Mi`, `2Gi`, or plain bytes; it reads back to the same float."""
    for suffix in ("Gi", "Mi", "Ki"):
        if size and size % _BINARY[suffix] == 0:
            return f"{size / _BINARY[suffix]:.0f}{suffix}"
    return f"{size!r}".removesuffix(".0")


def format_cores(cores: float) -> str:
    """CPU as people write it: `500m` or `2`; it reads back to the same float."""
    milli = round(cores * 1000)
    if milli % 1000 and milli / 1000 == cores:
        return f"{milli}m"
    return f"{cores!r}".removesuffix(".0")


def _exact(text: str, seconds: float) -> str:
    return text if parse_seconds(text) == seconds else f"{seconds!r}s"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Any, advice: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{shown(value)} {advice}")
    return number


def shown(value: Any) -> str:
    """A value as a message shows it: quoted, cut after 60 characters; a mapping or list by its name."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value) if not isinstance(value, bool) else str(value).lower()
    return f"`{text[:60]}{'...' if len(text) > 60 else ''}`"


def _written(unit: str, *examples: Any, most: float | None = None) -> WithJsonSchema:
    """The JSON Schema of a value that may be written with its unit."""
    bound = {} if most is None else {"maximum": most}
    schema = {"type": ["number", "string"], "minimum": 0, **bound, "unit": unit, "examples": list(examples)}
    return WithJsonSchema(schema)


Seconds = Annotated[
    float, BeforeValidator(parse_seconds), Field(ge=0), _written("seconds", "15ms", "30s", "5m")
]
"""A duration of at least 0, in seconds."""
Cores = Annotated[float, BeforeValidator(parse_quantity), Field(ge=0), _written("cores", "500m", 2)]
"""CPU of at least 0, in cores."""
Bytes = Annotated[float, BeforeValidator(parse_quantity), Field(ge=0), _written("bytes", "600Mi", "2Gi")]
"""Memory of at least 0, in bytes."""
Share = Annotated[
    float, BeforeValidator(parse_share), Field(ge=0, le=1), _written("share", "99.9%", 0.999, most=1)
]
"""A share from 0 to 1."""
Switch = Annotated[
    bool,
    BeforeValidator(parse_switch),
    WithJsonSchema({"enum": [True, False, "On", "Off", "on", "off", "yes", "no"]}),
]
"""A switch: true or false, On or Off."""
Count = Annotated[int, BeforeValidator(parse_count)]
"""A whole number; bounds are the field's own."""
Number = Annotated[float, BeforeValidator(parse_number)]
"""A plain number; bounds are the field's own."""
