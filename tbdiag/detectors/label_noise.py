"""Some labels seem to be wrong: a part of the samples is never learned, or only by heart.

What it means
    The model agrees with most labels quickly and keeps disagreeing with a fixed part of them; that part is mislabelled,
    ambiguous, or labelled by another rule.

Why it matters
    Wrong labels set a floor that no model gets below, and memorising them spoils validation.

How it is told
    From quantiles of the per-sample loss: the median falls to less than 60 % of where it began while the 95 % quantile ends
    above where it began by a tenth or more, and does not fall over the last half. Without them, from three classes on:
    accuracy and validation loss have come to a stand a third to three quarters of the way to perfect, training is no better, and
    the loss is within 5 % of the entropy of labels of which that share is drawn at random (samples of unequal difficulty leave
    less, memorised ones more). As suspicions only (notes): the same of the training accuracy and loss, where validation makes less than
    half of training's mistakes, so that the labels of training alone would be wrong; and a validation accuracy that stays within 2 % at a
    level between chance (a third of the way to perfect) and 0.9 for half the run, where training passes it by more than a tenth much later
    and the best validation loss is within 15 % of the entropy that such a share of wrong labels leaves.

First check
    Look at 100 training samples with the highest loss at the best checkpoint: are their labels right?

First action
    Relabel or drop the 100 training samples with the highest loss and rerun.

Success rule
    The upper quantile of the per-sample loss ends below this run's by a tenth, and the best validation loss is no worse.

Not to be confused with
    overfitting of a hard task, underfitting, class-imbalance (the hard samples belong to one class).

Limits
    Any hard task has a ceiling. A task in which all samples are equally hard looks like noise, and noise in a few classes only is not
    seen without per-sample losses.

Sources
    Two-phase learning (clean labels first, then memorisation; arXiv 2007.00151); entropy of symmetric label noise.
"""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DATA,
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
from tbdiag.detectors._handicaps import read_noisy_labels
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, metric_level
from tbdiag.features.pairs import pair_up
from tbdiag.model import Role, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def detect(view: View) -> Finding | NotApplicable | None:
    """Per-sample losses first, then the ceiling of validation accuracy."""
    samples = view.group(Role.SAMPLE_LOSS)
    by_kind = {c.signal.sub_kind: c for c in samples}
    middle, upper = by_kind.get("p50"), by_kind.get("p95") or by_kind.get("p90") or by_kind.get("p99")
    if middle is not None and upper is not None and min(middle.n, upper.n) >= 6:
        return _from_samples(view, middle, upper)
    return _from_entropy(view) or _from_training(view) or _from_ceiling(view)


def _from_samples(view: View, middle: CurveFacts, upper: CurveFacts) -> Finding | None:
    begin, end = middle.first, middle.end
    high_begin, high_end = upper.first, upper.end
    if begin <= 0 or high_begin <= 0:
        return None
    late = upper.trace.cost[upper.trace.n // 2 :]
    falling = find_trend(late).falling and float(late[0] - late[-1]) > 0.15 * high_end
    if end > view["median"] * begin or high_end < view["upper"] * high_begin or falling:
        return None
    evidence = say(
        "The median loss of training samples fell from {begin:.4g} to {end:.4g} while the upper quantile went from {high_begin:.4g} to {high_end:.4g}: "
        "a part of the samples is never learned.",
        (middle, upper),
        begin=begin,
        end=end,
        high_begin=high_begin,
        high_end=high_end,
    )
    onset = int(np.argmax(upper.trace.cost > high_begin * 1.05))
    step = upper.trace.last_step
    return _finding(
        [evidence],
        upper,
        severity=Severity.WARNING,
        sure=confidence(high_end / high_begin / view["upper"], view["median"] * begin / max(end, 1e-12), supports=1),
        onset=Interval(int(step[max(onset - 1, 0)]), int(step[onset])),
        extent=Interval(int(step[0]), int(step[-1])),
    )


def _from_entropy(view: View) -> Finding | None:
    """The validation loss is the entropy of symmetric noise: every sample is equally uncertain, and what is wrong is spread evenly.

    A calibrated model whose samples are of unequal difficulty has a lower loss at the same accuracy, since entropy is concave; one that fits
    too closely has a higher one. Close to guessing all three are the same.
    """
    accuracy, loss, train = view.curve("val_accuracy"), view.curve("val_loss"), view.curve("train_loss")
    k = guessing(view.features).classes
    if accuracy is None or loss is None or train is None or k is None or k < 3 or min(accuracy.n, loss.n, train.n) < 8:
        return None
    right = median(accuracy.value[-max(3, accuracy.n // 5) :])
    learned = (right * k - 1) / (k - 1)
    if not view["least_right"] < learned < view["suspect_right"]:
        return None
    level = median(loss.value[-max(3, loss.n // 5) :])
    entropy = -(right * log(right) + (1 - right) * log((1 - right) / (k - 1)))
    if not abs(level / entropy - 1) < view["entropy"] or not 0.75 * level < train.end < 1.1 * level:
        return None
    stands = [c.cost[c.n - max(4, 2 * c.n // 5) :] for c in (loss, accuracy)]
    moved = [median(c[: c.size // 2]) - median(c[c.size // 2 :]) for c in stands]
    scatter = float(np.median(np.abs(np.diff(loss.value[loss.n // 4 :], 2)))) / level
    # Evaluations that fall one and all are on their way, however slowly.
    most = view["stands"] if bool(np.any(np.diff(stands[0]) > 0)) else 0.6 * view["stands"]
    if abs(moved[0]) > most * level or abs(moved[1]) > most or scatter < 3e-4:
        return None  # still on its way, or its weights do not move any more
    classes = [c.end for c in view.group(Role.CLASS_METRIC) if c.n and "recall" in f"{c.signal.stem} {c.name}".lower()]
    if classes and min(classes) < 0.4 * float(np.mean(classes)):
        return None  # what is wrong is not spread evenly
    shares, certain = view.curve("max_label_share"), learned < view["most_right"]
    if not certain and shares is not None and shares.end > right - 0.03:
        return None  # so often is the most frequent class right by itself
    evidence = say(
        f"The validation accuracy stands at {{right:.3g}} and the {label(loss)} at {{level:.4g}}; {{entropy:.4g}} is the entropy of labels of which a "
        "share of {wrong:.2g} is drawn at random among {k} classes. Samples of unequal difficulty would leave less.",
        (accuracy.signal.why, loss, train),
        right=right,
        level=level,
        entropy=entropy,
        wrong=(1 - right) * k / (k - 1),
        k=k,
    )
    whole = Interval(int(loss.step[0]), int(loss.step[-1]))
    sure = confidence(view["entropy"] / max(abs(level / entropy - 1), 0.01), doubts=1 if certain else 3)
    severity = Severity.WARNING if certain else Severity.NOTE
    found = _finding([evidence], loss, severity=severity, sure=sure, onset=whole, extent=whole)
    return replace(
        found,
        title=f"{'Label noise' if certain else 'Labels may be wrong'}: accuracy and loss end where labels lead of which "
        f"{(1 - right) * k / (k - 1):.0%} are drawn at random",
        first_check=f"Label 100 training samples anew by hand: if about {100 * (1 - right):.0f} of them differ, it is the labels.",
        first_action="Repair where the labels come from (a join, an offset, annotators who guess) and rerun otherwise unchanged.",
    )


def _from_training(view: View) -> Finding | None:
    """Training alone stands at the entropy of symmetric noise, and validation, whose labels are right, shows what was learned."""
    train, noisy = view.curve("train_loss"), read_noisy_labels(view)
    if train is None or noisy is None:
        return None
    whole = Interval(int(train.step[0]), int(train.step[-1]))
    found = _finding([noisy.evidence], train, severity=Severity.NOTE, sure=0.6, onset=whole, extent=whole)
    return replace(
        found,
        title=f"Training labels may be wrong: its accuracy and loss are those of labels of which {noisy.wrong:.0%} disagree, validation's are far better",
        first_check=f"Label 100 training samples anew by hand: if about {100 * noisy.wrong:.0f} of them differ, it is the labels.",
    )


def _from_ceiling(view: View) -> Finding | NotApplicable | None:
    val, train, loss = view.curve("val_metric"), view.curve("train_metric"), view.curve("val_loss")
    if val is None or train is None or loss is None:
        return NotApplicable("no per-sample losses, nor accuracies of both splits", ("sample_loss",))
    guess = guessing(view.features)
    level = metric_level(val, view.features)
    if level is None or guess.classes is None or "acc" not in val.signal.stem.lower() or min(val.n, train.n, loss.n) < 12:
        return None
    if level.quality(val.best) < view["least_right"]:
        return None  # as near to guessing every loss is the entropy of wrong labels
    unit = level.best
    ceiling = val.best / unit
    share = 1 - ceiling
    if not 0.05 < share < 0.6 or val.end / unit < ceiling - 0.25:
        return None
    k = guess.classes
    entropy = -(ceiling * log(ceiling) + share * log(share / max(k - 1, 1)))
    fits = abs(loss.best - entropy) < view["ceiling"] * entropy
    half = val.trace.cost[val.trace.within(0.25, 1.0)]
    flat = float(np.quantile(half, 0.9) - np.quantile(half, 0.1)) < 0.03 * unit
    passes = train.end / unit > ceiling + view["passes"] and median(train.value[: max(3, train.n // 4)]) / unit < ceiling
    waits = _waits(train, val, unit)
    if not (fits and (flat or waits >= view["waits"]) and passes):
        return None
    how = "stays at" if flat else "came to a stand at"
    evidence = say(
        f"The {label(val)} {how} {{ceiling:.3g}}"
        + ("" if flat else ", and training with it for {waits:.0%} of the evaluations,")
        + " while training passes it and reaches {train:.3g}; the best validation loss {best:.4g} is close "
        "to {entropy:.4g}, the entropy that such a share of wrong labels leaves.",
        (val, train, loss),
        ceiling=ceiling,
        train=train.end / unit,
        best=loss.best,
        entropy=entropy,
        **({} if flat else {"waits": waits}),
    )
    whole = Interval(int(val.step[0]), int(val.step[-1]))
    return _finding([evidence], loss, severity=Severity.NOTE, sure=0.6, onset=whole, extent=whole)


def _waits(train: CurveFacts, val: CurveFacts, unit: float) -> float:
    """Share of the evaluations at which the training accuracy stands at the best validation accuracy: clean labels are learned, the rest not yet."""
    at = pair_up(train, val).train_at
    return float(np.mean(np.abs(at - val.best_cost) < 0.03 * unit)) if train.signal.stem == val.signal.stem else 0.0


def _finding(evidence: list[Evidence], curve: CurveFacts, *, severity: Severity, sure: float, onset: Interval, extent: Interval) -> Finding:
    key = curve.signal.key
    return Finding(
        id="label-noise",
        severity=severity,
        confidence=sure,
        title="Label noise: a part of the samples is never learned"
        if severity is Severity.WARNING
        else "Labels may be wrong: validation has a ceiling",
        onset=onset,
        extent=extent,
        evidence=tuple(evidence),
        causes=(
            Cause("Wrong or inconsistent annotations"),
            Cause("Labels and inputs are misaligned for a part of the data"),
            Cause("Ambiguous or overlapping classes"),
        ),
        first_check="Look at 100 training samples with the highest loss at the best checkpoint: are their labels right?",
        first_action="Relabel or drop the 100 training samples with the highest loss and rerun.",
        fixes=(
            "Measure the confusion per class: noise clusters",
            "Clean a small high-impact subset first",
            "Use a robust loss, or label smoothing of 0.1",
            "Stop early, before the wrong labels are memorised",
        ),
        success_rule=SuccessRule(
            all=(predicate(key, "end", "<", 0.9 * curve.end, tag=curve.signal.name if curve.signal.role is Role.SAMPLE_LOSS else None),),
            sentence=f"{curve.signal.name} ends below {0.9 * curve.end:.4g}.",
        ),
        phase=DATA,
        roles=(key,),
    )


def _noisy(n: int, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, n)
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.26, 1.5) + rng.normal(0, 0.02, n),
            "val/loss": _synth.decay(n, 2.2, 1.7) + rng.normal(0, 0.01, n),
            "train_sample_loss/p50": _synth.decay(n, 2.16, 0.85) + rng.normal(0, 0.02, n),
            "train_sample_loss/p95": 2.46 + 1.1 * (1 - np.exp(-8 * x)) + rng.normal(0, 0.05, n),
        }
    )


def _sixteen() -> Run:
    return _noisy(16, 181)


def _many() -> Run:
    return _noisy(200, 182)


def _clean() -> Run:
    rng = np.random.default_rng(183)
    n = 30
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.26, 0.1) + rng.normal(0, 0.01, n),
            "train_sample_loss/p50": _synth.decay(n, 2.16, 0.02) + rng.normal(0, 0.002, n),
            "train_sample_loss/p95": _synth.decay(n, 2.5, 0.6) + rng.normal(0, 0.03, n),
        }
    )


def _at_random(easier: float) -> Run:
    """Four labels of ten drawn among five classes; `easier`: how much less is lost where samples are of unequal difficulty."""
    rng = np.random.default_rng(184)
    n, entropy = 20, 1.0705  # of 0.68 and 0.08 four times
    val = _synth.decay(n, 1.6, entropy * (1 - easier), 12.0) + rng.normal(0, 0.004, n)
    acc = 0.68 - _synth.decay(n, 0.45, 0.0, 12.0) + rng.normal(0, 0.003, n)
    train = _synth.decay(10 * n, 1.61, entropy * (1 - easier) - 0.03, 12.0) + rng.normal(0, 0.04, 10 * n)
    made = {k: _synth.make_series(k, v, np.arange(1, n + 1) * 10) for k, v in (("val/loss", val), ("val/acc", acc))}
    return _synth.make_run({"train/loss": train, "train/acc": np.concatenate((np.full(5, 0.2), np.full(10 * n - 5, 0.68))), **made})


EXAMPLES = (
    Example("the loss is the entropy of labels drawn at random", lambda: _at_random(0.0), fires=True),
    Example("the loss is a seventh below that entropy", lambda: _at_random(0.15), fires=False),
    Example("sixteen epochs", _sixteen, fires=True),
    Example("200 points", _many, fires=True),
    Example("clean labels", _clean, fires=False),
)

DETECTOR = Detector(
    id="label-noise",
    title="Label noise",
    summary="Some labels seem to be wrong: a part of the samples is never learned, or only by heart.",
    severity=Severity.WARNING,
    phase=DATA,
    detect=detect,
    doc=__doc__ or "",
    needs=(("sample_loss", "val_metric"),),
    wants=("train_metric", "val_loss", "train_loss", "val_accuracy", "train_accuracy", "class_metric", "max_label_share"),
    domains=SUPERVISED,
    thresholds={
        "median": Threshold(0.6, "most samples are learned: their median loss has fallen by two fifths"),
        "entropy": Threshold(
            0.05, "six trainings with labels drawn at random lay within it, and no healthy one of 330 that is no better than this"
        ),
        "stands": Threshold(
            0.035,
            "of the loss, and of all answers, over the last two fifths of the evaluations; of 755 healthy trainings that know the number of "
            "classes none comes within 9 % of that entropy, standing or not",
        ),
        "least_right": Threshold(0.33, "share of the way from guessing to perfect; closer to guessing every loss is that entropy"),
        "most_right": Threshold(0.75, "share of the way from guessing to perfect; few mistakes are seldom spread evenly"),
        "suspect_right": Threshold(0.9, "the same beyond which nothing is said at all; between the two it is a suspicion"),
        "least_learned": Threshold(
            0.45, "the same as `least_right` of training, where validation is far better and classes may only be guessed"
        ),
        "most_learned": Threshold(0.97, "the same of training, where validation is far better; so few mistakes tell nothing"),
        "val_knows": Threshold(0.5, "of training's mistakes that validation does not make; wrong labels in training alone made 0.9"),
        "waits": Threshold(0.3, "of the evaluations; of 36 runs that memorised or drifted none waited for more than a quarter of them"),
        "ceiling": Threshold(0.15, "of that entropy, within which the best validation loss lies; a note"),
        "passes": Threshold(0.1, "of perfect, by which training ends above the ceiling of validation: it knows wrong labels by heart"),
        "upper": Threshold(1.1, "the worst samples have become worse by a tenth: the model contradicts their labels"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("overfitting", "underfitting"),
)
