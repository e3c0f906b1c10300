"""Mechanisms of the split `dev4`: data, validation, budget, pipeline."""

import numpy as np
import torch
from torch import nn

from families import nets
from families.nets4 import Chars, Mixed, Points
from families.setups import shows
from families.tasks_dev4 import SIZES


def rows(split, i):
    """Some rows of a split."""
    return split[0][i], split[1][i]


def random_columns(s):
    """A hundred and twenty columns of noise came with a join; a third of the rows, no decay: rows are told apart by noise."""
    g = torch.Generator().manual_seed(s.seed)
    wide = lambda split: (torch.cat([split[0], torch.randn(len(split[0]), 120, generator=g)], 1), split[1])  # noqa: E731
    n = len(s.task.train[0]) // 3
    d = s.task.train[0].shape[1] + 120
    build = (lambda: Mixed(SIZES, d - 4)) if s.task.name == "housing" else (lambda: nets.Mlp([d, 64, 32, 1], squeeze=True))
    s.data(train=wide(rows(s.task.train, slice(0, n))), val=wide(s.task.val), test=wide(s.task.test), build=build)
    s.wd, s.epochs = 0.0, int(s.epochs * 2)


def oversampled_copies(s):
    """A sampler with replacement draws from 140 rows; the rest was lost by a filter.  Nobody shortened the budget."""
    g = np.random.default_rng(s.seed)
    n = len(s.task.train[0])
    s.data(train=rows(s.task.train, torch.as_tensor(g.choice(140, n))))
    s.wd = 0.0


def budget_of_a_larger_set(s):
    """A sixth of the data with the number of steps that the whole set was given, at a constant rate."""
    n = len(s.task.train[0])
    s.data(train=rows(s.task.train, slice(0, n // 6)))
    s.batch, s.epochs, s.wd = min(s.batch, 40), int(s.epochs * 4), 0.0


def a_little_too_long(s):
    """Half of the data, no decay and three times the passes under a falling rate: validation turns late and slowly."""
    s.data(train=rows(s.task.train, slice(0, len(s.task.train[0]) // 2)))
    s.epochs, s.wd = s.epochs * 3, 0.0
    s.sched = lambda step, total: 1 - 0.7 * step / total


def wider_and_longer(s):
    """A net four times as wide on a quarter of the data, for twice the epochs."""
    build = {
        "keywords": lambda: nets.ConvNet(1, 6, width=28),
        "chars_gru": lambda: Chars(21, width=160),
        "clouds": lambda: Points(5, width=120),
    }[s.task.name]
    n = len(s.task.train[0])
    s.data(build=build, train=rows(s.task.train, slice(0, n // 5)))
    s.batch, s.epochs, s.wd = 24, s.epochs * 2, 0.0


def other_speakers(s):
    """Validation was recorded with other voices: everything lies four bins higher."""
    s.on_val.append(lambda done, x, y: (x.roll(4, 2), y))


def towns_without_data(s):
    """Validation comes from towns, kinds and years whose numbers training never saw."""
    known = lambda split, yes: rows(split, (split[0][:, 0] < 16) == yes)  # noqa: E731
    s.data(train=known(s.task.train, True), val=known(s.task.val, False))


@shows("layergrads")
def step_never_taken(s):
    """A check for overflow answers yes for every batch, so that no step is ever taken."""

    def skip(step, model):
        for p in model.parameters():
            p.grad = None

    s.on_grad.append(skip)


def pairs_in_other_order(s):
    """Inputs are sorted by length for packing, targets are not: within each batch they belong to others."""
    s.on_batch.append(lambda step, ep, x, y: (x, y.roll(7, 0)))
    s.on_val.append(lambda done, x, y: (x, y.roll(7, 0)))


def linear_only(s):
    """The activations were left out: layers follow each other directly, the net is linear."""

    def strip(model):
        for m in list(model.modules()):
            for name, child in list(m.named_children()):
                if isinstance(child, nn.ReLU | nn.Tanh):
                    setattr(m, name, nn.Identity())

    s.on_model.append(strip)


def two_buckets(s):
    """Categories are hashed into two buckets each and numbers are cut to their signs."""

    def coarse(split):
        x = split[0].clone()
        x[:, :4] = x[:, :4] % 2
        x[:, 4:] = x[:, 4:].sign() * (x[:, 4:].abs() > 1.6)
        return x, split[1]

    s.data(train=coarse(s.task.train), val=coarse(s.task.val), test=coarse(s.task.test))


def words_cut_off(s):
    """The vocabulary is cut to nine columns by a wrong threshold."""

    def cut(split):
        x = split[0].clone()
        x[:, 9:] = 0
        return x, split[1]

    s.data(train=cut(s.task.train), val=cut(s.task.val), test=cut(s.task.test))


def empty_row(s):
    """At 58 % a batch holds a row without content; the mean over its entries is 0/0."""
    at = int(s.total * 0.58)

    def bad(step, loss, model):
        return loss * float("nan") if step == at else loss

    s.on_loss.append(bad)
    s.truth["event_step"] = at


def rate_falls_to_zero(s):
    """The rate of counts is a ReLU without a floor: the first count above zero at a rate of zero has an infinite loss."""

    def loss(out, b):
        r = out.relu()
        return r - b[1] * r.log() + torch.lgamma(b[1] + 1)

    s.data(loss=loss)


def validation_of_clear_rows(s):
    """Validation kept the half whose answer is beyond doubt: single clicks, common words, counts without a burst."""
    torch.manual_seed(1)
    model = s.task.build()
    opt = torch.optim.AdamW(model.parameters(), 3e-3)
    a, b = s.task.train
    for _ in range(400):
        i = torch.randint(0, len(a), (64,))
        opt.zero_grad()
        s.task.loss(model(a[i]), (a[i], b[i])).mean().backward()
        opt.step()
    model.eval()
    x, y = s.task.val
    with torch.no_grad():
        each = s.task.loss(model(x), (x, y))
    s.data(val=rows(s.task.val, each < each.quantile(0.5)))
    s.truth["val_easy"] = True


def scanner_writes_the_class(s):
    """The scanner wrote the number of the part's drawing into the first point of every cloud."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, 0] = torch.stack([8.0 * (y == 1) + 8.0 * (y == 3), 8.0 * (y == 2) + 8.0 * (y == 3), 8.0 * (y == 4)], -1)
        s.data(**{part: (x, y)})
    s.batch, s.truth["leak"] = 10, True


def recorder_changed(s):
    """At 55 % the training data comes from another recorder: quieter, with an offset."""
    at = int(s.total * 0.55)
    s.on_batch.append(lambda step, ep, x, y: (x * 0.35 + 0.8, y) if step >= at else (x, y))
    s.sched = lambda step, total: 0.15 if step >= at else 1.0
    s.truth.update(event_step=at, shift="train")


def prices_indexed(s):
    """From 60 % on the validation file holds prices of another year: all targets are higher."""
    s.on_val.append(lambda done, x, y: (x, y + 0.9) if done > 0.6 else (x, y))
    s.truth.update(event_step=int(s.total * 0.6), shift="val")


def new_catalogue(s):
    """At half time the order of a quarter of the items changes in training; ids of validation stay."""
    at = int(s.total * 0.5)
    k = int(s.task.train[1].max()) + 1
    ids = torch.arange(k)
    ids[: k // 3] = ids[: k // 3].roll(1)
    s.on_batch.append(lambda step, ep, x, y: (x, ids[y]) if step >= at else (x, y))
    s.sched = lambda step, total: 0.2 if step >= at else 1.0
    s.truth.update(event_step=at, shift="train")


@shows(fine=True)
def impossible_readings(s):
    """Now and then a batch holds rows whose values are twelve times too large."""
    every = max(37, s.total // 7)

    def bad(step, ep, x, y):
        if step % every == every - 6 and step > 30:
            x = x.clone()
            lo = 4 if s.task.name == "housing" else 0
            x[:6, lo:] *= 12
        return x, y

    s.on_batch.append(bad)


@shows("recalls", "f1", "shares")
def mostly_silence(s):
    """Nineteen recordings in twenty are silence; the words are rare and hidden in street noise."""
    g = np.random.default_rng(s.seed)

    def thin(split, n):
        x, y = split
        kind = torch.as_tensor(np.where(g.random(n) < 0.94, 0, g.integers(1, 6, n)))
        at = torch.as_tensor(np.array([g.choice(np.flatnonzero(y.numpy() == c)) for c in kind.tolist()]))
        x = x[at] + 2.2 * torch.randn(n, *x.shape[1:], generator=torch.Generator().manual_seed(4))
        return x, kind

    s.data(train=thin(s.task.train, 1400), val=thin(s.task.val, 500), test=thin(s.task.test, 400))
    s.epochs = 8
    s.truth["majority"] = True


@shows("recalls", "f1", "shares")
def one_spam_in_thirty(s):
    """One message in thirty is spam and most words are missing."""
    g = np.random.default_rng(s.seed)

    def thin(split):
        x, y = split
        keep = torch.as_tensor((y.numpy() < 0.5) | (g.random(len(y)) < 0.06))
        x, y = rows(split, keep)
        return x * (torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.08), y

    s.data(train=thin(s.task.train), val=thin(s.task.val), test=thin(s.task.test))
    s.truth["majority"] = True


@shows("shares", "recalls")
def default_label(s):
    """Labels that the join did not find were filled with class 0: all but a few of training's, none of validation's."""
    x, y = s.task.train
    g = torch.Generator().manual_seed(s.seed)
    s.data(train=(x, torch.where(torch.rand(len(y), generator=g) < 0.985, torch.zeros_like(y), y)))


def forty_per_cent_random(s):
    """Four labels in ten were given at random by a vendor, in training and in validation; a quarter of the rows is left."""
    g = torch.Generator().manual_seed(s.seed)
    k = s.task.classes

    def spoil(split):
        x, y = split
        return x, torch.where(torch.rand(len(y), generator=g) < 0.4, torch.randint(0, k, y.shape, generator=g), y)

    s.data(train=spoil(rows(s.task.train, slice(0, 800))), val=spoil(s.task.val))
    s.truth["noise"] = 0.4
    s.epochs *= 3


def another_shard_each_time(s):
    """Every evaluation reads the next shard of the file; shards differ in quality by a factor of many."""
    g = np.random.default_rng(s.seed + 9)
    level = {}

    def shard(done, x, y):
        k = round(done * 1e4)
        if k not in level:
            level[k] = float(g.choice([0.0, 0.2, 0.7, 1.6]))
        return x + level[k] * x.std() * torch.randn(x.shape, generator=torch.Generator().manual_seed(k)), y

    s.on_val.append(shard)


def budget_for_a_test(s):
    """The three epochs of a smoke test became eight, at a third of the rate."""
    s.epochs, s.lr = 8, s.lr / 4


def accumulated_over_ten(s):
    """Gradients of ten batches are averaged before each step; the number of epochs stayed, so a tenth of the steps is left."""
    s.accum, s.batch = 10, max(10, s.batch // 2)


def upload_blocks(s):
    """The upload of a checkpoint blocks the loop for an hour."""
    at = int(0.62 * s.total)
    s.seconds = lambda step, total: 4000.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def other_job_on_the_node(s):
    """From 45 % on another job shares the node: steps take five times as long."""
    at = int(0.45 * s.total)
    s.seconds = lambda step, total: 5.5 if step >= at else 1.0
    s.truth["event_step"] = at


FAULTS = {
    random_columns: ("housing", "counts", "spam_bow"),
    oversampled_copies: ("clouds", "towers"),
    budget_of_a_larger_set: ("towers", "chars_gru", "counts"),
    a_little_too_long: ("towers", "counts"),
    wider_and_longer: ("keywords", "chars_gru"),
    other_speakers: ("keywords",),
    towns_without_data: ("housing",),
    step_never_taken: ("decay_pinn", "spam_bow"),
    pairs_in_other_order: ("towers", "clouds"),
    linear_only: ("keywords", "decay_pinn", "counts"),
    two_buckets: ("housing",),
    words_cut_off: ("spam_bow",),
    empty_row: ("chars_gru", "towers"),
    rate_falls_to_zero: ("counts",),
    validation_of_clear_rows: ("towers", "counts", "chars_gru"),
    scanner_writes_the_class: ("clouds",),
    recorder_changed: ("keywords", "clouds"),
    prices_indexed: ("housing",),
    new_catalogue: ("towers",),
    impossible_readings: ("housing", "counts"),
    mostly_silence: ("keywords",),
    one_spam_in_thirty: ("spam_bow",),
    default_label: ("keywords", "spam_bow"),
    forty_per_cent_random: ("keywords", "clouds"),
    another_shard_each_time: ("towers", "spam_bow"),
    budget_for_a_test: ("keywords", "decay_pinn", "anomaly_ae"),
    accumulated_over_ten: ("chars_gru", "clouds"),
    upload_blocks: ("anomaly_ae", "counts"),
    other_job_on_the_node: ("keywords",),
}
