"""GoReplay's files are read: raw requests, out of order, with bodies and headers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from seawall.fleet.errors import InputError
from seawall.traffic.logs.gor import SEPARATOR
from seawall.traffic.logs.log import Detail
from seawall.traffic.logs.read import found_format, read_log
from traffic.logs.conftest import Read, rows

AT = 1431857103.25
GET = b"GET /a?b=1 HTTP/1.1\r\nHost: a.org\r\nAccept: */*\r\nCookie: sid=7\r\n\r\n"


def record(
    payload: bytes = GET, ns: int = 1_431_857_103_250_000_000, kind: int = 1, more: bytes = b""
) -> bytes:
    """One record of a file."""
    return b"%d 932079936fa4306fc308d675 %d%s\n" % (kind, ns, more) + payload + SEPARATOR


def only(read: Read, payload: bytes) -> tuple[str, str, Detail]:
    """Method, path, headers and body of a file's only request."""
    log = read("gor", record(payload))
    assert (len(log), log.damaged, log.cut) == (1, 0, 0)
    return log.methods[log.method[0]], log.paths[log.path[0]], log.details[log.detail[0]]


def test_requests_are_read_and_put_in_order(read: Read) -> None:
    answer = record(b"HTTP/1.1 200 OK\r\n\r\n", kind=2, more=b" 12345")
    later = record(GET.replace(b"/a?b=1", b"/later"), 1_431_857_104_000_000_001, more=b" 0")
    log = read("auto", later + answer + record() + record(kind=3, more=b" 7"))
    assert rows(log) == [("GET", "/a?b=1", 0, 0, AT, -1.0), ("GET", "/later", 0, 0, AT + 0.75 + 1e-9, -1.0)]
    assert (log.format, log.unit, log.lines, log.whole_seconds) == ("gor", "records", 4, False)
    assert (log.out_of_order, log.damaged) == (1, 0)


def test_headers_of_the_request_are_kept_and_those_of_the_connection_are_not(read: Read) -> None:
    payload = (
        b"GET https://a.org/x HTTP/1.1\r\nHost: a.org\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: gzip\r\n"
        b"Upgrade: h2c\r\nContent-Length: 0\r\nexpect: 100-continue\r\n"
        b"X-Name: \xe9\tx:y\r\nAccept: a\r\nAccept: b\r\n\r\n"
    )
    kept = (("X-Name", "é\tx:y"), ("Accept", "a"), ("Accept", "b"))
    assert only(read, payload) == ("GET", "/x", Detail(kept, b""))


@pytest.mark.parametrize(
    ("headers", "sent", "body"),
    [
        (b"Content-Length: 5\r\n", b"a\r\n\nb", b"a\r\n\nb"),
        (b"Content-Length: 5\r\n", b"a\r\n\nb and more", b"a\r\n\nb"),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"X: y\r\n", b"", b""),
    ],
)
def test_bodies_are_read_whatever_is_in_them(read: Read, headers: bytes, sent: bytes, body: bytes) -> None:
    method, path, detail = only(read, b"POST /p HTTP/1.1\r\nHost: a.org\r\n" + headers + b"\r\n" + sent)
    assert (method, path, detail.body) == ("POST", "/p", body)


def test_bodies_that_were_not_captured_to_their_end_are_counted(read: Read) -> None:
    head = b"POST /p HTTP/1.1\r\n"
    short = [
        record(head + b"Content-Length: 5\r\n\r\nabc"),
        record(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        record(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ]
    log = read("gor", *short, record())
    assert (len(log), log.cut) == (4, 3)
    assert {log.details[i].body for i in log.detail} == {b"abc", b""}


def test_records_that_are_odd_are_damage(read: Read) -> None:
    odd = [b"no header" + SEPARATOR, b"\n" + SEPARATOR, record(b"\x16\x03\x01 TLS"), record(b"")]
    log = read("gor", *[record()] * 3, *odd)
    assert (len(log), log.damaged, log.damaged_lines, log.blank) == (3, 3, (4, 6, 7), 1)


def test_a_file_that_ends_within_a_record_is_read_as_far_as_it_goes(read: Read) -> None:
    log = read("gor", record(), record()[: -len(SEPARATOR)])
    assert (len(log), log.damaged) == (2, 0)


def test_blocks_do_not_change_what_is_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(record(GET.replace(b"/a", b"/%d" % n), 10**18 + n * 10**9) for n in range(50))
    whole = rows(read("gor", content))
    for size in (1, 7, 64, 500):
        monkeypatch.setattr("seawall.traffic.files.BLOCK_BYTES", size)
        assert rows(read("gor", content)) == whole
    assert len(whole) == 50


def test_visitors_are_told_by_what_headers_tell(read: Read) -> None:
    def asked(*headers: bytes) -> bytes:
        return record(b"GET / HTTP/1.1\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n")

    lines = [
        asked(b"X-Forwarded-For: 192.0.2.1", b"User-Agent: a"),
        asked(b"x-forwarded-for: 192.0.2.1", b"User-Agent: a", b"Cookie: sid=1"),
        asked(b"X-Forwarded-For: 192.0.2.1", b"User-Agent: b", b"Cookie: a=b; sid=1"),
        asked(b"Authorization: Bearer x", b"X-Forwarded-For: 192.0.2.1"),
        asked(b"Authorization: Bearer x", b"X-Tenant: t"),
        asked(b"X-Tenant: t"),
        asked(),
    ]
    for key, expected in (
        ("auto", [0, 0, 1, 2, 2, 3, 4]),
        ("address", [0, 0, 0, 0, 1, 2, 3]),
        ("cookie:sid", [0, 1, 1, 2, 2, 3, 4]),
        ("header:X-Tenant", [0, 0, 1, 2, 3, 3, 4]),
    ):
        assert read("gor", *lines, session=key).session.tolist() == expected, key
    assert any("2 requests do not tell their visitor" in note for note in read("gor", *lines).notes)


def test_gzip_and_several_files(tmp_path: Path) -> None:
    for n in range(3):
        content = record(GET.replace(b"/a", b"/%d" % n), (10 - n) * 10**18 // 10)
        (tmp_path / f"requests_{n}.gor.gz").write_bytes(gzip.compress(content))
    log = read_log(str(tmp_path / "*.gor.gz"))
    assert [log.paths[p] for p in log.path] == ["/2?b=1", "/1?b=1", "/0?b=1"]


def test_what_is_no_such_file_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no record could be read as a request; this one is `no record`"):
        read("gor", b"no record")
    monkeypatch.setattr("seawall.traffic.logs.gor.LARGEST_RECORD", 1 << 20)
    with pytest.raises(InputError, match="no record ends within 1 MiB"):
        read("gor", b"x" * (2 << 20))


def test_such_a_file_is_known_by_its_beginning() -> None:
    assert found_format(record()) == "gor"
    assert found_format(record(kind=2, more=b" 5")) == "gor"
    assert found_format(b"1 2 3\n") is None
