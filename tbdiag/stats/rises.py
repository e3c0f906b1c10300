"""Lasting rises of a positive series, such as a gradient norm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import median, row_medians, sliding

Float64 = npt.NDArray[np.float64]


MOST_POINTS = 600
"""Longer series are cut into this many blocks at most, of which the medians are looked at: a lasting rise outlasts a block."""


def find_rise(value: Float64, times: float) -> int | None:
    """Index from which a positive series stays `times` above the median of everything before, or None.

    The rise must hold for at least three points and a hundredth of the series, in their median; the first two per cent (at least three
    points) are no reference, since norms are large while a run starts.
    """
    n = value.size
    if n < 8:
        return None
    log = np.log(np.maximum(value, 1e-300))
    need = float(np.log(times))
    if float(log.max() - log.min()) < need:
        return None
    size = -(-n // MOST_POINTS)
    if size > 1:
        whole = n // size * size
        log = row_medians(log[:whole].reshape(-1, size).copy())
    index = _rise_of(log, need)
    return None if index is None else index * size


def _rise_of(log: Float64, need: float) -> int | None:
    n = log.size
    start = max(3, n // 50)
    width = max(3, n // 100)
    if n < start + 5 + width:
        width = 3
    if n < start + 5 or n < width + 5:
        return None
    ahead = row_medians(sliding(log, width).copy())
    # What lies ahead must stand out from the lowest level that any stretch before had: the common case ends here.
    first = max(start - 3, 0) + 5
    if first >= ahead.size:
        return None
    lowest = np.minimum.accumulate(ahead)
    candidates = np.flatnonzero(ahead[first:] - lowest[first - 1 : -1] >= need) + first
    for i in candidates:
        before = median(log[max(start - 3, 0) : i])
        if ahead[i] - before >= need and median(log[i:]) - before >= 0.5 * need:
            return int(i)
    return None


def bursts(value: Float64, times: float, width: int = 21) -> npt.NDArray[np.int64]:
    """Indices at which a positive series exceeds `times` the median of the `width` points before it; the first of each burst."""
    n = value.size
    if n < 8 or float(value.max()) < times * float(value.min()):
        return np.empty(0, dtype=np.int64)
    high: list[int] = []
    for i in np.flatnonzero(value >= times * median(value)):
        before = value[max(i - width, 0) : i]
        if before.size >= 5 and value[i] >= times * median(before) and (not high or i - high[-1] > 2):
            high.append(int(i))
    return np.array(high, dtype=np.int64)
