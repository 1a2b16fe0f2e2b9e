"""Reads a CSV of requests per second, as monitoring systems export it, into a rate that changes in steps."""

from __future__ import annotations

import csv
import math
import re
import textwrap
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.traffic.curve import StepRate
from seawall.traffic.files import line_blocks

TIME_NAMES = ("time", "timestamp", "t", "ts", "second", "seconds", "date", "datetime", "date_time", "ds")
"""What a time column is called; case, blanks and what stands in brackets do not count."""
RATE_NAMES = (
    "rate",
    "requests_per_second",
    "requests/s",
    "req/s",
    "rps",
    "qps",
    "requests",
    "request_rate",
    "value",
    "count",
    "hits",
    "y",
)
"""What the rate column is called, the best first."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
_MOST = 1e12
_GAP = 1.5
_EXAMPLE = "a CSV of requests per second has lines like `0,36` or `2026-05-17T10:05:03Z,36`"
# Unix times by their size: seconds until the year 5138, then milli-, micro- and nanoseconds.
_EPOCH_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))


@dataclass(frozen=True, slots=True, eq=False)
class RateRecording:
    """A recorded rate, and what was found in its file."""

    source: str
    rate: StepRate
    first: float | None
    """Time of the first row, seconds since 1970; None where times are relative or absent."""
    rows: int
    step_s: float
    """The usual step between rows, in seconds."""
    gaps: int
    """Steps longer than the usual one, and rows without a rate; the rate before holds through them."""
    time_column: str
    rate_column: str

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the rate is taken for traffic, one sentence each."""
        notes = [f'requests per second are read from column "{self.rate_column}"']
        if self.gaps:
            longest = float(np.diff(self.rate.times_s).max())
            notes.append(
                f"{self.gaps} gaps, in which the rate before holds "
                f"(usual step {self.step_s:g} s, longest {longest:g} s)"
            )
        return tuple(notes)


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of a row, and the line on which it ends."""

    path: str | Path
    line: int
    cells: list[str]

    def wrong(self, message: str) -> InputError:
        return InputError(message, file=self.path, line=self.line)

    def shown(self, column: int) -> str:
        """A cell as a message can show it."""
        cell = re.sub(r"\s", " ", self.cells[column])
        return f'"{cell}"' if len(cell) <= 40 else f'"{cell[:37]}..."'


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns hold what. `time` is None where rows are one second apart and carry no time."""

    time: int | None
    rate: int
    time_name: str
    rate_name: str
    header: bool

    @property
    def columns(self) -> int:
        """The fewest columns that a row must have."""
        return 1 + max(self.rate, self.time or 0)


def read_rate_csv(
    path: str | Path, *, time_column: str | None = None, rate_column: str | None = None
) -> RateRecording:
    """Read a CSV whose rows give the rate from their time until the next row's, in requests per second.

    Parted by commas, semicolons (then 12,5 is twelve and a half) or tabs; a header is optional. Columns are
    found by name (TIME_NAMES, RATE_NAMES) or named here; without a header time is first and the rate second,
    and one column alone is a rate each second. Times are ISO 8601 (without a zone: UTC), Unix times (s, ms,
    us or ns), or seconds from any start; they must rise. The last row lasts as long as the usual step (the
    median; 1 s for a single row). A row without a rate counts as missing. Raises InputError, with the line,
    for anything else.
    """
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise InputError(f"the file holds no rows; {_EXAMPLE}", file=path)
    layout = _layout(first, time_column, rate_column)
    times, rates, missing = array("d"), array("d"), 0
    for row in rows if layout.header else chain((first,), rows):
        missing += _take(row, layout, times, rates)
    if not rates:
        raise first.wrong(f"the file holds a header and no rows; {_EXAMPLE}")
    return _recording(path, np.array(times), np.array(rates), missing, layout)


def _rows(path: str | Path) -> Iterator[_Row]:
    """The rows that are not blank; the first of them tells what they are parted by."""
    lines = _lines(path)
    head: list[str] = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    mark = next((mark for mark in "\t;," if head and mark in head[-1]), ",")
    reader = csv.reader(chain(head, lines), delimiter=mark, skipinitialspace=True)
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if mark != ",":
                row = [_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in row]
            if any(row):
                yield _Row(path, reader.line_num, row)
    except csv.Error as error:
        raise InputError(f"this is no CSV ({error}); {_EXAMPLE}", file=path, line=reader.line_num) from error


def _lines(path: str | Path) -> Iterator[str]:
    for _, block in line_blocks(path):
        for line in block.removesuffix(b"\n").split(b"\n"):
            yield line.rstrip(b"\r").decode("utf-8", "replace") + "\n"


def _layout(first: _Row, time_column: str | None, rate_column: str | None) -> _Layout:
    """Find the columns by the first row, which is a header if no cell of it is a number or a time."""
    if any(_time_of(cell) is not None for cell in first.cells):
        if time_column or rate_column:
            raise first.wrong(f'there is no header in which to find column "{time_column or rate_column}"')
        if len(first.cells) > 2:
            raise first.wrong(
                f"these are {len(first.cells)} columns without a header; put a line above them that "
                "calls one of them time and one of them rate"
            )
        return _Layout(0 if len(first.cells) == 2 else None, len(first.cells) - 1, "", "rate", False)
    names = [_plain(name) for name in first.cells]
    rate = _find(first, names, RATE_NAMES, rate_column, "rate")
    if time_column is None and len(names) == 1:
        return _Layout(None, 0, "", first.cells[0], True)
    time = _find(first, names, TIME_NAMES, time_column, "time")
    if time == rate:
        raise first.wrong(f'column "{first.cells[time]}" cannot be both time and rate; name the other one')
    return _Layout(time, rate, first.cells[time], first.cells[rate], True)


def _plain(name: str) -> str:
    """A column's name without case, blanks and brackets: "Requests (per s)" is "requests"."""
    return re.sub(r"\s+", "_", re.sub(r"[(\[{].*", "", name).strip().lower())


def _find(first: _Row, names: list[str], known: tuple[str, ...], wanted: str | None, what: str) -> int:
    """The index of a column, by the name asked for or by the best of the known names."""
    have = textwrap.shorten(", ".join(first.cells), 200)
    if wanted is not None:
        if wanted in first.cells:
            return first.cells.index(wanted)
        if _plain(wanted) in names:
            return names.index(_plain(wanted))
        raise first.wrong(f'there is no column "{wanted}"; the columns are {have}')
    for name in known:
        if name in names:
            return names.index(name)
    some = ", ".join(known[:4])
    raise first.wrong(f"no column is known for the {what} among {have}; say which, or call it {some} ...")


def _take(row: _Row, layout: _Layout, times: array[float], rates: array[float]) -> int:
    """Add a row; 1 if it has no rate and the one before holds on, else 0."""
    if len(row.cells) < layout.columns:
        raise row.wrong(f"{len(row.cells)} columns where {layout.columns} are needed; {_EXAMPLE}")
    text = row.cells[layout.rate]
    time = float(len(times)) if layout.time is None else _time_of(row.cells[layout.time])
    if time is None:
        raise row.wrong(
            f"{row.shown(layout.time or 0)} is no time; write seconds, a Unix time or 2026-05-17T10:05:03Z"
        )
    if times and time <= times[-1]:
        raise row.wrong("times must rise from row to row; sort the file by time, one row for each")
    missing = not text and len(rates) > 0
    rate = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not (missing or 0.0 <= rate <= _MOST):
        raise row.wrong(
            f"{row.shown(layout.rate)} is no rate; write requests per second, a number of at least 0"
        )
    times.append(time)
    rates.append(rates[-1] if missing else rate)
    return int(missing)


def _time_of(text: str) -> float | None:
    """A time in seconds (since 1970 for dates), or None."""
    if _NUMBER.fullmatch(text):
        time = float(text)
        return time if abs(time) < 1e20 else None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()


def _recording(
    path: str | Path,
    times: NDArray[np.float64],
    rates: NDArray[np.float64],
    missing: int,
    layout: _Layout,
) -> RateRecording:
    scale = next((factor for size, factor in _EPOCH_UNITS if times[0] >= size), 1.0)
    first = times[0] * scale
    seconds = (times - times[0]) * scale
    steps = np.diff(seconds)
    usual = float(np.median(steps)) if steps.size else 1.0
    edges = np.append(seconds, seconds[-1] + usual)
    # Steps of any length are fine; they are gaps only where the others agree on one.
    regular = steps.size > 0 and np.count_nonzero(steps == usual) > 0.5 * steps.size
    gaps = int(np.count_nonzero(steps > _GAP * usual)) if regular else 0
    return RateRecording(
        source=str(path),
        rate=StepRate(edges, rates),
        first=float(first) if first >= 1e8 else None,
        rows=int(rates.size),
        step_s=usual,
        gaps=gaps + missing,
        time_column=layout.time_name,
        rate_column=layout.rate_name,
    )
