"""What is in a recording: its rate, its bursts, who came and what was asked for; and which part to replay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seawall.fleet.errors import InputError
from seawall.traffic.counts import Counts, Floats, counts_of_rate, counts_of_times, round_step
from seawall.traffic.logs.log import RequestLog
from seawall.traffic.mix import Mix, blocks, mix, presentable
from seawall.traffic.recorded import Kind, Recording
from seawall.traffic.swells import Rise, Wave, steepest_rise, step_for, waves
from seawall.traffic.visitors import Visitors, visitors

MINUTE = 60.0
COLUMNS = 66
"""A rate over time is shown in at most so many columns."""
USUAL_PART = 600.0
LONGEST_PART = 3600.0
WITH_CALM = 1.5
"""A part is so many times as long as the wave in it."""
CALM_BEFORE = 1.0 / 3.0
"""Of what it is longer, so much comes before the wave."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the recording, in seconds from its start."""

    begin_s: float
    seconds: float
    requests: float

    @property
    def rate(self) -> float:
        """Its mean rate, requests/s."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Holes:
    """Silences too long for chance: the recording is thinned, or a part of it is missing."""

    number: int
    longest_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per second outside the holes."""

    mean: float
    p99: float
    """Not exceeded in 99 % of the steps (seconds, for a log)."""
    peak: Part
    """The busiest step."""
    minute: Part | None
    """The busiest minute, wherever it begins; None where steps are longer, or the recording is shorter."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """How unevenly requests come. Dispersion is the variance of a step's count over its mean: 1 by chance alone."""

    dispersion: float | None
    within_minute: float | None
    """The same against each minute's own mean: what slow changes of the rate do not explain."""
    rise: Rise | None
    wave: Wave | None
    """The largest."""
    more_waves: int
    """How many others are at least half as high."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The rate over time, a column each `step_s`: its mean, and that of its busiest step; 0 in holes."""

    step_s: float
    means: Floats
    peaks: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What a recording holds. Times are seconds from its start."""

    source: str
    kind: Kind
    unit: str
    """What the file consists of: lines, rows (CSV), records (GoReplay) or entries (HAR)."""
    requests: float
    lines: int
    """How many of them there are."""
    damaged: int
    without_request: int
    origin: float | None
    """Its start, seconds since 1970; None where the file does not tell."""
    utc_offset_s: int
    """How far its own clock is ahead of UTC."""
    seconds: float
    step_s: float
    """What its rates are counted by: seconds for a log, the usual step of a CSV."""
    holes: Holes | None
    rates: Rates
    bursts: Bursts
    visitors: Visitors | None
    mix: Mix | None
    columns: Columns
    notes: tuple[str, ...]
    counts: Counts


def profile(recording: Recording, redact: Sequence[re.Pattern[str]] = ()) -> Profile:
    """Look at a recording; `redact` says what in paths is not to be shown.

    Nothing of a visitor but a number is looked at. InputError where no line of a log holds a request.
    """
    if recording.log is not None:
        return _of_log(recording, presentable(recording.log, redact))
    assert recording.rate is not None
    rate = recording.rate
    counts = counts_of_rate(rate.rate, rate.step_s, rate.first)
    return _profile(recording, counts, lines=rate.rows)


def part_to_replay(found: Profile, seconds: float | None = None, from_s: float | None = None) -> Part:
    """The part that begins at `from_s`, or where it is worth replaying, and lasts so long.

    Worth replaying is the wave, if there is one, with calm before and after it, and else the busiest part.
    Without `seconds` a part lasts USUAL_PART, or as long as it takes to hold the wave, up to LONGEST_PART.
    All of the recording where it is no longer than that. ValueError if nothing lies there.
    """
    counts, wave = found.counts, found.bursts.wave
    lasts = wave.seconds if wave is not None else None
    if seconds is None:
        holding = round_step(WITH_CALM * lasts) if lasts is not None and from_s is None else 0.0
        seconds = max(USUAL_PART, holding) if holding <= LONGEST_PART else USUAL_PART
    if from_s is None:
        last = max(0.0, counts.duration_s - seconds)
        from_s = counts.busiest(seconds)[0]
        if wave is not None and wave.begin_s is not None and lasts is not None and lasts <= seconds:
            from_s = float(round(min(max(wave.begin_s - CALM_BEFORE * (seconds - lasts), 0.0), last)))
    length = min(seconds, counts.duration_s - from_s)
    if not (from_s >= 0.0 and length > 0.0):
        raise ValueError(f"nothing lies at {from_s:g} s of {counts.duration_s:g} s")
    held = counts.area([from_s, from_s + length])
    return Part(from_s, length, float(held[1] - held[0]))


def _of_log(recording: Recording, log: RequestLog) -> Profile:
    if log.without_request == len(log):
        empty = "none of the log's lines holds a request; give a log of requests that were made"
        raise InputError(empty, file=recording.source)
    counts = counts_of_times(times for (times,) in blocks(log, log.t_s))
    origin = counts.origin or 0.0
    who = ((times - origin, session) for times, session in blocks(log, log.t_s, log.session))
    return _profile(
        recording,
        counts,
        lines=log.lines,
        damaged=log.damaged,
        without_request=log.without_request,
        utc_offset_s=log.utc_offset_s,
        seen=visitors(who, log.sessions, counts.stretches),
        asked=mix(log),
    )


def _profile(
    recording: Recording,
    counts: Counts,
    *,
    lines: int,
    damaged: int = 0,
    without_request: int = 0,
    utc_offset_s: int = 0,
    seen: Visitors | None = None,
    asked: Mix | None = None,
) -> Profile:
    step = step_for(counts)
    found = waves(counts, step)
    holes = counts.holes
    return Profile(
        source=recording.source,
        kind=recording.kind,
        unit="rows" if recording.log is None else recording.log.unit,
        requests=counts.total,
        lines=lines,
        damaged=damaged,
        without_request=without_request,
        origin=counts.origin,
        utc_offset_s=utc_offset_s,
        seconds=counts.duration_s,
        step_s=counts.step_s,
        holes=Holes(holes.size, float(holes.max()), float(holes.sum())) if holes.size else None,
        rates=_rates(counts),
        bursts=Bursts(
            counts.dispersion(),
            counts.dispersion_within(MINUTE),
            steepest_rise(counts, step),
            found[0] if found else None,
            max(0, len(found) - 1),
        ),
        visitors=seen,
        mix=asked,
        columns=_columns(counts),
        notes=recording.notes,
        counts=counts,
    )


def _rates(counts: Counts) -> Rates:
    at = int(np.argmax(counts.rates))
    peak = Part(
        float(counts.starts[at]), float(counts.ends[at] - counts.starts[at]), float(counts.requests[at])
    )
    minute = None
    if counts.step_s < MINUTE <= counts.duration_s:
        begin, requests = counts.busiest(MINUTE)
        minute = Part(begin, MINUTE, requests)
    return Rates(counts.total / counts.recorded_s, counts.quantile(0.99), peak, minute)


def _columns(counts: Counts) -> Columns:
    step = max(counts.step_s, round_step(counts.duration_s / COLUMNS))
    edges = np.minimum(np.arange(np.ceil(counts.duration_s / step - 1e-9) + 1) * step, counts.duration_s)
    known = np.diff(counts.recorded(edges))
    means = np.zeros(known.size)
    np.divide(np.diff(counts.area(edges)), known, out=means, where=known > 0.0)
    peaks = means.copy()
    column = np.searchsorted(edges, counts.starts, side="right") - 1
    np.maximum.at(peaks, np.minimum(column, peaks.size - 1), counts.rates)
    return Columns(step, means, peaks)
