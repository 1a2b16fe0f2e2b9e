"""Whether this machine has the open files and the local ports that a wave needs, said before it starts."""

from __future__ import annotations

import math
import os
import resource
from dataclasses import dataclass, replace
from pathlib import Path

from seawall.fleet.errors import InputError, together

TIME_WAIT_S = 60.0
"""How long a connection keeps its local port after this end has closed it first.

Source: TCP_TIMEWAIT_LEN, include/net/tcp.h of Linux; no setting changes it.
"""
SPARE_FILES = 64
"""Files that a sending process opens beside its connections, and a margin."""
_WIDEST = (1024, 65535)
_RANGE = (32768, 60999)
"""Linux' own default (Documentation/networking/ip-sysctl.rst), for where /proc does not tell."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a wave needs of the machine that sends it, all processes together.

    `connections` are open at once, for certain; `stalled_connections` would be if the target stopped
    answering (at most rate times time-out; fewer than `connections` means as many). `new_connections_per_s`
    is the highest mean over any 60 s of those that this end closes first, without a reset: they leave their
    port in TIME_WAIT. `loopback`: the target is at 127.0.0.0/8 or ::1.
    """

    connections: int
    new_connections_per_s: float
    loopback: bool
    stalled_connections: int = 0

    @property
    def most(self) -> int:
        return max(self.connections, self.stalled_connections)


@dataclass(frozen=True, slots=True)
class Room:
    """What the machine has: files of a process, and local ports towards one address and port."""

    soft_files: int
    hard_files: int
    most_files: int
    """fs.nr_open: what the hard limit can be raised to."""
    open_files: int
    port_range: tuple[int, int]
    reserved: tuple[tuple[int, int], ...]
    """Ranges of net.ipv4.ip_local_reserved_ports, both ends included."""
    tw_reuse: int
    """net.ipv4.tcp_tw_reuse: 0 never, 1 always, 2 on loopback alone."""
    tw_reuse_delay_s: float
    timestamps: bool
    """net.ipv4.tcp_timestamps; without them no port is reused early."""
    tw_buckets: int
    """net.ipv4.tcp_max_tw_buckets: connections in TIME_WAIT beyond it are dropped, and their ports free."""

    @property
    def ports(self) -> int:
        """Local ports that connect(2) chooses from."""
        low, high = self.port_range
        taken = {
            port for first, last in self.reserved for port in range(max(first, low), min(last, high) + 1)
        }
        return max(high - low + 1 - len(taken), 0)

    def held_s(self, need: Need) -> float:
        """How long a closed connection keeps its port from the next one to the same address and port."""
        early = self.timestamps and (self.tw_reuse == 1 or (self.tw_reuse == 2 and need.loopback))
        return self.tw_reuse_delay_s if early else TIME_WAIT_S

    def waiting(self, need: Need) -> int:
        """Ports that closed connections keep at once."""
        return min(math.ceil(need.new_connections_per_s * self.held_s(need)), self.tw_buckets)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What to do for a wave that can be sent: the soft file limit to set, and what may fall short."""

    soft_files: int
    cap_per_process: int
    warnings: tuple[str, ...]


def room(proc: Path = Path("/proc")) -> Room:
    """Read what this process and its network namespace have; Linux' defaults where /proc does not tell."""
    ipv4 = proc / "sys/net/ipv4"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_files = _number(proc / "sys/fs/nr_open", 1 << 20)
    ends = [int(end) for end in _text(ipv4 / "ip_local_port_range").split() if end.isdecimal()]
    return Room(
        soft_files=most_files if soft == resource.RLIM_INFINITY else soft,
        hard_files=most_files if hard == resource.RLIM_INFINITY else hard,
        most_files=most_files,
        open_files=_open_files(proc / "self/fd"),
        port_range=(ends[0], ends[1]) if len(ends) == 2 else _RANGE,
        reserved=_ranges(_text(ipv4 / "ip_local_reserved_ports")),
        tw_reuse=_number(ipv4 / "tcp_tw_reuse", 2),
        tw_reuse_delay_s=_number(ipv4 / "tcp_tw_reuse_delay", 1000) / 1000.0,
        timestamps=_number(ipv4 / "tcp_timestamps", 1) != 0,
        tw_buckets=_number(ipv4 / "tcp_max_tw_buckets", 1 << 18),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path, default: int) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else default


def _open_files(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return SPARE_FILES


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    """`8080,9148-9200` as pairs; what is no range is left out."""
    ends = (part.strip().partition("-") for part in text.split(","))
    return tuple(
        (int(first), int(last or first))
        for first, _, last in ends
        if first.isdecimal() and (not last or last.isdecimal())
    )


# -------------------------------------------------------------------------------------------- need and room


def prepare(
    need: Need, addresses: int, processes: int, have: Room | None = None
) -> tuple[int, tuple[str, ...]]:
    """Make ready for a wave: (connections that each process can open at most, warnings).

    Raises the soft limit of open files where the wave, or a stall in it, needs more; processes started
    afterwards inherit it. `addresses`: those of the target, over which connections are spread evenly.
    InputError if the wave cannot be sent whatever the target does, with the setting to change.
    """
    have = room() if have is None else have
    ready = settle(need, have, addresses, processes)
    if ready.soft_files != have.soft_files:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (ready.soft_files, hard))
    return ready.cap_per_process, ready.warnings


def settle(need: Need, have: Room, addresses: int, processes: int) -> Preparation:
    """What `prepare` does, without doing it."""
    fixed = have.open_files + SPARE_FILES
    certain, wanted = (math.ceil(n / processes) + fixed for n in (need.connections, need.most))
    problems = []
    if certain > have.hard_files:
        problems.append(
            f"the wave opens {need.connections} connections at once and each process may have "
            f"{have.hard_files} open files: {_more_files(certain, have)}, or take more --processes"
        )
    if not _ports_suffice(need, need.connections, have, addresses):
        problems.append(_too_few_ports(need, have, addresses))
    if problems:
        raise together([InputError(problem) for problem in problems])
    soft = max(have.soft_files, min(wanted, have.hard_files))
    cap = min(soft - fixed, math.ceil(have.ports * addresses / processes))
    warnings = []
    if wanted > have.hard_files:
        warnings.append(
            f"if the target stops answering, {need.most} connections are open at once, more than the "
            f"{processes * (have.hard_files - fixed)} that the limit of open files allows; the requests beyond "
            f"are shed: {_more_files(wanted, have)}"
        )
    if not _ports_suffice(need, need.most, have, addresses):
        warnings.append(_ports_in_a_stall(need, have, addresses))
    return Preparation(soft, cap, tuple(warnings))


def _more_files(files: int, have: Room) -> str:
    """The setting that allows so many files, rounded up to a number that people like to type."""
    step = 10 ** max(len(str(files)) - 2, 0)
    number = math.ceil(files / step) * step
    first = "" if number <= have.most_files else f"`sysctl -w fs.nr_open={number}`, then "
    return f"set {first}`ulimit -n {number}` (as root, or `nofile` in /etc/security/limits.conf)"


def _ports_suffice(need: Need, connections: int, have: Room, addresses: int) -> bool:
    return connections + have.waiting(need) <= have.ports * addresses


def _too_few_ports(need: Need, have: Room, addresses: int) -> str:
    waiting = have.waiting(need)
    held = f" and {waiting} ports of closed ones are not free yet ({have.held_s(need):g} s each)"
    return (
        f"the wave opens {need.connections} connections at once{held if waiting else ''}, but there are only "
        f"{have.ports * addresses} local ports towards this target: "
        f"{_more_ports(need, need.connections, have, addresses)}"
    )


def _ports_in_a_stall(need: Need, have: Room, addresses: int) -> str:
    return (
        f"if the target stops answering, {need.most + have.waiting(need)} local ports are taken at once, more "
        f"than the {have.ports * addresses} there are; the requests beyond are shed: "
        f"{_more_ports(need, need.most, have, addresses)}"
    )


def _more_ports(need: Need, connections: int, have: Room, addresses: int) -> str:
    """The fewest settings that make room, or how many machines it takes."""
    early, reuse = _reuse(need, have)
    wide = replace(have, port_range=_WIDEST)
    widen = ['`sysctl -w net.ipv4.ip_local_port_range="{} {}"`'.format(*_WIDEST)]
    both = replace(early, port_range=_WIDEST)
    for settings, then in ((reuse, early), (widen, wide), (reuse + widen, both)):
        if _ports_suffice(need, connections, then, addresses):
            return f"set {' and '.join(settings)}"
    machines = math.ceil((connections + both.waiting(need)) / max(both.ports * addresses, 1))
    settings = reuse + (widen if have.ports < both.ports else [])
    each = f", each with {' and '.join(settings)}" if settings else ""
    return f"send it from {machines} machines (--part 1/{machines} and so on){each}"


def _reuse(need: Need, have: Room) -> tuple[Room, list[str]]:
    """The room with early reuse of ports, and the settings that make it; none where that gains nothing."""
    early = replace(have, timestamps=True, tw_reuse=1)
    if early.waiting(need) == have.waiting(need):
        return have, []
    stamps = [] if have.timestamps else ["`sysctl -w net.ipv4.tcp_timestamps=1`"]
    loops = have.tw_reuse == 1 or (have.tw_reuse == 2 and need.loopback)
    return early, stamps + ([] if loops else ["`sysctl -w net.ipv4.tcp_tw_reuse=1`"])
