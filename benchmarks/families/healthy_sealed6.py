"""Sound trainings of the split `sealed6`."""

import math

import torch

from families.healthy_dev import default, good_start
from families.setups import shows


@shows("lr")
def up_half_down_half(s):
    """The rate rises along a line to half of the run, to 1.6 times, and falls along another."""
    s.sched = lambda step, total: 1.6 * min(2 * (step + 1) / total, 2 * (1 - step / total) + 0.01)


@shows("lr")
def two_cosines(s):
    """Two cosines, of a third and two thirds of the run: the loss rises a little where the second starts."""

    def sched(step, total):
        u = step / total
        v = 3 * u if u < 1 / 3 else 1.5 * (u - 1 / 3)
        return 0.5 * (1 + math.cos(math.pi * v)) + 0.005

    s.sched = sched
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def tenth_at_seventy(s):
    """The rate falls tenfold at 70 %: both losses step down there and stay flat."""
    s.sched = lambda step, total: 1.0 if step < 0.7 * total else 0.1


def inputs_disturbed(s):
    """Some of the inputs are masked or all jittered in training only: training stays above validation."""
    if s.task.train[0].is_floating_point():
        s.on_batch.append(lambda step, ep, x, y: (x + 0.35 * torch.randn_like(x) if x.shape[1] != 9 else hidden(x), y))
    else:
        s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.06, torch.randint_like(x, int(x.max())), x), y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def hidden(x):
    """A table or a graph of which a tenth of the later columns is hidden."""
    keep = torch.rand_like(x) > 0.1
    keep[..., :2] = True
    return x * keep


def patience_of_seven(s):
    """Twice the budget, ended by a patience of seven evaluations."""
    s.epochs, s.patience, s.lr = int(2.2 * s.epochs), 7, s.lr / 2
    s.wd = 0.03


def every_third_pass(s):
    """Validation after every third pass only."""
    s.epochs = int(s.epochs * 1.4) // 3 * 3
    s.eval_every = 3 * s.steps_per_epoch
    s.sched = lambda step, total: 1 - 0.97 * step / total


def batches_of_fourteen(s):
    """Batches of fourteen at a third of the rate: a rough training curve."""
    s.batch, s.lr, s.epochs = 14, s.lr / 3, int(1.2 * s.epochs)
    s.truth["tolerated"] = ["instability", "spikes"]


def accumulated_over_two(s):
    """Two half batches are accumulated, and averaged as they should be."""
    s.accum, s.batch = 2, s.batch // 2


def averaged_weights(s):
    """Validation uses an average of the weights with decay 0.97: a smooth curve that starts late."""
    import copy

    slow = []

    def follow(step, model):
        if not slow:
            slow.append(copy.deepcopy(model))
        for a, p in zip(slow[0].parameters(), model.parameters(), strict=True):
            a.data.lerp_(p.data, 0.03)

    s.after_step.append(follow)
    s.eval_model = lambda model: slow[0]


@shows("gnorm", "text")
def always_clipped_under_adam(s):
    """Gradients are clipped at 0.2 on most steps, which Adam does not mind."""
    s.clip = 0.2
    s.truth["tolerated"] = ["clipping-saturated"]


def scale_found_at_the_start(s):
    """Mixed precision: the loss scale starts at 2 to the 18 and is halved a few times in the first steps."""
    s.scaler = 2.0**18
    s.truth["tolerated"] = ["nan-inf"]


@shows("lr")
def flat_at_a_good_end(s):
    """Two and a fifth times the passes under a fast decay: more than the second half is flat at a good level."""
    s.epochs, s.wd = int(2.2 * s.epochs), 0.03
    s.sched = lambda step, total: max(0.003, 0.02 ** (1.2 * step / total))


def six_passes(s):
    """Six passes at twice the rate under a line to nothing."""
    s.epochs, s.lr = 6, s.lr * 2
    s.sched = lambda step, total: 1.01 - step / total


def two_curves_only(s):
    """Nothing but the two losses is logged."""


two_curves_only.extras = {"only_loss", "no_parts", "no_more"}

NAMES = ("log_bytes", "sku_next", "chunk_crf", "molecules", "inverse_mdn", "layers_seg", "turbine_life", "text_pairs", "match_results")
HEALTHY = {
    default: (*NAMES, "log_bytes", "inverse_mdn", "layers_seg"),
    good_start: ("log_bytes", "match_results", "chunk_crf"),
    up_half_down_half: ("sku_next", "layers_seg"),
    two_cosines: ("chunk_crf", "turbine_life", "molecules"),
    tenth_at_seventy: ("molecules", "log_bytes"),
    inputs_disturbed: ("turbine_life", "text_pairs", "chunk_crf"),
    patience_of_seven: ("sku_next", "turbine_life", "match_results"),
    every_third_pass: ("molecules", "match_results"),
    batches_of_fourteen: ("match_results", "layers_seg", "chunk_crf"),
    accumulated_over_two: ("text_pairs", "sku_next"),
    averaged_weights: ("layers_seg", "chunk_crf"),
    always_clipped_under_adam: ("text_pairs", "match_results"),
    scale_found_at_the_start: ("chunk_crf", "log_bytes"),
    flat_at_a_good_end: ("chunk_crf", "log_bytes", "molecules"),
    six_passes: ("log_bytes", "match_results"),
    two_curves_only: ("molecules", "sku_next", "text_pairs"),
}
