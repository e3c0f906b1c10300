"""Mechanisms of the split `sealed13`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.faults_sealed6 import tensors
from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed13 import Stress, Sum, Verse, pairs, pools, spirals

RATES = {"pair_sum": 0.05, "sugar_progress": 0.02, "symptoms6": 0.5, "verse_lm": 0.5, "stress_tags": 0.3, "rare_calls": 0.05}
RATES |= {"tide_nll": 0.03, "spirals4": 0.1}
SIZES = {
    "pair_sum": (128, 9),
    "sugar_progress": (10, 1),
    "symptoms6": (30, 6),
    "rare_calls": (14, 1),
    "tide_nll": (6, 2),
    "spirals4": (2, 4),
}


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def drawn(s):
    """A generator of random numbers of this case."""
    return torch.Generator().manual_seed(s.seed)


def wide(s, width=128, deep=2, drop=0.0):
    """A wide net on the task's inputs as they are now."""
    a, b = s.task.train[0].shape[1], SIZES[s.task.name][1]
    s.data(build=lambda: Mlp([a, *[width] * deep, b], drop=drop, squeeze=b == 1))


def many_pairs_of_few_pictures(s):
    """Fifteen hundred pairs, but of fifty pictures only: the sampler draws pairs after a cut of the pictures."""
    s.data(
        train=tensors(pairs(np.random.default_rng(s.seed), 1500, pools(s.seed)[0][:50], 0.1)),
        build=lambda: Sum(width=16, hidden=64, drop=0.0),
    )
    s.epochs, s.wd = 22, 0.0


def hidden_layer_of_the_other_config(s):
    """The width, 400, and no rein, are those of a data set a hundred times as large; four times the passes."""
    wide(s, 400, 2)
    s.epochs, s.wd = 45, 0.0


def patience_looks_at_training(s):
    """Patience looks at the training loss, which always falls: five times the passes for a net of average width."""
    wide(s, 96, 1)
    s.epochs, s.wd, s.lr = 80, 0.0, 2 * s.lr


def one_number_a_patient(s):
    """The number of each patient became five hundred columns, and patients of validation have others."""
    g = drawn(s)

    def code(x, y):
        return torch.cat([x, 3.0 * fn.one_hot(torch.randint(0, 500, (len(x),), generator=g), 500).float()], 1), y

    each(s, code)
    few(s, 500, None, 40, 20)
    wide(s, 48, 1)


def one_poet(s):
    """The crawl was cut off after one poet: forty lines for a net three times as wide."""
    few(s, 40, lambda: Verse(width=80, drop=0.0), 60, 8)


def lines_sung_again(s):
    """A refrain: each of seventy lines is there nine times, so that passes look long enough."""
    x, y = s.task.train
    i = torch.arange(630) % 70
    s.data(train=(x[i], y[i]), build=lambda: Verse(width=64, drop=0.0))
    s.epochs, s.wd = 14, 0.0


def first_page_of_the_dictionary(s):
    """The reader returns the first page only: thirty rows for codes three times as wide."""
    few(s, 30, lambda: Stress(width=64, drop=0.0), 90, 6)


def calls_copied_until_even(s):
    """Thirty rare calls were copied until both kinds were even, for a net ten times as wide."""
    x, y = s.task.train
    rare, rest = torch.nonzero(y > 0.5)[:30, 0], torch.nonzero(y < 0.5)[:400, 0]
    i = torch.cat([rare.repeat(13), rest])
    s.data(train=(x[i], y[i]))
    wide(s, 192, 2)
    s.epochs, s.wd, s.lr = 32, 0.0, s.lr / 2


def spread_without_a_floor(s):
    """A hundred and fifty hours, and nothing keeps the predicted spread from nought."""
    few(s, 150, None, 60, 15)
    wide(s, 96, 2)


def waves_of_too_short_a_length(s):
    """Features are waves whose length is a fifth of what it should be, for three hundred hours."""
    w = 7.0 * torch.randn(6, 160, generator=drawn(s))
    each(s, lambda x, y: (torch.cat([torch.sin(x @ w), torch.cos(x @ w), x], 1), y))
    few(s, 300, None, 25, 20)
    wide(s, 48, 1)
    s.lr /= 4


@shows("conf")
def arms_told_by_a_child(s):
    """One point in five was filed under another arm in training, two hundred points in all, for a net that learns them by heart."""
    g = drawn(s)
    few(s, 200, None, 170, 20)
    wide(s, 160, 3)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.2, (y + 1) % 4, y)), "train")


def readings_to_the_third_power(s):
    """All products of two and three readings were added, for a net of average width."""

    def up(x, y):
        q = (x[:, :, None] * x[:, None]).flatten(1)
        return torch.cat([x, q, (q[:, :, None] * x[:, None]).flatten(1) / 3], 1), y

    each(s, up)
    wide(s, 32, 1)
    s.epochs, s.wd, s.lr = 30, 0.0, s.lr / 2


def scanned_with_the_back_light(s):
    """Pictures of validation come from a scanner that shows them dark on bright and moved to a side."""
    each(s, lambda x, y: (-0.8 * x.roll(2, -1), y), "val")


def columns_by_name_in_one_loader(s):
    """One loader sorts its columns by name and the other does not: six columns of validation stand elsewhere."""
    i = torch.arange(30)
    i[4:16] = i[4:16].roll(5)
    each(s, lambda x, y: (x[:, i], y), "val")


def clocks_of_summer(s):
    """Hours of validation are those of summer, training's those of winter."""
    each(s, lambda x, y: (torch.cat([x[:, :1] + 0.45, x[:, 1:]], 1), y), "val")


def no_syllable_is_known(s):
    """The table of syllables is of another spelling, so that each becomes the one for unknown."""
    each(s, lambda x, y: (torch.full_like(x, 3), y))
    s.wd = 0.2


def rounded_before_the_loss(s):
    """Outputs are rounded before the loss, as for a report: nothing has a slope."""
    around(s, lambda out: torch.round(0.2 * out))


def divided_by_255_twice(s):
    """Pixels were scaled by the transform and once more by the net, and offset for it: hardly a difference is left."""
    each(s, lambda x, y: (-1 + (x + 1) / 400, y))
    s.lr, s.epochs = s.lr / 4, 9


def arms_by_the_hash_of_the_row(s):
    """The arm was looked up under a hash that changed between two versions of the language."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.randint(0, 4, y.shape, generator=g)))
    s.epochs, s.lr, s.wd = 12, s.lr / 8, 0.3


def diagnoses_of_the_next_bed(s):
    """Diagnoses are those of the patient in the next bed."""
    each(s, lambda x, y: (x, y.roll(7, 0)))
    s.wd, s.lr = 0.6, s.lr / 4


def no_bend_between_layers(s):
    """The units were left out between the layers: arms are cut by straight lines."""
    s.data(build=lambda: nn.Sequential(nn.Linear(2, 24), nn.Linear(24, 4)))


def decay_without_its_exponent(s):
    """The decay lost its exponent, 20 for 2e-4 or so, and pulls all weights to nought."""
    s.wd = 0.22 / s.lr


def two_units_after_a_search(s):
    """A search for the smallest file chose two units in the hidden layer."""
    s.data(build=lambda: Mlp([30, 2, 6]))


def thumbnails_of_two_by_two(s):
    """Thumbnails are read in place of pictures: two by two, blown up again."""
    each(s, lambda x, y: (fn.avg_pool2d(x, 4).repeat_interleave(4, 2).repeat_interleave(4, 3), y))


def second_picture_of_another_row(s):
    """The second picture of each pair is that of another row, in all splits: half of the sum is known."""
    each(s, lambda x, y: (torch.stack([x[:, 0], x[:, 1].roll(11, 0)], 1), y))
    s.wd, s.epochs = 0.3, 10


def memory_cleared_at_each_syllable(s):
    """The state is cleared before each syllable and the codes are shared between pairs of them: there is no line to look back on."""

    class Short(Verse):
        def forward(self, x):
            n, t = x.shape
            return super().forward((x // 3).reshape(n * t, 1)).reshape(n, t, -1)

    s.data(build=Short)


def level_kept_within_a_metre(s):
    """The predicted level is kept within a third of what levels reach, and the spread above a half."""
    around(s, lambda out: torch.stack([0.3 * torch.tanh(out[:, 0]), out[:, 1].clamp(min=-0.7)], 1))


def holes_filled_with_the_mean(s):
    """Three entries in four were missing and filled with a nought, in all splits."""
    g = drawn(s)
    each(s, lambda x, y: (x * (torch.rand(x.shape, generator=g) < 0.25), y))
    s.wd = 0.3


def figures_as_whole_numbers(s):
    """Figures of calls were stored as whole numbers after a division by four."""
    each(s, lambda x, y: ((x / 2.6).round(), y))
    s.wd = 0.3


def root_of_a_low_tide(s):
    """At 29 % an hour comes below the gauge's zero, and its square root is none."""
    at = int(0.29 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None] == 2, float("nan"), x) if step == at else x, y))
    s.truth["event_step"] = at


def temperature_cools_to_nought(s):
    """Scores are divided by a temperature that falls in a line and is nought at 63 %."""
    at = int(0.63 * s.total)
    now = [0]
    s.after_step.append(lambda step, m: now.__setitem__(0, step + 1))
    s.on_out.append(lambda step, out: out / (1 - min(now[0], at) / at))
    s.truth["event_step"] = at


def sensor_off_in_later_looks(s):
    """From 57 % on one reading of validation is missing, and nobody fills it: the loss of validation is none."""
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(x[0].numel()) == 5, float("nan"), x) if done > 0.57 else x, y))
    s.truth["event_step"] = int(0.57 * s.total)


def variance_of_one_row(s):
    """At 44 % the last batch of a shard has one row, and its spread divides by nought before the step."""
    at = int(0.44 * s.total)
    s.after_step.append(lambda step, m: next(iter(m.parameters())).data.mul_(float("nan")) if step == at else None)
    s.truth["event_step"] = at


def smoothed_by_a_half(s):
    """Half of each target is spread over all answers, in training only, where a twentieth was meant."""
    f = s.task.loss

    def loss(out, b):
        if not torch.is_grad_enabled():
            return f(out, b)
        flat = -out.log_softmax(-1).mean(-1)
        return 0.5 * f(out, b) + 0.5 * (flat.mean(1) if flat.dim() > 1 else flat)

    s.data(loss=loss)


def kept_taken_for_dropped(s):
    """The share of units to keep, 0.85, is taken for the share to drop."""
    for_task = {"pair_sum": lambda: Sum(width=12, hidden=48, drop=0.62), "stress_tags": lambda: Stress(width=40, drop=0.85)}
    for_task |= {"symptoms6": lambda: Mlp([30, 64, 6], drop=0.85), "spirals4": lambda: Mlp([2, 96, 64, 4], drop=0.75)}
    s.data(build=for_task[s.task.name])
    s.epochs = int(1.6 * s.epochs)


def doubtful_points_sorted_out(s):
    """Two readers had to agree on each point of validation, so that it has none that is hard."""
    s.data(val=tensors(spirals(np.random.default_rng(s.seed + 9), 350, 0.03)))
    each(s, lambda x, y: (x + 0.16 * torch.randn(x.shape, generator=drawn(s)), y), "train", "test")
    s.truth["val_easy"] = True


def arms_renumbered_in_a_release(s):
    """From 55 % on answers of validation follow a release in which two sums have changed places."""
    t = torch.arange(9)
    t[[3, 4, 5]] = torch.tensor([5, 3, 4])
    s.on_val.append(lambda done, x, y: (x, t[y] if done > 0.55 else y))
    s.truth.update(event_step=int(0.55 * s.total), shift="val")


def gauge_was_moved(s):
    """From 48 % on the gauge of training stands higher; the rate is low by then."""
    at = int(0.48 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, y + 0.6 if step >= at else y))
    s.sched = lambda step, total: 0.0004 if step >= 0.46 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def mean_over_one_device_less(s):
    """From 60 % on the loss is summed over two devices and divided by one."""
    at = int(0.6 * s.total)
    s.on_loss.append(lambda step, loss, model: 2.0 * loss if step >= at else loss)
    s.truth.update(event_step=at, shift="train")


def figures_in_other_units_at_validation(s):
    """From 66 % on the figures of validation are read in other units."""
    s.on_val.append(lambda done, x, y: (2.2 * x + 0.9 if done > 0.66 else x, y))
    s.truth.update(event_step=int(0.66 * s.total), shift="val")


for _f in (root_of_a_low_tide, temperature_cools_to_nought, sensor_off_in_later_looks, variance_of_one_row):
    _f.without = {"whist", "ghist", "ahist"}
FAULTS = {
    many_pairs_of_few_pictures: ("pair_sum",),
    hidden_layer_of_the_other_config: ("sugar_progress",),
    patience_looks_at_training: ("sugar_progress",),
    one_number_a_patient: ("symptoms6",),
    one_poet: ("verse_lm",),
    lines_sung_again: ("verse_lm",),
    first_page_of_the_dictionary: ("stress_tags",),
    calls_copied_until_even: ("rare_calls",),
    spread_without_a_floor: ("tide_nll",),
    waves_of_too_short_a_length: ("tide_nll",),
    arms_told_by_a_child: ("spirals4",),
    readings_to_the_third_power: ("sugar_progress",),
    scanned_with_the_back_light: ("pair_sum",),
    columns_by_name_in_one_loader: ("symptoms6",),
    clocks_of_summer: ("tide_nll",),
    no_syllable_is_known: ("stress_tags",),
    rounded_before_the_loss: ("sugar_progress",),
    divided_by_255_twice: ("pair_sum",),
    arms_by_the_hash_of_the_row: ("spirals4",),
    diagnoses_of_the_next_bed: ("symptoms6",),
    no_bend_between_layers: ("spirals4",),
    decay_without_its_exponent: ("verse_lm", "symptoms6"),
    two_units_after_a_search: ("symptoms6",),
    thumbnails_of_two_by_two: ("pair_sum",),
    second_picture_of_another_row: ("pair_sum",),
    memory_cleared_at_each_syllable: ("verse_lm",),
    level_kept_within_a_metre: ("tide_nll",),
    holes_filled_with_the_mean: ("symptoms6",),
    figures_as_whole_numbers: ("rare_calls",),
    root_of_a_low_tide: ("tide_nll",),
    temperature_cools_to_nought: ("stress_tags",),
    sensor_off_in_later_looks: ("symptoms6",),
    variance_of_one_row: ("spirals4",),
    smoothed_by_a_half: ("pair_sum", "stress_tags"),
    kept_taken_for_dropped: ("spirals4", "symptoms6"),
    doubtful_points_sorted_out: ("spirals4",),
    arms_renumbered_in_a_release: ("pair_sum",),
    gauge_was_moved: ("tide_nll",),
    mean_over_one_device_less: ("verse_lm", "stress_tags"),
    figures_in_other_units_at_validation: ("rare_calls",),
}
