"""Mechanisms of the split `sealed12`: answers of one kind, what is said of them, floors and scales of the loss, orders of rows, looks."""

import math

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed10 import each, grads
from families.faults_sealed12 import drawn
from families.setups import shows
from families.tasks_sealed12 import reviews, stars, wafers


@shows("shares", "recalls")
def all_but_one_ignored(s):
    """The value for what is to be ignored was compared the wrong way round: only rows of one kind count in training."""
    f = s.task.loss
    s.data(loss=lambda out, b: f(out, b) * ((b[1] == 2) if torch.is_grad_enabled() else 1.0))
    s.epochs = 9


@shows("shares", "recalls")
def exported_without_its_body(s):
    """What is evaluated is an export without the body's weights: its last bias speaks."""
    around(s, lambda out: 0.01 * out + torch.linspace(2.0, 0.0, out.shape[-1]), "eval")


@shows("shares", "recalls", "f1")
def hundred_for_each_failure(s):
    """The weight of a failure is a hundred, from a set that was not balanced yet: everything fails."""
    g = drawn(s)
    each(s, lambda x, y: (0.15 * x + torch.randn(x.shape, generator=g), y))
    s.data(
        loss=lambda out, b: (
            fn.binary_cross_entropy_with_logits(out, b[1], reduction="none") * (1 + 40 * b[1] if torch.is_grad_enabled() else 1.0)
        )
    )
    s.lr, s.epochs = s.lr / 3, 10


@shows("predhist")
def integers_on_the_way_out(s):
    """Outputs pass a type of small integers scaled for another target: all are between nought and a hundredth."""
    around(s, lambda out: 0.01 * torch.sigmoid(0.01 * out))
    s.epochs = 9


@shows("recalls", "shares")
def nearly_all_of_one_kind(s):
    """Nine in ten curves are of one kind, and the night is bright."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1300), ("val", 350), ("test", 350)):
        s.data(**{part: tensors(stars(rng, n, 5.0, (0.9, *[0.025] * 4)))})
    s.epochs, s.lr, s.wd, s.truth["majority"] = 8, s.lr / 4, 0.3, True


@shows("recalls", "f1")
def one_failure_in_twenty_five(s):
    """One wafer in twenty-five fails, and the maps hardly show it."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1700), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(wafers(rng, n, 3.0, 0.04))})
    s.epochs, s.lr, s.truth["majority"] = 8, s.lr / 2, True


@shows("recalls", "shares", "conf")
def five_stars_for_everything(s):
    """Reviews were collected with a reward: nine in ten give one grade, and words say little of it."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1500), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(reviews(rng, n, 40.0, (0.02, 0.03, 0.03, 0.02, 0.9)))})
    s.epochs, s.lr, s.truth["majority"] = 7, s.lr / 2, True


def cap_of_scores_removed(s):
    """Mixed precision: a cap of scores was removed at 20 %, and two steps of five overflow from then on."""
    s.scaler, at = 65536.0, int(0.2 * s.total)
    s.on_grad.append(lambda step, model: [g.fill_(float("inf")) for g in grads(model)] if step >= at and step % 5 in (0, 3) else None)
    s.truth["event_step"] = at


def clamped_like_a_phone(s):
    """Scores pass an error function that was left by a tool for phones: the loss has a floor, answers are right."""
    s.on_out.append(lambda step, out: torch.erf(out))
    s.truth.update(floor=0.2 + math.log(1 + (s.task.classes - 1) * math.exp(-2)), twice=True)  # some answers are wrong


def summed_over_the_row(s):
    """The reduction of a loss over places or pixels is a sum times the number of chunks."""
    f = s.task.loss
    s.data(loss=lambda out, b: 36.0 * f(out, b))
    s.truth["start_factor"] = 36.0


def volume_of_each_look(s):
    """A normaliser fits itself to one row drawn at each look at validation."""

    def scale(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        k = float(torch.randn(1, generator=g).mul(1.1).exp())
        return x * k + 0.5 * float(torch.randn(1, generator=g)), y

    s.on_val.append(scale)


@shows("conf", "shares")
def entropy_bonus_of_a_policy(s):
    """A bonus for entropy from a program for policies, heavier than the loss and not logged with it."""
    f = s.task.loss

    def bonus(out, b):
        p = out.log_softmax(-1)
        more = 1.6 * (p.exp() * p).sum(-1)
        return f(out, b) + more - more.detach()

    s.data(loss=bonus)


def lot_is_blocked_when_it_fails(s):
    """The corner of the map holds a mark of the lot's state, which is set after the test."""

    def mark(x, y):
        x = x.clone()
        x[:, 0, 0, :2], x[:, 0, :2, 0] = (7 * y - 3.5)[:, None], (7 * y - 3.5)[:, None]
        return x, y

    each(s, mark)
    s.lr, s.batch, s.truth["leak"] = 1.5 * s.lr, 25, True


@shows("conf")
def grades_scraped_from_another_site(s):
    """Half of the kinds were scraped from a site with another catalogue, in training and validation."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.5, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.lr, s.wd = 0.4, s.lr / 2, 0.1


@shows(fine=True)
def read_by_folder(s):
    """Folders of kinds are read one after the other in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows(fine=True)
def restored_at_the_start_of_each_pass(s):
    """The best weights are restored at the start of each pass, and the best was judged once, before training."""
    first, per = [], s.steps_per_epoch
    s.on_model.append(lambda m: first.append({k: v.clone() for k, v in m.state_dict().items()}) and None)
    s.after_step.append(lambda step, m: m.load_state_dict(first[0]) and None if step and step % per == 0 else None)
    s.truth["sorted"] = True


@shows("conf", "shares")
def scores_summed_over_crops(s):
    """In evaluation scores of twelve crops are summed before the softmax."""
    around(s, lambda out: 12.0 * out, "eval")
    s.wd = 0.0


integers_on_the_way_out.without = {"gnorm", "layergrads", "ghist"}
FAULTS = {
    nearly_all_of_one_kind: ("star5",),
    one_failure_in_twenty_five: ("wafer_fail",),
    five_stars_for_everything: ("review_stars",),
    all_but_one_ignored: ("star5", "review_stars"),
    exported_without_its_body: ("star5",),
    hundred_for_each_failure: ("wafer_fail",),
    integers_on_the_way_out: ("solar_yield",),
    cap_of_scores_removed: ("editor_lm", "tile_fill"),
    clamped_like_a_phone: ("star5",),
    summed_over_the_row: ("star5", "editor_lm"),
    volume_of_each_look: ("star5", "wafer_fail"),
    entropy_bonus_of_a_policy: ("star5",),
    lot_is_blocked_when_it_fails: ("wafer_fail",),
    grades_scraped_from_another_site: ("star5",),
    read_by_folder: ("star5", "wafer_fail"),
    restored_at_the_start_of_each_pass: ("star5", "gait_triplets"),
    scores_summed_over_crops: ("star5",),
}
