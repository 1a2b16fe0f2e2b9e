"""Reads Apache's and nginx's access logs (common and combined format) into columns, damaged as real logs are.

Sources: Apache httpd 2.4, mod_log_config (formats `common` and `combined`, escaping of %r and %{...}i);
nginx, ngx_http_log_module (predefined format `combined`, escape=default).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.traffic.files import line_blocks

Stamp = Literal["arrival", "end"]

SERVED_NOT_ASKED = (
    "an access log holds what was served, not what was asked for: "
    "requests that were refused or never got through are missing, and retries are in"
)
"""To be shown wherever traffic from an access log is used."""

HOLE = 100.0
"""A silence of so many mean distances between requests is a hole: by chance alone a log has none."""
FIRST_DAMAGED = 5
"""So many damaged lines are kept by number."""

_QUOTED = rb'"([^"\\\n]*(?:\\.[^"\\\n]*)*)"'
_HEAD = rb"^(\S+) \S+ ([^\n]{0,256}?) \[([^\]\n]{10,40})\] " + _QUOTED + rb" (\d{3}|-) (\d{1,18}|-)"
_TAIL = rb'(?: "[^"\\\n]*(?:\\.[^"\\\n]*)*" ' + _QUOTED + rb")?((?:[ \t][^\n]*)?)\r?$"
_LINE = re.compile(_HEAD + _TAIL, re.MULTILINE)
"""host, user, time, request, status, bytes, agent, what follows. It cannot reach beyond a line end, so that a
whole block can be searched at once: as many matches as lines means that every line was read."""
_CUT_AGENT = re.compile(rb'^ "[^"\\]*(?:\\.[^"\\]*)*" "(.*)$', re.DOTALL)
_REQUEST_TIME = re.compile(rb'\b(?:rt|request_time)[=:]"?(\d+(?:\.\d+)?)')
_TOKEN = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{0,31}")
_TIME = re.compile(rb"(\d\d/[A-Za-z]{3}/\d{4}):(\d\d):(\d\d):(\d\d)(\.\d{1,9})? ([+-]\d{4})")
_MONTHS = {name: n for n, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"v": b"\v", b"f": b"\f", b"a": b"\a"}
_EPOCH = date(1970, 1, 1).toordinal()
_NOBODY = frozenset((b"-", b"", b'""'))
_PIECE = 1 << 14
"""Bytes that are searched at once; where a line of them is damaged, they are read line by line."""
_CACHED = 200_000
_MOST_METHODS = 1000

_Row = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class AccessLog:
    """An access log as columns of equal length, in order of time (equal times: as in the file)."""

    source: str
    t_s: NDArray[np.float64]
    """Seconds since 1970 in UTC, as stamped; with stamp "end" less the request's duration if given."""
    method: NDArray[np.int16]
    """Index into `methods`; 0 where the line holds no request (`-`, empty, TLS on a plain port)."""
    path: NDArray[np.int32]
    """Index into `paths`."""
    status: NDArray[np.int16]
    """HTTP status; 0 for `-`."""
    size_bytes: NDArray[np.int64]
    """Bytes sent; 0 for `-`."""
    session: NDArray[np.int32]
    """Number of the visitor: the user if the log names one, else address and agent together."""
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    """Targets with their query, escapes decoded; the scheme and host of an absolute one left out."""
    sessions: int
    """How many different visitors there are."""
    lines: int
    blank: int
    cut: int
    """Lines that were read although their end is missing."""
    damaged: int
    damaged_lines: tuple[int, ...]
    """Numbers of the first damaged lines, from 1."""
    out_of_order: int
    """Requests stamped earlier than the one before them in the file."""
    whole_seconds: bool
    """Whether all times were stamped in whole seconds."""
    stamp: Stamp
    timed: int
    """Requests whose duration the log gives (looked for with stamp "end" alone)."""

    def __len__(self) -> int:
        return int(self.t_s.size)

    @property
    def first(self) -> float:
        """Time of the first request, seconds since 1970."""
        return float(self.t_s[0])

    @property
    def last(self) -> float:
        """Time of the last request, seconds since 1970."""
        return float(self.t_s[-1])

    @property
    def without_request(self) -> int:
        """Lines that name a connection but no request."""
        return int(np.count_nonzero(self.method == 0))

    @property
    def longest_silence_s(self) -> float:
        """The longest time between two requests, in seconds."""
        return float(np.diff(self.t_s).max(initial=0.0))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the log is taken for traffic, one sentence each."""
        notes = [SERVED_NOT_ASKED]
        if self.damaged:
            numbers = ", ".join(map(str, self.damaged_lines))
            more = ", ..." if self.damaged > len(self.damaged_lines) else ""
            notes.append(f"{self.damaged} of {self.lines} lines could not be read (line {numbers}{more})")
        if self.cut:
            notes.append(f"{self.cut} of {self.lines} lines are cut off at their end; what is left was used")
        if self.without_request:
            notes.append(
                f"{self.without_request} lines hold no request (idle connections, TLS on a plain port)"
            )
        silence = self.longest_silence_s
        if silence * len(self) > HOLE * (self.last - self.first):
            notes.append(f"it has holes: the longest time without a request is {silence:.0f} s")
        if self.whole_seconds:
            notes.append(
                "its times are whole seconds: the requests of each are spread over it at random, by the seed"
            )
        if self.stamp == "end" and self.timed < len(self):
            notes.append(
                f"its times are the ends of requests, and {len(self) - self.timed} of {len(self)} lines give "
                "no duration: long requests come too late here"
            )
        return tuple(notes)


def read_access_log(path: str | Path, *, stamp: Stamp = "arrival") -> AccessLog:
    """Read a log in common or combined format; fields after those are allowed, and .gz files are unpacked.

    `stamp` says what its times are: Apache stamps the arrival, nginx's `$time_local` the end. With "end", a
    field `rt=` or `request_time=` (seconds) after the combined ones is taken off the time. Lines are read one
    block at a time. Raises InputError if the file cannot be read, is empty, or holds no request, or if
    more than half of its lines are damaged.
    """
    reader = _Reader(stamp == "end")
    for first, block in line_blocks(path):
        reader.take(first, block)
    return reader.finish(path, stamp)


class _Reader:
    """Takes blocks of lines, keeps the tables of what was seen and one array a block and column."""

    def __init__(self, subtract: bool) -> None:
        self.subtract = subtract
        self.times: dict[bytes, float] = {}
        self.days: dict[bytes, int] = {}
        self.requests: dict[bytes, tuple[int, int]] = {}
        self.methods: dict[str, int] = {"": 0}
        self.paths: dict[str, int] = {}
        self.sessions: dict[bytes, int] = {}
        self.parts: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
        self.lines = self.blank = self.cut = self.damaged = self.timed = 0
        self.bad: list[tuple[int, bytes]] = []
        self.whole = True

    def take(self, first: int, block: bytes) -> None:
        """Read the lines of a block that begins with line number `first`."""
        rows: list[_Row] = []
        numbers: list[int] = []
        begin, line = 0, first
        while begin < len(block):
            end = block.find(b"\n", begin + _PIECE) + 1 or len(block)
            piece = block[begin:end]
            count = piece.count(b"\n") + (not piece.endswith(b"\n"))
            found = _LINE.findall(piece)
            if len(found) == count:
                rows += found
                numbers += range(line, line + count)
            else:
                self._one_by_one(line, piece, rows, numbers)
            begin, line = end, line + count
        self.lines += line - first
        if rows:
            self.parts.append(self._columns(rows, numbers))
        self.bad = sorted(self.bad)[:FIRST_DAMAGED]

    def _one_by_one(self, first: int, piece: bytes, rows: list[_Row], numbers: list[int]) -> None:
        """Read the lines of a piece of which not every one can be read."""
        for number, line in enumerate(piece.removesuffix(b"\n").split(b"\n"), first):
            found = _LINE.findall(line)
            if found:
                rows += found
                numbers.append(number)
            elif line.strip():
                self._damage(number, line)
            else:
                self.blank += 1

    def _damage(self, number: int, line: bytes) -> None:
        self.damaged += 1
        self.bad.append((number, line))

    def _columns(self, rows: list[_Row], numbers: list[int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Times (n,) and the other five columns (5, n): method, path, status, size, session."""
        rows, t_s = self._timed(rows, numbers)
        hosts, users, _, lines, statuses, sizes, agents, more = zip(*rows, strict=True) if rows else [()] * 8
        if any(more):
            agents = tuple(self._more(t_s, list(agents), more))
        visitors = [
            host + b" " + agent if user in _NOBODY else user
            for host, user, agent in zip(hosts, users, agents, strict=True)
        ]
        sessions = self.sessions
        known = zip(lines, map(self.requests.get, lines), strict=True)
        requests = [self._request(line) if request is None else request for line, request in known]
        columns = (
            [method for method, _ in requests],
            [path for _, path in requests],
            [0 if status == b"-" else int(status) for status in statuses],
            [0 if size == b"-" else int(size) for size in sizes],
            [sessions.setdefault(visitor, len(sessions)) for visitor in visitors],
        )
        return t_s, np.array(columns, dtype=np.int64)

    def _timed(self, rows: list[_Row], numbers: list[int]) -> tuple[list[_Row], NDArray[np.float64]]:
        """The rows whose stamp is a time, and those times; the others are damaged."""
        stamps = [row[2] for row in rows]
        known = zip(stamps, map(self.times.get, stamps), strict=True)
        times = [self._time(stamp) if time is None else time for stamp, time in known]
        if None in times:
            for row, number, time in zip(rows, numbers, times, strict=True):
                if time is None:
                    self._damage(number, b" ".join((row[0], b"[" + row[2] + b"]", row[3])))
            rows = [row for row, time in zip(rows, times, strict=True) if time is not None]
        return rows, np.array([time for time in times if time is not None], dtype=np.float64)

    def _more(self, t_s: NDArray[np.float64], agents: list[bytes], more: Sequence[bytes]) -> list[bytes]:
        """Look at what stands after the last field that was read: an agent cut off, or fields of one's own.

        Takes durations off `t_s` in place; gives the agents, what is left of one that was cut among them.
        """
        for i, rest in enumerate(more):
            if not rest:
                continue
            cut = _CUT_AGENT.match(rest) if not agents[i] else None
            if cut is not None:
                self.cut += not cut[1].rstrip().endswith(b'"')
                agents[i] = cut[1].strip(b'" \t\r')
            elif rest.startswith(b' "') and rest.replace(rb"\"", b"").count(b'"') % 2:
                self.cut += 1
            lasted = _REQUEST_TIME.search(rest) if self.subtract else None
            if lasted is not None:
                self.timed += 1
                t_s[i] -= float(lasted[1])
        return agents

    def _time(self, stamp: bytes) -> float | None:
        """Seconds since 1970 of a stamp, or None if it is none."""
        match = _TIME.fullmatch(stamp)
        time = _iso_time(stamp) if match is None else self._clf_time(match)
        if time is None:
            return None
        if time % 1.0:
            self.whole = False
        if len(self.times) >= _CACHED:
            self.times.clear()
        self.times[stamp] = time
        return time

    def _clf_time(self, match: re.Match[bytes]) -> float | None:
        day, zone = match[1], match[6]
        midnight = self.days.get(day)
        if midnight is None:
            try:
                ordinal = date(int(day[7:]), _MONTHS[day[3:6].title()], int(day[:2])).toordinal()
            except (KeyError, ValueError):
                return None
            midnight = self.days[day] = (ordinal - _EPOCH) * 86400
        hour, minute, second = int(match[2]), int(match[3]), int(match[4])
        if hour > 23 or minute > 59 or second > 60:
            return None
        east = int(zone[1:3]) * 3600 + int(zone[3:]) * 60
        seconds = midnight + hour * 3600 + minute * 60 + second - (east if zone[:1] == b"+" else -east)
        return seconds + float(match[5] or 0.0)

    def _request(self, request: bytes) -> tuple[int, int]:
        """(method, path) of a request line; method 0 where it is none."""
        method, _, rest = request.partition(b" ")
        target, blank, protocol = rest.rpartition(b" ")
        if not blank or not protocol.startswith(b"HTTP/"):
            target = rest
        name, text = "", ""
        if target.strip() and _TOKEN.fullmatch(method):
            name = method.decode("ascii")
            if name in self.methods or len(self.methods) < _MOST_METHODS:
                text = _without_host(_decoded(target))
            else:
                name = ""
        found = (
            self.methods.setdefault(name, len(self.methods)),
            self.paths.setdefault(text, len(self.paths)),
        )
        if len(self.requests) >= _CACHED:
            self.requests.clear()
        self.requests[request] = found
        return found

    def finish(self, path: str | Path, stamp: Stamp) -> AccessLog:
        """All blocks as one log, in order of time."""
        self._refuse(path)
        t_s = np.concatenate([times for times, _ in self.parts])
        rest = np.concatenate([others for _, others in self.parts], axis=1)
        self.parts.clear()
        out_of_order = int(np.count_nonzero(np.diff(t_s) < 0))
        if out_of_order:
            order = np.argsort(t_s, kind="stable")
            t_s, rest = t_s[order], rest[:, order]
        return AccessLog(
            source=str(path),
            t_s=t_s,
            method=rest[0].astype(np.int16),
            path=rest[1].astype(np.int32),
            status=rest[2].astype(np.int16),
            size_bytes=rest[3].copy(),
            session=rest[4].astype(np.int32),
            methods=tuple(self.methods),
            paths=tuple(self.paths),
            sessions=len(self.sessions),
            lines=self.lines,
            blank=self.blank,
            cut=self.cut,
            damaged=self.damaged,
            damaged_lines=tuple(number for number, _ in self.bad),
            out_of_order=out_of_order,
            whole_seconds=self.whole,
            stamp=stamp,
            timed=self.timed,
        )

    def _refuse(self, path: str | Path) -> None:
        """Raise InputError if this is no access log, or not enough of one."""
        read = sum(times.size for times, _ in self.parts)
        expected = (
            "an access log in common or combined format has lines like "
            '`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 512 "-" "Mozilla/5.0"`'
        )
        if read == 0 and not self.bad:
            raise InputError(f"the file holds blank lines alone; {expected}", file=path)
        if self.damaged > read:
            number, line = self.bad[0]
            which = "no line" if read == 0 else f"less than half of the {self.lines} lines"
            others = ", ".join(str(n) for n, _ in self.bad[1:])
            also = f" (also lines {others})" if others else ""
            raise InputError(
                f"{which} could be read as a request; this one is {_shown(line)}{also}; {expected}",
                file=path,
                line=number,
            )


def looks_like_access_log(line: bytes) -> bool:
    """Whether a line (with or without its end) can be read as a request of common or combined format."""
    return _LINE.match(line) is not None


def _shown(line: bytes) -> str:
    text = line[:160].decode("utf-8", "backslashreplace").strip()
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return "`" + printable[:120] + ("...`" if len(printable) > 120 else "`")


def _iso_time(stamp: bytes) -> float | None:
    """Seconds since 1970 of nginx's `$time_iso8601`; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


def _decoded(target: bytes) -> str:
    r"""A request target as text, `\"`, `\\`, `\xhh` and C's escapes undone; Latin-1 where it is no UTF-8."""
    if b"\\" in target:
        target = _ESCAPE.sub(_unescape, target)
    try:
        return target.decode("utf-8")
    except UnicodeDecodeError:
        return target.decode("latin-1")


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes((int(code[1:], 16),)) if len(code) == 3 else _ESCAPED.get(code, code)


def _without_host(target: str) -> str:
    """The path and query of an absolute target (`http://host/path`); others as they are."""
    scheme, found, rest = target.partition("://")
    if not found or not scheme.isalnum():
        return target
    _, slash, path = rest.partition("/")
    return slash + path or "/"
