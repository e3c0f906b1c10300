"""Mechanisms of the split `sealed15`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch

from families.faults_sealed6 import tensors
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed15 import Bag, Book, Cleaner, Letters, Marks, Turned, held, letters_grouped, shards

RATES = {"rotated4": 0.05, "languages5": 0.3, "bikes": 0.05, "slides_mil": 0.1}
RATES |= {"openings_lm": 0.2, "clean_tones": 0.1, "punctuation": 0.5, "glass6": 0.1}
SIZES = {"rotated4": (64, 4), "bikes": (8, 1), "slides_mil": (80, 1), "clean_tones": (40, 40), "glass6": (9, 6)}


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


def shards_of_one_dig(s):
    """Shards of one dig alone were measured: seventy, for a net three times as wide."""
    few(s, 70, None, 50, 14)
    wide(s, 128, 2)


def each_page_cut_into_windows(s):
    """Sixty pages are cut into windows that overlap by all but a letter: training has 1,200 rows that are hardly new."""
    g, (x, y) = drawn(s), s.task.train
    i, k = torch.arange(1200) % 60, torch.randint(-3, 4, (1200,), generator=g)
    at = (torch.arange(24)[None] + k[:, None]) % 24
    s.data(train=(x[i].gather(1, at), y[i]), build=lambda: Letters(width=64, drop=0.0))
    s.epochs, s.wd = 20, 0.0


def station_as_a_category(s):
    """The station became three hundred columns of nought and one; validation has other days, on which it tells nothing."""
    g = drawn(s)
    each(s, lambda x, y: (torch.cat([x, 3 * torch.eye(300)[torch.randint(0, 300, (len(x),), generator=g)]], 1), y))
    few(s, 420, None, 40, 20)
    wide(s, 64, 1)


def games_of_one_evening(s):
    """Games of one evening of a club: forty-five, for codes three times as wide."""
    few(s, 45, lambda: Book(width=96, drop=0.0), 45, 9)
    s.lr /= 2


def column_of_one_author(s):
    """Texts are one column of one author: forty, for a state three times as wide."""
    few(s, 40, lambda: Marks(width=56, drop=0.0), 60, 10)


def slides_of_the_pilot(s):
    """Slides of the pilot only: eighty, patches shown as they are a hundred times."""
    few(s, 80, lambda: Bag(width=96, drop=0.0), 60, 16)


def one_string_of_one_guitar(s):
    """Twenty-five tones of one string, for a net of four times the width."""
    few(s, 25, lambda: Cleaner(width=40), 70, 5)


def two_pupils_wrote_them(s):
    """Digits of two pupils are all that was scanned: sixty pictures, and no units are dropped."""
    few(s, 60, lambda: Turned(width=16, drop=0.0), 45, 12)


@shows("conf")
def kinds_read_off_by_eye(s):
    """A quarter of three hundred shards was told by eye, at random, for a wide net that goes on until it knows them."""
    g = drawn(s)
    few(s, 300, None, 70, 25)
    wide(s, 160, 2)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.25, torch.randint(0, 6, y.shape, generator=g), y)), "train")
    s.lr /= 2


def tuned_for_training_score(s):
    """A search maximised the score of training: a net ten times as wide, no decay, four hundred rows, three times the passes."""
    few(s, 420, None, 60, 30)
    wide(s, 160, 2)
    s.lr *= 0.6


def interactions_of_all_orders(s):
    """All products of two and three figures were added, for two hundred and fifty hours."""

    def up(x, y):
        q = (x[:, :, None] * x[:, None]).flatten(1)
        return torch.cat([x, q, (q[:, :, None] * x[:, None]).flatten(1) / 2], 1), y

    each(s, up)
    few(s, 250, None, 50, 20)
    wide(s, 40, 1)
    s.lr /= 4


def pictures_by_columns(s):
    """The program for validation stores pictures by columns: they come in transposed."""
    each(s, lambda x, y: (x.transpose(1, 2).contiguous(), y), "val")


def oxides_in_other_shares(s):
    """Oxides of validation are shares of atoms, training's are shares of weight: five columns are larger or smaller."""
    k = torch.tensor([1.0, 1.9, 0.3, 1.0, -0.6, 1.0, 2.2, 0.4, 1.0])
    each(s, lambda x, y: (k * x + 0.4 * (k != 1), y), "val")


def recorded_next_to_a_fan(s):
    """Tones of validation were recorded next to a fan that hums."""

    def hum(x, y):
        return x + 0.9 * torch.sin(torch.arange(40)[None] * 0.45 + 6.28 * torch.rand(len(x), 1, generator=drawn(s))), y

    each(s, hum, "val")


def letters_without_marks(s):
    """The reader of validation takes the marks off letters, so that six letters become others."""
    t = torch.arange(20)
    t[[3, 5, 8, 11, 14, 17]] = torch.tensor([2, 4, 7, 10, 13, 16])
    each(s, lambda x, y: (t[x], y), "val")


def turned_after_its_label(s):
    """Pictures are turned at random once more after the answer was noted, in all splits."""
    g = drawn(s)

    def more(x, y):
        k = torch.randint(0, 4, (len(x),), generator=g)
        return torch.stack([torch.rot90(a, int(q)) for a, q in zip(x, k, strict=True)]), y

    each(s, more)
    s.lr, s.epochs, s.wd = s.lr / 4, 10, 0.3


def rows_with_gaps_left_out_on_one_side(s):
    """Rows with gaps were left out of the inputs and not of the answers: from the first gap on they belong to others."""

    def cut(x, y):
        keep = torch.arange(len(x)) % 9 != 1
        x = x[keep]
        return x, y[: len(x)]

    each(s, cut)
    s.wd, s.lr, s.epochs = 0.4, s.lr / 4, 12


def tissue_mask_turned_round(s):
    """The mask of tissue is turned round, so that patches are of empty glass."""
    each(s, lambda x, y: (0.02 * torch.randn(x.shape, generator=drawn(s)), y))
    s.lr, s.epochs, s.wd = s.lr / 4, 11, 0.1


def clean_files_in_another_order(s):
    """Clean files are listed as the disk has them and noisy ones by name: pairs do not belong together."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.data(build=lambda: Plain((40, 24, 40)))
    s.lr, s.epochs, s.wd = s.lr / 6, 12, 0.5


def hours_after_a_shift_by_half_a_day(s):
    """Rentals are joined to the weather by a number that begins anew each day: any hour may be any other."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.lr, s.epochs, s.wd = s.lr / 6, 12, 0.5


def vowels_and_consonants(s):
    """Letters were put into three groups of seven, for a smaller table."""
    each(s, lambda x, y: (letters_grouped(x, 7), y))


def time_of_day_dropped(s):
    """Columns of the time were dropped as they are not numbers."""
    each(s, lambda x, y: (torch.cat([0 * x[:, :3], x[:, 3:]], 1), y))


def first_patch_for_all(s):
    """An index of nought where a slice was meant: all patches of a slide are its first one."""
    each(s, lambda x, y: (x[:, :1].expand_as(x).contiguous(), y))
    s.wd = 0.2


def words_by_their_first_letter(s):
    """Words are told by their first letter only: three groups."""
    each(s, lambda x, y: ((x * 7) % 40 - (x * 7) % 40 % 14, y))


def one_move_of_memory(s):
    """The window of attention and the width of codes are those of a test, one move and four numbers."""
    s.data(build=lambda: Book(reach=1, width=4))


def every_tenth_sample(s):
    """A tone is kept at one sample in ten and held until the next."""
    each(s, lambda x, y: (held(x, 10), y))
    s.wd = 0.1


def below_the_limit_of_detection(s):
    """Oxides below a limit, which is set far too high, are noted as nought, and the others as one."""
    each(s, lambda x, y: ((x > 1.3).float(), y))


def ink_at_the_darkest_only(s):
    """A threshold for ink is set so high that hardly a point is left."""
    each(s, lambda x, y: ((x > 1.45).float(), y))
    s.wd = 0.3


def decay_typed_without_its_exponent(s):
    """The decay was typed without its exponent and holds all weights near nought."""
    s.wd = {"glass6": 0.035, "languages5": 0.05, "punctuation": 0.05}[s.task.name] / s.lr


def smallest_of_the_sweep(s):
    """The smallest net of a sweep was sent to training: one or two units."""
    s.data(build={"glass6": lambda: Mlp([9, 2, 6]), "bikes": lambda: Mlp([8, 1, 1], squeeze=True)}[s.task.name])


def hour_without_a_rental(s):
    """At 43 % comes an hour without a rental, whose logarithm is minus infinity."""
    at = int(0.43 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.arange(len(y)) == 0, -float("inf"), y)) if step == at else (x, y))
    s.truth["event_step"] = at


def silence_divided_by_its_peak(s):
    """At 57 % comes a file of silence, which is divided by its peak."""
    at = int(0.57 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None] == 1, 0 * x / 0.0, x), y) if step == at else (x, y))
    s.truth["event_step"] = at


def slide_without_tissue(s):
    """At 34 % a slide has no patch, and the mean over its patches is nothing by nothing."""
    at = int(0.34 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 2, float("nan"), x), y) if step == at else (x, y)
    )
    s.truth["event_step"] = at


def scores_over_the_half_range(s):
    """At 66 % the loss in half precision is more than can be held, and so are its slopes."""
    at = int(0.66 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("inf") if step == at else loss)
    s.truth["event_step"] = at


def not_determined_in_validation(s):
    """From 60 % on validation has a row where an oxide was not determined."""
    s.on_val.append(lambda done, x, y: (torch.where(torch.arange(len(x))[:, None] == 5, float("nan"), x) if done > 0.6 else x, y))
    s.truth["event_step"] = int(0.6 * s.total)


def shards_of_known_standards(s):
    """Validation is of standards, pure melts, while training's shards are weathered."""
    s.data(val=tensors(shards(np.random.default_rng(s.seed + 9), 400, 0.3)))
    each(s, lambda x, y: (x + 0.9 * torch.randn(x.shape, generator=drawn(s)), y), "train", "test")
    s.truth["val_easy"] = True


def three_patches_in_training(s):
    """To save memory training sees four patches of each slide, validation all ten."""

    def some(step, ep, x, y):
        keep = torch.rand(x.shape[:2]).argsort(1) < 4
        return x * keep[:, :, None], y

    s.on_batch.append(some)


def words_left_out_in_training(s):
    """Words of training are replaced at random, two in five, to make the net robust; one in twenty was meant."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.4, torch.randint(0, 40, x.shape), x), y))


def noise_added_once_more(s):
    """Files of training were noisy already, and the loader adds noise once more."""
    s.on_batch.append(lambda step, ep, x, y: (x + 0.9 * torch.randn_like(x), y))


def degrees_of_another_scale(s):
    """From 57 % on validation gets its temperature in degrees of the other scale."""
    k = torch.tensor([0.0, 0, 0, 1, 0, 0, 0, 0])
    s.on_val.append(lambda done, x, y: (x + k * (0.8 * x + 3.0) if done > 0.57 else x, y))
    s.truth.update(event_step=int(0.57 * s.total), shift="val")


def other_encoding_from_an_update(s):
    """From 61 % on an update reads files of validation in another encoding: five letters change."""
    t = torch.arange(20)
    t[[0, 4, 9, 13, 18]] = torch.tensor([9, 13, 18, 0, 4])
    s.on_val.append(lambda done, x, y: (t[x] if done > 0.61 else x, y))
    s.truth.update(event_step=int(0.61 * s.total), shift="val")


def new_guide_of_style(s):
    """From 55 % on texts of training follow another guide of style, in which commas are left out; the rate is low by then."""
    at = int(0.55 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(y == 1, 0, y) if step >= at else y))
    s.sched = lambda step, total: 0.002 if step >= 0.53 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def microphone_moved_away(s):
    """From 50 % on the microphone of training stands further away, and there is more noise; the rate is low by then."""
    at = int(0.5 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x + 0.7 * torch.randn_like(x) if step >= at else x, y))
    s.sched = lambda step, total: 0.002 if step >= 0.48 * total else 1.0
    s.truth.update(event_step=at, shift="train")


for _f in (hour_without_a_rental, silence_divided_by_its_peak, slide_without_tissue, scores_over_the_half_range):
    _f.without = {"whist", "ghist", "ahist"}
not_determined_in_validation.without = {"whist", "ghist", "ahist"}
FAULTS = {
    shards_of_one_dig: ("glass6",),
    each_page_cut_into_windows: ("languages5",),
    station_as_a_category: ("bikes",),
    games_of_one_evening: ("openings_lm",),
    column_of_one_author: ("punctuation",),
    slides_of_the_pilot: ("slides_mil",),
    one_string_of_one_guitar: ("clean_tones",),
    two_pupils_wrote_them: ("rotated4",),
    kinds_read_off_by_eye: ("glass6",),
    tuned_for_training_score: ("glass6", "bikes"),
    interactions_of_all_orders: ("bikes",),
    pictures_by_columns: ("rotated4",),
    oxides_in_other_shares: ("glass6",),
    recorded_next_to_a_fan: ("clean_tones",),
    letters_without_marks: ("languages5",),
    turned_after_its_label: ("rotated4",),
    rows_with_gaps_left_out_on_one_side: ("glass6",),
    tissue_mask_turned_round: ("slides_mil",),
    clean_files_in_another_order: ("clean_tones",),
    hours_after_a_shift_by_half_a_day: ("bikes",),
    vowels_and_consonants: ("languages5",),
    time_of_day_dropped: ("bikes",),
    first_patch_for_all: ("slides_mil",),
    words_by_their_first_letter: ("punctuation",),
    one_move_of_memory: ("openings_lm",),
    every_tenth_sample: ("clean_tones",),
    below_the_limit_of_detection: ("glass6",),
    ink_at_the_darkest_only: ("rotated4",),
    decay_typed_without_its_exponent: ("glass6", "languages5", "punctuation"),
    smallest_of_the_sweep: ("glass6", "bikes"),
    hour_without_a_rental: ("bikes",),
    silence_divided_by_its_peak: ("clean_tones",),
    slide_without_tissue: ("slides_mil",),
    scores_over_the_half_range: ("openings_lm", "languages5"),
    not_determined_in_validation: ("glass6",),
    shards_of_known_standards: ("glass6",),
    three_patches_in_training: ("slides_mil",),
    words_left_out_in_training: ("punctuation",),
    noise_added_once_more: ("clean_tones",),
    degrees_of_another_scale: ("bikes",),
    other_encoding_from_an_update: ("languages5",),
    new_guide_of_style: ("punctuation",),
    microphone_moved_away: ("clean_tones",),
}
