"""Mechanisms of the split `sealed7`: data, targets, validation, numbers that are none."""

import numpy as np
import torch
from torch import nn

from families.faults_sealed6 import rows, tensors
from families.tasks_sealed7 import Dates, Grasp, Modes, Pen, Routes, Tune, calendar, journeys, melodies, weather


def to_the_end(step, total):
    """A line to nothing."""
    return 1 - 0.96 * step / total


def shares_of_the_fold_swapped(s):
    """The indices of a fold came back in the other order: the small part trains and the large one validates."""
    n = len(s.task.train[0]) // 14
    s.data(train=rows(s.task.train, slice(0, n)), val=rows(s.task.train, slice(n, 8 * n)))
    s.batch, s.epochs, s.wd, s.sched = 20, 45, 0.0, to_the_end


def ten_of_each_letter(s):
    """A cap of ten examples of a class, from a demonstration of learning with few, was left in the sampler."""
    y = s.task.train[1]
    keep = torch.cat([(y == c).nonzero().flatten()[:10] for c in range(6)])
    s.data(train=rows(s.task.train, keep), build=lambda: Pen(width=64, drop=0.0))
    s.batch, s.epochs, s.wd = 20, 110, 0.0


def one_song_in_twelve_keys(s):
    """The corpus is forty melodies and their copies."""
    s.data(train=rows(s.task.train, torch.arange(1200) % 40), build=lambda: Tune(width=64, drop=0.0))
    s.epochs, s.wd = 12, 0.0


def forty_runs_of_the_simulator(s):
    """The design of experiments was coarse: thirty runs for a net of many modes, kept for four hundred passes."""
    g = torch.Generator().manual_seed(s.seed)
    x, y = rows(s.task.train, slice(0, 30))
    s.data(train=(x, y + 0.6 * torch.randn(y.shape, generator=g)), build=lambda: Modes(width=24, modes=12))
    s.batch, s.epochs, s.wd = 15, 240, 0.0


def interviews_in_one_village(s):
    """A hundred and fifty answers and three times the columns, the others a hash of who answered."""
    n, g = 150, torch.Generator().manual_seed(s.seed)
    wide = lambda p: (torch.cat([p[0], torch.randn(len(p[0]), 5, 14, generator=g)], -1), p[1])  # noqa: E731
    s.data(train=wide(rows(s.task.train, slice(0, n))), val=wide(s.task.val), test=wide(s.task.test))
    s.data(build=lambda: Routes((96, 48), columns=21))
    s.batch, s.epochs, s.wd = 25, 50, 0.0


def pictures_of_one_table(s):
    """Seventy pictures of one table and a net four times as wide; labelled in a hurry."""
    g = torch.Generator().manual_seed(s.seed)
    x, y = rows(s.task.train, slice(0, 70))
    s.data(train=(x, y + 0.45 * torch.randn(y.shape, generator=g)), build=lambda: Grasp(width=24))
    s.batch, s.epochs, s.wd = 35, 110, 0.0


def encoded_by_their_own_targets(s):
    """A column is the mean target of its group, counted with the row itself; groups are small, and in validation it tells nothing."""
    g = torch.Generator().manual_seed(s.seed)

    def add(p, share):
        x = p[0].clone()
        told = torch.where(torch.rand(len(x), generator=g) < share, p[1] * 2 - 1, torch.randn(len(x), generator=g).sign())
        x[:, :, 7] = 1.5 * told.unsqueeze(1)
        return x, p[1]

    s.data(train=add(s.task.train, 0.6), val=add(s.task.val, 0.0), test=add(s.task.test, 0.0))
    s.batch, s.epochs = 100, 14


def months_never_seen(s):
    """Training knows the dates of five months, validation those of the year."""
    s.data(train=tensors(calendar(np.random.default_rng(s.seed), 2200, (0, 2, 5, 7, 10))))


def keys_never_heard(s):
    """Validation is in keys that training has not got, and its answers are counted from the highest note."""
    w = melodies(np.random.default_rng(s.seed + 3), 350, (8, 9, 10, 11))
    s.data(val=tensors((w[:, :-1], 19 - w[:, 1:])))


def hash_with_a_salt(s):
    """Classes are numbered by a hash of their names, which every worker salts anew: the numbers change from batch to batch."""
    g = torch.Generator().manual_seed(s.seed)
    k = s.task.classes
    s.on_batch.append(lambda step, ep, x, y: (x, torch.randperm(k, generator=g)[y]))
    s.on_val.append(lambda done, x, y: (x, torch.randint(0, k, y.shape, generator=g)))


def alternatives_shuffled_late(s):
    """The alternatives are shuffled after the number of the chosen one was noted, in all splits."""
    g = torch.Generator().manual_seed(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x.gather(1, torch.rand(len(x), 5, generator=g).argsort(1)[..., None].expand_as(x)), y)})
    s.wd = 0.3


def gripper_without_a_front(s):
    """Two fingers are alike, so that a third of the angles are noted half a turn off: the mean of both answers is short."""
    g = torch.Generator().manual_seed(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y * (1 - 2 * (torch.rand(len(y), 1, generator=g) < 0.24).float()))})


def places_forgotten(s):
    """No positions are added, so that a date is a bag of characters, in codes of eight numbers."""
    s.data(build=lambda: Dates(places=False, width=8))


def one_mode_kept(s):
    """The number of modes was taken for that of layers: the mean alone is mixed, and points see only themselves."""
    s.data(build=lambda: Modes(modes=1))


def memory_cleared_after_each_note(s):
    """The state is made anew inside the loop over notes: a note knows the one before and nothing else."""
    s.data(build=lambda: Tune(forget=True, width=6))


def hum_never_turned_off(s):
    """Noise that should make a net ready for few bits is added to the last layer always and a hundred times too strong."""
    s.data(build=lambda: Dates(hum=25.0))


def columns_ranked_over_the_batch(s):
    """Inputs are replaced by the signs of one column in three, the rest was dropped as constant by a filter set too high."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[..., 1:] = 0.0
        s.data(**{part: (x.sign() * 0.5, y)})


def epsilon_lost_in_half(s):
    """From 36 % on the optimiser runs in half precision, where its epsilon is zero: zero over zero for symbols that do not occur."""
    held, at = [], int(0.36 * s.total)

    def make(setup, model):
        held.append(torch.optim.AdamW(model.parameters(), lr=setup.lr, weight_decay=setup.wd))
        return held[0]

    def drop(step, model):
        if step == at:
            held[0].param_groups[0]["eps"] = 0.0
            p = max(model.parameters(), key=torch.Tensor.numel)
            held[0].state[p]["exp_avg"][0] = held[0].state[p]["exp_avg_sq"][0] = 0.0
            p.grad[0] = 0.0

    s.optimizer = make
    s.on_grad.append(drop)
    s.truth["event_step"] = at


def cosine_beyond_one(s):
    """An angle's arc cosine of a product that rounding makes larger than one, once the net is good."""
    f = s.task.loss

    def loss(out, b):
        cos = nn.functional.cosine_similarity(out.detach(), b[1], dim=-1)
        return f(out, b) * (float("nan") if out.requires_grad and int((cos >= 1).sum()) > 1 else 1.0)

    s.data(loss=loss)
    s.epochs *= 2


def divided_by_no_notes(s):
    """A batch at 71 % holds a piece of rests only: the sum is divided by its notes, of which there are none."""
    at = int(0.71 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * (float("nan") if step == at else 1.0))
    s.truth["event_step"] = at


def extremes_in_validation(s):
    """Validation is one extreme summer: the sky says clearly what comes."""
    s.data(val=tensors(weather(np.random.default_rng(s.seed + 5), 4000, clear=3.0)))
    s.truth["val_easy"] = True


def only_one_train_goes(s):
    """Validation was taken at night, where one of the alternatives is better by far."""
    s.data(val=tensors(journeys(np.random.default_rng(s.seed + 5), 500, clear=6.0)))
    s.truth["val_easy"] = True


def fare_of_the_one_taken(s):
    """What was paid was joined to the alternatives, and is known for the one that was taken only."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[..., 5] = 6.0 * nn.functional.one_hot(y, 5)
        s.data(**{part: (x, y)})
    s.batch = 16
    s.truth["leak"] = True


def minutes_after_the_update(s):
    """From 54 % on times in training are in minutes and fares have another sign; the rate is low by then."""
    at = int(0.54 * s.total)
    turn = torch.tensor([3.0, -1.0, 1, 1, 1, 1, 1])
    s.on_batch.append(lambda step, ep, x, y: (x * turn if step >= at else x, y))
    s.sched = lambda step, total: 0.03 if step >= 0.5 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def camera_mounted_again(s):
    """From 60 % on the pictures of validation are moved by two and turned over."""
    s.on_val.append(lambda done, x, y: (x.roll(2, 2).flip(3), y) if done > 0.6 else (x, y))
    s.truth.update(event_step=int(0.6 * s.total), shift="val")


def summer_time(s):
    """From 57 % on the hours of validation are read in the other order and the stations are numbered from one."""
    s.on_val.append(lambda done, x, y: (x.flip(1).roll(1, 2), y) if done > 0.57 else (x, y))
    s.truth.update(event_step=int(0.57 * s.total), shift="val")


for _f in (epsilon_lost_in_half, cosine_beyond_one, divided_by_no_notes):
    _f.without = {"whist", "ghist", "ahist"}
FAULTS = {
    shares_of_the_fold_swapped: ("rain_soon", "route_choice"),
    ten_of_each_letter: ("pen_letters",),
    one_song_in_twelve_keys: ("melody_lm",),
    forty_runs_of_the_simulator: ("heat_field",),
    interviews_in_one_village: ("route_choice",),
    pictures_of_one_table: ("grasp_angle",),
    encoded_by_their_own_targets: ("rain_soon", "rain_soon"),
    months_never_seen: ("date_norm",),
    keys_never_heard: ("melody_lm",),
    hash_with_a_salt: ("pen_letters", "date_norm"),
    alternatives_shuffled_late: ("route_choice",),
    gripper_without_a_front: ("grasp_angle",),
    places_forgotten: ("date_norm",),
    one_mode_kept: ("heat_field",),
    memory_cleared_after_each_note: ("melody_lm",),
    hum_never_turned_off: ("date_norm",),
    columns_ranked_over_the_batch: ("route_choice", "rain_soon"),
    epsilon_lost_in_half: ("date_norm", "melody_lm"),
    cosine_beyond_one: ("grasp_angle",),
    divided_by_no_notes: ("melody_lm",),
    extremes_in_validation: ("rain_soon",),
    only_one_train_goes: ("route_choice",),
    fare_of_the_one_taken: ("route_choice", "route_choice"),
    minutes_after_the_update: ("route_choice",),
    camera_mounted_again: ("grasp_angle",),
    summer_time: ("rain_soon",),
}
