"""Memory: every byte belongs to a pod or to the node's own processes; what passes a bound becomes due to die."""

from __future__ import annotations

from seawall.compiled.functions import inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import node_at, pod_at
from seawall.twin.kernel.layout import OOM, RELIEVE
from seawall.twin.kernel.timers import payload, push


@inner
def add(s, pod, size):
    """Give a pod `size` bytes more, or take them (below 0)."""
    p = pod_at(s, pod)
    n = node_at(s, p.node)
    p.mem += size
    n.mem += size
    n.pods_mem += size
    if size > 0.0:
        # What is wanted beyond a bound is not given: the kill comes first.
        p.mem_peak = max(p.mem_peak, min(p.mem, p.limit))
        n.mem_peak = max(n.mem_peak, min(n.mem, n.capacity))
        if p.mem > p.limit:
            if p.oom_due == 0:
                p.oom_due = 1
                push(s, s.now, payload(OOM, 0, pod))
        elif (n.mem > n.capacity or n.pods_mem > n.pods_cap) and n.oom_due == 0 and n.stalled == 0:
            n.oom_due = 1
            push(s, s.now, payload(RELIEVE, 0, p.node))
