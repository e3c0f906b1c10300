"""Synthetic tasks, each with enough data that an ordinary training of it is healthy. `CALIBRATION` and `HELD_OUT` never share a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from trainings.nets import Activation, Array, Conv, Dense, Dropout, Embedding, Layer, Recurrent


@dataclass(frozen=True)
class Task:
    """Data, loss and the ordinary way to train on them.

    Attributes:
        loss: ``softmax``, ``sigmoid``, ``mse`` or ``gnll`` (mean and log-variance; may be negative).
        metric: name of the quality metric; `higher` whether more is better.
        classes: number of classes, 0 for regression.
        body: builds all layers but the head from (task, rng, setting); the head is a `Dense` of `outputs`.
    """

    name: str
    loss: str
    metric: str
    higher: bool
    classes: int
    outputs: int
    x: Array
    y: Array
    x_val: Array
    y_val: Array
    body: Callable[[Task, np.random.Generator, Setting], tuple[list[Layer], int]]
    lr: float = 0.003
    epochs: int = 20
    optimizer: str = "adam"


@dataclass(frozen=True)
class Setting:
    """How to train: the ordinary values, which faults replace."""

    epochs: int = 20
    batch: int = 32
    lr: float = 0.003
    optimizer: str = "adam"
    weight_decay: float = 0.0
    clip: float | None = None
    schedule: str = "constant"
    hidden: int = 32
    depth: int = 2
    activation: str = "relu"
    dropout: float = 0.0
    init_scale: float = 1.0
    init_bias: float = 0.0
    frozen: str = ""  # "all", "body" or ""
    smoothing: float = 0.0
    loss: str = ""  # replaces the task's: "softmax-twice", "sigmoid-twice"
    amp: bool = False
    extra: dict[str, float] = field(default_factory=dict)


def _mlp(task: Task, rng: np.random.Generator, s: Setting) -> tuple[list[Layer], int]:
    layers: list[Layer] = []
    width = task.x.shape[1]
    for _ in range(s.depth):
        layers += [Dense(width, s.hidden, rng, s.init_scale, s.init_bias), Activation(s.activation)]
        if s.dropout:
            layers.append(Dropout(s.dropout, rng))
        width = s.hidden
    return layers, width


def _windowed_lm(task: Task, rng: np.random.Generator, s: Setting) -> tuple[list[Layer], int]:
    embedding = Embedding(task.classes, 8, rng)
    wide = replace(task, x=np.zeros((1, 8 * task.x.shape[1])))
    layers, width = _mlp(wide, rng, s)
    return [embedding, *layers], width


def _recurrent(task: Task, rng: np.random.Generator, s: Setting) -> tuple[list[Layer], int]:
    return [Recurrent(task.x.shape[2], s.hidden, rng, s.init_scale)], s.hidden


def _convolutional(task: Task, rng: np.random.Generator, s: Setting) -> tuple[list[Layer], int]:
    first = Conv(task.x.shape[2], max(s.hidden // 2, 1), rng, scale=s.init_scale)
    return [first, Conv(max(s.hidden // 2, 1), s.hidden, rng, pool=True, scale=s.init_scale)], s.hidden


def _split(x: Array, y: Array, n_val: int = 400) -> dict[str, Array]:
    return {"x": x[n_val:], "y": y[n_val:], "x_val": x[:n_val], "y_val": y[:n_val]}


def blobs(rng: np.random.Generator) -> Task:
    """Overlapping Gaussian classes in 10 dimensions."""
    k, n = 6, 3600
    centres = rng.normal(0, 1.0, (k, 10))
    y = rng.integers(0, k, n)
    x = centres[y] + rng.normal(0, 1.1, (n, 10))
    return Task("blobs", "softmax", "accuracy", True, k, k, **_split(x, y), body=_mlp, lr=0.002, epochs=12)


def teacher(rng: np.random.Generator) -> Task:
    """Regression on a random two-layer function with noise."""
    n = 3600
    x = rng.normal(size=(n, 8))
    w, v = rng.normal(size=(8, 6)) / np.sqrt(8), rng.normal(size=6)
    clean = np.tanh(x @ w) @ v
    y = (clean / clean.std() + rng.normal(0, 0.35, n))[:, None]
    return Task("teacher", "mse", "mae", False, 0, 1, **_split(x, y), body=_mlp, lr=0.004, epochs=14)


def chain(rng: np.random.Generator) -> Task:
    """Next character of a second-order Markov chain over 20 characters, from a window of two."""
    k, n = 20, 6400
    table = rng.dirichlet(np.full(k, 0.12), (k, k))
    text = [0, 1]
    for _ in range(n + 2):
        text.append(int(rng.choice(k, p=table[text[-2] % 5, text[-1]])))
    t = np.array(text)
    x = np.stack([t[i : i + n] for i in range(2)], axis=1)
    return Task("chain", "softmax", "accuracy", True, k, k, **_split(x, t[2 : 2 + n]), body=_windowed_lm, lr=0.004, epochs=8)


def motifs(rng: np.random.Generator) -> Task:
    """Which of four noisy motifs a sequence of ten steps holds (recurrent network)."""
    k, n = 4, 2000
    patterns = rng.normal(0, 1, (k, 10, 3))
    y = rng.integers(0, k, n)
    x = patterns[y] + rng.normal(0, 1.4, (n, 10, 3))
    return Task("motifs", "softmax", "accuracy", True, k, k, **_split(x, y), body=_recurrent, lr=0.001, epochs=12)


def autoencoder(rng: np.random.Generator) -> Task:
    """Reconstruction of 16 numbers that lie near a curved four-dimensional surface."""
    n = 1600
    z = rng.normal(size=(n, 4))
    x = np.tanh(z @ rng.normal(size=(4, 16))) + rng.normal(0, 0.1, (n, 16))
    return Task("autoencoder", "mse", "mae", False, 0, 16, **_split(x, x), body=_mlp, lr=0.003, epochs=20)


def multilabel(rng: np.random.Generator) -> Task:
    """Five independent yes/no labels."""
    n = 3200
    x = rng.normal(size=(n, 12))
    y = (x @ rng.normal(size=(12, 5)) / 2 + rng.normal(0, 0.8, (n, 5)) > 0.3).astype(float)
    return Task("multilabel", "sigmoid", "f1", True, 5, 5, **_split(x, y), body=_mlp, lr=0.002, epochs=14)


def rare(rng: np.random.Generator) -> Task:
    """Two classes, one of them 12 % of the data and separable."""
    n = 3200
    y = (rng.random(n) < 0.12).astype(np.int64)
    x = rng.normal(size=(n, 8)) + 1.2 * y[:, None] * np.sign(np.arange(8) - 3.5)
    return Task("rare", "softmax", "accuracy", True, 2, 2, **_split(x, y), body=_mlp, lr=0.002, epochs=14)


def waves(rng: np.random.Generator) -> Task:
    """Shape of a noisy wave (convolutional network)."""
    k, n = 5, 3000
    y = rng.integers(0, k, n)
    t = np.arange(32)[None] / 32
    phase = rng.random((n, 1))
    arg = 2 * np.pi * ((1 + y[:, None]) * t + phase)
    x = (np.sin(arg) + 0.4 * np.sin(3 * arg))[..., None] + rng.normal(0, 1.0, (n, 32, 1))
    return Task("waves", "softmax", "accuracy", True, k, k, **_split(x, y), body=_convolutional, lr=0.003, epochs=9)


def spirals(rng: np.random.Generator) -> Task:
    """Three interleaved spirals with noise."""
    k, n = 3, 2000
    y = rng.integers(0, k, n)
    radius = rng.random(n) * 2
    angle = 2.6 * radius + 2 * np.pi * y / k
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1) + rng.normal(0, 0.09, (n, 2))
    return Task("spirals", "softmax", "accuracy", True, k, k, **_split(x, y), body=_mlp, lr=0.006, epochs=30)


def density(rng: np.random.Generator) -> Task:
    """Mean and variance of a heteroscedastic target; the loss ends below zero."""
    n = 3600
    x = rng.uniform(-1, 1, (n, 4))
    spread = 0.05 + 0.25 * np.abs(x[:, :1])
    y = np.sin(3 * x[:, 1:2]) * 0.5 + x[:, 2:3] * x[:, 3:4] + spread * rng.normal(size=(n, 1))
    return Task("density", "gnll", "mae", False, 0, 2, **_split(x, y), body=_mlp, lr=0.003, epochs=16)


CALIBRATION: dict[str, Callable[[np.random.Generator], Task]] = {
    f.__name__: f for f in (blobs, teacher, chain, motifs, autoencoder, multilabel, rare)
}
HELD_OUT: dict[str, Callable[[np.random.Generator], Task]] = {f.__name__: f for f in (waves, spirals, density)}
