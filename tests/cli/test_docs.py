"""Every command that the pages for users show runs as shown, in order, in a folder as they describe it.

`make` and `git` lines are left out: they are what sets up and starts this test. Waves go to a small server, and
`SHORTER` says in what they differ from what is shown.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.cli.commands import SEAWALL
from tests.load.answering import http, serving

from seawall.cli.main import VERBS, root
from seawall.fleet.errors import InputError
from seawall.load.locust import find_locust

ROOT = Path(__file__).parent.parent.parent
PAGES = (
    "README.md",
    "docs/tutorial/first-wave.md",
    "docs/how-to/simulate-your-own-service.md",
    "docs/how-to/send-a-wave.md",
    "docs/reference/cli.md",
    "docs/reference/wave.md",
)
SHORTER = {
    "in 60s, hold 5m": "in 500ms, hold 500ms",
    "in 30s, hold 2m": "in 500ms, hold 500ms",
    "-> 1000": "-> 100",
    "-> 2000/s": "-> 200/s",
    "--speed 4x": "--speed 300x",
}
"""What a wave shows a reader, and what is sent here for it: all that changes is how long it is, and how high."""
REFERENCE = ("cli.md", "hpa.md", "wave.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(page: str) -> Iterator[tuple[str, str]]:
    """Each block's language and text."""
    for match in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
        yield match[1], match[2]


def _place(folder: Path, text: str) -> None:
    """Write a YAML block as its reader would: a file by its name, a part of a file in its place."""
    text = _shorter(text)
    name = re.match(r"# (\S+\.yaml)", text)
    target = folder / (name[1] if name else "fleet.yaml")
    part: dict[str, Any] = yaml.safe_load(text)
    if target.exists() and "kind" not in part:
        whole = {**yaml.safe_load(target.read_text()), **part}
        if "users" not in part.get("traffic", {"users": None}):
            whole.get("assumptions", {}).pop("traffic.users.count", None)
        text = yaml.safe_dump(whole, sort_keys=False)
    target.write_text(text)


def _shorter(text: str) -> str:
    for shown, short in SHORTER.items():
        text = text.replace(shown, short)
    return text


def _sent(command: str, port: int) -> str:
    """A wave as it is shown, made shorter and sent to another port."""
    return _shorter(command).replace("http://127.0.0.1:8000", f"http://127.0.0.1:{port}")


def _without_locust() -> bool:
    try:
        find_locust()
    except InputError:
        return True
    return False


def _answer(head: bytes) -> bytes:
    """A small page, with the time of day as servers tell it."""
    date = formatdate(usegmt=True).encode()
    return b"HTTP/1.1 200 OK\r\nDate: " + date + b"\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that answers well."""
    with serving(http(_answer)) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a user has it: manifests, an access log, and `seawall` on the path."""
    shutil.copytree(ROOT / "tests/data/fleet/shop/k8s", tmp_path / "k8s")
    shutil.copy(ROOT / "tests/data/traffic/apache_extract.log", tmp_path / "access.log")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "seawall"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m {SEAWALL[-1]} "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_as_shown(page: str, folder: Path, port: int) -> None:
    ran = 0
    for language, text in _blocks(page):
        if language == "yaml":
            _place(folder, text)
        if script := re.match(r"# (\S+\.py)\n", text):
            (folder / script[1]).write_text(text)
        if language != "console":
            continue
        for command in re.findall(r"^\$ (.*)", text, re.MULTILINE):
            if command.startswith(("make", "git")) or ("--locustfile" in command and _without_locust()):
                continue
            ran += 1
            done = _run(command, folder, port)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert ran > 0


def _run(command: str, folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """A command that has ended. A wave that this machine was too busy to send in time is sent again."""
    a_wave = command.startswith("seawall wave")
    line = f'PATH="$PWD/bin:$PATH"; {_sent(command, port) if a_wave else command}'
    for _ in range(5 if a_wave else 1):
        done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode != 3 or "VOID" not in done.stdout:
            break
    return done


def test_waves_are_made_shorter_only_in_what_the_pages_show() -> None:
    shown = "".join(text for page in PAGES for language, text in _blocks(page) if language == "console")
    assert [text for text in SHORTER if text not in shown] == []


def test_the_readme_shows_what_one_sees() -> None:
    """Verdicts and rows; the last digits of figures may differ from machine to machine."""
    shown = next(text for language, text in _blocks("README.md") if language == "text")
    now = CliRunner().invoke(root, ["simulate", "passporter"]).stdout
    verdicts, labels = (
        [re.findall(pattern, text, re.MULTILINE) for text in (shown, now)]
        for pattern in (r"^verdict.*", r"^\S[^\n]{2,26}?(?=  +\S)")
    )
    assert verdicts[0] == verdicts[1] != []
    assert labels[0] == labels[1]
    assert len(labels[0]) > 10


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def _options(verb: str) -> set[str]:
    return set(OPTION.findall(CliRunner().invoke(root, [verb, "--help"]).stdout))


def _named() -> set[str]:
    """The options that the reference names."""
    return {
        name for page in REFERENCE for name in OPTION.findall((ROOT / "docs/reference" / page).read_text())
    }


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_names_every_option(verb: str) -> None:
    named = _named()
    # Of a switch that is on by default, the reference names what turns it off.
    off = {"--" + name.removeprefix("--no-") for name in named if name.startswith("--no-")}
    assert _options(verb) - named - off - {"--help"} == set()


def test_the_reference_names_no_option_that_is_not_there() -> None:
    of_kubernetes = "--horizontal-pod-autoscaler-sync-period"
    there = {"--version", of_kubernetes}.union(*(_options(verb) for verb in VERBS))
    assert _named() - there == set()


def _anchors(page: Path) -> set[str]:
    """What a page's headings can be linked to by."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_what_the_pages_link_to_is_there() -> None:
    for page in PAGES:
        here = ROOT / page
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", here.read_text(encoding="utf-8")):
            there = here.parent / target if target else here
            assert there.exists(), f"{page}: {target}"
            assert not anchor or anchor in _anchors(there), f"{page}: {target}#{anchor}"
