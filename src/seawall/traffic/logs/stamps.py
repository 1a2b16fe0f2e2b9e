"""Reads the times in logs: the common log format's, ISO 8601, and any form that strftime can write.

Sources: Apache httpd 2.4, mod_log_config (`%t`, `%{format}t`); nginx, ngx_http_log_module (`$time_local`,
`$time_iso8601`); HAProxy's configuration manual (`%tr`, which has no zone); C's strftime.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache

from seawall.fleet.errors import InputError

_EPOCH = date(1970, 1, 1).toordinal()
_MONTHS = {name: n for n, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_CLF = re.compile(rb"(\d\d/[A-Za-z]{3}/\d{4}):(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?: ([+-]\d{4}))?")
_ZONE = rb"[+-]\d\d:?\d\d|Z|[A-Z]{2,5}"
_CACHED = 20_000


class Stamps:
    """Stamps as seconds since 1970, each worked out once; `zone_s` is how far east of UTC the first one is."""

    def __init__(self, read: Callable[[bytes], tuple[float, int] | None]) -> None:
        self._read = read
        self._known: dict[bytes, float] = {}
        self.zone_s: int | None = None

    def seconds(self, stamps: tuple[bytes, ...]) -> list[float | None]:
        """Seconds since 1970 of each stamp, None for what is none."""
        times: list[float | None] = list(map(self._known.get, stamps))
        if None not in times:
            return times
        if len(self._known) >= _CACHED:
            self._known.clear()
        for stamp in dict.fromkeys(stamps):
            if stamp not in self._known and (found := self._read(stamp)) is not None:
                self._known[stamp], zone = found
                if self.zone_s is None:
                    self.zone_s = zone
        return list(map(self._known.get, stamps))


def read_stamp(stamp: bytes) -> tuple[float, int] | None:
    """Seconds since 1970 and the zone's seconds east, of the common log format or ISO 8601; UTC without a zone."""
    match = _CLF.fullmatch(stamp)
    if match is None:
        return _iso(stamp)
    day, hour, minute, second, fraction, zone = match.groups()
    known = _midnight(day, zone)
    clock = _clock(hour, minute, second)
    if known is None or clock is None:
        return None
    midnight, east = known
    return midnight + clock + (float(fraction) if fraction else 0.0), east


@lru_cache(maxsize=1024)
def _midnight(day: bytes, zone: bytes | None) -> tuple[int, int] | None:
    """When a day such as 17/May/2015 begins in a zone, and the zone's seconds east."""
    try:
        ordinal = date(int(day[7:]), _MONTHS[day[3:6].lower()], int(day[:2])).toordinal()
    except (KeyError, ValueError):
        return None
    return (ordinal - _EPOCH) * 86400 - _east(zone), _east(zone)


def _clock(hour: bytes | int, minute: bytes | int, second: bytes | int) -> int | None:
    """Seconds since midnight; 60 is a leap second."""
    h, m, s = int(hour), int(minute), int(second)
    return h * 3600 + m * 60 + s if h < 24 and m < 60 and s < 61 else None


def _east(zone: bytes | None) -> int:
    """Seconds east of UTC; a zone by its name is taken for UTC."""
    if not zone or zone[:1] not in b"+-":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return seconds if zone[:1] == b"+" else -seconds


def _iso(stamp: bytes) -> tuple[float, int] | None:
    try:
        time = datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    offset = time.utcoffset()
    return time.timestamp(), 0 if offset is None else int(offset.total_seconds())


# -------------------------------------------------------------------------------------- strftime, backwards

_PARTS = {
    "Y": rb"(?P<Y>\d{4})",
    "y": rb"(?P<y>\d\d)",
    "m": rb"(?P<m>\d\d)",
    "b": rb"(?P<b>[A-Za-z]{3})",
    "B": rb"(?P<B>[A-Za-z]{3,9})",
    "d": rb"(?P<d>[ \d]\d)",
    "j": rb"(?P<j>\d{3})",
    "H": rb"(?P<H>[ \d]\d)",
    "I": rb"(?P<I>[ \d]\d)",
    "p": rb"(?P<p>[AaPp][Mm])",
    "M": rb"(?P<M>\d\d)",
    "S": rb"(?P<S>\d\d)",
    "z": rb"(?P<z>" + _ZONE + rb")",
    "s": rb"(?P<s>\d{1,12})",
    "a": rb"[A-Za-z]{3}",
    "A": rb"[A-Za-z]{6,9}",
    "u": rb"\d",
    "w": rb"\d",
    "n": rb"\s",
    "t": rb"\t",
    "%": rb"%",
}
_SAME = {"e": "d", "h": "b", "k": "H", "l": "I", "P": "p", "Z": "z"}
_LONG = {
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "r": "%I:%M:%S %p",
    "c": "%a %b %d %H:%M:%S %Y",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}


def strftime_pattern(text: str) -> bytes:
    """A regular expression, with groups named by letter, of what strftime writes; InputError for what is unknown."""
    for letter, long in _LONG.items():
        text = text.replace(f"%{letter}", long)
    pieces, at = [], 0
    for match in re.finditer(r"%[EO_^#0-]?(.?)", text):
        letter = _SAME.get(match[1], match[1])
        if letter not in _PARTS:
            raise InputError(
                f"{match[0]} of the time {text!r} is not known here; "
                "write for example %{%Y-%m-%dT%H:%M:%S%z}t, or %t"
            )
        pieces += [re.escape(text[at : match.start()].encode()), _PARTS[letter]]
        at = match.end()
    return b"".join([*pieces, re.escape(text[at:].encode())])


def strftime_reader(pattern: bytes) -> Callable[[bytes], tuple[float, int] | None]:
    """What reads stamps of a pattern from `strftime_pattern`; InputError where it has no date, or a part twice."""
    try:
        test = re.compile(pattern)
    except re.error as error:
        raise InputError(f"a part of the time is there twice ({error}); give each once") from error
    has = test.groupindex.keys()
    whole = ("s" in has) or (
        bool(has & {"Y", "y"}) and ("j" in has or ("d" in has and bool(has & {"m", "b", "B"})))
    )
    if not whole:
        raise InputError(
            "the time has no whole date; give year, month and day, for example %{%Y-%m-%d %T %z}t"
        )

    def read(stamp: bytes) -> tuple[float, int] | None:
        match = test.fullmatch(stamp)
        return None if match is None else _from_parts(match.groupdict())

    return read


def _from_parts(part: dict[str, bytes | None]) -> tuple[float, int] | None:
    east = _east(part.get("z"))
    if part.get("s"):
        return float(part["s"] or 0), east
    year = int(part["Y"] or 0) if part.get("Y") else 2000 + int(part["y"] or 0)
    hour = int(part.get("H") or part.get("I") or 0)
    if part.get("p"):
        hour = hour % 12 + 12 * ((part["p"] or b"").lower() == b"pm")
    clock = _clock(hour, int(part.get("M") or 0), int(part.get("S") or 0))
    try:
        if part.get("j"):
            ordinal = date(year, 1, 1).toordinal() + int(part["j"] or 1) - 1
        else:
            name = part.get("b") or part.get("B")
            month = _MONTHS.get(name[:3].lower(), 0) if name else int(part["m"] or 0)
            ordinal = date(year, month, int(part["d"] or 0)).toordinal()
    except ValueError:
        return None
    return None if clock is None else (float((ordinal - _EPOCH) * 86400 + clock - east), east)
