"""Metrics that were logged for every class: a class that is hardly found, and classes that training lacks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tbdiag.detectors._base import Evidence, Interval, Predicate, View, predicate
from tbdiag.detectors._tails import begins, lasts, name_some, say, since, tail
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.features.predictions import class_curves, share_unit
from tbdiag.model import Role
from tbdiag.stats.noise import median

_KINDS = (
    ("recall", re.compile(r"recall|sensitivity|tpr")),
    ("precision", re.compile(r"precision")),
    ("F1", re.compile(r"f1|f_?score")),
    ("accuracy", re.compile(r"acc")),
    ("IoU", re.compile(r"iou|jaccard")),
    ("Dice score", re.compile(r"dice|dsc")),
    ("AP", re.compile(r"(^|[^a-z])m?ap(_?\d+)*([^a-z]|$)|average_?precision")),
)
FOUND = "The weakest class is found at least 0.1 better than in this run."
"""Success rule where no accuracy is logged that could pay for it."""
OVERLAPS = frozenset({"IoU", "Dice score", "AP"})
"""Metrics that long tails of classes bring down gradually, and that are zero for a class that the evaluation lacks."""


@dataclass(frozen=True)
class Weakest:
    """The class that is found least: its name, metric, level over the last part, what it had before it broke (None: it did not).

    `never`: the metric is exactly zero throughout; `unseen`: it was never once above the limit of a class that is hardly found.
    """

    name: str
    kind: str
    level: float
    before: float | None = None
    never: bool = False
    unseen: bool = False


class Sign(NamedTuple):
    """What tells that a class is missed.

    `success`: the success rule in words; `mean`: the metric's name where only a mean over many (or unknown) classes is low.
    """

    evidence: Evidence
    onset: Interval
    extent: Interval
    margin: float
    rules: tuple[Predicate, ...]
    roles: tuple[str, ...]
    weakest: Weakest | None = None
    success: str = "The weakest class is found at least 0.1 better than in this run, and gains twice what the accuracy loses."
    mean: str = ""


def name_kind(curve: CurveFacts) -> str | None:
    """Which metric of a class this is, in words; None where the name does not say."""
    text = f"{curve.signal.stem} {curve.signal.sub_kind or ''} {curve.name}".lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(text)), None)


def find_weakest(view: View, curves: Sequence[CurveFacts], kind: str) -> Weakest | None:
    """The class with the lowest level over the last part, and whether it broke: learned, lost within two evaluations, while no other was."""
    if len(curves) < 2:
        return None
    scale = share_unit(*(c.value for c in curves))
    ends = [median(tail(c)) * scale for c in curves]
    weak = int(np.argmin(ends))
    worst, value = curves[weak], curves[weak].value * scale
    found = Weakest(
        worst.signal.class_id or worst.name, kind, ends[weak], never=not value.any(), unseen=float(value.max()) < view["recall"]
    )
    index = since(value < view["recall"])
    if index is None or index < 3 or worst.n - index < 2 or float(value[:index].max()) < view["median_class"]:
        return found
    before, step = median(value[max(index - 4, 0) : index - 1]), int(worst.step[index])
    if before < view["median_class"] or min(ends[:weak] + ends[weak + 1 :]) < view["recall"]:
        return found
    for i, other in enumerate(curves):
        seen = other.value[other.step < step] * scale
        if i != weak and (seen.size < 3 or ends[i] < 0.7 * median(seen[-4:])):
            return found
    return Weakest(found.name, kind, found.level, before)


def place(curve: CurveFacts, holds: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Interval, Interval]:
    """Onset and extent of a state that holds to the end (at the last point where it does not)."""
    index = since(holds)
    index = max(curve.n - 1, 0) if index is None else index
    return begins(curve.step, index), lasts(curve.step, index)


def measured(view: View) -> tuple[CurveFacts, ...]:
    """The metrics of classes that `min_class_recall` is made of."""
    return class_curves(view.features, Role.CLASS_METRIC, kind="recall") or class_curves(view.features, Role.CLASS_METRIC)


def levels(curves: Sequence[CurveFacts]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Level of every class over the last part, as a fraction; float64 ``[classes]``."""
    scale = share_unit(*(c.value for c in curves))
    return np.array([median(tail(c)) for c in curves]) * scale


def by_classes(view: View) -> Sign | None:
    """The weakest class of every split and kind of metric, where the others are learned; None where none is hardly found."""
    groups: dict[tuple[str, str, str], list[CurveFacts]] = {}
    for curve in view.group(Role.CLASS_METRIC):
        kind = name_kind(curve)
        if kind is not None:
            groups.setdefault((curve.signal.split.value, curve.signal.sub_kind or "", kind), []).append(curve)
    for (_, _, kind), curves in sorted(groups.items()):
        if len(curves) < 3:
            continue
        scale = share_unit(*(c.value for c in curves))
        ends = levels(curves)
        weak = int(np.argmin(ends))
        middle = float(np.median(ends))
        worst = curves[weak]
        if ends[weak] >= view["recall"] or middle < view["median_class"] or float(tail(worst)[-1]) * scale >= view["recall"]:
            continue
        if _absent(view, curves, scale) or (_long_tailed(view, kind, len(curves)) and not _stands_apart(view, ends)):
            continue
        onset, extent = place(worst, worst.value * scale < view["recall"])
        evidence = say(
            f"The {kind} of class {name_some([worst.signal.class_id or worst.name])} is {{weakest:.3g}} at the end of the run while the median "
            "class has {middle:.3g}; {weak:.0f} of {classes:.0f} classes are below {limit:g}.",
            curves,
            weak=float((ends < view["recall"]).sum()),
            classes=float(ends.size),
            limit=float(view["recall"]),
            weakest=float(ends[weak]),
            middle=middle,
        )
        rule = predicate("min_class_recall", "end", ">=", float(ends[weak]) + 0.1, source="0.1 above this run's end")
        known = find_weakest(view, curves, kind)
        margin = view["recall"] / max(float(ends[weak]), 0.01)
        return Sign(evidence, onset, extent, margin, (rule,), ("class_metric",), known, success=FOUND)
    return None


def _long_tailed(view: View, kind: str, classes: int) -> bool:
    """Whether some classes of a metric are ordinarily nearly never found: an overlap, or many classes."""
    return kind in OVERLAPS or classes > view["few_classes"]


def _stands_apart(view: View, ends: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether the classes that are hardly found are few and far below all others; in a long tail those next to them are low."""
    others = ends[ends >= view["recall"]]
    few = ends.size - others.size <= max(1, ends.size // 5)
    return few and bool(float(others.min()) >= view["next_class"])


def _absent(view: View, curves: list[CurveFacts], scale: float) -> bool:
    """Whether some classes are never found, not once, while all others are nearly always, and training fits what it has.

    A rare class is found now and then, and one that is hard drags its neighbours down. Several that are never found at all beside none
    that is weak are not in the training data, and weights in the loss cannot find what is not there: the gap is the symptom.
    """
    best = np.array([float(c.value.max()) for c in curves]) * scale
    ends = np.array([median(tail(c)) for c in curves]) * scale
    never = best == 0.0
    train, val = view.curve("train_accuracy"), view.curve("val_accuracy")
    apart = train is not None and val is not None and median(tail(train)) - median(tail(val)) >= view["absent_gap"]
    return apart and int(never.sum()) >= 2 and bool(np.all(ends[~never] >= view["found"])) and min(c.n for c in curves) >= 5


def by_prior(view: View) -> Sign | None:
    """One class holds all predictions, and the loss is far below that of classes of equal size: the class holds most of the samples.

    Whatever always answers alike has at least the loss of the shares of the classes; ``exp(-loss)`` is at most the share of the largest.
    """
    share, loss = view.curve("max_class_share"), view.curve("val_loss")
    classes = len(view.group(Role.PREDICTION_SHARE))
    chance = guessing(view.features).chance
    if share is None or loss is None or share.n < 4 or classes < 3 or chance is None or loss.bad_step.size:
        return None
    left = loss.end / chance
    if median(tail(share)) < view["one_class"] or not 0.02 < left < view["prior_loss"] or loss.end > loss.best + 0.1 * chance:
        return None
    onset, extent = place(share, share.value >= view["one_class"])
    evidence = say(
        "One of {classes} classes holds {share:.1%} of the predictions, and yet the loss is {loss:.4g} where classes of equal size leave "
        "{chance:.4g}: at least {most:.0%} of the samples are of that class.",
        (share.signal.why, loss.signal.why),
        classes=classes,
        share=median(tail(share)),
        loss=loss.end,
        chance=chance,
        most=float(np.exp(-loss.end)),
    )
    rule = predicate("max_class_share", "end", "<", 0.95, source="other classes are predicted at all")
    margin, said = view["prior_loss"] / left, "The most frequent answer ends below 95 % of the predictions."
    return Sign(evidence, onset, extent, margin, (rule,), ("prediction_share", "val_loss"), success=said)


def by_recall(view: View, accuracy: CurveFacts, level: float) -> Sign | None:
    """A weakest class (or an F1 score of a binary task) that is hardly found beside an accuracy of `level`."""
    for key, what in (("min_class_recall", "recall"), ("val_f1", "F1 score")):
        curve = view.curve(key)
        if curve is None or curve.step[-1] < accuracy.step[0]:
            continue
        low = tail(curve)
        weakest = float(np.median(low))
        if weakest >= view["recall"] or float(low[-1]) >= view["recall"]:
            continue
        said, known, classes = what, None, measured(view) if key == "min_class_recall" else ()
        if len(classes) > 1:
            kind = name_kind(classes[0]) or what
            known = find_weakest(view, classes, kind)
            if _long_tailed(view, kind, len(classes)) and not _stands_apart(view, levels(classes)):
                continue
            said = f"{kind} of the weakest class, {name_some([known.name])}," if known is not None else said
        onset, extent = place(curve, curve.value < view["recall"])
        evidence = say(
            f"The accuracy is {{accuracy:.4g}} at the end of the run while the {said} is {{weakest:.3g}}.",
            (accuracy.signal.why, *sources(view, curve)),
            accuracy=level,
            weakest=weakest,
        )
        found = rules(key, weakest, accuracy, level)
        return Sign(evidence, onset, extent, view["recall"] / max(weakest, 0.01), found, ("val_metric", key), known)
    return None


def by_balanced(view: View, accuracy: CurveFacts, level: float) -> Sign | None:
    """A mean over the classes, or an agreement beyond chance, far below an accuracy of `level`.

    Of two to ten classes the mean tells that one is lost. Of many, or of an unknown number, it ordinarily lies that low, as the long tails
    of segmentation and of species do, and is only noted; the agreement counts for any number.
    """
    for key, word, limit in (
        ("val_balanced_accuracy", "balanced accuracy", level - view["balanced_gap"]),
        ("val_macro_f1", "macro F1 score", level - view["macro_gap"]),
        ("val_agreement", "agreement beyond chance", view["recall"]),
    ):
        curve = view.curve(key)
        if curve is None:
            continue
        value = median(tail(curve))
        if value > limit or value > view["balanced_low"]:
            continue
        many = key != "val_agreement" and not _few_classes(view) and not _at_one_half(key, curve)
        if many and any(name_kind(c) in OVERLAPS for c in view.group(Role.METRIC)):
            continue
        onset, extent = place(curve, curve.value <= limit)
        evidence = say(
            f"The accuracy is {{accuracy:.4g}} at the end of the run while the {word} is {{value:.4g}}.",
            (accuracy.signal.why, *sources(view, curve)),
            accuracy=level,
            value=value,
        )
        margin = (level - value) / max(level - limit, 1e-9)
        said = f"The {word} ends at least 0.1 above this run's, and gains twice what the accuracy loses."
        found = rules(key, value, None, level)
        return Sign(evidence, onset, extent, margin, found, ("val_metric", key), success=said, mean=word if many else "")
    return None


def _few_classes(view: View) -> bool:
    """Whether the run is known to tell two to ten classes apart."""
    count = view.signals.classes or len(measured(view))
    return 2 <= count <= view["few_classes"]


def _at_one_half(key: str, curve: CurveFacts) -> bool:
    """Whether a balanced accuracy stands at one half from the first evaluation to the last: two classes, of which one is predicted."""
    return key == "val_balanced_accuracy" and curve.n >= 5 and bool(np.all(np.abs(curve.value - 0.5) <= 0.02))


def by_mean_recall(view: View, accuracy: CurveFacts) -> Sign | None:
    """An accuracy far above the mean class recall proves that classes differ in size, however high it is."""
    curve = view.curve("val_balanced_accuracy")
    lowest = view.curve("min_class_recall")
    if curve is None or lowest is None or not view.group(Role.CLASS_METRIC):
        return None
    level, mean = median(tail(accuracy)), median(tail(curve))
    if level - mean < view["balanced_gap"] or median(tail(lowest)) >= view["recall"]:
        return None
    onset, extent = place(lowest, lowest.value < view["recall"])
    evidence = say(
        "The accuracy is {accuracy:.4g} at the end of the run while the classes have a mean recall of {mean:.3g} and the weakest {weakest:.3g}.",
        (accuracy.signal.why, *(c.name for c in view.group(Role.CLASS_METRIC))),
        accuracy=level,
        mean=mean,
        weakest=median(tail(lowest)),
    )
    classes = measured(view)
    return Sign(
        evidence,
        onset,
        extent,
        (level - mean) / view["balanced_gap"],
        rules("min_class_recall", median(tail(lowest)), accuracy, level),
        ("val_metric", "class_metric"),
        find_weakest(view, classes, name_kind(classes[0]) or "recall"),
    )


def rules(weakest: str, level: float, accuracy: CurveFacts | None, value: float) -> tuple[Predicate, ...]:
    """The weakest class is found better, and accuracy does not pay for it twice over."""
    found = predicate(weakest, "end", ">=", level + 0.1, source="0.1 above this run's end")
    if accuracy is None:
        return (found,)
    # Where classes overlap, finding the rare one must cost accuracy; that it gains twice what is lost is better balanced accuracy.
    both, why = value + 0.5 * level, "this run's accuracy plus half of its weakest class"
    return (found, predicate(accuracy.name, "best", ">=", both, minus="end", minus_role=weakest, minus_times=-0.5, source=why))


def sources(view: View, curve: CurveFacts) -> tuple[str, ...]:
    """Names of the series that a derived curve was made of: one metric, or the metric of every class."""
    one = curve.signal.why
    return (one,) if one in view.features.run.series else tuple(c.name for c in view.group(Role.CLASS_METRIC))
