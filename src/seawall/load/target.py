"""Where the requests of a wave go: a URL read, its name looked up, and each of its addresses tried."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import ssl
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from seawall.fleet.errors import InputError
from seawall.fleet.units import format_seconds, shown

PORTS = {"http": 80, "https": 443}
MOST_ADDRESSES = 64
"""Of a name with more addresses than this the first ones are used."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[^:]*))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f\x85\xa0\u2028\u2029]")
_MOST_HOST = 253
_TWO_READINGS = "ß\u1e9eς\u200c\u200d"
"""Letters that IDNA 2003 (Python's codec) and IDNA 2008 (browsers) put into different names (RFC 5894, 7.2)."""


class Address(NamedTuple):
    """One address to connect to: its family, the sockaddr of it as connect(2) takes it, and text for people."""

    family: int
    packed: bytes
    text: str

    @property
    def ip(self) -> str:
        """The IP address alone, without port and zone."""
        start, size = (8, 16) if self.family == socket.AF_INET6 else (4, 4)
        return socket.inet_ntop(self.family, self.packed[start : start + size])

    @property
    def endpoint(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address as Python's sockets take it."""
        (port,) = struct.unpack_from("!H", self.packed, 2)
        if self.family != socket.AF_INET6:
            return self.ip, port
        (flow,) = struct.unpack_from("!I", self.packed, 4)
        (scope,) = struct.unpack_from("=I", self.packed, 24)
        return self.ip, port, flow, scope


@dataclass(frozen=True, slots=True)
class Target:
    """What a wave is sent to.

    `host` is in ASCII and small letters, an IPv6 address without its brackets; `path` begins with `/` and
    holds the query. `addresses` are there after `resolve`; `unreachable` has a sentence for each address
    that `reach` left out.
    """

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[Address, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def authority(self) -> str:
        """Host and port as the header `Host` wants them: the port only where it is not the scheme's own."""
        host = f"[{self.name}]" if ":" in self.name else self.name
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The host without the zone of a link-local address, which is for this machine alone (RFC 6874)."""
        return self.host.partition("%")[0]

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


# ----------------------------------------------------------------------------------------------- the URL


def parse_target(url: str) -> Target:
    """Read the URL of a wave; InputError says what to write instead."""
    text = url.strip()
    match = _URL.fullmatch(text)
    if match is None:
        raise InputError(_without_scheme(text))
    scheme, authority, rest = match["scheme"].lower(), match["authority"], match["rest"]
    _no_credentials(scheme, authority, rest)
    if scheme not in PORTS:
        instead = f"http://{authority}{rest}"
        raise InputError(f"{shown(text)} is neither http:// nor https://; write for example {instead}")
    if unsendable := _UNSENDABLE.search(text):
        code = quote(unsendable[0], errors="surrogateescape")
        raise InputError(f"{shown(text)} has a blank or a control character in it; write it as {code}")
    if "#" in rest:
        raise InputError(
            f"{shown(text)} has a fragment, which is never sent to a server; write {text.partition('#')[0]}"
        )
    host, port = _host_and_port(scheme, authority, rest)
    path = rest if rest.startswith("/") else f"/{rest}"
    return Target(scheme, host, PORTS[scheme] if port is None else port, _ascii(path))


def _without_scheme(text: str) -> str:
    if not text:
        return "the URL is empty; write for example http://127.0.0.1:8000/"
    shortened = re.fullmatch(r"(https?):/?([^/].*)", text, re.IGNORECASE)
    instead = f"{shortened[1].lower()}://{shortened[2]}" if shortened else f"http://{text.lstrip('/')}"
    # What stands before an @ may be a password.
    return f"{shown(_bare(text))} does not begin with http:// or https://; write for example {_bare(instead)}"


def _bare(url: str) -> str:
    return re.sub(r"^((?:https?:)?/*)[^/?#]*@", r"\1", url, flags=re.IGNORECASE)


def _no_credentials(scheme: str, authority: str, rest: str) -> None:
    # A password may hold a `/`: then what stands after the colon is no port, and the @ comes later.
    cut = "@" in rest and re.search(r":[^]:]*[^]:0-9][^]:]*$", authority)
    if "@" in authority or cut:
        # Not shown: a message ends up in terminals and in the logs of CI.
        host = (authority + rest).rpartition("@")[2] if cut else authority.rpartition("@")[2] + rest
        raise InputError(f"the URL has a user name or a password before its host; write {scheme}://{host}")


def _host_and_port(scheme: str, authority: str, rest: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        if authority.count(":") > 1 and "[" not in authority and "]" not in authority:
            raise InputError(
                f"{shown(authority)} is not a host; write an IPv6 address in brackets: "
                f"{scheme}://[::1]:8000{rest}"
            )
        raise InputError(f"{shown(authority)} is not a host; write for example {scheme}://127.0.0.1:8000/")
    host = _host(match["host"], f"{scheme}://")
    return host, _port(match["port"], f"{scheme}://{match['host']}", rest)


def _host(text: str, before: str) -> str:
    if not text:
        raise InputError(f"the URL has no host; write for example {before}127.0.0.1:8000/")
    if text.startswith("["):
        return _ipv6(text[1:-1], before)
    # The dot that ends a full name is for the look-up alone; certificates and `Host` go without it.
    name = _ascii_name(text).lower().removesuffix(".")
    if len(name) > _MOST_HOST or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise InputError(f"{shown(text)} is not the name of a host; write for example {before}shop.test/")
    return name


def _ascii_name(text: str) -> str:
    if text.isascii():
        return text
    if two := next((letter for letter in text if letter in _TWO_READINGS), None):
        raise InputError(
            f"{shown(text)} has the letter U+{ord(two):04X}, of which two different hosts can be read; "
            "write the host in its `xn--` form"
        )
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise InputError(f"{shown(text)} is not the name of a host; write it in its `xn--` form") from error


def _ipv6(text: str, before: str) -> str:
    address, has_zone, zone = text.partition("%")
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        packed = b""
    if not packed or (has_zone and not zone):
        raise InputError(
            f"{shown(f'[{text}]')} is not an IPv6 address; write for example {before}[::1]:8000/"
        )
    short = socket.inet_ntop(socket.AF_INET6, packed)
    # RFC 6874 writes the % of a zone as %25; people write it bare.
    return f"{short}%{zone.removeprefix('25') or zone}" if zone else short


def _port(text: str | None, before: str, rest: str) -> int | None:
    if not text:
        return None
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if not 1 <= number <= 65535:
        raise InputError(
            f"{shown(text)} is not a port; write a number from 1 to 65535: {before}:8000{rest or '/'}"
        )
    return number


def _ascii(path: str) -> str:
    """The path with what is not ASCII written as its UTF-8 bytes; bytes of the command line stay bytes."""
    try:
        return "".join(c if c.isascii() else quote(c, errors="surrogateescape") for c in path)
    except UnicodeEncodeError as error:
        raise InputError(f"{shown(path)} cannot be written as UTF-8; write its bytes as %XX") from error


# ------------------------------------------------------------------------------------------- the look-up


def resolve(target: Target) -> Target:
    """The target with the addresses of its host, in the order of the resolver; InputError if it has none."""
    try:
        found = socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )
    except socket.gaierror as error:
        raise InputError(_unknown(target, error)) from error
    except (OSError, UnicodeError) as error:
        raise InputError(f"the host {shown(target.host)} cannot be looked up: {error}") from error
    addresses = dict.fromkeys(
        _address(family, endpoint)
        for family, _, _, _, endpoint in found
        if family in (socket.AF_INET, socket.AF_INET6)
    )
    if not addresses:
        raise InputError(f"the host {shown(target.host)} has neither an IPv4 nor an IPv6 address")
    return replace(target, addresses=tuple(addresses)[:MOST_ADDRESSES])


def _unknown(target: Target, error: socket.gaierror) -> str:
    host = shown(target.host)
    if error.errno == socket.EAI_AGAIN:
        return f"no name server answered for the host {host}; look at this machine's network and resolv.conf"
    if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return f"the host {host} is not known here; correct the name in the URL, or write an IP address"
    return f"the host {host} cannot be looked up: {error.strerror}"


def _address(family: int, endpoint: tuple[Any, ...]) -> Address:
    """The sockaddr of an endpoint of getaddrinfo: sockaddr_in or sockaddr_in6 of Linux (ip(7), ipv6(7))."""
    host, port = endpoint[0].partition("%")[0], endpoint[1]
    if family == socket.AF_INET:
        raw = struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_pton(family, host) + bytes(8)
        return Address(int(family), raw, f"{host}:{port}")
    flow, scope = endpoint[2], endpoint[3]
    raw = struct.pack("=H", family) + struct.pack("!HI", port, flow) + socket.inet_pton(family, host)
    zone = f"%{scope}" if scope else ""
    return Address(int(family), raw + struct.pack("=I", scope), f"[{host}{zone}]:{port}")


# ------------------------------------------------------------------------------------------ is it there?


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why an address cannot be used: a sentence without its end, and what to do about it."""

    what: str
    advice: str


def tls_context(target: Target, *, verify: bool = True, ca_file: Path | None = None) -> ssl.SSLContext | None:
    """How Python's own connections to the target are secured; None for http.

    `ca_file` (PEM) stands in for the system's authorities, as it does for curl. InputError if it holds none.
    """
    if target.scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ValueError) as error:
        why = (
            "has no certificate in PEM form"
            if isinstance(error, ssl.SSLError)
            else f"cannot be read: {error}"
        )
        raise InputError(f"the file of --ca-file {why}", file=ca_file) from error
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connect(
    target: Target, address: Address, timeout_s: float, context: ssl.SSLContext | None
) -> socket.socket:
    """One connection to one address of the target, with its TLS handshake done where there is a context.

    Raises OSError (ssl.SSLError is one). Each operation on the connection has `timeout_s` seconds.
    """
    connection = _dial(address, timeout_s)
    return connection if context is None else _secure(connection, target, context)


def _dial(address: Address, timeout_s: float) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(address.endpoint)
        # Linux may give a connection to a free local port that very port: it is then connected to itself.
        if connection.getsockname() == connection.getpeername():
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


def _secure(connection: socket.socket, target: Target, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(connection, server_hostname=target.name)
    except BaseException:
        connection.close()
        raise


def reach(target: Target, timeout_s: float, *, verify: bool = True, ca_file: Path | None = None) -> Target:
    """The target with those of its addresses that accept a connection, and for https a TLS handshake.

    All are tried at once, `timeout_s` seconds each for connection and handshake. InputError if none accepts.
    """
    if not target.addresses:
        raise ValueError("a target is resolved before it is reached")
    context = tls_context(target, verify=verify, ca_file=ca_file)

    def attempt(address: Address) -> _Trouble | None:
        return _attempt(target, address, timeout_s, context)

    with ThreadPoolExecutor(max_workers=len(target.addresses)) as threads:
        troubles = list(threads.map(attempt, target.addresses))
    there = tuple(a for a, trouble in zip(target.addresses, troubles, strict=True) if trouble is None)
    found = [trouble for trouble in troubles if trouble is not None]
    if not there:
        what = "; ".join(dict.fromkeys(trouble.what for trouble in found))
        advice = ", or ".join(dict.fromkeys(trouble.advice for trouble in found))
        raise InputError(f"{target.origin} cannot be reached: {what}; {advice}")
    return replace(target, addresses=there, unreachable=tuple(trouble.what for trouble in found))


def _attempt(
    target: Target, address: Address, timeout_s: float, context: ssl.SSLContext | None
) -> _Trouble | None:
    try:
        connection = _dial(address, timeout_s)
    except OSError as error:
        return _trouble(error, address, timeout_s)
    if context is not None:
        try:
            connection = _secure(connection, target, context)
        except OSError as error:
            return _tls_trouble(error, target, address, timeout_s)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    return None


_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _trouble(error: OSError, address: Address, timeout_s: float) -> _Trouble:
    where = address.text
    if isinstance(error, ConnectionRefusedError):
        return _Trouble(
            f"{where} refuses the connection, nothing listens there",
            "start the service, or correct the port in the URL",
        )
    if isinstance(error, TimeoutError):
        return _Trouble(
            f"{where} did not answer within {format_seconds(timeout_s)}",
            "look for a firewall on the way, or correct the address in the URL",
        )
    if error.errno in _NO_ROUTE:
        return _Trouble(
            f"there is no route from here to {where}",
            "look at this machine's network, or correct the address in the URL",
        )
    return _Trouble(f"{where}: {error.strerror or error}", "correct the URL")


_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_EOF_WHILE_READING", None)
_NOT_YET, _EXPIRED, _OTHER_NAME, _OTHER_IP = 9, 10, 62, 64
"""X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH.

Source: openssl/x509_vfy.h.
"""


def _tls_trouble(error: OSError, target: Target, address: Address, timeout_s: float) -> _Trouble:
    where, plain = address.text, f"if it does not speak TLS, write http://{target.authority}{target.path}"
    if isinstance(error, TimeoutError):
        slow = f"{where} accepts the connection, but no TLS handshake within {format_seconds(timeout_s)}"
        return _Trouble(slow, plain)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_trouble(error, target, address)
    if isinstance(error, ssl.SSLError) and error.reason not in _NO_TLS:
        reason = str(error.reason).lower().replace("_", " ")
        return _Trouble(f"{where} refuses the TLS handshake ({reason})", "look at the server's TLS settings")
    return _Trouble(f"{where} does not answer in TLS", plain)


def _certificate_trouble(error: ssl.SSLCertVerificationError, target: Target, address: Address) -> _Trouble:
    whose, anyway = f"the certificate of {address.text}", "add --insecure to send without a check"
    if error.verify_code in (_OTHER_NAME, _OTHER_IP):
        advice = f"write the certificate's name in the URL, or {anyway}"
        return _Trouble(f"{whose} is for another name than {target.name}", advice)
    if error.verify_code in (_EXPIRED, _NOT_YET):
        when = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        return _Trouble(f"{whose} {when}", f"renew it, or {anyway}")
    advice = f"name its authority with --ca-file FILE, or {anyway}"
    return _Trouble(f"{whose} is not trusted here ({error.verify_message})", advice)
