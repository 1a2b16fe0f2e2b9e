"""Any LogFormat of Apache and any log_format of nginx is read as it was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.traffic.logs.apache import apache_format
from seawall.traffic.logs.nginx import nginx_format
from seawall.traffic.logs.read import NAMED, named_format
from traffic.logs.conftest import Read, rows

AT = 1431857103.0  # 17 May 2015, 10:05:03 UTC
COMBINED = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'
HEAD = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a?b=1 HTTP/1.1"'
GOOD = ("GET", "/a?b=1", 200, 12, AT, -1.0)
NO_QUERY = ("GET", "/a", 200, 12, AT, -1.0)
NO_SIZE = ("GET", "/a?b=1", 200, 0, AT, -1.0)
LATER = ("GET", "/a?b=1", 200, 0, AT + 0.25, -1.0)


@pytest.mark.parametrize(
    ("log_format", "line", "expected"),
    [
        ('%h %l %u %t "%r" %>s %b %D', HEAD + " 200 12 1500", (*GOOD[:5], 0.0015)),
        ('%h %l %u %t "%r" %>s %b %D', HEAD + " 200 - -", ("GET", "/a?b=1", 200, 0, AT, -1.0)),
        ('%h %l %u %t "%r" %>s %b %T', HEAD + " 200 12 3", (*GOOD[:5], 3.0)),
        ('%h %l %u %t "%r" %>s %b %T %{ms}T', HEAD + " 200 12 0 250", (*GOOD[:5], 0.25)),
        ('%h %l %u %t "%r" %>s %b %{us}T %T', HEAD + " 200 12 250000 0", (*GOOD[:5], 0.25)),
        # As the configuration has it: with escaped quotes, or the whole directive.
        (r"%h %l %u %t \"%r\" %>s %b", HEAD + " 200 12", GOOD),
        (r'LogFormat "%h %l %u %t \"%r\" %>s %b" mine', HEAD + " 200 12", GOOD),
        (r'CustomLog /var/log/a.log "%h %l %u %t \"%r\" %>s %b"', HEAD + " 200 12", GOOD),
        # Modifiers, and fields without a use here.
        (
            '%a %{c}a %A %p %P %k %X %I %O %v %{Host}i %t "%r" %<s %!200,304{Referer}i %{x}e %L %%',
            "192.0.2.1 10.0.0.1 10.0.0.2 80 77 0 + 100 12 www a.org [17/May/2015:10:05:03 +0000] "
            '"GET /a?b=1 HTTP/1.1" 200 - - AbC %',
            GOOD,
        ),
        # Times in other forms.
        (
            '%{%d/%b/%Y:%H:%M:%S}t.%{msec_frac}t %{%z}t "%r" %>s',
            '17/May/2015:12:05:03.250 +0200 "GET /a?b=1 HTTP/1.1" 200',
            LATER,
        ),
        (
            '[%{%Y-%m-%d %T}t.%{usec_frac}t] "%r" %>s',
            '[2015-05-17 10:05:03.250000] "GET /a?b=1 HTTP/1.1" 200',
            LATER,
        ),
        ('%{%FT%T%z}t "%r" %>s', '2015-05-17T10:05:03+0000 "GET /a?b=1 HTTP/1.1" 200', NO_SIZE),
        ('%{%b %e %I:%M:%S %p %y}t "%r" %>s', 'May 17 10:05:03 AM 15 "GET /a?b=1 HTTP/1.1" 200', NO_SIZE),
        ('%{%s}t "%r" %>s', '1431857103 "GET /a?b=1 HTTP/1.1" 200', NO_SIZE),
        (
            '%{%Y %j %R}t "%r" %>s',
            '2015 137 10:05 "GET /a?b=1 HTTP/1.1" 200',
            ("GET", "/a?b=1", 200, 0, AT - 3, -1.0),
        ),
        ('%{sec}t "%r" %>s', '1431857103 "GET /a?b=1 HTTP/1.1" 200', NO_SIZE),
        ('%{msec}t "%r" %>s', '1431857103250 "GET /a?b=1 HTTP/1.1" 200', LATER),
        ('%{usec}t "%r" %>s', '1431857103250000 "GET /a?b=1 HTTP/1.1" 200', LATER),
        ('%t %{usec_frac}t "%r" %>s', '[17/May/2015:10:05:03 +0000] 250000 "GET /a?b=1 HTTP/1.1" 200', LATER),
        # The request in parts, or without quotes.
        ("%t %m %U%q %H %>s %b", "[17/May/2015:10:05:03 +0000] GET /a?b=1 HTTP/1.1 200 12", GOOD),
        ("%t %m %U%q %H %>s %b", "[17/May/2015:10:05:03 +0000] GET /a HTTP/1.1 200 12", NO_QUERY),
        (
            '%t "%m" "%U" "%q" %>s %b',
            '[17/May/2015:10:05:03 +0000] "GET" "/a b" "?b=1" 200 12',
            ("GET", "/a b?b=1", *GOOD[2:]),
        ),
        ("%h %t %r %>s %b", "192.0.2.1 [17/May/2015:10:05:03 +0000] GET /a?b=1 HTTP/1.1 200 12", GOOD),
        (
            "%h %u %t %r %>s %b",
            "192.0.2.1 ann b [17/May/2015:10:05:03 +0000] GET /a b 200 12",
            ("GET", "/a b", *GOOD[2:]),
        ),
        # The fields parted by something else, and what may be in them.
        ("%h|%t|%r|%>s|%b", "192.0.2.1|[17/May/2015:10:05:03 +0000]|GET /a?b=1 HTTP/1.1|200|12", GOOD),
        (
            r"%h\t%t\t%r\t%>s\t%b",
            "192.0.2.1\t[17/May/2015:10:05:03 +0000]\tGET /a?b=1 HTTP/1.1\t200\t12",
            GOOD,
        ),
        (
            '%{X-Forwarded-For}i %l %u %t "%r" %>s %b',
            HEAD.replace("192.0.2.1", "192.0.2.1, 10.0.0.1") + " 200 12",
            GOOD,
        ),
        (COMBINED, HEAD + r' 200 12 "http://a.org/\"b\"" "An \"odd\" \\ one"', GOOD),
        (COMBINED, HEAD.replace("a?", r"\x61?") + ' 200 12 "-" "-"', GOOD),
        # nginx: the time is the end.
        (
            '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time',
            HEAD + " 200 12 2.500",
            (*GOOD[:4], AT - 2.5, 2.5),
        ),
        (
            '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time',
            HEAD + " 200 12 -",
            GOOD,
        ),
        (
            "'$remote_addr [$time_local] \"$request\" '\n    '$status $bytes_sent';",
            '192.0.2.1 [17/May/2015:10:05:03 +0000] "GET /a?b=1 HTTP/1.1" 200 12',
            GOOD,
        ),
        (
            "log_format  main  '$time_local \"$request\" ' '$status $bytes_sent';",
            '17/May/2015:10:05:03 +0000 "GET /a?b=1 HTTP/1.1" 200 12',
            GOOD,
        ),
        (
            '$msec $request_time "$request" $status "$upstream_response_time"',
            '1431857103.250 0.250 "GET /a?b=1 HTTP/1.1" 200 "0.1, 0.2"',
            ("GET", "/a?b=1", 200, 0, AT, 0.25),
        ),
        (
            '$time_iso8601 $upstream_response_time "$request" $status',
            '2015-05-17T12:05:03+02:00 0.100, 0.200 : 0.300 "GET /a?b=1 HTTP/1.1" 200',
            NO_SIZE,
        ),
        (
            "$time_iso8601 $request_method $uri$is_args$args $status $body_bytes_sent",
            "2015-05-17T10:05:03+00:00 GET /a?b=1 200 12",
            GOOD,
        ),
        (
            "$time_iso8601 $request_method $uri$is_args$args $status $body_bytes_sent",
            "2015-05-17T10:05:03+00:00 GET /a 200 12",
            NO_QUERY,
        ),
        (
            "$time_iso8601 $request_method $uri $args $status $body_bytes_sent",
            "2015-05-17T10:05:03+00:00 GET /a b=1 200 12",
            GOOD,
        ),
        (
            "$time_iso8601 $request_method $uri $args $status $body_bytes_sent",
            "2015-05-17T10:05:03+00:00 GET /a - 200 12",
            NO_QUERY,
        ),
        (
            "$time_iso8601 ${request_method} $scheme://${host}$request_uri $status $bytes_sent",
            "2015-05-17T10:05:03+00:00 GET https://a.org/a?b=1 200 12",
            GOOD,
        ),
        (
            '{"t":"$time_iso8601","m":"$request_method","u":"$request_uri","s":$status,"b":$bytes_sent,"d":"$request_time"}',
            '{"t":"2015-05-17T10:05:03+00:00","m":"GET","u":"/a?b=\\"\\u00e9","s":200,"b":12,"d":"0.500"}',
            ("GET", '/a?b="é', 200, 12, AT - 0.5, 0.5),
        ),
    ],
)
def test_a_line_of_a_format_is_read(
    read: Read, log_format: str, line: str, expected: tuple[object, ...]
) -> None:
    assert rows(read(log_format, line)) == [expected]
    # Among others it is the same, also where one is damaged.
    assert rows(read(log_format, *[line] * 3, "odd", line)) == [expected] * 4


def test_both_servers_spell_their_times_out(read: Read) -> None:
    apache = read('%h %t "%r" %>s %D', '192.0.2.1 [17/May/2015:10:05:03 +0200] "GET / HTTP/1.1" 200 5')
    assert (apache.stamp, apache.timed, apache.utc_offset_s, apache.whole_seconds) == (
        "arrival",
        1,
        7200,
        True,
    )
    assert not any("ends of requests" in note for note in apache.notes)
    nginx = read('$msec "$request" $request_time', '1.250 "GET / HTTP/1.1" 0.5', '1.500 "GET / HTTP/1.1" -')
    assert (nginx.stamp, nginx.timed, nginx.whole_seconds) == ("end", 1, False)
    assert any("their durations were taken off" in note for note in nginx.notes)
    assert any("1 of 2 lines give no duration: long requests come too late" in note for note in nginx.notes)
    ends = read('%{end:msec}t "%r" %D', '1431857103500 "GET / HTTP/1.1" 250000')
    assert (ends.stamp, ends.first) == ("end", AT + 0.25)


def test_what_the_caller_says_of_the_stamp_holds(read: Read) -> None:
    line = '17/May/2015:10:05:03 +0000 "GET / HTTP/1.1" 200 3.0'
    assert read('$time_local "$request" $status $request_time', line).first == AT - 3.0
    assert read('$time_local "$request" $status $request_time', line, stamp="arrival").first == AT
    assert read("nginx", HEAD + ' 200 12 "-" "A" rt=2.0').first == AT - 2.0
    assert read("combined", HEAD + ' 200 12 "-" "A" rt=2.0').first == AT


def test_nginx_is_suspected_by_a_status_of_its_own(read: Read) -> None:
    assert any("give stamp: end" in note for note in read("auto", HEAD + ' 499 0 "-" "A"').notes)
    assert not any("give stamp: end" in note for note in read("nginx", HEAD + ' 499 0 "-" "A"').notes)


def test_debians_log_of_all_virtual_hosts_is_found(read: Read) -> None:
    lines = [f'a.org:{port} {HEAD} 200 12 "-" "A"' for port in (80, 443)]
    log = read("auto", *lines)
    assert (log.format, rows(log), log.session.tolist()) == ("vhost_combined", [GOOD] * 2, [0, 0])
    address = HEAD.replace("192.0.2.1 - -", "2001:db8::1 - john doe") + ' 200 12 "-" "A"'
    assert read("auto", address, HEAD + ' 200 12 "-" "A"').format == "combined"


def test_a_line_that_lacks_its_end_is_read_and_counted(read: Read) -> None:
    whole = HEAD + ' 200 12 "-" "Agent" 1500'
    log_format = COMBINED + " %D"
    log = read(log_format, whole, *(whole[:n] for n in (-6, -9, -14, len(HEAD) + 4)), whole)
    assert (len(log), log.cut, log.damaged) == (6, 4, 0)
    assert log.timed == 2
    log = read(log_format, whole, whole + " 17 more")
    assert (len(log), log.cut) == (2, 0)


def test_a_line_that_lacks_what_is_needed_is_damage(read: Read) -> None:
    whole = HEAD + ' 200 12 "-" "Agent"'
    log = read(COMBINED, whole, HEAD[:-3], HEAD, HEAD + " 20", whole.replace("17/", "32/"), *[whole] * 3)
    assert (len(log), log.damaged_lines) == (4, (2, 3, 4, 5))


def test_where_a_format_does_not_fit_it_is_said_how_far_it_does(read: Read) -> None:
    with pytest.raises(
        InputError, match=r'the format %h %t "%r" %>s does not describe it; it fits up to %h'
    ) as caught:
        read('%h %t "%r" %>s', HEAD + " 200 12")
    assert caught.value.line == 1
    log = read('%h %l %u %t "%r" %>s %b %D', *[HEAD + ' 200 12 "-"'] * 3)
    assert any("they fit up to %b" in note for note in log.notes)


@pytest.mark.parametrize(
    ("log_format", "message"),
    [
        ('%h "%r" %>s', "has no time; write it with %t"),
        ("%h %t %>s", "has no request"),
        ("%h %t %m %>s", "has no request"),
        ("%Y %t %r", "%Y is no part of a LogFormat"),
        ("%t %r %", "% is no part of a LogFormat"),
        ("%{min}T %t %r", "no unit that Apache knows"),
        ("%{%Y-%m}t %r", "no whole date"),
        ("%{%Y-%m-%d %Y}t %r", "a part of the time is there twice"),
        ("%{%Y-%m-%d %Q}t %r", "%Q of the time"),
        ('%h%u %t "%r"', "%h and %u touch in the format"),
        ("$remote_addr $status", "has no time"),
        ("$msec $remote_user$request", "touch in the format"),
        ("common log format", f"write one of {', '.join(NAMED)}"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused(log_format: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        named_format(log_format)
    assert message in str(caught.value)


SAFE = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\[]'), min_size=1, max_size=8
)
NOISE = st.lists(st.sampled_from(['"', " ", "\\", "[", "]", "-", "200", "x", "é", "\t"]), max_size=4).map(
    "".join
)


@given(
    st.lists(
        st.tuples(SAFE, SAFE, st.integers(0, 59), SAFE, st.integers(100, 599), NOISE), min_size=1, max_size=30
    )
)
def test_quick_and_careful_reading_find_the_same(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, str, int, str, int, str]]
) -> None:
    """Lines as they should be, and lines with something odd in them, piece by piece or one at a time."""
    from unittest.mock import patch

    from seawall.traffic.logs.read import read_log

    path = tmp_path_factory.mktemp("logs") / "access.log"
    lines = [
        f'{host} - {user} [17/May/2015:10:05:{second:02d} +0000] "GET /{target} HTTP/1.1" {status} 5 "-" "{odd}" 7'
        for host, user, second, target, status, odd in drawn
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for log_format in ("combined", COMBINED + " %D"):
        try:
            quick = read_log(path, log_format=log_format)
        except InputError:
            continue
        with patch(
            "seawall.traffic.logs.lines.LineReader._quick_rows", lambda reader, piece, count: ([], count)
        ):
            careful = read_log(path, log_format=log_format)
        with patch("seawall.traffic.logs.lines.PIECE_BYTES", 1):
            single = read_log(path, log_format=log_format)
        for other in (careful, single):
            assert rows(other) == rows(quick)
            assert other.session.tolist() == quick.session.tolist()
            assert (other.damaged_lines, other.cut) == (quick.damaged_lines, quick.cut)


def test_each_format_of_a_server_has_a_quick_way() -> None:
    for log_format in (COMBINED, '%h %t "%r" %>s %D', "%{%d/%b/%Y:%H:%M:%S}t.%{usec_frac}t %{%z}t %h %r %>s"):
        assert apache_format(log_format).fast
    assert nginx_format('$remote_addr [$time_local] "$request" $status $request_time').fast
