"""A container's start, Apache's care for its spare servers, gunicorn's for its workers, and the kubelet's probes."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inner
from seawall.traffic.draws import uniform
from seawall.twin.kernel.access import node_at, params_at, pod_at, req_at, worker_at
from seawall.twin.kernel.cpu import add_job
from seawall.twin.kernel.events import tell
from seawall.twin.kernel.layout import (
    ABSENT,
    BELIEVES,
    BY_PROBE,
    CONNECTING,
    E_AT_LIMIT,
    E_LISTENING,
    E_READY,
    LISTENING,
    MAINTAIN,
    PREFORK,
    PROBE,
    PROBE_LATE,
    STARTED,
    STARTING,
    W_BUSY,
    W_NONE,
)
from seawall.twin.kernel.memory import add as add_memory
from seawall.twin.kernel.network import connect
from seawall.twin.kernel.outcomes import probe_result
from seawall.twin.kernel.server import idle_pop, spawn, warm_worker
from seawall.twin.kernel.serving import exit_worker, kill_worker
from seawall.twin.kernel.slots import give, take
from seawall.twin.kernel.timers import payload, push

MAX_SPAWN_RATE = 32
HTTP_PROBE, TCP_PROBE = 1, 2
MAINTENANCE_SECONDS = 1.0


@inner
def start_container(s, pod, t, warm):
    """Start a pod's container; `warm`: it has been serving for long before the run began."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    p.gen += 1
    p.last = t
    p.throttled = 0
    p.budget = p.quota
    phase = uniform(par.key_pods, np.uint64(p.id), np.uint64(p.gen))
    p.period_end = t + par.period * phase
    p.spawn_rate = 1
    p.full_since = -1.0
    p.state = STARTING
    p.served = par.growth_requests if warm else 0
    p.main_mem = par.m_main + (par.m_growth if warm and par.slots else 0.0)
    add_memory(s, pod, p.main_mem)
    if warm:
        p.state = LISTENING
        first = min(max(par.start_servers, par.min_spare), par.max_workers)
        for _ in range(first):
            warm_worker(s, pod)
        p.ready = 1
        p.successes = par.probe_successes
        push(s, t + MAINTENANCE_SECONDS * phase, payload(MAINTAIN, p.gen, pod))
        if par.probe:
            push(s, t + par.probe_period * phase, payload(PROBE, p.gen, pod))
        return
    if par.probe:
        push(s, t + par.probe_delay + phase, payload(PROBE, p.gen, pod))
    if par.start_cpu > 0.0:
        add_job(s, pod, par.max_workers, par.start_cpu, t)
    else:
        main_done(s, pod, t)


@inner
def main_done(s, pod, t):
    """The CPU work of the start is done; waiting follows."""
    push(s, t + params_at(s, 0).start_wait, payload(STARTED, pod_at(s, pod).gen, pod))


@inner
def started(s, pod, t):
    """The server listens and starts its first workers."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    p.state = LISTENING
    tell(s, E_LISTENING, pod, p.node, 0.0, False)
    for _ in range(min(par.start_servers, par.max_workers)):
        spawn(s, pod, t)
    push(s, t + MAINTENANCE_SECONDS, payload(MAINTAIN, p.gen, pod))
    if par.probe == 0:
        p.ready = 1
        tell(s, E_READY, pod, p.node, 0.0, True)


@inner
def _care_for_spares(s, pod, t):
    """Apache's rule: httpd 2.4, server/mpm/prefork/prefork.c, perform_idle_server_maintenance.

    Starting children count as idle. Too many idle: one ends. Too few: 1, 2, 4 ... 32 start, doubling each
    second while they stay too few; at MaxRequestWorkers (or ServerLimit) none, and the rate begins anew.
    """
    p = pod_at(s, pod)
    par = params_at(s, 0)
    idle = p.idle + p.starting
    if idle > par.max_spare:
        if p.idle > 0:
            exit_worker(s, pod, idle_pop(s, pod), t)
        p.spawn_rate = 1
    elif idle < par.min_spare:
        room = par.max_workers - p.alive
        if room <= 0:
            p.spawn_rate = 1
            if p.at_limit_bin < 0 and p.idle == 0:
                p.at_limit_bin = int(t / par.bin_s)
                tell(s, E_AT_LIMIT, pod, p.node, float(p.alive), False)
        else:
            for _ in range(min(room, p.spawn_rate)):
                spawn(s, pod, t)
            if p.spawn_rate < MAX_SPAWN_RATE:
                p.spawn_rate *= 2
    else:
        p.spawn_rate = 1


@inner
def maintain(s, pod, t):
    """What the parent process does each second."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    n = node_at(s, p.node)
    if p.state != LISTENING:
        return
    if n.stalled:
        push(s, n.stall_until + MAINTENANCE_SECONDS, payload(MAINTAIN, p.gen, pod))
        return
    if par.server == PREFORK:
        _care_for_spares(s, pod, t)
    else:
        for w in range(par.max_workers):
            wk = worker_at(s, pod, w)
            if wk.state == W_BUSY and t - wk.since > par.worker_timeout_s:
                kill_worker(s, pod, w, t)
                spawn(s, pod, t)
            elif wk.state == W_NONE:
                spawn(s, pod, t)
        if p.at_limit_bin < 0 and p.busy == par.max_workers and p.waiting > 0:
            p.at_limit_bin = int(t / par.bin_s)
            tell(s, E_AT_LIMIT, pod, p.node, float(p.alive), False)
    push(s, t + MAINTENANCE_SECONDS, payload(MAINTAIN, p.gen, pod))


@inner
def probe(s, pod, t):
    """The kubelet asks the pod, through the same accept queue and workers as everybody."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    n = node_at(s, p.node)
    if n.stalled:
        push(s, n.stall_until + par.probe_period, payload(PROBE, p.gen, pod))
        return
    push(s, t + par.probe_period, payload(PROBE, p.gen, pod))
    if p.probe_out:
        # The kubelet asks again only when the last probe has had its answer or its time-out.
        return
    if par.probe == TCP_PROBE:
        probe_result(s, pod, p.state == LISTENING and p.waiting < par.backlog)
        return
    r = take(s)
    q = req_at(s, r)
    p.probe_gen += 1
    q.by = BY_PROBE
    q.owner = pod
    q.k = p.probe_gen
    q.cls = 0
    p.probe_out = r + 1
    push(s, t + par.probe_timeout, payload(PROBE_LATE, p.probe_gen, pod))
    connect(s, r, pod, t)


@inner
def probe_late(s, pod, t):
    """The probe's time-out has passed without an answer."""
    p = pod_at(s, pod)
    if p.probe_out == 0 or p.state == ABSENT:
        return
    if node_at(s, p.node).stalled:
        # The kubelet stands still with its node.
        push(s, node_at(s, p.node).stall_until + 1e-6, payload(PROBE_LATE, p.probe_gen, pod))
        return
    r = p.probe_out - 1
    p.probe_out = 0
    if req_at(s, r).state == CONNECTING or req_at(s, r).state == BELIEVES:
        give(s, r)
    else:
        req_at(s, r).gone = 1
    probe_result(s, pod, False)
