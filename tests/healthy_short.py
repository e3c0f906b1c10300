"""Families of healthy simulated runs that are short, noisy or in a world of their own: fine-tunings of few epochs, preferences, clicks, agents."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run
from tests.healthy import family

Rng = np.random.Generator


@family("few-epochs-of-batches")
def few_epochs_of_batches(rng: Rng) -> Run:
    """Three to ten evaluations of a small set beside noisy batches; a classifier that is done by then, with a loss that its accuracy costs."""
    n, per, classes = int(rng.integers(3, 11)), int(rng.integers(8, 40)), int(rng.choice([2, 3, 10, 50]))
    rate, noise = rng.uniform(7, 12), rng.choice([0.01, 0.02, 0.03])
    right = rng.uniform(0.85, 0.98)
    guess, floor = np.log(classes), 2.2 * (1 - right) + 0.03
    x, t = np.arange(1, n + 1) / n, np.arange(1, n * per + 1) / (n * per)
    batches = (0.8 * floor + (1.02 * guess - 0.8 * floor) * np.exp(-rate * t)) * np.exp(rng.normal(0, rng.uniform(0.03, 0.2), t.size))
    val = (floor + max(guess - floor, 0.0) * np.exp(-rate * x)) * (1 + rng.normal(0, noise, n))
    accuracy = np.clip(right - (right - 1 / classes) * np.exp(-rate * x) + rng.normal(0, 0.3 * noise, n), 0, 1)
    step = np.arange(1, n + 1) * per
    return _synth.make_run(
        {
            "train/loss": batches,
            "eval/loss": _synth.make_series("eval/loss", val, step),
            "eval/accuracy": _synth.make_series("eval/accuracy", accuracy, step),
        }
    )


@family("stairs")
def stairs(rng: Rng) -> Run:
    """A fine-tuning of three to five epochs: each stands a step below the one before, and validation gains or loses next to nothing."""
    epochs, per = int(rng.integers(3, 6)), int(rng.integers(20, 80))
    i = np.arange(epochs * per)
    level = rng.uniform(0.2, 1.2) * rng.uniform(0.88, 0.96) ** (i // per)
    train = (level + rng.uniform(0.5, 1.5) * level[0] * np.exp(-i / (0.1 * per))) * np.exp(rng.normal(0, rng.uniform(0.03, 0.15), i.size))
    ends = np.arange(1, epochs + 1) * per - 1
    val = level[0] * rng.uniform(1.0, 1.1) * (1 + 0.01 * rng.uniform(-1, 1) * np.arange(epochs)) * (1 + rng.normal(0, 0.004, epochs))
    return _synth.make_run(
        {
            "train/loss": train,
            "train/epoch": (i + 1) / per,
            "train/learning_rate": 2e-5 * (1 - i / i.size),
            "eval/loss": _synth.make_series("eval/loss", val, ends),
        }
    )


@family("preferences-in-batches")
def preferences_in_batches(rng: Rng) -> Run:
    """A preference training at a usual tiny rate, whose batches scatter by as much as it gains in its first quarter."""
    n, m = 90, 9
    x, e = np.linspace(0, 1, n), np.linspace(0.1, 1, m)
    gain, rate = rng.uniform(0.15, 0.3), rng.uniform(3, 6)
    return _synth.make_run(
        {
            "train/loss": 0.693 - gain * (1 - np.exp(-rate * x)) + rng.normal(0, rng.uniform(0.02, 0.05), n),
            "train/rewards/margins": 1.6 * (1 - np.exp(-rate * x)) + rng.normal(0, 0.15, n),
            "train/rewards/accuracies": np.clip(0.5 + 0.25 * (1 - np.exp(-2 * rate * x)) + rng.normal(0, 0.06, n), 0, 1),
            "train/learning_rate": rng.choice([3e-7, 5e-7, 1e-6]) * np.minimum(10 * x + 0.02, (1.02 - x) / 0.9),
            "eval/loss": _synth.make_series(
                "eval/loss", 0.693 - 0.8 * gain * (1 - np.exp(-rate * e)) + rng.normal(0, 0.003, m), np.arange(9, n, 10)
            ),
        }
    )


@family("clicks")
def clicks(rng: Rng) -> Run:
    """A model of clicks: an AUC of 0.72 to 0.88 is all that there is, and it stands there at a constant rate for most of the run."""
    n, m = 600, 60
    x, e = np.linspace(0, 1, n), np.linspace(1 / m, 1, m)
    auc, base = rng.uniform(0.76, 0.88), rng.uniform(0.3, 0.5)
    return _synth.make_run(
        {
            "train/logloss": base + 0.04 * np.exp(-12 * x) + 0.02 * np.exp(-200 * x) + rng.normal(0, 0.006, n),
            "lr": np.full(n, 1e-3),
            "val/logloss": _synth.make_series(
                "val/logloss", base + 0.02 * np.exp(-9 * e) + rng.normal(0, 0.0005, m), np.arange(9, n, n // m)
            ),
            "val/auc": _synth.make_series("val/auc", auc - 0.03 * np.exp(-9 * e) + rng.normal(0, 0.0005, m), np.arange(9, n, n // m)),
        }
    )


def _agent(rng: Rng, reward: np.ndarray, entropy: np.ndarray, **more: np.ndarray) -> Run:
    n = reward.size
    series = {
        "Environment/Cumulative Reward": reward,
        "Policy/Entropy": entropy,
        "Losses/Policy Loss": 0.02 + rng.normal(0, 0.002, n),
        "Losses/Value Loss": np.exp(rng.normal(0, 0.5, n)),
        "Policy/Learning Rate": 3e-4 * (1 - np.linspace(0, 0.95, n)),
    }
    return _synth.make_run(series | more, every=50_000)


@family("lessons")
def lessons(rng: Rng) -> Run:
    """Two to five lessons, each harder: the return falls with each, is learned again in it, and ends lower than in the one before."""
    n, count = int(rng.choice([40, 150, 400])), int(rng.integers(2, 6))
    x = np.linspace(0, 1, n)
    lesson = np.minimum(np.floor(count * x), count - 1)
    reward = (1 - np.exp(-4 * (count * x - lesson))) * (1 - 0.12 * lesson) - 0.3 * lesson + rng.normal(0, 0.08, n)
    return _agent(rng, reward, 2.0 - rng.uniform(0, 1.5) * x, **{"Environment/Lesson Number": lesson})


@family("few-returns")
def few_returns(rng: Rng) -> Run:
    """Five to fourteen returns of an agent that learns in the first half of them."""
    n = int(rng.integers(5, 15))
    x = np.arange(1, n + 1) / n
    gain = rng.uniform(0.5, 3)
    reward = -1.5 + gain * (1 - np.exp(-rng.uniform(6, 12) * x) + rng.normal(0, rng.uniform(0.01, 0.06), n))
    return _agent(rng, reward, rng.uniform(0.7, 3) * (1 - 0.6 * x))


@family("solved-at-once")
def solved_at_once(rng: Rng) -> Run:
    """A task that the second point solves; the policy gets sure of itself from then on."""
    n = int(rng.choice([16, 60, 300]))
    x = np.linspace(0, 1, n)
    reward = rng.uniform(50, 400) * (1 - 1.3 * np.exp(-rng.uniform(150, 400) * x)) + rng.normal(0, rng.uniform(0.1, 2), n)
    return _agent(rng, reward, rng.uniform(0.7, 3) * (0.01 + 0.99 * np.exp(-rng.uniform(3, 10) * x)))


@family("self-play")
def self_play(rng: Rng) -> Run:
    """A return about zero against an opponent that gets better as fast, and a rating that climbs."""
    n = int(rng.choice([20, 60, 300]))
    x = np.linspace(0, 1, n)
    rating = 1200 + rng.uniform(50, 400) * (1 - np.exp(-3 * x)) + rng.normal(0, 6, n)
    return _agent(rng, rng.normal(0, 0.1, n), 2.0 - rng.uniform(0, 1.5) * x, **{"Self-play/ELO": rating})
