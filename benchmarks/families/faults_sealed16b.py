"""Mechanisms of the split `sealed16`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed10 import each, grads
from families.faults_sealed15 import drawn
from families.faults_sealed16 import descent, flat
from families.setups import shows
from families.tasks_sealed16 import Basin

HIDDEN = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}


class Squash(nn.Module):
    """The length of what comes in, squared, over one more than it, along its direction."""

    def forward(self, x):
        n = (x**2).sum(-1, keepdim=True)
        return n / (1 + n) * x / (n + 1e-9).sqrt()


def passes_of_the_tutorial(s):
    """The number of passes and the rate are those of a tutorial, whose net was pretrained."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 8


def preempted_and_not_queued_again(s):
    """The job was preempted after half of its passes and not queued again; its rate was made for all of them."""
    s.lr /= 9
    s.truth["killed_at"] = int(0.5 * s.total)


def time_spent_on_looks(s):
    """The limit of hours was spent on looks at validation: half of the passes were done, at a rate for a long run."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 6


def steps_relative_to_small_weights(s):
    """Steps are a share of the weights' size, which begins near nought: a thousandth, and growing slowly."""
    s.lr /= 10


@shows(fine=True)
def counter_wraps_around(s):
    """In five places the counter of a meter wraps around between two readings, and a batch is huge."""
    g = np.random.default_rng(s.seed)
    at = set((25 * g.choice(np.arange(4, s.total // 25), 5, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (4 * x.flip(0), -2.5 * y) if step in at and y.is_floating_point() else (x, y))
    s.lr /= 3


@shows(fine=True)
def layer_of_last_week(s):
    """In four places one layer is read back from a file of last week, and training mends it."""
    at, old = [int(q * s.total) for q in (0.21, 0.4, 0.59, 0.78)], []
    s.on_model.append(lambda m: old.append([p.detach().clone() for p in m.parameters() if p.dim() > 1]) or None)

    def back(step, model):
        if step in at:
            for p, w in list(zip((p for p in model.parameters() if p.dim() > 1), old[0], strict=True))[-1:]:
                p.data.copy_(9.0 * w)

    s.after_step.append(back)
    s.lr *= 1.5


@shows(fine=True)
def answers_of_a_debugger(s):
    """In five places a batch has the answers of a debugger's fixture, all of one kind, and its inputs are scaled for a picture."""
    g = np.random.default_rng(s.seed + 1)
    at = set((20 * g.choice(np.arange(4, s.total // 20), 5, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (9 * x if x.is_floating_point() else x.flip(1), y.roll(1) * 0 + 4) if step in at else (x, y))
    s.lr /= 3


def waits_for_a_password(s):
    """At 46 % the copy of a checkpoint asks for a password, and someone types it six hours after."""
    s.seconds = lambda step, total: 26000.0 if step == int(0.46 * total) else 1.0
    s.truth["event_step"] = int(0.46 * s.total)


@shows("speed")
def saves_power_from_the_evening_on(s):
    """From 54 % on the machine saves power: steps take five times as long."""
    s.seconds = lambda step, total: 5.0 if step >= 0.54 * total else 1.0
    s.truth["event_step"] = int(0.54 * s.total)


def trust_ratio_without_a_lid(s):
    """Steps are scaled by the ratio of the sizes of weights and slopes, without a lid: from 40 % on they grow and grow."""
    before = []
    s.on_grad.append(lambda step, m: before.clear() or before.extend(p.detach().clone() for p in m.parameters()))

    def longer(step, model):
        k = math.exp(11 * max(0.0, step / s.total - 0.4)) - 1
        for p, w in zip(model.parameters(), before, strict=True):
            p.data.add_(k * (p.data - w))

    s.after_step.append(longer)
    s.lr *= 1.5


def rate_by_the_square_of_the_pass(s):
    """The rate, which is not logged, grows with a power of the pass where it should fall with it."""
    s.sched = lambda step, total: 0.5 + 400 * max(0.0, step / total - 0.3) ** 2.5


def units_stored_in_another_order(s):
    """From 42 % on each save stores the units of a layer in another order than those of the next one; the rate is low by then."""
    g = drawn(s)

    def mixed(step, model):
        if step > 0.42 * s.total and step % max(2, s.total // 36) == 0:
            w = [p for p in model.parameters() if p.dim() > 1][-1]
            i = torch.randperm(w.shape[1], generator=g)[: max(3, w.shape[1] // 5)]
            w.data[:, i] = w.data[:, i.roll(1)]

    s.after_step.append(mixed)
    s.sched = lambda step, total: 1.0 if step < 0.42 * total else 0.01


def decoupled_pull_to_a_random_peer(s):
    """From 45 % on weights are mixed a little with those of a peer that began elsewhere, more with each pass."""
    peer = []
    s.on_model.append(
        lambda m: peer.extend(p.detach().std() * torch.randn(p.shape, generator=drawn(s)) * 4 for p in m.parameters()) or None
    )

    def mix(step, model):
        q = step / s.total - 0.45
        for p, w in zip(model.parameters(), peer if q > 0 else (), strict=q > 0):
            p.data.lerp_(torch.nan_to_num(w), 0.25 * q)

    s.after_step.append(mix)


@shows(fine=True)
def controller_of_the_loss(s):
    """A controller lengthens the rate while the loss falls and cuts it to a tenth when it has risen well: it goes round and round."""
    now, k, low = [1.0], [1.0], [9.9]

    def look(step, loss, model):
        v = float(loss.detach())
        now[0] = v if step == 0 else 0.8 * now[0] + 0.2 * v
        low[0] = min(low[0], now[0])
        k[0] = 0.5 if now[0] > 1.6 * low[0] + 0.25 and k[0] > 30 else min(k[0] * 1.12, 120.0)
        low[0] = now[0] if k[0] == 0.5 else low[0]
        return loss

    s.on_loss.append(look)
    s.sched = lambda step, total: k[0]
    s.truth["hot"] = True


@shows(fine=True)
def preconditioner_seldom_refreshed(s):
    """A preconditioner is refreshed each thirty steps, and the first three after it are sixty times too long."""
    before = []
    s.on_grad.append(lambda step, m: before.clear() or before.extend(p.detach().clone() for p in m.parameters()))

    def long(step, model):
        if step % 30 < 3 and step > 30:
            for p, w in zip(model.parameters(), before, strict=True):
                p.data.add_(40.0 * (p.data - w))

    s.after_step.append(long)


@shows("whist", "layergrads")
def names_with_a_prefix(s):
    """Names of layers got a prefix when the model was wrapped, so that the optimiser finds those of the head only."""
    s.params = lambda m: list(m.parameters())[-2:]
    s.on_model.append(lambda m: [p.requires_grad_(False) for p in list(m.parameters())[:-2]] and None)
    s.wd = 0.0


@shows("whist")
def weights_kept_as_buffers(s):
    """All layers but the last were registered as buffers, which no optimiser sees."""
    s.params, s.wd = lambda m: list(m.parameters())[-2:], 0.0


@shows("lr")
def function_that_returns_a_truth(s):
    """The function of the rate returns whether the warm-up is on, true or false, and not a number for what follows it."""
    s.sched, s.lr = lambda step, total: float(step < 0.06 * total), s.lr / 2


@shows("lr")
def smaller_of_two_schedules(s):
    """The rate is the smaller one of two schedules, and one of them was over before the run."""
    s.sched = lambda step, total: min(1.0, 0.0)


@shows("layergrads", "gnorm")
def what_the_tangent_takes_off(s):
    """Units give what a tangent takes off a number, nearly nothing of a small one, six layers deep."""
    flat(s, [36] * 6, act=nn.Tanhshrink)
    descent(s)


@shows("layergrads", "gnorm")
def capsules_in_a_row(s):
    """Five layers of capsules squash their inputs, small ones to their squares."""
    flat(s, [32] * 5, act=Squash, start=lambda n: 0.05)
    descent(s, 0.3)


@shows("dead", "ahist")
def zero_point_of_a_quantised_net(s):
    """The zero point of a net in eight bits is taken off all units of a net in floats."""
    flat(s, [48, 32], act=nn.ReLU, off=12.0)


@shows("dead", "ahist")
def decibels_below_full_scale(s):
    """Inputs are decibels below full scale, and layers begin with the weights of a factorisation, none of which is below nought."""
    flat(s, [48, 24], act=nn.ReLU)
    s.on_model.append(lambda m: [f.weight.data.abs_() for f in m.layers] and None)
    each(s, lambda x, y: (4 * x - 60.0, y))
    s.lr /= 3


@shows("ahist")
def seconds_since_1970(s):
    """The time of a row in seconds since 1970, scaled by a thousandth only, is added to its figures before tanh units."""
    flat(s, [48, 32], act=nn.Tanh)
    g = drawn(s)
    each(s, lambda x, y: (x + 300 + 40 * torch.randn((len(x), *[1] * (x.dim() - 1)), generator=g), y))


@shows("ahist")
def tanh_weights_of_an_image_net(s):
    """Tanh units begin with weights that were given in two hundred and fifty-fifths."""
    flat(s, [48, 32], act=nn.Tanh)
    s.on_model.append(lambda m: [f.weight.data.mul_(60) for f in m.layers] and None)
    each(s, lambda x, y: (4 * x + 3, y))


@shows("lr")
def divided_by_the_rows(s):
    """The rate was divided by the rows of training twice, once in the loss's stead."""
    s.lr /= len(s.task.train[0]) * 4


@shows("lr")
def exponent_of_a_sweep(s):
    """The sweep gave an exponent, and it was used as one of ten once more: 3e-9."""
    s.lr = 3e-9


@shows("lr", "gnorm")
def rate_of_adadelta(s):
    """The optimiser was changed from one whose rate is one to Adam, and the one stayed."""
    s.lr = 1.0


@shows("lr")
def drawn_between_logs(s):
    """A search draws the rate between logarithms and forgets their sign: 0.35."""
    s.lr = 0.35


@shows("lr")
def schedule_stepped_for_each_row(s):
    """The schedule takes a step for each row, so that the rate is at its floor before the first pass is over."""
    s.sched = lambda step, total: max(1e-4, 0.85 ** (step * s.batch / 40))


@shows("lr")
def start_and_end_exchanged(s):
    """Start and end of the line are exchanged: the rate begins with next to nothing and ends at its top."""
    s.sched, s.epochs = lambda step, total: 0.003 + 0.6 * (step / total) ** 5, max(8, int(0.7 * s.epochs))


@shows("gnorm", "text")
def limit_in_units_of_steps(s):
    """The limit was given for the length of a step and is used for that of slopes, 0.003; plain descent."""
    descent(s)
    s.clip = 0.003


@shows("wnorm")
def weight_norm_folded_each_pass(s):
    """At each pass the norm of weights is folded into them and set to what it was: both grow."""

    def grow(step, model):
        if step > 0.1 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 3.0 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "layergrads")
def identity_with_a_gain(s):
    """A recurrent layer of rectifiers begins with the identity, times one and a half."""
    s.data(build=lambda: Basin(width=18, start=1.5))
    s.lr /= 10


@shows("gnorm", "layergrads")
def table_for_four_inputs(s):
    """Weights of seven layers get a spread that a table gives for layers with four inputs."""
    flat(s, [40] * 7, start=lambda n: 0.7)
    s.lr /= 4


@shows("scale")
def long_window_in_half(s):
    """Mixed precision: from 35 % on sums over a longer window overflow in two steps of five."""
    s.scaler, at = 2.0**14, int(0.35 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 5 in (1, 3) else None)
    s.truth["event_step"] = at


@shows("scale")
def watchdog_halves_the_scale(s):
    """Mixed precision: from 28 % on a fused update reports an overflow in one step of four."""
    s.scaler, at = 2.0**17, int(0.28 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 4 == 2 else None)
    s.truth["event_step"] = at


for _f in (trust_ratio_without_a_lid, rate_by_the_square_of_the_pass, units_stored_in_another_order):
    _f.without = HIDDEN
decoupled_pull_to_a_random_peer.without = HIDDEN
for _f in (controller_of_the_loss, preconditioner_seldom_refreshed):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    passes_of_the_tutorial: ("drum_lm",),
    preempted_and_not_queued_again: ("battery",),
    time_spent_on_looks: ("tickets5",),
    steps_relative_to_small_weights: ("prints4",),
    counter_wraps_around: ("battery", "runoff"),
    layer_of_last_week: ("chords5",),
    answers_of_a_debugger: ("chords5",),
    waits_for_a_password: ("helix3",),
    saves_power_from_the_evening_on: ("demand_q",),
    trust_ratio_without_a_lid: ("mushrooms",),
    rate_by_the_square_of_the_pass: ("drum_lm", "chords5"),
    units_stored_in_another_order: ("tickets5",),
    decoupled_pull_to_a_random_peer: ("chords5",),
    controller_of_the_loss: ("demand_q", "tickets5"),
    preconditioner_seldom_refreshed: ("tickets5", "chords5"),
    names_with_a_prefix: ("prints4",),
    weights_kept_as_buffers: ("chords5", "tickets5"),
    function_that_returns_a_truth: ("tickets5",),
    smaller_of_two_schedules: ("demand_q",),
    what_the_tangent_takes_off: ("chords5",),
    capsules_in_a_row: ("prints4",),
    zero_point_of_a_quantised_net: ("battery",),
    decibels_below_full_scale: ("chords5",),
    seconds_since_1970: ("demand_q",),
    tanh_weights_of_an_image_net: ("battery",),
    divided_by_the_rows: ("mushrooms",),
    exponent_of_a_sweep: ("helix3",),
    rate_of_adadelta: ("prints4",),
    drawn_between_logs: ("runoff", "demand_q"),
    schedule_stepped_for_each_row: ("tickets5",),
    start_and_end_exchanged: ("drum_lm",),
    limit_in_units_of_steps: ("chords5",),
    weight_norm_folded_each_pass: ("tickets5", "demand_q"),
    identity_with_a_gain: ("runoff",),
    table_for_four_inputs: ("demand_q",),
    long_window_in_half: ("drum_lm",),
    watchdog_halves_the_scale: ("battery",),
}
