"""Seconds that a user waits: the first run ever, later runs of the passporter story, and `seawall --help`.

Each is a fresh process, timed from its start to its end. The first run has an empty cache, so that it compiles
the simulator. The rival's column is the target; as time is better the shorter, a ratio below 1 is within it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, figure, options, show

HELP_TARGET, WARM_TARGET, FIRST_TARGET = 0.3, 5.0, 40.0


def seconds_of(arguments: list[str], cache: Path) -> float:
    """How long `seawall` with these arguments takes; it must not fail."""
    command = [str(Path(sys.executable).with_name("seawall")), *arguments]
    begin = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, "XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True
    )
    took = time.perf_counter() - begin
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return took


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """Help, then one first run, then as many warm ones as asked for."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        seconds_of(["--help"], cache)
        took = statistics.median(seconds_of(["--help"], cache) for _ in range(runs))
        yield figure("seawall --help (rival: the target)", took, HELP_TARGET, "s")
        if smoke:
            return
        simulate = ["simulate", "passporter", "--json"]
        yield figure("seawall simulate passporter, first run", seconds_of(simulate, cache), FIRST_TARGET, "s")
        took = statistics.median(seconds_of(simulate, cache) for _ in range(runs))
        yield figure("seawall simulate passporter, warm", took, WARM_TARGET, "s")


if __name__ == "__main__":
    given = options(__doc__ or "")
    show(measure(given.runs, given.smoke), given.json)
