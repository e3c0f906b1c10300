"""Mechanisms of the split `sealed20`: answers of one kind, what is said of them, floors of the loss, orders of rows, looks, levels."""

import torch

from families.faults_sealed6 import rows
from families.faults_sealed6b import around
from families.faults_sealed10 import each, grads
from families.faults_sealed15 import drawn
from families.faults_sealed15c import anew
from families.faults_sealed20 import descent, noisier
from families.setups import shows
from families.tasks_sealed20 import census, muscles, smears, tweets


@shows("shares", "recalls")
def prior_of_the_world_added(s):
    """When judged, the logarithm of how frequent moods are in the world is added, from a table of counts and not of shares."""
    k = torch.tensor([0.0, 0.0, 0.0, 0.0, 17.0])
    around(s, lambda out: out + k, "eval")


@shows("shares", "recalls")
def price_of_a_missed_blast(s):
    """Missing one kind of cell was given a price of thousands, as a ratio of lives and not of rows."""
    f, w = s.task.loss, torch.tensor([0.001, 4.0, 0.001, 0.001])
    s.data(loss=lambda out, b: w[b[1]] * f(out, b) if torch.is_grad_enabled() else f(out, b))


@shows("shares", "recalls")
def cut_off_for_a_mailing(s):
    """When judged, the cut-off of a mailing, at the best in ten thousand, is taken off: nobody earns much."""
    around(s, lambda out: out - 14.0, "eval")


@shows("predhist")
def answer_held_between_limits(s):
    """What comes out is held within limits that are those of an error and not of the figure itself."""
    around(s, lambda out: out.clamp(-0.02, 0.02))


@shows("recalls", "f1")
def hardly_anyone_is_rich(s):
    """Six in a hundred earn much in this district, and the form was filled in by someone else."""
    anew(s, lambda g, n: census(g, n, -6.5, 3.0), (2200, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


@shows("recalls", "shares")
def hand_at_rest(s):
    """Nine in ten windows are of a hand at rest, through a thick sleeve."""
    anew(s, lambda g, n: muscles(g, n, 1.5, (0.025, 0.025, 0.9, 0.025, 0.025), 0.25), (1300, 350, 350))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


@shows("recalls", "shares", "conf")
def mostly_neutral(s):
    """Nine in ten texts are in no mood, and hardly a word tells."""
    anew(s, lambda g, n: tweets(g, n, 0.0, (0.025, 0.025, 0.025, 0.025, 0.9), 0.05), (2200, 450, 450))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


@shows("recalls", "shares")
def blood_of_the_healthy(s):
    """Blood of healthy people: nine in ten white cells are of one kind; the focus is poor."""
    anew(s, lambda g, n: smears(g, n, 2.6, (0.9, 0.04, 0.03, 0.03)), (1150, 350, 350))
    s.epochs, s.lr, s.truth["majority"] = 9, s.lr / 6, True


def sum_over_the_pitch(s):
    """The loss of an attack is the sum over its touches and is logged so."""
    f = s.task.loss
    s.data(loss=lambda out, b: 18.0 * f(out, b))
    s.truth["start_factor"] = 18.0


def kinds_weighted_by_all_rows_over_their_own(s):
    """Each row is weighted by all rows over those of its kind, without dividing by the number of kinds or the sum of weights."""
    f = s.task.loss
    s.data(loss=lambda out, b: 5.0 * f(out, b))
    s.truth["start_factor"] = 5.0


def eight_smears_on_the_table(s):
    """Validation looks at eight smears that lie at hand, others each time."""
    s.val_rows, s.truth["val_few"] = 8, True


@shows("conf", "shares")
def votes_mixed_with_a_coin(s):
    """Probabilities are mixed half and half with a coin of five sides, for safety, before the logarithm."""
    around(s, lambda out: (0.35 * out.softmax(-1) + 0.13).log())


@shows("conf", "shares")
def logits_of_eight_checkpoints_added(s):
    """When judged, logits of eight saved states are added and not averaged; the band was loose."""
    around(s, lambda out: 8.0 * out, "eval")
    noisier(s, 1.2)
    s.wd = 0.0


def tax_paid_on_the_earnings(s):
    """One of the figures is the tax on what is earned."""

    def tax(x, y):
        x = x.clone()
        x[:, 3] = 6 * y - 3
        return x, y

    each(s, tax)
    s.lr, s.truth["leak"] = 2 * s.lr, True


@shows("conf")
def moods_clicked_for_a_cent(s):
    """Moods were clicked for a cent each; nearly a half was clicked at random, in validation as well."""
    g = drawn(s)

    def clicked(x, y):
        return x, torch.where(torch.rand(len(y), generator=g) < 0.5, torch.randint(0, 5, y.shape, generator=g), y)

    each(s, clicked, "train", "val")
    s.truth["noise"], s.wd, s.epochs = 0.4, 0.1, 9


@shows(fine=True)
def gesture_after_gesture(s):
    """Windows are read gesture by gesture in each pass, as they were recorded."""
    s.data(train=rows(s.task.train, s.task.train[1].argsort(stable=True)))
    s.shuffle, s.truth["sorted"] = False, True


@shows("gnorm", "text")
def limit_per_element_of_a_batch(s):
    """The limit on slopes was divided by the rows of a batch although the loss is a mean; plain descent."""
    descent(s)
    s.clip = {"blood4": 0.006, "air_hours": 0.003}[s.task.name]


@shows("wnorm")
def adapters_merged_at_each_save(s):
    """What adapters learned is merged into the weights at each save and not taken off: weights are longer by a fifth each time."""
    per = s.steps_per_epoch

    def merge(step, model):
        if (step + 1) % per == 0 and step > 0.1 * s.total:
            for p in model.parameters():
                p.data.mul_(1 + 2.4 / s.epochs)

    s.after_step.append(merge)
    s.truth["grow"] = True


def threshold_of_a_patience_in_whole_units(s):
    """A scheduler counts only gains of a whole unit as such, so that the rate, not logged, is cut from look to look."""
    at = {"emg5": 0.05, "football_lm": 0.06, "street6": 0.1}[s.task.name]
    s.sched = lambda step, total: 1.0 if step < at * total else 0.025 * 0.1 ** int(3 * (step / total - at))


def only_large_slopes_are_sent(s):
    """Slopes under a threshold are not sent to the server, to save traffic, and are forgotten: soon nothing is sent; plain descent."""
    k = {"air_hours": 0.02, "store_sales": 0.05}[s.task.name]
    descent(s, 0.5, 0.0)

    def sent(step, m):
        for g in grads(m):
            g.mul_(g.abs() > k)

    s.on_grad.append(sent)


def features_stored_after_the_first_pass(s):
    """Features were stored after a first pass to save time; from then on the head alone goes on, on what was stored."""
    kept, at = [], int({"captcha3": 0.08, "blood4": 0.04}[s.task.name] * s.total)

    def hold(step, model):
        body = list(model.parameters())[:-2]
        if step == at:
            kept.extend(p.detach().clone() for p in body)
        for p, w in zip(body, kept, strict=bool(kept)):
            p.data.copy_(w)

    s.after_step.append(hold)


def last_sign_is_cut_off(s):
    """Strips are cut to the width of the old captchas: the last sign is not on them."""
    each(s, lambda x, y: (torch.cat([x[:, :, :14], 0 * x[:, :, 14:]], 2), y))
    s.epochs, s.sched = int(1.5 * s.epochs), lambda step, total: max(0.02, 1 - 1.3 * step / total)


def half_of_the_tags_by_chance(s):
    """Three of the six tags were merged in from a list of other clips."""
    g = drawn(s)
    each(s, lambda x, y: (x, torch.cat([y[:, :3], y[torch.randperm(len(y), generator=g), 3:]], 1)))


for _f in (threshold_of_a_patience_in_whole_units, only_large_slopes_are_sent, features_stored_after_the_first_pass):
    _f.without = {"lr", "whist", "ghist", "layergrads", "gnorm"}
answer_held_between_limits.without = {"gnorm", "layergrads", "ghist", "wnorm", "whist"}
FAULTS = {
    prior_of_the_world_added: ("emotions5",),
    price_of_a_missed_blast: ("blood4",),
    cut_off_for_a_mailing: ("income2",),
    answer_held_between_limits: ("redshift",),
    hardly_anyone_is_rich: ("income2",),
    hand_at_rest: ("emg5",),
    mostly_neutral: ("emotions5",),
    blood_of_the_healthy: ("blood4",),
    sum_over_the_pitch: ("football_lm",),
    kinds_weighted_by_all_rows_over_their_own: ("emotions5", "emg5"),
    eight_smears_on_the_table: ("blood4", "captcha3"),
    votes_mixed_with_a_coin: ("emg5",),
    logits_of_eight_checkpoints_added: ("emg5",),
    tax_paid_on_the_earnings: ("income2",),
    moods_clicked_for_a_cent: ("emotions5",),
    gesture_after_gesture: ("emg5",),
    limit_per_element_of_a_batch: ("blood4", "air_hours"),
    adapters_merged_at_each_save: ("emotions5", "store_sales"),
    threshold_of_a_patience_in_whole_units: ("emg5", "football_lm", "street6"),
    only_large_slopes_are_sent: ("air_hours", "store_sales"),
    features_stored_after_the_first_pass: ("captcha3", "blood4"),
    last_sign_is_cut_off: ("captcha3",),
    half_of_the_tags_by_chance: ("street6",),
}
