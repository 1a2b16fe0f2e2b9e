"""Paths are put into classes by the first pattern that matches, and classes are proposed from a log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.logs.log import RequestLog
from seawall.traffic.logs.read import read_log
from seawall.traffic.patterns import NO_REQUEST, compile_patterns, propose_classes

EXTRACT = Path(__file__).parent.parent / "data" / "traffic" / "apache_extract.log"


def log_of(tmp_path: Path, *requests: str) -> RequestLog:
    """A log with one line for each request line."""
    path = tmp_path / "access.log"
    path.write_text(
        "".join(f'192.0.2.1 - - [17/May/2015:10:05:03 +0000] "{r} HTTP/1.1" 200 1\n' for r in requests)
    )
    return read_log(path)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/", ["GET /", "POST /", "GET /?q=1", "GET /#top"], ["GET /a"]),
        ("/api/*", ["GET /api/", "GET /api/a/b?c", "PUT /api/x"], ["GET /api", "GET /v1/api/x"]),
        ("*.php", ["GET /a/b.php", "GET /b.php?x=/y"], ["GET /b.php5"]),
        ("/a*z", ["GET /az", "GET /a/b/z"], ["GET /a", "GET /azb"]),
        ("/a.b+(c)", ["GET /a.b+(c)"], ["GET /aXb+(c)", "GET /a.bb(c)"]),
        ("POST /api/*", ["POST /api/x"], ["GET /api/x"]),
        (r"~^/item/\d+$", ["GET /item/12", "GET /item/12?x"], ["GET /item/12/a", "GET /x/item/1"]),
        (r"~\.(png|css)$", ["GET /a.png"], ["GET /a.png.txt", "GET /apng"]),
        (r"DELETE ~^/item/", ["DELETE /item/1"], ["GET /item/1"]),
        ("OPTIONS *", ["OPTIONS *", "OPTIONS /x"], ["GET /x"]),
    ],
)
def test_a_pattern_matches_whole_paths_without_their_query(
    pattern: str, yes: list[str], no: list[str]
) -> None:
    classifier = compile_patterns({"it": [pattern]})
    assert [classifier.classify(*r.split()) for r in yes] == [0] * len(yes)
    assert [classifier.classify(*r.split()) for r in no] == [1] * len(no)


def test_the_first_pattern_decides() -> None:
    classes = {"login": ["POST /login"], "api": ["/api/*", "/login"], "all": ["/*"]}
    classifier = compile_patterns(classes)
    requests = [("POST", "/login"), ("GET", "/login"), ("GET", "/api/"), ("GET", "/x"), ("OPTIONS", "*")]
    assert [classifier.classify(*r) for r in requests] == [0, 1, 1, 2, 3]
    backwards = compile_patterns(dict(reversed(classes.items())))
    assert [backwards.classify(*r) for r in requests] == [0, 0, 0, 0, 3]


def test_the_rest_goes_to_other_where_it_is_declared() -> None:
    classifier = compile_patterns({"other": [], "api": ["/api/*"]})
    assert (classifier.other, classifier.classify("GET", "/x"), classifier.classify("GET", "/api/x")) == (
        0,
        0,
        1,
    )


def test_shares_and_classes_of_a_log(tmp_path: Path) -> None:
    log = log_of(tmp_path, "GET /a", "GET /a?1", "POST /a", "GET /b", "GET /c", "-")
    log = read_log(_with_idle(tmp_path))
    classifier = compile_patterns({"write": ["POST *"], "a": ["/a"]})
    assert classifier.classes(log).tolist() == [1, 1, 0, 2, 2, NO_REQUEST]
    assert classifier.shares(log) == {"write": 0.2, "a": 0.4, "other": 0.4}
    declared = compile_patterns({"other": [], "a": ["/a"]})
    assert declared.shares(log) == pytest.approx({"other": 0.4, "a": 0.6})


def _with_idle(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(path.read_text().replace('"- HTTP/1.1"', '"-"'))
    return path


@pytest.mark.parametrize(
    ("pattern", "advice"),
    [
        ("", "is empty"),
        ("api/*", "begins with `/` or `\\*`"),
        ("get /a", "begins with"),
        ("/a b", "begins with"),
        ("/search?q=*", "leave it out"),
        ("~(", "no regular expression"),
        ("POST ~[", "no regular expression"),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_class(pattern: str, advice: str) -> None:
    with pytest.raises(InputError, match=advice) as caught:
        compile_patterns({"api": [pattern]})
    assert "of class api" in str(caught.value)


def test_proposed_classes_cover_a_real_log_as_they_say() -> None:
    log = read_log(EXTRACT)
    proposed = propose_classes(log)
    assert 3 <= len(proposed) <= 6
    assert proposed[0].name == "static"
    assert sum(c.share for c in proposed) == pytest.approx(1.0)
    names = [c.name for c in proposed]
    assert len(set(names)) == len(names)
    classifier = compile_patterns({c.name: c.patterns for c in proposed})
    shares = classifier.shares(log)
    assert shares.pop("other") == 0.0
    assert shares == pytest.approx({c.name: c.share for c in proposed})
    for c in proposed:
        methods = {m for m in log.methods if classifier.classify(m, c.example) == names.index(c.name)}
        assert methods


def test_ids_are_one_pattern_and_writes_a_class_of_their_own(tmp_path: Path) -> None:
    users = [f"GET /api/users/{n}/orders" for n in range(40)]
    items = [f"GET /api/items/{n:08x}-1234-5678-9abc-def012345678" for n in range(30)]
    writes = ["POST /api/orders"] * 20
    log = log_of(tmp_path, *users, *items, *writes, "PUT /odd")
    patterns = {c.name: (c.patterns, round(c.share, 3)) for c in propose_classes(log, at_most=8)}
    assert patterns["post"] == (("POST /*",), round(20 / 91, 3))
    assert (("/api/users/*/orders",), round(40 / 91, 3)) in patterns.values()
    assert (("/api/items/*",), round(30 / 91, 3)) in patterns.values()
    assert np.isclose(sum(share for _, share in patterns.values()), 1.0, atol=0.01)


def test_no_more_classes_are_proposed_than_asked_for(tmp_path: Path) -> None:
    log = log_of(tmp_path, *(f"GET /{part}/x" for part in "abcdefgh"), "GET /x.png")
    for at_most in (1, 2, 3):
        assert len(propose_classes(log, at_most)) == at_most
    assert propose_classes(read_log(_only_idle(tmp_path))) == []


def _only_idle(tmp_path: Path) -> Path:
    path = tmp_path / "idle.log"
    path.write_text('192.0.2.1 - - [17/May/2015:10:05:03 +0000] "-" 408 -\n')
    return path
