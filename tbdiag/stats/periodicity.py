"""Patterns that repeat with a known period: folding at the period's boundaries."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tbdiag.stats.noise import mad, median

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """A series folded at period boundaries.

    Attributes:
        jumps: float64 ``[b]``, change of level across each boundary (mean after minus mean before).
        jump, error: median of the jumps and its standard error.
        share: share of boundaries whose jump has the sign of `jump`.
        inner: median change within a period (mean of its last part minus mean of its first part).
        explained: share of the variance of the detrended series that the mean period explains, corrected for chance.
        strength: the same as an F ratio (variance between phases over variance within them); about 1 without a pattern.
        amplitude: highest minus lowest level of the mean period.
    """

    jumps: Float64
    jump: float
    error: float
    share: float
    inner: float
    explained: float
    strength: float
    amplitude: float


def fold_at(step: Int64, values: Float64, boundaries: Int64, part: float = 0.2) -> Fold | None:
    """Fold a series at `boundaries` (the first step of each period); None with fewer than three periods of five points.

    `part` is the share of a period before and after a boundary that makes up its level.
    """
    cut = np.unique(np.searchsorted(step, boundaries))
    cut = cut[(cut > 0) & (cut < values.size)]
    edges = np.concatenate(([0], cut, [values.size]))
    lengths = np.diff(edges)
    keep = int(median(lengths.astype(np.float64))) if lengths.size else 0
    if cut.size < 2 or keep < 5:
        return None
    k = max(1, round(part * keep))
    before = np.array([values[max(c - k, 0) : c].mean() for c in cut])
    after = np.array([values[c : c + k].mean() for c in cut])
    jumps = after - before
    full = [(a, b) for a, b in pairwise(edges) if b - a >= max(2 * k, keep // 2)]
    inner = np.array([values[b - k : b].mean() - values[a : a + k].mean() for a, b in full])
    middle = median(jumps)
    explained, strength, amplitude = _explained(values, full, keep)
    return Fold(
        jumps=jumps,
        jump=middle,
        error=1.253 * mad(jumps) / float(np.sqrt(jumps.size)),
        share=float(np.mean(np.sign(jumps) == np.sign(middle))),
        inner=median(inner) if inner.size else 0.0,
        explained=explained,
        strength=strength,
        amplitude=amplitude,
    )


@dataclass(frozen=True, slots=True)
class Growth:
    """Mean jump over the `early` first boundaries and where it is largest, and the boundaries between which it got a quarter and half as large."""

    early: int
    at_first: float
    later: float
    first: int
    last: int


def find_growth(fold: Fold, at_first: float) -> Growth | None:
    """Jumps that are next to nothing in the first epochs and grow: data in a fixed order make them from the second epoch on."""
    early = fold.jumps.size // 8
    if early < 3:
        return None
    means = np.convolve(fold.jumps, np.full(early, 1 / early), mode="valid")
    peak = int(np.argmin(means))
    begin, later = float(means[0]), float(means[peak])
    error = 1.5 * mad(np.diff(fold.jumps)) / np.sqrt(early)
    if later >= 0 or begin < at_first * later or begin - later < 4 * error:
        return None
    first, last = (int(np.argmax(means < share * later)) + early // 2 for share in (0.25, 0.5))
    return Growth(early, begin, later, first, last)


def _explained(values: Float64, full: list[tuple[int, int]], keep: int, bins: int = 10) -> tuple[float, float, float]:
    """Share of variance that the phase explains, its F ratio and its amplitude, after each period's own level and the trend are taken off."""
    bins = min(bins, keep)
    # The first periods hold the steepest part of the descent, which is no pattern.
    full = full[len(full) // 4 :]
    if len(full) < 3 or bins < 3:
        return 0.0, 0.0, 0.0
    rows = []
    for a, b in full:
        edges = np.linspace(a, b, bins + 1).astype(int)
        rows.append(np.add.reduceat(values[a:b], edges[:-1] - a) / np.maximum(np.diff(edges), 1))
    table = np.array(rows)
    # The trend across one period is what neighbouring periods differ by; take it off as a straight line through each row.
    trend = np.gradient(table.mean(axis=1)) if table.shape[0] > 1 else np.zeros(1)
    ramp = np.linspace(-0.5, 0.5, bins)
    table = table - table.mean(axis=1, keepdims=True) - trend[:, None] * ramp[None, :]
    total = float(np.sum(table**2))
    if total <= 0:
        return 0.0, 0.0, 0.0
    m = table.shape[0]
    levels = table.mean(axis=0)
    between = m * float(np.sum(levels**2))
    r2 = min(between / total, 1 - 1e-9)
    return float(max(0.0, 1 - (1 - r2) * m / (m - 1))), float(r2 / (1 - r2) * (m - 1)), float(np.ptp(levels))


@dataclass(frozen=True, slots=True)
class Phases:
    """How much of a series the place in the period explains.

    Attributes:
        explained: share of variance, corrected for chance; chance: of an F ratio as large or larger without a pattern (1 below a fifth explained).
        amplitude: highest minus lowest level of a place.
    """

    explained: float
    chance: float
    amplitude: float


def explain_by_phase(step: Int64, values: Float64, ends: Int64) -> Phases | None:
    """One-way analysis of variance over the place in the period, for periods of three points or more that need not be whole numbers.

    `ends` are the last steps of the periods. Points at the same distance from them make a group (bins of it, where fewer than three
    and a half points share one). The running mean over three periods is taken off, and the first quarter of the periods, which holds
    the descent, is left out. None with fewer than six periods behind it.
    """
    period = np.searchsorted(ends, step)
    known = (period > 0) & (period < ends.size)
    if not known.any():
        return None
    points = int(known.sum()) / max(np.unique(period[known]).size, 1)
    window = np.ones(min(2 * int(1.5 * points) + 1, values.size))
    values = values - np.convolve(values, window, "same") / np.convolve(np.ones(values.size), window, "same")
    late = known & (period >= np.quantile(period[known], 0.25))
    period, values = period[late], values[late]
    away = step[late] - ends[period - 1]
    same, group = np.unique(away, return_inverse=True)
    if same.size > period.size / 3.5:
        bins = int(np.clip(points, 3, 8))
        place = away / np.maximum(ends[period] - ends[period - 1], 1)
        same, group = np.unique(np.minimum((place * bins - 1e-9).astype(np.int64).clip(0), bins - 1), return_inverse=True)
    size = np.bincount(group)
    free = values.size - same.size - 1
    if points < 3 or np.unique(period).size < 6 or same.size < 3 or size.min() < 3 or free < same.size:
        return None
    rest = values - values.mean()
    level = np.bincount(group, rest) / size
    total, between = float(rest @ rest), float(size @ level**2)
    if total <= 0:
        return None
    within = max(total - between, 1e-12 * total) / free
    explained = max(0.0, 1 - within * (rest.size - 1) / total)
    if explained < 0.2:
        return Phases(explained, 1.0, float(np.ptp(level)))
    from scipy.special import fdtrc  # costs more than all the rest

    chance = float(fdtrc(same.size - 1, free, between / (same.size - 1) / within))
    return Phases(explained, chance, float(np.ptp(level)))
