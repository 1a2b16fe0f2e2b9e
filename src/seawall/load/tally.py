"""What the generators have counted: arrays in memory that their processes and the one that watches them share."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seawall.load.engine import layout
from seawall.record.histogram import BUCKETS

# States of a generator.
PREPARING, READY, RUNNING, DONE, FAILED = range(5)

STATUS = np.dtype(
    [("state", "i8"), ("now", "f8"), ("ended_s", "f8"), ("cpu_s", "f8"), ("sent", "i8"), ("retries", "i8"),
     ("resent", "i8"), ("redirected", "i8"), ("most_open", "i8"), ("live", "i8"), ("left_out", "i8"),
     ("real_time", "i8"), ("error", "S400"), ("trouble", "S200")]
)  # fmt: skip
"""How one generator fares: its state, its clock, when it ended, CPU time of its sending, totals, what went wrong in it,
and the first trouble with TLS."""
ORDERS = np.dtype([("origin", "f8"), ("stop", "i8")])
"""What the generators are told: when time 0 is (monotonic seconds, 0 not yet), to stop (1: let end what is under way,
2: at once)."""

HISTOGRAMS = ("latency", "lateness", "first_byte")


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The counters of one generator, or of all of them together."""

    bins: NDArray[Any]
    classes: NDArray[Any]
    histograms: dict[str, NDArray[np.uint32]]
    """By name in HISTOGRAMS, of shape (bins, BUCKETS)."""
    status: NDArray[Any]

    @classmethod
    def shared(cls, bins: int, classes: int) -> Tally:
        """Empty counters in memory that a forked process shares."""
        shapes = {"bins": (bins, layout.BINS), "classes": (classes, layout.CLASSES), "status": (1, STATUS)}
        sizes = [n * dtype.itemsize for n, dtype in shapes.values()] + [bins * BUCKETS * 4] * len(HISTOGRAMS)
        memory = mmap.mmap(-1, sum(-(-size // 64) * 64 for size in sizes))
        at, made = 0, {}
        for name, (n, dtype) in shapes.items():
            made[name] = np.frombuffer(memory, dtype, n, at)
            at += -(-n * dtype.itemsize // 64) * 64
        histograms = {}
        for name in HISTOGRAMS:
            flat = np.frombuffer(memory, np.uint32, bins * BUCKETS, at)
            histograms[name] = flat.reshape(bins, BUCKETS)
            at += -(-bins * BUCKETS * 4 // 64) * 64
        return cls(made["bins"], made["classes"], histograms, made["status"])


def together(parts: list[Tally]) -> Tally:
    """All generators' counters as one: counts and histograms are added, the latest end is the end."""
    first = parts[0]
    bins, classes, status = first.bins.copy(), first.classes.copy(), first.status.copy()
    for part in parts[1:]:
        for name in layout.BINS.names or ():
            bins[name] += part.bins[name]
        for name in _CLASS_COUNTS:
            classes[name] += part.classes[name]
        for name in (
            "sent",
            "retries",
            "resent",
            "redirected",
            "most_open",
            "live",
            "cpu_s",
            "left_out",
            "real_time",
        ):
            status[name] += part.status[name]
        status["ended_s"] = np.maximum(status["ended_s"], part.status["ended_s"])
    troubles = [part.status["trouble"][0] for part in parts if part.status["trouble"][0]]
    status["trouble"] = troubles[0] if troubles else b""
    histograms = {name: sum_of([part.histograms[name] for part in parts]) for name in HISTOGRAMS}
    return Tally(bins, classes, histograms, status)


_CLASS_COUNTS = ("sent", "answered", "failed", "timed_out", "refused", "shed", "under_way")


def sum_of(arrays: list[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """The sum of histograms of equal shape."""
    total = arrays[0].copy()
    for array in arrays[1:]:
        total += array
    return total


def orders() -> NDArray[Any]:
    """Orders to the generators in memory that forked processes share, shape (1,)."""
    return np.frombuffer(mmap.mmap(-1, 4096), ORDERS, 1, 0)
