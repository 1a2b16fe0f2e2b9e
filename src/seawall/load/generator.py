"""One generator: its lane of the wave's schedule put into the compiled loop's arrays, and run to its end."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.compiled.rows import Tables
from seawall.load.asked import Slab
from seawall.load.engine import layout, loop, tls
from seawall.load.priority import Priority
from seawall.load.tally import DONE, READY, RUNNING, Tally
from seawall.load.wave import SKIPPED, Wave, ask_numbers
from seawall.traffic.arrivals import Chunk
from seawall.traffic.closed import closed_loop
from seawall.traffic.draws import Stream, stream_key

SLICE_SECONDS = 0.05
"""How long the loop runs before it looks for orders."""
PATIENCE_SECONDS = 0.001
"""So long an answer may lie unread when something else is due by then."""
PATIENCE_IN_TURN = 0.2
"""... times this, where somebody waits for answers before going on."""
_ROOM = 1 << 19
"""Requests that can be under way or waiting in one generator."""
_PR_SET_TIMERSLACK = 29


class Generator:
    """A lane of a wave: users and arrivals whose numbers leave the rest `lane` when divided by `lanes`."""

    def __init__(self, wave: Wave, lane: int, lanes: int, connections: int, tally: Tally) -> None:
        self._wave, self._lane, self._lanes, self._tally = wave, lane, lanes, tally
        ids = np.arange(lane, len(wave.workload.join_s), lanes)
        self._closed = len(ids)
        visitors = -(-wave.sessions // lanes)
        users = max(1, len(ids) + visitors)
        slab = Slab(wave.target.authority, wave.headers)
        for ask in (*wave.asks, *wave.recorded_asks):
            slab.add(ask)
        asked = slab.tables()
        sizes = dict.fromkeys(layout.TABLES, 1) | {
            "users": users, "reqs": len(ids) + _ROOM, "heap": users + len(ids) + _ROOM + 1,
            "conns": connections, "responses": connections, "ready": 512, "clock": 2, "name": 260,
            "places": connections if wave.redirects else 1,
        }  # fmt: skip
        self._state = state = Tables(layout.STATE_ROW, layout.TABLES, sizes)
        for name, array in asked.items():
            state.set(name, array)
        for name in ("latency", "lateness", "first_byte"):
            state.set(name, tally.histograms[name].reshape(-1).view(layout.TABLES[name]))
        state.set("bins", tally.bins)
        state.set("classes", tally.classes)
        _forget_all(state)
        self._set_params(connections)
        self._set_users(ids)
        self._set_classes()
        self._set_target()
        jars = users if wave.cookies and (len(ids) or visitors) else 1
        if wave.redirects:
            places = state["places"]["location"]
            state["responses"]["place"] = places.ctypes.data + places.strides[0] * np.arange(connections)
            state["params"]["first_jar"] = jars
            jars += connections
        self._data = np.zeros(layout.RECEIVE_BYTES, np.uint8)
        self._stashes = np.zeros((connections, layout.HEAD_BYTES), np.uint8)
        self._jars = np.zeros((jars, layout.JAR_BYTES), np.uint8)
        state.row["jars"] = self._jars[int(state["params"]["first_jar"][0]) :].ctypes.data
        self._needle = np.frombuffer(wave.expect_body, np.uint8).copy()
        self._failure = failure_table(wave.expect_body)
        self._chunks = self._arrivals()
        state.row["arrivals_done"] = wave.workload.arrivals is None
        state.row["stop_s"] = np.inf
        waits_for_answers = len(ids) or visitors or wave.workload.visits > 1
        state.row["patience"] = PATIENCE_SECONDS * (PATIENCE_IN_TURN if waits_for_answers else 1.0)

    # ------------------------------------------------------------------------------------------- setting up

    def _set_params(self, connections: int) -> None:
        wave, state = self._wave, self._state
        clients = wave.traffic.clients
        retries = clients.retries
        p = state["params"][0:1]
        p["bin_s"] = wave.bin_s
        p["timeout"] = clients.timeout
        p["connect_timeout"] = clients.timeout if wave.connect_timeout is None else wave.connect_timeout
        p["visits"] = wave.workload.visits
        p["r_max"], p["r_exponential"] = retries.max, retries.backoff == "exponential"
        p["r_base"], p["r_cap"], p["r_jitter"] = retries.base, retries.cap, retries.jitter
        p["r_budget"] = np.inf if retries.budget is None else retries.budget
        p["give_up"] = wave.traffic.users.give_up_after if wave.traffic.users else 0
        p["keep_alive"], p["once_share"] = clients.keep_alive, wave.new_connections
        p["cap"], p["classes"] = connections, len(wave.classes)
        users = wave.workload.join_s.size or wave.sessions
        p["cookies"], p["redirects"] = wave.cookies and (users > 0 or wave.redirects > 0), wave.redirects
        for name, stream in (("users", Stream.USERS), ("classes", Stream.CLASSES), ("retries", Stream.RETRIES),
                             ("connections", Stream.CONNECTIONS), ("targets", Stream.TARGETS)):  # fmt: skip
            p[f"key_{name}"] = stream_key(wave.seed, stream)

    def _set_users(self, ids: NDArray[np.int64]) -> None:
        wave, work = self._wave, self._wave.workload
        closed = closed_loop(wave.traffic.users)
        self._state.set("loop", closed.loop)
        self._state.set("think", closed.think)
        rows = self._state["users"]
        rows["conn"] = rows["head"] = rows["tail"] = layout.NOBODY
        rows["leave_s"] = np.inf
        mine = rows[: len(ids)]
        mine["id"], mine["leave_s"] = ids, work.leave_s[ids]
        burst = wave.traffic.users.start_burst.calls if wave.traffic.users else 1
        mine["k"] = np.where(work.join_s[ids] <= 0.0, burst, 0)
        self._first_s = np.ascontiguousarray(work.first_s[ids])

    def _set_classes(self) -> None:
        shares = np.array(self._wave.shares)
        rows = self._state["classes"]
        rows["until"] = np.cumsum(shares) / shares.sum()
        for row, (first, count) in zip(rows, ask_numbers(self._wave.asks, len(rows)), strict=True):
            row["first_target"], row["targets"] = first, count

    def _set_target(self) -> None:
        wave, state = self._wave, self._state
        rows = np.zeros(len(wave.target.addresses), layout.ADDRESSES)
        for row, address in zip(rows, wave.target.addresses, strict=True):
            row["family"], row["length"] = address.family, len(address.packed)
            row["raw"][: len(address.packed)] = np.frombuffer(address.packed, np.uint8)
        state.set("addresses", rows)
        state["params"]["addresses"] = len(rows)
        # Lanes begin with different addresses, so that few connections are spread too.
        state.row["address"] = self._lane % len(rows)
        if wave.target.scheme == "https":
            state["params"]["tls"], state["params"]["tls_verify"] = 1, wave.verify
            state.row["tls_context"] = tls.new_context(wave.verify, wave.ca_file)
            name = tls.server_name(wave.target.name)
            state["name"]["x"][: len(name)] = name

    # ------------------------------------------------------------------------------------------- arrivals

    def _arrivals(self) -> Iterator[NDArray[Any]]:
        """This lane's arrivals as rows of the state's table, chunk by chunk."""
        arrivals = self._wave.workload.arrivals
        n = 0
        for chunk in arrivals if arrivals is not None else ():
            rows = self._rows(chunk, n)
            n += len(chunk)
            if len(rows):
                yield rows

    def _rows(self, chunk: Chunk, first: int) -> NDArray[Any]:
        wave = self._wave
        rows = np.zeros(len(chunk), layout.TABLES["arrivals"])
        rows["t"], rows["cls"] = chunk.times_s, chunk.classes
        rows["n"] = first + np.arange(len(chunk))
        if wave.ask_of_record is None or chunk.records is None:
            rows["target"] = rows["user"] = layout.NOBODY
            return np.ascontiguousarray(rows[rows["n"] % self._lanes == self._lane])
        place = wave.ask_of_record[chunk.records]
        rows["target"] = np.where(place == SKIPPED, SKIPPED, len(wave.asks) + place)
        # What is not sent again has no class to be drawn: it does not come at all.
        mine = chunk.sessions % self._lanes == self._lane
        self._tally.status["left_out"] += int((mine & (rows["target"] == SKIPPED)).sum())
        rows["user"] = self._closed + chunk.sessions // self._lanes
        return np.ascontiguousarray(rows[mine & (rows["target"] != SKIPPED)])

    def _next_chunk(self) -> None:
        rows = next(self._chunks, None)
        row = self._state.row
        row["arrival"] = 0
        if rows is None:
            row["arrivals"], row["arrivals_done"] = 0, 1
        else:
            self._state.set("arrivals", rows)
            row["arrivals"] = len(rows)

    # ------------------------------------------------------------------------------------------- running

    def run(self, orders: NDArray[Any]) -> None:
        """Wait for time 0, and send until all has ended or orders say so."""
        row, status = self._state.row, self._tally.status
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1000, 0, 0, 0)
        if not loop.prepare(self._state.row, self._first_s):
            raise OSError("Linux gives no epoll instance; are there open files left?")
        if not row["arrivals_done"]:
            self._next_chunk()
        gc.collect()
        gc.freeze()
        gc.disable()
        status["state"] = READY
        while not orders["origin"][0]:
            time.sleep(0.001)
        row["origin"] = orders["origin"][0]
        status["state"] = RUNNING
        began = time.process_time()
        priority = Priority()
        priority.watch(time.monotonic(), 0.0)
        end = self._wave.workload.end_s
        while True:
            now = time.monotonic() - row["origin"]
            why = loop.run(
                self._state.row, min(now + SLICE_SECONDS, end), self._data, self._stashes, self._jars,
                self._needle, self._failure,
            )  # fmt: skip
            if why == layout.R_ARRIVALS:
                self._next_chunk()
            if orders["stop"][0] and row["stop_s"] == np.inf:
                self._stop(float(row["now"]))
            cpu_s = time.process_time() - began
            priority.watch(time.monotonic(), cpu_s)
            status["real_time"] = priority.is_real_time
            self._tell(status, cpu_s)
            if why == layout.R_DONE or orders["stop"][0] > 1 or row["now"] >= end:
                break
        status["ended_s"] = row["now"]
        if row["tls_error"]:
            status["trouble"] = tls.tls_error(int(row["tls_error"]), int(row["tls_verify_result"])).encode()[
                :200
            ]
        loop.finish(self._state.row)
        status["state"] = DONE

    def _stop(self, now: float) -> None:
        row = self._state.row
        row["stop_s"] = now
        row["arrivals"], row["arrivals_done"] = row["arrival"], 1

    def _tell(self, status: NDArray[Any], cpu_s: float) -> None:
        for name in ("now", "sent", "retries", "resent", "redirected", "most_open", "live"):
            status[name] = self._state.row[name]
        status["cpu_s"] = cpu_s


def warm_up() -> None:
    """Compile the loop, or load it from where an earlier run has kept it: processes forked from here on have it."""
    state = Tables(layout.STATE_ROW, layout.TABLES, dict.fromkeys(layout.TABLES, 1) | {"clock": 2})
    _forget_all(state)
    state.row["arrivals_done"] = 1
    one, rows = np.zeros(1, np.uint8), np.zeros((1, 1), np.uint8)
    loop.prepare(state.row, np.empty(0))
    loop.run(state.row, 0.0, one, rows, rows, one, np.zeros(1, np.int32))
    loop.finish(state.row)


def _forget_all(state: Tables) -> None:
    """Set the lists of a new state to empty."""
    for name in ("free_req", "free_conn", "pool", "pool_tail", "t_head", "t_tail", "c_head", "c_tail", "z_head",
                 "z_tail"):  # fmt: skip
        state.row[name] = layout.NOBODY


def failure_table(needle: bytes) -> NDArray[np.int32]:
    """For each place of a text how much of its beginning ends there (Knuth, Morris, Pratt), shape (n,)."""
    table = np.zeros(len(needle), np.int32)
    length = 0
    for i in range(1, len(needle)):
        while length and needle[i] != needle[length]:
            length = int(table[length - 1])
        length += needle[i] == needle[length]
        table[i] = length
    return table
