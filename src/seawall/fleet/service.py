"""The service: its server and that server's own settings, what a request costs, what memory it needs."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from seawall.fleet.distribution import constant
from seawall.fleet.parts import Part, Size, Time, measured
from seawall.fleet.units import MIB, Bytes, Count, Number, Seconds, Switch


class ModWsgi(Part):
    """mod_wsgi in daemon mode: the application lives in processes of its own.

    Source: mod_wsgi, WSGIDaemonProcess (processes default 1, threads default 15).
    """

    processes: Count = Field(1, ge=1, le=20000)
    """Processes that hold the application."""
    threads: Count = Field(15, ge=1, le=20000)
    """Requests that each process serves at once."""


class ApachePrefork(Part):
    """Apache 2.4 with the prefork MPM and mod_wsgi. Defaults are Apache's own.

    Source: httpd 2.4, server/mpm/prefork/prefork.c and docs/manual/mod/{prefork,mpm_common,core}.
    """

    kind: Literal["apache-prefork"]
    """Which server it is."""
    start_servers: Count = Field(5, ge=0, alias="StartServers")
    """Children started with the server."""
    min_spare_servers: Count = Field(5, ge=1, alias="MinSpareServers")
    """Fewer idle children than this: more are started, 1, 2, 4 ... 32 a second."""
    max_spare_servers: Count = Field(10, ge=1, alias="MaxSpareServers")
    """More idle children than this: one is ended each second."""
    max_request_workers: Count = Field(256, ge=1, le=20000, alias="MaxRequestWorkers")
    """Children that serve at once, at most; each serves one request."""
    server_limit: Count = Field(256, ge=1, le=20000, alias="ServerLimit")
    """Upper bound of MaxRequestWorkers."""
    max_connections_per_child: Count = Field(0, ge=0, alias="MaxConnectionsPerChild")
    """A child ends after so many connections; 0: never."""
    listen_backlog: Count = Field(511, ge=1, alias="ListenBacklog")
    """Connections that wait to be accepted, at most (the kernel's somaxconn bounds it too)."""
    keep_alive: Switch = Field(True, alias="KeepAlive")
    """Whether a child waits for another request on the same connection."""
    keep_alive_timeout: Seconds = Field(5.0, alias="KeepAliveTimeout")
    """How long it waits; it is held all that time."""
    max_keep_alive_requests: Count = Field(100, ge=0, alias="MaxKeepAliveRequests")
    """Requests on one connection, at most; 0: no bound."""
    mod_wsgi: Literal["embedded"] | ModWsgi = "embedded"
    """embedded: each child loads the application; or {processes:, threads:} for daemon mode."""


class GunicornSync(Part):
    """gunicorn with sync workers. Defaults are gunicorn's own.

    Source: gunicorn, config.py (workers 1, backlog 2048, timeout 30, max_requests 0, preload_app false).
    """

    kind: Literal["gunicorn-sync"]
    """Which server it is."""
    workers: Count = Field(1, ge=1, le=20000)
    """Worker processes; each serves one request at a time."""
    backlog: Count = Field(2048, ge=1)
    """Connections that wait to be accepted, at most (the kernel's somaxconn bounds it too)."""
    timeout: Seconds = 30.0
    """A worker that is silent for so long is killed and started again."""
    max_requests: Count = Field(0, ge=0, alias="max_requests")
    """A worker starts again after so many requests; 0: never."""
    preload_app: Switch = Field(False, alias="preload_app")
    """Whether the application is loaded once, before the workers are forked."""


Server = Annotated[ApachePrefork | GunicornSync, Field(discriminator="kind")]


class Memory(Part):
    """Memory of one pod: base + workers * (worker + application + growth) + requests in flight + leak."""

    base: Bytes = measured(40 * MIB)
    """The container before its first worker: parent process and shared pages."""
    worker: Bytes = measured(8 * MIB)
    """A worker before it has loaded the application."""
    application: Bytes = measured(60 * MIB)
    """What loading the application adds to a process."""
    growth: Bytes = measured(0.0)
    """What a worker still gains until it has reached its steady size."""
    growth_requests: Count = Field(50, ge=1)
    """After so many requests a worker has its steady size; it grows in equal steps until then."""
    leak_per_request: Bytes = 0.0
    """Memory that no request gives back, by request served."""


class Start(Part):
    """What passes from the start of the container to its first answer."""

    cpu: Seconds = measured(1.0)
    """CPU work before the server listens."""
    wait: Seconds = measured(1.0)
    """Waiting (files, network) before the server listens."""
    application_cpu: Seconds = measured(0.5)
    """CPU work of loading the application into a process (embedded mod_wsgi: at a child's first request)."""
    worker_cpu: Seconds = 0.005
    """CPU work of forking a worker and making it ready to accept."""


class RequestClass(Part):
    """One kind of request: its share of the traffic and what it costs."""

    share: Number = Field(1.0, ge=0)
    """Weight among the classes (they need not add up to one)."""
    cpu: Time = measured(constant(0.020))
    """CPU work of one request."""
    wait: Time = measured(constant(0.030))
    """Time in which a worker waits for others (database, network)."""
    memory: Size = measured(constant(2 * MIB))
    """Memory held while the request is served."""
    match: list[str] = Field(default_factory=list)
    """Patterns of `METHOD path` for recorded traffic: globs, or a regular expression after `~`."""
    ask: list[str] = Field(default_factory=list)
    """What a generator of real requests asks for, one of them at random: `/path?query` or `METHOD /path`."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Header lines that it sends with them."""
    body: str = ""
    """The body that it sends with them."""


class Kernel(Part):
    """The Linux settings that a wave meets. Defaults: Linux 6.5 and later, Kubernetes on cgroup v2."""

    linux: str = Field("6.8", pattern=r"^\d{1,3}\.\d{1,4}")
    """Kernel version; before 6.5 SYNs are retried at 1, 3, 7 s, from then on by tcp_syn_linear_timeouts."""
    somaxconn: Count = Field(4096, ge=1, alias="net.core.somaxconn")
    """Bound of the accept queue, read at listen(); per network namespace. 4096 since Linux 5.4."""
    tcp_syn_retries: Count = Field(6, ge=0, le=127, alias="net.ipv4.tcp_syn_retries")
    """How often a SYN is sent again before connecting is given up."""
    tcp_syn_linear_timeouts: Count | None = Field(
        None, ge=0, le=127, alias="net.ipv4.tcp_syn_linear_timeouts"
    )
    """How many SYN retries come a second apart before they double; by default 4, none before Linux 6.5."""
    tcp_abort_on_overflow: Switch = Field(False, alias="net.ipv4.tcp_abort_on_overflow")
    """Whether a full accept queue refuses (RST) instead of dropping silently."""
    oom_kill: Literal["container", "process"] = "container"
    """What an OOM in a container kills: all of it (memory.oom.group, Kubernetes 1.28 and later on cgroup v2),
    or one process (cgroup v1, or singleProcessOOMKill)."""
    cfs_period: Seconds = Field(0.1, gt=0, alias="cpu.cfs_period")
    """Period in which a container may spend its CPU quota."""

    @property
    def syn_linear_timeouts(self) -> int:
        """The number of linear SYN time-outs in force for this kernel version."""
        if self.tcp_syn_linear_timeouts is not None:
            return self.tcp_syn_linear_timeouts
        major, minor = re.findall(r"\d+", self.linux)[:2]
        return 4 if (int(major), int(minor)) >= (6, 5) else 0


class Service(Part):
    """One service: how it serves, what a request costs it, what it needs of memory."""

    name: str = "service"
    """How reports name it."""
    server: Server
    """The server and its settings, by their own names: kind apache-prefork or gunicorn-sync."""
    requests: dict[str, RequestClass] = Field(min_length=1)
    """The kinds of request, by a name of your own."""
    memory: Memory = Memory()
    """What memory a pod needs."""
    start: Start = Start()
    """What a start costs."""
    probe_cpu: Seconds = 0.001
    """CPU work of answering a readiness probe."""
    kernel: Kernel = Kernel()
    """Settings of the Linux kernel under it."""
