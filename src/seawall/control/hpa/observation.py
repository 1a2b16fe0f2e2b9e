"""What the HPA controller sees at a sync: its target's scale, the pods, what the metrics APIs answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seawall.control.pods import FloatColumn, IntColumn, PodColumns


@dataclass(frozen=True, slots=True)
class PodSamples:
    """One metric's values, a row a pod that has one.

    `pod` int64 [m]: the row in PodColumns, -1 for a pod that is not listed there; `value_m` int64 [m]:
    milli-units; `timestamp` float64 [m]: when the sample was taken, seconds; `window` float64 [m]: the
    seconds that it is a mean of.
    """

    pod: IntColumn
    value_m: IntColumn
    timestamp: FloatColumn
    window: FloatColumn

    def __len__(self) -> int:
        return len(self.pod)

    @staticmethod
    def of(samples: Mapping[str, Mapping[str, Any]], pods: PodColumns, now: float = 0.0) -> PodSamples:
        """From pod name -> {`value_m`, `age_s`, `window_s`}, ages in seconds at `now`."""
        rows = pods.rows()
        values = samples.values()
        return PodSamples(
            np.array([rows.get(name, -1) for name in samples], np.int64),
            np.array([sample["value_m"] for sample in values], np.int64),
            np.array([now - sample["age_s"] for sample in values], np.float64),
            np.array([sample["window_s"] for sample in values], np.float64),
        )


@dataclass(frozen=True, slots=True)
class MetricReading:
    """What came back for one entry of `spec.metrics`; exactly one field is set.

    `samples` for Resource, ContainerResource and Pods; `value_m` for Object; `values_m` for External (one a
    series); `error` where the metrics client failed, in its words. With none set nothing was fetched.
    """

    samples: PodSamples | None = None
    value_m: int | None = None
    values_m: Sequence[int] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ScaleView:
    """The `/scale` of the target. `error`: it could not be read; `update_error`: a write would fail."""

    spec_replicas: int = 0
    status_replicas: int = 0
    selector: str = ""
    error: str | None = None
    update_error: str | None = None


@dataclass(frozen=True, slots=True)
class HpaObservation:
    """Everything a sync reads. `metrics` has one reading for each of `spec.metrics`, in their order.

    `taken_at` (seconds) is when pods and metrics were read, None: at the decision itself. `other_hpas` are
    (name, namespace) of other autoscalers whose selectors take some of these pods too.
    """

    scale: ScaleView
    pods: PodColumns
    metrics: Sequence[MetricReading]
    taken_at: float | None = None
    other_hpas: tuple[tuple[str, str], ...] = ()
