"""Tasks of the split `sealed8`: addresses, nights, crowds, captions, binding, splice sites, molecules as text, parcels."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, MAE, made
from families.training import binary, cross_entropy, squared


class Address(nn.Module):
    """Characters through a convolution of three, the maximum over places, a hidden layer; one logit."""

    def __init__(self, symbols=32, width=16, drop=0.3):
        super().__init__()
        self.emb, self.conv, self.act = nn.Embedding(symbols, width), nn.Linear(3 * width, 32), nn.ReLU()
        self.net = Mlp([64, 24, 1], drop=drop, squeeze=True)

    def forward(self, x):
        e = self.emb(x)
        h = self.act(self.conv(torch.cat([e[:, :-2], e[:, 1:-1], e[:, 2:]], -1)))
        return self.net(torch.cat([h.amax(1), h.mean(1)], -1))


class Night(nn.Module):
    """Half minutes of a night (n, 16, 6) through a recurrent net that reads both ways, scores of five stages each."""

    def __init__(self, width=16, drop=0.2, columns=6):
        super().__init__()
        self.first, self.act = nn.Linear(columns, width), nn.ReLU()
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, 5)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.act(self.first(x)))[0]))


class Density(nn.Module):
    """Convolutions over a picture with norms, people in each of 36 fields."""

    def __init__(self, width=10):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x):
        return self.head(self.b(self.a(x))).flatten(1)


class Towers(nn.Module):
    """Eight captions and eight pictures (n, 8, 2, 12): a net for each kind, products of their unit codes."""

    def __init__(self, sizes=(48, 16), drop=0.1, heat=12.0, columns=12):
        super().__init__()
        self.left, self.right = Mlp([columns, *sizes], drop=drop), Mlp([columns, *sizes], drop=drop)
        self.heat = nn.Parameter(torch.tensor(float(heat)))

    def forward(self, x):
        a, b = fn.normalize(self.left(x[:, :, 0]), dim=-1), fn.normalize(self.right(x[:, :, 1]), dim=-1)
        return self.heat * a @ b.transpose(1, 2)


class Binding(nn.Module):
    """Fourteen amino acids and ten symbols of a ligand: codes, means of both and their product, a net; one number."""

    def __init__(self, width=12, sizes=(32, 16), drop=0.0):
        super().__init__()
        self.emb, self.place = nn.Embedding(28, width), nn.Parameter(torch.ones(24, width))
        self.net = Mlp([3 * width, *sizes, 1], drop=drop, squeeze=True)

    def forward(self, x):
        e = self.emb(x) * self.place
        p, q = 2 * e[:, :14].mean(1), 2 * e[:, 14:].mean(1)
        return self.net(torch.cat([p, q, p * q], -1))


class Splice(nn.Module):
    """Bases around a site (n, 30): two convolutions with norms, flat, three classes."""

    def __init__(self, width=12, drop=0.3, momentum=0.1):
        super().__init__()
        self.emb = nn.Embedding(5, 6)
        self.body = nn.Sequential(nn.Conv1d(6, width, 5, stride=2), nn.BatchNorm1d(width, momentum=momentum), nn.ReLU())
        self.more = nn.Sequential(nn.Conv1d(width, 16, 3), nn.BatchNorm1d(16, momentum=momentum), nn.ReLU())
        self.drop, self.head = nn.Dropout(drop), nn.Linear(16 * 11, 3)

    def forward(self, x):
        return self.head(self.drop(self.more(self.body(self.emb(x).transpose(1, 2))).flatten(1)))


class Smiles(nn.Module):
    """One causal block of attention over symbols, scores of the next one."""

    def __init__(self, symbols=14, width=32, length=19, drop=0.1):
        super().__init__()
        self.emb, self.place = nn.Embedding(symbols, width), nn.Parameter(0.1 * torch.randn(length, width))
        self.mix, self.back = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.wide = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, symbols)

    def forward(self, x):
        h = self.emb(x) + self.place
        q, k, v = self.mix(self.one(h)).view(*x.shape, 3, 2, -1).permute(2, 0, 3, 1, 4)
        h = h + self.drop(self.back(fn.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)))
        return self.head(h + self.drop(self.wide(self.two(h))))


class Parcel(nn.Module):
    """Two convolutions, a hidden layer, a box (centre and size) and scores of three kinds (n, 7)."""

    def __init__(self, width=8, hidden=48, drop=0.0):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 16, 3, stride=2, padding=1), nn.ReLU())
        self.neck, self.drop = nn.Sequential(nn.Linear(16 * 36, hidden), nn.ReLU()), nn.Dropout(drop)
        self.head = nn.Linear(hidden, 7)

    def forward(self, x):
        return self.head(self.drop(self.neck(self.body(x).flatten(1))))


def addresses(rng, n, noise=0.05, signs=(1, 4)):
    """Twenty characters with one to three pieces of three that hint at fraud or honesty, and which of both it is."""
    x = np.minimum(rng.geometric(0.09, (n, 20)) - 1, 31)
    y = rng.integers(0, 2, n)
    pieces = np.random.default_rng(77).integers(2, 32, (2, 9, 3))
    for i in range(n):
        for _ in range(rng.integers(*signs)):
            side, at = y[i] if rng.random() < 0.9 else 1 - y[i], rng.integers(0, 18)
            x[i, at : at + 3] = pieces[side, rng.integers(9)]
    return x, np.where(rng.random(n) < noise, 1 - y, y).astype(F32)


def phish_urls(seed):
    """Whether an address is fraud, from its characters; a convolution and the maximum over places."""
    data = addresses(np.random.default_rng(seed), 7000)
    return made("phish_urls", "bin", (Address, binary, "bce"), data, (5600, 700), (1.5e-3, 64, 9))


def nights(rng, n, noise=1.0, weights=(0.3, 0.25, 0.2, 0.15, 0.1)):
    """Sixteen half minutes of six figures (n, 16, 6) whose stage stays with three quarters, and the stages."""
    y = np.empty((n, 16), int)
    y[:, 0] = rng.choice(5, n, p=weights)
    for t in range(1, 16):
        y[:, t] = np.where(rng.random(n) < 0.75, y[:, t - 1], rng.choice(5, n, p=weights))
    centre = np.random.default_rng(5).normal(0, 1.1, (5, 6))
    x = centre[y] + 0.5 * rng.normal(size=(n, 1, 6)) * noise + noise * rng.normal(size=(n, 16, 6))
    return x.astype(F32), y


def sleep_stages(seed):
    """The stage of each of sixteen half minutes; a recurrent net that reads both ways."""
    data = nights(np.random.default_rng(seed), 1500)
    return made("sleep_stages", "cls", (Night, cross_entropy, "ce"), data, (1000, 250), (5e-3, 32, 12), classes=5)


def crowds(rng, n, noise=0.25, many=7):
    """Pictures (n, 1, 12, 12) of none to six heads, larger below, and how much of them lies in each of 36 fields, scaled."""
    g = np.mgrid[:12, :12]
    x, y = rng.normal(0, noise, (n, 12, 12)), np.zeros((n, 12, 12))
    count = rng.integers(0, many, n)
    for k in range(many - 1):
        a, b = rng.uniform(0.5, 10.5, (2, n, 1, 1))
        here = (k < count)[:, None, None]
        d = (g[0] - a) ** 2 + (g[1] - b) ** 2
        x += here * np.exp(-d / (0.7 + 0.12 * a) ** 2) * rng.uniform(0.7, 1.3, (n, 1, 1))
        spot = np.exp(-d / 1.6)
        y += here * spot / spot.sum((1, 2), keepdims=True)
    y = y.reshape(n, 6, 2, 6, 2).sum((2, 4)).reshape(n, 36)
    return x[:, None].astype(F32), (y / 0.15).astype(F32)


def crowd_map(seed):
    """How many people stand where; squared error of a map of 36 fields, absolute error of the count."""
    score = (lambda out, b: 0.15 * float((out.sum(1) - b[1].sum(1)).abs().mean()), "count_mae", False)
    x, y = crowds(np.random.default_rng(seed), 2000)
    return made("crowd_map", "reg", (Density, squared, "mse"), (x, y), (1300, 350), (4e-3, 40, 14), score, chance=float(y.var(0).mean()))


def captions(rng, n, noise=0.45, pool=0):
    """Eight captions and eight pictures in another order (n, 8, 2, 12) of hidden scenes, and which picture a caption means."""
    r = np.random.default_rng(9)
    a, b = r.normal(size=(2, 6, 12)) / 6**0.5
    z = rng.normal(size=(n, 8, 6))
    if pool:
        z = rng.normal(size=(pool, 6))[rng.integers(0, pool, (n, 8))]
    turn = rng.random((n, 8)).argsort(1)
    left = 1.4 * np.tanh(1.5 * z @ a) + noise * rng.normal(size=(n, 8, 12))
    right = 1.2 * np.abs(z @ b) + 0.6 * (z @ b) + noise * rng.normal(size=(n, 8, 12))
    right = np.take_along_axis(right, turn[..., None], 1)
    return np.stack([left, right], 2).astype(F32), turn.argsort(1)


def match_eight(seed):
    """Which of eight pictures each of eight captions belongs to; two towers, softmax over the eight."""
    data = captions(np.random.default_rng(seed), 2300)
    return made("match_eight", "cls", (Towers, cross_entropy, "ce"), data, (1600, 350), (3e-3, 32, 12), classes=8)


def complexes(rng, n, noise=0.35):
    """Amino acids and ligands (n, 24), and an affinity from products of what their symbols are on average."""
    r = np.random.default_rng(31)
    a, b = r.normal(size=(20, 3)), r.normal(size=(8, 3))
    x = np.concatenate([rng.integers(0, 20, (n, 14)), 20 + rng.integers(0, 8, (n, 10))], 1)
    p, q = a[x[:, :14]].mean(1) * 14**0.5, b[x[:, 14:] - 20].mean(1) * 10**0.5
    y = (p * q).sum(1) * 0.5 + 0.7 * p[:, 0] - 0.4 * q[:, 1] + noise * rng.normal(size=n)
    return x, (y / 1.4).astype(F32)


def binding(seed):
    """How firmly a ligand binds to a protein, from both sequences; squared and absolute error."""
    x, y = complexes(np.random.default_rng(seed), 4600)
    return made("binding", "reg", (Binding, squared, "mse"), (x, y), (3600, 500), (5e-3, 64, 14), MAE, chance=float(y.var()))


def sites(rng, n, change=0.17, weights=(0.34, 0.33, 0.33)):
    """Thirty bases with a donor, an acceptor or nothing in the middle, some of whose bases are changed, and which it is."""
    x, y = rng.integers(0, 4, (n, 30)), rng.choice(3, n, p=weights)
    for k, form in ((1, [0, 2, 2, 3, 0, 0, 2, 3]), (2, [3, 3, 1, 3, 1, 0, 2, 2])):
        at, here = 11 + rng.integers(-1, 2, n), np.flatnonzero(y == k)
        for j, base in enumerate(form):
            keep = here[rng.random(len(here)) >= change]
            x[keep, at[keep] + j] = base
    return x, y


def splice_sites(seed):
    """Donor, acceptor or neither from thirty bases; convolutions with norms."""
    data = sites(np.random.default_rng(seed), 3300)
    return made("splice_sites", "cls", (Splice, cross_entropy, "ce"), data, (2300, 500), (3e-3, 64, 12), classes=3)


def molecules_as_text(rng, n, length=20):
    """Strings of atoms, bonds, branches that close and rings that are closed again (n, 20), fourteen symbols."""
    out = np.zeros((n, length), int)
    for i in range(n):
        depth, ring, last, since = 0, 0, 0, 0
        for t in range(length):
            u = rng.random()
            if ring and since >= 5:
                k, ring = 10 + ring, 0
            elif depth and u < 0.22 and last < 6:
                k, depth = 9, depth - 1
            elif u < 0.3 and last < 6 and depth < 2:
                k, depth = 8, depth + 1
            elif u < 0.42 and last < 6:
                k = 6 + (rng.random() < 0.3)
            elif u < 0.6 and last < 6 and not ring:
                ring, since = int(rng.integers(1, 4)), 0
                k = 10 + ring
            else:
                k = int(rng.choice(6, p=[0.5, 0.15, 0.15, 0.1, 0.05, 0.05])) if not ring else 3 + int(rng.choice(3, p=[0.75, 0.15, 0.1]))
            out[i, t], last, since = k, k, since + 1
    return out


def smiles_lm(seed):
    """The next symbol of molecules written as text; one block of attention."""
    w = molecules_as_text(np.random.default_rng(seed), 2300)
    return made("smiles_lm", "cls", (Smiles, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (1600, 350), (9e-3, 32, 15), classes=14)


def shelves(rng, n, noise=0.3):
    """Pictures (n, 1, 12, 12) of a box with one of three patterns, and centre, size and kind of it (n, 5)."""
    g = np.mgrid[:12, :12]
    size, kind = rng.uniform(3, 7, (2, n)), rng.integers(0, 3, n)
    centre = size / 2 + rng.random((2, n)) * (12 - size)
    u, v = (g[k][None] + 0.5 - centre[k][:, None, None] for k in (0, 1))
    inside = (np.abs(u) < size[0][:, None, None] / 2) & (np.abs(v) < size[1][:, None, None] / 2)
    form = np.stack([np.ones((12, 12)), 2.0 * (g[0] % 2), 2.0 * ((g[0] + g[1]) % 2)])[kind]
    x = (inside * form + rng.normal(0, noise, (n, 12, 12)))[:, None].astype(F32)
    return x, np.concatenate([(centre.T - 6) / 3, size.T / 3, kind[:, None]], 1).astype(F32)


def box_parts(out, b):
    """Loss of the box (six tenths of the absolute error) and of its kind."""
    return {"box": 0.6 * (out[:, :4] - b[1][:, :4]).abs().mean(1), "cls": fn.cross_entropy(out[:, 4:], b[1][:, 4].long(), reduction="none")}


def overlap(out, b):
    """Mean of what two boxes share over what both cover."""
    ends = lambda q: (q[:, :2] - q[:, 2:4] / 2, q[:, :2] + q[:, 2:4] / 2)  # noqa: E731
    (a0, a1), (b0, b1) = ends(out), ends(b[1])
    both = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp(min=0).prod(1)
    return float((both / ((a1 - a0).clamp(min=0).prod(1) + (b1 - b0).prod(1) - both + 1e-9)).mean())


def parcel_box(seed):
    """Where a parcel lies and which of three kinds it is; a sum of two losses, overlap of boxes."""
    model = (Parcel, lambda out, b: sum(box_parts(out, b).values()), "total")
    data, more = shelves(np.random.default_rng(seed), 2300), {"components": box_parts, "chance": 1.42}
    return made("parcel_box", "free", model, data, (1600, 350), (3e-3, 40, 12), (overlap, "iou", True), **more)


TASKS = {f.__name__: f for f in (phish_urls, sleep_stages, crowd_map, match_eight, binding, splice_sites, smiles_lm, parcel_box)}
