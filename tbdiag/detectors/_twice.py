"""What loss and accuracy say together about a softmax that is applied twice."""

from __future__ import annotations

from math import e, log

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts
from tbdiag.model import Direction, Scale


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
    close = abs(classes - round(classes)) < (0.3 if len(sums) == 2 else 0.12)
    if not close or not 1.9 <= classes <= (100 if len(sums) == 2 else 12):
        return []
    k = round(classes)
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
