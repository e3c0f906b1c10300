"""Mechanisms of the split `dev`: what goes wrong, each a function that changes a setup.  `FAULTS` says on which tasks."""

import numpy as np
import torch
from torch import nn

from families.training import cross_entropy

CLS = ("shapes_cnn", "modadd_tf", "tag_gru", "blobs5")
ALL = (*CLS, "friedman", "curves_vae", "views_nce", "discs_seg", "dpo_toy")
FLAT = ("blobs5", "friedman")


def rows(split, i):
    return split[0][i], split[1][i]


def few_unique_samples(s):
    """The training set is 60 samples repeated; nothing regularises."""
    n = len(s.task.train[0])
    i = torch.arange(60 if s.task.name != "views_nce" else 128).repeat(n // 60 + 1)[:n]
    s.data(train=rows(s.task.train, i))
    s.wd, s.epochs = 0.0, int(s.epochs * 1.6)


def stuck_augmentation(s):
    """The augmentation's generator is reseeded for every batch, and the set is small: the same noise again and again."""
    x, y = s.task.train
    g = torch.Generator().manual_seed(s.seed)
    noise = torch.randn(s.batch, *x.shape[1:], generator=g) * 0.3
    s.data(train=(x[:160], y[:160]))
    s.epochs = int(s.epochs * 5)
    s.on_batch.append(lambda step, ep, a, b: (a + noise[: len(a)], b))


def val_other_scale(s):
    """Validation inputs pass through another normalisation (other mean and deviation)."""
    s.on_val.append(lambda done, x, y: (x * 2.2 + 1.4, y))


def val_other_units(s):
    """A third of the columns of the validation table come in other units."""

    def change(done, x, y):
        x = x.clone()
        k = x.shape[1] // 3
        x[:, :k] = x[:, :k] * 0.1 + 0.8
        return x, y

    s.on_val.append(change)


def drift_by_time(s):
    """The split follows time; the concept drifts, so that the last part obeys another rule."""
    x, y = s.task.val
    w = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(s.seed))
    move = (x @ w) * 0.25
    if s.task.kind == "reg":
        s.data(val=(x + 0.6, y + move))
    else:
        s.data(val=(x + 0.35 * w, torch.where(move > 0.4, (y + 1) % s.task.classes, y)))


def heavy_decay(s):
    """Weight decay a thousand times too strong."""
    s.wd = {"sgd": 0.5}.get(s.opt, 30.0)


def dropout_095(s):
    """A dropout of 0.93 on the inputs that stays on in evaluation too."""

    def drop(step, ep, x, y):
        return x * (torch.rand_like(x) > 0.93), y

    s.on_batch.append(drop)
    s.on_val.append(lambda d, x, y: (x * (torch.rand_like(x) > 0.93), y))


def labels_of_other_samples(s):
    """The shuffle permutes inputs and labels with different orders: no relation is left."""
    s.on_batch.append(lambda step, ep, x, y: (x, y[torch.as_tensor(np.random.default_rng(step).permutation(len(y)))]))


def optimizer_of_a_copy(s):
    """The optimiser was built from another instance of the model."""
    s.params = lambda model: list(s.task.build().parameters())
    s.truth["frozen"] = "all"


def decay_every_batch(s):
    """An exponential decay meant for epochs is stepped for every batch."""
    s.sched = lambda step, total: 0.93**step


def warmup_without_end(s):
    """The learning rate grows by a fixed factor and nobody ends the warm-up."""
    s.sched = lambda step, total: 0.05 * 10 ** (4.2 * step / total)
    s.truth["event"] = None


def momentum_099_sgd(s):
    """SGD with momentum 0.99 and the learning rate of 0.9."""
    s.opt, s.lr, s.momentum = "sgd", 0.9 if s.task.loss_name == "ce" else 0.3, 0.99
    s.truth["hot"] = True


def batch_of_one(s):
    """Batch size 1 with the learning rate of 64 (four times over)."""
    i = torch.arange(min(len(s.task.train[0]), 260))
    s.data(train=rows(s.task.train, i))
    s.batch, s.lr, s.epochs = 2, s.lr * 12, max(4, s.epochs // 3)


def half_precision_logits(s):
    """From some step on the logits leave the range of half precision."""
    at = int(s.total * 0.55)

    def grow(step, loss, model):
        return loss * torch.tensor(float("inf")) if step == at else loss

    s.on_loss.append(grow)
    s.truth["event_step"] = at


def square_root_at_zero(s):
    """A penalty with the square root of a norm that becomes exactly zero: its gradient is NaN."""
    at = int(s.total * 0.35)

    def bad(step, model):
        z = next(model.parameters()).sum() * 0
        return z.sqrt() * 1.0 if step >= at else z

    s.on_penalty.append(bad)
    s.truth["event_step"] = at


def sensor_outliers(s):
    """Now and then a batch holds readings that are forty times too large."""
    every = max(23, s.total // 9)

    def burst(step, ep, x, y):
        return (x * 25, y) if step % every == every - 3 else (x, y)

    s.on_batch.append(burst)
    s.lr *= 0.5


def val_file_replaced(s):
    """From 55 % on the validation file is another one: a third of its labels no longer fit."""

    def swap(done, x, y):
        if done <= 0.55:
            return x, y
        y = y.clone()
        k = int(len(y) * 0.4)
        y[:k] = y[:k].flip(0)
        return x, y

    s.on_val.append(swap)
    s.truth["event_step"] = int(s.total * 0.55)
    s.truth["shift"] = "val"


def normalisation_lost(s):
    """At half time the training pipeline stops to standardise its inputs."""
    at = s.total // 2
    s.on_batch.append(lambda step, ep, x, y: (x * 0.25 + 2.0, y) if step >= at else (x, y))
    s.truth["event_step"], s.truth["shift"] = at, "train"


def easy_half(s):
    """Validation holds only samples that a first model got right."""
    torch.manual_seed(5)
    model = s.task.build()
    opt = torch.optim.Adam(model.parameters(), 3e-3)
    x, y = s.task.train
    for i in range(60):
        j = torch.arange(i * 64, i * 64 + 64) % len(x)
        opt.zero_grad()
        s.task.loss(model(x[j]), (x[j], y[j])).mean().backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        e = s.task.loss(model(s.task.val[0]), s.task.val)
    keep = e.argsort()[: len(e) // 4]
    s.data(val=rows(s.task.val, keep))
    s.truth["val_easy"] = True


def twelve_validation_samples(s):
    """Each evaluation draws twelve new samples."""
    s.val_rows = 12 if s.task.name != "views_nce" else 64


def dropout_in_evaluation(s):
    """Evaluation forgets eval(): strong dropout stays on and batch statistics are those of the batch; few samples."""
    s.eval_train_mode, s.val_rows = True, 16


def sorted_no_shuffle(s):
    """Samples come sorted by their label in every epoch."""
    y = s.task.train[1]
    i = y.float().reshape(len(y), -1).mean(1).argsort()
    s.data(train=rows(s.task.train, i))
    s.shuffle = False
    s.truth["sorted"] = True


def class_map_bug(s):
    """A dictionary of class names lacks entries: every label becomes class 0."""
    s.data(train=(s.task.train[0], torch.zeros_like(s.task.train[1])))


def head_times_zero(s):
    """A mask of padding covers everything: the head sees zeros, only its bias learns."""

    class Masked(nn.Module):
        def __init__(self, m):
            super().__init__()
            self.m = m

        def forward(self, x):
            return self.m(x * 0 if x.is_floating_point() else torch.zeros_like(x))

    s.on_model.append(Masked)


def rare_classes(s):
    """Of five classes one makes 94 %, the others are rare and hard."""
    g = np.random.default_rng(s.seed)

    def thin(split):
        x, y = split
        lab = y if y.dim() == 1 else y[:, -1]
        keep = np.array([c == 0 or g.random() < 0.025 for c in lab.tolist()])
        i = torch.as_tensor(np.flatnonzero(keep))
        i = i[torch.as_tensor(g.integers(0, len(i), 1200))] if len(i) < 1200 else i
        return x[i] + 0.9 * torch.randn(x[i].shape, generator=torch.Generator().manual_seed(1)), y[i]

    s.data(train=thin(s.task.train), val=thin(s.task.val), test=thin(s.task.test))
    s.truth["majority"] = True


def sharp_temperature(s):
    """Labels are flipped for a third of a small set and training goes on until they are learned."""
    x, y = s.task.train
    g = np.random.default_rng(s.seed)
    flip = torch.as_tensor(g.random(y.shape) < 0.3)
    y = torch.where(flip, torch.as_tensor(g.integers(0, s.task.classes, y.shape)), y)
    s.data(train=(x[:500], y[:500]))
    s.epochs, s.wd = s.epochs * 4, 0.0
    s.truth["noise"] = 0.3


def smoothing_06(s):
    """Label smoothing of 0.6."""
    k = s.task.classes

    def smooth(out, batch):
        p = out.log_softmax(-1)
        each = 0.4 * cross_entropy(out, batch)
        u = -(p.mean(-1) if out.dim() == 2 else p.mean(-1).mean(1)) * 0.6
        return each + u

    s.data(loss=smooth)
    s.truth["floor"] = float(-np.log(0.4 + 0.6 / k) * (0.4 + 0.6 / k) - (k - 1) * (0.6 / k) * np.log(0.6 / k))


FAULTS = {
    few_unique_samples: ("blobs5", "friedman", "shapes_cnn", "tag_gru"),
    stuck_augmentation: ("blobs5", "friedman"),
    val_other_scale: ("shapes_cnn", "blobs5", "friedman"),
    val_other_units: ("blobs5", "friedman"),
    drift_by_time: ("blobs5", "friedman"),
    heavy_decay: ("modadd_tf", "blobs5", "tag_gru"),
    dropout_095: ("blobs5", "shapes_cnn"),
    labels_of_other_samples: ("shapes_cnn", "blobs5", "dpo_toy", "tag_gru"),
    optimizer_of_a_copy: ("blobs5", "views_nce", "discs_seg"),
    decay_every_batch: ("shapes_cnn", "tag_gru", "modadd_tf"),
    warmup_without_end: ("blobs5", "tag_gru", "friedman"),
    momentum_099_sgd: ("blobs5", "shapes_cnn"),
    batch_of_one: ("blobs5", "friedman"),
    half_precision_logits: ("tag_gru", "blobs5"),
    square_root_at_zero: ("curves_vae", "shapes_cnn"),
    sensor_outliers: ("blobs5", "friedman", "views_nce"),
    val_file_replaced: ("blobs5", "shapes_cnn", "tag_gru"),
    normalisation_lost: ("blobs5", "friedman"),
    easy_half: ("shapes_cnn", "blobs5"),
    twelve_validation_samples: ("shapes_cnn", "blobs5", "friedman"),
    dropout_in_evaluation: ("blobs5", "shapes_cnn"),
    sorted_no_shuffle: ("blobs5", "shapes_cnn"),
    class_map_bug: ("shapes_cnn", "tag_gru"),
    head_times_zero: ("blobs5", "tag_gru"),
    rare_classes: ("blobs5", "shapes_cnn"),
    sharp_temperature: ("blobs5", "shapes_cnn"),
    smoothing_06: ("blobs5", "tag_gru"),
}
