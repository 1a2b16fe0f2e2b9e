"""Requests simulated per second on one core, beside simpy on the same three queueing models.

M/M/5/25; a hundred single servers, one picked at random for each request; and twenty stations of five servers
where each arrival makes three visits, each to a station picked at random. Exponential service of 1 ms, Poisson
arrivals at 80 % of capacity (87 % on the twenty stations). A request is one visit, on both sides.

Ours is a whole run of the twin on a fleet: one pod a station behind a Service, time-outs, histograms by second,
control loops and checks of invariants included; reading the fleet and compiling are not. simpy's is a process
a request with `Resource` and `timeout`, as its documentation writes a queue, and two sums for the mean; building
the model is not counted either. Both draw their own random numbers. Both means are compared with each other, so
that neither can win by computing something else.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simpy

from seawall.fleet.reader import fleet_from_data
from seawall.twin.world import World

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from figures import Figure, figure, in_turns, options, show
from theory.fleets import queue_data

SERVICE_RATE = 1000.0
MANY = 100_000
LEAST_RATIO_OF_MEANS, MOST_RATIO_OF_MEANS = 0.9, 1.1


@dataclass(frozen=True, slots=True)
class Model:
    """Stations of servers with `backlog` places to wait each; `rate` arrivals/s of `visits` requests."""

    name: str
    stations: int
    servers: int
    backlog: int
    rate: float
    visits: int


MODELS = (
    Model("M/M/5/25", 1, 5, 20, 4000.0, 1),
    Model("100 single servers", 100, 1, MANY, 80_000.0, 1),
    Model("20 x 5 servers, 3 visits", 20, 5, MANY, 29_000.0, 3),
)


def ours(model: Model, requests: int) -> tuple[float, float]:
    """Simulate so many requests in the twin: (requests/s of computing, mean response in seconds)."""
    seconds = max(1, round(requests / model.visits / model.rate))
    traffic: dict[str, Any] = {
        "clients": {"keepAlive": False},
        "arrivals": {"rate": f"{model.rate:g}/s for {seconds}s", "visits": model.visits},
    }
    data = queue_data(
        traffic,
        workers=model.servers,
        pods=model.stations,
        # listen(n) holds n + 1 connections.
        backlog=model.backlog - 1,
        wait={"exponential": f"{1 / SERVICE_RATE}s"},
    )
    data["platform"]["balancer"] = {"kind": "kube-proxy"}
    world = World(fleet_from_data(data), seed=1)
    begin = time.perf_counter()
    world.run()
    took = time.perf_counter() - begin
    row = world.kernel.state.row
    return int(row["sent"]) / took, float(world.kernel.state["bins"]["latency_s"].sum()) / int(
        row["answered"]
    )


def theirs(model: Model, requests: int) -> tuple[float, float]:
    """Simulate so many requests in simpy: (requests/s of computing, mean response in seconds)."""
    env = simpy.Environment()
    stations = [simpy.Resource(env, model.servers) for _ in range(model.stations)]
    draw = random.Random(1)
    expovariate, pick = draw.expovariate, draw.choice
    answered, latency = 0, 0.0

    def visit() -> Generator[Any, Any, None]:
        nonlocal answered, latency
        for _ in range(model.visits):
            station = stations[0] if model.stations == 1 else pick(stations)
            if len(station.queue) >= model.backlog:
                continue
            begin = env.now
            with station.request() as server:
                yield server
                yield env.timeout(expovariate(SERVICE_RATE))
            answered += 1
            latency += env.now - begin

    def arrive() -> Generator[Any, Any, None]:
        for _ in range(requests // model.visits):
            yield env.timeout(expovariate(model.rate))
            env.process(visit())

    env.process(arrive())
    begin = time.perf_counter()
    env.run()
    took = time.perf_counter() - begin
    return requests // model.visits * model.visits / took, latency / answered


def rate_of(run: Callable[[Model, int], tuple[float, float]], model: Model, requests: int) -> float:
    """The rate alone; keeps the last mean for comparison."""
    rate, _LAST_MEAN[run.__name__] = run(model, requests)
    return rate


_LAST_MEAN: dict[str, float] = {}


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """Each model, ours and simpy's in turns."""
    many, fewer = (20_000, 6_000) if smoke else (3_000_000, 150_000)
    for model in MODELS:
        fast, slow = in_turns(
            lambda model=model: rate_of(ours, model, many),  # type: ignore[misc]
            lambda model=model: rate_of(theirs, model, fewer),  # type: ignore[misc]
            runs,
        )
        ratio = _LAST_MEAN["ours"] / _LAST_MEAN["theirs"]
        if not smoke and not LEAST_RATIO_OF_MEANS < ratio < MOST_RATIO_OF_MEANS:
            sys.exit(f"{model.name}: mean responses differ by a factor of {ratio:.3f}")
        yield figure(f"{model.name}, beside simpy {simpy.__version__}", fast, slow, "requests/s")


if __name__ == "__main__":
    given = options(__doc__ or "")
    show(measure(given.runs, given.smoke), given.json)
