"""`seawall merge`: folders of parts in, one wave out; with its verdict, its clocks, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.record.waves import BROKEN, LATE, Storm, wave

from seawall.cli.main import run
from seawall.record.record import read, read_wallclock, write

CALM = Storm(users=120, seconds=100)


class Done(NamedTuple):
    code: int
    out: str
    err: str


Merge = Callable[..., Done]


@pytest.fixture
def merge(capsys: pytest.CaptureFixture[str]) -> Merge:
    """`seawall merge` with some arguments, ended."""
    return lambda *args: Done(run(["merge", *args]), *capsys.readouterr())


def parts(folder: Path, shape: Storm, of: int = 3, **description: Any) -> list[str]:
    """The folders of a wave's parts, started 20 ms apart by clocks that are a second apart."""
    found = []
    for i in range(1, of + 1):
        facts = {
            "started_at": 1.7e9 + 0.02 * i + 1.0 * i,
            "clock": {
                "offset_s": 1.0 * i,
                "uncertainty_s": 0.003,
                "reference": "Date of http://127.0.0.1:8000",
            },
            "cpu_s": 0.4,
        }
        record = wave(shape, part=(i, of), **description)
        found.append(str(write(record, folder / record.name, wallclock=facts)))
    return found


def test_the_parts_are_one_wave(merge: Merge, tmp_path: Path) -> None:
    folders = parts(tmp_path / "parts", CALM)
    done = merge(*folders, "--record", str(tmp_path / "out"), "--report", str(tmp_path / "page.html"))
    assert (done.code, done.err) == (0, "")
    assert "wave stands." in done.out and "http://127.0.0.1:8000" in done.out
    assert "the parts' clocks were 2 s apart" in done.out
    assert "the parts started 40 ms apart (part 1 first, part 3 last; known to 6 ms)" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if str(tmp_path) not in line)
    kept = read(tmp_path / "out" / "wave")
    assert kept.totals == wave(CALM).totals
    facts = read_wallclock(tmp_path / "out" / "wave")
    assert facts is not None and facts["clocks"]["starts_apart_s"] == pytest.approx(0.04)
    assert "Wave against http://127.0.0.1:8000" in (tmp_path / "page.html").read_text()


def test_a_folder_of_parts_will_do_and_a_merged_record_is_a_part_again(merge: Merge, tmp_path: Path) -> None:
    folders = parts(tmp_path / "parts", CALM)
    at_once = merge(str(tmp_path / "parts"), "--json")
    half = merge(*folders[:2], "--allow-missing", "--record", str(tmp_path / "half"))
    assert "part 3 of 3 is missing" in " ".join(half.out.split())
    assert merge(folders[2], str(tmp_path / "half"), "--json").out == at_once.out


def test_the_json_is_that_of_a_wave(merge: Merge, tmp_path: Path) -> None:
    done = merge(*parts(tmp_path, BROKEN), "--json", "--expect", "failed_5xx < 10", "--expect", "p99 < 20s")
    data = json.loads(done.out)
    assert done.code == 1
    assert list(data) == ["fleet", "seed", "version", "target", "wallclock", "variants"]
    [variant] = data["variants"]
    assert variant["stands"] is False and variant["void"] is None
    assert variant["failures"]["failed_5xx"] == wave(BROKEN).totals["failed_5xx"]
    assert variant["generator"]["processes"] == 6
    assert [o["met"] for o in variant["objectives"][-2:]] == [False, True]


def test_a_void_wave_has_no_verdict(merge: Merge, tmp_path: Path) -> None:
    done = merge(*parts(tmp_path, LATE), "--expect", "served > 1%")
    assert done.code == 3
    assert "VOID: the generator itself was" in done.out
    assert "void (100 %)" in done.out and "✗" in done.out


def test_what_is_no_wave_is_refused_with_its_folder(merge: Merge, tmp_path: Path) -> None:
    folders = parts(tmp_path / "parts", CALM)
    missing = merge(*folders[1:])
    assert (missing.code, missing.out) == (2, "") and "part 1 of 3 is missing" in missing.err
    twice = merge(*folders, folders[0])
    assert twice.code == 2 and twice.err.startswith(f"{folders[0]}: part 1 of 3 comes twice")
    [other, *_] = parts(tmp_path / "other", CALM, schedule="feed")
    assert "part of another wave" in merge(other, *folders).err
    (tmp_path / "empty").mkdir()
    assert "no record here" in merge(str(tmp_path / "empty")).err
    assert "no record here" in merge(str(tmp_path / "nowhere")).err
    assert merge().code == 2
    assert "not an expectation" in merge(*folders, "--expect", "fast").err
    assert "this run has no nodes" in merge(*folders, "--expect", "nodes < 3").err


def test_failures_are_told_by_kind(merge: Merge, tmp_path: Path) -> None:
    out = merge(*parts(tmp_path, BROKEN)).out
    lines = {" ".join(line.split()[:-1]): line.split()[-1] for line in out.splitlines() if line[:29].strip()}
    assert (lines["failed"], lines["5xx"], lines["reset"]) == ("1,649", "1,290", "359")
    assert (lines["timed out"], lines["read time-out"], lines["refused"]) == ("7,124", "7,124", "1,593")
    assert "wrong body" not in out and "pods" not in out
    assert "first cause: 1:35 target: answers did not come in time" in out


def test_what_is_to_be_borne_in_mind_is_below(merge: Merge, tmp_path: Path) -> None:
    out = merge(*parts(tmp_path, CALM, interrupted_s=70.0, warnings=["few local ports"])).out
    assert "mind:" in out and "  interrupted after 1:10" in out and "  few local ports" in out
    alone = merge(*parts(tmp_path / "alone", CALM)[:1], "--allow-missing").out
    assert "parts 2 and 3 of 3 are missing" in " ".join(alone.split())
