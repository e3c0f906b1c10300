"""False discovery control over series of the same role within one detector (Benjamini and Hochberg 1995)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def adjust_p(p: Float64) -> Float64:
    """Benjamini-Hochberg adjusted p-values of p-values float64 ``[m]``; compare them with the wanted false discovery rate."""
    m = p.size
    if not m:
        return p.astype(np.float64)
    order = np.argsort(p)
    scaled = p[order] * m / np.arange(1, m + 1)
    adjusted = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    out = np.empty(m)
    out[order] = adjusted
    return out


def normal_tail(z: float) -> float:
    """One-sided p-value of a standard normal deviate."""
    from math import erfc, sqrt

    return 0.5 * erfc(z / sqrt(2.0))
