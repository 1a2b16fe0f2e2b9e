"""The twin against simpy, on a model that has no closed form: two implementations, one answer."""

from __future__ import annotations

import math
import random
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from seawall.twin.simulate import simulate
from theory.estimates import Estimate, lost_share, mean_response, ratio
from theory.fleets import poisson, queue

PODS, WORKERS, BACKLOG = 3, 4, 9
MEAN, CV, RATE = 0.010, 1.5, 1140.0


def in_simpy(requests: int, seed: int) -> tuple[Estimate, Estimate]:
    """Round robin over pods of several workers with bounded queues: (mean response, lost share)."""
    draw = random.Random(seed)
    sigma = math.sqrt(math.log1p(CV * CV))
    mu = math.log(MEAN) - sigma * sigma / 2
    env = simpy.Environment()
    pods = [simpy.Resource(env, WORKERS) for _ in range(PODS)]
    response: list[float] = []

    def serve(pod: simpy.Resource, n: int) -> Generator[Any, Any, None]:
        begin = env.now
        with pod.request() as worker:
            yield worker
            yield env.timeout(draw.lognormvariate(mu, sigma))
        response[n] = env.now - begin

    def arrive() -> Generator[Any, Any, None]:
        for n in range(requests):
            yield env.timeout(draw.expovariate(RATE))
            pod = pods[n % PODS]
            response.append(math.nan)
            if len(pod.queue) < BACKLOG + 1:
                env.process(serve(pod, n))

    env.process(arrive())
    env.run()
    batch = np.array(response[requests // 20 :][: requests // 20 * 19]).reshape(19, -1)
    lost = np.isnan(batch)
    sums, answered = np.nansum(batch, axis=1), (~lost).sum(axis=1).astype(float)
    return ratio(sums, answered), ratio(lost.sum(axis=1).astype(float), np.full(19, float(batch.shape[1])))


def test_round_robin_over_bounded_queues() -> None:
    wait = {"lognormal": {"mean": "10ms", "cv": CV}}
    fleet = queue(poisson(RATE, 2000), workers=WORKERS, backlog=BACKLOG, wait=wait, pods=PODS)
    record = simulate(fleet, seed=6)
    theirs = in_simpy(240_000, seed=11)
    for what, a, b in zip(
        ("mean response", "lost"), (mean_response(record), lost_share(record)), theirs, strict=True
    ):
        error = math.hypot(a.error, b.error)
        print(f"{what}: twin {a.value:.6g} +- {a.error:.2g}, simpy {b.value:.6g} +- {b.error:.2g}")
        assert abs(a.value - b.value) <= 3 * error
        assert error <= 0.05 * b.value
