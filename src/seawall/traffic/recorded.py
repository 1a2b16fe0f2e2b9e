"""Recorded traffic of either kind, requests or a CSV of requests per second, read and made to arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.traffic.arrivals import (
    CHUNK,
    DRAWN,
    Arrivals,
    Requests,
    arrivals_from_load,
    arrivals_from_requests,
)
from seawall.traffic.files import Paths, blocks_of_lines, first_bytes, opened, recorded_files
from seawall.traffic.logs.lineformat import Stamp
from seawall.traffic.logs.log import RequestLog
from seawall.traffic.logs.read import found_format, read_log
from seawall.traffic.logs.spool import Spool, release
from seawall.traffic.patterns import OTHER, Classifier, compile_patterns
from seawall.traffic.ratecsv import RateRecording, read_rate_csv

Kind = Literal["accesslog", "csv"]

_SNIFFED_LINES = 20
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording as read; exactly one of `log` and `rate` is there."""

    source: str
    kind: Kind
    log: RequestLog | None
    rate: RateRecording | None
    classifier: Classifier | None
    """Which class each recorded request belongs to; None where all are drawn by the classes' shares."""
    _known: dict[str, NDArray[np.int32]] = field(default_factory=dict, init=False, repr=False)

    @property
    def classes(self) -> NDArray[np.int32] | None:
        """The class of each line of the log (Classifier.classes), worked out once; None where nothing tells it."""
        if self.log is None or self.classifier is None:
            return None
        if "classes" not in self._known:
            self._known["classes"] = self.classifier.classes(self.log)
        return self._known["classes"]

    @property
    def duration_s(self) -> float:
        """Seconds from the whole second of the first record to the end of the last."""
        if self.rate is not None:
            return self.rate.rate.duration_s
        return self.arrivals(0).duration_s

    @property
    def shares(self) -> dict[str, float] | None:
        """Share of the recorded requests by class, or None where the recording does not tell."""
        classes = self.classes
        return None if classes is None or self.classifier is None else self.classifier.shares_of(classes)

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
        requests = None if self.log is None else _requests(self.log, self.classifier, self.classes)
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
    path: Paths,
    kind: Literal["auto", "accesslog", "csv"] = "auto",
    *,
    classes: Mapping[str, Sequence[str]] | None = None,
    log_format: str = "auto",
    stamp: Stamp | Literal["auto"] = "auto",
    session: str = "auto",
    time_column: str | None = None,
    rate_column: str | None = None,
) -> Recording:
    """Read a recording from one file, or a log from many (files.recorded_files); with "auto" the first lines tell what.

    `classes` gives each class's patterns in order (patterns.compile_patterns); the class index of an
    arrival is the place in it. Requests that match none go to the class "other" where there is one, and are
    otherwise drawn by the classes' shares, as all are where no class has a pattern. `log_format`, `stamp` and
    `session` are those of logs.read.read_log; "auto" leaves the stamp to the format. Raises InputError as the
    readers do.
    """
    files = recorded_files(path)
    found = kind
    if found == "auto":
        found = detect_kind(files[0]) if log_format == "auto" else "accesslog"
    classifier = compile_patterns(classes) if classes and any(classes.values()) else None
    if found == "accesslog":
        log = read_log(
            files, log_format=log_format, stamp=None if stamp == "auto" else stamp, session=session
        )
        return Recording(log.source, "accesslog", log, None, classifier)
    if len(files) > 1:
        raise InputError(
            "this is no access log of a known format, and a CSV of requests per second is read alone; "
            "give one file, or the format of the logs",
            file=files[0],
        )
    rate = read_rate_csv(files[0], time_column=time_column, rate_column=rate_column)
    return Recording(str(files[0]), "csv", None, rate, None)


def detect_kind(path: str | Path) -> Kind:
    """What a file is, by its first lines; InputError if they are neither, or if it is a pipe."""
    if Path(path).is_fifo():
        raise InputError("what a pipe holds cannot be found out; give kind: accesslog or csv", file=path)
    with opened(path) as stream:
        if found_format(first_bytes(stream, path)) is not None:
            return "accesslog"
        lines = (
            line for _, block in blocks_of_lines(stream, path) for line in block.split(b"\n") if line.strip()
        )
        first = list(islice(lines, _SNIFFED_LINES))
    if found_format(b"\n".join(first)) is not None:
        return "accesslog"
    if Path(path).name.removesuffix(".gz").endswith((".csv", ".tsv")):
        return "csv"
    has_figures = bool(first) and any(48 <= byte <= 57 for byte in first[-1])
    if has_figures and all(line[:1].isascii() and _has_few_words(line) for line in first):
        return "csv"
    raise InputError(
        "this is neither an access log of a known format nor a CSV of requests per second; if it is one, "
        "give kind: accesslog or csv, and its damaged lines will be named; "
        "or give the format of the log as its server's configuration has it",
        file=path,
    )


def _has_few_words(line: bytes) -> bool:
    """Whether a line could be a row of numbers or names: printable, and one or more short cells."""
    cells = line.replace(b";", b",").replace(b"\t", b",").split(b",")
    return line.strip().isascii() and all(len(cell.split()) <= 3 for cell in cells)


def _requests(log: RequestLog, classifier: Classifier | None, found: NDArray[np.int32] | None) -> Requests:
    """The lines of a log that hold a request, with the classes that were found; columns in a file stay there."""
    classes = np.broadcast_to(np.int32(DRAWN), (len(log),)) if found is None else found
    drawn = None if classifier is None else len(classifier.names)
    if drawn is None and not log.without_request:
        return Requests(log.t_s, classes, log.session, log.sessions, log.whole_seconds)
    kept = {
        "t_s": Spool(np.float64),
        "classes": Spool(np.int32),
        "session": Spool(np.int32),
        "rows": Spool(np.int64),
    }
    for begin in range(0, len(log), _BLOCK):
        part = slice(begin, begin + _BLOCK)
        asked = np.flatnonzero(log.method[part] > 0)
        of_part = classes[part][asked]
        kept["t_s"].append(log.t_s[part][asked])
        kept["classes"].append(np.where(of_part == drawn, DRAWN, of_part))
        kept["session"].append(log.session[part][asked])
        kept["rows"].append(asked + begin)
        release(log.t_s, log.method, log.session, classes)
    t_s, numbers, sessions, places = (spool.finished() for spool in kept.values())
    return Requests(t_s, numbers, sessions, log.sessions, log.whole_seconds, places)
