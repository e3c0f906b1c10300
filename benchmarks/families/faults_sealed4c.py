"""Further mechanisms of the split `sealed4`: predictions, labels, noise, budget, clock."""

import numpy as np
import torch
from torch import nn

from families.setups import shows


@shows("shares", "recalls")
def validation_all_padding(s):
    """The collator of validation pads on the wrong side and cuts: the model sees nothing but padding there."""
    s.on_val.append(lambda done, x, y: (torch.zeros_like(x), y))


@shows("predhist")
def targets_of_other_rows(s):
    """Inputs and targets were sorted by different keys, in all splits: the best answer is the mean."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y[torch.randperm(len(y), generator=torch.Generator().manual_seed(s.seed))])})


@shows("recalls", "f1", "shares")
def one_kind_of_request(s):
    """Eleven rows in twelve are of one class; the others are few and their inputs are hardly legible."""
    g = np.random.default_rng(s.seed)

    def thin(split, n):
        x, y = split
        kind = np.where(g.random(n) < 0.92, 0, g.integers(1, s.task.classes, n))
        at = torch.as_tensor(np.array([g.choice(np.flatnonzero(y.numpy() == c)) for c in kind]))
        x = x[at]
        if x.is_floating_point():
            x = x + 2.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
        else:
            rare = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.93
            x = torch.where(rare, x[torch.as_tensor(g.permutation(n))], x)
        return x, torch.as_tensor(kind)

    s.data(train=thin(s.task.train, 1000), val=thin(s.task.val, 500), test=thin(s.task.test, 400))
    s.truth["majority"] = True


@shows("recalls", "f1", "shares")
def hardly_any_entity(s):
    """Entities are rare and their triggers are lost: nearly all tags are `outside`."""

    def thin(split, n):
        x, y = split
        g = np.random.default_rng(s.seed + n)
        lose = torch.as_tensor(g.random(y.shape[0]) < 0.85).unsqueeze(-1)
        y = torch.where(lose, torch.zeros_like(y), y)
        return torch.where(torch.as_tensor(g.random(x.shape) < 0.8), torch.as_tensor(g.integers(10, 44, x.shape)), x), y

    s.data(train=thin(s.task.train, 1), val=thin(s.task.val, 2), test=thin(s.task.test, 3))
    s.truth["majority"] = True


def species_scrambled(s):
    """Species within a family were numbered anew in every export: only families can be learned."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        new = torch.randint(0, 4, y.shape, generator=torch.Generator().manual_seed(s.seed))
        s.data(**{part: (x, y // 4 * 4 + new)})


def answers_out_of_reach(s):
    """A bound on the output that was meant for scaled targets: nothing outside of 0.35 can be said."""
    build = s.task.build

    class Bound(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = build()

        def forward(self, x):
            return 0.35 * torch.tanh(self.inner(x))

    s.data(build=Bound)


def crowd_labels(s):
    """Forty-five labels in a hundred were given at random, in training and in validation."""
    k = s.task.classes

    def spoil(split, seed):
        g = torch.Generator().manual_seed(seed)
        x, y = split
        return x, torch.where(torch.rand(y.shape, generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g), y)

    s.data(train=spoil(s.task.train, 1), val=spoil(s.task.val, 2))
    s.truth["noise"] = 0.45


def sensors_fail_at_random(s):
    """A simulation of failing inputs stayed on in validation: every evaluation loses another share of the entries."""

    def fail(done, x, y):
        g = np.random.default_rng(int(done * 1e5) + s.seed)
        share = g.choice([0.0, 0.0, 0.3, 0.85])
        return torch.where(torch.as_tensor(g.random(x.shape) < share), torch.zeros_like(x), x), y

    s.on_val.append(fail)


def third_of_the_budget(s):
    """The reservation ended after a fourth of the passes; the rate had been halved for a longer run."""
    s.epochs = max(8, s.epochs // 3)
    s.lr /= 4


def careful_rate(s):
    """A rate taken from fine-tuning, eight times smaller than training from scratch wants."""
    s.lr /= 14


@shows(fine=True)
def rows_mixed_up(s):
    """Now and then a batch arrives with its targets in another order, in runs of one batch."""
    every = max(41, s.total // 8)
    s.on_batch.append(lambda step, ep, x, y: (x, y.roll(5, 0)) if step % every == every - 9 and step > 60 else (x, y))


@shows(fine=True)
def bursts_of_gain(s):
    """Single batches are amplified twenty-five times by an automatic gain."""
    every = max(43, s.total // 6)
    s.on_batch.append(lambda step, ep, x, y: (25 * x, y) if step % every == every - 5 and step > 50 else (x, y))


@shows(fine=True)
def in_order_of_the_archive(s):
    """Rows stay in the order of the archive, class by class."""
    y = s.task.train[1]
    order = (y if y.dim() == 1 else y[:, -1]).argsort(stable=True).numpy()
    s.order = lambda epoch, perm: order
    s.truth["sorted"] = True


def hibernated(s):
    """The laptop slept through the night between two steps."""
    at = int(0.44 * s.total)
    s.seconds = lambda step, total: 30000.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def decoding_on_the_fly(s):
    """From 58 % on the cache is gone and inputs are decoded on the fly, at a seventh of the speed."""
    at = int(0.58 * s.total)
    s.seconds = lambda step, total: 7.0 if step >= at else 1.0
    s.truth["event_step"] = at


FAULTS = {
    validation_all_padding: ("intents_ft", "quant_cnn"),
    targets_of_other_rows: ("ode_fit",),
    one_kind_of_request: ("intents_ft", "quant_cnn"),
    hardly_any_entity: ("slots_bio",),
    species_scrambled: ("taxonomy",),
    answers_out_of_reach: ("ode_fit", "set_centres"),
    crowd_labels: ("phones", "intents_ft"),
    sensors_fail_at_random: ("taxonomy", "hetero"),
    third_of_the_budget: ("style_ae", "slots_bio", "ode_fit"),
    careful_rate: ("hash_codes", "set_centres"),
    rows_mixed_up: ("taxonomy", "slots_bio"),
    bursts_of_gain: ("protonet", "hash_codes"),
    in_order_of_the_archive: ("taxonomy", "intents_ft"),
    hibernated: ("protonet", "style_ae"),
    decoding_on_the_fly: ("quant_cnn", "phones"),
}
