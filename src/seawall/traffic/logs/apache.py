"""Apache's LogFormat as a line format, and the formats `common`, `combined` and `vhost_combined` that come with it.

Source: Apache httpd 2.4, mod_log_config and mod_logio (format strings, modifiers, escaping of %r and %{...}i).
nginx's predefined `combined` has the same fields.
"""

from __future__ import annotations

import re
from dataclasses import replace

from seawall.fleet.errors import InputError
from seawall.traffic.logs.lineformat import WORD, Field, LineFormat, Part, Role, line_format
from seawall.traffic.logs.stamps import strftime_pattern

VHOST_COMBINED = '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"'
"""What Debian names so: the log of all virtual hosts together."""

_QUOTED = rb'"([^"\\\n]*(?:\\.[^"\\\n]*)*)"'
_HEAD = rb"^(\S+) \S+ ([^\n]{0,256}?) \[([^\]\n]{10,40})\] " + _QUOTED + rb" (\d{3}|-) (\d{1,18}|-)"
_TAIL = rb'(?: "[^"\\\n]*(?:\\.[^"\\\n]*)*" ' + _QUOTED + rb")?((?:[ \t][^\n]*)?)$"
_FAST = rb'^([^ ]+) [^ ]+ ([^ ]*) \[([^]]*)\] "([^"]*)" ([^ ]*) '

COMBINED = LineFormat(
    name="combined",
    fields=(
        Field("%h", Role.ADDRESS),
        Field("%u", Role.USER),
        Field("%t", Role.STAMP),
        Field("%r", Role.REQUEST),
        Field("%>s", Role.STATUS),
        Field("%b", Role.SIZE),
        Field("%{User-Agent}i", Role.AGENT, "user-agent"),
        Field("", Role.MORE),
    ),
    whole=re.compile(_HEAD + _TAIL, re.MULTILINE),
    fast=(
        re.compile(_FAST + rb'([^ ]*) "[^"]*" "([^"]*)"((?: [^\n]*)?)\n', re.MULTILINE),
        re.compile(_FAST + rb"([0-9-]+)()()\n", re.MULTILINE),
    ),
    expected=(
        "an access log in common or combined format has lines like "
        '`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 512 "-" "Mozilla/5.0"`; '
        "for another format give it, as the server's configuration has it"
    ),
)
"""Apache's common and combined formats and nginx's combined, whichever a line is in, with fields after those."""

_DIRECTIVE = re.compile(r"%[!0-9,]*[<>]?(?:\{([^}]*)\})?(\^t[io]|[A-Za-z%])")
_NUMBER = rb"\d{1,18}|-"
_ADDRESS_HEADERS = frozenset(
    ("x-forwarded-for", "x-real-ip", "true-client-ip", "cf-connecting-ip", "forwarded")
)
_PLAIN = {
    "h": Field("", Role.ADDRESS, pattern=WORD),
    "a": Field("", Role.ADDRESS, pattern=WORD),
    "l": Field("", pattern=WORD),
    "u": Field("", Role.USER),
    "r": Field("", Role.REQUEST),
    "m": Field("", Role.METHOD, pattern=rb"[A-Za-z][A-Za-z0-9_-]{0,31}|-"),
    "U": Field("", Role.TARGET, pattern=rb"[^\n?\"]*"),
    "q": Field("", Role.QUERY, pattern=rb"(?:\?[^ \t\n\"]*)?"),
    "s": Field("", Role.STATUS, pattern=rb"\d{3}|-"),
    "b": Field("", Role.SIZE, pattern=_NUMBER),
    "B": Field("", Role.SIZE, pattern=_NUMBER),
    "O": Field("", Role.SIZE, pattern=_NUMBER),
    "D": Field("", Role.DURATION, scale=1e-6, pattern=_NUMBER),
    "H": Field("", pattern=WORD),
    "p": Field("", pattern=_NUMBER),
    "P": Field("", pattern=_NUMBER),
    "k": Field("", pattern=_NUMBER),
    "I": Field("", pattern=_NUMBER),
    "S": Field("", pattern=_NUMBER),
    "X": Field("", pattern=rb"[X+-]"),
    "v": Field("", pattern=rb"[^ \t\n:\"]*"),
    "V": Field("", pattern=rb"[^ \t\n:\"]*"),
}
_KNOWN = frozenset("aABbCDefhHiklLmnoIOpPqrRsStTuUvVX")
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_CLOCKS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_FRACTIONS = {"msec_frac": (1e-3, rb"\d{3}"), "usec_frac": (1e-6, rb"\d{6}")}
_CONFIGURED = re.compile(
    r"\s*(?:LogFormat|(?:Custom|Global|Transfer)Log\s+\S+)\s+(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)').*",
    re.DOTALL,
)
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\'": "'"}


def apache_format(text: str, session_fields: bool = False) -> LineFormat:
    r"""A line format from a LogFormat string, with `\"` for a quote or without, or from the whole directive.

    Raises InputError for a directive that Apache does not have, and as `line_format` does.
    """
    configured = _CONFIGURED.fullmatch(text)
    wanted = (configured[1] or configured[2] or "") if configured else text
    wanted = re.sub(r"\\.", lambda m: _ESCAPES.get(m[0], m[0]), wanted).strip("\n")
    parts: list[Part] = []
    at, ends = 0, False
    for match in re.finditer(r"%[^%A-Za-z^{]*(?:\{[^}]*\})?(?:\^t[io]|.)?", wanted):
        parts += [wanted[at : match.start()].encode(), *_directive(match[0])]
        ends = ends or "{end:" in match[0]
        at = match.end()
    parts.append(wanted[at:].encode())
    return line_format(
        wanted, parts, "end" if ends and "{begin:" not in wanted else "arrival", session_fields
    )


def _directive(text: str) -> list[Part]:
    """The parts that one directive stands for."""
    match = _DIRECTIVE.fullmatch(text)
    if match is None or (match[2] not in _KNOWN and match[2] not in ("%", "^ti", "^to")):
        raise InputError(
            f"{text} is no part of a LogFormat that Apache knows; write for example %h or %{{Host}}i"
        )
    name, letter = match[1] or "", match[2]
    if letter == "%":
        return [b"%"]
    if letter == "t":
        return _time(text, name)
    if letter == "i":
        return [request_header(text, name.lower())]
    if letter == "C":
        return [Field(text, Role.COOKIE, name)]
    if letter == "T":
        if name not in _UNITS:
            raise InputError(f"{text} has no unit that Apache knows; write %{{us}}T, %{{ms}}T or %{{s}}T")
        return [Field(text, Role.DURATION, scale=_UNITS[name], pattern=_NUMBER)]
    if name and letter not in "hasp":
        return [Field(text)]
    return [replace(_PLAIN[letter], text=text)] if letter in _PLAIN else [Field(text)]


def _time(text: str, name: str) -> list[Part]:
    if not name:
        return [b"[", Field(text, Role.STAMP, pattern=rb"[^\]\n]{10,40}"), b"]"]
    name = name.removeprefix("begin:").removeprefix("end:")
    if name in _CLOCKS:
        return [Field(text, Role.EPOCH, scale=_CLOCKS[name], pattern=rb"\d{1,18}")]
    if name in _FRACTIONS:
        scale, pattern = _FRACTIONS[name]
        return [Field(text, Role.FRACTION, scale=scale, pattern=pattern)]
    pattern = strftime_pattern(name)
    return [Field(text, Role.STAMP, strftime=pattern, pattern=re.sub(rb"\(\?P<.>", rb"(?:", pattern))]


def request_header(text: str, name: str) -> Field:
    """A request header by what it tells of the visitor."""
    if name == "user-agent":
        return Field(text, Role.AGENT, name)
    if name in _ADDRESS_HEADERS:
        return Field(text, Role.ADDRESS, name)
    return Field(text, Role.COOKIES if name == "cookie" else Role.HEADER, name)
