"""Two measurements of the same steps: whether they say the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TOLERANCE = 0.01
"""Of the range of a series: a restart computes the same value again but for rounding and the order of its data."""


def same_values(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64], among: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Where values ``[n]`` agree, to a hundredth of the range of the finite values in `among` ``[m]``, or are both NaN."""
    finite = among[np.isfinite(among)]
    span = float(np.ptp(finite)) if finite.size else 0.0
    with np.errstate(invalid="ignore"):
        same: npt.NDArray[np.bool_] = (old == new) | (np.isnan(old) & np.isnan(new)) | (np.abs(old - new) <= TOLERANCE * span)
    return same
