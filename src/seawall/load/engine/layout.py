"""The generator's state: arrays of records, and the names of their states and outcomes."""

from __future__ import annotations

import platform

import numpy as np

from seawall.compiled.rows import state_fields
from seawall.load.engine.response import LOCATION_BYTES, RESPONSE
from seawall.traffic import closed, sampling

# Outcomes of a request, by detailed kind.
(
    ANSWERED, ANSWERED_4XX, FAILED_5XX, FAILED_RESET, FAILED_BODY, FAILED_PROTOCOL, TIMED_OUT_CONNECT,
    TIMED_OUT_READ, REFUSED, SHED,
) = range(10)  # fmt: skip

# States of a connection.
C_FREE, C_CONNECTING, C_HANDSHAKE, C_IDLE, C_BUSY, C_PARTING = range(6)

# Kinds of timers in the heap. The payload holds kind << 56 | index.
USER, RETRY = range(2)

# Why the loop comes back.
R_TIME, R_ARRIVALS, R_DONE = range(3)

PARTING_SECONDS = 1.0
"""So long a server that has said `Connection: close` may take to do it."""

DRAWN = -1
"""In place of a class or target: still to be drawn."""
NOBODY = -1
"""In place of a user, a connection, a request."""

ARRIVAL_ENTITY = 1 << 40
"""Arrivals draw as entities from this number on, users as those below (as in the twin)."""

WORDS = b"Cookie: \r\nConnection: close\r\nGET  HTTP/1.1\r\n"
"""What the slab of bytes begins with."""
COOKIE, LINE_END, CLOSE, GET, VERSION = (0, 8), (8, 2), (10, 19), (29, 4), (33, 11)
"""Place and length of its parts."""

HEAD_BYTES = 16 * 1024
"""The longest head of a response that is taken in parts."""
RECEIVE_BYTES = 64 * 1024
JAR_BYTES = 4096
"""Room for one user's cookies (RFC 6265 asks for 4096 bytes a cookie; they are few and short in practice)."""

PATH_BYTES = 2048
"""The longest path with its query that a redirect can lead to."""

NEVER, SEE_OTHER, ALWAYS = range(3)
"""When a redirect makes another method a GET: not for GET and HEAD, for most by 303, for POST by 301 and 302 too (RFC
9110, 15.4)."""

PARAMS = np.dtype(
    [("bin_s", "f8"), ("timeout", "f8"), ("connect_timeout", "f8"), ("give_up", "i8"), ("visits", "i8"),
     ("r_max", "i8"), ("r_exponential", "i8"), ("r_base", "f8"), ("r_cap", "f8"), ("r_jitter", "i8"),
     ("r_budget", "f8"), ("keep_alive", "i8"), ("once_share", "f8"), ("classes", "i8"), ("cap", "i8"),
     ("addresses", "i8"), ("tls", "i8"), ("tls_verify", "i8"), ("cookies", "i8"), ("redirects", "i8"),
     ("first_jar", "i8"), ("key_users", "u8"),
     ("key_classes", "u8"), ("key_retries", "u8"), ("key_connections", "u8"), ("key_targets", "u8")]
)  # fmt: skip
"""Settings of the run; seconds. `first_jar`: after the users' jars comes one for each connection, for the cookies that
are set on the way of a redirected request that is no user's."""

COUNTS = (
    "sent", "answered", "failed", "timed_out", "refused", "shed", "attempts", "answered_at", "failed_at",
    "answered_4xx", "failed_5xx", "failed_reset", "failed_body", "failed_protocol", "timed_out_connect",
    "timed_out_read", "connects", "sent_bytes", "received_bytes", "joined", "left",
)  # fmt: skip
"""Whole numbers a bin."""

BINS = np.dtype([*((name, "i8") for name in COUNTS), ("latency_s", "f8")])

CLASSES = np.dtype(
    [("until", "f8"), ("first_target", "i8"), ("targets", "i8"), ("sent", "i8"), ("answered", "i8"),
     ("failed", "i8"), ("timed_out", "i8"), ("refused", "i8"), ("shed", "i8"), ("under_way", "i8")]
)  # fmt: skip
"""A class: the share of draws below which it (or one before it) is meant, its targets, its counts."""

TARGETS = np.dtype(
    [("line", "i8"), ("line_length", "i8"), ("head", "i8"), ("head_length", "i8"), ("body", "i8"),
     ("body_length", "i8"), ("is_head", "i8"), ("safe", "i8"), ("cls", "i8"), ("method_length", "i8"),
     ("changes", "i8"), ("get_head", "i8"), ("get_head_length", "i8"), ("host", "i8"), ("host_length", "i8"),
     ("port", "i8")]
)  # fmt: skip
"""What can be asked for: request line, header lines and body as places in the slab of bytes; `is_head` for the
method HEAD; `safe` where it may be sent again after a kept connection has failed (RFC 9110, 9.2.2). For redirects:
the method's length with the blank behind it, when it `changes` to GET, the header lines that it has then, the host as
the header Host names it (small letters) and its port (0: the scheme's own)."""

REQUESTS = np.dtype(
    [("user", "i8"), ("entity", "u8"), ("k", "i8"), ("cls", "i8"), ("target", "i8"), ("intended", "f8"),
     ("ready", "f8"), ("sent", "f8"), ("started", "f8"), ("first_byte", "f8"), ("attempt", "i8"),
     ("last", "i8"), ("conn", "i8"), ("visits", "i8"), ("bin", "i8"), ("prev", "i8"), ("next", "i8"), ("hops", "i8"),
     ("as_get", "i8"), ("path_length", "i8")]
)  # fmt: skip
"""A request: `ready` when it could be sent at the earliest (its intended time, or the end of the user's last
one), `sent` and `started` when its first and its latest attempt were, `last` how the one before that ended; `prev`
and `next` in a list of time-outs; `hops` redirects that this attempt has followed, `as_get` once they have made it a
GET, `path_length` of where they have led it (the path itself is its connection's)."""

USERS = np.dtype(
    [("id", "i8"), ("k", "i8"), ("intended", "f8"), ("leave_s", "f8"), ("fails", "i8"), ("conn", "i8"),
     ("active", "i8"), ("busy", "i8"), ("head", "i8"), ("tail", "i8")]
)  # fmt: skip
"""A user of a closed loop, or a visitor of a recording, whose requests wait in a list for the one before."""

CONNECTIONS = np.dtype(
    [("fd", "i8"), ("gen", "i8"), ("state", "i8"), ("req", "i8"), ("user", "i8"), ("once", "i8"),
     ("served", "i8"), ("wrote", "i8"), ("length", "i8"), ("received", "i8"), ("ssl", "i8"), ("prev", "i8"),
     ("next", "i8"), ("c_prev", "i8"), ("c_next", "i8"), ("started", "f8")]
)  # fmt: skip
"""A connection; `gen` counts those that had its place; `prev` and `next` among the idle ones of the pool or the parting
ones, `c_prev` and `c_next` among those connecting."""

ADDRESSES = np.dtype([("family", "i8"), ("length", "i8"), ("raw", "u1", (128,))])
"""Where to connect: a sockaddr and its length."""

PLACES = np.dtype([("path", "u1", (PATH_BYTES,)), ("location", "u1", (LOCATION_BYTES,))])
"""A connection's room for redirects: the path of the request under way on it, and the latest answer's Location."""

# Linux packs epoll_event on x86-64 alone (include/uapi/linux/eventpoll.h).
EPOLL_EVENT = np.dtype([("events", "u4"), ("data", "i8")], align=platform.machine() != "x86_64")

MESSAGE = np.dtype(
    [("name", "i8"), ("name_length", "i8"), ("pieces", "i8"), ("piece_count", "i8"), ("control", "i8"),
     ("control_length", "i8"), ("flags", "i8"), ("piece", "i8"), ("piece_length", "i8"), ("c_length", "i8"),
     ("c_level", "i4"), ("c_type", "i4"), ("c_seconds", "i8"), ("c_nanoseconds", "i8"), ("c_more", "i8", (4,))]
)  # fmt: skip
"""What recvmsg(2) is given: a msghdr, then its one iovec, then room for control data."""

TABLES = {
    "params": PARAMS,
    "users": USERS,
    "reqs": REQUESTS,
    "conns": CONNECTIONS,
    "responses": RESPONSE,
    "places": PLACES,
    "heap": np.dtype([("t", "f8"), ("p", "i8")]),
    "arrivals": np.dtype([("t", "f8"), ("n", "i8"), ("cls", "i8"), ("target", "i8"), ("user", "i8")]),
    "classes": CLASSES,
    "targets": TARGETS,
    "slab": np.dtype([("x", "u1")]),
    "out": np.dtype([("x", "u1")]),
    "addresses": ADDRESSES,
    "name": np.dtype([("x", "u1")]),
    "bins": BINS,
    "latency": np.dtype([("x", "u4")]),
    "lateness": np.dtype([("x", "u4")]),
    "first_byte": np.dtype([("x", "u4")]),
    "clock": np.dtype([("seconds", "i8"), ("nanoseconds", "i8")]),
    "ready": EPOLL_EVENT,
    "interest": EPOLL_EVENT,
    "message": MESSAGE,
    "option": np.dtype([("value", "i4"), ("length", "i4")]),
    "loop": closed.LOOP,
    "think": sampling.ROW,
}
"""The arrays of the state, found by their addresses in `STATE_ROW`."""

_NUMBERS = (
    "epoll", "no_pwait2", "tls_context", "free_req", "fresh_req", "free_conn", "fresh_conn", "open", "pool",
    "pool_tail", "t_head", "t_tail", "c_head", "c_tail", "z_head", "z_tail", "heap", "arrival", "arrivals",
    "arrivals_done", "address", "live", "waiting", "sent", "retries", "retries_planned", "resent", "redirected",
    "most_open", "tls_error", "tls_verify_result", "jars",
)  # fmt: skip

STATE_ROW = np.dtype(
    [*((name, "f8") for name in ("origin", "now", "stop_s", "ahead", "patience")), *((name, "i8") for name in _NUMBERS),
     *state_fields(TABLES)]
)  # fmt: skip
"""Counters, and where the arrays are. `ahead`: of the wall clock before the run's; `patience`: how long an answer may
lie unread where something else is due so soon; `waiting`: recorded requests behind an earlier one of their visitor;
`jars`: the address of the first connection's jar."""
