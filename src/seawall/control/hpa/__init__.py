"""How the HorizontalPodAutoscaler decides, exactly as Kubernetes 1.36's controller does."""

from seawall.control.hpa.observation import HpaObservation, MetricReading, PodSamples, ScaleView
from seawall.control.hpa.options import HpaOptions, Tolerances
from seawall.control.hpa.state import (
    Condition,
    ConditionType,
    HpaState,
    HpaStatus,
    MetricStatus,
    Recommendation,
    ScaleEvent,
)
from seawall.control.hpa.sync import Action, ErrorLabel, HpaDecision, sync

__all__ = [
    "Action",
    "Condition",
    "ConditionType",
    "ErrorLabel",
    "HpaDecision",
    "HpaObservation",
    "HpaOptions",
    "HpaState",
    "HpaStatus",
    "MetricReading",
    "MetricStatus",
    "PodSamples",
    "Recommendation",
    "ScaleEvent",
    "ScaleView",
    "Tolerances",
    "sync",
]
