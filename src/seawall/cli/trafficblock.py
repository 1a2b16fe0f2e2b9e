"""Recorded traffic as lines of a fleet file: what to replay, the same described, and the classes of requests."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seawall.cli.trafficview import clock_of, many, rate_text, span_text
from seawall.fleet.initial_text import scalar
from seawall.fleet.units import format_seconds
from seawall.traffic.described import described
from seawall.traffic.mix import ClassMix
from seawall.traffic.patterns import OTHER
from seawall.traffic.profile import Part, Profile

WIDTH = 78


@dataclass(frozen=True, slots=True)
class Replay:
    """How a fleet file names the recording: its path (None where it cannot be read again) and options."""

    file: str | None
    options: dict[str, str]
    """Further keys of `recorded`, such as kind and stamp, where they are not the defaults."""


@dataclass(frozen=True, slots=True)
class Block:
    """What to put into a fleet file."""

    traffic: tuple[str, ...]
    """Lines below `traffic:`, without their indentation."""
    classes: tuple[tuple[str, dict[str, str]], ...]
    """Each class of requests and its values as YAML: share and match."""
    wave: str | None
    """The part described, in the language of waves."""
    part: Part

    @property
    def text(self) -> str:
        """The block alone; the classes as a comment, as their place is under `service`."""
        lines = ["traffic:", *_indented(self.traffic)]
        if self.classes:
            lines += [*_comment("the classes that were found, for service.requests; shares are in %:"), "#"]
            lines += [f"# {line}" for line in ("requests:", *_indented(class_lines(self.classes)))]
        return "\n".join(lines) + "\n"


def block_of(found: Profile, part: Part, replay: Replay) -> Block:
    """The lines for a part of a recording, replayed from its file if that can be read again."""
    wave = described(found.counts, part.begin_s, part.seconds)
    recorded = _recorded(found, part, replay) if replay.file is not None else []
    rate = ["arrivals:", *_indented(_quoted("rate: ", wave))] if wave is not None else []
    lines = _comment(_what(found, part))
    if recorded and rate:
        lines += _comment("described instead, in a few straight lines that can be changed at will:")
        lines += [f"# {line}" for line in rate]
    lines += recorded or rate
    classes = found.mix.classes if found.mix is not None else ()
    return Block(tuple(lines), tuple(_class(c) for c in classes if c.name != OTHER or c.patterns), wave, part)


def class_lines(classes: Iterable[tuple[str, dict[str, str]]]) -> list[str]:
    """`name: {share: 43.2, match: [...]}`, a line each."""
    return [
        f"{scalar(name)}: {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}"
        for name, values in classes
    ]


def _class(found: ClassMix) -> tuple[str, dict[str, str]]:
    patterns = ", ".join(json.dumps(pattern, ensure_ascii=False) for pattern in found.patterns)
    return found.name, {"share": f"{100.0 * found.share:.3g}", "match": f"[{patterns}]"}


def _what(found: Profile, part: Part) -> str:
    """Which part it is, in words."""
    where = f"{many(round(part.requests), 'request')} of {span_text(part.seconds)}"
    mean = f"{rate_text(part.rate)} on average"
    if part.seconds >= found.seconds:
        return f"all of the recording: {where}, {mean}"
    clock = clock_of(found, dated=True)
    wave, end = found.bursts.wave, part.begin_s + part.seconds
    holds = (
        wave is not None
        and wave.begin_s is not None
        and wave.end_s is not None
        and part.begin_s <= wave.begin_s
        and wave.end_s <= end
    )
    name = ", which hold the wave" if holds else ""
    return f"{where}{name}, from {clock.at(part.begin_s)}: {mean}"


def _recorded(found: Profile, part: Part, replay: Replay) -> list[str]:
    lines = [f"file: {scalar(str(replay.file))}"]
    lines += [f"{key}: {scalar(value)}" for key, value in replay.options.items()]
    if part.begin_s > 0.0:
        lines.append(f"from: {format_seconds(part.begin_s)}")
    if part.begin_s + part.seconds < found.seconds:
        lines.append(f"for: {format_seconds(part.seconds)}")
    return ["recorded:", *_indented(lines)]


def _quoted(key: str, wave: str) -> list[str]:
    """A wave in double quotes, broken after its steps where it is long: YAML reads the lines as one."""
    whole = f'{key}"{wave}"'.replace(", ", ",\n").replace(" ", "\xa0").replace("\n", " ")
    return [line.replace("\xa0", " ") for line in textwrap.wrap(whole, WIDTH - 8, subsequent_indent="  ")]


def _comment(text: str) -> list[str]:
    lines = textwrap.wrap("".join(c if c.isprintable() else " " for c in text), WIDTH - 4)
    return [f"# {line}" for line in lines]


def _indented(lines: Sequence[str], by: int = 2) -> list[str]:
    return [" " * by + line for line in lines]
