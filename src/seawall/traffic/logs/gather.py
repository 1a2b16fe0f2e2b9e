"""Gathers what the readers of all formats find, and makes it one RequestLog."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from seawall.fleet.errors import InputError
from seawall.traffic.logs.columns import Clock, Rows, longest_silence
from seawall.traffic.logs.exchange import detail_of
from seawall.traffic.logs.known import Known, lengths
from seawall.traffic.logs.lineformat import Stamp
from seawall.traffic.logs.log import FIRST_DAMAGED, ONE, Damaged, RequestLog, printable
from seawall.traffic.logs.requestline import RequestTable, parted_numbers
from seawall.traffic.logs.sessions import Visitors
from seawall.traffic.logs.spool import Texts, release

_GENERATION = 1 << 24
_WAITING = 4096


class Gatherer:
    """What was read so far, of one file after another."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.clock = Clock()
        self.requests = RequestTable()
        self.visitors = Visitors()
        self.lines = self.blank = self.cut = self.damaged = 0
        self.whole_seconds = True
        self.zone_s: int | None = None
        self.remarks: list[str] = []
        self._details = Texts()
        self._known_details: Known[bytes] = Known(_GENERATION, self._details.extend, lengths)
        self._examples: list[Damaged] = []
        self._file = ""
        self._files = 0
        self._waiting: list[tuple[float, bytes, Hashable | None, bytes, int, int, float]] = []
        self._waiting_bytes = 0

    def begin(self, path: str | Path) -> None:
        """What comes next is from this file."""
        self._end_waiting()
        self._file = str(path)
        self._files += 1
        self.clock.new_file()

    def damage(self, line: int, text: bytes) -> None:
        """A line (or record, from 1) that could not be read. They may come a little out of order."""
        self.damaged += 1
        mine = [e for e in self._examples if e.number == self._files]
        others = self._examples[: len(self._examples) - len(mine)]
        room = FIRST_DAMAGED - len(others)
        if len(mine) < room or (room and line < mine[-1].line):
            found = Damaged(self._file, self._files, line, printable(text))
            self._examples = [*others, *sorted([*mine, found], key=lambda e: e.line)[:room]]

    def add(
        self,
        t_s: float,
        line: bytes,
        visitor: Hashable | None,
        detail: bytes,
        status: int = 0,
        size: int = 0,
        duration_s: float = math.nan,
    ) -> None:
        """One request of a recording that holds headers and bodies (`exchange.stored`, empty: neither)."""
        self._waiting.append((t_s, line, visitor, detail, status, size, duration_s))
        self._waiting_bytes += len(line) + len(detail)
        if len(self._waiting) >= _WAITING or self._waiting_bytes > _GENERATION:
            self._end_waiting()

    def _end_waiting(self) -> None:
        if not self._waiting:
            return
        times, lines, visitors, details, statuses, sizes, durations = zip(*self._waiting, strict=True)
        self._waiting, self._waiting_bytes = [], 0
        t_s = np.array(times, dtype=np.float64)
        self.whole_seconds = self.whole_seconds and not (t_s % 1.0).any()
        self.clock.see(t_s)
        method, path = parted_numbers(np.array(self.requests.numbers(lines, bytes), dtype=np.int64))
        has = np.array([bool(detail) for detail in details])
        numbers = np.full(len(details), -1, dtype=np.int64)
        numbers[has] = self._known_details.numbers([detail for detail in details if detail])
        self.rows.extend(
            {
                "t_s": t_s,
                "method": method,
                "path": path,
                "status": np.array(statuses),
                "size_bytes": np.array(sizes, dtype=np.int64),
                "session": np.array(self.visitors.numbers(visitors), dtype=np.int64),
                "duration_s": np.array(durations, dtype=np.float32),
                "detail": numbers,
            }
        )

    def finished(
        self, files: Sequence[str | Path], form: str, unit: str, stamp: Stamp, expected: str
    ) -> RequestLog:
        """All of it as one log. Raises InputError if there is nothing, or more is damaged than not."""
        self._end_waiting()
        self._refuse(files, unit, expected)
        columns = self.rows.finished()
        methods, paths = self.requests.finished()
        timed = without = 0
        for at in range(0, columns["t_s"].size, 1 << 18):
            timed += int(np.count_nonzero(~np.isnan(columns["duration_s"][at : at + (1 << 18)])))
            without += int(np.count_nonzero(columns["method"][at : at + (1 << 18)] == 0))
            release(columns["duration_s"], columns["method"])
        return RequestLog(
            source=str(files[0]),
            files=len(files),
            format=form,
            unit=unit,
            **columns,
            methods=methods,
            paths=paths,
            details=self._details.finished(detail_of),
            sessions=self.visitors.count,
            lines=self.lines,
            blank=self.blank,
            cut=self.cut,
            damaged=self.damaged,
            examples=tuple(self._examples),
            out_of_order=self.clock.out_of_order,
            clock_jumps=tuple(self.clock.places),
            jumps=self.clock.jumps,
            whole_seconds=self.whole_seconds,
            stamp=stamp,
            timed=timed,
            without_request=without,
            longest_silence_s=longest_silence(columns["t_s"]),
            utc_offset_s=self.zone_s or 0,
            remarks=tuple(self.remarks),
        )

    def _refuse(self, files: Sequence[str | Path], unit: str, expected: str) -> None:
        """Raise InputError if there is nothing, or more is damaged than not."""
        read = len(self.rows)
        what = "the file holds" if len(files) == 1 else f"the {len(files)} files hold"
        if read == 0 and not self.damaged:
            none = "blank lines alone" if self.blank else f"no {unit}"
            raise InputError(f"{what} {none}; {expected}", file=files[0])
        if self.damaged > read:
            first, *rest = self._examples
            which = f"no {ONE[unit]}" if read == 0 else f"less than half of the {self.lines} {unit}"
            others = ", ".join(str(e.line) if e.file == first.file else f"{e.file}:{e.line}" for e in rest)
            also = f" (also {unit} {others})" if others else ""
            raise InputError(
                f"{which} could be read as a request; this one is `{first.text}`{also}; {expected}",
                file=first.file,
                line=first.line,
            )
