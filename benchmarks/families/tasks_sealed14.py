"""Tasks of the split `sealed14`: tremors, a game of cells, forests, concrete, missed visits, command lines, sugar, a student of a teacher."""

import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, MAE, made
from families.tasks_sealed13 import r_squared
from families.training import binary, cross_entropy, squared


class Tremor(nn.Module):
    """Two convolutions along the trace, mean and largest value of each channel, four answers."""

    def __init__(self, width=12, drop=0.25, classes=4):
        super().__init__()
        self.a, self.b = nn.Conv1d(1, width, 7, stride=2, padding=3), nn.Conv1d(width, 2 * width, 5, stride=2, padding=2)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Linear(4 * width, classes)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x.unsqueeze(1)))))
        return self.head(self.drop(torch.cat([h.mean(2), h.amax(2)], 1)))


class Cells(nn.Module):
    """A convolution that sees the neighbours of a cell, two layers on each cell: (n, 10, 10) scores."""

    def __init__(self, width=20, kernel=3, dilation=1):
        super().__init__()
        self.see = nn.Conv2d(1, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.act, self.mid, self.act2 = nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU()
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        return self.head(self.act2(self.mid(self.act(self.see(x.unsqueeze(1)))))).squeeze(1)


class Shell(nn.Module):
    """Codes of words, a recurrent layer, scores of the next word."""

    def __init__(self, kinds=26, width=32, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(kinds, width), nn.LSTM(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, kinds)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Sugar(nn.Module):
    """A recurrent layer over pairs of readings, six values from its last state."""

    def __init__(self, width=28, drop=0.1):
        super().__init__()
        self.rnn, self.drop, self.head = nn.GRU(2, width, batch_first=True), nn.Dropout(drop), nn.Linear(width, 6)

    def forward(self, x):
        return self.head(self.drop(self.rnn(x.reshape(len(x), 12, 2))[0][:, -1]))


def tremors(rng, n, noise=0.75, weights=None):
    """Traces of 48 samples (n, 48) and their kind: nothing, first wave, second wave, blast."""
    y, t = rng.choice(4, n, p=weights), np.arange(48)[None]
    at, ph, a = rng.uniform(6, 26, (n, 1)), rng.uniform(0, 6.28, (n, 1)), rng.uniform(0.8, 1.8, (n, 1))
    d = t - at
    tail = np.where(d > 0, np.exp(-np.maximum(d, 0) / 9), 0)
    shapes = [0 * d, tail * np.sin(1.9 * d + ph), 1.2 * tail * np.sin(0.75 * d + ph), 1.1 * np.exp(-((d / 4) ** 2)) * np.sin(1.3 * d + ph)]
    x = a * np.choose(y[:, None], shapes) * 1.4
    e = rng.normal(size=(n, 48))
    e[:, 1:] += 0.5 * e[:, :-1]
    return (x + noise * 0.5 * e).astype(F32), y


def quake4(seed):
    """What kind of tremor a trace shows."""
    return made(
        "quake4", "cls", (Tremor, cross_entropy, "ce"), tremors(np.random.default_rng(seed), 2600), (1800, 400), (4e-3, 40, 12), classes=4
    )


def boards(rng, n, slip=0.03):
    """Boards of ten by ten (n, 10, 10) and the next state of each cell, a few of them misread."""
    x = (rng.random((n, 12, 12)) < rng.uniform(0.2, 0.5, (n, 1, 1))).astype(int)
    x[:, [0, -1]] = 0
    x[:, :, [0, -1]] = 0
    k = sum(np.roll(x, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - x
    y = ((k == 3) | ((x == 1) & (k == 2)))[:, 1:-1, 1:-1]
    return (2 * x[:, 1:-1, 1:-1] - 1).astype(F32), np.where(rng.random(y.shape) < slip, ~y, y).astype(F32)


def each_cell(out, batch):
    """(n,) mean over cells of binary cross-entropies."""
    return fn.binary_cross_entropy_with_logits(out, batch[1], reduction="none").mean((1, 2))


def living(out, batch):
    """Intersection over union of living cells."""
    p, t = out > 0, batch[1] > 0.5
    return float((p & t).sum() / (p | t).sum().clamp(min=1))


def life_grid(seed):
    """The next state of a game of cells, cell by cell."""
    data = boards(np.random.default_rng(seed), 800)
    q = float(data[1].mean())
    base = -(q * math.log(q) + (1 - q) * math.log(1 - q))
    return made("life_grid", "free", (Cells, each_cell, "bce"), data, (500, 150), (6e-3, 16, 14), (living, "iou", True), chance=base)


def stands(rng, n, noise=0.75, weights=None):
    """Twelve figures of a place (n, 12) and which of seven trees grows there; two places for each kind."""
    r = np.random.default_rng(90)
    c = r.normal(size=(7, 2, 12))
    y = rng.choice(7, n, p=weights)
    return (c[y, rng.integers(0, 2, n)] + noise * rng.normal(size=(n, 12)) * np.linspace(0.8, 1.6, 12)).astype(F32), y


def cover7(seed):
    """Which tree grows at a place."""
    model = (lambda: Mlp([12, 48, 32, 7], drop=0.05), cross_entropy, "ce")
    return made("cover7", "cls", model, stands(np.random.default_rng(seed), 3000), (2200, 400), (2e-3, 44, 20), classes=7)


def mixes(rng, n):
    """Eight shares of a mix (n, 8) and its strength."""
    x = rng.uniform(-1.7, 1.7, (n, 8))
    y = (
        np.tanh(1.2 * x[:, 0])
        - 0.6 * x[:, 1] * (x[:, 2] > 0)
        + 0.5 * np.abs(x[:, 3])
        + 0.4 * np.sin(2 * x[:, 4])
        + 0.25 * rng.normal(size=n)
    )
    return x.astype(F32), ((y - y.mean()) / 1.1).astype(F32)


def concrete(seed):
    """The strength of concrete from its mix; squared error, R2."""
    x, y = mixes(np.random.default_rng(seed), 2500)
    model = (lambda: Mlp([8, 40, 24, 1], squeeze=True), squared, "mse")
    return made("concrete", "reg", model, (x, y), (1700, 400), (2e-3, 34, 20), r_squared(float(y.var())), chance=float(y.var()))


def visits(rng, n, share=0.25, noise=0.8):
    """Sixteen figures of an appointment (n, 16) and whether nobody came."""
    r = np.random.default_rng(52)
    w, v = r.normal(size=16), r.normal(size=16)
    x = rng.normal(size=(n, 16))
    z = x @ w / 2.2 + np.abs(x @ v) / 2.6 + noise * rng.normal(size=n)
    return x.astype(F32), (z > np.quantile(z, 1 - share)).astype(F32)


def no_shows(seed):
    """Whether nobody comes, a quarter of all."""
    model = (lambda: Mlp([16, 40, 20, 1], drop=0.1, squeeze=True), binary, "bce")
    return made("no_shows", "bin", model, visits(np.random.default_rng(seed), 3000), (2100, 450), (2e-3, 42, 13))


def commands(rng, n, length=19):
    """Lines (n, 19): 0 ends a command, 1 is a pipe, 2-9 programs, 10-15 flags, 16-25 files; flags and files depend on the program."""
    r = np.random.default_rng(33)
    flags, files = np.array([r.choice(6, 2, replace=False) for _ in range(8)]), np.array([r.choice(10, 3, replace=False) for _ in range(8)])
    then = np.array([r.choice(8, 2, replace=False) for _ in range(8)])
    out, kind, prog = np.zeros((n, length), int), np.zeros(n, int), rng.integers(0, 8, n)
    for t in range(length):
        u = rng.random(n)
        pick = rng.random(n)
        f, g = flags[prog, (pick > 0.7).astype(int)] + 10, files[prog, np.searchsorted([0.6, 0.9], pick)] + 16
        new = np.where(pick < 0.75, then[prog, 0], then[prog, 1])
        word = np.choose(kind, [prog + 2, np.where(u < 0.7, f, g), np.where(u < 0.8, g, 0), np.where(u < 0.5, 1, 0)])
        out[:, t] = word
        nxt = np.choose(kind, [1 + 0 * kind, np.where(u < 0.7, 2, 3), np.where(u < 0.8, 3, 0), 0 * kind])
        prog, kind = np.where((nxt == 0) & (word <= 1), new, prog), nxt
    return out


def shell_lm(seed):
    """The next word of a command line; a recurrent net."""
    w = commands(np.random.default_rng(seed), 1500)
    return made("shell_lm", "cls", (Shell, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (1000, 250), (7e-3, 32, 10), classes=26)


def sugars(rng, n, noise=0.12):
    """Twenty-four readings (n, 24) of sugar and the six that follow: a day's rhythm, meals that rise and fade, noise."""
    t = np.arange(30)[None]
    y = 0.7 * np.sin(2 * np.pi * (t + rng.uniform(0, 24, (n, 1))) / 24)
    for _ in range(2):
        d = t - rng.uniform(-4, 28, (n, 1))
        y = y + rng.uniform(0.5, 1.8, (n, 1)) * np.where(d > 0, d / 2.5 * np.exp(1 - d / 2.5), 0)
    y = (y - 0.45) / 0.8 + noise * rng.normal(size=(n, 30))
    return y[:, :24].astype(F32), y[:, 24:].astype(F32)


def glucose6(seed):
    """The next six readings of sugar; a recurrent net."""
    x, y = sugars(np.random.default_rng(seed), 1900)
    return made("glucose6", "reg", (Sugar, squared, "mse"), (x, y), (1300, 300), (8e-3, 32, 20), MAE, chance=float(y.var()))


def taught(rng, n, noise=0.3):
    """Twenty figures (n, 20), read with noise, and what a fixed teacher says of them (n, 5)."""
    r = np.random.default_rng(64)
    a, b = r.normal(size=(20, 24)) / 3, r.normal(size=(24, 5)) * 0.75
    x = rng.normal(size=(n, 20))
    z = np.tanh(x @ a * 1.6) @ b
    p = np.exp(z - z.max(1, keepdims=True))
    return (x + noise * rng.normal(size=x.shape)).astype(F32), (p / p.sum(1, keepdims=True)).astype(F32)


def divergence_of(out, batch):
    """(n,) Kullback-Leibler divergence of the student from the teacher."""
    return (batch[1] * (batch[1].clamp(min=1e-7).log() - out.log_softmax(-1))).sum(-1)


def agreement(out, batch):
    """Share of rows where student and teacher say the same."""
    return float((out.argmax(-1) == batch[1].argmax(-1)).float().mean())


def student5(seed):
    """A student of a teacher with five answers; divergence, agreement."""
    x, p = taught(np.random.default_rng(seed), 5800)
    chance = float((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    model = (lambda: Mlp([20, 56, 5]), divergence_of, "kl")
    return made("student5", "free", model, (x, p), (5000, 400), (2.5e-3, 100, 18), (agreement, "agreement", True), chance=chance)


TASKS = {f.__name__: f for f in (quake4, life_grid, cover7, concrete, no_shows, shell_lm, glucose6, student5)}
