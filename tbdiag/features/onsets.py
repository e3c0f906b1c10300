"""Where on a curve something begins, as an interval of its own steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tbdiag.features.curves import CurveFacts, Trace
from tbdiag.model import Interval
from tbdiag.stats.change import locate_bend
from tbdiag.stats.noise import estimate_noise, running_median

Float64 = npt.NDArray[np.float64]


def rise_onset(curve: CurveFacts, *, logarithmic: bool = False, best: int | None = None) -> Interval:
    """Interval in which a curve leaves its best for worse: profile likelihood of a bend behind the bottom.

    The bend is fitted from the beginning of the bottom to where six tenths of the rise are reached, so that a rise that levels off
    does not pull it forward. `best` is the index of the best block, where the caller has chosen one.
    """
    trace = curve.trace
    values = trace.shape if logarithmic else trace.cost
    sigma = (trace.shape_noise if logarithmic else trace.noise).sigma
    smooth = running_median(values, 5) if trace.n >= 10 else values
    b = int(np.argmin(smooth)) if best is None else best
    # A loss that explodes by orders of magnitude left its bottom long before a tenth of the way up.
    span = float(smooth[: b + 1].max()) - float(smooth[b])
    if span > 0 and float(smooth[b:].max()) - float(smooth[b]) > 10 * span:
        values, smooth = np.minimum(values, smooth[b] + 3 * span), np.minimum(smooth, smooth[b] + 3 * span)
        sigma = estimate_noise(values[: b + 1]).sigma
    top = float(smooth[b:].max()) - float(smooth[b])
    reached = np.flatnonzero(smooth[b:] >= smooth[b] + 0.6 * top)
    end = min(b + max(int(reached[0]) if reached.size else 0, 2), trace.n - 1)
    bottom = float(smooth[b]) + max(3 * sigma, 0.1 * top)
    start = b
    while start > 0 and smooth[start - 1] <= bottom:
        start -= 1
    window = slice(start, end + 1)
    place = locate_bend(trace.step[window], values[window], sigma)
    if place is None:
        return between(trace, b, min(b + 1, trace.n - 1))
    return between(trace, start + place.first, min(start + place.last + 1, trace.n - 1))


def between(trace: Trace, first: int, last: int) -> Interval:
    """Steps of two blocks of a trace as an interval."""
    return Interval(int(trace.last_step[first]), int(trace.last_step[max(last, first)]))


def flat_since(values: Float64, tolerance: float) -> int:
    """Index from which on a series float64 ``[n]`` gets no better than `tolerance` below what it had reached."""
    smooth = running_median(values, 5) if values.size >= 10 else values
    final = float(smooth.min())
    reached = np.flatnonzero(smooth <= final + tolerance)
    return int(reached[0]) if reached.size else 0


def swings_about(curve: CurveFacts, since: int, learned: float = 0.0) -> bool:
    """Whether the blocks from `since` on go up and down by more than half of what was gained (`learned`, where that is more).

    Such a part is no level, however little it gains. The extent is that from the tenth to the ninetieth hundredth of five blocks or more.
    """
    part = curve.trace.cost[since:]
    low, middle, high = np.quantile(part, (0.1, 0.5, 0.9))
    return bool(part.size >= 5 and high - low > 0.5 * max(curve.first_cost - float(middle), learned))
