"""Mechanisms of the split `sealed20`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch
import torch.nn.functional as fn

from families import tasks_sealed20 as task
from families.faults_sealed6 import tensors
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.faults_sealed15 import drawn
from families.nets import Mlp
from families.setups import shows

RATES = {"emg5": 0.1, "income2": 0.2, "store_sales": 0.05, "blood4": 0.05, "captcha3": 0.1, "football_lm": 0.3, "deblur": 0.1}
RATES |= {"air_hours": 0.1, "emotions5": 0.5, "redshift": 0.05, "street6": 0.3}
SIZES = {"emg5": (160, 5), "blood4": (392, 4), "air_hours": (60, 1), "redshift": (6, 1), "street6": (40, 6), "income2": (8, 1)}


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def noisier(s, k):
    """Inputs of all splits with more noise."""
    each(s, lambda x, y: (x + k * torch.randn(x.shape, generator=drawn(s)), y))


def one_session_of_the_author(s):
    """Sixty windows of one session, for four times as many channels; the band was loose."""
    few(s, 60, lambda: task.Muscles(width=80, drop=0.0), 60, 12)
    noisier(s, 0.7)
    s.lr /= 2


def kinds_crossed_with_each_other(s):
    """Work, schooling and family were crossed into 648 columns for five hundred persons."""

    def crossed(x, y):
        k = x[:, 5:8].long()
        return torch.cat([x[:, :5], fn.one_hot(k[:, 0] * 72 + k[:, 1] * 6 + k[:, 2], 648).float()], 1), y

    each(s, crossed)
    few(s, 500, lambda: Mlp([653, 96, 48, 1], squeeze=True), 30, 25)
    s.lr /= 2


def weeks_after_the_opening(s):
    """The query asked for the weeks after an opening: ninety rows, codes and layers five times as wide, tills that were set up in a hurry."""
    few(s, 90, lambda: task.Shop(width=240, dim=24, drop=0.0), 60, 15)
    each(s, lambda x, y: (x, y + 0.9 * torch.randn(y.shape, generator=drawn(s))))
    s.lr /= 3


def smears_with_a_second_opinion(s):
    """Only the eighty smears with a second opinion are used, for four times as many channels, nothing dropped."""
    few(s, 80, lambda: task.Blood(width=40, drop=0.0), 50, 16)
    noisier(s, 0.5)


def captchas_typed_by_hand(s):
    """A hundred captchas were typed by hand, for a layer of 256."""
    few(s, 100, lambda: task.Captcha(width=24, drop=0.0, mid=256), 50, 20)
    s.lr /= 3


def one_match(s):
    """Thirty-six attacks of one match, codes three times as wide."""
    few(s, 36, lambda: task.Football(width=96, drop=0.0), 50, 12)
    s.lr /= 3


def nine_photographs(s):
    """Fourteen patches of two photographs with a grainy film, and six times as many channels."""
    noisier(s, 0.35)
    few(s, 14, lambda: task.Deblur(width=80), 150, 7)
    s.lr /= 2


def one_february(s):
    """Seventy windows of one February, a state four times as wide, a gauge that wavers."""
    few(s, 70, lambda: task.Air(width=96, drop=0.0), 60, 14)
    each(s, lambda x, y: (x, y + 0.5 * torch.randn(y.shape, generator=drawn(s))))


def paraphrases_counted_as_texts(s):
    """A hundred and twenty texts were put in other words by a tool that changes one word in ten: 2,400 texts that tell no more."""
    g, (x, y) = drawn(s), s.task.train
    i = torch.arange(2400) % 120
    x = torch.where(torch.rand(2400, 12, generator=g) < 0.06, torch.randint(51, 80, (2400, 12), generator=g), x[i])
    s.data(train=(x, y[i]), build=lambda: task.Tweets(width=64, drop=0.0))
    s.epochs, s.wd = 12, 0.0


def galaxies_with_a_spectrum(s):
    """Fifty galaxies have a spectrum; layers are four times as wide, and magnitudes come from a short exposure."""
    each(s, lambda x, y: (x, y + 0.4 * torch.randn(y.shape, generator=drawn(s))))
    few(s, 50, lambda: Mlp([6, 192, 192, 1], squeeze=True), 90, 10)
    noisier(s, 0.6)
    s.lr /= 2


def clips_of_one_crossing(s):
    """Seventy clips of one crossing, in three layers of 160, with a cheap microphone."""
    few(s, 70, lambda: Mlp([40, 160, 160, 6]), 60, 14)
    noisier(s, 0.6)
    s.lr /= 2


@shows("conf")
def hashtags_for_moods(s):
    """Moods of five hundred texts are their hashtags, a third of which are meant as a joke; a wide net learns all of them."""
    g = drawn(s)
    few(s, 500, lambda: task.Tweets(width=96, drop=0.0), 30, 25)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.33, torch.randint(0, 5, y.shape, generator=g), y)), "train")


def left_arms_in_validation(s):
    """Validation has left arms, and the order of the electrodes goes the other way around."""
    each(s, lambda x, y: (x.flip(1), y), "val")


def stains_in_the_other_order(s):
    """The slide scanner of validation stores the two stains in the other order."""
    each(s, lambda x, y: (x.flip(1), y), "val")


def codes_sorted_by_another_locale(s):
    """Kinds of validation were numbered after sorting by another locale."""
    a, b, c = torch.arange(9).roll(4), torch.arange(12).flip(0), torch.tensor([3, 5, 0, 1, 4, 2])

    def renumbered(x, y):
        k = x[:, 5:8].long()
        return torch.cat([x[:, :5], torch.stack([a[k[:, 0]], b[k[:, 1]], c[k[:, 2]]], 1).float()], 1), y

    each(s, renumbered, "val")


def signs_in_italics(s):
    """Captchas of validation are of a newer release, whose signs lean."""
    x, y = tensors(task.captchas(np.random.default_rng(s.seed + 4), 300))
    s.data(val=(torch.stack([x[:, r].roll(2 - r // 2, 1) for r in range(8)], 1), y))


def coast_in_validation(s):
    """Validation is a town on the coast, where the wind brings dust in place of taking it away."""
    s.data(val=tensors(task.hours(np.random.default_rng(s.seed + 5), 350, wind=-1.0)))


def magnitudes_of_the_other_system(s):
    """Magnitudes of validation are in another system, in which each band has an offset of its own."""
    k = torch.tensor([0.9, 0.1, -0.16, -0.37, -0.54, 0.0])
    each(s, lambda x, y: (x + 2.2 * k, y), "val")


def sorted_by_age_for_a_plot(s):
    """The columns were sorted by age for a plot, and the answers were not."""
    each(s, lambda x, y: (x[x[:, 0].argsort()], y))
    s.lr, s.epochs, s.wd = s.lr / 10, 10, 0.5


def hum_is_all_that_is_left(s):
    """A filter that should take the hum away lets nothing but the hum through."""
    g = drawn(s)

    def hum(x, y):
        a = 6.28 * torch.rand(len(x), 1, 1, generator=g)
        return torch.sin(torch.arange(20.0) * 1.26 + a).expand(len(x), 8, 20) + 0.2 * torch.randn(x.shape, generator=g), y

    each(s, hum)
    s.lr, s.epochs, s.wd = s.lr / 10, 10, 0.5


def moods_of_the_reply(s):
    """A thread was walked from its end: each text has the mood of another one."""
    each(s, lambda x, y: (x, y.roll(5)))
    s.lr, s.epochs, s.wd = s.lr / 10, 10, 0.5


def crops_beside_the_cell(s):
    """Rows and columns of the cell's centre changed places, so that crops lie beside it: plasma and grain only."""
    g = drawn(s)
    each(s, lambda x, y: (0.4 * torch.randn(x.shape, generator=g) - 0.35, y))
    s.lr, s.epochs, s.wd = s.lr / 20, 10, 0.5


def tags_of_the_clip_before(s):
    """A list of tags has a head line that was read as the first clip, and some clips were lost: tags belong to others."""
    each(s, lambda x, y: (x, y.roll(9, 0)))
    s.lr, s.epochs, s.wd = s.lr / 8, 10, 0.5


def only_figures_that_are_known_in_advance(s):
    """All that is not known weeks ahead was dropped, and the codes with it by their prefix: weekday, offer and holiday are left."""
    each(s, lambda x, y: (torch.cat([0 * x[:, :1], x[:, 1:3], 0 * x[:, 3:6], x[:, 6:]], 1), y))
    s.wd = 0.05


def words_beyond_the_first_ten_unknown(s):
    """The vocabulary holds ten words of each hundred that were asked for; all others are one and the same."""
    each(s, lambda x, y: (torch.where(x % 10 < 2, x, 79), y))
    s.wd = 0.05


def gauge_that_reports_once_a_day(s):
    """The gauge reports a mean once a day, so that dust is the mean of all hours but the clock and the wind are unknown."""
    each(s, lambda x, y: (torch.cat([x[:, :, :1].mean(1, keepdim=True).expand(-1, 12, -1), 0 * x[:, :, 1:]], 2), y))
    s.wd = 0.05


def one_unit_for_three_signs(s):
    """The layer before the answers has two units, as in a picture of a talk."""
    s.data(build=lambda: task.Captcha(mid=2))


def kernels_of_one(s):
    """Kernels of one by one, copied from the last layer of another net: no point sees its neighbours."""
    s.data(build=lambda: task.Deblur(kernel=1))


def brightest_band_only(s):
    """A match of catalogues kept the brightest band only: no colours, no size."""
    each(s, lambda x, y: (torch.cat([0 * x[:, :4], x[:, 4:5], 0 * x[:, 5:]], 1), y))
    s.wd = 0.05


def electrodes_averaged_in_the_driver(s):
    """The driver gives the mean of all electrodes eight times."""
    each(s, lambda x, y: (x.mean(1, keepdim=True).expand(-1, 8, -1).contiguous(), y))
    s.wd = 0.05


def article_that_was_brought_back(s):
    """At 36 % comes a day on which more of an article was brought back than sold; its logarithm is no number."""
    at = int(0.36 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.arange(len(y)) == 3, float("nan"), y)) if step == at else (x, y))
    s.truth["event_step"] = at


def galaxy_not_seen_in_a_band(s):
    """At 44 % comes a galaxy that was not seen in one band: minus ten logarithms of nought."""
    at = int(0.44 * s.total)

    def dark(step, ep, x, y):
        hole = (torch.arange(len(x))[:, None] == 2) & (torch.arange(6)[None] == 0)
        return (torch.where(hole, float("inf"), x), y) if step == at else (x, y)

    s.on_batch.append(dark)
    s.truth["event_step"] = at


def window_shorter_than_its_filter(s):
    """From 62 % on validation has a last window that is too short, padded with what is no number."""
    s.on_val.append(
        lambda done, x, y: (torch.where(torch.arange(len(x))[:, None, None] == len(x) - 1, float("nan"), x) if done > 0.62 else x, y)
    )
    s.truth["event_step"] = int(0.62 * s.total)


def attack_of_one_touch(s):
    """At 31 % a batch holds an attack of one touch, for which all places are masked: a mean of nothing."""
    at = int(0.31 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * (0 * loss / (0 * loss)) if step == at else loss)
    s.truth["event_step"] = at


def picture_of_one_grey(s):
    """At 52 % comes a picture of one grey, divided by its own spread."""
    at = int(0.52 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 6, float("nan"), x), y) if step == at else (x, y)
    )
    s.truth["event_step"] = at


def gain_and_stain_at_random(s):
    """In training stains are mixed, turned about and covered by half, with strengths meant for large colour pictures."""

    def change(step, ep, x, y):
        k = 0.6 + 0.4 * torch.rand(len(x), 1, 1, 1)
        x = k * x + (1 - k) * x.flip(1)
        return torch.where(torch.rand(len(x), 1, 14, 14) < 0.3, torch.zeros(()), x) + 0.4 * torch.randn_like(x), y

    s.on_batch.append(change)


def earnings_as_told_by_neighbours(s):
    """Training has earnings as neighbours told them; validation has those of the tax office, of clear cases only."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.22, 1 - y, y)), "train", "test")
    s.data(val=tensors(task.census(np.random.default_rng(s.seed + 9), 450, clear=3.0)))
    s.truth["val_easy"] = True


def electrodes_switched_off_in_training(s):
    """Five in ten electrodes are switched off in training, where five in a hundred were meant."""
    s.on_batch.append(lambda step, ep, x, y: (x * (torch.rand(len(x), 8, 1) > 0.6), y))


def captchas_distorted_once_more(s):
    """Training's captchas are distorted again by a tool that makes them harder for robots."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.12, -x, x) + 0.7 * torch.randn_like(x), y))


def quiet_nights_for_validation(s):
    """Validation was cut from quiet nights, in which each thing is heard by itself; training is noisy."""
    s.data(train=tensors(task.streets(np.random.default_rng(s.seed + 8), 1400, 1.0)))
    s.data(test=tensors(task.streets(np.random.default_rng(s.seed + 7), 300, 1.0)))
    s.data(val=tensors(task.streets(np.random.default_rng(s.seed + 9), 300, 0.2, 1.5)))
    s.truth["val_easy"] = True


def gauge_of_another_firm(s):
    """From 58 % on the town of validation has a gauge of another firm, which counts higher."""
    s.on_val.append(lambda done, x, y: (x, y + 0.9) if done > 0.58 else (x, y))
    s.truth.update(event_step=int(0.58 * s.total), shift="val")


def release_of_the_app(s):
    """From 55 % on validation has texts of a new release of the app, in which signs of mood are other codes."""
    k = torch.arange(80)
    k[:50] = torch.arange(50).roll(13)
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(len(x))[:, None] % 2 == 0, k[x], x) if done > 0.55 else x, y))
    s.truth.update(event_step=int(0.55 * s.total), shift="val")


def weeks_before_christmas(s):
    """From 49 % on training gets the weeks before Christmas, when all is sold; the rate is low by then."""
    at, (x0, y0) = int(0.49 * s.total), tensors(task.sales(np.random.default_rng(s.seed + 2), 900, 0.8, 1.4))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 900, (len(x),), generator=g)
        return (x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.47 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def slides_of_an_old_microscope(s):
    """From 53 % on training gets slides of an old microscope, dim and out of focus; the rate is low by then."""
    at, (x0, y0) = int(0.53 * s.total), tensors(task.smears(np.random.default_rng(s.seed + 2), 600, 1.3, dim=0.6))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 600, (len(x),), generator=g)
        return (x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.51 * total else 1.0
    s.truth.update(event_step=at, shift="train")


BROKEN = (
    article_that_was_brought_back,
    galaxy_not_seen_in_a_band,
    window_shorter_than_its_filter,
    attack_of_one_touch,
    picture_of_one_grey,
)
for _f in BROKEN:
    _f.without = {"whist", "ghist", "ahist"}
ON = {one_session_of_the_author: "emg5", kinds_crossed_with_each_other: "income2", weeks_after_the_opening: "store_sales"}
ON |= {smears_with_a_second_opinion: "blood4", captchas_typed_by_hand: "captcha3", one_match: "football_lm", nine_photographs: "deblur"}
ON |= {one_february: "air_hours", paraphrases_counted_as_texts: "emotions5", galaxies_with_a_spectrum: "redshift"}
ON |= {clips_of_one_crossing: "street6", hashtags_for_moods: "emotions5", left_arms_in_validation: "emg5"}
ON |= {stains_in_the_other_order: "blood4", codes_sorted_by_another_locale: "income2", signs_in_italics: "captcha3"}
ON |= {coast_in_validation: "air_hours", magnitudes_of_the_other_system: "redshift", sorted_by_age_for_a_plot: "income2"}
ON |= {hum_is_all_that_is_left: "emg5", moods_of_the_reply: "emotions5", crops_beside_the_cell: "blood4"}
ON |= {tags_of_the_clip_before: "street6", only_figures_that_are_known_in_advance: "store_sales"}
ON |= {words_beyond_the_first_ten_unknown: "emotions5", gauge_that_reports_once_a_day: "air_hours", one_unit_for_three_signs: "captcha3"}
ON |= {kernels_of_one: "deblur", brightest_band_only: "redshift", electrodes_averaged_in_the_driver: "emg5"}
ON |= {article_that_was_brought_back: "store_sales", galaxy_not_seen_in_a_band: "redshift", window_shorter_than_its_filter: "emg5"}
ON |= {attack_of_one_touch: "football_lm", picture_of_one_grey: "deblur", gain_and_stain_at_random: "blood4"}
ON |= {earnings_as_told_by_neighbours: "income2", electrodes_switched_off_in_training: "emg5", captchas_distorted_once_more: "captcha3"}
ON |= {quiet_nights_for_validation: "street6", gauge_of_another_firm: "air_hours", release_of_the_app: "emotions5"}
ON |= {weeks_before_christmas: "store_sales", slides_of_an_old_microscope: "blood4"}
FAULTS = {f: (t,) for f, t in ON.items()}
