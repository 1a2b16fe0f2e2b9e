"""The instance catalogue: what a machine of a type has, what EKS leaves of it for pods, and its price."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from seawall.fleet.errors import InputError
from seawall.fleet.units import MIB, parse_quantity


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A machine type.

    `memory_bytes` is what is sold, `capacity_memory` what the node's kernel sees of it (bytes). The
    `allocatable` values (cores, bytes) and `max_pods` are those of an EKS node with Amazon's reservations and
    an evictionHard of 100 MiB. `usd_per_hour` is the on-demand price, None where the catalogue has none.
    """

    name: str
    vcpu: float
    memory_bytes: float
    usd_per_hour: float | None
    allocatable_cpu: float
    allocatable_memory: float
    max_pods: int

    @property
    def kube_reserved_memory(self) -> float:
        """Bytes that EKS reserves. Source: amazon-eks-ami, nodeadm: 11 Mi a pod and 255 Mi."""
        return (11 * self.max_pods + 255) * MIB

    @property
    def capacity_memory(self) -> float:
        """Bytes that the node's kernel has: what is sold less the virtual machine's overhead (7.5 %).

        Reckoned back from the published allocatable memory: the overhead of ARM types is a little larger.
        """
        return self.allocatable_memory + self.kube_reserved_memory + 100 * MIB


def instance_type(name: str) -> InstanceType:
    """The catalogue's entry for an EC2 type such as `t3.medium`; InputError with near names if none."""
    entry = _table().get(name)
    if entry is None:
        near = difflib.get_close_matches(name, _table(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "write an EC2 type such as t3.medium"
        raise InputError(
            f"the instance type {name!r} is not in the catalogue; {hint} "
            "(for another cloud: a mapping with vcpu, memory and pricePerHour)"
        )
    return InstanceType(
        name=name,
        vcpu=float(entry["vcpu"]),
        memory_bytes=entry["mem_mib"] * MIB,
        usd_per_hour=entry["usd_h"],
        allocatable_cpu=parse_quantity(entry["alloc_cpu"]),
        allocatable_memory=parse_quantity(entry["alloc_mem"]),
        max_pods=int(entry["max_pods"]),
    )


def instance_types() -> list[str]:
    """The names of all types in the catalogue that have a price, cheapest first."""
    priced = [name for name, entry in _table().items() if entry["usd_h"] is not None]
    return sorted(priced, key=lambda name: (_table()[name]["usd_h"], name))


def eks_reserved_cpu(vcpu: float) -> float:
    """Cores that EKS reserves of `vcpu`.

    Source: amazon-eks-ami, nodeadm: 6 % of the first core, 1 % of the second, 0.5 % of two more, 0.25 % of
    the rest.
    """
    shares = ((1, 0.06), (1, 0.01), (2, 0.005), (float("inf"), 0.0025))
    reserved, left = 0.0, vcpu
    for cores, share in shares:
        part = min(left, cores)
        reserved += part * share
        left -= part
    return reserved


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, Any]]:
    text = resources.files("seawall.fleet").joinpath("data/ec2_instances.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table
