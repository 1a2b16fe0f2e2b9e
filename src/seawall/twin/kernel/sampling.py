"""The end of each bin: states for the record, and the invariants checked from nothing."""

from __future__ import annotations

from seawall.compiled.functions import inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import (
    bin_at,
    broken_at,
    class_at,
    node_at,
    node_pod_at,
    params_at,
    pod_at,
    req_at,
    sessions_at,
    worker_at,
)
from seawall.twin.kernel.cpu import advance
from seawall.twin.kernel.layout import (
    ABSENT,
    DEAD,
    I_CONSERVATION,
    I_CPU,
    I_IDLE_WORKER,
    I_MEMORY,
    I_PROXY,
    I_QUEUE,
    I_WORKERS,
    LISTENING,
    W_BUSY,
    W_IDLE,
    W_NONE,
)

_BYTES_OF_ROUNDING = 1024.0


@inner
def _check_pod(s, pod):
    p = pod_at(s, pod)
    par = params_at(s, 0)
    alive = 0
    busy = 0
    idle = 0
    mem = p.main_mem
    for w in range(par.max_workers):
        wk = worker_at(s, pod, w)
        if wk.state != W_NONE:
            alive += 1
            mem += wk.mem
            if wk.state == W_BUSY:
                busy += 1
                mem += req_at(s, wk.req).mem
            elif wk.state == W_IDLE:
                idle += 1
    if alive != p.alive or busy != p.busy or idle != p.idle or alive > par.max_workers:
        broken_at(s, I_WORKERS).x += 1
    if abs(mem - p.mem) > _BYTES_OF_ROUNDING or (p.mem > p.limit and p.oom_due == 0):
        broken_at(s, I_MEMORY).x += 1
    if p.waiting > par.backlog or p.waiting < 0 or sessions_at(s, pod).x < 0:
        broken_at(s, I_QUEUE).x += 1
    if p.state == LISTENING and p.idle > 0 and p.waiting > 0 and node_at(s, p.node).stalled == 0:
        broken_at(s, I_IDLE_WORKER).x += 1
    if (
        par.maxconn > 0
        and p.endpoint >= 0
        and (sessions_at(s, pod).x > par.maxconn or (sessions_at(s, pod).x < par.maxconn and s.queued > 0))
    ):
        broken_at(s, I_PROXY).x += 1
    return alive, busy


@inner
def sample_bin(s, t):
    """Write the states at the end of the current bin, and check S1, S5 and S6."""
    b = bin_at(s, s.bin)
    workers = 0
    all_busy = 0
    used = 0.0
    mem_max = 0.0
    mem_sum = 0.0
    running = 0
    waiting = 0
    for pod in range(s.n_pods):
        p = pod_at(s, pod)
        if p.state == ABSENT:
            continue
        advance(s, pod, t)
        used += (p.used - p.sampled) * p.weight
        p.sampled = p.used
        if p.state == DEAD:
            continue
        alive, busy = _check_pod(s, pod)
        workers += alive
        all_busy += busy
        running += 1
        waiting += p.waiting
        mem_max = max(mem_max, p.mem_peak)
        mem_sum += p.mem
        p.mem_peak = min(p.mem, p.limit)
    share = 0.0
    for node in range(s.n_nodes):
        n = node_at(s, node)
        if n.present:
            share = max(share, n.mem_peak / n.capacity)
            n.mem_peak = min(n.mem, n.capacity)
            mem = n.system
            runnable = 0
            for i in range(n.pods):
                p = pod_at(s, node_pod_at(s, node, i).x)
                mem += p.mem
                runnable += 0 if p.throttled else p.jobs
            if abs(mem - n.mem) > _BYTES_OF_ROUNDING or (
                n.mem > n.capacity and n.stalled == 0 and n.oom_due == 0
            ):
                broken_at(s, I_MEMORY).x += 1
            if runnable != n.runnable:
                broken_at(s, I_CPU).x += 1
    if waiting != s.waiting:
        broken_at(s, I_QUEUE).x += 1
    if s.sent != s.answered + s.failed + s.timed_out + s.refused + s.shed + s.under_way or s.under_way < 0:
        broken_at(s, I_CONSERVATION).x += 1
    for i in range(params_at(s, 0).classes):
        c = class_at(s, i)
        if c.sent != c.answered + c.failed + c.timed_out + c.refused + c.shed + c.under_way:
            broken_at(s, I_CONSERVATION).x += 1
    b.users = s.users
    b.under_way = s.under_way
    b.lb_queue = s.queued
    b.accept_queue = waiting
    b.workers = workers
    b.workers_busy = all_busy
    b.cpu_used = used
    b.pod_memory_max = mem_max
    b.pod_memory_sum = mem_sum
    b.pods_running = running
    b.node_share_max = share
    s.bin += 1
