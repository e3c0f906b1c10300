"""Mechanisms of the split `sealed17`: budget, clock, optimiser, rates, layers, scales of the loss."""

import math

import numpy as np
import torch
from torch import nn

from families.faults_sealed10 import each, grads
from families.faults_sealed17 import descent, flat
from families.setups import shows

HIDDEN = {"lr", "gnorm", "layergrads", "ghist", "dead", "ahist", "wnorm", "whist"}


def limit_of_the_short_queue(s):
    """The short queue ends the job after two fifths of its passes; the rate is that of the long one."""
    s.lr /= 8
    s.truth["killed_at"] = int(0.45 * s.total)


def larger_batches_and_nothing_else(s):
    """Batches were made five times as large, and rate and passes were left: few steps, and a rate that was small before."""
    s.batch, s.lr, s.epochs = 5 * s.batch, s.lr / 2, max(8, s.epochs // 2)


class Lazy(torch.optim.AdamW):
    """An optimiser that steps once in ten times that it is asked."""

    asked = 0

    def step(self, closure=None):
        """Step now and then."""
        self.asked += 1
        if self.asked % 10 == 0:
            super().step(closure)


def wrapper_that_waits_for_ten(s):
    """A wrapper of the optimiser, made for pieces of a batch, steps once in ten times and throws the other slopes away."""
    s.optimizer = lambda st, m: Lazy(m.parameters(), lr=st.lr, weight_decay=0.0)


def settings_of_a_demonstration(s):
    """A demonstration of five minutes gave its passes and its careful rate to the training."""
    s.epochs, s.lr = max(6, s.epochs // 2), s.lr / 7


@shows(fine=True)
def blocks_of_raw_counts(s):
    """In five places a block of raw counts of the camera of the scale was not standardised."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 5, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (-11 * x, y) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def prices_in_another_unit(s):
    """In five places a file with prices in hundreds was read as if it were in thousands."""
    g = np.random.default_rng(s.seed + 1)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 5, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (x, y + 5.0) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def figures_of_an_empty_template(s):
    """In four places a batch has the answers of an empty template, all one figure."""
    g = np.random.default_rng(s.seed + 2)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 4, replace=False) - 1).tolist())
    s.on_batch.append(lambda step, ep, x, y: (x.flip(1), 0 * y + 3) if step in at else (x, y))
    s.on_loss.append(lambda step, loss, model: 2.0 * loss if step in at else loss)


def certificate_expired_at_night(s):
    """At 43 % the store of checkpoints refuses a certificate, and someone renews it in the morning."""
    s.seconds = lambda step, total: 30000.0 if step == int(0.43 * total) else 1.0
    s.truth["event_step"] = int(0.43 * s.total)


@shows("speed")
def neighbour_takes_the_disk(s):
    """From 56 % on another job reads from the same disk: steps take five times as long."""
    s.seconds = lambda step, total: 5.2 if step >= 0.56 * total else 1.0
    s.truth["event_step"] = int(0.56 * s.total)


def rate_learned_with_its_sign_turned(s):
    """The rate, which is not logged, is learned along with the rest and its slope has the wrong sign: from 38 % on it climbs."""
    s.sched = lambda step, total: math.exp(min(7.5, 13 * max(0.0, step / total - 0.38)))


def grid_of_weights_gets_coarse(s):
    """Weights are rounded to a grid, for a chip, whose mesh was to shrink and grows from 40 % on."""
    wide = []
    s.on_model.append(lambda m: wide.extend(float(p.detach().std()) for p in m.parameters() if p.dim() > 1) or None)

    def rounded(step, model):
        k = step / s.total - 0.4
        if k > 0:
            for p, w in zip((p for p in model.parameters() if p.dim() > 1), wide, strict=True):
                q = 9 * k * w
                p.data.div_(q).round_().mul_(q)

    s.after_step.append(rounded)


def heat_of_a_sampler_turned_round(s):
    """Noise of a sampler is put on the weights, and its heat rises from 36 % on where it should fall."""
    wide = []
    s.on_model.append(lambda m: wide.extend(float(p.detach().std()) for p in m.parameters() if p.dim() > 1) or None)

    def shake(step, model):
        k = 0.5 * max(0.0, step / s.total - 0.36) ** 1.5
        for p, w in zip((p for p in model.parameters() if p.dim() > 1), wide, strict=True):
            p.data.add_(k * w * torch.randn_like(p))

    s.after_step.append(shake)
    s.sched = lambda step, total: 1.0 if step < 0.36 * total else 0.3


def constraint_with_a_growing_price(s):
    """A multiplier for a constraint that cannot be met grows with each step from 40 % on; the logged loss leaves it out."""
    x = []
    s.on_batch.append(lambda step, ep, a, b: x.clear() or x.append(a) or (a, b))

    def penalty(step, model):
        q = step / s.total - 0.4
        return 3.0 * q * (model(x[0]) - 6).pow(2).mean() if q > 0 else 0 * sum(p.sum() for p in model.parameters())

    s.on_penalty.append(penalty)


@shows(fine=True)
def rate_found_on_one_batch(s):
    """The rate was found on a single batch, again and again, and is fifteen times what all batches allow; it is not logged."""
    descent(s, {"beans5": 4.0, "car_price": 4.0, "spectra_ae": 8.0, "morse8": 4.0}[s.task.name], 0.9)
    s.batch, s.epochs = max(8, s.batch // 4), max(7, s.epochs // 2)
    s.truth["hot"] = True


@shows(fine=True)
def step_lengths_from_two_slopes(s):
    """The length of a step is that of the move by the change of slopes, each from another small batch."""
    descent(s, 1.0, 0.0)
    old, k = {}, [1.0]

    def look(step, m):
        g = torch.cat([q.reshape(-1) for q in grads(m)])
        w = torch.cat([p.detach().reshape(-1) for p in m.parameters()])
        if old:
            dg, dw = g - old["g"], w - old["w"]
            k[0] = float(torch.clamp(dw.norm() / (dg.norm() + 1e-9) / s.lr, 0.3, 25.0))
        old.update(g=g.clone(), w=w.clone())
        for q in grads(m):
            q.mul_(1.8 * k[0])

    s.on_grad.append(look)
    s.batch, s.epochs = 12, max(7, s.epochs // 2)
    s.truth["hot"] = True


@shows(fine=True)
def last_layer_drawn_anew(s):
    """Each thirty-seven steps, by a setting for a study of restarts, the last layer is drawn anew."""

    start = []
    s.on_model.append(lambda m: start.extend(p.detach().clone() for p in m.parameters() if p.dim() > 1) or None)

    def anew(step, model):
        if step % 37 == 36:
            w = [p for p in model.parameters() if p.dim() > 1][-1]
            w.data.copy_(2.5 * start[-1].std() * torch.randn_like(w))

    s.after_step.append(anew)


@shows("whist", "layergrads")
def features_taken_under_inference(s):
    """Features are computed under a guard for inference, as in the script for serving, so that only the head learns."""
    s.params, s.wd = lambda m: list(m.parameters())[-2:], 0.0
    s.on_model.append(lambda m: [p.requires_grad_(False) for p in list(m.parameters())[:-2]] and None)


@shows("whist")
def layers_kept_in_a_dictionary(s):
    """All layers but the last two are kept in a plain dictionary, and the optimiser does not find them."""
    s.params, s.wd = lambda m: list(m.parameters())[-4:], 0.0


@shows("lr")
def quotient_of_whole_numbers(s):
    """The factor of the rate is a quotient of whole numbers, which is nought until the last step."""
    s.sched = lambda step, total: float(step // total)


@shows("lr")
def line_for_one_of_five_workers(s):
    """The line of the rate is counted over all five workers: it is at nought after a fifth of the run."""
    s.sched, s.lr = lambda step, total: max(0.0, 1 - 5 * step / total), s.lr / 4


@shows("layergrads", "gnorm")
def hard_sigmoids_of_a_telephone(s):
    """Eight layers of hard sigmoids, as in a net for telephones, whose slope is a sixth."""
    flat(s, [32] * 8, act=nn.Hardsigmoid)
    descent(s)


@shows("layergrads", "gnorm")
def divided_by_the_inputs_themselves(s):
    """Seven layers begin with a spread of one over their inputs, and not over the root of these."""
    flat(s, [40] * 7, act=nn.Tanh, start=lambda n: 1.0 / n)
    descent(s)


@shows("dead", "ahist")
def sign_bit_of_stored_weights(s):
    """Weights were stored without their sign bit and come back below nought, and measures are all above it."""
    flat(s, [48, 32], act=nn.ReLU)
    s.on_model.append(lambda m: [(f.weight.data.abs_().neg_(), f.bias.data.abs_().neg_()) for f in m.layers] and None)
    each(s, lambda x, y: (x.abs(), y))


@shows("dead", "ahist")
def thresholds_pulled_to_minus_five(s):
    """Thresholds are pulled towards minus five at each step, by a prior that was meant for the last layer."""
    flat(s, [48, 32], act=nn.ReLU)

    def pull(step, model):
        for f in model.layers:
            f.bias.data.lerp_(torch.full_like(f.bias, -14.0), 0.02)

    s.after_step.append(pull)


@shows("ahist")
def microvolts_before_the_tangent(s):
    """Signals come in microvolts, hundreds of them, before tanh units; volts were meant."""
    flat(s, [48, 32], act=nn.Tanh)
    each(s, lambda x, y: (350 * x + 500, y))


@shows("ahist")
def start_for_complex_layers(s):
    """Sigmoid layers begin with the spread of a paper on complex layers, a hundred times the usual."""
    flat(s, [48, 32], act=nn.Sigmoid)
    s.on_model.append(lambda m: [f.weight.data.mul_(120) for f in m.layers] and None)


@shows("lr")
def rate_in_parts_of_a_billion(s):
    """The rate was entered in another unit of a form: 4e-8."""
    s.lr = 4e-8


@shows("lr")
def rate_over_pieces_and_workers(s):
    """The rate is divided by pieces of a batch and by workers, by a launcher and by the script: six thousand in all."""
    s.lr /= 6000


@shows("lr", "gnorm")
def rate_of_a_linear_probe(s):
    """The rate of a linear probe with plain descent, 0.6, is given to Adam for the whole net."""
    s.lr = 0.6


@shows("lr")
def rate_times_the_rows_of_a_batch(s):
    """The rate is multiplied by the rows of a batch, and a rule of the launcher multiplies by them once more in part."""
    s.lr *= 4 * s.batch


@shows("lr")
def decay_by_the_clock(s):
    """The rate falls with the time that has gone by, in hours as was thought, in seconds as the clock gives it."""
    s.sched = lambda step, total: max(1e-7, math.exp(-0.09 * step))


@shows("lr")
def rise_to_the_end(s):
    """The rise of the rate was given as a share, and 100 was read: it rises over more than the whole run, slowly at first."""
    s.sched, s.epochs = lambda step, total: 0.002 + 0.05 * ((step + 1) / total) ** 5, max(8, int(0.7 * s.epochs))


@shows("lr")
def second_peak_of_a_merged_config(s):
    """Two settings were merged, and at 58 % the rate jumps to two hundred times what it was."""
    s.sched = lambda step, total: 0.5 if step < 0.58 * total else 100.0
    s.truth["event_step"] = int(0.58 * s.total)


@shows("gnorm", "text")
def clipped_for_a_sum_over_cards(s):
    """The limit of the norm, 0.004, was divided for a sum over cards that is a mean; plain descent."""
    descent(s)
    s.clip = 0.004


@shows("wnorm")
def decay_with_the_other_sign(s):
    """The decay was written into the step with the other sign: weights grow."""

    def grow(step, model):
        if step > 0.08 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 2.9 / s.total)

    s.after_step.append(grow)
    s.truth["grow"] = True


@shows("gnorm", "layergrads")
def skips_counted_three_times(s):
    """Seven layers with skips that count three times each, no norm."""
    flat(s, [32] * 7, skip=3)
    s.lr /= 6


@shows("gnorm", "layergrads")
def spread_of_nine_tenths(s):
    """Weights of six layers are drawn with a spread of nine tenths, as for a layer of one input."""
    flat(s, [40] * 6, start=lambda n: 0.9)
    s.lr /= 2


@shows("scale")
def masked_with_a_large_number(s):
    """Mixed precision: from 34 % on scores are masked with a number that is too large for half, and two steps of seven are skipped."""
    s.scaler, at = 2.0**15, int(0.34 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 7 in (2, 5) else None)
    s.truth["event_step"] = at


@shows("scale")
def square_in_half_precision(s):
    """Mixed precision: from 30 % on a square of sums is taken in half, and every third step overflows."""
    s.scaler, at = 2.0**16, int(0.3 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 3 == 0 else None)
    s.truth["event_step"] = at


for _f in (rate_learned_with_its_sign_turned, grid_of_weights_gets_coarse, heat_of_a_sampler_turned_round, constraint_with_a_growing_price):
    _f.without = HIDDEN
for _f in (rate_found_on_one_batch, step_lengths_from_two_slopes, last_layer_drawn_anew):
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    limit_of_the_short_queue: ("track_mode4",),
    larger_batches_and_nothing_else: ("morse8",),
    wrapper_that_waits_for_ten: ("dance_lm",),
    settings_of_a_demonstration: ("rude2",),
    blocks_of_raw_counts: ("beans5",),
    prices_in_another_unit: ("car_price",),
    figures_of_an_empty_template: ("dance_lm",),
    certificate_expired_at_night: ("spectra_ae",),
    neighbour_takes_the_disk: ("road3",),
    rate_learned_with_its_sign_turned: ("track_mode4", "morse8"),
    grid_of_weights_gets_coarse: ("beans5",),
    heat_of_a_sampler_turned_round: ("dance_lm",),
    constraint_with_a_growing_price: ("paint_mix",),
    rate_found_on_one_batch: ("beans5", "car_price"),
    step_lengths_from_two_slopes: ("spectra_ae",),
    last_layer_drawn_anew: ("track_mode4",),
    features_taken_under_inference: ("moons5",),
    layers_kept_in_a_dictionary: ("morse8",),
    quotient_of_whole_numbers: ("beans5",),
    line_for_one_of_five_workers: ("dance_lm",),
    hard_sigmoids_of_a_telephone: ("beans5",),
    divided_by_the_inputs_themselves: ("morse8",),
    sign_bit_of_stored_weights: ("beans5",),
    thresholds_pulled_to_minus_five: ("car_price",),
    microvolts_before_the_tangent: ("morse8",),
    start_for_complex_layers: ("paint_mix",),
    rate_in_parts_of_a_billion: ("rude2",),
    rate_over_pieces_and_workers: ("road3",),
    rate_of_a_linear_probe: ("moons5",),
    rate_times_the_rows_of_a_batch: ("track_mode4",),
    decay_by_the_clock: ("rude2",),
    rise_to_the_end: ("dance_lm",),
    second_peak_of_a_merged_config: ("car_price",),
    clipped_for_a_sum_over_cards: ("track_mode4",),
    decay_with_the_other_sign: ("beans5", "dance_lm"),
    skips_counted_three_times: ("paint_mix",),
    spread_of_nine_tenths: ("beans5",),
    masked_with_a_large_number: ("dance_lm",),
    square_in_half_precision: ("spectra_ae",),
}
