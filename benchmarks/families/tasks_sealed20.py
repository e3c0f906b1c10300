"""Tasks of the split `sealed20`: muscles, census, shops, blood, captchas, football, blur, air, tweets, galaxies, street sounds."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.tasks_sealed6 import F32, made
from families.tasks_sealed18 import rms
from families.tasks_sealed19 import f1, findings, within
from families.training import binary, cross_entropy, squared


class Muscles(nn.Module):
    """Two convolutions along the window of eight electrodes, mean and largest value over time, five answers."""

    def __init__(self, width=20, drop=0.2, classes=5):
        super().__init__()
        self.a, self.b = nn.Conv1d(8, width, 5, padding=2), nn.Conv1d(width, width, 3, padding=1)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Linear(2 * width, classes)

    def forward(self, x):
        h = self.act2(self.b(fn.max_pool1d(self.act(self.a(x)), 2)))
        return self.head(self.drop(torch.cat([h.mean(2), h.amax(2)], 1)))


class Census(nn.Module):
    """Codes of work, schooling and family beside five figures, two layers, one logit."""

    def __init__(self, width=32, dim=3, drop=0.15):
        super().__init__()
        self.work, self.school, self.home = nn.Embedding(9, dim), nn.Embedding(12, dim), nn.Embedding(6, dim)
        self.net = Mlp([5 + 3 * dim, width, width, 1], drop=drop, squeeze=True)

    def forward(self, x):
        k = x[:, 5:8].long()
        return self.net(torch.cat([x[:, :5], self.work(k[:, 0]), self.school(k[:, 1]), self.home(k[:, 2])], 1))


class Shop(nn.Module):
    """Codes of shop, article and weekday beside four figures, two layers, one number."""

    def __init__(self, width=48, dim=5, drop=0.05):
        super().__init__()
        self.shop, self.item, self.day = nn.Embedding(10, dim), nn.Embedding(16, dim), nn.Embedding(7, 3)
        self.net = Mlp([4 + 2 * dim + 3, width, width, 1], drop=drop, squeeze=True)

    def forward(self, x):
        k = x[:, 4:7].long()
        return self.net(torch.cat([x[:, :4], self.shop(k[:, 0]), self.item(k[:, 1]), self.day(k[:, 2])], 1))


class Blood(nn.Module):
    """Two convolutions with batch norms on pictures of two stains, the mean over the picture's quarters, four answers."""

    def __init__(self, width=10, drop=0.15, classes=4):
        super().__init__()
        self.a, self.n, self.act = nn.Conv2d(2, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        self.b, self.m, self.act2 = nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(8 * width, classes)

    def forward(self, x):
        h = fn.max_pool2d(self.act(self.n(self.a(x))), 2)
        return self.head(self.drop(fn.adaptive_avg_pool2d(self.act2(self.m(self.b(h))), 2).flatten(1)))


class Captcha(nn.Module):
    """Two convolutions on a strip of eight by twenty-one, one layer, three times six answers."""

    def __init__(self, width=12, drop=0.15, mid=64):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.act, self.act2, self.act3, self.drop = nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.Dropout(drop)
        self.mid, self.head = nn.Linear(40 * width, mid), nn.Linear(mid, 18)

    def forward(self, x):
        h = fn.max_pool2d(self.act2(self.b(self.act(self.a(x.unsqueeze(1))))), 2).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h)))).view(-1, 3, 6)


class Football(nn.Module):
    """Codes of zones and of places, one block of attention to the past, scores of the next zone."""

    def __init__(self, zones=18, width=32, drop=0.1, heads=2):
        super().__init__()
        self.emb, self.place = nn.Embedding(zones, width), nn.Parameter(0.1 * torch.randn(24, width))
        self.att, self.one, self.two = nn.MultiheadAttention(width, heads, batch_first=True), nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.act, self.down = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, zones)

    def forward(self, x):
        t = x.shape[1]
        h = self.emb(x) + self.place[:t]
        q = self.one(h)
        late = torch.triu(torch.ones(t, t, dtype=torch.bool), 1)
        h = h + self.drop(self.att(q, q, q, attn_mask=late, need_weights=False)[0])
        h = h + self.drop(self.down(self.act(self.up(self.two(h)))))
        return self.head(h)


class Deblur(nn.Module):
    """Three convolutions that give what is to be added to a blurred picture."""

    def __init__(self, width=14, kernel=3, drop=0.0):
        super().__init__()
        k = kernel // 2
        self.a, self.b = nn.Conv2d(1, width, kernel, padding=k), nn.Conv2d(width, width, kernel, padding=k)
        self.act, self.act2, self.drop, self.head = nn.ReLU(), nn.ReLU(), nn.Dropout(drop), nn.Conv2d(width, 1, kernel, padding=k)

    def forward(self, x):
        h = self.drop(self.act2(self.b(self.act(self.a(x.unsqueeze(1))))))
        return x + self.head(h).squeeze(1)


class Air(nn.Module):
    """A gated recurrent layer over twelve hours of five columns, a layer, one number."""

    def __init__(self, width=24, drop=0.1, columns=5):
        super().__init__()
        self.rnn, self.mid, self.act = nn.GRU(columns, width, batch_first=True), nn.Linear(width, width), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.drop(self.act(self.mid(self.rnn(x)[0][:, -1])))).squeeze(-1)


class Tweets(nn.Module):
    """Codes of words, a window of three over them, the largest value over the text, five answers."""

    def __init__(self, words=80, width=24, drop=0.25, classes=5):
        super().__init__()
        self.emb, self.conv, self.act = nn.Embedding(words, width), nn.Conv1d(width, 2 * width, 3, padding=1), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.act(self.conv(self.emb(x).transpose(1, 2))).amax(2)))


def muscles(rng, n, noise=0.45, weights=None, share=1.0):
    """Windows (n, 8, 20) of eight electrodes around an arm and the hand's gesture (n,), of five; the band sits a little elsewhere each time."""
    y, r = rng.choice(5, n, p=weights), np.random.default_rng(113)
    where, late = r.uniform(0, 8, (5, 2)), r.uniform(4, 13, (5, 2))
    k, t = np.arange(8.0)[None, None, :, None], np.arange(20.0)[None, None, None]
    off = 0.6 * rng.normal(size=(n, 1, 1, 1))
    d = np.abs((k - where[y][:, :, None, None] - off + 4) % 8 - 4)
    strength = rng.uniform(0.7, 1.5, (n, 2, 1, 1)) * share
    on = np.exp(-((t - late[y][:, :, None, None] - rng.normal(size=(n, 1, 1, 1))) ** 2) / 18)
    level = (strength * np.exp(-(d**2) / 2.2) * on).sum(1)
    x = level * (1.2 + 0.6 * rng.normal(size=(n, 8, 20))) - 0.2 + noise * rng.normal(size=(n, 8, 20))
    return (1.3 * x).astype(F32), y


def emg5(seed):
    """Which gesture a hand makes, from muscles."""
    data = muscles(np.random.default_rng(seed), 1900)
    return made("emg5", "cls", (Muscles, cross_entropy, "ce"), data, (1300, 300), (3e-3, 32, 12), classes=5)


def census(rng, n, off=-0.9, noise=1.0, clear=1.0):
    """Five figures and three kinds (n, 8) of a person, and whether they earn much (n,)."""
    r = np.random.default_rng(127)
    job, school, home = 0.8 * r.normal(size=9), 1.2 * np.linspace(-1, 1, 12), 0.9 * r.normal(size=6)
    x = rng.normal(size=(n, 5))
    a, b, c = rng.integers(0, 9, n), rng.integers(0, 12, n), rng.integers(0, 6, n)
    age, hours, gain, _, years = x.T
    z = job[a] + school[b] * (1 + 0.3 * hours) + home[c] - 0.7 * age**2 + 0.6 * age + 0.9 * np.maximum(gain, 0) + 0.5 * hours + 0.3 * years
    y = clear * 1.6 * (z + off) + noise * rng.logistic(size=n) > 0
    return np.concatenate([x, a[:, None], b[:, None], c[:, None]], 1).astype(F32), y.astype(F32)


def income2(seed):
    """Whether a person earns much."""
    x, y = census(np.random.default_rng(seed), 3600)
    return made("income2", "bin", (Census, binary, "bce"), (x, y), (2750, 450), (1.5e-3, 48, 11))


def sales(rng, n, noise=0.35, more=0.0):
    """Price, offer, holiday, trend, shop, article and weekday (n, 7), and the logarithm of what was sold (n,), standardised."""
    r = np.random.default_rng(131)
    shop, item, pull = 0.6 * r.normal(size=10), 0.7 * r.normal(size=16), 0.5 + 0.4 * r.random(16)
    day = np.array([-0.4, -0.3, -0.1, 0.0, 0.4, 0.7, -0.3])
    x = rng.normal(size=(n, 4))
    x[:, 1], x[:, 2] = (rng.random(n) < 0.3) * 2 - 0.6, (rng.random(n) < 0.2) * 2 - 0.4
    a, b, d = rng.integers(0, 10, n), rng.integers(0, 16, n), rng.integers(0, 7, n)
    y = (
        shop[a]
        + item[b]
        - pull[b] * x[:, 0]
        + 0.45 * x[:, 1] * (1 + 0.5 * shop[a])
        + day[d] * (1 - 0.4 * x[:, 2])
        + 0.2 * np.sin(2 * x[:, 3])
    )
    x = np.concatenate([x, a[:, None], b[:, None], d[:, None]], 1)
    return x.astype(F32), ((y + more) / 1.35 + noise * rng.normal(size=n)).astype(F32)


def store_sales(seed):
    """How much of an article a shop sells in a day; squared error of the logarithm, its root."""
    x, y = sales(np.random.default_rng(seed), 3200)
    model = (Shop, squared, "mse")
    return made("store_sales", "reg", model, (x, y), (2400, 400), (3e-3, 48, 14), (rms, "rmsle", False), chance=float(y.var()))


def smears(rng, n, noise=0.4, weights=None, dim=1.0):
    """Pictures (n, 2, 14, 14) in two stains of a white cell among red ones, and its kind (n,), of four."""
    y, g = rng.choice(4, n, p=weights), np.linspace(-1, 1, 14)
    v, h = np.meshgrid(g, g, indexing="ij")
    a, b, turn = rng.uniform(-0.25, 0.25, (n, 1, 1)), rng.uniform(-0.25, 0.25, (n, 1, 1)), rng.uniform(0, 6.28, (n, 1, 1))
    p, q = h - a, v - b
    u, w = p * np.cos(turn) + q * np.sin(turn), q * np.cos(turn) - p * np.sin(turn)
    body = p**2 + q**2 < (rng.uniform(0.5, 0.62, (n, 1, 1)) + 0.1 * (y[:, None, None] == 2)) ** 2
    lobes = (np.hypot(u - 0.27, w) < 0.2) | (np.hypot(u + 0.27, w) < 0.2) | (np.hypot(u, w - 0.27) < 0.2)
    round_, bean, two = np.hypot(u, w) < 0.42, (np.hypot(u, w) < 0.45) & (np.hypot(u, w - 0.35) > 0.3), np.hypot(np.abs(u) - 0.26, w) < 0.22
    core = np.choose(y[:, None, None], [lobes, round_, bean, two])
    grain = (y[:, None, None] == 3) * (rng.random((n, 14, 14)) < 0.4)
    red = rng.uniform(0.2, 0.5, (n, 1, 1)) * (np.hypot(h - rng.uniform(-1, 1, (n, 1, 1)), v - rng.uniform(-1, 1, (n, 1, 1))) < 0.4)
    x = np.stack([1.5 * core + 0.3 * body, 0.7 * body + 0.5 * grain * body + red], 1) * dim - 0.35
    return (x + noise * rng.normal(size=x.shape)).astype(F32), y


def blood4(seed):
    """Which kind of white cell a smear shows."""
    data = smears(np.random.default_rng(seed), 1700)
    return made("blood4", "cls", (Blood, cross_entropy, "ce"), data, (1150, 270), (4e-3, 32, 12), classes=4)


FONT = np.random.default_rng(137).integers(0, 2, (6, 5, 4)) * 2.0 - 1.0


def captchas(rng, n, noise=0.7, font=FONT):
    """Strips (n, 8, 21) with three of six signs, each a little up or down and aside, and which ones (n, 3)."""
    y, x = rng.integers(0, 6, (n, 3)), np.zeros((n, 8, 21))
    up, aside = rng.integers(0, 4, (n, 3)), rng.integers(0, 3, (n, 3))
    i = np.arange(n)
    for k in range(3):
        for a in range(5):
            for b in range(4):
                x[i, up[:, k] + a, 7 * k + aside[:, k] + b] = font[y[:, k], a, b]
    return (x * rng.uniform(0.8, 1.4, (n, 1, 1)) + noise * rng.normal(size=x.shape)).astype(F32), y


def captcha3(seed):
    """Which three signs a strip shows."""
    data = captchas(np.random.default_rng(seed), 2100)
    return made("captcha3", "cls", (Captcha, cross_entropy, "ce"), data, (1500, 300), (3e-3, 32, 13), classes=6)


def attacks(rng, n, length=19, wild=0.0):
    """Zones (n, 19) of a pitch of six by three where the ball is in turn: it goes on the way it went, and two styles of play differ."""
    x, style = np.zeros((n, length), int), rng.integers(0, 2, n)
    a, b, way = rng.integers(0, 6, n), rng.integers(0, 3, n), np.ones(n, int)
    for t in range(length):
        x[:, t] = 3 * a + b
        u, v = rng.random(n), rng.random(n)
        turned = (u < 0.08 + 0.1 * (a % 5 == 0)) | (rng.random(n) < wild)
        way = np.where(turned, -way, way)
        long = (v < 0.3) & (style == 0)
        a = np.clip(a + way * np.where(u > 0.45, 1, 0) + way * long, 0, 5)
        side = np.where(style == 1, (b + 1) % 3, b)
        b = np.where(v > 0.65, side, np.where(v > 0.9, rng.integers(0, 3, n), b))
        way = np.where(a == 5, -1, np.where(a == 0, 1, way))
    return x


def football_lm(seed):
    """The next zone of the ball."""
    g = attacks(np.random.default_rng(seed), 1500)
    return made("football_lm", "cls", (Football, cross_entropy, "ce"), (g[:, :-1], g[:, 1:]), (1050, 220), (4e-3, 32, 13), classes=18)


def scenes(rng, n, noise=0.1, long=2):
    """Blurred pictures (n, 12, 12) of straight edges and spots, and the sharp ones (n, 12, 12)."""
    g = np.linspace(-1, 1, 12)
    v, h = np.meshgrid(g, g, indexing="ij")
    y = np.zeros((n, 12, 12))
    for _ in range(3):
        w, c = rng.uniform(0, 6.28, (n, 1, 1)), rng.uniform(-0.7, 0.7, (n, 1, 1))
        y += rng.uniform(-1, 1, (n, 1, 1)) * np.sign(h * np.cos(w) + v * np.sin(w) - c)
    y += 1.5 * (np.hypot(h - rng.uniform(-0.8, 0.8, (n, 1, 1)), v - rng.uniform(-0.8, 0.8, (n, 1, 1))) < 0.25)
    x = sum(np.roll(y, k, 2) for k in range(-long, long + 1)) / (2 * long + 1)
    x = (np.roll(x, 1, 1) + x + np.roll(x, -1, 1)) / 3
    return (x + noise * rng.normal(size=x.shape)).astype(F32), y.astype(F32)


def psnr(out, batch):
    """Signal over noise, in decibels, for a range of four."""
    return float(10 * torch.log10(16 / ((out - batch[1]) ** 2).mean()))


def deblur(seed):
    """The sharp picture of a blurred one; squared error, decibels."""
    x, y = scenes(np.random.default_rng(seed), 1000)
    chance = float(((x - y) ** 2).mean())
    return made("deblur", "reg", (Deblur, squared, "mse"), (x, y), (640, 180), (4e-3, 20, 13), (psnr, "psnr", True), chance=chance)


def hours(rng, n, noise=0.3, off=0.0, wind=1.0):
    """Twelve hours of five columns (n, 12, 5) and the dust in the air three hours later (n,)."""
    w, hot = rng.normal(size=n), rng.normal(size=n)
    s, x, clock = rng.normal(size=n), np.zeros((n, 16, 5)), rng.integers(0, 24, n)
    for t in range(16):
        w, hot = 0.8 * w + 0.6 * rng.normal(size=n), 0.9 * hot + 0.44 * rng.normal(size=n)
        rush = np.cos((clock + t) / 24 * 6.28 * 2)
        s = 0.75 * s + 0.45 * rush - wind * 0.5 * np.maximum(w, 0) * (1 + 0.5 * (hot > 0)) + 0.25 * rng.normal(size=n) + 0.2
        angle = (clock + t) / 24 * 6.28
        x[:, t] = np.stack([s + noise * rng.normal(size=n), w, hot, np.cos(angle), np.sin(angle)], 1)
    return x[:, :12].astype(F32), (1.2 * s + off).astype(F32)


def log_cosh(out, batch):
    """(n,) logarithm of the hyperbolic cosine of the error."""
    e = (out - batch[1]).abs()
    return e + fn.softplus(-2 * e) - 0.6931472


def air_hours(seed):
    """The dust in the air in three hours; a smooth absolute error, the absolute error."""
    x, y = hours(np.random.default_rng(seed), 2400)
    chance = float(log_cosh(torch.full((len(y),), float(np.median(y))), (None, torch.as_tensor(y))).mean())
    return made("air_hours", "reg", (Air, log_cosh, "log_cosh"), (x, y), (1700, 350), (3e-3, 40, 11), (within, "mae", False), chance=chance)


def tweets(rng, n, slip=0.02, weights=None, share=0.28):
    """Words (n, 12) of eighty of a short text and its mood (n,), of five: words of a mood, and a word of denial that swaps two moods."""
    y = rng.choice(5, n, p=weights)
    no = rng.random(n) < 0.25
    said = np.where(no, np.array([1, 0, 3, 2, 4])[y], y)
    x = rng.integers(51, 80, (n, 12))
    x = np.where(rng.random((n, 12)) < share, 10 * said[:, None] + rng.integers(0, 10, (n, 12)), x)
    x = np.where(rng.random((n, 12)) < 0.1, rng.integers(0, 80, (n, 12)), x)
    x[no, rng.integers(0, 12, n)[no]] = 50
    return x, np.where(rng.random(n) < slip, rng.integers(0, 5, n), y)


def emotions5(seed):
    """Which mood a short text is in."""
    data = tweets(np.random.default_rng(seed), 3500)
    return made("emotions5", "cls", (Tweets, cross_entropy, "ce"), data, (2600, 450), (3e-3, 48, 12), classes=5)


def galaxies(rng, n, noise=0.16, bright=0.0):
    """Five magnitudes with colours, and a size (n, 6), of a galaxy, and its redshift (n,), standardised."""
    z, kind, m = rng.gamma(2.5, 0.25, n), rng.random(n), rng.normal(size=n)
    band = np.arange(5.0)
    edge = 1 / (1 + np.exp(-(band - 0.3 - 3.2 * z[:, None] / 1.3) * 1.6))
    x = 0.5 * m[:, None] + 1.2 * z[:, None] - 2.2 * (0.4 + 0.6 * kind[:, None]) * edge + noise * rng.normal(size=(n, 5)) + bright
    size = 0.6 * m - 0.8 * z + 0.3 * rng.normal(size=n)
    return np.concatenate([x, size[:, None]], 1).astype(F32), ((z - 0.625) / 0.395).astype(F32)


def redshift(seed):
    """How far a galaxy is, from its colours; squared error, absolute error."""
    x, y = galaxies(np.random.default_rng(seed), 2900)
    model = (lambda: Mlp([6, 48, 48, 1], squeeze=True), squared, "mse")
    return made("redshift", "reg", model, (x, y), (2100, 400), (3e-3, 40, 14), (within, "mae", False), chance=float(y.var()))


def streets(rng, n, noise=0.35, loud=1.0):
    """Levels in four stretches of ten bands (n, 40) of a street's sound, and which of six things are heard (n, 6)."""
    y, r = rng.random((n, 6)) < np.array([0.4, 0.25, 0.3, 0.2, 0.35, 0.25]), np.random.default_rng(139)
    bands, parts = r.dirichlet(np.full(10, 0.5), 6) * 4, rng.random((n, 6, 4)) < 0.6
    parts[..., 0] |= ~parts.any(2)
    power = (y[:, :, None, None] * parts[..., None] * rng.uniform(0.5, 1.3, (n, 6, 1, 1)) * loud * bands[None, :, None]).sum(1)
    x = np.log(power + 0.25) + 0.6 + noise * rng.normal(size=(n, 4, 10))
    return x.reshape(n, 40).astype(F32), y.astype(F32)


def street6(seed):
    """What is heard in a street; cross-entropy over six things, F1."""
    x, y = streets(np.random.default_rng(seed), 2000)
    q = torch.as_tensor(y.mean(0)).logit()
    chance = float(findings(q.expand(len(y), 6), (None, torch.as_tensor(y))).mean())
    model = (lambda: Mlp([40, 48, 32, 6], drop=0.1), findings, "bce")
    return made("street6", "free", model, (x, y), (1400, 300), (2e-3, 32, 12), (f1, "f1", True), chance=chance)


TASKS = {f.__name__: f for f in (emg5, income2, store_sales, blood4, captcha3, football_lm, deblur, air_hours)}
TASKS |= {f.__name__: f for f in (emotions5, redshift, street6)}
