"""Mechanisms of the split `dev3`: data, validation, budget.  `FAULTS` says on which tasks; `shows` which series the symptom needs."""

import copy

import numpy as np
import torch
from torch import nn

from families.setups import shows

TABLES = ("ordinal", "forecast", "two_heads", "distil", "quantiles")


def rows(split, i):
    return split[0][i], split[1][i]


def norms(model):
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def wide_and_unregularised(s):
    """Far more parameters than samples, an eighth of the data, no decay, five times the epochs."""
    n = max(40, len(s.task.train[0]) // 8)
    s.data(train=rows(s.task.train, slice(0, n)))
    s.batch, s.wd, s.epochs = min(s.batch, 32), 0.0, s.epochs * 5


def no_decay_on_factors(s):
    """Embeddings of 64 numbers without decay or dropout on few interactions: users are learned by heart."""
    from families.nets3 import Factors

    s.data(build=lambda: Factors(220, 150, width=64, drop=0.0), train=rows(s.task.train, slice(0, 2200)))
    s.wd, s.lr, s.epochs = 0.0, s.lr * 2, s.epochs * 2


def vocabulary_of_another_model(s):
    """Validation uses the ids of another tokeniser: half of them mean other words."""
    g = np.random.default_rng(s.seed)
    v = int(s.task.train[0].max()) + 1
    ids = np.arange(v)
    some = np.sort(g.choice(np.arange(1, v), v // 2, replace=False))
    ids[some] = np.roll(some, 1)
    ids = torch.as_tensor(ids)
    s.on_val.append(lambda done, x, y: (ids[x], y))


def running_statistics_stale(s):
    """Momentum 1e-4 in the norm layers: their running statistics stay near the initial ones, which only evaluation uses."""

    def stale(model):
        for m in norms(model):
            m.momentum = 1e-4

    s.on_model.append(stale)


def running_statistics_of_one_batch(s):
    """Momentum 1.0 in the norm layers and batches of three: evaluation uses the statistics of the last batch."""

    def jumpy(model):
        for m in norms(model):
            m.momentum = 1.0

    s.on_model.append(jumpy)
    s.batch, s.lr, s.epochs = 3, s.lr / 3, max(8, s.epochs // 2)
    s.data(train=rows(s.task.train, slice(0, 240)))


def few_fresh_noises(s):
    """Evaluation draws ten samples and new noise levels each time, for a loss that depends on them."""
    s.truth["val_few"], s.val_rows = True, 10

    def free(model):
        model.same = False

    s.on_model.append(free)


def nine_nodes_validated(s):
    """Every evaluation draws nine other samples."""
    s.truth["val_few"], s.val_rows = True, 9


def average_too_slow(s):
    """Validation uses an exponential average of the weights with decay 0.9995 in a run of some hundred steps."""
    keep = {}

    def follow(step, model):
        if "m" not in keep:
            keep["m"] = copy.deepcopy(model)
        with torch.no_grad():
            for a, b in zip(keep["m"].parameters(), model.parameters(), strict=True):
                a.lerp_(b, 5e-4)
            for a, b in zip(keep["m"].buffers(), model.buffers(), strict=True):
                a.copy_(b)

    s.after_step.append(follow)
    s.eval_model = lambda model: keep["m"]


def dropout_090(s):
    """Nine of ten hidden units are dropped in training; evaluation uses all of them."""

    def put(model):
        for m in model.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0.9
            if isinstance(m, nn.Sequential) and not any(isinstance(q, nn.Dropout) for q in m):
                for i, q in enumerate(m):
                    if isinstance(q, nn.ReLU) and i + 1 < len(m):
                        m[i] = nn.Sequential(q, nn.Dropout(0.85))

    s.on_model.append(put)


def coupled_decay(s):
    """Adam with the L2 term inside the gradient, at the strength meant for decoupled decay under SGD."""
    s.optimizer = lambda setup, model: torch.optim.Adam(model.parameters(), setup.lr, weight_decay=0.5)


def half_precision_weights(s):
    """Weights live in bfloat16 without a master copy: small updates round to nothing."""
    s.lr /= 12

    def rounding(step, model):
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p.bfloat16().float())

    s.after_step.append(rounding)


def privacy_noise(s):
    """Noise for differential privacy is scaled for the sum but added to the mean of the gradients."""
    g = torch.Generator().manual_seed(s.seed)
    s.opt, s.lr, s.momentum = "sgd", 0.05, 0.9

    def noise(step, model):
        for p in model.parameters():
            if p.grad is not None:
                p.grad.add_(torch.randn(p.shape, generator=g) * 0.25)

    s.on_grad.append(noise)


def reading_missing(s):
    """One sample that only the late shard holds has a missing reading (NaN), and nobody looks."""
    at = int(s.total * 0.44)

    def bad(step, ep, x, y):
        if step == at:
            x = x.clone()
            x[0, ..., -1] = float("nan")
        return x, y

    s.on_batch.append(bad)
    s.truth["event_step"] = at


def validation_row_broken(s):
    """From 40 % on a validation file has one broken target; training is sound."""

    def bad(done, x, y):
        if done <= 0.4:
            return x, y
        y = y.clone()
        y[7] = float("nan")
        return x, y

    s.on_val.append(bad)
    s.truth["event_step"] = int(s.total * 0.4)


@shows(fine=True)
def wrong_unit_in_target(s):
    """Now and then a batch's targets come in another unit (thirty times larger)."""
    every = max(29, s.total // 9)
    s.on_batch.append(lambda step, ep, x, y: (x, y * 30) if step % every == every - 4 and step > 40 else (x, y))


def harder_source(s):
    """At 45 % the mixture switches to another source: training targets follow another rule for most rows; validation stays."""
    at = int(s.total * 0.45)
    y = s.task.train[1]
    g = torch.Generator().manual_seed(s.seed)

    def switch(step, ep, bx, by):
        if step < at:
            return bx, by
        j = torch.randint(0, len(y), (len(by),), generator=g)
        take = torch.rand(len(by), generator=g) < 0.6
        return bx, torch.where(take.reshape(-1, *[1] * (by.dim() - 1)), y[j], by)

    s.on_batch.append(switch)
    s.truth.update(event_step=at, shift="train")


def validation_cleaned(s):
    """From 55 % on the validation data is tokenised, or scaled, another way."""

    def change(done, x, y):
        if done <= 0.55:
            return x, y
        if x.is_floating_point():
            return x * 0.35 + 0.9, y
        v = int(x.max()) + 1
        return torch.where(x > v * 0.6, (x + 3).clamp_max(v - 1), x), y

    s.on_val.append(change)
    s.truth.update(event_step=int(s.total * 0.55), shift="val")


def half_loaded_checkpoint(s):
    """At 60 % the job restarts from a checkpoint that fits only some layers (strict=False); the rate is nearly spent by then."""
    at = int(s.total * 0.6)
    s.sched = lambda step, total: max(0.01, 0.5 * (1 + np.cos(np.pi * min(1.0, 1.45 * step / total))))

    def lose(step, model):
        if step == at:
            torch.manual_seed(3)
            for p in list(model.parameters())[:-2]:
                if p.dim() > 1:
                    with torch.no_grad():
                        p.copy_(torch.randn_like(p) * p.std())

    s.after_step.append(lose)
    s.truth.update(event_step=at, shift="train")


@shows(fine=True)
def easy_first_each_epoch(s):
    """A curriculum sorted by difficulty (size of the target) starts anew in every epoch, without shuffling."""
    y = s.task.train[1].float().reshape(len(s.task.train[0]), -1)
    size = y.abs().mean(1) if s.task.kind == "reg" else y[:, 0]
    order = size.argsort().numpy()
    s.order = lambda epoch, perm: order
    s.truth["sorted"] = True


def target_is_the_input(s):
    """The shift by one token is missing: the model is asked for the word that it sees."""
    for part in ("train", "val", "test"):
        x, _ = getattr(s.task, part)
        s.data(**{part: (x, x.clone())})
    s.truth["leak"] = True


def horizon_in_the_window(s):
    """The window is cut twelve steps too late: the last inputs are the targets."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.cat([x[:, :24], y], 1), y)})
    s.lr, s.truth["leak"] = s.lr * 2, True


def ids_shuffled_by_workers(s):
    """Every worker builds its own vocabulary: the ids of inputs mean something else in each batch."""
    v = int(s.task.train[0].max()) + 1

    def mix(x, k):
        return torch.as_tensor(np.random.default_rng(k).permutation(v))[x]

    s.on_batch.append(lambda step, ep, x, y: (mix(x, step), y))
    s.on_val.append(lambda done, x, y: (mix(x, int(done * 1e4)), y))


def wrong_column_as_target(s):
    """The target column is read from a table in another order: targets have nothing to do with inputs."""
    g = np.random.default_rng(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y[torch.as_tensor(g.permutation(len(y)))])})


def second_head_without_signal(s):
    """One of two heads gets targets of other rows: half of the loss cannot fall."""
    g = np.random.default_rng(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        y = y.clone()
        y[:, 1] = y[torch.as_tensor(g.permutation(len(y))), 1]
        s.data(**{part: (x, y)})


def one_channel(s):
    """The width in the configuration is 1."""
    from families import nets, nets3

    size = s.task.train[0].shape[-1]
    build = {
        "superres": lambda: nets3.SuperRes(1),
        "spectra6": lambda: nets3.Signal(6, width=1),
        "grammar_lm": lambda: nets3.CausalConv(24, width=2, layers=1),
        "ordinal": lambda: nets.Mlp([size, 1, 4]),
        "forecast": lambda: nets.Mlp([36, 1, 12]),
        "distil": lambda: nets.Mlp([24, 2, 8]),
    }[s.task.name]
    s.data(build=build)


def long_warmup_short_budget(s):
    """Half of a budget that is too short goes into the warm-up."""
    s.epochs = max(7, s.epochs // 2)
    s.sched = lambda step, total: 0.22 * min(1.0, (step + 1) / (0.5 * total))


@shows("recalls", "f1", "shares")
def rare_substances(s):
    """Nine samples in ten are of one class and the others are hardly visible in the noise."""
    g = np.random.default_rng(s.seed)

    def thin(split):
        x, y = split
        keep = np.array([c == 0 or g.random() < 0.02 for c in y.tolist()])
        i = np.flatnonzero(keep)
        i = torch.as_tensor(g.choice(i, 1000))
        return x[i] + 1.1 * torch.randn(x[i].shape, generator=torch.Generator().manual_seed(2)), y[i]

    s.data(train=thin(s.task.train), val=thin(s.task.val), test=thin(s.task.test))
    s.truth["majority"] = True


def prefetch_hangs(s):
    """One prefetch waits for a dead worker's timeout: forty minutes where a step takes a second."""
    at = int(0.37 * s.total)
    s.seconds = lambda step, total: 2600.0 if step == at else 1.0
    s.truth["event_step"] = at


@shows("speed")
def network_drive(s):
    """From 35 % on the data comes from a network drive, six times slower."""
    s.seconds = lambda step, total: 1.0 if step < 0.35 * total else 6.5
    s.truth["event_step"] = int(0.35 * s.total)


FAULTS = {
    wide_and_unregularised: ("ordinal", "two_heads", "spectra6", "distil", "grammar_lm"),
    no_decay_on_factors: ("recommend",),
    vocabulary_of_another_model: ("grammar_lm", "reverse_s2s"),
    running_statistics_stale: ("spectra6", "superres"),
    running_statistics_of_one_batch: ("spectra6", "superres"),
    few_fresh_noises: ("ddpm_knots",),
    nine_nodes_validated: ("gcn_nodes", "quantiles"),
    average_too_slow: ("grammar_lm", "forecast"),
    dropout_090: ("forecast", "quantiles", "ordinal"),
    coupled_decay: ("two_heads", "grammar_lm"),
    half_precision_weights: ("forecast", "grammar_lm"),
    privacy_noise: ("ordinal", "two_heads"),
    reading_missing: ("forecast", "spectra6", "two_heads"),
    validation_row_broken: ("forecast", "quantiles"),
    wrong_unit_in_target: ("forecast", "quantiles"),
    harder_source: ("distil", "forecast", "two_heads"),
    validation_cleaned: ("superres", "grammar_lm", "ordinal"),
    half_loaded_checkpoint: ("reverse_s2s", "two_heads"),
    easy_first_each_epoch: ("ordinal", "forecast"),
    target_is_the_input: ("grammar_lm",),
    horizon_in_the_window: ("forecast",),
    ids_shuffled_by_workers: ("reverse_s2s", "grammar_lm"),
    wrong_column_as_target: ("distil", "superres", "recommend", "quantiles"),
    second_head_without_signal: ("two_heads",),
    one_channel: ("superres", "spectra6", "grammar_lm", "ordinal"),
    long_warmup_short_budget: ("superres", "spectra6", "quantiles"),
    rare_substances: ("spectra6",),
    prefetch_hangs: ("gcn_nodes", "distil"),
    network_drive: ("superres", "ddpm_knots"),
}
