"""Shares of one number of samples are told from other fractions."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from tbdiag.roles.shapes import count_of

RIGHT = st.integers(23, 1999).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n), min_size=6, max_size=60, unique=True)))


@given(RIGHT)
def test_a_count_that_is_told_makes_all_shares_whole(drawn: tuple[int, list[int]]) -> None:
    n, right = drawn
    shares = (np.array(right, dtype=np.float64) / n).astype(np.float32).astype(np.float64)
    count = count_of(shares)
    rounded = bool(np.all(np.abs(shares * 1000 - np.round(shares * 1000)) < 1e-3))
    assert rounded or count is not None
    if count is not None:
        assert count <= n
        assert np.allclose(shares * count, np.round(shares * count), atol=1e-3)


@given(st.lists(st.floats(0.05, 0.95), min_size=8, max_size=40, unique=True))
def test_other_fractions_have_no_count(values: list[float]) -> None:
    """A mean of F1 scores is not a share: the square root of a fraction is none either."""
    odd = np.sqrt(np.array(values)) * 0.9 + 0.0123
    assert count_of(odd) is None or np.unique(odd).size < 4
