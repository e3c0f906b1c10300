"""Evaluations that stand still: weights that hardly move any more, whatever the learning rate in the log says."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._flatness import is_rounded, share_gained
from tbdiag.detectors._words import label, say, schedule, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import end_quality, rest_of_loss
from tbdiag.features.schedule import decayed_by
from tbdiag.model import Direction
from tbdiag.stats.noise import median
from tbdiag.stats.oscillation import scatter


def crawls(view: View, val: CurveFacts, train: CurveFacts, metric: CurveFacts | None) -> Evidence | None:
    """Evaluations that lie on a smooth line while single batches scatter and much loss is left; None where they do not.

    A model that is still trained by noisy gradients scatters from one evaluation to the next. Good runs under a schedule that nobody logged
    come to such a stand as well: later, less still, and with less of the loss left.
    """
    rest = rest_of_loss(val, view.features, val.end_cost)
    if val is train or rest is None or rest <= view["line_left"]:
        return None
    if (end_quality(metric, view.features) or 0.0) >= 0.9:
        return None
    return _lies_on_a_line(val, train, view["line"], 0.25, 6.0) or _lies_on_a_line(val, train, 0.2 * view["line"], 0.45, 2.0)


def _lies_on_a_line(val: CurveFacts, train: CurveFacts, least: float, share: float, bent: float) -> Evidence | None:
    """Evaluations that lie on a smooth line from a `share` of the run on, while single batches scatter: weights that hardly move any more.

    A model that is still trained by noisy gradients scatters from one evaluation to the next. `least` bounds the scatter as a share of the
    level: the geometric mean of the largest bend (second difference) in the next 35 % of the run, when no schedule is down yet, and of the middle
    one of all that follows. Its first third may be `bent` times as steep as its last: a rate at its floor keeps its slope, one that still
    decays loses it.
    """
    y, n = val.value.astype(np.float64), val.n
    base = max(train.first_cost, float(train.cost[0]), float(y[0]))
    if n < 8 or train.n < 8 or val.signed or train.signed or val.signal.direction is not Direction.LOWER:
        return None
    first = max(1, int(np.ceil(share * n)) - 1)
    tail, level = y[first:], float(np.median(y[-3:]))
    if base - level < 0.1 * base or level <= 0 or float(np.ptp(tail)) > 0.1 * (base - level):
        return None
    if np.unique(tail).size < 0.8 * tail.size:
        return None  # of numbers that were rounded nobody knows how straight they lay
    bends = np.abs(np.diff(tail, 2)) / level
    worst, middle = float(bends[: max(3, int(np.ceil(0.35 * n)) - 1)].max()), float(np.median(bends))
    late = train.value[train.n // 4 :].astype(np.float64)
    batches = float(np.median(np.abs(np.diff(late, 2)))) / max(abs(float(np.median(late))), 1e-12)
    third = max(2, tail.size // 3)
    steep = float(tail[0] - tail[third]) > bent * float(tail[-1 - third] - tail[-1])
    if steep or (worst * middle) ** 0.5 > least or batches < 10 * middle:
        return None
    return say(
        f"From {unit(val)} {{since:,}} on the evaluations lie on a line, to {{middle:.2g}} of their level, while the {label(train)} scatters by "
        "{batches:.1%}: weights that are still trained do not stand so still.",
        (val, train),
        since=int(val.step[first]),
        middle=middle,
        batches=batches,
    )


def repeats(val: CurveFacts, train: CurveFacts) -> tuple[int, Evidence] | None:
    """Where evaluations begin to be the same to the last digit, four and a quarter of all at least, while training's batches differ.

    No weights that still get updates do that (none of 690 healthy trainings did). A best value so far repeats earlier as well, and
    numbers of few digits repeat by chance.
    """
    y = val.value
    if val is train or val.n < 8 or val.trace.n != val.n or train.n < 8 or not np.isfinite(y).all():
        return None
    steps = np.diff(y) != 0
    last = int(np.flatnonzero(steps)[-1]) + 1 if steps.any() else 0
    count = val.n - last
    late = train.value[-max(4, train.n // 4) :]
    if (
        count < max(4, val.n / 4)
        or last < 2
        or not steps[:last].all()
        or is_rounded(float(y[-1]))
        or np.unique(late).size < 0.8 * late.size
    ):
        return None
    text = f"From {unit(val)} {{since:,}} on all {{count}} evaluations of the {label(val)} are the same to the last digit, {{level:.6g}}, while the "
    text += f"{label(train)} goes on changing from batch to batch: no update reaches the weights that are evaluated."
    return last, say(text, (val, train), since=int(val.step[last]), count=count, level=float(y[-1]))


def stopped_moving(view: View, curve: CurveFacts, train: CurveFacts, since: int) -> Evidence | None:
    """Evaluations that no longer change while gradients are as large as ever: updates have lost their size."""
    flat = curve.trace.cost[since:]
    if curve is train or flat.size < 5:
        return None
    half = flat[flat.size // 3 :]
    spread, level = float(np.ptp(half)), abs(float(half[-1]))
    # Weights that stand still give a smooth line; noise of a thousandth is the noise of an evaluation, not standing still.
    if (
        (spread == 0 and is_rounded(level))
        or spread > view["frozen"] * level
        or scatter(half) > 0.1 * view["frozen"] * level
        or max(share_gained(curve), share_gained(train)) < 0.1
    ):
        return None
    grad = view.curve("grad_norm")
    if grad is not None and grad.n >= 10 and median(grad.value[-max(3, grad.n // 10) :]) < 0.3 * median(grad.value):
        return None
    return say(
        f"The last {{count}} evaluations of the {label(curve)} " + ("differ by only {spread:.2g}." if spread else "are the same number."),
        (curve,),
        count=half.size,
        **({"spread": spread} if spread else {}),
    )


def annealed_late(view: View) -> bool:
    """Whether the logged learning rate was lowered as schedules do: by steps or gradually, but not early; then standing still is its purpose."""
    plan, lr = schedule(view), view.curve("lr")
    return plan is not None and lr is not None and plan.end < 0.5 * plan.peak and not decayed_by(lr, 0.4)
