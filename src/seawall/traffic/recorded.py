"""Recorded traffic of either kind, an access log or a CSV of requests per second, read and made to arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from seawall.fleet.errors import InputError
from seawall.traffic.accesslog import AccessLog, Stamp, looks_like_access_log, read_access_log
from seawall.traffic.arrivals import (
    CHUNK,
    DRAWN,
    Arrivals,
    Requests,
    arrivals_from_load,
    arrivals_from_requests,
)
from seawall.traffic.files import line_blocks
from seawall.traffic.patterns import OTHER, Classifier, compile_patterns
from seawall.traffic.ratecsv import RateRecording, read_rate_csv

Kind = Literal["accesslog", "csv"]

_SNIFFED_LINES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording as read; exactly one of `log` and `rate` is there."""

    source: str
    kind: Kind
    log: AccessLog | None
    rate: RateRecording | None
    classifier: Classifier | None
    """Which class each recorded request belongs to; None where all are drawn by the classes' shares."""

    @property
    def duration_s(self) -> float:
        """Seconds from the whole second of the first record to the end of the last."""
        if self.rate is not None:
            return self.rate.rate.duration_s
        return self.arrivals(0).duration_s

    @property
    def shares(self) -> dict[str, float] | None:
        """Share of the recorded requests by class, or None where the recording does not tell."""
        if self.log is None or self.classifier is None:
            return None
        return self.classifier.shares(self.log)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the recording is taken for traffic, one sentence each."""
        if self.log is None:
            return self.rate.notes if self.rate is not None else ()
        shares = self.shares
        if shares is None or self.classifier is None or OTHER in self.classifier.names or not shares[OTHER]:
            return self.log.notes
        drawn = f"{shares[OTHER]:.1%} of the requests match no class; theirs are drawn by the classes' shares"
        return (*self.log.notes, drawn)

    def arrivals(
        self,
        seed: int,
        *,
        speed: float = 1.0,
        from_s: float = 0.0,
        for_s: float | None = None,
        multiply: float = 1.0,
        chunk: int = CHUNK,
    ) -> Arrivals:
        """Its arrivals: a log's requests as they were, a rate's as a Poisson process.

        `from_s` and `for_s` are on the recording's own clock, before `speed`. Raises InputError if nothing of
        the recording lies there, or for a factor that is not above 0.
        """
        requests = None if self.log is None else _requests(self.log, self.classifier)
        if requests is not None and not requests.times_s.size:
            empty = "none of the log's lines holds a request; give a log of requests that were made"
            raise InputError(empty, file=self.source)
        try:
            if requests is not None:
                return arrivals_from_requests(
                    requests, seed, speed=speed, from_s=from_s, for_s=for_s, multiply=multiply, chunk=chunk
                )
            assert self.rate is not None
            part = self.rate.rate.window(from_s, for_s).faster(speed).multiplied(multiply)
            return arrivals_from_load(part, seed, chunk=chunk)
        except ValueError as error:
            raise InputError(f"{error}; change from, for, speed or multiply", file=self.source) from error


def read_recording(
    path: str | Path,
    kind: Literal["auto", "accesslog", "csv"] = "auto",
    *,
    classes: Mapping[str, Sequence[str]] | None = None,
    stamp: Stamp = "arrival",
    time_column: str | None = None,
    rate_column: str | None = None,
) -> Recording:
    """Read a recording; with kind "auto" its first lines tell what it is.

    `classes` gives each class's patterns in order (patterns.compile_patterns); the class index of an
    arrival is the place in it. Requests that match none go to the class "other" where there is one, and are
    otherwise drawn by the classes' shares, as all are where no class has a pattern. Raises InputError as
    the readers do.
    """
    found = detect_kind(path) if kind == "auto" else kind
    classifier = compile_patterns(classes) if classes and any(classes.values()) else None
    if found == "accesslog":
        return Recording(str(path), found, read_access_log(path, stamp=stamp), None, classifier)
    rate = read_rate_csv(path, time_column=time_column, rate_column=rate_column)
    return Recording(str(path), found, None, rate, None)


def detect_kind(path: str | Path) -> Kind:
    """What a file is, by its first lines; InputError if they are neither, or if it is a pipe."""
    if Path(path).is_fifo():
        raise InputError("what a pipe holds cannot be found out; give kind: accesslog or csv", file=path)
    lines = (line for _, block in line_blocks(path) for line in block.split(b"\n") if line.strip())
    first = list(islice(lines, _SNIFFED_LINES))
    if any(looks_like_access_log(line) for line in first):
        return "accesslog"
    if Path(path).name.removesuffix(".gz").endswith((".csv", ".tsv")):
        return "csv"
    if first and all(line[:1].isascii() and _has_few_words(line) for line in first):
        return "csv"
    raise InputError(
        "this is neither an access log in common or combined format nor a CSV of requests per second; "
        "if it is one, give kind: accesslog or csv, and its damaged lines will be named",
        file=path,
    )


def _has_few_words(line: bytes) -> bool:
    """Whether a line could be a row of numbers or names: printable, and one or more short cells."""
    cells = line.replace(b";", b",").replace(b"\t", b",").split(b",")
    return line.strip().isascii() and all(len(cell.split()) <= 3 for cell in cells)


def _requests(log: AccessLog, classifier: Classifier | None) -> Requests:
    """The lines of a log that hold a request, with their classes."""
    asked = log.method > 0
    if classifier is None:
        classes = np.full(len(log), DRAWN, dtype=np.int32)
    else:
        classes = classifier.classes(log)
        classes[classes == len(classifier.names)] = DRAWN
    return Requests(
        log.t_s[asked],
        classes[asked],
        log.session[asked].astype(np.int64),
        log.sessions,
        log.whole_seconds,
    )
