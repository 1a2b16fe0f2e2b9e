"""How far the runs are, on standard error: a bar from one second on, a word while the kernel is compiled."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

PATIENCE_SECONDS = 1.0
REFRESH_SECONDS = 0.1
COMPILING = "compiling the simulation kernel, once, about half a minute"


class Display:
    """A bar for each variant on a terminal, nothing elsewhere but that the kernel is being compiled.

    Draws only when told a share, and from no thread of its own while runs are under way: processes are forked
    meanwhile. Use as a context; on leaving, what was drawn is taken away.
    """

    def __init__(self, names: Sequence[str], *, compiled: bool) -> None:
        self._names = list(names)
        self._compiled = compiled
        self._shares = [0.0] * len(self._names)
        self._began = self._drawn = time.perf_counter()
        self._status: Status | None = None
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if self._compiled:
            return self
        if not sys.stderr.isatty():
            print(f"seawall: {COMPILING} ...", file=sys.stderr, flush=True)
            return self
        from rich.console import Console

        self._status = Console(stderr=True).status(f"{COMPILING} ...")
        self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._status is not None:
            self._status.stop()
        if self._bar is not None:
            self._bar.stop()

    def tell(self, number: int, share: float) -> None:
        """The run of the variant of that number is done to `share` of it."""
        now = time.perf_counter()
        if self._status is not None:
            self._status.stop()
            self._status = None
            self._began = now
        self._shares[number] = share
        late = now - self._drawn > REFRESH_SECONDS
        if sys.stderr.isatty() and late and now - self._began > PATIENCE_SECONDS:
            self._draw()
            self._drawn = now

    def _draw(self) -> None:
        bar = self._bar = self._bar or self._new_bar()
        for task, share in zip(bar.task_ids, self._shares, strict=True):
            bar.update(task, completed=share)
        bar.refresh()

    def _new_bar(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        for name in self._names:
            bar.add_task(name, total=1.0)
        bar.start()
        return bar
