"""Mechanisms of the split `sealed19`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks, levels."""

import numpy as np
import torch

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed10 import each
from families.faults_sealed15 import drawn
from families.faults_sealed15c import anew
from families.faults_sealed19 import descent
from families.setups import shows
from families.tasks_sealed19 import clips, garments, headlines, lessons, penguins, speeds


def answers_of_a_harder_course(s):
    """Validation is of another course, whose questions have other numbers."""
    x, y = tensors(lessons(np.random.default_rng(s.seed + 4), 250, 0.8))
    k = torch.randperm(12, generator=drawn(s))
    past = torch.where(x[:, :, 0] < 24, 2 * k[x[:, :, 0].clamp(max=23) // 2] + x[:, :, 0] % 2, x[:, :, 0])
    s.data(val=(torch.stack([past, k[x[:, :, 1]]], 2), y))


def jam_of_another_year(s):
    """Validation is of another year, in which the road was rebuilt: readings are noisier by far and lie higher."""
    x, y = tensors(speeds(np.random.default_rng(s.seed + 6), 350, 0.42))
    s.data(val=(x.flip(2) + 0.4, y.flip(1) + 0.4))


@shows("shares", "recalls")
def desk_of_last_resort(s):
    """When judged, a rule of the editors gives all that is not certain to one desk, with a bonus of twenty."""
    k = torch.tensor([0.0, 20.0, 0.0, 0.0])
    around(s, lambda out: out + k, "eval")


@shows("shares", "recalls")
def price_list_for_weights(s):
    """A table of prices was read in place of weights of kinds: one garment counts thousands of times as much as the others."""
    f, w = s.task.loss, torch.tensor([0.001, 0.001, 0.001, 0.001, 5.0, 0.001])
    s.data(loss=lambda out, b: w[b[1]] * f(out, b) if torch.is_grad_enabled() else f(out, b))


@shows("shares", "recalls")
def threshold_in_decibels(s):
    """When judged, a threshold in decibels is taken off the score: nobody coughs."""
    around(s, lambda out: out - 18.0, "eval")


@shows("predhist")
def degrees_for_full_turns(s):
    """What comes out is bounded to full turns of the wheel and scaled to hundredths of them: nearly nothing is ever said."""
    around(s, lambda out: 0.02 * torch.tanh(out))


@shows("recalls", "f1")
def hardly_anyone_coughs(s):
    """Six in a hundred clips have a cough, and the microphone is under a coat."""
    anew(s, lambda g, n: clips(g, n, 3.5, 0.06), (1500, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


@shows("recalls", "shares")
def colony_of_one_kind(s):
    """Nine in ten birds of a colony are of one species, and measures were taken from afar."""
    anew(s, lambda g, n: penguins(g, n, 3.5, (0.05, 0.05, 0.9)), (1600, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


@shows("recalls", "shares", "conf")
def mostly_sports(s):
    """Nine in ten headlines of a season are from the sports desk, cut to a few words."""
    anew(s, lambda g, n: headlines(g, n, 0.0, (0.03, 0.04, 0.9, 0.03), 0.04), (2000, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 8, True


@shows("recalls", "shares")
def shoes_of_a_shoe_shop(s):
    """Nine in ten pictures are of shoes, and they are dim."""
    anew(s, lambda g, n: garments(g, n, 5.0, (0.02, 0.02, 0.02, 0.02, 0.9, 0.02)), (1100, 350, 350))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


def sum_over_all_looks(s):
    """The loss is a sum over the thirty looks of a track and is logged so."""
    f = s.task.loss
    s.data(loss=lambda out, b: 30.0 * f(out, b))
    s.truth["start_factor"] = 30.0


def loss_in_percent(s):
    """The loss is multiplied by a hundred, as figures in percent are read more easily."""
    f = s.task.loss
    s.data(loss=lambda out, b: 100.0 * f(out, b))
    s.truth["start_factor"] = 100.0


def first_batch_of_a_shuffled_loader(s):
    """Validation looks at the first batch of a loader that shuffles, of eight rows."""
    s.val_rows, s.truth["val_few"] = 8, True


@shows("conf", "shares")
def probabilities_held_in_the_middle(s):
    """Probabilities are held under a half, for a logarithm that was thought to be in danger."""
    around(s, lambda out: out.softmax(-1).clamp(0.1, 0.45).log())


@shows("conf", "shares")
def temperature_on_the_wrong_side(s):
    """When judged, scores are multiplied by a temperature of nine that was to divide them; birds were measured in the rain."""
    around(s, lambda out: 9.0 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (x + 0.9 * torch.randn(x.shape, generator=g), y))
    s.wd = 0.0


def answers_shifted_by_none(s):
    """The shift by one question is missing: what was answered before holds the answer to the question itself."""

    def now(x, y):
        x = x.clone()
        x[:, :, 0] = 2 * x[:, :, 1] + y.long()
        return x, y

    each(s, now)
    s.lr, s.truth["leak"] = 2 * s.lr, True


@shows("conf")
def desks_given_by_a_first_model(s):
    """Desks were given by a first model that is wrong in nearly a half of all headlines."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.5, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.wd, s.epochs = 0.4, 0.1, 9


@shows(fine=True)
def species_by_species(s):
    """Birds are read species by species in each pass, as the table has them."""
    s.data(train=rows(s.task.train, s.task.train[1].argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows("gnorm", "text")
def limit_for_each_number(s):
    """The limit of single slopes, 0.004, is used for the norm of all; plain descent."""
    descent(s)
    s.clip = 0.004


@shows("wnorm")
def sum_of_copies_over_too_few(s):
    """After each pass the copies of six machines are added and divided by five: weights grow by a fifth each time."""
    per = s.steps_per_epoch

    def grow(step, model):
        if (step + 1) % per == 0 and step > 0.1 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 2.4 / s.epochs)

    s.after_step.append(grow)
    s.truth["grow"] = True


def scheduler_told_to_wait_for_less(s):
    """A scheduler waits for a figure to fall and is given a score that rises: the rate, not logged, is cut from pass to pass."""
    at = {"garments6": 0.085, "genome_lm": 0.14, "xray5": 0.1}[s.task.name]
    s.sched = lambda step, total: 1.0 if step < at * total else 0.02 * 0.1 ** int(3 * (step / total - at))


def codes_kept_short(s):
    """The largest length of a code was set to a tenth, for codes and for all other layers row by row."""
    k = {"headlines4": 0.5, "traffic10": 0.09}[s.task.name]

    def cut(step, model):
        for p in model.parameters():
            if p.dim() > 1:
                p.data.renorm_(2, 0, k)

    s.after_step.append(cut)


def memory_of_the_first_pass(s):
    """A store keeps what the layers before the head gave in the first pass, and hands it out for ever: only the head goes on."""
    kept, at = [], int({"xray5": 0.035, "driving": 0.06}[s.task.name] * s.total)

    def hold(step, model):
        body = list(model.parameters())[:-2]
        if step == at:
            kept.extend(p.detach().clone() for p in body)
        for p, w in zip(body, kept, strict=bool(kept)):
            p.data.copy_(w)

    s.after_step.append(hold)


def pairs_told_apart_by_nobody(s):
    """Whoever sorted the pictures mixed up shirts and trousers, dresses and bags, shoes and boots; two kinds are one."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.5, y, 2 * (y // 2) + 1 - y % 2)))


for _f in (scheduler_told_to_wait_for_less, codes_kept_short, memory_of_the_first_pass):
    _f.without = {"lr", "whist", "ghist", "layergrads"}
degrees_for_full_turns.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    answers_of_a_harder_course: ("pupil_answers",),
    jam_of_another_year: ("traffic10",),
    desk_of_last_resort: ("headlines4",),
    price_list_for_weights: ("garments6",),
    threshold_in_decibels: ("cough2",),
    degrees_for_full_turns: ("driving",),
    hardly_anyone_coughs: ("cough2",),
    colony_of_one_kind: ("penguins3",),
    mostly_sports: ("headlines4",),
    shoes_of_a_shoe_shop: ("garments6",),
    sum_over_all_looks: ("gaze3",),
    loss_in_percent: ("penguins3",),
    first_batch_of_a_shuffled_loader: ("pupil_answers", "garments6"),
    probabilities_held_in_the_middle: ("penguins3",),
    temperature_on_the_wrong_side: ("penguins3",),
    answers_shifted_by_none: ("pupil_answers",),
    desks_given_by_a_first_model: ("headlines4",),
    species_by_species: ("penguins3",),
    limit_for_each_number: ("cough2",),
    sum_of_copies_over_too_few: ("headlines4", "penguins3"),
    scheduler_told_to_wait_for_less: ("garments6", "genome_lm", "xray5"),
    codes_kept_short: ("headlines4", "traffic10"),
    memory_of_the_first_pass: ("xray5", "driving"),
    pairs_told_apart_by_nobody: ("garments6",),
}
