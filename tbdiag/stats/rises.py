"""Lasting rises of a positive series, such as a gradient norm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def find_rise(value: Float64, times: float) -> int | None:
    """Index from which a positive series stays `times` above the median of everything before, or None.

    The rise must hold for at least three points and a hundredth of the series, in their median; the first two per cent (at least three
    points) are no reference, since norms are large while a run starts.
    """
    n = value.size
    if n < 8:
        return None
    log = np.log(np.maximum(value, 1e-300))
    need = np.log(times)
    start = max(3, n // 50)
    # Nothing after the start rises that far over the lowest value before it: the common case, answered at once.
    if float(np.max(log[start:] - np.minimum.accumulate(log)[start - 1 : -1])) < need:
        return None
    width = max(3, n // 100)
    candidates = np.flatnonzero(log[start + 2 :] - np.minimum.accumulate(log)[start + 1 : -1] >= need) + start + 2
    if candidates.size > 200:
        candidates = candidates[np.linspace(0, candidates.size - 1, 200).astype(int)]
    for i in candidates:
        before = log[max(start - 3, 0) : i]
        after = log[i : i + width]
        if before.size >= 5 and after.size >= min(3, width) and float(np.median(after)) - float(np.median(before)) >= need:
            rest = log[i:]
            if float(np.median(rest)) - float(np.median(before)) >= 0.5 * need:
                return int(i)
    return None


def bursts(value: Float64, times: float, width: int = 21) -> npt.NDArray[np.int64]:
    """Indices at which a positive series exceeds `times` the median of the `width` points before it; the first of each burst."""
    n = value.size
    if n < 8 or float(value.max()) < times * float(value.min()):
        return np.empty(0, dtype=np.int64)
    high: list[int] = []
    for i in np.flatnonzero(value >= times * float(np.median(value))):
        before = value[max(i - width, 0) : i]
        if before.size >= 5 and value[i] >= times * float(np.median(before)) and (not high or i - high[-1] > 2):
            high.append(int(i))
    return np.array(high, dtype=np.int64)
