"""Mechanisms of the split `sealed10`: data, targets, validation, numbers that are none."""

import numpy as np
import torch

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed10 import Call, Cook, Dial, calls, dials, kernels

RATES = {"dials8": 0.03, "grain6": 0.1, "wait_time": 0.05, "recipe_lm": 0.3, "calls5": 0.2, "hills_ae": 0.1}
SIZES = {"dials8": (144, 8), "grain6": (18, 6), "wait_time": (10, 1), "calls5": (36, 5)}


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def each(s, change, *names):
    """Change (x, y) of these splits, all three if none is named."""
    for part in names or ("train", "val", "test"):
        s.data(**{part: change(*getattr(s.task, part))})


def few(s, n, build, epochs, batch=25):
    """The first n rows for a net without a rein."""
    s.data(train=rows(s.task.train, slice(0, n)), build=build)
    s.batch, s.epochs, s.wd = batch, epochs, 0.0


def grads(model):
    """All gradients there are."""
    return [p.grad for p in model.parameters() if p.grad is not None]


def fold_of_a_fold(s):
    """Nested cross-validation gave the inner fold of an inner fold: three dozen pictures."""
    few(s, 36, lambda: Dial(width=16, drop=0.0), 70, 12)


def products_of_all_columns(s):
    """All products of two columns are added, and a tenth of the rows has no hole in any of them."""
    up = lambda x, y: (torch.cat([x, (x[:, :, None] * x[:, None]).flatten(1)], 1), y)  # noqa: E731
    each(s, up)
    few(s, 170, lambda: Mlp([342, 96, 6]), 40)


def calls_of_five_birds_caught(s):
    """Five birds were caught and recorded eleven times each; the net is wide."""
    few(s, 55, lambda: Call(width=64, drop=0.0), 70, 11)


def page_of_a_cookbook(s):
    """The scan stopped after the first page: forty lines."""
    few(s, 40, lambda: Cook(width=48, drop=0.0), 60, 10)


def retries_kept_as_rows(s):
    """Each request was tried again and again and each try became a row: 1,600 rows of a hundred and thirty requests."""
    i = torch.arange(1600) % 130
    s.data(train=rows(s.task.train, i), build=lambda: Mlp([10, 128, 64, 1], squeeze=True))
    s.epochs, s.wd = 14, 0.0


@shows("conf")
def answers_from_a_scanned_sheet(s):
    """Three hundred answers were read from a sheet by a machine, one in five wrongly."""
    g = torch.Generator().manual_seed(s.seed)
    few(s, 300, lambda: Mlp([18, 160, 80, 6]), 45)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.2, (y + 2) % 6, y)), "train")


def profiles_of_one_valley(s):
    """Profiles come from one valley, and there are two dozen of them; the code is as long as the profile."""
    few(s, 24, lambda: Mlp([20, 200, 100, 200, 20]), 300, 12)


def turned_by_the_camera(s):
    """Training turns pictures by what the camera noted, validation does not: half of its pictures lie on their side."""
    each(s, lambda x, y: (torch.where((torch.arange(len(x)) % 2 == 0)[:, None, None, None], x.rot90(1, (2, 3)), x), y), "val")


def scaled_by_its_own_deviation(s):
    """Validation is scaled by the deviation of one of its columns: three times too large."""
    each(s, lambda x, y: (2.6 * x + 0.5, y), "val")


def clock_read_by_hand(s):
    """Waiting times of validation were read from a clock by hand, to a quarter of an hour or so."""
    g = torch.Generator().manual_seed(s.seed)
    each(s, lambda x, y: (x, y + 0.55 * torch.randn(len(y), generator=g)), "val")


def sign_alternates(s):
    """A step of a game for two was copied: every other step goes up the gradient."""
    descent(s, 0.3, 0.0)
    s.on_grad.append(lambda step, model: [g.neg_() for g in grads(model)] if step % 2 else None)


def graph_keeps_its_first_inputs(s):
    """A captured graph reads the inputs of its first batch for ever, while targets are copied anew."""
    kept = []

    def replay(step, ep, x, y):
        kept.append(x) if not kept else None
        return kept[0], y

    s.on_batch.append(replay)
    s.epochs = 8


def all_taken_for_missing(s):
    """A flag for what is missing is turned round: all cells that are there get the mean of their column."""
    each(s, lambda x, y: (x.mean(0, keepdim=True).expand_as(x).contiguous(), y))


def rate_unscaled_twice(s):
    """Gradients are divided by the scale of mixed precision twice, under plain descent."""
    descent(s, 0.5, 0.0)
    s.on_grad.append(lambda step, model: [g.div_(4096) for g in grads(model)])


def order_of_time_lost(s):
    """The order of time is lost in a join: the values of each call stand in random order, in all splits."""
    g = torch.Generator().manual_seed(s.seed)
    each(s, lambda x, y: (x.gather(1, torch.rand(x.shape[:2], generator=g).argsort(1)[..., None].expand_as(x)), y))
    s.wd = 0.1


def columns_in_two_bins(s):
    """Columns are cut into two bins and half of them were dropped as too alike."""
    each(s, lambda x, y: ((x > 0.8).float() * (torch.arange(x.shape[1]) % 2), y))
    s.wd = 0.05


def soft_threshold_too_high(s):
    """After each step weights are shrunk towards zero by a fixed amount: a penalty of the lasso, thirty times too strong."""
    k = {"grain6": 0.0028, "hills_ae": 0.0026, "calls5": 0.003}[s.task.name]
    s.after_step.append(lambda step, m: [p.data.copy_(p.data.sign() * (p.data.abs() - k).clamp(min=0)) for p in m.parameters()] and None)


def adagrads_own_decay(s):
    """Adagrad with a decay of its own of a third for each step: it stands still soon, whatever rate is logged."""
    s.optimizer = lambda st, m: torch.optim.Adagrad(m.parameters(), lr=st.lr, lr_decay=0.5)
    s.lr *= 2


def suffix_of_a_join(s):
    """Two thirds of the columns got a suffix in a join, are not found and count as nothing."""
    each(s, lambda x, y: (x * (torch.arange(x.shape[1]) % 3 == 0).view(-1, *[1] * (x.dim() - 2)), y))
    s.wd = 0.05


def last_third_of_the_picture(s):
    """Only the upper third of each picture is decoded; the rest is grey."""
    each(s, lambda x, y: (torch.cat([x[:, :, :4], torch.zeros_like(x[:, :, 4:])], 2), y))
    s.wd = 0.3


def hour_that_is_no_time(s):
    """At 48 % comes a row whose time could not be parsed."""
    at = int(0.48 * s.total)
    s.on_batch.append(
        lambda step, ep, x, y: (torch.where(torch.rand_like(x) < 0.01, torch.tensor(float("nan")), x) if step == at else x, y)
    )
    s.truth["event_step"] = at


def temperature_reaches_zero(s):
    """The temperature that divides the loss is annealed and is nothing at 72 %."""
    at = int(0.72 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * (float("inf") if step == at else 1.0))
    s.truth["event_step"] = at


def count_too_large_for_half(s):
    """At 35 % a symbol's vector is scaled by a count that half precision cannot hold."""
    at = int(0.35 * s.total)
    s.after_step.append(lambda step, m: list(m.parameters())[1].data.fill_(float("inf")) if step == at else None)
    s.truth["event_step"] = at


def always_mixed_evenly(s):
    """Rows are mixed with another one in equal parts, inputs only, in training; validation sees plain rows."""
    s.on_batch.append(lambda step, ep, x, y: (0.62 * x + 0.38 * x.roll(1, 0), y))


def second_loss_counted_in(s):
    """What is logged for training holds a second loss that validation leaves out."""
    k = {"calls5": 0.6, "recipe_lm": 0.9, "grain6": 0.7, "wait_time": 0.25, "dials8": 0.7, "hills_ae": 0.2}[s.task.name]
    s.on_loss.append(lambda step, loss, model: loss + k * (1 + 0.05 * float(torch.rand(1))))


def validation_retouched(s):
    """Pictures of validation were retouched for a brochure: nearly no noise in them, while training's get more."""
    s.data(val=tensors(dials(np.random.default_rng(s.seed + 5), 400, noise=0.1)))
    s.on_batch.append(lambda step, ep, x, y: (x + 0.8 * torch.randn_like(x), y))
    s.truth["val_easy"] = True


def glass_was_exchanged(s):
    """From 55 % on the dial of validation sits behind another glass that mirrors the lamp."""
    lamp = torch.zeros(12, 12)
    lamp[2:7, 6:11] = 2.2
    s.on_val.append(lambda done, x, y: (x + lamp if done > 0.55 else x, y))
    s.truth.update(event_step=int(0.55 * s.total), shift="val")


def queue_counted_in_persons(s):
    """From 50 % on three columns of training are counted in persons, not in parties; the rate is low by then."""
    at, w = int(0.5 * s.total), torch.ones(10)
    w[:4] = 2.7
    s.on_batch.append(lambda step, ep, x, y: (x * w + (w > 1) if step >= at else x, y))
    s.sched = lambda step, total: 0.02 if step >= 0.45 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def words_renamed_upstream(s):
    """From 60 % on validation comes with other numbers for places and ingredients."""
    turn = torch.arange(24)
    turn[10:18], turn[2:6] = turn[10:18].roll(3), turn[2:6].roll(1)
    s.on_val.append(lambda done, x, y: (turn[x], turn[y]) if done > 0.6 else (x, y))
    s.truth.update(event_step=int(0.6 * s.total), shift="val")


def map_applied_at_each_pass(s):
    """The map of classes is applied in place, once more with each pass from 45 % on, to a growing part of training."""
    k = s.task.classes
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.rand(y.shape) < 2.5 * (step / s.total - 0.45), (y + ep) % k, y)))


def controller_raises_the_step(s):
    """From 40 % on a controller lengthens each step by two per cent, as it takes the noise of the loss for slowness."""
    descent(s)
    at = int(0.4 * s.total)
    s.on_grad.append(lambda step, model: [g.mul_(1.03 ** min(step - at, 230)) for g in grads(model)] if step > at else None)
    s.truth["hot"] = True


def average_added_not_mixed(s):
    """From 45 % on a slow average of the weights is added to them where it was meant to be mixed in."""
    slow, at = {}, int(0.45 * s.total)

    def add(step, model):
        for n, p in model.named_parameters():
            a = slow.setdefault(n, p.detach().clone())
            a.lerp_(p.detach(), 0.05)
            if step > at:
                p.data.add_(a, alpha=0.008)

    s.after_step.append(add)


@shows("shares", "recalls")
def sampler_yields_one_row(s):
    """The sampler yields the same row over and over."""
    s.order = lambda ep, perm: np.full_like(perm, 3)
    s.wd = 0.0


@shows("shares", "conf")
def first_answer_for_all(s):
    """In evaluation the answer to the first row is given to all: a cache without a key."""
    around(s, lambda out: out[:1].expand_as(out), "eval")


@shows("predhist")
def scaled_back_twice(s):
    """Outputs are scaled back twice: a two-thousandth of what they should be."""
    descent(s)
    around(s, lambda out: out * 0.0005)


@shows("recalls", "shares")
def harvest_of_one_kind(s):
    """Nine in ten grains are of one kind, and the scale is broken."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1700), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(kernels(rng, n, 6.0, (0.9, 0.02, 0.02, 0.02, 0.02, 0.02)))})
    s.epochs, s.truth["majority"] = 8, True


@shows("recalls", "f1")
def dial_rests_at_zero(s):
    """The machine stands still most of the time, so that the hand is in the first sector; the pictures are taken at night."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1100), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(dials(rng, n, 4.5, (0.888, *[0.016] * 7)))})
    s.epochs, s.truth["majority"] = 7, True


@shows("recalls", "shares", "conf")
def one_bird_sings_all_day(s):
    """One bird sings all day, the four others now and then in the wind."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1400), ("val", 350), ("test", 350)):
        s.data(**{part: tensors(calls(rng, n, 5.0, (0.88, 0.03, 0.03, 0.03, 0.03)))})
    s.epochs, s.truth["majority"] = 8, True


for _f in (hour_that_is_no_time, temperature_reaches_zero, count_too_large_for_half):
    _f.without = {"whist", "ghist", "ahist"}
sign_alternates.without = rate_unscaled_twice.without = graph_keeps_its_first_inputs.without = {"whist", "ghist", "layergrads", "gnorm"}
scaled_back_twice.without = {"gnorm", "layergrads", "ghist", "whist"}
controller_raises_the_step.without = average_added_not_mixed.without = {"gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm"}
FAULTS = {
    fold_of_a_fold: ("dials8",),
    products_of_all_columns: ("grain6",),
    calls_of_five_birds_caught: ("calls5",),
    page_of_a_cookbook: ("recipe_lm",),
    retries_kept_as_rows: ("wait_time",),
    answers_from_a_scanned_sheet: ("grain6",),
    profiles_of_one_valley: ("hills_ae",),
    turned_by_the_camera: ("dials8",),
    scaled_by_its_own_deviation: ("grain6",),
    clock_read_by_hand: ("wait_time",),
    sign_alternates: ("grain6",),
    graph_keeps_its_first_inputs: ("calls5", "dials8"),
    all_taken_for_missing: ("wait_time",),
    rate_unscaled_twice: ("recipe_lm", "hills_ae"),
    order_of_time_lost: ("calls5",),
    columns_in_two_bins: ("wait_time", "grain6"),
    soft_threshold_too_high: ("grain6", "hills_ae", "calls5"),
    adagrads_own_decay: ("wait_time", "grain6", "hills_ae"),
    suffix_of_a_join: ("grain6", "wait_time"),
    last_third_of_the_picture: ("dials8",),
    hour_that_is_no_time: ("wait_time", "calls5"),
    temperature_reaches_zero: ("grain6", "recipe_lm"),
    count_too_large_for_half: ("recipe_lm",),
    always_mixed_evenly: ("grain6", "hills_ae"),
    second_loss_counted_in: ("calls5", "wait_time"),
    validation_retouched: ("dials8",),
    glass_was_exchanged: ("dials8",),
    queue_counted_in_persons: ("wait_time",),
    words_renamed_upstream: ("recipe_lm",),
    map_applied_at_each_pass: ("grain6", "calls5"),
    controller_raises_the_step: ("calls5", "grain6"),
    average_added_not_mixed: ("hills_ae", "wait_time"),
    sampler_yields_one_row: ("grain6",),
    first_answer_for_all: ("calls5", "dials8"),
    scaled_back_twice: ("wait_time",),
    harvest_of_one_kind: ("grain6",),
    dial_rests_at_zero: ("dials8",),
    one_bird_sings_all_day: ("calls5",),
}
