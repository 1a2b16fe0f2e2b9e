"""Who sends: users of a closed loop, arrivals from a rate, visitors of a recording."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inner
from seawall.load.engine.access import arrival_at, bin_at, class_at, params_at, req_at, user_at
from seawall.load.engine.connections import close
from seawall.load.engine.exchange import begin
from seawall.load.engine.layout import ARRIVAL_ENTITY, NOBODY, USER
from seawall.load.engine.requests import bin_of, end_request, forget, note, take
from seawall.load.engine.timers import push


@inner
def _shed(s, cls, t):
    """A request for which the generator has no place left: counted as meant to be sent, and not sent."""
    b = bin_at(s, bin_of(s, t))
    b.sent += 1
    b.shed += 1
    s.sent += 1
    c = class_at(s, max(0, cls))
    c.sent += 1
    c.shed += 1


@inner
def user_asks(s, user, t, jars):
    """A user's time has come: it leaves, or it sends its next request, which was due at t."""
    u = user_at(s, user)
    if u.active == 0:
        u.active = 1
        bin_at(s, bin_of(s, t)).joined += 1
    if t >= u.leave_s or s.now >= s.stop_s:
        u.active = 0
        bin_at(s, bin_of(s, min(t, s.now))).left += 1
        if u.conn != NOBODY:
            close(s, u.conn)
        return
    r = take(s)
    if r == NOBODY:
        _shed(s, 0, t)
        u.intended = t + 1.0
        push(s, u.intended, USER, user)
        return
    q = req_at(s, r)
    q.user = user
    q.entity = np.uint64(u.id)
    q.k = u.k
    u.k += 1
    u.intended = t
    u.busy = 1
    note(s, r, t, t)
    begin(s, r, jars)


@inner
def arrives(s, jars):
    """The next arrival comes: at once, or behind an earlier request of the same visitor that is under way."""
    a = arrival_at(s, s.arrival)
    s.arrival += 1
    if a.t >= s.stop_s:
        return
    r = take(s)
    if r == NOBODY:
        _shed(s, a.cls, a.t)
        return
    q = req_at(s, r)
    q.user = a.user
    q.entity = np.uint64(ARRIVAL_ENTITY + a.n)
    q.cls = a.cls
    q.target = a.target
    q.visits = params_at(s, 0).visits
    if a.user != NOBODY:
        u = user_at(s, a.user)
        if u.busy:
            note(s, r, a.t, a.t)
            q.next = NOBODY
            if u.head == NOBODY:
                u.head = r
            else:
                req_at(s, u.tail).next = r
            u.tail = r
            s.waiting += 1
            return
        u.busy = 1
    note(s, r, a.t, a.t)
    begin(s, r, jars)


@inner
def goes_on(s, r, t, jars):
    """A planned attempt, a later visit, or a visitor's request that waited for the one before: its time has come."""
    q = req_at(s, r)
    if s.now >= s.stop_s:
        if q.attempt > 0:
            end_request(s, r, q.last, s.now)
        else:
            _drop(s, r)
        return
    if q.attempt == 0:
        q.ready = max(t, q.intended)
    begin(s, r, jars)


@inner
def _drop(s, r):
    """A request that is not sent because the run was ended; nor are those of its visitor that wait for it."""
    q = req_at(s, r)
    if q.user != NOBODY:
        u = user_at(s, q.user)
        u.busy = 0
        while u.head != NOBODY:
            n = u.head
            u.head = req_at(s, n).next
            s.waiting -= 1
            forget(s, n)
    forget(s, r)
