"""Shortcuts that make a night cheap give exactly what the long way gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbdiag.detectors import _synth, load_detectors
from tbdiag.detectors._synth import ar1
from tbdiag.engine import run_detectors
from tbdiag.features import Features
from tbdiag.model.rounding import round_to_seven_digits
from tbdiag.roles import resolve
from tbdiag.stats.noise import bound_noise, estimate_noise, prefix_medians, quantile, row_medians, sliding
from tbdiag.stats.spikes import find_spikes, largest_climb

seeds = st.integers(0, 2**32 - 1)
floats = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


def make_curve(kind: str, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, n)
    noise = {
        "white": rng.normal(0, 0.1, n),
        "autocorrelated": ar1(n, 0.1, 0.9, rng),
        "heavy": rng.standard_t(2, n) * 0.1,
        "alternating": 0.1 * (-1.0) ** np.arange(n) + rng.normal(0, 0.01, n),
        "none": np.zeros(n),
        "spiky": np.where(rng.random(n) < 0.1, 5.0, 0.0),
    }[kind]
    return 2 * np.exp(-rng.uniform(0, 8) * x) + noise


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["white", "autocorrelated", "heavy", "alternating", "none", "spiky"]),
    st.integers(3, 600),
    seeds,
    st.sampled_from([None, 3, 2, 1, 0]),
)
def test_noise_lies_within_its_bounds(kind, n, seed, digits):
    values = make_curve(kind, n, seed)
    if digits is not None:
        values = values.round(digits)
    low, high = bound_noise(values)
    assert low <= estimate_noise(values).sigma <= high


@settings(deadline=None)
@given(seeds, st.floats(-1, 3), st.sampled_from([1.0, 2.0, 6.0]))
def test_an_amount_is_beyond_the_noise_as_the_noise_itself_says(seed, amount, sigmas):
    loss = make_curve("white", 120, seed)
    curve = Features(resolve(_synth.make_run({"train/loss": loss}))).curve("train_loss")
    assert curve is not None
    said = curve.beyond_noise(amount, sigmas), curve.trace.beyond_noise(amount, sigmas)
    assert said == (amount > sigmas * curve.sigma, amount > sigmas * curve.trace.noise.sigma)


def test_healthy_curves_need_no_noise_to_be_told_from_it():
    curve = Features(resolve(_synth.make_run({"train/loss": make_curve("white", 200, 1)}))).curve("train_loss")
    assert curve is not None
    assert curve.beyond_noise(2.0, 2.0)
    assert not curve.beyond_noise(0.001, 4.0)
    assert "noise" not in vars(curve)


@settings(deadline=None)
@given(floats, st.sampled_from([0.0, 0.02, 0.1, 0.5, 0.8, 0.9, 0.98, 1.0]))
def test_quantile_is_numpys_to_the_bit(values, q):
    assert quantile(np.array(values), q) == float(np.quantile(np.array(values), q))


@settings(deadline=None)
@given(floats.filter(lambda v: len(v) >= 5), st.integers(1, 5))
def test_medians_of_windows_are_numpys(values, width):
    windows = np.lib.stride_tricks.sliding_window_view(np.array(values), width)
    assert np.array_equal(row_medians(sliding(np.array(values), width).copy()), np.median(windows, axis=1))


@settings(deadline=None)
@given(floats, st.integers(1, 20))
def test_largest_climb_is_the_slow_one(values, within):
    slow = max(v - min(values[max(0, i - within) : i + 1]) for i, v in enumerate(values))
    assert largest_climb(np.array(values), within) == slow


@pytest.mark.parametrize("seed", range(40))
def test_no_spike_stands_higher_than_the_largest_climb(seed):
    rng = np.random.default_rng(seed)
    values = make_curve(["white", "heavy", "spiky"][seed % 3], 300, seed)
    values[rng.integers(30, 270, 3)] += rng.uniform(0.2, 5, 3)
    climb = largest_climb(values, 17)
    for spike in find_spikes(values):
        before = np.median(values[max(spike.first - 10, 0) : spike.first]) if spike.first else values[0]
        assert values[spike.peak] - before <= climb


def test_outcomes_do_not_depend_on_which_detector_asked_first():
    rng = np.random.default_rng(3)
    run = _synth.make_run(
        {
            "train/loss": _synth.decay(400, 2.0, 0.3) + rng.normal(0, 0.05, 400),
            "val/loss": _synth.decay(400, 2.0, 0.4) + rng.normal(0, 0.05, 400),
            "lr": _synth.decay(400, 1e-3, 1e-5),
            "grad_norm": 1 + rng.normal(0, 0.1, 400),
        }
    )
    detectors = load_detectors()
    forward = run_detectors(Features(resolve(run)), detectors=detectors)
    backward = run_detectors(Features(resolve(run)), detectors=detectors[::-1])
    assert forward == backward[::-1]


@given(floats, st.integers(1, 20))
def test_medians_of_all_that_came_before(points: list[float], first: int) -> None:
    values = np.array(points)
    expected = [np.median(values[:i]) for i in range(first, values.size)]
    assert prefix_medians(values, first, values.size).tolist() == pytest.approx(expected, rel=1e-15, abs=0)


def test_seven_digits_are_those_of_the_text() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate(
        [
            rng.normal(size=4000) * 10.0 ** rng.integers(-30, 30, 4000),
            rng.integers(10**6, 10**7, 2000) / 10.0 ** rng.integers(0, 12, 2000),
            (rng.integers(10**6, 10**7, 2000) + 0.5) / 10.0 ** rng.integers(0, 12, 2000),  # halves
            10.0 ** np.arange(-20, 20),
            np.nextafter(10.0 ** np.arange(-20, 20), 0),
            9.9999995 * 10.0 ** np.arange(-20, 20),
            rng.normal(size=1000).astype(np.float32).astype(np.float64),
            [0.0, -0.0, 5e-324, 1.7976931348623157e308, -1e-300],
        ]
    )
    expected = np.array([float(f"{v:.7g}") for v in values])
    assert round_to_seven_digits(values).tobytes() == expected.tobytes()
    assert round_to_seven_digits(-values).tobytes() == (-expected).tobytes()
