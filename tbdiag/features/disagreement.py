"""Loss and metric of one split need not turn at the same point: what the metric does behind the best point of the loss.

A cross-entropy rises with the certainty of wrong answers while the share of right ones still grows (Guo et al., "On calibration of modern neural
networks", 2017); then the best checkpoint by loss is not the best by metric.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.features.curves import CurveFacts
from tbdiag.features.pairs import progress
from tbdiag.model import Scale
from tbdiag.stats.noise import median

Float64 = npt.NDArray[np.float64]
SIGMAS, SHARE, OF_ERROR, OF_GAIN = 3.0, 0.02, 0.25, 0.05
"""A metric gains where it moves by more than all of: its noise three times; 2 % of its value, or a quarter of what it is short of one; a twentieth of
what it had gained; or where every evaluation behind is better than the one before, by a twentieth of what it is short of one or 3 % in all."""

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
        parts: whether it gains, or is a share of right answers that had learned a tenth before the loss's best and lost a twentieth until then.
    """

    then: float
    end: float
    best: float
    best_step: int
    gains: bool
    holds: bool
    parts: bool


def look_behind(loss: CurveFacts, metric: CurveFacts) -> Behind | None:
    """What the metric does behind the best logged point of the loss; None for fewer than four points of either."""
    if min(loss.n, metric.n) < 4:
        return None
    at = progress(loss, loss.step[[int(np.argmin(loss.cost))]].astype(np.float64), metric)
    i = max(int(metric.step.searchsorted(float(at[0]) + 1e-9, side="right")) - 1, 0)
    then, lowest = median(metric.cost[max(i - 1, 0) : i + 2]), int(np.argmin(metric.cost))
    gained = max(metric.start_cost - metric.best_cost, 0.0)
    whole = _whole(metric)
    share = min(SHARE * abs(then), OF_ERROR * (whole + then)) if whole else SHARE * abs(then)
    size = max(SIGMAS * metric.sigma, share, OF_GAIN * gained)
    learned, lost = float(metric.cost[0]) - metric.best_cost, then - metric.best_cost
    gains = (
        then - metric.end_cost > size or _climbs_on(metric.cost, i, 0.03 * abs(then) if not whole else min(0.05 * (whole + then), share))
    ) and lowest > i
    return Behind(
        then=metric.sign * then,
        end=metric.end,
        best=float(metric.value[lowest]),
        best_step=int(metric.step[lowest]),
        gains=gains,
        holds=metric.end_cost - then < max(metric.sigma, HELD * abs(then)),
        parts=gains or (whole > 0 and learned > 0.1 * whole and lost > max(size, 0.05 * whole, 0.15 * learned)),
    )


def _climbs_on(cost: Float64, since: int, least: float) -> bool:
    """Whether a metric got better with every evaluation behind a point, three at least (or from the first one of four on), and by enough."""
    steps = np.diff(cost[since:])
    few = cost.size >= 4 and steps.size >= 2 and bool(np.all(np.diff(cost) < 0))
    return (steps.size >= 3 or few) and bool(np.all(steps < 0)) and float(cost[since] - cost[-1]) > least


def is_one_sided(metric: CurveFacts) -> bool:
    """Whether a metric counts one kind of mistake only (recall, precision): it falls and swings as the other is traded for it, to nobody's loss."""
    return bool(_ONE_SIDED.search((metric.signal.stem or metric.signal.name).lower()))


def _whole(metric: CurveFacts) -> float:
    """What a share of right answers is a share of: one, or a hundred where it is a percentage; 0 for what is no share."""
    highest = float(metric.value.max())
    whole = 1.0 if highest <= 1.0 else 100.0 if metric.signal.scale is Scale.PERCENT else 0.0
    return whole if metric.sign < 0 and metric.lowest >= 0 and highest <= whole else 0.0
