"""Invariant S1, for every world: no request is lost, and none is counted twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seawall.record.record import Record
from seawall.record.vocabulary import OUTCOMES, REQUEST_TOTALS

_PARTS_OF_A_WHOLE = (
    ("nodes_ready", "nodes"),
    ("nodes_stalled", "nodes"),
    ("pods_ready", "pods"),
    ("workers_busy", "workers"),
)


def check_conservation(record: Record) -> list[str]:
    """What does not add up, one sentence each; empty where all does.

    Sent = answered + failed + timed out + refused + shed + still under way: over the run, for each request
    class, for each bin by intended time, and at the end of each bin. Attempts are counted apart.
    """
    return [
        *_totals(record),
        *_classes(record),
        *_columns_against_totals(record),
        *_bins(record),
        *_moments(record),
        *_parts(record),
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
    for key in ("sent", *OUTCOMES, "attempts", "wasted", "oom_kills"):
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


def _where(record: Record, wrong: NDArray[np.bool_], what: str) -> list[str]:
    """One sentence with the first moment, where anything is wrong at all."""
    bins = np.nonzero(wrong)[0]
    if len(bins) == 0:
        return []
    return [f"t = {float(record.series['t'][bins[0]]):g} s: {what} ({len(bins)} of {record.bins} bins)"]
