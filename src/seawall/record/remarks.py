"""What is to be borne in mind when a verdict is read: the record's warnings, and what its figures leave unsaid."""

from __future__ import annotations

from seawall.record import words
from seawall.record.record import Record

MANY_CLIENT_ERRORS = 0.05
"""From this share of all answers on, answers with a status of 400 to 499 are worth a word: they count as answers."""


def remarks(record: Record) -> list[str]:
    """Sentences as plain text, the most important first, each once."""
    described, totals = record.description, record.totals
    found = []
    part = described.get("part")
    if part and part[1] > 1:
        found.append(
            f"this is part {part[0]} of {part[1]} alone; `seawall merge` judges what all of them sent together"
        )
    stopped = described.get("interrupted_s")
    if stopped is not None:
        found.append(f"interrupted after {words.clock(stopped)}: what was due later was not sent")
    client_errors, answered = totals.get("answered_4xx", 0), totals["answered"]
    if answered and client_errors >= MANY_CLIENT_ERRORS * answered:
        share = words.percent(client_errors / answered)
        found.append(
            f"{share} of the answers were 4xx, which count as answered: was the right thing asked for?"
        )
    found += [str(text) for text in described.get("warnings") or []]
    return list(dict.fromkeys(found))
