"""What loss and accuracy say together about a softmax that is applied twice."""

from __future__ import annotations

from math import e, log

import numpy as np

from tbdiag.detectors._at_odds import Odds, falls_below
from tbdiag.detectors._base import Cause, Evidence, View
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.model import Direction, Mark, Scale
from tbdiag.stats.confidence import confidence


def applied_twice(loss: CurveFacts, floor: float, evidence: Evidence, margin: float, what: str) -> Odds:
    """A loss that stands at the floor of a softmax or sigmoid (`what`) that is applied twice."""
    certain = what == "softmax"
    return Odds(
        loss,
        (evidence,),
        confidence(margin, supports=int(certain), cap=0.95 if certain else 0.7),
        f"Loss mismatch: the {label(loss)} stands at {loss.end:.4g}, the floor of {what} applied twice",
        (
            Cause(f"The head applies a {what} and the loss expects logits", "the level is the one that follows"),
            Cause("Probabilities are passed to a loss with from_logits"),
            Cause("Labels are encoded wrongly, or smoothed strongly"),
        ),
        f"Pass raw logits to the loss: remove the {what} in the head (or set from_logits), and check that the first batch's loss is ln K.",
        *falls_below(loss, floor),
    )


def end_accuracy(view: View, split: str) -> tuple[CurveFacts, float] | None:
    """The accuracy of a split and its last value as a fraction; None where the split logs another metric."""
    metric = view.curve(f"{split}_metric")
    if metric is None or "acc" not in metric.signal.stem.lower() or metric.signal.direction is not Direction.HIGHER:
        return None
    return metric, metric.end / (100.0 if metric.signal.scale is Scale.PERCENT or metric.end > 1.5 else 1.0)


def implied_classes(view: View) -> list[int]:
    """Number of classes that loss plus accuracy imply were softmax applied twice; empty where the two splits disagree."""
    sums = []
    for split in ("train", "val"):
        loss, known = view.curve(f"{split}_loss"), end_accuracy(view, split)
        if loss is not None and known is not None and known[0].n >= 4:
            sums.append(loss.end + known[1])
    if not sums or max(sums) - min(sums) > 0.03 or max(sums) > 10:
        return []
    classes = float(np.exp(np.mean(sums))) - e + 1
    # One split alone can hit an integer by luck; then the first loss must say the same.
    k = round(classes)
    close = abs(classes - k) < (0.3 if len(sums) == 2 else 0.12)
    if not close or classes < 1.9 or k > (100 if len(sums) == 2 else 12):
        return []
    starts = [float(c.value[0]) for c in (view.curve("train_loss"), view.curve("val_loss")) if c is not None]
    near = any(abs(s - log(k)) < 0.04 * log(k) for s in starts)
    return [k] if len(sums) == 2 or near else []


def follows(view: View, k: int) -> bool:
    """Whether loss plus accuracy is ln(e + k - 1) to a hundredth in both splits, and stays so over the last half of the run."""
    target = log(e + k - 1)
    for split in ("train", "val"):
        loss, known = view.curve(f"{split}_loss"), end_accuracy(view, split)
        if loss is None or known is None or loss.n != known[0].n or loss.n < 6:
            return False
        unit = known[1] / known[0].end if known[0].end else 1.0
        sums = loss.value + unit * known[0].value
        if float(np.max(np.abs(sums[sums.size // 2 :] - target))) > 0.02 or abs(float(np.mean(sums[sums.size // 2 :])) - target) > 0.01:
            return False
    return True


def softmax_twice(view: View, loss: CurveFacts, split: str) -> Odds | None:
    classes = guessing(view.features).classes
    known = end_accuracy(view, split) or end_accuracy(view, "val")
    if known is None or float(loss.value.min()) <= 0:
        return None
    metric, accuracy = known
    counts = [classes] if classes else implied_classes(view)
    for k in counts:
        if k is None or k < 2 or accuracy < max(0.5, min(5 / k, 0.8)):
            continue
        floor = log(e + k - 1) - 1
        if exceeds(view, 1.05 * (floor + 1)):
            continue
        # The floor is that of a softmax of one-hot vectors; of probabilities that are logged it is known exactly.
        expected = min((floor + 1 - accuracy, squashed(view, k, accuracy)), key=lambda x: abs(loss.end - x))
        off = abs(loss.end - expected) / expected
        # A usual classifier with that accuracy would be at a fraction of it; one that hovers there is no accident.
        usual = 3 * (1 - accuracy) + 0.05
        if not (off < view["floor"] and loss.end > view["above_usual"] * usual and float(loss.smooth.min()) > 0.98 * floor):
            continue
        came = 0.75 * log(k) < loss.start_cost < 1.2 * log(k) and loss.start_cost - loss.end > 0.08 * log(k)
        # It must come from guessing among k classes (which says little for two), or follow the accuracy.
        if (came and k != 2) or follows(view, k):
            evidence = say(
                f"The {label(loss)} ends at {{end:.4g}}. With {{classes}} classes and softmax applied twice an accuracy of {{accuracy:.3g}} costs "
                "{expected:.4g}; the loss can never fall below {floor:.4g}.",
                (loss, metric),
                (Mark("level", "floor", None, floor),),
                end=loss.end,
                classes=k,
                accuracy=accuracy,
                expected=expected,
                floor=floor,
            )
            return applied_twice(loss, floor, evidence, view["floor"] / max(off, 0.005), "softmax")
    return None


def exceeds(view: View, ceiling: float) -> bool:
    """Whether a loss was ever larger than any answer costs then: ln(e + k - 1), all of the probability on a wrong one."""
    losses = [c for c in (view.curve("train_loss"), view.curve("val_loss")) if c is not None]
    return any(float(c.value.max()) > ceiling for c in losses)


def squashed(view: View, k: int, accuracy: float) -> float:
    """Loss of softmax applied to probabilities whose largest is the logged mean confidence on average; infinite where none is logged.

    A confidence that a softmax of probabilities can give is that of the second softmax, and says nothing of the first.
    """
    logged = view.curve("val_confidence") or view.curve("confidence")
    if logged is None or logged.n < 4 or not e / (e + k - 1) + 0.1 < logged.end <= 1:
        return float("inf")
    top, rest = logged.end, (1 - logged.end) / (k - 1)
    return log(np.exp(top) + (k - 1) * np.exp(rest)) - accuracy * top - (1 - accuracy) * rest
