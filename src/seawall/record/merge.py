"""One record from those of a wave's parts, exactly: counts and histograms are added, nothing is averaged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.fleet.units import shown
from seawall.record import clocks, failures, words
from seawall.record.conservation import check_conservation
from seawall.record.generator import lateness_by_bin, lateness_ms, limit_s, void
from seawall.record.histogram import BUCKETS
from seawall.record.record import Event, Record, Wallclock
from seawall.record.vocabulary import COLUMNS, FAILURES, KINDS, TOTALS, By

_GRAIN = 2.0**-30
"""Sums of latencies are taken to this many seconds (a nanosecond): so their sum is the same in any order."""
_STATES = ("users", "under_way")
"""States of the clients, which add up; states of a server would be counted once by every part."""
_OWN = (
    "version", "objectives", "void", "warnings", "duration_s", "traffic_s", "interrupted_s", "wave", "generator",
)  # fmt: skip
"""What a part's description says of itself: kept by part, and worked out anew for the whole."""
_PART_OF_A_NAME = re.compile(r"(^|-)part-\d+-of-\d+$")

Facts = dict[int, dict[str, Any]]
"""By number of the part."""


@dataclass(frozen=True, slots=True)
class Part:
    """The record of a part, or of several that were merged before; `source` is its folder, for messages."""

    record: Record
    wallclock: Wallclock | None = None
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The record of a whole wave, its facts of the wall clock, and what they say of the parts' clocks."""

    record: Record
    wallclock: Wallclock
    clocks: tuple[str, ...]
    """Sentences for people; they are among the wall clock's facts as figures (`clocks`)."""


def merge(parts: Iterable[Part], *, allow_missing: bool = False, asked_p99_s: Sequence[float] = ()) -> Merged:
    """One record from those of a wave's parts, taken one after the other and never held all at once.

    The same in any order and any grouping. InputError where they are not parts of one wave, where one comes
    twice, or where one is missing and `allow_missing` is not set: then the record has a warning instead.
    `asked_p99_s` are bounds on the p99 that the parts did not know of, in seconds: the generators' lateness is
    held to them too.
    """
    whole: _Whole | None = None
    for part in parts:
        _check(part)
        if whole is None:
            whole = _Whole(part)
        else:
            whole.add(part)
    if whole is None:
        raise InputError("there is nothing to merge; name the folders of a wave's parts")
    missing = [i for i in range(1, whole.of + 1) if i not in whole.facts]
    if missing and not allow_missing:
        named = _parts_named(missing)
        raise InputError(
            f"{named} of {whole.of} {'is' if len(missing) == 1 else 'are'} missing; name their folders too, or "
            "write --allow-missing to judge what the others sent"
        )
    return whole.merged(missing, limit_s(asked_p99_s) * 1e3)


def _check(part: Part) -> None:
    """Raise InputError unless this is a sound record of a wave's part, of nothing that cannot be added."""
    record, source = part.record, part.source
    described = record.description
    if described.get("world") != "wave" or not described.get("schedule"):
        what = described.get("world") or "unknown"
        raise InputError(f"not a part of a wave, but a record of the world {what!r}", file=source)
    own = [name for name in record.series if name not in _STATES and COLUMNS[name].by in (By.STATE, By.MEAN)]
    other = [*(name for name in own if name != "t"), *record.extra]
    if other:
        raise InputError(f"{other[0]} belongs to no part of a wave, and cannot be added up", file=source)
    broken = check_conservation(record)
    if broken:
        raise InputError(f"damaged record, its counts do not add up: {broken[0]}", file=source)


def _numbers(part: Part) -> tuple[Facts, int]:
    """What is known of each part in a record, and how many parts the wave has."""
    described = part.record.description
    try:
        if described.get("merged"):
            merged = described["merged"]
            return {int(i): dict(facts) for i, facts in merged["parts"].items()}, int(merged["of"])
        number, of = map(int, described.get("part") or (1, 1))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "damaged record: it does not say which part of the wave it is", file=part.source
        ) from error
    if not 1 <= number <= of:
        raise InputError(f"damaged record: there is no part {number} of {of}", file=part.source)
    return {number: {key: described[key] for key in _OWN if key in described}}, of


class _Whole:
    """What has been added up so far."""

    def __init__(self, first: Part) -> None:
        record = first.record
        self.facts, self.of = _numbers(first)
        self._sources = dict.fromkeys(self.facts, first.source)
        self._wallclocks = clocks.by_part(first.wallclock, self.facts)
        self._base = record.description
        self._series = {name: values.copy() for name, values in record.series.items()}
        self._latency = record.latency.copy()
        self._latency_sum_s = _grained(record.latency_sum_s)
        self._histograms = {name: counts.copy() for name, counts in record.histograms.items()}
        self._totals = dict(record.totals)
        self._per_class = {name: dict(totals) for name, totals in record.per_class.items()}
        self._events = list(record.events)

    def add(self, part: Part) -> None:
        record = part.record
        facts = self._same_wave(part)
        if min(facts) < min(self.facts):
            self._base = record.description
        self.facts |= facts
        self._sources |= dict.fromkeys(facts, part.source)
        self._wallclocks |= clocks.by_part(part.wallclock, facts)
        bins = max(len(self._series["t"]), record.bins)
        self._series = _sum_of_series(self._series, record.series, bins)
        self._latency = _sum_of_rows(self._latency, record.latency, bins)
        self._latency_sum_s = _sum_of_rows(self._latency_sum_s, _grained(record.latency_sum_s), bins)
        for name in self._histograms.keys() | record.histograms.keys():
            nothing = np.zeros((0, BUCKETS), np.uint32)
            one, other = (found.get(name, nothing) for found in (self._histograms, record.histograms))
            self._histograms[name] = _sum_of_rows(one, other, bins)
        self._totals = _sum_of_counts(self._totals, record.totals)
        for name, totals in record.per_class.items():
            self._per_class[name] = _sum_of_counts(self._per_class.get(name, {}), totals)
        self._events += record.events

    def _same_wave(self, part: Part) -> Facts:
        """What the next part says of itself; InputError where it does not belong to those before."""
        facts, of = _numbers(part)
        other, source = part.record.description, part.source
        first = next(iter(self._sources.values())) or "the first"
        for key in ("schedule", "seed", "bin_seconds"):
            if other.get(key) != self._base.get(key):
                mine, theirs = shown(self._base.get(key)), shown(other.get(key))
                raise InputError(
                    f"part of another wave: its {key} is {theirs}, that of {first} is {mine}", file=source
                )
        if of != self.of:
            raise InputError(f"one of {of} parts, but {first} is one of {self.of}", file=source)
        twice = sorted(facts.keys() & self.facts.keys())
        if twice:
            before = self._sources[twice[0]] or "another record"
            raise InputError(f"part {twice[0]} of {of} comes twice: it is in {before} too", file=source)
        return facts

    def merged(self, missing: list[int], limit_ms: float) -> Merged:
        facts = dict(sorted(self.facts.items()))
        series = {name: self._series[name] for name in COLUMNS if name in self._series}
        histograms = dict(sorted(self._histograms.items()))
        if "lateness" in histograms:
            series["lateness_p99_ms"] = lateness_by_bin(histograms["lateness"])
        timing = clocks.compare(self._wallclocks)
        warnings = [*_missing(missing, self.of), *_warnings(facts), *timing.warnings]
        record = Record(
            description=_description(self._base, facts, self.of, warnings),
            series=series,
            events=tuple(_events(self._events)),
            latency=self._latency,
            latency_sum_s=self._latency_sum_s,
            totals=_in_order(self._totals),
            per_class={name: _in_order(totals) for name, totals in sorted(self._per_class.items())},
            histograms=histograms,
        )
        record.description.update(_generator(record, facts, limit_ms))
        wallclock = clocks.wallclock(self._wallclocks, timing, self._totals.get("attempts", 0))
        return Merged(record, wallclock, timing.said)


# ------------------------------------------------------------------------------------------- adding


def _grained(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.rint(seconds / _GRAIN) * _GRAIN)


def _padded(values: NDArray[Any], bins: int, *, last: bool = False) -> NDArray[Any]:
    """Values of `bins` rows: what comes after their end is 0, or what they were in the end."""
    if len(values) == bins:
        return values
    padded = np.zeros((bins, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    if last and len(values):
        padded[len(values) :] = values[-1]
    return padded


def _sum_of_rows(one: NDArray[Any], other: NDArray[Any], bins: int) -> NDArray[Any]:
    """The sum of two arrays by their first dimension, of which either may be the longer one; added to `one`."""
    total = _padded(one, bins)
    total[: len(other)] += other
    return total


def _sum_of_series(
    one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], bins: int
) -> dict[str, NDArray[Any]]:
    """Counts and the clients' states add up; of a percentile the higher one stands until it is worked out anew."""
    total: dict[str, NDArray[Any]] = {"t": one["t"] if len(one["t"]) == bins else other["t"]}
    for name in one.keys() | other.keys():
        if name == "t":
            continue
        both = [
            _padded(found[name], bins, last=COLUMNS[name].by is By.STATE)
            for found in (one, other)
            if name in found
        ]
        if len(both) == 1:
            total[name] = both[0]
        else:
            total[name] = both[0] + both[1] if COLUMNS[name].whole else np.maximum(*both)
    return total


def _sum_of_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in one.keys() | other.keys()}


def _in_order(totals: Mapping[str, int]) -> dict[str, int]:
    return {name: totals[name] for name in TOTALS if name in totals}


def _events(events: Iterable[Event]) -> Iterator[Event]:
    """All parts' events in the order of time, what they all say alike once; a kind of failure begins once."""
    first: dict[str, Event] = {}
    found: dict[str, Event] = {}
    for event in events:
        outcome = event.data.get("outcome")
        if event.kind != failures.KIND or outcome not in FAILURES:
            found[_text(event)] = event
            continue
        before = first.get(outcome)
        earliest = event if before is None else min(before, event, key=lambda e: (e.t, e.object))
        count = event.data.get("count", 1) + (0 if before is None else before.data.get("count", 1))
        first[outcome] = failures.failure_event(earliest.t, outcome, count, earliest.object)
    kinds = list(KINDS)
    everything = (*found.values(), *first.values())
    yield from sorted(everything, key=lambda event: (event.t, kinds.index(event.kind), _text(event)))


def _text(event: Event) -> str:
    return json.dumps(event.as_json(), sort_keys=True)


# ----------------------------------------------------------------------------------- describing the whole


def _description(base: Mapping[str, Any], facts: Facts, of: int, warnings: list[str]) -> dict[str, Any]:
    """What the parts have in common, and of what is their own the whole's."""
    described = {key: value for key, value in base.items() if key not in ("part", "merged")}
    versions = sorted({str(own["version"]) for own in facts.values() if "version" in own})
    if versions:
        described["version"] = " / ".join(versions)
    described["variant"] = _PART_OF_A_NAME.sub("", str(base.get("variant") or "")) or "wave"
    described["warnings"] = warnings
    for key in ("duration_s", "traffic_s"):
        known = _known(facts, key)
        if known:
            described[key] = max(known)
    interrupted = _known(facts, "interrupted_s")
    described["interrupted_s"] = min(interrupted) if interrupted else None
    waves = _known(facts, "wave")
    described["wave"] = [min(w[0] for w in waves), max(w[1] for w in waves)] if waves else None
    described["merged"] = {"of": of, "parts": {str(i): own for i, own in facts.items()}}
    return described


def _known(facts: Facts, key: str) -> list[Any]:
    return [own[key] for own in facts.values() if own.get(key) is not None]


def _generator(record: Record, facts: Facts, limit_ms: float) -> dict[str, Any]:
    """`generator` and `void` of the whole: the lateness of all requests together, held to the strictest limit."""
    told = _known(facts, "generator")
    keys = dict.fromkeys(key for own in told for key in own)
    whole = {key: _of_generators(key, [own[key] for own in told if own.get(key) is not None]) for key in keys}
    reasons = _known(facts, "void")
    reason = reasons[0] if reasons else None
    if "lateness" in record.histograms:
        whole |= {
            "lateness_p50_ms": lateness_ms(record, 0.50),
            "lateness_p99_ms": lateness_ms(record, 0.99),
        }
        limits = (limit_ms, whole.get("lateness_limit_ms"))
        limit = whole["lateness_limit_ms"] = round(min(ms for ms in limits if ms is not None), 3)
        reason = void(record.histograms["lateness"], limit)
    return {"generator": whole, "void": reason} if whole else {"void": reason}


def _of_generators(key: str, values: list[Any]) -> Any:
    """One figure for all generators: numbers of things add up, the strictest limit holds, others if all agree."""
    if not values:
        return None
    if key in ("processes", "most_connections"):
        return sum(values)
    if key == "lateness_limit_ms":
        return min(values)
    if key.startswith("lateness_"):
        return max(values)
    if key == "real_time":
        return all(values)
    return values[0] if all(value == values[0] for value in values) else None


def _missing(missing: list[int], of: int) -> list[str]:
    if not missing:
        return []
    is_, it = ("is", "it") if len(missing) == 1 else ("are", "they")
    return [f"{_parts_named(missing)} of {of} {is_} missing: what {it} sent is in none of these figures"]


def _warnings(facts: Facts) -> list[str]:
    """The parts' own warnings, named where not all have them, and what sets parts apart."""
    of: dict[str, list[int]] = {}
    for i, own in facts.items():
        for text in own.get("warnings") or ():
            of.setdefault(str(text), []).append(i)
    told = [text if len(by) == len(facts) else f"{_parts_named(by)}: {text}" for text, by in of.items()]
    if len({json.dumps(own.get("objectives"), sort_keys=True) for own in facts.values()}) > 1:
        told.append(f"the parts' objectives differ: those of part {min(facts)} are judged")
    if len({own.get("version") for own in facts.values()}) > 1:
        told.append("the parts were sent by different versions of Seawall")
    for i, own in facts.items() if len(facts) > 1 else ():
        if own.get("interrupted_s") is not None:
            told.append(f"part {i} was interrupted after {words.clock(own['interrupted_s'])}")
        if own.get("void"):
            told.append(f"part {i} by itself is void: {own['void']}")
    return told


def _parts_named(numbers: list[int]) -> str:
    """`part 3`, `parts 1 and 3`."""
    return f"part{'s' if len(numbers) > 1 else ''} {words.listed([str(i) for i in numbers])}"
