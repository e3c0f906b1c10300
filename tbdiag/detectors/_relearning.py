"""A training loss that jumps and learns anew from there: other training data, for `sudden_shift`."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts
from tbdiag.stats.change import levels_around
from tbdiag.stats.noise import estimate_noise, median


def relearned(view: View, train: CurveFacts, val: CurveFacts) -> tuple[int, float, float, float] | None:
    """A training loss that jumps between two points and learns anew from there, while validation is worse ever after: other data."""
    y = train.trace.shape
    steps = np.diff(y)
    at = int(np.argmax(steps))
    if at < min(8, y.size // 3) or y.size - at < min(9, y.size // 3):
        return None
    low, high = median(y[at - 4 : at + 1]), median(y[at + 1 : at + 4])
    jump, behind = high - low, y[at + 1 :]
    if not (steps[at] > 0.7 * jump and jump > view["of_gain"] * (float(y[:3].max()) - low)):
        return None
    ends = median(behind[-max(3, behind.size // 5) :])
    learns = low + 0.1 * jump < ends < high - 0.2 * jump and bool(np.all(np.diff(np.array_split(behind, 4)[0]) < 0.5 * jump))
    if not (learns and median(behind[: behind.size // 4]) > low + 0.4 * jump):
        return None
    sigma = estimate_noise(y[: at + 1]).sigma
    if not jump > view["sigmas"] * sigma:
        return None
    before = val.trace.step <= train.trace.last_step[at]
    if int(before.sum()) < 3 or int((~before).sum()) < 3:
        return None
    reached, after = float(val.trace.cost[before].min()), val.trace.cost[~before]
    worse = median(after[-3:]) - reached
    usual = float(np.diff(val.trace.cost[before]).max())
    lasting = float(after[1:].min()) > reached and worse > max(view["worse_after"] * (float(val.trace.cost[0]) - reached), 3 * usual)
    return (at, jump / max(sigma, 1e-12), *levels_around(train.trace.cost, at)) if lasting else None
