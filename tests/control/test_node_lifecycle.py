"""Nodes that fall silent: NotReady after the grace period, pods given up later, none if all are silent."""

from __future__ import annotations

import math

import pytest

from seawall.control.decisions import CreatePods, DeletePod, SetEndpoints, SetNodeReady
from seawall.control.node_lifecycle import Zone, zone_state

from .toy_world import World, config, pool


def world(nodes: int, pods: int, **other: object) -> World:
    return World(config(pool(max=nodes), **other)).with_nodes(nodes).with_pods(pods)


def downs(one: World) -> list[tuple[float, int]]:
    return [(when, d.node) for when, d in one.of(SetNodeReady) if not d.ready]


def test_not_ready_at_the_first_pass_after_the_grace_period():
    one = world(3, 6).run(11.0)
    one.kill(0)
    one.run(120.0)
    # The lease of t = 10 was seen at the pass of t = 10; 50 s later the pass of t = 60 gives the node up.
    assert downs(one) == [(60.0, 0)]


def test_the_older_grace_period():
    one = world(3, 6, node_monitor_grace_period=40.0).run(11.0)
    one.kill(0)
    assert downs(one.run(120.0)) == [(50.0, 0)]


def test_traffic_leaves_with_the_ready_condition():
    one = world(3, 6).run(11.0)
    one.kill(0)
    one.run(120.0)
    lost = {pod.id for pod in one.pods.values() if pod.node == 0}
    [(when, published)] = one.of(SetEndpoints)
    assert when == 61.0 and len(lost) == 2
    assert lost.isdisjoint(published.pods) and len(published.pods) == 4


def test_pods_are_replaced_after_the_toleration():
    one = world(3, 6).run(11.0)
    one.kill(0)
    one.run(500.0)
    # Tainted at the pass after the one that gave it up: t = 65. 300 s on its pods go.
    assert {when for when, _ in one.of(DeletePod)} == {365.0}
    assert [(when, d.count) for when, d in one.of(CreatePods)] == [(365.0, 2)]
    assert sum(pod.ready for pod in one.pods.values()) == 6
    assert all(pod.deleting for pod in one.pods.values() if pod.node == 0)


def test_a_node_that_comes_back_keeps_its_pods():
    one = world(3, 6).run(11.0)
    one.kill(0)
    one.run(101.0)
    one.revive(0)
    one.run(500.0)
    assert [(when, d.ready) for when, d in one.of(SetNodeReady)] == [(60.0, False), (105.0, True)]
    assert one.of(DeletePod) == [] and len(one.endpoints) == 6


def test_a_short_silence_is_not_noticed():
    one = world(3, 6).run(11.0)
    one.kill(0)
    one.run(45.0)
    one.revive(0)
    assert downs(one.run(200.0)) == []


def test_with_all_nodes_down_nobody_is_evicted():
    one = world(3, 6).run(11.0)
    for node in (0, 1, 2):
        one.kill(node)
    one.run(1000.0)
    assert len(downs(one)) == 3
    assert one.of(DeletePod) == [] and one.endpoints == ()
    assert one.state.nodes.zone is Zone.FULL


def test_after_a_blackout_evictions_start_anew():
    one = world(3, 6).run(11.0)
    for node in (0, 1, 2):
        one.kill(node)
    one.run(401.0)
    one.revive(1)
    one.run(704.0)
    assert one.of(DeletePod) == []
    one.run(800.0)
    # Node 1 is back at the pass of t = 405. The limiter starts empty: taints at 415 and 425.
    gone = [(when, one.pods[d.pod].node) for when, d in one.of(DeletePod)]
    assert gone == [(715.0, 0), (715.0, 0), (725.0, 2), (725.0, 2)]


def test_one_taint_in_ten_seconds():
    one = world(6, 6).run(11.0)
    one.kill(0)
    one.kill(1)
    one.run(500.0)
    assert sorted({when for when, _ in one.of(DeletePod)}) == pytest.approx([365.0, 375.0])


def test_a_small_zone_that_is_mostly_down_evicts_nobody():
    one = world(5, 5).run(11.0)
    for node in (0, 1, 2):
        one.kill(node)
    one.run(1000.0)
    assert one.state.nodes.zone is Zone.PARTIAL
    assert one.of(DeletePod) == []


@pytest.mark.parametrize(
    ("ready", "nodes", "zone"),
    [
        (3, 3, Zone.NORMAL),
        (1, 3, Zone.NORMAL),
        (0, 3, Zone.FULL),
        (2, 5, Zone.PARTIAL),
        (5, 11, Zone.NORMAL),
        (45, 100, Zone.PARTIAL),
        (46, 100, Zone.NORMAL),
        (0, 0, Zone.NORMAL),
    ],
)
def test_zone_states(ready: int, nodes: int, zone: Zone):
    assert zone_state(ready, nodes) is zone


def test_nothing_is_due_but_the_monitor():
    one = world(3, 6).run(60.0)
    assert one.state.nodes.timers == math.inf
    assert one.state.nodes.due == 65.0
