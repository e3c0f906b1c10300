"""Tasks of the split `sealed16`: mushrooms, chords, batteries, fingerprints, a river, tickets, helices, drums, demand for power."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


class Columns(nn.Module):
    """A table of codes for each of the columns, their sum, two layers, one logit."""

    def __init__(self, columns=10, kinds=6, width=16, drop=0.25):
        super().__init__()
        self.emb, self.off = nn.Embedding(columns * kinds, width), kinds * torch.arange(columns)
        self.a, self.act, self.drop, self.head = nn.Linear(width, width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, 1)

    def forward(self, x):
        h = self.emb(x + self.off).sum(1)
        return self.head(self.drop(self.act(self.a(h)))).squeeze(-1)


class Chroma(nn.Module):
    """A convolution around the circle of twelve tones, the largest answer over the circle, two layers."""

    def __init__(self, width=20, drop=0.1, classes=5):
        super().__init__()
        self.conv, self.act = nn.Conv1d(6, width, 9, padding=4, padding_mode="circular"), nn.ReLU()
        self.mid, self.act2, self.drop, self.head = nn.Linear(width, width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.drop(self.act2(self.mid(self.act(self.conv(x)).amax(2)))))


class Curve(nn.Module):
    """Two convolutions along a curve of charging with two channels, one number."""

    def __init__(self, width=12, drop=0.05):
        super().__init__()
        self.a, self.b = nn.Conv1d(2, width, 5, stride=2, padding=2), nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.act, self.act2, self.drop = nn.ReLU(), nn.ReLU(), nn.Dropout(drop)
        self.mid, self.act3, self.head = nn.Linear(8 * width, 24), nn.ReLU(), nn.Linear(24, 1)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x)))).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h)))).squeeze(-1)


class Ridges(nn.Module):
    """Two convolutions with batch norms, their mean over the picture, four answers."""

    def __init__(self, width=10, drop=0.1, classes=4):
        super().__init__()
        self.a, self.n, self.act = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        self.b, self.m, self.act2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()
        self.drop, self.mid, self.act3, self.head = nn.Dropout(drop), nn.Linear(18 * width, 32), nn.ReLU(), nn.Linear(32, classes)

    def forward(self, x):
        h = self.act2(self.m(self.b(self.act(self.n(self.a(x.unsqueeze(1)))))))
        return self.head(self.drop(self.act3(self.mid(fn.avg_pool2d(h, 2).flatten(1)))))


class Basin(nn.Module):
    """A recurrent layer over the days, one number at the end; `kind` is its cell."""

    def __init__(self, width=18, start=None):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, width, batch_first=True), nn.Linear(width, 1)
        if start:
            self.rnn = nn.RNN(3, width, batch_first=True, nonlinearity="relu")
            self.rnn.weight_hh_l0.data.copy_(start * torch.eye(width))

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1]).squeeze(-1)


class Words(nn.Module):
    """The mean of codes of words, two layers, five answers."""

    def __init__(self, words=120, width=20, drop=0.35, classes=5):
        super().__init__()
        self.emb, self.mid, self.act = nn.Embedding(words, width), nn.Linear(width, width), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.drop(self.act(self.mid(self.emb(x).mean(1)))))


class Residues(nn.Module):
    """Codes of residues, two convolutions of which the second is dilated, three answers at each place."""

    def __init__(self, kinds=20, width=20, drop=0.1, kernel=5, classes=3):
        super().__init__()
        self.emb, k = nn.Embedding(kinds, width), kernel
        self.a, self.b = nn.Conv1d(width, width, k, padding=k // 2), nn.Conv1d(width, width, k, dilation=2, padding=k - k % 2)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        h = self.act(self.a(self.emb(x).transpose(1, 2)))
        h = h + self.act2(self.b(h))
        return self.head(self.drop(h.transpose(1, 2)))


class Drums(nn.Module):
    """Codes of hits, a recurrent layer, scores by the same codes."""

    def __init__(self, kinds=16, width=36, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(kinds, width), nn.LSTM(width, width, batch_first=True)
        self.drop, self.off = nn.Dropout(drop), nn.Parameter(torch.zeros(kinds))
        nn.init.normal_(self.emb.weight, 0, 0.3)

    def forward(self, x):
        return self.drop(self.rnn(self.emb(x))[0]) @ self.emb.weight.T + self.off


def finds(rng, n, share=0.5, strength=1.0, slip=0.03):
    """Ten properties of six kinds each (n, 10) of mushrooms, and whether one is poisonous (n,)."""
    r = np.random.default_rng(44)
    w, pair = 0.9 * r.normal(size=(10, 6)), 1.4 * r.normal(size=(6, 6))
    x = rng.integers(0, 6, (n, 10))
    score = w[np.arange(10), x].sum(1) + 2.0 * pair[x[:, 2], x[:, 7]]
    score = (score - score.mean()) / score.std() * strength + (1 - strength) * rng.normal(size=n)
    y = score > np.quantile(score, 1 - share)
    return x, np.where(rng.random(n) < slip, ~y, y).astype(F32)


def mushrooms(seed):
    """Whether a mushroom is poisonous, from ten properties."""
    data = finds(np.random.default_rng(seed), 3800)
    return made("mushrooms", "bin", (Columns, binary, "bce"), data, (3000, 400), (8e-3, 60, 14))


SHAPES = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8), (0, 5, 7))


def chord_frames(rng, n, noise=0.55, weights=None, off=0.0):
    """Six frames of the strength of twelve tones (n, 6, 12) of a chord in any key, and which of five it is (n,); `off` as a share of a tone."""
    y, root = rng.choice(5, n, p=weights), rng.integers(0, 12, n)
    c = np.zeros((n, 12))
    for k in range(3):
        c[np.arange(n), (root + np.array(SHAPES)[y, k]) % 12] += rng.uniform(0.6, 1.2, n)
    c += 0.35 * np.roll(c, 7, 1) + 0.15 * np.roll(c, 4, 1)
    c = (1 - off) * c + off * np.roll(c, 1, 1)
    x = c[:, None] * rng.uniform(0.5, 1.2, (n, 6, 1)) + noise * rng.normal(size=(n, 6, 12))
    return x.astype(F32), y


def chords5(seed):
    """Which kind of chord sounds."""
    model = (Chroma, cross_entropy, "ce")
    return made("chords5", "cls", model, chord_frames(np.random.default_rng(seed), 2300), (1650, 350), (3e-3, 40, 13), classes=5)


def cells(rng, n, noise=0.09, current=1.0):
    """Voltage and temperature along charging (n, 2, 32), and how much of a cell's capacity is left (n,), standardised."""
    t, soh = np.linspace(0, 1, 32)[None], rng.uniform(0.6, 1.0, (n, 1))
    res, warm = rng.normal(0, 1, (n, 1)) * 0.3 + (1 - soh) * 1.5, rng.normal(size=(n, 1))
    knee = 0.25 + 0.9 * (soh - 0.6) + 0.05 * rng.normal(size=(n, 1))
    v = current * (0.6 * t + 0.5 * np.tanh((t - knee) * 9) + 0.25 * res * np.exp(-6 * t)) + noise * rng.normal(size=(n, 32))
    heat = 0.5 * warm + 0.6 * res * t * (1.3 - t) + noise * rng.normal(size=(n, 32))
    return np.stack([v, heat], 1).astype(F32), ((soh[:, 0] - 0.8) / 0.115 + 0.12 * rng.normal(size=n)).astype(F32)


def mae(out, batch):
    """Mean absolute error."""
    return float((out - batch[1]).abs().mean())


def battery(seed):
    """How much of a cell's capacity is left; squared error and mean absolute error."""
    x, y = cells(np.random.default_rng(seed), 2000)
    return made("battery", "reg", (Curve, squared, "mse"), (x, y), (1400, 300), (1e-3, 32, 14), (mae, "mae", False), chance=float(y.var()))


def ridge_pictures(rng, n, noise=1.25, weights=None):
    """Ridges of fingertips (n, 12, 12): arches, loops to the left or right, whorls; and which it is (n,)."""
    y, g = rng.choice(4, n, p=weights), np.linspace(-1, 1, 12)
    v, h = np.meshgrid(g, g, indexing="ij")
    cx, cy = rng.uniform(-0.2, 0.2, (n, 1, 1)), rng.uniform(-0.2, 0.2, (n, 1, 1))
    a, b = h[None] - cx, v[None] - cy
    k = y[:, None, None]
    arch, whorl = b + 0.5 * np.exp(-4 * a**2), np.sqrt(a**2 + 1.2 * b**2)
    side = np.where(k == 1, 1.0, -1.0)
    loop = np.sqrt((a + 0.3 * side * b) ** 2 + 0.35 * np.minimum(b, 0) ** 2) + 0.35 * side * a * (b > 0)
    f = np.where(k == 0, arch, np.where(k == 3, whorl, loop))
    x = np.sin(f * rng.uniform(9, 11, (n, 1, 1)) + rng.uniform(-0.6, 0.6, (n, 1, 1))) + noise * rng.normal(size=f.shape)
    return x.astype(F32), y


def prints4(seed):
    """Which of four kinds a fingerprint is."""
    data = ridge_pictures(np.random.default_rng(seed), 1400)
    return made("prints4", "cls", (Ridges, cross_entropy, "ce"), data, (850, 250), (1.2e-3, 28, 12), classes=4)


def rivers(rng, n, noise=0.25, snow=1.0):
    """Rain, warmth and season of twenty days (n, 20, 3), and the flow on the last one (n,), standardised."""
    wet = (rng.random((n, 20)) < 0.35) * rng.gamma(1.0, 1.0, (n, 20))
    warm, year = rng.normal(size=(n, 1)) + 0.4 * rng.normal(size=(n, 20)), rng.uniform(0, 6.28, (n, 1))
    soil, pack = np.full(n, 0.6), np.full(n, 1.0) * (np.cos(year[:, 0]) > 0)
    for t in range(20):
        cold, w = warm[:, t] + np.sin(year[:, 0]) < -0.4, wet[:, t]
        melt = np.minimum(pack, snow * 0.35 * np.maximum(warm[:, t] + 0.4, 0))
        pack = pack + np.where(cold, w, 0) - melt
        soil = 0.86 * soil + np.where(cold, 0, w) + melt
        fast = np.where(cold, 0, w) * (soil > 2.0)
    q = np.log1p(0.4 * np.maximum(soil, 0) + 0.9 * fast)
    x = np.stack([wet - 0.35, warm, np.repeat(np.sin(year), 20, 1)], 2)
    q = (q - 0.85) / 0.34 + noise * rng.normal(size=n)
    return x.astype(F32), q.astype(F32)


def nse(out, batch):
    """Efficiency after Nash and Sutcliffe."""
    return float(1 - ((out - batch[1]) ** 2).mean() / batch[1].var())


def runoff(seed):
    """How much water a river carries after twenty days of weather; squared error, efficiency."""
    x, y = rivers(np.random.default_rng(seed), 1900)
    return made("runoff", "reg", (Basin, squared, "mse"), (x, y), (1300, 300), (4e-3, 32, 14), (nse, "nse", True), chance=float(y.var()))


def requests(rng, n, weights=None, told=0.2, slip=0.03, length=12):
    """Words (n, 12) of a hundred and twenty of tickets, and the queue of five that answers them (n,)."""
    y = rng.choice(5, n, p=weights)
    own = 8 * y[:, None] + rng.integers(0, 8, (n, length))
    near = 40 + 8 * ((y[:, None] + rng.integers(0, 2, (n, length))) % 5) + rng.integers(0, 8, (n, length))
    x = np.where(rng.random((n, length)) < told, np.where(rng.random((n, length)) < 0.5, own, near), rng.integers(0, 120, (n, length)))
    return x, np.where(rng.random(n) < slip, rng.integers(0, 5, n), y)


def tickets5(seed):
    """Which queue a ticket belongs to, from its words."""
    model = (Words, cross_entropy, "ce")
    return made("tickets5", "cls", model, requests(np.random.default_rng(seed), 3000, None, 0.4), (2200, 400), (5e-3, 40, 14), classes=5)


def chains(rng, n, slip=0.06, length=20, weak=0.08):
    """Residues (n, 20) of twenty kinds and what each is part of: 0 a coil, 1 a helix, 2 a strand."""
    x, y = np.zeros((n, length), int), np.zeros((n, length), int)
    for i in range(n):
        t, k = 0, rng.integers(0, 3)
        while t < length:
            m = rng.integers(4, 8)
            y[i, t : t + m], t, k = k, t + m, (k + rng.integers(1, 3)) % 3
    p = np.full((3, 20), 0.4)
    for k in range(3):
        p[k, 6 * k : 6 * k + 6] += 4.0
    p /= p.sum(1, keepdims=True)
    x = (p[y].cumsum(2) > rng.random((n, length, 1))).argmax(2)
    x = np.where(rng.random(x.shape) < weak, rng.integers(0, 20, x.shape), x)
    return x, np.where(rng.random(y.shape) < slip, rng.integers(0, 3, y.shape), y)


def helix3(seed):
    """Coil, helix or strand, at each place of a chain."""
    data = chains(np.random.default_rng(seed), 1300)
    return made("helix3", "cls", (Residues, cross_entropy, "ce"), data, (850, 220), (5e-3, 30, 12), classes=3)


def bars(rng, n, stray=0.1, first=0, last=14):
    """Hits (n, 25), sixteen kinds: one of fourteen patterns of eight, three times from a place within it, with fills of its own."""
    r = np.random.default_rng(61)
    p = r.choice(16, (14, 8), p=r.dirichlet(np.full(16, 0.7)))
    k, at = rng.integers(first, last, n), rng.integers(0, 8, n)
    x = p[k[:, None], (at[:, None] + np.arange(25)[None]) % 8]
    return np.where(rng.random(x.shape) < stray, rng.integers(0, 16, x.shape), x)


def drum_lm(seed):
    """The next hit of a drummer."""
    g = bars(np.random.default_rng(seed), 1400)
    return made("drum_lm", "cls", (Drums, cross_entropy, "ce"), (g[:, :-1], g[:, 1:]), (960, 240), (6e-3, 32, 12), classes=16)


def hours_of_power(rng, n, noise=0.3):
    """Seven figures of an hour (n, 7) and the power that is asked for in it (n, 1); its scatter is larger in the cold."""
    h, free, cold = rng.uniform(0, 24, n), rng.integers(0, 2, n), rng.normal(size=n)
    sun, price, last = rng.random(n), rng.normal(size=n), rng.normal(size=n)
    y = np.sin((h - 9) * 0.2618) + 0.6 * np.exp(-(((h - 19) / 2) ** 2)) - 0.7 * free * (np.abs(h - 12) < 5)
    y = y + 0.5 * np.maximum(cold, 0) - 0.3 * sun * (np.abs(h - 13) < 4) - 0.15 * price + 0.4 * last
    y = y + noise * (0.6 + 0.9 * (cold > 0.5)) * rng.normal(size=n)
    x = np.stack([np.sin(0.2618 * h), np.cos(0.2618 * h), 2.0 * free - 1, cold, 2 * sun - 1, price, last], 1)
    return x.astype(F32), ((y - y.mean()) / y.std()).astype(F32)[:, None]


def pinball(out, batch):
    """(n,) mean loss of the tenth, the half and the ninetieth of a hundred parts."""
    q, e = torch.tensor([0.1, 0.5, 0.9]), batch[1] - out
    return torch.maximum(q * e, (q - 1) * e).mean(1)


def median_error(out, batch):
    """Mean absolute error of the middle answer."""
    return float((out[:, 1] - batch[1][:, 0]).abs().mean())


def demand_q(seed):
    """Three quantiles of the demand for power in an hour; pinball loss."""
    x, y = hours_of_power(np.random.default_rng(seed), 2600)
    model, chance = (lambda: Mlp([7, 32, 24, 3]), pinball, "pinball"), float(np.abs(y - np.median(y)).mean() / 2 * 0.75)
    return made("demand_q", "free", model, (x, y), (1900, 350), (2.5e-3, 38, 14), (median_error, "mae", False), chance=chance)


TASKS = {f.__name__: f for f in (mushrooms, chords5, battery, prints4, runoff, tickets5, helix3, drum_lm, demand_q)}
