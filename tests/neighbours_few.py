"""Neighbouring runs of few points, of totals that no tag calls a loss, and of ends that no check names."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def overall_of_parts(jumps: bool) -> Run:
    """Parts of a loss and their total, which is called Overall; it doubles at two thirds of the run, or comes down."""
    at = {"Training": np.arange(24) * 20 + 20, "Validation": np.arange(12) * 40 + 40}
    series = {}
    for k, (split, step) in enumerate(at.items()):
        n = step.size
        style = np.where(np.arange(n) < 2 * n // 3, 0.42, 1.49) if jumps else decay(n, 0.42, 0.2)
        content = np.where(np.arange(n) < 2 * n // 3, 44.0, 84.0) if jumps else decay(n, 44.0, 20.0)
        kl = decay(n, 7.0, 5.5) + noise(n, 0.3, k)
        parts = {"Pixel": 6 + noise(n, 0.02, 2 + k), "Style": style, "Perceptual": content, "KL Divergence": kl}
        parts["Overall"] = 0.5 * content + style + 0.1 * kl + noise(n, 0.2, 4 + k)
        series |= {f"{split}/{name}": _synth.make_series(f"{split}/{name}", value, step) for name, value in parts.items()}
    return _synth.make_run(series)


def overall_accuracy() -> Run:
    """A share that is called Overall, beside a KL divergence and a metric."""
    series = {f"{s}/Overall": 0.9 - decay(30, 0.5, 0.0) for s in ("Training", "Validation")}
    series |= {f"{s}/KL": decay(30, 2.0, 0.4) + noise(30, 0.01, 6) for s in ("Training", "Validation")}
    return _synth.make_run(series | {"Validation/F1": 0.85 - decay(30, 0.5, 0.0)})


def rises_but_for_one_evaluation(amount: float) -> Run:
    """Eight epochs: validation rises behind the second one in all but one interval, by `amount` of its best."""
    val = 1.6 * (1 + amount * np.array([0.1, 0.0, 0.2, 0.5, 0.55, 0.88, 0.85, 1.0]))
    return _synth.make_run({"train/loss": [2.46, 0.92, 0.60, 0.39, 0.27, 0.21, 0.11, 0.08], "val/loss": val})


def four_points_of_training(val_right: float) -> Run:
    """Training logged every 50 steps, validation every 7: training's accuracy gets to 0.98, validation's to `val_right`."""
    step = np.arange(34) * 7 + 6
    left = max(0.25, 2.4 * (0.98 - val_right))
    val = {
        "val_loss": decay(34, 2.3, left + 0.35) + noise(34, 0.02, 7),
        "val_acc": val_right - decay(34, val_right - 0.13, 0.0) + noise(34, 0.01, 8),
    }
    at = np.array([49, 99, 149, 199])
    train = {"train_loss": np.array([1.487, 0.819, 0.448, 0.257]), "train_acc": np.array([0.41, 0.75, 0.89, 0.984])}
    series = {t: _synth.make_series(t, v, step) for t, v in val.items()} | {t: _synth.make_series(t, v, at) for t, v in train.items()}
    return _synth.make_run(series)


def metric_climbs_beside_a_swing(late: bool) -> Run:
    """A detector whose losses waver while they fall; its mean average precision makes half of its gain in the last quarter, or early."""
    n = 100
    x = np.linspace(0, 1, n)
    swing = 0.006 * np.sin(np.arange(n) / 3) * (x > 0.6) * (x < 0.74)
    fall = np.interp(x, [0, 0.5, 0.74, 1], [0.155, 0.152, 0.108, 0.1])
    climb = 0.15 * np.clip((x - 0.5) / 0.5, 0, 1) ** 1.5 if late else 0.15 * np.clip((x - 0.1) / 0.4, 0, 1)
    series = {"train/loss": fall - 0.01 + noise(n, 0.002, 9), "val/loss": fall + swing + noise(n, 0.0004, 10)}
    return _synth.make_run(series | {"val/mAP50-95": np.abs(climb + noise(n, 0.002, 11))})


def ends_above_its_best(by: float) -> Run:
    """Validation wavers, and its last three evaluations lie up to `by` of its best above it."""
    val = np.array([0.35, 0.353, 0.34, 0.347, 0.36, 0.342, 0.348, 0.356, 0.335, 0.343, 0.352, 0.354, 0.343, 0.361, 0.351, 0.362])
    val = np.concatenate((val, 0.335 * (1 + by * np.array([0.5, 0.6, 1.0]))))
    return _synth.make_run({"train/loss": decay(19, 0.40, 0.31, 2.0), "val/loss": val})


def never_left_guessing(best: float) -> Run:
    """Five epochs of a detector whose losses fall, its precision at most `best`."""
    series = {"train/loss": decay(5, 0.13, 0.03, 6.0), "val/loss": decay(5, 0.135, 0.035, 6.0)}
    return _synth.make_run(series | {"val/mAP50-95": best * np.array([0.5, 0.6, 0.8, 1.0, 1.0])})


def three_evaluations(losses: tuple[float, ...]) -> Run:
    """Three epochs of a fine-tuning: training falls to a tenth, the accuracy climbs, the validation loss does as it is told."""
    step = np.arange(60) * 50 + 50
    series = {
        "train/loss": (1.66 * np.exp(-np.arange(60) / 26) + noise(60, 0.03, 21), step),
        "eval/loss": (np.array(losses), np.array([1000, 2000, 3000])),
        "eval/accuracy": (np.array([0.71, 0.74, 0.76]), np.array([1000, 2000, 3000])),
    }
    return _synth.make_run({k: _synth.make_series(k, v, at) for k, (v, at) in series.items()})
