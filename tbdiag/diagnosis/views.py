"""What the report keeps of the data: decimated curves, histogram quantiles over time, the signals table."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tbdiag.features import Features
from tbdiag.model import Curve, HistogramSeries, HistogramView, Role, Series, Signal, SignalRow
from tbdiag.model.rounding import round_to_seven_digits

MAX_POINTS = 400
MAX_HISTOGRAM_POINTS = 40
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


def decimate(value: Float64, limit: int = MAX_POINTS) -> Int64:
    """Indices of at most `limit` points that keep first, last, and the smallest and largest of every bucket; int64, ascending.

    NaN counts as a value of its own only where a bucket holds nothing finite.
    """
    n = value.size
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    index = (_recall_buckets if n < _MANY else _make_buckets)(n, (limit - 2) // 2)
    block = value[index]
    bad = ~np.isfinite(block)
    low = np.take_along_axis(index, np.where(bad, np.inf, block).argmin(axis=1)[:, None], 1)[:, 0]
    high = np.take_along_axis(index, np.where(bad, -np.inf, block).argmax(axis=1)[:, None], 1)[:, 0]
    kept = np.concatenate(([0], low, high, [n - 1]))
    kept.sort()
    return kept[np.concatenate(([True], kept[1:] != kept[:-1]))]


def _make_buckets(n: int, count: int) -> Int64:
    """Indices of the points between the first and the last in `count` buckets, int64 ``[count, k]``; short ones repeat their last."""
    edges = np.linspace(1, n - 1, count + 1).astype(np.int64)
    width = int(np.max(np.diff(edges)))
    index: Int64 = np.minimum(edges[:-1, None] + np.arange(width), (edges[1:] - 1)[:, None])
    return index


_recall_buckets = lru_cache(maxsize=8)(_make_buckets)
_MANY = 1 << 14
"""From so many points on the indices are not kept: they take as much memory as the points."""


def _number(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _numbers(values: Float64) -> tuple[float | None, ...]:
    if np.isfinite(values).all():
        return tuple(round_to_seven_digits(values).tolist())
    return tuple(_number(v) for v in values.tolist())


def thin_points(series: Series) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Steps and values of the points that a report keeps of a series."""
    raw = series.value.astype(np.float64)
    index = decimate(raw)
    return tuple(series.step[index].tolist()), _numbers(raw[index])


def make_curve(signal: Signal, features: Features) -> Curve:
    """The curve of a scalar signal as the report keeps it."""
    series = signal.series
    assert series is not None
    facts = features.of(signal)
    raw = series.value.astype(np.float64)
    steps, values = thin_points(series)
    bad = np.flatnonzero(~np.isfinite(raw))[:100]
    return Curve(
        role=signal.key,
        tag=signal.name,
        steps=steps,
        values=values,
        n=len(series),
        noise=_number(facts.sigma) if facts.n else None,
        best=_number(facts.best) if facts.n else None,
        best_step=facts.best_step if facts.n else None,
        end=_number(facts.end) if facts.n else None,
        first=_number(facts.first) if facts.n else None,
        split=signal.split.value,
        direction=signal.direction.value,
        stem=signal.stem,
        main=signal.main,
        layer=signal.layer,
        depth=signal.depth,
        axis=signal.axis.value if signal.logged is None else features.axis.value,
        log_scale=facts.log_scale,
        nonfinite=tuple((int(series.step[i]), _name(raw[i])) for i in bad),
        first_wall_time=_number(float(series.wall_time[0])) if len(series) else None,
        last_wall_time=_number(float(series.wall_time[-1])) if len(series) else None,
    )


def _name(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def make_histogram_view(signal: Signal) -> HistogramView:
    """Quantiles over time of a histogram signal."""
    series = signal.histogram
    assert series is not None
    kept = min(len(series), MAX_HISTOGRAM_POINTS)
    index = np.unique(np.linspace(0, max(len(series) - 1, 0), kept).astype(np.int64))
    rows = [_summarise(series, int(i)) for i in index]
    return HistogramView(
        role=signal.role.value,
        tag=signal.name,
        layer=signal.layer,
        depth=signal.depth,
        steps=tuple(int(series.step[i]) for i in index),
        quantiles=tuple(q for q, _ in rows),
        zero=tuple(z for _, z in rows),
        n=len(series),
    )


def _summarise(series: HistogramSeries, i: int) -> tuple[tuple[float | None, ...], float | None]:
    left, right, count = series.buckets(i)
    total = float(count.sum())
    if not total > 0 or not np.isfinite(total):
        return (None,) * len(QUANTILES), None
    low = series.minimum[i] if np.isfinite(series.minimum[i]) else left[0]
    high = series.maximum[i] if np.isfinite(series.maximum[i]) else right[-1]
    edges = np.concatenate(([max(left[0], low)], np.minimum(right, high)))
    mass = np.concatenate(([0.0], np.cumsum(count))) / total
    quantiles = tuple(_number(float(np.interp(q, mass, edges))) for q in QUANTILES)
    at_zero = float(count[(left <= 0) & (right > 0) & (right <= 1e-11)].sum()) / total
    return quantiles, _number(at_zero)


def make_rows(features: Features) -> tuple[SignalRow, ...]:
    """The signals table, main signals first, then by role and tag."""
    rows = [
        SignalRow(
            tag=s.name,
            role=s.role.value,
            split=s.split.value,
            direction=s.direction.value,
            main=s.main,
            n=len(s.series) if s.series is not None else len(s.histogram) if s.histogram is not None else 0,
            why=s.why,
            convention=s.convention,
            axis=s.axis.value,
            scale=s.scale.value,
        )
        for s in features.signals.all
    ]
    return tuple(sorted(rows, key=lambda r: (not r.main, r.role == Role.IGNORED.value, r.role, r.split, r.tag)))
