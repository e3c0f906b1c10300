"""Nearly all predictions are one class, or the output is a constant.

What it means
    Whatever comes in, the model answers the same: one class for every sample, or one number for every target. The classes that it
    never predicts are all missed.

Why it matters
    The loss can still fall towards the entropy of the labels and look like learning, while the model has not used its input.

How it is told
    From logged class shares or counts: with a share p of other predictions and an error rate e, the recall of all other
    classes together is at most p / (e + p); collapse is a bound below 0.1 over the last 30 % of the run with an accuracy
    below 0.75 (with a higher accuracy the same sign is class-imbalance, unless the training accuracy is perfect: then the
    training data hold one class). Without an accuracy the largest share must be 0.98 or more and exceed the label's share.
    From class recalls: one class at 0.98 or more and all others at 0.02 or less. From prediction statistics or histograms:
    the spread of the outputs is at most 0.001 of its largest value, or 0.02 of the targets' spread (without an accuracy, and where the
    loss gains nothing: of the loss and of its root, between which the error of a constant answer lies). From the metric alone:
    a validation accuracy that is exactly constant over at least five evaluations at or below chance while the validation
    loss moves; or a macro F1 score that is exactly that of a single answer at most evaluations; or, in a run that learned
    nothing, a recall or F1 score that is exactly zero at every evaluation.

First check
    Print class counts of labels and predictions for one batch and for the validation set.

First action
    Log the per-class counts of labels and predictions of one batch and fix the target encoding or the sampling that they show. Where it
    had learned before (three times the accuracy of guessing and four fifths of its loss): lower the learning rate, and warm up for longer.

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
)
from tbdiag.detectors._collapses import (
    by_constant_accuracy,
    by_histogram,
    by_macro_f1,
    by_nothing_found,
    by_recalls,
    by_shares,
    by_size_of_loss,
    by_spread,
)
from tbdiag.detectors._tails import say
from tbdiag.detectors._words import BEARABLE, learning_rate, lower_to_usual
from tbdiag.features.progress import PROGRESS_ROLES
from tbdiag.stats.noise import median

_CHECK_OUTPUT = "Feed two very different samples and compare the activations layer by layer: where do they become equal?"
_FIX_OUTPUT = "Print mean and spread of every layer's output for one batch and repair the first layer whose spread is zero."


def detect(view: View) -> Finding | NotApplicable | None:
    """The spread of the outputs, then class shares, then a metric that never moves."""
    sign = by_spread(view) or by_histogram(view) or by_size_of_loss(view)
    if sign is None and _trained(view):
        # An untrained model may well answer one class; that is no-learning, whatever it predicts.
        sign = by_shares(view) or by_recalls(view) or by_macro_f1(view) or by_constant_accuracy(view) or by_nothing_found(view)
    if sign is None:
        return None
    evidence, onset, extent, sure, rules, roles, what = sign
    constant = rules[0].role == "prediction_stat" or rules[0].role.endswith("loss")
    learned = _learned_before(view, onset.first_step)
    beyond = (learning_rate(view) or 0.0) > BEARABLE["sgd"]
    lost = () if learned is None else (learned, *_norm_before(view, onset))
    return Finding(
        id="prediction-collapse",
        severity=Severity.ERROR,
        confidence=sure,
        title=f"Prediction collapse: {what}",
        onset=onset,
        extent=extent,
        evidence=(evidence, *lost),
        causes=_causes(learned=bool(lost), grew=len(lost) > 1),
        first_check=f"Compare step {onset.last_step:,} with the learning rate, its warm-up, and the gradient norm."
        if lost
        else _CHECK_OUTPUT
        if constant
        else "Print class counts of labels and predictions for one batch and for the validation set.",
        first_action=f"{lower_to_usual(view, 0.1 if beyond else 1 / 3)}, with a warm-up twice as long, and restart from the last checkpoint before step {onset.first_step:,}."
        if lost
        else _FIX_OUTPUT
        if constant
        else "Log the per-class counts of labels and predictions of one batch and fix the target encoding or the sampling that they show.",
        fixes=(
            *(("Clip the global gradient norm at its level before",) if lost else ()),
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


def _causes(*, learned: bool, grew: bool) -> tuple[Cause, ...]:
    """What had learned for a while has labels and an output that fit: its features were lost."""
    encoding = Cause("Labels or sampling show the model one class only, or labels are encoded wrongly")
    shape = Cause("The output layer has the wrong shape or activation for the loss")
    killed = Cause(
        "A learning rate that killed the features: the last layer's bias is all that is left",
        ("it had learned before, and the gradient norm grew tenfold" if grew else "it had learned before") if learned else "",
    )
    imbalance = Cause("Strong class imbalance with an unweighted loss")
    if learned:
        return killed, Cause("Labels or sampling changed at that step: the model is shown one class only")
    return encoding, shape, killed, imbalance


def _learned_before(view: View, step: int) -> Evidence | None:
    """What three evaluations or more before the collapse had learned: three times the accuracy of guessing, or a fifth of its loss."""
    accuracy, loss = view.curve("val_accuracy"), view.curve("val_loss")
    if accuracy is None or loss is None or int(np.sum(accuracy.step <= step)) < 3 or not np.any(loss.step <= step):
        return None
    classes, chance = view.signals.classes, view.signals.chance
    best, low = float(accuracy.value[accuracy.step <= step].max()), float(loss.value[loss.step <= step].min())
    if not classes or not chance or best < 3 / classes or low > 0.8 * chance:
        return None
    text = "It had learned before: by step {step:,.0f} the validation loss was {low:.4g}, where guessing gives {chance:.4g}."
    return say(text, (loss,), step=float(step), low=low, chance=chance)


def _norm_before(view: View, onset: Interval) -> tuple[Evidence, ...]:
    """A gradient norm that grew tenfold up to the collapse."""
    norm = view.curve("grad_norm")
    if norm is None:
        return ()
    usual, near = norm.value[norm.step < onset.first_step], norm.value[(norm.step >= onset.first_step) & (norm.step <= onset.last_step)]
    if usual.size < 3 or not near.size or median(usual) <= 0 or float(near.max()) < 10 * median(usual):
        return ()
    text = "The gradient norm rose from {usual:.3g} to {peak:.3g} just before it."
    return (say(text, (norm,), usual=median(usual), peak=float(near.max())),)


def _trained(view: View) -> bool:
    """Whether the loss moved at all."""
    loss = view.curve("val_loss") or view.curve("train_loss")
    return loss is None or loss.n < 4 or float(np.ptp(loss.value)) > view["moved"] * abs(median(loss.value))


def _sentence(rules: tuple[Predicate, ...]) -> str:
    if rules[0].role == "max_class_share":
        return "No class holds more than 0.9 of the predictions in the last 30 % of the run."
    if rules[0].role == "min_class_recall":
        return "The class that is found least is found in at least a tenth of its samples."
    if rules[0].role == "val_macro_f1":
        return "The macro F1 score ends half as high again as that of a single answer."
    if rules[0].role in ("val_f1", "val_recall"):
        return "Positives are found: the score ends above 0.1."
    if rules[0].role.endswith("loss"):
        return "The loss gets below nine tenths of where it began, by more than its noise."
    return "The outputs vary again and the validation accuracy is no longer one constant value."


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


def _one_class_by_recall() -> object:
    rng = np.random.default_rng(96)
    n = 16
    series = {"loss/train": 1.38 + rng.normal(0, 0.02, n), "loss/val": 1.35 + rng.normal(0, 0.01, n), "val/accuracy": np.full(n, 0.42)}
    series["loss/train"][0] = 1.6
    return _synth.make_run(series | {f"val/recall/{c}": np.full(n, float(c == 0)) for c in range(5)})


def _outputs(spread: float) -> object:
    rng = np.random.default_rng(97)
    n = 18
    made = {"loss/train": 0.92 + rng.normal(0, 0.02, n), "loss/val": 0.914 + rng.normal(0, 0.0003, n)}
    predictions = _synth.make_histograms("predictions", [rng.normal(0, spread, 450) for _ in range(n)])
    return _synth.make_run(made, histograms=[predictions])


def _the_same_for_all() -> object:
    return _outputs(0.001)


def _unrelated_to_the_targets() -> object:
    return _outputs(0.3)


EXAMPLES = (
    Example("outputs a thousandth as wide as the error", _the_same_for_all, fires=True),
    Example("outputs that vary, of a model that learns nothing", _unrelated_to_the_targets, fires=False),
    Example("recall 1 for one class and 0 for the others", _one_class_by_recall, fires=True),
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
    needs=(("max_class_share", "prediction_stat", "prediction_histogram", "val_accuracy", "val_f1", "val_recall", "class_metric"),),
    wants=("prediction_share", "class_metric", "val_macro_f1", "val_metric", "lr", "grad_norm", *PROGRESS_ROLES),
    thresholds={
        "share": Threshold(0.98, "largest share of one class; literature 7.2"),
        "recall_bound": Threshold(0.1, "upper bound of the recall of all other classes together"),
        "accuracy": Threshold(0.75, "a higher accuracy with the same shares is class-imbalance"),
        "std_share": Threshold(1e-3, "spread of the outputs against its largest value; literature 7.2"),
        "std_ratio": Threshold(0.02, "spread of the outputs against that of the targets: explains at most 0.04 % of the variance"),
        "constant_evaluations": Threshold(5, "evaluations in a row with exactly the same accuracy"),
        "constant_share": Threshold(0.6, "of all evaluations, that these make"),
        "at_chance": Threshold(1.3, "over the number of classes: a constant accuracy up to that is one of guessing"),
        "at_chance_unknown": Threshold(0.12, "the same where the number of classes is not known: ten classes and more"),
        "macro_f1": Threshold(0.01, "of the whole number of classes that accuracy and macro F1 of a single answer imply"),
        "moved": Threshold(1e-3, "relative range of the loss below which nothing was trained at all"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("low-confidence",),
)
