"""Invariant S1: what does not add up is found, and what does passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.record.conservation import check_conservation

from .sample import ALL, DEFAULT, changed, sample, tiny
from .waves import BROKEN, Storm, wave


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_a_sound_record_passes(shape) -> None:
    assert check_conservation(sample(shape, bins=300)) == []


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20), st.integers(1, 9)
)
def test_a_request_lost_anywhere_is_found(pairs: list[tuple[int, int]], lost: int) -> None:
    sound = tiny([sent + answered for sent, answered in pairs], [answered for _, answered in pairs])
    assert check_conservation(sound) == []
    for key in ("sent", "answered", "failed"):
        assert check_conservation(replace(sound, totals=sound.totals | {key: sound.totals[key] + lost}))
        wrong = sound.series[key].copy()
        wrong[-1] += lost
        assert check_conservation(changed(sound, **{key: wrong}))


def test_one_request_moved_between_bins_is_found() -> None:
    sound = tiny([10, 10, 10], [10, 9, 10])
    moved = changed(sound, failed=np.array([0, 0, 1]))
    assert check_conservation(moved) == ["t = 2 s: more outcomes than requests sent (1 of 3 bins)"]


def test_an_outcome_without_a_request_under_way_is_found() -> None:
    sound = tiny([10, 10, 10], [10, 9, 10])
    late = changed(sound, failed_at=np.array([0, 0, 1]))
    assert check_conservation(late) == [
        "t = 1 s: sent so far differs from ended so far + under way (1 of 3 bins)"
    ]


def test_answers_without_a_latency_are_found() -> None:
    sound = tiny([10, 10], [10, 10])
    latency = sound.latency.copy()
    latency[1] = 0
    assert check_conservation(replace(sound, latency=latency)) == [
        "t = 1 s: latencies counted differ from answers (1 of 2 bins)"
    ]


def test_attempts_counted_as_requests_are_found() -> None:
    sound = tiny([10], [10])
    assert check_conservation(replace(sound, totals=sound.totals | {"retries": 3})) == [
        "the run: 10 attempts, but 13 = sent - shed + retries"
    ]


def test_classes_must_add_up_to_the_run() -> None:
    sound = sample(DEFAULT, bins=200)
    feed = sound.per_class["feed"]
    short = feed | {"sent": feed["sent"] - 1, "answered": feed["answered"] - 1}
    found = check_conservation(replace(sound, per_class=sound.per_class | {"feed": short}))
    assert len(found) == 2 and found[0].startswith("sent:") and found[1].startswith("answered:")


def test_no_part_is_above_its_whole() -> None:
    sound = sample(DEFAULT, bins=200)
    over = sound.series["nodes"].copy()
    over[17] += 1
    found = check_conservation(changed(sound, nodes_ready=over))
    assert len(found) == 1 and "nodes_ready above nodes" in found[0]


@pytest.mark.parametrize("part", ["failed_5xx", "failed_reset", "timed_out_read"])
def test_kinds_of_failure_add_up_to_the_failures(part: str) -> None:
    sound = wave(BROKEN)
    assert check_conservation(sound) == []
    whole = "timed_out" if part.startswith("timed_out") else "failed"
    moved = sound.series[part].copy()
    moved[120:122] += [1, -1]
    assert check_conservation(changed(sound, **{part: moved})) == [
        f"t = 120 s: {whole} differs from the sum of its kinds (2 of {sound.bins} bins)"
    ]
    more = replace(sound, totals=sound.totals | {part: sound.totals[part] + 1})
    assert f"the run: {whole} differs from the sum of its kinds" in check_conservation(more)


def test_a_generator_s_counts_are_held_to_its_requests() -> None:
    sound = wave(Storm(users=60, seconds=90))
    over = sound.series["answered"] + 1
    assert any(
        "answered_4xx above answered" in text
        for text in check_conservation(changed(sound, answered_4xx=over))
    )
    assert any(text.startswith("connects: ") for text in check_conservation(changed(sound, connects=over)))
    twice = {name: counts * 2 for name, counts in sound.histograms.items()}
    found = " ".join(check_conservation(replace(sound, histograms=twice)))
    assert (
        "first_byte counts differ from answers" in found
        and "more lateness counted than requests sent" in found
    )
