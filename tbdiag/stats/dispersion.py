"""Where the scatter of a curve rises for good: restlessness that sets in, whatever its period.

A noise estimate from neighbouring points takes slow swings for autocorrelated noise and averages over calm and restless parts. Here the curve
is cut into pieces; the median absolute deviation from each piece's own straight line holds both noise and swings of any period within a piece, and is
compared with that of the three pieces before it. Minibatch noise falls with the loss or keeps its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import MAD_TO_SD, median, row_medians

Float64 = npt.NDArray[np.float64]

PIECES = 12
WIDTH = 10
"""Points of a piece at least; of fewer the deviation is not known within a factor of two."""
BEFORE = 3
"""Pieces that must have been calm: one of them may hold a step."""


@dataclass(frozen=True, slots=True)
class ScatterRise:
    """The largest lasting rise of the scatter.

    Attributes:
        ratio: scatter of all but the calmest fifth of the later pieces over the median of the three before; 0 where it never rises.
        before: index of the first point of the calm pieces; first, last: indices of the points between which it set in.
        after: median scatter of the later pieces, a standard deviation in the curve's unit.
    """

    ratio: float
    before: int
    first: int
    last: int
    after: float


def find_scatter_rise(values: Float64) -> ScatterRise | None:
    """Largest lasting rise of the scatter of a series float64 ``[n]``; None with fewer than 60 points (up to 120 it is cut into six pieces).

    The last quarter of the series is no place for one to begin: it could not be seen to last.
    """
    count = PIECES if values.size >= PIECES * WIDTH else PIECES // 2
    width, rest = divmod(values.size, count)
    if width < WIDTH:
        return None
    pieces = values[rest:].reshape(count, width)
    x = np.arange(width) - (width - 1) / 2
    level = pieces - pieces.mean(axis=1, keepdims=True) - np.outer(pieces @ x / float(x @ x), x)
    scatters = MAD_TO_SD * row_medians(np.abs(level - row_medians(level)[:, None]))
    best = ScatterRise(0.0, 0, 0, 0, 0.0)
    for j in range(BEFORE, 3 * count // 4 + 1):
        before, after = median(scatters[j - BEFORE : j]), scatters[j:]
        least = float(np.sort(after)[after.size // 5])
        if before > 0 and least / before > best.ratio:
            at = rest + j * width
            best = ScatterRise(least / before, at - BEFORE * width, at - width, at + width - 1, median(after))
    return best
