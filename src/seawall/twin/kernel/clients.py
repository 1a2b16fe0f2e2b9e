"""Clients: users who ask, wait and ask again, arrivals that come anyway, and what each does with a connection."""

from __future__ import annotations

from seawall.compiled.functions import inlined, inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import (
    arrival_at,
    bin_at,
    node_at,
    params_at,
    pod_at,
    req_at,
    user_at,
    worker_at,
)
from seawall.twin.kernel.balancer import random_endpoint, submit
from seawall.twin.kernel.layout import (
    BELIEVES,
    BY_ARRIVAL,
    BY_USER,
    CONNECTING,
    PER_CONNECTION,
    REFUSED,
    RESEND,
    TIMED_OUT,
    W_KEPT,
)
from seawall.twin.kernel.network import connect
from seawall.twin.kernel.outcomes import current_bin, end_attempt, note_request
from seawall.twin.kernel.server import start_request
from seawall.twin.kernel.serving import free_worker
from seawall.twin.kernel.slots import give, take
from seawall.twin.kernel.timers import await_client, payload, push, shelve


@inner
def close_connection(s, user, t):
    """A user closes the connection it kept: the worker that was held by it is free."""
    u = user_at(s, user)
    if u.pod >= 0:
        wk = worker_at(s, u.pod, u.worker)
        if wk.gen == u.worker_gen and wk.state == W_KEPT and wk.req == -2 - user:
            wk.req = -1
            free_worker(s, u.pod, u.worker, t)
        u.pod = -1


@inlined
def _straight(s, r, t):
    """Without a proxy: on the user's own connection if the server still keeps it, else on a new one."""
    q = req_at(s, r)
    if q.by == BY_USER:
        u = user_at(s, q.owner)
        if u.pod >= 0:
            pod = u.pod
            w = u.worker
            wk = worker_at(s, pod, w)
            if wk.gen == u.worker_gen and wk.state == W_KEPT and wk.req == -2 - q.owner:
                if node_at(s, pod_at(s, pod).node).stalled == 0:
                    q.gen += 1
                    q.pod = pod
                    start_request(s, pod, w, r, t)
                    return
                # The machine stands still: the request lies in the socket until it goes on.
                q.state = BELIEVES
                q.pod = pod
                push(s, node_at(s, pod_at(s, pod).node).stall_until + 1e-6, payload(RESEND, q.gen, r))
                return
            u.pod = -1
    if s.endpoints == 0:
        # kube-proxy rejects connections to a Service without endpoints.
        end_attempt(s, r, REFUSED, t)
        give(s, r)
        return
    connect(s, r, random_endpoint(s), t)


@inner
def send(s, r, t):
    """One attempt leaves the client."""
    par = params_at(s, 0)
    s.attempts += 1
    s.retries += req_at(s, r).attempt > 0
    bin_at(s, current_bin(s)).attempts += 1
    await_client(s, r, t + par.client_timeout)
    if par.balance == PER_CONNECTION:
        _straight(s, r, t)
    else:
        submit(s, r, t)


@inner
def user_asks(s, user, t):
    """A user's time has come: it leaves, or it sends its next request."""
    u = user_at(s, user)
    if u.active == 0:
        u.active = 1
        s.users += 1
    if t >= u.leave_s:
        u.active = 0
        s.users -= 1
        close_connection(s, user, t)
        return
    r = take(s)
    q = req_at(s, r)
    q.by = BY_USER
    q.owner = user
    q.k = u.k
    q.cls = -1
    u.k += 1
    u.intended = t
    note_request(s, r, t)
    send(s, r, t)


@inlined
def arrival(s, t):
    """The next open arrival comes."""
    r = take(s)
    q = req_at(s, r)
    q.by = BY_ARRIVAL
    q.owner = s.arrival_count
    q.k = 0
    q.cls = arrival_at(s, s.arrival).cls
    q.visits = params_at(s, 0).visits
    s.arrival += 1
    s.arrival_count += 1
    note_request(s, r, t)
    send(s, r, t)


@inner
def send_planned(s, r, t):
    """A retry, or a later visit of the same arrival, whose time has come."""
    q = req_at(s, r)
    if q.attempt == 0:
        note_request(s, r, t)
    send(s, r, t)


@inner
def client_timeout(s, r, t):
    """The client's time-out has passed. What a server has taken up, it serves all the same."""
    q = req_at(s, r)
    end_attempt(s, r, TIMED_OUT, t)
    if q.at_proxy == 0 and (q.state == CONNECTING or q.state == BELIEVES):
        give(s, r)
        return
    q.gone = 1


@inner
def load_users(s, first):
    """Set every user's first time; who is there from the start counts as connected."""
    for user in range(len(first)):
        u = user_at(s, user)
        u.intended = first[user]
        if u.k > 0:
            u.active = 1
            s.users += 1
        shelve(s, user, min(first[user], u.leave_s))
