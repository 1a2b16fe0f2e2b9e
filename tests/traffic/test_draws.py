"""The compiled draws and NumPy's are the same numbers: one serves the kernel, the other everybody else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seawall.traffic.draws import stream_key, uniform, uniform_at, uniforms, uniforms_of


@given(st.integers(), st.integers(1, 13), st.integers(0, 2**41), st.integers(0, 2**40))
def test_compiled_and_numpy_draw_the_same(seed: int, stream: int, entity: int, n: int) -> None:
    key = stream_key(seed, stream)
    compiled = uniform(key, np.uint64(entity), np.uint64(n))
    assert 0.0 < compiled < 1.0
    assert uniform_at(key, entity, n) == compiled
    assert uniforms(key, entity, n, 3)[0] == compiled
    assert uniforms_of(key, np.array([entity, entity + 1]), n)[0] == compiled
