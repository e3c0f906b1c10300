"""Sound trainings of the split `sealed8`."""

import math

import numpy as np
import torch

from families.healthy_dev import default, good_start
from families.setups import shows


@shows("lr")
def warm_then_exponential(s):
    """A warm-up over 3 %, then an exponential decay to a fortieth."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.03 * total)) * 40.0 ** (-step / total)


@shows("lr")
def again_from_half(s):
    """A cosine to nothing over three fifths of the run and another from half the rate: the loss rises a little between them."""
    s.sched = lambda step, total: (
        0.5 + 0.5 * math.cos(math.pi * step / (0.6 * total))
        if step < 0.6 * total
        else 0.25 + 0.25 * math.cos(math.pi * (step / total - 0.6) / 0.4)
    )
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def fifth_after_each_third(s):
    """The rate falls to a fifth after each third: losses step down there."""
    s.sched = lambda step, total: 0.2 ** int(3 * step / total)


@shows("lr")
def long_slope_up(s):
    """The rate rises along a line for a third of the run and falls along a cosine: the loss leaves its start late."""
    s.sched = lambda step, total: (
        (step + 1) / (0.33 * total) if step < 0.33 * total else 0.5 + 0.5 * math.cos(math.pi * (step / total - 0.33) / 0.67)
    )


@shows("gnorm")
def short_memories(s):
    """Adam with both betas at 0.95 under a line to a tenth."""
    s.betas, s.lr = (0.95, 0.95), 0.6 * s.lr
    s.sched = lambda step, total: 1 - 0.9 * step / total


def hundred_fixed_rows(s):
    """Validation is a fixed set of a hundred rows, whose loss lies where it happens to lie."""
    x, y = s.task.val
    s.data(val=(x[:100], y[:100]))
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def rough_batches_of_seven(s):
    """Batches of seven at a fifth of the rate: a rough training curve."""
    s.batch, s.lr, s.epochs = 7, s.lr / 5, max(5, s.epochs // 2)
    s.truth["tolerated"] = ["instability", "spikes"]


def four_times_the_batch(s):
    """Batches four times as large, twice the rate and passes: a smooth curve of few steps."""
    s.batch, s.lr, s.epochs = 4 * s.batch, 2 * s.lr, 2 * s.epochs


def hidden_and_jittered(s):
    """A tenth of all inputs is hidden or all are jittered, in training only: training stays above validation."""
    alter = lambda x: (  # noqa: E731
        x + 0.35 * torch.randn_like(x) if x.is_floating_point() else torch.where(torch.rand(x.shape) < 0.05, 1, x)
    )
    s.on_batch.append(lambda step, ep, x, y: (alter(x), y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def patience_of_three(s):
    """Twice the budget under a fast decay, ended by a patience of three evaluations."""
    s.epochs, s.patience, s.wd = 2 * s.epochs, 3, 0.03
    s.sched = lambda step, total: 0.02 ** (step / total)


def looked_at_twice_a_pass(s):
    """Two evaluations in each pass, on half of validation drawn anew."""
    s.eval_every, s.val_rows = max(2, s.steps_per_epoch // 2), len(s.task.val[0]) // 2
    s.sched = lambda step, total: 1 - 0.95 * step / total
    s.truth["tolerated"] = ["noisy-validation"]


def averaged_over_two_passes(s):
    """What is validated is a running mean of the weights: a smooth curve that starts late."""
    import copy

    kept, share = [], 1 - 1 / (0.5 * s.steps_per_epoch)
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].state_dict().values(), model.state_dict().values(), strict=True):
            a.copy_(share * a + (1 - share) * b if a.is_floating_point() else b)

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


@shows("lr", "gnorm")
def descent_with_momentum(s):
    """Plain descent with momentum at a sound rate under a cosine, limited at a norm of three."""
    rate = {"sleep_stages": 0.3, "crowd_map": 0.08, "match_eight": 0.15, "splice_sites": 0.08}[s.task.name]
    s.opt, s.lr, s.momentum, s.clip = "sgd", rate, 0.9, 3.0
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("lr")
def quick_and_long(s):
    """Two and a half times the passes under a fast decay: two thirds of the run are flat at a good level."""
    s.epochs, s.wd = int(2.5 * s.epochs), 0.03
    s.sched = lambda step, total: max(0.003, 0.003 ** (step / total))


def seven_passes_in_a_line(s):
    """Seven passes at 1.7 times the rate under a line to nothing."""
    s.epochs, s.lr = 7, 1.7 * s.lr
    s.sched = lambda step, total: 1.01 - step / total


def harder_by_and_by(s):
    """Inputs are cleaner at first and as they are from a third on: the training loss rises a little on the way."""
    centre = s.task.train[0].float().mean(0)
    s.on_batch.append(lambda step, ep, x, y: (x + (0.25 * max(0.0, 1 - 3 * step / s.total)) * (centre - x), y))
    s.sched = lambda step, total: 1 - 0.95 * step / total


def scale_doubles_and_falls(s):
    """Mixed precision: the scale starts at 2 to the 20, falls for some steps and doubles now and then."""
    s.scaler = 2.0**20
    s.truth["tolerated"] = ["nan-inf"]


def two_losses_and_no_more(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 1 - 0.9 * step / total


@shows("lr")
def rate_cut_on_a_plateau(s):
    """The rate is halved where the last three passes gained little, from the middle on."""
    cuts = np.random.default_rng(s.seed).uniform(0.45, 0.9, 3)
    s.sched = lambda step, total: 0.4 ** int((step / total > cuts).sum())


two_losses_and_no_more.extras = {"only_loss", "no_parts", "no_more"}
HEALTHY = {
    default: ("phish_urls", "sleep_stages", "crowd_map", "match_eight", "binding", "splice_sites", "smiles_lm", "parcel_box"),
    good_start: ("match_eight", "sleep_stages"),
    warm_then_exponential: ("crowd_map", "splice_sites"),
    again_from_half: ("match_eight", "smiles_lm"),
    fifth_after_each_third: ("smiles_lm", "crowd_map"),
    long_slope_up: ("parcel_box", "sleep_stages"),
    short_memories: ("binding", "match_eight"),
    hundred_fixed_rows: ("sleep_stages", "crowd_map"),
    rough_batches_of_seven: ("parcel_box", "match_eight"),
    four_times_the_batch: ("match_eight", "sleep_stages"),
    hidden_and_jittered: ("sleep_stages", "match_eight"),
    patience_of_three: ("splice_sites", "sleep_stages"),
    looked_at_twice_a_pass: ("crowd_map", "parcel_box"),
    averaged_over_two_passes: ("smiles_lm", "match_eight"),
    descent_with_momentum: ("sleep_stages", "match_eight"),
    quick_and_long: ("crowd_map", "match_eight"),
    seven_passes_in_a_line: ("splice_sites", "phish_urls"),
    harder_by_and_by: ("crowd_map", "sleep_stages"),
    scale_doubles_and_falls: ("parcel_box", "smiles_lm"),
    two_losses_and_no_more: ("smiles_lm", "binding"),
    rate_cut_on_a_plateau: ("phish_urls", "crowd_map"),
}
