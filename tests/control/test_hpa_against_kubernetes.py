"""Our HPA against what Kubernetes 1.36's own controller did: every numeric case, every sync of every trace.

`SEAWALL_HPA_CASES` (a file) and `SEAWALL_HPA_TRACES` (a folder) name other material of the same form.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .hpa_cases import answer
from .hpa_traces import replay, replay_status

DATA = Path(__file__).parents[1] / "data" / "hpa"
CASES = Path(os.environ.get("SEAWALL_HPA_CASES") or DATA / "cases.json")
TRACES = Path(os.environ.get("SEAWALL_HPA_TRACES") or DATA / "traces")
MISSING = "(no answer)"


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Each key of `expected` on which `found` says something else."""
    return [
        f"{key}: Kubernetes {value!r}, ours {found.get(key, MISSING)!r}"
        for key, value in expected.items()
        if found.get(key, MISSING) != value
    ]


def disagreements_of_cases(cases: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Case id -> what differs, for the cases that do not agree; one that we cannot even run does not."""
    wrong = {}
    for case in cases:
        try:
            found = differences(case["out"], answer(case))
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            wrong[case["id"]] = found
    return wrong


def report(total: int, wrong: dict[str, list[str]]) -> str:
    """`N of M agree` and the disagreements, one a line."""
    lines = [f"{total - len(wrong)} of {total} agree"]
    return "\n".join(lines + [f"  {name}: {'; '.join(found)}" for name, found in wrong.items()])


def test_every_case_agrees() -> None:
    cases = json.loads(CASES.read_text())["cases"]
    wrong = disagreements_of_cases(cases)
    print(f"\n{report(len(cases), wrong)}")
    assert cases
    assert not wrong, report(len(cases), wrong)


def test_every_sync_of_every_trace_agrees() -> None:
    total, wrong = 0, {}
    for path in sorted(TRACES.glob("*.json")):
        trace = json.loads(path.read_text())
        total += len(trace["syncs"])
        try:
            answers = replay(trace)
        except Exception as error:
            failure = {"replayed": f"{type(error).__name__}: {error}"}
            answers = [({"replayed": True}, failure)] * len(trace["syncs"])
        for sync, (expected, found) in zip(trace["syncs"], answers, strict=True):
            differing = differences(expected, found)
            if differing:
                wrong[f"{path.stem} t={sync['t']}"] = differing
    print(f"\n{report(total, wrong)}")
    assert total
    assert not wrong, report(total, wrong)


def test_status_after_every_recorded_sync() -> None:
    """Conditions, current metrics and replica counts too: not part of the agreement, and still the same."""
    wrong = []
    for path in sorted((DATA / "traces").glob("*.json")):
        trace = json.loads(path.read_text())
        for sync, (expected, found) in zip(trace["syncs"], replay_status(trace), strict=True):
            wrong += [f"{path.stem} t={sync['t']}: {d}" for d in differences(expected, found)]
    assert not wrong, "\n".join(wrong[:20])


def test_a_wrong_answer_is_noticed() -> None:
    cases = json.loads((DATA / "cases.json").read_text())["cases"][:3]
    cases[0]["out"] = {"limit": 3, "colour": "blue"}
    cases[1]["kind"] = "unheard_of"
    wrong = disagreements_of_cases(cases)
    assert wrong[cases[0]["id"]] == [
        "limit: Kubernetes 3, ours 2",
        f"colour: Kubernetes 'blue', ours '{MISSING}'",
    ]
    assert wrong[cases[1]["id"]] == ["KeyError: 'unheard_of'"]
    assert report(3, wrong).startswith("1 of 3 agree\n")
