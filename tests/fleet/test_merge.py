"""Merge patches: RFC 7386's own cases and laws, lists matched by name, and the lines of what comes out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.fleet.merge import merge
from seawall.fleet.yamlfile import Place, load_documents


def merged(target: Any, patch: Any) -> Any:
    return merge((target, Place("a", 1)), (patch, Place("b", 1)))[0]


# The table of RFC 7386, appendix A, but for patches that are null as a whole (a variant is a mapping).
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_rfc_7386(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


_KEYS = st.sampled_from(["a", "b", "c", "name"])
_VALUES = st.recursive(
    st.integers(0, 3) | st.text(max_size=2),
    lambda inner: st.dictionaries(_KEYS, inner, max_size=3) | st.lists(st.integers(0, 3), max_size=3),
    max_leaves=8,
)
_TARGETS = st.dictionaries(_KEYS, _VALUES, max_size=4)
_PATCHES = st.dictionaries(
    _KEYS,
    st.none() | _VALUES | st.dictionaries(_KEYS, st.none() | _VALUES, max_size=3),
    max_size=4,
)


@given(_TARGETS)
def test_an_empty_patch_changes_nothing(target: dict[str, Any]) -> None:
    assert merged(target, {}) == target


@given(_TARGETS, _PATCHES)
def test_a_patch_twice_is_a_patch_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merged(merged(target, patch), patch) == merged(target, patch)


@given(_TARGETS, _PATCHES)
def test_neither_side_is_changed(target: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((target, patch))
    merged(target, patch)
    assert (target, patch) == before


@given(_TARGETS, _PATCHES)
def test_a_key_is_there_as_the_patch_says(target: dict[str, Any], patch: dict[str, Any]) -> None:
    result = merged(target, patch)
    for key in {*target, *patch}:
        assert (key in result) == (patch[key] is not None if key in patch else True)


def test_items_of_one_name_are_merged_and_new_ones_added() -> None:
    target = [{"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}]}, {"name": "log"}]
    patch = [{"name": "web", "env": [{"name": "B", "value": "2"}]}, {"name": "new", "x": 1}]
    assert merged(target, patch) == [
        {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"name": "log"},
        {"name": "new", "x": 1},
    ]


def test_an_item_can_be_taken_out() -> None:
    assert merged([{"name": "a"}, {"name": "b"}], [{"name": "a", "$patch": "delete"}]) == [{"name": "b"}]


def test_lists_without_names_are_replaced() -> None:
    assert merged([{"type": "Resource"}], [{"type": "Pods"}]) == [{"type": "Pods"}]
    assert merged([{"name": "a"}], ["a"]) == ["a"]


def test_two_items_of_one_name_cannot_be_patched() -> None:
    with pytest.raises(InputError, match="same `name`"):
        merged([{"name": "a"}, {"name": "a"}], [{"name": "a", "x": 1}])


def test_values_keep_the_place_they_were_written_at() -> None:
    (old,) = load_documents("a: 1\nb:\n  - name: x\n    c: 1\n    d: 2\n", "old.yaml")
    (new,) = load_documents("\n\nb:\n  - name: y\n  - name: x\n    d: 3\n    e: {f: 4}\n", "new.yaml")
    data, place = merge((old.data, old.lines), (new.data, new.lines))
    assert data["b"][0] == {"name": "x", "c": 1, "d": 3, "e": {"f": 4}}

    def at(*path: str | int) -> tuple[str, int]:
        where = place.find(path)
        return where.file, where.line

    assert at("a") == ("old.yaml", 1)
    assert at("b", 0, "c") == ("old.yaml", 4)
    assert at("b", 0, "d") == ("new.yaml", 6)
    assert at("b", 0, "e", "f") == ("new.yaml", 7)
    assert at("b", 1) == ("new.yaml", 4)
