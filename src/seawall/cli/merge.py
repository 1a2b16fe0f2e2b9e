"""`seawall merge`: the records of a wave's parts, sent from many machines, as the record of one wave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seawall.cli.ending import Code

if TYPE_CHECKING:
    from seawall.record.merge import Merged, Part
    from seawall.record.verdict import Verdict

PATH = click.Path(path_type=Path)


@click.command("merge")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=PATH)
@click.option("--record", "folder", type=PATH, metavar="DIR", help="Keep the wave's record in DIR/<name>/.")
@click.option(
    "--report", "page", type=PATH, metavar="FILE", help="Write one HTML page with charts over time."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--expect", "lines", multiple=True, metavar="EXPR",
              help="Expect this, e.g. 'p99 < 800ms' or 'failed_5xx = 0'; may be repeated.")  # fmt: skip
@click.option("--allow-missing", is_flag=True, help="Judge what there is although a part is missing.")
def command(
    folders: tuple[Path, ...],
    folder: Path | None,
    page: Path | None,
    as_json: bool,
    lines: tuple[str, ...],
    allow_missing: bool,
) -> None:
    """One wave from many machines: merge the records of its parts.

    Each FOLDER is the record of a part (`seawall wave --part 3/8 --record ...`), or holds such records. What they
    counted is added up exactly; how far apart the machines' clocks were, and their starts, is said.

    \b
    seawall merge parts/* --record out/ --expect "p99 < 800ms"

    \b
    Exit codes:
      0    done, every --expect is met
      1    an --expect is not met
      2    the input is wrong: not parts of one wave, or a part is missing
      3    there is no verdict: the generators were too late, or nothing was sent
    """
    from seawall.cli.simulate import check_places
    from seawall.record.expectation import expected_p99_s, parse_expectation
    from seawall.record.merge import merge
    from seawall.record.record import write
    from seawall.record.verdict import verdict

    expectations = [parse_expectation(line) for line in lines]
    check_places(folder, page)
    merged = merge(_parts(folders), allow_missing=allow_missing, asked_p99_s=expected_p99_s(expectations))
    judged = verdict(merged.record, expectations)
    if folder is not None:
        write(merged.record, folder / merged.record.name, wallclock=merged.wallclock)
    if page is not None:
        from seawall.record.report import write_report

        write_report(page, [merged.record], [judged])
    _print(merged, judged, folder, page, as_json)
    click.get_current_context().exit(_code(judged))


def _parts(folders: Sequence[Path]) -> Iterator[Part]:
    """The record of each part, read when it is its turn."""
    from seawall.record.merge import Part
    from seawall.record.record import read, read_wallclock

    for folder in folders:
        for source in _records_in(folder):
            yield Part(read(source), read_wallclock(source), source)


def _records_in(folder: Path) -> list[Path]:
    """The folder where it is a record, else those directly in it that are; InputError where none is."""
    from seawall.fleet.errors import InputError

    if (folder / "description.json").is_file():
        return [folder]
    found = []
    if folder.is_dir():
        found = [
            path.parent for path in folder.glob("*/description.json") if not path.parent.name.startswith(".")
        ]
    if not found:
        raise InputError("no record here, nor in a folder of it: description.json is missing", file=folder)
    return sorted(found)


def _print(merged: Merged, judged: Verdict, folder: Path | None, page: Path | None, as_json: bool) -> None:
    from seawall.cli.simulate import print_json, print_text

    record = merged.record
    if as_json:
        more = {"target": record.description.get("target"), "wallclock": merged.wallclock}
        print_json([record], [judged], more)
        return
    print_text([record], [judged], folder, page)
    # What is a warning stands in the summary already.
    told = [text for text in merged.clocks if not any(text in w for w in record.description["warnings"])]
    if told:
        click.echo("\n" + "\n".join(told))


def _code(judged: Verdict) -> Code:
    if judged.stands is None:
        return Code.NO_VERDICT
    return Code.DONE if judged.expected else Code.FALLS
