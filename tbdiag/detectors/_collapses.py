"""Signs of a prediction collapse: class shares, class recalls, the spread of the outputs, a metric that never moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.detectors._base import Evidence, Interval, Predicate, View, predicate
from tbdiag.detectors._tails import begins, fits_training, lasts, name_some, say, since, tail
from tbdiag.features import CurveFacts
from tbdiag.features.predictions import bound_recall, class_curves, share_unit
from tbdiag.features.progress import measure_progress
from tbdiag.model import Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

Sign = tuple[Evidence, Interval, Interval, float, tuple[Predicate, ...], tuple[str, ...], str]
"""Evidence, onset, extent, confidence, success predicates, roles, what collapsed."""


def _accuracy_tail(view: View) -> tuple[CurveFacts, float] | None:
    """The lowest accuracy of any split, as the median of its tail: a split of one class must not hide a collapse on the other."""
    known = [(c, median(tail(c))) for c in (view.curve("val_accuracy"), view.curve("train_accuracy")) if c is not None]
    return min(known, key=lambda pair: pair[1]) if known else None


@dataclass(frozen=True, slots=True)
class SoleClass:
    """The only class that is found: its curve among all `curves`, the largest recall of another class, and what makes fractions of values."""

    found: CurveFacts
    others: float
    curves: tuple[CurveFacts, ...]
    scale: float


def find_sole_class(view: View, least: float) -> SoleClass | None:
    """The class whose recall is `least` or more over the last 30 % of the run while that of every other class is at most ``1 - least``."""
    curves = class_curves(view.features, Role.CLASS_METRIC, kind="recall")
    if len(curves) < 2:
        return None
    scale = share_unit(*(c.value for c in curves))
    ends = [median(tail(c)) * scale for c in curves]
    top, others = ends.index(max(ends)), sorted(ends)[-2]
    return SoleClass(curves[top], others, curves, scale) if ends[top] >= least and others <= 1.0 - least else None


def answers_one_class(view: View, least: float) -> bool:
    """Whether shares of the predictions or recalls show that one class is all that is answered."""
    share = view.curve("max_class_share")
    return (share is not None and median(tail(share)) >= least) or find_sole_class(view, least) is not None


def by_shares(view: View) -> Sign | None:
    share = view.curve("max_class_share")
    if share is None:
        return None
    last = tail(share)
    level = median(last)
    label = view.curve("max_label_share")
    if level < view["share"] - 0.03 or (label is not None and level <= median(tail(label)) + 0.02):
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
        bound = bound_recall(level, value)
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


def by_recalls(view: View) -> Sign | None:
    """One class that is always found and all others never: every sample is called that class."""
    accuracy, sole = _accuracy_tail(view), find_sole_class(view, view["share"])
    if sole is None or view.curve("max_class_share") is not None or (accuracy is not None and accuracy[1] >= view["accuracy"]):
        return None
    curves, found, others, scale = sole.curves, sole.found, sole.others, sole.scale
    index = since(found.value * scale >= view["share"])
    for curve in curves:
        if curve is not found and curve.n == found.n:
            low = since(curve.value * scale <= 1.0 - view["share"])
            index = max(index or 0, found.n - 1 if low is None else low)
    index = found.n - 1 if index is None else index
    if found.n - index < min(3, found.n):
        return None
    evidence = say(
        f"The recall of class {name_some([found.signal.class_id or found.name])} is {{found:.3g}} and that of every other of the {{classes:.0f}} classes at "
        "most {others:.3g}: every sample is called that class.",
        [c.name for c in curves],
        found=median(tail(found)) * scale,
        classes=float(len(curves)),
        others=others,
    )
    rules = (predicate("min_class_recall", "end", ">=", 0.1, source="every class is found at least now and then"),)
    sure = confidence((found.n - index) / 3.0, supports=1)
    what = f"every sample is called class '{found.signal.class_id or found.name}'"
    return evidence, begins(found.step, index), lasts(found.step, index), sure, rules, ("class_metric",), what


def by_spread(view: View) -> Sign | None:
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
        end = median(tail(curve))
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


def by_histogram(view: View) -> Sign | None:
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


def by_size_of_loss(view: View) -> Sign | None:
    """Outputs that vary by a fiftieth of what the loss says that they are off by, at every evaluation, under a loss that gains nothing.

    The error of a constant answer is the spread of the targets, of which a squared loss is the square: what varies so little explains next to nothing.
    """
    loss = view.curve("val_loss") or view.curve("train_loss")
    if (
        loss is None
        or loss.n < 6
        or loss.signed
        or view.signals.classes
        or _accuracy_tail(view) is not None
        or loss.gain > 0.05 * loss.first_cost
    ):
        return None
    off = min(loss.end_cost, float(np.sqrt(loss.end_cost)))
    for facts in view.histograms(Role.PREDICTION_HISTOGRAM):
        if facts.n < 4 or not np.isfinite(facts.std).all() or float(facts.std.max()) > view["std_ratio"] * off:
            continue
        widest = float(facts.std.max())
        text = "The outputs never vary by more than {widest:.3g} (standard deviation) while the loss stands at {end:.4g}: every sample gets the same answer."
        evidence = say(text, (facts.name, loss), widest=widest, end=loss.end)
        sure = confidence(view["std_ratio"] * off / max(widest, 1e-300), doubts=1)
        rules = (predicate(loss.signal.key, "best", "<", 0.9 * loss.first, sd_times=-4.0, source="nine tenths of the start"),)
        what = "the output is the same for every sample"
        return evidence, begins(facts.step, 0), lasts(facts.step, 0), sure, rules, ("prediction_histogram",), what
    return None


def by_constant_accuracy(view: View) -> Sign | None:
    accuracy, loss = view.curve("val_accuracy"), view.curve("val_loss")
    if accuracy is None or accuracy.n < view["constant_evaluations"] or view.curve("max_class_share") is not None:
        return None
    level = float(accuracy.value[-1])
    index = since(np.abs(accuracy.value - level) <= 1e-6)
    if index is None or accuracy.n - index < max(view["constant_evaluations"], view["constant_share"] * accuracy.n):
        return None
    classes = view.signals.classes
    at_chance = level <= view["at_chance"] / classes if classes else level <= view["at_chance_unknown"]
    if not at_chance or loss is None or loss.bad_step.size or loss.n < view["constant_evaluations"]:
        return None
    # Weights that hardly move keep their accuracy as well.
    moved = (
        float(np.ptp(loss.value[loss.n // 3 :])) > view["moved"] * abs(median(loss.value)) and float(np.ptp(loss.value)) > 0.01 * loss.first
    )
    if not moved or (view.signals.chance and loss.end < 0.9 * view.signals.chance):
        return None
    raw = view.curve("val_metric")
    # As the log has it, which may be in percent.
    percent = raw is not None and raw.name == accuracy.signal.why and level > 0 and abs(float(raw.value[-1]) / level - 100) < 1e-3
    told, sign = (100 * level, " %") if percent else (level, "")
    evidence = say(
        f"The validation accuracy is exactly {{level:.4g}}{sign} at {{count:.0f}} evaluations in a row while the validation loss moves.",
        (accuracy.signal.why, loss),
        level=told,
        count=float(accuracy.n - index),
    )
    rules = (predicate("val_accuracy", "distinct", ">", 2.0, source="more than two different values"),)
    what = f"the validation accuracy stays at exactly {told:.4g}{sign}"
    return (
        evidence,
        begins(accuracy.step, index),
        lasts(accuracy.step, index),
        confidence((accuracy.n - index) / view["constant_evaluations"], doubts=1),
        rules,
        ("val_metric",),
        what,
    )


def by_nothing_found(view: View) -> Sign | None:
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
        if index is None or curve.n - index < max(view["constant_evaluations"], view["constant_share"] * curve.n):
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


def by_macro_f1(view: View) -> Sign | None:
    """The macro F1 score is that of a single answer: with its share p among the labels, 2 p / (1 + p) over the number of classes.

    Accuracy is p then, so that both together imply a whole number of classes, the same one at every evaluation.
    """
    f1, accuracy = view.curve("val_macro_f1"), view.curve("val_accuracy")
    if f1 is None or accuracy is None or f1.n != accuracy.n or f1.n < view["constant_evaluations"] or float(f1.value.min()) <= 0:
        return None
    p, values = np.clip(accuracy.value, 0.0, 1.0), f1.value * (0.01 if float(f1.value.max()) > 1.0 else 1.0)
    implied = 2 * p / ((1 + p) * values)
    classes = round(median(implied))
    single = np.abs(implied - classes) < view["macro_f1"] * classes
    last = single[single.size // 3 :]
    if classes < 3 or not single[-1] or float(last.mean()) < 0.5 or float(p[-1]) > 2.5 / classes:
        return None
    index = int(np.argmax(single))
    evidence = say(
        "With an accuracy of {accuracy:.4g} a single answer among {classes:.0f} classes has a macro F1 of {expected:.4g}; it is {f1:.4g}, "
        "and so at {count:.0f} of {n:.0f} evaluations.",
        (accuracy.signal.why, f1.signal.why),
        accuracy=float(p[-1]),
        classes=float(classes),
        expected=2 * float(p[-1]) / (1 + float(p[-1])) / classes,
        f1=float(values[-1]),
        count=float(single.sum()),
        n=float(single.size),
    )
    rules = (predicate("val_macro_f1", "end", ">", 1.5 * float(values[-1]), source="half as high again as that of a single answer"),)
    what = f"every sample gets the same of {classes} classes"
    onset, extent = begins(f1.step, index), lasts(f1.step, index)
    return evidence, onset, extent, confidence(float(single.sum()) / view["constant_evaluations"]), rules, ("val_metric",), what
