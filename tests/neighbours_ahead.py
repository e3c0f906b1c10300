"""Neighbouring runs: validation far below training, and why: a term, another scale, wrong labels, a log that ends, mosaic."""

from __future__ import annotations

from math import log

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

decay = _synth.decay


def noise(n: int, sd: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, n)


def _rare(tag: str, values: np.ndarray, every: int = 10) -> object:
    return _synth.make_series(tag, values, every=every)


def with_term(tag: str, *, val: float = 0.4, weight: float = 0.5, whole: bool = True, twin: bool = False) -> Run:
    """Training minimises its task (0.35 at the end) and a second term of about 0.65; `val` is where validation's loss ends.

    whole: the first term is logged, too, so that both make up the loss; twin: the second term is logged for validation.
    """
    task, term = decay(200, 1.2, 0.35, 8.0) + noise(200, 0.02, 1), 0.65 - decay(200, 0.1, 0.0, 5.0) + noise(200, 0.01, 2)
    made = {"train/loss": task + weight * term, tag: term} | ({"train/task_loss": task} if whole else {})
    rare = {"val/loss": decay(20, 1.0, val, 8.0) + noise(20, 0.005, 3)}
    if twin:
        rare[tag.replace("train", "val")] = np.full(20, 0.65) + noise(20, 0.01, 4)
    return _synth.make_run(made | {k: _rare(k, v) for k, v in rare.items()})


def times_validation(times: float, wavers: float = 0.0, grows: float = 1.0) -> Run:
    """Training is `times` validation from the first evaluation on; that factor wavers by such a share, and grows as many times."""
    falls = decay(20, 2.0, 0.4, 4.0)
    factor = times * np.exp(wavers * np.sin(np.arange(200) / 4) + log(grows) * np.linspace(0, 1, 200))
    train = np.repeat(falls, 10) * factor * (1 + noise(200, 0.02, 5))
    return _synth.make_run({"train/loss": train, "val/loss": _rare("val/loss", falls * (1 + noise(20, 0.05, 6)))})


def logged_until(end: int) -> Run:
    """Training and validation fall together from 1.0 to 0.2 by 40 epochs; the log of training ends at epoch `end`."""
    falls = decay(40, 1.0, 0.2, 6.0)
    return _synth.make_run({"train/loss": (falls + noise(40, 0.004, 7))[:end], "val/loss": falls - 0.01 + noise(40, 0.004, 8)})


def noisy_labels(right: float = 0.9, *, level: float = 1.0, val: float = 0.99) -> Run:
    """Ten classes; training stands at an accuracy and at `level` times the entropy of labels of which the rest is drawn at random."""
    entropy = -(right * log(right) + (1 - right) * log((1 - right) / 9))
    train = {
        "train/loss": decay(400, 2.303, level * entropy, 25.0) + noise(400, 0.04, 9),
        "train/acc": right - decay(400, right - 0.1, 0.0, 25.0) + noise(400, 0.02, 10),
    }
    rare = {"val/loss": decay(20, 0.4, 0.15, 6.0) + noise(20, 0.004, 11), "val/acc": val - decay(20, 0.05, 0.0, 6.0) + noise(20, 0.001, 12)}
    return _synth.make_run(train | {k: _rare(k, v, 20) for k, v in rare.items()})


def boxes() -> Run:
    """YOLOv5: parts of the loss by epoch, those of training twice those of validation."""
    parts = {"box_loss": 0.05, "obj_loss": 0.03, "cls_loss": 0.04}
    made = {}
    for i, (tag, level) in enumerate(parts.items()):
        falls = decay(50, level, 0.4 * level, 8.0)
        made[f"train/{tag}"] = falls + noise(50, 1e-4, 20 + i)
        made[f"val/{tag}"] = decay(50, 0.43 * level, 0.24 * level, 8.0) + noise(50, 1e-4, 30 + i)
    return _synth.make_run(
        made
        | {
            "x/lr0": np.linspace(0.01, 1e-4, 50),
            "metrics/mAP_0.5": 0.98 - decay(50, 0.7, 0.0, 8.0),
            "metrics/recall": np.linspace(0.7, 0.97, 50),
        }
    )
