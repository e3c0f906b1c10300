"""What the last quarter of a run brought, and whether its noise lets that be told; for `unconverged`."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._descent import last_quarter
from tbdiag.features import CurveFacts
from tbdiag.features.levels import is_perplexity
from tbdiag.model import Role, Split
from tbdiag.stats.noise import median
from tbdiag.stats.spikes import largest_climb
from tbdiag.stats.trend import find_trend


def late_share(curve: CurveFacts, late_best: float = 0.9, top: float = float("inf")) -> tuple[float, bool]:
    """Share of the whole gain that the last quarter brought, and whether the improvement there is beyond doubt; a start above `top` counts as that."""
    trace = curve.trace
    start, stop = last_quarter(curve)
    late = curve.sign * (start - stop)
    k = max(1, trace.n // 50)
    gain = min(median(trace.cost[:k]), top) - curve.sign * stop
    if gain <= 0 or late <= 0:
        return 0.0, False
    # The trend test minds autocorrelation; here a smooth descent must not be taken for it.
    plain = trace.noise.sigma * np.sqrt(1 - trace.noise.r1)
    if trace.n >= 10 and late_best >= 0.9:
        # What a cycle threw up and brought down again is no gain: the last quarter must get below all that was before.
        late = min(late, float(trace.smooth[: trace.within(0.75, 1.0).start].min()) + 0.5 * trace.noise.sigma - curve.sign * stop)
        if late <= 0:
            return 0.0, False
        start = stop + curve.sign * late
    if late_best < 0.9 and trace.n >= 48:
        # Returns are noisy: what counts is beyond one standard error of the two medians (of a sixteenth, and of an eighth of the points).
        # Of fewer points the estimate of the noise is mostly the rise itself.
        late -= trace.noise.sigma * float(np.sqrt(0.5 * np.pi * 1.5 / (trace.n // 16)))
    share = late / gain
    if stop > 0 and is_perplexity(curve):
        # The exponential of a loss: what was gained is told by its logarithm.
        share = float(np.log(start / stop) / np.log1p(gain / stop))
    sigma = trace.noise.sigma
    tail = trace.cost[trace.within(0.6, 1.0)]
    if late_best < 0.9 and trace.n < 15:
        # A few noisy returns say nothing of their end unless it brought a third of a clear rise, without a step back; fewer than eight
        # must have risen throughout, by a tenth of the rise at least each time.
        clear = gain > 0.2 * max(abs(float(trace.cost[0])), abs(stop))
        if trace.n < 8:
            return share, clear and float(np.max(np.diff(trace.cost))) < -0.1 * gain
        return share, clear and share >= 0.3 and bool(np.all(np.diff(trace.cost[-4:]) < 0))
    if trace.n < 10:
        steps = np.diff(trace.cost[-3:])
        # A last evaluation that is better by one per cent is no reason to go on.
        matters = curve.signed or curve.signal.role is not Role.LOSS or late > 0.01 * abs(stop)
        return share, matters and bool(np.all(steps < 0)) and gain > 0.03 * abs(float(trace.cost[0]))
    best_late = int(np.argmin(trace.smooth)) >= late_best * (trace.n - 1)
    blocks = max(1, trace.n // 16)
    beyond = late > 3 * plain / np.sqrt(blocks) and gain > 6 * plain
    trend = find_trend(tail, 6)
    if late_best < 0.9 and share > 0.2:  # returns rise in steps: the whole run shows better than its tail where they are going
        return share, bool(best_late and gain > 6 * sigma and find_trend(trace.cost).falling)
    return share, bool(best_late and beyond and trend.tau < -0.6)


def just_begins(curve: CurveFacts) -> bool:
    """Whether a curve that had stood for most of the run left its noise only now: the last three points, each better than all before."""
    cost = curve.trace.cost
    if cost.size < 12:
        return False
    stood = cost[cost.size // 8 : -max(4, cost.size // 4)]
    falls = bool(np.all(np.diff(cost[-4:]) < 0)) and float(cost[-3]) < float(cost[:-3].min())
    return falls and float(stood.min()) - float(cost[-1]) > max(3 * float(np.ptp(stood)), 0.1 * abs(float(cost[-1])))


def tops_out(curve: CurveFacts, evaluated: CurveFacts | None, spread: CurveFacts | None) -> bool:
    """Whether the episodes of the last evaluation, which had differed before, all returned the same, the most that training got too: there is no more."""
    if evaluated is None or spread is None or evaluated is curve or spread.signal.split not in (Split.VAL, Split.TEST):
        return False
    same = float(spread.value[-1]) == 0 < float(spread.value.max()) and int(spread.step[-1]) == int(evaluated.step[-1])
    return same and float(evaluated.value[-1]) == float(curve.value[-1]) == float(curve.value.max())


def drowns(curve: CurveFacts) -> bool:
    """Whether all that the curve gained is below four standard deviations of its points."""
    return curve.start_cost - curve.end_cost < 4 * curve.sigma


def cannot_tell(curve: CurveFacts, limit: float) -> bool:
    """Whether the noise of its last quarter hides half of what counts there: two standard errors of a difference of two eighths."""
    return bool(2 * curve.sigma * np.sqrt(16 / curve.n) > 0.5 * limit * (curve.start_cost - curve.end_cost))


def swings(curve: CurveFacts) -> bool:
    """Whether the curve had climbed by three fifths of what the last quarter brought, or more: cycles of the learning rate, not a descent."""
    if curve.trace.n < 10:
        return False
    before = curve.trace.cost[curve.trace.n // 5 : curve.trace.within(0.75, 1.0).start]
    gained = max(float(before.min()) - curve.sign * last_quarter(curve)[1], 0.0)
    return largest_climb(before, 17) > 0.6 * gained + 2 * curve.trace.noise_bounds[0]
