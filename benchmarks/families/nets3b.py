"""Networks of the split `sealed3`."""

import copy
import math

import torch
import torch.nn.functional as fn
from torch import nn

from families import nets


class PatchNet(nn.Module):
    """Small vision transformer: (n, 1, 12, 12) in nine patches, mean of tokens, linear head."""

    def __init__(self, classes, width=32, layers=2):
        super().__init__()
        self.patch, self.pos = nn.Linear(16, width), nn.Parameter(torch.randn(9, width) * 0.05)
        block = lambda: nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True, norm_first=True)  # noqa: E731
        self.blocks = nn.ModuleList([block() for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        n = len(x)
        h = x.reshape(n, 3, 4, 3, 4).permute(0, 1, 3, 2, 4).reshape(n, 9, 16)
        h = self.patch(h) + self.pos
        for b in self.blocks:
            h = b(h)
        return self.head(self.norm(h).mean(1))


class Decoder(nn.Module):
    """Causal pre-norm transformer language model."""

    def __init__(self, vocab, length, width=32, layers=2, post=False):
        super().__init__()
        self.emb, self.pos = nn.Embedding(vocab, width), nn.Parameter(torch.randn(length, width) * 0.1)
        block = lambda: nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True, norm_first=not post)  # noqa: E731
        self.blocks = nn.ModuleList([block() for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab)
        self.register_buffer("mask", torch.triu(torch.full((length, length), -1e9), 1), persistent=False)

    def forward(self, x):
        h = self.emb(x) + self.pos
        for b in self.blocks:
            h = b(h, src_mask=self.mask)
        return self.head(self.norm(h))


class Flow(nn.Module):
    """Affine couplings over d dimensions; returns (z, log determinant)."""

    def __init__(self, d, width=32, layers=4, bound=True):
        super().__init__()
        self.d, self.bound = d, bound
        self.parts = nn.ModuleList([nets.Mlp([d // 2, width, d]) for _ in range(layers)])

    def forward(self, x):
        logdet = torch.zeros(len(x))
        for i, net in enumerate(self.parts):
            a, b = x.chunk(2, -1)
            a, b = (a, b) if i % 2 == 0 else (b, a)
            s, t = net(a).chunk(2, -1)
            s = 2 * torch.tanh(s) if self.bound else s
            b = b * s.exp() + t
            logdet = logdet + s.sum(-1)
            x = torch.cat([a, b] if i % 2 == 0 else [b, a], -1)
        return x, logdet


class Experts(nn.Module):
    """A router over four experts, mixed by their probabilities; returns (logits, probabilities)."""

    def __init__(self, d, classes, experts=4, width=24):
        super().__init__()
        self.router = nn.Linear(d, experts)
        self.experts = nn.ModuleList([nets.Mlp([d, width, classes]) for _ in range(experts)])

    def forward(self, x):
        p = self.router(x).softmax(-1)
        out = torch.stack([e(x) for e in self.experts], 1)
        return (out * p.unsqueeze(-1)).sum(1), p


class Voices(nn.Module):
    """Unit embeddings and cosines to the centres of the identities; returns (cosines, embeddings)."""

    def __init__(self, d, identities, width=56, out=16):
        super().__init__()
        self.net, self.centres = nets.Mlp([d, width, width, out]), nn.Parameter(torch.randn(identities, out))

    def forward(self, x):
        e = fn.normalize(self.net(x), dim=-1)
        return e @ fn.normalize(self.centres, dim=-1).T, e


class Masked(nn.Module):
    """Bidirectional encoder over tokens, one prediction a position."""

    def __init__(self, vocab, length, width=32, layers=2):
        super().__init__()
        self.emb, self.pos = nn.Embedding(vocab + 1, width), nn.Parameter(torch.randn(length, width) * 0.1)
        block = lambda: nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True, norm_first=True)  # noqa: E731
        self.blocks = nn.ModuleList([block() for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab)

    def forward(self, x):
        h = self.emb(x) + self.pos
        for b in self.blocks:
            h = b(h)
        return self.head(self.norm(h))


class LowRank(nn.Module):
    """A frozen linear layer with a trained product of two thin matrices beside it."""

    def __init__(self, base, rank=6):
        super().__init__()
        self.base = base
        for p in base.parameters():
            p.requires_grad_(False)
        self.a_weight = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.b_weight = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.a_weight.T @ self.b_weight.T * 2


class Adapted(nn.Module):
    """A pretrained network with low-rank adapters and a new head."""

    def __init__(self, body, classes):
        super().__init__()
        body = copy.deepcopy(body)
        layers = [LowRank(m) if isinstance(m, nn.Linear) else m for m in list(body.net)[:-1]]
        width = list(body.net)[-1].in_features
        self.body, self.head = nn.Sequential(*layers), nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Clicks(nn.Module):
    """Embeddings of categorical fields, fully connected; one logit."""

    def __init__(self, sizes, width=6, hidden=32):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(k, width) for k in sizes])
        for t in self.tables:
            nn.init.normal_(t.weight, std=0.1)
        self.net = nets.Mlp([width * len(sizes), hidden, 1], squeeze=True)

    def forward(self, x):
        return self.net(torch.cat([t(x[:, i]) for i, t in enumerate(self.tables)], -1))


class Depth(nn.Module):
    """(n, 3, s, s) to (n, s, s); plain convolutions."""

    def __init__(self, width=12):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


class GridNet(nn.Module):
    """Detector on a grid of 4 by 4 cells over (n, 1, 16, 16): (n, 16, 3 + classes): objectness, offset, classes."""

    def __init__(self, classes=3, width=12):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, stride=2),
            nn.GroupNorm(3, width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.GroupNorm(3, 2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(2 * width, 3 + classes, 1)

    def forward(self, x):
        return self.head(self.body(x)).flatten(2).transpose(1, 2)
