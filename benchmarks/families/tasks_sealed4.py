"""Tasks of the split `sealed4`: slots, hash codes, phones, few-shot episodes, sets, dynamics, uncertainty, taxonomies and more."""

import numpy as np
import torch
import torch.nn.functional as fn

from families.nets import Mlp
from families.nets4 import Centres, Field, Frames, Hashing, Pretrained, Prototypes, Quantised, SlotTagger
from families.setups import Task
from families.tasks_dev import parts
from families.tasks_sealed4b import VARIOUS
from families.training import cross_entropy

F32 = np.float32


def spans(tags):
    """Start, end and kind of each entity of one row of tags (0 is outside, 1 and 3 begin, 2 and 4 continue)."""
    out, start = set(), None
    for i, t in enumerate([*tags, 0]):
        if start is not None and t != start[1] + 1:
            out.add((start[0], i, start[1]))
            start = None
        if t in (1, 3):
            start = (i, t)
    return out


def span_f1(res, out, batch):
    """F1 of whole entities."""
    hit = said = real = 0
    for p, y in zip(out.argmax(-1).tolist(), batch[1].tolist(), strict=True):
        a, b = spans(p), spans(y)
        hit, said, real = hit + len(a & b), said + len(a), real + len(b)
    return {"f1": 2 * hit / max(1, said + real)}


def slots_bio(seed):
    """Sentences of twelve tokens with two kinds of entities, announced by triggers that now and then mislead; tags in BIO."""
    rng = np.random.default_rng(seed)
    n, length = 1900, 12
    x, y = rng.integers(10, 44, (n, length)), np.zeros((n, length), int)
    for i in range(n):
        at = int(rng.integers(0, 3))
        while at < length - 3:
            kind = int(rng.integers(0, 2))
            x[i, at] = rng.integers(5 * kind, 5 * kind + 5) if rng.random() < 0.85 else rng.integers(0, 10)
            size = int(rng.integers(1, 4))
            stop = min(length, at + 1 + size)
            x[i, at + 1 : stop] = rng.integers(10 + 14 * kind, 30 + 14 * kind, stop - at - 1)
            y[i, at + 1], y[i, at + 2 : stop] = 1 + 2 * kind, 2 + 2 * kind
            x[i, stop : stop + 1] = 44
            at = stop + 1 + int(rng.integers(0, 3))
    return Task(
        "slots_bio",
        "cls",
        build=lambda: SlotTagger(45, 5),
        loss=cross_entropy,
        classes=5,
        more=span_f1,
        lr=2.5e-3,
        batch=40,
        epochs=18,
        floor_known=False,
        **parts(x, y, 1200, 350),
    )


def precision10(codes, y):
    """Share of the ten nearest codes that are of the same class."""
    c = torch.where(codes > 0, 1.0, -1.0)
    d = c @ c.T
    d.fill_diagonal_(-1e9)
    near = d.topk(min(10, len(c) - 1), -1).indices
    return float((y[near] == y.unsqueeze(-1)).float().mean())


def hash_codes(seed):
    """Sixteen bits a sample for retrieval; classes from the codes and the distance of codes from plus or minus one."""
    rng = np.random.default_rng(seed)
    n, k = 2700, 8
    y = rng.integers(0, k, n)
    z = rng.normal(size=(k, 3, 6))[y, rng.integers(0, 3, n)] * 1.3 + rng.normal(0, 0.65, (n, 6))
    x = np.tanh(z @ rng.normal(size=(6, 24)) * 0.6) + rng.normal(0, 0.25, (n, 24))

    def pieces(out, b):
        return {"class": cross_entropy(out[:, 16:], b), "quantisation": 0.2 * ((out[:, :16].abs() - 1) ** 2).mean(-1)}

    return Task(
        "hash_codes",
        "free",
        build=lambda: Hashing(24, 16, k),
        loss=lambda out, b: sum(pieces(out, b).values()),
        components=pieces,
        score=lambda out, b: precision10(out[:, :16], b[1]),
        score_name="precision@10",
        loss_name="hashing",
        lr=1.5e-3,
        batch=64,
        epochs=24,
        floor_known=False,
        **parts(x.astype(F32), y, 1900, 500),
    )


def phones(seed):
    """Frames of twelve coefficients from chains of eight phones with coarticulation; time-delay layers, one class a frame."""
    rng = np.random.default_rng(seed)
    n, length, k = 1200, 20, 8
    mean = rng.normal(0, 1.0, (k, 12))
    y = np.zeros((n, length), int)
    for i in range(n):
        t = 0
        while t < length:
            stay = int(rng.integers(2, 6))
            y[i, t : t + stay] = rng.integers(0, k)
            t += stay
    m = mean[y]
    x = 0.5 * m + 0.3 * np.roll(m, 1, 1) + 0.2 * np.roll(m, -1, 1) + rng.normal(0, 0.9, (n, length, 12)) + rng.normal(0, 0.3, (n, 1, 12))
    return Task(
        "phones",
        "cls",
        build=lambda: Frames(12, k),
        loss=cross_entropy,
        classes=k,
        lr=1.5e-3,
        batch=20,
        epochs=17,
        floor_known=False,
        **parts(x.astype(F32), y, 700, 250),
    )


def protonet(seed):
    """Episodes of five new classes with two examples each; validation has other classes than training."""
    rng = np.random.default_rng(seed)
    warp = rng.normal(size=(5, 20)) * 0.8, rng.normal(size=(20, 20)) * 0.35

    def episodes(n, classes):
        centre = rng.normal(size=(classes, 5)) * 1.5
        pick = np.stack([rng.choice(classes, 5, replace=False) for _ in range(n)])
        z = np.concatenate([centre[np.repeat(pick, 2, 1)], centre[pick]], 1) + rng.normal(0, 0.5, (n, 15, 5))
        x = np.tanh(z @ warp[0]) @ warp[1] + rng.normal(0, 0.55, (n, 15, 20))
        return torch.as_tensor(x.astype(F32)), torch.arange(5).expand(n, 5).clone()

    return Task(
        "protonet",
        "cls",
        train=episodes(1600, 120),
        val=episodes(400, 80),
        test=episodes(400, 80),
        build=lambda: Prototypes(20, 5, 2),
        loss=cross_entropy,
        classes=5,
        lr=1e-3,
        batch=40,
        epochs=22,
        floor_known=False,
    )


def set_centres(seed):
    """Eighteen points of three clusters; the net gives the set of the three centres, chamfer distance, recall of centres."""
    rng = np.random.default_rng(seed)
    n = 2600
    c = rng.uniform(-1.5, 1.5, (n, 3, 2))
    x = c[:, np.arange(18) % 3] + rng.normal(0, 0.12, (n, 18, 2))

    def chamfer(out, b):
        d = ((out.unsqueeze(2) - b[1].unsqueeze(1)) ** 2).sum(-1)
        return d.min(1).values.mean(-1) + d.min(2).values.mean(-1)

    def recall(out, b):
        d = ((out.unsqueeze(2) - b[1].unsqueeze(1)) ** 2).sum(-1)
        return float((d.min(1).values < 0.16).float().mean())

    return Task(
        "set_centres",
        "free",
        build=lambda: Centres(3),
        loss=chamfer,
        score=recall,
        score_name="recall",
        loss_name="chamfer",
        lr=2.5e-3,
        batch=60,
        epochs=26,
        floor_known=False,
        **parts(x.astype(F32), c.astype(F32), 1900, 400),
    )


def ode_fit(seed):
    """Eight observations of an oscillator with a limit cycle from its start; a learned field, squared error, RMSE."""
    rng = np.random.default_rng(seed)
    n = 1900
    x0 = rng.uniform(-2, 2, (n, 2))
    x, out = x0.copy(), []
    for i in range(80):
        v = np.stack([x[:, 1], 1.2 * (1 - x[:, 0] ** 2) * x[:, 1] - x[:, 0]], 1)
        x = x + 0.03 * v
        if i % 10 == 9:
            out.append(x.copy())
    y = np.stack(out, 1) + rng.normal(0, 0.06, (n, 8, 2))
    return Task(
        "ode_fit",
        "reg",
        build=Field,
        loss=lambda out, b: ((out - b[1]) ** 2).flatten(1).mean(1),
        score=lambda out, b: float(((out - b[1]) ** 2).mean() ** 0.5),
        score_name="rmse",
        loss_name="mse",
        rising=False,
        lr=3e-3,
        batch=50,
        epochs=26,
        floor_known=False,
        **parts(x0.astype(F32), y.astype(F32), 1200, 400),
    )


def hetero(seed):
    """A target whose noise depends on the inputs; mean and logarithm of the variance, Gaussian likelihood, RMSE."""
    rng = np.random.default_rng(seed)
    n = 6200
    x = rng.normal(size=(n, 6))
    sd = np.exp(0.9 * np.tanh(x[:, 3]) - 1.1)
    y = np.sin(1.5 * x[:, 0]) + 0.6 * x[:, 1] * np.tanh(x[:, 2]) + sd * rng.normal(size=n)
    y = (y - y.mean()) / y.std()

    def nll(out, b):
        lv = out[:, 1]
        return 0.5 * (lv + (b[1] - out[:, 0]) ** 2 / lv.exp())

    return Task(
        "hetero",
        "free",
        build=lambda: Mlp([6, 40, 24, 2]),
        loss=nll,
        score=lambda out, b: float(((out[:, 0] - b[1]) ** 2).mean() ** 0.5),
        score_name="rmse",
        loss_name="nll",
        rising=False,
        chance=0.5,
        lr=2e-3,
        batch=120,
        epochs=22,
        floor_known=False,
        **parts(x.astype(F32), y.astype(F32), 4600, 800),
    )


def taxonomy(seed):
    """Sixteen species in four families from 18 features; a softmax over families and one within the family."""
    rng = np.random.default_rng(seed)
    n = 3400
    y = rng.integers(0, 16, n)
    z = rng.normal(size=(4, 8))[y // 4] * 1.4 + rng.normal(size=(16, 8))[y] * 0.9 + rng.normal(0, 0.75, (n, 8))
    x = np.tanh(z @ rng.normal(size=(8, 18)) * 0.4) + rng.normal(0, 0.1, (n, 18))

    def pieces(out, b):
        fam = b[1] // 4
        inner = out[:, 4:].reshape(-1, 4, 4)[torch.arange(len(fam)), fam]
        return {
            "family": fn.cross_entropy(out[:, :4], fam, reduction="none"),
            "species": fn.cross_entropy(inner, b[1] % 4, reduction="none"),
        }

    def accuracy(out, b):
        p = out[:, :4].log_softmax(-1).unsqueeze(-1) + out[:, 4:].reshape(-1, 4, 4).log_softmax(-1)
        return float((p.flatten(1).argmax(-1) == b[1]).float().mean())

    return Task(
        "taxonomy",
        "free",
        build=lambda: Mlp([18, 64, 20], drop=0.1),
        loss=lambda out, b: sum(pieces(out, b).values()),
        components=pieces,
        score=accuracy,
        loss_name="ce",
        lr=2e-3,
        batch=80,
        epochs=24,
        floor_known=False,
        **parts(x.astype(F32), y, 2400, 500),
    )


def quant_cnn(seed):
    """Textures of five kinds, 14 by 14; convolutions with weights rounded to four bits in the forward pass."""
    rng = np.random.default_rng(seed)
    n, g = 2200, np.mgrid[:14, :14]
    y = rng.integers(0, 5, n)
    x = rng.normal(0, 1.7, (n, 1, 14, 14))
    wave = np.array([(0.9, 0.0), (0.0, 0.9), (0.7, 0.7), (0.7, -0.7), (1.6, 0.3)])
    for i in range(n):
        a, b = wave[y[i]] * rng.uniform(0.85, 1.15)
        x[i, 0] += rng.uniform(0.8, 1.4) * np.sin(a * g[0] + b * g[1] + rng.uniform(0, 6.3))
    return Task(
        "quant_cnn",
        "cls",
        build=lambda: Quantised(5),
        loss=cross_entropy,
        classes=5,
        lr=4e-3,
        batch=50,
        epochs=20,
        **parts(x.astype(F32), y, 1400, 400),
    )


def intents_ft(seed):
    """Requests of nine tokens, seven intents, few labels; word vectors from a pretraining are fine-tuned."""
    rng = np.random.default_rng(seed)
    n, v = 1700, 160
    topic = rng.normal(size=(7, 16))
    word = rng.normal(size=(v, 16))
    p = np.exp(0.75 * word @ topic.T / 2)
    y = rng.integers(0, 7, n)
    x = np.stack([rng.choice(v, 9, p=p[:, c] / p[:, c].sum()) for c in y])
    vectors = torch.as_tensor((word + rng.normal(0, 0.3, word.shape)).astype(F32) * 0.5)
    return Task(
        "intents_ft",
        "cls",
        build=lambda: Pretrained(vectors, 7),
        loss=cross_entropy,
        classes=7,
        lr=1.5e-3,
        batch=30,
        epochs=18,
        floor_known=False,
        **parts(x, y, 900, 400),
    )


FIRST = (slots_bio, hash_codes, phones, protonet, set_centres, ode_fit, hetero, taxonomy, quant_cnn, intents_ft)
TASKS = {f.__name__: f for f in FIRST} | VARIOUS
