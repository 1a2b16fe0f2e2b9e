"""The compiled generator: schedule, sockets, HTTP and TLS in one loop over epoll.

Python gives it what is to be sent and reads its counters; between that no line of Python runs.
"""

from __future__ import annotations

from pathlib import Path

from seawall.compiled.cache import use_cache

CACHE_FOLDER = use_cache("generator", Path(__file__).parent.glob("*.py"))


def is_compiled() -> bool:
    """Whether an earlier run has left the compiled generator behind."""
    return any(CACHE_FOLDER.rglob("loop.run-*.nbc"))
