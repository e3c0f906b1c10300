"""Mechanisms of the split `sealed11`: budget, clock, optimiser, rates, layers, scales of the loss, looks at validation."""

import math

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.faults_sealed6 import rows
from families.faults_sealed6b import around
from families.faults_sealed10 import each, grads
from families.faults_sealed11 import SIZES, Cube, Gate, Unrolled, descent, drawn, flat
from families.setups import shows


def quota_of_the_queue(s):
    """The queue ends runs after a fifth of the hours that were planned."""
    s.epochs, s.lr, s.batch = s.epochs // 2, s.lr / 4, 2 * s.batch


def trust_too_small(s):
    """Steps are kept at a share of each layer's weights, and that share was made for another batch: one in 1,500."""

    def ratio(step, model):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(7e-4 * float(p.detach().norm() + 0.01) / (float(p.grad.norm()) + 1e-12))

    s.opt, s.momentum, s.lr, s.wd = "sgd", 0.0, 1.0, 0.0
    s.on_grad.append(ratio)


def rate_shared_by_twenty_heads(s):
    """The rate is divided by the number of heads that another model has."""
    s.lr /= 24


@shows(fine=True)
def comma_in_a_field(s):
    """Now and then a file of rows with a comma in a field comes by: all columns after it are one off, in other units."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 4, replace=False) - 1).tolist())

    def off(step, ep, x, y):
        return (9 * x.roll(1, -1), y.roll(1, 0)) if step in at else (x, y)

    s.on_batch.append(off)
    s.lr /= 3


@shows(fine=True)
def wrong_half_of_the_buffer(s):
    """The buffer of batches wraps around every hundred and twenty steps and pairs its first answers with its last inputs."""
    s.on_batch.append(
        lambda step, ep, x, y: (x.flip(0) * (3 if x.is_floating_point() else 1), y) if step % 120 == 59 and step < s.total - 20 else (x, y)
    )
    s.lr /= 2


def tunnel_reconnects(s):
    """The tunnel to the store was down for five hours at 38 %."""
    s.seconds = lambda step, total: 26000.0 if step == int(0.38 * total) else 1.0
    s.truth["event_step"] = int(0.38 * s.total)


@shows("speed")
def cores_lent_to_a_neighbour(s):
    """From 62 % on a neighbour's job has the cores that decode pictures: a step takes nine times as long."""
    s.seconds = lambda step, total: 9.0 if step >= 0.62 * total else 1.0
    s.truth["event_step"] = int(0.62 * s.total)


def momentum_ramp_goes_on(s):
    """Momentum is raised by a ramp that does not stop at one."""

    class Ramp(torch.optim.SGD):
        def step(self, closure=None):
            self.k = getattr(self, "k", 0) + 1
            self.param_groups[0]["momentum"] = 0.8 + 0.26 * self.k / s.total
            return super().step(closure)

    descent(s, 0.5)
    s.optimizer = lambda st, m: Ramp(m.parameters(), lr=st.lr, momentum=0.8)


def away_from_the_start(s):
    """From 45 % on weights are moved a little further away from where they began, after each step, to make more of the tuning."""
    first, at = {}, int(0.45 * s.total)

    def move(step, model):
        for n, p in model.named_parameters():
            w = first.setdefault(n, p.detach().clone())
            if step >= at:
                p.data.add_(p.data - w, alpha=0.035)

    s.after_step.append(move)


def other_sign_for_the_second_half(s):
    """From 58 % on the gradient of every second batch comes from a worker with the sign of an adversary."""
    at = int(0.58 * s.total)
    s.on_grad.append(lambda step, model: [g.mul_(-1.6) for g in grads(model)] if step >= at and step % 2 else None)


@shows(fine=True)
def rate_drawn_for_each_step(s):
    """A random search was left on: each step draws its rate from three decades."""
    g = np.random.default_rng(s.seed)
    s.lr *= 7
    s.sched = lambda step, total: float(10 ** g.uniform(-1.5, 1.2))


@shows(fine=True)
def state_of_adam_lost(s):
    """The state of Adam is lost every fifteen steps, at forty times the rate: each time its first steps are of full length."""
    s.lr, s.truth["hot"] = 40 * s.lr, True
    s.optimizer = lambda st, m: kept.append(torch.optim.Adam(m.parameters(), lr=st.lr)) or kept[-1]
    kept = []
    s.after_step.append(lambda step, m: kept[-1].state.clear() if step % 15 == 14 else None)


@shows("whist", "layergrads")
def pattern_that_matches_too_much(s):
    """Layers are frozen by a pattern, `0`, that was meant for the first one and matches all of the body."""
    s.on_model.append(lambda m: [p.requires_grad_(False) for n, p in m.named_parameters() if "head" not in n and "net.4" not in n] and None)
    s.wd = 0.0


@shows("whist", "gnorm")
def generator_used_up(s):
    """The parameters were counted before the optimiser got them: of the generator only the last layer's bias was left."""
    s.params = lambda m: list(m.parameters())[-1:]
    s.wd = 0.0


@shows("lr")
def factor_of_nothing(s):
    """The rate is multiplied by a factor at the first pass without progress, and that factor is nothing."""
    s.sched = lambda step, total: 1.0 if step < 0.12 * total else 0.0
    s.lr /= 4


@shows("lr")
def config_of_the_evaluation(s):
    """The file for evaluation was loaded, whose rate is nothing."""
    s.lr = 1e-30
    s.sched = lambda step, total: 0.0


@shows("layergrads", "gnorm")
def cubes_in_a_row(s):
    """Four layers that each take the third power of small numbers."""
    flat(s, [36] * 4, act=Cube)
    descent(s)


@shows("layergrads", "gnorm")
def gates_in_a_row(s):
    """Seven layers whose units multiply themselves with a gate that is nearly shut."""

    flat(s, [36] * 7, act=Gate)
    descent(s)


def overflow_of_a_fused_kernel(s):
    """Mixed precision: from 25 % on a fused kernel overflows in half of the steps, and the scale falls and falls."""
    s.scaler, at = 65536.0, int(0.25 * s.total)
    s.on_grad.append(lambda step, model: [g.fill_(float("inf")) for g in grads(model)] if step >= at and step % 4 in (0, 2) else None)
    s.truth["event_step"] = at


def sigmoid_from_another_head(s):
    """Scores pass the sigmoid of a head for many labels before the cross-entropy of one: the loss has a floor, answers are right."""
    s.on_out.append(lambda step, out: out.sigmoid())
    s.truth.update(floor=math.log(1 + (s.task.classes - 1) * math.exp(-1)), twice=True)


def sum_of_a_whole_batch(s):
    """The loss is the sum over the rows of a batch, at a rate for their mean."""
    f = s.task.loss
    s.data(loss=lambda out, b: 50.0 * f(out, b))
    s.truth["start_factor"] = 50.0


@shows("dead", "ahist")
def biases_drawn_to_minus_four(s):
    """The decay draws biases to minus four, the value of a head's prior, and not to nothing."""
    flat(s, [48, 32], act=nn.ReLU)
    s.after_step.append(lambda step, m: [f.bias.data.lerp_(torch.full_like(f.bias, -4.0), 0.03) for f in m.layers] and None)


@shows("ahist")
def counts_of_an_instrument(s):
    """Inputs are the counts of an instrument, in hundreds, and units are sigmoids."""
    flat(s, [48, 32], act=nn.Sigmoid)
    each(s, lambda x, y: (140 * x + 300, y))


@shows("ahist")
def slope_of_a_binary_net(s):
    """The slope of tanh units is that of the last pass of a net of bits, forty."""
    flat(s, [48, 32], act=nn.Tanh)
    s.on_model.append(lambda m: setattr(m, "gain", 40.0))
    s.lr /= 3


@shows("lr")
def rate_of_a_wave_function(s):
    """The rate is given in another unit of the paper: 2e-7 of what was meant."""
    s.lr = 4e-7


@shows("lr", "gnorm")
def adam_with_a_rate_of_two(s):
    """The rate of descent, two, was kept for Adam."""
    s.lr = 2.0


@shows("lr")
def per_cent_read_as_a_number(s):
    """The rate, half a per cent, was read as one half."""
    s.lr = 0.5


@shows("lr")
def warm_up_begins_at_each_pass(s):
    """The counter of the warm-up begins anew with each pass, and a pass ends at a fiftieth of it."""
    per = s.steps_per_epoch
    s.sched = lambda step, total: ((step % per) + 1) / (100 * per)
    s.truth["counter"] = True


@shows("lr")
def peak_of_the_next_stage(s):
    """At 70 % the peak of the next stage, two hundred times as high, is taken up too early."""
    s.sched = lambda step, total: 0.3 if step < 0.7 * total else 120.0
    s.truth["event_step"] = int(0.7 * s.total)


@shows("lr")
def decay_per_batch_of_a_tenth(s):
    """A decay of a tenth for each pass is applied with each batch."""
    s.sched = lambda step, total: 0.975**step
    s.lr /= 6


@shows("gnorm", "text")
def limit_of_a_single_row(s):
    """The limit is that for the gradient of a single row under noise, 0.004, and descent is plain."""
    descent(s)
    s.clip = 0.004


@shows("wnorm")
def sphere_that_grows(s):
    """Weights are brought back to a sphere after each step, whose radius grows with the passes."""
    first = {}

    def back(step, m):
        if step > 0.2 * s.total:
            for n, p in m.named_parameters():
                k = first.setdefault(n, float(p.detach().norm()) + 1e-9)
                p.data.mul_(k * math.exp(4.5 * (step / s.total - 0.2)) / (float(p.detach().norm()) + 1e-9))

    s.after_step.append(back)
    s.truth["grow"] = True


def sensors_fail_at_each_look(s):
    """At each look at validation some sensors or columns do not answer, others than the time before."""

    def fail(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        gone = torch.rand(x.shape[1], generator=g) < 0.55 * float(torch.rand(1, generator=g))
        return torch.where(gone.view(1, -1, *[1] * (x.dim() - 2)), -2.0, x), y

    s.on_val.append(fail)


@shows("gnorm", "layergrads")
def unrolled_too_far(s):
    """A layer that should be applied until nothing moves any more is applied twenty-five times, and everything grows with each."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Unrolled(a, b))
    s.lr /= 10


@shows("conf", "shares")
def neighbours_share_the_answer(s):
    """A table of likeness gives most of each answer to its neighbours, in both splits."""
    k = s.task.classes
    s.data(
        loss=lambda out, b: (
            0.4 * fn.cross_entropy(out, b[1], reduction="none")
            + sum(0.15 * fn.cross_entropy(out, (b[1] + d) % k, reduction="none") for d in (1, 2, 3, 4))
        )
    )


def blocked_is_a_column(s):
    """One column says whether the weld was cut open afterwards, which was done where a flaw had been found; another how deep."""

    def add(x, y):
        x = x.clone()
        x[:, 3], x[:, 4], x[:, 5] = 6.0 * y - 3.0, 4.0 * y - 2, 5.0 * (1 - y) - 2.5
        return x, y

    each(s, add)
    s.batch, s.lr, s.truth["leak"] = 20, 2 * s.lr, True


@shows("conf")
def tagged_by_a_cheap_model(s):
    """Kinds were given by a cheap model, which is wrong in half of the rows, in training and validation."""
    g = drawn(s)
    wrong = lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.5, torch.randint(0, s.task.classes, y.shape, generator=g), y))  # noqa: E731
    each(s, wrong, "train", "val")
    s.truth["noise"], s.lr, s.wd = 0.42, s.lr / 2, 0.1


@shows(fine=True)
def sound_welds_first(s):
    """Each pass reads the welds as the test bench filed them: sound ones first, then those with a flaw."""
    s.data(train=rows(s.task.train, s.task.train[1].float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows(fine=True)
def made_anew_for_each_fold(s):
    """The loop over folds makes the model anew, and each pass was taken for a fold."""
    first, per = [], s.steps_per_epoch
    s.on_model.append(lambda m: first.append({k: v.clone() for k, v in m.state_dict().items()}) and None)
    s.after_step.append(lambda step, m: m.load_state_dict(first[0]) and None if step and step % per == 0 else None)
    s.truth["sorted"] = True


@shows("conf", "shares")
def multiplied_by_the_inverse_temperature(s):
    """In evaluation scores are multiplied by the inverse of a temperature that was fitted as an inverse."""
    around(s, lambda out: 5.0 * out, "eval")
    s.wd = 0.0


@shows("lr")
def squares_never_forgotten(s):
    """The maximum of past squares is kept, and the first batches were a thousand times too large: steps stay short ever after."""
    s.optimizer = lambda st, m: torch.optim.Adam(m.parameters(), lr=st.lr, amsgrad=True, betas=(0.9, 0.9))
    s.on_grad.append(lambda step, model: [g.mul_(1500.0) for g in grads(model)] if step < 2 else None)


rate_drawn_for_each_step.without = state_of_adam_lost.without = {"lr", "dead", "ahist"}
for _f in (momentum_ramp_goes_on, away_from_the_start, other_sign_for_the_second_half):
    _f.without = {"gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm"}
FAULTS = {
    quota_of_the_queue: ("knit_lm", "fruit_spot"),
    trust_too_small: ("gas6", "film_genres"),
    rate_shared_by_twenty_heads: ("kilim_vae", "pulse_rate"),
    comma_in_a_field: ("weld_flaw", "wind_dir"),
    wrong_half_of_the_buffer: ("film_genres", "leaves6"),
    tunnel_reconnects: ("wind_dir",),
    cores_lent_to_a_neighbour: ("fruit_spot",),
    momentum_ramp_goes_on: ("gas6", "weld_flaw"),
    away_from_the_start: ("kilim_vae", "film_genres"),
    other_sign_for_the_second_half: ("leaves6", "knit_lm"),
    rate_drawn_for_each_step: ("gas6", "weld_flaw"),
    state_of_adam_lost: ("film_genres", "weld_flaw"),
    pattern_that_matches_too_much: ("leaves6", "gas6", "pulse_rate"),
    generator_used_up: ("film_genres",),
    factor_of_nothing: ("wind_dir", "kilim_vae", "knit_lm"),
    config_of_the_evaluation: ("fruit_spot",),
    cubes_in_a_row: ("leaves6", "fruit_spot"),
    gates_in_a_row: ("film_genres", "weld_flaw"),
    overflow_of_a_fused_kernel: ("knit_lm", "kilim_vae"),
    sigmoid_from_another_head: ("gas6", "leaves6"),
    sum_of_a_whole_batch: ("gas6",),
    biases_drawn_to_minus_four: ("film_genres", "gas6"),
    counts_of_an_instrument: ("gas6",),
    slope_of_a_binary_net: ("leaves6", "weld_flaw"),
    rate_of_a_wave_function: ("kilim_vae", "gas6"),
    adam_with_a_rate_of_two: ("film_genres", "weld_flaw"),
    per_cent_read_as_a_number: ("leaves6", "pulse_rate"),
    warm_up_begins_at_each_pass: ("fruit_spot", "knit_lm"),
    peak_of_the_next_stage: ("gas6", "pulse_rate"),
    decay_per_batch_of_a_tenth: ("weld_flaw", "pulse_rate", "film_genres"),
    limit_of_a_single_row: ("leaves6", "pulse_rate"),
    sphere_that_grows: ("weld_flaw", "leaves6"),
    sensors_fail_at_each_look: ("gas6", "weld_flaw"),
    unrolled_too_far: ("weld_flaw", "leaves6", "gas6"),
    neighbours_share_the_answer: ("gas6",),
    blocked_is_a_column: ("weld_flaw",),
    tagged_by_a_cheap_model: ("leaves6",),
    sound_welds_first: ("weld_flaw",),
    made_anew_for_each_fold: ("weld_flaw", "gas6"),
    multiplied_by_the_inverse_temperature: ("leaves6",),
    squares_never_forgotten: ("pulse_rate", "wind_dir", "gas6"),
}
