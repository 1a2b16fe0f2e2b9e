"""What a wave asks for: methods, paths, headers and bodies, and how they lie in memory for the generator."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall import __version__
from seawall.fleet.errors import InputError
from seawall.load.engine import layout

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Idempotent: a client may send them again on its own (RFC 9110, 9.2.2)."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OURS = ("content-length", "transfer-encoding", "connection")
_OF_BODY = ("content-length", "content-type", "content-encoding", "content-language", "content-location")
"""Headers that a request loses with its body where a redirect makes a GET of it (RFC 9110, 15.4)."""
_AUTHORITY = re.compile(r"(\[[^]]*\]|[^:]*)(?::([0-9]{0,5}))?")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to ask for. `path` holds the query; `headers` come after those that all requests have."""

    method: str = "GET"
    path: str = "/"
    headers: Headers = ()
    body: bytes = b""
    cls: int = 0


def parse_header(text: str) -> tuple[str, str]:
    """Read `Name: value`; InputError where it is none, or one that the generator writes itself."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not name or not set(name) <= _TOKEN:
        raise InputError(f"{text!r} is not a header; write for example 'Accept: application/json'")
    if any(ord(c) < 32 and c != "\t" for c in value):
        raise InputError(f"the header {name} holds a line end or another control character; leave it out")
    if name.lower() in _OURS:
        raise InputError(f"the header {name} is written by the generator itself; leave it out")
    return name, value


def parse_method(text: str) -> str:
    """A method's name in capitals; InputError where it cannot be one."""
    name = text.strip().upper()
    if not name or not set(name) <= _TOKEN or name == "CONNECT":
        raise InputError(f"{text!r} is not a method that can be sent; write for example GET or POST")
    return name


class Slab:
    """Asks as bytes in one array, each text once, and a row of `layout.TARGETS` for each ask."""

    def __init__(self, host: str, common: Sequence[tuple[str, str]] = ()) -> None:
        self._bytes = bytearray(layout.WORDS)
        self._places: dict[bytes, tuple[int, int]] = {}
        self._rows: list[tuple[int, ...]] = []
        self._host = host
        self._common = tuple(common)

    def add(self, ask: Ask) -> int:
        """The number of an ask among the targets."""
        line = f"{ask.method} {ask.path} HTTP/1.1\r\n".encode()
        headers = self._headers(ask)
        row = (*self._place(line), *self._place(_lines(headers)), *self._place(ask.body))
        facts = (ask.method == "HEAD", ask.method in SAFE_METHODS, ask.cls)
        self._rows.append((*row, *facts, *self._when_redirected(ask, headers)))
        return len(self._rows) - 1

    def _when_redirected(self, ask: Ask, headers: Mapping[str, tuple[str, str]]) -> tuple[int, ...]:
        """What a row says of redirects: the method, its lines as a GET, and whom it asks."""
        changes = {"GET": layout.NEVER, "HEAD": layout.NEVER, "POST": layout.ALWAYS}
        left = {name: header for name, header in headers.items() if name not in _OF_BODY}
        found = _AUTHORITY.fullmatch(headers["host"][1].lower())
        host, port = (found[1], int(found[2] or 0)) if found else ("", 0)
        return (
            len(ask.method.encode()) + 1,
            changes.get(ask.method, layout.SEE_OTHER),
            *self._place(_lines(left)),
            *self._place(host.encode("latin-1", "replace")),
            port,
        )

    def _headers(self, ask: Ask) -> dict[str, tuple[str, str]]:
        """Headers by their names in small letters: what the ask has of its own stands in the place of the common."""
        headers: dict[str, tuple[str, str]] = {"host": ("Host", self._host)}
        headers["user-agent"] = ("User-Agent", f"seawall/{__version__}")
        headers["accept"] = ("Accept", "*/*")
        for name, value in (*self._common, *ask.headers):
            headers[name.lower()] = (name, value)
        if ask.body or ask.method in ("POST", "PUT", "PATCH"):
            headers["content-length"] = ("Content-Length", str(len(ask.body)))
        return headers

    def _place(self, text: bytes) -> tuple[int, int]:
        if text not in self._places:
            self._places[text] = (len(self._bytes), len(text))
            self._bytes += text
        return self._places[text]

    def __len__(self) -> int:
        return len(self._rows)

    def tables(self) -> Mapping[str, NDArray[Any]]:
        """The arrays `slab`, `targets` and `out` (room for the longest request) of the generator's state."""
        targets = np.array(self._rows, dtype=layout.TARGETS)
        longest = int(
            (targets["line_length"] + targets["head_length"] + targets["body_length"]).max(initial=0)
        )
        return {
            "slab": np.frombuffer(bytes(self._bytes), layout.TABLES["slab"]),
            "targets": targets,
            "out": np.zeros(longest + layout.PATH_BYTES + layout.JAR_BYTES + 256, layout.TABLES["out"]),
        }


def _lines(headers: Mapping[str, tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.values()).encode("latin-1", "replace")
