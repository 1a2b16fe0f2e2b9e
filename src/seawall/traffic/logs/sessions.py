"""Who made a request: the visitor by the user, the address, a cookie or a header, as a number and nothing else."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from seawall.fleet.errors import InputError
from seawall.traffic.logs.known import Known, lengths
from seawall.traffic.logs.lineformat import LineFormat, Role

NOBODY = frozenset((b"-", b"", b'""'))
"""What stands in a log where there is no user, cookie or header."""

_GENERATION = 48 << 20
"""Room for some 120,000 visitors told by address and agent."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What tells visitors apart; `name` is that of the cookie or header."""

    kind: Literal["auto", "user", "address", "cookie", "header"] = "auto"
    name: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_session_key(text: str) -> SessionKey:
    """Read `auto`, `user`, `address`, `cookie:NAME` or `header:NAME`; InputError for anything else."""
    kind, colon, name = text.strip().partition(":")
    if kind in ("auto", "user", "address") and not colon:
        return SessionKey(kind)  # type: ignore[arg-type]
    if kind in ("cookie", "header") and _NAME.fullmatch(name):
        return SessionKey(kind, name)  # type: ignore[arg-type]
    raise InputError(
        f"{text!r} is nothing to tell visitors apart by; "
        "write user, address, cookie:NAME, header:NAME, or auto (the user, else address and agent)"
    )


class Visitors:
    """Numbers visitors in the order in which they are first seen, in bounded memory.

    One who has not been seen while some 120,000 others came, or more, is a new visitor.
    """

    def __init__(self) -> None:
        self._known: Known[Hashable] = Known(_GENERATION, self._new, _weigh)
        self.count = 0

    def _new(self, keys: Sequence[Hashable]) -> range:
        self.count += len(keys)
        return range(self.count - len(keys), self.count)

    def numbers(self, keys: Sequence[Hashable | None]) -> list[int]:
        """The number of each visitor; None is somebody seen only once."""
        if None in keys:
            return [self.number(key) for key in keys]
        return self._known.numbers(keys)

    def number(self, key: Hashable | None) -> int:
        """The number of one visitor."""
        return self._new((None,))[0] if key is None else self._known.number(key)


def _weigh(keys: Iterable[Hashable]) -> int:
    """About how many bytes keys have: texts, or several of them together."""
    return sum(40 * len(key) + lengths(key) if isinstance(key, tuple) else len(key) for key in keys)  # type: ignore[misc,arg-type]


class Teller:
    """Tells from the groups of a format's lines who made each request.

    Raises InputError where the format lacks what the key asks for.
    """

    def __init__(self, form: LineFormat, key: SessionKey) -> None:
        self._key = key
        self._addresses = form.places(Role.ADDRESS)
        self._users = form.places(Role.USER)[:1]
        self._agents = form.places(Role.AGENT)[:1]
        self._own = _places(form, key)
        if key.kind not in ("auto", "user", "address") and not self._own:
            raise InputError(f"the format {form.name} holds no {key.kind} {key.name}; {_has(form)}")
        if (key.kind == "user" and not self._users) or (key.kind == "address" and not self._addresses):
            raise InputError(f"the format {form.name} holds no {key.kind}; {_has(form)}")

    def keys(self, groups: Sequence[Sequence[bytes]], n: int) -> Sequence[Hashable | None]:
        """A key for each of n lines, None where nothing tells the visitor; equal keys are one visitor."""
        keys: Sequence[Hashable | None] = [None] * n
        if self._addresses:
            agents = [] if self._key.kind == "address" else self._agents
            columns = [groups[i] for i in (*self._addresses, *agents)]
            keys = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        if self._users and self._key.kind != "address":
            users = groups[self._users[0]]
            if not NOBODY.issuperset(users):
                keys = [k if u in NOBODY else (b"user", u) for k, u in zip(keys, users, strict=True)]
        for i in self._own:
            keys = [(b"own", v) if v else k for k, v in zip(keys, self._values(groups[i], i), strict=True)]
        return keys

    def _values(self, texts: Sequence[bytes], place: int) -> list[bytes | None]:
        """The values of the cookie or header that was asked for, None where there is none."""
        if self._own[place] == Role.HEADER:
            return [None if text in NOBODY else text for text in texts]
        if self._own[place] == Role.COOKIES:
            return [cookie(text, self._key.name) for text in texts]
        start = f"{self._key.name}=".encode()
        return [text.removeprefix(start) if text.startswith(start) else None for text in texts]


def _places(form: LineFormat, key: SessionKey) -> dict[int, Role]:
    """Which groups hold what the key asks for, and how: HEADER as it is, COOKIES in a list, COOKIE after its name."""
    found: dict[int, Role] = {}
    for i, known in enumerate(form.fields):
        if key.kind == "cookie" and known.role is Role.COOKIE and known.name in (key.name, ""):
            found[i] = Role.HEADER if known.name else Role.COOKIE
        elif key.kind == "cookie" and known.role is Role.COOKIES:
            found[i] = Role.COOKIES
        elif key.kind == "header" and known.name == key.name.lower() and known.role is not Role.COOKIE:
            found[i] = Role.HEADER
    return found


def _has(form: LineFormat) -> str:
    """What a format has to tell visitors apart by."""
    has = {
        Role.USER: "user",
        Role.ADDRESS: "address",
        Role.COOKIE: "cookie:",
        Role.COOKIES: "cookie:NAME",
        Role.HEADER: "header:",
    }
    texts = [
        has[f.role] + (f.name if has[f.role].endswith(":") else "") for f in form.fields if f.role in has
    ]
    return f"it has {', '.join(dict.fromkeys(texts))}" if texts else "it has nothing of the kind"


def cookie(header: bytes, name: str) -> bytes | None:
    """The value of one cookie of a Cookie header, None where it has none."""
    start = f"{name}=".encode()
    for pair in header.split(b";"):
        pair = pair.strip()
        if pair.startswith(start):
            return pair[len(start) :] or None
    return None
