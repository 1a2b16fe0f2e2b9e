"""Small real servers on ports of their own, that answer as a test says and leave nothing behind."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

CERTIFICATES = Path(__file__).parents[1] / "data" / "load" / "tls"


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None], certificate: str | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that hands each connection to `serve`, in a thread of its own."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / certificate)
    open_connections: set[socket.socket] = set()
    threads: list[threading.Thread] = []

    def take(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
            closing.callback(connection.close)
            if context is not None:
                connection.settimeout(2.0)
                connection = closing.enter_context(context.wrap_socket(connection, server_side=True))
            serve(connection)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_connections.add(connection)
                threads.append(threading.Thread(target=take, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in open_connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def http(answer: Callable[[bytes], bytes]) -> Callable[[socket.socket], None]:
    """Serves HTTP without request bodies: each head gets its answer, until the other side closes."""

    def serve(connection: socket.socket) -> None:
        data = b""
        while piece := connection.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                response = answer(head)
                connection.sendall(response)
                if b"connection: close" in response.lower():
                    return

    return serve


def wait_for_end(connection: socket.socket) -> None:
    """Serves nothing at all."""
    while connection.recv(65536):
        pass


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port of every address of this machine that neither takes nor refuses connections: its backlog is full."""
    with contextlib.ExitStack() as closing:
        listener = closing.enter_context(socket.socket())
        listener.bind(("0.0.0.0", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(3):
            waiting = closing.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port that refuses: it is taken, and nothing listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
