"""Sound trainings of the split `sealed7`."""

import math

import torch

from families.healthy_dev import default, good_start
from families.setups import shows


@shows("lr")
def halved_at_three_marks(s):
    """The rate is halved at 40, 60 and 80 %."""
    s.sched = lambda step, total: 0.5 ** sum(step >= q * total for q in (0.4, 0.6, 0.8))


@shows("lr")
def cosine_to_a_fifth(s):
    """A short warm-up and a cosine that ends at a fifth of the rate."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.04 * total)) * (0.6 + 0.4 * math.cos(math.pi * step / total))


@shows("lr")
def three_cycles_that_shrink(s):
    """Three cosines of equal length, each from half the top of the one before."""

    def sched(step, total):
        k, u = divmod(3 * step / total, 1)
        return 0.5**k * (0.5 + 0.5 * math.cos(math.pi * u)) + 0.01

    s.sched = sched
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def noam_like(s):
    """Adam with a second beta of 0.98; the rate rises for a tenth and falls with the root of the steps."""
    s.betas = (0.9, 0.98)
    s.sched = lambda step, total: 1.3 * min((step + 1) / (0.1 * total), (0.1 * total / (step + 1)) ** 0.5)


def two_hundred_drawn_anew(s):
    """Each evaluation draws two hundred rows of validation: a rougher curve than that of all."""
    s.val_rows = 200
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["noisy-validation"]


def doubled_batches(s):
    """Twice the batch at 1.4 times the rate, with half as much again of passes."""
    s.batch, s.lr, s.epochs = 2 * s.batch, 1.4 * s.lr, int(1.5 * s.epochs)


def rough_batches_of_ten(s):
    """Batches of ten at a quarter of the rate: a rough training curve."""
    s.batch, s.lr, s.epochs = 10, s.lr / 4, max(6, int(0.7 * s.epochs))
    s.truth["tolerated"] = ["instability", "spikes"]


def columns_hidden_in_training(s):
    """A tenth of all inputs is hidden in training only: training stays above validation."""
    hide = lambda x: x * (torch.rand_like(x) > 0.12) if x.is_floating_point() else torch.where(torch.rand(x.shape) < 0.04, 1, x)  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: (hide(x), y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def patience_of_five(s):
    """Twice the budget under a line to nothing, ended by a patience of five evaluations."""
    s.epochs, s.patience, s.wd = 2 * s.epochs, 5, 0.03
    s.sched = lambda step, total: 1 - 0.97 * step / total


def looked_at_three_times_a_pass(s):
    """Three evaluations in each pass."""
    s.eval_every = max(2, s.steps_per_epoch // 3)
    s.sched = lambda step, total: 1 - 0.97 * step / total


@shows("gnorm")
def root_mean_square_only(s):
    """RMSprop at a third of the rate under a cosine."""
    s.opt, s.lr, s.momentum = "rmsprop", s.lr / 3, 0.0
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("lr")
def cooled_in_the_last_quarter(s):
    """A constant rate, and a line to nothing over the last quarter: both losses step down there."""
    s.sched = lambda step, total: min(1.0, 4.02 * (1 - step / total))


@shows("lr")
def done_long_before_the_end(s):
    """Twice the passes under a fast decay: more than half of the run is flat at a good level."""
    s.epochs, s.wd = 2 * s.epochs, 0.03
    s.sched = lambda step, total: max(0.004, 0.01 ** (step / total * 1.3))


def five_hot_passes(s):
    """Five passes at twice the rate under a line to nothing."""
    s.epochs, s.lr = 5, 2 * s.lr
    s.sched = lambda step, total: 1.01 - step / total


@shows("gnorm", "text")
def limit_of_five(s):
    """Gradients are limited at a norm of five, which they hardly ever reach."""
    s.clip = 5.0


def scale_too_high_at_first(s):
    """Mixed precision: the scale starts at 2 to the 19 and finds its level in the first steps."""
    s.scaler = 2.0**19
    s.truth["tolerated"] = ["nan-inf"]


def nothing_but_two_losses(s):
    """Nothing but the two losses is logged."""


nothing_but_two_losses.extras = {"only_loss", "no_parts", "no_more"}
HEALTHY = {
    default: ("pen_letters", "rain_soon", "grasp_angle", "date_norm", "heat_field", "route_choice", "melody_lm"),
    good_start: ("melody_lm", "rain_soon"),
    halved_at_three_marks: ("heat_field", "route_choice"),
    cosine_to_a_fifth: ("pen_letters", "melody_lm"),
    three_cycles_that_shrink: ("grasp_angle", "heat_field"),
    noam_like: ("date_norm", "melody_lm"),
    two_hundred_drawn_anew: ("pen_letters", "heat_field"),
    doubled_batches: ("melody_lm", "pen_letters"),
    rough_batches_of_ten: ("heat_field", "melody_lm"),
    columns_hidden_in_training: ("rain_soon", "date_norm"),
    patience_of_five: ("route_choice", "grasp_angle"),
    looked_at_three_times_a_pass: ("grasp_angle", "date_norm"),
    root_mean_square_only: ("pen_letters", "rain_soon"),
    cooled_in_the_last_quarter: ("route_choice", "melody_lm"),
    done_long_before_the_end: ("date_norm", "pen_letters"),
    five_hot_passes: ("route_choice", "heat_field"),
    limit_of_five: ("melody_lm", "rain_soon"),
    scale_too_high_at_first: ("grasp_angle", "route_choice"),
    nothing_but_two_losses: ("heat_field", "pen_letters"),
}
