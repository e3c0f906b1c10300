"""Tasks of the split `sealed3`; none of them is in another split."""

import numpy as np
import torch
import torch.nn.functional as fn

from families import nets
from families.nets3b import Adapted, Decoder, Experts, Flow, Masked, PatchNet, Voices
from families.setups import Task
from families.tasks_dev import parts
from families.tasks_dev3 import lm_more
from families.tasks_sealed3b import clicks, depth_pix, grid_det, visits
from families.training import cross_entropy

F32 = np.float32


def glyph_vit(seed):
    """Eight glyphs of random strokes, shifted and noisy, 12 by 12 points; a vision transformer."""
    rng = np.random.default_rng(seed)
    n = 3600
    proto = (rng.random((8, 6, 6)) < 0.4).astype(float)
    y = rng.integers(0, 8, n)
    x = rng.normal(0, 0.3, (n, 1, 12, 12))
    dx, dy, gain = rng.integers(3, 5, n), rng.integers(3, 5, n), rng.uniform(0.7, 1.4, n)
    for i in range(n):
        x[i, 0, dx[i] : dx[i] + 6, dy[i] : dy[i] + 6] += gain[i] * proto[y[i]]
    return Task(
        "glyph_vit",
        "cls",
        build=lambda: PatchNet(8),
        loss=cross_entropy,
        classes=8,
        lr=2.5e-3,
        epochs=9,
        **parts(x.astype(F32), y, 2560, 500),
    )


def dialog_lm(seed):
    """Next token of a second-order Markov chain with one of three topics a sequence; a causal transformer."""
    rng = np.random.default_rng(seed)
    v, n, length = 18, 2100, 21
    base = rng.dirichlet(np.full(v, 0.08), (3, v))
    skip = rng.dirichlet(np.full(v, 0.2), v)
    x = np.zeros((n, length), int)
    topic = rng.integers(0, 3, n)
    x[:, :2] = rng.integers(0, v, (n, 2))
    for t in range(2, length):
        p = 0.75 * base[topic, x[:, t - 1]] + 0.25 * skip[x[:, t - 2]]
        x[:, t] = (p.cumsum(1) > rng.random((n, 1))).argmax(1)
    return Task(
        "dialog_lm",
        "cls",
        build=lambda: Decoder(v, 20),
        loss=cross_entropy,
        classes=v,
        lr=3e-3,
        batch=32,
        epochs=8,
        floor_known=False,
        more=lm_more,
        **parts(x[:, :-1], x[:, 1:], 1536, 300),
    )


def cox(out, batch):
    """(n,) negative partial log-likelihood within blocks of 64, per sample."""
    res = []
    for i in range(0, len(out) - 15, 64):
        h, t, e = out[i : i + 64], batch[1][i : i + 64, 0], batch[1][i : i + 64, 1]
        risk = torch.where(t.unsqueeze(0) >= t.unsqueeze(1), h.unsqueeze(0), torch.full((), -1e9)).logsumexp(1)
        res.append((risk - h) * e)
    return torch.cat(res)


def c_index(out, batch):
    """Share of comparable pairs whose order of risk is right; a tie counts half."""
    h, t, e = out[:400], batch[1][:400, 0], batch[1][:400, 1]
    pair = (t.unsqueeze(1) < t.unsqueeze(0)) & (e.unsqueeze(1) > 0)
    d = h.unsqueeze(1) - h.unsqueeze(0)
    return float(((d > 0).float() + 0.5 * (d == 0).float())[pair].mean()) if pair.any() else 0.5


def survival(seed):
    """Time to failure from 14 columns, a third censored; Cox loss, concordance."""
    rng = np.random.default_rng(seed)
    n = 3000
    x = rng.normal(size=(n, 14))
    r = 1.2 * np.sin(x[:, 0] * 1.4) + x[:, 1] * x[:, 2] + 0.8 * x[:, 3]
    t, c = rng.exponential(np.exp(-1.3 * r)), rng.exponential(2.0, n)
    y = np.stack([np.minimum(t, c), t <= c], 1)
    return Task(
        "survival",
        "free",
        build=lambda: nets.Mlp([14, 48, 48, 1], squeeze=True, drop=0.05),
        loss=cox,
        score=c_index,
        score_name="c_index",
        loss_name="cox",
        lr=1.5e-3,
        epochs=14,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 1664, 640),
    )


def flow_rings(seed):
    """Density of points near curved sheets in six dimensions by a normalising flow; nats a dimension, below zero at the end."""
    rng = np.random.default_rng(seed)
    n = 3400
    a, b = rng.uniform(-2.5, 2.5, (2, n))
    x = np.stack([a, np.sin(1.5 * a), b, 0.4 * b**2 - 1, np.tanh(a + b), np.cos(a - b)], 1)
    x = x + rng.normal(0, 0.09, x.shape)
    x = x[:, [0, 2, 4, 1, 3, 5]]
    return Task(
        "flow_rings",
        "free",
        build=lambda: Flow(6),
        loss=lambda out, batch: (0.5 * (out[0] ** 2).sum(-1) + 3 * np.log(2 * np.pi) - out[1]) / 6,
        score_name="",
        loss_name="nll",
        chance=float(0.5 * np.log(2 * np.pi * np.e * x.var(0)).mean()),  # independent Gaussians
        lr=4e-3,
        epochs=18,
        floor_known=False,
        **parts(x.astype(F32), np.zeros(n), 2240, 700),
    )


def moe_parts(out, batch):
    """Cross-entropy and the router's balance loss (1 when even)."""
    load = out[1].mean(0)
    return {
        "task": fn.cross_entropy(out[0], batch[1], reduction="none"),
        "balance": (0.02 * len(load) * (load**2).sum()).expand(len(batch[1])),
    }


def moe_router(seed):
    """Six classes whose rule differs by region; four experts and a router with a balance loss."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 16))
    region = (x[:, 0] > 0).astype(int) * 2 + (x[:, 1] > 0)
    w = rng.normal(size=(4, 16, 6))
    y = (np.einsum("ni,nij->nj", x, w[region]) + rng.gumbel(0, 0.5, (3000, 6))).argmax(1)

    def more(res, out, batch):
        return {f"router/load_{i}": float(q) for i, q in enumerate(out[1].mean(0))}

    return Task(
        "moe_router",
        "free",
        build=lambda: Experts(16, 6),
        loss=lambda out, b: sum(moe_parts(out, b).values()),
        components=moe_parts,
        score=lambda out, b: float((out[0].argmax(-1) == b[1]).float().mean()),
        score_name="acc",
        loss_name="ce+aux",
        lr=7e-3,
        epochs=18,
        floor_known=False,
        more=more,
        **parts(x.astype(F32), y, 1900, 600),
    )


def margin(out, batch):
    """(n,) additive margin softmax: margin 0.2, scale 12."""
    own = fn.one_hot(batch[1], out[0].shape[1]).float()
    return fn.cross_entropy(12 * (out[0] - 0.2 * own), batch[1], reduction="none")


def eer(out, batch):
    """Equal error rate of cosine scores over pairs of the first 300 embeddings."""
    e, y = out[1][:300], batch[1][:300]
    i, j = torch.triu_indices(len(e), len(e), 1)
    s, same = (e @ e.T)[i, j], (y[i] == y[j])
    if same.all() or not same.any() or not torch.isfinite(s).all():
        return 0.5
    s = s.detach()
    grid = torch.linspace(float(s.min()), float(s.max()), 200)
    miss = (s[same].unsqueeze(0) < grid.unsqueeze(1)).float().mean(1)
    false = (s[~same].unsqueeze(0) >= grid.unsqueeze(1)).float().mean(1)
    k = (miss - false).abs().argmin()
    return float((miss[k] + false[k]) / 2)


def voices_am(seed):
    """Sixteen speakers in 24 features with recording noise; margin softmax, equal error rate."""
    rng = np.random.default_rng(seed)
    n = 2600
    y = rng.integers(0, 16, n)
    c, room = rng.normal(size=(16, 24)), rng.normal(size=(3, 24))
    x = c[y] + rng.normal(0, 0.6, (n, 3)) @ room + rng.normal(0, 0.6, (n, 24))
    return Task(
        "voices_am",
        "free",
        build=lambda: Voices(24, 16),
        loss=margin,
        score=eer,
        score_name="eer",
        rising=False,
        loss_name="am",
        lr=2e-3,
        epochs=14,
        floor_known=False,
        **parts(x.astype(F32), y, 1536, 600),
    )


def masked_ce(out, batch):
    """(n,) cross-entropy over the masked positions (target at least 0)."""
    each = fn.cross_entropy(out.transpose(1, 2), batch[1].clamp_min(0), reduction="none")
    real = (batch[1] >= 0).float()
    return (each * real).sum(1) / real.sum(1).clamp_min(1)


def masked_acc(out, batch):
    """Accuracy on the masked positions."""
    real = batch[1] >= 0
    return float((out.argmax(-1) == batch[1])[real].float().mean())


def masked_sites(seed):
    """A fifth of the tokens of a periodic chain is masked and to be restored; a bidirectional transformer."""
    rng = np.random.default_rng(seed)
    v, n, length = 10, 2100, 12
    step = rng.integers(1, 4, (n, 1))
    full = (rng.integers(0, v, (n, 1)) + step * np.arange(length) + (rng.random((n, length)) < 0.08) * rng.integers(1, v, (n, length))) % v
    hide = rng.random((n, length)) < 0.2
    hide[:, 0] |= ~hide.any(1)
    return Task(
        "masked_sites",
        "free",
        build=lambda: Masked(v, length),
        loss=masked_ce,
        score=masked_acc,
        score_name="acc",
        loss_name="mlm",
        lr=3e-3,
        epochs=14,
        floor_known=False,
        more=lambda res, out, b: {"ppl": float(np.exp(min(res["loss"], 50.0)))},
        **parts(np.where(hide, v, full), np.where(hide, full, -100), 1400, 400),
    )


def pretrained(seed):
    """A network trained on twelve classes of the same inputs."""
    rng = np.random.default_rng(seed)
    x = torch.as_tensor(rng.normal(size=(3000, 20)).astype(F32))
    w = torch.as_tensor(rng.normal(size=(20, 12)).astype(F32))
    y = (torch.tanh(x @ w) @ torch.as_tensor(rng.normal(size=(12, 12)).astype(F32))).argmax(1)
    torch.manual_seed(seed)
    net = nets.Mlp([20, 64, 64, 12])
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    for i in range(300):
        j = torch.arange(i * 64, i * 64 + 64) % 3000
        opt.zero_grad()
        fn.cross_entropy(net(x[j]), y[j]).backward()
        opt.step()
    return net, w.numpy()


def lora_ft(seed):
    """Fine-tuning a pretrained network on six new classes with low-rank adapters."""
    net, w = pretrained(seed)
    rng = np.random.default_rng(seed + 1)
    x = rng.normal(size=(2400, 20))
    y = (np.tanh(x @ w) @ rng.normal(size=(12, 6)) + rng.gumbel(0, 0.3, (2400, 6))).argmax(1)
    return Task(
        "lora_ft",
        "cls",
        build=lambda: Adapted(net, 6),
        loss=cross_entropy,
        classes=6,
        lr=3e-3,
        epochs=14,
        **parts(x.astype(F32), y, 1300, 600),
    )


TASKS = {
    f.__name__: f
    for f in (
        glyph_vit,
        dialog_lm,
        survival,
        flow_rings,
        moe_router,
        voices_am,
        masked_sites,
        lora_ft,
        clicks,
        depth_pix,
        grid_det,
        visits,
    )
}
