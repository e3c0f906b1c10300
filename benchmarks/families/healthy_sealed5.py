"""Sound trainings of the split `sealed5`."""

import math

import torch

from families.healthy_dev import default
from families.setups import shows


@shows("lr")
def flat_then_linear(s):
    """A constant rate for two thirds, then a line down to nothing."""
    s.sched = lambda step, total: min(1.0, 3.0 * (1 - step / total) + 0.01)


@shows("lr")
def cosine_to_a_tenth(s):
    """Warm-up over 4 % and a cosine down to a tenth."""
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.04 * total)) * (0.55 + 0.45 * math.cos(math.pi * step / total))


def slightly_noisy_inputs(s):
    """Training inputs carry a little fresh noise."""
    size = 0.12 * float(s.task.train[0].std())
    s.on_batch.append(lambda step, ep, x, y: (x + size * torch.randn_like(x), y))


def batches_of_sixteen(s):
    """Batches of sixteen at a quarter of the rate: a rough training curve."""
    s.batch, s.lr, s.epochs = 16, s.lr / 4, max(8, s.epochs // 2)
    s.truth["tolerated"] = ["instability", "spikes"]


def budget_of_two(s):
    """Twice the passes under a line to a fiftieth: the last third is flat at a good level."""
    s.epochs = int(s.epochs * 1.8)
    s.wd = 0.02
    s.sched = lambda step, total: 1 - 0.98 * step / total


@shows("gnorm", "lr")
def clipped_at_two_thirds(s):
    """Gradients are clipped at 0.7, which acts now and then or, where gradients are larger, on most steps, to no harm."""
    s.clip = 0.7


def nine_passes(s):
    """Nine passes at one and a half times the rate under a cosine."""
    s.epochs, s.lr = 9, s.lr * 1.5
    s.sched = lambda step, total: 0.5 * (1 + math.cos(math.pi * step / total)) + 0.01


def evaluated_often(s):
    """Evaluation twice an epoch on 150 rows."""
    x, y = s.task.val
    s.data(val=(x[:150], y[:150]))
    s.eval_every = max(5, s.steps_per_epoch // 2)
    s.truth["tolerated"] = ["val-better", "generalization-gap"]


def losses_only_please(s):
    """Nothing but the two losses is logged."""


losses_only_please.extras = {"only_loss", "no_parts", "no_more"}

NAMES = ("ecg_beats", "record_tags", "pose_keys", "arm_reach", "kg_links", "clone_grid", "same_writer")
HEALTHY = {
    default: (*NAMES, "ecg_beats", "arm_reach"),
    flat_then_linear: ("record_tags", "pose_keys"),
    cosine_to_a_tenth: ("kg_links", "clone_grid"),
    slightly_noisy_inputs: ("pose_keys", "ecg_beats"),
    batches_of_sixteen: ("same_writer", "clone_grid", "pose_keys"),
    budget_of_two: ("arm_reach", "clone_grid"),
    clipped_at_two_thirds: ("same_writer", "kg_links"),
    nine_passes: ("record_tags", "arm_reach"),
    evaluated_often: ("clone_grid", "ecg_beats"),
    losses_only_please: ("pose_keys", "same_writer"),
}
