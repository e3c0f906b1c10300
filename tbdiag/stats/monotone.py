"""Does a falling curve turn and rise again? Judged by all of its points, not by its end alone.

Two descriptions compete: a curve that never rises (isotonic regression), and one that falls to some point and rises after it (two isotonic
regressions, the turning point chosen best). What the second leaves less of, in units of what it leaves per point, is large where the curve
turns. The statistic has no scale, knows no noise estimate, and needs no single point to be high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import estimate_noise, mad, running_median

Float64 = npt.NDArray[np.float64]

FEWEST = 15
"""Below so many points the statistic's own distribution has no useful tail."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The best turning point of a series.

    Attributes:
        index: last point of the falling part.
        ratio: the statistic over its critical value; above 1 for a curve that only falls in about one of a thousand cases.
    """

    index: int
    ratio: float


def find_turn(values: Float64) -> Turn:
    """Turning point of a cost (lower is better) float64 ``[n]`` of a few hundred points at most; ratio 0 below fifteen points.

    Critical value ``32 + 100 / free``, `free` the points less the levels of the fit: 99.9 % quantile on flat white noise of 15 to 200 points,
    where turns are faked most easily (simulated). For autocorrelated noise the statistic is divided by ``(1 + r1) / (1 - r1)``; then 0.5 % are
    wrong at rho = 0.5 and 4 % at 0.8. Outliers are pulled in to three deviations first.
    """
    n = values.size
    if n < FEWEST:
        return Turn(int(np.argmin(values)) if n else 0, 0.0)
    level = running_median(values, 5)
    off = values - level
    reach = 3 * max(mad(off), float(np.mean(np.abs(off))))
    clipped = level + np.clip(off, -reach, reach)
    falling, steps = _prefix_errors(clipped.tolist())
    rising, back = (a[::-1] for a in _prefix_errors(clipped[::-1].tolist()))
    both = falling + rising
    at = int(np.argmin(both))
    left = float(both[at])
    saved = float(falling[-1]) - left
    noise = estimate_noise(values)
    floor = n * (1e-9 * float(np.ptp(clipped))) ** 2 + n * noise.quantum**2 / 12
    inflation = (1 + noise.r1) / (1 - noise.r1)
    # A steep descent is fitted point by point and tells nothing of the noise: every level of the fit costs a point.
    free = max(n - int(steps[at] + back[at]), 1)
    statistic = saved / max(left, floor, 1e-300) * free / inflation
    return Turn(max(at - 1, 0), statistic / (32 + 100 / free))


def _prefix_errors(values: list[float]) -> tuple[Float64, Float64]:
    """Sum of squared errors of the best non-increasing fit to each prefix, and its number of levels; the empty prefix first, ``[n + 1]``.

    Pooling of adjacent violators, one pass.
    """
    out, levels = np.zeros(len(values) + 1), np.zeros(len(values) + 1)
    means: list[float] = []
    weights: list[float] = []
    errors: list[float] = []
    total = 0.0
    for i, value in enumerate(values):
        mean, weight, error = value, 1.0, 0.0
        while means and means[-1] < mean:
            other, held = means.pop(), weights.pop()
            inside = errors.pop()
            total -= inside
            apart = mean - other
            error += inside + apart * apart * held * weight / (held + weight)
            mean = (other * held + mean * weight) / (held + weight)
            weight += held
        means.append(mean)
        weights.append(weight)
        errors.append(error)
        total += error
        out[i + 1], levels[i + 1] = total, len(means)
    return out, levels
