"""Sound trainings of the split `dev4`: mostly of ordinary kinds, some whose curves are easily misjudged."""

import math

import torch

from families.healthy_dev import default, good_start
from families.setups import shows


@shows("lr")
def warm_cosine(s):
    """Warm-up over a twentieth and a cosine down to a hundredth."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (0.01 + 0.495 * (1 + math.cos(math.pi * step / total)))


def stopped_early(s):
    """Twice the budget with a patience of five evaluations: training ends soon after its best."""
    s.epochs, s.patience = s.epochs * 2, 5
    s.truth["tolerated"] = ["overfitting"]


def one_cycle_up(s):
    """One cycle: up to 2.5 times the rate over three tenths, then down to nothing."""
    s.sched = lambda step, total: 2.5 * (step / (0.3 * total) if step < 0.3 * total else max(0.004, 1 - (step / total - 0.3) / 0.7))


def half_of_the_data_decayed(s):
    """Half of the data with a strong decay and a falling rate: a small gap that stays."""
    x, y = s.task.train
    n = len(x) // 2
    s.data(train=(x[:n], y[:n]))
    s.wd, s.epochs = 0.05, int(s.epochs * 1.5)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def jittered_inputs(s):
    """Gaussian noise on the inputs in training."""
    d = 0.2 if s.task.name != "clouds" else 0.04
    s.on_batch.append(lambda step, ep, x, y: (x + d * torch.randn_like(x), y))
    s.truth["tolerated"] = ["val-better"]


def batches_of_twelve(s):
    """Batches of twelve at a smaller rate: a rough training curve over a sound course."""
    s.batch, s.lr, s.epochs = 12, s.lr / 2.5, max(6, s.epochs // 2)
    s.truth["tolerated"] = ["instability", "spikes"]


def drop_at_two_thirds(s):
    """The rate falls tenfold at two thirds: both losses step down at once."""
    s.sched = lambda step, total: 1.5 if step < 0.66 * total else 0.15


def sixty_fixed_rows(s):
    """Validation is a fixed set of 60 rows: its loss lies off the training loss and moves in steps."""
    x, y = s.task.val
    s.data(val=(x[:60], y[:60]))
    s.truth["tolerated"] = ["val-better", "generalization-gap"]


def eight_epochs(s):
    """A short run of eight epochs at a higher rate with a linear decay."""
    s.lr, s.epochs = s.lr * 1.6, 8
    s.sched = lambda step, total: max(0.02, 1 - step / total)


def long_and_flat(s):
    """Twice the budget under a cosine: the last half is flat at a good level."""
    s.epochs *= 2
    s.wd = 0.02
    s.sched = lambda step, total: 0.5 * (1 + math.cos(math.pi * step / total))


def nothing_else_logged(s):
    """Nothing but the two losses is logged."""


nothing_else_logged.extras = {"only_loss", "no_parts", "no_more"}

HEALTHY = {
    default: ("towers", "chars_gru", "keywords", "housing", "clouds", "decay_pinn", "anomaly_ae", "counts", "spam_bow", "keywords"),
    good_start: ("clouds", "chars_gru"),
    warm_cosine: ("chars_gru", "anomaly_ae"),
    stopped_early: ("towers", "keywords", "spam_bow"),
    one_cycle_up: ("clouds", "housing"),
    half_of_the_data_decayed: ("anomaly_ae", "spam_bow"),
    jittered_inputs: ("clouds", "keywords"),
    batches_of_twelve: ("counts", "spam_bow"),
    drop_at_two_thirds: ("decay_pinn", "keywords"),
    sixty_fixed_rows: ("clouds", "chars_gru"),
    eight_epochs: ("housing", "anomaly_ae"),
    long_and_flat: ("keywords", "chars_gru"),
    nothing_else_logged: ("counts", "towers"),
}
