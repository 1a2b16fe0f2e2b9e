"""A wave sent by several processes at once: made ready, started at one time, watched, stopped, and counted together."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.load import tally
from seawall.load.tally import Tally
from seawall.load.wave import Wave

LEAD_SECONDS = 0.1
"""From all being ready to time 0."""
WATCH_SECONDS = 0.1
_DRAIN_SECONDS = 1.0


class GeneratorError(Exception):
    """A generator has failed through no fault of the input; the message says how."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A wave that has been sent: what was counted, by whom, and when time 0 was."""

    tally: Tally
    processes: int
    origin_epoch_s: float
    interrupted_s: float | None


Watch = Callable[[Sequence[Tally], float], None]
"""Told the counters of all generators, ten times a second, and the time of the run in seconds."""


def send(
    wave: Wave,
    processes: int,
    connections: int,
    *,
    start_at: float | None = None,
    watch: Watch = lambda tallies, now: None,
    stop: Callable[[], int] = lambda: 0,
) -> Sent:
    """Send a wave from so many processes, each with at most so many connections; when it is over, what was counted.

    `start_at` is when time 0 is to be, in seconds since 1970; by default as soon as all are ready. `stop` is
    asked ten times a second: 1 ends the wave and lets what is under way come to its end, 2 ends it at once.
    Raises GeneratorError, InputError where time 0 has passed before all were ready.
    """
    bins = int(np.ceil(wave.workload.end_s / wave.bin_s)) + 1
    tallies = [Tally.shared(bins, len(wave.classes)) for _ in range(processes)]
    orders = tally.orders()
    with _running(wave, tallies, connections, orders) as pids:
        _wait_until_ready(tallies, pids, stop)
        origin, epoch = _time_zero(start_at)
        orders["origin"] = origin
        interrupted = None
        while any(part.status["state"][0] < tally.DONE for part in tallies):
            now = time.monotonic() - origin
            asked = stop()
            if asked > orders["stop"][0]:
                orders["stop"] = asked
                interrupted = max(0.0, now) if interrupted is None else interrupted
            watch(tallies, now)
            time.sleep(WATCH_SECONDS)
            _look_after(tallies, pids)
    return Sent(tally.together(tallies), processes, epoch, interrupted)


@contextmanager
def _running(
    wave: Wave, tallies: Sequence[Tally], connections: int, orders: NDArray[np.void]
) -> Iterator[list[int]]:
    """One forked process a lane. However this ends, none is left behind."""
    pids: list[int] = []
    try:
        for number, part in enumerate(tallies):
            # Part i of n is what leaves the rest i - 1 when divided by n, however many processes share it.
            index, count = wave.part
            lane = (index - 1) + count * number
            pids.append(_fork(wave, lane, count * len(tallies), connections, part, orders))
        yield pids
    finally:
        orders["stop"] = 2
        for pid in pids:
            if pid > 0:
                _end(pid)


def _fork(wave: Wave, lane: int, lanes: int, connections: int, part: Tally, orders: NDArray[np.void]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    # In the child: an interrupt from the terminal is for the parent to act on.
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        from seawall.load.generator import Generator

        Generator(wave, lane, lanes, connections, part).run(orders)
        code = 0
    except BaseException as error:
        part.status["error"] = f"{type(error).__name__}: {error}".encode()[:400]
        if not isinstance(error, InputError | MemoryError):
            traceback.print_exc()
        part.status["state"] = tally.FAILED
    finally:
        os._exit(code)


def _end(pid: int) -> None:
    """Give a process a moment to end by itself, then kill it; in any case take it off the table."""
    for wait in (0.0, *[0.02] * int(_DRAIN_SECONDS / 0.02)):
        time.sleep(wait)
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _wait_until_ready(tallies: Sequence[Tally], pids: list[int], stop: Callable[[], int]) -> None:
    while any(part.status["state"][0] < tally.READY for part in tallies):
        if stop():
            raise KeyboardInterrupt
        time.sleep(0.005)
        _look_after(tallies, pids)


def _look_after(tallies: Sequence[Tally], pids: list[int]) -> None:
    """Raise GeneratorError where a generator has failed, or has been ended from outside."""
    for i, (part, pid) in enumerate(zip(tallies, pids, strict=True)):
        if part.status["state"][0] == tally.FAILED:
            raise GeneratorError(part.status["error"][0].decode(errors="replace"))
        if pid > 0 and os.waitpid(pid, os.WNOHANG)[0]:
            pids[i] = 0
            if part.status["state"][0] != tally.DONE:
                raise GeneratorError("a generator was ended from outside; was there enough memory?")


def _time_zero(start_at: float | None) -> tuple[float, float]:
    """Time 0 on the monotonic clock and in seconds since 1970."""
    ahead = time.time() - time.monotonic()
    if start_at is None:
        origin = time.monotonic() + LEAD_SECONDS
        return origin, origin + ahead
    if start_at < time.time():
        late = time.time() - start_at
        raise InputError(
            f"--start-at: that time has passed by {late:.1f} s before all was ready; give a later one"
        )
    return start_at - ahead, start_at
