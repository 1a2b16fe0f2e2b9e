"""Random fleets, badly treated: no law is broken, nothing is lost, nothing hangs."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest

from seawall.twin.kernel import layout
from seawall.twin.world import World

from .audit import audit
from .fuzz import random_fleet
from .small import fleet, rate, run

SECONDS = 60.0
"""After so long a run counts as hanging: the process ends with a trace."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


# What once broke: a stall under late probes (247), workers killed and respawned without end (402).
@pytest.mark.parametrize("seed", [247, 402, *range(5000, 5060)])
def test_no_law_is_broken_and_nothing_is_lost(seed: int) -> None:
    world = World(random_fleet(seed), seed)
    calls, found = 0, []

    def look(share: float) -> None:
        nonlocal calls, found
        calls += 1
        if calls % 50 == 0 and not found:
            found = audit(world)

    world.run(look)
    assert found == []
    assert audit(world) == []


def test_the_audit_sees_what_is_lost() -> None:
    world = run(fleet(rate("10/s for 5s")))
    state = world.kernel.state
    assert audit(world) == []
    state["reqs"]["state"][int(state.row["free"])] = layout.CONNECTING
    state["sessions"]["x"][0] += 1
    assert len(audit(world)) >= 3
