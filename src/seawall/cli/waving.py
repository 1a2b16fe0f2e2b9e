"""What `seawall wave` does: it reads its options, looks at target and machine, sends, and shows what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seawall.cli.before import (
    clock_of,
    confirm,
    connections_for,
    flag,
    name_of,
    part_of,
    reached,
    start_of_run,
    target_of,
)
from seawall.cli.ending import Code, NoVerdictError
from seawall.cli.live import Live, Stopper
from seawall.cli.recordings import read_logs, start_of
from seawall.cli.simulate import check_places, print_json, print_text, say, warn
from seawall.fleet.distribution import Distribution, parse_distribution
from seawall.fleet.errors import InputError
from seawall.fleet.model import ArrivalRate, Clients, Recorded, Retries, Traffic, Users
from seawall.fleet.reader import Fleet, complete, variants
from seawall.fleet.stories import load
from seawall.fleet.units import parse_seconds, parse_share
from seawall.load.asked import Ask, parse_header, parse_method
from seawall.load.compose import Manner, parse_regex, parse_rewrite, wave_of_fleet, wave_of_traffic
from seawall.load.generator import warm_up
from seawall.load.processes import GeneratorError, Sent, send
from seawall.load.results import make_record, wallclock
from seawall.load.tally import Tally
from seawall.load.target import Target
from seawall.load.wave import Wave
from seawall.record.expectation import Expectation, expected_p99_s, parse_expectation
from seawall.record.record import Record, write
from seawall.record.verdict import verdict
from seawall.traffic.recorded import Recording
from seawall.traffic.shape import parse_shape

_FOR_TRAFFIC = ("users", "pace", "think", "jitter", "rate", "process", "logs")
_FOR_CLIENTS = ("timeout", "retries", "keep_alive")
_FOR_LOGS = ("kind", "log_format", "session", "stamp", "speed", "begin", "length", "multiply")
_FOR_REQUESTS = ("methods", "rewrite", "redact")


@dataclass(frozen=True, slots=True)
class Options:
    """The command's options as they were written."""

    fleet: str | None
    users: str | None
    pace: str | None
    think: str | None
    jitter: str | None
    rate: str | None
    process: str | None
    logs: tuple[Path, ...]
    variant: str | None
    kind: str | None
    log_format: str | None
    session: str | None
    stamp: str | None
    speed: str | None
    begin: str | None
    length: str | None
    multiply: str | None
    methods: str | None
    rewrite: tuple[str, ...]
    redact: tuple[str, ...]
    url: str | None
    method: str
    header: tuple[str, ...]
    body: str | None
    body_file: Path | None
    expect_body: str | None
    timeout: str | None
    connect_timeout: str | None
    retries: int | None
    new_connections: str | None
    keep_alive: bool | None
    cookies: bool
    redirects: int
    insecure: bool
    ca_file: Path | None
    processes: int
    max_connections: int | None
    part: str | None
    start_at: str | None
    allow_host: tuple[str, ...]
    yes: bool
    token: str | None
    locustfile: Path | None
    lines: tuple[str, ...]
    folder: Path | None
    page: Path | None
    as_json: bool
    quiet: bool
    seed: int


def run(options: Options) -> Code:
    """Send the wave that the options describe; the exit code."""
    expectations = [parse_expectation(line) for line in options.lines]
    check_places(options.folder, options.page)
    if options.locustfile is not None:
        from seawall.cli.journey import run_journey

        return run_journey(options, expectations)
    target = target_of(options)
    start_at = start_of_run(options)
    wave = _wave(options, target)
    _check_uses(options, wave)
    _check_expectations(wave, expectations)
    connections = connections_for(options, wave)
    confirm(options, target, wave.peak_rate(), wave.total(), wave.workload.traffic_s)
    wave = dataclasses.replace(wave, target=reached(options, target))
    clock = clock_of(options, wave.target)
    warm_up_saying(options)
    quiet = options.quiet or options.as_json
    with Stopper() as stopper, Live(wave, quiet=quiet, ending=stopper.asked) as live:
        try:
            sent = send(
                wave, options.processes, connections, start_at=start_at, watch=live.watch, stop=stopper.asked
            )
        except GeneratorError as error:
            raise NoVerdictError(str(error)) from error
    return finish(options, wave, sent, clock, expectations, stopper.code)


def warm_up_saying(options: Options) -> None:
    """Load the compiled generator; the first time that takes a while, which is said."""
    from seawall.load.engine import is_compiled

    if not is_compiled() and not options.quiet:
        say("compiling the generator, once, about twenty seconds ...")
    warm_up()


def finish(
    options: Options,
    wave: Wave,
    sent: Sent,
    clock: dict[str, Any] | None,
    expectations: Sequence[Expectation],
    interrupted: Code | None,
) -> Code:
    """Make the record, keep it where it is wanted, show the verdict; the exit code."""
    try:
        record = make_record(wave, sent, asked_p99_s(wave.objectives, expectations))
    except GeneratorError as error:
        raise NoVerdictError(str(error)) from error
    return conclude(options, record, wallclock(sent, clock), expectations, interrupted)


def conclude(
    options: Options,
    record: Record,
    facts: dict[str, Any],
    expectations: Sequence[Expectation],
    interrupted: Code | None,
) -> Code:
    """Keep the record where it is wanted, show the verdict; the exit code."""
    if options.folder is not None:
        write(record, options.folder / record.name, wallclock=facts)
    judged = verdict(record, expectations)
    if options.page is not None:
        from seawall.record.report import write_report

        write_report(options.page, [record], [judged])
    if options.as_json:
        print_json([record], [judged], {"target": record.description["target"], "wallclock": facts})
    else:
        print_text([record], [judged], options.folder, options.page)
    if interrupted is not None:
        return interrupted
    if judged.stands is None:
        return Code.NO_VERDICT
    falls = options.variant is not None and not judged.stands
    return Code.FALLS if falls or not judged.expected else Code.DONE


def asked_p99_s(objectives: Any, expectations: Sequence[Expectation]) -> list[float]:
    """Every bound on the p99 that was asked for, in seconds."""
    found = [float(objectives["latency"]["p99"])] if "p99" in (objectives.get("latency") or {}) else []
    return found + expected_p99_s(expectations)


def _check_expectations(wave: Wave, expectations: Sequence[Expectation]) -> None:
    """Refuse before the wave what it could not be judged by after it: InputError for a figure that it will not have."""
    nothing = Sent(Tally.shared(1, len(wave.classes)), 1, 0.0, interrupted_s=0.0)
    record = make_record(wave, nothing, [])
    for expectation in expectations:
        expectation.judge(record)


# --------------------------------------------------------------------------------------------- understanding


def _check_uses(options: Options, wave: Wave) -> None:
    """Refuse options that this wave would pass over."""
    if options.fleet is None and options.variant is not None:
        raise InputError("--variant is for a fleet file; name one, or leave it out")
    if wave.ask_of_record is None:
        for name in _FOR_REQUESTS:
            if getattr(options, name) not in (None, ()):
                raise InputError(f"{flag(name)} is for recorded requests, and here are none; leave it out")
    if wave.traffic.users is None and wave.ask_of_record is not None:
        told = "the recording"
    elif options.fleet is not None:
        told = "the fleet file (`ask`, `body`)"
    else:
        return
    for name, default in (("method", "GET"), ("body", None), ("body_file", None)):
        if getattr(options, name) != default:
            raise InputError(f"{told} says what is asked for; leave out {flag(name)}")


def _wave(options: Options, target: Target) -> Wave:
    manner = _manner(options)
    if options.fleet is None:
        traffic, recording = _traffic(options)
        ask = Ask(parse_method(options.method), target.path, (), _body(options))

        def read() -> Recording:
            assert recording is not None
            return recording

        return dataclasses.replace(
            wave_of_traffic(traffic, target, ask, manner, read), variant=name_of(manner.part)
        )
    for name in (*_FOR_TRAFFIC, *_FOR_CLIENTS, *_FOR_LOGS):
        if getattr(options, name) not in (None, ()):
            raise InputError(f"{flag(name)} and a fleet file both say what comes; leave out one of them")
    fleet = _fleet(options)
    warn([fleet])
    wave = wave_of_fleet(fleet, target, manner)
    return (
        wave
        if manner.part == (1, 1)
        else dataclasses.replace(wave, variant=f"{wave.variant}-{name_of(manner.part)}")
    )


def _fleet(options: Options) -> Fleet:
    assert options.fleet is not None
    source = load(options.fleet)
    names = list(variants(source))
    if options.variant is not None or "default" in names:
        return complete(source, options.variant or "default")
    if len(names) > 1:
        raise InputError(
            f"which of its variants? add --variant with one of {', '.join(names)}", file=options.fleet
        )
    return complete(source, names[0])


def _manner(options: Options) -> Manner:
    methods = options.methods.split(",") if options.methods else list(Manner().methods)
    return Manner(
        seed=options.seed,
        headers=tuple(parse_header(text) for text in options.header),
        methods=tuple(parse_method(name) for name in methods),
        rewrites=tuple(parse_rewrite(text) for text in options.rewrite),
        redact=tuple(parse_regex(text) for text in options.redact),
        expect_body=(options.expect_body or "").encode(),
        new_connections=_share("--new-connections", options.new_connections, 0.0),
        cookies=options.cookies,
        redirects=options.redirects,
        connect_timeout=_seconds("--connect-timeout", options.connect_timeout),
        verify=not options.insecure,
        ca_file=options.ca_file,
        part=part_of(options),
    )


def _seconds(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_seconds(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from error
    if seconds <= 0.0:
        raise InputError(f"{flag}: {text} is no time to wait; write for example 5s")
    return seconds


def _share(flag: str, text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        share = parse_share(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error}") from error
    if not 0.0 <= share <= 1.0:
        raise InputError(f"{flag}: {text} is not between 0% and 100%")
    return share


def _factor(flag: str, text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        factor = float(text.strip().removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < 1e9:
        raise InputError(f"{flag}: {text!r} is no factor; write for example 4x")
    return factor


def _body(options: Options) -> bytes:
    if options.body is not None and options.body_file is not None:
        raise InputError("--body and --body-file both give a body; leave out one of them")
    if options.body_file is None:
        return (options.body or "").encode()
    try:
        return options.body_file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=options.body_file) from error


def _traffic(options: Options) -> tuple[Traffic, Recording | None]:
    """Who comes, from the options alone."""
    if options.users is None and options.rate is None and not options.logs:
        raise InputError("who comes? add --users, --rate, --log, or a fleet file")
    if options.rate is not None and options.logs:
        raise InputError("--rate and --log both give arrivals; leave out one of them")
    if not options.logs:
        for name in _FOR_LOGS:
            if getattr(options, name) is not None:
                raise InputError(f"{flag(name)} is for recorded traffic; add --log")
    if options.rate is None and options.process is not None:
        raise InputError("--process is for arrivals at a rate; add --rate")
    recording = read_logs(options) if options.logs else None
    clients = Clients.model_construct(
        **Clients().model_dump()
        | {"retries": Retries(max=options.retries or 0)}
        | {"timeout": _seconds("--timeout", options.timeout) or Clients().timeout}
        | {"keep_alive": options.keep_alive is not False}
    )
    return (
        Traffic.model_construct(
            clients=clients,
            users=_users(options),
            arrivals=None if options.rate is None else _arrivals(options, options.rate),
            recorded=None if recording is None else _recorded(options, recording),
        ),
        recording,
    )


def _users(options: Options) -> Users | None:
    if options.users is None:
        for name in ("pace", "think", "jitter"):
            if getattr(options, name) is not None:
                raise InputError(f"{flag(name)} is for users; add --users")
        return None
    _checked_shape("--users", options.users, "users")
    pace, think = _seconds("--pace", options.pace), options.think
    if (pace is None) == (think is None):
        raise InputError(
            "--users needs either --pace (one request in so much time) or --think (after each answer)"
        )
    waits = None if think is None else _think(think)
    return Users(count=options.users, pace=pace, think=waits, jitter=_share("--jitter", options.jitter, 0.1))


def _think(text: str) -> Distribution:
    """`5s`, or `exponential 5s` for its mean."""
    word, blank, rest = text.strip().partition(" ")
    try:
        return parse_distribution({word: rest} if blank and word == "exponential" else text, parse_seconds)
    except ValueError as error:
        raise InputError(f"--think: {error}; write 5s, or exponential 5s") from error


def _arrivals(options: Options, rate: str) -> ArrivalRate:
    _checked_shape("--rate", rate, "requests/s")
    return ArrivalRate(rate=rate, process="even" if options.process == "even" else "poisson")


def _checked_shape(flag: str, text: str, unit: Any) -> None:
    try:
        parse_shape(text, unit)
    except InputError as error:
        raise InputError(f"{flag}: {error.message}") from error


def _recorded(options: Options, recording: Recording) -> Recorded:
    return Recorded.model_validate(
        {
            "file": ", ".join(path.name for path in options.logs),
            "speed": _factor("--speed", options.speed),
            "multiply": _factor("--multiply", options.multiply),
            "from": start_of(options.begin, recording),
            "for": _seconds("--for", options.length),
        }
    )
