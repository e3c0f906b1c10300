"""Healthy trainings of the split `sealed` whose shape is easily misjudged."""

import numpy as np
import torch

from families.faults_dev import rows
from families.healthy_dev import default, good_start


def warm_restarts(s):
    """Cosine with four warm restarts; the loss jumps a little at each."""
    s.sched = lambda step, total: 0.02 + 0.49 * (1 + np.cos(np.pi * ((step * 4 / total) % 1)))
    s.truth["tolerated"] = ["lr-schedule", "instability", "spikes", "unconverged"]


def one_cycle(s):
    """One cycle: up to twice the rate over a third of the run, then down to nothing."""
    s.lr *= 2
    s.sched = lambda step, total: (
        0.04 + 0.96 * step / (0.33 * total) if step < 0.33 * total else max(1e-4, 0.5 * (1 + np.cos(np.pi * (step / total - 0.33) / 0.67)))
    )


def warm_stable_decay(s):
    """Warm-up, a long constant stretch and a decay over the last fifth: the loss falls late, at the decay."""
    s.sched = lambda step, total: min(1.0, step / (0.04 * total)) if step < 0.8 * total else max(0.01, (total - step) / (0.2 * total))
    s.truth["tolerated"] = ["unconverged"]


def batch_of_six(s):
    """Batches of six with a small rate."""
    s.batch, s.lr, s.epochs = 6, s.lr / 4, max(5, s.epochs // 3)
    s.truth["tolerated"] = ["instability", "spikes"]


def stopped_after_best(s):
    """A long budget that early stopping ends some evaluations after the best one."""
    s.epochs, s.patience = s.epochs * 4, 3
    s.truth["tolerated"] = ["overfitting", "unconverged"]


def saturated_score(s):
    """An easy task: the score reaches one and stays."""
    s.epochs = int(s.epochs * 1.6)
    s.sched = lambda step, total: 0.02 ** (step / total)


def summed_gradients_averaged(s):
    """Gradient accumulation over four small batches, averaged as it should be."""
    s.accum, s.batch = 4, s.batch // 4


def label_smoothing_01(s):
    """Label smoothing of 0.1 in training and validation: the floor of the loss is not zero."""
    f = s.task.loss

    def loss(out, batch):
        p = out.log_softmax(-1).mean(-1)
        return 0.9 * f(out, batch) - 0.1 * (p if p.dim() == 1 else p.mean(1))

    s.data(loss=loss)
    s.truth["own_scale"] = True
    s.truth["tolerated"] = ["low-confidence", "underfitting", "plateau", "unconverged"]


def strong_masking_in_training(s):
    """Random masking of a quarter of the inputs in training; validation is better throughout."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand_like(x) < 0.25, torch.zeros_like(x), x), y))
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau", "unconverged"]


def mild_gap(s):
    """A third of the data: training is somewhat better than validation, which stays near its best."""
    n = len(s.task.train[0]) // 2
    s.data(train=rows(s.task.train, torch.arange(n)))
    s.wd = 0.05


def large_batch(s):
    """Large batches and a root-scaled rate: a smooth curve with few steps."""
    s.batch, s.lr, s.epochs = 256, s.lr * 2, int(s.epochs * 2)


def scaler_settles(s):
    """Mixed precision: a few halvings at the start, one now and then."""
    s.scaler = 2.0**18
    s.truth["tolerated"] = ["nan-inf"]


def exponential_decay(s):
    """The rate falls by a fixed share in every epoch."""
    s.sched = lambda step, total: 0.03 ** (step / total)


NAMES = ("sort_tf", "texture_net", "ctc_lstm", "churn2", "twenty", "motor", "denoise_ae", "triplet_id", "rank_pair", "bracket_lm")
HEALTHY = {
    default: NAMES,
    good_start: ("motor", "texture_net", "bracket_lm", "churn2"),
    warm_restarts: ("motor", "denoise_ae", "ctc_lstm", "sort_tf"),
    one_cycle: ("texture_net", "rank_pair", "bracket_lm", "twenty"),
    warm_stable_decay: ("sort_tf", "motor", "triplet_id", "denoise_ae"),
    batch_of_six: ("motor", "churn2", "texture_net", "twenty"),
    stopped_after_best: ("churn2", "rank_pair", "twenty"),
    saturated_score: ("triplet_id", "texture_net"),
    summed_gradients_averaged: ("motor", "twenty"),
    label_smoothing_01: ("twenty", "texture_net", "bracket_lm"),
    strong_masking_in_training: ("motor", "twenty", "texture_net"),
    mild_gap: ("denoise_ae", "motor", "triplet_id"),
    large_batch: ("motor", "churn2"),
    scaler_settles: ("twenty", "denoise_ae"),
    exponential_decay: ("denoise_ae", "rank_pair", "bracket_lm", "ctc_lstm"),
}
