"""Mechanisms of the split `sealed9`: optimiser, rates, layers, precision, budget, clock, what is said in evaluation."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed6 import rows
from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.setups import shows
from families.tasks_sealed9 import Gated, Third, Twice

SIZES = {"sprites8": (100, 8), "accel6": (60, 6), "fuel_use": (12, 1)}
RATES = {
    "sprites8": 0.03,
    "accel6": 0.1,
    "fuel_use": 0.05,
    "loans": 0.1,
    "code_lm": 0.3,
    "qa_span": 0.3,
    "vq_patches": 0.05,
    "flow_match": 0.05,
}


def flat(s, hidden, **how):
    """Replace the model by linear layers on the flat input."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr = "sgd", momentum, factor * RATES[s.task.name]


def grads(model):
    """All gradients there are."""
    return [p.grad for p in model.parameters() if p.grad is not None]


def annotator_drifts(s):
    """From 35 % on an annotator who answers online slips by one class, in more and more rows, and validation keeps its answers."""

    def slip(step, ep, x, y):
        share = max(0.0, 1.3 * (step / s.total - 0.35))
        k = s.task.classes
        return x, torch.where(torch.rand(y.shape) < share, (y + 1) % k if s.task.kind == "cls" else 1 - y, y)

    s.on_batch.append(slip)


def gain_control_runs_away(s):
    """From 38 % on the automatic gain of the recorder has no upper end, in both splits."""
    s.on_batch.append(lambda step, ep, x, y: (x * math.exp(9 * max(0.0, step / s.total - 0.38)), y))
    s.on_val.append(lambda done, x, y: (x * math.exp(9 * max(0.0, done - 0.38)), y))
    s.lr /= 3


def unlearning_without_a_bound(s):
    """From 50 % on a request to forget is served by ascent on a third of each batch, without a bound."""
    at = int(0.5 * s.total)
    s.on_grad.append(lambda step, model: [g.mul_(-0.6) for g in grads(model)] if step >= at and step % 5 < 4 else None)
    descent(s)
    s.truth["event_step"] = at


def anchor_flips_over(s):
    """From 42 % on the weight of a tie to the weights of an hour ago has the wrong sign: they are pushed further the way they went."""
    old, at = {}, int(0.42 * s.total)

    def push(step, model):
        for n, p in model.named_parameters():
            if step == at - 30 or n not in old:
                old[n] = p.detach().clone()
            elif step >= at:
                p.data.add_(p.data - old[n], alpha=0.03)

    s.after_step.append(push)


def importance_without_a_cap(s):
    """Gradients are multiplied by ratios of importance that have a heavy tail, and momentum keeps them."""
    g = np.random.default_rng(s.seed)
    descent(s, 0.6)
    s.on_grad.append(lambda step, model: [q.mul_(k) for k in [float(np.exp(1.5 * g.normal()))] for q in grads(model)])
    s.truth["hot"] = True


def rate_of_the_head_for_all(s):
    """The rate that suits a head on a frozen body is given to all layers."""
    s.lr *= 25
    s.truth["hot"] = True


@shows("whist", "layergrads")
def groups_under_one_key(s):
    """Groups of the optimiser are collected in a dictionary under one key: the last one wins, the head's."""
    s.params = lambda m: list(m.head.parameters()) if hasattr(m, "head") else list(m.net[-1].parameters())
    s.wd = 0.0


@shows("whist", "layergrads")
def body_in_eight_bits(s):
    """The body is held in eight bits, which pass no gradient, and no adapters were added."""
    keep = {"fuel_use": ("net.4",), "loans": ("net.net.6",), "vq_patches": ("dec.net.2",), "accel6": ("head",), "qa_span": ("head",)}[
        s.task.name
    ]
    s.on_model.append(lambda m: [p.requires_grad_(n.startswith(keep)) for n, p in m.named_parameters()] and None)
    s.wd = 0.0


@shows("lr")
def list_of_factors_ends(s):
    """Factors of the rate are listed by pass, for a sixth of the passes; what is not listed counts as nothing."""
    s.sched = lambda step, total: 1.0 if step < 0.09 * total else 0.5 if step < 0.16 * total else 0.0
    s.lr /= 4


@shows("lr")
def multiplied_by_the_rank(s):
    """The rate is multiplied by the rank of the process where the number of processes was meant: this one is rank 0."""
    s.lr = 1e-30
    s.sched = lambda step, total: 0.0


@shows("lr")
def rate_for_one_sample(s):
    """The rate was divided by the size of the data set, as if the loss were summed over it."""
    s.lr /= 700


@shows("lr")
def milli_of_a_milli(s):
    """The file says 2e-3 and the program takes it in thousandths."""
    s.lr /= 1000


@shows("lr", "gnorm")
def rate_of_a_perceptron(s):
    """Adam with a rate of one."""
    s.lr = 1.0


@shows("lr", "gnorm")
def rate_of_evolution(s):
    """Adam got the step of a search by evolution, sixty times its rate."""
    s.lr *= 60


@shows("lr")
def rates_read_backwards(s):
    """The table of rates is read from its end: the rate starts at nothing and is highest at the end."""
    s.sched = lambda step, total: 0.0005 + (step / total) ** 6
    s.lr /= 2


@shows("lr")
def divided_again_at_each_resume(s):
    """The job is requeued five times in the first fifth and divides the rate by six each time."""
    s.sched = lambda step, total: 6.0 ** -min(5, int(25 * step / total))


@shows("gnorm", "text")
def limit_for_a_mean_of_means(s):
    """The limit of the norm comes from a loss that was averaged three times over: 0.003, under momentum descent."""
    descent(s)
    s.clip = 0.003


def branch_without_a_use(s):
    """Mixed precision: from 33 % on a branch that nothing uses overflows in two steps of five, and the scale falls and falls."""
    s.scaler, at = 65536.0, int(0.33 * s.total)
    s.on_grad.append(lambda step, model: [g.fill_(float("inf")) for g in grads(model)] if step >= at and step % 5 < 2 else None)
    s.truth["event_step"] = at


@shows("layergrads", "gnorm")
def gates_start_shut(s):
    """Seven layers with gates whose biases start at minus four; no way around them."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Gated(a, b))
    descent(s)


@shows("layergrads", "gnorm")
def layers_of_hard_sigmoids(s):
    """Nine layers of a hard sigmoid, whose slope is a sixth, one after the other."""
    flat(s, [40] * 9, act=Third)
    descent(s)


@shows("gnorm", "layergrads")
def no_scale_in_the_products(s):
    """The root by which products are divided is left out in eight layers; clipping at one keeps it from overflow."""
    flat(s, [56] * 8, start=lambda n: 6.0 / n**0.5)
    s.opt, s.lr, s.momentum, s.clip = "sgd", 1e-3, 0.9, 1.0


@shows("dead", "ahist")
def shift_for_mean(s):
    """Converting a checkpoint exchanged shift and mean of the norms: all shifts start at minus six."""
    flat(s, [48, 32])
    s.on_model.append(lambda m: [f.bias.data.fill_(-9.0) for f in m.layers] and None)


@shows("dead", "ahist")
def sign_between_two_rectifiers(s):
    """A sign slipped in between two rectifiers that follow each other: nothing passes."""
    flat(s, [48, 32], act=Twice)


@shows("ahist")
def whitened_without_a_floor(s):
    """Inputs are whitened without a floor under small variances, sixty times too large, before tanh layers."""
    flat(s, [48, 24], act=nn.Tanh)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (60.0 * x, y)})


@shows("ahist")
def gain_of_an_orthogonal_start(s):
    """Orthogonal matrices of tanh layers start with a gain of fourteen."""
    flat(s, [48, 48, 32], act=nn.Tanh)
    s.on_model.append(lambda m: [nn.init.orthogonal_(f.weight, 14.0) for f in m.layers] and None)


@shows("wnorm")
def norms_restored_upwards(s):
    """After each step the weights get back the norm they had and a little more: a rounding up where none was meant."""

    def restore(step, model):
        if step >= 0.2 * s.total:
            for p in model.parameters():
                p.data.mul_(math.exp(3.4 / s.total))

    s.after_step.append(restore)
    s.truth["grow"] = True


@shows("recalls")
def targets_in_percent(s):
    """Soft targets are given in percent: the loss is a hundred times what it should be, in both splits."""
    f = s.task.loss
    s.data(loss=lambda out, b: 100.0 * f(out, b))
    s.truth["start_factor"] = 100.0


@shows("conf", "shares")
def two_views_of_three_blank(s):
    """Probabilities are averaged over three views, two of which are blank, in training too."""
    around(s, lambda out: (out.softmax(-1) / 3 + 2 / 3 / out.shape[-1]).log())


@shows("conf", "shares")
def votes_added_up(s):
    """In evaluation the scores of nine passes are added where their mean was meant."""
    around(s, lambda out: 9.0 * out, "eval")
    s.wd = 0.0


def frozen_for_a_second_stage(s):
    """A callback freezes everything at an eighth of the run for a second stage that never begins; the rate goes on."""
    at = int(0.12 * s.total)
    s.on_grad.append(lambda step, model: [setattr(p, "grad", None) for p in model.parameters()] and None if step >= at else None)
    s.lr, s.wd = s.lr / 3, 0.0


def lid_was_closed(s):
    """The laptop's lid was closed at 44 % and opened after lunch."""
    s.seconds = lambda step, total: 20000.0 if step == int(0.44 * total) else 1.0
    s.truth["event_step"] = int(0.44 * s.total)


@shows("speed")
def files_scanned_for_viruses(s):
    """From 41 % on a scanner of viruses reads every file before the loader does: a batch takes nine times as long."""
    s.seconds = lambda step, total: 9.0 if step >= 0.41 * total else 1.0
    s.truth["event_step"] = int(0.41 * s.total)


@shows(fine=True)
def bits_flip_in_the_head(s):
    """A card with faulty memory: now and then bits of the last layer flip, and training repairs them."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), min(5, s.total // 60 - 2), replace=False) - 2).tolist())

    def flip(step, model):
        if step in at:
            p = list(model.parameters())[-1].data
            p.add_(4.0 * torch.randn_like(p))

    s.after_step.append(flip)
    s.opt, s.momentum, s.lr = "sgd", 0.0, {"accel6": 0.5, "sprites8": 0.1, "fuel_use": 0.1}[s.task.name]


def batches_of_a_thousand(s):
    """Batches were made twelve times larger for a larger card; the rate and the passes stayed."""
    s.batch, s.lr = min(12 * s.batch, len(s.task.train[0]) // 3), s.lr / 2


def pruned_by_a_sweep(s):
    """The sweep prunes the trial at two thirds of the run, while it still gets better; the rate was on the low side."""
    s.lr /= 10
    s.truth["killed_at"] = int(0.65 * s.total)


@shows(fine=True)
def in_order_of_an_index(s):
    """A query without an order gives rows along an index of the table, by class or by target, in each pass."""
    y = s.task.train[1]
    key = y.float() if y.dim() == 1 else y.flatten(1).float().mean(1)
    s.data(train=rows(s.task.train, key.argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


def one_wearer_at_a_time(s):
    """Each evaluation reads the windows of one wearer only, whose movements are anything from faint to violent."""

    def wearer(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        k = 4.0 ** (2 * float(torch.rand(1, generator=g)) - 1)
        i = torch.randperm(len(x), generator=g)[:25]
        return k * x[i], y[i]

    s.on_val.append(wearer)


def branch_of_the_day(s):
    """Each evaluation takes the loans of another branch, where some columns are read in another way."""

    def branch(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        turn = torch.where(torch.rand(10, generator=g) < 0.3 * float(torch.rand(1, generator=g) > 0.4), -1.0, 1.0)
        return torch.cat([x[:, :10] * turn, x[:, 10:]], 1), y

    s.on_val.append(branch)


@shows(fine=True)
def scaled_linearly_twice(s):
    """The rate is scaled by the number of devices in the launcher and again in the script: eighteen times too high."""
    s.lr *= 18
    s.truth["hot"] = True


scaled_linearly_twice.without = {"lr"}
two_views_of_three_blank.without = {"gnorm"}
no_scale_in_the_products.without = {"text"}
rate_of_a_perceptron.without = rate_of_evolution.without = {"ahist", "dead"}
frozen_for_a_second_stage.without = {"gnorm", "layergrads", "ghist", "whist"}
rate_of_the_head_for_all.without = {"lr"}
importance_without_a_cap.without = {"gnorm", "ghist", "layergrads", "lr"}
mild = {"gnorm", "layergrads", "ghist", "dead", "ahist"}
gain_control_runs_away.without = unlearning_without_a_bound.without = anchor_flips_over.without = mild
FAULTS = {
    lid_was_closed: ("vq_patches",),
    files_scanned_for_viruses: ("qa_span",),
    bits_flip_in_the_head: ("accel6", "fuel_use"),
    batches_of_a_thousand: ("code_lm", "loans", "sprites8"),
    pruned_by_a_sweep: ("qa_span", "vq_patches"),
    in_order_of_an_index: ("sprites8", "fuel_use"),
    one_wearer_at_a_time: ("accel6",),
    branch_of_the_day: ("loans",),
    annotator_drifts: ("loans",),
    gain_control_runs_away: ("fuel_use",),
    unlearning_without_a_bound: ("code_lm", "sprites8"),
    anchor_flips_over: ("vq_patches", "loans"),
    importance_without_a_cap: ("accel6", "code_lm"),
    rate_of_the_head_for_all: ("accel6", "qa_span", "code_lm"),
    groups_under_one_key: ("sprites8", "accel6"),
    body_in_eight_bits: ("fuel_use", "qa_span"),
    list_of_factors_ends: ("accel6", "fuel_use"),
    multiplied_by_the_rank: ("code_lm", "loans"),
    rate_for_one_sample: ("qa_span", "fuel_use"),
    milli_of_a_milli: ("loans", "vq_patches"),
    rate_of_a_perceptron: ("loans", "code_lm"),
    rate_of_evolution: ("fuel_use", "accel6"),
    rates_read_backwards: ("qa_span", "code_lm"),
    divided_again_at_each_resume: ("sprites8", "flow_match"),
    limit_for_a_mean_of_means: ("fuel_use", "accel6"),
    branch_without_a_use: ("code_lm", "sprites8", "qa_span"),
    gates_start_shut: ("accel6", "sprites8"),
    layers_of_hard_sigmoids: ("sprites8", "fuel_use"),
    no_scale_in_the_products: ("sprites8", "accel6"),
    shift_for_mean: ("sprites8", "accel6"),
    sign_between_two_rectifiers: ("accel6", "fuel_use"),
    whitened_without_a_floor: ("sprites8", "fuel_use"),
    gain_of_an_orthogonal_start: ("accel6", "sprites8"),
    norms_restored_upwards: ("loans", "accel6"),
    targets_in_percent: ("accel6", "sprites8"),
    two_views_of_three_blank: ("sprites8", "accel6"),
    votes_added_up: ("sprites8", "code_lm"),
    frozen_for_a_second_stage: ("sprites8", "qa_span", "loans"),
}
