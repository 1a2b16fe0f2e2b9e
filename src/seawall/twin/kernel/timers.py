"""Timers: a heap of times with payloads, and lists of deadlines that all lie equally far ahead."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inner
from seawall.twin.kernel.access import heap_at, list_at, req_at, shelf_at, user_at
from seawall.twin.kernel.layout import SHELF_SECONDS, SHELVES, T_CLIENT, USER

_GEN_MASK = (1 << 24) - 1
_INDEX_MASK = (1 << 32) - 1


@inner
def payload(kind, gen, index):
    """kind << 56 | generation (24 bits) << 32 | index (32 bits)."""
    return (kind << 56) | ((gen & _GEN_MASK) << 32) | index


@inner
def kind_of(p):
    """The kind of timer in a payload."""
    return p >> 56


@inner
def gen_of(p):
    """The generation in a payload: a timer whose owner has another by now is void."""
    return (p >> 32) & _GEN_MASK


@inner
def index_of(p):
    """The index in a payload."""
    return p & _INDEX_MASK


@inner
def same_gen(p, gen):
    """Whether the timer still belongs to the generation that set it."""
    return gen_of(p) == (gen & _GEN_MASK)


@inner
def push(s, t, p):
    """Set a timer. The main loop makes sure that there is room."""
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
    here.p = p


@inner
def pop(s):
    """Remove the earliest timer; it stands in place 0 before."""
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


@inner
def shelve(s, user, t):
    """Set a user's one timer.

    Most users are idle, and a heap that holds them all is slow: who is due later than this moment's shelf
    waits in a list by time, which goes into the heap when its time has come.
    """
    if s.shelved == 0:
        s.shelf = int(s.now / SHELF_SECONDS)
    place = int(t / SHELF_SECONDS)
    if place <= s.shelf:
        push(s, t, payload(USER, 0, user))
        return
    u = user_at(s, user)
    shelf = shelf_at(s, place & (SHELVES - 1))
    u.due = t
    u.next = shelf.x
    shelf.x = user + 1
    s.shelved += 1


@inner
def clear_shelf(s):
    """The next shelf's time has come: its users go into the heap, those of a later round stay."""
    s.shelf += 1
    shelf = shelf_at(s, s.shelf & (SHELVES - 1))
    user = shelf.x - 1
    shelf.x = 0
    while user >= 0:
        u = user_at(s, user)
        following = u.next - 1
        if int(u.due / SHELF_SECONDS) <= s.shelf:
            push(s, u.due, payload(USER, 0, user))
            s.shelved -= 1
        else:
            u.next = shelf.x
            shelf.x = user + 1
        user = following


@inner
def await_client(s, r, deadline):
    """Put attempt `r` at the end of the clients' deadlines."""
    q = req_at(s, r)
    q.deadline_c = deadline
    tail = list_at(s, T_CLIENT).tail
    q.c_prev = tail
    q.c_next = -1
    q.c_listed = 1
    if tail < 0:
        list_at(s, T_CLIENT).head = r
        list_at(s, T_CLIENT).due = deadline
    else:
        req_at(s, tail).c_next = r
    list_at(s, T_CLIENT).tail = r


@inner
def forget_client(s, r):
    """Take attempt `r` out of the clients' deadlines."""
    q = req_at(s, r)
    if q.c_listed == 0:
        return
    q.c_listed = 0
    if q.c_prev < 0:
        list_at(s, T_CLIENT).head = q.c_next
        list_at(s, T_CLIENT).due = req_at(s, q.c_next).deadline_c if q.c_next >= 0 else np.inf
    else:
        req_at(s, q.c_prev).c_next = q.c_next
    if q.c_next < 0:
        list_at(s, T_CLIENT).tail = q.c_prev
    else:
        req_at(s, q.c_next).c_prev = q.c_prev


@inner
def forget_proxy(s, r):
    """Take attempt `r` out of the proxy's deadlines, if it is in one of its lists."""
    q = req_at(s, r)
    which = q.p_list
    if which < 0:
        return
    q.p_list = -1
    if q.p_prev < 0:
        list_at(s, which).head = q.p_next
        list_at(s, which).due = req_at(s, q.p_next).deadline_p if q.p_next >= 0 else np.inf
    else:
        req_at(s, q.p_prev).p_next = q.p_next
    if q.p_next < 0:
        list_at(s, which).tail = q.p_prev
    else:
        req_at(s, q.p_next).p_prev = q.p_prev


@inner
def await_proxy(s, r, which, deadline):
    """Put attempt `r` at the end of one of the proxy's lists, out of any other."""
    forget_proxy(s, r)
    if deadline == np.inf:
        return
    q = req_at(s, r)
    q.deadline_p = deadline
    q.p_list = which
    tail = list_at(s, which).tail
    q.p_prev = tail
    q.p_next = -1
    if tail < 0:
        list_at(s, which).head = r
        list_at(s, which).due = deadline
    else:
        req_at(s, tail).p_next = r
    list_at(s, which).tail = r
