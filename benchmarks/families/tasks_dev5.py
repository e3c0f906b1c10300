"""Tasks of the split `dev5`: bytes of sums, sessions, engines, molecules, land cover, churn, entailment, boards."""

import itertools
import math

import numpy as np
import torch
from torch import nn

from families.nets import Mlp, Tagger
from families.setups import Task
from families.tasks_dev import parts
from families.training import binary, cross_entropy, squared

F32 = np.float32


class Session(nn.Module):
    """Items of a session (n, 6) to scores of the next one."""

    def __init__(self, items=60, dim=16, width=24, drop=0.35):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(items, dim), nn.GRU(dim, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, items)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0][:, -1]))


class Sensors(nn.Module):
    """Windows (n, T, C) to one number; two convolutions over time and the mean of four stretches; `kernel` is theirs."""

    def __init__(self, channels=6, width=16, kernel=5):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv1d(width, width, kernel, padding=kernel // 2, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(4),
        )
        self.head = nn.Sequential(nn.Linear(4 * width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.head(self.body(x.transpose(1, 2)).flatten(1)).squeeze(-1)


class Molecule(nn.Module):
    """Messages along the edges of ten atoms; (n, 10, 4 + 10) holds kinds and adjacency; `mean` divides by the degree."""

    def __init__(self, width=32, rounds=3, mean=True, norm=False, gain=1.0):
        super().__init__()
        size = [4] + [width] * rounds
        self.own = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(size)])
        self.other = nn.ModuleList([nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(size)])
        self.act, self.head, self.mean = nn.ReLU(), nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1)), mean
        for m in [*self.own, *self.other]:
            m.weight.data.mul_(gain)

    def atoms(self, x):
        h, a = x[..., :4], x[..., 4:]
        a = a / a.sum(-1, keepdim=True).clamp_min(1) if self.mean else a
        for own, other in zip(self.own, self.other, strict=True):
            h = self.act(own(h) + a @ other(h))
        return h

    def forward(self, x):
        return self.head(self.atoms(x).mean(1)).squeeze(-1)


class Cover(nn.Module):
    """Three convolutions, the second dilated, one class a pixel: (n, 3, 12, 12) to (n, 144, 4)."""

    def __init__(self, width=14, kernel=3):
        super().__init__()
        k, p = kernel, kernel // 2
        self.body = nn.Sequential(
            nn.Conv2d(3, width, k, padding=p), nn.ReLU(), nn.Conv2d(width, width, k, padding=2 * p, dilation=2 if p else 1), nn.ReLU()
        )
        self.head = nn.Conv2d(width, 4, 1)

    def forward(self, x):
        return self.head(self.body(x)).flatten(2).transpose(1, 2)


class Weeks(nn.Module):
    """A recurrent net over weeks, one logit."""

    def __init__(self, columns=5, width=14):
        super().__init__()
        self.rnn, self.head = nn.GRU(columns, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1]).squeeze(-1)


class Entail(nn.Module):
    """Each word of the second sentence is aligned with the first one, compared, and the comparisons are summed."""

    def __init__(self, vocab=48, dim=16, width=32, act=nn.ReLU, cut=7):
        super().__init__()
        self.emb, self.ask, self.cut = nn.Embedding(vocab, dim), nn.Linear(dim, dim), cut
        self.compare = nn.Sequential(nn.Linear(3 * dim, width), act(), nn.Linear(width, width), act())
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        p, h = self.emb(x[:, : self.cut]), self.emb(x[:, self.cut :])
        c = (self.ask(h) @ p.transpose(1, 2) / 2).softmax(-1) @ p
        return self.head(self.compare(torch.cat([h, c, h * c], -1)).mean(1))


def byte_sums(seed):
    """Bytes of a file of sums such as 37+8=45; a recurrent net predicts the next byte (13 kinds)."""
    rng = np.random.default_rng(seed)
    text = "".join(f"{a}+{b}={a + b};" for a, b in rng.integers(0, 13, (11500, 2)))
    ids = np.array(["0123456789+=;".index(c) for c in text])[: 21 * 3000].reshape(3000, 21)
    return Task(
        "byte_sums",
        "cls",
        build=lambda: Tagger(13, 13, width=40),
        loss=cross_entropy,
        classes=13,
        lr=1e-2,
        batch=64,
        epochs=22,
        floor_known=False,
        **parts(ids[:, :-1].copy(), ids[:, 1:].copy(), 2000, 500),
    )


def session_items(seed):
    """Sessions of seven clicks among sixty items of six shelves; the last click is predicted, hits@5."""
    rng = np.random.default_rng(seed)
    k, n = 60, 4200
    follow = rng.gumbel(size=(k, k)) * 1.4 + 2.0 * (np.arange(k)[:, None] // 10 == np.arange(k) // 10)
    taste = rng.normal(size=(n, 6))
    s = [rng.integers(0, k, n)]
    for _ in range(6):
        s.append((follow[s[-1]] + 0.8 * taste[:, np.arange(k) // 10] + 0.9 * rng.gumbel(size=(n, k))).argmax(1))
    x = np.stack(s, 1)
    return Task(
        "session_items",
        "free",
        build=Session,
        loss=cross_entropy,
        score=lambda out, b: float((out.topk(5, -1).indices == b[1].unsqueeze(-1)).any(-1).float().mean()),
        score_name="hit@5",
        loss_name="xent",
        chance=math.log(k),
        lr=4e-3,
        batch=64,
        epochs=16,
        floor_known=False,
        **parts(x[:, :6].copy(), x[:, 6].copy(), 3000, 600),
    )


def engine_life(seed):
    """Windows of 24 readings of six sensors of wearing engines; the remaining life, standardised; mean absolute error."""
    rng = np.random.default_rng(seed)
    n, t = 2600, np.arange(24) / 24.0
    wear, speed, load = rng.uniform(0, 1, n), rng.uniform(0.1, 0.5, n), rng.normal(size=n)
    d = wear[:, None] + speed[:, None] * (t - 1)
    mix = rng.normal(size=(3, 6))
    z = np.stack([d**2, np.exp(1.2 * d) - 1, np.broadcast_to(load[:, None], d.shape)], -1)
    x = np.tanh(z @ mix * 0.8) + rng.normal(0, 0.25, (n, 24, 6))
    y = np.clip((1.15 - wear) / speed, 0, 5)
    y = (y - y.mean()) / y.std() + rng.normal(0, 0.12, n)
    return Task(
        "engine_life",
        "reg",
        build=Sensors,
        loss=squared,
        score=lambda out, b: float((out - b[1]).abs().mean()),
        score_name="mae",
        loss_name="mse",
        chance=float(y.var()),
        rising=False,
        lr=3e-3,
        batch=50,
        epochs=24,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 1700, 450),
    )


def mol_graphs(seed):
    """A property of molecules of ten atoms of four kinds that depends on bonded pairs; messages along the edges, R squared."""
    rng = np.random.default_rng(seed)
    n, k = 2600, 10
    kind = rng.integers(0, 4, (n, k))
    a = np.zeros((n, k, k))
    for i in range(1, k):
        j = rng.integers(0, i, n)
        a[np.arange(n), i, j] = a[np.arange(n), j, i] = 1
    more = np.triu(rng.random((n, k, k)) < 0.06, 1)
    a = np.maximum(a, more + more.transpose(0, 2, 1))
    one, pair = np.eye(4)[kind], rng.normal(size=(4, 4))
    y = np.einsum("nia,nij,njb,ab->n", one, a, one, pair + pair.T) + one.sum(1) @ rng.normal(size=4)
    y = (y - y.mean()) / y.std() + rng.normal(0, 0.15, n)
    return Task(
        "mol_graphs",
        "reg",
        build=Molecule,
        loss=squared,
        score=lambda out, b: float(1 - ((out - b[1]) ** 2).sum() / ((b[1] - b[1].mean()) ** 2).sum()),
        score_name="r2",
        loss_name="mse",
        chance=float(y.var()),
        lr=2e-3,
        batch=50,
        epochs=18,
        floor_known=False,
        **parts(np.concatenate([one, a], -1).astype(F32), y.astype(F32), 1700, 450),
    )


def tile_seg(seed):
    """Land cover of tiles of 12 by 12 pixels in three bands, four kinds in patches under noise; one class a pixel."""
    rng = np.random.default_rng(seed)
    n, g = 1500, np.stack(np.mgrid[:12, :12], -1).reshape(-1, 2)
    seeds, kind = rng.uniform(0, 12, (n, 5, 2)), rng.integers(0, 4, (n, 5))
    near = ((g[None, :, None] - seeds[:, None]) ** 2).sum(-1).argmin(-1)
    y = np.take_along_axis(kind, near, 1)
    colour = rng.normal(size=(4, 3)) * 0.9
    x = colour[y] + rng.normal(0, 0.75, (n, 144, 3)) + rng.normal(0, 0.2, (n, 1, 3))
    return Task(
        "tile_seg",
        "cls",
        build=Cover,
        loss=cross_entropy,
        classes=4,
        lr=4e-3,
        batch=25,
        epochs=18,
        floor_known=False,
        **parts(x.transpose(0, 2, 1).reshape(n, 3, 12, 12).astype(F32), y, 900, 250),
    )


def churn_weeks(seed):
    """Sixteen weeks of five figures of a customer's use; whether the customer leaves; a recurrent net, one logit."""
    rng = np.random.default_rng(seed)
    n, t = 3200, np.arange(16) / 15.0
    y = (rng.random(n) < 0.4).astype(F32)
    use = (
        rng.normal(size=(n, 1))
        + 0.6 * rng.normal(size=(n, 1)) * t
        - 1.6 * y[:, None] * np.clip(t - rng.uniform(0.2, 0.8, (n, 1)), 0, 1) * 2
    )
    call = (rng.random((n, 16)) < 0.06 + 0.12 * y[:, None] * (t > 0.5)) * 1.0
    bill = rng.normal(size=(n, 1)) + 0.0 * t
    x = np.stack(
        [use + rng.normal(0, 0.5, use.shape), call, bill, 0.5 * use + rng.normal(0, 0.8, use.shape), rng.normal(size=use.shape)], -1
    )
    return Task(
        "churn_weeks",
        "bin",
        build=Weeks,
        loss=binary,
        classes=2,
        loss_name="bce",
        lr=3e-3,
        batch=64,
        epochs=20,
        floor_known=False,
        **parts(x.astype(F32), y, 2100, 550),
    )


def entail3(seed):
    """Two sentences of seven and four words: follows, contradicts (holds an opposite), or neither; alignment and comparison."""
    rng = np.random.default_rng(seed)
    n = 5700
    p = np.stack([rng.permutation(24)[:7] for _ in range(n)])
    y = rng.integers(0, 3, n)
    h = np.take_along_axis(p, np.stack([rng.permutation(7)[:4] for _ in range(n)]), 1)
    other = np.stack([rng.choice(np.setdiff1d(np.arange(24), q), 4) for q in p])
    at = rng.integers(0, 4, n)
    h[y == 1, at[y == 1]] += 24  # the opposite of a word of the first sentence
    new = (rng.random((n, 4)) < 0.35) | (np.arange(4) == at[:, None])
    h = np.where((y == 2)[:, None] & new, other + 24 * (rng.random((n, 4)) < 0.4), h)
    y = np.where(rng.random(n) < 0.015, rng.integers(0, 3, n), y)
    return Task(
        "entail3",
        "cls",
        build=Entail,
        loss=cross_entropy,
        classes=3,
        lr=3e-3,
        batch=64,
        epochs=11,
        floor_known=False,
        **parts(np.concatenate([p, h], 1), y, 4500, 600),
    )


def board_value(seed):
    """Boards of four by four with pieces of two sides; the value for the first one by lines and neighbours, squared error."""
    rng = np.random.default_rng(seed)
    n = 4200
    x = rng.choice([-1.0, 0.0, 1.0], (n, 16), p=[0.3, 0.4, 0.3])
    b = x.reshape(n, 4, 4)
    lines = np.concatenate([b.sum(1), b.sum(2)], 1)
    v = 0.15 * x @ rng.normal(1, 0.5, 16) + 0.5 * (np.maximum(lines - 1, 0) ** 2 - np.maximum(-lines - 1, 0) ** 2).sum(1)
    v = np.tanh(0.7 * v + 0.3 * (b[:, 1:, 1:] * b[:, :-1, :-1]).sum((1, 2)))
    return Task(
        "board_value",
        "reg",
        build=lambda: Mlp([16, 64, 48, 1], act=nn.Tanh, squeeze=True),
        loss=squared,
        score=lambda out, b: float(((out > 0) == (b[1] > 0)).float().mean()),
        score_name="sign_acc",
        loss_name="mse",
        chance=float(v.var() + 0.01),
        lr=1.2e-2,
        batch=64,
        epochs=26,
        floor_known=False,
        **parts(x.astype(F32), (v + rng.normal(0, 0.1, n)).astype(F32), 2900, 600),
    )


TASKS = {f.__name__: f for f in (byte_sums, session_items, engine_life, mol_graphs, tile_seg, churn_weeks, entail3, board_value)}
