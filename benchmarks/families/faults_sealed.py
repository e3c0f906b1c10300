"""Mechanisms of the split `sealed`: data, loss, predictions."""

import numpy as np
import torch
from torch import nn

from families.faults_dev import rows


def annotators_disagree(s):
    """A quarter of the training labels was given by a careless annotator; training goes on until they are learned."""
    x, y = s.task.train
    g = np.random.default_rng(s.seed)
    flip = torch.as_tensor(g.random(y.shape) < 0.25)
    if s.task.kind == "bin":
        other = 1 - y
    elif s.task.name == "rank_pair":
        other = -y
    else:
        other = torch.as_tensor(g.integers(0, s.task.classes, y.shape))
    s.data(train=(x[:700], torch.where(flip, other, y)[:700]))
    s.epochs, s.wd = s.epochs * 5, 0.0
    s.truth["noise"] = 0.25


def wrong_fold(s):
    """Train and test folds are swapped: the model learns from the smallest one."""
    x, y = s.task.train
    s.data(train=(x[:130], y[:130]))
    s.batch, s.epochs = 16, int(s.epochs * 7)


def columns_swapped(s):
    """Validation reads the table with two groups of columns in another order."""

    def swap(done, x, y):
        k = x.shape[-1]
        order = torch.arange(k)
        order[: k // 2] = order[: k // 2].flip(0)
        return x[..., order], y

    s.on_val.append(swap)


def groups_split(s):
    """Training lacks a third of the classes; validation has them."""
    y = s.task.train[1]
    keep = torch.nonzero(y < s.task.classes * 2 // 3 if s.task.classes else y < 6).squeeze(1)
    s.data(train=rows(s.task.train, keep))
    s.epochs = int(s.epochs * 1.4)


def quiet_sensor(s):
    """Validation inputs lack the gain of the new sensor (0.35 of the amplitude) and carry an offset."""
    s.on_val.append(lambda done, x, y: (x * 0.35 - 0.8, y))


def sparse_penalty(s):
    """An L1 penalty on all weights that is a thousand times too strong."""
    s.on_penalty.append(lambda step, model: 0.03 * sum(p.abs().sum() for p in model.parameters() if p.dim() > 1) / 10)


def masked_columns(s):
    """A masking transform hides nine columns of ten, in training and in validation."""

    def mask(x):
        return torch.where(torch.rand_like(x) < 0.9, torch.zeros_like(x), x)

    s.on_batch.append(lambda step, ep, x, y: (mask(x), y))
    s.on_val.append(lambda done, x, y: (mask(x), y))


def loader_gives_zeros(s):
    """The decoder fails in silence: every input is zero."""
    s.on_batch.append(lambda step, ep, x, y: (x * 0, y))
    s.on_val.append(lambda done, x, y: (x * 0, y))


def targets_of_next_row(s):
    """A join shifts the targets by one row."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, torch.roll(y, 1, 0))})
    s.wd = 0.05


def output_detached(s):
    """The output is detached before the loss: nothing has a gradient."""

    def cut(step, out):
        return out.detach()

    s.on_out.append(cut)
    s.truth["frozen"] = "all"


def objective_reversed(s):
    """From half time on the sign of the objective is wrong for the auxiliary head, which outweighs the main one."""
    at = int(s.total * 0.5)
    s.on_loss.append(lambda step, loss, model: loss if step < at else -0.5 * loss + 1.5 * loss.detach())
    s.truth["event_step"] = at


def empty_column_standardised(s):
    """One shard has a constant column; dividing by its deviation gives Inf in one batch."""
    at = int(s.total * 0.3)

    def divide(step, ep, x, y):
        if step == at:
            x = x.clone()
            x[0, ..., 0] = float("inf")
        return x, y

    s.on_batch.append(divide)
    s.truth["event_step"] = at


def exp_without_max(s):
    """A home-made softmax takes exp of the logits as they are, in a type that ends at 65504."""
    s.lr *= 3

    def loss(out, batch):
        z = (out * 3).exp()
        z = torch.where(z > 65504, torch.full_like(z, float("inf")), z)
        p = z / z.sum(-1, keepdim=True)
        q = p.gather(-1, batch[1].unsqueeze(-1)).squeeze(-1)
        e = -q.log()
        return e if e.dim() == 1 else e.mean(1)

    s.data(loss=loss)
    s.epochs = int(s.epochs * 1.5)


def swapped_shards(s):
    """A few shards carry the labels of other samples; they come up now and then."""
    every = max(31, s.total // 8)

    def swap(step, ep, x, y):
        return (x, torch.roll(y, 3, 0)) if step % every == every - 5 else (x, y)

    s.on_batch.append(swap)


def labels_offset_after_resume(s):
    """After the resume at 45 % a new class list is loaded: two thirds of the training labels mean another class."""
    at = int(s.total * 0.45)
    k = s.task.classes
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(y % 3 > 0, (y + k // 2) % k, y)) if step >= at else (x, y))
    s.truth["event_step"], s.truth["shift"] = at, "train"


def validation_columns_lost(s):
    """From 60 % on a third of the validation columns arrives as zero."""

    def lose(done, x, y):
        if done <= 0.6:
            return x, y
        x = x.clone()
        x[..., : x.shape[-1] // 3] = 0
        return x, y

    s.on_val.append(lose)
    s.truth["event_step"], s.truth["shift"] = int(s.total * 0.6), "val"


def noisy_training_targets(s):
    """Training targets get fresh noise in each epoch, validation's are clean."""

    def noise(step, ep, x, y):
        if y.is_floating_point():
            return x, y + 0.8 * torch.randn_like(y)
        flip = torch.rand(y.shape) < 0.4
        return x, torch.where(flip, torch.randint_like(y, 0, s.task.classes), y)

    s.on_batch.append(noise)
    s.truth["noise"] = 0.4


def ten_samples(s):
    """Validation uses ten samples, drawn anew each time."""
    s.val_rows = 10 if s.task.name != "triplet_id" else 64


def masks_in_validation(s):
    """Random masking of the training pipeline also runs in validation, with another strength each time."""

    def mask(done, x, y):
        share = float(torch.rand(1)) ** 2 * 0.95
        return torch.where(torch.rand_like(x) < share, torch.zeros_like(x), x), y

    s.on_val.append(mask)


def blocks_in_order(s):
    """Samples stay in the order of the files, which is by class or by target."""
    y = s.task.train[1].float().reshape(len(s.task.train[0]), -1).mean(1)
    i = y.argsort()
    s.data(train=rows(s.task.train, i))
    s.shuffle = False
    s.truth["sorted"] = True


def sampler_of_one_class(s):
    """The balanced sampler's weights are swapped: batches hold nearly one class only."""
    y = s.task.train[1]
    one = torch.nonzero(y == 0).squeeze(1)
    n = len(y)
    i = one.repeat(n // len(one) + 1)[:n]
    i[: max(2, n // 300)] = torch.nonzero(y > 0).squeeze(1)[: max(2, n // 300)]
    s.data(train=rows(s.task.train, i))


def gate_at_zero(s):
    """A gate on the output starts at zero and gets no gradient: the output is one constant."""

    class Gate(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m, self.bias = m, nn.Parameter(torch.zeros(()))

        def forward(self, x):
            return self.m(x) * 1e-4 + self.bias

    s.on_model.append(Gate)
    s.lr /= 4


def three_percent_positive(s):
    """Three samples in a hundred are positive, and hard to tell."""
    g = np.random.default_rng(s.seed)

    def thin(split):
        x, y = split
        keep = np.array([c == 0 or g.random() < 0.05 for c in y.tolist()])
        i = torch.as_tensor(np.flatnonzero(keep))
        x = x[i]
        return x * 0.6 + 1.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2)), y[i]

    s.data(train=thin(s.task.train), val=thin(s.task.val), test=thin(s.task.test))
    s.epochs = max(8, s.epochs // 2)
    s.truth["majority"] = True


def sharpened_at_inference(s):
    """Evaluation multiplies the logits by a forgotten factor of six."""

    class Sharp(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m = m

        def forward(self, x):
            out = self.m(x)
            return out if self.training else out * 6

    s.on_model.append(Sharp)


def capped_logits(s):
    """Logits pass a tanh: they cannot leave [-1.2, 1.2]."""

    class Capped(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m = m

        def forward(self, x):
            return 1.2 * torch.tanh(self.m(x))

    s.on_model.append(Capped)


FAULTS = {
    annotators_disagree: ("churn2", "rank_pair", "twenty"),
    wrong_fold: ("motor", "twenty", "rank_pair", "churn2"),
    columns_swapped: ("churn2", "twenty", "motor"),
    groups_split: ("twenty", "texture_net"),
    quiet_sensor: ("texture_net", "motor", "triplet_id"),
    sparse_penalty: ("motor", "twenty"),
    masked_columns: ("churn2", "motor", "twenty"),
    loader_gives_zeros: ("texture_net", "bracket_lm", "motor"),
    targets_of_next_row: ("churn2", "rank_pair", "motor"),
    output_detached: ("ctc_lstm", "denoise_ae", "twenty"),
    objective_reversed: ("twenty", "motor", "bracket_lm"),
    empty_column_standardised: ("motor", "churn2"),
    exp_without_max: ("twenty", "texture_net"),
    swapped_shards: ("twenty", "texture_net", "motor"),
    labels_offset_after_resume: ("twenty", "texture_net"),
    validation_columns_lost: ("motor", "churn2", "denoise_ae"),
    noisy_training_targets: ("motor", "twenty"),
    ten_samples: ("motor", "churn2", "triplet_id"),
    masks_in_validation: ("twenty", "denoise_ae"),
    blocks_in_order: ("twenty", "motor", "texture_net"),
    sampler_of_one_class: ("churn2", "texture_net"),
    gate_at_zero: ("motor", "twenty"),
    three_percent_positive: ("churn2",),
    sharpened_at_inference: ("texture_net", "churn2"),
    capped_logits: ("twenty", "texture_net"),
}
