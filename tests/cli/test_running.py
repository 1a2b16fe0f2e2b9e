"""Variants in processes of their own: the same records, the same failures."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest
from tests.cli.commands import SMALL

from seawall.cli import running
from seawall.cli.ending import NoVerdictError
from seawall.fleet.errors import InputError
from seawall.fleet.reader import Fleet, complete
from seawall.fleet.stories import load


@pytest.fixture
def fleets() -> list[Fleet]:
    source = load(SMALL)
    return [complete(source, name) for name in ("calm", "wave", "calm")]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run counts as worth a process of its own."""
    monkeypatch.setattr(running, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(running, "SHARED_SECONDS", 0.0)


def test_processes_give_the_records_that_one_process_gives(fleets: list[Fleet], shared: None) -> None:
    told: list[tuple[int, float]] = []
    alone = running.simulate_all(fleets, 5, 1, lambda *_: None)
    together = running.simulate_all(fleets, 5, 2, lambda n, share: told.append((n, share)))
    assert [record.name for record in together] == ["calm", "wave", "calm"]
    for a, b in zip(alone, together, strict=True):
        assert a.description == b.description and a.events == b.events and a.totals == b.totals
        assert all(np.array_equal(a.series[name], b.series[name]) for name in a.series)
        assert np.array_equal(a.latency, b.latency)
    assert {(0, 1.0), (1, 1.0), (2, 1.0)} <= set(told)


def _where(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """`act` takes the place of a run in every process but this one."""
    here, simulate = os.getpid(), running.simulate

    def replaced(*args: Any) -> Any:
        return simulate(*args) if os.getpid() == here else act()

    monkeypatch.setattr(running, "simulate", replaced)


def test_what_is_wrong_with_an_input_is_told_with_its_place(
    fleets: list[Fleet], shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise InputError("is empty", file="a.log", line=3)

    _where(monkeypatch, refuse)
    with pytest.raises(InputError, match=r"a\.log:3: is empty"):
        running.simulate_all(fleets, 0, 2, lambda *_: None)


def test_a_process_that_is_killed_is_no_verdict(
    fleets: list[Fleet], shared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _where(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(NoVerdictError, match="ended from outside"):
        running.simulate_all(fleets, 0, 2, lambda *_: None)


def test_quick_runs_stay_in_this_process(fleets: list[Fleet], monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> Any:
        raise AssertionError("a process was started")

    monkeypatch.setattr(running, "_start", none)
    assert len(running.simulate_all(fleets, 0, 8, lambda *_: None)) == 3
