"""What is wrong with an input, where it stands, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MOST_LISTED = 20


class InputError(Exception):
    """An input that cannot be used; the command line prints it and exits with code 2.

    `message` says what was wrong and what to write instead; `file` and `line` (counted from 1) say where.
    `others` are further problems of the same input: `str()` gives one line each, each with its own place.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        others: Sequence[InputError] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.others = tuple(others)

    def __str__(self) -> str:
        listed = [self._own(), *(other._own() for other in self.others[: MOST_LISTED - 1])]
        hidden = 1 + len(self.others) - len(listed)
        if hidden:
            listed.append(f"and {hidden} more like these")
        return "\n".join(listed)

    def _own(self) -> str:
        if self.file is None:
            return self.message
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}"


def together(errors: Sequence[InputError]) -> InputError:
    """One error that lists all of `errors` (at least one), in the order of their places, each place once."""
    unique = list({str(e): e for e in errors}.values())
    first, *rest = sorted(unique, key=lambda e: (e.file or "", e.line or 0))
    return InputError(first.message, file=first.file, line=first.line, others=rest)
