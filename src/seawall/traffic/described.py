"""A recorded rate described in a few straight lines, in the language of waves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seawall.fleet.units import format_seconds
from seawall.traffic.counts import Counts, Floats, round_step

MOST_STEPS = 8
_PIECES = 120
_ALIKE = 0.02
_MOST_ALIKE = 0.25
"""Levels are the same when they differ by less of the highest than the one, or by chance up to the other."""
_BY_CHANCE = 12.0
"""Of some hundred places for a corner, the one that chance makes the most of gains so many times the variance."""
_MOVES = (-8, -4, -2, -1, 1, 2, 4, 8)

_Corner = tuple[bool, int]
"""Whether the line jumps there (else it bends), and at which edge."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is to be described: the mean `rates` (n,) of the pieces between `edges` (n + 1,), `widths` (n,) long."""

    edges: Floats
    widths: Floats
    rates: Floats
    chance: float
    """What a corner has to gain, in squared requests/s times seconds, to be more than chance."""

    def column(self, corner: _Corner) -> Floats:
        """The means of a jump by 1, or of a bend into a slope of 1, over each piece."""
        jumps, at = corner
        if jumps:
            return np.where(self.edges[:-1] >= self.edges[at], 1.0, 0.0)
        after = np.clip(self.edges - self.edges[at], 0.0, None)
        means: Floats = 0.5 * (after[1:] + after[:-1])
        return means

    def columns(self, corners: list[_Corner]) -> Floats:
        """The columns of a line with these corners, shape (n, 2 + corners)."""
        middle = 0.5 * (self.edges[1:] + self.edges[:-1])
        if middle.size == 1:  # one piece tells no slope
            middle = np.zeros(1)
        return np.column_stack((np.ones(middle.size), middle, *(self.column(c) for c in corners)))

    def fit(self, corners: list[_Corner]) -> tuple[float, Floats]:
        """The least error of such a line, and its coefficients in the order of `columns`."""
        root = np.sqrt(self.widths)
        columns = self.columns(corners)
        found = np.linalg.lstsq(columns * root[:, None], self.rates * root, rcond=None)[0].astype(np.float64)
        return float((self.widths * np.square(columns @ found - self.rates)).sum()), found


def described(counts: Counts, begin_s: float, seconds: float, most: int = MOST_STEPS) -> str | None:
    """The rate from `begin_s` on, for `seconds`, as a wave of at most `most` steps; None if nothing came.

    The wave is made of straight lines, with bends and jumps between them, that come nearest to the mean rates
    of some hundred pieces by least squares. Bends and jumps are put in where they help most, and moved about, as
    long as that helps more than chance would. The wave holds about as many requests as the recording, and is
    nowhere higher.
    """
    step = max(round_step(seconds / _PIECES), round_step(counts.step_s))
    edges = np.append(np.arange(0.0, seconds - 1e-6, step), seconds)
    if edges.size > 2 and edges[-1] - edges[-2] < 0.5 * step:
        edges = np.delete(edges, -2)
    widths = np.diff(edges)
    rates = np.diff(counts.area(begin_s + edges)) / widths
    top = float(rates.max())
    if top <= 0.0:
        return None
    dispersion = _dispersion(rates, widths)
    seen = _Seen(edges, widths, rates, _BY_CHANCE * dispersion * top)
    corners = _corners(seen, most)
    return _written(*_points(seen, corners, top, dispersion))


def _dispersion(rates: Floats, widths: Floats) -> float:
    """Variance of the pieces' counts over their mean, at least 1 (Poisson), by how pieces differ from both next.

    Where a rate runs straight, the second difference of three counts has six times the variance of one. Corners are
    few, so the median leaves them out; 0.455 is that of the square of a normal variable.
    """
    means = (rates[:-2] + rates[1:-1] + rates[2:]) / 3.0
    bends = np.square(rates[:-2] - 2.0 * rates[1:-1] + rates[2:]) * widths[1:-1]
    busy = means > 0.0
    if np.count_nonzero(busy) < 10:
        return 1.0
    return max(1.0, float(np.median(bends[busy] / means[busy])) / 6.0 / 0.455)


def _corners(seen: _Seen, most: int) -> list[_Corner]:
    """The corners of the line: added while they help, moved, and taken out again where they no longer do."""
    corners: list[_Corner] = []
    while (added := _best(seen, corners, most)) is not None:
        corners = _moved(seen, sorted([*corners, *added]))
    removed = True
    while removed and corners:
        error = seen.fit(corners)[0]
        without = [_moved(seen, [c for c in corners if c != one]) for one in corners]
        errors = [seen.fit(less)[0] for less in without]
        at = int(np.argmin(errors))
        removed = errors[at] - error < seen.chance
        corners = without[at] if removed else corners
    return corners


def _steps(corners: list[_Corner]) -> int:
    """How many steps a wave with these corners has: the lines between them, and the jumps."""
    return 1 + len({at for _, at in corners}) + sum(jumps for jumps, _ in corners)


def _best(seen: _Seen, corners: list[_Corner], most: int) -> list[_Corner] | None:
    """The bend, jump, or pair of jumps that gains most for each step it takes; None where none is worth it.

    What a column gains is the square of its product with what is left of the rates, over its own square, once
    the part of it that the line has already is taken out.
    """
    places = range(1, seen.edges.size - 1)
    every = [(jumps, at) for jumps in (False, True) for at in places if (jumps, at) not in corners]
    if not every:
        return None
    root = np.sqrt(seen.widths)[:, None]
    base = np.linalg.qr(seen.columns(corners) * root)[0]
    columns = np.column_stack([seen.column(c) for c in every]) * root
    columns -= base @ (base.T @ columns)
    left = seen.rates * root[:, 0]
    left -= base @ (base.T @ left)
    products, squares = columns.T @ left, np.square(columns).sum(axis=0)
    least = 1e-9 * np.square(np.column_stack([seen.column(c) for c in every]) * root).sum(axis=0)
    gains = np.divide(np.square(products), squares, out=np.zeros_like(squares), where=squares > least)
    now = _steps(corners)
    worth = [(gains[i] / max(1, _steps([*corners, c]) - now), gains[i], [c]) for i, c in enumerate(every)]
    jumps = [i for i, (jump, _) in enumerate(every) if jump]
    worth += _pulses(every, jumps, columns, products, squares, now, corners)
    fits = [w for w in worth if w[1] > seen.chance * len(w[2]) and _steps([*corners, *w[2]]) <= most]
    return max(fits, key=lambda w: w[0])[2] if fits else None


def _pulses(
    every: list[_Corner],
    jumps: list[int],
    columns: Floats,
    products: Floats,
    squares: Floats,
    now: int,
    corners: list[_Corner],
) -> list[tuple[float, float, list[_Corner]]]:
    """The one pair of jumps, up and down again, that gains most: alone, neither may show."""
    if len(jumps) < 2:
        return []
    part = columns[:, jumps]
    both = squares[jumps][:, None] + squares[jumps][None, :] - 2.0 * (part.T @ part)
    between = products[jumps][:, None] - products[jumps][None, :]
    gains = np.divide(np.square(between), both, out=np.zeros_like(both), where=both > 1e-9 * both.max())
    first, second = divmod(int(np.argmax(gains)), len(jumps))
    pair = sorted([every[jumps[first]], every[jumps[second]]])
    gain = float(gains[first, second])
    return [(gain / max(1, _steps([*corners, *pair]) - now), gain, pair)]


def _moved(seen: _Seen, corners: list[_Corner]) -> list[_Corner]:
    """The same corners, each moved as far as that brings the line nearer; a jump may become two bends."""
    error = seen.fit(corners)[0]
    for _ in range(6):
        before = error
        for i in range(len(corners)):
            for trial in _neighbours(seen, corners, i):
                found = seen.fit(trial)[0]
                if found < error * (1.0 - 1e-9):
                    error, corners = found, trial
                    break
        if error >= before:
            break
    return corners


def _neighbours(seen: _Seen, corners: list[_Corner], i: int) -> list[list[_Corner]]:
    """The lines that differ from this one in the i-th corner alone, and have no more steps."""
    jumps, at = corners[i]
    others = [*corners[:i], *corners[i + 1 :]]
    inside = range(1, seen.edges.size - 1)
    found = [[(jumps, at + by)] for by in _MOVES if at + by in inside]
    if jumps:
        found += [
            [(False, at - by), (False, at + by)]
            for by in (1, 2, 4)
            if at - by in inside and at + by in inside
        ]
    trials = [[*others, *one] for one in found if not set(one) & set(others)]
    return [trial for trial in trials if _steps(trial) <= _steps(corners)]


def _points(
    seen: _Seen, corners: list[_Corner], top: float, dispersion: float
) -> tuple[list[float], list[float]]:
    """The line as times and levels; a jump is two points at the same time. Levels nearly the same are the same."""
    level, slope, *changes = seen.fit(corners)[1].tolist()
    places = sorted({at for _, at in corners})
    times, levels, begun = [0.0], [level], 0.0
    for at in [*places, seen.edges.size - 1]:
        now = float(seen.edges[at])
        level += slope * (now - begun)
        times.append(now)
        levels.append(level)
        begun = now
        here = [
            (jumps, change) for (jumps, where), change in zip(corners, changes, strict=True) if where == at
        ]
        slope += sum(change for jumps, change in here if not jumps)
        if any(jumps for jumps, _ in here):
            level += sum(change for jumps, change in here if jumps)
            times.append(now)
            levels.append(level)
    flat = np.clip(levels, 0.0, top).tolist()
    for i, width in enumerate(np.diff(times).tolist()):
        middle = 0.5 * (flat[i] + flat[i + 1])
        # By chance the ends of a fitted line differ by so much, as the root of the mean square.
        chance = math.sqrt(12.0 * dispersion * middle / width) if width else 0.0
        if abs(flat[i + 1] - flat[i]) <= max(_ALIKE * top, min(3.0 * chance, _MOST_ALIKE * top)):
            flat[i] = flat[i + 1] = middle
    return times, [_rounded(x) if x > 0.1 * _ALIKE * top else 0.0 for x in flat]


def _rounded(level: float) -> float:
    return round(level, 2 - math.floor(math.log10(level)))


def _written(times: list[float], levels: list[float]) -> str:
    """Points as text: `2.5/s -> 30/s in 1m, hold 4m, -> 2/s at once, hold 1m`."""
    steps: list[tuple[float, float, bool]] = []
    for width, before, level in zip(np.diff(times).tolist(), levels, levels[1:], strict=False):
        held = level == before
        if held and width == 0.0:
            continue
        if held and steps and steps[-1][2]:
            width += steps.pop()[0]
        steps.append((width, level, held))
    texts = []
    for width, level, held in steps:
        time = format_seconds(round(width, 3))
        how = "at once" if width == 0.0 else f"in {time}"
        texts.append(f"hold {time}" if held else f"-> {_number(level)}/s {how}")
    if steps[0][2]:
        texts[0] = texts[0].replace("hold", "for")
    return f"{_number(levels[0])}/s {', '.join(texts)}"


def _number(level: float) -> str:
    """A level without an exponent: `0.0123`, `2.5`, `1230`."""
    places = max(0, 2 - math.floor(math.log10(level))) if level > 0.0 else 0
    text = f"{level:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
