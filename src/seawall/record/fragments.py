"""The parts of the report that are text: verdict cards and tables, as HTML that reads without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from seawall.record import words
from seawall.record.charts import Spell, group_of, spells
from seawall.record.record import Event, Record
from seawall.record.remarks import remarks
from seawall.record.verdict import Verdict
from seawall.record.vocabulary import KINDS, PARTS

MOST_ROWS = 400
LOOKS = 6
"""How many colours and dashes there are; a seventh variant begins again."""
SIGNS = {"breaks": "✕", "presses": "▲", "shows": "◆", "capacity": "●", "story": "■"}
_ROW_NAMES = {
    "connects": "connections opened",
    "sent_bytes": "bytes sent",
    "received_bytes": "bytes received",
}
_STATES = {True: ("stands", "✓", "Stands"), False: ("falls", "✕", "Falls"), None: ("none", "?", "No verdict")}
_VOID = ("void", "!", "Void")
_OUTCOMES = ("sent", "answered", "failed", "timed_out", "refused", "shed", "under_way", "attempts", "retries")


def look(number: int) -> str:
    """The class that gives a variant its colour and dash."""
    return f"v{number % LOOKS}"


def _swatch(number: int) -> str:
    return (
        f'<svg class="swatch {look(number)}" viewBox="0 0 30 8" width="30" height="8" aria-hidden="true">'
        '<line x1="1" y1="4" x2="29" y2="4"/></svg>'
    )


def title(records: Sequence[Record]) -> str:
    """Whose run it was, as plain text: the fleets' names; for a wave what it was sent against."""
    found: dict[str, None] = {}
    for record in records:
        described = record.description
        name = str(described.get("fleet", "run"))
        target = described.get("target")
        if described.get("world") == "wave" and target:
            name = f"Wave against {target}" if name == "wave" else f"{name}: wave against {target}"
        found[name] = None
    return words.listed(list(found)) or "Seawall"


def headline(verdicts: Sequence[Verdict]) -> str:
    """The result in one sentence, as plain text."""
    parts = []
    for stands, one, many in ((True, "stands", "stand"), (False, "falls", "fall")):
        named = [v.name for v in verdicts if v.stands is stands]
        if named:
            parts.append(f"{words.listed(named)} {one if len(named) == 1 else many}")
    for is_void, why in ((True, "the run is void"), (False, "nothing was sent")):
        silent = [v.name for v in verdicts if v.stands is None and (v.void is not None) is is_void]
        if silent:
            parts.append(f"no verdict on {words.listed(silent)}: {why}")
    return "; ".join(parts) + "." if parts else "Nothing was run."


# -------------------------------------------------------------------------------------------------- the cards


def card(number: int, record: Record, verdict: Verdict) -> str:
    """One variant's verdict."""
    css, sign, word = _STATES[verdict.stands] if verdict.void is None else _VOID
    sent = verdict.requests["sent"]
    worst = next(o for o in verdict.objectives if o.name == "served_worst_60s")
    return f"""
<article class="card {look(number)} {css}-card" data-variant="{number}" aria-label="Verdict on {escape(verdict.name)}">
  <header>
    <button type="button" class="toggle" data-toggle="{number}" aria-pressed="true"
      title="Show or hide in the charts">{_swatch(number)}<span>{escape(verdict.name)}</span></button>
    <p class="state {css}"><span aria-hidden="true">{sign}</span> {word}</p>
  </header>
  <p class="served"><strong>{words.percent(verdict.served_share)}</strong>
    <span>of {words.count(sent)} requests served, {words.percent(worst.actual)} in the worst 60&nbsp;s</span></p>
  {_void(verdict)}{_cause(verdict)}
  <dl class="figures">{_figures(verdict)}</dl>
  {_provisional(record)}
</article>"""


def _void(verdict: Verdict) -> str:
    return "" if verdict.void is None else f'<p class="void-why"><b>Void</b> {escape(verdict.void)}</p>'


def void_banner(verdicts: Sequence[Verdict]) -> str:
    """Above all else: which runs are void; nothing where none is."""
    names = [verdict.name for verdict in verdicts if verdict.void is not None]
    if not names:
        return ""
    return (
        f'<p class="void-banner" role="alert"><b>Void: {escape(words.listed(names))}.</b> The generator was too late '
        "for these figures to be the server's. They are shown, but prove nothing.</p>"
    )


def _cause(verdict: Verdict) -> str:
    cause, loss = verdict.first_cause, verdict.first_loss
    if cause is not None:
        said = escape(cause.message or KINDS[cause.kind])
        return (
            f'<p class="cause"><b>First cause, {words.clock(cause.t)}</b> '
            f"<code>{escape(cause.kind)}</code> {escape(cause.object)}: {said}</p>"
        )
    if loss is not None:
        name = escape(words.objective_name(loss.objective))
        return f'<p class="cause"><b>Lost at {words.clock(loss.asked)}</b> {name}; no event explains it</p>'
    return ""


def _figures(verdict: Verdict) -> str:
    peak, cost = verdict.peak, verdict.cost
    per_user = words.money(cost["per_concurrent_user_month"], cost["currency"])
    when = "in the wave" if verdict.wave else "on average"
    rows = [
        ("p50 · p95 · p99", _percentiles(verdict.latency_ms)),
        ("first byte", _percentiles(verdict.first_byte_ms)),
        (f"answered {when}", f"{words.count(verdict.rates['answered_in_wave'])} /s"),
        (f"sent {when}", f"{words.count(verdict.rates['sent_in_wave'])} /s"),
        *_generator_figures(verdict),
        ("most pods", words.count(peak["pods"])),
        ("most nodes", words.count(peak["nodes"])),
        ("nodes not ready", words.count(peak["nodes_not_ready"])),
        ("largest pod", words.mib(peak["pod_memory_mib"])),
        ("OOM kills", words.count(verdict.oom_kills)),
        ("restarts", words.count(verdict.restarts)),
        ("cost at peak", f"{words.money(cost['per_hour_at_peak'], cost['currency'])} /h"),
        ("a user, a month", per_user),
    ]
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in rows
        if not value.startswith(words.NONE)
    )


def _percentiles(found: dict[str, float | None] | None) -> str:
    if found is None or found["p50"] is None:
        return words.NONE
    return " · ".join(words.milliseconds(found[name]) for name in ("p50", "p95", "p99"))


def _generator_figures(verdict: Verdict) -> list[tuple[str, str]]:
    """Why requests were not answered, and what the generator did; nothing where there was none."""
    rows = [
        (words.FAILURE_NAMES[kind], words.count(number))
        for kind, number in (verdict.failures or {}).items()
        if number
    ]
    if verdict.counts.get("answered_4xx"):
        rows.append(("4xx, answered", words.count(verdict.counts["answered_4xx"])))
    rows.append(("connections opened", words.count(verdict.counts.get("connects"))))
    rows.append(("received", words.size(verdict.counts.get("received_bytes"))))
    told = verdict.generator or {}
    late, limit = words.milliseconds(told.get("lateness_p99_ms")), words.milliseconds(told.get("limit_ms"))
    rows.append(("generator late, p99", late if limit == words.NONE else f"{late} (at most {limit})"))
    return rows


def _provisional(record: Record) -> str:
    """How many values the verdict rests on that nobody has measured, with the way to their list."""
    counted = (
        (len(record.description.get("assumptions") or {}), "assumption"),
        (len(record.description.get("defaults") or []), "default"),
    )
    listed = words.listed([words.plural(number, what) for number, what in counted if number])
    if not listed:
        return ""
    return f'<p class="provisional"><b>Provisional</b>: <a href="#rests">{listed}</a></p>'


def unmeasured(records: Sequence[Record]) -> str:
    """What the verdicts rest on that nobody has measured, each once; nothing where all was measured."""
    of: dict[tuple[str, str], list[str]] = {}
    for record in records:
        given = dict(record.description.get("assumptions") or {})
        given |= dict.fromkeys(record.description.get("defaults") or [], "default")
        for path, why in given.items():
            of.setdefault((path, str(why)), []).append(record.name)
    if not of:
        return ""
    rows = []
    for (path, why), names in of.items():
        only = f" <em>({escape(words.listed(names))})</em>" if len(names) < len(records) else ""
        rows.append(f"<div><dt><code>{escape(path)}</code>{only}</dt><dd>{escape(why)}</dd></div>")
    return (
        '<details class="rests" id="rests"><summary><b>Provisional</b>: '
        f"{words.plural(len(of), 'value')} that nobody has measured on the service</summary>"
        f"<p>The verdicts hold as far as these do.</p><dl>{''.join(rows)}</dl></details>"
    )


# ------------------------------------------------------------------------------------------------- the tables


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already; the first of each row is its header."""
    headers = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = []
    for first, *rest in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        body.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{headers}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _variant_head(verdicts: Sequence[Verdict]) -> list[str]:
    return [f"{_swatch(i)} {escape(v.name)}" for i, v in enumerate(verdicts)]


def objectives_table(verdicts: Sequence[Verdict]) -> str:
    """Every objective with its target, and what each variant made of it."""
    names = list(dict.fromkeys(o.name for v in verdicts for o in (*v.objectives, *v.expectations)))
    rows = []
    for name in names:
        of = [next((o for o in (*v.objectives, *v.expectations) if o.name == name), None) for v in verdicts]
        targets = {words.objective_value(name, o.target) for o in of if o is not None}
        sign = (
            "≥ " if name.startswith("served_") or name == "served" else "≤ " if name.endswith("_ms") else ""
        )
        row = [escape(words.objective_name(name)), sign + " / ".join(sorted(targets))]
        for o, v in zip(of, verdicts, strict=True):
            if o is None:
                row.append(words.NONE)
                continue
            mark = '<b class="met">✓ met</b>' if o.met else '<b class="missed">✕ missed</b>'
            if v.void is not None:
                mark = '<b class="proves-nothing">! void</b>'
            row.append(f"{words.objective_value(name, o.actual)} {mark}")
        rows.append(row)
    return _table("Objectives", ["objective", "target", *_variant_head(verdicts)], rows)


def requests_table(records: Sequence[Record], verdicts: Sequence[Verdict]) -> str:
    """How requests ended, over the run."""
    rows = []
    for key in (*_OUTCOMES, "wasted", "resent", "redirected", "connects", "sent_bytes", "received_bytes"):
        if all(record.totals.get(key) is None for record in records):
            continue
        write = words.size if key.endswith("_bytes") else words.count
        rows.append(
            [_ROW_NAMES.get(key, key.replace("_", " ")), *(write(r.totals.get(key)) for r in records)]
        )
        parts = ("answered_4xx",) if key == "answered" else PARTS.get(key, ())
        for part in parts:
            if any(record.totals.get(part) for record in records):
                name = words.FAILURE_NAMES.get(part, "4xx")
                rows.append(
                    [f'<span class="part">{name}</span>', *(words.count(r.totals.get(part)) for r in records)]
                )
    return _table("Requests", ["over the run", *_variant_head(verdicts)], rows)


def classes_table(records: Sequence[Record], verdicts: Sequence[Verdict]) -> str:
    """The served share of each request class; nothing where no run tells classes apart."""
    names = list(dict.fromkeys(name for record in records for name in record.per_class))
    if len(names) < 2:
        return ""
    rows = []
    for name in names:
        row = [escape(name)]
        for record in records:
            totals = record.per_class.get(name)
            if totals is None or not totals["sent"]:
                row.append(words.NONE)
            else:
                share = words.percent(totals["answered"] / totals["sent"])
                row.append(f"{share} of {words.count(totals['sent'])}")
        rows.append(row)
    return _table("Served by request class", ["class", *_variant_head(verdicts)], rows)


def notes_table(records: Sequence[Record], verdicts: Sequence[Verdict]) -> str:
    """Figures given with the fleet beside those that came out; nothing where the fleet has no notes."""
    notes: dict[str, str] = {}
    for record in records:
        notes |= record.description.get("notes") or {}
    if not notes:
        return ""
    given = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{escape(str(text))}</dd></div>" for k, text in notes.items()
    )
    return (
        '<section class="notes" aria-labelledby="notes-title">'
        '<h2 id="notes-title">Beside the figures given</h2>'
        f'<div class="pair"><dl><h3>Given with the fleet</h3>{given}</dl>{_own_figures(verdicts)}</div></section>'
    )


def _own_figures(verdicts: Sequence[Verdict]) -> str:
    """The figures of this run that a team would hold beside its own."""

    def lost(verdict: Verdict) -> str:
        unserved = verdict.requests["sent"] - verdict.requests["answered"]
        if not unserved:
            return "none"
        one_in = verdict.requests["sent"] / unserved
        return f"1 in {words.count(round(one_in, 1))}" if one_in >= 2.0 else words.percent(1.0 / one_in)

    rows = [
        ["requests/s in the wave, sent", *(words.count(v.rates["sent_in_wave"]) for v in verdicts)],
        ["requests/s in the wave, answered", *(words.count(v.rates["answered_in_wave"]) for v in verdicts)],
        ["requests not answered", *(lost(v) for v in verdicts)],
        ["largest pod", *(words.mib(v.peak["pod_memory_mib"]) for v in verdicts)],
        [
            "cost an hour at peak",
            *(words.money(v.cost["per_hour_at_peak"], v.cost["currency"]) for v in verdicts),
        ],
    ]
    known = [row for row in rows if any(cell != words.NONE for cell in row[1:])]
    return _table("In this run", ["", *_variant_head(verdicts)], known)


def warnings_list(records: Sequence[Record]) -> str:
    """What is to be borne in mind of all variants, each once; nothing where there are none."""
    texts = dict.fromkeys(text for record in records for text in remarks(record))
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<aside class="warnings" aria-label="Warnings"><b>Mind</b><ul>{items}</ul></aside>'


def events_table(events: Sequence[Sequence[Event]], verdicts: Sequence[Verdict]) -> str:
    """Each variant's events in the order of time; those of a kind that follow closely are one row."""
    found = [(spell, i) for i, of_one in enumerate(events) for spell in spells(of_one)]
    found.sort(key=lambda pair: (pair[0].first.t, pair[1]))
    rows = "".join(_event_row(spell, i, verdicts[i].name) for spell, i in found[:MOST_ROWS])
    rest = len(found) - MOST_ROWS
    more = f'<p class="hint">{words.count(rest)} further rows are in the record.</p>' if rest > 0 else ""
    head = "".join(f'<th scope="col">{h}</th>' for h in ("time", "variant", "kind", "object", "what"))
    return (
        f'<div class="scroll tall"><table class="events"><caption>Events</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}"
    )


def _event_row(spell: Spell, number: int, name: str) -> str:
    event = spell.first
    group = group_of(event.kind)
    until = f" – {words.clock(spell.until)}" if spell.until - event.t >= 1.0 else ""
    times = f' <span class="times">×{words.count(spell.count)}</span>' if spell.count > 1 else ""
    others = f" and {spell.objects - 1} more" if spell.objects > 1 else ""
    return (
        f'<tr data-kind="{escape(event.kind)}" data-variant="{number}" data-t="{event.t:g}">'
        f'<td><button type="button" class="go">{words.clock(event.t)}</button>{until}</td>'
        f"<td>{_swatch(number)} {escape(name)}</td>"
        f'<td><span class="sign {group}" aria-hidden="true">{SIGNS[group]}</span> '
        f"<code>{escape(event.kind)}</code>{times}</td>"
        f"<td>{escape(event.object)}{others}</td><td>{escape(event.message or KINDS[event.kind])}</td></tr>"
    )


def masthead_wave(values: Sequence[Any]) -> str:
    """The shape of the traffic as an area of 1000 by 100, for the head of the page."""
    known = [float(value or 0.0) for value in values]
    top = max(known, default=0.0)
    if len(known) < 2 or top <= 0.0:
        return ""
    every = max(1, len(known) // 160)
    shown = known[::every]
    steps = [f"{1000.0 * i / (len(shown) - 1):.1f} {100.0 - 92.0 * v / top:.1f}" for i, v in enumerate(shown)]
    return (
        '<svg class="wave" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="area" d="M0 100L{"L".join(steps)}L1000 100Z"/><path d="M{"L".join(steps)}"/></svg>'
    )
