"""The root of the command line: what it loads, and how each kind of failure ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from tests.cli.commands import SEAWALL, seawall

from seawall.cli import main
from seawall.cli.ending import NoVerdictError
from seawall.fleet.errors import InputError
from seawall.twin.driver import InvariantError

HEAVY = ("numpy", "numba", "pydantic", "pyarrow", "rich", "yaml", "seawall.fleet.reader", "seawall.twin")


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["simulate", "--help"], ["hpa", "--help"]])
def test_what_is_asked_of_the_command_line_alone_loads_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; from seawall.cli.main import run\n"
        f"assert run({args!r}) == 0\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_help_names_every_verb_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    out = capsys.readouterr().out
    for verb in main.VERBS:
        line = next(line for line in out.splitlines() if line.split()[:1] == [verb])
        assert len(line.split()) > 3


def test_an_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulat", "passporter"]) == 2
    assert "did you mean simulate?" in capsys.readouterr().err


def test_an_unknown_option_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["simulate", "passporter", "--sed", "1"]) == 2
    assert "--seed" in capsys.readouterr().err


def _raising(error: BaseException) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("is odd; write 3", file="a.yaml", line=7), 2, "a.yaml:7: is odd; write 3\n"),
        (InputError("is odd"), 2, "seawall: is odd\n"),
        (InvariantError("broken: S1"), 3, "seawall: no verdict, the simulation broke a law of its own: "),
        (NoVerdictError("gone"), 3, "seawall: no verdict: gone\n"),
        (KeyboardInterrupt(), 130, "seawall: interrupted\n"),
        (click.ClickException("no"), 2, "Error: no\n"),
        (MemoryError(), 3, "seawall: the machine's memory ran out: no verdict\n"),
        (PermissionError(13, "Permission denied", "x.html"), 3, "seawall: Permission denied: x.html\n"),
    ],
)
def test_each_failure_ends_with_its_code_and_no_traceback(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        main.Verbs, "get_command", lambda *_: click.Command("simulate", callback=_raising(error))
    )
    assert main.run(["simulate"]) == code
    err = capsys.readouterr().err
    assert err.lstrip().startswith(said)
    assert "Traceback" not in err


def test_a_fault_of_our_own_is_no_verdict_and_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = click.Command("simulate", callback=_raising(ZeroDivisionError("oh")))
    monkeypatch.setattr(main.Verbs, "get_command", lambda *_: broken)
    assert main.run(["simulate"]) == 3
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err and "a fault in Seawall" in err


def test_output_that_nobody_reads_ends_quietly() -> None:
    process = subprocess.Popen([*SEAWALL, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_the_version_is_the_packages() -> None:
    from seawall import __version__

    assert seawall("--version").stdout == f"seawall {__version__}\n"
