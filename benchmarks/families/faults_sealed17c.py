"""Mechanisms of the split `sealed17`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks, early ends."""

import torch

from families.faults_sealed6 import rows
from families.faults_sealed6b import around
from families.faults_sealed10 import each
from families.faults_sealed15 import drawn
from families.faults_sealed15c import anew
from families.setups import shows
from families.tasks_sealed17 import beans, comments, moons, trips

LEVEL = {"beans5": 0.72, "morse8": 0.62, "moons5": 0.7, "dance_lm": 0.89, "rude2": 0.75, "track_mode4": 0.66, "spectra_ae": 0.5}


def reached(s, factor=1.0):
    """A switch that goes on when the smoothed loss of training has come to a part of what it was at first."""
    now, on = [0.0], [False]

    def look(step, loss, model):
        v = float(loss.detach())
        now[0] = v if step == 0 else 0.9 * now[0] + 0.1 * v
        now[1:] = [v] if step == 0 else now[1:]
        on[0] = on[0] or (step > 8 and now[0] < factor * LEVEL[s.task.name] * now[1])
        return loss

    s.on_loss.append(look)
    return on


@shows("shares", "recalls")
def threshold_of_a_strict_forum(s):
    """When judged, a margin of a forum that forbids nothing is taken off: no comment is rude."""
    around(s, lambda out: out - 16.0, "eval")


@shows("predhist")
def clamped_to_a_thin_band(s):
    """Answers are clamped to the range of a reflectance in hundredths, of which colours have a hundredfold."""
    around(s, lambda out: 0.01 * torch.tanh(out))


@shows("shares", "recalls")
def folder_of_one_kind_read_for_all(s):
    """A pattern of paths finds the folder of one letter over and over: nearly all rows of training are of it."""
    i = torch.cat([torch.nonzero(s.task.train[1] == 5)[:180, 0], torch.arange(12)])
    s.data(train=rows(s.task.train, i))
    s.epochs, s.batch = 14, 16


@shows("shares", "recalls")
def bonus_of_a_rush_hour(s):
    """When judged, a bonus for buses of a table for the rush hour is added, in the wrong unit."""
    k = 14.0 * torch.tensor([0.0, 0.0, 1.0, 0.0])
    around(s, lambda out: out + k, "eval")


@shows("recalls", "f1")
def hardly_a_rude_word(s):
    """Five in a hundred comments are rude, and words are mostly hidden."""
    anew(s, lambda g, n: comments(g, n, 0.0, 0.008, 0.7), (1700, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 4, True


@shows("recalls", "shares")
def sacks_of_one_kind(s):
    """Nine in ten beans of a sack are of one kind, and the calliper is worn."""
    anew(s, lambda g, n: beans(g, n, 2.4, (0.03, 0.9, 0.02, 0.03, 0.02)), (1700, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 5, True


@shows("recalls", "shares", "conf")
def most_of_us_walk(s):
    """Nearly all trips of a survey are on foot, and telephones are in bags."""
    anew(s, lambda g, n: trips(g, n, 5.0, (0.89, 0.05, 0.03, 0.03)), (1500, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


@shows("recalls", "shares")
def pictures_of_full_moons(s):
    """People take pictures of the full moon: nine in ten, in bad light."""
    anew(s, lambda g, n: moons(g, n, 3.5, (0.02, 0.03, 0.9, 0.03, 0.02)), (1500, 400, 400))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


def sum_over_the_points_of_a_picture_and_half(s):
    """The loss adds up the points of a picture and those of its mirror image: two hundred, and is logged as it is."""
    f = s.task.loss
    s.data(loss=lambda out, b: 200.0 * f(out, b))
    s.truth["start_factor"] = 200.0


def twelve_crops_added_up(s):
    """The losses of twelve readings of one signal are added up, and logged so."""
    f = s.task.loss
    s.data(loss=lambda out, b: 12.0 * f(out, b))
    s.truth["start_factor"] = 12.0


def first_page_of_a_sampler(s):
    """Validation takes nine rows that a sampler draws for a quick look."""
    s.val_rows, s.truth["val_few"] = 9, True


@shows("conf", "shares")
def scores_on_a_small_ball(s):
    """Scores are bounded by nine tenths, as between vectors of length one, and no factor makes them larger."""
    around(s, lambda out: 0.9 * torch.tanh(out))


def price_asked_among_the_columns(s):
    """The price that was asked, which is nearly the one that was paid, stands among the figures."""

    def more(x, y):
        x = x.clone()
        x[:, 7] = 2 * y + 0.02 * x[:, 7]
        return x, y

    each(s, more)
    s.lr, s.truth["leak"] = 3 * s.lr, True


@shows("conf")
def paid_by_the_click(s):
    """People who are paid by the click gave the answers: in forty-five of a hundred rows they follow nothing."""
    g, k = drawn(s), s.task.classes
    each(
        s,
        lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.45, torch.randint(0, k, y.shape, generator=g), y)),
        "train",
        "val",
    )
    s.truth["noise"], s.wd, s.epochs = 0.4, 0.1, 9


@shows(fine=True)
def trips_in_order_of_their_kind(s):
    """Trips are read as the table has them, by bicycle first, in each pass."""
    s.data(train=rows(s.task.train, s.task.train[1].argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows("conf", "shares")
def inverse_of_a_temperature(s):
    """When judged, scores are divided by an inverse temperature, so that they are nine times as large; measures are worn."""
    around(s, lambda out: 9.0 * out, "eval")
    g = drawn(s)
    each(s, lambda x, y: (x + 0.6 * torch.randn(x.shape, generator=g), y))
    s.wd = 0.0


def reducer_fed_with_single_steps(s):
    """A reducer of the rate, which is not logged, gets the loss of each step in place of each pass: it loses patience at once."""
    on = reached(s)
    s.sched = lambda step, total: 0.0015 if on[0] else 1.0


def guard_on_the_number_of_updates(s):
    """A guard counts updates in the unit of another run and lets hardly anything through after its limit; the rate is not logged."""
    on = reached(s, 1.08)
    s.sched = lambda step, total: 0.0004 if on[0] else 1.0


def first_stage_restored_all_the_time(s):
    """A callback takes weights back to the end of the first stage after each step, but for a fiftieth of the way."""
    on, kept = reached(s, 0.95), []

    def back(step, model):
        if on[0] and not kept:
            kept.extend(p.detach().clone() for p in model.parameters())
        for p, w in zip(model.parameters(), kept, strict=bool(kept)):
            p.data.lerp_(w, 0.98)

    s.after_step.append(back)


for _f in (reducer_fed_with_single_steps, guard_on_the_number_of_updates, first_stage_restored_all_the_time):
    _f.without = {"lr", "whist", "ghist", "layergrads"}
clamped_to_a_thin_band.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    threshold_of_a_strict_forum: ("rude2",),
    clamped_to_a_thin_band: ("paint_mix",),
    folder_of_one_kind_read_for_all: ("morse8",),
    bonus_of_a_rush_hour: ("track_mode4",),
    hardly_a_rude_word: ("rude2",),
    sacks_of_one_kind: ("beans5",),
    most_of_us_walk: ("track_mode4",),
    pictures_of_full_moons: ("moons5",),
    sum_over_the_points_of_a_picture_and_half: ("road3",),
    twelve_crops_added_up: ("morse8",),
    first_page_of_a_sampler: ("track_mode4",),
    scores_on_a_small_ball: ("moons5",),
    price_asked_among_the_columns: ("car_price",),
    paid_by_the_click: ("morse8",),
    trips_in_order_of_their_kind: ("track_mode4",),
    inverse_of_a_temperature: ("beans5",),
    reducer_fed_with_single_steps: ("moons5", "rude2"),
    guard_on_the_number_of_updates: ("dance_lm", "morse8"),
    first_stage_restored_all_the_time: ("track_mode4",),
}
