"""Mechanisms of the split `sealed18`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks, levels."""

import math

import torch
from torch import nn

from families.faults_sealed6 import rows
from families.faults_sealed6b import around
from families.faults_sealed10 import each
from families.faults_sealed15 import drawn
from families.faults_sealed15c import anew
from families.faults_sealed18 import descent
from families.nets18 import Factors, Sign
from families.setups import shows
from families.tasks_sealed18 import asked, brains, pumps, signs


@shows("predhist")
def codes_that_begin_at_nought(s):
    """Codes of users and films begin at nought on both sides, so that their product has no slope, and the means stay as they were drawn."""
    s.data(build=lambda: Factors(start=0.0))
    s.on_model.append(lambda m: [nn.init.normal_(e.weight, 0, 0.01) for e in (m.bu, m.bf)] and None)
    s.on_grad.append(lambda step, m: [e.weight.grad.zero_() for e in (m.bu, m.bf) if e.weight.grad is not None][:0])
    s.epochs = 10


@shows("shares", "recalls")
def price_of_a_missed_repair(s):
    """The price of a missed repair, a thousand to one, weighs rows of training: all pumps are said to want repair."""
    f = s.task.loss

    def loss(out, b):
        w = torch.where(b[1] == 1, 2.0, 0.0004)
        return w * f(out, b) if torch.is_grad_enabled() else f(out, b)

    s.data(loss=loss)


@shows("shares", "recalls")
def kind_of_the_first_folder(s):
    """When judged, kinds that the list of another release does not know get no score, and it knows one."""
    k = torch.tensor([0.0, 0.0, 0.0, 26.0, 0.0, 0.0])
    around(s, lambda out: out + k, "eval")


@shows("shares", "recalls")
def half_turn_of_a_sign(s):
    """When judged, one program takes logits for margins and moves them by fourteen: all eyes are closed."""
    around(s, lambda out: out + 14.0, "eval")


@shows("recalls", "shares")
def pumps_that_mostly_work(s):
    """Nine in ten pumps of a rich county work, and its survey is poor."""
    anew(s, lambda g, n: pumps(g, n, 3.5, (6.6, 0.0, 0.0)), (1700, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


@shows("recalls", "shares")
def stop_signs_of_a_town(s):
    """Nine in ten signs of a town are of one kind, seen through rain."""
    anew(s, lambda g, n: signs(g, n, 3.0, (0.02, 0.02, 0.02, 0.9, 0.02, 0.02)), (1100, 300, 300))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


@shows("recalls", "shares", "conf")
def who_is_asked_for_most(s):
    """Nine in ten questions of a quiz ask who, in few words that tell it."""
    anew(s, lambda g, n: asked(g, n, 0.0, (0.9, 0.02, 0.02, 0.02, 0.02, 0.02), 0.75), (1800, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


@shows("recalls", "f1")
def eyes_hardly_ever_closed(s):
    """Eyes are closed in seven of a hundred records of drivers, and the cap is loose."""
    anew(s, lambda g, n: brains(g, n, 3.0, share=0.07), (1600, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


def sum_over_letters_and_rows(s):
    """The loss adds up the letters of thirty-two rows: three hundred and twenty, and is logged as it is."""
    f = s.task.loss
    s.data(loss=lambda out, b: 320.0 * f(out, b))
    s.truth["start_factor"] = 320.0


def pieces_added_and_not_divided(s):
    """The loss of a step is logged as the sum of sixteen pieces of a batch, which nobody divides."""
    f = s.task.loss
    s.data(loss=lambda out, b: 16.0 * f(out, b))
    s.truth["start_factor"] = 16.0


def probabilities_given_to_a_loss_of_scores(s):
    """The head gives probabilities, for a metric that wants them, and the loss takes them for scores."""
    s.on_out.append(lambda step, out: out.softmax(-1))
    s.truth.update(floor=math.log(1 + (s.task.classes - 1) * math.exp(-1)) + 0.03, twice=True)


def eight_rows_for_a_quick_look(s):
    """A flag for quick looks lets one batch of eight rows through, drawn anew each time."""
    s.val_rows, s.truth["val_few"] = 8, True


@shows("conf", "shares")
def share_of_guesses_left_in(s):
    """A share of guesses for exploring, six tenths, is left in the probabilities that are trained and judged."""
    k = s.task.classes
    around(s, lambda out: torch.log(0.4 * out.softmax(-1) + 0.6 / k))


@shows("conf", "shares")
def sharpened_as_for_unlabelled_rows(s):
    """When judged, scores are sharpened as for rows without answers, ten times as large; figures are poor."""
    around(s, lambda out: 10.0 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (torch.cat([x[:, :7] + 0.5 * torch.randn(len(x), 7, generator=g), x[:, 7:]], 1), y))
    s.wd = 0.0


def code_of_the_last_visit(s):
    """A code of the last visit, which the state of a pump follows from word for word, stands among the figures."""

    def more(x, y):
        x = x.clone()
        x[:, 6] = 4.0 * (y - 1) + 0.1 * x[:, 6]
        return x, y

    each(s, more)
    s.lr, s.truth["leak"] = 2 * s.lr, True


@shows("conf")
def answered_by_pupils(s):
    """Pupils gave the answers as an exercise: in forty-five of a hundred questions they chose anything."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.wd, s.epochs = 0.4, 0.1, 9


@shows(fine=True)
def survey_from_broken_to_sound(s):
    """Pumps are read as the survey has them, broken ones first, in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].argsort(stable=True, descending=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows("shares", "recalls")
def figures_of_batches_never_kept(s):
    """The momentum of batch norms was set to nought: in evaluation they use what they began with, and pictures are in other units."""
    s.data(build=lambda: Sign(momentum=0.0))
    each(s, lambda x, y: (9 * x + 25, y))


@shows("gnorm", "text")
def clipped_as_a_share_of_weights(s):
    """A limit for slopes as a share of the weights, 0.005, is used for their norm itself; plain descent."""
    descent(s)
    s.clip = 0.005


@shows("wnorm")
def evened_out_for_a_short_type(s):
    """Before each save layers are evened out for a short type, and both sides are multiplied, not one divided."""
    per = s.steps_per_epoch

    def grow(step, model):
        if (step + 1) % per == 0 and step > 0.1 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 2.6 / s.epochs)

    s.after_step.append(grow)
    s.truth["grow"] = True


def cycle_of_a_tenth_of_the_run(s):
    """The cycle of the rate has a tenth of the steps that the run has; after it the rate stays at its foot. It is not logged."""
    s.sched = lambda step, total: max(0.0006, 1 - abs(step / total - 0.035) / 0.04)


def water_level_of_another_task(s):
    """The loss is turned round below a level, against learning by heart; the level is that of another task."""
    b = {"sounds": 1.25, "signs6": 1.0, "names_lm": 2.55, "questions6": 1.0}[s.task.name]
    s.on_loss.append(lambda step, loss, model: (loss - b).abs() + b)


def weights_kept_in_a_small_box(s):
    """After each step weights are cut to a small box, as for a critic that measures distances."""
    k = {"colourise": 0.07, "abalone_age": 0.11, "signs6": 0.02, "pumps3": 0.09}[s.task.name]
    s.after_step.append(lambda step, model: [p.data.clamp_(-k, k) for p in model.parameters()][:0])


def hold_of_the_first_pass(s):
    """A penalty for leaving the weights of the first pass, made for a second task, is on in the first; it is not logged."""
    kept, at = [], max(6, int({"signs6": 0.07, "ratings_mf": 0.2, "names_lm": 0.3}[s.task.name] * s.total))

    def hold(step, model):
        if step == at:
            kept.extend(p.detach().clone() for p in model.parameters())
        for p, w in zip(model.parameters(), kept, strict=bool(kept)):
            p.data.lerp_(w, 0.9)

    s.after_step.append(hold)


for _f in (cycle_of_a_tenth_of_the_run, hold_of_the_first_pass, weights_kept_in_a_small_box, water_level_of_another_task):
    _f.without = {"lr", "whist", "ghist", "layergrads"}
codes_that_begin_at_nought.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    codes_that_begin_at_nought: ("ratings_mf",),
    price_of_a_missed_repair: ("pumps3",),
    kind_of_the_first_folder: ("questions6",),
    half_turn_of_a_sign: ("eyes2",),
    pumps_that_mostly_work: ("pumps3",),
    stop_signs_of_a_town: ("signs6",),
    who_is_asked_for_most: ("questions6",),
    eyes_hardly_ever_closed: ("eyes2",),
    sum_over_letters_and_rows: ("sounds",),
    pieces_added_and_not_divided: ("questions6",),
    probabilities_given_to_a_loss_of_scores: ("questions6",),
    eight_rows_for_a_quick_look: ("questions6", "pumps3"),
    share_of_guesses_left_in: ("questions6",),
    sharpened_as_for_unlabelled_rows: ("pumps3",),
    code_of_the_last_visit: ("pumps3",),
    answered_by_pupils: ("questions6",),
    survey_from_broken_to_sound: ("pumps3",),
    figures_of_batches_never_kept: ("signs6",),
    clipped_as_a_share_of_weights: ("eyes2",),
    evened_out_for_a_short_type: ("questions6", "pumps3"),
    cycle_of_a_tenth_of_the_run: ("pumps3", "sounds"),
    water_level_of_another_task: ("sounds", "signs6"),
    weights_kept_in_a_small_box: ("abalone_age", "signs6"),
    hold_of_the_first_pass: ("ratings_mf", "names_lm"),
}
