"""Random small fleets over many settings at once, each drawn from a seed."""

from __future__ import annotations

import random
from typing import Any

from seawall.fleet.reader import Fleet

from .small import deployment, fleet, hpa

_PROBES = (
    None,
    {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "timeoutSeconds": 1, "failureThreshold": 2},
    {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 1},
    {"tcpSocket": {"port": 80}, "periodSeconds": 2, "successThreshold": 1},
)


def random_fleet(seed: int) -> Fleet:
    """A fleet that a wave treats badly in one way or another."""
    d = random.Random(seed)
    replicas = d.choice([1, 2, 4])
    scaled = d.random() < 0.5
    limit = d.choice([None, None, "150Mi", "200Mi", "300Mi"])
    manifests = [
        deployment(
            replicas,
            cpu=d.choice(["100m", "500m", "1"]),
            cpu_limit=d.choice([None, None, "1", "1500m"]),
            memory=d.choice([None, "100Mi"]),
            memory_limit=limit,
            probe=d.choice(_PROBES),
            grace=d.choice([0, 1, 30]),
        )
    ]
    if scaled:
        manifests.append(hpa(replicas, d.choice([4, 8]), d.choice([20, 50, 80])))
    changes = [_service(d), _platform(d), _traffic(d)]
    return fleet(*changes, manifests=manifests)


def _service(d: random.Random) -> dict[str, Any]:
    if d.random() < 0.6:
        low = d.choice([1, 2, 5])
        server: dict[str, Any] = {
            "kind": "apache-prefork",
            "StartServers": d.choice([1, 2, 5]),
            "MinSpareServers": low,
            "MaxSpareServers": low + d.choice([1, 5]),
            "MaxRequestWorkers": d.choice([1, 3, 10, 40]),
            "MaxConnectionsPerChild": d.choice([0, 0, 1, 20]),
            "ListenBacklog": d.choice([1, 3, 511]),
            "KeepAlive": d.choice([True, False]),
            "KeepAliveTimeout": d.choice(["1s", "5s"]),
            "MaxKeepAliveRequests": d.choice([0, 2, 100]),
            "modWsgi": d.choice(["embedded", {"processes": 2, "threads": 2}]),
        }
    else:
        for name in ("StartServers", "MinSpareServers", "MaxSpareServers", "MaxRequestWorkers"):
            server = {name: None} if name == "StartServers" else {**server, name: None}
        server |= {
            "kind": "gunicorn-sync",
            "workers": d.choice([1, 3, 8]),
            "backlog": d.choice([1, 4, 2048]),
            "timeout": d.choice(["0s", "1s", "30s"]),
            "max_requests": d.choice([0, 0, 1, 10]),
            "preload_app": d.choice([True, False]),
        }
    return {
        "service": {
            "server": server,
            "requests": {
                "page": {
                    "share": 3,
                    "cpu": d.choice(
                        ["0s", {"exponential": "20ms"}, {"lognormal": {"mean": "30ms", "cv": 1}}]
                    ),
                    "wait": d.choice(["0s", "50ms", {"exponential": "200ms"}]),
                    "memory": d.choice([0, "5Mi", {"exponential": "10Mi"}]),
                },
                "slow": {
                    "share": d.choice([0.1, 1]),
                    "cpu": "10ms",
                    "wait": d.choice(["1s", "4s"]),
                    "memory": "20Mi",
                },
            },
            "memory": {
                "base": "40Mi",
                "worker": "5Mi",
                "application": "30Mi",
                "growth": d.choice([0, "10Mi"]),
                "growthRequests": 5,
                "leakPerRequest": d.choice([0, 0, "100Ki", "2Mi"]),
            },
            "start": {
                "cpu": d.choice(["0s", "500ms"]),
                "wait": d.choice(["0s", "1s"]),
                "applicationCpu": d.choice(["0s", "100ms"]),
                "workerCpu": d.choice(["0s", "5ms"]),
            },
            "kernel": {
                "linux": d.choice(["4.19", "6.8"]),
                "net.ipv4.tcp_abort_on_overflow": d.choice([False, False, True]),
                "net.ipv4.tcp_syn_retries": d.choice([1, 6]),
                "oomKill": d.choice(["container", "process"]),
            },
        }
    }


def _platform(d: random.Random) -> dict[str, Any]:
    memory = d.choice(["600Mi", "900Mi", "2Gi", "8Gi"])
    pool = {
        "name": "n",
        "instanceType": {"vcpu": d.choice([1, 2, 4]), "memory": memory, "pricePerHour": 1},
        "min": d.choice([1, 2]),
        "max": d.choice([2, 4]),
        "reserved": d.choice(["none", {"memory": "200Mi"}]),
        "bootTime": "20s",
        "whenMemoryRunsOut": {"stall": d.choice(["5s", "70s"])},
    }
    balancer: dict[str, Any] = {"kind": "kube-proxy"}
    if d.random() < 0.7:
        balancer = {
            "kind": "haproxy",
            "balance": d.choice(["roundrobin", "leastconn", "random"]),
            "maxconn": d.choice([0, 1, 4, 20]),
            "maxqueue": d.choice([0, 0, 3]),
            "timeout queue": d.choice(["500ms", "5s"]),
            "timeout connect": d.choice(["200ms", "3s"]),
            "timeout server": d.choice(["1s", "50s"]),
            "retries": d.choice([0, 1, 3]),
            "redispatch": d.choice([True, False]),
            "http-reuse": d.choice([True, False]),
        }
    return {
        "platform": {
            "nodePools": [pool],
            "balancer": balancer,
            "imagePull": "5s",
            "clusterAutoscaler": {
                "enabled": d.random() < 0.5,
                "scaleDownUnneededTime": "20s",
                "scaleDownDelayAfterAdd": "20s",
            },
            "hpa": {"downscaleStabilization": "15s"},
        }
    }


def _traffic(d: random.Random) -> dict[str, Any]:
    n = d.choice([1, 1, 3, 10])
    traffic: dict[str, Any] = {
        "clients": {
            "timeout": d.choice(["700ms", "3s", "10s"]),
            "keepAlive": d.choice([True, False]),
            "slowReaders": d.choice([0, 0.1]),
            "slowReadTime": "2s",
            "roundTrip": d.choice(["0s", "500us", "50ms"]),
            "retries": {
                "max": d.choice([0, 0, 1, 3]),
                "backoff": d.choice(["immediate", "exponential"]),
                "budget": d.choice([0.1, 1.0]),
            },
        }
    }
    kind = d.choice(["users", "arrivals", "both"])
    if kind != "arrivals":
        loop = d.choice([{"pace": "1s"}, {"pace": "3s"}, {"think": {"exponential": "1s"}}])
        traffic["users"] = {
            "count": d.choice(
                [f"{n} -> {15 * n} in 10s, hold 40s, {15 * n} -> 1 in 5s, hold 40s", f"{6 * n} for 90s"]
            ),
            "startBurst": {"calls": d.choice([1, 4])},
            "giveUpAfter": d.choice([0, 0, 3]),
            **loop,
        }
    if kind != "users":
        traffic["arrivals"] = {
            "rate": d.choice(
                [
                    f"{n}/s -> {8 * n}/s in 10s, hold 30s, {8 * n}/s -> 1/s in 5s, hold 50s",
                    f"{3 * n}/s for 80s",
                ]
            ),
            "visits": d.choice([1, 1, 3]),
        }
    return {"traffic": traffic}
