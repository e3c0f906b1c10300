"""Families of healthy simulated runs whose curves look unusual: signed losses, schedules, smoothing, odd cadences, hardly any points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run, Series
from tests.healthy import family

Array = np.ndarray
Rng = np.random.Generator


def _at(n: int, evals: int) -> Array:
    return np.unique(np.linspace(0, n - 1, evals + 1)[1:].astype(int))


def _falls(rng: Rng, n: int) -> Array:
    """From 1 towards 0 as learning curves do."""
    x = np.linspace(0, 1, n)
    rate = rng.uniform(4, 9)
    return np.exp(-rate * x) if rng.random() < 0.5 else ((1 + 3 * rate * x) ** -1.0 - (1 + 3 * rate) ** -1.0) / (1 - (1 + 3 * rate) ** -1.0)


def _run(train: Array, val: Array, at: Array, every: int = 1, **extra: Array) -> Run:
    series: dict[str, Series] = {
        "train/loss": _synth.make_series("train/loss", train, every=every),
        "val/loss": _synth.make_series("val/loss", val, step=at * every),
    }
    for tag, value in extra.items():
        name = tag.replace("__", "/")
        series[name] = _synth.make_series(name, value, step=at * every if value.size == at.size else None, every=every)
    return _synth.make_run(series)


def _later(series: Series, seconds: float) -> Series:
    return replace(series, wall_time=series.wall_time + seconds)


@family("signed-loss")
def signed_loss(rng: Rng) -> Run:
    """Log likelihood, Dice, ELBO, SI-SDR: the loss crosses zero or lies below it, at any scale."""
    n = int(rng.choice([12, 40, 120, 400]))
    at = _at(n, int(min(rng.choice([8, 12, 20, 50]), n)))
    fall = _falls(rng, n)
    size = float(10 ** rng.uniform(-1, 2))
    end = -size * rng.uniform(0.2, 1.0)
    noise = size * rng.uniform(0.002, 0.06)
    train = end + size * fall + rng.normal(0, noise, n)
    val = end + size * (fall[at] + rng.uniform(0, 0.1)) + _synth.ar1(at.size, noise * rng.uniform(0.1, 0.5), rng.uniform(0, 0.6), rng)
    return _run(train, val, at, int(rng.choice([1, 50])))


@family("accuracy-only")
def accuracy_only(rng: Rng) -> Run:
    """Accuracies of both splits, no validation loss, four points to a hundred, as shares or per cents."""
    n = int(rng.choice([4, 6, 9, 15, 30, 100]))
    unit = float(rng.choice([1.0, 100.0]))
    rise = 1 - np.exp(-rng.uniform(4, 8) * np.linspace(0.15, 1, n))
    chance, top = 1 / rng.integers(2, 20), rng.uniform(0.85, 0.97)
    train = chance + (top + 0.02 - chance) * rise + rng.normal(0, 0.004, n)
    val = chance + (top - rng.uniform(0, 0.06) - chance) * rise + rng.normal(0, rng.uniform(0.002, 0.01), n)
    tags = {"accuracy/train": unit * np.clip(train, 0, 1), "accuracy/val": unit * np.clip(val, 0, 1)}
    if rng.random() < 0.5:
        tags["loss/train"] = 2 * (1 - rise) + rng.uniform(0.05, 0.3) + rng.normal(0, 0.01, n)
    return _synth.make_run(tags)


@family("warm-restarts")
def warm_restarts(rng: Rng) -> Run:
    """Cosine cycles with restarts: both losses jump up at each and end lower than before; the rate is logged in half of the runs."""
    n = int(rng.choice([90, 180, 600]))
    at = _at(n, int(rng.choice([18, 30, 60])))
    cycles = int(rng.integers(2, 6))
    phase = (cycles * np.linspace(0, 1, n, endpoint=False)) % 1.0
    lr = 0.5 * (1 + np.cos(np.pi * phase)) + 1e-3
    start, floor = rng.uniform(1, 4), rng.uniform(0.1, 0.3)
    base = floor + (start - floor) * np.exp(-rng.uniform(4, 8) * np.linspace(0, 1, n))
    loss = base * (1 + rng.uniform(0.1, 0.6) * lr * np.minimum(4 * np.linspace(0, 1, n), 1))
    train = loss * (1 + rng.normal(0, rng.uniform(0.01, 0.08), n))
    val = loss[at] * rng.uniform(1, 1.2) * (1 + rng.normal(0, 0.01, at.size))
    return _run(train, val, at, 10, lr=1e-3 * lr) if rng.random() < 0.5 else _run(train, val, at, 10)


@family("step-decay")
def step_decay(rng: Rng) -> Run:
    """The learning rate is divided by ten once to three times; the loss falls at each and stands between them."""
    n = int(rng.choice([30, 90, 200, 1000]))
    at = _at(n, min(int(rng.choice([15, 30, 90])), n))
    x = np.linspace(0, 1, n)
    marks = rng.uniform(0.3, 0.55) + np.cumsum(np.append(0.0, rng.uniform(0.12, 0.22, int(rng.integers(0, 3)))))
    done = np.sum(x[:, None] > marks[None, :], axis=1)
    start, floor = rng.uniform(1, 4), rng.uniform(0.25, 0.6)
    levels = floor * 0.75**done
    settle = np.exp(-rng.uniform(8, 20) * x)
    loss = levels + (start - floor) * settle
    scatter = rng.uniform(0.02, 0.15) * 0.5**done
    train = loss * (1 + scatter * rng.normal(0, 1, n))
    val = (loss * rng.uniform(1, 1.15))[at] * (1 + 0.4 * scatter[at] * rng.normal(0, 1, at.size))
    quality = np.clip(0.97 - 0.3 * val / start - 0.02, 0, 1)
    extra = {"val__accuracy": quality}
    if rng.random() < 0.6:
        extra["lr"] = 0.1 * 0.1**done
    return _run(train, val, at, 1, **extra)


@family("smoothed")
def smoothed(rng: Rng) -> Run:
    """Training loss logged as an exponential mean or as a mean since the epoch began."""
    n = int(rng.choice([60, 200, 800]))
    at = _at(n, int(rng.choice([10, 20])))
    start, floor = rng.uniform(1, 4), rng.uniform(0.1, 0.3)
    fall = _falls(rng, n)
    raw = (floor + (start - floor) * fall) * (1 + rng.normal(0, 0.15, n))
    train = np.empty(n)
    if rng.random() < 0.5:
        weight, last = 1 - 1 / rng.uniform(2, n / 12), raw[0]
        for i, v in enumerate(raw):
            last = weight * last + (1 - weight) * v
            train[i] = last
    else:
        length = n // at.size
        for a in range(0, n, length):
            part = raw[a : a + length]
            train[a : a + length] = np.cumsum(part) / np.arange(1, part.size + 1)
    val = (floor * rng.uniform(1, 1.15) + (start - floor) * fall[at]) * (1 + rng.normal(0, 0.01, at.size))
    return _run(train, val, at, 10)


@family("huge-first-value")
def huge_first(rng: Rng) -> Run:
    """The first one to three points are ten to ten thousand times what comes after them (a bad initial scale, soon corrected)."""
    n = int(rng.choice([8, 20, 100, 500]))
    at = _at(n, min(int(rng.choice([8, 20, 40])), n))
    start, floor = rng.uniform(0.6, 4), rng.uniform(0.05, 0.3)
    fall = _falls(rng, n)
    train = (floor + (start - floor) * fall) * (1 + rng.normal(0, rng.uniform(0.01, 0.08), n))
    first = int(rng.integers(1, 4)) if n > 20 else 1
    train[:first] *= 10.0 ** np.sort(rng.uniform(1, 4, first))[::-1]
    val = (floor * rng.uniform(1, 1.1) + (start - floor) * fall[at]) * (1 + rng.normal(0, 0.01, at.size))
    if rng.random() < 0.5:
        val[0] *= 10 ** rng.uniform(0.5, 2)
    return _run(train, val, at)


@family("regression")
def regression(rng: Rng) -> Run:
    """Squared errors at any scale that fall to a tenth to a half of their start and settle; an error metric beside them."""
    n = int(rng.choice([10, 30, 100, 400]))
    at = _at(n, min(int(rng.choice([10, 30, 50])), n))
    size = float(10 ** rng.uniform(-5, 5))
    floor = rng.uniform(0.1, 0.5)
    fall = _falls(rng, n)
    train = size * (floor + (1 - floor) * fall) * (1 + rng.normal(0, rng.uniform(0.01, 0.1), n))
    val = size * (floor * rng.uniform(1, 1.2) + (1 - floor) * fall[at]) * (1 + rng.normal(0, rng.uniform(0.003, 0.02), at.size))
    return _run(train, val, at, 10, val__mae=0.7 * np.sqrt(val))


@family("epochs-and-steps")
def epochs_and_steps(rng: Rng) -> Run:
    """Training by steps, validation by epochs, from its own writer."""
    epochs, length = int(rng.integers(5, 41)), int(rng.choice([3, 10, 40, 100]))
    n = epochs * length
    start, floor = rng.uniform(1, 4), rng.uniform(0.1, 0.3)
    fall = _falls(rng, n)
    train = (floor + (start - floor) * fall) * (1 + rng.normal(0, rng.uniform(0.02, 0.15), n))
    val = (floor * rng.uniform(1, 1.2) + (start - floor) * fall[length - 1 :: length]) * (1 + rng.normal(0, 0.01, epochs))
    series = {
        "train_loss": _synth.make_series("train_loss", train),
        "val_loss": _later(_synth.make_series("val_loss", val, step=np.arange(epochs), seconds=float(length)), length),
    }
    if rng.random() < 0.5:
        accuracy = np.clip(0.95 - 0.8 * fall[length - 1 :: length] + rng.normal(0, 0.004, epochs), 0, 1)
        series["val_acc"] = _later(_synth.make_series("val_acc", accuracy, step=np.arange(epochs), seconds=float(length)), length)
    return _synth.make_run(series)


@family("dropout")
def dropout(rng: Rng) -> Run:
    """Validation lies below training by up to a quarter, because training is measured with dropout or augmentation."""
    n = int(rng.choice([10, 30, 100, 400]))
    at = _at(n, min(int(rng.choice([10, 20, 50])), n))
    start, floor = rng.uniform(1, 4), rng.uniform(0.15, 0.5)
    fall = _falls(rng, n)
    train = (floor + (start - floor) * fall) * (1 + rng.normal(0, rng.uniform(0.01, 0.08), n))
    val = rng.uniform(0.76, 1.0) * (floor + (start - floor) * fall[at]) * (1 + rng.normal(0, 0.01, at.size))
    return _run(train, val, at)


@family("fine-tuning")
def fine_tuning(rng: Rng) -> Run:
    """A good start: a few evaluations, a loss that gains five to thirty per cent, often flat after the first epoch, a dense noisy training loss."""
    n = int(rng.choice([20, 60, 200, 1000]))
    at = _at(n, int(rng.integers(2, 11)))
    start = float(np.exp(rng.uniform(-1.5, 1.0)))
    share = rng.uniform(0.05, 0.3)
    fall = np.exp(-rng.uniform(5, 12) * np.linspace(0, 1, n))
    level = start * (1 - share + share * fall)
    train = level * (1 + _synth.ar1(n, rng.uniform(0.02, 0.12), rng.uniform(0, 0.5), rng))
    val = level[at] * rng.uniform(0.9, 1.1) * (1 + rng.normal(0, 0.004, at.size))
    lr = 5e-5 * np.minimum(10 * np.linspace(0, 1, n), 1) * (1 - np.linspace(0, 1, n))
    return _run(train, val, at, 10, train__learning_rate=lr) if rng.random() < 0.5 else _run(train, val, at, 10)


@family("stopped-early")
def stopped_early(rng: Rng) -> Run:
    """Stopped when validation had not improved for a few evaluations: the end lies up to 3 % above the best."""
    n = int(rng.choice([12, 20, 40, 80]))
    start, floor = rng.uniform(1, 4), rng.uniform(0.15, 0.4)
    best = int(n * rng.uniform(0.75, 0.9))
    x = np.arange(n) / best
    train = (0.7 * floor + (start - floor) * np.exp(-6 * x)) * (1 + rng.normal(0, 0.01, n))
    val = (
        (floor + (start - floor) * np.exp(-6 * x))
        * (1 + 0.03 * np.maximum(x - 1, 0) / max(x[-1] - 1, 1e-9))
        * (1 + rng.normal(0, 0.008, n))
    )
    return _run(train, val, np.arange(n))


@family("saturated")
def saturated(rng: Rng) -> Run:
    """An easy task: both losses fall to almost nothing, where their ratio and their logarithms scatter widely; accuracies reach one."""
    n = int(rng.choice([12, 30, 100, 300]))
    x = np.linspace(0, 1, n)
    start, decades = rng.uniform(0.6, 2.5), rng.uniform(1.5, 4)
    train = start * 10 ** (-decades * (1 - np.exp(-4 * x))) * np.exp(rng.normal(0, rng.uniform(0.05, 0.5), n))
    val = (
        start
        * rng.uniform(1, 1.5)
        * 10 ** (-0.9 * decades * (1 - np.exp(-4 * x)))
        * np.exp(_synth.ar1(n, rng.uniform(0.02, 0.1), 0.3, rng))
    )
    accuracy = np.clip(1 - 0.5 * np.exp(-12 * x) + rng.normal(0, 0.002, n), 0, 1)
    return _run(train, val, np.arange(n), 1, val__accuracy=accuracy, train__accuracy=np.clip(accuracy + 0.005, 0, 1))


@family("late-generalisation")
def late_generalisation(rng: Rng) -> Run:
    """Grokking and double descent, seen to their end: validation worsens for long while training is solved, then gets better than ever."""
    n = int(rng.choice([40, 100, 300]))
    x = np.linspace(0, 1, n)
    turn = rng.uniform(0.4, 0.7)
    start = rng.uniform(1, 4)
    train = start * (0.002 + np.exp(-rng.uniform(15, 30) * x)) * np.exp(rng.normal(0, 0.05, n))
    hump = start * rng.uniform(0.3, 1.5) * np.clip(x / turn, 0, 1)
    val = (start * np.exp(-3 * x) * 0.3 + 0.7 * start + hump) / (1 + np.exp(40 * (x - turn - 0.08))) + 0.02 * start
    accuracy = 0.05 + 0.94 / (1 + np.exp(-40 * (x - turn - 0.08)))
    return _run(
        train, val * np.exp(rng.normal(0, 0.02, n)), np.arange(n), 100, val__accuracy=np.clip(accuracy + rng.normal(0, 0.004, n), 0, 1)
    )


@family("language-model")
def language_model(rng: Rng) -> Run:
    """Pretraining: a power law from ln(vocabulary), warm-up and cosine, evaluations now and then, nats or bits."""
    n = int(rng.choice([50, 200, 1000, 3000]))
    at = _at(n, int(rng.choice([5, 10, 20])))
    x = np.linspace(0, 1, n)
    t = 1 + 400 * x
    floor, start = rng.uniform(1.8, 3.0), rng.uniform(8, 11)
    loss = floor + (start - floor) * t ** -rng.uniform(0.5, 0.8)
    train = loss * (1 + rng.normal(0, rng.uniform(0.005, 0.03), n))
    val = loss[at] * rng.uniform(0.98, 1.03) * (1 + rng.normal(0, 0.002, at.size))
    lr = 3e-4 * np.minimum(20 * x, 1) * (0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * x)))
    return _run(train, val, at, 10, lr=lr, grad_norm=np.exp(rng.normal(0, 0.2, n)) * (1 + 5 * np.exp(-50 * x)))
