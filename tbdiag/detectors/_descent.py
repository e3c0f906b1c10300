"""How a curve comes down in the last part of a run."""

from __future__ import annotations

import numpy as np

from tbdiag.features import CurveFacts
from tbdiag.model import Role
from tbdiag.stats.noise import Float64, median, sliding
from tbdiag.stats.trend import find_trend


def near(step: Float64, cost: Float64, at: float) -> float:
    """Cost at a share of the run: interpolated, or the median of the blocks around it where there are many."""
    k = step.size // 16
    i = int(np.searchsorted(step, at))
    return median(cost[max(i - k, 0) : i + k + 1]) if k else float(np.interp(at, step, cost))


def last_quarter(curve: CurveFacts) -> tuple[float, float]:
    """Values at the beginning and the end of the last quarter, as logged."""
    trace = curve.trace
    at = float(trace.step[0] + 0.75 * (trace.step[-1] - trace.step[0]))
    # Both ends of the quarter as medians of a few blocks around them.
    k = max(1, trace.n // 16)
    i = int(np.searchsorted(trace.step, at))
    if k == 1:
        return curve.sign * float(np.interp(at, trace.step, trace.cost)), curve.sign * float(trace.cost[-1])
    return curve.sign * median(trace.cost[max(i - k, 0) : i + k]), curve.sign * median(trace.cost[-k:])


def falls_on(cost: Float64) -> bool:
    """Whether the second half falls throughout, and its very end as well: a stair of learning-rate decays stands still there."""
    tail = cost[cost.size // 2 :]
    if tail.size < 6:
        return bool(np.all(np.diff(tail) < 0))
    k = max(tail.size // 4, 1)
    return find_trend(tail, 6).tau < -0.8 and median(tail[-2 * k : -k]) - median(tail[-k:]) > 0.25 * (
        median(tail[-3 * k : -2 * k]) - median(tail[-k:])
    )


def stands_at_end(cost: Float64, gained: float) -> bool:
    """Whether the last eighth spans less than a quarter of what the last quarter `gained`: a stair stands there, a descent goes on falling.

    An exponential that brought that much in the last quarter spans four tenths of it in the last eighth, a straight line half of it.
    """
    return cost.size >= 8 and float(np.ptp(cost[-max(cost.size // 8, 2) - 1 :])) < 0.25 * gained


def drops_and_stands(cost: Float64, gained: float, sigma: float) -> bool:
    """Whether half of what the last quarter `gained`, and five times its noise, came in one drop, after which the curve stood: a late stair.

    A straight descent brings at most 0.3 of it in the six points that a drop is looked for in, and goes on falling after any of them.
    """
    n = cost.size
    if n < 40 or gained <= 0:
        return False
    tail = cost[n - n // 4 - 3 :]
    before = np.median(sliding(tail, 3), axis=1)
    drops = before[:-3] - before[3:]
    at = int(np.argmax(drops))
    after = tail[at + 3 :]
    if drops[at] < max(0.5 * gained, 5 * sigma) or after.size < max(5, n // 20):
        return False
    third = after.size // 3
    return bool(median(after[:third]) - median(after[-third:]) < 0.15 * drops[at])


def goes_on_falling(train: Float64) -> bool:
    """Whether training falls by a sixth and by its trend (at every one of four steps or more), where noise hides it between two points."""
    if train.size < 10:
        return train.size >= 5 and bool(np.all(np.diff(train) < 0)) and float(train[-1]) < 0.85 * float(train[0])
    trend = find_trend(train, 6)
    return trend.tau < -0.6 and trend.p < 0.05 and median(train[-3:]) < 0.85 * median(train[:3])


def next_to_nothing(train: CurveFacts, value: float, accuracy: CurveFacts | None = None) -> bool:
    """Whether a value of a loss is below a hundredth of the loss that training began with: what happens there is nobody's trouble.

    Below a hundredth of a nat as well where training makes hardly an error all the while: what began solved has no loss to compare with.
    """
    if train.signal.role is not Role.LOSS or train.signed:
        return False
    solved = accuracy is not None and accuracy.n >= 4 and float(np.quantile(accuracy.value, 0.1)) > 0.99
    return value < max(0.01 * max(train.first_cost, float(train.cost[0])), 0.01 if solved else 0.0)


def harmless(train: CurveFacts | None, val: CurveFacts | None, accuracy: CurveFacts | None) -> bool:
    """Whether a training loss that rises has come to next to nothing, or only loses the head start that it began with.

    The latter (a fine-tuning, a mean that has just begun) while validation, which hardly moves, loses nothing.
    """
    if train is None or next_to_nothing(train, train.end_cost, accuracy):
        return train is not None
    if val is None or val.n < 5 or train.signed or train.best_index >= 0.1 * train.n:
        return False
    first = float(val.cost[0])
    if train.best_index < 0.05 * train.n and val.n >= 8 and val.end_cost < 0.9 * first and find_trend(val.trace.cost).falling:
        return True  # the first batches were easy, and validation gets better all the while
    slight = train.end_cost <= 1.5 * float(train.cost[0])
    return slight and val.end_cost <= first + 0.02 * abs(first) and train.sigma <= 0.1 * train.end_cost and val.sigma <= 0.05 * val.end_cost
