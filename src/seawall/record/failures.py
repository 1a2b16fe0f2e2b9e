"""Why requests were not answered: counts by kind, and the events that tell when each kind began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.record import words
from seawall.record.record import Event, Record
from seawall.record.vocabulary import FAILURES, PARTS

KIND = "requests-fail"
"""The kind of event that these are."""


def failures(record: Record) -> dict[str, int] | None:
    """How many requests failed in each way, by the names of `vocabulary.FAILURES`; None where none are told apart."""
    totals = record.totals
    if not any(part in totals for parts in PARTS.values() for part in parts):
        return None
    return {name: totals[name] for name in FAILURES if name in totals}


def failure_event(t: float, outcome: str, count: int, target: str = "target") -> Event:
    """The event that says that requests began to end in `outcome` at `t` seconds, `count` of them in all."""
    message = f"{FAILURES[outcome]} ({words.count(count)} in all)"
    return Event(t, KIND, target, message, {"outcome": outcome, "count": count})


def failure_events(series: Mapping[str, NDArray[Any]], target: str = "target") -> list[Event]:
    """One event for each kind of failure among the columns, at the first bin that has one; in the order of time."""
    found = []
    for outcome in FAILURES:
        bins = np.flatnonzero(series.get(outcome, np.zeros(0)))
        if len(bins):
            at = float(series["t"][bins[0]])
            found.append(failure_event(at, outcome, int(series[outcome].sum()), target))
    return sorted(found, key=lambda event: event.t)
