"""Whether a training loss was thrown up by other data rather than by the optimiser.

Weights that an update threw off are as wrong on validation as on training data, at once. Where the training data changed, the loss jumps
between two logged points, the model learns the new data from there, and validation on the old ones worsens only as far as the model
has moved since.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._words import label, say, schedule, unit
from tbdiag.features import CurveFacts
from tbdiag.model import Interval, Role
from tbdiag.stats.noise import Float64, mad, median, sliding

LAGS = 0.5
"""Share of the way to the training loss that validation has gone at its first evaluation behind the jump: about 1 for broken weights,
0.1 to 0.4 in trainings whose labels changed midway."""
LAGS_CALMLY = 0.85
"""The same where the loss comes down from its jump quietly under a learning rate that was logged and never raised: new data are learned."""
AT_ONCE = 0.75
"""The first five points behind the jump reach at least so much of what five points ever reach there."""
WIDTH = 5
FEWEST = 4


class DataChange(NamedTuple):
    """Step behind the jump, the training loss before it and when validation was evaluated next, and that evaluation."""

    step: int
    before: float
    behind: float
    val: float


def tell_data_change(change: DataChange, train: CurveFacts, val: CurveFacts) -> Evidence:
    """The sentence with the numbers of a change."""
    text = f"The {label(train)} jumped from {{before:.4g}} between two logged points, at {unit(train)} {{step:,}}; "
    text += "when it was {behind:.4g}, validation was {val:.4g}."
    return say(text, (train, val), (), **change._asdict())


def find_data_change(view: View, train: CurveFacts, val: CurveFacts, onset: Interval) -> DataChange | None:
    """The jump of a finite training loss at `onset` that validation follows only in part, or None.

    Args:
        view: tells whether the learning rate was logged and never jumped.
        train: the training loss; judged where at least four points before and five behind the onset were logged.
        val: the validation loss on the same axis.
        onset: where the training loss began to rise.
    """
    if train.signal.role is not Role.LOSS or val.signal.role is not Role.LOSS or train.signal.axis is not val.signal.axis:
        return None
    cost, step = train.cost, train.step
    begin = int(np.searchsorted(step, onset.first_step, side="right"))
    if begin < FEWEST or train.n - begin < WIDTH or train.bad_step.size or val.bad_step.size:
        return None
    usual = cost[max(begin - 10, 0) : begin]
    level = median(usual)
    levels = np.median(sliding(cost[begin:], WIDTH), axis=1)
    height = float(levels.max()) - level
    if height <= 0:
        return None
    jump = begin + int(np.argmax(cost[begin:] > level + 0.5 * height))
    # A point that averages over the steps since the last one may hold some of both.
    if float(cost[max(jump - 2, 0)]) > max(float(usual.max()), level + 0.1 * height) or train.n - jump < WIDTH:
        return None
    high = median(cost[jump : jump + WIDTH])
    first = int(np.searchsorted(val.step, step[jump]))
    if high - level < AT_ONCE * height or first >= val.n or first < 2:
        return None
    then = max(int(np.searchsorted(step, val.step[first], side="right")), jump + 1)
    beside = median(cost[max(then - WIDTH, jump) : then])
    before = median(val.cost[max(first - 3, 0) : first])
    if beside - before < 0.5 * (beside - level) or beside <= level:
        return None  # validation was as bad before
    share = (float(val.cost[first]) - before) / (beside - before)
    plan = schedule(view)
    calm = plan is not None and not plan.jumps and not plan.cyclic and _comes_down(cost[jump:], high - level)
    if share > (LAGS_CALMLY if calm else LAGS):
        return None
    return DataChange(int(step[jump]), train.sign * level, train.sign * beside, float(val.value[first]))


def _comes_down(cost: Float64, height: float) -> bool:
    """Whether a loss falls from its jump and is quiet; an optimiser that lost its way swings."""
    levels = np.median(sliding(cost, WIDTH), axis=1)
    quiet = mad(np.diff(cost[2:])) / np.sqrt(2) < 0.1 * height
    return bool(
        quiet and float(levels.max()) <= float(levels[0]) + 0.1 * height and median(cost[-WIDTH:]) < float(cost[:2].max()) - 0.1 * height
    )
