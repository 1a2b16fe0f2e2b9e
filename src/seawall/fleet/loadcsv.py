"""A load over time from a CSV file: totals of CPU, memory, requests, metrics, each until the next row."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.fleet.units import parse_quantity
from seawall.fleet.yamlfile import read_text

TIME_COLUMNS = ("t", "time", "timestamp", "seconds")
PLAIN_COLUMNS = ("cpu", "memory", "requests_per_second")
METRIC_PREFIXES = ("external:", "custom:")
_MOST = {"cpu": 1e5, "requests_per_second": 1e9}
_MOST_OF_ANYTHING = 1e15
_EXAMPLE = "write a header such as `t,cpu` and rows such as `0,12.5` and `60,30`"


@dataclass(frozen=True, slots=True, eq=False)
class LoadTable:
    """Steps of load.

    `times` float64 [n]: seconds from the first row; `columns`: name -> float64 [n] in base units (cores,
    bytes, requests a second, a metric's own unit); `end` seconds: the last row holds as long as the usual
    step. `began_at`: the first row's time, seconds since 1970, where the file has dates.
    """

    file: str
    times: NDArray[np.float64]
    columns: dict[str, NDArray[np.float64]]
    end: float
    began_at: float | None = None


def read_load_csv(path: Path) -> LoadTable:
    """Reads a CSV with a header: a time column (`t`: seconds or ISO 8601) and columns of load.

    Load columns are `cpu` (cores, or `12500m`), `memory` (bytes, or `2Gi`), `requests_per_second`,
    `external:NAME` and `custom:NAME`. InputError with file and line for anything else.
    """
    rows = _rows(path)
    if not rows:
        raise InputError(f"the file is empty; {_EXAMPLE}", file=path)
    (line, header), *body = rows
    time, loads = _layout(path, line, header)
    if not body:
        raise InputError(f"there is a header and no row; {_EXAMPLE}", file=path, line=line)
    stamps: list[float] = []
    dated, values = False, np.empty((len(body), len(loads)))
    for number, (line, cells) in enumerate(body):
        if len(cells) != len(header):
            message = f"{len(cells)} cells where the header has {len(header)}"
            raise InputError(message, file=path, line=line)
        stamp, date = _time(path, line, cells[time])
        if number and date != dated:
            raise InputError("dates and plain seconds are mixed; write one of them", file=path, line=line)
        if stamps and stamp <= stamps[-1]:
            raise InputError("times must rise from row to row; sort the file by time", file=path, line=line)
        stamps.append(stamp)
        dated = date
        for place, (name, column) in enumerate(loads.items()):
            values[number, place] = _value(path, line, name, cells[column])
    times = np.array(stamps) - stamps[0]
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 60.0
    columns = {name: values[:, place] for place, name in enumerate(loads)}
    return LoadTable(str(path), times, columns, float(times[-1]) + usual, stamps[0] if dated else None)


def with_cpu(load: LoadTable, cpu_seconds_per_request: float) -> LoadTable:
    """The load with a `cpu` column made of its requests a second, each using so much CPU."""
    cpu = load.columns["requests_per_second"] * cpu_seconds_per_request
    return replace(load, columns={**load.columns, "cpu": cpu})


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, with their lines."""
    text = read_text(path)
    first = next((row for row in text.splitlines() if row.strip()), "")
    mark = next((mark for mark in "\t;," if mark in first), ",")
    reader = csv.reader(text.splitlines(), delimiter=mark, skipinitialspace=True)
    try:
        return [
            (reader.line_num, [c.strip() for c in cells]) for cells in reader if any(map(str.strip, cells))
        ]
    except csv.Error as error:
        raise InputError(f"this is no CSV: {error}; {_EXAMPLE}", file=path, line=reader.line_num) from None


def _layout(path: Path, line: int, header: list[str]) -> tuple[int, dict[str, int]]:
    """Which column is the time, and name -> column of the loads."""
    times = [n for n, name in enumerate(header) if name.lower() in TIME_COLUMNS]
    if len(times) != 1:
        problem = "there is no column t" if not times else "there are several time columns"
        raise InputError(f"{problem} in the header; {_EXAMPLE}", file=path, line=line)
    loads: dict[str, int] = {}
    for column, name in enumerate(header):
        if column == times[0]:
            continue
        metric = any(name.startswith(prefix) and len(name) > len(prefix) for prefix in METRIC_PREFIXES)
        if not metric and name not in PLAIN_COLUMNS:
            known = ", ".join((*PLAIN_COLUMNS, "external:NAME", "custom:NAME"))
            raise InputError(f"unknown column {name!r}; known are {known}", file=path, line=line)
        if name in loads:
            raise InputError(f"the column {name} is there twice", file=path, line=line)
        loads[name] = column
    if not loads:
        raise InputError(f"there is no column of load; {_EXAMPLE}", file=path, line=line)
    return times[0], loads


def _time(path: Path, line: int, text: str) -> tuple[float, bool]:
    """Seconds, and whether the text was a date (then since 1970; UTC where it names no zone)."""
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(seconds) and abs(seconds) < 1e11:
            return seconds, False
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text[:40]!r} is no time; write seconds, or 2026-05-17T10:05:03Z"
        raise InputError(message, file=path, line=line) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp(), True


def _value(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = parse_quantity(text)
    except ValueError as error:
        raise InputError(f"{name}: {error}", file=path, line=line) from None
    if value < 0:
        raise InputError(f"{name}: {text} must not be negative", file=path, line=line)
    most = _MOST.get(name, _MOST_OF_ANYTHING)
    if value > most:
        raise InputError(f"{name}: {text} is more than {most:g}; check its unit", file=path, line=line)
    return value
