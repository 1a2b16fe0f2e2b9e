"""Recorded traffic at its own times: an access log at 1,000 times its speed, a CSV of rates at 60 times.

The files are made up (five hours of a log with one request a second in bursts, twenty minutes of rates around 60/s)
unless they are given. How long the replay took is read off the server's own log and stands beside what is
due; lateness is what the generator says, beside the target (2 ms). The rival is h2load with a timing script,
which takes the same times; it has no clock for its lateness, so the server's log stands for it: by how much the
99th percentile of the arrivals comes after its time, counted from the first one.
"""

from __future__ import annotations

import random
import re
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rivals
from figures import Figure, figure, options, show
from numpy.typing import NDArray
from servers import finished, nginx, require_nginx, started

LOG_SPEED, CSV_SPEED = 1000.0, 60.0
LATENESS_TARGET_MS = 2.0
_BEGAN = 1_431_857_100


def made_up_log(path: Path, seconds: int) -> None:
    """A log in the combined format: one request a second on average, half of them in bursts of 20 within a second."""
    draw = random.Random(1)
    stamps = [draw.randrange(seconds) for _ in range(seconds // 2)]
    stamps += [second for _ in range(seconds // 40) for second in [draw.randrange(seconds)] * 20]
    stamps += [0, seconds - 1]
    with path.open("w") as out:
        for n, second in enumerate(sorted(stamps)):
            stamp = datetime.fromtimestamp(_BEGAN + second, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
            out.write(
                f'10.0.{n % 200}.7 - - [{stamp}] "GET /page/{n % 97} HTTP/1.1" 200 512 "-" "bench/1.0"\n'
            )


def made_up_rates(path: Path, seconds: int) -> None:
    """Requests in each second: 60 on average, with a swell to 240."""
    draw = random.Random(1)
    rates = [60.0 + (180.0 if seconds // 2 <= n < seconds // 2 + 60 else 0.0) for n in range(seconds)]
    lines = [f"{n},{max(0, round(draw.gauss(rate, rate**0.5)))}" for n, rate in enumerate(rates)]
    path.write_text("second,requests\n" + "\n".join(lines) + "\n")


# ------------------------------------------------------------------------------------------------ what is due

_STAMP = re.compile(r"\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] \"(GET|HEAD) ")


def times_of_log(path: Path) -> NDArray[np.float64]:
    """When its GET and HEAD requests came, in seconds after the first; those of a second are spread over it evenly."""
    seconds = []
    for line in path.read_text(errors="replace").splitlines():
        if match := _STAMP.search(line):
            seconds.append(int(datetime.strptime(match[1], "%d/%b/%Y:%H:%M:%S %z").timestamp()))
    return _spread(np.bincount(np.array(seconds) - min(seconds)))


def times_of_rates(path: Path) -> NDArray[np.float64]:
    """When its requests come, those of a second spread over it evenly."""
    counts = [int(line.split(",")[1]) for line in path.read_text().splitlines()[1:]]
    return _spread(np.array(counts))


def _spread(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    ends = np.cumsum(counts)
    place = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    return np.repeat(np.arange(len(counts)), counts) + (place + 0.5) / np.repeat(counts, counts)


# -------------------------------------------------------------------------------------------------- replays


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay: how much longer it took than it should have, in percent of that; lateness p99; requests."""

    error: float
    lateness_ms: float
    count: int


def ours(source: Path, speed: float, due: NDArray[np.float64], folder: Path) -> Replay:
    """Seawall's replay."""
    with nginx(log=True) as server:
        client = rivals.seawall(server.url, folder, "--log", str(source), "--speed", f"{speed:g}x")
        told = client.read(finished(started(client.command), due[-1] / speed))
        times = np.array(server.times())
    return Replay(_error(times, due / speed), told.more["lateness_p99_ms"], len(times))


def theirs(speed: float, due: NDArray[np.float64], folder: Path) -> Replay | None:
    """h2load's, if it is there."""
    with nginx(log=True) as server:
        script = folder / "script.tsv"
        script.write_text("".join(f"{t / speed * 1e3:.3f}\t{server.url}\n" for t in due - due[0]))
        client = rivals.h2load_script(script, folder)
        if client is None:
            return None
        finished(started(client.command), due[-1] / speed)
        times = np.array(server.times())
    late = (times - times[0]) - (due[: len(times)] - due[0]) / speed
    return Replay(_error(times, due / speed), float(np.quantile(late, 0.99)) * 1e3, len(times))


def _error(times: NDArray[np.float64], due: NDArray[np.float64]) -> float:
    length = due[-1] - due[0]
    return abs(float(times[-1] - times[0] - length)) / length * 100.0


def of_source(
    name: str, source: Path, speed: float, due: NDArray[np.float64], runs: int, folder: Path
) -> Iterator[Figure]:
    """Both replays of one source, in turns; medians."""
    both = [(ours(source, speed, due, folder), theirs(speed, due, folder)) for _ in range(runs)]
    mine = [one for one, _ in both]
    rival = [one for _, one in both if one is not None]

    def row(label: str, what: str, beside: float | None, unit: str) -> Figure:
        return figure(f"{name}: {label}", statistics.median(getattr(one, what) for one in mine), beside, unit)

    def of_rival(what: str) -> float | None:
        return statistics.median(getattr(one, what) for one in rival) if rival else None

    yield row("requests (rival: in the file)", "count", len(due), "requests")
    yield row("duration off by (rival: the most allowed)", "error", 0.1, "%")
    yield row("lateness p99 (rival: the target)", "lateness_ms", LATENESS_TARGET_MS, "ms")
    yield row("duration off by, beside h2load", "error", of_rival("error"), "%")
    yield row("lateness p99, beside h2load", "lateness_ms", of_rival("lateness_ms"), "ms")


def measure(runs: int, smoke: bool, log: Path | None, rates: Path | None) -> Iterator[Figure]:
    """The log, then the rates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if log is None:
            log = folder / "access.log"
            made_up_log(log, 1200 if smoke else 18_000)
        if rates is None:
            rates = folder / "rates.csv"
            made_up_rates(rates, 70 if smoke else 1200)
        yield from of_source("log at 1,000x", log, LOG_SPEED, times_of_log(log), runs, folder)
        yield from of_source("rates at 60x", rates, CSV_SPEED, times_of_rates(rates), runs, folder)


if __name__ == "__main__":
    files = {
        "log": "an access log in Apache's combined format",
        "csv": "requests per second: second,requests",
    }
    given = options(__doc__ or "", runs=3, files=files)
    require_nginx(given.smoke)
    show(measure(given.runs, given.smoke, given.log, given.csv), given.json)
