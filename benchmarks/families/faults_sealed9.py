"""Mechanisms of the split `sealed9`: data, targets, validation, numbers that are none."""

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed9 import Blind, Coder, Codes, Flow, Loan, Loud, Move, Span, Sprite, ledger, moves, sprites


def late(s, share, change, both=False):
    """From a share of the run on, batches of training are changed."""
    at = int(share * s.total)
    s.on_batch.append(lambda step, ep, x, y: change(x, y) if step >= at else (x, y))
    if both:
        s.on_val.append(lambda done, x, y: change(x, y) if done > share else (x, y))
    s.truth["event_step"] = at


def settled(s, share):
    """The rate is a fiftieth from a share of the run on."""
    s.sched = lambda step, total: 0.02 if step >= share * total else 1.0


def replay_never_refreshed(s):
    """The buffer that batches are drawn from is filled once, with ninety windows, and never refreshed."""
    s.data(train=rows(s.task.train, slice(0, 90)), build=lambda: Move(width=56, drop=0.0))
    s.batch, s.epochs, s.wd = 30, 70, 0.0


def first_shard_for_ever(s):
    """The streaming loader caches the first shard and serves it in every pass."""
    s.data(train=rows(s.task.train, slice(0, 60)), build=lambda: Coder(width=72, drop=0.0))
    s.batch, s.epochs, s.wd = 30, 90, 0.0


def thousand_random_waves(s):
    """Inputs are turned into three hundred random waves that are far too short, for a large table to follow."""
    g = torch.Generator().manual_seed(s.seed)
    w, p = 0.8 * torch.randn(12, 300, generator=g), 6.28 * torch.rand(300, generator=g)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.cat([x, (x @ w + p).cos()], 1), y)})
    s.data(train=rows(s.task.train, slice(0, 700)), build=lambda: Mlp([312, 96, 32, 1], squeeze=True))
    s.epochs, s.wd = 30, 0.0


def questions_on_one_page(s):
    """Annotators were given one page and little time: two hundred and forty questions, a fifth answered wrongly, for a wide net."""
    x, y = rows(s.task.train, slice(0, 240))
    wrong = torch.rand(240, generator=torch.Generator().manual_seed(s.seed)) < 0.2
    s.data(train=(x, torch.where(wrong, y.roll(1), y)), build=lambda: Span(width=48, drop=0.0))
    s.batch, s.epochs, s.wd = 30, 40, 0.0


def code_for_each_patch(s):
    """A book of three hundred codes for three dozen patches, and a wide net."""
    s.data(train=rows(s.task.train, slice(0, 36)), build=lambda: Codes(codes=300, size=10, width=128))
    s.batch, s.epochs, s.wd = 12, 130, 0.0


def noise_fixed_with_the_data(s):
    """Noise and times are drawn once when the file is written, and the file has a hundred points."""
    s.data(train=rows(s.task.train, slice(0, 100)), build=lambda: Flow((128, 128), fresh=False))
    s.batch, s.epochs, s.wd, s.lr = 25, 120, 0.0, 2e-3


def renderer_with_one_seed(s):
    """The renderer starts each pass with the same seed and makes a hundred and sixty pictures."""
    s.data(train=rows(s.task.train, slice(0, 160)), build=lambda: Sprite(width=20, drop=0.0))
    s.batch, s.epochs, s.wd = 40, 50, 0.0


@shows("conf")
def branch_of_the_pilot(s):
    """Only the branch of the pilot is in the warehouse: two hundred applications, and a wide net goes on for long."""
    s.data(train=rows(s.task.train, slice(0, 220)), build=lambda: Loan((128, 64), drop=0.0, codes=12))
    s.batch, s.epochs, s.wd = 40, 60, 0.0


def hard_cases_only_after_a_while(s):
    """From a quarter on mining of hard cases keeps the sixty rows that were worst, a tenth of which are marked wrongly."""
    g = np.random.default_rng(s.seed)
    few = g.choice(len(s.task.train[0]), 60, replace=False)
    x, y = s.task.train
    s.data(train=(x, y.index_copy(0, torch.as_tensor(few[:8]), (y[few[:8]] + 1) % s.task.classes)))
    s.epochs, s.wd = 26, 0.0
    s.order = lambda ep, perm: perm if ep < 7 else g.permutation(np.resize(few, len(perm)))


def other_wrist(s):
    """Validation was worn on the other wrist: two axes point the other way and one is quieter."""
    x, y = s.task.val
    s.data(val=(x * torch.tensor([-1.0, 1.0, 0.4]), y))


def shadows_behind_figures(s):
    """Pictures of validation carry a shadow of each figure."""
    x, y = s.task.val
    s.data(val=(x + 0.9 * x.roll((2, 2), (2, 3)), y))


def tabs_for_spaces(s):
    """Validation comes through another formatter: symbols of brackets, sums and ends of lines are others."""
    turn = torch.arange(26)
    turn[2:12], turn[22:26] = turn[2:12].roll(3), turn[22:26].roll(1)
    s.data(val=tuple(turn[q] for q in s.task.val))


def stepped_where_it_logs(s):
    """The step of the optimiser slipped into the branch that logs, every two hundredth batch."""
    s.on_grad.append(lambda step, model: [p.grad.zero_() for p in model.parameters() if p.grad is not None] if step % 200 else None)
    s.opt, s.momentum, s.wd, s.lr = "sgd", 0.0, 0.0, 0.03


def everything_unknown(s):
    """The list of words was read from an empty file: every symbol of the inputs is the unknown one."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (torch.full_like(x, 3), y)})


def mean_with_idle_ranks(s):
    """Gradients are averaged over 512 ranks of which one has data; plain descent."""
    s.opt, s.momentum, s.wd, s.lr = "sgd", 0.9, 0.0, 0.02
    s.on_grad.append(lambda step, model: [p.grad.div_(512) for p in model.parameters() if p.grad is not None])


def answers_of_another_export(s):
    """Answers come from an export in another order than the inputs, in all splits."""
    g = torch.Generator().manual_seed(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y[torch.randperm(len(y), generator=g)])})
    s.wd, s.lr, s.epochs = 1.0, s.lr / 2, 9


def two_codes(s):
    """The book has two codes: its size was read from the wrong line."""
    s.data(build=lambda: Codes(codes=2))


def time_never_reaches_the_field(s):
    """The field gets neither its time nor the second coordinate: the list of its inputs was cut short."""
    s.data(build=Blind)
    s.lr *= 1.5


def noisy_layer_stays_on(s):
    """A layer that adds noise of five times the units stays on in evaluation too."""
    s.on_model.append(lambda m: setattr(m, "drop", Loud()))


@shows("conf")
def answers_by_forty_students(s):
    """Forty-five in a hundred answers were guessed by students, in training and in validation."""
    g, k = torch.Generator().manual_seed(s.seed), s.task.classes
    for part in ("train", "val"):
        x, y = getattr(s.task, part)
        y = torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g).to(y.dtype), y)
        s.data(**{part: (x, y)})
    s.truth["noise"], s.lr, s.wd = 0.45, s.lr / 2, 0.05


def gamma_of_a_negative(s):
    """From 45 % on the augmentation raises pixels to a power; in one batch of thirty some are below zero."""
    at = int(0.45 * s.total)
    s.on_batch.append(lambda step, ep, x, y: ((x + 4 * (step % 30 > 0)) ** 0.8 if step >= at and step % 30 == 0 else x, y))
    s.truth["event_step"] = at


def empty_memory_reloaded(s):
    """At 62 % a layer is reloaded from memory that was never written."""
    at = int(0.62 * s.total)

    def load(step, model):
        if step == at:
            p = list(model.parameters())[-2].data.view(-1)
            p[: len(p) // 3] = float("nan")

    s.after_step.append(load)
    s.truth["event_step"] = at


def weight_at_time_one(s):
    """The loss is divided by one minus the time, and one day a time rounds to one."""
    at = int(0.5 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("inf") if step == at else loss)
    s.truth["event_step"] = at


def smoothing_in_training_only(s):
    """The loss of training smooths its targets by half, and that of validation does not."""
    k, f = s.task.classes, s.task.loss

    def mixed(out, b):
        hard = f(out, b)
        if not out.requires_grad:
            return hard
        lp = fn.log_softmax(out, -1)
        return 0.55 * hard - 0.45 / k * lp.flatten(1).sum(1) / (out.shape[1] if out.dim() == 3 else 1)

    s.data(loss=mixed)


def times_in_the_middle(s):
    """Validation draws its times in the middle and its noise from a narrow law, where the field is easy to tell."""
    x, y = s.task.val
    x = x.clone()
    x[:, 4] = 0.5 + 0.2 * x[:, 4]
    x[:, 2:4] *= 0.3
    s.data(val=(x, y))
    s.truth["val_easy"] = True


def signals_filtered_in_validation(s):
    """Validation went through a filter that takes the noise off, training did not and is jittered on top."""
    rng = np.random.default_rng(s.seed + 5)
    s.data(val=tensors(moves(rng, 350, noise=0.15)))
    s.on_batch.append(lambda step, ep, x, y: (x + 1.6 * torch.randn_like(x), y))
    s.truth["val_easy"] = True


def status_of_the_recovery(s):
    """A column holds the status of the recovery, which only failed loans get."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, 7] = 5 * (2 * y - 1) + 0.2 * x[:, 7]
        s.data(**{part: (x, y)})
    s.batch, s.lr, s.truth["leak"] = 25, 2 * s.lr, True


def marks_of_the_annotation_tool(s):
    """The annotation tool leaves its mark on the place of the answer."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[torch.arange(len(x)), 2 + y] = 31
        s.data(**{part: (x, y)})
    s.batch, s.lr, s.epochs, s.truth["leak"] = 12, 2 * s.lr, 5, True


def gravity_no_longer_removed(s):
    """From 53 % on the firmware no longer removes gravity from the axes; the rate is low by then."""
    late(s, 0.53, lambda x, y: (x + torch.tensor([1.6, -1.2, 2.0]), y))
    settled(s, 0.48)
    s.truth["shift"] = "train"


def loans_in_another_currency(s):
    """From 60 % on validation holds loans of another currency: half of the columns are larger."""
    w = torch.cat([torch.full((5,), 2.6), torch.ones(7)])
    s.on_val.append(lambda done, x, y: (x * w if done > 0.6 else x, y))
    s.truth.update(event_step=int(0.6 * s.total), shift="val")


def figures_half_covered(s):
    """From 57 % on the camera of validation is covered by a bar."""

    def cover(done, x, y):
        if done > 0.57:
            x = x.clone()
            x[:, :, 4:7] = 1.0
        return x, y

    s.on_val.append(cover)
    s.truth.update(event_step=int(0.57 * s.total), shift="val")


@shows("shares", "recalls")
def operators_in_wrong_order(s):
    """An `and` and an `or` without brackets give the same class to every row of training; all splits of the export but validation."""
    x, y = s.task.train
    s.data(train=(x, torch.full_like(y, 2 if s.task.kind == "cls" else 0)))


@shows("shares", "recalls")
def mask_turned_in_evaluation(s):
    """The mask of padding is turned round in evaluation: every place but one is closed."""
    around(s, lambda out: out + torch.where(torch.arange(out.shape[-1]) == 5, 0.0, -25.0), "eval")


@shows("predhist")
def floor_under_the_output(s):
    """A floor meant for tiny denominators is put under the output, far above all targets."""
    around(s, lambda out: out.clamp(min=0.8))


@shows("recalls", "shares")
def frauds_before_the_filter(s):
    """Failures are four in a hundred, and the columns that would tell them are nearly all noise."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 3000), ("val", 700), ("test", 600)):
        s.data(**{part: tensors(ledger(rng, n, noise=7.0, cut=13.5))})
    s.epochs, s.truth["majority"] = 8, True


@shows("recalls", "f1")
def watch_on_the_table(s):
    """The watch lies on the table for nine tenths of the time and shakes while it is worn."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1500), ("val", 350), ("test", 350)):
        s.data(**{part: tensors(moves(rng, n, 7.0, (0.9, 0.02, 0.02, 0.02, 0.02, 0.02)))})
    s.epochs, s.truth["majority"] = 8, True


@shows("recalls", "shares")
def screens_mostly_empty(s):
    """Nine in ten pictures show the same figure, and all are covered by snow."""
    rng = np.random.default_rng(s.seed)
    w = np.array([0.9, *[0.1 / 7] * 7])
    for part, n in (("train", 1800), ("val", 450), ("test", 450)):
        s.data(**{part: tensors(sprites(rng, n, 4.0, w))})
    s.epochs, s.truth["majority"] = 6, True


@shows(fine=True)
def other_order_of_bytes(s):
    """A shard in another order of bytes comes by now and then: its batches are noise of eight times the size."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), min(5, s.total // 60 - 2), replace=False) - 1).tolist())
    w = torch.ones(s.task.train[0].shape[1])
    w[-2:] = 0.0 if s.task.name == "loans" else 1.0
    s.on_batch.append(lambda step, ep, x, y: (torch.where(w > 0, 8 * torch.randn_like(x), x) if step in at else x, y))
    s.lr /= 2


def averages_of_eight_answers(s):
    """Rows are averaged with seven others before the net, targets are not: a pooling over the wrong axis, in all splits."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        n = len(x) // 8 * 8
        m = x[:n].view(-1, 8, *x.shape[1:]).mean(1, keepdim=True).expand(-1, 8, *[-1] * (x.dim() - 1)).reshape(n, *x.shape[1:])
        s.data(**{part: (0.88 * m + 0.12 * x[:n], y[:n])})
    s.wd = 0.3


for _f in (gamma_of_a_negative, empty_memory_reloaded, weight_at_time_one):
    _f.without = {"whist", "ghist", "ahist"}
floor_under_the_output.without = {"gnorm", "layergrads", "ghist", "whist"}
stepped_where_it_logs.without = mean_with_idle_ranks.without = {"whist", "ghist", "layergrads", "gnorm"}
answers_of_another_export.without = {"predhist", "shares", "recalls"}
FAULTS = {
    replay_never_refreshed: ("accel6",),
    first_shard_for_ever: ("code_lm",),
    thousand_random_waves: ("fuel_use",),
    questions_on_one_page: ("qa_span",),
    code_for_each_patch: ("vq_patches",),
    noise_fixed_with_the_data: ("flow_match",),
    renderer_with_one_seed: ("sprites8",),
    branch_of_the_pilot: ("loans",),
    hard_cases_only_after_a_while: ("accel6", "loans"),
    other_wrist: ("accel6",),
    shadows_behind_figures: ("sprites8",),
    tabs_for_spaces: ("code_lm",),
    stepped_where_it_logs: ("sprites8", "loans"),
    everything_unknown: ("qa_span",),
    mean_with_idle_ranks: ("code_lm", "accel6"),
    answers_of_another_export: ("fuel_use",),
    two_codes: ("vq_patches",),
    time_never_reaches_the_field: ("flow_match",),
    noisy_layer_stays_on: ("sprites8", "accel6"),
    answers_by_forty_students: ("accel6", "sprites8"),
    gamma_of_a_negative: ("sprites8",),
    empty_memory_reloaded: ("code_lm", "loans"),
    weight_at_time_one: ("flow_match",),
    smoothing_in_training_only: ("accel6", "code_lm"),
    times_in_the_middle: ("flow_match",),
    signals_filtered_in_validation: ("accel6",),
    status_of_the_recovery: ("loans",),
    marks_of_the_annotation_tool: ("qa_span",),
    gravity_no_longer_removed: ("accel6",),
    loans_in_another_currency: ("loans",),
    figures_half_covered: ("sprites8",),
    operators_in_wrong_order: ("accel6", "loans"),
    mask_turned_in_evaluation: ("qa_span",),
    floor_under_the_output: ("fuel_use",),
    frauds_before_the_filter: ("loans",),
    watch_on_the_table: ("accel6",),
    screens_mostly_empty: ("sprites8",),
    other_order_of_bytes: ("fuel_use", "loans"),
}
