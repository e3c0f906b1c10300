"""Accuracy looks high because one class is frequent, while rare classes are missed.

What it means
    The accuracy is about what always predicting the most frequent class would give. The rare class, usually the one that matters, is
    hardly ever found.

Why it matters
    The curve looks fine and the model is useless for the minority; nothing in the loss or the accuracy says so.

How it is told
    With an accuracy of at least 0.75 over the last 30 % of the run, any one of: the recall (or F1) of the rarest class
    below 0.1; the predicted shares bound the recall of all minor classes below 0.1 (see prediction-collapse for the bound);
    balanced accuracy at most 0.6 and 0.25 or more below the accuracy, macro F1 at most 0.6 and 0.3 or more below it, an
    agreement score (kappa, MCC) below 0.1, or an area under the ROC curve within 0.05 of one half; the accuracy within two
    standard errors of a majority baseline (logged, or of the class counts in the configuration) of 0.6 or more. Without a high accuracy: recall, precision or F1 of one
    class below 0.1 while the median class is above 0.5 (of IoU, Dice or AP also: while every other class is above 0.3), or an accuracy 0.25 or more above the mean class recall.
    The balanced accuracy and macro F1 speak where two to ten classes are known, or where the former stands at one half from first to last;
    else they are a note, and nothing in segmentation. Of more than ten classes the weakest must stand apart: few, the others above 0.3.
    A class that had 0.5 and more and is lost within two evaluations, while no other is, is told as one that breaks, with its step. An IoU, Dice
    or AP that is exactly zero throughout is a note: the evaluation may lack the class.

First check
    Print class counts for training and validation and compare the accuracy with that of always predicting the majority.

First action
    Rerun unchanged except for a class-weighted loss (weights inverse to class frequency).

Success rule
    The smallest class recall ends at least 0.1 above this run's, and gains twice what the accuracy loses.

Not to be confused with
    prediction-collapse (one class although the classes are balanced), no-learning (accuracy at chance), label-noise in one class,
    classes that training lacks (two or more never found once, all others nearly always, training far better): a matter of the split.

Limits
    Without class recall, shares, a balanced metric or a baseline the accuracy alone says nothing about classes.

Sources
    Source text 2, "Class imbalance: when accuracy lies"; literature 7.2 (accuracy minus balanced accuracy above 0.2, class recall below 0.1).
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    PREDICTIONS,
    Detector,
    Example,
    Finding,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._class_words import advise, note_mean, title
from tbdiag.detectors._classes import OVERLAPS, Sign, by_balanced, by_classes, by_mean_recall, by_prior, by_recall, place
from tbdiag.detectors._tails import fits_training, say, tail
from tbdiag.features import CurveFacts
from tbdiag.features.predictions import bound_recall, share_unit
from tbdiag.model import Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Every sign that was logged; the strongest leads, the others support it."""
    accuracy = view.curve("val_accuracy") or view.curve("train_accuracy")
    signs: list[Sign] = []
    if accuracy is not None and median(tail(accuracy)) >= view["accuracy"]:
        level = median(tail(accuracy))
        for look in (by_recall, _by_shares, by_balanced, _by_baseline, _by_ranking):
            sign = look(view, accuracy, level)
            if sign is not None:
                signs.append(sign)
    else:
        sign = by_classes(view) or (by_mean_recall(view, accuracy) if accuracy is not None else None) or by_prior(view)
        if sign is not None:
            signs.append(sign)
    if not signs or _one_class_in_training(view):
        return None
    if all(s.mean for s in signs):
        return note_mean(signs)
    signs = [s for s in signs if not s.mean]
    signs.sort(key=lambda s: -s.margin)
    # A class that breaks says when; whatever else misses a class says that it is missed.
    signs.sort(key=lambda s: s.weakest is None or s.weakest.before is None)
    first, weakest = signs[0], signs[0].weakest
    high = accuracy is not None and median(tail(accuracy)) >= view["accuracy"]
    # A class that the evaluation lacks has an overlap of zero all along.
    absent = weakest is not None and weakest.kind in OVERLAPS and weakest.never
    causes, check, action = advise(first, high, accuracy is not None, view.signals.classes or 0)
    return Finding(
        id="class-imbalance",
        severity=Severity.NOTE if absent else Severity.WARNING,
        confidence=confidence(first.margin, supports=len(signs) - 1, doubts=int(accuracy is None) + 2 * int(absent)),
        title=title(first, median(tail(accuracy)) if accuracy is not None and high else None),
        onset=first.onset,
        extent=first.extent,
        evidence=tuple(s.evidence for s in signs),
        causes=causes,
        first_check=check,
        first_action=action,
        fixes=(
            "Log recall per class and choose the checkpoint by balanced accuracy or macro F1",
            "Weight the loss by inverse class frequency",
            "Oversample the rare class or undersample the frequent one (careful with duplicates)",
            "Tune the decision threshold to the cost of errors",
            "Inspect labels of the rare class",
        ),
        success_rule=SuccessRule(all=first.rules, sentence=first.success),
        phase=PREDICTIONS,
        roles=tuple(dict.fromkeys(r for s in signs for r in s.roles)),
    )


def _by_shares(view: View, accuracy: CurveFacts, level: float) -> Sign | None:
    share = view.curve("max_class_share")
    if share is None:
        return None
    largest = median(tail(share))
    label = view.curve("max_label_share")
    bound = bound_recall(largest, level)
    if largest < view["share"] or 1.0 - level < view["least_error"] or bound >= view["recall"]:
        return None
    if label is not None and largest <= median(tail(label)) + 0.01:
        return None
    onset, extent = place(share, share.value >= largest - 0.02)
    evidence = say(
        "One class holds {share:.1%} of the predictions and the accuracy is {accuracy:.4g}: all other classes together have a "
        "recall of at most {bound:.3g}.",
        (accuracy.signal.why, *(c.name for c in view.group(Role.PREDICTION_SHARE))),
        share=largest,
        accuracy=level,
        bound=bound,
    )
    found = predicate("max_class_share", "median", "<", max(largest - 0.02, 0.5), window=(0.7, 1.0), source="this run's share minus 0.02")
    kept = predicate(accuracy.name, "best", ">=", level - 0.05, source="this run's accuracy minus 0.05")
    said = "The most frequent class ends with a smaller share of the predictions, and the accuracy loses at most 0.05."
    return Sign(evidence, onset, extent, view["recall"] / max(bound, 0.01), (found, kept), ("val_metric", "prediction_share"), success=said)


def _by_baseline(view: View, accuracy: CurveFacts, level: float) -> Sign | None:
    known = view.group(Role.BASELINE)
    label = view.curve("max_label_share")
    scale = share_unit(*(c.value for c in known[:1])) if known else 1.0
    counted = view.signals.config.get("majority_share")
    base = float(known[0].value[-1]) * scale if known else median(tail(label)) if label is not None else None
    if base is None and isinstance(counted, float) and not _finds_classes(view):
        base = counted  # of the training data; validation is usually drawn like them
    if base is None or base < view["baseline"] or accuracy.n < 3:
        return None
    # The size of the validation set is unknown; a thousand samples make two standard errors of a rate.
    margin = max(0.005, 2 * float(np.sqrt(base * (1 - base) / 1000.0)))
    last = tail(accuracy)
    if level > base + margin or level < base - 2 * margin or float(last.max()) > base + 2 * margin:
        return None
    onset, extent = place(accuracy, accuracy.value <= base + margin)
    names = (accuracy.signal.why, *(c.name for c in (known or view.group(Role.LABEL_SHARE))))
    whence = "" if known or label is not None else ", by the class counts in the configuration,"
    evidence = say(
        f"The accuracy ends at {{accuracy:.4g}}; always predicting the most frequent class gives{whence} {{baseline:.4g}}.",
        names,
        accuracy=level,
        baseline=base,
    )
    rule = predicate(accuracy.name, "best", ">", base + margin, source="the majority baseline plus two standard errors")
    role = ("baseline",) if known else ("label_share",) if label is not None else ()
    said = "The best accuracy is above that of always predicting the most frequent class, by two standard errors."
    return Sign(evidence, onset, extent, 1.0, (rule,), ("val_metric", *role), success=said)


def _finds_classes(view: View) -> bool:
    """Whether a logged metric that does not look at frequencies says that the classes are told apart."""
    known = ((key, view.curve(key)) for key in ("val_auc", "val_balanced_accuracy", "min_class_recall"))
    return any(
        c is not None and median(tail(c)) > (view["recall"] if key == "min_class_recall" else view["balanced_low"]) for key, c in known
    )


def _by_ranking(view: View, accuracy: CurveFacts, level: float) -> Sign | None:
    """An area under the ROC curve of one half: positives are ranked no higher than negatives, however high the accuracy."""
    curve = view.curve("val_auc")
    if curve is None or curve.n < 3:
        return None
    area = median(tail(curve))
    if abs(area - 0.5) > view["ranking"]:
        return None
    onset, extent = place(curve, np.abs(curve.value - 0.5) <= view["ranking"])
    text = "The accuracy is {accuracy:.4g} at the end of the run while the area under the ROC curve is {area:.3g}."
    evidence = say(text, (accuracy.signal.why, curve.signal.why), accuracy=level, area=area)
    rule = predicate("val_auc", "end", ">=", area + 0.1, source="0.1 above this run's end")
    said = "The area under the ROC curve ends at least 0.1 above this run's."
    return Sign(evidence, onset, extent, 1.0, (rule,), ("val_metric",), success=said)


def _one_class_in_training(view: View) -> bool:
    """A perfect fit of the training data with a single predicted class: they hold one class, which is prediction-collapse."""
    val, share = view.curve("val_accuracy"), view.curve("max_class_share")
    if val is None or share is None or not fits_training(view):
        return False
    return median(tail(val)) <= 0.93 and median(tail(share)) >= 0.98


def _imbalanced() -> object:
    n = 20
    rng = np.random.default_rng(21)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 0.6, 0.2) + rng.normal(0, 0.005, n),
            "loss/val": _synth.decay(n, 0.6, 0.25) + rng.normal(0, 0.005, n),
            "accuracy/val": np.full(n, 0.94) + rng.normal(0, 0.002, n),
            "recall/val": np.zeros(n),
        }
    )


def _rare_found() -> object:
    n = 20
    rng = np.random.default_rng(22)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 0.6, 0.02) + rng.normal(0, 0.005, n),
            "loss/val": _synth.decay(n, 0.6, 0.05) + rng.normal(0, 0.005, n),
            "accuracy/val": 0.99 - 0.05 * np.exp(-np.arange(n) / 3),
            "recall/val": 0.88 - 0.88 * np.exp(-np.arange(n) / 3),
        }
    )


def _late_found() -> object:
    n = 20
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 0.6, 0.02),
            "loss/val": _synth.decay(n, 0.6, 0.05),
            "accuracy/val": 0.99 - 0.05 * np.exp(-np.arange(n) / 5),
            "recall/val": np.concatenate((np.zeros(12), np.linspace(0.1, 0.7, 8))),
        }
    )


def _several_classes(train: float, weak: int) -> object:
    n = 20
    up = 1 - np.exp(-np.arange(1, n + 1) / 2)
    recall = {f"recall/{k}": np.zeros(n) if k < weak else 0.97 * up for k in range(6)}
    val = (6 - weak) / 6 * 0.97
    return _synth.make_run({"loss/train": 1.8 - up, "accuracy/train": train * up, "accuracy/val": val * up, **recall})


def _prior(level: float) -> object:
    """Every answer is the first of six classes; `level` is where the losses end."""
    n = 12
    share = {f"val/pred_share/{k}": np.full(n, float(k == 0)) for k in range(6)}
    falls = _synth.decay(n, 1.79, level, 8.0)
    return _synth.make_run({"loss/train": falls, "loss/val": falls + 0.02, "f1/val": np.full(n, 0.14), **share})


def _mean_of_classes(balanced: np.ndarray[tuple[int], np.dtype[np.float64]], overlap: bool) -> object:
    n = balanced.size
    curves = {
        "loss/train": _synth.decay(n, 2.0, 0.3),
        "accuracy/val": 0.8 - 0.2 * np.exp(-np.arange(n) / 3),
        "balanced_accuracy/val": balanced,
    }
    return _synth.make_run(curves | ({"mIoU/val": balanced - 0.1} if overlap else {}))


EXAMPLES = (
    Example("a balanced accuracy of one half from first to last", lambda: _mean_of_classes(np.full(12, 0.5), False), fires=True),
    Example("segmentation of many classes", lambda: _mean_of_classes(0.55 - 0.3 * np.exp(-np.arange(12) / 3), True), fires=False),
    Example("one answer at a third of the loss of guessing", lambda: _prior(0.6), fires=True),
    Example("one answer at the loss of guessing", lambda: _prior(1.76), fires=False),
    Example("two of six classes are never found, in training neither", lambda: _several_classes(0.66, 2), fires=True),
    Example("two of six classes are not in the training data, which are fitted", lambda: _several_classes(0.99, 2), fires=False),
    Example("accuracy 0.94, recall 0", _imbalanced, fires=True),
    Example("a rare class that is found after a few epochs", _rare_found, fires=False),
    Example("a rare class that is found late", _late_found, fires=False),
)

DETECTOR = Detector(
    id="class-imbalance",
    title="Class imbalance",
    summary="Accuracy looks high because one class is frequent, while rare classes are missed.",
    severity=Severity.WARNING,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("val_accuracy", "train_accuracy", "class_metric", "prediction_share"),),
    wants=(
        "val_loss",
        "train_loss",
        "train_accuracy",
        "min_class_recall",
        "val_f1",
        "max_class_share",
        "max_label_share",
        "val_balanced_accuracy",
        "val_macro_f1",
        "val_agreement",
        "val_auc",
        "baseline",
        "label_share",
        "prediction_share",
        "metric",
    ),
    thresholds={
        "accuracy": Threshold(0.75, "what passes for a good accuracy"),
        "share": Threshold(0.95, "of the predictions, held by one class: the others are hardly ever answered"),
        "recall": Threshold(0.1, "recall of a class that is hardly found; literature 7.2"),
        "least_error": Threshold(0.02, "with fewer errors a rare class can be found as often as it occurs"),
        "balanced_gap": Threshold(0.25, "literature: 0.2; widened so that an ordinary rare class is no alarm"),
        "balanced_low": Threshold(0.6, "a minority of two classes is then found one time in five at most"),
        "few_classes": Threshold(
            10, "of more classes a mean this low is ordinary: 0.53 to 0.56 beside 0.80 in segmentation of 150 classes"
        ),
        "macro_gap": Threshold(0.3, "macro F1 of a majority predictor on two classes is at least 0.4 below its accuracy"),
        "ranking": Threshold(0.05, "area under the ROC curve around one half"),
        "baseline": Threshold(0.6, "below, an accuracy at the baseline is no-learning"),
        "absent_gap": Threshold(0.15, "training does not see the classes that validation loses"),
        "found": Threshold(0.8, "the other classes are found nearly always"),
        "next_class": Threshold(0.3, "of IoU, Dice and AP the weakest class stands apart; in long tails the next is nearly as low"),
        "median_class": Threshold(0.5, "the other classes are learned"),
        "one_class": Threshold(0.98, "share of the predictions that one class holds, where the loss tells that it holds the samples too"),
        "prior_loss": Threshold(0.6, "share of the loss of guessing; of ten classes one then holds a quarter of the samples and more"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("prediction-collapse",),
)
