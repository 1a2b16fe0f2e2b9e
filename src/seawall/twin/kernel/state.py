"""The kernel's arrays as the world holds them: made, grown, and their addresses kept true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.compiled.rows import Tables
from seawall.record.histogram import BUCKETS
from seawall.twin.kernel.layout import LEVELS, SHELVES, STATE_ROW, TABLES

_NOTHING = -1


class State(Tables):
    """All arrays of one run."""

    def __init__(
        self,
        *,
        users: int,
        pods: int,
        workers: int,
        nodes: int,
        classes: int,
        bins: int,
        requests: int = 1024,
        arrivals: int = 1,
    ) -> None:
        leaves = 1 << max(0, pods - 1).bit_length()
        sizes = {
            "params": 1, "users": users, "reqs": 0, "pods": pods, "workers": pods * workers,
            "jobs": pods * (workers + 1), "idle": pods * workers, "kept": pods * workers, "nodes": nodes,
            "node_pods": nodes * pods, "heap": users + 4 * pods + 4096, "tree": 2 * leaves, "lists": 4,
            "endpoints": pods, "sessions": pods, "levels": LEVELS, "shelves": SHELVES,
            "classes": classes, "dists": 3 * classes + 3, "loop": 1, "think": 1,
            "arrivals": arrivals, "bins": bins, "hist": bins * BUCKETS, "events": 4096, "broken": 8,
            "scratch": pods,
        }  # fmt: skip
        super().__init__(STATE_ROW, TABLES, sizes)
        self.row["width"] = workers
        for name in ("q_head", "q_tail", "soon_head", "soon_tail", "no_server_bin", "queue_timeout_bin"):
            self.row[name] = _NOTHING
        self["lists"]["head"] = self["lists"]["tail"] = _NOTHING
        self["levels"]["head"] = self["levels"]["tail"] = _NOTHING
        self["lists"]["due"] = np.inf
        self["users"]["pod"] = _NOTHING
        self["users"]["leave_s"] = np.inf
        for name in ("node", "head", "tail", "endpoint", "overflow_bin", "at_limit_bin", "slot_head", "id"):
            self["pods"][name] = _NOTHING
        self["pods"]["next_cpu"] = np.inf
        self.grow_requests(requests)

    def grow_requests(self, count: int) -> None:
        """Make room for `count` more attempts."""
        old, row = self.arrays["reqs"], self.row
        first = len(old)
        reqs = np.zeros(first + count, old.dtype)
        reqs[:first] = old
        for name in ("prev", "c_next", "c_prev", "p_next", "p_prev", "p_list"):
            reqs[name][first:] = _NOTHING
        reqs["next"][first:] = np.arange(first + 1, first + count + 1)
        reqs["next"][-1] = row["free"] if row["free_count"] else _NOTHING
        row["free"], row["free_count"] = first, row["free_count"] + count
        self.set("reqs", reqs)

    def grow_heap(self, least: int) -> None:
        """Make room for at least `least` more timers than there are."""
        old = self.arrays["heap"]
        heap = np.zeros(max(2 * len(old), int(self.row["heap"]) + least), old.dtype)
        heap[: len(old)] = old
        self.set("heap", heap)

    def set_arrivals(self, times_s: NDArray[np.float64], classes: NDArray[np.int64]) -> None:
        """The next chunk of open arrivals."""
        chunk = np.empty(max(1, len(times_s)), TABLES["arrivals"])
        chunk["t"][: len(times_s)] = times_s
        chunk["cls"][: len(times_s)] = classes
        self.set("arrivals", chunk)
        self.row["arrival"], self.row["arrivals"] = 0, len(times_s)

    def put(self, name: str, rows: NDArray[Any]) -> None:
        """Replace a whole array by rows of the same type."""
        self.set(name, np.ascontiguousarray(rows))
