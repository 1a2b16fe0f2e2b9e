"""docs/reference/fleet-file.md: its examples run, its tables are those of the model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleet.examples import deployment, fleet_data
from seawall.cli import init, schema
from seawall.fleet import demand, platform, service
from seawall.fleet.errors import InputError
from seawall.fleet.merge import merge
from seawall.fleet.model import FleetFile, Part
from seawall.fleet.parts import Part as BasePart
from seawall.fleet.reader import complete, fleet_from_data, source_from_data, variants
from seawall.fleet.schema import json_schema
from seawall.fleet.yamlfile import Place, load_documents

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fleet-file.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SCHEMA = json_schema()
PARTS: list[type[BasePart]] = [FleetFile] + [
    part
    for module in (service, platform, demand)
    for part in vars(module).values()
    if isinstance(part, type) and issubclass(part, Part) and part is not Part
]


def blocks(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


def rows(part: type[BasePart]) -> list[str]:
    """The table of a part: key, default, what it is."""
    described = SCHEMA if part is FleetFile else SCHEMA["$defs"][part.__name__]
    lines = []
    for info in part.model_fields.values():
        field = described["properties"][info.alias]
        default = "required" if info.is_required() else ""
        if "default" in field and field["default"] not in ("", [], {}):
            shown = str(field["default"])
            default = f"`{shown.lower() if isinstance(field['default'], bool) else shown}`"
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("measure"):
            default += " (measure)"
        lines.append(f"| `{info.alias}` | {default} | {field['description']} |")
    return lines


def test_the_complete_example_is_a_fleet_without_warnings() -> None:
    (example,) = (text for text in blocks("yaml") if text.startswith("seawall: 1"))
    (document,) = load_documents(example, "fleet-file.md")
    source = source_from_data(document.data)
    for name in variants(source):
        assert complete(source, name).warnings == ()


@pytest.mark.parametrize("text", [t for t in blocks("yaml") if not t.startswith("seawall: 1")])
def test_each_example_can_be_laid_over_a_fleet(text: str) -> None:
    (document,) = load_documents(text, "fleet-file.md")
    data: dict[str, Any] = document.data
    if "manifests" in data.get("platform", {}):
        data["platform"]["manifests"] = [deployment("django")]
    base = fleet_data(deployment("django"))
    kind = data.get("service", {}).get("server", {}).get("kind")
    if kind:
        base["service"]["server"] = {}
    if {"arrivals", "recorded"} & set(data.get("traffic", {})):
        base["traffic"] = {}
    whole, _ = merge((base, Place("base", 1)), (data, document.lines))
    source = source_from_data(whole)
    for name in variants(source):
        assert complete(source, name).pools


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_field_stands_in_its_table(part: type[BasePart]) -> None:
    lines = TEXT.splitlines()
    for row in rows(part):
        assert row in lines


def test_the_message_shown_is_the_message_given() -> None:
    (shown,) = blocks("text")
    data = fleet_data()
    data["service"]["server"]["MaxRequestWorker"] = 5
    data["platform"]["nodePools"][0]["bootTime"] = "90 sec"
    with pytest.raises(InputError) as caught:
        fleet_from_data(data)
    said = {re.sub(r"^\S+ ", "", line) for line in str(caught.value).splitlines()}
    assert said == {re.sub(r"^\S+ ", "", line) for line in shown.splitlines()}


def test_the_commands_shown_exist() -> None:
    commands = {"init": init.command, "schema": schema.command}
    for line in "".join(blocks("sh")).splitlines():
        for verb in re.findall(r"seawall (\w+)", line):
            assert CliRunner().invoke(commands[verb], ["--help"]).exit_code == 0
