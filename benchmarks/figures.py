"""What the benchmarks share: figures measured in turns with their rival, as a table or one JSON object a line."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure beside its rival's; `rival` and `ratio` are None where there is none."""

    figure: str
    ours: float
    rival: float | None
    ratio: float | None
    unit: str


def figure(name: str, ours: float, rival: float | None, unit: str) -> Figure:
    """A figure rounded to what can be told."""
    ratio = None if not rival else float(f"{ours / rival:.3g}")
    return Figure(name, float(f"{ours:.4g}"), None if rival is None else float(f"{rival:.4g}"), ratio, unit)


def in_turns(ours: Callable[[], float], rival: Callable[[], float], runs: int) -> tuple[float, float]:
    """Medians of so many runs of both, taken in turns after one of each that does not count."""
    ours(), rival()
    both = [(ours(), rival()) for _ in range(runs)]
    return statistics.median(a for a, _ in both), statistics.median(b for _, b in both)


def options(document: str, runs: int = 5, files: Mapping[str, str] | None = None) -> argparse.Namespace:
    """The options of every benchmark (`runs`: by default so many), and files by name with their help."""
    parser = argparse.ArgumentParser(description=document.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object a line, nothing else")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--runs", type=int, default=None, help=f"runs that count ({runs}; 1 with --smoke)")
    for name, text in (files or {}).items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=text)
    given = parser.parse_args()
    given.runs = given.runs or (1 if given.smoke else runs)
    return given


def show(figures: Iterable[Figure], as_json: bool) -> None:
    """Print each figure as soon as it is measured."""
    if not as_json:
        print(f"{'figure':58}{'ours':>12}{'rival':>12}{'ratio':>10}  unit")
    for row in figures:
        if as_json:
            print(json.dumps(asdict(row)), flush=True)
            continue
        rival = "" if row.rival is None else f"{row.rival:,.6g}"
        ratio = "" if row.ratio is None else f"{row.ratio:g}"
        print(f"{row.figure:58}{row.ours:>12,.6g}{rival:>12}{ratio:>10}  {row.unit}", flush=True)
