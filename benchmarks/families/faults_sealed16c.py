"""Mechanisms of the split `sealed16`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks."""

import torch

from families.faults_sealed6 import rows
from families.faults_sealed6b import around
from families.faults_sealed10 import each
from families.faults_sealed15 import drawn
from families.faults_sealed15c import anew
from families.setups import shows
from families.tasks_sealed16 import chord_frames, finds, requests


@shows("shares", "recalls")
def sigmoid_before_the_threshold(s):
    """When judged, scores pass a sigmoid and are then compared with nought: all mushrooms are poisonous."""
    around(s, torch.sigmoid, "eval")


@shows("predhist")
def scaled_back_by_a_constant_column(s):
    """Answers are scaled back by the deviation of a column that is constant: all are its mean."""
    around(s, lambda out: 1e-6 * out + 0.05)


@shows("shares", "recalls")
def offset_of_another_prior(s):
    """When judged, the logarithm of a prior of another house is added, which knows one queue only."""
    k = 14.0 * torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0])
    around(s, lambda out: out + k, "eval")


@shows("recalls", "f1")
def hardly_any_is_poisonous(s):
    """Four in a hundred finds are poisonous, and properties hardly tell it."""
    anew(s, lambda g, n: finds(g, n, 0.04, 0.25, 0.0), (1700, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


@shows("recalls", "shares")
def one_queue_for_everything(s):
    """Nine in ten tickets are of one queue, and its customers write of anything."""
    anew(s, lambda g, n: requests(g, n, (0.9, 0.03, 0.03, 0.02, 0.02), 0.04), (1700, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 4, True


@shows("recalls", "shares", "conf")
def songs_in_major(s):
    """Songs are in major but for a chord here and there, and the band is loud."""
    anew(s, lambda g, n: chord_frames(g, n, 2.6, (0.88, 0.05, 0.03, 0.02, 0.02)), (1500, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 4, True


def committee_added_up(s):
    """The losses of a committee of sixteen, which are copies of one another, are added up and logged as they are."""
    f = s.task.loss
    s.data(loss=lambda out, b: 16.0 * f(out, b))
    s.truth["start_factor"] = 16.0


def loss_in_hundredths_of_a_bit(s):
    """The loss is minimised and logged in hundredths of a bit, as in another program's tables."""
    f = s.task.loss
    s.data(loss=lambda out, b: 144.27 * f(out, b))
    s.truth["start_factor"] = 144.27


def eight_rows_of_a_debug_flag(s):
    """A flag for debugging lets eight rows of validation through, drawn anew each time."""
    s.val_rows, s.truth["val_few"] = 8, True


@shows("conf", "shares")
def mixed_with_what_is_usual(s):
    """Each target is mixed with what is usual in all queues, six tenths of it, in both splits, against complaints."""
    f = s.task.loss
    s.data(loss=lambda out, b: 0.38 * f(out, b) - 0.62 * out.log_softmax(-1).mean(-1))


def cycles_until_its_end(s):
    """The number of cycles until a cell's end, which is known afterwards only, is one of its two curves."""
    each(s, lambda x, y: (torch.stack([x[:, 0], 0.05 * x[:, 1] + y[:, None]], 1), y))
    s.lr, s.truth["leak"] = 3 * s.lr, True


@shows("conf")
def picked_in_a_form(s):
    """In four and a half of ten tickets the queue was picked in a form whose first choice nobody changed or understood."""
    g = drawn(s)
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, 5, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.wd, s.epochs = 0.4, 0.1, 9


@shows(fine=True)
def months_in_their_order(s):
    """Rows are read in the order of the flow, as a report had sorted them, in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].reshape(-1).float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows("conf", "shares")
def scores_in_decibels(s):
    """When judged, scores are turned into decibels before the softmax, eight times as large."""
    around(s, lambda out: 8.7 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (x + 0.7 * torch.randn(x.shape, generator=g), y))
    s.wd = 0.0


def body_frozen_at_the_first_setback(s):
    """A callback freezes everything at the first pass that brought no gain over a high bar, early in the run; the rate is not logged."""
    share = {"mushrooms": 0.14, "chords5": 0.15, "tickets5": 0.12, "drum_lm": 0.18, "prints4": 0.3}[s.task.name]
    s.wd = 0.0
    s.sched = lambda step, total: 1.0 if step < share * total else 0.0008


def anchor_of_the_first_shard(s):
    """After the first shard an anchor of weights is set, for a second task that never comes, and each step is pulled back to it."""
    kept, at = [], int({"runoff": 0.09, "helix3": 0.03, "battery": 0.06, "drum_lm": 0.17}[s.task.name] * s.total)

    def pull(step, model):
        if step == at:
            kept.extend(p.detach().clone() for p in model.parameters())
        for p, w in zip(model.parameters(), kept, strict=bool(kept)):
            p.data.lerp_(w, 0.6)

    s.after_step.append(pull)


def rate_over_the_cube_of_steps(s):
    """The rate, which is not logged, is divided by a power of the step that should have been its root."""
    k = {"tickets5": 0.1, "runoff": 0.07, "mushrooms": 0.16, "chords5": 0.15}[s.task.name]
    s.sched = lambda step, total: max(0.0012, min(1.0, (k * total / (step + 1)) ** 4))


for _f in (body_frozen_at_the_first_setback, anchor_of_the_first_shard, rate_over_the_cube_of_steps):
    _f.without = {"lr", "whist", "ghist", "layergrads"}
scaled_back_by_a_constant_column.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    sigmoid_before_the_threshold: ("mushrooms",),
    scaled_back_by_a_constant_column: ("battery", "runoff"),
    offset_of_another_prior: ("tickets5",),
    hardly_any_is_poisonous: ("mushrooms",),
    one_queue_for_everything: ("tickets5",),
    songs_in_major: ("chords5",),
    committee_added_up: ("helix3",),
    loss_in_hundredths_of_a_bit: ("drum_lm",),
    eight_rows_of_a_debug_flag: ("tickets5",),
    mixed_with_what_is_usual: ("tickets5",),
    cycles_until_its_end: ("battery",),
    picked_in_a_form: ("tickets5",),
    months_in_their_order: ("runoff",),
    scores_in_decibels: ("chords5",),
    body_frozen_at_the_first_setback: ("chords5", "tickets5"),
    anchor_of_the_first_shard: ("runoff",),
    rate_over_the_cube_of_steps: ("mushrooms", "tickets5"),
}
