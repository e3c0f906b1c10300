"""Facts of one histogram series: share of zeros and of saturated values, spread, size, quantiles, NaN share, changes over time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tbdiag.model import HistogramSeries, Signal
from tbdiag.stats import histograms as buckets

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

MOST_CHANGES = 60
"""Points of a series whose distance to the one before is computed."""

TANH, SIGMOID, OPEN = "tanh", "sigmoid", "open"
"""What the range of an activation's values says of its function: within [-1, 1], within [0, 1] with both ends used, or neither."""


@dataclass(frozen=True, eq=False)
class HistogramFacts:
    """One histogram series; every array has one entry a logged point, in order of its steps."""

    signal: Signal

    @property
    def series(self) -> HistogramSeries:
        """The series itself."""
        assert self.signal.histogram is not None
        return self.signal.histogram

    @property
    def name(self) -> str:
        """Key in `Run.histograms`."""
        return self.signal.name

    @property
    def step(self) -> Int64:
        """Steps of the points; int64 ``[n]``."""
        return self.series.step

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.series)

    @cached_property
    def left(self) -> Float64:
        """Left bucket edges, end to end; float64 ``[offset[-1]]``."""
        known = self.series.left
        return buckets.left_edges(self.series.offset, self.series.right, self.series.minimum) if known is None else known

    @cached_property
    def mass(self) -> Float64:
        """Sum of the bucket counts; float64 ``[n]``."""
        return buckets.sums(self.series.offset, self.series.count)

    @cached_property
    def nan_share(self) -> Float64:
        """Share of non-finite values: what `num` counted and no bucket holds; float64 ``[n]``, 0 where the encoding cannot tell."""
        num = self.series.num
        known = np.isfinite(num) & (num > 0)
        share = np.where(known, 1.0 - self.mass / np.where(known, num, 1.0), 0.0)
        # Without a bucket left, or with a bound that is not finite, something non-finite was in the data even if num is absent.
        bad_bound = ~(np.isfinite(self.series.minimum) & np.isfinite(self.series.maximum)) & known
        return np.where(bad_bound & (share <= 0), np.nextafter(0.0, 1.0), np.clip(share, 0.0, 1.0))

    @cached_property
    def zero_bounds(self) -> tuple[Float64, Float64]:
        """Lower and upper bound of the share of exact zeros; two float64 ``[n]``, equal for TF1 and PyTorch buckets."""
        low, high = buckets.zero_share(self.series.offset, self.left, self.series.right, self.series.count)
        only_zero = (self.series.minimum == 0) & (self.series.maximum == 0)
        return np.where(only_zero, 1.0, low), np.where(only_zero, 1.0, high)

    @property
    def zero(self) -> Float64:
        """Share of zeros that the buckets prove (the lower bound); float64 ``[n]``."""
        return self.zero_bounds[0]

    @cached_property
    def _moments(self) -> tuple[Float64, Float64, Float64]:
        return buckets.moments(self.series.offset, self.left, self.series.right, self.series.count)

    @cached_property
    def mean(self) -> Float64:
        """Mean: exact where the encoding carries the sum, else from the buckets; float64 ``[n]``."""
        return self._exact(self.series.total, 0)

    @cached_property
    def mean_square(self) -> Float64:
        """Mean square: exact where the encoding carries the sum of squares; float64 ``[n]``."""
        return self._exact(self.series.total_squares, 2)

    @property
    def mean_abs(self) -> Float64:
        """Mean absolute value, from the buckets; float64 ``[n]``."""
        return self._moments[1]

    @cached_property
    def std(self) -> Float64:
        """Standard deviation; float64 ``[n]``."""
        return np.sqrt(np.clip(self.mean_square - self.mean**2, 0.0, None))

    @cached_property
    def norm(self) -> Float64:
        """Euclidean norm of all values; float64 ``[n]``."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.mean_square * self.mass)

    def quantiles(self, levels: npt.ArrayLike) -> Float64:
        """Quantiles of each point; float64 ``[n, len(levels)]``."""
        return buckets.quantiles(self.series.offset, self.left, self.series.right, self.series.count, levels)

    def share_between(self, low: float, high: float) -> Float64:
        """Share of the values within ``[low, high]``; float64 ``[n]``."""
        return buckets.share_between(self.series.offset, self.left, self.series.right, self.series.count, (low, high))

    @cached_property
    def activation_kind(self) -> str:
        """`TANH`, `SIGMOID` or `OPEN`, from the smallest and largest value ever logged.

        A sigmoid must be seen near both ends and must not be mostly exact zeros: else it is a ReLU that happens to stay below one,
        unless hardly anything lies between zero and one, where no ReLU stops, clipped or not.
        """
        low, high = self.series.minimum, self.series.maximum
        ok = np.isfinite(low) & np.isfinite(high)
        if not ok.any():
            return OPEN
        smallest, largest = float(low[ok].min()), float(high[ok].max())
        slack = 1e-3
        if -1 - slack <= smallest < -0.5 and 0.5 < largest <= 1 + slack:
            return TANH
        if -1e-9 <= smallest < 0.1 and 0.9 < largest <= 1 + slack:
            crowded = float(np.nanmedian(self.share_between(0.9, 1.0))) > 0.1 and float(np.nanmedian(self.share_between(0.05, 0.9))) < 0.03
            if float(np.nanmedian(self.zero_bounds[0])) < 0.3 or crowded:
                return SIGMOID
        return OPEN

    @cached_property
    def saturated(self) -> Float64:
        """Share of values within 5 % of a limit of tanh or sigmoid; float64 ``[n]``, NaN where the range is open.

        Limits after DeepDiagnosis and TheDeepChecker; a sigmoid is judged at both ends together. The default buckets of PyTorch and TF1
        are a tenth wide near one: a bucket that begins above 0.9 counts as a whole, since saturated values crowd at its far end.
        """
        if self.activation_kind == OPEN:
            return np.full(self.n, np.nan)
        left, right = self.left, self.series.right
        wide = right - left > 0.04
        upper = np.where(wide, left >= 0.9, left >= 0.95)
        lower = np.where(wide, right <= -0.9, right <= -0.95) if self.activation_kind == TANH else right <= 0.05
        inside = buckets.sums(self.series.offset, self.series.count * (upper | lower))
        return np.where(self.mass > 0, inside / np.where(self.mass > 0, self.mass, 1.0), np.nan)

    @cached_property
    def unchanged(self) -> Bool:
        """Whether each point is the same histogram as the one before; bool ``[n]``, False first."""
        s = self.series
        return buckets.same_as_before(s.offset, s.right, s.count, (s.minimum, s.maximum, s.total, s.total_squares))

    @cached_property
    def change(self) -> Float64:
        """Wasserstein distance to the histogram before over the mean absolute value; float64 ``[n]``, NaN first.

        For weights a lower bound of the update-to-weight ratio between two logged points. Of long series only some points are
        compared (NaN elsewhere), all that stand still among them.
        """
        out = np.full(self.n, np.nan)
        s = self.series
        chosen = np.linspace(1, self.n - 1, MOST_CHANGES).astype(int) if self.n > MOST_CHANGES else np.arange(1, self.n)
        for i in sorted({*chosen.tolist(), *np.flatnonzero(self.unchanged).tolist()}):
            if self.unchanged[i]:
                out[i] = 0.0
                continue
            parts = [
                (self.left[a:b], s.right[a:b], s.count[a:b]) for a, b in ((int(s.offset[j]), int(s.offset[j + 1])) for j in (i - 1, i))
            ]
            size = self.mean_abs[i - 1]
            moved = buckets.distance(parts[0], parts[1])
            out[i] = moved / size if size > 0 else (np.inf if moved > 0 else 0.0)
        return out

    def _exact(self, total: Float64, moment: int) -> Float64:
        num = np.where(self.series.num > 0, self.series.num, np.nan)
        exact = total / num
        # Sums of a log that lost its values to NaN, or that the encoding does not carry, say nothing.
        usable = np.isfinite(exact) & (self.mass > 0)
        return exact if bool(usable.all()) else np.where(usable, exact, self._moments[moment])
