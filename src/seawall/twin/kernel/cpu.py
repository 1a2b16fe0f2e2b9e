"""CPU: processes of a pod share it equally, a CFS quota stops them, a full node is shared by requests.

A quota is not a rate: in each period the container runs until its quota is spent and then sleeps until the
next begins (Linux, Documentation/scheduler/sched-bwc.rst). Between two changes every process of a pod runs at
the same rate of at most one core, so a pod needs one virtual clock and a heap of the virtual times at which
its processes' work is done; nothing is computed per period while nothing changes.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import math

import numpy as np

from seawall.compiled.functions import inner
from seawall.twin.kernel.access import job_at, node_at, node_pod_at, params_at, pod_at, scratch_at, tree_at
from seawall.twin.kernel.layout import CPU_DONE, CPU_NONE, CPU_PERIOD, CPU_SPENT

_TINY = 1e-12


@inner
def tree_update(s, pod):
    """Let the winner tree know that the pod's next CPU step has changed.

    Where the pod neither was nor is the winner, nothing changes from there on.
    """
    leaves = s.n_tree >> 1
    if leaves == 1:
        tree_at(s, 1).x = 0
        return
    # The lowest level compares pods themselves, the others compare winners.
    place = (leaves + pod) >> 1
    winner = (place << 1) - leaves
    if winner + 1 < s.n_pods and pod_at(s, winner + 1).next_cpu < pod_at(s, winner).next_cpu:
        winner += 1
    before = tree_at(s, place).x
    tree_at(s, place).x = winner
    place >>= 1
    while place >= 1 and (before == pod or winner == pod):
        before = tree_at(s, place).x
        winner = tree_at(s, place << 1).x
        other = tree_at(s, (place << 1) + 1).x
        if other < s.n_pods and pod_at(s, other).next_cpu < pod_at(s, winner).next_cpu:
            winner = other
        tree_at(s, place).x = winner
        place >>= 1


@inner
def tree_build(s):
    """Build the winner tree from nothing; where there is no pod, any index past the end never wins."""
    for i in range(s.n_tree):
        tree_at(s, i).x = s.n_pods
    tree_at(s, s.n_tree >> 2).x = 0
    place = s.n_tree >> 2
    while place >= 1:
        tree_at(s, place).x = 0
        place >>= 1
    for pod in range(s.n_pods):
        tree_update(s, pod)


@inner
def advance(s, pod, t):
    """Bring a pod's virtual clock, its use and its quota to time `t`; nothing happens in between."""
    p = pod_at(s, pod)
    dt = t - p.last
    if dt > 0.0 and p.jobs > 0 and p.throttled == 0:
        p.v += p.rate * dt
        p.used += p.rate * dt * p.jobs
    if p.quota < np.inf and p.throttled == 0:
        total = p.rate * p.jobs
        if t >= p.period_end:
            period = params_at(s, 0).period
            p.period_end += (math.floor((t - p.period_end) / period) + 1.0) * period
            p.budget = p.quota - total * (t - (p.period_end - period))
        elif dt > 0.0:
            p.budget -= total * dt
    p.last = t


@inner
def plan(s, pod, t):
    """Work out the pod's next CPU step from its state at time `t`, to which it has been advanced."""
    p = pod_at(s, pod)
    p.step = CPU_NONE
    p.next_cpu = np.inf
    if p.throttled:
        p.next_cpu = p.period_end
        p.step = CPU_PERIOD
    elif p.jobs > 0 and p.rate > 0.0:
        p.next_cpu = t + max(0.0, job_at(s, pod, 0).tag - p.v) / p.rate
        p.step = CPU_DONE
        total = p.rate * p.jobs
        if p.quota < np.inf and p.next_cpu > t:
            spent = np.inf
            if total * (p.period_end - t) > p.budget:
                spent = t + max(0.0, p.budget) / total
            elif total * params_at(s, 0).period > p.quota + _TINY:
                spent = p.period_end + p.quota / total
            if spent < p.next_cpu:
                p.next_cpu = spent
                p.step = CPU_SPENT
    tree_update(s, pod)


@inner
def share_node(s, node, which, t):
    """Divide a node's cores among its pods that want to run: by CPU request, none above one core a process.

    The kernel's fair share (cpu.shares or cpu.weight from the request): water is filled in until the cores
    are used up. Pod `which` (-1: none) has changed what it wants; the others need a new plan only where their
    rate is another now.
    """
    n = node_at(s, node)
    n.contended = 1 if n.runnable > n.cores or n.stalled else 0
    wanted = 0.0
    weight = 0.0
    for i in range(n.pods):
        pod = node_pod_at(s, node, i).x
        p = pod_at(s, pod)
        scratch_at(s, pod).x = -1.0
        if p.jobs > 0 and p.throttled == 0:
            wanted += p.jobs
            weight += p.share
    left = 0.0 if n.stalled else n.cores
    if wanted > left:
        again = True
        while again and weight > 0.0:
            again = False
            level = left / weight
            for i in range(n.pods):
                pod = node_pod_at(s, node, i).x
                p = pod_at(s, pod)
                if (
                    p.jobs > 0
                    and p.throttled == 0
                    and scratch_at(s, pod).x < 0.0
                    and p.share * level >= p.jobs
                ):
                    scratch_at(s, pod).x = p.jobs
                    left -= p.jobs
                    weight -= p.share
                    again = True
        level = left / weight if weight > 0.0 else 0.0
    else:
        level = np.inf
    for i in range(n.pods):
        pod = node_pod_at(s, node, i).x
        p = pod_at(s, pod)
        if p.jobs > 0 and p.throttled == 0:
            got = scratch_at(s, pod).x if scratch_at(s, pod).x >= 0.0 else min(float(p.jobs), p.share * level)
            rate = max(0.0, got) / p.jobs
            if rate != p.rate or pod == which:
                advance(s, pod, t)
                p.rate = rate
                plan(s, pod, t)
        elif pod == which:
            plan(s, pod, t)


@inner
def changed(s, pod, t):
    """After a change in what a pod wants to run: new rates where the node is or was full."""
    p = pod_at(s, pod)
    n = node_at(s, p.node)
    if n.contended or n.runnable > n.cores:
        share_node(s, p.node, pod, t)
    else:
        p.rate = 1.0
        plan(s, pod, t)


@inner
def add_job(s, pod, who, work, t):
    """A process of the pod begins CPU work of `work` seconds."""
    p = pod_at(s, pod)
    advance(s, pod, t)
    tag = p.v + work
    i = p.jobs
    while i > 0:
        up = job_at(s, pod, (i - 1) >> 1)
        if up.tag <= tag:
            break
        here = job_at(s, pod, i)
        here.tag = up.tag
        here.who = up.who
        i = (i - 1) >> 1
    here = job_at(s, pod, i)
    here.tag = tag
    here.who = who
    p.jobs += 1
    if p.throttled == 0:
        node_at(s, p.node).runnable += 1
    changed(s, pod, t)


@inner
def _sift_down(s, pod, n, i, tag, who):
    while True:
        c = 2 * i + 1
        if c >= n:
            break
        if c + 1 < n and job_at(s, pod, c + 1).tag < job_at(s, pod, c).tag:
            c += 1
        child = job_at(s, pod, c)
        if child.tag >= tag:
            break
        here = job_at(s, pod, i)
        here.tag = child.tag
        here.who = child.who
        i = c
    here = job_at(s, pod, i)
    here.tag = tag
    here.who = who


@inner
def pop_job(s, pod):
    """Remove the job that is done first and return its process. The caller calls `changed` when it is through."""
    p = pod_at(s, pod)
    first = job_at(s, pod, 0)
    who = first.who
    p.v = max(p.v, first.tag)
    n = p.jobs - 1
    p.jobs = n
    last = job_at(s, pod, n)
    _sift_down(s, pod, n, 0, last.tag, last.who)
    node_at(s, p.node).runnable -= 1
    return who


@inner
def cancel_job(s, pod, who, t):
    """Take a killed process's work away, if it has any."""
    p = pod_at(s, pod)
    for i in range(p.jobs):
        here = job_at(s, pod, i)
        if here.who == who:
            advance(s, pod, t)
            n = p.jobs - 1
            p.jobs = n
            last = job_at(s, pod, n)
            here.tag = last.tag
            here.who = last.who
            for k in range(n // 2 - 1, -1, -1):
                at = job_at(s, pod, k)
                _sift_down(s, pod, n, k, at.tag, at.who)
            if p.throttled == 0:
                node_at(s, p.node).runnable -= 1
            changed(s, pod, t)
            return


@inner
def clear_jobs(s, pod, t):
    """Take all work away from a container that is gone."""
    p = pod_at(s, pod)
    advance(s, pod, t)
    if p.throttled == 0:
        node_at(s, p.node).runnable -= p.jobs
    p.jobs = 0
    p.throttled = 0
    changed(s, pod, t)


@inner
def throttle(s, pod, t):
    """The quota of this period is spent: the container sleeps until the next."""
    p = pod_at(s, pod)
    advance(s, pod, t)
    p.throttled = 1
    p.budget = 0.0
    node_at(s, p.node).runnable -= p.jobs
    changed(s, pod, t)


@inner
def unthrottle(s, pod, t):
    """A new period with its whole quota."""
    p = pod_at(s, pod)
    p.last = t
    p.throttled = 0
    p.budget = p.quota
    p.period_end = t + params_at(s, 0).period
    node_at(s, p.node).runnable += p.jobs
    changed(s, pod, t)
