"""Mechanisms of the split `sealed10`: budget, clock, optimiser, rates, layers, scales of the loss, what is said."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed10 import descent, each, flat, grads
from families.setups import shows
from families.tasks_sealed10 import waits


def preset_for_a_look(s):
    """The preset for a quick look was left on: a tenth of the steps, at a quarter of the rate."""
    s.batch, s.lr, s.epochs = 5 * s.batch, s.lr / 4, max(6, s.epochs // 2)


def lowest_of_the_layers(s):
    """Rates of layers are set apart, and all get the lowest of them."""
    s.lr /= 80


@shows(fine=True)
def fixture_slips_in(s):
    """Rows of a test's fixture, noise with the next row's answer, slip into the queue now and then."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 5, replace=False) - 1).tolist())

    def slip(step, ep, x, y):
        if step not in at:
            return x, y
        return (x + 3 * torch.randn_like(x), y.roll(1, 0) * (3 if y.is_floating_point() else 1))

    s.on_batch.append(slip)
    s.lr /= 2


def mount_comes_back(s):
    """A mount was gone at 57 % and came back after six hours."""
    s.seconds = lambda step, total: 22000.0 if step == int(0.57 * total) else 1.0
    s.truth["event_step"] = int(0.57 * s.total)


@shows("speed")
def cache_dropped_by_another(s):
    """From 47 % on another job drops the cache of the files: a batch takes seven times as long."""
    s.seconds = lambda step, total: 7.0 if step >= 0.47 * total else 1.0
    s.truth["event_step"] = int(0.47 * s.total)


@shows(fine=True)
def no_memory_of_squares(s):
    """Adam remembers neither gradients nor squares, at forty-five times the rate: all steps are of full length."""
    s.betas, s.lr, s.truth["hot"] = (0.0, 0.1), 45 * s.lr, True


@shows("whist", "layergrads")
def only_the_adapter_given(s):
    """The optimiser was given the adapter, which here is the last layer, and the body is new."""
    s.params = lambda m: list(m.head.parameters()) if hasattr(m, "head") else list(m.net[-1].parameters())
    s.wd = 0.0


@shows("lr")
def line_of_the_short_run(s):
    """The line to nothing was made for the short run, a tenth as long."""
    s.sched = lambda step, total: max(0.0, 1 - step / (0.1 * total))
    s.lr /= 3


@shows("lr")
def rate_lost_in_a_merge(s):
    """The rate was lost in a merge of two files and is nothing by default."""
    s.lr = 1e-30
    s.sched = lambda step, total: 0.0


class Quarter(nn.Module):
    """A quarter of the arcus tangens."""

    def forward(self, x):
        return 0.25 * x.atan()


@shows("layergrads", "gnorm")
def quarters_of_an_angle(s):
    """Nine layers that each pass on a quarter of an angle."""
    flat(s, [40] * 9, act=Quarter)
    descent(s)


def filler_beyond_half(s):
    """Mixed precision: from 30 % on a filler beyond its range overflows in two steps of five, and the scale falls and falls."""
    s.scaler, at = 32768.0, int(0.3 * s.total)
    s.on_grad.append(lambda step, model: [g.fill_(float("inf")) for g in grads(model)] if step >= at and step % 5 in (1, 3) else None)
    s.truth["event_step"] = at


def tangent_before_the_loss(s):
    """Scores go through a tangent before the softmax of the loss: the loss cannot fall below a floor, answers are right."""
    s.on_out.append(lambda step, out: out.tanh())
    s.truth.update(floor=math.log(1 + (s.task.classes - 1) * math.exp(-2)), twice=True)


def counted_for_each_class(s):
    """The loss is counted once for each class and each row of eight: forty times what it should be."""
    f = s.task.loss
    s.data(loss=lambda out, b: 40.0 * f(out, b))
    s.truth["start_factor"] = 40.0


@shows("dead", "ahist")
def first_steps_a_hundredfold(s):
    """The bias correction is missing in an own optimiser: the first steps are far too long and push all units below zero."""
    flat(s, [48, 32], act=nn.ReLU)
    s.after_step.append(lambda step, m: [f.bias.data.sub_(2.5) for f in m.layers] and None if step < 8 else None)


@shows("ahist")
def variance_for_deviation(s):
    """Starting weights get the variance of another table as their deviation: tanh units start at their ends."""
    flat(s, [48, 32], act=nn.Tanh, start=lambda n: 30 / n**0.5)
    s.lr /= 2


@shows("lr")
def tenth_to_the_seventh(s):
    """The rate was typed as 1e-7."""
    s.lr = 1e-7


@shows("gnorm", "text")
def limit_of_a_critic(s):
    """The limit for the weights of a critic, a two-hundredth, is used for the norm of gradients, under momentum descent."""
    descent(s)
    s.clip = 0.005


@shows("lr", "gnorm")
def rate_of_a_bandit(s):
    """Adam with the rate of a bandit's table, 0.7."""
    s.lr = 0.7


@shows("wnorm")
def shrinkage_undone(s):
    """The shrinkage of the decay is undone after each step, twenty times over."""
    s.after_step.append(
        lambda step, m: [p.data.mul_(math.exp(2.8 / s.total)) for p in m.parameters()] and None if step > 0.25 * s.total else None
    )
    s.truth["grow"] = True


@shows("conf", "shares")
def divided_by_a_temperature(s):
    """In evaluation scores are divided by the temperature of a distillation that was inverted: four times too large."""
    around(s, lambda out: 4.0 * out, "eval")
    s.wd = 0.0


def exposure_of_each_look(s):
    """Each evaluation draws an exposure of its own for its pictures, and some are nearly white or black."""

    def expose(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        k = 6.0 ** (2 * float(torch.rand(1, generator=g)) - 1)
        return (k * x + 1.2 * (k - 1), y) if s.task.name == "dials8" else (k * x, y)

    s.on_val.append(expose)


@shows("gnorm", "layergrads")
def added_three_times(s):
    """Inputs of eight layers are added three times where once was meant."""
    flat(s, [48] * 8, skip=3.0)
    s.lr /= 3
    s.opt, s.clip = "adamw", 1.0


@shows("conf", "shares")
def teacher_without_a_view(s):
    """Half of the target comes from a teacher that was never trained and says the same of all classes; in both splits."""
    f = s.task.loss
    s.data(loss=lambda out, b: 0.3 * f(out, b) - 0.7 * out.log_softmax(-1).mean(-1))


def sorted_file_with_its_numbers(s):
    """The file was sorted by kind before its rows were numbered, and the number is a column."""

    def number(x, y):
        x = x.clone()
        x[:, 5] = 3.0 * (y - 2.5)
        x[:, 6] = 2.0 * (y - 2.5) ** 2 - 5
        x[:, 7], x[:, 8] = 5.0 * (y % 2) - 2.5, 5.0 * (y // 2 == 1)
        return x, y

    each(s, number)
    s.batch, s.lr, s.truth["leak"] = 12, 2 * s.lr, True


@shows("conf")
def names_matched_by_likeness(s):
    """Names were matched by likeness: forty-five in a hundred answers are another row's, in training and validation."""
    g = torch.Generator().manual_seed(s.seed)
    wrong = lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, y[torch.randperm(len(y), generator=g)], y))  # noqa: E731
    each(s, wrong, "train", "val")
    s.truth["noise"], s.lr, s.wd = 0.45, s.lr / 2, 0.1


@shows("lr")
def warm_up_in_epochs_read_as_runs(s):
    """The warm-up is longer than the run, by a square: the rate only begins to matter at the end."""
    s.sched = lambda step, total: 0.0003 + (step / total) ** 5
    s.lr /= 3


@shows(fine=True)
def written_by_answer(s):
    """The export was written answer by answer and is read in that order in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


def busy_hours_only_in_validation(s):
    """Validation is of busy hours only, whose waiting times scatter four times as much."""
    s.data(val=tensors(waits(np.random.default_rng(s.seed + 9), 450, noise=0.75)))


no_memory_of_squares.without = {"lr"}
rate_of_a_bandit.without = {"ahist", "dead"}
FAULTS = {
    busy_hours_only_in_validation: ("wait_time",),
    preset_for_a_look: ("recipe_lm", "calls5", "grain6"),
    lowest_of_the_layers: ("hills_ae", "wait_time", "dials8"),
    fixture_slips_in: ("grain6", "wait_time"),
    mount_comes_back: ("hills_ae",),
    cache_dropped_by_another: ("grain6",),
    no_memory_of_squares: ("grain6", "calls5", "wait_time"),
    only_the_adapter_given: ("dials8", "calls5"),
    line_of_the_short_run: ("hills_ae", "calls5"),
    rate_lost_in_a_merge: ("recipe_lm",),
    quarters_of_an_angle: ("grain6", "calls5"),
    filler_beyond_half: ("recipe_lm", "dials8"),
    tangent_before_the_loss: ("grain6", "dials8"),
    counted_for_each_class: ("calls5",),
    first_steps_a_hundredfold: ("grain6", "wait_time"),
    variance_for_deviation: ("dials8", "grain6"),
    tenth_to_the_seventh: ("wait_time", "recipe_lm"),
    limit_of_a_critic: ("calls5", "grain6"),
    rate_of_a_bandit: ("grain6", "recipe_lm"),
    shrinkage_undone: ("hills_ae", "calls5"),
    divided_by_a_temperature: ("grain6",),
    exposure_of_each_look: ("dials8",),
    added_three_times: ("grain6",),
    teacher_without_a_view: ("grain6", "dials8"),
    sorted_file_with_its_numbers: ("grain6",),
    names_matched_by_likeness: ("grain6",),
    warm_up_in_epochs_read_as_runs: ("hills_ae", "recipe_lm"),
    written_by_answer: ("calls5",),
}
