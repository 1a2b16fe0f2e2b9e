"""The balancer: which pod gets a request, and what waits while none can.

As HAProxy does for each request: sessions are counted per server up to maxconn, the rest waits in the
backend's queue in order, up to `timeout queue`; a failed connect is tried again, the last time elsewhere.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
import numpy as np

from seawall.compiled.functions import inlined, inner
from seawall.traffic.draws import uniform
from seawall.twin.kernel.access import (
    endpoint_at,
    kept_at,
    node_at,
    params_at,
    pod_at,
    req_at,
    sessions_at,
    worker_at,
)
from seawall.twin.kernel.events import tell
from seawall.twin.kernel.layout import (
    BELIEVES,
    E_NO_SERVER,
    E_QUEUE_TIMEOUT,
    FAILED,
    LEASTCONN,
    QUEUED,
    RANDOM,
    T_QUEUE,
    T_SERVER,
    W_KEPT,
)
from seawall.twin.kernel.leastconn import count_session, join, least, leave
from seawall.twin.kernel.network import connect
from seawall.twin.kernel.outcomes import current_bin, end_attempt
from seawall.twin.kernel.server import start_request
from seawall.twin.kernel.slots import give
from seawall.twin.kernel.timers import await_proxy, forget_proxy

NOBODY, ALL_FULL = -1, -2
NO_BOUND = 1 << 60


@inner
def random_endpoint(s):
    """A ready pod drawn evenly; there is one."""
    s.draws += 1
    u = uniform(params_at(s, 0).key_balancer, np.uint64(0), np.uint64(s.draws))
    return endpoint_at(s, min(int(u * s.endpoints), s.endpoints - 1)).x


@inner
def _has_room(s, pod):
    maxconn = params_at(s, 0).maxconn
    return maxconn == 0 or sessions_at(s, pod).x < maxconn


@inner
def _may_have_it_again(s, pod):
    return pod >= 0 and pod_at(s, pod).endpoint >= 0 and _has_room(s, pod)


@inner
def pick(s, avoid):
    """The pod for the next request: NOBODY without endpoints, ALL_FULL when each has its maxconn.

    `avoid` is the pod that did not take it, -1 at the first try; it is picked where no other has room.
    """
    n = s.endpoints
    if n == 0:
        return NOBODY
    balance = params_at(s, 0).balance
    if balance == RANDOM and params_at(s, 0).maxconn == 0 and avoid < 0:
        return random_endpoint(s)
    turn = s.turn if s.turn < n else 0
    if balance == LEASTCONN:
        best = least(s, avoid, params_at(s, 0).maxconn if params_at(s, 0).maxconn > 0 else NO_BOUND)
        if best < 0:
            best = ALL_FULL
        return avoid if best == ALL_FULL and _may_have_it_again(s, avoid) else best
    if balance == RANDOM:
        s.draws += 1
        turn = min(int(uniform(params_at(s, 0).key_balancer, np.uint64(0), np.uint64(s.draws)) * n), n - 1)
    for i in range(n):
        at = turn + i
        at = at if at < n else at - n
        pod = endpoint_at(s, at).x
        if pod != avoid and _has_room(s, pod):
            s.turn = at + 1
            return pod
    return avoid if _may_have_it_again(s, avoid) else ALL_FULL


@inner
def _enqueue(s, r, t):
    q = req_at(s, r)
    q.state = QUEUED
    q.next = -1
    q.prev = s.q_tail
    if s.q_tail < 0:
        s.q_head = r
    else:
        req_at(s, s.q_tail).next = r
    s.q_tail = r
    s.queued += 1
    await_proxy(s, r, T_QUEUE, t + params_at(s, 0).timeout_queue)


@inner
def _unqueue(s, r):
    q = req_at(s, r)
    if q.prev < 0:
        s.q_head = q.next
    else:
        req_at(s, q.prev).next = q.next
    if q.next < 0:
        s.q_tail = q.prev
    else:
        req_at(s, q.next).prev = q.prev
    s.queued -= 1
    forget_proxy(s, r)


@inner
def answer_503(s, r, t):
    """The proxy answers in place of a server."""
    if req_at(s, r).gone == 0:
        end_attempt(s, r, FAILED, t)
    give(s, r)


@inner
def send_to(s, r, pod, t):
    """The proxy opens a session on a server: on a connection it kept, or on a new one."""
    q = req_at(s, r)
    p = pod_at(s, pod)
    q.at_proxy = 1
    count_session(s, pod, 1)
    if p.kept > 0 and node_at(s, p.node).stalled == 0:
        p.kept -= 1
        w = kept_at(s, pod, p.kept).x
        q.pod = pod
        q.gen += 1
        await_proxy(s, r, T_SERVER, t + params_at(s, 0).timeout_server)
        worker_at(s, pod, w).state = W_KEPT
        start_request(s, pod, w, r, t)
    else:
        connect(s, r, pod, t)


@inner
def dispatch(s, r, t):
    """Give an attempt to a server, or let it wait, or answer that there is none."""
    pod = pick(s, req_at(s, r).pod)
    if pod == NOBODY:
        if s.no_server_bin < 0:
            s.no_server_bin = current_bin(s)
            tell(s, E_NO_SERVER, -1, -1, 0.0, False)
        answer_503(s, r, t)
    elif pod == ALL_FULL:
        par = params_at(s, 0)
        if par.maxqueue > 0 and s.queued >= par.maxqueue:
            answer_503(s, r, t)
        else:
            _enqueue(s, r, t)
    else:
        send_to(s, r, pod, t)


@inlined
def submit(s, r, t):
    """A client's attempt reaches the proxy."""
    req_at(s, r).retries_left = params_at(s, 0).retries
    dispatch(s, r, t)


@inner
def pump(s, pod, t):
    """A server may have room: it takes what has waited longest."""
    p = pod_at(s, pod)
    while s.queued > 0 and p.endpoint >= 0 and _has_room(s, pod):
        r = s.q_head
        _unqueue(s, r)
        send_to(s, r, pod, t)


@inner
def release(s, r, t):
    """The proxy's session of an attempt has ended."""
    q = req_at(s, r)
    if q.at_proxy:
        q.at_proxy = 0
        forget_proxy(s, r)
        count_session(s, q.pod, -1)
        pump(s, q.pod, t)


@inner
def try_again(s, r, t):
    """After a failed connect: the same server, on the last retry or when it is gone another, or an end."""
    q = req_at(s, r)
    par = params_at(s, 0)
    p = pod_at(s, q.pod)
    q.retries_left -= 1
    if q.retries_left < 0:
        release(s, r, t)
        answer_503(s, r, t)
    elif par.redispatch and (q.retries_left == 0 or p.endpoint < 0):
        release(s, r, t)
        dispatch(s, r, t)
    else:
        connect(s, r, q.pod, t)


@inner
def queue_timeout(s, r, t):
    """`timeout queue` has passed: 503."""
    if s.queue_timeout_bin < 0:
        s.queue_timeout_bin = current_bin(s)
        tell(s, E_QUEUE_TIMEOUT, -1, -1, float(s.queued), False)
    _unqueue(s, r)
    answer_503(s, r, t)


@inner
def server_timeout(s, r, t):
    """`timeout server` has passed: the client gets 504, the server goes on with what nobody waits for."""
    q = req_at(s, r)
    if q.gone == 0:
        end_attempt(s, r, FAILED, t)
        q.gone = 1
    release(s, r, t)
    if q.state == BELIEVES:
        # The server never had this connection.
        give(s, r)


@inner
def set_endpoints(s, count, t):
    """The first `count` entries of `endpoints` are the servers from now on."""
    for i in range(s.n_pods):
        pod_at(s, i).endpoint = -1
        leave(s, i)
    for i in range(count):
        pod_at(s, endpoint_at(s, i).x).endpoint = i
        if params_at(s, 0).balance == LEASTCONN:
            join(s, endpoint_at(s, i).x)
    s.endpoints = count
    if s.turn >= count:
        s.turn = 0
    for i in range(count):
        pump(s, endpoint_at(s, i).x, t)
