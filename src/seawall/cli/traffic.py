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
    """A duration such as 10m in seconds; the option is refused if it is none, or not above 0."""
    from seawall.fleet.units import parse_seconds

    if value is None:
        return None
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if seconds <= 0.0:
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
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")
@click.option("--kind", type=click.Choice(["auto", "accesslog", "csv"]), default="auto", show_default=True,
              help="What FILE is; auto looks at its first lines.")  # fmt: skip
@click.option("--log-format", metavar="FORMAT",
              help="A log's format: combined, nginx, haproxy, alb, har, gor, or Apache's LogFormat or nginx's "
              "log_format as configured. Default: its first lines tell.")  # fmt: skip
@click.option("--session", metavar="KEY",
              help="What tells visitors apart: user, address, cookie:NAME, header:NAME. Default: user, or "
              "address and agent.")  # fmt: skip
@click.option(
    "--stamp", type=click.Choice(["arrival", "end"]), help="What a log's times are. Default: by its format."
)
@click.option("--time-column", metavar="NAME", help="Which column of a CSV holds times.")
@click.option("--rate-column", metavar="NAME", help="Which column of a CSV holds requests per second.")
@click.option("--from", "begin", metavar="TIME",
              help="Replay from here: 10:05, or 5m after the first request. Default: where the wave is, or "
              "where it is busiest.")  # fmt: skip
@click.option(
    "--for", "length", callback=_duration, metavar="TIME", help="Replay so much. Default: 10m, or the wave."
)
@click.option("--redact", callback=_patterns, multiple=True, metavar="REGEX",
              help="Show * in paths for what this matches; may be repeated.")  # fmt: skip
@click.option("--block", "block_alone", is_flag=True, help="Print the traffic: block and nothing else.")
@click.option("--write", "fleet", type=PATH, metavar="FLEET", help="Put the block into this fleet file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    files: tuple[Path, ...],
    begin: str | None,
    length: float | None,
    redact: tuple[re.Pattern[str], ...],
    block_alone: bool,
    fleet: Path | None,
    as_json: bool,
    **reading: str | None,
) -> None:
    """What is in recorded traffic? Rate, bursts, visitors, mix.

    FILE is a log of requests (Apache, nginx, HAProxy, ALB, HAR, GoReplay; plain or gzip; several, a folder, or
    a pattern of names) or a CSV of requests per second. What was found ends with a traffic: block that replays
    the wave, or the busiest ten minutes:

    \b
      seawall traffic access.log
      seawall traffic access.log --write fleet.yaml     into a fleet file that is there
      seawall traffic access.log --block >> fleet.yaml  to one that has no traffic yet

    No address and no user name is printed; --redact leaves out what paths give away.
    """
    from seawall.cli.recordings import start_of
    from seawall.traffic.profile import part_to_replay, profile

    if as_json and block_alone:
        raise click.UsageError("--json and --block cannot be given together.")
    recording = _read(files, reading)
    _refuse_misplaced(recording, reading)
    found = profile(recording, redact)
    try:
        part = part_to_replay(found, length, None if begin is None else start_of(begin, recording))
    except ValueError as error:
        raise click.BadParameter(f"{error}; change --from", param_hint="--from") from None
    block = _block(found, part, files, reading, fleet)
    written = _write(fleet, block) if fleet is not None else ()
    if as_json:
        _print_json(found, block)
    elif block_alone:
        click.echo(block.text, nl=False)
    else:
        _print_text(found, block, written)


def _read(files: tuple[Path, ...], reading: dict[str, str | None]) -> Recording:
    """The recording; on a terminal a word is said while a long one is read."""
    import sys

    from seawall.traffic.recorded import read_recording

    options: dict[str, Any] = {name: value for name, value in reading.items() if value is not None}
    if not sys.stderr.isatty() or _size(files) < LONG_BYTES:
        return read_recording(files, **options)
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(f"reading {escape(str(files[0]))} ..."):
        return read_recording(files, **options)


def _refuse_misplaced(recording: Recording, reading: dict[str, str | None]) -> None:
    """Options that say nothing about this kind of recording."""
    is_log = recording.log is not None
    others = ("time_column", "rate_column") if is_log else ("log_format", "session", "stamp")
    for name in others:
        if reading[name] is not None:
            what = "a log of requests" if is_log else "a CSV of requests per second"
            raise click.UsageError(f"--{name.replace('_', '-')} says nothing about {what}, which this is.")


def _size(files: tuple[Path, ...]) -> float:
    """Bytes of all files; no end of them where one is a pipe."""
    import math

    from seawall.traffic.files import recorded_files

    size = 0.0
    for file in recorded_files(files):
        try:
            size += Path(file).stat().st_size if Path(file).is_file() else math.inf
        except OSError:
            continue
    return size


def _block(
    found: Profile, part: Part, files: tuple[Path, ...], reading: dict[str, str | None], fleet: Path | None
) -> Block:
    """The block for the files; what cannot be read again, such as a pipe, is described instead of replayed."""
    import os

    from seawall.cli.trafficblock import Replay, block_of

    keys = {
        "kind": "kind",
        "log_format": "format",
        "session": "session",
        "stamp": "stamp",
        "time_column": "timeColumn",
        "rate_column": "rateColumn",
    }
    options = {keys[name]: value for name, value in reading.items() if value not in (None, "auto")}
    name = _one_name(files)
    if name is not None and not name.is_absolute():
        name = Path(os.path.relpath(name, Path.cwd() if fleet is None else fleet.parent))
    texts = {key: str(value) for key, value in options.items()}
    return block_of(found, part, Replay(None if name is None else str(name), texts))


def _one_name(files: tuple[Path, ...]) -> Path | None:
    """What names all the files at once: one of them, their folder or a pattern; None if nothing does, or for a pipe."""
    import os

    from seawall.fleet.errors import InputError
    from seawall.traffic.files import recorded_files

    meant = {str(file) for file in recorded_files(files)}
    if not all(Path(file).is_file() for file in meant):
        return None
    if len(files) == 1:
        return files[0]
    head = _common(meant)
    tail = _common({file[len(head) :][::-1] for file in meant})[::-1]
    for name in (os.path.dirname(head), f"{head}*{tail}"):
        try:
            if name and {str(file) for file in recorded_files(name)} == meant:
                return Path(name)
        except InputError:
            continue
    return None


def _common(texts: set[str]) -> str:
    """With what all texts begin."""
    low, high = min(texts), max(texts)
    same = (n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b)
    return low[: next(same, len(low))]


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
        "unit": found.unit,
        "requests": found.requests,
        "lines": found.lines,
        "damaged": found.damaged,
        "without_request": found.without_request,
        "began_at": found.origin,
        "utc_offset_s": found.utc_offset_s,
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
