"""What pydantic finds wrong with a fleet file, said in the file's own terms with file and line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from seawall.fleet.errors import InputError, together
from seawall.fleet.units import shown
from seawall.fleet.yamlfile import Place, Steps

_SHAPES = {
    "dict_type": "a mapping (`key: value` lines)",
    "model_type": "a mapping (`key: value` lines)",
    "model_attributes_type": "a mapping (`key: value` lines)",
    "list_type": "a list (lines that begin with `-`)",
    "string_type": "text",
}
_NOT_A_MAPPING = ("literal_error", "string_type")
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def input_error(error: ValidationError, model: type[BaseModel], data: Any, place: Place) -> InputError:
    """One InputError that lists every problem of `data` (as read) with the place it was written at."""
    by_path: dict[Steps, list[Any]] = {}
    for found in error.errors(include_url=False):
        path = _written_path(found["loc"], data, found["type"])
        by_path.setdefault(path, []).append(found)
    problems = []
    inside = {path[:n] for path in by_path for n in range(len(path))}
    for path, found_here in by_path.items():
        if path in inside and all(found["type"] in _NOT_A_MAPPING for found in found_here):
            continue  # the other member of the union, which is a mapping, says more
        for found in _telling(found_here, _value_at(data, path)):
            where = place.find(path)
            name = path_text(path)
            text = _say(found, model, path, data)
            message = f"{name}: {text}" if name else text
            problems.append(InputError(message, file=where.file, line=where.line))
    return together(problems)


def path_text(path: Steps) -> str:
    """A path as people write it: `platform.nodePools[0].instanceType`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or a list of what is known where nothing is near."""
    names = list(known)
    folded = {re.sub(r"[^a-z0-9]", "", n.lower()): n for n in reversed(names)}
    close = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), folded, n=1, cutoff=0.6)
    if close:
        others = f" (known here: {', '.join(names)})" if 1 < len(names) <= 5 else ""
        return f"did you mean `{folded[close[0]]}`?{others}"
    return f"known here: {', '.join(names)}" if names else "nothing may stand here"


def step_into(data: Any, step: str | int) -> tuple[bool, Any]:
    """Whether a mapping or list has something at `step`, and what."""
    if isinstance(data, dict) and step in data:
        return True, data[step]
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return True, data[step]
    return False, None


def _written_path(loc: tuple[str | int, ...], data: Any, kind: str) -> Steps:
    """pydantic's location without the names of union members, which nobody wrote."""
    path: list[str | int] = []
    here = data
    for i, step in enumerate(loc):
        found, below = step_into(here, step)
        if found:
            here = below
        elif not (kind == "missing" and i == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def _value_at(data: Any, path: Steps) -> Any:
    for step in path:
        _, data = step_into(data, step)
    return data


def _telling(found: list[Any], value: Any) -> list[Any]:
    """Of what each member of a union says about one value, what helps: the word for a word, and so on."""
    if len(found) == 1:
        return found
    mapping_kinds = ("model_type", "model_attributes_type", "dict_type")
    if isinstance(value, dict):
        found = [f for f in found if f["type"] not in _NOT_A_MAPPING] or found
    else:
        found = [f for f in found if f["type"] not in mapping_kinds] or found
    return found[:1] if len({f["type"] for f in found}) == 1 else found


def _say(found: Any, model: type[BaseModel], path: Steps, data: Any) -> str:
    kind, context, value = found["type"], found.get("ctx", {}), _value_at(data, path)
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(path[-1]), _known_beside(model, found['loc']))}"
    if kind == "missing":
        return f"is missing; {_what_to_write(model, path, found['loc'])}"
    if kind == "value_error":
        return str(context.get("error", found["msg"]))
    if kind in _BOUNDS:
        key, bound = _BOUNDS[kind]
        return f"{shown(value)} is impossible; write {bound} {context[key]:g}"
    if kind == "literal_error":
        words = [word.strip("'") for word in re.split(r", | or ", context["expected"])]
        return f"{shown(value)} is not known; {nearest(str(value), words)}"
    if kind == "union_tag_invalid":
        words = [word.strip("'") for word in context["expected_tags"].split(", ")]
        return f"kind `{context['tag']}` is not known; {nearest(context['tag'], words)}"
    if kind == "union_tag_not_found":
        return "says no `kind`; write for example kind: apache-prefork or kind: gunicorn-sync"
    return _say_shape(kind, value) or str(found["msg"])


def _say_shape(kind: str, value: Any) -> str | None:
    if kind in ("too_short", "string_too_short"):
        return "is empty; give at least one" if kind == "too_short" else "is empty; write a name"
    if kind == "string_pattern_mismatch":
        return f'{shown(value)} is not a version; write for example "1.36" or "6.8"'
    if kind == "string_type" and isinstance(value, int | float):
        return f"{shown(value)} is read as a number or a truth value; put it in quotes"
    return f"{shown(value)} stands where {_SHAPES[kind]} is expected" if kind in _SHAPES else None


def _known_beside(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The keys that are known where an unknown one stands."""
    owner = _owner(model, loc)
    return [field.alias or name for name, field in owner.model_fields.items()] if owner else []


def _what_to_write(model: type[BaseModel], path: Steps, loc: tuple[str | int, ...]) -> str:
    owner = _owner(model, loc)
    fields = owner.model_fields if owner else {}
    for name, field in fields.items():
        if (field.alias or name) == path[-1]:
            help_text = (field.description or "").split("\n")[0]
            return f"write `{path[-1]}:`" + (f" ({help_text})" if help_text else "")
    return f"write `{path[-1]}:`"


def _owner(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model to which the last key of `loc` would belong."""
    candidates: list[Any] = [model]
    for step in loc[:-1]:
        below: list[Any] = []
        for candidate in candidates:
            below.extend(_below(candidate, step))
        candidates = below
    models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return models[0] if models else None


def _below(annotation: Any, step: str | int) -> list[Any]:
    """What may stand under `step` of a value of this annotation, union members by name or tag."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if step in (field.alias, name):
                return _members(field.annotation)
        kind = annotation.model_fields.get("kind")
        tags = getattr(kind.annotation, "__args__", ()) if kind else ()
        return [annotation] if step == annotation.__name__ or step in tags else []
    arguments = getattr(annotation, "__args__", ())
    return _members(arguments[-1]) if arguments else []


def _members(annotation: Any) -> list[Any]:
    """A union's members, with `Annotated` taken off."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    origin = getattr(annotation, "__origin__", None)
    if origin in (list, dict) or not getattr(annotation, "__args__", ()):
        return [annotation]
    return [m for argument in annotation.__args__ for m in _members(argument)]
