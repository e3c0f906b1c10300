"""Two curves of one run on a common axis: the training loss at the steps of the validation loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tbdiag.features.curves import CurveFacts
from tbdiag.stats.noise import median, row_medians, sliding
from tbdiag.stats.oscillation import scatter

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pair:
    """A validation curve and the training curve of the same quantity.

    Attributes:
        train_at: float64 ``[val.trace.n]``, median training cost of the interval that ends at each validation block.
    """

    train: CurveFacts
    val: CurveFacts
    train_at: Float64

    @cached_property
    def gap(self) -> Float64:
        """Validation minus training cost at the validation's blocks; float64 ``[val.trace.n]``, positive: validation is worse."""
        return self.val.trace.cost - self.train_at

    def tail_gap(self, share: float = 0.5) -> float:
        """Median gap over the last `share` of the run."""
        return median(self.gap[self.val.trace.within(1 - share, 1.0)])

    def tail_train(self, share: float = 0.5) -> float:
        """Median training cost over the last `share` of the run."""
        return median(self.train_at[self.val.trace.within(1 - share, 1.0)])

    def differs_in_kind(self, share: float) -> bool:
        """Whether one loss ends below zero, and the other, never below it, moved by less than `share` of what the first did.

        A likelihood of a density against a mean squared error: they have neither zero nor unit in common.
        """
        below, above = (self.train, self.val) if self.train.end_cost < self.val.end_cost else (self.val, self.train)
        if below.end_cost >= 0 or float(above.cost.min()) < 0:
            return False
        return float(np.ptp(above.cost)) < share * float(np.ptp(below.trace.cost))

    def tail_val(self, share: float = 0.5) -> float:
        """Median validation cost over the last `share` of the run."""
        return median(self.val.trace.cost[self.val.trace.within(1 - share, 1.0)])


@dataclass(frozen=True, slots=True)
class Restlessness:
    """Scatter from one evaluation to the next over the last three quarters, as a share of the level and of what had been gained."""

    val_level: float
    val_gain: float
    train_level: float
    train_gain: float

    @property
    def together(self) -> bool:
        """Whether training is restless too, so that it is the weights that jump about and not the evaluation."""
        return self.train_level > 0.08 and self.train_gain > 0.05 and self.val_level < 7 * self.train_level


def measure_restlessness(train: CurveFacts, val: CurveFacts) -> Restlessness | None:
    """Restlessness of a pair with at least eight evaluations; None where there are fewer, a level is zero, or a signed loss gained nothing."""
    if val.n < 8 or train.n < 8:
        return None
    late = val.trace.n // 4
    half_val, half_train = val.trace.cost[late:], pair_up(train, val).train_at[late:]
    gain_val, gain_train = max(val.first_cost - val.best_cost, 0.0), max(train.first_cost - train.best_cost, 0.0)
    if val.signed or train.signed:
        # Without a zero the only scale is what was gained; a level is then taken to be twice that.
        level_val = level_train = 2 * max(gain_val, gain_train)
    else:
        level_val, level_train = abs(median(half_val)), abs(median(half_train))
        # A first evaluation of an untrained model may be thousands of times any later one; that is no gain to measure by.
        gain_val = min(gain_val, max(gain_train, level_val))
        # Nor is a first batch that was thrown up, which validation came too late to see.
        gain_train = min(gain_train, max(3 * gain_val, level_train))
    if min(level_val, level_train) <= 0:
        return None
    of_val, of_train = scatter(half_val), scatter(half_train)
    if (val.signed or train.signed) and max(gain_val, gain_train) < 3 * max(of_val, of_train):
        return None
    return Restlessness(
        of_val / level_val,
        of_val / max(gain_val, 0.3 * level_val),
        of_train / level_train,
        of_train / max(gain_train, 0.3 * level_train),
    )


def keep_shared(train: CurveFacts, val: CurveFacts) -> CurveFacts:
    """The validation curve as far as training was logged, and one interval of either on; behind that there is nothing to compare it with."""
    ends = progress(val, val.step.astype(np.float64), train)
    interval = max(median(np.diff(c)) if c.size > 1 else 0.0 for c in (ends, train.step.astype(np.float64)))
    shared = int(ends.searchsorted(float(train.step[-1]) + interval + 1e-9, side="right"))
    if shared >= val.n:
        return val
    return replace(val, step=val.step[:shared], wall_time=val.wall_time[:shared], value=val.value[:shared])


def pair_up(train: CurveFacts, val: CurveFacts) -> Pair:
    """Put two curves on the validation's axis; both need at least one finite point."""
    known = val.beside.get(train.name)
    if known is None:
        known = val.beside[train.name] = _train_at(train, val)
    return Pair(train, val, known)


def _train_at(train: CurveFacts, val: CurveFacts) -> Float64:
    ends = progress(val, val.trace.last_step.astype(np.float64), train)
    position = progress(train, train.step.astype(np.float64), train)
    last = np.minimum(np.maximum(position.searchsorted(ends + 1e-9, side="right"), 1), train.n)
    first = np.concatenate(([0], last[:-1]))
    # A validation point without training points since the one before takes the latest training value.
    first = np.minimum(first, last - 1)
    # Half an interval at least, so that a per-step loss is averaged before it is compared.
    return _medians_between(train.cost, first, last)


def _medians_between(values: Float64, first: Int64, last: Int64) -> Float64:
    """Median of ``values[a:b]`` for each pair of bounds, those of one width at once; float64 ``[k]``."""
    width = last - first
    out = np.empty(width.size)
    for w in sorted(set(width.tolist())):
        rows = (width == w).nonzero()[0]
        starts = first[rows]
        out[rows] = values[starts] if w == 1 else row_medians(sliding(values, w).take(starts, axis=0))
    return out


def progress(curve: CurveFacts, step: Float64, reference: CurveFacts) -> Float64:
    """Place of steps of `curve` on the axis of `reference`: steps themselves where both count the same thing, else by wall time.

    Where wall times do not serve (copied logs, clock jumps), both axes are stretched to the same span.
    """
    if curve is reference or curve.signal.axis is reference.signal.axis:
        return step
    if _clock_serves(curve) and _clock_serves(reference) and _overlap(curve, reference):
        when = np.interp(step, curve.step, curve.wall_time)
        return np.interp(when, reference.wall_time, reference.step)
    low, high = float(curve.step[0]), float(curve.step[-1])
    share = (step - low + (high - low) / max(curve.n - 1, 1)) / max((high - low) * curve.n / max(curve.n - 1, 1), 1e-12)
    return float(reference.step[0]) + share * float(reference.step[-1] - reference.step[0])


def _clock_serves(curve: CurveFacts) -> bool:
    clock = curve.wall_time
    return clock.size > 1 and bool(np.all(np.isfinite(clock))) and bool(np.all(np.diff(clock) >= 0)) and bool(clock[-1] > clock[0])


def _overlap(a: CurveFacts, b: CurveFacts) -> bool:
    shared = min(a.wall_time[-1], b.wall_time[-1]) - max(a.wall_time[0], b.wall_time[0])
    return bool(shared > 0.5 * max(a.wall_time[-1] - a.wall_time[0], b.wall_time[-1] - b.wall_time[0]))
