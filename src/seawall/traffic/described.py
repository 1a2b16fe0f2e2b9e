"""A recorded rate described in a few straight lines, in the language of waves."""

from __future__ import annotations

import math

import numpy as np

from seawall.fleet.units import format_seconds
from seawall.traffic.counts import Counts, Floats, round_step

MOST_LINES = 8
_MOST_STEPS = 120
_ALIKE = 0.02
"""Levels are the same when they differ by less of the highest than this."""
_GAIN = 0.02
"""A further line has to take away so much of what is left of the error."""


def described(counts: Counts, begin_s: float, seconds: float, most: int = MOST_LINES) -> str | None:
    """The rate from `begin_s` on, for `seconds`, as a wave of at most `most` steps; None if nothing came.

    The wave is the continuous line with corners at whole steps (a 120th of the time or more) that comes
    nearest to the mean rates of those steps by least squares, nowhere above the highest of them. Corners are
    added one by one where they help most, until what is left is what chance leaves: the dispersion within
    minutes. Such a line holds about as many requests as the recording.
    """
    step = max(round_step(seconds / _MOST_STEPS), round_step(counts.step_s))
    edges = np.append(np.arange(0.0, seconds - 1e-6, step), seconds)
    if edges.size > 2 and edges[-1] - edges[-2] < 0.5 * step:
        edges = np.delete(edges, -2)
    widths = np.diff(edges)
    rates = np.diff(counts.area(begin_s + edges)) / widths
    if not rates.any():
        return None
    chance = max(1.0, counts.dispersion_within(60.0) or 1.0)
    knots = _knots(edges, rates, widths, most, chance * float(rates.sum()))
    levels = np.clip(_fit(edges, rates, widths, knots)[1], 0.0, rates.max())
    return _written(edges[knots], _levelled(levels))


def _knots(edges: Floats, rates: Floats, widths: Floats, most: int, enough: float) -> list[int]:
    """The places among `edges` of the corners of the line, first and last included.

    `enough` is the error that chance leaves: a Poisson process has a variance of r / w in its mean rate r over
    w seconds, which makes the sum of the rates in all.
    """
    knots = [0, edges.size - 1]
    left = _fit(edges, rates, widths, knots)[0]
    while left > enough and len(knots) <= most:
        free = [i for i in range(edges.size) if i not in knots]
        if not free:
            break
        tried = [(_fit(edges, rates, widths, sorted([*knots, i]))[0], i) for i in free]
        knots = sorted([*knots, min(tried)[1]])
        knots = _moved(edges, rates, widths, knots)
        now = _fit(edges, rates, widths, knots)[0]
        # A step up and down needs several corners before it shows, so one of little use is kept for a while.
        if now > (1.0 - _GAIN) * left and len(knots) > most // 2 + 1:
            break
        left = now
    return knots


def _moved(edges: Floats, rates: Floats, widths: Floats, knots: list[int]) -> list[int]:
    """The same corners, each moved by a step or more for as long as that brings the line nearer."""
    error = _fit(edges, rates, widths, knots)[0]
    for _ in range(3):
        before = error
        for i in range(1, len(knots) - 1):
            for moved in (-4, -2, -1, 1, 2, 4):
                place = knots[i] + moved
                if not knots[i - 1] < place < knots[i + 1]:
                    continue
                trial = [*knots[:i], place, *knots[i + 1 :]]
                found = _fit(edges, rates, widths, trial)[0]
                if found < error:
                    error, knots = found, trial
        if error == before:
            break
    return knots


def _fit(edges: Floats, rates: Floats, widths: Floats, knots: list[int]) -> tuple[float, Floats]:
    """The error that is left (sum of width times squared difference), and the line's level at each corner."""
    hats = np.empty((edges.size, len(knots)))
    for i in range(len(knots)):
        hats[:, i] = np.interp(edges, edges[knots], np.eye(len(knots))[i])
    means = 0.5 * (hats[1:] + hats[:-1])
    # The few equations for the corners are small and well-conditioned: each step lies under two hats.
    square = (means * widths[:, None]).T @ means
    levels: Floats = np.linalg.lstsq(square, (means * widths[:, None]).T @ rates, rcond=None)[0].astype(
        np.float64
    )
    return float((widths * np.square(means @ levels - rates)).sum()), levels


def _levelled(levels: Floats) -> list[float]:
    """The levels with those that are nearly the same made the same, and three digits."""
    alike = _ALIKE * float(levels.max())
    flat = levels.tolist()
    for i in range(len(flat) - 1):
        if abs(flat[i + 1] - flat[i]) <= alike:
            flat[i] = flat[i + 1] = 0.5 * (flat[i] + flat[i + 1])
    flat = [0.0 if level < 0.1 * alike else level for level in flat]
    return [_rounded(level) for level in flat]


def _rounded(level: float) -> float:
    return round(level, 2 - math.floor(math.log10(level))) if level > 0.0 else 0.0


def _written(times: Floats, levels: list[float]) -> str:
    """Corners as text: `2.5/s -> 30/s in 1m, hold 4m`."""
    steps: list[tuple[float, float, bool]] = []
    for width, before, level in zip(np.diff(times).tolist(), levels, levels[1:], strict=False):
        held = level == before
        if held and steps and steps[-1][2]:
            width += steps.pop()[0]
        steps.append((width, level, held))
    texts = [f"{_number(levels[0])}/s "]
    for width, level, held in steps:
        time = format_seconds(round(width, 3))
        texts.append(f"hold {time}" if held else f"-> {_number(level)}/s in {time}")
    if steps[0][2]:
        texts[1] = texts[1].replace("hold", "for")
    return texts[0] + ", ".join(texts[1:])


def _number(level: float) -> str:
    """A level without an exponent: `0.0123`, `2.5`, `1230`."""
    places = max(0, 2 - math.floor(math.log10(level))) if level > 0.0 else 0
    text = f"{level:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
