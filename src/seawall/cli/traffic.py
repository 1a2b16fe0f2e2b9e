"""`seawall traffic`: what is in recorded traffic, and the part of a fleet file that replays it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from seawall.cli.trafficblock import Block
    from seawall.traffic.profile import Part, Profile
    from seawall.traffic.recorded import Recording

PATH = click.Path(path_type=Path)
LONG_BYTES = 40_000_000
"""Reading a file of so many bytes takes about a second: from here on a word is said meanwhile."""


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A duration such as 10m in seconds; the option is refused if it is none, or negative."""
    from seawall.fleet.units import parse_seconds

    if value is None:
        return None
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if seconds < 0.0 or (param.name == "length" and seconds == 0.0):
        raise click.BadParameter(f"{value} must be above 0", ctx, param)
    return seconds


def _patterns(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[re.Pattern[str], ...]:
    """Regular expressions; the option is refused where one is none, or matches nothing at all."""
    compiled = []
    for value in values:
        try:
            pattern = re.compile(value)
        except (re.error, RecursionError, OverflowError) as error:
            raise click.BadParameter(f"{value!r} is no regular expression: {error}", ctx, param) from None
        if pattern.fullmatch(""):
            raise click.BadParameter(f"{value!r} matches what is empty; say what to leave out", ctx, param)
        compiled.append(pattern)
    return tuple(compiled)


@click.command("traffic")
@click.argument("recording", type=PATH, metavar="FILE")
@click.option("--kind", type=click.Choice(["auto", "accesslog", "csv"]), default="auto", show_default=True,
              help="What FILE is; auto looks at its first lines.")  # fmt: skip
@click.option("--stamp", type=click.Choice(["arrival", "end"]), default="arrival", show_default=True,
              help="What a log's times are: Apache writes the arrival, nginx the end.")  # fmt: skip
@click.option("--from", "start", callback=_duration, metavar="TIME",
              help="Replay from so long after the start of FILE. Default: around the wave, or where it is "
              "busiest.")  # fmt: skip
@click.option(
    "--for", "length", callback=_duration, metavar="TIME", help="Replay so much. Default: 10m, or the wave."
)
@click.option("--redact", callback=_patterns, multiple=True, metavar="REGEX",
              help="Show * in paths for what this matches; may be repeated.")  # fmt: skip
@click.option("--block", "block_alone", is_flag=True, help="Print the traffic: block and nothing else.")
@click.option("--write", "fleet", type=PATH, metavar="FLEET", help="Put the block into this fleet file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    recording: Path,
    kind: str,
    stamp: str,
    start: float | None,
    length: float | None,
    redact: tuple[re.Pattern[str], ...],
    block_alone: bool,
    fleet: Path | None,
    as_json: bool,
) -> None:
    """What is in recorded traffic? Rate, bursts, visitors, mix.

    FILE is an access log (Apache's or nginx's; plain or gzip) or a CSV of requests per second. What was found
    ends with a traffic: block that replays the wave, or the busiest ten minutes:

    \b
      seawall traffic access.log
      seawall traffic access.log --write fleet.yaml     into a fleet file that is there
      seawall traffic access.log --block >> fleet.yaml  to one that has no traffic yet

    No address and no user name is printed; --redact leaves out what paths give away.
    """
    from seawall.traffic.profile import part_to_replay, profile

    if as_json and block_alone:
        raise click.UsageError("--json and --block cannot be given together.")
    found = profile(_read(recording, kind, stamp), redact)
    try:
        part = part_to_replay(found, length, start)
    except ValueError as error:
        raise click.BadParameter(f"{error}; change --from", param_hint="--from") from None
    block = _block(found, part, recording, kind, stamp, fleet)
    written = _write(fleet, block) if fleet is not None else ()
    if as_json:
        _print_json(found, block)
    elif block_alone:
        click.echo(block.text, nl=False)
    else:
        _print_text(found, block, written)


def _read(path: Path, kind: str, stamp: str) -> Recording:
    """The recording; on a terminal a word is said while a long one is read."""
    import sys

    from seawall.traffic.recorded import read_recording

    def read() -> Recording:
        return read_recording(path, kind, stamp=stamp)  # type: ignore[arg-type]

    try:
        long = not path.is_file() or path.stat().st_size >= LONG_BYTES
    except OSError:
        long = False
    if not (long and sys.stderr.isatty()):
        return read()
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(f"reading {escape(str(path))} ..."):
        return read()


def _block(found: Profile, part: Part, path: Path, kind: str, stamp: str, fleet: Path | None) -> Block:
    """The block for a file; what cannot be read again, such as a pipe, is described instead of replayed."""
    import os

    from seawall.cli.trafficblock import Replay, block_of

    options = {} if kind == "auto" else {"kind": kind}
    if stamp != "arrival" and found.kind == "accesslog":
        options["stamp"] = stamp
    folder = Path.cwd() if fleet is None else fleet.parent
    name = str(path) if path.is_absolute() else os.path.relpath(path, folder)
    return block_of(found, part, Replay(name if path.is_file() else None, options))


def _write(fleet: Path, block: Block) -> tuple[str, ...]:
    """Change the fleet file; what was done to it."""
    from seawall.cli.fleetedit import put_traffic, write_whole

    edited = put_traffic(fleet, block)
    write_whole(fleet, edited.text)
    return edited.done


def _print_text(found: Profile, block: Block, written: tuple[str, ...]) -> None:
    import sys

    from seawall.cli.trafficview import view

    try:
        "█░".encode(sys.stdout.encoding or "ascii")
        plain = False
    except (UnicodeEncodeError, LookupError):
        plain = True
    click.echo(view(found, plain=plain))
    if not written:
        click.echo(block.text, nl=False)
    for sentence in written:
        click.echo(sentence)


def _print_json(found: Profile, block: Block) -> None:
    import json

    click.echo(json.dumps(as_data(found, block)))


def as_data(found: Profile, block: Block) -> dict[str, Any]:
    """The profile as plain data; times in seconds from the start of the recording, `began_at` since 1970."""
    from dataclasses import asdict

    mix = None if found.mix is None else asdict(found.mix)
    if mix is not None:
        mix["statuses"] = {str(status): share for status, share in mix["statuses"].items()}
    part = block.part
    return {
        "file": found.source,
        "kind": found.kind,
        "requests": found.requests,
        "lines": found.lines,
        "damaged": found.damaged,
        "without_request": found.without_request,
        "began_at": found.origin,
        "seconds": found.seconds,
        "step_s": found.step_s,
        "holes": None if found.holes is None else asdict(found.holes),
        "rates": asdict(found.rates),
        "bursts": asdict(found.bursts),
        "visitors": None if found.visitors is None else asdict(found.visitors),
        "mix": mix,
        "columns": {
            "step_s": found.columns.step_s,
            "means": found.columns.means.tolist(),
            "peaks": found.columns.peaks.tolist(),
        },
        "replay": {"from_s": part.begin_s, "for_s": part.seconds, "requests": part.requests},
        "described": block.wave,
        "block": block.text,
        "notes": list(found.notes),
    }
