"""Tables of paths, visitors and details are bounded: what is forgotten may be numbered again, never wrongly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.traffic.logs import spool
from seawall.traffic.logs.known import Known, lengths
from seawall.traffic.logs.spool import Texts
from traffic.logs.conftest import Read, rows


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=10), max_size=40),
    st.sampled_from([1, 500, 3000, 10_000]),
)
def test_a_number_never_means_two_keys(batches: list[list[int]], generation: int) -> None:
    texts: list[bytes] = []

    def make(new: list[bytes]) -> range:
        texts.extend(new)
        return range(len(texts) - len(new), len(texts))

    known: Known[bytes] = Known(generation, make, lengths)
    for batch in batches:
        keys = [b"%d" % n for n in batch]
        assert [texts[number] for number in known.numbers(keys)] == keys
    if generation == 10_000:  # room for all
        assert len(texts) == len({n for batch in batches for n in batch})


def test_what_is_asked_for_again_and_again_is_never_forgotten() -> None:
    made: list[bytes] = []

    def make(new: list[bytes]) -> range:
        made.extend(new)
        return range(len(made) - len(new), len(made))

    known: Known[bytes] = Known(5000, make, lengths)
    for n in range(3000):
        known.numbers([b"always", b"once-%d" % n])
    assert made.count(b"always") == 1
    assert known.number(b"once-0") == 3001  # long forgotten, and numbered once more
    assert known.number(b"once-2999") == 3000


@given(st.lists(st.binary(max_size=30), max_size=60), st.sampled_from([0, 50, 1000]))
def test_texts_are_what_was_stored(texts: list[bytes], in_memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "IN_MEMORY_BYTES", in_memory)
        patch.setattr(spool, "_TEXTS", 7)
        patch.setattr(spool, "_READ", 5)
        table = Texts()
        assert [n for text in texts for n in table.extend([text])] == list(range(len(texts)))
        stored = table.finished(bytes)
    assert list(stored) == texts
    assert stored[1:-1] == texts[1:-1]
    if texts:
        assert stored[-1] == texts[-1]
        assert stored[-len(texts)] == texts[0]
    with pytest.raises(IndexError):
        stored[len(texts)]


def test_bounded_tables_do_not_change_what_was_asked_for(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        f'192.0.2.{n % 7} - - [17/May/2015:10:05:{n % 60:02d} +0000] "GET /{n * 7 % 311} HTTP/1.1" 200 {n} '
        f'"-" "A{n % 3}"'
        for n in range(2000)
    ]
    whole = read("combined", *lines)
    monkeypatch.setattr("seawall.traffic.logs.requestline._GENERATION", 4000)
    monkeypatch.setattr("seawall.traffic.logs.sessions._GENERATION", 600)
    monkeypatch.setattr("seawall.traffic.logs.lines.PIECE_BYTES", 100)
    monkeypatch.setattr(spool, "IN_MEMORY_BYTES", 0)
    bounded = read("combined", *lines)
    assert rows(bounded) == rows(whole)
    assert len(bounded.paths) > len(whole.paths) == 311
    assert bounded.sessions > whole.sessions == 21
    # Two requests of one number are of one visitor.
    assert len(set(zip(bounded.session.tolist(), whole.session.tolist(), strict=True))) == bounded.sessions


REPLAYED = """
import resource, sys
from seawall.traffic.logs import requestline, sessions
requestline._GENERATION = sessions._GENERATION = 1 << 21
from seawall.traffic.recorded import read_recording
recording = read_recording(sys.argv[1])
count = 0
for chunk in recording.arrivals(1):
    count += len(chunk)
    for path in recording.log.path[chunk.records].tolist():
        recording.log.paths[path]
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_four_times_the_lines_take_little_more_memory(tmp_path: Path) -> None:
    """Lines with a path and a visitor each, of which no table holds all; in a process of its own, with small tables."""
    peaks = []
    for lines in (30_000, 120_000):
        path = tmp_path / f"{lines}.log"
        with path.open("w") as out:
            for n in range(lines):
                stamp = f"17/May/2015:10:{n // 12_000:02d}:{n // 200 % 60:02d} +0000"
                out.write(
                    f"10.{n >> 16}.{n >> 8 & 255}.{n & 255} - - [{stamp}] "
                    f'"GET /items/{n}?session={n * 7919:0400d} HTTP/1.1" 200 {n} "-" "Agent"\n'
                )
        command = [sys.executable, "-c", REPLAYED, str(path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        count, peak = map(int, ran.stdout.split())
        assert count == lines
        peaks.append(peak / 1024)
    # The texts of their paths alone, as Python holds them, are 40 MiB more.
    assert peaks[1] - peaks[0] < 20.0, peaks
