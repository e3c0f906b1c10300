"""The statistics do what their documentation says: invariances, calibration, and known answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbdiag.detectors._synth import ar1, decay
from tbdiag.stats.blocks import block_means, block_medians
from tbdiag.stats.change import locate_bend, locate_step
from tbdiag.stats.confidence import HIGHEST, LOWEST, confidence
from tbdiag.stats.dispersion import find_scatter_rise
from tbdiag.stats.extrapolation import fit_power_law
from tbdiag.stats.monotone import find_turn
from tbdiag.stats.multiple import adjust_p, normal_tail
from tbdiag.stats.noise import estimate_noise, find_quantum, median, running_median
from tbdiag.stats.oscillation import detrended, find_swings
from tbdiag.stats.periodicity import explain_by_phase, fold_at
from tbdiag.stats.rise import measure_rise
from tbdiag.stats.spikes import find_spikes
from tbdiag.stats.trend import find_trend, kendall_p

seeds = st.integers(0, 2**32 - 1)
floats = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(floats)
def test_median_is_numpys(values):
    assert median(np.array(values)) == pytest.approx(float(np.median(values)))


@given(floats, st.sampled_from([3, 5, 7, 21]))
def test_running_median_stays_within_the_values_and_keeps_their_number(values, width):
    out = running_median(np.array(values), width)
    assert out.size == len(values)
    assert out.min() >= min(values)
    assert out.max() <= max(values)


@pytest.mark.parametrize("width", [5, 7])
def test_running_median_equals_the_slow_one(width):
    x = np.random.default_rng(0).normal(size=50)
    half = width // 2
    slow = [np.median(x[i - min(i, 49 - i, half) : i + min(i, 49 - i, half) + 1]) for i in range(50)]
    assert running_median(x, width) == pytest.approx(slow)


@settings(deadline=None, max_examples=30)
@given(seeds, st.sampled_from([0.0, 0.3, 0.6, 0.8]), st.sampled_from([100, 400, 3000]), st.floats(-5, 5))
def test_noise_is_found_whatever_the_trend_and_autocorrelation(seed, rho, n, slope):
    values = ar1(n, 0.5, rho, np.random.default_rng(seed)) + slope * np.linspace(0, 1, n)
    sigma = estimate_noise(values).sigma
    assert 0.2 < sigma < 1.1


@given(seeds, st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@settings(max_examples=50)
def test_noise_scales_with_the_values_and_ignores_their_level(seed, factor, shift):
    values = np.random.default_rng(seed).normal(size=60)
    plain, changed = estimate_noise(values), estimate_noise((values + shift) * factor)
    assert changed.sigma == pytest.approx(plain.sigma * factor, rel=1e-3, abs=1e-9 * factor * (1 + abs(shift)))


def test_noise_of_rounded_values_has_a_floor():
    values = np.round(np.full(50, 0.51234) + 1e-5 * np.arange(50), 3)
    assert find_quantum(values) == pytest.approx(1e-3)
    assert estimate_noise(values).sigma >= 1e-3 / np.sqrt(12)


@given(floats, st.integers(1, 20))
def test_blocks_keep_the_order_and_bounds(values, blocks):
    array = np.sort(np.array(values))
    for thin in (block_means, block_medians):
        out = thin(array, blocks)
        assert out.size == min(blocks, array.size)
        assert np.all(np.diff(out) >= -1e-6)
        assert out.min() >= array[0] - 1e-6
        assert out.max() <= array[-1] + 1e-6


def test_kendall_p_is_the_share_of_permutations():
    scores = [sum(np.sign(p[j] - p[i]) for i in range(5) for j in range(i + 1, 5)) for p in itertools.permutations(range(5))]
    for s in (0, 2, 6, 10):
        assert kendall_p(s, 5) == pytest.approx(np.mean(np.abs(scores) >= s))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_trend_test_keeps_its_level_under_autocorrelation(rho):
    hits = 0
    for seed in range(400):
        trend = find_trend(ar1(150, 1.0, rho, np.random.default_rng(seed)))
        hits += trend.rising or trend.falling
    assert hits / 400 < 0.03


@given(seeds, st.floats(0.5, 100))
@settings(max_examples=30)
def test_trend_turns_with_the_series(seed, factor):
    values = np.random.default_rng(seed).normal(size=80) + np.linspace(0, 15, 80)
    assert find_trend(values).rising
    assert find_trend(-factor * values).falling


@pytest.mark.parametrize("n", [10, 30, 100, 300])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_flat_curves_seldom_rise_above_their_best(n, rho):
    wrong = 0
    for seed in range(300):
        values = ar1(n, 1.0, rho, np.random.default_rng((seed, n)))
        wrong += measure_rise(values, estimate_noise(values).sigma).sigmas > 4 * (1 + 3 / n)
    assert wrong / 300 <= (0.02 if rho == 0 else 0.05)


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(15, 65), st.floats(0.02, 0.2))
def test_bend_lies_in_its_interval(seed, bend, slope):
    t = np.arange(80.0)
    y = slope * np.maximum(t - bend, 0) + np.random.default_rng(seed).normal(0, 0.05, 80)
    place = locate_bend(t, y, 0.05)
    assert place is not None
    assert place.first - 3 <= bend <= place.last + 3
    assert place.size == pytest.approx(slope, rel=0.35, abs=0.015)  # a late bend has few points behind it


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(5, 54), st.sampled_from([-2.0, 1.0, 3.0]))
def test_step_is_found_where_it_is(seed, at, jump):
    y = np.random.default_rng(seed).normal(0, 0.1, 60)
    y[at + 1 :] += jump
    place = locate_step(y, 0.1)
    assert place is not None
    assert place.first <= at <= place.last
    assert place.size == pytest.approx(jump, abs=0.3)


@pytest.mark.parametrize(
    "make",
    [lambda r: r.normal(size=400), lambda r: r.standard_t(3, 400), lambda r: ar1(400, 1.0, 0.8, r), lambda r: r.exponential(size=400)],
)
def test_steady_noise_has_no_scatter_that_rises(make):
    ratios = [find_scatter_rise(make(np.random.default_rng(s))).ratio for s in range(300)]
    assert max(ratios) < 3.5


@settings(deadline=None, max_examples=30)
@given(seeds, st.floats(0.3, 0.7), st.sampled_from([0.01, 0.03, 0.08, None]), st.floats(1e-3, 1e3))
def test_a_scatter_that_rises_is_found_whatever_its_period_and_scale(seed, at, period, scale):
    rng, x = np.random.default_rng(seed), np.linspace(0, 1, 480)
    more = rng.normal(size=480) if period is None else 1.4 * np.sin(2 * np.pi * x / period)
    found = find_scatter_rise(scale * (3 - x + 0.05 * rng.normal(size=480) + np.where(x > at, more, 0)))
    assert found is not None
    assert found.ratio > 4.5
    assert found.before / 480 < at <= (found.last + 41) / 480  # one calm piece behind is let pass


def test_too_few_points_have_no_scatter_that_rises():
    assert find_scatter_rise(np.arange(59.0)) is None


@pytest.mark.parametrize("make", [lambda r: r.normal(size=500), lambda r: r.standard_t(4, 500), lambda r: np.exp(r.normal(0, 0.5, 500))])
def test_noise_has_no_spikes(make):
    assert sum(bool(find_spikes(make(np.random.default_rng(s)))) for s in range(150)) <= 2


@given(seeds, st.integers(30, 160), st.floats(0.1, 1000))
@settings(max_examples=30)
def test_a_spike_is_found_at_any_scale(seed, at, factor):
    values = np.random.default_rng(seed).normal(size=200)
    values[at] += 40
    spikes = find_spikes(values * factor)
    assert [s.peak for s in spikes] == [at]
    assert find_spikes(-values * factor) == []


def test_an_excursion_that_stays_is_no_spike():
    values = np.random.default_rng(3).normal(0, 0.1, 100)
    values[60:] += 50
    assert find_spikes(values) == []


@given(st.integers(1, 8), st.floats(1.0, 10.0))
def test_swings_are_counted(count, height):
    wave = height * np.tile([0.0, 1.0], count + 1)
    swings = find_swings(wave, 0.5 * height)
    assert swings.rises == count + 1
    assert swings.largest == pytest.approx(height)
    assert find_swings(wave, 1.5 * height).rises == 0


def test_a_line_leaves_nothing_when_detrended():
    assert detrended(3.0 + 0.5 * np.arange(20.0)) == pytest.approx(np.zeros(18))


def test_fold_finds_a_pattern_and_none_in_noise():
    rng = np.random.default_rng(5)
    step = np.arange(300)
    boundaries = np.arange(25, 300, 25)
    noise = rng.normal(0, 0.1, 300)
    pattern = np.tile(np.linspace(0, 0.5, 25), 12)
    found, nothing = fold_at(step, noise + pattern, boundaries), fold_at(step, noise, boundaries)
    assert found is not None
    assert nothing is not None
    assert found.explained > 0.6
    assert found.strength > 12
    assert found.jump < -0.2
    assert nothing.explained < 0.25
    assert nothing.strength < 5


@given(st.integers(0, 10_000), st.integers(3, 7), st.floats(0.1, 10.0), st.integers(0, 50))
def test_the_place_in_the_period_explains_a_pattern_whatever_its_scale_and_noise_hardly_ever(seed, points, factor, shift):
    rng = np.random.default_rng(seed)
    step = np.arange(1, 15 * points + 1)
    ends = np.arange(points, 15 * points, points)
    noise = rng.normal(0, 1, step.size)
    pattern = np.tile(8.0 * (np.arange(points) % 2), 15)
    found = explain_by_phase(step, noise + pattern, ends)
    other = explain_by_phase(step + shift, factor * (noise + pattern), ends + shift)
    nothing = explain_by_phase(step, noise, ends)
    assert found is not None
    assert other is not None
    assert nothing is not None
    assert found.explained > 0.5
    assert found.chance < 1e-6
    assert other.explained == pytest.approx(found.explained)
    assert other.amplitude == pytest.approx(factor * found.amplitude)
    assert nothing.explained < 0.75 * found.explained


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_are_ordered_and_not_smaller(p):
    values = np.array(p)
    adjusted = adjust_p(values)
    assert np.all(adjusted >= values - 1e-12)
    assert np.all(adjusted <= 1)
    assert np.all(np.diff(adjusted[np.argsort(values, kind="stable")]) >= -1e-12)


def test_normal_tail():
    assert normal_tail(0.0) == pytest.approx(0.5)
    assert normal_tail(1.6448536) == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize("make", [lambda r: r.normal(size=40), lambda r: 5 * np.exp(-np.arange(40) / 6) + r.normal(size=40) * 0.3])
def test_a_curve_that_only_falls_does_not_turn(make):
    assert sum(find_turn(make(np.random.default_rng(s))).ratio > 1 for s in range(300)) <= 2


@given(seeds, st.integers(15, 35), st.floats(1e-3, 1e3), st.floats(-100, 100))
@settings(deadline=None, max_examples=30)
def test_a_turn_is_found_at_any_scale_and_level(seed, at, factor, level):
    t = np.arange(60.0)
    values = 0.02 * np.abs(t - at) + np.random.default_rng(seed).normal(0, 0.05, 60)
    turn, other = find_turn(values), find_turn(level + factor * values)
    assert turn.ratio > 1
    assert abs(turn.index - at) <= 10
    assert other.ratio > 1
    assert find_turn(values[:14]).ratio == 0


def test_power_law_is_recovered():
    t = np.arange(1, 200.0)
    law = fit_power_law(t, 1.0 + 2.0 * (t / 199) ** -0.5)
    assert law is not None
    assert law.alpha == 0.5
    assert law.at(1.5) == pytest.approx(1 + 2 * 1.5**-0.5, rel=1e-3)
    assert fit_power_law(t, t) is None


@given(st.lists(st.floats(1, 100), min_size=0, max_size=4), st.integers(0, 4), st.integers(0, 4))
def test_confidence_is_a_probability_and_grows_with_support(margins, supports, doubts):
    value = confidence(*margins, supports=supports, doubts=doubts)
    assert LOWEST <= value <= HIGHEST
    assert confidence(*margins, supports=supports + 1, doubts=doubts) >= value
    assert confidence(*margins, supports=supports, doubts=doubts + 1) <= value


def test_a_decay_is_no_rise():
    values = decay(100, 2.0, 0.3) + np.random.default_rng(1).normal(0, 0.01, 100)
    assert measure_rise(values, 0.01).sigmas < 3
