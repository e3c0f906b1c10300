"""Facts of one scalar curve: smoothed values, first, end, best, noise. Directions are taken from the signal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tbdiag.model import Direction, Signal
from tbdiag.stats.blocks import block_edges, block_means, block_medians
from tbdiag.stats.noise import SHORT, Noise, Steps, bound_noise, estimate_noise, measure_steps, median, running_median

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


TRACE_POINTS = 200
"""Points of a trace: enough to place a change within half a per cent of a run, few enough to judge ten thousand runs a night."""


@dataclass(frozen=True, eq=False)
class Trace:
    """A curve thinned to at most 200 blocks, so that verdicts do not depend on how densely it was logged.

    Attributes:
        step: float64 ``[k]``, step of the middle point of each block; last_step: int64 ``[k]``, step of its last point.
        cost: float64 ``[k]``, block medians of the cost (lower is better); the points themselves where there are at most 200.
        shape: the same in logarithms where the curve lives on a logarithmic scale.
        noise, shape_noise: noise of `cost` and `shape`.
    """

    step: Float64
    last_step: Int64
    cost: Float64
    shape: Float64

    @cached_property
    def n(self) -> int:
        """Number of blocks."""
        return int(self.cost.size)

    @cached_property
    def _steps(self) -> Steps | None:
        return measure_steps(self.cost) if self.n >= 8 else None

    @cached_property
    def noise(self) -> Noise:
        """Noise of the costs of the blocks."""
        return estimate_noise(self.cost, self._steps)

    @cached_property
    def noise_bounds(self) -> tuple[float, float]:
        """Bounds of the standard deviation of `noise`."""
        return bound_noise(self.cost, self._steps)

    def beyond_noise(self, amount: float, sigmas: float) -> bool:
        """Whether ``amount > sigmas * noise.sigma``; the noise is worked out only where its bounds do not decide that."""
        if amount <= 0:
            return False
        if "noise" in self.__dict__:
            return amount > sigmas * self.noise.sigma
        low, high = self.noise_bounds
        return amount > sigmas * (self.noise.sigma if sigmas * low < amount <= sigmas * high else high)

    @cached_property
    def shape_noise(self) -> Noise:
        """Noise of the shape."""
        return self.noise if self.shape is self.cost else estimate_noise(self.shape)

    @cached_property
    def smooth(self) -> Float64:
        """Centred 5-point running median of the cost (the cost itself below ten blocks)."""
        return running_median(self.cost, 5) if self.n >= 10 else self.cost

    @cached_property
    def smooth_shape(self) -> Float64:
        """The same of the shape."""
        return self.smooth if self.shape is self.cost else running_median(self.shape, 5) if self.n >= 10 else self.shape

    def within(self, first_share: float, last_share: float) -> slice:
        """Indices of the blocks within a share of the run's steps."""
        return _within(self.step, first_share, last_share)


@dataclass(frozen=True, eq=False)
class CurveFacts:
    """One series, cleaned: non-finite points apart, in the scale of its signal (bits already turned into nats).

    Attributes:
        step: int64 ``[n]``; wall_time: float64 ``[n]``; value: float64 ``[n]``, finite points only.
        bad_step: int64 ``[m]``, steps of non-finite points; bad_value float64 ``[m]`` (NaN, inf or -inf).
        total: number of logged points, finite or not.
    """

    signal: Signal
    step: Int64
    wall_time: Float64
    value: Float64
    bad_step: Int64
    bad_value: Float64
    total: int

    @property
    def name(self) -> str:
        """Series name."""
        return self.signal.name

    @cached_property
    def n(self) -> int:
        """Number of finite points."""
        return int(self.value.size)

    @cached_property
    def sign(self) -> float:
        """+1 where lower is better (or no direction), -1 where higher is better."""
        return -1.0 if self.signal.direction is Direction.HIGHER else 1.0

    @cached_property
    def cost(self) -> Float64:
        """Values turned so that lower is better; float64 ``[n]``."""
        return self.sign * self.value

    @cached_property
    def lowest(self) -> float:
        """Smallest value."""
        return float(self.value.min())

    @cached_property
    def log_scale(self) -> bool:
        """Whether the values live on a logarithmic scale: all positive and spanning more than a factor of three."""
        return self.n >= 3 and self.lowest > 0 and float(self.value.max()) / self.lowest > 3

    @cached_property
    def signed(self) -> bool:
        """Whether values go below zero (log likelihoods, Dice, ELBO, SI-SDR): levels and ratios mean nothing then, only differences."""
        return self.n > 0 and self.lowest < 0

    @cached_property
    def noise(self) -> Noise:
        """Noise of the values in their own unit."""
        return estimate_noise(self.value, self._steps)

    @cached_property
    def _steps(self) -> Steps | None:
        return measure_steps(self.value) if 8 <= self.n <= SHORT else None

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise (see `tbdiag.stats.noise`)."""
        return self.noise.sigma

    @cached_property
    def noise_bounds(self) -> tuple[float, float]:
        """Bounds of `sigma`."""
        return bound_noise(self.value, self._steps)

    def beyond_noise(self, amount: float, sigmas: float) -> bool:
        """Whether ``amount > sigmas * sigma``; the noise is worked out only where its bounds do not decide that."""
        if amount <= 0:
            return False
        if "noise" in self.__dict__:
            return amount > sigmas * self.sigma
        low, high = self.noise_bounds
        return amount > sigmas * (self.sigma if sigmas * low < amount <= sigmas * high else high)

    @cached_property
    def trace(self) -> Trace:
        """The curve thinned to at most 200 blocks."""
        if self.n <= TRACE_POINTS:
            cost, step, last = self.cost, self.step.astype(np.float64), self.step
        else:
            edges = block_edges(self.n, TRACE_POINTS)
            many = self.n >= 5 * TRACE_POINTS
            # Medians shrug off spikes but need a few points; the mean of two or three is the better estimate.
            cost = block_medians(self.cost, TRACE_POINTS) if many else block_means(self.cost, TRACE_POINTS)
            step = self.step[(edges[:-1] + edges[1:] - 1) // 2].astype(np.float64)
            last = self.step[edges[1:] - 1]
        shape = np.log(np.maximum(cost, 1e-300)) if self.log_scale and self.sign > 0 and bool(cost.min() > 0) else cost
        return Trace(step, last, cost, shape)

    @cached_property
    def beside(self) -> dict[str, Float64]:
        """Costs of training series at the blocks of this curve's trace, by name; kept here by `tbdiag.features.pairs`."""
        return {}

    @cached_property
    def known(self) -> dict[str, Any]:
        """What other modules of `tbdiag.features` worked out about this curve alone, by their names."""
        return {}

    @cached_property
    def smooth(self) -> Float64:
        """Smoothed cost, float64 ``[n]``.

        Centred 5-point running median; of the trace, interpolated, beyond 400 points (so that the width grows with the run);
        the raw cost for fewer than ten points.
        """
        if self.n < 10:
            return self.cost
        if self.n <= 2 * TRACE_POINTS:
            return running_median(self.cost, 5)
        return np.interp(self.step, self.trace.step, self.trace.smooth)

    @property
    def tail_points(self) -> int:
        """Points that `end` looks at: a tenth of the run, at least three; one for fewer than ten points."""
        return 1 if self.n < 10 else max(3, self.n // 10)

    @cached_property
    def first_cost(self) -> float:
        """Median cost of the first points (two per cent of the run, at least three; the first point below ten points)."""
        k = 1 if self.n < 10 else max(3, self.n // 50)
        return median(self.cost[:k])

    @cached_property
    def start_cost(self) -> float:
        """Cost of the very beginning: the first point, less twice the noise, where that is above `first_cost`.

        A loss that falls within its first three points would otherwise seem never to have moved.
        """
        highest = float(self.cost[0])
        above = self.beyond_noise(highest - self.first_cost, 2.0)
        return max(self.first_cost, highest - 2 * self.sigma) if above else self.first_cost

    @cached_property
    def end_cost(self) -> float:
        """Median cost of the last points."""
        return median(self.cost[-self.tail_points :])

    @cached_property
    def best_index(self) -> int:
        """Index of the best smoothed point."""
        return int(self.smooth.argmin())

    @property
    def best_cost(self) -> float:
        """Best smoothed cost."""
        return float(self.smooth[self.best_index])

    @property
    def best_step(self) -> int:
        """Step of the best smoothed point."""
        return int(self.step[self.best_index])

    @property
    def first(self) -> float:
        """`first_cost` as logged."""
        return self.sign * self.first_cost

    @property
    def end(self) -> float:
        """`end_cost` as logged."""
        return self.sign * self.end_cost

    @property
    def best(self) -> float:
        """`best_cost` as logged."""
        return self.sign * self.best_cost

    @property
    def drop(self) -> float:
        """Improvement from first to end (positive: better)."""
        return self.first_cost - self.end_cost

    @property
    def gain(self) -> float:
        """Improvement from first to best (never the noise of a single point)."""
        return self.first_cost - self.best_cost

    @property
    def rise(self) -> float:
        """How much worse than its best the curve ended (0 or more)."""
        return max(self.end_cost - self.best_cost, 0.0)

    def between(self, first_share: float, last_share: float) -> slice:
        """Indices of the points whose step lies within a share of the run's steps."""
        return _within(self.step, first_share, last_share)

    def after(self, step: float) -> slice:
        """Indices of the points after a step."""
        return slice(int(np.searchsorted(self.step, step, side="right")), self.n)


def _within(step: Float64 | Int64, first_share: float, last_share: float) -> slice:
    low, high = float(step[0]), float(step[-1])
    a = int(step.searchsorted(low + first_share * (high - low), side="left"))
    b = int(step.searchsorted(low + last_share * (high - low), side="right"))
    return slice(a, b)


def build_curve(signal: Signal) -> CurveFacts:
    """Facts of a scalar signal; wall times that are not finite stay as they are."""
    series = signal.series
    assert series is not None
    value = series.value.astype(np.float64)
    finite = np.isfinite(value)
    if finite.all():
        if signal.scale.value == "bits":
            value *= np.log(2.0)
        nothing = slice(0, 0)
        return CurveFacts(signal, series.step, series.wall_time, value, series.step[nothing], value[nothing], len(series))
    good = value[finite]
    if signal.scale.value == "bits":
        good = good * np.log(2.0)
    return CurveFacts(
        signal=signal,
        step=series.step[finite],
        wall_time=series.wall_time[finite],
        value=good,
        bad_step=series.step[~finite],
        bad_value=value[~finite],
        total=len(series),
    )
