"""What is reported of an outage: 200 requests/s for 40 s, and the server stands still from 15 to 25 s.

nginx is stopped (SIGSTOP) and goes on. A quarter of the requests fall due in that time and wait from 0 to 10 s,
evenly: the truth is a p90 of 6.0 s, a p99 of 9.6 s, a mean of 1.25 s and 8,000 requests. h2load and autocannon are
asked for the same rate on 50 connections, Locust for 50 users with `constant_throughput(4)` and for 1,000 with
`constant_pacing(5)`; wrk has no rate and asks as fast as it can. The first rows have the truth in the rival's
column; in the others a tool that hides the outage shows a few milliseconds.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rivals
from figures import Figure, figure, options, show
from servers import end, finished, nginx, require_nginx, started

RATE, CONNECTIONS = 200, 50


@dataclass(frozen=True, slots=True)
class Outage:
    """Load for `seconds`, and a server that stands still from `first` to `last`."""

    seconds: float
    first: float
    last: float

    def truth(self, share: float) -> float:
        """The latency that a share of the requests stays below: those of the outage wait from 0 to its length."""
        length = self.last - self.first
        return max(0.0, length - (1.0 - share) * self.seconds)

    @property
    def mean(self) -> float:
        return (self.last - self.first) ** 2 / 2.0 / self.seconds


FULL, SMOKE = Outage(40.0, 15.0, 25.0), Outage(3.0, 0.8, 1.8)


NAMES = (
    "Seawall", "wrk", "h2load --rps", "autocannon -R", "Locust FastHttpUser x 50", "Locust FastHttpUser x 1,000",
)  # fmt: skip


def client(
    who: str, url: str, outage: Outage, folder: Path, program: list[str] | None
) -> rivals.Client | None:
    """One of NAMES, asked for the rate (wrk for all that it can)."""
    seconds = outage.seconds
    if who == "Seawall":
        rate = f"{RATE}/s for {seconds:g}s"
        return rivals.seawall(url, folder, "--rate", rate, "--process", "even")
    if who == "wrk":
        return rivals.wrk(url, CONNECTIONS, seconds)
    if who == "h2load --rps":
        return rivals.h2load_rate(url, CONNECTIONS, RATE, seconds, folder)
    if who == "autocannon -R":
        return rivals.autocannon(program, url, CONNECTIONS, seconds, rate=RATE)
    few = who.endswith(" 50")
    users, wait = (
        (50, f"constant_throughput({RATE / 50})") if few else (1000, f"constant_pacing({1000 / RATE})")
    )
    return rivals.locust("FastHttpUser", url, folder, users=users, wait=wait, seconds=seconds)


def told(who: str, outage: Outage, folder: Path, program: list[str] | None) -> rivals.Told | None:
    """What a client says of the outage that it has met, if it is there."""
    with nginx(log=True) as server:
        asked = client(who, server.url, outage, folder, program)
        if asked is None:
            return None
        process = started(asked.command)
        try:
            server.paused_between(outage.first, outage.last, process)
            return asked.read(finished(process, outage.seconds))
        finally:
            end(process)


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """Each client in turn; medians."""
    outage = SMOKE if smoke else FULL
    found: dict[str, list[rivals.Told]] = {who: [] for who in NAMES}
    with tempfile.TemporaryDirectory() as name, rivals.with_autocannon(not smoke) as program:
        for _ in range(runs):
            for who, of in found.items():
                one = told(who, outage, Path(name), program)
                of += [] if one is None else [one]
    ours = found.pop("Seawall")
    truths = {"count": RATE * outage.seconds, "mean": outage.mean}
    truths |= {f"p{share}": outage.truth(share / 100) for share in (90, 99)}
    for what, truth in truths.items():
        unit = "requests" if what == "count" else "s"
        yield figure(f"outage: {what} (rival: the truth)", middle(ours, what) or 0.0, truth, unit)
    yield figure("outage: p50 (the truth: well below 1 ms)", 1e3 * (middle(ours, "p50") or 0.0), None, "ms")
    for who, of in found.items():
        for what in ("count", "p50", "p90", "p99"):
            unit = "requests" if what == "count" else "s"
            yield figure(f"outage: {what}, beside {who}", middle(ours, what) or 0.0, middle(of, what), unit)


def middle(of: list[rivals.Told], what: str) -> float | None:
    """The median over the runs of one figure."""
    found = [value for one in of if (value := getattr(one, what)) is not None]
    return statistics.median(found) if found else None


if __name__ == "__main__":
    given = options(__doc__ or "", runs=1)
    require_nginx(given.smoke)
    show(measure(given.runs, given.smoke), given.json)
