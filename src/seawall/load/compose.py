"""Puts a wave together: from a fleet, or from traffic and a URL alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.fleet.model import RequestClass, Traffic
from seawall.fleet.reader import Fleet
from seawall.load.asked import Ask, Headers, parse_header, parse_method
from seawall.load.target import Target
from seawall.load.wave import SKIPPED, Wave
from seawall.traffic.logs.log import RequestLog
from seawall.traffic.patterns import OTHER, compile_patterns, propose_classes
from seawall.traffic.recorded import Recording
from seawall.traffic.workload import workload, workload_of

_BLOCK = 1 << 18
UNCHANGED_METHODS = ("GET", "HEAD")
"""Recorded requests of other methods change something, and are sent only when asked for."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rule for recorded paths (query included): what the pattern finds becomes the replacement."""

    pattern: re.Pattern[str]
    replacement: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How a wave is sent, beyond what its traffic says."""

    seed: int = 0
    headers: Headers = ()
    methods: tuple[str, ...] = UNCHANGED_METHODS
    rewrites: tuple[Rewrite, ...] = ()
    redact: tuple[re.Pattern[str], ...] = ()
    expect_body: bytes = b""
    new_connections: float = 0.0
    cookies: bool = True
    redirects: int = 0
    connect_timeout: float | None = None
    verify: bool = True
    ca_file: Path | None = None
    part: tuple[int, int] = (1, 1)


def wave_of_fleet(fleet: Fleet, target: Target, manner: Manner) -> Wave:
    """The traffic that a fleet describes, sent to a target. Raises InputError where it cannot be."""
    requests = fleet.file.service.requests
    work = workload(fleet, manner.seed)
    warnings: list[str] = []
    asks: list[Ask] = []
    found_asks: list[Ask] = []
    places: NDArray[np.int32] | None = None
    if work.recording is not None and work.recording.log is not None:
        found_asks, places = _recorded_asks(work.recording.log, manner)
    if places is None or fleet.file.traffic.users is not None:
        for number, (name, request_class) in enumerate(requests.items()):
            found = _asks_of_class(fleet, name, number, request_class, target)
            if not found:
                found = [Ask("GET", target.path, cls=number)]
                warnings.append(
                    f"the class {name} does not say what to ask for: GET {target.path} is asked for it"
                )
            asks += found
    shares = [c.share for c in requests.values()]
    if sum(shares) <= 0.0:
        raise fleet.error_at(
            ("service", "requests"), "the shares add up to 0; give one class a share above 0"
        )
    objectives = fleet.file.objectives
    return _wave(
        Wave(
            name=fleet.file.name,
            target=target,
            traffic=fleet.file.traffic,
            workload=work,
            classes=tuple(requests),
            shares=tuple(shares),
            asks=tuple(asks),
            seed=manner.seed,
            recorded_asks=tuple(found_asks),
            ask_of_record=places,
            variant=fleet.variant,
            objectives={"served": objectives.served, "latency": dict(objectives.latency)},
            warnings=tuple(warnings),
        ),
        manner,
    )


def wave_of_traffic(
    traffic: Traffic, target: Target, ask: Ask, manner: Manner, read: Callable[[], Recording]
) -> Wave:
    """Traffic sent to a target without a fleet: one kind of request, or a recording's own (`read` gives it)."""
    work = workload_of(traffic, manner.seed, read, _blame)
    classes: tuple[str, ...] = ("requests",)
    shares: tuple[float, ...] = (1.0,)
    asks: list[Ask] = []
    places: NDArray[np.int32] | None = None
    if work.recording is not None and work.recording.log is not None:
        recording = with_classes(work.recording, manner.redact)
        assert recording.log is not None
        work = workload_of(traffic, manner.seed, lambda: recording, _blame)
        found = recording.shares or {}
        classes, shares = tuple(found), tuple(found.values())
        asks, places = _recorded_asks(recording.log, manner)
    return _wave(
        Wave(
            name="wave",
            target=target,
            traffic=traffic,
            workload=work,
            classes=classes,
            shares=shares,
            asks=(ask,),
            seed=manner.seed,
            recorded_asks=tuple(asks),
            ask_of_record=places,
        ),
        manner,
    )


def _wave(wave: Wave, manner: Manner) -> Wave:
    if wave.ask_of_record is not None and not wave.recorded_asks:
        raise InputError(
            f"no recorded request is left to send: only {', '.join(manner.methods)} are sent; add --methods"
        )
    return replace(
        wave,
        headers=manner.headers,
        expect_body=manner.expect_body,
        new_connections=manner.new_connections,
        cookies=manner.cookies,
        redirects=manner.redirects,
        connect_timeout=manner.connect_timeout,
        verify=manner.verify,
        ca_file=manner.ca_file,
        part=manner.part,
    )


def _blame(path: tuple[str, ...], message: str) -> InputError:
    return InputError(message)


# ----------------------------------------------------------------------------------------- a fleet's classes


def _asks_of_class(
    fleet: Fleet, name: str, number: int, request_class: RequestClass, target: Target
) -> list[Ask]:
    """What a class asks for: as it says, or its patterns where they are paths without wildcards."""
    texts = request_class.ask or [
        text for text in request_class.match if "*" not in text and not text.split(" ")[-1].startswith("~")
    ]
    where = ("service", "requests", name)
    try:
        headers = tuple(parse_header(f"{key}: {value}") for key, value in request_class.headers.items())
        found = [parse_ask(text) for text in texts]
    except InputError as error:
        raise fleet.error_at((*where, "ask" if request_class.ask else "match"), error.message) from error
    base = target.path.partition("?")[0].rstrip("/")
    body = request_class.body.encode()
    return [Ask(ask.method, base + ask.path, headers, body, number) for ask in found]


def parse_ask(text: str) -> Ask:
    """Read `/path?query` or `METHOD /path`; InputError says what to write instead."""
    method, blank, path = text.strip().rpartition(" ")
    if not path.startswith("/") or any(c.isspace() for c in path) or "#" in path:
        raise InputError(
            f"{text!r} is nothing to ask for; write for example /api/items?page=2 or POST /login"
        )
    return Ask(parse_method(method) if blank else "GET", path)


# ----------------------------------------------------------------------------------------------- recordings


def with_classes(recording: Recording, redact: Sequence[re.Pattern[str]]) -> Recording:
    """The recording with classes proposed from its paths, parts that are not to be told taken out first."""
    assert recording.log is not None
    # Blanks are taken out too: no pattern may hold one.
    log = recording.log.with_paths(lambda path: redacted(path, redact).replace(" ", "*"))
    patterns = {proposed.name: list(proposed.patterns) for proposed in propose_classes(log)}
    patterns.setdefault(OTHER, [])
    return replace(recording, classifier=compile_patterns(patterns))


def redacted(path: str, rules: Sequence[re.Pattern[str]]) -> str:
    """A path with what the rules find replaced by `*`."""
    for rule in rules:
        path = rule.sub("*", path)
    return path


def _recorded_asks(log: RequestLog, manner: Manner) -> tuple[list[Ask], NDArray[np.int32]]:
    """What a recording asks for, each thing once, and for each of its rows the number of its ask, or SKIPPED."""
    allowed = np.array([bool(name) and name in manner.methods for name in log.methods])
    places = np.full(len(log), SKIPPED, np.int32)
    numbers: dict[int, int] = {}
    asks: list[Ask] = []
    for begin in range(0, len(log), _BLOCK):
        part = slice(begin, begin + _BLOCK)
        method, path, detail = (np.asarray(column[part]).astype(np.int64) for column in
                                (log.method, log.path, log.detail))  # fmt: skip
        # What has headers or a body of its own is like no other; of the rest, method and path are all there is.
        keys = np.where(detail >= 0, -1 - detail, path * len(log.methods) + method)
        sent = np.flatnonzero(allowed[method])
        different, first, place = np.unique(keys[sent], return_index=True, return_inverse=True)
        for key, row in zip(different.tolist(), sent[first].tolist(), strict=True):
            if key not in numbers:
                numbers[key] = len(asks)
                asks.append(_recorded_ask(log, begin + row, manner))
        known = np.array([numbers[key] for key in different.tolist()], np.int32)
        places[begin + sent] = known[place.reshape(-1)]
    return asks, places


def _recorded_ask(log: RequestLog, row: int, manner: Manner) -> Ask:
    """What one recorded request asks for."""
    method, path, detail = log.methods[log.method[row]], log.paths[log.path[row]], int(log.detail[row])
    more = log.details[detail] if detail >= 0 else None
    return Ask(
        method,
        rewritten(path, manner.rewrites),
        () if more is None else more.headers,
        b"" if more is None else more.body,
    )


def rewritten(path: str, rules: Sequence[Rewrite]) -> str:
    """A path after all rules, with what cannot stand in a request line percent-encoded."""
    for rule in rules:
        path = rule.pattern.sub(rule.replacement, path)
    if not path.startswith("/"):
        path = "/" + path
    return "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in path)


def parse_rewrite(text: str) -> Rewrite:
    r"""Read `PATTERN => REPLACEMENT` (a regular expression; `\1` for its groups)."""
    pattern, arrow, replacement = text.partition("=>")
    if not arrow:
        raise InputError(rf"{text!r} is no rule; write for example '^/v1/(.*) => /v2/\1'")
    return Rewrite(parse_regex(pattern.strip()), replacement.strip())


def parse_regex(text: str) -> re.Pattern[str]:
    """A regular expression; InputError where it is none."""
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"{text!r} is no regular expression: {error}") from error
