"""Small fleets for the twin's tests: plain data with everything still but what a test moves."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from seawall.fleet.merge import merge
from seawall.fleet.reader import Fleet, complete, source_from_data
from seawall.fleet.yamlfile import Place
from seawall.record.record import Event, Record
from seawall.twin.simulate import make_record
from seawall.twin.world import World

MIB = 1024.0 * 1024.0

STILL: dict[str, Any] = {
    "name": "small",
    "service": {
        "server": {
            "kind": "apache-prefork",
            "StartServers": 4,
            "MinSpareServers": 1,
            "MaxSpareServers": 4,
            "MaxRequestWorkers": 4,
        },
        "requests": {"page": {"cpu": "0s", "wait": "100ms", "memory": 0}},
        "memory": {"base": "40Mi", "worker": "10Mi", "application": "50Mi", "growth": 0},
        "start": {"cpu": "0s", "wait": "0s", "applicationCpu": "0s", "workerCpu": "0s"},
        "probeCpu": "0s",
    },
    "platform": {
        "nodePools": [
            {
                "name": "n",
                "instanceType": {"vcpu": 4, "memory": "16Gi", "pricePerHour": 3.6},
                "min": 1,
                "max": 1,
                "reserved": "none",
                "systemMemory": "100Mi",
                "systemCpu": 0,
                "bootTime": "30s",
            }
        ],
        "balancer": {"kind": "haproxy"},
        "imagePull": "20s",
        "containerStart": "1s",
        "clusterAutoscaler": {"enabled": False},
        "controlPlanePerHour": 0.0,
    },
    "traffic": {"clients": {"timeout": "30s", "keepAlive": False}},
}
"""One node of 4 cores, 16 GiB; a server of four processes, each request 100 ms of waiting and nothing else."""


def deployment(
    replicas: int = 1,
    *,
    cpu: str | None = "100m",
    cpu_limit: str | None = None,
    memory: str | None = None,
    memory_limit: str | None = None,
    probe: dict[str, Any] | None = None,
    grace: int = 30,
) -> dict[str, Any]:
    """A Deployment of one container."""
    given = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu_limit, "memory": memory_limit}}
    resources = {k: {n: x for n, x in v.items() if x is not None} for k, v in given.items()}
    container: dict[str, Any] = {"name": "web", "image": "web:1", "resources": resources}
    if probe is not None:
        container["readinessProbe"] = probe
    spec = {"containers": [container], "terminationGracePeriodSeconds": grace}
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def hpa(low: int, high: int, target: int = 50) -> dict[str, Any]:
    """A HorizontalPodAutoscaler on CPU."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": target},
                    },
                }
            ],
        },
    }


def fleet(
    *changes: dict[str, Any], manifests: list[dict[str, Any]] | None = None, folder: Path | None = None
) -> Fleet:
    """The still fleet with changes laid over it (merge patches), and its manifests (one small Deployment)."""
    data: Any = copy.deepcopy(STILL)
    place = Place("<data>", 1)
    for change in changes:
        data, place = merge((data, place), (change, place))
    data["platform"]["manifests"] = manifests or [deployment()]
    return complete(source_from_data(data, folder))


def run(fleet: Fleet, seed: int = 0) -> World:
    """A world that has run to its end, its invariants checked."""
    world = World(fleet, seed)
    world.run()
    return world


def record(fleet: Fleet, seed: int = 0) -> Record:
    """The record of a run."""
    return make_record(run(fleet, seed))


def events(record: Record, kind: str) -> list[Event]:
    """The events of one kind in the order of time."""
    return [e for e in record.events if e.kind == kind]


def service(**parts: Any) -> dict[str, Any]:
    """A change of the service."""
    return {"service": parts}


def request(**costs: Any) -> dict[str, Any]:
    """A change of what a request costs."""
    return {"service": {"requests": {"page": costs}}}


def workers(n: int, **more: Any) -> dict[str, Any]:
    """A prefork server of exactly `n` processes, and other settings of its."""
    server = {"StartServers": n, "MinSpareServers": n, "MaxSpareServers": n + 1, "MaxRequestWorkers": n}
    return {"service": {"server": {**server, **more}}}


def gunicorn(n: int, **more: Any) -> dict[str, Any]:
    """gunicorn with `n` sync workers in place of Apache."""
    names = ("StartServers", "MinSpareServers", "MaxSpareServers", "MaxRequestWorkers")
    return {"service": {"server": {**dict.fromkeys(names), "kind": "gunicorn-sync", "workers": n, **more}}}


def clients(**parts: Any) -> dict[str, Any]:
    """A change of what clients do."""
    return {"traffic": {"clients": parts}}


def users(count: str, **more: Any) -> dict[str, Any]:
    """Closed-loop users, by default at a pace without jitter."""
    if "think" not in more:
        more = {"pace": "5s", "jitter": 0, **more}
    return {"traffic": {"users": {"count": count, **more}}}


def balancer(**parts: Any) -> dict[str, Any]:
    """A change of the balancer."""
    return {"platform": {"balancer": parts}}


KUBE_PROXY: dict[str, Any] = {"platform": {"balancer": {"kind": "kube-proxy"}}}
"""No proxy: clients connect straight to pods."""
NO_POD = deployment(cpu="100")
"""A Deployment that no node can take."""


def shift(series: dict[str, Any], early: str, late: str) -> int:
    """By how many bins one column follows another, where it does so exactly; -1 where it does not."""
    a, b = list(series[early]), list(series[late])
    for by in range(len(a)):
        if sum(a) and a[: len(a) - by] == b[by:] and not sum(b[:by]):
            return by
    return -1


def rate(text: str, **more: Any) -> dict[str, Any]:
    """Traffic that comes evenly at a rate."""
    return {"traffic": {"arrivals": {"rate": text, "process": "even", **more}}}
