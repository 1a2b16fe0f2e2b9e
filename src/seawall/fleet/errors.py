"""What is wrong with an input, where it stands, and what to write instead."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """An input that cannot be used; the command line prints it and exits with code 2.

    `message` says what was wrong and what to write instead; `file` and `line` (counted from 1) say where.
    """

    def __init__(self, message: str, *, file: str | Path | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line

    def __str__(self) -> str:
        if self.file is None:
            return self.message
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}"
