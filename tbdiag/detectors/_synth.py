"""Seeded runs for the examples of detectors and for calibration: curves with a known symptom, as a `Run`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tbdiag.model import EventFile, Run, Series

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


def make_run(series: Mapping[str, npt.ArrayLike | Series], *, every: int = 1, name: str = "run") -> Run:
    """A run of scalar series by tag, read without any issue."""
    made = {tag: v if isinstance(v, Series) else make_series(tag, v, every=every) for tag, v in series.items()}
    points = sum(len(s) for s in made.values())
    return Run(name=name, path=name, series=made, files=(EventFile("events.out.tfevents.0", 50 * points, 50 * points, points),))
