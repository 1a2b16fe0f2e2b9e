"""A fleet and its workload put into the kernel's state: parameters, classes, distributions, users."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from seawall.fleet.distribution import constant
from seawall.fleet.model import ApachePrefork, GunicornSync, Haproxy
from seawall.fleet.reader import Fleet
from seawall.traffic.closed import closed_loop
from seawall.traffic.draws import Stream, stream_key
from seawall.traffic.sampling import encode
from seawall.traffic.workload import Workload
from seawall.twin.kernel import layout
from seawall.twin.kernel.containers import HTTP_PROBE, TCP_PROBE
from seawall.twin.kernel.state import State

MOST_BINS = 3600
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_BALANCE = {"roundrobin": layout.ROUNDROBIN, "leastconn": layout.LEASTCONN, "random": layout.RANDOM}
_FOREVER = 1e15


def bin_seconds(end_s: float) -> float:
    """Length of a bin: a second, more where a run would have more than 3,600 bins."""
    return float(next((b for b in _STEPS if end_s / b <= MOST_BINS), math.ceil(end_s / MOST_BINS)))


def make_state(fleet: Fleet, work: Workload, seed: int, *, pods: int, nodes: int) -> State:
    """The kernel's state before anything has happened: no node, no pod."""
    service = fleet.file.service
    bins = bin_seconds(work.end_s)
    state = State(
        users=len(work.join_s),
        pods=pods,
        workers=_most_workers(service.server),
        nodes=nodes,
        classes=len(service.requests),
        bins=max(1, math.ceil(work.end_s / bins - 1e-9)),
    )
    p = state["params"][0]
    p["bin_s"] = bins
    _set_server(p, fleet)
    _set_memory(p, fleet)
    _set_balancer(p, fleet)
    _set_clients(p, fleet, work)
    _set_probe(p, fleet)
    for name, stream in (
        ("users", Stream.USERS), ("classes", Stream.CLASSES), ("cpu", Stream.CPU), ("wait", Stream.WAITING),
        ("memory", Stream.MEMORY), ("balancer", Stream.BALANCER), ("retries", Stream.RETRIES),
        ("clients", Stream.CLIENTS), ("pods", Stream.PODS),
    ):  # fmt: skip
        p[f"key_{name}"] = stream_key(seed, stream)
    _set_classes(state, fleet)
    loop = closed_loop(fleet.file.traffic.users)
    state.put("loop", loop.loop)
    state.put("think", loop.think)
    users = state["users"]
    users["leave_s"] = work.leave_s
    burst = fleet.file.traffic.users.start_burst.calls if fleet.file.traffic.users else 1
    users["k"] = np.where(work.join_s <= 0.0, burst, 0)
    state.row["arrivals_done"] = work.arrivals is None
    return state


def _most_workers(server: ApachePrefork | GunicornSync) -> int:
    if isinstance(server, GunicornSync):
        return server.workers
    return server.max_request_workers


def _set_server(p: Any, fleet: Fleet) -> None:
    service = fleet.file.service
    server, kernel = service.server, service.kernel
    p["max_workers"] = _most_workers(server)
    if isinstance(server, ApachePrefork):
        backlog = server.listen_backlog
        p["server"] = layout.PREFORK
        p["start_servers"] = server.start_servers
        p["min_spare"] = server.min_spare_servers
        p["max_spare"] = server.max_spare_servers
        p["per_child"] = server.max_connections_per_child
        p["keep_alive"], p["keep_alive_s"] = server.keep_alive, server.keep_alive_timeout
        p["max_keep_alive"] = server.max_keep_alive_requests
        if server.mod_wsgi == "embedded":
            p["embedded"] = 1
        else:
            p["slots"] = server.mod_wsgi.processes * server.mod_wsgi.threads
        p["worker_timeout_s"] = _FOREVER
    else:
        backlog = server.backlog
        p["server"] = layout.GUNICORN
        p["start_servers"] = p["min_spare"] = p["max_spare"] = server.workers
        p["per_child"] = server.max_requests
        p["embedded"] = not server.preload_app
        p["worker_timeout_s"] = server.timeout or _FOREVER
    # listen(n) holds n + 1 connections; n is bounded by net.core.somaxconn.
    p["backlog"] = min(backlog, kernel.somaxconn) + 1
    p["syn_linear"], p["syn_retries"] = kernel.syn_linear_timeouts, kernel.tcp_syn_retries
    p["abort"] = kernel.tcp_abort_on_overflow
    p["kill_process"] = kernel.oom_kill == "process"
    p["period"] = kernel.cfs_period


def _set_memory(p: Any, fleet: Fleet) -> None:
    service = fleet.file.service
    m, start, server = service.memory, service.start, service.server
    processes, p["m_growth"], p["growth_requests"] = 0, m.growth, m.growth_requests
    p["m_main"] = m.base
    if isinstance(server, ApachePrefork) and server.mod_wsgi != "embedded":
        processes = server.mod_wsgi.processes
        p["m_main"] += processes * m.worker
        p["m_growth"] *= processes
        p["growth_requests"] *= processes
    elif isinstance(server, GunicornSync) and server.preload_app:
        processes = 1
    p["m_main"] += processes * m.application
    p["m_worker"], p["m_app"], p["m_leak"] = m.worker, m.application, m.leak_per_request
    p["start_cpu"] = start.cpu + processes * start.application_cpu
    p["start_wait"] = start.wait
    p["app_cpu"], p["worker_cpu"] = start.application_cpu, start.worker_cpu


def _set_balancer(p: Any, fleet: Fleet) -> None:
    balancer = fleet.file.platform.balancer
    p["timeout_queue"] = p["timeout_connect"] = p["timeout_server"] = _FOREVER
    if not isinstance(balancer, Haproxy):
        p["balance"] = layout.PER_CONNECTION
        return
    p["balance"] = _BALANCE[balancer.balance]
    p["maxconn"], p["maxqueue"] = balancer.maxconn, balancer.maxqueue
    # In HAProxy a time-out of 0 is none.
    p["timeout_connect"] = balancer.timeout_connect or _FOREVER
    p["timeout_server"] = balancer.timeout_server or _FOREVER
    queue = balancer.timeout_queue
    p["timeout_queue"] = (balancer.timeout_connect if queue is None else queue) or _FOREVER
    p["retries"], p["redispatch"], p["reuse"] = balancer.retries, balancer.redispatch, balancer.http_reuse


def _set_clients(p: Any, fleet: Fleet, work: Workload) -> None:
    clients = fleet.file.traffic.clients
    retries = clients.retries
    p["client_timeout"], p["client_keep_alive"] = clients.timeout, clients.keep_alive
    p["slow_share"], p["slow_s"], p["rtt"] = clients.slow_readers, clients.slow_read_time, clients.round_trip
    p["r_max"], p["r_exponential"] = retries.max, retries.backoff == "exponential"
    p["r_base"], p["r_cap"], p["r_jitter"] = retries.base, retries.cap, retries.jitter
    p["r_budget"] = np.inf if retries.budget is None else retries.budget
    p["give_up"] = fleet.file.traffic.users.give_up_after if fleet.file.traffic.users else 0
    p["visits"] = work.visits


def _set_probe(p: Any, fleet: Fleet) -> None:
    probe = fleet.deployment.readiness
    if probe is None or probe.handler not in ("httpGet", "tcpSocket"):
        return
    p["probe"] = HTTP_PROBE if probe.handler == "httpGet" else TCP_PROBE
    p["probe_period"], p["probe_timeout"] = probe.period_s, probe.timeout_s
    p["probe_failures"], p["probe_successes"] = probe.failure_threshold, probe.success_threshold
    p["probe_delay"] = probe.initial_delay_s


def _set_classes(state: State, fleet: Fleet) -> None:
    service = fleet.file.service
    rows = list(service.requests.values())
    shares = np.array([c.share for c in rows])
    if shares.sum() <= 0.0:
        raise fleet.error_at(
            ("service", "requests"), "the shares add up to 0; give one class a share above 0"
        )
    state["classes"]["until"] = np.cumsum(shares) / shares.sum()
    state["params"]["classes"] = len(rows)
    dists = [d for c in rows for d in (c.cpu, c.wait, c.memory)]
    state.put("dists", encode([*dists, constant(service.probe_cpu), constant(0.0), constant(0.0)]))
