"""Whether a curve stands still, or still moves at its end."""

from __future__ import annotations

import numpy as np

from tbdiag.features import CurveFacts
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def still_falls(curve: CurveFacts) -> bool:
    """Whether the curve still falls in its second half."""
    tail = curve.trace.cost[curve.trace.within(0.5, 1.0)]
    trend = find_trend(tail)
    return trend.falling and -trend.change > 0.02 * abs(median(tail))


def never_changes(metric: CurveFacts) -> bool:
    """Whether the metric is the same to the last digit; the first tenth of ten evaluations or more apart."""
    late = metric.value[metric.n // 10 :]
    return metric.n >= 6 and float(np.ptp(late)) <= 2e-6 * float(np.abs(late).max())


def settled(curve: CurveFacts) -> bool:
    """Whether nothing was gained after the first tenth of the run."""
    late = curve.trace.cost[curve.trace.within(0.1, 1.0)]
    return late.size >= 5 and not find_trend(late).falling


def is_rounded(value: float) -> bool:
    """Whether a number has three decimals at most, as one that a script rounded before it logged it: constancy then proves little."""
    return abs(1000 * value - round(1000 * value)) < 1e-3 * max(abs(value), 0.1)
