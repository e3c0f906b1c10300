"""The loss does not fit the output, the labels or the metric.

What it means
    The loss expects something else than it gets: softmax or sigmoid is applied twice, the labels are encoded differently, or the loss is
    not connected to what the metric measures.

Why it matters
    Gradients are squashed, the loss has a floor that no model gets below, probabilities mean nothing; or what is measured is not learned.

How it is told
    Softmax twice: with K classes the loss can never fall below ln(e + K - 1) - 1, and with accuracy a it ends at ln(e + K - 1)
    - a (at what the logged mean confidence makes of it, where it is logged); training or validation ends within 4 % of that, with an accuracy of more than one half (and five times chance), while a
    loss of that size would go with far less, and it came from ln K or follows the accuracy to a hundredth in both splits; and no loss was
    ever larger than ln(e + K - 1), which a sample costs whose wrong answer has all of the probability. Where
    the number of classes is unknown, loss plus accuracy must imply the same whole number in both splits (or in one, with a
    first loss of its logarithm). Sigmoid twice: for two classes (or labels that are each yes or no) the loss begins between
    0.72 and 0.93, above ln 2, where twice squashed outputs begin, and ends between the floor that follows from its beginning
    and a quarter above it, flat, without getting below 0.5. Summed: the loss begins at three times ln K or more and stays that multiple of
    what its accuracy costs at most (or at eight times and stays above that, whatever multiple it is: no loss that is minimised does).
    A cross-entropy, by its name, that ends below zero. A loss that stays within 1.5 % of ln K, without falling, while the accuracy of the
    same split gets half of the way to perfect. A training loss that begins at six times ln K or more and is one multiple (eight or more)
    of a validation loss that begins near ln K, while both fall. Only as a note: a first training loss of three times ln K or more, two
    losses that stand at the floor of a double softmax where no metric was logged, and a squared error in a classifier.
    Metric against loss: the training loss falls by more than half of its range while the metric of the same split moves the wrong way by
    more than 6 noise standard deviations and a tenth of its scale; or the losses fall by two fifths while the metric of validation stays within 2 %
    of its worst value (an accuracy of a constant below one half, where chance is not known) in six evaluations and more; where a part of the
    validation loss is exactly zero throughout besides, that of training never, the evaluation has no labels.

First check
    What does the model put out (logits or probabilities), what does the loss expect, and in which form are the labels?

First action
    Pass raw logits to the loss: remove the softmax or sigmoid in the head (or set from_logits), and check that the first loss is ln K.

Success rule
    The training loss falls below nine tenths of the floor.

Not to be confused with
    label smoothing and label noise (floors too, but other ones), underfitting, over-confidence (validation loss against
    validation metric).

Limits
    Needs the number of classes, or a first point that shows it. Class weights, focal losses and regularisation terms shift all
    floors.

Sources
    Derivation: softmax of a one-hot vector has log-sum-exp ln(e + K - 1). Karpathy's recipe: the first loss must be ln K.
"""

from __future__ import annotations

from math import e, log

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._at_odds import (
    Odds,
    below_zero,
    first_above,
    goes_the_wrong_way,
    squares,
    stands_at_floor,
    stands_at_guessing,
)
from tbdiag.detectors._base import (
    MODEL,
    SUPERVISED,
    Detector,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
)
from tbdiag.detectors._dead_metric import dead_metric
from tbdiag.detectors._sigmoid_twice import sigmoid_twice
from tbdiag.detectors._summed import find_summed, other_reduction
from tbdiag.detectors._twice import softmax_twice
from tbdiag.model import Run


def detect(view: View) -> Finding | NotApplicable | None:
    """Compare floors, then the directions of loss and metric."""
    losses = [(s, c) for s in ("train", "val") if (c := view.curve(f"{s}_loss")) is not None and c.n >= 4]
    if not losses:
        return NotApplicable("no loss with four points", ("train_loss",))
    for split, loss in losses:
        if found := find_summed(view, loss, split) or softmax_twice(view, loss, split):
            return _finding(found)
    for split, loss in losses:
        if found := below_zero(view, loss) or stands_at_guessing(view, loss, split):
            return _finding(found)
    train, val = view.curve("train_loss"), view.curve("val_loss")
    found = sigmoid_twice(view, train, val) if train is not None and train.n >= 8 else None
    found = found or goes_the_wrong_way(view) or other_reduction(view) or dead_metric(view)
    found = found or first_above(view) or stands_at_floor(view) or squares(view)
    return _finding(found) if found else None


def _finding(found: Odds) -> Finding:
    loss = found.loss
    return Finding(
        id="loss-mismatch",
        severity=found.severity,
        confidence=found.sure,
        title=found.title,
        onset=Interval(int(loss.step[0]), int(loss.trace.last_step[min(1, loss.trace.n - 1)])),
        extent=Interval(int(loss.step[0]), int(loss.step[-1])),
        evidence=found.evidence,
        causes=found.causes,
        first_check=found.check,
        first_action=found.action,
        fixes=(
            "Use the combined loss that takes logits",
            "Check the label format: indices, one-hot, or independent labels",
            "Run the tiny overfit test again",
        ),
        success_rule=SuccessRule(all=(found.rule,), sentence=found.sentence),
        phase=MODEL,
        roles=(loss.signal.key,),
    )


def _softmax_run(first: float = 2.30) -> Run:
    rng = np.random.default_rng(171)
    n = 25
    accuracy = 0.975 - _synth.decay(n, 0.87, 0.0, 6.0)
    loss = log(e + 9) - accuracy + rng.normal(0, 0.004, n)
    loss[0] = first
    return _synth.make_run({"train/loss": loss, "val/loss": loss + 0.01, "val/accuracy": accuracy, "train/accuracy": accuracy})


def _softmax_of_a_hundred() -> Run:
    """Nothing tells the number of classes, and what loss and accuracy imply is a hair above a hundred."""
    n = 30
    accuracy = 0.72 * (1 - np.exp(-np.arange(1, n + 1) / 6)) + 0.01
    series: dict[str, np.ndarray] = {}
    for split, right in (("train", 1.05 * accuracy), ("val", accuracy)):
        series |= {f"{split}/loss": log(e + 99) - right + 1e-4, f"{split}/accuracy": right}
    return _synth.make_run(series)


def _metric_astray() -> Run:
    rng = np.random.default_rng(172)
    n = 60
    accuracy = 0.6 - np.linspace(0, 0.45, n) + rng.normal(0, 0.004, n)
    return _synth.make_run({"train/loss": _synth.decay(n, 2.0, 0.2) + rng.normal(0, 0.01, n), "train/accuracy": accuracy})


def _usual() -> Run:
    rng = np.random.default_rng(173)
    n = 25
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.30, 0.15, 6.0) + rng.normal(0, 0.01, n),
            "val/loss": _synth.decay(n, 2.30, 0.2, 6.0) + rng.normal(0, 0.01, n),
            "val/accuracy": 0.95 - _synth.decay(n, 0.85, 0.0, 6.0),
        }
    )


def _smoothed() -> Run:
    rng = np.random.default_rng(174)
    n = 40
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.30, 0.55, 6.0) + rng.normal(0, 0.01, n),
            "val/loss": _synth.decay(n, 2.30, 0.6, 6.0) + rng.normal(0, 0.01, n),
            "val/accuracy": 0.96 - _synth.decay(n, 0.86, 0.0, 6.0),
        }
    )


def _summed() -> Run:
    rng = np.random.default_rng(177)
    accuracy = 0.9 - _synth.decay(30, 0.65, 0.0, 4.0)
    error = 1 - accuracy
    cost = 0.9 * (-error * np.log(error) - accuracy * np.log(accuracy) + error * log(4))
    series = {"train/loss": 64 * cost * (1 + rng.normal(0, 0.01, 30)), "train/accuracy": accuracy}
    return _synth.make_run(series | {f"val/recall/{c}": accuracy for c in range(5)})


def _no_labels(best: float) -> Run:
    """A detector of which the evaluation's box loss is zero throughout, and a mean average precision that rises to `best`."""
    fall = _synth.decay(40, 0.1, 0.03, 5.0)
    series = {"train/box_loss": fall, "train/obj_loss": fall, "val/box_loss": 0 * fall, "val/obj_loss": 0.1 * fall}
    return _synth.make_run({**series, "metrics/mAP": best * (1 - np.exp(-np.arange(40) / 8))})


EXAMPLES = (
    Example("summed over a batch of 64", _summed, fires=True),
    Example("softmax twice, ten classes", _softmax_run, fires=True),
    Example("a loss that began above what softmax applied twice can cost", lambda: _softmax_run(3.5), fires=False),
    Example("softmax twice, a hundred classes that nothing names", _softmax_of_a_hundred, fires=True),
    Example("the metric goes the wrong way", _metric_astray, fires=True),
    Example("a detector's evaluation without labels", lambda: _no_labels(0.0), fires=True),
    Example("a penalty that evaluation leaves out", lambda: _no_labels(0.6), fires=False),
    Example("usual classifier", _usual, fires=False),
    Example("label smoothing", _smoothed, fires=False),
)

DETECTOR = Detector(
    id="loss-mismatch",
    title="Loss and output do not match",
    summary="The loss does not fit the output, the labels or the metric.",
    severity=Severity.WARNING,
    phase=MODEL,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "val_loss"),),
    wants=(
        "train_metric",
        "val_metric",
        "train_accuracy",
        "val_accuracy",
        "val_confidence",
        "confidence",
        "max_class_share",
        "class_metric",
        "loss_component",
    ),
    domains=SUPERVISED,
    thresholds={
        "floor": Threshold(0.04, "noise and a last few per cent of learning; other floors are further away"),
        "above_usual": Threshold(1.6, "times what a usual classifier with that accuracy loses: one that hovers there is no accident"),
        "summed": Threshold(
            3.0,
            "begin, middle and end exceed a mean cross-entropy by one factor; sums are over eight samples and more, views or heads may be three",
        ),
        "reduction": Threshold(
            8.0, "training over validation, begin, middle and end; sums are over eight samples and more, views or heads may be three"
        ),
        "both_fall": Threshold(1.3, "by that factor validation falls, so that one ratio throughout says something"),
        "below_zero": Threshold(0.05, "of its range: float16 and label smoothing of some libraries leave less below zero"),
        "at_guessing": Threshold(0.015, "distance to ln K throughout; classifiers that are right and unsure came within 0.027"),
        "sigmoid": Threshold(1.25, "times the floor that the first loss shows: the share of positives in one batch is uncertain"),
        "summed_unknown": Threshold(
            5.0, "times `summed` where most answers are wrong and K is unknown: 50,000 classes cost 1.6 times what 1000 do"
        ),
        "against": Threshold(0.1, "of its scale, by which a metric moves the wrong way while its loss falls"),
        "against_fall": Threshold(0.5, "of its start, by which that loss falls"),
        "dead_fall": Threshold(0.4, "of their start, by which the losses fall beside a metric that never leaves its worst value"),
        "one_answer": Threshold(0.95, "of the predictions, or recall of the only class that is found: prediction-collapse names that"),
        "dead": Threshold(0.02, "of the way from its worst value to perfect, in every evaluation"),
        "far_above": Threshold(0.5, "of the way from guessing to perfect: the answers cannot cost as much as guesses"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("underfitting", "plateau", "low-confidence"),
)
