"""Tasks of the split `sealed15`: turned digits, languages, rented bicycles, slides, openings, tones, punctuation, glass."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


class Turned(nn.Module):
    """Two convolutions with a norm each and two layers; pictures of eight by eight, four answers."""

    def __init__(self, width=8, drop=0.35, classes=4):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.n, self.m, self.act, self.act2 = nn.GroupNorm(4, width), nn.GroupNorm(4, 2 * width), nn.ReLU(), nn.ReLU()
        self.mid, self.act3, self.drop, self.head = nn.Linear(32 * width, 32), nn.ReLU(), nn.Dropout(drop), nn.Linear(32, classes)

    def forward(self, x):
        h = self.act2(self.m(self.b(self.act(self.n(self.a(x.unsqueeze(1)))))))
        return self.head(self.drop(self.act3(self.mid(h.flatten(1)))))


class Letters(nn.Module):
    """Codes of letters, a convolution over three, the mean over places, five answers."""

    def __init__(self, kinds=20, width=16, drop=0.05, kernel=3, classes=5):
        super().__init__()
        self.emb, self.conv = nn.Embedding(kinds, width), nn.Conv1d(width, 2 * width, kernel)
        self.act, self.drop, self.head = nn.ReLU(), nn.Dropout(drop), nn.Linear(2 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.act(self.conv(self.emb(x).transpose(1, 2))).mean(2)))


class Bag(nn.Module):
    """A layer on each patch, attention over the patches of a slide, one logit."""

    def __init__(self, width=24, drop=0.2):
        super().__init__()
        self.first, self.act, self.gate = nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 1)
        self.drop, self.mid, self.act2, self.head = nn.Dropout(drop), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)

    def forward(self, x):
        h = self.act(self.first(x))
        h = (self.gate(h).softmax(1) * h).sum(1)
        return self.head(self.drop(self.act2(self.mid(h)))).squeeze(-1)


class Book(nn.Module):
    """Codes of moves and places, one block of attention to the past, scores of the next move; `reach` moves are seen."""

    def __init__(self, kinds=28, width=32, drop=0.1, reach=99):
        super().__init__()
        self.emb, self.place = nn.Embedding(kinds, width), nn.Embedding(16, width)
        self.n1, self.att = nn.LayerNorm(width), nn.MultiheadAttention(width, 2, batch_first=True)
        self.n2, self.up, self.act, self.down = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        self.drop, self.head, self.reach = nn.Dropout(drop), nn.Linear(width, kinds), reach

    def forward(self, x):
        t = torch.arange(x.shape[1])
        d = t[:, None] - t[None]
        h = self.emb(x) + self.place(t)
        q = self.n1(h)
        h = h + self.att(q, q, q, attn_mask=(d < 0) | (d >= self.reach), need_weights=False)[0]
        return self.head(self.drop(h + self.down(self.act(self.up(self.n2(h))))))


class Cleaner(nn.Module):
    """Three convolutions along a tone that say what is to be taken off it."""

    def __init__(self, width=16, kernel=7):
        super().__init__()
        k = {"kernel_size": kernel, "padding": kernel // 2}
        self.a, self.b, self.c = nn.Conv1d(1, width, **k), nn.Conv1d(width, width, **k), nn.Conv1d(width, 1, **k)
        self.act, self.act2 = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return x - self.c(self.act2(self.b(self.act(self.a(x.unsqueeze(1)))))).squeeze(1)


class Marks(nn.Module):
    """Codes of words, a recurrent layer that reads both ways, a mark after each word."""

    def __init__(self, kinds=40, width=20, drop=0.1, classes=4):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(kinds, width), nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


def turned_digits(rng, weights=None, noise=0.25, again=1):
    """Digits of scikit-learn but for 0, 1 and 8 (n, 8, 8), turned by quarters, and by how many (n,)."""
    from sklearn.datasets import load_digits

    d = load_digits()
    x = np.concatenate([d.images[~np.isin(d.target, (0, 1, 8))] / 8 - 0.6] * again)
    x = x[rng.permutation(len(x))]
    y = rng.choice(4, len(x), p=weights)
    x = np.stack([np.rot90(a, k) for a, k in zip(x, y, strict=True)]) + noise * rng.normal(size=x.shape)
    return x.astype(F32), y


def rotated4(seed):
    """By how many quarters a digit is turned (digits of scikit-learn)."""
    data = turned_digits(np.random.default_rng(seed))
    return made("rotated4", "cls", (Turned, cross_entropy, "ce"), data, (840, 220), (1.5e-3, 21, 12), classes=4)


def texts(rng, n, length=24, weights=None, mixed=0.15):
    """Letters (n, 24) of twenty and the language (n,) whose habits they follow; a share of letters follows no habit."""
    r = np.random.default_rng(77)
    p = r.dirichlet(np.full(20, 0.25), (5, 20))
    p = 0.35 * p.mean(0, keepdims=True) + 0.65 * p
    p = (1 - mixed) * p + mixed / 20
    y, x = rng.choice(5, n, p=weights), np.zeros((n, length), int)
    x[:, 0] = rng.integers(0, 20, n)
    for t in range(1, length):
        x[:, t] = (p[y, x[:, t - 1]].cumsum(1) > rng.random((n, 1))).argmax(1)
    return x, y


def languages5(seed):
    """Which of five languages a text is in, from its letters."""
    data = texts(np.random.default_rng(seed), 3400)
    return made("languages5", "cls", (Letters, cross_entropy, "ce"), data, (2600, 400), (1.2e-2, 52, 12), classes=5)


def hours(rng, n, noise=0.3):
    """Eight figures of an hour (n, 8) and the logarithm of how many bicycles were rented in it, standardised."""
    h, work = rng.uniform(0, 24, n), rng.integers(0, 2, n)
    warm, wet, wind, year = rng.normal(size=n), rng.normal(size=n), rng.normal(size=n), rng.uniform(-1, 1, n)
    peak = np.exp(-(((h - 8) / 1.8) ** 2)) + np.exp(-(((h - 17.5) / 2.2) ** 2))
    y = np.where(work > 0, 2.2 * peak, 1.6 * np.exp(-(((h - 14) / 4) ** 2))) - 1.1 * (h < 5)
    y = y + 0.5 * np.tanh(warm) - 0.35 * np.maximum(wet, 0) - 0.15 * wind + 0.3 * year + noise * rng.normal(size=n)
    a = 2 * np.pi * h / 24
    x = np.stack([np.sin(a), np.cos(a), np.sin(2 * a), warm, wet, wind, 2.0 * work - 1, year], 1)
    return x.astype(F32), ((y - y.mean()) / y.std()).astype(F32)


def rmse(out, batch):
    """Root of the mean squared error."""
    return float(((out - batch[1]) ** 2).mean().sqrt())


def bikes(seed):
    """How many bicycles are rented in an hour; squared error and its root."""
    x, y = hours(np.random.default_rng(seed), 2700)
    model = (lambda: Mlp([8, 36, 24, 1], squeeze=True), squared, "mse")
    return made("bikes", "reg", model, (x, y), (1900, 400), (2.5e-3, 38, 16), (rmse, "rmse", False), chance=float(y.var()))


def slides(rng, n, share=0.4, strength=3.2, slip=0.04):
    """Ten patches with eight figures each (n, 10, 8); a slide is ill (n,) if one to three patches are of two bad kinds."""
    r = np.random.default_rng(15)
    d = r.normal(size=(2, 8))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    y, x = rng.random(n) < share, rng.normal(size=(n, 10, 8))
    many = rng.integers(1, 4, n)
    for k in range(3):
        i = np.flatnonzero(y & (many > k))
        x[i, rng.integers(0, 10, len(i))] += strength * d[rng.integers(0, 2, len(i))]
    return x.astype(F32), np.where(rng.random(n) < slip, ~y, y).astype(F32)


def slides_mil(seed):
    """Whether a slide is ill, from its patches; attention over them."""
    data = slides(np.random.default_rng(seed), 2600)
    return made("slides_mil", "bin", (Bag, binary, "bce"), data, (1900, 350), (4e-3, 40, 15))


def games(rng, n, stray=0.12):
    """First sixteen moves (n, 16) of games: eighteen lines of an opening book, some more popular, left now and then for a move."""
    r = np.random.default_rng(8)
    lines = np.zeros((18, 16), int)
    for k in range(1, 18):
        lines[k] = lines[r.integers(0, k)]
        at = r.integers(1, 9)
        lines[k, at:] = r.integers(0, 28, 16 - at)
    lines[0] = r.integers(0, 28, 16)
    p = 1 / (1 + np.arange(18)) ** 0.6
    x = lines[rng.choice(18, n, p=p / p.sum())]
    return np.where(rng.random(x.shape) < stray, rng.integers(0, 28, x.shape), x)


def openings_lm(seed):
    """The next move of an opening; attention to the past."""
    g = games(np.random.default_rng(seed), 1500)
    return made("openings_lm", "cls", (Book, cross_entropy, "ce"), (g[:, :-1], g[:, 1:]), (1050, 250), (3e-3, 35, 12), classes=28)


def tones(rng, n, noise=0.6, loud=1.0):
    """Tones of forty samples with noise (n, 40) and without it (n, 40): two waves that fade."""
    t, y = np.arange(40)[None], np.zeros((n, 40))
    for _ in range(2):
        f, ph, fade = rng.uniform(0.15, 0.7, (n, 1)), rng.uniform(0, 6.28, (n, 1)), rng.uniform(15, 60, (n, 1))
        y += rng.uniform(0.4, 1.1, (n, 1)) * np.sin(f * t + ph) * np.exp(-t / fade)
    y *= loud
    return (y + noise * rng.normal(size=y.shape)).astype(F32), y.astype(F32)


def decibels(out, batch):
    """Ratio of the tone to what is wrong with it, in decibels."""
    return float(10 * torch.log10((batch[1] ** 2).mean() / ((out - batch[1]) ** 2).mean().clamp(min=1e-9)))


def clean_tones(seed):
    """Take the noise off a tone; squared error, decibels."""
    x, y = tones(np.random.default_rng(seed), 1500)
    model = (Cleaner, squared, "mse")
    score = (decibels, "snr_db", True)
    return made("clean_tones", "reg", model, (x, y), (1000, 250), (3e-3, 32, 16), score, chance=float(y.var()))


def sentences(rng, n, plain=False, slip=0.04, length=16):
    """Words (n, 16) and the mark after each: 0 none, 1 comma, 2 stop, 3 question mark.

    Words 0-3 ask, 4-7 join and want a comma before them, 8-11 begin a sentence, the others are of no consequence.
    """
    x, y = rng.integers(12, 40, (n, length)), np.zeros((n, length), int)
    for i in range(n):
        t, asks = 0, rng.random() < 0.45
        x[i, 0] = rng.integers(0, 4) if asks else rng.integers(8, 12)
        while t < length:
            end = t + rng.integers(4, 8)
            if rng.random() < (0.2 if plain else 0.7) and t + 2 < min(end, length):
                at = rng.integers(t + 2, min(end, length))
                x[i, at], y[i, at - 1] = rng.integers(4, 8), 1
            if end - 1 < length:
                y[i, end - 1] = 3 if asks else 2
            asks = rng.random() < 0.45
            if end < length:
                x[i, end] = rng.integers(0, 4) if asks else rng.integers(8, 12)
            t = end
    return x, np.where(rng.random(y.shape) < slip, rng.integers(0, 4, y.shape), y)


def punctuation(seed):
    """The mark after each word of a text; a net that reads both ways."""
    data = sentences(np.random.default_rng(seed), 1300)
    return made("punctuation", "cls", (Marks, cross_entropy, "ce"), data, (840, 200), (6e-3, 30, 11), classes=4)


def shards(rng, n, noise=0.8, weights=None):
    """Nine oxides of a shard (n, 9), standardised, and which of six kinds of glass it is (n,); two melts for each kind."""
    r = np.random.default_rng(27)
    c, w = 0.95 * r.normal(size=(6, 2, 9)), np.linspace(0.7, 1.4, 9)
    y = rng.choice(6, n, p=weights)
    x = c[y, rng.integers(0, 2, n)] + noise * w * rng.normal(size=(n, 9))
    return x.astype(F32), y


def glass6(seed):
    """Which kind of glass a shard is of."""
    model = (lambda: Mlp([9, 40, 32, 6], drop=0.05), cross_entropy, "ce")
    return made("glass6", "cls", model, shards(np.random.default_rng(seed), 2900), (2100, 400), (2e-3, 42, 18), classes=6)


def letters_grouped(x, groups):
    """Letters (n, 24) by the first letter of their group of so many."""
    return x - x % groups


def held(x, every):
    """Every so many samples of the last axis, held until the next one."""
    return fn.interpolate(x[:, None, ::every], size=x.shape[-1], mode="nearest")[:, 0]


TASKS = {f.__name__: f for f in (rotated4, languages5, bikes, slides_mil, openings_lm, clean_tones, punctuation, glass6)}
