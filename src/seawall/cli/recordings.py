"""The recordings that a command is given: read by its options, and where in them to start."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seawall.fleet.errors import InputError
from seawall.fleet.units import parse_seconds
from seawall.traffic.recorded import Recording, read_recording

if TYPE_CHECKING:
    from seawall.cli.waving import Options

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")


def read_logs(options: Options) -> Recording:
    """The recording that the options name."""
    return read_recording(options.logs[0])


def start_of(text: str | None, recording: Recording) -> float:
    """Seconds after the start of a recording: `5m`, a time of day in it (UTC), or a date and time."""
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
        return (hour * 3600 + minute * 60 + second - first % 86400) % 86400
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InputError(f"--from: {error}; write for example 2026-11-22T10:05:00Z") from error
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if at < first:
        raise InputError(
            f"--from: the recording begins only at {datetime.fromtimestamp(first, UTC).isoformat()}"
        )
    return at - first
