"""The twin's kernel is compiled (or read from its cache) once, before the first test is timed."""

from __future__ import annotations

import pytest

from .small import fleet, rate, run


@pytest.fixture(scope="session", autouse=True)
def compiled_kernel() -> None:
    """A first run of the smallest fleet."""
    run(fleet(rate("1/s for 1s")))
