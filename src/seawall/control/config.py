"""What the control plane is told before it starts: flags, the Deployment, the pools, phases of its loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.control.pods import PodShape
from seawall.fleet.model import ClusterAutoscaler, HpaController, MetricsServer, NodeLifecycle

if TYPE_CHECKING:
    from seawall.fleet.hpa_spec import HpaSpec
    from seawall.fleet.kubernetes import DisruptionBudget
    from seawall.fleet.reader import Fleet


@dataclass(frozen=True, slots=True)
class Phases:
    """When each loop first runs, in seconds after the start of the run; the world draws them.

    A real controller's phase depends on when it was started, so each is even over [0, period): `hpa_s` (sync
    period 15 s), `metrics_s` (resolution 15 s), `autoscaler_s` (scan interval 10 s), `node_monitor_s` (5 s).
    `seed` decides where the real system draws (the expander `random`, ties).
    """

    hpa_s: float = 0.0
    metrics_s: float = 0.0
    autoscaler_s: float = 0.0
    node_monitor_s: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """A node pool as the scheduler and the autoscaler see it. Cores, bytes, price per node and hour."""

    name: str
    min: int
    max: int
    allocatable_cpu: float
    allocatable_memory: float
    max_pods: int
    price_per_hour: float
    capacity_cpu: float
    """Cores of the machine: what the autoscaler's expanders compare."""
    capacity_memory: float
    daemon_set_cpu: float = 0.0
    """Requests of the daemon sets on each node: the scheduler counts them as taken."""
    daemon_set_memory: float = 0.0


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """All that the loops need and that does not change during a run.

    Requests are those of one pod of the Deployment: cores and bytes. `hpa` is None without a
    HorizontalPodAutoscaler: replicas then stay as they are.
    """

    deployment: str
    container: str
    """Name of the serving container: the one that the kubelets' readings are of."""
    pod_shape: PodShape
    """Requests container by container, for the HPA."""
    pod_cpu_request: float
    pod_memory_request: float
    pools: tuple[PoolConfig, ...]
    hpa: HpaSpec | None
    hpa_flags: HpaController
    autoscaler: ClusterAutoscaler
    metrics_server: MetricsServer
    node_lifecycle: NodeLifecycle
    node_monitor_grace_period: float
    endpoints_delay: float
    phases: Phases
    disruption_budget: DisruptionBudget | None = None


def plane_config(fleet: Fleet, phases: Phases) -> PlaneConfig:
    """The plane's configuration for a fleet that has been read and completed."""
    platform, deployment = fleet.file.platform, fleet.deployment
    pools = tuple(
        PoolConfig(
            name=pool.name,
            min=pool.spec.min,
            max=pool.spec.max,
            allocatable_cpu=pool.allocatable_cpu,
            allocatable_memory=pool.allocatable_memory,
            max_pods=pool.max_pods,
            price_per_hour=pool.price_per_hour,
            capacity_cpu=pool.capacity_cpu,
            capacity_memory=pool.capacity_memory,
            daemon_set_cpu=pool.spec.daemon_set_cpu,
            daemon_set_memory=pool.spec.daemon_set_memory,
        )
        for pool in fleet.pools
    )
    return PlaneConfig(
        deployment=deployment.name,
        container=deployment.main.name,
        pod_shape=PodShape.from_pod_spec(deployment.manifest.data["spec"]["template"]["spec"]),
        pod_cpu_request=deployment.pod_cpu_request,
        pod_memory_request=deployment.pod_memory_request,
        pools=pools,
        hpa=fleet.hpa,
        hpa_flags=platform.hpa,
        autoscaler=platform.cluster_autoscaler,
        metrics_server=platform.metrics_server,
        node_lifecycle=platform.node_lifecycle,
        node_monitor_grace_period=platform.node_monitor_grace_period,
        endpoints_delay=platform.endpoints_delay,
        phases=phases,
        disruption_budget=fleet.pdb,
    )
