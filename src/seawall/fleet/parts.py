"""What all parts of the fleet file have in common: strict keys, fixed values, times and sizes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from seawall.fleet.distribution import Distribution, distribution_as_data, parse_distribution
from seawall.fleet.units import parse_quantity, parse_seconds


class Part(BaseModel):
    """A part of the fleet file: unknown keys are an error, values do not change after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


def measured(default: Any) -> Any:
    """A default that stands for a fact of the user's own service: listed with each verdict until given."""
    return Field(default, validate_default=True, json_schema_extra={"measure": True})


def _distribution_schema(unit: str, one: str, two: str, many: str) -> WithJsonSchema:
    """The JSON Schema of a value or a distribution of values, written with their unit."""
    value = {"type": ["number", "string"], "minimum": 0, "unit": unit, "examples": [one, two]}
    text = {"type": ["number", "string"]}

    def kind(name: str, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {name: body},
            "required": [name],
            "additionalProperties": False,
        }

    lognormal = {
        "type": "object",
        "properties": {"median": text, "mean": text, "p90": text, "p95": text, "p99": text, "cv": text},
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": False,
        "examples": [{"median": one, "p95": two}],
    }
    quantiles = {
        "type": "object",
        "patternProperties": {"^p[0-9]+([.][0-9]+)?$": text},
        "required": ["p100"],
        "additionalProperties": False,
        "examples": [{"p50": one, "p95": two, "p100": many}],
    }
    mean = {"anyOf": [text, kind("mean", text)]}
    low_high = {"type": "array", "items": text, "minItems": 2, "maxItems": 2}
    forms = [
        kind("constant", text),
        kind("exponential", mean),
        kind("lognormal", lognormal),
        kind("uniform", low_high),
        kind("quantiles", quantiles),
    ]
    return WithJsonSchema({"anyOf": [value, *forms]})


Time = Annotated[
    Distribution,
    BeforeValidator(lambda v: parse_distribution(v, parse_seconds)),
    PlainSerializer(distribution_as_data, return_type=Any),
    _distribution_schema("seconds", "20ms", "60ms", "2s"),
]
"""A time in seconds with its distribution."""

Size = Annotated[
    Distribution,
    BeforeValidator(lambda v: parse_distribution(v, parse_quantity)),
    PlainSerializer(distribution_as_data, return_type=Any),
    _distribution_schema("bytes", "2Mi", "8Mi", "64Mi"),
]
"""A size in bytes with its distribution."""
