"""The passporter story: what its team saw comes out of one set of assumptions, changed only as the team did."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from seawall.fleet import stories
from seawall.fleet.reader import Fleet, complete, variants
from seawall.record.record import Record
from seawall.record.verdict import Verdict, verdict
from seawall.twin.simulate import simulate

SEEDS = (0, 1)


def fleet(variant: str) -> Fleet:
    return complete(stories.load("passporter"), variant)


@cache
def run(variant: str, seed: int) -> tuple[Record, Verdict]:
    record = simulate(fleet(variant), seed)
    return record, verdict(record)


def in_wave(record: Record, *columns: str) -> float:
    assert record.wave is not None
    start, end = record.wave
    t = record.series["t"]
    inside = (t >= start) & (t < end)
    return float(sum(record.series[name][inside].sum() for name in columns))


def test_the_variants_differ_only_in_what_the_team_changed() -> None:
    source = stories.load("passporter")
    assert variants(source) == ["default", "memory-limit", "tuned"]
    patches = source.data["variants"]
    assert patches["default"] == {}
    assert set(patches["memory-limit"]) == {"manifests"}
    assert set(patches["tuned"]) == {"service", "platform", "manifests"}
    assert set(patches["tuned"]["service"]) == {"server"}
    assert patches["tuned"]["platform"] == {"nodePools": [{"name": "nodes", "instanceType": "t3.medium"}]}
    for variant in variants(source):
        assert complete(source, variant).file.traffic == fleet("default").file.traffic
        assert complete(source, variant).file.service.memory == fleet("default").file.service.memory


@pytest.mark.parametrize("seed", SEEDS)
def test_default_falls_by_a_domino(seed: int) -> None:
    record, result = run("default", seed)
    assert result.stands is False
    stalls = [event for event in record.events if event.kind == "node-stall"]
    assert len({event.object for event in stalls}) >= 2
    assert record.series["nodes_ready"].min() == 0
    # A node that joins later is taken by what is left of the load, too.
    first = {event.object for event in stalls if event.t < 60.0}
    assert {event.object for event in stalls} - first
    assert result.first_cause is not None and result.first_cause.kind == "node-stall"
    assert record.series["pod_memory_max_mib"].max() > 1200.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_memory_limit_keeps_the_nodes_and_loses_requests(seed: int) -> None:
    record, result = run("memory-limit", seed)
    assert result.stands is False
    assert record.series["nodes_stalled"].max() == 0
    assert not [event for event in record.events if event.kind == "node-not-ready"]
    assert record.totals["oom_kills"] > 100
    lost = in_wave(record, "failed", "timed_out", "refused") / in_wave(record, "sent")
    # One request of N: N of the order of 10 in the wave, between 3 and 30.
    assert 1 / 30 <= lost <= 1 / 3


@pytest.mark.parametrize("seed", SEEDS)
def test_five_workers_take_the_wave(seed: int) -> None:
    record, result = run("tuned", seed)
    assert result.stands is True
    assert result.served_share >= 0.999
    memory = record.series["pod_memory_max_mib"]
    assert memory.max() <= 500.0
    assert record.totals["oom_kills"] == 0
    users = record.series["users"]
    assert users.max() == 1000 and np.argmax(users == 1000) <= 60


def test_two_machines_serve_what_the_team_measured() -> None:
    record, _ = run("tuned", 0)
    t, nodes = record.series["t"], record.series["nodes"]
    full = (t >= 60) & (nodes == 2)
    assert 45 <= record.series["answered_at"][full].mean() <= 75


def test_tuned_machines_cost_half() -> None:
    big, small = fleet("default").pools[0], fleet("tuned").pools[0]
    assert small.price_per_hour == pytest.approx(big.price_per_hour / 2)
