"""Where a redirect leads: Location resolved against the path that was asked for (RFC 3986, 5.2), on the same origin.

Bytes are named by their addresses: arrays as arguments cost more than the work on them (compiled/rows.py).
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from seawall.compiled.functions import inner
from seawall.load.engine.cookies import byte_at, find, is_digit, put_byte, word
from seawall.load.engine.layout import PATH_BYTES

_SPACE, _HASH, _PERCENT, _DOT, _SLASH, _COLON, _QUESTION, _DELETE = 32, 35, 37, 46, 47, 58, 63, 127
_ZERO, _TEN_AS_LETTER = 48, 55
_LAST_PORT = 65535
_plain, _secure = word(b"http://"), word(b"https://")


@inner
def resolve(base, base_end, at, end, host, host_length, port, tls, to):
    """Write the path and query that a Location leads to; their length, 0 where it is not to be followed.

    `base` to `base_end` are the path and query that were asked for, `at` to `end` what Location says, `to` room for
    PATH_BYTES elsewhere, all by address. Followed is what fits and stays on the scheme, the host (small letters) and
    the port (0: the scheme's own). A fragment is dropped; what cannot stand in a request line is percent-encoded, but
    for control characters, which are refused. A Location that is empty, or nothing but a fragment, leads nowhere.
    """
    end = find(at, end, _HASH)
    if at == end:
        return 0
    after = _secure(at, end) if tls else _plain(at, end)
    if after == 0 and end - at > 1 and byte_at(at) == _SLASH and byte_at(at + 1) == _SLASH:
        after = at + 2
    if after != 0:
        own_port = 443 if tls else 80
        at = _after_authority(after, end, host, host_length, port if port > 0 else own_port, own_port)
        if at == 0:
            return 0
    elif find(at, end, _COLON) < min(find(at, end, _SLASH), find(at, end, _QUESTION)):
        return 0  # another scheme
    query = find(at, end, _QUESTION)
    n = 0
    if after != 0 and at == query:
        put_byte(to, _SLASH)
        n = 1
    elif after == 0 and byte_at(at) != _SLASH:
        stop = find(base, base_end, _QUESTION)
        while at < query and stop > base and byte_at(stop - 1) != _SLASH:
            stop -= 1
        n = _put(to, 0, base, stop)
    n = _put(to, n, at, end)
    return _without_dots(to, n) if at < query else max(0, n)


@inner
def _after_authority(at, end, host, host_length, port, own_port):
    """The address after the host and port of an authority (none: the scheme's own); 0 where they are others."""
    if end - at < host_length:
        return 0
    for i in range(host_length):
        byte = byte_at(at + i)
        if byte_at(host + i) != (byte | 32 if byte >= 65 and byte <= 90 else byte):
            return 0
    at += host_length
    found = own_port
    if at < end and byte_at(at) == _COLON:
        at += 1
        given = 0
        begin = at
        while at < end and is_digit(byte_at(at)) and given <= _LAST_PORT:
            given = given * 10 + byte_at(at) - _ZERO
            at += 1
        if at > begin:
            found = given
    if found != port:
        return 0
    return at if at == end or byte_at(at) == _SLASH or byte_at(at) == _QUESTION else 0


@inner
def _put(to, n, at, end):
    """Write bytes behind the n that are there, percent-encoded where they must be; how many there are then.

    -1 where they do not fit or hold a control character, and where n is -1 already.
    """
    while n >= 0 and at < end:
        byte = byte_at(at)
        is_plain = byte > _SPACE and byte < _DELETE
        if n + (1 if is_plain else 3) > PATH_BYTES or byte < _SPACE or byte == _DELETE:
            return -1
        if is_plain:
            put_byte(to + n, byte)
            n += 1
        else:
            put_byte(to + n, _PERCENT)
            put_byte(to + n + 1, (byte >> 4) + (_ZERO if byte < 0xA0 else _TEN_AS_LETTER))
            put_byte(to + n + 2, (byte & 15) + (_ZERO if byte & 15 < 10 else _TEN_AS_LETTER))
            n += 3
        at += 1
    return n


@inner
def _without_dots(path, length):
    """Take `.` and `..` out of a path where it lies, before its query (RFC 3986, 5.2.4); the length then, 0 or more."""
    n = 0
    at = path
    end = path + length
    query = find(path, end, _QUESTION)
    while at < end:
        # A segment with the slash before it; then the query.
        stop = find(at + 1, query, _SLASH) if at < query else end
        dots = stop - at - 1
        if dots > 2 or at == query or byte_at(at + 1) != _DOT or byte_at(stop - 1) != _DOT:
            dots = 0
        if dots == 0:
            while at < stop:
                put_byte(path + n, byte_at(at))
                n += 1
                at += 1
            continue
        if dots == 2 and n > 0:
            n -= 1
            while n > 0 and byte_at(path + n) != _SLASH:
                n -= 1
        if stop == query:
            put_byte(path + n, _SLASH)
            n += 1
        at = stop
    return n
