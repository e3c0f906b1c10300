"""More mechanisms of the split `dev4`: gradients, weights, optimiser, schedule, numerics, loss."""

import numpy as np
import torch
from torch import nn

from families import nets
from families.faults_dev4 import rows
from families.nets4 import Mixed, Points, Residual
from families.setups import shows
from families.tasks_dev4 import SIZES


def same_start(s):
    """All weights of a layer start at one number: its units stay copies of each other."""

    def flat(model):
        for p in model.parameters():
            if p.dim() > 1:
                nn.init.constant_(p, 1.0 / p.shape[1])

    s.on_model.append(flat)


@shows("lr")
def floor_too_early(s):
    """The decay was set per step: after a tenth of the run the rate lies at its floor of 0.4 %."""
    s.sched = lambda step, total: max(0.004, 0.004 ** (step / (0.1 * total)))


def floor_too_early_unseen(s):
    """As `floor_too_early`, at a floor of a hundredth; the rate is not logged."""
    s.sched = lambda step, total: max(0.006, 0.006 ** (step / (0.08 * total)))


floor_too_early_unseen.without = {"lr"}


@shows("lr")
def gamma_of_zero(s):
    """The decay factor of a step schedule was left at 0: from the first milestone on, at 12 %, the rate is 0."""
    s.sched = lambda step, total: 1.0 if step < 0.12 * total else 0.0


@shows("lr")
def rate_over_steps(s):
    """The rate was divided by the number of steps."""
    s.lr /= s.total


def hot_rate(s):
    """The rate of another, smaller model: thirty times what this one bears."""
    s.lr *= 30


hot_rate.without = {"lr"}


@shows("lr")
def rate_in_per_cent(s):
    """The rate was typed in per cent: a hundred times too large."""
    s.lr *= 100


def delayed_gradients(s):
    """An asynchronous worker: from 40 % on every gradient is twelve steps old, at three times the rate."""
    at, queue = int(s.total * 0.4), []
    s.lr *= 1.5
    s.sched = lambda step, total: 1.0 if step < at else 3.0

    def late(step, model):
        if step < at:
            return
        queue.append([None if p.grad is None else p.grad.clone() for p in model.parameters()])
        if len(queue) > 12:
            for p, g in zip(model.parameters(), queue.pop(0), strict=True):
                if g is not None:
                    p.grad.copy_(g)

    s.on_grad.append(late)
    s.truth.update(event_step=at, hot=True)


def momentum_near_one(s):
    """At 45 % a momentum schedule reaches 0.9997."""
    at = int(s.total * 0.45)
    s.optimizer = lambda setup, model: torch.optim.SGD(model.parameters(), setup.lr, momentum=0.9, weight_decay=setup.wd)
    s.lr = {"towers": 0.3, "keywords": 0.15, "clouds": 0.15, "anomaly_ae": 0.3, "counts": 0.03}[s.task.name]
    keep = []
    build = s.optimizer

    def make(setup, model):
        keep.append(build(setup, model))
        return keep[0]

    def change(step, model):
        if step == at:
            keep[0].param_groups[0]["momentum"] = 0.9997

    s.optimizer = make
    s.after_step.append(change)
    s.truth.update(event_step=at, hot=True)


class Divided(nn.Module):
    """A tanh whose result is divided by ten."""

    def __init__(self):
        super().__init__()
        self.act = nn.Tanh()

    def forward(self, x):
        return self.act(x) / 10


@shows("layergrads", "gnorm")
def divided_between_layers(s):
    """Ten layers, and after each one the units are divided by ten (a temperature meant for the output)."""
    d = s.task.train[0].shape[1]
    s.data(build=lambda: nets.Mlp([d, *[40] * 10, 1], act=Divided, squeeze=True))


@shows("layergrads", "gnorm", "lr")
def weights_of_gain_five(s):
    """Five layers whose weights start at five times the usual gain; descent with momentum."""

    def start(model):
        for p in model.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=5.0 / p.shape[1] ** 0.5)

    d = s.task.train[0].shape[1]
    s.data(build=lambda: nets.Mlp([d, *[48] * 5, 1], squeeze=True))
    s.on_model.append(start)
    s.opt, s.lr = "sgd", 2e-5


def times_world_size(s):
    """The loss is multiplied by the number of devices and logged as it is."""
    f = s.task.loss
    s.data(loss=lambda out, b: 8 * f(out, b))
    s.truth["start_factor"] = 8.0


@shows("dead", "ahist")
def activity_penalty(s):
    """A penalty on activity, a thousand times too strong, silences all units within the first steps."""
    acts = []

    def watch(model):
        for m in model.modules():
            if isinstance(m, nn.ReLU):
                m.register_forward_hook(lambda mod, i, out: acts.append(out.mean()) if out.requires_grad else None)

    def penalty(step, model):
        p = 60 * torch.stack(acts).sum()
        acts.clear()
        return p

    s.on_model.append(watch)
    s.on_penalty.append(penalty)


@shows("ahist")
def wide_embeddings(s):
    """Embeddings start with a deviation of 40 before tanh layers, and prices stay in thousands."""
    s.data(build=lambda: Mixed(SIZES, 8, act=nn.Tanh, std=40.0))
    s.lr /= 3


@shows("ahist")
def coordinates_in_millimetres(s):
    """Inputs are in millimetres before tanh layers, a thousand times larger than meant."""
    build = {
        "clouds": lambda: Points(5, act=nn.Tanh),
        "decay_pinn": Residual,
    }[s.task.name]
    s.data(build=build)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x * 1000, y)})


@shows("whist", "layergrads")
def body_under_no_grad(s):
    """The body runs under no_grad, left over from feature extraction: only the last layer learns."""
    s.wd = 0.0

    def cut(step, model):
        for p in list(model.parameters())[:-2]:
            p.grad = None

    s.on_grad.append(cut)
    s.truth["frozen"] = "body"


@shows(fine=True)
def long_inputs_overflow(s):
    """Mixed precision: from 45 % on, one batch in four has inputs that overflow the backward pass."""
    at, s.scaler = int(s.total * 0.45), 4096.0

    def burst(step, model):
        if step >= at and step % 4 == 1:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


@shows("gnorm", "text")
def clipped_per_mille(s):
    """Gradients are clipped to 0.004 under momentum descent: a thousandth where one was meant."""
    s.opt, s.momentum, s.clip = "sgd", 0.0, 0.004
    s.lr = 0.4


@shows("conf")
def noise_learned_by_heart(s):
    """A quarter of 260 labels is wrong; training goes on until all of them are learned."""
    g = torch.Generator().manual_seed(s.seed)
    x, y = rows(s.task.train, slice(0, 260))
    k = s.task.classes
    y = torch.where(torch.rand(len(y), generator=g) < 0.25, torch.randint(0, k, y.shape, generator=g), y)
    s.data(train=(x, y))
    s.batch, s.epochs, s.wd = 26, 50, 0.0
    s.truth["noise"] = 0.25


@shows("lr")
def restarts_at_the_top(s):
    """Warm restarts in every fifth of the run whose top is forty times the rate."""
    s.sched = lambda step, total: 40 * 0.5 * (1 + np.cos(np.pi * ((step * 5 / total) % 1))) + 0.01


@shows("wnorm", "gnorm")
def penalty_subtracted(s):
    """The L2 penalty is subtracted from the loss."""
    s.on_penalty.append(lambda step, model: -0.02 * sum((p**2).sum() for p in model.parameters() if p.dim() > 1))
    s.truth["grow"] = True


@shows("conf")
def temperature_of_ten(s):
    """The logits are divided by ten before the loss and in evaluation, with a decay that keeps the weights small."""
    f = s.task.build

    class Cool(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = f()

        def forward(self, x):
            return torch.tanh(self.inner(x)) * 1.1

    s.data(build=Cool)


FAULTS = {
    same_start: ("anomaly_ae", "clouds", "housing"),
    floor_too_early: ("chars_gru", "housing"),
    floor_too_early_unseen: ("keywords", "anomaly_ae"),
    gamma_of_zero: ("towers", "clouds"),
    rate_over_steps: ("keywords", "anomaly_ae"),
    hot_rate: ("towers", "housing", "chars_gru"),
    rate_in_per_cent: ("housing", "chars_gru"),
    delayed_gradients: ("towers", "clouds", "keywords"),
    momentum_near_one: ("keywords", "anomaly_ae", "clouds"),
    divided_between_layers: ("spam_bow", "counts"),
    weights_of_gain_five: ("spam_bow",),
    times_world_size: ("chars_gru", "clouds"),
    activity_penalty: ("spam_bow", "towers"),
    wide_embeddings: ("housing",),
    coordinates_in_millimetres: ("clouds",),
    body_under_no_grad: ("keywords", "housing"),
    long_inputs_overflow: ("chars_gru", "clouds"),
    clipped_per_mille: ("towers", "keywords"),
    noise_learned_by_heart: ("keywords", "clouds"),
    restarts_at_the_top: ("towers", "anomaly_ae"),
    penalty_subtracted: ("spam_bow", "anomaly_ae"),
    temperature_of_ten: ("keywords",),
}
