"""Tasks of the split `sealed10`: dials, grain, waiting times, recipes, calls of birds, profiles of hills."""

import numpy as np
import torch
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, MAE, made
from families.training import cross_entropy, squared


class Dial(nn.Module):
    """Two convolutions and a pool, flat features, eight sectors."""

    def __init__(self, width=10, drop=0.15, classes=8):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()
        )
        self.drop, self.head = nn.Dropout(drop), nn.Linear(72 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


class Call(nn.Module):
    """A recurrent layer with gates over a call of two channels; the mean over time, a linear head."""

    def __init__(self, width=32, drop=0.15, classes=5):
        super().__init__()
        self.first, self.act = nn.Linear(2, width), nn.ReLU()
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.act(self.first(x)))[0].mean(1)))


class Cook(nn.Module):
    """A layer of attention to the past and a net, codes of symbols and places; scores of the next symbol."""

    def __init__(self, symbols=24, width=32, drop=0.05, length=20):
        super().__init__()
        self.emb, self.place = nn.Embedding(symbols, width), nn.Parameter(0.1 * torch.randn(length, width))
        self.norm, self.mix = nn.LayerNorm(width), nn.MultiheadAttention(width, 4, batch_first=True)
        self.net = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, symbols)

    def forward(self, x):
        h = self.emb(x) + self.place[: x.shape[1]]
        n, mask = self.norm(h), torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        h = h + self.mix(n, n, n, attn_mask=mask, need_weights=False)[0]
        return self.head(self.drop(h + self.net(h)))


def dials(rng, n, noise=0.55, weights=None):
    """Pictures (n, 1, 12, 12) of a round dial with a hand, and in which of eight sectors it points."""
    y = rng.choice(8, n, p=weights)
    a = (y + rng.uniform(0.12, 0.88, n)) * np.pi / 4
    g = np.arange(12) - 5.5
    px, py = np.meshgrid(g, g, indexing="ij")
    c, s = np.cos(a)[:, None, None], np.sin(a)[:, None, None]
    along, across = px * c + py * s, py * c - px * s
    x = np.exp(-((across / 0.9) ** 2)) * (along > -0.5) * (along < 5) + 0.5 * np.exp(-((np.hypot(px, py) - 5) ** 2))
    return (x * rng.uniform(0.8, 1.2, (n, 1, 1)) + noise * rng.normal(size=(n, 12, 12)))[:, None].astype(F32), y


def dials8(seed):
    """In which of eight sectors the hand of a dial points; convolutions."""
    data = dials(np.random.default_rng(seed), 1900)
    return made("dials8", "cls", (Dial, cross_entropy, "ce"), data, (1100, 400), (2e-3, 50, 16), classes=8)


def kernels(rng, n, noise=0.7, weights=None):
    """Eighteen measures of a grain (n, 18) of six kinds, two shapes each, and which kind it is."""
    r = np.random.default_rng(33)
    centre, a = 1.1 * r.normal(size=(6, 2, 10)), r.normal(size=(10, 18)) / 3
    y = rng.choice(6, n, p=weights)
    z = centre[y, rng.integers(0, 2, n)] + noise * rng.normal(size=(n, 10))
    return (z @ a + 0.35 * np.sin(3 * z @ a) + 0.1 * rng.normal(size=(n, 18))).astype(F32), y


def grain6(seed):
    """Which of six kinds a grain is; a net on measures."""
    data = kernels(np.random.default_rng(seed), 2500)
    return made("grain6", "cls", (lambda: Mlp([18, 48, 32, 6]), cross_entropy, "ce"), data, (1700, 400), (3e-3, 50, 16), classes=6)


def waits(rng, n, noise=0.3):
    """Ten figures of a queue (n, 10), and how long one waits."""
    r = np.random.default_rng(52)
    x = rng.normal(size=(n, 10))
    y = np.tanh(x @ r.normal(size=(10, 4)) * 0.6) @ r.normal(size=4) + 0.6 * np.abs(x[:, 0]) * (x[:, 1] > 0) + 0.4 * x[:, 2] * x[:, 3]
    return x.astype(F32), (y / 1.4 + noise * rng.normal(size=n)).astype(F32)


def wait_time(seed):
    """How long one waits; squared and absolute error."""
    x, y = waits(np.random.default_rng(seed), 2800)
    model = (lambda: Mlp([10, 48, 32, 1], squeeze=True), squared, "mse")
    return made("wait_time", "reg", model, (x, y), (1900, 450), (3e-3, 50, 16), MAE, chance=float(y.var()))


def dishes(rng, n, length=21):
    """Lines of recipes (n, 21): a verb, a measure that goes with what is measured, a place, and what was named before comes again."""
    r = np.random.default_rng(61)
    goes, out = r.integers(2, 6, 8), np.zeros((n, length), int)
    for i in range(n):
        line, named = [0], list(rng.choice(8, 3, replace=False))
        while len(line) < length:
            k = named[rng.integers(3)]
            line += [6 + rng.integers(4), goes[k], 10 + k] if rng.random() < 0.7 else [18 + k % 3, 10 + k, 21 + rng.integers(2), 1]
        out[i] = line[:length]
    return out


def recipe_lm(seed):
    """The next word of a recipe; attention to the past."""
    w = dishes(np.random.default_rng(seed), 1500)
    return made("recipe_lm", "cls", (Cook, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (1000, 250), (4e-3, 32, 14), classes=24)


def calls(rng, n, noise=0.9, weights=None):
    """Calls (n, 18, 2) of five birds whose tone rises, falls, turns or trembles, and whose it is."""
    y, t = rng.choice(5, n, p=weights), np.linspace(0, 1, 18)
    slope = np.array([[1, 8], [9, -8], [5, 0], [2, 14], [8, -3]], float)[y]
    turn = np.array([0, 0, 6, -12, 9.0])[y]
    w = slope[:, :1] * t + slope[:, 1:] * t**2 / 2 + turn[:, None] * np.sin(6.28 * t) / 6
    w = w * rng.uniform(0.9, 1.1, (n, 1)) + rng.uniform(-0.7, 0.7, (n, 1))
    x = np.stack([np.sin(w), np.cos(w)], -1) * rng.uniform(0.8, 1.3, (n, 1, 1)) + noise * rng.normal(size=(n, 18, 2))
    return x.astype(F32), y


def calls5(seed):
    """Which of five birds calls; a recurrent net."""
    data = calls(np.random.default_rng(seed), 2100)
    return made("calls5", "cls", (Call, cross_entropy, "ce"), data, (1400, 350), (4e-3, 50, 16), classes=5)


def hills(rng, n, noise=0.15):
    """Heights along a line (n, 20) from five numbers, and the same once more."""
    t, z = np.linspace(0, 1, 20), rng.normal(size=(n, 5))
    x = (
        z[:, :1] * np.exp(-(((t - 0.3 - 0.1 * np.tanh(z[:, 1:2])) / 0.12) ** 2))
        + z[:, 2:3] * np.sin(5 * t + z[:, 3:4]) * 0.7
        + z[:, 4:] * t
    )
    x = (x + noise * rng.normal(size=(n, 20))).astype(F32)
    return x, x


def hills_ae(seed):
    """Profiles of hills through six numbers and back; squared and absolute error."""
    x, y = hills(np.random.default_rng(seed), 2300)
    model = (lambda: Mlp([20, 48, 6, 48, 20]), squared, "mse")
    return made("hills_ae", "reg", model, (x, y), (1500, 400), (3e-3, 50, 18), MAE, chance=float(x.var(0).mean()))


TASKS = {f.__name__: f for f in (dials8, grain6, wait_time, recipe_lm, calls5, hills_ae)}
