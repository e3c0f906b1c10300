"""Mechanisms of the split `sealed6`: optimiser, rates, layers, numerics."""

import itertools
import math

import torch
from torch import nn

from families.setups import shows
from families.tasks_sealed6 import Match, Messages, Wear


class Around(nn.Module):
    """A model whose output a function changes; `when` is train, eval or both."""

    def __init__(self, inner, change, when="both"):
        super().__init__()
        self.inner, self.change, self.when = inner, change, when

    def forward(self, x):
        out = self.inner(x)
        return self.change(out) if self.when == "both" or (self.when == "train") == self.training else out


def around(s, change, when="both"):
    """Wrap the task's model."""
    build = s.task.build
    s.data(build=lambda: Around(build(), change, when))


def window_grows(s):
    """The accumulation window grows with the passes and its sum is never divided, under momentum descent."""
    s.opt, s.momentum, s.lr, per = "sgd", 0.9, 0.02, s.steps_per_epoch

    def grow(step, model):
        f = 1.0 if step < 0.35 * s.total else 1.35 ** ((step - 0.35 * s.total) / per * 20 / s.epochs)
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(f)

    s.on_grad.append(grow)
    s.truth["hot"] = True


def centre_pushed_away(s):
    """The slow average is subtracted where it should attract: from 40 % on weights are pushed away from it."""
    slow, at = {}, int(0.4 * s.total)

    def push(step, model):
        for n, p in model.named_parameters():
            a = slow.setdefault(n, p.detach().clone())
            a.lerp_(p.detach(), 0.02)
            if step > at:
                p.data.add_(p.data - a, alpha=0.05)

    s.after_step.append(push)


@shows("wnorm")
def average_of_differences(s):
    """A correction for stale replicas adds a hundredth of the weights to the weights, from the second step on."""
    rate = 3.5 / s.total

    def add(step, model):
        for p in model.parameters():
            p.data.mul_(1 + rate)

    s.after_step.append(add)
    s.truth["grow"] = True


def debug_share_of_batches(s):
    """A limit of the batches from debugging stayed: each of the passes sees a seventh, at a careful rate."""
    s.epochs, s.lr = max(6, s.epochs // 3), s.lr / 3
    s.batch *= 2


def steps_are_micro_batches(s):
    """The budget of steps counts micro-batches of an accumulation over eight: an eighth of the steps is made."""
    s.accum, s.lr = 8, s.lr / 4
    s.batch = max(8, s.batch // 2)
    s.epochs = max(6, s.epochs // 2)


def breakpoint_left_in(s):
    """A breakpoint waits two and a half hours for somebody at 57 %."""
    at = int(0.57 * s.total)
    s.seconds = lambda step, total: 15000.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def checkpoint_every_step(s):
    """From 46 % on a checkpoint is written after every step: each takes seven times as long."""
    at = int(0.46 * s.total)
    s.seconds = lambda step, total: 7.0 if step >= at else 1.0
    s.truth["event_step"] = at


def cleared_before_the_step(s):
    """zero_grad stands between backward and step: the optimiser sees zeros."""

    def clear(step, model):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.zero_()

    s.on_grad.append(clear)
    s.wd = 0.0


@shows("predhist")
def softmax_of_one(s):
    """A softmax over the last axis, which has one entry, was left at the end: the output is one for every input."""
    around(s, lambda out: out.unsqueeze(-1).softmax(-1).squeeze(-1))


def standardised_by_six_rows(s):
    """Validation standardises its inputs by the statistics of six rows, drawn anew at each evaluation."""

    def scale(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        t = x[torch.randint(0, len(x), (6,), generator=g)] + 0.8 * torch.randn(x.shape[1:], generator=g)
        if x.shape[1] == 9 and x.dim() == 2:
            return torch.cat([x[:, :2], (x - t.mean(0))[:, 2:] / t.std(0)[2:].clamp_min(0.2)], 1), y
        return (x - t.mean(0)) / t.std(0).clamp_min(0.2) * float(x.std()), y

    s.on_val.append(scale)


def state_lost_each_step(s):
    """The optimiser is built anew for every step, so that Adam's first step, of full length for all weights, is made again and again."""
    s.betas, s.lr = (0.0, 0.0), s.lr * 8


def unit_gradients(s):
    """Gradients are divided by their norm and the rate was never lowered: steps do not get shorter near the optimum."""
    s.opt, s.lr, s.momentum = "sgd", 0.5, 0.8

    def unit(step, model):
        g = [p.grad for p in model.parameters() if p.grad is not None]
        norm = float(torch.stack(torch._foreach_norm(g)).norm())
        torch._foreach_mul_(g, 1.0 / (norm + 1e-9))

    s.on_grad.append(unit)


def looks_too_far(s):
    """Lookahead with a factor of 1.9 where a half was meant: every five steps the weights are thrown beyond the fast ones."""
    slow = {}

    def throw(step, model):
        for n, p in model.named_parameters():
            a = slow.setdefault(n, p.detach().clone())
            if step % 5 == 4:
                p.data.copy_(a + 1.9 * (p.data - a))
                a.copy_(p.data)

    s.after_step.append(throw)
    s.lr *= 2


@shows("whist", "layergrads")
def mask_hook_on_the_body(s):
    """A hook that keeps the padding's code at zero was registered on all weights but the head's: their gradients are zero."""

    def mask(step, model):
        for n, p in model.named_parameters():
            if p.grad is not None and not any(w in n for w in ("head", "out.", "net.4", "net.net.3", "net.net.4")):
                p.grad.zero_()

    s.on_grad.append(mask)
    s.wd = 0.0


@shows("lr")
def cast_to_integer(s):
    """After the warm-up the factor on the rate goes through an integer cast: the rate is 0."""
    s.sched = lambda step, total: 12.5 * step / total if step < 0.08 * total else 0.0


@shows("lr")
def scheduler_of_a_finished_run(s):
    """The scheduler's state was loaded from a run that had finished: the rate is zero from a fifteenth on."""
    s.sched = lambda step, total: 1.0 if step < total / 15 else 0.0
    s.lr /= 2


class Rounds(nn.Module):
    """A unit's weights divided by their largest singular value, times a tenth, before each product."""

    def __init__(self, sizes, factor=0.1):
        super().__init__()
        self.factor = factor
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes[:-1])])
        self.act, self.head = nn.Tanh(), nn.Linear(sizes[-2], sizes[-1])

    def forward(self, x):
        h = x.flatten(1)
        for f in self.layers:
            h = self.act(nn.functional.linear(h, self.factor * f.weight / f.weight.norm(2), f.bias))
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


@shows("layergrads", "gnorm")
def singular_values_of_a_tenth(s):
    """Spectral normalisation with a coefficient of 0.1 in eight layers: a thousandth of a thousandth comes back."""
    sizes = {"match_results": [9, *[32] * 8, 3], "turbine_life": [64, *[32] * 8, 1]}[s.task.name]
    s.data(build=lambda: Rounds(sizes))


@shows("layergrads", "gnorm")
def twelve_rounds_of_means(s):
    """Twelve rounds of means over neighbours with logistic units: all nodes become the same, and hardly anything comes back."""
    s.data(build=lambda: Messages(rounds=12, gather="mean", act=nn.Sigmoid))


@shows("gnorm", "layergrads")
def rounds_of_sums(s):
    """Eight rounds that add up all neighbours without a norm; plain descent holds it with a tiny rate."""
    s.data(build=lambda: Messages(rounds=8, gather="sum"))
    s.opt, s.lr, s.momentum = "sgd", 3e-9, 0.9


@shows("dead", "ahist")
def norm_folded_twice(s):
    """The norm's mean was folded into the biases twice: no unit is ever above zero."""

    def fold(m):
        for n, k in m.named_modules():
            if isinstance(k, nn.Linear | nn.Conv1d | nn.Conv2d) and not n.endswith(("head", "head.2", "out", "net.4")):
                k.bias.data -= 1.5 * k.weight.data.flatten(1).abs().sum(1)

    s.on_model.append(fold)
    s.lr /= 2


@shows("ahist", "gnorm")
def quantised_scale_twice(s):
    """Weights were loaded from eight bits and multiplied by their scale twice: thirty times too large, tanh layers."""

    def load(m):
        for n, p in m.named_parameters():
            if n.endswith("weight") and "team" not in n and "head.2" not in n:
                p.data.mul_(30.0)

    s.data(build={"turbine_life": lambda: Wear(act=nn.Tanh), "match_results": lambda: Match(act=nn.Tanh)}.get(s.task.name, s.task.build))
    s.on_model.append(load)
    s.lr /= 4


@shows("lr")
def divided_by_devices_twice(s):
    """The rate was divided by the number of devices by the launcher and by the script."""
    s.lr /= 256


@shows("lr", "gnorm")
def scaled_by_world_size_squared(s):
    """The linear rule was applied to the batch and to the devices: forty-eight times the rate."""
    s.lr *= 48


@shows("lr")
def two_callbacks_step(s):
    """A callback of the framework and one of the script both step an exponential schedule, after each batch instead of each pass."""
    s.sched = lambda step, total: max(2e-5, 0.985 ** (2 * step * 600 / total))
    s.lr /= 3


@shows("lr")
def restored_with_the_wrong_peak(s):
    """At 58 % a job resumes and the schedule starts again, at thirty times the peak of the configuration."""
    s.sched = lambda step, total: 1 - 0.8 * step / total if step < 0.58 * total else 30.0
    s.truth["event_step"] = int(0.58 * s.total)


def products_overflow(s):
    """Mixed precision: from 42 % on the products of long inputs leave the half range, in two steps of five."""
    at, s.scaler = int(0.42 * s.total), 32768.0

    def burst(step, model):
        if step >= at and step % 5 in (0, 3):
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.fill_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


@shows("recalls", fine=True)
def meter_never_divided(s):
    """The meter adds up the losses of eight parts of a batch and does not divide, in both loops; so is what is minimised."""
    f = s.task.loss
    s.data(loss=lambda out, b: 8.0 * f(out, b))
    s.truth["start_factor"] = 8.0


@shows("conf", fine=True)
def softmax_in_the_graph(s):
    """The exported graph ends in a softmax, and training goes on from it with a loss for logits."""
    around(s, lambda out: out.softmax(-1))
    k = s.task.classes
    s.truth.update(floor=math.log(1 + (k - 1) / math.e), twice=True)


@shows("gnorm", "text")
def threshold_of_a_sum(s):
    """Gradients are clipped at 0.003, a threshold from a loss in other units, under momentum descent."""
    s.opt, s.lr, s.clip = "sgd", 0.05, 0.003


@shows("conf", "shares")
def crops_summed(s):
    """Evaluation adds up the logits of ten crops instead of taking their mean."""
    around(s, lambda out: 10.0 * out, "eval")


@shows("conf", "recalls")
def ensemble_of_one(s):
    """Logits are divided by the size of an ensemble that has one member yet, in training and evaluation, with a firm decay."""
    around(s, lambda out: 0.02 * out)
    s.wd = 2.2


def half_of_the_bits(s):
    """Weights are cut to multiples of a sixth of the largest one after each step, from a simulation that was never turned off."""

    def cut(step, model):
        for p in model.parameters():
            if p.dim() > 1:
                q = float(p.data.abs().max()) / 6
                p.data.div_(q).round_().mul_(q)

    s.after_step.append(cut)


def masked_by_hand(s):
    """A mask over 85 % of the inputs, meant for pretraining, is drawn in the data set itself, and so in validation as well."""
    g = torch.Generator().manual_seed(s.seed)
    hide = lambda x: torch.where(torch.rand(x.shape, generator=g) < 0.85, torch.zeros_like(x), x)  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: (hide(x), y))
    s.on_val.append(lambda done, x, y: (hide(x), y))


def trunk_for_the_other_head(s):
    """The shared trunk gets the reversed gradient of a second task, ten times as strong, and the head can only follow."""

    def reverse(step, model):
        for n, p in model.named_parameters():
            if p.grad is not None and not any(w in n for w in ("head", "out.", "net.4", "net.net.3", "net.net.4")):
                p.grad.mul_(-0.5)

    s.on_grad.append(reverse)


@shows("shares", "recalls")
def bias_of_the_prior_doubled(s):
    """The logarithm of a prior, from counts that were never divided, is added to the logits outside of training."""
    around(s, lambda out: out + 40.0 * (torch.arange(out.shape[-1]) == out.shape[-1] - 1), "eval")


twelve_rounds_of_means.without = {"ahist"}
average_of_differences.without = softmax_of_one.without = {"gnorm", "layergrads", "ghist"}
trunk_for_the_other_head.without = {"gnorm", "layergrads", "ghist", "ahist", "dead"}
FAULTS = {
    window_grows: ("turbine_life", "molecules", "sku_next"),
    centre_pushed_away: ("chunk_crf", "layers_seg"),
    average_of_differences: ("text_pairs", "sku_next"),
    state_lost_each_step: ("molecules", "layers_seg", "chunk_crf"),
    unit_gradients: ("turbine_life", "text_pairs"),
    looks_too_far: ("inverse_mdn", "molecules"),
    mask_hook_on_the_body: ("turbine_life", "log_bytes", "chunk_crf"),
    cast_to_integer: ("sku_next", "layers_seg"),
    scheduler_of_a_finished_run: ("text_pairs", "inverse_mdn"),
    singular_values_of_a_tenth: ("match_results", "turbine_life"),
    twelve_rounds_of_means: ("molecules",),
    rounds_of_sums: ("molecules", "molecules"),
    norm_folded_twice: ("turbine_life", "layers_seg"),
    quantised_scale_twice: ("turbine_life", "match_results"),
    divided_by_devices_twice: ("molecules", "log_bytes"),
    scaled_by_world_size_squared: ("turbine_life", "match_results", "text_pairs"),
    two_callbacks_step: ("text_pairs", "molecules"),
    restored_with_the_wrong_peak: ("layers_seg", "inverse_mdn"),
    products_overflow: ("text_pairs", "turbine_life"),
    meter_never_divided: ("match_results", "text_pairs"),
    softmax_in_the_graph: ("layers_seg", "match_results"),
    threshold_of_a_sum: ("turbine_life",),
    crops_summed: ("text_pairs", "layers_seg"),
    ensemble_of_one: ("match_results",),
    half_of_the_bits: ("inverse_mdn", "match_results"),
    masked_by_hand: ("turbine_life", "log_bytes"),
    trunk_for_the_other_head: ("text_pairs",),
    bias_of_the_prior_doubled: ("match_results", "match_results"),
}
