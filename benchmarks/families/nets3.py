"""Networks of the splits `dev3` and `sealed3`."""

import torch
import torch.nn.functional as fn
from torch import nn


class SuperRes(nn.Module):
    """(n, 1, s, s) to (n, 2s, 2s); convolutions, pixel shuffle, a skip from the bilinear picture."""

    def __init__(self, width=14, norm=True):
        super().__init__()
        n = nn.BatchNorm2d if norm else (lambda c: nn.Identity())
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            n(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            n(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, x):
        up = fn.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return (up + fn.pixel_shuffle(self.head(self.body(x)), 2)).squeeze(1)


class CausalConv(nn.Module):
    """Embedding and dilated causal convolutions, one prediction a token (n, T, K)."""

    def __init__(self, vocab, width=40, layers=4, drop=0.0):
        super().__init__()
        self.emb, self.head, self.drop = nn.Embedding(vocab, width), nn.Linear(width, vocab), nn.Dropout(drop)
        self.convs = nn.ModuleList([nn.Conv1d(width, width, 2, dilation=2**i) for i in range(layers)])
        self.acts = nn.ModuleList([nn.GELU() for _ in range(layers)])

    def forward(self, x):
        h = self.emb(x).transpose(1, 2)
        for i, (c, a) in enumerate(zip(self.convs, self.acts, strict=True)):
            h = h + a(c(fn.pad(h, (2**i, 0))))
        return self.head(self.drop(h.transpose(1, 2)))


class Seq2Seq(nn.Module):
    """GRU encoder and decoder with dot attention; x (n, 2T) holds the source and the shifted target."""

    def __init__(self, vocab, length, width=40):
        super().__init__()
        self.length, self.cut = length, False
        self.emb_src, self.emb_tgt = nn.Embedding(vocab, width), nn.Embedding(vocab, width)
        self.enc, self.dec = nn.GRU(width, width, batch_first=True), nn.GRU(width, width, batch_first=True)
        self.key, self.head = nn.Linear(width, width), nn.Linear(2 * width, vocab)

    def forward(self, x):
        src, tgt = x[:, : self.length], x[:, self.length :]
        mem, h = self.enc(self.emb_src(src))
        if self.cut:
            mem, h = mem.detach(), h.detach()
        out, _ = self.dec(self.emb_tgt(tgt), h)
        att = (self.key(out) @ mem.transpose(1, 2)).masked_fill((src == 0).unsqueeze(1), -1e9).softmax(-1)
        return self.head(torch.cat([out, att @ mem], -1))


class Factors(nn.Module):
    """Scores of the items x[:, 1:] for the user x[:, 0]; dot product with biases."""

    def __init__(self, users, items, width=12, drop=0.1):
        super().__init__()
        self.user, self.item, self.bias = nn.Embedding(users, width), nn.Embedding(items, width), nn.Embedding(items, 1)
        self.drop = nn.Dropout(drop)
        for e in (self.user, self.item):
            nn.init.normal_(e.weight, std=0.1)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x):
        u, i = self.drop(self.user(x[:, 0])), self.item(x[:, 1:])
        return (u.unsqueeze(1) * i).sum(-1) + self.bias(x[:, 1:]).squeeze(-1)


class GraphNet(nn.Module):
    """Two graph convolutions over one graph that the model holds; x are indices of nodes."""

    def __init__(self, adjacency, features, classes, width=24, drop=0.3):
        super().__init__()
        self.register_buffer("adj", adjacency, persistent=False)
        self.register_buffer("feat", features, persistent=False)
        self.a, self.act, self.drop, self.b = nn.Linear(features.shape[1], width), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, classes)

    def forward(self, x):
        h = self.drop(self.act(self.adj @ self.a(self.feat)))
        return (self.adj @ self.b(h))[x]


class Signal(nn.Module):
    """One-dimensional convolutions with batch norm over (n, T)."""

    def __init__(self, classes, width=14, norm=True, drop=0.0):
        super().__init__()
        body, c = [], 1
        for i in range(3):
            w = width * (1 + (i > 0))
            body += [nn.Conv1d(c, w, 5, stride=2, padding=2), nn.BatchNorm1d(w) if norm else nn.Identity(), nn.ReLU()]
            c = w
        self.body, self.drop, self.head = nn.Sequential(*body), nn.Dropout(drop), nn.Linear(c, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x.unsqueeze(1)).mean(-1)))


class Heads(nn.Module):
    """A shared trunk with a head of classes and one of a number; (n, K + 1)."""

    def __init__(self, d, classes, width=48, act=nn.ReLU):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(d, width), act(), nn.Linear(width, width), act())
        self.cls, self.reg = nn.Linear(width, classes), nn.Linear(width, 1)

    def forward(self, x):
        h = self.trunk(x)
        return torch.cat([self.cls(h), self.reg(h)], -1)


class Denoiser(nn.Module):
    """Predicts the noise that it adds itself; returns (prediction, noise).  Evaluation draws the same noise each time."""

    def __init__(self, d, width=80, steps=50):
        super().__init__()
        beta = torch.linspace(1e-3, 0.12, steps)
        self.register_buffer("keep", (1 - beta).cumprod(0))
        self.steps, self.same = steps, True
        self.time = nn.Embedding(steps, width)
        self.a, self.b, self.c = nn.Linear(d, width), nn.Linear(width, width), nn.Linear(width, d)
        self.act1, self.act2 = nn.GELU(), nn.GELU()

    def forward(self, x):
        g = torch.Generator().manual_seed(9) if not self.training and self.same else None
        t = torch.randint(0, self.steps, (len(x),), generator=g)
        eps = torch.randn(x.shape, generator=g)
        a = self.keep[t].unsqueeze(-1)
        h = self.act1(self.a(a.sqrt() * x + (1 - a).sqrt() * eps) + self.time(t))
        return self.c(h + self.act2(self.b(h))), eps
