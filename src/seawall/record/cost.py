"""What a run cost: in all, by the hour at its peak, and for each concurrent user."""

from __future__ import annotations

import numpy as np

from seawall.record.record import Record

HOURS_A_MONTH = 730.0
"""365 days of 24 hours over 12 months, as cloud bills count."""
_PLATEAU = 0.95


def total_cost(record: Record) -> float | None:
    """The cost per hour summed over the run; None where the run knows no cost."""
    if "cost_per_hour" not in record.series:
        return None
    return round(float(record.series["cost_per_hour"].sum()) * record.bin_seconds / 3600.0, 6)


def per_hour_at_peak(record: Record) -> float | None:
    """The highest cost per hour; None where the run knows no cost."""
    cost = record.series.get("cost_per_hour")
    return None if cost is None or len(cost) == 0 else round(float(cost.max()), 6)


def per_concurrent_user_month(record: Record) -> float | None:
    """The cost of a month for each user connected while the wave is at its height.

    Mean cost per hour over mean users, in the bins with at least 95 % of the most users, times 730 hours.
    None where the run has no users or knows no cost.
    """
    cost, users = record.series.get("cost_per_hour"), record.series.get("users")
    if cost is None or users is None or len(users) == 0 or users.max() <= 0:
        return None
    plateau = np.asarray(users >= _PLATEAU * users.max())
    return round(float(cost[plateau].mean() / users[plateau].mean()) * HOURS_A_MONTH, 6)
