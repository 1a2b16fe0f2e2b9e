"""`seawall wave --locustfile`: a journey scripted for Locust, with users over time as the wave says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seawall.cli.before import clock_of, confirm, flag, name_of, part_of, reached, start_of_run, target_of
from seawall.cli.ending import Code, NoVerdictError
from seawall.cli.live import Live, Stopper
from seawall.cli.simulate import say
from seawall.fleet.errors import InputError
from seawall.fleet.model import Traffic, Users
from seawall.load.guard import is_loopback
from seawall.load.limits import Need, prepare
from seawall.load.locust import Journey, find_locust, run_locust
from seawall.load.locust_record import journey_record
from seawall.load.processes import GeneratorError
from seawall.load.results import wallclock
from seawall.record.expectation import Expectation, expected_p99_s
from seawall.traffic.recorded import Recording
from seawall.traffic.workload import workload_of

if TYPE_CHECKING:
    from seawall.cli.waving import Options

_OF_THE_SCRIPT = (
    "fleet", "pace", "think", "jitter", "rate", "process", "logs", "kind", "log_format", "session", "stamp", "speed",
    "begin", "length", "multiply", "methods", "rewrite", "redact", "header", "body", "body_file", "expect_body",
    "timeout", "connect_timeout", "retries", "new_connections", "keep_alive", "max_connections", "ca_file",
)  # fmt: skip
"""Options that a journey has no use for: its script says these things."""


def run_journey(options: Options, expectations: Sequence[Expectation]) -> Code:
    """Walk the journey that the options name; the exit code."""
    from seawall.cli.waving import conclude

    for name in _OF_THE_SCRIPT:
        if getattr(options, name) not in (None, ()):
            raise InputError(f"{flag(name)} is for the script to say with --locustfile; leave it out")
    if options.redirects:
        raise InputError(
            "--redirects is for the script to say with --locustfile: Locust follows them; leave it out"
        )
    if options.users is None:
        raise InputError("--locustfile needs --users, for example --users '0 -> 100 in 30s, hold 2m'")
    assert options.locustfile is not None
    locust = find_locust()
    start_at = start_of_run(options)
    users = Users(count=options.users, pace=1.0)
    work = workload_of(
        Traffic(users=users), options.seed, _no_recording, lambda path, text: InputError(f"--users: {text}")
    )
    part, target = part_of(options), target_of(options)
    journey = Journey(
        file=options.locustfile,
        target=target,
        workload=work,
        users=options.users,
        seed=options.seed,
        part=part,
        hosts=options.allow_host,
        variant=name_of(part),
    )
    confirm(options, target, None, None, work.traffic_s)
    reached(options, target)
    peak = int(max(1, len(work.join_s)))
    _, warnings = prepare(Need(peak, 0.0, is_loopback(target)), len(target.addresses), options.processes)
    for text in warnings:
        say(f"warning: {text}")
    clock = clock_of(options, target)
    with Stopper() as stopper, Live(journey, quiet=options.quiet or options.as_json) as live:
        try:
            walked = run_locust(
                journey,
                locust,
                processes=options.processes,
                start_at=start_at,
                watch=live.watch,
                stop=stopper.asked,
            )
            record = journey_record(journey, walked, expected_p99_s(expectations))
        except GeneratorError as error:
            raise NoVerdictError(str(error)) from error
    return conclude(options, record, wallclock(walked.sent, clock), expectations, stopper.code)


def _no_recording() -> Recording:
    raise AssertionError("a journey has no recording")
