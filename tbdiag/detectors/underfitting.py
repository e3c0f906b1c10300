"""Both training and validation end bad, close to each other.

What it means
    The model does not even fit what it is trained on: capacity, optimisation or the inputs are not enough for the task.

Why it matters
    No regularisation or more data helps; the training loss itself has to come down first.

How it is told
    It learned something (more than 5 % of its start, or less without any doubt where guessing among three classes or more
    is known), both splits end at a bad level, and the gap between them is small (up to double that where training itself
    keeps half of the loss of guessing and validation does not rise). Bad means: a bounded metric less than half-way from
    chance to perfect while more than half of the loss of guessing is left (a note beyond three tenths of the way: what
    the data leave to chance ends there as well; a warning up to 0.46 of it where few answers are possible, by a loss below ln 5, and
    both splits keep three fifths of what they began with); or more than 85 % of the loss of guessing is left; or no evaluation
    explained a twentieth of the variance (R2), of a training loss that is not spent; or both had improved and end no
    better than they began. With four or five points and no such reference, both losses must have gained less than a
    quarter of their start (and more than 5 %), still improving together.

First check
    Is the learning rate reasonable, is the model large enough, do the inputs carry the signal?

First action
    What the log speaks for, in this order: train longer where the training loss still falls at the end; less regularisation where
    the configuration shows a strong one; else four times the parameters. That a few samples can be learned by heart is the check before.

Success rule
    The training loss gets better than this run's best by a tenth and 2 noise standard deviations, and underfitting is not found again.

Not to be confused with
    no-learning (nothing gained at all), unconverged (bad only because it was stopped), plateau, language models, whose accuracy
    is low and loss high by nature.

Limits
    A loss alone has no bad level (healthy models of text, of clicks or of survival keep four fifths of where they began): with six
    points or more and no reference this detector stays silent.

Sources
    The two seed texts; chance levels; literature on the entropy floor of language models.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._bad_ends import below_the_mean, has_few_answers, judge_ends, lost_again
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
from tbdiag.detectors._words import label, learning_rate, say, scale_lr, schedule, short, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, is_determination, loss_left, rest_of_loss
from tbdiag.features.pairs import pair_up
from tbdiag.model import Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Both ends against chance or perfect, and against each other."""
    train, val = view.curve("train_loss"), view.curve("val_loss")
    if train is None or val is None:
        return NotApplicable("no training or no validation loss", ("train_loss", "val_loss"))
    if min(train.n, val.n) < 3:
        return NotApplicable("fewer than three points")
    if any(c.bad_step.size and c.bad_step[-1] >= c.step[-1] for c in (train, val)):
        return NotApplicable("the losses end in NaN or infinity")
    if train.best_cost < 0.7 * train.end_cost and train.rise > 0.3 * max(train.gain, 0.0) and train.beyond_noise(train.rise, 6):
        return None  # it had been good: that is divergence
    pair = pair_up(train, val)
    count = max(1, pair.train_at.size // 10)
    train_end, val_end = median(pair.train_at[-count:]), median(pair.val.trace.cost[-count:])
    if _fits(view, train, train_end):
        return None  # whatever validation does, what it was trained on it fits
    below = below_the_mean(view)
    gained = _share(train), _share(val)
    left = loss_left(val, view.features, val.end)
    beats = left is not None and left < 0.95
    if (
        max(gained) < view["learned"]
        and not beats
        and not below
        and not (left is not None and _only_begins(view, train, val))
        and not lost_again(train, val)
    ):
        return None
    margins, evidence, doubts = ([2.0, 2.0], below, 0) if below else judge_ends(view, train, val, gained)
    if not margins:
        return None
    # Training that is far better than validation is overfitting or a gap; the other way round dropout may do it.
    apart = max(val_end - train_end, 0.5 * (train_end - val_end))
    rest = rest_of_loss(train, view.features, train.end)
    most = view["gap_unfit"] if rest is not None and rest > 0.5 and val.rise <= view["rise"] * abs(val.best_cost) else view["gap"]
    if not below and apart > most * abs(train_end) and val.beyond_noise(apart, 3):
        return None
    evidence.insert(
        0,
        say(
            f"The {label(train)} ended at {{train_end:.4g}} (from {{train_first:.4g}}) and the {label(val)} at {{val_end:.4g}} (from {{val_first:.4g}}): "
            + ("both high, close together." if apart <= view["gap"] * abs(train_end) else "both high."),
            (train, val),
            train_end=train_end,
            train_first=train.first,
            val_end=val_end,
            val_first=val.first,
        ),
    )
    rate = learning_rate(view)
    # A source of inherent chance (a language, noisy answers) ends a third of the way to perfect as well, and no log says so.
    quality = next((e.numbers["quality"] for e in evidence if "quality" in e.numbers), 0.0)
    sure = quality < view["surely"] or has_few_answers(view, train, val, quality)
    return Finding(
        id="underfitting",
        severity=Severity.WARNING if sure else Severity.NOTE,
        confidence=confidence(*margins, doubts=doubts, supports=int(len(margins) > 1)),
        title=f"Underfitting: training and validation both end high ({train_end:.4g} and {val_end:.4g})",
        onset=None,
        extent=Interval(int(val.step[0]), int(val.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause(
                "Optimisation is not effective: learning rate too low or decayed early",
                f"it is {short(rate)}" if rate and rate < 1e-4 else "",
            ),
            Cause("Model too small or regularised too strongly"),
            Cause("Inputs lack signal or are not normalised"),
            Cause("Too few epochs"),
            Cause("Labels too noisy, or the target is encoded wrongly"),
        ),
        first_check="Overfit one batch (32 to 256 samples, no regularisation, the same code) until its loss is near zero: "
        "if it cannot, it is the model or the optimisation; if it can, the data.",
        first_action=_action(view, train),
        fixes=(
            "Train longer and confirm that it still improves",
            f"{scale_lr(view, 3)}, or adjust the schedule",
            "Increase capacity: four times the parameters",
            "Reduce regularisation: a fifth of the weight decay, no dropout",
            "Improve the input representation, fix normalisation",
            "Audit labels for systematic noise",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    train.signal.key,
                    "best",
                    "<",
                    train.best - 0.1 * abs(train.best),
                    sd_times=-2.0,
                    source=f"nine tenths of best({train.signal.key}) of this run",
                ),
            ),
            sentence=f"The {label(train)} gets below {train.best - 0.1 * abs(train.best):.4g}, nine tenths of this run's best, by more than 2 sd.",
        ),
        phase=CURVES,
        roles=(train.signal.key, val.signal.key),
    )


def _fits(view: View, train: CurveFacts, end: float) -> bool:
    """Whether little is left of the loss of guessing, or of the first loss where no R2 of training says that it had been absurd."""
    left = loss_left(train, view.features, end)
    metric = view.curve("train_metric")
    if train.signed or (left is None and metric is not None and is_determination(metric) and metric.end < 0.5):
        return False
    if left is None and end < view["fits"] * train.first_cost:
        return True  # the start is no lower, and needs the noise to be known
    return (left if left is not None else end / max(train.start_cost, 1e-12)) < view["fits"]


def _only_begins(view: View, train: CurveFacts, val: CurveFacts) -> bool:
    """Whether both losses left the level of guessing among three classes or more, beyond doubt and hardly at all."""
    if (guessing(view.features).classes or 0) < 3 or min(train.trace.n, val.trace.n) < 6:
        return False
    trends = [(find_trend(c.trace.cost, 6), c.trace) for c in (train, val)]
    return all(t.falling and t.tau < -0.6 and trace.beyond_noise(-t.change, 4) for t, trace in trends)


def _action(view: View, train: CurveFacts) -> str:
    """The texts' order (longer, rate, capacity, less regularisation), by what the log speaks for."""
    tail = train.trace.cost[train.trace.within(0.7, 1.0)]
    trend = find_trend(tail) if tail.size >= 12 else None
    last = int(train.step[-1])
    plan = schedule(view)
    if trend is not None and trend.falling and -trend.change > max(2 * train.sigma, 0.05 * train.gain) and not (plan and plan.annealed):
        return f"Resume from {unit(train)} {last:,} for as many steps again, with the schedule stretched."
    for key, strong, words in (("weight_decay", 0.5, "weight decay"), ("dropout", 0.5, "dropout")):
        value = view.signals.setting(key)
        if value is not None and value >= strong:
            return f"Lower the {words} from {short(value)} to {short(value / 5)} and rerun otherwise unchanged."
    return "Rerun unchanged except for a model of four times the parameters (twice the width)."


def _share(curve: CurveFacts) -> float:
    """Share of the start that was gained to the end; 0 for losses that can be negative."""
    if float(curve.value.min()) < 0 or curve.first_cost <= 0:
        return 0.0
    return max(curve.first_cost - curve.end_cost, 0.0) / curve.first_cost


def _ends_at(accuracy: float, floor: float) -> Run:
    rng = np.random.default_rng(31)
    n = 30
    return _synth.make_run(
        {
            "Loss/train": _synth.decay(n, 2.38, floor - 0.02) + rng.normal(0, 0.01, n),
            "Loss/val": _synth.decay(n, 2.33, floor) + rng.normal(0, 0.01, n),
            "Accuracy/val": accuracy - _synth.decay(n, accuracy - 0.1, 0.0) + rng.normal(0, 0.004, n),
        }
    )


def _too_small() -> Run:
    return _ends_at(0.28, 1.92)


def _chance_or_capacity() -> Run:
    return _ends_at(0.43, 1.72)


def _few_answers() -> Run:
    rng = np.random.default_rng(34)
    n = 16
    loss = _synth.decay(n, 1.6, 1.2)
    made = {"train/loss": loss - 0.02, "val/loss": loss, "val/accuracy": 0.54 - _synth.decay(n, 0.33, 0.0)}
    return _synth.make_run({k: v + rng.normal(0, 0.004, n) for k, v in made.items()})


def _four_epochs() -> Run:
    return _synth.make_run({"train/loss": [1.20, 1.08, 0.99, 0.94], "val/loss": [1.25, 1.13, 1.04, 1.02]})


def _good() -> Run:
    rng = np.random.default_rng(32)
    n = 30
    return _synth.make_run(
        {
            "Loss/train": _synth.decay(n, 2.38, 0.2) + rng.normal(0, 0.01, n),
            "Loss/val": _synth.decay(n, 2.33, 0.25) + rng.normal(0, 0.01, n),
            "Accuracy/val": 0.93 - _synth.decay(n, 0.83, 0.0) + rng.normal(0, 0.004, n),
        }
    )


def _good_four() -> Run:
    return _synth.make_run({"train/loss": [0.90, 0.55, 0.31, 0.18], "val/loss": [0.92, 0.63, 0.45, 0.38]})


def _unknown_level() -> Run:
    rng = np.random.default_rng(33)
    loss = _synth.decay(200, 3.0, 2.4)
    return _synth.make_run({"train/loss": loss + rng.normal(0, 0.02, 200), "val/loss": loss + rng.normal(0, 0.02, 200)})


EXAMPLES = (
    Example("accuracy ends at 0.28 of ten classes", _too_small, fires=True),
    Example("accuracy ends at 0.43: capacity, or chance in the data; a note", _chance_or_capacity, fires=False),
    Example("five answers, 0.42 of the way, three quarters of the loss left", _few_answers, fires=True),
    Example("four epochs", _four_epochs, fires=True),
    Example("both good", _good, fires=False),
    Example("four good epochs", _good_four, fires=False),
    Example("a loss whose level means nothing", _unknown_level, fires=False),
)

DETECTOR = Detector(
    id="underfitting",
    title="Underfitting",
    summary="Both training and validation end bad, close to each other.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss", "val_loss"),
    wants=("val_metric", "train_metric", "lr"),
    domains=SUPERVISED,
    thresholds={
        "learned": Threshold(0.05, "less is no-learning"),
        "gap": Threshold(0.15, "training and validation within 15 %"),
        "gap_unfit": Threshold(0.3, "within 30 % where training itself keeps half of the loss of guessing and validation does not rise"),
        "rise": Threshold(0.05, "validation that rises by more has a story of its own: generalization-gap or overfitting"),
        "quality": Threshold(0.5, "half-way from chance to perfect"),
        "surely": Threshold(0.3, "above it a note: healthy models of a random source ended at 0.31 to 0.36 of the way"),
        "mediocre": Threshold(
            0.46, "where few answers are possible; healthy trainings of that kind that kept as much of their losses ended above 0.5"
        ),
        "untrained": Threshold(0.25, "of the way to perfect, at the first value: above it the first loss is none of guessing"),
        "kept": Threshold(
            0.6, "share of the loss of guessing, or of the largest first loss, left in both splits; a healthy training reached 0.58"
        ),
        "begun": Threshold(
            1.25, "times ln 5 at most, by the first value of either loss: more answers were possible then, as in texts and moves"
        ),
        "sparse": Threshold(0.3, "nats; a smaller loss is that of rare targets, whose scores are low in good models as well"),
        "fits": Threshold(0.2, "share of the loss of guessing, or of the first training loss: training that gets below it fits"),
        "left": Threshold(0.5, "share of the loss of guessing that is left"),
        "left_unknown": Threshold(0.8, "the same where the number of classes is not known: a metric of 0.4 may be good then"),
        "guessing": Threshold(0.85, "so much of the loss of guessing left is bad whatever the metric"),
        "explained": Threshold(0.05, "R2 of the mean is 0; a model that learned anything was above 0.1 in every healthy training"),
        "explained_in_training": Threshold(0.2, "more in training alone is overfitting or a gap"),
        "few_points_gain": Threshold(0.25, "the seed texts' underfitting history gained 22 % and 18 %"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
