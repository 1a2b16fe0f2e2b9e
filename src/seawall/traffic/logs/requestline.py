"""Takes request lines apart as logs hold them: escaped, cut, absolute, or no request at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.logs.known import Known, lengths
from seawall.traffic.logs.spool import Stored, Texts

Unescape = Callable[[bytes], bytes]

_TOKEN = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{0,31}")
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"v": b"\v", b"f": b"\f", b"a": b"\a"}
_HASH = re.compile(rb"#([0-9A-Fa-f]{2})")
_METHOD_BITS = 10
_MOST_METHODS = 1 << _METHOD_BITS
_GENERATION = 1 << 24


def unescaped(text: bytes) -> bytes:
    r"""A text with `\"`, `\\`, `\xhh`, `\uhhhh` and C's escapes undone, as Apache and nginx write them."""
    return _ESCAPE.sub(_unescape, text) if b"\\" in text else text


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes((int(code[1:], 16),))
    if len(code) == 5:
        return chr(int(code[1:], 16)).encode("utf-8", "replace")
    return _ESCAPED.get(code, code)


def unhashed(text: bytes) -> bytes:
    """A text with `#hh` undone, as HAProxy writes what is not printable."""
    return _HASH.sub(lambda m: bytes((int(m[1], 16),)), text) if b"#" in text else text


class RequestTable:
    """Numbers methods and paths in the order in which they are first seen, in bounded memory.

    Method 0 and an empty path stand for a line without a request. A path that has not been seen for long may
    be numbered once more: two numbers may then mean the same path, but a number never means two.
    """

    def __init__(self) -> None:
        self._methods: dict[str, int] = {"": 0}
        self._texts = Texts()
        self._paths: Known[bytes] = Known(_GENERATION, self._texts.extend, lengths)
        self._lines: Known[bytes] = Known(_GENERATION, self._new_lines, lengths)
        self._unescape: Unescape = unescaped

    def numbers(self, lines: Sequence[bytes], unescape: Unescape) -> list[int]:
        """For each request line its method and path in one number; `parted_numbers` takes it apart."""
        self._unescape = unescape
        return self._lines.numbers(lines)

    def _new_lines(self, lines: list[bytes]) -> list[int]:
        plain = [line[4:-9] for line in lines if line[:5] == b"GET /" and line[-9:] == b" HTTP/1.1"]
        if len(plain) == len(lines) and not any(mark in b" ".join(plain) for mark in (b"\\", b"#")):
            # What most lines are: paths at once, without looking for anything else in them.
            method = self._method("GET")
            return [path << _METHOD_BITS | method for path in self._paths.numbers(plain)]
        return [self.number(*_parted(line), self._unescape) for line in lines]

    def number(self, method: bytes, target: bytes, unescape: Unescape = unescaped) -> int:
        """The same for a method and a target; a target without a host is left as it is but for its escapes."""
        name, path = "", b""
        if target.strip() and _TOKEN.fullmatch(method):
            name = method.decode("ascii")
            if name in self._methods or len(self._methods) < _MOST_METHODS:
                path = without_host(unescape(target))
            else:
                name = ""
        return self._paths.number(path) << _METHOD_BITS | self._method(name)

    def _method(self, name: str) -> int:
        return self._methods.setdefault(name, len(self._methods))

    def finished(self) -> tuple[tuple[str, ...], Stored[str]]:
        """All methods and all paths, by number."""
        return tuple(self._methods), self._texts.finished(_text)


def parted_numbers(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of methods and of paths from those of RequestTable."""
    return numbers & (_MOST_METHODS - 1), numbers >> _METHOD_BITS


def _parted(line: bytes) -> tuple[bytes, bytes]:
    """Method and target of a request line; the protocol may be missing."""
    method, _, rest = line.partition(b" ")
    target, blank, protocol = rest.rpartition(b" ")
    if not blank or not protocol.startswith(b"HTTP/"):
        target = rest
    return method, target


def without_host(target: bytes) -> bytes:
    """The path and query of an absolute target (`http://host/path`); others as they are."""
    scheme, found, rest = target.partition(b"://")
    if not found or not scheme.isalnum():
        return target
    end = len(rest)
    for mark in (b"/", b"?"):
        at = rest.find(mark)
        if at >= 0:
            end = min(end, at)
    path = rest[end:]
    return path if path.startswith(b"/") else b"/" + path


def _text(path: bytes) -> str:
    """A path as text; Latin-1 where it is no UTF-8."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return path.decode("latin-1")
