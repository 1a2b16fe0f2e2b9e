"""This machine and private networks are free; anything else must be named, confirmed, or prove that it agrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.load.guard import Permission, describe, is_free, is_loopback, judge, ownership
from seawall.load.target import Target, parse_target, resolve

from .answering import CERTIFICATES, http, refusing, serving, wait_for_end


def target_at(host: str, *ips: str) -> Target:
    """A target whose name has these addresses, whatever the resolver says."""
    found = [resolve(parse_target(f"http://{f'[{ip}]' if ':' in ip else ip}/")).addresses[0] for ip in ips]
    return Target("http", host, 80, "/", tuple(found))


# --------------------------------------------------------------------------------------- may it be loaded?


@pytest.mark.parametrize(
    ("ip", "free"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("::", True),
        ("10.255.0.1", True),
        ("172.15.255.255", False),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.1", False),
        ("192.168.7.7", True),
        ("192.169.0.1", False),
        ("169.254.1.1", True),
        ("100.63.255.255", False),
        ("100.64.0.1", True),
        ("100.127.255.255", True),
        ("100.128.0.1", False),
        ("fd12::1", True),
        ("fe80::1", True),
        ("fec0::1", False),
        ("2001:db8::1", False),
        ("8.8.8.8", False),
        ("198.18.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::a00:1", False),
    ],
)
def test_private_networks_are_free_to_their_last_address(ip: str, free: bool) -> None:
    assert is_free(ip) == free


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "shop.test", "shop.example.com"])
def test_a_name_is_free_by_its_addresses(host: str) -> None:
    assert judge(target_at(host, "127.0.0.1", "fd00::7"), ()).permission is Permission.FREE


@pytest.mark.parametrize("host", ["shop.test", "shop.local", "localhost.example.com"])
def test_one_public_address_makes_a_target_public(host: str) -> None:
    with pytest.raises(InputError) as caught:
        judge(target_at(host, "10.0.0.1", "203.0.113.7"), ())
    assert f"add --allow-host {host}" in str(caught.value)
    assert "(203.0.113.7)" in str(caught.value)


def test_the_advice_of_a_refusal_is_what_allows() -> None:
    for host in ("203.0.113.7", "2001:db8::7", "shop.example.com"):
        target = target_at(host, "2001:db8::7" if ":" in host else "203.0.113.7")
        with pytest.raises(InputError) as caught:
            judge(target, ())
        option = str(caught.value).rpartition("--allow-host ")[2]
        assert judge(target, [option]).permission is Permission.CONFIRM


@pytest.mark.parametrize(
    ("host", "entry", "allowed"),
    [
        ("shop.example.com", "SHOP.example.com.", True),
        ("shop.example.com", "example.com", False),
        ("shop.example.com", "*.example.com", True),
        ("a.b.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("badexample.com", "*.example.com", False),
        ("xn--bcher-kva.example", "bücher.example", True),
        ("2001:db8::7", "[2001:DB8:0::7]", True),
        ("2001:db8::7", "2001:db8::7", True),
        ("203.0.113.7", "*.113.7", False),
    ],
)
def test_what_an_entry_allows(host: str, entry: str, allowed: bool) -> None:
    target = target_at(host, "203.0.113.7")
    if allowed:
        assert judge(target, ["other.example", entry]).permission is Permission.CONFIRM
    else:
        with pytest.raises(InputError, match="--allow-host"):
            judge(target, [entry])


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "*.com", "http://shop.test", "shop.test:80", "shop.test/x", "10.0.0.0/8", "a*.b.c"],
)
def test_an_entry_that_is_no_host_is_an_error_even_where_none_is_needed(entry: str) -> None:
    with pytest.raises(InputError, match="no entry for --allow-host"):
        judge(target_at("localhost", "127.0.0.1"), [entry])


def test_a_target_is_judged_by_addresses_that_are_known() -> None:
    with pytest.raises(ValueError, match="resolved"):
        judge(parse_target("http://127.0.0.1/"), ())


@given(st.lists(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), min_size=1, max_size=4))
def test_free_means_that_each_address_is(ips: list[str]) -> None:
    target = target_at("shop.test", *ips)
    assert (judge(target, ["shop.test"]).permission is Permission.FREE) == all(is_free(ip) for ip in ips)


def test_loopback_is_what_linux_takes_for_it() -> None:
    assert is_loopback(target_at("localhost", "127.9.9.9", "::1"))
    assert not is_loopback(target_at("localhost", "127.0.0.1", "10.0.0.1"))
    assert not is_loopback(parse_target("http://127.0.0.1/"))


# --------------------------------------------------------------------------------------- proof of ownership


def answer(status: str, body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.mark.parametrize(
    ("reply", "owned"),
    [
        (answer("200 OK", b"harbour-17"), True),
        (answer("200 OK", b"  harbour-17\r\n"), True),
        (b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nharbour-17\n", True),
        (answer("200 OK", b"harbour-18"), False),
        (answer("200 OK", b"harbour-17 harbour-17"), False),
        (answer("200 OK", b"harbour-17" + b" " * 5000 + b"x"), False),
        (answer("404 Not Found", b"harbour-17"), False),
        (answer("302 Found", b"harbour-17", "Location: /elsewhere\r\n"), False),
        (b"harbour-17", False),
    ],
)
def test_a_target_that_answers_with_the_token_is_owned(reply: bytes, owned: bool) -> None:
    asked: list[bytes] = []

    def say(head: bytes) -> bytes:
        asked.append(head)
        return reply + (b"" if reply.startswith(b"HTTP") else b"\r\nConnection: close\r\n")

    with serving(http(say)) as port:
        target = resolve(parse_target(f"http://127.0.0.1:{port}/shop"))
        assert ownership(target, "harbour-17") is owned
    assert asked[0].startswith(b"GET /.well-known/seawall HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{port}\r\n".encode() in asked[0]
    assert len(asked) == 1


@pytest.mark.parametrize("token", ["", " \n"])
def test_an_empty_token_proves_nothing(token: str) -> None:
    with serving(http(lambda _: answer("200 OK", b""))) as port:
        assert not ownership(resolve(parse_target(f"http://127.0.0.1:{port}/")), token)


def test_silence_proves_nothing() -> None:
    with refusing() as port:
        assert not ownership(resolve(parse_target(f"http://127.0.0.1:{port}/")), "harbour-17")
    with serving(wait_for_end) as port:
        target = resolve(parse_target(f"http://127.0.0.1:{port}/"))
        assert not ownership(target, "harbour-17", timeout_s=0.2)


def test_a_proof_over_tls_needs_a_certificate_that_is_trusted() -> None:
    with serving(http(lambda _: answer("200 OK", b"harbour-17")), "server.pem") as port:
        target = resolve(parse_target(f"https://127.0.0.1:{port}/"))
        assert ownership(target, "harbour-17", ca_file=CERTIFICATES / "authority.pem")
        assert ownership(target, "harbour-17", verify=False)
        assert not ownership(target, "harbour-17")


# --------------------------------------------------------------------------------- the plan to be confirmed


def test_the_plan_names_target_rate_total_and_time() -> None:
    target = Target("https", "shop.test", 8443, "/cart?x=1", target_at("shop.test", "203.0.113.7").addresses)
    assert describe(target, 2000.0, 240_000.4, 150.2) == (
        "https://shop.test:8443/cart?x=1 (203.0.113.7): up to 2,000 requests/s, 240,000 requests in all, for 2m30s"
    )
    assert describe(target, 0.25, 3.0, 7.25).endswith("up to 0.25 requests/s, 3 requests in all, for 7.2s")
    assert describe(target, None, None, 60.0).endswith("(203.0.113.7): as fast as it answers, for 1m")


def test_the_plan_does_not_list_hundreds_of_addresses() -> None:
    target = target_at("shop.test", *(f"203.0.113.{n}" for n in range(1, 9)))
    assert "(203.0.113.1, 203.0.113.2, 203.0.113.3 and 5 more)" in describe(target, 1.0, 1.0, 1.0)
    bare = target_at("203.0.113.1", "203.0.113.1")
    assert describe(bare, 1.0, 1.0, 1.0).startswith("http://203.0.113.1/: up to 1 requests/s")
