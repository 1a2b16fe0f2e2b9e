"""Figures as people read them: shares, times, memory, money; never rounded over a promise."""

from __future__ import annotations

import math
import re

NONE = "–"
"""What stands where a run has no such figure."""

OBJECTIVE_NAMES = {"served": "served, whole run", "served_worst_60s": "served, worst 60 s"}

FAILURE_NAMES = {
    "refused": "refused",
    "timed_out_connect": "connect time-out",
    "timed_out_read": "read time-out",
    "failed_reset": "reset",
    "failed_5xx": "5xx",
    "failed_body": "wrong body",
    "failed_protocol": "protocol",
    "shed": "shed",
}
"""Why a request was not answered, in a word or two."""


def percent(share: float | None) -> str:
    """A share as a percentage, rounded down, so that 99.899 % never reads as 99.9 %."""
    if share is None:
        return NONE
    if share >= 1.0:
        return "100 %"
    places = 2 if share < 0.9999 else 4
    floored = math.floor(share * 100.0 * 10**places + 1e-9) / 10**places
    return f"{floored:.{places}f}".rstrip("0").rstrip(".") + " %"


def milliseconds(value: float | None) -> str:
    """`85 ms`, `1.24 s`, `2 min 5 s`."""
    if value is None:
        return NONE
    if value < 1.0:
        return f"{value:.2g} ms"
    if value < 999.5:
        return f"{value:.3g} ms"
    if value < 59_995.0:
        return f"{value / 1e3:.3g} s"
    minutes, seconds = divmod(round(value / 1e3), 60)
    return f"{minutes} min {seconds} s"


def clock(seconds: float) -> str:
    """Time since the start: `1:36`, `1:02:05`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def count(value: float | None) -> str:
    """`97,617`; figures that are not whole keep three digits."""
    if value is None:
        return NONE
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def mib(value: float | None) -> str:
    """`505 MiB`, `7.6 GiB`."""
    if value is None:
        return NONE
    return f"{value:,.0f} MiB" if value < 10_000 else f"{value / 1024:.1f} GiB"


def size(value: float | None) -> str:
    """`153 MB`, `4.2 kB`: decimal units, as networks count."""
    if value is None:
        return NONE
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= 0.9995 * factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} B"


def money(value: float | None, currency: str | None) -> str:
    """`0.87 USD`; small sums keep two digits that say something."""
    if value is None:
        return NONE
    digits = f"{value:,.2f}" if value >= 1.0 or value == 0.0 else f"{value:.2g}"
    return f"{digits} {currency}" if currency else digits


def objective_name(name: str) -> str:
    """`served_worst_60s` as `served, worst 60 s`; `p99_ms` as `p99`."""
    return OBJECTIVE_NAMES.get(name, name.removesuffix("_ms"))


def objective_value(name: str, value: float | None) -> str:
    """A target or an actual figure in the unit of its objective."""
    if value is None:
        return NONE
    if name.startswith("served"):
        return percent(value)
    if re.match(r"(lateness_|first_byte_|service_)?p\d", name):
        return milliseconds(value)
    return count(value)


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def plural(number: int, word: str) -> str:
    """`1 assumption`, `6 assumptions`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
