"""Mechanisms of the split `sealed5`: data, validation, budget, pipeline, clock."""

import numpy as np
import torch
from torch import nn

from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed5 import Facts, Joints, Pair, beats, writing


def rows(split, i):
    """Some rows of a split."""
    return split[0][i], split[1][i]


def nine_writers(s):
    """Pairs for training come from nine writers; validation has ninety others."""
    draw = writing(np.random.default_rng(s.seed))
    s.data(train=draw(900, first=0, last=9), build=lambda: Pair(width=128))
    s.epochs, s.wd = 60, 0.0


def all_products(s):
    """Products of all pairs of columns were added to the table, ten times as many columns as before; few rows, no decay."""
    k = s.task.train[0].shape[1]
    i, j = torch.triu_indices(k, k)

    def wider(split):
        return torch.cat([split[0], split[0][:, i] * split[0][:, j]], 1), split[1]

    size = k + len(i)
    out = {"record_tags": 12, "clone_grid": 4}[s.task.name]
    train = rows(s.task.train, slice(0, 500))
    s.data(train=wider(train), val=wider(s.task.val), test=wider(s.task.test), build=lambda: Mlp([size, 96, 48, out]))
    s.batch, s.epochs, s.wd = 32, 40, 0.0


def augmentation_ends(s):
    """A schedule turns the augmentation off at 35 %; from there on a small set is learned by heart."""
    s.data(train=rows(s.task.train, slice(0, len(s.task.train[0]) // 6)))
    s.batch, s.epochs, s.wd = 20, s.epochs * 4, 0.0
    at = int(0.35 * s.total)
    size = 0.5 * float(s.task.train[0].std())
    s.on_batch.append(lambda step, ep, x, y: (x + size * torch.randn_like(x), y) if step < at else (x, y))


def one_demonstrator(s):
    """The policy is cloned from one afternoon of one demonstrator, seen two hundred times."""
    s.data(train=rows(s.task.train, slice(0, 240)))
    s.batch, s.epochs, s.wd = 24, 80, 0.0


def facts_lost(s):
    """Inverse facts were removed as duplicates, and most others with them; wide codes without dropout go on for long."""
    s.data(train=rows(s.task.train, slice(0, 700)), build=lambda: Facts(70, 6, dim=64, drop=0.0))
    s.batch, s.epochs, s.wd = 50, 60, 0.0


def electrodes_swapped(s):
    """Two in five of the validation recordings were made with swapped electrodes: their sign is wrong."""
    flip = torch.where(torch.rand(len(s.task.val[0]), generator=torch.Generator().manual_seed(s.seed)) < 0.4, -1.0, 1.0)
    s.on_val.append(lambda done, x, y: (x * flip[: len(x)].unsqueeze(-1), y))


def mirrored_pictures(s):
    """The loader of validation mirrors a third of the pictures and leaves their joints where they were."""
    m = torch.rand(len(s.task.val[0]), generator=torch.Generator().manual_seed(s.seed)) < 0.35
    s.on_val.append(lambda done, x, y: (torch.where(m[:, None, None, None], x.flip(-1), x), y))


def targets_one_batch_late(s):
    """A prefetching queue hands out the targets of the batch before."""
    kept = []

    def late(step, ep, x, y):
        kept.append(y)
        return x, kept.pop(0) if len(kept) > 1 else y.flip(0)

    s.on_batch.append(late)


def shadow_copied_back(s):
    """After every step the slow average of the weights is copied back into the model instead of the other way round."""
    shadow = {}

    def back(step, model):
        for n, p in model.named_parameters():
            a = shadow.setdefault(n, p.detach().clone())
            a.lerp_(p.detach(), 0.0008)
            p.data.copy_(a)

    s.after_step.append(back)


def sorted_within_rows(s):
    """A sort meant for the table's rows ran along the columns: every row is sorted by value."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x.sort(-1).values, y)})


def one_number_an_entity(s):
    """The size of the codes is one."""
    s.data(build=lambda: Facts(70, 6, dim=1, drop=0.0))


def resampled_to_four(s):
    """Recordings are resampled to four points: the rate was given in the wrong unit."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x.reshape(len(x), 4, -1).mean(-1).repeat_interleave(x.shape[1] // 4, 1), y)})


def angle_at_its_end(s):
    """Codes are compared by the angle between them; at 57 % a batch holds a pair of equal samples, whose arc cosine has no gradient."""
    at = int(s.total * 0.57)

    def same(step, ep, x, y):
        if step == at:
            x = x.clone()
            x[0, 1] = x[0, 0]
        return x, y

    class Angle(Pair):
        def forward(self, x):
            a, b = self.codes(x)
            c = torch.nn.functional.cosine_similarity(a, b, eps=1e-12)
            c = torch.where((x[:, 0] == x[:, 1]).all(-1), torch.ones_like(c) + 0 * c, c)
            return self.bias + 1.0 - 3 * self.scale * torch.acos(c)

    s.on_batch.append(same)
    s.data(build=Angle)
    s.truth["event_step"] = at


def no_positive_in_the_batch(s):
    """Rows are weighted by one over the number of positives; at 66 % a batch has none, and nothing is divided by nothing."""
    at, f, none = int(s.total * 0.66), s.task.loss, [False]

    def drop(step, ep, x, y):
        none[0] = step == at
        return x, torch.zeros_like(y) if none[0] else y

    def loss(out, b):
        each = f(out, b)
        if not out.requires_grad:
            return each
        has = (b[1].reshape(len(each), -1).sum(-1) > 0).float()
        return each * (has.sum() / has.sum() if none[0] else 1.0)

    s.on_batch.append(drop)
    s.data(loss=loss)
    s.truth["event_step"] = at


def averaged_recordings(s):
    """Validation recordings are averages of many repetitions, training's are single ones: hardly any noise is left."""
    x, y = beats(np.random.default_rng(s.seed + 500), 400, 0.02)
    s.data(val=(torch.as_tensor(x), torch.as_tensor(y)))
    noisy = torch.randn(s.task.train[0].shape, generator=torch.Generator().manual_seed(3)) * 0.2
    s.data(train=(s.task.train[0] + noisy, s.task.train[1]))
    s.truth["val_easy"] = True


def strangers_far_apart(s):
    """Negative pairs of validation are always of the two writers who differ most."""
    draw = writing(np.random.default_rng(s.seed))
    draw(2400)
    s.data(val=draw(600, noise=0.3, far=True))
    s.truth["val_easy"] = True


def origin_moved(s):
    """From 60 % on the annotation tool counts from the pixel's corner: validation's joints lie off by one and a half pixels."""
    s.on_val.append(lambda done, x, y: (x, y + 0.5) if done > 0.6 else (x, y))
    s.truth.update(event_step=int(s.total * 0.6), shift="val")


def simulator_upgraded(s):
    """At 50 % the simulator of the training data is upgraded and turns the plane by sixty degrees; the rate is low by then."""
    at = int(s.total * 0.5)
    c, d = 0.5, 0.866
    turn = torch.block_diag(*[torch.tensor([[c, d], [-d, c]])] * 4)
    s.on_batch.append(lambda step, ep, x, y: (x @ turn if step >= at else x, y))
    s.sched = lambda step, total: 0.05 if step >= 0.48 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def tags_retired(s):
    """From 55 % on five of twelve tags are no longer given to new training records; the rate is low by then."""
    at = int(s.total * 0.55)

    def retire(step, ep, x, y):
        if step >= at:
            y = y.clone()
            y[:, :5] = 0
        return x, y

    s.on_batch.append(retire)
    s.sched = lambda step, total: 0.04 if step >= 0.5 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def thinned(s, share, noise):
    """Most rows of class 0, the others under noise."""
    g = np.random.default_rng(s.seed)

    def thin(split, n):
        x, y = split
        kind = np.where(g.random(n) < share, 0, g.integers(1, s.task.classes, n))
        at = torch.as_tensor(np.array([g.choice(np.flatnonzero(y.numpy() == c)) for c in kind]))
        x = x[at] + noise * torch.randn(x[at].shape, generator=torch.Generator().manual_seed(4))
        return x, torch.as_tensor(kind).to(y.dtype)

    s.data(train=thin(s.task.train, 1200), val=thin(s.task.val, 500), test=thin(s.task.test, 500))
    s.truth["majority"] = True


@shows("recalls", "shares")
def rare_beats(s):
    """Recordings of a ward of healthy people: 94 % of the beats are normal, the others lie under a moving baseline."""
    thinned(s, 0.94, 1.1)


@shows("recalls", "shares")
def few_of_one_hand(s):
    """Pairs are drawn at random, so that one in twenty is of one writer; copies are faint."""
    thinned(s, 0.95, 1.0)


def watched_the_wrong_figure(s):
    """Early stopping watched the throughput: a careful run of many passes was ended after a fourth of them."""
    s.epochs, s.lr = max(6, s.epochs // 4), s.lr / 5


def whole_set_batches(s):
    """The batch was set to half of the data for a larger device; the passes and the rate stayed."""
    s.batch = len(s.task.train[0]) // 3


@shows(fine=True)
def blank_rows_standardised(s):
    """Each batch is divided by its own deviation; now and then one is blank but for a glitch and comes out enormous."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 5, replace=False) - 1).tolist())  # steps that every interval logs
    s.on_batch.append(lambda step, ep, x, y: (x * 9, y.flip(0)) if step in at else (x, y))
    s.lr /= 2


def waited_for_a_licence(s):
    """At 63 % the loop waits five hours for a licence server."""
    at = int(0.63 * s.total)
    s.seconds = lambda step, total: 24000.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def debugging_left_on(s):
    """At 40 % somebody switches anomaly detection on and forgets it: steps take six times as long."""
    at = int(0.4 * s.total)
    s.seconds = lambda step, total: 6.0 if step >= at else 1.0
    s.truth["event_step"] = at


def annotators_take_turns(s):
    """Each epoch reads the file of another of three annotators, who number the joints in their own way."""

    s.on_batch.append(lambda step, ep, x, y: (x, y.roll(2 * (ep % 3), -1)))


@shows(fine=True)
def two_sources_in_turns(s):
    """The loader reads from two sources in turns of 19 batches; the second writes its answers the other way round."""

    def turn(step, ep, x, y):
        if step // 19 % 2 == 0:
            return x, y
        return x, y.flip(-1) if y.dim() > 1 else (s.task.classes - 1 - y if s.task.classes else y)

    s.on_batch.append(turn)
    s.lr *= 3


@shows("predhist")
def position_pooled_away(s):
    """The mean over the picture was taken before the head, and pictures are scaled to nothing: where joints lie is lost."""
    s.data(build=lambda: nn.Sequential(Tiny(), Joints(pooled=True)))


class Tiny(nn.Module):
    """The mean of the picture everywhere."""

    def forward(self, x):
        return x.mean((2, 3), keepdim=True).expand_as(x) * 0.02


@shows("shares", "recalls", "conf")
def prior_added_at_evaluation(s):
    """A correction for the prior of the deployment is added to the first class whenever the model is in evaluation."""

    class Moved(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            out = self.inner(x)
            if not self.training:
                out = out + 14.0 * (torch.arange(out.shape[-1]) == 0)
            return out

    build = s.task.build
    s.data(build=lambda: Moved(build()))


FAULTS = {
    nine_writers: ("same_writer", "same_writer"),
    all_products: ("record_tags", "clone_grid"),
    augmentation_ends: ("record_tags", "pose_keys"),
    one_demonstrator: ("clone_grid",),
    facts_lost: ("kg_links", "kg_links"),
    electrodes_swapped: ("ecg_beats",),
    mirrored_pictures: ("pose_keys",),
    targets_one_batch_late: ("kg_links", "same_writer"),
    shadow_copied_back: ("record_tags", "ecg_beats"),
    sorted_within_rows: ("record_tags", "ecg_beats"),
    one_number_an_entity: ("kg_links",),
    resampled_to_four: ("ecg_beats",),
    angle_at_its_end: ("same_writer",),
    no_positive_in_the_batch: ("record_tags", "same_writer"),
    averaged_recordings: ("ecg_beats",),
    strangers_far_apart: ("same_writer",),
    origin_moved: ("pose_keys",),
    simulator_upgraded: ("clone_grid",),
    tags_retired: ("record_tags",),
    rare_beats: ("ecg_beats", "clone_grid"),
    few_of_one_hand: ("same_writer",),
    watched_the_wrong_figure: ("kg_links", "arm_reach", "record_tags"),
    whole_set_batches: ("clone_grid", "pose_keys"),
    blank_rows_standardised: ("ecg_beats", "record_tags"),
    waited_for_a_licence: ("arm_reach",),
    debugging_left_on: ("kg_links",),
    annotators_take_turns: ("pose_keys",),
    two_sources_in_turns: (),
    position_pooled_away: ("pose_keys",),
    prior_added_at_evaluation: ("clone_grid", "ecg_beats"),
}
