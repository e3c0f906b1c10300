"""Tasks of the split `dev4`: retrieval, characters, spectrograms, tables, point clouds, a differential equation, anomalies, counts, spam."""

import numpy as np
import torch

from families.nets import ConvNet, Mlp
from families.nets4 import Autoencoder, Chars, Mixed, Points, Residual, Towers
from families.setups import Task
from families.tasks_dev import parts
from families.training import binary, cross_entropy, squared

F32 = np.float32
SIZES = (30, 12, 7, 4)


def r_squared(out, batch):
    """Explained share of the variance."""
    y = batch[1]
    return float(1 - ((out - y) ** 2).mean() / (y.var(unbiased=False) + 1e-9))


def towers(seed):
    """Queries choose one of 48 items by features of both; two towers, softmax over the catalogue, recall@5."""
    rng = np.random.default_rng(seed)
    n, items = 3600, rng.normal(size=(48, 8))
    q = rng.normal(size=(n, 16))
    z = 2.2 * np.tanh(q @ rng.normal(size=(16, 8)) / 3) @ items.T
    y = (z + rng.gumbel(size=z.shape)).argmax(1)
    cat = torch.as_tensor(items.astype(F32))

    def recall5(out, b):
        return float((out.topk(5, -1).indices == b[1].unsqueeze(-1)).any(-1).float().mean())

    return Task(
        "towers",
        "free",
        build=lambda: Towers(cat, 16),
        loss=cross_entropy,
        score=recall5,
        score_name="recall@5",
        lr=2e-3,
        batch=80,
        epochs=13,
        floor_known=False,
        **parts(q.astype(F32), y, 2400, 600),
    )


def chars_gru(seed):
    """Characters of a text of 50 invented words, Zipf's frequencies; a GRU predicts the next character (21 kinds)."""
    rng = np.random.default_rng(seed)
    words = [rng.choice(20, rng.integers(2, 7), p=rng.dirichlet(np.full(20, 0.7))) + 1 for _ in range(50)]
    p = 1 / (np.arange(50) + 2.0)
    text = np.concatenate([np.append(words[i], 0) for i in rng.choice(50, 9000, p=p / p.sum())])
    length, n = 18, 1700
    rows = text[: n * (length + 1)].reshape(n, length + 1)
    return Task(
        "chars_gru",
        "cls",
        build=lambda: Chars(21, drop=0.1),
        loss=cross_entropy,
        classes=21,
        lr=4e-3,
        batch=50,
        epochs=14,
        floor_known=False,
        **parts(rows[:, :-1].copy(), rows[:, 1:].copy(), 1200, 300),
    )


def keywords(seed):
    """Spectrograms 16 by 20 with two moving formants; six words, convolutions with group norm."""
    rng = np.random.default_rng(seed)
    n = 3000
    y = rng.integers(0, 6, n)
    shape = np.array(
        [(3, 0.25, 11, -0.1), (6, -0.15, 12, 0.1), (4, 0.0, 9, 0.25), (8, -0.3, 13, 0.0), (2, 0.3, 6, 0.3), (7, 0.1, 13, -0.3)]
    )
    f, t = np.mgrid[:16, :20]
    x = rng.normal(0, 0.5, (n, 1, 16, 20))
    for i in range(n):
        a, b, c, d = shape[y[i]] + rng.normal(0, [0.8, 0.04, 0.8, 0.04])
        at = t - rng.uniform(0, 6)
        live = (at > 0) & (at < 15)
        x[i, 0] += live * rng.uniform(0.8, 1.6) * (np.exp(-((f - a - b * at) ** 2) / 1.5) + 0.8 * np.exp(-((f - c - d * at) ** 2) / 1.5))
    return Task(
        "keywords",
        "cls",
        build=lambda: ConvNet(1, 6, width=8, norm="group"),
        loss=cross_entropy,
        classes=6,
        lr=4e-3,
        batch=50,
        epochs=14,
        **parts(x.astype(F32), y, 1900, 600),
    )


def housing(seed):
    """Prices from four categorical and eight numeric columns; embeddings and a fully connected body, R squared."""
    rng = np.random.default_rng(seed)
    n = 3800
    c = np.stack([rng.choice(k, n, p=rng.dirichlet(np.full(k, 3.0))) for k in SIZES], 1)
    v = rng.normal(size=(n, 8))
    effect = sum(rng.normal(0, 0.6, k)[c[:, i]] for i, k in enumerate(SIZES))
    y = effect + np.tanh(v[:, 0] + v[:, 1] * v[:, 2]) + 0.5 * v[:, 3] + 0.4 * np.abs(v[:, 4]) + rng.normal(0, 0.35, n)
    y = (y - y.mean()) / y.std()
    return Task(
        "housing",
        "reg",
        build=lambda: Mixed(SIZES, 8),
        loss=squared,
        score=r_squared,
        score_name="r2",
        loss_name="mse",
        lr=3e-3,
        batch=80,
        epochs=24,
        floor_known=False,
        **parts(np.concatenate([c, v], 1).astype(F32), y.astype(F32), 2600, 600),
    )


def clouds(seed):
    """Thirty-two points of a ball's surface, a box, a cone, a ring or a tube, turned about one axis; five classes."""
    rng = np.random.default_rng(seed)
    n, p = 2300, 32
    y = rng.integers(0, 5, n)
    a, h, u = rng.uniform(0, 2 * np.pi, (n, p)), rng.uniform(-1, 1, (n, p)), rng.uniform(-1, 1, (n, p, 3))
    s = np.sqrt(1 - h**2)
    box = u / np.abs(u).max(-1, keepdims=True) * 0.8
    shapes = [
        np.stack([s * np.cos(a), s * np.sin(a), h], -1),
        box,
        np.stack([(1 - h) / 2 * np.cos(a), (1 - h) / 2 * np.sin(a), h], -1),
        np.stack([np.cos(a) * (1 + 0.25 * h), np.sin(a) * (1 + 0.25 * h), 0.25 * s], -1),
        np.stack([0.7 * np.cos(a), 0.7 * np.sin(a), h], -1),
    ]
    x = np.choose(y[:, None, None], shapes) * rng.uniform(0.75, 1.25, (n, 1, 3)) + rng.normal(0, 0.09, (n, p, 3))
    return Task(
        "clouds",
        "cls",
        build=lambda: Points(5),
        loss=cross_entropy,
        classes=5,
        lr=2e-3,
        batch=50,
        epochs=20,
        **parts(x.astype(F32), y, 1500, 400),
    )


def decay_pinn(seed):
    """A damped oscillation of varying frequency from few measurements and its equation; data and residual losses, RMSE."""
    rng = np.random.default_rng(seed)
    n = 2600
    t, w = rng.uniform(0, 3, n), rng.uniform(1.5, 3.0, n)
    y = np.exp(-0.2 * t) * np.cos(np.sqrt(w**2 - 0.04) * t)
    measured = rng.random(n) < 0.25

    def pieces(out, b):
        m = b[1][:, 1]
        return {"data": 4 * m * (out[:, 0] - b[1][:, 0]) ** 2, "residual": 0.02 * out[:, 1] ** 2}

    return Task(
        "decay_pinn",
        "free",
        build=Residual,
        loss=lambda out, b: sum(pieces(out, b).values()),
        components=pieces,
        score=lambda out, b: float(((out[:, 0] - b[1][:, 0]) ** 2).mean() ** 0.5),
        score_name="rmse",
        loss_name="pinn",
        rising=False,
        lr=6e-3,
        batch=60,
        epochs=32,
        **parts(np.stack([t, w], 1).astype(F32), np.stack([y + rng.normal(0, 0.02, n), measured], 1).astype(F32), 1500, 500),
    )


def auroc(good, bad):
    """Share of pairs in which the bad one has the larger value."""
    r = torch.cat([bad, good]).argsort().argsort().float() + 1
    k, m = len(bad), len(good)
    return float((r[:k].sum() - k * (k + 1) / 2) / (k * m))


def anomaly_ae(seed):
    """Readings of 20 sensors near a curved surface of four dimensions; an autoencoder, AUROC of rows mixed of two."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(3000, 4))
    x = np.tanh(z @ rng.normal(size=(4, 20)) * 0.7) + 0.3 * np.sin(z @ rng.normal(size=(4, 20))) + rng.normal(0, 0.12, (3000, 20))
    x = x.astype(F32)
    return Task(
        "anomaly_ae",
        "free",
        build=lambda: Autoencoder(20),
        loss=lambda out, b: ((out[0] - b[0]) ** 2).mean(-1),
        score=lambda out, b: auroc(((out[0] - b[0]) ** 2).mean(-1), out[1]),
        score_name="auroc",
        loss_name="mse",
        lr=3e-3,
        batch=64,
        epochs=22,
        floor_known=False,
        **parts(x, x, 1900, 500),
    )


def poisson(out, batch):
    """Negative log-likelihood of counts for the logarithm of the rate."""
    y, o = batch[1], out.clamp(-20, 20) if not out.requires_grad else out
    return o.exp() - y * o + torch.lgamma(y + 1)


def counts(seed):
    """Visits with many zeros; a fully connected net gives the logarithm of the rate, Poisson loss, absolute error."""
    rng = np.random.default_rng(seed)
    n = 7000
    x = rng.normal(size=(n, 10))
    rate = np.exp(0.9 * np.tanh(x[:, 0] * x[:, 1]) + 0.7 * x[:, 2] - 0.5 * np.abs(x[:, 3]) + 0.4)
    y = rng.poisson(rate) * (rng.random(n) > 1 / (1 + np.exp(2 * x[:, 4] + 1)))
    return Task(
        "counts",
        "free",
        build=lambda: Mlp([10, 32, 16, 1], squeeze=True),
        loss=poisson,
        score=lambda out, b: float((out.exp() - b[1]).abs().mean()),
        score_name="mae",
        loss_name="poisson_nll",
        rising=False,
        lr=3e-3,
        batch=150,
        epochs=15,
        floor_known=False,
        chance=float(np.mean(y) - np.mean(y * np.log(np.mean(y))) + np.mean([np.sum(np.log(np.arange(1, k + 1))) for k in y])),
        **parts(x.astype(F32), np.minimum(y, 25).astype(F32), 5400, 800),
    )


def spam_bow(seed):
    """Messages as counts of 60 words, two in five are spam; a fully connected net, one logit."""
    rng = np.random.default_rng(seed)
    n = 3600
    y = (rng.random(n) < 0.4).astype(int)
    base = rng.dirichlet(np.full(60, 0.8))
    tilt = [base * np.exp(rng.normal(0, 0.9, 60)) for _ in range(4)]
    kind = 2 * y + rng.integers(0, 2, n)
    x = np.stack([rng.multinomial(rng.integers(8, 22), tilt[k] / tilt[k].sum()) for k in kind])
    x = np.log1p(x) - np.log1p(x).mean(0)
    return Task(
        "spam_bow",
        "bin",
        build=lambda: Mlp([60, 32, 16, 1], squeeze=True),
        loss=binary,
        loss_name="bce",
        classes=2,
        lr=2e-3,
        batch=80,
        epochs=12,
        floor_known=False,
        **parts((2 * x).astype(F32), y.astype(F32), 2400, 600),
    )


TASKS = {f.__name__: f for f in (towers, chars_gru, keywords, housing, clouds, decay_pinn, anomaly_ae, counts, spam_bow)}
