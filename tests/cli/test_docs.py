"""Every command that the pages for users show runs as shown, in order, in a folder as they describe it.

`make` and `git` lines are left out: they are what sets up and starts this test.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.cli.commands import SEAWALL

from seawall.cli.main import VERBS, root

ROOT = Path(__file__).parent.parent.parent
PAGES = (
    "README.md",
    "docs/tutorial/first-wave.md",
    "docs/how-to/simulate-your-own-service.md",
    "docs/reference/cli.md",
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks(page: str) -> Iterator[tuple[str, str]]:
    """Each block's language and text."""
    for match in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")):
        yield match[1], match[2]


def _place(folder: Path, text: str) -> None:
    """Write a YAML block as its reader would: a file by its name, a part of a file in its place."""
    name = re.match(r"# (\S+\.yaml)", text)
    target = folder / (name[1] if name else "fleet.yaml")
    part: dict[str, Any] = yaml.safe_load(text)
    if target.exists() and "kind" not in part:
        whole = {**yaml.safe_load(target.read_text()), **part}
        if "recorded" in part.get("traffic", {}):
            whole.get("assumptions", {}).pop("traffic.users.count", None)
        text = yaml.safe_dump(whole, sort_keys=False)
    target.write_text(text)


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
def test_the_commands_of_a_page_run_as_shown(page: str, folder: Path) -> None:
    ran = 0
    for language, text in _blocks(page):
        if language == "yaml":
            _place(folder, text)
        if language != "console":
            continue
        for command in re.findall(r"^\$ (.*)", text, re.MULTILINE):
            if command.startswith(("make", "git")):
                continue
            ran += 1
            done = subprocess.run(
                ["bash", "-c", f'PATH="$PWD/bin:$PATH"; {command}'],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert ran > 0


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


@pytest.mark.parametrize("verb", VERBS)
def test_the_reference_names_every_option(verb: str) -> None:
    pages = "".join((ROOT / "docs/reference" / name).read_text() for name in ("cli.md", "hpa.md"))
    shown = CliRunner().invoke(root, [verb, "--help"]).stdout
    options = set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}
    assert {option for option in options if option not in pages} == set()


def test_what_the_pages_link_to_is_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
