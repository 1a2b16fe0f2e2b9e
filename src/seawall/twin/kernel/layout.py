"""The kernel's state: arrays of records, and the names of their states and events."""

from __future__ import annotations

import numpy as np

from seawall.compiled.rows import state_fields
from seawall.traffic import closed, sampling

# Kinds of timers in the heap. The payload holds kind << 56 | generation << 32 | index.
(
    USER, WAIT, SYN, RESEND, SEND, REDISPATCH, PROBE, PROBE_LATE, MAINTAIN, KEPT, OOM, STARTED, STALL_END, RELIEVE,
) = range(14)  # fmt: skip

# States of an attempt of a request.
FREE, PLANNED, QUEUED, CONNECTING, BELIEVES, ACCEPTABLE, SERVING, TURNAROUND = range(8)

LEVELS = 2048
"""Servers with so many sessions or more count as equals."""

SHELVES = 4096
SHELF_SECONDS = 1.0 / 128.0
"""Users' times further ahead than this wait on a shelf, not in the heap."""

NOWHERE = -1
"""The pod of an attempt whose server has vanished."""

# Who sent it.
BY_USER, BY_ARRIVAL, BY_PROBE = range(3)

# Outcomes of a request.
ANSWERED, FAILED, TIMED_OUT, REFUSED, SHED = range(5)

# States of a container's server.
ABSENT, STARTING, LISTENING, DRAINING, DEAD = range(5)

# States of a worker.
W_NONE, W_STARTING, W_IDLE, W_BUSY, W_KEPT = range(5)

# What a worker's CPU work is for.
FOR_NOTHING, FOR_FORK, FOR_LOAD, FOR_REQUEST = range(4)

# Which step of the pod's CPU comes next.
CPU_NONE, CPU_DONE, CPU_SPENT, CPU_PERIOD = range(4)

# Kinds of server.
PREFORK, GUNICORN = range(2)

# Ways to balance.
ROUNDROBIN, LEASTCONN, RANDOM, PER_CONNECTION = range(4)

# Time-out lists: the client's, and the proxy's three.
T_CLIENT, T_QUEUE, T_CONNECT, T_SERVER = range(4)

# What the kernel tells the world.
(
    E_READY,
    E_UNREADY,
    E_DEAD,
    E_OOM_PROCESS,
    E_OOM_CONTAINER,
    E_STALL,
    E_STALL_END,
    E_LISTENING,
    E_OVERFLOW,
    E_AT_LIMIT,
    E_NO_SERVER,
    E_QUEUE_TIMEOUT,
    E_DRAINED,
) = range(13)

# Why the kernel returned.
R_TIME, R_EVENT, R_ARRIVALS, R_REQUESTS, R_HEAP = range(5)

# Broken invariants, counted by kind.
(
    I_CAUSALITY,
    I_CONSERVATION,
    I_IDLE_WORKER,
    I_WORKERS,
    I_QUEUE,
    I_MEMORY,
    I_CPU,
    I_PROXY,
) = range(8)

# Commands from the world.
C_NONE, C_START, C_KILL, C_DRAIN, C_REMOVE, C_ENDPOINTS = range(6)

USER_ROW = np.dtype(
    [("leave_s", "f8"), ("intended", "f8"), ("k", "i8"), ("fails", "i8"), ("active", "i8"), ("pod", "i8"),
     ("worker", "i8"), ("worker_gen", "i8"), ("due", "f8"), ("next", "i8")]
)  # fmt: skip
"""A connected user: its last intended time, how many requests it made, and the connection it keeps."""

REQUEST_ROW = np.dtype(
    [("intended", "f8"), ("deadline_c", "f8"), ("deadline_p", "f8"), ("mem", "f8"), ("state", "i8"),
     ("by", "i8"), ("owner", "i8"), ("k", "i8"), ("cls", "i8"), ("pod", "i8"), ("worker", "i8"), ("gen", "i8"),
     ("gone", "i8"), ("at_proxy", "i8"), ("attempt", "i8"), ("tries", "i8"), ("retries_left", "i8"),
     ("bin", "i8"), ("visits", "i8"), ("next", "i8"), ("prev", "i8"), ("c_next", "i8"), ("c_prev", "i8"),
     ("p_next", "i8"), ("p_prev", "i8"), ("p_list", "i8"), ("c_listed", "i8")]
)  # fmt: skip
"""One attempt of a request, from its sending until both the client and the server are done with it."""

POD_ROW = np.dtype(
    [("id", "i8"), ("node", "i8"), ("state", "i8"), ("gen", "i8"), ("weight", "f8"),
     ("v", "f8"), ("last", "f8"), ("rate", "f8"), ("budget", "f8"), ("period_end", "f8"), ("quota", "f8"),
     ("share", "f8"), ("used", "f8"), ("jobs", "i8"), ("throttled", "i8"), ("next_cpu", "f8"), ("step", "i8"),
     ("mem", "f8"), ("limit", "f8"), ("mem_peak", "f8"), ("main_mem", "f8"), ("oom_due", "i8"),
     ("alive", "i8"), ("busy", "i8"), ("starting", "i8"), ("idle_head", "i8"), ("idle", "i8"), ("kept", "i8"),
     ("spawn_rate", "i8"), ("slots_used", "i8"), ("slot_head", "i8"), ("slot_tail", "i8"), ("slot_queue", "i8"),
     ("head", "i8"), ("tail", "i8"), ("waiting", "i8"), ("full_since", "f8"),
     ("overflow_bin", "i8"), ("at_limit_bin", "i8"), ("endpoint", "i8"),
     ("probe_gen", "i8"), ("fails", "i8"), ("successes", "i8"), ("ready", "i8"), ("probe_out", "i8"),
     ("oom_kills", "i8"), ("served", "i8"), ("oom_adj", "f8"), ("sampled", "f8")]
)  # fmt: skip
"""A pod: CPU (virtual time, quota), memory, workers, accept queue, sessions at the proxy, readiness."""

WORKER_ROW = np.dtype(
    [("state", "i8"), ("req", "i8"), ("gen", "i8"), ("mem", "f8"), ("served", "i8"), ("loaded", "i8"),
     ("connections", "i8"), ("work_for", "i8"), ("since", "f8"), ("kept_timer", "i8"), ("in_slot", "i8"),
     ("on_connection", "i8")]
)  # fmt: skip
"""A server process: `mem` is its own, without the request in flight; `connections` it has accepted so far,
`on_connection` requests on the present one."""

NODE_ROW = np.dtype(
    [("id", "i8"), ("cores", "f8"), ("runnable", "i8"), ("contended", "i8"), ("stalled", "i8"),
     ("stall_until", "f8"), ("stall_s", "f8"), ("capacity", "f8"), ("pods_cap", "f8"), ("relief", "f8"),
     ("system", "f8"), ("mem", "f8"), ("pods_mem", "f8"), ("mem_peak", "f8"), ("pods", "i8"), ("weight", "f8"),
     ("present", "i8"), ("oom_due", "i8")]
)  # fmt: skip
"""A node: cores for pods, memory in bytes, whether it stands still. `relief`: what an OOM frees down to."""

_GLOBALS = (
    [("now", "f8"), ("shelf", "i8"), ("shelved", "i8"), ("least", "i8"), ("soon_head", "i8"), ("soon_tail", "i8"),
     ("heap", "i8"), ("free", "i8"), ("free_count", "i8"), ("urgent", "i8"), ("events", "i8"),
     ("endpoints", "i8"), ("turn", "i8"), ("q_head", "i8"), ("q_tail", "i8"), ("queued", "i8"),
     ("arrival", "i8"), ("arrivals", "i8"), ("arrivals_done", "i8"), ("arrival_count", "i8"), ("bin", "i8"),
     ("users", "i8"), ("sent", "i8"), ("answered", "i8"), ("failed", "i8"), ("timed_out", "i8"),
     ("refused", "i8"), ("shed", "i8"), ("under_way", "i8"), ("attempts", "i8"), ("retries", "i8"),
     ("retries_planned", "i8"), ("wasted", "i8"), ("oom_kills", "i8"), ("draws", "i8"), ("no_server_bin", "i8"),
     ("queue_timeout_bin", "i8"), ("steps", "i8"), ("waiting", "i8")]
)  # fmt: skip

PARAMETER_ROW = np.dtype(
    [("server", "i8"), ("start_servers", "i8"), ("min_spare", "i8"), ("max_spare", "i8"), ("max_workers", "i8"),
     ("per_child", "i8"), ("backlog", "i8"), ("keep_alive", "i8"), ("keep_alive_s", "f8"),
     ("max_keep_alive", "i8"), ("slots", "i8"), ("worker_timeout_s", "f8"), ("embedded", "i8"),
     ("m_main", "f8"), ("m_worker", "f8"), ("m_app", "f8"), ("m_growth", "f8"), ("growth_requests", "i8"),
     ("m_leak", "f8"), ("start_cpu", "f8"), ("start_wait", "f8"), ("app_cpu", "f8"), ("worker_cpu", "f8"),
     ("kill_process", "i8"), ("period", "f8"), ("syn_linear", "i8"), ("syn_retries", "i8"), ("abort", "i8"),
     ("balance", "i8"), ("maxconn", "i8"), ("maxqueue", "i8"), ("timeout_queue", "f8"),
     ("timeout_connect", "f8"), ("timeout_server", "f8"), ("retries", "i8"), ("redispatch", "i8"),
     ("reuse", "i8"), ("client_timeout", "f8"), ("client_keep_alive", "i8"), ("slow_share", "f8"),
     ("slow_s", "f8"), ("rtt", "f8"), ("r_max", "i8"), ("r_exponential", "i8"), ("r_base", "f8"), ("r_cap", "f8"),
     ("r_jitter", "i8"), ("r_budget", "f8"), ("give_up", "i8"), ("visits", "i8"), ("classes", "i8"),
     ("probe", "i8"), ("probe_period", "f8"), ("probe_timeout", "f8"), ("probe_failures", "i8"),
     ("probe_successes", "i8"), ("probe_delay", "f8"), ("bin_s", "f8"),
     ("key_users", "u8"), ("key_classes", "u8"), ("key_cpu", "u8"), ("key_wait", "u8"), ("key_memory", "u8"),
     ("key_balancer", "u8"), ("key_retries", "u8"), ("key_clients", "u8"), ("key_pods", "u8")]
)  # fmt: skip
"""What does not change during a run; times in seconds, sizes in bytes. `slots` 0: no daemon mode."""

CLASS_ROW = np.dtype(
    [("until", "f8"), ("sent", "i8"), ("answered", "i8"), ("failed", "i8"), ("timed_out", "i8"),
     ("refused", "i8"), ("shed", "i8"), ("under_way", "i8")]
)  # fmt: skip
"""A request class: the upper end of its cumulated share, and its counts."""

BIN_ROW = np.dtype(
    [("sent", "i8"), ("answered", "i8"), ("failed", "i8"), ("timed_out", "i8"), ("refused", "i8"),
     ("shed", "i8"), ("attempts", "i8"), ("answered_at", "i8"), ("failed_at", "i8"), ("wasted", "i8"),
     ("oom_kills", "i8"), ("latency_s", "f8"), ("users", "i8"), ("under_way", "i8"), ("lb_queue", "i8"),
     ("accept_queue", "i8"), ("workers", "i8"), ("workers_busy", "i8"), ("cpu_used", "f8"),
     ("pod_memory_max", "f8"), ("pod_memory_sum", "f8"), ("pods_running", "i8"), ("node_share_max", "f8")]
)  # fmt: skip
"""One bin of the record: counts by intended time, by time of happening, and states at the bin's end."""

EVENT_ROW = np.dtype([("t", "f8"), ("kind", "i8"), ("pod", "i8"), ("node", "i8"), ("value", "f8")])
ARRIVAL_ROW = np.dtype([("t", "f8"), ("cls", "i8")])
"""An open arrival: when, and its class (-1: to be drawn)."""

TIMER_ROW = np.dtype([("t", "f8"), ("p", "i8")])
JOB_ROW = np.dtype([("tag", "f8"), ("who", "i8")])
"""CPU work: the virtual time at which it is done, and whose it is (a worker, or the main process)."""

LIST_ROW = np.dtype([("due", "f8"), ("head", "i8"), ("tail", "i8")])
"""A list of time-outs: the deadline of its head, its ends."""

SESSIONS_ROW = np.dtype([("x", "i8"), ("next", "i8"), ("prev", "i8"), ("listed", "i8")])
"""A pod's sessions at the proxy, and its place among those with as many."""

INTEGER_ROW = np.dtype([("x", "i8")])
REAL_ROW = np.dtype([("x", "f8")])
COUNT_ROW = np.dtype([("x", "u4")])

TABLES = {
    "params": PARAMETER_ROW,
    "users": USER_ROW,
    "reqs": REQUEST_ROW,
    "pods": POD_ROW,
    "workers": WORKER_ROW,  # a row of `width` a pod
    "jobs": JOB_ROW,  # a heap of `width` + 1 a pod
    "idle": INTEGER_ROW,  # a ring of `width` a pod: workers that wait in accept()
    "kept": INTEGER_ROW,  # a stack of `width` a pod: workers whose connection the proxy keeps
    "nodes": NODE_ROW,
    "node_pods": INTEGER_ROW,  # a row of the number of pods a node
    "heap": TIMER_ROW,
    "shelves": INTEGER_ROW,  # by time: the first of the users whose time comes then, and 1; 0: nobody
    "tree": INTEGER_ROW,  # winner tree over the pods' next CPU step
    "lists": LIST_ROW,  # by T_CLIENT, T_QUEUE, T_CONNECT, T_SERVER
    "endpoints": INTEGER_ROW,
    "sessions": SESSIONS_ROW,
    "levels": LIST_ROW,  # by number of sessions: the servers that have so many
    "classes": CLASS_ROW,
    "dists": sampling.ROW,  # CPU, waiting, memory of each class; the probe's last
    "loop": closed.LOOP,
    "think": sampling.ROW,
    "arrivals": ARRIVAL_ROW,
    "bins": BIN_ROW,
    "hist": COUNT_ROW,  # BUCKETS a bin
    "events": EVENT_ROW,
    "broken": INTEGER_ROW,
    "scratch": REAL_ROW,
}
"""The arrays of the state. The kernel finds them by their addresses, which stand in `STATE_ROW`."""

STATE_ROW = np.dtype([*_GLOBALS, ("width", "i8"), *state_fields(TABLES)])
"""The one thing that every function of the kernel is given: counters, and where the arrays are."""
