"""What is still to happen outside the kernel: a heap of times and actions, ties in the order of their making."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]


class Agenda:
    """Actions by time. An action is given its time (seconds)."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._order = count()

    def at(self, t: float, action: Action) -> None:
        """Do `action` at `t`."""
        heapq.heappush(self._heap, (t, next(self._order), action))

    @property
    def due(self) -> float:
        """Time of the earliest action, infinite if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def run_until(self, t: float) -> bool:
        """Do all that is due by `t`. Returns whether there was anything."""
        any_done = False
        while self._heap and self._heap[0][0] <= t:
            when, _, action = heapq.heappop(self._heap)
            action(when)
            any_done = True
        return any_done
