"""Tasks of the split `sealed17`: beans, used cars, Morse, the moon, dances, comments, trips, spectra, roads, paints."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


class Beans(nn.Module):
    """Two layers with batch norms on eight measures, five answers."""

    def __init__(self, width=40, drop=0.15, classes=5, columns=8):
        super().__init__()
        self.a, self.n, self.act = nn.Linear(columns, width), nn.BatchNorm1d(width), nn.ReLU()
        self.b, self.m, self.act2 = nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.drop(self.act2(self.m(self.b(self.act(self.n(self.a(x))))))))


class Key(nn.Module):
    """Two convolutions along a signal, a layer, eight letters."""

    def __init__(self, width=16, drop=0.2, classes=8):
        super().__init__()
        self.a, self.b = nn.Conv1d(1, width, 5, stride=2, padding=2), nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.act, self.act2, self.act3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.mid, self.drop, self.head = nn.Linear(12 * width, 40), nn.Dropout(drop), nn.Linear(40, classes)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x.unsqueeze(1))))).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h))))


class Moon(nn.Module):
    """Two convolutions with pooling, two layers; pictures of twelve by twelve, five answers."""

    def __init__(self, width=8, drop=0.2, classes=5):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)
        self.act, self.act2, self.act3, self.drop = nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.Dropout(drop)
        self.mid, self.head = nn.Linear(18 * width, 32), nn.Linear(32, classes)

    def forward(self, x):
        h = fn.max_pool2d(self.act(self.a(x.unsqueeze(1))), 2)
        h = fn.max_pool2d(self.act2(self.b(h)), 2).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h))))


class Dancer(nn.Module):
    """Codes of figures, a gated recurrent layer, scores of the next figure."""

    def __init__(self, kinds=12, width=40, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(kinds, width), nn.GRU(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, kinds)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Comment(nn.Module):
    """Codes of words, a convolution over three, the largest over places, one logit."""

    def __init__(self, words=60, width=20, drop=0.2):
        super().__init__()
        self.emb, self.conv, self.act = nn.Embedding(words, width), nn.Conv1d(width, 2 * width, 3, padding=1), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, 1)

    def forward(self, x):
        return self.head(self.drop(self.act(self.conv(self.emb(x).transpose(1, 2))).amax(2))).squeeze(-1)


class Trips(nn.Module):
    """A gated recurrent layer over the points of a trip, its mean and last state, four answers."""

    def __init__(self, width=24, drop=0.15, classes=4):
        super().__init__()
        self.rnn, self.drop, self.head = nn.GRU(2, width, batch_first=True), nn.Dropout(drop), nn.Linear(2 * width, classes)

    def forward(self, x):
        h = self.rnn(x)[0]
        return self.head(self.drop(torch.cat([h.mean(1), h[:, -1]], 1)))


class Squeeze(nn.Module):
    """Forty bands through a few numbers and back."""

    def __init__(self, code=6, width=32):
        super().__init__()
        self.down, self.up = Mlp([40, width, code]), Mlp([code, width, 40])

    def forward(self, x):
        return self.up(self.down(x))


class Road(nn.Module):
    """Three convolutions on pictures of ten by ten, three answers for each point."""

    def __init__(self, width=12, kernel=3, drop=0.05, classes=3):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, kernel, padding=kernel // 2), nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Conv2d(width, classes, 1)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x.unsqueeze(1)))))
        return self.head(self.drop(h)).flatten(2).transpose(1, 2)


def beans(rng, n, noise=0.42, weights=None):
    """Eight measures (n, 8) of the outlines of beans, and the kind (n,) of five."""
    r = np.random.default_rng(71)
    centre, mix = 1.1 * r.normal(size=(5, 4)), r.normal(size=(4, 8)) / 1.6
    y = rng.choice(5, n, p=weights)
    z = centre[y] + noise * rng.normal(size=(n, 4))
    z[:, 3] = z[:, 3] * np.sign(z[:, 0]) + 0.3 * z[:, 1] ** 2
    x = z @ mix + 0.25 * np.abs(z @ mix) + 0.4 * noise * rng.normal(size=(n, 8))
    return x.astype(F32), y


def beans5(seed):
    """Which kind a bean is, from its outline."""
    data = beans(np.random.default_rng(seed), 2700)
    return made("beans5", "cls", (Beans, cross_entropy, "ce"), data, (1900, 400), (2e-3, 48, 14), classes=5)


def cars(rng, n, noise=0.22):
    """Eight figures (n, 8) of used cars and the logarithm of the price (n,), standardised."""
    x = rng.normal(size=(n, 8))
    brand, age, km, power, damage, owners, _, month = x.T
    y = 0.8 * brand - 0.9 * age - 0.5 * np.maximum(km + 0.3, 0) + 0.45 * power * (1 + 0.4 * brand)
    y = y - 0.6 * (damage > 0.9) - 0.1 * owners + 0.15 * np.sin(2 * month) + 0.2 * np.maximum(age - 1, 0) * brand
    return x.astype(F32), ((y + 0.1) / 1.5 + noise * rng.normal(size=n)).astype(F32)


def huber(out, batch):
    """(n,) Huber loss with a knee at one."""
    return fn.huber_loss(out, batch[1], reduction="none")


def r2(out, batch):
    """Coefficient of determination."""
    return float(1 - ((out - batch[1]) ** 2).mean() / batch[1].var())


def car_price(seed):
    """The price of a used car; Huber loss, coefficient of determination."""
    x, y = cars(np.random.default_rng(seed), 2500)
    chance = float(huber(torch.full((len(y),), float(np.median(y))), (None, torch.as_tensor(y))).mean())
    model = (lambda: Mlp([8, 48, 24, 1], drop=0.05, squeeze=True), huber, "huber")
    return made("car_price", "reg", model, (x, y), (1800, 350), (2e-3, 40, 14), (r2, "r2", True), chance=chance)


CODES = (".-", "-...", "-.-.", "-..", "..-.", "--.", ".---", ".-..")


def keyed(rng, n, noise=0.5, slow=(1.0, 1.3), weights=None):
    """Signals (n, 48) of a letter in Morse code, and which of eight it is (n,); `slow` is the range of the length of a dot."""
    y, x = rng.choice(8, n, p=weights), np.zeros((n, 48))
    for i in range(n):
        dot, t = 2.2 * rng.uniform(*slow), rng.uniform(0, 4)
        for c in CODES[y[i]]:
            long = dot * (3 if c == "-" else 1) * rng.uniform(0.85, 1.15)
            x[i, round(float(t)) : round(float(t + long))] = 1
            t += long + dot
    fade = 1 + 0.3 * np.sin(np.linspace(0, 6, 48)[None] + rng.uniform(0, 6.28, (n, 1)))
    return (1.5 * (x * fade - 0.35) + noise * rng.normal(size=x.shape)).astype(F32), y


def morse8(seed):
    """Which of eight letters is keyed."""
    data = keyed(np.random.default_rng(seed), 2300)
    return made("morse8", "cls", (Key, cross_entropy, "ce"), data, (1600, 350), (2e-3, 40, 13), classes=8)


def moons(rng, n, noise=0.55, weights=None):
    """Pictures (n, 12, 12) of the moon, and its phase (n,): a crescent or a half on the right, full, a half or a crescent on the left."""
    y, g = rng.choice(5, n, p=weights), np.linspace(-1, 1, 12)
    v, h = np.meshgrid(g, g, indexing="ij")
    cx, cy = rng.uniform(-0.25, 0.25, (n, 1, 1)), rng.uniform(-0.25, 0.25, (n, 1, 1))
    tilt, size = rng.uniform(-0.4, 0.4, (n, 1, 1)), rng.uniform(0.55, 0.75, (n, 1, 1))
    a = ((h - cx) * np.cos(tilt) + (v - cy) * np.sin(tilt)) / size
    b = (-(h - cx) * np.sin(tilt) + (v - cy) * np.cos(tilt)) / size
    k = y[:, None, None]
    edge = np.array([0.55, 0.0, -9.0, 0.0, 0.55])[k] + 0.1 * rng.normal(size=(n, 1, 1))
    side = np.where(k > 2, -a, a)
    lit = (a**2 + b**2 < 1) * (side > edge * np.sqrt(np.maximum(1 - b**2, 0)))
    x = 2.0 * lit * rng.uniform(0.7, 1.2, (n, 1, 1)) - 0.4 + noise * rng.normal(size=a.shape)
    return x.astype(F32), y


def moons5(seed):
    """Which phase the moon has."""
    return made(
        "moons5", "cls", (Moon, cross_entropy, "ce"), moons(np.random.default_rng(seed), 1700), (1100, 280), (2.5e-3, 32, 12), classes=5
    )


def dances(rng, n, length=21):
    """Figures (n, 21), twelve kinds: the next one depends on the last two, and on which of two dances it is."""
    r = np.random.default_rng(83)
    p = r.dirichlet(np.full(12, 0.12), (2, 12, 12)) * 0.93 + 0.07 / 12
    c, x, d = p.cumsum(-1), rng.integers(0, 12, (n, length)), rng.integers(0, 2, n)
    for t in range(2, length):
        x[:, t] = np.minimum((c[d, x[:, t - 2], x[:, t - 1]] < rng.random((n, 1))).sum(1), 11)
    return x


def dance_lm(seed):
    """The next figure of a dance."""
    g = dances(np.random.default_rng(seed), 1700)
    return made("dance_lm", "cls", (Dancer, cross_entropy, "ce"), (g[:, :-1], g[:, 1:]), (1200, 250), (6e-3, 32, 13), classes=12)


def comments(rng, n, slip=0.02, rude=0.14, weak=0.0):
    """Words (n, 14) of sixty: eight are rude, and four before them turn that round; and whether a comment is rude (n,)."""
    x = rng.integers(12, 60, (n, 14))
    at = rng.random((n, 14)) < rude
    x = np.where(at, rng.integers(0, 8, x.shape), x)
    x[:, :-1] = np.where(at[:, 1:] & (rng.random((n, 13)) < 0.5), rng.integers(8, 12, (n, 13)), x[:, :-1])
    before = np.concatenate([np.full((n, 1), 20), x[:, :-1]], 1)
    y = ((x < 8) & ~((before >= 8) & (before < 12))).any(1)
    x = np.where(rng.random(x.shape) < weak, rng.integers(12, 60, x.shape), x)
    return x, np.where(rng.random(n) < slip, ~y, y).astype(F32)


def rude2(seed):
    """Whether a comment is rude."""
    return made("rude2", "bin", (Comment, binary, "bce"), comments(np.random.default_rng(seed), 3000), (2200, 400), (4e-3, 48, 14))


def trips(rng, n, noise=0.5, weights=None):
    """Speed and turning at 24 points of a trip (n, 24, 2), and how one went (n,): on foot, by bicycle, by bus, by train."""
    y = rng.choice(4, n, p=weights)
    base, stop, turn = np.array([0.6, 1.5, 2.3, 3.1])[y], np.array([0.03, 0.1, 0.3, 0.12])[y], np.array([0.9, 0.7, 0.4, 0.12])[y]
    on = np.ones((n, 24))
    for t in range(1, 24):
        flip = rng.random(n)
        on[:, t] = np.where(on[:, t - 1] > 0, flip > stop, flip < 0.45)
    speed = base[:, None] * np.exp(0.3 * rng.normal(size=(n, 1))) * on * rng.uniform(0.8, 1.2, (n, 24))
    x = np.stack([speed - 1.4 + noise * rng.normal(size=(n, 24)), turn[:, None] * rng.normal(size=(n, 24)) * (0.3 + on)], 2)
    return x.astype(F32), y


def track_mode4(seed):
    """How a trip was made."""
    data = trips(np.random.default_rng(seed), 2000)
    return made("track_mode4", "cls", (Trips, cross_entropy, "ce"), data, (1400, 300), (4e-3, 32, 13), classes=4)


def spectra(rng, n, noise=0.2):
    """Spectra (n, 40) of lamps: lines of six elements and a slope."""
    r, g = np.random.default_rng(97), np.arange(40)
    lines = sum(
        r.uniform(0.4, 1.5, (6, 1)) * np.exp(-(((g - r.uniform(1, 39, (6, 1))) / r.uniform(1, 2.5, (6, 1))) ** 2)) for _ in range(4)
    )
    a = rng.exponential(1.0, (n, 6))
    x = np.log1p(a @ lines) * 1.6 - 1.2 + 0.4 * rng.normal(size=(n, 1)) * (g / 20 - 1) + noise * rng.normal(size=(n, 40))
    return (x - x.mean()).astype(F32)


def cosine(out, batch):
    """Mean cosine of spectra and what came back."""
    return float(fn.cosine_similarity(out, batch[1], dim=1).mean())


def spectra_ae(seed):
    """Spectra, squeezed into six numbers and given back; squared error, cosine."""
    x = spectra(np.random.default_rng(seed), 1900)
    more = {"chance": float(x.var(0).mean())}
    return made("spectra_ae", "reg", (Squeeze, squared, "mse"), (x, x), (1300, 300), (4e-3, 40, 14), (cosine, "cos", True), **more)


def roads(rng, n, noise=0.45):
    """Pictures (n, 10, 10) of a road, and for each point (n, 100): 0 its surface, 1 a crack, 2 a marking."""
    y, rows = np.zeros((n, 10, 10), int), np.arange(10)
    left, width, bend = rng.integers(0, 7, n), rng.integers(2, 5, n), rng.uniform(-0.35, 0.35, n)
    for t in range(10):
        a = left + bend * t
        y[:, t] = np.where((rows[None] >= a[:, None]) & (rows[None] < (a + width)[:, None]), 2, 0)
    at = rng.integers(0, 10, n).astype(float)
    for t in range(10):
        c = np.clip(at, 0, 9).astype(int)
        y[np.arange(n), c, t] = 1
        y[np.arange(n), np.clip(c + 1, 0, 9), t] = 1
        at += rng.integers(-1, 2, n)
    x = np.array([0.0, -1.1, 1.2])[y] + 0.3 * rng.normal(size=(n, 1, 1)) + noise * rng.normal(size=y.shape)
    return x.astype(F32), y.reshape(n, 100)


def road3(seed):
    """Surface, crack or marking, at each point of a road."""
    return made("road3", "cls", (Road, cross_entropy, "ce"), roads(np.random.default_rng(seed), 900), (550, 170), (4e-3, 20, 12), classes=3)


def paints(rng, n, noise=0.1):
    """Shares of six pigments (n, 6) and the colour of the paint (n, 3), standardised."""
    r = np.random.default_rng(53)
    take, back = r.uniform(0.2, 3.0, (6, 3)), r.uniform(0.3, 2.0, (6, 3))
    p = rng.dirichlet(np.full(6, 0.7), n)
    q = (p @ take) / (p @ back)
    c = 1 + q - np.sqrt(q**2 + 2 * q)
    y = (c - c.mean(0)) / c.std(0) + noise * rng.normal(size=c.shape)
    return (4 * p - 0.67).astype(F32), y.astype(F32)


def distance(out, batch):
    """Mean distance of colours."""
    return float((out - batch[1]).norm(dim=1).mean())


def paint_mix(seed):
    """The colour that pigments give; squared error, distance."""
    x, y = paints(np.random.default_rng(seed), 2200)
    model = (lambda: Mlp([6, 40, 24, 3]), squared, "mse")
    return made("paint_mix", "reg", model, (x, y), (1500, 350), (3e-3, 40, 14), (distance, "delta_e", False), chance=float(y.var(0).mean()))


TASKS = {f.__name__: f for f in (beans5, car_price, morse8, moons5, dance_lm, rude2, track_mode4, spectra_ae, road3, paint_mix)}
