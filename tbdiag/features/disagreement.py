"""Loss and metric of one split need not turn at the same point: what the metric does behind the best point of the loss.

A cross-entropy rises with the certainty of wrong answers while the share of right ones still grows (Guo et al., "On calibration of modern neural
networks", 2017); then the best checkpoint by loss is not the best by metric.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from tbdiag.features.curves import CurveFacts
from tbdiag.features.pairs import progress
from tbdiag.model import Scale
from tbdiag.stats.noise import median

SIGMAS, SHARE, OF_ERROR, OF_GAIN = 3.0, 0.02, 0.25, 0.05
"""A metric gains where it moves by more than all of: its noise three times; 2 % of its value, or a quarter of what it is short of one; a twentieth of
what it had gained."""

_ONE_SIDED = re.compile(r"recall|precision|(^|[^a-z])prec|sensitivity|specificity|(^|[^a-z])([tf][pn]r|ppv|npv)([^a-z]|$)")

HELD = 0.005
"""A metric holds where it loses less than this share of its value, or one standard deviation of its noise (the end is a median of points)."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A metric from the best point of a loss to the end of the run, as logged.

    Attributes:
        then, end: median of three points around the loss's best, and of the last tenth.
        best, best_step: best logged point, and its step on the metric's own axis.
        gains: whether it ends better than it was then; holds: whether it ends no worse.
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
    share = min(SHARE * abs(then), OF_ERROR * _short(metric, then))
    return Behind(
        then=metric.sign * then,
        end=metric.end,
        best=float(metric.value[lowest]),
        best_step=int(metric.step[lowest]),
        gains=then - metric.end_cost > max(SIGMAS * metric.sigma, share, OF_GAIN * gained) and lowest > i,
        holds=metric.end_cost - then < max(metric.sigma, HELD * abs(then)),
    )


def is_one_sided(metric: CurveFacts) -> bool:
    """Whether a metric counts one kind of mistake only (recall, precision): it falls and swings as the other is traded for it, to nobody's loss."""
    return bool(_ONE_SIDED.search((metric.signal.stem or metric.signal.name).lower()))


def _short(metric: CurveFacts, cost: float) -> float:
    """How far a share of right answers is from one (a hundred where it is a percentage); infinite for what is no share."""
    whole = 1.0 if float(metric.value.max()) <= 1.0 else 100.0 if metric.signal.scale is Scale.PERCENT else 0.0
    is_share = metric.sign < 0 and metric.lowest >= 0 and float(metric.value.max()) <= whole
    return whole + cost if is_share else math.inf
