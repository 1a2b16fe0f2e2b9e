"""Open-loop arrivals as chunks of arrays: from a load over time, or from recorded requests.

The n-th arrival depends on the seed and on n alone, so neither the size of the chunks nor what happens to
earlier requests changes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.curve import Load
from seawall.traffic.draws import Stream, stream_key, uniforms
from seawall.traffic.logs.spool import release

Process = Literal["poisson", "even"]

CHUNK = 8192
"""Arrivals in a chunk, unless asked for otherwise: its columns stay in a core's own cache."""
DRAWN = -1
"""In place of a class: the request's class is still to be drawn by the classes' shares."""
_LAST_COPY = 1 << 32
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Arrivals in order of time; the columns are of equal length n >= 1."""

    times_s: NDArray[np.float64]
    """Seconds from the start of the traffic, never falling, also from one chunk to the next."""
    classes: NDArray[np.int32]
    """Index of the request's class, or DRAWN."""
    sessions: NDArray[np.int64]
    """Number of the visitor; arrivals from a rate are a visitor each."""
    records: NDArray[np.int64] | None = None
    """Which row of the recording each one repeats; None where they do not come from recorded requests."""

    def __len__(self) -> int:
        return int(self.times_s.size)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """All arrivals of one open loop; each iteration gives the same chunks from the start."""

    duration_s: float
    """Seconds that the traffic lasts."""
    expected: float
    chunks: Callable[[], Iterator[Chunk]]

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks()

    def expected_count(self) -> float:
        """How many arrivals are to be expected: the mean over all seeds."""
        return self.expected


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """Recorded requests in order of time, as columns of equal length n."""

    times_s: NDArray[np.float64]
    """Seconds on any clock, never falling."""
    classes: NDArray[np.int32]
    sessions: NDArray[np.integer[Any]]
    session_count: int
    """Sessions are numbered below this."""
    whole_seconds: bool
    """Whether a time tells the second alone: the request came at any moment of [t, t + 1)."""
    records: NDArray[np.int64] | None = None
    """Their rows in the recording, rising; None where they are all of its rows."""


def arrivals_from_load(
    load: Load, seed: int, process: Process = "poisson", *, chunk: int = CHUNK, entity: int = 0
) -> Arrivals:
    """Arrivals at a rate over time (`load` in requests/s, else ValueError).

    poisson: a Poisson process of rate 1 whose time is changed by the inverse of the load's area, which is
    exact for any load. even: the k-th arrival (from 0) where the area reaches k + 1/2. `entity` tells
    several loads under one seed apart. Memory is of the order of `chunk` arrivals.
    """
    if load.unit != "requests/s":
        raise ValueError(f"arrivals need a rate in requests/s, not {load.unit}")
    total = float(load.integral(load.duration_s))
    if process == "even":
        count = math.floor(total + 0.5)
        return Arrivals(load.duration_s, float(count), lambda: _even(load, count, chunk))
    key = stream_key(seed, Stream.ARRIVALS)
    return Arrivals(load.duration_s, total, lambda: _poisson(load, total, key, entity, chunk))


def _poisson(load: Load, total: float, key: np.uint64, entity: int, chunk: int) -> Iterator[Chunk]:
    area, n, last = 0.0, 0, 0.0
    while True:
        left = total - area
        count = min(chunk, math.ceil(left + 6.0 * math.sqrt(left)) + 16)
        gaps = -np.log(uniforms(key, entity, n, count))
        # Summed one by one from the last arrival on, so that the sums do not depend on where chunks end.
        gaps[0] += area
        areas: NDArray[np.float64] = np.cumsum(gaps, dtype=np.float64)
        here = int(np.searchsorted(areas, total, side="left"))
        if here:
            chunk_of = _from_areas(load, areas[:here], n, last)
            last = float(chunk_of.times_s[-1])
            yield chunk_of
        if here < count:
            return
        area, n = float(areas[-1]), n + count


def _even(load: Load, total: int, chunk: int) -> Iterator[Chunk]:
    last = 0.0
    for n in range(0, total, chunk):
        chunk_of = _from_areas(load, np.arange(n, min(n + chunk, total), dtype=np.float64) + 0.5, n, last)
        last = float(chunk_of.times_s[-1])
        yield chunk_of


def _from_areas(load: Load, areas: NDArray[np.float64], n: int, last: float) -> Chunk:
    """The chunk whose k-th arrival comes where the load's area reaches `areas[k]`; the first is number n."""
    times = np.minimum(load.inverse_integral(areas), load.duration_s)
    times[0] = max(times[0], last)
    size = times.size
    return Chunk(
        np.maximum.accumulate(times),
        np.full(size, DRAWN, dtype=np.int32),
        np.arange(n, n + size, dtype=np.int64),
    )


def arrivals_from_requests(
    requests: Requests,
    seed: int,
    *,
    speed: float = 1.0,
    from_s: float = 0.0,
    for_s: float | None = None,
    multiply: float = 1.0,
    chunk: int = CHUNK,
) -> Arrivals:
    """Recorded requests once more, from `from_s` seconds after their start, for `for_s` seconds (None: all).

    The recording starts with the whole second of its first request and ends with that of its last. Times
    that tell the second alone are spread over it: the k requests of a second come at k uniform points of
    it, in the recorded order, which is a Poisson process given its count. `multiply` repeats each request
    so many times, a part of a time by chance; each further copy is made by a visitor of its own (sessions
    are numbered on) and comes at any point of the second. `speed` divides all times. Of requests that lie in a
    file, a block at a time is in memory. ValueError for factors that are not above 0, or if nothing is left.
    """
    if not (0.0 < speed < math.inf and 0.0 < multiply < math.inf):
        raise ValueError(f"speed {speed:g} and multiply {multiply:g} must be above 0")
    if not requests.times_s.size:
        raise ValueError("there are no requests to repeat")
    origin = float(math.floor(requests.times_s[0]))
    last = float(requests.times_s[-1]) - origin
    recorded = math.ceil(last + 1.0) if requests.whole_seconds else math.floor(last) + 1.0
    end = recorded if for_s is None else min(recorded, from_s + for_s)
    if not 0.0 <= from_s < end:
        raise ValueError(f"nothing lies between {from_s:g} s and {end:g} s of {recorded:g} s")
    again = _Again(requests, origin, from_s, end, speed, multiply, stream_key(seed, Stream.SECONDS), chunk)
    return Arrivals((end - from_s) / speed, again.expected(), again.chunks)


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Copies of recorded requests with their times, equal length n."""

    times: NDArray[np.float64]
    record: NDArray[np.int64]
    copy: NDArray[np.int64]

    def __getitem__(self, part: slice) -> _Placed:
        return _Placed(self.times[part], self.record[part], self.copy[part])


@dataclass(frozen=True, slots=True, eq=False)
class _Again:
    """A part of a recording, played once more; times count from the recording's first whole second."""

    requests: Requests
    origin: float
    begin: float
    end: float
    speed: float
    multiply: float
    key: np.uint64
    chunk: int

    def expected(self) -> float:
        """The mean number of arrivals over all seeds."""
        whole = self.requests.whole_seconds
        exact = spread = 0.0
        low, high = self._part()
        for at in range(low, high, _BLOCK):
            times = self._times(at, min(high, at + _BLOCK))
            base = times if whole else np.floor(times)
            spread += float(
                np.clip(np.minimum(base + 1.0, self.end) - np.maximum(base, self.begin), 0.0, 1.0).sum()
            )
            exact += np.count_nonzero((times >= self.begin) & (times < self.end))
            release(self.requests.times_s)
        return (spread if whole else exact) * min(1.0, self.multiply) + spread * max(0.0, self.multiply - 1.0)

    def _part(self) -> tuple[int, int]:
        """The requests that may come within the part: none moves out of [its whole second, its time + 1)."""
        bounds = self.origin + math.floor(self.begin) - 1.0, self.origin + math.ceil(self.end)
        low, high = np.searchsorted(self.requests.times_s, bounds)
        return int(low), int(high)

    def _times(self, low: int, high: int) -> NDArray[np.float64]:
        """The times of the requests low to high - 1."""
        return np.subtract(self.requests.times_s[low:high], self.origin)

    def _after(self, second: float) -> int:
        """The first request that comes no earlier than a second."""
        return int(np.searchsorted(self.requests.times_s, self.origin + second))

    def chunks(self) -> Iterator[Chunk]:
        """Arrivals in order, in chunks of at most `chunk`; of the recording a few seconds at a time."""
        at, high = self._part()
        block = max(1, self.chunk // math.ceil(self.multiply))
        pending = _Placed(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        while at < high:
            second = math.floor(self._time(min(at + block, high) - 1))
            stop = min(high, self._after(second + 1.0))
            placed = _in_order([pending, *self._copies(at, stop)])
            safe = math.floor(self._time(stop)) if stop < high else math.inf
            ready = int(np.searchsorted(placed.times, safe))
            yield from self._cut(placed[:ready])
            pending, at = placed[ready:], stop
            release(self.requests.times_s, self.requests.classes, self.requests.sessions)

    def _time(self, number: int) -> float:
        return float(self.requests.times_s[number]) - self.origin

    def _copies(self, low: int, high: int) -> Iterator[_Placed]:
        """The copies of the requests low to high - 1, which are those of whole seconds."""
        times, whole = self._times(low, high), self.requests.whole_seconds
        aligned = whole and bool((times == np.floor(times)).all())
        full = math.floor(self.multiply)
        for copy in range(math.ceil(self.multiply)):
            kept = np.arange(high - low)
            if copy == full:
                kept = kept[uniforms(self.key, _LAST_COPY, low, high - low) < self.multiply - full]
            placed = times[kept]
            if whole or copy > 0:
                base = placed if whole else np.floor(placed)
                placed = base + uniforms(self.key, copy, low, high - low)[kept]
            if aligned:
                # Sorted within each second and given out in the recorded order.
                placed = np.sort(placed)
            yield _Placed(placed, low + kept, np.full(kept.size, copy, dtype=np.int64))

    def _cut(self, placed: _Placed) -> Iterator[Chunk]:
        low, high = np.searchsorted(placed.times, (self.begin, self.end))
        for first in range(int(low), int(high), self.chunk):
            part = placed[first : min(first + self.chunk, int(high))]
            requests = self.requests
            yield Chunk(
                (part.times - self.begin) / self.speed,
                requests.classes[part.record],
                requests.sessions[part.record] + part.copy * requests.session_count,
                part.record if requests.records is None else requests.records[part.record],
            )


def _in_order(parts: list[_Placed]) -> _Placed:
    """All parts in order of time; at the same time by record, then by copy."""
    times = np.concatenate([part.times for part in parts])
    record = np.concatenate([part.record for part in parts])
    copy = np.concatenate([part.copy for part in parts])
    order = np.lexsort((copy, record, times))
    return _Placed(times[order], record[order], copy[order])
