"""The form of a log's lines: which fields they have, and the regular expressions that find them, made from a format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from seawall.fleet.errors import InputError
from seawall.traffic.logs.requestline import Unescape, unescaped
from seawall.traffic.logs.stamps import read_stamp, strftime_reader

Stamp = Literal["arrival", "end"]
ReadStamp = Callable[[bytes], tuple[float, int] | None]


class Role(Enum):
    """What a field is for."""

    STAMP = auto()
    """A time as text."""
    FRACTION = auto()
    """The part of a second that a stamp leaves out."""
    EPOCH = auto()
    """A time as a number since 1970."""
    REQUEST = auto()
    """The whole request line."""
    METHOD = auto()
    TARGET = auto()
    """A path, with its query or without."""
    QUERY = auto()
    """What comes after a path: a query, or the `?` before it."""
    STATUS = auto()
    SIZE = auto()
    DURATION = auto()
    ADDRESS = auto()
    USER = auto()
    AGENT = auto()
    COOKIE = auto()
    """One cookie, by name; or, without a name, `name=value`."""
    COOKIES = auto()
    """The header Cookie."""
    HEADER = auto()
    """Any other request header."""
    MORE = auto()
    """What comes after the fields that are known."""
    OTHER = auto()
    """Nothing that is of use here."""


NUMBERS = frozenset((Role.EPOCH, Role.STATUS, Role.SIZE, Role.DURATION))
_SESSION_ROLES = frozenset((Role.COOKIE, Role.COOKIES, Role.HEADER))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a format: its text there, what it is for, and how it looks where it is not in quotes."""

    text: str
    role: Role = Role.OTHER
    name: str = ""
    """Name of the header (in small letters) or cookie."""
    scale: float = 1.0
    """Seconds in one unit of a number."""
    pattern: bytes = b""
    """What it looks like; empty: any text up to what follows."""
    strftime: bytes = b""
    """Of a stamp written by strftime: its pattern with named parts."""


@dataclass(frozen=True, slots=True, eq=False)
class LineFormat:
    """How lines of one format are read. All expressions find the same groups, one for each of `fields`."""

    name: str
    fields: tuple[Field, ...]
    whole: re.Pattern[bytes]
    """Whole lines, damaged or not as their server writes them; with MULTILINE, and never beyond a line's end."""
    fast: tuple[re.Pattern[bytes], ...] = ()
    """Quicker ones for lines without a backslash. They may run over a line's end: they hold where they find as
    many matches, each from a line's beginning to a line's end, as there are lines."""
    cut: re.Pattern[bytes] | None = None
    """Lines that are cut off, or that have more fields; its group `end` is there where nothing is missing."""
    prefixes: tuple[tuple[str, bytes], ...] = ()
    """For each field an expression of the format's beginning up to it, longest first."""
    stamp: Stamp = "arrival"
    read_stamp: ReadStamp = read_stamp
    unescape: Unescape = unescaped
    expected: str = ""
    """What its lines look like, for a message."""

    def places(self, *roles: Role) -> list[int]:
        """Which groups have one of these roles."""
        return [i for i, known in enumerate(self.fields) if known.role in roles]

    def fits(self, line: bytes) -> str:
        """The last field up to which a line fits the format; empty where not even the first does."""
        return next((text for text, prefix in self.prefixes if re.match(prefix, line)), "")


Part = bytes | Field
"""A piece of a format: text as it stands, or a field."""

WORD = rb"[^ \t\n]+"
"""The pattern of a field without blanks."""

_QUOTED = rb'[^"\\\n]*(?:\\.[^"\\\n]*)*'
_LAZY = {Role.USER: rb"[^\n]{0,256}?", Role.REQUEST: rb"[^\n]{0,8192}?", Role.AGENT: rb"[^\n]{0,1024}?"}
_LIST = rb"[^ \t\n]*(?:(?:, | : )[^ \t\n]*)*"
"""A word, or several as X-Forwarded-For and $upstream_response_time have them."""
_REST = rb"(?P<rest>(?:[^0-9A-Za-z\n][^\n]*)?)$"


def line_format(name: str, parts: Sequence[Part], stamp: Stamp, session_fields: bool = False) -> LineFormat:
    """A format made of parts; `session_fields`: whether cookies and headers are read too.

    Raises InputError where it has no time or no request, or two fields touch that cannot be told apart.
    """
    parts = _parts_together(parts)
    used = _used(name, [part for part in parts if isinstance(part, Field)], session_fields)
    bodies = [_body(parts, i) if isinstance(part, Field) else b"" for i, part in enumerate(parts)]
    taken = [isinstance(part, Field) and part in used for part in parts]
    pieces = [
        re.escape(part) if isinstance(part, bytes) else (b"(" + body + b")" if take else b"(?:" + body + b")")
        for part, body, take in zip(parts, bodies, taken, strict=True)
    ]
    quick = _fast(parts, taken)
    return LineFormat(
        name=name,
        fields=tuple(
            part for part, take in zip(parts, taken, strict=True) if take and isinstance(part, Field)
        ),
        whole=re.compile(b"^" + b"".join(pieces) + b"$", re.MULTILINE),
        fast=() if quick is None else (re.compile(quick, re.MULTILINE),),
        cut=_cut(parts, pieces),
        prefixes=tuple(
            (part.text, b"".join(pieces[: i + 1]))
            for i, part in reversed(list(enumerate(parts)))
            if isinstance(part, Field)
        ),
        stamp=stamp,
        read_stamp=_stamp_reader([part for part in used if part.role is Role.STAMP]),
        expected=f"the format {name} does not describe it",
    )


def _parts_together(parts: Sequence[Part]) -> list[Part]:
    """The parts with neighbouring texts in one, and no empty ones."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        elif part:
            joined.append(part)
    return joined


def _used(name: str, fields: list[Field], session_fields: bool) -> list[Field]:
    """The fields that are read, each role in its best form."""
    found = {role: [f for f in fields if f.role is role] for role in Role}
    if found[Role.EPOCH]:
        finest = min(f.scale for f in found[Role.EPOCH])
        found[Role.EPOCH] = [f for f in found[Role.EPOCH] if f.scale == finest][:1]
        found[Role.STAMP] = []
        found[Role.FRACTION] = found[Role.FRACTION][:1] if finest == 1.0 else []
    elif not found[Role.STAMP]:
        raise InputError(f"the format {name} has no time; write it with %t (Apache) or $time_local (nginx)")
    if any(not f.strftime for f in found[Role.STAMP]):
        found[Role.STAMP] = [f for f in found[Role.STAMP] if not f.strftime][:1]
    if found[Role.REQUEST]:
        found[Role.METHOD], found[Role.TARGET], found[Role.QUERY] = [], [], []
    elif not found[Role.METHOD] or not found[Role.TARGET]:
        raise InputError(
            f'the format {name} has no request; write it with "%r" (Apache) or "$request" (nginx)'
        )
    found[Role.DURATION].sort(key=lambda f: f.scale)
    for role in (
        Role.FRACTION,
        Role.REQUEST,
        Role.METHOD,
        Role.TARGET,
        Role.STATUS,
        Role.SIZE,
        Role.DURATION,
    ):
        found[role] = found[role][:1]
    for role in (Role.OTHER, *(() if session_fields else _SESSION_ROLES)):
        found[role] = []
    return [f for fields in found.values() for f in fields]


def _stamp_reader(stamps: list[Field]) -> ReadStamp:
    """What reads the stamp, or the parts of it with a NUL between them."""
    patterns = [f.strftime for f in stamps if f.strftime]
    return strftime_reader(rb"\0".join(patterns)) if patterns else read_stamp


def _body(parts: Sequence[Part], i: int) -> bytes:
    """What the field at a place looks like there, by what is around it."""
    part = parts[i]
    assert isinstance(part, Field)
    before = parts[i - 1] if i else b""
    after = parts[i + 1] if i + 1 < len(parts) else None
    if part.pattern and part.role in (Role.STAMP, Role.FRACTION, *NUMBERS):
        return part.pattern
    if (
        isinstance(before, bytes)
        and isinstance(after, bytes)
        and before.endswith(b'"')
        and after.startswith(b'"')
    ):
        return _QUOTED
    if isinstance(after, Field) and part.pattern in (b"", WORD):
        raise InputError(
            f"{part.text} and {after.text} touch in the format, and cannot be told apart; put a blank between them"
        )
    if part.pattern:
        return part.pattern
    if after is None or isinstance(after, Field):
        return rb"[^\n]*"
    if after[:1] not in b" \t":
        return b"[^" + re.escape(after[:1]) + rb"\n]*"
    return _LAZY.get(part.role, _LIST)


def _fast(parts: Sequence[Part], taken: Sequence[bool]) -> bytes | None:
    """The same from plain runs of `anything but the next byte`, which `re` is quickest at; None where fields touch."""
    pieces = [b"^"]
    for i, part in enumerate(parts):
        if isinstance(part, bytes):
            pieces.append(re.escape(part))
            continue
        after = parts[i + 1] if i + 1 < len(parts) else b"\n"
        if isinstance(after, Field):
            return None
        body = b"[^" + re.escape(after[:1]) + b"]*"
        if part.role is Role.STAMP and after[:1] not in b'"]':
            body = part.pattern  # with blanks in it
        pieces.append(b"(" + body + b")" if taken[i] else body)
    return b"".join([*pieces, rb"\n"])


def _cut(parts: Sequence[Part], pieces: Sequence[bytes]) -> re.Pattern[bytes]:
    """Lines that lack fields at their end, down to the last that cannot be done without; or that have more."""
    needed = {Role.STAMP, Role.FRACTION, Role.EPOCH, Role.REQUEST, Role.METHOD, Role.TARGET, Role.STATUS}
    last = max(i for i, part in enumerate(parts) if isinstance(part, Field) and part.role in needed)
    required, rest = list(pieces[: last + 1]), list(pieces[last + 1 :])
    if rest and rest[0].startswith(b'"'):
        # A field in quotes is whole only with the second one.
        required.append(b'"')
        rest[0] = rest[0][1:]
    optional = b"(?P<end>)"
    for piece in reversed(rest):
        optional = b"(?:" + piece + optional + b")?"
    return re.compile(b"^" + b"".join(required) + optional + _REST)
