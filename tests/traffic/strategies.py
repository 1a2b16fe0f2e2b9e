"""What hypothesis draws in the tests of traffic."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from seawall.traffic.curve import Shape

LEVELS = st.floats(0.0, 1e4).map(lambda x: round(x, 3))
PIECES = st.lists(st.tuples(st.floats(0.0, 1e3).map(lambda x: round(x, 3)), LEVELS), min_size=1, max_size=8)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Any shape, with steps, rests and pieces of no length among its pieces."""
    pieces = [(draw(st.floats(0.5, 100.0)), draw(LEVELS)), *draw(PIECES)]
    times = np.cumsum([0.0, *(seconds for seconds, _ in pieces)])
    return Shape(times, np.array([draw(LEVELS), *(level for _, level in pieces)]), "requests/s")
