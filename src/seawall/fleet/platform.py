"""The platform: the user's own manifests, node pools, the balancer, and the controllers' settings."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from seawall.fleet.distribution import constant
from seawall.fleet.parts import Part, Time, measured
from seawall.fleet.units import MIB, Bytes, Cores, Count, Number, Seconds, Share, Switch


class Haproxy(Part):
    """A proxy that balances each request, as HAProxy and its ingress controllers do.

    Source: HAProxy 2.6 configuration manual (`balance`, `maxconn`, `maxqueue`, `retries`, `http-reuse`,
    `timeout queue|connect|server`, `option redispatch`); time-outs are those of its ingress controller.
    """

    kind: Literal["haproxy"] = "haproxy"
    """Which balancer it is."""
    balance: Literal["roundrobin", "leastconn", "random"] = "roundrobin"
    """How a server is picked for each request."""
    maxconn: Count = Field(0, ge=0)
    """Requests under way per server, at most; the rest waits in the queue. 0: no bound."""
    maxqueue: Count = Field(0, ge=0)
    """Requests that wait in the backend's queue, at most. 0: no bound."""
    timeout_queue: Seconds | None = Field(None, alias="timeout queue")
    """How long a request waits in the queue before it gets a 503; default: timeout connect."""
    timeout_connect: Seconds = Field(5.0, alias="timeout connect")
    """How long a connection to a server may take."""
    timeout_server: Seconds = Field(50.0, alias="timeout server")
    """How long a server may be silent before the client gets a 504."""
    retries: Count = Field(3, ge=0, le=100)
    """How often a connection that failed is tried again."""
    redispatch: Switch = True
    """Whether the last retry may go to another server."""
    http_reuse: Switch = Field(False, alias="http-reuse")
    """Whether connections to the servers are kept and used again. Off: each request opens its own
    (`option http-server-close`), and a prefork child is free as soon as it has answered."""


class KubeProxy(Part):
    """A Service alone: each new connection goes to a random ready pod, and stays there."""

    kind: Literal["kube-proxy"]
    """Which balancer it is."""


Balancer = Annotated[
    Annotated[Haproxy | KubeProxy, Field(discriminator="kind")],
    BeforeValidator(lambda v: {"kind": "haproxy", **v} if isinstance(v, dict) else v),
]
"""haproxy unless `kind` says otherwise."""


class Stall(Part):
    """What happens when a node itself runs out of memory: its processes and its kubelet stand still."""

    stall: Seconds = measured(120.0)
    """For how long nothing on the node runs."""


class Reserved(Part):
    """What a node keeps back from pods (kubeReserved and systemReserved together)."""

    cpu: Cores = 0.0
    """CPU kept back."""
    memory: Bytes = 0.0
    """Memory kept back."""


class Machine(Part):
    """A machine that is not in the catalogue, such as another cloud's."""

    vcpu: Number = Field(gt=0)
    """Cores that the node has."""
    memory: Bytes = Field(gt=0)
    """Memory that the node's own kernel has."""
    price_per_hour: Number = Field(ge=0)
    """What it costs an hour, in the fleet's currency."""


class NodePool(Part):
    """Machines of one type that are added and removed together."""

    name: str = Field(min_length=1)
    """How reports and variants name it."""
    instance_type: str | Machine
    """A name in the EC2 catalogue, such as t3.medium; or a mapping with vcpu, memory and pricePerHour."""
    min: Count = Field(1, ge=0, le=100_000)
    """Nodes at least."""
    max: Count = Field(1, ge=0, le=100_000)
    """Nodes at most."""
    initial: Count | None = Field(None, ge=0)
    """Nodes at the start; default: min."""
    boot_time: Time = measured(constant(90.0))
    """From the request of a machine to its node being Ready."""
    reserved: Literal["eks", "none"] | Reserved = "eks"
    """eks: Amazon's reservations and a cap on all pods together; none: pods can take the whole node; or
    {cpu:, memory:}."""
    eviction_hard: Bytes = Field(100 * MIB, alias="evictionHard")
    """Available memory below which the kubelet evicts (memory.available)."""
    system_memory: Bytes = measured(350 * MIB)
    """What the node's own processes really use: kernel, kubelet, runtime, daemon sets."""
    system_cpu: Cores = 0.05
    """CPU that the node's own processes really use."""
    daemon_set_cpu: Cores = 0.0
    """CPU requests of the daemon sets on each node."""
    daemon_set_memory: Bytes = 0.0
    """Memory requests of the daemon sets on each node."""
    max_pods: Count | None = Field(None, ge=1)
    """Pods that a node takes; by default EKS's number for the type, or the kubelet's 110 where nothing is
    reserved as on EKS."""
    price_per_hour: Number | None = Field(None, ge=0)
    """What a node costs an hour; default: the catalogue's on-demand price in USD."""
    when_memory_runs_out: Stall = Stall()
    """What happens when the node itself runs out of memory."""


class ClusterAutoscaler(Part):
    """cluster-autoscaler's flags, with its defaults. Source: cluster-autoscaler 1.37, main.go."""

    enabled: Switch = True
    """Whether there is one."""
    scan_interval: Seconds = Field(10.0, gt=0)
    """How often it looks for pods that cannot be placed and nodes that are not needed."""
    expander: Literal["least-waste", "most-pods", "price", "random", "least-nodes"] = "least-waste"
    """How it chooses among pools that could help."""
    scale_down_enabled: Switch = True
    """Whether it removes nodes."""
    scale_down_unneeded_time: Seconds = 600.0
    """How long a node must be unneeded before it is removed."""
    scale_down_delay_after_add: Seconds = 600.0
    """How long after adding a node it removes none."""
    scale_down_utilization_threshold: Share = 0.5
    """A node whose requests are below this share of its allocatable may be unneeded."""
    max_node_provision_time: Seconds = 900.0
    """A machine that is not a node by then is given up."""
    new_pod_scale_up_delay: Seconds = 0.0
    """Pods younger than this are not looked at."""


class HpaController(Part):
    """kube-controller-manager's HPA flags, with their defaults.

    Source: k8s pkg/controller/podautoscaler/config/v1alpha1/defaults.go.
    """

    sync_period: Seconds = Field(15.0, gt=0)
    """How often each HorizontalPodAutoscaler is looked at."""
    downscale_stabilization: Seconds = 300.0
    """For how long the highest recommendation counts when scaling down (where behavior says nothing)."""
    cpu_initialization_period: Seconds = 300.0
    """How long after a pod's start its CPU counts only if it was measured while ready."""
    initial_readiness_delay: Seconds = 30.0
    """Within this time of a pod's start, a change to unready counts as never having been ready."""
    tolerance: Number = Field(0.1, ge=0)
    """Deviation from the target that is left alone."""


class NodeLifecycle(Part):
    """How fast a silent node is given up. Defaults of Kubernetes 1.36."""

    node_monitor_period: Seconds = Field(5.0, gt=0)
    """How often nodes are looked at."""
    node_monitor_grace_period: Seconds | None = None
    """How long a node may be silent until it is NotReady. Default: 50 s, 40 s before Kubernetes 1.32."""
    not_ready_toleration: Seconds = 300.0
    """How long pods stay on a node that is NotReady."""


class MetricsServer(Part):
    """metrics-server's scraping."""

    resolution: Seconds = Field(15.0, ge=10)
    """How often it scrapes the kubelets (its own default is 60 s, its manifests and chart say 15 s)."""


class Platform(Part):
    """Where the service runs: the user's own manifests, and the nodes."""

    kubernetes: str = Field("1.36", pattern=r"^v?1\.\d{1,3}(\..*)?$")
    """Version of Kubernetes."""
    manifests: list[str | dict[str, Any]] = Field(default_factory=list)
    """Files and folders relative to the fleet file, or manifests themselves."""
    deployment: str | None = None
    """Name of the Deployment, where there are several."""
    node_pools: list[NodePool] = Field(min_length=1)
    """The machines."""
    balancer: Balancer = Haproxy()
    """What spreads requests over the pods; haproxy unless `kind` says kube-proxy."""
    image_pull: Time = measured(constant(20.0))
    """Pulling the image onto a node that does not have it."""
    container_start: Time = constant(1.0)
    """From image to running process: sandbox, network, volumes."""
    endpoints_delay: Seconds = 1.0
    """From a change of readiness until the balancer knows."""
    hpa: HpaController = HpaController()
    """Flags of the controller behind the HorizontalPodAutoscaler."""
    cluster_autoscaler: ClusterAutoscaler = ClusterAutoscaler()
    """Flags of the cluster-autoscaler."""
    metrics_server: MetricsServer = MetricsServer()
    """Flags of the metrics-server."""
    node_lifecycle: NodeLifecycle = NodeLifecycle()
    """Flags about nodes that fall silent."""
    currency: str = "USD"
    """Currency of all prices."""
    control_plane_per_hour: Number = Field(0.10, ge=0)
    """What the control plane costs an hour (EKS: 0.10 USD)."""

    @property
    def version(self) -> tuple[int, int]:
        """(major, minor) of Kubernetes."""
        major, minor = re.findall(r"\d+", self.kubernetes)[:2]
        return int(major), int(minor)

    @property
    def node_monitor_grace_period(self) -> float:
        """Seconds without a lease until a node is NotReady."""
        given = self.node_lifecycle.node_monitor_grace_period
        if given is not None:
            return given
        return 50.0 if self.version >= (1, 32) else 40.0
