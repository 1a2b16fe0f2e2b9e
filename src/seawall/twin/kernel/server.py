"""A pod's server: its workers take connections from the accept queue and serve one at a time.

Apache prefork and gunicorn's sync workers alike: a process serves one connection from accept until it closes.
Idle processes wait in accept() and are woken in the order in which they began to wait.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inlined, inner
from seawall.fleet.distribution import CONSTANT
from seawall.traffic.draws import uniform
from seawall.traffic.sampling import sample
from seawall.twin.kernel.access import dist_at, idle_at, node_at, params_at, pod_at, req_at, worker_at
from seawall.twin.kernel.cpu import add_job
from seawall.twin.kernel.layout import (
    BY_PROBE,
    BY_USER,
    FOR_FORK,
    FOR_LOAD,
    FOR_NOTHING,
    FOR_REQUEST,
    GUNICORN,
    PER_CONNECTION,
    SERVING,
    T_SERVER,
    W_BUSY,
    W_IDLE,
    W_NONE,
    W_STARTING,
    WAIT,
)
from seawall.twin.kernel.memory import add as add_memory
from seawall.twin.kernel.timers import await_proxy, payload, push

ARRIVAL_ENTITY = 1 << 40
"""Draws of open arrivals are keyed from here on, those of users below."""


LOAD_STEPS = 10
"""A process takes the application's memory as its modules are read, so in steps along the CPU work of loading."""


@inner
def load_step(s, pod, w, t):
    """A worker loads the next part of the application."""
    worker_at(s, pod, w).work_for = FOR_LOAD
    add_job(s, pod, w, params_at(s, 0).app_cpu / LOAD_STEPS, t)


@inner
def entity_of(q):
    """The key of a request's random draws: its user, or its place among the arrivals."""
    if q.by == BY_USER:
        return np.uint64(q.owner)
    return np.uint64(ARRIVAL_ENTITY + q.owner)


@inner
def draw(d, key, entity, n):
    """A value of a distribution; a constant needs no random number."""
    if d.kind == CONSTANT:
        return d.a
    return sample(d, uniform(key, entity, n))


@inner
def idle_push(s, pod, w):
    """A worker begins to wait in accept()."""
    p = pod_at(s, pod)
    at = p.idle_head + p.idle
    if at >= s.width:
        at -= s.width
    idle_at(s, pod, at).x = w
    p.idle += 1
    worker_at(s, pod, w).state = W_IDLE


@inner
def idle_pop(s, pod):
    """The worker that has waited longest in accept()."""
    p = pod_at(s, pod)
    w = idle_at(s, pod, p.idle_head).x
    p.idle_head += 1
    if p.idle_head >= s.width:
        p.idle_head = 0
    p.idle -= 1
    return w


@inner
def idle_remove(s, pod, w):
    """Take one worker out of the ring, the others in their order."""
    p = pod_at(s, pod)
    for _ in range(p.idle):
        x = idle_pop(s, pod)
        if x != w:
            idle_push(s, pod, x)


@inlined
def begin_work(s, pod, w, r, t):
    """The application begins with the request: memory, then CPU, then waiting."""
    q = req_at(s, r)
    par = params_at(s, 0)
    wk = worker_at(s, pod, w)
    wk.in_slot = 1
    if q.by == BY_PROBE:
        base = 3 * par.classes
        n = np.uint64(q.k)
        entity = np.uint64(2 * ARRIVAL_ENTITY + q.owner)
    else:
        base = 3 * q.cls
        n = np.uint64(q.k)
        entity = entity_of(q)
    d = dist_at(s, base + 2)
    if d.a > 0.0 or d.kind != 0:
        q.mem = draw(d, par.key_memory, entity, n)
        add_memory(s, pod, q.mem)
    work = draw(dist_at(s, base), par.key_cpu, entity, n)
    if work > 0.0:
        wk.work_for = FOR_REQUEST
        add_job(s, pod, w, work, t)
    else:
        after_cpu(s, pod, w, r, t)


@inlined
def after_cpu(s, pod, w, r, t):
    """The CPU work is done: the worker waits for others, then for a slow reader that no proxy stands before."""
    q = req_at(s, r)
    par = params_at(s, 0)
    worker_at(s, pod, w).work_for = FOR_NOTHING
    wait = 0.0
    if q.by == BY_PROBE:
        wait = dist_at(s, 3 * par.classes + 1).a
    else:
        d = dist_at(s, 3 * q.cls + 1)
        if d.a > 0.0 or d.kind != 0:
            wait = draw(d, par.key_wait, entity_of(q), np.uint64(q.k))
        if (
            par.slow_share > 0.0
            and par.balance == PER_CONNECTION
            and uniform(par.key_clients, entity_of(q), np.uint64(q.k)) < par.slow_share
        ):
            wait += par.slow_s
    push(s, t + wait, payload(WAIT, q.gen, r))


@inlined
def enter_application(s, pod, w, r, t):
    """In daemon mode a request waits for a free thread of the daemon's processes; embedded there is no bound."""
    par = params_at(s, 0)
    p = pod_at(s, pod)
    if par.slots > 0:
        if p.slots_used >= par.slots:
            q = req_at(s, r)
            q.next = -1
            if p.slot_queue == 0:
                p.slot_head = r
            else:
                req_at(s, p.slot_tail).next = r
            p.slot_tail = r
            p.slot_queue += 1
            return
        p.slots_used += 1
    begin_work(s, pod, w, r, t)


@inner
def start_request(s, pod, w, r, t):
    """Worker `w` takes attempt `r`, loading the application first if it has not yet."""
    q = req_at(s, r)
    p = pod_at(s, pod)
    wk = worker_at(s, pod, w)
    par = params_at(s, 0)
    wk.state = W_BUSY
    wk.req = r
    wk.since = t
    wk.in_slot = 0
    wk.on_connection += 1
    p.busy += 1
    q.state = SERVING
    q.worker = w
    q.pod = pod
    if q.at_proxy:
        await_proxy(s, r, T_SERVER, t + par.timeout_server) if q.p_list != T_SERVER else None
    if wk.loaded < LOAD_STEPS:
        load_step(s, pod, w, t)
    else:
        enter_application(s, pod, w, r, t)


@inner
def enqueue(s, pod, r):
    """A connection waits in the accept queue."""
    p = pod_at(s, pod)
    q = req_at(s, r)
    q.next = -1
    if p.waiting == 0:
        p.head = r
    else:
        req_at(s, p.tail).next = r
    p.tail = r
    p.waiting += 1
    s.waiting += 1
    if p.waiting == params_at(s, 0).backlog:
        p.full_since = s.now


@inner
def dequeue(s, pod):
    """The connection that has waited longest in the accept queue."""
    p = pod_at(s, pod)
    r = p.head
    p.head = req_at(s, r).next
    p.waiting -= 1
    s.waiting -= 1
    return r


@inner
def new_connection(s, pod, w):
    """Worker `w` has accepted a connection."""
    wk = worker_at(s, pod, w)
    wk.connections += 1
    wk.on_connection = 0


@inner
def accept_next(s, pod, w, t):
    """A free worker accepts the next connection, or waits for one."""
    p = pod_at(s, pod)
    if p.waiting > 0 and node_at(s, p.node).stalled == 0:
        new_connection(s, pod, w)
        start_request(s, pod, w, dequeue(s, pod), t)
    else:
        idle_push(s, pod, w)


@inner
def drain_queue(s, pod, t):
    """Idle workers take what waits (after a node's stall)."""
    p = pod_at(s, pod)
    while p.idle > 0 and p.waiting > 0 and node_at(s, p.node).stalled == 0:
        accept_next(s, pod, idle_pop(s, pod), t)


@inner
def spawn(s, pod, t):
    """Start one worker process. Returns whether there was a place for it."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    for w in range(par.max_workers):
        wk = worker_at(s, pod, w)
        if wk.state == W_NONE:
            wk.gen += 1
            wk.state = W_STARTING
            wk.req = -1
            wk.served = 0
            wk.connections = 0
            wk.loaded = 0 if par.embedded else LOAD_STEPS
            wk.kept_timer = 0
            wk.mem = par.m_worker
            wk.work_for = FOR_FORK
            p.alive += 1
            p.starting += 1
            add_memory(s, pod, par.m_worker)
            add_job(s, pod, w, par.worker_cpu, t)
            return True
    return False


@inner
def process_started(s, pod, w, t):
    """A forked worker is up. gunicorn's loads the application before it accepts, Apache's at its first request."""
    p = pod_at(s, pod)
    wk = worker_at(s, pod, w)
    par = params_at(s, 0)
    if par.server == GUNICORN and wk.loaded < LOAD_STEPS:
        load_step(s, pod, w, t)
        return
    wk.work_for = FOR_NOTHING
    p.starting -= 1
    accept_next(s, pod, w, t)


@inner
def cpu_done(s, pod, who, t):
    """The CPU work of a worker is done; what it was for says what comes next."""
    wk = worker_at(s, pod, who)
    if wk.work_for == FOR_FORK:
        process_started(s, pod, who, t)
    elif wk.work_for == FOR_LOAD:
        step = params_at(s, 0).m_app / LOAD_STEPS
        wk.loaded += 1
        wk.mem += step
        add_memory(s, pod, step)
        if wk.loaded < LOAD_STEPS:
            load_step(s, pod, who, t)
        elif wk.req < 0:
            wk.work_for = FOR_NOTHING
            pod_at(s, pod).starting -= 1
            accept_next(s, pod, who, t)
        else:
            enter_application(s, pod, who, wk.req, t)
    else:
        after_cpu(s, pod, who, wk.req, t)


@inner
def warm_worker(s, pod):
    """A worker as it is in a pod that has served for long: loaded, at its steady size, idle."""
    p = pod_at(s, pod)
    par = params_at(s, 0)
    w = p.alive
    wk = worker_at(s, pod, w)
    wk.gen += 1
    wk.req = -1
    wk.loaded = LOAD_STEPS
    wk.kept_timer = 0
    wk.served = par.growth_requests
    wk.connections = 0
    wk.mem = par.m_worker + (0.0 if par.slots else par.m_growth) + (par.m_app if par.embedded else 0.0)
    p.alive += 1
    add_memory(s, pod, wk.mem)
    idle_push(s, pod, w)
