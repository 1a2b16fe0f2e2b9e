"""The JSON Schema of the fleet file, from which editors complete and check it."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from seawall.fleet.distribution import Distribution, distribution_as_data
from seawall.fleet.model import FleetFile
from seawall.fleet.units import format_bytes, format_cores, format_seconds

_WRITTEN = {"seconds": format_seconds, "bytes": format_bytes, "cores": format_cores}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_DROPPED = ("title", "discriminator", "measure")


def json_schema() -> dict[str, Any]:
    """The schema of a fleet file, as JSON data (JSON Schema 2020-12).

    It accepts values with their units; what it cannot say (sums, references, manifests) the reader checks.
    """
    schema = FleetFile.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Seawall fleet file",
        **_tidy(schema),
    }


class _Generator(GenerateJsonSchema):
    """pydantic's generator, which does not know how a distribution is written."""

    def encode_default(self, dft: Any) -> Any:
        return super().encode_default(distribution_as_data(dft) if isinstance(dft, Distribution) else dft)


def _tidy(node: Any, names: bool = False) -> Any:
    """The schema without what helps nobody, defaults written with their units.

    `names`: whether the keys of `node` are names of the user's or the format's own and not keywords.
    """
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _tidy(value) for key, value in node.items()}
    tidied = {
        _BOUNDS.get(key, key): _tidy(value, names=key in ("properties", "$defs", "patternProperties"))
        for key, value in node.items()
        if key not in _DROPPED
    }
    if isinstance(tidied.get("description"), str):
        tidied["description"] = " ".join(tidied["description"].split())
    default = tidied.get("default")
    if default is None or isinstance(default, dict):
        tidied.pop("default", None)
    elif isinstance(default, int | float) and not isinstance(default, bool):
        unit = node.get("unit") or next((form.get("unit") for form in node.get("anyOf", ())), None)
        if unit in _WRITTEN:
            tidied["default"] = _WRITTEN[unit](float(default))
    return tidied
