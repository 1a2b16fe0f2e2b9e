"""The events in the order of their times, until a tick of control or something that control must see."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numba as nb
import numpy as np

from seawall.compiled.functions import inlined, inner
from seawall.twin.kernel.access import (
    arrival_at,
    broken_at,
    heap_at,
    list_at,
    node_at,
    params_at,
    pod_at,
    req_at,
    tree_at,
)
from seawall.twin.kernel.balancer import queue_timeout, server_timeout, set_endpoints, try_again
from seawall.twin.kernel.clients import arrival, client_timeout, load_users, send_planned, user_asks
from seawall.twin.kernel.containers import main_done, maintain, probe, probe_late, start_container, started
from seawall.twin.kernel.cpu import advance, changed, pop_job, throttle, tree_build, unthrottle
from seawall.twin.kernel.layout import (
    C_DRAIN,
    C_ENDPOINTS,
    C_KILL,
    C_NONE,
    C_REMOVE,
    C_START,
    CPU_DONE,
    CPU_PERIOD,
    CPU_SPENT,
    I_CAUSALITY,
    KEPT,
    MAINTAIN,
    OOM,
    PROBE,
    PROBE_LATE,
    R_ARRIVALS,
    R_EVENT,
    R_HEAP,
    R_REQUESTS,
    R_TIME,
    REDISPATCH,
    RELIEVE,
    RESEND,
    SEND,
    SERVING,
    SHELF_SECONDS,
    STALL_END,
    STARTED,
    SYN,
    T_CLIENT,
    T_CONNECT,
    T_QUEUE,
    T_SERVER,
    TIMED_OUT,
    USER,
    WAIT,
)
from seawall.twin.kernel.network import connect_failed, resend, syn
from seawall.twin.kernel.sampling import sample_bin
from seawall.twin.kernel.server import cpu_done
from seawall.twin.kernel.serving import (
    container_oom,
    drain,
    end_stall,
    finish,
    keep_alive_over,
    kill_container,
    node_out_of_memory,
    remove_pod,
)
from seawall.twin.kernel.timers import clear_shelf, gen_of, index_of, kind_of, pop, push, same_gen

_HEADROOM = 64


@inner
def _cpu_step(s, pod, t):
    p = pod_at(s, pod)
    if p.step == CPU_DONE:
        advance(s, pod, t)
        who = pop_job(s, pod)
        changed(s, pod, t)
        if who == params_at(s, 0).max_workers:
            main_done(s, pod, t)
        else:
            cpu_done(s, pod, who, t)
    elif p.step == CPU_SPENT:
        throttle(s, pod, t)
    elif p.step == CPU_PERIOD:
        unthrottle(s, pod, t)


@inlined
def _wait_over(s, p, t):
    r = index_of(p)
    q = req_at(s, r)
    if same_gen(p, q.gen) and q.state == SERVING:
        n = node_at(s, pod_at(s, q.pod).node)
        if n.stalled:
            push(s, n.stall_until + 1e-6, p)
        else:
            finish(s, r, t)


@inner
def _attempt_timer(s, kind, p, t):
    r = index_of(p)
    if not same_gen(p, req_at(s, r).gen):
        return
    if kind == SYN:
        syn(s, r, t)
    elif kind == RESEND:
        resend(s, r, t)
    elif kind == SEND:
        send_planned(s, r, t)
    else:
        try_again(s, r, t)


@inner
def _pod_timer(s, kind, p, t):
    if kind == KEPT:
        pod = index_of(p) // s.width
        if same_gen(p, pod_at(s, pod).gen):
            keep_alive_over(s, pod, index_of(p) % s.width, t)
        return
    pod = index_of(p)
    row = pod_at(s, pod)
    if kind == OOM:
        container_oom(s, pod, t)
    elif kind == PROBE_LATE:
        if gen_of(p) == row.probe_gen & ((1 << 24) - 1):
            probe_late(s, pod, t)
    elif same_gen(p, row.gen):
        if kind == PROBE:
            probe(s, pod, t)
        elif kind == MAINTAIN:
            maintain(s, pod, t)
        elif kind == STARTED:
            started(s, pod, t)


@inner
def _timer(s, t):
    p = heap_at(s, 0).p
    pop(s)
    kind = kind_of(p)
    if kind == USER:
        user_asks(s, index_of(p), t)
    elif kind == WAIT:
        _wait_over(s, p, t)
    elif kind <= REDISPATCH:
        _attempt_timer(s, kind, p, t)
    elif kind == STALL_END:
        end_stall(s, index_of(p), t)
    elif kind == RELIEVE:
        node_out_of_memory(s, index_of(p), t)
    else:
        _pod_timer(s, kind, p, t)


@inner
def _time_out(s, which, t):
    r = list_at(s, which).head
    if which == T_CLIENT:
        client_timeout(s, r, t)
    elif which == T_QUEUE:
        queue_timeout(s, r, t)
    elif which == T_CONNECT:
        connect_failed(s, r, t, TIMED_OUT)
    else:
        server_timeout(s, r, t)


@inner
def _command(s, command, a, b):
    t = s.now
    if command == C_START:
        start_container(s, a, t, b)
    elif command == C_KILL:
        kill_container(s, a, t)
    elif command == C_DRAIN:
        drain(s, a, t)
    elif command == C_REMOVE:
        remove_pod(s, a, t)
    elif command == C_ENDPOINTS:
        set_endpoints(s, a, t)


@nb.njit(cache=True)
def run(s, until, command, a, b):
    """Carry out a command of the world, then all events before `until` (seconds). Returns why it came back.

    It returns early when something has happened that control must see, when the next chunk of arrivals is
    wanted, or when there may not be room for the next event: the world then sees to it and calls again.
    """
    par = params_at(s, 0)
    if command != C_NONE:
        _command(s, command, a, b)
    while True:
        if s.urgent:
            return R_EVENT
        if s.free_count < _HEADROOM:
            return R_REQUESTS
        if s.n_heap - s.heap < 2 * (s.n_reqs - s.free_count) + s.shelved + 8 * _HEADROOM:
            return R_HEAP
        if s.soon_head >= 0:
            r = s.soon_head
            s.soon_head = req_at(s, r).next
            req_at(s, r).next = -1
            s.steps += 1
            send_planned(s, r, s.now)
            continue
        t = heap_at(s, 0).t if s.heap > 0 else np.inf
        source = 0
        pod = tree_at(s, 1).x
        x = pod_at(s, pod).next_cpu
        if x < t:
            t = x
            source = 1
        if s.arrival < s.arrivals:
            x = arrival_at(s, s.arrival).t
            if x < t:
                t = x
                source = 2
        elif s.arrivals_done == 0:
            return R_ARRIVALS
        client, queue = list_at(s, T_CLIENT).due, list_at(s, T_QUEUE).due
        connect, server = list_at(s, T_CONNECT).due, list_at(s, T_SERVER).due
        x = min(min(client, queue), min(connect, server))
        if x < t:
            t = x
            source = 3 + (
                T_CLIENT
                if x == client
                else T_QUEUE
                if x == queue
                else T_CONNECT
                if x == connect
                else T_SERVER
            )
        if s.shelved > 0:
            x = (s.shelf + 1) * SHELF_SECONDS
            if x <= t and x <= until:
                clear_shelf(s)
                continue
        end_of_bin = (s.bin + 1) * par.bin_s
        if end_of_bin <= t and end_of_bin <= until and s.bin < s.n_bins:
            s.now = end_of_bin
            sample_bin(s, end_of_bin)
            continue
        if t >= until:
            s.now = until
            return R_TIME
        if t < s.now - 1e-9:
            broken_at(s, I_CAUSALITY).x += 1
        s.now = max(s.now, t)
        t = s.now
        s.steps += 1
        if source == 0:
            _timer(s, t)
        elif source == 1:
            _cpu_step(s, pod, t)
        elif source == 2:
            arrival(s, t)
        else:
            _time_out(s, source - 3, t)


@nb.njit(cache=True)
def prepare(s, first):
    """Set up what depends on the whole: the winner tree and the users' first times."""
    tree_build(s)
    load_users(s, first)
