"""What the control plane tells a world to do: small frozen objects, each with its reason in words.

A world applies the decisions of a step in their order, and before the next step: the controllers keep no
book of what they have asked for (no "expectations"), they look at the view again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CreatePods:
    """Create so many pods: Pending, unbound, with ids of the world's choice (ascending)."""

    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Set the pod's deletionTimestamp.

    An unbound pod goes at once. The kubelet of a bound one ends it (grace period) and the row goes then; on a
    node that does not answer the row stays until the node comes back or is removed.
    """

    pod: int
    reason: str


@dataclass(frozen=True, slots=True)
class BindPod:
    """Set spec.nodeName; the node's kubelet takes it from there."""

    pod: int
    node: int


@dataclass(frozen=True, slots=True)
class UnschedulablePod:
    """Event FailedScheduling, said once for each new reason of a pod; changes nothing in the world."""

    pod: int
    reason: str


@dataclass(frozen=True, slots=True)
class SetReplicas:
    """The HPA has changed spec.replicas. The plane itself keeps the number; for the record."""

    replicas: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RequestNodes:
    """Ask the cloud for machines of a pool: rows with `registered` False appear at once."""

    pool: int
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """Have the cloud end a machine (a booting one too). What still runs on it ends with it, row and all."""

    node: int
    reason: str


@dataclass(frozen=True, slots=True)
class CordonNode:
    """No new pods on this node (`unschedulable`): the autoscaler's ToBeDeleted taint."""

    node: int
    reason: str


@dataclass(frozen=True, slots=True)
class UncordonNode:
    """Take the taint off again: the autoscaler has given up removing the node."""

    node: int
    reason: str


@dataclass(frozen=True, slots=True)
class SetNodeReady:
    """Write the node's Ready condition.

    With False the world also writes Ready=False (ready_transition_s = now) to every ready pod bound to the
    node, as the node controller does. With True it changes the node alone: the pods are the business of its
    kubelet, which reports each ready again once it answers.
    """

    node: int
    ready: bool
    reason: str


@dataclass(frozen=True, slots=True)
class SetEndpoints:
    """The balancer now knows exactly these pods (ids, ascending)."""

    pods: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth an entry in the record's events.

    `kind` is the real event's reason (`TriggeredScaleUp`, ...), `object` its kind/name (`pod/12`, `node/3`,
    `pool/workers`, `hpa`).
    """

    kind: str
    object: str
    message: str


Decision = (
    CreatePods
    | DeletePod
    | BindPod
    | UnschedulablePod
    | SetReplicas
    | RequestNodes
    | RemoveNode
    | CordonNode
    | UncordonNode
    | SetNodeReady
    | SetEndpoints
    | Note
)
