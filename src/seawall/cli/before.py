"""What comes before a wave: where it goes and when, whether it may be sent there, and whether this machine can."""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from seawall.cli.simulate import say
from seawall.fleet.errors import InputError
from seawall.load import clocks, guard, limits
from seawall.load.target import Target, parse_target, reach, resolve
from seawall.load.wave import Wave
from seawall.record import words

if TYPE_CHECKING:
    from seawall.cli.waving import Options

REACH_SECONDS = 5.0


def flag(name: str) -> str:
    """An option as it is written on the command line."""
    return {"logs": "--log", "begin": "--from", "length": "--for"}.get(name, "--" + name.replace("_", "-"))


def target_of(options: Options) -> Target:
    """Where the requests go: its name known, and allowed to be loaded."""
    if options.url is None:
        raise InputError("where to? add --url, for example --url http://127.0.0.1:8000/")
    target = resolve(parse_target(options.url))
    guard.judge(target, options.allow_host)
    return target


def start_of_run(options: Options) -> float | None:
    """When time 0 is to be, in seconds since 1970; None for as soon as all is ready."""
    if options.start_at is None:
        return None
    try:
        return clocks.parse_start_at(options.start_at, time.time())
    except InputError as error:
        raise InputError(f"--start-at: {error.message}") from error


def part_of(options: Options) -> tuple[int, int]:
    """Which part of how many, from 1."""
    if options.part is None:
        return 1, 1
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", options.part.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--part: {options.part!r} is no part; write for example 3/8 for the third of eight")
    return int(match[1]), int(match[2])


def name_of(part: tuple[int, int]) -> str:
    """The name of the record: a part of a wave carries its number."""
    index, count = part
    return "wave" if count == 1 else f"part-{index}-of-{count}"


def connections_for(options: Options, wave: Wave) -> int:
    """See that this machine can send the wave; connections of each process at most."""
    rate, users = wave.arrivals_peak(), wave.peak_users
    patience = wave.traffic.clients.timeout
    need = limits.Need(
        connections=users + min(64, int(rate)),
        new_connections_per_s=0.0,  # who asks for a connection of its own lets the server close it
        loopback=guard.is_loopback(wave.target),
        stalled_connections=int(users + min(rate * patience, wave.total())),
    )
    if options.max_connections is not None:
        cap = options.max_connections
        need = dataclasses.replace(
            need,
            connections=min(need.connections, cap),
            stalled_connections=min(need.stalled_connections, cap),
        )
    most, warnings = limits.prepare(need, len(wave.target.addresses), options.processes)
    for text in warnings:
        say(f"warning: {text}")
    if options.max_connections is not None:
        most = min(most, -(-options.max_connections // options.processes))
    return max(1, most)


def confirm(
    options: Options, target: Target, rate: float | None, total: float | None, seconds: float
) -> None:
    """Show the plan for a host that is not this machine's or a private one, and go on only when it is meant so."""
    if guard.judge(target, options.allow_host).permission is guard.Permission.FREE:
        return
    say(f"the plan: {guard.describe(target, rate, total, seconds)}")
    if options.token and guard.ownership(target, options.token, **_trust(options)):
        say("the host expects it: its token is the one given")
        return
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is here to confirm this plan; add --yes if it is meant so")
    if not click.confirm("is it meant so?", err=True):
        raise click.Abort


def reached(options: Options, target: Target) -> Target:
    """The target with the addresses that accept a connection; InputError where none does."""
    found = reach(target, REACH_SECONDS, **_trust(options))
    for text in found.unreachable:
        say(f"warning: left out: {text}")
    return found


def clock_of(options: Options, target: Target) -> dict[str, Any] | None:
    """For a part or an appointed start: how this machine's clock stands to the target's."""
    if options.part is None and options.start_at is None:
        return None
    clock = clocks.compare(target, **_trust(options))
    if clock is None:
        say("warning: the host gives no Date header: this machine's clock was compared with none")
        return None
    ahead = "ahead of" if clock.offset_s >= 0 else "behind"
    say(
        f"this clock is {words.milliseconds(abs(clock.offset_s) * 1e3)} {ahead} the host's "
        f"(known to {words.milliseconds(clock.uncertainty_s * 1e3)})"
    )
    return {
        "offset_s": clock.offset_s,
        "uncertainty_s": clock.uncertainty_s,
        "reference": clock.reference,
        "kernel": clocks.kernel_clock(),
    }


def _trust(options: Options) -> dict[str, Any]:
    """Which certificates are good."""
    return {"verify": not options.insecure, "ca_file": options.ca_file}
