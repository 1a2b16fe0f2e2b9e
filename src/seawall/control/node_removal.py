"""How the cluster autoscaler takes a node away: taint it, wait, empty it, have the cloud end it.

Source: cluster-autoscaler 1.37, core/scaledown/actuation/{actuator,drain,delete_in_batch}.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from seawall.control.config import PlaneConfig
from seawall.control.decisions import CordonNode, Decision, DeletePod, Note, RemoveNode, UncordonNode
from seawall.control.disruption import disruptions_allowed
from seawall.control.pacing import EPSILON_S
from seawall.control.scale_down import Candidate
from seawall.control.view import ClusterView, rows_of

DELAY_AFTER_TAINT_S = 5.0
"""node-delete-delay-after-taint."""
EVICTION_RETRY_S = 10.0
MAX_POD_EVICTION_S = 120.0
"""max-pod-eviction-time: as long as a budget may hold an eviction up."""
GONE_CHECK_S = 5.0
MAX_TERMINATION_S = 630.0
"""max-graceful-termination-sec and 30 s on top: as long as evicted pods may take to go."""


class Stage(Enum):
    """Where a removal stands."""

    TAINTED = "tainted"
    EVICTING = "evicting"
    TERMINATING = "terminating"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Removal:
    """A node on its way out: with pods or without, its stage, when to look again, when to give up."""

    drain: bool
    stage: Stage
    due: float
    deadline: float = math.inf


def begin(
    removals: Mapping[int, Removal], empty: list[Candidate], drained: list[Candidate], now: float
) -> tuple[Mapping[int, Removal], list[Decision]]:
    """Taint the nodes that are to go."""
    decisions: list[Decision] = []
    started = dict(removals)
    for one in (*empty, *drained):
        drain = len(one.pods) > 0
        if drain:
            message = (
                f"Scale-down: removing node, utilization: {one.utilisation:.2f}, "
                f"pods to reschedule: {len(one.pods)}"
            )
        else:
            message = "Scale-down: removing empty node"
        decisions.append(Note("ScaleDown" if drain else "ScaleDownEmpty", f"node/{one.node}", message))
        decisions.append(CordonNode(one.node, "marked the node as toBeDeleted/unschedulable"))
        started[one.node] = Removal(drain, Stage.TAINTED, now + DELAY_AFTER_TAINT_S)
    return started, decisions


def advance(
    config: PlaneConfig, removals: Mapping[int, Removal], view: ClusterView, replicas: int
) -> tuple[Mapping[int, Removal], list[Decision]]:
    """Take every removal whose time has come a step further; forget those whose node is gone."""
    decisions: list[Decision] = []
    known = rows_of(view.nodes.id, np.array(list(removals), np.int64)) >= 0
    kept: dict[int, Removal] = {}
    for (node, removal), there in zip(removals.items(), known.tolist(), strict=True):
        if not there:
            continue
        after: Removal | None = removal
        if removal.due <= view.now + EPSILON_S:
            after, told = _next(config, node, removal, view, replicas)
            decisions += told
        if after is not None:
            kept[node] = after
    unchanged = len(kept) == len(removals) and all(kept[node] is removals[node] for node in kept)
    return (removals if unchanged else kept), decisions


def _next(
    config: PlaneConfig, node: int, removal: Removal, view: ClusterView, replicas: int
) -> tuple[Removal | None, list[Decision]]:
    now, pods = view.now, view.pods
    here = pods.node == node
    active = np.flatnonzero(here & pods.active)
    if removal.stage is Stage.TAINTED and not removal.drain:
        if len(active):
            return _given_up(node, "failed to delete empty node, new pods scheduled")
        return _ended(removal, node, "the node has been unneeded for long enough and is empty")
    if removal.stage is Stage.TAINTED:
        removal = replace(removal, stage=Stage.EVICTING, deadline=now + MAX_POD_EVICTION_S)
    if removal.stage is Stage.EVICTING:
        allowed = disruptions_allowed(config, view, replicas)
        count = len(active) if allowed is None else min(len(active), allowed)
        told: list[Decision] = [
            DeletePod(int(pods.id[row]), "deleting pod for node scale down") for row in active[:count]
        ]
        if count == len(active):
            deadline = now + MAX_TERMINATION_S
            return replace(removal, stage=Stage.TERMINATING, due=now + GONE_CHECK_S, deadline=deadline), told
        if now >= removal.deadline:
            message = "failed to drain the node: a disruption budget held its pods"
            after, abandoned = _given_up(node, message)
            return after, told + abandoned
        return replace(removal, due=now + EVICTION_RETRY_S), told
    if not here.any():
        return _ended(removal, node, "the node has been unneeded for long enough and is drained")
    if now >= removal.deadline:
        return _given_up(node, "failed to drain the node: pods remaining after timeout")
    return replace(removal, due=now + GONE_CHECK_S), []


def _ended(removal: Removal, node: int, reason: str) -> tuple[Removal, list[Decision]]:
    return replace(removal, stage=Stage.DELETED, due=math.inf), [RemoveNode(node, reason)]


def _given_up(node: int, message: str) -> tuple[None, list[Decision]]:
    return None, [Note("ScaleDownFailed", f"node/{node}", message), UncordonNode(node, message)]
