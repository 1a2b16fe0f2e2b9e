"""Whose time it is: this clock beside the target's own, the kernel's opinion of it, and when a wave starts."""

from __future__ import annotations

import ctypes
import http.client
import math
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

from seawall.fleet.errors import InputError
from seawall.fleet.units import format_seconds, parse_seconds, shown
from seawall.load.guard import WELL_KNOWN
from seawall.load.target import Address, Target, connect, tls_context

PROBES_A_FLIP = 32
"""Into so many steps the unknown is cut while one flip of the reference's second is waited for."""
FINE_ENOUGH_S = 0.0005
"""What is known to this, beside the round trip that cannot be seen through, is not asked for again."""
WORST_CLOCK_S = 1.0
"""Answers that contradict one another by more than this come from no running clock."""
LOOK_S = 0.1
"""So often it is asked while a flip is waited for: behind one address several servers may answer in turn."""
_MOST_FAILURES = 3
LATEST_START_S = 31 * 86400.0


@dataclass(frozen=True, slots=True)
class Clock:
    """This machine's clock beside a reference: own minus reference, and how far that may be from the truth."""

    offset_s: float
    uncertainty_s: float
    reference: str


class Answer(NamedTuple):
    """One `Date` header, with this clock's seconds before it was asked for and after it had come."""

    sent: float
    received: float
    date: float


@dataclass(slots=True)
class Bracket:
    """What is known of own minus reference while the `Date` header of a reference is watched.

    A header `date` that was written at some moment between `sent` and `received` of the own clock stands for
    [date, date + 1) of the reference's: own minus reference is above sent - date - 1 and at most
    received - date. All times in seconds.
    """

    low: float = -math.inf
    high: float = math.inf
    round_trip: float = math.inf
    """The shortest one seen."""
    date: float = math.nan
    """The last one seen."""
    flips: int = 0
    """How often a later date was seen than the one before."""

    def add(self, answer: Answer) -> bool:
        """Take in one answer; whether its date is another than the last one's."""
        sent, received, date = answer
        self.low = max(self.low, sent - date - 1.0)
        self.round_trip = min(self.round_trip, received - sent)
        self.high = min(self.high, received - date)
        another = date != self.date
        self.flips += date > self.date
        self.date = date
        return another

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def fine(self) -> bool:
        """Whether asking on gains nothing: not before the clock was seen to run on from one flip to the next."""
        return self.flips > 1 and 0.0 <= self.width <= 1.2 * self.round_trip + FINE_ENOUGH_S

    def next_probe(self, now: float, step: float) -> float:
        """When to ask next: a step after what is known, on the first flip that can still be met."""
        if self.width < 0.0:
            return now + LOOK_S / 2.0
        there = self.round_trip / 2.0
        second = math.floor(now + there - self.high) + 1
        return max(now, second + self.low + step - there)

    def clock(self, reference: str) -> Clock | None:
        """The middle of what is possible; None where the answers come from no running clock.

        Answers may contradict one another by a little: servers write a header that they made up to a second
        ago, and several servers may answer for one. Then the uncertainty reaches from one to the other, which
        is known to LOOK_S.
        """
        if not math.isfinite(self.width) or -self.width > WORST_CLOCK_S:
            return None
        uncertainty = abs(self.width) / 2.0 + (LOOK_S if self.width < 0.0 else 0.0)
        return Clock((self.low + self.high) / 2.0, uncertainty, reference)


def watch(
    ask: Callable[[], Answer | None],
    now: Callable[[], float],
    sleep: Callable[[float], None],
    seconds: float,
) -> Bracket:
    """Ask for the time again and again, so that the flip of the reference's second is met ever closer.

    Each flip divides what is unknown into PROBES_A_FLIP steps and leaves one of them, until `seconds` are
    over or the round trip is all that is left. `ask` gives None where there is nothing more to be had.
    """
    bracket, end, step = Bracket(), now() + seconds, 0.0
    while (answer := ask()) is not None:
        if bracket.add(answer):
            step = bracket.width / PROBES_A_FLIP
        moment = now()
        due = bracket.next_probe(moment, step)
        if bracket.fine or due > end:
            break
        sleep(min(due - moment, LOOK_S))
    return bracket


def compare(
    target: Target,
    *,
    seconds: float = 2.5,
    timeout_s: float = 2.0,
    verify: bool = True,
    ca_file: Path | None = None,
) -> Clock | None:
    """This machine's clock beside that of the target, read off the `Date` headers of some 70 HEAD requests.

    They go to one address of the target, the same for every machine that asks, over one connection where the
    target keeps it. None where there is no `Date` (or one out of a cache), or no answer. What is compared is
    the moment at which the header changes: a server that renews it only once a second (uvicorn) is late by a
    part of a second, for every machine alike, and that part is not in the uncertainty.
    """
    address = min(target.addresses, key=lambda a: a.text)
    asker = _Asker(target, address, timeout_s, tls_context(target, verify=verify, ca_file=ca_file))
    try:
        bracket = watch(asker.ask, time.time, time.sleep, seconds)
    finally:
        asker.close()
    return bracket.clock(f"Date of {target.origin} at {address.text}")


class _Asker:
    """Asks one address for its `Date`, on a connection that is opened anew where it was closed."""

    def __init__(
        self, target: Target, address: Address, timeout_s: float, context: ssl.SSLContext | None
    ) -> None:
        self._target, self._address = target, address
        self._timeout_s, self._context = timeout_s, context
        self._client = http.client.HTTPConnection(target.name, target.port)
        self._failures = 0

    def ask(self) -> Answer | None:
        while self._failures < _MOST_FAILURES:
            try:
                return self._once()
            except (OSError, http.client.HTTPException):
                self._failures += 1
                self.close()
        return None

    def _once(self) -> Answer | None:
        if self._client.sock is None:
            self._client.sock = connect(self._target, self._address, self._timeout_s, self._context)
        sent = time.time()
        headers = {"Host": self._target.authority, "User-Agent": "seawall"}
        self._client.request("HEAD", WELL_KNOWN, headers=headers)
        response = self._client.getresponse()
        received = time.time()
        response.read()
        if response.will_close:
            self.close()
        date = (
            None if response.headers.get("Age", "0").strip() != "0" else _date(response.headers.get("Date"))
        )
        return None if date is None else Answer(sent, received, date)

    def close(self) -> None:
        self._client.close()


def _date(text: str | None) -> float | None:
    """A `Date` header as seconds since 1970; None where it is missing or none."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


# ------------------------------------------------------------------------------------------ the kernel's own


class _Timex(ctypes.Structure):
    """The beginning of struct timex of Linux (adjtimex(2)), and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


_TIME_ERROR = 5
_STA_UNSYNC = 0x0040


def kernel_clock() -> dict[str, bool | float]:
    """What the kernel knows of its own clock (adjtimex(2)); empty where it does not tell.

    `synchronised`: whether something (chrony, ntpd, the hypervisor) keeps it; `estimated_error_s` and
    `maximum_error_s` are what that something last told the kernel, so they mean nothing without it.
    """
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):
        return {}
    if state < 0:
        return {}
    return {
        "synchronised": state != _TIME_ERROR and not timex.status & _STA_UNSYNC,
        "estimated_error_s": timex.esterror / 1e6,
        "maximum_error_s": timex.maxerror / 1e6,
    }


# -------------------------------------------------------------------------------------------- --start-at

_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?")
_START_ADVICE = "write for example 18:00, 2026-11-22T18:00:00+01:00, +90s or @1790000000"


def parse_start_at(text: str, now: float) -> float:
    """When a wave starts, in seconds since 1970, seen from `now`; InputError says what to write instead.

    A time of day (`18:00`, `18:00:30`) is one of today; it and a date without a zone are of this machine's
    zone. `+90s` counts from `now`, so it is another moment on every machine; `@1790000000` is the same on
    all. What has passed is an error, never tomorrow, and so is what lies more than a month ahead.
    """
    written = text.strip()
    try:
        start = _start(written, now)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{shown(written)} is not a time to start at; {_START_ADVICE}") from error
    if start < now:
        raise InputError(_passed(written, start, now))
    if start > now + LATEST_START_S:
        days = (start - now) / 86400.0
        raise InputError(f"{shown(written)} lies {days:.0f} days ahead; write a time within the next 31 days")
    return start


def _start(text: str, now: float) -> float:
    if text.startswith("+") and text[1:2] not in ("+", "-"):
        return now + parse_seconds(text[1:])
    if re.fullmatch(r"@\d{1,15}(\.\d{1,9})?", text):
        return float(text[1:])
    if _TIME_OF_DAY.fullmatch(text):
        today = datetime.fromtimestamp(now)
        clock = datetime.strptime(
            text, "%H:%M:%S.%f" if "." in text else ("%H:%M", "%H:%M:%S")[text.count(":") - 1]
        )
        return _local(datetime.combine(today.date(), clock.time()), text)
    if _MOMENT.fullmatch(text):
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo else _local(moment, text)
    raise ValueError(text)


def _local(moment: datetime, text: str) -> float:
    """A time of this machine's zone, unless its clocks are put forward or back over it."""
    first, second = moment.replace(fold=0).timestamp(), moment.replace(fold=1).timestamp()
    if first == second:
        return first
    # PEP 495: of two readings the first is the earlier one where a time comes twice, the later one in a gap.
    what = "comes twice" if first < second else "does not exist"
    readings = (datetime.fromtimestamp(at).astimezone().isoformat() for at in sorted((first, second)))
    raise InputError(
        f"{shown(text)} {what} in this machine's zone, whose clocks are changed then; write it with its offset "
        f"to UTC: {' or '.join(readings)}"
    )


def _passed(text: str, start: float, now: float) -> str:
    if not _TIME_OF_DAY.fullmatch(text):
        ago = format_seconds(float(math.ceil(now - start)))
        return f"{shown(text)} has passed, {ago} ago; write a time to come"
    tomorrow = datetime.fromtimestamp(start) + timedelta(days=1)
    here = datetime.fromtimestamp(now).strftime("%H:%M:%S")
    return (
        f"{shown(text)} has passed today, it is {here} here; write a later time, or for tomorrow "
        f"{tomorrow.isoformat(timespec='minutes' if text.count(':') == 1 else 'seconds')}"
    )
