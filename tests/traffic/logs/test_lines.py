"""Access logs are read as they are: with escapes, holes, cut lines, other clocks and other alphabets."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.traffic.logs.apache import COMBINED
from seawall.traffic.logs.lines import LineReader
from seawall.traffic.logs.log import SERVED_NOT_ASKED, RequestLog
from seawall.traffic.logs.read import found_format, read_log

EXTRACT = Path(__file__).parents[2] / "data" / "traffic" / "apache_extract.log"
GOOD = b'192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 12 "-" "Agent"\n'
AT = 1431857103.0  # 17 May 2015, 10:05:03 UTC


@pytest.fixture
def log(tmp_path: Path):
    """Reads bytes as a log."""

    def read(content: bytes, **options: str) -> RequestLog:
        path = tmp_path / "access.log"
        path.write_bytes(content)
        return read_log(path, **options)  # type: ignore[arg-type]

    return read


def one(log: RequestLog) -> tuple[str, str, int, int, float]:
    """Method, path, status, bytes and time of a log's only request."""
    assert (len(log), log.damaged) == (1, 0)
    return (
        log.methods[log.method[0]],
        log.paths[log.path[0]],
        int(log.status[0]),
        int(log.size_bytes[0]),
        float(log.t_s[0]),
    )


def test_a_real_extract_is_read_whole() -> None:
    log = read_log(EXTRACT)
    assert (len(log), log.lines, log.damaged, log.cut) == (231, 231, 0, 1)
    assert log.out_of_order > 50
    assert (np.diff(log.t_s) >= 0).all()
    lines = EXTRACT.read_bytes().splitlines()
    assert int(np.count_nonzero(log.status == 404)) == sum(b'" 404 ' in line for line in lines)
    assert {log.methods[m] for m in log.method} == {line.split(b'"')[1].split()[0].decode() for line in lines}
    assert {log.paths[p] for p in log.path} == {line.split(b'"')[1].split()[1].decode() for line in lines}
    assert log.size_bytes.sum() == sum(
        int(n) for line in lines if (n := line.split(b'"')[2].split()[1]) != b"-"
    )
    assert (
        log.sessions
        == len({(line.split()[0], line.split(b'"')[-2]) for line in lines if line[-1:] == b'"'}) + 1
    )


def line(request: bytes = b"GET /a HTTP/1.1", host: bytes = b"192.0.2.1", user: bytes = b"-") -> bytes:
    """A line in combined format."""
    return host + b" - " + user + b' [17/May/2015:10:05:03 +0000] "' + request + b'" 200 12 "-" "Agent"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, ("GET", "/a", 200, 12, AT)),
        (GOOD.replace(b' "-" "Agent"', b""), ("GET", "/a", 200, 12, AT)),  # common format
        (GOOD.replace(b"\n", b"\r\n"), ("GET", "/a", 200, 12, AT)),
        (GOOD.replace(b' "-" "Agent"\n', b"\r\n"), ("GET", "/a", 200, 12, AT)),
        (GOOD.replace(b"\n", b""), ("GET", "/a", 200, 12, AT)),  # no line end
        (GOOD.replace(b"\n", b' "10.0.0.7" 0.003 foo=bar\n'), ("GET", "/a", 200, 12, AT)),
        (GOOD.replace(b"200 12", b"- -"), ("GET", "/a", 0, 0, AT)),
        (line(b"GET /a?b=%20c#d HTTP/2.0"), ("GET", "/a?b=%20c#d", 200, 12, AT)),
        (line(b"GET /with blank.html HTTP/1.0"), ("GET", "/with blank.html", 200, 12, AT)),
        (line(b"GET /old"), ("GET", "/old", 200, 12, AT)),  # HTTP/0.9
        (line(b"PROPFIND /dav HTTP/1.1"), ("PROPFIND", "/dav", 200, 12, AT)),
        (line(b"OPTIONS * HTTP/1.1"), ("OPTIONS", "*", 200, 12, AT)),
        (line(b"GET https://example.org/x?y HTTP/2.0"), ("GET", "/x?y", 200, 12, AT)),
        (line(b"GET http://example.org HTTP/1.1"), ("GET", "/", 200, 12, AT)),
        (line(rb"GET /a\"b\\c\x41 HTTP/1.1"), ("GET", '/a"b\\cA', 200, 12, AT)),
        (line(b"GET /caf\xc3\xa9 HTTP/1.1"), ("GET", "/café", 200, 12, AT)),  # UTF-8
        (line(b"GET /caf\xe9 HTTP/1.1"), ("GET", "/café", 200, 12, AT)),  # Latin-1
        (line(rb"GET /caf\xc3\xa9 HTTP/1.1"), ("GET", "/café", 200, 12, AT)),  # escaped
        (line(b"-"), ("", "", 200, 12, AT)),  # Apache, time-out before a request
        (line(b""), ("", "", 200, 12, AT)),  # nginx, the same
        (line(rb"\x16\x03\x01\x02"), ("", "", 200, 12, AT)),  # TLS on a plain port
        (line(b"\x16\x03\x01 \xff"), ("", "", 200, 12, AT)),
        (line(b"quit"), ("", "", 200, 12, AT)),
        (line(host=b"2001:db8::1"), ("GET", "/a", 200, 12, AT)),
        (line(user=b"john q. [public]"), ("GET", "/a", 200, 12, AT)),
        (b"\xef\xbb\xbf" + GOOD, ("GET", "/a", 200, 12, AT)),  # byte order mark
        (b"\0\0\0\0" + GOOD, ("GET", "/a", 200, 12, AT)),  # hole left by a cut log
        (GOOD.replace(b"10:05:03 +0000", b"12:05:03 +0200"), ("GET", "/a", 200, 12, AT)),
        (
            GOOD.replace(b"17/May/2015:10:05:03 +0000", b"16/May/2015:23:35:03 -1030"),
            ("GET", "/a", 200, 12, AT),
        ),
        (GOOD.replace(b":03 +", b":03.250 +"), ("GET", "/a", 200, 12, AT + 0.25)),
        (
            GOOD.replace(b"17/May/2015:10:05:03 +0000", b"2015-05-17T10:05:03+00:00"),
            ("GET", "/a", 200, 12, AT),
        ),
        # Cut off in the middle of the agent, after the referer, within the referer.
        (GOOD[:-5], ("GET", "/a", 200, 12, AT)),
        (GOOD[: GOOD.index(b' "Agent')], ("GET", "/a", 200, 12, AT)),
        (GOOD.replace(b'"-" "Agent"', b'"http://exam'), ("GET", "/a", 200, 12, AT)),
        # A quote that its server did not escape.
        (GOOD.replace(b"Agent", b'An "odd" one'), ("GET", "/a", 200, 12, AT)),
    ],
)
def test_a_line_is_read(log, text: bytes, expected: tuple[str, str, int, int, float]) -> None:
    assert one(log(text)) == expected
    between = log(GOOD + text.rstrip(b"\n") + b"\n" + GOOD)
    assert (len(between), between.damaged) == (3, 0)


@pytest.mark.parametrize(
    "text",
    [
        b"once upon a time",
        GOOD[:40],  # cut before the request
        GOOD[: GOOD.index(b" HTTP")],  # cut within the request
        GOOD.replace(b"May", b"Mai"),
        GOOD.replace(b"17/", b"32/"),
        GOOD.replace(b"10:05", b"25:05"),
        GOOD.replace(b"200", b"2000"),
        GOOD.replace(b"200", b"20"),
        GOOD.replace(b" 12 ", b" 12x "),
        GOOD.replace(b"[17/May/2015:10:05:03 +0000]", b"-"),
        GOOD.replace(b"200 12", b"200 -5"),
        b"\x00\x01\x02\xff\xfe binary",
        b"192.0.2.1 " * 20_000,
        b'x - - [17/May/2015:10:05:03 +0000] "' * 5_000,
    ],
)
def test_a_damaged_line_is_counted_and_the_others_are_read(log, text: bytes) -> None:
    content = GOOD + text.rstrip(b"\n") + b"\n" + GOOD
    read = log(content)
    assert (len(read), read.lines, read.damaged, read.damaged_lines) == (2, 3, 1, (2,))
    assert any("1 of 3 lines could not be read (line 2)" in note for note in read.notes)


def test_the_first_damaged_lines_are_named_whatever_is_wrong_with_them(log) -> None:
    no_date = GOOD.replace(b"17/", b"32/")
    read = log(GOOD * 20 + (no_date + b"odd\n") * 4)
    assert (read.damaged, read.damaged_lines) == (8, (21, 22, 23, 24, 25))
    assert any("line 21, 22, 23, 24, 25, ..." in note for note in read.notes)


def test_blank_lines_are_neither_requests_nor_damage(log) -> None:
    read = log(b"\n\r\n" + GOOD + b"\n   \n" + GOOD)
    assert (len(read), read.lines, read.blank, read.damaged) == (2, 6, 4, 0)


def test_lines_that_name_no_request_are_counted(log) -> None:
    read = log(GOOD + line(b"-") + line(b""))
    assert read.without_request == 2
    assert any("2 lines hold no request" in note for note in read.notes)


def test_a_log_that_is_out_of_order_is_put_in_order(log) -> None:
    stamps = [b"10:05:09", b"10:05:03", b"10:05:05", b"10:05:03"]
    lines = [GOOD.replace(b"10:05:03", stamp).replace(b"/a", b"/%d" % n) for n, stamp in enumerate(stamps)]
    read = log(b"".join(lines))
    assert [read.paths[p] for p in read.path] == ["/1", "/3", "/2", "/0"]
    assert (read.first, read.last, read.out_of_order) == (AT, AT + 6, 2)


def test_requests_of_the_same_second_keep_their_order(log) -> None:
    seconds = [n * 7 % 3 for n in range(300)]
    lines = [GOOD.replace(b":03 ", b":0%d " % s).replace(b"/a", b"/%d" % n) for n, s in enumerate(seconds)]
    read = log(b"".join(lines))
    expected = sorted(range(300), key=lambda n: (seconds[n], n))
    assert [int(read.paths[p][1:]) for p in read.path] == expected


def test_a_change_of_the_clock_does_not_move_the_requests(log) -> None:
    winter = GOOD.replace(b"10:05:03 +0000", b"02:59:59 +0200")
    summer = GOOD.replace(b"10:05:03 +0000", b"02:00:00 +0100")
    read = log(winter + summer)
    assert read.last - read.first == 1.0
    assert read.out_of_order == 0


def test_visitors_are_told_apart_by_user_or_by_address_and_agent(log) -> None:
    lines = [
        line(),
        line(host=b"192.0.2.2"),
        line().replace(b"Agent", b"Other"),
        line(),
        line(user=b"ann"),
        line(user=b"ann", host=b"192.0.2.9"),
        line(user=b'""'),
    ]
    read = log(b"".join(lines))
    assert read.session.tolist() == [0, 1, 2, 0, 3, 3, 0]
    assert read.sessions == 4


def test_whole_seconds_are_told_from_finer_ones(log) -> None:
    assert log(GOOD).whole_seconds
    assert not log(GOOD + GOOD.replace(b":03 +", b":03.5 +")).whole_seconds


def test_the_notes_say_what_a_log_is_not(log) -> None:
    notes = log(GOOD).notes
    assert notes[0] == SERVED_NOT_ASKED
    assert any("whole seconds" in note for note in notes)
    assert not any("holes" in note for note in notes)
    busy = b"".join(GOOD.replace(b"05:03", b"05:%02d" % (n // 10)) for n in range(200))
    holed = log(busy + busy.replace(b"10:05", b"11:05"))
    assert any("the longest time without a request is 3581 s" in note for note in holed.notes)


def test_where_the_end_is_stamped_the_duration_is_taken_off(log) -> None:
    known = GOOD.replace(b"\n", b" rt=2.5 uct=0.1\n")
    read = log(known + GOOD.replace(b"/a", b"/b"), stamp="end")
    assert read.t_s.tolist() == [AT - 2.5, AT]
    assert (read.timed, read.whole_seconds) == (1, True)
    assert any("1 of 2 lines give no duration" in note for note in read.notes)
    assert log(known).t_s.tolist() == [AT]
    assert not any("duration" in note for note in log(known).notes)


def test_gzip_is_unpacked_whatever_its_name(tmp_path: Path) -> None:
    for name in ("access.log.gz", "access.log"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(GOOD * 3))
        assert len(read_log(path)) == 3


def test_a_gzip_file_cut_short_says_so_and_where(tmp_path: Path) -> None:
    path = tmp_path / "access.log.gz"
    lines = b"".join(GOOD.replace(b"/a", b"/%d" % (n * 7919 % 99991)) for n in range(20_000))
    path.write_bytes(gzip.compress(lines)[:-2000])
    with pytest.raises(InputError, match="cut short") as caught:
        read_log(path)
    assert caught.value.file == str(path)
    assert caught.value.line is not None
    assert 1 < caught.value.line < 20_000
    path.write_bytes(gzip.compress(GOOD)[:12] + b"\xff" * 40)
    with pytest.raises(InputError, match="damaged"):
        read_log(path)


@pytest.mark.parametrize(
    ("content", "message", "line_number"),
    [
        (b"", "empty", None),
        (b"\n\n\r\n", "blank lines alone", None),
        (b"first,second\n1,2\n", "no line could be read.*`first,second`.*also lines 2", 1),
        (b"\n" + GOOD + b"bad one\nbad two\n", "less than half of the 4 lines.*`bad one`.*also lines 4", 3),
        (b"\x16\x03\xff\n", r"`\\x16\\x03\\xff`", 1),
        (b"x" * 17_000_000, "no line ends within 16 MiB", 1),
    ],
)
def test_what_is_no_log_is_refused(log, content: bytes, message: str, line_number: int | None) -> None:
    with pytest.raises(InputError, match=message) as caught:
        log(content)
    assert caught.value.line == line_number
    assert str(caught.value.file).endswith("access.log")
    assert len(str(caught.value)) < 600


def test_half_of_the_lines_is_enough(log) -> None:
    assert len(log(GOOD + b"bad\n")) == 1


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        read_log(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_log(tmp_path / "none.log")
    with pytest.raises(InputError, match="neither a file nor a pipe"):
        read_log("/dev/zero")
    with pytest.raises(InputError, match="null"):
        read_log("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(GOOD)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_log(path)


def test_blocks_and_long_lines_do_not_change_what_is_read(log, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = GOOD.replace(b"Agent", b"long " * 30_000)  # over 64 KiB: cut there, and read
    content = b"".join(GOOD.replace(b"/a", b"/%d" % n) for n in range(50)) + agent + b"odd\n" + GOOD
    whole = log(content)
    assert (len(whole), whole.damaged, whole.damaged_lines) == (52, 1, (52,))
    monkeypatch.setattr("seawall.traffic.files.BLOCK_BYTES", 64)
    small = log(content)
    assert (len(small), small.damaged_lines, small.cut) == (52, (52,), 1)
    assert list(small.paths) == list(whole.paths)
    np.testing.assert_array_equal(small.session[:50], whole.session[:50])


@given(st.binary(max_size=300))
@example(b"\\")
@example(b'"' * 100)
@example(GOOD[:-1] * 2)
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "access.log"
    path.write_bytes(GOOD * 200 + noise + b"\n" + GOOD)
    read = read_log(path)
    assert len(read) + read.damaged + read.blank == read.lines
    assert len(read) >= 201


def test_a_line_is_known_for_one_of_a_log() -> None:
    assert found_format(GOOD) is COMBINED
    assert found_format(EXTRACT.read_bytes().splitlines()[0]) is COMBINED
    assert found_format(b"second,requests") is None


def test_a_file_without_a_readable_line_is_not_read_to_its_end(log, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    take = LineReader.take
    monkeypatch.setattr(
        LineReader, "take", lambda self, first, block: (blocks.append(first), take(self, first, block))
    )
    monkeypatch.setattr("seawall.traffic.files.BLOCK_BYTES", 64)
    monkeypatch.setattr("seawall.traffic.logs.lines._HOPELESS", 20)
    with pytest.raises(InputError, match="no line could be read"):
        log(b"nothing of use\n" * 1000)
    assert len(blocks) < 10
    blocks.clear()
    assert log(GOOD + b"nothing of use\n" * 30 + GOOD * 40).damaged == 30
    assert len(blocks) > 10
