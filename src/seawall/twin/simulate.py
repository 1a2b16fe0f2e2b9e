"""Run a fleet in the twin: a fleet and a seed in, a record out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall import __version__
from seawall.fleet.reader import Fleet
from seawall.fleet.units import MIB
from seawall.record.conservation import check_conservation
from seawall.record.histogram import BUCKETS
from seawall.record.record import Record
from seawall.twin.driver import InvariantError
from seawall.twin.world import Progress, World

_COUNTS = ("sent", "answered", "failed", "timed_out", "refused", "shed")


def simulate(fleet: Fleet, seed: int = 0, progress: Progress | None = None) -> Record:
    """Simulate one variant of a fleet. The same fleet, seed and version give the same record, bit for bit.

    `progress` is called with the share that is done. Raises InputError where the fleet's traffic is not
    usable, InvariantError where the simulation broke one of its own laws.
    """
    world = World(fleet, seed)
    world.run(progress)
    record = make_record(world)
    broken = check_conservation(record)
    if broken:
        raise InvariantError(f"broken: S1 conservation: {broken[0]}")
    return record


def make_record(world: World) -> Record:
    """What a world that has run to its end leaves behind."""
    state = world.kernel.state
    bins = state["bins"]
    return Record(
        description=_description(world),
        series=_series(world),
        events=world.chronicle.in_order(),
        latency=state["hist"]["x"].reshape(len(bins), BUCKETS),
        latency_sum_s=bins["latency_s"].copy(),
        totals=_totals(world),
        per_class={
            name: {key: int(row[key]) for key in (*_COUNTS, "under_way")}
            for name, row in zip(world.fleet.file.service.requests, state["classes"], strict=True)
        },
    )


def _series(world: World) -> dict[str, NDArray[Any]]:
    state, work = world.kernel.state, world.work
    bins, length = state["bins"], float(state["params"]["bin_s"][0])
    start = np.arange(len(bins)) * length
    running = np.maximum(bins["pods_running"], 1)
    series: dict[str, NDArray[Any]] = {"t": start}
    for name in (*_COUNTS, "attempts", "answered_at", "failed_at", "wasted", "under_way", "lb_queue",
                 "accept_queue", "workers", "workers_busy", "oom_kills"):  # fmt: skip
        series[name] = bins[name].copy()
    if len(work.join_s):
        series["users"] = bins["users"].copy()
    series["cpu_cores"] = bins["cpu_used"] / length
    series["pod_memory_max_mib"] = bins["pod_memory_max"] / MIB
    series["pod_memory_mean_mib"] = bins["pod_memory_sum"] / running / MIB
    series["node_memory_max_share"] = bins["node_share_max"].copy()
    series.update(world.chronicle.columns(start + length))
    return series


def _totals(world: World) -> dict[str, int]:
    row = world.kernel.state.row
    names = (*_COUNTS, "under_way", "attempts", "retries", "wasted", "oom_kills")
    return {name: int(row[name]) for name in names} | {"restarts": world.kubelet.restarts}


def _description(world: World) -> dict[str, Any]:
    fleet, work = world.fleet, world.work
    file = fleet.file
    return {
        "format": 1,
        "version": __version__,
        "world": "twin",
        "fleet": file.name,
        "variant": fleet.variant,
        "seed": world.seed,
        "completed": {
            **file.model_dump(mode="json", by_alias=True, exclude={"variants"}),
            "manifests": {
                "Deployment": fleet.deployment.manifest.data,
                "HorizontalPodAutoscaler": None if fleet.hpa is None else asdict(fleet.hpa),
            },
        },
        "assumptions": dict(fleet.assumptions),
        "defaults": list(fleet.defaults),
        "notes": dict(file.notes),
        "warnings": [*(w.anywhere for w in fleet.warnings), *work.notes],
        "bin_seconds": float(world.kernel.state["params"]["bin_s"][0]),
        "duration_s": work.end_s,
        "traffic_s": work.traffic_s,
        "wave": None if work.wave is None else [float(t) for t in work.wave],
        "currency": file.platform.currency,
        "objectives": {"served": file.objectives.served, "latency": dict(file.objectives.latency)},
        "memory_limit_mib": None
        if fleet.deployment.memory_limit is None
        else fleet.deployment.memory_limit / MIB,
    }
