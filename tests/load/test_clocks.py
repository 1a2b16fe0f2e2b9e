"""How far two clocks are apart is told with what is not known of it; a start is never tomorrow by surprise."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.load.clocks import Answer, Bracket, compare, kernel_clock, parse_start_at, watch
from seawall.load.target import Target, parse_target, resolve

from .answering import CERTIFICATES, http, refusing, serving, wait_for_end

# ------------------------------------------------------------------------------- a reference in simulated time


class Simulated:
    """This clock and a reference that is `ahead` seconds before it, with so long ways there and back."""

    def __init__(self, start: float, ahead: float, there: float, back: float) -> None:
        self.time, self.ahead, self.there, self.back = start, ahead, there, back
        self.asked = 0

    def date(self) -> float:
        return math.floor(self.time + self.ahead)

    def ask(self) -> Answer:
        sent = self.time
        self.asked += 1
        self.time += self.there
        date = self.date()
        self.time += self.back
        return Answer(sent, self.time, date)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0.0
        self.time += seconds

    def watched(self, seconds: float = 2.5) -> Bracket:
        return watch(self.ask, self.now, self.sleep, seconds)


@given(
    start=st.floats(1.7e9, 1.9e9),
    ahead=st.floats(-1e5, 1e5),
    there=st.floats(1e-5, 0.2),
    back=st.floats(1e-5, 0.2),
)
def test_the_truth_is_within_the_uncertainty(start: float, ahead: float, there: float, back: float) -> None:
    simulated = Simulated(start, ahead, there, back)
    clock = simulated.watched().clock("here")
    assert clock is not None
    assert abs(clock.offset_s + ahead) <= clock.uncertainty_s + 1e-6
    assert simulated.time - start <= 2.5 + there + back
    assert simulated.asked <= 150


@given(start=st.floats(1.7e9, 1.9e9), ahead=st.floats(-10.0, 10.0), round_trip=st.floats(1e-4, 0.04))
def test_two_flips_leave_little_more_than_the_round_trip(
    start: float, ahead: float, round_trip: float
) -> None:
    clock = Simulated(start, ahead, round_trip / 2, round_trip / 2).watched().clock("here")
    assert clock is not None
    assert clock.uncertainty_s <= round_trip + 0.001


class Frozen(Simulated):
    def date(self) -> float:
        return 1.7e9


class TwoServers(Simulated):
    """Answers come in turn from two servers, of which one is 0.3 s behind the other."""

    def date(self) -> float:
        return math.floor(self.time + self.ahead - 0.3 * (self.asked % 2))


def test_a_date_that_stands_still_is_no_clock() -> None:
    assert Frozen(1.7e9, 0.0, 0.001, 0.001).watched().clock("here") is None


@given(start=st.floats(1.7e9, 1.7e9 + 10))
def test_servers_that_disagree_leave_their_difference_uncertain(start: float) -> None:
    clock = TwoServers(start, 0.0, 0.001, 0.001).watched().clock("here")
    assert clock is not None
    assert abs(clock.offset_s) <= clock.uncertainty_s
    assert abs(clock.offset_s - 0.3) <= clock.uncertainty_s
    assert clock.uncertainty_s < 0.3


# -------------------------------------------------------------------------------------------- real servers


def dated(ahead: float, headers: str = "") -> Callable[[bytes], bytes]:
    def answer(head: bytes) -> bytes:
        assert head.startswith(b"HEAD /.well-known/seawall HTTP/1.1\r\n")
        date = formatdate(time.time() + ahead, usegmt=True)
        return f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 9\r\n{headers}\r\n".encode()

    return answer


def target_on(port: int, scheme: str = "http") -> Target:
    return resolve(parse_target(f"{scheme}://127.0.0.1:{port}/"))


@pytest.mark.parametrize("headers", ["", "Connection: close\r\n"])
def test_the_clock_of_a_target_is_read_off_its_dates(headers: str) -> None:
    with serving(http(dated(37.25, headers))) as port:
        clock = compare(target_on(port))
        assert clock is not None
        assert abs(clock.offset_s + 37.25) <= clock.uncertainty_s
        assert clock.uncertainty_s < 0.05
        assert clock.reference == f"Date of http://127.0.0.1:{port} at 127.0.0.1:{port}"


def test_one_connection_is_enough_where_it_is_kept() -> None:
    connections = []

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        http(dated(0.0))(connection)

    with serving(serve, "server.pem") as port:
        authority = CERTIFICATES / "authority.pem"
        assert compare(target_on(port, "https"), seconds=0.3, ca_file=authority) is not None
    assert len(connections) == 1


@pytest.mark.parametrize(
    "headers",
    ["", "Date: soon\r\n", f"Date: {formatdate(1.79e9, usegmt=True)}\r\nAge: 7\r\n"],
    ids=["no date", "none that can be read", "out of a cache"],
)
def test_without_a_date_of_now_there_is_no_comparison(headers: str) -> None:
    asked = []

    def answer(head: bytes) -> bytes:
        asked.append(head)
        return f"HTTP/1.1 200 OK\r\n{headers}\r\n".encode()

    with serving(http(answer)) as port:
        assert compare(target_on(port)) is None
    assert len(asked) == 1


def test_without_an_answer_there_is_no_comparison() -> None:
    with refusing() as port:
        assert compare(target_on(port)) is None
    with serving(lambda connection: None) as port:
        assert compare(target_on(port)) is None
    with serving(wait_for_end) as port:
        assert compare(target_on(port), timeout_s=0.1) is None


def test_the_kernel_is_asked_about_its_clock() -> None:
    known = kernel_clock()
    if not known:
        pytest.skip("this kernel does not tell")
    # NTP_PHASE_LIMIT: the kernel lets the maximum error grow to 16 s, and is out of step from there on.
    assert 0.0 < known["maximum_error_s"] <= 16.0
    assert known["estimated_error_s"] >= 0.0
    assert known["maximum_error_s"] < 16.0 or known["synchronised"] is False


# --------------------------------------------------------------------------------------------- --start-at

NOON = 1795345200.0
"""2026-11-22T11:00:00Z: noon in Berlin."""


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of Berlin, by its rule, so that no table of zones is needed."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("12:00", NOON),
        ("18:00", NOON + 6 * 3600),
        ("18:00:30", NOON + 6 * 3600 + 30),
        (" 18:00:30.25 ", NOON + 6 * 3600 + 30.25),
        ("2026-11-22T18:00:00+01:00", NOON + 6 * 3600),
        ("2026-11-22T17:00Z", NOON + 6 * 3600),
        ("2026-11-23 00:00", NOON + 12 * 3600),
        ("+90s", NOON + 90),
        ("+1m30s", NOON + 90),
        ("+90", NOON + 90),
        ("+0s", NOON),
        ("@1795345201", NOON + 1),
        ("@1795345200.5", NOON + 0.5),
    ],
)
def test_a_start_is_read(text: str, start: float) -> None:
    assert parse_start_at(text, NOON) == start


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "11:59:59",
            "has passed today, it is 12:00:00 here; write a later time, or for tomorrow 2026-11-23T11:59:59",
        ),
        ("9:30", "or for tomorrow 2026-11-23T09:30"),
        ("2026-11-22T11:00", "has passed, 1h ago"),
        ("2026-11-22T11:00Z", None),
        ("@1795345199", "has passed, 1s ago"),
        ("@1795345260000", "days ahead; write a time within the next 31 days"),
        ("2027-11-22T11:00", "365 days ahead"),
        ("24:00", "is not a time to start at; write for example 18:00"),
        ("18:60", "is not a time to start at"),
        ("18", "is not a time to start at"),
        ("2026-11-22", "is not a time to start at"),
        ("2026-11-31T10:00", "is not a time to start at"),
        ("tomorrow", "is not a time to start at"),
        ("", "is not a time to start at"),
        ("+", "is not a time to start at"),
        ("+-5s", "is not a time to start at"),
        ("+5 parsecs", "is not a time to start at"),
        ("@", "is not a time to start at"),
        ("@1e9", "is not a time to start at"),
        ("@999999999999999", "days ahead"),
    ],
)
def test_a_start_that_cannot_be_is_said_to_be_so(text: str, said: str | None) -> None:
    if said is None:
        assert parse_start_at(text, NOON) == NOON
        return
    with pytest.raises(InputError) as caught:
        parse_start_at(text, NOON)
    assert said in str(caught.value)


def test_the_advice_for_tomorrow_is_tomorrow() -> None:
    with pytest.raises(InputError) as caught:
        parse_start_at("11:30", NOON)
    assert parse_start_at(str(caught.value).rpartition(" ")[2], NOON) == NOON - 1800 + 86400


@pytest.mark.parametrize(
    ("now", "text", "said"),
    [
        (1792886400.0, "2026-10-25T02:30", "comes twice"),
        (1774735200.0, "2026-03-29T02:30", "does not exist"),
    ],
)
def test_a_time_over_which_the_clocks_are_changed_needs_its_offset(now: float, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_start_at(text, now)
    assert said in str(caught.value)
    first, second = str(caught.value).rpartition("UTC: ")[2].split(" or ")
    assert now < parse_start_at(first, now) == parse_start_at(second, now) - 3600 < now + 86400


@given(now=st.integers(1_700_000_000, 1_900_000_000), ahead=st.integers(0, 86400))
def test_the_time_that_a_clock_on_the_wall_shows_is_that_time(now: int, ahead: int) -> None:
    """What is written as local time without a zone is the moment at which this clock shows it."""
    try:
        start = parse_start_at(time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now + ahead)), now)
    except InputError as error:
        assert "comes twice" in str(error)
    else:
        assert start == now + ahead
