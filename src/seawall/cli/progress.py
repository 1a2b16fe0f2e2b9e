"""How far the runs are, on standard error: a bar from one second on, a word while the kernel is compiled."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from seawall.cli.ending import Code

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

    Until the first share the process ends at once when it is told to. The compiler calls back into Python, and an
    exception such as KeyboardInterrupt would be lost there; nothing has been written yet that could be half done.
    """

    def __init__(self, names: Sequence[str], *, compiled: bool) -> None:
        self._names = list(names)
        self._compiled = compiled
        self._shares = [0.0] * len(self._names)
        self._began = self._drawn = time.perf_counter()
        self._status: Status | None = None
        self._bar: Progress | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._end)
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
        self._compiling_ends()
        if self._bar is not None:
            self._bar.stop()

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._status is not None:
            self._status.stop()
        interrupted = number == signal.SIGINT
        os.write(2, b"\nseawall: interrupted\n" if interrupted else b"seawall: terminated\n")
        os._exit(Code.INTERRUPTED if interrupted else Code.TERMINATED)

    def _compiling_ends(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        if self._status is not None:
            self._status.stop()
            self._status = None

    def tell(self, number: int, share: float) -> None:
        """The run of the variant of that number is done to `share` of it."""
        now = time.perf_counter()
        if self._handlers or self._status is not None:
            self._compiling_ends()
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
