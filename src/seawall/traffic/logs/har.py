"""Reads HAR files, what a browser recorded of one visit: times, paths, headers and bodies.

Source: HAR 1.2 (W3C Web Performance draft): `startedDateTime` is when the request was started, `time` its
milliseconds or -1; browsers add `_fromCache` to what they did not ask a server for.
"""

from __future__ import annotations

import base64
import json
import math
from binascii import Error as BinasciiError
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from seawall.fleet.errors import InputError
from seawall.traffic.files import Stream, read_whole
from seawall.traffic.logs.exchange import own_headers, stored, visitor
from seawall.traffic.logs.gather import Gatherer
from seawall.traffic.logs.sessions import SessionKey
from seawall.traffic.logs.stamps import read_stamp

EXPECTED = (
    "a HAR file is a JSON document with log.entries, each with startedDateTime and request; "
    "save it from the network panel of a browser"
)


class HarReader:
    """Reads HAR files into a gatherer. Only requests to the host of a file's first one are taken."""

    def __init__(self, key: SessionKey, gatherer: Gatherer) -> None:
        self._key = key
        self._into = gatherer
        self._cached = self._elsewhere = 0

    @property
    def expected(self) -> str:
        """What the files should have looked like."""
        return EXPECTED

    def take(self, path: str | Path, stream: Stream) -> None:
        """Read one file. Raises InputError if it is no HAR file."""
        host = None
        visit = (b"visit", str(path).encode("utf-8", "surrogateescape"))
        for number, entry in enumerate(_entries(path, stream), 1):
            self._into.lines += 1
            try:
                request = entry["request"]
                url = urlsplit(request["url"])
                if url.scheme not in ("http", "https"):
                    self._elsewhere += 1
                    continue
                host = host or url.netloc
                if url.netloc != host:
                    self._elsewhere += 1
                elif entry.get("_fromCache"):
                    self._cached += 1
                else:
                    self._entry(entry, request, url.path or "/", url.query, visit)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                self._into.damage(number, f"entry {number}: {type(error).__name__} {error}".encode())

    def _entry(
        self, entry: Mapping[str, Any], request: Mapping[str, Any], path: str, query: str, visit: Hashable
    ) -> None:
        found = read_stamp(entry["startedDateTime"].encode())
        if found is None:
            raise ValueError(entry["startedDateTime"])
        t_s, zone = found
        headers = own_headers((h["name"], h["value"]) for h in request.get("headers", ()))
        body = _body(request.get("postData") or {})
        key = visitor(headers, self._key) if self._key.kind != "auto" else None
        lasted = float(entry.get("time", -1))
        response = entry.get("response") or {}
        if self._into.zone_s is None:
            self._into.zone_s = zone
        target = f"{path}?{query}" if query else path
        self._into.add(
            t_s,
            f"{request['method']} {target} HTTP/1.1".encode(),
            visit if key is None else key,
            stored(headers, body),
            status=min(999, max(0, int(response.get("status", 0)))),
            size=max(0, int(response.get("bodySize", 0))),
            duration_s=lasted / 1000.0 if lasted >= 0.0 else math.nan,
        )

    def end(self) -> None:
        """All files were read."""
        if self._cached:
            self._into.remarks.append(
                f"{self._cached} entries were answered by the browser's cache; they are left out"
            )
        if self._elsewhere:
            self._into.remarks.append(
                f"{self._elsewhere} entries went to other hosts than the first one of their file; they are left out"
            )


def _entries(path: str | Path, stream: Stream) -> list[Any]:
    text = read_whole(stream, path)
    try:
        document = json.loads(text.decode("utf-8-sig"))
        entries = document["log"]["entries"]
    except json.JSONDecodeError as error:
        raise InputError(f"this is no JSON: {error.msg}; {EXPECTED}", file=path, line=error.lineno) from error
    except (KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"this is no HAR file; {EXPECTED}", file=path) from error
    if not isinstance(entries, list):
        raise InputError(f"this is no HAR file; {EXPECTED}", file=path)
    return entries


def _body(data: Mapping[str, Any]) -> bytes:
    """The body that was sent: its text, or its parameters as a form."""
    text = data.get("text") or ""
    if text and data.get("encoding") == "base64":
        try:
            return base64.b64decode(text, validate=True)
        except BinasciiError as error:
            raise ValueError(f"postData.text: {error}") from error
    if text:
        return str(text).encode("utf-8", "surrogatepass")
    params = data.get("params") or ()
    return urlencode([(p["name"], p.get("value", "")) for p in params]).encode()
