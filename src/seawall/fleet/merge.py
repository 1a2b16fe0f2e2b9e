"""Merge patches: how a variant changes the fleet file and its manifests."""

from __future__ import annotations

from typing import Any

from seawall.fleet.errors import InputError
from seawall.fleet.yamlfile import Place

Placed = tuple[Any, Place]
"""A value and where it stands."""


def merge(target: Placed, patch: Placed) -> Placed:
    """`target` with `patch` laid over it; neither is changed.

    Rules: RFC 7386 (a mapping is merged key by key, null removes a key, anything else replaces), and for two
    lists whose items all carry a `name`, as Kubernetes' strategic merge does for containers: items of a name
    are merged, new ones are added at the end, and `{name: x, $patch: delete}` removes one.
    Each value of the result keeps the place it was written at.
    """
    (old, old_place), (new, new_place) = target, patch
    if isinstance(new, dict):
        return _merge_mapping(old if isinstance(old, dict) else {}, old_place, new, new_place)
    if _named(new) and _named(old):
        return _merge_named(old, old_place, new, new_place)
    return new, new_place


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict) and isinstance(v.get("name"), str) for v in value
    )


def _merge_mapping(old: dict[str, Any], old_place: Place, new: dict[str, Any], new_place: Place) -> Placed:
    data = dict(old)
    place = Place(old_place.file, old_place.line, {k: p for k, p in old_place.parts.items() if k in old})
    if not old:
        place = Place(new_place.file, new_place.line)
    for key, value in new.items():
        if value is None:
            data.pop(key, None)
            place.parts.pop(key, None)
            continue
        nothing: Placed = (None, new_place.find((key,)))
        before = (old[key], old_place.find((key,))) if key in old else nothing
        data[key], place.parts[key] = merge(before, (value, new_place.find((key,))))
    return data, place


def _merge_named(old: list[Any], old_place: Place, new: list[Any], new_place: Place) -> Placed:
    items = {item["name"]: (item, old_place.find((i,))) for i, item in enumerate(old)}
    if len(items) != len(old):
        raise InputError(
            "two items of this list have the same `name`, so a variant cannot patch it by name",
            file=old_place.file,
            line=old_place.line,
        )
    for i, item in enumerate(new):
        name, place = item["name"], new_place.find((i,))
        if item.get("$patch") == "delete":
            items.pop(name, None)
        elif name in items:
            items[name] = merge(items[name], (item, place))
        else:
            items[name] = merge((None, place), (item, place))
    merged = list(items.values())
    where = Place(old_place.file, old_place.line, {i: place for i, (_, place) in enumerate(merged)})
    return [item for item, _ in merged], where
