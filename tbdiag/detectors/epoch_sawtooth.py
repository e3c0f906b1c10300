"""The training loss repeats a pattern every epoch: it drops at the boundaries and does not fall in between.

What it means
    Either the data come in the same order every epoch (sorted, not reshuffled), so that the loss shows which part is on; or the
    model has memorised the samples and gains at the moment when it meets them again.

Why it matters
    Ordered data make gradients one-sided and learning slow or unstable; memorisation is overfitting in the making.

How it is told
    The training loss is folded at the epoch boundaries (from the epoch tag or the spacing of evaluations), at least four
    epochs. Order: the phase within the epoch explains more than a fifth of the variance left after trend (F ratio above 6),
    with eight points an epoch or more, and the step at the boundary exceeds 3 standard errors with the same sign at 80 % of
    the boundaries and is taken back within the epoch by a fifth at least (or the phase explains more than half, or makes
    more of a difference than the whole run gains, with an F ratio above 12); stairs that only lead down are none. With three to eight points an epoch the place
    in the epoch must explain a third of the variance of the loss or of its logarithm, with an F ratio that chance makes once in a
    hundred thousand times, and its levels lie as far apart as half the level of the loss (half of what was gained, for losses below zero; a fifth
    where it explains three quarters), a tenth of the points at either end taken for spikes.
    A pattern of less than 3 % of the loss (6 % where validation keeps up with training) is nobody's trouble.
    Memorisation: the loss drops by more than 4 standard errors at 80 % of the boundaries, these drops make up more than 60
    % of what was gained, within epochs the loss does not fall, and validation, where it is logged, ends behind training by
    15 % of the gain or more. Where both tell and the jumps are next to nothing over the first eighth of the boundaries, it is
    memorisation: an order of the data is there from the second epoch on.

First check
    Is the sampler reshuffled every epoch, with a new seed?

First action
    Reshuffle every epoch with a new seed (shuffle=True, sampler.set_epoch). Where the loss falls only at the boundaries: regularise, by a
    tenth more dropout, once the first check says that the data are reshuffled.

Success rule
    The noise around the running median is at most 0.7 of this run's; for memorised samples: the best validation loss is no worse, and the
    pattern is not found again.

Not to be confused with
    running means that restart at each epoch (recognised by their noise, which falls within each epoch), schedules stepped per epoch, instability.

Limits
    Needs epoch boundaries and a loss that is logged several times an epoch.

Sources
    Epochal sawtooth effect (arXiv 2410.10056); share of variance corrected for chance, simulated below 0.15 without a pattern.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    SUPERVISED,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._words import label, say, schedule
from tbdiag.features import CurveFacts
from tbdiag.model import Run
from tbdiag.roles.words import tokenize
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, estimate_noise, mad, median, running_median
from tbdiag.stats.periodicity import Fold, Int64, explain_by_phase, find_growth, fold_at

_AVERAGES = frozenset({"avg", "average", "averaged", "mean"})
"""Words of a loss that may be a mean since the epoch began: it steps down where the next epoch begins, whatever is learned."""


def detect(view: View) -> Finding | NotApplicable | None:
    """Fold the training loss at epoch boundaries."""
    train, ends = view.curve("train_loss"), view.signals.epoch_steps
    if train is None or ends is None or ends.size < 4:
        return NotApplicable("fewer than four epoch boundaries are known", ("epoch",))
    if train.signal.writer.running_mean:
        return NotApplicable("the writer logs a mean since the epoch began")
    ends = ends[(ends >= train.step[0]) & (ends < train.step[-1])]
    if ends.size > 400:
        ends = ends[:: ends.size // 200]
    pick = slice(0, None, max(1, train.n // 20_000))
    if _means_since_epoch(train.step[pick], train.cost[pick], ends):
        return NotApplicable("the loss looks like a mean since the epoch began: it calms down within each epoch")
    coarse = _coarse(view, train, ends)
    if coarse is not None:
        return coarse
    fold = fold_at(train.step[pick], train.cost[pick], ends + 1)
    if fold is None or fold.jumps.size < 3:
        return None
    points = train.n / (ends.size + 1)
    # Jumps that shrink as learning goes on vary by themselves; what they vary by chance is the noise of the means on either side.
    chance = (
        1.5
        * min(train.sigma, _noise_within(train.cost[pick], np.searchsorted(train.step[pick], ends + 1)))
        * float(np.sqrt(2 / max(0.2 * points, 1.0)))
    )
    # A handful of jumps may agree with each other by luck.
    error = max(min(fold.error, chance) if fold.jumps.size >= 6 else chance, 1e-12)
    gain = max(train.start_cost - train.end_cost, 1e-12)
    # A descent falls within epochs and hardly steps between them; a sawtooth goes back at the boundary. Where it only steps down and stands
    # in between, samples are met again: `memory` judges that.
    abrupt = (
        fold.share >= view["share"]
        and abs(fold.jump) > view["jump_errors"] * error
        and -fold.inner * np.sign(fold.jump) > 0.2 * abs(fold.jump)
    )
    pattern = fold.explained > view["explained"] and fold.strength > view["strength"]
    # So little is nobody's trouble, however regular it is.
    least = view["least_generalising" if _generalises(view, train, gain) else "least"]
    matters = max(abs(fold.jump), fold.amplitude) > least * (gain if train.signed else abs(train.end_cost))
    order = (
        points >= 8
        and matters
        and pattern
        and (abrupt or (fold.strength > 2 * view["strength"] and (fold.explained > 0.5 or fold.amplitude > gain)))
        and not _slow(fold, gain)
        and not _steps_down(fold)
    )
    memory = (
        fold.jump < -view["drop_errors"] * error
        and (fold.explained > 0.3 or fold.jumps.size >= 16)  # the spread of few jumps is itself uncertain
        and fold.share >= view["share"]
        and -float(fold.jumps.sum()) > view["drops_of_gain"] * gain
        and fold.inner > 0.25 * fold.jump
        and -fold.jump > view["least"] * abs(train.end_cost)
        and points >= 5
        and not _generalises(view, train, gain)
        and _AVERAGES.isdisjoint(tokenize(train.name))
    )
    if not order and not memory:
        return None
    grown = find_growth(fold, view["at_first"]) if memory else None
    order = order and grown is None  # an order is there at once
    evidence = say(
        f"Across an epoch boundary the {label(train)} changes by {{jump:.3g}} (standard error {{error:.2g}}), with the same sign at {{share:.0%}} of "
        "{count} boundaries; within epochs by {inner:.3g}. The place in the epoch explains {explained:.0%} of the variance.",
        (train,),
        jump=fold.jump,
        error=error,
        share=fold.share,
        count=fold.jumps.size,
        inner=fold.inner,
        explained=fold.explained,
    )
    onset, grew = Interval(int(train.step[0]), int(ends[0])), None
    if grown is not None:
        onset = Interval(int(ends[grown.first]), int(ends[grown.last]))
        more = "Over the first {early} boundaries that change is {at_first:.2g} on average, later up to {later:.2g}: a fixed order is there at once."
        grew = say(more, (train,), early=grown.early, at_first=grown.at_first, later=grown.later)
    margin = (
        min(fold.explained / view["explained"], fold.strength / view["strength"]) if order else -fold.jump / (view["drop_errors"] * error)
    )
    return _finding(
        view,
        train,
        onset,
        (evidence, grew) if grew is not None else (evidence,),
        sure=confidence(margin, supports=int(order and fold.jumps.size >= 6)),
        title=f"Epoch sawtooth: the {label(train)} "
        + (
            f"moves by {fold.amplitude:.2g} with the place in the epoch"
            if order and not abrupt
            else f"steps by {fold.jump:.2g} at the epoch boundaries and does not fall in between"
        ),
        order=order,
    )


def _noise_within(cost: Float64, starts: Int64) -> float:
    """Noise of what is left of the epochs once their means are taken off: the steps between them pass for autocorrelated noise."""
    return estimate_noise(np.concatenate([part - part.mean() for part in np.split(cost, starts) if part.size])).sigma


def _generalises(view: View, train: CurveFacts, gain: float) -> bool:
    """Whether validation came nearly as far as training: what is memorised on the way is nobody's trouble."""
    val = view.curve("val_loss")
    return val is not None and val.n >= 4 and val.sign == train.sign and val.end_cost - train.end_cost < view["behind"] * gain


def _coarse(view: View, train: CurveFacts, ends: Int64) -> Finding | None:
    """Three to eight points an epoch: too few for a shape, enough to see that the place in the epoch decides what the loss is."""
    if not 3 <= train.n / (ends.size + 1) < 8 or ends.size < 8:
        return None
    plan = schedule(view)
    # A tenth of the points may be spikes: they say nothing of a place that is met in every epoch. What falls by half of its level and more
    # takes the pattern down with it; in logarithms it keeps its size.
    calm = np.clip(train.cost, *np.quantile(train.cost, (0.1, 0.9)))
    phases = [(explain_by_phase(train.step, calm, ends), train.start_cost - train.end_cost if train.signed else abs(median(train.cost)))]
    if not train.signed and float(train.cost.min()) > 0:
        phases.append((explain_by_phase(train.step, np.log(train.cost), ends), 1.0))
    known = [(p, scale) for p, scale in phases if p is not None]
    if not known or (plan is not None and plan.cyclic):
        return None
    found, scale = max(known, key=lambda x: x[0].explained)
    folds = found is not known[0][0]
    apart = view["apart"] if found.explained < view["nearly_all"] else view["apart_nearly_all"]
    margins = (
        found.explained / view["explained_coarsely"],
        np.log(max(found.chance, 1e-300)) / np.log(view["chance"]),
        found.amplitude / max(apart * scale, 1e-12),
    )
    if min(margins) < 1:
        return None
    high = float(np.exp(found.amplitude)) if folds else found.amplitude
    evidence = say(
        f"The place in the epoch explains {{explained:.0%}} of the variance of the {label(train)}: its levels there lie "
        + ("a factor of {amplitude:.3g}" if folds else "{amplitude:.3g}")
        + " apart, the same in each of {epochs} epochs.",
        (train,),
        explained=found.explained,
        amplitude=high,
        epochs=ends.size,
    )
    title = f"Epoch sawtooth: the {label(train)} repeats a pattern {'of a factor of ' if folds else ''}{high:.2g}{'' if folds else ' high'} in every epoch"
    onset = Interval(int(train.step[0]), int(ends[0]))
    return _finding(view, train, onset, (evidence,), sure=confidence(*margins), title=title, order=True)


def _finding(
    view: View, train: CurveFacts, onset: Interval, evidence: tuple[Evidence, ...], *, sure: float, title: str, order: bool
) -> Finding:
    residual = mad(train.value[:20_000] - running_median(train.value[:20_000], 21))
    causes = (
        Cause("The data are sorted and come in the same order every epoch", "the place in the epoch predicts the loss" if order else ""),
        Cause("The samples are memorised over many epochs", "" if order else "the loss falls only when they come again"),
        Cause("A statistic or the schedule is reset at each epoch"),
    )
    calm = predicate("train_loss", "residual_sd", "<=", 0.7 * residual if residual > 0 else 0.0, source="0.7 of this run's")
    rule = SuccessRule(all=(calm,), sentence=f"The {label(train)} scatters around its running median by at most {0.7 * residual:.3g}.")
    val = view.curve("val_loss")
    if not order and val is not None and val.n >= 4:
        as_good = predicate(
            "val_loss", "best", "<=" if val.sign > 0 else ">=", val.best, sd_times=2.0 * val.sign, source="best(val_loss) of this run"
        )
        rule = SuccessRule(
            all=(as_good,), sentence=f"The {label(val)} gets as good as {val.best:.4g}, and this pattern is not found again."
        )
    return Finding(
        id="epoch-sawtooth",
        severity=Severity.WARNING,
        confidence=sure,
        title=title,
        onset=onset,
        extent=Interval(int(train.step[0]), int(train.step[-1])),
        evidence=evidence,
        causes=causes if order else (causes[1], causes[0], causes[2]),
        first_check="Is the sampler reshuffled every epoch, with a new seed?",
        first_action="Reshuffle every epoch with a new seed (shuffle=True, sampler.set_epoch)."
        if order
        else "Regularise: raise the dropout by 0.1 (or add one of 0.1) and rerun otherwise unchanged, once the first check says that the data are reshuffled.",
        fixes=("Check that classes are mixed within batches", "Augment the data, or train for fewer epochs", "Raise the optimiser's beta2"),
        success_rule=rule,
        phase=CURVES,
        roles=("train_loss",),
    )


def _means_since_epoch(step: Int64, value: Float64, ends: Int64) -> bool:
    """Whether the curve calms down within each epoch as a cumulative mean does, whose i-th step is a mere i-th of the noise."""
    epoch = np.searchsorted(ends, step)
    begins = np.searchsorted(epoch, epoch, side="left")
    length = np.searchsorted(epoch, epoch, side="right") - begins
    place = (np.arange(step.size) - begins) / length
    moves = np.abs(np.diff(value, prepend=value[:1]))
    inside = (np.arange(step.size) > begins) & (length >= 8)
    early, late, last = (moves[inside & part] for part in (place < 0.25, place > 0.6, place > 0.85))
    # Rows in order may stand still for a while; a mean of all that came before cannot leave where it stands at the epoch's end.
    return early.size >= 8 and late.size >= 8 and median(early) > 3 * max(median(late), median(last) if last.size else 0.0)


def _slow(fold: Fold, gain: float) -> bool:
    """Whether the pattern is only the descent itself, which is steeper at the beginning of the run."""
    return -fold.inner * (fold.jumps.size + 1) > 0.5 * gain and fold.jump <= 0 and fold.explained < 0.5 and fold.amplitude < gain


def _steps_down(fold: Fold) -> bool:
    """Whether the pattern is the fall at the boundaries, which epochs do not take back: stairs of samples met again, once the trend is off."""
    return fold.jump < -0.5 * fold.amplitude and -fold.inner * np.sign(fold.jump) <= 0.2 * abs(fold.jump)


def _run(pattern: Float64, epochs: int, seed: int, fall: float = 0.4) -> Run:
    n = pattern.size * epochs
    rng = np.random.default_rng(seed)
    loss = 2.3 - fall * np.linspace(0, 1, n) + np.tile(pattern, epochs) + rng.normal(0, 0.03, n)
    epoch = np.repeat(np.arange(epochs), pattern.size) + np.tile(np.arange(1, pattern.size + 1) / pattern.size, epochs)
    return _synth.make_run({"train/loss": loss, "train/epoch": epoch})


def _sorted() -> Run:
    return _run(np.asarray(0.2 * np.sin(np.linspace(0, 2 * np.pi, 25)) + np.linspace(0, 0.2, 25)), 12, 161)


def _sorted_coarse() -> Run:
    return _run(np.array([0.5, 0.0, -0.3, 0.9]), 14, 166, fall=0.8)


def _fixed_order() -> Run:
    return _run(np.array([0.05, -0.1, 0.12, -0.07]), 14, 167, fall=0.8)


def _memorised() -> Run:
    rng = np.random.default_rng(162)
    loss = np.repeat(2.0 * 0.7 ** np.arange(10), 40) + rng.normal(0, 0.03, 400)
    epoch = np.arange(1, 401) / 40
    return _synth.make_run({"train/loss": loss, "train/epoch": epoch})


def _learned_by_heart() -> Run:
    """Reshuffled samples that are forgotten within each epoch once they are known: the loss rises within it and drops where it begins anew."""
    rng = np.random.default_rng(168)
    place, known = np.tile(np.linspace(-0.5, 0.5, 40), 60), np.clip((np.arange(2400) - 600) / 800, 0, 1)
    loss = 2.3 - 1.6 * np.linspace(0, 1, 2400) + 0.3 * known * place + rng.normal(0, 0.03, 2400)
    return _synth.make_run({"train/loss": loss, "train/epoch": np.arange(1, 2401) / 40})


def _stairs() -> Run:
    """Four epochs of a fine-tuning: each stands at half of the loss of the one before."""
    i = np.arange(160)
    loss = np.where(i < 40, 0.28 + 1.1 * np.exp(-i / 3.6), 0.28 * 0.5 ** (i // 40)) * np.exp(np.random.default_rng(98).normal(0, 0.1, 160))
    return _synth.make_run({"train/loss": loss, "train/epoch": (i + 1) / 40})


def _shuffled() -> Run:
    return _run(np.zeros(25), 12, 163)


def _fast() -> Run:
    rng = np.random.default_rng(164)
    return _synth.make_run(
        {"train/loss": _synth.decay(200, 2.3, 0.2, 6.0) + rng.normal(0, 0.03, 200), "train/epoch": np.arange(1, 201) / 20}
    )


def _running_means() -> Run:
    rng = np.random.default_rng(165)
    raw = _synth.decay(600, 2.3, 0.2, 5.0) * (1 + rng.normal(0, 0.15, 600))
    means = np.concatenate([np.cumsum(part) / np.arange(1, 41) for part in raw.reshape(15, 40)])
    return _synth.make_run({"train/loss": means, "train/epoch": np.arange(1, 601) / 40})


EXAMPLES = (
    Example("sorted by class", _sorted, fires=True),
    Example("sorted by class, four points an epoch", _sorted_coarse, fires=True),
    Example("four points an epoch, batches of the same order", _fixed_order, fires=False),
    Example("falls only at the boundaries", _memorised, fires=True),
    Example("samples known by heart from the middle of the run on", _learned_by_heart, fires=True, onset=(640, 1600)),
    Example("four epochs of stairs that lead down", _stairs, fires=False),
    Example("shuffled", _shuffled, fires=False),
    Example("a fast decay", _fast, fires=False),
    Example("means since the epoch began", _running_means, fires=False),
)

DETECTOR = Detector(
    id="epoch-sawtooth",
    title="Epoch sawtooth",
    summary="The training loss repeats a pattern every epoch: it drops at the boundaries and does not fall in between.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("train_loss",),
    wants=("lr", "val_loss"),
    domains=SUPERVISED,
    thresholds={
        "explained": Threshold(0.2, "without a pattern the corrected share stays below 0.15 (simulated)"),
        "strength": Threshold(6.0, "F ratio; without a pattern 1, above 5 once in ten thousand at 9 and 27 degrees of freedom"),
        "explained_coarsely": Threshold(
            0.33, "of the variance (or of that of the logarithm), with three to eight points an epoch, beside a chance of 1e-5"
        ),
        "apart": Threshold(0.5, "so much of its level the loss moves with the place in the epoch, with few points an epoch"),
        "nearly_all": Threshold(0.75, "of the variance, with few points an epoch: then less is enough"),
        "apart_nearly_all": Threshold(0.2, "a fifth of the level, where the place explains nearly all"),
        "chance": Threshold(
            1e-5, "of an F ratio as large without a pattern: in simulated t noise (4 degrees of freedom) the least of 2,000 was 3e-5"
        ),
        "least": Threshold(0.03, "of the level: a smaller pattern is nobody's trouble"),
        "least_generalising": Threshold(0.06, "the same where validation keeps up with training"),
        "behind": Threshold(0.15, "of what training gained, by which validation ends behind where samples are memorised"),
        "jump_errors": Threshold(3.0, "standard errors of the step at the boundary"),
        "drop_errors": Threshold(4.0, "standard errors of the drop at the boundary where samples are memorised"),
        "drops_of_gain": Threshold(0.6, "of all that was gained, made by these drops"),
        "at_first": Threshold(
            0.3, "of the largest mean jump, over the first eighth of the boundaries: an order makes its jumps from the second epoch on"
        ),
        "share": Threshold(0.8, "the same sign at four of five boundaries"),
    },
    examples=EXAMPLES,
)
