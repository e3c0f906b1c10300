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
    """Twenty evaluations that scatter by a third, to the end, or until the learning rate has come down."""
    rng = np.random.default_rng(302)
    scatter = np.where(np.arange(20) < 15, 0.3, 0.01 if calms else 0.3)
    val = (0.03 + 0.09 * np.exp(-np.arange(20) / 1.5)) * np.exp(scatter * rng.normal(0, 1, 20))
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
