"""Neighbouring runs: losses at odds with their classes, classes that break, paces, loss scales, layers that are sparse by design."""

from __future__ import annotations

from dataclasses import replace
from math import e, log

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run, TextSeries

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def configured(run: Run, **settings: float | str) -> Run:
    return replace(run, hparams={**run.hparams, **settings})


def _split(train: np.ndarray, val: dict[str, np.ndarray], tag: str = "train/loss") -> dict[str, object]:
    n = len(next(iter(val.values())))
    at = np.arange(1, n + 1) * (train.size // n)
    return {tag: train} | {k: _synth.make_series(k, v, at) for k, v in val.items()}


def without_accuracy(floor: float = 0.0) -> Run:
    """Ten classes and no metric; both losses stand `floor` above that of softmax applied twice."""
    falls = decay(30, 2.30, log(e + 9) - 1 + floor, 5.0)
    made = {"loss/train": falls + 0.01 + noise(30, 0.002, 1), "loss/val": falls + 0.03 + noise(30, 0.002, 2)}
    return configured(_synth.make_run(made), num_classes=10)


def training_is_a_sum(times: float) -> Run:
    """Training and validation fall alike, training `times` as high."""
    falls = 0.3 + 2.0 * np.exp(-np.arange(600) / 120)
    val = falls[29::30]
    made = _split(times * (falls + noise(600, 0.03, 3)), {"val/loss": val + 0.05, "val/accuracy": 0.92 - 0.4 * val})
    return configured(_synth.make_run(made), num_classes=10)


def begins_high(times: float) -> Run:
    """The first loss is `times` that of guessing, and soon forgotten."""
    falls = 0.3 + 2.0 * np.exp(-np.arange(500) / 80) + 2.3 * (times - 1) * np.exp(-np.arange(500) / 6)
    made = _split(falls + noise(500, 0.02, 4), {"val/accuracy": 0.92 - 0.8 * np.exp(-np.arange(10) / 2)})
    return configured(_synth.make_run(made), num_classes=10)


def goes_below_zero(tag: str) -> Run:
    falls = 1.0 - 0.2 * np.arange(30)
    return _synth.make_run({f"train/{tag}": falls + noise(30, 0.02, 5), "val/accuracy": 0.5 + noise(30, 0.01, 6)})


def stands_at_guessing(right: float, left: float = 1.0) -> Run:
    """The loss ends at `left` of ln 10 while the accuracy of the same split rises to `right`."""
    answers = right - (right - 0.1) * np.exp(-np.arange(300) / 50)
    loss = log(10) * (1 - (1 - left) * np.arange(300) / 300)
    return configured(
        _synth.make_run({"train/loss": loss + noise(300, 0.004, 7), "train/accuracy": answers + noise(300, 0.01, 8)}), num_classes=10
    )


def answers_the_majority() -> Run:
    """A weighted loss stays at ln 2, and the accuracy is the share of the larger class from the start."""
    made = {"train/loss": log(2) + noise(300, 0.002, 9), "train/accuracy": 0.9 + noise(300, 0.01, 10)}
    return configured(_synth.make_run(made), num_classes=2)


def squared_error(classes: int) -> Run:
    falls = decay(200, 0.09, 0.02, 60.0)
    made = {"train/mse_loss": falls + noise(200, 0.001, 9), "train/accuracy": 0.8 - 7 * falls * 0.9 + noise(200, 0.02, 10)}
    return configured(_synth.make_run(made), num_classes=classes)


def class_breaks(at: int | None, others: float = 1.0) -> Run:
    """Recall of five classes; that of 'd' is lost at an evaluation (None: never found), that of the others keeps the share `others`."""
    n, after = 40, np.arange(40) >= (at or 0)
    up = 1 - 0.6 * np.exp(-np.arange(n) / 4)
    made = {
        "train/loss": 2.0 * np.exp(-np.arange(n) / 8) + 0.3,
        "val/loss": 0.5 + 0.9 * np.exp(-np.arange(n) / 5),
        "val/accuracy": 0.9 * up,
    }
    for i, c in enumerate("abcde"):
        made[f"val/recall/{c}"] = 0.95 * up * np.where(after, 0.05 if c == "d" else others, 1.0) + noise(n, 0.005, 11 + i)
    return _synth.make_run(made)


def overlaps(*ends: float, metric: str = "IoU") -> Run:
    n = 30
    up = 1 - 0.6 * np.exp(-np.arange(n) / 4)
    made = {"train/loss": 2.0 * np.exp(-np.arange(n) / 8) + 0.35, "val/loss": 0.4 + 0.9 * np.exp(-np.arange(n) / 5)}
    made |= {f"val/{metric}/{['road', 'sky', 'car', 'pole', 'sign', 'bus', 'rail'][i]}": end * up for i, end in enumerate(ends)}
    return _synth.make_run(made)


def majority(accuracy: float, counts: str = "[9000, 1000]", **metrics: float) -> Run:
    """Two classes whose counts stand in the configuration as text."""
    falls = 0.35 + 0.3 * np.exp(-np.arange(40) / 3)
    made = {
        "train/loss": falls + noise(40, 0.005, 21),
        "val/loss": falls + noise(40, 0.005, 22),
        "val/accuracy": accuracy + noise(40, 5e-4, 23),
    }
    made |= {f"val/{name}": value - 0.2 * np.exp(-np.arange(40) / 3) for name, value in metrics.items()}
    run = _synth.make_run(made)
    first = run.series["train/loss"]
    text = f'{{"class_counts": {counts}, "num_classes": 2}}'
    return replace(run, texts={"config": TextSeries("config", "", first.step[:1], first.wall_time[:1], (text,))})


def paced(times: float, tag: str | None = None) -> Run:
    """Steps that take `times` as long over the last 40 %, by the clock or by a logged pace (samples per second)."""
    n = 200
    late = np.arange(n) >= 120
    falls = decay(n, 2.0, 0.3, 40.0) + noise(n, 0.02, 31)
    if tag is not None:
        pace = np.where(late, 1200 / times, 1200) * np.exp(noise(n, 0.05, 32))
        return _synth.make_run({"train/loss": falls, tag: pace})
    wait = np.where(late, 2.0 * times, 2.0) * np.exp(noise(n, 0.1, 33))
    series = _synth.make_series("train/loss", falls, every=10)
    clock = 1.7e9 + np.cumsum(wait)
    return _synth.make_run({"train/loss": replace(series, wall_time=clock)})


def loading(share: float) -> Run:
    n = 100
    takes = np.exp(noise(n, 0.05, 34))
    made = {"train/loss": decay(n, 2.0, 0.3, 20.0), "time/step": takes, "time/data": share * takes * np.exp(noise(n, 0.05, 35))}
    return _synth.make_run(made)


def frozen(still: str, end: float, *moving: str) -> Run:
    """One matrix never changes, the others do; the loss ends at `end`."""
    n = 20
    made = {"loss/train": decay(n, 2.3, end), f"weight_norm/{still}.weight": np.full(n, 1.5)}
    return _synth.make_run(made | {f"weight_norm/{name}.weight": np.linspace(3.0 + i, 3.7 + i, n) for i, name in enumerate(moving)})


def validation_ahead(**settings: float) -> Run:
    """Validation far below training, under a configuration."""
    made = _split(decay(400, 2.3, 1.1, 80.0) + noise(400, 0.05, 41), {"val/loss": decay(20, 2.25, 0.4, 4.0) + noise(20, 0.01, 42)})
    return configured(_synth.make_run(made), **settings)


def metric_that_stands(level: float, falls: bool = True, gains: bool = False) -> Run:
    """A score at one level in every evaluation, beside losses that fall or do not; or one that climbs late."""
    rng = np.random.default_rng(61)
    map50 = np.full(20, level) + (np.linspace(0, 0.3, 20) if gains else 0) + rng.normal(0, 0.001, 20)
    low = 0.3 if falls else 0.9
    return _synth.make_run(
        {
            "train/loss": _synth.decay(200, 1.0, low, 6.0) + rng.normal(0, 0.01, 200),
            "val/loss": _synth.make_series("val/loss", _synth.decay(20, 1.0, low + 0.02, 6.0), every=10),
            "val/mAP50": _synth.make_series("val/mAP50", np.clip(map50, 0, 1), every=10),
        }
    )


def score_of_nothing() -> Run:
    """A score of zero in every evaluation beside a training loss that falls and a validation loss that stays where it began."""
    low = decay(200, 1.0, 0.3, 6.0) + noise(200, 0.01, 62)
    rare = {"val/loss": np.full(20, 1.0) - 0.002 * np.arange(20), "val/mAP50": np.zeros(20)}
    return _synth.make_run({"train/loss": low, **{k: _synth.make_series(k, v, every=10) for k, v in rare.items()}})
