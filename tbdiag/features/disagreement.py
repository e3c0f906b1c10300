"""Loss and metric of one split need not turn at the same point: what the metric does behind the best point of the loss.

A cross-entropy rises with the certainty of wrong answers while the share of right ones still grows (Guo et al., "On calibration of modern neural
networks", 2017); then the best checkpoint by loss is not the best by metric.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.features.curves import CurveFacts
from tbdiag.features.pairs import progress
from tbdiag.stats.noise import median

SIGMAS, SHARE, OF_GAIN = 3.0, 0.02, 0.05
"""A metric gains where it moves by more than all of: its noise three times, 2 % of its value, a twentieth of what it had gained."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A metric from the best point of a loss to the end of the run, as logged.

    Attributes:
        then, end: median of three points around the loss's best, and of the last tenth.
        best, best_step: best logged point, and its step on the metric's own axis.
        gains: whether it ends better than it was then; holds: whether it ends no worse, both beyond noise.
    """

    then: float
    end: float
    best: float
    best_step: int
    gains: bool
    holds: bool


def look_behind(loss: CurveFacts, metric: CurveFacts) -> Behind | None:
    """What the metric does behind the best logged point of the loss; None for fewer than four points of either."""
    if min(loss.n, metric.n) < 4:
        return None
    at = progress(loss, loss.step[[int(np.argmin(loss.cost))]].astype(np.float64), metric)
    i = max(int(metric.step.searchsorted(float(at[0]) + 1e-9, side="right")) - 1, 0)
    then, lowest = median(metric.cost[max(i - 1, 0) : i + 2]), int(np.argmin(metric.cost))
    gained = max(metric.start_cost - metric.best_cost, 0.0)
    size = max(SIGMAS * metric.sigma, SHARE * abs(then), OF_GAIN * gained)
    return Behind(
        then=metric.sign * then,
        end=metric.end,
        best=float(metric.value[lowest]),
        best_step=int(metric.step[lowest]),
        gains=then - metric.end_cost > size and lowest > i,
        holds=metric.end_cost - then < size,
    )
