"""The end of a request at its server, and the end of workers and containers."""

from __future__ import annotations

from seawall.compiled.functions import inlined, inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import (
    bin_at,
    endpoint_at,
    kept_at,
    node_at,
    node_pod_at,
    params_at,
    pod_at,
    req_at,
    user_at,
    worker_at,
)
from seawall.twin.kernel.balancer import answer_503, dispatch, release
from seawall.twin.kernel.cpu import cancel_job, clear_jobs, share_node
from seawall.twin.kernel.events import tell
from seawall.twin.kernel.layout import (
    ABSENT,
    ANSWERED,
    BY_PROBE,
    BY_USER,
    DEAD,
    DRAINING,
    E_DEAD,
    E_DRAINED,
    E_OOM_CONTAINER,
    E_OOM_PROCESS,
    E_STALL,
    E_STALL_END,
    FAILED,
    FOR_NOTHING,
    FREE,
    GUNICORN,
    KEPT,
    LISTENING,
    NOWHERE,
    PER_CONNECTION,
    STALL_END,
    STARTING,
    W_BUSY,
    W_IDLE,
    W_KEPT,
    W_NONE,
    W_STARTING,
)
from seawall.twin.kernel.leastconn import leave
from seawall.twin.kernel.memory import add as add_memory
from seawall.twin.kernel.network import send_syn_later
from seawall.twin.kernel.outcomes import current_bin, end_attempt
from seawall.twin.kernel.server import accept_next, begin_work, dequeue, drain_queue, idle_remove, spawn
from seawall.twin.kernel.slots import give
from seawall.twin.kernel.timers import payload, push


@inner
def _end_process(s, pod, w):
    """A worker process is gone, whatever it was doing has been dealt with."""
    p = pod_at(s, pod)
    wk = worker_at(s, pod, w)
    add_memory(s, pod, -wk.mem)
    wk.mem = 0.0
    wk.state = W_NONE
    wk.req = -1
    wk.gen += 1
    wk.work_for = FOR_NOTHING
    p.alive -= 1


@inner
def exit_worker(s, pod, w, t):
    """A worker process ends by itself: gunicorn's arbiter starts another at once, Apache's parent as it sees fit.

    One that was killed for memory comes back at the arbiter's next look, a second later at most: it would
    find the memory as full as it was.
    """
    _end_process(s, pod, w)
    p = pod_at(s, pod)
    if params_at(s, 0).server == GUNICORN and (p.state == STARTING or p.state == LISTENING):
        spawn(s, pod, t)


@inner
def free_worker(s, pod, w, t):
    """A worker's connection is closed: the next one, or its end after MaxConnectionsPerChild (max_requests)."""
    per_child = params_at(s, 0).per_child
    if per_child > 0 and worker_at(s, pod, w).connections >= per_child:
        exit_worker(s, pod, w, t)
    else:
        accept_next(s, pod, w, t)


@inner
def _keep(s, pod, w, t):
    """The connection stays open after an answer: one timer a worker watches over it."""
    wk = worker_at(s, pod, w)
    wk.state = W_KEPT
    wk.since = t
    if wk.kept_timer == 0:
        wk.kept_timer = 1
        push(s, t + params_at(s, 0).keep_alive_s, payload(KEPT, pod_at(s, pod).gen, pod * s.width + w))


@inlined
def _after_answer(s, pod, w, r, t):
    """Whether the worker's connection is kept (KeepAlive), and by whom; otherwise the worker is free."""
    q = req_at(s, r)
    par = params_at(s, 0)
    p = pod_at(s, pod)
    wk = worker_at(s, pod, w)
    wk.req = -1
    if p.state == LISTENING and par.keep_alive and q.gone == 0 and q.by != BY_PROBE:
        more = par.max_keep_alive == 0 or wk.on_connection < par.max_keep_alive
        if par.balance == PER_CONNECTION and par.client_keep_alive and more:
            if q.by == BY_USER:
                u = user_at(s, q.owner)
                u.pod = pod
                u.worker = w
                u.worker_gen = wk.gen
                wk.req = -2 - q.owner
            _keep(s, pod, w, t)
            return
        if par.balance != PER_CONNECTION and par.reuse and q.at_proxy and more:
            kept_at(s, pod, p.kept).x = w
            p.kept += 1
            _keep(s, pod, w, t)
            return
    free_worker(s, pod, w, t)


@inner
def _next_in_application(s, pod, t):
    """A thread of the daemon's processes is free: the next request that waits for one."""
    p = pod_at(s, pod)
    if params_at(s, 0).slots == 0:
        return
    p.slots_used -= 1
    if p.slot_queue > 0:
        r = p.slot_head
        p.slot_head = req_at(s, r).next
        p.slot_queue -= 1
        p.slots_used += 1
        begin_work(s, pod, req_at(s, r).worker, r, t)


@inlined
def finish(s, r, t):
    """A worker has served an attempt in full, for its client or for nobody."""
    q = req_at(s, r)
    pod = q.pod
    w = q.worker
    p = pod_at(s, pod)
    par = params_at(s, 0)
    wk = worker_at(s, pod, w)
    p.busy -= 1
    # In daemon mode the application's memory is that of the daemon's processes, not of Apache's children.
    gained = par.m_leak
    if (p.served if par.slots else wk.served) < par.growth_requests:
        gained += par.m_growth / par.growth_requests
    if par.slots:
        p.main_mem += gained
    else:
        wk.mem += gained
    p.served += 1
    wk.served += 1
    change = gained - q.mem
    q.mem = 0.0
    if change != 0.0:
        add_memory(s, pod, change)
    if q.gone == 0:
        end_attempt(s, r, ANSWERED, t)
    elif q.by != BY_PROBE:
        s.wasted += 1
        bin_at(s, current_bin(s)).wasted += 1
    _next_in_application(s, pod, t)
    _after_answer(s, pod, w, r, t)
    release(s, r, t)
    give(s, r)
    if p.state == DRAINING and p.busy == 0:
        tell(s, E_DRAINED, pod, p.node, 0.0, True)


@inner
def _lose(s, r, t):
    """The connection of an attempt is reset by its server's end."""
    q = req_at(s, r)
    if q.gone == 0:
        end_attempt(s, r, FAILED, t)
    release(s, r, t)
    give(s, r)


@inner
def _leave_slot_queue(s, pod, r):
    p = pod_at(s, pod)
    before = -1
    at = p.slot_head
    for _ in range(p.slot_queue):
        if at == r:
            if before < 0:
                p.slot_head = req_at(s, at).next
            else:
                req_at(s, before).next = req_at(s, at).next
            if p.slot_tail == r:
                p.slot_tail = before
            p.slot_queue -= 1
            return
        before = at
        at = req_at(s, at).next


@inner
def _unkeep(s, pod, w):
    """Take a worker out of the stack of those whose connection the proxy keeps."""
    p = pod_at(s, pod)
    for i in range(p.kept):
        if kept_at(s, pod, i).x == w:
            for k in range(i, p.kept - 1):
                kept_at(s, pod, k).x = kept_at(s, pod, k + 1).x
            p.kept -= 1
            return


@inner
def kill_worker(s, pod, w, t):
    """A worker process is killed; its request is lost. Its server starts another at its next look."""
    p = pod_at(s, pod)
    wk = worker_at(s, pod, w)
    state = wk.state
    lost = -1
    if state == W_IDLE:
        idle_remove(s, pod, w)
    elif state == W_STARTING:
        p.starting -= 1
        cancel_job(s, pod, w, t)
    elif state == W_KEPT:
        _unkeep(s, pod, w)
    elif state == W_BUSY:
        lost = wk.req
        p.busy -= 1
        cancel_job(s, pod, w, t)
        q = req_at(s, lost)
        add_memory(s, pod, -q.mem)
        q.mem = 0.0
        if params_at(s, 0).slots > 0:
            if wk.in_slot:
                _next_in_application(s, pod, t)
            else:
                _leave_slot_queue(s, pod, lost)
    _end_process(s, pod, w)
    if lost >= 0:
        _lose(s, lost, t)


@inner
def _stop_listening(s, pod, t):
    """The listening socket closes: what waited in its accept queue is reset."""
    while pod_at(s, pod).waiting > 0:
        _lose(s, dequeue(s, pod), t)


@inner
def kill_container(s, pod, t):
    """All processes of a container end at once."""
    p = pod_at(s, pod)
    p.state = DEAD
    p.gen += 1
    clear_jobs(s, pod, t)
    _stop_listening(s, pod, t)
    for w in range(s.width):
        if worker_at(s, pod, w).state != W_NONE:
            kill_worker(s, pod, w, t)
    add_memory(s, pod, -p.mem)
    p.mem = 0.0
    p.main_mem = 0.0
    p.idle = 0
    p.kept = 0
    p.slots_used = 0
    p.slot_queue = 0
    p.ready = 0
    p.successes = 0
    p.fails = 0
    p.probe_out = 0
    p.oom_due = 0


@inner
def _seek_another(s, r, t):
    """The server of an attempt that is still being connected has vanished."""
    q = req_at(s, r)
    if q.at_proxy == 0:
        # Nobody answers at its address: the client's kernel goes on sending SYNs into the void.
        q.gen += 1
        q.pod = NOWHERE
        send_syn_later(s, r, t)
        return
    left = q.retries_left
    release(s, r, t)
    q.gen += 1
    q.pod = NOWHERE
    q.retries_left = left - 1
    if left > 0 and params_at(s, 0).redispatch:
        dispatch(s, r, t)
    else:
        answer_503(s, r, t)


@inner
def remove_pod(s, pod, t):
    """A pod vanishes with its address; its place will be another's."""
    kill_container(s, pod, t)
    p = pod_at(s, pod)
    p.state = ABSENT
    if p.endpoint >= 0:
        last = s.endpoints - 1
        for i in range(p.endpoint, last):
            endpoint_at(s, i).x = endpoint_at(s, i + 1).x
            pod_at(s, endpoint_at(s, i).x).endpoint = i
        p.endpoint = -1
        s.endpoints = last
        leave(s, pod)
    for r in range(s.n_reqs):
        q = req_at(s, r)
        if q.state != FREE and q.pod == pod:
            _seek_another(s, r, t)


@inner
def drain(s, pod, t):
    """SIGTERM (or Apache's SIGWINCH): no new connections, requests in hand are finished."""
    p = pod_at(s, pod)
    if p.state != LISTENING:
        return
    p.state = DRAINING
    _stop_listening(s, pod, t)
    if p.busy == 0:
        tell(s, E_DRAINED, pod, p.node, 0.0, True)


@inner
def _largest_worker(s, pod):
    best = -1
    size = 0.0
    for w in range(s.width):
        wk = worker_at(s, pod, w)
        if wk.state != W_NONE:
            m = wk.mem + (req_at(s, wk.req).mem if wk.state == W_BUSY else 0.0)
            if m > size:
                size = m
                best = w
    return best


@inner
def _size_of_worst(s, pod):
    w = _largest_worker(s, pod)
    if w < 0:
        return pod_at(s, pod).main_mem
    wk = worker_at(s, pod, w)
    return wk.mem + (req_at(s, wk.req).mem if wk.state == W_BUSY else 0.0)


@inner
def oom_kill(s, pod, t):
    """The kernel's OOM killer takes the largest process of a container, or with memory.oom.group all of it."""
    p = pod_at(s, pod)
    before = p.mem
    s.oom_kills += 1
    p.oom_kills += 1
    bin_at(s, current_bin(s)).oom_kills += 1
    w = _largest_worker(s, pod)
    # In daemon mode the largest process is one of the daemon's, and with it goes what the children wait for:
    # the twin takes it for the whole container.
    if params_at(s, 0).kill_process and w >= 0 and params_at(s, 0).slots == 0:
        kill_worker(s, pod, w, t)
        # The world hears of the first few of a pod and counts the rest.
        if p.oom_kills <= 3:
            tell(s, E_OOM_PROCESS, pod, p.node, before, False)
    else:
        kill_container(s, pod, t)
        tell(s, E_OOM_CONTAINER, pod, p.node, before, False)
        tell(s, E_DEAD, pod, p.node, 0.0, True)


@inner
def container_oom(s, pod, t):
    """A container has passed its memory limit."""
    p = pod_at(s, pod)
    p.oom_due = 0
    while p.mem > p.limit and p.state != DEAD:
        oom_kill(s, pod, t)


@inner
def _worst_pod(s, node):
    """Where the OOM killer strikes on a node: by size of the process in thousandths, plus oom_score_adj."""
    n = node_at(s, node)
    best = -1
    score = -1e18
    for i in range(n.pods):
        pod = node_pod_at(s, node, i).x
        p = pod_at(s, pod)
        if p.mem > 0.0:
            x = 1000.0 * _size_of_worst(s, pod) / n.capacity + p.oom_adj
            if x > score:
                score = x
                best = pod
    return best


@inner
def node_out_of_memory(s, node, t):
    """Pods together have passed their cap (the kernel kills), or the node itself is full (it stands still)."""
    n = node_at(s, node)
    n.oom_due = 0
    if n.stalled or n.present == 0:
        return
    # Where the cap leaves the node's own processes their room, it is reached first, whatever the step was.
    capped = n.pods_cap + n.system <= n.capacity
    if n.mem > n.capacity and not capped:
        n.stalled = 1
        n.stall_until = t + n.stall_s
        share_node(s, node, -1, t)
        push(s, n.stall_until, payload(STALL_END, 0, node))
        tell(s, E_STALL, -1, node, n.mem, True)
        return
    while n.pods_mem > n.pods_cap:
        pod = _worst_pod(s, node)
        if pod < 0:
            break
        oom_kill(s, pod, t)


@inner
def end_stall(s, node, t):
    """The OOM killer has made room at last; the node's processes go on."""
    n = node_at(s, node)
    if n.present == 0 or n.stalled == 0 or t < n.stall_until - 1e-9:
        return
    while n.mem > n.relief:
        pod = _worst_pod(s, node)
        if pod < 0:
            break
        oom_kill(s, pod, t)
    n.stalled = 0
    share_node(s, node, -1, t)
    for i in range(n.pods):
        drain_queue(s, node_pod_at(s, node, i).x, t)
    tell(s, E_STALL_END, -1, node, n.mem, True)


@inner
def keep_alive_over(s, pod, w, t):
    """KeepAliveTimeout of a kept connection: close it if it has been idle for so long, else look again."""
    wk = worker_at(s, pod, w)
    wk.kept_timer = 0
    if wk.state != W_KEPT:
        return
    over = wk.since + params_at(s, 0).keep_alive_s
    if over > t + 1e-9:
        wk.kept_timer = 1
        push(s, over, payload(KEPT, pod_at(s, pod).gen, pod * s.width + w))
        return
    if wk.req == -1:
        _unkeep(s, pod, w)
    wk.req = -1
    free_worker(s, pod, w, t)
