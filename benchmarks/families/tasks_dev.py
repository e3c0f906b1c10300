"""Tasks of the split `dev`."""

import numpy as np
import torch
import torch.nn.functional as fn
from sklearn import datasets

from families.nets import ConvNet, Embedder, Mlp, Policy, Segmenter, Tagger, Transformer, Vae
from families.setups import Task
from families.training import cross_entropy, squared


def parts(x, y, n_train, n_val):
    """Cut into train, val and test."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    cut = lambda a, b: (x[a:b], y[a:b])  # noqa: E731
    return {"train": cut(0, n_train), "val": cut(n_train, n_train + n_val), "test": cut(n_train + n_val, len(x))}


def shapes(rng, n, size=16):
    """Noisy pictures (n, 1, s, s) of a square, cross, ring or stripes, and their class."""
    y = rng.integers(0, 4, n)
    x = rng.normal(0, 0.45, (n, 1, size, size))
    g = np.mgrid[:size, :size]
    for i in range(n):
        r, (a, b) = rng.uniform(2.5, 5), rng.uniform(5, size - 5, 2)
        u, v = np.abs(g[0] - a), np.abs(g[1] - b)
        d = np.hypot(u, v)
        mask = [
            (np.maximum(u, v) < r),
            (np.minimum(u, v) < 1) & (np.maximum(u, v) < r + 1),
            np.abs(d - r) < 0.9,
            ((g[0] - g[1]) % 4 < 1) & (d < r + 1),
        ][y[i]]
        x[i, 0] += mask * rng.uniform(0.8, 1.6)
    return x.astype(np.float32), y


def shapes_cnn(seed):
    """Four shapes, convolutions with batch norm."""
    x, y = shapes(np.random.default_rng(seed), 2400)
    return Task(
        "shapes_cnn",
        "cls",
        build=lambda: ConvNet(1, 4, width=8),
        loss=cross_entropy,
        classes=4,
        lr=3e-3,
        epochs=16,
        **parts(x, y, 1200, 500),
    )


def modadd_tf(seed):
    """Tag every digit with the sum of it and its left neighbour modulo 7; a transformer, which learns in two steps."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 7, (3000, 8))
    y = (x + np.concatenate([x[:, :1], x[:, :-1]], 1)) % 7
    return Task(
        "modadd_tf", "cls", build=lambda: Transformer(7, 7, 8), loss=cross_entropy, classes=7, lr=3e-3, epochs=18, **parts(x, y, 1800, 500)
    )


def tag_gru(seed):
    """Tag tokens of a hidden Markov chain with its state (5 states, 30 symbols); a GRU, irreducible error."""
    rng = np.random.default_rng(seed)
    k, v, n, length = 5, 30, 2200, 12
    move, emit = rng.dirichlet(np.full(k, 0.25), k), rng.dirichlet(np.full(v, 0.1), k)
    y, x = np.zeros((n, length), int), np.zeros((n, length), int)
    s = rng.integers(0, k, n)
    for t in range(length):
        s = np.array([rng.choice(k, p=move[a]) for a in s])
        y[:, t], x[:, t] = s, [rng.choice(v, p=emit[a]) for a in s]
    return Task(
        "tag_gru",
        "cls",
        build=lambda: Tagger(v, k, both=True),
        loss=cross_entropy,
        classes=k,
        lr=4e-3,
        epochs=16,
        floor_known=False,
        **parts(x, y, 1200, 400),
    )


def blobs5(seed):
    """Five tabular classes, 20 features."""
    x, y = datasets.make_classification(
        3000, 20, n_informative=10, n_classes=5, n_clusters_per_class=2, class_sep=1.6, flip_y=0.01, random_state=seed
    )
    return Task(
        "blobs5",
        "cls",
        build=lambda: Mlp([20, 64, 64, 5], drop=0.1),
        loss=cross_entropy,
        classes=5,
        lr=2e-3,
        epochs=30,
        **parts(x.astype(np.float32), y, 1500, 600),
    )


def friedman(seed):
    """Friedman's first function of ten features with noise; mean squared error on a standardised target."""
    x, y = datasets.make_friedman1(2800, 10, noise=0.8, random_state=seed)
    x, y = (x - 0.5) / 0.29, (y - y.mean()) / y.std()
    r2 = lambda out, b: 1 - float(((out - b[1]) ** 2).mean() / b[1].var())  # noqa: E731
    return Task(
        "friedman",
        "reg",
        build=lambda: Mlp([10, 64, 64, 1], squeeze=True),
        loss=squared,
        score=r2,
        score_name="r2",
        loss_name="mse",
        lr=2e-3,
        epochs=30,
        **parts(x.astype(np.float32), y.astype(np.float32), 1400, 600),
    )


def elbo(out, batch):
    """(n,) negative evidence lower bound up to a constant, nats per feature."""
    rec, mu, logvar = out
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    return (2.0 * ((rec - batch[0]) ** 2).sum(-1) + kl) / batch[0].shape[-1]


def curves_vae(seed):
    """Noisy sums of two sine waves (32 points); a variational autoencoder."""
    rng = np.random.default_rng(seed)
    n, t = 2600, np.linspace(0, 1, 32)
    a, f, p = rng.uniform(0.5, 1.5, (n, 2, 1)), rng.uniform(0.5, 3, (n, 2, 1)), rng.uniform(0, 6.3, (n, 2, 1))
    x = (a * np.sin(6.3 * f * t + p)).sum(1) + rng.normal(0, 0.2, (n, 32))
    x = x.astype(np.float32)
    return Task(
        "curves_vae",
        "free",
        build=lambda: Vae(32),
        loss=elbo,
        score_name="",
        loss_name="elbo",
        lr=2e-3,
        epochs=30,
        floor_known=False,
        **parts(x, x, 1600, 500),
    )


def info_nce(out, batch):
    """(n,) InfoNCE between two views at temperature 0.2; chance is ln n."""
    a, b = out[:, 0], out[:, 1]
    n = min(len(a), 64)
    rows = [
        fn.cross_entropy(a[i : i + n] @ b[i : i + n].T / 0.2, torch.arange(len(a[i : i + n])), reduction="none")
        for i in range(0, len(a) - n + 1, n)
    ]
    return torch.cat(rows)


def nce_top1(out, batch):
    """Share of the first 64 views whose partner is nearest."""
    s = out[:64, 0] @ out[:64, 1].T
    return float((s.argmax(1) == torch.arange(len(s))).float().mean())


def views_nce(seed):
    """Two noisy views of points near a curved surface; contrastive embedding."""
    rng = np.random.default_rng(seed)
    z, w = rng.normal(size=(2400, 4)), rng.normal(size=(4, 24))
    base = np.tanh(z @ w)
    x = np.stack([base + rng.normal(0, 0.35, base.shape) for _ in range(2)], 1).astype(np.float32)
    return Task(
        "views_nce",
        "free",
        build=lambda: Embedder(24),
        loss=info_nce,
        score=nce_top1,
        score_name="top1",
        loss_name="nce",
        lr=2e-3,
        epochs=24,
        floor_known=False,
        **parts(x, np.zeros(2400), 1408, 512),
    )


def dice_loss(out, batch):
    """(n,) negative soft Dice, -1 at best."""
    p, t = out.sigmoid().flatten(1), batch[1].flatten(1)
    return -(2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)


def hard_dice(out, batch):
    """Mean Dice of thresholded masks."""
    p, t = (out > 0).float().flatten(1), batch[1].flatten(1)
    return float(((2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)).mean())


def discs_seg(seed):
    """Segment a disc in a noisy picture of 16 by 16 points; Dice loss, negative."""
    rng = np.random.default_rng(seed)
    n, g = 1400, np.mgrid[:16, :16]
    c, r = rng.uniform(4, 12, (n, 2)), rng.uniform(2.2, 5, n)
    y = (np.hypot(g[0][None] - c[:, 0, None, None], g[1][None] - c[:, 1, None, None]) < r[:, None, None]).astype(np.float32)
    x = (y * rng.uniform(0.7, 1.5, (n, 1, 1)) + rng.normal(0, 0.7, y.shape)).astype(np.float32)[:, None]
    return Task(
        "discs_seg",
        "free",
        build=Segmenter,
        loss=dice_loss,
        score=hard_dice,
        score_name="dice",
        loss_name="dice",
        lr=2e-3,
        epochs=14,
        batch=32,
        floor_known=False,
        **parts(x, y, 640, 320),
    )


def dpo_loss(out, batch):
    """(n,) sigmoid preference loss at beta 0.5; ln 2 at the start."""
    return -fn.logsigmoid(0.5 * (out[:, 0] - out[:, 1]))


def dpo_toy(seed):
    """Preferences of a linear judge between two of 24 answers to a prompt of ten features, 10 % flipped."""
    rng = np.random.default_rng(seed)
    n = 2600
    p, w = rng.normal(size=(n, 10)), rng.normal(size=(10, 24))
    a = np.array([rng.choice(24, 2, replace=False) for _ in range(n)])
    q = p @ w
    better = q[np.arange(n), a[:, 0]] > q[np.arange(n), a[:, 1]]
    better ^= rng.random(n) < 0.1
    a = np.where(better[:, None], a, a[:, ::-1])
    x = np.concatenate([p, a], 1).astype(np.float32)
    acc = lambda out, b: float((out[:, 0] > out[:, 1]).float().mean())  # noqa: E731
    return Task(
        "dpo_toy",
        "free",
        build=lambda: Policy(10),
        loss=dpo_loss,
        score=acc,
        score_name="rewards_acc",
        loss_name="dpo",
        lr=4e-3,
        epochs=14,
        floor_known=False,
        **parts(x, np.zeros(n), 1600, 500),
    )


TASKS = {f.__name__: f for f in (shapes_cnn, modadd_tf, tag_gru, blobs5, friedman, curves_vae, views_nce, discs_seg, dpo_toy)}
