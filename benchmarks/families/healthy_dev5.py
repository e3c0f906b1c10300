"""Sound trainings of the split `dev5`."""

import math

import torch

from families.healthy_dev import default
from families.setups import shows
from families.training import make_optimizer


@shows("lr")
def two_restarts(s):
    """Cosines of growing length, restarted at a seventh and at three sevenths: the loss rises a little at each."""

    def sched(step, total):
        q = 7 * step / total
        lo, n = (0, 1) if q < 1 else (1, 2) if q < 3 else (3, 4)
        return 0.02 + 0.49 * (1 + math.cos(math.pi * (q - lo) / n))

    s.sched, s.epochs = sched, int(s.epochs * 1.3)
    s.truth["tolerated"] = ["lr-schedule", "instability"]


@shows("lr")
def up_then_constant(s):
    """A linear warm-up over a tenth, then a constant rate of two thirds."""
    s.sched = lambda step, total: 0.66 * min(1.0, (step + 1) / (0.1 * total))


@shows("lr")
def constant_then_root(s):
    """Half of the run at a constant rate, then one minus the root of what is left of it."""
    s.sched = lambda step, total: 1.0 if step < 0.5 * total else max(0.01, 1 - (2 * step / total - 1) ** 0.5)


def erased_in_part(s):
    """A seventh of the inputs is erased in training: validation lies below training for long."""

    def erase(step, ep, x, y):
        return torch.where(torch.rand(x.shape) < 0.14, torch.zeros_like(x), x), y

    s.on_batch.append(erase)
    s.truth["tolerated"] = ["val-better", "underfitting"]


def eight_rows_a_batch(s):
    """Batches of eight at a sixth of the rate: a rough curve of single steps."""
    s.batch, s.lr, s.epochs = 8, s.lr / 6, max(7, s.epochs // 3)
    s.sched = lambda step, total: 1 - 0.8 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def long_and_flat(s):
    """Twice and a half the passes under a fast decay: two thirds of the run are flat at a good level."""
    s.epochs, s.wd = int(s.epochs * 2.5), 0.03
    s.sched = lambda step, total: max(0.004, 0.5 ** (9 * step / total))


def stopped_by_patience(s):
    """Three times the budget, ended after five evaluations without a gain."""
    s.epochs, s.patience = s.epochs * 3, 5
    s.sched = lambda step, total: 0.7


def six_evaluations(s):
    """Six passes at twice the rate under a line."""
    s.epochs, s.lr = 6 if s.task.name != "mol_graphs" else 9, s.lr * 2
    s.sched = lambda step, total: 1 - 0.97 * step / total


def started_from_a_sibling(s):
    """Fine-tuning: the weights come from a training of the other half of the data, the rate is a third; the loss starts low."""
    x, y = s.task.train
    n = len(x) // 2

    def teach(model):
        o = make_optimizer(s, list(model.parameters()))
        g = torch.Generator().manual_seed(s.seed)
        for ep in range(8):
            for i in torch.randperm(n, generator=g).split(s.batch):
                for q in o.param_groups:
                    q["lr"] = 3 * s.lr * (1 - ep / 9)
                o.zero_grad()
                s.task.loss(model(x[i]), (x[i], y[i])).mean().backward()
                o.step()

    s.on_model.append(teach)
    s.lr, s.epochs = s.lr / 3, max(8, s.epochs // 2)
    s.sched = lambda step, total: 1 - 0.9 * step / total


@shows("gnorm", "lr")
def nesterov_with_clipping(s):
    """Momentum descent with a sound rate under a cosine; gradients are clipped at one, seldom."""
    s.opt, s.momentum, s.clip = "sgd", 0.9, 1.0
    s.lr = {"engine_life": 0.03, "entail3": 0.1, "tile_seg": 0.15, "session_items": 0.4}.get(s.task.name, 0.08)
    s.epochs = int(s.epochs * 1.6)
    s.sched = lambda step, total: 0.5 * (1 + math.cos(math.pi * step / total)) + 0.005


@shows("lr")
def dropped_twice(s):
    """The rate falls to a fifth at 45 and 75 %: both losses step down."""
    s.sched = lambda step, total: 0.2 ** ((step > 0.45 * total) + (step > 0.75 * total))


def accumulated_over_two(s):
    """Gradients of two half batches are averaged before each step."""
    s.batch, s.accum = s.batch // 2, 2


def scale_settles(s):
    """Mixed precision: the loss scale falls in the first steps, then doubles now and then."""
    s.scaler = 2.0**22


def every_other_pass(s):
    """Validation comes after every second pass, on a third of its rows."""
    x, y = s.task.val
    s.data(val=(x[: len(x) // 3], y[: len(x) // 3]))
    s.eval_every = 2 * s.steps_per_epoch
    s.truth["tolerated"] = ["val-better", "generalization-gap"]


def nothing_but_losses(s):
    """Only the two losses are logged."""
    s.sched = lambda step, total: 1 - 0.9 * step / total


nothing_but_losses.extras = {"only_loss", "no_parts", "no_more"}

NAMES = ("byte_sums", "session_items", "engine_life", "mol_graphs", "tile_seg", "churn_weeks", "entail3", "board_value")
HEALTHY = {
    default: NAMES,
    two_restarts: ("tile_seg", "session_items"),
    up_then_constant: ("mol_graphs", "byte_sums"),
    constant_then_root: ("entail3", "engine_life"),
    erased_in_part: ("churn_weeks", "mol_graphs"),
    eight_rows_a_batch: ("tile_seg", "mol_graphs", "churn_weeks"),
    long_and_flat: ("engine_life", "churn_weeks"),
    stopped_by_patience: ("session_items", "tile_seg"),
    six_evaluations: ("mol_graphs", "churn_weeks"),
    started_from_a_sibling: ("entail3", "mol_graphs"),
    nesterov_with_clipping: ("entail3", "tile_seg", "engine_life"),
    dropped_twice: ("board_value", "session_items"),
    accumulated_over_two: ("byte_sums", "board_value"),
    scale_settles: ("tile_seg", "entail3"),
    every_other_pass: ("churn_weeks", "tile_seg"),
    nothing_but_losses: ("engine_life", "entail3"),
}
