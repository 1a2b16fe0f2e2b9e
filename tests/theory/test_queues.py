"""The twin against M/M/c, M/M/c/K, M/G/1 processor sharing and the machine-repair model."""

from __future__ import annotations

from typing import Any

import pytest

from seawall.record.conservation import check_conservation
from seawall.twin.simulate import simulate
from theory import formulas
from theory.estimates import assert_agrees, lost_share, mean_response, throughput
from theory.fleets import poisson, queue

MEAN = 0.01
WAIT = {"exponential": "10ms"}


@pytest.mark.parametrize(("workers", "load"), [(1, 0.6), (5, 0.8), (20, 0.85)])
def test_mmc(workers: int, load: float) -> None:
    rate = load * workers / MEAN
    seconds = int(3_000_000 / rate)
    record = simulate(queue(poisson(rate, seconds), workers=workers, wait=WAIT), seed=1)
    assert record.totals["failed"] == 0
    response, theory = mean_response(record), formulas.mmc(rate, MEAN, workers)
    assert_agrees(f"M/M/{workers} at {load:.0%}, mean response", response, theory)
    if workers == 1:
        assert_agrees(f"M/M/1 at {load:.0%}, mean wait", response.minus(MEAN), theory - MEAN)
    assert check_conservation(record) == []


@pytest.mark.parametrize(("workers", "backlog", "load"), [(1, 3, 0.9), (3, 4, 1.0), (5, 19, 1.2)])
def test_mmck(workers: int, backlog: int, load: float) -> None:
    rate = load * workers / MEAN
    fleet = queue(poisson(rate, int(2_500_000 / rate)), workers=workers, backlog=backlog, wait=WAIT)
    record = simulate(fleet, seed=2)
    # listen(n) holds n + 1 connections.
    places = workers + backlog + 1
    theory, lost = formulas.mmck(rate, MEAN, workers, places)
    name, response = f"M/M/{workers}/{places} at {load:.0%}", mean_response(record)
    assert_agrees(f"{name}, mean response", response, theory)
    assert_agrees(f"{name}, mean wait", response.minus(MEAN), theory - MEAN)
    assert_agrees(f"{name}, lost", lost_share(record), lost, "")
    assert check_conservation(record) == []


@pytest.mark.parametrize(
    "work", ["1ms", {"exponential": "1ms"}, {"lognormal": {"mean": "1ms", "cv": 1.2}}], ids=str
)
def test_processor_sharing(work: Any) -> None:
    rate = 700.0
    record = simulate(queue(poisson(rate, 3000), workers=400, cpu=work, cores=1), seed=3)
    theory = formulas.processor_sharing(rate, 0.001)
    assert_agrees(f"M/G/1 processor sharing, work {work}, mean response", mean_response(record), theory)
    assert record.totals["failed"] == 0


@pytest.mark.parametrize(("users", "workers"), [(40, 4), (70, 4), (16, 1)])
def test_machine_repair(users: int, workers: int) -> None:
    traffic = {"users": {"count": f"{users} for 3500s", "think": {"exponential": "100ms"}, "jitter": 0}}
    record = simulate(queue(traffic, workers=workers, wait=WAIT), seed=8)
    rate, response = formulas.machine_repair(users, 0.1, MEAN, workers)
    name = f"{users} users who think, {workers} workers"
    assert_agrees(f"{name}, throughput", throughput(record), rate, "requests/s")
    assert_agrees(f"{name}, mean response", mean_response(record), response)
