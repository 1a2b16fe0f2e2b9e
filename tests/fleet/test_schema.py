"""The JSON Schema says what the reader says, describes every field, and takes our fleets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from fleet.examples import DATA, fleet_data
from seawall.cli.schema import command
from seawall.fleet.errors import InputError
from seawall.fleet.reader import fleet_from_data
from seawall.fleet.schema import json_schema
from seawall.fleet.stories import load, stories
from seawall.fleet.yamlfile import load_documents

SCHEMA = json_schema()
CHECK = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", ["shop", *stories()])
def test_our_fleets_follow_it(name: str) -> None:
    source: Any = load(name) if name in stories() else load_documents(DATA / name / "fleet.yaml")[0]
    assert list(CHECK.iter_errors(source.data)) == []


def _parts() -> dict[str, Any]:
    return {"FleetFile": SCHEMA, **SCHEMA["$defs"]}


@pytest.mark.parametrize("name", _parts())
def test_every_field_is_described_and_unknown_keys_are_refused(name: str) -> None:
    part = _parts()[name]
    assert part["additionalProperties"] is False
    assert part["description"]
    for key, field in part["properties"].items():
        assert field.get("description"), f"{name}.{key}"
        assert "\n" not in field["description"]


@pytest.mark.parametrize(
    "change",
    [
        {"service": {"memory": {"base": "60Mi", "worker": 1e7}}},
        {"service": {"requests": {"page": {"cpu": {"exponential": {"mean": "20ms"}}}}}},
        {
            "service": {
                "requests": {"page": {"wait": {"quantiles": {"p50": "1ms", "p99.9": 1, "p100": "2s"}}}}
            }
        },
        {"service": {"server": {"kind": "gunicorn-sync", "workers": 2, "preload_app": "On"}}},
        {"platform": {"balancer": {"maxconn": 5}}},
        {"platform": {"balancer": {"kind": "kube-proxy"}}},
        {"platform": {"manifests": ["k8s", {"kind": "Deployment"}]}},
        {"objectives": {"served": "99.9%", "latency": {"p99": "1s"}}},
        {"objectives": {"served": 0.99}},
        {"variants": {"a": None, "b": {"service": {"server": {"MaxRequestWorkers": None}}, "manifests": {}}}},
        {"traffic": {"recorded": {"file": "access.log", "from": "1m", "for": 60}}},
    ],
)
def test_what_people_write_is_accepted(change: dict[str, Any]) -> None:
    assert list(CHECK.iter_errors({**fleet_data(), **_over(fleet_data(), change)})) == []


def _over(data: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Each changed part of the file, one level deep."""
    return {key: {**data.get(key, {}), **value} for key, value in change.items()}


@pytest.mark.parametrize(
    "change",
    [
        {"service": {"memory": {"bass": "60Mi"}}},
        {"service": {"server": {"kind": "apache-prefork", "MaxRequestWorkers": 0}}},
        {"service": {"server": {"kind": "nginx"}}},
        {"service": {"requests": {}}},
        {"service": {"requests": {"page": {"cpu": {"gaussian": "20ms"}}}}},
        {"platform": {"nodePools": []}},
        {"platform": {"kubernetes": "latest"}},
        {"objectives": {"served": 2}},
        {"nonsense": {}},
    ],
)
def test_what_the_reader_refuses_it_refuses_too(change: dict[str, Any]) -> None:
    data = {**fleet_data(), **_over(fleet_data(), change)}
    assert list(CHECK.iter_errors(data))
    with pytest.raises(InputError):
        fleet_from_data(data)


def test_defaults_are_written_as_people_write_them() -> None:
    start = SCHEMA["$defs"]["Start"]["properties"]
    pool = SCHEMA["$defs"]["NodePool"]["properties"]
    assert start["applicationCpu"]["default"] == "500ms"
    assert (pool["evictionHard"]["default"], pool["systemCpu"]["default"]) == ("100Mi", "50m")
    assert pool["bootTime"]["default"] == "1m30s"


def test_defaults_are_values_that_it_accepts() -> None:
    for name, part in _parts().items():
        for key, field in part["properties"].items():
            if "default" in field:
                check = jsonschema.Draft202012Validator({**field, "$defs": SCHEMA["$defs"]})
                assert list(check.iter_errors(field["default"])) == [], f"{name}.{key}"


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == SCHEMA


def test_yaml_and_json_agree(tmp_path: Path) -> None:
    file = tmp_path / "fleet.json"
    file.write_text(json.dumps(yaml.safe_load(yaml.safe_dump(fleet_data()))))
    assert load_documents(file)[0].data == fleet_data()
