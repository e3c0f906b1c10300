"""Isolated jumps that come back, told from heavy-tailed noise.

The residual against a running median (21 points) is measured in robust standard deviations. A spike must exceed 8 of them and also
what the series' own upper tail, extrapolated exponentially from its 80 % quantile, would exceed 0.01 times in the whole series; or be
one of four peaks at least that stand apart from all others (`apart_limit`), because spikes at every eighth point are that tail themselves.
Calibration (`benchmarks/false_alarms.py`): Gaussian, t with 4 degrees of freedom and lognormal(0.5) noise. On positive series that
span a factor of three, hand in logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import mad, quantile, running_median

Float64 = npt.NDArray[np.float64]

TAIL_FACTOR, LOG_TAIL_FACTOR = 2.2, 1.2
"""Chosen by simulation so that fewer than one heavy-tailed series in a thousand has a spike; logarithms have lighter tails."""


@dataclass(frozen=True, slots=True)
class Spike:
    """One excursion: indices of its first, highest and last point, its height above the local level, and the same in sigmas."""

    first: int
    peak: int
    last: int
    height: float
    sigmas: float


def find_spikes(values: Float64, sigmas: float = 8.0, *, factor: float = TAIL_FACTOR, width: int = 21, longest: int = 8) -> list[Spike]:
    """Upward excursions of a series float64 ``[n]`` of at most `longest` points each that return to the level before them."""
    n = values.size
    if n < width:
        return []
    level = running_median(values, width)
    residual = values - level
    scale = mad(residual)
    if scale <= 0:
        scale = float(np.sqrt(np.mean(residual**2))) / 10
        if scale <= 0:
            return []
    limit = max(sigmas * scale, tail_limit(residual, factor))
    if float(residual.max()) > sigmas * scale:
        limit = min(limit, max(sigmas * scale, apart_limit(residual, scale)))
    above = np.flatnonzero(residual > limit)
    out: list[Spike] = []
    if not above.size:
        return out
    for group in np.split(above, np.flatnonzero(np.diff(above) > 2) + 1):
        first, last = int(group[0]), int(group[-1])
        # An excursion at the very end has not come back; a long one is a shift of level.
        if last >= n - 1 or last - first >= longest:
            continue
        peak = first + int(np.argmax(residual[first : last + 1]))
        out.append(Spike(first, peak, last, float(residual[peak]), float(residual[peak] / scale)))
    return out


def apart_limit(residual: Float64, scale: float, *, least: int = 4, share: float = 0.2, ratio: float = 2.5) -> float:
    """Value between a second mode of at least `least` peaks and everything below it; infinite where there is no such mode.

    Of the local maxima of a residual float64 ``[n]`` (the highest of five neighbours) the lowest of the mode must be `ratio` times the
    highest of the rest, of which two noise standard deviations count at least. Order statistics of a power tail with exponent a
    leave a gap of that ratio below the k-th with a chance of ``ratio ** (-k a)``: 1e-5 for t with three degrees of freedom.
    Simulated with eight deviations as the least height: 1 in 8,000 such series of 30 to 400 points, none with four.
    """
    padded = np.concatenate(([-np.inf] * 2, residual, [-np.inf] * 2))
    n = residual.size
    around = np.maximum(np.maximum(padded[:n], padded[1 : n + 1]), np.maximum(padded[3 : n + 3], padded[4:]))
    peaks = np.sort(residual[residual >= around])[::-1]
    for k in range(least - 1, min(int(share * n) + 1, peaks.size - 1)):
        rest = max(float(peaks[k + 1]), 2 * scale)
        if peaks[k] > ratio * rest:
            return 0.5 * (float(peaks[k]) + rest)
    return float("inf")


def largest_climb(values: Float64, within: int) -> float:
    """How far any point of a series float64 ``[n]`` lies above the lowest of the `within` points before it (or of those there are)."""
    low, width = np.concatenate((np.full(within, np.inf), values)), 1
    while width <= within:  # minima of wider windows from two narrower ones that touch or overlap
        step = min(width, within + 1 - width)
        low = np.minimum(low[step:], low[:-step])
        width += step
    return float((values - low).max())


def tail_limit(residual: Float64, factor: float = TAIL_FACTOR, expected: float = 0.01) -> float:
    """Value that the upper tail exceeds `expected` times in the series, were it exponential beyond its 60 % quantile.

    The scale comes from the 60 % and 80 % quantiles, which a sixth of spikes hardly moves (from 80 % and 90 %, spikes at every tenth point
    raised their own limit sixfold, and the 99.9 % quantile of clean noise was no lower); where these two are equal, as on values that were
    rounded, from 80 % and 90 %. An exponential tail is heavier than a Gaussian one; `factor` covers t with 4 degrees of freedom and
    lognormal(0.5).
    """
    beyond, low, high = 0.2, quantile(residual, 0.6), quantile(residual, 0.8)
    if high <= low:
        beyond, low, high = 0.1, high, quantile(residual, 0.9)
    decay = (high - low) / np.log(2.0)
    return factor * float(high + decay * np.log(max(beyond * residual.size / expected, 1.0)))
