"""The loop: send what is due, take in what has come, let time-outs pass, and sleep until the next of these."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from typing import Any

import numba as nb
import numpy as np

from seawall.load.engine.access import arrival_at, bin_at, conn_at, heap_at, params_at, req_at, user_at
from seawall.load.engine.connections import close, of_event
from seawall.load.engine.exchange import connect_time_out, happens, time_out
from seawall.load.engine.layout import C_FREE, NOBODY, PARTING_SECONDS, R_ARRIVALS, R_DONE, R_TIME, USER
from seawall.load.engine.senders import arrives, goes_on, user_asks
from seawall.load.engine.system import clock, close_file, look_at_clocks, open_epoll, ready, wait_events
from seawall.load.engine.timers import pop, push

_njit: Any = nb.njit
_AT_ONCE = 64
"""So many requests are begun before sockets are looked at again."""


@_njit(cache=True)
def prepare(s, first):
    """Before time 0: users' first times (a value a user of the closed loop), and an epoll instance (else False)."""
    for user in range(len(first)):
        u = user_at(s, user)
        u.intended = first[user]
        if u.k > 0:
            # There from the start.
            u.active = 1
            bin_at(s, 0).joined += 1
        push(s, min(first[user], u.leave_s), USER, user)
    return open_epoll(s)


@_njit(cache=True)
def finish(s):
    """Close whatever is open."""
    for c in range(s.fresh_conn):
        if conn_at(s, c).state != C_FREE:
            close(s, c)
    close_file(s.epoll)


@_njit(cache=True)
def run(s, until, data, stashes, jars, needle, failure):
    """Run until the time `until`, or until arrivals are wanted, or all is over; which of the R_ it was."""
    par = params_at(s, 0)
    look_at_clocks(s)
    while True:
        now = clock(s)
        s.now = now
        begun = 0
        while begun < _AT_ONCE:
            t = heap_at(s, 0).t if s.heap > 0 else np.inf
            if s.arrival < s.arrivals and arrival_at(s, s.arrival).t <= t:
                if arrival_at(s, s.arrival).t > now:
                    break
                arrives(s, jars)
            elif t <= now or (now >= s.stop_s and s.heap > 0):
                kind, index = pop(s)
                if kind == USER:
                    user_asks(s, index, t, jars)
                else:
                    goes_on(s, index, t, jars)
            else:
                break
            begun += 1
        if s.arrival == s.arrivals and not s.arrivals_done:
            return R_ARRIVALS
        now = clock(s)
        while s.t_head != NOBODY and req_at(s, s.t_head).started + par.timeout <= now:
            time_out(s, s.t_head, now)
        while s.c_head != NOBODY and conn_at(s, s.c_head).started + par.connect_timeout <= now:
            connect_time_out(s, s.c_head, now)
        while s.z_head != NOBODY and conn_at(s, s.z_head).started + PARTING_SECONDS <= now:
            close(s, s.z_head)
        if s.heap == 0 and s.live == 0 and s.arrival == s.arrivals:
            return R_DONE
        if now >= until:
            return R_TIME
        n = wait_events(s, 0.0 if begun == _AT_ONCE else _next(s, par, until) - now)
        for i in range(n):
            events, of = ready(s, i)
            c = of_event(s, of)
            if c != NOBODY:
                happens(s, events, c, data, stashes, jars, needle, failure)


@_njit
def _next(s, par, until):
    """When something is due without an event on a socket."""
    t = until
    if s.heap > 0:
        t = min(t, heap_at(s, 0).t)
    if s.arrival < s.arrivals:
        t = min(t, arrival_at(s, s.arrival).t)
    if s.t_head != NOBODY:
        t = min(t, req_at(s, s.t_head).started + par.timeout)
    if s.c_head != NOBODY:
        t = min(t, conn_at(s, s.c_head).started + par.connect_timeout)
    return t
