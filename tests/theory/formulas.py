"""Closed forms of queueing theory, each worked out from its birth-death chain or stated with its source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stationary(births: NDArray[np.float64], deaths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stationary distribution of a birth-death chain: births[n] from n to n + 1, deaths[n] from n + 1 to n."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(births) - np.log(deaths))])
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def mmck(rate: float, mean: float, workers: int, places: int) -> tuple[float, float]:
    """M/M/c/K with K = `places` in all: (mean response in seconds of those let in, share that is lost)."""
    n = np.arange(places)
    p = stationary(np.full(places, rate), np.minimum(n + 1, workers) / mean)
    inside = float(p @ np.arange(places + 1))
    return inside / (rate * (1.0 - p[-1])), float(p[-1])


def mmc(rate: float, mean: float, workers: int) -> float:
    """M/M/c: mean response in seconds, by Erlang's C formula."""
    offered = rate * mean
    blocked = 1.0
    for n in range(1, workers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    load = offered / workers
    waits = blocked / (1.0 - load * (1.0 - blocked))
    return mean + waits * mean / (workers * (1.0 - load))


def processor_sharing(rate: float, mean: float) -> float:
    """M/G/1 processor sharing: mean response in seconds, whatever the distribution of the work."""
    return mean / (1.0 - rate * mean)


def machine_repair(users: int, think: float, mean: float, workers: int) -> tuple[float, float]:
    """Closed M/M/c with `users` who think: (requests/s, mean response in seconds)."""
    n = np.arange(users)
    p = stationary((users - n) / think, np.minimum(n + 1, workers) / mean)
    busy = np.minimum(np.arange(users + 1), workers)
    throughput = float(p @ busy) / mean
    return throughput, float(p @ np.arange(users + 1)) / throughput
