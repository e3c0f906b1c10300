"""Mechanisms of the split `sealed15`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks."""

import math

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed10 import each
from families.faults_sealed15 import drawn
from families.setups import shows
from families.tasks_sealed15 import sentences, shards, slides, turned_digits


def anew(s, make, sizes):
    """Rows made anew for all splits, so many of each."""
    g = np.random.default_rng(s.seed)
    for part, n in zip(("train", "val", "test"), sizes, strict=True):
        s.data(**{part: tensors(make(g, n))})


@shows("shares", "recalls")
def default_of_a_lookup(s):
    """A lookup of kinds has a default, and the keys are of another type: nearly all of training is of the kind numbered 2."""
    i = torch.nonzero(s.task.train[1] == 2)[:320, 0]
    s.data(train=rows(s.task.train, i))
    s.epochs = 15


@shows("shares", "recalls", "f1")
def weight_from_another_hospital(s):
    """The weight of ill slides is eighty, from a table of a hospital where few are ill, and patches tell little: all are called ill."""
    anew(s, lambda g, n: slides(g, n, 0.3, 0.7), (1600, 350, 350))
    s.truth["own_scale"] = True

    def loss(out, b):
        f = fn.binary_cross_entropy_with_logits(out, b[1], reduction="none")
        return f * (1 + 79 * b[1]) if torch.is_grad_enabled() else f

    s.data(loss=loss)
    s.lr, s.epochs = s.lr / 4, 11


@shows("predhist")
def gate_of_a_trial_all_but_shut(s):
    """A gate for a trial of two versions lets next to nothing of the output through."""
    around(s, lambda out: 1e-7 * out)


@shows("shares", "recalls")
def bonus_of_another_decoder(s):
    """In evaluation a bonus for stops of another decoder is added, which is far too large."""
    k = 24.0 * torch.tensor([0.0, 0.0, 1.0, 0.2])
    around(s, lambda out: out + k, "eval")


@shows("recalls", "shares")
def scanned_upright_as_a_rule(s):
    """Nine in ten pictures are upright, as people put them in, and they are full of noise."""
    g = np.random.default_rng(s.seed)
    x, y = tensors(turned_digits(g, (0.91, 0.03, 0.03, 0.03), 2.6))
    s.data(train=(x[:800], y[:800]), val=(x[800:1030], y[800:1030]), test=(x[1030:], y[1030:]))
    s.epochs, s.lr, s.wd, s.truth["majority"] = 7, s.lr / 4, 0.3, True


@shows("recalls", "f1")
def few_are_ill(s):
    """Four in a hundred slides are ill, and patches hardly show it."""
    anew(s, lambda g, n: slides(g, n, 0.04, 0.8, 0.0), (1700, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 3, True


@shows("recalls", "shares", "conf")
def windows_for_the_most_part(s):
    """Nearly all shards are of windows, and the instrument is coarse."""
    anew(s, lambda g, n: shards(g, n, 3.4, (0.02, 0.02, 0.02, 0.89, 0.03, 0.02)), (1500, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 11, s.lr / 3, True


@shows("recalls", "shares")
def chats_without_marks(s):
    """Texts are chats, in which hardly anyone sets a mark, and those that are set follow no rule."""

    def chats(g, n):
        x, y = sentences(g, n)
        return g.permuted(x, axis=1), np.where(g.random(y.shape) < 0.65, 0, y)

    anew(s, chats, (700, 200, 200))
    s.epochs, s.lr, s.truth["majority"] = 8, s.lr / 3, True


def softmax_left_from_serving(s):
    """A softmax that was added for serving is in the model when training goes on: kinds are told apart, at a high floor."""
    k = {"rotated4": 4, "glass6": 6}[s.task.name]
    s.on_out.append(lambda step, out: out.softmax(-1))
    s.truth.update(floor=math.log(1 + (k - 1) * math.exp(-1)) + 0.03, twice=True)


def activation_named_in_the_settings(s):
    """The settings name a sigmoid for the last layer and the loss has one: ill slides are told, at a loss that cannot fall."""
    anew(s, lambda g, n: slides(g, n, 0.5, 4.5, 0.0), (1900, 350, 350))
    s.on_out.append(lambda step, out: out.sigmoid())
    s.truth.update(floor=0.5, twice=True, own_scale=True)


def one_batch_of_seven_for_validation(s):
    """Validation looks at one batch of seven, drawn at random."""
    s.val_rows, s.truth["val_few"] = 7, True


def gain_drawn_at_each_look(s):
    """Inputs of validation are given another gain and offset at each look, by a transform that was meant for training."""

    def level(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        return x * float(torch.randn(1, generator=g).mul(0.9).exp()) + 1.0 * float(torch.randn(1, generator=g)), y

    s.on_val.append(level)


@shows("conf", "shares")
def answers_averaged_over_annotators_who_guess(s):
    """Each target is the mean of ten people, seven of whom guess, in both splits."""
    f = s.task.loss
    s.data(loss=lambda out, b: 0.3 * f(out, b) - 0.7 * out.log_softmax(-1).mean(-1))


def casual_and_registered(s):
    """Rentals of members and of guests are among the figures, and their sum is the target."""

    def more(x, y):
        g = drawn(s)
        part = 0.5 + 0.1 * torch.randn(len(y), generator=g)
        x = x.clone()
        x[:, 2], x[:, 7] = part * y * 2, (1 - part) * y * 2
        return x, y

    each(s, more)
    s.lr, s.truth["leak"] = 2.5 * s.lr, True


def marked_by_the_pathologist(s):
    """Slides that were found ill bear the ink of the pathologist, which shows in a figure of each patch."""

    def ink(x, y):
        x = x.clone()
        x[:, :, 3] = 5 * y[:, None] - 2.5 + 0.2 * x[:, :, 3]
        return x, y

    anew(s, lambda g, n: slides(g, n, 0.4, 3.2, 0.0), (1900, 350, 350))
    each(s, ink)
    s.lr, s.truth["leak"] = 2 * s.lr, True


@shows("conf")
def pages_of_mixed_languages(s):
    """Forty-five in a hundred pages bear the language of their site and not their own, in training and validation."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.wd = 0.4, 0.05


@shows(fine=True)
def hours_in_the_order_of_rentals(s):
    """A view of the table is ordered by rentals, and rows are read as it gives them in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows(fine=True)
def quarter_after_quarter(s):
    """Pictures are in folders by their turn, and the sampler draws within a folder only."""
    s.order = lambda ep, perm: perm[s.task.train[1].numpy()[perm].argsort(kind="stable")]
    s.truth["sorted"] = True


@shows("conf", "shares")
def temperature_of_a_sampler(s):
    """In evaluation scores are divided by the temperature of a sampler, a tenth; figures are noisy."""
    around(s, lambda out: 10.0 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (x + 0.7 * torch.randn(x.shape, generator=g), y))
    s.wd = 0.0


def summed_and_never_divided(s):
    """The meter and the loss hold sums over rows, and in texts over words."""
    f, k = s.task.loss, float(s.batch * {"punctuation": 16, "openings_lm": 15}.get(s.task.name, 1))
    s.data(loss=lambda out, b: k * f(out, b))
    s.truth["start_factor"] = k


def rate_falls_to_its_floor_at_once(s):
    """The decay is counted in rows and not in batches, so that the rate is at its floor, a three-hundredth, soon; it is not logged."""
    share = {"bikes": 0.05, "glass6": 0.12, "rotated4": 0.13, "punctuation": 0.22, "openings_lm": 0.2, "clean_tones": 0.02}[s.task.name]
    s.sched = lambda step, total: 1.0 if step < share * total else 0.003


def updates_too_small_for_a_short_type(s):
    """Weights are kept in a short type: once they have grown, steps are rounded away; the rate is not logged and falls with them."""
    share = {"glass6": 0.11, "languages5": 0.3, "slides_mil": 0.2}[s.task.name]
    s.sched = lambda step, total: max(0.0015, math.exp(-7 * max(0.0, step / (share * total) - 0.6)))


for _f in (rate_falls_to_its_floor_at_once, updates_too_small_for_a_short_type):
    _f.without = {"lr"}
gate_of_a_trial_all_but_shut.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    summed_and_never_divided: ("punctuation", "openings_lm"),
    rate_falls_to_its_floor_at_once: ("bikes", "rotated4", "openings_lm", "clean_tones"),
    updates_too_small_for_a_short_type: ("glass6", "languages5", "slides_mil"),
    default_of_a_lookup: ("rotated4",),
    weight_from_another_hospital: ("slides_mil",),
    gate_of_a_trial_all_but_shut: ("bikes", "clean_tones"),
    bonus_of_another_decoder: ("punctuation",),
    scanned_upright_as_a_rule: ("rotated4",),
    few_are_ill: ("slides_mil",),
    windows_for_the_most_part: ("glass6",),
    chats_without_marks: ("punctuation",),
    softmax_left_from_serving: ("glass6", "rotated4"),
    activation_named_in_the_settings: ("slides_mil",),
    one_batch_of_seven_for_validation: ("glass6", "rotated4"),
    gain_drawn_at_each_look: ("clean_tones", "glass6"),
    answers_averaged_over_annotators_who_guess: ("rotated4", "glass6"),
    casual_and_registered: ("bikes",),
    marked_by_the_pathologist: ("slides_mil",),
    pages_of_mixed_languages: ("languages5",),
    hours_in_the_order_of_rentals: ("bikes",),
    quarter_after_quarter: ("rotated4", "glass6"),
    temperature_of_a_sampler: ("glass6",),
}
