"""A thousand users, one request each in 5 s: how evenly they come, and whether their latency is the server's own.

The users join over 10 s, evenly; what is looked at is the time after that. Rate, the fullest window of 20 ms and
the share of empty windows are read off the server's own log (an even spread puts 4 requests into each window, and
leaves 2 % empty). Beside it stands Locust with the same users, `constant_pacing(5)` and a `LoadTestShape` of the
same rise, and the same Locust as Seawall's guest. p50 is compared with what one kept connection of this machine
sees that asks 200 times a second.
"""

from __future__ import annotations

import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rivals
from figures import Figure, figure, options, show
from servers import Nginx, finished, nginx, require_nginx, started

WINDOW_SECONDS = 0.020
MOST_IN_A_WINDOW = 15


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many users that join over `rise` seconds and stay for `hold`, each with one request in `pace` seconds."""

    users: int
    pace: float
    rise: float
    hold: float

    @property
    def seconds(self) -> float:
        return self.rise + self.hold

    @property
    def rate(self) -> float:
        return self.users / self.pace


FULL, SMOKE = Crowd(1000, 5.0, 10.0, 20.0), Crowd(100, 0.5, 0.5, 1.5)


@dataclass(frozen=True, slots=True)
class Seen:
    """What came in the hold, as the server saw it, and the client's p50 in milliseconds."""

    rate: float
    fullest: float
    empty: float
    """Percent of the windows."""
    p50_ms: float


def seen(who: str, crowd: Crowd, folder: Path) -> Seen | None:
    """Run a client against a server of its own, if it is there."""
    with nginx(log=True) as server:
        client = clients(server.url, crowd, folder)[who]
        if client is None:
            return None
        told = client.read(finished(started(client.command), crowd.seconds))
        times = np.array(server.times())
    end = times[0] + crowd.seconds - 0.1 * crowd.pace
    begin = end - crowd.hold + 0.2 * crowd.pace
    windows = int((end - begin) / WINDOW_SECONDS)
    length = windows * WINDOW_SECONDS
    counts, _ = np.histogram(times, windows, (begin, begin + length))
    p50 = (told.p50 or 0.0) * 1e3
    return Seen(counts.sum() / length, float(counts.max()), 100.0 * float((counts == 0).mean()), p50)


def own_p50_ms(server: Nginx, rate: float, count: int) -> float:
    """What one kept connection sees that asks at a rate, from just before its request to just after its answer."""
    request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
    took = []
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            time.sleep(1.0 / rate)
            begin = time.perf_counter()
            connection.sendall(request)
            data = b""
            while b"harbour" not in data:
                data += connection.recv(4096)
            took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e3


KINDS = ("FastHttpUser", "HttpUser")


def clients(url: str, crowd: Crowd, folder: Path) -> dict[str, rivals.Client | None]:
    """Ours and Locust's."""
    shape = f"0 -> {crowd.users} in {crowd.rise:g}s, hold {crowd.hold:g}s"
    found: dict[str, rivals.Client | None] = {
        "Seawall": rivals.seawall(url, folder, "--users", shape, "--pace", f"{crowd.pace:g}s")
    }
    wait, seconds = f"constant_pacing({crowd.pace})", crowd.seconds
    for kind in KINDS:
        found[f"Locust {kind}"] = rivals.locust(
            kind, url, folder, users=crowd.users, wait=wait, seconds=seconds, rise=crowd.rise
        )
        found[f"guest {kind}"] = rivals.guest(kind, url, folder, users=shape, wait=wait)
    return found


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """All in turns; medians."""
    crowd = SMOKE if smoke else FULL
    rival_names = [f"Locust {kind}" for kind in KINDS]
    guests = [f"guest {kind}" for kind in KINDS]
    found: dict[str, list[Seen]] = {who: [] for who in ("Seawall", *rival_names, *guests)}
    own = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(runs):
            with nginx() as server:
                own.append(own_p50_ms(server, crowd.rate, 100 if smoke else 2000))
            for who, of in found.items():
                one = seen(who, crowd, Path(name))
                of += [] if one is None else [one]
    said = f"{crowd.users:,} users, pace {crowd.pace:g} s"

    def middle(who: str, what: str) -> float | None:
        return statistics.median(getattr(one, what) for one in found[who]) if found[who] else None

    def row(label: str, what: str, rival: float | None, unit: str) -> Figure:
        return figure(f"{said}: {label}", middle("Seawall", what) or 0.0, rival, unit)

    yield row("rate (rival: what is due)", "rate", crowd.rate, "requests/s")
    yield row("fullest 20 ms (rival: most allowed)", "fullest", MOST_IN_A_WINDOW, "requests")
    yield row("p50 (rival: the server's own)", "p50_ms", statistics.median(own), "ms")
    for who in rival_names:
        yield row(f"fullest 20 ms, beside {who}", "fullest", middle(who, "fullest"), "requests")
        yield row(f"empty 20 ms, beside {who}", "empty", middle(who, "empty"), "%")
        yield row(f"p50, beside {who}", "p50_ms", middle(who, "p50_ms"), "ms")
    for mine, who in zip(guests, rival_names, strict=True):
        for label, what, unit in (("fullest 20 ms", "fullest", "requests"), ("p50", "p50_ms", "ms")):
            ours = middle(mine, what)
            if ours is not None:
                yield figure(f"as Seawall's guest: {label}, beside {who}", ours, middle(who, what), unit)


if __name__ == "__main__":
    given = options(__doc__ or "")
    require_nginx(given.smoke)
    show(measure(given.runs, given.smoke), given.json)
