"""Validation is much better than training, to the end.

What it means
    The validation loss lies far below the training loss and stays there. Usually training is measured differently (dropout,
    augmentation, label smoothing, noisy labels); sometimes validation is too easy or is contained in the training data.

Why it matters
    If validation is too easy or leaks, its numbers promise what will not hold, and the choice of checkpoints is worthless.

How it is told
    Over the second half of the run the training loss exceeds the validation loss by more than 30 % of the training loss, by
    more than 15 % of the loss at the beginning (of guessing, where that is known), by a quarter of what training gained and
    by 3 noise standard deviations (or at every evaluation of that half by nearly half of it), and the gap does not close. Or by more than 12 %, while the same bounded metric is ahead
    of training's by more than 9 % of its scale (in preference tuning the preference accuracy). Or by more than half of all that training gained and a seventh of
    the training loss (twice that where it goes below zero) while both losses fell (but
    not where validation alone goes below zero and training moves by less than a hundredth of it: another measure). The lag of half an epoch that a training
    average has is allowed for by comparing with training just before each evaluation. A note where the configuration holds mixup, CutMix,
    mosaic, label smoothing, a noise rate or a dropout of 0.3 and more, or where the training loss holds a term (of a domain classifier, a
    penalty) that validation lacks: they explain the gap. Without that term there may be none, and nothing is said; nor where training is ten
    times validation from the first evaluation on and stays so, as another reduction or measure does. Both are compared as far as both were
    logged. Training accuracy and loss that stand at the entropy of partly random labels, while validation knows better, speak for wrong labels.

First check
    Is training measured with dropout, augmentation or label smoothing on, and are its labels the same kind as validation's? (Where the labels
    look wrong: do 100 of them, given anew, agree with the old ones?)

First action
    Evaluate the training set once in evaluation mode without augmentation and log it as train_eval/loss.

Success rule
    The next run logs a training loss in evaluation mode that is no higher than the validation loss by more than 2 noise
    standard deviations.

Not to be confused with
    leakage (a metric near perfect from the first evaluation), ordinary dropout (a small gap).

Limits
    From curves alone the benign and the harmful cause look the same.

Sources
    aman.ai on train and validation loss; UMLAUT; half-epoch lag; calibration on simulated gaps.
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
from tbdiag.detectors._handicaps import HANDICAP_ROLES, Terms, find_terms, list_settings, read_noisy_labels, uses_mosaic
from tbdiag.detectors._no_labels import LABEL_ROLES, no_labels
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, metric_level
from tbdiag.features.pairs import Pair, keep_shared, pair_up
from tbdiag.model import Domain, Mark, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Distance of training above validation over the second half of the run."""
    train, val = view.curve("train_loss"), view.curve("val_loss")
    if train is None or val is None:
        return NotApplicable("no training or no validation loss", ("train_loss", "val_loss"))
    if min(train.n, val.n) < 5:
        return NotApplicable("fewer than five points")
    if empty := no_labels(view):
        return empty
    val = keep_shared(train, val)
    if val.n < 5:
        return NotApplicable("training and validation share fewer than five evaluations")
    pair = pair_up(train, val)
    level_train, level_val = pair.tail_train(), pair.tail_val()
    gap = level_train - level_val
    signed = train.signed or val.signed
    if gap <= 0 or (level_train <= 0 and not signed) or (not signed and _other_scale(view, pair)):
        return None
    margins = [0.0]
    if not signed:
        chance = guessing(view.features).chance
        start = max(chance or 0.0, train.first_cost, val.first_cost)
        margins = [gap / (view["ratio"] * level_train), gap / (view["of_first"] * start)]
        # A steep descent in few points passes for noise; a distance that is there at every evaluation of the second half does not.
        steady = float((-pair.gap[pair.gap.size // 2 :]).min()) > 0.45 * gap
        margins.append(max(gap / (view["sigmas"] * val.sigma), float(steady)) if val.sigma > 0 else 16.0)
        # Strong dropout halves a small loss; but it is small against all that training gained.
        margins.append(gap / (view["least_of_gain"] * max(start - level_train, _gain(train, level_train), 1e-12)))
        if min(margins) < 1 and gap > view["lead_of_level"] * level_train and gap > view["lead_of_start"] * start:
            ahead = _metric_lead(view)
            margins = margins if ahead is None else [ahead / view["metric_lead"]]
    # A factor that is there from the first evaluation on and never changes while both fall is another reduction of the loss.
    ratio = pair.train_at / np.maximum(pair.val.trace.cost, 1e-12)
    moved = not signed and float(pair.val.trace.cost[0]) > 1.5 * level_val
    scaled = (
        moved
        and float(ratio[0]) > 0.85 * median(ratio[ratio.size // 2 :])
        and float(np.ptp(ratio)) < 0.3 * median(ratio)
        and (_metric_lead(view) or 0.0) < view["metric_lead"]  # a metric knows no reduction
    )
    if (min(margins) < 1 or scaled) and gap > view["least_of_level"] * abs(level_train) * (2 if signed else 1):
        margins, scaled = _of_gain(view, pair, gap), False
    if min(margins) < 1 or scaled or train.signal.stem != val.signal.stem:
        return None
    if -pair.gap[-1] < 0.4 * gap:
        return None
    metric, train_metric = view.curve("val_metric"), view.curve("train_metric")
    evidence = [
        say(
            f"Over the second half of the run the {label(train)} was {{train:.4g}}, the {label(val)} {{val:.4g}}.",
            (train, val),
            (Mark("level", "training", None, level_train), Mark("level", "validation", None, level_val)),
            train=level_train,
            val=level_val,
        )
    ]
    supports = 0
    if metric is not None and train_metric is not None and metric.signal.stem == train_metric.signal.stem:
        supports = int(metric.sign * (train_metric.end - metric.end) > 0.05 * abs(metric.end))
        evidence.append(
            say(
                f"The {label(metric)} ended at {{val:.4g}}, the {label(train_metric)} at {{train:.4g}}.",
                (metric, train_metric),
                val=metric.end,
                train=train_metric.end,
            )
        )
    settings, terms, labels = list_settings(view), find_terms(view, pair), read_noisy_labels(view)
    if terms is not None and terms.rest is not None and terms.rest - level_val < view["ratio"] * max(terms.rest, 0.0):
        return None  # like with like there is no such gap
    handicaps = []
    if settings:
        handicaps.append(f"the configuration holds {_and(settings)}")
        evidence.append(say(f"By the configuration training is measured with {_and(settings)}, validation without."))
    if uses_mosaic(view):
        handicaps.append(f"{view.signals.framework} trains with mosaic augmentation by default")
        evidence.append(
            say(f"By the defaults of {view.signals.framework} training is measured with mosaic augmentation, validation without.")
        )
    if terms is not None:
        handicaps.append(f"{_and([c.name for c in terms.curves])} {'was' if len(terms.curves) == 1 else 'were'} logged for training only")
        evidence.append(_tell_terms(terms))
    if labels is not None:
        evidence.append(labels.evidence)
    begin = int(np.argmax(-pair.gap > 0.5 * gap))
    blocks = val.trace.last_step
    return Finding(
        id="val-better",
        severity=Severity.NOTE if handicaps else Severity.WARNING,
        confidence=confidence(*margins, supports=supports, doubts=2 * int(bool(handicaps)), cap=0.9),
        title=f"Validation is far better than training: {level_val:.4g} against {level_train:.4g}",
        onset=Interval(int(blocks[max(begin - 1, 0)]), int(blocks[begin])),
        extent=Interval(int(blocks[begin]), int(val.step[-1])),
        evidence=tuple(evidence),
        causes=_causes(handicaps, labels is not None),
        first_check="Is training measured with dropout, augmentation or label smoothing on, and are its labels the same kind as validation's?"
        if labels is None or handicaps
        else f"Label 100 training samples anew by hand: if about {100 * labels.wrong:.0f} of them differ, it is the labels.",
        first_action="Evaluate the training set once in evaluation mode without augmentation and log it as train_eval/loss.",
        fixes=(
            "Deduplicate training against validation by hashes and similarity",
            "Split by group and by time",
            "Fit preprocessing on training data only",
            "Compare label statistics and difficulty of the two splits",
            "Log the loss of the task alone, without auxiliary terms, for both splits",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    "train_loss", "end", "<=", 0.0, minus="end", minus_role="val_loss", sd_times=2.0, source="end(val_loss) of the same run"
                ),
            ),
            sentence="The training loss in evaluation mode is no more than 2 sd above the validation loss.",
        ),
        phase=CURVES,
        roles=("train_loss", "val_loss"),
    )


def _and(words: list[str]) -> str:
    return " and ".join(words)


def _tell_terms(terms: Terms) -> Evidence:
    """What the training loss holds and validation's does not, and what is left without it where the weights are known."""
    said = [f"{c.name} ({{term_{i}:.4g}} at the end)" for i, c in enumerate(terms.curves)]
    numbers = {f"term_{i}": c.end for i, c in enumerate(terms.curves)}
    text = f"The training loss holds {_and(said)}, of which nothing was logged for validation"
    if terms.rest is None:
        return say(f"{text}.", terms.curves, **numbers)
    return say(f"{text}; without {'it' if len(said) == 1 else 'them'} {{rest:.4g}} is left.", terms.curves, rest=terms.rest, **numbers)


def _causes(handicaps: list[str], wrong_labels: bool) -> tuple[Cause, ...]:
    """The causes; wrong labels first where training's accuracy and loss speak for them."""
    labels = Cause(
        "Training labels are noisier than validation labels",
        "training's accuracy and loss are those of labels of which a part is drawn at random" if wrong_labels else "",
    )
    others = (
        Cause(
            "Training is measured with dropout, augmentation, label smoothing or regularisation terms, validation without",
            _and(handicaps),
        ),
        Cause("Validation samples are also in the training data, or groups or times overlap"),
        Cause("The validation set is small, easy or filtered"),
    )
    return (labels, *others) if wrong_labels else (*others, labels)


def _other_scale(view: View, pair: Pair) -> bool:
    """Whether training is many times validation from the first evaluation on and to the end, as no dropout and no leak makes it.

    A sum over pixels against a mean, the error of a noise that is predicted against that of a picture. A metric knows no reduction.
    """
    ratio = pair.train_at / np.maximum(pair.val.trace.cost, 1e-300)
    low, high = float(np.quantile(ratio, 0.05)), float(np.quantile(ratio, 0.95))
    one_scale = (_metric_lead(view) or 0.0) >= view["metric_lead"]
    return min(float(ratio[0]), low) > view["other_scale"] and high < view["scale_holds"] * low and not one_scale


def _of_gain(view: View, pair: Pair, gap: float) -> list[float]:
    """Margins of a gap against what training gained, while both losses fell."""
    train, val = pair.train, pair.val
    gain = _gain(train, pair.tail_train())
    trends = find_trend(train.trace.cost), find_trend(val.trace.cost)
    falls = all(t.tau < 0 for t in trends) and (any(t.falling for t in trends) or all(t.p < 0.05 for t in trends))
    if gain <= 0 or not falls or pair.differs_in_kind(view["unit"]) or float(val.cost[0]) - val.end_cost < 0.5 * gap:
        return [0.0]
    return [gap / (view["of_gain"] * gain), gap / (view["of_gain_sigmas"] * val.sigma) if val.sigma > 0 else 16.0]


def _gain(train: CurveFacts, level: float) -> float:
    """What training gained; a first value far above those after it, soon corrected, counts as twice them at most."""
    return min(train.start_cost, train.first_cost + abs(train.first_cost)) - level


def _metric_lead(view: View) -> float | None:
    """How far the validation metric is ahead of the same training metric at the end, as a share of the way from chance to perfect."""
    val, train = view.curve("val_metric"), view.curve("train_metric")
    if view.signals.domain is Domain.PREFERENCE:
        val, train = view.curve("val_preference_accuracy"), view.curve("train_preference_accuracy")
    if val is None or train is None or val.signal.stem != train.signal.stem or min(val.n, train.n) < 5:
        return None
    level = metric_level(val, view.features)
    return level.quality(val.end) - level.quality(train.end) if level is not None and level.best == _best(view, train) else None


def _best(view: View, curve: CurveFacts) -> float:
    level = metric_level(curve, view.features)
    return level.best if level is not None else float("nan")


def _run(n: int, train_floor: float, val_floor: float, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.3, train_floor, 5.0) + rng.normal(0, 0.01, n),
            "val/loss": _synth.decay(n, 2.25, val_floor, 5.0) + rng.normal(0, 0.01, n),
        }
    )


def _far() -> Run:
    return _run(40, 1.1, 0.35, 81)


def _far_long() -> Run:
    return _run(600, 1.0, 0.45, 82)


def _dropout() -> Run:
    return _run(40, 0.30, 0.20, 83)


def _reduction() -> Run:
    rng = np.random.default_rng(84)
    loss = _synth.decay(60, 2.3, 0.4, 5.0)
    return _synth.make_run({"train/loss": 4 * loss + rng.normal(0, 0.01, 60), "val/loss": loss + rng.normal(0, 0.01, 60)})


def _signed() -> Run:
    rng = np.random.default_rng(85)
    train = _synth.decay(80, -0.05, -0.33, 5.0) + rng.normal(0, 0.03, 80)
    val = _synth.make_series("val/loss", _synth.decay(20, -0.2, -0.58, 5.0) + rng.normal(0, 0.015, 20), np.arange(3, 80, 4))
    return _synth.make_run({"train/loss": train, "val/loss": val})


def _signed_dropout() -> Run:
    rng = np.random.default_rng(86)
    train = _synth.decay(80, 0.4, -1.1, 5.0) + rng.normal(0, 0.03, 80)
    val = _synth.make_series("val/loss", _synth.decay(20, 0.2, -1.35, 5.0) + rng.normal(0, 0.015, 20), np.arange(3, 80, 4))
    return _synth.make_run({"train/loss": train, "val/loss": val})


def _two_measures() -> Run:
    """A mean squared error that is trained on, an evidence bound in validation."""
    rng = np.random.default_rng(87)
    val = _synth.decay(60, 700.0, -930.0, 6.0) + rng.normal(0, 20, 60)
    return _synth.make_run({"train/loss": _synth.decay(60, 0.2, 0.0065, 12.0) + rng.normal(0, 1e-4, 60), "val/loss": val})


EXAMPLES = (
    Example("training stays at 1.1, validation reaches 0.35", _far, fires=True),
    Example("600 points", _far_long, fires=True),
    Example("a log likelihood, validation gains twice as much", _signed, fires=True),
    Example("a squared error in training, a likelihood in validation", _two_measures, fires=False),
    Example("dropout", _dropout, fires=False),
    Example("dropout under a log likelihood", _signed_dropout, fires=False),
    Example("losses summed over different numbers", _reduction, fires=False),
)

DETECTOR = Detector(
    id="val-better",
    title="Validation better than training",
    summary="Validation is much better than training, to the end.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss", "val_loss"),
    wants=("val_metric", "train_metric", "val_preference_accuracy", "train_preference_accuracy", *LABEL_ROLES, *HANDICAP_ROLES),
    domains=SUPERVISED | {Domain.PREFERENCE},
    thresholds={
        "ratio": Threshold(0.3, "dropout and augmentation make ten to thirty per cent"),
        "unit": Threshold(0.01, "of what the loss below zero moved: the other, never below it, moves less where it is another measure"),
        "of_gain": Threshold(0.5, "dropout makes a fifth of what training gained at most, and noisy or smoothed labels as much or more"),
        "least_of_level": Threshold(
            0.14, "of the training loss (twice that where it goes below zero); fine-tuning with dropout reached 0.11"
        ),
        "least_of_gain": Threshold(0.25, "dropout reached 0.23 in public runs that nothing was wrong with"),
        "metric_lead": Threshold(0.09, "validation ahead of training by that share of the way from chance to perfect; dropout made 0.07"),
        "lead_of_level": Threshold(0.12, "of the training loss, beside a metric that leads; fine-tuning with dropout reached 0.11"),
        "lead_of_start": Threshold(0.05, "of the starting loss, beside a metric that leads: of two tiny losses nothing follows"),
        "other_scale": Threshold(
            10.0, "times validation from the first evaluation on; 90 trainings with a gap that is none of these reached 3.1"
        ),
        "scale_holds": Threshold(3.0, "times its smallest that ratio varies at most; a sum against a mean made 1.3, two measures 1.9"),
        "label_noise": Threshold(0.02, "of the labels, by the configuration; less makes little of a gap"),
        "entropy": Threshold(
            0.05,
            "four trainings with labels drawn at random lay within 0.03 of it, no other of 2,620 that validates so much better within 0.07",
        ),
        "stands": Threshold(0.02, "of all answers, between the last two fifths; those with wrong labels moved by 0.006"),
        "least_learned": Threshold(
            0.45,
            "share of the way from guessing to perfect; closer to guessing every loss is that entropy: with six words of ten dropped, at 0.38",
        ),
        "most_learned": Threshold(0.97, "the same beyond which so few mistakes tell nothing"),
        "val_knows": Threshold(0.5, "of training's mistakes that validation does not make; wrong labels in training alone made 0.9"),
        "smoothing": Threshold(0.05, "label smoothing; less makes little of a gap"),
        "dropout": Threshold(0.3, "the usual tenth makes a small gap only"),
        "sigmas": Threshold(
            3.0, "noise standard deviations of validation; or the distance is there at every evaluation of the second half"
        ),
        "of_gain_sigmas": Threshold(5.0, "noise standard deviations, where the gap is judged by what training gained"),
        "of_first": Threshold(0.15, "of the starting loss: a ratio of two tiny losses does not matter"),
    },
    examples=EXAMPLES,
)
