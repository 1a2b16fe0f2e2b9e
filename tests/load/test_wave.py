"""Real requests to real servers: outcomes apart, connections, cookies, retries, lanes, and the law of conservation."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from seawall.load.asked import Ask

from .answering import deaf, http, serving, wait_for_end
from .sending import clients, kinds, rate_wave, sent, user_wave

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def answering(response: bytes = OK) -> Callable[[socket.socket], None]:
    return http(lambda head: response)


def status(code: int) -> bytes:
    return f"HTTP/1.1 {code} X\r\nContent-Length: 2\r\n\r\nno".encode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# ------------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (OK, {"answered": 20}),
        (status(404), {"answered": 20, "answered_4xx": 20}),
        (status(503), {"failed_5xx": 20}),
        (b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", {"answered": 20}),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n\r\n", {"failed_protocol": 20}),
    ],
)
def test_answers_are_told_apart(response: bytes, expected: dict[str, int]) -> None:
    with serving(answering(response)) as port:
        assert kinds(sent(rate_wave(port, "100/s for 200ms"))) == expected


def test_a_port_without_a_server_refuses() -> None:
    record = sent(rate_wave(free_port(), "100/s for 200ms"))
    assert kinds(record) == {"refused": 20}
    assert [event.kind for event in record.events] == ["requests-fail"]


def test_a_server_that_closes_without_an_answer_resets() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)

    with serving(serve) as port:
        assert kinds(sent(rate_wave(port, "100/s for 200ms"))) == {"failed_reset": 20}


def test_an_answer_cut_short_is_no_answer() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")

    with serving(serve) as port:
        assert kinds(sent(rate_wave(port, "100/s for 200ms"))) == {"failed_protocol": 20}


def test_a_server_that_never_answers_is_given_up() -> None:
    with serving(wait_for_end) as port:
        record = sent(rate_wave(port, "100/s for 200ms", of=clients(timeout=0.3)))
    assert kinds(record) == {"timed_out_read": 20}
    assert record.totals["timed_out"] == 20


def test_a_server_that_never_accepts_is_given_up_while_connecting() -> None:
    with deaf() as port:
        record = sent(rate_wave(port, "100/s for 200ms", of=clients(timeout=0.4)))
    assert kinds(record) == {"timed_out_connect": 20}


def test_connecting_may_have_a_time_out_of_its_own() -> None:
    with deaf() as port:
        began = time.monotonic()
        record = sent(rate_wave(port, "100/s for 100ms", of=clients(timeout=20.0), connect_timeout=0.2))
        assert time.monotonic() - began < 10.0
    assert kinds(record) == {"timed_out_connect": 10}


def test_an_expected_body_is_looked_for_across_pieces() -> None:
    def serve(connection: socket.socket) -> None:
        for n in range(20):
            if not connection.recv(65536):
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nwell ")
            time.sleep(0.002)
            connection.sendall(b"done" if n % 2 else b"fail")

    with serving(serve) as port:
        found = kinds(sent(rate_wave(port, "10/s for 1s", expect_body=b"ll done")))
    assert found["failed_body"] == 5 and found["answered"] == 5


def test_what_passes_the_cap_is_shed_and_counted() -> None:
    with serving(wait_for_end) as port:
        record = sent(rate_wave(port, "100/s for 300ms", of=clients(timeout=0.5)), connections=10)
    assert kinds(record) == {"timed_out_read": 10, "shed": 20}
    assert record.totals["attempts"] == 10
    assert record.description["generator"]["most_connections"] == 10


# ------------------------------------------------------------------------------------------------- bodies


def test_large_and_chunked_answers_come_whole() -> None:
    large = b"x" * 3_000_000
    bodies = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + large,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"7a120\r\n"
        + large[:500000]
        + b"\r\n0\r\n\r\n",
    ]
    turn = iter(range(1000))
    with serving(http(lambda head: bodies[next(turn) % 2])) as port:
        record = sent(rate_wave(port, "20/s for 500ms"))
    assert kinds(record) == {"answered": 10}
    assert record.totals["received_bytes"] > 5 * 3_500_000


def test_a_body_is_sent_whole_also_when_the_server_reads_slowly() -> None:
    body = bytes(range(256)) * 20000
    got: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        data = b""
        while len(data) < len(body) + 10 and (piece := connection.recv(1 << 16)):
            data += piece
            head, gap, rest = data.partition(b"\r\n\r\n")
            if gap and len(rest) == len(body):
                got.append(head + gap + rest)
                connection.sendall(OK)
                return
            time.sleep(0.0005)

    ask = Ask("POST", "/upload", (("Content-Type", "application/octet-stream"),), body)
    with serving(serve) as port:
        record = sent(rate_wave(port, "10/s for 200ms", ask=ask))
    assert kinds(record) == {"answered": 2}
    for request in got:
        head, _, rest = request.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /upload HTTP/1.1\r\n")
        assert b"Content-Length: 5120000" in head and b"Content-Type: application/octet-stream" in head
        assert rest == body


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    with serving(serve) as port:
        record = sent(rate_wave(port, "50/s for 200ms"))
    assert kinds(record) == {"answered": 10}
    assert record.totals["connects"] == 10


def test_https_is_spoken_and_certificates_are_checked(tls_files: tuple[str, str]) -> None:
    certificate, authority = tls_files
    with serving(answering(), certificate) as port:
        from pathlib import Path

        good = rate_wave(port, "50/s for 200ms", scheme="https", host="localhost", ca_file=Path(authority))
        assert kinds(sent(good)) == {"answered": 10}
        unknown = rate_wave(port, "50/s for 200ms", scheme="https", host="localhost")
        assert kinds(sent(unknown)) == {"failed_protocol": 10}
        any_will_do = rate_wave(port, "50/s for 200ms", scheme="https", host="localhost", verify=False)
        assert kinds(sent(any_will_do)) == {"answered": 10}


# ---------------------------------------------------------------------------------------------- connections


def test_connections_are_kept_or_not_as_asked() -> None:
    with serving(answering()) as port:
        kept = sent(rate_wave(port, "100/s for 500ms"))
        own = sent(rate_wave(port, "100/s for 500ms", new_connections=1.0))
        some = sent(rate_wave(port, "200/s for 1s", new_connections=0.3))
    assert kept.totals["connects"] <= 5
    assert own.totals["connects"] == 50
    assert 35 <= some.totals["connects"] <= 90
    assert kept.totals["answered"] == own.totals["answered"] == 50


def test_who_wants_a_connection_of_its_own_says_so() -> None:
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    with serving(http(answer)) as port:
        sent(rate_wave(port, "50/s for 200ms", new_connections=1.0))
    assert len(heads) == 10 and all(b"\r\nConnection: close" in head for head in heads)


def test_a_kept_connection_that_the_server_has_closed_is_no_failure() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        time.sleep(0.02)

    with serving(serve) as port:
        record = sent(rate_wave(port, "40/s for 1s"))
    assert kinds(record) == {"answered": 40}


def test_a_request_that_meets_a_closing_connection_is_sent_again_but_not_a_post() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        connection.recv(65536)  # the second request is read, and the connection closed in its face

    with serving(serve) as port:
        again = sent(rate_wave(port, "20/s for 500ms"))
        post = sent(rate_wave(port, "20/s for 500ms", ask=Ask("POST", "/")))
    assert kinds(again) == {"answered": 10}
    assert again.totals["resent"] == 9 and again.totals["attempts"] == 10
    assert kinds(post) == {"answered": 5, "failed_reset": 5}


# -------------------------------------------------------------------------------------------------- clients


def test_failures_are_tried_again_and_attempts_counted_apart() -> None:
    turn = iter(range(1000))
    with serving(http(lambda head: status(503) if next(turn) % 3 else OK)) as port:
        record = sent(rate_wave(port, "20/s for 500ms", of=clients(retries=5)))
    assert kinds(record) == {"answered": 10}
    assert record.totals["attempts"] == 10 + record.totals["retries"]
    assert 15 <= record.totals["retries"] <= 20


def test_users_keep_their_cookies_to_themselves() -> None:
    seen: dict[bytes, list[int]] = defaultdict(list)
    lock = threading.Lock()
    given = iter(range(1, 1000))

    def answer(head: bytes) -> bytes:
        with lock:
            found = re.search(rb"\r\nCookie: (?:theme=dark; )?id=(\d+)", head)
            if found is None:
                number = next(given)
                seen[b"new"].append(number)
                return (
                    f"HTTP/1.1 200 OK\r\nSet-Cookie: id={number}; Path=/; HttpOnly\r\n"
                    "set-cookie: theme=dark\r\nContent-Length: 0\r\n\r\n"
                ).encode()
            seen[found[1]].append(1)
            return OK

    with serving(http(answer)) as port:
        record = sent(user_wave(port, "10 for 1s", pace=0.1))
    assert len(seen.pop(b"new")) == 10
    assert len(seen) == 10 and sum(map(sum, seen.values())) == record.totals["sent"] - 10


def test_each_user_has_one_connection_and_one_request_at_a_time() -> None:
    at_once: list[int] = []
    here, lock = [0], threading.Lock()

    def answer(head: bytes) -> bytes:
        with lock:
            here[0] += 1
            at_once.append(here[0])
        time.sleep(0.05)
        with lock:
            here[0] -= 1
        return OK

    with serving(http(answer)) as port:
        record = sent(user_wave(port, "5 for 1s", think=0.0001))
    assert max(at_once) == 5
    assert record.totals["connects"] == 5
    # 5 users, 50 ms each: 100 requests/s, and one more each at the end.
    assert 70 <= record.totals["answered"] <= 105


def test_a_pace_is_kept_from_intended_time_to_intended_time() -> None:
    times: list[float] = []

    def answer(head: bytes) -> bytes:
        times.append(time.monotonic())
        time.sleep(0.03)
        return OK

    with serving(http(answer)) as port:
        record = sent(user_wave(port, "1 for 2s", pace=0.1, jitter=0.0))
    gaps = np.diff(times)
    assert record.totals["sent"] in (19, 20, 21)
    assert abs(float(np.mean(gaps)) - 0.1) < 0.005


def test_latency_counts_from_the_time_a_request_was_due() -> None:
    """One connection at a time, and a server that stands still for half a second: all who were due meanwhile wait."""
    stood = threading.Event()

    def answer(head: bytes) -> bytes:
        if not stood.is_set():
            stood.set()
            time.sleep(0.5)
        return OK

    with serving(http(answer)) as port:
        record = sent(user_wave(port, "1 for 2s", pace=0.05, jitter=0.0))
    assert record.totals["answered"] >= 28
    # The pace is lost behind the stall (intended = max(intended + pace, done)): one long wait, not ten.
    from seawall.record.histogram import percentile

    counts = record.latency.sum(axis=0)
    assert percentile(counts, 1.0) == pytest.approx(0.5, abs=0.05)


# ---------------------------------------------------------------------------------------------------- lanes


def test_processes_and_parts_send_the_same_wave() -> None:
    with serving(answering()) as port:
        whole = sent(rate_wave(port, "50/s -> 250/s in 2s", process="poisson", seed=4))
        two = sent(rate_wave(port, "50/s -> 250/s in 2s", process="poisson", seed=4), processes=2)
        parts = [
            sent(rate_wave(port, "50/s -> 250/s in 2s", process="poisson", seed=4, part=(i, 3)))
            for i in (1, 2, 3)
        ]
    assert whole.series["sent"][:2].tolist() == two.series["sent"][:2].tolist()
    assert whole.series["sent"][:2].tolist() == sum(part.series["sent"][:2] for part in parts).tolist()
    assert max(part.totals["sent"] for part in parts) - min(part.totals["sent"] for part in parts) <= 1
    assert len({part.description["schedule"] for part in parts}) == 1


def test_users_of_parts_are_those_of_the_whole() -> None:
    with serving(answering()) as port:
        whole = sent(user_wave(port, "0 -> 20 in 1s, hold 1s", pace=0.2, seed=1))
        parts = [
            sent(user_wave(port, "0 -> 20 in 1s, hold 1s", pace=0.2, seed=1, part=(i, 2))) for i in (1, 2)
        ]
    assert sum(part.totals["sent"] for part in parts) == pytest.approx(whole.totals["sent"], abs=3)
    assert max(whole.series["users"]) == 20
    assert [max(part.series["users"]) for part in parts] == [10, 10]


def test_a_stopped_wave_drains_and_says_when() -> None:
    began = time.monotonic()

    def answer(head: bytes) -> bytes:
        time.sleep(0.2)
        return OK

    with serving(http(answer)) as port:
        wave = rate_wave(port, "20/s for 60s")
        record = sent(wave, stop=lambda: int(time.monotonic() - began > 2.0))
    assert time.monotonic() - began < 20.0
    assert record.totals["sent"] == record.totals["answered"] > 0
    assert record.description["interrupted_s"] < 3.0


def test_parts_may_have_different_numbers_of_processes() -> None:
    paths: list[bytes] = []

    def answer(head: bytes) -> bytes:
        paths.append(head)
        return OK

    with serving(http(answer)) as port:
        whole = sent(rate_wave(port, "200/s for 1s", process="poisson", seed=2))
        one = sent(rate_wave(port, "200/s for 1s", process="poisson", seed=2, part=(1, 2)))
        other = sent(rate_wave(port, "200/s for 1s", process="poisson", seed=2, part=(2, 2)), processes=3)
    assert one.totals["sent"] + other.totals["sent"] == whole.totals["sent"] == len(paths) / 2
    assert abs(one.totals["sent"] - other.totals["sent"]) <= 1
