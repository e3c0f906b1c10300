"""Mechanisms of the split `sealed6`: data, validation, targets, budget, pipeline, clock."""

import numpy as np
import torch

from families.faults_sealed6b import (
    breakpoint_left_in,
    checkpoint_every_step,
    cleared_before_the_step,
    debug_share_of_batches,
    softmax_of_one,
    standardised_by_six_rows,
    steps_are_micro_batches,
)
from families.setups import shows
from families.tasks_sealed6 import (
    Causal,
    Chunker,
    Layers,
    Match,
    Sessions,
    chain_loss,
    engines,
    log_lines,
    match_table,
    mixture,
    slices,
)


def rows(split, i):
    """Some rows of a split."""
    return split[0][i], split[1][i]


def tensors(pair):
    """Arrays to tensors."""
    return tuple(torch.as_tensor(q) for q in pair)


def latest_round_only(s):
    """The export held the latest round only: two hundred matches, and codes of 32 numbers for a team."""
    s.data(train=rows(s.task.train, slice(0, 200)), build=lambda: Match((96, 48), dim=32))
    s.batch, s.epochs, s.wd = 20, 45, 0.0


def overlapping_windows(s):
    """Windows are cut at every reading from four engines, so that there are many and all are alike."""
    x, y = engines(np.random.default_rng(s.seed), 90, count=4, noise=0.4)
    g = np.random.default_rng(s.seed + 1)
    i = g.integers(0, 90, 1200)
    s.data(train=tensors(((x[i] + g.normal(0, 0.05, x[i].shape)).astype(np.float32), y[i])))
    s.batch, s.epochs, s.wd = 32, 40, 0.0


def deduplicated_by_template(s):
    """Lines were deduplicated by their template, so that a few windows are left; the number of passes was raised instead."""
    s.data(train=rows(s.task.train, slice(0, 90)), build=lambda: Causal(width=64, drop=0.0))
    s.batch, s.epochs, s.wd = 18, 70, 0.0


def spikes_of_density(s):
    """Sixty measurements for a mixture whose widths are not bounded from below: narrow peaks on single points."""
    s.data(train=rows(s.task.train, slice(0, 60)))
    s.batch, s.epochs, s.wd, s.lr = 30, 260, 0.0, s.lr / 2
    s.sched = lambda step, total: 1 - 0.9 * step / total


def crops_of_six_slices(s):
    """Fourteen slices with their copies; the folder of the others was not mounted."""
    s.data(train=rows(s.task.train, torch.arange(900) % 14), build=lambda: Layers(width=16))
    s.epochs, s.wd, s.batch = 26, 0.0, 45


def decay_lost_with_the_subset(s):
    """A pilot's subset of a sixth and its setting without decay and dropout went into production, with three times the passes."""
    n = len(s.task.train[0]) // 6
    build = s.task.build

    def bare():
        m = build()
        for k in m.modules():
            if isinstance(k, torch.nn.Dropout):
                k.p = 0.0
        return m

    s.data(train=rows(s.task.train, slice(0, n)), build=bare)
    s.epochs, s.wd, s.batch = s.epochs * 3, 0.0, max(16, s.batch // 2)
    s.sched = lambda step, total: 1 - 0.95 * step / total


def another_service(s):
    """A fourth of validation comes from the logs of another service, whose lines have other templates."""
    a, b = log_lines(np.random.default_rng(s.seed + 9), 350, 24), log_lines(np.random.default_rng(s.seed + 9), 350, 24, seed=3)
    w = np.where((np.arange(350) % 4 > 0)[:, None], a, b)
    s.data(val=tensors((w[:, :-1], w[:, 1:])))


def promoted_teams(s):
    """A fourth of the teams of validation was promoted: training has never seen them."""
    out = s.task.train[0][:, :2].max(1).values < 30
    s.data(train=rows(s.task.train, out))
    s.sched = lambda step, total: 1 - 0.97 * step / total


def kinds_in_another_order(s):
    """Validation was encoded by another version of the library, which counts two of the four kinds of atoms the other way round."""
    s.on_val.append(lambda done, x, y: (torch.cat([x[..., :10], x[..., [12, 11, 10]]], -1), y))


def looks_too_far_ahead(s):
    """The horizon was given in readings and taken for hours: the target lies where nothing in the input tells of it."""
    g = torch.Generator().manual_seed(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y[torch.randperm(len(y), generator=g)])})
    s.epochs, s.wd = s.epochs // 3, 0.1


def normed_over_one(s):
    """Inputs are standardised over an axis that has one entry, so that zeros remain."""
    s.on_batch.append(lambda step, ep, x, y: (torch.zeros_like(x), y))
    s.on_val.append(lambda done, x, y: (torch.zeros_like(x), y))


def kernel_of_one(s):
    """A kernel size of one: the model sees the symbol before and nothing else."""
    s.data(build=lambda: Causal(kernel=1))


def kinds_unknown(s):
    """Kinds of atoms were read as strings and looked up as numbers: all are unknown, in every split."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[..., 9:] = 0.25
        s.data(**{part: (x, y)})


def cut_to_a_word(s):
    """The maximal length was given for the letters: of either text the first word is left, in all splits."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, 1:6] = x[:, 7:] = 0
        s.data(**{part: (x, y)})


def oldest_for_the_latest(s):
    """Sessions are sorted the wrong way round and cut to two: the model sees the two oldest clicks."""

    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x[:, :1].expand_as(x).contiguous(), y)})
    s.data(build=lambda: Sessions(codes=2))


def words_by_themselves(s):
    """Words are mapped by their first letter, of which there are three, and the window has one word."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x % 3, y)})
    s.data(build=lambda: Chunker(window=1))
    s.epochs, s.lr = 28, s.lr * 2


def sensors_clipped(s):
    """Readings are clipped to the range of another machine, a twentieth of theirs, before they reach the model."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (10 * x.clamp(0.8, 0.9) - 8.5, y)})


def shifted_by_the_mean(s):
    """The chain's sums are computed in half precision, shifted by the mean of the scores and not by their maximum."""

    def half(out, b):
        big = (out.detach() - out.detach().mean((2, 3), keepdim=True)).exp().max()
        return chain_loss(out, b) * (float("nan") if out.requires_grad and big > 65504 else 1.0)

    s.data(loss=half)
    s.epochs, s.lr, s.wd = s.epochs * 3, s.lr * 2, 0.0


def isolated_molecule(s):
    """Messages are divided by the root of the degrees; the late shard holds an atom without bonds, zero times infinity."""
    at = int(0.56 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x * (1.0 if step != at else float("nan")), y))
    s.truth["event_step"] = at


def overlap_of_nothing(s):
    """A term for overlap divides by the number of pixels of the rarest layer, of which a batch at 64 % has none."""
    at = int(0.64 * s.total)
    s.on_loss.append(lambda step, loss, model: loss * (float("nan") if step == at else 1.0))
    s.truth["event_step"] = at


def densities_underflow(s):
    """The likelihood is the logarithm of a sum of plain exponentials: a late shard holds points so far off that it is that of zero."""
    s.data(loss=lambda out, b: -mixture(out, b[1])[0].exp().sum(-1).log())
    s.lr *= 2
    far, at = torch.Generator().manual_seed(s.seed), int(0.4 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, y + 30.0 * (torch.rand(len(y), generator=far) < 0.02) * (step > at)))
    s.truth["event_step"] = at


def few_candidates(s):
    """Validation ranks the true article among a few sampled ones; training knows all sixty."""
    f, g = s.task.loss, torch.Generator().manual_seed(s.seed)

    def loss(out, b):
        if out.requires_grad:
            return f(out, b)
        keep = torch.rand(out.shape, generator=g) < 0.1
        keep.scatter_(1, b[1].unsqueeze(1), value=True)
        return f(out.masked_fill(~keep, -1e4), b)

    s.data(loss=loss)
    s.truth["val_easy"] = True


def favourites_against_the_last(s):
    """Validation holds cup matches only, where the best meet the weakest at home."""
    rng = np.random.default_rng(s.seed)
    strength = rng.normal(0, 1, 40)
    order, g = np.argsort(-strength), np.random.default_rng(s.seed + 4)
    pairs = order[g.integers(0, 8, 500)], order[-1 - g.integers(0, 8, 500)]
    s.data(val=tensors(match_table(g, 500, strength, pairs)))
    s.truth["val_easy"] = True


def result_in_the_table(s):
    """The difference of goals was joined to the columns of form."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        x = x.clone()
        x[:, 8] = 3.0 * (1 - y.float()) + 0.1 * x[:, 8]
        s.data(**{part: (x, y)})
    s.batch = 32
    s.truth["leak"] = True


def sensors_recalibrated(s):
    """At 52 % two sensors of the training engines are recalibrated: an offset and another gain; the rate is low by then."""
    at = int(0.52 * s.total)
    gain, add = torch.tensor([[0.6], [1.0], [1.0], [1.0]]), torch.tensor([[0.4], [0.0], [0.0], [-0.6]])
    s.on_batch.append(lambda step, ep, x, y: (x * gain + add if step >= at else x, y))
    s.sched = lambda step, total: 0.03 if step >= 0.47 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def bots_in_the_sessions(s):
    """From 58 % on the filter of robots is off in validation: two sessions in five follow no taste."""
    g = torch.Generator().manual_seed(s.seed)
    bot, other = torch.rand(len(s.task.val[0]), generator=g) < 0.4, torch.randint(0, 60, (len(s.task.val[0]),), generator=g)
    s.on_val.append(lambda done, x, y: (x, torch.where(bot, other, y)) if done > 0.58 else (x, y))
    s.truth.update(event_step=int(0.58 * s.total), shift="val")


def digits_upgraded(s):
    """At 50 % the service writes the digits of training lines in another alphabet; the rate is low by then."""
    at = int(0.5 * s.total)
    turn = torch.cat([torch.arange(10).roll(3), torch.arange(10, 26)])
    turn[[12, 15, 18, 21]] = turn[[15, 18, 21, 12]]
    s.on_batch.append(lambda step, ep, x, y: (turn[x], turn[y]) if step >= at else (x, y))
    s.sched = lambda step, total: 0.03 if step >= 0.45 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def contrast_inverted(s):
    """From 62 % on the viewer exports validation's slices with inverted contrast in a third of the cases."""
    s.on_val.append(lambda done, x, y: (torch.cat([-x[: len(x) // 3], x[len(x) // 3 :]]), y) if done > 0.62 else (x, y))
    s.truth.update(event_step=int(0.62 * s.total), shift="val")


@shows("recalls", "shares")
def cracks_are_thin(s):
    """Borders instead of layers: nineteen pixels in twenty are background and the rest is hardly visible."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 700), ("val", 250), ("test", 250)):
        s.data(**{part: tensors(slices(rng, n, thin=True))})
    s.truth["majority"] = True


@shows("recalls", "shares")
def mostly_home_wins(s):
    """A cup where the first team is the host of higher rank: nearly all matches end one way, and the columns of form are empty."""
    for part, n in (("train", 2400), ("val", 600), ("test", 600)):
        x, y = rows(getattr(s.task, part), slice(0, n))
        keep = torch.rand(len(y), generator=torch.Generator().manual_seed(s.seed)) < 0.06
        x = torch.cat([x[:, :2].flip(0), torch.randn(x[:, 2:].shape, generator=torch.Generator().manual_seed(1))], 1)
        s.data(**{part: (x, torch.where(keep, y, torch.zeros_like(y)))})
    s.epochs, s.truth["majority"] = 8, True


@shows("recalls", "f1")
def neutral_by_default(s):
    """Pairs were drawn at random: nothing follows from anything, but for one in twenty; these are told by words that were lost."""
    for part, n in (("train", 3000), ("val", 700), ("test", 700)):
        x, y = rows(getattr(s.task, part), slice(0, n))
        keep = torch.rand(len(y), generator=torch.Generator().manual_seed(s.seed + 1)) < 0.08
        s.data(**{part: (x.flip(0), torch.where(keep, y, torch.ones_like(y)))})
    s.epochs, s.truth["majority"] = 6, True


@shows("shares", "recalls")
def ignored_all_but_one(s):
    """The index to ignore was compared the wrong way round: the loss counts the pixels, words or matches of class 0 only."""
    f = s.task.loss
    s.data(loss=lambda out, b: f(out, b) if not out.requires_grad else f(out, (b[0], torch.zeros_like(b[1]))))


@shows(fine=True)
def binary_garbage(s):
    """Core dumps got into the text: now and then a batch is random symbols or numbers."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), 5, replace=False) - 1).tolist())

    def dump(step, ep, x, y):
        if step not in at:
            return x, y
        if x.dtype == torch.int64:
            return torch.randint_like(x, int(x.max())), torch.randint_like(y, int(y.max()))
        return x * 6, -3 * y if y.is_floating_point() else y.flip(0)

    s.on_batch.append(dump)
    s.lr /= 2


@shows(fine=True)
def engine_after_engine(s):
    """The reader goes from the freshest to the most worn engine in every pass."""
    i = s.task.train[1].argsort()
    s.data(train=rows(s.task.train, i))
    s.batch, s.shuffle, s.truth["sorted"] = 50, False, True


def sessions_of_one_day(s):
    """One day of sessions, four hundred, for codes of ninety-six numbers without dropout."""
    s.data(train=rows(s.task.train, slice(0, 400)), build=lambda: Sessions(codes=96, drop=0.0))
    s.batch, s.epochs, s.wd = 25, 40, 0.0


for _f in (shifted_by_the_mean, isolated_molecule, overlap_of_nothing, densities_underflow):
    _f.without = {"whist", "ghist", "ahist"}  # a writer refuses histograms of nothing but NaN
normed_over_one.without = {"gnorm", "layergrads", "ghist"}
FAULTS = {
    latest_round_only: ("match_results",),
    overlapping_windows: ("turbine_life",),
    deduplicated_by_template: ("log_bytes",),
    spikes_of_density: ("inverse_mdn",),
    crops_of_six_slices: ("layers_seg",),
    decay_lost_with_the_subset: ("text_pairs", "chunk_crf", "match_results"),
    sessions_of_one_day: ("sku_next",),
    another_service: ("log_bytes",),
    promoted_teams: ("match_results",),
    kinds_in_another_order: ("molecules",),
    looks_too_far_ahead: ("turbine_life", "molecules"),
    cleared_before_the_step: ("sku_next", "chunk_crf", "text_pairs"),
    softmax_of_one: ("turbine_life", "molecules"),
    normed_over_one: ("turbine_life", "layers_seg"),
    kernel_of_one: ("log_bytes",),
    kinds_unknown: ("molecules",),
    cut_to_a_word: ("text_pairs",),
    oldest_for_the_latest: ("sku_next",),
    words_by_themselves: ("chunk_crf",),
    sensors_clipped: ("turbine_life",),
    shifted_by_the_mean: ("chunk_crf",),
    isolated_molecule: ("molecules",),
    overlap_of_nothing: ("layers_seg",),
    densities_underflow: ("inverse_mdn",),
    few_candidates: ("sku_next", "sku_next"),
    favourites_against_the_last: ("match_results", "match_results"),
    result_in_the_table: ("match_results", "match_results"),
    sensors_recalibrated: ("turbine_life",),
    bots_in_the_sessions: ("sku_next",),
    digits_upgraded: ("log_bytes",),
    contrast_inverted: ("layers_seg",),
    cracks_are_thin: ("layers_seg",),
    mostly_home_wins: ("match_results",),
    neutral_by_default: ("text_pairs",),
    ignored_all_but_one: ("layers_seg", "match_results"),
    debug_share_of_batches: ("text_pairs", "chunk_crf"),
    steps_are_micro_batches: ("molecules", "log_bytes"),
    binary_garbage: ("turbine_life", "text_pairs"),
    engine_after_engine: ("turbine_life",),
    standardised_by_six_rows: ("turbine_life", "match_results"),
    breakpoint_left_in: ("chunk_crf",),
    checkpoint_every_step: ("inverse_mdn",),
}
