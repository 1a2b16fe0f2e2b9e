"""`seawall hpa`: what a HorizontalPodAutoscaler would have done under a load over time, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seawall.control.hpa_replay import Replay, ReplayOptions, Step, Workload
    from seawall.fleet.hpa_spec import HpaSpec
    from seawall.fleet.kubernetes import Deployment
    from seawall.fleet.loadcsv import LoadTable

FILE = click.Path(path_type=Path)
MOST_SYNCS = 200_000
MANY_SYNCS = 1_500
"""About a second of work: from here on there is a progress bar."""


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A duration such as 15s, in seconds; the option is refused if it is none, or negative."""
    from seawall.fleet.units import parse_seconds

    if value is None:
        return None
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if seconds < 0:
        raise click.BadParameter(f"{value} must not be negative", ctx, param)
    return seconds


def _start(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, float]:
    """`10s`, or `6s+4s`: seconds from a pod's creation until its container runs, and from then until Ready.

    One duration alone is divided evenly.
    """
    parts = [_duration(ctx, param, part) or 0.0 for part in value.split("+")]
    if len(parts) > 2:
        raise click.BadParameter(f"{value} has more than two parts; write for example 6s+4s", ctx, param)
    return (parts[0], parts[1]) if len(parts) == 2 else (parts[0] / 2, parts[0] / 2)


@click.command("hpa")
@click.argument("deployment", type=FILE)
@click.argument("hpa", type=FILE)
@click.argument("load_csv", type=FILE)
@click.option(
    "--start",
    callback=_start,
    default="10s",
    show_default=True,
    help="From a pod's creation to Ready; 6s+4s: running after 6 s, ready 4 s later.",
)
@click.option(
    "--max-pods",
    type=click.IntRange(min=1),
    help="So many pods find room; more stay Pending. Default: no limit.",
)
@click.option(
    "--sync-period",
    callback=_duration,
    default="15s",
    show_default=True,
    help="How often the HPA controller looks.",
)
@click.option(
    "--metric-window",
    callback=_duration,
    default="15s",
    show_default=True,
    help="metrics-server's resolution: scrape period and window of a CPU value.",
)
@click.option(
    "--cpu-per-request", callback=_duration, help="CPU time of one request, for requests_per_second."
)
@click.option(
    "--replicas",
    type=click.IntRange(min=0, max=50_000),
    help="Pods at the beginning. Default: spec.replicas, or minReplicas.",
)
@click.option("--name", help="Which HorizontalPodAutoscaler, where there are several.")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the phases of scrapes and syncs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one CSV row for each sync.")
def command(
    deployment: Path,
    hpa: Path,
    load_csv: Path,
    start: tuple[float, float],
    max_pods: int | None,
    sync_period: float,
    metric_window: float,
    cpu_per_request: float | None,
    replicas: int | None,
    name: str | None,
    seed: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """What would the HPA have done? Replicas over time, with the reason at each step.

    DEPLOYMENT and HPA are files of manifests (the same one, if it holds both). LOAD_CSV has a header: t
    (seconds or dates) and the load over all pods: cpu (cores), memory (bytes), requests_per_second,
    external:NAME or custom:NAME. Each value holds until the next row.

    The controller is Kubernetes 1.36's, just started; the load is shared evenly by the pods that are ready.
    """
    from seawall.control.hpa import HpaOptions
    from seawall.control.hpa_replay import ReplayOptions
    from seawall.fleet.hpa_pair import read_hpa_pair

    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot be given together.")
    for period, option in ((sync_period, "--sync-period"), (metric_window, "--metric-window")):
        if period < 1:
            raise click.BadParameter("must be at least 1s", param_hint=option)
    target, spec = read_hpa_pair((deployment, hpa), name)
    load = _load(load_csv, spec, cpu_per_request)
    workload = _workload(target, spec, replicas)
    options = ReplayOptions(
        run_seconds=start[0],
        ready_seconds=start[1],
        max_pods=max_pods,
        resolution_seconds=metric_window,
        seed=seed,
        hpa=HpaOptions(sync_period_seconds=sync_period),
    )
    found = _replayed(spec, workload, load, options)
    if as_json:
        _print_json(spec, workload, load, options, found)
    elif as_csv:
        _print_csv(load, found)
    else:
        _print_table(spec, workload, load, options, found)


def _replayed(spec: HpaSpec, workload: Workload, load: LoadTable, options: ReplayOptions) -> Replay:
    """The replay, with a progress bar where one is watched for long."""
    import sys

    from seawall.control.hpa_replay import replay
    from seawall.fleet.errors import InputError

    syncs = load.end / options.hpa.sync_period_seconds
    if syncs > MOST_SYNCS:
        days = load.end / 86400
        message = f"lasts {days:.3g} days, which are {syncs:.3g} syncs; at most {MOST_SYNCS} are made: cut it"
        raise InputError(message, file=load.file)
    if syncs < MANY_SYNCS or not sys.stderr.isatty():
        return replay(spec, workload, load, options)
    with click.progressbar(length=int(load.end) + 1, label="syncs", file=sys.stderr) as bar:
        return replay(spec, workload, load, options, lambda at: bar.update(int(at) - bar.pos))


def _load(path: Path, spec: HpaSpec, cpu_per_request: float | None) -> LoadTable:
    """The load, with all columns that the HPA's metrics need; InputError where one is missing."""
    from seawall.control.hpa_replay import needed_columns
    from seawall.fleet.errors import InputError
    from seawall.fleet.loadcsv import read_load_csv, with_cpu

    load = read_load_csv(path)
    if cpu_per_request is not None and "requests_per_second" in load.columns and "cpu" not in load.columns:
        load = with_cpu(load, cpu_per_request)
    for column in needed_columns(spec):
        if column in load.columns:
            continue
        advice = f"add the column {column}"
        if column == "cpu" and "requests_per_second" in load.columns:
            advice = "say how much CPU a request takes (--cpu-per-request 20ms), or add the column cpu"
        known = ("cpu", "memory")
        if ":" not in column and column not in known:
            advice = f"{column} is not modelled; take that metric out of the HPA to look at the others"
        raise InputError(
            f"the HPA scales on {column}, and the load does not tell it: {advice}", file=path, line=1
        )
    return load


def _workload(target: Deployment, spec: HpaSpec, replicas: int | None) -> Workload:
    from seawall.control.hpa_replay import Workload
    from seawall.control.pods import PodShape
    from seawall.fleet.errors import InputError

    for metric in spec.metrics:
        if metric.container and metric.container != target.main.name:
            raise InputError(
                f"the HPA measures container {metric.container}; the load is taken to be that of the first "
                f"container, {target.main.name}: put {metric.container} first, or measure {target.main.name}",
                file=target.manifest.place.file,
                line=target.manifest.place.line,
            )
    begun = target.replicas if target.replicas_given else spec.min_replicas
    return Workload(
        name=target.name,
        container=target.main.name,
        shape=PodShape.from_pod_spec(target.manifest.data["spec"]["template"]["spec"]),
        cpu_limit=target.cpu_limit or None,
        memory_limit=target.memory_limit or None,
        replicas=begun if replicas is None else replicas,
    )


def _summary(found: Replay) -> dict[str, Any]:
    """The run in a few numbers."""
    sizes = [step.replicas for step in found.steps] + [step.after for step in found.steps[-1:]]
    asked = found.cpu.asked if found.cpu is not None else 0.0
    return {
        "peak_replicas": max(sizes, default=0),
        "last_replicas": sizes[-1] if sizes else 0,
        "rescales": sum(step.decision.rescaled for step in found.steps),
        "cpu_asked_core_seconds": round(asked, 3) if found.cpu is not None else None,
        "cpu_unmet_share": round(found.cpu.unmet / asked, 6) if found.cpu is not None and asked else None,
    }


def _clock(load: LoadTable, at: float) -> str:
    """A time of the run: of the day where the load has dates, else minutes and seconds from its start."""
    from datetime import UTC, datetime

    if load.began_at is not None:
        return datetime.fromtimestamp(load.began_at + at, UTC).strftime("%H:%M:%S")
    return f"{int(at // 60)}:{int(at % 60):02d}"


def _print_json(
    spec: HpaSpec, workload: Workload, load: LoadTable, options: ReplayOptions, found: Replay
) -> None:
    import json

    from seawall import __version__

    click.echo(
        json.dumps(
            {
                "hpa": spec.name,
                "namespace": spec.namespace,
                "deployment": workload.name,
                "version": __version__,
                "seed": options.seed,
                "start_seconds": [options.run_seconds, options.ready_seconds],
                "max_pods": options.max_pods,
                "sync_period_seconds": options.hpa.sync_period_seconds,
                "metric_window_seconds": options.resolution_seconds,
                "load": {"file": load.file, "began_at": load.began_at, "seconds": load.end},
                "summary": _summary(found),
                "syncs": [_json_step(step) for step in found.steps],
            }
        )
    )


def _json_step(step: Step) -> dict[str, Any]:
    decision = step.decision
    return {
        "t": round(step.at, 3),
        "load": dict(step.load),
        "ready": step.ready,
        "unready": step.unready,
        "replicas": step.replicas,
        "proposed": decision.proposed,
        "desired": decision.desired,
        "rescaled": decision.rescaled,
        "metric": decision.metric or None,
        "reason": decision.reason or None,
        "error": decision.error or None,
        "utilization": {
            one.spec.name: one.proposal.utilization
            for one in decision.evaluations
            if one.proposal is not None and one.proposal.utilization is not None
        },
        "why": step.why,
    }


def _print_csv(load: LoadTable, found: Replay) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = list(load.columns)
    writer.writerow(["t", *columns, "ready", "unready", "replicas", "proposed", "desired", "why"])
    for step in found.steps:
        values = [step.load[column] for column in columns]
        decided = [step.decision.proposed, step.decision.desired]
        writer.writerow(
            [round(step.at, 3), *values, step.ready, step.unready, step.replicas, *decided, step.why]
        )


def _print_table(
    spec: HpaSpec, workload: Workload, load: LoadTable, options: ReplayOptions, found: Replay
) -> None:
    import shutil
    import textwrap

    width = max(80, min(160, shutil.get_terminal_size((120, 24)).columns))
    for line in _headlines(spec, workload, load, options):
        click.echo(textwrap.fill(line, width, subsequent_indent="  "))
    columns = [
        name for name in load.columns if name not in ("requests_per_second",) or "cpu" not in load.columns
    ]
    heads = ["time", *columns, "ready", "unready", "replicas"]
    runs = _runs(found.steps)
    rows = [_cells(load, columns, run[0]) for run in runs]
    sizes = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    gap = "  "
    indent = sum(sizes) + len(gap) * len(sizes)

    def row_of(cells: Sequence[str]) -> str:
        return gap.join(cell.rjust(size) for cell, size in zip(cells, sizes, strict=True)) + gap

    click.echo("\n" + row_of(heads) + "why")
    for run, cells in zip(runs, rows, strict=True):
        reason = textwrap.wrap(run[0].why, max(30, width - indent)) or [""]
        if len(run) > 1:
            more = "1 more sync" if len(run) == 2 else f"{len(run) - 1} more syncs"
            reason += textwrap.wrap(
                f"{more} until {_clock(load, run[-1].at)} without a change", width - indent
            )
        click.echo(row_of(cells) + f"\n{' ' * indent}".join(reason))
    click.echo("\n" + textwrap.fill(_closing(workload, found), width))


def _cells(load: LoadTable, columns: Sequence[str], step: Step) -> list[str]:
    change = f"{step.replicas} -> {step.after}" if step.decision.rescaled else str(step.replicas)
    shown = [_short(name, step.load[name]) for name in columns]
    return [_clock(load, step.at), *shown, str(step.ready), str(step.unready), change]


def _headlines(spec: HpaSpec, workload: Workload, load: LoadTable, options: ReplayOptions) -> Sequence[str]:
    from seawall.control.hpa.explain import metric_target
    from seawall.fleet.units import format_seconds

    targets = ", ".join(metric_target(metric) for metric in spec.metrics)
    behavior = "" if spec.behavior is None else ", with behavior"
    start = format_seconds(options.run_seconds + options.ready_seconds)
    room = "" if options.max_pods is None else f", room for {options.max_pods}"
    return [
        f"{spec.name} scales {spec.target.kind}/{workload.name} between {spec.min_replicas} and "
        f"{spec.max_replicas} pods on {targets}{behavior}",
        f"{load.file}: {len(load.times)} rows over {format_seconds(round(load.end, 3))}; sync each "
        f"{format_seconds(options.hpa.sync_period_seconds)}, metrics each "
        f"{format_seconds(options.resolution_seconds)}, pods ready {start} after creation{room}, seed "
        f"{options.seed}",
    ]


def _short(name: str, value: float) -> str:
    """A load value in a few characters."""
    if name == "memory":
        return f"{value / 1024**2:.5g}Mi"
    return f"{value:.5g}"


def _runs(steps: Sequence[Step]) -> list[list[Step]]:
    """Syncs that follow each other and do nothing for the same kind of reason are shown as one."""
    runs: list[list[Step]] = []
    for step in steps:
        if runs and not step.decision.rescaled and _kind(step) == _kind(runs[-1][-1]):
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _kind(step: Step) -> tuple[object, ...]:
    """What makes two quiet syncs alike."""
    decision = step.decision
    limited, stable = decision.limited, decision.stabilized
    return (
        decision.rescaled,
        step.replicas,
        [(one.error, one.proposal and one.proposal.hold) for one in decision.evaluations],
        stable is not None and stable.replicas != decision.proposed,
        limited and limited.reason,
    )


def _closing(workload: Workload, found: Replay) -> str:
    told = _summary(found)
    text = (
        f"peak {told['peak_replicas']} pods, {told['rescales']} rescales, {told['last_replicas']} at the end"
    )
    share = told["cpu_unmet_share"]
    if share and workload.cpu_limit is not None:
        text += (
            f"; {share * 100:.3g} % of the CPU asked for was more than the ready pods' limits "
            f"({workload.cpu_limit:g} each) give"
        )
    elif share:
        text += f"; {share * 100:.3g} % of the CPU was asked for while no pod was ready"
    return text
