"""Mechanisms of the split `sealed19`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import torch
from torch import nn

from families.faults_sealed10 import each, grads
from families.faults_sealed18b import HIDDEN, places
from families.faults_sealed19 import descent, flat
from families.setups import shows


def adam_with_an_epsilon_of_one(s):
    """The number that keeps a division from nought is one, as in a recipe for another kind of net; steps are tiny."""
    s.optimizer = lambda st, m: torch.optim.AdamW(m.parameters(), lr=st.lr, weight_decay=0.0, eps=0.3)


def debug_switch_left_on(s):
    """A switch for debugging lets a tenth of each pass through; the passes are those of the whole."""
    n = len(s.task.train[0]) // 8
    s.data(train=tuple(q[:n] for q in s.task.train))
    s.lr, s.epochs = s.lr / 3, max(9, int(0.9 * s.epochs))


def adams_rate_for_plain_descent(s):
    """Adam was replaced by descent with momentum, and its rate was left."""
    s.opt, s.momentum, s.wd, s.lr = "sgd", 0.9, 0.0, s.lr * 0.8


def steps_counted_in_pieces(s):
    """The number of steps was counted in pieces of a batch: the run ends after two fifths; its rate is low."""
    s.lr /= 6
    s.truth["killed_at"] = int(0.4 * s.total)


@shows(fine=True)
def self_test_of_the_sensors(s):
    """In five places a batch holds the self-test of the sensors, which all show their highest speed in turn."""
    at = places(s, 5)
    s.on_batch.append(lambda step, ep, x, y: (x, 0 * y + 4.5) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def tracker_lost_the_eye(s):
    """In four places the tracker lost the eye, and wrote down jumps for all of a batch."""
    at = places(s, 4, 1)
    s.on_batch.append(lambda step, ep, x, y: (x.flip(1) * 0.05, 0 * y + 1) if step in at else (x, y))
    s.lr /= 2


@shows(fine=True)
def pages_of_an_error_message(s):
    """In five places a batch was scraped from an error page: all headlines say the same, and its desk is any."""
    at = places(s, 5, 2)
    s.on_batch.append(lambda step, ep, x, y: (0 * x + 3, 0 * y + 3) if step in at else (x, y))
    s.on_loss.append(lambda step, loss, model: 1.5 * loss if step in at else loss)
    s.lr /= 2


def disk_full_over_the_weekend(s):
    """At 46 % the disk is full and the loop waits until someone makes room on Monday."""
    s.seconds = lambda step, total: 90000.0 if step == int(0.46 * total) else 1.0
    s.truth["event_step"] = int(0.46 * s.total)


@shows("speed")
def fan_that_stands_still(s):
    """From 51 % on a fan stands still and the card slows itself down: steps take six times as long."""
    s.seconds = lambda step, total: 6.0 if step >= 0.51 * total else 1.0
    s.truth["event_step"] = int(0.51 * s.total)


def momentum_over_one(s):
    """Momentum was typed as 1.009, and what is carried along grows from step to step."""
    descent(s, 0.02, 1.0 + 5.2 / s.total)


def test_of_rates_left_on(s):
    """A test of rates, which raises the rate at each step, is still in the loop and begins at 38 %; the rate is not logged."""
    s.sched = lambda step, total: 0.6 * math.exp(min(8.0, 11.5 * max(0.0, step / total - 0.38)))


def rate_times_two_at_each_resume(s):
    """The rate is multiplied by the number of cards again at each resume, of which there are some after 40 %; it is not logged."""
    s.sched = lambda step, total: 0.5 * 7.0 ** max(0, int((step / total - 0.28) / 0.12))


def averages_that_overshoot(s):
    """Weights are taken beyond their slow average each ten steps from 36 % on, as a sign in the blend was turned."""
    slow = []

    def away(step, model):
        if step == int(0.36 * s.total):
            slow.extend(p.detach().clone() for p in model.parameters())
        if slow and step % 10 == 0:
            for p, q in zip(model.parameters(), slow, strict=True):
                new = p.data + 0.7 * (p.data - q)
                q.lerp_(p.data, 0.5)
                p.data.copy_(new)

    s.after_step.append(away)


def noise_of_a_curriculum(s):
    """Weights are shaken in each pass to make them robust, by a share that rises from 34 % on and has no lid."""

    def shake(step, model):
        k = 0.35 * max(0.0, step / s.total - 0.34) ** 1.3
        for p in model.parameters():
            if k > 0 and p.dim() > 1:
                p.data.add_(k * p.data.std() * torch.randn_like(p))

    s.after_step.append(shake)


@shows(fine=True)
def betas_in_the_wrong_order(s):
    """The two factors of Adam changed places, and the rate is higher: what is carried along is old, the scale is new."""
    s.betas, s.lr, s.truth["hot"] = (0.985, 0.9), 4.5 * s.lr, True


@shows(fine=True)
def two_rows_at_a_high_rate(s):
    """Two rows are all that the card holds, at the rate of a large batch, without decay; it is not logged."""
    descent(s, 0.25, 0.9)
    s.data(train=tuple(q[:450] for q in s.task.train))
    s.batch, s.epochs, s.truth["hot"] = 2, 6, True


@shows(fine=True)
def slopes_from_a_late_worker(s):
    """Slopes are those of twelve steps before, from a worker that lags, at a rate that no delay bears."""
    descent(s, {"flight_delay": 0.3, "penguins3": 1.3}[s.task.name], 0.5)
    old = []

    def late(step, m):
        new = [g.clone() for g in grads(m)]
        old.append(new)
        first = old.pop(0) if len(old) > 12 else [0 * g for g in new]
        for g, q in zip(grads(m), first, strict=True):
            g.copy_(q)

    s.on_grad.append(late)
    s.truth["hot"] = True


@shows("whist", "layergrads")
def codes_loaded_and_held(s):
    """Codes of words are loaded and held, as is said in the tutorial for codes that are good; these are drawn by chance."""
    s.params, s.wd = lambda m: [p for n, p in m.named_parameters() if "emb" not in n], 0.0
    s.on_model.append(lambda m: nn.init.normal_(m.emb.weight, 0, 0.05) is None)


@shows("whist")
def names_that_begin_with_head(s):
    """The optimiser gets what begins with the word head, from a script that tuned one layer."""
    s.params, s.wd = lambda m: [p for n, p in m.named_parameters() if n.startswith("head")], 0.0


@shows("lr")
def end_of_a_finished_run_restored(s):
    """The schedule of a finished run was restored along with its weights, which were then drawn anew: the rate is nought from the start."""
    s.sched = lambda step, total: 0.0


@shows("lr")
def total_before_the_resize(s):
    """The number of steps in the schedule is that of larger batches: the rate is nought after a fifth of the run."""
    s.sched, s.lr = lambda step, total: max(0.0, 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / (0.2 * total)))), s.lr / 2


@shows("layergrads", "gnorm")
def softmax_after_each_layer(s):
    """Each of five hidden layers ends in a softmax, as in a first program."""
    flat(s, [40] * 5, act=lambda: nn.Softmax(-1))
    descent(s)


@shows("layergrads", "gnorm")
def spread_of_a_transformer(s):
    """Seven layers of soft signs begin with a spread of two hundredths, as is said for a transformer with norms."""
    flat(s, [40] * 7, act=nn.Softsign, start=lambda n: 0.02)
    descent(s)


@shows("dead", "ahist")
def price_of_each_active_unit(s):
    """A price for what units give, to have few of them active, was summed over rows: soon none is; the logged loss leaves it out."""
    flat(s, [48, 32], act=nn.ReLU)
    given, s.lr = [], 3 * s.lr
    s.on_model.append(lambda m: [a.register_forward_hook(lambda mod, i, out: given.append(out)) for a in m.acts] and None)
    s.on_batch.append(lambda step, ep, x, y: given.clear() or (x, y))
    s.on_penalty.append(lambda step, m: 4.0 * sum(q.mean(1).sum() for q in given[:2]))


@shows("dead", "ahist")
def ceiling_taken_off_first(s):
    """The ceiling of a unit, six, is taken off before it, where it should bound what comes out: nothing gets over nought."""
    flat(s, [48, 32], act=nn.ReLU, off=6.0)


@shows("ahist")
def pixels_up_to_255(s):
    """Pixels go from nought to 255 and tanh units get them as they are."""
    flat(s, [48, 32], act=nn.Tanh)
    each(s, lambda x, y: (127 + 60 * x, y))


@shows("ahist")
def grams_and_millimetres(s):
    """Measures come in grams and tenths of millimetres, thousands of them, before sigmoid units."""
    flat(s, [48, 32], act=nn.Sigmoid)
    k = torch.tensor([300.0, 200, 1400, 4000, 1, 1, 1, 1])
    each(s, lambda x, y: (k * (x + 3), y))


@shows("lr")
def rate_divided_by_all_rows(s):
    """The loss was a sum once, and the rate is still divided by all rows of the training."""
    s.lr /= 40 * len(s.task.train[0])


@shows("lr")
def minus_seven_for_minus_three(s):
    """The exponent of the rate is seven where three was meant."""
    s.lr = 2e-7


@shows("lr", "gnorm")
def rate_of_adadelta(s):
    """Adadelta wants no rate and has one of 1.0, which was left when Adam took its place."""
    s.lr = 1.0


@shows("lr")
def scaled_to_a_batch_of_one(s):
    """The rate is given for one row and scaled by the rows of a batch, and was one for thirty-two: too high by far."""
    s.lr *= 90


@shows("lr")
def factor_of_a_pass_at_each_step(s):
    """The factor of nine tenths was meant for each pass and is applied at each step."""
    s.sched = lambda step, total: max(2e-7, 0.9**step)


@shows("lr")
def cycle_whose_top_is_at_the_end(s):
    """The share of the cycle that rises was given as 0.98 in place of 0.2, from nearly nothing."""
    s.sched = lambda step, total: 0.001 + (0.06 * (step / (0.98 * total)) ** 4 if step < 0.98 * total else 0.05)
    s.epochs = max(9, int(0.7 * s.epochs))


@shows("lr")
def warm_restart_at_the_top_of_another(s):
    """At 62 % the schedule restarts with the top of another run, two hundred times as high."""
    s.sched = lambda step, total: 0.5 if step < 0.62 * total else 120.0
    s.truth["event_step"] = int(0.62 * s.total)


@shows("gnorm", "layergrads")
def weights_of_a_unit_normal(s):
    """Weights of five layers are drawn from a normal of one and divided by nothing."""
    flat(s, [40] * 5, start=lambda n: 1.0)
    s.lr /= 2


@shows("gnorm", "layergrads")
def ways_around_counted_four_times(s):
    """Six layers whose ways around count four times, no norm."""
    flat(s, [36] * 6, skip=4)
    s.lr /= 5


@shows("scale")
def variance_taken_in_half(s):
    """Mixed precision: from 35 % on a variance is taken in half, and two steps of six have no end."""
    s.scaler, at = 2.0**15, int(0.35 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 6 in (1, 4) else None)
    s.truth["event_step"] = at


@shows("scale")
def penalty_of_large_squares(s):
    """Mixed precision: from 31 % on a penalty squares sums in half, and each third step overflows."""
    s.scaler, at = 2.0**16, int(0.31 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 3 == 1 else None)
    s.truth["event_step"] = at


for _f in (momentum_over_one, test_of_rates_left_on, rate_times_two_at_each_resume, averages_that_overshoot, noise_of_a_curriculum):
    _f.without = HIDDEN
for _f in (betas_in_the_wrong_order, two_rows_at_a_high_rate, slopes_from_a_late_worker):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    adam_with_an_epsilon_of_one: ("flight_delay", "headlines4"),
    debug_switch_left_on: ("xray5",),
    adams_rate_for_plain_descent: ("garments6", "gaze3"),
    steps_counted_in_pieces: ("genome_lm",),
    self_test_of_the_sensors: ("traffic10",),
    tracker_lost_the_eye: ("gaze3",),
    pages_of_an_error_message: ("headlines4",),
    disk_full_over_the_weekend: ("genome_lm",),
    fan_that_stands_still: ("driving",),
    momentum_over_one: ("xray5",),
    test_of_rates_left_on: ("headlines4",),
    rate_times_two_at_each_resume: ("cough2",),
    averages_that_overshoot: ("penguins3",),
    noise_of_a_curriculum: ("gaze3", "garments6"),
    betas_in_the_wrong_order: ("traffic10",),
    two_rows_at_a_high_rate: ("driving",),
    slopes_from_a_late_worker: ("flight_delay", "penguins3"),
    codes_loaded_and_held: ("headlines4",),
    names_that_begin_with_head: ("xray5",),
    end_of_a_finished_run_restored: ("gaze3",),
    total_before_the_resize: ("cough2",),
    softmax_after_each_layer: ("garments6",),
    spread_of_a_transformer: ("xray5",),
    price_of_each_active_unit: ("driving",),
    ceiling_taken_off_first: ("penguins3",),
    pixels_up_to_255: ("driving",),
    grams_and_millimetres: ("penguins3",),
    rate_divided_by_all_rows: ("genome_lm",),
    minus_seven_for_minus_three: ("xray5",),
    rate_of_adadelta: ("pupil_answers",),
    scaled_to_a_batch_of_one: ("driving",),
    factor_of_a_pass_at_each_step: ("headlines4",),
    cycle_whose_top_is_at_the_end: ("traffic10", "penguins3"),
    warm_restart_at_the_top_of_another: ("cough2",),
    weights_of_a_unit_normal: ("garments6",),
    ways_around_counted_four_times: ("traffic10",),
    variance_taken_in_half: ("pupil_answers",),
    penalty_of_large_squares: ("flight_delay",),
}
