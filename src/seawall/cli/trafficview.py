"""What is in recorded traffic, as one screen of text: a chart over time, and the figures in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from seawall.record import words
from seawall.traffic.mix import Mix
from seawall.traffic.profile import Columns, Profile
from seawall.traffic.swells import Rise, Wave
from seawall.traffic.visitors import Visitors

WIDTH = 80
LABEL = 10
CHART_ROWS = 6
CHART_COLUMNS = 66
BLOCKS = " ▁▂▃▄▅▆▇█"
SHADE = "░"
PLAIN_BLOCKS = " ___#####"
PLAIN_SHADE = "."
_NAMED_STATUSES = 3
_ONE = {"lines": "line", "rows": "row", "records": "record", "entries": "entry"}
_YEAR = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Says when something was: by the log's own clock where there is one, else since the recording's start."""

    origin: float | None
    seconds: float
    utc_offset_s: int = 0
    dated: bool = False
    """Whether the date is always said, with its year and zone."""

    def at(self, s: float) -> str:
        """`10:05:03`, `18 May 10:05:03`, `18 May 2015 10:05:03 UTC`; `1:02:05` after the start."""
        when = self._when(s)
        if when is None:
            return f"{words.clock(s)} after its start" if self.dated else words.clock(s)
        time = f"{when:%H:%M:%S}"
        if self.dated:
            return f"{when.day} {when:%b %Y} {time} {self.zone}"
        return f"{self._day(when)} {time}" if self._days() else time

    def short(self, s: float) -> str:
        """The same for a chart's axis: without seconds where they say nothing."""
        when = self._when(s)
        if when is None:
            return words.clock(s)
        if self.seconds >= _YEAR:
            return self._day(when)
        time = f"{when:%H:%M}" if self.seconds >= 1200.0 else f"{when:%H:%M:%S}"
        return f"{self._day(when)} {time}" if self._days() else time

    @property
    def zone(self) -> str:
        """`UTC`, `+02:00`."""
        minutes = abs(self.utc_offset_s) // 60
        sign = "-" if self.utc_offset_s < 0 else "+"
        return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}" if minutes else "UTC"

    def _day(self, when: datetime) -> str:
        """`18 May`; with the year where the recording is so long that it takes one."""
        return f"{when.day} {when:%b %Y}" if self.seconds >= _YEAR else f"{when.day} {when:%b}"

    def _when(self, s: float) -> datetime | None:
        if self.origin is None:
            return None
        try:
            return datetime.fromtimestamp(0, UTC) + timedelta(
                seconds=math.floor(self.origin + self.utc_offset_s + s)
            )
        except OverflowError:
            return None

    def _days(self) -> bool:
        first, last = self._when(0.0), self._when(self.seconds)
        return first is not None and last is not None and first.date() != last.date()


def clock_of(found: Profile, *, dated: bool = False) -> Clock:
    """The clock of a recording."""
    return Clock(found.origin, found.seconds, found.utc_offset_s, dated)


def rate_text(rate: float) -> str:
    """`61.4/s`; three digits."""
    return f"{_three(rate)}/s"


def _three(number: float) -> str:
    """A number to three digits, as people write it."""
    return words.count(float(f"{number:.3g}"))


def many(number: float, word: str) -> str:
    """`1 request`, `3.1 requests`, `10,000 requests`."""
    return f"{words.count(number)} {word if number == 1 else word + 's'}"


def share_text(share: float) -> str:
    """`54.1 %`, `<0.01 %`, `–` for nothing."""
    if share <= 0.0:
        return words.NONE
    percent = 100.0 * share
    if percent < 0.01:
        return "<0.01 %"
    text = f"{percent:.3g}"
    return (
        f"{text} %"
        if text != "100" or share >= 1.0
        else f"{min(99.99, math.floor(percent * 100.0) / 100.0)} %"
    )


def span_text(seconds: float) -> str:
    """A length of time in its two largest units: `3 d 11 h`, `10 min`, `2.5 s`."""
    if seconds < 60.0:
        return f"{seconds:.3g} s"
    left, parts = round(seconds), list[str]()
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or parts:
            number, left = divmod(left, size)
            parts.append(f"{number} {name}" if number else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def size_text(size: float) -> str:
    """`512 B`, `10.3 KiB`, `1.1 MiB`."""
    unit = 0
    while size >= 1000.0 and unit < 4:
        size, unit = size / 1024.0, unit + 1
    return f"{size:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def view(found: Profile, *, plain: bool = False) -> str:
    """The screen; `plain` keeps its chart to ASCII."""
    clock = clock_of(found)
    parts: list[str] = [_heading(found), "\n".join(_chart(found, clock, plain))]
    parts.append("\n".join([*_rate(found, clock), *_bursts(found, clock)]))
    if found.visitors is not None:
        parts[-1] += "\n" + "\n".join(_visitors(found.visitors, clock))
    if found.mix is not None:
        parts[-1] += "\n" + "\n".join(_answers(found.mix))
        parts.append("\n".join(_classes(found.mix)))
    parts.append("\n".join(_row("note", note) for note in found.notes))
    return "\n\n".join(parts) + "\n"


def _heading(found: Profile) -> str:
    clock = clock_of(found, dated=True)
    requests = many(round(found.requests), "request")
    name = click.style("".join(c if c.isprintable() else "?" for c in found.source), bold=True)
    lines = [f"{name} · {requests} in {span_text(found.seconds)}"]
    read = (
        f"{words.count(found.lines)} {_ONE.get(found.unit, found.unit) if found.lines == 1 else found.unit}"
    )
    if found.kind == "accesslog":
        read += f", {words.count(found.damaged)} damaged"
    if found.without_request:
        read += f", {words.count(found.without_request)} without a request"
    when = ""
    if found.origin is not None:
        last = max(0.0, found.seconds - found.step_s)
        when = f"{clock.at(0.0).removesuffix(' ' + clock.zone)} to {clock_of(found).at(last)} {clock.zone}; "
    lines.append(textwrap.fill(when + read, WIDTH))
    if found.holes is not None:
        holes = words.plural(found.holes.number, "hole")
        text = (
            f"{holes} of up to {span_text(found.holes.longest_s)}; "
            f"figures are of the {span_text(found.seconds - found.holes.total_s)} outside them"
        )
        lines.append(textwrap.fill(text, WIDTH))
    return "\n".join(lines)


def _chart(found: Profile, clock: Clock, plain: bool) -> list[str]:
    """The rate over time: bars of eighths of a row for the mean, shade up to the busiest step of a column."""
    columns, blocks, shade = found.columns, BLOCKS, SHADE
    if plain:
        blocks, shade = PLAIN_BLOCKS, PLAIN_SHADE
    top = float(columns.peaks.max())
    if top <= 0.0:
        return ["nothing came"]
    wide = max(1, CHART_COLUMNS // len(columns.means))
    margin = max(len(rate_text(top)), 4)
    lines = [_legend(found, columns, blocks[-1], shade)]
    for row in reversed(range(CHART_ROWS)):
        cells = [
            _cell(
                8.0 * CHART_ROWS * mean / top - 8.0 * row, 8.0 * CHART_ROWS * peak / top - 8.0 * row, row == 0
            )
            for mean, peak in zip(columns.means.tolist(), columns.peaks.tolist(), strict=True)
        ]
        bars = "".join((shade if cell < 0 else blocks[cell]) * wide for cell in cells)
        label = rate_text(top) if row == CHART_ROWS - 1 else "0" if row == 0 else ""
        lines.append(f"{label:>{margin}} {bars}".rstrip())
    marks = [(0.0, "<"), (0.5, "^"), (1.0, ">")]
    lines.append(" " * (margin + 1) + _axis(clock, found.seconds, len(columns.means) * wide, marks))
    return lines


def _cell(mean: float, peak: float, bottom: bool) -> int:
    """Eighths of a cell that the mean fills, -1 for shade."""
    filled = min(8, max(0, round(mean)))
    if bottom and mean > 0.0:
        filled = max(1, filled)
    return -1 if filled == 0 and peak >= 4.0 else filled


def _legend(found: Profile, columns: Columns, full: str, shade: str) -> str:
    text = f"requests per second, a column is {span_text(columns.step_s)}: {full} mean"
    if columns.step_s > found.step_s:
        what = "second" if found.step_s == 1.0 else span_text(found.step_s)
        text += f", {shade} busiest {what} in it"
    return text


def _axis(clock: Clock, seconds: float, width: int, marks: Sequence[tuple[float, str]]) -> str:
    """Times below a chart: at its left, in its middle, at its right, as far as there is room."""
    line = ""
    for share, side in marks:
        text = clock.short(share * seconds)
        at = {"<": 0, "^": (width - len(text)) // 2, ">": width - len(text)}[side]
        if not line or at > len(line) + 1:
            line = line.ljust(at) + text
    return line


def _rate(found: Profile, clock: Clock) -> list[str]:
    rates, step = found.rates, "second" if found.step_s == 1.0 else f"step of {span_text(found.step_s)}"
    peak = f"peak {rate_text(rates.peak.rate)} ({clock.at(rates.peak.begin_s)})"
    lines = [_row("rate", f"mean {rate_text(rates.mean)}, p99 of a {step} {rate_text(rates.p99)}, {peak}")]
    if rates.minute is not None:
        minute = rates.minute
        text = f"busiest minute {rate_text(minute.rate)}, from {clock.at(minute.begin_s)}"
        lines.append(_row("", text))
    return lines


def _bursts(found: Profile, clock: Clock) -> list[str]:
    bursts = found.bursts
    lines = []
    if bursts.dispersion is not None:
        step = "second" if found.step_s == 1.0 else span_text(found.step_s)
        text = f"index of dispersion by {step} {_three(bursts.dispersion)}"
        if bursts.within_minute is not None:
            text += f", within minutes {_three(bursts.within_minute)}"
        lines.append(f"{text} (Poisson: 1)")
    lines.append(_rise(bursts.rise, clock))
    lines.append(_wave(bursts.wave, bursts.more_waves, clock))
    return [_row("bursts" if i == 0 else "", text) for i, text in enumerate(lines)]


def _rise(rise: Rise | None, clock: Clock) -> str:
    if rise is None:
        return "no rise that chance would not explain"
    low, high = rate_text(rise.low), rate_text(rise.high)
    means = f" (means of {span_text(rise.step_s)})" if rise.step_s > 1.0 else ""
    return f"steepest rise {low} to {high} in {span_text(rise.seconds)}, at {clock.at(rise.begin_s)}{means}"


def _wave(wave: Wave | None, more: int, clock: Clock) -> str:
    if wave is None:
        return "no wave: nothing reaches twice what is usual around it"
    text = f"largest wave {rate_text(wave.base)} to {rate_text(wave.peak)}"
    begins = "before the recording" if wave.begin_s is None else clock.at(wave.begin_s)
    ends = "after the recording" if wave.end_s is None else clock.at(wave.end_s)
    text += f", begins {begins}, peaks {clock.at(wave.peak_s)}, ends {ends}"
    if wave.seconds is not None:
        text += f" ({span_text(wave.seconds)})"
    if more:
        text += f"; {more} more at least half as high"
    return text


def _visitors(found: Visitors, clock: Clock) -> list[str]:
    visits = many(found.visits, "visit")
    gap = "" if found.between_requests_s is None else f", {_three(found.between_requests_s)} s apart (median)"
    mean = _three(found.at_once_mean)
    requests = many(float(f"{found.requests_per_visit:.3g}"), "request")
    single = share_text(found.single_visitors) if found.single_visitors else "none"
    lines = [
        f"{words.count(found.visitors)} in {visits}: {requests} each{gap}",
        f"at once, within 60 s of a request: mean {mean}, peak {words.count(found.at_once_peak)} "
        f"({clock.at(found.at_once_peak_s)})",
        f"{single} made one request alone; the busiest made {share_text(found.largest_share)} of all",
    ]
    return [_row("visitors" if i == 0 else "", text) for i, text in enumerate(lines)]


def _answers(mix: Mix) -> list[str]:
    """Status by hundreds, the most frequent errors by their own number; sizes; methods."""
    hundreds: dict[int, float] = {}
    for status, share in mix.statuses.items():
        hundreds[status // 100] = hundreds.get(status // 100, 0.0) + share
    texts = []
    for hundred, share in sorted(hundreds.items()):
        name = f"{hundred}xx" if hundred else "none"
        texts.append(f"{name} {share_text(share)}{_errors(mix, hundred, share)}")
    size, took = mix.size_bytes, mix.duration_s
    figures = [("mean", size.mean), ("p50", size.p50), ("p99", size.p99)]
    lines = [", ".join(texts), "size: " + ", ".join(f"{name} {size_text(x)}" for name, x in figures)]
    if took is not None:
        times = [("mean", took.mean), ("p50", took.p50), ("p95", took.p95), ("p99", took.p99)]
        lines.append("time: " + ", ".join(f"{name} {words.milliseconds(1e3 * x)}" for name, x in times))
    methods = [f"{name} {share_text(share)}" for name, share in mix.methods.items()][:6]
    rows = [_row("" if i else "answers", line) for i, line in enumerate(lines)]
    return [*rows, _row("methods", ", ".join(methods))]


def _errors(mix: Mix, hundred: int, share: float) -> str:
    """` (404 2.13 %, 403 0.5 %)`: the statuses that make up the most of a hundred of errors."""
    found = {status: part for status, part in mix.statuses.items() if status // 100 == hundred >= 4}
    if len(found) == 1:
        return f" (all {next(iter(found))})"
    named = [f"{status} {share_text(part)}" for status, part in found.items() if part >= 0.1 * share]
    return f" ({', '.join(named[:_NAMED_STATUSES])})" if named else ""


def _classes(mix: Mix) -> list[str]:
    name = min(24, max(len("class"), *(len(c.name) for c in mix.classes)))
    by_share = sorted(mix.classes, key=lambda c: (not c.patterns, -c.share))
    lines = [f"{'class':<{name}}  {'share':>7}  {'4xx':>7}  {'5xx':>7}  most often"]
    for c in by_share:
        shares = "  ".join(f"{share_text(x):>7}" for x in (c.share, c.answered_4xx, c.answered_5xx))
        example = f"{c.method} {c.example}" if c.example else f"{c.method} (what no pattern matches)"
        lines.append(_cut(f"{_cut(c.name, name):<{name}}  {shares}  {example}", WIDTH))
    return lines


def _row(label: str, text: str) -> str:
    """A label and its text, which is not broken before a `%` or a last figure in brackets."""
    first, later = label.ljust(LABEL), " " * LABEL
    return textwrap.fill(
        text.replace(" %", "\xa0%").replace(": 1)", ":\xa01)"),
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
    ).replace("\xa0", " ")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
