"""Connections: made, kept, lent and closed. A user of a closed loop has one of its own, all others share a pool."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from seawall.compiled.functions import inner
from seawall.load.engine.access import bin_at, conn_at, params_at, req_at, user_at
from seawall.load.engine.layout import (
    ARRIVAL_ENTITY,
    C_CONNECTING,
    C_FREE,
    C_HANDSHAKE,
    C_IDLE,
    C_PARTING,
    NOBODY,
)
from seawall.load.engine.requests import bin_of
from seawall.load.engine.system import close_file, open_socket
from seawall.load.engine.timers import await_connection, forget_connection
from seawall.load.engine.tls import tls_free


@inner
def _leave_pool(s, c):
    x = conn_at(s, c)
    if x.prev == NOBODY:
        s.pool = x.next
    else:
        conn_at(s, x.prev).next = x.next
    if x.next == NOBODY:
        s.pool_tail = x.prev
    else:
        conn_at(s, x.next).prev = x.prev


@inner
def part(s, c, now):
    """The server is about to close a connection: let it, so that the port is free at once and not after TIME_WAIT."""
    x = conn_at(s, c)
    if x.user != NOBODY:
        user_at(s, x.user).conn = NOBODY
        x.user = NOBODY
    x.state = C_PARTING
    x.req = NOBODY
    x.started = now
    x.next = NOBODY
    x.prev = s.z_tail
    if s.z_tail == NOBODY:
        s.z_head = c
    else:
        conn_at(s, s.z_tail).next = c
    s.z_tail = c


@inner
def _leave_parting(s, c):
    x = conn_at(s, c)
    if x.prev == NOBODY:
        s.z_head = x.next
    else:
        conn_at(s, x.prev).next = x.next
    if x.next == NOBODY:
        s.z_tail = x.prev
    else:
        conn_at(s, x.next).prev = x.prev


@inner
def keep(s, c):
    """A connection has nothing to do: its user keeps it, or it goes to the front of the pool."""
    x = conn_at(s, c)
    x.state = C_IDLE
    x.req = NOBODY
    if x.user != NOBODY:
        return
    x.prev = NOBODY
    x.next = s.pool
    if s.pool == NOBODY:
        s.pool_tail = c
    else:
        conn_at(s, s.pool).prev = c
    s.pool = c


@inner
def close(s, c):
    """Close a connection and free its place. Whatever request it had is the caller's business."""
    x = conn_at(s, c)
    if x.state == C_IDLE and x.user == NOBODY:
        _leave_pool(s, c)
    elif x.state == C_PARTING:
        _leave_parting(s, c)
    if x.state == C_CONNECTING or x.state == C_HANDSHAKE:
        forget_connection(s, c)
    if x.user != NOBODY:
        user_at(s, x.user).conn = NOBODY
    if x.ssl != 0:
        tls_free(x.ssl, x.state == C_IDLE)
        x.ssl = 0
    close_file(x.fd)
    x.state = C_FREE
    x.next = s.free_conn
    s.free_conn = c
    s.open -= 1


@inner
def kept(s, r):
    """The idle connection that a request can go out on, NOBODY where it needs a new one."""
    q = req_at(s, r)
    if q.entity < ARRIVAL_ENTITY:
        c = user_at(s, q.user).conn
        return c if c != NOBODY and conn_at(s, c).state == C_IDLE else NOBODY
    c = s.pool
    if c != NOBODY:
        _leave_pool(s, c)
    return c


@inner
def event_data(c, gen):
    """What an event says of a connection; one that had the same place before is told apart."""
    return ((gen & 0x7FFFFFFF) << 32) | c


@inner
def of_event(s, data):
    """The connection of an event, NOBODY where it is no more."""
    c = data & 0xFFFFFFFF
    x = conn_at(s, c)
    return c if x.state != C_FREE and data >> 32 == x.gen & 0x7FFFFFFF else NOBODY


@inner
def open_for(s, r, once, now):
    """Begin to connect for a request: the connection's number from 1, minus the error's number, or 0 at the cap."""
    par = params_at(s, 0)
    q = req_at(s, r)
    if s.open >= par.cap and s.z_head != NOBODY:
        close(s, s.z_head)
    if s.open >= par.cap and s.pool_tail != NOBODY:
        close(s, s.pool_tail)
    if s.open >= par.cap:
        return 0
    c = s.free_conn
    if c != NOBODY:
        s.free_conn = conn_at(s, c).next
    else:
        c = s.fresh_conn
        s.fresh_conn += 1
    x = conn_at(s, c)
    x.gen += 1
    fd = open_socket(s, s.address, event_data(c, x.gen))
    s.address += 1
    if s.address == par.addresses:
        s.address = 0
    if fd < 0:
        x.next = s.free_conn
        s.free_conn = c
        return fd
    s.open += 1
    s.most_open = max(s.most_open, s.open)
    bin_at(s, bin_of(s, now)).connects += 1
    x.fd = fd
    x.state = C_CONNECTING
    x.req = r
    x.user = NOBODY
    x.once = once
    x.served = 0
    x.received = 0
    x.wrote = 0
    x.length = 0
    x.ssl = 0
    x.started = now
    if q.entity < ARRIVAL_ENTITY and not once:
        x.user = q.user
        user_at(s, q.user).conn = c
    await_connection(s, c)
    return c + 1
