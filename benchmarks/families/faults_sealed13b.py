"""Mechanisms of the split `sealed13`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed10 import grads
from families.faults_sealed13 import SIZES, descent, drawn, each, flat
from families.setups import shows

HIDDEN = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}


class Eighth(nn.Module):
    """The error function of an eighth of what comes in."""

    def forward(self, x):
        return torch.erf(0.125 * x)


class Ladder(nn.Module):
    """Twelve layers added to what they get, no norm, a factor of 1.5 that was made to make up for dropped paths."""

    def __init__(self, a, b, width=32):
        super().__init__()
        self.first, self.head = nn.Linear(a, width), nn.Linear(width, b)
        self.blocks, self.act = nn.ModuleList([nn.Linear(width, width) for _ in range(12)]), nn.GELU()

    def forward(self, x):
        h = self.first(x.flatten(1))
        for f in self.blocks:
            h = 1.5 * (h + 1.5 * self.act(f(h)))
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


def passes_of_a_dry_run(s):
    """The number of passes and a third of the rate are those of a dry run."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 6


def accumulates_and_keeps_the_rate(s):
    """Twelve batches are put together for a step, and neither rate nor passes were changed."""
    s.accum, s.lr = 12, s.lr / 2


def rate_divided_by_devices_twice(s):
    """The rate is divided by the number of devices by the launcher and by the program."""
    s.lr /= 22


@shows(fine=True)
def comma_for_a_point(s):
    """In four places a batch holds rows whose decimal comma was dropped: twelve times too large."""
    g = np.random.default_rng(s.seed)
    at = set((40 * g.choice(np.arange(3, s.total // 40), 4, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (torch.where((torch.rand(len(x)) < 0.7)[:, None], -12 * x, x), y) if step in at else (x, y))
    s.lr /= 2


@shows(fine=True)
def weights_in_eight_bits_at_each_save(s):
    """Four saves write weights with a few bits, and training goes on from what was saved."""
    at = [int(q * s.total) for q in (0.3, 0.47, 0.66, 0.84)]

    def coarse(step, model):
        if step in at:
            for p in model.parameters():
                k = p.data.abs().max() / 2.5
                p.data.copy_((p.data / k).round() * k)

    s.after_step.append(coarse)


def lid_closed_over_night(s):
    """At 45 % the lid of the machine was closed over night."""
    s.seconds = lambda step, total: 27000.0 if step == int(0.45 * total) else 1.0
    s.truth["event_step"] = int(0.45 * s.total)


@shows("speed")
def card_too_hot(s):
    """From 55 % on the card is too hot and slows down by a factor of seven."""
    s.seconds = lambda step, total: 7.0 if step >= 0.55 * total else 1.0
    s.truth["event_step"] = int(0.55 * s.total)


def momentum_climbs_past_one(s):
    """Momentum is warmed up in a line that nobody ends: it passes one."""
    kept = []
    s.momentum, s.lr, s.wd = 0.8, {"verse_lm": 0.3, "spirals4": 0.05, "pair_sum": 0.02}[s.task.name], 0.0
    s.optimizer = lambda st, m: kept.append(torch.optim.SGD(m.parameters(), lr=st.lr, momentum=0.8)) or kept[-1]
    s.on_grad.append(lambda step, m: kept[0].param_groups[0].update(momentum=0.8 + 0.26 * step / s.total))


def resumed_with_ascent(s):
    """The resumed job was started with the flag that maximises, from 52 % on; slopes are scaled to one length."""
    at = int(0.52 * s.total)
    descent(s, 0.3)

    def climb(step, m):
        k = -0.012 / (1e-9 + float(torch.stack(torch._foreach_norm(grads(m))).norm()))
        for g in grads(m) if step >= at else ():
            g.mul_(k)

    s.on_grad.append(climb)
    s.truth["event_step"] = at


def scale_of_levels_compounds(s):
    """The scale of targets is estimated from targets that are scaled already: it grows with each pass from 30 % on."""
    s.on_batch.append(lambda step, ep, x, y: (x, y * math.exp(3.2 * max(0.0, step / s.total - 0.3))))


def decay_turned_into_growth_late(s):
    """The schedule of the decay passes nought at 50 % and pushes weights away from then on."""

    def push(step, m):
        if step > 0.5 * s.total:
            for p in m.parameters():
                p.data.mul_(1 + 32 * (step / s.total - 0.5) / s.total)

    s.after_step.append(push)


@shows(fine=True)
def slopes_of_a_slow_worker(s):
    """Steps are taken with slopes that are fourteen steps old, as one worker is slow."""
    descent(s, 1.6)
    old = []

    def late(step, m):
        old.append([g.clone() for g in grads(m)])
        if len(old) > 14:
            for g, q in zip(grads(m), old.pop(0), strict=True):
                g.copy_(q)

    s.on_grad.append(late)
    s.truth["hot"] = True


@shows(fine=True)
def signs_only_at_a_high_rate(s):
    """Slopes were cut to their signs to save traffic, at ten times the rate that this stands."""
    descent(s, 1.0, 0.0)
    s.lr = 0.05
    s.on_grad.append(lambda step, m: [g.sign_() for g in grads(m)][:0])
    s.truth["hot"] = True


@shows(fine=True)
def squares_forgotten_at_once(s):
    """The memory of squares is 0.3 and not 0.999, at seven times the rate."""
    s.betas, s.lr, s.batch = (0.5, 0.3), 7 * s.lr, 8
    s.epochs = max(6, s.epochs // 2)
    s.truth["hot"] = True


@shows("whist", "layergrads")
def optimiser_holds_an_old_body(s):
    """The body was rebuilt after the optimiser got its weights: only the head is trained."""
    s.params = lambda m: list(m.parameters())[-2:]
    s.wd = 0.0


@shows("whist", "gnorm")
def layer_decay_of_nought(s):
    """The rate falls from layer to layer by a factor that was left at nought: the head alone moves."""

    def make(st, m):
        p = list(m.parameters())
        return torch.optim.AdamW([{"params": p[:-2], "factor": 0.0}, {"params": p[-2:]}][::-1], lr=st.lr, weight_decay=0.0)

    s.optimizer = make


@shows("lr")
def decay_ends_with_the_first_shard(s):
    """The schedule was made for one shard of eight: nought after a ninth of the run."""
    s.lr /= 4
    s.sched = lambda step, total: max(0.0, 1 - step / (0.11 * total)) ** 2


@shows("lr")
def rate_lost_at_resume(s):
    """After a resume at 14 % the rate is read from a field that is empty, which counts as nought."""
    s.lr /= 5
    s.sched = lambda step, total: 1.0 if step < 0.14 * total else 0.0


@shows("layergrads", "gnorm")
def eighth_of_what_comes_in(s):
    """Eight layers that each pass on an eighth of what comes in."""
    flat(s, [36] * 8, act=Eighth)
    descent(s)


@shows("layergrads", "gnorm")
def weights_at_a_hundredth(s):
    """Weights are drawn with a spread of two hundredths, whatever the layer, seven layers deep."""
    flat(s, [40] * 7, act=nn.Tanh, start=lambda n: 0.02)
    descent(s)


@shows("dead", "ahist")
def weights_drawn_below_nought(s):
    """Weights are drawn below nought where inputs are never negative: no unit ever answers."""
    flat(s, [48, 24], act=nn.ReLU)
    s.on_model.append(lambda m: [f.bias.data.fill_(-0.3) for f in m.layers if f.weight.data.abs_().neg_().sub_(0.02).ndim] and None)


@shows("dead", "ahist")
def first_step_with_a_thousandfold_rate(s):
    """The first twenty steps are taken at a rate in thousandths that was read as one in ones: units die and stay so."""
    flat(s, [48, 32], act=nn.ReLU)
    s.opt, s.wd = "sgd", 0.0
    s.momentum, s.lr = 0.0, 0.03

    def blow(step, m):
        if step == 20:
            for f in m.layers:
                f.bias.data.sub_(40.0)

    s.after_step.append(blow)


@shows("ahist")
def figures_not_scaled_for_tanh(s):
    """The scaler was dropped from the pipeline: figures of a hundred go into tanh."""
    flat(s, [48, 32], act=nn.Tanh)
    each(s, lambda x, y: (60 * x, y))
    s.on_model.append(lambda m: m.layers[1].weight.data.mul_(14.0).new_tensor(0).item() or None)


@shows("ahist")
def sigmoids_made_for_fewer_inputs(s):
    """Weights of sigmoids are drawn for one input, fifty times too wide for a hundred."""
    flat(s, [48, 32], act=nn.Sigmoid)
    s.on_model.append(lambda m: setattr(m, "gain", 60.0))


@shows("lr")
def rate_in_millionths(s):
    """The rate is given in millionths and divided by a million once more: 3e-7."""
    s.lr = 3e-7


@shows("lr")
def rate_for_fine_tuning_from_scratch(s):
    """A rate for fine-tuning, a two-hundredth of a sound one, under a line to nought; weights are new."""
    s.lr *= 0.004
    s.sched = lambda step, total: 1 - step / total


@shows("lr", "gnorm")
def rate_of_descent_given_to_adam(s):
    """The rate of plain descent, a half, was left when the optimiser was changed to Adam."""
    s.lr = 0.5


@shows("lr")
def rate_times_the_cluster(s):
    """The rate is multiplied by the number of devices of a cluster, a hundred and twenty-eight, on one device."""
    s.lr *= 128


@shows("lr")
def mode_max_for_a_loss(s):
    """The callback waits for a loss to rise: the rate is cut by two thirds after each fall of it, from the first pass on."""
    per = s.steps_per_epoch
    s.lr /= 3
    s.sched = lambda step, total: max(1e-7, 0.3 ** (step // per))


@shows("lr")
def warm_up_counted_in_samples(s):
    """The warm-up is counted in samples and not in steps: it lasts to the end of the run."""
    s.sched = lambda step, total: 0.14 * ((step + 1) / total) ** 3
    s.epochs = max(7, int(0.7 * s.epochs))


@shows("lr")
def second_cycle_at_forty_times(s):
    """A second cycle begins at 57 % with a peak forty times as high, as its factor was multiplied and not added."""
    s.sched = lambda step, total: 0.4 if step < 0.57 * total else 60.0
    s.truth["event_step"] = int(0.57 * s.total)


@shows("gnorm", "text")
def limit_for_sums_taken_for_means(s):
    """The limit of the norm, 0.004, is for another scale of the loss; plain descent."""
    descent(s)
    s.clip = 0.004


@shows("wnorm")
def corrected_for_its_start_at_each_step(s):
    """Weights are divided by the share of a running mean, again after each step: they grow all the time."""

    def grow(step, m):
        if step > 0.1 * s.total:
            for p in m.parameters():
                p.data.mul_(1 + 2.2 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "layergrads")
def paths_never_dropped(s):
    """Twelve layers without a norm are multiplied for dropped paths, and no path is dropped."""
    s.data(build=lambda: Ladder(*SIZES[s.task.name]))
    s.lr /= 6


@shows("gnorm", "layergrads")
def weights_of_unit_spread(s):
    """Weights are drawn with a spread of one, whatever the number of inputs, five layers deep."""
    flat(s, [48] * 4, start=lambda n: 1.0)


def noise_injected_by_a_wrong_root(s):
    """Noise on the weights that should fade goes with the root of the step and grows: from 40 % on it wins."""
    g = drawn(s)

    def noise(step, m):
        q = step / s.total - 0.4
        if q > 0:
            for p in m.parameters():
                p.data.add_(torch.randn(p.shape, generator=g), alpha=0.2 * q**1.5)

    s.after_step.append(noise)


for _f in (
    momentum_climbs_past_one,
    resumed_with_ascent,
    scale_of_levels_compounds,
    decay_turned_into_growth_late,
    noise_injected_by_a_wrong_root,
):
    _f.without = HIDDEN
for _f in (slopes_of_a_slow_worker, signs_only_at_a_high_rate, squares_forgotten_at_once):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    passes_of_a_dry_run: ("verse_lm", "tide_nll"),
    accumulates_and_keeps_the_rate: ("stress_tags", "symptoms6"),
    rate_divided_by_devices_twice: ("spirals4", "pair_sum"),
    comma_for_a_point: ("spirals4", "rare_calls", "symptoms6"),
    weights_in_eight_bits_at_each_save: ("verse_lm", "spirals4", "stress_tags"),
    lid_closed_over_night: ("verse_lm",),
    card_too_hot: ("spirals4", "rare_calls"),
    momentum_climbs_past_one: ("spirals4", "verse_lm"),
    resumed_with_ascent: ("stress_tags", "spirals4"),
    scale_of_levels_compounds: ("tide_nll",),
    decay_turned_into_growth_late: ("verse_lm", "pair_sum"),
    noise_injected_by_a_wrong_root: ("spirals4", "stress_tags"),
    slopes_of_a_slow_worker: ("spirals4", "verse_lm"),
    signs_only_at_a_high_rate: ("stress_tags", "spirals4"),
    squares_forgotten_at_once: ("stress_tags", "spirals4", "pair_sum"),
    optimiser_holds_an_old_body: ("spirals4", "pair_sum"),
    layer_decay_of_nought: ("symptoms6", "stress_tags"),
    decay_ends_with_the_first_shard: ("verse_lm", "symptoms6"),
    rate_lost_at_resume: ("pair_sum", "spirals4"),
    eighth_of_what_comes_in: ("spirals4", "symptoms6"),
    weights_at_a_hundredth: ("pair_sum", "spirals4"),
    weights_drawn_below_nought: ("symptoms6",),
    first_step_with_a_thousandfold_rate: ("spirals4", "pair_sum"),
    figures_not_scaled_for_tanh: ("spirals4", "rare_calls"),
    sigmoids_made_for_fewer_inputs: ("pair_sum", "spirals4"),
    rate_in_millionths: ("rare_calls",),
    rate_for_fine_tuning_from_scratch: ("stress_tags", "verse_lm"),
    rate_of_descent_given_to_adam: ("spirals4", "symptoms6"),
    rate_times_the_cluster: ("verse_lm", "pair_sum"),
    mode_max_for_a_loss: ("stress_tags", "pair_sum"),
    warm_up_counted_in_samples: ("tide_nll", "spirals4"),
    second_cycle_at_forty_times: ("verse_lm", "spirals4"),
    limit_for_sums_taken_for_means: ("stress_tags", "symptoms6"),
    corrected_for_its_start_at_each_step: ("spirals4", "verse_lm"),
    paths_never_dropped: ("spirals4", "pair_sum"),
    weights_of_unit_spread: ("pair_sum", "rare_calls"),
}
