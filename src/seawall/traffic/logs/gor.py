"""Reads GoReplay's files: raw HTTP requests with their times, headers and bodies, as they were captured.

Source: GoReplay 1.x, `input_file.go`, `proto/proto.go`: records end with a line of three monkeys; each begins with a
line `type id nanoseconds [latency]`, where type 1 is a request, 2 its response, 3 the response to a replayed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from seawall.fleet.errors import InputError
from seawall.traffic.files import Stream, read_block
from seawall.traffic.logs.exchange import own_headers, visitor
from seawall.traffic.logs.gather import Gatherer
from seawall.traffic.logs.log import Detail
from seawall.traffic.logs.sessions import SessionKey

SEPARATOR = "\n🐵🙈🙉\n".encode()
LARGEST_RECORD = 64 << 20
"""A file without a separator in so many bytes is not GoReplay's."""
EXPECTED = (
    "a GoReplay file has records like `1 d7123dasd913jfd21312dasd 1457101201123456789`, "
    "then the request as it was sent, then a line of three monkeys"
)
HEADER = re.compile(rb"([123]) [0-9A-Za-z_-]{1,64} (\d{10,19})(?: -?\d+)?\r?\n")

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r?\n")


class GorReader:
    """Reads GoReplay's files into a gatherer; of their records the requests."""

    def __init__(self, key: SessionKey, gatherer: Gatherer) -> None:
        self._key = key
        self._into = gatherer
        self._unknown = 0

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
        head, method, target, headers = _parted(payload)
        if not method:
            self._into.damage(number, payload)
            return
        body, whole = _body(payload[head:], headers)
        self._into.cut += not whole
        own = own_headers(headers)
        key = visitor(own, self._key)
        self._unknown += key is None
        self._into.add(
            nanoseconds / 1e9,
            method,
            target,
            self._into.visitors.number(key),
            Detail(own, body),
        )

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


def _parted(payload: bytes) -> tuple[int, bytes, bytes, list[tuple[str, str]]]:
    """Where the body begins, the method, the target and the headers; the method is empty where it is no request."""
    end = payload.find(b"\r\n\r\n")
    gap = 4
    if end < 0:
        end, gap = payload.find(b"\n\n"), 2
    if end < 0:
        end, gap = len(payload), 0
    first, *rest = payload[:end].splitlines()[:1000] or [b""]
    words = first.split(b" ")
    if len(words) < 3 or not words[-1].startswith(b"HTTP/"):
        return 0, b"", b"", []
    headers = []
    for line in rest:
        name, colon, value = line.partition(b":")
        if colon:
            headers.append((name.decode("latin-1"), value.decode("latin-1")))
    return end + gap, words[0], b" ".join(words[1:-1]), headers


def _body(data: bytes, headers: list[tuple[str, str]]) -> tuple[bytes, bool]:
    """The body that was sent, its chunks put together, and whether it is all there."""
    found = {name.strip().lower(): value.strip() for name, value in headers}
    if "chunked" in found.get("transfer-encoding", "").lower():
        return _dechunked(data)
    length = found.get("content-length", "")
    if not length.isdigit():
        return b"", True
    return data[: int(length)], len(data) >= int(length)


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
