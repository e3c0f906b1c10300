"""Small networks; every one runs on a single core at some milliseconds a step."""

import itertools

import torch
import torch.nn.functional as fn
from torch import nn


class Mlp(nn.Module):
    """Fully connected; `act` is the class of the activation, `drop` a dropout probability."""

    def __init__(self, sizes, act=nn.ReLU, drop=0.0, squeeze=False):
        super().__init__()
        layers = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            layers.append(nn.Linear(a, b))
            if i < len(sizes) - 2:
                layers.append(act())
                if drop:
                    layers.append(nn.Dropout(drop))
        self.net, self.squeeze = nn.Sequential(*layers), squeeze

    def forward(self, x):
        out = self.net(x)
        return out.squeeze(-1) if self.squeeze else out


class ConvNet(nn.Module):
    """Three convolutions with a norm layer each, global mean, linear head."""

    def __init__(self, channels, classes, width=12, norm="batch", drop=0.0):
        super().__init__()
        make = {"batch": nn.BatchNorm2d, "group": lambda c: nn.GroupNorm(4, c), "none": lambda c: nn.Identity()}[norm]
        body, c = [], channels
        for i in range(3):
            w = width * (1 + (i > 0))
            body += [nn.Conv2d(c, w, 3, stride=1 if i == 0 else 2, padding=1), make(w), nn.ReLU()]
            c = w
        self.body, self.drop, self.head = nn.Sequential(*body), nn.Dropout(drop), nn.Linear(c, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).mean((2, 3))))


class Segmenter(nn.Module):
    """Encoder and decoder with one skip; (n, 1, s, s) to (n, s, s) logits."""

    def __init__(self, width=10):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(3 * width, width, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = self.a(x)
        up = fn.interpolate(self.b(a), scale_factor=2)
        return self.head(self.c(torch.cat([a, up], 1))).squeeze(1)


class Tagger(nn.Module):
    """Embedding, recurrent layer, one prediction a token (n, T, K), or for the sequence (n, K)."""

    def __init__(self, vocab, classes, width=32, cell="gru", pool=False, drop=0.0, both=False):
        super().__init__()
        self.emb = nn.Embedding(vocab, width)
        self.rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](width, width, batch_first=True, bidirectional=both)
        self.drop, self.head, self.pool = nn.Dropout(drop), nn.Linear(width * (1 + both), classes), pool

    def forward(self, x):
        h, _ = self.rnn(self.emb(x))
        h = h[:, -1] if self.pool else h
        return self.head(self.drop(h))


class Transformer(nn.Module):
    """Pre-norm encoder; `pool` predicts once from the last position."""

    def __init__(self, vocab, classes, length, width=32, layers=2, pool=False, drop=0.0):
        super().__init__()
        self.emb, self.pos = nn.Embedding(vocab, width), nn.Parameter(torch.randn(length, width) * 0.1)
        block = lambda: nn.TransformerEncoderLayer(width, 4, 2 * width, drop, batch_first=True, norm_first=True)  # noqa: E731
        self.blocks = nn.ModuleList([block() for _ in range(layers)])
        self.norm, self.head, self.pool = nn.LayerNorm(width), nn.Linear(width, classes), pool

    def forward(self, x):
        h = self.emb(x) + self.pos
        for b in self.blocks:
            h = b(h)
        h = self.norm(h)
        return self.head(h[:, -1] if self.pool else h)


class Vae(nn.Module):
    """Gaussian latent, unit-variance decoder; returns (reconstruction, mean, log variance)."""

    def __init__(self, d, z=6, width=48):
        super().__init__()
        self.enc = Mlp([d, width, 2 * z])
        self.dec = Mlp([z, width, d])

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, -1)
        logvar = logvar.clamp(-8, 8)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.dec(z), mu, logvar


class Embedder(nn.Module):
    """Unit-length embeddings of one view (n, d) or of two (n, 2, d)."""

    def __init__(self, d, width=64, out=16, unit=True):
        super().__init__()
        self.net, self.unit = Mlp([d, width, width, out]), unit

    def forward(self, x):
        e = self.net(x)
        return fn.normalize(e, dim=-1) if self.unit else e


class PairScorer(nn.Module):
    """Score of the first of two items minus that of the second, (n, 2, d) to (n,)."""

    def __init__(self, d, width=48):
        super().__init__()
        self.net = Mlp([d, width, width // 2, 1])

    def forward(self, x):
        s = self.net(x).squeeze(-1)
        return s[:, 0] - s[:, 1]


class Policy(nn.Module):
    """Log-probabilities of two answers under a policy that starts as its frozen reference (preference tuning)."""

    def __init__(self, d, answers=24, width=32):
        super().__init__()
        self.net = Mlp([d, width, answers])
        self.ref = Mlp([d, width, answers])
        self.ref.load_state_dict(self.net.state_dict())
        for p in self.ref.parameters():
            p.requires_grad_(False)

    def forward(self, x):
        ids = x[:, -2:].long()
        lp, lr = fn.log_softmax(self.net(x[:, :-2]), -1), fn.log_softmax(self.ref(x[:, :-2]), -1)
        return lp.gather(1, ids) - lr.gather(1, ids)
