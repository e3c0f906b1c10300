"""Mechanisms of the split `sealed7`: optimiser, rates, layers, classes, clock."""

import itertools
import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.setups import shows
from families.tasks_sealed7 import strokes


class Plain(nn.Module):
    """Linear layers on the flat input: a gain before each unit, a threshold taken off, skips that count `skip` times, weights by `start`."""

    def __init__(self, sizes, act=nn.ReLU, off=0.0, skip=0, start=None):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise(sizes[:-1])])
        self.acts = nn.ModuleList([act() for _ in self.layers])
        self.head, self.off, self.skip, self.gain = nn.Linear(sizes[-2], sizes[-1]), off, skip, 1.0
        for k in (*self.layers, self.head):
            if start:
                nn.init.normal_(k.weight, 0, start(k.in_features))

    def forward(self, x):
        h = x.flatten(1)
        for f, act in zip(self.layers, self.acts, strict=True):
            new = act(self.gain * f(h) - self.off)
            h = new + self.skip * h if self.skip and new.shape == h.shape else new
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


WIDTHS = {"rain_soon": (96, 1), "pen_letters": (42, 6), "grasp_angle": (100, 2), "heat_field": (25, 24), "route_choice": (35, 5)}


def plain(s, hidden, **how):
    """Replace the model by linear layers."""
    a, b = WIDTHS[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def weight_below_zero(s):
    """A weight of the loss falls along a line that goes on below zero: from 60 % on the loss is made larger."""

    def turn(step, model):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(1 - step / (0.6 * s.total))

    s.on_grad.append(turn)


@shows("shares", "recalls")
def unknown_beats_the_best(s):
    """The score of the unknown class is the best of the others and a margin, which was to be taken off: it wins always."""
    around(s, lambda out: torch.cat([out[..., 1:].amax(-1, keepdim=True) + 0.5, out[..., 1:]], -1))


@shows("predhist")
def mean_over_the_batch(s):
    """A mean over axis 0 where axis 1 was meant: all rows of a batch get the same answer."""
    around(s, lambda out: out.mean(0, keepdim=True).expand_as(out))


@shows("recalls", "f1")
def station_in_the_desert(s):
    """A station where it rains on four days in a hundred, and not after what was measured."""
    for part, n in (("train", 3000), ("val", 700), ("test", 700)):
        x, y = rows(getattr(s.task, part), slice(0, n))
        s.data(**{part: (x.flip(0), (torch.rand(len(y), generator=torch.Generator().manual_seed(s.seed)) < 0.06).float())})
    s.epochs, s.truth["majority"] = 6, True


@shows("recalls", "shares")
def mostly_one_letter(s):
    """Nineteen strokes in twenty are one letter, and the pen shakes."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1600), ("val", 500), ("test", 500)):
        s.data(**{part: tensors(strokes(rng, n, 1.6, [0.9, 0.02, 0.02, 0.02, 0.02, 0.02]))})
    s.epochs, s.truth["majority"] = 6, True


def budget_of_eight_workers(s):
    """The budget of steps was divided by eight workers and one came."""
    s.epochs, s.lr, s.batch = max(5, s.epochs // 3), s.lr / 4, s.batch * 2


def padding_counted_as_tokens(s):
    """The budget is one of tokens, and padding is counted: it is used up after a fourth, at a careful rate."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 9


@shows(fine=True)
def race_in_the_collator(s):
    """Now and then two workers write into one buffer: the targets of a batch are those of another, and inputs add up."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), min(5, s.total // 60 - 3), replace=False) - 1).tolist())
    odd = lambda x, y: (x + x.roll(1, 0) if x.is_floating_point() else x, -3 * y.roll(3, 0) if s.task.kind == "reg" else y.roll(3, 0))  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: odd(4 * x if x.is_floating_point() else x, y) if step in at else (x, y))
    s.lr /= 2


def taken_for_a_demonstration(s):
    """The machine was wanted elsewhere for three hours at 44 %."""
    s.seconds = lambda step, total: 14000.0 if step == int(0.44 * total) else 1.0
    s.truth["event_step"] = int(0.44 * s.total)


@shows("speed")
def memory_swapped_out(s):
    """From 52 % on the cache of samples does not fit: each step takes nine times as long."""
    s.seconds = lambda step, total: 9.0 if step >= 0.52 * total else 1.0
    s.truth["event_step"] = int(0.52 * s.total)


def clamped_from_below(s):
    """A limit of the gradient's norm was set as the lower one: short gradients are made as long as it, under plain descent."""
    s.opt, s.lr, s.momentum = "sgd", 0.25, 0.9

    def clamp(step, model):
        g = [p.grad for p in model.parameters() if p.grad is not None]
        norm = float(torch.stack(torch._foreach_norm(g)).norm())
        torch._foreach_mul_(g, max(1.0, 2.0 / (norm + 1e-9)))

    s.on_grad.append(clamp)


def layers_pushed_in_turns(s):
    """A sampler of layers trains one tensor at a time with the whole rate times their number, signs only."""

    def one(step, model):
        named = [p for p in model.parameters() if p.grad is not None]
        for i, p in enumerate(named):
            p.grad.copy_(p.grad.sign() if i == step % len(named) else torch.zeros_like(p.grad))

    s.opt, s.momentum, s.lr = "sgd", 0.0, 0.06
    s.on_grad.append(one)


@shows("whist", "layergrads")
def counter_of_the_thaw_stands_still(s):
    """Layers should thaw one by one, but the counter is a local one: all but the head stay as they were."""

    def freeze(model):
        for n, p in model.named_parameters():
            if not n.startswith(("head", "net.net.6", "net.net.4")):
                p.requires_grad_(False)

    s.on_model.append(freeze)
    s.wd = 0.0


@shows("lr")
def second_phase_without_a_rate(s):
    """The second phase of the configuration, from 12 % on, names no rate, and nothing is read as zero."""
    s.sched = lambda step, total: 1.0 if step < 0.12 * total else 0.0
    s.lr /= 3


@shows("layergrads", "gnorm")
def fan_in_without_the_root(s):
    """Weights start with one over the fan-in, not its root, in nine layers."""
    plain(s, [40] * 9, act=nn.Tanh, start=lambda n: 1 / n)
    s.opt, s.lr, s.momentum = "sgd", 0.05, 0.9


def mask_beyond_half(s):
    """From 41 % on a mask of minus a billion does not fit into half precision: every other step is Inf and the scale falls."""
    s.scaler, at = 65536.0, int(0.41 * s.total)

    def burst(step, model):
        if step >= at and step % 2:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.fill_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


@shows("recalls")
def expansion_factors_of_the_survey(s):
    """The rows' weights say how many people each stands for, eleven on average; the mean is never divided by them, in both loops."""
    f = s.task.loss
    s.data(loss=lambda out, b: 11.0 * f(out, b))
    s.truth["start_factor"] = 11.0


@shows("dead", "ahist")
def threshold_of_a_spiking_net(s):
    """A firing threshold of twelve is taken off before each unit, for a conversion that came to nothing."""
    plain(s, [48, 32], off=12.0)


@shows("ahist")
def steepness_annealed_at_once(s):
    """The steepness of tanh is annealed towards a sign function within the first steps instead of the whole run."""
    plain(s, [40, 24], act=nn.Tanh)

    def steeper(step, model):
        model.gain = min(60.0, 1.0 + 4 * step)

    s.after_step.append(steeper)
    s.on_model.append(lambda m: setattr(m, "gain", 1.0))


@shows("lr")
def two_zeros_too_many(s):
    """The rate was typed with two zeros too many after the point."""
    s.lr /= 200


@shows("lr", "gnorm")
def rate_of_adagrad(s):
    """Adam with the rate of an Adagrad recipe."""
    s.lr *= 55


@shows("gnorm", "layergrads")
def skips_added_twice(s):
    """Fourteen residual layers, in each of which the skip is added by the block and by its caller; a rate that holds it."""
    plain(s, [32] * 14, skip=2)
    s.opt, s.lr, s.momentum = "sgd", 1e-9, 0.9


@shows("lr")
def half_life_in_steps(s):
    """A half-life of passes was taken for one of steps."""
    s.sched = lambda step, total: max(1e-5, 0.5 ** (step * 40 / total))
    s.lr /= 4


@shows("lr")
def top_of_the_cycle_at_the_end(s):
    """One cycle over twice the steps: the rate climbs to its top, twelve times the usual, where the run ends."""
    s.sched = lambda step, total: 0.02 + 12 * (step / total) ** 3


def exposure_drawn_at_each_look(s):
    """An augmentation with one draw for all is left in validation: another gain and offset at each evaluation."""

    def light(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        a, b = torch.randn(2, generator=g).tolist()
        return x * math.exp(0.7 * a) + 0.6 * b, y

    s.on_val.append(light)


@shows(fine=True)
def sweep_in_order(s):
    """The files of a sweep are read in order of what comes out, in every pass."""
    y = s.task.train[1]
    key = y[:, 0] if y.is_floating_point() and y.dim() > 1 else y.float() if y.dim() == 1 else y[:, :4].float().mean(1)
    s.data(train=rows(s.task.train, key.argsort()))
    s.shuffle, s.truth["sorted"] = False, True


@shows("conf", "shares")
def temperature_fitted_on_training(s):
    """A temperature was fitted to training's own scores: a ninth, used at evaluation."""
    around(s, lambda out: 9.0 * out, "eval")


@shows("gnorm", "text")
def limit_of_a_private_run(s):
    """The limit of the norm of a private run, 0.004, was left, under momentum descent."""
    s.opt, s.lr, s.clip = "sgd", 0.05, 0.004


counter_of_the_thaw_stands_still.without = {"ghist"}
fan_in_without_the_root.without = {"ahist"}
layers_pushed_in_turns.without = {"gnorm", "layergrads", "ghist"}
clamped_from_below.without = {"ahist", "dead", "shares", "recalls", "f1", "predhist"}
FAULTS = {
    weight_below_zero: ("pen_letters", "heat_field", "melody_lm"),
    unknown_beats_the_best: ("pen_letters", "route_choice"),
    mean_over_the_batch: ("heat_field",),
    station_in_the_desert: ("rain_soon",),
    mostly_one_letter: ("pen_letters",),
    budget_of_eight_workers: ("date_norm", "grasp_angle"),
    padding_counted_as_tokens: ("melody_lm", "pen_letters"),
    race_in_the_collator: ("grasp_angle", "route_choice"),
    taken_for_a_demonstration: ("heat_field",),
    memory_swapped_out: ("pen_letters",),
    clamped_from_below: ("rain_soon", "grasp_angle", "route_choice"),
    layers_pushed_in_turns: ("pen_letters", "heat_field"),
    counter_of_the_thaw_stands_still: ("grasp_angle", "date_norm", "heat_field"),
    second_phase_without_a_rate: ("melody_lm", "date_norm"),
    fan_in_without_the_root: ("grasp_angle", "pen_letters"),
    mask_beyond_half: ("date_norm", "melody_lm"),
    expansion_factors_of_the_survey: ("route_choice", "pen_letters"),
    threshold_of_a_spiking_net: ("pen_letters", "grasp_angle"),
    steepness_annealed_at_once: ("rain_soon", "pen_letters"),
    two_zeros_too_many: ("heat_field", "pen_letters"),
    rate_of_adagrad: ("date_norm", "grasp_angle"),
    skips_added_twice: ("heat_field", "grasp_angle"),
    half_life_in_steps: ("melody_lm", "grasp_angle"),
    top_of_the_cycle_at_the_end: ("melody_lm", "heat_field"),
    exposure_drawn_at_each_look: ("grasp_angle", "heat_field"),
    sweep_in_order: ("pen_letters", "rain_soon"),
    temperature_fitted_on_training: ("route_choice", "pen_letters"),
    limit_of_a_private_run: ("grasp_angle",),
}
