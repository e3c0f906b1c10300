"""Mechanisms of the split `sealed13`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks."""

import math

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed10 import each, grads
from families.faults_sealed13 import drawn
from families.setups import shows
from families.tasks_sealed13 import calls, pairs, pools, spirals


@shows("shares", "recalls")
def head_of_a_sorted_file(s):
    """The first three hundred rows of a file that is sorted by arm: training has one arm."""
    i = s.task.train[1].argsort(stable=True)[:300]
    s.data(train=rows(s.task.train, i))
    s.epochs = 18


@shows("shares", "recalls", "f1")
def inverse_of_an_inverse(s):
    """The weight of the rare kind is squared by a second inverse, sixty, and figures are poor: all calls are called rare."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 1900), ("val", 450), ("test", 450)):
        s.data(**{part: tensors(calls(g, n, 0.3, 4.0))})
    s.truth["own_scale"] = True
    s.data(
        loss=lambda out, b: (
            fn.binary_cross_entropy_with_logits(out, b[1], reduction="none") * (1 + 59 * b[1] if torch.is_grad_enabled() else 1.0)
        )
    )
    s.lr, s.epochs = s.lr / 3, 12


@shows("predhist")
def decay_of_a_far_larger_batch(s):
    """The decay is multiplied by the rows of an epoch: outputs are all alike."""
    s.wd = 0.8 / s.lr


@shows("shares", "recalls")
def offsets_of_a_prior_counted_thousandfold(s):
    """Evaluation adds the logarithm of counts to the scores, taken from a table of another set, times ten."""
    k = 12.0 * torch.tensor([0.1, 0.3, 0.2, 1.0, 0.4, 0.2, 0.1, 0.3, 0.1])
    around(s, lambda out: out + 2 * k, "eval")


@shows("recalls", "shares")
def mostly_noughts(s):
    """Nine in ten pictures are of a nought, and pictures are poor."""
    g, p = np.random.default_rng(s.seed), (0.966, 0.01, 0.008, 0.008, 0.008)
    for part, n, pool in zip(("train", "val", "test"), (1200, 400, 400), pools(s.seed), strict=True):
        s.data(**{part: tensors(pairs(g, n, pool, 4.0, p))})
    s.epochs, s.lr, s.wd, s.truth["majority"] = 8, s.lr / 4, 0.3, True


@shows("recalls", "f1")
def three_calls_in_a_hundred(s):
    """Three calls in a hundred are of the rare kind, and figures hardly show it."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 1900), ("val", 500), ("test", 500)):
        s.data(**{part: tensors(calls(g, n, 0.03, 3.5))})
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 2, True


@shows("recalls", "shares", "conf")
def one_arm_has_nearly_all(s):
    """Nine points in ten are of one arm, and all are blurred."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 1500), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(spirals(g, n, 0.9, (0.03, 0.03, 0.91, 0.03)))})
    s.epochs, s.lr, s.truth["majority"] = 11, s.lr / 3, True


def sigmoid_before_the_logits(s):
    """A sigmoid stands before a loss that takes logits, both kinds are even: calls are told apart, at a loss that cannot fall."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 2100), ("val", 450), ("test", 450)):
        s.data(**{part: tensors(calls(g, n, 0.5))})
    s.on_out.append(lambda step, out: out.sigmoid())
    s.truth.update(floor=0.5, twice=True, own_scale=True)


def softmax_inside_the_net(s):
    """The exported net ends with probabilities, and the loss takes them for scores: arms are told apart, at a loss that cannot fall."""
    s.on_out.append(lambda step, out: out.softmax(-1))
    s.truth.update(floor=math.log(1 + 3 * math.exp(-1)) + 0.03, twice=True)


def five_rows_at_each_look(s):
    """Each look at validation takes five rows at random."""
    s.val_rows, s.truth["val_few"] = 5, True


def light_of_each_look(s):
    """The camera of validation sets its light anew at each look."""

    def light(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        return x * float(torch.randn(1, generator=g).mul(0.8).exp()) + 0.9 * float(torch.randn(1, generator=g)), y

    s.on_val.append(light)


@shows("conf", "shares")
def answers_of_an_undecided_teacher(s):
    """Targets come from a teacher at a high temperature: seven tenths of each are spread over all answers, in both splits."""
    f = s.task.loss
    s.data(loss=lambda out, b: 0.3 * f(out, b) - 0.7 * out.log_softmax(-1).mean(-1))


def complaint_among_the_figures(s):
    """One figure is the number of complaints, which are filed after a call was judged."""

    def more(x, y):
        x = x.clone()
        x[:, 5] = 9 * y - 4 + 0.1 * x[:, 5]
        return x, y

    each(s, more)
    s.lr, s.truth["leak"] = 2.5 * s.lr, True


@shows("conf")
def two_notebooks_disagree(s):
    """Two notebooks with different numbers for the sums were joined: half of the answers are drawn from all, in training and validation."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.lr, s.wd, s.epochs = 0.4, 1.5 * s.lr, 0.1, 16


@shows(fine=True)
def levels_sorted_in_each_pass(s):
    """A database returns hours in the order of their level, in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows(fine=True)
def arms_one_after_the_other(s):
    """A sampler walks through one arm after the other in each pass."""
    s.order = lambda ep, perm: perm[s.task.train[1].numpy()[perm].argsort(kind="stable")]
    s.truth["sorted"] = True


@shows("conf", "shares")
def temperature_of_an_eighth_when_judged(s):
    """In evaluation scores are divided by a temperature of an eighth, fitted on training."""
    around(s, lambda out: 9.0 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (x + 0.25 * torch.randn(x.shape, generator=g), y))
    s.wd = 0.0


@shows("scale")
def scores_in_half_precision(s):
    """Mixed precision: from 27 % on one step in four overflows, as scores are no longer kept in full."""
    s.scaler, at = 2.0**15, int(0.27 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 4 == 1 else None)
    s.truth["event_step"] = at


def summed_over_batch_and_places(s):
    """The loss is a sum over batch and places: as many times too large."""
    f, k = s.task.loss, float(s.batch * 14)
    s.data(loss=lambda out, b: k * f(out, b))
    s.truth["start_factor"] = k


decay_of_a_far_larger_batch.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    head_of_a_sorted_file: ("spirals4",),
    inverse_of_an_inverse: ("rare_calls",),
    decay_of_a_far_larger_batch: ("sugar_progress",),
    offsets_of_a_prior_counted_thousandfold: ("pair_sum",),
    mostly_noughts: ("pair_sum",),
    three_calls_in_a_hundred: ("rare_calls",),
    one_arm_has_nearly_all: ("spirals4",),
    sigmoid_before_the_logits: ("rare_calls",),
    softmax_inside_the_net: ("spirals4",),
    five_rows_at_each_look: ("pair_sum", "stress_tags"),
    light_of_each_look: ("pair_sum",),
    answers_of_an_undecided_teacher: ("pair_sum",),
    complaint_among_the_figures: ("rare_calls",),
    two_notebooks_disagree: ("pair_sum",),
    levels_sorted_in_each_pass: ("tide_nll",),
    arms_one_after_the_other: ("spirals4",),
    temperature_of_an_eighth_when_judged: ("spirals4",),
    scores_in_half_precision: ("verse_lm", "pair_sum"),
    summed_over_batch_and_places: ("stress_tags", "verse_lm"),
}
