"""From a connect to the accept queue: what the kernel of the pod's machine does with a connection.

listen(n) holds n + 1 connections, n = min(backlog, net.core.somaxconn). When the queue is full a SYN is dropped
and the client's kernel sends it again (Linux, net/ipv4/tcp_timer.c: every second tcp_syn_linear_timeouts + 1
times, then doubling; before Linux 6.5 doubling from the first). One whose SYN was answered while the queue
still had room, but whose last ACK finds it full, believes itself connected: its data is sent again after
200 ms and doubling, each time with another chance to enter. With tcp_abort_on_overflow it is refused.
"""

from __future__ import annotations

from seawall.compiled.functions import inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import node_at, params_at, pod_at, req_at, user_at, worker_at
from seawall.twin.kernel.events import tell
from seawall.twin.kernel.layout import (
    ABSENT,
    ACCEPTABLE,
    BELIEVES,
    BY_USER,
    CONNECTING,
    E_OVERFLOW,
    LISTENING,
    NOWHERE,
    REDISPATCH,
    REFUSED,
    RESEND,
    SYN,
    T_CONNECT,
    T_SERVER,
    TIMED_OUT,
    TURNAROUND,
    W_KEPT,
)
from seawall.twin.kernel.outcomes import end_attempt
from seawall.twin.kernel.server import enqueue, idle_pop, new_connection, start_request
from seawall.twin.kernel.slots import give
from seawall.twin.kernel.timers import await_proxy, forget_proxy, payload, push

_FIRST_RESEND_SECONDS = 0.2


@inner
def connect_failed(s, r, t, what):
    """Nobody took the connection. A proxy tries again, a client without one has its answer."""
    q = req_at(s, r)
    if q.at_proxy:
        forget_proxy(s, r)
        q.state = TURNAROUND
        q.gen += 1
        # HAProxy waits min(timeout connect, 1 s) before it asks the same server again after a refusal; with
        # redispatch its last retry goes to another server at once.
        par = params_at(s, 0)
        elsewhere = par.redispatch and q.retries_left == 1
        wait = min(par.timeout_connect, 1.0) if what == REFUSED and not elsewhere else 0.0
        push(s, t + wait, payload(REDISPATCH, q.gen, r))
        return
    if q.gone == 0:
        end_attempt(s, r, what, t)
    give(s, r)


@inner
def enter(s, r, pod, t):
    """The connection stands: an idle worker takes it, or it waits in the accept queue."""
    q = req_at(s, r)
    p = pod_at(s, pod)
    if q.at_proxy and q.p_list != T_SERVER:
        await_proxy(s, r, T_SERVER, t + params_at(s, 0).timeout_server)
    if p.idle > 0 and node_at(s, p.node).stalled == 0:
        w = idle_pop(s, pod)
        new_connection(s, pod, w)
        start_request(s, pod, w, r, t)
    else:
        q.state = ACCEPTABLE
        enqueue(s, pod, r)


@inner
def _overflow(s, r, pod, t):
    q = req_at(s, r)
    p = pod_at(s, pod)
    par = params_at(s, 0)
    if p.overflow_bin < 0:
        p.overflow_bin = int(t / par.bin_s)
        tell(s, E_OVERFLOW, pod, p.node, float(par.backlog), False)
    if par.abort:
        connect_failed(s, r, t, REFUSED)
    elif q.tries == 0 and t - p.full_since < par.rtt:
        q.state = BELIEVES
        if q.at_proxy:
            await_proxy(s, r, T_SERVER, t + par.timeout_server)
        push(s, t + _FIRST_RESEND_SECONDS, payload(RESEND, q.gen, r))
    else:
        send_syn_later(s, r, t)


@inner
def send_syn_later(s, r, t):
    """The SYN was not answered: wait for its next turn, or after the last for the end of the attempt."""
    q = req_at(s, r)
    par = params_at(s, 0)
    beyond = q.tries - par.syn_linear
    q.state = CONNECTING
    q.tries += 1
    push(s, t + (1.0 if beyond <= 0 else 2.0**beyond), payload(SYN, q.gen, r))


@inner
def syn(s, r, t):
    """A SYN (the first or a later one) reaches the pod of the attempt."""
    pod = req_at(s, r).pod
    if req_at(s, r).tries > params_at(s, 0).syn_retries + params_at(s, 0).syn_linear:
        connect_failed(s, r, t, TIMED_OUT)
        return
    if pod == NOWHERE:
        send_syn_later(s, r, t)
        return
    p = pod_at(s, pod)
    if p.state == ABSENT:
        send_syn_later(s, r, t)
    elif p.state != LISTENING:
        connect_failed(s, r, t, REFUSED)
    elif p.waiting < params_at(s, 0).backlog or (p.idle > 0 and node_at(s, p.node).stalled == 0):
        enter(s, r, pod, t)
    else:
        _overflow(s, r, pod, t)


@inner
def _on_kept_connection(s, q):
    """Whether the attempt lies in a connection that its user has kept and its server still keeps."""
    if q.by != BY_USER or q.at_proxy or user_at(s, q.owner).pod != q.pod:
        return False
    u = user_at(s, q.owner)
    wk = worker_at(s, u.pod, u.worker)
    return wk.gen == u.worker_gen and wk.state == W_KEPT and wk.req == -2 - q.owner


@inner
def resend(s, r, t):
    """Data sent again by one who believes itself connected."""
    q = req_at(s, r)
    if q.pod == NOWHERE or pod_at(s, q.pod).state != LISTENING:
        # The pod answers with a reset: it knows no such connection.
        connect_failed(s, r, t, REFUSED)
    elif _on_kept_connection(s, q) and node_at(s, pod_at(s, q.pod).node).stalled == 0:
        start_request(s, q.pod, user_at(s, q.owner).worker, r, t)
    elif pod_at(s, q.pod).waiting < params_at(s, 0).backlog:
        enter(s, r, q.pod, t)
    else:
        q.tries += 1
        push(s, t + _FIRST_RESEND_SECONDS * 2.0**q.tries, payload(RESEND, q.gen, r))


@inner
def connect(s, r, pod, t):
    """Open a connection to a pod for an attempt."""
    q = req_at(s, r)
    q.pod = pod
    q.tries = 0
    q.gen += 1
    if q.at_proxy:
        await_proxy(s, r, T_CONNECT, t + params_at(s, 0).timeout_connect)
    syn(s, r, t)
