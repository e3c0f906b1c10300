"""More tasks of the split `sealed3`: clicks, pixels, boxes, counts."""

import numpy as np
import torch
import torch.nn.functional as fn

from families import nets
from families.nets3b import Clicks, Depth, GridNet
from families.setups import Task
from families.tasks_dev import parts

F32 = np.float32


def auc(out, batch):
    """Area under the ROC curve."""
    r = out.argsort().argsort().float() + 1
    pos = batch[1] > 0.5
    k, m = int(pos.sum()), int((~pos).sum())
    return float((r[pos].sum() - k * (k + 1) / 2) / max(1, k * m))


def clicks(seed):
    """Clicks (a fifth) from five categorical fields of 8 to 60 values; embeddings, area under the curve."""
    rng = np.random.default_rng(seed)
    sizes, n = (60, 40, 25, 12, 8), 9600
    x = np.stack([rng.choice(k, n, p=rng.dirichlet(np.full(k, 2.0))) for k in sizes], 1)
    f = [rng.normal(size=(k, 4)) for k in sizes]
    z = sum((f[a][x[:, a]] * f[b][x[:, b]]).sum(1) for a, b in ((0, 2), (1, 3), (2, 4))) * 0.55
    z = z + sum(rng.normal(0, 0.6, k)[x[:, i]] for i, k in enumerate(sizes))
    y = rng.random(n) < 1 / (1 + np.exp(-(z - np.quantile(z, 0.8)) * 1.2))
    return Task(
        "clicks",
        "free",
        build=lambda: Clicks(sizes),
        loss=lambda out, b: fn.binary_cross_entropy_with_logits(out, b[1], reduction="none"),
        score=auc,
        score_name="auc",
        loss_name="bce",
        lr=3e-3,
        batch=128,
        epochs=6,
        floor_known=False,
        **parts(x, y.astype(F32), 7680, 1200),
    )


def depth_pix(seed):
    """Depth of a picture of shaded bumps in three channels, 12 by 12 points; absolute error of the logarithm, delta below 1.25."""
    rng = np.random.default_rng(seed)
    n, g = 1500, np.mgrid[:12, :12]
    d = np.full((n, 12, 12), 1.2) + rng.uniform(-0.3, 0.3, (n, 1, 1)) * (g[0] - 6) / 6
    for _ in range(2):
        c, r, h = rng.uniform(0, 12, (2, n, 1, 1)), rng.uniform(1.5, 3.5, (n, 1, 1)), rng.uniform(0.3, 0.9, (n, 1, 1))
        d -= h * np.exp(-((g[0] - c[0]) ** 2 + (g[1] - c[1]) ** 2) / (2 * r**2)) * 0.6
    gy, gx = np.gradient(d, axis=(1, 2))
    x = np.stack([gx * 4, gy * 4, 1 / np.maximum(d, 0.2) - 0.8], 1) + rng.normal(0, 0.12, (n, 3, 12, 12))
    y = np.log(np.maximum(d, 0.15))
    delta = lambda out, b: float(((out - b[1]).abs() < np.log(1.05)).float().mean())  # noqa: E731
    return Task(
        "depth_pix",
        "reg",
        build=Depth,
        loss=lambda out, b: (out - b[1]).abs().flatten(1).mean(1),
        score=delta,
        score_name="delta1",
        loss_name="abs_log",
        lr=4e-3,
        batch=32,
        epochs=14,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 960, 300),
    )


def grid_parts(out, batch):
    """Objectness, box and class losses, each (n,); the target is (n, 16, 4): present, offset, class."""
    t = batch[1]
    here = t[..., 0]
    cls = fn.cross_entropy(out[..., 3:].transpose(1, 2), t[..., 3].long(), reduction="none")
    count = here.sum(1).clamp_min(1)
    return {
        "obj": fn.binary_cross_entropy_with_logits(out[..., 0], here, reduction="none").mean(1) * 3,
        "box": (fn.smooth_l1_loss(out[..., 1:3], t[..., 1:3], reduction="none").sum(-1) * here).sum(1) / count * 2,
        "cls": (cls * here).sum(1) / count * 0.5,
    }


def grid_f1(out, batch):
    """F1 of cells found with the right class."""
    t = batch[1]
    said, here = out[..., 0] > 0, t[..., 0] > 0.5
    right = (said & here & (out[..., 3:].argmax(-1) == t[..., 3].long())).sum()
    return float(2 * right / (said.sum() + here.sum()).clamp_min(1))


def grid_det(seed):
    """Find one to three objects of three kinds on a grid; objectness, box and class losses."""
    rng = np.random.default_rng(seed)
    n = 1500
    x, y = rng.normal(0, 0.25, (n, 1, 16, 16)), np.zeros((n, 16, 4))
    shapes = np.stack([np.ones((3, 3)), np.eye(3) + np.eye(3)[::-1], np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])])
    for i in range(n):
        for cell in rng.choice(16, rng.integers(1, 4), replace=False):
            a, b, k = rng.integers(0, 2), rng.integers(0, 2), rng.integers(0, 3)
            r, c = cell // 4 * 4 + a, cell % 4 * 4 + b
            x[i, 0, r : r + 3, c : c + 3] += shapes[k] * rng.uniform(0.8, 1.4)
            y[i, cell] = (1, a - 0.5, b - 0.5, k)
    return Task(
        "grid_det",
        "free",
        build=GridNet,
        loss=lambda out, b: sum(grid_parts(out, b).values()),
        components=grid_parts,
        score=grid_f1,
        score_name="f1",
        loss_name="obj+box+cls",
        lr=4e-3,
        batch=32,
        epochs=14,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 960, 300),
    )


def visits(seed):
    """Counts of visits from twelve columns; Poisson likelihood, deviance explained."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 12))
    rate = np.exp(1.0 + 0.6 * np.sin(1.5 * x[:, 0]) + 0.4 * x[:, 1] * (x[:, 2] > 0) + 0.3 * x[:, 3])
    y = rng.poisson(rate)

    def explained(out, b):
        t = b[1]
        dev = lambda mu: 2 * (torch.where(t > 0, t * (t.clamp_min(1) / mu).log(), torch.zeros(())) - (t - mu)).mean()  # noqa: E731
        return 1 - float(dev(out.exp()) / dev(t.mean().clamp_min(1e-3)))

    return Task(
        "visits",
        "reg",
        build=lambda: nets.Mlp([12, 48, 48, 1], squeeze=True),
        loss=lambda out, b: fn.poisson_nll_loss(out, b[1], reduction="none"),
        score=explained,
        score_name="d2",
        loss_name="poisson",
        lr=2.5e-3,
        epochs=14,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 1700, 600),
    )
