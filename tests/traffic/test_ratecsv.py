"""CSVs of requests per second: every usual form is read alike, and what is wrong is named with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.ratecsv import RateRecording, read_rate_csv

EXTRACT = Path(__file__).parent.parent / "data" / "traffic" / "stream_extract.csv"


@pytest.fixture
def rates(tmp_path: Path):
    """Reads a text as a CSV of rates."""

    def read(text: str | bytes, **columns: str) -> RateRecording:
        path = tmp_path / "rate.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_rate_csv(path, **columns)

    return read


def test_a_real_extract_is_read_whole() -> None:
    recording = read_rate_csv(EXTRACT)
    counts = [int(line.split(",")[1]) for line in EXTRACT.read_text().splitlines()[1:]]
    assert (recording.rows, recording.step_s, recording.gaps, recording.first) == (300, 1.0, 0, None)
    assert (recording.time_column, recording.rate_column) == ("second", "requests")
    assert recording.rate.duration_s == 300.0
    assert float(recording.rate.integral(300.0)) == sum(counts)
    assert recording.rate.peak == max(counts)


@pytest.mark.parametrize(
    "text",
    [
        "t,rate\n0,5\n60,7.5\n120,0\n",
        "0,5\n60,7.5\n120,0",
        "\r\n0,5\r\n\r\n60,7.5\r\n120,0\r\n",
        "Time;Requests (per s)\n0;5\n60;7,5\n120;0\n",
        "0\t5\n60\t7.5\n120\t0\n",
        '"Timestamp", "RPS" \n"0", "5"\n"60", "7.5"\n"120", "0"\n',
        "\ufeffhost,seconds,other,QPS\na,0,9,5\nb,60,9,7.5\nc,120,9,0\n",
        "1000,5\n1060,7.5e0\n1120,.0\n",
        "-60,5\n0,7.5\n60,0\n",
        "1431857100,5\n1431857160,7.5\n1431857220,0\n",
        "1431857100000,5\n1431857160000,7.5\n1431857220000,0\n",
        "1431857100000000000,5\n1431857160000000000,7.5\n1431857220000000000,0\n",
        "time,value\n2015-05-17T10:05:00Z,5\n2015-05-17T10:06:00Z,7.5\n2015-05-17T10:07:00Z,0\n",
        "2015-05-17 10:05:00,5\n2015-05-17 10:06:00,7.5\n2015-05-17 10:07:00,0\n",
        "2015-05-17T10:05:00+00:00,5\n2015-05-17T12:06:00+02:00,7.5\n2015-05-17T10:07:00,0\n",
    ],
)
def test_the_same_rate_in_many_forms(rates, text: str) -> None:
    rate = rates(text).rate
    np.testing.assert_allclose(rate.times_s, [0, 60, 120, 180], atol=1e-6)
    np.testing.assert_array_equal(rate.rates, [5, 7.5, 0])


def test_when_it_was_recorded_is_kept_where_it_is_told(rates) -> None:
    for text in ("1431857100,5\n", "1431857100000,5\n", "2015-05-17T10:05:00Z,5\n"):
        assert rates(text).first == 1431857100.0
    assert rates("100,5\n").first is None


def test_one_column_is_a_rate_each_second(rates) -> None:
    for text in ("5\n7\n9\n", "rps\n5\n7\n9\n"):
        rate = rates(text).rate
        assert (rate.duration_s, rate.rates.tolist()) == (3.0, [5, 7, 9])


def test_columns_can_be_named(rates) -> None:
    text = "time,day,errors,rate\n9,0,1,5\n8,60,2,7\n"
    recording = rates(text, time_column="Day", rate_column="errors")
    assert (recording.rate.rates.tolist(), recording.rate.duration_s) == ([1, 2], 120.0)


def test_steps_of_any_length_are_no_gaps(rates) -> None:
    recording = rates("0,5\n10,7\n100,9\n")
    assert recording.gaps == 0
    assert recording.rate.times_s.tolist() == [0, 10, 100, 150]


def test_gaps_are_counted_and_the_rate_before_holds(rates) -> None:
    recording = rates("0,5\n1,6\n2,7\n10,8\n11,\n12,9\n")
    assert recording.gaps == 2
    assert recording.rate.at([2, 9.5, 10, 11.5, 12]).tolist() == [7, 7, 8, 8, 9]
    assert any("2 gaps" in note and "longest 8 s" in note for note in recording.notes)


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "rate.csv.gz"
    path.write_bytes(gzip.compress(b"0,5\n1,6\n"))
    assert read_rate_csv(path).rows == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", None, "empty"),
        ("\n\n  \n,\n", None, "no rows"),
        ("t,rate\n", 1, "no rows"),
        ("t,rate\n0,5\n1,-3\n", 3, '"-3" is no rate'),
        ("t,rate\n0,5\n\n1,nan\n", 4, '"nan" is no rate'),
        ("t,rate\n0,5\n1,NaN\n", 3, '"NaN" is no rate'),
        ("t,rate\n0,inf\n", 2, '"inf" is no rate'),
        ("t,rate\n0,1e400\n", 2, '"1e400" is no rate'),
        ("t,rate\n0,many\n", 2, '"many" is no rate'),
        ("0,many\n", 1, '"many" is no rate'),
        ("t,rate\n0,\n", 2, '"" is no rate'),
        ("t,rate\nnoon,5\n", 2, '"noon" is no time'),
        ("t,rate\n17/05/2015,5\n", 2, "write seconds, a Unix time or 2026-05-17T10:05:03Z"),
        ("t,rate\n0,5\n0,6\n", 3, "must rise"),
        ("t,rate\n5,5\n4,6\n", 3, "sort the file"),
        ("t,rate\n0,5\n1\n", 3, "1 columns where 2 are needed"),
        ("1,2,3\n", 1, "3 columns without a header"),
        ("when,rate\n0,5\n", 1, "no column is known for the time among when, rate"),
        ("t,load\n0,5\n", 1, "no column is known for the rate among t, load"),
        ("\x00\x01\xff\n", 1, "no column is known"),
        ('t,rate\n0,"5\n' + ("x" * 999 + "\n") * 200, 134, "no CSV"),
        ("t,rate\n0," + "x" * 60_000, 2, 'xxx..." is no rate'),
    ],
)
def test_what_is_wrong_is_named_with_its_line(rates, text: str, line: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rates(text)
    assert caught.value.line == line
    assert caught.value.file is not None
    assert len(caught.value.message) < 300


def test_a_named_column_must_be_there(rates) -> None:
    with pytest.raises(InputError, match='no column "load"; the columns are t, rate'):
        rates("t,rate\n0,5\n", rate_column="load")
    with pytest.raises(InputError, match='no header in which to find column "load"'):
        rates("0,5\n", rate_column="load")
    with pytest.raises(InputError, match="both time and rate"):
        rates("t,rate\n0,5\n", rate_column="t")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        read_rate_csv(tmp_path)
