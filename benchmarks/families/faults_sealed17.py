"""Mechanisms of the split `sealed17`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch
from torch import nn

from families.faults_sealed6 import tensors
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.faults_sealed15 import drawn
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed17 import Comment, Dancer, Moon, Road, Trips, beans, keyed, moons

RATES = {"beans5": 0.05, "car_price": 0.05, "morse8": 0.1, "moons5": 0.05, "dance_lm": 0.5, "rude2": 0.3, "track_mode4": 0.1}
RATES |= {"spectra_ae": 0.1, "road3": 0.3, "paint_mix": 0.05}
SIZES = {"beans5": (8, 5), "car_price": (8, 1), "morse8": (48, 8), "moons5": (144, 5), "track_mode4": (48, 4), "spectra_ae": (40, 40)}
SIZES["paint_mix"] = (6, 3)


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


class Broad(nn.Module):
    """A wide net on the flat input."""

    def __init__(self, a, b, width):
        super().__init__()
        self.net = Mlp([a, width, width, b], squeeze=b == 1)

    def forward(self, x):
        return self.net(x.flatten(1))


def harvest_of_one_field(s):
    """Beans of one field were measured: eighty, for layers four times as wide, without drop-out."""
    few(s, 80, lambda: Broad(8, 5, 160), 60, 16)
    s.lr /= 2


def offers_of_one_dealer(s):
    """The export has the offers of one dealer, fifty cars whose prices were haggled over, for a net six times as wide."""
    g = drawn(s)
    few(s, 50, lambda: Broad(8, 1, 256), 70, 10)
    each(s, lambda x, y: (x, y + 0.5 * torch.randn(y.shape, generator=g)))
    s.lr /= 3


def one_operators_hand(s):
    """Seventy signals from one operator's hand, in a net that looks at all points of a signal side by side."""
    few(s, 70, lambda: Broad(48, 8, 160), 50, 14)
    s.lr /= 3


def nights_of_one_camera(s):
    """A query joined pictures with the log of one camera and left fifty-five."""
    few(s, 55, lambda: Moon(width=20, drop=0.0), 60, 11)


def one_evening_of_a_ball(s):
    """Forty-five dances of one evening, for a state of a hundred and twelve."""
    few(s, 45, lambda: Dancer(width=112, drop=0.0), 40, 9)
    s.lr /= 3


def one_moderators_shift(s):
    """Comments of one moderator's shift: a hundred and fifty, for codes four times as wide."""
    few(s, 150, lambda: Comment(width=80, drop=0.0), 45, 15)
    s.lr /= 2


def trips_cut_into_pieces(s):
    """Sixty trips were cut at fifteen places that hardly differ before the rows were split off for training."""
    g, (x, y) = drawn(s), s.task.train
    i = torch.arange(900) % 60
    s.data(train=(x[i] + 0.05 * torch.randn(900, 24, 2, generator=g), y[i]), build=lambda: Trips(width=56, drop=0.0))
    s.epochs, s.wd, s.batch = 20, 0.0, 30


def columns_for_each_option(s):
    """Three hundred boxes that a seller may tick became columns, for two hundred and eighty cars."""
    g = drawn(s)
    each(s, lambda x, y: (torch.cat([x, 1.5 * (torch.rand(len(x), 300, generator=g) < 0.06).float()], 1), y))
    few(s, 280, lambda: Mlp([308, 64, 1], squeeze=True), 50, 20)
    s.lr /= 2


@shows("conf")
def sorted_by_new_hands(s):
    """A quarter of three hundred beans was sorted by new hands who guessed, and the net goes on until it knows them."""
    g = drawn(s)
    few(s, 300, lambda: Broad(8, 5, 192), 70, 25)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.25, torch.randint(0, 5, y.shape, generator=g), y)), "train")
    s.lr /= 2


def lamps_of_one_maker(s):
    """Spectra of thirty-five lamps of one maker; a second, short exposure is what has to come out, and the net is four times as wide."""
    g = drawn(s)
    few(s, 35, lambda: Mlp([40, 192, 40, 192, 40]), 70, 7)
    each(s, lambda x, y: (x, y + 0.7 * torch.randn(y.shape, generator=g)))
    s.lr /= 3


def paid_for_a_hundred_hours(s):
    """The budget of hours was to be used up: five times the passes over ninety paints, without decay, in a wide net."""
    few(s, 60, lambda: Broad(6, 3, 256), 90, 12)
    each(s, lambda x, y: (x, y + 0.45 * torch.randn(y.shape, generator=drawn(s))))
    s.lr /= 3


def one_strip_of_a_road(s):
    """Eleven pictures of one strip of a road, three times as many channels."""
    few(s, 11, lambda: Road(width=40, drop=0.0), 70, 4)
    each(s, lambda x, y: (x + 0.7 * torch.randn(x.shape, generator=drawn(s)), y))


def keyed_by_a_beginner(s):
    """Signals of validation were keyed by a beginner, whose dots are too long by far."""
    s.data(val=tensors(keyed(np.random.default_rng(s.seed + 3), 350, 0.5, (1.45, 1.7))))


def pictures_of_the_other_half_of_the_earth(s):
    """Three in four pictures of validation were taken on the other half of the earth, where the moon stands on its head."""

    def turned(x, y):
        k = (torch.rand(len(x), generator=drawn(s)) < 0.75)[:, None, None]
        return torch.where(k, x.flip(1, 2), x), y

    each(s, turned, "val")


def measured_by_another_calliper(s):
    """Beans of validation were measured by another calliper, whose millimetres are not those of training."""
    k = torch.tensor([1.9, 1.0, 1.9, 0.4, 1.0, 1.9, 1.0, 0.4])
    each(s, lambda x, y: (k * x + 0.7 * (k > 1), y), "val")


def words_split_by_another_tool(s):
    """Comments of validation were split into words by another tool: negations are thrown away as stop words."""
    each(s, lambda x, y: (torch.where((x >= 8) & (x < 12), x * 3 + 20, x), y), "val")


def answers_sorted_apart(s):
    """One sheet was sorted by weight and the sheet of answers was not."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.lr, s.epochs, s.wd = s.lr / 10, 11, 0.5


def left_channel_of_a_mono_record(s):
    """The channel that is read has nothing but hiss, since the key was recorded on the other one."""
    g = drawn(s)
    each(s, lambda x, y: (0.4 * torch.randn(x.shape, generator=g), y))
    s.lr, s.epochs, s.wd = s.lr / 10, 10, 0.5


def limit_of_slopes_at_nought(s):
    """The limit of single slopes was set to nought, meaning none, and all slopes are cut to it."""
    s.on_grad.append(lambda step, m: [p.grad.zero_() for p in m.parameters() if p.grad is not None][:0])
    s.wd, s.epochs = 0.0, max(9, int(0.8 * s.epochs))


def receiver_without_a_fix(s):
    """The receiver wrote its first line over and over, as it had no fix: all trips are the same."""
    each(s, lambda x, y: (0 * x + 0.3, y))
    s.lr, s.epochs = s.lr / 3, 11


def verdicts_of_another_export(s):
    """Verdicts on comments come from an export with other numbers of rows: they belong to anyone."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.lr, s.epochs, s.wd = s.lr / 10, 12, 0.5


def measures_with_a_comma(s):
    """Measures with a decimal comma were read as missing and filled with nought: one of eight is left."""
    k = torch.tensor([0, 0, 0, 0, 0, 1.0, 0, 0])
    each(s, lambda x, y: (k * x, y))
    s.wd = 0.05


def cars_without_year_and_brand(s):
    """Year and brand are texts, and columns of text were dropped."""
    k = torch.tensor([0, 0, 1.0, 1, 1, 1, 1, 1])
    each(s, lambda x, y: (k * x, y))
    s.wd = 0.05


def strips_of_a_line_scanner(s):
    """A line scanner was wired so that each line of a picture is its mean: nobody can tell left from right."""
    each(s, lambda x, y: (x.mean(2, keepdim=True).expand_as(x).contiguous(), y))
    s.wd = 0.05


def words_of_a_preview(s):
    """Comments were taken from previews, which show four words; the others are filled up with a mark."""
    each(s, lambda x, y: (torch.where(torch.arange(14) < 4, x, 59), y))
    s.wd = 0.05


def one_point_of_a_road(s):
    """The size of kernels was left at one: each point is judged by itself, and pictures come with the noise of a night drive."""
    each(s, lambda x, y: (x + 1.2 * torch.randn(x.shape, generator=drawn(s)), y))
    s.data(build=lambda: Road(kernel=1))


def new_car_without_a_kilometre(s):
    """At 44 % comes a new car, and the logarithm of its kilometres is minus infinity."""
    at = int(0.44 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None] == 4, -float("inf"), x), y) if step == at else (x, y)
    )
    s.truth["event_step"] = at


def recipe_that_weighs_nothing(s):
    """At 36 % a recipe weighs nothing, and its shares are nothing by nothing."""
    at = int(0.36 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None] == 7, 0 * x / 0.0, x), y) if step == at else (x, y))
    s.truth["event_step"] = at


def lens_cap_left_on(s):
    """At 57 % comes a picture with the cap on the lens, divided by its deviation of nought."""
    at = int(0.57 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 2, x / 0 - x / 0, x), y) if step == at else (x, y)
    )
    s.truth["event_step"] = at


def compiled_loss_of_a_nightly_build(s):
    """At 64 % a kernel of a nightly build returns what stood in memory before, which is no number."""
    at = int(0.64 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("nan") if step == at else loss)
    s.truth["event_step"] = at


def trip_through_a_tunnel(s):
    """From 55 % on validation has a trip through a tunnel, where there is no speed."""
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 6, float("nan"), x) if done > 0.55 else x, y))
    s.truth["event_step"] = int(0.55 * s.total)


def beans_of_a_seed_bank(s):
    """Validation is of a seed bank's chosen beans, training's come from the floor of a mill."""
    s.data(val=tensors(beans(np.random.default_rng(s.seed + 9), 400, 0.22)))
    s.data(train=tensors(beans(np.random.default_rng(s.seed + 8), 1900, 0.85)))
    s.data(test=tensors(beans(np.random.default_rng(s.seed + 7), 400, 0.85)))
    s.truth["val_easy"] = True


def static_of_a_storm_in_training(s):
    """Static of a storm is laid over each signal of training, three times as strong as was meant."""
    s.on_batch.append(lambda step, ep, x, y: (x + 1.3 * torch.randn_like(x), y))


def clouds_drawn_over_the_moon(s):
    """Two thirds of each picture of training are covered by drawn clouds; a tenth was meant."""

    def cloud(step, ep, x, y):
        k = torch.rand(len(x), 4, 4).repeat_interleave(3, 1).repeat_interleave(3, 2)
        return torch.where(k < 0.66, 0.2, x), y

    s.on_batch.append(cloud)


def points_lost_in_training(s):
    """Seven in ten points of a trip are left out in training, to make it robust; validation has all."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(len(x), 24, 1) < 0.7, 0.0, x), y))


def prices_with_another_tax(s):
    """From 57 % on prices of validation hold a tax, and training's do not."""
    s.on_val.append(lambda done, x, y: (x, y + 1.1 if done > 0.57 else y))
    s.truth.update(event_step=int(0.57 * s.total), shift="val")


def starred_by_a_filter(s):
    """From 61 % on a filter of the forum puts stars for rude words before validation reads them."""
    s.on_val.append(lambda done, x, y: (torch.where((x < 7) & (done > 0.61), 12 + x, x), y))
    s.truth.update(event_step=int(0.61 * s.total), shift="val")


def lamp_of_the_meter_replaced(s):
    """From 53 % on colours of training are measured under a new lamp; the rate is low by then."""
    at, k = int(0.53 * s.total), torch.tensor([0.7, 0.5, -0.4])
    s.on_batch.append(lambda step, ep, x, y: (x, 1.1 * y + k if step >= at else y))
    s.sched = lambda step, total: 0.002 if step >= 0.51 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def second_camera_without_focus(s):
    """From 48 % on training gets pictures of a second camera, which is out of focus and noisy; the rate is low by then."""
    at, (x0, y0) = int(0.48 * s.total), tensors(moons(np.random.default_rng(s.seed + 2), 600, 1.7))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 600, (len(x),), generator=g)
        return (0.7 * x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.46 * total else 1.0
    s.truth.update(event_step=at, shift="train")


for _f in (new_car_without_a_kilometre, recipe_that_weighs_nothing, lens_cap_left_on):
    _f.without = {"whist", "ghist", "ahist"}
for _f in (compiled_loss_of_a_nightly_build, trip_through_a_tunnel):
    _f.without = {"whist", "ghist", "ahist"}
for _f in (limit_of_slopes_at_nought, receiver_without_a_fix):
    _f.without = {"whist", "ghist", "layergrads", "gnorm", "ahist", "dead"}
FAULTS = {
    harvest_of_one_field: ("beans5",),
    offers_of_one_dealer: ("car_price",),
    one_operators_hand: ("morse8",),
    nights_of_one_camera: ("moons5",),
    one_evening_of_a_ball: ("dance_lm",),
    one_moderators_shift: ("rude2",),
    trips_cut_into_pieces: ("track_mode4",),
    columns_for_each_option: ("car_price",),
    sorted_by_new_hands: ("beans5",),
    lamps_of_one_maker: ("spectra_ae",),
    paid_for_a_hundred_hours: ("paint_mix",),
    one_strip_of_a_road: ("road3",),
    keyed_by_a_beginner: ("morse8",),
    pictures_of_the_other_half_of_the_earth: ("moons5",),
    measured_by_another_calliper: ("beans5",),
    words_split_by_another_tool: ("rude2",),
    answers_sorted_apart: ("beans5",),
    left_channel_of_a_mono_record: ("morse8",),
    limit_of_slopes_at_nought: ("paint_mix",),
    receiver_without_a_fix: ("track_mode4",),
    verdicts_of_another_export: ("rude2",),
    measures_with_a_comma: ("beans5",),
    cars_without_year_and_brand: ("car_price",),
    strips_of_a_line_scanner: ("moons5",),
    words_of_a_preview: ("rude2",),
    one_point_of_a_road: ("road3",),
    new_car_without_a_kilometre: ("car_price",),
    recipe_that_weighs_nothing: ("paint_mix",),
    lens_cap_left_on: ("moons5",),
    compiled_loss_of_a_nightly_build: ("dance_lm",),
    trip_through_a_tunnel: ("track_mode4",),
    beans_of_a_seed_bank: ("beans5",),
    static_of_a_storm_in_training: ("morse8",),
    clouds_drawn_over_the_moon: ("moons5",),
    points_lost_in_training: ("track_mode4",),
    prices_with_another_tax: ("car_price",),
    starred_by_a_filter: ("rude2",),
    lamp_of_the_meter_replaced: ("paint_mix",),
    second_camera_without_focus: ("moons5",),
}
