"""Tasks of the split `sealed19`: penguins, garments, headlines, gazes, genomes, pupils, coughs, flights, steering, traffic, X-rays."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.tasks_sealed18 import rms
from families.training import binary, cross_entropy, squared


class Garment(nn.Module):
    """Two convolutions with pooling, a layer; pictures of fourteen by fourteen, six answers."""

    def __init__(self, width=8, drop=0.2, classes=6):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)
        self.act, self.act2, self.act3, self.drop = nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.Dropout(drop)
        self.mid, self.head = nn.Linear(18 * width, 32), nn.Linear(32, classes)

    def forward(self, x):
        h = fn.max_pool2d(self.act(self.a(x.unsqueeze(1))), 2)
        h = fn.max_pool2d(self.act2(self.b(h)), 2).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h))))


class Headline(nn.Module):
    """The mean of codes of words, a layer, four answers."""

    def __init__(self, words=90, width=24, drop=0.25, classes=4):
        super().__init__()
        self.emb, self.mid, self.act = nn.Embedding(words, width), nn.Linear(width, 32), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.drop(self.act(self.mid(self.emb(x).mean(1)))))


class Gaze(nn.Module):
    """Three convolutions along a track, three answers for each look."""

    def __init__(self, width=16, kernel=5, drop=0.1, classes=3):
        super().__init__()
        k = kernel // 2
        self.a, self.b = nn.Conv1d(2, width, kernel, padding=k), nn.Conv1d(width, width, kernel, padding=k)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Conv1d(width, classes, 1)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x.abs().transpose(1, 2)))))
        return self.head(self.drop(h)).transpose(1, 2)


class Genome(nn.Module):
    """Codes of codons, a recurrent layer with long memory, scores of the next codon."""

    def __init__(self, kinds=16, width=40, drop=0.1):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(kinds, width), nn.LSTM(width, width, batch_first=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, kinds)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Pupil(nn.Module):
    """Codes of what was asked and answered before, a gated recurrent layer, codes of what is asked now: a logit for each question."""

    def __init__(self, skills=12, width=24, drop=0.1, memory=True):
        super().__init__()
        self.past, self.now, self.rnn = (
            nn.Embedding(2 * skills + 1, width),
            nn.Embedding(skills, width),
            nn.GRU(width, width, batch_first=True),
        )
        self.mid, self.act, self.drop, self.head = nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, 1)
        self.memory = memory

    def forward(self, x):
        h, q = self.rnn(self.past(x[:, :, 0]))[0], self.now(x[:, :, 1])
        return self.head(self.drop(self.act(self.mid(torch.cat([h if self.memory else 0 * h, q], 2))))).squeeze(-1)


class Cough(nn.Module):
    """Two convolutions with batch norms on a spectrogram of twelve bands, the largest over time, one logit."""

    def __init__(self, width=8, drop=0.25):
        super().__init__()
        self.a, self.n, self.act = nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        self.b, self.m, self.act2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(6 * width, 1)

    def forward(self, x):
        h = fn.max_pool2d(self.act(self.n(self.a(x.unsqueeze(1)))), 2)
        return self.head(self.drop(self.act2(self.m(self.b(h))).amax(3).flatten(1))).squeeze(-1)


class Flight(nn.Module):
    """Codes of airline and airport beside seven figures, two layers, one number."""

    def __init__(self, width=40, dim=4, drop=0.05):
        super().__init__()
        self.line, self.port, self.net = (
            nn.Embedding(8, dim),
            nn.Embedding(14, dim),
            Mlp([7 + 2 * dim, width, width, 1], drop=drop, squeeze=True),
        )

    def forward(self, x):
        return self.net(torch.cat([x[:, :7], self.line(x[:, 7].long()), self.port(x[:, 8].long())], 1))


class Driver(nn.Module):
    """Two convolutions with strides on a picture of ten by sixteen, two layers, two numbers."""

    def __init__(self, width=10, drop=0.15):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, stride=2, padding=1), nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.act, self.act2, self.act3, self.drop = nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.Dropout(drop)
        self.mid, self.head = nn.Linear(12 * width, 32), nn.Linear(32, 2)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x.unsqueeze(1))))).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h))))


class Roads(nn.Module):
    """All readings of eight steps side by side, two layers, the next reading of ten sensors as a change of the last one."""

    def __init__(self, width=64, drop=0.0, last=True):
        super().__init__()
        self.net, self.last = Mlp([80, width, width, 10], drop=drop), last

    def forward(self, x):
        out = self.net(x.flatten(1))
        return out + 0.3 * x[:, -1] if self.last else out


class Chest(nn.Module):
    """Two convolutions with pooling on pictures of twelve by twelve, a logit for each of five findings."""

    def __init__(self, width=10, drop=0.15):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 2 * width, 3, padding=1)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Linear(18 * width, 5)

    def forward(self, x):
        h = fn.max_pool2d(self.act(self.a(x.unsqueeze(1))), 2)
        return self.head(self.drop(fn.max_pool2d(self.act2(self.b(h)), 2).flatten(1)))


def penguins(rng, n, noise=0.55, weights=None):
    """Bill, flipper, mass and more of penguins, and three columns for the island (n, 8); the species (n,)."""
    y, sex = rng.choice(3, n, p=weights), rng.integers(0, 2, n)
    centre = np.array([[-0.9, 0.6, -0.8, -0.6], [0.9, 0.7, -0.4, -0.6], [0.7, -1.2, 1.2, 1.1]])
    z = centre[y] + 0.55 * (sex[:, None] - 0.5) + noise * rng.normal(size=(n, 1)) + noise * rng.normal(size=(n, 4))
    island = np.array([rng.choice(3, p=((0.3, 0.4, 0.3), (0.05, 0.9, 0.05), (0.85, 0.05, 0.1))[k]) for k in y])
    return np.concatenate([z, sex[:, None] - 0.5 + 0.3 * rng.normal(size=(n, 1)), np.eye(3)[island]], 1).astype(F32), y


def penguins3(seed):
    """Which species a penguin is of."""
    model = (lambda: Mlp([8, 32, 24, 3], drop=0.1), cross_entropy, "ce")
    return made("penguins3", "cls", model, penguins(np.random.default_rng(seed), 2300), (1600, 350), (1.5e-3, 32, 12), classes=3)


def garments(rng, n, noise=1.0, weights=None):
    """Pictures (n, 14, 14) of garments, and which of six it is (n,): shirt, trousers, dress, bag, shoe, boot."""
    y, g = rng.choice(6, n, p=weights), np.linspace(-1.05, 1.05, 14)
    v, h = np.meshgrid(g, g, indexing="ij")
    s, side = rng.uniform(0.8, 1.1, (n, 1, 1)), rng.choice([-1, 1], (n, 1, 1))
    a, b = side * (h - rng.uniform(-0.15, 0.15, (n, 1, 1))) / s, (v - rng.uniform(-0.15, 0.15, (n, 1, 1))) / s
    shirt = ((abs(a) < 0.45) & (abs(b) < 0.75)) | ((abs(a) < 0.95) & (abs(b + 0.5) < 0.22))
    trousers = ((abs(a) < 0.5) & (abs(a) > 0.13) & (abs(b) < 0.85)) | ((abs(a) < 0.5) & (abs(b + 0.65) < 0.2))
    dress = (abs(a) < 0.22 + 0.3 * (b + 0.85)) & (abs(b) < 0.85)
    bag = ((abs(a) < 0.7) & (abs(b - 0.25) < 0.45)) | (abs(np.sqrt(a**2 + (b + 0.2) ** 2) - 0.5) < 0.12)
    shoe = (abs(a) < 0.85) & (b < 0.5) & (b > 0.15 - 0.35 * (a > 0.2))
    boot = ((abs(a - 0.3) < 0.35) & (abs(b) < 0.8)) | ((abs(a) < 0.75) & (abs(b - 0.6) < 0.22))
    on = np.choose(y[:, None, None], [shirt, trousers, dress, bag, shoe, boot])
    x = np.where(on, rng.uniform(0.8, 1.6, (n, 1, 1)), -0.7) + noise * rng.normal(size=on.shape)
    return x.astype(F32), y


def garments6(seed):
    """Which garment a picture shows."""
    data = garments(np.random.default_rng(seed), 1700)
    return made("garments6", "cls", (Garment, cross_entropy, "ce"), data, (1100, 280), (2e-3, 32, 12), classes=6)


def headlines(rng, n, slip=0.03, weights=None, share=0.3):
    """Words (n, 9) of ninety of a headline and its desk (n,), of four: each has twelve words, and two desks share twelve more."""
    y = rng.choice(4, n, p=weights)
    own, both = 12 * y[:, None] + rng.integers(0, 12, (n, 9)), 48 + 12 * (y[:, None] // 2) + rng.integers(0, 12, (n, 9))
    u = rng.random((n, 9))
    x = np.where(u < share, own, np.where(u < share + 0.15, both, rng.integers(72, 90, (n, 9))))
    x = np.where(rng.random((n, 9)) < 0.12, rng.integers(0, 90, (n, 9)), x)
    return x, np.where(rng.random(n) < slip, rng.integers(0, 4, n), y)


def headlines4(seed):
    """Which desk a headline is from."""
    data = headlines(np.random.default_rng(seed), 3600)
    return made("headlines4", "cls", (Headline, cross_entropy, "ce"), data, (2700, 450), (5e-3, 50, 12), classes=4)


def gazes(rng, n, noise=0.35, jump=0.12):
    """Speeds (n, 30, 2) of a gaze and what it does at each look (n, 30): 0 rests, 1 jumps, 2 follows something."""
    y, x = np.zeros((n, 30), int), np.zeros((n, 30, 2))
    now, way = rng.choice([0, 2], n), rng.uniform(0, 6.28, n)
    for t in range(30):
        u = rng.random(n)
        new = np.where(now == 1, np.where(u < 0.4, 1, np.where(u < 0.75, 0, 2)), np.where(u < jump, 1, now))
        way = np.where(new != now, rng.uniform(0, 6.28, n), way)
        now = new
        speed = np.array([0.0, 2.6, 0.9])[now] * rng.uniform(0.75, 1.25, n)
        y[:, t], x[:, t, 0], x[:, t, 1] = now, speed * np.cos(way), speed * np.sin(way)
    return (x + noise * rng.normal(size=x.shape)).astype(F32), y


def gaze3(seed):
    """Whether a gaze rests, jumps or follows, at each look."""
    return made(
        "gaze3", "cls", (Gaze, cross_entropy, "ce"), gazes(np.random.default_rng(seed), 1000), (650, 170), (4e-3, 20, 12), classes=3
    )


def genomes(rng, n, length=25):
    """Codons (n, 25) of sixteen kinds: the next one depends on the last one, on the one before in part, and on which of two strains it is."""
    r = np.random.default_rng(101)
    p = r.dirichlet(np.full(16, 0.12), (2, 3, 16)) * 0.93 + 0.07 / 16
    c, x, strain = p.cumsum(-1), rng.integers(0, 16, (n, length)), rng.integers(0, 2, n)
    for t in range(2, length):
        x[:, t] = np.minimum((c[strain, x[:, t - 2] % 3, x[:, t - 1]] < rng.random((n, 1))).sum(1), 15)
    return x


def genome_lm(seed):
    """The next codon of a genome."""
    g = genomes(np.random.default_rng(seed), 1700)
    return made("genome_lm", "cls", (Genome, cross_entropy, "ce"), (g[:, :-1], g[:, 1:]), (1200, 250), (7e-3, 32, 13), classes=16)


def lessons(rng, n, hard=0.0):
    """What was asked and answered before and what is asked now (n, 16, 2), and whether the answer is right (n, 16)."""
    r = np.random.default_rng(103)
    level, able, seen = 1.8 * r.normal(size=12) + hard, 2.2 * rng.normal(size=(n, 1)), np.zeros((n, 12))
    q, row = rng.integers(0, 12, (n, 16)), np.arange(n)
    y = np.zeros((n, 16))
    for t in range(16):
        z = able[:, 0] - level[q[:, t]] + 0.8 * seen[row, q[:, t]]
        y[:, t] = rng.random(n) < 1 / (1 + np.exp(-1.6 * z))
        seen[row, q[:, t]] += 1
    past = np.concatenate([np.full((n, 1), 24), 2 * q[:, :-1] + y[:, :-1].astype(int)], 1)
    return np.stack([past, q], 2), y.astype(F32)


def pupil_answers(seed):
    """Whether a pupil will answer each question right."""
    return made("pupil_answers", "bin", (Pupil, binary, "bce"), lessons(np.random.default_rng(seed), 1500), (1000, 250), (3e-3, 32, 11))


def clips(rng, n, noise=0.75, share=0.5, shift=0):
    """Spectrograms (n, 12, 16) and whether someone coughs (n,): a sudden burst over all bands that fades, where others speak or shut a door."""
    y, band, t = (rng.random(n) < share).astype(int), np.arange(12.0)[None, :, None], np.arange(16.0)[None, None]
    at, loud = rng.uniform(1, 9, (n, 1, 1)), rng.uniform(1.2, 2.4, (n, 1, 1))
    fade = np.exp(-(t - at) / rng.uniform(1.2, 2.2, (n, 1, 1))) * (t >= at)
    cough = loud * fade * (0.55 + 0.045 * band)
    door = loud * 1.3 * fade * np.exp(-band / 3.0)
    f0 = rng.uniform(2, 4, (n, 1, 1))
    voice = loud * 0.8 * np.cos(6.28 * band / f0) ** 2 * ((t > at - 2) & (t < at + 7))
    other = np.where(rng.random((n, 1, 1)) < 0.5, door, voice)
    x = np.where(y[:, None, None] > 0, cough, other) - 0.3 + noise * rng.normal(size=(n, 12, 16))
    return np.roll(x, shift, 1).astype(F32), y.astype(F32)


def cough2(seed):
    """Whether someone coughs in a clip."""
    return made("cough2", "bin", (Cough, binary, "bce"), clips(np.random.default_rng(seed), 2200), (1500, 350), (2e-3, 32, 11))


def flights(rng, n, noise=0.45, late=0.0):
    """Seven figures, an airline and an airport (n, 9) of a flight, and its delay (n,), as a standardised logarithm."""
    r = np.random.default_rng(107)
    line, port = 0.5 * r.normal(size=8), 0.6 * r.normal(size=14)
    x, a, p = rng.normal(size=(n, 7)), rng.integers(0, 8, n), rng.integers(0, 14, n)
    hour, wind, rain, before, _, turn, full = x.T
    y = line[a] + port[p] + 0.6 * np.maximum(before, 0) * (1.2 - 0.5 * turn) + 0.5 * np.sin(1.5 * hour) + 0.3 * wind * rain + 0.2 * full
    return np.concatenate([x, a[:, None], p[:, None]], 1).astype(F32), ((y - 0.3 + late) / 1.25 + noise * rng.normal(size=n)).astype(F32)


def within(out, batch):
    """Mean absolute error."""
    return float((out - batch[1]).abs().mean())


def flight_delay(seed):
    """How late a flight will be; squared error, absolute error."""
    x, y = flights(np.random.default_rng(seed), 3000)
    model = (Flight, squared, "mse")
    return made("flight_delay", "reg", model, (x, y), (2200, 400), (3e-3, 44, 14), (within, "mae", False), chance=float(y.var()))


def views(rng, n, noise=0.55):
    """Pictures (n, 10, 16) of a road from a car, and what its driver does (n, 2): turns the wheel, gives gas."""
    v, h = np.meshgrid(np.linspace(0, 1, 10), np.linspace(-1, 1, 16), indexing="ij")
    bend, off = rng.normal(size=(n, 1, 1)), 0.5 * rng.normal(size=(n, 1, 1))
    far = 1 - v
    middle, wide = off * v + 0.55 * bend * far**2, 0.12 + 0.55 * v
    line = np.exp(-(((abs(h - middle) - wide) / 0.11) ** 2))
    car, where = rng.random((n, 1, 1)) < 0.4, rng.uniform(0.15, 0.7, (n, 1, 1))
    ahead = car * (abs(h - middle) < 0.7 * wide) * (abs(v - where) < 0.13)
    x = 1.8 * line - 1.5 * ahead + noise * rng.normal(size=(n, 10, 16)) - 0.3
    turn = (bend + 0.8 * off)[:, 0, 0] / 1.08
    gas = (1.3 - 0.7 * abs(turn) - 1.5 * (car * where)[:, 0, 0] - 0.46) / 0.55
    return x.astype(F32), (np.stack([turn, gas], 1) + 0.15 * rng.normal(size=(n, 2))).astype(F32)


def driving(seed):
    """What a driver does; squared errors of wheel and gas, absolute error."""
    x, y = views(np.random.default_rng(seed), 1900)
    parts = lambda out, b: {"steer": (out[:, 0] - b[1][:, 0]) ** 2, "throttle": (out[:, 1] - b[1][:, 1]) ** 2}  # noqa: E731
    more = {"components": parts, "chance": float(y.var(0).mean())}
    return made("driving", "reg", (Driver, squared, "mse"), (x, y), (1300, 300), (3e-3, 36, 13), (within, "mae", False), **more)


def speeds(rng, n, noise=0.2):
    """Eight readings (n, 8, 10) of ten sensors along a road and the next one (n, 10): jams move against the traffic."""
    s, w = 1.2 * rng.normal(size=(n, 10)), np.zeros((n, 9, 10))
    for t in range(12):
        ahead = np.roll(s, -1, 1)
        s = 0.35 * s + 0.75 * ahead - 0.45 * np.maximum(ahead, 0) * np.maximum(s, 0) + 0.25 * np.roll(s, 1, 1)
        s = 1.25 * np.tanh(s) + 0.45 * rng.normal(size=(n, 10)) * (t < 2) + noise * rng.normal(size=(n, 10))
        if t >= 3:
            w[:, t - 3] = s
    return w[:, :8].astype(F32), w[:, 8].astype(F32)


def absolute(out, batch):
    """(n,) absolute error, the mean over sensors."""
    return (out - batch[1]).abs().flatten(1).mean(1)


def traffic10(seed):
    """The next reading of ten sensors; absolute error, root of the squared one."""
    x, y = speeds(np.random.default_rng(seed), 2500)
    chance = float(np.abs(y - np.median(y, 0)).mean())
    return made("traffic10", "reg", (Roads, absolute, "mae"), (x, y), (1800, 350), (2e-3, 40, 13), (rms, "rmse", False), chance=chance)


def chests(rng, n, noise=0.7, faint=1.0):
    """X-rays (n, 12, 12) of chests and which of five findings (n, 5) they have."""
    g = np.linspace(-1, 1, 12)
    v, h = np.meshgrid(g, g, indexing="ij")
    y = rng.random((n, 5)) < np.array([0.3, 0.25, 0.35, 0.2, 0.3])
    a, b = rng.uniform(-0.6, 0.6, (n, 1, 1)), rng.uniform(-0.4, 0.3, (n, 1, 1))
    size = 0.25 + 0.2 * y[:, 0, None, None]
    x = 1.3 * np.exp(-(((h - 0.1) / size) ** 2) - ((v - 0.3) / 0.45) ** 2)
    x = x + faint * y[:, 1, None, None] * 1.2 * (v > 0.55)
    x = x + faint * y[:, 2, None, None] * 1.8 * np.exp(-((h - a) ** 2 + (v - b) ** 2) / 0.04)
    x = x - faint * y[:, 3, None, None] * 1.1 * (h < -0.5) * (v < 0.3)
    x = x + faint * y[:, 4, None, None] * 0.9 * np.cos(9 * h + a) * (v < -0.2)
    return (x - 0.4 + 0.2 * rng.normal(size=(n, 1, 1)) + noise * rng.normal(size=x.shape)).astype(F32), y.astype(F32)


def findings(out, batch):
    """(n,) mean cross-entropy of the findings."""
    return fn.binary_cross_entropy_with_logits(out, batch[1], reduction="none").mean(1)


def f1(out, batch):
    """Mean over findings of the harmonic mean of precision and recall."""
    p, y = (out > 0).float(), batch[1]
    return float((2 * (p * y).sum(0) / (p.sum(0) + y.sum(0) + 1e-9)).mean())


def xray5(seed):
    """What an X-ray shows; cross-entropy over five findings, F1."""
    x, y = chests(np.random.default_rng(seed), 1700)
    q = torch.as_tensor(y.mean(0)).logit()
    chance = float(findings(q.expand(len(y), 5), (None, torch.as_tensor(y))).mean())
    return made("xray5", "free", (Chest, findings, "bce"), (x, y), (1200, 250), (3e-3, 32, 12), (f1, "f1", True), chance=chance)


TASKS = {f.__name__: f for f in (penguins3, garments6, headlines4, gaze3, genome_lm, pupil_answers, cough2, flight_delay)}
TASKS |= {f.__name__: f for f in (driving, traffic10, xray5)}
