"""How far apart the clocks of a wave's parts were, and their starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seawall.record import words
from seawall.record.record import Wallclock

APART_SECONDS = 0.1
"""Parts that started further apart than this, beyond what is uncertain, did not send the wave as described."""

ByPart = dict[int, Wallclock | None]
"""The facts of the wall clock by number of the part; None for a part that has none."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The parts' clocks beside each other: as sentences, as warnings, and as plain JSON data."""

    said: tuple[str, ...]
    warnings: tuple[str, ...]
    figures: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Start:
    """When a part started, in seconds since 1970 of the reference's clock, and how far that may be off."""

    part: int
    at: float
    offset_s: float
    uncertainty_s: float
    reference: str


def by_part(wallclock: Wallclock | None, parts: Iterable[int]) -> ByPart:
    """The facts of the wall clock of each part in a record, which may have been merged before."""
    numbers = list(parts)
    of = (wallclock or {}).get("parts")
    if isinstance(of, dict):
        return {i: of.get(str(i)) for i in numbers}
    return dict.fromkeys(numbers, wallclock)


def compare(wallclocks: ByPart) -> Timing:
    """How far apart clocks and starts were; nothing to say of a single part.

    A start is corrected by the offset that was measured between the part's own clock and the reference's.
    Parts without a measured offset are compared with nothing, unless there is none with one: then the starts are
    taken as the parts' own clocks tell them.
    """
    if len(wallclocks) < 2:
        return Timing((), (), None)
    measured, own = _starts(wallclocks)
    silent = sorted(wallclocks.keys() - {start.part for start in (*measured, *own)})
    starts = measured if len(measured) > 1 else own if not measured else []
    left_out = sorted(wallclocks.keys() - {start.part for start in starts})
    if len(starts) < 2:
        text = "how far apart the parts started is not known: their clocks were not compared with one another"
        return Timing((text,), (text,), {"compared": [], "not_compared": left_out})
    first, last = (pick(starts, key=lambda start: (start.at, start.part)) for pick in (min, max))
    apart, uncertain = last.at - first.at, first.uncertainty_s + last.uncertainty_s
    figures: dict[str, Any] = {
        "compared": [start.part for start in starts],
        "not_compared": left_out,
        "starts_apart_s": round(apart, 6),
        "uncertainty_s": round(uncertain, 6) if measured else None,
        "first_part": first.part,
        "last_part": last.part,
        "references": sorted({start.reference for start in starts}) if measured else [],
    }
    said = [_said_of_starts(first, last, apart, uncertain if measured else None)]
    if measured:
        slow, fast = (pick(start.offset_s for start in starts) for pick in (min, max))
        figures["clocks_apart_s"] = round(fast - slow, 6)
        said.insert(0, f"the parts' clocks were {_time(fast - slow)} apart")
    warnings = []
    if apart - uncertain > APART_SECONDS:
        warnings.append(f"{said[-1]}: the load was not as steep as described")
    if left_out:
        named = f"part{'s' if len(left_out) > 1 else ''} {words.listed([str(i) for i in left_out])}"
        its = "its clock was" if len(left_out) == 1 else "their clocks were"
        why = "no word of the wall clock is left" if left_out == silent else f"{its} not compared"
        said.append(f"when {named} started is not known: {why}")
        warnings.append(said[-1])
    if len(figures["references"]) > 1:
        said.append(f"the clocks were compared with several others: {words.listed(figures['references'])}")
    return Timing(tuple(said), tuple(warnings), figures)


def _starts(wallclocks: ByPart) -> tuple[list[_Start], list[_Start]]:
    """The starts of the parts whose clocks were compared with a reference, and of the others by their own."""
    measured, own = [], []
    for part, facts in sorted(wallclocks.items()):
        started, clock = (facts or {}).get("started_at"), (facts or {}).get("clock")
        if not isinstance(started, int | float):
            continue
        if isinstance(clock, dict) and clock.keys() >= {"offset_s", "uncertainty_s"}:
            offset, uncertain = float(clock["offset_s"]), float(clock["uncertainty_s"])
            measured.append(
                _Start(part, started - offset, offset, uncertain, str(clock.get("reference", "")))
            )
        else:
            own.append(_Start(part, float(started), 0.0, 0.0, ""))
    return measured, own


def _said_of_starts(first: _Start, last: _Start, apart: float, uncertain: float | None) -> str:
    text = f"the parts started {_time(apart)} apart (part {first.part} first, part {last.part} last"
    if uncertain is None:
        return f"{text}; by their own clocks, which were not compared)"
    return f"{text}; known to {_time(uncertain)})"


def _time(seconds: float) -> str:
    return words.milliseconds(max(0.0, seconds) * 1e3)


def wallclock(wallclocks: ByPart, timing: Timing, attempts: int) -> Wallclock:
    """The whole's facts of the wall clock: the earliest start, CPU time in all, and each part's own (`parts`).

    `attempts` are the whole's. Starts are corrected where the part's clock was compared with a reference.
    """
    known: list[Mapping[str, Any]] = [facts for facts in wallclocks.values() if facts]
    starts = [start.at for of in _starts(wallclocks) for start in of]
    cpu = [float(facts["cpu_s"]) for facts in known if facts.get("cpu_s") is not None]
    cpu_s = round(math.fsum(cpu), 6) if len(cpu) == len(wallclocks) else None
    return {
        "started_at": min(starts, default=None),
        "clock": None,
        "cpu_s": cpu_s,
        "cpu_us_per_request": None if cpu_s is None or not attempts else round(cpu_s / attempts * 1e6, 3),
        "clocks": timing.figures,
        "parts": {str(part): facts for part, facts in sorted(wallclocks.items())},
    }
