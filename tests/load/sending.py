"""Short real waves for tests: composed, sent from a process of their own, and made a record."""

from __future__ import annotations

from typing import Any

from seawall.fleet.distribution import constant
from seawall.fleet.model import ArrivalRate, Clients, Retries, Traffic, Users
from seawall.load.asked import Ask
from seawall.load.compose import Manner, wave_of_traffic
from seawall.load.generator import warm_up
from seawall.load.processes import send
from seawall.load.results import make_record
from seawall.load.target import parse_target, resolve
from seawall.load.wave import Wave
from seawall.record.record import Record


def clients(timeout: float = 5.0, retries: int = 0, keep_alive: bool = True) -> Clients:
    """What every client does; retries come at once."""
    again = Retries(max=retries, backoff="immediate")
    return Clients().model_copy(update={"timeout": timeout, "retries": again, "keep_alive": keep_alive})


def rate_wave(port: int, rate: str, *, path: str = "/", ask: Ask | None = None, scheme: str = "http",
              process: str = "even", of: Clients | None = None, host: str = "127.0.0.1",
              **manner: Any) -> Wave:  # fmt: skip
    """Arrivals at a rate, sent to a port of this machine."""
    target = resolve(parse_target(f"{scheme}://{host}:{port}{path}"))
    arrivals = ArrivalRate.model_validate({"rate": rate, "process": process})
    traffic = Traffic(arrivals=arrivals, clients=of or clients())
    return wave_of_traffic(traffic, target, ask or Ask(path=path), Manner(**manner), _none)


def user_wave(port: int, count: str, *, pace: float | None = None, think: float | None = None, path: str = "/",
              of: Clients | None = None, jitter: float = 0.1, **manner: Any) -> Wave:  # fmt: skip
    """Users of a closed loop, sent to a port of this machine."""
    target = resolve(parse_target(f"http://127.0.0.1:{port}{path}"))
    users = Users(count=count, pace=pace, think=None if think is None else constant(think), jitter=jitter)
    traffic = Traffic(users=users, clients=of or clients())
    return wave_of_traffic(traffic, target, Ask(path=path), Manner(**manner), _none)


def _none() -> Any:
    raise AssertionError("no recording here")


def sent(wave: Wave, *, processes: int = 1, connections: int = 500, **more: Any) -> Record:
    """Send a wave and make its record."""
    warm_up()
    return make_record(wave, send(wave, processes, connections, **more), [])


def kinds(record: Record) -> dict[str, int]:
    """The outcomes that occurred, by detailed kind."""
    names = ("answered", "answered_4xx", "failed_5xx", "failed_reset", "failed_body", "failed_protocol",
             "timed_out_connect", "timed_out_read", "refused", "shed")  # fmt: skip
    return {name: record.totals[name] for name in names if record.totals[name]}
