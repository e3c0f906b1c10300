"""Mechanisms of the split `sealed14`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed14 import Cells, Shell, Sugar, Tremor, stands

RATES = {
    "quake4": 0.1,
    "life_grid": 0.5,
    "cover7": 0.1,
    "concrete": 0.05,
    "no_shows": 0.1,
    "shell_lm": 1.0,
    "glucose6": 0.1,
    "student5": 0.1,
}
SIZES = {"quake4": (48, 4), "cover7": (12, 7), "concrete": (8, 1), "no_shows": (16, 1), "glucose6": (24, 6), "student5": (20, 5)}


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


def one_night_of_one_station(s):
    """The download stopped after one night of one station: seventy traces."""
    few(s, 70, lambda: Tremor(width=24, drop=0.0), 60, 14)


def left_running_over_the_holidays(s):
    """Nobody stopped it: seven times the passes for a net that is larger than the rows need."""
    s.data(train=rows(s.task.train, slice(0, 500)))
    wide(s, 128, 2)
    s.epochs, s.wd, s.batch, s.lr = 70, 0.0, 32, 0.6 * s.lr


def laboratory_number_kept(s):
    """The number of the sample in its laboratory became four hundred columns, which mean nothing in another laboratory."""
    g = drawn(s)
    each(s, lambda x, y: (torch.cat([x, 2.5 * fn.one_hot(torch.randint(0, 400, (len(x),), generator=g), 400).float()], 1), y))
    few(s, 450, None, 40, 20)
    wide(s, 48, 1)


def history_of_one_administrator(s):
    """The history is that of one person: forty-five lines."""
    few(s, 45, lambda: Shell(width=80, drop=0.0), 60, 9)


def history_with_all_repeats(s):
    """A nightly job types the same seventy lines again: seven hundred lines, seventy of them different."""
    x, y = s.task.train
    i = torch.arange(700) % 70
    s.data(train=(x[i], y[i]), build=lambda: Shell(width=72, drop=0.0))
    s.epochs, s.wd = 16, 0.0


def plots_next_to_each_other(s):
    """Places of training are ninety plots and their neighbours: two thousand rows that are nearly ninety."""
    g, (x, y) = drawn(s), s.task.train
    i = torch.arange(1500) % 90
    s.data(train=(x[i] + 0.05 * torch.randn(1500, 12, generator=g), y[i]))
    wide(s, 128, 2)
    s.epochs, s.wd, s.lr = 24, 0.0, s.lr / 2


def new_rows_between_thirty(s):
    """Missed visits were made up between pairs of thirty until both kinds were even, for a net of a wide layer."""
    g, (x, y) = drawn(s), s.task.train
    a, b = x[torch.nonzero(y > 0.5)[:30, 0]], x[torch.nonzero(y < 0.5)[:330, 0]]
    i, j, t = (torch.randint(0, 30, (300,), generator=g) for _ in range(3))
    new = a[i] + (t / 30.0)[:, None] * (a[j] - a[i])
    s.data(train=(torch.cat([a, new, b]), torch.cat([torch.ones(330), torch.zeros(330)])))
    wide(s, 160, 2)
    s.epochs, s.wd, s.lr = 30, 0.0, s.lr / 2


def windows_of_four_days(s):
    """A hundred and ten windows of four days, for a state three times as wide."""
    few(s, 110, lambda: Sugar(width=80, drop=0.0), 70, 16)


def transfer_set_of_a_demonstration(s):
    """The student sees the hundred and fifty rows of a demonstration."""
    few(s, 150, None, 60, 15)
    wide(s, 160, 2)
    s.lr /= 2


@shows("conf")
def species_noted_in_a_hurry(s):
    """One tree in five was noted as its neighbour in the list, among three hundred places, for a net that can learn that."""
    g = drawn(s)
    few(s, 300, None, 70, 25)
    wide(s, 160, 2)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.2, (y + 1) % 7, y)), "train")
    s.lr /= 2


def nine_boards(s):
    """Nine boards are all there is, and a cell is told by a view of seven by seven."""
    few(s, 9, lambda: Cells(width=64, kernel=7), 120, 3)
    s.lr /= 3


def all_powers_of_all_shares(s):
    """Powers up to the fifth and all products were added to the shares, for two hundred and fifty mixes."""

    def up(x, y):
        q = (x[:, :, None] * x[:, None]).flatten(1)
        return torch.cat([x, q / 2, x**3 / 4, x**4 / 6, x**5 / 10, (q[:, :, None] * x[:, None]).flatten(1) / 3], 1), y

    each(s, up)
    few(s, 250, None, 50, 20)
    wide(s, 32, 1)
    s.lr /= 3


def filtered_in_training_only(s):
    """The filter against the swell of the sea was forgotten in validation: a slow wave lies under each trace."""
    t = torch.arange(48)[None] * 0.26

    def swell(x, y):
        return x + 1.3 * torch.sin(t + 6.28 * torch.rand(len(x), 1, generator=drawn(s))), y

    each(s, swell, "val")


def gaps_filled_otherwise_in_validation(s):
    """The other program fills five figures of validation with a nought."""
    each(s, lambda x, y: (torch.cat([x[:, :7], 0 * x[:, 7:]], 1), y), "val")


def reader_of_another_brand(s):
    """Validation comes from a reader of another brand, which shows a third more and is late by three readings."""
    each(s, lambda x, y: (1.3 * x.roll(3, 1) + 0.3, y), "val")


def joined_on_a_rounded_key(s):
    """Trees were joined to places on rounded coordinates, so that any tree may be at any place."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.epochs, s.lr, s.wd = 12, s.lr / 8, 0.3


def answers_of_the_previous_batch(s):
    """A queue is one batch late: what the teacher said belongs to other rows."""
    each(s, lambda x, y: (x, y.roll(100, 0)))
    s.wd, s.lr, s.epochs = 0.4, s.lr / 4, 14


def buffer_never_filled(s):
    """The buffer of readings is handed over before it was filled: all windows are alike."""
    each(s, lambda x, y: (torch.zeros_like(x), y))
    s.lr, s.epochs = s.lr / 4, 14


def item_taken_before_the_loss(s):
    """The output is turned into a plain number and back: no slope comes through."""
    around(s, lambda out: out.detach())


def volts_as_whole_numbers(s):
    """Traces are kept as whole volts where they are millivolts: hardly one is not nought."""
    each(s, lambda x, y: ((x / 14).round(), y))
    s.lr, s.epochs = s.lr / 4, 9


def two_main_directions(s):
    """Twelve figures were put down to two main directions."""

    old = s.task.train[0]
    v = torch.linalg.svd(old - old.mean(0), full_matrices=False)[2][:2]
    each(s, lambda x, y: (x @ v.T @ v, y))


def decay_also_on_codes_and_offsets(s):
    """The decay of pictures, far too strong here, is put on all that can be learned."""
    s.wd = (0.07 if s.task.name == "shell_lm" else 0.04) / s.lr


def strength_capped_by_the_form(s):
    """The form allows strengths in the lower third only: outputs are bent into a narrow range."""
    around(s, lambda out: 0.35 * torch.tanh(out) - 0.1)


def one_sample_in_six(s):
    """A trace is kept at one sample in six."""
    each(s, lambda x, y: (x[:, ::6].repeat_interleave(6, 1), y))


def days_only_as_early_or_late(s):
    """Figures of an appointment are kept as above or below a high bound."""
    each(s, lambda x, y: ((x > 1.2).float(), y))


def neighbours_two_away(s):
    """The spacing of the kernel was left at two: no cell sees its neighbours."""
    s.data(build=lambda: Cells(dilation=2))


def only_the_oldest_readings(s):
    """The window is cut at the wrong end: the last sixteen readings are nought."""
    each(s, lambda x, y: (torch.cat([x[:, :6], 0 * x[:, 6:]], 1), y))


def student_of_one_unit(s):
    """A search over sizes was bounded below and not above: one unit."""
    s.data(build=lambda: Mlp([20, 1, 5]))


def line_without_its_order(s):
    """Words are sorted within halves of a line on the way in, so that what came last is unknown."""
    each(s, lambda x, y: (torch.cat([x[:, :9].sort(1).values, x[:, 9:].sort(1).values], 1), y))
    s.wd = 0.3


def flat_window_standardised(s):
    """At 37 % a sensor stood still for a window, which is divided by its spread."""
    at = int(0.37 * s.total)
    bad = lambda x: torch.where(torch.arange(len(x))[:, None] == 3, (x - x) / 0.0, x)  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: (bad(x), y) if step == at else (x, y))
    s.truth["event_step"] = at


def teacher_gave_no_answer(s):
    """At 54 % the teacher ran out of memory and gave no numbers for one row."""
    at = int(0.54 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (x, torch.where(torch.arange(len(y))[:, None] == 0, float("nan"), y)) if step == at else (x, y)
    )
    s.truth["event_step"] = at


def age_unknown_in_newer_rows(s):
    """From 62 % on validation has rows of this week, in which an age is missing."""
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(16) == 2, float("nan"), x) if done > 0.62 else x, y))
    s.truth["event_step"] = int(0.62 * s.total)


def strength_in_pascal_in_half(s):
    """At 48 % rows in pascal come in, whose squares are beyond half precision."""
    at = int(0.48 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("inf") if step == at else loss)
    s.truth["event_step"] = at


def running_spread_below_nought(s):
    """At 71 % a running spread in low precision falls below nought, and its root is none."""
    at = int(0.71 * s.total)
    s.after_step.append(lambda step, m: list(m.parameters())[-1].data.add_(float("nan")) if step == at else None)
    s.truth["event_step"] = at


def mixed_with_others_half_and_half(s):
    """Each trace of training is half of another one, whose kind is not told; validation is left as it is."""

    def mix(step, ep, x, y):
        i = torch.randperm(len(x))
        return 0.55 * x + 0.45 * x[i], y

    s.on_batch.append(mix)
    s.epochs = int(1.3 * s.epochs)
    s.on_batch.append(lambda step, ep, x, y: (x + 0.5 * torch.randn_like(x), y))


def validation_of_pure_stands(s):
    """Validation holds places that were sure to two foresters."""
    s.data(val=tensors(stands(np.random.default_rng(s.seed + 9), 400, 0.35)))
    each(s, lambda x, y: (x + 0.8 * torch.randn(x.shape, generator=drawn(s)), y), "train", "test")
    s.truth["val_easy"] = True


def hints_of_half_a_teacher(s):
    """In training two answers in five are drawn anew in each batch, to make the student robust."""
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.rand(len(y)) < 0.4, torch.randint(0, s.task.classes, (len(y),)), y)))


def trees_renamed_by_a_new_key(s):
    """From 58 % on trees of validation follow a new key, in which two have changed places."""
    t = torch.arange(7)
    t[[1, 4]] = torch.tensor([4, 1])
    s.on_val.append(lambda done, x, y: (x, t[y] if done > 0.58 else y))
    s.truth.update(event_step=int(0.58 * s.total), shift="val")


def digger_began_next_door(s):
    """From 50 % on a digger works near the stations of training; the rate is low by then."""
    at = int(0.5 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x + 0.55 * torch.randn_like(x) if step >= at else x, y))
    s.sched = lambda step, total: 0.002 if step >= 0.48 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def weights_of_parts_doubled_by_a_merge(s):
    """From 62 % on, after a merge of two files of settings, the loss counts for twice as much."""
    at = int(0.62 * s.total)
    s.on_loss.append(lambda step, loss, model: 2.1 * loss if step >= at else loss)
    s.truth.update(event_step=at, shift="train")


def reader_changed_in_validation(s):
    """From 45 % on readings of validation lie higher, as a reader was changed."""
    s.on_val.append(lambda done, x, y: (x + 1.1 if done > 0.45 else x, y))
    s.truth.update(event_step=int(0.45 * s.total), shift="val")


for _f in (
    flat_window_standardised,
    teacher_gave_no_answer,
    age_unknown_in_newer_rows,
    strength_in_pascal_in_half,
    running_spread_below_nought,
):
    _f.without = {"whist", "ghist", "ahist"}
FAULTS = {
    one_night_of_one_station: ("quake4",),
    left_running_over_the_holidays: ("concrete", "cover7"),
    laboratory_number_kept: ("concrete",),
    history_of_one_administrator: ("shell_lm",),
    history_with_all_repeats: ("shell_lm",),
    plots_next_to_each_other: ("cover7",),
    new_rows_between_thirty: ("no_shows",),
    windows_of_four_days: ("glucose6",),
    transfer_set_of_a_demonstration: ("student5",),
    species_noted_in_a_hurry: ("cover7",),
    nine_boards: ("life_grid",),
    all_powers_of_all_shares: ("concrete",),
    filtered_in_training_only: ("quake4",),
    gaps_filled_otherwise_in_validation: ("cover7", "student5"),
    reader_of_another_brand: ("glucose6",),
    joined_on_a_rounded_key: ("cover7",),
    answers_of_the_previous_batch: ("student5",),
    buffer_never_filled: ("glucose6",),
    item_taken_before_the_loss: ("concrete", "no_shows"),
    volts_as_whole_numbers: ("quake4",),
    two_main_directions: ("cover7",),
    decay_also_on_codes_and_offsets: ("shell_lm", "cover7"),
    strength_capped_by_the_form: ("concrete",),
    one_sample_in_six: ("quake4",),
    days_only_as_early_or_late: ("no_shows",),
    neighbours_two_away: ("life_grid",),
    only_the_oldest_readings: ("glucose6",),
    student_of_one_unit: ("student5",),
    line_without_its_order: ("shell_lm",),
    flat_window_standardised: ("glucose6",),
    teacher_gave_no_answer: ("student5",),
    age_unknown_in_newer_rows: ("no_shows",),
    strength_in_pascal_in_half: ("concrete",),
    running_spread_below_nought: ("life_grid", "quake4"),
    mixed_with_others_half_and_half: ("quake4",),
    validation_of_pure_stands: ("cover7",),
    hints_of_half_a_teacher: ("cover7", "quake4"),
    trees_renamed_by_a_new_key: ("cover7",),
    digger_began_next_door: ("quake4",),
    weights_of_parts_doubled_by_a_merge: ("shell_lm", "life_grid"),
    reader_changed_in_validation: ("glucose6",),
}
