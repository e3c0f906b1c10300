"""Seeded runs for the examples of detectors and for calibration: curves with a known symptom, as a `Run`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tbdiag.model import EventFile, HistogramSeries, Run, Series

Float64 = npt.NDArray[np.float64]


def decay(n: int, start: float, floor: float, rate: float = 4.0) -> Float64:
    """Exponential decay from `start` towards `floor`, `rate` time constants long; float64 ``[n]``."""
    return floor + (start - floor) * np.exp(-rate * np.linspace(0.0, 1.0, n))


def ar1(n: int, sigma: float, rho: float, rng: np.random.Generator) -> Float64:
    """AR(1) noise with standard deviation `sigma` and lag-1 autocorrelation `rho`; float64 ``[n]``."""
    out = np.empty(n)
    shocks = rng.normal(0.0, sigma * np.sqrt(1 - rho**2), n)
    last = rng.normal(0.0, sigma)
    for i in range(n):
        last = rho * last + shocks[i]
        out[i] = last
    return out


def make_series(tag: str, value: npt.ArrayLike, step: npt.ArrayLike | None = None, *, every: int = 1, seconds: float = 1.0) -> Series:
    """A series of float32 values; steps default to ``0, every, 2 every, ...``; one step takes `seconds`."""
    values = np.asarray(value, dtype=np.float32)
    steps = np.arange(values.size, dtype=np.int64) * every if step is None else np.asarray(step, dtype=np.int64)
    start = float(steps[0]) if steps.size else 0.0
    return Series(tag=tag, subrun="", step=steps, wall_time=np.asarray(1.7e9 + (steps - start) * seconds, dtype=np.float64), value=values)


def make_run(
    series: Mapping[str, npt.ArrayLike | Series],
    *,
    every: int = 1,
    name: str = "run",
    histograms: Iterable[HistogramSeries] = (),
) -> Run:
    """A run of scalar series by tag, and histogram series, read without any issue."""
    made = {tag: v if isinstance(v, Series) else make_series(tag, v, every=every) for tag, v in series.items()}
    kept = {h.tag: h for h in histograms}
    points = sum(len(s) for s in made.values()) + sum(len(h) for h in kept.values())
    return Run(
        name=name, path=name, series=made, histograms=kept, files=(EventFile("events.out.tfevents.0", 50 * points, 50 * points, points),)
    )


def make_histograms(
    tag: str, samples: Sequence[npt.ArrayLike], *, every: int = 1, encoding: str = "histo", bins: int = 30
) -> HistogramSeries:
    """Histograms of some samples, one a point, as PyTorch (``histo``: exponential buckets) or TensorFlow 2 (``tensor``) writes them.

    Non-finite samples are left out of the buckets and counted in `num`, as PyTorch does.
    """
    growth = 1e-12 * 1.1 ** np.arange(0, 775)
    edges = np.concatenate((-growth[::-1], [0.0], growth))
    offset, left, right, count, stats = [0], [], [], [], []
    for sample in samples:
        values = np.asarray(sample, dtype=np.float64)
        finite = values[np.isfinite(values)]
        if encoding == "histo":
            held, _ = np.histogram(finite, edges)
            used = np.flatnonzero(held)
            first, last = (int(used[0]), int(used[-1])) if used.size else (0, -1)
            right.append(edges[first : last + 2])
            count.append(np.concatenate(([0], held[first : last + 1])).astype(np.float64) if used.size else np.empty(0))
            right[-1] = right[-1] if used.size else np.empty(0)
            left.append(np.empty(0))
            broken = finite.size < values.size or not values.size
            low, high = (np.nan, np.nan) if broken else (float(values.min()), float(values.max()))
            stats.append((low, high, float(values.size), float(values.sum()), float(np.sum(values**2))))
        else:
            low, high = float(finite.min()), float(finite.max())
            cut = np.linspace(low, high, bins + 1)
            held = np.histogram(finite, cut)[0] if high > low else np.append(np.zeros(bins - 1), finite.size)
            left.append(cut[:-1])
            right.append(cut[1:])
            count.append(held.astype(np.float64))
            stats.append((low, high, float(finite.size), np.nan, np.nan))
        offset.append(offset[-1] + right[-1].size)
    table = np.array(stats, dtype=np.float64).reshape(-1, 5)
    step = np.arange(len(samples), dtype=np.int64) * every
    return HistogramSeries(
        tag=tag,
        subrun="",
        step=step,
        wall_time=1.7e9 + step.astype(np.float64),
        offset=np.array(offset, dtype=np.int64),
        right=np.concatenate(right) if right else np.empty(0),
        count=np.concatenate(count) if count else np.empty(0),
        left=None if encoding == "histo" else np.concatenate(left),
        minimum=table[:, 0],
        maximum=table[:, 1],
        num=table[:, 2],
        total=table[:, 3],
        total_squares=table[:, 4],
        encoding=encoding,
    )
