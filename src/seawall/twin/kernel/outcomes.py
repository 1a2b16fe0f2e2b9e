"""How an attempt and a request end for the client, and what the client does next."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inlined, inner
from seawall.record.histogram import bucket_of
from seawall.traffic.closed import next_intended
from seawall.traffic.draws import uniform
from seawall.twin.kernel.access import (
    bin_at,
    class_at,
    hist_at,
    loop_at,
    params_at,
    pod_at,
    req_at,
    think_at,
    user_at,
)
from seawall.twin.kernel.events import tell
from seawall.twin.kernel.layout import (
    ANSWERED,
    BY_PROBE,
    BY_USER,
    E_READY,
    E_UNREADY,
    FAILED,
    PLANNED,
    REFUSED,
    SEND,
    TIMED_OUT,
)
from seawall.twin.kernel.server import entity_of
from seawall.twin.kernel.slots import take
from seawall.twin.kernel.timers import forget_client, payload, push, shelve


@inner
def current_bin(s):
    """The bin of the moment, the last one for what lies behind it. The main loop ends a bin before it goes on."""
    return min(s.bin, s.n_bins - 1)


@inner
def note_request(s, r, t):
    """A request is sent: draw its class and count it."""
    q = req_at(s, r)
    par = params_at(s, 0)
    if q.cls < 0:
        q.cls = 0
        if par.classes > 1:
            u = uniform(par.key_classes, entity_of(q), np.uint64(q.k))
            while q.cls < par.classes - 1 and u >= class_at(s, q.cls).until:
                q.cls += 1
    q.intended = t
    q.bin = current_bin(s)
    s.sent += 1
    s.under_way += 1
    class_at(s, q.cls).sent += 1
    class_at(s, q.cls).under_way += 1
    bin_at(s, q.bin).sent += 1


@inlined
def _count(s, q, what, t):
    c = class_at(s, q.cls)
    b = bin_at(s, q.bin)
    now = bin_at(s, current_bin(s))
    s.under_way -= 1
    c.under_way -= 1
    if what == ANSWERED:
        latency = t - q.intended
        s.answered += 1
        c.answered += 1
        b.answered += 1
        b.latency_s += latency
        now.answered_at += 1
        hist_at(s, q.bin, bucket_of(latency)).x += 1
        return
    now.failed_at += 1
    if what == FAILED:
        s.failed += 1
        c.failed += 1
        b.failed += 1
    elif what == TIMED_OUT:
        s.timed_out += 1
        c.timed_out += 1
        b.timed_out += 1
    elif what == REFUSED:
        s.refused += 1
        c.refused += 1
        b.refused += 1
    else:
        s.shed += 1
        c.shed += 1
        b.shed += 1


LEAST_ROUND_TRIP = 0.0001
"""Seconds; for fleets whose round trip is 0."""


@inner
def send_soon(s, r):
    """A planned attempt is sent as soon as the event of the moment is over, without a timer."""
    if s.soon_head < 0:
        s.soon_head = r
    else:
        req_at(s, s.soon_tail).next = r
    s.soon_tail = r


@inlined
def end_request(s, r, what, t):
    """The request has its outcome: count it, and let its sender go on."""
    q = req_at(s, r)
    par = params_at(s, 0)
    _count(s, q, what, t)
    if q.by == BY_USER:
        u = user_at(s, q.owner)
        u.fails = 0 if what == ANSWERED else u.fails + 1
        if par.give_up > 0 and u.fails >= par.give_up:
            u.leave_s = t
        u.intended = next_intended(loop_at(s, 0), think_at(s, 0), par.key_users, q.owner, u.k, q.intended, t)
        if u.intended <= q.intended:
            # Nobody learns of an end, even of a refusal, before a round trip; without it time would stand still.
            u.intended = q.intended + max(par.rtt, LEAST_ROUND_TRIP)
        # One who is to leave by then does so when its time has come, but not before this request has ended.
        due = u.intended if u.intended < u.leave_s else max(t, u.leave_s)
        shelve(s, q.owner, due)
    elif q.visits > 1:
        n = take(s)
        v = req_at(s, n)
        v.by = q.by
        v.owner = q.owner
        v.k = q.k + 1
        v.cls = -1
        v.visits = q.visits - 1
        send_soon(s, n)


@inner
def _retry(s, r, t):
    """Plan another attempt of the same request, or return False where the client gives up."""
    q = req_at(s, r)
    par = params_at(s, 0)
    if q.attempt >= par.r_max or s.retries_planned >= par.r_budget * s.sent:
        return False
    wait = 0.0
    if par.r_exponential:
        wait = min(par.r_cap, par.r_base * 2.0**q.attempt)
        if par.r_jitter:
            wait *= uniform(par.key_retries, entity_of(q), np.uint64(q.k * 128 + q.attempt))
    s.retries_planned += 1
    n = take(s)
    v = req_at(s, n)
    v.by = q.by
    v.owner = q.owner
    v.k = q.k
    v.cls = q.cls
    v.bin = q.bin
    v.intended = q.intended
    v.visits = q.visits
    v.attempt = q.attempt + 1
    v.state = PLANNED
    push(s, t + wait, payload(SEND, v.gen, n))
    return True


@inner
def probe_result(s, pod, good):
    """Count a readiness probe's result against its thresholds, as the kubelet does."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    if good:
        p.successes += 1
        p.fails = 0
        if p.ready == 0 and p.successes >= par.probe_successes:
            p.ready = 1
            tell(s, E_READY, pod, p.node, 0.0, True)
    else:
        p.fails += 1
        p.successes = 0
        if p.ready == 1 and p.fails >= par.probe_failures:
            p.ready = 0
            tell(s, E_UNREADY, pod, p.node, 0.0, True)


@inner
def end_attempt(s, r, what, t):
    """The client learns how its attempt ended; the caller frees the place or marks that the client is gone."""
    q = req_at(s, r)
    forget_client(s, r)
    if q.by == BY_PROBE:
        p = pod_at(s, q.owner)
        if p.probe_out == r + 1:
            p.probe_out = 0
            probe_result(s, q.owner, what == ANSWERED)
        return
    if what != ANSWERED and params_at(s, 0).r_max > 0 and _retry(s, r, t):
        return
    end_request(s, r, what, t)
