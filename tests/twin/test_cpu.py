"""CPU: a quota is not a rate, a full node is shared by requests, a process never runs on two cores."""

from __future__ import annotations

import pytest

from seawall.twin.world import World

from .small import deployment, fleet, rate, record, request, workers


def cpu(work: str) -> dict[str, object]:
    return request(cpu=work, wait="0s")


def test_short_work_within_a_quota_runs_at_full_speed() -> None:
    """40 ms under a limit of half a core: 40 ms, where half a rate would take 80."""
    r = record(fleet(rate("1/s for 20s"), cpu("40ms"), manifests=[deployment(cpu_limit="500m")]))
    assert r.latency_sum_s.sum() == pytest.approx(20 * 0.040)


def test_long_work_sleeps_when_its_quota_is_spent() -> None:
    """200 ms under 50 ms a period: four parts; 300 to 350 ms by where in a period it begins."""
    r = record(fleet(rate("0.7/s for 30s"), cpu("200ms"), manifests=[deployment(cpu_limit="500m")]))
    mean = r.latency_sum_s.sum() / r.totals["answered"]
    assert 0.300 <= mean <= 0.350


def test_a_container_never_uses_more_than_its_quota() -> None:
    r = record(fleet(rate("50/s for 20s"), cpu("100ms"), manifests=[deployment(cpu_limit="500m")]))
    assert r.series["cpu_cores"][2:18].tolist() == pytest.approx([0.5] * 16, abs=0.051)


def test_a_request_runs_on_one_core_at_most() -> None:
    r = record(fleet(rate("1/s for 1s"), cpu("2s")))
    assert r.latency_sum_s.sum() == pytest.approx(2.0)


def test_more_processes_than_cores_share_them() -> None:
    """Eight of 1 s at once on four cores: 2 s each."""
    r = record(fleet(rate("8000/s for 1ms"), workers(8), cpu("1s")))
    assert r.latency_sum_s.sum() == pytest.approx(8 * 2.0, rel=0.001)
    assert r.series["cpu_cores"][0] == pytest.approx(4.0, rel=0.001)


@pytest.mark.parametrize(("weight", "first"), [(1.0, 2.0), (3.0, 3.0)])
def test_pods_on_a_full_node_share_it_by_their_requests(weight: float, first: float) -> None:
    """Two pods of four busy processes on four cores: as 1 to 1, or as 3 to 1."""
    world = World(
        fleet(rate("0/s for 30s, 0/s -> 800/s at once, hold 10ms"), cpu("50s"), manifests=[deployment(2)]), 0
    )

    def weigh(share: float) -> None:
        world.kernel.state["pods"]["share"][world.objects.pods[0].slot] = weight * 0.1

    world.run(weigh)
    used = [world.kernel.state["pods"]["used"][p.slot] for p in world.objects.pods.values()]
    seconds = world.kernel.now - 30.0
    assert sum(used) == pytest.approx(4 * seconds, rel=0.01)
    assert used[0] / seconds == pytest.approx(first, rel=0.05)
