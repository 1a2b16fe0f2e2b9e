"""`seawall wave`: what each option does to the requests that a server sees, and which options are refused together."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import SEAWALL, SMALL
from tests.load.answering import CERTIFICATES, http, serving, wait_for_end

from seawall.cli.main import run
from seawall.load import guard
from seawall.record.record import Record, read, read_wallclock

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
LITTLE = ("--rate", "200/s for 200ms", "--process", "even")
"""Forty requests."""

Waved = Callable[..., tuple[int, str, str]]


@pytest.fixture
def waved(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Waved:
    """Sends a wave to a port from this process: exit code, output, messages. Sent again where it came too late."""
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody is there to be asked

    def once(port: int, *args: str | Path, scheme: str = "http", path: str = "/") -> tuple[int, str, str]:
        url = f"{scheme}://{'localhost' if scheme == 'https' else '127.0.0.1'}:{port}{path}"
        code = run(["wave", "--url", url, *map(str, args)])
        return (code, *capsys.readouterr())

    def again(*args: Any, **more: Any) -> tuple[int, str, str]:
        for _ in range(5):
            code, out, err = once(*args, **more)
            if "VOID" not in out:
                break
        return code, out, err

    return again


def counts(out: str) -> dict[str, Any]:
    """The figures of the one variant in the JSON."""
    [variant] = json.loads(out)["variants"]
    return {**variant, **variant["requests"]}


class Site:
    """Answers each head with the answer that is set, and keeps the heads."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.heads: list[bytes] = []

    def __call__(self, connection: socket.socket) -> None:
        http(self._one)(connection)

    def _one(self, head: bytes) -> bytes:
        self.heads.append(head)
        return self.answer


def header(head: bytes, name: bytes) -> bytes | None:
    found = re.search(rb"\r\n" + name + rb": ([^\r]*)", head)
    return found[1] if found else None


# ------------------------------------------------------------------------------------------ what is asked for


def test_a_body_goes_out_with_its_method_and_from_a_file(waved: Waved, tmp_path: Path) -> None:
    got: set[bytes] = set()

    def serve(connection: socket.socket) -> None:
        data = b""
        while b"tide=" not in data:
            piece = connection.recv(65536)
            if not piece:
                return
            data += piece
        got.add(data)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    (tmp_path / "body").write_text("tide=low")
    with serving(serve) as port:
        waved(port, *LITTLE, "--method", "post", "--body", "tide=high", path="/a?b=c")
        waved(port, *LITTLE, "--method", "PUT", "--body-file", tmp_path / "body")
    posted, put = sorted(got)
    assert posted.startswith(b"POST /a?b=c HTTP/1.1\r\n") and posted.endswith(b"\r\n\r\ntide=high")
    assert put.startswith(b"PUT / HTTP/1.1\r\n") and put.endswith(b"\r\n\r\ntide=low")
    assert header(posted, b"Content-Length") == b"9"


def test_redirects_are_answers_unless_they_are_to_be_followed(waved: Waved) -> None:
    site = Site()

    def answer(head: bytes) -> bytes:
        site.heads.append(head)
        away = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        return OK if b" /there " in head else away

    with serving(http(answer)) as port:
        kept = counts(waved(port, *LITTLE, "--json")[1])
        assert all(head.startswith(b"GET / ") for head in site.heads)
        followed = counts(waved(port, *LITTLE, "--json", "--redirects", "1")[1])
    assert (kept["answered"], kept["redirected"]) == (40, 0)
    assert (followed["answered"], followed["redirected"]) == (40, 40)


# ------------------------------------------------------------------------------------------ how clients behave


@pytest.mark.parametrize(
    ("options", "opened", "close"),
    [
        ((), range(1, 20), 0),
        (("--new-connections", "100%"), range(40, 41), 40),
        (("--new-connections", "50%"), range(10, 36), range(8, 33)),
        (("--no-keep-alive",), range(40, 41), 40),
    ],
)
def test_connections_are_kept_shared_or_new(
    options: tuple[str, ...], opened: range, close: int | range, waved: Waved
) -> None:
    site = Site()
    with serving(site) as port:
        found = counts(waved(port, *LITTLE, "--json", *options)[1])
    asked = [header(head, b"Connection") for head in site.heads[-40:]].count(b"close")
    assert found["answered"] == 40 and found["connects"] in opened
    assert asked in (close if isinstance(close, range) else (close,))


def test_users_keep_cookies_unless_they_are_told_not_to(waved: Waved) -> None:
    site = Site(b"HTTP/1.1 200 OK\r\nSet-Cookie: tide=high\r\nContent-Length: 0\r\n\r\n")
    users = ("--users", "5 for 500ms", "--pace", "100ms")
    with serving(site) as port:
        waved(port, *users)
        assert {header(head, b"Cookie") for head in site.heads} == {None, b"tide=high"}
        site.heads.clear()
        waved(port, *users, "--no-cookies")
        assert {header(head, b"Cookie") for head in site.heads} == {None}


def test_failures_are_tried_again_as_often_as_asked(waved: Waved) -> None:
    with serving(Site(BUSY)) as port:
        found = counts(waved(port, *LITTLE, "--json", "--retries", "1")[1])
    assert (found["sent"], found["attempts"], found["failures"]["failed_5xx"]) == (40, 80, 40)


def test_patience_ends_when_it_is_told_to(waved: Waved) -> None:
    with serving(wait_for_end) as port:
        began = time.monotonic()
        found = counts(waved(port, *LITTLE, "--json", "--timeout", "300ms")[1])
    assert found["failures"]["timed_out_read"] == found["sent"] == 40
    assert time.monotonic() - began < 15.0


def test_a_think_time_begins_at_the_answer(waved: Waved) -> None:
    def slowly(head: bytes) -> bytes:
        time.sleep(0.1)
        return OK

    with serving(http(slowly)) as port:
        found = counts(waved(port, "--users", "1 for 2s", "--think", "100ms", "--json")[1])
    # A request takes 0.1 s and is thought about for 0.1 s: ten in two seconds, not twenty.
    assert 7 <= found["sent"] <= 10


def test_certificates_are_checked_against_the_authorities_given(waved: Waved) -> None:
    with serving(Site(), "server.pem") as port:
        code, _, err = waved(port, *LITTLE, scheme="https")
        assert code == 2 and "certificate" in err and "--ca-file" in err
        for trust in (("--ca-file", CERTIFICATES / "authority.pem"), ("--insecure",)):
            assert counts(waved(port, *LITTLE, "--json", *trust, scheme="https")[1])["answered"] == 40


# ------------------------------------------------------------------------------------------ from where, and when


def test_processes_share_the_sending_of_the_same_schedule(waved: Waved, tmp_path: Path) -> None:
    rate = ("--rate", "300/s for 300ms", "--seed", "9")
    with serving(Site()) as port:
        waved(port, *rate, "--record", tmp_path / "one")
        waved(port, *rate, "--record", tmp_path / "two", "--processes", "2")
        waved(port, *rate[:-1], "10", "--record", tmp_path / "other")
    one, two, other = (read(tmp_path / name / "wave") for name in ("one", "two", "other"))
    assert (one.description["generator"]["processes"], two.description["generator"]["processes"]) == (1, 2)
    assert one.totals["sent"] == two.totals["sent"] > 50
    assert one.description["schedule"] == two.description["schedule"] != other.description["schedule"]


def test_what_passes_the_most_connections_is_shed_and_told(waved: Waved) -> None:
    with serving(wait_for_end) as port:
        code, out, _ = waved(port, *LITTLE, "--timeout", "1s", "--max-connections", "4")
    assert code == 0
    assert re.search(r"^shed +36$", out, re.MULTILINE) and re.search(r"^timed out +4$", out, re.MULTILINE)


def test_a_wave_starts_at_the_appointed_time(waved: Waved, tmp_path: Path) -> None:
    came: list[float] = []

    def answer(head: bytes) -> bytes:
        if head.startswith(b"GET"):  # before it, HEAD asks for the time of day
            came.append(time.time())
        return OK

    with serving(http(answer)) as port:
        for _ in range(5):
            came.clear()
            start = round(time.time() + 2.0, 3)
            code, _, err = waved(port, *LITTLE, "--start-at", f"@{start}", "--record", tmp_path)
            if code != 2:  # else the machine was too busy to be ready by then, which is said
                break
    assert "compared with none" in err  # the server tells no time of day
    assert all(at >= start for at in came) and len(came) >= 40
    assert read_wallclock(tmp_path / "wave")["started_at"] == pytest.approx(start)


@pytest.fixture
def nothing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is as foreign to the guard as any other."""
    monkeypatch.setattr(guard, "_FREE", ())


@pytest.mark.usefixtures("nothing_is_free")
def test_another_host_is_loaded_only_when_it_is_named_and_the_plan_confirmed(waved: Waved) -> None:
    site = Site()
    allowed = (*LITTLE, "--allow-host", "127.0.0.1")
    with serving(site) as port:
        code, _, err = waved(port, *LITTLE, "--yes")
        assert code == 2 and "--allow-host 127.0.0.1" in err
        code, _, err = waved(port, *allowed)
        assert code == 2 and "the plan: " in err and "40 requests in all" in err and "add --yes" in err
        assert site.heads == []
        code, _, err = waved(port, *allowed, "--yes")
        assert code == 0 and "the plan: " in err
        assert len(site.heads) >= 40


@pytest.mark.usefixtures("nothing_is_free")
def test_a_token_at_the_well_known_place_stands_for_the_confirmation(
    waved: Waved, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return OK

    allowed = (*LITTLE, "--allow-host", "127.0.0.1")
    with serving(http(answer)) as port:
        assert waved(port, *allowed, "--token", "good bye")[0] == 2
        assert [head.split()[1] for head in heads] == [b"/.well-known/seawall"]
        code, _, err = waved(port, *allowed, "--token", "hello")
        assert code == 0 and "its token is the one given" in err
        monkeypatch.setenv("SEAWALL_TOKEN", "hello")
        assert waved(port, *allowed)[0] == 0


# ------------------------------------------------------------------------------------------ recorded traffic


def line(second: int, request: str, address: str) -> str:
    return f'{address} - bob [17/May/2026:10:05:{second:02d} +0000] "{request} HTTP/1.1" 200 12 "-" "Agent"\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A minute of three visitors: a GET each second, a POST each sixth, and a damaged line."""
    lines = [
        line(s, f"{'POST' if s % 6 == 0 else 'GET'} /v1/{'alice' if s < 30 else 'item'}/{s}", f"203.0.113.{s % 3}")
        for s in range(60)
    ]  # fmt: skip
    path = tmp_path / "access.log"
    path.write_text("".join(lines) + "no line of a log\n")
    return path


def test_recorded_traffic_is_cut_rewritten_and_redacted_as_asked(
    waved: Waved, log: Path, tmp_path: Path
) -> None:
    site = Site()
    asked = ("--log", log, "--speed", "50x", "--from", "10:05:20", "--for", "20s", "--redact", "alice",
             "--rewrite", r"^/v1/(.*) => /v2/\1", "--record", tmp_path / "out", "--kind", "accesslog")  # fmt: skip
    with serving(site) as port:
        _, out, err = waved(port, *asked)
        paths = {head.split()[1] for head in site.heads}
        assert paths == {b"/v2/%s/%d" % (b"alice" if s < 30 else b"item", s) for s in range(20, 40) if s % 6}
        assert "access.log:61: left out" in err
        assert "recorded requests were not sent" in " ".join(out.split())
        site.heads.clear()
        waved(port, *asked, "--methods", "POST")
        assert {head.split()[0] for head in site.heads} == {b"POST"}
    record = read(tmp_path / "out" / "wave")
    told = json.dumps([record.description, record.per_class, [event.as_json() for event in record.events]])
    assert not re.search(r"alice|bob|203\.0\.113", told)


def test_recorded_traffic_can_be_multiplied(waved: Waved, log: Path) -> None:
    with serving(Site()) as port:
        asked = ("--log", log, "--speed", "100x", "--json")
        once = counts(waved(port, *asked)[1])["sent"]
        assert counts(waved(port, *asked, "--multiply", "3x")[1])["sent"] == 3 * once == 150


# ------------------------------------------------------------------------------------------ while it runs


def test_on_a_terminal_a_panel_shows_how_it_goes() -> None:
    master, slave = pty.openpty()
    with serving(Site()) as port:
        url = f"http://127.0.0.1:{port}/"
        args = [*SEAWALL, "wave", "--url", url, "--users", "7 for 1500ms", "--pace", "200ms"]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=slave, env=environment) as process:
            os.close(slave)
            shown = b""
            try:
                while piece := os.read(master, 65536):
                    shown += piece
            except OSError:
                pass  # Linux's way to say that nobody has the other end any more
            finally:
                os.close(master)
            out, _ = process.communicate(timeout=60)
    assert process.returncode in (0, 3)
    for word in (b"own lateness p99", b"users", b"no failures", f"http://127.0.0.1:{port}".encode()):
        assert word in shown
    assert b"requests sent" in out


def test_while_it_ends_it_says_what_it_waits_for() -> None:
    asked = threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        if connection.recv(65536):
            asked.release()
            wait_for_end(connection)

    with serving(serve) as port:
        url = f"http://127.0.0.1:{port}/"
        args = [*SEAWALL, "wave", "--url", url, "--rate", "40/s for 5m", "--timeout", "1s"]
        with subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            for _ in range(5):
                assert asked.acquire(timeout=30.0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"^ending: \d+ requests? under way; once more ends it at once$", err, re.MULTILINE)
    assert "interrupted after" in out


# ------------------------------------------------------------------------------------------ refused together

RATE = ("--rate", "5/s for 1s")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--variant", "tuned", *RATE), "--variant is for a fleet file"),
        (("--methods", "GET", *RATE), "--methods is for recorded requests"),
        (("--redact", "x", *RATE), "--redact is for recorded requests"),
        (("--speed", "4x", *RATE), "add --log"),
        (("--log", "LOG", *RATE), "--rate and --log both"),
        (("--log", "LOG", "--body", "x"), "leave out --body"),
        (("--log", "LOG", "--method", "POST"), "leave out --method"),
        (("--log", "LOG", "--from", "noon"), "--from"),
        (("--log", "LOG", "--methods", "DELETE"), "add --methods"),
        (("--log", "LOG", "--rewrite", "( => x"), "no regular expression"),
        (("--users", "5 for 1s", "--pace", "1s", "--process", "even"), "add --rate"),
        (("--users", "5 for 1s", "--pace", "1s", "--think", "1s"), "--pace"),
        (("--users", "5 for 1s", "--think", "normal 1s"), "exponential 5s"),
        (("--users", "5 for 1s", "--pace", "1s", "--jitter", "2"), "--jitter"),
        (("--body", "x", "--body-file", "y", *RATE), "leave out one"),
        (("--method", "G T", *RATE), "GET or POST"),
        (("--expect", "nodes < 5", *RATE), "no nodes"),
        (("--expect", "p99 in wave < 5s", *RATE), "no wave"),
        (("FLEET",), "add --variant"),
        (("FLEET", "--variant", "none"), "there is no variant"),
        (("FLEET", "--variant", "calm", "--users", "5 for 1s"), "--users and a fleet file"),
        (("FLEET", "--variant", "calm", "--timeout", "5s"), "--timeout and a fleet file"),
        (("FLEET", "--variant", "calm", "--body", "x"), "leave out --body"),
    ],
)  # fmt: skip
def test_what_would_be_passed_over_or_could_not_be_judged_is_refused(
    args: tuple[str, ...], said: str, waved: Waved, log: Path
) -> None:
    site = Site()
    places = {"LOG": log, "FLEET": SMALL}
    with serving(site) as port:
        code, out, err = waved(port, *(places.get(arg, arg) for arg in args))
    assert code == 2 and said in err and out == ""
    assert "Traceback" not in err and len(err.splitlines()) <= 2
    assert site.heads == []


def test_what_was_sent_is_in_the_record_by_its_documented_columns(waved: Waved, tmp_path: Path) -> None:
    with serving(Site()) as port:
        waved(port, "--users", "20 for 1s", "--pace", "200ms", "--record", tmp_path)
    record: Record = read(tmp_path / "wave")
    assert {"users", "connects", "sent_bytes", "received_bytes", "lateness_p99_ms", "answered_4xx"} <= set(
        record.series
    )
    assert record.series["users"][0] == 20
    assert int(record.series["connects"].sum()) == record.totals["connects"] == 20
    assert int(record.series["received_bytes"].sum()) == len(OK) * record.totals["attempts"]
    assert set(record.histograms) == {"lateness", "first_byte"}
    assert record.histograms["lateness"].sum() == record.totals["sent"]
    assert record.description["world"] == "wave" and record.description["part"] == [1, 1]
