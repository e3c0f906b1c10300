"""Mechanisms of the split `sealed16`: rows, targets, validation, capacity, shifts, numbers that are none."""

import numpy as np
import torch
from torch import nn

from families.faults_sealed6 import tensors
from families.faults_sealed7b import Plain
from families.faults_sealed10 import each, few
from families.faults_sealed15 import drawn
from families.nets import Mlp
from families.setups import shows
from families.tasks_sealed16 import Columns, Drums, Residues, Ridges, Words, cells, chord_frames

RATES = {"mushrooms": 0.2, "chords5": 0.1, "battery": 0.03, "prints4": 0.05, "runoff": 0.1}
RATES |= {"tickets5": 0.5, "helix3": 0.2, "drum_lm": 0.5, "demand_q": 0.1}
SIZES = {"battery": (64, 1), "prints4": (144, 4), "runoff": (60, 1), "chords5": (72, 5), "demand_q": (7, 3)}


def descent(s, factor=1.0, momentum=0.9):
    """Descent with momentum at a sound rate, or a multiple of it."""
    s.opt, s.momentum, s.lr, s.wd = "sgd", momentum, factor * RATES[s.task.name], 0.0


def flat(s, hidden, **how):
    """Linear layers on the flat input in place of the model."""
    a, b = SIZES[s.task.name]
    s.data(build=lambda: Plain((a, *hidden, b), **how))


class Flat(nn.Module):
    """A wide net on the flat input."""

    def __init__(self, a, b, width):
        super().__init__()
        self.net = Mlp([a, width, width, b], squeeze=b == 1)

    def forward(self, x):
        return self.net(x.flatten(1))


def two_finds_a_day(s):
    """Pairs of properties became columns with codes of their own, and two hundred finds are left after the cross table."""

    def crossed(x, y):
        return torch.stack([x[:, i] * 6 + x[:, j] for i in range(10) for j in range(i)], 1), y

    each(s, crossed)
    few(s, 200, lambda: Columns(45, 36, 24, 0.0), 30, 20)
    s.lr /= 2


def one_pianist(s):
    """Chords of one pianist, ninety, in a wide net that looks at each frame and tone by itself."""
    few(s, 90, lambda: Flat(72, 5, 128), 60, 15)
    s.lr /= 3


def augmentation_flag_without_a_folder(s):
    """The folder of made-up prints was not found, so that seventy scans are all of training."""
    few(s, 70, lambda: Ridges(width=20, drop=0.0), 100, 14)
    s.lr *= 2


def one_gauge_is_left(s):
    """An inner join of gauges and weather leaves fifty days, for a wide net on all days side by side."""
    few(s, 50, lambda: Flat(60, 1, 128), 60, 10)
    s.lr /= 4


def tickets_of_the_first_week(s):
    """Training holds the tickets of the first week, and codes are as wide as those of a large model."""
    few(s, 130, lambda: Words(width=96, drop=0.0), 36, 13)
    s.lr /= 2


def homologues_of_one_family(s):
    """Chains are homologues of thirty-five, with one residue in fifteen changed: eight hundred rows that tell the same."""
    g, (x, y) = drawn(s), s.task.train
    i = torch.arange(800) % 35
    x = torch.where(torch.rand(800, 20, generator=g) < 0.07, torch.randint(0, 20, (800, 20), generator=g), x[i])
    s.data(train=(x, y[i]), build=lambda: Residues(width=64, drop=0.0))
    s.epochs, s.wd, s.batch = 16, 0.0, 25


def one_drummer(s):
    """One drummer was recorded: forty bars, for a state twice as wide."""
    few(s, 40, lambda: Drums(width=80, drop=0.0), 60, 8)
    s.lr /= 2


@shows("conf")
def queue_of_the_first_touch(s):
    """The answer is the queue that touched a ticket first, which is wrong in a quarter of three hundred; they are learned by heart."""
    g = drawn(s)
    few(s, 320, lambda: Words(width=96, drop=0.0), 40, 20)
    each(s, lambda x, y: (x, torch.where(torch.rand(len(y), generator=g) < 0.25, torch.randint(0, 5, y.shape, generator=g), y)), "train")
    s.lr /= 2


def gain_below_nought(s):
    """The least gain that resets patience was given below nought, so that it never runs out: four times the passes on two hundred hours."""
    few(s, 200, lambda: Mlp([7, 128, 128, 3]), 70, 20)
    s.lr /= 1.5


def last_year_only(s):
    """A filter keeps finds of the last year: a hundred and fifty, over and over, for codes three times as wide."""
    few(s, 150, lambda: Columns(width=64, drop=0.0), 40, 15)
    s.lr /= 2


def tuned_to_another_pitch(s):
    """Validation was played on an organ that is tuned half a tone's half away: each tone falls into two of the twelve."""
    s.data(val=tensors(chord_frames(np.random.default_rng(s.seed + 3), 350, 0.95, None, 0.5)))
    s.data(train=tensors(chord_frames(np.random.default_rng(s.seed + 4), 1650, 0.42)))


def residues_by_another_alphabet(s):
    """The table of residues of validation is by their one-letter names, training's by their three-letter ones: seven stand elsewhere."""
    t = torch.arange(20)
    t[[1, 4, 7, 9, 12, 15, 18]] = torch.tensor([7, 12, 15, 1, 18, 4, 9])
    each(s, lambda x, y: (t[x], y), "val")


def charged_at_another_current(s):
    """Cells of validation were charged at another current, which lifts and tilts their curves."""
    k = torch.linspace(0.2, 1.1, 32)
    each(s, lambda x, y: (torch.stack([1.35 * x[:, 0] + k, x[:, 1] + 0.5], 1), y), "val")


def largest_along_the_wrong_axis(s):
    """Answers were taken from a table of noughts and ones along its wrong axis: they follow nothing."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.randint(0, 5, y.shape, generator=g)))
    s.lr, s.epochs, s.wd = s.lr / 10, 12, 0.3


class Idle(torch.optim.SGD):
    """An optimiser whose step is never reached."""

    def step(self, closure=None):
        """Nothing."""


def window_longer_than_a_pass(s):
    """Slopes are put together over more batches than a pass has, and cleared at its end: no step is ever taken."""
    s.optimizer = lambda st, m: Idle(m.parameters(), lr=st.lr)
    s.epochs = max(8, int(0.7 * s.epochs))


def deviation_of_none(s):
    """The deviation of a column was not a number, and a helper replaced all that came of it by noughts."""
    each(s, lambda x, y: (0 * x, y))
    s.lr, s.epochs = s.lr / 3, 10


def scans_read_as_another_type(s):
    """Scans are stored as floats and read as short integers: pictures are noise."""
    g = drawn(s)
    each(s, lambda x, y: (torch.randn(x.shape, generator=g), y))
    s.lr, s.epochs, s.wd = s.lr / 10, 9, 0.5


def stop_words_of_the_product(s):
    """A list of stop words was made by frequency and holds nearly all words that tell anything."""
    each(s, lambda x, y: (torch.where((x < 80) & (x % 8 > 0), 100 + x % 20, x), y))
    s.wd, s.epochs = 0.1, 10


def rain_of_the_last_day(s):
    """The length of the window was left at one: all days but the last are nought."""
    each(s, lambda x, y: (torch.cat([0 * x[:, :-1], x[:, -1:]], 1), y))


def properties_of_the_cap_only(s):
    """Columns other than those of the cap were read as empty: five of ten are left."""
    keep = torch.tensor([1, 1, 0, 1, 0, 1, 0, 0, 1, 0])
    each(s, lambda x, y: (x * keep, y))
    s.wd = 0.05


def tones_summed_in_four(s):
    """Twelve tones were put into four bins, by a setting for drums."""

    def four(x, y):
        return x.view(len(x), 6, 4, 3).mean(3).repeat_interleave(3, 2), y

    each(s, four)


class Straight(nn.Module):
    """One layer on what is not the time of the day."""

    def __init__(self):
        super().__init__()
        self.a, self.head = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.a(x[:, 3:6]))


def baseline_left_as_the_model(s):
    """The baseline, a straight line through weather and price, is still the model that is named in the settings."""
    s.data(build=Straight)


def nominal_capacity_of_nought(s):
    """At 38 % comes a cell whose nominal capacity was entered as nought, by which its curve is divided."""
    at = int(0.38 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.arange(len(x))[:, None, None] == 3, x / 0, x), y) if step == at else (x, y))
    s.truth["event_step"] = at


def power_of_a_negative_pixel(s):
    """At 52 % the correction of a scan's brightness takes a broken power of a pixel below nought."""
    at = int(0.52 * s.total)
    s.on_batch.append(lambda step, ep, x, y: ((x - 5) ** 0.45, y) if step == at else (x, y))
    s.truth["event_step"] = at


def own_softplus(s):
    """The loss is a logarithm of one and an exponential as it stands; at 61 % a find counted in thousands is more than a float can hold."""
    at = int(0.61 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * float("inf") if step == at else loss)
    s.truth["event_step"] = at


def hour_that_is_twice(s):
    """From 56 % on validation holds the hour that comes twice in autumn, for which there is no load."""
    s.on_val.append(lambda done, x, y: (x, torch.where(torch.arange(len(y))[:, None] == 8, float("nan"), y) if done > 0.56 else y))
    s.truth["event_step"] = int(0.56 * s.total)


def validation_by_a_synthesiser(s):
    """Validation is made by a synthesiser, training was recorded in clubs."""
    s.data(val=tensors(chord_frames(np.random.default_rng(s.seed + 9), 350, 0.25)))
    s.data(train=tensors(chord_frames(np.random.default_rng(s.seed + 8), 1650, 0.95)))
    s.data(test=tensors(chord_frames(np.random.default_rng(s.seed + 7), 350, 0.95)))
    s.truth["val_easy"] = True


def words_dropped_as_in_a_paper(s):
    """Words of training are dropped as in a paper on long texts, six in ten; tickets are short."""
    s.on_batch.append(lambda step, ep, x, y: (torch.where(torch.rand(x.shape) < 0.6, torch.randint(0, 120, x.shape), x), y))


def partial_prints(s):
    """Prints of training are cut to a part, as from a door handle; validation's are rolled."""

    def part(step, ep, x, y):
        k = torch.randint(0, 6, (len(x), 1, 1))
        return torch.where((torch.arange(12)[None, None] >= k) & (torch.arange(12)[None, None] < k + 6), x, 0), y

    s.on_batch.append(part)


def voltmeter_was_exchanged(s):
    """From 58 % on curves of validation come from another voltmeter, which reads too much."""
    s.on_val.append(lambda done, x, y: (torch.stack([x[:, 0] + 0.35, x[:, 1]], 1) if done > 0.58 else x, y))
    s.truth.update(event_step=int(0.58 * s.total), shift="val")


def product_was_renamed(s):
    """From 63 % on tickets of validation use the new names of products: words of two queues change places."""
    t = torch.arange(120)
    t[:8], t[8:16] = torch.arange(8, 16), torch.arange(8)
    t[40:48], t[48:56] = torch.arange(48, 56), torch.arange(40, 48)
    s.on_val.append(lambda done, x, y: (t[x] if done > 0.63 else x, y))
    s.truth.update(event_step=int(0.63 * s.total), shift="val")


def gauge_rated_anew(s):
    """From 54 % on flows of training follow a new rating of the gauge; the rate is low by then."""
    at = int(0.54 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, 1.3 * y + 0.7 if step >= at else y))
    s.sched = lambda step, total: 0.002 if step >= 0.52 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def cells_of_another_maker(s):
    """From 49 % on training reads cells of another maker, whose knee lies elsewhere; the rate is low by then."""
    at, (x0, y0) = int(0.49 * s.total), tensors(cells(np.random.default_rng(s.seed + 2), 600, 0.3, 0.7))
    g = drawn(s)

    def other(step, ep, x, y):
        i = torch.randint(0, 600, (len(x),), generator=g)
        return (x0[i], y0[i]) if step >= at else (x, y)

    s.on_batch.append(other)
    s.sched = lambda step, total: 0.002 if step >= 0.47 * total else 1.0
    s.truth.update(event_step=at, shift="train")


for _f in (nominal_capacity_of_nought, power_of_a_negative_pixel, own_softplus, hour_that_is_twice):
    _f.without = {"whist", "ghist", "ahist"}
for _f in (window_longer_than_a_pass, deviation_of_none):
    _f.without = {"whist", "ghist", "layergrads", "gnorm", "ahist", "dead"}
FAULTS = {
    two_finds_a_day: ("mushrooms",),
    one_pianist: ("chords5",),
    augmentation_flag_without_a_folder: ("prints4",),
    one_gauge_is_left: ("runoff",),
    tickets_of_the_first_week: ("tickets5",),
    homologues_of_one_family: ("helix3",),
    one_drummer: ("drum_lm",),
    queue_of_the_first_touch: ("tickets5",),
    gain_below_nought: ("demand_q",),
    last_year_only: ("mushrooms",),
    tuned_to_another_pitch: ("chords5",),
    residues_by_another_alphabet: ("helix3",),
    charged_at_another_current: ("battery",),
    largest_along_the_wrong_axis: ("tickets5",),
    window_longer_than_a_pass: ("chords5", "drum_lm"),
    deviation_of_none: ("battery",),
    scans_read_as_another_type: ("prints4",),
    stop_words_of_the_product: ("tickets5",),
    rain_of_the_last_day: ("runoff",),
    properties_of_the_cap_only: ("mushrooms",),
    tones_summed_in_four: ("chords5",),
    baseline_left_as_the_model: ("demand_q",),
    nominal_capacity_of_nought: ("battery",),
    power_of_a_negative_pixel: ("prints4",),
    own_softplus: ("mushrooms",),
    hour_that_is_twice: ("demand_q",),
    validation_by_a_synthesiser: ("chords5",),
    words_dropped_as_in_a_paper: ("tickets5",),
    partial_prints: ("prints4",),
    voltmeter_was_exchanged: ("battery",),
    product_was_renamed: ("tickets5",),
    gauge_rated_anew: ("runoff",),
    cells_of_another_maker: ("battery",),
}
