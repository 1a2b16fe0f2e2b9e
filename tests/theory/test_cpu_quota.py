"""A CFS quota stops a container until its next period: every single response, worked out by hand."""

from __future__ import annotations

import numpy as np

from seawall.twin.simulate import simulate
from theory.fleets import queue

PERIOD, QUOTA = 0.1, 0.05


def finish(arrival: float, work: float, phase: float) -> float:
    """When CPU work that arrives on an idle container is done; periods begin at `phase` + n * 100 ms."""
    now, begin = arrival, phase + np.floor((arrival - phase) / PERIOD) * PERIOD
    while True:
        # A full quota a period, spent from where the work begins, and nothing once it is spent.
        runs = min(QUOTA, begin + PERIOD - now)
        if work <= runs:
            return now + work
        work -= runs
        begin += PERIOD
        now = begin


def test_a_quota_is_spent_period_by_period() -> None:
    rate, seconds, work = 0.93, 300, 0.120
    traffic = {"arrivals": {"rate": f"{rate}/s for {seconds}s", "process": "even"}}
    record = simulate(queue(traffic, workers=1, cpu="120ms", cpu_limit="500m"), seed=5)
    arrivals = (np.arange(int(rate * seconds + 0.5)) + 0.5) / rate
    bins = (arrivals / record.bin_seconds).astype(int)
    assert len(set(bins)) == len(bins) == record.totals["answered"]
    responses = record.latency_sum_s[bins]
    # The periods' phase is the one thing not known. A response between the shortest and the longest gives it:
    # work that arrives d into a period, d < 50 ms, ends 220 ms after the period's beginning.
    known = int(np.flatnonzero((responses > 0.18) & (responses < 0.21))[0])
    phase = arrivals[known] + responses[known] - 0.220
    expected = [finish(t, work, phase) - t for t in arrivals]
    np.testing.assert_allclose(responses, expected, rtol=0, atol=1e-9)
    print(f"{len(arrivals)} responses from {min(responses):.4f} to {max(responses):.4f} s, all exact")
    assert len({round(float(x), 4) for x in responses}) > 20
