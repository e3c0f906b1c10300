"""Neighbouring runs: loss and metric that go apart, few evaluations that rise or scatter, wrong labels that are learned by heart."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def few_evaluations(*values: float) -> Run:
    """A training loss that falls from 1.9 to 0.15 beside these validation losses."""
    n = len(values)
    return _synth.make_run({"train/loss": 0.15 * (1.9 / 0.15) ** (1 - np.linspace(0, 1, n) ** 0.7), "val/loss": np.array(values)})


def goes_apart(gains: float) -> Run:
    """The validation loss rises from step 12 of 40 on; the accuracy gains or loses that much behind it."""
    x = np.arange(40) / 39
    behind = np.clip(x - 0.3, 0, None) / 0.7
    val = {"val/loss": decay(40, 2.0, 0.6, 12.0) + 0.4 * behind + noise(40, 0.01, 1)}
    accuracy = {"val/accuracy": 0.75 - decay(40, 0.5, 0.0, 12.0) + gains * behind + noise(40, 0.003, 2)}
    return _synth.make_run({"train/loss": decay(40, 2.0, 0.02, 6.0), **val, **accuracy})


def score_falls(by: float, seen: float = 0.0, name: str = "f1") -> Run:
    """A validation loss that comes to a stand while a score falls by so much behind step 13 of 40; that of training falls by `seen`."""
    behind = np.clip(np.arange(40) / 39 - 0.33, 0, None) / 0.67
    losses = {"train/loss": decay(40, 2.0, 0.1, 5.0), "val/loss": decay(40, 2.0, 0.5, 6.0) + noise(40, 0.004, 3)}
    rises = decay(40, 0.5, 0.0, 14.0)
    return _synth.make_run(
        {**losses, f"train/{name}": 0.9 - rises - seen * behind, f"val/{name}": 0.8 - rises - by * behind + noise(40, 0.004, 4)},
    )


def memorised(stands: float, floor: float = 1.0) -> Run:
    """A fifth of ten classes' labels drawn at random: accuracies stand at 0.8 for a share of the run, then training learns the rest by heart.

    `floor`: how much of the entropy of such labels the losses stand at meanwhile.
    """
    at = [0, 0.15, 0.15 + stands, 1]

    def curve(values: tuple[float, float, float], sd: float, seed: int) -> np.ndarray:
        first, level, last = values
        return np.interp(np.linspace(0, 1, 60), at, [first, level, level, last]) + noise(60, sd, seed)

    level = 0.94 * floor
    losses = {"train/loss": curve((2.2, level, 0.15), 0.01, 5), "val/loss": curve((2.2, level + 0.04, 2.0), 0.01, 6)}
    return _synth.make_run({**losses, "train/acc": curve((0.1, 0.8, 0.98), 0.003, 7), "val/acc": curve((0.1, 0.795, 0.66), 0.003, 8)})


def at_the_floor(floor: float) -> Run:
    """Four labels of five are right, of ten classes: both losses stand at `floor` times the entropy of that."""
    falls = np.exp(-np.arange(60) / 5)
    level = 0.938 * floor
    losses = {"train/loss": level + 1.36 * falls + noise(60, 0.005, 9), "val/loss": level + 0.01 + 1.35 * falls + noise(60, 0.01, 10)}
    accuracy = 0.8 - 0.7 * falls
    return _synth.make_run({**losses, "train/acc": accuracy + noise(60, 0.003, 11), "val/acc": accuracy + noise(60, 0.003, 12)})
