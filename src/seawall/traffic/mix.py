"""What was asked for in recorded requests, by class, and how it was answered; nothing of a path that is private."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.logs.log import RequestLog
from seawall.traffic.logs.spool import release
from seawall.traffic.patterns import OTHER, ProposedClass, compile_patterns, propose_classes

LEFT_OUT = "*"
"""Stands in a path for what is not to be shown; patterns made of such a path match the path itself."""
BLOCK = 1 << 18
LOOKED_AT = 200_000
"""Sizes and durations of a long log are told by so many of its requests, evenly spread."""
_STATUSES = 1000

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class ClassMix:
    """One class of requests; shares are of its own requests but for `share`, of all."""

    name: str
    patterns: tuple[str, ...]
    share: float
    method: str
    """The method of most of them."""
    example: str
    """Their most frequent path, without its query; empty for what is left over."""
    answered_4xx: float
    answered_5xx: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and percentiles."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Mix:
    """What was asked for and how it was answered; shares are of all requests."""

    classes: tuple[ClassMix, ...]
    """In the order in which their patterns are to be tried; what is left over, without patterns, comes last."""
    methods: dict[str, float]
    statuses: dict[int, float]
    """By status, 0 for none; the most frequent first."""
    size_bytes: Spread
    duration_s: Spread | None
    """How long requests took, of those whose duration is known; None where none is."""


def presentable(log: RequestLog, redact: Sequence[re.Pattern[str]] = ()) -> RequestLog:
    """The log with LEFT_OUT in its paths for what `redact` matches and for what cannot be printed, as blanks."""
    return replace(log, paths=_Shown(log.paths, redact))


class _Shown(Sequence[str]):
    """Paths as they may be shown, each made when it is asked for."""

    def __init__(self, paths: Sequence[str], redact: Sequence[re.Pattern[str]]) -> None:
        self._paths, self._redact = paths, redact

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        path = self._paths[index]
        if not path.isprintable() or " " in path:
            path = "".join(c if c.isprintable() and c != " " else LEFT_OUT for c in path)
        for pattern in self._redact:
            path = pattern.sub(LEFT_OUT, path)
        return path


def blocks(log: RequestLog, *columns: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Columns of a log (or as long as it) block by block, without the lines that hold no request."""
    for begin in range(0, len(log), BLOCK):
        part = slice(begin, begin + BLOCK)
        asked = log.method[part] > 0
        yield tuple(column[part][asked] for column in columns)
        release(log.method, *columns)


def mix(log: RequestLog) -> Mix:
    """The mix of a log with at least one request; classes are those that are proposed for it."""
    proposed = propose_classes(log)
    classes = compile_patterns({c.name: c.patterns for c in proposed}).classes(log)
    named = [*proposed, ProposedClass(OTHER, (), 0.0, "")]
    methods = len(log.methods)
    by_method = np.zeros(len(named) * methods, dtype=np.int64)
    by_status = np.zeros(len(named) * _STATUSES, dtype=np.int64)
    for of_class, method, status in blocks(log, classes, log.method, log.status):
        wide = of_class.astype(np.int64)
        by_method += np.bincount(wide * methods + method, minlength=by_method.size)
        known = np.clip(status, 0, _STATUSES - 1)
        by_status += np.bincount(wide * _STATUSES + known, minlength=by_status.size)
    return Mix(
        classes=_classes(
            named, log.methods, by_method.reshape(-1, methods), by_status.reshape(-1, _STATUSES)
        ),
        methods=_shares(by_method.reshape(-1, methods).sum(axis=0), log.methods),
        statuses=_shares(by_status.reshape(-1, _STATUSES).sum(axis=0), range(_STATUSES)),
        size_bytes=_spread(_some(log, log.size_bytes)),
        duration_s=_durations(_some(log, log.duration_s)),
    )


def _classes(
    named: Sequence[ProposedClass],
    methods: Sequence[str],
    by_method: NDArray[np.int64],
    by_status: NDArray[np.int64],
) -> tuple[ClassMix, ...]:
    """The classes that have requests; the counts are by class in rows."""
    total = int(by_method.sum())
    found = []
    for c, asked, answered in zip(named, by_method, by_status, strict=True):
        requests = int(asked.sum())
        if requests:
            shares = [float(answered[first : first + 100].sum()) / requests for first in (400, 500)]
            method = methods[int(np.argmax(asked))]
            found.append(ClassMix(c.name, c.patterns, requests / total, method, c.example, *shares))
    return tuple(found)


def _shares(counts: NDArray[np.int64], keys: Sequence[Key]) -> dict[Key, float]:
    """The share of each key that has any, the largest first."""
    order = np.argsort(-counts, kind="stable").tolist()
    total = int(counts.sum())
    return {keys[i]: int(counts[i]) / total for i in order if counts[i]}


def _some(log: RequestLog, column: NDArray[Any]) -> NDArray[np.float64]:
    """A column's values of requests, of at most twice LOOKED_AT evenly spread rows."""
    every = max(1, len(log) // LOOKED_AT)
    values = column[::every][log.method[::every] > 0].astype(np.float64)
    release(column, log.method)
    return np.asarray(values if values.size else column[log.method > 0], dtype=np.float64)


def _spread(values: NDArray[np.float64]) -> Spread:
    p50, p95, p99 = np.quantile(values, [0.5, 0.95, 0.99]).tolist()
    return Spread(float(values.mean()), p50, p95, p99)


def _durations(values: NDArray[np.float64]) -> Spread | None:
    known = values[np.isfinite(values)]
    return _spread(known) if known.size else None
