"""From the lines of a Locust to a wave's counters: by bin, by class of request, with their histograms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seawall.load.tally import Tally
from seawall.record.histogram import BUCKETS, bucket_edges

MOST_CLASSES = 100
"""So many names of requests are told apart; the rest goes together."""
OTHER, UNFINISHED = "(others)", "(unfinished)"
"""Classes of the requests beyond MOST_CLASSES names, and of those that have not ended: Locust names them at the end."""

KINDS: dict[str, str] = {
    "answered": "answered",
    "answered_4xx": "answered",
    "failed_5xx": "failed",
    "failed_reset": "failed",
    "failed_body": "failed",
    "failed_protocol": "failed",
    "timed_out_connect": "timed_out",
    "timed_out_read": "timed_out",
    "refused": "refused",
}
"""The outcome that each kind of end belongs to."""

Floats = NDArray[np.float64]

_EDGES = bucket_edges()
_OUTCOMES = ("answered", "failed", "timed_out", "refused", "shed", "under_way")


class Counts:
    """What one Locust has told, in `tally`; `complete` once it has told its end.

    Lateness: a request that began between two looks at the loop counts as late as the loop was at the second one.
    """

    def __init__(self, bins: int, bin_s: float) -> None:
        self.tally = Tally.shared(bins, 1)
        self.complete = False
        self._bin_s = bin_s
        self._users = 0
        self._waiting = np.empty(0)
        self._classes: dict[str, dict[str, int]] = {}

    def take(self, lines: Sequence[bytes]) -> Iterator[tuple[str, str]]:
        """Count lines, all of them whole; those that are no counts come back as word and rest."""
        begun: list[float] = []
        taken_back: list[float] = []
        ended: list[tuple[float, float, str]] = []
        looks: list[tuple[float, float]] = []
        others: list[tuple[str, str]] = []
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition("\t")
            if word == "S":
                begun.append(float(rest))
            elif word == "R":
                t, told, ms, kind, name = rest.split("\t")
                ended.append((float(t), float(ms) / 1e3, kind))
                if told == "0":
                    begun.append(float(t))
                self._of_class(name)[KINDS[kind]] += 1
            elif word == "L":
                t, _, late = rest.partition("\t")
                looks.append((float(t), float(late)))
            elif word == "X":
                taken_back.append(float(rest))
            elif word == "U":
                self._count_users(*rest.split("\t"))
            elif word == "end":
                self._end(*rest.split("\t"))
            else:
                others.append((word, rest))
        self._begin(np.array(begun), np.array(taken_back))
        self._finish_some(ended)
        self._count_lateness(looks)
        return iter(others)

    def finish(self) -> Tally:
        """All of it, when no more lines come."""
        status = self.tally.status[0]
        bins = self.tally.bins
        status["live"] = bins["sent"].sum() - bins["answered_at"].sum() - bins["failed_at"].sum()
        status["sent"] = bins["sent"].sum()
        if status["ended_s"] == 0.0:
            some = np.flatnonzero(bins["sent"] + bins["answered_at"] + bins["failed_at"])
            status["ended_s"] = (int(some[-1]) + 1) * self._bin_s if len(some) else 0.0
        return self.tally

    def classes(self) -> dict[str, dict[str, int]]:
        """Totals by name of the request."""
        found = {name: {"sent": sum(counted.values()), **counted} for name, counted in self._classes.items()}
        live = int(self.tally.status["live"][0])
        if live:
            found[UNFINISHED] = {"sent": live, **dict.fromkeys(_OUTCOMES, 0), "under_way": live}
        return found

    def _of_class(self, name: str) -> dict[str, int]:
        if name not in self._classes and len(self._classes) >= MOST_CLASSES:
            name = OTHER
        return self._classes.setdefault(name, dict.fromkeys(_OUTCOMES, 0))

    def _bins(self, times: Floats) -> NDArray[np.int64]:
        last = len(self.tally.bins) - 1
        return np.clip((times / self._bin_s).astype(np.int64), 0, last)

    def _add(self, name: str, times: Floats, sign: int = 1) -> None:
        if len(times):
            counts = np.bincount(self._bins(times), minlength=len(self.tally.bins))
            self.tally.bins[name] += sign * counts

    def _begin(self, begun: Floats, taken_back: Floats) -> None:
        for name in ("sent", "attempts"):
            self._add(name, begun)
            self._add(name, taken_back, -1)
        kept = begun
        if len(taken_back):
            kept = np.setdiff1d(begun, taken_back)
            self._waiting = np.setdiff1d(self._waiting, taken_back)
        self._waiting = np.concatenate([self._waiting, kept])

    def _finish_some(self, ended: Sequence[tuple[float, float, str]]) -> None:
        for kind in {kind for _, _, kind in ended}:
            began, took = np.array([(t, s) for t, s, k in ended if k == kind]).T
            self._add(KINDS[kind], began)
            if kind != KINDS[kind]:
                self._add(kind, began)
            self._add("answered_at" if KINDS[kind] == "answered" else "failed_at", began + took)
            if KINDS[kind] == "answered":
                self._add_to("latency", began, took)
                np.add.at(self.tally.bins["latency_s"], self._bins(began), took)

    def _add_to(self, histogram: str, times: Floats, seconds: Floats) -> None:
        buckets = np.clip(np.searchsorted(_EDGES, seconds, side="right") - 1, 0, BUCKETS - 1)
        np.add.at(self.tally.histograms[histogram], (self._bins(times), buckets), 1)

    def _count_lateness(self, looks: Sequence[tuple[float, float]]) -> None:
        if not looks or not len(self._waiting):
            return
        at, late = np.array(looks).T
        place = np.searchsorted(at, self._waiting)
        seen = place < len(at)
        self._add_to("lateness", self._waiting[seen], late[place[seen]])
        self._waiting = self._waiting[~seen]

    def _count_users(self, t: str, users: str) -> None:
        change = int(users) - self._users
        self._users += change
        self._add("joined" if change > 0 else "left", np.full(abs(change), float(t)))

    def _end(self, t: str, cpu_s: str) -> None:
        self.tally.status["ended_s"], self.tally.status["cpu_s"] = float(t), float(cpu_s)
        self.complete = True
