"""A request from its beginning to its outcome: counted, timed out, tried again, and what its sender does next."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inlined, inner
from seawall.load.engine.access import (
    bin_at,
    class_at,
    first_byte_at,
    latency_at,
    lateness_at,
    loop_at,
    params_at,
    req_at,
    target_at,
    think_at,
    user_at,
)
from seawall.load.engine.layout import (
    ANSWERED,
    ANSWERED_4XX,
    ARRIVAL_ENTITY,
    FAILED_5XX,
    FAILED_BODY,
    FAILED_PROTOCOL,
    FAILED_RESET,
    NOBODY,
    REFUSED,
    RETRY,
    SHED,
    TIMED_OUT_CONNECT,
    TIMED_OUT_READ,
    USER,
)
from seawall.load.engine.timers import push
from seawall.record.histogram import bucket_of
from seawall.traffic.closed import next_intended
from seawall.traffic.draws import uniform

SHED_PAUSE_SECONDS = 0.001


@inner
def take(s):
    """A place for a request, NOBODY where there is none left."""
    r = s.free_req
    if r != NOBODY:
        s.free_req = req_at(s, r).next
    elif s.fresh_req < s.n_reqs:
        r = s.fresh_req
        s.fresh_req += 1
    else:
        return NOBODY
    q = req_at(s, r)
    q.user = NOBODY
    q.conn = NOBODY
    q.k = 0
    q.attempt = 0
    q.visits = 1
    q.cls = NOBODY
    q.target = NOBODY
    q.first_byte = -1.0
    return r


@inner
def give(s, r):
    """Free a request's place."""
    req_at(s, r).next = s.free_req
    s.free_req = r


@inlined
def bin_of(s, t):
    """The bin of a time, the last one for what lies behind it."""
    return min(max(0, int(t / params_at(s, 0).bin_s)), s.n_bins - 1)


@inner
def note(s, r, intended, ready):
    """A request is due: draw its class and target where they are open, and count it as sent."""
    q = req_at(s, r)
    par = params_at(s, 0)
    if q.cls < 0:
        q.cls = 0
        if par.classes > 1:
            u = uniform(par.key_classes, q.entity, np.uint64(q.k))
            while q.cls < par.classes - 1 and u >= class_at(s, q.cls).until:
                q.cls += 1
    c = class_at(s, q.cls)
    if q.target < 0:
        q.target = c.first_target
        if c.targets > 1:
            u = uniform(par.key_targets, q.entity, np.uint64(q.k))
            q.target += min(c.targets - 1, int(u * c.targets))
    q.intended = intended
    q.ready = ready
    q.bin = bin_of(s, intended)
    s.sent += 1
    s.live += 1
    c.sent += 1
    c.under_way += 1
    bin_at(s, q.bin).sent += 1


@inner
def forget(s, r):
    """A request that was counted will not be sent: it counts no more."""
    q = req_at(s, r)
    c = class_at(s, q.cls)
    s.sent -= 1
    s.live -= 1
    c.sent -= 1
    c.under_way -= 1
    bin_at(s, q.bin).sent -= 1
    give(s, r)


@inner
def note_attempt(s, r, now):
    """An attempt leaves now; the first one tells how late the generator is."""
    q = req_at(s, r)
    q.started = now
    q.first_byte = -1.0
    q.hops = 0
    q.as_get = 0
    b = bin_at(s, q.bin)
    b.attempts += 1
    if q.attempt > 0:
        s.retries += 1
        return
    q.sent = now
    lateness_at(s, q.bin, bucket_of(now - q.ready)).x += 1


@inner
def never_left(s, r, now):
    """The attempt just noted found no socket: it was none. The request is shed, or ends as its last attempt did."""
    q = req_at(s, r)
    bin_at(s, q.bin).attempts -= 1
    if q.attempt > 0:
        s.retries -= 1
        end_request(s, r, q.last, now)
        return
    lateness_at(s, q.bin, bucket_of(q.sent - q.ready)).x -= 1
    end_request(s, r, SHED, now)


@inlined
def _count(s, q, what, now):
    c = class_at(s, q.cls)
    b = bin_at(s, q.bin)
    m = bin_at(s, bin_of(s, now))
    s.live -= 1
    c.under_way -= 1
    if what == ANSWERED or what == ANSWERED_4XX:
        latency = now - q.intended
        c.answered += 1
        b.answered += 1
        b.answered_4xx += what == ANSWERED_4XX
        b.latency_s += latency
        m.answered_at += 1
        latency_at(s, q.bin, bucket_of(latency)).x += 1
        first_byte_at(s, q.bin, bucket_of(q.first_byte - q.sent)).x += 1
    elif what == SHED:
        c.shed += 1
        b.shed += 1
    elif what == REFUSED:
        m.failed_at += 1
        c.refused += 1
        b.refused += 1
    elif what == TIMED_OUT_CONNECT or what == TIMED_OUT_READ:
        m.failed_at += 1
        c.timed_out += 1
        b.timed_out += 1
        b.timed_out_connect += what == TIMED_OUT_CONNECT
        b.timed_out_read += what == TIMED_OUT_READ
    else:
        m.failed_at += 1
        c.failed += 1
        b.failed += 1
        b.failed_5xx += what == FAILED_5XX
        b.failed_reset += what == FAILED_RESET
        b.failed_body += what == FAILED_BODY
        b.failed_protocol += what == FAILED_PROTOCOL


@inner
def _user_goes_on(s, q, what, now):
    """A user of the closed loop learns its outcome and plans its next request, or its leave."""
    par = params_at(s, 0)
    u = user_at(s, q.user)
    u.busy = 0
    good = what == ANSWERED or what == ANSWERED_4XX
    u.fails = 0 if good else u.fails + 1
    if par.give_up > 0 and u.fails >= par.give_up:
        u.leave_s = now
    u.intended = next_intended(loop_at(s, 0), think_at(s, 0), par.key_users, u.id, u.k, q.intended, now)
    if what == SHED:
        # Without a think time a user would ask for ever at the same moment.
        u.intended = max(u.intended, now + SHED_PAUSE_SECONDS)
    # One who is to leave by then does so when its time has come, but not before this request has ended.
    push(s, u.intended if u.intended < u.leave_s else max(now, u.leave_s), USER, q.user)


@inner
def end_request(s, r, what, now):
    """The request has its outcome: count it, let its sender go on, and free its place."""
    q = req_at(s, r)
    _count(s, q, what, now)
    if q.entity < ARRIVAL_ENTITY:
        _user_goes_on(s, q, what, now)
    else:
        if q.user != NOBODY:
            u = user_at(s, q.user)
            u.busy = 0
            if u.head != NOBODY:
                n = u.head
                u.head = req_at(s, n).next
                u.busy = 1
                s.waiting -= 1
                push(s, now, RETRY, n)
        if q.visits > 1:
            n = take(s)
            if n != NOBODY:
                v = req_at(s, n)
                v.user = q.user
                v.entity = q.entity
                v.k = q.k + 1
                v.visits = q.visits - 1
                note(s, n, now, now)
                push(s, now, RETRY, n)
    give(s, r)


@inner
def end_attempt(s, r, what, now):
    """An attempt has ended: another one is planned where the client tries again, or the request has its outcome."""
    q = req_at(s, r)
    par = params_at(s, 0)
    fine = what == ANSWERED or what == ANSWERED_4XX
    if not fine and q.attempt < par.r_max and now < s.stop_s and s.retries_planned < par.r_budget * s.sent:
        wait = 0.0
        if par.r_exponential:
            wait = min(par.r_cap, par.r_base * 2.0**q.attempt)
            if par.r_jitter:
                wait *= uniform(par.key_retries, q.entity, np.uint64(q.k * 128 + q.attempt))
        s.retries_planned += 1
        q.attempt += 1
        q.last = what
        q.conn = NOBODY
        push(s, now + wait, RETRY, r)
        return
    end_request(s, r, what, now)


@inlined
def may_send_again(s, q):
    """Whether the method of a request allows it to be sent once more without the client's knowledge."""
    return target_at(s, q.target).safe or q.as_get
