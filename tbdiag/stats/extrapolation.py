"""Where a learning curve is heading: a power law with an offset, ``c + a t^-alpha``, fitted robustly.

For a fixed exponent the fit is linear, so a grid of exponents replaces an optimiser. Annealed learning rates make the extrapolation
invalid; callers check that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

EXPONENTS = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """``offset + scale * (t / t_end) ** -alpha`` with the residual standard deviation of the fit."""

    offset: float
    scale: float
    alpha: float
    residual: float

    def at(self, t: float) -> float:
        """Predicted value at time `t`, in units of the fitted span's end."""
        return float(self.offset + self.scale * float(t) ** -self.alpha)


def fit_power_law(t: Float64, y: Float64) -> PowerLaw | None:
    """Fit a falling curve; `t` float64 ``[n]`` > 0, ascending. None for fewer than five points or a curve that does not fall."""
    if t.size < 5 or t[0] <= 0:
        return None
    x = t / t[-1]
    best: PowerLaw | None = None
    for alpha in EXPONENTS:
        h = x**-alpha
        centred = h - h.mean()
        power = float(centred @ centred)
        if power <= 0:
            continue
        scale = float(centred @ y) / power
        if scale <= 0:
            continue
        offset = float(y.mean() - scale * h.mean())
        residual = float(np.sqrt(np.mean((y - offset - scale * h) ** 2)))
        if best is None or residual < best.residual:
            best = PowerLaw(offset, scale, float(alpha), residual)
    return best
