"""Tasks of the split `sealed12`: stars, an editor's keys, panels, tiles, wafers, veins, reviews, gaits."""

import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


class Curve(nn.Module):
    """Two convolutions over a light curve and its errors, flat features, five kinds."""

    def __init__(self, width=14, drop=0.1, classes=5):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(2, width, 5, padding=2, stride=2), nn.GELU(), nn.Conv1d(width, width, 3, stride=2), nn.GELU())
        self.drop, self.head = nn.Dropout(drop), nn.Linear(6 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


class Keys(nn.Module):
    """Codes of keys and places, causal convolutions with a gate, scores of the next key."""

    def __init__(self, keys=20, width=20, drop=0.1):
        super().__init__()
        self.emb, self.mix = nn.Embedding(keys, width), nn.ModuleList([nn.Conv1d(width, 2 * width, 3, dilation=d) for d in (1, 2, 4)])
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, keys)

    def forward(self, x):
        h = self.emb(x).transpose(1, 2)
        for c, d in zip(self.mix, (1, 2, 4), strict=True):
            h = h + fn.glu(c(fn.pad(h, (2 * d, 0))), 1)
        return self.head(self.drop(h.transpose(1, 2)))


class Filler(nn.Module):
    """A picture with a hole and the mask of it through three convolutions; the whole picture."""

    def __init__(self, width=14):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, padding=1),
        )

    def forward(self, x):
        return self.net(x)[:, 0]


class Wafer(nn.Module):
    """Two convolutions over a map of dies, flat features, a hidden layer, one logit."""

    def __init__(self, width=8, hidden=24, drop=0.3):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.net, self.drop, self.head = nn.Sequential(nn.Linear(9 * width, hidden), nn.ReLU()), nn.Dropout(drop), nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.drop(self.net(self.body(x)))).squeeze(-1)


class Vein(nn.Module):
    """An encoder of one step and a way back with a skip; a logit for each of 144 pixels."""

    def __init__(self, width=8):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.c, self.head = nn.Conv2d(3 * width, width, 3, padding=1), nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = fn.relu(self.a(x))
        up = fn.interpolate(fn.relu(self.b(a)), scale_factor=2)
        return self.head(fn.relu(self.c(torch.cat([a, up], 1))))[:, 0]


class Review(nn.Module):
    """The mean of the codes of words and of pairs of neighbours, a hidden layer, five grades."""

    def __init__(self, words=60, width=12, hidden=24, drop=0.3):
        super().__init__()
        self.emb = nn.Embedding(words, width)
        self.net, self.drop, self.head = nn.Sequential(nn.Linear(2 * width, hidden), nn.ReLU()), nn.Dropout(drop), nn.Linear(hidden, 5)

    def forward(self, x):
        e = self.emb(x)
        p = (e[:, :-1] * e[:, 1:]).mean(1)
        return self.head(self.drop(self.net(torch.cat([e.mean(1), p], -1))))


class Gait(nn.Module):
    """Codes (n, 3, 12) of an anchor, another walk of the same person, and a walk of somebody else."""

    def __init__(self, width=48, drop=0.1):
        super().__init__()
        self.net = Mlp([20, width, 12], drop=drop)

    def forward(self, x):
        return fn.normalize(self.net(x), dim=-1)


def stars(rng, n, noise=0.4, weights=None):
    """Light curves and their errors (n, 2, 28) of five kinds of variable stars, and the kind."""
    y, t = rng.choice(5, n, p=weights), np.linspace(0, 1, 28)
    ph = (2.2 * t[None] + rng.uniform(0, 1, (n, 1))) % 1
    dip = lambda c, w: -np.exp(-(((ph - c) / w) ** 2))  # noqa: E731
    kinds = [
        np.sin(2 * np.pi * ph),
        2 * (1 - ph) ** 2 - 0.7,
        1.6 * dip(0.3, 0.06) + 0.7 * dip(0.8, 0.06) + 0.3,
        1.2 * np.cos(4 * np.pi * ph),
        2 * ph - 1,
    ]
    x = np.choose(y[:, None], kinds) * rng.uniform(0.6, 1.3, (n, 1))
    e = noise * rng.lognormal(0, 0.3, x.shape)
    return np.stack([x + e * rng.normal(size=x.shape), np.log(e / 0.55 + 1e-3)], 1).astype(F32), y


def star5(seed):
    """Which of five kinds of variable stars a light curve is of."""
    data = stars(np.random.default_rng(seed), 2300)
    return made("star5", "cls", (Curve, cross_entropy, "ce"), data, (1600, 350), (8e-3, 50, 16), classes=5)


def sessions(rng, n, length=21):
    """Keys (n, 21) of an editor with modes: counts, motions, words that are typed until escape, and undo or the last command again."""
    r = np.random.default_rng(19)
    words, out = [r.integers(10, 20, r.integers(2, 4)).tolist() for _ in range(8)], np.zeros((n, length), int)
    for i in range(n):
        mine, line = rng.choice(8, 2, replace=False), []
        while len(line) < length:
            q = rng.random()
            if q < 0.45:
                line += [1, *words[mine[int(rng.random() < 0.4)]], 2]
            elif q < 0.75:
                k = int(rng.integers(3, 6))
                line += [k, 9 - k]
            else:
                line += [7, 8] if rng.random() < 0.6 else [9, 9, 0]
        out[i] = line[:length]
    return out


def editor_lm(seed):
    """The next key in a session with an editor; causal convolutions."""
    w = sessions(np.random.default_rng(seed), 1500)
    return made("editor_lm", "cls", (Keys, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (1000, 250), (5e-3, 30, 12), classes=20)


def panels(rng, n, noise=0.3):
    """Ten readings of a panel (n, 10): hour, season, clouds and such, and its yield."""
    h, s, c = rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), rng.beta(1.2, 1.6, n)
    rest = rng.normal(size=(n, 7))
    sun = np.maximum(0, np.cos(1.7 * h) * (0.7 + 0.3 * np.cos(np.pi * s)) * (1 - 0.8 * c))
    y = (
        3.4 * sun * (1 - 0.12 * rest[:, 0])
        + 0.35 * np.maximum(0, rest[:, 1]) * sun
        - 0.4 * np.tanh(2 * rest[:, 2] * rest[:, 3])
        + noise * rng.normal(size=n)
    )
    x = np.column_stack([1.7 * h, 1.7 * s, 4 * c - 2, rest])
    return x.astype(F32), ((y - 1.15) / 1.0).astype(F32)


def solar_yield(seed):
    """The yield of a panel; squared error and the share of variance that is explained."""
    data = panels(np.random.default_rng(seed), 2700)
    var = float(data[1].var())
    r2 = (lambda out, b: 1 - float(((out - b[1]) ** 2).mean()) / var, "r2", True)
    model = (lambda: Mlp([10, 56, 28, 1], drop=0.03, squeeze=True), squared, "mse")
    return made("solar_yield", "reg", model, data, (1900, 400), (3e-3, 60, 16), r2, chance=var)


def tiles(rng, n, noise=0.1):
    """Tiles with a hole and its mask (n, 2, 10, 10), and the whole tile: two waves and a frame."""
    px, py = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")
    a, f, p = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(0.5, 1.0, (n, 1, 1)), rng.uniform(0, 6.28, (n, 2, 1, 1))
    u, v = np.cos(a) * px + np.sin(a) * py, np.cos(a) * py - np.sin(a) * px
    x = np.sin(f * u + p[:, 0]) + 0.6 * np.sin(1.4 * f * v + p[:, 1]) + noise * rng.normal(size=(n, 10, 10))
    c = rng.integers(1, 6, (n, 2, 1, 1))
    m = ((px >= c[:, 0]) & (px < c[:, 0] + 4) & (py >= c[:, 1]) & (py < c[:, 1] + 4)).astype(F32)
    return np.stack([x * (1 - m), m], 1).astype(F32), x.astype(F32)


def filled(out, batch):
    """(n,) squared error within the hole."""
    m = batch[0][:, 1]
    return (((out - batch[1]) ** 2) * m).flatten(1).sum(1) / m.flatten(1).sum(1).clamp(min=1)


def psnr(out, batch):
    """Peak signal to noise ratio within the hole."""
    return 10 * math.log10(10.24 / max(1e-9, float(filled(out, batch).mean())))


def tile_fill(seed):
    """Fill a hole in a tile; squared error within it, PSNR."""
    data = tiles(np.random.default_rng(seed), 1500)
    model = (Filler, filled, "mse")
    return made("tile_fill", "free", model, data, (1000, 250), (7e-3, 40, 17), (psnr, "psnr", True), chance=float((data[1] ** 2).mean()))


def wafers(rng, n, noise=0.9, share=0.4):
    """Maps (n, 1, 9, 9) of a wafer, some with a scratch, a ring or a cluster, and whether it fails."""
    y = (rng.random(n) < share).astype(F32)
    px, py = np.meshgrid(np.arange(9) - 4, np.arange(9) - 4, indexing="ij")
    a, k, c = rng.uniform(0, np.pi, (n, 1, 1)), rng.integers(0, 3, n), rng.uniform(-2.5, 2.5, (2, n, 1, 1))
    line = np.exp(-((np.cos(a) * (px - 0.5 * c[0]) + np.sin(a) * (py - 0.5 * c[1])) ** 2))
    ring, spot = np.exp(-((np.hypot(px, py) - 3.2) ** 2)), 1.6 * np.exp(-((px - c[0]) ** 2 + (py - c[1]) ** 2) / 2.5)
    mark = np.choose(k[:, None, None], [line, ring, spot])
    x = 1.5 * y[:, None, None] * mark + noise * rng.normal(size=mark.shape) + 0.3 * rng.normal(size=(n, 1, 1))
    return x[:, None].astype(F32), y


def wafer_fail(seed):
    """Whether a wafer fails, from its map; convolutions."""
    data = wafers(np.random.default_rng(seed), 2700)
    return made("wafer_fail", "bin", (Wafer, binary, "bce"), data, (1900, 400), (1.5e-3, 55, 15))


def veins(rng, n, noise=0.8):
    """Pictures (n, 1, 12, 12) of a vein that bends and branches, and its pixels (n, 12, 12)."""
    px, py = np.meshgrid(np.arange(12), np.arange(12), indexing="ij")
    b, s, w = rng.uniform(3, 8, (n, 1, 1)), rng.uniform(-0.4, 0.4, (n, 1, 1)), rng.uniform(0.7, 1.4, (n, 1, 1))
    mid = b + s * (px - 6) + np.sin(0.6 * px + b)
    y = (np.abs(py - mid) < w) | ((np.abs(py - mid - 0.8 * (px - 5)) < w) & (px > 5))
    x = 1.6 * y - 0.4 + noise * rng.normal(size=y.shape) + 0.5 * np.sin(0.5 * py + b)
    return x[:, None].astype(F32), y.astype(F32)


def dice(out, batch):
    """(n,) one minus the soft Dice of a mask."""
    p = out.sigmoid()
    return 1 - (2 * (p * batch[1]).flatten(1).sum(1) + 1) / ((p + batch[1]).flatten(1).sum(1) + 1)


def iou(out, batch):
    """What masks share over what they cover."""
    p, t = out > 0, batch[1] > 0.5
    return float((p & t).sum() / (p | t).sum().clamp(min=1))


VEIN_PARTS = {
    "bce": lambda out, b: fn.binary_cross_entropy_with_logits(out, b[1], reduction="none").flatten(1).mean(1),
    "dice": dice,
}


def vein_seg(seed):
    """Which pixels belong to a vein; binary cross-entropy and Dice, overlap."""
    data = veins(np.random.default_rng(seed), 1100)
    model = (Vein, lambda out, b: sum(f(out, b) for f in VEIN_PARTS.values()), "both")
    more = {"chance": 1.25, "components": lambda o, b: {k: f(o, b) for k, f in VEIN_PARTS.items()}}
    return made("vein_seg", "free", model, data, (700, 200), (5e-3, 28, 16), (iou, "iou", True), **more)


def reviews(rng, n, doubt=0.8, weights=None):
    """Words (n, 12) of a review, some of which turn what follows, and its grade."""
    r = np.random.default_rng(53)
    tone = np.concatenate([np.zeros(25), r.normal(0, 1.6, 35)])
    y0 = np.arange(5) if weights is None else rng.choice(5, 4 * n, p=weights)
    x = rng.integers(0, 60, (n if weights is None else 40 * n, 12))
    turn = np.where((x[:, :-1] < 3), -1.0, 1.0)
    s = (tone[x[:, 1:]] * turn).sum(1) + doubt * rng.normal(size=len(x))
    y = np.digitize(s, [-4.2, -1.4, 1.4, 4.2])
    if weights is not None:
        i = np.concatenate([np.flatnonzero(y == k)[: int((y0[:n] == k).sum())] for k in range(5)])
        i = rng.permutation(i)
        x, y = x[i], y[i]
    return x, y


def review_stars(seed):
    """How many stars a review gives; codes of words, irreducible doubt."""
    data = reviews(np.random.default_rng(seed), 3100)
    return made("review_stars", "cls", (Review, cross_entropy, "ce"), data, (2300, 400), (6e-3, 60, 14), classes=5)


def gaits(rng, n, noise=0.7):
    """Triplets (n, 3, 20) of walks of people, nothing to say of them."""
    r = np.random.default_rng(61)
    a, b = r.normal(size=(6, 20)), 1.3 * r.normal(size=(4, 20))
    who = rng.normal(size=(n, 2, 6))[:, [0, 0, 1]]
    how = rng.normal(size=(n, 3, 4))
    x = np.tanh(0.6 * who @ a) + 0.5 * how @ b + noise * rng.normal(size=(n, 3, 20))
    return x.astype(F32), np.zeros(n, int)


def sides(out):
    """Squared distances to the same person and to the other one."""
    return ((out[:, 0] - out[:, 1]) ** 2).sum(-1), ((out[:, 0] - out[:, 2]) ** 2).sum(-1)


def triplet(out, batch):
    """(n,) triplet loss with a margin of 0.8."""
    p, q = sides(out)
    return fn.relu(p - q + 0.8)


def gait_triplets(seed):
    """Who walks; a triplet loss and the share of triplets that are in order."""
    data = gaits(np.random.default_rng(seed), 2600)
    score = (lambda out, b: float((sides(out)[0] < sides(out)[1]).float().mean()), "acc", True)
    return made("gait_triplets", "free", (Gait, triplet, "triplet"), data, (1800, 400), (2e-3, 60, 16), score, chance=0.8)


TASKS = {f.__name__: f for f in (star5, editor_lm, solar_yield, tile_fill, wafer_fail, vein_seg, review_stars, gait_triplets)}
