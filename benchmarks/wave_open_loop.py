"""An open loop at 2,000, 10,000 and 30,000 requests/s: how late the generator sends, and its CPU time a request.

nginx on the other core answers 96 bytes. Arrivals are Poisson. Lateness is that of the whole run, as the generator
says it; its rival is the target (1 ms). CPU time is measured from outside, alike for all: see servers.py. Beside
it stand tools that send at the same rate, evenly: h2load and autocannon, which say nothing of their lateness, and
Locust's two users at rates that they can hold (2,000/s and 1,000/s); and bare.c, which sleeps, sends and
receives on one connection and nothing else: what a request costs on this machine where it comes alone. What comes
in bursts (h2load, autocannon) wakes the server and the client more seldom. `rate held` is the server's own count.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import rivals
from figures import Figure, figure, options, show
from servers import Nginx, Observed, nginx, observed, require_nginx

RATES = (2_000, 10_000, 30_000)
FAST_RATE, SLOW_RATE = 2_000, 1_000
LATENESS_TARGET_MS, CPU_TARGET_US = 1.0, 15.0
CONNECTIONS = 50


def median(found: list[float]) -> float | None:
    """The median, None of nothing."""
    return statistics.median(found) if found else None


class Bench:
    """A server, a folder for the clients' files, and how long each is looked at."""

    def __init__(self, server: Nginx, folder: Path, program: list[str] | None, smoke: bool) -> None:
        self.server, self.folder, self.program = server, folder, program
        self.settle, self.window = (0.3, 1.2) if smoke else (1.5, 5.0)
        self.seconds = 3.0 if smoke else self.settle + self.window + 2.0

    def run(self, client: rivals.Client | None) -> tuple[Observed, rivals.Told] | None:
        """Run a client, if it is there."""
        if client is None:
            return None
        seen = observed(client.command, self.server, self.settle, self.window)
        return seen, client.read(seen.output)

    def ours(self, rate: float) -> rivals.Client:
        """Seawall at a rate."""
        return rivals.seawall(self.server.url, self.folder, "--rate", f"{rate:g}/s for {self.seconds:.0f}s")

    def others(self, rate: float) -> dict[str, rivals.Client | None]:
        """The tools that send at the rate."""
        url, seconds = self.server.url, self.seconds
        found = {
            "h2load --rps": rivals.h2load_rate(url, CONNECTIONS, rate, seconds, self.folder),
            "autocannon -R": rivals.autocannon(self.program, url, CONNECTIONS, seconds, rate=rate),
        }
        if rate < RATES[-1]:
            found["a bare loop in C"] = rivals.bare(self.server.port, rate, seconds, self.folder)
        if rate == FAST_RATE:
            for kind, its_rate in (("FastHttpUser", FAST_RATE), ("HttpUser", SLOW_RATE)):
                wait = f"constant_throughput({its_rate / 100})"
                found[f"Locust {kind} at {its_rate:,}/s"] = rivals.locust(
                    kind, url, self.folder, users=100, wait=wait, seconds=seconds
                )
        return found


def at_rate(bench: Bench, rate: float, runs: int) -> Iterator[Figure]:
    """Everything at one rate, in turns."""
    lateness, p99, costs, held = [], [], [], []
    theirs: dict[str, list[float]] = {}
    for _ in range(runs):
        seen, told = bench.run(bench.ours(rate)) or (None, None)
        assert seen is not None and told is not None
        lateness.append(told.more["lateness_p99_ms"])
        p99.append((told.p99 or 0.0) * 1e3)
        costs.append(seen.cpu_us)
        held.append(seen.rate)
        for name, client in bench.others(rate).items():
            found = bench.run(client)
            theirs.setdefault(name, [])
            if found is not None:
                theirs[name].append(found[0].cpu_us)
    at = f"{rate:,}/s"
    yield figure(f"{at}: rate held (rival: what was asked)", statistics.median(held), rate, "requests/s")
    late = f"{at}: own lateness p99 (rival: the target)"
    yield figure(late, statistics.median(lateness), LATENESS_TARGET_MS, "ms")
    yield figure(f"{at}: latency p99, from the intended time", statistics.median(p99), None, "ms")
    cost = statistics.median(costs)
    yield figure(f"{at}: CPU time (rival: the target)", cost, CPU_TARGET_US, "us/request")
    for name, found_costs in theirs.items():
        yield figure(f"{at}: CPU time, beside {name}", cost, median(found_costs), "us/request")


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """Rate by rate."""
    with (
        tempfile.TemporaryDirectory() as name,
        nginx() as server,
        rivals.with_autocannon(not smoke) as program,
    ):
        bench = Bench(server, Path(name), program, smoke)
        for rate in RATES[:1] if smoke else RATES:
            yield from at_rate(bench, rate, runs)


if __name__ == "__main__":
    given = options(__doc__ or "")
    require_nginx(given.smoke)
    show(measure(given.runs, given.smoke), given.json)
