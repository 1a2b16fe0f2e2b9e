"""Responses: the same whatever pieces they come in, never past their end, and as Python's own client reads them."""

from __future__ import annotations

import ctypes
import http.client
import io
import mmap
import random
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seawall.load.engine.cookies import address_of, byte_at
from seawall.load.engine.response import (
    BROKEN,
    DONE,
    EMPTY,
    RESPONSE,
    UNTIL_CLOSE,
    begin_response,
    feed,
    feed_end,
)

ROOM = 16 * 1024
BEFORE, BEHIND = b"HTTP/1.1 500 no\r\n", b"\r\n \r\n0\r\n\r\nSet-Cookie: not=yours\r\n\r\n"
"""What lies around a piece in its array: none of the parser's business."""

_njit: Any = numba.njit


@_njit(cache=True)
def _begin(rows, is_head):
    begin_response(rows[0], is_head)


@_njit(cache=True)
def _feed(rows, stash, data, begin, end, needle, failure, jar):
    return feed(rows[0], stash, data, begin, end, needle, failure, jar)


@_njit(cache=True)
def _end(rows):
    feed_end(rows[0])


@_njit(cache=True)
def _byte(array, i):
    return byte_at(address_of(array) + i)


@dataclass(frozen=True)
class Parsed:
    """What came of some bytes; `consumed` None where the response is broken, as it says nothing then."""

    phase: int
    status: int
    keep: bool
    found: bool
    body_bytes: int
    consumed: int | None
    cookies: bytes


def parse(
    data: bytes, *cuts: int, head: bool = False, expect: bytes = b"", room: int = ROOM, closed: bool = False
) -> Parsed:
    """Give the parser `data` in pieces, each among other bytes, until it has what it wants; then close if asked."""
    rows, stash, jar = np.zeros(1, RESPONSE), np.zeros(room, np.uint8), np.zeros(256, np.uint8)
    needle, failure = np.frombuffer(expect, np.uint8), failure_table(expect)
    _begin(rows, int(head))
    consumed = 0
    for begin, end in pairwise([0, *cuts, len(data)]):
        piece = np.frombuffer(BEFORE + data[begin:end] + BEHIND, np.uint8).copy()
        first, last = len(BEFORE), len(BEFORE) + end - begin
        took = _feed(rows, stash, piece, first, last, needle, failure, jar) - first
        consumed += took
        if rows[0]["phase"] >= DONE:
            break
        assert took == end - begin
    if closed:
        _end(rows)
    row = rows[0]
    broken = row["phase"] == BROKEN
    return Parsed(
        int(row["phase"]), int(row["status"]), bool(row["keep"]) and not broken, bool(row["found"]),
        int(row["body_bytes"]), None if broken else consumed, text_of(jar),
    )  # fmt: skip


def text_of(jar: NDArray[np.uint8]) -> bytes:
    """What a jar holds."""
    length = int.from_bytes(jar[:2].tobytes(), "little")
    return jar[2 : 2 + length].tobytes()


def failure_table(needle: bytes) -> NDArray[np.int32]:
    """By its definition: the longest proper prefix of each beginning that also ends it."""
    table = [
        max(n for n in range(end) if needle[:n] == needle[end - n : end]) for end in range(1, len(needle) + 1)
    ]
    return np.array(table, np.int32)


def by_http_client(data: bytes, head: bool = False) -> tuple[int, int, bool]:
    """(status, bytes of the body, whether the connection is kept) as Python's own client reads them."""

    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(data)

    response = http.client.HTTPResponse(Socket(), method="HEAD" if head else "GET")  # type: ignore[arg-type]
    response.begin()
    kept = not response.will_close
    return response.status, len(response.read()), kept


def lines(*of_head: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*of_head, "", ""]).encode() + body


# As nginx 1.22 and Node.js 18 sent them.
NGINX = ("Server: nginx/1.22.1", "Date: Sun, 22 Nov 2026 21:49:15 GMT")
NODE = ("Date: Sun, 22 Nov 2026 21:49:19 GMT", "Connection: keep-alive", "Keep-Alive: timeout=5")
PAGE = b"<html><body>shop</body></html>\n"
REAL = {
    "page": lines(
        "HTTP/1.1 200 OK", *NGINX, "Content-Type: text/html", "Content-Length: 31",
        "Last-Modified: Sun, 22 Nov 2026 21:49:13 GMT", "Connection: keep-alive", 'ETag: "6b036359-1f"',
        "Accept-Ranges: bytes", body=PAGE,
    ),
    "last page": lines("HTTP/1.1 200 OK", *NGINX, "Content-Length: 31", "Connection: close", body=PAGE),
    "no content": lines("HTTP/1.1 204 No Content", *NGINX, "Connection: keep-alive"),
    "not modified": lines("HTTP/1.1 304 Not Modified", *NGINX, "Connection: keep-alive", 'ETag: "6b036359-1f"'),
    "bad gateway": lines(
        "HTTP/1.1 502 Bad Gateway", *NGINX, "Content-Type: text/html", "Content-Length: 19",
        "Connection: keep-alive", body=b"<h1>502</h1>\r\n<hr>\n",
    ),
    "login": lines(
        "HTTP/1.1 200 OK", *NGINX, "Content-Type: text/plain", "Content-Length: 5", "Connection: keep-alive",
        "Set-Cookie: sid=abc123; Path=/; HttpOnly", body=b"hello",
    ),
    "compressed": lines(
        "HTTP/1.1 200 OK", *NGINX, "Content-Type: text/plain", "Transfer-Encoding: chunked",
        "Connection: keep-alive", 'ETag: W/"6b036359-bb8"', "Content-Encoding: gzip",
        body=b"32\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03\xed\xd0\xc1\x00\x00\x00\x00\x03!\xd6\xf3\x97\x98\xc6"
        b"\x1e\x85Pa\xc0\x80\x01\x03\x06\x0c\x180`\xc0\xc0\xfb\xc0\x00\xc8<\xdc^\xb8\x0b\x00\x00\r\n0\r\n\r\n",
    ),
    "chunks": lines(
        "HTTP/1.1 200 OK", *NODE, "Transfer-Encoding: chunked", body=b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
    ),
    "trailer": lines(
        "HTTP/1.1 200 OK", "Trailer: X-Sum", *NODE, "Transfer-Encoding: chunked",
        body=b"4\r\none \r\n3\r\ntwo\r\n0\r\nX-Sum: 7\r\n\r\n",
    ),
    "until close": lines("HTTP/1.1 200 OK", "Connection: close", body=b"firstsecond"),
    "old": lines("HTTP/1.0 200 OK", "Server: old", body=b"hello"),
    "old, kept": lines("HTTP/1.0 200 OK", "Connection: Keep-Alive", "Content-Length: 5", body=b"hello"),
    "old, with a length": lines("HTTP/1.0 200 OK", "Content-Length: 5", body=b"hello"),
    "continue": lines("HTTP/1.1 100 Continue") + lines("HTTP/1.1 200 OK", "content-length:5", body=b"hello"),
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "no reason": lines("HTTP/1.1 200", "Content-Length:   5  ", body=b"hello"),
    "continued line": lines("HTTP/1.1 200 OK", "Content-Length:", "\t 5", "Vary: a,", "  b", body=b"hello"),
    "both lengths": lines(
        "HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: Chunked", body=b"A;x=y\r\n0123456789\r\n0\r\n\r\n"
    ),
}  # fmt: skip


# --- what single responses say -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_reads_as_python_does(name: str) -> None:
    data = REAL[name]
    parsed = parse(data, closed=b"close" in data or name == "old")
    assert parsed.phase == DONE
    assert parsed.consumed == len(data)
    kept = parsed.keep
    assert (parsed.status, parsed.body_bytes, kept) == by_http_client(data)


@pytest.mark.parametrize("name", REAL)
def test_head_has_no_body(name: str) -> None:
    data = REAL[name]
    # The last empty line of a head that is no 1xx.
    final = data.index(b" 200") if name == "continue" else 0
    end = next(data.index(e, final) + len(e) for e in (b"\r\n\r\n", b"\n\n") if e in data)
    parsed = parse(data[:end], head=True)
    assert (parsed.phase, parsed.consumed) == (DONE, end)
    assert (parsed.status, parsed.body_bytes, parsed.keep) == by_http_client(data[:end], head=True)


def test_interim_heads_are_passed_over_with_what_they_say() -> None:
    hints = lines("HTTP/1.1 103 Early Hints", "Content-Length: 9", "Connection: close", "Set-Cookie: a=b")
    parsed = parse(hints + hints + REAL["login"], 30, 100)
    assert replace(parsed, consumed=None) == replace(parse(REAL["login"]), consumed=None)
    assert parsed.consumed == len(hints + hints + REAL["login"])
    assert parsed.cookies == b"sid=abc123"


@pytest.mark.parametrize(
    ("of_head", "keep"),
    [
        (["HTTP/1.1 200 OK"], True),
        (["HTTP/1.1 200 OK", "Connection: close"], False),
        (["HTTP/1.1 200 OK", "CONNECTION: Upgrade , CLOSE"], False),
        (["HTTP/1.1 200 OK", "Connection: close", "Connection: keep-alive"], False),
        (["HTTP/1.1 200 OK", "Connection: closed"], True),
        (["HTTP/1.1 200 OK", "Connection: disclose"], True),
        (["HTTP/1.1 200 OK", "X-Connection: close"], True),
        (["HTTP/1.1 200 OK", "Connections: close"], True),
        (["HTTP/1.1 200 OK", "Connection : close"], False),
        (["HTTP/1.0 200 OK"], False),
        (["HTTP/1.0 200 OK", "connection: keep-alive"], True),
        (["HTTP/1.0 200 OK", "Connection: keep-alive, close"], False),
    ],
)
def test_connection(of_head: list[str], keep: bool) -> None:
    assert parse(lines(*of_head, "Content-Length: 0")).keep is keep


@pytest.mark.parametrize(
    ("said", "body", "end"),
    [
        (["Content-Length: 5, 5"], b"hello", True),
        (["Content-Length: 5", "Content-Length: 005"], b"hello", True),
        (["Transfer-Encoding: gzip, chunked"], b"5\r\nhello\r\n0\r\n\r\n", True),
        (["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n", True),
        (["Content-Length: nonsense", "Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n", True),
        (["Transfer-Encoding: identity", "Content-Length: 5"], b"hello", True),
        (["Transfer-Encoding: gzip", "Content-Length: 3"], b"hello", False),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: gzip"], b"hello", False),
        (["Transfer-Encoding: chunkedly"], b"hello", False),
        (["Content-Lengths: 3"], b"hello", False),
        ([], b"hello", False),
    ],
)
def test_length(said: list[str], body: bytes, end: bool) -> None:
    """Where the body says its end, what follows is left alone; else it goes on until the server closes."""
    data = lines("HTTP/1.1 200 OK", *said, body=body)
    if end:
        parsed = parse(data + b"HTTP/1.1")
        assert (parsed.phase, parsed.consumed, parsed.keep) == (DONE, len(data), True)
    else:
        assert parse(data).phase == UNTIL_CLOSE
        parsed = parse(data, closed=True)
        assert (parsed.phase, parsed.keep) == (DONE, False)
    assert parsed.body_bytes == 5


@pytest.mark.parametrize(
    "data",
    [
        b"S",
        b"HTTQ",
        b"\x15\x03\x01\x00\x02\x02F",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1. 200 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        lines("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6"),
        lines("HTTP/1.1 200 OK", "Content-Length: 5, 6"),
        lines("HTTP/1.1 200 OK", "Content-Length: 5 5"),
        lines("HTTP/1.1 200 OK", "Content-Length: -1"),
        lines("HTTP/1.1 200 OK", "Content-Length:"),
        lines("HTTP/1.1 200 OK", "Content-Length: five", "Content-Length: 5"),
        lines("HTTP/1.1 200 OK", f"Content-Length: {2**64 + 5}"),
        lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"\r\n"),
        lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"g\r\n"),
        lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b";x\r\n"),
        lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"10000000000000005\r\nhello"),
        lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nhello6"),
        lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\r\n"),
    ],
)
def test_what_is_not_http_is_broken_at_once(data: bytes) -> None:
    assert parse(data).phase == BROKEN


@pytest.mark.parametrize("name", [name for name in REAL if name not in ("until close", "old")])
def test_cut_short(name: str) -> None:
    """A server that closes in the middle has not answered; one that closes before its first byte is told apart."""
    data = REAL[name]
    assert parse(b"", closed=True).phase == EMPTY
    for end in range(1, len(data)):
        assert parse(data[:end], closed=True).phase == BROKEN, data[:end]
    assert parse(data, closed=True).phase == DONE


def test_a_head_may_be_as_long_as_its_stash() -> None:
    data = lines("HTTP/1.1 200 OK", "X-Padding: " + "x" * 100, "Content-Length: 0")
    for cuts in [(), (5,), (len(data) - 3,), tuple(range(1, len(data)))]:
        assert parse(data, *cuts, room=len(data)).phase == DONE
        assert parse(data, *cuts, room=len(data) - 1).phase == BROKEN
    # The body does not count, and each head counts by itself.
    answer = lines("HTTP/1.1 103 Early Hints") + lines(
        "HTTP/1.1 200 OK", "Content-Length: 99", body=b"x" * 99
    )
    assert parse(answer, room=60).phase == DONE


# --- laws --------------------------------------------------------------------------------------------------------

_noise = st.sampled_from(
    ["Date: Sun, 22 Nov 2026 21:49:15 GMT", "Server:", "Cache-Control: no-cache", "Content-Type: text/html", "S: s",
     "Strict-Transport-Security: max-age=1", "Trailer: T", "Vary: a,\r\n b", "Content-Lengthy: 3", "T: t",
     "X: " + "y" * 90]
)  # fmt: skip
_tail = st.sampled_from([b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n", b"x"])
_body = st.lists(st.sampled_from([b"a", b"b", b"ab", b"\r\n", b"0\r\n\r\n"]), max_size=40).map(b"".join)


@st.composite
def _answers(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(a response that says its end, its body)"""
    body = draw(_body)
    said = draw(st.lists(_noise, max_size=5))
    if draw(st.booleans()):
        said.append(draw(st.sampled_from(["Content-Length: {}", "content-LENGTH:{}\t"])).format(len(body)))
        framed = body
    else:
        said.append(
            draw(st.sampled_from(["Transfer-Encoding: chunked", "transfer-encoding:gzip , CHUNKED "]))
        )
        framed = b""
        cuts = sorted(draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=4)))
        for begin, end in pairwise([0, *(cut for cut in cuts if cut < len(body)), len(body)]):
            size = draw(st.sampled_from(["{:x}", "{:X}", "00{:x}", "{:x};a=b", '{:x} ; a="\r"'])).format(
                end - begin
            )
            framed += (size.encode() + b"\r\n" + body[begin:end] + b"\r\n") if end > begin else b""
        framed += draw(st.sampled_from([b"0\r\n", b"000;end\r\n"]))
        framed += draw(st.sampled_from([b"\r\n", b"Sum: 7\r\n\r\n", b"A: b\r\n c\r\n\r\n"]))
    said = draw(st.permutations(said))
    data = lines(
        f"HTTP/1.{draw(st.integers(0, 9))} {draw(st.sampled_from([200, 404, 503]))} So", *said, body=framed
    )
    # Before the body a line may end with a bare line feed.
    if draw(st.booleans()):
        head, end, rest = data.partition(b"\r\n\r\n")
        data = head.replace(b"\r\n", b"\n") + b"\n\n" + rest
    return data, body


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(list(REAL.values())))
    at = draw(st.integers(0, len(data)))
    gone = draw(st.integers(0, 4))
    bytes_put = draw(st.lists(st.sampled_from(b"\r\n \t:;,=0f9AaZ\x00\xff"), max_size=4))
    return data[:at] + bytes(bytes_put) + data[at + gone :]


@settings(max_examples=400)
@given(
    st.one_of(_answers().map(lambda both: both[0]), _damaged(), st.binary(max_size=60)),
    _tail,
    st.data(),
    st.sampled_from([b"", b"a", b"aab", b"abab", b"\r\n0", b"body>"]),
    st.sampled_from([ROOM, 120]),
)
def test_pieces_change_nothing(
    data: bytes, tail: bytes, pick: st.DataObject, expect: bytes, room: int
) -> None:
    data += tail
    cuts = sorted(pick.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    whole = parse(data, expect=expect, room=room)
    assert parse(data, *cuts, expect=expect, room=room) == whole
    assert parse(data, *range(1, len(data)), expect=expect, room=room) == whole


@given(_answers(), _tail, st.integers(0, 60), st.integers(1, 6), st.data())
@example((lines("HTTP/1.1 200 So", "Content-Length: 6", body=b"aababb"), b"aababb"), b"", 0, 5, None)
def test_the_body_ends_where_it_says(
    answer: tuple[bytes, bytes], tail: bytes, at: int, length: int, pick: st.DataObject | None
) -> None:
    data, body = answer
    expect = body[at : at + length] or b"abba"
    cuts = pick.draw(st.lists(st.integers(0, len(data)), max_size=4)) if pick else [len(data) - 3]
    parsed = parse(data + tail, *sorted(cuts), expect=expect)
    assert (parsed.phase, parsed.consumed, parsed.body_bytes) == (DONE, len(data), len(body))
    assert parsed.found == (expect in body)


@settings(max_examples=300)
@given(st.text("ab", max_size=12), st.text("ab", min_size=1, max_size=6), st.integers(0, 6), st.data())
def test_expected_bytes_are_found_wherever_they_are(
    body: str, expect: str, again: int, pick: st.DataObject
) -> None:
    """Also where a beginning of theirs comes right before them, or they are not there at all."""
    body += expect[:again] + expect[again // 2 :]
    data = lines("HTTP/1.1 200 OK", body=body.encode())
    cuts = sorted(pick.draw(st.lists(st.integers(len(data) - len(body), len(data)), max_size=5)))
    assert parse(data, *cuts, expect=expect.encode(), closed=True).found == (expect in body)


@given(_answers())
def test_generated_answers_read_as_python_reads_them(answer: tuple[bytes, bytes]) -> None:
    data, _ = answer
    # Python's client takes no second coding, nor a blank behind it.
    data = data.replace(b"gzip , CHUNKED ", b"Chunked")
    parsed = parse(data)
    status, length, _ = by_http_client(data)
    assert (parsed.status, parsed.body_bytes) == (status, length)


# --- bounds ------------------------------------------------------------------------------------------------------


class Fenced:
    """A page between two that nobody may touch: what lies at its ends cannot be left unnoticed."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 3 * mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (0, 2):
            place = ctypes.c_void_p(start + page * mmap.PAGESIZE)
            assert libc.mprotect(place, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
        inside = (ctypes.c_uint8 * mmap.PAGESIZE).from_address(start + mmap.PAGESIZE)
        self._page: NDArray[np.uint8] = np.ctypeslib.as_array(inside)

    def put(self, content: bytes, last: bool, dtype: type = np.uint8) -> NDArray[Any]:
        """The content as an array at the end of the page, or at its start."""
        place = self._page[mmap.PAGESIZE - len(content) :] if last else self._page[: len(content)]
        place[:] = np.frombuffer(content, np.uint8)
        return place.view(dtype)


def _try_garbage(trials: int) -> None:
    """Damaged responses in fenced arrays; to be run in a process of its own, which a wrong access ends."""
    dice = random.Random(7)
    fences = [Fenced() for _ in range(5)]
    rows = np.zeros(1, RESPONSE)
    cookies = [
        f"Set-Cookie: {value}" for value in ("a=b", "c=d", "a=e", "c=f; Max-Age=1; Expires=1 Jan 1970")
    ]
    seeds = [*REAL.values(), lines("HTTP/1.1 200 OK", *cookies), lines("HTTP/1.1 200 OK", *cookies[3:])]
    for _ in range(trials):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(data))
            data[at : at + dice.randrange(3)] = bytes(
                dice.choices(b"\r\n \t:;,=0f9A\x00\xff", k=dice.randrange(3))
            )
        expect = dice.choice([b"", b"\r\n0", b"hello", bytes(data[-4:])])
        last = dice.random() < 0.8
        stash = fences[0].put(bytes(dice.choice([0, 10, 100, 1000])), last)
        jar = fences[1].put(bytes(dice.choice([0, 1, 2, 10, 40])), last)
        needle = fences[2].put(expect, last)
        failure = fences[3].put(failure_table(expect).tobytes(), last, np.int32)
        _begin(rows, dice.random() < 0.1)
        cuts = sorted(dice.choices(range(len(data) + 1), k=dice.randrange(4)))
        for begin, end in pairwise([0, *cuts, len(data)]):
            piece = fences[4].put(bytes(data[begin:end]), last)
            took = _feed(rows, stash, piece, 0, len(piece), needle, failure, jar)
            assert 0 <= took <= len(piece)
            if rows[0]["phase"] >= DONE:
                break
            assert took == len(piece)
        text = text_of(jar)
        assert len(text) <= max(0, len(jar) - 2)
        assert not any(byte < 32 and byte != 9 for byte in text)


def _read_beyond() -> None:
    """What a wrong access looks like."""
    fence = Fenced()
    array = fence.put(b"abc", last=True)
    assert _byte(array, 2) == ord("c")
    _byte(array, 3)


@pytest.mark.parametrize(("call", "ends"), [("_try_garbage(4_000)", 0), ("_read_beyond()", -signal.SIGSEGV)])
def test_garbage_stays_within_its_bounds(call: str, ends: int) -> None:
    code = f"from tests.load import test_response as t; t.{call}"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True)
    assert done.returncode == ends, done.stderr.decode()
