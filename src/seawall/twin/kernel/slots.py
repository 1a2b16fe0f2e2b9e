"""Attempts of requests come from a list of free places and go back to it."""

from __future__ import annotations

from seawall.compiled.functions import inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import req_at
from seawall.twin.kernel.layout import FREE, PLANNED
from seawall.twin.kernel.timers import forget_client, forget_proxy


@inner
def take(s):
    """A free place for an attempt, all its fields fresh. The main loop makes sure that there is one."""
    r = s.free
    q = req_at(s, r)
    s.free = q.next
    s.free_count -= 1
    q.gen += 1
    q.state = PLANNED
    q.mem = 0.0
    q.pod = -1
    q.worker = -1
    q.gone = 0
    q.at_proxy = 0
    q.attempt = 0
    q.tries = 0
    q.retries_left = 0
    q.visits = 0
    q.next = -1
    q.prev = -1
    return r


@inner
def give(s, r):
    """Client and server are both done with the attempt."""
    q = req_at(s, r)
    forget_client(s, r)
    forget_proxy(s, r)
    q.state = FREE
    q.gen += 1
    q.next = s.free
    s.free = r
    s.free_count += 1
