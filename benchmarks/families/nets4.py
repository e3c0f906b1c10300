"""Networks of the splits `dev4` and `sealed4`."""

import torch
import torch.nn.functional as fn
from torch import nn

from families.nets import Mlp


class Towers(nn.Module):
    """Query features (n, d) against the features of a fixed catalogue: (n, items) scores."""

    def __init__(self, items, d, width=48, out=16, act=nn.ReLU):
        super().__init__()
        self.register_buffer("items", items, persistent=False)
        self.query, self.item = Mlp([d, width, out], act=act), Mlp([items.shape[1], width, out], act=act)

    def forward(self, x):
        return self.query(x) @ self.item(self.items).T


class Chars(nn.Module):
    """Embedding, GRU (both directions if asked), one prediction a character."""

    def __init__(self, vocab, width=56, both=False, drop=0.0):
        super().__init__()
        self.emb, self.drop = nn.Embedding(vocab, 24), nn.Dropout(drop)
        self.rnn = nn.GRU(24, width, batch_first=True, bidirectional=both)
        self.head = nn.Linear(width * (1 + both), vocab)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Mixed(nn.Module):
    """Columns of category numbers first, then plain numbers; embeddings and a fully connected body, one output."""

    def __init__(self, sizes, numbers, hidden=(64, 32), act=nn.ReLU, drop=0.0, std=0.3):
        super().__init__()
        self.k = len(sizes)
        self.tables = nn.ModuleList([nn.Embedding(s, 4) for s in sizes])
        for t in self.tables:
            nn.init.normal_(t.weight, std=std)
        self.body = Mlp([4 * len(sizes) + numbers, *hidden, 1], act=act, drop=drop, squeeze=True)

    def forward(self, x):
        e = [t(x[:, i].long()) for i, t in enumerate(self.tables)]
        return self.body(torch.cat([*e, x[:, self.k :]], -1))


class Points(nn.Module):
    """Shared layers for every point of (n, p, 3), maximum over the points, a head of classes."""

    def __init__(self, classes, width=32, act=nn.ReLU):
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, width), act(), nn.Linear(width, 2 * width), act())
        self.head = nn.Sequential(nn.Linear(2 * width, width), act(), nn.Linear(width, classes))

    def forward(self, x):
        return self.head(self.each(x).max(1).values)


class Residual(nn.Module):
    """u(t, w) and the residual of u'' + 0.4 u' + w^2 u = 0 by central differences; (n, 2) for inputs (t, w)."""

    def __init__(self, width=40, act=nn.Tanh):
        super().__init__()
        self.net = Mlp([2, width, width, 1], act=act, squeeze=True)

    def forward(self, x):
        h = 0.05
        step = torch.tensor([h, 0.0])
        a, b, c = self.net(x - step), self.net(x), self.net(x + step)
        return torch.stack([b, (a - 2 * b + c) / h**2 + 0.4 * (c - a) / (2 * h) + x[:, 1] ** 2 * b], -1)


class Autoencoder(nn.Module):
    """Reconstruction of x and squared errors of rows made of two others: ((n, d), (n,))."""

    def __init__(self, d, code=4, width=40, act=nn.ReLU):
        super().__init__()
        self.enc, self.dec = Mlp([d, width, code], act=act), Mlp([code, width, d], act=act)

    def forward(self, x):
        mixed = torch.cat([x[:, : x.shape[1] // 2], x.roll(1, 0)[:, x.shape[1] // 2 :]], -1)
        return self.dec(self.enc(x)), ((self.dec(self.enc(mixed)) - mixed) ** 2).mean(-1)


class SlotTagger(nn.Module):
    """Tokens to tags: embedding, a convolution and a bidirectional LSTM."""

    def __init__(self, vocab, tags, width=28, drop=0.2):
        super().__init__()
        self.emb, self.drop = nn.Embedding(vocab, 24), nn.Dropout(drop)
        self.rnn, self.head = nn.LSTM(24, width, batch_first=True, bidirectional=True), nn.Linear(2 * width, tags)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.drop(self.emb(x)))[0]))


class Hashing(nn.Module):
    """Codes in (-1, 1) by a tanh, and scores of classes from the codes: (n, bits + classes)."""

    def __init__(self, d, bits, classes, width=64):
        super().__init__()
        self.body, self.head = Mlp([d, width, bits]), nn.Linear(bits, classes)

    def forward(self, x):
        c = torch.tanh(self.body(x))
        return torch.cat([c, self.head(c)], -1)


class Frames(nn.Module):
    """Time-delay layers over (n, T, f), one prediction a frame."""

    def __init__(self, f, classes, width=40, act=nn.ReLU, norm=True):
        super().__init__()
        self.a, self.b = nn.Conv1d(f, width, 3, padding=1), nn.Conv1d(width, width, 3, padding=2, dilation=2)
        self.na, self.nb = (nn.BatchNorm1d(width), nn.BatchNorm1d(width)) if norm else (nn.Identity(), nn.Identity())
        self.act1, self.act2, self.head = act(), act(), nn.Linear(width, classes)

    def forward(self, x):
        h = self.act1(self.na(self.a(x.transpose(1, 2))))
        return self.head(self.act2(self.nb(self.b(h))).transpose(1, 2))


class Prototypes(nn.Module):
    """Episodes (n, ways * (shots + 1), d), supports first: scores of each class' query by distance to the means, (n, ways, ways)."""

    def __init__(self, d, ways, shots, width=64, out=16):
        super().__init__()
        self.ways, self.shots, self.net = ways, shots, Mlp([d, width, out], drop=0.1)

    def forward(self, x):
        n, m = len(x), self.ways * self.shots
        e = self.net(x)
        means = e[:, :m].reshape(n, self.ways, self.shots, -1).mean(2)
        return -((e[:, m:].unsqueeze(2) - means.unsqueeze(1)) ** 2).sum(-1) / 4


class Centres(nn.Module):
    """A set of points (n, p, 2) to k centres (n, k, 2): points are embedded, pooled and decoded."""

    def __init__(self, k, width=48, act=nn.ReLU):
        super().__init__()
        self.k = k
        self.each, self.dec = Mlp([2, width, width], act=act), Mlp([2 * width, width, 2 * k], act=act)

    def forward(self, x):
        h = self.each(x)
        return self.dec(torch.cat([h.mean(1), h.max(1).values], -1)).reshape(len(x), self.k, 2)


class Field(nn.Module):
    """A learned vector field, integrated from x0 (n, 2) by midpoint steps: (n, steps, 2)."""

    def __init__(self, steps=8, width=40, act=nn.Tanh):
        super().__init__()
        self.steps, self.f = steps, Mlp([2, width, width, 2], act=act)

    def forward(self, x):
        out, h = [], 0.3
        for _ in range(self.steps):
            x = x + h * self.f(x + 0.5 * h * self.f(x))
            out.append(x)
        return torch.stack(out, 1)


class Rounded(torch.autograd.Function):
    """Rounding to a grid whose gradient passes as if nothing had happened."""

    @staticmethod
    def forward(ctx, w, step):
        return (w / step).round() * step

    @staticmethod
    def backward(ctx, g):
        return g, None


class Quantised(nn.Module):
    """A convolutional net whose weights are rounded in the forward pass."""

    def __init__(self, classes, width=8, bits=4):
        super().__init__()
        self.bits = bits
        self.a, self.b = nn.Conv2d(1, width, 3, padding=1, stride=2), nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)
        self.na, self.nb = nn.BatchNorm2d(width), nn.BatchNorm2d(2 * width)
        self.act1, self.act2, self.head = nn.ReLU(), nn.ReLU(), nn.Linear(2 * width, classes)

    def q(self, w):
        return Rounded.apply(w, w.detach().abs().max() / 2 ** (self.bits - 1) + 1e-9)

    def forward(self, x):
        h = self.act1(self.na(fn.conv2d(x, self.q(self.a.weight), self.a.bias, 2, 1)))
        h = self.act2(self.nb(fn.conv2d(h, self.q(self.b.weight), self.b.bias, 2, 1)))
        return fn.linear(h.mean((2, 3)), self.q(self.head.weight), self.head.bias)


class Pretrained(nn.Module):
    """Bag of word vectors with a body and a head; the vectors come from a pretraining."""

    def __init__(self, vectors, classes, width=48, drop=0.2):
        super().__init__()
        self.emb = nn.Embedding.from_pretrained(vectors.clone(), freeze=False)
        self.body = nn.Sequential(nn.Linear(vectors.shape[1], width), nn.ReLU(), nn.Dropout(drop))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(self.emb(x).mean(1)))
