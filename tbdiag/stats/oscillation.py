"""Swings: ups and downs of a smoothed curve that are larger than its noise explains.

The share of sign changes of raw differences is 2/3 for white noise of any size, so it says nothing. What counts are turning points of
a zigzag: a swing ends where the curve has come back by more than a threshold that the caller derives from the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import median

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Swings:
    """Zigzag of a curve.

    Attributes:
        turns: indices of its turning points, ends included.
        rises: number of upward legs larger than the threshold; first_rise: index at which the first of them begins (-1: none).
        largest, median_rise: largest and median upward leg (0 where there is none).
        climbed: sum of the upward legs; net: last minus first value.
    """

    turns: tuple[int, ...]
    rises: int
    first_rise: int
    largest: float
    median_rise: float
    climbed: float
    net: float


def find_swings(values: Float64, threshold: float) -> Swings:
    """Zigzag of a series float64 ``[n]`` (a few hundred points at most); legs shorter than `threshold` are ignored."""
    if values.size < 2:
        return Swings((0,) if values.size else (), 0, -1, 0.0, 0.0, 0.0, 0.0)
    points = values.tolist()
    turns = [0]
    low = high = 0
    direction = 0
    for i, v in enumerate(points):
        if v < points[low]:
            low = i
        if v > points[high]:
            high = i
        if direction >= 0 and points[high] - v > threshold:  # came down: the high was a turn
            if direction or high:
                turns.append(high)
            direction, low, high = -1, i, i
        elif direction <= 0 and v - points[low] > threshold:
            if direction or low:
                turns.append(low)
            direction, low, high = 1, i, i
    turns.append(len(points) - 1)
    legs = [(a, points[b] - points[a]) for a, b in pairwise(turns)]
    up = [(a, leg) for a, leg in legs if leg > threshold]
    sizes = [leg for _, leg in up]
    return Swings(
        turns=tuple(turns),
        rises=len(up),
        first_rise=up[0][0] if up else -1,
        largest=max(sizes, default=0.0),
        median_rise=median(np.array(sizes)) if sizes else 0.0,
        climbed=float(sum(sizes)),
        net=points[-1] - points[0],
    )


def scatter(values: Float64) -> float:
    """Standard deviation of the noise from point to point, float64 ``[n]``; 0 for fewer than four points.

    The mean absolute deviation from the line between neighbours: with a dozen points it is much steadier than a median; deviations are
    capped at four of those, so that a spike counts once.
    """
    if values.size < 4:
        return 0.0
    off = np.abs(detrended(values))
    cap = 4 * median(off)
    return 1.2533 * float(np.minimum(off, cap).mean() if cap > 0 else off.mean()) / 1.2247


def detrended(values: Float64) -> Float64:
    """What is left of a series after a straight line between neighbours is taken off every inner point; float64 ``[n - 2]``.

    The standard deviation of white noise is multiplied by sqrt(3/2); a smooth trend leaves nothing.
    """
    return np.asarray(values[1:-1] - 0.5 * (values[:-2] + values[2:]))
