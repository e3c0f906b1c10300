"""The model is more certain than it is right: confident but wrong.

What it means
    The mean of the largest predicted probability is well above the share of right answers. Wrong predictions come with high
    probabilities.

Why it matters
    Probabilities are used for thresholds, ranking and deferral to people; with over-confident ones all of these fail silently.

How it is told
    Mean confidence minus accuracy of the same split is above 0.1 over the last 30 % of the run (a note from 0.05 on). The
    difference is a lower bound of the calibration error, so a large value is conclusive; while the training loss is still
    bad it is a note. Without an accuracy the loss bounds it: an honest classifier with error rate e among K classes has a
    cross-entropy of at most h(e) + e ln(K - 1), and a confidence 0.15 above what that allows counts. A logged calibration
    error above 0.15 together with a validation loss above that of an honest model counts as well. The loss alone gives a
    note, by the same bound, and so does a loss that rises by 15 % of its best while the accuracy of the same split holds or climbs.

First check
    Plot confidence against accuracy in ten bins (a reliability diagram) on the validation set.

First action
    Fit one temperature on the validation logits of the best checkpoint (no retraining).

Success rule
    The mean confidence ends within 0.05 of the accuracy.

Not to be confused with
    overfitting (the usual cause: the loss rises because wrong answers get more certain), prediction-collapse, leakage.

Limits
    Confidence on one split and accuracy on another are never compared. Without logged confidence there is a note only.

Sources
    Guo et al., "On calibration of modern neural networks" (2017); Jensen: the gap of the means bounds the calibration error from
    below; Fano's inequality for the cross-entropy of an honest classifier.
"""

from __future__ import annotations

import math

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DIRECTED,
    PREDICTIONS,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    Threshold,
    View,
)
from tbdiag.detectors._confidence import WANTS, gap_rule, measure_gap
from tbdiag.detectors._tails import say, tail
from tbdiag.detectors._words import unit
from tbdiag.features.disagreement import look_behind
from tbdiag.features.onsets import rise_onset
from tbdiag.features.predictions import as_fraction, share_unit
from tbdiag.features.progress import BAD_LOSS_SHARE, PROGRESS_ROLES, measure_progress
from tbdiag.model import Role, Split
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

Sign = tuple[Evidence, Interval | None, Interval | None, Severity, float, str]


def detect(view: View) -> Finding | NotApplicable | None:
    """The gap of the means first, then a logged calibration error, then the loss against that of an honest model."""
    sign = _by_gap(view) or _by_confidence_and_loss(view) or _by_calibration_error(view) or _by_loss(view) or _by_disagreement(view)
    if sign is None:
        return None
    evidence, onset, extent, severity, sure, title = sign
    return Finding(
        id="over-confidence",
        severity=severity,
        confidence=sure,
        title=title,
        onset=onset,
        extent=extent,
        evidence=(evidence,),
        causes=(
            Cause("Training on past the point where only the margins of the training samples grow"),
            Cause("Labels that are wrong and were memorised"),
            Cause("Validation data unlike the training data"),
        ),
        first_check="Plot confidence against accuracy in ten bins (a reliability diagram) on the validation set.",
        first_action="Fit one temperature on the validation logits of the best checkpoint (no retraining).",
        fixes=(
            "Stop at the best validation loss",
            "Label smoothing of 0.05 to 0.1, mixup, or stronger weight decay",
            "Inspect confident wrong predictions: labels first",
        ),
        success_rule=gap_rule(-1.0, 0.05),
        phase=PREDICTIONS,
        roles=("confidence", "val_metric"),
    )


def _by_gap(view: View) -> Sign | None:
    gap = measure_gap(view)
    if gap is None or gap.value < view["noted"]:
        return None
    share = view.curve("max_class_share")
    if share is not None and median(tail(share)) >= 0.95 and gap.accuracy < 0.9:
        return None  # a model that always gives one answer is sure of it; its collapse is the finding
    # What a model that has not even learned its training data is sure of is a consequence of something else.
    learned = measure_progress(view.curve, view.signals).loss_share
    strong = gap.value >= view["gap"] and gap.steady >= view["gap"] / 2 and (learned is None or learned >= BAD_LOSS_SHARE)
    severity = Severity.WARNING if strong else Severity.NOTE
    sure = confidence(gap.value / view["gap"], doubts=0 if strong else 2)
    title = f"Over-confidence: mean confidence {gap.confidence:.3g} at an accuracy of {gap.accuracy:.3g}"
    return gap.evidence, gap.onset, gap.extent, severity, sure, title


def _honest_loss(error: float, classes: int) -> float:
    """Largest cross-entropy in nats of a calibrated classifier with this error rate (Fano's inequality)."""
    if error <= 0 or error >= 1:
        return error * math.log(max(classes - 1, 1))
    return -error * math.log(error) - (1 - error) * math.log(1 - error) + error * math.log(max(classes - 1, 1))


def _implied_error(loss: float, classes: int) -> float:
    """Smallest error rate at which an honest classifier can have this cross-entropy (the inverse of `_honest_loss`)."""
    low, high = 0.0, 1.0 - 1.0 / classes
    if loss >= _honest_loss(high, classes):
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _honest_loss(middle, classes) < loss else (low, middle)
    return (low + high) / 2


def _by_confidence_and_loss(view: View) -> Sign | None:
    """Without an accuracy: the validation loss tells the least share of errors of a model that means what it says."""
    loss, classes = view.curve("val_loss"), view.signals.classes
    mean = next((c for c in view.group(Role.CONFIDENCE) if c.signal.split is not Split.TRAIN), None)
    learned = measure_progress(view.curve, view.signals).loss_share
    if loss is None or mean is None or not classes or measure_gap(view) is not None or loss.bad_step.size:
        return None
    said = median(tail(mean)) * share_unit(mean.value)
    level = median(tail(loss))
    error = _implied_error(level, classes)
    gap = said - (1.0 - error)
    if gap < view["implied_gap"] or learned is None or learned < BAD_LOSS_SHARE:
        return None
    text = (
        "The mean confidence is {confidence:.3g} while the validation loss is {loss:.4g}: a model that is honest about {classes:.0f} classes "
        "with this loss is right at most {accuracy:.3g} of the time."
    )
    evidence = say(text, (mean, loss), confidence=said, loss=level, classes=float(classes), accuracy=1.0 - error)
    title = f"Over-confidence: mean confidence {said:.3g} with a validation loss of {level:.3g}"
    whole = Interval(int(mean.step[0]), int(mean.step[-1]))
    return evidence, None, whole, Severity.WARNING, confidence(gap / view["implied_gap"], doubts=1), title


def _loss_and_honest(view: View) -> tuple[float, float, str, str] | None:
    loss, accuracy, train = view.curve("val_loss"), view.curve("val_accuracy"), view.curve("train_loss")
    classes = view.signals.classes
    if loss is None or accuracy is None or not classes or classes < 2 or train is None or loss.bad_step.size:
        return None
    level = median(tail(accuracy))
    if level < 1.5 / classes and level < 0.9:
        return None  # at chance something else is wrong
    if train.end > 0.5 * math.log(classes):
        return None  # training is no better: a pipeline or a divergence, not confidence
    return median(tail(loss)), _honest_loss(1.0 - level, classes), loss.name, accuracy.signal.why


def _by_calibration_error(view: View) -> Sign | None:
    curve = next((c for c in view.group(Role.CALIBRATION_ERROR) if c.signal.split is not Split.TRAIN), None)
    known = _loss_and_honest(view)
    if curve is None or known is None or known[0] <= known[1]:
        return None
    level = median(tail(curve)) * (0.01 if float(curve.value.max()) > 1.0 else 1.0)
    if level < view["calibration_error"]:
        return None
    text = "The calibration error is {error:.3g} at the end and the validation loss is {loss:.4g}; an honest model of this accuracy has at most {honest:.3g}."
    evidence = say(text, (curve.name, known[2], known[3]), error=level, loss=known[0], honest=known[1])
    whole = Interval(int(curve.step[0]), int(curve.step[-1]))
    return (
        evidence,
        None,
        whole,
        Severity.WARNING,
        confidence(level / view["calibration_error"], doubts=1),
        f"Over-confidence: calibration error {level:.3g}",
    )


def _by_loss(view: View) -> Sign | None:
    known = _loss_and_honest(view)
    if known is None or measure_gap(view) is not None:
        return None
    loss, honest, name, accuracy = known
    classes = view.signals.classes or 2
    if loss < view["honest"] * honest or loss < math.log(classes):
        return None
    text = (
        "The validation loss ends at {loss:.4g}; a model of the same accuracy that is honest about its errors has at most {honest:.3g}, and "
        "knowing nothing gives {chance:.4g}: wrong answers are given with high probability."
    )
    evidence = say(text, (name, accuracy), loss=loss, honest=honest, chance=math.log(classes))
    return (
        evidence,
        None,
        None,
        Severity.NOTE,
        confidence(loss / (view["honest"] * honest), doubts=2),
        f"Over-confidence: a validation loss of {loss:.3g} where an honest model has {honest:.3g}",
    )


def _by_disagreement(view: View) -> Sign | None:
    """The validation loss rises while as many answers stay right: what grows is the certainty of the wrong ones."""
    loss, accuracy, train = view.curve("val_loss"), view.curve("val_accuracy"), view.curve("train_loss")
    if (
        loss is None
        or accuracy is None
        or train is None
        or measure_gap(view) is not None
        or loss.bad_step.size
        or min(loss.n, accuracy.n) < 6
    ):
        return None
    behind, rise = look_behind(loss, accuracy), loss.rise / abs(loss.best) if loss.best else 0.0
    if behind is None or not behind.holds or rise < view["rise"] or not loss.beyond_noise(loss.rise, 4) or loss.lowest <= 0:
        return None
    classes = view.signals.classes
    if train.end_cost > loss.best_cost or (classes and behind.end * as_fraction(accuracy) < 1.5 / classes < 0.9):
        return None  # training is no better, or nothing was learned that could hold: a divergence, a pipeline
    text = (
        f"The validation loss rose from {{best:.4g}} at {unit(loss)} {{best_step:,}} to {{end:.4g}} while the validation accuracy went from {{then:.4g}} to "
        f"{{now:.4g}}: {'more' if behind.gains else 'as many'} answers are right, and the wrong ones are given with growing certainty."
    )
    lowest = int(np.argmin(loss.cost))
    best = float(loss.value[lowest])
    numbers = {"best_step": int(loss.step[lowest]), "best": best, "end": loss.end, "then": behind.then, "now": behind.end}
    evidence = say(text, (loss.name, accuracy.signal.why), **numbers)
    onset = rise_onset(loss)
    return (
        evidence,
        onset,
        Interval(onset.first_step, int(loss.step[-1])),
        Severity.NOTE,
        confidence(rise / view["rise"], doubts=2),
        f"Over-confidence: the validation loss rises from {best:.4g} to {loss.end:.4g} while the accuracy {'still climbs' if behind.gains else 'holds'}",
    )


def _confident() -> object:
    rng = np.random.default_rng(81)
    n = 40
    x = np.linspace(0, 1, n)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 1.4, 0.01),
            "loss/val": 1.0 + 1.9 * x + rng.normal(0, 0.01, n),
            "accuracy/val": 0.65 - 0.1 * x + rng.normal(0, 0.005, n),
            "val/mean_confidence": 0.55 + 0.35 * np.sqrt(x),
        }
    )


def _calibrated() -> object:
    rng = np.random.default_rng(82)
    n = 40
    accuracy = 0.95 - 0.5 * np.exp(-np.arange(n) / 6)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 1.4, 0.1),
            "loss/val": _synth.decay(n, 1.4, 0.15),
            "accuracy/val": accuracy + rng.normal(0, 0.005, n),
            "val/mean_confidence": accuracy + 0.02 + rng.normal(0, 0.005, n),
        }
    )


def _no_accuracy(final_loss: float, final_confidence: float) -> object:
    rng = np.random.default_rng(83)
    n = 40
    x = np.linspace(0, 1, n)
    series = {f"val/pred_fraction/class_{i}": 0.1 + rng.normal(0, 0.005, n) for i in range(10)}
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 2.3, 0.02),
            "loss/val": 2.3 + (final_loss - 2.3) * np.sqrt(x) + rng.normal(0, 0.01, n),
            "val/mean_confidence": 0.1 + (final_confidence - 0.1) * np.sqrt(x),
            **series,
        }
    )


EXAMPLES = (
    Example("confidence 0.9 at an accuracy of 0.55", _confident, fires=True),
    Example("confidence 0.95 with a loss of 3 on ten classes, no accuracy", lambda: _no_accuracy(3.0, 0.95), fires=True),
    Example("confidence follows the accuracy", _calibrated, fires=False),
    Example("confidence 0.95 with a loss of 0.2 on ten classes, no accuracy", lambda: _no_accuracy(0.2, 0.95), fires=False),
)

DETECTOR = Detector(
    id="over-confidence",
    title="Over-confidence",
    summary="The model is more certain than it is right: confident but wrong.",
    severity=Severity.WARNING,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("confidence", "calibration_error", "val_accuracy"),),
    wants=(*WANTS, *PROGRESS_ROLES, "max_class_share"),
    domains=DIRECTED,
    thresholds={
        "gap": Threshold(0.1, "modern networks are over-confident by up to 0.1 without harm to anyone (Guo et al.)"),
        "noted": Threshold(0.05, "worth a note: literature 7.2, and the resolution of a logged mean over a thousand samples"),
        "honest": Threshold(1.5, "times what an honest model of that accuracy loses at most, and above guessing; a note"),
        "implied_gap": Threshold(0.15, "the same where the accuracy is only bounded by the loss"),
        "rise": Threshold(0.15, "three times the smallest rise that is called overfitting; a note, whatever it is"),
        "calibration_error": Threshold(0.15, "binned estimates of healthy networks reach 0.1"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
