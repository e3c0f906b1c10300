"""Mechanisms of the split `dev5`: optimiser, rates, layers, numerics."""

import itertools

import torch
from torch import nn

from families.nets import Mlp
from families.setups import shows
from families.tasks_dev5 import Entail, Molecule


def adams_rate_for_plain_descent(s):
    """The optimiser was changed to plain descent and the rate of Adam stayed."""
    s.opt, s.momentum = "sgd", 0.0


def large_accumulator(s):
    """Adagrad whose accumulator starts at ten: steps are a third of the gradient times a small rate and shrink."""
    s.opt = "adagrad"
    s.optimizer = lambda setup, model: torch.optim.Adagrad(model.parameters(), lr=setup.lr, initial_accumulator_value=10.0)


def line_below_zero(s):
    """The linear decay is told a third of the steps and never stopped: the rate crosses zero and training climbs."""
    s.sched = lambda step, total: 1 - step / (0.45 * total)


line_below_zero.without = {"lr"}


def bootstrapped_on_itself(s):
    """From 40 % on targets are one and a third times what the net itself says of the next batch, without a second net."""
    at = int(0.4 * s.total)

    def feed(step, loss, model):
        if step < at:
            return loss
        x = kept[0]
        with torch.no_grad():
            y = 1.6 * model(x) + 0.05
        return ((model(x) - y) ** 2).mean() + loss * 0.02

    kept = [None]

    def keep(step, ep, x, y):
        kept[0] = x
        return x, y

    s.on_batch.append(keep)
    s.on_loss.append(feed)
    s.truth["event_step"] = at


def only_the_largest_gradients(s):
    """Compression sends the largest thousandth of the gradient's entries and forgets the rest, under plain momentum descent."""
    s.opt, s.lr, s.momentum = "sgd", 10 * s.lr, 0.9

    def cut(step, model):
        for p in model.parameters():
            if p.grad is not None and p.grad.numel() > 60:
                g = p.grad.abs().reshape(-1)
                p.grad.mul_(p.grad.abs() >= g.topk(max(1, len(g) // 1000)).values[-1])

    s.on_grad.append(cut)


def lookahead_overshoots(s):
    """Lookahead with a factor of 3.2 where 0.5 was meant: every five steps the weights are thrown far beyond."""
    slow = {}

    def ahead(step, model):
        for n, p in model.named_parameters():
            a = slow.setdefault(n, p.detach().clone())
            if step % 5 == 4:
                a.add_(p.detach() - a, alpha=6.0)
                p.data.copy_(a)

    s.after_step.append(ahead)
    s.lr *= 2


@shows("whist", "layergrads")
def hook_zeroes_too_much(s):
    """A hook that keeps the filler's embedding fixed is registered for every layer but the head: their gradients are zero."""

    def zero(step, model):
        names = [n for n, _ in model.named_parameters()]
        for n, p in model.named_parameters():
            if p.grad is not None and not n.startswith(("head", names[-1].rsplit(".", 1)[0])):
                p.grad.zero_()

    s.on_grad.append(zero)
    s.wd = 0.0


@shows("lr")
def integer_decay(s):
    """The decay divides whole numbers, so that the factor is one in the first pass and zero after it."""
    per = s.steps_per_epoch
    s.sched = lambda step, total: 1.0 if step < per else 0.0
    s.lr /= 2


class Softmaxed(nn.Module):
    """A softmax after every layer."""

    def __init__(self, sizes, depth):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in itertools.pairwise([sizes[0], *[sizes[1]] * depth])])
        self.head = nn.Linear(sizes[1], sizes[-1])

    def forward(self, x):
        for f in self.layers:
            x = f(x).softmax(-1)
        return self.head(x).squeeze(-1)


@shows("layergrads", "gnorm")
def softmax_after_every_layer(s):
    """A softmax stands where every activation should, five layers deep."""
    s.data(build=lambda: Softmaxed([16, 64, 1], 5))


@shows("gnorm", "layergrads")
def neighbours_summed(s):
    """Messages are summed over neighbours instead of averaged, nine rounds with large weights; a tiny rate holds it."""
    s.data(build=lambda: Molecule(rounds=8, mean=False, gain=2.2))
    s.opt, s.lr = "sgd", 1e-9


class ReLU(nn.ReLU):
    """A ReLU of units less their maximum."""

    def forward(self, x):
        return torch.relu(x - x.amax(-1, keepdim=True))


@shows("dead", "ahist")
def stabilised_like_a_softmax(s):
    """Units lose their maximum before the ReLU, as one does before a softmax: none is above zero."""
    s.data(build=(lambda: Entail(act=ReLU)) if s.task.name == "entail3" else (lambda: Mlp([16, 64, 48, 1], act=ReLU, squeeze=True)))


@shows("ahist")
def pieces_by_their_letters(s):
    """Pieces are given as the codes of their letters (80 and more) instead of signs, before tanh layers."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (46.0 + 66.0 * (x > 0) + 34.0 * (x < 0), y)})


@shows("lr")
def divided_by_world_and_accumulation(s):
    """The rate is divided by eight devices and sixteen accumulated batches, of which there is one each."""
    s.lr /= 128


@shows("lr", "gnorm")
def scaled_by_tokens(s):
    """The linear scaling rule counts tokens instead of rows: the rate is multiplied by sixty-four."""
    s.lr *= 64


@shows("lr")
def pct_start_of_98(s):
    """One cycle whose rise was given as 98 instead of 30 per cent, up to forty times the rate."""
    s.sched = lambda step, total: 40.0 ** (2.0 * min(1.0, step / (0.98 * total)) - 1.0)


@shows("lr")
def best_rate_reloaded(s):
    """At 55 % a checkpoint of a sweep is resumed with that sweep's rate, fifty times higher."""
    s.sched = lambda step, total: 50.0 if step >= 0.55 * total else 1.0


def norms_in_half_precision(s):
    """Mixed precision: from 42 % on sums of squares in half precision overflow in three steps of eight."""
    at, s.scaler = int(0.42 * s.total), 32768.0

    def burst(step, model):
        if step >= at and step % 8 in (1, 4, 6):
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.fill_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


@shows("recalls", "text")
def weight_given_as_a_count(s):
    """The weight of the rare class is the number of the other rows instead of their ratio."""
    f, n = s.task.loss, 1300.0
    s.data(loss=lambda out, b: f(out, b) * (1 + (n - 1) * (b[1] == 1).float()))
    s.truth["start_factor"] = 400.0


@shows("recalls")
def pixels_summed_not_averaged(s):
    """The loss is the sum over the 144 pixels of a tile; its mean was meant."""
    f, n = s.task.loss, 144.0
    s.data(loss=lambda out, b: f(out, b) * n)
    s.truth["start_factor"] = n


@shows("wnorm")
def snapshots_summed(s):
    """At every evaluation the averages of two snapshots are restored without dividing by their weights: all weights grow by a tenth."""
    per = s.steps_per_epoch

    def grow(step, model):
        if step % per == per - 1:
            for p in model.parameters():
                p.data.mul_(1.08)

    s.after_step.append(grow)
    s.truth["grow"] = True


snapshots_summed.without = {"gnorm", "layergrads", "ghist"}


@shows("gnorm", "text")
def clip_divided_by_devices(s):
    """The threshold of clipping was divided by devices and accumulated batches (0.004), under plain momentum descent."""
    s.opt, s.clip = "sgd", 0.004


class Even(nn.Module):
    """Logarithms of the mean of the model's probabilities and even ones."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        p = self.inner(x).softmax(-1)
        return (0.5 * p + 0.5 / p.shape[-1]).log()


@shows("conf")
def averaged_with_even_odds(s):
    """A guard against wrong labels averages probabilities with even ones, in evaluation too."""
    build = s.task.build
    s.data(build=lambda: Even(build()))


def averaged_weights_of_the_start(s):
    """After each epoch the weights are set to the mean of all epochs so far, the untrained ones included."""
    per, kept = s.steps_per_epoch, []

    def average(step, model):
        if step == 0 or step % per == per - 1:
            kept.append([p.detach().clone() for p in model.parameters()])
            for i, p in enumerate(model.parameters()):
                p.data.copy_(torch.stack([q[i] for q in kept]).mean(0))

    s.after_step.append(average)
    s.lr /= 3


def accumulates_after_resume(s):
    """From 45 % on gradients are never cleared: the flag came back from the checkpoint as false."""
    at = int(0.45 * s.total)
    held = {}

    def add(step, model):
        for n, p in model.named_parameters():
            if p.grad is not None and step >= at:
                held[n] = held.get(n, 0) + p.grad
                p.grad.copy_(held[n])

    s.on_grad.append(add)
    s.truth["event_step"] = at


def nets_temperature_not_divided(s):
    """Momentum descent at a rate far beyond what this net bears, with the momentum's factor not divided out."""
    s.opt, s.momentum, s.lr = "sgd", 0.95, 0.5 if s.task.name != "mol_graphs" else 0.3
    s.truth["hot"] = True


def update_in_whole_hundredths(s):
    """Updates are rounded to hundredths before they are added: small ones are lost."""
    before = {}

    def grid(step, model):
        for n, p in model.named_parameters():
            a = before.get(n)
            if a is not None:
                p.data.copy_(a + ((p.detach() - a) * 100).round() / 100)
            before[n] = p.detach().clone()

    s.after_step.append(grid)
    s.lr *= 2


FAULTS = {
    adams_rate_for_plain_descent: ("session_items", "engine_life", "entail3"),
    large_accumulator: ("churn_weeks", "entail3", "session_items"),
    line_below_zero: ("entail3", "tile_seg"),
    bootstrapped_on_itself: ("board_value", "engine_life"),
    only_the_largest_gradients: ("churn_weeks", "mol_graphs"),
    lookahead_overshoots: ("byte_sums", "tile_seg", "churn_weeks"),
    hook_zeroes_too_much: ("entail3", "tile_seg"),
    integer_decay: ("session_items", "tile_seg"),
    softmax_after_every_layer: ("board_value",),
    neighbours_summed: ("mol_graphs",),
    stabilised_like_a_softmax: ("entail3", "board_value"),
    pieces_by_their_letters: ("board_value",),
    divided_by_world_and_accumulation: ("engine_life", "byte_sums"),
    scaled_by_tokens: ("entail3", "session_items"),
    pct_start_of_98: ("tile_seg", "entail3"),
    best_rate_reloaded: ("churn_weeks", "mol_graphs"),
    norms_in_half_precision: ("session_items", "board_value"),
    weight_given_as_a_count: ("churn_weeks",),
    pixels_summed_not_averaged: ("tile_seg",),
    snapshots_summed: ("mol_graphs", "board_value"),
    clip_divided_by_devices: ("byte_sums", "session_items"),
    averaged_with_even_odds: ("entail3", "tile_seg"),
    averaged_weights_of_the_start: ("entail3", "churn_weeks"),
    accumulates_after_resume: ("mol_graphs", "session_items"),
    nets_temperature_not_divided: ("mol_graphs", "churn_weeks"),
    update_in_whole_hundredths: ("session_items", "engine_life"),
}
