"""Tasks of the split `sealed7`: strokes of a pen, rain, grasps, dates, a heat equation, choices of a route, melodies."""

import math

import numpy as np
import torch
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


class Pen(nn.Module):
    """Points of a stroke (n, 14, 3) through two linear layers, pooled by attention, class scores."""

    def __init__(self, width=32, classes=6, drop=0.1):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(9, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.look, self.drop, self.head = nn.Linear(width, 4), nn.Dropout(drop), nn.Linear(4 * width, classes)

    def forward(self, x):
        h = self.first(torch.cat([x, x.roll(1, 1), x.roll(-1, 1)], -1))
        return self.head(self.drop((self.look(h).softmax(1).transpose(1, 2) @ h).flatten(1)))


class Sky(nn.Module):
    """Hours of three stations (n, 12, 8), flat, through a net; one logit."""

    def __init__(self, sizes=(20, 12), act=nn.ReLU, drop=0.2, columns=96):
        super().__init__()
        self.net = Mlp([columns, *sizes, 1], act=act, drop=drop, squeeze=True)

    def forward(self, x):
        return self.net(x.flatten(1))


class Grasp(nn.Module):
    """Two convolutions over a picture of depths, a hidden layer, sine and cosine of the angle."""

    def __init__(self, width=8):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 2 * width, 3, stride=2), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(2 * width * 16, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


class Dates(nn.Module):
    """Ten characters under one block of attention, eight questions of its own for the eight digits of the answer."""

    def __init__(self, symbols=24, width=32, places=True, hum=0.0):
        super().__init__()
        self.emb, self.place = nn.Embedding(symbols, width), nn.Parameter(0.3 * torch.randn(10, width))
        self.ask = nn.Parameter(0.3 * torch.randn(8, width))
        self.key, self.value, self.mix = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(2 * width, 64), nn.ReLU())
        self.head, self.places, self.hum = nn.Linear(64, 10), places, hum

    def forward(self, x):
        h = self.emb(x) + self.place * float(self.places)
        w = ((self.mix(h) @ self.key(h).transpose(1, 2)) / 6).softmax(-1)
        h = h + torch.relu(w @ self.value(h))
        read = (self.ask @ h.transpose(1, 2) / 3).softmax(-1) @ h
        read = torch.cat([read, (self.ask * 2 + h.mean(1, keepdim=True))], -1)
        return self.head(self.wide(read) + self.hum * torch.randn(len(x), 8, 64) if self.hum else self.wide(read))


class Modes(nn.Module):
    """A field on 24 points and its conductivity: lifted, two rounds in `modes` modes of Fourier and point by point, brought down."""

    def __init__(self, width=16, modes=6):
        super().__init__()
        self.up, self.modes = nn.Linear(3, width), modes
        self.mix = nn.ParameterList([nn.Parameter(torch.randn(modes, width, width, 2) / width) for _ in range(2)])
        self.own = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.act, self.head = nn.ReLU(), nn.Linear(width, 1)

    def forward(self, x):
        place = torch.linspace(-1, 1, 24).expand(len(x), 24)
        h = self.up(torch.stack([x[:, :24], x[:, 24:].expand(-1, 24), place], -1))
        for m, own in zip(self.mix, self.own, strict=True):
            f = torch.einsum("nkc,kcd->nkd", torch.fft.rfft(h, dim=1)[:, : self.modes], torch.view_as_complex(m))
            h = self.act(torch.fft.irfft(f, n=24, dim=1) + own(h))
        return self.head(h).squeeze(-1)


class Routes(nn.Module):
    """A score for each of five alternatives (n, 5, 7) from its columns and the means of all."""

    def __init__(self, sizes=(24, 16), act=nn.ReLU, columns=7):
        super().__init__()
        self.net = Mlp([2 * columns, *sizes, 1], act=act, squeeze=True)

    def forward(self, x):
        return self.net(torch.cat([x, x - x.mean(1, keepdim=True)], -1))


class Tune(nn.Module):
    """Notes through a recurrent layer, scores of the next one; `forget` clears the memory after each note."""

    def __init__(self, width=40, forget=False, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(21, 16), nn.LSTM(16, width, batch_first=True)
        self.drop, self.head, self.forget = nn.Dropout(drop), nn.Linear(width, 20), forget

    def forward(self, x):
        e = self.emb(x)
        if self.forget:
            return self.head(self.drop(self.rnn(e.reshape(-1, 1, 16))[0])).reshape(*x.shape, 20)
        return self.head(self.drop(self.rnn(e)[0]))


def strokes(rng, n, noise=0.14, weights=None):
    """Strokes (n, 14, 3: place and pressure) of six letters: turned, leant and scaled at random, and the letter."""
    y = rng.choice(6, n, p=weights)
    t = np.linspace(0, 1, 14)
    form = np.stack(
        [
            np.stack([np.cos(a * t + c) * (1 - d * t), np.sin(b * t) * (0.4 + d * t)], -1)
            for a, b, c, d in ((6.2, 6.2, 0, 0.1), (3, 6, 1, 0.3), (6, 3, 0, 0.3), (9, 3, 0, 0.2), (3, 3, 1.5, 0.6), (6, 9, 0.8, 0.1))
        ]
    )[y]
    turn = rng.normal(0, 0.35, n)
    r = np.stack([np.stack([np.cos(turn), -np.sin(turn)], -1), np.stack([np.sin(turn), np.cos(turn)], -1)], 1)
    p = form @ r * rng.uniform(0.7, 1.3, (n, 1, 1)) + rng.normal(0, noise, form.shape)
    press = np.abs(np.sin(2 * t + y[:, None] % 2)) + rng.normal(0, 0.35, (n, 14))
    return np.concatenate([p, press[..., None]], -1).astype(F32), y


def pen_letters(seed):
    """Six letters from fourteen points of a pen; attention over the points."""
    data = strokes(np.random.default_rng(seed), 2600, 0.3)
    return made("pen_letters", "cls", (Pen, cross_entropy, "ce"), data, (1600, 500), (4e-3, 40, 15), classes=6)


def weather(rng, n, clear=0.0, noise=0.6):
    """Twelve hours of pressure, humidity, wind and such of stations (n, 12, 8), and whether it rains; `clear` leaves out what is undecided."""
    front = rng.normal(size=(n, 3))
    t = np.linspace(-1, 0, 12)
    x = rng.normal(0, noise, (n, 12, 8)).cumsum(1) * 0.35 + rng.normal(0, 0.5, (n, 12, 8))
    x[..., 0] += front[:, :1] * (1 + t)
    x[..., 1] += front[:, 1:2] * (1 + t) ** 2 * 1.3
    x[..., 2] += front[:, 2:] * np.sin(3 * t + 1)
    s = -1.6 * front[:, 0] + 1.5 * front[:, 1] + 1.2 * front[:, 2] * front[:, 0]
    x, y, keep = x.astype(F32), (s + rng.logistic(0, 0.35, n) > 0).astype(F32), np.abs(s) >= clear
    return x[keep], y[keep]


def rain_soon(seed):
    """Whether it rains within three hours; a net over twelve hours of eight columns."""
    data = weather(np.random.default_rng(seed), 10200)
    return made("rain_soon", "bin", (Sky, binary, "bce"), data, (8800, 700), (1.5e-3, 100, 9))


def bars(rng, n, noise=0.35):
    """Pictures (n, 1, 10, 10) of a wedge at some place and angle, and cosine and sine of the angle."""
    a, c = rng.uniform(-math.pi, math.pi, n), rng.uniform(3.2, 5.8, (n, 2))
    g = np.mgrid[:10, :10]
    u, v = g[0][None] - c[:, :1, None], g[1][None] - c[:, 1:, None]
    s, w = np.sin(a)[:, None, None], np.cos(a)[:, None, None]
    along, across = u * s + v * w, u * w - v * s
    x = np.exp(-((across / (0.9 + 0.18 * (along + 4)).clip(0.5)) ** 2) - (along / 4) ** 2) + 0.16 * along * np.exp(-(across**2) / 3)
    return (x + rng.normal(0, noise, x.shape))[:, None].astype(F32), np.stack([np.cos(a), np.sin(a)], 1).astype(F32)


def degrees(out, b):
    """Mean angle in degrees between what is said and what is true."""
    d = torch.atan2(out[:, 1], out[:, 0]) - torch.atan2(b[1][:, 1], b[1][:, 0])
    return float(torch.atan2(d.sin(), d.cos()).abs().mean()) * 180 / math.pi


def grasp_angle(seed):
    """The angle of a grasp from a picture of depths; squared error of cosine and sine, and degrees."""
    data = bars(np.random.default_rng(seed), 2600)
    model, score = (Grasp, squared, "mse"), (degrees, "angle_err", False)
    return made("grasp_angle", "reg", model, data, (1800, 400), (3e-3, 50, 14), score, chance=0.5)


def calendar(rng, n, months=range(12)):
    """Dates as people write them (n, 10) of day, month and year in three orders, and the eight digits of the answer."""
    d, m, y = rng.integers(1, 29, n), rng.choice(list(months), n), rng.integers(1900, 2030, n)
    kind = rng.integers(0, 3, n)
    dig = lambda v, k: np.stack([v // 10**i % 10 for i in range(k - 1, -1, -1)], 1)  # noqa: E731
    day, year, word = dig(d, 2), dig(y, 4), np.stack([10 + m // 2, 16 + m % 4], 1)
    sep = 20 + rng.integers(0, 4, (n, 1))
    forms = [np.concatenate(q, 1) for q in ((day, sep, word, sep, year), (word, sep, day, sep, year), (year, sep, word, sep, day))]
    x = np.select([(kind == k)[:, None] for k in range(3)], forms)
    return x, np.concatenate([year, dig(m + 1, 2), day], 1)


def date_norm(seed):
    """Written dates to eight digits, all at once; attention, accuracy a digit."""
    data = calendar(np.random.default_rng(seed), 3100)
    return made("date_norm", "cls", (Dates, cross_entropy, "ce"), data, (2200, 450), (4e-3, 50, 12), classes=10)


def rods(rng, n, noise=0.06):
    """A start on 24 points and a conductivity (n, 25), and the temperatures (n, 24) a while later: spread, moved and damped."""
    k, t = np.arange(1, 6), np.linspace(0, 2 * math.pi, 24, endpoint=False)
    a, b = rng.normal(size=(2, n, 5)) / k**0.5
    c = rng.uniform(-1, 1, (n, 1))
    u = np.einsum("nk,kt->nt", a, np.cos(np.outer(k, t))) + np.einsum("nk,kt->nt", b, np.sin(np.outer(k, t)))
    fade, move = np.exp(-0.12 * (1.2 + c) * k**2), 0.5 + 0.4 * c
    v = np.einsum("nk,nkt->nt", a * fade, np.cos(k[None, :, None] * (t - move)[:, None])) + np.einsum(
        "nk,nkt->nt", b * fade, np.sin(k[None, :, None] * (t - move)[:, None])
    )
    v = np.tanh(1.2 * v)
    x = np.concatenate([u + rng.normal(0, noise, u.shape), c], 1)
    return x.astype(F32), ((v + rng.normal(0, noise, v.shape)) / 0.55).astype(F32)


def heat_field(seed):
    """A surrogate of a simulator of heat on a ring; modes of Fourier, squared error, relative error."""
    x, y = rods(np.random.default_rng(seed), 1500)
    score = (lambda out, b: float(((out - b[1]).norm(dim=1) / b[1].norm(dim=1)).mean()), "rel_l2", False)
    return made("heat_field", "reg", (Modes, squared, "mse"), (x, y), (1000, 300), (4e-3, 40, 15), score, chance=float(y.var()))


def journeys(rng, n, clear=1.0):
    """Five alternatives (n, 5, 7) with time, fare, changes and such, and the one that was taken."""
    x = rng.normal(size=(n, 5, 7))
    x[..., 6] = x[:, :1, 6]  # the age of who goes
    u = -1.3 * x[..., 0] - (0.9 + 0.6 * np.tanh(x[..., 6])) * x[..., 1] - 0.7 * np.abs(x[..., 2]) + 0.9 * x[..., 3] * x[..., 4]
    return x.astype(F32), (1.6 * clear * u + rng.gumbel(size=(n, 5))).argmax(1)


def route_choice(seed):
    """Which of five routes somebody takes; one score a route, softmax over the five."""
    data = journeys(np.random.default_rng(seed), 4200)
    return made("route_choice", "cls", (Routes, cross_entropy, "xent"), data, (3200, 500), (3e-3, 64, 12), classes=5)


def melodies(rng, n, keys=range(6), length=17):
    """Melodies (n, 17) of twenty notes: steps of a scale that turn around, with a figure that comes again."""
    note, way, key = rng.integers(5, 15, n), rng.choice([-1, 1], n), rng.choice(list(keys), n)
    scale = np.stack([(np.arange(20) * 7 + k) % 12 < 8 for k in range(12)])
    out = [note]
    for i in range(1, length):
        again = out[i - 4] if i >= 4 and i % 4 else note
        way = np.where(rng.random(n) < 0.18, -way, way)
        way = np.where(note >= 18, -1, np.where(note <= 1, 1, way))
        step = note + way * np.where(scale[key, np.clip(note + way, 0, 19)], 1, 2)
        note = np.where((rng.random(n) < 0.55) & (i >= 4) & (i % 4 > 0), again, step).clip(0, 19)
        note = np.where(rng.random(n) < 0.06, rng.integers(0, 20, n), note)
        out.append(note)
    return np.stack(out, 1)


def melody_lm(seed):
    """The next of twenty notes; a recurrent net, cross-entropy a note."""
    w = melodies(np.random.default_rng(seed), 2000)
    return made("melody_lm", "cls", (Tune, cross_entropy, "nll"), (w[:, :-1], w[:, 1:]), (1300, 350), (5e-3, 32, 14), classes=20)


TASKS = {f.__name__: f for f in (pen_letters, rain_soon, grasp_angle, date_norm, heat_field, route_choice, melody_lm)}
