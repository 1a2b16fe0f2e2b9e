"""Fleets that are textbook queues: everything that a queue does not have is off."""

from __future__ import annotations

from typing import Any

from seawall.fleet.reader import Fleet, fleet_from_data

FOREVER = "1000000s"


def deployment(replicas: int = 1, cpu_limit: str | None = None) -> dict[str, Any]:
    """A Deployment of one container, without probes."""
    resources: dict[str, Any] = {"requests": {"cpu": "1m", "memory": "1Mi"}}
    if cpu_limit is not None:
        resources["limits"] = {"cpu": cpu_limit}
    labels = {"app": "web"}
    container = {"name": "web", "image": "web", "resources": resources}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def queue_data(
    traffic: dict[str, Any],
    *,
    workers: int,
    backlog: int = 10_000,
    cpu: Any = 0,
    wait: Any = 0,
    pods: int = 1,
    balance: str = "roundrobin",
    cores: float = 64,
    cpu_limit: str | None = None,
) -> dict[str, Any]:
    """Fleet data: `pods` pods of `workers` gunicorn workers each, `backlog` + 1 places in each accept queue.

    `cpu` and `wait` are distributions as a fleet file writes them; `cores` the node's. No work but the requests',
    no memory, no probes, no scaling, time-outs that never pass; a full accept queue refuses, and the proxy does
    not try again, so that what finds it full counts as failed.
    """
    clients = {"timeout": "20s", **traffic.pop("clients", {})}
    return {
        "name": "queue",
        "service": {
            "server": {"kind": "gunicorn-sync", "workers": workers, "backlog": backlog, "timeout": 0},
            "requests": {"any": {"cpu": cpu, "wait": wait, "memory": 0}},
            "memory": {"base": 0, "worker": 0, "application": 0, "growth": 0},
            "start": {"cpu": 0, "wait": 0, "applicationCpu": 0, "workerCpu": 0},
            "kernel": {"net.core.somaxconn": 100_000, "net.ipv4.tcp_abort_on_overflow": True},
        },
        "platform": {
            "manifests": [deployment(pods, cpu_limit)],
            "nodePools": [
                {
                    "name": "nodes",
                    "instanceType": {"vcpu": cores, "memory": "1Ti", "pricePerHour": 0},
                    "reserved": "none",
                    "systemCpu": 0,
                    "systemMemory": 0,
                    "maxPods": 1000,
                }
            ],
            "balancer": {
                "kind": "haproxy",
                "balance": balance,
                "retries": 0,
                "timeout connect": FOREVER,
                "timeout server": FOREVER,
            },
            "clusterAutoscaler": {"enabled": False},
        },
        "traffic": {"clients": clients, **traffic},
    }


def queue(traffic: dict[str, Any], **options: Any) -> Fleet:
    """The fleet of `queue_data`."""
    return fleet_from_data(queue_data(traffic, **options))


def poisson(rate: float, seconds: int) -> dict[str, Any]:
    """Poisson arrivals at `rate` requests/s."""
    return {"arrivals": {"rate": f"{rate:g}/s for {seconds}s"}}
