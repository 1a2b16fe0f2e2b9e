"""The log of an Application Load Balancer is read by the time at which each request was received."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from seawall.traffic.logs.alb import ALB
from seawall.traffic.logs.read import found_format, read_log
from traffic.logs.conftest import Read, rows

AT = 1530571368.364  # 2 July 2018, 22:42:48.364
LINE = (
    "https 2018-07-02T22:43:00.186641Z app/lb/50dc6c495c0c9188 192.0.2.1:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 "
    '34 366 "GET https://www.example.com:443/a?b=1 HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/targets/73e2d6bc24d8a067 "
    '"Root=1-58337262-36d228ad5d99923122bbe354" "www.example.com" "arn:aws:acm:us-east-2:1:certificate/1" 0 '
    '2018-07-02T22:42:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"'
)
GOOD = ("GET", "/a?b=1", 200, 366, AT, 0.171)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (LINE, GOOD),
        (LINE + ' TID_dc57cebed65b444ebc8177bb698fe166 "-"', GOOD),
        (LINE[: LINE.index(' "forward"')], GOOD),
        (LINE.replace("https 2018", "h2 2018").replace("192.0.2.1:2817", "2001:db8::1:2817"), GOOD),
        (LINE.replace("48.364000Z", "48Z"), ("GET", "/a?b=1", 200, 366, AT - 0.364, 0.171)),
        (
            LINE.replace("10.0.0.1:80 0.086 0.048 0.037 200 200 34 366", "- -1 -1 -1 503 - 0 0"),
            ("GET", "/a?b=1", 503, 0, AT, -1.0),
        ),
        (
            LINE.replace("GET https://www.example.com:443/a?b=1 HTTP/1.1", "- http://www.example.com:80- -"),
            ("", "", 200, 366, AT, 0.171),
        ),
        (LINE.replace("curl/7.46.0", r"an \x22odd\x22 one"), GOOD),
    ],
)
def test_a_line_is_read(read: Read, line: str, expected: tuple[object, ...]) -> None:
    assert rows(read("alb", line)) == [expected]
    assert found_format(line.encode()) is ALB


def test_a_line_without_its_creation_time_is_damage(read: Read) -> None:
    log = read("alb", LINE, LINE[: LINE.index(" 2018-07-02T22:42")], LINE.replace("T22:42", "T25:42"), LINE)
    assert (len(log), log.damaged_lines) == (2, (2, 3))


def test_visitors_are_told_by_address_and_agent_whatever_their_port(read: Read) -> None:
    lines = [
        LINE,
        LINE.replace(":2817", ":2818"),
        LINE.replace("192.0.2.1", "192.0.2.2"),
        LINE.replace("curl", "wget"),
    ]
    assert read("alb", *lines).session.tolist() == [0, 0, 1, 2]


def test_the_files_of_several_nodes_are_put_together_in_order_of_time(tmp_path: Path) -> None:
    day = tmp_path / "elasticloadbalancing" / "2018" / "07" / "02"
    day.mkdir(parents=True)
    for node, seconds in (("a", (40, 10, 20)), ("b", (30, 11, 50))):
        lines = [
            LINE.replace("22:42:48.364", f"22:42:{s}.5").replace("/a?b=1", f"/{node}{s}") for s in seconds
        ]
        (day / f"{node}.log.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (day / "empty.log.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "ELBAccessLogTestFile").write_text("Enable AccessLog for ELB: lb at 2018-07-02T22:00:00.000Z")
    log = read_log(tmp_path)
    assert [log.paths[p] for p in log.path] == ["/a10", "/b11", "/a20", "/b30", "/a40", "/b50"]
    assert (log.files, log.format, log.damaged) == (4, "alb", 1)
    assert "1 of 7 lines could not be read (line 1 of file 1)" in log.notes
    assert (log.examples[0].file, log.examples[0].line) == (str(tmp_path / "ELBAccessLogTestFile"), 1)
    assert log.notes[-1] == "1 of 4 files are empty"
    assert log.jumps == 0
