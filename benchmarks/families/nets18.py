"""Models of the tasks of the split `sealed18`."""

import torch
import torch.nn.functional as fn
from torch import nn


class Sign(nn.Module):
    """Two convolutions with batch norms and pooling, a layer; pictures of twelve by twelve in three colours, six answers."""

    def __init__(self, width=8, drop=0.3, classes=6, momentum=0.1):
        super().__init__()
        self.a, self.n, self.act = nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width, momentum=momentum), nn.ReLU()
        self.b, self.m, self.act2 = nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width, momentum=momentum), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(18 * width, classes)

    def forward(self, x):
        h = fn.max_pool2d(self.act(self.n(self.a(x))), 2)
        h = fn.max_pool2d(self.act2(self.m(self.b(h))), 2).flatten(1)
        return self.head(self.drop(h))


class Pump(nn.Module):
    """Codes of region and kind beside seven figures, two layers, three answers."""

    def __init__(self, width=48, drop=0.15, dim=5):
        super().__init__()
        self.region, self.kind = nn.Embedding(12, dim), nn.Embedding(8, dim)
        self.a, self.act, self.b, self.act2 = nn.Linear(7 + 2 * dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, 3)

    def forward(self, x):
        h = torch.cat([x[:, :7], self.region(x[:, 7].long()), self.kind(x[:, 8].long())], 1)
        return self.head(self.drop(self.act2(self.b(self.act(self.a(h))))))


class Writer(nn.Module):
    """One block of attention that sees the past only, codes of letters and places, scores of the next letter."""

    def __init__(self, letters=24, width=32, drop=0.05, length=14, start=0.0):
        super().__init__()
        self.emb, self.pos = nn.Embedding(letters, width), nn.Embedding(length, width)
        self.n, self.att = nn.LayerNorm(width), nn.MultiheadAttention(width, 2, batch_first=True)
        self.m, self.up, self.act, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(width, letters)
        if start:
            for p in self.parameters():
                nn.init.normal_(p, 0, start) if p.dim() > 1 else None

    def forward(self, x):
        t = x.shape[1]
        h = self.emb(x) + self.pos(torch.arange(t))
        q = self.n(h)
        h = h + self.att(q, q, q, attn_mask=torch.ones(t, t, dtype=torch.bool).triu(1), need_weights=False)[0]
        return self.head(self.drop(h + self.down(self.act(self.up(self.m(h))))))


class Speller(nn.Module):
    """Codes of letters, a gated recurrent layer in both directions, fifteen sounds for each place."""

    def __init__(self, letters=20, width=24, drop=0.1, sounds=15):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(letters, width), nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, sounds)

    def forward(self, x):
        return self.head(self.drop(self.rnn(self.emb(x))[0]))


class Letterwise(nn.Module):
    """Each letter by itself."""

    def __init__(self, letters=20, sounds=15):
        super().__init__()
        self.emb, self.head = nn.Embedding(letters, 24), nn.Linear(24, sounds)

    def forward(self, x):
        return self.head(self.emb(x))


class Eyes(nn.Module):
    """Two convolutions along four channels, the mean of squares over time, one logit."""

    def __init__(self, width=10, drop=0.3):
        super().__init__()
        self.a, self.b = nn.Conv1d(4, width, 7, padding=3), nn.Conv1d(width, 2 * width, 5, stride=2, padding=2)
        self.act, self.act2, self.act3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.mid, self.drop, self.head = nn.Linear(2 * width * 5, 32), nn.Dropout(drop), nn.Linear(32, 1)

    def forward(self, x):
        h = self.act2(self.b(self.act(self.a(x))))
        h = fn.adaptive_avg_pool1d(h, 5).flatten(1)
        return self.head(self.drop(self.act3(self.mid(h)))).squeeze(-1)


class Factors(nn.Module):
    """A number for each user and film, and a product of their codes; `dim` 0 leaves the product out."""

    def __init__(self, dim=6, users=120, films=90, start=0.1):
        super().__init__()
        self.u, self.f, self.bu, self.bf = (
            nn.Embedding(n, k) for n, k in ((users, max(1, dim)), (films, max(1, dim)), (users, 1), (films, 1))
        )
        self.dim = dim
        for e in (self.bu, self.bf):
            nn.init.zeros_(e.weight)
        for e in (self.u, self.f):
            nn.init.normal_(e.weight, 0, start) if start else nn.init.zeros_(e.weight)

    def forward(self, x):
        u, f = x[:, 0], x[:, 1]
        out = (self.bu(u) + self.bf(f)).squeeze(-1)
        return out + (self.u(u) * self.f(f)).sum(1) if self.dim else out


class Colours(nn.Module):
    """Three convolutions on a grey picture of eight by eight, two numbers of colour for each point."""

    def __init__(self, width=16, kernel=3, drop=0.0):
        super().__init__()
        k = kernel // 2
        self.a, self.b, self.act, self.act2 = (
            nn.Conv2d(1, width, kernel, padding=k),
            nn.Conv2d(width, width, kernel, padding=k),
            nn.ReLU(),
            nn.ReLU(),
        )
        self.drop, self.head = nn.Dropout(drop), nn.Conv2d(width, 2, kernel, padding=k)

    def forward(self, x):
        return self.head(self.drop(self.act2(self.b(self.act(self.a(x.unsqueeze(1))))))).flatten(1)


class Question(nn.Module):
    """Codes of words, weights of attention over places, two layers, six answers."""

    def __init__(self, words=70, width=20, drop=0.3):
        super().__init__()
        self.emb, self.look, self.mid, self.act = nn.Embedding(words, width), nn.Linear(width, 2), nn.Linear(2 * width, 40), nn.ReLU()
        self.drop, self.head = nn.Dropout(drop), nn.Linear(40, 6)

    def forward(self, x):
        e = self.emb(x)
        h = (self.look(e).softmax(1).transpose(1, 2) @ e).flatten(1)
        return self.head(self.drop(self.act(self.mid(h))))


class Lesion(nn.Module):
    """Three convolutions on pictures of twelve by twelve, a logit for each point."""

    def __init__(self, width=10, kernel=3, drop=0.05):
        super().__init__()
        k = kernel // 2
        self.a, self.b, self.act, self.act2 = (
            nn.Conv2d(1, width, kernel, padding=k),
            nn.Conv2d(width, width, kernel, padding=k),
            nn.ReLU(),
            nn.ReLU(),
        )
        self.drop, self.head = nn.Dropout(drop), nn.Conv2d(width, 1, kernel, padding=k)

    def forward(self, x):
        return self.head(self.drop(self.act2(self.b(self.act(self.a(x.unsqueeze(1))))))).squeeze(1)
