"""How many replicas one metric asks for, before any stabilisation or limit.

Source: Kubernetes 1.36, pkg/controller/podautoscaler/replica_calculator.go and metrics/utilization.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from seawall.control.hpa.errors import MetricError
from seawall.control.hpa.integers import (
    MAX_INT32,
    MAX_INT64,
    ceil,
    divide,
    int32_of,
    int64_of,
    ratio,
    wrap32,
    wrap64,
)
from seawall.control.hpa.observation import PodSamples
from seawall.control.hpa.options import HpaOptions, Tolerances
from seawall.control.hpa.requests import pod_requests
from seawall.control.pods import BoolColumn, FloatColumn, IntColumn, Phase, PodColumns, Ready

CPU = "cpu"


class Hold(StrEnum):
    """Why a proposal is the current number of replicas although the usage differs from the target."""

    NONE = ""
    TOLERANCE = "within tolerance"
    DIRECTION = "unready or missing pods, counted conservatively, turn the direction round"


@dataclass(frozen=True, slots=True)
class PodGroups:
    """Which pods count: bool [n] masks over PodColumns, and how many pods are counted as ready."""

    ready_count: int
    unready: BoolColumn
    missing: BoolColumn
    ignored: BoolColumn


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage against target.

    Their ratio, the utilisation in percent of the request (None for plain values), and the mean per pod in
    milli-units.
    """

    ratio: float
    utilization: int | None
    value_m: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric asks for.

    `utilization` (percent) and `value_m` (mean per pod, or the total for a Value target) are what the HPA's
    status shows. `usage_ratio` is the first ratio, `final_ratio` the one that counted, after unready and
    missing pods were filled in. The pod counts are 0 for metrics that do not look at pods.
    """

    replicas: int
    value_m: int
    utilization: int | None = None
    usage_ratio: float = 1.0
    final_ratio: float = 1.0
    hold: Hold = Hold.NONE
    ready_pods: int = 0
    unready_pods: int = 0
    missing_pods: int = 0


def micros(seconds: FloatColumn | float) -> FloatColumn:
    """Seconds in whole microseconds, so that sums of decimal fractions compare as they would in Go."""
    rounded: FloatColumn = np.rint(np.asarray(seconds) * 1e6)
    return rounded


def group_pods(
    pods: PodColumns, samples: PodSamples, resource: str, at: float, options: HpaOptions
) -> PodGroups:
    """Sorts the pods, as seen at time `at`, into counted, unready, missing (no sample) and ignored ones."""
    listed = samples.pod >= 0
    has_sample = np.zeros(len(pods), np.bool_)
    has_sample[samples.pod[listed]] = True
    ignored = pods.deleting | (pods.phase == Phase.FAILED)
    unready = ~ignored & (pods.phase == Phase.PENDING)
    missing = ~ignored & ~unready & ~has_sample
    if resource == CPU:
        candidates = ~ignored & ~unready & ~missing
        unready |= candidates & _cpu_unready(pods, samples, listed, at, options)
    counted = ~(ignored | unready | missing)
    return PodGroups(int(np.count_nonzero(counted)), unready, missing, ignored)


def _cpu_unready(
    pods: PodColumns, samples: PodSamples, listed: BoolColumn, at: float, options: HpaOptions
) -> BoolColumn:
    """Pods whose CPU sample may not be trusted: still initialising, or never ready."""
    sampled_at = np.full(len(pods), np.nan)
    window = np.zeros(len(pods))
    sampled_at[samples.pod[listed]] = samples.timestamp[listed]
    window[samples.pod[listed]] = samples.window[listed]
    started, changed = pods.started_at, pods.ready_transition_at
    not_ready = pods.ready == Ready.FALSE
    initialising = micros(started + options.cpu_initialization_seconds) > micros(at)
    stale = micros(sampled_at) < micros(changed + window)
    never_ready = micros(started + options.initial_readiness_delay_seconds) > micros(changed)
    unready: BoolColumn = np.where(initialising, not_ready | stale, not_ready & never_ready)
    unready |= (pods.ready == Ready.ABSENT) | np.isnan(started)
    return unready


def utilization_ratio(pod: IntColumn, value_m: IntColumn, requests_m: IntColumn, target: int) -> Usage:
    """Usage in whole percent of the requests, against a target in percent.

    `pod` int64 [m] is the row of each value in `requests_m` int64 [n]; values of row -1 are left out.
    MetricError if no request is known.
    """
    known = pod >= 0
    total = int(np.sum(value_m[known], dtype=np.int64))
    requested = int(np.sum(requests_m[pod[known]], dtype=np.int64))
    if requested == 0:
        raise MetricError("no metrics returned matched known pods")
    percent = wrap32(divide(wrap64(total * 100), requested))
    mean = divide(total, int(np.count_nonzero(known)))
    return Usage(ratio(float(percent), float(target)), percent, mean)


def usage_ratio(value_m: IntColumn, target_m: int) -> Usage:
    """The whole mean of all values (int64 [m], m > 0, milli-units) against a target."""
    mean = divide(int(np.sum(value_m, dtype=np.int64)), len(value_m))
    return Usage(ratio(float(mean), float(target_m)), None, mean)


def utilization_replicas(
    current: int,
    pods: PodColumns,
    samples: PodSamples,
    resource: str,
    container: str,
    target: int,
    tolerances: Tolerances,
    at: float,
    options: HpaOptions,
) -> Proposal:
    """For a target in percent of the request (Resource, ContainerResource with averageUtilization)."""
    groups, pod, value_m = _usable(pods, samples, resource, at, options)
    requests_m = pod_requests(pods, container, resource, options.pod_level_resources)

    def measure(pod: IntColumn, value_m: IntColumn) -> Usage:
        return utilization_ratio(pod, value_m, requests_m, target)

    fallback_m = requests_m[groups.missing] * max(100, target) // 100
    return _propose(current, groups, pod, value_m, measure, fallback_m, tolerances)


def average_replicas(
    current: int,
    pods: PodColumns,
    samples: PodSamples,
    resource: str,
    target_m: int,
    tolerances: Tolerances,
    at: float,
    options: HpaOptions,
) -> Proposal:
    """For a mean per pod in milli-units (Pods, or a resource with averageValue); `resource` "" for Pods."""
    groups, pod, value_m = _usable(pods, samples, resource, at, options)

    def measure(pod: IntColumn, value_m: IntColumn) -> Usage:
        return usage_ratio(value_m, target_m)

    fallback_m = np.full(int(np.count_nonzero(groups.missing)), target_m, np.int64)
    return _propose(current, groups, pod, value_m, measure, fallback_m, tolerances)


def _usable(
    pods: PodColumns, samples: PodSamples, resource: str, at: float, options: HpaOptions
) -> tuple[PodGroups, IntColumn, IntColumn]:
    """The groups, and the samples (row, value) of pods that are neither ignored nor unready."""
    if len(pods) == 0:
        raise MetricError("no pods returned by selector while calculating replica count")
    groups = group_pods(pods, samples, resource, at, options)
    # Row -1 (a sample of no listed pod) reads the appended False: it is kept.
    dropped = np.append(groups.ignored | groups.unready, False)
    keep = ~dropped[samples.pod]
    if not keep.any():
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return groups, samples.pod[keep], samples.value_m[keep]


def _propose(
    current: int,
    groups: PodGroups,
    pod: IntColumn,
    value_m: IntColumn,
    measure: Callable[[IntColumn, IntColumn], Usage],
    fallback_m: IntColumn,
    tolerances: Tolerances,
) -> Proposal:
    """The rule for all metrics with one value a pod.

    Against scaling down, missing pods are taken to use `fallback_m`; against scaling up, missing and unready
    pods are taken to use nothing.
    """
    usage = measure(pod, value_m)
    first = usage.ratio
    unready, missing = np.flatnonzero(groups.unready), np.flatnonzero(groups.missing)

    def proposal(replicas: int, final: float, hold: Hold) -> Proposal:
        return Proposal(
            replicas, usage.value_m, usage.utilization, first, final, hold,
            groups.ready_count, len(unready), len(missing),
        )  # fmt: skip

    up_with_unready = len(unready) > 0 and first > 1.0
    if not up_with_unready and len(missing) == 0:
        if tolerances.holds(first):
            return proposal(current, first, Hold.TOLERANCE)
        return proposal(int32_of(ceil(first * float(groups.ready_count))), first, Hold.NONE)

    if len(missing) > 0 and first != 1.0:
        filled = fallback_m if first < 1.0 else np.zeros(len(missing), np.int64)
        pod, value_m = np.append(pod, missing), np.append(value_m, filled)
    if up_with_unready:
        pod, value_m = np.append(pod, unready), np.append(value_m, np.zeros(len(unready), np.int64))

    final = measure(pod, value_m).ratio
    if tolerances.holds(final):
        return proposal(current, final, Hold.TOLERANCE)
    if (first < 1.0 < final) or (final < 1.0 < first):
        return proposal(current, final, Hold.DIRECTION)
    replicas = int32_of(ceil(final * float(len(pod))))
    if (final < 1.0 and replicas > current) or (final > 1.0 and replicas < current):
        return proposal(current, final, Hold.DIRECTION)
    return proposal(replicas, final, Hold.NONE)


def total_replicas(
    current: int, pods: PodColumns, usage_m: int, target_m: int, tolerances: Tolerances
) -> Proposal:
    """For a total (Object, External with value): ratio times ready pods; from zero the ratio alone."""
    first = ratio(float(usage_m), float(target_m))
    if current == 0:
        return Proposal(int32_of(ceil(first)), usage_m, None, first, first)
    if tolerances.holds(first):
        return Proposal(current, usage_m, None, first, first, Hold.TOLERANCE)
    if len(pods) == 0:
        raise MetricError(
            "unable to calculate ready pods: no pods returned by selector while calculating replica count"
        )
    ready = pods.ready_running()
    wanted = first * float(ready)
    replicas = MAX_INT32 if wanted > MAX_INT32 else int32_of(ceil(wanted))
    return Proposal(replicas, usage_m, None, first, first, Hold.NONE, ready)


def object_average_replicas(
    status_replicas: int, usage_m: int, target_m: int, tolerances: Tolerances
) -> Proposal:
    """For an Object metric shared by all pods (averageValue): usage over target, whatever pods are ready."""
    first = ratio(float(usage_m), float(target_m) * float(status_replicas))
    held = tolerances.holds(first)
    replicas = status_replicas if held else int32_of(ceil(ratio(float(usage_m), float(target_m))))
    mean = int64_of(ceil(ratio(float(usage_m), float(status_replicas))))
    return Proposal(replicas, mean, None, first, first, Hold.TOLERANCE if held else Hold.NONE)


def external_average_replicas(
    status_replicas: int, usage_m: int, target_m: int, tolerances: Tolerances
) -> Proposal:
    """For an External metric shared by all pods (averageValue)."""
    first = ratio(float(usage_m), float(target_m) * float(status_replicas))
    held, replicas = tolerances.holds(first), status_replicas
    if not held:
        wanted = ceil(ratio(float(usage_m), float(target_m)))
        replicas = MAX_INT32 if wanted > MAX_INT32 else int32_of(wanted)
    mean = MAX_INT64
    if float(usage_m) < float(MAX_INT64):
        mean = int64_of(ceil(ratio(float(usage_m), float(status_replicas))))
    return Proposal(replicas, mean, None, first, first, Hold.TOLERANCE if held else Hold.NONE)


def external_total(values_m: list[int], *, capped_by_sign: bool) -> int:
    """The sum of a metric's series in int64, stopped at the largest one when it overflows.

    The controller looks for the overflow in two ways: for a value target before it adds a positive value, for
    an average by the sign of the sum (`capped_by_sign`).
    """
    total = 0
    for value in values_m:
        if not capped_by_sign and value > 0 and total > MAX_INT64 - value:
            return MAX_INT64
        total = wrap64(total + value)
        if capped_by_sign and total < 0:
            return MAX_INT64
    return total
