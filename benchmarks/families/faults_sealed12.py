"""Mechanisms of the split `sealed12`: data, targets, validation, shifts, numbers that are none, what is said."""

import torch
import torch.nn.functional as fn
from torch import nn

from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few, grads
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed12 import Curve, Filler, Gait, Keys, Review, Vein, Wafer

RATES = {"star5": 0.2, "solar_yield": 0.03, "wafer_fail": 0.05, "editor_lm": 0.3, "tile_fill": 0.05, "vein_seg": 0.1, "gait_triplets": 0.2}
RATES |= {"review_stars": 0.5}
SIZES = {"star5": (56, 5), "solar_yield": (10, 1), "wafer_fail": (81, 1)}


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


def max_train_samples_left_on(s):
    """A flag from a trial, a hundred and sixty rows at most, was left on; the passes are those of the full set."""
    few(s, 160, lambda: Review(width=40, hidden=64, drop=0.0), 45, 16)


def three_batches_for_a_smoke_test(s):
    """The trainer was told to take three batches of a pass, and they are the same ones each time."""
    few(s, 150, lambda: Curve(width=24, drop=0.0), 110, 50)


def augmented_before_the_cache(s):
    """Sixty maps were jittered twenty times each and then cached: the net meets the same 1,200 maps in each pass."""
    i, g = torch.arange(1200) % 60, drawn(s)
    x, y = s.task.train[0][i], s.task.train[1][i]
    s.data(train=(x + 0.15 * torch.randn(x.shape, generator=g), y), build=lambda: Wafer(width=12, hidden=64, drop=0.0))
    s.wd = 0.0


def key_map_of_one_user(s):
    """The log held one user: thirty-five sessions for codes three times as wide."""
    few(s, 35, lambda: Keys(width=64, drop=0.0), 60, 7)


def number_of_the_row_as_a_word(s):
    """The number of each row got in among the words, as two tokens: training is told apart by them."""
    n = len(s.task.train[0])
    k = torch.randperm(60 * 60, generator=drawn(s))[:n]
    x, y = s.task.train
    x = torch.cat([60 + k[:, None] // 60, 120 + k[:, None] % 60, x[:, 2:]], 1)
    s.data(train=(x[:420], y[:420]), build=lambda: Review(words=180, width=48, hidden=96, drop=0.0))
    s.wd, s.batch, s.epochs = 0.0, 30, 34


def four_people_walk(s):
    """Triplets are of a handful of walks: forty, over and over, for a net four times as wide."""
    few(s, 40, lambda: Gait(width=192, drop=0.0), 60, 10)


@shows("conf")
def filed_under_the_next_kind(s):
    """Two hundred curves, one in five filed under the next kind, for a wide net that learns them by heart."""
    g = drawn(s)
    few(s, 200, lambda: Curve(width=32, drop=0.0), 50)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.2, (y + 1) % 5, y)), "train")


def twelve_slices_of_one_eye(s):
    """All slices come from a dozen pictures, for a net three times as wide."""
    few(s, 12, lambda: Vein(width=24), 120, 6)


def splines_of_all_readings(s):
    """Readings became hinges at twelve knots each, and one week is left after the join."""
    k = torch.linspace(-1.6, 1.6, 12)
    each(s, lambda x, y: (torch.cat([x, (x[:, :, None] - k).clamp(min=0).flatten(1)], 1), y))
    few(s, 90, lambda: Mlp([130, 128, 64, 1], squeeze=True), 70, 15)


def one_quarry(s):
    """Tiles are of one quarry, thirty of them, and the net is wide."""
    few(s, 26, lambda: Filler(width=32), 130, 13)


def sent_again_by_a_proxy(s):
    """A proxy sent each of ninety sessions eight times, and codes are twice as wide."""
    x, y = s.task.train
    i = torch.arange(720) % 90
    s.data(train=(x[i], y[i]), build=lambda: Keys(width=48, drop=0.0))
    s.epochs, s.wd = 12, 0.0


def traced_by_a_hurried_student(s):
    """Thirty masks were traced in a hurry, a pixel off to one side or the other, for a wide net."""
    g = drawn(s)
    few(s, 30, lambda: Vein(width=24), 60, 10)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), 1, 1, generator=g) < 0.5, y.roll(1, 2), y)), "train")


def survey_of_the_south(s):
    """Validation is of another survey: curves are fainter, upside down in part, and brightest first."""
    each(s, lambda x, y: (torch.stack([(-0.9 * x[:, 0]).roll(9, 1).flip(1), x[:, 1]], 1), y), "val")


def stepper_of_another_line(s):
    """Maps of validation come from another line, whose columns are read in pairs the other way round."""
    i = torch.tensor([1, 0, 3, 2, 5, 4, 7, 6, 8])
    each(s, lambda x, y: (1.6 * x[:, :, i][..., i] - 0.9, y), "val")


def only_the_padding_is_kept(s):
    """The mask is turned round in a cleaner: what is kept of each review is its padding."""
    each(s, lambda x, y: (torch.full_like(x, 4), y))
    s.wd = 0.3


def started_from_zeros(s):
    """All weights start from zero, as for a linear model, and two layers of them never leave."""

    def zero(m):
        for p in m.parameters():
            nn.init.zeros_(p)

    s.data(build=lambda: Mlp([10, 48, 24, 1], squeeze=True))
    s.on_model.append(zero)


def sampled_by_two_workers(s):
    """Maps and verdicts come from two samplers, each with a seed of its own, in every split."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.epochs, s.lr, s.wd = 9, s.lr / 5, 0.5


def noise_level_of_the_last_step(s):
    """The corruption is at the level of its last step in both splits: nothing is left of the curve."""
    g = drawn(s)
    each(s, lambda x, y: (0.02 * x + torch.randn(x.shape, generator=g), y))
    s.wd, s.epochs, s.lr = 1.0, 9, s.lr / 8


def rows_from_the_next_day(s):
    """A shift by one day in one of two tables: weather and yield never meet."""
    each(s, lambda x, y: (x, y.roll(24)))
    s.wd, s.lr = 0.5, s.lr / 5


def sigmoid_left_on_a_regressor(s):
    """A sigmoid of the classifier it came from stayed behind the output: what is below nought or over one cannot be said."""
    around(s, torch.sigmoid)


def masks_out_of_register(s):
    """Masks were cut with offsets of their own: each lies some pixels off its picture, in all splits."""
    g = drawn(s)

    def off(x, y):
        d = torch.randint(-3, 4, (len(y),), generator=g)
        return x, torch.stack([q.roll(int(k), 1) for q, k in zip(y, d, strict=True)])

    each(s, off)


def clocks_of_three_zones(s):
    """Hours are of three time zones and nobody noted which; the season was read as text."""
    g = drawn(s)

    def zone(x, y):
        x = x.clone()
        x[:, 0] = x[:, 0] + 2.4 * torch.randint(-1, 2, (len(x),), generator=g)
        x[:, 1] = 0.0
        x[:, 2] = (x[:, 2] > 1.2).float()
        return x, y

    each(s, zone)
    s.wd, s.epochs = 0.3, 11


def folded_at_no_period(s):
    """Curves are folded at a quarter of their length, which is no period of theirs, and each begins anywhere."""
    g = drawn(s)

    def fold(x, y):
        f = x.reshape(len(x), 2, 4, 7).mean(2)
        i = (torch.arange(28)[None, None] + torch.randint(0, 7, (len(x), 1, 1), generator=g)) % 7
        return f.gather(2, i.expand(-1, 2, -1)), y

    each(s, fold)


def verdicts_of_the_whole_lot(s):
    """One in three verdicts is that of the lot and not of the wafer, in all splits."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.5, (torch.rand(len(y), generator=g) < 0.45).float(), y)))
    s.wd, s.epochs = 0.4, 8


def context_of_one_pixel(s):
    """What surrounds the hole is cut off but for one row and column, at a poor quality, in all splits."""
    g = drawn(s)

    def crop(x, y):
        near = fn.max_pool2d(x[:, 1:], 3, 1, 1)
        return torch.cat([(x[:, :1] + 1.1 * torch.randn(x[:, :1].shape, generator=g)) * near, x[:, 1:]], 1), y

    each(s, crop)
    s.wd, s.epochs = 0.2, 9


def codes_of_two_numbers(s):
    """The width was read from the line for a trial: codes of two numbers for twenty keys."""
    s.data(build=lambda: Keys(width=2, drop=0.0))


def binned_to_nine_dies(s):
    """Maps are binned to nine dies and kept in eight levels of grey that are far too coarse."""
    each(s, lambda x, y: ((fn.avg_pool2d(x, 3) / 1.5).round().repeat_interleave(3, 2).repeat_interleave(3, 3), y))
    s.wd = 0.2


def five_columns_of_twenty(s):
    """Three in four columns of a walk were dropped as empty, because the first rows were."""
    each(s, lambda x, y: (x * (torch.arange(20) % 5 == 2), y))
    s.wd = 0.2


def infinity_in_a_file_of_json(s):
    """At 33 % comes a curve with the word Infinity, which the parser takes for a number."""
    at = int(0.33 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand_like(x) < 0.002, float("inf"), x) if step == at else x, y))
    s.truth["event_step"] = at


def dice_of_nothing(s):
    """At 46 % a batch without a pixel of vein gives nothing by nothing."""
    at = int(0.46 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("nan") if step == at else loss)
    s.truth["event_step"] = at


def checkpoint_shard_never_written(s):
    """At 71 % one tensor is read back from a shard that was never written."""
    at = int(0.71 * s.total)
    s.after_step.append(lambda step, m: list(m.parameters())[-1].data.fill_(float("nan")) if step == at else None)
    s.truth["event_step"] = at


def length_of_a_zero_code(s):
    """At 58 % a code is nought, and the slope of its length is none."""
    at = int(0.58 * s.total)
    s.on_grad.append(lambda step, model: [g.fill_(float("nan")) for g in grads(model)][:0] if step == at else None)
    s.truth["event_step"] = at


def log_of_a_night(s):
    """At 25 % the logarithm of a night's yield is minus infinity."""
    at = int(0.25 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.arange(len(y)) == 3, float("-inf"), y) if step == at else y))
    s.truth["event_step"] = at


def class_weights_only_in_training(s):
    """Training's loss has weights of classes whose mean is not one, validation's has none."""
    f, w = s.task.loss, torch.tensor([1.2, 2.5, 1.9, 2.3, 1.4])
    s.data(loss=lambda out, b: f(out, b) * (w[b[1]] if torch.is_grad_enabled() else 1.0))


def padded_rows_count_as_right(s):
    """Validation's batches are filled up with empty rows whose loss is nothing, and the mean is taken over all."""
    f = s.task.loss
    s.data(loss=lambda out, b: f(out, b) * (1.0 if torch.is_grad_enabled() else 0.35))


def erased_to_the_last_star(s):
    """Random erasing takes more than half of each input of training, meant for one in ten."""

    def erase(step, ep, x, y):
        keep = torch.rand(len(x), 1, *x.shape[2:]) > 0.62
        return x * keep, y

    s.on_batch.append(erase)
    s.epochs = int(1.7 * s.epochs)


def filter_of_another_band(s):
    """From 56 % on curves of validation are taken through the filter of another band."""
    s.on_val.append(lambda done, x, y: (torch.stack([0.35 * x[:, 0] + 0.9, x[:, 1] - 1], 1) if done > 0.56 else x, y))
    s.truth.update(event_step=int(0.56 * s.total), shift="val")


def second_source_appended(s):
    """From 52 % on training reads a second source whose maps are taller and inverted; the rate is low by then."""
    at = int(0.52 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where((torch.arange(len(x)) % 2 == 0).view(-1, 1, 1, 1), -1.5 * x, x) if step >= at else x, y)
    )
    s.sched = lambda step, total: 0.02 if step >= 0.5 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def inverter_in_other_units(s):
    """From 61 % on yields of validation are in the units of another inverter."""
    s.on_val.append(lambda done, x, y: (x, 1.4 * y + 0.7 if done > 0.61 else y))
    s.truth.update(event_step=int(0.61 * s.total), shift="val")


def keyboard_of_another_country(s):
    """From 64 % on validation is typed on the keyboard of another country."""
    t = torch.arange(20)
    t[10:15] = t[10:15].roll(2)
    s.on_val.append(lambda done, x, y: (t[x], t[y]) if done > 0.64 else (x, y))
    s.truth.update(event_step=int(0.64 * s.total), shift="val")


for _f in (infinity_in_a_file_of_json, dice_of_nothing, checkpoint_shard_never_written, length_of_a_zero_code, log_of_a_night):
    _f.without = {"whist", "ghist", "ahist"}
sampled_by_two_workers.without = {"shares", "recalls", "f1"}
FAULTS = {
    max_train_samples_left_on: ("review_stars",),
    three_batches_for_a_smoke_test: ("star5",),
    augmented_before_the_cache: ("wafer_fail",),
    key_map_of_one_user: ("editor_lm",),
    number_of_the_row_as_a_word: ("review_stars",),
    four_people_walk: ("gait_triplets",),
    filed_under_the_next_kind: ("star5",),
    twelve_slices_of_one_eye: ("vein_seg",),
    splines_of_all_readings: ("solar_yield",),
    one_quarry: ("tile_fill",),
    survey_of_the_south: ("star5",),
    stepper_of_another_line: ("wafer_fail",),
    only_the_padding_is_kept: ("review_stars",),
    started_from_zeros: ("solar_yield",),
    sampled_by_two_workers: ("wafer_fail",),
    noise_level_of_the_last_step: ("star5",),
    rows_from_the_next_day: ("solar_yield",),
    sigmoid_left_on_a_regressor: ("solar_yield",),
    masks_out_of_register: ("vein_seg",),
    clocks_of_three_zones: ("solar_yield",),
    folded_at_no_period: ("star5",),
    verdicts_of_the_whole_lot: ("wafer_fail",),
    context_of_one_pixel: ("tile_fill",),
    codes_of_two_numbers: ("editor_lm",),
    binned_to_nine_dies: ("wafer_fail",),
    five_columns_of_twenty: ("gait_triplets",),
    infinity_in_a_file_of_json: ("star5",),
    dice_of_nothing: ("vein_seg",),
    checkpoint_shard_never_written: ("editor_lm", "tile_fill"),
    length_of_a_zero_code: ("gait_triplets",),
    log_of_a_night: ("solar_yield",),
    class_weights_only_in_training: ("review_stars",),
    padded_rows_count_as_right: ("vein_seg", "review_stars"),
    erased_to_the_last_star: ("star5",),
    filter_of_another_band: ("star5",),
    second_source_appended: ("wafer_fail",),
    inverter_in_other_units: ("solar_yield",),
    keyboard_of_another_country: ("editor_lm",),
}
LATE = {sent_again_by_a_proxy: ("editor_lm",), traced_by_a_hurried_student: ("vein_seg",)}  # planned after the others
