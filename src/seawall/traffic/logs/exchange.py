"""What recordings with headers (HAR, GoReplay) have in common: which of them are kept, and whose request it is."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from seawall.traffic.logs.log import Detail
from seawall.traffic.logs.sessions import SessionKey, cookie

Headers = tuple[tuple[str, str], ...]

_OF_A_CONNECTION = frozenset(
    (
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers from hop to hop (RFC 9110, 7.6.1), and Expect, which asks for an answer of its own."""
_WRITTEN_ANEW = frozenset(("host", "content-length"))
_ADDRESSES = ("x-forwarded-for", "x-real-ip", "true-client-ip", "cf-connecting-ip")
_CONTROLS = dict.fromkeys((*range(9), *range(10, 32), 127), " ")


def own_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers that belong to the request itself, in order; HTTP/2's `:path` and the like are none."""
    pairs = [(name.strip(), value.translate(_CONTROLS).strip()) for name, value in headers]
    named = {
        v.strip().lower() for name, value in pairs if name.lower() == "connection" for v in value.split(",")
    }
    left_out = _OF_A_CONNECTION | _WRITTEN_ANEW | named
    return tuple(
        (name, value)
        for name, value in pairs
        if name and name.lower() not in left_out and not name.startswith(":")
    )


def visitor(headers: Headers, key: SessionKey) -> Hashable | None:
    """What tells the visitor by the headers of a request, None where nothing does.

    Without a key (`auto`): the authorization, else the address that a proxy put there, with the agent.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    if key.kind == "header" and found.get(key.name.lower()):
        return (b"own", found[key.name.lower()].encode())
    if key.kind == "cookie":
        crumb = cookie(found.get("cookie", "").encode(), key.name)
        if crumb is not None:
            return (b"own", crumb)
    if key.kind != "address" and found.get("authorization"):
        return (b"user", found["authorization"].encode())
    address = next((found[name] for name in _ADDRESSES if found.get(name)), None)
    if address is None:
        return None
    agent = "" if key.kind == "address" else found.get("user-agent", "")
    return (address.encode(), agent.encode())


def stored(headers: Headers, body: bytes = b"") -> bytes:
    """Headers and a body as bytes; a body may be added at their end where there are headers."""
    if not headers and not body:
        return b""
    head = "".join(f"{name}: {value}\n" for name, value in headers)
    return head.encode("utf-8", "surrogatepass") + b"\n" + body


def detail_of(text: bytes) -> Detail:
    """What `stored` was given."""
    head, _, body = b"\n".join((b"", text)).partition(b"\n\n")
    pairs = (line.partition(": ") for line in head.decode("utf-8", "surrogatepass").split("\n") if line)
    return Detail(tuple((name, value) for name, _, value in pairs), body)
