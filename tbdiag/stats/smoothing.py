"""Smoothing for drawing and for levels; statistics use medians and blocks instead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def ema(values: Float64, weight: float = 0.6) -> Float64:
    """Debiased exponential mean as TensorBoard draws it; non-finite points pass through and leave the mean alone.

    Raises:
        ValueError: `weight` is not in [0, 1).
    """
    if not 0 <= weight < 1:
        raise ValueError(f"weight must be in [0, 1), not {weight}")
    out = np.empty(values.size)
    last, seen = 0.0, 0
    for i, v in enumerate(values.tolist()):
        if not np.isfinite(v):
            out[i] = v
            continue
        seen += 1
        last = weight * last + (1 - weight) * v
        out[i] = last / (1 - weight**seen)
    return out


def decreasing_fit(values: Float64) -> Float64:
    """Isotonic (non-increasing) least-squares fit by pooling adjacent violators; float64 ``[n]``."""
    level: list[float] = []
    weight: list[int] = []
    for v in values.tolist():
        level.append(v)
        weight.append(1)
        while len(level) > 1 and level[-2] < level[-1]:
            w = weight[-2] + weight[-1]
            level[-2] = (level[-2] * weight[-2] + level[-1] * weight[-1]) / w
            weight[-2] = w
            level.pop()
            weight.pop()
    return np.repeat(np.array(level), weight)
