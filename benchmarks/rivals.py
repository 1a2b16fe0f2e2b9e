"""The load generators beside which Seawall's is measured: how each is asked, and what it says of its latencies.

wrk, ab and h2load are packages of Debian (wrk, apache2-utils, nghttp2-client). Locust is run by the Python that
SEAWALL_LOCUST_PYTHON names, or by this one where it has it. autocannon is the one on the PATH, or is installed
by npm into a folder that is gone afterwards. What is not there is left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seawall.record.histogram import percentile
from seawall.record.record import read

SEAWALL = str(Path(sys.executable).with_name("seawall"))


@dataclass(frozen=True, slots=True)
class Told:
    """What a generator says: how many requests, and their latencies in seconds, None where it does not say."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    mean: float | None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """A generator ready to be run: its command, and how what it prints is read."""

    name: str
    command: Sequence[str]
    read: Callable[[str], Told]


def of_latencies(seconds: Sequence[float]) -> Told:
    """What exact latencies come to."""
    if not seconds:
        return Told(0, None, None, None, None)
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Told(len(ordered), at(0.5), at(0.9), at(0.99), statistics.fmean(ordered))


# --------------------------------------------------------------------------------------------------- Seawall


def seawall(url: str, folder: Path, *arguments: str) -> Client:
    """Seawall's own wave; its record goes into the folder. `more` holds what it says of itself."""
    record = folder / f"wave-{os.urandom(4).hex()}"
    command = [SEAWALL, "wave", "--url", url, "--json", "--quiet", "--record", str(record), *arguments]
    return Client("Seawall", command, lambda output: _read_seawall(output, record))


def _read_seawall(output: str, folder: Path) -> Told:
    said = json.loads(output)
    record = read(next(folder.iterdir()))
    counts = record.latency.sum(axis=0, dtype=np.int64)
    p50, p90, p99 = (percentile(counts, share) for share in (0.5, 0.9, 0.99))
    mean = float(record.latency_sum_s.sum()) / max(1, record.totals["answered"])
    more = {**said["variants"][0]["generator"], "requests": record.totals}
    return Told(record.totals["sent"], p50, p90, p99, mean, more)


# --------------------------------------------------------------------------------------------------- in Debian


def wrk(url: str, connections: int, seconds: float) -> Client | None:
    """wrk, as fast as it can."""
    if shutil.which("wrk") is None:
        return None
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "--latency", url]
    return Client("wrk", command, _read_wrk)


_WRK_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def _read_wrk(output: str) -> Told:
    def seconds(pattern: str) -> float:
        match = re.search(pattern + r"\s+([\d.]+)(us|ms|s|m)\b", output)
        assert match is not None, output
        return float(match[1]) * _WRK_UNITS[match[2]]

    count = re.search(r"(\d+) requests in", output)
    assert count is not None, output
    return Told(int(count[1]), seconds("50%"), seconds("90%"), seconds("99%"), seconds("Latency"))


def ab(url: str, connections: int, seconds: float) -> Client | None:
    """ab with kept connections, as fast as it can."""
    if shutil.which("ab") is None:
        return None
    command = [
        "ab",
        "-q",
        "-k",
        "-r",
        f"-c{connections}",
        f"-t{seconds:.0f}",
        f"-n{round(500_000 * seconds)}",
        url,
    ]
    return Client("ab", command, _read_ab)


def _read_ab(output: str) -> Told:
    count = re.search(r"Complete requests:\s+(\d+)", output)
    return Told(int(count[1]) if count else 0, None, None, None, None)


def h2load(url: str, connections: int, seconds: float) -> Client | None:
    """h2load over HTTP/1.1, as fast as it can."""
    if shutil.which("h2load") is None:
        return None
    command = ["h2load", "--h1", f"-c{connections}", "-t1", f"-D{seconds:.0f}", url]
    return Client("h2load", command, lambda output: Told(0, None, None, None, None))


def h2load_rate(url: str, connections: int, rate: float, seconds: float, folder: Path) -> Client | None:
    """h2load at a rate, which its connections share evenly."""
    if shutil.which("h2load") is None:
        return None
    log = folder / f"h2load-{os.urandom(4).hex()}.log"
    own = rate / connections
    command = ["h2load", "--h1", f"-c{connections}", "-t1", f"-n{round(rate * seconds)}", f"--rps={own:g}"]
    return Client("h2load --rps", [*command, f"--log-file={log}", url], lambda output: _read_h2load(log))


def h2load_script(script: Path, folder: Path) -> Client | None:
    """h2load at the times of a script (milliseconds, tab, URL), on one connection."""
    if shutil.which("h2load") is None:
        return None
    log = folder / f"h2load-{os.urandom(4).hex()}.log"
    command = ["h2load", "--h1", "-c1", "-t1", f"--timing-script-file={script}", f"--log-file={log}"]
    return Client("h2load --timing-script-file", command, lambda output: _read_h2load(log))


def _read_h2load(log: Path) -> Told:
    return of_latencies([float(line.split("\t")[2]) * 1e-6 for line in log.read_text().splitlines()])


# ------------------------------------------------------------------------------------------------- the floor


def bare(port: int, rate: float, seconds: float, folder: Path) -> Client | None:
    """A loop in C that does what no generator can do without (bare.c), where there is a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = folder / "bare"
    if not program.exists():
        source = Path(__file__).with_name("bare.c")
        subprocess.run([compiler, "-O2", "-o", str(program), str(source), "-lm"], check=True)
    command = [str(program), str(port), f"{rate:g}", f"{seconds:g}"]
    return Client("a bare loop in C", command, lambda output: Told(0, None, None, None, None))


# --------------------------------------------------------------------------------------------------- autocannon


@contextlib.contextmanager
def with_autocannon(wanted: bool = True) -> Iterator[list[str] | None]:
    """The command that runs autocannon; None where there is neither it nor an npm that can install it."""
    found = shutil.which("autocannon")
    if found is not None or not wanted or shutil.which("npm") is None:
        yield None if found is None else [found]
        return
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "autocannon"]
        done = subprocess.run(command, capture_output=True, check=False)
        program = Path(folder) / "node_modules" / ".bin" / "autocannon"
        yield [str(program)] if done.returncode == 0 and program.exists() else None


def autocannon(
    program: list[str] | None, url: str, connections: int, seconds: float, *, rate: float | None = None
) -> Client | None:
    """autocannon, as fast as it can or at a rate."""
    if program is None:
        return None
    command = [*program, "--json", "--no-progress", f"-c{connections}", f"-d{seconds:.0f}", "-t30"]
    if rate is not None:
        command.append(f"-R{rate:.0f}")
    return Client("autocannon" + (" -R" if rate else ""), [*command, url], _read_autocannon)


def _read_autocannon(output: str) -> Told:
    said = json.loads(output.strip().splitlines()[-1])
    latency = {name: said["latency"][name] / 1e3 for name in ("p50", "p90", "p99", "mean")}
    return Told(said["requests"]["total"], latency["p50"], latency["p90"], latency["p99"], latency["mean"])


# ------------------------------------------------------------------------------------------------------- Locust

_LOCUSTFILE = """\
from locust import FastHttpUser, HttpUser, LoadTestShape, constant, constant_pacing, constant_throughput, task

class Asks({kind}):
    wait_time = {wait}

    @task
    def ask(self):
        self.client.get("/")
"""
_SHAPE = """
class Rises(LoadTestShape):
    def tick(self):
        t = self.get_run_time()
        if t > {end}:
            return None
        return (min({users}, int({users} * t / {rise}) + 1), max(1, {users} / {rise}))
"""


def locust_python() -> str | None:
    """The Python that runs Locust."""
    named = os.environ.get("SEAWALL_LOCUST_PYTHON")
    if named:
        return named
    return sys.executable if importlib.util.find_spec("locust") is not None else None


def locust(
    kind: str,
    url: str,
    folder: Path,
    *,
    users: int,
    wait: str,
    seconds: float,
    rise: float | None = None,
) -> Client | None:
    """Locust with users of a kind (FastHttpUser, HttpUser) that wait so; all at once, or rising for so long."""
    python = locust_python()
    if python is None:
        return None
    text = _LOCUSTFILE.format(kind=kind, wait=wait)
    command = [python, "-m", "locust", "--headless", "--only-summary", "--loglevel", "ERROR", "--json"]
    if rise is None:
        command += ["-u", str(users), "-r", str(users), "-t", f"{seconds:.0f}s"]
    else:
        text += _SHAPE.format(users=users, rise=rise, end=seconds)
    file = folder / f"journey_{os.urandom(4).hex()}.py"
    file.write_text(text)
    command += [
        "--exit-code-on-error",
        "0",
        "--stop-timeout",
        "12",
        "--host",
        url.rstrip("/"),
        "-f",
        str(file),
    ]
    return Client(f"Locust {kind}", command, _read_locust)


def guest(kind: str, url: str, folder: Path, *, users: str, wait: str) -> Client | None:
    """The same users, their number over time as Seawall writes it, with Locust as its guest."""
    if locust_python() is None:
        return None
    file = folder / f"journey_{os.urandom(4).hex()}.py"
    file.write_text(_LOCUSTFILE.format(kind=kind, wait=wait))
    return seawall(url, folder, "--locustfile", str(file), "--users", users)


def _read_locust(output: str) -> Told:
    rows = json.loads(output[output.index("[") :])
    times: dict[float, int] = {}
    for row in rows:
        for text, n in row["response_times"].items():
            times[float(text) / 1e3] = times.get(float(text) / 1e3, 0) + n
    told = of_latencies([seconds for seconds, n in times.items() for _ in range(n)])
    total = sum(row["total_response_time"] for row in rows) / 1e3
    count = sum(row["num_requests"] for row in rows)
    return Told(count, told.p50, told.p90, told.p99, total / count if count else None)
