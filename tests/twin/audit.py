"""What must hold of the kernel's arrays at any rest: nothing is lost, counted twice or owned by nobody."""

from __future__ import annotations

from collections import Counter
from typing import Any

from seawall.twin.kernel import layout as k
from seawall.twin.world import World

_TIMED = {k.SYN, k.RESEND, k.SEND, k.REDISPATCH, k.WAIT}
_GEN = (1 << 24) - 1


def audit(world: World) -> list[str]:
    """Everything that is wrong, in words; empty where nothing is."""
    state = world.kernel.state
    found: list[str] = []
    heap = [(int(p) >> 56, (int(p) >> 32) & _GEN, int(p) & 0xFFFFFFFF) for p in _rows(state, "heap")["p"]]
    found += _free_list(state)
    found += _attempts(state, heap)
    found += _sessions(state)
    found += _users(state, heap)
    found += _pod_timers(state, heap)
    found += _lists_in_order(state)
    return found


def _rows(state: Any, name: str) -> Any:
    return state[name][: int(state.row["heap"])] if name == "heap" else state[name]


def _free_list(state: Any) -> list[str]:
    reqs, seen, at = state["reqs"], set(), int(state.row["free"])
    for _ in range(int(state.row["free_count"])):
        if at in seen or at < 0 or at >= len(reqs):
            return [f"the free list is broken at {at}"]
        seen.add(at)
        at = int(reqs["next"][at])
    states = reqs["state"]
    wrong = [r for r in range(len(reqs)) if (states[r] == k.FREE) != (r in seen)]
    return [f"attempts neither free nor in use: {wrong[:5]}"] if wrong else []


def _chain(reqs: Any, head: int) -> list[int]:
    out = []
    while head >= 0 and len(out) <= len(reqs):
        out.append(int(head))
        head = reqs["next"][head]
    return out


def _attempts(state: Any, heap: list[tuple[int, int, int]]) -> list[str]:
    reqs, pods, workers, width = state["reqs"], state["pods"], state["workers"], int(state.row["width"])
    timed = Counter((g, i) for kind, g, i in heap if kind in _TIMED)
    queued = _chain(reqs, int(state.row["q_head"]))
    found = []
    if len(queued) != state.row["queued"]:
        found.append(f"{len(queued)} in the proxy's queue, {state.row['queued']} counted")
    soon = _chain(reqs, int(state.row["soon_head"]))
    acceptable: set[int] = set()
    for pod in range(len(pods)):
        chain = (
            _chain(reqs, int(pods["head"][pod]))[: int(pods["waiting"][pod])] if pods["waiting"][pod] else []
        )
        if len(chain) != pods["waiting"][pod]:
            found.append(f"accept queue of {pod}: {len(chain)} of {pods['waiting'][pod]}")
        acceptable |= set(chain)
    live = 0
    for r in range(len(reqs)):
        q = reqs[r]
        what = int(q["state"])
        if what == k.FREE:
            continue
        if q["by"] != k.BY_PROBE and not q["gone"] and not (what == k.PLANNED and q["attempt"] == 0):
            live += 1
        has_timer = timed[(int(q["gen"]) & _GEN, r)]
        if what == k.QUEUED:
            good = r in queued
        elif what == k.ACCEPTABLE:
            good = r in acceptable
        elif what == k.SERVING:
            wk = workers[int(q["pod"]) * width + int(q["worker"])]
            good = wk["state"] == k.W_BUSY and wk["req"] == r
        elif what in (k.CONNECTING, k.BELIEVES, k.TURNAROUND, k.PLANNED):
            good = has_timer + soon.count(r) == 1
        else:
            good = False
        if not good:
            found.append(f"attempt {r} in state {what} (by {q['by']}, gone {q['gone']}) belongs to nobody")
        if not q["gone"] and what != k.PLANNED and q["by"] != k.BY_PROBE and not q["c_listed"]:
            found.append(f"attempt {r} in state {what} has no client's time-out")
    if live != state.row["under_way"]:
        found.append(f"{live} attempts carry {state.row['under_way']} requests under way")
    return found


def _sessions(state: Any) -> list[str]:
    reqs, pods, sessions = state["reqs"], state["pods"], state["sessions"]["x"]
    used = reqs[(reqs["state"] != k.FREE) & (reqs["at_proxy"] == 1)]
    count = Counter(int(p) for p in used["pod"])
    wrong = [(p, count[p], int(sessions[p])) for p in range(len(pods)) if count[p] != sessions[p]]
    return [f"sessions (pod, found, counted): {wrong[:5]}"] if wrong else []


def _users(state: Any, heap: list[tuple[int, int, int]]) -> list[str]:
    users, reqs = state["users"], state["reqs"]
    timers = Counter(i for kind, _, i in heap if kind == k.USER) + _shelved(state)
    own = reqs[(reqs["state"] != k.FREE) & (reqs["by"] == k.BY_USER) & (reqs["gone"] == 0)]
    asks = Counter(int(u) for u in own["owner"])
    found = []
    for user in range(len(users)):
        n = timers[user] + asks[user]
        if n > 1 or (users["active"][user] and n != 1):
            found.append(
                f"user {user}: active {users['active'][user]}, {timers[user]} timers, {asks[user]} asks"
            )
    if int(users["active"].sum()) != state.row["users"]:
        found.append(f"{users['active'].sum()} users active, {state.row['users']} counted")
    return found[:5]


def _shelved(state: Any) -> Counter[int]:
    """Users who wait on the shelves, each counted as often as it lies there."""
    users, found = state["users"], Counter[int]()
    for first in state["shelves"]["x"]:
        at = int(first)
        while at > 0 and found[at - 1] < 2:
            found[at - 1] += 1
            at = int(users["next"][at - 1])
    assert found.total() == state.row["shelved"]
    return found


def _pod_timers(state: Any, heap: list[tuple[int, int, int]]) -> list[str]:
    pods, params = state["pods"], state["params"][0]
    found = []
    for pod in range(len(pods)):
        if pods["state"][pod] != k.LISTENING:
            continue
        gen = int(pods["gen"][pod]) & _GEN
        n = sum(1 for kind, g, i in heap if kind == k.MAINTAIN and g == gen and i == pod)
        if n != 1:
            found.append(f"pod {pod} has {n} timers of maintenance")
        n = sum(1 for kind, g, i in heap if kind == k.PROBE and g == gen and i == pod)
        if n != (1 if params["probe"] else 0):
            found.append(f"pod {pod} has {n} timers of probes")
    return found


def _lists_in_order(state: Any) -> list[str]:
    reqs, found = state["reqs"], []
    for which, head in enumerate(state["lists"]["head"]):
        after, due = ("c_next", "deadline_c") if which == k.T_CLIENT else ("p_next", "deadline_p")
        last, at, n = -1.0, int(head), 0
        while at >= 0 and n <= len(reqs):
            if reqs[due][at] < last - 1e-9:
                found.append(f"list {which} is out of order at {at}")
                break
            last, at, n = float(reqs[due][at]), int(reqs[after][at]), n + 1
    return found
