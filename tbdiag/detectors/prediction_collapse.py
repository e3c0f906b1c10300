"""Nearly all predictions are one class, or the output is a constant.

What it means
    Whatever comes in, the model answers the same: one class for every sample, or one number for every target. The classes that it
    never predicts are all missed.

Why it matters
    The loss can still fall towards the entropy of the labels and look like learning, while the model has not used its input.

How it is told
    From logged class shares or counts: with a share p of other predictions and an error rate e, the recall of all other classes
    together is at most p / (e + p); collapse is a bound below 0.1 over the last 30 % of the run with an accuracy below 0.75 (with a
    higher accuracy the same sign is class-imbalance, unless the training accuracy is perfect: then the training data hold one class). Without an accuracy the largest share must be 0.98 or more and exceed the
    label's share. From prediction statistics or histograms: the spread of the outputs is at most 0.001 of its largest value, or 0.02
    of the targets' spread. From the metric alone: a validation accuracy that is exactly constant over at least five evaluations at
    or below chance while the validation loss moves; or, in a run that learned nothing, a recall or F1 score that is
    exactly zero at every evaluation.

First check
    Print class counts of labels and predictions for one batch and for the validation set.

First action
    Log the per-class counts of labels and predictions of one batch and fix the target encoding or the sampling that they show.

Success rule
    The largest predicted share stays below 0.9 over the last 30 % of the run (or the spread of the outputs comes back).

Not to be confused with
    class-imbalance (accuracy looks high because one class is frequent), no-learning (nothing ever moved), dead-units (the cause,
    where activations were logged).

Limits
    A data set of one class cannot be told from a collapse without labels. Constant accuracy alone is weak evidence and says so.

Sources
    Source text 1, lab 2 (pred_counts [0, 12]); the recall bound follows from counting errors: missed + false = e, so the others' share
    among the labels is at least e - p.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    PREDICTIONS,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Predicate,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._tails import begins, fits_training, lasts, say, since, tail
from tbdiag.features import CurveFacts
from tbdiag.features.progress import PROGRESS_ROLES, measure_progress
from tbdiag.model import Role
from tbdiag.stats.confidence import confidence

_CHECK_OUTPUT = "Feed two very different samples and compare the activations layer by layer: where do they become equal?"
_FIX_OUTPUT = "Print mean and spread of every layer's output for one batch and repair the first layer whose spread is zero."

Sign = tuple[Evidence, Interval, Interval, float, tuple[Predicate, ...], tuple[str, ...], str]
"""Evidence, onset, extent, confidence, success predicates, roles, what collapsed."""


def detect(view: View) -> Finding | NotApplicable | None:
    """The spread of the outputs, then class shares, then a metric that never moves."""
    sign = _by_spread(view) or _by_histogram(view)
    if sign is None and _trained(view):
        # An untrained model may well answer one class; that is no-learning, whatever it predicts.
        sign = _by_shares(view) or _by_constant_accuracy(view) or _by_nothing_found(view)
    if sign is None:
        return None
    evidence, onset, extent, sure, rules, roles, what = sign
    constant = rules[0].role == "prediction_stat"
    return Finding(
        id="prediction-collapse",
        severity=Severity.ERROR,
        confidence=sure,
        title=f"Prediction collapse: {what}",
        onset=onset,
        extent=extent,
        evidence=(evidence,),
        causes=(
            Cause("Labels or sampling show the model one class only, or labels are encoded wrongly"),
            Cause("The output layer has the wrong shape or activation for the loss"),
            Cause("A learning rate that killed the features early: the last layer's bias is all that is left"),
            Cause("Strong class imbalance with an unweighted loss"),
        ),
        first_check=_CHECK_OUTPUT if constant else "Print class counts of labels and predictions for one batch and for the validation set.",
        first_action=_FIX_OUTPUT
        if constant
        else "Log the per-class counts of labels and predictions of one batch and fix the target encoding or the sampling that they show.",
        fixes=(
            "Check class balance of training and validation data and of what the sampler yields",
            "Check target encoding: class indices against one-hot, offsets, the mapping of names",
            "Check output shape and activation against the loss (raw logits, one per class)",
            "Run the tiny overfit test on 64 stratified samples",
            "Weight the loss by inverse class frequency",
        ),
        success_rule=SuccessRule(all=rules, sentence=_sentence(rules)),
        phase=PREDICTIONS,
        roles=roles,
    )


def _trained(view: View) -> bool:
    """Whether the loss moved at all."""
    loss = view.curve("val_loss") or view.curve("train_loss")
    return loss is None or loss.n < 4 or float(np.ptp(loss.value)) > view["moved"] * abs(float(np.median(loss.value)))


def _sentence(rules: tuple[Predicate, ...]) -> str:
    if rules[0].role == "max_class_share":
        return "No class holds more than 0.9 of the predictions in the last 30 % of the run."
    if rules[0].role in ("val_f1", "val_recall"):
        return "Positives are found: the score ends above 0.1."
    return "The outputs vary again and the validation accuracy is no longer one constant value."


def _accuracy_tail(view: View) -> tuple[CurveFacts, float] | None:
    """The lowest accuracy of any split, as the median of its tail: a split of one class must not hide a collapse on the other."""
    known = [(c, float(np.median(tail(c)))) for c in (view.curve("val_accuracy"), view.curve("train_accuracy")) if c is not None]
    return min(known, key=lambda pair: pair[1]) if known else None


def _by_shares(view: View) -> Sign | None:
    share = view.curve("max_class_share")
    if share is None:
        return None
    last = tail(share)
    level = float(np.median(last))
    label = view.curve("max_label_share")
    if level < view["share"] - 0.03 or (label is not None and level <= float(np.median(tail(label))) + 0.02):
        return None
    names = tuple(c.name for c in view.group(Role.PREDICTION_SHARE))
    accuracy = _accuracy_tail(view)
    if accuracy is None:
        if level < view["share"] or float(last.min()) < 0.9:
            return None
        evidence = say("One class holds {share:.1%} of the predictions at the end of the run.", names, share=level)
        sure = confidence((1.0 - view["share"]) / max(1.0 - level, 1e-6), doubts=0 if label is not None else 1, cap=0.9)
    else:
        curve, value = accuracy
        other, error = 1.0 - level, 1.0 - value
        bound = other / (error + other) if error + other > 0 else 1.0
        # Perfect on the training data with a single answer: the training data hold one class, however many the validation data have of it.
        single = fits_training(view) and value <= 0.93 and level >= view["share"]
        if (value >= view["accuracy"] and not single) or bound >= view["recall_bound"] or level < view["share"] - 0.03:
            return None
        evidence = say(
            "One class holds {share:.1%} of the predictions at the end of the run while the accuracy is {accuracy:.4g}: "
            "all other classes together have a recall of at most {bound:.3g}.",
            (*names, curve.signal.why),
            share=level,
            accuracy=value,
            bound=bound,
        )
        sure = confidence(view["recall_bound"] / max(bound, 1e-6), supports=1)
    index = since(share.value >= min(level, view["share"]) - 0.02)
    index = share.n - 1 if index is None else index
    rules = (predicate("max_class_share", "median", "<", 0.9, window=(0.7, 1.0), source="a class with nine tenths of all predictions"),)
    what = f"one class holds {level:.1%} of the predictions"
    return evidence, begins(share.step, index), lasts(share.step, index), sure, rules, ("prediction_share",), what


def _by_spread(view: View) -> Sign | None:
    for curve in view.group(Role.PREDICTION_STAT):
        name = f"{curve.signal.sub_kind or ''} {curve.name}".lower()
        if "std" not in name and "spread" not in name and "variance" not in name:
            continue
        ratio = "ratio" in name or "rel" in name
        largest = float(np.abs(curve.value).max())
        limit = view["std_ratio"] if ratio else view["std_share"] * largest
        small = np.abs(curve.value) <= limit
        index = since(small)
        if (
            index is None
            or curve.n - index < min(3, curve.n)
            or (curve.step[index] - curve.step[0]) > 0.7 * (curve.step[-1] - curve.step[0])
        ):
            continue
        end = float(np.median(tail(curve)))
        evidence = say(
            "The spread of the predictions, '" + curve.name.replace("{", "{{").replace("}", "}}") + "', is {end:.3g} at the end of the run "
            "(largest value {largest:.3g}).",
            (curve.name,),
            end=end,
            largest=largest,
        )
        threshold = view["std_ratio"] if ratio else max(limit, 1e-6)
        rules = (
            predicate(
                "prediction_stat", "median", ">", threshold, window=(0.7, 1.0), tag=curve.signal.series.tag if curve.signal.series else None
            ),
        )
        what = "the output is the same for every sample"
        return (
            evidence,
            begins(curve.step, index),
            lasts(curve.step, index),
            confidence((view["std_ratio"] if ratio else limit) / max(abs(end), 1e-300)),
            rules,
            ("prediction_stat",),
            what,
        )
    return None


def _by_histogram(view: View) -> Sign | None:
    for facts in view.histograms(Role.PREDICTION_HISTOGRAM):
        if facts.n < 3:
            continue
        widest = float(np.nanmax(facts.std)) if np.isfinite(facts.std).any() else float("nan")
        size = float(np.nanmax(np.abs(facts.mean))) if np.isfinite(facts.mean).any() else 0.0
        if not np.isfinite(widest):
            continue
        # float32 rounding of a constant leaves a spread of about one part in ten million.
        constant = (facts.series.minimum == facts.series.maximum) | (facts.std <= 1e-6 * max(size, 1e-30))
        narrow = constant | (facts.std <= view["std_share"] * widest)
        index = since(narrow)
        if index is None or facts.n - index < 3 or (facts.step[index] - facts.step[0]) > 0.7 * (facts.step[-1] - facts.step[0]):
            continue
        accuracy = _accuracy_tail(view)
        if accuracy is not None and accuracy[1] >= view["accuracy"]:
            continue
        evidence = say(
            "The spread of the prediction histogram falls from {widest:.3g} to {end:.3g}: every sample gets the same output.",
            (facts.name,),
            widest=widest,
            end=float(facts.std[-1]),
        )
        rule = predicate("val_accuracy", "distinct", ">", 2.0)
        if accuracy is None:
            rule = predicate("max_class_share", "median", "<", 0.9, window=(0.7, 1.0))
        rules = (rule,)
        return (
            evidence,
            begins(facts.step, index),
            lasts(facts.step, index),
            confidence(view["std_share"] * widest / max(float(facts.std[-1]), 1e-300), doubts=int(accuracy is None)),
            rules,
            ("prediction_histogram",),
            "the output is the same for every sample",
        )
    return None


def _by_constant_accuracy(view: View) -> Sign | None:
    accuracy, loss = view.curve("val_accuracy"), view.curve("val_loss")
    if accuracy is None or accuracy.n < view["constant_evaluations"] or view.curve("max_class_share") is not None:
        return None
    level = float(accuracy.value[-1])
    index = since(np.abs(accuracy.value - level) <= 1e-6)
    if index is None or accuracy.n - index < max(view["constant_evaluations"], 0.6 * accuracy.n):
        return None
    classes = view.signals.classes
    at_chance = level <= 1.3 / classes if classes else level <= 0.12
    if not at_chance or loss is None or loss.bad_step.size or loss.n < view["constant_evaluations"]:
        return None
    moved = float(np.ptp(loss.value[loss.n // 3 :])) > view["moved"] * abs(float(np.median(loss.value)))
    if not moved or (view.signals.chance and loss.end < 0.9 * view.signals.chance):
        return None
    evidence = say(
        "The validation accuracy is exactly {level:.4g} at {count:.0f} evaluations in a row while the validation loss moves.",
        (accuracy.signal.why, loss),
        level=level,
        count=float(accuracy.n - index),
    )
    rules = (predicate("val_accuracy", "distinct", ">", 2.0, source="more than two different values"),)
    what = f"the validation accuracy stays at exactly {level:.4g}"
    return (
        evidence,
        begins(accuracy.step, index),
        lasts(accuracy.step, index),
        confidence((accuracy.n - index) / view["constant_evaluations"], doubts=1),
        rules,
        ("val_metric",),
        what,
    )


def _by_nothing_found(view: View) -> Sign | None:
    """Recall and F1 of exactly zero at every evaluation: no sample is ever called positive."""
    accuracy = _accuracy_tail(view)
    if accuracy is not None and accuracy[1] >= view["accuracy"]:
        return None  # class-imbalance
    if not measure_progress(view.curve, view.signals).bad:
        return None  # the model learned something: validation data that it cannot read are another matter
    for key in ("val_f1", "val_recall"):
        curve = view.curve(key)
        if curve is None or curve.n < view["constant_evaluations"]:
            continue
        index = since(curve.value == 0.0)
        if index is None or curve.n - index < max(view["constant_evaluations"], 0.6 * curve.n):
            continue
        word = "F1 score" if key == "val_f1" else "recall"
        text = f"The {word} is exactly zero at the last {{count:.0f}} evaluations: nothing is ever called positive."
        evidence = say(text, (curve.signal.why,), count=float(curve.n - index))
        rules = (predicate(key, "end", ">", 0.1),)
        what = f"the {word} is zero at every evaluation"
        return (
            evidence,
            begins(curve.step, index),
            lasts(curve.step, index),
            confidence((curve.n - index) / view["constant_evaluations"], doubts=1),
            rules,
            ("val_metric",),
            what,
        )
    return None


def _collapsed() -> object:
    rng = np.random.default_rng(11)
    n = 20
    share = np.concatenate((np.linspace(0.4, 0.99, 5), np.ones(n - 5)))
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 1.5, 1.3) + rng.normal(0, 0.01, n),
            "loss/val": _synth.decay(n, 1.5, 1.38) + rng.normal(0, 0.01, n),
            "accuracy/val": np.concatenate((np.linspace(0.3, 0.26, 5), np.full(n - 5, 0.25))),
            "val/pred_share/class_0": share,
            "val/pred_share/class_1": 1 - share,
            "val/pred_share/class_2": np.zeros(n),
            "val/pred_share/class_3": np.zeros(n),
        }
    )


def _balanced() -> object:
    rng = np.random.default_rng(12)
    n = 20
    share = rng.normal(0.25, 0.01, (3, n))
    series = {f"val/pred_share/class_{i}": share[i] for i in range(3)} | {"val/pred_share/class_3": 1 - share.sum(axis=0)}
    return _synth.make_run({"loss/train": _synth.decay(n, 1.4, 0.2), "loss/val": _synth.decay(n, 1.4, 0.3), **series})


def _rare_but_found() -> object:
    n = 20
    accuracy = 0.999 - 0.04 * np.exp(-np.arange(n))
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 0.6, 0.01),
            "loss/val": _synth.decay(n, 0.6, 0.02),
            "accuracy/val": accuracy,
            "val/pred_share/class_0": np.full(n, 0.985),
            "val/pred_share/class_1": np.full(n, 0.015),
        }
    )


EXAMPLES = (
    Example("all validation predictions become one class", _collapsed, fires=True, onset=(0, 6)),
    Example("four classes, predicted evenly", _balanced, fires=False),
    Example("a class with 1.5 % of the labels, found as often as it occurs", _rare_but_found, fires=False),
)

DETECTOR = Detector(
    id="prediction-collapse",
    title="Prediction collapse",
    summary="Nearly all predictions are one class, or the output is constant.",
    severity=Severity.ERROR,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("max_class_share", "prediction_stat", "prediction_histogram", "val_accuracy", "val_f1", "val_recall"),),
    wants=("prediction_share", *PROGRESS_ROLES),
    thresholds={
        "share": Threshold(0.98, "largest share of one class; literature 7.2"),
        "recall_bound": Threshold(0.1, "upper bound of the recall of all other classes together"),
        "accuracy": Threshold(0.75, "a higher accuracy with the same shares is class-imbalance"),
        "std_share": Threshold(1e-3, "spread of the outputs against its largest value; literature 7.2"),
        "std_ratio": Threshold(0.02, "spread of the outputs against that of the targets: explains at most 0.04 % of the variance"),
        "constant_evaluations": Threshold(5, "evaluations in a row with exactly the same accuracy"),
        "moved": Threshold(1e-3, "relative range of the loss below which nothing was trained at all"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("low-confidence",),
)
