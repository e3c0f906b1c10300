"""Runs whose learning rate is at fault, and their harmless neighbours."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

RNG = np.random.default_rng


def rate_jumps_under_noisy_batches(factor: float) -> Run:
    """Single batches whose loss scatters by a quarter: a rate beyond any before throws the loss up by less than six of its sd."""
    rate = np.where(np.arange(128) < 70, 0.003, 0.003 * factor)
    level = 0.28 + _synth.decay(128, 0.35, 0.0, 12.0) + (0.2 if factor > 2 else 0.0) * (np.arange(128) >= 70)
    return _synth.make_run({"train/loss": np.abs(level + RNG(62).normal(0, 0.07, 128)), "lr": rate}, every=5)


def rate_jumps_in_few_points(factor: float) -> Run:
    """Fifteen epochs, the rate of another schedule from the eighth on."""
    rate = np.where(np.arange(15) < 8, 0.003 - 0.0002 * np.arange(15), 0.0015 * factor)
    loss = np.array([0.97, 0.27, 0.18, 0.15, 0.14, 0.13, 0.128, 0.126, 2.67, 0.41, 0.35, 0.33, 0.31, 0.3, 0.29])
    if factor < 2:
        loss[8:] = 0.125 - 0.001 * np.arange(7)
    return _synth.make_run({"train/loss": loss, "val/loss": loss + 0.01, "lr": rate}, every=28)


def adam_at(rate: float) -> Run:
    train = 0.4 + 0.8 * np.exp(-np.linspace(0, 9, 90)) + RNG(25).normal(0, 0.06, 90)
    acc = 0.88 - 0.15 * np.exp(-np.linspace(0, 9, 18))
    val = {"val/loss": 0.27 + 0.5 * np.exp(-np.linspace(0, 9, 18)), "val/acc": acc}
    series = {k: _synth.make_series(k, v, np.arange(18) * 5 + 4) for k, v in val.items()}
    return _synth.make_run({"train/loss_step": train, "lr-Adam": np.full(90, rate), **series})


def rate_of_an_agent_jumps(factor: float) -> Run:
    reward = (
        np.r_[13 - 9 * np.exp(-np.linspace(0, 9, 45)), 9 - 4 * np.exp(-np.linspace(0, 4, 45))]
        if factor > 2
        else 13 - 9 * np.exp(-np.linspace(0, 9, 90))
    )
    lr = np.r_[np.full(45, 0.006), np.full(45, 0.006 * factor)]
    return _synth.make_run(
        {"rollout/ep_rew_mean": reward + RNG(26).normal(0, 0.2, 90), "train/approx_kl": np.full(90, 0.01), "train/learning_rate": lr},
        every=480,
    )


def rate_logged_as_zero(*, learns: bool) -> Run:
    """A rate that was rounded to two decimals, and one that is zero."""
    rng = np.random.default_rng(68)
    loss = (_synth.decay(80, 2.3, 0.3) if learns else np.full(80, 2.31)) + rng.normal(0, 0.01, 80)
    return _synth.make_run({"train/loss": loss, "val/loss": loss + 0.01, "lr": np.zeros(80)})
