"""The one record for recorded requests of every kind: columns, what was found on the way, and what to know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import overload

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.logs.lineformat import Stamp

SERVED_NOT_ASKED = (
    "an access log holds what was served, not what was asked for: "
    "requests that were refused or never got through are missing, and retries are in"
)
"""To be shown wherever traffic from an access log is used."""

HOLE = 100.0
HOLE_SECONDS = 60.0
"""A silence of so many mean distances between requests, and of so many seconds, is a hole: by chance alone a log has
none."""
FIRST_DAMAGED = 5
"""So many damaged lines are kept."""
ONE = {"lines": "line", "records": "record", "entries": "entry"}
"""What files consist of, and how one of it is called."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What a recording holds of a request beside its path: headers and a body.

    Headers that belong to a connection or that a client writes itself (Host, Content-Length) are left out.
    """

    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """A line that could not be read. Its text may hold addresses and names: for the terminal, not for a record."""

    file: str
    number: int
    """Of the file, from 1."""
    line: int
    text: str
    """As much of it as can be shown, printable."""


@dataclass(frozen=True, slots=True, eq=False)
class RequestLog:
    """Recorded requests as columns of equal length, in order of time (equal times: as in the files).

    Long columns are read-only maps of a temporary file. Texts are made anew each time they are asked for.
    """

    source: str
    """The file, or the first of several."""
    files: int
    format: str
    """The name of the format, or the format itself."""
    unit: str
    """What the files consist of: lines, records (GoReplay) or entries (HAR); a key of ONE."""
    t_s: NDArray[np.float64]
    """Seconds since 1970 in UTC, as stamped; where the end is stamped less the request's duration if it is known."""
    method: NDArray[np.int16]
    """Index into `methods`; 0 where the line holds no request (`-`, empty, TLS on a plain port)."""
    path: NDArray[np.int32]
    """Index into `paths`."""
    status: NDArray[np.int16]
    """HTTP status; 0 where it is unknown."""
    size_bytes: NDArray[np.int64]
    """Bytes sent; 0 where unknown."""
    session: NDArray[np.int32]
    """Number of the visitor."""
    duration_s: NDArray[np.float32]
    """How long the request took; nan where unknown."""
    detail: NDArray[np.int32]
    """Index into `details`, or -1."""
    methods: tuple[str, ...]
    paths: Sequence[str]
    """Targets with their query, escapes decoded; the scheme and host of an absolute one left out."""
    details: Sequence[Detail]
    sessions: int
    """How many different visitors there are."""
    lines: int
    blank: int
    cut: int
    """Lines that were read although their end is missing."""
    damaged: int
    examples: tuple[Damaged, ...]
    """The first damaged lines."""
    out_of_order: int
    """Requests stamped earlier than the one before them in their file."""
    clock_jumps: tuple[tuple[float, float], ...]
    """Where a file's clock runs backwards by more than a minute: from when to when, the first few times."""
    jumps: int
    """How many times it does."""
    whole_seconds: bool
    """Whether all times were stamped in whole seconds."""
    stamp: Stamp
    timed: int
    """Requests whose duration is known."""
    without_request: int
    """Lines that name a connection but no request."""
    longest_silence_s: float
    """The longest time between two requests, in seconds."""
    utc_offset_s: int
    """How far the zone of the first stamp is east of UTC, in seconds; 0 where stamps have none."""
    remarks: tuple[str, ...]
    """What only a reader of its format can know, one sentence each."""

    def __len__(self) -> int:
        return int(self.t_s.size)

    @property
    def first(self) -> float:
        """Time of the first request, seconds since 1970."""
        return float(self.t_s[0])

    @property
    def last(self) -> float:
        """Time of the last request, seconds since 1970."""
        return float(self.t_s[-1])

    def with_paths(self, change: Callable[[str], str]) -> RequestLog:
        """The same log with every path as `change` makes it, at the moment at which it is asked for."""
        return replace(self, paths=_Changed(self.paths, change))

    @property
    def damaged_lines(self) -> tuple[int, ...]:
        """Numbers of the first damaged lines, from 1."""
        return tuple(example.line for example in self.examples)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the log is taken for traffic, one sentence each; nothing personal is in them."""
        notes = [SERVED_NOT_ASKED]
        if self.damaged:
            more = ", ..." if self.damaged > len(self.examples) else ""
            notes.append(
                f"{self.damaged} of {self.lines} {self.unit} could not be read ({self._places()}{more})"
            )
        if self.cut:
            notes.append(
                f"{self.cut} of {self.lines} {self.unit} are cut off at their end; what is left was used"
            )
        if self.without_request:
            notes.append(
                f"{self.without_request} {self.unit} hold no request (idle connections, TLS on a plain port)"
            )
        silence = self.longest_silence_s
        if silence > HOLE_SECONDS and silence * len(self) > HOLE * (self.last - self.first):
            notes.append(
                f"it has holes: the longest time without a request is {self.longest_silence_s:.0f} s"
            )
        notes += self._about_times()
        return (*notes, *self.remarks)

    def _places(self) -> str:
        """Where the first damaged lines are."""
        unit = ONE[self.unit]
        if self.files == 1:
            return f"{unit} " + ", ".join(str(example.line) for example in self.examples)
        return ", ".join(f"{unit} {example.line} of file {example.number}" for example in self.examples)

    def _about_times(self) -> list[str]:
        notes = []
        if self.whole_seconds:
            notes.append(
                "its times are whole seconds: the requests of each are spread over it at random, by the seed"
            )
        if self.jumps:
            before, after = (_clock(t) for t in self.clock_jumps[0])
            notes.append(
                f"its clock runs backwards {_times(self.jumps)} by more than a minute "
                f"(first from {before} to {after}): its requests were put in order of time, "
                "so those of two stretches are mixed"
            )
        if self.stamp == "end" and self.timed:
            notes.append("its times are the ends of requests: their durations were taken off")
        if self.stamp == "end" and self.timed < len(self):
            notes.append(
                f"its times are the ends of requests, and {len(self) - self.timed} of {len(self)} {self.unit} give "
                "no duration: long requests come too late here"
            )
        return notes


class _Changed(Sequence[str]):
    """Texts as a function makes them of others."""

    def __init__(self, texts: Sequence[str], change: Callable[[str], str]) -> None:
        self._texts, self._change = texts, change

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        found = self._texts[index]
        return self._change(found) if isinstance(found, str) else list(map(self._change, found))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _clock(t_s: float) -> str:
    return datetime.fromtimestamp(t_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def printable(line: bytes, length: int = 120) -> str:
    """As much of a line as a message can show."""
    text = line[: length + 40].decode("utf-8", "backslashreplace").strip()
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return shown[:length] + ("..." if len(shown) > length else "")
