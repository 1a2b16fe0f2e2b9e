"""Runs the variants of a fleet in the twin: in this process while that is quick, else in one process each.

Both ways give the same records: a run depends on its fleet and seed alone.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess

from seawall.cli.ending import NoVerdictError
from seawall.fleet.reader import Fleet
from seawall.record.record import Record
from seawall.twin.simulate import simulate

Watch = Callable[[int, float], None]
"""Told the number of a variant and the share of its run that is done."""

SAMPLE_SECONDS = 0.25
"""How long a run is watched before its length is judged."""
SHARED_SECONDS = 2.0
"""From so much work left on, processes pay: starting one and fetching its record takes tenths of a second."""
REPORT_SECONDS = 0.1
"""How often a process tells how far it is."""


class _WorthSharing(Exception):  # noqa: N818, not an error
    """What is left to run takes long enough to be shared out."""


def simulate_all(fleets: Sequence[Fleet], seed: int, jobs: int, watch: Watch) -> list[Record]:
    """The record of each fleet, in their order. At most `jobs` processes work at once.

    Raises what the first run that fails raises (InputError, InvariantError), NoVerdictError where a process was ended
    from outside; the other runs are then ended.
    """
    records: list[Record] = []
    for number, fleet in enumerate(fleets):
        rest = len(fleets) - number
        may_share = min(jobs, rest) > 1 and "fork" in multiprocessing.get_all_start_methods()
        try:
            records.append(simulate(fleet, seed, _paced(number, rest if may_share else 1, watch)))
        except _WorthSharing:
            return records + _in_processes(fleets[number:], seed, jobs, number, watch)
    return records


def _paced(number: int, runs: int, watch: Watch) -> Callable[[float], None]:
    """A progress that gives the run up if it and those after it (`runs` in all) are worth sharing out.

    The clock starts at the first call: the compiled kernel is loaded by then, and processes inherit it.
    """
    began: float | None = None
    judged = runs < 2

    def progress(share: float) -> None:
        nonlocal began, judged
        watch(number, share)
        now = time.perf_counter()
        began = now if began is None else began
        if not judged and now - began > SAMPLE_SECONDS:
            judged = True
            if runs * (now - began) / max(share, 1e-9) > SHARED_SECONDS:
                raise _WorthSharing

    return progress


def _in_processes(fleets: Sequence[Fleet], seed: int, jobs: int, first: int, watch: Watch) -> list[Record]:
    """One forked process a fleet, `jobs` at a time; `first` is the number of the first for `watch`."""
    context = multiprocessing.get_context("fork")
    waiting = list(range(len(fleets)))
    running: dict[Connection, tuple[int, ForkProcess]] = {}
    records: dict[int, Record] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number = waiting.pop(0)
                end, process = _start(context, fleets[number], seed)
                running[end] = (number, process)
            ready = wait(list(running), timeout=1.0)
            for end in [end for end in running if end in ready]:
                number, process = running[end]
                heard = _hear(end, process)
                if isinstance(heard, Record):
                    records[number] = heard
                    watch(first + number, 1.0)
                    process.join()
                    end.close()
                    del running[end]
                else:
                    watch(first + number, heard)
    finally:
        for _, process in running.values():
            process.kill()
        for end, (_, process) in running.items():
            process.join()
            end.close()
    return [records[number] for number in range(len(fleets))]


def _start(context: ForkContext, fleet: Fleet, seed: int) -> tuple[Connection, ForkProcess]:
    """A process that simulates one fleet. An interrupt from the terminal is for the parent to act on."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(fleet, seed, theirs), daemon=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    theirs.close()
    return ours, process


def _work(fleet: Fleet, seed: int, end: Connection) -> None:
    """In the process: simulate, telling shares done, then the record or what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    told = 0.0

    def progress(share: float) -> None:
        nonlocal told
        if time.perf_counter() - told > REPORT_SECONDS:
            told = time.perf_counter()
            end.send(share)

    try:
        end.send(simulate(fleet, seed, progress))
    except BrokenPipeError:
        return  # The parent has gone, and nobody waits for the record.
    except Exception as error:
        error.add_note(traceback.format_exc())
        end.send(error)


def _hear(end: Connection, process: ForkProcess) -> Record | float:
    """The next message of a process; what went wrong there is raised here."""
    try:
        heard = end.recv()
    except EOFError:
        process.join()
        reason = f"a process that ran a variant was ended from outside (exit code {process.exitcode})"
        raise NoVerdictError(f"{reason}; was there enough memory?") from None
    if isinstance(heard, Exception):
        raise heard
    assert isinstance(heard, Record | float)
    return heard
