"""What is drawn is what was recorded, however much of it there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.record import words
from seawall.record.charts import MOST_EVENTS_OF_A_KIND, points, spells, thinned, time_step
from seawall.record.histogram import percentile
from seawall.record.record import Event

from .sample import DEFAULT, TUNED, changed, sample, tiny


@given(st.lists(st.integers(0, 99), min_size=1, max_size=60), st.integers(1, 7))
def test_no_request_is_lost_by_drawing_fewer_points(sent: list[int], step: int) -> None:
    record = tiny(sent, sent)
    drawn = points(record, float(step))["sent_rate"]
    widths = [min(step, len(sent) - step * i) for i in range(len(drawn))]
    assert sum(rate * width for rate, width in zip(drawn, widths, strict=True)) == pytest.approx(
        sum(sent), abs=0.05 * len(sent), rel=1e-3
    )


def test_the_highest_of_several_bins_is_kept_and_the_last_of_a_state() -> None:
    record = changed(
        tiny([1] * 6, [1] * 6),
        pod_memory_max_mib=np.array([5.0, 9.0, 1.0, 2.0, 3.0, 4.0]),
        pods_ready=np.array([1, 2, 3, 4, 5, 6]),
        cpu_cores=np.array([1.0, 2.0, 3.0, 0.0, 0.0, 3.0]),
    )
    drawn = points(record, 3.0)
    assert drawn["pod_memory_max_mib"] == [9, 4]
    assert drawn["pods_ready"] == [3, 6]
    assert drawn["cpu_cores"] == [2, 1]


def test_percentiles_of_a_point_are_those_of_all_its_answers() -> None:
    record = sample(DEFAULT, bins=120)
    drawn = points(record, 10.0)
    for i in (0, 7, 11):
        counts = record.latency[10 * i : 10 * i + 10].sum(axis=0)
        expected = percentile(counts, 0.95)
        if expected is None:
            assert drawn["p95"][i] is None
        else:
            assert drawn["p95"][i] == pytest.approx(expected * 1e3, rel=1e-3)


def test_a_second_without_requests_has_neither_share_nor_latency() -> None:
    drawn = points(tiny([4, 0, 4], [4, 0, 0]), 1.0)
    assert drawn["served_share"] == [1, None, 0]
    assert drawn["p99"][1] is None and drawn["p99"][2] is None and drawn["p99"][0] is not None


def test_runs_of_different_bins_share_an_axis() -> None:
    coarse = tiny([10, 10], [10, 10], bin_seconds=5.0)
    coarse = changed(coarse, t=np.array([0.0, 5.0]))
    assert time_step([coarse, tiny([1], [1])]) == 5.0
    assert points(coarse, 5.0)["sent_rate"] == [2, 2]


@given(st.lists(st.sampled_from(["oom-kill", "pod-ready"]), max_size=1500))
def test_thinned_events_stand_for_all_of_them(kinds: list[str]) -> None:
    events = [Event(float(i), kind) for i, kind in enumerate(kinds)]
    kept = thinned(events)
    for kind in set(kinds):
        counts = [count for event, count in kept if event.kind == kind]
        assert sum(counts) == kinds.count(kind) and len(counts) <= MOST_EVENTS_OF_A_KIND
    assert [event.t for event, _ in kept] == sorted(event.t for event, _ in kept)


def test_events_that_follow_closely_are_one_row_unless_each_says_something() -> None:
    events = [Event(t, "oom-kill", f"pod/{t % 2:g}") for t in (0.0, 5.0, 10.0, 80.0)]
    events += [Event(81.0, "oom-kill", "pod/1", data={"count": 4})]
    rows = spells(events)
    assert [(row.first.t, row.until, row.count, row.objects) for row in rows] == [
        (0.0, 10.0, 3, 2),
        (80.0, 81.0, 5, 2),
    ]
    scaled = spells([Event(1.0, "hpa-scale", "hpa", "to 4"), Event(16.0, "hpa-scale", "hpa", "to 8")])
    assert len(scaled) == 2


# ------------------------------------------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100 %"),
        (0.99899, "99.89 %"),
        (0.999, "99.9 %"),
        (0.99999, "99.999 %"),
        (0.9999999, "99.9999 %"),
        (0.0, "0 %"),
        (None, "–"),
    ],
)
def test_a_share_is_never_rounded_up(share: float | None, text: str) -> None:
    assert words.percent(share) == text


@given(st.floats(0.0, 1.0))
def test_a_share_in_words_never_says_more_than_there_is(share: float) -> None:
    assert float(words.percent(share).removesuffix(" %")) / 100.0 <= share + 1e-12


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25 ms"), (85.04, "85 ms"), (999.0, "999 ms"), (1240.0, "1.24 s"), (125_000.0, "2 min 5 s")],
)
def test_latencies_in_words(value: float, text: str) -> None:
    assert words.milliseconds(value) == text


def test_other_figures_in_words() -> None:
    assert [words.clock(t) for t in (0.4, 96.0, 3725.0)] == ["0:00", "1:36", "1:02:05"]
    assert [words.count(n) for n in (97617, 1.234, 1234.5, None)] == ["97,617", "1.23", "1,234", "–"]
    assert [words.mib(m) for m in (505.2, 1252.4, 20480.0)] == ["505 MiB", "1,252 MiB", "20.0 GiB"]
    assert [words.money(m, "USD") for m in (0.0, 0.0123, 3.456)] == ["0.00 USD", "0.012 USD", "3.46 USD"]
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.objective_value("nodes <= 10", 12.0) == "12"


def test_every_column_of_a_full_record_is_drawn_or_known_to_be_left_out() -> None:
    drawn = points(sample(TUNED, bins=100), 1.0)
    lengths = {len(values) for values in drawn.values()}
    assert lengths == {100}
