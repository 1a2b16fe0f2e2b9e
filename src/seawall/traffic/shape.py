"""How a wave is described: the small language of waves, and the waves that have a name of their own.

    0 -> 1000 users in 60s, hold 5m, 1000 -> 200 in 30s, hold 2m
    50/s -> 2000/s in 30s, hold 2m
    wall to 1000, hold 5m
    10/s for 1m, tsunami to 200/s in 90s, hold 2m, ebb to 10/s in 5m

Steps stand one after another, parted by commas. docs/reference/traffic.md gives the grammar.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from seawall.fleet.errors import InputError
from seawall.fleet.units import parse_seconds
from seawall.traffic.curve import Shape, StepRate, Unit

__all__ = ["Shape", "StepRate", "constant", "parse_shape", "ramp", "tsunami", "wall"]

TSUNAMI_GROWTH = 11.0
"""A tsunami rises by at least 1000 %: to eleven times where it began."""
TSUNAMI_DOUBLINGS = 10.0
"""A growth from rest has no rate of its own; it is taken to double ten times on its way up."""
CURVE_PIECES = 64
"""Straight pieces that stand for an exponential; they stay within 0.15 % of it."""
_MOST = 1e9

# ------------------------------------------------------------------------------------- waves with a name


def constant(level: float, seconds: float, unit: Unit = "users") -> Shape:
    """The same level all the time."""
    return _Builder().begin(level).hold(seconds).shape(unit)


def ramp(start: float, end: float, seconds: float, hold: float = 0.0, unit: Unit = "users") -> Shape:
    """A straight line from one level to another in `seconds`, then `hold` seconds there."""
    return _Builder().begin(start).line(end, seconds).hold(hold).shape(unit)


def wall(level: float, hold: float, base: float = 0.0, before: float = 0.0, unit: Unit = "users") -> Shape:
    """Everybody at once: from `base` (by default rest) to `level` in no time, then `hold` seconds there.

    `before` seconds at `base` come first.
    """
    if level <= base:
        raise ValueError(f"a wall rises: {level:g} must be above {base:g}")
    return _Builder().begin(base).hold(before).leap(level).hold(hold).shape(unit)


def tsunami(
    base: float,
    peak: float,
    rise_seconds: float,
    hold_seconds: float,
    ebb_seconds: float | None = None,
    before_seconds: float = 0.0,
    after_seconds: float = 0.0,
    unit: Unit = "users",
) -> Shape:
    """An accelerating wave: growth that doubles at a steady pace up to a peak, a hold, then a decay.

    The peak is at least +1000 %, eleven times the base (ValueError if less: that is a ramp). From a base
    above 0 the growth is base * (peak / base)^(t / rise), but it doubles at most ten times, and from rest
    just so often; the ebb is the same curve backwards, by default as long as the rise. `before_seconds` and
    `after_seconds` are spent at the base. The curves are laid in 64 straight pieces each.
    """
    ebb = rise_seconds if ebb_seconds is None else ebb_seconds
    builder = _Builder().begin(base).hold(before_seconds).swell(peak, rise_seconds).hold(hold_seconds)
    return builder.ebb(base, ebb).hold(after_seconds).shape(unit)


class _Builder:
    """Lays one step after another, from the level where the last one ended."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.levels: list[float] = []

    @property
    def level(self) -> float:
        return self.levels[-1]

    def begin(self, level: float) -> _Builder:
        self.times.append(0.0)
        self.levels.append(level)
        return self

    def line(self, level: float, seconds: float) -> _Builder:
        self.times.append(self.times[-1] + seconds)
        self.levels.append(level)
        return self

    def hold(self, seconds: float) -> _Builder:
        if not seconds >= 0.0:
            raise ValueError(f"a hold lasts at least 0 s, not {seconds}")
        return self.line(self.level, seconds) if seconds > 0.0 else self

    def leap(self, level: float) -> _Builder:
        return self.line(level, 0.0)

    def swell(self, level: float, seconds: float) -> _Builder:
        low = self.level
        if not level > 0.0 or level < TSUNAMI_GROWTH * low:
            raise ValueError(
                f"a tsunami rises by at least 1000 %: from {low:g} to {TSUNAMI_GROWTH * low:g} or more, "
                f"not {level:g}; write `-> {level:g} in {seconds:g}s` for a ramp"
            )
        return self._curve(low, level, seconds, rising=True)

    def ebb(self, level: float, seconds: float) -> _Builder:
        if level >= self.level:
            raise ValueError(f"an ebb falls: {level:g} must be below {self.level:g}")
        return self._curve(level, self.level, seconds, rising=False)

    def _curve(self, low: float, high: float, seconds: float, *, rising: bool) -> _Builder:
        x = np.linspace(0.0, 1.0, CURVE_PIECES + 1)
        doublings = TSUNAMI_DOUBLINGS
        if low > 0.0:
            doublings = min(doublings, math.log2(high / low))
        height = np.expm1(x * doublings * math.log(2.0)) / math.expm1(doublings * math.log(2.0))
        heights = low + (high - low) * (height if rising else height[::-1])
        heights[-1] = high if rising else low
        start = self.times[-1]
        self.times.extend((start + seconds * x[1:]).tolist())
        self.levels.extend(heights[1:].tolist())
        return self

    def shape(self, unit: Unit) -> Shape:
        return Shape(np.array(self.times), np.array(self.levels), unit)


# ----------------------------------------------------------------------------------- the language of waves

_FORMS = (
    "write `0 -> 1000 in 60s`, `-> 1000 at once`, `hold 5m`, `200 for 10m`, `wall to 1000`, "
    "`tsunami to 1000 in 60s` or `ebb to 100 in 5m`"
)
_LEVEL = re.compile(r"(\d+(?:\.\d+)?)\s*(users?|(?:requests|req)?/(?:s|min|h))?", re.IGNORECASE)
_PER_SECOND = {"s": 1.0, "min": 1.0 / 60.0, "h": 1.0 / 3600.0}
_STEPS = tuple(
    (kind, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for kind, pattern in (
        ("wall", r"wall\s+to\s+(?P<level>.+)"),
        ("tsunami", r"tsunami\s+to\s+(?P<level>.+?)\s+in\s+(?P<time>.+)"),
        ("ebb", r"ebb\s+to\s+(?P<level>.+?)\s+in\s+(?P<time>.+)"),
        ("hold", r"hold\s+(?P<time>.+?)(?:\s+at\s+(?P<level>.+))?"),
        ("leap", r"(?P<start>.*?)\s*->\s*(?P<level>.+?)\s+at\s+once"),
        ("line", r"(?P<start>.*?)\s*->\s*(?P<level>.+?)\s+in\s+(?P<time>.+)"),
        ("unpaced", r"(?P<start>.*?)\s*->\s*(?P<level>.+)"),
        ("hold", r"(?:at\s+)?(?P<level>.+?)\s+for\s+(?P<time>.+)"),
    )
)


@dataclass(frozen=True, slots=True)
class _Where:
    """A piece of the text, to point at."""

    text: str
    column: int
    fragment: str

    def wrong(self, message: str) -> InputError:
        text = re.sub(r"\s", " ", self.text)
        whole = text if len(text) <= 100 else text[:97] + "..."
        at = self.fragment if len(self.fragment) <= 60 else self.fragment[:57] + "..."
        return InputError(f'wave "{whole}", column {self.column}, at "{at}": {message}')


@dataclass(frozen=True, slots=True)
class _Level:
    """A number as written: its unit is "" (none), "users", or "s", "min", "h" for a rate."""

    value: float
    unit: str
    where: _Where


@dataclass(frozen=True, slots=True)
class _Step:
    """One step as written."""

    kind: str
    where: _Where
    start: _Level | None
    level: _Level | None
    seconds: float


def parse_shape(text: str, unit: Unit | None = None) -> Shape:
    """Read a wave, for example `0 -> 1000 users in 60s, hold 5m` or `50/s -> 2000/s in 30s, hold 2m`.

    Rates come out in requests/s. `unit` is what is wanted: numbers without a unit are then of it, and
    the other one is an error; where it is None, numbers without any unit are users. Raises InputError with
    the column (from 1), the fragment and what to write instead.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(
            f"a wave is needed here, not {text!r}; write for example `0 -> 1000 in 60s, hold 5m`"
        )
    steps, column = [], 1
    for part in text.split(","):
        stripped = part.strip()
        where = _Where(text, column + len(part) - len(part.lstrip()), stripped)
        steps.append(_read_step(where))
        column += len(part) + 1
    found, levels = _in_one_unit(steps, unit)
    builder = _Builder()
    for step in steps:
        _lay(builder, step, levels)
    if builder.times[-1] <= 0.0:
        raise steps[-1].where.wrong("this wave lasts no time; go on with `, hold 5m`")
    if builder.times[-1] > _MOST:
        raise steps[-1].where.wrong("this wave lasts longer than 30 years; write a shorter one")
    return builder.shape(found)


def _read_step(where: _Where) -> _Step:
    if not where.fragment:
        raise where.wrong(f"a step is missing between two commas; {_FORMS}")
    for kind, pattern in _STEPS:
        match = pattern.fullmatch(where.fragment)
        if match is None:
            continue
        if kind == "unpaced":
            raise where.wrong("how fast? Write `in 30s` or `at once` after the level")
        part = {name: _inside(where, match, name) for name in match.groupdict() if match[name]}
        return _Step(
            kind,
            where,
            _read_level(part["start"]) if "start" in part else None,
            _read_level(part["level"]) if "level" in part else None,
            _read_time(part["time"]) if "time" in part else 0.0,
        )
    if _LEVEL.fullmatch(where.fragment):
        raise where.wrong(f"for how long? Write `{where.fragment} for 10m` (and no comma within a number)")
    raise where.wrong(f"this is no step; {_FORMS}")


def _inside(where: _Where, match: re.Match[str], name: str) -> _Where:
    return _Where(where.text, where.column + match.start(name), match[name])


def _read_level(where: _Where) -> _Level:
    match = _LEVEL.fullmatch(where.fragment)
    if match is None:
        raise where.wrong(
            "this is no level; write a number of users (1000) or a rate (50/s, 3000/min, 10000/h)"
        )
    value = float(match[1])
    if value > _MOST:
        raise where.wrong(f"this is more than can be meant; write at most {_MOST:.0f}")
    unit = (match[2] or "").lower()
    return _Level(value, "users" if unit.startswith("user") else unit.rpartition("/")[2], where)


def _read_time(where: _Where) -> float:
    if re.fullmatch(r"[\d.]+", where.fragment):
        raise where.wrong(f"a time needs its unit; write {where.fragment}s, or {where.fragment}m for minutes")
    try:
        seconds = parse_seconds(where.fragment)
    except ValueError as error:
        raise where.wrong("this is no time; write for example 500ms, 30s, 5m, 1m30s or 1h") from error
    if not 0.0 < seconds <= _MOST:
        raise where.wrong(
            "a step needs a time above 0 and below 30 years; a jump is written `-> 1000 at once`"
        )
    return seconds


def _in_one_unit(steps: list[_Step], wanted: Unit | None) -> tuple[Unit, dict[int, float]]:
    """The unit of the whole wave, and the value of each level in it, by the column where it stands."""
    written = [level for step in steps for level in (step.start, step.level) if level is not None]
    units = dict.fromkeys(level.unit for level in written if level.unit)
    rates = [unit for unit in units if unit != "users"]
    for level in written:
        if level.unit == "users" and (rates or wanted == "requests/s"):
            raise level.where.wrong("a rate of requests is wanted here, not users; write for example 50/s")
        if level.unit in _PER_SECOND and wanted == "users":
            raise level.where.wrong(
                "a number of users is wanted here, not a rate; write for example 1000 users"
            )
        if not level.unit and level.value > 0.0 and len(rates) > 1:
            every = " or ".join(f"{level.value:g}/{rate}" for rate in rates)
            raise level.where.wrong(f"this wave has rates in several units; write {every}")
    unit: Unit = wanted or ("requests/s" if rates else "users")
    usual = _PER_SECOND[rates[0]] if rates else 1.0
    values = {level.where.column: level.value * _PER_SECOND.get(level.unit, usual) for level in written}
    return unit, values


def _lay(builder: _Builder, step: _Step, levels: dict[int, float]) -> None:
    """Add one step to the wave, if it follows from where the wave stands."""
    start = None if step.start is None else levels[step.start.where.column]
    level = None if step.level is None else levels[step.level.where.column]
    if not builder.times:
        _begin(builder, step, start, level)
    if step.kind == "hold":
        _stand_at(builder, step, level)
        builder.hold(step.seconds)
        return
    _stand_at(builder, step, start)
    assert level is not None
    if step.kind == "wall" and level <= builder.level:
        raise step.where.wrong(
            f"a wall rises, and the wave stands at {builder.level:g}; write `-> ... at once`"
        )
    if step.kind in ("wall", "leap"):
        builder.leap(level)
    elif step.kind == "line":
        builder.line(level, step.seconds)
    else:
        try:
            (builder.swell if step.kind == "tsunami" else builder.ebb)(level, step.seconds)
        except ValueError as error:
            raise step.where.wrong(str(error)) from error


def _begin(builder: _Builder, step: _Step, start: float | None, level: float | None) -> None:
    """Where the first step takes its start: what it says, or rest for a wall or a tsunami."""
    if step.kind in ("wall", "tsunami"):
        builder.begin(0.0)
    elif start is not None:
        builder.begin(start)
    elif step.kind == "hold" and level is not None:
        builder.begin(level)
    else:
        raise step.where.wrong("from where? A wave begins with a level: `0 -> 1000 in 60s` or `200 for 5m`")


def _stand_at(builder: _Builder, step: _Step, level: float | None) -> None:
    """What a step says about where it starts must be where the last one ended."""
    if level is None or math.isclose(level, builder.level, rel_tol=1e-9):
        return
    raise step.where.wrong(
        f"the wave stands at {builder.level:g} here, not at {level:g}; "
        f"leave the level out, or put `-> {level:g} at once` before this step"
    )
