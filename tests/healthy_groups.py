"""Families of healthy simulated runs with gradients, weights, activations, predictions, loss scales and the signals of special domains."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.model import Run
from tests.healthy import family

Array = np.ndarray


def _losses(rng: np.random.Generator, n: int) -> dict[str, Array]:
    start, floor = float(rng.uniform(0.7, 5.0)), float(rng.uniform(0.02, 0.3))
    shape = np.exp(-rng.uniform(4, 9) * np.linspace(0, 1, n))
    train = (floor + (start - floor) * shape) * (1 + _synth.ar1(n, rng.uniform(0.005, 0.08), rng.uniform(0, 0.7), rng))
    val = (floor * rng.uniform(1.0, 1.2) + (start - floor) * shape) * (1 + rng.normal(0, 0.005, n))
    return {"train/loss": train, "val/loss": val}


def _points(rng: np.random.Generator) -> int:
    return int(rng.choice([8, 12, 20, 40, 100, 300]))


def _drift(rng: np.random.Generator, n: int) -> Array:
    """Logarithm of a trend that gradient norms of healthy runs have."""
    x = np.linspace(0, 1, n)
    kind = rng.integers(0, 5)
    size = rng.uniform(0.3, 3.0)
    if kind == 0:
        return -size * x
    if kind == 1:
        return size * x
    if kind == 2:
        return size * (2 * x - 1) ** 2
    if kind == 3:
        return 3.0 * np.exp(-30 * x)
    return size * 0.3 * np.sin(2 * np.pi * rng.integers(1, 5) * x)


@family("gradients")
def gradients(rng: np.random.Generator) -> Run:
    """Norms that fall, rise up to twentyfold, turn, start high or swing, with autocorrelated lognormal noise and a spike now and then."""
    n = _points(rng)
    scale = 10.0 ** rng.uniform(-5, 4)
    log = np.log(scale) + _drift(rng, n) + _synth.ar1(n, rng.uniform(0.1, 0.6), rng.uniform(0, 0.8), rng)
    spikes = rng.random(n) < 0.01
    norm = np.exp(log + spikes * rng.uniform(1, 4, n))
    layers = int(rng.integers(2, 9))
    tilt = rng.uniform(-1.2, 1.2) / layers
    series = _losses(rng, n) | {"train/grad_norm": norm, "train/clip_fraction": (rng.random(n) < rng.uniform(0, 0.4)).astype(float)}
    for i in range(layers):
        own = np.exp(log + tilt * 2.3 * (i - layers / 2) + rng.normal(0, 0.3, n))
        series[f"grad_norm/{2 * i}.weight"] = own
        series[f"grad_norm/{2 * i}.bias"] = own * 0.05
    return _synth.make_run(series, every=int(rng.choice([1, 10, 100])))


@family("late-and-likely-gradients")
def late_gradients(rng: np.random.Generator) -> Run:
    """Norms that grow by orders of magnitude for a good reason: a likelihood that sharpens, or a shelf that is left late."""
    n = int(rng.choice([20, 40, 100, 300]))
    x = np.linspace(0, 1, n)
    noise = _synth.ar1(n, rng.uniform(0.1, 0.5), rng.uniform(0, 0.6), rng)
    if rng.random() < 0.5:
        loss = 1.0 - rng.uniform(1, 7) * (1 - np.exp(-rng.uniform(6, 10) * x))
        log = rng.uniform(0.3, 2.0) * (1.0 - loss)
    else:
        at, steep = rng.uniform(0.15, 0.4), rng.uniform(20, 80)
        left = 1 / (1 + np.exp(-steep * (x - at)))
        rest = rng.uniform(0.02, 0.25)
        loss = 2.3 * (1 - left * (1 - rest) * (1 - np.exp(-rng.uniform(12, 25) * np.clip(x - at + 0.05, 0, None))))
        log = rng.uniform(3, 10) * left
    sigma = rng.uniform(0.005, 0.04) * float(np.ptp(loss))
    series = {"train/loss": loss + rng.normal(0, sigma, n), "val/loss": loss + 0.02 * float(np.ptp(loss)) + rng.normal(0, 0.2 * sigma, n)}
    return _synth.make_run(series | {"train/grad_norm": 10.0 ** rng.uniform(-4, 1) * np.exp(log + noise)}, every=10)


@family("weights")
def weights(rng: np.random.Generator) -> Run:
    """Norms that grow like a root, a line, a logarithm, saturate, shrink, or stand still once the learning rate is zero."""
    n = _points(rng)
    t = np.linspace(0, 1, n)
    series = _losses(rng, n)
    lr = 0.5e-3 * (1 + np.cos(np.pi * t))
    series["lr"] = lr
    total = np.zeros(n)
    for i in range(int(rng.integers(2, 7))):
        start = float(np.exp(rng.uniform(-2, 3)))
        grown = start * np.exp(rng.uniform(-1, 1.5))
        shape = [np.sqrt(t), t, np.log1p(9 * t) / np.log(10), 1 - np.exp(-5 * t), -0.3 * t, (1 - np.cos(np.pi * t)) / 2][
            int(rng.integers(0, 6))
        ]
        value = start + grown * shape * (1.0 if rng.random() < 0.8 else 3.0)
        value = np.abs(value) * (1 + rng.normal(0, 1e-4, n)) + 1e-3
        series[f"weight_norm/{2 * i}.weight"] = value
        series[f"weight_norm/{2 * i}.bias"] = np.zeros(n) if rng.random() < 0.3 else 0.1 * np.sqrt(t) + 0.01
        total += value**2
    series["params-norm"] = np.sqrt(total)
    return _synth.make_run(series, every=int(rng.choice([1, 10, 100])))


@family("activations")
def activations(rng: np.random.Generator) -> Run:
    """ReLU layers with 30 to 93 % zeros, tanh layers with up to 35 % at a limit."""
    n = _points(rng)
    x = np.linspace(0, 1, n)
    series = _losses(rng, n)
    for i in range(int(rng.integers(1, 6))):
        zero, full = rng.uniform(0.3, 0.9), rng.uniform(0.0, 0.3)
        series[f"activations/{i}/zero_fraction"] = np.clip(zero + rng.uniform(-0.2, 0.03) * x + rng.normal(0, 0.01, n), 0, 0.97)
        series[f"activations/{i}/saturated_fraction"] = np.clip(full + 0.05 * x + rng.normal(0, 0.01, n), 0, 1)
        series[f"activations/{i}/std"] = 1 + 0.3 * x
    return _synth.make_run(series)


@family("predictions")
def predictions(rng: np.random.Generator) -> Run:
    """Balanced or strongly imbalanced classes that the model finds; confidence near the accuracy; recalls that rise."""
    n = _points(rng)
    classes = int(rng.choice([2, 3, 5, 10]))
    label = rng.dirichlet(np.full(classes, 5.0))
    if rng.random() < 0.4:
        rare = rng.uniform(0.01, 0.15)
        label = np.append(np.full(classes - 1, rare / (classes - 1)), 1 - rare)
    learned = 1 - np.exp(-rng.uniform(5, 12) * np.linspace(0.02, 1, n))
    final = rng.uniform(0.6, 0.98, classes)
    recall = np.clip(final[:, None] * learned + rng.normal(0, 0.01, (classes, n)), 0, 1)
    recall[np.argmax(label)] = np.clip(0.97 + rng.normal(0, 0.003, n), 0, 1)
    missed = label[:, None] * (1 - recall)
    share = label[:, None] * recall
    share[np.argmax(label)] += missed.sum(axis=0) - missed[np.argmax(label)]
    share /= share.sum(axis=0)
    accuracy = (label[:, None] * recall).sum(axis=0)
    series = _losses(rng, n) | {
        "val/accuracy": accuracy,
        "val/confidence": np.clip(accuracy + rng.uniform(-0.08, 0.08) + rng.normal(0, 0.005, n), 0, 1),
    }
    for c in range(classes):
        series[f"val/pred_share/class_{c}"] = share[c]
        series[f"val/recall/class_{c}"] = recall[c]
    return _synth.make_run(series)


@family("loss-scale")
def loss_scale(rng: np.random.Generator) -> Run:
    """A scaler that calibrates from 2^16 or 2^32, then moves by single halvings and doublings."""
    n = int(rng.choice([20, 60, 150, 400]))
    level = int(rng.integers(8, 20))
    log = np.empty(n)
    log[0] = float(rng.choice([16, 24, 32]))
    for i in range(1, n):
        if log[i - 1] > level + 2:
            log[i] = log[i - 1] - min(int(rng.integers(1, 5)), log[i - 1] - level)
        else:
            move = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05])
            log[i] = log[i - 1] + (move if abs(log[i - 1] + move - level) <= 2 else 0)
    return _synth.make_run(_losses(rng, n) | {"train/loss_scale": 2.0**log})


@family("histograms")
def histograms(rng: np.random.Generator) -> Run:
    """Weights that move, gradients of all sizes, ReLU and tanh activations, in both encodings."""
    n = int(rng.integers(4, 12))
    encoding = str(rng.choice(["histo", "tensor"]))
    made = []
    for i in range(int(rng.integers(2, 5))):
        base = rng.normal(0, 1, 300) * rng.uniform(0.05, 0.5)
        steps = [base + 0.01 * k * rng.normal(0, 1, 300) for k in range(n)]
        made.append(_synth.make_histograms(f"weights/{2 * i}.weight", steps, encoding=encoding))
        size = 10.0 ** rng.uniform(-4, 0) * 2.0**i
        made.append(
            _synth.make_histograms(f"gradients/{2 * i}.weight", [size * rng.standard_t(4, 300) for _ in range(n)], encoding=encoding)
        )
        relu = [np.maximum(rng.normal(rng.uniform(-1.2, 0.5), 1, 300), 0) for _ in range(n)]
        tanh = [np.tanh(rng.normal(0, 0.9, 300)) for _ in range(n)]
        made.append(_synth.make_histograms(f"activations/{2 * i + 1}", relu if rng.random() < 0.5 else tanh, encoding=encoding))
    return _synth.make_run(_losses(rng, n), histograms=made)


@family("reinforcement")
def reinforcement(rng: np.random.Generator) -> Run:
    """A return that rises with noise, entropy that fades as it does, KL divergence and clip fraction in their usual range."""
    n = int(rng.choice([20, 60, 150]))
    x = np.linspace(0, 1, n)
    start, gain = rng.uniform(-200, 50), rng.uniform(50, 500)
    reward = start + gain * (1 - np.exp(-rng.uniform(5, 9) * x)) + _synth.ar1(n, 0.03 * gain, rng.uniform(0, 0.8), rng)
    return _synth.make_run(
        {
            "rollout/ep_rew_mean": reward,
            "train/entropy_loss": -(0.69 * np.exp(-rng.uniform(0, 4) * x)),
            "train/approx_kl": 0.01 * np.exp(rng.normal(0, 0.5, n)),
            "train/clip_fraction": np.clip(0.12 + rng.normal(0, 0.04, n), 0, 1),
            "train/explained_variance": np.clip(0.8 - np.exp(-6 * x) + rng.normal(0, 0.1, n), -1, 1),
            "train/value_loss": 10 * np.exp(rng.normal(0, 0.5, n)),
            "train/learning_rate": 3e-4 * (1 - x),
        },
        every=2048,
    )


@family("adversarial")
def adversarial(rng: np.random.Generator) -> Run:
    """A game that stays balanced, or tilts a little towards the discriminator."""
    n = int(rng.choice([60, 200]))
    x = np.linspace(0, 1, n)
    return _synth.make_run(
        {
            "Loss_D": (1.38 - rng.uniform(0, 0.9) * x) * np.exp(rng.normal(0, 0.15, n)),
            "Loss_G": (0.7 + rng.uniform(0, 2.5) * x) * np.exp(rng.normal(0, 0.15, n)),
            "D(x)": np.clip(0.5 + 0.3 * x + rng.normal(0, 0.03, n), 0, 1),
            "D(G(z))": np.clip(0.5 - 0.3 * x + rng.normal(0, 0.03, n), 0, 1),
        },
        every=20,
    )


@family("preference")
def preference(rng: np.random.Generator) -> Run:
    """Preference tuning that learns."""
    n = int(rng.choice([30, 100]))
    x = 1 - np.exp(-rng.uniform(5, 9) * np.linspace(0, 1, n))
    margin = rng.uniform(0.8, 4) * x + rng.normal(0, 0.1, n)
    return _synth.make_run(
        {
            "train/loss": np.log(2) * (1 - 0.6 * x) + rng.normal(0, 0.02, n),
            "eval/loss": np.log(2) * (1 - 0.5 * x) + rng.normal(0, 0.005, n),
            "train/rewards/accuracies": np.clip(0.5 + 0.3 * x + rng.normal(0, 0.04, n), 0, 1),
            "train/rewards/margins": margin,
            "train/rewards/chosen": 0.3 * margin,
            "train/rewards/rejected": -0.7 * margin,
        },
        every=10,
    )
