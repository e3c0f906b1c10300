"""Mechanisms of the split `sealed11`: data, targets, validation, shifts, numbers that are none, what is said."""

import copy

import numpy as np
import torch
import torch.nn.functional as fn
from torch import nn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, grads
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed11 import CARPET_PARTS, Carpet, Heading, Knit, Leaf, Nose, gases, leaves, welds

RATES = {"pulse_rate": 0.05, "gas6": 0.03, "knit_lm": 0.5, "film_genres": 0.5, "wind_dir": 0.1, "weld_flaw": 0.1, "leaves6": 0.03}
RATES |= {"kilim_vae": 0.003, "fruit_spot": 0.05}
SIZES = {"pulse_rate": (32, 1), "gas6": (96, 6), "film_genres": (40, 10), "weld_flaw": (16, 1), "leaves6": (144, 6), "fruit_spot": (100, 6)}


class Cube(nn.Module):
    """A third of the third power."""

    def forward(self, x):
        return 0.33 * x**3


class Gate(nn.Module):
    """A number times a gate that is nearly shut."""

    def forward(self, x):
        return x * (x - 2.5).sigmoid()


class Unrolled(nn.Module):
    """One layer applied twenty-five times, from an orthogonal start that is far too large."""

    def __init__(self, a, b, width=32):
        super().__init__()
        self.first, self.again, self.act, self.head = nn.Linear(a, width), nn.Linear(width, width), nn.LeakyReLU(0.5), nn.Linear(width, b)
        nn.init.orthogonal_(self.again.weight, 1.8)

    def forward(self, x):
        h = self.first(x.flatten(1))
        for _ in range(25):
            h = self.act(self.again(h))
        out = self.head(h)
        return out.squeeze(-1) if out.shape[-1] == 1 else out


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


def few(s, n, build, epochs, batch=20):
    """The first n rows for a net without a rein."""
    s.data(train=rows(s.task.train, slice(0, n)), build=build)
    s.batch, s.epochs, s.wd = batch, epochs, 0.0


def drawn(s):
    """A generator of random numbers of this case."""
    return torch.Generator().manual_seed(s.seed)


def never_back_to_training(s):
    """The model is never set back to training after the first look at validation: three hundred pictures, and no dropout from then on."""
    few(s, 260, lambda: Leaf(width=20, drop=0.5), 45)

    def off(res):
        for m in kept[0].modules():
            if isinstance(m, nn.Dropout):
                m.p = 0.0

    kept = []
    s.on_model.append(lambda m: kept.append(m) or None)
    s.after_eval.append(off)


def one_site_of_six(s):
    """Only the mast of one site was kept, twenty-two readings; they can be learned by heart only."""
    few(s, 22, lambda: Heading((14, 128, 128), drop=0.0), 70, 11)


def bound_without_its_second_part(s):
    """The weight of the code's divergence is nothing: a code without noise learns a few pieces by heart."""
    few(s, 170, lambda: Carpet(width=160, code=24), 60, 17)
    s.data(loss=CARPET_PARTS["recon"])


def positives_copied_twelve_times(s):
    """To balance a set of a hundred and fifty welds those with a flaw were copied, after columns were crossed with each other."""
    up = lambda x, y: (torch.cat([x, (x[:, :, None] * x[:, None]).flatten(1)], 1), y)  # noqa: E731
    each(s, up)
    x, y = s.task.train[0][:160], s.task.train[1][:160]
    i = torch.cat([torch.arange(160), torch.nonzero(y > 0.5)[:, 0].repeat(3)])
    s.data(train=(x[i], y[i]), build=lambda: Mlp([272, 96, 1], squeeze=True))
    s.batch, s.epochs, s.wd = 30, 45, 0.0


def one_designer(s):
    """The patterns are of one designer: fifty rows for a layer three times as wide."""
    few(s, 50, lambda: Knit(width=72, drop=0.0), 60, 10)


def sniffed_twenty_times(s):
    """Each of seventy probes was sniffed twenty times in a row: 1,400 rows that hardly differ."""
    i, g = torch.arange(1400) % 70, drawn(s)
    x, y = s.task.train[0][i], s.task.train[1][i]
    s.data(train=(x + 0.05 * torch.randn(x.shape, generator=g), y), build=lambda: Nose(width=40, drop=0.0))
    s.wd = 0.0


def decade_of_one_studio(s):
    """Films of one studio: two hundred, described by products of words."""
    each(s, lambda x, y: (torch.cat([x, (x[:, :16, None] * x[:, None, 16:]).flatten(1)], 1), y))
    few(s, 220, lambda: Mlp([424, 128, 10]), 45, 22)


@shows("conf")
def kinds_told_by_children(s):
    """Three hundred leaves whose kinds were told by children, one in four at random, for a wide net."""
    g = drawn(s)
    few(s, 300, lambda: Leaf(width=28, drop=0.0), 36)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.25, torch.randint(0, 6, y.shape, generator=g), y)), "train")


def white_balance_only_in_training(s):
    """Pictures of validation come as they were stored, from -3 to 3, where training's are scaled down."""
    each(s, lambda x, y: (2.5 * x.flip(2) + 1.0, y), "val")


def drift_of_the_sensors(s):
    """Training was measured in a week, validation a year after: four sensors have lost most of their height."""
    k = torch.tensor([1, 0.1, 1, 1.8, 0.2, 1, -0.3, 1])[:, None]
    each(s, lambda x, y: (x * k, y), "val")


def cut_where_nothing_is(s):
    """The crop takes a corner of the sheet, where no leaf is."""
    each(s, lambda x, y: (torch.cat([x[:, :, :2, :2]] * 6, 2).repeat(1, 1, 1, 6), y))
    s.wd = 0.3


def fields_in_the_order_of_a_dictionary(s):
    """Each record is read in the order of its dictionary, another one for each."""
    g = drawn(s)
    each(s, lambda x, y: (x.gather(1, torch.rand(x.shape, generator=g).argsort(1)), y))
    s.wd = 0.3


def answers_drawn_at_each_pass(s):
    """A placeholder draws the answers anew whenever it is read; a constant is all there is to learn."""
    k = float(s.task.train[1].mean())
    s.on_batch.append(lambda step, ep, x, y: (x, (torch.rand(y.shape) < k).float()))
    s.on_val.append(lambda done, x, y: (x, (torch.rand(y.shape) < k).float()))
    s.wd = 0.5


def traces_of_another_wrist(s):
    """Traces and rates were joined by a number that starts anew for each wearer."""
    g = drawn(s)
    each(s, lambda x, y: (x, y[torch.randperm(len(y), generator=g)]))
    s.wd, s.lr, s.epochs = 0.5, s.lr / 4, 10


def rank_of_one(s):
    """Layers are made of adapters of rank one, with nothing below them."""

    def build():
        a, b = SIZES[s.task.name]
        return nn.Sequential(nn.Flatten(), nn.Linear(a, 1), nn.Linear(1, 48), nn.ReLU(), nn.Linear(48, 1), nn.Linear(1, b))

    s.data(build=build)


def smoothed_over_the_whole_course(s):
    """A filter that should take off the hum takes the mean over sensors in pairs of four and over half of the course."""
    each(s, lambda x, y: (fn.avg_pool1d(x.reshape(-1, 2, 4, 12).mean(2), 6).repeat_interleave(6, 2).repeat_interleave(4, 1), y))


def every_eighth_reading(s):
    """To save space every eighth reading was kept and repeated."""
    each(s, lambda x, y: (x[:, ::8].repeat_interleave(8, 1), y))
    s.wd = 0.1


def half_of_the_words_unknown(s):
    """Thirty-four of forty words are not in the table of words."""
    each(s, lambda x, y: (x * (torch.arange(40) % 7 == 2), y))


def half_of_the_ticks_forgotten(s):
    """Annotators were in a hurry: four in ten ticks are missing and some are in the wrong row, in all splits."""
    g = drawn(s)
    each(s, lambda x, y: (x, y * (torch.rand(y.shape, generator=g) < 0.6) + (1 - y) * (torch.rand(y.shape, generator=g) < 0.09)))


def two_books_of_kinds(s):
    """Two books of kinds were in use, and nobody noted which: half of the leaves bear the numbers of the other book."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.where(torch.rand(y.shape, generator=g) < 0.5, (y + 3) % 6, y)))
    s.epochs, s.wd = 9, 0.2
    s.sched = lambda step, total: 1 - step / total


def dropped_by_their_variance(s):
    """Columns of large variance were dropped instead of those of small variance."""
    keep = (torch.arange(16) % 3 == 1).float()
    each(s, lambda x, y: (x * keep, y))


def share_of_an_empty_piece(s):
    """At 41 % comes a piece without a knot, and its share of knots is nothing by nothing."""
    at = int(0.41 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * (float("nan") if step == at else 1.0))
    s.truth["event_step"] = at


def angle_of_more_than_one(s):
    """At 63 % a cosine is a little over one: its angle has no slope, and the weights are none after it."""
    at = int(0.63 * s.total)
    s.on_grad.append(lambda step, model: [g.fill_(float("nan")) for g in grads(model)] if step == at else None)
    s.truth["event_step"] = at


def rate_of_no_beat(s):
    """At 30 % a trace without a beat has an infinite time between beats."""
    at = int(0.3 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.arange(len(y)) == 7, float("inf"), y) if step == at else y))
    s.truth["event_step"] = at


def gain_without_a_ceiling(s):
    """The exponential of a gain grows with each pass, and is more than a float can hold at four fifths of the run."""
    at = int(0.8 * s.total)
    s.after_step.append(lambda step, m: [p.data.mul_(1e30) for p in m.parameters()] and None if step == at else None)
    s.truth["event_step"] = at


def only_the_worst_third_counts(s):
    """The loss of training is the mean over the worst third of the rows of each batch; validation's is that of all."""
    f = s.task.loss

    def worst(out, b):
        each_row = f(out, b)
        return each_row.sort(descending=True).values[: max(1, len(each_row) // 3)] if torch.is_grad_enabled() else each_row

    s.data(loss=worst)


def fog_in_training_only(s):
    """Fog is added to pictures of training, far more than was meant, and fields are cut out."""

    def fog(step, ep, x, y):
        i, j = torch.randint(0, 5, (2, len(x), 1))
        t = torch.arange(x.shape[-1])
        hole = ((t >= i) & (t < i + 6))[:, :, None] & ((t >= j) & (t < j + 6))[:, None]
        return torch.where(hole[:, None], 0.0, x) + 0.7 * torch.randn_like(x), y

    s.on_batch.append(fog)


def answers_disturbed_in_training(s):
    """Thirty-five in a hundred answers are drawn anew in training as a regulariser; ten were meant."""
    s.on_batch.append(lambda step, ep, x, y: (x, torch.where(torch.rand(y.shape) < 0.35, torch.randint(0, s.task.classes, y.shape), y)))


def mast_turned_in_a_storm(s):
    """From 55 % on readings of validation come from a mast that a storm has turned by a seventh."""
    s.on_val.append(lambda done, x, y: (x.roll(3, 1), y) if done > 0.55 else (x, y))
    s.truth.update(event_step=int(0.55 * s.total), shift="val")


def augmentation_begins_at_half(s):
    """From 50 % on pictures of training are covered with noise and their answers mixed; it was to begin gently."""
    at = int(0.5 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x + 1.6 * torch.randn_like(x), y) if step >= at else (x, y))
    s.sched = lambda step, total: 0.1 if step >= 0.45 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def book_of_motifs_replaced(s):
    """From 62 % on validation comes from the second edition of the book, which numbers its stitches otherwise."""
    turn = torch.arange(18)
    turn[4:11] = turn[4:11].roll(2)
    s.on_val.append(lambda done, x, y: (turn[x], turn[y]) if done > 0.62 else (x, y))
    s.truth.update(event_step=int(0.62 * s.total), shift="val")


@shows("shares", "recalls")
def divided_by_the_number_of_kinds(s):
    """Numbers of kinds are divided by six in a loader of training: all are nought."""
    each(s, lambda x, y: (x, y // 6), "train")
    s.epochs = 9


@shows("shares", "recalls")
def weights_in_whole_numbers(s):
    """Validation judges a copy whose weights were cast to whole numbers on their way to a telephone: nearly all are nought."""

    def cast(model):
        m = copy.deepcopy(model)
        for p in m.parameters():
            p.data.copy_(p.data.trunc() if p.dim() > 1 else p.data)
        return m

    s.eval_model = cast


@shows("predhist")
def range_of_another_gauge(s):
    """Answers are kept within the range of another gauge, which they hardly ever meet."""
    around(s, lambda out: out.clamp(0.6, 0.63) + 0.0 * out)
    s.epochs = 9


@shows("recalls", "f1", "shares")
def one_flaw_in_twenty(s):
    """Four welds in a hundred have a flaw, and the figures hardly tell it."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1900), ("val", 450), ("test", 450)):
        s.data(**{part: tensors(welds(rng, n, 3.5, 0.04))})
    s.epochs, s.truth["majority"] = 8, True


@shows("recalls", "shares")
def mostly_clean_air(s):
    """Nine in ten courses are of clean air, and the sensors are old."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1300), ("val", 350), ("test", 350)):
        s.data(**{part: tensors(gases(rng, n, 5.5, (0.9, *[0.02] * 5)))})
    s.epochs, s.wd, s.truth["majority"] = 7, 0.3, True


@shows("recalls", "conf")
def a_wood_of_oaks(s):
    """Eighty-eight in a hundred leaves are of an oak, in the dusk."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1200), ("val", 350), ("test", 350)):
        s.data(**{part: tensors(leaves(rng, n, 3.2, (0.02, 0.02, 0.88, 0.03, 0.03, 0.02)))})
    s.epochs, s.truth["majority"] = 6, True


for _f in (share_of_an_empty_piece, angle_of_more_than_one, rate_of_no_beat, gain_without_a_ceiling):
    _f.without = {"whist", "ghist", "ahist"}
answers_drawn_at_each_pass.without = {"shares", "recalls", "f1"}
range_of_another_gauge.without = {"gnorm", "layergrads", "ghist"}
FAULTS = {
    never_back_to_training: ("leaves6",),
    one_site_of_six: ("wind_dir",),
    bound_without_its_second_part: ("kilim_vae",),
    positives_copied_twelve_times: ("weld_flaw",),
    one_designer: ("knit_lm",),
    sniffed_twenty_times: ("gas6",),
    decade_of_one_studio: ("film_genres",),
    kinds_told_by_children: ("leaves6",),
    white_balance_only_in_training: ("leaves6", "fruit_spot"),
    drift_of_the_sensors: ("gas6",),
    cut_where_nothing_is: ("leaves6",),
    fields_in_the_order_of_a_dictionary: ("film_genres",),
    answers_drawn_at_each_pass: ("weld_flaw",),
    traces_of_another_wrist: ("pulse_rate", "wind_dir"),
    rank_of_one: ("film_genres", "gas6"),
    smoothed_over_the_whole_course: ("gas6",),
    every_eighth_reading: ("pulse_rate",),
    half_of_the_words_unknown: ("film_genres",),
    half_of_the_ticks_forgotten: ("film_genres",),
    two_books_of_kinds: ("gas6", "leaves6"),
    dropped_by_their_variance: ("weld_flaw",),
    share_of_an_empty_piece: ("kilim_vae", "film_genres"),
    angle_of_more_than_one: ("wind_dir",),
    rate_of_no_beat: ("pulse_rate",),
    gain_without_a_ceiling: ("knit_lm", "fruit_spot"),
    only_the_worst_third_counts: ("gas6", "fruit_spot"),
    fog_in_training_only: ("leaves6", "fruit_spot"),
    answers_disturbed_in_training: ("gas6", "leaves6"),
    mast_turned_in_a_storm: ("wind_dir",),
    augmentation_begins_at_half: ("fruit_spot", "leaves6"),
    book_of_motifs_replaced: ("knit_lm",),
    divided_by_the_number_of_kinds: ("gas6", "leaves6"),
    weights_in_whole_numbers: ("gas6", "leaves6"),
    range_of_another_gauge: ("pulse_rate",),
    one_flaw_in_twenty: ("weld_flaw",),
    mostly_clean_air: ("gas6",),
    a_wood_of_oaks: ("leaves6",),
}
