"""What a fleet file says: the service, its platform, its traffic, what is promised, and the variants.

Field names are those of the real systems (Apache's directives, HAProxy's keywords, Kubernetes' fields); where
the thing has no name of its own, camelCase as in Kubernetes. Values are SI floats: seconds, cores, bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from seawall.fleet.distribution import Distribution, constant, parse_distribution
from seawall.fleet.units import MIB, Bytes, Cores, Seconds, Share, Switch, parse_quantity, parse_seconds

Time = Annotated[
    Distribution,
    BeforeValidator(lambda v: parse_distribution(v, parse_seconds)),
    PlainSerializer(lambda d: distribution_as_data(d), return_type=Any),
]
"""A time in seconds with its distribution."""

Size = Annotated[
    Distribution,
    BeforeValidator(lambda v: parse_distribution(v, parse_quantity)),
    PlainSerializer(lambda d: distribution_as_data(d), return_type=Any),
]
"""A size in bytes with its distribution."""


def distribution_as_data(d: Distribution) -> Any:
    """A distribution as plain data, for the record: kind and parameters in the base unit."""
    kind = ("constant", "exponential", "lognormal", "quantiles", "uniform")[d.kind]
    if kind == "constant":
        return d.a
    if kind == "quantiles":
        return {kind: {f"p{100 * s:g}": v for s, v in zip(d.shares, d.values, strict=True)}}
    if kind == "lognormal":
        return {kind: {"mu": d.a, "sigma": d.b}}
    return {kind: d.a if kind == "exponential" else [d.a, d.b]}


class Part(BaseModel):
    """A part of the fleet file: unknown keys are an error, values do not change after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


def measured(default: Any) -> Any:
    """A default that stands for a fact of the user's own service: listed with each verdict until given."""
    return Field(default, validate_default=True, json_schema_extra={"measure": True})


# ---------------------------------------------------------------------------------------------- the service


class ModWsgi(Part):
    """mod_wsgi in daemon mode: the application lives in processes of its own.

    Source: mod_wsgi, WSGIDaemonProcess (processes default 1, threads default 15).
    """

    processes: int = Field(1, ge=1)
    threads: int = Field(15, ge=1)


class ApachePrefork(Part):
    """Apache 2.4 with the prefork MPM and mod_wsgi. Defaults are Apache's own.

    Source: httpd 2.4, server/mpm/prefork/prefork.c and docs/manual/mod/{prefork,mpm_common,core}.
    """

    kind: Literal["apache-prefork"]
    start_servers: int = Field(5, ge=0, alias="StartServers")
    min_spare_servers: int = Field(5, ge=1, alias="MinSpareServers")
    max_spare_servers: int = Field(10, ge=1, alias="MaxSpareServers")
    max_request_workers: int = Field(256, ge=1, le=20000, alias="MaxRequestWorkers")
    server_limit: int = Field(256, ge=1, le=20000, alias="ServerLimit")
    max_connections_per_child: int = Field(0, ge=0, alias="MaxConnectionsPerChild")
    listen_backlog: int = Field(511, ge=1, alias="ListenBacklog")
    keep_alive: Switch = Field(True, alias="KeepAlive")
    keep_alive_timeout: Seconds = Field(5.0, alias="KeepAliveTimeout")
    max_keep_alive_requests: int = Field(100, ge=0, alias="MaxKeepAliveRequests")
    mod_wsgi: Literal["embedded"] | ModWsgi = Field(
        "embedded", description="embedded, or {processes:, threads:} for daemon mode"
    )


class GunicornSync(Part):
    """gunicorn with sync workers. Defaults are gunicorn's own.

    Source: gunicorn, config.py (workers 1, backlog 2048, timeout 30, max_requests 0, preload_app false).
    """

    kind: Literal["gunicorn-sync"]
    workers: int = Field(1, ge=1, le=20000)
    backlog: int = Field(2048, ge=1)
    timeout: Seconds = 30.0
    max_requests: int = Field(0, ge=0, alias="max_requests")
    preload_app: Switch = Field(False, alias="preload_app")


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
    growth_requests: int = Field(50, ge=1)
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

    share: float = Field(1.0, ge=0)
    """Weight among the classes (they need not add up to one)."""
    cpu: Time = measured(constant(0.020))
    """CPU work of one request."""
    wait: Time = measured(constant(0.030))
    """Time in which a worker waits for others (database, network)."""
    memory: Size = measured(constant(2 * MIB))
    """Memory held while the request is served."""
    match: list[str] = []
    """Patterns of `METHOD path` for recorded traffic: globs, or a regular expression after `~`."""


class Kernel(Part):
    """The Linux settings that a wave meets. Defaults: Linux 6.5 and later, Kubernetes on cgroup v2."""

    linux: str = "6.8"
    """Kernel version; before 6.5 SYNs are retried at 1, 3, 7 s, from then on by tcp_syn_linear_timeouts."""
    somaxconn: int = Field(4096, ge=1, alias="net.core.somaxconn")
    """Bound of the accept queue, read at listen(); per network namespace. 4096 since Linux 5.4."""
    tcp_syn_retries: int = Field(6, ge=0, le=127, alias="net.ipv4.tcp_syn_retries")
    tcp_syn_linear_timeouts: int | None = Field(None, ge=0, le=127, alias="net.ipv4.tcp_syn_linear_timeouts")
    """How many SYN retries come a second apart before they double; by default 4, none before Linux 6.5."""
    tcp_abort_on_overflow: bool = Field(False, alias="net.ipv4.tcp_abort_on_overflow")
    oom_kill: Literal["container", "process"] = "container"
    """What an OOM in a container kills: all of it (memory.oom.group, Kubernetes 1.28 and later on cgroup v2),
    or one process (cgroup v1, or singleProcessOOMKill)."""
    cfs_period: Seconds = Field(0.1, gt=0, alias="cpu.cfs_period")

    @property
    def syn_linear_timeouts(self) -> int:
        """The number of linear SYN time-outs in force for this kernel version."""
        if self.tcp_syn_linear_timeouts is not None:
            return self.tcp_syn_linear_timeouts
        parts = [*self.linux.split("."), "0"][:2]
        return 4 if (int(parts[0]), int(parts[1])) >= (6, 5) else 0


class Service(Part):
    """One service: how it serves, what a request costs it, what it needs of memory."""

    name: str = "service"
    server: Server
    requests: dict[str, RequestClass] = Field(min_length=1)
    memory: Memory = Memory()
    start: Start = Start()
    kernel: Kernel = Kernel()


# --------------------------------------------------------------------------------------------- the platform


class Haproxy(Part):
    """A proxy that balances each request, as HAProxy and its ingress controllers do.

    Source: HAProxy 2.6 configuration manual (`balance`, `maxconn`, `maxqueue`, `retries`, `http-reuse`,
    `timeout queue|connect|server`, `option redispatch`); time-outs are those of the HAProxy ingress controller.
    """

    kind: Literal["haproxy"] = "haproxy"
    balance: Literal["roundrobin", "leastconn", "random"] = "roundrobin"
    maxconn: int = Field(0, ge=0, description="per server; 0: no bound")
    maxqueue: int = Field(0, ge=0, description="per backend; 0: no bound")
    timeout_queue: Seconds | None = Field(None, alias="timeout queue", description="default: timeout connect")
    timeout_connect: Seconds = Field(5.0, alias="timeout connect")
    timeout_server: Seconds = Field(50.0, alias="timeout server")
    retries: int = Field(3, ge=0, le=100)
    redispatch: Switch = True
    http_reuse: Switch = Field(False, alias="http-reuse")
    """Whether connections to the servers are kept and used again. Off: each request opens its own
    (`option http-server-close`), and a prefork child is free as soon as it has answered."""


class KubeProxy(Part):
    """A Service alone: each new connection goes to a random ready pod, and stays there."""

    kind: Literal["kube-proxy"]


Balancer = Annotated[
    Annotated[Haproxy | KubeProxy, Field(discriminator="kind")],
    BeforeValidator(lambda v: {"kind": "haproxy", **v} if isinstance(v, dict) else v),
]


class Stall(Part):
    """What happens when a node itself runs out of memory: its processes and its kubelet stand still."""

    stall: Seconds = measured(120.0)


class Reserved(Part):
    """What a node keeps back from pods (kubeReserved and systemReserved together)."""

    cpu: Cores = 0.0
    memory: Bytes = 0.0


class Machine(Part):
    """A machine that is not in the catalogue, such as another cloud's."""

    vcpu: float = Field(gt=0)
    memory: Bytes = Field(gt=0)
    """What the node's own kernel has of it."""
    price_per_hour: float = Field(ge=0)


class NodePool(Part):
    """Machines of one type that are added and removed together."""

    name: str
    instance_type: str | Machine
    """A name in the EC2 catalogue, such as t3.medium; or a mapping with vcpu, memory and pricePerHour."""
    min: int = Field(1, ge=0)
    max: int = Field(1, ge=0)
    initial: int | None = Field(None, ge=0, description="nodes at the start; default: min")
    boot_time: Time = measured(constant(90.0))
    """From the request of a machine to its node being Ready."""
    reserved: Literal["eks", "none"] | Reserved = "eks"
    """eks: Amazon's reservations and a cap on all pods together; none: pods can take the whole node."""
    eviction_hard: Bytes = Field(100 * MIB, alias="evictionHard")
    system_memory: Bytes = measured(350 * MIB)
    """What the node's own processes really use: kernel, kubelet, runtime, daemon sets."""
    system_cpu: Cores = 0.05
    daemon_set_cpu: Cores = 0.0
    """CPU requests of the daemon sets on each node."""
    daemon_set_memory: Bytes = 0.0
    max_pods: int | None = Field(None, ge=1)
    """Pods that a node takes; by default EKS's number for the type, or the kubelet's 110 where nothing is
    reserved as on EKS."""
    price_per_hour: float | None = Field(None, ge=0, description="default: the catalogue's on-demand price")
    when_memory_runs_out: Stall = Stall()


class ClusterAutoscaler(Part):
    """cluster-autoscaler's flags, with its defaults. Source: cluster-autoscaler 1.37, main.go."""

    enabled: bool = True
    scan_interval: Seconds = 10.0
    expander: Literal["least-waste", "most-pods", "price", "random", "least-nodes"] = "least-waste"
    scale_down_enabled: bool = True
    scale_down_unneeded_time: Seconds = 600.0
    scale_down_delay_after_add: Seconds = 600.0
    scale_down_utilization_threshold: Share = 0.5
    max_node_provision_time: Seconds = 900.0
    new_pod_scale_up_delay: Seconds = 0.0


class HpaController(Part):
    """kube-controller-manager's HPA flags, with their defaults."""

    sync_period: Seconds = Field(15.0, gt=0)
    downscale_stabilization: Seconds = 300.0
    cpu_initialization_period: Seconds = 300.0
    initial_readiness_delay: Seconds = 30.0
    tolerance: float = Field(0.1, ge=0)


class NodeLifecycle(Part):
    """How fast a silent node is given up. Defaults of Kubernetes 1.36."""

    node_monitor_period: Seconds = 5.0
    node_monitor_grace_period: Seconds | None = None
    """Default: 50 s, 40 s before Kubernetes 1.32."""
    not_ready_toleration: Seconds = 300.0


class MetricsServer(Part):
    """metrics-server's scraping."""

    resolution: Seconds = Field(15.0, ge=10)


class Platform(Part):
    """Where the service runs: the user's own manifests, and the nodes."""

    kubernetes: str = "1.36"
    manifests: list[str | dict[str, Any]] = []
    """Files and folders relative to the fleet file, or manifests themselves."""
    deployment: str | None = Field(None, description="name of the Deployment, where there are several")
    node_pools: list[NodePool] = Field(min_length=1)
    balancer: Balancer = Haproxy()
    image_pull: Time = measured(constant(20.0))
    """Pulling the image onto a node that does not have it."""
    container_start: Time = constant(1.0)
    """From image to running process: sandbox, network, volumes."""
    endpoints_delay: Seconds = 1.0
    """From a change of readiness until the balancer knows."""
    hpa: HpaController = HpaController()
    cluster_autoscaler: ClusterAutoscaler = ClusterAutoscaler()
    metrics_server: MetricsServer = MetricsServer()
    node_lifecycle: NodeLifecycle = NodeLifecycle()
    currency: str = "USD"
    control_plane_per_hour: float = Field(0.10, ge=0)

    @property
    def version(self) -> tuple[int, int]:
        """(major, minor) of Kubernetes."""
        parts = self.kubernetes.lstrip("v").split(".")
        return int(parts[0]), int(parts[1])

    @property
    def node_monitor_grace_period(self) -> float:
        """Seconds without a lease until a node is NotReady."""
        given = self.node_lifecycle.node_monitor_grace_period
        if given is not None:
            return given
        return 50.0 if self.version >= (1, 32) else 40.0


# ---------------------------------------------------------------------------------------------- the traffic


class Retries(Part):
    """What a client does after a failure."""

    max: int = Field(0, ge=0, le=100)
    """Attempts after the first; 0: none."""
    backoff: Literal["immediate", "exponential"] = "exponential"
    base: Seconds = 0.1
    cap: Seconds = 20.0
    jitter: bool = True
    """Full jitter: the wait is drawn evenly between 0 and the back-off."""
    budget: Share | None = None
    """Retries as a share of requests, over all clients; none: no bound."""


class Clients(Part):
    """What a client is and does when it fails."""

    timeout: Seconds = Field(30.0, gt=0)
    retries: Retries = Retries()
    keep_alive: bool = True
    """Whether a client keeps its connection for its next request."""
    slow_readers: Share = 0.0
    """Share of requests whose client reads the answer slowly; without a proxy the worker waits for it."""
    slow_read_time: Seconds = 2.0
    round_trip: Seconds = 0.0005
    """Network round trip between the balancer (or client) and a pod."""


class StartBurst(Part):
    """The calls that an app makes as it opens: one after another, `gap` apart or as soon as answered."""

    calls: int = Field(1, ge=1)
    gap: Seconds = 0.0


class Users(Part):
    """Closed loop: connected users, each of whom waits for an answer before asking again."""

    count: str
    """How many over time, for example `0 -> 1000 in 60s, hold 5m`."""
    pace: Seconds | None = None
    """intended(k+1) = max(intended(k) + pace, done(k))"""
    think: Time | None = None
    """intended(k+1) = done(k) + think"""
    jitter: Share = 0.1
    """The pace varies evenly by so much to each side."""
    start_burst: StartBurst = StartBurst()
    give_up_after: int = Field(0, ge=0)
    """A user leaves after so many failures in a row; 0: never."""


class ArrivalRate(Part):
    """Open loop: requests that come whatever happens to the earlier ones."""

    rate: str
    """For example `50/s -> 2000/s in 30s, hold 2m`."""
    process: Literal["poisson", "even"] = "poisson"
    visits: int = Field(1, ge=1)
    """Requests that each arrival makes, one after another."""


class Recorded(Part):
    """Open loop from a recording: an access log, or a CSV of requests per second."""

    file: str
    kind: Literal["auto", "accesslog", "csv"] = "auto"
    speed: float = Field(1.0, gt=0)
    """Time runs so many times faster."""
    multiply: float = Field(1.0, gt=0)
    """So many times the recorded requests."""
    start: Seconds = Field(0.0, alias="from", description="seconds after the first record")
    duration: Seconds | None = Field(None, alias="for")
    stamp: Literal["arrival", "end"] = "arrival"
    """What a log's time is: Apache writes the arrival, nginx the end."""


class Traffic(Part):
    """What comes: users, arrivals, a recording; and what clients do."""

    clients: Clients = Clients()
    users: Users | None = None
    arrivals: ArrivalRate | None = None
    recorded: Recorded | None = None


# -------------------------------------------------------------------------------- promises and the whole file


class Objectives(Part):
    """What is promised. A fleet stands when all are met."""

    served: Share = 0.999
    """Share of requests answered, over the whole run and over its worst 60 s."""
    latency: dict[str, Seconds] = {}
    """Bounds by percentile over answered requests, for example `p99: 800ms`."""


class FleetFile(Part):
    """A whole fleet file, read and checked, one variant applied."""

    seawall: Literal[1] = 1
    name: str
    description: str = ""
    service: Service
    platform: Platform
    traffic: Traffic
    objectives: Objectives = Objectives()
    assumptions: dict[str, str] = {}
    """Values that nobody measured: their path in this file, and why they are what they are."""
    notes: dict[str, str] = {}
    """Figures to show beside the result, such as what the story's own team measured."""
    variants: dict[str, dict[str, Any]] = {}
    """Named merge patches on this file (null removes); `manifests:` patches manifests by Kind/name."""
