"""The cluster autoscaler's scale-up: which pods no node will take, and how many new nodes would.

Source: cluster-autoscaler 1.37, core/scaleup/orchestrator, core/podlistprocessor, estimator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seawall.control.capacity import Capacity, Need, empty_nodes, needs_of, reasons, room, take
from seawall.control.config import PlaneConfig
from seawall.control.decisions import Decision, Note, RequestNodes
from seawall.control.expanders import Option, best
from seawall.control.node_groups import Group, Pools, group_healthy
from seawall.control.ties import mixed
from seawall.control.view import IntArray, PodTable

MAX_NODES_PER_SCALE_UP = 1000
NEW_PODS_S = 2.0
"""Where all pods are younger, more may be coming: wait for the next scan (unschedulablePodTimeBuffer)."""


@dataclass(frozen=True, slots=True)
class ScaleUp:
    """What a scan does about pending pods: the pools as remembered from now on, and whether any grew.

    `refused` is what was said of pods that no pool can help, so that it is not said again each scan.
    """

    pools: Pools
    decisions: list[Decision]
    grew: bool
    refused: str


def pods_to_help(
    pods: PodTable, unschedulable: Sequence[int], capacity: Capacity, young_s: float, now: float
) -> IntArray:
    """Rows of the unschedulable pods that find no room in `capacity`, and are older than `young_s`.

    Those that do find room take it, in place: nodes that are coming are filled on paper before more are
    asked for.
    """
    wanted = np.array(sorted(unschedulable), np.int64)
    rows = np.flatnonzero(np.isin(pods.id, wanted) & (pods.node < 0) & pods.active)
    left = [members[place(capacity, need, len(members)) :] for need, members in by_need(pods, rows).items()]
    if not left:
        return rows
    helpless = np.sort(np.concatenate(left))
    return helpless[now - pods.created_s[helpless] > young_s]


def by_need(pods: PodTable, rows: IntArray) -> Mapping[Need, IntArray]:
    """Rows in groups of pods that request the same, each group in order of id."""
    found: dict[Need, list[int]] = {}
    for row, need in needs_of(pods, rows).items():
        found.setdefault(need, []).append(row)
    return {need: np.array(members, np.int64) for need, members in found.items()}


def place(capacity: Capacity, need: Need, pods: int) -> int:
    """Put as many of so many like pods as fit on the nodes, first node first, in place; how many did."""
    places = room(capacity, need)
    filled = np.minimum(np.cumsum(places), pods)
    taken = np.diff(filled, prepend=0)
    for row in np.flatnonzero(taken).tolist():
        take(capacity, row, need, int(taken[row]))
    return int(filled[-1]) if len(filled) else 0


def grow(
    config: PlaneConfig,
    pools: Pools,
    found: tuple[Group, ...],
    pods: PodTable,
    rows: IntArray,
    now: float,
    refused: str,
) -> ScaleUp:
    """Ask for nodes of the pool that the expander prefers, for the pods in `rows`."""
    needs = by_need(pods, rows)
    skipped: Counter[str] = Counter()
    options: list[Option] = []
    for index, pool in enumerate(config.pools):
        group = found[index]
        if not group_healthy(pools, group, index):
            skipped["not ready for scale-up"] += 1
        elif pools.backed_off(index, now):
            skipped["in backoff after failed scale-up"] += 1
        elif group.target >= pool.max:
            skipped["max node group size reached"] += 1
        else:
            limit = min(pool.max - group.target, MAX_NODES_PER_SCALE_UP)
            option, rejected = estimate(config, index, needs, limit)
            skipped.update(rejected)
            if option is not None:
                options.append(option)
    if not options:
        return _no_scale_up(pools, skipped, rows, pods, refused)
    nodes = sum(group.ready + group.unready + group.not_started for group in found)
    seed = mixed(config.phases.seed, round(now * 1000))
    chosen = best(config.autoscaler.expander, options, config.pools, nodes, seed)
    pool, target = config.pools[chosen.pool], found[chosen.pool].target
    change = f"{pool.name} {target}->{target + chosen.nodes} (max: {pool.max})"
    message = f"pod triggered scale-up: [{{{change}}}]"
    decisions: list[Decision] = [
        Note("TriggeredScaleUp", f"pool/{pool.name}", f"{chosen.pods} pods: {message}"),
        RequestNodes(chosen.pool, chosen.nodes, f"{chosen.pods} unschedulable pods; {change}"),
    ]
    provision = config.autoscaler.max_node_provision_time
    return ScaleUp(pools.with_scale_up(chosen.pool, chosen.nodes, now, provision), decisions, True, "")


def estimate(
    config: PlaneConfig, pool: int, needs: Mapping[Need, IntArray], limit: int
) -> tuple[Option | None, Counter[str]]:
    """How many new nodes of a pool, at most `limit`, the pods would fill; or why it cannot take them.

    First fit, the group of the largest pods first: the binpacking estimator, with pods of one group alike.
    """
    template = config.pools[pool]
    rejected: Counter[str] = Counter()
    nodes = empty_nodes(template, limit)
    one = empty_nodes(template, 1)

    def size(need: Need) -> float:
        cpu, memory = max(int(one.cpu_milli[0]), 1), max(int(one.memory[0]), 1)
        return need.cpu_milli / cpu + need.memory / memory

    pods, cpu, memory = 0, 0.0, 0.0
    for need in sorted(needs, key=lambda need: (-size(need), need.cpu_milli, need.memory)):
        if not room(one, need)[0]:
            rejected.update(reasons(one, need))
            continue
        placed = place(nodes, need, len(needs[need]))
        pods += placed
        cpu += placed * need.cpu_milli / 1000.0
        memory += float(placed * need.memory)
    used = int(np.count_nonzero(nodes.used_pods))
    return (Option(pool, used, pods, cpu, memory) if used else None), rejected


def _no_scale_up(
    pools: Pools, skipped: Counter[str], rows: IntArray, pods: PodTable, refused: str
) -> ScaleUp:
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
    message = f"pod didn't trigger scale-up: {counts}"
    if message == refused:
        return ScaleUp(pools, [], False, refused)
    note = Note("NotTriggerScaleUp", f"pod/{int(pods.id[rows[0]])}", f"{len(rows)} pods: {message}")
    return ScaleUp(pools, [note], False, message)
