"""Small fleets in memory, from which the tests of the fleet room take one thing away or change it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data" / "fleet"


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Deployment of one container with requests; `spec` replaces parts of its spec."""
    container = {
        "name": name,
        "image": f"{name}:1",
        "resources": {"requests": {"cpu": "500m", "memory": "600Mi"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 80}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def autoscaler(target: str = "web", name: str = "web", **spec: Any) -> dict[str, Any]:
    """An autoscaler on 70 % of the CPU request; `spec` replaces parts of its spec."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": cpu}],
            **spec,
        },
    }


_FLEET: dict[str, Any] = {
    "name": "web",
    "service": {
        "server": {"kind": "apache-prefork", "MaxRequestWorkers": 5},
        "requests": {"page": {"cpu": "20ms"}},
    },
    "platform": {
        "nodePools": [{"name": "nodes", "instanceType": "t3.medium", "min": 2, "max": 6}],
    },
    "traffic": {"users": {"count": "0 -> 100 in 60s, hold 5m", "pace": "5s"}},
}


def fleet_data(*manifests: dict[str, Any]) -> dict[str, Any]:
    """A fleet file as data, with `manifests` inline (a Deployment where none are given)."""
    data = copy.deepcopy(_FLEET)
    data["platform"]["manifests"] = list(manifests) or [deployment()]
    return data
