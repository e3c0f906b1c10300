"""Mechanisms of the split `sealed20`: budget, clock, optimiser, rates, layers, scales of the loss."""

import torch
from torch import nn

from families.faults_sealed10 import each, grads
from families.faults_sealed18b import HIDDEN, places
from families.faults_sealed20 import descent, flat
from families.setups import shows


def rate_of_the_tuning_guide(s):
    """The rate is that of a guide for tuning large models, an eightieth, and the passes are few."""
    s.lr, s.epochs = s.lr / 25, max(9, int(0.8 * s.epochs))


def hour_of_the_free_tier(s):
    """The free hour ends after a third of the passes; the rate is low."""
    s.lr /= 7
    s.truth["killed_at"] = int(0.36 * s.total)


def batch_of_the_whole_card(s):
    """The batch was made eight times as large to fill the card; rate and passes were left."""
    s.batch, s.lr = 8 * s.batch, s.lr / 2.5


def divided_among_accumulated_pieces_twice(s):
    """Plain descent on a loss that is divided by the pieces of a batch twice over: steps are a twentieth."""
    descent(s, 0.05, 0.8)


@shows(fine=True)
def tills_that_were_tested(s):
    """In five places a batch holds tests of the till, with amounts of all nines."""
    at = places(s, 5)
    s.on_batch.append(lambda step, ep, x, y: (x, 0 * y + 4.0) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def band_that_slipped_off(s):
    """In four places the band slipped off and all electrodes give full swing, whatever the gesture was said to be."""
    at = places(s, 4, 1)
    s.on_batch.append(lambda step, ep, x, y: (6 * torch.sign(x), (y + 2) % 5) if step in at else (x, y))
    s.lr /= 3


@shows(fine=True)
def gauge_that_was_cleaned(s):
    """In five places a batch holds the hours in which the gauge was cleaned, and dust flies."""
    at = places(s, 5, 2)
    s.on_batch.append(lambda step, ep, x, y: (x, y * 0 + 5.0) if step in at else (x, y))
    s.lr /= 2


def licence_server_away(s):
    """At 57 % the server of licences is away, and the loop tries again all night."""
    s.seconds = lambda step, total: 50000.0 if step == int(0.57 * total) else 1.0
    s.truth["event_step"] = int(0.57 * s.total)


@shows("speed")
def loader_without_its_workers(s):
    """From 44 % on the loader's workers are gone one after the other and the last one does it all: steps take seven times as long."""
    s.seconds = lambda step, total: 7.0 if step >= 0.44 * total else 1.0
    s.truth["event_step"] = int(0.44 * s.total)


def orthogonal_with_a_turned_sign(s):
    """A penalty that keeps rows of weights at right angles has its sign turned, and a price that sets in at 36 %."""

    def away(step, model):
        k = 3.0 * max(0.0, step / s.total - 0.36)
        big = [p for p in model.parameters() if p.dim() == 2]
        return -k * sum((p @ p.T - torch.eye(len(p))).pow(2).sum() for p in big) if k > 0 else 0.0

    s.on_penalty.append(away)


def rate_that_rewards_agreement(s):
    """A rule makes the rate larger by six hundredths at each step whose slope agrees with the last one, and hardly smaller; not logged."""
    old, k = [], [0.3]

    def rule(step, m):
        new = torch.cat([g.reshape(-1) for g in grads(m)])
        if old and step > 0.3 * s.total:
            k[0] *= 1.06 if float(new @ old[0]) > 0 else 0.985
        old[:] = [new.clone()]
        for g in grads(m):
            g.mul_(k[0])

    s.on_grad.append(rule)
    descent(s)


def server_that_steps_too_far(s):
    """Each round of clients ends with a step of the server of five times the way they went, from 38 % on."""
    kept, per = [], max(5, s.steps_per_epoch // 6)

    def server(step, model):
        if step >= 0.38 * s.total and step % per == 0:
            if kept:
                for p, q in zip(model.parameters(), kept, strict=True):
                    p.data.copy_(q + 5.0 * (p.data - q))
            kept[:] = [p.detach().clone() for p in model.parameters()]

    s.after_step.append(server)


def second_moments_halved_at_each_save(s):
    """At each save from 40 % on slopes are rescaled by a factor that is meant for one card and compounds; plain descent, not logged."""
    descent(s, 0.5)

    def more(step, m):
        k = 1.9 ** max(0, int((step / s.total - 0.38) / 0.04))
        for g in grads(m):
            g.mul_(min(k, 1e4))

    s.on_grad.append(more)


def norm_weights_by_a_power(s):
    """Weights are normalised after each step to a length that is raised by a power from 35 % on, as a table was read by its index."""

    def longer(step, model):
        if step > 0.35 * s.total:
            for p in model.parameters():
                if p.dim() > 1:
                    p.data.mul_(1 + 5.0 / s.total)

    s.after_step.append(longer)


@shows(fine=True)
def head_at_eighty_times_the_rate(s):
    """A search gave the head eighty times the rate of all other layers; the rate of the first group only is small."""
    descent(s, 0.5, 0.9)

    def more(step, m):
        for p in list(m.parameters())[-2:]:
            p.grad.mul_({"emg5": 24.0, "blood4": 30.0}[s.task.name])

    s.on_grad.append(more)
    s.truth["hot"] = True


@shows(fine=True)
def rows_of_a_bandit(s):
    """Each step is taken by a weight drawn from a wide law, as for policies that were seen seldom."""
    descent(s, 1.0, 0.6)
    g = torch.Generator().manual_seed(s.seed)

    def drawn(step, m):
        k = float(torch.exp(1.5 * torch.randn(1, generator=g))) * {"store_sales": 0.5, "redshift": 0.4}[s.task.name]
        for q in grads(m):
            q.mul_(k)

    s.on_grad.append(drawn)
    s.truth["hot"] = True


@shows(fine=True)
def privacy_of_a_small_batch(s):
    """Noise is added to slopes as for a batch of thousands, at a batch of a few dozen, and the rate is high."""
    descent(s, 0.5, 0.9)
    k = {"income2": 0.04, "street6": 0.06}[s.task.name]
    s.on_grad.append(lambda step, m: [g.add_(k * torch.randn_like(g)) for g in grads(m)][:0] or None)
    s.truth["hot"] = True


@shows("whist", "layergrads")
def optimiser_made_before_the_layers(s):
    """Layers that read the picture are made at the first batch, after the optimiser: they stay as they were drawn."""
    s.params, s.wd = lambda m: [p for n, p in m.named_parameters() if n.split(".")[0] in ("mid", "head")], 0.0


@shows("whist")
def block_behind_a_wrapper(s):
    """A wrapper hides the block of attention from the list of weights: codes and head are trained, the block is not."""
    s.params, s.wd = lambda m: [p for n, p in m.named_parameters() if n.startswith(("emb", "place", "head"))], 0.0


@shows("lr")
def whole_numbers_in_a_warm_up(s):
    """The rate of the warm-up is a quotient of whole numbers, and the warm-up is as long as the run: nought from start to end."""
    s.sched = lambda step, total: float(step // (total + 1))


@shows("lr")
def power_of_a_negative_clamped(s):
    """A decay by a power counts batches of another loader and is clamped at nought after a fifth of the run."""
    s.sched, s.lr = lambda step, total: max(0.0, 1 - step / (0.18 * total)) ** 0.9, s.lr / 2


@shows("layergrads", "gnorm")
def narrow_start_before_a_soft_unit(s):
    """Eight layers of a soft unit begin with a spread of three hundredths, copied from a net with norms."""
    flat(s, [40] * 8, act=nn.SiLU, start=lambda n: 0.03)
    descent(s)


@shows("layergrads", "gnorm")
def gates_of_gates(s):
    """Nine layers of steps from nought to one, each of which passes on a quarter of a slope at best."""
    flat(s, [32] * 9, act=nn.Sigmoid)
    descent(s)


@shows("dead", "ahist")
def mask_of_another_net(s):
    """A mask from the pruning of another net leaves three in a hundred rows of each layer, offsets as well, after each step."""
    flat(s, [64, 48], act=nn.ReLU)

    def mask(step, model):
        for k in model.layers:
            k.weight.data[2:], k.bias.data[2:] = 0.0, 0.0

    s.after_step.append(mask)


@shows("dead", "ahist")
def levels_in_negative_decibels(s):
    """Levels are decibels under full scale, all below nought, before weights that begin above nought."""
    flat(s, [48, 32], act=nn.ReLU)
    each(s, lambda x, y: (6 * x - 60, y))
    s.on_model.append(lambda m: [k.weight.data.abs_() for k in m.layers] and None)
    s.lr /= 5


@shows("ahist")
def microvolts_before_a_tanh(s):
    """Muscles are measured in microvolts, hundreds of them, before tanh units."""
    flat(s, [48, 32], act=nn.Tanh)
    descent(s, 0.3)
    each(s, lambda x, y: (90 * x + 20, y))


@shows("ahist")
def spread_of_three(s):
    """Weights before sigmoid units begin with a spread of three, for a rule that counts a thousand inputs."""
    flat(s, [48, 32], act=nn.Sigmoid, start=lambda n: 3.0)
    s.on_model.append(lambda m: m.head.weight.data.mul_(0.1) is None)
    s.lr /= 2


@shows("lr")
def thousandths_of_thousandths(s):
    """The rate is given in thousandths and was taken for millionths, twice."""
    s.lr *= 1e-5


@shows("lr")
def eleven_for_one(s):
    """The key was held down: a rate of 1e-11 in place of 1e-1 times the base."""
    s.lr = 3e-8


@shows("lr", "gnorm")
def first_trial_of_a_search(s):
    """The first rate of a line search, 0.7, is used with Adam at each step."""
    s.lr = 0.7


@shows("lr")
def comma_read_as_nothing(s):
    """A rate with a comma was read without it: too high by two hundred."""
    s.lr *= 120


@shows("lr")
def decay_for_epochs_counted_in_logs(s):
    """A decay by 0.85 meant for passes is applied at each line that is logged, each second step."""
    s.sched = lambda step, total: max(3e-7, 0.85 ** (step // 2))


@shows("lr")
def ramp_that_ends_with_the_run(s):
    """The ramp was given in samples where steps were asked for; it is at its top as the run ends, and begins at nearly nothing."""
    s.sched = lambda step, total: 0.0008 + 0.06 * (step / total) ** 5
    s.epochs = max(9, int(0.7 * s.epochs))


@shows("lr")
def factor_for_a_larger_cluster(s):
    """At 56 % the job moves to a larger cluster, and the rate is multiplied by its cards' memory: two hundred times as high."""
    s.sched = lambda step, total: 0.5 if step < 0.56 * total else 100.0
    s.truth["event_step"] = int(0.56 * s.total)


@shows("gnorm", "layergrads")
def start_of_a_sum_of_squares(s):
    """Weights of five layers are drawn with the sum of squares of a layer where its mean was meant."""
    flat(s, [40] * 5, start=lambda n: 1.1)
    s.lr /= 2


@shows("gnorm", "layergrads")
def sums_of_all_layers_before(s):
    """Seven layers with ways around that count threefold, no norm."""
    flat(s, [36] * 7, skip=3)
    s.lr /= 5


@shows("scale")
def logits_times_a_learned_factor_in_half(s):
    """Mixed precision: from 28 % on a learned factor takes logits past what half holds, in two steps of five."""
    s.scaler, at = 2.0**16, int(0.28 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 5 in (0, 3) else None)
    s.truth["event_step"] = at


@shows("scale")
def running_sum_of_counts_in_half(s):
    """Mixed precision: from 42 % on a running sum of counts is too large for half in each second step."""
    s.scaler, at = 2.0**15, int(0.42 * s.total)
    s.on_grad.append(lambda step, m: [g.fill_(float("inf")) for g in grads(m)][:0] if step >= at and step % 2 == 1 else None)
    s.truth["event_step"] = at


AWAY = (orthogonal_with_a_turned_sign, rate_that_rewards_agreement, server_that_steps_too_far, second_moments_halved_at_each_save)
AWAY = (*AWAY, norm_weights_by_a_power)
ROUGH = (head_at_eighty_times_the_rate, rows_of_a_bandit, privacy_of_a_small_batch)
for _f in AWAY:
    _f.without = HIDDEN
for _f in ROUGH:
    _f.without = {"lr", "dead", "ahist"}
FAULTS = {
    rate_of_the_tuning_guide: ("football_lm", "emotions5"),
    hour_of_the_free_tier: ("captcha3",),
    batch_of_the_whole_card: ("blood4", "emg5"),
    divided_among_accumulated_pieces_twice: ("street6", "air_hours"),
    tills_that_were_tested: ("store_sales",),
    band_that_slipped_off: ("emg5",),
    gauge_that_was_cleaned: ("air_hours",),
    licence_server_away: ("income2",),
    loader_without_its_workers: ("deblur",),
    orthogonal_with_a_turned_sign: ("emotions5", "redshift"),
    rate_that_rewards_agreement: ("street6",),
    server_that_steps_too_far: ("income2", "captcha3"),
    second_moments_halved_at_each_save: ("emg5",),
    norm_weights_by_a_power: ("air_hours", "store_sales"),
    head_at_eighty_times_the_rate: ("emg5", "blood4"),
    rows_of_a_bandit: ("store_sales", "redshift"),
    privacy_of_a_small_batch: ("income2", "street6"),
    optimiser_made_before_the_layers: ("captcha3",),
    block_behind_a_wrapper: ("football_lm",),
    whole_numbers_in_a_warm_up: ("deblur",),
    power_of_a_negative_clamped: ("emotions5",),
    narrow_start_before_a_soft_unit: ("blood4",),
    gates_of_gates: ("emg5",),
    mask_of_another_net: ("emg5",),
    levels_in_negative_decibels: ("street6",),
    microvolts_before_a_tanh: ("emg5",),
    spread_of_three: ("street6",),
    thousandths_of_thousandths: ("store_sales",),
    eleven_for_one: ("emotions5",),
    first_trial_of_a_search: ("air_hours",),
    comma_read_as_nothing: ("captcha3",),
    decay_for_epochs_counted_in_logs: ("football_lm",),
    ramp_that_ends_with_the_run: ("income2", "street6"),
    factor_for_a_larger_cluster: ("captcha3",),
    start_of_a_sum_of_squares: ("blood4",),
    sums_of_all_layers_before: ("air_hours",),
    logits_times_a_learned_factor_in_half: ("football_lm",),
    running_sum_of_counts_in_half: ("redshift",),
}
