"""Runs the command as a process of its own, for tests of what a process does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SEAWALL = (sys.executable, "-m", "seawall.cli.main")
SMALL = Path(__file__).parent.parent / "data" / "cli" / "fleet.yaml"


def seawall(*args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The ended process, its output as text."""
    command = [*SEAWALL, *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
