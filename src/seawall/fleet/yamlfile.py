"""YAML and JSON files read within bounds, with the line on which each value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seawall.fleet.errors import InputError

MAX_BYTES = 20 * 1024 * 1024
MAX_NODES = 1_000_000
MAX_DEPTH = 200

Steps = tuple[str | int, ...]

_TEMPLATE = "{{"
_TEMPLATE_ADVICE = "this looks like a template: give what `helm template` makes of it"
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,300})")
_OCTAL = re.compile(r"0o?([0-7]{1,100})")
_HEX = re.compile(r"0x([0-9a-fA-F]{1,100})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,5})?")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(slots=True)
class Place:
    """Where a value stands: its file and line (from 1; of its key, in a mapping), and those of its parts."""

    file: str
    line: int
    parts: dict[str | int, Place] = field(default_factory=dict)

    def find(self, path: Steps) -> Place:
        """The place of `path` below this one, or of the nearest enclosing part that has one."""
        here = self
        for step in path:
            below = here.parts.get(step)
            if below is None:
                return here
            here = below
        return here


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: plain data (dict with str keys, list, str, int, float, bool, None)."""

    data: Any
    lines: Place
    file: str

    def line_of(self, path: Steps) -> int | None:
        """The line of the value at `path`, or of the nearest part that encloses it."""
        return self.lines.find(path).line


def load_documents(source: Path | str, name: str | None = None) -> list[Document]:
    """Read every document of a YAML or JSON file (`source` a Path) or text (a str, called `name` in errors).

    Empty documents are left out. Bounds: `MAX_BYTES` a file, `MAX_NODES` values once aliases are written out,
    `MAX_DEPTH` levels. Only `true` and `false` are truth values: `no` and `On` stay text. Keys are text.
    Errors: InputError with file and line.
    """
    file = name or (shown_path(source) if isinstance(source, Path) else "<text>")
    text = read_text(source, file) if isinstance(source, Path) else source
    if len(text) > MAX_BYTES:
        raise _too_large(file)
    if text.lstrip()[:1] in ("{", "["):
        text = _SURROGATES.sub(_as_one_character, text)
    try:
        return list(_Builder(file).documents(yaml.parse(text, Loader=yaml.CLoader)))
    except InputError as error:
        if _TEMPLATE not in _lines_before(text, error.line):
            raise
        raise InputError(f"{error.message}; {_TEMPLATE_ADVICE}", file=file, line=error.line) from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character {_code(error.character)} cannot stand in YAML; is this a text file?"
        raise InputError(message, file=file, line=line) from None


def read_text(path: Path, name: str | None = None) -> str:
    """The text of a UTF-8 file of at most `MAX_BYTES`. InputError where it cannot be read."""
    file = name or shown_path(path)
    try:
        if path.is_dir():
            raise InputError("is a folder; name a file in it", file=file)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("there is no such file", file=file) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot be read: {reason}", file=file) from None
    if len(raw) > MAX_BYTES:
        raise _too_large(file)
    return decode(raw, file)


def exists(path: Path) -> bool:
    """Whether there is anything at `path`; InputError where that cannot be told."""
    try:
        return path.exists()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=shown_path(path)) from None


def shown_path(path: Path) -> str:
    """A path as a message shows it, cut in the middle where it is very long."""
    text = str(path)
    return text if len(text) <= 300 else f"{text[:150]}...{text[-100:]}"


def decode(raw: bytes, file: str) -> str:
    """`raw` as UTF-8 text, without a byte order mark; InputError with the line of the first bad byte."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = "is not UTF-8 text; give a YAML or JSON file saved as UTF-8"
        raise InputError(message, file=file, line=line) from None


def _too_large(file: str) -> InputError:
    limit = MAX_BYTES // (1024 * 1024)
    return InputError(f"is larger than {limit} MiB; give the manifests of this service alone", file=file)


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> InputError:
    mark = error.problem_mark or error.context_mark
    line = None if mark is None else mark.line + 1
    near = _lines_before(text, line)
    advice = "check its indentation, quotes and brackets"
    if _TEMPLATE in near:
        advice = _TEMPLATE_ADVICE
    elif re.search(r"^ *\t", near, re.MULTILINE):
        advice = "indent with spaces: YAML does not allow tabs there"
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    return InputError(f"is not YAML: {problem}; {advice}", file=file, line=line)


def _as_one_character(match: re.Match[str]) -> str:
    """JSON writes a character beyond U+FFFF as two escapes, YAML as one."""
    high, low = int(match.group(2), 16), int(match.group(3), 16)
    return f"{match.group(1)}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"


def _lines_before(text: str, line: int | None) -> str:
    """The line where reading stopped and two before it: where the cause will be."""
    return "\n".join(text.splitlines()[max(0, (line or 1) - 3) : line])


def _code(character: int | str) -> str:
    return f"U+{character if isinstance(character, int) else ord(character):04X}"


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; `key` waits for its value."""

    data: dict[str, Any] | list[Any]
    place: Place
    anchor: str | None
    size_before: int
    key: str | None = None
    key_line: int = 0
    key_merges: bool = False
    key_places: dict[str, int] = field(default_factory=dict)
    merged: list[tuple[dict[str, Any], Place]] = field(default_factory=list)


class _Builder:
    """Makes plain data of the parser's events, one pass, no recursion, counting what it makes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.size = 0
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, Place, int]] = {}
        self.root: tuple[Any, Place] | None = None

    def documents(self, events: Iterator[Any]) -> Iterator[Document]:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.stack, self.anchors, self.root = [], {}, None
            elif isinstance(event, yaml.DocumentEndEvent):
                if self.root is not None and self.root[0] is not None:
                    yield Document(self.root[0], self.root[1], self.file)
            elif isinstance(event, yaml.NodeEvent):
                mark: Any = event.start_mark
                self._node(event, mark.line + 1)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()

    def _node(self, event: Any, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            data, place, size = self._anchored(str(event.anchor), line)
            self._count(size, line)
            self._put(data, Place(self.file, line, place.parts), line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        else:
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._plain_tag(event.tag, ("map",) if mapping else ("seq",), line)
            if self._expects_key():
                raise self._error("a list or mapping cannot be a key; keys are text", line)
            if len(self.stack) >= MAX_DEPTH:
                raise self._error(f"is nested more than {MAX_DEPTH} levels deep; make it flatter", line)
            before = self.size
            self._count(1, line)
            self.anchors.pop(event.anchor, None)
            self.stack.append(_Open({} if mapping else [], Place(self.file, line), event.anchor, before))

    def _scalar(self, event: Any, line: int) -> None:
        if self._expects_key():
            top = self.stack[-1]
            top.key, top.key_line = event.value, line
            top.key_merges = event.value == "<<" and event.implicit[0]
            if event.value in top.key_places and not top.key_merges:
                first = top.key_places[event.value]
                raise self._error(f"the key {event.value!r} is there twice (first in line {first})", line)
            top.key_places[event.value] = line
            return
        self._count(1, line)
        value = self._value(event, line)
        place = Place(self.file, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, place, 1)
        self._put(value, place, line)

    def _value(self, event: Any, line: int) -> Any:
        text: str = event.value
        if event.tag is None:
            return resolve(text) if event.implicit[0] else text
        kind = self._plain_tag(event.tag, ("str", "int", "float", "bool", "null", "timestamp"), line)
        if kind in ("str", "timestamp", None):
            return text
        value = resolve(text)
        if type(value).__name__.replace("NoneType", "null") == kind or (kind, type(value)) == ("float", int):
            return value
        raise self._error(f"{text!r} is not a value for the tag !!{kind}", line)

    def _plain_tag(self, tag: str | None, allowed: tuple[str, ...], line: int) -> str | None:
        """The short name of a standard tag; any other tag is an error."""
        if tag is None or tag == "!":
            return None
        kind = tag.removeprefix(_TAG)
        if not tag.startswith(_TAG) or kind not in allowed:
            shown = f"!!{kind}" if tag.startswith(_TAG) else tag
            raise self._error(f"the tag {shown} is not allowed here; write the plain value", line)
        return kind

    def _anchored(self, anchor: str, line: int) -> tuple[Any, Place, int]:
        if anchor not in self.anchors:
            raise self._error(f"the alias *{anchor} names nothing that was written before it", line)
        return self.anchors[anchor]

    def _expects_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].data, dict) and self.stack[-1].key is None

    def _count(self, nodes: int, line: int) -> None:
        self.size += nodes
        if self.size > MAX_NODES:
            message = f"holds more than {MAX_NODES:,} values (aliases written out); give less"
            raise self._error(message, line)

    def _put(self, value: Any, place: Place, line: int) -> None:
        if not self.stack:
            self.root = (value, place)
            return
        top = self.stack[-1]
        if isinstance(top.data, list):
            top.place.parts[len(top.data)] = place
            top.data.append(value)
            return
        if top.key is None:
            raise self._error("an alias cannot be a key; keys are text", line)
        if top.key_merges:
            top.merged.extend(self._merge_sources(value, place, line))
        else:
            top.data[top.key] = value
            top.place.parts[top.key] = Place(self.file, top.key_line, place.parts)
        top.key = None

    def _merge_sources(self, value: Any, place: Place, line: int) -> list[tuple[dict[str, Any], Place]]:
        """What `<<:` takes in: a mapping, or a list of mappings."""
        if isinstance(value, dict):
            return [(value, place)]
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return [(item, place.parts[i]) for i, item in enumerate(value)]
        raise self._error("`<<` takes a mapping or a list of mappings", line)

    def _close(self) -> None:
        top = self.stack.pop()
        if isinstance(top.data, dict):
            for data, place in top.merged:
                for key, value in data.items():
                    if key not in top.data:
                        top.data[key] = value
                        top.place.parts[key] = place.parts[key]
        size = self.size - top.size_before
        if top.anchor is not None:
            self.anchors[top.anchor] = (top.data, top.place, size)
        self._put(top.data, top.place, top.place.line)

    def _error(self, message: str, line: int) -> InputError:
        return InputError(message, file=self.file, line=line)


def resolve(text: str) -> Any:
    """The value of a plain scalar: null, true or false, a number, or the text itself.

    YAML 1.2's core rules, with the octal numbers of YAML 1.1 that Kubernetes' own reader takes (`0644`).
    `yes`, `no`, `on`, `off`, dates and `1:30` stay text.
    """
    if text in _NULLS:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INT.fullmatch(text):
        return int(text)
    if match := _OCTAL.fullmatch(text):
        return int(match.group(1), 8)
    if match := _HEX.fullmatch(text):
        return int(match.group(1), 16)
    return float(text) if _FLOAT.fullmatch(text) else text
