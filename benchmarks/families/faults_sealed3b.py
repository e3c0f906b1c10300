"""More mechanisms of the split `sealed3`: gradients, weights, optimiser, schedule, numerics, loss."""

import numpy as np
import torch
from torch import nn

from families import nets
from families.setups import shows

OUT = {"visits": 1, "survival": 1, "lora_ft": 6}


def tower(s, hidden, act):
    """A fully connected network of the task's sizes."""
    k = OUT[s.task.name]
    return nets.Mlp([s.task.train[0].shape[1], *hidden, k], act=act, squeeze=k == 1)


@shows("gnorm", "lr")
def uniform_weights(s):
    """Weights start uniform in [-1, 1] whatever the number of inputs, under SGD."""

    def start(model):
        for p in model.parameters():
            if p.dim() > 1 and p.requires_grad:
                nn.init.uniform_(p, -1.0, 1.0)

    s.on_model.append(start)
    s.opt, s.lr, s.momentum = "sgd", 0.003, 0.9


@shows("layergrads", "gnorm")
def softsign_tower(s):
    """Thirteen softsign layers whose weights start at a third of the usual size."""

    def build():
        m = tower(s, [36] * 13, nn.Softsign)
        for p in m.parameters():
            p.data.mul_(0.35)
        return m

    s.data(build=build)


@shows("dead", "ahist")
def prior_bias_everywhere(s):
    """The bias for rare objects (-4.6) is given to every convolution, not only to the last."""

    def low(model):
        for m in model.modules():
            if isinstance(m, nn.Conv2d) and m.bias is not None:
                m.bias.data.fill_(-4.6)

    s.on_model.append(low)


@shows("ahist")
def raw_units(s):
    """Columns in raw units, from 1 to 900, before tanh layers."""
    s.data(build=lambda: tower(s, [48, 48], nn.Tanh))
    d = s.task.train[0].shape[1]
    unit = torch.logspace(0.5, 2.9, d)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x * unit + unit, y)})


@shows("whist", "layergrads")
def body_restored(s):
    """A callback loads the averaged body back after every step, and the average was never updated."""
    kept = []
    s.on_model.append(lambda model: kept.extend(q.detach().clone() for q in list(model.parameters())[:-2]))

    def restore(step, model):
        with torch.no_grad():
            for a, b in zip(list(model.parameters())[:-2], kept, strict=True):
                a.copy_(b)

    s.after_step.append(restore)


@shows("whist", "layergrads")
def one_expert_trained(s):
    """Only the first expert and the router are in the optimiser; the list of modules was a plain list once."""
    s.params = lambda model: [*model.router.parameters(), *model.experts[0].parameters()]


@shows("wnorm", "whist")
def decay_above_one(s):
    """The multiplicative decay of the weights is 1.004 instead of 0.9996."""

    def grow(step, model):
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.mul_(1 + 2.6 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "text")
def norm_after_clipping(s):
    """Clipped at 0.01 under SGD; the norm that is logged is the one after clipping."""
    s.opt, s.lr, s.momentum, s.clip = "sgd", 0.3, 0.9, 0.01
    s.logged_norm = lambda g: min(g, 0.01)


@shows("lr")
def plateau_of_a_rising_score(s):
    """ReduceLROnPlateau in mode `min` watches a score that rises: the rate is cut at nearly every evaluation."""
    state = {"factor": 1.0, "n": 0}

    def cut(res):
        state["n"] += 1
        state["factor"] *= 0.2 if state["n"] >= 1 else 1.0

    s.after_eval.append(cut)
    s.sched = lambda step, total: state["factor"]


@shows("lr")
def decay_as_long_as_warmup(s):
    """The schedule's total was set to the warm-up's length: up over 8 %, down over 8 %, then zero."""
    s.sched = lambda step, total: max(0.0, min(1.0, step / (0.08 * total), 2 - step / (0.08 * total)))


class Lion(torch.optim.Optimizer):
    """Sign of a moving average, as published (betas 0.9 and 0.99)."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.add_((m * 0.9 + p.grad * 0.1).sign(), alpha=-g["lr"])
                m.mul_(0.99).add_(p.grad, alpha=0.01)


@shows("lr", fine=True)
def lion_with_adams_rate(s):
    """Lion with thirty times the rate that it bears."""
    s.lr *= 9
    s.optimizer = lambda setup, model: Lion([p for p in model.parameters() if p.requires_grad], setup.lr)


@shows("lr", "gnorm")
def noam_without_width(s):
    """The inverse square root schedule lacks the factor of the model's width and peaks at 0.13."""
    s.lr = 0.13
    s.sched = lambda step, total: min((step + 1) / (0.1 * total), ((step + 1) / (0.1 * total)) ** -0.5)


@shows("lr")
def rate_of_full_fine_tuning(s):
    """The rate of full fine-tuning of a large model (1e-5) for small adapters."""
    s.lr = 1e-5


@shows("lr", fine=True)
def restarts_that_grow(s):
    """Each warm restart peaks five times higher than the one before."""
    s.sched = lambda step, total: 0.5 * 4.0 ** int(step * 4 / total) * (1 + np.cos(np.pi * ((step * 4 / total) % 1)))


@shows("lr", "gnorm")
def staircase_up(s):
    """A gradual warm-up by steps that was never capped: the rate is multiplied by seven at every sixth of the run."""
    s.sched = lambda step, total: 0.15 * 7.0 ** int(step * 6 / total)


@shows(fine=True)
def overflow_in_the_backward_pass(s):
    """Mixed precision: from 50 % on the backward pass overflows in one step of three."""
    at, s.scaler = int(s.total * 0.5), 8192.0

    def burst(step, model):
        if step >= at and step % 3 == 0:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


def summed_over_tokens(s):
    """The loss is the sum over the tokens of the whole batch, logged as it is."""
    f, n = s.task.loss, float(s.batch) * (20.0 if s.task.name == "dialog_lm" else 1.0)
    s.lr /= 4
    s.data(loss=lambda out, b: f(out, b) * n)
    s.truth["start_factor"] = n


def squashed_before_the_loss(s):
    """The last layer's sigmoid stayed in front of a cross-entropy for logits."""
    s.on_out.append(lambda step, out: out.sigmoid())
    k = s.task.classes
    s.truth["floor"], s.truth["twice"] = float(np.log(np.e + k - 1) - 1), True


squashed_before_the_loss.shows = {"conf"}


@shows("conf")
def cosines_without_scale(s):
    """The head returns cosines in [-1, 1] and nobody multiplies them: probabilities stay near even."""

    class Cosine(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m = m

        def forward(self, x):
            out = self.m(x)
            return out / out.norm(dim=-1, keepdim=True).clamp_min(1e-6)

    s.on_model.append(Cosine)


def weight_of_one_part_grows(s):
    """The weight of an auxiliary part was to be annealed and grows instead: by four decades over the second half."""
    at = s.total // 2
    now = {"w": 1.0}
    parts = s.task.components

    def total(out, batch):
        p = parts(out, batch)
        first = next(iter(p))
        return sum(v * (now["w"] if k != first else 1.0) for k, v in p.items())

    s.data(loss=total)

    def ramp(step, epoch, x, y):
        now["w"] = 1.0 if step < at else 10 ** (4.0 * (step - at) / (s.total - at))
        return x, y

    s.on_batch.append(ramp)
    s.truth["event_step"] = at


def ascends_from_a_point(s):
    """From 45 % on the sign of the gradient is wrong, at a third of its size (a maximising optimiser was restored)."""
    at = int(s.total * 0.45)

    def flip(step, model):
        if step >= at:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(-0.35)

    s.on_grad.append(flip)
    s.truth["event_step"] = at


def flow_without_bound(s):
    """The couplings' log scales are not bounded, at twenty times the rate: the density runs away."""
    from families.nets3b import Flow

    s.data(build=lambda: Flow(6, bound=False))
    s.lr *= 22


def nothing_masked(s):
    """From some shard on a sequence has no masked position, and its mean over nothing is 0 / 0."""
    at = int(s.total * 0.52)

    def bare(out, batch):
        each = nn.functional.cross_entropy(out.transpose(1, 2), batch[1].clamp_min(0), reduction="none")
        real = (batch[1] >= 0).float()
        return (each * real).sum(1) / real.sum(1)

    def empty(step, ep, x, y):
        if step == at:
            y = y.clone()
            y[2] = -100
        return x, y

    s.data(loss=bare)
    s.on_batch.append(empty)
    s.truth["event_step"] = at


def deviation_of_a_constant(s):
    """Batches are standardised by their own deviation; one holds a constant column: division by zero."""
    at = int(s.total * 0.66)

    def scale(step, ep, x, y):
        if step == at:
            x = x.clone()
            x[:, 1] = 0.5
            return (x - x.mean(0)) / x.std(0), y
        return x, y

    s.on_batch.append(scale)
    s.truth["event_step"] = at


@shows(fine=True)
def skipped_overflows(s):
    """The loss of a few steps overflows and is logged as Inf; the scaler skips these steps and training goes on."""
    at = int(s.total * 0.3)
    s.scaler = 256.0

    def over(step, loss, model):
        return loss * float("inf") if step >= at and step % max(19, s.total // 14) == 3 else loss

    s.on_loss.append(over)
    s.truth["event_step"] = at


@shows("gnorm", fine=True)
def no_second_moment(s):
    """Adam with beta2 = 0 and eight times the rate: every step has full length."""
    s.betas, s.lr = (0.0, 0.0), s.lr * 11


FAULTS = {
    uniform_weights: ("visits", "grid_det", "dialog_lm"),
    softsign_tower: ("visits", "survival"),
    prior_bias_everywhere: ("depth_pix", "grid_det"),
    raw_units: ("survival", "visits"),
    body_restored: ("glyph_vit", "clicks", "visits"),
    one_expert_trained: ("moe_router",),
    decay_above_one: ("survival", "moe_router", "depth_pix"),
    norm_after_clipping: ("glyph_vit", "survival", "moe_router"),
    plateau_of_a_rising_score: ("glyph_vit", "masked_sites", "moe_router"),
    decay_as_long_as_warmup: ("dialog_lm", "flow_rings", "survival"),
    lion_with_adams_rate: ("glyph_vit", "moe_router", "grid_det"),
    noam_without_width: ("dialog_lm", "masked_sites"),
    rate_of_full_fine_tuning: ("lora_ft", "voices_am"),
    restarts_that_grow: ("moe_router", "voices_am"),
    staircase_up: ("visits", "grid_det", "clicks"),
    overflow_in_the_backward_pass: ("masked_sites", "flow_rings"),
    summed_over_tokens: ("dialog_lm", "glyph_vit"),
    squashed_before_the_loss: ("glyph_vit", "lora_ft"),
    cosines_without_scale: ("glyph_vit", "lora_ft"),
    weight_of_one_part_grows: ("moe_router", "grid_det"),
    ascends_from_a_point: ("glyph_vit", "moe_router", "survival"),
    flow_without_bound: ("flow_rings",),
    nothing_masked: ("masked_sites",),
    deviation_of_a_constant: ("visits", "survival"),
    skipped_overflows: ("dialog_lm", "voices_am"),
    no_second_moment: ("glyph_vit", "visits"),
}
