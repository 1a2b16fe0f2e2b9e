"""A turn when it is due: real-time scheduling for a generator, where Linux allows it and as long as it needs little.

On a machine that others share, a process of ordinary priority waits for its turn after it has awoken, often for
milliseconds (measured on a busy core at 10,000 requests/s: lateness p99 3 ms, and 0.1 ms so). Real time before all
else is for short work: a generator that is busy most of the time would keep its core from everybody, the server
that it measures among them, and so it goes back to ordinary priority for as long as that is so.
"""

from __future__ import annotations

import os

BUSY, CALM = 0.5, 0.3
"""Above the one share of its core a generator is as others are; below the other it is let before them again."""


class Priority:
    """The scheduling of this process, judged by its CPU time."""

    def __init__(self) -> None:
        self.is_real_time = False
        self._allowed = True
        self._now = self._cpu_s = 0.0

    def watch(self, now: float, cpu_s: float) -> None:
        """Judge the time since the last call: `now` of any clock and the CPU time used so far, in seconds."""
        seconds = now - self._now
        if not self._allowed or seconds <= 0.0:
            return
        share = (cpu_s - self._cpu_s) / seconds
        self._now, self._cpu_s = now, cpu_s
        if share > BUSY and self.is_real_time:
            self._set(os.SCHED_OTHER, 0)
            self.is_real_time = False
        elif share < CALM and not self.is_real_time:
            self.is_real_time = self._set(os.SCHED_RR, 1)

    def _set(self, policy: int, priority: int) -> bool:
        """Whether it could be set; where it is not allowed (sched(7): CAP_SYS_NICE), it is not tried again."""
        try:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        except OSError:
            self._allowed = False
            return False
        return True
