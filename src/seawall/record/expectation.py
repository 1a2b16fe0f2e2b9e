"""What a person expects of a run, as one line: `p99 < 800ms`, `served in wave > 99%`, `nodes <= 10`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.fleet.errors import InputError
from seawall.fleet.units import MIB, parse_quantity, parse_seconds, parse_share
from seawall.record.cost import per_concurrent_user_month, per_hour_at_peak, total_cost
from seawall.record.histogram import percentile
from seawall.record.objectives import Objective, milliseconds, served_share, share_of, worst_window
from seawall.record.record import Record
from seawall.record.vocabulary import HISTOGRAMS, PARTS

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_SUMS = (
    "sent", "answered", "failed", "timed_out", "refused", "shed", "attempts", "wasted", "oom_kills",
    "answered_4xx", *(part for parts in PARTS.values() for part in parts), "connects", "sent_bytes", "received_bytes",
)  # fmt: skip
_ONLY_TOTALS = ("retries", "resent", "redirected", "restarts", "under_way")
_PEAKS = {
    "pods": "pods",
    "nodes": "nodes",
    "nodes_stalled": "nodes_stalled",
    "pod_memory": "pod_memory_max_mib",
    "users": "users",
    "workers": "workers",
    "lb_queue": "lb_queue",
    "accept_queue": "accept_queue",
}
_SUBJECTS = (
    "served", "served worst 60s", "p99", *(f"{name}_p99" for name in HISTOGRAMS), *_SUMS, *_ONLY_TOTALS, *_PEAKS,
    "nodes_not_ready", "cost",
)  # fmt: skip
_PERCENTILE = re.compile(rf"(?:(?P<of>{'|'.join(HISTOGRAMS)})_)?(?P<name>p[0-9.]+)")
_EXAMPLES = "write for example 'p99 < 800ms', 'served in wave > 99%', 'nodes <= 10' or 'cost < 3.5/h'"
_LINE = re.compile(
    r"\s*(?P<subject>[a-z_][a-z0-9_.]*(?:\s+worst\s+60\s?s)?)(?P<wave>\s+in\s+(?:the\s+)?wave)?"
    r"\s*(?P<op><=|>=|!=|==|<|>|=)\s*(?P<value>\S.*?)\s*",
    re.IGNORECASE,
)
_COST = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?:[A-Z]{3})?\s*(?P<per>/h|/user-month)?")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expected bound; `target` is in the unit of the reported figure: share, ms, MiB, count, money."""

    text: str
    subject: str
    in_wave: bool
    op: str
    target: float
    per: str = ""
    """For the cost: `/h` at its peak, `/user-month`, or nothing for the whole run."""

    def judge(self, record: Record) -> Objective:
        """The expectation held against a record; InputError where the run has no such figure."""
        actual = _actual(self, record)
        met = actual is not None and _compare(self.op, actual, self.target)
        return Objective(self.text, self.target, actual, met)


def _compare(op: str, actual: float, target: float) -> bool:
    """The comparison, with decimal fractions that differ by rounding alone taken as equal."""
    if abs(actual - target) <= 1e-12 * max(1.0, abs(target)):
        actual = target
    return _OPERATORS[op](actual, target)


def expected_p99_s(expectations: Iterable[Expectation]) -> list[float]:
    """Every bound that is set on the p99 of the latency, in seconds: what a generator's lateness is held to."""
    return [e.target / 1e3 for e in expectations if e.subject == "p99" and e.op in ("<", "<=")]


def parse_expectation(text: str) -> Expectation:
    """Read one expectation; InputError says what to write instead."""
    match = _LINE.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is not an expectation; {_EXAMPLES}")
    subject = re.sub(r"\s+worst.*", " worst 60s", match["subject"].lower())
    if subject not in _SUBJECTS and not _PERCENTILE.fullmatch(subject):
        known = ", ".join(_SUBJECTS)
        raise InputError(f"{subject!r} in {text!r} is not a figure of a run; there are: {known}")
    in_wave = match["wave"] is not None
    if in_wave and (subject in _ONLY_TOTALS or subject in ("cost", "served worst 60s")):
        raise InputError(f"{subject!r} is known of the whole run alone; leave out 'in wave' in {text!r}")
    target, per = _target(subject, match["value"], text)
    return Expectation(" ".join(text.split()), subject, in_wave, match["op"], target, per)


def _target(subject: str, value: str, text: str) -> tuple[float, str]:
    """The bound in the unit of the figure, and what a cost is counted by."""
    try:
        if subject.startswith("served"):
            share = parse_share(value)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{value} is not a share between 0 and 1; write {value}%")
            return round(share, 12), ""
        if percentile_of := _PERCENTILE.fullmatch(subject):
            share_of(percentile_of["name"])
            _need_unit(value, "800ms or 1.5s")
            return parse_seconds(value) * 1e3, ""
        if subject == "pod_memory":
            _need_unit(value, "600Mi")
            return parse_quantity(value) / MIB, ""
        if subject == "cost":
            return _cost_target(value)
        return parse_quantity(value), ""
    except ValueError as error:
        raise InputError(f"{error} (in {text!r})") from error


def _need_unit(value: str, example: str) -> None:
    if re.fullmatch(r"[0-9.eE+-]+", value):
        raise ValueError(f"{value} has no unit; write for example {example}")


def _cost_target(value: str) -> tuple[float, str]:
    match = _COST.fullmatch(value)
    if match is None:
        raise ValueError(
            f"{value!r} is not a cost; write for example 3.5/h, 0.05/user-month, or 12 for the whole run"
        )
    return float(match["number"]), match["per"] or ""


# ------------------------------------------------------------------------------------------------ the figures


def _actual(expectation: Expectation, record: Record) -> float | None:
    subject = expectation.subject
    if subject == "served worst 60s":
        return worst_window(record)
    if subject == "cost":
        return _cost(expectation, record)
    if subject in _ONLY_TOTALS:
        return float(_total(record, subject, expectation))
    bins = _bins(expectation, record)
    if subject == "served":
        return served_share(record, bins)
    if subject in _SUMS:
        if bins is None:
            return float(_total(record, subject, expectation))
        return float(_column(record, subject, expectation)[bins].sum())
    if subject in _PEAKS or subject == "nodes_not_ready":
        return _peak(expectation, record, bins)
    return _percentile(expectation, record, bins)


def _bins(expectation: Expectation, record: Record) -> NDArray[np.bool_] | None:
    """The bins of the wave, None for the whole run."""
    if not expectation.in_wave:
        return None
    if record.wave is None:
        raise InputError(f"this run has no wave; leave out 'in wave' in {expectation.text!r}")
    start, end = record.wave
    return np.asarray((record.series["t"] >= start) & (record.series["t"] < end))


def _peak(expectation: Expectation, record: Record, bins: NDArray[np.bool_] | None) -> float | None:
    if expectation.subject == "nodes_not_ready":
        values = _column(record, "nodes", expectation) - _column(record, "nodes_ready", expectation)
    else:
        values = _column(record, _PEAKS[expectation.subject], expectation)
    if bins is not None:
        values = values[bins]
    return float(values.max()) if len(values) else None


def _percentile(expectation: Expectation, record: Record, bins: NDArray[np.bool_] | None) -> float | None:
    """A percentile in milliseconds, of the latency or of a further histogram."""
    match = _PERCENTILE.fullmatch(expectation.subject)
    assert match is not None
    histogram = record.latency if match["of"] is None else record.histograms.get(match["of"])
    if histogram is None:
        raise InputError(f"this run has no {match['of']}, which {expectation.text!r} asks for")
    counts = (histogram if bins is None else histogram[bins]).sum(axis=0, dtype=np.int64)
    return milliseconds(percentile(counts, share_of(match["name"])))


def _column(record: Record, name: str, expectation: Expectation) -> NDArray[Any]:
    if name not in record.series:
        raise InputError(f"this run has no {name}, which {expectation.text!r} asks for")
    return record.series[name]


def _total(record: Record, name: str, expectation: Expectation) -> int:
    if name not in record.totals:
        raise InputError(f"this run has no {name}, which {expectation.text!r} asks for")
    return record.totals[name]


def _cost(expectation: Expectation, record: Record) -> float | None:
    _column(record, "cost_per_hour", expectation)
    if expectation.per == "/h":
        return per_hour_at_peak(record)
    if expectation.per == "/user-month":
        return per_concurrent_user_month(record)
    return total_cost(record)
