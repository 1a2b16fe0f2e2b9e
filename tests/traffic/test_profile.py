"""A profile tells what is in a recording: checked against small recordings whose contents are known."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.traffic.arrivals import arrivals_from_load
from seawall.traffic.mix import BLOCK, presentable
from seawall.traffic.patterns import NO_REQUEST, compile_patterns
from seawall.traffic.profile import Profile, part_to_replay, profile
from seawall.traffic.recorded import Recording, read_recording
from seawall.traffic.shape import parse_shape
from seawall.traffic.visitors import ACTIVE_SECONDS, VISIT_SECONDS, visitors

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
DATA = Path(__file__).parent.parent / "data" / "traffic"


def line(
    second: int, *, request: str = "GET / HTTP/1.1", status: int = 200, size: int = 100, who: int = 1
) -> str:
    clock = f"{10 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f'192.0.2.{who} - - [17/May/2015:{clock} +0000] "{request}" {status} {size} "-" "Agent"\n'


def recording(tmp_path: Path, lines: list[str]) -> Recording:
    path = tmp_path / "access.log"
    path.write_text("".join(lines))
    return read_recording(path, "accesslog")


def wave(tmp_path: Path, text: str) -> Profile:
    """The profile of a log of requests that came by a wave, in whole seconds."""
    arrivals = arrivals_from_load(parse_shape(text, "requests/s"), 4)
    times = np.concatenate([np.zeros(1), *(chunk.times_s for chunk in arrivals)])
    return profile(recording(tmp_path, [line(int(t)) for t in times]))


def test_a_log_is_told_in_full() -> None:
    found = profile(read_recording(DATA / "apache_extract.log"))
    assert found.mix is not None
    assert found.visitors is not None
    assert found.requests == 231 - found.without_request
    assert (found.lines, found.damaged) == (231, 0)
    assert sum(c.share for c in found.mix.classes) == pytest.approx(1.0)
    assert sum(found.mix.methods.values()) == pytest.approx(1.0)
    assert sum(found.mix.statuses.values()) == pytest.approx(1.0)
    assert found.holes is not None
    assert found.rates.mean == pytest.approx(found.requests / (found.seconds - found.holes.total_s))
    assert found.rates.mean <= found.rates.p99 <= found.rates.peak.rate
    assert found.columns.peaks.max() == found.rates.peak.rate
    assert "not what was asked for" in found.notes[0]


def test_a_rate_is_told_without_what_it_does_not_hold() -> None:
    found = profile(read_recording(DATA / "stream_extract.csv"))
    assert (found.kind, found.lines, found.visitors, found.mix, found.holes) == ("csv", 300, None, None, None)
    assert found.requests == pytest.approx(float(found.counts.area(found.seconds)))
    assert found.bursts.dispersion is not None


def test_the_mix_counts_each_request_once(tmp_path: Path) -> None:
    lines = [line(i, request="GET /item/7 HTTP/1.1", size=1000) for i in range(60)]
    lines += [line(60 + i, request="POST /cart?id=9 HTTP/1.1", status=201, size=10) for i in range(30)]
    lines += [line(90 + i, request="GET /item/8 HTTP/1.1", status=404, size=0) for i in range(6)]
    lines += [line(96 + i, request="POST /cart HTTP/1.1", status=500) for i in range(4)]
    lines += [line(100, request="-", status=408)]
    found = profile(recording(tmp_path, lines))
    assert found.mix is not None
    assert (found.requests, found.without_request, found.lines) == (100.0, 1, 101)
    classes = {c.name: c for c in found.mix.classes}
    assert classes["item"].share == pytest.approx(0.66)
    assert classes["item"].answered_4xx == pytest.approx(6 / 66)
    assert (classes["item"].method, classes["item"].example) == ("GET", "/item/7")
    cart = classes["post-cart"]
    assert (cart.share, cart.method, cart.example) == (pytest.approx(0.34), "POST", "/cart")
    assert (cart.answered_4xx, cart.answered_5xx) == (0.0, pytest.approx(4 / 34))
    assert found.mix.methods == {"GET": pytest.approx(0.66), "POST": pytest.approx(0.34)}
    assert list(found.mix.statuses) == [200, 201, 404, 500]
    assert found.mix.size_bytes.mean == pytest.approx((60_000 + 300 + 400) / 100)
    assert found.mix.size_bytes.p50 == 1000.0
    assert found.mix.duration_s is None


def test_the_classes_of_a_long_log_are_those_of_all_of_it(tmp_path: Path) -> None:
    """Classes are proposed from a part of it; their shares are counted over every request."""
    rng = np.random.default_rng(0)
    names = rng.choice(["shop", "blog", "api"], size=BLOCK + 20_000, p=[0.6, 0.3, 0.1])
    log = recording(tmp_path, [line(i // 50, request=f"GET /{n}/{i} HTTP/1.1") for i, n in enumerate(names)])
    found = profile(log)
    assert found.mix is not None
    shares = {c.name: c.share for c in found.mix.classes}
    assert shares == {name: pytest.approx(np.mean(names == name)) for name in ("shop", "blog", "api")}


def test_durations_are_told_where_they_are_known(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    timed = [line(i).rstrip() + f" rt={0.01 * i:.3f}\n" for i in range(101)]
    path.write_text("".join([*timed, line(101), line(102, request="-")]))
    found = profile(read_recording(path, log_format=COMBINED + " rt=$request_time"))
    assert found.mix is not None
    took = found.mix.duration_s
    assert took is not None
    assert (took.mean, took.p50, took.p95, took.p99) == pytest.approx((0.5, 0.5, 0.95, 0.99), abs=0.006)


def test_the_order_of_classes_is_that_in_which_they_are_tried(tmp_path: Path) -> None:
    """`/*` matches everything: were it tried first, nothing would be left for the others."""
    requests = ["/about", "/news", "/terms", "/jobs", *["/shop/a"] * 3, *["/blog/b"] * 2]
    log = recording(tmp_path, [line(i, request=f"GET {requests[i % 9]} HTTP/1.1") for i in range(900)])
    found = profile(log)
    assert found.mix is not None
    assert log.log is not None
    patterns = compile_patterns({c.name: c.patterns for c in found.mix.classes})
    classes = patterns.classes(log.log)
    assert NO_REQUEST not in classes
    for i, c in enumerate(found.mix.classes):
        assert np.mean(classes == i) == pytest.approx(c.share)
        assert c.share > 0.0


def test_no_trace_of_what_is_redacted_is_left(tmp_path: Path) -> None:
    lines = [line(i, request=f"GET /users/ada.lovelace/photo?token=s3cret{i} HTTP/1.1") for i in range(50)]
    lines += [line(50 + i, request="GET /ada.lovelace HTTP/1.1") for i in range(50)]
    log = recording(tmp_path, lines)
    found = profile(log, [re.compile(r"ada\.\w+")])
    told = repr(found) + repr(asdict(found.mix) if found.mix is not None else "")
    assert "ada" not in told
    assert "s3cret" not in told
    assert "192.0.2" not in told
    assert found.mix is not None
    assert log.log is not None
    assert "/users/*/photo" in told
    real = compile_patterns({c.name: c.patterns for c in found.mix.classes}).shares(log.log)
    assert real == {c.name: pytest.approx(c.share) for c in found.mix.classes} | {"other": 0.0}


def test_a_path_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    odd = [
        r"GET /a\x1b[31mb/c HTTP/1.1",
        "GET /a b/c HTTP/1.1",
        r"GET /\xe2\x80\xae/c HTTP/1.1",
        "GET /ok HTTP/1.1",
    ]
    log = recording(tmp_path, [line(i, request=odd[i % 4]) for i in range(200)])
    assert log.log is not None
    assert all(path.isprintable() and " " not in path for path in presentable(log.log).paths)
    found = profile(log)
    assert found.mix is not None
    assert all(c.example.isprintable() for c in found.mix.classes)
    assert (
        sum(compile_patterns({c.name: c.patterns for c in found.mix.classes}).shares(log.log).values()) == 1.0
    )


def test_a_log_without_requests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the log's lines holds a request"):
        profile(recording(tmp_path, [line(0, request="-")]))


def test_a_single_request_is_enough(tmp_path: Path) -> None:
    found = profile(recording(tmp_path, [line(0)]))
    assert (found.seconds, found.rates.mean, found.rates.minute) == (1.0, 1.0, None)
    assert part_to_replay(found).seconds == 1.0


# ------------------------------------------------------------------------------------------- which part to replay


def test_the_part_to_replay_holds_the_wave_with_calm_around_it(tmp_path: Path) -> None:
    found = wave(tmp_path, "5/s for 30m, -> 60/s in 20s, hold 3m, -> 5/s in 40s, hold 30m")
    part = part_to_replay(found)
    assert part.seconds == 600.0
    assert 1800.0 - 200.0 < part.begin_s < 1800.0 - 60.0
    assert part.begin_s + part.seconds > 1800.0 + 240.0 + 60.0
    assert part.requests == pytest.approx(240.0 * 50.0 + 360.0 * 5.0, rel=0.1)


def test_the_part_grows_with_the_wave(tmp_path: Path) -> None:
    found = wave(tmp_path, "5/s for 60m, -> 40/s in 1m, hold 15m, -> 5/s in 1m, hold 60m")
    part = part_to_replay(found)
    assert part.seconds == 1800.0
    assert part.begin_s < 3600.0 < 3600.0 + 17 * 60.0 < part.begin_s + part.seconds


def test_without_a_wave_it_is_the_busiest_part(tmp_path: Path) -> None:
    found = wave(tmp_path, "5/s for 30m, -> 8/s in 10s, hold 10m, -> 5/s in 10s, hold 30m")
    assert found.bursts.wave is None
    part = part_to_replay(found)
    assert part.seconds == 600.0
    assert part.begin_s == pytest.approx(1810.0, abs=60.0)
    assert (part.begin_s, part.requests) == found.counts.busiest(600.0)


def test_a_part_that_is_asked_for_is_given(tmp_path: Path) -> None:
    found = wave(tmp_path, "5/s for 20m")
    assert part_to_replay(found, 60.0, 300.0).begin_s == 300.0
    assert part_to_replay(found, 1e6).seconds == found.seconds
    assert part_to_replay(found, 600.0, 1000.0).seconds == found.seconds - 1000.0
    with pytest.raises(ValueError, match="nothing lies at 5000 s"):
        part_to_replay(found, 60.0, 5000.0)


# ------------------------------------------------------------------------------------------------------ visitors

SOME = st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 5)), min_size=1, max_size=60)


@given(SOME)
def test_visitors_are_counted_as_one_would_by_hand(requests: list[tuple[int, int]]) -> None:
    requests = sorted(requests)
    origin = requests[0][0]
    times = np.array([t - origin for t, _ in requests], dtype=float)
    session = np.array([who for _, who in requests], dtype=np.int32)
    end = times[-1] + 1.0
    half = times.size // 2
    blocks = [(times[:half], session[:half]), (times[half:], session[half:])]
    found = visitors(blocks, 6, np.array([[0.0, end]]))
    mine = {who: times[session == who] for who in set(session.tolist())}
    gaps = [np.diff(t) for t in mine.values()]
    visits = sum(1 + np.count_nonzero(g > VISIT_SECONDS) for g in gaps)
    inside = np.concatenate([g[g <= VISIT_SECONDS] for g in gaps])
    assert (found.visitors, found.visits) == (len(mine), visits)
    assert found.requests_per_visit == pytest.approx(times.size / visits)
    assert found.single_visitors == pytest.approx(np.mean([t.size == 1 for t in mine.values()]))
    assert found.between_requests_s == (float(np.median(inside)) if inside.size else None)
    assert found.largest_share == pytest.approx(max(t.size for t in mine.values()) / times.size)
    there = np.zeros(int(end))
    for t in mine.values():
        active = np.zeros(int(end), dtype=bool)
        for begin in t.astype(int):
            active[begin : begin + int(ACTIVE_SECONDS)] = True
        there += active
    assert found.at_once_peak == there.max()
    assert there[int(found.at_once_peak_s)] == there.max()
    assert found.at_once_mean == pytest.approx(there.mean())


def test_nobody_is_there_in_a_hole() -> None:
    times = np.array([0.0, 1.0, 10_000.0, 10_001.0])
    stretches = np.array([[0.0, 2.0], [10_000.0, 10_002.0]])
    found = visitors([(times, np.array([1, 2, 1, 2]))], 3, stretches)
    assert found.at_once_mean == pytest.approx((2.0 + 1.0 + 2.0 + 1.0) / 4.0)
    assert (found.visitors, found.visits, found.at_once_peak) == (2, 4, 2)
