"""Mechanisms of the split `sealed14`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks."""

import math

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed10 import each
from families.faults_sealed14 import drawn
from families.setups import shows
from families.tasks_sealed14 import stands, tremors, visits


@shows("shares", "recalls")
def query_with_an_and_for_an_or(s):
    """The query for training asks for one kind where all were meant: blasts only."""
    s.data(train=rows(s.task.train, torch.nonzero(s.task.train[1] == 3)[:300, 0]))
    s.epochs = 16


@shows("shares", "recalls", "f1")
def weight_of_a_rare_kind_in_per_cent(s):
    """The weight of the rarer kind is given in per cent, and figures are poor: all are called missed."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 1900), ("val", 450), ("test", 450)):
        s.data(**{part: tensors(visits(g, n, 0.3, 9.0))})
    s.truth["own_scale"] = True

    def loss(out, b):
        f = fn.binary_cross_entropy_with_logits(out, b[1], reduction="none")
        return f * (1 + 69 * b[1]) if torch.is_grad_enabled() else f

    s.data(loss=loss)
    s.lr, s.epochs = s.lr / 3, 12


@shows("predhist")
def mean_over_the_batch_in_the_net(s):
    """A mean over the wrong axis: each row is given the mean of the batch."""
    around(s, lambda out: out.mean(0, keepdim=True).expand_as(out))


@shows("shares", "recalls")
def head_of_another_task_added_when_judged(s):
    """In evaluation the scores of another task's head are added, which always says the same."""
    k = 26.0 * torch.tensor([0.0, 0.1, 0.0, 0.3, 0.0, 1.0, 0.2])
    around(s, lambda out: out + k, "eval")


@shows("recalls", "shares")
def quiet_most_of_the_day(s):
    """Nine traces in ten show nothing, and noise is far over signals."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 1200), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(tremors(g, n, 4.0, (0.91, 0.03, 0.03, 0.03)))})
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 3, True


@shows("recalls", "f1")
def four_in_a_hundred_stay_away(s):
    """Four in a hundred stay away, and figures hardly tell which."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 1900), ("val", 500), ("test", 500)):
        s.data(**{part: tensors(visits(g, n, 0.04, 5.0))})
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 2, True


@shows("recalls", "shares", "conf")
def spruce_everywhere(s):
    """Nearly all places bear one tree, and figures are coarse."""
    g, p = np.random.default_rng(s.seed), (0.01, 0.02, 0.88, 0.02, 0.03, 0.02, 0.02)
    for part, n in (("train", 1500), ("val", 400), ("test", 400)):
        s.data(**{part: tensors(stands(g, n, 3.2, p))})
    s.epochs, s.lr, s.truth["majority"] = 11, s.lr / 3, True


def probability_given_to_a_loss_of_logits(s):
    """The model returns a probability and the loss expects a logit; both kinds are even: they are told apart, at a loss that cannot fall."""
    g = np.random.default_rng(s.seed)
    for part, n in (("train", 2100), ("val", 450), ("test", 450)):
        s.data(**{part: tensors(visits(g, n, 0.5, 0.4))})
    s.on_out.append(lambda step, out: out.sigmoid())
    s.truth.update(floor=0.5, twice=True, own_scale=True)


def layer_of_the_old_framework(s):
    """The last layer of the old framework made probabilities, the new loss makes them once more: kinds are told apart at a high floor."""
    k = {"quake4": 4, "cover7": 7}[s.task.name]
    s.on_out.append(lambda step, out: out.softmax(-1))
    s.truth.update(floor=math.log(1 + (k - 1) * math.exp(-1)) + 0.03, twice=True)


def six_rows_to_save_time(s):
    """Each look takes six rows of validation at random, to save time."""
    s.val_rows, s.truth["val_few"] = 6, True


def level_of_each_look(s):
    """The receiver of validation sets its level anew before each look."""

    def level(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        return x * float(torch.randn(1, generator=g).mul(0.9).exp()) + 1.1 * float(torch.randn(1, generator=g)), y

    s.on_val.append(level)


@shows("conf", "shares")
def penalty_on_sure_answers(s):
    """A penalty on sure answers is a hundred times what was meant, in both splits."""
    f = s.task.loss
    s.data(loss=lambda out, b: 0.32 * f(out, b) - 0.68 * out.log_softmax(-1).mean(-1))


def reminder_sent_after_the_fact(s):
    """One figure counts reminders, which are sent to those who did not come."""

    def more(x, y):
        x = x.clone()
        x[:, 11] = 8 * y - 4 + 0.1 * x[:, 11]
        return x, y

    each(s, more)
    s.lr, s.truth["leak"] = 2.5 * s.lr, True


@shows("conf")
def half_by_volunteers(s):
    """Half of the traces were named by volunteers, who guess, in training and validation."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.lr, s.wd = 0.4, 0.7 * s.lr, 0.1


@shows(fine=True)
def mixes_in_the_order_of_strength(s):
    """A table is read in the order of its index, strength, in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].float().argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows(fine=True)
def one_folder_after_another(s):
    """Files are read folder by folder, and a folder holds one kind."""
    s.order = lambda ep, perm: perm[s.task.train[1].numpy()[perm].argsort(kind="stable")]
    s.truth["sorted"] = True


@shows("conf", "shares")
def scores_sharpened_for_the_report(s):
    """In evaluation scores are multiplied by ten, as decisions look better; figures are noisy."""
    around(s, lambda out: 10.0 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (x + 0.7 * torch.randn(x.shape, generator=g), y))
    s.wd = 0.0


def plan_of_a_single_shard(s):
    """The schedule was made for the steps of a single shard; all others are seen at a five-hundredth of the rate, which is not logged."""
    share = {"cover7": 0.09, "life_grid": 0.38, "quake4": 0.08}[s.task.name]
    s.sched = lambda step, total: 1.0 if step < share * total else 0.002


def factor_of_a_pass_at_each_step(s):
    """The factor that was meant for a pass is applied at each step, down to a floor; the rate is not logged."""
    share = {"student5": 0.12, "concrete": 0.08, "cover7": 0.2, "shell_lm": 0.2}[s.task.name]
    s.sched = lambda step, total: max(0.001, math.exp(-6 * step / (share * total)))


for _f in (plan_of_a_single_shard, factor_of_a_pass_at_each_step):
    _f.without = {"lr"}
mean_over_the_batch_in_the_net.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    plan_of_a_single_shard: ("cover7", "life_grid", "quake4"),
    factor_of_a_pass_at_each_step: ("student5", "shell_lm", "concrete"),
    query_with_an_and_for_an_or: ("quake4",),
    weight_of_a_rare_kind_in_per_cent: ("no_shows",),
    mean_over_the_batch_in_the_net: ("glucose6", "concrete"),
    head_of_another_task_added_when_judged: ("cover7",),
    quiet_most_of_the_day: ("quake4",),
    four_in_a_hundred_stay_away: ("no_shows",),
    spruce_everywhere: ("cover7",),
    probability_given_to_a_loss_of_logits: ("no_shows",),
    layer_of_the_old_framework: ("cover7", "quake4"),
    six_rows_to_save_time: ("cover7", "quake4"),
    level_of_each_look: ("quake4", "glucose6"),
    penalty_on_sure_answers: ("quake4", "cover7"),
    reminder_sent_after_the_fact: ("no_shows",),
    half_by_volunteers: ("quake4",),
    mixes_in_the_order_of_strength: ("concrete",),
    one_folder_after_another: ("quake4", "cover7"),
    scores_sharpened_for_the_report: ("cover7",),
}
