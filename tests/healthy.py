"""Families of healthy simulated runs: what no detector may alarm on. Used by tests and by `benchmarks/false_alarms.py`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run

FAMILIES: dict[str, Callable[[np.random.Generator], Run]] = {}


def family(name: str) -> Callable[[Callable[[np.random.Generator], Run]], Callable[[np.random.Generator], Run]]:
    """Register a family."""

    def register(make: Callable[[np.random.Generator], Run]) -> Callable[[np.random.Generator], Run]:
        FAMILIES[name] = make
        return make

    return register


def _pair(
    rng: np.random.Generator,
    *,
    n: int,
    evals: int,
    start: float,
    floor: float,
    rate: float,
    gap: float,
    train_noise: np.ndarray,
    val_noise: np.ndarray,
    extra: dict[str, np.ndarray] | None = None,
) -> Run:
    x = np.linspace(0, 1, n)
    shape = np.exp(-rate * x) if rng.random() < 0.5 else (1 + 3 * rate * x) ** -1.0
    train = (floor + (start - floor) * shape) * (1 + train_noise)
    at = np.linspace(0, n - 1, evals + 1)[1:].astype(int)
    val = (floor * (1 + gap) + (start - floor) * shape[at]) * (1 + val_noise)
    every = int(rng.choice([1, 1, 10, 100]))
    series: dict[str, object] = {
        "train/loss": _synth.make_series("train/loss", train, every=every),
        "val/loss": _synth.make_series("val/loss", val, step=at * every),
    }
    if rng.random() < 0.5:
        quality = 1 - shape[at] * 0.85 - rng.uniform(0.0, 0.1)
        accuracy = quality + rng.normal(0, 0.004, evals)
        series["val/accuracy"] = _synth.make_series("val/accuracy", np.clip(accuracy, 0, 1), step=at * every)
    for tag, value in (extra or {}).items():
        series[tag] = _synth.make_series(tag, value, every=every)
    return _synth.make_run(series)


def _sizes(rng: np.random.Generator) -> tuple[int, int]:
    n = int(rng.choice([30, 60, 120, 250, 500, 1500]))
    return n, int(min(rng.choice([10, 15, 25, 40, 100]), n))


@family("flat")
def flat(rng: np.random.Generator) -> Run:
    """Converged before it began: resumed at a good level."""
    n, evals = _sizes(rng)
    level = float(np.exp(rng.uniform(-4, 0.5)))
    noise = rng.uniform(0.005, 0.15)
    at = np.linspace(0, n - 1, evals).astype(int)
    series = {
        "train/loss": _synth.make_series("train/loss", level * (1 + rng.normal(0, noise, n))),
        "val/loss": _synth.make_series("val/loss", level * rng.uniform(1.0, 1.25) * (1 + rng.normal(0, noise / 4, evals)), step=at),
        "val/accuracy": _synth.make_series("val/accuracy", np.clip(0.93 + rng.normal(0, 0.004, evals), 0, 1), step=at),
    }
    return _synth.make_run(series)


@family("decaying")
def decaying(rng: np.random.Generator) -> Run:
    """Decays towards a floor, little noise."""
    n, evals = _sizes(rng)
    return _pair(
        rng,
        n=n,
        evals=evals,
        start=float(rng.uniform(0.6, 6)),
        floor=float(rng.uniform(0.05, 0.35)),
        rate=float(rng.uniform(4, 9)),
        gap=float(rng.uniform(0, 0.25)),
        train_noise=rng.normal(0, rng.uniform(0.002, 0.03), n),
        val_noise=rng.normal(0, rng.uniform(0.001, 0.01), evals),
    )


@family("noisy")
def noisy(rng: np.random.Generator) -> Run:
    """Small batches and a small validation set."""
    n, evals = _sizes(rng)
    return _pair(
        rng,
        n=n,
        evals=evals,
        start=float(rng.uniform(0.6, 6)),
        floor=float(rng.uniform(0.05, 0.35)),
        rate=float(rng.uniform(4, 9)),
        gap=float(rng.uniform(0, 0.25)),
        train_noise=rng.normal(0, rng.uniform(0.05, 0.25), n),
        val_noise=rng.normal(0, rng.uniform(0.01, 0.06), evals),
    )


@family("ar1")
def ar1(rng: np.random.Generator) -> Run:
    """Autocorrelated noise."""
    n, evals = _sizes(rng)
    rho = float(rng.uniform(0.3, 0.9))
    return _pair(
        rng,
        n=n,
        evals=evals,
        start=float(rng.uniform(0.6, 6)),
        floor=float(rng.uniform(0.05, 0.35)),
        rate=float(rng.uniform(4, 9)),
        gap=float(rng.uniform(0, 0.25)),
        train_noise=_synth.ar1(n, rng.uniform(0.01, 0.1), rho, rng),
        val_noise=_synth.ar1(evals, rng.uniform(0.003, 0.02), rho * 0.7, rng),
    )


@family("heavy-tailed")
def heavy_tailed(rng: np.random.Generator) -> Run:
    """Student t (4 degrees of freedom) or lognormal minibatch noise."""
    n, evals = _sizes(rng)
    scale = rng.uniform(0.01, 0.06)
    noise = scale * np.abs(rng.standard_t(4, n)) if rng.random() < 0.5 else np.exp(rng.normal(0, rng.uniform(0.1, 0.5), n)) - 1
    return _pair(
        rng,
        n=n,
        evals=evals,
        start=float(rng.uniform(0.6, 6)),
        floor=float(rng.uniform(0.05, 0.35)),
        rate=float(rng.uniform(4, 9)),
        gap=float(rng.uniform(0, 0.25)),
        train_noise=noise,
        val_noise=rng.normal(0, rng.uniform(0.003, 0.02), evals),
    )


@family("cyclic-schedule")
def cyclic(rng: np.random.Generator) -> Run:
    """A cyclic or one-cycle learning rate that the loss follows a little."""
    n, evals = _sizes(rng)
    x = np.linspace(0, 1, n)
    cycles = int(rng.integers(1, 7))
    lr = (
        0.05 + 0.95 * 0.5 * (1 + np.cos(2 * np.pi * ((cycles * x) % 1.0) / 2))
        if cycles > 1
        else np.sin(np.pi * np.clip(x, 0.01, 0.995)) ** 2
    )
    swing = rng.uniform(0.0, 0.3)
    return _pair(
        rng,
        n=n,
        evals=evals,
        start=float(rng.uniform(0.6, 6)),
        floor=float(rng.uniform(0.05, 0.35)),
        rate=float(rng.uniform(4, 9)),
        gap=float(rng.uniform(0, 0.25)),
        train_noise=swing * lr * np.minimum(3 * x, 1) + rng.normal(0, 0.02, n),
        val_noise=rng.normal(0, 0.005, evals),
        extra={"lr": 1e-3 * lr},
    )


@family("few-epoch")
def few_epoch(rng: np.random.Generator) -> Run:
    """Four to nine epochs that improve and level off."""
    n = int(rng.integers(4, 10))
    x = np.arange(n) / (n - 1)
    rate = rng.uniform(3.0, 6.0)
    start, floor = rng.uniform(0.6, 3), rng.uniform(0.05, 0.35)
    shape = np.exp(-rate * x)
    train = (floor + (start - floor) * shape) * (1 + rng.normal(0, 0.01, n))
    val = (floor * rng.uniform(1.0, 1.2) + 0.9 * (start - floor) * shape) * (1 + rng.normal(0, 0.015, n))
    series: dict[str, object] = {"train/loss": train, "val/loss": val}
    if rng.random() < 0.5:
        series["val/accuracy"] = np.clip(0.95 - 0.5 * shape + rng.normal(0, 0.004, n), 0, 1)
    return _synth.make_run(series)
