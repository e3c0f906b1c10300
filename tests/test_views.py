"""What the report keeps of a series: spikes, ends and non-finite points survive decimation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tbdiag.diagnosis.views import MAX_POINTS, decimate


@given(st.integers(1, 5000), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_decimation_keeps_ends_and_extremes(n: int, seed: int) -> None:
    value = np.random.default_rng(seed).standard_t(2, n)
    kept = decimate(value)
    assert kept.size <= MAX_POINTS
    assert kept[0] == 0
    assert kept[-1] == n - 1
    assert np.all(np.diff(kept) > 0)
    assert value[kept].max() == value.max()
    assert value[kept].min() == value.min()


def test_a_single_spike_among_a_million_points_survives() -> None:
    value = np.zeros(1_000_000)
    value[123_456] = 9.0
    assert 123_456 in decimate(value)


def test_non_finite_points_do_not_hide_their_neighbours() -> None:
    value = np.linspace(0.0, 1.0, 10_000)
    value[5_000:5_100] = np.nan
    value[7_000] = np.inf
    kept = decimate(value)
    finite = value[kept][np.isfinite(value[kept])]
    assert finite.max() == 1.0
    assert finite.size > 300
