"""The reference page of traffic says nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.ratecsv import RATE_NAMES, TIME_NAMES, read_rate_csv
from seawall.traffic.shape import parse_shape

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "traffic.md").read_text()


def blocks(kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


WAVES = [line for block in blocks("wave") for line in block.splitlines()]
NO_WAVES = [line for block in blocks("no-wave") for line in block.splitlines()]


def test_the_page_has_examples_of_every_kind() -> None:
    assert len(WAVES) >= 8
    assert len(NO_WAVES) >= 8
    assert len(blocks("python")) >= 4
    assert len(blocks("csv")) == 1


@pytest.mark.parametrize("text", WAVES)
def test_a_wave_on_the_page_is_one(text: str) -> None:
    assert parse_shape(text).peak > 0


@pytest.mark.parametrize("text", NO_WAVES)
def test_what_the_page_calls_refused_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"column \d+, at"):
        parse_shape(text)


def test_each_step_in_the_table_is_a_step() -> None:
    table = PAGE[PAGE.index("| step |") : PAGE.index("```wave")]
    steps = [
        step for row in table.splitlines()[2:] for step in re.findall(r"`([^`]+)`", row.partition("| ")[2])
    ]
    assert len(steps) >= 8
    for step in steps:
        starts = not step.startswith(("->", "hold 5m", "ebb"))
        parse_shape(f"{step}, hold 1m" if starts else f"300 for 1m, {step}, hold 1m")


@pytest.mark.parametrize("code", blocks("python"))
def test_an_example_on_the_page_runs(code: str) -> None:
    exec(compile(code, "docs/reference/traffic.md", "exec"), {})


def test_the_csv_on_the_page_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rate.csv"
    path.write_text(blocks("csv")[0])
    assert read_rate_csv(path).rate.rates.tolist() == [36.0, 41.5]


def test_the_page_names_the_columns_that_are_known() -> None:
    assert ", ".join(f"`{name}`" for name in TIME_NAMES) in PAGE.replace("\n  ", " ")
    assert ", ".join(f"`{name}`" for name in RATE_NAMES) in PAGE.replace("\n  ", " ")
