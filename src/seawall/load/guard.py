"""Whether a wave may be sent to a target: at once, after a confirmation of its plan, or not at all.

This machine and private networks are free. Everything else may be somebody's production, or somebody else's:
it must be named with `--allow-host`, and the plan must be confirmed.
"""

from __future__ import annotations

import http.client
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from seawall.fleet.errors import InputError
from seawall.fleet.units import format_seconds, shown
from seawall.load.target import Target, connect, parse_target, tls_context

WELL_KNOWN = "/.well-known/seawall"
"""Where a target may prove whose it is (the place is that of RFC 8615)."""
_MOST_TOKEN_BYTES = 4096

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_FREE: tuple[_Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/32",  # Linux connects to itself: RFC 1122, 3.2.1.3
        "127.0.0.0/8",
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",  # link-local, RFC 3927
        "100.64.0.0/10",  # behind a carrier's or an overlay's NAT, RFC 6598
        "::/128",
        "::1/128",
        "fc00::/7",  # unique local, RFC 4193
        "fe80::/10",  # link-local, RFC 4291
    )
)
# Left out on purpose: 198.18.0.0/15 (RFC 2544). Some proxies give addresses of it to public names.
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class Permission(Enum):
    """What stands between a wave and its target."""

    FREE = "free"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says of a target that is not refused, and why, as a sentence without its end."""

    permission: Permission
    why: str


def is_free(ip: str) -> bool:
    """Whether an address is this machine's or a private network's."""
    return _within(ip, _FREE)


def is_loopback(target: Target) -> bool:
    """Whether every address of the target is a loopback address: those whose ports Linux reuses early."""
    return bool(target.addresses) and all(_within(a.ip, _LOOPBACK) for a in target.addresses)


def _within(ip: str, networks: Sequence[_Network]) -> bool:
    address = ipaddress.ip_address(ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in networks)


def judge(target: Target, allow_hosts: Sequence[str]) -> Verdict:
    """Whether a wave may be sent to a resolved target, before anything is sent to it.

    Free are targets all of whose addresses are loopback or private, whatever their name. Others must be
    named in `allow_hosts`: a host name, an IP address, or `*.example.org` for everything below that name.
    InputError for a target that is not, with the option to add, and for an entry that is none of these.
    """
    if not target.addresses:
        raise ValueError("a target is resolved before it is judged")
    named = [entry for entry in allow_hosts if _names(_entry(entry), target.name)]
    public = list(dict.fromkeys(a.ip for a in target.addresses if not is_free(a.ip)))
    if not public:
        return Verdict(Permission.FREE, f"{target.name} is this machine or in a private network")
    if not named:
        where = "" if public == [target.name] else f" ({_listed(public)})"
        raise InputError(
            f"{target.name}{where} is neither this machine nor in a private network; "
            f"if you may load it, add --allow-host {target.name}"
        )
    return Verdict(Permission.CONFIRM, f"{target.name} is allowed by --allow-host {named[0]}")


def _entry(text: str) -> str:
    """An entry of --allow-host as hosts are written in a Target."""
    wild, name = (True, text[2:]) if text.startswith("*.") else (False, text)
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    try:
        parsed = parse_target(f"http://{name}/")
    except InputError:
        parsed = None
    if parsed is None or parsed.path != "/" or (wild and "." not in parsed.name):
        raise InputError(
            f"{shown(text)} is no entry for --allow-host; write the name of a host alone, or an IP address, "
            "or *.example.org for all hosts below a name of at least two parts"
        )
    return f"*.{parsed.name}" if wild else parsed.name


def _names(entry: str, host: str) -> bool:
    if not entry.startswith("*."):
        return host == entry
    # What ends in a number is an IPv4 address, with no name above it: `*.0.1` is not for 10.0.0.1.
    numeric = ":" in host or host.rpartition(".")[2].isdecimal()
    return not numeric and host.endswith(entry[1:])


def _listed(addresses: list[str]) -> str:
    hidden = len(addresses) - 3
    return ", ".join(addresses[:3]) + (f" and {hidden} more" if hidden > 0 else "")


# ---------------------------------------------------------------------------------------- proof of ownership


def ownership(
    target: Target,
    token: str,
    *,
    timeout_s: float = 3.0,
    verify: bool = True,
    ca_file: Path | None = None,
) -> bool:
    """Whether the target answers /.well-known/seawall with `token`: whoever runs it expects this wave.

    Asked of the first address that answers; nothing is waited for longer than `timeout_s` seconds. It takes
    status 200 and a body that is the token, blanks at its ends aside. Redirects are not followed: the proof
    must be the target's own. False for an empty token, and where nothing answers.
    """
    wanted = token.strip().encode(errors="surrogateescape")
    if not wanted:
        return False
    context = tls_context(target, verify=verify, ca_file=ca_file)
    for address in target.addresses:
        client = http.client.HTTPConnection(target.name, target.port)
        try:
            client.sock = connect(target, address, timeout_s, context)
            return _proof(client, target) == wanted
        except (OSError, http.client.HTTPException):
            continue
        finally:
            client.close()
    return False


def _proof(client: http.client.HTTPConnection, target: Target) -> bytes | None:
    """The trimmed body of the answer; None for a status that is not 200, and a body too long for a token."""
    client.request("GET", WELL_KNOWN, headers={"Host": target.authority, "User-Agent": "seawall"})
    response = client.getresponse()
    body = response.read(_MOST_TOKEN_BYTES + 1)
    return body.strip() if response.status == 200 and len(body) <= _MOST_TOKEN_BYTES else None


# ------------------------------------------------------------------------------------- the plan to be confirmed


def describe(target: Target, peak_rate: float | None, total: float | None, duration_s: float) -> str:
    """The plan of a wave as people confirm it; None for a rate or a total that only the target decides."""
    where = _listed(list(dict.fromkeys(a.ip for a in target.addresses)))
    address = "" if where == target.name else f" ({where})"
    rate = "as fast as it answers" if peak_rate is None else f"up to {_figure(peak_rate)} requests/s"
    amount = "" if total is None else f", {_figure(total)} requests in all"
    return f"{target.origin}{target.path}{address}: {rate}{amount}, for {_duration(duration_s)}"


def _figure(number: float) -> str:
    if number < 10 and number != round(number):
        return f"{number:.2g}"
    return f"{number:,.0f}"


def _duration(seconds: float) -> str:
    return format_seconds(float(round(seconds)) if seconds >= 10 else round(seconds, 1))
