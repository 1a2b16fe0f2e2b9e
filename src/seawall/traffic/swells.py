"""What stands out in a recorded rate: its steepest rise, and the wave if there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.counts import Counts, Floats, round_step

SIGMAS = 6.0
"""A change counts when chance (a Poisson process) makes so large a one less often than once in 10^8 looks."""
SEEN_WELL, SEEN = 1000.0, 100.0
"""The busiest step that is looked at holds so many requests: its rate is then known within 3 % and 10 %."""
SHORT_SECONDS = 10.0
"""Longer steps are not taken for the sake of SEEN_WELL."""
MOST_STEPS = 2_000_000
LONGEST_RISE = 12
"""A rise takes at most so many steps."""
NEARLY = 0.9
"""Of all rises, the quickest that reaches so much of the highest."""
TWICE = 2.0
"""A wave reaches at least so many times what is usual around it."""
CALM = 0.1
"""It has begun, and is not over, while it is higher than so much of its height above what is usual."""
SCALES = (600.0, 3600.0, 6 * 3600.0, 24 * 3600.0, math.inf)
"""How far around its peak a wave is compared with what is usual, in seconds in all; the least that holds it."""
LARGEST_PART = 1.0 / 3.0
"""Of that, a wave is at most so much: the median is then what is usual without it."""
UNEVEN = 0.25
"""A tenth of that at most is further below the median than so much of the wave's height."""
MOST_WAVES = 100


@dataclass(frozen=True, slots=True)
class Rise:
    """From one rate to another, requests/s, each the mean of `step_s` seconds."""

    begin_s: float
    seconds: float
    low: float
    high: float
    step_s: float


@dataclass(frozen=True, slots=True)
class Wave:
    """A part of the recording that stands out, in seconds of it; rates are means of `step_s` seconds."""

    begin_s: float | None
    """None where the recording, or what is there after a hole, begins within it."""
    peak_s: float
    end_s: float | None
    """None where the recording, or what is there before a hole, ends within it."""
    base: float
    """What is usual around it, requests/s."""
    peak: float
    """Its highest rate, requests/s."""
    step_s: float

    @property
    def seconds(self) -> float | None:
        """How long it lasts."""
        return None if self.begin_s is None or self.end_s is None else self.end_s - self.begin_s


def step_for(counts: Counts) -> float:
    """The step in which rises and waves are looked for, in seconds, a tenth of the recording at most.

    The shortest whose busiest one holds SEEN_WELL requests, if that is no longer than SHORT_SECONDS, else the
    shortest beyond those with SEEN.
    """
    step = round_step(max(counts.step_s, counts.duration_s / MOST_STEPS))
    while 10.0 * step < counts.duration_s:
        if counts.busiest(step)[1] >= (SEEN_WELL if step < SHORT_SECONDS else SEEN):
            break
        step = round_step(1.001 * step)
    return step


def steepest_rise(counts: Counts, step: float) -> Rise | None:
    """The largest rise within LONGEST_RISE steps, and of those nearly as large the quickest; None if by chance.

    Chance is judged by what chance does to a Poisson process.
    """
    rates = _rates(counts, step)
    best: list[tuple[float, int, int]] = []
    for lag in range(1, min(LONGEST_RISE, rates.size - 1) + 1):
        gains = rates[lag:] - rates[:-lag]
        if np.isfinite(gains).any():
            at = int(np.nanargmax(gains))
            best.append((float(gains[at]), lag, at))
    if not best or max(best)[0] <= 0.0:
        return None
    _, lag, at = next(found for found in best if found[0] >= NEARLY * max(best)[0])
    low, high = float(rates[at]), float(rates[at + lag])
    if (high - low) * step < SIGMAS * math.sqrt((high + low) * step):
        return None
    return Rise((at + 1) * step, lag * step, low, high, step)


def waves(counts: Counts, step: float) -> list[Wave]:
    """The waves of a recording, the highest first, those of them that are at least half as high as it.

    A wave is at least TWICE what is usual around it, and not by chance. What is usual is the median rate of the
    least of SCALES around the peak of which the wave is no more than LARGEST_PART and in which the median is
    not UNEVEN. It begins where the rate
    was last, before the peak, within CALM of its height above what is usual (or what chance does to that), and
    ends where it first is so again. After MOST_WAVES no more are looked for.
    """
    rates, found = _rates(counts, step), list[Wave]()
    while len(found) < MOST_WAVES and np.isfinite(rates).any():
        wave = _highest(rates, step)
        if wave is None or (found and wave.peak - wave.base < 0.5 * (found[0].peak - found[0].base)):
            break
        found.append(wave)
        begin = 0.0 if wave.begin_s is None else wave.begin_s
        end = counts.duration_s if wave.end_s is None else wave.end_s
        rates[round(begin / step) : round(end / step)] = np.nan
    return found


def _highest(rates: Floats, step: float) -> Wave | None:
    """The wave around the highest rate, None if that is none."""
    peak = int(np.nanargmax(rates))
    for scale in SCALES:
        if scale < 20.0 * step:
            continue
        around = len(rates) if scale == math.inf else int(scale / step / 2.0)
        low, high = max(0, peak - around), min(len(rates), peak + around + 1)
        found = _wave(rates[low:high], peak - low, step, low * step)
        whole = low == 0 and high == len(rates)
        if found is not None and (whole or _fits(found, rates[low:high])):
            return found
        if whole:
            return None
    return None


def _fits(wave: Wave, rates: Floats) -> bool:
    """Whether a wave was found in enough of the recording to tell what is usual there."""
    if wave.seconds is None or wave.seconds > LARGEST_PART * len(rates) * wave.step_s:
        return False
    lowest = float(np.nanquantile(rates, 0.1))
    uneven = max(UNEVEN * (wave.peak - wave.base), 3.0 * math.sqrt(wave.base / wave.step_s))
    return wave.base - lowest <= uneven


def _wave(rates: Floats, peak: int, step: float, offset: float) -> Wave | None:
    top, base = float(rates[peak]), float(np.nanmedian(rates))
    if top <= 0.0 or top < TWICE * base or (top - base) * step < SIGMAS * math.sqrt(top * step):
        return None
    calm = base + max(CALM * (top - base), 2.0 * math.sqrt(base / step))
    before, after = rates[:peak][::-1], rates[peak + 1 :]
    back, ahead = _first(before, calm), _first(after, calm)
    return Wave(
        None if back is None else offset + (peak - back) * step,
        offset + (peak + 0.5) * step,
        None if ahead is None else offset + (peak + 1 + ahead) * step,
        base,
        top,
        step,
    )


def _first(rates: Floats, calm: float) -> int | None:
    """The first place at which the rate is calm; None where it is not, or not known, before that."""
    stop: NDArray[np.bool_] = (rates <= calm) | np.isnan(rates)
    if not stop.any():
        return None
    at = int(np.argmax(stop))
    return None if np.isnan(rates[at]) else at


def _rates(counts: Counts, step: float) -> Floats:
    """Mean rates of whole steps from the start, shape (m,); what is left over at the end is not looked at."""
    steps = int(counts.duration_s / step + 1e-9)
    return counts.mean_rates(np.arange(steps + 1, dtype=np.float64) * step) if steps else np.empty(0)
