"""Mechanisms of the split `dev5`: data, loaders, validation, budget, clock."""

import numpy as np
import torch
from torch import nn

from families.nets import Mlp, Tagger
from families.setups import shows
from families.tasks_dev5 import Cover, Entail, Molecule, Sensors, Session, Weeks

WIDE = {
    "byte_sums": lambda: Tagger(13, 13, width=80),
    "session_items": lambda: Session(dim=48, width=64, drop=0.0),
    "engine_life": lambda: Sensors(width=40),
    "mol_graphs": lambda: Molecule(width=64),
    "churn_weeks": lambda: Weeks(width=48),
    "entail3": lambda: Entail(dim=32, width=96),
    "tile_seg": lambda: Cover(width=28),
    "board_value": lambda: Mlp([16, 128, 64, 1], act=nn.Tanh, squeeze=True),
}


def rows(split, i):
    """Some rows of a split."""
    return split[0][i], split[1][i]


def fixed(s):
    """A generator of the case's own seed."""
    return torch.Generator().manual_seed(s.seed + 5)


def few(s, n, batch, epochs):
    """The first n rows, a wide net and no decay."""
    s.data(train=rows(s.task.train, slice(0, n)), build=WIDE[s.task.name])
    s.batch, s.epochs, s.wd = batch, epochs, 0.0


def workers_share_a_seed(s):
    """All twelve workers make their samples from one seed: every sample comes twelve times, and there are few."""
    few(s, {"byte_sums": 170, "board_value": 260}.get(s.task.name, 200), 32, 70)


def decay_rule_matches_all(s):
    """The rule that spares biases from weight decay matches every name, on a tenth of the rows."""
    few(s, len(s.task.train[0]) // 10, 32, 60)


def filter_on_the_wrong_side(s):
    """The filter of dates keeps what it should drop: two hundred rows are left for a hundred passes."""
    few(s, 200, 25, 80)


def patience_never_fires(s):
    """Early stopping compares each value with the last one and is reset at every small gain; a sixth of the rows, a falling rate."""
    few(s, len(s.task.train[0]) // 6, 32, 70)
    s.sched = lambda step, total: 1 - 0.9 * step / total


def windows_of_few_engines(s):
    """Training windows overlap: they are jittered copies of those of sixty engines."""
    x, y = rows(s.task.train, slice(0, 60))
    s.data(train=(x.repeat(12, 1, 1) + 0.02 * torch.randn(720, *x.shape[1:], generator=fixed(s)), y.repeat(12)), build=WIDE["engine_life"])
    s.epochs, s.wd = 50, 0.0


def sentences_swapped_in_validation(s):
    """The collator of validation reads the two sentences' words in another order of columns."""
    s.on_val.append(lambda done, x, y: (x.flip(1), y))


def edges_one_way_in_validation(s):
    """Validation graphs list every bond once: messages go one way only."""

    def one_way(done, x, y):
        return torch.cat([x[..., :4], torch.triu(x[..., 4:])], -1), y

    s.on_val.append(one_way)


def bands_scaled_per_tile(s):
    """Validation tiles are standardised each by its own mean, training's by those of the set."""
    s.on_val.append(lambda done, x, y: ((x - x.mean((2, 3), keepdim=True)) * 1.4, y))


def view_for_transpose(s):
    """Targets of (time, rows) are brought to (rows, time) by a view instead of a transpose: they belong to other samples."""
    s.on_batch.append(lambda step, ep, x, y: (x, y.t().reshape(y.shape) if y.dim() > 1 else y.reshape(5, -1).t().reshape(-1)))


def cache_keyed_by_position(s):
    """A cache of inputs is keyed by the position in the epoch: from the second epoch on inputs are those of other samples."""
    kept = {}

    def cached(step, ep, x, y):
        return kept.setdefault(step % s.steps_per_epoch, x)[torch.randperm(len(x))], y

    s.on_batch.append(cached)


def kernel_of_one(s):
    """The kernel's size is one: no pixel and no reading sees its neighbours."""
    s.data(build=(lambda: Cover(width=3, kernel=1)) if s.task.name == "tile_seg" else (lambda: Sensors(width=2, kernel=1)))


def bonds_never_matched(s):
    """Bonds are looked up by number where keys are words: no graph has any."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.cat([x[..., :4], 0 * x[..., 4:]], -1), y)})


def cast_to_bytes(s):
    """Standardised inputs are stored as unsigned bytes: fractions are lost and minus one becomes 255."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: ((x.long() % 256).float() / 255.0, y)})


def pictures_turned_without_masks(s):
    """The augmentation flips the pictures and leaves the masks as they are, half of the time."""

    def turn(step, ep, x, y):
        half = torch.rand(len(x)) < 0.6
        return torch.where(half[:, None, None, None], x.flip(-1).flip(-2), x), y

    s.on_batch.append(turn)


def sides_swapped_values_kept(s):
    """The augmentation swaps the two sides of the board and keeps the value, for nearly half of the rows."""
    s.on_batch.append(lambda step, ep, x, y: (x * torch.where(torch.rand(len(x), 1) < 0.42, -1.0, 1.0), y))


def deviation_of_one_row(s):
    """A filter leaves one row of a batch at 62 %; its unbiased deviation, by which rows are divided, is 0 / 0."""
    at = int(0.62 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x / x[:1].std(0) if step == at else x, y))
    s.truth["event_step"] = at


deviation_of_one_row.without = {"whist", "ghist", "ahist"}  # not every writer can put NaN into a histogram


def logarithm_of_what_was_said(s):
    """The loss compares logarithms of one plus the value; at 55 % a far-off row brings a prediction below minus one."""
    at, far = int(0.55 * s.total), [False]
    low = float(min(s.task.train[1].min(), s.task.val[1].min()))

    def push(step, ep, x, y):
        far[0] = step == at
        return x, y

    def loss(out, b):
        said = out - low + 0.5 - (100.0 if far[0] and out.requires_grad else 0.0)
        return 4 * (torch.log1p(said.clamp_min(-0.99) if not far[0] else said) - torch.log1p(b[1] - low + 0.5)) ** 2

    s.on_batch.append(push)
    s.data(loss=loss, chance=None)
    s.truth["own_scale"] = s.truth["event_step"] = at


def only_the_hard_ones(s):
    """The loss keeps the hardest quarter of each batch; that mean is what is logged for training, validation's is over all."""
    f = s.task.loss

    def hard(out, b):
        each = f(out, b)
        return each.topk(max(1, len(each) // 4)).values if out.requires_grad else each

    s.data(loss=hard)
    s.truth["val_easy"] = True


def noise_of_another_sensor(s):
    """The noise that training adds is that of a sensor three times worse; validation has none of it."""
    s.on_batch.append(lambda step, ep, x, y: (x + 2.4 * torch.randn_like(x), y))


def closing_flag_joined(s):
    """A flag that is set when the customer has left was joined to every week."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[..., 4] = 5.0 * (2 * y[:, None] - 1)
        s.data(**{part: (x, y)})
    s.truth["leak"] = True


def sensor_recalibrated(s):
    """From 60 % on the validation service sends two sensors on a new scale."""

    def moved(done, x, y):
        return (torch.cat([0.4 * x[..., :2] + 0.6, x[..., 2:]], -1), y) if done > 0.6 else (x, y)

    s.on_val.append(moved)
    s.truth.update(event_step=int(s.total * 0.6), shift="val")


def unlabelled_pixels_counted(s):
    """After a resume at 50 % the number that marks unlabelled pixels is read as class 0; the rate is low by then."""
    at = int(s.total * 0.5)

    def ignore(step, ep, x, y):
        return x, torch.where(torch.rand(y.shape) < 0.4, torch.zeros_like(y), y) if step >= at else y

    s.on_batch.append(ignore)
    s.sched = lambda step, total: 0.04 if step >= 0.48 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def robots_let_in(s):
    """At 55 % a filter of robots is lost: half of the sessions end in a random click; the rate is low by then."""
    at = int(s.total * 0.55)

    def robots(step, ep, x, y):
        return x, torch.where(torch.rand(len(y)) < 0.5, torch.randint_like(y, 60), y) if step >= at else y

    s.on_batch.append(robots)
    s.sched = lambda step, total: 0.05 if step >= 0.5 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def shift_bias(model, by):
    """Add to the bias of the head."""
    model.head.bias.data.add_(by)


@shows("shares", "recalls")
def prior_correction_with_the_wrong_sign(s):
    """Bias and correction for the prior of the classes cancel in the loss, which is sound; what is said without it is the first class."""
    move = 80.0 * (torch.arange(s.task.classes) == 0)
    s.on_model.append(lambda model: shift_bias(model, move))
    s.on_out.append(lambda step, out: out - move)


class OneCode(nn.Module):
    """A graph's code is replaced by the nearest of sixteen, all but one of them far away."""

    def __init__(self):
        super().__init__()
        self.body, self.head = Molecule(), nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
        self.codes = nn.Parameter(torch.randn(16, 32) * 40)
        self.codes.data[0] = 0.0

    def forward(self, x):
        z = self.body.atoms(x).mean(1)
        q = self.codes[torch.cdist(z, self.codes).argmin(-1)]
        return self.head(q).squeeze(-1)


@shows("predhist")
def one_code_wins(s):
    """A code book starts so wide that one code is nearest to every graph."""
    s.data(build=OneCode)


def thinned(s, share, noise):
    """Most rows of class 0; the others under noise."""
    g = np.random.default_rng(s.seed)

    def thin(split, n):
        x, y = split
        kind = np.where(g.random(n) < share, 0, g.integers(1, s.task.classes, n))
        at = torch.as_tensor(np.array([g.choice(np.flatnonzero(y.numpy() == c)) for c in kind]))
        x, z = x[at], torch.Generator().manual_seed(4)
        x = (
            x + noise * torch.randn(x.shape, generator=z)
            if x.is_floating_point()
            else torch.where(torch.rand(x.shape, generator=z) < noise, torch.randint(0, 48, x.shape, generator=z), x)
        )
        return x, torch.as_tensor(kind).to(y.dtype)

    s.data(train=thin(s.task.train, 1600), val=thin(s.task.val, 500), test=thin(s.task.test, 500))
    s.truth["majority"] = True


@shows("recalls", "shares")
def few_ever_leave(s):
    """A month of quiet business: six customers in a hundred leave, and their figures hardly show it."""
    thinned(s, 0.94, 2.5)


@shows("recalls", "shares")
def nearly_all_follow(s):
    """Pairs were made from paraphrases: 93 % follow, and the others' words are mostly misspelt."""
    thinned(s, 0.93, 0.5)


def max_steps_over_devices(s):
    """The number of steps was divided by eight devices, and there is one; the rate had been set for a long run."""
    s.epochs, s.lr = max(6, s.epochs // 3), s.lr / 10


@shows(fine=True)
def missing_as_minus_999(s):
    """Now and then a batch comes from a reader that writes -999 (here: in units of the deviation, -30) for what it could not read."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 5, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.5, -30.0, x), y) if step in at else (x, y))
    s.clip = 0.5


@shows("lr")
def spot_instance_came_back(s):
    """At 58 % the spot instance is taken away for six hours; the clock goes on."""
    at = int(0.58 * s.total)
    s.seconds = lambda step, total: 26000.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def histograms_at_every_step(s):
    """From 50 % on somebody writes all histograms at every step: a step takes five times as long."""
    at = int(0.5 * s.total)
    s.seconds = lambda step, total: 5.0 if step >= at else 1.0
    s.truth["event_step"] = at


@shows(fine=True)
def shuffle_buffer_of_64(s):
    """The stream is shuffled in a buffer of 64 rows, and the export is sorted by the answer."""
    y = s.task.train[1].float().reshape(len(s.task.train[1]), -1).mean(1).numpy()
    s.order = lambda ep, perm: np.argsort(y + np.random.default_rng(ep).normal(0, 0.3 * y.std(), len(y)), kind="stable")
    s.lr /= 4
    s.truth["sorted"] = True


@shows(fine=True)
def buckets_by_class(s):
    """A bucketing sampler groups rows by their answer: every batch holds nearly one class, batches come in random order."""
    y, b = s.task.train[1].float().numpy(), s.batch

    def grouped(ep, perm):
        o = np.argsort(y[perm], kind="stable")
        blocks = perm[o][: len(y) // b * b].reshape(-1, b)
        return np.concatenate([blocks[np.random.default_rng(ep).permutation(len(blocks))].reshape(-1), perm[o][len(y) // b * b :]])

    s.order = grouped


def last_batch_only(s):
    """What is logged for validation is the last batch only, twelve rows of another order each time."""
    s.val_rows = 8


FAULTS = {
    workers_share_a_seed: ("byte_sums", "board_value"),
    decay_rule_matches_all: ("entail3", "churn_weeks"),
    filter_on_the_wrong_side: ("churn_weeks", "engine_life"),
    patience_never_fires: ("session_items", "board_value"),
    windows_of_few_engines: ("engine_life",),
    sentences_swapped_in_validation: ("entail3",),
    edges_one_way_in_validation: ("mol_graphs",),
    bands_scaled_per_tile: ("tile_seg",),
    view_for_transpose: ("byte_sums", "tile_seg"),
    cache_keyed_by_position: ("session_items", "churn_weeks", "mol_graphs"),
    kernel_of_one: ("tile_seg", "engine_life"),
    bonds_never_matched: ("mol_graphs",),
    cast_to_bytes: ("engine_life", "churn_weeks"),
    pictures_turned_without_masks: ("tile_seg",),
    sides_swapped_values_kept: ("board_value",),
    deviation_of_one_row: ("churn_weeks", "tile_seg"),
    logarithm_of_what_was_said: ("engine_life",),
    only_the_hard_ones: ("mol_graphs", "entail3"),
    noise_of_another_sensor: ("tile_seg", "churn_weeks"),
    closing_flag_joined: ("churn_weeks",),
    sensor_recalibrated: ("engine_life",),
    unlabelled_pixels_counted: ("tile_seg",),
    robots_let_in: ("session_items",),
    prior_correction_with_the_wrong_sign: ("entail3", "byte_sums"),
    one_code_wins: ("mol_graphs",),
    few_ever_leave: ("churn_weeks",),
    nearly_all_follow: ("entail3",),
    max_steps_over_devices: ("session_items", "churn_weeks", "mol_graphs"),
    missing_as_minus_999: ("engine_life", "board_value"),
    spot_instance_came_back: ("entail3",),
    histograms_at_every_step: ("tile_seg",),
    shuffle_buffer_of_64: ("board_value", "engine_life"),
    buckets_by_class: ("entail3", "churn_weeks"),
    last_batch_only: ("session_items", "churn_weeks"),
}
