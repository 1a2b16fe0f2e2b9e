"""The recordings that a command is given: read by its options, and where in them to start."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from seawall.cli.simulate import say
from seawall.fleet.errors import InputError
from seawall.fleet.units import parse_seconds
from seawall.traffic.recorded import Recording, read_recording

if TYPE_CHECKING:
    from seawall.cli.waving import Options

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")


def read_logs(options: Options) -> Recording:
    """The recording that the options name; the first lines that could not be read are shown."""
    if options.kind not in (None, "auto", "accesslog", "csv"):
        raise InputError(f"--kind: {options.kind!r} is none of auto, accesslog, csv")
    kind: Any = options.kind or "auto"
    stamp: Any = options.stamp or "auto"
    if options.log_format is not None:
        kind = "accesslog"
    recording = read_recording(
        options.logs,
        kind,
        log_format=options.log_format or "auto",
        stamp=stamp,
        session=options.session or "auto",
    )
    if recording.log is not None and not options.quiet:
        for example in recording.log.examples:
            say(f"warning: {example.file}:{example.line}: left out, could not be read: {example.text}")
        if recording.log.damaged > len(recording.log.examples):
            say(f"warning: {recording.log.damaged:,} {recording.log.unit} were left out in all")
    return recording


def start_of(text: str | None, recording: Recording) -> float:
    """Seconds after the start of a recording: `5m`, a time of day by the log's own clock, or a date and time."""
    if text is None:
        return 0.0
    match = _TIME_OF_DAY.fullmatch(text.strip())
    if match is None and not re.match(r"\d{4}-\d\d-\d\d", text.strip()):
        try:
            return parse_seconds(text)
        except ValueError as error:
            advice = "write for example 10:05, 2026-11-22T10:05:00Z, or 5m after its start"
            raise InputError(f"--from: {text!r} is no time; {advice}") from error
    if recording.log is None:
        raise InputError(
            f"--from: {text} is a time of day, and a CSV of rates begins at 0; write for example 5m"
        )
    first = int(recording.log.first)
    if match is not None:
        hour, minute, second = int(match[1]), int(match[2]), float(match[3] or 0.0)
        if hour > 23 or minute > 59 or second >= 60.0:
            raise InputError(f"--from: {text} is no time of day; write for example 10:05")
        local = first + recording.log.utc_offset_s
        return (hour * 3600 + minute * 60 + second - local % 86400) % 86400
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"--from: {error}; write for example 2026-11-22T10:05:00Z") from error
    zone = timezone(timedelta(seconds=recording.log.utc_offset_s))
    at = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    if at < first:
        raise InputError(
            f"--from: the recording begins only at {datetime.fromtimestamp(first, zone).isoformat()}"
        )
    return at - first
