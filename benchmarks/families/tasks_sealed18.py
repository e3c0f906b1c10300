"""Tasks of the split `sealed18`: signs, pumps, abalones, names of places, sounds of letters, eyes, ratings, colours, questions, lesions."""

import numpy as np
import torch
import torch.nn.functional as fn

from families.nets import Mlp
from families.nets18 import Colours, Eyes, Factors, Lesion, Pump, Question, Sign, Speller, Writer
from families.tasks_sealed6 import F32, made
from families.training import binary, cross_entropy, squared


def signs(rng, n, noise=0.55, weights=None):
    """Pictures (n, 3, 12, 12) of signs and which of six it is (n,): a shape and a colour."""
    y, g = rng.choice(6, n, p=weights), np.linspace(-1, 1, 12)
    v, h = np.meshgrid(g, g, indexing="ij")
    a, b = h - rng.uniform(-0.25, 0.25, (n, 1, 1)), v - rng.uniform(-0.25, 0.25, (n, 1, 1))
    s = rng.uniform(0.5, 0.75, (n, 1, 1))
    round_, square = a**2 + b**2 < s**2, np.maximum(abs(a), abs(b)) < 0.9 * s
    three, four = (b < 0.8 * s) & (abs(a) < 0.62 * (b + s)), abs(a) + abs(b) < 1.2 * s
    on = np.choose(y[:, None, None], [three, round_, round_, square, four, three])
    ink = np.array([[1, 0, 0], [1, 0, 0], [0, 0.1, 1], [0, 0.1, 1], [0.9, 0.8, 0], [0.9, 0.8, 0.0]])[y][:, :, None, None]
    back = rng.uniform(0, 0.7, (n, 3, 1, 1))
    x = np.where(on[:, None], ink * rng.uniform(0.6, 1.1, (n, 1, 1, 1)), back)
    return (2 * x - 0.8 + noise * rng.normal(size=x.shape)).astype(F32), y


def signs6(seed):
    """Which sign stands by the road."""
    data = signs(np.random.default_rng(seed), 1700)
    return made("signs6", "cls", (Sign, cross_entropy, "ce"), data, (1100, 280), (2e-3, 32, 12), classes=6)


def pumps(rng, n, noise=0.7, shift=(0.0, 0.0, 0.0)):
    """Seven figures, a region and a kind (n, 9) of water pumps, and whether one works, wants repair or is broken (n,)."""
    r = np.random.default_rng(37)
    by_region, by_kind = 0.9 * r.normal(size=(12, 3)), 1.1 * r.normal(size=(8, 3))
    x, region, kind = rng.normal(size=(n, 7)), rng.integers(0, 12, n), rng.integers(0, 8, n)
    age, depth, people, height, price, flow, _ = x.T
    z = by_region[region] + by_kind[kind] + np.array(shift)
    z[:, 0] += 1.2 * price - 1.3 * age + 0.5 * flow
    z[:, 1] += 0.9 * np.sin(1.5 * depth) + 0.6 * age * (people > 0)
    z[:, 2] += 1.1 * np.maximum(age, 0) + 0.8 * depth * height - 0.6 * flow
    y = (1.6 * z + noise * rng.gumbel(size=z.shape)).argmax(1)
    return np.concatenate([x, region[:, None], kind[:, None]], 1).astype(F32), y


def pumps3(seed):
    """Whether a pump works."""
    return made(
        "pumps3", "cls", (Pump, cross_entropy, "ce"), pumps(np.random.default_rng(seed), 4000), (3000, 500), (3e-3, 60, 11), classes=3
    )


def abalones(rng, n, noise=0.28):
    """Eight measures (n, 8) of abalones and their age (n,), standardised."""
    age, sex, food = rng.gamma(5.0, 0.4, n), rng.integers(0, 2, n), rng.normal(size=n)
    size = 1.6 * (1 - np.exp(-0.9 * age)) * np.exp(0.09 * food + 0.05 * sex)
    cols = [
        size * np.exp(0.04 * rng.normal(size=n)),
        0.8 * size * np.exp(0.06 * rng.normal(size=n)),
        0.3 * size * np.exp(0.12 * rng.normal(size=n)),
    ]
    cols += [size**3 * k * np.exp(q * rng.normal(size=n)) for k, q in ((0.9, 0.12), (0.4, 0.15), (0.2, 0.2))]
    cols += [size**2.6 * (0.2 + 0.12 * age) * np.exp(0.08 * rng.normal(size=n)), sex.astype(float)]
    x = np.stack(cols, 1)
    x = (x - x.mean(0)) / x.std(0)
    return x.astype(F32), ((age - 2) / 0.9 + noise * rng.normal(size=n)).astype(F32)


def absolute(out, batch):
    """(n,) absolute error."""
    return (out - batch[1]).abs()


def near(out, batch):
    """Share of answers within a third."""
    return float(((out - batch[1]).abs() < 0.333).float().mean())


def abalone_age(seed):
    """The age of an abalone; absolute error, share of answers that are near."""
    x, y = abalones(np.random.default_rng(seed), 2600)
    more = {"chance": float(np.abs(y - np.median(y)).mean())}
    return made(
        "abalone_age",
        "reg",
        (lambda: Mlp([8, 40, 24, 1], squeeze=True), absolute, "mae"),
        (x, y),
        (1800, 400),
        (2e-3, 40, 14),
        (near, "near", True),
        **more,
    )


def names(rng, n, length=15):
    """Letters (n, 15) of names of places: syllables of an onset and a vowel, then an ending."""
    r = np.random.default_rng(59)
    p = r.dirichlet(np.full(24, 0.1), (5, 24)) * 0.94 + 0.06 / 24
    c, x = p.cumsum(-1), rng.integers(0, 24, (n, length))
    for t in range(2, length):
        x[:, t] = np.minimum((c[x[:, t - 2] % 4 if t < 12 else 4, x[:, t - 1]] < rng.random((n, 1))).sum(1), 23)
    return x


def names_lm(seed):
    """The next letter of a name."""
    g = names(np.random.default_rng(seed), 2000)
    return made("names_lm", "cls", (Writer, cross_entropy, "ce"), (g[:, :-1], g[:, 1:]), (1400, 300), (9e-3, 32, 15), classes=24)


def words(rng, n, slip=0.04, reform=None):
    """Letters (n, 10) of twenty, and the sound of each (n, 10) of fifteen, which depends on its neighbours; `reform` changes letters."""
    r = np.random.default_rng(61)
    base, soft, late = r.integers(0, 15, 20), r.integers(0, 15, 20), r.integers(0, 15, 20)
    w = rng.dirichlet(np.full(20, 2.0)) * 0 + 1 / 20
    x = rng.choice(20, (n, 10), p=w)
    after = np.concatenate([x[:, 1:], np.full((n, 1), 19)], 1)
    before = np.concatenate([np.full((n, 1), 19), x[:, :-1]], 1)
    y = np.where(after < 6, soft[x], np.where((before > 13) & (before < 19), late[x], base[x]))
    y = np.where(rng.random(y.shape) < slip, rng.integers(0, 15, y.shape), y)
    return (x if reform is None else reform[x]), y


def sounds(seed):
    """The sound of each letter of a word."""
    return made(
        "sounds", "cls", (Speller, cross_entropy, "ce"), words(np.random.default_rng(seed), 2100), (1500, 300), (4e-3, 32, 12), classes=15
    )


def brains(rng, n, noise=0.8, pace=1.0, share=0.5):
    """Four channels (n, 4, 40) of a brain's currents and whether the eyes are closed (n,): then there is a rhythm at the back."""
    y, t = (rng.random(n) < share).astype(int), np.arange(40) * pace
    f, ph = rng.uniform(0.9, 1.15, (n, 1)), rng.uniform(0, 6.28, (n, 1))
    rhythm = np.sin(f * t + ph) * (0.25 + 0.75 * y[:, None]) * rng.uniform(0.5, 1.3, (n, 1))
    slow = np.sin(0.2 * t + rng.uniform(0, 6.28, (n, 1))) * rng.uniform(0.2, 1.2, (n, 1))
    mix = np.array([[0.2, 1.0], [0.3, 0.9], [0.9, 0.3], [1.0, 0.2]])
    x = mix[None, :, :1] * rhythm[:, None] + mix[None, :, 1:] * slow[:, None] + noise * rng.normal(size=(n, 4, 40))
    return x.astype(F32), y.astype(F32)


def eyes2(seed):
    """Whether someone's eyes are closed."""
    return made("eyes2", "bin", (Eyes, binary, "bce"), brains(np.random.default_rng(seed), 2500), (1800, 350), (1.5e-3, 36, 12))


def films(rng, n, noise=0.45, users=(0, 120)):
    """Users and films (n, 2), and the rating (n,), standardised."""
    r = np.random.default_rng(67)
    u, f, bu, bf = r.normal(size=(120, 3)), r.normal(size=(90, 3)), 0.4 * r.normal(size=120), 0.5 * r.normal(size=90)
    a, b = rng.integers(*users, n), np.minimum((90 * rng.random(n) ** 1.4).astype(int), 89)
    y = (bu[a] + bf[b] + 0.5 * (u[a] * f[b]).sum(1)) / 1.05 + noise * rng.normal(size=n)
    return np.stack([a, b], 1), y.astype(F32)


def rms(out, batch):
    """Root of the mean squared error."""
    return float(((out - batch[1]) ** 2).mean() ** 0.5)


def ratings_mf(seed):
    """What a user thinks of a film; squared error, its root."""
    x, y = films(np.random.default_rng(seed), 7600)
    more = {"chance": float(y.var())}
    return made("ratings_mf", "reg", (Factors, squared, "mse"), (x, y), (6000, 800), (1e-2, 128, 13), (rms, "rmse", False), **more)


def scenes(rng, n, noise=0.25):
    """Grey pictures (n, 8, 8) of sky, grass and a ball, and two numbers of colour for each point (n, 128)."""
    v, h = np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij")
    edge, tilt = rng.uniform(2, 5, (n, 1, 1)), rng.uniform(-0.3, 0.3, (n, 1, 1))
    sky = v < edge + tilt * (h - 4)
    cy, cx, r = rng.uniform(2, 6, (n, 1, 1)), rng.uniform(1, 6, (n, 1, 1)), rng.uniform(1.2, 2.2, (n, 1, 1))
    ball = (v - cy) ** 2 + (h - cx) ** 2 < r**2
    grain = np.where(sky, 0.15, 0.55) * rng.normal(size=(n, 8, 8))
    x = np.where(ball, 0.3 + 0.25 * (cy - v), np.where(sky, 0.8 - 0.1 * v, -0.5 + grain))
    ab = np.where(
        ball[:, None],
        np.array([1.6, 0.8])[None, :, None, None],
        np.where(sky[:, None], np.array([-0.3, -1.2])[None, :, None, None], np.array([-0.9, 0.8])[None, :, None, None]),
    )
    y = ab + noise * rng.normal(size=ab.shape)
    return (x + 0.1 * rng.normal(size=x.shape)).astype(F32), y.reshape(n, 128).astype(F32)


def psnr(out, batch):
    """Peak signal over noise in decibels, for a peak of four."""
    return float(10 * torch.log10(16 / ((out - batch[1]) ** 2).mean()))


def colourise(seed):
    """The colours of a grey picture; squared error, signal over noise."""
    x, y = scenes(np.random.default_rng(seed), 1200)
    more = {"chance": float(y.var(0).mean())}
    return made("colourise", "reg", (Colours, squared, "mse"), (x, y), (800, 200), (5e-3, 25, 16), (psnr, "psnr", True), **more)


def asked(rng, n, slip=0.03, weights=None, vague=0.0):
    """Words (n, 10) of seventy and what a question asks for (n,), of six: a question word, and a noun that can turn it."""
    y = rng.choice(6, n, p=weights)
    x = rng.integers(26, 70, (n, 10))
    x[:, 0] = np.where(rng.random(n) < 0.75, y * 2 + rng.integers(0, 2, n), rng.integers(26, 70, n))
    turn = rng.random(n) < 0.45
    at, row = rng.integers(1, 10, n), np.arange(n)
    x[row, at] = np.where(turn, 12 + 2 * y + rng.integers(0, 2, n), x[row, at])
    swap = turn & (rng.random(n) < 0.6)
    x[:, 0] = np.where(swap, rng.integers(0, 12, n), x[:, 0])
    x = np.where(rng.random(x.shape) < vague, rng.integers(26, 70, x.shape), x)
    return x, np.where(rng.random(n) < slip, rng.integers(0, 6, n), y)


def questions6(seed):
    """What a question asks for."""
    return made(
        "questions6",
        "cls",
        (Question, cross_entropy, "ce"),
        asked(np.random.default_rng(seed), 3400),
        (2500, 450),
        (3e-3, 50, 13),
        classes=6,
    )


def lesions(rng, n, noise=0.8, small=1.0):
    """Pictures (n, 12, 12) of skin and which points (n, 12, 12) belong to a lesion."""
    g = np.linspace(-1, 1, 12)
    v, h = np.meshgrid(g, g, indexing="ij")
    a, b = h - rng.uniform(-0.5, 0.5, (n, 1, 1)), v - rng.uniform(-0.5, 0.5, (n, 1, 1))
    k, turn = small * rng.uniform(0.3, 0.6, (n, 1, 1)), rng.uniform(0, 3.14, (n, 1, 1))
    edge = k * (1 + 0.25 * np.sin(3 * np.arctan2(b, a) + turn))
    y = a**2 + b**2 < edge**2
    hair = abs(np.cos(turn) * h + np.sin(turn) * v) < 0.08
    x = np.where(y, -1.2, 0.5) - 0.9 * hair + 0.3 * rng.normal(size=(n, 1, 1)) + noise * rng.normal(size=y.shape)
    return x.astype(F32), y.astype(F32)


def overlap(out, batch):
    """(n,) one less the soft overlap of Dice."""
    p, y = out.sigmoid().flatten(1), batch[1].flatten(1)
    return 1 - (2 * (p * y).sum(1) + 1) / (p.sum(1) + y.sum(1) + 1)


def pointwise(out, batch):
    """(n,) mean cross-entropy of the points."""
    return fn.binary_cross_entropy_with_logits(out, batch[1], reduction="none").flatten(1).mean(1)


def both(out, batch):
    """(n,) half of each."""
    return 0.5 * overlap(out, batch) + 0.5 * pointwise(out, batch)


def dice(out, batch):
    """Mean overlap of Dice of what is called lesion."""
    p, y = (out > 0).float().flatten(1), batch[1].flatten(1)
    return float(((2 * (p * y).sum(1) + 1) / (p.sum(1) + y.sum(1) + 1)).mean())


def lesion_dice(seed):
    """Which points belong to a lesion; overlap and cross-entropy, half of each."""
    x, y = lesions(np.random.default_rng(seed), 950)
    q = float(y.mean())
    chance = float(both(torch.full(y.shape, float(np.log(q / (1 - q)))), (None, torch.as_tensor(y))).mean())
    more = {"components": lambda out, b: {"dice": overlap(out, b), "bce": pointwise(out, b)}, "chance": chance}
    return made("lesion_dice", "free", (Lesion, both, "dice_bce"), (x, y), (600, 170), (4e-3, 20, 12), (dice, "dice", True), **more)


TASKS = {f.__name__: f for f in (signs6, pumps3, abalone_age, names_lm, sounds, eyes2, ratings_mf, colourise, questions6, lesion_dice)}
