"""The cluster autoscaler's expanders: which of several pools is to grow.

Source: cluster-autoscaler 1.37, expander/{waste,mostpods,leastnodes,price,random}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seawall.control.config import PoolConfig
from seawall.control.ties import mixed

GIB = 1024.0**3
CPU_PRICE_PER_HOUR = 0.033174
MEMORY_PRICE_PER_GIB_HOUR = 0.004446
"""What requests are worth in `price`: the GCE provider's figures (Amazon's provider has no price model).

Source: cluster-autoscaler 1.37, cloudprovider/gce/gce_price_info.go.
"""
STABILIZATION_CPU = 0.5
STABILIZATION_MEMORY = 500 * 1024.0**2
_PREFERRED_CPU = ((2, 1.0), (6, 2.0), (20, 4.0), (60, 8.0), (200, 16.0))
_LARGEST_PREFERRED_CPU = 32.0


@dataclass(frozen=True, slots=True)
class Option:
    """A pool, how many new nodes of it, and what goes on them: pods, their cores and bytes together."""

    pool: int
    nodes: int
    pods: int
    cpu: float
    memory: float


def best(
    expander: str, options: Sequence[Option], pools: Sequence[PoolConfig], cluster_nodes: int, seed: int
) -> Option:
    """The option that the expander prefers; among equals the real one draws, here `seed` decides.

    `cluster_nodes` is how many nodes there are: `price` prefers larger machines in larger clusters.
    """
    points: Callable[[Option], float] = {
        "least-waste": lambda option: _waste(option, pools[option.pool]),
        "most-pods": lambda option: -float(option.pods),
        "least-nodes": lambda option: float(option.nodes),
        "price": lambda option: _price(option, pools[option.pool], cluster_nodes),
        "random": lambda option: 0.0,
    }[expander]
    valued = [(points(option), option) for option in options]
    least = min(value for value, _ in valued)
    equals = [option for value, option in valued if value == least]
    return equals[mixed(seed, len(equals)) % len(equals)]


def _waste(option: Option, pool: PoolConfig) -> float:
    """Shares of the new machines' CPU and memory (capacity) that stay unrequested, added up."""
    cpu = pool.capacity_cpu * option.nodes
    memory = pool.capacity_memory * option.nodes
    return (cpu - option.cpu) / cpu + (memory - option.memory) / memory


def _price(option: Option, pool: PoolConfig, cluster_nodes: int) -> float:
    """Price of the nodes by worth of the pods, times how unfit the machine size is for the cluster's."""
    stabilization = _worth(STABILIZATION_CPU, STABILIZATION_MEMORY)
    nodes = pool.price_per_hour * option.nodes
    ratio = (nodes + stabilization) / (_worth(option.cpu, option.memory) + stabilization)
    preferred = next((cpu for size, cpu in _PREFERRED_CPU if cluster_nodes <= size), _LARGEST_PREFERRED_CPU)
    unfitness = max(preferred / pool.capacity_cpu, pool.capacity_cpu / preferred)
    suppressed = (unfitness - 1.0) * (1.0 - math.tanh((option.nodes - 1) / 15.0)) + 1.0
    return suppressed * ratio


def _worth(cpu: float, memory: float) -> float:
    return cpu * CPU_PRICE_PER_HOUR + memory / GIB * MEMORY_PRICE_PER_GIB_HOUR
