"""Whole courses of curves: a fault and the healthy run, or the other fault, that looks like it."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run


def restless_in_the_middle(*, back: bool = False) -> Run:
    """A validation loss that leaves its best, is thrown about, and stands higher; or comes back. Training stands meanwhile."""
    x, rng = np.linspace(0, 1, 360), np.random.default_rng(301)
    up = np.clip((x - 0.2) / 0.1, 0, 1) * (np.clip((0.9 - x) / 0.2, 0, 1) if back else 1)
    wild = np.where((x > 0.2) & (x < 0.75), 0.07, 0.0005)
    train = _synth.decay(360, 0.44, 0.0225, 30.0) + 0.008 * np.exp(-(((x - 0.4) / 0.15) ** 2)) - 0.0006 * x
    val = _synth.decay(360, 0.66, 0.07, 25.0) + 0.06 * up + wild * rng.uniform(-1, 1, 360)
    return _synth.make_run({"loss": train + rng.normal(0, 0.003, 360), "val_loss": np.maximum(val, 0.068)}, every=13)


def rate_decays(*, calms: bool) -> Run:
    """Twenty evaluations that scatter by a half, to the end, or until the learning rate has come down."""
    rng = np.random.default_rng(302)
    scatter = np.where(np.arange(20) < 15, 0.5, 0.01 if calms else 0.5)
    val = (0.04 + 0.09 * np.exp(-np.arange(20) / 1.5)) * np.exp(scatter * rng.normal(0, 1, 20))
    train = _synth.decay(400, 2.3, 0.02, 20.0) * np.exp(rng.normal(0, 0.1, 400))
    return _synth.make_run(
        {"train/loss": _synth.make_series("train/loss", train, every=20), "val/loss": _synth.make_series("val/loss", val, every=400)}
    )


def validation_jumps(*, training: float) -> Run:
    """A loss that falls by two thirds, epoch by epoch, with a rate of 0.1 and a validation that jumps; `training`: its own scatter."""
    rng = np.random.default_rng(303)
    train = (0.064 + 0.136 * np.exp(-np.arange(16) / 3) - 0.0004 * np.arange(16)) * np.exp(training * rng.normal(0, 1, 16))
    val = (0.05 + 0.1 * np.exp(-np.arange(16) / 3)) * np.exp(0.4 * rng.normal(0, 1, 16))
    return _synth.make_run({"train/loss": train, "val/loss": val, "lr": np.full(16, 0.1)})


def batches_differ(*, by_epoch: bool) -> Run:
    """Losses of single batches and ten small evaluations, both restless, beside an R2 of training by the epoch that climbs, or none."""
    rng = np.random.default_rng(304)
    train = (0.75 - 0.2 * np.linspace(0, 1, 150)) * np.exp(0.4 * rng.normal(0, 1, 150))
    val = np.array([0.43, 0.40, 0.41, 0.41, 0.50, 0.42, 0.51, 0.39, 0.36, 0.35])
    series = {"train/loss": _synth.make_series("train/loss", train, every=5), "val/loss": _synth.make_series("val/loss", val, every=75)}
    if by_epoch:
        r2 = [0.197, 0.268, 0.308, 0.331, 0.314, 0.357, 0.373, 0.374, 0.378, 0.406]
        series["train/r2"] = _synth.make_series("train/r2", r2, every=75)
    return _synth.make_run(series)


def swings_late(*, level: float) -> Run:
    """A loss that comes from 2 down to `level` within half the run, and swings there by a factor of twenty, three times and more."""
    x, rng = np.linspace(0, 1, 500), np.random.default_rng(305)
    down = np.log(2) + (np.log(level) - np.log(2)) * np.clip(2 * x, 0, 1)
    return _synth.make_run({"train_loss": np.exp(down + np.where(x > 0.5, 1.6 * np.sin(40 * x), 0) + rng.normal(0, 0.05, 500))}, every=70)


def one_spike(*, at: int, peak: float = 25.0, scatter: float = 0.2, falls: float = 4.0) -> Run:
    """One loss of 500 that stands out."""
    rng = np.random.default_rng(306)
    loss = 2.5 + _synth.decay(500, falls, 0.0, 80.0) + rng.normal(0, scatter, 500)
    loss[at] = peak
    return _synth.make_run({"train_loss": loss}, every=50)


def falls_to_nothing(*, best: float) -> Run:
    """Nothing but the accuracy of training, in per cent, which is at zero after the first tenth."""
    rng = np.random.default_rng(307)
    accuracy = np.where(np.arange(600) < 60, best * rng.uniform(0.8, 1.0, 600), 0.0)
    accuracy[0] = best
    return _synth.make_run({"train/accuracy_percent": accuracy})


def warms_up(n: int) -> Run:
    """Epochs of a detector within its warm-up: its losses stand, and it finds nothing yet."""
    rng = np.random.default_rng(308)
    return _synth.make_run(
        {
            "train/loss": 0.405 + rng.normal(0, 0.002, n),
            "val/loss": 0.43 + rng.normal(0, 0.002, n),
            "val/precision": np.abs(rng.normal(0, 1e-4, n)),
        }
    )


def loss_rises(metric: str, *, behind: float) -> Run:
    """A validation loss that rises from the tenth of a hundred epochs on, beside a metric that gains a share `behind` of all it gains after that."""
    x, rng = np.arange(100), np.random.default_rng(309)
    val = 0.22 + 0.2 * np.exp(-x / 2) + 0.0008 * np.clip(x - 10, 0, None) + rng.normal(0, 0.001, 100)
    gained = (1 - behind) * np.clip(x / 10, 0, 1) + behind * (1 - np.exp(-np.clip(x - 10, 0, None) / 20))
    series = {"train/loss": 0.04 + 0.1 * np.exp(-x / 30) + rng.normal(0, 0.0005, 100), "val/loss": val}
    return _synth.make_run({**series, metric: 0.03 + 0.42 * gained + rng.normal(0, 0.003, 100)})
