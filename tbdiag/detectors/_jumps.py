"""What jumped where a curve left its level (the learning rate, the gradient norm), and what did not."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Interval, View
from tbdiag.detectors._words import learning_rate, lower_to_usual, schedule, short, unit
from tbdiag.features import CurveFacts
from tbdiag.features.schedule import read_schedule
from tbdiag.model import Role, Split
from tbdiag.stats.change import levels_around
from tbdiag.stats.noise import median

MEND_LOSS = (
    "Enable gradient clipping at the 90th percentile of the gradient norm before the onset",
    "Lengthen the warm-up",
    "Verify normalisation of the inputs around the onset",
    "Use the numerically stable loss that takes logits",
    "With mixed precision: check loss scaling, or try bfloat16 or float32",
)


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
    numbers = {"usual": usual, "peak": peak}
    if (first := first_sign(view, curve, onset)) < onset.first_step:
        numbers["since"] = float(first)
    return numbers if peak > 5 * usual > 0 else None


def first_sign(view: View, curve: CurveFacts, onset: Interval) -> int:
    """Step of the earliest sign of a break: where the gradient norm left its level before `curve` did, else the onset's first step.

    From there on four fifths of the norms are above three times their median before; it lies a tenth of the run so far back at most.
    """
    grad = view.curve("grad_norm")
    if grad is None or grad.signal.axis is not curve.signal.axis:
        return onset.first_step
    start = int(curve.step[0])
    since = onset.first_step - 0.1 * (onset.first_step - start)
    calm, near = grad.value[grad.step < since], (grad.step >= since) & (grad.step <= onset.last_step)
    if calm.size < 10 or median(calm) <= 0 or not near.any():
        return onset.first_step
    high, steps = grad.value[near] > 3 * median(calm), grad.step[near]
    share = np.cumsum(high[::-1])[::-1] / np.arange(high.size, 0, -1)
    left = np.flatnonzero(high & (share >= 0.8))
    return min(int(steps[left[0]]), onset.first_step) if left.size else onset.first_step


def lower_and_restart(view: View, curve: CurveFacts, onset: Interval) -> str:
    """Action against a rate that broke a run late: a third of what the rate was there, from before the earliest sign."""
    first, lr, peak = first_sign(view, curve, onset), view.curve("lr"), learning_rate(view)
    before = lr.value[lr.step <= first] if lr is not None and lr.signal.axis is curve.signal.axis else np.empty(0)
    where = f"the last checkpoint before {unit(curve)} {first:,}"
    # Below its peak after a decay; during a warm-up the peak is still to come, and the one to lower.
    if before.size and peak is not None and float(before.max()) >= 0.99 * peak and 0 < float(before[-1]) < 0.9 * peak:
        now = float(before[-1])
        return f"Lower the learning rate to a third, from {short(now)} to {short(now / 3)} at {unit(curve)} {first:,}, and restart from {where}."
    return f"{lower_to_usual(view)} and restart from {where}."


def rate_jumped(view: View, first: int, last: int, curve: CurveFacts) -> bool:
    """Whether the learning rate at least doubled around the step."""
    lr = view.curve("lr")
    plan = schedule(view)
    if lr is None or plan is None or lr.signal.axis is not curve.signal.axis:
        return False
    slack = 0.02 * (curve.step[-1] - curve.step[0])
    return any(first - slack <= lr.step[i + 1] <= last + slack for i in plan.jumps)


def spared(view: View, curve: CurveFacts, at: int) -> bool:
    """Whether the step of a loss is not the optimiser's doing: the rate was logged and did not jump, or validation is what it was."""
    if _unmoved_lr(view) or _validation_stays(view, curve, at):
        return True
    metric = view.curve("val_accuracy")
    if metric is None or curve.signal.role is not Role.LOSS:
        return False
    before = metric.cost[metric.step <= curve.trace.step[at]][-3:]
    behind = metric.cost[metric.step > curve.trace.step[at]]
    if before.size < 3 or behind.size < 4:
        return False
    return bool(median(behind[:3]) <= median(before) + max(2 * metric.sigma, 0.01) and median(behind) <= median(before) + metric.sigma)


def _validation_stays(view: View, train: CurveFacts, at: int) -> bool:
    """Whether a training loss jumps while validation, evaluated three times before and behind, does not: the weights are as good as before."""
    val = view.curve("val_loss")
    if val is None or train.signal.split is not Split.TRAIN or val.signal.axis is not train.signal.axis:
        return False
    level, thrown = levels_around(train.trace.cost, at)
    before, behind = val.cost[val.step <= train.trace.last_step[at]][-3:], val.cost[val.step > train.trace.last_step[at + 1]]
    if min(before.size, behind.size) < 3:
        return False
    return bool(max(median(behind[:3]), median(behind)) <= median(before) + 0.1 * (thrown - level))


def _unmoved_lr(view: View) -> bool:
    """Whether a learning rate was logged and never jumped: then a step of the training loss is not its doing."""
    plan = schedule(view)
    return plan is not None and not plan.jumps and not plan.cyclic
