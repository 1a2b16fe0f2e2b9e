"""A wave as it will be sent: where to, who asks when, for what, and how clients behave; all known before the start."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.model import Traffic
from seawall.load.asked import Ask, Headers
from seawall.load.target import Target
from seawall.traffic.arrivals import CHUNK
from seawall.traffic.workload import Workload

SKIPPED = -1
"""In place of an ask: a recorded request that is not sent again."""
_MOST_BINS = 7200


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """Everything that is decided before the first request.

    `asks` are what the classes ask for, sorted by class; `shares` the classes' weights, for requests that have no
    class of their own. For a recording, `recorded_asks` are what it asks for, each thing once, and `ask_of_record`
    holds for each of its rows the place of its ask in them, or SKIPPED; otherwise it is None.
    """

    name: str
    target: Target
    traffic: Traffic
    workload: Workload
    classes: tuple[str, ...]
    shares: tuple[float, ...]
    asks: tuple[Ask, ...]
    seed: int
    recorded_asks: tuple[Ask, ...] = ()
    ask_of_record: NDArray[np.int32] | None = None
    headers: Headers = ()
    expect_body: bytes = b""
    new_connections: float = 0.0
    """Share of requests that are sent on a connection of their own."""
    cookies: bool = True
    redirects: int = 0
    """So many are followed within a request."""
    connect_timeout: float | None = None
    verify: bool = True
    ca_file: Path | None = None
    part: tuple[int, int] = (1, 1)
    """Which part of how many, from 1."""
    variant: str = ""
    objectives: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def bin_s(self) -> float:
        """Length of a bin: a second, more for very long waves."""
        most = self.workload.end_s / _MOST_BINS
        return float(next((s for s in (1, 2, 5, 10, 30, 60, 300) if s >= most), math.ceil(most)))

    @property
    def sessions(self) -> int:
        """How many visitors a recording has, its copies included; 0 without a recording of requests."""
        recording, recorded = self.workload.recording, self.traffic.recorded
        if self.ask_of_record is None or recording is None or recording.log is None or recorded is None:
            return 0
        return recording.log.sessions * max(1, math.ceil(recorded.multiply))

    @property
    def peak_users(self) -> int:
        """The most users that are connected at once."""
        joins, leaves = np.sort(self.workload.join_s), np.sort(self.workload.leave_s)
        here = np.searchsorted(joins, joins, side="right") - np.searchsorted(leaves, joins, side="right")
        return int(here.max(initial=0))

    def arrivals_peak(self) -> float:
        """The most arrivals in a second, which come whether earlier ones have been answered or not."""
        work = self.workload
        if work.arrivals is None or work.arrivals.duration_s <= 0.0:
            return 0.0
        counts: NDArray[np.int64] = np.zeros(math.ceil(work.arrivals.duration_s) + 1, np.int64)
        for chunk in work.arrivals:
            counts += np.bincount(chunk.times_s.astype(np.int64), minlength=len(counts))
        return float(counts.max()) * work.visits

    def peak_rate(self) -> float:
        """The most requests a second that are to be expected: of arrivals, and of users who wait for nothing."""
        users = self.traffic.users
        rate = self.arrivals_peak()
        if users is not None and len(self.workload.join_s):
            pause = users.think.mean if users.think is not None else users.pace or 0.0
            rate += self.peak_users / max(pause, 1e-3)
        return rate

    def total(self) -> float:
        """About how many requests there will be."""
        work, users = self.workload, self.traffic.users
        total = work.arrivals.expected_count() * work.visits if work.arrivals is not None else 0.0
        if users is not None:
            pause = users.think.mean if users.think is not None else users.pace or 0.0
            total += float((work.leave_s - work.join_s).sum()) / max(pause, 1e-3)
        return total

    def fingerprint(self) -> str:
        """A hash of what is to be sent and when, the same for all parts of one wave."""
        work = self.workload
        digest = hashlib.sha256()
        facts = {
            "traffic": self.traffic.model_dump(mode="json", by_alias=True),
            "seed": self.seed,
            "asks": [
                [a.method, a.path, list(map(list, a.headers)), a.body.hex(), a.cls]
                for a in (*self.asks, *self.recorded_asks)
            ],
            "shares": list(self.shares),
            "parts": self.part[1],
            "target": [self.target.scheme, self.target.host, self.target.port],
        }
        digest.update(json.dumps(facts, sort_keys=True).encode())
        for array in (work.join_s, work.leave_s, work.first_s):
            digest.update(array.tobytes())
        if work.arrivals is not None:
            first = next(iter(work.arrivals), None)
            digest.update(b"" if first is None else first.times_s[:CHUNK].tobytes())
        return digest.hexdigest()[:16]


def ask_numbers(asks: Sequence[Ask], classes: int) -> list[tuple[int, int]]:
    """For each class where its asks begin among `asks` (sorted by class), and how many there are."""
    numbers = [ask.cls for ask in asks]
    return [(numbers.index(c) if c in numbers else 0, numbers.count(c)) for c in range(classes)]
