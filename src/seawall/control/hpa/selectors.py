"""Whether a label selector in its text form can be read, as the HPA controller asks before anything else.

Source: Kubernetes, staging/src/k8s.io/apimachinery/pkg/labels/selector.go (its grammar).
"""

from __future__ import annotations

import re

_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}"
_VALUE = rf"({_NAME})?"
_REQUIREMENT = re.compile(
    rf"^\s*(?:"
    rf"!?\s*{_KEY}"
    rf"|{_KEY}\s*(?:=|==|!=)\s*{_VALUE}"
    rf"|{_KEY}\s*[<>]\s*[+-]?\d+"
    rf"|{_KEY}\s+(?:in|notin)\s*\(\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*\)"
    rf")\s*$"
)


def selector_error(selector: str) -> str | None:
    """What is wrong with a selector such as `app=web,tier in (front,back)`; None if nothing is."""
    if not selector.strip():
        return None
    for part in _requirements(selector):
        if _REQUIREMENT.match(part) is None:
            return f"unable to parse requirement: {part.strip()!r} is no requirement on a label"
    return None


def _requirements(selector: str) -> list[str]:
    """Split at the commas that stand outside brackets."""
    parts, depth = [""], 0
    for character in selector:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
