"""nginx's log_format as a line format.

Source: nginx, ngx_http_log_module (`$time_local`, `$msec` and `$time_iso8601` are the time of writing, which is the
end of the request; `$request_time` is counted from its first byte) and ngx_http_core_module (variables).
"""

from __future__ import annotations

import re
from dataclasses import replace

from seawall.fleet.errors import InputError
from seawall.traffic.logs.apache import COMBINED, request_header
from seawall.traffic.logs.lineformat import WORD, Field, LineFormat, Part, Role, line_format

NGINX_COMBINED = replace(COMBINED, name="nginx", stamp="end")
"""nginx's predefined format: the fields of Apache's, but the time is the end, and no duration tells how long before."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_CONFIGURED = re.compile(r"\s*log_format\s+(\S+)\s+(?:escape=\w+\s+)?(.*?);?\s*", re.DOTALL)
_NUMBER = rb"\d{1,18}|-"
_VARIABLES = {
    "remote_addr": Field("", Role.ADDRESS, pattern=WORD),
    "proxy_add_x_forwarded_for": Field("", Role.ADDRESS),
    "remote_user": Field("", Role.USER),
    "time_local": Field("", Role.STAMP, pattern=rb"\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4}"),
    "time_iso8601": Field("", Role.STAMP, pattern=rb"\d{4}-\d\d-\d\dT[\d:]{8}[+-][\d:]{5}"),
    "msec": Field("", Role.EPOCH, scale=1.0, pattern=rb"\d{1,12}\.\d{3}"),
    "request": Field("", Role.REQUEST),
    "request_method": Field("", Role.METHOD, pattern=rb"[A-Za-z][A-Za-z0-9_-]{0,31}|-"),
    "request_uri": Field("", Role.TARGET, pattern=rb"[^ \t\n\"]*"),
    "uri": Field("", Role.TARGET, pattern=rb"[^\n?\"]*"),
    "document_uri": Field("", Role.TARGET, pattern=rb"[^\n?\"]*"),
    "is_args": Field("", Role.QUERY, pattern=rb"\??"),
    "args": Field("", Role.QUERY, "args", pattern=rb"[^ \t\n\"]*"),
    "query_string": Field("", Role.QUERY, "args", pattern=rb"[^ \t\n\"]*"),
    "status": Field("", Role.STATUS, pattern=rb"\d{3}|-"),
    "body_bytes_sent": Field("", Role.SIZE, pattern=_NUMBER),
    "bytes_sent": Field("", Role.SIZE, pattern=_NUMBER),
    "request_time": Field("", Role.DURATION, scale=1.0, pattern=rb"\d{1,9}(?:\.\d{1,6})?|-"),
    "host": Field("", pattern=rb"[^ \t\n/\"]*"),
    "server_name": Field("", pattern=rb"[^ \t\n/\"]*"),
    "scheme": Field("", pattern=rb"[a-z]*"),
    "pipe": Field("", pattern=rb"[p.]"),
    "request_length": Field("", pattern=_NUMBER),
    "connection": Field("", pattern=_NUMBER),
    "connection_requests": Field("", pattern=_NUMBER),
}


def nginx_format(text: str, session_fields: bool = False) -> LineFormat:
    """A line format from what stands in a log_format, its strings put together, or from the whole directive.

    Raises InputError where it has no time or no request.
    """
    configured = _CONFIGURED.fullmatch(text)
    wanted = configured[2] if configured else text
    strings = _STRING.findall(wanted)
    if strings and not _STRING.sub("", wanted).strip("; \t\n"):
        wanted = "".join(re.sub(r"\\(['\"\\])", r"\1", single or double) for single, double in strings)
    parts: list[Part] = []
    at = 0
    for match in _VARIABLE.finditer(wanted):
        parts += [wanted[at : match.start()].encode(), _variable(match[0], match[1] or match[2])]
        at = match.end()
    if not parts:
        raise InputError(f"the format {text!r} has no variables; write it as nginx's log_format has it")
    parts.append(wanted[at:].encode())
    return line_format(wanted, parts, "end", session_fields)


def _variable(text: str, name: str) -> Field:
    known = _VARIABLES.get(name)
    if known is not None:
        return replace(known, text=text)
    if name.startswith("http_"):
        return request_header(text, name.removeprefix("http_").replace("_", "-"))
    if name.startswith("cookie_"):
        return Field(text, Role.COOKIE, name.removeprefix("cookie_"))
    return Field(text)
