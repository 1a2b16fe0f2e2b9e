"""Why an objective was lost: the earliest event that can have caused it.

Three ranks, since one event follows from another: what breaks (a node, a container) comes before what presses
(workers at their limit, pods without a node), and that before what only shows it (full queues). Within a rank
the earliest wins; at the same moment, the one named first here. Where nothing is seen of the servers, the first
way in which requests failed is all that can be said.
"""

from __future__ import annotations

from seawall.record.failures import KIND as REQUESTS_FAIL
from seawall.record.objectives import Loss
from seawall.record.record import Event, Record

BREAKS = ("node-stall", "oom-kill", "crash-loop-back-off", "node-not-ready")
PRESSES = ("workers-at-limit", "pod-unready", "pod-unschedulable")
SHOWS = ("accept-queue-overflow", "queue-timeout", "no-server")

LOOK_BACK_SECONDS = 120.0
"""Before the first requests that were lost: the window of the objective, and as much again."""
GRACE_SECONDS = 5.0
"""After the loss was seen: what is noticed by polling is noticed late."""
SMALL_SHARE = 0.05
"""A kind of failure that makes up less than this of all that failed did not fell anything."""


def first_cause(record: Record, loss: Loss | None) -> Event | None:
    """The event that began it, None where nothing was lost or no event explains it."""
    if loss is None:
        return None
    until = loss.seen + record.bin_seconds + GRACE_SECONDS
    before = [event for event in record.events if event.t <= until]
    recent = [event for event in before if event.t >= loss.asked - LOOK_BACK_SECONDS]
    return _earliest(recent) or _earliest(before) or _first_failure(before, loss)


def _earliest(events: list[Event]) -> Event | None:
    for kinds in (BREAKS, PRESSES, SHOWS):
        causal = [event for event in events if event.kind in kinds]
        if causal:
            return min(causal, key=lambda event: (event.t, kinds.index(event.kind)))
    return None


def _first_failure(events: list[Event], loss: Loss) -> Event | None:
    """The first kind of failure of those that count, the most frequent of equals.

    None where a latency was lost: it is that of the answers, which failures are not among.
    """
    failures = [event for event in events if event.kind == REQUESTS_FAIL]
    if not failures or not loss.objective.startswith("served"):
        return None
    least = SMALL_SHARE * sum(_count(event) for event in failures)
    return min(
        (event for event in failures if _count(event) >= least), key=lambda event: (event.t, -_count(event))
    )


def _count(event: Event) -> int:
    return int(event.data.get("count", 1))
