"""metrics-server: what it scrapes, what it keeps, and what it therefore serves, and how old that is.

Source: metrics-server, pkg/scraper/scraper.go, pkg/storage/pod.go, pkg/storage/types.go,
pkg/server/server.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from seawall.control.pacing import EPSILON_S, following
from seawall.control.view import (
    BoolArray,
    ClusterView,
    FloatArray,
    IntArray,
    MetricSample,
    empty_sample,
    rows_of,
)

FRESH_CONTAINER_S = 10.0
"""From this age on a first point may be held against the container's start."""
KUBELET_TIMEOUT_S = 10.0
"""kubelet-request-timeout; it may not be more than nine tenths of the resolution."""


@dataclass(frozen=True, slots=True)
class Points:
    """One scrape, a row a pod: columns of shape (n,), `id` ascending; CPU cumulative, in core-nanoseconds."""

    id: IntArray
    started_s: FloatArray
    timestamp_s: FloatArray
    cpu_ns: IntArray
    memory_bytes: IntArray

    def only(self, rows: BoolArray) -> Points:
        """Some rows."""
        return Points(
            self.id[rows],
            self.started_s[rows],
            self.timestamp_s[rows],
            self.cpu_ns[rows],
            self.memory_bytes[rows],
        )


@dataclass(frozen=True, slots=True)
class MetricsState:
    """The last two points of each pod, what is served, when the next scrape is due.

    `under_way` is a scrape that waits for a kubelet that does not answer: (when it ends, what the others
    said).
    """

    due: float
    last: Points
    previous: Points
    served: MetricSample
    under_way: tuple[float, Points] | None = None

    @property
    def next(self) -> float:
        """When something happens next: a scrape, or the end of the one under way."""
        return min(self.due, self.under_way[0] if self.under_way else math.inf)


def initial(first_scrape: float) -> MetricsState:
    """A metrics-server that has scraped nothing yet."""
    whole, real = np.empty(0, np.int64), np.empty(0, np.float64)
    none = Points(whole, real, real, whole, whole)
    return MetricsState(first_scrape, none, none, empty_sample())


def scrape(state: MetricsState, view: ClusterView, resolution: float) -> MetricsState:
    """What is due at `view.now`: the end of a scrape under way, the next scrape.

    A scrape asks every registered node and stores what came when the last has answered or timed out: one
    kubelet that hangs delays the metrics of all by 10 s. Pods of a node that did not answer are dropped.
    """
    now = view.now
    if state.under_way and state.under_way[0] <= now + EPSILON_S:
        state = replace(store(state, state.under_way[1], resolution), under_way=None)
    if state.due > now + EPSILON_S:
        return state
    state = replace(state, due=following(state.due, resolution, now))
    read = readings(view)
    if bool((view.nodes.registered & ~view.nodes.reachable).any()):
        timeout = min(KUBELET_TIMEOUT_S, 0.9 * resolution)
        return replace(state, under_way=(now + timeout, read))
    return store(state, read, resolution)


def readings(view: ClusterView) -> Points:
    """What the kubelets answer now; a container that has used no CPU or memory yet is left out."""
    pods = view.pods
    started = np.nan_to_num(pods.container_started_s, nan=np.inf)
    rows = np.flatnonzero(
        pods.readable
        & (pods.node >= 0)
        & (started <= pods.read_s)
        & (pods.cpu_seconds > 0)
        & (pods.memory_bytes >= 1)
    )
    return Points(
        pods.id[rows],
        pods.container_started_s[rows],
        pods.read_s[rows],
        (pods.cpu_seconds[rows] * 1e9).astype(np.int64),
        pods.memory_bytes[rows].astype(np.int64),
    )


def store(state: MetricsState, new: Points, resolution: float) -> MetricsState:
    """The state with a scrape stored: these points are the last ones, pods not among them are gone.

    A pod is served with two points: the one of the scrape before, if its container has not restarted since
    (or that scrape's own predecessor, if the kubelet has not read anew); a container aged at least 10 s and
    less than the resolution has its start, at zero CPU, for the other.
    """
    age = new.timestamp_s - new.started_s
    fresh = (age >= FRESH_CONTAINER_S) & (age < resolution)
    at, in_last = _match(state.last.id, new.id)
    before = state.last.timestamp_s[at] if len(state.last.id) else np.zeros(len(new.id))
    same = in_last & (new.started_s < before)
    moved = same & (new.timestamp_s > before)
    at_previous, in_previous = _match(state.previous.id, new.id)
    earlier = state.previous.timestamp_s[at_previous] if len(state.previous.id) else np.zeros(len(new.id))
    kept = same & ~moved & in_previous & (earlier < new.timestamp_s)

    stamp = new.started_s.copy()
    cpu = np.zeros(len(new.id), np.int64)
    if len(state.last.id):
        stamp = np.where(moved & ~fresh, before, stamp)
        cpu = np.where(moved & ~fresh, state.last.cpu_ns[at], cpu)
    if len(state.previous.id):
        stamp = np.where(kept & ~fresh, earlier, stamp)
        cpu = np.where(kept & ~fresh, state.previous.cpu_ns[at_previous], cpu)
    served = fresh | moved | kept
    previous = Points(new.id, new.started_s, stamp, cpu, new.memory_bytes).only(served)
    return replace(state, last=new, previous=previous, served=_served(new.only(served), previous))


def _served(last: Points, previous: Points) -> MetricSample:
    """CPU is the mean between the points in whole nanocores, read as millicores rounded up."""
    window = last.timestamp_s - previous.timestamp_s
    used = last.cpu_ns - previous.cpu_ns
    rows = (window > 0) & (used >= 0)
    nanocores = (used[rows] / window[rows]).astype(np.int64)
    return MetricSample(
        last.id[rows],
        -(-nanocores // 1_000_000),
        last.memory_bytes[rows],
        last.timestamp_s[rows],
        window[rows],
    )


def _match(known: IntArray, wanted: IntArray) -> tuple[IntArray, BoolArray]:
    """Row in `known` of each wanted id (0 where there is none), and whether there is one."""
    rows = rows_of(known, wanted)
    return np.maximum(rows, 0), rows >= 0
