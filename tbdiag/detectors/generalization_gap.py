"""Validation stays far from training from early on, although training gets good and validation does not get worse.

What it means
    What the model learns on the training data hardly carries over: validation stalls at a poor level, without the rise of
    overfitting.

Why it matters
    More training cannot help; either the splits differ (data, labels, preprocessing, evaluation mode) or the model is far too free.

How it is told
    Training becomes good (its loss falls below 30 % of its start, or of the loss of guessing), validation does not rise, and
    over the second half of the run validation stays more than half as high again as training, by more than 6 noise standard
    deviations and by more than 15 % of the starting loss, without the gap closing. Where a bounded metric tells validation from
    training, their difference must be more than 0.08; a validation metric within a tenth of perfect keeps this silent.

First check
    Evaluate both splits with the same code path: same preprocessing, evaluation mode, no augmentation.

First action
    Evaluate the training set with the validation code and log it as train_eval/loss.

Success rule
    The validation loss of the next run is better than this run's best by more than 2 noise standard deviations.

Not to be confused with
    overfitting (validation gets worse), a loss gap with a good metric (over-confidence), different reductions of the two losses.

Limits
    Train and validation losses may be reduced differently; then the gap is a constant factor from the first point and is not
    reported.

Sources
    Jiang et al. 2019 on measures of generalisation; SageMaker's ratio of 0.1 is far too small for modern training.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    SUPERVISED,
    Cause,
    Detector,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._words import label, say
from tbdiag.features.levels import loss_left, metric_level, stays_at_guessing
from tbdiag.features.pairs import pair_up
from tbdiag.model import Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Distance of validation from training over the second half of the run."""
    train, val = view.curve("train_loss"), view.curve("val_loss")
    if train is None or val is None:
        return NotApplicable("no training or no validation loss", ("train_loss", "val_loss"))
    if min(train.n, val.n) < 6:
        return NotApplicable("fewer than six points")
    if float(min(train.value.min(), val.value.min())) < 0:
        return NotApplicable("losses that can be negative have no ratio")
    pair = pair_up(train, val)
    level_train, level_val = pair.tail_train(), pair.tail_val()
    gap = level_val - level_train
    left = loss_left(train, view.features, level_train)
    good = min(level_train / train.first if train.first > 0 else 1.0, left if left is not None else 1.0) < view["good"]
    if not good or gap <= 0 or level_train <= 0:
        return None
    # A rise is overfitting, where the gap is a consequence; unless validation was at chance from the start: nothing to lose there.
    random = stays_at_guessing(val, view.features)
    if val.rise > 0.05 * val.best and val.beyond_noise(val.rise, 4) and not random:
        return None
    if gap < view["ratio"] * level_train:
        return None
    margins = [
        gap / (view["ratio"] * level_train),
        gap / (6 * val.sigma) if val.sigma > 0 else 16.0,
        gap / (view["of_first"] * max(val.start_cost, train.start_cost)),
    ]
    # A constant factor from the first evaluation on is another reduction of the loss, not a gap.
    ratio = pair.val.trace.cost / np.maximum(pair.train_at, 1e-12)
    if min(margins) < 1 or ratio[0] > 0.7 * median(ratio[ratio.size // 2 :]):
        return None
    metric, train_metric = view.curve("val_metric"), view.curve("train_metric")
    level = metric_level(metric, view.features) if metric is not None else None
    supports = 0
    evidence = [
        say(
            f"Over the second half of the run the {label(train)} was {{train:.4g}} and the {label(val)} {{val:.4g}}"
            + (", and validation was never better than guessing." if random else ", without rising."),
            (train, val),
            train=level_train,
            val=level_val,
        )
    ]
    if level is not None and metric is not None:
        quality = level.quality(metric.end)
        if quality > 0.9:
            return None
        same = train_metric is not None and train_metric.signal.stem == metric.signal.stem
        if same and train_metric is not None:
            apart = (train_metric.end - metric.end) / (level.best - level.chance)
            if apart < view["metric_gap"]:
                return None
            supports += 1
            evidence.append(
                say(
                    f"The {label(train_metric)} ended at {{train:.4g}}, the {label(metric)} at {{val:.4g}}.",
                    (train_metric, metric),
                    train=train_metric.end,
                    val=metric.end,
                )
            )
    elif left is None and val.end < 0.3 * val.first:
        # Validation itself became good by the only measure there is.
        return None
    closing = find_trend(pair.gap[pair.gap.size // 2 :])
    if closing.falling and -closing.change > 0.3 * gap:
        return None
    begin = _since(pair.gap, 0.5 * gap)
    return Finding(
        id="generalization-gap",
        severity=Severity.WARNING,
        confidence=confidence(*margins, supports=supports, doubts=int(level is None)),
        title=f"Validation is at chance from the start ({level_val:.4g}) while training reaches {level_train:.4g}"
        if random
        else f"Generalisation gap: validation stays at {level_val:.4g} while training reaches {level_train:.4g}",
        onset=Interval(int(val.trace.last_step[max(begin - 1, 0)]), int(val.trace.last_step[begin])),
        extent=Interval(int(val.trace.last_step[begin]), int(val.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("Training and validation are preprocessed or evaluated differently (evaluation mode, normalisation)"),
            Cause("The splits differ: by group, by time, or in their labels", "validation is random from the start" if random else ""),
            Cause("Far more capacity than the amount of data supports"),
        ),
        first_check="Evaluate both splits with the same code path: same preprocessing, evaluation mode, no augmentation.",
        first_action="Evaluate the training set with the validation code and log it as train_eval/loss.",
        fixes=(
            "Verify split integrity and align preprocessing",
            "Track metrics per class: is validation bad only for some?",
            "Regularise: weight decay, dropout, augmentation, a smaller model",
            "Increase effective data",
        ),
        success_rule=SuccessRule(
            all=(predicate("val_loss", "best", "<", val.best, sd_times=-2.0, source="best(val_loss) of this run"),),
            sentence=f"The best validation loss is below {val.best:.4g} by more than 2 sd of its noise.",
        ),
        phase=CURVES,
        roles=("train_loss", "val_loss"),
    )


def _since(gap: Float64, threshold: float) -> int:
    """First block from which on the gap stays above a threshold."""
    below = np.flatnonzero(gap < threshold)
    return min(int(below[-1]) + 1, gap.size - 1) if below.size else 0


def _apart(n: int, floor: float, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 1.4, 0.08, 5.0) + rng.normal(0, 0.005, n),
            "val/loss": _synth.decay(n, 1.4, floor, 5.0) + rng.normal(0, 0.01, n),
            "train/accuracy": 0.99 - _synth.decay(n, 0.7, 0.0, 5.0),
            "val/accuracy": (0.99 if floor < 0.2 else 0.7) - _synth.decay(n, 0.4, 0.0, 5.0) + rng.normal(0, 0.004, n),
        }
    )


def _gap() -> Run:
    return _apart(30, 0.8, 71)


def _gap_long() -> Run:
    return _apart(500, 0.9, 72)


def _close() -> Run:
    return _apart(30, 0.12, 73)


EXAMPLES = (
    Example("validation stalls at 0.8", _gap, fires=True),
    Example("the same with 500 points", _gap_long, fires=True),
    Example("both good", _close, fires=False),
)

DETECTOR = Detector(
    id="generalization-gap",
    title="Generalisation gap",
    summary="Validation stays far from training although training gets good and validation does not get worse.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss", "val_loss"),
    wants=("val_metric", "train_metric"),
    domains=SUPERVISED,
    thresholds={
        "good": Threshold(0.3, "training has learned most of what there is"),
        "ratio": Threshold(0.5, "validation half as high again as training"),
        "of_first": Threshold(0.15, "of the starting loss: a gap between two tiny losses does not matter"),
        "metric_gap": Threshold(0.08, "eight points of a hundred"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("over-confidence",),
)
