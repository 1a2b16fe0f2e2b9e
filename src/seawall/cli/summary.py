"""The verdicts as text for a terminal: the variants side by side, then what began each fall."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

from seawall.record import words
from seawall.record.fragments import headline, title
from seawall.record.objectives import Objective
from seawall.record.record import Record
from seawall.record.remarks import remarks
from seawall.record.verdict import Verdict
from seawall.record.vocabulary import KINDS, PARTS

LABEL = 29
COLUMN = 16
LONGEST = 40
_OUTCOMES = ("failed", "timed_out", "refused", "shed", "under_way")
_VOID = ("VOID", "yellow")
_STATES = {True: ("STANDS", "green"), False: ("FALLS", "red"), None: ("no verdict", "yellow")}


def summary(records: Sequence[Record], verdicts: Sequence[Verdict], width: int = 80) -> str:
    """All of it as one text, with colours as ANSI codes (`click.echo` takes them out where they do not belong)."""
    parts = [_heading(records, verdicts, width)]
    column = min(LONGEST, max([COLUMN, *(len(v.name) + 2 for v in verdicts)]))
    if len(verdicts) == 1:
        column = width - LABEL + 1
    side_by_side = max(1, (width - LABEL) // column)
    for first in range(0, len(verdicts), side_by_side):
        parts.append(_table(verdicts[first : first + side_by_side], column))
    parts += [text for v in verdicts for text in _causes(v, width)]
    parts += _remarks(records, width)
    parts += _notes(records, width)
    parts += _provisional(records, width)
    return "\n\n".join(parts) + "\n"


def _heading(records: Sequence[Record], verdicts: Sequence[Verdict], width: int) -> str:
    described = records[0].description
    facts = f"seed {described['seed']} · seawall {described['version']}"
    name = click.style(title(records), bold=True)
    text = str(described.get("completed", {}).get("description") or "")
    lines = [f"{name} · {facts}", textwrap.fill(text, width) if text else "", headline(verdicts)]
    for v in verdicts:
        if v.void is not None:
            said = textwrap.fill(f"VOID: {v.void}", width, subsequent_indent="  ")
            lines.append(click.style(said, fg="yellow", bold=True))
    return "\n".join(line for line in lines if line)


def _table(verdicts: Sequence[Verdict], column: int) -> str:
    states = [_STATES[v.stands] if v.void is None else _VOID for v in verdicts]
    lines = [
        _line(column, "", [v.name for v in verdicts], [{"bold": True} for _ in verdicts]),
        _line(
            column,
            "verdict",
            [word for word, _ in states],
            [{"bold": True, "fg": colour} for _, colour in states],
        ),
    ]
    rows = [(label, cells) for label, cells in _rows(verdicts) if any(cell != words.NONE for cell in cells)]
    return "\n".join(lines + [_line(column, label, cells) for label, cells in rows])


def _line(
    column: int, label: str, cells: Sequence[str], styles: Sequence[dict[str, Any]] | None = None
) -> str:
    """A row; spaces fill the columns but the last, `column` characters wide."""
    texts = [cell if len(cell) < column else cell[: column - 2] + "…" for cell in cells]
    gaps = [" " * (column - len(text)) for text in texts[:-1]] + [""]
    styled = [
        click.style(text, **style) for text, style in zip(texts, styles or [{}] * len(texts), strict=True)
    ]
    row = label.ljust(LABEL) + "".join(text + gap for text, gap in zip(styled, gaps, strict=True))
    return row.rstrip()


def _rows(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, list[str]]]:
    """Each row's label and its cells, one a variant."""
    if any(v.provisional for v in verdicts):
        yield "", ["provisional" if v.provisional else "" for v in verdicts]
    yield "requests sent", [words.count(v.requests["sent"]) for v in verdicts]
    for i, objective in enumerate(verdicts[0].objectives):
        if objective.name.startswith("served"):
            yield _bound(objective), [_judged(v.objectives[i]) for v in verdicts]
    yield from _outcomes(verdicts)
    promised = {objective.name: i for i, objective in enumerate(verdicts[0].objectives)}
    for name in ("p50", "p95", "p99"):
        if f"{name}_ms" not in promised:
            yield name, [words.milliseconds(v.latency_ms[name]) for v in verdicts]
    for name, i in promised.items():
        if not name.startswith("served"):
            yield _bound(verdicts[0].objectives[i]), [_judged(v.objectives[i]) for v in verdicts]
    if any(v.first_byte_ms for v in verdicts):
        yield "first byte p50, p99", [_pair(v.first_byte_ms) for v in verdicts]
    when = "in the wave" if any(v.wave for v in verdicts) else "on average"
    for key, label in (("sent_in_wave", f"sent {when}"), ("answered_in_wave", "answered")):
        yield label, [_per(words.count(v.rates[key]), "/s") for v in verdicts]
    yield from _generator(verdicts)
    for key, label in (
        ("pods", "most pods"),
        ("nodes", "most nodes"),
        ("nodes_not_ready", "nodes not ready"),
    ):
        yield label, [words.count(v.peak[key]) for v in verdicts]
    yield "largest pod", [words.mib(v.peak["pod_memory_mib"]) for v in verdicts]
    yield "OOM kills", [words.count(v.oom_kills) for v in verdicts]
    yield "restarts", [words.count(v.restarts) for v in verdicts]
    costs = [v.cost for v in verdicts]
    yield "cost at peak", [_per(words.money(c["per_hour_at_peak"], c["currency"]), "/h") for c in costs]
    yield "a user, a month", [words.money(c["per_concurrent_user_month"], c["currency"]) for c in costs]
    for i, expected in enumerate(verdicts[0].expectations):
        yield expected.name, [_expected(v, v.expectations[i]) for v in verdicts]


def _expected(verdict: Verdict, expected: Objective) -> str:
    word = "void" if verdict.void is not None else "met" if expected.met else "MISSED"
    return f"{word} ({words.objective_value(expected.name, expected.actual)})"


def _outcomes(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, list[str]]]:
    """How the requests ended that were not answered, by kind where a generator tells them apart; and the 4xx."""
    for name in _OUTCOMES:
        if not any(v.requests[name] for v in verdicts):
            continue
        yield name.replace("_", " "), [words.count(v.requests[name]) for v in verdicts]
        for part in PARTS.get(name, ()):
            counts = [(v.failures or {}).get(part) for v in verdicts]
            if any(counts):
                yield f"  {words.FAILURE_NAMES[part]}", [words.count(n) for n in counts]
    client_errors = [v.counts.get("answered_4xx") for v in verdicts]
    if any(client_errors):
        yield "of those answered: 4xx", [words.count(n) for n in client_errors]


def _generator(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, list[str]]]:
    """What the generator did, and how late it was itself."""
    told = [v.generator or {} for v in verdicts]
    yield "connections opened", [words.count(v.counts.get("connects")) for v in verdicts]
    yield "received", [words.size(v.counts.get("received_bytes")) for v in verdicts]
    late = [words.milliseconds(of.get("lateness_p99_ms")) for of in told]
    limits = {of["limit_ms"] for of in told if of.get("limit_ms") is not None}
    bound = f" ≤ {words.milliseconds(limits.pop())}" if len(limits) == 1 else ""
    yield (
        f"generator late p99{bound}",
        [f"{t} ✗" if v.void else t for t, v in zip(late, verdicts, strict=True)],
    )


def _pair(percentiles: dict[str, float | None] | None) -> str:
    if percentiles is None or percentiles["p50"] is None:
        return words.NONE
    return ", ".join(words.milliseconds(percentiles[name]) for name in ("p50", "p99"))


def _bound(objective: Objective) -> str:
    """`p99 ≤ 800 ms`: an objective's name with its target."""
    sign = "≥" if objective.name.startswith("served") else "≤"
    name = words.objective_name(objective.name).removesuffix(", whole run")
    return f"{name} {sign} {words.objective_value(objective.name, objective.target)}"


def _judged(objective: Objective) -> str:
    return words.objective_value(objective.name, objective.actual) + ("" if objective.met else " ✗")


def _per(value: str, unit: str) -> str:
    return value if value == words.NONE else value + unit


def _causes(verdict: Verdict, width: int) -> list[str]:
    cause, loss = verdict.first_cause, verdict.first_loss
    if cause is not None:
        text = f"{words.clock(cause.t)} {cause.object}: {cause.message or KINDS[cause.kind]}"
    elif loss is not None:
        text = f"{words.clock(loss.asked)} {words.objective_name(loss.objective)} lost; no event explains it"
    else:
        return []
    return [textwrap.fill(f"{verdict.name} falls, first cause: {text}", width, subsequent_indent="  ")]


def _remarks(records: Sequence[Record], width: int) -> list[str]:
    """What is to be borne in mind of a wave. (A simulation has said its warnings before it ran.)"""
    waves = [record for record in records if record.description.get("world") == "wave"]
    texts = dict.fromkeys(text for record in waves for text in remarks(record))
    lines = [textwrap.fill(f"  {text}", width, subsequent_indent="    ") for text in texts]
    return ["\n".join(["mind:", *lines])] if lines else []


def _notes(records: Sequence[Record], width: int) -> list[str]:
    notes: dict[str, str] = {}
    for record in records:
        notes |= record.description.get("notes") or {}
    lines = [
        textwrap.fill(f"  {key}: {text}", width, subsequent_indent="    ") for key, text in notes.items()
    ]
    return ["\n".join(["given with the fleet, to compare:", *lines])] if lines else []


def _provisional(records: Sequence[Record], width: int) -> list[str]:
    assumptions = {path for record in records for path in record.description.get("assumptions") or {}}
    defaults = {path for record in records for path in record.description.get("defaults") or []}
    if not assumptions and not defaults:
        return []
    counted = words.listed(
        [
            words.plural(len(found), what)
            for found, what in ((assumptions, "assumption"), (defaults, "default"))
            if found
        ]
    )
    text = f"provisional: {counted} stand for what nobody has measured; the verdicts hold as far as they do"
    return [textwrap.fill(text, width, subsequent_indent="  ")]
