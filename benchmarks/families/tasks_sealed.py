"""Tasks of the split `sealed`; none of them is in `dev`."""

import numpy as np
import torch
import torch.nn.functional as fn
from sklearn import datasets

from families.nets import ConvNet, Embedder, Mlp, PairScorer, Tagger, Transformer
from families.setups import Task
from families.tasks_dev import parts
from families.training import binary, cross_entropy, squared


def sort_tf(seed):
    """Seven numbers out of 12; tag each place with the number that stands there after sorting; a transformer."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 12, (3200, 7))
    return Task(
        "sort_tf",
        "cls",
        build=lambda: Transformer(12, 12, 7, width=32),
        loss=cross_entropy,
        classes=12,
        lr=3e-3,
        epochs=10,
        **parts(x, np.sort(x, 1), 2000, 500),
    )


def textures(rng, n, size=16):
    """Filtered noise of six directions and grains, (n, 2, s, s)."""
    y = rng.integers(0, 6, n)
    f = np.fft.fftfreq(size)
    u, v = np.meshgrid(f, f, indexing="ij")
    x = np.zeros((n, 2, size, size), np.float32)
    for i in range(n):
        a = y[i] % 3 * np.pi / 3 + rng.normal(0, 0.12)
        c = (0.14 if y[i] < 3 else 0.27) * rng.uniform(0.85, 1.15)
        band = np.exp(-((((u * np.cos(a) + v * np.sin(a)) ** 2) ** 0.5 - c) ** 2) / 0.004 - (-u * np.sin(a) + v * np.cos(a)) ** 2 / 0.01)
        for k in range(2):
            w = np.fft.ifft2(np.fft.fft2(rng.normal(size=(size, size))) * band).real
            x[i, k] = w / (w.std() + 1e-9) + rng.normal(0, 0.9, (size, size))
    return x, y


def texture_net(seed):
    """Six textures, convolutions with group norm."""
    x, y = textures(np.random.default_rng(seed), 2200)
    return Task(
        "texture_net",
        "cls",
        build=lambda: ConvNet(2, 6, width=8, norm="group"),
        loss=cross_entropy,
        classes=6,
        lr=4e-3,
        epochs=14,
        **parts(x, y, 1200, 500),
    )


def ctc_loss(out, batch):
    """(n,) connectionist temporal classification, nats per symbol; class 0 is the blank."""
    n, t, _ = out.shape
    lengths = torch.full((n,), batch[1].shape[1], dtype=torch.long)
    return (
        fn.ctc_loss(out.log_softmax(-1).transpose(0, 1), batch[1], torch.full((n,), t, dtype=torch.long), lengths, reduction="none")
        / batch[1].shape[1]
    )


def ctc_exact(out, batch):
    """Share of symbols that greedy decoding gets right in place."""
    top = out.argmax(-1)
    hits = 0.0
    for row, want in zip(top.tolist(), batch[1].tolist(), strict=True):
        got = [a for i, a in enumerate(row) if a and (i == 0 or row[i - 1] != a)]
        hits += sum(a == b for a, b in zip(got, want, strict=False)) / len(want)
    return hits / len(top)


def ctc_lstm(seed):
    """Read four symbols, each lasting two to four noisy frames; a recurrent net with CTC."""
    rng = np.random.default_rng(seed)
    n, frames = 1700, 14
    y = rng.integers(1, 6, (n, 4))
    x = np.zeros((n, frames), int)
    for i in range(n):
        row = np.concatenate([[s * 4 + rng.integers(0, 4) for _ in range(rng.integers(2, 4))] for s in y[i]])[:frames]
        x[i, : len(row)] = row
        x[i] = np.where(rng.random(frames) < 0.04, rng.integers(0, 24, frames), x[i])
    return Task(
        "ctc_lstm",
        "free",
        build=lambda: Tagger(24, 6, cell="lstm", both=True),
        loss=ctc_loss,
        score=ctc_exact,
        score_name="symbol_acc",
        loss_name="ctc",
        lr=6e-3,
        epochs=18,
        floor_known=False,
        **parts(x, y, 1000, 300),
    )


def churn2(seed):
    """Two classes, 30 columns of a table, 3 : 2; one logit."""
    x, y = datasets.make_classification(
        3200, 30, n_informative=9, n_redundant=6, n_clusters_per_class=3, weights=[0.6], class_sep=1.3, flip_y=0.02, random_state=seed
    )
    return Task(
        "churn2",
        "bin",
        build=lambda: Mlp([30, 64, 32, 1], squeeze=True),
        loss=binary,
        classes=2,
        loss_name="bce",
        lr=1e-3,
        epochs=14,
        **parts(x.astype(np.float32), y, 1800, 600),
    )


def twenty(seed):
    """Twenty classes, 40 columns."""
    x, y = datasets.make_classification(
        5000, 40, n_informative=20, n_redundant=4, n_classes=20, n_clusters_per_class=1, class_sep=2.2, flip_y=0.01, random_state=seed
    )
    return Task(
        "twenty",
        "cls",
        build=lambda: Mlp([40, 96, 64, 20], drop=0.25),
        loss=cross_entropy,
        classes=20,
        lr=1.2e-3,
        epochs=14,
        **parts(x.astype(np.float32), y, 3400, 800),
    )


def motor(seed):
    """Three outputs of a simulated motor (speed, torque, heat) from twelve readings; mean squared error."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 12))
    y = np.stack(
        [
            np.sin(x[:, 0] * 1.5) + x[:, 1] * x[:, 2] * 0.6,
            np.tanh(x[:, 3] + x[:, 4]) * 1.3 + 0.3 * x[:, 5] ** 2,
            np.abs(x[:, 6]) + 0.5 * x[:, 7],
        ],
        1,
    )
    y = (y - y.mean(0)) / y.std(0) + rng.normal(0, 0.15, y.shape)
    r2 = lambda out, b: 1 - float(((out - b[1]) ** 2).mean() / b[1].var())  # noqa: E731
    return Task(
        "motor",
        "reg",
        build=lambda: Mlp([12, 64, 48, 3]),
        loss=squared,
        score=r2,
        score_name="r2",
        loss_name="mse",
        lr=3e-3,
        epochs=26,
        **parts(x.astype(np.float32), y.astype(np.float32), 1600, 600),
    )


def denoise_ae(seed):
    """Take the noise off a 40-point step function through a bottleneck of eight."""
    rng = np.random.default_rng(seed)
    n = 2600
    y = np.zeros((n, 40))
    for i in range(n):
        cuts = np.sort(rng.integers(4, 36, 2))
        y[i] = rng.normal(0, 1, 3)[np.digitize(np.arange(40), cuts)]
    x = y + rng.normal(0, 0.3, y.shape)
    return Task(
        "denoise_ae",
        "reg",
        build=lambda: Mlp([40, 64, 8, 64, 40]),
        loss=squared,
        score_name="",
        loss_name="mse",
        lr=2e-3,
        epochs=24,
        floor_known=False,
        **parts(x.astype(np.float32), y.astype(np.float32), 1600, 500),
    )


def triplet_loss(out, batch):
    """(n,) batch-hard triplet loss in blocks of 64, margin 0.3; 0.3 or more where the embedding says nothing."""
    res = []
    for i in range(0, len(out) - 7, 64):
        e, y = out[i : i + 64], batch[1][i : i + 64]
        d = (e.unsqueeze(1) - e.unsqueeze(0)).pow(2).sum(-1).clamp_min(1e-9).sqrt()
        same = y.unsqueeze(1) == y.unsqueeze(0)
        eye = torch.eye(len(e), dtype=torch.bool)
        far = d.masked_fill(~same | eye, 0.0).max(1).values
        near = d.masked_fill(same, 10.0).min(1).values
        res.append(fn.softplus((far - near + 0.3) * 4) / 4)
    return torch.cat(res)


def recall_at_1(out, batch):
    """Share whose nearest neighbour has the same identity."""
    d = torch.cdist(out[:256], out[:256]) + torch.eye(len(out[:256])) * 10
    return float((batch[1][:256][d.argmin(1)] == batch[1][:256]).float().mean())


def triplet_id(seed):
    """Ten identities on curved clusters; metric learning."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, 2400)
    c = rng.normal(size=(10, 3, 20))
    t = rng.uniform(-1, 1, (2400, 1))
    x = c[y, 0] + t * c[y, 1] + np.sin(3 * t) * c[y, 2] + rng.normal(0, 0.5, (2400, 20))
    return Task(
        "triplet_id",
        "free",
        build=lambda: Embedder(20, width=48, out=8),
        loss=triplet_loss,
        score=recall_at_1,
        score_name="recall_at_1",
        loss_name="triplet",
        lr=1e-3,
        epochs=20,
        floor_known=False,
        **parts(x.astype(np.float32), y, 1408, 512),
    )


def rank_loss(out, batch):
    """(n,) pairwise logistic ranking loss; ln 2 where nothing is known."""
    return fn.softplus(-out * batch[1])


def rank_pair(seed):
    """Which of two documents is more relevant (14 features, noisy judges)."""
    rng = np.random.default_rng(seed)
    n = 3000
    x = rng.normal(size=(n, 2, 14))
    rel = np.sin(x[..., 0] * 1.3) + x[..., 1] * x[..., 2] + 0.6 * x[..., 3]
    d = rel[:, 0] - rel[:, 1] + rng.logistic(0, 0.25, n)
    y = np.where(d > 0, 1.0, -1.0).astype(np.float32)
    acc = lambda out, b: float(((out > 0) == (b[1] > 0)).float().mean())  # noqa: E731
    return Task(
        "rank_pair",
        "free",
        build=lambda: PairScorer(14),
        loss=rank_loss,
        score=acc,
        score_name="pair_acc",
        loss_name="rank",
        lr=1.2e-3,
        epochs=13,
        floor_known=False,
        **parts(x.astype(np.float32), y, 1800, 600),
    )


def bracket_lm(seed):
    """Next symbol of nested brackets of three kinds with letters between; an LSTM language model."""
    rng = np.random.default_rng(seed)
    n, length = 2000, 20
    x = np.zeros((n, length + 1), int)
    for i in range(n):
        stack = []
        for t in range(length + 1):
            if stack and rng.random() < 0.42:
                x[i, t] = 3 + stack.pop()
            elif rng.random() < 0.6 and len(stack) < 5:
                stack.append(int(rng.integers(0, 3)))
                x[i, t] = stack[-1]
            else:
                x[i, t] = 6 + rng.choice(6, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    return Task(
        "bracket_lm",
        "cls",
        build=lambda: Tagger(12, 12, width=40, cell="lstm"),
        loss=cross_entropy,
        classes=12,
        lr=4e-3,
        epochs=16,
        floor_known=False,
        **parts(x[:, :-1], x[:, 1:], 1200, 400),
    )


TASKS = {f.__name__: f for f in (sort_tf, texture_net, ctc_lstm, churn2, twenty, motor, denoise_ae, triplet_id, rank_pair, bracket_lm)}
