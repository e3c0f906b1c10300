"""Whether a curve stands still, or still moves at its end."""

from __future__ import annotations

import numpy as np

from tbdiag.features import CurveFacts
from tbdiag.features.onsets import flat_since
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


def flat_part(curve: CurveFacts, learned: float = 0.0) -> tuple[int, float]:
    """First block of the flat part, and its share of the run; nothing beyond noise is gained there.

    `learned` is what training gained: the first evaluation comes when much is gained already.
    """
    trace = curve.trace
    sigma = trace.noise.sigma
    gain = max(curve.first_cost - float(trace.smooth.min()), learned)
    since = flat_since(trace.cost, max(0.01 * gain, 1.5 * sigma / np.sqrt(5)))
    # A slow descent under noise is still a descent: the trend over the rest decides.
    while since < trace.n - 6:
        trend = find_trend(trace.cost[since:])
        if not (trend.falling and -trend.change > max(0.02 * gain, 0.5 * sigma)):
            break
        since += max(1, trace.n // 20)
    span = max(float(trace.step[-1] - trace.step[0]), 1.0)
    return since, float(trace.step[-1] - trace.step[since]) / span


def longest_flat_part(curve: CurveFacts, train: CurveFacts) -> float:
    """The largest share of the run that `flat_part` can find, from the bounds of the noise: mostly enough to know that it is too short."""
    trace = curve.trace
    learned = max(train.first_cost, float(train.cost[0])) - train.end_cost
    gain = max(curve.first_cost - float(trace.smooth.min()), learned)
    since = flat_since(trace.cost, max(0.01 * gain, 1.5 * trace.noise_bounds[1] / np.sqrt(5)))
    return float(trace.step[-1] - trace.step[since]) / max(float(trace.step[-1] - trace.step[0]), 1.0)
