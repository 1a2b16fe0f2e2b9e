"""The same traffic, simulated and sent: one list of arrivals in the open loop, one law in the closed loop."""

from __future__ import annotations

from typing import Any

import pytest
from twin.small import fleet as small_fleet

from seawall.fleet.reader import Fleet
from seawall.load.compose import Manner, wave_of_fleet
from seawall.load.target import parse_target, resolve
from seawall.record.record import Record
from seawall.twin.simulate import simulate

from .answering import http, serving
from .sending import sent

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CLASSES = {
    "page": {"share": 7, "cpu": "0s", "wait": "1ms", "memory": 0, "ask": ["/page", "/other?page=2"]},
    "login": {"share": 3, "cpu": "0s", "wait": "1ms", "memory": 0, "ask": ["POST /login"], "body": "name=x"},
}


def both(traffic: dict[str, Any], seed: int) -> tuple[Record, Record, list[bytes]]:
    """The record of a fleet's traffic in the twin, that of the same traffic sent, and the request lines that came."""
    fleet: Fleet = small_fleet({"service": {"requests": CLASSES}, "traffic": traffic})
    lines: list[bytes] = []

    def answer(head: bytes) -> bytes:
        lines.append(head.partition(b"\r\n")[0])
        return OK

    with serving(http(answer)) as port:
        wave = wave_of_fleet(fleet, resolve(parse_target(f"http://127.0.0.1:{port}")), Manner(seed=seed))
        return simulate(fleet, seed), sent(wave), lines


@pytest.mark.parametrize("seed", [0, 5])
def test_arrivals_are_the_same_list_with_the_same_classes(seed: int) -> None:
    twin, real, lines = both({"arrivals": {"rate": "50/s -> 300/s in 2s, hold 1s"}}, seed)
    assert real.series["sent"][:3].tolist() == twin.series["sent"][:3].tolist()
    assert real.totals["sent"] == twin.totals["sent"] == real.totals["answered"]
    for name in CLASSES:
        assert real.per_class[name]["sent"] == twin.per_class[name]["sent"]
    posts = sum(line == b"POST /login HTTP/1.1" for line in lines)
    assert posts == real.per_class["login"]["sent"]


def test_users_ask_by_the_same_law() -> None:
    """While every answer comes within the pace, when a user asks depends on seed, user and count alone."""
    twin, real, _ = both({"users": {"count": "0 -> 60 in 1s, hold 3s", "pace": "500ms"}}, 3)
    assert real.series["sent"][:4].tolist() == twin.series["sent"][:4].tolist()
    assert real.series["users"][:4].tolist() == twin.series["users"][:4].tolist()
    for name in CLASSES:
        assert real.per_class[name]["sent"] == twin.per_class[name]["sent"]


def test_an_opening_app_makes_its_calls_in_both() -> None:
    users = {"count": "0 -> 30 in 1s, hold 2s", "pace": "1s", "startBurst": {"calls": 3, "gap": "50ms"}}
    twin, real, _ = both({"users": users}, 3)
    assert real.series["sent"][:3].tolist() == twin.series["sent"][:3].tolist()
