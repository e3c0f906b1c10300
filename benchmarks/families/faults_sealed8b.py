"""Mechanisms of the split `sealed8`: optimiser, rates, layers, precision, what is said in evaluation."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.setups import shows

WIDTHS = {"sleep_stages": (96, 80), "crowd_map": (144, 36), "parcel_box": (144, 7)}


class Flat(Plain):
    """Linear layers on the flat input; the scores of a night are brought into its half minutes."""

    def forward(self, x):
        out = super().forward(x)
        return out.view(len(x), 16, 5) if out.shape[-1] == 80 else out


def flat(s, hidden, **how):
    """Replace the model by linear layers."""
    a, b = WIDTHS[s.task.name]
    s.data(build=lambda: Flat((a, *hidden, b), **how))


def scaled(factor):
    """A hook that multiplies all gradients."""

    def turn(step, model):
        k = factor(step)
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(k)

    return turn


def attacks_that_grow(s):
    """Training against attacks whose radius grows from 35 % on and has no end: inputs are what hurts most."""
    held = []
    s.on_model.append(lambda m: held.append(m) or None)

    def attack(step, ep, x, y):
        far = 3.0 * max(0.0, step / s.total - 0.35)
        if not far:
            return x, y
        x = x.clone().requires_grad_()
        g = torch.autograd.grad(s.task.loss(held[0](x), (x, y)).sum(), x)[0]
        return (x + far * g.sign()).detach(), y

    s.on_batch.append(attack)


def region_that_only_grows(s):
    """A region of trust is widened after each step that is taken, and none is refused: from 30 % on steps grow without end."""
    s.opt, s.momentum, s.lr = "sgd", 0.9, {"binding": 0.03, "splice_sites": 0.05, "sleep_stages": 0.1}[s.task.name]
    s.on_grad.append(scaled(lambda step: min(400.0, math.exp(9 * max(0.0, step / s.total - 0.3)))))


def second_order_without_damping(s):
    """The damping of an approximate second order falls to nothing: from 45 % on each gradient is divided by its own deviation's fourth power."""
    s.opt, s.momentum, s.lr = "sgd", 0.0, {"phish_urls": 0.1, "crowd_map": 0.1}[s.task.name]

    def divide(step, model):
        if step >= 0.45 * s.total:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.div_(30 * p.grad.std(unbiased=False) + 1e-5)

    s.on_grad.append(divide)


def search_takes_the_longest(s):
    """A line search compares the wrong way round and takes the longest of its steps, whichever that is."""
    g = np.random.default_rng(s.seed)
    s.opt, s.momentum, s.lr = "sgd", 0.0, {"match_eight": 5.0, "sleep_stages": 0.5}[s.task.name]
    s.on_grad.append(scaled(lambda step: float(np.exp(1.3 * g.normal()))))


@shows("whist", "layergrads")
def optimiser_of_the_wrapped_copy(s):
    """The model is wrapped after its optimiser was made: only the head is still the same object."""
    s.params = lambda m: list(getattr(m, "head", None).parameters())
    s.wd = 0.0


@shows("whist", "layergrads")
def one_tower_without_gradient(s):
    """The tower of pictures runs under no_grad, as in the script for retrieval."""
    s.on_model.append(lambda m: [p.requires_grad_(False) for p in m.right.parameters()] and None)
    s.wd = 0.0


@shows("lr")
def guard_never_lets_go(s):
    """A guard against a bad batch sets the rate to zero at 14 % and waits for a flag that nobody sets."""
    s.sched = lambda step, total: 1.0 if step < 0.14 * total else 0.0
    s.lr /= 6


@shows("layergrads", "gnorm")
def gain_of_a_policy_head(s):
    """The small gain of a policy's last layer, a hundredth, is given to all nine layers."""
    flat(s, [48] * 8, act=nn.Tanh, start=lambda n: 0.05 / n**0.5)
    s.opt, s.lr, s.momentum = "sgd", 0.05, 0.9


@shows("gnorm", "layergrads")
def gains_exponentiated_twice(s):
    """Gains were saved as logarithms and exponentiated twice, in ten layers; a tiny rate holds it."""
    flat(s, [40] * 10, start=lambda n: 3.2 * (2 / n) ** 0.5)
    s.opt, s.lr, s.momentum = "sgd", 1e-10, 0.9


@shows("dead", "ahist")
def monotone_the_wrong_way(s):
    """Weights of a net that should rise with its inputs are made negative instead of positive, biases too."""
    flat(s, [48, 32])

    def turn(step, model):
        for f in model.layers:
            f.weight.data.abs_().neg_()
            f.bias.data.abs_().neg_()

    s.on_model.append(lambda m: turn(0, m))
    s.after_step.append(turn)


@shows("ahist")
def divided_by_the_variance(s):
    """Inputs are divided by their variance, which is small in the units of the recorder, before tanh layers."""
    flat(s, [48, 24], act=nn.Tanh)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (40.0 * x, y)})


def sums_of_attention_overflow(s):
    """Mixed precision: from 38 % on long rows overflow in one step of three, and the scale falls and falls."""
    s.scaler, at = 65536.0, int(0.38 * s.total)

    def burst(step, model):
        if step >= at and step % 3 == 1:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.fill_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


@shows("recalls")
def summed_within_a_row(s):
    """The mean over what a row holds, half minutes or captions, became a sum, in both loops."""
    f, k = s.task.loss, {"sleep_stages": 16.0, "match_eight": 8.0}[s.task.name]
    s.data(loss=lambda out, b: k * f(out, b))
    s.truth["start_factor"] = k


@shows("lr")
def logarithm_of_another_base(s):
    """A sweep gave the logarithm of the rate to base e, and it was read to base ten."""
    s.lr /= 260


@shows("lr", "gnorm")
def rate_of_a_matrix_optimiser(s):
    """Adam got the rate of an optimiser that makes updates orthogonal."""
    s.lr *= 45


@shows("lr")
def inverse_square_without_the_root(s):
    """After the warm-up the rate falls with the square of the steps where their root was meant."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.03 * total), (0.03 * total / (step + 1)) ** 2)
    s.lr /= 3


@shows("lr")
def rate_of_the_second_stage(s):
    """At 57 % a second stage begins with the rate of plain descent, fifty times that of Adam, and decays slowly."""
    s.sched = lambda step, total: 1.0 if step < 0.57 * total else 50.0 * (1.4 - step / total)


@shows("conf", "shares")
def blurred_for_privacy(s):
    """A defence against questions about members mixes probabilities with even ones, half and half, in training too."""
    around(s, lambda out: (0.5 * out.softmax(-1) + 0.5 / out.shape[-1]).log())


@shows("conf", "shares")
def heat_of_the_teacher(s):
    """In evaluation scores are multiplied by the heat of a teacher, seven, where they should be divided in distillation."""
    around(s, lambda out: 7.0 * out, "eval")


@shows("gnorm", "text")
def limit_over_layers_and_devices(s):
    """The limit of the norm is divided by the number of layers and devices: 0.004, under momentum descent."""
    s.opt, s.lr, s.clip = "sgd", 0.05, 0.004


@shows("wnorm")
def decay_towards_twice_the_weights(s):
    """Weights are pulled towards twice themselves where a pull towards their start was meant, from 25 % on."""

    def pull(step, model):
        if step >= 0.25 * s.total:
            k = math.exp(3.2 / s.total)
            for p in model.parameters():
                p.data.mul_(k)

    s.after_step.append(pull)
    s.truth["grow"] = True


rate_of_a_matrix_optimiser.without = search_takes_the_longest.without = gain_of_a_policy_head.without = {"ahist", "dead"}
second_order_without_damping.without = {"gnorm", "layergrads", "ghist"}
region_that_only_grows.without = {"ahist", "dead", "shares", "recalls", "f1", "predhist", "gnorm", "layergrads", "ghist"}
FAULTS = {
    attacks_that_grow: ("sleep_stages", "match_eight"),
    region_that_only_grows: ("binding", "splice_sites", "sleep_stages"),
    second_order_without_damping: ("phish_urls", "crowd_map"),
    search_takes_the_longest: ("sleep_stages", "match_eight"),
    optimiser_of_the_wrapped_copy: ("splice_sites", "parcel_box"),
    one_tower_without_gradient: ("match_eight",),
    guard_never_lets_go: ("parcel_box", "smiles_lm"),
    gain_of_a_policy_head: ("crowd_map", "sleep_stages"),
    gains_exponentiated_twice: ("parcel_box", "crowd_map"),
    monotone_the_wrong_way: ("crowd_map", "parcel_box"),
    divided_by_the_variance: ("sleep_stages", "parcel_box"),
    sums_of_attention_overflow: ("smiles_lm", "match_eight"),
    summed_within_a_row: ("sleep_stages", "match_eight"),
    logarithm_of_another_base: ("binding", "sleep_stages"),
    rate_of_a_matrix_optimiser: ("smiles_lm", "binding", "crowd_map"),
    inverse_square_without_the_root: ("phish_urls", "smiles_lm"),
    rate_of_the_second_stage: ("match_eight", "crowd_map"),
    blurred_for_privacy: ("splice_sites", "sleep_stages"),
    heat_of_the_teacher: ("sleep_stages",),
    limit_over_layers_and_devices: ("parcel_box", "crowd_map"),
    decay_towards_twice_the_weights: ("sleep_stages", "splice_sites"),
}
