"""Least connections as HAProxy keeps them: servers in the order of their sessions, equals in turn.

HAProxy (src/lb_fwlc.c) holds its servers in a tree by load and puts one behind its equals whenever its load
changes. Here each number of sessions has a list, so that a change costs the same however many servers there are.
"""

from __future__ import annotations

from seawall.compiled.functions import inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import level_at, sessions_at
from seawall.twin.kernel.layout import LEVELS

NONE = -1


@inner
def join(s, pod):
    """Put a server behind those with as many sessions."""
    p = sessions_at(s, pod)
    level = min(p.x, LEVELS - 1)
    row = level_at(s, level)
    p.listed = 1
    p.prev = row.tail
    p.next = NONE
    if row.tail < 0:
        row.head = pod
    else:
        sessions_at(s, row.tail).next = pod
    row.tail = pod
    if level < s.least:
        s.least = level


@inner
def leave(s, pod):
    """Take a server out of its list, if it is in one."""
    p = sessions_at(s, pod)
    if p.listed == 0:
        return
    p.listed = 0
    row = level_at(s, min(p.x, LEVELS - 1))
    if p.prev < 0:
        row.head = p.next
    else:
        sessions_at(s, p.prev).next = p.next
    if p.next < 0:
        row.tail = p.prev
    else:
        sessions_at(s, p.next).prev = p.prev


@inner
def count_session(s, pod, change):
    """A server has one session more or less."""
    p = sessions_at(s, pod)
    if p.listed:
        leave(s, pod)
        p.x += change
        join(s, pod)
    else:
        p.x += change


@inner
def least(s, avoid, below):
    """The server with the fewest sessions, below a bound and not `avoid`; NONE if there is none."""
    while s.least < LEVELS - 1 and level_at(s, s.least).head < 0:
        s.least += 1
    level = s.least
    while level < LEVELS:
        pod = level_at(s, level).head
        while pod >= 0 and (pod == avoid or sessions_at(s, pod).x >= below):
            pod = sessions_at(s, pod).next
        if pod >= 0 or level + 1 > below:
            return pod
        level += 1
    return NONE
