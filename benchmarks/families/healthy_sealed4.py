"""Sound trainings of the split `sealed4`: mostly of ordinary kinds, some whose curves are easily misjudged."""

import math

import torch

from families.healthy_dev import default, good_start
from families.setups import shows


@shows("lr")
def half_cosine(s):
    """A cosine from the full rate to nothing, without warm-up."""
    s.sched = lambda step, total: 0.5 * (1 + math.cos(math.pi * step / total))


@shows("lr")
def warm_linear(s):
    """Warm-up over 6 % and a linear decay, as for fine-tuning."""
    s.sched = lambda step, total: min((step + 1) / (0.06 * total), max(0.0, (1 - step / total) / 0.94))


def patience_of_four(s):
    """Three times the budget, ended by a patience of four evaluations."""
    s.epochs, s.patience = s.epochs * 3, 4
    s.truth["tolerated"] = ["overfitting"]


@shows("lr")
def cycle_of_one(s):
    """One cycle that peaks at a third of the run at three times the rate."""
    s.sched = lambda step, total: (
        3 * min(step / (total / 3), 1.0) if step < total / 3 else 3 * max(0.003, (1 - step / total) / 0.667) ** 1.3
    )


def few_rows_strong_decay(s):
    """Two fifths of the rows, a strong decay, fewer passes: a moderate gap, validation ends at its best."""
    x, y = s.task.train
    n = int(0.4 * len(x))
    s.data(train=(x[:n], y[:n]))
    s.wd = 0.1
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["generalization-gap"]


def augmented(s):
    """Inputs are jittered and entries dropped in training only; validation lies a little below training."""
    s.on_batch.append(lambda step, ep, x, y: ((x + 0.15 * torch.randn_like(x)) * (torch.rand_like(x) > 0.06), y))
    s.truth["tolerated"] = ["val-better"]


def batches_of_ten(s):
    """Batches of ten: a rough training curve over a sound course."""
    s.batch, s.lr, s.epochs = 10, s.lr / 3, max(7, s.epochs // 2)
    s.truth["tolerated"] = ["instability", "spikes"]


@shows("lr")
def three_steps_down(s):
    """The rate falls by five at 40, 65 and 85 %."""
    s.sched = lambda step, total: 1.4 * 0.2 ** ((step > 0.4 * total) + (step > 0.65 * total) + (step > 0.85 * total))


def validated_on_fifty(s):
    """A fixed validation set of fifty rows whose loss lies off the training loss."""
    x, y = s.task.val
    s.data(val=(x[:50], y[:50]))
    s.truth["tolerated"] = ["val-better", "generalization-gap"]


def seven_epochs(s):
    """Seven epochs at twice the rate with a linear decay."""
    s.lr, s.epochs = s.lr * 2, 7
    s.sched = lambda step, total: max(0.03, 1 - step / total)


def done_by_the_middle(s):
    """Two and a half times the passes under a decay by 0.03: the second half is flat at a good level."""
    s.epochs, s.wd = int(s.epochs * 2.5), 0.03
    s.sched = lambda step, total: 0.03 ** min(1.0, 1.6 * step / total)


def losses_and_nothing_else(s):
    """Only the losses are logged."""


losses_and_nothing_else.extras = {"only_loss", "no_parts", "no_more"}


@shows("gnorm")
def clipped_at_one(s):
    """Gradients are clipped at one, which acts at the start and now and then later."""
    s.clip = 1.0


def slow_start(s):
    """A quadratic warm-up takes a quarter of the run: the loss leaves its start late."""
    s.epochs = int(s.epochs * 1.3)
    s.sched = lambda step, total: min(1.0, ((step + 1) / (0.25 * total)) ** 2) * (1 - 0.6 * step / total)


NAMES = (
    "slots_bio",
    "hash_codes",
    "phones",
    "protonet",
    "set_centres",
    "ode_fit",
    "hetero",
    "taxonomy",
    "quant_cnn",
    "intents_ft",
    "listwise",
    "style_ae",
)
HEALTHY = {
    default: (*NAMES, "hetero", "quant_cnn", "style_ae"),
    good_start: ("hash_codes", "phones"),
    half_cosine: ("hash_codes", "quant_cnn", "set_centres"),
    warm_linear: ("intents_ft", "slots_bio"),
    patience_of_four: ("phones", "taxonomy", "hetero"),
    cycle_of_one: ("set_centres", "taxonomy"),
    few_rows_strong_decay: ("protonet", "listwise", "quant_cnn"),
    augmented: ("phones", "quant_cnn"),
    batches_of_ten: ("hetero", "protonet", "listwise"),
    three_steps_down: ("style_ae", "hash_codes"),
    validated_on_fifty: ("protonet", "slots_bio", "set_centres"),
    seven_epochs: ("listwise", "taxonomy"),
    done_by_the_middle: ("style_ae", "set_centres", "ode_fit"),
    losses_and_nothing_else: ("ode_fit", "hetero", "listwise"),
    clipped_at_one: ("slots_bio", "ode_fit"),
    slow_start: ("quant_cnn", "slots_bio"),
}
