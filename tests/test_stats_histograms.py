"""Statistics of histogram series against the samples that they were made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbdiag.detectors import _synth
from tbdiag.features.histograms import SIGMOID, TANH, HistogramFacts
from tbdiag.model import Direction, Role, Signal, Split
from tbdiag.stats import histograms as buckets


def facts(samples, encoding="histo"):
    series = _synth.make_histograms("h", samples, encoding=encoding)
    return HistogramFacts(Signal("h", Role.ACTIVATION_HISTOGRAM, Split.NONE, Direction.NONE, "h", "", histogram=series))


SAMPLES = st.lists(
    st.lists(st.floats(-1e3, 1e3, allow_nan=False, width=32).map(lambda v: 0.0 if abs(v) < 1e-9 else float(v)), min_size=1, max_size=60),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.sampled_from(["histo", "tensor"]))
def test_mass_zero_share_and_moments_follow_the_samples(samples, encoding):
    f = facts(samples, encoding)
    low, high = f.zero_bounds
    for i, sample in enumerate(samples):
        x = np.array(sample)
        assert f.mass[i] == x.size
        share = float(np.mean(x == 0))
        assert low[i] - 1e-9 <= share <= high[i] + 1e-9
        if encoding == "histo":
            assert low[i] == pytest.approx(share)
            assert f.mean[i] == pytest.approx(x.mean(), abs=1e-6 * max(1, np.abs(x).max()))
            assert f.norm[i] == pytest.approx(np.linalg.norm(x), rel=1e-6, abs=1e-9)
            assert f.mean_abs[i] == pytest.approx(np.abs(x).mean(), rel=0.06, abs=1e-9)  # buckets are ten per cent wide
        else:
            assert abs(f.mean[i] - x.mean()) <= (x.max() - x.min()) / 30 + 1e-9


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.sampled_from(["histo", "tensor"]))
def test_quantiles_lie_within_a_bucket_of_the_samples_and_never_fall(samples, encoding):
    f = facts(samples, encoding)
    levels = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])
    q = f.quantiles(levels)
    for i, sample in enumerate(samples):
        x = np.sort(np.array(sample))
        assert np.all(np.diff(q[i]) >= -1e-9 * np.abs(x).max())
        width = (x[-1] - x[0]) / 30 if encoding == "tensor" else 0.11 * np.abs(x).max() + 1e-11
        for level, value in zip(levels, q[i], strict=True):
            below, above = np.quantile(x, level, method="lower"), np.quantile(x, level, method="higher")
            rank = max(int(np.ceil(level * x.size)) - 1, 0)
            assert min(below, x[rank]) - width - 1e-9 <= value <= max(above, x[rank]) + width + 1e-9


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.floats(-100, 100), st.floats(0, 100))
def test_share_between_is_additive_and_within_the_bounds_of_the_buckets(samples, low, width):
    f = facts(samples)
    whole = f.share_between(-1e9, 1e9)
    assert np.allclose(whole, 1.0)
    inside = f.share_between(low, low + width)
    parts = f.share_between(low, low + width / 2) + f.share_between(low + width / 2, low + width)
    assert np.all(inside >= -1e-12)
    assert np.all(inside <= 1 + 1e-12)
    assert np.all(parts >= inside - 1e-9)


def test_unchanged_points_are_seen_and_moved_ones_are_not():
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 1, 500), rng.normal(0, 1, 500)
    for encoding in ("histo", "tensor"):
        f = facts([one, one, two, two, two + 1e-3], encoding)
        assert f.unchanged.tolist() == [False, True, False, True, False]
        assert f.change[1] == 0
        assert f.change[2] > 0


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 5), st.integers(0, 2**31))
def test_distance_of_a_shift_is_the_shift_and_never_more_than_the_mean_change(shift, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, 400)
    y = rng.permutation(x + shift)
    series = _synth.make_histograms("h", [x, y], encoding="tensor", bins=400)
    a, b = series.buckets(0), series.buckets(1)
    assert buckets.distance(a, b) == pytest.approx(abs(shift), abs=0.05)
    assert buckets.distance(a, b) == pytest.approx(buckets.distance(b, a))
    assert buckets.distance(a, a) == 0


def test_nan_share_is_what_num_counts_and_no_bucket_holds():
    x = np.arange(10.0)
    x[:3] = np.nan
    f = facts([np.arange(10.0), x, np.full(4, np.nan)])
    assert f.nan_share.tolist() == pytest.approx([0.0, 0.3, 1.0])
    assert np.isnan(f.norm[2])


def test_activation_function_is_read_from_the_range_and_saturation_from_its_ends():
    rng = np.random.default_rng(1)
    wide = rng.normal(0, 6, 2000)
    tanh, sigmoid, relu = np.tanh(wide), 1 / (1 + np.exp(-wide)), np.clip(wide, 0, 1)
    for sample, kind in ((tanh, TANH), (sigmoid, SIGMOID)):
        for encoding in ("histo", "tensor"):
            f = facts([sample, sample], encoding)
            assert f.activation_kind == kind
            true = np.mean(np.abs(sample) > 0.95) if kind == TANH else np.mean((sample < 0.05) | (sample > 0.95))
            assert f.saturated[0] == pytest.approx(true, abs=0.05)
    assert np.isnan(facts([relu]).saturated[0])  # half of it exactly zero: a clipped ReLU, not a sigmoid
    assert np.isnan(facts([wide]).saturated[0])


def test_an_all_zero_histogram_is_all_zero_in_both_encodings():
    for encoding in ("histo", "tensor"):
        f = facts([np.zeros(50), np.zeros(50)], encoding)
        assert f.zero.tolist() == [1.0, 1.0]
        assert f.unchanged.tolist() == [False, True]
        assert f.change[1] == 0
