"""Journeys walked by a real Locust against real servers: who comes, what is told of it, what ends it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.load.answering import deaf, http, refusing, serving, wait_for_end

from seawall.fleet.errors import InputError
from seawall.load import locust
from seawall.load.locust import PYTHON, Journey, find_locust, run_locust
from seawall.load.locust_counts import MOST_CLASSES, OTHER, Counts
from seawall.load.locust_listener import kind_of
from seawall.load.locust_record import journey_record
from seawall.load.target import parse_target, resolve
from seawall.record.histogram import percentile
from seawall.record.merge import Part, merge
from seawall.record.record import Record
from seawall.record.verdict import verdict
from seawall.traffic.shape import parse_shape
from seawall.traffic.workload import Workload, sessions

try:
    LOCUST = find_locust()
except InputError as error:
    pytest.skip(error.message, allow_module_level=True)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def journey(folder: Path, script: str, url: str, users: str, **more: object) -> Journey:
    """A journey from the text of its locustfile."""
    file = folder / "journey.py"
    file.write_text("from locust import *\n" + textwrap.dedent(script))
    shape = parse_shape(users, "users")
    join, leave = sessions(shape)
    end = shape.duration_s
    work = Workload(join, leave, join, None, 1, shape.wave_window(), end, end + 30.0, None)
    return Journey(file, resolve(parse_target(url)), work, users, **more)  # type: ignore[arg-type]


def walked(of: Journey, **more: object) -> Record:
    """The record of a journey that was walked."""
    return journey_record(of, run_locust(of, LOCUST, **more), [])  # type: ignore[arg-type]


def kinds(record: Record) -> dict[str, int]:
    """The outcomes that occurred, as finely as they are told apart."""
    parts = ("failed", "timed_out", "sent", "attempts")
    return {name: n for name, n in record.totals.items() if n and name not in parts}


@pytest.fixture
def site() -> Iterator[str]:
    """A server that answers well, 404, 503 or in another way as the path says."""
    answers = {b"/404": b"404 No", b"/503": b"503 No", b"/204": b"204 None"}

    def answer(head: bytes) -> bytes:
        status = answers.get(head.split()[1])
        return OK if status is None else b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"

    with serving(http(answer)) as port:
        yield f"http://127.0.0.1:{port}/"


def nobody_left(folder: Path) -> bool:
    """Whether no process is left that was started with anything in the folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (process / "cmdline").read_bytes():
                return False
    return True


# ------------------------------------------------------------------------------------------------- outcomes


def reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def saying(data: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return serve


OUTCOMES = """
    class Meets({kind}):
        wait_time = constant(60)
        network_timeout = connection_timeout = 0.4

        def ask(self, times, url, **more):
            for _ in range(times):
                self.client.get(url, {timeout}**more)

        @task
        def meet(self):
            self.ask(1, "/ok")
            self.ask(2, "/404")
            self.ask(3, "/503")
            for _ in range(4):
                with self.client.get("/ok", catch_response=True) as answer:
                    if "well" not in answer.text:
                        answer.failure("not well")
            self.ask(5, "http://127.0.0.1:{refusing}/")
            self.ask(6, "http://127.0.0.1:{resetting}/")
            self.ask(7, "http://127.0.0.1:{closing}/")
            self.ask(8, "http://127.0.0.1:{cutting}/")
            self.ask(9, "http://127.0.0.1:{babbling}/")
            self.ask(10, "https://127.0.0.1:{plain}/")
            self.ask(2, "http://127.0.0.1:{silent}/")
            self.ask(1, "http://127.0.0.1:{deaf}/")
            with self.client.get("/404", catch_response=True) as answer:
                answer.success()
            with self.client.get("/503", catch_response=True) as answer:
                answer.success()
    """


@pytest.mark.parametrize(("kind", "timeout"), [("FastHttpUser", ""), ("HttpUser", "timeout=0.4, ")])
def test_outcomes_are_told_apart(tmp_path: Path, site: str, kind: str, timeout: str) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
    with ExitStack() as open_:
        ports = {
            "refusing": open_.enter_context(refusing()),
            "resetting": open_.enter_context(serving(reset)),
            "closing": open_.enter_context(serving(saying(b""))),
            "cutting": open_.enter_context(serving(saying(cut))),
            "babbling": open_.enter_context(serving(saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n\r\n"))),
            "plain": open_.enter_context(serving(saying(b"HTTP/1.1 400 Bad\r\n\r\n"))),
            "silent": open_.enter_context(serving(wait_for_end)),
            "deaf": open_.enter_context(deaf()),
        }
        script = OUTCOMES.format(kind=kind, timeout=timeout, **ports)
        record = walked(journey(tmp_path, script, site, "1 for 2s"))
    assert kinds(record) == {
        "answered": 1 + 2 + 1,
        "answered_4xx": 2 + 1,
        "failed_5xx": 3 + 1,
        "failed_body": 4,
        "refused": 5,
        "failed_reset": 6 + 7,
        "failed_protocol": 8 + 9 + 10,
        "timed_out_read": 2,
        "timed_out_connect": 1,
    }
    assert record.per_class["GET /ok"] | {"under_way": 0} == {
        "sent": 5, "answered": 1, "failed": 4, "timed_out": 0, "refused": 0, "shed": 0, "under_way": 0,
    }  # fmt: skip
    assert {event.data["outcome"] for event in record.events} >= {
        "refused",
        "failed_5xx",
        "timed_out_connect",
    }


@pytest.mark.parametrize(
    ("status", "exception", "expected"),
    [
        (200, None, "answered"),
        (302, None, "answered"),
        (404, None, "answered_4xx"),
        (500, None, "failed_5xx"),
        (0, ConnectionRefusedError(111, "refused"), "refused"),
        (0, ConnectionResetError(104, "reset"), "failed_reset"),
        (0, BrokenPipeError(32, "pipe"), "failed_reset"),
        (200, ConnectionResetError(104, "reset"), "failed_reset"),
        (0, TimeoutError("timed out"), "timed_out_read"),
        (0, ssl.SSLError(1, "wrong version number"), "failed_protocol"),
        (0, socket.gaierror(-2, "unknown"), "refused"),
        (200, ValueError("not what I want"), "failed_body"),
        (404, ValueError("not what I want"), "failed_body"),
        (503, ValueError("not what I want"), "failed_5xx"),
        (0, ValueError("what is this?"), "failed_protocol"),
    ],
)
def test_exceptions_have_their_kind(status: int, exception: BaseException | None, expected: str) -> None:
    assert kind_of(status, exception) == expected


def test_an_exception_is_known_by_what_it_came_from() -> None:
    try:
        try:
            raise ConnectionRefusedError(111, "refused")
        except OSError as error:
            raise RuntimeError("the pool gives up") from error
    except RuntimeError as error:
        assert kind_of(0, error) == "refused"


def test_answers_that_break_the_journey_count_and_its_errors_are_told(tmp_path: Path, site: str) -> None:
    script = """
        class Breaks(FastHttpUser):
            wait_time = constant(0.2)

            @task
            def broken(self):
                with self.client.get("/ok", catch_response=True) as answer:
                    raise KeyError("price")
        """
    record = walked(journey(tmp_path, script, site, "1 for 1s"))
    assert record.totals["failed_body"] == record.totals["sent"] >= 3
    (told,) = [text for text in record.description["warnings"] if "raised" in text]
    assert "KeyError: 'price'" in told


# ------------------------------------------------------------------------------------------------ who comes


def test_users_come_one_by_one_as_the_shape_says(tmp_path: Path) -> None:
    times = []

    def answer(head: bytes) -> bytes:
        times.append(time.monotonic())
        return OK

    script = """
        class Comes(FastHttpUser):
            wait_time = constant(60)

            @task
            def look(self):
                self.client.get("/")
        """
    with serving(http(answer)) as port:
        of = journey(tmp_path, script, f"http://127.0.0.1:{port}/", "0 -> 60 in 1s, 60 -> 10 in 1s, hold 1s")
        record = walked(of)
    assert record.totals["sent"] == record.totals["answered"] == len(times) == 60
    assert abs(times[-1] - times[0] - 59 / 60) < 0.1
    # Even to the last one: no second's users at once.
    windows = Counter(int((t - times[0]) / 0.1) for t in times)
    assert max(windows.values()) <= 12
    users = record.series["users"]
    assert abs(users[0] - 60) <= 1 and abs(users[1] - 10) <= 1 and users[2] == 10 and users[-1] == 0
    assert record.description["wave"] == [0.0, 3.0]
    assert percentile(record.latency.sum(axis=0), 0.5) < 0.02  # type: ignore[operator]


def test_classes_of_users_come_by_count_and_weight(tmp_path: Path, site: str) -> None:
    script = "".join(
        f"""
        class {name}(FastHttpUser):
            {how}
            wait_time = constant(60)

            @task
            def look(self):
                self.client.get("/{name}")
        """
        for name, how in (("Many", "weight = 3"), ("Few", "weight = 1"), ("Fixed", "fixed_count = 2"))
    )
    record = walked(journey(tmp_path, script, site, "10 for 700ms"))
    sent = {name: counted["sent"] for name, counted in record.per_class.items()}
    assert sent == {"GET /Many": 6, "GET /Few": 2, "GET /Fixed": 2}


def test_processes_and_parts_share_the_users(tmp_path: Path, site: str) -> None:
    script = """
        class Comes(FastHttpUser):
            wait_time = constant(60)

            @task
            def look(self):
                self.client.get("/")
        """
    of = journey(tmp_path, script, site, "11 for 500ms", part=(1, 2))
    record = walked(of, processes=2)
    assert record.totals["sent"] == 6
    assert record.description["generator"]["processes"] == 2
    other = journey(tmp_path, script, site, "11 for 500ms", part=(2, 2))
    both = merge([Part(record), Part(walked(other))]).record
    assert both.totals["sent"] == 11
    assert both.histograms["lateness"].sum() == 11
    assert other.fingerprint() != journey(tmp_path, script, site, "12 for 500ms", part=(2, 2)).fingerprint()


# ---------------------------------------------------------------------------------------------- what ends it


def test_a_loop_that_is_held_up_voids_the_run(tmp_path: Path, site: str) -> None:
    script = """
        import time as clock

        class Computes(FastHttpUser):
            wait_time = constant(0.1)

            @task
            def compute(self):
                self.client.get("/")
                end = clock.perf_counter() + 0.05
                while clock.perf_counter() < end:
                    pass
        """
    record = walked(journey(tmp_path, script, site, "4 for 1500ms"))
    assert record.description["generator"]["lateness_p99_ms"] > 30.0
    assert record.description["void"] is not None
    assert verdict(record, []).stands is None


def test_requests_without_an_end_are_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locust, "PATIENCE_SECONDS", 1.0)
    script = """
        class Waits(HttpUser):
            @task
            def wait_for_ever(self):
                self.client.get("/")
        """
    with serving(wait_for_end) as port:
        record = walked(journey(tmp_path, script, f"http://127.0.0.1:{port}/", "3 for 500ms"))
    assert kinds(record) == {"under_way": 3}
    assert record.series["under_way"][-1] == 3
    assert any("3 requests had no outcome" in text for text in record.description["warnings"])


def test_a_wave_that_is_stopped_ends_and_leaves_nothing(tmp_path: Path, site: str) -> None:
    script = """
        class Asks(FastHttpUser):
            wait_time = constant(0.05)

            @task
            def look(self):
                self.client.get("/")
        """
    seen = []
    began = time.monotonic()
    of = journey(tmp_path, script, site, "5 for 1h")
    record = walked(
        of,
        watch=lambda tallies, now: seen.append(int(tallies[0].bins["sent"].sum())),
        stop=lambda: seen[5:] != [],
    )
    assert time.monotonic() - began < 10.0
    assert record.description["interrupted_s"] < 3.0
    assert record.totals["sent"] == record.totals["answered"] > 0
    assert seen == sorted(seen)
    assert nobody_left(tmp_path)


# ----------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("class Nothing: pass\n", "No User class found"),
        ("def broken(:\n", "SyntaxError"),
        ("import a_module_that_nobody_has\n", "a_module_that_nobody_has"),
    ],
)
def test_a_locustfile_that_cannot_be_walked(tmp_path: Path, site: str, script: str, said: str) -> None:
    of = journey(tmp_path, script, site, "1 for 1s")
    with pytest.raises(InputError, match=said) as caught:
        run_locust(of, LOCUST)
    assert caught.value.file == str(of.file)
    assert nobody_left(tmp_path)


def test_a_locustfile_that_is_not_there(tmp_path: Path, site: str) -> None:
    of = journey(tmp_path, "", site, "1 for 1s")
    of.file.unlink()
    with pytest.raises(InputError, match="no such locustfile"):
        run_locust(of, LOCUST)


def test_other_hosts_must_be_allowed(tmp_path: Path, site: str) -> None:
    other = site.replace("127.0.0.1", "localhost")
    script = f"""
        class Strays(FastHttpUser):
            wait_time = constant(60)

            @task
            def stray(self):
                self.client.get("{other}")
        """
    with pytest.raises(InputError, match="--allow-host localhost"):
        run_locust(journey(tmp_path, script, site, "1 for 1s"), LOCUST)
    assert nobody_left(tmp_path)
    allowed = walked(journey(tmp_path, script, site, "1 for 500ms", hosts=("localhost",)))
    assert kinds(allowed) == {"answered": 1}


def test_a_python_without_locust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "python"
    empty.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    empty.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(empty))
    with pytest.raises(InputError, match=f"{empty} -m pip install locust"):
        find_locust()
    monkeypatch.setenv(PYTHON, str(tmp_path / "nobody"))
    with pytest.raises(InputError, match="has no Locust"):
        find_locust()


# -------------------------------------------------------------------------------------------------- counting


@st.composite
def told(draw: st.DrawFn) -> list[bytes]:
    """Lines as a Locust tells them: requests that begin and mostly end, looks at the loop, in the order of time."""
    lines: list[tuple[float, str]] = []
    for n in range(draw(st.integers(0, 30))):
        t = draw(st.integers(0, 9_000)) / 1000
        took = draw(st.integers(0, 900)) / 1000
        kind = draw(
            st.sampled_from(["answered", "answered_4xx", "failed_5xx", "refused", "timed_out_read", ""])
        )
        name = f"GET /{n % 3}"
        lines.append((t, f"S\t{t:.6f}"))
        if kind:
            lines.append((t + took, f"R\t{t:.6f}\t1\t{took * 1e3:.6f}\t{kind}\t{name}"))
    lines += [(t, f"L\t{t:.6f}\t{draw(st.integers(0, 50)) / 1000:.6f}") for t in np.arange(0.01, 10.0, 0.5)]
    return [line.encode() for _, line in sorted(lines, key=lambda line: line[0])]


@given(told(), st.integers(1, 20))
def test_lines_count_the_same_however_they_come(lines: list[bytes], size: int) -> None:
    at_once, in_pieces = Counts(12, 1.0), Counts(12, 1.0)
    list(at_once.take(lines))
    for first in range(0, len(lines), size):
        list(in_pieces.take(lines[first : first + size]))
    a, b = at_once.finish(), in_pieces.finish()
    for name in a.bins.dtype.names or ():
        # Only the order in which seconds are added may tell.
        assert np.allclose(a.bins[name], b.bins[name], rtol=1e-12, atol=0.0)
    for name, counts in a.histograms.items():
        assert (counts == b.histograms[name]).all()
    assert at_once.classes() == in_pieces.classes()
    begun = sum(line.startswith(b"S") for line in lines)
    ended = sum(line.startswith(b"R") for line in lines)
    assert a.bins["sent"].sum() == begun
    assert a.status["live"][0] == begun - ended
    assert a.bins["answered"].sum() == a.histograms["latency"].sum()
    assert sum(counted["sent"] for counted in at_once.classes().values()) == begun


def test_a_request_is_as_late_as_the_loop_was_when_it_began() -> None:
    counts = Counts(3, 1.0)
    list(counts.take([b"S\t0.500000", b"S\t1.200000", b"S\t1.300000", b"L\t0.600000\t0.000100"]))
    list(counts.take([b"L\t1.250000\t0.040000", b"X\t1.300000", b"L\t2.000000\t0.000100"]))
    lateness = counts.finish().histograms["lateness"]
    assert lateness.sum(axis=1).tolist() == [1, 1, 0]
    assert percentile(lateness[1], 0.5) == pytest.approx(0.040, rel=0.02)
    assert counts.tally.bins["sent"].tolist() == [1, 1, 0]


def test_more_names_than_can_be_told_apart_go_together() -> None:
    counts = Counts(1, 1.0)
    list(counts.take([f"R\t0.1\t0\t1.0\tanswered\tGET /{n}".encode() for n in range(MOST_CLASSES + 7)]))
    counts.finish()
    assert len(counts.classes()) == MOST_CLASSES + 1
    assert counts.classes()[OTHER]["sent"] == 7
