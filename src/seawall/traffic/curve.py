"""Load as a function of time, with its exact area and the inverse of that area.

A `Shape` is made of straight pieces, a `StepRate` of flat ones. Both answer the same four questions: how
much at time t, how much up to time t, when has so much come, and how long does it last. The area under a
straight piece is a parabola, so its inverse is a square root: arrivals on a ramp are placed by that law,
not by slices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Unit = Literal["users", "requests/s"]

BAND = 0.10
"""A load is back at a plateau when it is within this share of it."""
JUDGED_SPAN_SECONDS = 60.0
"""The span over which a run's worst moment is judged; no wave is shorter."""


class Load(Protocol):
    """What arrivals are made from: a rate over time that can be integrated and inverted exactly."""

    @property
    def duration_s(self) -> float: ...

    @property
    def peak(self) -> float: ...

    @property
    def unit(self) -> Unit: ...

    def at(self, t: ArrayLike) -> Floats: ...

    def integral(self, t: ArrayLike) -> Floats: ...

    def inverse_integral(self, y: ArrayLike) -> Floats: ...


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Load over time in straight pieces.

    `times_s` and `levels` are float64 arrays of equal length n >= 2. Times begin at 0 and never fall; a
    step is two points at the same time. Levels are at least 0, in `unit`. Before 0 and after the last time
    the load is 0. Raises ValueError where the points are not of that form.
    """

    times_s: Floats
    levels: Floats
    unit: Unit = "users"
    _areas: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        times = np.array(self.times_s, dtype=np.float64)
        levels = np.array(self.levels, dtype=np.float64)
        if times.ndim != 1 or times.shape != levels.shape or times.size < 2:
            raise ValueError("a shape needs as many times as levels, at least two of each")
        if not (np.isfinite(times).all() and np.isfinite(levels).all()):
            raise ValueError("times and levels must be finite numbers")
        if times[0] != 0.0 or (np.diff(times) < 0).any() or times[-1] <= 0.0:
            raise ValueError("times must begin at 0, never fall, and end after 0")
        if (levels < 0).any():
            raise ValueError("levels must be at least 0")
        pieces = np.diff(times) * (levels[1:] + levels[:-1]) / 2.0
        areas = np.concatenate(([0.0], np.cumsum(pieces)))
        for name, array in (("times_s", times), ("levels", levels), ("_areas", areas)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def duration_s(self) -> float:
        """Seconds from the first point to the last."""
        return float(self.times_s[-1])

    @property
    def peak(self) -> float:
        """The highest level."""
        return float(self.levels.max())

    def at(self, t: ArrayLike) -> Floats:
        """The level at each time of `t` (seconds, any shape); at a step, the level after it."""
        t = np.asarray(t, dtype=np.float64)
        i, _, rise = self._piece(t)
        level = self.levels[i] + rise
        return np.where((t < 0.0) | (t > self.times_s[-1]), 0.0, level)

    def integral(self, t: ArrayLike) -> Floats:
        """The area up to each time of `t`: user-seconds, or requests. Flat outside the shape's own time."""
        i, x, rise = self._piece(np.asarray(t, dtype=np.float64))
        return np.asarray(self._areas[i] + x * (self.levels[i] + 0.5 * rise))

    def inverse_integral(self, y: ArrayLike) -> Floats:
        """The earliest time at which the area has reached each value of `y`; inf where it never does.

        On a piece that starts at level a with slope s, an area d is reached after x seconds, where
        a x + s x^2 / 2 = d. Solved as x = 2 d / (a + sqrt(a^2 + 2 s d)), no digits are lost as s goes to 0.
        """
        y = np.asarray(y, dtype=np.float64)
        total = self._areas[-1]
        if y.size and (level := self._held_level(y.min(), y.max())) is not None:
            piece, a = level
            # On a held level the general rule comes to d / a, digit for digit.
            d = np.clip(y - self._areas[piece], 0.0, None)
            return np.asarray(np.minimum(self.times_s[piece] + d / a, self.times_s[piece + 1]))
        i = self._piece_of_area(y)
        d = np.clip(y - self._areas[i], 0.0, None)
        width, rise = self.times_s[i + 1] - self.times_s[i], self.levels[i + 1] - self.levels[i]
        slope = np.divide(rise, width, out=np.zeros_like(d), where=width > 0.0)
        root = np.sqrt(np.clip(self.levels[i] ** 2 + 2.0 * slope * d, 0.0, None))
        below = self.levels[i] + root
        x = np.divide(2.0 * d, below, out=np.zeros_like(d), where=below > 0.0)
        time = np.minimum(self.times_s[i] + x, self.times_s[i + 1])
        return np.where(y > total, np.inf, time)

    def wave_window(self, at_least_s: float = JUDGED_SPAN_SECONDS) -> tuple[float, float] | None:
        """From when to when the wave is, in seconds; None where the load never rises.

        It begins at the first rise of the described load (a load that is there from the start, without a
        rise, is no wave). It ends when the load comes within 10 % of the plateau that it settles on, for
        good. That plateau is the last level that is held: after a rise and a fall it is the level returned
        to, after a rise alone the height reached. Lesser plateaus on the way and the calm between two waves
        belong to the window. A load that settles on 0 is back when it is at 0, and one that does not settle
        (its last step is no hold) is back at its end. As an instant step would leave no time at all, the
        window lasts `at_least_s` seconds, the end of the shape permitting.
        """
        rises = np.flatnonzero(np.diff(self.levels) > 0)
        if rises.size == 0:
            return None
        start = float(self.times_s[rises[0]])
        end = max(self._settled(), min(start + at_least_s, self.duration_s))
        return start, max(start, end)

    def stretched(self, factor: float) -> Shape:
        """The same levels over `factor` times the time."""
        return Shape(self.times_s * factor, self.levels, self.unit)

    def multiplied(self, factor: float) -> Shape:
        """`factor` times the levels over the same time."""
        return Shape(self.times_s, self.levels * factor, self.unit)

    def _piece_of_area(self, y: ArrayLike) -> NDArray[np.intp]:
        """The piece on which each area is reached."""
        i = np.searchsorted(self._areas, y, side="left") - 1
        return np.clip(i, 0, self.times_s.size - 2)

    def _held_level(self, low: float, high: float) -> tuple[int, float] | None:
        """The piece and its level where the areas from `low` to `high` are all reached on one held level above 0."""
        first, last = (int(i) for i in self._piece_of_area(np.array([low, high])))
        a = float(self.levels[first])
        held = first == last and a > 0.0 and a == self.levels[first + 1]
        return (first, a) if held and high <= self._areas[-1] else None

    def _piece(self, t: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
        """For each time, cut to the shape: its piece (at a step the later), seconds into it, rise by then."""
        inside = np.clip(t, 0.0, self.times_s[-1])
        i = np.searchsorted(self.times_s, inside, side="right") - 1
        j = np.minimum(i + 1, self.times_s.size - 1)
        x, width = inside - self.times_s[i], self.times_s[j] - self.times_s[i]
        share = np.divide(x, width, out=np.zeros_like(x), where=width > 0.0)
        return i, x, (self.levels[j] - self.levels[i]) * share

    def _settled(self) -> float:
        """When the load has come within 10 % of its last plateau for good; its end where it has none."""
        times, levels = self.times_s, self.levels
        last = times.size - 2
        while times[last] == times[last + 1]:
            last -= 1
        if levels[last] != levels[last + 1]:
            return self.duration_s
        plateau = levels[last]
        for i in range(last, -1, -1):
            before, after = levels[i], levels[i + 1]
            if abs(after - plateau) > BAND * plateau:
                return float(times[i + 1])
            if abs(before - plateau) > BAND * plateau:
                edge = plateau * (1.0 - BAND) if before < plateau else plateau * (1.0 + BAND)
                return float(times[i] + (times[i + 1] - times[i]) * (edge - before) / (after - before))
        return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class StepRate:
    """Requests per second, constant within each step.

    `times_s` holds the n + 1 edges of the steps, rising from 0; `rates` the n rates in requests/s. Raises
    ValueError where they are not of that form.
    """

    times_s: Floats
    rates: Floats
    _shape: Shape = field(init=False, repr=False)

    def __post_init__(self) -> None:
        times = np.array(self.times_s, dtype=np.float64)
        rates = np.array(self.rates, dtype=np.float64)
        if times.ndim != 1 or rates.ndim != 1 or times.size != rates.size + 1 or rates.size == 0:
            raise ValueError("n rates need n + 1 edges, n at least 1")
        if not (np.diff(times) > 0).all():
            raise ValueError("edges must rise")
        shape = Shape(np.repeat(times, 2)[1:-1], np.repeat(rates, 2), "requests/s")
        for name, array in (("times_s", times), ("rates", rates)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "_shape", shape)

    @property
    def unit(self) -> Unit:
        """Always requests/s."""
        return "requests/s"

    @property
    def duration_s(self) -> float:
        """Seconds from the first edge to the last."""
        return float(self.times_s[-1])

    @property
    def peak(self) -> float:
        """The highest rate, requests/s."""
        return float(self.rates.max())

    def at(self, t: ArrayLike) -> Floats:
        """The rate at each time of `t` (seconds); at an edge, the rate after it; 0 outside."""
        return self._shape.at(t)

    def integral(self, t: ArrayLike) -> Floats:
        """Requests up to each time of `t`."""
        return self._shape.integral(t)

    def inverse_integral(self, y: ArrayLike) -> Floats:
        """The earliest time by which so many requests have come; inf where they never do."""
        return self._shape.inverse_integral(y)

    def as_shape(self) -> Shape:
        """The same rates as a `Shape`, two points for each step."""
        return self._shape

    def window(self, from_s: float, for_s: float | None = None) -> StepRate:
        """The part from `from_s` on, `for_s` seconds long (None: to the end); ValueError if none."""
        end = self.duration_s if for_s is None else min(self.duration_s, from_s + for_s)
        if not 0.0 <= from_s < end:
            raise ValueError(f"nothing lies between {from_s:g} s and {end:g} s of {self.duration_s:g} s")
        first = int(np.searchsorted(self.times_s, from_s, side="right")) - 1
        last = int(np.searchsorted(self.times_s, end, side="left"))
        edges = np.clip(self.times_s[first : last + 1], from_s, end) - from_s
        return StepRate(edges, self.rates[first:last])

    def faster(self, speed: float) -> StepRate:
        """The same requests in 1/`speed` of the time; ValueError if that is not above 0."""
        if not 0.0 < speed < math.inf:
            raise ValueError(f"speed {speed:g} must be above 0")
        return StepRate(self.times_s / speed, self.rates * speed)

    def multiplied(self, factor: float) -> StepRate:
        """`factor` times the requests in the same time; ValueError if that is not above 0."""
        if not 0.0 < factor < math.inf:
            raise ValueError(f"multiply {factor:g} must be above 0")
        return StepRate(self.times_s, self.rates * factor)
