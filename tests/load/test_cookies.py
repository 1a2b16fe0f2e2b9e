"""Cookies: a jar is a dictionary in the order of the latest setting, and says what Python's own jar would send."""

from __future__ import annotations

import email.message
import http.cookiejar
import urllib.request
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seawall.load.engine.cookies import address_of, set_cookie

_njit: Any = numba.njit


@_njit(cache=True)
def _set(jar, data, begin, end):
    set_cookie(address_of(jar), len(jar), address_of(data) + begin, address_of(data) + end)


def new_jar(size: int = 4096) -> NDArray[np.uint8]:
    return np.zeros(size, np.uint8)


def put(jar: NDArray[np.uint8], *values: bytes) -> bytes:
    """Give a jar values of Set-Cookie as they stand in a head, and read what it would send then."""
    for value in values:
        data = np.frombuffer(b"Set-Cookie: " + value + b"\r\nX: y=z\r\n", np.uint8).copy()
        _set(jar, data, 11, 14 + len(value))
    length = int.from_bytes(jar[:2].tobytes(), "little")
    assert length <= max(0, len(jar) - 2)
    return jar[2 : 2 + length].tobytes()


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        ([b"a=b"], b"a=b"),
        ([b"a=b", b"c=d"], b"a=b; c=d"),
        ([b"a=b", b"c=d", b"a=e"], b"c=d; a=e"),
        ([b"a=b", b"c=d", b"e=f", b"c=longer"], b"a=b; e=f; c=longer"),
        ([b"a=b", b"A=c"], b"a=b; A=c"),
        ([b"ab=1", b"a=2", b"b=3", b"a=4"], b"ab=1; b=3; a=4"),
        ([b"  a \t= b c \t; Path=/x"], b"a=b c"),
        ([b"a="], b"a="),
        ([b"a=", b"a=b==c="], b"a=b==c="),
        ([b'a="b,c"; Domain=elsewhere.test; Secure; HttpOnly; SameSite=Lax'], b'a="b,c"'),
        ([b"=b", b"a", b"", b";", b"; a=b", b"a; b=c"], b""),
        ([b"a=b", b"c=d\r\n e", b"a=\x01", b"a\x7f=c", b"f=g\x00"], b"a=b"),
        ([b"a=b;\r\n Path=/"], b"a=b"),
        ([b"a=\xc3\xa9"], b"a=\xc3\xa9"),
    ],
)
def test_values(values: list[bytes], sent: bytes) -> None:
    assert put(new_jar(), *values) == sent


@pytest.mark.parametrize(
    ("attributes", "gone"),
    [
        (b"Max-Age=0", True),
        (b"max-age=-5", True),
        (b" MAX-AGE = 0 ", True),
        (b"Max-Age=3600", False),
        (b"Max-Age=010", False),
        (b"Max-Age=", False),
        (b"Max-Age=soon", False),
        (b"Max-Age=0x", False),
        (b"Max-Age", False),
        (b"X-Max-Age=0", False),
        (b"Max-Ages=0", False),
        (b"Max-Age=5; Max-Age=0", True),
        (b"Max-Age=0; Max-Age=5", False),
        (b"Max-Age=0; Max-Age=never", True),
        (b"Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
        (b"expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/", True),
        (b"Expires=Thu, 01-Jan-70 00:00:10 GMT", True),
        (b"Expires=Thu Jan  1 00:00:00 1970", True),
        (b"expires=Mon, 11-Oct-1999 22:00:00 GMT; path=/", True),
        (b"Expires=1970-01-01", True),
        (b"Expires=Fri, 31 Dec 2038 23:59:59 GMT", False),
        (b"Expires=Fri, 31-Dec-38 23:59:59 GMT", False),
        (b"Expires=Fri Dec 31 23:59:59 2038", False),
        (b"Expires=0", False),
        (b"Expires=12:34:1970", False),
        (b"Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", False),
        (b"Max-Age=0; Expires=Fri, 31 Dec 2038 23:59:59 GMT", True),
        (b"Path=/; Comment=1970", False),
    ],
)
def test_what_removes_a_cookie(attributes: bytes, gone: bool) -> None:
    jar = new_jar()
    put(jar, b"first=1", b"sid=old", b"last=2")
    assert put(jar, b"sid=new; " + attributes) == (
        b"first=1; last=2" if gone else b"first=1; last=2; sid=new"
    )


def test_what_does_not_fit_is_left_out() -> None:
    jar = new_jar(2 + len(b"a=b; c=d"))
    assert put(jar, b"a=b", b"c=d") == b"a=b; c=d"
    assert put(jar, b"e=f") == b"a=b; c=d"
    # A value that holds no more is not sent, though its successor has no room.
    assert put(jar, b"c=dd") == b"a=b"
    assert put(jar, b"e=f") == b"a=b; e=f"
    for size in (0, 1, 2, 3):
        assert put(new_jar(size), b"a=b") == b""


_name = st.text("abAB", min_size=1, max_size=3).map(str.encode)
_attribute = st.sampled_from([b"", b"; Path=/", b"; Max-Age=0"])
_value = st.text("ab=1 ", max_size=6).map(str.strip).map(str.encode)


@given(
    st.lists(st.tuples(_name, _value, _attribute), max_size=12),
    st.sampled_from([12, 4096]),
)
def test_a_jar_is_a_dictionary(settings: list[tuple[bytes, bytes, bytes]], size: int) -> None:
    jar, kept = new_jar(size), dict[bytes, bytes]()
    for name, value, attribute in settings:
        sent = put(jar, name + b"=" + value + attribute)
        kept.pop(name, None)
        longer = {**kept, name: value}
        if (
            b"Max-Age" not in attribute
            and len(b"; ".join(n + b"=" + v for n, v in longer.items())) <= size - 2
        ):
            kept = longer
        assert sent == b"; ".join(n + b"=" + v for n, v in kept.items())


def test_sends_what_pythons_jar_sends() -> None:
    """As Django, PHP, Rails, Express and Tomcat set, renew and remove them."""
    values = [
        "csrftoken=k3y; expires=Mon, 22 Nov 2038 21:49:21 GMT; Max-Age=31449600; Path=/; SameSite=Lax",
        "sessionid=0123456789abcdef; HttpOnly; Path=/; SameSite=Lax",
        "PHPSESSID=q1w2e3; path=/",
        "_shop_session=BAh7--9f; path=/; HttpOnly",
        "connect.sid=s%3Aabc.def%2Fg; Path=/; Expires=Mon, 22 Nov 2038 21:49:21 GMT; HttpOnly",
        "JSESSIONID=1A530637289A03B07199A44E8D531427; Path=/; HttpOnly",
        "sessionid=; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax",
        "PHPSESSID=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/",
        "_shop_session=new--11; path=/; HttpOnly",
        "connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ]
    jar, theirs = new_jar(), http.cookiejar.CookieJar()
    for value in values:
        sent = put(jar, value.encode())
        said = email.message.Message()
        said["Set-Cookie"] = value
        response: Any = type("Response", (), {"info": lambda self, said=said: said})()
        theirs.extract_cookies(response, urllib.request.Request("http://shop.test/"))
        request = urllib.request.Request("http://shop.test/")
        theirs.add_cookie_header(request)
        assert sorted(sent.decode().split("; ")) == sorted((request.get_header("Cookie") or "").split("; "))
    assert put(jar) == b"csrftoken=k3y; JSESSIONID=1A530637289A03B07199A44E8D531427; _shop_session=new--11"
