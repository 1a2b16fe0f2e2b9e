"""Which of several pools grows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from seawall.control.capacity import Need
from seawall.control.expanders import Option, best
from seawall.control.scale_up import estimate
from seawall.control.view import IntArray

from .toy_world import GIB, config, pool

SMALL = pool("small", allocatable_cpu=1.9, allocatable_memory=3.5 * GIB, price_per_hour=0.05)
LARGE = pool(
    "large",
    allocatable_cpu=7.9,
    allocatable_memory=30 * GIB,
    price_per_hour=0.40,
    capacity_cpu=8.0,
    capacity_memory=32 * GIB,
)


def options(pods: int, cpu_milli: int = 500, memory: int = 1024**3) -> list[Option]:
    """What each pool would need for so many pods."""
    rows: IntArray = np.arange(pods)
    both = config(SMALL, LARGE)
    found = [estimate(both, index, {Need(cpu_milli, memory): rows}, 10)[0] for index in (0, 1)]
    return [option for option in found if option is not None]


def chosen(expander: str, pods: int, nodes: int = 5) -> str:
    pools = (SMALL, LARGE)
    return pools[best(expander, options(pods), pools, nodes, seed=1).pool].name


def test_the_estimate_is_first_fit():
    small, large = options(7)
    assert (small.nodes, small.pods) == (3, 7)
    assert (large.nodes, large.pods) == (1, 7)
    assert large.cpu == pytest.approx(3.5)


def test_the_estimate_stops_at_the_limit():
    option, _ = estimate(config(SMALL), 0, {Need(500, 1024**3): np.arange(100)}, 4)
    assert option is not None and (option.nodes, option.pods) == (4, 12)


def test_pods_of_several_sizes_share_machines():

    needs = {Need(1000, 1024**2): np.arange(2), Need(400, 1024**2): np.arange(2, 6)}
    option, _ = estimate(config(SMALL), 0, needs, 10)
    # 1000 + 2 * 400 on each of two machines.
    assert option is not None and (option.nodes, option.pods) == (2, 6)


def test_a_pod_that_no_empty_machine_takes_is_said_so():

    option, rejected = estimate(config(SMALL), 0, {Need(2000, 8 * 1024**3): np.arange(3)}, 10)
    assert option is None
    assert rejected == Counter({"Insufficient cpu": 1, "Insufficient memory": 1})


def test_least_waste_compares_whole_machines():
    # One pod: 75 % + 75 % of a small machine wasted, 94 % + 97 % of a large one.
    assert chosen("least-waste", 1) == "small"
    # 15 pods: five small machines waste 25 % + 25 %, one large one 6 % + 53 %.
    assert chosen("least-waste", 15) == "small"
    assert chosen("least-nodes", 15) == "large"


def test_least_waste_goes_by_capacity():
    reserved = pool("reserved", allocatable_cpu=1.0, capacity_cpu=2.0)
    open_ = pool("open", allocatable_cpu=1.8, capacity_cpu=1.8)
    both = [Option(0, 1, 2, 1.0, GIB), Option(1, 1, 2, 1.0, GIB)]
    assert best("least-waste", both, (reserved, open_), 5, seed=1).pool == 1


def test_most_pods_takes_the_pool_that_helps_most():
    # Ten small machines hold 30 pods.
    assert chosen("most-pods", 40) == "large"


def test_price_reckons_with_the_size_that_suits_the_cluster():
    # The price of a pod's worth is equal; machines of 2 cores suit 5 nodes, machines of 8 suit 50.
    assert chosen("price", 1, nodes=5) == "small"
    even = pool("even", price_per_hour=0.10)
    wide = pool("wide", price_per_hour=0.40, capacity_cpu=8.0, capacity_memory=16 * GIB)
    both = [Option(0, 4, 16, 8.0, 16 * GIB), Option(1, 1, 16, 8.0, 16 * GIB)]
    assert best("price", both, (even, wide), 5, seed=1).pool == 0
    assert best("price", both, (even, wide), 50, seed=1).pool == 1


def test_random_draws():
    drawn = Counter(best("random", options(5), (SMALL, LARGE), 5, seed).pool for seed in range(200))
    assert min(drawn.values()) > 60
