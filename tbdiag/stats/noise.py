"""How noisy a series is: a robust scale that neither trend, autocorrelation nor rounding fools.

Formulas and their calibration: the scale of the differences, corrected for lag-1 autocorrelation
(``sigma = MAD(diff) / sqrt(2 (1 - r1))``, exact for AR(1) noise), with a floor at ``quantum / sqrt(12)`` for rounded values.
Long series are looked at through eight contiguous windows, so the cost is bounded.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

MAD_TO_SD = 1.482602218505602
"""1 / Phi^-1(3/4): turns a median absolute deviation into a standard deviation of Gaussian noise."""

SHORT = 2048
"""Up to so many points sorting whole arrays is as fast as looking for one order statistic (measured with numpy 2)."""

_WIDE, _VERY_WIDE = 16, 64

WINDOWS, WINDOW_POINTS = 8, 256
"""Series longer than the product are sampled in so many contiguous windows of so many points."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of a series, in the unit of its values.

    Attributes:
        sigma: standard deviation of the noise, corrected for autocorrelation and rounding.
        r1: lag-1 autocorrelation of the detrended series, within [0, 0.95].
        quantum: smallest step between distinct values that explains them all, 0 where the values are not rounded.
        n_eff: effective number of independent points.
    """

    sigma: float
    r1: float
    quantum: float
    n_eff: float


def median(values: Float64) -> float:
    """Median of a float64 array ``[n]``, faster than `np.median` for the short arrays of one curve; NaN if empty."""
    n = values.size
    if not n:
        return float("nan")
    k = n // 2
    part = values.copy()
    # Sorting is vectorised and beats partitioning as long as the array is short.
    if n <= SHORT:
        part.sort()
    else:
        part.partition(k if n % 2 else (k - 1, k))
    return part.item(k) if n % 2 else 0.5 * (part.item(k - 1) + part.item(k))


def quantile(values: Float64, q: float) -> float:
    """Quantile of a float64 array ``[n]`` as `numpy.quantile` gives it (linear), at a tenth of its cost; NaN if empty."""
    n = values.size
    if not n:
        return float("nan")
    place = q * (n - 1)
    k = min(int(place), n - 1)
    after = min(k + 1, n - 1)
    part = values.copy()
    if n <= SHORT:
        part.sort()
    else:
        part.partition((k, after))
    low, high, share = part.item(k), part.item(after), place - k
    # Both forms, as numpy has them, so that the figures agree to the last bit.
    return float(low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share))


def row_medians(rows: Float64) -> Float64:
    """Median of each row of a fresh float64 array ``[k, n]`` (its rows are put in order); float64 ``[k]``."""
    n = rows.shape[1]
    rows.sort(axis=1)
    k = n // 2
    return rows[:, k].copy() if n % 2 else np.asarray(0.5 * (rows[:, k - 1] + rows[:, k]))


def mad(values: Float64) -> float:
    """Median absolute deviation from the median, scaled to a standard deviation; 0 for an empty array."""
    if not values.size:
        return 0.0
    return median(np.abs(values - median(values))) * MAD_TO_SD


def sliding(values: npt.NDArray[Number], width: int) -> npt.NDArray[Number]:
    """All windows of `width` points, ``[n - width + 1, width]``: `sliding_window_view` at a tenth of its cost."""
    flat = np.ascontiguousarray(values)
    return np.ndarray((flat.size - width + 1, width), flat.dtype, flat.data, 0, (flat.itemsize, flat.itemsize))


def running_median(values: Float64, width: int) -> Float64:
    """Centred running median of odd `width` with the window shrinking at the ends; float64 ``[n]``."""
    n = values.size
    width = min(width | 1, n if n % 2 else max(n - 1, 1))
    half = width // 2
    if half == 0:
        return values.astype(np.float64)
    if _WIDE <= width <= _VERY_WIDE:
        return _median_of_ranks(values, width)
    out = np.empty(n)
    if width == 5:  # a sorting network is several times faster than partitioning every window
        out[2 : n - 2] = _median_of_five(values[:-4], values[1:-3], values[2:-2], values[3:-1], values[4:])
    elif width < _WIDE:
        windows = sliding(values, width).copy()
        windows.partition(half, axis=1)
        out[half : n - half] = windows[:, half]
    else:  # ranks are put in order twice as fast as the values themselves
        order = values.argsort()
        ranks = np.empty(n, dtype=np.int32)
        ranks[order] = np.arange(n, dtype=np.int32)
        places = sliding(ranks, width).copy()
        places.partition(half, axis=1)
        out[half : n - half] = values[order[places[:, half]]]
    out[:half] = _growing_medians(values[: width - 2].tolist())
    out[: n - half - 1 : -1] = _growing_medians(values[: -width + 1 : -1].tolist())
    return out


def _median_of_ranks(values: Float64, width: int) -> Float64:
    """`running_median` of `width` up to `n` by one partition of ranks: a window that shrinks is filled up with as many below all as above."""
    n, half = values.size, width // 2
    order = values.argsort()
    ranks = np.empty(n + 2, dtype=np.int32)
    ranks[order] = np.arange(n, dtype=np.int32)
    ranks[n:] = -1, n
    shrunk = _shrunk_windows(width)
    windows = np.empty((n, width), dtype=np.int32)
    windows[:half] = ranks.take(shrunk)
    windows[half : n - half] = sliding(ranks[:n], width)
    windows[n - half :] = np.concatenate((ranks[n - 1 : n - width : -1], ranks[n:])).take(shrunk)[::-1]
    windows.partition(half, axis=1)
    return values.take(order.take(windows[:, half]))


@lru_cache(maxsize=_VERY_WIDE)
def _shrunk_windows(width: int) -> npt.NDArray[np.intp]:
    """Indices of the first 1, 3, 5 ... points, ``[width // 2, width]``, filled up with -2 and -1."""
    row, column = np.ogrid[: width // 2, :width]
    return np.where(column <= 2 * row, column, np.where(column <= width // 2 + row, -2, -1))


def _growing_medians(values: list[float]) -> list[float]:
    """Medians of the first one, three, five ... of an odd number of values."""
    seen = values[:1]
    out = [values[0]]
    for i in range(1, len(values), 2):
        insort(seen, values[i])
        insort(seen, values[i + 1])
        out.append(seen[len(seen) // 2])
    return out


def prefix_medians(values: Float64, first: int, stop: int) -> Float64:
    """Medians of ``values[:i]`` for `i` from `first`, at least 1, to `stop` (exclusive); float64 ``[max(stop - first, 0)]``."""
    points = values.tolist()
    seen = sorted(points[: first - 1])
    out = []
    for i in range(first, stop):
        insort(seen, points[i - 1])
        out.append(seen[i // 2] if i % 2 else 0.5 * (seen[i // 2 - 1] + seen[i // 2]))
    return np.array(out, dtype=np.float64)


def _median_of_five(a: Float64, b: Float64, c: Float64, d: Float64, e: Float64) -> Float64:
    f = np.maximum(np.minimum(a, b), np.minimum(c, d))
    g = np.minimum(np.maximum(a, b), np.maximum(c, d))
    low, high = np.minimum(f, g), np.maximum(f, g)
    return np.asarray(np.maximum(low, np.minimum(high, e)))


def find_quantum(values: Float64) -> float:
    """Rounding step of the values (0.0001, 0.001 ...), or 0 where a power of ten does not explain them all.

    Values are compared with multiples of 10^-k for k = 0..6 within the error of float32.
    """
    if values.size < 4:
        return 0.0
    scale = float(np.abs(values).max()) or 1.0
    tolerance = scale * 2.0**-23
    a, b, c = values[:3].tolist()
    for digits in range(7):
        quantum = 10.0**-digits
        if quantum <= 4 * tolerance:
            return 0.0
        # Most series fail at their first points; Python's rounding differs from numpy's by far less than the tolerance.
        far = 1.5 * tolerance
        if abs(a - round(a, digits)) > far or abs(b - round(b, digits)) > far or abs(c - round(c, digits)) > far:
            continue
        if float(np.abs(values - np.round(values, digits)).max()) <= tolerance:
            return quantum if quantum < scale else 0.0
    return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Differences of a series float64 ``[n]``, ``[n - 1]``, and the `mad` of first and second differences."""

    first: Float64
    spread: float
    bend: float


def measure_steps(values: Float64) -> Steps:
    """Differences of a series of three points or more, which both `bound_noise` and `estimate_noise` start from."""
    first = values[1:] - values[:-1]
    return Steps(first, mad(first), mad(first[1:] - first[:-1]))


def estimate_noise(values: Float64, steps: Steps | None = None) -> Noise:
    """Noise of a finite series float64 ``[n]`` in order of its steps; sigma 0 for fewer than three points.

    `steps`: `measure_steps` of the values, where it was worked out before (2,048 points at most).

    The relative standard deviation of the estimate is about 55 % at six points, 30 % at twenty, 10 % at two hundred (simulated).
    """
    n = values.size
    if n < 3:
        return Noise(0.0, 0.0, 0.0, float(n))
    quantum = find_quantum(values if n <= 512 else values[:: n // 256])
    if n > WINDOWS * WINDOW_POINTS:
        starts = np.linspace(0, n - WINDOW_POINTS, WINDOWS).astype(int)
        parts = [_scale(values[a : a + WINDOW_POINTS]) for a in starts]
        sigma, r1 = median(np.array([p[0] for p in parts])), median(np.array([p[1] for p in parts]))
    else:
        sigma, r1 = _scale(values, steps)
    sigma = max(float(sigma), quantum / sqrt(12.0))
    return Noise(sigma, r1, quantum, n * (1 - r1) / (1 + r1))


def bound_noise(values: Float64, steps: Steps | None = None) -> tuple[float, float]:
    """Bounds of what `estimate_noise` gives for sigma, at a tenth of its cost; (0, inf) where nothing can be said.

    The autocorrelation lies within [0, 0.95], and the steps of a rounded series that moves at all are no smaller than its quantum.
    """
    n = values.size
    if not 8 <= n <= 512:
        return 0.0, inf
    steps = steps or measure_steps(values)
    largest = float(np.abs(steps.first).max())
    if largest == 0:
        return 0.0, inf
    spread, bend = steps.spread, steps.bend
    low = min(spread / sqrt(2.0), 1.25 * bend / sqrt(6.0)) if bend > 0 else spread / sqrt(2.0)
    return low * (1 - 1e-9), max(spread / sqrt(0.1), largest / sqrt(12.0)) * (1 + 1e-9)


def _scale(values: Float64, steps: Steps | None = None) -> tuple[float, float]:
    """Standard deviation and lag-1 autocorrelation of the noise of a short series."""
    n = values.size
    if n < 8:
        first = values[1:] - values[:-1]
        return median(np.abs(first[1:] - first[:-1])) * MAD_TO_SD / sqrt(6.0), 0.0
    steps = steps or measure_steps(values)
    detrended = values - running_median(values, max(5, min(n // 5, 51)))
    r1 = max(_lag1(detrended), _lag1_of_steps(steps.first, steps.spread))
    by_first = steps.spread / sqrt(2 * (1 - r1))
    by_second = steps.bend / sqrt(2 * (1 - r1) * (3 - r1))
    # A steep trend inflates first differences only; second differences see a straight line as nothing.
    return (min(by_first, by_second * 1.25) if by_second > 0 else by_first), r1


def _lag1_of_steps(steps: Float64, spread: float) -> float:
    """Lag-1 autocorrelation of AR(1) noise from that of its differences, which is ``-(1 - rho) / 2``.

    Taking a trend off a short series takes its slow swings off as well and hides autocorrelation; differences need it less. Above 0.85
    it is what is left of the trend that makes neighbouring differences alike. `spread` is the `mad` of the steps.
    """
    if spread <= 0 or steps.size < 8:
        return 0.0
    level = running_median(steps, max(7, min(steps.size // 3, 51)))
    centred = _cut(steps - level, 5 * spread)
    power = float(np.dot(centred, centred))
    return min(max(1 + 2 * float(np.dot(centred[1:], centred[:-1])) / power, 0.0), 0.85) if power > 0 else 0.0


def _lag1(residual: Float64) -> float:
    centred = residual - np.add.reduce(residual) / residual.size
    power = float(np.dot(centred, centred))
    if power <= 0:
        return 0.0
    limit = 5 * mad(centred)
    if limit > 0:
        centred = _cut(centred, limit)
        power = float(np.dot(centred, centred))
    return min(max(float(np.dot(centred[1:], centred[:-1])) / power, 0.0), 0.95)


def _cut(values: Float64, limit: float) -> Float64:
    return np.asarray(np.minimum(np.maximum(values, -limit), limit))
