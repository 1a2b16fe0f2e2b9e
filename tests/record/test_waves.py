"""What is read off the record of a wave: void or not, why requests failed, how late the generator was, and the page."""

from __future__ import annotations

import html as html_module
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.record import words
from seawall.record.charts import charts, points
from seawall.record.expectation import expected_p99_s, parse_expectation
from seawall.record.failures import failure_events, failures
from seawall.record.generator import limit_s, void
from seawall.record.histogram import BUCKETS, percentile
from seawall.record.record import Event, Record
from seawall.record.remarks import remarks
from seawall.record.report import report
from seawall.record.verdict import verdict
from seawall.record.vocabulary import FAILURES

from .sample import TUNED, sample, tiny
from .waves import BROKEN, CALM, LATE, Storm, wave

SMALL = Storm(users=60, seconds=90)


@pytest.fixture(scope="module")
def broken() -> Record:
    return wave(BROKEN)


# ----------------------------------------------------------------------------------------------- the verdict


def test_a_void_wave_has_no_verdict_whatever_it_measured() -> None:
    late = verdict(wave(LATE))
    assert late.stands is None and all(objective.met for objective in late.objectives)
    assert late.void is not None and late.void.startswith("the generator itself was 19.3 ms late")
    assert late.first_cause is None and late.first_loss is None
    assert late.as_json()["void"] == late.void
    assert verdict(wave(CALM)).stands is True


@given(st.integers(1, 39), st.floats(0.001, 50.0))
def test_a_generator_is_too_late_exactly_when_its_p99_is_above_the_limit(late: int, limit_ms: float) -> None:
    counts = np.zeros((2, BUCKETS), np.uint32)
    counts[0, 50], counts[1, 50 * late] = 99, 1 + late % 3
    p99 = percentile(counts.sum(axis=0), 0.99)
    assert p99 is not None
    assert (void(counts, limit_ms) is None) == (p99 * 1e3 <= limit_ms)


def test_the_limit_is_5_ms_or_5_percent_of_the_p99_that_is_asked_for() -> None:
    def asked(*lines: str) -> float:
        return limit_s(expected_p99_s([parse_expectation(line) for line in lines]))

    assert asked() == asked("p99 < 800ms") == 0.005
    assert asked("p99 <= 40ms", "p99 in wave < 60ms") == pytest.approx(0.002)
    assert asked("p95 < 1ms", "lateness_p99 < 1ms", "p99 > 1ms", "served > 99%") == 0.005


def test_the_json_of_a_wave_has_what_only_a_generator_knows(broken: Record) -> None:
    data = json.loads(json.dumps(verdict(broken).as_json(), allow_nan=False))
    assert list(data)[-9:] == [
        "void", "generator", "first_byte_ms", "failures", "answered_4xx", "connects", "resent", "sent_bytes",
        "received_bytes",
    ]  # fmt: skip
    assert list(data["failures"]) == list(FAILURES)
    unanswered = sum(data["requests"][key] for key in ("failed", "timed_out", "refused", "shed"))
    assert sum(data["failures"].values()) == unanswered > 0
    assert list(data["generator"])[:4] == ["lateness_p50_ms", "lateness_p99_ms", "limit_ms", "processes"]
    assert data["first_byte_ms"]["p99"] < data["latency_ms"]["p99"]
    of_twin = verdict(sample(TUNED)).as_json()
    assert not of_twin.keys() & set(list(data)[-9:])


# -------------------------------------------------------------------------------------------- why it failed


def failing(*counts: tuple[float, str, int], lost_at: int = 100) -> Event | None:
    """The first cause of a wave that fails from `lost_at` on, with these kinds of failure from their times on."""
    events = tuple(Event(t, "requests-fail", "target", "", {"outcome": o, "count": n}) for t, o, n in counts)
    return verdict(
        tiny([10] * 200, [10 if t < lost_at else 0 for t in range(200)], events=events)
    ).first_cause


def test_the_first_failure_that_counts_is_the_cause() -> None:
    found = failing((3.0, "failed_reset", 2), (98.0, "refused", 700), (99.0, "timed_out_read", 298))
    assert found is not None and found.data["outcome"] == "refused"
    same = failing((98.0, "refused", 300), (98.0, "timed_out_read", 700))
    assert same is not None and same.data["outcome"] == "timed_out_read"
    assert failing((150.0, "refused", 1000)) is None


def test_what_broke_is_a_better_cause_than_that_requests_failed() -> None:
    stall = Event(97.0, "node-stall", "node/a")
    fail = Event(96.0, "requests-fail", "target", "", {"outcome": "refused", "count": 9})
    record = tiny([10] * 200, [10 if t < 100 else 0 for t in range(200)], events=(fail, stall))
    assert verdict(record).first_cause == stall


def test_a_lost_latency_is_not_laid_on_requests_that_failed() -> None:
    fail = Event(0.0, "requests-fail", "target", "", {"outcome": "refused", "count": 1})
    promised = {"served": 0.5, "latency": {"p99": 0.05}}
    judged = verdict(tiny([10, 10], [10, 9], events=(fail,), objectives=promised))
    assert judged.stands is False and judged.first_cause is None


def test_a_failure_of_each_kind_is_an_event_at_its_first_bin(broken: Record) -> None:
    told = failure_events(broken.series)
    assert [event.t for event in told] == sorted(event.t for event in told)
    for event in told:
        column = broken.series[event.data["outcome"]]
        assert column[: int(event.t)].sum() == 0 < column[int(event.t)]
        assert event.data["count"] == column.sum()
        assert f"({event.data['count']:,} in all)" in event.message
    assert {event.data["outcome"] for event in told} == {
        "timed_out_read",
        "refused",
        "failed_5xx",
        "failed_reset",
    }
    assert failures(sample(TUNED)) is None


# --------------------------------------------------------------------------------------------- expectations


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("failed_5xx < 10", False),
        ("failed_5xx in wave = 0", True),
        ("timed_out_read > 7k", True),
        ("answered_4xx <= 116", True),
        ("received_bytes < 1G", True),
        ("resent = 0", True),
        ("lateness_p99 < 1ms", True),
        ("lateness_p99.9 < 0.1ms", False),
        ("first_byte_p50 in wave < 100ms", True),
    ],
)
def test_figures_of_a_wave_can_be_expected(broken: Record, text: str, met: bool) -> None:
    [judged] = verdict(broken, [parse_expectation(text)]).expectations
    assert judged.met is met


def test_a_figure_of_a_wave_that_a_run_lacks_is_an_error() -> None:
    for text in ("lateness_p99 < 1ms", "failed_5xx = 0", "service_p50 < 1s"):
        with pytest.raises(InputError, match="this run has no"):
            verdict(tiny([5], [5]), [parse_expectation(text)])
    with pytest.raises(InputError, match="800ms"):
        parse_expectation("lateness_p99 < 5")
    assert words.objective_value("lateness_p99 < 5ms", 0.26) == "0.26 ms"
    assert words.objective_value("failed_5xx = 0", 3.0) == "3"


# ------------------------------------------------------------------------------------------------- the page


def text_of(page: str) -> str:
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.S)
    return " ".join(html_module.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_wave_s_page_speaks_of_a_wave(broken: Record) -> None:
    page = report([broken])
    text = text_of(page)
    assert "<title>Wave against http://127.0.0.1:8000 · Seawall</title>" in page
    for words_ in ("read time-out 7,124", "5xx 1,290", "4xx, answered 116", "connections opened 12,119",
                   "generator late, p99 0.26 ms (at most 5 ms)", "First cause, 1:35"):  # fmt: skip
        assert words_ in text
    for foreign in ("most pods", "most nodes", "OOM", "cost", "Void"):
        assert foreign not in text
    assert "Passporter: wave against http://x:1" in report(
        [wave(SMALL, fleet="Passporter", target="http://x:1")]
    )


def test_a_wave_s_charts_show_only_the_failures_there_were(broken: Record) -> None:
    drawn = points(broken, 1.0)
    found = {chart.name: [view.label for view in chart.views] for chart in charts([broken], drawn)}
    assert list(found) == [
        "users", "requests", "served", "latency", "errors", "first-byte", "under-way", "connections", "network",
        "lateness",
    ]  # fmt: skip
    assert found["errors"] == ["all", "refused", "read time-out", "reset", "5xx"]
    calm = wave(SMALL)
    assert [
        view.label for view in next(c for c in charts([calm], points(calm, 1.0)) if c.name == "errors").views
    ] == ["all"]
    of_twin = {chart.name for chart in charts([sample(TUNED)], points(sample(TUNED), 1.0))}
    assert not of_twin & {"first-byte", "under-way", "connections", "network", "lateness"}


def test_what_is_drawn_of_a_generator_is_what_it_counted(broken: Record) -> None:
    drawn = points(broken, 10.0)
    assert sum(value or 0 for value in drawn["received_mbit"]) * 10 / 8e-6 == pytest.approx(
        broken.totals["received_bytes"], rel=0.01
    )
    counts = broken.histograms["lateness"][100:110].sum(axis=0)
    assert drawn["lateness_p99"][10] == pytest.approx((percentile(counts, 0.99) or 0.0) * 1e3, rel=1e-3)
    assert drawn["first_byte_p50"][0] is None


def test_a_void_run_is_loud() -> None:
    page = report([wave(LATE)])
    text = text_of(page)
    assert 'role="alert"' in page and "no verdict on wave: the run is void." in text
    assert "The generator was too late" in text and "the generator itself was 19.3 ms late" in text
    assert "met" not in re.findall(r"[a-z]+", text_of(page[page.index("In figures") :]).lower())


def test_what_figures_leave_unsaid_is_remarked() -> None:
    assert remarks(wave(SMALL)) == []
    [part] = remarks(wave(SMALL, part=(2, 3)))
    assert "part 2 of 3 alone" in part and "seawall merge" in part
    assert remarks(wave(SMALL, interrupted_s=61.0, warnings=["few ports"])) == [
        "interrupted after 1:01: what was due later was not sent",
        "few ports",
    ]
    calm = wave(SMALL)
    lost = replace(calm, totals=calm.totals | {"answered_4xx": calm.totals["answered"]})
    assert remarks(lost) == [
        "100 % of the answers were 4xx, which count as answered: was the right thing asked for?"
    ]
    assert "part 2 of 3" in text_of(report([wave(SMALL, part=(2, 3))]))


def test_sizes_in_words() -> None:
    assert [words.size(n) for n in (None, 0, 999, 4200, 999_600, 153_367_200, 2e12)] == [
        "–", "0 B", "999 B", "4.2 kB", "1 MB", "153 MB", "2 TB",
    ]  # fmt: skip
