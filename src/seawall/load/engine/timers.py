"""Timers: a heap of times with payloads, and lists of time-outs that all lie equally far ahead."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from seawall.compiled.functions import inner
from seawall.load.engine.access import conn_at, heap_at, req_at
from seawall.load.engine.layout import NOBODY

_INDEX_MASK = (1 << 56) - 1


@inner
def push(s, t, kind, index):
    """Set a timer. The heap has room for one a user and one a request."""
    i = s.heap
    s.heap = i + 1
    while i > 0:
        up = heap_at(s, (i - 1) >> 2)
        if up.t <= t:
            break
        here = heap_at(s, i)
        here.t = up.t
        here.p = up.p
        i = (i - 1) >> 2
    here = heap_at(s, i)
    here.t = t
    here.p = (kind << 56) | index


@inner
def pop(s):
    """Remove the earliest timer; returns (kind, index)."""
    top = heap_at(s, 0).p
    n = s.heap - 1
    s.heap = n
    last = heap_at(s, n)
    t = last.t
    p = last.p
    i = 0
    while True:
        first = 4 * i + 1
        if first >= n:
            break
        least = first
        least_t = heap_at(s, first).t
        for c in range(first + 1, min(first + 4, n)):
            x = heap_at(s, c).t
            if x < least_t:
                least = c
                least_t = x
        if least_t >= t:
            break
        here = heap_at(s, i)
        here.t = least_t
        here.p = heap_at(s, least).p
        i = least
    here = heap_at(s, i)
    here.t = t
    here.p = p
    return top >> 56, top & _INDEX_MASK


@inner
def await_answer(s, r):
    """Put an attempt at the end of the list of those that wait for their answer."""
    q = req_at(s, r)
    q.next = NOBODY
    q.prev = s.t_tail
    if s.t_tail == NOBODY:
        s.t_head = r
    else:
        req_at(s, s.t_tail).next = r
    s.t_tail = r


@inner
def forget_answer(s, r):
    """Take an attempt out of that list."""
    q = req_at(s, r)
    if q.prev == NOBODY:
        s.t_head = q.next
    else:
        req_at(s, q.prev).next = q.next
    if q.next == NOBODY:
        s.t_tail = q.prev
    else:
        req_at(s, q.next).prev = q.prev


@inner
def await_connection(s, c):
    """Put a connection at the end of the list of those that are being made."""
    x = conn_at(s, c)
    x.c_next = NOBODY
    x.c_prev = s.c_tail
    if s.c_tail == NOBODY:
        s.c_head = c
    else:
        conn_at(s, s.c_tail).c_next = c
    s.c_tail = c


@inner
def forget_connection(s, c):
    """Take a connection out of that list."""
    x = conn_at(s, c)
    if x.c_prev == NOBODY:
        s.c_head = x.c_next
    else:
        conn_at(s, x.c_prev).c_next = x.c_next
    if x.c_next == NOBODY:
        s.c_tail = x.c_prev
    else:
        conn_at(s, x.c_next).c_prev = x.c_prev
