"""A browser's recording is read with its headers and bodies, and without what no server was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.logs.log import Detail
from seawall.traffic.logs.read import found_format, read_log
from traffic.logs.conftest import Read, rows

AT = 1431857103.25  # 17 May 2015, 10:05:03.250 UTC


def entry(
    url: str = "https://shop.example/a?b=1", at: str = "2015-05-17T12:05:03.250+02:00", **changes: Any
) -> dict[str, Any]:
    """One entry of a HAR file; `changes` are those of its request."""
    request = {
        "method": "GET",
        "url": url,
        "httpVersion": "h2",
        "headers": [
            {"name": ":authority", "value": "shop.example"},
            {"name": "Host", "value": "shop.example"},
            {"name": "Connection", "value": "keep-alive, X-Hop"},
            {"name": "X-Hop", "value": "1"},
            {"name": "Accept", "value": "text/html"},
            {"name": "Cookie", "value": "sid=7; x=y"},
        ],
    }
    response = {"status": 200, "bodySize": 512}
    return {"startedDateTime": at, "time": 31.5, "request": {**request, **changes}, "response": response}


def har(*entries: Any) -> bytes:
    """A HAR file."""
    return json.dumps({"log": {"version": "1.2", "entries": entries}}, indent=1).encode()


KEPT = (("Accept", "text/html"), ("Cookie", "sid=7; x=y"))


def test_requests_are_read_in_order_of_time_with_their_headers(read: Read) -> None:
    later = entry("https://shop.example", at="2015-05-17T10:05:04Z")
    log = read("auto", har(later, entry()))
    assert rows(log) == [("GET", "/a?b=1", 200, 512, AT, 0.0315), ("GET", "/", 200, 512, AT + 0.75, 0.0315)]
    assert [log.details[i] for i in log.detail] == [Detail(KEPT, b"")] * 2
    assert (log.format, log.unit, log.sessions, log.session.tolist()) == ("har", "entries", 1, [0, 0])
    assert (log.whole_seconds, log.utc_offset_s, log.timed) == (False, 0, 2)
    assert not any("durations" in note for note in log.notes)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"mimeType": "application/json", "text": '{"a": "é\\n\\n"}'}, '{"a": "é\\n\\n"}'.encode()),
        ({"mimeType": "text/plain", "text": "line\n\nline"}, b"line\n\nline"),
        ({"mimeType": "application/octet-stream", "text": "AP8K", "encoding": "base64"}, b"\x00\xff\n"),
        ({"mimeType": "x", "params": [{"name": "a b", "value": "1&2"}, {"name": "c"}]}, b"a+b=1%262&c="),
        ({}, b""),
    ],
)
def test_bodies_are_read(read: Read, data: dict[str, Any], body: bytes) -> None:
    log = read("har", har(entry(method="POST", postData=data)))
    assert log.methods[log.method[0]] == "POST"
    assert log.details[log.detail[0]] == Detail(KEPT, body)


def test_what_was_not_asked_of_this_host_is_left_out_and_counted(read: Read) -> None:
    cached = {**entry(), "_fromCache": "memory"}
    elsewhere = [entry(url) for url in ("https://cdn.example/x.js", "wss://shop.example/ws", "data:,x")]
    log = read("auto", har(entry(), cached, *elsewhere))
    assert (len(log), log.lines, log.damaged) == (1, 5, 0)
    assert "1 entries were answered by the browser's cache; they are left out" in log.notes
    assert "3 entries went to other hosts than the first one of their file; they are left out" in log.notes


def test_an_entry_that_is_odd_is_damage(read: Read) -> None:
    odd = [
        "text",
        {"startedDateTime": "2015-05-17T10:05:03Z"},
        entry(at="yesterday"),
        entry(postData={"text": "???", "encoding": "base64"}),
        entry(headers=[{"name": "a"}]),
    ]
    log = read("auto", har(*[entry()] * 5, *odd))
    assert (len(log), log.damaged, log.damaged_lines) == (5, 5, (6, 7, 8, 9, 10))
    assert "5 of 10 entries could not be read (entry 6, 7, 8, 9, 10)" in log.notes


def test_a_request_that_never_ended_has_no_duration(read: Read) -> None:
    log = read("har", har({**entry(), "time": -1, "response": {"status": 0, "bodySize": -1}}))
    assert rows(log) == [("GET", "/a?b=1", 0, 0, AT, -1.0)]


def test_each_file_is_a_visit_unless_a_key_tells_more(tmp_path: Path) -> None:
    for name, sid in (("a", 7), ("b", 7), ("c", 8)):
        changed = entry(headers=[{"name": "Cookie", "value": f"sid={sid}"}])
        (tmp_path / f"{name}.har").write_bytes(har(changed, changed))
    assert read_log(tmp_path).session.tolist() == [0, 0, 1, 1, 2, 2]
    by_cookie = read_log(tmp_path, session="cookie:sid").session.tolist()
    assert by_cookie[0] == by_cookie[3] != by_cookie[5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"log": {"entries": [}', "no JSON"),
        (b'{"log": {"pages": []}}', "no HAR file"),
        (b'{"log": {"entries": 3}}', "no HAR file"),
        (b'{"log": {"entries": []}}', "the file holds no entries"),
        (b'{"log": {"entries": [1, 2]}}', "no entry could be read"),
        (b"", "empty"),
    ],
)
def test_what_is_no_har_file_is_refused(read: Read, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read("har", content)
    assert str(caught.value.file).endswith("recorded.log")


def test_a_har_file_is_known_by_its_beginning() -> None:
    assert found_format(har(entry())) == "har"
    assert found_format(b'\xef\xbb\xbf{"log":{') == "har"
    assert found_format(b'{"other": 1}') is None
