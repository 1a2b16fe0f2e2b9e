"""`seawall wave`, as a process that sends to real servers: how it ends, what it says, keeps, and leaves behind."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.commands import SEAWALL, SMALL
from tests.cli.test_simulate import KEYS
from tests.load.answering import http, refusing, serving, wait_for_end

from seawall.cli.main import run
from seawall.load.generator import warm_up
from seawall.record.record import Record, read

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Site(NamedTuple):
    """A server: where it is, and the heads of the requests that came."""

    url: str
    heads: list[bytes]

    def asked(self, count: int, seconds: float = 30.0) -> None:
        """Wait until so many requests have come."""
        until = time.monotonic() + seconds
        while len(self.heads) < count:
            assert time.monotonic() < until, f"{len(self.heads)} requests came"
            time.sleep(0.01)


@contextmanager
def site(answer: bytes = OK, after: float = 0.0) -> Iterator[Site]:
    """A server that gives this answer to every request, so many seconds after it came."""
    heads: list[bytes] = []

    def serve(head: bytes) -> bytes:
        heads.append(head)
        time.sleep(after)
        return answer

    with serving(http(serve)) as port:
        yield Site(f"http://127.0.0.1:{port}/", heads)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """The generator is compiled, once for all, so that no wave has to wait for it."""
    warm_up()


@pytest.fixture
def well() -> Iterator[Site]:
    """A server that answers well, at once."""
    with site() as found:
        yield found


@contextmanager
def started(*args: str | Path, command: tuple[str, ...] = SEAWALL) -> Iterator[subprocess.Popen[str]]:
    """A wave under way, in a session of its own; when it has ended, nothing of that session may be left."""
    pipe = subprocess.PIPE
    words = [*command, "wave", *map(str, args)]
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert members(process.pid) == []


def members(session: int) -> list[int]:
    """The processes of a session that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == session:
            found.append(int(stat.parent.name))
    return found


def ended(process: subprocess.Popen[str], within: float = 60.0) -> Done:
    """What a wave has said, and its exit code."""
    out, err = process.communicate(timeout=within)
    return Done(process.returncode, out, err)


def wave(*args: str | Path, command: tuple[str, ...] = SEAWALL) -> Done:
    """A wave sent to its end."""
    with started(*args, command=command) as process:
        return ended(process)


def judged(*args: str | Path) -> Done:
    """A wave that has a verdict. Where this machine was too busy to send it in time, it is sent again."""
    for _ in range(5):
        done = wave(*args)
        if done.code != 3 or not ("VOID" in done.out or '"void": "' in done.out):
            break
    return done


def accounts_for_all(record: Record) -> bool:
    """Whether every request that was sent is in one of its outcomes."""
    total = record.totals
    ends = ("answered", "failed", "timed_out", "refused", "shed", "under_way")
    return total["sent"] == sum(total[name] for name in ends)


# ----------------------------------------------------------------------------------------------- verdicts


def test_a_wave_that_held_is_told_kept_and_shown(well: Site, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = judged("--url", well.url, "--rate", "120/s for 500ms", "--expect", "failed = 0",
                  "--expect-body", "ell", "--record", tmp_path / "out", "--report", page)  # fmt: skip
    assert done.code == 0, done.err
    assert "wave stands." in done.out and str(tmp_path / "out" / "wave") in done.out
    assert "\x1b" not in done.out + done.err
    record = read(tmp_path / "out" / "wave")
    sent = record.totals["sent"]
    assert 30 < sent == record.totals["answered"] <= len(well.heads)
    assert accounts_for_all(record)
    assert f"Wave against {well.url.rstrip('/')}" in page.read_text()


def test_the_json_is_that_of_a_simulation_and_more(well: Site) -> None:
    done = judged(
        "--url", well.url, "--rate", "120/s for 500ms", "--json", "--quiet", "--expect", "served < 50%"
    )
    assert (done.code, done.err) == (1, "")
    found = json.loads(done.out)
    assert list(found) == ["fleet", "seed", "version", "target", "wallclock", "variants"]
    [variant] = found["variants"]
    assert list(variant)[: len(KEYS)] == KEYS
    assert set(variant) - set(KEYS) == {
        "void", "generator", "first_byte_ms", "failures", "answered_4xx", "connects", "resent", "redirected",
        "sent_bytes", "received_bytes",
    }  # fmt: skip
    assert found["target"] == well.url.rstrip("/")
    assert variant["requests"]["sent"] == variant["requests"]["answered"] > 30
    assert variant["received_bytes"] == len(OK) * variant["attempts"]
    assert variant["objectives"][-1]["met"] is False


@pytest.mark.parametrize(("named", "code"), [(True, 1), (False, 0)])
def test_a_variant_that_was_named_must_stand(named: bool, code: int, tmp_path: Path) -> None:
    text = (
        SMALL.read_text()
        .replace("cpu: 20ms", "ask: [/page], cpu: 20ms")
        .replace("10/s for 20s", "40/s for 500ms")
        .replace("calm: {}", "default: {}")
    )
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(text)
    (tmp_path / "deployment.yaml").write_text((SMALL.parent / "deployment.yaml").read_text())
    with site(BUSY) as busy:
        done = judged(fleet, "--url", busy.url, *(["--variant", "default"] if named else []), "--quiet")
        assert {head.partition(b" HTTP")[0] for head in busy.heads} == {b"GET /page"}
    assert done.code == code, done.out + done.err
    assert "FALLS" in done.out and "5xx" in done.out


def test_a_generator_that_was_late_has_no_verdict(well: Site, tmp_path: Path) -> None:
    args = ("--url", well.url, "--rate", "200/s for 3s", "--expect", "served > 1%", "--record", tmp_path)
    with started(*args) as process:
        well.asked(20)
        [generator] = [pid for pid in members(process.pid) if pid != process.pid]
        for _ in range(3):
            os.kill(generator, signal.SIGSTOP)
            time.sleep(0.3)
            os.kill(generator, signal.SIGCONT)
            time.sleep(0.2)
        done = ended(process)
    assert done.code == 3
    assert "VOID" in done.out
    record = read(tmp_path / "wave")
    assert record.description["void"] and record.description["generator"]["lateness_p99_ms"] > 100.0
    # Late, but all were sent, and each latency counts from the time at which its request was due.
    assert record.totals["sent"] == record.totals["answered"] > 500


def test_nothing_sent_is_no_verdict(well: Site) -> None:
    assert wave("--url", well.url, "--rate", "0/s for 100ms").code == 3
    assert well.heads == []


# ---------------------------------------------------------------------------------------------- interrupts


@pytest.mark.parametrize(
    ("interrupt", "code"),
    # From a terminal every process of the group hears Ctrl-C; SIGTERM comes to the one that was started.
    [
        (lambda pid: os.killpg(pid, signal.SIGINT), 130),
        (lambda pid: os.kill(pid, signal.SIGTERM), 143),
    ],
    ids=["ctrl-c", "sigterm"],
)
def test_an_interrupt_lets_what_is_under_way_end_and_keeps_the_record(
    interrupt: Callable[[int], None], code: int, tmp_path: Path
) -> None:
    args = ("--rate", "40/s for 5m", "--record", tmp_path, "--processes", "2")
    with site(after=0.4) as slow, started("--url", slow.url, *args) as process:
        slow.asked(30)
        interrupt(process.pid)
        done = ended(process, within=10.0)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    record = read(tmp_path / "wave")
    assert record.totals["sent"] == record.totals["answered"] == len(slow.heads) >= 30
    assert 0.0 < record.description["interrupted_s"] < 30.0
    assert "interrupted after" in done.out


def test_interrupted_twice_it_ends_at_once(tmp_path: Path) -> None:
    came = threading.Semaphore(0)

    def serve(connection: Any) -> None:
        if connection.recv(65536):
            came.release()
            wait_for_end(connection)

    with serving(serve) as port:
        url = f"http://127.0.0.1:{port}/"
        with started("--url", url, "--rate", "40/s for 5m", "--record", tmp_path) as process:
            for _ in range(10):
                assert came.acquire(timeout=30.0)
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.7)
            assert process.poll() is None  # nobody is answered, and for the default of 30 s it is waited for
            os.killpg(process.pid, signal.SIGINT)
            done = ended(process, within=10.0)
    assert done.code == 130, done.err
    record = read(tmp_path / "wave")
    assert record.totals["under_way"] == record.totals["sent"] >= 10
    assert accounts_for_all(record)


# ------------------------------------------------------------------------------------------- what is asked


def test_headers_are_sent_and_an_answer_without_the_expected_text_is_a_failure(well: Site) -> None:
    asked = ("--url", well.url + "page?x=1", "--rate", "80/s for 500ms", "--header", "X-Tide: high")
    done = judged(*asked, "--json", "--expect-body", "goodbye", "--expect", "failed_body = 0")
    assert done.code == 1
    [variant] = json.loads(done.out)["variants"]
    assert variant["failures"]["failed_body"] == variant["requests"]["sent"] > 20
    for head in well.heads:
        assert head.startswith(b"GET /page?x=1 HTTP/1.1\r\n") and b"\r\nX-Tide: high" in head


def test_parts_add_up_to_the_whole(well: Site, tmp_path: Path) -> None:
    asked = ("--url", well.url, "--rate", "200/s for 500ms", "--seed", "4", "--quiet", "--record", tmp_path)
    # Three at once may be too much for a small machine, and void: their counts hold all the same.
    with (
        started(*asked, "--part", "1/2") as one,
        started(*asked, "--part", "2/2") as two,
        started(*asked) as all_,
    ):
        for process in (one, two, all_):
            done = ended(process)
            assert done.code in (0, 3), done.err
    halves = [tmp_path / f"part-{i}-of-2" for i in (1, 2)]
    assert run(["merge", *map(str, halves), "--record", str(tmp_path / "merged")]) in (0, 3)
    first, second, whole = (read(folder).totals for folder in (*halves, tmp_path / "wave"))
    merged = read(tmp_path / "merged" / "wave").totals
    assert merged["sent"] == first["sent"] + second["sent"] == whole["sent"] > 50
    assert min(first["sent"], second["sent"]) > 10
    assert merged["answered"] == whole["answered"] == whole["sent"]
    asked_for = [head for head in well.heads if head.startswith(b"GET / ")]  # the rest is of clocks
    assert len(asked_for) == merged["sent"] + whole["sent"]


# ---------------------------------------------------------------------------------------- while it is sent


@pytest.mark.parametrize("quiet", [False, True])
def test_elsewhere_than_on_a_terminal_it_tells_a_line_now_and_then(quiet: bool, well: Site) -> None:
    # Ten seconds between lines are much for a test.
    often = (
        "import seawall.cli.live as live; live.LINE_SECONDS = 0.25; import seawall.cli.main as it; it.main()"
    )
    args = ("--url", well.url, "--users", "20 for 1s", "--pace", "300ms", *(["--quiet"] if quiet else []))
    done = wave(*args, command=(sys.executable, "-c", often))
    assert done.code in (0, 3)
    lines = [line for line in done.err.splitlines() if "own lateness p99" in line]
    if quiet:
        assert done.err == ""
    else:
        assert len(lines) >= 2
        assert "users 20, sent " in lines[-1] and "answered " in lines[-1] and "\x1b" not in done.err


# --------------------------------------------------------------------------------------------- bad input

RATE = ("--rate", "5/s for 1s")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--url", "HERE", "--users", "0 - 1000 in 60", "--pace", "5s"], "0 -> 1000 in 60s"),
        (["--url", "HERE", "--rate", "5/s -> x"], "--rate"),
        (RATE, "add --url"),
        (["--url", "ftp://127.0.0.1/", *RATE], "neither http:// nor https://"),
        (["--url", "HERE"], "who comes?"),
        (["--url", "HERE", "--users", "10 for 1s"], "--pace"),
        (["--url", "HERE", "--pace", "5s", *RATE], "add --users"),
        (["--url", "http://192.0.2.1/", *RATE], "--allow-host 192.0.2.1"),
        (["--url", "http://192.0.2.1/", "--allow-host", "192.0.2.1", *RATE], "--yes"),
        (["--url", "HERE", "--part", "9/8", *RATE], "no part"),
        (["--url", "HERE", "--header", "no colon", *RATE], "not a header"),
        (["--url", "HERE", "--header", "X-A: b\r\nX-C: d", *RATE], "header"),
        (["--url", "HERE", "--timeout", "0s", *RATE], "--timeout"),
        (["--url", "HERE", "--new-connections", "150%", *RATE], "--new-connections"),
        (["--url", "HERE", "--expect", "fast", *RATE], "not an expectation"),
        (["--url", "HERE", "--start-at", "yesterday", *RATE], "not a time to start at"),
        (["--url", "HERE", "--log", "rubbish.log"], "rubbish.log"),
        (["--url", "HERE", "--log", "rubbish.log", "--kind", "accesslog"], "rubbish.log"),
        (["--url", "HERE", "--log", "nowhere.log"], "nowhere.log"),
        (["--url", "HERE", "--body-file", "nowhere.json", *RATE], "nowhere.json"),
        (["--url", "HERE", "--record", "rubbish.log", *RATE], "--record"),
        (["nowhere.yaml", "--url", "HERE"], "nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    args: list[str],
    said: str,
    well: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody is there to be asked
    (tmp_path / "rubbish.log").write_text("this is\nno log\n")
    assert run(["wave", *(well.url if arg == "HERE" else arg for arg in args)]) == 2
    out, err = capsys.readouterr()
    assert said in err and "Traceback" not in err and out == ""
    assert well.heads == []


def test_a_host_that_refuses_is_not_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with refusing() as port:
        assert run(["wave", "--url", f"http://127.0.0.1:{port}/", *RATE]) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_a_machine_with_too_few_files_does_not_begin(well: Site) -> None:
    done = subprocess.run(
        [*SEAWALL, "wave", "--url", well.url, "--users", "1000 for 2s", "--pace", "1s"],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)),
    )
    assert done.returncode == 2
    assert "ulimit -n" in done.stderr and "Traceback" not in done.stderr
    assert well.heads == []
