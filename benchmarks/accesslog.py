"""How fast access logs are read: lines per second, median of runs, beside apachelogs where that is installed.

The log is made up: 2,000 visitors, 500 paths, one request in seven with a query of its own, twenty lines a
second. Both readers read from disk, in turns, apachelogs an eighth of the lines. Ours gives columns,
apachelogs one object a line; what is compared is the time until all lines are read, not their use.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from seawall.traffic.logs.read import read_log

FIGURE = "access log, combined format"
UNIT = "lines/s"
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/12{}.0.0.0 Safari/537.36"
)


def made_up_log(path: Path, lines: int) -> None:
    """Write a log of so many lines, all of them whole."""
    draw = random.Random(1)
    visitors = [(f"10.{n // 250}.{n % 250}.7", AGENT.format(n % 10)) for n in range(2000)]
    paths = [f"/section-{n % 23}/article-{n}.html" for n in range(500)]
    with path.open("w") as out:
        for n in range(lines):
            host, agent = draw.choice(visitors)
            stamp = datetime.fromtimestamp(1_431_857_100 + n // 20, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
            query = f"?id={n}" if n % 7 == 0 else ""
            request = f"GET {draw.choice(paths)}{query} HTTP/1.1"
            size = draw.randrange(100_000)
            out.write(f'{host} - - [{stamp}] "{request}" 200 {size} "https://example.org/" "{agent}"\n')


def ours(path: Path) -> int:
    """Read with Seawall; how many requests were found."""
    return len(read_log(path))


def apachelogs(path: Path) -> int:
    """Read with apachelogs; how many requests were found."""
    from apachelogs import COMBINED, LogParser  # type: ignore[import-not-found]

    with path.open(encoding="iso-8859-1") as lines:
        return sum(1 for _ in LogParser(COMBINED).parse_lines(lines, ignore_invalid=True))


def rate(read: Callable[[Path], int], path: Path, lines: int) -> float:
    """Lines per second of one reading, which must find every line."""
    begin = time.perf_counter()
    found = read(path)
    seconds = time.perf_counter() - begin
    if found != lines:
        sys.exit(f"{read.__name__} found {found} of {lines} lines")
    return lines / seconds


def measure(lines: int, runs: int) -> dict[str, object]:
    """The figure: medians of both, taken in turns, and their ratio; null where there is no rival."""
    rival = importlib.util.find_spec("apachelogs") is not None
    mine, others = [], []
    with tempfile.TemporaryDirectory() as folder:
        path, short = Path(folder) / "access.log", Path(folder) / "short.log"
        made_up_log(path, lines)
        made_up_log(short, max(1, lines // 8))
        for _ in range(runs):
            mine.append(rate(ours, path, lines))
            if rival:
                others.append(rate(apachelogs, short, max(1, lines // 8)))
    fast, slow = statistics.median(mine), statistics.median(others) if rival else None
    ratio = None if slow is None else round(fast / slow, 2)
    return {
        "figure": FIGURE,
        "ours": round(fast),
        "rival": None if slow is None else round(slow),
        "ratio": ratio,
        "unit": UNIT,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object a line, nothing else")
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a small run, to see that it works")
    options = parser.parse_args()
    lines, runs = (2000, 1) if options.smoke else (options.lines, options.runs)
    result = measure(lines, runs)
    if options.json:
        print(json.dumps(result))
        return
    rival = result["rival"]
    beside = (
        "apachelogs is not installed" if rival is None else f"apachelogs {rival}, {result['ratio']} times"
    )
    print(f"{FIGURE}: {result['ours']} {UNIT} ({beside})")


if __name__ == "__main__":
    main()
