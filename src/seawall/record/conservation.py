"""Invariant S1, for every world: no request is lost, and none is counted twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.record.record import Record
from seawall.record.vocabulary import COLUMNS, OUTCOMES, PARTS, REQUEST_TOTALS, TOTALS, By

_PARTS_OF_A_WHOLE = (
    ("nodes_ready", "nodes"),
    ("nodes_stalled", "nodes"),
    ("pods_ready", "pods"),
    ("workers_busy", "workers"),
    ("answered_4xx", "answered"),
)
_COUNTED = tuple(name for name in TOTALS if name in COLUMNS and COLUMNS[name].by in (By.INTENDED, By.MOMENT))
"""Totals that are the sum of their column."""


def check_conservation(record: Record) -> list[str]:
    """What does not add up, one sentence each; empty where all does.

    Sent = answered + failed + timed out + refused + shed + still under way: over the run, for each request
    class, for each bin by intended time, and at the end of each bin. Attempts are counted apart. Where failures
    are told apart, their kinds add up to them; further histograms count the requests that they are of.
    """
    return [
        *_totals(record),
        *_classes(record),
        *_columns_against_totals(record),
        *_bins(record),
        *_moments(record),
        *_parts(record),
        *_kinds(record),
        *_histograms(record),
    ]


def _balance(name: str, totals: dict[str, int]) -> list[str]:
    ends = sum(totals[key] for key in REQUEST_TOTALS[1:])
    if totals["sent"] == ends:
        return []
    return [f"{name}: {totals['sent']} requests sent, but {ends} accounted for"]


def _totals(record: Record) -> list[str]:
    totals = record.totals
    found = _balance("the run", totals)
    found += [f"the run: {key} is {value}" for key, value in totals.items() if value < 0]
    if "attempts" in totals and "retries" in totals:
        due = totals["sent"] - totals["shed"] + totals["retries"]
        if totals["attempts"] != due:
            found.append(f"the run: {totals['attempts']} attempts, but {due} = sent - shed + retries")
    return found


def _classes(record: Record) -> list[str]:
    found = [text for name, totals in record.per_class.items() for text in _balance(f"class {name}", totals)]
    for key in REQUEST_TOTALS if record.per_class else ():
        of_classes = sum(totals[key] for totals in record.per_class.values())
        if of_classes != record.totals[key]:
            found.append(f"{key}: {of_classes} over all classes, {record.totals[key]} over the run")
    return found


def _columns_against_totals(record: Record) -> list[str]:
    found = []
    for key in _COUNTED:
        if key not in record.series or key not in record.totals:
            continue
        over_bins = int(record.series[key].sum())
        if over_bins != record.totals[key]:
            found.append(f"{key}: {over_bins} over all bins, {record.totals[key]} over the run")
    return found


def _bins(record: Record) -> list[str]:
    """By intended time: the outcomes of a bin never exceed what was sent; a latency for each answer."""
    series = record.series
    open_at_end = series["sent"] - sum(series[key] for key in OUTCOMES)
    found = _where(record, open_at_end < 0, "more outcomes than requests sent")
    if int(open_at_end.sum()) != record.totals["under_way"]:
        found.append(
            f"{int(open_at_end.sum())} requests lack an outcome, {record.totals['under_way']} are under way"
        )
    counted = record.latency.sum(axis=1, dtype=np.int64)
    return found + _where(record, counted != series["answered"], "latencies counted differ from answers")


def _moments(record: Record) -> list[str]:
    """At the end of each bin: sent so far = ended so far + under way."""
    series = record.series
    if not {"answered_at", "failed_at", "under_way"} <= series.keys():
        return []
    ended = series["answered_at"] + series["failed_at"] + series["shed"]
    off = np.cumsum(series["sent"] - ended) != series["under_way"]
    return _where(record, off, "sent so far differs from ended so far + under way")


def _parts(record: Record) -> list[str]:
    return [
        text
        for part, whole in _PARTS_OF_A_WHOLE
        if part in record.series and whole in record.series
        for text in _where(record, record.series[part] > record.series[whole], f"{part} above {whole}")
    ]


def _kinds(record: Record) -> list[str]:
    """Failures and time-outs are the sums of their kinds, in every bin, over the run and for each class."""
    tables: dict[str, Mapping[str, Any]] = {"": record.series, "the run": record.totals}
    tables |= {f"class {name}": totals for name, totals in record.per_class.items()}
    found = []
    for where, table in tables.items():
        for whole, parts in PARTS.items():
            if not all(part in table for part in parts):
                continue
            off = np.asarray(sum(table[part] for part in parts) != table[whole])
            what = f"{whole} differs from the sum of its kinds"
            found += _where(record, off, what) if off.ndim else [f"{where}: {what}"] * bool(off)
    return found


def _histograms(record: Record) -> list[str]:
    series, found = record.series, []
    counted = {name: counts.sum(axis=1, dtype=np.int64) for name, counts in record.histograms.items()}
    for name in ("first_byte", "service"):
        if name in counted:
            off = counted[name] != series["answered"]
            found += _where(record, off, f"{name} counts differ from answers")
    if "lateness" in counted:
        off = counted["lateness"] > series["sent"] - series["shed"]
        found += _where(record, off, "more lateness counted than requests sent")
    return found


def _where(record: Record, wrong: NDArray[np.bool_], what: str) -> list[str]:
    """One sentence with the first moment, where anything is wrong at all."""
    bins = np.nonzero(wrong)[0]
    if len(bins) == 0:
        return []
    return [f"t = {float(record.series['t'][bins[0]]):g} s: {what} ({len(bins)} of {record.bins} bins)"]
