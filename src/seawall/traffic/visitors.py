"""Who comes, in recorded requests: visitors, their visits, how many are there at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.counts import Floats

ACTIVE_SECONDS = 60.0
"""A visitor is there for so long after a request."""
VISIT_SECONDS = 1800.0
"""After so long without a request, the next one begins a new visit (the rule of web analytics)."""
_FINE = 1000.0
"""Times between requests are told to this part of a second."""


@dataclass(frozen=True, slots=True)
class Visitors:
    """Visitors as a log tells them apart; times in seconds."""

    visitors: int
    visits: int
    at_once_mean: float
    """Visitors within ACTIVE_SECONDS of a request of theirs, mean over the time outside holes."""
    at_once_peak: int
    at_once_peak_s: float
    """When they were most, from the start of the recording."""
    requests_per_visit: float
    single_visitors: float
    """Share of the visitors who made one request alone."""
    between_requests_s: float | None
    """Median time between requests of a visit; None where no visit has two."""
    largest_share: float
    """Share of all requests that the busiest visitor made."""


def visitors(
    blocks: Iterable[tuple[Floats, NDArray[np.integer[Any]]]], numbered: int, stretches: Floats
) -> Visitors:
    """Who made the requests, given in blocks of (times, numbers of visitors), shape (n,) each, n >= 1 in all.

    Times never fall, and count from the start of the recording; visitors are numbered below `numbered`;
    `stretches` (k, 2) are the parts outside holes: nobody is there in a hole. Memory is of the order of the visitors
    and of the times that they come.
    """
    seen = _Seen(numbered)
    for times, who in blocks:
        if times.size:
            seen.take(times, who)
    came, went = seen.runs()
    lasts = stretches[np.searchsorted(stretches[:, 0], went, side="right") - 1, 1]
    goes = np.minimum(went + ACTIVE_SECONDS, lasts)
    there = float((goes - came).sum())
    peak, peak_s = _most(came, goes)
    made = seen.made[seen.made > 0]
    total = int(made.sum())
    return Visitors(
        visitors=int(made.size),
        visits=seen.visits,
        at_once_mean=there / float((stretches[:, 1] - stretches[:, 0]).sum()),
        at_once_peak=peak,
        at_once_peak_s=peak_s,
        requests_per_visit=total / seen.visits,
        single_visitors=float(np.mean(made == 1)),
        between_requests_s=_median(seen.gaps),
        largest_share=float(made.max()) / total,
    )


class _Seen:
    """What is known of each visitor, and of the times that they were there, as their requests go by."""

    def __init__(self, numbered: int) -> None:
        self.made = np.zeros(numbered, dtype=np.int64)
        self.latest = np.full(numbered, -np.inf)
        self.gaps = np.zeros(int(VISIT_SECONDS * _FINE) + 1, dtype=np.int64)
        self.visits = 0
        self.came: list[Floats] = []
        self.went: list[Floats] = []

    def take(self, times: Floats, who: NDArray[np.integer[Any]]) -> None:
        """The requests of a block."""
        order = np.argsort(who, kind="stable")
        who, times = who[order], times[order]
        first = np.concatenate(([True], who[1:] != who[:-1]))
        before = np.where(first, self.latest[who], np.concatenate(([-np.inf], times[:-1])))
        gaps = times - before
        inside = gaps[gaps <= VISIT_SECONDS]
        self.gaps += np.bincount(np.rint(inside * _FINE).astype(np.int64), minlength=self.gaps.size)
        self.visits += gaps.size - inside.size
        comes = gaps > ACTIVE_SECONDS
        self.came.append(times[comes])
        left = before[comes]
        self.went.append(left[np.isfinite(left)])
        last = np.append(np.flatnonzero(first)[1:], who.size) - 1
        self.latest[who[last]] = times[last]
        self.made[who[last]] += np.diff(last, prepend=-1)

    def runs(self) -> tuple[Floats, Floats]:
        """When somebody came, and when somebody made the last request of such a time; each in order."""
        went = np.concatenate([*self.went, self.latest[self.made > 0]])
        return np.sort(np.concatenate(self.came)), np.sort(went)


def _median(gaps: NDArray[np.int64]) -> float | None:
    """The median of times of which so many are counted in each part of a second."""
    total = int(gaps.sum())
    if not total:
        return None
    low, high = np.searchsorted(np.cumsum(gaps), ((total - 1) // 2, total // 2), side="right")
    return float(low + high) / 2.0 / _FINE


def _most(comes: Floats, goes: Floats) -> tuple[int, float]:
    """The most that are there at once, and since when; who goes as another comes is gone."""
    there = np.arange(1, comes.size + 1) - np.searchsorted(goes, comes, side="right")
    at = int(np.argmax(there))
    return int(there[at]), float(comes[at])
