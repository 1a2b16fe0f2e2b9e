"""One self-contained HTML page on one or several records: verdicts, charts over time, events."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from seawall.fleet.errors import InputError
from seawall.record import fragments, words
from seawall.record.charts import (
    QUIET,
    bounds,
    charts,
    group_of,
    kinds_present,
    points,
    thinned,
    time_step,
)
from seawall.record.record import Event, Record
from seawall.record.verdict import Verdict, verdict
from seawall.record.vocabulary import KINDS


def report(records: Sequence[Record], verdicts: Sequence[Verdict] | None = None) -> str:
    """The page as HTML, for the records of one fleet's variants in the order given.

    `verdicts` are those of the records, where they hold expectations; by default they are made here. The page
    asks nothing of any network, and says so to the browser. The same records give the same page.
    """
    if verdicts is None:
        verdicts = [verdict(record) for record in records]
    events = [_with_loss(record, judged) for record, judged in zip(records, verdicts, strict=True)]
    data = _data(records, events)
    script = _asset("uplot/uPlot.iife.min.js"), _asset("writing.js") + _asset("report.js")
    style = _asset("uplot/uPlot.min.css") + _asset("report.css")
    licence = _asset("uplot/LICENSE.txt").strip()
    variants = data["variants"]
    shape = variants[0]["columns"].get("users") or variants[0]["columns"]["sent_rate"] if variants else []
    return Template(_asset("report.html")).substitute(
        policy=_policy(script, style),
        title=escape(fragments.title(records)),
        headline=escape(fragments.headline(verdicts)),
        facts=escape(_facts(records)),
        about=escape(_about(records)),
        wave=fragments.masthead_wave(shape),
        void=fragments.void_banner(verdicts),
        warnings=fragments.warnings_list(records),
        cards="".join(
            fragments.card(i, r, v) for i, (r, v) in enumerate(zip(records, verdicts, strict=True))
        ),
        unmeasured=fragments.unmeasured(records),
        notes=fragments.notes_table(records, verdicts),
        objectives=fragments.objectives_table(verdicts),
        requests=fragments.requests_table(records, verdicts),
        classes=fragments.classes_table(records, verdicts),
        events=fragments.events_table(events, verdicts),
        licence=escape(licence),
        style=style,
        data=_embedded(data),
        uplot=script[0],
        script=script[1],
    )


def write_report(
    path: str | Path, records: Sequence[Record], verdicts: Sequence[Verdict] | None = None
) -> Path:
    """Write the page, whole or not at all; InputError where it cannot be written."""
    target = Path(path)
    page = report(records, verdicts)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    except OSError as error:
        raise InputError(f"cannot write the report here: {error.strerror}", file=target) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot write the report here: {error.strerror}", file=target) from error
        raise
    return target


def _asset(name: str) -> str:
    return files("seawall.record").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], style: str) -> str:
    """A Content-Security-Policy: nothing runs but what stands in the page, and nothing is fetched."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    allowed = " ".join(hashed(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {hashed(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _about(records: Sequence[Record]) -> str:
    """What the fleet file says of itself, as plain text."""
    completed = records[0].description.get("completed") if records else None
    return str((completed or {}).get("description") or "").strip()


def _facts(records: Sequence[Record]) -> str:
    """World, seed, version, length and wave in a line, as plain text; what differs is given for each."""
    facts = []
    for key, label in (("world", "world"), ("seed", "seed"), ("version", "Seawall")):
        values = dict.fromkeys(str(r.description[key]) for r in records if r.description.get(key) is not None)
        if values:
            facts.append(f"{label} {' / '.join(values)}")
    for record in records:
        part, merged = record.description.get("part") or (1, 1), record.description.get("merged")
        if merged and merged["of"] > 1:
            facts.append(f"{len(merged['parts'])} of {merged['of']} parts merged")
        elif part[1] > 1:
            facts.append(f"part {part[0]} of {part[1]}")
    lengths = dict.fromkeys(words.clock(record.bins * record.bin_seconds) for record in records)
    facts.append(f"{' / '.join(lengths)} long")
    waves = dict.fromkeys(
        f"{words.clock(r.wave[0])} to {words.clock(r.wave[1])}" for r in records if r.wave is not None
    )
    if waves:
        facts.append(f"wave from {' / '.join(waves)}")
    return " · ".join(facts)


def _with_loss(record: Record, judged: Verdict) -> list[Event]:
    """A record's events, with the loss of its first objective where the world did not write it itself."""
    loss = judged.first_loss
    events = list(record.events)
    if loss is not None and not any(event.kind == "objective-lost" for event in events):
        name = words.objective_name(loss.objective)
        events.append(Event(loss.asked, "objective-lost", name, "by the requests sent until then"))
        events.sort(key=lambda event: event.t)
    return events


def _data(records: Sequence[Record], events: Sequence[Sequence[Event]]) -> dict[str, Any]:
    """What the page's script draws from."""
    step = time_step(records)
    columns = [points(record, step) for record in records]
    drawn = {name for of_one in columns for name in of_one}
    chosen = charts(records, drawn)
    used = {column for chart in chosen for view in chart.views for column, _ in view.lines}
    kinds = kinds_present(events)
    return {
        "step": step,
        "charts": [
            {
                "name": chart.name,
                "title": chart.title,
                "unit": chart.unit,
                "log": chart.log,
                "views": [{"label": view.label, "lines": view.lines} for view in chart.views],
            }
            for chart in chosen
        ],
        "bounds": bounds(records),
        "kinds": [
            {
                "name": kind,
                "group": group_of(kind),
                "sign": fragments.SIGNS[group_of(kind)],
                "meaning": KINDS[kind],
                "quiet": kind in QUIET,
            }
            for kind in kinds
        ],
        "variants": [
            {
                "name": record.name,
                "wave": record.wave,
                "currency": record.description.get("currency"),
                "columns": {name: values for name, values in of_one.items() if name in used},
                "events": [
                    [event.t, kinds.index(event.kind), event.object, event.message, count]
                    for event, count in thinned(of_variant)
                ],
            }
            for record, of_one, of_variant in zip(records, columns, events, strict=True)
        ],
    }


def _embedded(data: Any) -> str:
    """JSON that can stand in a script element: no character in it can end the element or begin a tag."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
