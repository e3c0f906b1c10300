"""More tasks of the split `sealed4`: lists of documents, pictures with a style loss."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.setups import Task
from families.tasks_dev import parts

F32 = np.float32


def ndcg5(out, batch):
    """Normalised discounted gain of the first five."""
    y, w = batch[1], 1 / torch.log2(torch.arange(5) + 2.0)
    gain = 2 ** y.gather(1, out.topk(5, -1).indices) - 1
    best = 2 ** y.topk(5, -1).values - 1
    return float(((gain * w).sum(-1) / (best * w).sum(-1).clamp_min(1e-9)).mean())


def listwise(seed):
    """Ten documents a query, eight features each, relevance 0 to 3; a list-wise softmax loss, NDCG@5."""
    rng = np.random.default_rng(seed)
    n = 2000
    x = rng.normal(size=(n, 10, 8)) + 0.4 * rng.normal(size=(n, 1, 8))
    z = np.tanh(x[..., 0] * x[..., 1]) + 0.8 * x[..., 2] - 0.5 * np.abs(x[..., 3]) + rng.normal(0, 0.35, (n, 10))
    y = np.clip(np.floor(1.1 * z + 1.2), 0, 3)

    def loss(out, b):
        p = (2.0 * b[1]).softmax(-1)
        return -(p * out.log_softmax(-1)).sum(-1)

    return Task(
        "listwise",
        "free",
        build=lambda: Mlp([8, 48, 24, 1], squeeze=True),
        loss=loss,
        score=ndcg5,
        score_name="ndcg@5",
        loss_name="listnet",
        chance=float(np.log(10)),
        lr=2e-3,
        batch=50,
        epochs=22,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 1400, 300),
    )


class Painter(nn.Module):
    """(n, 1, 12, 12) through a narrow code and back; features of a fixed random layer for the style."""

    def __init__(self, code=14, width=96):
        super().__init__()
        g = torch.Generator().manual_seed(3)
        self.register_buffer("fixed", torch.randn(6, 1, 3, 3, generator=g) / 3, persistent=False)
        self.net = Mlp([144, width, code, width, 144])

    def grams(self, x):
        f = fn.conv2d(x, self.fixed).flatten(2)
        return f @ f.transpose(1, 2) / f.shape[-1]

    def forward(self, x):
        y = self.net(x.flatten(1)).reshape(x.shape)
        return y, self.grams(y) - self.grams(x)


def style_ae(seed):
    """Patches of waves and spots through a narrow code; pixel loss and a loss of textures' correlations, PSNR."""
    rng = np.random.default_rng(seed)
    n, g = 2300, np.mgrid[:12, :12]
    a, b = rng.uniform(-0.9, 0.9, (2, n, 1, 1))
    cx, cy, ph = rng.uniform(2, 10, (n, 1, 1)), rng.uniform(2, 10, (n, 1, 1)), rng.uniform(0, 6.3, (n, 1, 1))
    x = 0.6 * np.sin(a * g[0] + b * g[1] + ph) + np.exp(-((g[0] - cx) ** 2 + (g[1] - cy) ** 2) / 5) + rng.normal(0, 0.08, (n, 12, 12))
    x = x[:, None].astype(F32)

    def pieces(out, batch):
        return {"content": ((out[0] - batch[0]) ** 2).flatten(1).mean(1), "style": 0.5 * (out[1] ** 2).flatten(1).mean(1)}

    return Task(
        "style_ae",
        "free",
        build=Painter,
        loss=lambda out, batch: sum(pieces(out, batch).values()),
        components=pieces,
        score=lambda out, batch: float(10 * torch.log10(4.0 / ((out[0].detach() - batch[0]) ** 2).mean())),
        score_name="psnr",
        loss_name="content_style",
        lr=2.5e-3,
        batch=50,
        epochs=26,
        floor_known=False,
        **parts(x, x, 1600, 350),
    )


VARIOUS = {f.__name__: f for f in (listwise, style_ae)}
