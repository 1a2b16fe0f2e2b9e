"""Units: what people write is read, and what we write is read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.units import (
    format_bytes,
    format_cores,
    format_seconds,
    parse_count,
    parse_number,
    parse_quantity,
    parse_seconds,
    parse_share,
    parse_switch,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15ms", 0.015),
        ("1m30s", 90.0),
        ("1h 5m", 3900.0),
        ("5min", 300.0),
        ("2d", 172800.0),
        ("250us", 0.00025),
        ("1.5s", 1.5),
        ("30", 30.0),
        (30, 30.0),
        (0, 0.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("500m", 0.5),
        ("100m", 0.1),
        ("1200Mi", 1200 * 2**20),
        ("1Gi", 2.0**30),
        ("1G", 1e9),
        ("2", 2.0),
        (2, 2.0),
        ("1e3", 1000.0),
        ("1E", 1e18),
        ("1Ei", 2.0**60),
        ("64k", 64000.0),
        (".5", 0.5),
        ("250u", 250e-6),
    ],
)
def test_quantities(text: object, quantity: float) -> None:
    assert parse_quantity(text) == quantity


@pytest.mark.parametrize(
    ("text", "share"), [("99.9%", 0.999), ("5 %", 0.05), (0.25, 0.25), ("0.25", 0.25), (1, 1.0)]
)
def test_shares(text: object, share: float) -> None:
    assert parse_share(text) == pytest.approx(share, rel=1e-15)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_seconds, "15 parsecs"),
        (parse_seconds, "ms"),
        (parse_seconds, "5s garbage"),
        (parse_seconds, "s5"),
        (parse_seconds, ""),
        (parse_seconds, True),
        (parse_seconds, None),
        (parse_seconds, {"s": 1}),
        (parse_seconds, "1e999"),
        (parse_seconds, math.inf),
        (parse_seconds, math.nan),
        (parse_seconds, 10**400),
        (parse_seconds, "500Mi"),
        (parse_quantity, "500mb"),
        (parse_quantity, "1MiB"),
        (parse_quantity, "5s"),
        (parse_quantity, True),
        (parse_quantity, [1]),
        (parse_quantity, "1e999"),
        (parse_share, "many"),
        (parse_share, "5%%"),
        (parse_share, False),
        (parse_count, 1.5),
        (parse_count, True),
        (parse_count, "x"),
        (parse_count, 10**30),
        (parse_number, "x"),
        (parse_number, True),
        (parse_number, math.inf),
        (parse_switch, "maybe"),
        (parse_switch, 2),
    ],
)
def test_what_has_no_meaning_is_refused(parse: object, text: object) -> None:
    with pytest.raises(ValueError, match=r"is (not|neither|impossible)"):
        parse(text)  # type: ignore[operator]


@pytest.mark.parametrize("on", ["On", "on", "yes", "true", True, "1"])
def test_switches(on: object) -> None:
    assert parse_switch(on) is True


@given(st.floats(0, 1e7, allow_nan=False) | st.integers(0, 10**6).map(float))
def test_a_duration_written_reads_back(seconds: float) -> None:
    assert parse_seconds(format_seconds(seconds)) == seconds


@given(st.floats(0, 1e15) | st.integers(0, 2**50).map(float) | st.integers(0, 99).map(lambda n: n * 2.0**20))
def test_a_size_written_reads_back(size: float) -> None:
    assert parse_quantity(format_bytes(size)) == size


@given(st.floats(0, 1e4) | st.integers(0, 200_000).map(lambda milli: milli / 1000))
def test_cpu_written_reads_back(cores: float) -> None:
    assert parse_quantity(format_cores(cores)) == cores


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.015, "15ms"), (90, "1m30s"), (5, "5s"), (3600, "1h"), (0, "0s"), (1.5, "1.5s")]
)
def test_durations_are_written_as_people_write_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_sizes_and_cpu_are_written_as_people_write_them() -> None:
    assert [format_bytes(600 * 2.0**20), format_bytes(2.0**31), format_bytes(5)] == ["600Mi", "2Gi", "5"]
    assert [format_cores(0.5), format_cores(2), format_cores(1.93)] == ["500m", "2", "1930m"]


@given(st.integers(0, 10**6))
def test_milli_is_read_as_exactly_as_a_float_can(milli: int) -> None:
    assert parse_quantity(f"{milli}m") == milli / 1000
