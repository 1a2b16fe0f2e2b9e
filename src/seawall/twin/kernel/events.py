"""What the kernel tells the world, and which of it control must see at once."""

from __future__ import annotations

from seawall.compiled.functions import inner

# mypy: disable-error-code="no-untyped-def"
from seawall.twin.kernel.access import event_at


@inner
def tell(s, kind, pod, node, value, urgent):
    """Note an event; an urgent one makes the kernel return to the world."""
    if s.events < s.n_events:
        e = event_at(s, s.events)
        e.t = s.now
        e.kind = kind
        e.pod = pod
        e.node = node
        e.value = value
        s.events += 1
    if urgent or s.events >= s.n_events - 64:
        s.urgent = 1
