"""The compiled kernel: every request, connection, worker and CPU period between two ticks of control.

State lives in a few arrays of records (`layout.py`); each mechanism is a module of small compiled functions;
`loop.py` runs the events in the order of their times.

Numba compiles it once (about half a minute) and keeps the result (compiled/cache.py).
"""

from __future__ import annotations

from pathlib import Path

from seawall.compiled.cache import use_cache

CACHE_FOLDER = use_cache("kernel", Path(__file__).parent.glob("*.py"))


def is_compiled() -> bool:
    """Whether an earlier run has left the compiled kernel behind."""
    return any(CACHE_FOLDER.rglob("loop.run-*.nbc"))
