"""Reads GoReplay's files: raw HTTP requests with their times, headers and bodies, as they were captured.

Source: GoReplay 1.x, `input_file.go`, `proto/proto.go`: records end with a line of three monkeys; each begins with a
line `type id nanoseconds [latency]`, where type 1 is a request, 2 its response, 3 the response to a replayed one.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seawall.fleet.errors import InputError
from seawall.traffic.files import LINE_BYTES, Stream, read_block
from seawall.traffic.logs.exchange import own_headers, stored, visitor
from seawall.traffic.logs.gather import Gatherer
from seawall.traffic.logs.sessions import SessionKey

SEPARATOR = "\n🐵🙈🙉\n".encode()
LARGEST_RECORD = 64 << 20
"""A file without a separator in so many bytes is not GoReplay's."""
EXPECTED = (
    "a GoReplay file has records like `1 d7123dasd913jfd21312dasd 1457101201123456789`, "
    "then the request as it was sent, then a line of three monkeys"
)
HEADER = re.compile(rb"([123]) [0-9A-Za-z_-]{1,64} (\d{10,19})(?: -?\d+)?\r?\n")

_KNOWN_HEADS = 2048
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r?\n")


@dataclass(frozen=True, slots=True)
class _Head:
    """What the header lines of a request say: many requests have the same."""

    stored: bytes
    visitor: Hashable | None
    chunked: bool
    length: int

    @classmethod
    def read(cls, head: bytes, key: SessionKey) -> _Head:
        """From header lines."""
        pairs = (line.decode("latin-1").partition(":") for line in head.splitlines())
        headers = [(name.strip(), value.strip()) for name, colon, value in pairs if colon]
        found = {name.lower(): value for name, value in headers}
        own = own_headers(headers)
        length = found.get("content-length", "")
        return cls(
            stored(own),
            visitor(own, key),
            "chunked" in found.get("transfer-encoding", "").lower(),
            int(length) if length.isdecimal() and len(length) < 19 else 0,
        )


class GorReader:
    """Reads GoReplay's files into a gatherer; of their records the requests."""

    def __init__(self, key: SessionKey, gatherer: Gatherer) -> None:
        self._key = key
        self._into = gatherer
        self._unknown = 0
        self._heads: dict[bytes, _Head] = {}

    @property
    def expected(self) -> str:
        """What the files should have looked like."""
        return EXPECTED

    def take(self, path: str | Path, stream: Stream) -> None:
        """Read one file."""
        for number, record in enumerate(_records(path, stream), 1):
            self._into.lines += 1
            header = HEADER.match(record)
            if header is None:
                if record.strip():
                    self._into.damage(number, record)
                else:
                    self._into.blank += 1
            elif header[1] == b"1":
                self._request(number, int(header[2]), record[header.end() :])

    def _request(self, number: int, nanoseconds: int, payload: bytes) -> None:
        first, end, rest = payload.partition(b"\n")
        first = first.removesuffix(b"\r")
        method, _, target = first.partition(b" ")
        if not end or not method.isalpha() or b" HTTP/" not in target:
            self._into.damage(number, payload)
            return
        head, body = _parted(rest)
        known = self._heads.get(head)
        if known is None:
            known = _Head.read(head, self._key)
            if len(self._heads) >= _KNOWN_HEADS:
                self._heads.clear()
            if len(head) <= LINE_BYTES:
                self._heads[head] = known
        if known.chunked:
            body, whole = _dechunked(body)
        else:
            whole = len(body) >= known.length
            body = body[: known.length]
        self._into.cut += not whole
        self._unknown += known.visitor is None
        detail = (known.stored or b"\n") + body if body else known.stored
        self._into.add(nanoseconds / 10**9, first, known.visitor, detail)

    def end(self) -> None:
        """All files were read."""
        if self._unknown:
            self._into.remarks.append(
                f"{self._unknown} requests do not tell their visitor, and are taken for a visitor each; "
                "give a session key, for example cookie:NAME"
            )


def _records(path: str | Path, stream: Stream) -> Iterator[bytes]:
    """The records of a file, a block of it in memory at a time."""
    rest, begin = bytearray(), 0
    while block := read_block(stream, path):
        searched = max(0, len(rest) - len(SEPARATOR))
        rest += block
        while (end := rest.find(SEPARATOR, max(begin, searched))) >= 0:
            yield bytes(rest[begin:end])
            begin = end + len(SEPARATOR)
        del rest[:begin]
        begin = 0
        if len(rest) > LARGEST_RECORD:
            raise InputError(f"no record ends within {LARGEST_RECORD >> 20} MiB; {EXPECTED}", file=path)
    if rest.strip():
        yield bytes(rest)


def _parted(rest: bytes) -> tuple[bytes, bytes]:
    """The header lines and the body of what comes after a request line."""
    if rest.startswith((b"\r\n", b"\n")):
        return b"", rest[2:] if rest.startswith(b"\r") else rest[1:]
    head, gap, body = rest.partition(b"\r\n\r\n")
    if not gap:
        head, _, body = rest.partition(b"\n\n")
    return head, body


def _dechunked(data: bytes) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    at = 0
    while (size := _CHUNK.match(data, at)) is not None:
        length = int(size[1], 16)
        if length == 0:
            return b"".join(pieces), True
        pieces.append(data[size.end() : size.end() + length])
        at = size.end() + length
        at += 2 if data[at : at + 2] == b"\r\n" else 1
    return b"".join(pieces), False
