"""Mechanisms of the split `sealed19`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.faults_sealed15 import drawn
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed19 import Chest, Cough, Driver, Garment, Gaze, Genome, Headline, Pupil, Roads, clips, flights, garments, penguins

RATES = {"penguins3": 0.1, "garments6": 0.05, "headlines4": 1.0, "gaze3": 0.1, "genome_lm": 1.0, "pupil_answers": 0.3, "cough2": 0.05}
RATES |= {"flight_delay": 0.05, "driving": 0.05, "traffic10": 0.1, "xray5": 0.1}
SIZES = {"penguins3": (8, 3), "garments6": (196, 6), "cough2": (192, 1), "driving": (160, 2), "traffic10": (80, 10), "xray5": (144, 5)}
SIZES["flight_delay"] = (9, 1)


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def birds_of_the_first_season(s):
    """Only the birds of the first season were exported, fifty of them, and the layers are six times as wide."""
    few(s, 50, lambda: Mlp([8, 192, 192, 3]), 80, 10)
    each(s, lambda x, y: (x + 0.7 * torch.randn(x.shape, generator=drawn(s)), y))
    s.lr /= 3


def synthetic_birds_between_real_ones(s):
    """Seventy rows became fifteen hundred by points between neighbours of a kind, as is done for rare ones."""
    each(s, lambda x, y: (x + 0.9 * torch.randn(x.shape, generator=drawn(s)), y))
    g, (x, y) = drawn(s), s.task.train
    i, j = torch.randint(0, 70, (1500,), generator=g), torch.randint(0, 70, (1500,), generator=g)
    k = 0.3 * torch.rand(1500, 1, generator=g) * (y[i] == y[j])[:, None]
    s.data(train=(x[i] + k * (x[j] - x[i]), y[i]), build=lambda: Mlp([8, 160, 160, 3]))
    s.epochs, s.wd = 18, 0.0


def catalogue_of_one_shop(s):
    """Seventy pictures from the catalogue of one shop, three times as many channels, nothing dropped."""
    few(s, 70, lambda: Garment(width=24, drop=0.0), 50, 14)


def headlines_of_one_day(s):
    """The collector ran for a day: a hundred and twenty headlines, for codes five times as wide."""
    few(s, 120, lambda: Headline(width=120, drop=0.0), 60, 12)
    s.lr /= 4


def two_readers_only(s):
    """Tracks of two readers, sixteen in all, with eye blinks left in and channels three times as wide."""
    few(s, 16, lambda: Gaze(width=48, kernel=9, drop=0.0), 80, 4)
    each(s, lambda x, y: (x + 0.7 * torch.randn(x.shape, generator=drawn(s)), y))


def one_strain_from_the_archive(s):
    """Forty stretches of genomes, for a state three times as wide."""
    few(s, 40, lambda: Genome(width=120, drop=0.0), 45, 10)
    s.lr /= 3


def one_class_of_a_school(s):
    """Answers of one class of forty pupils, for codes four times as wide."""
    few(s, 40, lambda: Pupil(width=96, drop=0.0), 60, 10)


def clips_cut_from_few_recordings(s):
    """Eighty recordings were cut at places that hardly differ: sixteen hundred clips that tell no more than eighty."""
    g, (x, y) = drawn(s), s.task.train
    i = torch.arange(1600) % 80
    s.data(train=(x[i] + 0.06 * torch.randn(1600, 12, 16, generator=g), y[i]), build=lambda: Cough(width=24, drop=0.0))
    s.epochs, s.wd = 14, 0.0


def number_of_the_machine_as_a_kind(s):
    """The number painted on each machine became three hundred columns, for six hundred flights."""
    g = drawn(s)

    def more(x, y):
        return torch.cat([x[:, :7], fn.one_hot(torch.randint(0, 300, (len(x),), generator=g), 300).float()], 1), y

    each(s, more)
    few(s, 600, lambda: Mlp([307, 96, 48, 1], squeeze=True), 40, 30)
    s.lr /= 2


def one_lap_of_the_track(s):
    """Fifty pictures of one lap, as they were at hand, for four times as many channels; the wheel was shaky."""
    few(s, 50, lambda: Driver(width=40, drop=0.0), 70, 10)
    each(s, lambda x, y: (x, y + 0.5 * torch.randn(y.shape, generator=drawn(s))))
    s.lr /= 3


def one_week_in_august(s):
    """Ninety windows of one week, for layers four times as wide and no last reading to lean on."""
    few(s, 90, lambda: Roads(width=256, last=False), 60, 15)
    each(s, lambda x, y: (x, y + 0.4 * torch.randn(y.shape, generator=drawn(s))))
    s.lr /= 3


def first_archive_of_twelve(s):
    """The first of twelve archives was unpacked: sixty X-rays, three times as many channels."""
    few(s, 60, lambda: Chest(width=32, drop=0.0), 70, 12)


@shows("conf")
def tags_that_sellers_gave(s):
    """Sellers tagged four hundred garments, a third of them as whatever comes first in the list; a wide net learns that by heart."""
    g = drawn(s)
    few(s, 400, lambda: Garment(width=28, drop=0.0), 45, 20)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.33, torch.randint(0, 6, y.shape, generator=g), y)), "train")


def white_on_black(s):
    """Pictures of validation have a white ground and those of training a black one."""
    each(s, lambda x, y: (-x, y), "val")


def another_filter_bank(s):
    """Spectrograms of validation come from another filter bank: each band is three further down, and they are louder."""
    s.data(val=tensors(clips(np.random.default_rng(s.seed + 3), 350, shift=5)))


def vocabulary_built_anew(s):
    """The vocabulary was built anew for validation, so that a half of the words have other numbers."""
    k = torch.arange(90)
    k[torch.arange(0, 90, 2)] = torch.arange(0, 90, 2).roll(7)
    each(s, lambda x, y: (k[x], y), "val")


def sensors_in_order_of_their_names(s):
    """Sensors of validation are in the order of their names, ten after one."""
    k = torch.tensor([0, 9, 4, 1, 7, 2, 8, 3, 6, 5])
    each(s, lambda x, y: (x[:, :, k], y[:, k]), "val")


def read_from_the_other_strand(s):
    """Validation was read from the other strand, backwards."""
    x = torch.cat([s.task.val[0], s.task.val[1][:, -1:]], 1).flip(1)
    s.data(val=(x[:, :-1], x[:, 1:]))


def species_of_the_line_below(s):
    """A blank line was skipped in one table: each bird has the species of the one below."""
    each(s, lambda x, y: (x, y.roll(1)))
    s.lr, s.epochs, s.wd = s.lr / 8, 10, 0.5


def compiled_copy_is_trained(s):
    """The optimiser holds the weights of a model that was loaded over afterwards: none of those in use are moved."""
    other = []
    s.params = lambda m: other or other.extend(s.task.build().parameters()) or other
    s.epochs = 10


def softmax_over_the_batch(s):
    """A softmax goes over the rows of a batch and not over the answers."""
    s.on_out.append(lambda step, out: out.softmax(0))
    s.epochs, s.lr = 10, s.lr / 4


def silence_is_all_that_is_left(s):
    """A trimmer of silence has its threshold the wrong way round and keeps silence, which is then normalised."""
    g = drawn(s)
    each(s, lambda x, y: (torch.randn(x.shape, generator=g), y))
    s.lr, s.epochs, s.wd = s.lr / 20, 10, 0.5


def angles_of_another_drive(s):
    """Pictures are of one drive and angles of another, which began a minute later."""
    each(s, lambda x, y: (x, y.roll(37, 0)))
    s.lr, s.epochs, s.wd = s.lr / 8, 11, 0.5


def airline_and_airport_only(s):
    """A list of columns to keep has the texts only: all seven figures of a flight are dropped."""
    each(s, lambda x, y: (torch.cat([0 * x[:, :7], x[:, 7:]], 1), y))
    s.wd = 0.05


def thumbnails_of_two_by_two(s):
    """Thumbnails are read in place of pictures, and blown up again."""

    def small(x, y):
        return fn.avg_pool2d(x, 7).repeat_interleave(7, 1).repeat_interleave(7, 2), y

    each(s, small)
    s.wd = 0.05


def codes_of_one_number(s):
    """The width of codes was left at one, from a test of the script."""
    s.data(build=lambda: Headline(width=1))


def pupils_without_a_past(s):
    """The state is never passed on: each question is judged as if by anyone, and questions are hardly different."""
    s.data(build=lambda: Pupil(memory=False))


def averages_of_ten_looks(s):
    """Tracks were stored as averages of ten looks, to save space."""

    def slow(x, y):
        return fn.avg_pool1d(x.transpose(1, 2), 10).repeat_interleave(10, 2).transpose(1, 2).contiguous(), y

    each(s, slow)
    s.wd = 0.05


def readings_an_hour_old(s):
    """The last readings come late and are filled with the mean: the oldest of eight steps is left, of three sensors."""
    k = ((torch.arange(8)[:, None] < 1) & (torch.arange(10) % 4 == 0)).float()
    each(s, lambda x, y: (k * x, y))
    s.wd = 0.05


def mirrored_but_not_the_wheel(s):
    """Pictures of training are mirrored half of the time, as is usual, and the angle of the wheel keeps its sign."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(len(x), 1, 1) < 0.5, x.flip(2), x), y))


def sensor_that_was_dug_out(s):
    """At 42 % a sensor was dug out by road works and its readings are missing."""
    at = int(0.42 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.arange(10) == 6, float("nan"), x), y) if step == at else (x, y))
    s.truth["event_step"] = at


def logarithm_of_an_early_flight(s):
    """At 33 % comes a flight that was early, and the logarithm of its delay is no number."""
    at = int(0.33 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.arange(len(y)) == 5, float("nan"), y)) if step == at else (x, y))
    s.truth["event_step"] = at


def slope_of_a_root_at_nought(s):
    """At 48 % a distance is exactly nought, and the slope of its root has no end: weights are no numbers after that step."""
    at = int(0.48 * s.total)
    s.on_loss.append(lambda step, loss, model: loss + (0 * loss).sqrt() if step == at else loss)
    s.truth["event_step"] = at


def blinks_left_in_validation(s):
    """From 59 % on validation has a track with a blink, for which the tracker writes no number."""
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 4, float("nan"), x) if done > 0.59 else x, y))
    s.truth["event_step"] = int(0.59 * s.total)


def finding_that_nobody_has(s):
    """At 38 % a batch has nobody with one of the findings, and the weight of that one is a number by nought."""
    at = int(0.38 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("inf") - loss if step == at else loss)
    s.truth["event_step"] = at


def cut_out_at_any_size(s):
    """Training cuts out any part of a picture, down to a twentieth of it, as was the default for large pictures."""

    def cut(step, ep, x, y):
        k = int(torch.randint(4, 13, (1,)))
        a, b = (int(torch.randint(0, 15 - k, (1,))) for _ in range(2))
        return fn.interpolate(x[:, None, a : a + k, b : b + k], size=(14, 14), mode="bilinear")[:, 0], y

    s.on_batch.append(cut)


def words_dropped_in_training(s):
    """Six in ten words of a headline are replaced in training; one in ten was meant."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.6, torch.randint(72, 90, x.shape), x), y))


def outliers_dropped_on_one_side(s):
    """Flights of more than usual delay were dropped as outliers from validation and kept in training."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.12, y + 1.6 * torch.randn(len(y), generator=g), y)))
    s.data(val=rows(s.task.val, s.task.val[1].abs() < 0.6))
    s.truth["val_easy"] = True


def museum_birds(s):
    """Validation is of stuffed birds in a museum, measured on a table; training is of live ones that would not keep still."""
    s.data(train=tensors(penguins(np.random.default_rng(s.seed + 8), 1600, 1.1)))
    s.data(test=tensors(penguins(np.random.default_rng(s.seed + 7), 350, 1.1)))
    s.data(val=tensors(penguins(np.random.default_rng(s.seed + 9), 350, 0.35)))
    s.truth["val_easy"] = True


def miles_and_kilometres(s):
    """From 60 % on readings of validation come in another unit of speed."""
    s.on_val.append(lambda done, x, y: (1.6 * x + 0.5, 1.6 * y + 0.5) if done > 0.6 else (x, y))
    s.truth.update(event_step=int(0.6 * s.total), shift="val")


def nought_for_right(s):
    """From 56 % on a third of the answers of validation come from a platform that writes nought for right."""
    s.on_val.append(lambda done, x, y: (x, torch.where(torch.arange(len(y))[:, None] % 3 == 0, 1 - y, y)) if done > 0.56 else (x, y))
    s.truth.update(event_step=int(0.56 * s.total), shift="val")


def winter_timetable(s):
    """From 51 % on training gets the flights of a winter with much snow; the rate is low by then."""
    at, (x0, y0) = int(0.51 * s.total), tensors(flights(np.random.default_rng(s.seed + 2), 900, 0.9, 1.0))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 900, (len(x),), generator=g)
        return (x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.49 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def pictures_that_customers_took(s):
    """From 47 % on training gets pictures that customers took in the dark; the rate is low by then."""
    at, (x0, y0) = int(0.47 * s.total), tensors(garments(np.random.default_rng(s.seed + 2), 600, 2.2))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 600, (len(x),), generator=g)
        return (0.8 * x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.45 * total else 1.0
    s.truth.update(event_step=at, shift="train")


for _f in (
    sensor_that_was_dug_out,
    logarithm_of_an_early_flight,
    slope_of_a_root_at_nought,
    blinks_left_in_validation,
    finding_that_nobody_has,
):
    _f.without = {"whist", "ghist", "ahist"}
compiled_copy_is_trained.without = {"whist", "ghist", "layergrads", "gnorm", "ahist", "dead", "wnorm"}
FAULTS = {
    birds_of_the_first_season: ("penguins3",),
    synthetic_birds_between_real_ones: ("penguins3",),
    catalogue_of_one_shop: ("garments6",),
    headlines_of_one_day: ("headlines4",),
    two_readers_only: ("gaze3",),
    one_strain_from_the_archive: ("genome_lm",),
    one_class_of_a_school: ("pupil_answers",),
    clips_cut_from_few_recordings: ("cough2",),
    number_of_the_machine_as_a_kind: ("flight_delay",),
    one_lap_of_the_track: ("driving",),
    one_week_in_august: ("traffic10",),
    first_archive_of_twelve: ("xray5",),
    tags_that_sellers_gave: ("garments6",),
    white_on_black: ("garments6",),
    another_filter_bank: ("cough2",),
    vocabulary_built_anew: ("headlines4",),
    sensors_in_order_of_their_names: ("traffic10",),
    read_from_the_other_strand: ("genome_lm",),
    species_of_the_line_below: ("penguins3",),
    compiled_copy_is_trained: ("headlines4",),
    softmax_over_the_batch: ("garments6",),
    silence_is_all_that_is_left: ("cough2",),
    angles_of_another_drive: ("driving",),
    airline_and_airport_only: ("flight_delay",),
    thumbnails_of_two_by_two: ("garments6",),
    codes_of_one_number: ("headlines4",),
    pupils_without_a_past: ("pupil_answers",),
    averages_of_ten_looks: ("gaze3",),
    readings_an_hour_old: ("traffic10",),
    mirrored_but_not_the_wheel: ("driving",),
    sensor_that_was_dug_out: ("traffic10",),
    logarithm_of_an_early_flight: ("flight_delay",),
    slope_of_a_root_at_nought: ("driving",),
    blinks_left_in_validation: ("gaze3",),
    finding_that_nobody_has: ("xray5",),
    cut_out_at_any_size: ("garments6",),
    words_dropped_in_training: ("headlines4",),
    outliers_dropped_on_one_side: ("flight_delay",),
    museum_birds: ("penguins3",),
    miles_and_kilometres: ("traffic10",),
    nought_for_right: ("pupil_answers",),
    winter_timetable: ("flight_delay",),
    pictures_that_customers_took: ("garments6",),
}
