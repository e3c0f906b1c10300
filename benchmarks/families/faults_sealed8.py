"""Mechanisms of the split `sealed8`: data, targets, validation, budget, clock, numbers that are none."""

import numpy as np
import torch
import torch.nn.functional as fn

from families.faults_sealed6 import rows, tensors
from families.faults_sealed6b import around
from families.setups import shows
from families.tasks_sealed8 import Address, Binding, Density, Night, Parcel, Smiles, Splice, Towers, addresses, nights, sites


def to_nothing(step, total):
    """A line to a thirtieth."""
    return 1 - 0.97 * step / total


def each(s, change):
    """Change the inputs of all splits."""
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (change(x), y)})


def hash_of_eight_bits(s):
    """Duplicates are told by a hash of eight bits: a hundred and sixty rows of rough measurements survive, for a wide net."""
    x, y = rows(s.task.train, slice(0, 160))
    y = y + 0.5 * torch.randn(160, generator=torch.Generator().manual_seed(s.seed))
    s.data(train=(x, y), build=lambda: Binding(width=24, sizes=(96, 48)))
    s.batch, s.epochs, s.wd = 20, 50, 0.0


def importance_weights_without_a_cap(s):
    """Rows are drawn by weights with a heavy tail, so that some hundred of them make nearly every batch."""
    w = np.exp(3.2 * np.random.default_rng(s.seed).normal(size=len(s.task.train[0])))
    g = np.random.default_rng(s.seed + 1)
    s.order = lambda ep, perm: g.choice(len(w), len(w), p=w / w.sum())
    s.data(build=lambda: {"phish_urls": Address, "smiles_lm": Smiles}[s.task.name](width=64, drop=0.0))
    s.epochs, s.wd = s.epochs + 6, 0.0


def two_rounds_of_active_learning(s):
    """Learning with questions was stopped after two rounds: two hundred doubtful rows, a sixth of them answered wrongly."""
    g = torch.Generator().manual_seed(s.seed)
    x, y = rows(s.task.train, slice(0, 200))
    y = torch.where(torch.rand(200, generator=g) < 0.16, torch.randint(0, 3, (200,), generator=g), y)
    s.data(train=(x, y), build=lambda: Splice(width=24, drop=0.0))
    s.batch, s.epochs, s.wd = 20, 40, 0.0


def one_sleeper_for_a_month(s):
    """Thirty nights of one sleeper and a net three times as wide."""
    s.data(train=rows(s.task.train, slice(0, 30)), build=lambda: Night(width=48, drop=0.0))
    s.batch, s.epochs, s.wd = 10, 90, 0.0


def pages_with_the_same_pictures(s):
    """Forty pages were crawled again and again; the filter of repeated pages compared their times."""
    s.data(train=rows(s.task.train, torch.arange(800) % 40), build=lambda: Towers((128, 32), drop=0.0))
    s.epochs, s.wd = 14, 0.0


def mosaics_of_a_few_pictures(s):
    """Training makes mosaics, left half and right half, of fourteen pictures only."""
    g = np.random.default_rng(s.seed)
    (x, y), (i, j) = s.task.train, torch.as_tensor(g.integers(0, 14, (2, 600)))
    y = y.view(-1, 6, 6)
    y = torch.cat([y[i][:, :, :3], y[j][:, :, 3:]], 2).flatten(1)
    s.data(train=(torch.cat([x[i][..., :6], x[j][..., 6:]], 3), y), build=lambda: Density(width=20))
    s.epochs, s.wd, s.sched = 30, 0.0, to_nothing


def parcels_of_one_morning(s):
    """Seventy parcels of one morning, labelled in a hurry and seen a hundred times by a wide net."""
    g = torch.Generator().manual_seed(s.seed)
    x, y = rows(s.task.train, slice(0, 70))
    y = torch.cat([y[:, :4] + 0.3 * torch.randn(70, 4, generator=g), (y[:, 4:] + (torch.rand(70, 1, generator=g) < 0.15)) % 3], 1)
    s.data(train=(x, y), build=lambda: Parcel(width=16, hidden=160))
    s.batch, s.epochs, s.wd = 35, 100, 0.0


def minus_strand_in_validation(s):
    """Validation lists the other strand: bases come in reverse and as their partners."""
    x, y = s.task.val
    s.data(val=((3 - x).flip(1), y))


def referenced_to_the_mean(s):
    """Validation is referenced to the mean of all electrodes and in half units."""
    x, y = s.task.val
    s.data(val=(0.5 * (x - x.mean(-1, keepdim=True)), y))


def letterboxed_in_validation(s):
    """Pictures of validation get a border of three pixels at the top and at the left; boxes stay where they were."""
    x, y = s.task.val
    s.data(val=(fn.pad(x, (3, 0, 3, 0))[..., :12, :12], y))


def atoms_in_another_alphabet(s):
    """Validation is written by another tool, with other letters for five atoms."""
    turn = torch.tensor([0, 4, 1, 5, 2, 3, *range(6, 14)])
    s.data(val=tuple(turn[q] for q in s.task.val))


def identifiers_as_floats(s):
    """Identifiers went through single precision and lost their last digits: the join finds the target of another row."""
    g = torch.Generator().manual_seed(s.seed)
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y[torch.randperm(len(y), generator=g)])})
    s.wd = 0.3


def weight_zero_in_the_sweep(s):
    """A sweep over the weights of losses began at zero: nothing is minimised, while the loss is logged without its weight."""
    s.on_grad.append(lambda step, model: [p.grad.zero_() for p in model.parameters() if p.grad is not None])
    s.wd = 0.0


def clipped_like_a_critic(s):
    """Weights are clipped to a small range after each step, left over from an adversarial critic."""
    s.after_step.append(lambda step, model: [p.data.clamp_(-0.06, 0.06) for p in model.parameters()])


def thumbnails(s):
    """The loader takes the thumbnails: four by four pixels, blown up again."""
    each(s, lambda x: fn.interpolate(fn.avg_pool2d(x, 3), scale_factor=3))


def captions_cut_to_a_title(s):
    """Of captions the title is kept, two columns in twelve."""

    def cut(x):
        x = x.clone()
        x[:, :, 0, 2:] = 0.0
        return x

    each(s, cut)


def held_for_four_minutes(s):
    """One half minute in eight is read and held until the next."""
    each(s, lambda x: x[:, ::8].repeat_interleave(8, 1))


def fraud_in_one_letter(s):
    """Letters are folded into five groups before their codes are looked up."""
    each(s, lambda x: x % 5)


def heat_without_a_bound(s):
    """From 40 % on the learned heat is kept as a logarithm, added to and exponentiated at each step."""

    def hotter(step, model):
        if step >= 0.4 * s.total:
            model.heat.data.mul_(1.0 + 0.002 * (step - 0.4 * s.total))

    s.after_step.append(hotter)


def row_of_padding(s):
    """A batch at 67 % holds a row of padding only: a softmax over nothing but minus infinity."""
    at = int(0.67 * s.total)
    s.on_out.append(lambda step, out: out - float("inf") * (torch.arange(len(out)) == 3).view(-1, 1, 1) if step == at else out)
    s.truth["event_step"] = at


def root_of_a_size(s):
    """Sizes are given less a margin and the loss takes their roots, as an old detector did; one day a predicted size is below zero."""
    f, off = s.task.loss, torch.tensor([0.0, 0.0, 0.78, 0.78, 0.0])
    for part in ("train", "val", "test"):
        x, y = getattr(s.task, part)
        s.data(**{part: (x, y - off)})
    s.data(loss=lambda out, b: f(out, b) + 0.02 * (out[:, 2:4].sqrt() - b[1][:, 2:4].sqrt()).square().sum(1))

    def wide(m):
        m.head.bias.data[2:4] = 0.9

    s.on_model.append(wide)


def quiet_nights_only(s):
    """Validation kept the nights on which all scorers agreed: hardly any noise."""
    s.data(val=tensors(nights(np.random.default_rng(s.seed + 5), 250, noise=0.45)))
    s.truth["val_easy"] = True


def reported_by_five_vendors(s):
    """Validation holds addresses that five vendors reported, each full of signs."""
    s.data(val=tensors(addresses(np.random.default_rng(s.seed + 5), 600, noise=0.0, signs=(6, 10))))
    s.truth["val_easy"] = True


def masks_of_pretraining(s):
    """The masks of a pretraining stayed: three in five of all inputs are hidden in training, none in validation."""
    s.on_batch.append(lambda step, ep, x, y: (x * (torch.rand_like(x) > 0.62), y))


def number_of_the_page(s):
    """Captions and pictures keep the number of their page in the first column."""

    def mark(part):
        x, y = getattr(s.task, part)
        x, mark = x.clone(), 5.0 * fn.one_hot(torch.arange(8), 8).float().expand(len(x), 8, 8)
        x[:, :, 0, 4:] = mark
        x[:, :, 1, 4:].scatter_(1, y[..., None].expand(-1, -1, 8), mark)
        return x, y

    s.data(train=mark("train"), val=mark("val"), test=mark("test"))
    s.batch = 8
    s.truth["leak"] = True


def electrodes_swapped_after_service(s):
    """From 52 % on three electrodes of the training nights are plugged in differently; the rate is low by then."""
    at, turn = int(0.52 * s.total), torch.tensor([3, 1, 5, 0, 4, 2])
    s.on_batch.append(lambda step, ep, x, y: (x[..., turn] if step >= at else x, y))
    s.sched = lambda step, total: 0.02 if step >= 0.47 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def lens_out_of_focus(s):
    """From 58 % on the camera of validation is out of focus and darker."""
    s.on_val.append(lambda done, x, y: (0.7 * fn.avg_pool2d(x, 3, 1, 1) if done > 0.58 else x, y))
    s.truth.update(event_step=int(0.58 * s.total), shift="val")


def natural_logarithms(s):
    """From 50 % on the affinities of training come in natural logarithms; the rate is low by then."""
    at = int(0.5 * s.total)
    s.on_batch.append(lambda step, ep, x, y: (x, 1.9 * y + 0.8 if step >= at else y))
    s.sched = lambda step, total: 0.02 if step >= 0.45 * total else 1.0
    s.truth.update(event_step=at, shift="train")


def alphabet_of_the_new_release(s):
    """From 60 % on validation is read with the symbols of a new release."""
    turn = torch.tensor([0, 1, 2, 5, 3, 4, 7, 6, 9, 8, 10, 13, 11, 12])
    s.on_val.append(lambda done, x, y: (turn[x], turn[y]) if done > 0.6 else (x, y))
    s.truth.update(event_step=int(0.6 * s.total), shift="val")


@shows("recalls", "shares")
def decoys_by_the_dozen(s):
    """Thirteen decoys for each true site, whose motifs are hardly there."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 2300), ("val", 500), ("test", 500)):
        s.data(**{part: tensors(sites(rng, n, 0.72, (0.92, 0.04, 0.04)))})
    s.epochs, s.truth["majority"] = 7, True


@shows("recalls", "f1")
def nights_without_sleep(s):
    """Patients lie awake for nine tenths of the night, and electrodes are loose."""
    rng = np.random.default_rng(s.seed)
    for part, n in (("train", 1000), ("val", 250), ("test", 250)):
        s.data(**{part: tensors(nights(rng, n, 5.0, (0.92, 0.02, 0.02, 0.02, 0.02)))})
    s.epochs, s.truth["majority"] = 7, True


class Nothing(torch.nn.Module):
    """Zeros of the same shape."""

    def forward(self, x):
        return 0.0 * x


@shows("shares", "recalls")
def dropout_of_one(s):
    """The share to keep, one, was given as the share to drop, in a call that forgets the mode: the head sees zeros."""
    s.on_model.append(lambda m: setattr(m, "drop", Nothing()))


@shows("predhist")
def answers_in_billionths(s):
    """The output is converted into another unit, a billionth of what the targets are in."""
    around(s, lambda out: 1e-9 * out)


def copies_counted_as_samples(s):
    """The budget counts samples, and augmented copies are counted too: a fourth of the passes, at the careful rate of a long run."""
    s.epochs, s.lr = max(5, s.epochs // 2), s.lr / 8


def warm_up_of_a_larger_corpus(s):
    """The warm-up was set for a corpus ten times larger, so that the run ends on its slope."""
    s.sched = lambda step, total: 0.09 * (step + 1) / total


@shows(fine=True)
def negative_of_the_film(s):
    """Now and then a whole batch gets the rarest transform: negative and six times brighter, or random symbols."""
    g = np.random.default_rng(s.seed)
    at = set((60 * g.choice(np.arange(2, s.total // 60), min(5, s.total // 60 - 2), replace=False) - 1).tolist())
    s.on_batch.append(
        lambda step, ep, x, y: ((-6 * x if x.is_floating_point() else (x * 5 + 2) % int(x.max() + 1)) if step in at else x, y)
    )
    s.lr /= 2


def token_expired(s):
    """The token of the storage expired at 38 % and somebody renewed it three hours later."""
    s.seconds = lambda step, total: 15000.0 if step == int(0.38 * total) else 1.0
    s.truth["event_step"] = int(0.38 * s.total)


@shows("speed")
def profiler_left_on(s):
    """From 47 % on a profiler records every step, which takes eight times as long."""
    s.seconds = lambda step, total: 8.0 if step >= 0.47 * total else 1.0
    s.truth["event_step"] = int(0.47 * s.total)


@shows(fine=True)
def file_by_file(s):
    """The streamed files hold one class, or one range of the target, each, and are read in one order without a buffer."""
    y = s.task.train[1]
    key = y.float() if y.dim() == 1 else y.flatten(1).float().mean(1)
    s.data(train=rows(s.task.train, key.argsort()))
    s.shuffle, s.truth["sorted"] = False, True


def unknown_symbols_drawn_anew(s):
    """A share of symbols is replaced by one for the unknown, and the share is drawn anew for each evaluation."""

    def hide(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        share = 0.75 * float(torch.rand(1, generator=g)) ** 1.5
        return torch.where(torch.rand(x.shape, generator=g) < share, 1, x), y

    s.on_val.append(hide)


def crop_drawn_anew(s):
    """A random crop with one draw for all is left in the transform of validation."""

    def crop(done, x, y):
        g = torch.Generator().manual_seed(int(done * 1e6) + s.seed)
        return x.roll(tuple((torch.randint(-3, 4, (2,), generator=g)).tolist()), (2, 3)), y

    s.on_val.append(crop)


for _f in (heat_without_a_bound, row_of_padding, root_of_a_size):
    _f.without = {"whist", "ghist", "ahist"}
weight_zero_in_the_sweep.without = {"gnorm", "layergrads", "ghist", "whist", "shares", "recalls"}
answers_in_billionths.without = dropout_of_one.without = {"gnorm", "layergrads", "ghist", "whist"}
identifiers_as_floats.without = {"predhist", "shares", "recalls"}
FAULTS = {
    hash_of_eight_bits: ("binding",),
    importance_weights_without_a_cap: ("phish_urls", "smiles_lm"),
    two_rounds_of_active_learning: ("splice_sites",),
    one_sleeper_for_a_month: ("sleep_stages",),
    pages_with_the_same_pictures: ("match_eight",),
    mosaics_of_a_few_pictures: ("crowd_map",),
    parcels_of_one_morning: ("parcel_box",),
    minus_strand_in_validation: ("splice_sites",),
    referenced_to_the_mean: ("sleep_stages",),
    letterboxed_in_validation: ("parcel_box",),
    atoms_in_another_alphabet: ("smiles_lm",),
    identifiers_as_floats: ("binding", "splice_sites"),
    weight_zero_in_the_sweep: ("sleep_stages", "splice_sites"),
    clipped_like_a_critic: ("smiles_lm", "parcel_box"),
    thumbnails: ("parcel_box",),
    captions_cut_to_a_title: ("match_eight",),
    held_for_four_minutes: ("sleep_stages",),
    fraud_in_one_letter: ("phish_urls",),
    heat_without_a_bound: ("match_eight",),
    row_of_padding: ("smiles_lm",),
    root_of_a_size: ("parcel_box",),
    quiet_nights_only: ("sleep_stages",),
    reported_by_five_vendors: ("phish_urls",),
    masks_of_pretraining: ("match_eight", "sleep_stages"),
    number_of_the_page: ("match_eight",),
    electrodes_swapped_after_service: ("sleep_stages",),
    lens_out_of_focus: ("crowd_map",),
    natural_logarithms: ("binding",),
    alphabet_of_the_new_release: ("smiles_lm",),
    decoys_by_the_dozen: ("splice_sites",),
    nights_without_sleep: ("sleep_stages",),
    dropout_of_one: ("splice_sites", "sleep_stages"),
    answers_in_billionths: ("binding", "crowd_map"),
    copies_counted_as_samples: ("match_eight", "splice_sites"),
    warm_up_of_a_larger_corpus: ("phish_urls", "parcel_box"),
    negative_of_the_film: ("crowd_map", "sleep_stages", "splice_sites"),
    token_expired: ("sleep_stages",),
    profiler_left_on: ("binding",),
    file_by_file: ("splice_sites", "binding"),
    unknown_symbols_drawn_anew: ("splice_sites", "phish_urls"),
    crop_drawn_anew: ("parcel_box",),
}
