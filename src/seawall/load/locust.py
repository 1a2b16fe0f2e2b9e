"""Locust as a guest: a scripted journey whose users come as the wave says, each of its requests told and counted.

Locust runs in processes of its own (locust_listener.py), by the Python that has it and what the journey needs. It has
no schedule: a request is due when its user gets round to it. So latencies are counted from the sending, and how
late Locust's loop is stands for the generator's own lateness.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

from seawall.fleet.errors import InputError
from seawall.load.locust_counts import Counts
from seawall.load.processes import GeneratorError, Sent, Watch
from seawall.load.tally import Tally, together
from seawall.load.target import Target
from seawall.traffic.workload import Workload

PYTHON = "SEAWALL_LOCUST_PYTHON"
"""The environment variable that names the Python which has Locust and what the journey imports."""
PATIENCE_SECONDS = 30.0
"""So long users may take after the end for the task that they are in."""

_LISTENER = Path(__file__).with_name("locust_listener.py")
_WATCH_SECONDS = 0.1
_LEAD_SECONDS = 0.1
_START_SECONDS = 60.0
_GRACE_SECONDS = 10.0
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_MOST_BINS = 7200


@dataclass(frozen=True, slots=True)
class Locust:
    """A Python that has Locust."""

    python: str
    version: str


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """A scripted journey and who walks it: all that is decided before the first request.

    `workload` has the users alone. `hosts` are those that the journey may ask beside the target's own.
    """

    file: Path
    target: Target
    workload: Workload
    users: str
    """The users over time as they were written."""
    seed: int = 0
    part: tuple[int, int] = (1, 1)
    hosts: tuple[str, ...] = ()
    variant: str = "wave"

    @property
    def bin_s(self) -> float:
        """Length of a bin: a second, more for very long waves."""
        most = self.end_s / _MOST_BINS
        return float(next((s for s in (1, 2, 5, 10, 30, 60) if s >= most), 300))

    @property
    def end_s(self) -> float:
        """When all has ended at the latest."""
        return self.workload.traffic_s + PATIENCE_SECONDS + _GRACE_SECONDS

    def fingerprint(self) -> str:
        """A hash of who comes when and by what script, the same for all parts of one wave."""
        digest = hashlib.sha256(self.file.read_bytes())
        digest.update(json.dumps([self.seed, self.part[1], self.target.origin, self.target.path]).encode())
        for times in (self.workload.join_s, self.workload.leave_s):
            digest.update(times.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Walked:
    """A journey that has been walked: what was counted, by class of request too, and what is to be borne in mind."""

    sent: Sent
    classes: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    locust: Locust


# ---------------------------------------------------------------------------------------------- where it is


def find_locust() -> Locust:
    """The Python that has Locust: the one that SEAWALL_LOCUST_PYTHON names, this one, or that of the command `locust`.

    Raises InputError where there is none.
    """
    named = os.environ.get(PYTHON)
    if named:
        version = _version(named)
        if version is None:
            raise InputError(
                f"{PYTHON}={named} has no Locust; write `{named} -m pip install locust`, or name another Python"
            )
        return Locust(named, version)
    own = [sys.executable] if find_spec("locust") is not None else []
    for python in (*own, *_of_script()):
        version = _version(python)
        if version is not None:
            return Locust(python, version)
    raise InputError(
        f"--locustfile needs Locust, which {sys.executable} does not have; write `{sys.executable} -m pip install "
        f"locust`, or name the Python that has it and what the journey imports: {PYTHON}=/path/to/python"
    )


def _of_script() -> Iterator[str]:
    """The Python of the command `locust`, as its first line says."""
    script = shutil.which("locust")
    if script is not None:
        with contextlib.suppress(OSError), open(script, "rb") as file:
            line = file.readline(1000).decode(errors="replace").strip()
            if line.startswith("#!") and " " not in line:
                yield line.removeprefix("#!")


def _version(python: str) -> str | None:
    code = "import importlib.metadata as m; print(m.version('locust'))"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# ------------------------------------------------------------------------------------------------- running


@dataclass(slots=True)
class _Child:
    """One Locust: its process, the pipe with its lines, what it has said otherwise, and what was counted."""

    process: subprocess.Popen[bytes]
    pipe: int
    said: IO[bytes]
    counts: Counts
    ready: bool = False
    closed: bool = False
    rest: bytes = b""
    notes: list[str] = field(default_factory=list)

    def order(self, text: str) -> None:
        """Write a line to its standard input; one that has gone does not need it."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()

    def last_words(self) -> str:
        """The end of what it printed."""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-12:])


def run_locust(
    journey: Journey,
    locust: Locust,
    *,
    processes: int = 1,
    start_at: float | None = None,
    watch: Watch = lambda tallies, now: None,
    stop: Callable[[], int] = lambda: 0,
) -> Walked:
    """Walk a journey with so many Locusts, which share the users; when it is over, what was counted.

    `start_at`, `watch` and `stop` are as those of `processes.send`. Raises InputError where the journey cannot be
    walked (its file, its hosts), GeneratorError where Locust ends before its time.
    """
    if not journey.file.is_file():
        raise InputError("there is no such locustfile", file=journey.file)
    with ExitStack() as stack:
        poll = stack.enter_context(selectors.DefaultSelector())
        with tempfile.TemporaryDirectory(prefix="seawall-journey-") as folder:
            children = []
            for lane in range(processes):
                child = stack.enter_context(_running(journey, locust, lane, processes, Path(folder)))
                poll.register(child.pipe, selectors.EVENT_READ, child)
                children.append(child)
            _until_ready(children, poll, journey, stop)
        origin, epoch = _time_zero(start_at)
        for child in children:
            child.order(f"start {origin:.6f}")
        interrupted = _until_ended(children, poll, journey, origin, watch, stop)
        return _walked(children, locust, epoch, interrupted)


def _until_ready(
    children: Sequence[_Child], poll: selectors.BaseSelector, journey: Journey, stop: Callable[[], int]
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not all(child.ready for child in children):
        if stop():
            raise KeyboardInterrupt
        _listen(poll, journey, _WATCH_SECONDS)
        late = time.monotonic() > deadline
        for child in children:
            if not child.ready and (child.closed or late):
                _stop_all(children, 2)
                said = child.last_words() or "Locust does not begin"
                raise InputError(f"Locust cannot walk this journey:\n{said}", file=journey.file)


def _time_zero(start_at: float | None) -> tuple[float, float]:
    """Time 0 on the monotonic clock and in seconds since 1970."""
    ahead = time.time() - time.monotonic()
    if start_at is None:
        origin = time.monotonic() + _LEAD_SECONDS
        return origin, origin + ahead
    if start_at < time.time():
        late = time.time() - start_at
        raise InputError(
            f"--start-at: that time has passed by {late:.1f} s before all was ready; give a later one"
        )
    return start_at - ahead, start_at


def _until_ended(
    children: Sequence[_Child],
    poll: selectors.BaseSelector,
    journey: Journey,
    origin: float,
    watch: Watch,
    stop: Callable[[], int],
) -> float | None:
    """Count until all have ended; when it was interrupted, seconds after time 0."""
    asked, interrupted, told = 0, None, 0.0
    end = journey.end_s
    while not all(child.closed for child in children):
        _listen(poll, journey, _WATCH_SECONDS)
        now = time.monotonic() - origin
        if now - told >= _WATCH_SECONDS:
            watch([child.counts.tally for child in children], now)
            told = now
        if stop() > asked:
            asked = stop()
            interrupted = max(0.0, now) if interrupted is None else interrupted
            end = min(end, now + PATIENCE_SECONDS + _GRACE_SECONDS)
            _stop_all(children, asked)
        if now > end:
            _stop_all(children, 2)
    for child in children:
        if not child.counts.complete and asked < 2 and time.monotonic() - origin <= end:
            raise GeneratorError(
                f"Locust has ended before its time: {child.last_words() or 'it said nothing'}"
            )
    return interrupted


def _stop_all(children: Sequence[_Child], how: int) -> None:
    """1: let the users end the task that they are in; 2: at once."""
    for child in children:
        if how == 1:
            child.order("stop")
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)


def _listen(poll: selectors.BaseSelector, journey: Journey, seconds: float) -> None:
    """Take in what comes within so many seconds, then what has come."""
    for key, _ in poll.select(seconds):
        child: _Child = key.data
        data = os.read(child.pipe, _PIPE_BYTES)
        if not data:
            poll.unregister(child.pipe)
            child.closed = True
            continue
        *lines, child.rest = (child.rest + data).split(b"\n")
        for word, text in child.counts.take(lines):
            _heard(child, word, text, journey)


def _heard(child: _Child, word: str, text: str, journey: Journey) -> None:
    """What a Locust says that is no count."""
    if word == "ready":
        child.ready = True
    elif word == "N":
        child.notes.append(text)
    elif word == "E":
        count, _, first = text.partition("\t")
        child.notes.append(f"the journey's own code raised {int(count):,} errors, the first: {first}")
    elif text.startswith("host "):
        host = text.removeprefix("host ")
        raise InputError(
            f"the journey asks {host}, and --url is for {journey.target.host}; add --allow-host {host} if it "
            "may be loaded too",
            file=journey.file,
        )
    else:
        raise InputError(f"a journey cannot be walked so: {text.partition(' ')[2]}", file=journey.file)


@contextmanager
def _running(journey: Journey, locust: Locust, lane: int, lanes: int, folder: Path) -> Iterator[_Child]:
    """One Locust with its share of the users. However this ends, nothing of it is left behind."""
    reads, writes = os.pipe()
    with contextlib.suppress(OSError):
        import fcntl

        fcntl.fcntl(writes, _F_SETPIPE_SZ, _PIPE_BYTES)
    plan = folder / f"plan-{lane}.json"
    plan.write_text(json.dumps(_plan(journey, lane, lanes, writes)))
    with ExitStack() as stack:
        stack.callback(os.close, reads)
        said = stack.enter_context(tempfile.TemporaryFile())
        try:
            process = subprocess.Popen(
                _command(journey, locust), stdin=subprocess.PIPE, stdout=said, stderr=said, pass_fds=[writes],
                env={**os.environ, "SEAWALL_JOURNEY": str(plan)}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"{locust.python} cannot be run: {error.strerror}") from error
        finally:
            os.close(writes)
        stack.callback(_end, process)
        bins = int(np.ceil(journey.end_s / journey.bin_s)) + 1
        yield _Child(process, reads, said, Counts(bins, journey.bin_s))


def _plan(journey: Journey, lane: int, lanes: int, lines: int) -> dict[str, Any]:
    """What a Locust is told. Lanes of all processes of all parts interleave, as those of our own generators."""
    index, count = journey.part
    first, step = (index - 1) + count * lane, count * lanes
    work = journey.workload
    changes = []
    for number in range(first, len(work.join_s), step):
        joins, leaves = float(work.join_s[number]), float(work.leave_s[number])
        changes.append((joins, number, 1))
        if leaves < work.traffic_s:
            changes.append((max(joins, leaves), number, 0))
    changes.sort(key=lambda change: (change[0], -change[2], change[1]))
    return {
        "lines": lines,
        "changes": changes,
        "traffic_s": work.traffic_s,
        "seed": journey.seed * 65536 + first,
        "hosts": [journey.target.host, *(host.lower() for host in journey.hosts)],
    }


def _command(journey: Journey, locust: Locust) -> list[str]:
    """Locust without its web page and its reports, on a journey whose failures are none of its own."""
    base = journey.target.origin + journey.target.path.partition("?")[0].rstrip("/")
    return [
        locust.python, str(_LISTENER), "-f", str(journey.file.absolute()), "--headless", "--host", base,
        "--stop-timeout", f"{PATIENCE_SECONDS:.0f}", "--exit-code-on-error", "0", "--only-summary", "--loglevel",
        "WARNING",
    ]  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """Take a process, and what it has started, off the table."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _walked(children: Sequence[_Child], locust: Locust, epoch: float, interrupted: float | None) -> Walked:
    tallies: list[Tally] = []
    classes: dict[str, dict[str, int]] = {}
    notes: dict[str, None] = {}
    for child in children:
        tallies.append(child.counts.finish())
        for name, counted in child.counts.classes().items():
            mine = classes.setdefault(name, dict.fromkeys(counted, 0))
            for key, count in counted.items():
                mine[key] += count
        notes |= dict.fromkeys(child.notes)
    sent = Sent(together(tallies), len(children), epoch, interrupted)
    return Walked(sent, classes, tuple(notes), locust)
