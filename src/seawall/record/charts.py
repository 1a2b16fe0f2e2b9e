"""What the report draws: the charts, and each record's columns brought to one time axis of bounded length."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.record import words
from seawall.record.cause import BREAKS, PRESSES, SHOWS
from seawall.record.objectives import bucket_middles, share_of, targets
from seawall.record.record import Event, Record
from seawall.record.vocabulary import COLUMNS, FAILURES, KINDS, PARTS, By

MOST_POINTS = 1200
MOST_EVENTS_OF_A_KIND = 300
PERCENTILES = ("p50", "p95", "p99")
_ERRORS = ("failed", "timed_out", "refused", "shed")
_HIGHEST = frozenset(
    ("lb_queue", "accept_queue", "nodes_stalled", "pod_memory_max_mib", "node_memory_max_share", "under_way")
)
"""States of which the highest of several bins is shown, the last of the others."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a chart: the columns drawn, the first of them bold, each with its label."""

    label: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its unit decides how figures are written (`ms`, `share`, `MiB`, or as it stands)."""

    name: str
    title: str
    unit: str
    views: tuple[View, ...]
    log: bool = False


def _plain(name: str, title: str, unit: str, *lines: tuple[str, str]) -> Chart:
    return Chart(name, title, unit, (View("", lines),))


def charts(records: Sequence[Record], drawn: Container[str]) -> list[Chart]:
    """The charts of a report, in the order of reading, with those lines whose column is among `drawn`.

    OOM kills have a chart only where there were any.
    """
    found = []
    for chart in _all_charts(records):
        if chart.name == "oom" and not any(record.totals.get("oom_kills") for record in records):
            continue
        views = [replace(v, lines=tuple(line for line in v.lines if line[0] in drawn)) for v in chart.views]
        if any(view.lines for view in views):
            found.append(replace(chart, views=tuple(view for view in views if view.lines)))
    return found


def _all_charts(records: Sequence[Record]) -> tuple[Chart, ...]:
    named = dict.fromkeys(name for record in records for name in targets(record)[1])
    percentiles = (*PERCENTILES, *(name for name in named if name not in PERCENTILES))
    wave = any(record.description.get("world") == "wave" for record in records)
    return (
        _plain("users", "Users connected", "users", ("users", "connected")),
        _requests(wave),
        _plain("served", "Served", "share", ("served_share", "of the requests sent in that second")),
        Chart(
            "latency",
            "Latency of answers",
            "ms",
            tuple(View(name, ((name, name),)) for name in sorted(percentiles, key=share_of, reverse=True)),
            log=True,
        ),
        Chart(
            "errors",
            "Requests not answered",
            "a second",
            (
                View("all", (("errors_rate", "all"),)),
                *(View(name, ((f"{kind}_rate", name),)) for kind, name in _kinds(records)),
            ),
        ),
        *(_of_a_generator() if wave else ()),
        _plain("queues", "Waiting for a worker", "requests", ("waiting", "in all"), ("lb_queue", "in the balancer")),
        _plain("pods", "Pods", "pods", ("pods_ready", "ready"), ("replicas_desired", "desired")),
        _plain("nodes", "Nodes", "nodes", ("nodes_ready", "ready"), ("nodes", "registered")),
        _plain(
            "memory",
            "Memory of a pod",
            "MiB",
            ("pod_memory_max_mib", "largest"),
            ("pod_memory_mean_mib", "mean"),
        ),
        _plain("oom", "OOM kills", "a second", ("oom_kills_rate", "kills")),
        _plain("node-memory", "Memory of the fullest node", "share", ("node_memory_max_share", "in use")),
        _plain("cpu", "CPU", "cores", ("cpu_cores", "used"), ("cpu_requested_cores", "requested")),
        _plain("workers", "Workers", "workers", ("workers_busy", "busy"), ("workers", "all")),
        _plain("cost", "Cost", "an hour", ("cost_per_hour", "as the fleet stands")),
    )  # fmt: skip


def _requests(wave: bool) -> Chart:
    """Requests where they were asked for; for a wave also where they ended, which a stall sets far apart."""
    asked = (("answered_rate", "answered"), ("sent_rate", "sent"))
    ended = (("answered_at_rate", "answered"), ("failed_at_rate", "failed"))
    views = (View("when asked", asked), View("when ended", ended)) if wave else (View("", asked),)
    return Chart("requests", "Requests", "a second", views)


def _kinds(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Kinds of failure with their names: for a wave those that there were, if several."""
    if not any(part in record.series for record in records for parts in PARTS.values() for part in parts):
        return [(kind, kind.replace("_", " ")) for kind in _ERRORS]
    present = [kind for kind in FAILURES if any(record.totals.get(kind) for record in records)]
    return [(kind, words.FAILURE_NAMES[kind]) for kind in present] if len(present) > 1 else []


def _of_a_generator() -> tuple[Chart, ...]:
    """What a generator alone sees, and what it says of itself."""
    first_byte = tuple(View(name, ((f"first_byte_{name}", name),)) for name in reversed(PERCENTILES))
    return (
        Chart("first-byte", "First byte, after sending", "ms", first_byte, log=True),
        _plain("under-way", "Requests under way", "requests", ("under_way", "without an outcome yet")),
        _plain("connections", "Connections opened", "a second", ("connects_rate", "by the generator")),
        _plain("network", "Network", "Mbit/s", ("received_mbit", "received"), ("sent_mbit", "sent")),
        Chart(
            "lateness",
            "The generator's own lateness",
            "ms",
            (View("p99", (("lateness_p99", "p99"),)), View("p50", (("lateness_p50", "p50"),))),
            log=True,
        ),
    )


def time_step(records: Sequence[Record]) -> float:
    """Seconds between two points: the longest bin, widened until no run has more than MOST_POINTS."""
    longest = max((record.bins * record.bin_seconds for record in records), default=1.0)
    step = max((record.bin_seconds for record in records), default=1.0)
    return step * max(1, math.ceil(longest / step / MOST_POINTS))


def points(record: Record, step: float) -> dict[str, list[float | None]]:
    """Every column to draw, by name, one value for each `step` seconds; None where there is none."""
    group = np.floor((record.series["t"] + 1e-9) / step).astype(np.int64)
    n = int(group[-1]) + 1 if len(group) else 0
    drawn = {
        name: _column(record, name, group, n)
        for name in COLUMNS
        if name in record.series and name != "lateness_p99_ms"
    }
    found = {
        f"{name}_rate" if COLUMNS[name].by in (By.INTENDED, By.MOMENT) else name: values
        for name, values in drawn.items()
        if name != "t"
    }
    found["errors_rate"] = sum((found[f"{key}_rate"] for key in _ERRORS), np.zeros(n))
    sent = found["sent_rate"]
    found["served_share"] = np.divide(found["answered_rate"], sent, out=np.full(n, np.nan), where=sent > 0)
    found |= _percentiles(record.latency, (*PERCENTILES, *targets(record)[1]), group, n)
    for histogram in ("first_byte", "lateness"):
        if histogram in record.histograms:
            known = _percentiles(record.histograms[histogram], PERCENTILES, group, n)
            found |= {f"{histogram}_{name}": values for name, values in known.items()}
    for way in ("sent", "received"):
        if f"{way}_bytes_rate" in found:
            found[f"{way}_mbit"] = found.pop(f"{way}_bytes_rate") * 8e-6
    if "lb_queue" in found and "accept_queue" in found:
        found["waiting"] = found["lb_queue"] + found["accept_queue"]
    return {name: _rounded(values) for name, values in found.items()}


def _column(record: Record, name: str, group: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """One column by groups of bins: counts as a rate a second, means as a mean, states as their kind asks."""
    values = record.series[name].astype(np.float64)
    by = COLUMNS[name].by
    bins = np.maximum(1, np.bincount(group, minlength=n))
    if by in (By.INTENDED, By.MOMENT):
        return np.bincount(group, values, n) / (bins * record.bin_seconds)
    if by is By.MEAN:
        return np.bincount(group, values, n) / bins
    state = np.full(n, np.nan)
    if name in _HIGHEST:
        np.fmax.at(state, group, values)
    else:
        state[group] = values
    return state


def _percentiles(
    histogram: NDArray[np.uint32], names: Iterable[str], group: NDArray[np.int64], n: int
) -> dict[str, NDArray[np.float64]]:
    """Percentiles of each point in milliseconds, NaN where nothing was counted; `histogram` is by bin."""
    counts = np.zeros((n, histogram.shape[1]), np.int64)
    np.add.at(counts, group, histogram)
    cumulated = np.cumsum(counts, axis=1)
    total = cumulated[:, -1] if n else np.zeros(0, np.int64)
    middles = bucket_middles() * 1e3
    found = {}
    for name in dict.fromkeys(names):
        rank = np.maximum(1, np.ceil(share_of(name) * total - 1e-9))
        bucket = np.minimum((cumulated < rank[:, None]).sum(axis=1), len(middles) - 1)
        found[name] = np.where(total > 0, middles[bucket], np.nan)
    return found


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    """Four significant digits, which is finer than a pixel; whole numbers without a point."""
    found: list[float | None] = []
    for value in values.tolist():
        if not math.isfinite(value):
            found.append(None)
            continue
        short = float(f"{value:.4g}") if abs(value) < 1e4 else round(value)
        found.append(int(short) if float(short).is_integer() else short)
    return found


# ------------------------------------------------------------------------------------------------- the bounds


def bounds(records: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
    """Horizontal lines by chart: what is promised, the pods' memory limits, how late a generator may be.

    `view` and `variant` say where a line belongs, None for everywhere.
    """
    found: dict[str, list[dict[str, Any]]] = {"served": [], "latency": [], "memory": [], "lateness": []}

    def add(chart: str, value: float, label: str, view: str | None, variant: int | None) -> None:
        line = {"value": value, "label": label, "view": view, "variant": variant}
        if line not in found[chart]:
            found[chart].append(line)

    for number, record in enumerate(records):
        served, latency = targets(record)
        add("served", round(served, 12), "promised", None, None)
        for name, bound in latency.items():
            add("latency", bound * 1e3, "promised", name, None)
        latest = (record.description.get("generator") or {}).get("lateness_limit_ms")
        if latest:
            add("lateness", float(latest), "most", "p99", None)
        limit = record.description.get("memory_limit_mib")
        if limit:
            add("memory", float(limit), "limit", None, number)
    return found


# ------------------------------------------------------------------------------------------------- the events


GROUPS: dict[str, tuple[str, ...]] = {
    "breaks": (*BREAKS, "container-restart", "invariant-broken"),
    "presses": (*PRESSES, "generator-late"),
    "shows": (*SHOWS, "requests-fail"),
    "story": ("wave-begins", "wave-ends", "objective-lost", "objective-regained"),
}
"""Kinds of events that share a mark; all others are changes of capacity."""

QUIET = frozenset(
    (
        "pod-created",
        "pod-scheduled",
        "pod-listening",
        "pod-ready",
        "pod-deleted",
        "container-restart",
        "autoscaler",
    )
)
"""Kinds that are not marked until they are asked for: there is one for every pod."""


APART = frozenset(("hpa-scale", "requests-fail", "autoscaler", "objective-lost", "objective-regained"))
"""Kinds of which each one says something of its own: they are never gathered into a row."""


def group_of(kind: str) -> str:
    """The group of a kind, `capacity` for what belongs to no other."""
    return next((group for group, kinds in GROUPS.items() if kind in kinds), "capacity")


def kinds_present(events: Sequence[Sequence[Event]]) -> list[str]:
    """The kinds that are among the events of any variant, in the order of the vocabulary."""
    present = {event.kind for of_one in events for event in of_one}
    return [kind for kind in KINDS if kind in present]


def times(event: Event) -> int:
    """How often it happened: a world may write one event for many, with their number as `count` in its data."""
    number = event.data.get("count", 1)
    return number if isinstance(number, int) and number > 0 else 1


def thinned(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """At most MOST_EVENTS_OF_A_KIND events of each kind, evenly chosen, each with how many it stands for."""
    found: list[tuple[Event, int]] = []
    for kind in dict.fromkeys(event.kind for event in events):
        same = [event for event in events if event.kind == kind]
        groups = min(len(same), MOST_EVENTS_OF_A_KIND)
        edges = [len(same) * i // groups for i in range(groups + 1)]
        found += [(same[a], sum(map(times, same[a:b]))) for a, b in pairwise(edges)]
    return sorted(found, key=lambda pair: pair[0].t)


@dataclass(frozen=True, slots=True)
class Spell:
    """Events of one kind that follow each other closely, as one row of a table."""

    first: Event
    until: float
    count: int
    objects: int


def spells(events: Sequence[Event], pause: float = 30.0) -> list[Spell]:
    """Events gathered by kind wherever less than `pause` seconds lie between two of them."""
    runs: list[list[Event]] = []
    latest: dict[str, list[Event]] = {}
    for event in events:
        run = latest.get(event.kind)
        if run is None or event.t - run[-1].t > pause or event.kind in APART:
            run = latest[event.kind] = []
            runs.append(run)
        run.append(event)
    return [
        Spell(run[0], run[-1].t, sum(map(times, run)), len({event.object for event in run})) for run in runs
    ]
