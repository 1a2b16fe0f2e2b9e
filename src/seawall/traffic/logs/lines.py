"""Reads the lines of a log, a piece at a time: quickly where they are as they should be, one by one where not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.traffic.logs.apache import COMBINED
from seawall.traffic.logs.gather import Gatherer
from seawall.traffic.logs.lineformat import LineFormat, Role
from seawall.traffic.logs.requestline import parted_numbers
from seawall.traffic.logs.sessions import SessionKey, Teller
from seawall.traffic.logs.stamps import Stamps

PIECE_BYTES = 1 << 17
"""So much is searched at once: it stays in a core's own cache."""
_RARE = 100
"""What is odd in fewer than one in so many lines is looked for by halves."""
_LARGEST = 10**18
_HOPELESS = 50_000
_CUT_AGENT = re.compile(rb'^ "[^"\\]*(?:\\.[^"\\]*)*" "(.*)$', re.DOTALL)
_REQUEST_TIME = re.compile(rb'\b(?:rt|request_time)[=:]"?(\d{1,9}(?:\.\d{1,9})?)')
_NUMBER = re.compile(rb"\d{1,18}(?:\.\d{1,18})?|\.\d{1,18}")
_CLOSED_EARLY = 499

_Rows = list[tuple[bytes, ...]]
_Groups = list[tuple[bytes, ...]]
_Floats = NDArray[np.float64]


class _Found:
    """What was found in a piece: the groups of its lines, their numbers, and lines that are odd or cut."""

    def __init__(self) -> None:
        self.rows: _Rows = []
        self.numbers: list[int] = []
        self.odd: list[tuple[int, bytes]] = []
        self.cut: list[bytes] = []


class LineReader:
    """Reads lines of one format into a gatherer; `subtract`: durations are taken off the times."""

    def __init__(self, form: LineFormat, key: SessionKey, gatherer: Gatherer, subtract: bool) -> None:
        self._form = form
        self._into = gatherer
        self._subtract = subtract
        self._stamps = Stamps(form.read_stamp)
        self._teller = Teller(form, key)
        self._fast = list(form.fast)
        self._places = {role: form.places(role) for role in Role}
        self._closed_early = False
        self._misfit = b""

    def take(self, first: int, block: bytes) -> None:
        """Read the lines of a block that begins with line number `first`."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if not block.endswith(b"\n"):
            block += b"\n"
        begin, line = 0, first
        while begin < len(block):
            end = block.find(b"\n", begin + PIECE_BYTES) + 1 or len(block)
            line += self._piece(line, block[begin:end])
            begin = end
        self._into.lines += line - first
        if self._into.zone_s is None:
            self._into.zone_s = self._stamps.zone_s

    @property
    def hopeless(self) -> bool:
        """Whether so many lines were damaged, and none not, that there is no use in reading on."""
        return self._into.damaged >= _HOPELESS and not len(self._into.rows)

    @property
    def expected(self) -> str:
        """What the lines should have looked like, and how far they do."""
        fits = self._form.fits(self._misfit) if self._misfit else ""
        return f"{self._form.expected}; it fits up to {fits}" if fits else self._form.expected

    def end(self) -> None:
        """All lines were read."""
        if self._misfit and 2 * self._into.cut > self._into.lines - self._into.blank:
            fits = self._form.fits(self._misfit)
            self._into.remarks.append(
                f"most lines end otherwise than the format says: they fit up to {fits}, so look at what comes after it"
            )
        if self._closed_early and not self._subtract:
            self._into.remarks.append(
                f"status {_CLOSED_EARLY} is nginx's own, and nginx stamps the ends of requests, not their arrivals: "
                "give stamp: end, or its log_format"
            )

    def _piece(self, first: int, piece: bytes) -> int:
        """Read the lines of a piece; how many there are."""
        count = piece.count(b"\n")
        rows, _ = self._quick_rows(piece, count)
        if len(rows) == count and self._add(rows, range(first, first + count), strict=True):
            return count
        found = _Found()
        self._find(first, piece, count, found, quick=True)
        if not self._add(found.rows, found.numbers, strict=True):
            # The quick expressions took something for a number or a time that is none.
            found = _Found()
            self._find(first, piece, count, found, quick=False)
            self._add(found.rows, found.numbers, strict=False)
        for number, line in found.odd:
            if line.strip():
                self._into.damage(number, line)
                self._misfit = self._misfit or line
            else:
                self._into.blank += 1
        for line in found.cut:
            self._into.cut += 1
            self._misfit = self._misfit or line
        return count

    def _find(self, first: int, piece: bytes, count: int, found: _Found, quick: bool) -> None:
        """Find the lines of a piece: all at once, else in its halves, or where much is odd one by one."""
        rows, odd = self._quick_rows(piece, count) if quick else ([], count)
        if odd * _RARE > count:
            rows = self._form.whole.findall(piece)
            odd = count - len(rows)
        if not odd:
            found.rows += rows
            found.numbers += range(first, first + count)
            return
        half = _half(piece) if odd * _RARE <= count else 0
        if half:
            before = piece.count(b"\n", 0, half)
            self._find(first, piece[:half], before, found, quick)
            self._find(first + before, piece[half:], count - before, found, quick)
            return
        for number, line in enumerate(piece.removesuffix(b"\n").split(b"\n"), first):
            self._find_one(number, line, found)

    def _quick_rows(self, piece: bytes, count: int) -> tuple[_Rows, int]:
        """What a quick expression finds in a piece, and about how many of its lines it does not."""
        if b"\\" in piece:
            return [], count
        for number, fast in enumerate(self._fast):
            if fast.match(piece):
                rows = fast.findall(piece)
                self._fast.insert(0, self._fast.pop(number))
                # As many matches as lines, each from a beginning to an end: every line was read, none beyond its end.
                return rows, count - len(rows)
        return [], count

    def _find_one(self, number: int, line: bytes, found: _Found) -> None:
        rows = self._form.whole.findall(line)
        if rows:
            found.rows += rows
            found.numbers.append(number)
            return
        match = None if self._form.cut is None else self._form.cut.match(line)
        if match is None:
            found.odd.append((number, line))
            return
        found.rows.append(tuple(group or b"" for group in match.groups()[: len(self._form.fields)]))
        found.numbers.append(number)
        if match["end"] is None:
            found.cut.append(line)

    def _add(self, rows: _Rows, numbers: Sequence[int], strict: bool) -> bool:
        """Add what lines hold; `numbers` tell those that are damaged. Strict: False, and nothing is, if any is odd."""
        if not rows:
            return True
        groups: _Groups = list(zip(*rows, strict=True))
        times = self._times(groups, len(rows))
        if None in times:
            return False if strict else self._add_without(rows, numbers, times)
        t_s = np.array(times, dtype=np.float64)
        fractions = self._numbers(groups, Role.FRACTION, strict)
        durations = self._numbers(groups, Role.DURATION, strict)
        statuses = self._integers(groups, Role.STATUS, strict)
        sizes = self._integers(groups, Role.SIZE, strict)
        if fractions is None or durations is None or statuses is None or sizes is None:
            return False
        if strict and self._places[Role.STATUS] and not 100 <= statuses.min() <= statuses.max() <= 999:
            return False
        if self._places[Role.FRACTION]:
            t_s += np.nan_to_num(fractions)
        into = self._into
        if into.whole_seconds and (t_s % 1.0).any():
            into.whole_seconds = False
        if self._places[Role.MORE] and any(groups[self._places[Role.MORE][0]]):
            durations = self._more(groups)
        if self._subtract:
            t_s -= np.where(np.isnan(durations), 0.0, durations)
        if self._form is COMBINED and (statuses == _CLOSED_EARLY).any():
            self._closed_early = True
        into.clock.see(t_s)
        method, path = parted_numbers(
            np.array(into.requests.numbers(self._requests(groups), self._form.unescape))
        )
        into.rows.extend(
            {
                "t_s": t_s,
                "method": method,
                "path": path,
                "status": statuses,
                "size_bytes": sizes,
                "session": np.array(into.visitors.numbers(self._teller.keys(groups, len(rows)))),
                "duration_s": durations,
                "detail": -1,
            }
        )
        return True

    def _add_without(self, rows: _Rows, numbers: Sequence[int], times: list[float | None]) -> bool:
        """Add the lines whose time is one; the others are damaged."""
        good: _Rows = []
        kept = []
        for row, number, time in zip(rows, numbers, times, strict=True):
            if time is None:
                self._into.damage(number, b" ".join(row))
            else:
                good.append(row)
                kept.append(number)
        return self._add(good, kept, strict=False)

    def _times(self, groups: _Groups, n: int) -> list[float | None]:
        """The time of each line in seconds since 1970, without a fraction that has a field of its own."""
        if self._places[Role.EPOCH]:
            place = self._places[Role.EPOCH][0]
            units = round(1.0 / self._form.fields[place].scale)
            return [float(text) / units if _NUMBER.fullmatch(text) else None for text in groups[place]]
        stamps = [groups[i] for i in self._places[Role.STAMP]]
        return self._stamps.seconds(
            stamps[0] if len(stamps) == 1 else tuple(map(b"\0".join, zip(*stamps, strict=True)))
        )

    def _requests(self, groups: _Groups) -> tuple[bytes, ...]:
        """The request lines, put together where the format has them in parts."""
        if self._places[Role.REQUEST]:
            return groups[self._places[Role.REQUEST][0]]
        targets = groups[self._places[Role.TARGET][0]]
        for i in self._places[Role.QUERY]:
            mark = self._form.fields[i].name == "args"
            targets = tuple(map(_with_args if mark else bytes.__add__, targets, groups[i]))
        return tuple(map(b" ".join, zip(groups[self._places[Role.METHOD][0]], targets, strict=True)))

    def _numbers(self, groups: _Groups, role: Role, strict: bool) -> _Floats | None:
        """The sum of all fields of a role, nan where one is none; None where they are not all numbers or `-`."""
        total: _Floats = np.full(len(groups[0]), np.nan)
        for number, i in enumerate(self._places[role]):
            values = _floats(groups[i], strict)
            if values is None:
                return None
            values *= self._form.fields[i].scale
            total = values if number == 0 else total + values
        return total

    def _integers(self, groups: _Groups, role: Role, strict: bool) -> NDArray[np.int64] | None:
        """The first field of a role, 0 where it is none; None where they are not all numbers or `-`."""
        places = self._places[role]
        return _integers(groups[places[0]], strict) if places else np.zeros(len(groups[0]), np.int64)

    def _more(self, groups: _Groups) -> _Floats:
        """Look at what stands after the last field that was read: an agent cut off, or fields of one's own.

        Puts what is left of an agent that was cut into `groups`; gives the durations.
        """
        agents = list(groups[self._places[Role.AGENT][0]])
        durations = np.full(len(agents), np.nan)
        for i, rest in enumerate(groups[self._places[Role.MORE][0]]):
            if not rest:
                continue
            cut = _CUT_AGENT.match(rest) if not agents[i] else None
            if cut is not None:
                self._into.cut += not cut[1].rstrip().endswith(b'"')
                agents[i] = cut[1].strip(b'" \t\r')
            elif rest.startswith(b' "') and rest.replace(rb"\"", b"").count(b'"') % 2:
                self._into.cut += 1
            lasted = _REQUEST_TIME.search(rest)
            if lasted is not None:
                durations[i] = float(lasted[1])
        groups[self._places[Role.AGENT][0]] = tuple(agents)
        return durations


def _with_args(target: bytes, args: bytes) -> bytes:
    """A target with the arguments that nginx logs apart, `-` where there are none."""
    if args in (b"", b"-"):
        return target
    return target + (b"" if b"?" in target else b"?") + args


def _integers(texts: Sequence[bytes], strict: bool) -> NDArray[np.int64] | None:
    joined = b" ".join(texts)
    if b"-" in joined:
        # Twice: two neighbours share the blank between them.
        joined = b"".join((b" ", joined, b" ")).replace(b" - ", b" 0 ").replace(b" - ", b" 0 ")
    if not joined.translate(None, b"0123456789 "):
        values: NDArray[Any] = np.fromstring(joined, np.int64, sep=" ")
        if values.size == len(texts) and values.max() < _LARGEST:
            return values
    if strict:
        return None
    return np.array([int(text) if text.isdigit() else 0 for text in texts], np.int64)


def _floats(texts: Sequence[bytes], strict: bool) -> _Floats | None:
    if not b" ".join(texts).translate(None, b"0123456789. "):
        try:
            return np.array(list(map(float, texts)))
        except ValueError:
            pass
    if strict and not all(text == b"-" or _NUMBER.fullmatch(text) for text in texts):
        return None
    # -1 stands for what did not come to pass, and +109 for what was still going on when it was written.
    return np.array([float(text) if _NUMBER.fullmatch(text) else np.nan for text in texts])


def _half(piece: bytes) -> int:
    """Where the line that is in the middle of a piece ends, or the one before it; 0 where it is one line alone."""
    middle = len(piece) // 2
    end = piece.find(b"\n", middle) + 1
    return end if 0 < end < len(piece) else piece.rfind(b"\n", 0, middle) + 1
