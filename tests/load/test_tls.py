"""TLS of the generator against real servers: Python's own `ssl` over loopback, waited for by edges of epoll."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pytest

from seawall.fleet.errors import InputError
from seawall.load.engine import tls

TLS = Path(__file__).parents[1] / "data" / "load" / "tls"
AUTHORITY = TLS / "authority.pem"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
RECORD = 16 * 1024
PATIENCE_S = 5
EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


@nb.njit(cache=True)
def new(context, fd, name, verify):
    return tls.tls_new(context, fd, name, verify)


@nb.njit(cache=True)
def handshake(ssl):
    return tls.tls_handshake(ssl), tls.tls_verify_result(ssl), tls.tls_error_code()


@nb.njit(cache=True)
def read(ssl, address, length):
    return tls.tls_read(ssl, address, length), tls.tls_error_code()


@nb.njit(cache=True)
def write(ssl, address, length):
    return tls.tls_write(ssl, address, length)


@nb.njit(cache=True)
def free(ssl, clean):
    tls.tls_free(ssl, clean)


class Connection:
    """A connection of the compiled code under test; after an AGAIN it waits for the next edge of its socket."""

    def __init__(self, context: int, port: int, name: str, *, verify: bool) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.socket, EVENTS)
        self.name = tls.server_name(name)
        self.ssl = new(context, self.socket.fileno(), self.name.ctypes.data, verify)
        assert self.ssl != 0
        self.buffer = np.zeros(4 * RECORD, np.uint8)

    def edge(self) -> None:
        assert self.epoll.poll(PATIENCE_S), "no event on the socket after AGAIN"

    def handshake(self) -> tuple[int, int, int]:
        """(how it ended, what was found of the certificate, the error)."""
        while True:
            outcome = handshake(self.ssl)
            if outcome[0] != tls.HANDSHAKE_AGAIN:
                return outcome
            self.edge()

    def read_once(self) -> tuple[int, int]:
        return read(self.ssl, self.buffer.ctypes.data, len(self.buffer))

    def read_all(self) -> tuple[list[bytes], int, int]:
        """(what came, call by call; END or BROKEN; the error)."""
        parts = []
        while True:
            n, error = self.read_once()
            if n > 0:
                parts.append(self.buffer[:n].tobytes())
            elif n == tls.AGAIN:
                self.edge()
            else:
                return parts, n, error

    def write(self, data: bytes) -> int:
        """Write all; how often AGAIN was met. What is left moves to another address after it."""
        left, waits = np.frombuffer(data, np.uint8), 0
        while len(left):
            n = write(self.ssl, left.ctypes.data, len(left))
            if n == tls.AGAIN:
                waits += 1
                left = left.copy()
                self.edge()
            else:
                assert n > 0
                left = left[n:]
        return waits

    def close(self, *, clean: bool) -> None:
        free(self.ssl, clean)
        self.epoll.close()
        self.socket.close()


@contextlib.contextmanager
def connected(
    port: int, *, name: str = "localhost", verify: bool = True, ca_file: Path | None = AUTHORITY
) -> Iterator[Connection]:
    context = tls.new_context(verify, ca_file)
    connection = Connection(context, port, name, verify=verify)
    tls.free_context(context)  # what it was made from may go first
    try:
        yield connection
    finally:
        connection.close(clean=False)


class Server:
    """A listening socket on loopback; `behave` has each accepted connection in a thread, its results in `saw`."""

    def __init__(self, behave: Callable[[socket.socket], Any]) -> None:
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.saw: list[Any] = []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with ThreadPoolExecutor(4) as pool, contextlib.suppress(OSError):
            while True:
                pool.submit(self.meet, self.listener.accept()[0])

    def meet(self, accepted: socket.socket) -> None:
        with accepted:
            accepted.settimeout(PATIENCE_S)
            try:
                self.saw.append(self.behave(accepted))
            except OSError as error:
                self.saw.append(error)

    def await_meetings(self, number: int) -> None:
        """Wait until so many connections have come to their end."""
        end = time.monotonic() + PATIENCE_S
        while len(self.saw) < number and time.monotonic() < end:
            time.sleep(0.001)

    def end(self) -> None:
        """Take no more connections and wait for those that are under way."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(2 * PATIENCE_S)


@contextlib.contextmanager
def serving(behave: Callable[[socket.socket], Any]) -> Iterator[Server]:
    server = Server(behave)
    try:
        yield server
    finally:
        server.end()


def secured(
    behave: Callable[[ssl.SSLSocket], Any],
    certificate: str = "server.pem",
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    names: list[str | None] | None = None,
) -> Callable[[socket.socket], Any]:
    """A behaviour behind TLS; `names` takes down the names that clients ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / certificate)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    if names is not None:
        context.sni_callback = lambda _socket, name, _context: names.append(name)

    def meet(accepted: socket.socket) -> Any:
        with context.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as s:
            return behave(s)

    return meet


def receive_request(s: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += s.recv(4096)
    return got


def end_in_tls(s: ssl.SSLSocket) -> None:
    """Say that no more comes, and do not wait for the client to say so too."""
    s.settimeout(0)
    with contextlib.suppress(OSError):
        s.unwrap()


def idle(s: socket.socket) -> bytes:
    """Wait until the client goes."""
    return s.recv(1)


# --- an exchange -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_answer_of_many_records_comes_whole_and_then_ends(version: ssl.TLSVersion) -> None:
    answer = os.urandom(300_000)

    def behave(s: ssl.SSLSocket) -> bytes:
        request = receive_request(s)
        s.sendall(answer)
        end_in_tls(s)
        return request

    with serving(secured(behave, version=version)) as server, connected(server.port) as connection:
        assert connection.handshake() == (tls.HANDSHAKE_DONE, 0, 0)
        connection.write(REQUEST)
        parts, ending, error = connection.read_all()
        assert connection.read_once() == (tls.END, 0)  # and it stays so
    assert (ending, error) == (tls.END, 0)
    assert b"".join(parts) == answer
    assert len(parts) > 300_000 // RECORD
    assert server.saw == [REQUEST]


def test_one_edge_is_enough_for_all_that_has_come() -> None:
    def behave(s: ssl.SSLSocket) -> None:
        for letter in b"abcdef":
            s.sendall(bytes([letter]) * 1000)
        receive_request(s)
        s.sendall(b"later")
        idle(s)

    with serving(secured(behave)) as server, connected(server.port) as connection:
        connection.handshake()
        got = b""
        while len(got) < 6000:
            n, _ = connection.read_once()
            assert n > 0 or n == tls.AGAIN
            if n == tls.AGAIN:
                connection.edge()
            got += connection.buffer[: max(n, 0)].tobytes()
        assert [connection.read_once()[0] for _ in range(3)] == [tls.AGAIN] * 3
        connection.write(REQUEST)
        while (n := connection.read_once()[0]) == tls.AGAIN:
            connection.edge()
        assert connection.buffer[:n].tobytes() == b"later"


def test_a_request_larger_than_the_sockets_buffers_goes_on_from_another_address() -> None:
    body = os.urandom(8_000_000)
    begin = threading.Event()

    def behave(s: ssl.SSLSocket) -> bool:
        begin.wait(PATIENCE_S)
        got = bytearray()
        while len(got) < len(body):
            got += s.recv(1 << 20)
        s.sendall(b"thanks")
        return got == body

    with serving(secured(behave)) as server, connected(server.port) as connection:
        connection.handshake()
        threading.Timer(0.1, begin.set).start()
        assert connection.write(body) > 0
        assert connection.read_all()[0] == [b"thanks"]
    assert server.saw == [True]


def test_a_clean_end_is_told_to_the_server_and_another_is_not() -> None:
    with serving(secured(idle)) as server:
        for number, clean in enumerate((True, False), 1):
            context = tls.new_context(True, AUTHORITY)
            connection = Connection(context, server.port, "localhost", verify=True)
            assert connection.handshake()[0] == tls.HANDSHAKE_DONE
            # Tickets of TLS 1.3 that nobody had read would make the kernel reset the connection.
            while connection.read_once()[0] != tls.AGAIN or not server_is_idle(connection):
                pass
            connection.close(clean=clean)
            tls.free_context(context)
            server.await_meetings(number)
    assert server.saw[0] == b""
    assert isinstance(server.saw[1], ssl.SSLEOFError)


def server_is_idle(connection: Connection) -> bool:
    return not select.select([connection.socket], [], [], 0.1)[0]


# --- who the server is -----------------------------------------------------------------------------------------


def refusal(connection: Connection) -> str:
    outcome, found, error = connection.handshake()
    assert outcome == tls.HANDSHAKE_FAILED
    assert found != 0
    said = tls.tls_error(error, found)
    assert "certificate verify failed" in tls.tls_error()  # the same, as this thread's last error
    assert tls.tls_error() == ""
    return said


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]", "::1"])
def test_a_name_or_address_of_the_certificate_is_accepted(name: str) -> None:
    with serving(secured(idle)) as server, connected(server.port, name=name) as connection:
        assert connection.handshake() == (tls.HANDSHAKE_DONE, 0, 0)


@pytest.mark.parametrize(
    ("name", "why"), [("elsewhere.test", "hostname mismatch"), ("127.0.0.2", "IP address mismatch")]
)
def test_another_name_is_refused(name: str, why: str) -> None:
    with serving(secured(idle)) as server, connected(server.port, name=name) as connection:
        assert refusal(connection).endswith(f"certificate verify failed: {why}")
    assert isinstance(server.saw[0], ssl.SSLError)


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    with serving(secured(idle)) as server, connected(server.port, ca_file=None) as connection:
        assert refusal(connection).endswith("unable to get local issuer certificate")


def test_a_certificate_that_has_expired_is_refused() -> None:
    with serving(secured(idle, "expired.pem")) as server, connected(server.port) as connection:
        assert refusal(connection).endswith("certificate has expired")


@pytest.mark.parametrize("certificate", ["server.pem", "expired.pem", "other_name.pem"])
def test_without_verification_any_certificate_will_do(certificate: str) -> None:
    with (
        serving(secured(idle, certificate)) as server,
        connected(server.port, verify=False, ca_file=None) as connection,
    ):
        outcome, _, error = connection.handshake()
        assert (outcome, error) == (tls.HANDSHAKE_DONE, 0)


@pytest.mark.parametrize("verify", [True, False])
def test_the_server_is_told_which_host_is_meant_and_that_it_is_http_1(verify: bool) -> None:
    names: list[str | None] = []

    def behave(s: ssl.SSLSocket) -> str | None:
        receive_request(s)
        return s.selected_alpn_protocol()

    with serving(secured(behave, names=names)) as server:
        for name in ("localhost", "127.0.0.1"):
            with connected(server.port, name=name, verify=verify) as connection:
                assert connection.handshake()[0] == tls.HANDSHAKE_DONE
                connection.write(REQUEST)
                assert connection.read_all()[1] == tls.END
    assert names == ["localhost", None]  # an IP address is not sent
    assert server.saw == ["http/1.1", "http/1.1"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_connection_is_that_of_a_new_client(version: ssl.TLSVersion) -> None:
    def behave(s: ssl.SSLSocket) -> bool | None:
        receive_request(s)
        s.sendall(b"x")
        idle(s)
        return s.session_reused

    context = tls.new_context(True, AUTHORITY)
    with serving(secured(behave, version=version)) as server:
        for _ in range(3):
            connection = Connection(context, server.port, "localhost", verify=True)
            assert connection.handshake()[0] == tls.HANDSHAKE_DONE
            connection.write(REQUEST)
            while connection.read_once()[0] == tls.AGAIN:
                connection.edge()
            connection.close(clean=True)
    tls.free_context(context)
    assert server.saw == [False, False, False]


# --- what goes wrong -------------------------------------------------------------------------------------------


def test_an_end_that_tls_was_not_told_of_is_an_end() -> None:
    def behave(s: ssl.SSLSocket) -> None:
        receive_request(s)
        s.sendall(b"half an answer")

    with serving(secured(behave)) as server, connected(server.port) as connection:
        connection.handshake()
        connection.write(REQUEST)
        assert connection.read_all() == ([b"half an answer"], tls.END, 0)


def test_a_reset_is_broken_without_an_error_of_tls_and_writing_after_it_does_not_kill() -> None:
    def behave(s: ssl.SSLSocket) -> None:
        receive_request(s)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(secured(behave)) as server, connected(server.port) as connection:
        connection.handshake()
        connection.write(REQUEST)
        assert connection.read_all() == ([], tls.BROKEN, 0)
        assert tls.tls_error(0) == ""
        data = np.zeros(10, np.uint8)
        assert {write(connection.ssl, data.ctypes.data, 10) for _ in range(3)} == {tls.BROKEN}


def test_a_server_without_tls_fails_the_handshake() -> None:
    def behave(s: socket.socket) -> None:
        s.recv(10)
        s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        idle(s)

    with serving(behave) as server, connected(server.port) as connection:
        outcome, _, error = connection.handshake()
        assert outcome == tls.HANDSHAKE_FAILED
        assert "wrong version number" in tls.tls_error(error)


def test_a_server_that_hangs_up_fails_the_handshake() -> None:
    with serving(lambda s: s.recv(4096)) as server, connected(server.port) as connection:
        assert connection.handshake()[0] == tls.HANDSHAKE_FAILED


def test_one_connections_error_is_not_taken_for_anothers() -> None:
    with (
        serving(secured(idle)) as server,
        connected(server.port) as sound,
        connected(server.port) as next_one,
    ):
        assert sound.handshake()[0] == tls.HANDSHAKE_DONE
        while not server_is_idle(sound):
            assert sound.read_once()[0] == tls.AGAIN
        with connected(server.port, name="elsewhere.test") as refused:
            assert refused.handshake()[0] == tls.HANDSHAKE_FAILED
            assert sound.read_once() == (tls.AGAIN, 0)
            assert refused.handshake()[0] == tls.HANDSHAKE_FAILED
            assert next_one.handshake() == (tls.HANDSHAKE_DONE, 0, 0)


def test_a_file_of_authorities_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.pem: .*No such file"):
        tls.new_context(True, tmp_path / "missing.pem")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"empty\.pem: no certificate .*-----BEGIN CERTIFICATE-----"):
        tls.new_context(True, empty)


# --- linking ---------------------------------------------------------------------------------------------------

DRIVER = """
import numba as nb
from seawall.load.engine import tls

@nb.njit(cache=True)
def hands(context, fd, name):
    ssl = tls.tls_new(context, fd, name, True)
    if ssl == 0:
        return -1
    done = tls.tls_handshake(ssl)
    while done == tls.HANDSHAKE_AGAIN:
        done = tls.tls_handshake(ssl)
    tls.tls_free(ssl, done == tls.HANDSHAKE_DONE)
    return done
"""

WITH_LIBRARY = """
import socket, sys
from pathlib import Path
from driver import hands, tls
tls.load_library()
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setblocking(False)
name = tls.server_name("localhost")
print(hands(tls.new_context(True, Path(sys.argv[2])), s.fileno(), name.ctypes.data), hands.stats.cache_hits)
"""

WITHOUT_LIBRARY = """
import ctypes
whole = ctypes.CDLL
def lacking(name, *args, **kwargs):
    if name is not None and "ssl" in str(name):
        raise OSError("no such library")
    return whole(name, *args, **kwargs)
ctypes.CDLL = lacking
from driver import hands, tls
result = hands(0, 0, 0), len(hands.stats.cache_hits)
for use in (tls.load_library, lambda: tls.new_context(False, None)):
    try:
        use()
    except tls.InputError as error:
        assert "https:// needs OpenSSL" in str(error)
    else:
        raise AssertionError("a library was found")
print(*result)
"""


def test_cached_code_links_in_a_new_process_with_the_library_and_without(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(script: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    with serving(secured(idle)) as server:
        first = run(WITH_LIBRARY, str(server.port), str(AUTHORITY))
        second = run(WITH_LIBRARY, str(server.port), str(AUTHORITY))
    assert first.startswith("0 Counter()")
    assert second.startswith("0 Counter({")
    assert run(WITHOUT_LIBRARY) == "-1 1\n"
