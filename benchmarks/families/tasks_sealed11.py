"""Tasks of the split `sealed11`: pulses, gases, knitting, films, winds, welds, carpets, leaves, fruit."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy


class Pulse(nn.Module):
    """Two convolutions over a trace, the mean and the maximum over time, one number."""

    def __init__(self, width=16, drop=0.05):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, width, 7, stride=2), nn.ReLU(), nn.Conv1d(width, width, 5), nn.ReLU())
        self.drop, self.head = nn.Dropout(drop), nn.Linear(9 * width, 1)

    def forward(self, x):
        return self.head(self.drop(self.body(x[:, None]).flatten(1))).squeeze(-1)


class Nose(nn.Module):
    """A convolution over the course of eight sensors, a norm, flat features, a linear head."""

    def __init__(self, width=20, drop=0.1, classes=6):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(8, width, 3), nn.BatchNorm1d(width), nn.ReLU(), nn.Conv1d(width, width, 3), nn.ReLU())
        self.drop, self.head = nn.Dropout(drop), nn.Linear(8 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


class Knit(nn.Module):
    """Codes of stitches, a recurrent layer with gates, scores of the next stitch."""

    def __init__(self, symbols=18, width=36, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(symbols, 16), nn.GRU(16, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, symbols)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Heading(nn.Module):
    """A net whose two outputs are brought to length one."""

    def __init__(self, sizes=(14, 48, 32), drop=0.05):
        super().__init__()
        self.net = Mlp([*sizes, 2], drop=drop)

    def forward(self, x):
        return fn.normalize(self.net(x), dim=-1)


class Carpet(nn.Module):
    """A Gaussian code of six numbers for a piece of carpet; scores of its knots, means and log variances of the code."""

    def __init__(self, width=64, code=6):
        super().__init__()
        self.enc, self.dec, self.code = Mlp([64, width, 2 * code]), Mlp([code, width, 64]), code

    def forward(self, x):
        m, v = self.enc(x).chunk(2, -1)
        v = v.clamp(-8, 8)
        return self.dec(m + (torch.randn_like(m) * (v / 2).exp() if self.training else 0)), m, v


class Leaf(nn.Module):
    """Two convolutions and a pool, flat features, six kinds."""

    def __init__(self, width=8, drop=0.3, classes=6):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()
        )
        self.drop, self.head = nn.Dropout(drop), nn.Linear(72 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


class Spot(nn.Module):
    """A convolution and a net over it; four scores of a kind and two numbers of a place."""

    def __init__(self, width=8, hidden=40):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * width, hidden), nn.ReLU())
        self.head = nn.Linear(hidden, 6)

    def forward(self, x):
        return self.head(self.body(x))


def pulses(rng, n, noise=0.35):
    """Traces (n, 32) of a pulse with a drift, and its rate."""
    t, r = np.linspace(0, 1, 32), rng.uniform(-1.5, 1.5, (n, 1))
    w = 2 * np.pi * (2.2 + 0.7 * r) * t + rng.uniform(-0.8, 0.8, (n, 1))
    x = np.exp(2 * (np.cos(w) - 1)) * rng.uniform(0.8, 1.3, (n, 1)) - 0.4 + rng.normal(size=(n, 1)) * 0.3 * t
    return (x + noise * rng.normal(size=(n, 32))).astype(F32), (r[:, 0] / 0.866).astype(F32)


def pulse_rate(seed):
    """The rate of a pulse from a short trace; absolute error, its mean is the loss."""
    data = pulses(np.random.default_rng(seed), 2400)
    model = (Pulse, lambda out, b: (out - b[1]).abs(), "l1")
    rmse = (lambda out, b: float(((out - b[1]) ** 2).mean() ** 0.5), "rmse", False)
    return made("pulse_rate", "reg", model, data, (1600, 400), (3e-3, 50, 18), rmse, chance=float(np.abs(data[1]).mean()))


def gases(rng, n, noise=1.0, weights=None):
    """Courses (n, 8, 12) of eight sensors that meet a gas, and which of six it is."""
    r = np.random.default_rng(71)
    size, speed = r.normal(size=(6, 8)), 2 + 5 * r.random((6, 8))
    y, t = rng.choice(6, n, p=weights), np.linspace(0, 1, 12)
    x = size[y][..., None] * (1 - np.exp(-speed[y][..., None] * t)) * rng.lognormal(0, 0.4, (n, 1, 1))
    return (x + noise * rng.normal(size=(n, 8, 12)) + 0.4 * rng.normal(size=(n, 8, 1))).astype(F32), y


def gas6(seed):
    """Which of six gases eight sensors met."""
    data = gases(np.random.default_rng(seed), 2100)
    return made("gas6", "cls", (Nose, cross_entropy, "ce"), data, (1400, 350), (2e-3, 50, 16), classes=6)


def rows_of_knitting(rng, n, length=18):
    """Rows (n, 18) of a pattern: a motif of a book of twelve is knitted over and over, with a stitch for its end, or its mirror."""
    r = np.random.default_rng(83)
    book, out = [r.integers(4, 18, r.integers(3, 6)).tolist() for _ in range(12)], np.zeros((n, length), int)
    for i in range(n):
        a, b = rng.choice(12, 2, replace=False)
        line = [0]
        while len(line) < length:
            m = book[a] if rng.random() < 0.65 else book[b]
            line += [1, *m] if rng.random() < 0.75 else [2, *m[::-1], 3]
        out[i] = line[:length]
    return out


def knit_lm(seed):
    """The next stitch of a knitting pattern; a recurrent net."""
    w = rows_of_knitting(np.random.default_rng(seed), 1400)
    return made("knit_lm", "cls", (Knit, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (900, 250), (6e-3, 25, 14), classes=18)


def films(rng, n, noise=0.5, rare=0.0):
    """Which of forty words describe a film (n, 40), and which of ten genres it has."""
    r = np.random.default_rng(91)
    a, b = 0.9 * r.normal(size=(8, 40)), r.normal(size=(8, 10))
    z = rng.normal(size=(n, 8))
    x = (z @ a + rng.normal(size=(n, 40)) > 0.8).astype(F32)
    return x, (z @ b + noise * rng.normal(size=(n, 10)) > 1.8 + rare).astype(F32)


def f1_of(out, batch):
    """F1 over all answers."""
    p, t = out > 0, batch[1] > 0.5
    return float(2 * (p & t).sum() / (p.sum() + t.sum()).clamp(min=1))


def per_label(out, batch):
    """(n,) binary cross-entropy, the mean over labels."""
    return binary(out, batch).mean(1)


def film_genres(seed):
    """Which of ten genres a film has; binary cross-entropies and F1."""
    x, y = films(np.random.default_rng(seed), 2600)
    q = y[:1800].mean(0)
    model = (lambda: Mlp([40, 64, 10], drop=0.1), per_label, "bce")
    chance = float(-(q * np.log(q) + (1 - q) * np.log(1 - q)).mean())
    return made("film_genres", "free", model, (x, y), (1800, 400), (3e-3, 60, 15), (f1_of, "f1", True), chance=chance)


def winds(rng, n, noise=0.35):
    """Fourteen readings around a mast (n, 14), and where the wind comes from as a vector of length one."""
    r = np.random.default_rng(37)
    a, s = rng.uniform(0, 2 * np.pi, (n, 1)), rng.uniform(0.5, 1.5, (n, 1))
    x = s * np.maximum(0.2, np.cos(a - r.uniform(0, 6.28, 14))) * r.uniform(0.7, 1.3, 14) + noise * rng.normal(size=(n, 14))
    return x.astype(F32), np.concatenate([np.cos(a), np.sin(a)], 1).astype(F32)


def cosine_below_zero(out, batch):
    """(n,) negative cosine of two vectors of length one."""
    return -(out * batch[1]).sum(-1)


def wind_dir(seed):
    """Where the wind comes from; the loss is a negative cosine, the score an angle."""
    data = winds(np.random.default_rng(seed), 2300)
    angle = (lambda out, b: float(torch.rad2deg((out * b[1]).sum(-1).clamp(-1, 1).acos()).mean()), "angle", False)
    model = (Heading, cosine_below_zero, "cosine")
    return made("wind_dir", "free", model, data, (1500, 400), (3e-3, 50, 16), angle, chance=-float(np.hypot(*data[1].mean(0))))


def welds(rng, n, noise=0.8, share=0.3):
    """Sixteen figures of a weld (n, 16), and whether it has a flaw."""
    r = np.random.default_rng(45)
    a, b, w = r.normal(size=(6, 16)), r.normal(size=(6, 5)), r.normal(size=5)
    z = rng.normal(size=(6 * n if share < 0.1 else 3 * n, 6))
    s = np.tanh(z @ b) @ w + 0.8 * z[:, 0] * z[:, 1] + 0.25 * rng.normal(size=len(z))
    y = s > np.quantile(s, 1 - share)
    i = rng.permutation(len(z))[:n]
    return (z @ a * 0.5 + noise * rng.normal(size=(len(z), 16)))[i].astype(F32), y[i].astype(F32)


def weld_flaw(seed):
    """Whether a weld has a flaw; a net on figures."""
    data = welds(np.random.default_rng(seed), 3500)
    return made(
        "weld_flaw", "bin", (lambda: Mlp([16, 48, 24, 1], drop=0.15, squeeze=True), binary, "bce"), data, (2600, 450), (1.5e-3, 65, 12)
    )


def carpets(rng, n, noise=0.04):
    """Pieces (n, 64) of carpet of eight by eight knots, symmetric, and the same once more."""
    r = np.random.default_rng(29)
    a = r.normal(size=(6, 4, 8))
    z = rng.normal(size=(n, 6))
    q = np.einsum("nk,kij->nij", z, a) + 0.3
    x = np.concatenate([q, q[:, ::-1]], 1) > 0
    x = (x ^ (rng.random(x.shape) < noise)).reshape(n, 64).astype(F32)
    return x, x


CARPET_PARTS = {
    "recon": lambda out, b: fn.binary_cross_entropy_with_logits(out[0], b[1], reduction="none").sum(-1),
    "kl": lambda out, b: 0.5 * (out[1] ** 2 + out[2].exp() - 1 - out[2]).sum(-1),
}


def kilim_vae(seed):
    """Pieces of carpet through a Gaussian code; the bound in nats."""
    x, y = carpets(np.random.default_rng(seed), 2100)
    q = x[:1400].mean(0).clip(0.001, 0.999)
    model = (Carpet, lambda out, b: sum(f(out, b) for f in CARPET_PARTS.values()), "elbo")
    score = (lambda out, b: float(((out[0] > 0) == (b[1] > 0.5)).float().mean()), "knots", True)
    more = {"chance": float(-(q * np.log(q) + (1 - q) * np.log(1 - q)).sum()), "components": lambda o, b: _parts(CARPET_PARTS, o, b)}
    return made("kilim_vae", "free", model, (x, y), (1400, 350), (3e-3, 50, 24), score, **more)


def _parts(parts, out, batch):
    """The components of a loss by name."""
    return {k: f(out, batch) for k, f in parts.items()}


def leaves(rng, n, noise=0.8, weights=None):
    """Pictures (n, 1, 12, 12) of a leaf with so many lobes, and which of six kinds it is."""
    y = rng.choice(6, n, p=weights)
    k, deep = np.array([2, 3, 4, 5, 1, 3])[y], np.array([0.35, 0.4, 0.4, 0.4, 0.5, 0.1])[y]
    px, py = np.meshgrid(np.arange(12) - 5.5, np.arange(12) - 5.5, indexing="ij")
    turn, size = rng.uniform(-0.25, 0.25, n), rng.uniform(3.4, 4.4, n)
    col = lambda q: q[:, None, None]  # noqa: E731
    edge = col(size) * (1 + col(deep) * np.cos(col(k) * (np.arctan2(py, px) - col(turn))))
    x = 1 / (1 + np.exp(2.5 * (np.hypot(px, py) - edge)))
    return (x - 0.4 + noise * rng.normal(size=x.shape))[:, None].astype(F32), y


def leaves6(seed):
    """Which of six kinds a leaf is; convolutions."""
    data = leaves(np.random.default_rng(seed), 2200)
    return made("leaves6", "cls", (Leaf, cross_entropy, "ce"), data, (1500, 350), (1.5e-3, 50, 14), classes=6)


def fruit(rng, n, noise=0.3):
    """Pictures (n, 1, 10, 10) of a fruit of four shapes, and [kind, row, column] of it."""
    y, c = rng.integers(0, 4, n), rng.uniform(2.5, 6.5, (n, 2))
    px, py = np.meshgrid(np.arange(10), np.arange(10), indexing="ij")
    dx, dy = px - c[:, 0, None, None], py - c[:, 1, None, None]
    r = np.array([[1.8, 1.8], [1.0, 2.6], [2.6, 1.0], [1.0, 1.0]])[y]
    x = np.exp(-((dx / r[:, 0, None, None]) ** 2) - (dy / r[:, 1, None, None]) ** 2) * rng.uniform(0.8, 1.2, (n, 1, 1))
    return (x + noise * rng.normal(size=x.shape))[:, None].astype(F32), np.concatenate([y[:, None], (c - 4.5) / 2], 1).astype(F32)


FRUIT_PARTS = {
    "cls": lambda out, b: fn.cross_entropy(out[:, :4], b[1][:, 0].long(), reduction="none"),
    "loc": lambda out, b: (out[:, 4:] - b[1][:, 1:]).abs().mean(1),
}


def fruit_spot(seed):
    """Which fruit lies where; a cross-entropy and an absolute error."""
    data = fruit(np.random.default_rng(seed), 2900)
    model = (Spot, lambda out, b: sum(f(out, b) for f in FRUIT_PARTS.values()), "both")
    score = (lambda out, b: float((out[:, :4].argmax(1) == b[1][:, 0]).float().mean()), "acc", True)
    more = {"chance": float(np.log(4) + np.abs(data[1][:, 1:]).mean()), "components": lambda o, b: _parts(FRUIT_PARTS, o, b)}
    return made("fruit_spot", "free", model, data, (2200, 350), (3e-3, 75, 17), score, **more)


TASKS = {f.__name__: f for f in (pulse_rate, gas6, knit_lm, film_genres, wind_dir, weld_flaw, kilim_vae, leaves6, fruit_spot)}
