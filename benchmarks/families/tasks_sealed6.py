"""Tasks of the split `sealed6`: bytes of logs, sessions, chunks under a CRF, graphs, a mixture of densities, layers, engines, pairs of texts, matches."""

import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp
from families.setups import Task
from families.tasks_dev import parts
from families.training import cross_entropy, squared

F32 = np.float32
MAE = (lambda out, b: float((out - b[1]).abs().mean()), "mae", False)


def made(name, kind, model, data, cut, pace, score=(None, "acc", True), **more):
    """A task: model is (build, loss, its name), cut the rows of training and validation, pace rate, batch and passes, score what is scored."""
    build, loss, loss_name = model
    more |= dict(zip(("lr", "batch", "epochs"), pace, strict=True)) | dict(zip(("score", "score_name", "rising"), score, strict=True))
    return Task(name, kind, build=build, loss=loss, loss_name=loss_name, floor_known=kind == "reg", **parts(*data, *cut), **more)


class Causal(nn.Module):
    """Convolutions that see the past only, dilations 1, 2 and 4; `kernel` 1 sees a single symbol."""

    def __init__(self, symbols=26, width=32, kernel=3, drop=0.1):
        super().__init__()
        self.emb = nn.Embedding(symbols, width)
        self.convs = nn.ModuleList([nn.Conv1d(width, width, kernel, dilation=d) for d in (1, 2, 4)])
        self.act, self.drop, self.head, self.kernel = nn.ReLU(), nn.Dropout(drop), nn.Linear(width, symbols), kernel

    def forward(self, x):
        h = self.emb(x).transpose(1, 2)
        for c, d in zip(self.convs, (1, 2, 4), strict=True):
            h = h + self.act(c(fn.pad(h, ((self.kernel - 1) * d, 0))))
        return self.head(self.drop(h.transpose(1, 2)))


class Sessions(nn.Module):
    """Codes of the items seen, their mean and the last one, scores of all items; `last` is where the last one is looked for."""

    def __init__(self, items=60, dim=20, drop=0.3, last=-1, codes=0):
        super().__init__()
        self.emb = nn.Embedding(items + 1, codes or dim)
        self.net = Mlp([2 * (codes or dim), 48, dim], drop=drop)
        self.out, self.last = nn.Linear(dim, items), last

    def forward(self, x):
        e = self.emb(x)
        return self.out(self.net(torch.cat([e.mean(1), e[:, self.last]], -1)))


class Chunker(nn.Module):
    """Potentials (n, T, K, K) of a linear chain: scores of a word's tag from a window of `window` words, and of neighbours."""

    def __init__(self, vocab=48, tags=4, width=24, window=3):
        super().__init__()
        self.emb, self.conv = nn.Embedding(vocab, width), nn.Conv1d(width, 32, window, padding=window // 2)
        self.act, self.head, self.pair = nn.ReLU(), nn.Linear(32, tags), nn.Parameter(torch.zeros(tags, tags))

    def forward(self, x):
        e = self.head(self.act(self.conv(self.emb(x).transpose(1, 2))).transpose(1, 2))
        return e.unsqueeze(2) + self.pair


class Messages(nn.Module):
    """Rounds of messages between the nodes of a graph (n, nodes, nodes + kinds); how neighbours are put together is `gather`."""

    def __init__(self, kinds=4, width=28, rounds=3, gather="third", act=nn.ReLU):
        super().__init__()
        self.first = nn.Linear(kinds, width)
        self.own = nn.ModuleList([nn.Linear(width, width) for _ in range(rounds)])
        self.other = nn.ModuleList([nn.Linear(width, width, bias=False) for _ in range(rounds)])
        self.act, self.head, self.gather = act(), nn.Linear(width, 1), gather

    def forward(self, x):
        n = x.shape[1]
        a, h = x[..., :n], self.first(x[..., n:])
        if self.gather == "mean":
            a = a / a.sum(-1, keepdim=True).clamp_min(1)
        for f, g in zip(self.own, self.other, strict=True):
            h = self.act(f(h) + g(a @ h) * (1 / 3 if self.gather == "third" else 1))
        return self.head(h.mean(1)).squeeze(-1)


class Layers(nn.Module):
    """A convolution, a coarser one, back up with a skip; class scores of all pixels (n, pixels, K)."""

    def __init__(self, width=8, classes=3):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(width, 2 * width, 5, stride=2, padding=2), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(3 * width, width, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        a = self.a(x)
        return self.head(self.c(torch.cat([a, fn.interpolate(self.b(a), scale_factor=2)], 1))).flatten(2).transpose(1, 2)


class Wear(nn.Module):
    """Two convolutions over a window (n, sensors, steps), two linear layers, one number."""

    def __init__(self, act=nn.ReLU, width=16):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(4, width, 5, padding=2), act(), nn.Conv1d(width, width, 3, stride=2, padding=1), act())
        self.head = nn.Sequential(nn.Linear(8 * width, 32), act(), nn.Linear(32, 1))

    def forward(self, x):
        return self.head(self.body(x).flatten(1)).squeeze(-1)


class Entail(nn.Module):
    """Means of the codes of two texts, their difference and product, three classes."""

    def __init__(self, vocab=50, dim=16, width=40, drop=0.3):
        super().__init__()
        self.emb, self.net = nn.Embedding(vocab, dim), Mlp([4 * dim, width, 3], drop=drop)

    def forward(self, x):
        e = self.emb(x)
        a, b = e[:, :6].mean(1), e[:, 6:].mean(1)
        return self.net(torch.cat([a, b, (a - b).abs(), a * b], -1))


class Match(nn.Module):
    """Codes of two teams and seven columns of form; three outcomes."""

    def __init__(self, sizes=(40, 20), dim=4, act=nn.ReLU, teams=40):
        super().__init__()
        self.team, self.net = nn.Embedding(teams, dim), Mlp([2 * dim + 7, *sizes, 3], act=act)

    def forward(self, x):
        ids = x[:, :2].long()
        return self.net(torch.cat([self.team(ids).flatten(1), x[:, 2:]], -1))


def log_lines(rng, n, length, kinds=range(7), seed=0):
    """Windows (n, length + 1) of a stream of lines from templates with runs of free digits; 26 symbols."""
    fixed = np.random.default_rng(seed)
    forms = [fixed.integers(10, 25, fixed.integers(5, 9)) for _ in range(7)]
    p = np.array([0.28, 0.2, 0.16, 0.12, 0.1, 0.08, 0.06])[list(kinds)]
    out, total = [], n * (length + 1)
    while total > 0:
        k = list(kinds)[rng.choice(len(p), p=p / p.sum())]
        level = rng.integers(0, 4)
        line = np.concatenate([[25], forms[k][:3], [level, level], forms[k][3:], rng.integers(0, 10, 1 + k % 2), [(3 * k + level) % 10]])
        out.append(line)
        total -= len(line)
    return np.concatenate(out)[: n * (length + 1)].reshape(n, length + 1)


def log_bytes(seed):
    """The next byte of machine logs: seven templates, free digits that nobody can know; causal convolutions."""
    w = log_lines(np.random.default_rng(seed), 1900, 24)
    model = (Causal, cross_entropy, "ce")
    return made("log_bytes", "cls", model, (w[:, :-1], w[:, 1:]), (1200, 350), (3e-3, 32, 14), classes=26)


def sessions(rng, n, rule, items=60):
    """Sessions (n, 5) and the item that follows."""
    z, turn = rule
    x = rng.integers(0, items, (n, 1))
    for _ in range(5):
        want = z[x[:, -1]] @ turn + 0.5 * z[x].mean(1)
        x = np.concatenate([x, (want @ z.T + rng.gumbel(size=(n, items))).argmax(1)[:, None]], 1)
    return x[:, :5], x[:, 5]


def rule_of_sessions(rng, items=60):
    """Hidden codes of items and how tastes move."""
    return rng.normal(size=(items, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0]


def sku_next(seed):
    """The next of sixty articles after five of a session; softmax over all, the share within the first five."""
    rng = np.random.default_rng(seed)
    data = sessions(rng, 7200, rule_of_sessions(rng))
    first_five = lambda out, b: float((out.topk(5, -1).indices == b[1].unsqueeze(-1)).any(-1).float().mean())  # noqa: E731
    model, score = (Sessions, cross_entropy, "xent"), (first_five, "recall@5", True)
    return made("sku_next", "free", model, data, (6000, 600), (4e-3, 64, 15), score, chance=math.log(60))


def chain_loss(out, batch):
    """Negative log-likelihood of the tags under the chain, a token."""
    y, t = batch[1], out.shape[1]
    alpha = out[:, 0, 0]
    for i in range(1, t):
        alpha = (alpha.unsqueeze(-1) + out[:, i]).logsumexp(1)
    prev = torch.cat([torch.zeros_like(y[:, :1]), y[:, :-1]], 1)
    gold = out.flatten(2).gather(2, (prev * out.shape[-1] + y).unsqueeze(-1)).squeeze(-1)
    return (alpha.logsumexp(-1) - gold.sum(1)) / t


def viterbi(out):
    """The best tags (n, T)."""
    best, back = out[:, 0, 0], []
    for i in range(1, out.shape[1]):
        best, at = (best.unsqueeze(-1) + out[:, i]).max(1)
        back.append(at)
    tags = [best.argmax(-1)]
    for at in reversed(back):
        tags.append(at.gather(1, tags[-1].unsqueeze(-1)).squeeze(-1))
    return torch.stack(tags[::-1], 1)


def chunk_crf(seed):
    """Chunks in sentences of nine words by a linear chain (outside, begin, inside, end), its likelihood a token; accuracy of the best path."""
    rng = np.random.default_rng(seed)
    move = np.array([[0.6, 0.4, 0, 0], [0, 0, 0.6, 0.4], [0, 0, 0.45, 0.55], [0.65, 0.35, 0, 0]])
    says = rng.dirichlet(np.full(48, 0.25), 4)
    y = np.zeros((3100, 9), int)
    for i in range(1, 9):
        y[:, i] = (rng.random(len(y))[:, None] > move[y[:, i - 1]].cumsum(1)).sum(1).clip(0, 3)
    x = (rng.random((*y.shape, 1)) > says[y].cumsum(-1)).sum(-1).clip(0, 47)
    model = (Chunker, chain_loss, "nll")
    score = (lambda out, b: float((viterbi(out) == b[1]).float().mean()), "tag_acc", True)
    return made("chunk_crf", "free", model, (x, y), (2000, 500), (4e-3, 64, 14), score, chance=math.log(4))


def graphs(rng, n, nodes=9, rule=None, chords=0.22):
    """Graphs (n, nodes, nodes + 4) on a ring with chords, four kinds of nodes, and a number that kinds of neighbours and degrees make."""
    pair, kind_of = rule
    kind = rng.integers(0, 4, (n, nodes))
    a = np.triu(rng.random((n, nodes, nodes)) < chords, 1)
    a[:, np.arange(nodes - 1), np.arange(1, nodes)] = True
    a = (a | a.transpose(0, 2, 1)).astype(F32)
    each = np.einsum("nij,nij->ni", a, pair[kind[:, :, None], kind[:, None, :]])
    y = (np.tanh(0.8 * each) * 2 + kind_of[kind] + 0.25 * np.maximum(0, a.sum(-1) - 3)).mean(1)
    x = np.concatenate([a, np.eye(4)[kind]], -1).astype(F32)
    return x, ((y - 0.2) / 0.55 + rng.normal(0, 0.15, n)).astype(F32)


def rule_of_graphs(rng):
    """What two kinds of neighbours, and one kind alone, add."""
    pair = rng.normal(size=(4, 4))
    return pair + pair.T, 0.5 * rng.normal(size=4)


def molecules(seed):
    """A property of graphs of nine nodes by three rounds of messages; squared error, mean absolute error."""
    rng = np.random.default_rng(seed)
    x, y = graphs(rng, 2300, rule=rule_of_graphs(rng))
    return made("molecules", "reg", (Messages, squared, "mse"), (x, y), (1500, 400), (4e-3, 50, 24), MAE, chance=float(y.var()))


def mixture(out, t):
    """Log-weights plus log-densities (n, K) and the means of a mixture of Gaussians."""
    w, mu, s = out.chunk(3, -1)
    s = s.clamp(-4, 3)
    return w.log_softmax(-1) - 0.5 * ((t.unsqueeze(-1) - mu) / s.exp()) ** 2 - s - 0.5 * math.log(2 * math.pi), mu, w


def inverse_mdn(seed):
    """The cause of a bent response, which has up to three answers: a mixture of four densities; likelihood, share near the main answer."""
    rng = np.random.default_rng(seed)
    n = 3000
    t, c = rng.uniform(-1, 1, n), rng.uniform(0.1, 0.45, (n, 2))
    x = np.stack([t + c[:, 0] * np.sin(4.5 * t) + rng.normal(0, 0.05, n), *(4 * c.T - 1), c[:, 0] * np.sign(t) * (rng.random(n) < 0.3)], 1)

    def near(out, b):
        _, mu, w = mixture(out, b[1])
        return float(((mu.gather(1, w.argmax(-1, keepdim=True)).squeeze(-1) - b[1]).abs() < 0.15).float().mean())

    model = (lambda: Mlp([4, 48, 48, 12], act=nn.Tanh), lambda out, b: -mixture(out, b[1])[0].logsumexp(-1), "nll")
    data, score = (x.astype(F32), t.astype(F32)), (near, "within_0.15", True)
    return made("inverse_mdn", "free", model, data, (2000, 500), (4e-3, 64, 24), score, chance=math.log(2))


def slices(rng, n, noise=0.55, thin=False):
    """Pictures (n, 1, 12, 12) of three layers with waving borders and the layer of each pixel (n, 144); `thin` makes two of them faint."""
    col, row = np.arange(12), np.arange(12)[None, :, None]
    wave = lambda c: c[:, None] + rng.uniform(0.3, 1.3, (n, 1)) * np.sin(0.5 * col + rng.uniform(0, 6, (n, 1)))  # noqa: E731
    top, low = wave(rng.uniform(2.5, 5, n)), wave(rng.uniform(7, 9.5, n))
    y = (row > top[:, None]).astype(int) + (row > np.maximum(top, low)[:, None])
    if thin:
        y = np.where(np.abs(row - top[:, None]) < 0.22, 1, np.where(np.abs(row - low[:, None]) < 0.2, 2, 0))
    x = np.array([0.0, 0.9, -0.7])[y] * (0.12 if thin else 1) + rng.normal(0, noise, y.shape) + rng.normal(0, 0.2, (n, 1, 1))
    return x[:, None].astype(F32), y.reshape(n, -1)


def layers_seg(seed):
    """Three layers in noisy slices, a class for each pixel; an encoder and a decoder with a skip."""
    data = slices(np.random.default_rng(seed), 1500)
    return made("layers_seg", "cls", (Layers, cross_entropy, "ce"), data, (900, 300), (3e-3, 32, 15), classes=3)


def engines(rng, n, count=60, noise=0.3):
    """Windows (n, 4, 16) of four sensors of engines that wear, and what is left of their lives (capped)."""
    e = rng.integers(0, count, n)
    life, rate = rng.uniform(0.7, 1.3, count)[e], rng.uniform(2, 4, count)[e]
    now = rng.uniform(0, 1, n)
    t = now[:, None] + np.linspace(-0.15, 0, 16)
    bend = np.expm1(rate[:, None] * t.clip(0)) / np.expm1(3.0)
    phase = rng.uniform(0, 6, (n, 1))
    x = np.stack([bend, 0.6 * t - 0.5 * bend, np.sin(20 * t + phase) * (0.4 + bend), rate[:, None] * 0.3 + 0.2 * np.cos(9 * t + phase)], 1)
    x = x - np.array([0.35, 0.05, 0.0, 0.9])[:, None]
    return (1.6 * x + rng.normal(0, noise, x.shape)).astype(F32), (np.minimum(life * (1 - now), 0.8) * 4 - 1.6).astype(F32)


def turbine_life(seed):
    """What is left of an engine's life from sixteen readings of four sensors; convolutions, squared error."""
    x, y = engines(np.random.default_rng(seed), 3600)
    return made("turbine_life", "reg", (Wear, squared, "mse"), (x, y), (2600, 500), (3e-3, 64, 17), MAE, chance=float(y.var()))


def text_pairs(seed):
    """Whether one text follows from, contradicts or has nothing to do with another; means of word codes."""
    rng = np.random.default_rng(seed)
    n, z = 8600, rng.normal(size=(50, 3))
    x = np.concatenate([rng.integers(0, 50, (n, 6)), rng.integers(0, 50, (n, 4))], 1)
    a = z[x[:, :6]].mean(1)
    lean = rng.normal(0, 2.5, n)[:, None]  # words of the second text lean to or from the first
    for j in range(6, 10):
        x[:, j] = (lean * (a @ z.T) + rng.gumbel(size=(n, 50))).argmax(1)
    s = (a * z[x[:, 6:]].mean(1)).sum(1) + rng.normal(0, 0.04, n)
    y = np.digitize(s, np.quantile(s, [0.33, 0.67]))
    return made("text_pairs", "cls", (Entail, cross_entropy, "ce"), (x, y), (7000, 800), (4e-3, 128, 18), classes=3)


def match_table(rng, n, strength=None, pairs=None):
    """Matches (n, 9): two teams, three columns of form each and the place, and who won (home, nobody, away)."""
    strength = rng.normal(0, 1, 40) if strength is None else strength
    home, away = rng.integers(0, 40, (2, n)) if pairs is None else pairs
    form = rng.normal(size=(n, 7))
    edge = strength[home] - strength[away] + 0.7 * form[:, 0] - 0.7 * form[:, 3] + 0.5 * form[:, 1] * form[:, 4] + 0.25
    y = np.digitize(edge + rng.normal(0, 0.5, n), [-0.55, 0.45])
    return np.concatenate([np.stack([home, away], 1), form], 1).astype(F32), 2 - y


def match_results(seed):
    """Who wins a match of two of forty teams: codes of the teams and seven columns; luck keeps the loss up."""
    data = match_table(np.random.default_rng(seed), 6600)
    return made("match_results", "cls", (Match, cross_entropy, "ce"), data, (5200, 700), (2e-3, 64, 12), classes=3)


TASKS = {
    f.__name__: f for f in (log_bytes, sku_next, chunk_crf, molecules, inverse_mdn, layers_seg, turbine_life, text_pairs, match_results)
}
