"""Mechanisms of the split `sealed5`: optimiser, rates, layers, numerics."""

import math

import torch
from torch import nn

from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed5 import Pair

SIZES = {"record_tags": [22, 72, 48, 12], "arm_reach": [6, 48, 32, 3], "clone_grid": [8, 64, 48, 4]}


def reversal_grows(s):
    """The weight of a reversed gradient, meant for a domain's head, grows on the task's own from 45 % on and passes one."""
    at = int(0.45 * s.total)

    def weigh(step, model):
        lam = max(0.0, (step - at) / (0.2 * s.total))
        for p in model.parameters():
            if p.grad is not None:
                p.grad.mul_(1 - min(lam, 1.6))

    s.on_grad.append(weigh)
    s.truth["event_step"] = at


def leash_to_the_start(s):
    """A constraint from continual learning keeps all weights within a small ball around where they started."""
    start = {}

    def hold(step, model):
        for n, p in model.named_parameters():
            a = start.setdefault(n, p.detach().clone())
            d = p.data - a
            p.data.copy_(a + d * min(1.0, 0.3 * float(a.norm() + 0.1) / float(d.norm() + 1e-9)))

    s.after_step.append(hold)


class Stops(nn.Module):
    """Joints that cannot leave a quarter of their range."""

    def forward(self, x):
        return 0.45 * torch.tanh(x)


def joints_at_their_stops(s):
    """A bound on the joints' angles was given in turns instead of radians: they cannot leave a narrow range."""
    s.data(build=lambda: nn.Sequential(Mlp(SIZES["arm_reach"], act=nn.Tanh), Stops()))


def signs_of_gradients_only(s):
    """Gradients are sent as signs times a hundredth to save bandwidth, under momentum and a rate that was never lowered."""
    s.opt, s.lr, s.momentum = "sgd", 0.22, 0.9

    def sign(step, model):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.sign_().mul_(0.01)

    s.on_grad.append(sign)


@shows("whist", "layergrads")
def reloaded_after_every_step(s):
    """A callback loads the pretrained encoder again after every step: its weights never change."""
    first = {}

    def reload(step, model):
        named = [(n, p) for n, p in model.named_parameters() if not n.startswith(("head", "scale", "bias"))]
        for n, p in named[: max(2, len(named) * 2 // 3)]:
            p.data.copy_(first.setdefault(n, START[id(model)][n]))

    def keep(model):
        START.clear()
        START[id(model)] = {n: p.detach().clone() for n, p in model.named_parameters()}

    s.on_model.append(keep)
    s.after_step.append(reload)
    s.wd = 0.0


START: dict = {}


@shows("lr")
def overwritten_by_the_second_stage(s):
    """From 12 % on the configuration of a second stage, which trains nothing here, overwrites the rate with 0."""
    s.sched = lambda step, total: 1.0 if step < 0.12 * total else 0.0
    s.lr /= 2


class Gated(nn.Module):
    """Layers of a gate times a value; the carried part was left out."""

    def __init__(self, sizes, depth):
        super().__init__()
        n = sizes[1]
        self.first = nn.Linear(sizes[0], n)
        self.gates = nn.ModuleList([nn.Linear(n, n) for _ in range(depth)])
        self.values = nn.ModuleList([nn.Linear(n, n) for _ in range(depth)])
        self.head = nn.Linear(n, sizes[-1])
        for g in self.gates:
            nn.init.constant_(g.bias, -4.0)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        for g, v in zip(self.gates, self.values, strict=True):
            h = torch.sigmoid(g(h)) * torch.tanh(v(h))
        return self.head(h)


@shows("layergrads", "gnorm")
def gates_without_carry(s):
    """Sixteen highway layers whose gates start closed and whose carried part was forgotten."""
    sizes = SIZES[s.task.name]
    s.data(build=lambda: Gated(sizes, 16))


class Unrolled(nn.Module):
    """One block applied many times."""

    def __init__(self, sizes, times):
        super().__init__()
        self.first, self.block, self.head = nn.Linear(sizes[0], 48), nn.Linear(48, 48), nn.Linear(48, sizes[-1])
        self.times = times
        nn.init.orthogonal_(self.block.weight, 0.9)

    def forward(self, x):
        h = self.first(x)
        for _ in range(self.times):
            h = h + torch.relu(self.block(h))
        return self.head(h)


@shows("gnorm", "layergrads")
def one_block_again_and_again(s):
    """A recursive net applies one block fourteen times without a norm; plain momentum descent holds it with a tiny rate."""
    sizes = SIZES[s.task.name]
    s.data(build=lambda: Unrolled(sizes, 14))
    s.opt, s.lr = "sgd", 1e-6


@shows("recalls", fine=True)
def logits_of_another_temperature(s):
    """The logits are multiplied by a hundred and fifty, the end of a learned temperature of another model, from the first step on."""

    class Scaled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return 150.0 * self.inner(x)

    build = s.task.build
    s.data(build=lambda: Scaled(build()))
    s.truth["start_factor"] = 6.0


class ReLU(nn.ReLU):
    """A ReLU after the sum of all units was taken from each."""

    def forward(self, x):
        return torch.relu(x - 1.5 * x.abs().sum(-1, keepdim=True))


@shows("dead", "ahist")
def inhibition_of_all_by_all(s):
    """Lateral inhibition subtracts the sum over all units where their mean was meant: none fires."""
    sizes = SIZES.get(s.task.name)
    s.data(build=(lambda: Mlp(sizes, act=ReLU)) if sizes else (lambda: Pair(act=ReLU)))


@shows("ahist", "gnorm")
def logarithm_undone(s):
    """Columns are exponentiated to undo a logarithm that was never taken, twice over; tanh layers."""
    sizes = SIZES[s.task.name]
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.expm1(4.5 * x.abs()) * x.sign() * 4, y)})
    s.data(build=lambda: Mlp(sizes, act=nn.Tanh))


@shows("lr")
def micro_for_milli(s):
    """The rate was written in millionths where thousandths were meant."""
    s.lr /= 1000


@shows("lr", "gnorm")
def multiplied_by_the_width(s):
    """The rule for wide nets is applied upside down: the rate is multiplied by the width."""
    s.lr *= 72


@shows("lr")
def range_test_in_the_middle(s):
    """At 60 % a test of rates that another script scheduled runs for a tenth of the run at ninety times the rate."""
    s.sched = lambda step, total: 90.0 if 0.6 <= step / total < 0.7 else 1.0


@shows("lr")
def schedule_fed_with_itself(s):
    """The decayed rate of each epoch is taken as the base of the next decay: the rate falls with the square of the time."""
    s.sched = lambda step, total: max(2e-5, math.exp(-26 * (step / total) ** 2))
    s.lr /= 2


def reduced_in_half_precision(s):
    """Mixed precision: from 50 % on the sum over ranks leaves the half range in two steps of seven."""
    at, s.scaler = int(0.5 * s.total), 16384.0

    def burst(step, model):
        if step >= at and step % 7 in (1, 4):
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.fill_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


def momentum_near_one(s):
    """Momentum descent with a momentum of 0.998 and a rate that was tuned without."""
    s.opt, s.momentum, s.lr = "sgd", 0.998, 0.15
    s.truth["hot"] = True


def weights_kept_on_a_grid(s):
    """Weights live on a grid of sixths for an integer device, rounded after every step: small steps are lost."""

    def snap(step, model):
        for p in model.parameters():
            p.data.mul_(6).round_().div_(6)

    s.after_step.append(snap)


FAULTS = {
    reversal_grows: ("arm_reach", "ecg_beats"),
    leash_to_the_start: ("clone_grid", "record_tags"),
    joints_at_their_stops: ("arm_reach",),
    signs_of_gradients_only: ("same_writer", "pose_keys"),
    reloaded_after_every_step: ("clone_grid", "pose_keys"),
    overwritten_by_the_second_stage: ("kg_links", "ecg_beats"),
    gates_without_carry: ("record_tags", "clone_grid"),
    one_block_again_and_again: ("record_tags", "clone_grid"),
    logits_of_another_temperature: ("clone_grid", "ecg_beats"),
    inhibition_of_all_by_all: ("record_tags", "clone_grid"),
    logarithm_undone: ("record_tags", "clone_grid"),
    micro_for_milli: ("arm_reach", "same_writer"),
    multiplied_by_the_width: ("clone_grid", "ecg_beats"),
    range_test_in_the_middle: ("record_tags", "pose_keys"),
    schedule_fed_with_itself: ("kg_links", "ecg_beats"),
    reduced_in_half_precision: ("pose_keys", "same_writer"),
    momentum_near_one: ("ecg_beats", "same_writer"),
    weights_kept_on_a_grid: ("arm_reach", "record_tags"),
}
