"""Writes logs and reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.traffic.logs.log import RequestLog
from seawall.traffic.logs.read import read_log

Read = Callable[..., RequestLog]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads lines (or bytes) as a log of a format."""

    def reading(log_format: str, *lines: str | bytes, **options: str) -> RequestLog:
        path = tmp_path / "recorded.log"
        path.write_bytes(b"".join(x if isinstance(x, bytes) else x.encode() + b"\n" for x in lines))
        return read_log(path, log_format=log_format, **options)  # type: ignore[arg-type]

    return reading


def rows(log: RequestLog) -> list[tuple[str, str, int, int, float, float]]:
    """Method, path, status, bytes, time and duration (-1: unknown) of each request."""
    durations = [-1.0 if d != d else round(float(d), 6) for d in log.duration_s]
    return [
        (log.methods[m], log.paths[p], int(s), int(b), float(t), d)
        for m, p, s, b, t, d in zip(
            log.method, log.path, log.status, log.size_bytes, log.t_s, durations, strict=True
        )
    ]
