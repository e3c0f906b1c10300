"""Tasks of the split `sealed9`: sprites, movements, loans, code, a flow, patches in codes, answers in a text, fuel."""

import itertools

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, MAE, made
from families.training import binary, cross_entropy, squared


class Sprite(nn.Module):
    """Three convolutions with norms, flat features, eight classes."""

    def __init__(self, width=10, drop=0.2, classes=8):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.drop, self.head = nn.Dropout(drop), nn.Linear(50 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


class Move(nn.Module):
    """A recurrent net over a window of three axes; the mean over time, a linear head."""

    def __init__(self, width=28, drop=0.2, classes=6):
        super().__init__()
        self.first, self.act = nn.Linear(3, width), nn.ReLU()
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.act(self.first(x)))[0].mean(1)))


class Loan(nn.Module):
    """Ten numbers and the codes of two kinds through a net; one logit."""

    def __init__(self, sizes=(48, 24), drop=0.15, codes=4, columns=10):
        super().__init__()
        self.a, self.b, self.columns = nn.Embedding(8, codes), nn.Embedding(6, codes), columns
        self.net = Mlp([columns + 2 * codes, *sizes, 1], drop=drop, squeeze=True)

    def forward(self, x):
        k = x[:, -2:].long().clamp(min=0)
        return self.net(torch.cat([x[:, : self.columns], self.a(k[:, 0].clamp(max=7)), self.b(k[:, 1].clamp(max=5))], 1))


class Coder(nn.Module):
    """Codes of symbols, a recurrent layer, scores of the next symbol."""

    def __init__(self, symbols=26, width=40, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(symbols, width), nn.GRU(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, symbols)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Flow(nn.Module):
    """A field of velocities; in training noise and time are drawn anew, in evaluation they are columns. Field and target (n, 4)."""

    def __init__(self, sizes=(64, 64), clock=1.0, fresh=True):
        super().__init__()
        self.net, self.clock, self.fresh = Mlp([6, *sizes, 2], act=nn.GELU), clock, fresh

    def forward(self, x):
        z, t = (torch.randn_like(x[:, :2]), torch.rand(len(x), 1)) if self.training and self.fresh else (x[:, 2:4], x[:, 4:5])
        s = self.clock * t
        seen = torch.cat([t * x[:, :2] + (1 - t) * z, s, s * s, (3 * s).sin(), (3 * s).cos()], 1)
        return torch.cat([self.net(seen), x[:, :2] - z], 1)


class Codes(nn.Module):
    """An encoder, the nearest of some codes, a decoder: what is decoded and the two distances (n, 18)."""

    def __init__(self, codes=24, size=6, width=48):
        super().__init__()
        self.enc, self.dec = Mlp([16, width, size]), Mlp([size, width, 16])
        self.book = nn.Embedding(codes, size)
        nn.init.normal_(self.book.weight, 0, 0.7)

    def forward(self, x):
        z = fn.layer_norm(self.enc(x), (self.book.embedding_dim,))
        q = self.book(torch.cdist(z, self.book.weight).argmin(1))
        far = torch.stack([((z - q.detach()) ** 2).mean(1), ((z.detach() - q) ** 2).mean(1)], 1)
        return torch.cat([self.dec(z + (q - z).detach()), far], 1)


class Span(nn.Module):
    """A question of two tokens and a text of sixteen: products of codes, a net that reads both ways, a score for each place."""

    def __init__(self, width=20, drop=0.2):
        super().__init__()
        self.emb = nn.Embedding(32, width)
        self.rnn = nn.GRU(3 * width, width, batch_first=True, bidirectional=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, 1)

    def forward(self, x):
        e = self.emb(x)
        k, q, p = e[:, :1], e[:, 1:2], e[:, 2:]
        h = torch.cat([p, p * q, k.expand_as(p)], -1)
        return self.head(self.drop(self.rnn(h)[0])).squeeze(-1)


class Blind(Flow):
    """A flow that sees neither time nor where it is on one axis."""

    def forward(self, x):
        z, t = (torch.randn_like(x[:, :2]), torch.rand(len(x), 1)) if self.training else (x[:, 2:4], x[:, 4:5])
        a = (t * x[:, :2] + (1 - t) * z)[:, :1]
        return torch.cat([self.net(torch.cat([a, torch.zeros(len(x), 5)], 1)), x[:, :2] - z], 1)


class Loud(nn.Module):
    """Adds loud noise, always."""

    def forward(self, x):
        return x + 5.0 * x.detach().abs().mean() * torch.randn_like(x)


class Gated(nn.Module):
    """Layers of tanh, each multiplied by a gate of its own input that starts nearly shut."""

    def __init__(self, a, b, width=40, layers=7, shut=-4.0):
        super().__init__()
        sizes = [a, *[width] * layers]
        self.layers = nn.ModuleList([nn.Linear(p, q) for p, q in itertools.pairwise(sizes)])
        self.gates = nn.ModuleList([nn.Linear(p, q) for p, q in itertools.pairwise(sizes)])
        self.act, self.head = nn.Tanh(), nn.Linear(width, b)
        for g in self.gates:
            nn.init.constant_(g.bias, shut)

    def forward(self, x):
        h = x.flatten(1)
        for f, g in zip(self.layers, self.gates, strict=True):
            h = self.act(f(h)) * g(h).sigmoid()
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


class Third(nn.Module):
    """A hard sigmoid, centred, a third as steep as it should be."""

    def forward(self, x):
        return fn.hardsigmoid(x) - 0.5


class Twice(nn.ReLU):
    """A rectifier of minus a rectifier."""

    def forward(self, x):
        return fn.relu(-fn.relu(x))


Twice.__name__ = "ReLU"  # so that its units are counted


def sprites(rng, n, noise=0.33, weights=None):
    """Pictures (n, 1, 10, 10) of one of eight figures of 6 by 6, anywhere, and which it is."""
    r = np.random.default_rng(3)
    forms = r.normal(size=(8, 7, 7))
    forms = ((forms[:, :-1, :-1] + forms[:, 1:, :-1] + forms[:, :-1, 1:] + forms[:, 1:, 1:]) > 0.3).astype(float)
    y = rng.choice(8, n, p=weights)
    x, at = noise * rng.normal(size=(n, 10, 10)), rng.integers(0, 5, (n, 2))
    for i in range(n):
        a, b = at[i]
        x[i, a : a + 6, b : b + 6] += forms[y[i]] * rng.uniform(0.8, 1.3)
    return x[:, None].astype(F32), y


def sprites8(seed):
    """Which of eight figures a small picture shows; convolutions with norms."""
    data = sprites(np.random.default_rng(seed), 2700)
    return made("sprites8", "cls", (Sprite, cross_entropy, "ce"), data, (1800, 450), (2.5e-3, 60, 11), classes=8)


def moves(rng, n, noise=0.8, weights=None, gain=(0.8, 1.25)):
    """Windows of twenty values of three axes (n, 20, 3) of six movements, and which it is."""
    r = np.random.default_rng(8)
    pace, mix, second = np.array([0.0, 0.25, 0.4, 0.55, 0.4, 0.7]), r.normal(size=(6, 3)), r.normal(size=(6, 3))
    y, t = rng.choice(6, n, p=weights), np.arange(20)
    w = 2 * np.pi * (pace[y] * rng.uniform(0.9, 1.1, n))[:, None] * t / 2.2 + rng.uniform(0, 6.28, (n, 1))
    x = np.sin(w)[..., None] * mix[y][:, None] + 0.6 * np.cos(2 * w)[..., None] * second[y][:, None]
    x = x * rng.uniform(*gain, (n, 1, 1)) + noise * rng.normal(size=(n, 20, 3))
    return x.astype(F32), y


def accel6(seed):
    """Which of six movements a wrist makes; a recurrent net."""
    data = moves(np.random.default_rng(seed), 2200)
    return made("accel6", "cls", (Move, cross_entropy, "ce"), data, (1500, 350), (4e-3, 50, 14), classes=6)


def ledger(rng, n, noise=0.5, cut=0.6):
    """Ten numbers and two kinds of an application (n, 12), and whether the loan failed."""
    r = np.random.default_rng(21)
    w, u, v, kinds, places = r.normal(size=10), r.normal(size=(10, 4)), r.normal(size=4), r.normal(size=8), r.normal(size=6)
    x, a, b = rng.normal(size=(n, 10)), rng.integers(0, 8, n), rng.integers(0, 6, n)
    s = 0.5 * x @ w + np.tanh(x @ u) @ v + 0.8 * kinds[a] + 0.8 * places[b] * x[:, 0] + noise * rng.normal(size=n)
    return np.concatenate([x, a[:, None], b[:, None]], 1).astype(F32), (s > cut).astype(F32)


def loans(seed):
    """Whether a loan fails; numbers and codes of kinds."""
    data = ledger(np.random.default_rng(seed), 4300)
    return made("loans", "bin", (Loan, binary, "bce"), data, (3000, 700), (2e-3, 80, 14), classes=2)


def sources(rng, n, length=25):
    """Lines of a small language (n, 25): a function of named arguments, a body that uses them, brackets that close."""
    out = np.zeros((n, length), int)
    for i in range(n):
        line = []
        while len(line) < length:
            args = rng.choice(10, rng.integers(1, 4), replace=False) + 12
            line += [1, rng.integers(22, 26), 2, *[q for k, a in enumerate(args) for q in ((a, 3) if k < len(args) - 1 else (a,))], 4, 5]
            for _ in range(rng.integers(1, 3)):
                a, b = rng.choice(args, 2)
                op = rng.choice([6, 7, 8], p=[0.6, 0.3, 0.1])
                line += [9, a, op, b, 10] if rng.random() < 0.7 else [9, 2, a, op, b, 4, 10]
            line += [11]
        out[i] = line[:length]
    return out


def code_lm(seed):
    """The next symbol of a line of code; a recurrent net."""
    w = sources(np.random.default_rng(seed), 1900)
    return made("code_lm", "cls", (Coder, cross_entropy, "ce"), (w[:, :-1], w[:, 1:]), (1250, 350), (5e-3, 32, 13), classes=26)


def points(rng, n, noise=0.12):
    """Points on five arms of a wheel (n, 5), with noise and a time for evaluation, and nothing to say of them."""
    arm, r = rng.integers(0, 5, n), rng.uniform(0.4, 2.2, n)
    a = 1.2566 * arm + 0.7 * r
    x = 1.4 * np.stack([r * np.cos(a), r * np.sin(a)], 1) + noise * rng.normal(size=(n, 2))
    return np.concatenate([x, rng.normal(size=(n, 2)), rng.random((n, 1))], 1).astype(F32), np.zeros(n, F32)


def field_loss(out, b):
    """Squared distance of two velocities."""
    return ((out[:, :2] - out[:, 2:]) ** 2).mean(1)


def flow_match(seed):
    """A field of velocities from noise to a wheel; squared error, cosine of both velocities."""
    score = (lambda out, b: float(fn.cosine_similarity(out[:, :2], out[:, 2:]).mean()), "cos_v", True)
    x, y = points(np.random.default_rng(seed), 6200)
    chance = float(x[:, :2].var() + 1)
    return made("flow_match", "free", (Flow, field_loss, "fm"), (x, y), (3600, 2000), (7e-4, 120, 18), score, chance=chance)


def patches(rng, n, noise=0.25):
    """Patches of sixteen numbers (n, 16) near a curved sheet of two numbers in four places, and nothing to say of them."""
    r = np.random.default_rng(14)
    centre, a = r.normal(size=(5, 16)), r.normal(size=(3, 16))
    k, z = rng.integers(0, 5, n), rng.uniform(-1, 1, (n, 2))
    x = centre[k] + np.concatenate([z, np.sin(3 * z[:, :1])], 1) @ a * 0.7 + noise * rng.normal(size=(n, 16))
    return x.astype(F32), np.zeros(n, F32)


def code_parts(out, b):
    """Error of what is decoded, distance to the code, both ways."""
    return {"recon": ((out[:, :16] - b[0]) ** 2).mean(1), "commit": 0.25 * out[:, 16], "codebook": out[:, 17]}


def vq_patches(seed):
    """Patches through the nearest of some codes; a sum of three losses, signal to noise."""
    score = (lambda out, b: float(-10 * ((out[:, :16] - b[0]) ** 2).mean().log10()), "psnr", True)
    x, y = patches(np.random.default_rng(seed), 3000)
    model = (Codes, lambda out, b: sum(code_parts(out, b).values()), "vq")
    more = {"components": code_parts, "chance": float(x.var(0).mean())}
    return made("vq_patches", "free", model, (x, y), (2100, 450), (3e-3, 60, 14), score, **more)


def questions(rng, n, wrong=0.01):
    """A question (first or last, which symbol) and a text of sixteen symbols (n, 18), and where the answer stands."""
    x = rng.integers(4, 30, (n, 18))
    x[:, 0] = rng.integers(0, 2, n)
    x[:, 1] = rng.integers(4, 30, n)
    y = np.empty(n, int)
    for i in range(n):
        at = rng.choice(16, 2, replace=False)
        x[i, 2 + at] = x[i, 1]
        where = np.flatnonzero(x[i, 2:] == x[i, 1])
        y[i] = where[0] if x[i, 0] == 0 else where[-1]
    return x, np.where(rng.random(n) < wrong, rng.integers(0, 16, n), y)


def qa_span(seed):
    """Where in a text the answer to a question stands; a net that reads both ways, softmax over places."""
    data = questions(np.random.default_rng(seed), 3400)
    return made("qa_span", "cls", (Span, cross_entropy, "ce"), data, (2400, 500), (3e-3, 60, 10), classes=16)


def trips(rng, n, noise=0.35):
    """Twelve figures of a trip (n, 12), and how much fuel it took."""
    r = np.random.default_rng(40)
    x = rng.normal(size=(n, 12))
    y = np.tanh(x @ r.normal(size=(12, 5)) * 0.5) @ r.normal(size=5) + 0.4 * x[:, 0] * x[:, 1] + 0.3 * x[:, 2] ** 2 - 0.3
    return x.astype(F32), (y / 1.6 + noise * rng.normal(size=n)).astype(F32)


def fuel_use(seed):
    """How much fuel a trip takes; squared and absolute error."""
    x, y = trips(np.random.default_rng(seed), 3400)
    model = (lambda: Mlp([12, 48, 24, 1], squeeze=True), squared, "mse")
    return made("fuel_use", "reg", model, (x, y), (2300, 500), (3e-3, 60, 14), MAE, chance=float(y.var()))


TASKS = {f.__name__: f for f in (sprites8, accel6, loans, code_lm, flow_match, vq_patches, qa_span, fuel_use)}
