"""Merging a wave's parts loses nothing and adds nothing, in any order and grouping; what is no part is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.record.conservation import check_conservation
from seawall.record.merge import Merged, Part, merge
from seawall.record.record import Event, Record
from seawall.record.verdict import verdict

from .sample import tiny
from .waves import BROKEN, LATE, OUTCOMES, REQUEST, record_of, wave

OWN = ("part", "merged", "generator", "duration_s")
TICK = 2.0**-20


def clock(
    part: int, late: float = 0.0, offset: float | None = 0.0, uncertain: float = 0.001
) -> dict[str, Any]:
    """The facts of the wall clock of a part whose own clock is `offset` seconds ahead, which started `late`."""
    compared = None
    if offset is not None:
        compared = {"offset_s": offset, "uncertainty_s": uncertain, "reference": "Date of http://a"}
    return {"started_at": 1.7e9 + late + (offset or 0.0), "clock": compared, "cpu_s": 0.25 * part}


def pieces(record: Record) -> dict[str, Any]:
    """Everything that a record holds, in a form that can be compared."""
    return {
        "description": record.description,
        "events": [event.as_json() for event in record.events],
        "totals": record.totals,
        "per_class": record.per_class,
        **{f"series {name}": values.tolist() for name, values in record.series.items()},
        **{f"histogram {name}": counts.tobytes() for name, counts in record.histograms.items()},
        "latency": record.latency.tobytes(),
        "latency_sum_s": record.latency_sum_s.tolist(),
    }


def same(one: Merged, other: Merged) -> None:
    assert pieces(one.record) == pieces(other.record)
    assert (one.wallclock, one.clocks) == (other.wallclock, other.clocks)


@st.composite
def parted(draw: st.DrawFn) -> tuple[Record, list[Part]]:
    """A wave of a few requests, and the parts that it was sent in: whole ticks of time, so that sums are exact."""
    of = draw(st.integers(1, 5))
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 6), st.integers(0, 4_000_000), st.integers(0, 9000),
                st.integers(0, len(OUTCOMES) - 1), st.integers(0, 1), st.integers(0, 2), st.integers(0, 1),
            ),
            max_size=24,
        )
    )  # fmt: skip
    requests = np.zeros(len(rows), REQUEST)
    for i, (at, took, late, outcome, cls, retries, connects) in enumerate(rows):
        shed = OUTCOMES[outcome] == "shed"
        done = at if shed else at + took * TICK
        requests[i] = (at, done, late * TICK, took * TICK / 2, outcome, cls, 0 if shed else retries, connects)
    stays = np.array([(i % 3, i % 3 + i) for i in range(draw(st.integers(0, 6)))], np.float64).reshape(-1, 2)
    whole = record_of(requests, stays, part=(1, 1), traffic_s=5.0, wave=[0.0, 2.0])
    parts = []
    for i in range(1, of + 1):
        own = record_of(
            requests[i - 1 :: of], stays[i - 1 :: of], part=(i, of), traffic_s=5.0, wave=[0.0, 2.0]
        )
        told = draw(
            st.lists(st.sampled_from(["a setting was ignored", "few local ports"]), max_size=2, unique=True)
        )
        own.description["warnings"] = told
        known = draw(st.sampled_from([None, clock(i), clock(i, 0.3, 0.25), clock(i, offset=None)]))
        parts.append(Part(own, known))
    return whole, parts


@given(parted())
@settings(max_examples=40)
def test_the_parts_together_are_the_wave(given: tuple[Record, list[Part]]) -> None:
    whole, parts = given
    merged = merge(parts).record
    mine, theirs = pieces(merged), pieces(whole)
    for key in ("description", "events", "series users"):
        del mine[key], theirs[key]
    assert mine == theirs
    assert check_conservation(merged) == []
    assert merged.series["users"].tolist() == whole.series["users"].tolist()
    assert sorted(map(str, merged.events)) == sorted(map(str, whole.events))
    described = {key: value for key, value in merged.description.items() if key not in (*OWN, "warnings")}
    assert described == {k: v for k, v in whole.description.items() if k not in (*OWN, "warnings")}


@given(parted(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_order_and_grouping_make_no_difference(given: tuple[Record, list[Part]], random: Any) -> None:
    _, parts = given
    at_once = merge(parts)
    shuffled = list(parts)
    random.shuffle(shuffled)
    same(merge(shuffled), at_once)
    while len(shuffled) > 1:
        cut = random.randint(1, len(shuffled))
        group = merge(shuffled[:cut], allow_missing=True)
        shuffled = [Part(group.record, group.wallclock), *shuffled[cut:]]
        random.shuffle(shuffled)
    same(merge(shuffled), at_once)


def test_a_storm_in_parts_is_the_storm() -> None:
    """Sums of latencies that no binary fraction holds are the same in any order too, and right to a nanosecond."""
    whole, parts = wave(BROKEN), [Part(wave(BROKEN, part=(i, 5))) for i in range(1, 6)]
    merged = merge(parts).record
    assert {name: values.tolist() for name, values in merged.series.items()} == {
        name: values.tolist() for name, values in whole.series.items()
    }
    assert np.array_equal(merged.latency, whole.latency)
    assert merged.latency_sum_s == pytest.approx(whole.latency_sum_s, abs=5e-9)
    for order in ((4, 0, 3, 1, 2), (2, 1, 4, 3, 0)):
        other = merge(parts[i] for i in order).record
        assert other.latency_sum_s.tobytes() == merged.latency_sum_s.tobytes()


def test_nothing_of_a_part_is_changed_by_merging() -> None:
    parts = [Part(wave(BROKEN, part=(i, 2))) for i in (1, 2)]
    before = [pieces(part.record) for part in parts]
    merge(parts)
    assert [pieces(part.record) for part in parts] == before


def test_a_part_that_ended_sooner_keeps_what_it_left_under_way() -> None:
    """Its requests without an outcome stay so; those of the other part are counted on."""
    requests = np.zeros(2, REQUEST)
    requests["done"] = 0.5
    short, long = (
        record_of(requests, np.zeros((0, 2)), part=(i, 2), bins=bins) for i, bins in ((1, 2), (2, 5))
    )
    lost = short.series["answered"] - [1, 0]
    cut = replace(
        short,
        series=short.series
        | {
            "answered": lost,
            "answered_at": lost,
            "under_way": np.array([1, 1]),
        },
        totals=short.totals | {"answered": 1, "under_way": 1},
        per_class={"feed": short.per_class["feed"] | {"answered": 1, "under_way": 1}},
        latency=short.latency // 2,
        latency_sum_s=short.latency_sum_s / 2,
        histograms=short.histograms | {"first_byte": short.histograms["first_byte"] // 2},
    )
    merged = merge([Part(cut), Part(long)]).record
    assert merged.series["under_way"].tolist() == [1] * 5 and merged.totals["under_way"] == 1
    assert merged.series["t"].tolist() == [0, 1, 2, 3, 4] and check_conservation(merged) == []


def test_a_kind_of_failure_begins_once_for_all() -> None:
    merged, whole = merge([Part(wave(BROKEN, part=(i, 3))) for i in (1, 2, 3)]).record, wave(BROKEN)
    told = [event for event in merged.events if event.kind == "requests-fail"]
    assert {event.data["outcome"]: (event.t, event.data["count"]) for event in told} == {
        event.data["outcome"]: (event.t, event.data["count"])
        for event in whole.events
        if event.kind == "requests-fail"
    }
    assert verdict(merged).first_cause == verdict(whole).first_cause


# ------------------------------------------------------------------------------------------- the generators


def test_the_lateness_of_all_requests_decides_whether_the_wave_is_void() -> None:
    late = [Part(wave(LATE, part=(i, 3))) for i in (1, 2, 3)]
    assert merge(late).record.description["void"] == wave(LATE).description["void"] is not None
    mixed = merge([*late[:1], *(Part(wave(part=(i, 3))) for i in (2, 3))]).record
    assert verdict(mixed).stands is None
    good = merge([Part(wave(part=(i, 3))) for i in (1, 2, 3)]).record
    assert good.description["void"] is None and verdict(good).stands is True
    strict = merge([Part(wave(part=(i, 3))) for i in (1, 2, 3)], asked_p99_s=[0.004]).record
    assert strict.description["generator"]["lateness_limit_ms"] == 0.2 and verdict(strict).stands is None
    figures = verdict(good).generator
    assert figures is not None
    assert (figures["processes"], figures["most_connections"], figures["limit_ms"]) == (6, 300, 5.0)


def test_one_late_part_among_many_is_named_though_the_wave_holds() -> None:
    """A few requests of one part are too few to move the p99 of all, but its own figures are void."""
    requests = np.zeros(4, REQUEST)
    requests["done"], requests["lateness"] = 0.25, 0.2
    few = record_of(requests, np.zeros((0, 2)), part=(2, 2), traffic_s=240.0)
    most = wave(part=(1, 2))
    few.description.update({key: most.description[key] for key in ("wave", "objectives", "traffic_s")})
    merged = merge([Part(most), Part(few)]).record
    assert merged.description["void"] is None
    assert merged.description["warnings"][0].startswith(
        "part 2 by itself is void: the generator itself was 20"
    )


def test_what_sets_parts_apart_is_said() -> None:
    one, two = wave(part=(1, 2), warnings=["few local ports"]), wave(part=(2, 2), interrupted_s=65.0)
    two.description["objectives"] = {"served": 0.5}
    two.description["version"] = "0.2.0"
    described = merge([Part(two), Part(one)]).record.description
    assert described["warnings"][:4] == [
        "part 1: few local ports",
        "the parts' objectives differ: those of part 1 are judged",
        "the parts were sent by different versions of Seawall",
        "part 2 was interrupted after 1:05",
    ]
    assert described["objectives"]["served"] == 0.999 and described["version"] == "0.1.0 / 0.2.0"
    assert described["interrupted_s"] == 65.0


# ----------------------------------------------------------------------------------------------- the clocks


def timed(*clocks: dict[str, Any] | None) -> Merged:
    of = len(clocks)
    return merge(Part(wave(part=(i, of), seed=11), facts) for i, facts in enumerate(clocks, start=1))


def test_clocks_that_differ_do_not_make_starts_differ() -> None:
    merged = timed(clock(1, 0.0, 2.5), clock(2, 0.004, -1.5), clock(3, 0.002, 0.0))
    assert merged.clocks == (
        "the parts' clocks were 4 s apart",
        "the parts started 4 ms apart (part 1 first, part 2 last; known to 2 ms)",
    )
    figures = merged.wallclock["clocks"]
    assert (figures["starts_apart_s"], figures["clocks_apart_s"], figures["uncertainty_s"]) == (
        0.004,
        4.0,
        0.002,
    )
    assert merged.record.description["warnings"] == []
    assert merged.wallclock["started_at"] == 1.7e9 and merged.wallclock["cpu_s"] == 1.5
    assert list(merged.wallclock["parts"]) == ["1", "2", "3"]


def test_starts_that_differ_by_more_than_is_uncertain_are_a_warning() -> None:
    sure, unsure = timed(clock(1), clock(2, 0.25)), timed(clock(1), clock(2, 0.25, 0.0, 0.2))
    assert sure.record.description["warnings"] == [
        "the parts started 250 ms apart (part 1 first, part 2 last; known to 2 ms): "
        "the load was not as steep as described"
    ]
    assert unsure.record.description["warnings"] == []


def test_clocks_that_were_not_compared_are_named() -> None:
    merged = timed(clock(1), clock(2, 7.0, None), clock(3))
    assert merged.wallclock["clocks"]["not_compared"] == [2]
    assert merged.record.description["warnings"] == [
        "when part 2 started is not known: its clock was not compared"
    ]
    own = timed(clock(1, 0.0, None), clock(2, 0.5, None))
    assert own.record.description["warnings"][0].startswith(
        "the parts started 500 ms apart (part 1 first, part 2 last; by"
    )
    assert "not known" in timed(None, None).clocks[0]
    assert timed(None).clocks == ()


# ---------------------------------------------------------------------------------------- what is no part


def refused(*records: Record, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        merge([Part(record) for record in records], **options)
    return raised.value.message


def test_parts_of_other_waves_are_refused_by_name() -> None:
    one = wave(part=(1, 2))
    assert "its schedule is `beef`" in refused(one, wave(part=(2, 2), schedule="beef"))
    assert "its seed is `12`" in refused(
        one, replace(wave(part=(2, 2)), description=one.description | {"seed": 12})
    )
    assert "one of 3 parts" in refused(one, wave(part=(2, 3)))
    assert "bin_seconds" in refused(one, wave(part=(2, 2), bin_seconds=2.0))


def test_a_part_twice_and_a_part_missing_are_refused() -> None:
    one, two = wave(part=(1, 3)), wave(part=(2, 3))
    assert "part 1 of 3 comes twice" in refused(one, two, one)
    assert "part 3 of 3 is missing" in refused(one, two) and "--allow-missing" in refused(one, two)
    group = merge([Part(one), Part(two)], allow_missing=True)
    assert group.record.description["warnings"][0] == (
        "part 3 of 3 is missing: what it sent is in none of these figures"
    )
    assert "comes twice" in refused(group.record, two)
    whole = merge([Part(group.record), Part(wave(part=(3, 3)))]).record
    assert not any("missing" in text for text in whole.description["warnings"])


def test_records_that_cannot_be_added_are_refused() -> None:
    assert "of the world 'twin'" in refused(tiny([5], [5]))
    fleet = wave()
    assert "pods" in refused(replace(fleet, series=fleet.series | {"pods": np.zeros(fleet.bins, int)}))
    assert "name the folders" in refused()
    wrong = replace(fleet, totals=fleet.totals | {"failed_5xx": 3})
    assert "do not add up" in refused(wrong)
    assert "no part 3 of 2" in refused(_numbered(3, 2))


@pytest.mark.parametrize(
    "told",
    [{"part": "3/8"}, {"part": [1]}, {"merged": {"of": 2}}, {"merged": {"parts": [], "of": 1}}],
    ids=["text", "one number", "no parts", "a list"],
)
def test_a_part_that_does_not_say_which_it_is_is_refused(told: dict[str, Any]) -> None:
    record = wave()
    record.description.update(told)
    assert "does not say which part" in refused(record)


def _numbered(part: int, of: int) -> Record:
    record = wave()
    record.description["part"] = [part, of]
    return record


def test_an_event_of_every_part_is_told_once_and_those_of_some_are_kept() -> None:
    own = Event(3.0, "generator-late", "generator", "late", {"process": 1})
    merged = merge(
        [Part(wave(part=(1, 2))), Part(replace(two := wave(part=(2, 2)), events=(own, *two.events)))]
    ).record
    assert [event.kind for event in merged.events] == ["generator-late", "wave-begins"]
