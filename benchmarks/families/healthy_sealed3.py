"""Sound trainings of the split `sealed3` whose curves are easily misjudged."""

import numpy as np
import torch

from families.healthy_dev import default
from families.setups import shows


def classes_arrive(s):
    """Class-incremental order: two classes, then five, then all; the loss rises when new ones come and falls again."""
    y = s.task.train[1].numpy()
    g = np.random.default_rng(s.seed)
    epochs = s.epochs = int(s.epochs * 1.3)

    def stage(epoch, perm):
        known = [s.task.classes // 2, s.task.classes - 2, s.task.classes][min(2, 6 * epoch // epochs)]
        return g.choice(np.flatnonzero(y < known), len(y))

    s.order = stage
    s.truth["tolerated"] = ["divergence", "instability", "sudden-shift", "generalization-gap"]


def mixed_pairs(s):
    """Mixup as published (beta 0.3, targets mixed in the loss): training stays above validation."""
    f = s.task.loss
    g, now = np.random.default_rng(s.seed), {}

    def mix(step, ep, x, y):
        lam = float(g.beta(0.3, 0.3))
        j = torch.as_tensor(g.permutation(len(x)))
        now.update(lam=lam, other=y[j], n=len(x))
        return lam * x + (1 - lam) * x[j], y

    def loss(out, batch):
        if len(batch[1]) != now.get("n") or not out.requires_grad:
            return f(out, batch)
        return now["lam"] * f(out, batch) + (1 - now["lam"]) * f(out, (batch[0], now["other"]))

    s.on_batch.append(mix)
    s.data(loss=loss)
    s.truth["tolerated"] = ["val-better", "underfitting", "plateau", "instability", "low-confidence"]


def penalty_in_the_training_loss(s):
    """The L2 penalty is part of the training loss that is logged, and not of validation's."""
    s.on_loss.append(lambda step, loss, model: loss + 4e-4 * sum((p**2).sum() for p in model.parameters() if p.requires_grad))
    s.truth["tolerated"] = ["val-better"]


def pruned_at_half_time(s):
    """At 55 % the smallest half of the weights is set to zero and kept there: the loss steps up and recovers."""
    at, masks = int(0.55 * s.total), {}

    def prune(step, model):
        if step < at:
            return
        with torch.no_grad():
            for n, p in model.named_parameters():
                if p.dim() < 2 or "emb" in n or not p.requires_grad:
                    continue
                if n not in masks:
                    masks[n] = p.abs() > p.abs().flatten().median()
                p.mul_(masks[n])

    s.after_step.append(prune)
    s.epochs = int(s.epochs * 1.4)
    s.truth["tolerated"] = ["sudden-shift", "spikes"]


def five_evaluations(s):
    """Evaluation is dear: only six in the whole run."""
    s.eval_every = s.total // 6


def two_dozen_samples(s):
    """The validation set has 32 samples, always the same."""
    x, y = s.task.val
    s.data(val=(x[:32], y[:32]))


@shows("lr")
def inverse_square_root(s):
    """Warm-up over a tenth, then the inverse square root."""
    s.sched = lambda step, total: min((step + 1) / (0.1 * total), ((step + 1) / (0.1 * total)) ** -0.5)
    s.lr *= 1.5


@shows("lr")
def nesterov_and_cosine(s):
    """Plain momentum descent with a cosine to zero."""
    s.opt, s.lr = "sgd", 0.05
    s.sched = lambda step, total: 0.5 * (1 + np.cos(np.pi * step / total))
    s.epochs = int(s.epochs * 1.3)


@shows("lr")
def three_cycles_down(s):
    """Triangular cycles whose height halves each time."""
    s.sched = lambda step, total: 0.05 + 0.9 * 0.5 ** int(4 * step / total) * (1 - abs(((step * 8 / total) % 2) - 1))
    s.lr *= 1.5


def stochastic_depth(s):
    """A third of the units is dropped in training at every step (as stochastic depth does); validation is better for long."""
    s.on_batch.append(
        lambda step, ep, x, y: (x * (torch.rand_like(x) > 0.15) / 0.85 if x.is_floating_point() else x, y),
    )
    s.truth["tolerated"] = ["val-better"]


def rate_rewound(s):
    """At 55 % the rate is rewound to its start once (after a checkpoint was pruned elsewhere): a small bump, then a cosine."""
    s.sched = lambda step, total: (
        0.5 * (1 + np.cos(np.pi * (step / (0.55 * total) if step < 0.55 * total else (step / total - 0.55) / 0.45)))
    )
    s.truth["tolerated"] = ["lr-schedule"]


rate_rewound.shows = {"lr"}


def gradient_noise_annealed(s):
    """Gaussian noise on the gradients that decays with the steps, as published."""
    g = torch.Generator().manual_seed(s.seed)

    def noise(step, model):
        sd = 0.02 / (1 + step) ** 0.55
        for p in model.parameters():
            if p.grad is not None:
                p.grad.add_(torch.randn(p.shape, generator=g) * sd)

    s.on_grad.append(noise)


def scaler_probes(s):
    """Mixed precision: the loss scale doubles every 200 steps and is halved again when it overflows."""
    s.scaler = 2.0**16
    s.truth["tolerated"] = ["nan-inf"]


def metrics_without_loss(s):
    """Validation logs scores only."""


metrics_without_loss.extras = {"no_val_loss"}


def single_tag(s):
    """Only the losses are logged."""


single_tag.extras = {"only_loss", "no_parts", "no_more"}


@shows(fine=True)
def batches_of_four(s):
    """Batches of four: a noisy training curve, a fine model."""
    s.batch, s.lr, s.epochs = 4, s.lr / 5, max(5, s.epochs // 3)
    s.truth["tolerated"] = ["instability"]


def short_and_steep(s):
    """Five epochs with a linear decay."""
    s.epochs, s.lr = 6, s.lr * 1.5
    s.sched = lambda step, total: 1 - step / total


short_and_steep.shows = {"lr"}


def long_and_decayed(s):
    """Twice the epochs under a decay by 0.02: flat at a good end."""
    s.epochs *= 2
    s.sched = lambda step, total: 0.02 ** (step / total)


NAMES = (
    "glyph_vit",
    "dialog_lm",
    "survival",
    "flow_rings",
    "moe_router",
    "voices_am",
    "masked_sites",
    "lora_ft",
    "clicks",
    "depth_pix",
    "grid_det",
    "visits",
)
HEALTHY = {
    default: NAMES,
    classes_arrive: ("glyph_vit", "lora_ft"),
    mixed_pairs: ("glyph_vit", "lora_ft"),
    penalty_in_the_training_loss: ("depth_pix", "visits", "voices_am"),
    pruned_at_half_time: ("grid_det", "dialog_lm", "glyph_vit"),
    five_evaluations: ("flow_rings", "dialog_lm", "depth_pix"),
    two_dozen_samples: ("grid_det", "voices_am"),
    inverse_square_root: ("dialog_lm", "flow_rings"),
    nesterov_and_cosine: ("lora_ft", "visits"),
    three_cycles_down: ("flow_rings", "depth_pix", "voices_am"),
    stochastic_depth: ("visits", "glyph_vit"),
    rate_rewound: ("grid_det", "survival"),
    gradient_noise_annealed: ("depth_pix", "dialog_lm"),
    scaler_probes: ("flow_rings", "survival"),
    metrics_without_loss: ("grid_det", "clicks", "voices_am"),
    single_tag: ("visits", "dialog_lm", "flow_rings"),
    batches_of_four: ("visits", "depth_pix"),
    short_and_steep: ("lora_ft", "survival", "grid_det"),
    long_and_decayed: ("depth_pix", "flow_rings", "visits"),
}
