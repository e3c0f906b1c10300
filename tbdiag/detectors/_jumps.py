"""What jumped where a curve left its level: the learning rate, the gradient norm."""

from __future__ import annotations

from tbdiag.detectors._base import Interval, View
from tbdiag.features import CurveFacts
from tbdiag.features.schedule import read_schedule
from tbdiag.stats.noise import median


def lr_jump(view: View, curve: CurveFacts, onset: Interval) -> dict[str, float] | None:
    """A rise of the learning rate by half or more shortly before or at the onset."""
    lr = view.curve("lr")
    if lr is None or lr.n < 2 or lr.signal.axis is not curve.signal.axis:
        return None
    span = max(float(curve.step[-1] - curve.step[0]), 1.0)
    for i in read_schedule(lr).jumps:
        at = int(lr.step[i + 1])
        if onset.first_step - 0.1 * span <= at <= onset.last_step + 0.02 * span:
            return {"before": float(lr.value[i]), "after": float(lr.value[i + 1]), "step": float(at)}
    return None


def grad_jump(view: View, curve: CurveFacts, onset: Interval) -> dict[str, float] | None:
    grad = view.curve("grad_norm")
    if grad is None or grad.n < 10 or grad.signal.axis is not curve.signal.axis:
        return None
    before = grad.value[grad.step <= onset.first_step]
    span = max(float(curve.step[-1] - curve.step[0]), 1.0)
    near = grad.value[(grad.step > onset.first_step - 0.02 * span) & (grad.step <= onset.last_step + 0.05 * span)]
    if before.size < 5 or not near.size:
        return None
    usual, peak = median(before), float(near.max())
    return {"usual": usual, "peak": peak} if peak > 5 * usual > 0 else None
