"""Tasks of the split `dev3`; none of them is in another split."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families import nets
from families.nets3 import CausalConv, Denoiser, Factors, GraphNet, Heads, Seq2Seq, Signal, SuperRes
from families.setups import Task
from families.tasks_dev import parts
from families.training import cross_entropy

F32 = np.float32


def absolute(out, batch):
    """(n,) mean absolute error."""
    return (out - batch[1]).abs().flatten(1).mean(1)


def superres(seed):
    """Double the resolution of pictures of smooth bumps and bars (8 to 16 points); mean absolute error, PSNR."""
    rng = np.random.default_rng(seed)
    n, g = 1500, np.mgrid[:16, :16]
    y = np.zeros((n, 16, 16))
    for _ in range(3):
        c, r, h = rng.uniform(0, 16, (2, n, 1, 1)), rng.uniform(1.2, 4, (n, 1, 1)), rng.uniform(-1, 1, (n, 1, 1))
        y += h * np.exp(-((g[0] - c[0]) ** 2 + (g[1] - c[1]) ** 2) / (2 * r**2))
    a, o = rng.uniform(0, np.pi, (2, n, 1, 1))
    y += 0.8 * (((g[0] - 8) * np.cos(a) + (g[1] - 8) * np.sin(a) + o) > 0)
    x = y.reshape(n, 8, 2, 8, 2).mean((2, 4)) + rng.normal(0, 0.03, (n, 8, 8))
    psnr = lambda out, b: float(-10 * torch.log10(((out - b[1]) ** 2).mean() / 4 + 1e-12))  # noqa: E731
    return Task(
        "superres",
        "reg",
        build=SuperRes,
        loss=absolute,
        score=psnr,
        score_name="psnr",
        loss_name="l1",
        lr=5e-3,
        batch=32,
        epochs=14,
        floor_known=False,
        **parts(x[:, None].astype(F32), y.astype(F32), 960, 300),
    )


def words(rng, n, length):
    """Sentences of a small grammar with agreement of number between subject and verb, as ids 1..23; 0 ends a sentence."""
    x = np.zeros((n, length), int)
    for i in range(n):
        row = []
        while len(row) < length:
            many = int(rng.integers(0, 2))
            np_ = lambda k: [1 + k, *[3 + int(a) for a in rng.integers(0, 4, rng.integers(0, 3))], 7 + 4 * k + int(rng.integers(0, 4))]  # noqa: E731
            row += np_(many)
            if rng.random() < 0.3:
                row += [23, *np_(int(rng.integers(0, 2)))]
            row += [15 + 4 * many + int(rng.choice(4, p=[0.55, 0.25, 0.15, 0.05])), 0]
        x[i] = row[:length]
    return x


def lm_more(res, out, batch):
    """Perplexity and bits per byte (4.2 bytes a word)."""
    return {"ppl": float(np.exp(min(res["loss"], 50.0))), "bpb": res["loss"] / np.log(2) / 4.2}


def grammar_lm(seed):
    """Next word of a grammar with agreement; causal convolutions; a language model with irreducible entropy."""
    x = words(np.random.default_rng(seed), 1500, 25)
    return Task(
        "grammar_lm",
        "cls",
        build=lambda: CausalConv(24),
        loss=cross_entropy,
        classes=24,
        lr=2.5e-3,
        batch=32,
        epochs=12,
        floor_known=False,
        more=lm_more,
        **parts(x[:, :-1], x[:, 1:], 900, 300),
    )


def padded_ce(out, batch):
    """(n,) cross-entropy over the positions that are not padding (target 0)."""
    each = fn.cross_entropy(out.transpose(1, 2), batch[1], reduction="none")
    real = (batch[1] != 0).float()
    return (each * real).sum(1) / real.sum(1)


def token_accuracy(out, batch):
    """Share of right tokens among those that are not padding."""
    real = batch[1] != 0
    return float((out.argmax(-1) == batch[1])[real].float().mean())


def reverse_s2s(seed):
    """Reverse a sequence of 4 to 8 symbols and map each to another; GRU encoder and decoder, teacher forcing."""
    rng = np.random.default_rng(seed)
    n, t, v = 1900, 8, 13
    code = np.concatenate([[0], 1 + rng.permutation(v - 2), [v - 1]])
    src, tgt = np.zeros((n, t), int), np.zeros((n, t), int)
    for i in range(n):
        k = rng.integers(4, t + 1)
        s = rng.integers(1, v - 1, k)
        src[i, :k], tgt[i, :k] = s, code[s[::-1]]
    given = np.concatenate([np.full((n, 1), v - 1), tgt[:, :-1]], 1)
    return Task(
        "reverse_s2s",
        "free",
        build=lambda: Seq2Seq(v, t),
        loss=padded_ce,
        score=token_accuracy,
        score_name="token_acc",
        loss_name="padded_ce",
        lr=5e-3,
        epochs=14,
        floor_known=False,
        **parts(np.concatenate([src, given], 1), tgt, 1200, 350),
    )


def coral(out, batch):
    """(n,) sum of binary cross-entropies of the thresholds, over the number of thresholds."""
    over = (batch[1].unsqueeze(1) > torch.arange(out.shape[1])).float()
    return fn.binary_cross_entropy_with_logits(out, over, reduction="none").mean(1)


def ordinal(seed):
    """Five ordered grades from 16 readings; cumulative logits; mean absolute error in grades."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 16))
    z = x[:, 0] + np.sin(1.7 * x[:, 1]) + 0.8 * x[:, 2] * x[:, 3] + 0.5 * np.abs(x[:, 4]) + rng.normal(0, 0.3, 3000)
    y = np.digitize(z, np.quantile(z, [0.2, 0.4, 0.6, 0.8]))
    mae = lambda out, b: float(((out > 0).sum(1) - b[1]).abs().float().mean())  # noqa: E731
    return Task(
        "ordinal",
        "free",
        build=lambda: nets.Mlp([16, 56, 56, 4], drop=0.05),
        loss=coral,
        score=mae,
        score_name="mae",
        rising=False,
        loss_name="coral",
        lr=1.5e-3,
        epochs=20,
        floor_known=False,
        **parts(x.astype(F32), y, 1600, 600),
    )


def bpr(out, batch):
    """(n,) Bayesian personalised ranking: the first item against the second."""
    return fn.softplus(out[:, 1] - out[:, 0])


def ndcg10(out, batch):
    """Normalised discounted gain at 10 of the first item among 21."""
    rank = (out > out[:, :1]).sum(1)
    return float(torch.where(rank < 10, 1 / torch.log2(rank + 2.0), torch.zeros(())).mean())


def recommend(seed):
    """Implicit feedback of 220 users on 150 items; matrix factors."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=(220, 5)), rng.normal(size=(150, 5))
    like = (u @ v.T) * 1.1 + rng.normal(0, 0.7, 150)
    n = 6400
    who = rng.integers(0, 220, n)
    p = np.exp(like - like.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    pos = np.array([rng.choice(150, p=p[a]) for a in who])
    x = np.concatenate([who[:, None], pos[:, None], rng.integers(0, 150, (n, 20))], 1)
    return Task(
        "recommend",
        "free",
        build=lambda: Factors(220, 150),
        loss=bpr,
        score=ndcg10,
        score_name="ndcg@10",
        loss_name="bpr",
        lr=4e-3,
        batch=128,
        epochs=16,
        floor_known=False,
        **parts(x, np.zeros(n), 4480, 1000),
    )


def gcn_nodes(seed):
    """Four communities of a graph of 900 nodes with weak features; graph convolutions."""
    rng = np.random.default_rng(seed)
    n, k = 900, 4
    y = rng.integers(0, k, n)
    p = np.where(y[:, None] == y[None], 0.02, 0.004)
    a = np.triu(rng.random((n, n)) < p, 1)
    a = (a + a.T + np.eye(n)).astype(F32)
    d = a.sum(1) ** -0.5
    adj = torch.as_tensor((a * d[:, None] * d[None]).astype(F32)).to_sparse()
    feat = torch.as_tensor((rng.normal(0, 1.0, (n, 20)) + 0.9 * rng.normal(size=(k, 20))[y]).astype(F32))
    return Task(
        "gcn_nodes",
        "cls",
        build=lambda: GraphNet(adj, feat, k),
        loss=cross_entropy,
        classes=k,
        lr=6e-3,
        batch=32,
        epochs=26,
        **parts(np.arange(n), y, 420, 240),
    )


def spectra6(seed):
    """Six substances by the peaks of a noisy spectrum of 64 points; one-dimensional convolutions with batch norm."""
    rng = np.random.default_rng(seed)
    n, t = 2500, np.arange(64)
    y = rng.integers(0, 6, n)
    peaks, heights = rng.uniform(6, 58, (6, 3)), rng.uniform(0.6, 1.4, (6, 3))
    at = peaks[y] + rng.normal(0, 1.6, (n, 3))
    x = (heights[y, :, None] * np.exp(-((t - at[..., None]) ** 2) / rng.uniform(3, 9, (n, 3, 1)))).sum(1)
    x = x + rng.normal(0, 0.3, x.shape) + rng.normal(0, 0.2, (n, 1))
    return Task(
        "spectra6",
        "cls",
        build=lambda: Signal(6),
        loss=cross_entropy,
        classes=6,
        lr=5e-3,
        epochs=18,
        **parts(x.astype(F32), y, 1280, 600),
    )


def forecast(seed):
    """Twelve steps ahead of a seasonal series with drifting level from 36 steps before; Huber loss."""
    rng = np.random.default_rng(seed)
    n, t = 2600, np.arange(48)
    phase, amp = rng.uniform(0, 12, (n, 1)), rng.uniform(0.5, 1.5, (n, 1))
    s = amp * np.sin((t + phase) * 2 * np.pi / 12) + 0.5 * amp * np.sin((t + phase) * 2 * np.pi / rng.choice([4, 6], (n, 1)))
    s = s + np.cumsum(rng.normal(0, 0.07, (n, 48)), 1) + rng.normal(0, 0.12, (n, 48))
    smape = lambda out, b: float((200 * (out - b[1]).abs() / (out.abs() + b[1].abs() + 1e-6)).mean())  # noqa: E731

    def more(res, out, batch):
        naive = (batch[1] - batch[0][:, 24:36]).abs().mean()
        return {"mase": float((out - batch[1]).abs().mean() / naive)}

    return Task(
        "forecast",
        "reg",
        build=lambda: nets.Mlp([36, 72, 72, 12]),
        loss=lambda out, b: fn.huber_loss(out, b[1], reduction="none", delta=0.7).mean(1),
        score=smape,
        score_name="smape",
        rising=False,
        loss_name="huber",
        lr=1.5e-3,
        epochs=18,
        floor_known=False,
        more=more,
        **parts(s[:, :36].astype(F32), s[:, 36:].astype(F32), 1600, 500),
    )


def two_parts(out, batch):
    """Cross-entropy of the classes and squared error of the number, each (n,)."""
    return {
        "cls": fn.cross_entropy(out[:, :-1], batch[1][:, 0].long(), reduction="none"),
        "reg": 0.5 * (out[:, -1] - batch[1][:, 1]) ** 2,
    }


def two_heads(seed):
    """Four classes and a number from the same 18 columns; the loss is the sum of two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 18))
    z = x @ rng.normal(size=(18, 4)) * 0.5 + np.sin(x @ rng.normal(size=(18, 4)) * 0.6) * 1.5 + rng.gumbel(0, 0.25, (3000, 4))
    r = np.tanh(x[:, 0] + x[:, 1] * x[:, 2]) + 0.5 * x[:, 3] + rng.normal(0, 0.15, 3000)
    y = np.stack([z.argmax(1), (r - r.mean()) / r.std()], 1)
    acc = lambda out, b: float((out[:, :-1].argmax(-1) == b[1][:, 0].long()).float().mean())  # noqa: E731
    return Task(
        "two_heads",
        "free",
        build=lambda: Heads(18, 4),
        loss=lambda out, b: sum(two_parts(out, b).values()),
        components=two_parts,
        score=acc,
        score_name="acc",
        loss_name="ce+mse",
        lr=2e-3,
        epochs=18,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 1600, 600),
    )


def ddpm_knots(seed):
    """Noise prediction on points of a knotted curve in 12 dimensions; the loss has a high floor."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 2 * np.pi, 3600)
    x = np.stack([np.cos(t * k + 0.7 * k) for k in range(1, 7)] + [np.sin(t * k) for k in range(1, 7)], 1)
    return Task(
        "ddpm_knots",
        "free",
        build=lambda: Denoiser(12),
        loss=lambda out, b: ((out[0] - out[1]) ** 2).mean(-1),
        score_name="",
        loss_name="noise_mse",
        lr=3e-3,
        epochs=18,
        floor_known=False,
        **parts(x.astype(F32), np.zeros(3600), 2400, 800),
    )


def distil(seed):
    """A small student learns from the probabilities of a large teacher and from labels (eight classes, 24 columns)."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    x = torch.as_tensor(rng.normal(size=(2800, 24)).astype(F32))
    teacher = nets.Mlp([24, 64, 8], act=nn.Tanh)
    for p in teacher.parameters():
        p.data.mul_(3.2)
    with torch.no_grad():
        logits = teacher(x)
    label = (logits + torch.as_tensor(rng.gumbel(0, 0.4, logits.shape).astype(F32))).argmax(-1)
    y = torch.cat([(logits / 2).softmax(-1), label.unsqueeze(1).float()], 1)

    def soft(out, b):
        kl = (b[1][:, :-1] * (b[1][:, :-1].clamp_min(1e-9).log() - (out / 2).log_softmax(-1))).sum(-1) * 4
        return {"kd": 0.7 * kl, "ce": 0.3 * fn.cross_entropy(out, b[1][:, -1].long(), reduction="none")}

    return Task(
        "distil",
        "free",
        build=lambda: nets.Mlp([24, 64, 8]),
        loss=lambda out, b: sum(soft(out, b).values()),
        components=soft,
        score=lambda out, b: float((out.argmax(-1) == b[1][:, -1].long()).float().mean()),
        score_name="acc",
        loss_name="kd",
        lr=2e-3,
        epochs=18,
        floor_known=False,
        **parts(x.numpy(), y.numpy(), 1600, 600),
    )


def pinball(out, batch):
    """(n,) pinball loss of the quantiles 0.1, 0.5, 0.9."""
    e = batch[1].unsqueeze(1) - out
    q = torch.tensor([0.1, 0.5, 0.9])
    return torch.maximum(q * e, (q - 1) * e).mean(1) * 2


def quantiles(seed):
    """Three quantiles of demand from nine columns; noise depends on the inputs; coverage of the band is to be 0.8."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (2800, 9))
    y = np.sin(6 * x[:, 0]) + 2 * x[:, 1] * x[:, 2] + np.abs(x[:, 3] - 0.5) * 2 + rng.normal(size=2800) * (0.1 + 0.4 * x[:, 4])
    cover = lambda out, b: float(((out[:, 0] < b[1]) & (b[1] < out[:, 2])).float().mean())  # noqa: E731
    return Task(
        "quantiles",
        "free",
        build=lambda: nets.Mlp([9, 64, 64, 3]),
        loss=pinball,
        score=cover,
        score_name="coverage",
        loss_name="pinball",
        lr=4e-3,
        epochs=22,
        floor_known=False,
        **parts(((x - 0.5) / 0.29).astype(F32), ((y - y.mean()) / y.std()).astype(F32), 1500, 600),
    )


TASKS = {
    f.__name__: f
    for f in (
        superres,
        grammar_lm,
        reverse_s2s,
        ordinal,
        recommend,
        gcn_nodes,
        spectra6,
        forecast,
        two_heads,
        ddpm_knots,
        distil,
        quantiles,
    )
}
