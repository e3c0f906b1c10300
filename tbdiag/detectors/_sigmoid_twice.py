"""Sigmoid applied twice: a floor that follows from where the loss begins."""

from __future__ import annotations

from math import log

import numpy as np

from tbdiag.detectors._at_odds import Odds
from tbdiag.detectors._base import View
from tbdiag.detectors._twice import applied_twice, end_accuracy
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import end_quality, guessing
from tbdiag.model import Mark
from tbdiag.stats.trend import find_trend


def sigmoid_twice(view: View, train: CurveFacts, val: CurveFacts | None) -> Odds | None:
    """Two classes, or independent labels: first point above ln 2, floor set by the share of positives that the first point shows."""
    guess = guessing(view.features)
    if guess.classes is not None and guess.classes != 2:
        return None
    loss = val if val is not None and val.n >= 8 else train
    end = loss.end_cost
    low, high = 0.72, 0.93
    if end <= 0.5 or float(train.value.min()) <= 0.3:
        return None
    first = train.start_cost
    known = end_accuracy(view, "val") or end_accuracy(view, "train")
    if known is not None and known[1] > 0.8:
        low = 0.69  # a first mean over an epoch; answers so good cost half of this if the loss is what it should be
    if not low < first < high or loss.sigma > 0.02 * end:
        return None
    # Twice squashed and untrained, a positive costs ln(1 + exp(-1/2)), a negative ln(1 + exp(1/2)).
    positives = (log(1 + np.exp(0.5)) - first) / 0.5
    floor = 0.6931 - (0.6931 - 0.3133) * float(np.clip(positives, 0.0, 1.0))
    flat = loss.trace.cost[loss.trace.within(0.6, 1.0)]
    still = float(flat[0] - flat[-1]) < 0.05 * max(first - end, 1e-12) + 0.01 * end
    metric = view.curve("val_metric") or view.curve("train_metric")
    quality = end_quality(metric, view.features) or 0.0
    # The first point is one batch: its share of positives, and with it the floor, is uncertain. Answers so good settle the rest.
    lowest = 0.93 * floor if quality > 0.9 else floor
    if not (lowest < end < view["sigmoid"] * floor and end > 0.5 and still and first - end > 0.05):
        return None
    if quality <= 0.9 and not (find_trend(loss.trace.cost).falling or find_trend(train.trace.cost).falling):
        return None
    # With a poor metric such a loss is what it should be; without a metric nothing says that this is a classifier.
    if quality < 0.5 and (metric is not None or guess.classes != 2):
        return None
    evidence = say(
        f"The {label(train)} begins at {{first:.4g}} instead of {{half:.4g}} and the {label(loss)} stands at {{end:.4g}}; sigmoid applied twice begins "
        "there and cannot fall below {floor:.3g}.",
        (train, loss),
        (Mark("level", "floor", None, floor),),
        first=first,
        half=log(2),
        end=end,
        floor=floor,
    )
    return applied_twice(loss, floor, evidence, 1.0, "sigmoid")
