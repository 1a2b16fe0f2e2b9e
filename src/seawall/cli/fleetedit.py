"""Puts recorded traffic into a fleet file, by its text: whatever else stands in it stays as it was written."""

from __future__ import annotations

import copy
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seawall.cli.trafficblock import Block, class_lines
from seawall.fleet.errors import InputError
from seawall.fleet.initial_text import scalar
from seawall.fleet.reader import FleetSource, complete, read_fleet, source_from_text, variants
from seawall.fleet.yamlfile import read_text
from seawall.record import words

SOURCES = ("users", "arrivals", "recorded")
"""What comes, under `traffic`: a recording takes the place of them all."""

_Keys = list[tuple[yaml.Node, yaml.Node]]


@dataclass(frozen=True, slots=True)
class Edited:
    """A fleet file's new text, and what was done to it, one sentence each."""

    text: str
    done: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """A piece of the text, by its first and last index, and what takes its place."""

    begin: int
    end: int
    text: str


def put_traffic(path: Path, block: Block) -> Edited:
    """The text of the fleet file at `path` with the block's traffic, and its classes where there is room.

    `users`, `arrivals` and `recorded` make room for it; clients stay. The classes take the place of a single one
    without patterns, and have what that costs. Assumptions about what is gone go too. Raises InputError where
    the file is no fleet, is written in a way that cannot be changed by its text, or would be no fleet then.
    """
    old = read_fleet(path)
    if "traffic" in old.data:
        _check(old)
    text = read_text(path)
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    if not isinstance(root, yaml.MappingNode) or _in_braces(root):
        raise _by_hand(path, "it is written as one mapping in braces")
    lines = _Lines(text)
    changes, done, gone = _traffic(path, lines, root, block)
    more, said, name = _classes(lines, root, block)
    gone += [f"service.requests.{name}"] if name else []
    changes += more + _assumptions(path, lines, root, gone)
    for change in sorted(changes, key=lambda c: c.begin, reverse=True):
        text = text[: change.begin] + change.text + text[change.end :]
    if "\r\n" in text:
        text = re.sub(r"\r?\n", "\r\n", text)
    try:
        new = source_from_text(text, str(path), path.parent)
        if _rest(new.data, name is not None) != _rest(old.data, name is not None):
            raise _by_hand(path, "something else in it would change")
        _check(new)
    except InputError as error:
        message = f"with this traffic it would not be a fleet, and nothing was written: {error.message}"
        raise InputError(message, file=path) from error
    return Edited(text, tuple(done + said))


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there already, whole or not at all; InputError where it cannot be written."""
    target = path.resolve()
    name = ""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot be written: {error.strerror}", file=path) from error
        raise


def _check(source: FleetSource) -> None:
    for variant in variants(source):
        complete(source, variant)


def _by_hand(path: Path, why: str) -> InputError:
    return InputError(f"cannot be changed by its text, as {why}; print the block with --block", file=path)


def _rest(data: dict[str, Any], classes: bool) -> dict[str, Any]:
    """What an edit must leave as it is."""
    rest = copy.deepcopy(data)
    rest.pop("assumptions", None)
    traffic = {k: v for k, v in (rest.pop("traffic", None) or {}).items() if k not in SOURCES}
    if classes:
        rest["service"].pop("requests")
    return {**rest, "traffic": traffic}


# ------------------------------------------------------------------------------------------ the text by lines


class _Lines:
    """A text and where its lines begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begins = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, line: int) -> int:
        """The index where a line (from 0) begins; the end of the text for one that is not there."""
        return self.begins[line] if line < len(self.begins) else len(self.text)

    def line(self, line: int) -> str:
        return self.text[self.at(line) : self.at(line + 1)]

    def is_comment(self, line: int, column: int, *, exactly: bool = False) -> bool:
        """Whether a line holds a comment alone that stands at `column`, or (but for `exactly`) further right."""
        text = self.line(line)
        at = len(text) - len(text.lstrip())
        return text.lstrip().startswith("#") and (at == column if exactly else at >= column)

    def span(self, key: yaml.Node, value: yaml.Node, *, above: bool) -> tuple[int, int]:
        """The lines of a key and its value in a block mapping, as (first, beyond the last).

        Comments below that are indented further than the key belong to it, and with `above` those right above.
        """
        column, first = key.start_mark.column, key.start_mark.line
        beyond = _last_line(key, value) + 1
        while beyond < len(self.begins) and self.is_comment(beyond, column + 1):
            beyond += 1
        while above and first > 0 and self.is_comment(first - 1, column, exactly=True):
            first -= 1
        return first, beyond


def _last_line(key: yaml.Node, value: yaml.Node) -> int:
    """The line (from 0) on which a value ends; a block's own end mark stands where the next token begins."""
    if isinstance(value, yaml.MappingNode) and not _in_braces(value) and value.value:
        return _last_line(*value.value[-1])
    if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
        return _last_line(value.value[-1], value.value[-1])
    if value.start_mark.index == value.end_mark.index:
        return int(key.end_mark.line)
    end = value.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > value.start_mark.line else end.line)


def _entry(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and the value of that name in a mapping, None where there is none."""
    pairs: _Keys = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((key, value) for key, value in pairs if key.value == name), None)


def _is_own(key: yaml.Node, value: yaml.Node) -> bool:
    """Whether a value is written where it stands: an alias has the place of what it names."""
    return bool(value.start_mark.index >= key.end_mark.index)


def _in_braces(value: yaml.Node) -> bool:
    return isinstance(value, yaml.CollectionNode) and bool(value.flow_style)


def _slice(lines: _Lines, value: yaml.Node) -> str:
    return lines.text[value.start_mark.index : value.end_mark.index]


# ------------------------------------------------------------------------------------------------- the changes


def _traffic(
    path: Path, lines: _Lines, root: yaml.MappingNode, block: Block
) -> tuple[list[_Change], list[str], list[str]]:
    """The changes to `traffic`, what they do, and the paths of what is gone."""
    found = _entry(root, "traffic")
    if found is None:
        end = "" if not lines.text or lines.text.endswith("\n") else "\n"
        added = f"{end}\ntraffic:\n" + _below(block.traffic, 2)
        return (
            [_Change(len(lines.text), len(lines.text), added)],
            ["traffic was added, with the recording"],
            [],
        )
    key, value = found
    if not _is_own(key, value):
        raise _by_hand(path, "its traffic is an alias")
    pairs: _Keys = value.value if isinstance(value, yaml.MappingNode) else []
    gone = [(k, v) for k, v in pairs if k.value in SOURCES]
    kept = [(k, v) for k, v in pairs if k.value not in SOURCES]
    names = words.listed([f"traffic.{k.value}" for k, _ in gone])
    done = [f"the recording takes the place of {names}" if gone else "the recording was added to traffic"]
    paths = [f"traffic.{k.value}" for k, _ in gone]
    if not pairs or _in_braces(value):
        first, beyond = lines.span(key, value, above=False)
        whole = [f"{k.value}: {_slice(lines, v)}" for k, v in kept]
        text = "traffic:\n" + _below([*whole, *block.traffic], 2)
        return [_Change(lines.at(first), lines.at(beyond), text)], done, paths
    column = pairs[0][0].start_mark.column
    changes = []
    for k, v in gone:
        first, beyond = lines.span(k, v, above=True)
        changes.append(_Change(lines.at(first), lines.at(beyond), ""))
    new = _below(block.traffic, column)
    if changes:
        changes[0] = _Change(changes[0].begin, changes[0].end, new)
        return changes, done, paths
    _, beyond = lines.span(*pairs[-1], above=False)
    return [_insert(lines, beyond, new)], done, paths


def _insert(lines: _Lines, line: int, text: str) -> _Change:
    at = lines.at(line)
    end = "" if at == 0 or lines.text[at - 1] == "\n" else "\n"
    return _Change(at, at, end + text)


def _below(block: Sequence[str], column: int) -> str:
    return "".join(f"{' ' * column}{line}\n" for line in block)


def _classes(
    lines: _Lines, root: yaml.MappingNode, block: Block
) -> tuple[list[_Change], list[str], str | None]:
    """The changes to `service.requests`, what they do, and the name of the class that is gone."""
    if not block.classes:
        return [], [], None
    service = _entry(root, "service")
    found = _entry(service[1], "requests") if service is not None else None
    if found is None or not isinstance(found[1], yaml.MappingNode):
        return [], [], None
    key, value = found
    own = not _in_braces(value) and _is_own(key, value)
    if any(_entry(v, "match") is not None for _, v in value.value):
        return [], ["service.requests stays as it is: it has patterns of its own"], None
    if not own or len(value.value) != 1 or not _is_own(*value.value[0]):
        text = (
            "service.requests stays as it is; put the classes that --block shows there to tell requests apart"
        )
        return [], [text], None
    name, costs = value.value[0]
    first, beyond = lines.span(name, costs, above=False)
    text = _with_costs(lines, block, name, costs, beyond)
    numbers = words.plural(len(block.classes), "class").replace("classs", "classes")
    said = f"service.requests has {numbers} of the log in place of {name.value}, each with the costs of that"
    return [_Change(lines.at(first), lines.at(beyond), text)], [said], str(name.value)


def _with_costs(lines: _Lines, block: Block, name: yaml.Node, costs: yaml.Node, beyond: int) -> str:
    """The classes, each with what stands in the old one but for its share."""
    column = name.start_mark.column
    pairs: _Keys = costs.value if isinstance(costs, yaml.MappingNode) else []
    if not pairs or _in_braces(costs):
        rest = {str(k.value): _slice(lines, v) for k, v in pairs if k.value != "share"}
        return _below(class_lines((n, {**values, **rest}) for n, values in block.classes), column)
    share = _entry(costs, "share")
    skipped = range(*lines.span(*share, above=False)) if share is not None else range(0)
    body = [
        lines.line(i).rstrip("\r\n")
        for i in range(name.start_mark.line + 1, beyond)
        if i not in skipped and not re.match(r"\s*# *match:", lines.line(i))
    ]
    inner = " " * pairs[0][0].start_mark.column
    text = []
    for class_name, values in block.classes:
        text += [f"{' ' * column}{scalar(class_name)}:"]
        text += [f"{inner}{key}: {value}" for key, value in values.items()]
        text += body
    return "".join(f"{line}\n" for line in text)


def _assumptions(path: Path, lines: _Lines, root: yaml.MappingNode, gone: Sequence[str]) -> list[_Change]:
    """Take out what is assumed of parts that are gone."""
    found = _entry(root, "assumptions")
    if found is None or not isinstance(found[1], yaml.MappingNode):
        return []
    key, value = found
    stale = [(k, v) for k, v in value.value if any(_is_below(str(k.value), path) for path in gone)]
    kept = [(k, v) for k, v in value.value if (k, v) not in stale]
    if not stale:
        return []
    if not _is_own(key, value):
        raise _by_hand(path, "its assumptions are an alias")
    if not kept:
        first, beyond = lines.span(key, value, above=True)
        return [_Change(lines.at(first), lines.at(beyond), "")]
    if _in_braces(value):
        text = ", ".join(f"{_slice(lines, k)}: {_slice(lines, v)}" for k, v in kept)
        return [_Change(value.start_mark.index, value.end_mark.index, f"{{{text}}}")]
    spans = [lines.span(k, v, above=False) for k, v in stale]
    return [_Change(lines.at(first), lines.at(beyond), "") for first, beyond in spans]


def _is_below(path: str, part: str) -> bool:
    return path == part or path.startswith((f"{part}.", f"{part}["))
