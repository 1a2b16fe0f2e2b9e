"""Reads recorded requests: finds out the format, or takes the one that is given, and reads one file or many."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from seawall.fleet.errors import InputError
from seawall.traffic.files import Paths, Stream, blocks_of_lines, first_bytes, opened, recorded_files
from seawall.traffic.logs import gor, har
from seawall.traffic.logs.alb import ALB
from seawall.traffic.logs.apache import COMBINED, VHOST_COMBINED, apache_format
from seawall.traffic.logs.gather import Gatherer
from seawall.traffic.logs.haproxy import HAPROXY
from seawall.traffic.logs.lineformat import LineFormat, Stamp
from seawall.traffic.logs.lines import LineReader
from seawall.traffic.logs.log import RequestLog
from seawall.traffic.logs.nginx import NGINX_COMBINED, nginx_format
from seawall.traffic.logs.sessions import SessionKey, parse_session_key

NAMED = ("auto", "common", "combined", "vhost_combined", "nginx", "haproxy", "alb", "har", "gor")
"""The formats that have a name; any other text is Apache's LogFormat (with %) or nginx's log_format (with $)."""

_UNITS = {"har": "entries", "gor": "records"}
_SNIFFED_LINES = 20
_SNIFFED_FILES = 20
_JSON = re.compile(rb"\s*\{\s*\"log\"\s*:")


def read_log(
    paths: Paths, *, log_format: str = "auto", stamp: Stamp | None = None, session: str = "auto"
) -> RequestLog:
    """Read recorded requests from a file, a folder, a pattern of names, or several; .gz files are unpacked.

    `log_format` is one of NAMED or a format string; with "auto" the first lines tell. `stamp` says what the
    times are, where the format does not know better: in Apache's formats the arrival, in nginx's the end, from
    which the duration is taken off where the log has it. `session` is what tells visitors apart
    (sessions.parse_session_key). Memory is bounded, whatever the size of the files. Raises InputError if a
    file cannot be read, a format or key does not fit, there is no request, or more than half is damaged.
    """
    files = recorded_files(paths)
    key = parse_session_key(session)
    form: LineFormat | str | None = None if log_format == "auto" else named_format(log_format, key)
    gatherer = Gatherer()
    reader: _Reader | None = None
    empty = 0
    for path in files:
        gatherer.begin(path)
        with opened(path) as stream:
            first = first_bytes(stream, path)
            if not first and len(files) > 1:
                empty += 1
                continue
            if form is None:
                form = found_format(first) or _format_of_others(files) or COMBINED
            if reader is None:
                reader = _reader(form, key, gatherer, stamp)
            reader.take(path, stream)
    if reader is None or form is None:
        raise InputError(
            f"all {len(files)} files are empty; give files with recorded requests", file=files[0]
        )
    reader.end()
    if empty:
        gatherer.remarks.append(f"{empty} of {len(files)} files are empty")
    if isinstance(form, str):
        return gatherer.finished(files, form, _UNITS[form], "arrival", reader.expected)
    return gatherer.finished(files, form.name, "lines", stamp or form.stamp, reader.expected)


class _Reader(Protocol):
    """What reads the files of one format."""

    def take(self, path: str | Path, stream: Stream) -> None:
        """Read one file."""

    def end(self) -> None:
        """All files were read."""

    @property
    def expected(self) -> str:
        """What the files should have looked like."""


class _Lines:
    """Reads files of lines."""

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader

    @property
    def expected(self) -> str:
        return self._reader.expected

    def take(self, path: str | Path, stream: Stream) -> None:
        for first, block in blocks_of_lines(stream, path):
            self._reader.take(first, block)
            if self._reader.hopeless:
                return

    def end(self) -> None:
        self._reader.end()


def _reader(form: LineFormat | str, key: SessionKey, gatherer: Gatherer, stamp: Stamp | None) -> _Reader:
    if form == "har":
        return har.HarReader(key, gatherer)
    if isinstance(form, str):
        return gor.GorReader(key, gatherer)
    return _Lines(LineReader(form, key, gatherer, (stamp or form.stamp) == "end"))


def named_format(text: str, key: SessionKey | None = None) -> LineFormat | str:
    """A format by its name or as a format string; "har" and "gor", which have no lines, as they are.

    Raises InputError for what is neither.
    """
    known: dict[str, LineFormat | str] = {
        "common": COMBINED,
        "combined": COMBINED,
        "nginx": NGINX_COMBINED,
        "haproxy": HAPROXY,
        "alb": ALB,
        "har": "har",
        "gor": "gor",
    }
    found = known.get(text.strip())
    if found is not None:
        return found
    own = key is not None and key.kind in ("cookie", "header")
    if text.strip() == "vhost_combined":
        return replace(apache_format(VHOST_COMBINED, own), name="vhost_combined")
    if "$" in text and "%" not in text:
        return nginx_format(text, own)
    if "%" in text:
        return apache_format(text, own)
    names = ", ".join(NAMED)
    raise InputError(
        f"{text!r} is no format of a log; write one of {names}, or the format as the server's configuration has it, "
        "for example '%h %l %u %t \"%r\" %>s %b'"
    )


def found_format(first: bytes) -> LineFormat | str | None:
    """The format of what begins so; None where no line of it is known for a request."""
    first = first.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\r\n")
    if gor.HEADER.match(first):
        return "gor"
    if _JSON.match(first):
        return "har"
    lines = list(islice((line.rstrip(b"\r") for line in first.split(b"\n") if line.strip()), _SNIFFED_LINES))
    best: LineFormat | None = None
    most = 0
    for form in (ALB, HAPROXY, _VHOST, COMBINED):
        fitting = sum(form.whole.match(line) is not None for line in lines)
        if fitting > most:
            best, most = form, fitting
    return best


def _format_of_others(files: list[str | Path]) -> LineFormat | str | None:
    """The format of the first of the other files whose beginning tells it: one file of many may be something else."""
    for path in files[1:_SNIFFED_FILES]:
        if not Path(path).is_fifo():
            with opened(path) as stream:
                found = found_format(first_bytes(stream, path))
            if found is not None:
                return found
    return None


_VHOST = replace(apache_format(VHOST_COMBINED), name="vhost_combined")
