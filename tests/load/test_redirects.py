"""Redirects: where they lead as the RFC has it, and what a request does on its way, against real servers."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seawall.load.asked import Ask
from seawall.load.engine.cookies import address_of
from seawall.load.engine.layout import PATH_BYTES
from seawall.load.engine.redirects import resolve

from .answering import http, serving
from .sending import clients, kinds, rate_wave, sent, user_wave

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BASE = "/a/b/c?q=1/2"

_njit = numba.njit


@_njit(cache=True)
def _resolve(base, location, host, port, tls, to):  # type: ignore[no-untyped-def]
    first, at, name = address_of(base), address_of(location), address_of(host)
    return resolve(
        first, first + len(base), at, at + len(location), name, len(host), port, tls, address_of(to)
    )


def led(
    location: str | bytes, base: str = BASE, host: str = "shop.test", port: int = 0, tls: bool = False
) -> str | None:
    """Where a Location leads, None where it is not followed; nothing is written beyond the room."""
    raw = location.encode() if isinstance(location, str) else location
    room = np.full(PATH_BYTES + 64, 7, np.uint8)
    given_ = [np.frombuffer(text, np.uint8) for text in (base.encode(), raw or b" ", host.encode())]
    n = _resolve(given_[0], given_[1][: len(raw)], given_[2], port, tls, room)
    assert (room[PATH_BYTES:] == 7).all()
    return room[:n].tobytes().decode("ascii") if n else None


def redirect(location: str, status: int = 302, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\n{more}Content-Length: 3\r\n\r\nold".encode()


def path_of(head: bytes) -> str:
    return head.split(b" ", 2)[1].decode()


# ---------------------------------------------------------------------------------------------- where they lead


def without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, step by step as it stands there."""
    done = ""
    while path:
        if path.startswith(("../", "./")):
            path = path.partition("/")[2]
        elif path.startswith("/./") or path == "/.":
            path = "/" + path[3:]
        elif path.startswith("/../") or path == "/..":
            path = "/" + path[4:]
            done = done[: max(0, done.rfind("/"))]
        elif path in (".", ".."):
            path = ""
        else:
            end = path.find("/", 1)
            end = len(path) if end < 0 else end
            done, path = done + path[:end], path[end:]
    return done


@settings(max_examples=500, deadline=None)
@given(
    st.text("ab./?#:", min_size=1, max_size=14),
    st.sampled_from(["/", "/a", "/a/", "/a/b/c", "/a/b/c?x=/d/e", "/a//b", "/?x"]),
)
@example("../../../g", "/a/b/c")
@example("?y=./..", "/a/b/c")
@example("..//b", "/a/b/c")
@example("b//../..", "/a/b/c")
def test_a_relative_reference_leads_where_the_rfc_says(reference: str, base: str) -> None:
    """RFC 3986, 5.2.2, for a reference without scheme and authority."""
    reference, _, _ = reference.partition("#")
    path, mark, query = reference.partition("?")
    base_path = base.partition("?")[0]
    if not reference or path.startswith("//") or ":" in path.partition("/")[0]:
        expected = None
    elif not path:
        expected = base_path + mark + query
    else:
        whole = path if path.startswith("/") else base_path[: base_path.rindex("/") + 1] + path
        expected = without_dots(whole) + mark + query
    assert led(reference, base) == expected


@pytest.mark.parametrize(
    ("reference", "path"),
    [("g", "/b/c/g"), ("./g", "/b/c/g"), ("g/", "/b/c/g/"), ("/g", "/g"), ("?y", "/b/c/d;p?y"), ("g?y", "/b/c/g?y"),
     ("g#s", "/b/c/g"), ("g?y#s", "/b/c/g?y"), (";x", "/b/c/;x"), (".", "/b/c/"), ("./", "/b/c/"), ("..", "/b/"),
     ("../g", "/b/g"), ("../..", "/"), ("../../g", "/g"), ("../../../g", "/g"), ("/./g", "/g"), ("/../g", "/g"),
     ("g.", "/b/c/g."), (".g", "/b/c/.g"), ("g..", "/b/c/g.."), ("./g/.", "/b/c/g/"), ("g/./h", "/b/c/g/h"),
     ("g;x=1/../y", "/b/c/y"), ("g?y/../x", "/b/c/g?y/../x")],
)  # fmt: skip
def test_the_examples_of_the_rfc(reference: str, path: str) -> None:
    """RFC 3986, 5.4, with the base http://a/b/c/d;p?q."""
    assert led(reference, "/b/c/d;p?q") == path


@pytest.mark.parametrize(
    ("location", "path"),
    [("http://shop.test/x", "/x"), ("HTTP://Shop.TEST:80/x?y", "/x?y"), ("http://shop.test", "/"),
     ("http://shop.test?y", "/?y"), ("http://shop.test:/x", "/x"), ("//shop.test/x/../y", "/y"),
     ("https://shop.test/x", None), ("http://shop.test:8080/x", None), ("http://shop.test.evil/x", None),
     ("http://shop.tes/x", None), ("http://me@shop.test/x", None), ("//other.test/x", None), ("http:x", None),
     ("mailto:me@shop.test", None), ("http://shop.test:80x/", None), ("http://shop.test:99999999999999999999/", None)],
)  # fmt: skip
def test_only_the_same_origin_is_followed(location: str, path: str | None) -> None:
    assert led(location) == path


def test_ports_and_schemes_are_those_that_were_asked() -> None:
    assert led("http://shop.test:8080/x", port=8080) == "/x"
    assert led("http://shop.test/x", port=8080) is None
    assert led("http://shop.test/x", port=80) == "/x"
    assert led("https://shop.test:443/x", tls=True) == "/x"
    assert led("//shop.test/x", port=443, tls=True) == "/x"
    assert led("http://shop.test/x", tls=True) is None
    assert led("http://[::1]:8080/x", host="[::1]", port=8080) == "/x"


def test_what_cannot_stand_in_a_request_line_is_encoded_or_refused() -> None:
    assert led("/f\u00fcr alle?s=\u20ac") == "/f%C3%BCr%20alle?s=%E2%82%AC"
    assert led(b"/a\r\n b") is None and led(b"/a\x00") is None and led(b"/a\x7f") is None


def test_what_is_too_long_is_not_followed() -> None:
    assert led("/" + "a" * (PATH_BYTES - 1)) == "/" + "a" * (PATH_BYTES - 1)
    assert led("/" + "a" * PATH_BYTES) is None
    assert led("?" + "a" * PATH_BYTES) is None
    assert led("/" + "\u00e4" * (PATH_BYTES // 3)) is None


# -------------------------------------------------------------------------------------------------- on the way


def test_a_redirect_is_an_answer_unless_it_is_to_be_followed() -> None:
    asked: list[str] = []

    def answer(head: bytes) -> bytes:
        asked.append(path_of(head))
        return redirect("/new?x=1") if path_of(head) == "/old" else OK

    with serving(http(answer)) as port:
        off = sent(rate_wave(port, "50/s for 200ms", path="/old"))
        assert asked == ["/old"] * 10
        on = sent(rate_wave(port, "50/s for 200ms", path="/old", redirects=1, expect_body=b"hello"))
    assert kinds(off) == kinds(on) == {"answered": 10}
    assert off.totals["redirected"] == 0 and on.totals["redirected"] == 10
    assert sorted(asked[10:]) == ["/new?x=1"] * 10 + ["/old"] * 10
    # Hops are neither requests nor attempts, and go out on the connection that is there.
    assert on.totals["sent"] == on.totals["attempts"] == 10 and on.totals["retries"] == 0
    assert on.totals["connects"] <= 3


def test_the_last_answer_counts() -> None:
    def answer(head: bytes) -> bytes:
        if path_of(head) == "/a/one":
            return redirect("two?x")
        if path_of(head) == "/a/two?x":
            return redirect("../three", 307)
        assert path_of(head) == "/three"
        return b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"

    with serving(http(answer)) as port:
        record = sent(rate_wave(port, "50/s for 200ms", path="/a/one", redirects=5))
    assert kinds(record) == {"failed_5xx": 10}
    assert record.totals["redirected"] == 20


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/", "http://elsewhere.test/", "/" + "x" * 3000, "", "/x\r\nLocation: /y"]
)
def test_what_is_not_followed_is_the_answer(location: str) -> None:
    with serving(http(lambda head: redirect(location))) as port:
        record = sent(rate_wave(port, "50/s for 100ms", redirects=5))
    assert kinds(record) == {"answered": 5} and record.totals["redirected"] == 0


def test_after_so_many_the_redirect_is_the_answer() -> None:
    with serving(http(lambda head: redirect(path_of(head) + "x"))) as port:
        record = sent(rate_wave(port, "50/s for 100ms", redirects=3))
    assert kinds(record) == {"answered": 5} and record.totals["redirected"] == 15


def test_other_statuses_lead_nowhere() -> None:
    statuses = iter([300, 304, 305, 201, 404])

    def answer(head: bytes) -> bytes:
        return f"HTTP/1.1 {next(statuses)} X\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".encode()

    with serving(http(answer)) as port:
        record = sent(rate_wave(port, "50/s for 100ms", redirects=3))
    assert kinds(record) == {"answered": 5, "answered_4xx": 1} and record.totals["redirected"] == 0


def bodies(seen: list[bytes], status: int) -> Callable[[socket.socket], None]:
    """Serves requests with bodies: from /from a redirect to /to, there OK; all are noted as they came."""

    def serve(connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                found = re.search(rb"\r\nContent-Length: (\d+)", head)
                length = int(found[1]) if found else 0
                if len(rest) < length:
                    break
                seen.append(head + b"\r\n\r\n" + rest[:length])
                data = rest[length:]
                is_head = head.startswith(b"HEAD")
                reply = redirect(
                    f"http://{connection.getsockname()[0]}:{connection.getsockname()[1]}/to", status
                )
                if path_of(head) == "/to":
                    reply = OK
                connection.sendall(reply[: reply.index(b"\r\n\r\n") + 4] if is_head else reply)

    return serve


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [("POST", 301, "GET"), ("POST", 302, "GET"), ("POST", 303, "GET"), ("POST", 307, "POST"), ("POST", 308, "POST"),
     ("PUT", 301, "PUT"), ("PUT", 303, "GET"), ("HEAD", 303, "HEAD"), ("HEAD", 302, "HEAD"), ("GET", 303, "GET")],
)  # fmt: skip
def test_methods_change_as_the_rfc_says(method: str, status: int, then: str) -> None:
    seen: list[bytes] = []
    body = b"" if method in ("GET", "HEAD") else b"name=value"
    ask = Ask(method, "/from", (("Content-Type", "text/plain"), ("X-Own", "yes")) if body else (), body)
    with serving(bodies(seen, status)) as port:
        record = sent(rate_wave(port, "20/s for 50ms", ask=ask, redirects=2))
        assert kinds(record) == {"answered": 1} and record.totals["redirected"] == 1
    first, second = seen
    assert first.startswith(f"{method} /from HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    assert second.startswith(f"{then} /to HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    if then == method:
        assert second == first.replace(b"/from", b"/to", 1)
    else:
        assert b"Content-" not in second and second.endswith(b"X-Own: yes\r\n\r\n")


def test_a_retry_begins_at_the_first_path() -> None:
    asked: list[str] = []

    def answer(head: bytes) -> bytes:
        asked.append(head.split(b"\r\n")[0].decode())
        if path_of(head) == "/in":
            return redirect("/out", 303)
        return b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n" if len(asked) < 5 else OK

    ask = Ask("POST", "/in")
    with serving(http(answer)) as port:
        record = sent(rate_wave(port, "20/s for 50ms", ask=ask, redirects=2, of=clients(retries=5)))
    assert asked == ["POST /in HTTP/1.1", "GET /out HTTP/1.1"] * 3
    assert kinds(record) == {"answered": 1}
    assert (
        record.totals["attempts"] == 3 and record.totals["retries"] == 2 and record.totals["redirected"] == 3
    )


def test_the_time_out_runs_over_the_whole_and_latency_until_the_last_answer() -> None:
    def answer(head: bytes) -> bytes:
        time.sleep(0.15)
        return OK if path_of(head) == "/xxx" else redirect(path_of(head) + "x")

    with serving(http(answer)) as port:
        late = sent(rate_wave(port, "20/s for 100ms", redirects=9, of=clients(timeout=0.4)))
        fine = sent(rate_wave(port, "20/s for 100ms", redirects=9, of=clients(timeout=5.0)))
    assert kinds(late) == {"timed_out_read": 2} and late.totals["redirected"] == 4
    assert kinds(fine) == {"answered": 2}
    assert 1.2 <= float(fine.latency_sum_s.sum()) < 2.0


# ------------------------------------------------------------------------------------- connections and cookies


@pytest.mark.parametrize("says_so", [True, False])
def test_where_the_server_closes_a_new_connection_goes_on(says_so: bool) -> None:
    asked: list[str] = []

    def serve(connection: socket.socket) -> None:
        head = connection.recv(65536)
        asked.append(path_of(head))
        more = "Set-Cookie: at=" + path_of(head)[1:] + "\r\n" + ("Connection: close\r\n" if says_so else "")
        if path_of(head) == "/xx":
            assert b"\r\nCookie: at=x\r\n" in head
            connection.sendall(OK)
        else:
            connection.sendall(redirect(path_of(head) + "x", more=more))

    with serving(serve) as port:
        record = sent(rate_wave(port, "50/s for 200ms", redirects=2))
        assert kinds(record) == {"answered": 10} and record.totals["redirected"] == 20
        assert sorted(asked) == ["/"] * 10 + ["/x"] * 10 + ["/xx"] * 10
        asked.clear()
        record = sent(user_wave(port, "3 for 500ms", pace=0.2, redirects=2))
    assert record.totals["redirected"] == 2 * record.totals["answered"] == 2 * record.totals["sent"] > 8
    assert record.totals["connects"] == record.totals["sent"] * 3


def test_who_wants_a_connection_of_its_own_has_one_for_each_hop() -> None:
    def answer(head: bytes) -> bytes:
        assert b"\r\nConnection: close" in head
        if path_of(head) == "/x":
            return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        return redirect("/x", more="Connection: close\r\n")

    with serving(http(answer)) as port:
        record = sent(rate_wave(port, "50/s for 200ms", redirects=2, new_connections=1.0))
    assert kinds(record) == {"answered": 10} and record.totals["connects"] == 20


def test_a_redirect_in_pieces_and_until_the_end_of_its_connection() -> None:
    def serve(connection: socket.socket) -> None:
        head = connection.recv(65536)
        if path_of(head) == "/far":
            connection.sendall(OK)
            return
        for piece in (
            b"HTTP/1.1 302 Found\r\nLoca",
            b"tion: /f",
            b"ar#top\r\nServer: x",
            b"\r\n\r\nmoved",
            b"!",
        ):
            connection.sendall(piece)
            time.sleep(0.003)

    with serving(serve) as port:
        record = sent(rate_wave(port, "50/s for 200ms", redirects=2))
    assert kinds(record) == {"answered": 10} and record.totals["redirected"] == 10


def test_cookies_of_a_redirect_are_sent_on_and_belong_to_nobody_else() -> None:
    given_ = iter(range(1, 1000))
    lock = threading.Lock()

    def answer(head: bytes) -> bytes:
        with lock:
            found = re.search(rb"\r\nCookie: id=(\d+)$", head)
            if path_of(head) == "/":
                assert found is None
                number = next(given_)
                return redirect(f"/{number}", more=f"Set-Cookie: id={number}; Path=/\r\n")
            mine = found is not None and f"/{found[1].decode()}" == path_of(head)
            return OK if mine else b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"

    with serving(http(answer)) as port:
        record = sent(rate_wave(port, "200/s for 200ms", redirects=2))
        assert kinds(record) == {"answered": 40} and record.totals["redirected"] == 40
        without = rate_wave(port, "50/s for 100ms", redirects=2, cookies=False)
        assert kinds(sent(without)) == {"failed_5xx": 5}


def test_users_keep_the_cookies_of_a_redirect() -> None:
    def answer(head: bytes) -> bytes:
        return OK if head.endswith(b"\r\nCookie: in=1") else redirect("/home", more="Set-Cookie: in=1\r\n")

    with serving(http(answer)) as port:
        record = sent(user_wave(port, "5 for 1s", pace=0.1, redirects=2))
    assert kinds(record) == {"answered": record.totals["sent"]}
    assert record.totals["redirected"] == 5


def test_redirects_over_tls(tls_files: tuple[str, str]) -> None:
    from pathlib import Path

    certificate, authority = tls_files

    def answer(head: bytes) -> bytes:
        host = re.search(rb"\r\nHost: (\S+)", head)
        assert host is not None
        return OK if path_of(head) == "/safe" else redirect(f"https://{host[1].decode()}/safe")

    with serving(http(answer), certificate) as port:
        wave = rate_wave(
            port, "50/s for 200ms", scheme="https", host="localhost", ca_file=Path(authority), redirects=2
        )
        record = sent(wave)
    assert kinds(record) == {"answered": 10} and record.totals["redirected"] == 10


def test_parts_of_redirects_add_up_over_processes() -> None:
    with serving(http(lambda head: OK if path_of(head) == "/x" else redirect("/x"))) as port:
        record = sent(rate_wave(port, "100/s for 300ms", redirects=1), processes=2)
    assert kinds(record) == {"answered": 30} and record.totals["redirected"] == 30
