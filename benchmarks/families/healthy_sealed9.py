"""Sound trainings of the split `sealed9`."""

import copy
import math

import numpy as np
import torch

from families.healthy_dev import default, good_start
from families.setups import shows


@shows("lr")
def line_down(s):
    """No warm-up and a line down to a hundredth."""
    s.sched = lambda step, total: 1 - 0.99 * step / total


@shows("lr")
def flat_then_half_a_cosine(s):
    """A constant rate for half of the run, then half a cosine to nothing."""
    s.sched = lambda step, total: 1.0 if step < 0.5 * total else 0.5 + 0.5 * math.cos(2 * math.pi * (step / total - 0.5))


@shows("lr")
def three_warm_restarts(s):
    """Three cosines of a seventh, two and four sevenths of the run: small bumps where they start."""

    def rate(step, total):
        u = 7 * step / total
        a, n = next((a, n) for a, n in ((0, 1), (1, 2), (3, 4)) if u < a + n or a == 3)
        return 0.51 + 0.49 * math.cos(math.pi * min(1.0, (u - a) / n))

    s.sched = rate
    s.truth["tolerated"] = ["lr-schedule"]


@shows("lr")
def tenfold_drop_at_half(s):
    """The rate falls tenfold at half and again at 80 %: both losses step down."""
    s.sched = lambda step, total: 1.0 if step < 0.5 * total else 0.1 if step < 0.8 * total else 0.01


@shows("lr", "gnorm")
def warm_and_root(s):
    """A warm-up over 8 %, then the inverse root of the steps."""
    s.sched = lambda step, total: min((step + 1) / (0.08 * total), (0.08 * total / (step + 1)) ** 0.5)
    s.lr *= 1.5


def ragged_batches_of_nine(s):
    """Batches of nine at a sixth of the rate: a ragged curve of single steps."""
    s.batch, s.lr, s.epochs = 9, s.lr / 6, max(5, s.epochs // 2)
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["instability", "spikes"]


def smooth_and_few(s):
    """Batches five times as large at 2.5 times the rate for 2.5 times the passes: a smooth curve."""
    s.batch, s.lr, s.epochs = 5 * s.batch, 2.5 * s.lr, int(2.5 * s.epochs)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def seventy_fixed_rows(s):
    """Validation is a fixed set of seventy rows; its loss lies off and moves in steps."""
    x, y = s.task.val
    s.data(val=(x[:70], y[:70]))
    s.sched = lambda step, total: 1 - 0.97 * step / total
    s.truth["tolerated"] = ["generalization-gap", "val-better"]


def patience_of_six(s):
    """Two and a half times the passes under a line, ended by a patience of six."""
    s.epochs, s.patience, s.wd = int(2.5 * s.epochs), 6, 0.03
    s.sched = lambda step, total: max(0.02, 1 - 1.6 * step / total)


def augmented_by_noise(s):
    """Inputs are jittered, or some symbols hidden, in training only: training stays above validation."""
    alter = lambda x: x + 0.4 * torch.randn_like(x) if x.is_floating_point() else torch.where(torch.rand(x.shape) < 0.06, 3, x)  # noqa: E731
    s.on_batch.append(lambda step, ep, x, y: (alter(x), y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau"]


def flat_from_a_third_on(s):
    """Three times the passes under a fast decay: from a third on all is flat at a good level."""
    s.epochs, s.wd = int(2.6 * s.epochs), 0.02
    s.sched = lambda step, total: max(0.002, 0.001 ** (1.4 * step / total))


def six_points_in_all(s):
    """Six passes at twice the rate under a line: six evaluations in all."""
    s.epochs, s.lr = 6, 2 * s.lr
    s.sched = lambda step, total: 1.02 - step / total


@shows("gnorm", "lr")
def clipped_on_some_steps(s):
    """Gradients are clipped at 0.4 under Adam, on many steps and to no harm."""
    s.clip = 0.4
    s.sched = lambda step, total: min(1.0, (step + 1) / (0.05 * total)) * (1 - 0.9 * step / total)


def scale_starts_too_high(s):
    """Mixed precision: the scale starts at 2 to the 21 and is halved in the first steps; some gradients are Inf there."""
    s.scaler = 2.0**21
    s.sched = lambda step, total: 1 - 0.9 * step / total
    s.truth["tolerated"] = ["nan-inf"]


def weights_in_the_mean(s):
    """Validation uses a mean of the weights with decay 0.98: a smooth curve that starts late."""
    kept = []
    s.on_model.append(lambda m: kept.append(copy.deepcopy(m)) or None)

    def follow(step, model):
        for a, b in zip(kept[0].state_dict().values(), model.state_dict().values(), strict=True):
            a.copy_(0.98 * a + 0.02 * b if a.is_floating_point() else b)

    s.after_step.append(follow)
    s.eval_model = lambda model: kept[0]
    s.truth["tolerated"] = ["val-better"]


def easy_rows_first(s):
    """Rows of small size come first in the first passes, then all: the training loss rises a little where it ends."""
    x = s.task.train[0].float().flatten(1)
    g = np.random.default_rng(s.seed)
    size = (x - x.mean(0)).square().mean(1).numpy()
    easy = np.argsort(size)[: int(0.7 * len(size))]
    s.order = lambda ep, perm: perm if ep >= 3 else g.permutation(np.resize(easy, len(perm)))
    s.sched = lambda step, total: 1 - 0.95 * step / total


def two_curves(s):
    """Nothing but the two losses is logged."""
    s.sched = lambda step, total: 0.5 + 0.5 * math.cos(math.pi * step / total)


@shows("whist", "ghist", "ahist", "layergrads", "wnorm", "gnorm", "lr")
def everything_logged(s):
    """As the task comes under a cosine, with all that can be logged."""
    s.sched = lambda step, total: 0.55 + 0.45 * math.cos(math.pi * step / total)


two_curves.extras = {"only_loss", "no_parts", "no_more"}
NAMES = ("sprites8", "accel6", "loans", "code_lm", "flow_match", "vq_patches", "qa_span", "fuel_use")
HEALTHY = {
    default: NAMES,
    good_start: ("accel6", "vq_patches"),
    line_down: ("code_lm", "sprites8"),
    flat_then_half_a_cosine: ("loans", "fuel_use", "flow_match"),
    three_warm_restarts: ("qa_span", "fuel_use", "sprites8"),
    tenfold_drop_at_half: ("sprites8", "accel6", "vq_patches"),
    warm_and_root: ("code_lm", "loans"),
    ragged_batches_of_nine: ("fuel_use", "qa_span", "loans"),
    smooth_and_few: ("loans", "vq_patches"),
    seventy_fixed_rows: ("accel6", "fuel_use"),
    patience_of_six: ("vq_patches", "loans"),
    augmented_by_noise: ("accel6", "code_lm", "fuel_use"),
    flat_from_a_third_on: ("flow_match", "fuel_use", "loans"),
    six_points_in_all: ("accel6", "qa_span"),
    clipped_on_some_steps: ("qa_span", "code_lm"),
    scale_starts_too_high: ("sprites8", "vq_patches"),
    weights_in_the_mean: ("sprites8", "fuel_use"),
    easy_rows_first: ("loans", "fuel_use"),
    two_curves: ("code_lm", "accel6"),
    everything_logged: ("sprites8", "loans"),
}
