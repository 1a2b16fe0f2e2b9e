"""Node pools completed from the catalogue: what a node has, what pods can take of it, what it costs."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.fleet.catalogue import InstanceType, eks_reserved_cpu, instance_type
from seawall.fleet.errors import InputError
from seawall.fleet.model import Machine, NodePool, Reserved
from seawall.fleet.units import MIB

KUBELET_MAX_PODS = 110


@dataclass(frozen=True, slots=True)
class Pool:
    """A node pool with all its numbers: cores, bytes, USD an hour (or the fleet's own currency).

    `capacity_memory` is what a node's kernel has, `kubepods_memory_cap` what all pods together may use before
    the kernel kills inside that bound (capacity less kubeReserved and systemReserved), `allocatable_*` what
    the scheduler hands out (less evictionHard as well; daemon sets are pods and are not yet taken off).
    """

    name: str
    spec: NodePool
    instance: InstanceType
    capacity_cpu: float
    capacity_memory: float
    kubepods_memory_cap: float
    allocatable_cpu: float
    allocatable_memory: float
    max_pods: int
    price_per_hour: float

    @property
    def free_cpu(self) -> float:
        """Cores left for the service's pods on an empty node: allocatable less the daemon sets' requests."""
        return self.allocatable_cpu - self.spec.daemon_set_cpu

    @property
    def free_memory(self) -> float:
        """Bytes left for the service's pods on an empty node."""
        return self.allocatable_memory - self.spec.daemon_set_memory

    @property
    def initial(self) -> int:
        """Nodes at the start."""
        return self.spec.min if self.spec.initial is None else self.spec.initial


def complete_pool(spec: NodePool) -> Pool:
    """The pool with its machine's numbers filled in. InputError for a type the catalogue does not have.

    Rules: kubelet, allocatable = capacity - kubeReserved - systemReserved - evictionHard; with `eks` the
    reservations are Amazon's (nodeadm), which reproduce the catalogue's published figures exactly.
    """
    instance = _instance(spec)
    published = isinstance(spec.instance_type, str)
    capacity = instance.capacity_memory if published else instance.memory_bytes
    reserved_memory, reserved_cpu, max_pods = 0.0, 0.0, KUBELET_MAX_PODS
    if isinstance(spec.reserved, Reserved):
        reserved_memory, reserved_cpu = spec.reserved.memory, spec.reserved.cpu
    elif spec.reserved == "eks":
        reserved_memory, max_pods = instance.kube_reserved_memory, instance.max_pods
        reserved_cpu = instance.vcpu - instance.allocatable_cpu
    cap = capacity - reserved_memory
    price = spec.price_per_hour if spec.price_per_hour is not None else instance.usd_per_hour
    if price is None:
        raise InputError(f"the catalogue has no price for {instance.name}; write pricePerHour")
    if cap - spec.eviction_hard <= 0 or instance.vcpu <= reserved_cpu:
        raise InputError("nothing is left for pods once the reservations are taken off; reserve less")
    return Pool(
        name=spec.name,
        spec=spec,
        instance=instance,
        capacity_cpu=instance.vcpu,
        capacity_memory=capacity,
        kubepods_memory_cap=cap,
        allocatable_cpu=instance.vcpu - reserved_cpu,
        allocatable_memory=cap - spec.eviction_hard,
        max_pods=spec.max_pods or max_pods,
        price_per_hour=price,
    )


def _instance(spec: NodePool) -> InstanceType:
    if not isinstance(spec.instance_type, Machine):
        return instance_type(spec.instance_type)
    machine = spec.instance_type
    pods = spec.max_pods or KUBELET_MAX_PODS
    reserved = (11 * pods + 255 + 100) * MIB
    return InstanceType(
        name=f"{machine.vcpu:g} vCPU, {machine.memory / MIB:g} MiB",
        vcpu=machine.vcpu,
        memory_bytes=machine.memory,
        usd_per_hour=machine.price_per_hour,
        allocatable_cpu=machine.vcpu - eks_reserved_cpu(machine.vcpu),
        allocatable_memory=machine.memory - reserved,
        max_pods=pods,
    )
