"""What comes in a run: when each user joins, asks first and leaves, the open arrivals, the wave, the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.fleet.model import Traffic
from seawall.fleet.reader import Fleet
from seawall.traffic.arrivals import Arrivals, Chunk, arrivals_from_load
from seawall.traffic.closed import first_intended
from seawall.traffic.curve import Shape, Unit
from seawall.traffic.draws import Stream, stream_key
from seawall.traffic.recorded import Recording, read_recording
from seawall.traffic.shape import parse_shape

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Workload:
    """All that comes, in seconds from the start of the run.

    `join_s`, `leave_s`, `first_s`: a row a user, in the order of joining; `first_s` is its first intended
    request. `wave` is the window of the described load, None where it never rises. Traffic ends at `traffic_s`,
    the run at `end_s`, a client's time-out later.
    """

    join_s: Floats
    leave_s: Floats
    first_s: Floats
    arrivals: Arrivals | None
    visits: int
    wave: tuple[float, float] | None
    traffic_s: float
    end_s: float
    recording: Recording | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the traffic is taken for what was asked, one sentence each."""
        return self.recording.notes if self.recording is not None else ()

    def chunks(self) -> Iterator[Chunk]:
        """The open arrivals from the start."""
        return iter(self.arrivals) if self.arrivals is not None else iter(())


Blame = Callable[[tuple[str, ...], str], InputError]
"""From the path of a value under `traffic` or beside it, and what is wrong with it, to the error that says where."""


def workload(fleet: Fleet, seed: int) -> Workload:
    """Work out a fleet's traffic under a seed. Raises InputError where there is none, or its file is not usable."""
    return workload_of(fleet.file.traffic, seed, lambda: recorded(fleet), fleet.error_at)


def workload_of(traffic: Traffic, seed: int, read: Callable[[], Recording], blame: Blame) -> Workload:
    """Work out who comes when; `read` gives the recording where the traffic has one."""
    join = leave = first = np.empty(0)
    ends: list[float] = [0.0]
    waves: list[tuple[float, float] | None] = []
    if traffic.users is not None:
        shape = _shape(traffic.users.count, "users", ("traffic", "users", "count"), blame)
        join, leave = sessions(shape)
        first = first_intended(traffic.users, stream_key(seed, Stream.USERS), join)
        ends.append(shape.duration_s)
        waves.append(shape.wave_window())
    arrivals, visits, recording = None, 1, None
    if traffic.arrivals is not None:
        shape = _shape(traffic.arrivals.rate, "requests/s", ("traffic", "arrivals", "rate"), blame)
        arrivals = arrivals_from_load(shape, seed, process=traffic.arrivals.process)
        visits = traffic.arrivals.visits
        ends.append(shape.duration_s)
        waves.append(shape.wave_window())
    if traffic.recorded is not None:
        if arrivals is not None:
            raise blame(("traffic",), "give arrivals or recorded, not both")
        recording = read()
        r = traffic.recorded
        arrivals = recording.arrivals(
            seed, speed=r.speed, from_s=r.start, for_s=r.duration, multiply=r.multiply
        )
        ends.append(arrivals.duration_s)
    if len(ends) == 1:
        raise blame(("traffic",), "nothing comes: give users, arrivals or recorded")
    known = [w for w in waves if w is not None]
    return Workload(
        join_s=join,
        leave_s=leave,
        first_s=first,
        arrivals=arrivals,
        visits=visits,
        wave=(min(w[0] for w in known), max(w[1] for w in known)) if known else None,
        traffic_s=max(ends),
        end_s=max(ends) + traffic.clients.timeout,
        recording=recording,
    )


def recorded(fleet: Fleet) -> Recording:
    """The fleet's recording, its requests sorted into the service's classes by their patterns."""
    r = fleet.file.traffic.recorded
    assert r is not None
    classes = {name: c.match for name, c in fleet.file.service.requests.items()}
    try:
        return read_recording(
            fleet.folder / r.file,
            r.kind,
            classes=classes,
            log_format=r.format,
            stamp=r.stamp,
            session=r.session,
            time_column=r.time_column,
            rate_column=r.rate_column,
        )
    except InputError as error:
        if error.file is not None:
            raise
        raise fleet.error_at(("traffic", "recorded"), error.message) from error


def _shape(text: str, unit: Unit, path: tuple[str, ...], blame: Blame) -> Shape:
    try:
        return parse_shape(text, unit)
    except InputError as error:
        raise blame(path, error.message) from error


def sessions(shape: Shape) -> tuple[Floats, Floats]:
    """When users join and leave so that floor(N(t)) are connected; shapes (users,), in the order of joining.

    Those longest connected leave first (after the request that they are in); at the end all do.
    """
    joins = [np.zeros(int(shape.levels[0] + 1e-9))]
    leaves: list[Floats] = []
    pieces = zip(shape.times_s, shape.times_s[1:], shape.levels, shape.levels[1:], strict=False)
    for t0, t1, a, b in pieces:
        low, high = int(min(a, b) + 1e-9), int(max(a, b) + 1e-9)
        if high > low:
            crossed = np.arange(low + 1, high + 1, dtype=np.float64)
            times = t0 + (crossed - a) / (b - a) * (t1 - t0)
            (joins if b > a else leaves).append(times if b > a else times[::-1])
    join = np.concatenate(joins)
    left = np.concatenate([*leaves, np.empty(0)])
    leave = np.full(len(join), shape.duration_s)
    leave[: len(left)] = np.minimum(left, shape.duration_s)
    return join, leave
