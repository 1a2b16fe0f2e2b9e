"""`seawall simulate`: does the fleet stand? Its variants in the twin, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seawall.cli.ending import Code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seawall.fleet.reader import Fleet
    from seawall.record.expectation import Expectation
    from seawall.record.record import Record
    from seawall.record.verdict import Verdict

PATH = click.Path(path_type=Path)


@click.command("simulate")
@click.argument("fleet", metavar="NAME_OR_FILE")
@click.option("--variant", "names", multiple=True, metavar="NAME", help="Only this variant; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), default=0, show_default=True,
              help="Of all that is drawn at random: same seed, same record.")  # fmt: skip
@click.option(
    "--record", "folder", type=PATH, metavar="DIR", help="Keep each run's record in DIR/<variant>/."
)
@click.option(
    "--report", "page", type=PATH, metavar="FILE", help="Write one HTML page with charts over time."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--expect", "lines", multiple=True, metavar="EXPR",
              help="Also expect this, e.g. 'p99 < 800ms' or 'nodes <= 10'; may be repeated.")  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes at once. Default: one a core."
)
def command(
    fleet: str,
    names: tuple[str, ...],
    seed: int,
    folder: Path | None,
    page: Path | None,
    as_json: bool,
    lines: tuple[str, ...],
    jobs: int | None,
) -> None:
    """Does the fleet stand? Its variants, run side by side.

    Simulates the fleet under its traffic and prints the verdicts.

    NAME_OR_FILE is a fleet file, or a bundled story (passporter). All variants of the file run, side by side,
    or those named with --variant.

    \b
    Exit codes:
      0    done: what was named with --variant stands, every --expect is met
      1    a variant named with --variant falls, or an --expect is not met
      2    the input is wrong
      3    there is no verdict
      130  interrupted
    """
    from seawall.record.expectation import parse_expectation

    expectations = [parse_expectation(line) for line in lines]
    check_places(folder, page)
    fleets = _fleets(fleet, names)
    if folder is not None:
        _check_folders(fleets)
    warn(fleets)
    records, verdicts = _run(fleets, seed, jobs, expectations, folder)
    if page is not None:
        from seawall.record.report import write_report

        write_report(page, records, verdicts)
    if as_json:
        print_json(records, verdicts)
    else:
        print_text(records, verdicts, folder, page)
    click.get_current_context().exit(_code(verdicts, bool(names)))


def check_places(folder: Path | None, page: Path | None) -> None:
    """Refuse before a long run what could not be written after it."""
    from seawall.fleet.errors import InputError

    if folder is not None and folder.exists() and not folder.is_dir():
        raise InputError("--record: this is a file, and records need a folder; name another one", file=folder)
    if page is None:
        return
    if page.is_dir():
        raise InputError("--report: this is a folder; name a file in it, such as report.html", file=page)
    if not page.absolute().parent.is_dir():
        raise InputError(f"--report: there is no folder {page.parent}; make it, or name another", file=page)


def _fleets(name: str, names: Sequence[str]) -> list[Fleet]:
    """The fleet with each variant asked for, all if none is; InputError with what is wrong in any of them."""
    from seawall.fleet.errors import InputError, together
    from seawall.fleet.reader import complete, variants
    from seawall.fleet.stories import load

    source = load(name)
    found, errors = [], []
    for variant in dict.fromkeys(names or variants(source)):
        try:
            found.append(complete(source, variant))
        except InputError as error:
            errors.append(error)
            errors += error.others
    if errors:
        raise together(errors)
    return found


def _check_folders(fleets: Sequence[Fleet]) -> None:
    """Each variant's name becomes that of a folder."""
    from seawall.fleet.errors import InputError

    for fleet in fleets:
        name = fleet.variant
        if name in (".", "..") or "/" in name or "\0" in name or len(name.encode()) > 200:
            where = fleet.place.find(("variants", name))
            message = f"--record: {name!r} cannot be the name of a folder; give the variant another name"
            raise InputError(message, file=where.file, line=where.line)


def warn(fleets: Sequence[Fleet]) -> None:
    """What the user will not have meant, each once."""
    for warning in dict.fromkeys(warning for fleet in fleets for warning in fleet.warnings):
        say(f"warning: {_near(warning.file)}:{warning.line}: {warning.text}")
    ignored = list(dict.fromkeys(name for fleet in fleets for name in fleet.ignored))
    if ignored:
        say(f"note: these manifests play no part in a simulation: {', '.join(ignored)}")


def _near(file: str) -> str:
    """The file as it is called from here, if it is below."""
    import os

    path = os.path.relpath(file)
    return file if path.startswith(os.pardir) else path


def say(text: str) -> None:
    """A remark on standard error, in lines as wide as a terminal if it is one."""
    import shutil
    import sys
    import textwrap

    if sys.stderr.isatty():
        width = shutil.get_terminal_size((80, 24)).columns
        text = textwrap.fill(
            text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    click.echo(text, err=True)


def _run(
    fleets: Sequence[Fleet],
    seed: int,
    jobs: int | None,
    expectations: Sequence[Expectation],
    folder: Path | None,
) -> tuple[list[Record], list[Verdict]]:
    """Simulate, judge, and keep the records where they are wanted."""
    import os
    import time

    from seawall.cli.progress import Display
    from seawall.cli.running import simulate_all
    from seawall.record.record import write
    from seawall.record.verdict import verdict
    from seawall.twin.kernel import is_compiled

    began = time.time()
    with Display([fleet.variant for fleet in fleets], compiled=is_compiled()) as display:
        records = simulate_all(fleets, seed, jobs or len(os.sched_getaffinity(0)), display.tell)
    known = {warning.anywhere for fleet in fleets for warning in fleet.warnings}
    for text in dict.fromkeys(str(w) for record in records for w in record.description["warnings"]):
        if text not in known:
            say(f"warning: {text}")
    verdicts = [verdict(record, expectations) for record in records]
    if folder is not None:
        wallclock = {"began_at": began, "seconds": round(time.time() - began, 3)}
        for record in records:
            write(record, folder / record.name, wallclock=wallclock)
    return records, verdicts


def print_json(
    records: Sequence[Record], verdicts: Sequence[Verdict], more: Mapping[str, Any] | None = None
) -> None:
    """One object on standard output: what was run, `more` of it, and the verdicts."""
    import json

    described = records[0].description
    whole: dict[str, Any] = {key: described[key] for key in ("fleet", "seed", "version")} | dict(more or {})
    whole["variants"] = [verdict.as_json() for verdict in verdicts]
    click.echo(json.dumps(whole, ensure_ascii=False, allow_nan=False))


def print_text(
    records: Sequence[Record], verdicts: Sequence[Verdict], folder: Path | None, page: Path | None
) -> None:
    """The summary on standard output, and where records and report were put."""
    import shutil

    from seawall.cli.summary import summary

    width = max(60, min(120, shutil.get_terminal_size((80, 24)).columns))
    click.echo(summary(records, verdicts, width), nl=False)
    if folder is not None:
        click.echo(f"\nrecords: {', '.join(str(folder / record.name) for record in records)}")
    if page is not None:
        click.echo(f"\nreport: {page}")


def _code(verdicts: Sequence[Verdict], named: bool) -> Code:
    """The exit code of the verdicts; `named`: whether the variants were asked for by name."""
    if any(verdict.stands is None for verdict in verdicts):
        return Code.NO_VERDICT
    falls = named and not all(verdict.stands for verdict in verdicts)
    return Code.FALLS if falls or not all(verdict.expected for verdict in verdicts) else Code.DONE
