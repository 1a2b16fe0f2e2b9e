"""metrics-server: two points or nothing, and how old they are."""

from __future__ import annotations

import math

import pytest

from seawall.control import metrics
from seawall.control.metrics import MetricsState

from .toy_world import MIB, Phase, Pod, World, config

RESOLUTION = 15.0


class Bench:
    """One node with running pods, scraped by hand."""

    def __init__(self, pods: int = 1, started: float = -1000.0) -> None:
        self.world = World(config()).with_nodes(1)
        for _ in range(pods):
            self.add(started)
        self.state: MetricsState = metrics.initial(0.0)

    def add(self, started: float, node: int = 0) -> Pod:
        pod = Pod(self.world._next_id(), started, node, Phase.RUNNING, container=started, cpu_seconds=0.001)
        self.world.pods[pod.id] = pod
        return pod

    def at(self, now: float, *cpu_seconds: float) -> MetricsState:
        """A step at `now`, the pods' CPU counters as given."""
        self.world.now = now
        for pod, seconds in zip(self.world.pods.values(), cpu_seconds, strict=False):
            pod.cpu_seconds = seconds
        self.state = metrics.scrape(self.state, self.world.view(), RESOLUTION)
        return self.state


def test_nothing_is_served_before_two_scrapes():
    bench = Bench()
    assert len(bench.at(0.0, 5.0).served) == 0
    served = bench.at(15.0, 8.0).served
    assert served.id.tolist() == [1]
    assert served.cpu_milli.tolist() == [200]
    assert served.window_s.tolist() == [15.0]
    assert served.timestamp_s.tolist() == [15.0]
    assert served.memory_bytes.tolist() == [int(100 * MIB)]


def test_cpu_is_the_mean_over_the_window_rounded_up_to_a_millicore():
    bench = Bench()
    bench.at(0.0, 1.0)
    assert bench.at(15.0, 1.0 + 15 * 0.1230001).served.cpu_milli.tolist() == [124]


def test_scrapes_keep_their_phase():
    bench = Bench()
    bench.at(0.0, 1.0)
    bench.at(15.2, 2.0)
    assert bench.state.due == 30.0
    assert bench.state.served.window_s.tolist() == pytest.approx([15.2])


def test_a_young_container_is_held_against_its_start():
    bench = Bench(started=3.0)
    served = bench.at(15.0, 6.0).served
    assert served.window_s.tolist() == [12.0]
    assert served.cpu_milli.tolist() == [500]


@pytest.mark.parametrize("started", [6.0, 14.0, -1.0])
def test_but_not_below_ten_seconds_nor_beyond_the_resolution(started: float):
    bench = Bench(started=started)
    bench.at(15.0, 6.0)
    assert len(bench.state.served) == (1 if 10.0 <= 15.0 - started < 15.0 else 0)


def test_the_start_goes_before_an_earlier_point():
    bench = Bench(started=2.0)

    def read(now: float, cpu_seconds: float) -> metrics.Points:
        bench.world.now = now
        next(iter(bench.world.pods.values())).cpu_seconds = cpu_seconds
        return metrics.readings(bench.world.view())

    state = metrics.store(bench.state, read(10.0, 1.0), RESOLUTION)
    assert len(state.served) == 0
    state = metrics.store(state, read(15.0, 2.6), RESOLUTION)
    assert state.served.window_s.tolist() == [13.0]
    assert state.served.cpu_milli.tolist() == [200]


def test_a_restart_throws_the_older_point_away():
    bench = Bench()
    bench.at(0.0, 50.0)
    bench.at(15.0, 60.0)
    next(iter(bench.world.pods.values())).container = 25.0
    assert len(bench.at(30.0, 1.0).served) == 0
    served = bench.at(45.0, 4.0).served
    assert served.cpu_milli.tolist() == [200]


def test_a_container_that_does_not_run_has_no_point():
    bench = Bench()
    bench.at(0.0, 1.0)
    next(iter(bench.world.pods.values())).container = math.nan
    assert len(bench.at(15.0, 2.0).served) == 0


def test_a_reading_that_is_not_newer_keeps_the_window():
    bench = Bench()
    bench.at(0.0, 1.0)
    bench.at(15.0, 4.0)
    view = bench.world.view()
    view.pods.read_s[:] = 15.0
    bench.world.now = 30.0
    again = metrics.scrape(bench.state, type(view)(30.0, view.pods, view.nodes), RESOLUTION)
    assert again.served.cpu_milli.tolist() == [200]
    assert again.served.timestamp_s.tolist() == [15.0]


def test_one_hanging_kubelet_delays_everybody_by_ten_seconds_and_its_pods_are_dropped():
    bench = Bench(pods=1)
    bench.world.with_nodes(1)
    other = bench.add(-1000.0, node=max(bench.world.nodes))
    bench.at(0.0, 1.0, 1.0)
    bench.at(15.0, 4.0, 4.0)
    assert bench.state.served.id.tolist() == [1, other.id]
    bench.world.nodes[other.node].alive = False
    bench.at(30.0, 10.0, 10.0)
    assert bench.state.served.timestamp_s.tolist() == [15.0, 15.0]
    assert bench.state.next == 40.0
    bench.at(40.0, 14.0, 14.0)
    assert bench.state.served.id.tolist() == [1]
    assert bench.state.served.timestamp_s.tolist() == [30.0]
    assert bench.state.served.cpu_milli.tolist() == [400]
    assert bench.state.next == 45.0


def test_what_is_served_is_never_from_the_future():
    bench = Bench(pods=3)
    for tick in range(20):
        now = 7.5 * tick
        state = bench.at(now, now + 1, now + 2, now + 3)
        assert (state.served.timestamp_s <= now).all()
