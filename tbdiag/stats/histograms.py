"""Histogram series as numbers: masses, moments, quantiles and distances of bucketed values, for all points at once.

Every function takes the ragged layout of a histogram series: ``offset`` int64 ``[n+1]`` and the bucket arrays ``left``, ``right``,
``count`` float64 ``[offset[-1]]``, the buckets of point ``i`` lying at ``offset[i]:offset[i+1]``. Within a bucket the values are taken
to be spread evenly, so a mass cut by a limit is interpolated; a bucket of no width holds its whole count at one value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

ZERO_EDGE = 1e-12
"""First positive edge of the TF1 and PyTorch default buckets; what lies in ``[0, 1e-12)`` was exactly zero (or denormally close)."""


def left_edges(offset: Int64, right: Float64, minimum: Float64) -> Float64:
    """Left edges of ``histo`` protos float64 ``[offset[-1]]``: the right edge before, and the minimum for a point's first bucket."""
    left = np.empty_like(right)
    if not right.size:
        return left
    left[1:] = right[:-1]
    filled = np.flatnonzero(np.diff(offset) > 0)
    first = offset[:-1][filled]
    low = minimum[filled]
    usable = np.isfinite(low) & (low < right[first])
    left[first] = np.where(usable, low, right[first])
    return left


def sums(offset: Int64, values: Float64) -> Float64:
    """Sum of `values` within each point; float64 ``[n]``, 0 for points without buckets; non-finite values count as nothing."""
    out = np.zeros(max(offset.size - 1, 0))
    filled = np.flatnonzero(np.diff(offset) > 0)
    if filled.size:
        usable = np.isfinite(values)
        clean = values if usable.all() else np.where(usable, values, 0.0)
        out[filled] = np.add.reduceat(clean, offset[:-1][filled])
    return out


def picked(offset: Int64, count: Float64, mask: npt.NDArray[np.bool_]) -> Float64:
    """Mass of each point in the few buckets that a mask picks; float64 ``[n]``."""
    index = np.flatnonzero(mask)
    point = np.searchsorted(offset, index, side="right") - 1
    mass: Float64 = np.bincount(point, weights=count[index], minlength=max(offset.size - 1, 0)).astype(np.float64)
    return mass


def share_between(offset: Int64, left: Float64, right: Float64, count: Float64, band: tuple[float, float]) -> Float64:
    """Share of the mass of each point that lies in ``band`` (both limits included); float64 ``[n]``, NaN for points without mass."""
    low, high = band
    width = right - left
    overlap = np.clip(np.minimum(right, high) - np.maximum(left, low), 0.0, None)
    inside = np.where(width > 0, overlap / np.where(width > 0, width, 1.0), ((left >= low) & (left <= high)).astype(np.float64))
    total = sums(offset, count)
    return _ratio(sums(offset, count * inside), total)


def zero_share(offset: Int64, left: Float64, right: Float64, count: Float64) -> tuple[Float64, Float64]:
    """Lower and upper bound of the share of exact zeros of each point; two float64 ``[n]``.

    With TF1 or PyTorch default buckets both agree (zeros have the bucket ``[0, 1e-12)`` to themselves); linear buckets bound it only.
    """
    tiny = 2 * ZERO_EDGE
    exact = (left >= -tiny) & (right <= tiny)
    may = exact | ((left <= 0.0) & (right >= 0.0))
    total = sums(offset, count)
    return _ratio(picked(offset, count, exact), total), _ratio(picked(offset, count, may), total)


def moments(offset: Int64, left: Float64, right: Float64, count: Float64) -> tuple[Float64, Float64, Float64]:
    """Mean, mean absolute value and mean square of each point from its buckets; three float64 ``[n]``, NaN without mass."""
    with np.errstate(over="ignore", invalid="ignore"):
        centre = 0.5 * left + 0.5 * right
        width = right - left
        straddles = (left < 0) & (right > 0)
        absolute = np.where(straddles, 0.5 * (left**2 + right**2) / np.where(width > 0, width, 1.0), np.abs(centre))
        square = centre**2 + width**2 / 12.0
    total = sums(offset, count)
    return (
        _ratio(sums(offset, count * centre), total),
        _ratio(sums(offset, count * absolute), total),
        _ratio(sums(offset, count * square), total),
    )


def quantiles(offset: Int64, left: Float64, right: Float64, count: Float64, levels: npt.ArrayLike) -> Float64:
    """Quantiles of each point, interpolated within buckets; float64 ``[n, len(levels)]``, NaN for points without mass."""
    q = np.asarray(levels, dtype=np.float64)
    n = offset.size - 1
    out = np.full((n, q.size), np.nan)
    for i in range(n):
        a, b = int(offset[i]), int(offset[i + 1])
        mass = np.cumsum(count[a:b])
        if not mass.size or not mass[-1] > 0:
            continue
        target = q * mass[-1]
        # The first bucket whose cumulated mass reaches the target; for the lowest level the first bucket with any mass.
        at = np.minimum(np.searchsorted(mass, np.maximum(target, mass[-1] * 1e-15), side="left"), mass.size - 1)
        before = np.where(at > 0, mass[at - 1], 0.0)
        held = count[a:b][at]
        share = np.clip((target - before) / np.where(held > 0, held, 1.0), 0.0, 1.0)
        out[i] = left[a:b][at] + share * (right[a:b][at] - left[a:b][at])
    return out


def same_as_before(offset: Int64, right: Float64, count: Float64, extras: tuple[Float64, ...] = ()) -> npt.NDArray[np.bool_]:
    """Whether each point equals the one before, bucket by bucket and in every `extras` array ``[n]``; bool ``[n]``, False first.

    Equal means equal: the same values give the same bounds and counts, and a slow change may show in the last digit only.
    """
    n = offset.size - 1
    out = np.zeros(max(n, 0), dtype=np.bool_)
    sizes = np.diff(offset)
    for i in range(1, n):
        if sizes[i] != sizes[i - 1] or not all(_equal(e[i - 1 : i], e[i : i + 1]) for e in extras):
            continue
        a, b, c = int(offset[i - 1]), int(offset[i]), int(offset[i + 1])
        out[i] = _equal(count[a:b], count[b:c]) and _equal(right[a:b], right[b:c])
    return out


def distance(
    one: tuple[Float64, Float64, Float64],
    two: tuple[Float64, Float64, Float64],
) -> float:
    """First Wasserstein distance of two histograms, each ``(left, right, count)``; NaN where one has no mass.

    For two snapshots of the same weights it is a lower bound of the mean absolute change of a weight.
    """
    edges = np.unique(np.concatenate([one[0], one[1], two[0], two[1]]))
    if edges.size < 2 or not one[2].sum() > 0 or not two[2].sum() > 0:
        same = one[2].sum() > 0 and two[2].sum() > 0
        return 0.0 if same else float("nan")
    gap = _cumulated(one, edges) - _cumulated(two, edges)
    width = np.diff(edges)
    a, b = gap[:-1], gap[1:]
    # The difference of two piecewise linear curves: integrate its absolute value exactly, also where it crosses zero.
    crosses = a * b < 0
    spread = np.abs(a) + np.abs(b)
    area = np.where(crosses, (a * a + b * b) / np.where(spread > 0, 2 * spread, 1.0), 0.5 * spread)
    return float(np.sum(area * width))


def _cumulated(histogram: tuple[Float64, Float64, Float64], edges: Float64) -> Float64:
    left, right, count = histogram
    keep = count > 0
    left, right, count = left[keep], right[keep], count[keep]
    order = np.argsort(right, kind="stable")
    left, right, count = left[order], right[order], count[order]
    # A bucket of no width is a jump; give it the smallest width that keeps the curve a function.
    right = np.maximum(right, np.nextafter(left, np.inf))
    mass = np.cumsum(count) / count.sum()
    x = np.empty(2 * left.size)
    y = np.empty(2 * left.size)
    x[0::2], x[1::2] = left, right
    y[0::2], y[1::2] = np.concatenate(([0.0], mass[:-1])), mass
    return np.interp(edges, x, y, left=0.0, right=1.0)


def _equal(a: Float64, b: Float64) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True))


def _ratio(part: Float64, whole: Float64) -> Float64:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
