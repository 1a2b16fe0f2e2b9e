"""`seawall simulate`: its exit codes, its JSON, what it refuses, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import SEAWALL, SMALL, seawall

from seawall import __version__
from seawall.cli.main import run

KEYS = ["name", "stands", "provisional", "served_share", "requests", "attempts", "latency_ms", "objectives",
        "peak", "oom_kills", "restarts", "cost", "first_cause"]  # fmt: skip


def _simulate(*args: str | Path) -> int:
    return run(["simulate", str(SMALL), *map(str, args)])


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--variant", "calm"], 0),
        (["--variant", "wave"], 1),
        (["--variant", "calm", "--variant", "wave"], 1),
        ([], 0),
        (["--variant", "calm", "--expect", "served >= 99%", "--expect", "nodes <= 2"], 0),
        (["--variant", "calm", "--expect", "nodes < 2"], 1),
        (["--expect", "served > 99%"], 1),
    ],
)
def test_the_exit_code_tells_whether_what_was_asked_for_holds(args: list[str], code: int) -> None:
    assert _simulate(*args) == code


def test_a_run_without_a_request_gives_no_verdict(tmp_path: Path) -> None:
    silent = SMALL.read_text().replace("10/s for 20s", "0/s for 20s")
    (tmp_path / "fleet.yaml").write_text(silent)
    (tmp_path / "deployment.yaml").write_text((SMALL.parent / "deployment.yaml").read_text())
    assert run(["simulate", str(tmp_path / "fleet.yaml"), "--variant", "calm"]) == 3


def test_json_is_one_object_with_the_documented_keys_and_nothing_else() -> None:
    done = seawall("simulate", SMALL, "--seed", "7", "--json")
    found = json.loads(done.stdout)
    assert list(found) == ["fleet", "seed", "version", "variants"]
    assert (found["fleet"], found["seed"], found["version"]) == ("small", 7, __version__)
    calm, wave = found["variants"]
    assert list(calm) == list(wave) == KEYS
    assert list(calm["requests"]) == [
        "sent",
        "answered",
        "failed",
        "timed_out",
        "refused",
        "shed",
        "under_way",
    ]
    assert list(calm["latency_ms"]) == ["p50", "p95", "p99"]
    assert list(calm["peak"]) == ["pods", "nodes", "nodes_not_ready", "pod_memory_mib"]
    assert list(calm["cost"]) == ["currency", "total", "per_hour_at_peak", "per_concurrent_user_month"]
    assert [list(objective) for objective in calm["objectives"]] == [["name", "target", "actual", "met"]] * 2
    assert (calm["stands"], wave["stands"]) == (True, False)
    assert calm["first_cause"] is None
    assert wave["first_cause"]["kind"]


def test_the_same_seed_gives_the_same_output_and_another_one_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = []
    for seed in (1, 1, 2):
        _simulate("--seed", str(seed), "--json", "--variant", "calm")
        outputs.append(_json(capsys)["variants"])
    assert outputs[0] == outputs[1] != outputs[2]


def test_a_repeated_variant_runs_once_and_the_order_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    _simulate("--variant", "wave", "--variant", "calm", "--variant", "wave", "--json")
    assert [variant["name"] for variant in _json(capsys)["variants"]] == ["wave", "calm"]


def test_text_shows_verdicts_cause_notes_and_that_it_is_provisional(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _simulate() == 0
    out = capsys.readouterr().out.lower()
    for part in (
        "calm",
        "wave",
        "stands",
        "falls",
        "provisional",
        "default",
        "nine requests a second",
        "cause",
    ):
        assert part in out
    assert "\x1b" not in out
    assert max(len(line) for line in out.splitlines()) <= 120


def test_what_the_user_will_not_have_meant_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = SMALL.read_text().replace("MinSpareServers: 2", "MinSpareServers: 5")
    (tmp_path / "fleet.yaml").write_text(text)
    (tmp_path / "deployment.yaml").write_text((SMALL.parent / "deployment.yaml").read_text())
    run(["simulate", str(tmp_path / "fleet.yaml"), "--json"])
    captured = capsys.readouterr()
    json.loads(captured.out)
    assert captured.err.count("Apache takes 6") == 1


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--variant", "calmm"], "calm"),
        (["--expect", "p99 < 800"], "800ms"),
        (["--expect", "speed > 3"], "'speed'"),
        (["--report", "no/such/folder/out.html"], "no/such/folder"),
        (["--report", "."], "folder"),
        (["--record", str(SMALL)], "folder"),
        (["--seed", "-1"], "--seed"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_wrong_options_are_refused_in_one_message(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _simulate(*args) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pasporter", "passporter"),
        ("missing.yaml", "missing.yaml"),
        (str(SMALL.parent / "deployment.yaml"), "deployment.yaml:1: "),
    ],
)
def test_what_is_no_fleet_is_refused(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", name]) == 2
    assert said in capsys.readouterr().err


def test_what_is_wrong_in_several_variants_is_told_once_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fleet.yaml").write_text(
        SMALL.read_text().replace("MaxRequestWorkers: 5", "MaxRequestWrkers: 5")
    )
    assert run(["simulate", str(tmp_path / "fleet.yaml")]) == 2
    err = capsys.readouterr().err
    assert "fleet.yaml:5: " in err and "MaxRequestWorkers" in err
    assert len(err.splitlines()) == 1


def test_a_variant_whose_name_leaves_the_folder_is_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deployment.yaml").write_text((SMALL.parent / "deployment.yaml").read_text())
    (tmp_path / "fleet.yaml").write_text(SMALL.read_text().replace("  calm: {}", "  ../calm: {}"))
    assert run(["simulate", str(tmp_path / "fleet.yaml"), "--record", str(tmp_path / "out")]) == 2
    assert "../calm" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deployment.yaml", "fleet.yaml"]


# ------------------------------------------------------------------------------------------- what is left behind


def test_records_are_kept_by_variant_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _simulate("--record", tmp_path / name, "--seed", "3")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["calm", "wave"]
    for path in (tmp_path / "a").rglob("*.*"):
        if path.name != "wallclock.json":
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_the_report_is_one_page_with_every_variant(tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    assert _simulate("--report", page) == 0
    text = page.read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>") and "calm" in text and "wave" in text
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_and_nobody(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "deployment.yaml").write_text((SMALL.parent / "deployment.yaml").read_text())
    (tmp_path / "fleet.yaml").write_text(
        SMALL.read_text()
        .replace("10/s for 20s", "200/s for 20h")
        .replace("  wave:\n", "  same: {}\n  wave:\n")
    )
    command = [*SEAWALL, "simulate", "fleet.yaml", "--record", "out", "--report", "out.html", "--jobs", "2"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _wait_for_children(process.pid, 2)
    # A terminal's interrupt goes to all processes of the group, a request to end to the first alone.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deployment.yaml", "fleet.yaml"]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def _wait_for_children(pid: int, number: int) -> None:
    """Until a process has so many; the kernel may have to be compiled before."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 240
    while len(children.read_text().split()) < number:
        assert time.monotonic() < deadline, "the runs were not shared out"
        time.sleep(0.05)
