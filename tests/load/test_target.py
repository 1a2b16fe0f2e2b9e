"""A URL says where a wave goes; what cannot be sent to is known before the wave, with the way out."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.load.target import Target, parse_target, reach, resolve

from .answering import CERTIFICATES, deaf, refusing, serving, wait_for_end

AUTHORITY = CERTIFICATES / "authority.pem"


def message(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ the URL


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path"),
    [
        ("http://127.0.0.1:8000/", "http", "127.0.0.1", 8000, "/"),
        ("http://shop.test", "http", "shop.test", 80, "/"),
        ("HTTPS://Shop.Test./a/b?c=d", "https", "shop.test", 443, "/a/b?c=d"),
        ("http://shop.test:/?q", "http", "shop.test", 80, "/?q"),
        ("http://shop.test?q=1", "http", "shop.test", 80, "/?q=1"),
        ("  http://my_app:8000/@user  ", "http", "my_app", 8000, "/@user"),
        ("http://[::1]:8000/", "http", "::1", 8000, "/"),
        ("http://[0:0::0:1]/", "http", "::1", 80, "/"),
        ("http://[fe80::1%25lo]/", "http", "fe80::1%lo", 80, "/"),
        ("http://[fe80::1%lo]/", "http", "fe80::1%lo", 80, "/"),
        ("http://bücher.test/ä?ö=%20", "http", "xn--bcher-kva.test", 80, "/%C3%A4?%C3%B6=%20"),
    ],
)
def test_a_url_is_read(url: str, scheme: str, host: str, port: int, path: str) -> None:
    assert parse_target(url) == Target(scheme, host, port, path)


@pytest.mark.parametrize(
    ("url", "instead"),
    [
        ("", "http://127.0.0.1:8000/"),
        ("localhost:8000/x", "write for example http://localhost:8000/x"),
        ("127.0.0.1", "write for example http://127.0.0.1"),
        ("//shop.test/", "write for example http://shop.test/"),
        ("https:/shop.test", "write for example https://shop.test"),
        ("ftp://shop.test/x", "write for example http://shop.test/x"),
        ("ws://shop.test/", "neither http:// nor https://"),
        ("http:///x", "no host"),
        ("http://shop.test:0/", "from 1 to 65535: http://shop.test:8000/"),
        ("http://shop.test:65536/", "from 1 to 65535"),
        ("http://shop.test:http/x", "http://shop.test:8000/x"),
        ("http://shop.test:²/", "is not a port"),
        ("http://shop.test/#top", "write http://shop.test/"),
        ("http://shop.test/a b", "write it as %20"),
        ("http://shop.test/a\nHost: x", "write it as %0A"),
        ("http://::1:8000/", "in brackets: http://[::1]:8000/"),
        ("http://[::1/", "is not a host"),
        ("http://[1.2.3.4]/", "is not an IPv6 address"),
        ("http://[::1%]/", "is not an IPv6 address"),
        ("http://straße.test/", "two different hosts"),
        ("http://shop..test/", "not the name of a host"),
        ("http://-shop.test/", "not the name of a host"),
        ("http://sh%6Fp.test/", "not the name of a host"),
        ("http://shop\\test/", "not the name of a host"),
        (f"http://{'a' * 64}.test/", "not the name of a host"),
        (f"http://ä{'a' * 64}.test/", "`xn--` form"),
        (f"http://{'.'.join(['a' * 60] * 5)}/", "not the name of a host"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_with_what_to_write(url: str, instead: str) -> None:
    assert instead in message(lambda: parse_target(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret@shop.test/x",
        "https://s3cret@shop.test/x",
        "ftp://user:s3cret@shop.test/x",
        "user:s3cret@shop.test/x",
        "http:/user:s3cret@shop.test/x",
        "http://user:s3cret/s3cret@shop.test/x",
        "http://user:@s3cret@shop.test/x",
    ],
)
def test_a_password_is_refused_and_never_shown(url: str) -> None:
    said = message(lambda: parse_target(url))
    assert "s3cret" not in said
    assert "://shop.test/x" in said


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.one_of(
        st.ip_addresses(v=4).map(str),
        st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
        st.from_regex(r"[a-z][a-z0-9]{0,9}(\.[a-z][a-z0-9]{0,9}){0,3}", fullmatch=True),
    ),
    port=st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}")),
    path=st.text(st.characters(exclude_characters="#", exclude_categories=("Z", "C")), max_size=20),
)
def test_origin_and_path_name_the_same_target_again(scheme: str, host: str, port: str, path: str) -> None:
    target = parse_target(f"{scheme}://{host}{port}/{path}")
    assert target.path.isascii()
    assert parse_target(target.origin + target.path) == target


# -------------------------------------------------------------------------------------------- the look-up


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_packed_address_is_what_connect_takes(family: int, host: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as server, socket.socket(family) as client:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        server.listen()
        written = f"[{host}]" if ":" in host else host
        (address,) = resolve(parse_target(f"http://{written}:{server.getsockname()[1]}/")).addresses
        libc = ctypes.CDLL(None, use_errno=True)
        connected = libc.connect(client.fileno(), address.packed, len(address.packed))
        assert connected == 0, os.strerror(ctypes.get_errno())
        assert client.getpeername()[:2] == (address.ip, server.getsockname()[1]) == address.endpoint[:2]
        assert address.text == f"{written}:{server.getsockname()[1]}"
        assert address.family == family


def test_a_zone_is_for_this_machine_alone() -> None:
    target = resolve(parse_target("http://[fe80::1%lo]:8000/"))
    (address,) = target.addresses
    assert address.endpoint == ("fe80::1", 8000, 0, socket.if_nametoindex("lo"))
    assert target.authority == "[fe80::1]:8000"


def test_an_address_that_is_found_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("10.0.0.2", "10.0.0.1", "10.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    addresses = resolve(parse_target("http://shop.test/")).addresses
    assert [a.text for a in addresses] == ["10.0.0.2:80", "10.0.0.1:80"]


@pytest.mark.parametrize(
    ("code", "said"),
    [(socket.EAI_NONAME, "is not known here"), (socket.EAI_AGAIN, "no name server answered")],
)
def test_an_unknown_name_and_a_silent_name_server_are_two_things(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert said in message(lambda: resolve(parse_target("http://shop.test/")))


# ------------------------------------------------------------------------------------------ is it there?


def at(port: int, *ips: str, scheme: str = "http") -> Target:
    """A target with several addresses, under one name."""
    each = [resolve(parse_target(f"{scheme}://{ip}:{port}/")) for ip in ips]
    return replace(each[0], host="localhost", addresses=tuple(t.addresses[0] for t in each))


def test_what_listens_is_reached() -> None:
    with serving(wait_for_end) as port:
        target = at(port, "127.0.0.1")
        assert reach(target, 2.0) == target


def test_only_addresses_that_accept_are_kept_and_the_others_named() -> None:
    with serving(wait_for_end) as port:
        reached = reach(at(port, "127.0.0.2", "127.0.0.1"), 2.0)
        assert [a.ip for a in reached.addresses] == ["127.0.0.1"]
        assert reached.unreachable == (f"127.0.0.2:{port} refuses the connection, nothing listens there",)


def test_why_nothing_is_reached_is_told_apart() -> None:
    with refusing() as port:
        said = message(lambda: reach(at(port, "127.0.0.1"), 2.0))
        assert f"127.0.0.1:{port} refuses the connection" in said
        assert "start the service" in said
    with deaf() as port:
        assert f"127.0.0.1:{port} did not answer within 200ms" in message(
            lambda: reach(at(port, "127.0.0.1"), 0.2)
        )
    # Linux has no route for TCP to the broadcast address, whatever its routes.
    assert "no route from here to 255.255.255.255:80" in message(
        lambda: reach(at(80, "255.255.255.255"), 2.0)
    )


def test_all_addresses_are_tried_at_once() -> None:
    with deaf() as port:
        begun = time.monotonic()
        said = message(lambda: reach(at(port, *(f"127.0.0.{n}" for n in range(1, 9))), 0.3))
        assert time.monotonic() - begun < 4 * 0.3
    assert said.count("did not answer") == 8
    assert said.count("look for a firewall") == 1


def test_a_target_is_resolved_first() -> None:
    with pytest.raises(ValueError, match="resolved"):
        reach(parse_target("http://127.0.0.1/"), 1.0)


# ---------------------------------------------------------------------------------------------------- TLS


def test_https_is_reached_where_the_certificate_is_trusted_or_not_looked_at() -> None:
    with serving(wait_for_end, "server.pem") as port:
        target = at(port, "127.0.0.1", scheme="https")
        assert reach(target, 2.0, ca_file=AUTHORITY) == target
        assert reach(target, 2.0, verify=False) == target
        assert "is not trusted here" in message(lambda: reach(target, 2.0))


@pytest.mark.parametrize(
    ("certificate", "authority", "said", "advice"),
    [
        ("server.pem", None, "is not trusted here", "--ca-file"),
        ("other_name.pem", AUTHORITY, "another name than localhost", "the certificate's name"),
        ("expired.pem", AUTHORITY, "has expired", "renew"),
    ],
)
def test_trouble_with_a_certificate_is_named(
    certificate: str, authority: Path | None, said: str, advice: str
) -> None:
    with serving(wait_for_end, certificate) as port:
        target = at(port, "127.0.0.1", scheme="https")
        text = message(lambda: reach(target, 2.0, ca_file=authority))
        assert said in text and advice in text and "--insecure" in text
        assert reach(target, 2.0, verify=False) == target


def test_a_server_that_does_not_speak_tls_is_named() -> None:
    with serving(lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        said = message(lambda: reach(at(port, "127.0.0.1", scheme="https"), 2.0))
        assert "does not answer in TLS" in said
        assert f"write http://localhost:{port}/" in said
    with serving(lambda c: None) as port:
        assert "does not answer in TLS" in message(lambda: reach(at(port, "127.0.0.1", scheme="https"), 2.0))
    with serving(wait_for_end) as port:
        said = message(lambda: reach(at(port, "127.0.0.1", scheme="https"), 0.2))
        assert "no TLS handshake within 200ms" in said


def test_a_file_of_authorities_must_be_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    target = at(80, "127.0.0.1", scheme="https")
    assert f"{empty}: the file of --ca-file has no certificate in PEM form" in message(
        lambda: reach(target, 1.0, ca_file=empty)
    )
    assert "cannot be read" in message(lambda: reach(target, 1.0, ca_file=tmp_path / "missing.pem"))
