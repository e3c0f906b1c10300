"""Mechanisms of the split `sealed18`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch

from families.faults_sealed6 import rows, tensors
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.faults_sealed15 import drawn
from families.nets import Mlp
from families.nets18 import Colours, Eyes, Factors, Lesion, Letterwise, Pump, Question, Sign, Speller, Writer
from families.setups import shows
from families.tasks_sealed18 import abalones, brains, films, names, pumps, scenes

RATES = {"signs6": 0.05, "pumps3": 0.1, "abalone_age": 0.02, "names_lm": 0.1, "sounds": 0.5, "eyes2": 0.05, "questions6": 0.3}
RATES |= {"colourise": 0.1, "lesion_dice": 0.1, "ratings_mf": 2.0}
SIZES = {"signs6": (432, 6), "abalone_age": (8, 1), "eyes2": (160, 1), "colourise": (64, 128), "pumps3": (9, 3)}


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def sample_of_a_first_try(s):
    """The line that takes a sample of sixty rows, for a first try of the code, was never taken out; the net is broad."""
    few(s, 60, lambda: Mlp([8, 192, 192, 1], squeeze=True), 90, 12)
    each(s, lambda x, y: (x, y + 0.5 * torch.randn(y.shape, generator=drawn(s))))
    s.lr /= 3


def photographs_of_one_drive(s):
    """Signs were photographed on one drive: seventy pictures, three times as many channels, nothing dropped."""
    few(s, 70, lambda: Sign(width=20, drop=0.0), 70, 14)
    s.lr *= 1.5


def gazetteer_of_one_county(s):
    """Names are those of one county, eighty, for codes three times as wide."""
    few(s, 80, lambda: Writer(width=96, drop=0.0), 30, 16)
    s.lr /= 4


def codes_as_wide_as_in_the_paper(s):
    """Codes of users and films have forty-eight numbers, as for millions of ratings; there are fifteen hundred and no decay."""
    few(s, 1500, lambda: Factors(dim=48, start=0.25), 40, 50)
    s.lr /= 2


def questions_of_the_manual(s):
    """Training has the hundred and thirty questions of the annotators' manual, for codes four times as wide."""
    few(s, 130, lambda: Question(width=80, drop=0.0), 45, 13)
    s.lr /= 3


def first_page_of_a_dictionary(s):
    """Forty words from the first page of a dictionary, for a state four times as wide."""
    few(s, 40, lambda: Speller(width=96, drop=0.0), 80, 10)
    s.lr *= 1.5


def windows_that_overlap(s):
    """Windows of ninety looks were cut with a stride of a twentieth: eighteen hundred rows that tell little more than ninety."""
    g, (x, y) = drawn(s), s.task.train
    i = torch.arange(1800) % 90
    s.data(train=(x[i] + 0.08 * torch.randn(1800, 4, 40, generator=g), y[i]), build=lambda: Eyes(width=24, drop=0.0))
    s.epochs, s.wd = 14, 0.0


def slices_of_one_patient(s):
    """Fourteen slices of one patient, three times as many channels, for the passes of a large study."""
    few(s, 14, lambda: Lesion(width=32, drop=0.0), 100, 5)
    s.lr *= 1.5
    each(s, lambda x, y: (x + 0.6 * torch.randn(x.shape, generator=drawn(s)), y))


def pictures_of_one_holiday(s):
    """Twelve pictures of one holiday, five times as many channels; colours are those of a cheap film, with much grain."""
    few(s, 12, lambda: Colours(width=64), 90, 4)
    each(s, lambda x, y: (x, y + 0.8 * torch.randn(y.shape, generator=drawn(s))))


def forty_bins_for_each_measure(s):
    """Each of eight measures was cut into forty bins with a column of its own, for two hundred and twenty abalones."""
    cuts = torch.linspace(-2.2, 2.2, 39)
    each(s, lambda x, y: (torch.nn.functional.one_hot(torch.bucketize(x.contiguous(), cuts), 40).flatten(1).float(), y))
    few(s, 220, lambda: Mlp([320, 96, 1], squeeze=True), 50, 20)
    s.lr /= 3


def weights_of_kinds_for_weights_of_rows(s):
    """The drawer of rows got the weights of kinds, of which there are few, and so draws the first forty rows over and over."""
    i = torch.arange(1200) % 40
    s.data(train=rows(s.task.train, i), build=lambda: Pump(width=96, drop=0.0))
    s.epochs, s.wd, s.lr = 12, 0.0, s.lr / 2


@shows("conf")
def states_told_by_neighbours(s):
    """Three in ten of four hundred states of pumps were told by neighbours who guessed; a broad net learns them by heart."""
    g = drawn(s)
    few(s, 400, lambda: Pump(width=224, drop=0.0, dim=16), 60, 25)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.3, torch.randint(0, 3, y.shape, generator=g), y)), "train")
    s.lr /= 3


def mean_answer_with_its_own_row(s):
    """A column holds the mean age at each beach, its own row among them, and a beach has one abalone or two."""
    g = drawn(s)
    s.data(train=tuple(q[:500] for q in s.task.train))
    each(s, lambda x, y: (torch.cat([x[:, :7], (y + 0.35 * torch.randn(y.shape, generator=g))[:, None]], 1), y), "train")
    each(s, lambda x, y: (torch.cat([x[:, :7], 0.9 * torch.randn(len(y), 1, generator=g)], 1), y), "val", "test")
    s.epochs, s.batch, s.wd, s.lr = 22, 20, 0.0, 1.5 * s.lr


def blue_before_red(s):
    """Pictures of validation are read by another library, which gives blue before red."""
    each(s, lambda x, y: (x.flip(1), y), "val")


def sampled_at_another_rate(s):
    """Records of validation were sampled at another rate, so that rhythms look three times as slow."""
    s.data(val=tensors(brains(np.random.default_rng(s.seed + 3), 350, 0.8, 0.36)))


def spelt_without_accents(s):
    """Words of validation were stripped of their accents: five letters become others."""
    k = torch.arange(20)
    k[torch.tensor([1, 4, 8, 11, 15])] = torch.tensor([0, 3, 7, 10, 14])
    each(s, lambda x, y: (k[x], y), "val")


def new_users_only(s):
    """Validation holds users who came after the export of training: their codes are what they were at first."""
    s.data(train=tensors(films(np.random.default_rng(s.seed + 5), 6000, users=(0, 84))))
    s.data(val=tensors(films(np.random.default_rng(s.seed + 6), 800, users=(70, 120))))
    s.epochs = 10


def answers_one_batch_behind(s):
    """A loader that works ahead gives the answers of the batch before."""
    old = []

    def late(step, ep, x, y):
        old.append(y)
        return x, (old.pop(0) if len(old) > 1 else y.flip(0))

    s.on_batch.append(late)
    s.lr, s.epochs, s.wd = s.lr / 8, 10, 0.3


def corner_in_place_of_the_middle(s):
    """A cut to size takes the corner of a picture and not its middle, where there is nothing but sky."""
    g = drawn(s)
    each(s, lambda x, y: (0.55 * torch.randn(x.shape, generator=g) + 0.3, y))
    s.lr, s.epochs, s.wd = s.lr / 20, 10, 0.5


def salt_of_each_worker(s):
    """Codes of words come from a hash with a salt that each worker draws anew: a word has another code in each batch."""

    def salted(x):
        return torch.randperm(70)[x]

    s.on_batch.append(lambda step, ep, x, y: (salted(x), y))
    s.on_val.append(lambda done, x, y: (salted(x), y))
    s.lr, s.epochs, s.wd = s.lr / 6, 11, 0.3


def picture_ten_after_picture_one(s):
    """Pictures were listed by name, one, ten, eleven, and masks by number: few of them belong together."""
    k = lambda n: torch.as_tensor(sorted(range(n), key=str))  # noqa: E731
    each(s, lambda x, y: (x[k(len(x))], y))
    s.epochs = 10


def states_joined_by_position(s):
    """States were put beside pumps by their position after one table had been sorted by region."""
    each(s, lambda x, y: (x[torch.argsort(x[:, 7], stable=True)], y))
    s.lr, s.epochs, s.wd = s.lr / 10, 11, 0.5


def one_measure_passed_the_filter(s):
    """A filter on the share of missing values passed a single measure, and that one is coarse."""
    k = torch.tensor([0, 0, 1.0, 0, 0, 0, 0, 0])
    each(s, lambda x, y: ((k * x).round(), y))
    s.wd = 0.05


def letter_by_letter(s):
    """The layer that looks at neighbours was left out of the settings: each letter is spoken by itself."""
    s.data(build=Letterwise)


def means_of_users_and_films(s):
    """The number of factors was left at nought: a rating is a mean of the user and of the film."""
    s.data(build=lambda: Factors(dim=0))


def grey_signs(s):
    """Signs are turned to grey and made half as large, as for another camera."""

    def grey(x, y):
        q = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4)
        return q.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(-1, 3, -1, -1).contiguous(), y

    each(s, grey)


def three_words_of_ten(s):
    """The longest question was set to three words, for a test, and the rest is cut off; question words were dropped as stop words."""
    each(s, lambda x, y: (torch.where((torch.arange(10) > 0) & (torch.arange(10) < 4), x, 69), y))
    s.wd = 0.05


def empty_masks_in_a_batch(s):
    """At 47 % a batch has skin without a lesion, and a home-made overlap divides nought by nought."""
    at = int(0.47 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * (torch.zeros(()) / torch.zeros(())) if step == at else loss)
    s.truth["event_step"] = at


def user_without_a_rating(s):
    """At 39 % an outer join brings a user without a rating, which is no number."""
    at = int(0.39 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.arange(len(y)) == 11, float("nan"), y)) if step == at else (x, y))
    s.truth["event_step"] = at


def row_of_padding_only(s):
    """At 34 % a row has nothing but padding, and the softmax over no place at all is no number."""
    at = int(0.34 * s.total)
    s.on_out.append(lambda step, out: out - torch.log(torch.zeros_like(out[:1])) * 0 if step == at else out)
    s.truth["event_step"] = at


def electrode_fell_off(s):
    """From 61 % on validation has a record whose electrode fell off, which the amplifier writes as no number."""
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 9, float("nan"), x) if done > 0.61 else x, y))
    s.truth["event_step"] = int(0.61 * s.total)


def shell_divided_by_nothing(s):
    """At 55 % comes an abalone without a shell, by whose weight another is divided."""
    at = int(0.55 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None] == 3, float("inf"), x), y) if step == at else (x, y)
    )
    s.truth["event_step"] = at


def measured_three_times(s):
    """Abalones of validation were measured and judged three times by experts, those of training once, in the dark."""
    for part, n, q, k in (("train", 1800, 1.15, 8), ("test", 400, 1.15, 7), ("val", 400, 0.12, 9)):
        s.data(**{part: tensors(abalones(np.random.default_rng(s.seed + k), n, q))})
    s.truth["val_easy"] = True


def two_pictures_laid_over_each_other(s):
    """In training two pictures are laid over each other in any proportion, and the answer is that of the first."""

    def mixed(step, ep, x, y):
        k = 0.4 + 0.6 * torch.rand(len(x), 1, 1, 1)
        return k * x + (1 - k) * 1.6 * x[torch.randperm(len(x))], y

    s.on_batch.append(mixed)


def bands_of_time_masked(s):
    """Masks of time and of channels, made for long records, hide most of a short one in training."""

    def masked(step, ep, x, y):
        a = torch.randint(0, 40, (len(x), 1, 1))
        t = torch.arange(40)[None, None]
        keep = (t >= a) & (t < a + 16) & (torch.rand(len(x), 4, 1) < 0.75)
        return torch.where(keep, x, 0.0), y

    s.on_batch.append(masked)


def letters_misprinted_in_training(s):
    """A third of the letters of training are misprinted, to make the speller robust; a thirtieth was meant."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.35, torch.randint(0, 20, x.shape), x), y))


def ten_stars_for_five(s):
    """From 58 % on ratings of validation come from a page with ten stars in place of five."""
    s.on_val.append(lambda done, x, y: (x, 1.5 * y + 0.9 if done > 0.58 else y))
    s.truth.update(event_step=int(0.58 * s.total), shift="val")


def electrodes_plugged_the_other_way(s):
    """From 62 % on the plug of validation's electrodes is turned round, front for back."""
    s.on_val.append(lambda done, x, y: (x.flip(1) if done > 0.62 else x, y))
    s.truth.update(event_step=int(0.62 * s.total), shift="val")


def film_of_another_maker(s):
    """From 52 % on colours of training come from a film of another maker, warm and grainy; the rate is low by then."""
    at, (x0, y0) = int(0.52 * s.total), tensors(scenes(np.random.default_rng(s.seed + 2), 500, 0.7))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 500, (len(x),), generator=g)
        return (x0[i], y0[i] + 0.3) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.5 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def pumps_of_a_dry_year(s):
    """From 49 % on training gets the survey of a dry year, in which many good pumps stand still; the rate is low by then."""
    at, (x0, y0) = int(0.49 * s.total), tensors(pumps(np.random.default_rng(s.seed + 2), 900, 1.6, (-1.2, 0.6, 1.0)))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 900, (len(x),), generator=g)
        return (x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.47 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def names_of_another_country(s):
    """Validation has names of another country, three in four of its letters follow other rules."""
    x = torch.as_tensor(names(np.random.default_rng(s.seed + 4), 300))
    x = torch.where(torch.rand(x.shape, generator=drawn(s)) < 0.45, (x * 5 + 3) % 24, x)
    s.data(val=(x[:, :-1], x[:, 1:]))


for _f in (empty_masks_in_a_batch, user_without_a_rating, row_of_padding_only, electrode_fell_off, shell_divided_by_nothing):
    _f.without = {"whist", "ghist", "ahist"}
FAULTS = {
    sample_of_a_first_try: ("abalone_age",),
    photographs_of_one_drive: ("signs6",),
    gazetteer_of_one_county: ("names_lm",),
    codes_as_wide_as_in_the_paper: ("ratings_mf",),
    questions_of_the_manual: ("questions6",),
    first_page_of_a_dictionary: ("sounds",),
    windows_that_overlap: ("eyes2",),
    slices_of_one_patient: ("lesion_dice",),
    pictures_of_one_holiday: ("colourise",),
    forty_bins_for_each_measure: ("abalone_age",),
    weights_of_kinds_for_weights_of_rows: ("pumps3",),
    states_told_by_neighbours: ("pumps3",),
    mean_answer_with_its_own_row: ("abalone_age",),
    blue_before_red: ("signs6",),
    sampled_at_another_rate: ("eyes2",),
    spelt_without_accents: ("sounds",),
    new_users_only: ("ratings_mf",),
    names_of_another_country: ("names_lm",),
    answers_one_batch_behind: ("pumps3",),
    corner_in_place_of_the_middle: ("signs6",),
    salt_of_each_worker: ("questions6",),
    picture_ten_after_picture_one: ("lesion_dice",),
    states_joined_by_position: ("pumps3",),
    one_measure_passed_the_filter: ("abalone_age",),
    letter_by_letter: ("sounds",),
    means_of_users_and_films: ("ratings_mf",),
    grey_signs: ("signs6",),
    three_words_of_ten: ("questions6",),
    empty_masks_in_a_batch: ("lesion_dice",),
    user_without_a_rating: ("ratings_mf",),
    row_of_padding_only: ("names_lm",),
    electrode_fell_off: ("eyes2",),
    shell_divided_by_nothing: ("abalone_age",),
    measured_three_times: ("abalone_age",),
    two_pictures_laid_over_each_other: ("signs6",),
    bands_of_time_masked: ("eyes2",),
    letters_misprinted_in_training: ("sounds",),
    ten_stars_for_five: ("ratings_mf",),
    electrodes_plugged_the_other_way: ("eyes2",),
    film_of_another_maker: ("colourise",),
    pumps_of_a_dry_year: ("pumps3",),
}
