"""Gathers rows of any number, watches their clock, and puts them in order of time, all in bounded memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.logs.spool import Spool, release

COLUMNS: dict[str, str] = {
    "t_s": "f8",
    "method": "i2",
    "path": "i4",
    "status": "i2",
    "size_bytes": "i8",
    "session": "i4",
    "duration_s": "f4",
    "detail": "i4",
}
"""The columns of a RequestLog and their types."""

RUN = 1 << 18
"""Rows that are sorted at once."""
MERGED = 1 << 20
"""About so many rows are merged at once."""
LEAST_MERGED = 1024
BEHIND_SECONDS = 60.0
"""A clock that is set back by less cannot be told from requests that were written late."""
_IN_A_ROW = 3
_KEPT_JUMPS = 5

Array = NDArray[Any]


class Clock:
    """Watches the times of one file after another: how many are out of order, and where the clock runs backwards.

    A server writes a line when its request ends, so a single line may be stamped long before the one before
    it. The clock itself runs backwards where three lines in a row are over a minute behind the latest so far.
    """

    def __init__(self) -> None:
        self.out_of_order = 0
        self.jumps = 0
        self.places: list[tuple[float, float]] = []
        self.new_file()

    def new_file(self) -> None:
        """What comes next has a clock of its own."""
        self._last = self._latest = -math.inf
        self._behind: list[float] = []

    def see(self, times: NDArray[np.float64]) -> None:
        """Times as they come, shape (n,)."""
        if not times.size:
            return
        disorder = np.count_nonzero(times[1:] < times[:-1])
        self.out_of_order += int(disorder) + bool(times[0] < self._last)
        self._last = float(times[-1])
        if not disorder and times[0] >= self._latest - BEHIND_SECONDS:
            self._latest = max(self._latest, float(times[-1]))
            self._behind.clear()
            return
        latest = np.maximum.accumulate(np.maximum(times, self._latest))
        if (times >= latest - BEHIND_SECONDS).all():
            self._latest = float(latest[-1])
            self._behind.clear()
            return
        self._one_by_one(times.tolist())

    def _one_by_one(self, times: list[float]) -> None:
        for time in times:
            if time >= self._latest - BEHIND_SECONDS:
                self._latest = max(self._latest, time)
                self._behind.clear()
                continue
            self._behind.append(time)
            if len(self._behind) == _IN_A_ROW:
                self.jumps += 1
                if len(self.places) < _KEPT_JUMPS:
                    self.places.append((self._latest, self._behind[0]))
                self._latest = max(self._behind)
                self._behind.clear()


class Rows:
    """Rows in the order in which they come; `finished` gives them in order of time, equal times as they came."""

    def __init__(self) -> None:
        self._run = {name: np.empty(RUN, dtype) for name, dtype in COLUMNS.items()}
        self._filled = 0
        self._spools = {name: Spool(dtype) for name, dtype in COLUMNS.items()}
        self._runs: list[tuple[float, float]] = []
        self._starts: list[int] = [0]

    def __len__(self) -> int:
        return self._starts[-1] + self._filled

    def extend(self, columns: dict[str, Array | int | float]) -> None:
        """Add rows: an array of shape (n,) for `t_s`, and for every other column an array or one value for all."""
        count = len(columns["t_s"])  # type: ignore[arg-type]
        done = 0
        while done < count:
            n = min(count - done, RUN - self._filled)
            part = slice(self._filled, self._filled + n)
            for name, values in columns.items():
                self._run[name][part] = values[done : done + n] if isinstance(values, np.ndarray) else values
            self._filled += n
            done += n
            if self._filled == RUN:
                self._end_run()

    def _end_run(self) -> None:
        """Sort what was gathered and put it away."""
        n, self._filled = self._filled, 0
        if not n:
            return
        times = self._run["t_s"][:n]
        order = None if (times[1:] >= times[:-1]).all() else np.argsort(times, kind="stable")
        for name, spool in self._spools.items():
            column = self._run[name][:n]
            spool.append(column.copy() if order is None else column[order])
        self._runs.append((float(times.min()), float(times.max())))
        self._starts.append(self._starts[-1] + n)

    def finished(self) -> dict[str, Array]:
        """All rows as columns in order of time."""
        self._end_run()
        self._run.clear()
        columns = {name: spool.finished() for name, spool in self._spools.items()}
        self._spools.clear()
        in_order = all(a[1] <= b[0] for a, b in zip(self._runs, self._runs[1:], strict=False))
        return columns if in_order else _merged(columns, np.array(self._starts))


def _merged(columns: dict[str, Array], starts: NDArray[np.int64]) -> dict[str, Array]:
    """Runs that are each in order (run i begins at row starts[i]) merged, some rows of each at a time."""
    merged = {name: Spool(dtype) for name, dtype in COLUMNS.items()}
    times = columns["t_s"]
    at, ends = starts[:-1].copy(), starts[1:]
    most = max(LEAST_MERGED, MERGED // len(at))
    while (live := np.flatnonzero(at < ends)).size:
        # Up to the earliest of the runs' `most`-th rows no run has more than `most` left, but for equal times.
        until = times[np.minimum(at[live] + most, ends[live]) - 1].min()
        live = live[times[at[live]] <= until]
        stops = [at[i] + np.searchsorted(times[at[i] : ends[i]], until, side="right") for i in live]
        order = np.argsort(
            np.concatenate([times[at[i] : stop] for i, stop in zip(live, stops, strict=True)]), kind="stable"
        )
        for name, spool in merged.items():
            column = columns[name]
            spool.append(
                np.concatenate([column[at[i] : stop] for i, stop in zip(live, stops, strict=True)])[order]
            )
        at[live] = stops
        release(*columns.values())
    return {name: spool.finished() for name, spool in merged.items()}


def longest_silence(times: NDArray[np.float64]) -> float:
    """The longest time between two of n >= 1 times that are in order."""
    longest = 0.0
    for at in range(0, times.size, RUN):
        longest = max(longest, float(np.diff(times[at : at + RUN + 1]).max(initial=0.0)))
        release(times)
    return longest
