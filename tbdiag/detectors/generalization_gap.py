"""Validation stays far from training from early on, although training gets good and validation does not get worse.

What it means
    What the model learns on the training data hardly carries over: validation stalls at a poor level, without the rise of
    overfitting.

Why it matters
    More training cannot help; either the splits differ (data, labels, preprocessing, evaluation mode) or the model is far too free.

How it is told
    Training becomes good (its loss falls below 30 % of its start, or of the loss of guessing, or below half of validation's
    start, at its end, while validation keeps three quarters of that, or below 65 % while it keeps 90 %), validation does not
    rise by a quarter of its best beyond noise, and over the second half of the run validation stays more than half as high again as training, by more than 6 noise standard
    deviations (or with no single evaluation half-way down to training) and by more than 15 % of the starting loss, without
    the gap closing, and, where losses alone tell and validation is less than four times as high, without validation still
    improving (5 % of its level in the second half, beyond its noise or by falling throughout). Or, whatever is left to learn, a gap that opened is
    more than 45 % of all that training gained (a fifth of its start at least), validation stands in its second half, and a bounded metric of
    it is less than three quarters of the way to perfect. Where losses go below zero, by more than 40 % of all that training
    gained, in a gap that opened meanwhile; but not where training alone goes there and validation moves by less than a hundredth of what
    training does, which is another measure. Where a bounded metric tells validation from training, their difference must be
    more than 0.08; a validation metric within a tenth of perfect keeps this silent. Without losses the same bounded metric
    must be nearly perfect in training and a fifth of its scale behind in validation. Six points of both are needed, of
    validation four where all of them are at guessing while training is half-way from there to perfect, of training four where a
    bounded metric of it is nearly perfect and that of ten evaluations is a quarter of the scale behind.

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
    Evidence,
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
from tbdiag.detectors._gap_words import name_gap, tell_course
from tbdiag.detectors._lagging import lag_behind
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import Level, guessing, is_determination, loss_left, metric_level, stays_at_guessing
from tbdiag.features.pairs import Pair, pair_up
from tbdiag.model import Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Distance of validation from training over the second half of the run."""
    train, val = view.curve("train_loss"), view.curve("val_loss")
    by_loss = train is not None and val is not None
    if not by_loss:
        train, val = view.curve("train_metric"), view.curve("val_metric")
    if train is None or val is None:
        return NotApplicable("no loss or metric of both splits", ("train_loss", "val_loss"))
    # Of few points the course is not known; that every one of four is at guessing is.
    random = by_loss and stays_at_guessing(val, view.features)
    seldom = 6 if not by_loss or val.n < 10 or not _plainly_apart(view) else 4
    if train.n < seldom or val.n < (view["fewest_at_guessing"] if random else 6):
        return NotApplicable("fewer than six points")
    signed = by_loss and (train.signed or val.signed)
    pair = pair_up(train, val)
    gap = pair.tail_gap()
    # A plain rise is overfitting, where the gap is a consequence; unless validation was at chance from the start: nothing to lose there.
    if gap <= 0 or (val.rise > view["rise"] * abs(val.best) and val.beyond_noise(val.rise, 4) and not random):
        return None
    mean = random and _only_the_mean(view)
    margins = (
        [2.0]
        if mean
        else _signed_margins(view, pair, gap)
        if signed
        else _margins(view, pair, gap)
        if by_loss
        else _metric_margins(view, pair, gap)
    )
    if min(margins) < 1 and by_loss and not signed:
        margins = lag_behind(view, pair)
    if min(margins) < 1:
        return None
    both = view.curve("val_metric") is not None and view.curve("train_metric") is not None
    if by_loss and not random and not both and pair.tail_val() < 4 * pair.tail_train() and _still_generalises(val):
        return None
    # Beyond the noise, or no single evaluation of the second half gets half-way down to training.
    closest = float(pair.gap[pair.gap.size // 2 :].min())
    margins.append(max(gap / (view["sigmas"] * val.sigma) if val.sigma > 0 else 16.0, closest / (view["closest"] * gap)))
    if margins[-1] < 1:
        return None
    level_train, level_val = train.sign * pair.tail_train(), val.sign * pair.tail_val()
    left = loss_left(train, view.features, level_train) if by_loss else None
    never = not random and val.best_index <= max(1, val.n // 20) and val.best_cost > 0.9 * train.start_cost and by_loss and not signed
    metric, train_metric = view.curve("val_metric"), view.curve("train_metric")
    level = metric_level(metric, view.features) if metric is not None else None
    # What guessing scores is known of few runs, and a number of classes that only a first loss suggests is no ground to call it that.
    guess = level is not None and metric is not None and (bool(level.chance) or is_determination(metric))
    guess = guess and not guessing(view.features).why.startswith(("the first train loss", "the first val loss"))
    course, numbers = tell_course(
        val, level.quality(metric.best) if guess and level is not None and metric is not None else None, random, never
    )
    text = f"Over the second half of the run the {label(train)} was {{train:.4g}} and the {label(val)} {{val:.4g}}"
    evidence = [say(text + course, (train, val), train=level_train, val=level_val, **numbers)]
    supports = 0
    if by_loss and level is not None and metric is not None:
        apart = _metrics_apart(view, level, metric, train_metric)
        if apart is None:
            return None
        evidence, supports = evidence + apart, len(apart)
    elif by_loss and left is None and not signed and val.end < 0.3 * val.first:
        # Validation itself became good by the only measure there is.
        return None
    closing = find_trend(pair.gap[pair.gap.size // 2 :])
    if closing.falling and -closing.change > 0.3 * gap:
        return None
    begin = _since(pair.gap, 0.5 * gap)
    # An evaluation that normalises otherwise and a split of other data are both bad from the first evaluation on.
    bad = "validation is bad from the start" if random or never else ""
    return Finding(
        id="generalization-gap",
        severity=Severity.WARNING,
        confidence=confidence(*margins, supports=supports, doubts=int(level is None) + int(signed)),
        title=name_gap(level_train, level_val, val, random=random, guess=guess, never=never),
        onset=Interval(int(val.trace.last_step[max(begin - 1, 0)]), int(val.trace.last_step[begin])),
        extent=Interval(int(val.trace.last_step[begin]), int(val.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("Training and validation are preprocessed or evaluated differently (evaluation mode, normalisation)", bad),
            Cause("The splits differ: by group, by time, or in their labels", bad),
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
            all=(
                predicate(
                    val.signal.key,
                    "best",
                    "<" if val.sign > 0 else ">",
                    val.best,
                    sd_times=-2.0 * val.sign,
                    source=f"best({val.signal.key}) of this run",
                ),
            ),
            sentence=f"The best {label(val)} is better than {val.best:.4g} by more than 2 sd of its noise.",
        ),
        phase=CURVES,
        roles=(train.signal.key, val.signal.key),
    )


def _plainly_apart(view: View) -> bool:
    """Whether the same bounded metric is nearly perfect in training and a quarter of its scale behind in validation."""
    train, val = view.curve("train_metric"), view.curve("val_metric")
    if train is None or val is None or train.signal.stem != val.signal.stem or train.n < 4:
        return False
    level, other = metric_level(train, view.features), metric_level(val, view.features)
    if level is None or other is None or level.quality(train.end) < 0.85:
        return False
    return level.quality(train.end) - other.quality(val.end) > view["plainly_apart"]


def _metrics_apart(view: View, level: Level, metric: CurveFacts, train_metric: CurveFacts | None) -> list[Evidence] | None:
    """What the metrics of both splits say beside the losses; None where validation's is good, or as good as training's."""
    if level.quality(metric.end) > 0.9:
        return None
    if train_metric is None or train_metric.signal.stem != metric.signal.stem:
        return []
    if (train_metric.end - metric.end) / (level.best - level.chance) < view["metric_gap"]:
        return None
    text = f"The {label(train_metric)} ended at {{train:.4g}}, the {label(metric)} at {{val:.4g}}."
    return [say(text, (train_metric, metric), train=train_metric.end, val=metric.end)]


def _margins(view: View, pair: Pair, gap: float) -> list[float]:
    """Losses: training must be good, and validation half as high again, by a good part of what there was to learn."""
    train, val, level = pair.train, pair.val, pair.tail_train()
    left = loss_left(train, view.features, level)
    rest = min(level / train.first if train.first > 0 else 1.0, left if left is not None else 1.0)
    # Validation that hardly left its start while training more than halved it is apart whatever training still has to learn.
    kept, trained = val.end_cost / max(val.first_cost, 1e-12), min(level, train.end_cost) / max(val.first_cost, 1e-12)
    stuck = (kept > 0.75 and trained < 0.5) or (kept > 0.9 and trained < 0.65)
    # The median of single batches says little where they scatter as far as validation lies: its mean may be as high.
    stuck = stuck and float(np.quantile(train.cost[train.n // 2 :], 0.9)) < val.end_cost
    if (rest >= view["good"] and not stuck) or level <= 0:
        return [0.0]
    # A constant factor from the first evaluation on is another reduction of the loss, not a gap.
    ratio = pair.val.trace.cost / np.maximum(pair.train_at, 1e-12)
    grew = median(ratio[ratio.size // 2 :]) > float(ratio[: 3 if ratio.size >= 10 else 1].min()) / 0.7
    return [gap / (view["ratio"] * level), gap / (view["of_first"] * max(val.first_cost, train.first_cost)), 16.0 if grew else 0.0]


def _only_the_mean(view: View) -> bool:
    """Whether the validation metric is a coefficient of determination: never above 0, it says so without a scale of the loss."""
    metric = view.curve("val_metric")
    return metric is not None and is_determination(metric)


def _still_generalises(val: CurveFacts) -> bool:
    """Whether validation is at its best at the end and its second half brought 5 % of its level, beyond its noise or by falling throughout."""
    cost = val.trace.cost
    half, end = median(cost[val.trace.within(0.45, 0.55)] if val.trace.n >= 10 else cost[val.trace.n // 2 :][:1]), val.end_cost
    late = val.best_index >= 0.85 * (val.n - 1)
    falls = find_trend(cost[cost.size // 2 :]).falling
    return bool(late and half - end > 0.05 * abs(end) and (falls or val.trace.beyond_noise(half - end, 4)))


def _signed_margins(view: View, pair: Pair, gap: float) -> list[float]:
    """Without a zero the only scale is what training gained, and the gap must have opened while it did."""
    gain = pair.train.start_cost - pair.tail_train()
    opened = gap > float(pair.gap[0]) / 0.7 and not pair.differs_in_kind(view["unit"])
    return [gap / (view["of_gain"] * gain)] if opened and gain > max(6 * pair.train.sigma, 0.0) else [0.0]


def _metric_margins(view: View, pair: Pair, gap: float) -> list[float]:
    """The same bounded metric of both splits, without losses: training nearly perfect, validation a fifth of the scale behind."""
    level, other = metric_level(pair.train, view.features), metric_level(pair.val, view.features)
    same = pair.train.signal.stem == pair.val.signal.stem and level is not None and other is not None and level.best == other.best
    if not same or level is None or level.quality(pair.train.sign * pair.tail_train()) < 0.85:
        return [0.0]
    return [gap / (view["metric_only"] * abs(level.best - level.chance))]


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


def _signed() -> Run:
    rng = np.random.default_rng(74)
    train = _synth.decay(40, 0.2, -1.1, 5.0) + rng.normal(0, 0.02, 40)
    return _synth.make_run({"train/loss": train, "val/loss": _synth.decay(40, 0.1, -0.2, 8.0) + rng.normal(0, 0.02, 40)})


def _two_measures() -> Run:
    """An evidence bound that is trained on, a mean squared error of the reconstructions in validation."""
    rng = np.random.default_rng(76)
    train = _synth.decay(60, 700.0, -930.0, 6.0) + rng.normal(0, 20, 60)
    return _synth.make_run({"train/loss": train, "val/loss": _synth.decay(60, 0.02, 0.0065, 12.0) + rng.normal(0, 1e-4, 60)})


def _lagging(behind: float) -> Run:
    """Twelve epochs of a task that training has half solved, validation `behind` and standing."""
    rng = np.random.default_rng(75)
    train = 1.7 + 1.1 * np.exp(-np.arange(12) / 4)
    val = np.maximum(train, 1.75 + behind)
    return _synth.make_run(
        {
            "train/loss": train + rng.normal(0, 0.005, 12),
            "val/loss": val + rng.normal(0, 0.01, 12),
            "train/accuracy": 0.5 - _synth.decay(12, 0.3, 0.0, 4.0),
            "val/accuracy": (0.33 if behind > 0.2 else 0.48) - _synth.decay(12, 0.15, 0.0, 4.0),
        }
    )


def _four_evaluations(found: float) -> Run:
    """Ten classes, 80 points of training, four evaluations of validation that begin at guessing; `found`: what they get to."""
    rng = np.random.default_rng(76)
    train, right = _synth.decay(80, 2.3, 0.9, 3.0), 0.7 - _synth.decay(80, 0.58, 0.0, 3.0)
    at = np.arange(1, 5) * 20
    accuracy = np.array([0.12, 0.125, 0.116, 0.13]) + found * np.arange(4) / 3
    return _synth.make_run(
        {
            "train_loss": train + rng.normal(0, 0.05, 80),
            "train_accuracy": right + rng.normal(0, 0.02, 80),
            "val_loss": _synth.make_series("val_loss", [2.30, 2.48, 2.58, 2.54] - found * np.arange(4) / 1.5, step=at),
            "val_accuracy": _synth.make_series("val_accuracy", accuracy, step=at),
        }
    )


EXAMPLES = (
    Example("four evaluations, all at guessing", lambda: _four_evaluations(0.0), fires=True),
    Example("four evaluations, the first at guessing", lambda: _four_evaluations(0.4), fires=False),
    Example("validation stands while training half solves the task", lambda: _lagging(0.6), fires=True),
    Example("validation a little behind", lambda: _lagging(0.1), fires=False),
    Example("validation stalls at 0.8", lambda: _apart(30, 0.8, 71), fires=True),
    Example("the same with 500 points", lambda: _apart(500, 0.9, 72), fires=True),
    Example("a log likelihood that validation does not follow", _signed, fires=True),
    Example("a likelihood in training, a squared error in validation", _two_measures, fires=False),
    Example("both good", lambda: _apart(30, 0.12, 73), fires=False),
)

DETECTOR = Detector(
    id="generalization-gap",
    title="Generalisation gap",
    summary="Validation stays far from training although training gets good and validation does not get worse.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "train_metric"), ("val_loss", "val_metric")),
    wants=("train_loss", "val_loss", "val_metric", "train_metric"),
    domains=SUPERVISED,
    thresholds={
        "good": Threshold(0.3, "training has learned most of what there is"),
        "ratio": Threshold(0.5, "validation half as high again as training"),
        "of_gain": Threshold(0.4, "validation misses nearly half of what training gained; a healthy gap makes a tenth or two"),
        "unit": Threshold(0.01, "of what the loss below zero moved: the other, never below it, moves less where it is another measure"),
        "rise": Threshold(
            0.25, "validation that rises by more is overfitting or divergence; where that is told the gap is its consequence"
        ),
        "sigmas": Threshold(6.0, "noise standard deviations of validation"),
        "closest": Threshold(0.5, "of the gap, in place of that: no evaluation of the second half gets half-way down to training"),
        "of_first": Threshold(0.15, "of the starting loss: a gap between two tiny losses does not matter"),
        "lag": Threshold(0.45, "of all that training gained; healthy trainings whose metric is not nearly perfect end at 0.3 of it"),
        "lag_good": Threshold(0.75, "of the way from guessing to perfect; a task that validation solves so far is learned"),
        "lag_gain": Threshold(0.18, "of its start training must have gained: shares of a smaller gain are noise"),
        "lag_opened": Threshold(1.5, "times the first gap; one that was there from the start is another definition of the loss"),
        "lag_falls": Threshold(0.1, "of the gain; validation that made more over its second half is behind only for now"),
        "lag_matters": Threshold(0.1, "of the starting loss: a smaller gap does not matter"),
        "metric_only": Threshold(0.2, "of the way from guessing to perfect: without losses the gap must be plain"),
        "fewest_at_guessing": Threshold(
            4.0, "evaluations, all at guessing; of 14 healthy runs with four to six the lowest one is 0.38 of the way from there to perfect"
        ),
        "plainly_apart": Threshold(
            0.25, "of the way from guessing to perfect, where training was logged four or five times; healthy runs end within 0.14"
        ),
        "metric_gap": Threshold(0.08, "eight points of a hundred"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("over-confidence",),
)
