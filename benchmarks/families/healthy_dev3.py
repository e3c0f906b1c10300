"""Sound trainings of the split `dev3` whose curves are easily misjudged."""

import copy

import numpy as np
import torch
from torch import nn

from families.healthy_dev import default
from families.setups import shows


@shows("lr")
def long_warmup(s):
    """The warm-up takes 40 % of the run, then a cosine: the loss moves late."""
    s.sched = lambda step, total: min(
        1.0, (step + 1) / (0.4 * total), 0.02 + 0.5 * (1 + np.cos(np.pi * max(0.0, step / total - 0.4) / 0.6))
    )
    s.epochs = int(s.epochs * 1.3)


def class_weighted(s):
    """Weights of the classes in the loss: it starts above ln K."""
    k = s.task.classes
    w = torch.linspace(0.7, 2.6, k)
    f = s.task.loss

    def weighted(out, batch):
        if out.dim() == 3:
            return nn.functional.cross_entropy(out.transpose(1, 2), batch[1], weight=w, reduction="none").mean(1)
        return f(out, batch) * w[batch[1]]

    s.data(loss=weighted, loss_name="weighted")
    s.truth["own_scale"] = True


def focal_gamma_two(s):
    """Focal loss with gamma 2, as published."""

    def focal(out, batch):
        p = out.softmax(-1).gather(-1, batch[1].unsqueeze(-1)).squeeze(-1)
        e = (1 - p) ** 2 * -p.clamp_min(1e-9).log()
        return e if e.dim() == 1 else e.mean(1)

    s.data(loss=focal, loss_name="focal")
    s.truth["own_scale"] = True


@shows(fine=True)
def curriculum_in_steps(s):
    """Three stages of growing difficulty: the training loss rises at each and falls again."""
    y = s.task.train[1].float().reshape(len(s.task.train[0]), -1)
    size = y.abs().mean(1)
    order = size.argsort().numpy()
    n, epochs = len(order), s.epochs
    g = np.random.default_rng(s.seed)

    def stage(epoch, perm):
        share = [0.45, 0.75, 1.0][min(2, 5 * epoch // epochs)]
        return g.choice(order[: int(share * n)], n)

    s.order = stage
    s.truth["tolerated"] = ["val-better", "divergence", "instability", "sudden-shift"]


@shows("whist")
def unfrozen_step_by_step(s):
    """Fine-tuning: only the head learns for the first fifth, then everything."""

    def begin(model):
        p = list(model.parameters())
        for q in p[:-2]:
            q.requires_grad_(False)

    s.on_model.append(begin)

    def thaw(step, model):
        if step == s.total // 5:
            for q in model.parameters():
                q.requires_grad_(True)

    s.after_step.append(thaw)
    s.optimizer = lambda setup, model: torch.optim.AdamW(model.parameters(), setup.lr, weight_decay=setup.wd)
    s.epochs = int(s.epochs * 1.2)


def averaged_at_the_end(s):
    """Stochastic weight averaging over the last quarter: the validation loss steps down there, the training loss does not."""
    keep = {}

    def follow(step, model):
        if step < 0.75 * s.total:
            return
        if "m" not in keep:
            keep["m"], keep["n"] = copy.deepcopy(model), 1
            return
        keep["n"] += 1
        with torch.no_grad():
            for a, b in zip(keep["m"].parameters(), model.parameters(), strict=True):
                a.lerp_(b, 1 / keep["n"])

    s.after_step.append(follow)
    s.eval_model = lambda model: keep.get("m", model)


def averaged_evaluation(s):
    """Validation uses an exponential average of the weights with decay 0.98."""
    keep = {}

    def follow(step, model):
        if "m" not in keep:
            keep["m"] = copy.deepcopy(model)
        with torch.no_grad():
            for a, b in zip(keep["m"].parameters(), model.parameters(), strict=True):
                a.lerp_(b, 0.02)
            for a, b in zip(keep["m"].buffers(), model.buffers(), strict=True):
                a.copy_(b)

    s.after_step.append(follow)
    s.eval_model = lambda model: keep["m"]


def forty_fixed_samples(s):
    """Validation is a fixed set of 48 samples: the score moves in steps."""
    x, y = s.task.val
    s.data(val=(x[:48], y[:48]))


def evaluated_in_steps(s):
    """Evaluation every 61 steps, not at the epochs' ends."""
    s.eval_every = 61


def six_evaluations(s):
    """A short fine run: six epochs, six evaluations."""
    s.lr, s.epochs = s.lr * 1.8, 6
    s.sched = lambda step, total: max(0.02, 1 - step / total)


def batch_grows(s):
    """The rate falls in steps (by four at 60 and 80 %), as the batch grows elsewhere: noise shrinks at each."""
    s.sched = lambda step, total: 0.25 ** ((step > 0.6 * total) + (step > 0.8 * total))


def plateau_scheduler(s):
    """ReduceLROnPlateau, stepped with the validation loss: the rate halves late and rarely."""
    state = {"best": 1e9, "since": 0, "factor": 1.0}

    def look(res):
        if res["val_loss"] < state["best"] * 0.998:
            state.update(best=res["val_loss"], since=0)
        else:
            state["since"] += 1
        if state["since"] >= 2:
            state.update(since=0, factor=max(0.02, state["factor"] * 0.4))

    s.after_eval.append(look)
    s.sched = lambda step, total: state["factor"]
    s.epochs = int(s.epochs * 1.3)


plateau_scheduler.shows = {"lr"}


def noisy_gradients(s):
    """Small batches of five and momentum SGD at a sound rate: a rough training curve."""
    s.batch, s.lr, s.epochs = 5, s.lr / 5, max(6, s.epochs // 3)
    s.truth["tolerated"] = ["instability"]


def scores_only(s):
    """Nothing but scores and the training loss is logged."""


scores_only.extras = {"no_val_loss"}


def losses_only(s):
    """Nothing but the two losses is logged."""


losses_only.extras = {"only_loss", "no_parts", "no_more"}


def warm_cosine_long(s):
    """Warm-up and cosine, 60 % more epochs: flat at the end at a good level."""
    s.epochs = int(s.epochs * 1.6)
    s.sched = lambda step, total: min(1, (step + 1) / (0.08 * total)) * 0.5 * (1 + np.cos(np.pi * step / total))


def clipped_half_the_time(s):
    """Clipping at the median norm under Adam, which does not mind."""
    s.clip = 0.6


clipped_half_the_time.shows = {"gnorm"}

NAMES = (
    "superres",
    "grammar_lm",
    "reverse_s2s",
    "ordinal",
    "recommend",
    "gcn_nodes",
    "spectra6",
    "forecast",
    "two_heads",
    "ddpm_knots",
    "distil",
    "quantiles",
)
HEALTHY = {
    default: NAMES,
    long_warmup: ("grammar_lm", "spectra6", "reverse_s2s"),
    class_weighted: ("grammar_lm", "spectra6"),
    focal_gamma_two: ("spectra6", "grammar_lm"),
    curriculum_in_steps: ("ordinal", "forecast"),
    unfrozen_step_by_step: ("superres", "spectra6"),
    averaged_at_the_end: ("forecast", "ddpm_knots"),
    averaged_evaluation: ("distil", "superres"),
    forty_fixed_samples: ("gcn_nodes", "ordinal"),
    evaluated_in_steps: ("grammar_lm", "ddpm_knots"),
    six_evaluations: ("distil", "forecast"),
    batch_grows: ("quantiles", "superres"),
    plateau_scheduler: ("spectra6", "quantiles"),
    noisy_gradients: ("forecast", "two_heads"),
    scores_only: ("grammar_lm", "recommend"),
    losses_only: ("forecast", "superres"),
    warm_cosine_long: ("reverse_s2s", "ddpm_knots"),
    clipped_half_the_time: ("grammar_lm", "reverse_s2s"),
}
