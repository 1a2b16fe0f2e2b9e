"""HAProxy's log is read behind any syslog header, with all that its fields may be."""

from __future__ import annotations

import pytest

from seawall.traffic.logs.haproxy import HAPROXY
from seawall.traffic.logs.read import found_format
from traffic.logs.conftest import Read, rows

AT = 1233922454.655  # 6 February 2009, 12:14:14.655
LINE = (
    "192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- "
    '1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html?a=1 HTTP/1.1"'
)
RFC_3164 = "Feb  6 12:14:14 lb haproxy[14389]: "
GOOD = ("GET", "/index.html?a=1", 200, 2750, AT, 0.109)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (LINE, GOOD),
        (RFC_3164 + LINE, GOOD),
        ("<134>" + RFC_3164 + LINE, GOOD),
        ("<134>1 2009-02-06T12:14:14.664Z lb haproxy 14389 - - " + LINE, GOOD),
        ('<134>1 2009-02-06T12:14:14.664Z lb haproxy 14389 - [x@1 y="z"] ' + LINE, GOOD),
        (LINE.replace("http-in", "www~"), GOOD),
        (LINE.replace(" {1wt.eu} {}", ""), GOOD),
        (LINE.replace(" {1wt.eu} {}", " {a|b c|} {}"), GOOD),
        (LINE.replace("192.0.2.1", "2001:db8::1"), GOOD),
        (LINE.replace("192.0.2.1:33317", "unix:1"), GOOD),
        (LINE.replace("109 200", "+109 200").replace("2750", "+2750"), (*GOOD[:5], -1.0)),
        (LINE.replace("1/1/1/1/0 0/0", "1/1/1/1/+2 0/0"), GOOD),
        (
            LINE.replace(
                "static/srv1 10/0/30/69/109 200 2750 - - ----",
                "static/<NOSRV> 10/-1/-1/-1/12 503 212 - - SC--",
            ),
            ("GET", "/index.html?a=1", 503, 212, AT, 0.012),
        ),
        (
            LINE.replace("10/0/30/69/109 200 2750 - - ----", "-1/-1/-1/-1/5006 408 212 - - cR--").replace(
                "GET /index.html?a=1 HTTP/1.1", "<BADREQ>"
            ),
            ("", "", 408, 212, AT, 5.006),
        ),
        (
            LINE.replace("200 2750", "-1 0").replace("/109 ", "/-1 "),
            ("GET", "/index.html?a=1", 0, 0, AT, -1.0),
        ),
        (LINE.replace("GET /index", "GET https://example.org/index").replace("HTTP/1.1", "HTTP/2.0"), GOOD),
        (LINE.replace("?a=1", "?a=#22b#20c#C3#A9"), ("GET", '/index.html?a="b cé', 200, 2750, AT, 0.109)),
        (LINE + " 0/0000000000000000/0/0/0 example.org/TLSv1.3/TLS_AES_256_GCM_SHA384", GOOD),
    ],
)
def test_a_line_is_read(read: Read, line: str, expected: tuple[object, ...]) -> None:
    assert rows(read("haproxy", line)) == [expected]
    assert found_format(line.encode()) is HAPROXY


def test_a_line_that_is_cut_within_its_request_is_read_and_counted(read: Read) -> None:
    log = read("haproxy", LINE, LINE[: LINE.index("?a=1") + 3])
    assert [row[1] for row in rows(log)] == ["/index.html?a=1", "/index.html?a="]
    assert (log.cut, log.damaged) == (1, 0)


@pytest.mark.parametrize(
    "line",
    [
        LINE[: LINE.index("{")],
        LINE.replace("06/Feb", "36/Feb"),
        "192.0.2.1:33317 [06/Feb/2009:12:14:14.655] tcp-in db/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        RFC_3164 + "Server static/srv1 is DOWN.",
        RFC_3164 * 40,
    ],
)
def test_other_lines_are_damage(read: Read, line: str) -> None:
    log = read("haproxy", LINE, line)
    assert (len(log), log.damaged_lines) == (1, (2,))


def test_the_time_is_the_arrival_in_milliseconds(read: Read) -> None:
    log = read("auto", LINE)
    assert (log.format, log.stamp, log.whole_seconds) == ("haproxy", "arrival", False)
    assert read("auto", LINE.replace("14.655", "14")).whole_seconds


def test_visitors_are_told_by_address_or_by_the_captured_cookie(read: Read) -> None:
    lines = [
        LINE,
        LINE.replace("33317", "33318"),
        LINE.replace("192.0.2.1", "192.0.2.2"),
        LINE.replace("2750 - -", "2750 SID=a -"),
        LINE.replace("192.0.2.1", "192.0.2.2").replace("2750 - -", "2750 SID=a -"),
    ]
    assert read("haproxy", *lines).session.tolist() == [0, 0, 1, 0, 1]
    assert read("haproxy", *lines, session="cookie:SID").session.tolist() == [0, 0, 1, 2, 2]
