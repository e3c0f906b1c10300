"""Mechanisms of the split `sealed18`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed10 import each, grads
from families.faults_sealed18 import descent, flat
from families.nets18 import Writer
from families.setups import shows

HIDDEN = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}


def places(s, n, seed=0):
    """Some steps of the run, sixty or thirty apart at least."""
    g = np.random.default_rng(s.seed + seed)
    k = 60 if s.total // 60 - 2 >= n else 30
    return set((k * g.choice(np.arange(2, s.total // k), n, replace=False) - 1).tolist())


def rate_for_a_summed_loss(s):
    """Plain descent whose rate was found for a sum over a batch; the loss is a mean."""
    descent(s, 1.4 / s.batch, 0.9)
    s.sched = lambda step, total: 1.0


def averages_swapped_in_and_left(s):
    """Averaged weights are swapped in for a look and never swapped back: after each step the weights are their average."""
    kept = []
    s.on_model.append(lambda m: kept.extend(p.detach().clone() for p in m.parameters()) or None)

    def swap(step, model):
        for p, w in zip(model.parameters(), kept, strict=True):
            w.lerp_(p.data, 0.04)
            p.data.copy_(w)

    s.after_step.append(swap)


def share_of_one_of_six_machines(s):
    """The list of machines names six, and one was started: it reads a sixth of each pass, at the rate of a long run."""
    n = len(s.task.train[0]) // 6
    s.data(train=tuple(q[:n] for q in s.task.train))
    s.lr, s.epochs = s.lr / 2.5, max(9, int(0.9 * s.epochs))


def night_tariff_only(s):
    """The job may run while power is cheap, and was ended in the morning after a third of its passes; its rate is low."""
    s.lr /= 6
    s.truth["killed_at"] = int(0.42 * s.total)


@shows(fine=True)
def answers_of_a_test_account(s):
    """In five places a batch holds the ratings of a test account, which gave the highest mark to all films and more."""
    at = places(s, 5)
    s.on_batch.append(lambda step, ep, x, y: (x, 0 * y + 5.5) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def scan_of_another_bed(s):
    """In four places a batch has masks of another bed of the scanner, turned upside down and filled."""
    at = places(s, 4, 1)
    s.on_batch.append(lambda step, ep, x, y: (1.5 * x, 1 - y) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def questions_in_another_alphabet(s):
    """In five places a batch was read with another alphabet, so that words stand for others, and its loss counts four times."""
    at = places(s, 5, 2)
    s.on_batch.append(lambda step, ep, x, y: ((x * 7 + 5) % 26, y.roll(1)) if step in at else (x, y))
    s.on_loss.append(lambda step, loss, model: 4.0 * loss if step in at else loss)
    s.lr /= 2


def machine_taken_back_by_its_owner(s):
    """At 41 % a machine that was rented cheaply is taken back, and another one is found nine hours later."""
    s.seconds = lambda step, total: 32400.0 if step == int(0.41 * total) else 1.0
    s.truth["event_step"] = int(0.41 * s.total)


@shows("speed")
def memory_that_leaks_into_the_swap(s):
    """Losses are kept with their graphs, and from 53 % on the machine swaps: steps take seven times as long."""
    s.seconds = lambda step, total: 7.0 if step >= 0.53 * total else 1.0
    s.truth["event_step"] = int(0.53 * s.total)


def pruned_by_a_line_to_nothing(s):
    """Small weights are set to nought, more of them along a line from 38 % on that was to end at a half and goes on."""

    def prune(step, model):
        k = 1.6 * (step / s.total - 0.38)
        for p in model.parameters():
            if k > 0 and p.dim() > 1:
                cut = torch.quantile(p.detach().abs().flatten(), min(0.995, k))
                p.data[p.detach().abs() < cut] = 0.0

    s.after_step.append(prune)


def curriculum_of_dropped_units(s):
    """The share of dropped units rises with the pass, from 35 % of the run on, and nobody gave it a lid."""

    def raised(step, ep, x, y):
        k = max(0.1, min(0.97, 0.1 + 1.7 * (step / s.total - 0.35)))
        for m in held:
            m.p = k
        return x, y

    held = []
    s.on_model.append(lambda m: held.extend(q for q in m.modules() if isinstance(q, nn.Dropout)) or None)
    s.on_batch.append(raised)


def range_that_grows(s):
    """A cyclical rate of the kind whose range decays by a factor each step; the factor is over one. It is not logged."""
    s.sched = lambda step, total: (0.6 + 0.4 * abs(step % 40 - 20) / 20) * math.exp(min(8.0, 9.5 * max(0.0, step / total - 0.3)))


def turned_slopes_gain_weight(s):
    """Slopes of a second head, from which the author of a row is to be hidden, are turned round; their weight grows from 40 % on."""
    seen, author = [None], [None]

    def watch(m):
        last = [q for q in m.modules() if isinstance(q, nn.Linear)][-1]
        last.register_forward_pre_hook(lambda mod, inputs: seen.__setitem__(0, inputs[0]))
        m.second = nn.Linear(last.in_features, 2)

    def turned(step, model):
        k = 12.0 * max(0.0, step / s.total - 0.4)
        return -k * nn.functional.cross_entropy(model.second(seen[0]), author[0])

    s.on_model.append(watch)
    s.on_batch.append(lambda step, ep, x, y: author.__setitem__(0, (x[:, -1] % 2).long()) or (x, y))
    s.on_penalty.append(turned)


@shows(fine=True)
def three_rows_for_a_batch_norm(s):
    """Memory allows three rows, and batch norms take their figures from these; the rate is that of large batches."""
    s.batch, s.lr, s.epochs = 3, 25 * s.lr, 7
    s.data(train=tuple(q[:500] for q in s.task.train))


@shows(fine=True)
def noise_for_privacy(s):
    """Noise is added to slopes for privacy, sixty times what the budget asks for, since it was scaled for a sum."""
    descent(s, 1.2, 0.5)
    s.on_grad.append(lambda step, m: [g.add_(5.2 / math.sqrt(g.numel()) * g.norm() * torch.randn_like(g)) for g in grads(m)][:0])
    s.epochs, s.truth["hot"] = max(8, int(0.7 * s.epochs)), True


@shows(fine=True)
def triangle_with_a_high_top(s):
    """A triangle of rates goes up and down every eighty steps, to a top from a test that ended too late; it is not logged."""
    k = {"abalone_age": 100.0, "questions6": 60.0}[s.task.name]
    s.sched = lambda step, total: 0.3 + k * (abs(step % 80 - 40) / 40) ** 2
    s.truth["hot"] = True


@shows("whist", "layergrads")
def segments_that_need_no_slope(s):
    """Layers are computed anew in segments to save memory, and inputs need no slope, so that segments have none either."""

    def cut(step, m):
        for p in list(m.parameters())[:-2]:
            p.grad = None

    s.on_grad.append(cut)
    s.wd = 0.0


@shows("whist")
def master_copies_never_written_back(s):
    """Steps are taken on copies in full precision, and those of all layers but the last two are never written back."""
    s.params, s.wd = lambda m: list(m.parameters())[-4:], 0.0


@shows("lr")
def default_of_five_passes(s):
    """The decay by a power lasts five passes if nothing is said, and nothing was: the rate is nought after them."""
    s.sched, s.lr = lambda step, total: max(0.0, 1 - step / (5 * s.steps_per_epoch)), s.lr / 6


@shows("lr")
def factor_of_a_milestone(s):
    """The factor at a milestone was set to nought, meaning no decay: the rate is nought from 17 % on."""
    s.sched, s.lr = lambda step, total: float(step < 0.17 * total), s.lr / 3


@shows("layergrads", "gnorm")
def fifteen_layers_by_default(s):
    """Fifteen layers with the start that the library gives if nothing is said, without norms or ways around."""
    flat(s, [24] * 15, act=nn.ReLU)
    descent(s)


class Cooled(nn.Module):
    """A tangent of a tenth."""

    def forward(self, x):
        return torch.tanh(0.12 * x)


@shows("layergrads", "gnorm")
def tangents_of_a_tenth(s):
    """A temperature of eight, which belongs to the scores, divides what goes into each of six tangents."""
    flat(s, [40] * 6, act=Cooled)
    descent(s)


@shows("dead", "ahist")
def prior_of_a_rare_kind_everywhere(s):
    """The start of the last layer for a kind that is one in millions was given to all layers."""
    flat(s, [48, 32], act=nn.ReLU)
    s.on_model.append(lambda m: [f.bias.data.fill_(-13.8) for f in m.layers] and None)


@shows("dead", "ahist")
def thresholds_that_only_rise(s):
    """Thresholds rise with what a unit says, to keep it rare, and never fall, as the term for that was left out."""
    flat(s, [48, 32], act=nn.ReLU)

    def rise(step, model):
        for f in model.layers:
            f.bias.data.sub_(9.0 / (60 + step))

    s.after_step.append(rise)


@shows("ahist")
def drawn_between_nought_and_one(s):
    """Weights are drawn between nought and one, and rows are moved above nought: sums are large, and tangents at their end."""
    flat(s, [64, 48], act=nn.Tanh)
    s.on_model.append(lambda m: [torch.nn.init.uniform_(f.weight, 0, 1) for f in m.layers] and None)
    each(s, lambda x, y: (x.abs() + 0.5, y))


@shows("ahist")
def steeper_tangents_each_pass(s):
    """For codes of bits the gain of tangents rises with each pass, and begins where it should have ended."""
    flat(s, [48, 32], act=nn.Tanh)
    m0 = []
    s.on_model.append(lambda m: m0.append(m) or None)
    s.on_batch.append(lambda step, ep, x, y: setattr(m0[0], "gain", 40.0 * (1 + ep)) or (x, y))


@shows("lr")
def fields_exchanged(s):
    """Rate and decay changed places in a form: the rate is two millionths, the decay three thousandths."""
    s.lr, s.wd = 2e-6, 0.003


@shows("lr")
def rate_of_a_large_language_model(s):
    """The rate for the last stage of a model of billions, three ten-millionths, for a small net that is new."""
    s.lr = 3e-7


@shows("lr", "gnorm")
def last_of_the_rates_tried(s):
    """A test of rates gave its last one, 0.8, and not the one that it proposes."""
    s.lr = 0.8


@shows("lr")
def multiplied_by_the_width(s):
    """A rule that divides rates by a layer's width was written as a product: a hundred times the rate."""
    s.lr *= 120


@shows("lr")
def cycle_stepped_by_passes(s):
    """The cycle of the rate was planned in steps and is moved by one each pass: it never gets beyond its foot."""
    s.sched = lambda step, total: 0.0016 + 0.04 * ((step + 1) / total) ** 4
    s.epochs = max(9, int(0.75 * s.epochs))


@shows("lr")
def half_life_of_nine_steps(s):
    """A half-life was given in passes and is counted in steps, nine: hardly any rate is left after the first pass."""
    s.sched = lambda step, total: max(3e-7, 0.5 ** (step / 9))


@shows("lr")
def settings_of_another_optimiser_restored(s):
    """At 60 % the state of another optimiser is restored with its rate, a hundred and fifty times what it was."""
    s.sched = lambda step, total: 0.5 if step < 0.6 * total else 90.0
    s.truth["event_step"] = int(0.6 * s.total)


class Cube(nn.Module):
    """The third power."""

    def forward(self, x):
        return x**3


@shows("gnorm", "layergrads")
def units_of_the_third_power(s):
    """Units give the third power, as in a parser of one layer, three layers deep and drawn wide."""
    flat(s, [24] * 3, act=Cube, start=lambda n: 1.1 / math.sqrt(n))
    s.lr /= 4


@shows("gnorm", "layergrads")
def gain_of_six(s):
    """The start has a gain of six, meant as the limit of a unit, six layers deep."""
    flat(s, [40] * 6, start=lambda n: 6 / math.sqrt(n))
    s.lr /= 2


@shows("gnorm")
def letters_drawn_wide(s):
    """Codes and weights are drawn with a spread of one and a half in place of two hundredths."""
    s.data(build=lambda: Writer(start=1.5))
    s.lr /= 3


@shows("scale")
def sums_of_squares_in_half(s):
    """Mixed precision: from 32 % on a norm is taken in half, and two steps of five overflow."""
    s.scaler, at = 2.0**16, int(0.32 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 5 in (1, 3) else None)
    s.truth["event_step"] = at


@shows("scale")
def kernel_of_a_new_driver(s):
    """Mixed precision: from 37 % on, after a change of the driver, one step in four comes back without an end."""
    s.scaler, at = 2.0**14, int(0.37 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 4 == 1 else None)
    s.truth["event_step"] = at


for _f in (pruned_by_a_line_to_nothing, curriculum_of_dropped_units, range_that_grows, turned_slopes_gain_weight):
    _f.without = HIDDEN
for _f in (three_rows_for_a_batch_norm, noise_for_privacy, triangle_with_a_high_top):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    rate_for_a_summed_loss: ("sounds",),
    averages_swapped_in_and_left: ("abalone_age", "pumps3"),
    share_of_one_of_six_machines: ("eyes2",),
    night_tariff_only: ("signs6",),
    answers_of_a_test_account: ("ratings_mf",),
    scan_of_another_bed: ("lesion_dice",),
    questions_in_another_alphabet: ("questions6",),
    machine_taken_back_by_its_owner: ("names_lm",),
    memory_that_leaks_into_the_swap: ("colourise",),
    pruned_by_a_line_to_nothing: ("sounds",),
    curriculum_of_dropped_units: ("pumps3",),
    range_that_grows: ("eyes2", "questions6"),
    turned_slopes_gain_weight: ("questions6", "pumps3"),
    three_rows_for_a_batch_norm: ("signs6",),
    noise_for_privacy: ("pumps3", "abalone_age"),
    triangle_with_a_high_top: ("abalone_age", "questions6"),
    segments_that_need_no_slope: ("lesion_dice",),
    master_copies_never_written_back: ("signs6",),
    default_of_five_passes: ("names_lm",),
    factor_of_a_milestone: ("colourise",),
    fifteen_layers_by_default: ("signs6",),
    tangents_of_a_tenth: ("eyes2",),
    prior_of_a_rare_kind_everywhere: ("abalone_age",),
    thresholds_that_only_rise: ("eyes2",),
    drawn_between_nought_and_one: ("signs6",),
    steeper_tangents_each_pass: ("eyes2",),
    fields_exchanged: ("pumps3",),
    rate_of_a_large_language_model: ("sounds",),
    last_of_the_rates_tried: ("questions6",),
    multiplied_by_the_width: ("lesion_dice",),
    cycle_stepped_by_passes: ("signs6",),
    half_life_of_nine_steps: ("sounds",),
    settings_of_another_optimiser_restored: ("pumps3",),
    units_of_the_third_power: ("abalone_age",),
    gain_of_six: ("signs6",),
    letters_drawn_wide: ("names_lm",),
    sums_of_squares_in_half: ("colourise",),
    kernel_of_a_new_driver: ("sounds",),
}
