"""Responses of HTTP/1.1 (RFC 9112), taken in as they come off a socket in pieces of any size.

A line of the head is read where it lies; only one that goes on in the next piece is copied to the connection's
stash first. Of the header lines five are looked at: Content-Length, Transfer-Encoding, Connection, Set-Cookie,
Location.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from seawall.compiled.functions import inlined, inner
from seawall.load.engine.cookies import (
    address_of,
    after_separator,
    byte_at,
    find,
    is_blank,
    is_digit,
    put_byte,
    set_cookie,
    skip_blanks,
    trim,
    word,
)

(
    HEAD, BODY, UNTIL_CLOSE, CHUNK_DATA, CHUNK_BEGIN, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_END, TRAILER,
    DONE, BROKEN, EMPTY,
) = range(12)  # fmt: skip
"""What a response waits for; from DONE on, for nothing. BROKEN: not HTTP, or cut short. EMPTY: closed before its
first byte."""

RESPONSE = np.dtype(
    [("phase", "i8"), ("status", "i8"), ("keep", "i8"), ("found", "i8"), ("body_bytes", "i8"), ("left", "i8"),
     ("matched", "i8"), ("head_length", "i8"), ("head_bytes", "i8"), ("length", "i8"), ("coding", "i8"),
     ("minor", "i8"), ("is_head", "i8"), ("begun", "i8"), ("is_whole", "i8"), ("place", "i8"), ("place_length", "i8")]
)  # fmt: skip
"""The response of one connection.

`status` is 0 until there is one; `keep` says whether the connection can be used again, `found` whether the expected
bytes were in the body, `body_bytes` how long the body is so far (without its chunks' frames). The rest is the parser's
own: `left` bytes of the body or chunk to come (in a chunk's size: the number so far; in a trailer: whether its line
has anything in it), `matched` bytes of what is expected, `head_length` bytes of an unfinished line in the stash,
`head_bytes` of the finished ones, `length`, `coding` and `minor` version as the head declares them, `is_head` for the
method HEAD, `begun` once a byte has come, `is_whole` when the line in the stash is. `place` is the address of
LOCATION_BYTES for what a redirect's Location says, set once for the row (0: it is not looked at), and `place_length`
its length: 0 where there is none, below 0 where it is of no use. `status`, `keep`, `found` and the place hold once
`phase` is DONE.
"""

_TAB, _LF, _CR, _SPACE, _SEMICOLON, _COMMA, _COLON = 9, 10, 13, 32, 59, 44, 58
_ZERO = 48
_NO_LENGTH, _BAD_LENGTH = -1, -2
_PLAIN, _CHUNKED, _OTHER_CODING = 0, 1, 2
LOCATION_BYTES = 2048
"""The longest Location that is followed."""
_MOST = 1 << 56
"""No body is longer; keeps numbers from running over."""

_NAME = b"HTTP/1."
_PROTOCOL = int.from_bytes(_NAME, "little")
_http = word(_NAME, any_case=False)
_content_length, _transfer_encoding = word(b"content-length"), word(b"transfer-encoding")
_connection, _set_cookie, _location = word(b"connection"), word(b"set-cookie"), word(b"location")
_close, _keep_alive, _chunked, _identity = (
    word(name) for name in (b"close", b"keep-alive", b"chunked", b"identity")
)
_intrinsic: Any = intrinsic
_memchr: Any = types.ExternalFunction("memchr", types.intp(types.intp, types.int32, types.int64))


@_intrinsic
def _number_at(typing_context: Any, address: Any, i: Any) -> Any:
    """The i-th of the 32-bit numbers at an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(builder.inttoptr(args[0], ir.IntType(32).as_pointer()), [args[1]])
        return builder.sext(builder.load(place), ir.IntType(64))

    return types.int64(types.int64, types.int64), code


@inner
def begin_response(r, is_head_method):
    """Make a row of RESPONSE ready for the response to a request."""
    r.phase = HEAD
    r.keep = 0
    r.found = 0
    r.matched = 0
    r.body_bytes = 0
    r.left = 0
    r.head_length = 0
    r.begun = 0
    r.place_length = 0
    r.is_head = is_head_method
    _begin_head(r)


@inner
def _begin_head(r):
    r.status = 0
    r.head_bytes = 0
    r.length = _NO_LENGTH
    r.coding = _PLAIN


@inner
def feed(r, stash, data, begin, end, needle, failure, jar):
    """Take in data[begin:end]; the place after the last byte that belongs to the response.

    `stash` holds an unfinished line between calls, and its length is the longest head that is taken. `needle` are the
    bytes expected in the body (none: empty) and `failure` their table for the search of Knuth, Morris and Pratt:
    failure[i] is the length of the longest proper prefix of needle[:i + 1] that also ends it. `jar` takes the cookies
    (engine/cookies.py; none are kept where it is empty). Where r.phase is BROKEN then, the place says nothing.
    """
    # From here on bytes are named by their addresses: arrays cost more than the work on them (compiled/rows.py).
    first = address_of(data)
    room, jar_size = len(stash), len(jar)
    at, stop = first + begin, first + end
    if at < stop:
        r.begun = 1
    while at < stop and r.phase < DONE:
        if r.phase == HEAD:
            at = _head(r, address_of(stash), room, at, stop, address_of(jar), jar_size)
        elif r.phase <= CHUNK_DATA:
            at = _body(r, at, stop, address_of(needle), len(needle), address_of(failure))
        else:
            at = _frame(r, at, stop)
    return at - first


@inner
def feed_end(r):
    """The server has closed the connection: that ends a body without a length, and cuts anything else short."""
    r.keep = 0
    if r.phase == UNTIL_CLOSE:
        r.phase = DONE
    elif r.phase < DONE:
        r.phase = BROKEN if r.begun else EMPTY


# --- the head --------------------------------------------------------------------------------------------------


@inner
def _head(r, stash, room, at, end, jar, jar_size):
    """Take in lines of the head until it ends or the bytes do; the address after them."""
    while at < end and r.phase == HEAD:
        after = _line_end(at, end) if r.head_length == 0 else 0
        if after != 0:
            _line(r, room, at, after, jar, jar_size)
            at = after
            continue
        at = _to_stash(r, stash, room, at, end)
        if r.is_whole:
            _line(r, room, stash, stash + r.head_length, jar, jar_size)
            r.head_length = 0
    return at


@inner
def _line_end(begin, end):
    """The end of a line with those that continue it (obs-fold); 0 where that is yet to come.

    The byte after a line says whether it is continued, so it must be there, but for the empty line.
    """
    at = begin
    while at < end:
        at = _memchr(at, _LF, end - at)
        if at == 0:
            return 0
        if at == begin or (at == begin + 1 and byte_at(begin) == _CR):
            return at + 1
        at += 1
        if at < end and byte_at(at) != _SPACE and byte_at(at) != _TAB:
            return at
    return 0


@inner
def _to_stash(r, stash, room, at, end):
    """Add bytes to the line in the stash, until it `is_whole`; the address after them."""
    n = r.head_length
    r.is_whole = 0
    while at < end:
        byte = byte_at(at)
        if n > 0 and byte_at(stash + n - 1) == _LF and byte != _SPACE and byte != _TAB:
            r.is_whole = 1
            break
        if r.head_bytes + n >= room:
            r.phase = BROKEN
            break
        put_byte(stash + n, byte)
        n += 1
        at += 1
        if byte == _LF and (n == 1 or (n == 2 and byte_at(stash) == _CR)):
            r.is_whole = 1
            break
    if r.status == 0 and r.is_whole == 0:
        for i in range(min(n, len(_NAME))):
            if byte_at(stash + i) != (_PROTOCOL >> 8 * i) & 0xFF:
                # Something else may never send the end of a line.
                r.phase = BROKEN
    r.head_length = n
    return at


@inner
def _line(r, room, begin, end, jar, jar_size):
    """Take in one whole line of the head, with its end."""
    r.head_bytes += end - begin
    first = byte_at(begin)
    if r.head_bytes > room:
        r.phase = BROKEN
    elif r.status == 0:
        _status_line(r, begin, end)
    elif first == _LF or (first == _CR and end - begin == 2):
        _head_ends(r)
    # What the names looked for begin with, as small letters.
    elif first | 32 == 99:
        value = after_separator(_content_length(begin, end), end, _COLON)
        if value != 0:
            _length(r, value, end)
            return
        value = after_separator(_connection(begin, end), end, _COLON)
        if value != 0:
            _tokens_of_connection(r, value, end)
    elif first | 32 == 116:
        value = after_separator(_transfer_encoding(begin, end), end, _COLON)
        if value != 0:
            _codings(r, value, end)
    elif first | 32 == 115 and jar_size > 0 and r.status >= 200:
        value = after_separator(_set_cookie(begin, end), end, _COLON)
        if value != 0:
            set_cookie(jar, jar_size, value, end)
    elif first | 32 == 108 and r.place != 0 and _redirects(r.status):
        value = after_separator(_location(begin, end), end, _COLON)
        if value != 0:
            _keep_location(r, value, end)


@inlined
def _redirects(status):
    """Whether a status sends the client elsewhere by itself: 301, 302, 303, 307, 308 (RFC 9110, 15.4)."""
    return status > 300 and (status < 304 or status == 307 or status == 308)


@inner
def _keep_location(r, begin, end):
    """Keep what Location says; one that is too long, or one of several, is of no use."""
    begin = skip_blanks(begin, end)
    length = trim(begin, end) - begin
    if length > LOCATION_BYTES or r.place_length != 0:
        r.place_length = -1
        return
    for i in range(length):
        put_byte(r.place + i, byte_at(begin + i))
    r.place_length = length


@inner
def _status_line(r, begin, end):
    """Read the status line: version (1.0 closes unless it says otherwise), three digits, a reason that is not read."""
    r.phase = BROKEN
    at = _http(begin, end)
    if at == 0 or end - at < 2 or not is_digit(byte_at(at)) or byte_at(at + 1) != _SPACE:
        return
    r.minor = byte_at(at) - _ZERO
    at = skip_blanks(at + 1, end)
    if end - at <= 3 or not is_blank(byte_at(at + 3)):
        return
    status = 0
    for i in range(at, at + 3):
        if not is_digit(byte_at(i)):
            return
        status = status * 10 + byte_at(i) - _ZERO
    if status >= 100:
        r.phase = HEAD
        r.status = status
        r.keep = 1 if r.minor > 0 else 0


@inner
def _length(r, at, end):
    """Read Content-Length: one number, or several that are equal (RFC 9110, 8.6); else it is bad."""
    while True:
        at = skip_blanks(at, end)
        begin = at
        length = 0
        while at < end and is_digit(byte_at(at)) and length < _MOST:
            length = length * 10 + byte_at(at) - _ZERO
            at += 1
        is_number = at > begin
        at = skip_blanks(at, end)
        differs = r.length != _NO_LENGTH and r.length != length
        if not is_number or differs or (at < end and byte_at(at) != _COMMA):
            r.length = _BAD_LENGTH
            return
        r.length = length
        if at == end:
            return
        at += 1


@inner
def _fills(after, end):
    """Whether nothing but blanks follows a word, given the address after it (0: it is not there)."""
    return after != 0 and skip_blanks(after, end) == end


@inner
def _tokens_of_connection(r, at, end):
    """Read Connection: `close` wins over `keep-alive`."""
    while at < end:
        at = skip_blanks(at, end)
        stop = find(at, end, _COMMA)
        if _fills(_close(at, stop), stop):
            r.keep = -1
        elif r.keep == 0 and _fills(_keep_alive(at, stop), stop):
            r.keep = 1
        at = stop + 1


@inner
def _codings(r, at, end):
    """Read Transfer-Encoding: the last coding says how the body is framed; `identity` (RFC 2616) is none."""
    while at < end:
        at = skip_blanks(at, end)
        stop = find(at, end, _COMMA)
        if _fills(_chunked(at, stop), stop):
            r.coding = _CHUNKED
        elif at < stop and not _fills(_identity(at, stop), stop):
            r.coding = _OTHER_CODING
        at = stop + 1


@inner
def _head_ends(r):
    """The empty line: what follows is a body, of the length that RFC 9112, 6.3, says, or none, or another head."""
    status = r.status
    if status < 200 and status != 101:
        _begin_head(r)
        return
    if r.keep < 0 or status == 101 or (r.minor == 0 and r.coding != _PLAIN):
        # What follows 101 is another protocol, and HTTP/1.0 knows no codings (RFC 9112, 6.1).
        r.keep = 0
    if r.is_head or status < 200 or status == 204 or status == 304:
        r.phase = DONE
    elif r.coding == _CHUNKED:
        r.phase = CHUNK_BEGIN
        r.left = 0
    elif r.coding == _OTHER_CODING or r.length == _NO_LENGTH:
        r.phase = UNTIL_CLOSE
        r.keep = 0
    elif r.length == _BAD_LENGTH:
        r.phase = BROKEN
    else:
        r.left = r.length
        r.phase = BODY if r.length > 0 else DONE


# --- the body --------------------------------------------------------------------------------------------------


@inner
def _body(r, at, end, needle, needle_length, failure):
    """Take in bytes of the body; the address after them."""
    if r.phase != UNTIL_CLOSE:
        end = min(end, at + r.left)
        r.left -= end - at
        if r.left == 0:
            r.phase = DONE if r.phase == BODY else CHUNK_END
    r.body_bytes += end - at
    if r.found == 0 and needle_length > 0:
        _search(r, at, end, needle, needle_length, failure)
    return end


@inner
def _search(r, at, end, needle, length, failure):
    """Look for the expected bytes in a part of the body."""
    matched = r.matched
    while at < end:
        if matched == 0:
            at = _memchr(at, np.int32(byte_at(needle)), end - at)
            if at == 0:
                break
        byte = byte_at(at)
        while matched > 0 and byte != byte_at(needle + matched):
            matched = _number_at(failure, matched - 1)
        if byte == byte_at(needle + matched):
            matched += 1
        at += 1
        if matched == length:
            r.found = 1
            return
    r.matched = matched


@inner
def _frame(r, at, end):
    """Take in what lies between the chunks (RFC 9112, 7.1): sizes, extensions, line ends, trailers."""
    while at < end and r.phase > CHUNK_DATA and r.phase < DONE:
        byte = byte_at(at)
        at += 1
        if r.phase <= CHUNK_EXTENSION:
            _size(r, byte)
        elif r.phase == CHUNK_END:
            if byte == _LF:
                r.phase = CHUNK_BEGIN
                r.left = 0
            elif byte == _CR and r.left == 0:
                r.left = -1
            else:
                r.phase = BROKEN
        elif byte == _LF and r.left <= 0:
            r.phase = DONE
        elif byte == _CR and r.left == 0:
            r.left = -1
        else:
            r.left = 0 if byte == _LF else 1
    return at


@inner
def _size(r, byte):
    """Take in a byte of the line before a chunk."""
    if r.phase != CHUNK_EXTENSION:
        digit = _hexadecimal(byte)
        if digit >= 0 and r.left < _MOST:
            r.phase = CHUNK_SIZE
            r.left = r.left * 16 + digit
        elif r.phase == CHUNK_SIZE and (is_blank(byte) or byte == _SEMICOLON):
            r.phase = CHUNK_EXTENSION
        else:
            r.phase = BROKEN
    if r.phase == CHUNK_EXTENSION and byte == _LF:
        r.phase = CHUNK_DATA if r.left > 0 else TRAILER


@inner
def _hexadecimal(byte):
    """The value of a hexadecimal digit, -1 where it is none."""
    if is_digit(byte):
        return byte - _ZERO
    byte |= 32
    return byte - 87 if byte >= 97 and byte <= 102 else -1
