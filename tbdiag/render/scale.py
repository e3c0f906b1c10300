"""Axes: data interval -> pixels, ticks, and which scale and range suit a set of values. No markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tbdiag.render.words import minus, tick


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps ``lo..hi`` to the pixels ``a..b``; logarithmic where `log`. Values outside are clamped by `place`."""

    lo: float
    hi: float
    a: float
    b: float
    log: bool = False

    def place(self, value: float) -> float:
        """Pixel of a value, clamped to the axis."""
        value = min(max(value, self.lo), self.hi)
        if self.log:
            share = (math.log10(value) - math.log10(self.lo)) / (math.log10(self.hi) - math.log10(self.lo))
        else:
            share = (value - self.lo) / (self.hi - self.lo)
        return self.a + share * (self.b - self.a)

    def places(self, values: Sequence[float]) -> list[float]:
        """`place` of many values."""
        lo, hi, a, extent = self.lo, self.hi, self.a, self.b - self.a
        if self.log:
            base, span = math.log10(lo), math.log10(hi) - math.log10(lo)
            return [a + (math.log10(lo if v < lo else hi if v > hi else v) - base) / span * extent for v in values]
        span = hi - lo
        return [a + ((lo if v < lo else hi if v > hi else v) - lo) / span * extent for v in values]

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """About `count` round values inside the axis with their labels."""
        values = log_ticks(self.lo, self.hi, count) if self.log else nice_ticks(self.lo, self.hi, count)
        if len(values) < 3 and not self.log:
            values = nice_ticks(self.lo, self.hi, count + 2)
        if self.log or len(values) < 2:
            return [(v, tick(v)) for v in values]
        return [(v, _aligned(v, values)) for v in values]


def tame(value: float) -> float:
    """The value within ``1e-150..1e150`` or zero, so that differences and ratios of two of them stay finite."""
    size = abs(value)
    if 1e-150 <= size <= 1e150 or size == 0:
        return value
    return 0.0 if size < 1e-150 else math.copysign(1e150, value)


def _aligned(value: float, values: Sequence[float]) -> str:
    """Label with as many decimals as the tick distance needs, so that labels of one axis agree (``0.50``, ``0.75``)."""
    gap, top = values[1] - values[0], max(abs(v) for v in values)
    if top >= 10_000 or (top < 1e-3 and top > 0):
        return tick(value)
    decimals = max(0, -math.floor(math.log10(gap) + 1e-9))
    if abs(gap * 10**decimals - round(gap * 10**decimals)) > 1e-6:
        decimals += 1
    text = f"{value:,.{decimals}f}"
    return "0" if float(text.replace(",", "")) == 0 else minus(text)


def nice_ticks(lo: float, hi: float, count: int, *, whole: bool = False) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten inside ``lo..hi``, about `count` of them."""
    span = hi - lo
    if not span > 0 or not math.isfinite(span):
        return [lo]
    raw = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    gap = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    if whole:
        gap = max(1.0, math.ceil(gap) if gap < 5 else gap)
    first, last = math.ceil(lo / gap - 1e-9), math.floor(hi / gap + 1e-9)
    return [i * gap for i in range(first, min(last, first + 50) + 1)]


def log_ticks(lo: float, hi: float, count: int) -> list[float]:
    """Powers of ten inside ``lo..hi``, thinned to `count`; multiples of 1, 2, 5 where there are fewer than two."""
    first, last = math.ceil(math.log10(lo) - 1e-9), math.floor(math.log10(hi) + 1e-9)
    if last - first >= 1:
        every = max(1, math.ceil((last - first + 1) / max(count, 1)))
        return [10.0**e for e in range(first, last + 1, every)]
    fine = [m * 10.0**e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
    inside = [v for v in fine if lo * 0.999 <= v <= hi * 1.001]
    return inside if len(inside) >= 2 else nice_ticks(lo, hi, count)


_LOG_ROLES = ("loss", "grad_norm", "weight_norm", "update_ratio", "loss_scale", "lr")


def suits_log(values: Sequence[float], role: str, wanted: bool) -> bool:
    """Whether a logarithmic axis shows these values better: all positive, and asked for or spread over two decades."""
    if not values or min(values) <= 0:
        return False
    ordered = sorted(values)
    k = len(ordered) // 25  # a few outliers are clipped rather than given an axis of their own
    ratio = ordered[-1 - k] / ordered[k]
    return ratio >= (3 if wanted else 100) if role.endswith(_LOG_ROLES) else wanted and ratio >= 100


def value_range(
    values: Sequence[float], *, log: bool, keep: Sequence[float] = (), starts: Sequence[float] = ()
) -> tuple[float, float, bool]:
    """Axis limits and whether something lies outside them.

    The limits are the 2 % and 98 % quantiles widened by their distance; what lies beyond is an outlier and is clipped.
    Fewer than 12 values, or outliers that are no farther than that, leave the whole range. `keep` is always inside, and so are
    `starts`, the first values of the curves, within a hundred times that distance: a run's first steps are no outliers.
    """
    ordered = sorted(values)
    if not ordered:
        return (0.1, 1.0, False) if log else (0.0, 1.0, False)
    last = len(ordered) - 1
    # two points a side at least, so that a lone spike in a short curve is an outlier too
    k = min(max(2, round(0.02 * last)), last // 4)
    chosen = ordered[0], ordered[k], ordered[last - k], ordered[last]
    lo, low, high, hi = map(math.log10, chosen) if log else chosen
    clipped = False
    if len(ordered) >= 12:
        room = max(high - low, 1e-12 * max(abs(high), abs(low)))
        factor = 1.5 if log else 2.5
        kept = [math.log10(v) if log else v for v in keep if not log or v > 0]
        begun = [math.log10(v) if log else v for v in starts if not log or v > 0]
        kept += [v for v in begun if low - 100 * room <= v <= high + 100 * room]
        new_lo, new_hi = (min([low, *kept]) if lo < low - factor * room else lo), (max([high, *kept]) if hi > high + factor * room else hi)
        clipped = new_lo > lo or new_hi < hi
        pad = 0.12 * (new_hi - new_lo)
        lo, hi = (new_lo - pad if new_lo > lo else lo), (new_hi + pad if new_hi < hi else hi)
    if hi - lo <= 1e-12 * max(abs(hi), abs(lo)) or hi == lo:
        gap = 0.5 if log else (abs(hi) * 0.1 or 0.5)
        lo, hi = lo - gap, hi + gap
    else:
        pad = 0.05 * (hi - lo)
        lo, hi = lo - pad, hi + pad
    if log:
        return 10.0**lo, 10.0**hi, clipped
    return lo, hi, clipped


__all__ = ["Scale", "log_ticks", "nice_ticks", "suits_log", "tame", "value_range"]
