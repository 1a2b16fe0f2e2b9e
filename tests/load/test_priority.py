"""Real-time scheduling: taken where it is allowed, given back while the generator is busy."""

from __future__ import annotations

import os
from collections.abc import Callable

from seawall.load.priority import Priority


def in_a_process(tell: Callable[[], list[bool | int]]) -> list[bool | int]:
    """What `tell` gives in a process of its own, whose priority may be changed."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writes, repr([int(x) for x in tell()]).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        text = told.read()
    os.waitpid(pid, 0)
    return [int(x) for x in text.strip("[]").split(",")]


def allowed() -> bool:
    def tell() -> list[bool | int]:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except OSError:
            return [0]
        return [1]

    return bool(in_a_process(tell)[0])


def test_a_calm_generator_comes_before_others_and_a_busy_one_does_not() -> None:
    def tell() -> list[bool | int]:
        priority, told = Priority(), []
        for now, cpu_s in ((1.0, 0.0), (2.0, 0.4), (3.0, 1.3), (4.0, 1.7), (5.0, 1.8)):
            priority.watch(now, cpu_s)
            told += [priority.is_real_time, os.sched_getscheduler(0)]
        return told

    calm, busy = [1, os.SCHED_RR], [0, os.SCHED_OTHER]
    # 40 % of a core leaves it where it was; 90 % sends it back, and only 10 % forward again.
    wanted = [*calm, *calm, *busy, *busy, *calm] if allowed() else busy * 5
    assert in_a_process(tell) == wanted


def test_where_it_is_not_allowed_it_is_tried_once() -> None:
    def tell() -> list[bool | int]:
        tried = [0]

        def refuse(*args: object) -> None:
            tried[0] += 1
            raise PermissionError

        os.sched_setscheduler = refuse  # type: ignore[assignment]
        priority = Priority()
        for second in range(1, 5):
            priority.watch(float(second), 0.0)
        return [priority.is_real_time, *tried]

    assert in_a_process(tell) == [0, 1]
