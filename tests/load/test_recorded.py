"""Recorded traffic sent once more: its own times, mix and order; what is not sent, and what is changed on the way."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seawall.fleet.errors import InputError
from seawall.fleet.model import Recorded, Traffic
from seawall.load.asked import Ask
from seawall.load.compose import Manner, parse_regex, parse_rewrite, wave_of_traffic
from seawall.load.target import parse_target, resolve
from seawall.load.wave import Wave
from seawall.traffic.recorded import read_recording

from .answering import http, serving
from .sending import clients, kinds, sent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def line(second: float, request: str, host: str = "10.0.0.1", user: str = "-") -> str:
    stamp = f"17/May/2015:10:05:{second:06.3f} +0000"
    return f'{host} - {user} [{stamp}] "{request} HTTP/1.1" 200 10 "-" "agent"\n'


def replay(path: Path, port: int, *, timeout: float = 5.0, recorded: dict[str, Any] | None = None,
           **manner: Any) -> Wave:  # fmt: skip
    """A wave of a log, sent to a port of this machine."""
    target = resolve(parse_target(f"http://127.0.0.1:{port}/"))
    traffic = Traffic(
        recorded=Recorded.model_validate({"file": path.name, **(recorded or {})}), clients=clients(timeout)
    )
    return wave_of_traffic(traffic, target, Ask(), Manner(**manner), lambda: read_recording(path))


def test_requests_come_at_their_own_times_and_at_a_multiple_of_them(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    at = [0.1, 0.4, 0.9, 1.0, 1.6, 2.5]
    log.write_text("".join(line(5 + t, f"GET /{i}", f"10.0.0.{i}") for i, t in enumerate(at)))
    for speed in (1.0, 4.0):
        came: list[tuple[float, bytes]] = []

        def answer(head: bytes, came: list[tuple[float, bytes]] = came) -> bytes:
            came.append((time.monotonic(), head.split()[1]))
            return OK

        with serving(http(answer)) as port:
            record = sent(replay(log, port, recorded={"speed": speed}))
        assert [path for _, path in came] == [b"/%d" % i for i in range(6)]
        gaps = np.array([t - came[0][0] for t, _ in came])
        assert np.abs(gaps - (np.array(at) - at[0]) / speed).max() < 0.05
        assert record.totals["sent"] == 6


def test_a_visitor_waits_for_its_answer_before_it_asks_again(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "".join(line(5 + 0.01 * i, f"GET /slow/{i}", "10.0.0.1") for i in range(5))
        + "".join(line(5.1 + 0.01 * i, f"GET /other/{i}", "10.0.0.2") for i in range(5))
    )
    under_way, most, order = [0], [0], []

    def answer(head: bytes) -> bytes:
        path = head.split()[1].decode()
        order.append(path)
        if path.startswith("/slow"):
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            time.sleep(0.1)
            under_way[0] -= 1
        return OK

    with serving(http(answer)) as port:
        record = sent(replay(log, port))
    assert most[0] == 1
    assert [p for p in order if p.startswith("/slow")] == [f"/slow/{i}" for i in range(5)]
    assert order.index("/other/4") < order.index("/slow/4")
    # The wait behind an answer is the server's, not the generator's: latency has it, lateness has not.
    assert record.latency_sum_s.sum() > 1.0
    assert record.description["generator"]["lateness_p99_ms"] < 90.0


def test_methods_that_change_something_are_sent_only_when_asked_for(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(line(5 + 0.1 * i, f"{m} /x", f"10.0.0.{i}") for i, m in enumerate(
        ["GET", "HEAD", "POST", "DELETE", "GET"])))  # fmt: skip
    methods: list[bytes] = []

    def answer(head: bytes) -> bytes:
        methods.append(head.split()[0])
        return OK

    with serving(http(answer)) as port:
        record = sent(replay(log, port))
        assert sorted(methods) == [b"GET", b"GET", b"HEAD"]
        assert any("2 recorded requests were not sent" in text for text in record.description["warnings"])
        methods.clear()
        assert kinds(sent(replay(log, port, methods=("GET", "HEAD", "POST", "DELETE")))) == {"answered": 5}
        assert sorted(methods) == [b"DELETE", b"GET", b"GET", b"HEAD", b"POST"]
        log.write_text(line(5, "POST /x"))
        with pytest.raises(InputError, match="--methods"):
            replay(log, port)


def test_paths_are_rewritten_and_made_fit_to_be_sent(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(line(5, "GET /v1/items?page=2") + line(5.1, r"GET /caf\xc3\xa9?q=a|b"))
    paths: list[bytes] = []

    def answer(head: bytes) -> bytes:
        paths.append(head.split()[1])
        return OK

    with serving(http(answer)) as port:
        sent(replay(log, port, rewrites=(parse_rewrite(r"^/v1/(.*) => /v2/\1"),)))
    assert sorted(paths) == [b"/caf%C3%A9?q=a|b", b"/v2/items?page=2"]


def test_no_address_user_or_redacted_path_reaches_the_record(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(
        line(5 + i / 100, f"GET /accounts/alice/{i % 3}", f"203.0.113.{i}", "bob") for i in range(60)
    ) + "not a line of a log from 203.0.113.200\n")  # fmt: skip
    with serving(http(lambda head: OK)) as port:
        record = sent(replay(log, port, redact=(parse_regex(r"alice"),)))
    told = json.dumps([record.description, record.per_class, [e.as_json() for e in record.events]])
    assert not re.search(r"alice|bob|203\.0\.113", told)
    assert record.totals["sent"] == 60


def test_parts_of_a_replay_keep_visitors_whole(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(line(5 + i / 100, f"GET /{i % 7}/{i}", f"10.0.0.{i % 7}") for i in range(70)))
    seen: list[set[bytes]] = []
    for part in (1, 2, 3):
        visitors: set[bytes] = set()

        def answer(head: bytes, visitors: set[bytes] = visitors) -> bytes:
            visitors.add(head.split()[1].split(b"/")[1])
            return OK

        with serving(http(answer)) as port:
            sent(replay(log, port, part=(part, 3)))
        seen.append(visitors)
    assert set.union(*seen) == {b"%d" % i for i in range(7)}
    assert sum(map(len, seen)) == 7


def test_a_recorded_visitor_keeps_cookies(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(line(5 + i / 20, f"GET /{i}", f"10.0.0.{i % 2}") for i in range(8)))
    cookies: list[bytes | None] = []

    def answer(head: bytes) -> bytes:
        found = re.search(rb"\r\nCookie: (.*?)(\r\n|$)", head)
        cookies.append(found[1] if found else None)
        return b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"

    with serving(http(answer)) as port:
        sent(replay(log, port))
        assert cookies.count(None) == 2 and cookies.count(b"a=1") == 6
        cookies.clear()
        sent(replay(log, port, cookies=False))
        assert cookies == [None] * 8


def test_a_browser_recording_is_sent_with_its_bodies_and_headers(tmp_path: Path) -> None:
    def entry(ms: int, method: str, url: str, **request: Any) -> dict[str, Any]:
        asked = {
            "method": method,
            "url": url,
            "httpVersion": "HTTP/1.1",
            "headers": [],
            "queryString": [],
            "cookies": [],
        }
        return {
            "startedDateTime": f"2026-05-17T10:05:00.{ms:03d}Z",
            "time": 12.0,
            "request": asked | request,
            "response": {"status": 200, "content": {"size": 1}, "bodySize": 1},
        }

    posted = {
        "headers": [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "Host", "value": "shop.example"},
        ],
        "postData": {"mimeType": "application/json", "text": '{"item": 7}'},
    }
    entries = [
        entry(0, "GET", "https://shop.example/?q=1"),
        entry(200, "POST", "https://shop.example/basket", **posted),
    ]
    har = tmp_path / "visit.har"
    har.write_text(
        json.dumps({"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": entries}})
    )
    heads: list[bytes] = []
    bodies: list[bytes] = []

    def serve(connection: Any) -> None:
        data = b""
        while piece := connection.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                size = int(length[1]) if length else 0
                if len(rest) < size:
                    break
                heads.append(head)
                bodies.append(rest[:size])
                data = rest[size:]
                connection.sendall(OK)

    with serving(serve) as port:
        record = sent(replay(har, port, methods=("GET", "POST")))
    assert kinds(record) == {"answered": 2}
    assert heads[0].startswith(b"GET /?q=1 HTTP/1.1\r\n") and heads[1].startswith(
        b"POST /basket HTTP/1.1\r\n"
    )
    assert bodies == [b"", b'{"item": 7}']
    assert b"Content-Type: application/json" in heads[1] and b"shop.example" not in heads[1]
