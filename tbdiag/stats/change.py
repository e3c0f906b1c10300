"""Where something begins: profile likelihoods of a bend and of a step, as intervals rather than points.

All candidates whose fit is within the 95 % quantile of chi-squared with one degree of freedom of the best one are plausible.
Noise is taken as the larger of what the caller knows and what the best fit leaves, so that a bad fit gives a wide interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import median

Float64 = npt.NDArray[np.float64]

CHI2_95 = 3.84
"""95 % quantile of chi-squared with one degree of freedom."""


def levels_around(y: Float64, at: int) -> tuple[float, float]:
    """Medians of the three points of `y`, float64 ``[n]``, up to index `at` and of the three behind it."""
    return median(y[max(at - 2, 0) : at + 1]), median(y[at + 1 : at + 4])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change is: indices of the first, best and last plausible point, and how much the best fit explains.

    `size` is the estimated change (jump of the level, or slope after the bend in units per step of `t`).
    """

    first: int
    best: int
    last: int
    size: float
    explained: float


def locate_bend(t: Float64, y: Float64, sigma: float) -> Place | None:
    """Last point before a series leaves a flat bottom: ``y = level`` until ``t[i]``, then a straight line away from it.

    `t`, `y` float64 ``[n]``; None for fewer than three points. The level and the slope are fitted for every candidate at once.
    """
    n = t.size
    if n < 3:
        return None
    hinge = np.maximum(t[None, :] - t[: n - 1, None], 0.0)
    centred_h = hinge - hinge.mean(axis=1, keepdims=True)
    centred_y = y - y.mean()
    power = np.sum(centred_h**2, axis=1)
    power[power == 0] = 1.0
    slope = centred_h @ centred_y / power
    total = float(centred_y @ centred_y)
    sse = np.maximum(total - slope**2 * power, 0.0)
    return _interval(sse, total, n, sigma, slope)


def locate_step(y: Float64, sigma: float, margin: int = 1) -> Place | None:
    """Last point before the level of a series steps to another one; `margin` points at least stay on either side.

    None where the series is too short.
    """
    n = y.size
    if n < 2 * margin + 1:
        return None
    left = np.arange(1, n, dtype=np.float64)
    cumulative = np.cumsum(y)
    mean_left = cumulative[:-1] / left
    mean_right = (cumulative[-1] - cumulative[:-1]) / (n - left)
    jump = mean_right - mean_left
    centred = y - y.mean()
    total = float(centred @ centred)
    sse = np.maximum(total - jump**2 * left * (n - left) / n, 0.0)
    allowed = np.full(n - 1, np.inf)
    allowed[margin - 1 : n - margin] = sse[margin - 1 : n - margin]
    return _interval(allowed, total, n, sigma, jump)


def _interval(sse: Float64, total: float, n: int, sigma: float, size: Float64) -> Place:
    best = int(np.argmin(sse))
    low = float(sse[best])
    variance = max(sigma**2, low / max(n - 3, 1))
    plausible = sse <= low + CHI2_95 * variance
    # Only the stretch around the best candidate: a second, separate valley would be another change.
    first = last = best
    while first > 0 and plausible[first - 1]:
        first -= 1
    while last < sse.size - 1 and plausible[last + 1]:
        last += 1
    return Place(first, best, last, float(size[best]), 1.0 - low / total if total > 0 else 0.0)
