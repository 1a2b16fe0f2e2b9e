"""Too few files or ports are known before the wave; the setting that is advised is the one that helps."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.fleet.errors import InputError
from seawall.load.limits import SPARE_FILES, TIME_WAIT_S, Need, Room, prepare, room, settle

LINUX = Room(
    soft_files=1024,
    hard_files=524288,
    most_files=1048576,
    open_files=10,
    port_range=(32768, 60999),
    reserved=(),
    tw_reuse=2,
    tw_reuse_delay_s=1.0,
    timestamps=True,
    tw_buckets=262144,
)
"""A usual machine."""
PORTS = 28232


def problems(need: Need, have: Room, addresses: int = 1, processes: int = 1) -> str:
    with pytest.raises(InputError) as caught:
        settle(need, have, addresses, processes)
    return str(caught.value)


def after(advice: str, have: Room) -> Room:
    """The machine with the settings that a message advises."""
    for number in re.findall(r"fs\.nr_open=(\d+)", advice):
        have = replace(have, most_files=int(number))
    for number in re.findall(r"ulimit -n (\d+)", advice):
        assert int(number) <= have.most_files
        have = replace(have, hard_files=int(number), soft_files=int(number))
    for low, high in re.findall(r'ip_local_port_range="(\d+) (\d+)"', advice):
        have = replace(have, port_range=(int(low), int(high)))
    if "tcp_tw_reuse=1" in advice:
        have = replace(have, tw_reuse=1)
    if "tcp_timestamps=1" in advice:
        have = replace(have, timestamps=True)
    return have


# ------------------------------------------------------------------------------------- what the machine has


def fake_proc(root: Path, **files: str) -> Path:
    for name in ("sys/net/ipv4", "sys/fs", "self/fd"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for number in range(7):
        (root / "self/fd" / str(number)).touch()
    for name, text in files.items():
        (root / ("sys/fs" if name == "nr_open" else "sys/net/ipv4") / name).write_text(text + "\n")
    return root


def test_the_room_is_read_from_proc(tmp_path: Path) -> None:
    proc = fake_proc(
        tmp_path,
        ip_local_port_range="1024\t1123",
        ip_local_reserved_ports="80,1030-1039,1039-1041,1120-2000",
        tcp_tw_reuse="1",
        tcp_tw_reuse_delay="250",
        tcp_timestamps="0",
        tcp_max_tw_buckets="500",
        nr_open="4096",
    )
    found = room(proc)
    assert found.port_range == (1024, 1123)
    assert found.ports == 100 - 12 - 4
    assert (found.tw_reuse, found.tw_reuse_delay_s, found.timestamps, found.tw_buckets) == (
        1,
        0.25,
        False,
        500,
    )
    assert (found.most_files, found.open_files) == (4096, 7)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (found.soft_files, found.hard_files) == (soft, hard)


def test_where_proc_does_not_tell_it_is_linux_as_it_comes(tmp_path: Path) -> None:
    found = room(tmp_path)
    assert (found.ports, found.reserved, found.tw_reuse, found.timestamps) == (PORTS, (), 2, True)
    assert room(fake_proc(tmp_path, ip_local_port_range="what", ip_local_reserved_ports="")).ports == PORTS


# ------------------------------------------------------------------------------------------- need and room


def test_a_wave_that_fits_needs_nothing() -> None:
    ready = settle(Need(900, 10.0, loopback=False), LINUX, addresses=1, processes=1)
    assert (ready.soft_files, ready.warnings) == (1024, ())
    assert ready.cap_per_process == 1024 - 10 - SPARE_FILES


def test_the_soft_limit_rises_to_what_a_stall_would_need_and_no_further() -> None:
    ready = settle(Need(100, 0.0, False, stalled_connections=20_000), LINUX, addresses=1, processes=2)
    assert ready.soft_files == 10_000 + 10 + SPARE_FILES
    assert ready.cap_per_process == 10_000
    assert ready.warnings == ()


def test_too_few_files_are_an_error_for_the_wave_and_a_warning_for_a_stall() -> None:
    have = replace(LINUX, hard_files=4096)
    said = problems(Need(5000, 0.0, False), have)
    assert "opens 5000 connections at once" in said and "4096 open files" in said
    assert "`ulimit -n 5100`" in said and "nr_open" not in said
    (warning,) = settle(Need(100, 0.0, False, stalled_connections=5000), have, 1, 1).warnings
    assert "`ulimit -n 5100`" in warning and "are shed" in warning
    assert settle(Need(5000, 0.0, False), have, 1, processes=2).warnings == ()


def test_a_hard_limit_beyond_what_the_kernel_allows_needs_that_raised_first() -> None:
    said = problems(Need(3_000_000, 0.0, False), LINUX, addresses=200)
    assert said.index("`sysctl -w fs.nr_open=3100000`") < said.index("`ulimit -n 3100000`")


def test_each_connection_to_one_address_needs_a_port() -> None:
    have = replace(LINUX, soft_files=500_000)
    assert settle(Need(PORTS, 0.0, False), have, 1, 1).cap_per_process == PORTS
    said = problems(Need(PORTS + 1, 0.0, False), have)
    assert 'set `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`' in said
    assert "tw_reuse" not in said
    assert settle(Need(PORTS + 1, 0.0, False), have, addresses=2, processes=1).cap_per_process == 2 * PORTS


def test_a_closed_connection_keeps_its_port_for_a_minute() -> None:
    most = PORTS / TIME_WAIT_S
    assert settle(Need(0, most, False), LINUX, 1, 1).warnings == ()
    said = problems(Need(0, most + 1, False), LINUX)
    assert "60 s each" in said and "set `sysctl -w net.ipv4.tcp_tw_reuse=1`" in said
    assert "port_range" not in said


@pytest.mark.parametrize(
    ("tw_reuse", "loopback", "timestamps", "seconds"),
    [
        (0, True, True, 60),
        (2, True, True, 1),
        (2, False, True, 60),
        (1, False, True, 1),
        (1, True, False, 60),
    ],
)
def test_when_a_port_is_used_again(tw_reuse: int, loopback: bool, timestamps: bool, seconds: int) -> None:
    have = replace(LINUX, tw_reuse=tw_reuse, timestamps=timestamps)
    assert have.waiting(Need(0, 100.0, loopback)) == 100 * seconds


def test_no_more_connections_wait_than_the_kernel_keeps() -> None:
    assert replace(LINUX, tw_buckets=5000).waiting(Need(0, 1000.0, False)) == 5000


def test_a_wave_too_large_for_any_setting_is_sent_from_several_machines() -> None:
    said = problems(Need(130_000, 0.0, False), LINUX)
    assert "from 3 machines (--part 1/3 and so on), each with `sysctl" in said
    already = replace(LINUX, port_range=(1024, 65535))
    assert problems(Need(130_000, 0.0, False), already).endswith("(--part 1/3 and so on)")


def test_files_and_ports_are_both_said_at_once() -> None:
    said = problems(Need(30_000, 0.0, False), replace(LINUX, hard_files=4096))
    assert "ulimit -n" in said and "ip_local_port_range" in said


ROOMS = st.builds(
    Room,
    soft_files=st.integers(256, 2048),
    hard_files=st.integers(2048, 100_000),
    most_files=st.integers(100_000, 1_048_576),
    open_files=st.integers(3, 50),
    port_range=st.tuples(st.integers(10_000, 40_000), st.integers(40_000, 65_535)),
    reserved=st.just(()),
    tw_reuse=st.integers(0, 2),
    tw_reuse_delay_s=st.just(1.0),
    timestamps=st.booleans(),
    tw_buckets=st.integers(1000, 300_000),
)
NEEDS = st.builds(
    Need,
    connections=st.integers(1, 200_000),
    new_connections_per_s=st.floats(0.0, 5000.0),
    loopback=st.booleans(),
    stalled_connections=st.integers(0, 200_000),
)


@given(NEEDS, ROOMS, st.integers(1, 4), st.integers(1, 4))
def test_what_is_advised_is_enough(need: Need, have: Room, addresses: int, processes: int) -> None:
    try:
        ready = settle(need, have, addresses, processes)
    except InputError as error:
        if "--part" not in str(error):
            settle(need, after(str(error), have), addresses, processes)
        return
    assert ready.cap_per_process * processes >= need.connections
    assert have.soft_files <= ready.soft_files <= have.hard_files
    if not any("--part" in warning for warning in ready.warnings):
        better = after(" ".join(ready.warnings), have)
        calm = settle(need, better, addresses, processes)
        assert calm.warnings == ()
        assert calm.cap_per_process * processes >= need.most


# ------------------------------------------------------------------------------------------- the real kernel


@pytest.fixture
def few_files() -> Iterator[int]:
    """A soft limit of 128 files, as long as the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    yield 128
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_is_raised(few_files: int) -> None:
    cap, warnings = prepare(Need(600, 0.0, loopback=True), addresses=1, processes=1)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft > 600 > few_files
    assert 600 <= cap < soft
    assert warnings == ()


COUNT = """
import json, socket, time
from pathlib import Path
from seawall.load.limits import Need, room

def set_to(name, value):
    Path("/proc/sys/net/ipv4", name).write_text(value)

def connections(port, keep):
    kept = []
    try:
        while len(kept) < 100:
            kept.append(socket.create_connection(("127.0.0.1", port)))
            taken = listener.accept()[0]
            if not keep:
                kept[-1].close()
                taken.recv(1)
                taken.close()
            else:
                kept.append(taken)
    except OSError:
        pass
    return len(kept) // 2 if keep else len(kept)

set_to("ip_local_port_range", "30000 30999")
listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
set_to("ip_local_port_range", "40000 40009")
set_to("ip_local_reserved_ports", "40003,40006-40007")
set_to("tcp_tw_reuse", "0")
need = Need(0, 1000.0, loopback=True)
result = {"ports": room().ports, "never": room().waiting(need)}
listener = listeners[0]
result["open"] = connections(listener.getsockname()[1], keep=True)
listener = listeners[1]
begun = time.monotonic()
result["closed"] = connections(listener.getsockname()[1], keep=False)
set_to("tcp_tw_reuse", "2")
result["early"] = room().waiting(need)
result["at once"] = connections(listener.getsockname()[1], keep=False)
result["seconds"] = time.monotonic() - begun
time.sleep(room().tw_reuse_delay_s + 0.2)
result["after the delay"] = connections(listener.getsockname()[1], keep=False)
print(json.dumps(result))
"""


def test_linux_gives_out_ports_by_these_rules() -> None:
    """In a network of its own, ten ports less three reserved ones: used up, waiting, and used again."""
    alone = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs unshare, ip and the right to a network namespace")
    output = subprocess.run([*alone, sys.executable, "-c", COUNT], check=True, capture_output=True, text=True)
    counted = json.loads(output.stdout)
    assert counted["ports"] == 7
    assert counted["open"] == counted["closed"] == 7
    assert counted["never"] == 60 * counted["early"] == 60_000
    # On a machine that is busy for a whole second the first ports are free again.
    assert counted["at once"] == 0 or counted["seconds"] > 0.9
    assert counted["after the delay"] == counted["closed"]
