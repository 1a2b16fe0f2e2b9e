"""How fast recorded requests are read, and in how much memory: lines per second by format, MiB by lines.

The logs are made up: 2,000 visitors, 500 paths, one request in seven with a query of its own, twenty lines a
second. Beside Apache's combined format stands apachelogs, where that is installed, in turns, on an eighth of the
lines: ours gives columns, apachelogs one object a line; what is compared is the time until all lines are read.

Memory is that of a process which reads a log and then goes through its replay, path by path: its peak, with
the parts of temporary files that are mapped at that moment. Half of these lines have a path of their own, and
one in ten a visitor of its own. What it does not tell: such a file needs room on disk, some 100 bytes a line.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from figures import Figure, figure, in_turns, show

from seawall.traffic.logs.gor import SEPARATOR
from seawall.traffic.logs.read import read_log

AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/12{}.0.0.0 Safari/537.36"
)
BEGIN = 1_431_857_100

Line = Callable[[str, str, datetime, str, int], str]
"""From address, agent, time, target and bytes to a line with its end."""


def combined(host: str, agent: str, at: datetime, target: str, size: int) -> str:
    """Apache's and nginx's combined format."""
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{host} - - [{stamp}] "GET {target} HTTP/1.1" 200 {size} "https://example.org/" "{agent}"\n'


def with_duration(host: str, agent: str, at: datetime, target: str, size: int) -> str:
    """Combined with microseconds after it, Apache's %D."""
    return combined(host, agent, at, target, size)[:-1] + f" {size * 3}\n"


def nginx(host: str, agent: str, at: datetime, target: str, size: int) -> str:
    """A log_format with $msec and $request_time."""
    return combined(host, agent, at, target, size)[:-1] + f" {at.timestamp():.3f} {size / 1e4:.3f}\n"


def haproxy(host: str, agent: str, at: datetime, target: str, size: int) -> str:
    """HAProxy's httplog behind syslog's header."""
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S.") + f"{at.microsecond // 1000:03d}"
    return (
        f"{at:%b %d %H:%M:%S} lb haproxy[14389]: {host}:33317 [{stamp}] www~ app/srv1 0/0/1/{size % 90}/{size % 99} "
        f'200 {size} - - ---- 9/9/1/1/0 0/0 {{{agent[:40]}}} {{}} "GET {target} HTTP/1.1"\n'
    )


def alb(host: str, agent: str, at: datetime, target: str, size: int) -> str:
    """An Application Load Balancer's."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"https {stamp} app/lb/50dc6c495c0c9188 {host}:2817 10.0.0.1:80 "
        f"0.000 0.{size % 1000:03d} 0.000 200 200 34 {size} "
        f'"GET https://example.org:443{target} HTTP/1.1" "{agent}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
        'arn:aws:elasticloadbalancing:us-east-2:1:targetgroup/t/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d" '
        f'"example.org" "arn:aws:acm:us-east-2:1:certificate/1" 0 {stamp} "forward" "-" "-" '
        '"10.0.0.1:80" "200" "-" "-"\n'
    )


def gor(host: str, agent: str, at: datetime, target: str, size: int) -> str:
    """A record of GoReplay's."""
    head = f"GET {target} HTTP/1.1\r\nHost: example.org\r\nX-Real-IP: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n"
    return f"1 932079936fa4306fc308d675 {int(at.timestamp() * 1e9)}\n{head}\r\n{SEPARATOR.decode()}"


FORMATS: dict[str, tuple[str, Line]] = {
    "Apache, LogFormat with %D": ('%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %D', with_duration),
    "nginx, log_format with $msec": (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" $msec $request_time',
        nginx,
    ),
    "HAProxy, httplog": ("haproxy", haproxy),
    "Application Load Balancer": ("alb", alb),
    "GoReplay": ("gor", gor),
}


def made_up(line: Line, count: int) -> Iterator[str]:
    """So many lines of a format, all of them whole."""
    draw = random.Random(1)
    visitors = [(f"10.{n // 250}.{n % 250}.7", AGENT.format(n % 10)) for n in range(2000)]
    paths = [f"/section-{n % 23}/article-{n}.html" for n in range(500)]
    for n in range(count):
        host, agent = draw.choice(visitors)
        query = f"?id={n}" if n % 7 == 0 else ""
        yield line(
            host,
            agent,
            datetime.fromtimestamp(BEGIN + n / 20, UTC),
            draw.choice(paths) + query,
            draw.randrange(100_000),
        )


def made_up_in_bulk(count: int) -> Iterator[str]:
    """So many lines of combined format, half with a path of their own, one in ten with a visitor of its own."""
    agents = [AGENT.format(n % 10) for n in range(10)]
    stamp = ""
    for n in range(count):
        if n % 1000 == 0:
            stamp = datetime.fromtimestamp(BEGIN + n // 1000, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        who = n if n % 10 == 0 else n * 7919 % 5000
        target = f"/search?q={n * 2_654_435_761 % 2**32:x}&page={n}" if n % 2 else f"/article-{n % 500}.html"
        yield (
            f"10.{who >> 16 & 255}.{who >> 8 & 255}.{who & 255} - - [{stamp}] "
            f'"GET {target} HTTP/1.1" 200 {n % 99_999} "-" "{agents[who % 10]}"\n'
        )


def write(path: Path, lines: Iterator[str]) -> None:
    """Write a log."""
    with path.open("w", newline="") as out:
        out.writelines(lines)


def ours(path: Path, count: int, log_format: str = "combined") -> float:
    """Lines per second of one reading with Seawall, which must find every line."""
    begin = time.perf_counter()
    log = read_log(path, log_format=log_format)
    seconds = time.perf_counter() - begin
    if len(log) != count or log.cut or log.damaged:
        sys.exit(f"{len(log)} of {count} lines of {log_format} were read, {log.cut} of them cut")
    return count / seconds


def apachelogs(path: Path, count: int) -> float:
    """Lines per second of one reading with apachelogs, which must find every line."""
    from apachelogs import COMBINED, LogParser  # type: ignore[import-not-found]

    begin = time.perf_counter()
    with path.open(encoding="iso-8859-1") as lines:
        found = sum(1 for _ in LogParser(COMBINED).parse_lines(lines, ignore_invalid=True))
    seconds = time.perf_counter() - begin
    if found != count:
        sys.exit(f"apachelogs found {found} of {count} lines")
    return count / seconds


def speeds(folder: Path, count: int, runs: int) -> Iterator[Figure]:
    """Lines per second of each format; the first beside apachelogs."""
    path, short = folder / "access.log", folder / "short.log"
    write(path, made_up(combined, count))
    few = max(1, count // 8)
    if importlib.util.find_spec("apachelogs") is not None:
        write(short, made_up(combined, few))
        fast, slow = in_turns(lambda: ours(path, count), lambda: apachelogs(short, few), runs)
        yield figure("access log, combined format", fast, slow, "lines/s")
    else:
        yield figure(
            "access log, combined format",
            statistics.median(ours(path, count) for _ in range(runs)),
            None,
            "lines/s",
        )
    for name, (log_format, line) in FORMATS.items():
        write(path, made_up(line, few))
        fast = statistics.median(ours(path, few, log_format) for _ in range(runs))
        yield figure(f"log, {name}", fast, None, "lines/s")
    path.unlink()


REPLAYED = """
import resource, sys, time
from seawall.traffic.recorded import read_recording

begin = time.perf_counter()
recording = read_recording(sys.argv[1])
log, count = recording.log, 0
read = time.perf_counter() - begin
for chunk in recording.arrivals(1):
    count += len(chunk)
    for path in log.path[chunk.records].tolist():
        log.paths[path]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(count, peak / 1024, read, time.perf_counter() - begin - read)
"""


def memory(folder: Path, count: int) -> Iterator[Figure]:
    """Peak memory of a process that reads a log of so many lines and goes through its replay, and its speed."""
    path = folder / "long.log"
    write(path, made_up_in_bulk(count))
    ran = subprocess.run(
        [sys.executable, "-c", REPLAYED, str(path)], capture_output=True, text=True, check=True
    )
    path.unlink()
    replayed, peak, read_s, replayed_s = (float(text) for text in ran.stdout.split())
    if replayed != count:
        sys.exit(f"{replayed:.0f} of {count} requests were replayed")
    yield figure(f"reading and replaying {count:,} lines, peak memory", peak, None, "MiB")
    yield figure(f"reading {count:,} lines", count / read_s, None, "lines/s")
    yield figure(f"going through the replay of {count:,} lines", count / replayed_s, None, "requests/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object a line, nothing else")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--runs", type=int, default=None, help="runs that count (5; 1 with --smoke)")
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument(
        "--memory",
        type=int,
        action="append",
        metavar="LINES",
        help="for these lines (1 and 10 million); 0: not at all",
    )
    given = parser.parse_args()
    lines, runs = (2000, 1) if given.smoke else (given.lines, given.runs or 5)
    sizes = given.memory or ([20_000] if given.smoke else [1_000_000, 10_000_000])
    with tempfile.TemporaryDirectory() as folder:
        show(speeds(Path(folder), lines, runs), given.json)
        for size in sizes:
            if size:
                show(memory(Path(folder), size), given.json)


if __name__ == "__main__":
    main()
