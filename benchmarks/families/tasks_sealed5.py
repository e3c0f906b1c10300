"""Tasks of the split `sealed5`: heartbeats, tags of a record, key points, an arm, links of a graph of facts, a cloned policy, writers."""

import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.setups import Task
from families.tasks_dev import parts
from families.training import binary, cross_entropy, squared

F32 = np.float32


class Beat(nn.Module):
    """Two dilated convolutions over a beat of 48 samples, the mean of six stretches, a linear head."""

    def __init__(self, classes, width=14, act=nn.ReLU):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, width, 7, padding=3, stride=2),
            act(),
            nn.Conv1d(width, width, 5, padding=4, dilation=2),
            act(),
            nn.AdaptiveAvgPool1d(6),
        )
        self.head = nn.Linear(6 * width, classes)

    def forward(self, x):
        return self.head(self.body(x.unsqueeze(1)).flatten(1))


class Joints(nn.Module):
    """Two strided convolutions, a fully connected layer, eight coordinates; `pooled` takes the mean over the picture first."""

    def __init__(self, width=10, pooled=False):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()
        )
        self.pooled = pooled
        self.head = nn.Sequential(nn.Linear(2 * width if pooled else 18 * width, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward(self, x):
        z = self.body(x)
        return self.head(z.mean((2, 3)) if self.pooled else z.flatten(1))


class Facts(nn.Module):
    """Entities and relations; scores of all tails; `symmetric` multiplies where the sound model also turns."""

    def __init__(self, n, relations, dim=24, drop=0.3, std=0.3):
        super().__init__()
        self.ent, self.rel = nn.Embedding(n, dim), nn.Embedding(relations, dim)
        self.mix = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.ReLU(), nn.Dropout(drop), nn.Linear(2 * dim, dim))
        nn.init.normal_(self.ent.weight, std=std)
        nn.init.normal_(self.rel.weight, std=std)

    def forward(self, x):
        return self.mix(torch.cat([self.ent(x[:, 0]), self.rel(x[:, 1])], -1)) @ self.ent.weight.T


class Pair(nn.Module):
    """One encoder for two samples; the logit comes from the distance of the codes."""

    def __init__(self, dim=18, width=48, act=nn.ReLU):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(dim, width), act(), nn.Linear(width, 16))
        self.scale, self.bias = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.5))

    def codes(self, x):
        return self.enc(x[:, 0]), self.enc(x[:, 1])

    def forward(self, x):
        a, b = self.codes(x)
        return self.bias + 1.0 - self.scale * ((a - b) ** 2).mean(-1)


def beats(rng, n, noise):
    """Beats of five kinds (n, 48): narrow, wide, without the first wave, early, notched."""
    y, t = rng.integers(0, 5, n), np.linspace(0, 1, 48)
    bump = lambda c, w: np.exp(-0.5 * ((t - c[:, None]) / np.asarray(w).reshape(-1, 1)) ** 2)  # noqa: E731
    at = 0.45 + rng.normal(0, 0.03, n) - 0.08 * (y == 3)
    wide = np.where(y == 1, 0.055, 0.028) * rng.uniform(0.85, 1.15, n)
    x = bump(at, wide) * rng.uniform(0.8, 1.2, (n, 1)) + 0.35 * bump(at + 0.28, np.full(n, 0.07))
    x += (0.3 * (y != 2))[:, None] * bump(at - 0.2, np.full(n, 0.04)) - (0.5 * (y == 4))[:, None] * bump(at + 0.05, np.full(n, 0.02))
    return (x + rng.normal(0, noise, x.shape)).astype(F32), y


def ecg_beats(seed):
    """Single heartbeats of 48 samples, five kinds; dilated convolutions."""
    rng = np.random.default_rng(seed)
    return Task(
        "ecg_beats",
        "cls",
        build=lambda: Beat(5),
        loss=cross_entropy,
        classes=5,
        lr=3e-3,
        batch=50,
        epochs=24,
        **parts(*beats(rng, 2300, 0.16), 1400, 400),
    )


def micro_f1(out, batch):
    """F1 over all tags."""
    p, y = out > 0, batch[1] > 0.5
    return float(2 * (p & y).sum() / (p.sum() + y.sum()).clamp_min(1))


def record_tags(seed):
    """Twelve tags of a record from 22 columns, several at once; a sum of binary losses (its mean over tags), F1 over all tags."""
    rng = np.random.default_rng(seed)
    n = 3200
    z = rng.normal(size=(n, 7))
    x = np.tanh(z @ rng.normal(size=(7, 22)) * 0.5) + rng.normal(0, 0.25, (n, 22))
    h = np.tanh(z @ rng.normal(size=(7, 14))) @ rng.normal(size=(14, 12)) * 0.9
    y = (h + rng.normal(0, 0.4, h.shape) > np.quantile(h, 0.75, axis=0)).astype(F32)
    q = y.mean(0).clip(1e-6, 1 - 1e-6)
    return Task(
        "record_tags",
        "free",
        build=lambda: Mlp([22, 72, 48, 12]),
        loss=lambda out, b: fn.binary_cross_entropy_with_logits(out, b[1], reduction="none").mean(-1),
        score=micro_f1,
        score_name="f1_micro",
        loss_name="tags",
        chance=float(-(q * np.log(q) + (1 - q) * np.log(1 - q)).mean()),
        lr=2e-3,
        batch=64,
        epochs=22,
        floor_known=False,
        **parts(x.astype(F32), y, 2200, 500),
    )


def pose_keys(seed):
    """Four joints of a bent line in a picture of 12 by 12 points; coordinates by least squares, share of joints within 0.1."""
    rng = np.random.default_rng(seed)
    n, g = 1900, np.mgrid[:12, :12] / 11.0
    first = rng.uniform(0.1, 0.45, (n, 2))
    angle = rng.uniform(0.1, 1.4, (n, 1)) + np.cumsum(rng.normal(0, 0.35, (n, 3)), 1)
    p = np.concatenate([first[:, None], first[:, None] + np.cumsum(0.2 * np.stack([np.sin(angle), np.cos(angle)], -1), 1)], 1)
    x = rng.normal(0, 0.12, (n, 1, 12, 12))
    for k in range(4):
        d = ((g[None] - p[:, k, :, None, None]) ** 2).sum(1)
        x[:, 0] += (1.0 - 0.2 * k) * np.exp(-d / 0.009)
    y = 4 * (p.reshape(n, 8) - 0.5) + rng.normal(0, 0.06, (n, 8))
    return Task(
        "pose_keys",
        "reg",
        build=Joints,
        loss=squared,
        score=lambda out, b: float((((out - b[1]).reshape(-1, 4, 2) ** 2).sum(-1) < 0.16).float().mean()),
        score_name="pck",
        loss_name="mse",
        lr=3e-3,
        batch=50,
        epochs=22,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 1200, 350),
    )


def reach(angles):
    """Hand of an arm of three parts by its joints' angles (n, 3)."""
    a = torch.cumsum(angles, -1)
    part = torch.tensor([1.0, 0.7, 0.4])
    return torch.stack([(part * a.cos()).sum(-1), (part * a.sin()).sum(-1)], -1)


def arm_reach(seed):
    """Angles of three joints that bring the hand to a point with a load of four numbers that bends the arm; squared miss, mean miss."""
    g = torch.Generator().manual_seed(seed)
    n = 3000
    r, phi = 0.5 + 1.3 * torch.rand(n, generator=g), 2.6 * torch.rand(n, generator=g) - 1.3
    goal, load = torch.stack([r * phi.cos(), r * phi.sin()], -1), torch.randn(n, 4, generator=g)
    bend = 0.35 * torch.tanh(load @ torch.randn(4, 3, generator=g))
    x = torch.cat([goal + 0.03 * torch.randn(n, 2, generator=g), load], -1)

    def miss(out, b):
        return ((reach(out + b[1][:, 2:]) - b[1][:, :2]) ** 2).sum(-1)

    return Task(
        "arm_reach",
        "free",
        build=lambda: Mlp([6, 48, 32, 3], act=nn.Tanh),
        loss=miss,
        score=lambda out, b: float(miss(out, b).sqrt().mean()),
        score_name="mean_miss",
        loss_name="reach",
        rising=False,
        lr=4e-3,
        batch=64,
        epochs=24,
        floor_known=False,
        **parts(x, torch.cat([goal, bend], -1), 2000, 500),
    )


def kg_links(seed):
    """Facts of 70 things under six relations that follow from hidden kinds; the tail is predicted, hits@3."""
    rng = np.random.default_rng(seed)
    n, k = 4200, 70
    z = rng.normal(size=(k, 4))
    turn = rng.normal(size=(6, 4, 4)) * 0.8
    head, rel = rng.integers(0, k, n), rng.integers(0, 6, n)
    want = np.einsum("nd,nde->ne", z[head], turn[rel])
    s = 1.5 * want @ z.T + rng.gumbel(size=(n, k))
    return Task(
        "kg_links",
        "free",
        build=lambda: Facts(k, 6),
        loss=cross_entropy,
        score=lambda out, b: float((out.topk(3, -1).indices == b[1].unsqueeze(-1)).any(-1).float().mean()),
        score_name="hits@3",
        loss_name="softmax",
        chance=math.log(k),
        lr=6e-3,
        batch=80,
        epochs=26,
        floor_known=False,
        **parts(np.stack([head, rel], 1), s.argmax(1), 3000, 600),
    )


def clone_grid(seed):
    """A cloned policy: own place, goal and two walls on a plane to one of four moves of an expert who sometimes errs."""
    rng = np.random.default_rng(seed)
    n = 5000
    x = rng.uniform(-1, 1, (n, 8))
    d = x[:, 2:4] - x[:, :2]
    for w in (4, 6):
        away = x[:, :2] - x[:, w : w + 2]
        d = d + 0.25 * away / ((away**2).sum(1, keepdims=True) + 0.25)
    y = np.where(np.abs(d[:, 0]) > np.abs(d[:, 1]), (d[:, 0] > 0) * 1, 2 + (d[:, 1] > 0))
    y = np.where(rng.random(n) < 0.04, rng.integers(0, 4, n), y)
    return Task(
        "clone_grid",
        "cls",
        build=lambda: Mlp([8, 64, 48, 4]),
        loss=cross_entropy,
        classes=4,
        lr=3e-3,
        batch=80,
        epochs=20,
        floor_known=False,
        **parts(x.astype(F32), y, 3800, 700),
    )


def pairs_of(rng, centre, n, noise, far=False):
    """Pairs (n, 2, d) of samples and whether one writer wrote both; `far` takes the most distant other writer."""
    k = len(centre)
    same = rng.random(n) < 0.5
    a = rng.integers(0, k, n)
    other = (a + rng.integers(1, k, n)) % k
    if far:
        other = ((centre[:, None] - centre[None]) ** 2).sum(-1).argmax(1)[a]
    b = np.where(same, a, other)
    z = np.stack([centre[a], centre[b]], 1)
    return z + rng.normal(0, noise, z.shape), same


def writing(rng, people=90):
    """A function from a generator's arguments to tensors of pairs; one warp for all."""
    warp = rng.normal(size=(6, 18)) * 0.55
    centre = rng.normal(size=(people, 6))

    def draw(n, first=0, last=people, noise=0.45, far=False):
        z, same = pairs_of(rng, centre[first:last], n, noise, far)
        x = np.tanh(z @ warp) + rng.normal(0, 0.12, (n, 2, 18))
        return torch.as_tensor(x.astype(F32)), torch.as_tensor(same.astype(F32))

    return draw


def same_writer(seed):
    """Whether one writer wrote both of two samples of 18 features; one encoder, a logit from the distance."""
    draw = writing(np.random.default_rng(seed))
    return Task(
        "same_writer",
        "bin",
        train=draw(2400),
        val=draw(600),
        test=draw(600),
        build=Pair,
        loss=binary,
        classes=2,
        loss_name="bce",
        lr=3e-3,
        batch=60,
        epochs=22,
        floor_known=False,
    )


TASKS = {f.__name__: f for f in (ecg_beats, record_tags, pose_keys, arm_reach, kg_links, clone_grid, same_writer)}
