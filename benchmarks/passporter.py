"""Requests simulated per second on one core with everything on, and memory as the number of requests grows.

A fleet like the passporter story's, grown: 40 to 60 pods of Apache prefork on eleven nodes and more, HAProxy with
least connections, keep-alive, CPU with a lognormal distribution under a CFS quota, waiting, memory that grows and
leaks, readiness probes, HPA, cluster autoscaler, client time-outs and retries; 24,000 users whose number rises by
half in a wave. The rival's column of the rate is the target (2 million requests/s): no simulator that we
know of does all this. Resident memory is that of a fresh process that carries out one run and ends; its rival is
the same run ten times longer, so that a ratio of 1 says that memory does not grow with the number of requests.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from figures import Figure, figure, options, show

from seawall.fleet.reader import Fleet, fleet_from_data
from seawall.twin.world import World

TARGET = 2e6
USERS, PACE_MS = 24_000, 500
LONGER = 10


def manifests() -> list[dict[str, Any]]:
    """Deployment with probe, requests and limits; HorizontalPodAutoscaler."""
    labels = {"app": "django"}
    container = {
        "name": "django",
        "image": "django",
        "resources": {
            "requests": {"cpu": "1", "memory": "700Mi"},
            "limits": {"cpu": "2", "memory": "1Gi"},
        },
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "timeoutSeconds": 2},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "django"},
        "spec": {
            "replicas": 40,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    target = {"type": "Utilization", "averageUtilization": 60}
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "django"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "django"},
            "minReplicas": 40,
            "maxReplicas": 60,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
    return [deployment, hpa]


def fleet(seconds: int) -> Fleet:
    """The fleet under `seconds` of load, the wave in its second quarter."""
    quarter = seconds // 4
    return fleet_from_data(
        {
            "name": "passporter-like",
            "service": {
                "server": {
                    "kind": "apache-prefork",
                    "StartServers": 15,
                    "MinSpareServers": 5,
                    "MaxSpareServers": 15,
                    "MaxRequestWorkers": 30,
                },
                "requests": {
                    "page": {
                        "share": 4,
                        "cpu": {"lognormal": {"mean": "0.5ms", "cv": 0.8}},
                        "wait": {"exponential": "6ms"},
                        "memory": {"lognormal": {"mean": "2Mi", "cv": 0.5}},
                    },
                    "search": {
                        "cpu": {"lognormal": {"mean": "1ms", "cv": 1.2}},
                        "wait": {"exponential": "10ms"},
                        "memory": "3Mi",
                    },
                },
                "memory": {
                    "base": "100Mi", "worker": "4Mi", "application": "9Mi", "growth": "3Mi",
                    "leakPerRequest": 0,
                },
                "start": {"cpu": "500ms", "wait": "1s", "applicationCpu": "100ms"},
            },
            "platform": {
                "manifests": manifests(),
                "nodePools": [
                    {
                        "name": "nodes",
                        "instanceType": "m5.xlarge",
                        "min": 11,
                        "max": 24,
                        "bootTime": "15s",
                        "reserved": "none",
                    }
                ],
                "balancer": {"kind": "haproxy", "balance": "leastconn"},
                "imagePull": "5s",
            },
            "traffic": {
                "clients": {"timeout": "10s", "retries": {"max": 1}},
                "users": {
                    "count": f"{USERS * 2 // 3} for {quarter}s, -> {USERS} in {quarter}s, hold {2 * quarter}s",
                    "pace": f"{PACE_MS}ms",
                },
            },
        }
    )  # fmt: skip


def run(seconds: int) -> tuple[int, float, World]:
    """Simulate so many seconds of load: (requests, seconds of computing, the world afterwards)."""
    world = World(fleet(seconds), seed=1)
    begin = time.perf_counter()
    world.run()
    took = time.perf_counter() - begin
    return int(world.kernel.state.row["sent"]), took, world


def resident_mib(seconds: int) -> tuple[float, int]:
    """The most memory that a fresh process needs for one run, and the run's number of requests."""
    command = [sys.executable, __file__, "--child", str(seconds)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]), int(out[1])


def child(seconds: int) -> None:
    """Print the peak of resident memory after one run, and its requests."""
    sent, _, _ = run(seconds)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, sent)


def measure(runs: int, smoke: bool) -> Iterator[Figure]:
    """The rate against the target, then memory for one and for ten times the requests."""
    short = 8 if smoke else 60
    run(8)
    rates = []
    for _ in range(runs):
        sent, took, _ = run(short)
        rates.append(sent / took)
    yield figure("everything on (rival: the target)", statistics.median(rates), TARGET, "requests/s")
    (ours, sent), (longer, many) = resident_mib(short), resident_mib(short * LONGER)
    name = f"resident, {sent / 1e6:.3g} M requests (rival: {many / 1e6:.3g} M)"
    yield figure(name, ours, longer, "MiB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]))
    else:
        given = options(__doc__ or "")
        show(measure(given.runs, given.smoke), given.json)
