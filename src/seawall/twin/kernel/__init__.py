"""The compiled kernel: every request, connection, worker and CPU period between two ticks of control.

State lives in a few arrays of records (`layout.py`); each mechanism is a module of small compiled functions;
`loop.py` runs the events in the order of their times.

Numba compiles it once (about half a minute) and keeps the result. Its own cache does not notice a change in an
imported file, so ours stands in a folder named by a hash of all sources and versions, outside the package.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy

_HERE = Path(__file__).parent
_SOURCES = (
    *_HERE.glob("*.py"),
    *(_HERE.parents[1] / "traffic").glob("*.py"),
    *(_HERE.parents[1] / "record").glob("h*.py"),
)


def _folder() -> Path:
    digest = hashlib.sha256()
    for version in (sys.version, numba.__version__, llvmlite.__version__, numpy.__version__):
        digest.update(version.encode())
    for source in sorted(_SOURCES):
        digest.update(source.read_bytes())
    name = f"kernel-{digest.hexdigest()[:16]}"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seawall"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home / name
    except OSError:
        pass
    return Path(tempfile.gettempdir()) / f"seawall-{os.getuid()}" / name


CACHE_FOLDER = _folder()
_settings: Any = numba.config
_settings.CACHE_DIR = str(CACHE_FOLDER)
# Vectorising loops costs compile time and gains nothing in event handling (measured: 5 % slower with it).
_settings.LOOP_VECTORIZE = 0
_settings.SLP_VECTORIZE = 0


def is_compiled() -> bool:
    """Whether an earlier run has left the compiled kernel behind."""
    return any(CACHE_FOLDER.rglob("loop.run-*.nbc"))
