"""Tasks of the split `sealed13`: sums of pictured digits, a disease's progress, diagnoses, verse, stress, rare calls, tides, spirals."""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


class Sum(nn.Module):
    """One pair of convolutions looks at both pictures, what it says is added, nine answers."""

    def __init__(self, width=8, hidden=24, drop=0.2, classes=9):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.code, self.act, self.drop = nn.Linear(8 * width, hidden), nn.ReLU(), nn.Dropout(drop)
        self.net, self.act2, self.head = nn.Linear(hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, classes)

    def forward(self, x):
        h = self.act(self.code(self.drop(self.body(x.reshape(-1, 1, 8, 8)))))
        return self.head(self.drop(self.act2(self.net(h.reshape(len(x), 2, -1).sum(1)))))


class Verse(nn.Module):
    """Codes of syllables, a recurrent layer, scores of the next syllable."""

    def __init__(self, kinds=22, width=28, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(kinds, width), nn.GRU(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, kinds)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Stress(nn.Module):
    """Codes of syllables, two convolutions with a view to both sides, three marks a syllable."""

    def __init__(self, kinds=18, width=20, drop=0.1):
        super().__init__()
        self.emb, self.a = nn.Embedding(kinds, width), nn.Conv1d(width, width, 5, padding=2)
        self.b, self.act, self.act2 = nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, 3)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(self.emb(x).transpose(1, 2)))))
        return self.head(self.drop(h.transpose(1, 2)))


def pictures():
    """The 901 pictures of the digits nought to four, in their order, from -1 to 1, and the digits."""
    from sklearn.datasets import load_digits

    d = load_digits()
    k = d.target < 5
    return (d.data[k] / 8 - 1).reshape(-1, 8, 8).astype(F32), d.target[k]


def pairs(rng, n, pool, doubt=0.35, weights=None):
    """Pairs of pictures out of a pool and the sum of the two digits."""
    x, y = pictures()
    p = None if weights is None else np.asarray(weights)[y[pool]] / np.asarray(weights)[y[pool]].sum()
    i = rng.choice(pool, (n, 2), p=p)
    return (x[i] + doubt * rng.normal(size=(n, 2, 8, 8))).astype(F32), y[i].sum(1)


def pools(seed):
    """Pictures of training, validation and test."""
    return np.split(np.random.default_rng(seed + 5).permutation(901), (560, 730))


def pair_sum(seed):
    """The sum of two digits in two pictures (digits of scikit-learn), which no other split shares."""
    rng = np.random.default_rng(seed)
    data = [np.concatenate(q) for q in zip(*[pairs(rng, n, p) for n, p in zip((1500, 400, 400), pools(seed), strict=True)], strict=True)]
    return made("pair_sum", "cls", (Sum, cross_entropy, "ce"), data, (1500, 400), (2.5e-3, 24, 13), classes=9)


def r_squared(var):
    """Share of the variance that is explained, as a score."""
    return (lambda out, b: 1 - float(((out - b[1]) ** 2).mean()) / var, "r2", True)


def sugar_progress(seed):
    """The progress of a disease in a year, from ten readings (diabetes of scikit-learn); 442 rows, half of the variance is noise."""
    from sklearn.datasets import load_diabetes

    d = load_diabetes()
    i = np.random.default_rng(seed).permutation(442)
    x, y = (21 * d.data[i]).astype(F32), ((d.target[i] - 152) / 77).astype(F32)
    model = (lambda: Mlp([10, 24, 1], drop=0.25, squeeze=True), squared, "mse")
    return made("sugar_progress", "reg", model, (x, y), (272, 85), (1.5e-3, 25, 16), r_squared(float(y.var())), chance=float(y[:272].var()))


def cases_of(rng, n, slip=0.06):
    """Thirty symptoms that are there or not (n, 30), and six diagnoses of which several may hold."""
    r = np.random.default_rng(41)
    tied = r.random((6, 30)) < 0.2
    y = rng.random((n, 6)) < np.array([0.45, 0.35, 0.3, 0.4, 0.25, 0.3])
    y[:, 4] |= y[:, 0] & y[:, 1] & (rng.random(n) < 0.7)
    p = 1 - (1 - slip) * np.prod(np.where(y[:, :, None] & tied[None], 0.45, 1.0), 1)
    return (rng.random((n, 30)) < p).astype(F32), y.astype(F32)


def each_of_six(out, batch):
    """(n,) mean of six binary cross-entropies."""
    return fn.binary_cross_entropy_with_logits(out, batch[1], reduction="none").mean(1)


def micro_f1(out, batch):
    """F1 over all diagnoses."""
    p, t = out > 0, batch[1] > 0.5
    return float(2 * (p & t).sum() / (p.sum() + t.sum()).clamp(min=1))


def symptoms6(seed):
    """Which of six diagnoses hold; binary cross-entropies, F1."""
    data = cases_of(np.random.default_rng(seed), 2600)
    q = data[1].mean(0)
    base = float(-(q * np.log(q) + (1 - q) * np.log(1 - q)).mean())
    model = (lambda: Mlp([30, 40, 6], drop=0.15), each_of_six, "bce")
    return made("symptoms6", "free", model, data, (1800, 400), (1.5e-3, 40, 20), (micro_f1, "f1", True), chance=base)


def verses(rng, n, length=19):
    """Lines (n, 19) of syllables: six a foot, the last of a foot rhymes with the one before, the others follow a grammar."""
    r = np.random.default_rng(23)
    nxt = np.array([r.choice(18, 3, replace=False) for _ in range(22)])
    out = np.zeros((n, length), int)
    out[:, 0] = rng.integers(0, 18, n)
    rhyme = rng.integers(18, 22, n)
    for t in range(1, length):
        step = nxt[out[:, t - 1], np.searchsorted([0.6, 0.88], rng.random(n))]
        out[:, t] = rhyme if t % 6 == 5 else step
    return out


def verse_lm(seed):
    """The next syllable of a line with a rhyme; a recurrent net."""
    w = verses(np.random.default_rng(seed), 1500)
    return made("verse_lm", "cls", (Verse, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (1000, 250), (6e-3, 32, 10), classes=22)


def stresses(rng, n, length=14, slip=0.04):
    """Syllables (n, 14) of words and the mark of each: none, first stress, second stress."""
    heavy, x, y = np.arange(18) % 3 == 0, rng.integers(1, 18, (n, length)), np.zeros((n, length), int)
    x[rng.random((n, length)) < 0.22] = 0  # the end of a word
    for i in range(n):
        at = [-1, *np.flatnonzero(x[i] == 0).tolist(), length]
        for a, b in itertools.pairwise(at):
            w = np.arange(a + 1, b)
            if len(w):
                h = w[heavy[x[i, w]]]
                main = h[-1] if len(h) else w[max(0, len(w) - 2)]
                y[i, main] = 1
                y[i, w[(w < main - 1) & ((main - w) % 2 == 0)]] = 2
    return x, np.where(rng.random(y.shape) < slip, rng.integers(0, 3, y.shape), y)


def stress_tags(seed):
    """The stress of each syllable; convolutions."""
    data = stresses(np.random.default_rng(seed), 1500)
    return made("stress_tags", "cls", (Stress, cross_entropy, "ce"), data, (1000, 250), (3e-3, 25, 13), classes=3)


def calls(rng, n, share=0.15, noise=1.0):
    """Fourteen figures of a call (n, 14), and whether it is one of the rare ones."""
    r = np.random.default_rng(71)
    a, b = r.normal(size=14), r.normal(size=14)
    y = (rng.random(n) < share).astype(F32)
    x = noise * rng.normal(size=(n, 14)) + 0.55 * y[:, None] * np.where(rng.random(n) < 0.5, 1, 0)[:, None] * a + 0.85 * y[:, None] * b
    return x.astype(F32), y


def rare_calls(seed):
    """Whether a call is of the rare kind, fifteen in a hundred."""
    data = calls(np.random.default_rng(seed), 3000)
    model = (lambda: Mlp([14, 32, 16, 1], drop=0.1, squeeze=True), binary, "bce")
    return made("rare_calls", "bin", model, data, (2100, 450), (1.2e-3, 50, 18))


def tides(rng, n):
    """Six figures of an hour (n, 6), the level of the water, whose spread depends on the wind."""
    x = rng.uniform(-1.7, 1.7, (n, 6))
    y = np.sin(2 * x[:, 0]) + 0.5 * np.cos(1.5 * x[:, 1]) * x[:, 2] + 0.3 * x[:, 3]
    y = y + (0.08 + 0.3 * (x[:, 4] > 0.4)) * rng.normal(size=n)
    return x.astype(F32), (y / 0.95).astype(F32)


def normal_nll(out, batch):
    """(n,) negative logarithm of a normal density, but for its constant: it goes below nought."""
    s = out[:, 1].clamp(-9, 9)
    return 0.5 * (s + (out[:, 0] - batch[1]) ** 2 * torch.exp(-s))


def tide_nll(seed):
    """The level of a tide and its spread; likelihood of a normal."""
    data = tides(np.random.default_rng(seed), 3400)
    mae = (lambda out, b: float((out[:, 0] - b[1]).abs().mean()), "mae", False)
    chance = 0.5 + 0.5 * math.log(float(data[1].var()))
    return made("tide_nll", "free", (lambda: Mlp([6, 48, 32, 2]), normal_nll, "nll"), data, (2500, 450), (2e-3, 50, 16), mae, chance=chance)


def spirals(rng, n, noise=0.1, weights=None):
    """Points of four arms (n, 2), and the arm."""
    y, t = rng.choice(4, n, p=weights), rng.uniform(0.25, 1, n)
    a = 4.2 * t + y * np.pi / 2
    x = np.stack([t * np.cos(a), t * np.sin(a)], 1) * 2 + noise * 2 * rng.normal(size=(n, 2))
    return x.astype(F32), y


def spirals4(seed):
    """Which of four arms a point lies on."""
    data = spirals(np.random.default_rng(seed), 2300)
    return made("spirals4", "cls", (lambda: Mlp([2, 48, 32, 4]), cross_entropy, "ce"), data, (1600, 350), (5e-3, 40, 20), classes=4)


TASKS = {f.__name__: f for f in (pair_sum, sugar_progress, symptoms6, verse_lm, stress_tags, rare_calls, tide_nll, spirals4)}
