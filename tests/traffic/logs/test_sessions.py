"""Visitors are told apart by what is asked for, where the log has it."""

from __future__ import annotations

import pytest

from seawall.fleet.demand import SESSION_KEY
from seawall.fleet.errors import InputError
from seawall.traffic.logs.sessions import SessionKey, parse_session_key
from traffic.logs.conftest import Read

FORMAT = '%h %u %t "%r" %>s "%{User-Agent}i" %{sid}C "%{Cookie}i" "%{X-Tenant}i"'


def line(host: str = "192.0.2.1", user: str = "-", agent: str = "A", rest: str = '- "-" "-"') -> str:
    """A line of FORMAT."""
    return f'{host} {user} [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 "{agent}" {rest}'


LINES = [
    line(),
    line(host="192.0.2.2"),
    line(agent="B"),
    line(user="ann"),
    line(user="ann", host="192.0.2.2"),
    line(rest='7 "-" "t"'),
    line(host="192.0.2.2", rest='7 "-" "t"'),
    line(rest='- "x=1; sid=8" "-"'),
    line(agent="B", rest='- "sid=8; y=2" "u"'),
    line(agent="C", rest='- "xsid=8" "-"'),
]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("auto", [0, 1, 2, 3, 3, 0, 1, 0, 2, 4]),
        ("user", [0, 1, 2, 3, 3, 0, 1, 0, 2, 4]),
        ("address", [0, 1, 0, 0, 1, 0, 1, 0, 0, 0]),
        ("cookie:sid", [0, 1, 2, 3, 3, 4, 4, 5, 5, 6]),
        ("header:X-Tenant", [0, 1, 2, 3, 3, 4, 4, 0, 5, 6]),
        ("header:user-agent", [0, 0, 1, 0, 0, 0, 0, 0, 1, 2]),
    ],
)
def test_what_is_asked_for_tells_visitors_and_else_user_or_address_and_agent(
    read: Read, key: str, expected: list[int]
) -> None:
    log = read(FORMAT, *LINES, session=key)
    assert log.session.tolist() == expected
    assert log.sessions == max(expected) + 1


def test_where_nothing_tells_the_visitor_each_request_is_one(read: Read) -> None:
    lines = ['[17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 A'] * 3
    assert read('%t "%r" %>s %{User-Agent}i', *lines).session.tolist() == [0, 1, 2]
    known = ['[17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 ' + user for user in ("ann", "-", "ann", "-")]
    assert read('%t "%r" %>s %u', *known).session.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("log_format", "key", "message"),
    [
        ("combined", "cookie:sid", "the format combined holds no cookie sid; it has address, user"),
        ("alb", "user", "the format alb holds no user; it has address"),
        ('%t "%r" %u', "address", "holds no address; it has user"),
        ('%h %t "%r" %{a}C', "cookie:b", "holds no cookie b; it has address, cookie:a"),
        ('%t "%r"', "header:x", "holds no header x; it has nothing of the kind"),
    ],
)
def test_a_key_that_the_log_does_not_have_is_refused(
    read: Read, log_format: str, key: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(log_format, "x", session=key)
    assert message in str(caught.value)


def test_keys_are_read_as_the_fleet_file_takes_them() -> None:
    import re

    for text in ("auto", "user", "address", "cookie:PHPSESSID", "header:X-Tenant"):
        assert parse_session_key(text).text == text
        assert re.fullmatch(SESSION_KEY, text)
    for text in ("", "cookie", "cookie:", "header:a b", "ip", "user:x", "cookie:a=b"):
        assert not re.fullmatch(SESSION_KEY, text)
        with pytest.raises(InputError, match="write user, address, cookie:NAME"):
            parse_session_key(text)
    assert parse_session_key("cookie:sid") == SessionKey("cookie", "sid")


def test_nothing_of_a_visitor_is_kept_but_a_number(read: Read) -> None:
    log = read(
        "combined", 'secret.example - ann [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "Agent"'
    )
    kept = (
        " ".join(str(getattr(log, name)) for name in log.__slots__)
        + " ".join(log.paths)
        + " ".join(log.notes)
    )
    assert not any(secret in kept for secret in ("secret", "ann", "Agent"))


def test_damaged_lines_are_shown_apart_from_the_notes(read: Read) -> None:
    good = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "Agent"'
    log = read("combined", good, "203.0.113.9 - ann \x1b[31m odd", *[good] * 2)
    assert [(e.line, e.text) for e in log.examples] == [(2, "203.0.113.9 - ann \\x1b[31m odd")]
    assert not any("203.0.113.9" in note or "ann" in note for note in log.notes)
