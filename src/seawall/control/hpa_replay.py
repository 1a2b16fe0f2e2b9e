"""What an HPA would have done under a load over time.

The controller, metrics-server and the pods run in a closed loop. The load is shared evenly by the pods that
are ready; there is always a node with room, up to `max_pods`. Everything else (queues, failures, nodes) is
the twin's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from seawall.control import metrics
from seawall.control.deployment import CLIENT
from seawall.control.hpa import (
    HpaDecision,
    HpaObservation,
    HpaOptions,
    HpaState,
    MetricReading,
    PodSamples,
    ScaleView,
    sync,
)
from seawall.control.hpa.explain import explain
from seawall.control.pods import BoolColumn, FloatColumn, IntColumn, Phase, PodColumns, PodShape, Ready
from seawall.control.view import MetricSample, rows_of
from seawall.fleet.errors import InputError
from seawall.fleet.hpa_spec import HpaSpec, MetricSpec, MetricType
from seawall.fleet.loadcsv import LoadTable

MOST_PODS = 50_000
"""More than these are not followed: the load will be in other units than it seems."""
SETTLED_SECONDS = 3600.0
"""For how long the first pods have been ready when the load begins."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The Deployment: the requests of its pods, and the replicas that it begins with.

    The first container, `container`, is taken to do all the work; its limits are in cores and bytes, None
    where it has none.
    """

    name: str
    container: str
    shape: PodShape
    cpu_limit: float | None
    memory_limit: float | None
    replicas: int


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """`run_seconds`: from a pod's creation until its container runs; `ready_seconds`: from then until Ready.

    `max_pods`: so many fit on the nodes, more stay Pending; `resolution_seconds`: metrics-server's scrape
    period, and so the window of its CPU values; `seed`: draws the phases of scrapes and syncs.
    """

    run_seconds: float = 5.0
    ready_seconds: float = 5.0
    max_pods: int | None = None
    resolution_seconds: float = 15.0
    seed: int = 0
    hpa: HpaOptions = HpaOptions()  # noqa: RUF009 -- frozen


@dataclass(frozen=True, slots=True)
class Step:
    """One sync, `at` so many seconds from the first row of the load.

    The load then, the pods that were ready and not ready, `spec.replicas` before it, what was decided, and
    why in plain words.
    """

    at: float
    load: Mapping[str, float]
    ready: int
    unready: int
    replicas: int
    decision: HpaDecision
    why: str

    @property
    def after(self) -> int:
        """`spec.replicas` after the sync."""
        return self.replicas if self.decision.desired is None else self.decision.desired


@dataclass(frozen=True, slots=True)
class CpuAccount:
    """Core-seconds that the load asked for, and how many of them the ready pods' limits did not give."""

    asked: float = 0.0
    unmet: float = 0.0


@dataclass(frozen=True, slots=True)
class Replay:
    """All syncs in order, the CPU account (None where the load has no CPU), the phases drawn (seconds)."""

    steps: tuple[Step, ...]
    cpu: CpuAccount | None
    first_sync: float
    first_scrape: float


@dataclass(slots=True)
class _Pods:
    """The pods that there are, or are about to be created, a row each, ids ascending; times in seconds."""

    id: IntColumn
    created_at: FloatColumn
    bound_at: FloatColumn
    cpu_seconds: FloatColumn
    next_id: int = 0
    arrival: float = -math.inf
    """When the client's bucket of calls would be empty (the theoretical arrival time of its next call)."""


@dataclass(slots=True)
class _Loop:
    """The state of the closed loop at `now`."""

    spec: HpaSpec
    workload: Workload
    load: LoadTable
    options: ReplayOptions
    pods: _Pods
    replicas: int
    memory: HpaState = HpaState()  # noqa: RUF009 -- frozen
    served: metrics.MetricsState = field(default_factory=lambda: metrics.initial(0.0))
    now: float = 0.0
    asked: float = 0.0
    unmet: float = 0.0


def replay(
    spec: HpaSpec,
    workload: Workload,
    load: LoadTable,
    options: ReplayOptions,
    on_sync: Callable[[float], object] | None = None,
) -> Replay:
    """The syncs of the HPA over the whole load, its controller just started and the first pods long ready.

    `load.columns` must have what the metrics of `spec` need (`needed_columns`); `cpu` and `memory` are
    totals over all pods, so is `custom:NAME` for a Pods metric. `on_sync` is told the time of each sync,
    for progress. The same arguments give the same result. InputError if there would be more than
    `MOST_PODS` pods.
    """
    _check_size(workload.replicas, load)
    first_sync = options.hpa.sync_period_seconds * random.Random(f"{options.seed}:sync").random()
    first_scrape = options.resolution_seconds * random.Random(f"{options.seed}:scrape").random()
    loop = _begin(spec, workload, load, options, first_scrape)
    steps = []
    for step in _run(loop, first_sync):
        steps.append(step)
        if on_sync is not None:
            on_sync(step.at)
    cpu = CpuAccount(loop.asked, loop.unmet) if "cpu" in load.columns else None
    return Replay(tuple(steps), cpu, first_sync, first_scrape)


def _check_size(replicas: int, load: LoadTable) -> None:
    if replicas > MOST_PODS:
        message = f"there would be {replicas} pods; at most {MOST_PODS} are followed: check the load's units"
        raise InputError(message, file=load.file)


def needed_columns(spec: HpaSpec) -> list[str]:
    """The load columns that the metrics of an HPA are computed from."""
    return list(dict.fromkeys(_column(metric) for metric in spec.metrics))


def _column(metric: MetricSpec) -> str:
    if metric.type == MetricType.EXTERNAL:
        return f"external:{metric.name}"
    if metric.type in (MetricType.PODS, MetricType.OBJECT):
        return f"custom:{metric.name}"
    return metric.name


def _begin(
    spec: HpaSpec, workload: Workload, load: LoadTable, options: ReplayOptions, first_scrape: float
) -> _Loop:
    """The first pods ready for an hour under the first row's load, and two scrapes of them."""
    count = workload.replicas
    created = np.full(count, -SETTLED_SECONDS)
    bound = np.where(np.arange(count) < (options.max_pods or count), created, math.inf)
    pods = _Pods(np.arange(count), created, bound, np.zeros(count), next_id=count)
    loop = _Loop(spec, workload, load, options, pods, count)
    loop.served = metrics.initial(first_scrape - 2 * options.resolution_seconds)
    loop.now = loop.served.due
    for _ in range(2):
        _advance(loop, loop.served.due)
        _scrape(loop)
    _advance(loop, 0.0)
    loop.asked = loop.unmet = 0.0
    return loop


def _run(loop: _Loop, first_sync: float) -> Iterator[Step]:
    next_sync, row = first_sync, 1
    times, end = loop.load.times, loop.load.end
    while True:
        change = times[row] if row < len(times) else math.inf
        at = min(next_sync, loop.served.due, change, _next_pod_event(loop))
        if at >= end:
            _advance(loop, end)
            return
        _advance(loop, at)
        row += int(change <= at)
        if loop.served.due <= at:
            _scrape(loop)
        if next_sync <= at:
            next_sync += loop.options.hpa.sync_period_seconds
            yield _sync(loop)


def _next_pod_event(loop: _Loop) -> float:
    """When a pod is next created, or becomes ready: from then on load and usage are shared differently."""
    pods = loop.pods
    times = np.concatenate((pods.created_at, _ready_at(loop)))
    later = times[times > loop.now]
    return float(later.min()) if len(later) else math.inf


def _running_at(loop: _Loop) -> FloatColumn:
    return loop.pods.bound_at + loop.options.run_seconds


def _ready_at(loop: _Loop) -> FloatColumn:
    return loop.pods.bound_at + loop.options.run_seconds + loop.options.ready_seconds


def _ready(loop: _Loop) -> BoolColumn:
    ready: BoolColumn = _ready_at(loop) <= loop.now
    return ready


def _load(loop: _Loop, column: str) -> float:
    """The load's value now; before the first row, the first row's."""
    row = int(np.searchsorted(loop.load.times, loop.now, side="right")) - 1
    return float(loop.load.columns[column][max(row, 0)])


def _advance(loop: _Loop, to: float) -> None:
    """Pods use CPU until `to`, during which nothing changes; then those that can be bound are."""
    seconds = to - loop.now
    if seconds > 0 and "cpu" in loop.load.columns:
        total, ready = _load(loop, "cpu"), _ready(loop)
        share = _share(total, ready, loop.workload.cpu_limit)
        loop.pods.cpu_seconds += np.where(ready, share * seconds, 0.0)
        loop.asked += total * seconds
        loop.unmet += max(0.0, total - share * float(np.count_nonzero(ready))) * seconds
    loop.now = to
    pods = loop.pods
    waiting = np.flatnonzero((pods.created_at <= to) & np.isinf(pods.bound_at))
    room = len(waiting)
    if loop.options.max_pods is not None:
        room = max(0, loop.options.max_pods - int(np.count_nonzero(np.isfinite(pods.bound_at))))
    pods.bound_at[waiting[:room]] = to


def _share(total: float, ready: BoolColumn, limit: float | None) -> float:
    """What each ready pod uses of a total: an equal share, up to its limit."""
    count = int(np.count_nonzero(ready))
    if count == 0:
        return 0.0
    return total / count if limit is None else min(limit, total / count)


def _scrape(loop: _Loop) -> None:
    """metrics-server reads all containers that run; one that is not ready yet uses nothing."""
    pods, resolution = loop.pods, loop.options.resolution_seconds
    running_at, ready = _running_at(loop), _ready(loop)
    rows = np.flatnonzero(running_at <= loop.now)
    memory = np.zeros(len(pods.id))
    if "memory" in loop.load.columns:
        memory = np.where(ready, _share(_load(loop, "memory"), ready, loop.workload.memory_limit), 0.0)
    points = metrics.Points(
        pods.id[rows],
        running_at[rows],
        np.full(len(rows), loop.now),
        np.rint(pods.cpu_seconds[rows] * 1e9).astype(np.int64),
        np.rint(memory[rows]).astype(np.int64),
    )
    state = metrics.store(loop.served, points, resolution)
    loop.served = replace(state, due=loop.served.due + resolution)


def _sync(loop: _Loop) -> Step:
    """One sync of the controller, and its decision carried out."""
    there = np.flatnonzero(loop.pods.created_at <= loop.now)
    ready = _ready(loop)[there]
    seen = HpaObservation(
        ScaleView(loop.replicas, len(there), f"app={loop.workload.name}"),
        _columns(loop, there),
        [_reading(loop, metric, there) for metric in loop.spec.metrics],
    )
    loop.memory, decision = sync(loop.spec, loop.memory, seen, loop.now, loop.options.hpa)
    step = Step(
        at=loop.now,
        load={name: _load(loop, name) for name in loop.load.columns},
        ready=int(np.count_nonzero(ready)),
        unready=len(there) - int(np.count_nonzero(ready)),
        replicas=loop.replicas,
        decision=decision,
        why=explain(loop.spec, loop.replicas, decision, loop.options.hpa),
    )
    if decision.rescaled and decision.desired is not None:
        _scale(loop, decision.desired)
    return step


def _columns(loop: _Loop, rows: IntColumn) -> PodColumns:
    """The pods as the API server shows them: stamps in whole seconds, Pending until the container runs."""
    pods, name = loop.pods, loop.workload.name
    bound = np.where(np.isinf(pods.bound_at), np.nan, pods.bound_at)[rows]
    ready, running = _ready(loop)[rows], (_running_at(loop) <= loop.now)[rows]
    condition = np.where(ready, Ready.TRUE, np.where(np.isnan(bound), Ready.ABSENT, Ready.FALSE))
    return PodColumns(
        name=[f"{name}-{number}" for number in pods.id[rows].tolist()],
        phase=np.where(running, Phase.RUNNING, Phase.PENDING).astype(np.int8),
        ready=condition.astype(np.int8),
        deleting=np.zeros(len(rows), np.bool_),
        started_at=np.floor(bound),
        ready_transition_at=np.floor(np.where(ready, _ready_at(loop)[rows], bound)),
        shape=np.zeros(len(rows), np.int32),
        shapes=(loop.workload.shape,),
        node=np.where(np.isnan(bound), -1, 0).astype(np.int32),
    )


def _reading(loop: _Loop, metric: MetricSpec, rows: IntColumn) -> MetricReading:
    column, served = _column(metric), loop.served.served
    if metric.type == MetricType.EXTERNAL:
        return MetricReading(values_m=[_milli(_load(loop, column))])
    if metric.type == MetricType.OBJECT:
        return MetricReading(value_m=_milli(_load(loop, column)))
    if metric.type == MetricType.PODS:
        return MetricReading(samples=_shared_samples(loop, column, rows))
    values = served.cpu_milli if column == "cpu" else served.memory_bytes * 1000
    return MetricReading(samples=_served_samples(served, values, loop.pods.id[rows]))


def _served_samples(served: MetricSample, values_m: IntColumn, ids: IntColumn) -> PodSamples:
    """What metrics-server serves of the pods that still exist."""
    at = rows_of(ids, served.id)
    known = at >= 0
    return PodSamples(at[known], values_m[known], np.floor(served.timestamp_s[known]), served.window_s[known])


def _shared_samples(loop: _Loop, column: str, rows: IntColumn) -> PodSamples:
    """A Pods metric: the total shared by the ready pods, nothing from those that only run."""
    ready = _ready(loop)
    share = _milli(_share(_load(loop, column), ready, None))
    running = np.flatnonzero((_running_at(loop) <= loop.now)[rows])
    values = np.where(ready[rows][running], share, 0)
    count = len(running)
    return PodSamples(running, values, np.full(count, math.floor(loop.now)), np.full(count, 60.0))


def _milli(value: float) -> int:
    return math.ceil(round(value * 1000, 6))


def _scale(loop: _Loop, replicas: int) -> None:
    """Pods created at the pace of the controller's client, or deleted: the newest first, at once."""
    _check_size(replicas, loop.load)
    pods, missing = loop.pods, replicas - len(loop.pods.id)
    loop.replicas = replicas
    if missing < 0:
        # Not created, not bound, not ready, then those that became ready last: all of them the newest rows.
        for column in ("id", "created_at", "bound_at", "cpu_seconds"):
            setattr(pods, column, getattr(pods, column)[:replicas])
        return
    created = np.empty(missing)
    for call in range(missing):
        created[call] = max(loop.now, pods.arrival - (CLIENT.burst - 1) / CLIENT.qps)
        pods.arrival = max(pods.arrival, created[call]) + 1 / CLIENT.qps
    pods.id = np.append(pods.id, np.arange(pods.next_id, pods.next_id + missing))
    pods.next_id += missing
    pods.created_at = np.append(pods.created_at, created)
    pods.bound_at = np.append(pods.bound_at, np.full(missing, math.inf))
    pods.cpu_seconds = np.append(pods.cpu_seconds, np.zeros(missing))
    _advance(loop, loop.now)
