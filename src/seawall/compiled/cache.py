"""Where compiled code is kept: a folder named by a hash of all its sources and versions, outside the package.

Numba's own cache does not notice a change in an imported file.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy

_OURS = Path(__file__).parents[1]
_SHARED = (
    *(_OURS / "compiled").glob("*.py"),
    *(_OURS / "traffic" / f"{name}.py" for name in ("draws", "sampling", "closed")),
    _OURS / "record" / "histogram.py",
    _OURS / "fleet" / "distribution.py",
)


def use_cache(name: str, sources: Iterable[Path]) -> Path:
    """Keep what is compiled from `sources`, and from what they share, in a folder of that name; returns the folder.

    To be called before the first decorator that caches is applied.
    """
    digest = hashlib.sha256()
    for version in (sys.version, numba.__version__, llvmlite.__version__, numpy.__version__):
        digest.update(version.encode())
    for source in sorted({*sources, *_SHARED}):
        digest.update(source.read_bytes())
    folder = _place(f"{name}-{digest.hexdigest()[:16]}")
    settings: Any = numba.config
    settings.CACHE_DIR = str(folder)
    # Vectorising loops costs compile time and gains nothing in event handling (measured: 5 % slower with it).
    settings.LOOP_VECTORIZE = 0
    settings.SLP_VECTORIZE = 0
    return folder


def _place(name: str) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seawall"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home / name
    except OSError:
        pass
    return Path(tempfile.gettempdir()) / f"seawall-{os.getuid()}" / name
