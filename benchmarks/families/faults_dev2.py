"""More mechanisms of the split `dev`: gradients, weights, optimiser, numerics, labels."""

import numpy as np
import torch
from torch import nn

from families import nets
from families.training import squared


def deep_small_tanh(s):
    """Fourteen tanh layers that start far too small."""
    d, k = s.task.train[0].shape[1], max(1, s.task.classes)

    def build():
        m = nets.Mlp([d] + [48] * 14 + [k], act=nn.Tanh, squeeze=s.task.kind == "reg")
        for p in m.parameters():
            p.data.mul_(0.35)
        return m

    s.data(build=build)


def recurrent_gain(s):
    """The recurrent weights start with a gain of six and nothing clips."""

    def gain(model):
        for n, p in model.named_parameters():
            if "rnn.weight" in n:
                p.data.mul_(9)
            if "emb" in n:
                p.data.mul_(6)

    s.on_model.append(gain)
    s.opt, s.lr, s.momentum = "sgd", 0.4, 0.9


def growing_head(s):
    """A sign error turns the decay of the head into growth; its gradients follow."""

    def grow(step, model):
        with torch.no_grad():
            list(model.parameters())[-2].mul_(1 + 4.5 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


def bias_minus_six(s):
    """A bias initialiser of -6 in front of every ReLU."""

    def low(model):
        for n, p in model.named_parameters():
            if p.dim() == 1 and n.startswith(("net.", "body.")) and not n.endswith("weight"):
                p.data.fill_(-6.0)

    s.on_model.append(low)


def input_times_40(s):
    """Inputs are not standardised (forty times too large) before tanh layers."""
    d, k = s.task.train[0].shape[1], max(1, s.task.classes)
    s.data(build=lambda: nets.Mlp([d, 64, 64, k], act=nn.Tanh, squeeze=s.task.kind == "reg"))
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x * 40 + 15, y)})


def encoder_without_gradient(s):
    """requires_grad is False for everything but the last layer, by a wrong prefix."""

    def freeze(model):
        named = list(model.named_parameters())
        for n, p in named:
            p.requires_grad_(n.startswith("head") or n in (named[-1][0], named[-2][0]))

    s.on_model.append(freeze)
    s.truth["frozen"] = "encoder"


def clip_tiny(s):
    """Gradients are clipped to a norm of 0.002 under plain SGD."""
    s.opt, s.lr, s.momentum, s.clip = "sgd", 0.5, 0.9, 0.004
    s.epochs = max(10, s.epochs // 2)


def cosine_ends_early(s):
    """The cosine's length was given in epochs where it counts steps; after it the rate stays 0."""
    n = max(8, int(s.total * 0.12))
    s.sched = lambda step, total: 0.5 * (1 + np.cos(np.pi * min(step, n) / n))


def rate_zero_by_config(s):
    """The learning rate of the file is rounded to 0."""
    s.sched = lambda step, total: 0.0


def adam_rate_1(s):
    """Adam with a learning rate of 0.6."""
    s.lr = 0.6


def sgd_rate_for_adam(s):
    """Adam with SGD's rate of 0.12, in a network without norm layers."""
    s.lr = 0.12


def rate_over_300(s):
    """The learning rate is 300 times too small."""
    s.lr /= 300
    s.truth["lr_factor"] = 1 / 300


def jump_at_resume(s):
    """At the resume the rate is multiplied by the number of devices again (30 times)."""
    at = int(s.total * 0.5)
    s.sched = lambda step, total: 1.0 if step < at else 30.0
    s.truth["event_step"] = at


def scaler_and_outliers(s):
    """Mixed precision: from half time on one batch in six overflows, and the loss scale falls again and again."""
    at, s.scaler = int(s.total * 0.4), 1024.0

    def burst(step, model):
        if step >= at and step % 6 == 0:
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(float("inf"))

    s.on_grad.append(burst)
    s.truth["event_step"] = at


def softmax_before_ce(s):
    """The model ends in a softmax and the loss takes it for logits."""
    s.on_out.append(lambda step, out: out.softmax(-1))
    k = s.task.classes
    s.truth["floor"], s.truth["twice"] = float(np.log(np.e + k - 1) - 1), True


def summed_loss(s):
    """The loss is the sum over the batch instead of its mean; so is the one of validation, over its batches of the same size."""
    s.lr /= 8
    f = s.task.loss
    n = float(s.batch)
    s.data(loss=lambda out, b: f(out, b) * n)
    s.truth["start_factor"] = n


def squared_error_on_classes(s):
    """Class indices are regressed as numbers; the loss has another start and another scale than ln K."""
    s.data(loss=lambda out, b: squared(out.softmax(-1), nn.functional.one_hot(b[1], out.shape[-1]).float()))
    s.lr /= 6


def random_labels(s):
    """A part of all labels, in training and in validation, is drawn at random."""
    g = np.random.default_rng(s.seed)
    for part in ("train", "val"):
        x, y = getattr(s.task, part)
        flip = torch.as_tensor(g.random(y.shape) < 0.45)
        y = torch.where(flip, torch.as_tensor(g.integers(0, s.task.classes, y.shape)), y)
        s.data(**{part: (x, y)})
    s.epochs = int(s.epochs * 2.2)
    s.truth["noise"] = 0.45


def label_in_a_column(s):
    """A column of the table is written after the outcome and holds it."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.cat([x[:, :-1], (y.float().reshape(-1, 1) - y.float().mean()) * 2.5], 1), y)})
    s.truth["leak"] = True


def five_epochs_only(s):
    """The budget ends long before the loss does."""
    s.lr, s.epochs = s.lr / 6, max(8, s.epochs // 2)


def two_hidden_units(s):
    """A network with two hidden units."""
    d, k = s.task.train[0].shape[1], max(1, s.task.classes)
    s.data(build=lambda: nets.Mlp([d, 2, 2, k], squeeze=s.task.kind == "reg"))


def gradients_never_cleared(s):
    """zero_grad was forgotten: gradients add up over all steps."""
    s.zero_grad, s.opt, s.lr, s.momentum = False, "sgd", 0.05, 0.0


def accumulation_not_averaged(s):
    """Gradients of eight batches are summed under a rate tuned for their mean."""
    s.accum, s.accum_mean, s.batch, s.opt, s.lr = 8, False, 16, "sgd", 0.35
    s.truth["hot"] = True
    s.epochs *= 2


def slow_storage(s):
    """The cache is full at 60 %: every batch then comes from slow storage."""
    s.seconds = lambda step, total: 1.0 if step < 0.6 * total else 9.0
    s.truth["event_step"], s.truth["slow"] = int(0.6 * s.total), 9.0


def hours_without_a_step(s):
    """One step takes four hours: a lock of the file system."""
    at = int(0.45 * s.total)
    s.seconds = lambda step, total: 40000.0 if step == at else 1.0
    s.truth["event_step"], s.truth["gap"] = at, True


FAULTS = {
    deep_small_tanh: ("blobs5", "friedman"),
    recurrent_gain: ("tag_gru",),
    growing_head: ("blobs5", "shapes_cnn", "tag_gru"),
    bias_minus_six: ("blobs5", "friedman"),
    input_times_40: ("blobs5", "friedman"),
    encoder_without_gradient: ("shapes_cnn", "tag_gru", "modadd_tf"),
    clip_tiny: ("blobs5", "shapes_cnn"),
    cosine_ends_early: ("modadd_tf", "blobs5"),
    rate_zero_by_config: ("discs_seg", "blobs5"),
    adam_rate_1: ("tag_gru", "modadd_tf"),
    sgd_rate_for_adam: ("blobs5", "friedman", "modadd_tf"),
    rate_over_300: ("blobs5", "shapes_cnn", "tag_gru"),
    jump_at_resume: ("blobs5", "tag_gru", "friedman"),
    scaler_and_outliers: ("blobs5", "friedman"),
    softmax_before_ce: ("blobs5", "shapes_cnn", "tag_gru"),
    summed_loss: ("blobs5", "tag_gru"),
    random_labels: ("blobs5", "shapes_cnn"),
    label_in_a_column: ("blobs5", "friedman"),
    five_epochs_only: ("curves_vae", "friedman", "tag_gru"),
    two_hidden_units: ("blobs5", "friedman"),
    gradients_never_cleared: ("blobs5", "friedman"),
    accumulation_not_averaged: ("blobs5", "friedman"),
    slow_storage: ("shapes_cnn", "curves_vae"),
    hours_without_a_step: ("friedman", "dpo_toy"),
}
