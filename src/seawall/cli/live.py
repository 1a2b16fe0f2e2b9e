"""A wave while it runs: a panel on a terminal, a line now and then elsewhere; and how it is asked to stop."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from seawall.cli.ending import Code
from seawall.load.tally import Tally
from seawall.load.target import Target
from seawall.record import words
from seawall.record.histogram import percentile
from seawall.record.vocabulary import FAILURES
from seawall.traffic.workload import Workload

if TYPE_CHECKING:
    from rich.live import Live as RichLive

PANEL_SECONDS = 0.25
LINE_SECONDS = 10.0
RECENT_SECONDS = 5.0
"""Rates and percentiles are those of the last so many seconds."""


class Stopper:
    """Hears Ctrl-C and SIGTERM: once, end the wave and let what is under way come to its end; twice, end at once."""

    def __init__(self) -> None:
        self._count = 0
        self.code: Code | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        self.code = Code.INTERRUPTED if number == signal.SIGINT else Code.TERMINATED

    def asked(self) -> int:
        """0 to go on, 1 to end, 2 to end at once."""
        return min(2, self._count)


@dataclass(frozen=True, slots=True)
class Moment:
    """A wave at one moment; rates a second and latencies (seconds) are those of the last few seconds."""

    now: float
    users: int
    sent: int
    sent_per_s: float
    answered_per_s: float
    under_way: int
    p50: float | None
    p99: float | None
    lateness_p99: float | None
    failures: dict[str, int]


def moment(tallies: Sequence[Tally], now: float, bin_s: float) -> Moment:
    """What the generators' counters say at a moment."""
    last = max(0, int(now / bin_s))
    # The bin under way is left out, where there is an earlier one: it is not full.
    end = max(1, last)
    begin = max(0, end - max(1, round(RECENT_SECONDS / bin_s)))
    seconds = max(bin_s, min(now, (end - begin) * bin_s)) if last else max(now, 0.1)

    def total(name: str, first: int = 0, to: int | None = None) -> int:
        return sum(int(part.bins[name][first:to].sum()) for part in tallies)

    def quantile(name: str, share: float) -> float | None:
        counts = sum(
            (part.histograms[name][begin:end].sum(axis=0, dtype=np.int64) for part in tallies), np.int64(0)
        )
        return percentile(np.asarray(counts), share)

    return Moment(
        now=now,
        users=total("joined") - total("left"),
        sent=total("sent"),
        sent_per_s=total("sent", begin, end) / seconds,
        answered_per_s=total("answered_at", begin, end) / seconds,
        under_way=total("sent") - total("answered_at") - total("failed_at") - total("shed"),
        p50=quantile("latency", 0.5),
        p99=quantile("latency", 0.99),
        lateness_p99=quantile("lateness", 0.99),
        failures={name: count for name in FAILURES if (count := total(name))},
    )


class Shown(Protocol):
    """What is shown: a wave, or a journey."""

    @property
    def bin_s(self) -> float: ...

    @property
    def target(self) -> Target: ...

    @property
    def workload(self) -> Workload: ...


class Live:
    """Shows a wave on standard error while it runs. Use as a context."""

    def __init__(self, wave: Shown, *, quiet: bool, ending: Callable[[], int] = lambda: 0) -> None:
        """`ending` is above 0 from when the wave was asked to end, and waits for what is under way."""
        self._wave = wave
        self._quiet = quiet
        self._ending = ending
        self._told_of_end = False
        self._told = time.monotonic()
        self._panel: RichLive | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live as RichLive

            self._panel = RichLive(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._panel.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._panel is not None:
            self._panel.stop()

    def watch(self, tallies: Sequence[Tally], now: float) -> None:
        """Called as the wave runs; draws when it is time to."""
        if not self._quiet and not self._told_of_end and self._ending():
            self._told_of_end = True
            if self._panel is None:
                print(self._end(moment(tallies, now, self._wave.bin_s)), file=sys.stderr, flush=True)
        if self._quiet or time.monotonic() - self._told < (PANEL_SECONDS if self._panel else LINE_SECONDS):
            return
        self._told = time.monotonic()
        if now < 0.0:
            if self._panel is not None:
                self._panel.update(f"starts in {-now:.0f} s", refresh=True)
            return
        at = moment(tallies, now, self._wave.bin_s)
        if self._panel is not None:
            self._panel.update(self._table(at), refresh=True)
        else:
            print(self._line(at), file=sys.stderr, flush=True)

    def _figures(self, at: Moment) -> list[tuple[str, str]]:
        users = [("users", words.count(at.users))] if len(self._wave.workload.join_s) else []
        return [
            *users,
            ("sent", f"{at.sent_per_s:,.0f}/s"),
            ("answered", f"{at.answered_per_s:,.0f}/s"),
            ("under way", words.count(at.under_way)),
            ("p50", _time(at.p50)),
            ("p99", _time(at.p99)),
            ("own lateness p99", _time(at.lateness_p99)),
        ]

    def _line(self, at: Moment) -> str:
        parts = [f"{name} {value}" for name, value in self._figures(at)]
        parts += [f"{name.replace('_', ' ')} {count:,}" for name, count in at.failures.items()]
        return f"{words.clock(at.now)}  {', '.join(parts)}"

    def _end(self, at: Moment) -> str:
        return f"ending: {words.plural(at.under_way, 'request')} under way; once more ends it at once"

    def _table(self, at: Moment) -> Any:
        from rich.panel import Panel
        from rich.table import Table

        table = Table.grid(padding=(0, 3))
        figures = self._figures(at)
        for _ in figures:
            table.add_column(justify="right", min_width=8)
        table.add_row(*(f"[dim]{name}[/dim]" for name, _ in figures))
        table.add_row(*(f"[bold]{value}[/bold]" for _, value in figures))
        failures = "   ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in at.failures.items())
        grid = Table.grid()
        grid.add_row(table)
        grid.add_row(f"[red]{failures}[/red]" if failures else f"[dim]{at.sent:,} sent, no failures[/dim]")
        work = self._wave.workload
        title = f"{self._wave.target.origin}  {words.clock(at.now)} of {words.clock(work.traffic_s)}"
        if self._ending():
            title = self._end(at)
        return Panel(grid, title=title, title_align="left", expand=False, subtitle=self._footer(at))

    def _footer(self, at: Moment) -> str:
        done = min(1.0, at.now / max(self._wave.workload.traffic_s, 1e-9))
        filled = round(40 * done)
        return f"{'━' * filled}{'─' * (40 - filled)} {done:4.0%}"


def _time(seconds: float | None) -> str:
    return words.milliseconds(None if seconds is None else round(seconds * 1e3, 3))
