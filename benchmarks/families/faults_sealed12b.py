"""Mechanisms of the split `sealed12`: budget, clock, optimiser, rates, layers, scales of the loss, looks at validation."""

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.faults_sealed10 import grads
from families.faults_sealed12 import SIZES, descent, drawn, flat
from families.setups import shows


class Hush(nn.Module):
    """A leaky unit times a number of its own that was made for residual layers, three hundredths."""

    def forward(self, x):
        return 0.03 * fn.leaky_relu(x, 0.2)


class Logs(nn.Module):
    """A tenth of the signed logarithm."""

    def forward(self, x):
        return 0.1 * x.sign() * x.abs().log1p()


class Doubled(nn.Module):
    """Sixteen layers added to what they get, twice each, and no norm."""

    def __init__(self, a, b, width=32):
        super().__init__()
        self.first, self.head = nn.Linear(a, width), nn.Linear(width, b)
        self.blocks, self.act = nn.ModuleList([nn.Linear(width, width) for _ in range(16)]), nn.ReLU()

    def forward(self, x):
        h = self.first(x.flatten(1))
        for f in self.blocks:
            h = 1.35 * h + 2 * self.act(f(h))
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


def batch_over_a_thousand(s):
    """The rate is multiplied by the batch over a thousand or so, a rule of another program, and the passes are those of it."""
    s.lr /= 18


def ten_minutes_at_most(s):
    """The trainer may run for ten minutes only; the rate was chosen for a night."""
    s.epochs, s.lr, s.batch = max(6, s.epochs // 2), s.lr / 6, 2 * s.batch


def optimiser_in_the_wrong_loop(s):
    """The step of the optimiser stands one indent to the left: it is done for every ninth batch."""
    kept = []
    s.optimizer = lambda st, m: kept.append(torch.optim.Adam(m.parameters(), lr=st.lr)) or kept[-1]

    def skip(step, model):
        for p in model.parameters():
            p.grad = p.grad if step % 14 == 13 else None

    s.on_grad.append(skip)


@shows(fine=True)
def negative_of_a_negative(s):
    """A file that was stored as a negative comes by in some places: inputs and answers of its batch are mirrored and four times as loud."""
    g = np.random.default_rng(s.seed)
    at = set((50 * g.choice(np.arange(2, s.total // 50), 4, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (-4 * x, y.flip(0)) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def callback_sets_the_rate_for_a_step(s):
    """A callback that probes the rate takes a step at six times it, four times, before it sets it back."""
    at = [int(q * s.total) for q in (0.28, 0.46, 0.64, 0.83)]
    descent(s, 4.0, 0.0)
    s.on_grad.append(lambda step, model: [g.mul_(6) for g in grads(model)][:0] if step in at else None)


def lock_on_a_shared_folder(s):
    """At 66 % somebody else's job holds the lock of the cache for four hours."""
    s.seconds = lambda step, total: 19000.0 if step == int(0.66 * total) else 1.0
    s.truth["event_step"] = int(0.66 * s.total)


@shows("speed")
def swapped_to_disk(s):
    """From 52 % on memory is full of what was never freed, and a step takes eight times as long."""
    s.seconds = lambda step, total: 8.0 if step >= 0.52 * total else 1.0
    s.truth["event_step"] = int(0.52 * s.total)


def factor_of_two_on_a_plateau(s):
    """The factor on a plateau is two and not a half: from 40 % on the rate doubles every few passes."""
    descent(s)
    s.sched = lambda step, total: 2.0 ** max(0.0, 26 * (step / total - 0.4))


def gradients_pile_up_after_resume(s):
    """After a resume at 42 % gradients are no longer cleared and pile up."""
    descent(s, 1.5)
    pile, at = {}, int(0.42 * s.total)

    def add(step, model):
        if step >= at:
            for n, p in model.named_parameters():
                pile[n] = pile.get(n, 0) + p.grad
                p.grad.copy_(pile[n])

    s.on_grad.append(add)


def noise_of_a_private_run_grows(s):
    """The noise of a private run is multiplied anew with each pass, from 35 % on."""
    g = drawn(s)

    def noise(step, model):
        if step > 0.35 * s.total:
            k = 0.0012 * 1.14 ** (60 * (step / s.total - 0.35))
            for p in model.parameters():
                p.data.add_(torch.randn(p.shape, generator=g), alpha=k)

    s.after_step.append(noise)


@shows(fine=True)
def four_rows_at_the_rate_of_a_thousand(s):
    """The rate of a cluster, for a thousand rows, was kept for four."""
    s.batch, s.epochs, s.lr = 4, max(6, s.epochs // 3), 25 * s.lr
    s.truth["hot"] = True


@shows(fine=True)
def two_domains_in_turns(s):
    """Two domains with opposite habits come in turns of twenty-four batches."""
    k = max(2, s.task.classes)
    other = (lambda y: (y + 1) % k) if s.task.classes else (lambda y: 1 - y if s.task.kind == "bin" else -y)
    s.on_batch.append(lambda step, ep, x, y: (x, other(y) if step // 24 % 2 else y))


@shows(fine=True)
def resilient_steps_on_small_batches(s):
    """An optimiser that looks at signs and lengthens steps that agree, made for all rows at once, gets small batches."""
    s.optimizer = lambda st, m: torch.optim.Rprop(m.parameters(), lr=st.lr, etas=(0.75, 1.7), step_sizes=(1e-3, 5.0))
    s.truth["hot"] = True


@shows("whist", "layergrads")
def samples_are_drawn_without_gradient(s):
    """A callback that draws samples turns gradients off at 12 % and turns those of the last layer on again."""
    at = int(0.12 * s.total)

    def off(step, model):
        if step >= at:
            for p in list(model.parameters())[:-2]:
                p.grad = None

    s.on_grad.append(off)
    s.wd, s.lr = 0.0, s.lr / 3


@shows("whist", "gnorm")
def adapters_that_match_no_name(s):
    """Names for adapters match no layer, and the rest is frozen as adapters want it; the last bias is left."""
    s.on_model.append(lambda m: [p.requires_grad_(False) for p in list(m.parameters())[:-1]] and None)
    s.wd = 0.0


@shows("lr")
def taken_off_at_each_step(s):
    """A decay that was meant for passes is taken off the rate at each step, until nothing is left of it."""
    s.lr /= 5
    s.sched = lambda step, total: max(0.0, 1 - step / (0.07 * total))


@shows("lr")
def floor_division_of_the_rate(s):
    """The rate is computed with a floor division and is nothing from the first step on."""
    s.lr = 1e-30
    s.sched = lambda step, total: 0.0


@shows("layergrads", "gnorm")
def layer_scales_without_a_way_around(s):
    """Small scales of layers were copied without the way around them."""
    flat(s, [40] * 5, act=Hush)
    descent(s)


@shows("layergrads", "gnorm")
def logarithms_in_a_row(s):
    """Seven layers that each pass on a tenth of a logarithm."""
    flat(s, [36] * 7, act=Logs)
    descent(s)


@shows("dead", "ahist")
def pruned_before_training(s):
    """A mask for pruning, made for a trained net, is applied from the start and keeps two units of each layer."""
    flat(s, [48, 32], act=nn.ReLU)

    def prune(step, m):
        for f in m.layers:
            f.weight.data[2:] = 0.0
            f.bias.data[2:] = -0.01

    s.after_step.append(prune)


@shows("dead", "ahist")
def offset_of_a_folded_norm(s):
    """A norm was folded into the layers before it with the sign of its offset turned round: minus seven for all units."""
    flat(s, [48, 32], act=nn.ReLU, off=7.0)


@shows("ahist")
def eight_bits_without_their_scale(s):
    """Weights are read from eight bits without their scale: tanh units sit at their ends."""
    flat(s, [48, 32], act=nn.Tanh)
    s.on_model.append(lambda m: [f.weight.data.mul_(45.0) for f in m.layers] and None)
    s.lr /= 2


@shows("ahist")
def temperature_in_a_gate(s):
    """The temperature of sigmoids, a fortieth, was taken from a gate that has to be hard."""
    flat(s, [48, 32], act=nn.Sigmoid)
    s.on_model.append(lambda m: setattr(m, "gain", 45.0))


@shows("lr")
def per_cent_of_a_per_mille(s):
    """The rate was scaled by the share of a warm-up twice: a ten-thousandth of it."""
    s.lr *= 1e-4


@shows("lr")
def rate_of_the_largest_model(s):
    """The rate is read from a table for models ten thousand times as large, and cut once more: 6e-7."""
    s.lr = 6e-7


@shows("lr", "gnorm")
def rate_of_a_line_search(s):
    """Adam with a rate of 0.8, the default of a method that searches along a line."""
    s.lr = 0.8


@shows("lr")
def rate_without_its_exponent(s):
    """The exponent was cut off when the file was read: 3e-1 for 3e-3."""
    s.lr = 0.3


@shows("lr")
def cycle_counted_in_batches(s):
    """The length of the cycle was given in batches and read in passes: all but its first steps lie at the floor of the rate."""
    s.sched = lambda step, total: 1.0 if step < 0.02 * total else 0.0004
    s.lr /= 2


@shows("lr")
def peak_of_a_second_job(s):
    """At 62 % the warm-up of a second job is over, whose peak is three hundred times as high."""
    s.sched = lambda step, total: 0.3 if step < 0.62 * total else 90.0
    s.truth["event_step"] = int(0.62 * s.total)


@shows("lr")
def gamma_for_a_hundred_passes(s):
    """A factor of 0.96 for each pass is applied after each batch."""
    s.sched = lambda step, total: 0.96**step
    s.lr /= 5


@shows("gnorm", "text")
def limit_of_values_taken_for_norms(s):
    """A limit for single values, 0.003, is taken for the norm, under plain descent."""
    descent(s)
    s.clip = 0.003


@shows("wnorm")
def norm_kept_by_a_growing_gain(s):
    """Weights are divided by a running norm that is always one step late and rounded up: they grow by a little with each step."""

    def grow(step, m):
        if step > 0.15 * s.total:
            for p in m.parameters():
                p.data.mul_(1 + 4.5 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "layergrads")
def sum_of_both_ways(s):
    """Two ways around each of sixteen layers, counted double and without a norm."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Doubled(a, b))
    s.lr /= 12


negative_of_a_negative.without = callback_sets_the_rate_for_a_step.without = {"lr"}
for _f in (factor_of_two_on_a_plateau, gradients_pile_up_after_resume, noise_of_a_private_run_grows):
    _f.without = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}
resilient_steps_on_small_batches.without = four_rows_at_the_rate_of_a_thousand.without = {"lr", "dead", "ahist"}
FAULTS = {
    batch_over_a_thousand: ("gait_triplets", "vein_seg"),
    ten_minutes_at_most: ("editor_lm", "star5"),
    optimiser_in_the_wrong_loop: ("wafer_fail", "vein_seg"),
    negative_of_a_negative: ("star5", "vein_seg"),
    callback_sets_the_rate_for_a_step: ("star5", "vein_seg"),
    lock_on_a_shared_folder: ("editor_lm",),
    swapped_to_disk: ("tile_fill", "gait_triplets"),
    factor_of_two_on_a_plateau: ("star5", "editor_lm"),
    gradients_pile_up_after_resume: ("vein_seg", "star5"),
    noise_of_a_private_run_grows: ("review_stars", "wafer_fail"),
    four_rows_at_the_rate_of_a_thousand: ("solar_yield", "wafer_fail"),
    two_domains_in_turns: ("star5", "solar_yield"),
    resilient_steps_on_small_batches: ("vein_seg", "star5", "wafer_fail"),
    samples_are_drawn_without_gradient: ("star5", "wafer_fail"),
    adapters_that_match_no_name: ("wafer_fail",),
    taken_off_at_each_step: ("editor_lm", "solar_yield"),
    floor_division_of_the_rate: ("tile_fill",),
    layer_scales_without_a_way_around: ("star5", "wafer_fail"),
    logarithms_in_a_row: ("wafer_fail", "solar_yield"),
    pruned_before_training: ("star5",),
    offset_of_a_folded_norm: ("wafer_fail", "solar_yield"),
    eight_bits_without_their_scale: ("star5", "wafer_fail"),
    temperature_in_a_gate: ("wafer_fail", "star5"),
    per_cent_of_a_per_mille: ("gait_triplets", "star5"),
    rate_of_the_largest_model: ("vein_seg",),
    rate_of_a_line_search: ("star5", "wafer_fail"),
    rate_without_its_exponent: ("review_stars", "solar_yield"),
    cycle_counted_in_batches: ("wafer_fail", "tile_fill"),
    peak_of_a_second_job: ("editor_lm", "star5"),
    gamma_for_a_hundred_passes: ("star5", "vein_seg"),
    limit_of_values_taken_for_norms: ("star5", "solar_yield"),
    norm_kept_by_a_growing_gain: ("wafer_fail", "star5"),
    sum_of_both_ways: ("star5", "wafer_fail"),
}
