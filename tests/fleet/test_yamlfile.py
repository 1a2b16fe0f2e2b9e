"""YAML within bounds: what is read, where it stands, and what is refused with one message."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.fleet.yamlfile import MAX_BYTES, load_documents


def one(text: str) -> object:
    (document,) = load_documents(text, "x.yaml")
    return document.data


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        load_documents(text, "x.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("yes", "yes"),
        ("On", "On"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0644", 0o644),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("'12'", "12"),
        ('"true"', "true"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("500m", "500m"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("!!float 1", 1),
    ],
)
def test_a_plain_value_is_what_a_person_means(written: str, value: object) -> None:
    data = one(f"a: {written}")
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_keys_stay_text() -> None:
    assert one("no: 1\n8080: x\ntrue: y\n") == {"no": 1, "8080": "x", "true": "y"}


def test_each_value_has_the_line_of_its_key_or_item() -> None:
    text = "a: 1\nb:\n  - x\n  - name: y\n    size:\n      5\nc: {d: 1,\n  e: 2}\n"
    (document,) = load_documents(text, "x.yaml")
    lines = {
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 3,
        ("b", 1): 4,
        ("b", 1, "size"): 5,
        ("c", "d"): 7,
        ("c", "e"): 8,
        ("b", 1, "nowhere", "deep"): 4,
        (): 1,
    }
    assert {path: document.line_of(path) for path in lines} == lines


def test_empty_documents_are_left_out() -> None:
    assert [d.data for d in load_documents("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n", "x.yaml")] == [
        {"a": 1},
        {"b": 2},
    ]
    assert load_documents("", "x.yaml") == []


def test_json_is_yaml() -> None:
    data = {"a": [1, 2.5, True, None, "x: y"], "b": {"c": "é"}}
    assert one(json.dumps(data, indent="\t")) == data


def test_anchors_and_merge_keys_work_and_keep_their_lines() -> None:
    text = "base: &base {x: 1, y: 2}\nuse:\n  <<: *base\n  y: 3\nlist: [*base]\nboth:\n  <<: [*base, {z: 4}]"
    (document,) = load_documents(text, "x.yaml")
    assert document.data["use"] == {"x": 1, "y": 3}
    assert document.data["list"] == [{"x": 1, "y": 2}]
    assert document.data["both"] == {"x": 1, "y": 2, "z": 4}
    assert document.line_of(("use", "x")) == 1
    assert document.line_of(("use", "y")) == 4
    assert document.line_of(("list", 0)) == 5


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=6), _PLAIN, max_size=4))
def test_what_json_writes_is_read_back(data: dict[str, object]) -> None:
    assert one(json.dumps(data)) == data


def test_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    pairs = zip("abcdefghij", "bcdefghijk", strict=True)
    lines += [f"{c}: &{c} [{', '.join(['*' + p] * 9)}]" for p, c in pairs]
    error = refused("\n".join(lines))
    assert error.line == 7
    assert "1,000,000 values" in error.message


_INDENTED = "\n".join(" " * n + "a:" for n in range(400))


@pytest.mark.parametrize("text", ["[" * 50_000, "{a: " * 50_000, _INDENTED])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "200 levels" in refused(text).message


def test_an_alias_cannot_hold_itself() -> None:
    assert "names nothing" in refused("a: &a [*a]").message


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "'c' is there twice (first in line 3)"),
        ("a:\n\tb: 1\n", 2, "spaces"),
        ("a: [1, 2\nb: 3\n", 2, "brackets"),
        ('a: 1\nb: "x\n', 3, "quotes"),
        ("a: {{ .Values.x }}\n", 1, "helm template"),
        ("a:\n{{- if .Values.x }}\n  b: 1\n{{- end }}\n", 3, "helm template"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag"),
        ("a: !secret x\n", 1, "!secret"),
        ("a: !!int x\n", 1, "!!int"),
        ("? [a, b]\n: 1\n", 1, "key"),
        ("a: *nowhere\n", 1, "nowhere"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
        ("a: 1\nb: x\0y\n", 2, "U+0000"),
        ("a: &x k\n*x : 1\n", 2, "key"),
        ("a: {<<: 5}\n", 1, "<<"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    error = refused(text)
    assert (error.file, error.line) == ("x.yaml", line)
    assert says in error.message
    assert "\n" not in str(error)


def test_a_number_beyond_all_numbers_stays_text() -> None:
    assert one("a: " + "9" * 5000) == {"a": "9" * 5000}


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    started = time.perf_counter()
    with pytest.raises(InputError, match="larger than 20 MiB"):
        load_documents(file)
    assert time.perf_counter() - started < 1.0


def test_text_beyond_the_limit_is_refused() -> None:
    assert "larger than" in refused("#" * (MAX_BYTES + 1)).message


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("a: 1".encode("utf-16"), 1, "UTF-8"),
        (b"a: 1\nb: \xe9\n", 2, "UTF-8"),
        (bytes(range(256)), 2, "UTF-8"),
    ],
)
def test_other_encodings_are_refused(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_documents(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)
    assert says in caught.value.message


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    assert load_documents(file)[0].data == {"a": 1}


@pytest.mark.parametrize("name", ["nowhere.yaml", "folder", "nul\0name"])
def test_what_cannot_be_read_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as caught:
        load_documents(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)
