"""Neighbouring runs: evaluations on a line, labels drawn at random, one answer, scores that are lost, losses of another definition, evaluations thrown back, a scatter that rises, a nat that is lost for good, a distance that climbs."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def _beside(train: np.ndarray, **val: np.ndarray) -> Run:
    n = len(next(iter(val.values())))
    every = train.size // n
    made = {k.replace("_", "/"): _synth.make_series(k.replace("_", "/"), v, np.arange(1, n + 1) * every) for k, v in val.items()}
    return _synth.make_run({"train/loss": train, **made})


def on_a_line(scatter: float = 1e-5, left: float = 0.65, decays: bool = False) -> Run:
    """Evaluations creep down from the second on, at one slope, or at one that decays by half each time."""
    creep = 0.03 * 0.7 ** np.arange(26) if decays else -0.001 * np.arange(26)
    val = np.concatenate(([left + 0.3], left + creep + noise(26, scatter, 1)))
    return _beside(decay(270, 2.0, left, 40.0) + noise(270, 0.04, 2), val_loss=val)


def drawn_at_random(loss: float = 1.0, classes: int = 5, apart: float = 0.0) -> Run:
    """An accuracy of 0.58 and `loss` times the entropy of labels drawn evenly; training is lower by `apart`."""
    right = 0.58
    level = loss * -(right * np.log(right) + (1 - right) * np.log((1 - right) / (classes - 1)))
    val = decay(20, np.log(classes), level, 12.0) + noise(20, 0.006, 3)
    train = decay(200, np.log(classes) + 0.01, level - apart, 12.0) + noise(200, 0.05, 4)
    acc = right - decay(20, right - 1 / classes, 0.0, 12.0) + noise(20, 0.004, 5)
    run = _beside(train, val_loss=val, val_acc=acc)
    first = np.concatenate((np.full(10, 1 / classes), np.full(190, right)))
    return _synth.make_run({**run.series, "train/acc": first})


def scores_are_lost(both: bool) -> Run:
    """Accuracies fall back towards guessing in both splits, or in validation alone."""
    fall = np.clip((np.arange(200) - 60) / 60, 0, 1)
    skill = 1 - np.exp(-np.arange(200) / 15)
    kept = skill * (1 - 0.9 * fall)
    seen = kept if both else skill
    made = {"train/loss": 0.7 - 0.16 * seen + noise(200, 0.04, 6), "train/acc": 0.5 + 0.25 * seen + noise(200, 0.04, 7)}
    val = {"val/loss": 0.62 + 0.05 * fall, "val/acc": 0.5 + 0.2 * kept}
    return _synth.make_run({**made, **{k: _synth.make_series(k, v[9::14], np.arange(9, 200, 14)) for k, v in val.items()}})


def one_answer(loss: float) -> Run:
    share = {f"val/pred_share/{k}": np.full(12, float(k == 0)) for k in range(8)}
    falls = decay(12, 2.08, loss, 8.0)
    return _synth.make_run({"train/loss": falls, "val/loss": falls + 0.02, "val/f1": np.full(12, 0.12), **share})


def thrown_up_first(validation_falls: bool) -> Run:
    """The first step throws the training loss up a thousandfold; evaluations fall to the end, or stand at last."""
    falls = np.linspace(1.4, 0.45, 158) if validation_falls else decay(158, 1.4, 0.42, 12.0)
    train = np.concatenate(([1300.0, 40.0], falls)) + noise(160, 0.02, 8)
    val = falls[9::10]
    made = {"val/loss": _synth.make_series("val/loss", val, np.arange(val.size) * 10 + 11), "lr": np.full(160, 0.6)}
    return _synth.make_run({"train/loss": train, **made})


def evaluations_thrown_back(restless: bool) -> Run:
    """Two of twelve evaluations lose what was learned, beside a training loss that is thrown about as well, or calm."""
    val = np.array([1.35, 1.17, 1.48, 1.23, 1.06, 1.06, 0.88, 0.88, 1.57, 0.94, 1.02, 1.0])
    train = np.repeat(0.25 + 0.75 * val, 10) if restless else np.linspace(1.5, 0.9, 120)
    train = np.append(1.6, (train + np.random.default_rng(56).normal(0, 0.05, 120))[1:])
    return _synth.make_run({"train/loss": train, "val/loss": _synth.make_series("val/loss", val, every=10)})


def scatter_that_rises(period: float | None, level: float = 1.2) -> Run:
    """A calm training loss that swings (or scatters) from two fifths of the run on; or whose scatter comes as its level falls."""
    x = np.linspace(0, 1, 600)
    late = np.clip((x - 0.4) * 1e9, 0, 1)
    swing = 0.25 * np.random.default_rng(57).normal(0, 1, 600) if period is None else 0.45 * (1 - np.cos(2 * np.pi * (x - 0.4) / period))
    loss = np.where(late > 0, level + swing, 1.2 + 1.2 * np.exp(-12 * x)) + np.random.default_rng(58).normal(0, 0.02, 600)
    return _synth.make_run({"train/loss": loss}, every=50)


def a_nat_lost(both: bool = True, stays: bool = True) -> Run:
    """A language model from ten to three nats that loses one half-way, in both splits or one, for good or for a while."""
    x, rng = np.linspace(0, 1, 400), np.random.default_rng(59)
    loss = 2.9 + 7 * np.exp(-30 * x) + 0.5 * np.exp(-4 * x)
    up = (x > 0.5) * (1.0 if stays else np.exp(-(x - 0.5) / 0.05))
    val = (loss + (up if both else 0))[9::10]
    return _synth.make_run(
        {
            "train/loss": loss + up + rng.normal(0, 0.03, 400),
            "val/loss": _synth.make_series("val/loss", val + rng.normal(0, 0.01, 40), np.arange(9, 400, 10)),
        }
    )


def distance_of_a_gan(climbs: bool) -> Run:
    """FID that falls to twelve and stays, or climbs to a hundred from the middle on."""
    x, rng = np.linspace(0, 1, 60), np.random.default_rng(60)
    fid = 12 + 150 * np.exp(-8 * x) + (np.clip(x - 0.5, 0, 1) * 180 if climbs else 0)
    losses = {f"Loss/{k}/loss": 1 + rng.normal(0, 0.1, 300) for k in "GD"}
    return _synth.make_run(
        {**losses, "Metrics/fid50k_full": _synth.make_series("Metrics/fid50k_full", fid + rng.normal(0, 0.3, 60), every=5)}
    )


def knows_nothing_later(learns: bool) -> Run:
    """Two thirds right at the first evaluation, then half of two classes (or nearly all), beside training that gets all right."""
    rng = np.random.default_rng(62)
    right = np.concatenate(([0.67], np.full(11, 0.95 if learns else 0.49))) + rng.normal(0, 0.008, 12)
    loss = np.concatenate(([0.67], (0.19 if learns else 1.5) + rng.normal(0, 0.02 if learns else 0.25, 11)))
    return _synth.make_run(
        {
            "train/loss": 0.15 + 0.55 * np.exp(-np.arange(120) / 15) + rng.normal(0, 0.03, 120),
            "train/acc": 0.96 - 0.46 * np.exp(-np.arange(120) / 15) + rng.normal(0, 0.01, 120),
            "val/loss": _synth.make_series("val/loss", loss, np.arange(9, 120, 10)),
            "val/acc": _synth.make_series("val/acc", right, np.arange(9, 120, 10)),
        }
    )
