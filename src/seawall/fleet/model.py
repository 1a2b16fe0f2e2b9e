"""What a fleet file says: the service, its platform, its traffic, what is promised, and the variants.

Field names are those of the real systems (Apache's directives, HAProxy's keywords, Kubernetes' fields); where
the thing has no name of its own, camelCase as in Kubernetes. Values are SI floats: seconds, cores, bytes.
The parts are defined in `service`, `platform` and `demand`; import them from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from seawall.fleet.demand import (
    ArrivalRate,
    Clients,
    Objectives,
    Recorded,
    Retries,
    StartBurst,
    Traffic,
    Users,
)
from seawall.fleet.distribution import distribution_as_data
from seawall.fleet.parts import Part, Size, Time, measured
from seawall.fleet.platform import (
    Balancer,
    ClusterAutoscaler,
    Haproxy,
    HpaController,
    KubeProxy,
    Machine,
    MetricsServer,
    NodeLifecycle,
    NodePool,
    Platform,
    Reserved,
    Stall,
)
from seawall.fleet.service import (
    ApachePrefork,
    GunicornSync,
    Kernel,
    Memory,
    ModWsgi,
    RequestClass,
    Server,
    Service,
    Start,
)

__all__ = [
    "ApachePrefork",
    "ArrivalRate",
    "Balancer",
    "Clients",
    "ClusterAutoscaler",
    "FleetFile",
    "GunicornSync",
    "Haproxy",
    "HpaController",
    "Kernel",
    "KubeProxy",
    "Machine",
    "Memory",
    "MetricsServer",
    "ModWsgi",
    "NodeLifecycle",
    "NodePool",
    "Objectives",
    "Part",
    "Platform",
    "Recorded",
    "RequestClass",
    "Reserved",
    "Retries",
    "Server",
    "Service",
    "Size",
    "Stall",
    "Start",
    "StartBurst",
    "Time",
    "Traffic",
    "Users",
    "distribution_as_data",
    "measured",
]

Patch = Annotated[
    dict[str, Any],
    BeforeValidator(lambda v: {} if v is None else v),
    WithJsonSchema({"type": ["object", "null"]}),
]
"""The changes of a variant; nothing at all is no change."""


class FleetFile(Part):
    """A whole fleet file, read and checked, one variant applied."""

    seawall: Literal[1] = 1
    """Version of this format."""
    name: str = Field(min_length=1)
    """How reports name the fleet."""
    description: str = ""
    """What it is, in a sentence or two."""
    service: Service
    """The service itself."""
    platform: Platform
    """Where it runs."""
    traffic: Traffic
    """What comes."""
    objectives: Objectives = Objectives()
    """What is promised."""
    assumptions: dict[str, str] = Field(default_factory=dict)
    """Values that nobody measured: their path in this file, and why they are what they are."""
    notes: dict[str, str] = Field(default_factory=dict)
    """Figures to show beside the result, such as what the story's own team measured."""
    variants: dict[str, Patch] = Field(default_factory=dict)
    """Named merge patches on this file (null removes); `manifests:` patches manifests by Kind/name."""
