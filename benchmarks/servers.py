"""A web server to load and meters beside it: nginx on a core of its own, CPU time and requests seen from outside.

Clients run on the last core that this process may use, nginx on the first one. What a client costs is the CPU time
of its processes between two moments well within its run, so that nobody's start counts, over the requests that the
server has counted between them.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
BODY = "So long as the wall stands, the harbour sleeps; what it was built for comes once in a long while."
PATIENCE = 90.0
"""Seconds that a client may take to begin, and to end after its time."""

_CONFIGURATION = """\
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile {files};
pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
  log_format times '$msec'; access_log {log}; default_type text/plain;
  keepalive_requests 1000000000; keepalive_timeout 3600;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{ return 200 "{body}"; }}
    location = /count {{ stub_status; access_log off; }}
  }}
}}
"""


@dataclass(slots=True)
class Nginx:
    """A running nginx of one process."""

    port: int
    pid: int
    folder: Path
    asked: int = 0
    """How often it was asked for its counter, which it counts too."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def served(self) -> int:
        """How many requests it has served, those for this number left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10.0)
        connection.request("GET", "/count")
        text = connection.getresponse().read().decode()
        connection.close()
        self.asked += 1
        return int(text.splitlines()[2].split()[2]) - self.asked

    def times(self) -> list[float]:
        """When each request was answered, in seconds since 1970, to the millisecond (it must have been told to log)."""
        return [float(line) for line in (self.folder / "times.log").read_text().split()]

    def paused_between(self, first: float, last: float, client: subprocess.Popen[str]) -> None:
        """Stand still from `first` to `last` seconds after its first request."""
        log = self.folder / "times.log"
        deadline = time.monotonic() + PATIENCE
        while log.stat().st_size == 0:
            time.sleep(0.002)
            if time.monotonic() > deadline or client.poll() is not None:
                raise RuntimeError("the client sent nothing")
        began = time.monotonic()
        time.sleep(first)
        os.kill(self.pid, signal.SIGSTOP)
        time.sleep(max(0.0, began + last - time.monotonic()))
        os.kill(self.pid, signal.SIGCONT)


def require_nginx(smoke: bool) -> None:
    """End this process where there is no nginx to load: as a failure, unless it was only to be seen whether it runs."""
    if shutil.which("nginx", path=_PATH) is None:
        print("there is no nginx to load: apt-get install nginx-light", file=sys.stderr)
        sys.exit(not smoke)


_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


@contextlib.contextmanager
def nginx(*, log: bool = False) -> Iterator[Nginx]:
    """An nginx on a free port and the first core, gone afterwards with all that it wrote.

    With `log` it writes down the time of each answer. This process, and so every client that it starts, moves to
    the last core.
    """
    program = shutil.which("nginx", path=_PATH)
    assert program is not None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory() as name, socket.socket() as taken:
        folder = Path(name)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        (folder / "times.log").touch()
        text = _CONFIGURATION.format(
            folder=folder,
            port=port,
            body=BODY[:96],
            files=hard,
            log=f"{folder}/times.log times" if log else "off",
        )
        (folder / "nginx.conf").write_text(text)
        command = [program, "-p", name, "-c", f"{name}/nginx.conf", "-e", "stderr"]
        process = subprocess.Popen(command, preexec_fn=lambda: _bound_to(SERVER_CORE), text=True)
        try:
            _wait_for(port, process)
            yield Nginx(port, process.pid, folder)
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
            process.kill()
            process.wait()


def _bound_to(core: int) -> None:
    """In a new process: stay on a core, and end with the one that has started it, however that ends."""
    os.sched_setaffinity(0, {core})
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_PR_SET_PDEATHSIG = 1


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(500):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.01)
    sys.exit("nginx does not start")


# ------------------------------------------------------------------------------------------------- clients


@dataclass(frozen=True, slots=True)
class Observed:
    """A client as seen from outside while it was well under way, and what it printed."""

    rate: float
    """Requests/s that the server served."""
    cpu_us: float
    """CPU time of a request in the client, microseconds."""
    output: str


def started(command: Sequence[str]) -> subprocess.Popen[str]:
    """A client, in a session of its own, so that it can be ended with all that it started."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: _bound_to(CLIENT_CORE),
    )  # fmt: skip


def finished(client: subprocess.Popen[str], seconds: float = 0.0) -> str:
    """What the client printed, when it has ended; it has so many seconds left, and some patience."""
    try:
        output, errors = client.communicate(timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        output, errors = "", "it does not end"
    finally:
        end(client)
    # ab ends with 22 where it is stopped by its own time limit.
    if client.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(map(str, client.args))}: {errors.strip()[-600:]}")  # type: ignore[union-attr]
    return output


def end(client: subprocess.Popen[str]) -> None:
    """End the client and all that it started, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(client.pid, signal.SIGKILL)
    client.wait()


def observed(command: Sequence[str], server: Nginx, settle: float, seconds: float) -> Observed:
    """Run a client and look at it for so many seconds, from `settle` seconds after its first requests on."""
    before = server.served()
    client = started(command)
    try:
        deadline = time.monotonic() + PATIENCE
        while server.served() < before + 10 and client.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(settle)
        if client.poll() is not None:
            output = finished(client)
            raise RuntimeError(f"{' '.join(command)} ended before it could be looked at: {output[-600:]}")
        cpu, served, at = cpu_seconds(client.pid), server.served(), time.monotonic()
        time.sleep(seconds)
        cpu, served, at = cpu_seconds(client.pid) - cpu, server.served() - served, time.monotonic() - at
        output = finished(client)
    finally:
        end(client)
    if served <= 0:
        raise RuntimeError(f"{command[0]} sent nothing while it was looked at")
    return Observed(served / at, cpu / served * 1e6, output)


def cpu_seconds(pid: int) -> float:
    """CPU time so far of a process and of those that it has started and that still run."""
    total = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
            total += sum(cpu_seconds(int(child)) for child in (task / "children").read_text().split())
    return total
