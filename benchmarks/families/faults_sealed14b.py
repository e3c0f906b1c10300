"""Mechanisms of the split `sealed14`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed10 import grads
from families.faults_sealed14 import SIZES, descent, drawn, each, flat
from families.setups import shows

HIDDEN = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}


class Leak(nn.Module):
    """A soft step whose slope is a tenth everywhere."""

    def forward(self, x):
        return 0.1 * x / (1 + x.abs())


class Stack(nn.Module):
    """Ten layers, each added twice to what it gets: the way around was taken in by the block and by its caller."""

    def __init__(self, a, b, width=32):
        super().__init__()
        self.first, self.head = nn.Linear(a, width), nn.Linear(width, b)
        self.blocks, self.act = nn.ModuleList([nn.Linear(width, width) for _ in range(10)]), nn.SiLU()

    def forward(self, x):
        h = self.first(x.flatten(1))
        for f in self.blocks:
            h = 2 * h + self.act(2 * f(h))
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


def limit_of_the_free_queue(s):
    """The free queue allows a third of the passes, and the rate is that of the long plan."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 7


def batch_filled_the_new_card(s):
    """The batch was made twelve times as large for a new card, rate and passes were not."""
    s.batch, s.lr, s.epochs = 12 * s.batch, s.lr / 2, int(1.2 * s.epochs)


def rate_scaled_by_the_wrong_base(s):
    """The rate is scaled by the batch over 1024 where 64 was the base."""
    s.lr /= 24


@shows(fine=True)
def amplifier_saturates_in_places(s):
    """In four places a batch comes from an amplifier that was set too high: many rows are twenty times too large."""
    g = np.random.default_rng(s.seed)
    at = set((30 * g.choice(np.arange(4, s.total // 30), 4, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (torch.where((torch.rand(len(x)) < 0.6)[:, None], -15 * x, x), y) if step in at else (x, y))
    s.lr /= 2


@shows(fine=True)
def buffers_swapped_by_a_race(s):
    """A race between two threads shuffles the rows of a weight in four places; training mends it within a pass."""
    at = [int(q * s.total) for q in (0.28, 0.45, 0.67, 0.83)]

    def swap(step, model):
        if step in at:
            w = next(iter(q for q in model.parameters() if q.dim() > 1 and q.shape[0] < 100))
            w.data.copy_(-1.5 * w.data[torch.randperm(len(w))])

    s.after_step.append(swap)


def licence_server_did_not_answer(s):
    """At 38 % a licence server did not answer for hours."""
    s.seconds = lambda step, total: 31000.0 if step == int(0.38 * total) else 1.0
    s.truth["event_step"] = int(0.38 * s.total)


@shows("speed")
def data_moved_to_tape(s):
    """From 60 % on rows come from a slower store: steps take eight times as long."""
    s.seconds = lambda step, total: 8.0 if step >= 0.6 * total else 1.0
    s.truth["event_step"] = int(0.6 * s.total)


def population_of_rates_climbs(s):
    """A search that changes the rate as it goes only ever raises it: by six in a hundred every 1 % from 35 % on."""
    descent(s, 0.3)
    s.sched = lambda step, total: math.exp(9.0 * max(0.0, step / total - 0.35))


def loss_becomes_a_reward(s):
    """From 46 % on a wrapper takes the loss for a reward and maximises it; slopes are scaled to one length."""
    at = int(0.46 * s.total)
    descent(s, 0.3)

    def climb(step, m):
        k = -0.02 / (1e-9 + float(torch.stack(torch._foreach_norm(grads(m))).norm()))
        for g in grads(m) if step >= at else ():
            g.mul_(k)

    s.on_grad.append(climb)
    s.truth["event_step"] = at


def rounding_adds_up(s):
    """Weights are rounded up and never down in a short format: from 42 % on all of them drift the same way."""

    def up(step, m):
        q = step / s.total - 0.42
        if q > 0:
            for p in m.parameters():
                p.data.add_(0.035 * q)

    s.after_step.append(up)


def inflation_of_strengths(s):
    """Targets are indexed by a factor that compounds with each pass from 33 % on."""
    s.on_batch.append(lambda step, ep, x, y: (x, y * math.exp(3.4 * max(0.0, step / s.total - 0.33))))


def stale_copy_pulls_harder(s):
    """A pull towards a copy of the first weights grows with the steps, and from half time on it wins."""
    first = []
    s.on_model.append(lambda m: first.extend(torch.randn(p.shape, generator=drawn(s)) * 0.4 for p in m.parameters()) or None)

    def pull(step, m):
        q = step / s.total - 0.45
        if q > 0:
            for p, w in zip(m.parameters(), first, strict=True):
                p.data.lerp_(w, 0.12 * q)

    s.after_step.append(pull)


@shows(fine=True)
def pipeline_without_flushes(s):
    """Stages of a pipeline use slopes of ten steps ago at the rate of a single device."""
    descent(s, 0.5)
    old = []

    def late(step, m):
        old.append([g.clone() for g in grads(m)])
        if len(old) > 10:
            for g, q in zip(grads(m), old.pop(0), strict=True):
                g.copy_(q)

    s.on_grad.append(late)
    s.truth["hot"] = True


@shows(fine=True)
def slopes_scaled_to_one_length(s):
    """Slopes are scaled to one length at each step, so that the last steps are as long as the first; the rate is that of sums."""
    descent(s, 1.0, 0.5)
    s.lr = 0.7

    def unit(step, m):
        k = 1 / (1e-9 + float(torch.stack(torch._foreach_norm(grads(m))).norm()))
        for g in grads(m):
            g.mul_(k)

    s.on_grad.append(unit)
    s.truth["hot"] = True


@shows(fine=True)
def batch_of_three_at_the_old_rate(s):
    """Memory allowed three rows a batch, and the rate of sixty was multiplied by the number of steps instead of divided."""
    s.batch, s.lr, s.betas = 4, 9 * s.lr, (0.6, 0.5)
    s.epochs = max(6, s.epochs // 3)
    s.truth["hot"] = True


@shows("whist", "layergrads")
def body_in_a_list_of_python(s):
    """Layers of the body are kept in a plain list, so that the optimiser was given the head only."""
    s.params = lambda m: list(m.parameters())[-2:]
    s.wd, s.epochs = 0.0, max(8, s.epochs // 2)


@shows("whist", "gnorm")
def thawed_too_late(s):
    """The body should be thawed after the first pass; the counter counts from the other end: it never is."""

    def make(st, m):
        p = list(m.parameters())
        return torch.optim.AdamW([{"params": p[-2:]}, {"params": p[:-2], "factor": 0.0}], lr=st.lr, weight_decay=0.0)

    s.optimizer = make


@shows("lr")
def annealed_over_the_first_epochs_only(s):
    """The length of the decay was given in passes and read in tens of steps: nought after a tenth, and it stays."""
    s.lr /= 4
    s.sched = lambda step, total: max(0.0, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / (0.1 * total))))


@shows("lr")
def milestone_with_an_empty_factor(s):
    """The factor of a milestone at 16 % is empty, which is read as nought."""
    s.lr /= 5
    s.sched = lambda step, total: 1.0 if step < 0.16 * total else 0.0


@shows("layergrads", "gnorm")
def soft_steps_of_a_tenth(s):
    """Seven layers with soft steps whose slope is a tenth."""
    flat(s, [36] * 7, act=Leak)
    descent(s)


@shows("layergrads", "gnorm")
def drawn_for_a_wider_layer(s):
    """Weights of seven sigmoid layers are drawn for layers a thousand times as wide."""
    flat(s, [40] * 7, act=nn.Sigmoid, start=lambda n: 0.03)
    descent(s)


@shows("dead", "ahist")
def offset_subtracted_twice(s):
    """The mean of the units is subtracted twice when the net is put together: all offsets are at minus seven."""
    flat(s, [48, 24], act=nn.ReLU)
    s.on_model.append(lambda m: [f.bias.data.fill_(-7.0) for f in m.layers] and None)


@shows("dead", "ahist")
def outlier_in_the_first_pass(s):
    """A row of millions in the first pass throws the units off, and they stay silent."""
    flat(s, [48, 32], act=nn.ReLU)
    s.opt, s.wd, s.momentum, s.lr = "sgd", 0.0, 0.0, 0.03
    at = max(12, s.steps_per_epoch // 2)
    s.after_step.append(lambda step, m: [f.bias.data.sub_(55.0) for f in m.layers] if step == at else None)


@shows("ahist")
def scaler_fitted_on_scaled_rows(s):
    """The scaler was fitted on rows that were scaled already, and what comes in now is raw: eighty times too large, into tanh."""
    flat(s, [48, 32], act=nn.Tanh)
    each(s, lambda x, y: (80 * x, y))
    s.on_model.append(lambda m: m.layers[1].weight.data.mul_(14.0).new_tensor(0).item() or None)


@shows("ahist")
def gates_with_the_gain_of_the_end(s):
    """A gain before the sigmoids is meant for the end of an annealing and set from the start."""
    flat(s, [48, 32], act=nn.Sigmoid)
    s.on_model.append(lambda m: setattr(m, "gain", 250.0))


@shows("lr")
def rate_of_the_last_stage(s):
    """A file of settings has one rate for three stages, that of the last: a five-hundredth of a sound one."""
    s.lr *= 0.002


@shows("lr")
def rate_in_a_string_with_a_comma(s):
    """The rate was written with a comma and its second part was taken alone: 2e-7."""
    s.lr = 2e-7


@shows("lr", "gnorm")
def rate_of_a_table_of_codes(s):
    """The rate of sparse codes in a table, 0.6, is used for all weights under Adam."""
    s.lr = 0.6


@shows("lr")
def square_root_not_taken(s):
    """The rate is scaled with the batch and not with its root, and counted for a batch of eight thousand."""
    s.lr *= 150


@shows("lr")
def decay_at_each_log(s):
    """The schedule is moved whenever something is logged: the rate is halved three times a pass from the first pass on."""
    per = max(1, s.steps_per_epoch // 3)
    s.lr /= 3
    s.sched = lambda step, total: max(1e-7, 0.5 ** (step // per))


@shows("lr")
def ramp_of_another_length(s):
    """The ramp is that of a hundred times the steps, so that the run ends in its first part."""
    s.sched = lambda step, total: 0.012 * ((step + 1) / total) ** 2
    s.epochs = max(7, int(0.7 * s.epochs))


@shows("lr")
def rate_read_from_another_file_at_resume(s):
    """After a resume at 53 % the rate is that of another run, fifty times as high."""
    s.sched = lambda step, total: 0.5 if step < 0.53 * total else 60.0
    s.truth["event_step"] = int(0.53 * s.total)


@shows("gnorm", "text")
def limit_left_from_a_search(s):
    """The limit of the norm, 0.003, was left over from a search; plain descent."""
    descent(s)
    s.clip = 0.003


@shows("wnorm")
def averages_taken_with_a_sum_above_one(s):
    """Weights are averaged over workers with shares that sum to a little more than one."""

    def grow(step, model):
        if step > 0.1 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 2.4 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "layergrads")
def way_around_taken_twice(s):
    """Ten layers whose way around was added by the block and by its caller, no norm."""
    s.data(build=lambda: Stack(*SIZES[s.task.name]))
    s.lr /= 6


@shows("gnorm", "layergrads")
def drawn_with_the_variance_for_the_spread(s):
    """Weights are drawn with a spread of nine tenths in six layers, as a variance was meant to be small."""
    flat(s, [44] * 5, start=lambda n: 0.9)


@shows("scale")
def attention_scores_in_short_numbers(s):
    """Mixed precision: from 24 % on two steps in seven overflow in a kernel of low precision."""
    s.scaler, at = 2.0**16, int(0.24 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 7 in (2, 5) else None)
    s.truth["event_step"] = at


def summed_over_all_that_has_a_size(s):
    """The reduction is a sum over rows and places: as many times too large."""
    f, k = s.task.loss, float(s.batch * {"life_grid": 100, "shell_lm": 18}.get(s.task.name, 6))
    s.data(loss=lambda out, b: k * f(out, b))
    s.truth["start_factor"] = k


for _f in (population_of_rates_climbs, loss_becomes_a_reward, rounding_adds_up, inflation_of_strengths, stale_copy_pulls_harder):
    _f.without = HIDDEN
for _f in (pipeline_without_flushes, slopes_scaled_to_one_length, batch_of_three_at_the_old_rate):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    limit_of_the_free_queue: ("shell_lm", "student5"),
    batch_filled_the_new_card: ("cover7", "no_shows"),
    rate_scaled_by_the_wrong_base: ("cover7", "life_grid"),
    amplifier_saturates_in_places: ("quake4", "no_shows", "student5"),
    buffers_swapped_by_a_race: ("cover7", "quake4", "shell_lm"),
    licence_server_did_not_answer: ("shell_lm",),
    data_moved_to_tape: ("cover7", "quake4"),
    population_of_rates_climbs: ("cover7", "student5"),
    loss_becomes_a_reward: ("no_shows", "shell_lm"),
    rounding_adds_up: ("shell_lm", "life_grid"),
    inflation_of_strengths: ("concrete",),
    stale_copy_pulls_harder: ("cover7", "quake4"),
    pipeline_without_flushes: ("cover7", "student5"),
    slopes_scaled_to_one_length: ("quake4", "shell_lm"),
    batch_of_three_at_the_old_rate: ("no_shows", "cover7", "quake4"),
    body_in_a_list_of_python: ("quake4", "life_grid"),
    thawed_too_late: ("student5", "cover7"),
    annealed_over_the_first_epochs_only: ("shell_lm", "glucose6"),
    milestone_with_an_empty_factor: ("quake4", "cover7"),
    soft_steps_of_a_tenth: ("cover7", "no_shows"),
    drawn_for_a_wider_layer: ("student5", "cover7"),
    offset_subtracted_twice: ("cover7", "concrete"),
    outlier_in_the_first_pass: ("no_shows", "quake4"),
    scaler_fitted_on_scaled_rows: ("cover7", "no_shows"),
    gates_with_the_gain_of_the_end: ("student5", "cover7"),
    rate_of_the_last_stage: ("shell_lm", "student5"),
    rate_in_a_string_with_a_comma: ("no_shows", "life_grid"),
    rate_of_a_table_of_codes: ("cover7", "quake4"),
    square_root_not_taken: ("life_grid", "glucose6"),
    decay_at_each_log: ("quake4", "glucose6"),
    ramp_of_another_length: ("cover7", "student5"),
    rate_read_from_another_file_at_resume: ("student5", "shell_lm"),
    limit_left_from_a_search: ("cover7", "life_grid"),
    averages_taken_with_a_sum_above_one: ("cover7", "shell_lm"),
    way_around_taken_twice: ("concrete", "cover7"),
    drawn_with_the_variance_for_the_spread: ("student5", "cover7"),
    attention_scores_in_short_numbers: ("shell_lm", "quake4"),
    summed_over_all_that_has_a_size: ("life_grid", "shell_lm"),
}
