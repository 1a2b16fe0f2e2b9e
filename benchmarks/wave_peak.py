"""Requests/s of one client process on one core that asks again as soon as it is answered, beside five others.

nginx on the other core answers 96 bytes; 50 kept connections. The rate is the server's own count, in a window well
within each run. Above about 150,000/s a small machine is often of two minds (the same program gives half or all of
its rate from run to run), so that orders can be compared there, not units.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rivals
from figures import Figure, figure, options, show
from servers import Nginx, nginx, observed, require_nginx

CONNECTIONS = 50


def clients(
    server: Nginx, seconds: float, folder: Path, program: list[str] | None
) -> Iterator[rivals.Client | None]:
    """Ours first, then the others."""
    users = f"{CONNECTIONS} for {seconds:.0f}s"
    yield rivals.seawall(server.url, folder, "--users", users, "--think", "0s", "--jitter", "0%")
    yield rivals.wrk(server.url, CONNECTIONS, seconds)
    yield rivals.ab(server.url, CONNECTIONS, seconds)
    yield rivals.h2load(server.url, CONNECTIONS, seconds)
    yield rivals.autocannon(program, server.url, CONNECTIONS, seconds)
    for kind in ("FastHttpUser", "HttpUser"):
        yield rivals.locust(kind, server.url, folder, users=CONNECTIONS, wait="constant(0)", seconds=seconds)


NAMES = ("wrk", "ab", "h2load", "autocannon", "Locust FastHttpUser", "Locust HttpUser")


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """All clients in turns, so many times; medians."""
    window, settle = (0.5, 0.3) if smoke else (4.0, 1.5)
    seconds = 2.0 if smoke else window + settle + 2.0
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        nginx() as server,
        rivals.with_autocannon(not smoke) as program,
    ):
        for _ in range(runs):
            for client in clients(server, seconds, Path(name), program):
                if client is None:
                    continue
                seen = observed(client.command, server, settle, window)
                rates.setdefault(client.name, []).append(seen.rate)
                costs.setdefault(client.name, []).append(seen.cpu_us)
    for what, found, unit in (("peak rate", rates, "requests/s"), ("CPU at the peak", costs, "us/request")):
        for rival in NAMES:
            others = found.get(rival)
            ours = statistics.median(found["Seawall"])
            yield figure(
                f"{what}, beside {rival}", ours, None if others is None else statistics.median(others), unit
            )


if __name__ == "__main__":
    given = options(__doc__ or "")
    require_nginx(given.smoke)
    show(measure(given.runs, given.smoke), given.json)
