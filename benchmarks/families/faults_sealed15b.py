"""Mechanisms of the split `sealed15`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed10 import grads
from families.faults_sealed15 import SIZES, descent, drawn, each, flat
from families.setups import shows

HIDDEN = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}


class Sums(nn.Module):
    """Twelve layers, each of which gets the sum of all before it, without a norm."""

    def __init__(self, a, b, width=32):
        super().__init__()
        self.first, self.head = nn.Linear(a, width), nn.Linear(width, b)
        self.blocks, self.act = nn.ModuleList([nn.Linear(width, width) for _ in range(12)]), nn.Softplus()

    def forward(self, x):
        h = self.first(x.flatten(1))
        for f in self.blocks:
            h = h + self.act(f(h)) + h
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


def session_of_a_notebook_ends(s):
    """The session of a notebook ends after a third of the passes; the rate is that of a long plan."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 8


def descent_without_momentum(s):
    """Plain descent without momentum, at the rate that suits it with: the passes do not suffice."""
    descent(s, {"glass6": 0.06, "rotated4": 0.12, "punctuation": 0.3}[s.task.name], 0.0)


def careful_rate_after_a_failure(s):
    """After a run that failed the rate was divided by thirty, and the passes were left."""
    s.lr /= 28


@shows(fine=True)
def scans_of_a_dirty_lamp(s):
    """In four places a batch was read with a dirty sensor: most of its rows are negatives, twenty times too large."""
    g = np.random.default_rng(s.seed)
    at = set((30 * g.choice(np.arange(3, s.total // 30), 4, replace=False) - 1).tolist())

    def dirty(step, ep, x, y):
        k = (torch.rand(len(x)) < 0.7).view(-1, *[1] * (x.dim() - 1))
        return (torch.where(k, -18 * x, x), y) if step in at else (x, y)

    s.on_batch.append(dirty)
    s.lr /= 2


@shows(fine=True)
def lost_packets_in_a_reduction(s):
    """Packets are lost in four reductions of the slopes, and one layer takes a step a thousand times too long; training mends it."""
    at = [int(q * s.total) for q in (0.24, 0.43, 0.61, 0.8)]

    def lost(step, model):
        if step in at:
            w = next(q for q in model.parameters() if q.dim() > 1)
            w.data.add_(1.2 * w.data.std() * torch.randn(w.shape, generator=drawn(s)))

    s.after_step.append(lost)


def quota_of_the_disk(s):
    """At 41 % the disk's quota is used up and the write of a checkpoint waits for five hours."""
    s.seconds = lambda step, total: 24000.0 if step == int(0.41 * total) else 1.0
    s.truth["event_step"] = int(0.41 * s.total)


@shows("speed")
def card_falls_back_to_a_slow_bus(s):
    """From 57 % on the card has fallen back to a slower bus: steps take six times as long."""
    s.seconds = lambda step, total: 6.0 if step >= 0.57 * total else 1.0
    s.truth["event_step"] = int(0.57 * s.total)


def learned_scale_without_a_lid(s):
    """The scale before the softmax has a rate of its own, which is not annealed, and no lid: from 45 % on it climbs at each step."""
    now = [1.0]
    s.on_out.append(lambda step, out: out * now[0])

    def climb(step, model):
        now[0] = math.exp(6.5 * max(0.0, step / s.total - 0.45))

    s.after_step.append(climb)
    s.sched = lambda step, total: 1.0 if step < 0.43 * total else 0.003


def penalty_doubles_each_pass(s):
    """The weight of a penalty on sure answers, which the logged loss leaves out, doubles with each pass from 38 % on."""
    per = s.steps_per_epoch
    x = []
    s.on_batch.append(lambda step, ep, a, b: x.clear() or x.append(a) or (a, b))

    def penalty(step, model):
        q = (step - 0.38 * s.total) / per
        out = model(x[0])
        return 0.02 * 2 ** min(q * 12 / s.epochs, 10) * out.pow(2).mean() if q > 0 else 0 * out.mean()

    s.on_penalty.append(penalty)


def head_rescaled_at_each_pass(s):
    """From 45 % on the norm of the head is set anew at each pass to one and a half of what it was."""
    per = s.steps_per_epoch

    def more(step, model):
        if step > 0.45 * s.total and step % max(1, per // 2) == 0:
            w = [p for p in model.parameters() if p.dim() > 1][-1]
            w.data.mul_(1.4 if s.task.kind == "reg" else 2.2)

    s.after_step.append(more)
    s.lr, s.sched = s.lr / 2, lambda step, total: 1.0 if step < 0.45 * total else 0.05


def worker_sends_slopes_of_another_model(s):
    """From 40 % on one of two workers has another copy of the model, and its part in the mean grows as the other slows down."""
    other = []
    s.on_model.append(lambda m: other.extend(torch.randn(p.shape, generator=drawn(s)) for p in m.parameters()) or None)

    def step_aside(step, m):
        q = step / s.total - 0.4
        if q > 0:
            for p, w in zip(m.parameters(), other, strict=True):
                p.data.add_(0.05 * q * w)

    s.after_step.append(step_aside)


def part_given_back_with_its_sign(s):
    """From 48 % on slopes go up and not down for a part of the loss that is given back with the wrong sign."""
    at = int(0.48 * s.total)
    descent(s, 0.3)

    def back(step, m):
        k = -0.015 / (1e-9 + float(torch.stack(torch._foreach_norm(grads(m))).norm()))
        for g in grads(m) if step >= at else ():
            g.mul_(k)

    s.on_grad.append(back)
    s.truth["event_step"] = at


@shows(fine=True)
def cycle_of_a_pass(s):
    """A cyclic rate climbs within each two passes to eighty times the usual one; it is not logged."""
    per = 2 * s.steps_per_epoch
    s.sched = lambda step, total: 1 + 79 * max(0.0, 1 - abs((step % per) / per - 0.5) * 5)
    s.truth["hot"] = True


@shows(fine=True)
def noise_on_weights_never_annealed(s):
    """Noise is put on the weights every twelve steps, which was to be annealed and never is."""

    width = []
    s.on_model.append(lambda m: width.extend(float(p.detach().std()) for p in m.parameters() if p.dim() > 1) or None)

    def shake(step, model):
        if step % 12 == 5:
            for p, w in zip((p for p in model.parameters() if p.dim() > 1), width, strict=True):
                p.data.add_(0.9 * w * torch.randn_like(p))

    s.after_step.append(shake)


@shows(fine=True)
def nesterov_of_a_large_batch(s):
    """Momentum and rate of a batch of four thousand are used for batches of eight."""
    descent(s, 0.6, 0.97)
    s.batch = 8
    s.epochs = max(6, s.epochs // 3)
    s.truth["hot"] = True


@shows("whist", "layergrads")
def recomputed_without_slopes(s):
    """The body is recomputed to save memory, from inputs that need no slope, so that none comes back to it."""
    s.on_model.append(lambda m: [p.requires_grad_(False) for p in list(m.parameters())[:-2]] and None)
    s.wd, s.epochs = 0.0, max(9, s.epochs // 2)


@shows("whist", "gnorm")
def second_optimiser_never_steps(s):
    """Body and head have an optimiser each, and only the head's is asked to step."""

    def make(st, m):
        p = list(m.parameters())
        return torch.optim.AdamW([{"params": p[-2:]}, {"params": p[:-2], "factor": 0.0}], lr=st.lr, weight_decay=0.0)

    s.optimizer = make


@shows("lr")
def length_of_a_pilot_run(s):
    """The one cycle was made for the steps of a pilot run, an eighth of these; after it the rate is nought."""
    s.lr /= 2
    s.sched = lambda step, total: max(0.0, math.sin(math.pi * min(1.0, step / (0.125 * total))))


@shows("lr")
def finder_gave_no_rate(s):
    """The search for a rate found none, and nothing was taken for nought."""
    s.lr = 0.0


@shows("layergrads", "gnorm")
def gain_of_a_recurrent_net(s):
    """Eight tanh layers are drawn with the small gain that was meant for a recurrent one."""
    flat(s, [36] * 8, act=nn.Tanh, start=lambda n: 0.25 / math.sqrt(n))
    descent(s)


@shows("layergrads", "gnorm")
def eight_sigmoids_as_in_an_old_book(s):
    """Nine sigmoid layers, as in an old book, at plain descent."""
    flat(s, [32] * 9, act=nn.Sigmoid)
    descent(s)


@shows("dead", "ahist")
def thresholds_raised_without_a_target(s):
    """A rule that raises thresholds of units that are too busy has a target of nought: they rise until all are silent."""
    flat(s, [48, 32], act=nn.ReLU)

    def rise(step, m):
        for f in m.layers:
            f.bias.data.sub_(9.0 / (0.3 * s.total) if step < 0.3 * s.total else 0.0)

    s.after_step.append(rise)


@shows("dead", "ahist")
def range_of_a_scanner_taken_off(s):
    """A thousand, the zero of a scanner, is taken off inputs that have none, scaled: the first layers' units answer to nothing."""
    flat(s, [48, 24], act=nn.ReLU)
    s.on_model.append(lambda m: [f.weight.data.abs_() for f in m.layers] and None)
    each(s, lambda x, y: (0.5 * x - 10.0, y))


@shows("ahist")
def figures_in_their_own_units(s):
    """Figures go into tanh in their own units, kelvin and hectopascal: hundreds."""
    flat(s, [48, 32], act=nn.Tanh)
    each(s, lambda x, y: (60 * x + 150, y))


@shows("ahist")
def weights_of_a_spiking_net(s):
    """Sigmoids are given the weights of a spiking net, two hundred times as steep."""
    flat(s, [48, 32], act=nn.Sigmoid)
    s.on_model.append(lambda m: [f.weight.data.mul_(200) for f in m.layers] and None)


@shows("lr")
def rate_divided_by_all_steps(s):
    """The rate was divided by the number of all steps, as if the loss were their sum."""
    s.lr /= 3 * s.total


@shows("lr")
def nine_for_three(s):
    """The rate was typed with a nine for a three in its exponent."""
    s.lr = 2e-9


@shows("lr", "gnorm")
def rate_without_its_exponent(s):
    """The exponent of the rate was lost on its way through a table: 0.9 under Adam."""
    s.lr = 0.9


@shows("lr")
def rule_for_256_cards(s):
    """The rate is multiplied for 256 cards of a sheet of settings, on one."""
    s.lr *= 256


@shows("lr")
def step_size_in_steps(s):
    """The rate is halved every forty of what should be passes and are steps."""
    k = max(5, s.total // 40)
    s.lr /= 2
    s.sched = lambda step, total: max(1e-7, 0.5 ** (step // k))


@shows("lr")
def rise_over_a_thousand_passes(s):
    """The rate rises in a curve over a thousand passes, of which there are a dozen."""
    s.sched = lambda step, total: 0.008 * ((step + 1) / total) ** 3
    s.epochs = max(8, int(0.7 * s.epochs))


@shows("lr")
def schedule_begun_anew_in_another_unit(s):
    """At 55 % a job resumes, and the rate, in thousandths in its file, is multiplied by a hundred."""
    s.sched = lambda step, total: 0.4 if step < 0.55 * total else 40.0
    s.truth["event_step"] = int(0.55 * s.total)


@shows("gnorm", "text")
def limit_of_a_single_weight(s):
    """The limit of a single weight's slope, 0.002, is used for the norm of all; plain descent."""
    descent(s)
    s.clip = 0.002


@shows("wnorm")
def lengths_multiplied_at_each_save(s):
    """Directions and lengths of weights are kept apart; at each save lengths are multiplied once more and grow."""

    def grow(step, model):
        if step > 0.12 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 2.8 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "layergrads")
def all_before_added_up(s):
    """Twelve layers get the sum of all before them, where blocks of three were meant, no norm."""
    s.data(build=lambda: Sums(*SIZES[s.task.name]))
    s.lr /= 10


@shows("gnorm", "layergrads")
def drawn_uniformly_from_two(s):
    """Weights of five layers are drawn with a spread of one and a tenth, whatever they get."""
    flat(s, [40] * 5, start=lambda n: 1.1)


@shows("scale")
def kernel_without_a_lid(s):
    """Mixed precision: from 36 % on a new kernel overflows in one step of three."""
    s.scaler, at = 2.0**15, int(0.36 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 3 == 1 else None)
    s.truth["event_step"] = at


for _f in (
    learned_scale_without_a_lid,
    penalty_doubles_each_pass,
    head_rescaled_at_each_pass,
    worker_sends_slopes_of_another_model,
    part_given_back_with_its_sign,
):
    _f.without = HIDDEN
for _f in (cycle_of_a_pass, noise_on_weights_never_annealed, nesterov_of_a_large_batch):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    session_of_a_notebook_ends: ("openings_lm", "glass6"),
    descent_without_momentum: ("glass6", "rotated4", "punctuation"),
    careful_rate_after_a_failure: ("slides_mil", "languages5"),
    scans_of_a_dirty_lamp: ("rotated4", "bikes", "glass6"),
    lost_packets_in_a_reduction: ("glass6", "punctuation", "clean_tones"),
    quota_of_the_disk: ("languages5",),
    card_falls_back_to_a_slow_bus: ("glass6", "rotated4"),
    learned_scale_without_a_lid: ("glass6", "openings_lm"),
    penalty_doubles_each_pass: ("languages5", "punctuation"),
    head_rescaled_at_each_pass: ("bikes", "slides_mil"),
    worker_sends_slopes_of_another_model: ("glass6", "openings_lm"),
    part_given_back_with_its_sign: ("rotated4", "bikes"),
    cycle_of_a_pass: ("glass6", "bikes", "slides_mil"),
    noise_on_weights_never_annealed: ("glass6", "languages5"),
    nesterov_of_a_large_batch: ("bikes", "slides_mil", "glass6"),
    recomputed_without_slopes: ("rotated4", "punctuation"),
    second_optimiser_never_steps: ("languages5", "glass6"),
    length_of_a_pilot_run: ("glass6", "punctuation"),
    finder_gave_no_rate: ("bikes", "openings_lm"),
    gain_of_a_recurrent_net: ("glass6", "bikes"),
    eight_sigmoids_as_in_an_old_book: ("slides_mil", "glass6"),
    thresholds_raised_without_a_target: ("glass6", "bikes"),
    range_of_a_scanner_taken_off: ("rotated4", "slides_mil"),
    figures_in_their_own_units: ("bikes", "glass6"),
    weights_of_a_spiking_net: ("glass6", "rotated4"),
    rate_divided_by_all_steps: ("rotated4", "clean_tones"),
    nine_for_three: ("languages5", "slides_mil"),
    rate_without_its_exponent: ("glass6", "rotated4"),
    rule_for_256_cards: ("bikes", "slides_mil"),
    step_size_in_steps: ("glass6", "languages5"),
    rise_over_a_thousand_passes: ("punctuation", "slides_mil"),
    schedule_begun_anew_in_another_unit: ("glass6", "openings_lm"),
    limit_of_a_single_weight: ("bikes", "glass6"),
    lengths_multiplied_at_each_save: ("glass6", "openings_lm"),
    all_before_added_up: ("bikes", "glass6"),
    drawn_uniformly_from_two: ("glass6", "slides_mil"),
    kernel_without_a_lid: ("punctuation", "bikes"),
}
