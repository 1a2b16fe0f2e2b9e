"""How a command ends: its exit codes, and the exceptions that lead to one of them."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """The exit code of the process."""

    DONE = 0
    FALLS = 1
    """A variant that was asked for by name, or an expectation, falls."""
    WRONG_INPUT = 2
    NO_VERDICT = 3
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141
    """Whoever read standard output has gone."""
    TERMINATED = 143


class NoVerdictError(Exception):
    """A run that came to no end through no fault of the input; the message says why."""


class Terminated(BaseException):
    """The process was asked to end (SIGTERM): unwound like an interrupt, so that nothing half-made stays."""
