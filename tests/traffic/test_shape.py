"""The language of waves: what each sentence draws, and what is said to a sentence that is none."""

from __future__ import annotations

import numpy as np
import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.shape import constant, parse_shape, ramp, tsunami, wall


@pytest.mark.parametrize(
    ("text", "unit", "points"),
    [
        ("0 -> 1000 in 60s, hold 5m", "users", [(0, 0), (60, 1000), (360, 1000)]),
        (
            "0 -> 1000 users in 60s, hold 5m, 1000 -> 200 in 30s, hold 2m",
            "users",
            [(0, 0), (60, 1000), (360, 1000), (390, 200), (510, 200)],
        ),
        ("50/s -> 2000/s in 30s, hold 2m", "requests/s", [(0, 50), (30, 2000), (150, 2000)]),
        ("600/min -> 7200/h in 1m", "requests/s", [(0, 10), (60, 2)]),
        ("50 -> 3000/min in 1m30s", "requests/s", [(0, 50 / 60), (90, 50)]),
        ("0 requests/s -> 5 req/s in 500ms", "requests/s", [(0, 0), (0.5, 5)]),
        ("200/s for 10m", "requests/s", [(0, 200), (600, 200)]),
        ("1 user for 1h", "users", [(0, 1), (3600, 1)]),
        ("hold 30s at 10, -> 20 in 5s", "users", [(0, 10), (30, 10), (35, 20)]),
        ("at 10 for 30s, hold 30s at 10", "users", [(0, 10), (30, 10), (60, 10)]),
        ("wall to 1000, hold 5m", "users", [(0, 0), (0, 1000), (300, 1000)]),
        ("10 for 1m, wall to 20, hold 1m", "users", [(0, 10), (60, 10), (60, 20), (120, 20)]),
        ("5 for 1m, 5 -> 2.5 at once, hold 1m", "users", [(0, 5), (60, 5), (60, 2.5), (120, 2.5)]),
        ("  0->10   IN 1s ,\n HOLD 1s", "users", [(0, 0), (1, 10), (2, 10)]),
    ],
)
def test_a_wave_is_drawn_as_it_is_written(text: str, unit: str, points: list[tuple[float, float]]) -> None:
    shape = parse_shape(text)
    assert shape.unit == unit
    np.testing.assert_allclose(np.column_stack((shape.times_s, shape.levels)), points, rtol=1e-12)


def test_numbers_without_a_unit_are_of_the_wanted_one() -> None:
    assert parse_shape("200 for 10m", "requests/s").unit == "requests/s"
    assert parse_shape("200 for 10m", "users").unit == "users"
    assert parse_shape("0 -> 60/min in 1m", "requests/s").peak == 1.0


@pytest.mark.parametrize(
    ("text", "column", "fragment", "advice"),
    [
        ("0 -> 1000 in 60s, hodl 5m", 19, "hodl 5m", "`hold 5m`"),
        ("0 -> 1000", 1, "0 -> 1000", "`in 30s` or `at once`"),
        ("0 -> 1000 in 60", 14, "60", "write 60s"),
        ("0 -> 1000 in 0s", 14, "0s", "`-> 1000 at once`"),
        ("0 -> 1000 in 60 sex", 14, "60 sex", "1m30s"),
        ("hold 5m", 1, "hold 5m", "begins with a level"),
        ("-> 3 in 5s", 1, "-> 3 in 5s", "begins with a level"),
        ("0 -> 10 in 5s, 20 -> 30 in 5s", 16, "20 -> 30 in 5s", "leave the level out"),
        ("0 -> 10 in 5s, hold 3s at 20", 16, "hold 3s at 20", "`-> 20 at once`"),
        ("200", 1, "200", "`200 for 10m`"),
        ("1,000 for 5m", 1, "1", "no comma within a number"),
        ("-5 -> 3 in 2s", 1, "-5", "number of users"),
        ("0 -> nan in 2s", 6, "nan", "number of users"),
        ("0 -> 1e3 in 2s", 6, "1e3", "number of users"),
        ("0 -> 5/m in 2s", 6, "5/m", "3000/min"),
        ("0 -> 99999999999 in 2s", 6, "99999999999", "at most"),
        ("0 -> 10 users in 3s, -> 5/s in 3s", 6, "10 users", "50/s"),
        ("600/min -> 50 in 1m, -> 3/s in 3m", 12, "50", "50/min or 50/s"),
        ("wall to 10", 1, "wall to 10", "`, hold 5m`"),
        ("10 for 1m, wall to 5, hold 1m", 12, "wall to 5", "a wall rises"),
        ("10 for 5m, tsunami to 20 in 3s", 12, "tsunami to 20 in 3s", "`-> 20 in 3s`"),
        ("10 for 5m, ebb to 20 in 3s", 12, "ebb to 20 in 3s", "an ebb falls"),
        ("0 -> 10 in 5s,, hold 5s", 15, "", "between two commas"),
        ("0 -> 10 in 5s,", 15, "", "between two commas"),
        ("0 -> 10 in 999999h", 12, "999999h", "below 30 years"),
    ],
)
def test_what_is_no_wave_is_pointed_at_with_advice(
    text: str, column: int, fragment: str, advice: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse_shape(text)
    message = str(caught.value)
    assert f'column {column}, at "{fragment}"' in message
    assert advice in message


def test_users_are_no_rate_and_a_rate_no_users() -> None:
    with pytest.raises(InputError, match="a rate of requests is wanted"):
        parse_shape("10 users for 5m", "requests/s")
    with pytest.raises(InputError, match="a number of users is wanted"):
        parse_shape("10/s for 5m", "users")


@pytest.mark.parametrize("nothing", ["", "   ", None, 200])
def test_a_wave_is_a_text(nothing: object) -> None:
    with pytest.raises(InputError, match="write for example"):
        parse_shape(nothing)  # type: ignore[arg-type]


def test_waves_with_a_name_draw_what_the_language_draws() -> None:
    pairs = [
        (constant(200, 600), "200 for 10m"),
        (ramp(0, 1000, 60, hold=300), "0 -> 1000 in 60s, hold 5m"),
        (wall(1000, 300), "wall to 1000, hold 5m"),
        (wall(1000, 300, base=10, before=60), "10 for 1m, wall to 1000, hold 5m"),
        (
            tsunami(10, 200, 90, 120, ebb_seconds=300, before_seconds=60, after_seconds=30),
            "10 for 1m, tsunami to 200 in 90s, hold 2m, ebb to 10 in 5m, hold 30s",
        ),
    ]
    for shape, text in pairs:
        other = parse_shape(text)
        np.testing.assert_array_equal(shape.times_s, other.times_s)
        np.testing.assert_array_equal(shape.levels, other.levels)


def test_a_tsunami_grows_by_the_same_factor_in_the_same_time() -> None:
    wave = tsunami(10, 640, 60, 30)
    t = np.arange(0, 61, 10.0)
    np.testing.assert_allclose(wave.at(t), 10.0 * 2.0 ** (t / 10.0), rtol=1.5e-3)
    np.testing.assert_allclose(wave.at(150 - t), wave.at(t), rtol=1e-9)  # the ebb is the rise backwards
    assert (wave.peak, wave.duration_s, wave.levels[-1]) == (640.0, 150.0, 10.0)


def test_a_tsunami_from_rest_doubles_ten_times() -> None:
    wave = tsunami(0, 1023, 100, 0)
    np.testing.assert_allclose(wave.at([10, 50, 90, 100]), [1, 31, 511, 1023], rtol=1.5e-3, atol=0.01)


def test_waves_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 %"):
        tsunami(100, 1099, 60, 60)
    with pytest.raises(ValueError, match="a wall rises"):
        wall(5, 60, base=5)
    for bad in (lambda: ramp(0, 10, -1), lambda: ramp(0, 10, 5, hold=-1), lambda: constant(-1, 5)):
        with pytest.raises(ValueError, match=r"fall|at least 0"):
            bad()
