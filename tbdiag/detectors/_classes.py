"""Metrics that were logged for every class: a class that is hardly found, and classes that training lacks."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, Interval, Predicate, View, predicate
from tbdiag.detectors._tails import begins, lasts, name_some, say, since, tail
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.model import Role
from tbdiag.stats.noise import median

Sign = tuple[Evidence, Interval, Interval, float, tuple[Predicate, ...], tuple[str, ...]]
"""Evidence, onset, extent, margin, success rules and roles."""


def place(curve: CurveFacts, holds: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Interval, Interval]:
    """Onset and extent of a state that holds to the end (at the last point where it does not)."""
    index = since(holds)
    index = max(curve.n - 1, 0) if index is None else index
    return begins(curve.step, index), lasts(curve.step, index)


def by_classes(view: View) -> Sign | None:
    """The weakest class of every split and kind of metric, where the others are learned; None where none is hardly found."""
    groups: dict[tuple[str, str, str], list[CurveFacts]] = {}
    for curve in view.group(Role.CLASS_METRIC):
        text = f"{curve.signal.stem} {curve.signal.sub_kind or ''} {curve.name}".lower()
        kind = next((k for k in ("recall", "precision", "f1", "acc") if k in text), None)
        if kind is not None:
            groups.setdefault((curve.signal.split.value, curve.signal.sub_kind or "", kind), []).append(curve)
    for (_, _, kind), curves in sorted(groups.items()):
        if len(curves) < 3:
            continue
        scale = 0.01 if max(float(c.value.max()) for c in curves) > 1.5 else 1.0
        ends = np.array([median(tail(c)) for c in curves]) * scale
        weak = int(np.argmin(ends))
        middle = float(np.median(ends))
        worst = curves[weak]
        if ends[weak] >= view["recall"] or middle < view["median_class"] or float(tail(worst)[-1]) * scale >= view["recall"]:
            continue
        if _absent(view, curves, scale):
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
        return evidence, onset, extent, view["recall"] / max(float(ends[weak]), 0.01), (rule,), ("class_metric",)
    return None


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
    return evidence, onset, extent, view["prior_loss"] / left, (rule,), ("prediction_share", "val_loss")
