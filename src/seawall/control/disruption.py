"""How many pods a PodDisruptionBudget lets go at this moment.

Source: Kubernetes, pkg/controller/disruption/disruption.go.
"""

from __future__ import annotations

import math

import numpy as np

from seawall.control.config import PlaneConfig
from seawall.control.view import ClusterView


def disruptions_allowed(config: PlaneConfig, view: ClusterView, replicas: int) -> int | None:
    """Pods that may be evicted now, at least 0; None where there is no budget.

    Healthy pods (Ready, not being deleted) less those that must stay. A percentage is of the Deployment's
    `replicas` as wanted, rounded up.
    """
    budget = config.disruption_budget
    if budget is None:
        return None
    pods = view.pods
    healthy = int(np.count_nonzero(pods.active & pods.ready))
    if budget.min_available is not None:
        wanted = scaled(budget.min_available, replicas)
    elif budget.max_unavailable is not None:
        wanted = max(0, replicas - scaled(budget.max_unavailable, replicas))
    else:
        return None
    return max(0, healthy - wanted)


def scaled(value: str, total: int) -> int:
    """A number as written, or a percentage of `total`, rounded up."""
    text = value.strip()
    if text.endswith("%"):
        return math.ceil(int(text[:-1]) * total / 100)
    return int(text)
