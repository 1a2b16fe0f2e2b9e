"""Who comes, in recorded requests: visitors, their visits, how many are there at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.counts import Floats

ACTIVE_SECONDS = 60.0
"""A visitor is there for so long after a request."""
VISIT_SECONDS = 1800.0
"""After so long without a request, the next one begins a new visit (the rule of web analytics)."""


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


def visitors(times_s: Floats, session: NDArray[np.integer], stretches: Floats) -> Visitors:
    """Who made the requests at `times_s` (never falling, from the start of the recording, n >= 1).

    `session` is the number of each one's visitor, `stretches` (k, 2) the parts outside holes: nobody is there in
    a hole.
    """
    order = np.argsort(session, kind="stable")
    who, when = session[order], times_s[order]
    first = np.concatenate(([True], who[1:] != who[:-1]))
    gaps = np.where(first, np.inf, np.diff(when, prepend=when[0]))
    visit_begins = np.flatnonzero(gaps > VISIT_SECONDS)
    inside = gaps[gaps <= VISIT_SECONDS]
    begins = np.flatnonzero(gaps > ACTIVE_SECONDS)
    comes = when[begins]
    goes = when[np.append(begins[1:], who.size) - 1] + ACTIVE_SECONDS
    lasts = stretches[np.searchsorted(stretches[:, 0], goes - ACTIVE_SECONDS, side="right") - 1, 1]
    goes = np.minimum(goes, lasts)
    there = float((goes - np.minimum(comes, goes)).sum())
    peak, peak_s = _most(comes, goes)
    counts = np.diff(np.append(np.flatnonzero(first), who.size))
    return Visitors(
        visitors=int(counts.size),
        visits=int(visit_begins.size),
        at_once_mean=there / float((stretches[:, 1] - stretches[:, 0]).sum()),
        at_once_peak=peak,
        at_once_peak_s=peak_s,
        requests_per_visit=who.size / visit_begins.size,
        single_visitors=float(np.mean(counts == 1)),
        between_requests_s=float(np.median(inside)) if inside.size else None,
        largest_share=float(counts.max()) / who.size,
    )


def _most(comes: Floats, goes: Floats) -> tuple[int, float]:
    """The most that are there at once, and since when; who goes as another comes is gone."""
    comes, goes = np.sort(comes), np.sort(goes)
    there = np.arange(1, comes.size + 1) - np.searchsorted(goes, comes, side="right")
    at = int(np.argmax(there))
    return int(there[at]), float(comes[at])
