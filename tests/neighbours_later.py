"""More neighbouring runs: what is told apart by a second step, a NaN, a doubled level, a constant rate, a training loss that fits."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def losses_that_climb(both: bool) -> Run:
    """Training climbs with validation, or not."""
    up = 0.45 + np.linspace(0, 0.25, 22)
    train = up + 0.02 if both else decay(22, 0.5, 0.2)
    return _synth.make_run({"train/loss": train + noise(22, 0.02, 1), "val/loss": up + noise(22, 0.02, 2)})


def worse_from_the_second_evaluation() -> Run:
    val = np.concatenate(([2.27], 4.3 + noise(11, 0.15, 3)))
    return _synth.make_run(
        {"train/loss": decay(160, 1.7, 0.09, 8.0), "val/loss": _synth.make_series("val/loss", val, np.arange(12) * 14 + 5)}
    )


def rises_in_two_steps() -> Run:
    val = np.concatenate((decay(11, 1.65, 1.4), [1.41, 1.39, 1.54, 1.47, 1.65, 1.6, 1.62, 1.7, 1.68, 1.61, 1.63])) + noise(22, 0.01, 4)
    return _synth.make_run(
        {"train/loss": decay(132, 1.7, 0.2) + noise(132, 0.05, 5), "val/loss": _synth.make_series("val/loss", val, np.arange(22) * 6 + 5)}
    )


def metric_falls_where_the_loss_breaks(breaks: bool) -> Run:
    """Validation's loss turns NaN (or doubles) in the evaluation at which its accuracy falls."""
    loss = decay(18, 0.8, 0.07) + noise(18, 0.005, 6)
    loss[9:] = np.nan if breaks else 1.9 + noise(9, 0.01, 7)
    accuracy = np.where(np.arange(18) < 9, 0.97, 0.14) + noise(18, 0.004, 8)
    return _synth.make_run({"train/loss": decay(18, 1.8, 0.06), "val/loss": loss, "val/accuracy": accuracy})


def level_that_doubles() -> Run:
    val = np.concatenate(([1.81, 0.75, 0.25, 0.21], np.full(6, 0.2), np.full(9, 0.6))) + noise(19, 0.01, 9)
    return _synth.make_run({"train/loss": decay(19, 1.8, 0.16, 8.0), "val/loss": val})


def six_evaluations(constant: bool) -> Run:
    """Falling at every one under a rate that is kept up, or annealed."""
    val = _synth.make_series("val/loss", [2.31, 2.15, 2.02, 1.91, 1.835, 1.765], np.arange(6) * 48 + 48)
    rate = np.full(14, 6e-4) if constant else 6e-4 * (1 + np.cos(np.linspace(0, np.pi, 14))) / 2
    steps = np.arange(14) * 20 + 20
    series = {"train/loss": decay(14, 2.4, 1.6, 1.2) + noise(14, 0.02, 10), "lr": rate}
    return _synth.make_run({**{t: _synth.make_series(t, v, steps) for t, v in series.items()}, "val/loss": val})


def below_the_mean(fits: bool) -> Run:
    """An R2 of validation that never leaves zero, while training fits, or does not."""
    train = decay(120, 1.8, 0.02 if fits else 1.3, 8.0) + noise(120, 0.01, 11)
    r2 = -np.abs(noise(20, 40.0, 12)) - 1
    val = np.abs(noise(20, 0.5, 13)) + 0.1 if fits else decay(20, 1.8, 1.32, 8.0) + noise(20, 0.01, 14)
    at = np.arange(20) * 6 + 5
    return _synth.make_run(
        {"train/loss": train, "val/loss": _synth.make_series("val/loss", val, at), "val/r2": _synth.make_series("val/r2", r2, at)}
    )
