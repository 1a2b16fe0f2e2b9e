"""What happens on a connection: it is made, a request goes out on it, the answer comes in, or it fails."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inlined, inner
from seawall.load.engine.access import (
    bin_at,
    conn_at,
    params_at,
    req_at,
    response_at,
    target_at,
)
from seawall.load.engine.connections import close, keep, kept, open_for, part
from seawall.load.engine.cookies import put_byte
from seawall.load.engine.layout import (
    ALWAYS,
    ANSWERED,
    ANSWERED_4XX,
    C_BUSY,
    C_CONNECTING,
    C_FREE,
    C_HANDSHAKE,
    C_IDLE,
    C_PARTING,
    CLOSE,
    COOKIE,
    FAILED_5XX,
    FAILED_BODY,
    FAILED_PROTOCOL,
    FAILED_RESET,
    GET,
    JAR_BYTES,
    LINE_END,
    NEVER,
    NOBODY,
    PLACES,
    RECEIVE_BYTES,
    REFUSED,
    SHED,
    TIMED_OUT_CONNECT,
    TIMED_OUT_READ,
    VERSION,
)
from seawall.load.engine.redirects import resolve
from seawall.load.engine.requests import (
    bin_of,
    end_attempt,
    end_request,
    may_send_again,
    never_left,
    note_attempt,
)
from seawall.load.engine.response import BROKEN as NOT_HTTP
from seawall.load.engine.response import DONE, begin_response, feed, feed_end
from seawall.load.engine.system import (
    AGAIN,
    EADDRNOTAVAIL,
    EMFILE,
    ENFILE,
    ENOBUFS,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    ETIMEDOUT,
    NO_STAMP,
    clock,
    copy,
    receive_bytes,
    send_bytes,
    socket_error,
)
from seawall.load.engine.timers import await_answer, forget_answer, forget_connection
from seawall.load.engine.tls import (
    tls_error_code,
    tls_handshake,
    tls_new,
    tls_read,
    tls_verify_result,
    tls_write,
)
from seawall.traffic.draws import uniform

_PLACE_BYTES = PLACES.itemsize
_VERSION_BYTES = VERSION[1]

# ------------------------------------------------------------------------------------------------ going out


@inlined
def _put(s, at, source, length):
    """Write bytes to the output at a place; the place after them."""
    copy(s.a_out + at, source, length)
    return at + length


@inlined
def _jar_of(s, q, c):
    """The number of the jar for a request on a connection, NOBODY where no cookies are kept."""
    par = params_at(s, 0)
    if par.cookies == 0:
        return NOBODY
    if q.user != NOBODY:
        return q.user
    return par.first_jar + c if par.redirects > 0 else NOBODY


@inner
def _put_line(s, c, q, t):
    """Write the request line of a request that was led elsewhere; the place after it."""
    if q.as_get:
        at = _put(s, 0, s.a_slab + GET[0], GET[1])
    else:
        at = _put(s, 0, s.a_slab + t.line, t.method_length)
    at = _put(s, at, s.a_places + c * _PLACE_BYTES, q.path_length)
    return _put(s, at, s.a_slab + VERSION[0], VERSION[1])


@inner
def _assemble(s, c, jars):
    """The request of a connection as bytes at the start of the output; their number."""
    x = conn_at(s, c)
    q = req_at(s, x.req)
    t = target_at(s, q.target)
    at = _put(s, 0, s.a_slab + t.line, t.line_length) if q.hops == 0 else _put_line(s, c, q, t)
    if q.as_get:
        at = _put(s, at, s.a_slab + t.get_head, t.get_head_length)
    else:
        at = _put(s, at, s.a_slab + t.head, t.head_length)
    own = _jar_of(s, q, c)
    if own != NOBODY:
        jar = jars[own]
        length = np.int64(jar[0]) | np.int64(jar[1]) << 8
        if length > 0:
            at = _put(s, at, s.a_slab + COOKIE[0], COOKIE[1])
            at = _put(s, at, jar.ctypes.data + 2, length)
            at = _put(s, at, s.a_slab + LINE_END[0], LINE_END[1])
    if x.once:
        at = _put(s, at, s.a_slab + CLOSE[0], CLOSE[1])
    at = _put(s, at, s.a_slab + LINE_END[0], LINE_END[1])
    return at if q.as_get else _put(s, at, s.a_slab + t.body, t.body_length)


@inner
def _send(s, c, jars):
    """Send what is left of a connection's request; False where the connection has failed."""
    x = conn_at(s, c)
    # Put together anew where only a part went out: nothing that it is made of has changed meanwhile.
    length = _assemble(s, c, jars)
    x.length = length
    while x.wrote < length:
        if x.ssl != 0:
            n = tls_write(x.ssl, s.a_out + x.wrote, length - x.wrote)
        else:
            n = send_bytes(x.fd, s.a_out + x.wrote, length - x.wrote)
        if n == AGAIN:
            return True
        if n <= 0:
            return False
        x.wrote += n
        bin_at(s, bin_of(s, s.now)).sent_bytes += n
    return True


@inner
def _go_out(s, r, c, jars):
    """Send a request on a connection that is ready for it."""
    q = req_at(s, r)
    x = conn_at(s, c)
    x.state = C_BUSY
    x.req = r
    x.wrote = 0
    x.received = 0
    q.conn = c
    if q.hops == 0 and q.user == NOBODY and params_at(s, 0).redirects > 0:
        # Cookies on the way of an earlier request.
        put_byte(s.jars + c * JAR_BYTES, 0)
        put_byte(s.jars + c * JAR_BYTES + 1, 0)
    begin_response(response_at(s, c), target_at(s, q.target).is_head)
    if not _send(s, c, jars):
        _lost(s, c, s.now, FAILED_RESET)


@inner
def _open(s, r, once, now, before):
    """Send a request on a new connection; False where it has ended before it began.

    From the connection that it had `before` it takes along where redirects have led it, and the cookies set on the way.
    """
    c = open_for(s, r, once, now)
    q = req_at(s, r)
    if c > 0:
        c -= 1
        q.conn = c
        if q.hops > 0 and c != before:
            copy(s.a_places + c * _PLACE_BYTES, s.a_places + before * _PLACE_BYTES, q.path_length)
            if q.user == NOBODY:
                copy(s.jars + c * JAR_BYTES, s.jars + before * JAR_BYTES, JAR_BYTES)
        return True
    forget_answer(s, r)
    q.conn = NOBODY
    if c == 0 or c == -EMFILE or c == -ENFILE or c == -EADDRNOTAVAIL or c == -ENOBUFS:
        # The generator's own limits.
        never_left(s, r, now)
    elif c == -ETIMEDOUT:
        end_attempt(s, r, TIMED_OUT_CONNECT, now)
    else:
        end_attempt(s, r, REFUSED, now)
    return False


@inner
def begin(s, r, jars):
    """An attempt of a request begins: on a kept connection, or a new one."""
    now = clock(s)
    s.now = now
    q = req_at(s, r)
    par = params_at(s, 0)
    once = par.keep_alive == 0
    if not once and par.once_share > 0.0:
        once = uniform(par.key_connections, q.entity, np.uint64(q.k * 128 + q.attempt)) < par.once_share
    c = NOBODY if once else kept(s, r)
    if c == NOBODY and s.open >= par.cap and s.pool_tail == NOBODY and s.z_head == NOBODY:
        end_request(s, r, q.last if q.attempt > 0 else SHED, now)
        return
    note_attempt(s, r, now)
    await_answer(s, r)
    if c != NOBODY:
        _go_out(s, r, c, jars)
    else:
        _open(s, r, once, now, NOBODY)


# ------------------------------------------------------------------------------------------------ coming in


@inner
def _lost(s, c, now, what):
    """A connection has failed: its attempt ends so, or goes out anew where only the kept connection was stale."""
    x = conn_at(s, c)
    r = x.req
    stale = x.state == C_BUSY and x.served > 0 and x.received == 0
    once = x.once
    close(s, c)
    if r == NOBODY:
        return
    q = req_at(s, r)
    q.conn = NOBODY
    if stale and what == FAILED_RESET and may_send_again(s, q):
        s.resent += 1
        _open(s, r, once, now, c)
        return
    forget_answer(s, r)
    end_attempt(s, r, what, now)


@inner
def _leave(s, c, now):
    """A whole answer has come, and the connection is not kept: whoever is to close it does so."""
    # Answered before all was sent: what is left of the request would be taken for the next one.
    if response_at(s, c).keep == 0 and conn_at(s, c).wrote == conn_at(s, c).length:
        part(s, c, now)
    else:
        close(s, c)


@inner
def _leads_to(s, c):
    """Note where the response of a connection leads; False where that is not to be followed."""
    a = response_at(s, c)
    q = req_at(s, conn_at(s, c).req)
    t = target_at(s, q.target)
    if a.place_length <= 0 or q.hops >= params_at(s, 0).redirects:
        return False
    path = s.a_places + c * _PLACE_BYTES
    base, length = path, q.path_length
    if q.hops == 0:
        base, length = s.a_slab + t.line + t.method_length, t.line_length - t.method_length - _VERSION_BYTES
    # Requests are put together in the output from their beginning, each time: it is free meanwhile.
    found = resolve(
        base, base + length, a.place, a.place + a.place_length, s.a_slab + t.host, t.host_length, t.port,
        params_at(s, 0).tls, s.a_out,
    )  # fmt: skip
    if found == 0:
        return False
    copy(path, s.a_out, found)
    q.path_length = found
    q.hops += 1
    if t.changes != NEVER and (a.status == 303 or (a.status < 303 and t.changes == ALWAYS)):
        q.as_get = 1
    s.redirected += 1
    return True


@inner
def _follow(s, c, now, jars):
    """Send the request of a connection to where its response has led: on the same one where it is kept."""
    x = conn_at(s, c)
    r = x.req
    q = req_at(s, r)
    q.first_byte = -1.0
    x.served += 1
    if response_at(s, c).keep and not x.once and x.wrote == x.length:
        _go_out(s, r, c, jars)
        return
    once = x.once
    _leave(s, c, now)
    _open(s, r, once, s.now, c)


@inner
def _answered(s, c, now, needle):
    """The response is whole: keep the connection or close it, and end the attempt."""
    x = conn_at(s, c)
    a = response_at(s, c)
    r = x.req
    q = req_at(s, r)
    forget_answer(s, r)
    q.conn = NOBODY
    x.served += 1
    if a.status >= 500:
        what = FAILED_5XX
    elif len(needle) > 0 and a.found == 0:
        what = FAILED_BODY
    elif a.status >= 400:
        what = ANSWERED_4XX
    else:
        what = ANSWERED
    if a.keep and not x.once and x.wrote == x.length:
        keep(s, c)
    else:
        _leave(s, c, now)
    end_attempt(s, r, what, now)


@inner
def _receive(s, c, ended, data, stashes, jars, needle, failure):
    """Take in all that has come on a connection; `ended`: the other side has closed it."""
    x = conn_at(s, c)
    while True:
        if x.ssl != 0:
            n = tls_read(x.ssl, data.ctypes.data, RECEIVE_BYTES)
            stamp = NO_STAMP
        else:
            n, stamp = receive_bytes(s, x.fd, data.ctypes.data, RECEIVE_BYTES)
        if n == AGAIN:
            return
        now = clock(s)
        s.now = now
        if x.state != C_BUSY:
            # Closed by the server, or it speaks without being asked.
            if n <= 0 or x.state == C_IDLE:
                close(s, c)
                return
            continue  # what a parting server still says
        a = response_at(s, c)
        if n > 0:
            bin_at(s, bin_of(s, now)).received_bytes += n
            q = req_at(s, x.req)
            if q.started <= stamp < now:
                now = stamp
            if q.first_byte < 0.0:
                q.first_byte = now
            own = _jar_of(s, q, c)
            jar = jars[max(own, 0), : jars.shape[1] if own != NOBODY else 0]
            end = feed(a, stashes[c], data, 0, n, needle, failure, jar)
            x.received += n
            if end < n:
                a.keep = 0
        elif n == 0 and x.received > 0:
            feed_end(a)
        else:
            _lost(s, c, now, FAILED_PROTOCOL if x.ssl != 0 and tls_error_code() != 0 else FAILED_RESET)
            return
        if a.phase == NOT_HTTP:
            _lost(s, c, now, FAILED_PROTOCOL)
            return
        if a.phase == DONE:
            gen = x.gen
            if a.place_length != 0 and _leads_to(s, c):
                _follow(s, c, now, jars)
            else:
                _answered(s, c, now, needle)
            # Nothing can lie unread: a read that fills less than the room for it has emptied the socket.
            if (
                n == 0
                or x.state == C_FREE
                or x.gen != gen
                or (n < RECEIVE_BYTES and x.ssl == 0 and not ended)
            ):
                return


@inner
def _connected(s, c, jars):
    """Connecting has ended one way or the other, or the handshake goes on."""
    x = conn_at(s, c)
    now = clock(s)
    s.now = now
    if x.state == C_CONNECTING:
        error = socket_error(s, x.fd)
        if error != 0:
            _lost(s, c, now, TIMED_OUT_CONNECT if error == ETIMEDOUT else REFUSED)
            return
        if params_at(s, 0).tls:
            x.state = C_HANDSHAKE
            x.ssl = tls_new(s.tls_context, x.fd, s.a_name, params_at(s, 0).tls_verify)
    if x.state == C_HANDSHAKE:
        done = tls_handshake(x.ssl) if x.ssl != 0 else 2
        if done == 1:
            return
        if done == 2:
            if s.tls_error == 0:
                s.tls_error = tls_error_code()
                s.tls_verify_result = tls_verify_result(x.ssl) if x.ssl != 0 else 0
            _lost(s, c, now, FAILED_PROTOCOL)
            return
    forget_connection(s, c)
    _go_out(s, x.req, c, jars)


@inner
def happens(s, events, c, data, stashes, jars, needle, failure):
    """An event on a connection."""
    x = conn_at(s, c)
    if x.state == C_CONNECTING or x.state == C_HANDSHAKE:
        if x.state == C_CONNECTING and not events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
            return
        _connected(s, c, jars)
        if x.state != C_BUSY or not events & EPOLLIN:
            return
    # TLS may have to read before it can go on with writing.
    may_write = events & EPOLLOUT or x.ssl != 0
    if x.state == C_BUSY and x.wrote < x.length and may_write and not _send(s, c, jars):
        _lost(s, c, clock(s), FAILED_RESET)
        return
    if (x.state == C_BUSY or x.state == C_IDLE or x.state == C_PARTING) and events & (
        EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP
    ):
        ended = events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP) != 0
        _receive(s, c, ended, data, stashes, jars, needle, failure)


@inner
def time_out(s, r, now):
    """A client's patience is over."""
    q = req_at(s, r)
    c = q.conn
    what = TIMED_OUT_READ
    if c != NOBODY:
        state = conn_at(s, c).state
        if state == C_CONNECTING or state == C_HANDSHAKE:
            what = TIMED_OUT_CONNECT
        close(s, c)
    q.conn = NOBODY
    forget_answer(s, r)
    end_attempt(s, r, what, now)


@inner
def connect_time_out(s, c, now):
    """A connection took too long to be made."""
    _lost(s, c, now, TIMED_OUT_CONNECT)
