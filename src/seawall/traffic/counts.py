"""Recorded requests counted in steps of time: their rate, their busiest part, how evenly they come."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seawall.traffic.curve import StepRate

Floats = NDArray[np.float64]

HOLE_DISTANCES = 100.0
"""By chance alone, no silence lasts so many mean distances between requests."""
HOLE_USUAL = 20.0
"""Nor is a silence remarkable that is not so many times as long as what nine in ten others are."""
HOLE_SECONDS = 60.0
"""A shorter silence is never called a hole."""
ROUND_SECONDS = tuple(
    float(s)
    for s in (
        *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800),
        *(3600 * h for h in (1, 2, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24)),
    )
)
"""Lengths of time that people count in, in seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """How many requests came in each step that has any, in seconds from the start of the recording.

    `starts`, `ends` and `requests` are of equal length n >= 1; steps rise and do not overlap, and between them
    nothing came. `stretches`, shape (k, 2), are the parts of the recording outside its holes. `step_s` is the
    usual length of a step, `origin` the start in seconds since 1970 (None where that is not known).
    """

    starts: Floats
    ends: Floats
    requests: Floats
    stretches: Floats
    step_s: float
    even: bool
    """Whether all steps are equally long."""
    origin: float | None
    _edges: Floats = field(init=False, repr=False)
    _area: Floats = field(init=False, repr=False)
    _known: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        area = np.cumsum(self.requests)
        lasted = np.cumsum(self.stretches[:, 1] - self.stretches[:, 0])
        object.__setattr__(self, "_edges", np.column_stack((self.starts, self.ends)).ravel())
        object.__setattr__(self, "_area", np.column_stack((area - self.requests, area)).ravel())
        before = lasted - (self.stretches[:, 1] - self.stretches[:, 0])
        object.__setattr__(self, "_known", np.column_stack((before, lasted)).ravel())

    @property
    def duration_s(self) -> float:
        """Seconds from the start of the recording to its end."""
        return float(self.stretches[-1, 1])

    @property
    def recorded_s(self) -> float:
        """Seconds outside the holes."""
        return float(self._known[-1])

    @property
    def total(self) -> float:
        """All requests."""
        return float(self._area[-1])

    @property
    def rates(self) -> Floats:
        """Requests per second in each step that has any, shape (n,)."""
        return np.asarray(self.requests / (self.ends - self.starts))

    @property
    def holes(self) -> Floats:
        """The length of each hole in seconds, in their order."""
        return np.asarray(self.stretches[1:, 0] - self.stretches[:-1, 1])

    def area(self, t: ArrayLike) -> Floats:
        """Requests up to each time of `t`; within a step they are taken to come evenly."""
        return np.asarray(np.interp(np.asarray(t, dtype=np.float64), self._edges, self._area))

    def recorded(self, t: ArrayLike) -> Floats:
        """Seconds outside the holes up to each time of `t`."""
        return np.asarray(np.interp(np.asarray(t, dtype=np.float64), self.stretches.ravel(), self._known))

    def mean_rates(self, edges: Floats) -> Floats:
        """Requests per second between `edges`, over the time outside holes; NaN where that is under half."""
        known = np.diff(self.recorded(edges))
        rates = np.full(known.size, np.nan)
        np.divide(np.diff(self.area(edges)), known, out=rates, where=known >= 0.5 * np.diff(edges))
        return rates

    def busiest(self, seconds: float) -> tuple[float, float]:
        """Where the part of so many seconds with the most requests begins, and how many it holds."""
        last = self.duration_s - seconds
        if last <= 0.0:
            return 0.0, self.total
        begins = np.clip(np.concatenate((self.starts, self.ends - seconds)), 0.0, last)
        held = self.area(begins + seconds) - self.area(begins)
        best = int(np.argmax(held))
        return float(begins[best]), float(held[best])

    def quantile(self, share: float) -> float:
        """The rate that is not exceeded for `share` of the time outside holes, in requests/s."""
        order = np.argsort(self.rates, kind="stable")
        widths = (self.ends - self.starts)[order]
        idle = max(0.0, self.recorded_s - float(widths.sum()))
        lasted = idle + np.cumsum(widths)
        at = int(np.searchsorted(lasted, share * self.recorded_s * (1.0 - 1e-12)))
        below = share * self.recorded_s <= idle > 0.0
        return 0.0 if below else float(self.rates[order][min(at, order.size - 1)])

    def dispersion(self) -> float | None:
        """Variance of the counts of a step over their mean, outside holes: 1 for a Poisson process.

        None where steps differ in length or there are fewer than two.
        """
        steps = self.recorded_s / self.step_s
        if not self.even or steps < 2.0:
            return None
        mean = self.total / steps
        spread = float(np.square(self.requests).sum()) - steps * mean * mean
        return spread / (steps - 1.0) / mean if mean > 0.0 else None

    def dispersion_within(self, seconds: float) -> float | None:
        """The same against the mean of each `seconds` alone: what is left when slow changes are taken out.

        None where so many seconds hold fewer than ten steps or the recording is not three times as long.
        """
        if not self.even or seconds < 10.0 * self.step_s or self.recorded_s < 3.0 * seconds:
            return None
        phase = (self.origin or 0.0) % seconds
        spans = (self.stretches + phase) / seconds
        groups = float((np.ceil(spans[:, 1]) - np.floor(spans[:, 0])).sum())
        group = np.floor((self.starts + phase) / seconds)
        first = np.concatenate(([0], np.flatnonzero(np.diff(group)) + 1))
        begins = group[first] * seconds - phase
        steps = (self.recorded(begins + seconds) - self.recorded(begins)) / self.step_s
        sums = np.add.reduceat(self.requests, first)
        spread = float(np.square(self.requests).sum() - (np.square(sums) / np.maximum(steps, 1.0)).sum())
        freedom = self.recorded_s / self.step_s - groups
        mean = self.total * self.step_s / self.recorded_s
        return spread / freedom / mean if freedom > 0.0 and mean > 0.0 else None


def counts_of_times(blocks: Iterable[Floats]) -> Counts:
    """Counts by the second of requests, their times in blocks: seconds since 1970 that never fall, at least one.

    The recording lasts from the whole second of the first request to the end of that of the last, as it does
    when it is replayed. A silence is a hole if it is longer than HOLE_DISTANCES mean distances between
    requests, than HOLE_USUAL times what nine in ten silences last, and than HOLE_SECONDS.
    """
    found, numbers = [np.empty(0)], [np.empty(0)]
    for block in blocks:
        seconds = np.floor(block)
        if not seconds.size:
            continue
        first = np.concatenate(([0], np.flatnonzero(np.diff(seconds)) + 1))
        counts = np.diff(np.append(first, seconds.size)).astype(np.float64)
        if found[-1].size and found[-1][-1] == seconds[0]:
            numbers[-1][-1] += counts[0]
            first, counts = first[1:], counts[1:]
        if first.size:
            found.append(seconds[first])
            numbers.append(counts)
    whole, requests = np.concatenate(found), np.concatenate(numbers)
    starts = whole - whole[0]
    duration = float(starts[-1]) + 1.0
    gaps = np.diff(starts)
    usual = float(np.quantile(gaps, 0.9)) if gaps.size else 0.0
    least = max(HOLE_SECONDS, HOLE_DISTANCES * duration / float(requests.sum()), HOLE_USUAL * usual)
    broken = np.flatnonzero(gaps - 1.0 > least)
    begins = np.concatenate(([0.0], starts[broken + 1]))
    ends = np.append(starts[broken] + 1.0, duration)
    stretches = np.column_stack((begins, ends))
    return Counts(starts, starts + 1.0, requests, stretches, 1.0, True, float(whole[0]))


def counts_of_rate(rate: StepRate, step_s: float, origin: float | None) -> Counts:
    """Counts of a recorded rate, which has no holes; `step_s` is the usual length of its steps."""
    widths = np.diff(rate.times_s)
    # The first step stays even where nothing came in it: an empty recording has a step, too.
    kept = rate.rates > 0.0
    kept[0] = True
    return Counts(
        rate.times_s[:-1][kept],
        rate.times_s[1:][kept],
        (rate.rates * widths)[kept],
        np.array([[0.0, rate.duration_s]]),
        step_s,
        bool((np.abs(widths - step_s) <= 1e-6 * step_s).all()),
        origin,
    )


def round_step(least: float) -> float:
    """The shortest of ROUND_SECONDS that is at least so long; beyond them, whole numbers of the longest."""
    longest = ROUND_SECONDS[-1]
    found = (s for s in ROUND_SECONDS if s >= least * (1.0 - 1e-9))
    return next(found, longest * math.ceil(least / longest))
