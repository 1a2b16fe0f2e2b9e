"""The catalogue and the pools: what a node has, what pods can take of it, what it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from fleet.examples import deployment, fleet_data
from seawall.fleet.catalogue import eks_reserved_cpu, instance_type, instance_types
from seawall.fleet.errors import InputError
from seawall.fleet.pools import Pool
from seawall.fleet.reader import fleet_from_data
from seawall.fleet.units import MIB


def pool(**spec: Any) -> Pool:
    data = fleet_data()
    data["platform"]["nodePools"][0].update(spec)
    return fleet_from_data(data).pools[0]


# vCPU, GiB, allocatable milli-cores and MiB, pods, USD an hour, as published for EKS nodes.
@pytest.mark.parametrize(
    ("name", "vcpu", "gib", "milli", "mib", "pods", "usd"),
    [
        ("t2.small", 1, 2, 940, 1418, 11, 0.023),
        ("t2.medium", 2, 4, 1930, 3246, 17, 0.0464),
        ("t3.medium", 2, 4, 1930, 3246, 17, 0.0416),
        ("t3.large", 2, 8, 1930, 6837, 35, 0.0832),
        ("m5.large", 2, 8, 1930, 6903, 29, 0.096),
        ("c7g.large", 2, 4, 1930, 3055, 29, 0.0725),
        ("c5.xlarge", 4, 8, 3920, 6584, 58, 0.17),
    ],
)
def test_the_catalogue(name: str, vcpu: int, gib: int, milli: int, mib: int, pods: int, usd: float) -> None:
    machine = instance_type(name)
    assert (machine.vcpu, machine.memory_bytes, machine.max_pods) == (vcpu, gib * 1024 * MIB, pods)
    assert machine.allocatable_cpu == pytest.approx(milli / 1000)
    assert machine.allocatable_memory == mib * MIB
    assert machine.usd_per_hour == usd


def test_the_whole_catalogue_follows_the_published_rules() -> None:
    """A virtual machine loses 7.5 % of its memory (ARM: 64 MiB first), EKS reserves by cores and by pods."""
    names = instance_types()
    assert len(names) > 1300
    for name in names:
        machine = instance_type(name)
        sold = machine.memory_bytes / MIB
        assert machine.capacity_memory / MIB in (math.floor(sold * 0.925), math.floor((sold - 64) * 0.925))
        left = machine.vcpu - eks_reserved_cpu(machine.vcpu)
        assert machine.allocatable_cpu == pytest.approx(left, abs=0.0101)  # published in tens of milli-cores


def test_the_catalogue_is_listed_by_price() -> None:
    prices = [instance_type(name).usd_per_hour for name in instance_types()]
    assert None not in prices
    assert prices == sorted(prices)  # type: ignore[type-var]


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean .*t3\.medium"):
        instance_type("t3.mediun")


def test_amazon_s_reservations_leave_what_amazon_publishes() -> None:
    t3 = pool(instanceType="t3.medium")
    assert t3.allocatable_memory == 3246 * MIB
    assert t3.capacity_memory == 3788 * MIB
    assert t3.kubepods_memory_cap == t3.allocatable_memory + 100 * MIB
    assert t3.allocatable_cpu == pytest.approx(1.93)
    assert (t3.max_pods, t3.price_per_hour, t3.initial) == (17, 0.0416, 2)


def test_nothing_reserved_leaves_pods_the_whole_node_but_the_eviction_threshold() -> None:
    whole = pool(instanceType="t3.medium", reserved="none")
    assert whole.kubepods_memory_cap == whole.capacity_memory == 3788 * MIB
    assert whole.allocatable_memory == 3688 * MIB
    assert (whole.allocatable_cpu, whole.max_pods) == (2.0, 110)


def test_own_reservations_and_thresholds_count() -> None:
    own = pool(reserved={"cpu": "200m", "memory": "512Mi"}, evictionHard="250Mi", maxPods=30, pricePerHour=1)
    assert own.kubepods_memory_cap == own.capacity_memory - 512 * MIB
    assert own.allocatable_memory == own.kubepods_memory_cap - 250 * MIB
    assert own.allocatable_cpu == pytest.approx(1.8)
    assert (own.max_pods, own.price_per_hour) == (30, 1.0)
    assert pool(evictionHard="250Mi").allocatable_memory == (3246 - 150) * MIB


def test_daemon_sets_leave_less() -> None:
    busy = pool(daemonSetCpu="230m", daemonSetMemory="246Mi")
    assert (busy.free_cpu, busy.free_memory) == (pytest.approx(1.7), 3000 * MIB)
    assert busy.allocatable_memory == 3246 * MIB


def test_machines_of_other_clouds_are_described() -> None:
    machine = {"vcpu": 4, "memory": "16Gi", "pricePerHour": 0.19}
    other = pool(instanceType=machine, reserved={"memory": "1Gi"})
    assert (other.capacity_cpu, other.capacity_memory) == (4.0, 16 * 1024 * MIB)
    assert other.allocatable_memory == (15 * 1024 - 100) * MIB
    assert (other.price_per_hour, other.max_pods) == (0.19, 110)


def test_reserving_everything_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is left for pods"):
        pool(reserved={"memory": "8Gi"})


def test_two_pools_of_one_name_are_refused() -> None:
    data = fleet_data()
    data["platform"]["nodePools"] *= 2
    with pytest.raises(InputError, match="two pools nodes"):
        fleet_from_data(data)


def test_a_pod_too_large_for_every_node_stays_pending() -> None:
    large = deployment()
    container = large["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "500m", "memory": "4Gi"}}
    (warning,) = fleet_from_data(fleet_data(large)).warnings
    assert "stay Pending" in warning.text
    container["resources"]["requests"]["memory"] = "3246Mi"
    assert fleet_from_data(fleet_data(large)).warnings == ()
