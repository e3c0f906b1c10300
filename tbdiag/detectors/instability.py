"""The loss swings up and down far more than minibatch noise explains.

What it means
    The optimiser overshoots: the loss is thrown up again and again, at the scale of what had been learned, instead of settling.

Why it matters
    Where the run ends is luck, and the next swing may be the one that does not come back.

How it is told
    Six ways, any of which is enough. Swings: the smoothed training loss rises at least three times by more than 5 noise
    standard deviations of a block and by more than a quarter of its range. Restlessness: evaluations on a fixed set have no
    minibatch noise, so a validation loss whose noise exceeds 12 % of its level and of its range, with a training loss that
    is as restless, shows weights that jump about (unless validation stays at guessing, or less than a twentieth of the
    first loss, or of three times the first validation loss, is left). Relapses: two evaluations, and one in eight, each lose 6 %
    of the first loss at once; validation scatters by 11 % of its level, and the training loss between them, which keeps a quarter of its
    start, scatters with it (the geometric mean of its scatter and of the ratio of both is 7 % at least). A scatter that rises: cut into twelve pieces, the training loss scatters around the lines
    through them 4.5 times as much as in the three pieces before, at no lower a level, to the end of the run, and by 7 % of its level and a
    twentieth of its start; swings of periods up to a twelfth of the run are seen so. Early explosion: the loss rose more than tenfold above its best and above its start, and
    took long to come back. Few points (four to nine): at least two changes of direction with a typical change of more than a third of
    the level, in training and in validation. A cyclic learning rate that the swings follow explains them, and a loss that from there on is next
    to nothing (a hundredth of its start, or of a nat where training makes no errors) may jump as it likes. Restlessness and relapses
    are not told where the epoch means of the same loss, or a metric of training by the epoch, get better throughout and scatter by less than an eighth of their gain.

First check
    Do the swings follow the learning rate, the batch size, or single batches; what does the gradient norm do?

First action
    Lower the learning rate to a third.

Success rule
    The scatter of validation, where that showed it, else the noise around the running median of the training loss is at most half of this
    run's, and the end is no worse.

Not to be confused with
    noisy-validation (only validation is restless), spikes (isolated jumps), divergence (it does not come back), cyclic
    schedules, the constant noise of small batches.

Limits
    Very small batches are restless without being unstable; the training loss must swing as a whole, not only scatter.

Sources
    Cohen et al. 2021 (edge of stability: short-term non-monotonicity alone is no fault); tuning playbook; simulation over noise
    families.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    DIRECTED,
    Cause,
    Detector,
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
from tbdiag.detectors._descent import next_to_nothing
from tbdiag.detectors._jumping import Sign, descends_by_epoch, jump_together, relapses, rouses
from tbdiag.detectors._words import label, say, scale_lr, schedule, unit
from tbdiag.features import CurveFacts
from tbdiag.features.tasks import task_moves
from tbdiag.model import Domain, Role, Run
from tbdiag.stats.blocks import block_medians
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import mad, median, running_median
from tbdiag.stats.oscillation import find_swings


def detect(view: View) -> Finding | NotApplicable | None:
    """Look for swings, restlessness, an early explosion, or a few points that alternate."""
    reinforcement = view.signals.domain is Domain.REINFORCEMENT
    train = (view.curve("reward") or view.curve("train_reward")) if reinforcement else view.curve("train_loss")
    if train is None:
        return NotApplicable("no training loss or reward", ("train_loss",))
    if train.n < (10 if reinforcement else 4):  # a return has no level of which a third could be a swing
        return NotApplicable(f"only {train.n} points")
    if reinforcement and task_moves(view.signals):
        return NotApplicable("the task or the opponent changes, and the return with it")
    val = None if reinforcement else view.curve("val_loss")
    plan = schedule(view)
    if plan is not None and plan.cyclic:
        return None
    signs: list[Sign] = []
    roused: Sign | None = None
    if train.n < 10:
        few = _alternates(view, train, val)
        signs += [few] if few else []
    else:
        roused = rouses(view, train)
        together = (jump_together(view, train, val), relapses(view, train, val))
        if any(together) and descends_by_epoch(view, train):
            together = (None, None)  # it is the batches that differ, not the weights that jump
        signs += [sign for sign in (_swings(view, train), *together, roused, _exploded(view, train)) if sign]
    if not signs:
        return None
    signs.sort(key=lambda s: -s[0])
    margin = signs[0][0]
    begin = roused[2] if roused else min(s[2] for s in signs)
    trace = train.trace
    onset = Interval(int(trace.last_step[max(begin - 1, 0)]), int(trace.last_step[min(begin + max(1, trace.n // 20), trace.n - 1)]))
    told = train.value[train.step >= onset.first_step]  # as far as it swings
    if next_to_nothing(train, min(float(np.quantile(v, 0.9)) for v in (train.cost, told)), view.curve("train_accuracy")):
        return None
    name = label(train)
    return Finding(
        id="instability",
        severity=Severity.WARNING,
        confidence=confidence(margin, supports=len(signs) - 1 + int(val is not None and val.n >= 4), doubts=int(reinforcement)),
        title=f"Instability: the {name} swings between {float(np.quantile(told, 0.1)):.4g} and {float(np.quantile(told, 0.9)):.4g}",
        onset=onset,
        extent=Interval(onset.first_step, int(train.step[-1])),
        evidence=tuple(s[1] for s in signs),
        causes=(
            Cause("The learning rate is too high"),
            Cause("Batches too small or too different from each other"),
            Cause("No gradient clipping, or momentum too high"),
            Cause("Inputs are not normalised, or the initialisation is too large", "it exploded at the start" if begin <= 2 else ""),
        ),
        first_check="Do the swings follow the learning rate, the batch size, or single batches; what does the gradient norm do?",
        first_action=f"{scale_lr(view, 1 / 3)} and rerun otherwise unchanged.",
        fixes=(
            "Increase the batch size",
            "Add gradient clipping at the 90th percentile of the gradient norm",
            "Verify normalisation of the inputs",
            "Lengthen the warm-up",
        ),
        success_rule=_rule(train, val if signs[0][1].series and val is not None and val.name in signs[0][1].series else None),
        phase=CURVES,
        roles=(train.signal.key,),
    )


def _rule(train: CurveFacts, val: CurveFacts | None) -> SuccessRule:
    """Half of the restlessness where it was seen: of validation, which has no minibatch noise, else of the training loss; and an end no worse."""
    name = label(train)
    end = predicate(
        train.signal.key, "end", "<=" if train.sign > 0 else ">=", train.end, sd_times=train.sign, source=f"end({train.signal.key})"
    )
    if val is not None and val.n >= 8 and val.sigma > 0:
        calm = predicate(val.signal.key, "sd", "<=", 0.5 * val.sigma, source="half of this run's")
        said = f"The {label(val)} scatters by at most {0.5 * val.sigma:.3g} from one evaluation to the next"
        return SuccessRule(all=(calm, end), sentence=f"{said}, and the {name} ends no worse than {train.end:.4g}.")
    residual = mad(train.value - running_median(train.value, 21)) if train.n <= 20_000 else train.sigma
    if residual <= 0:
        return SuccessRule(
            all=(predicate(train.signal.key, "rise", "<=", 0.0, sd_times=4.0),), sentence=f"The {name} ends within 4 sd of its best."
        )
    calm = predicate(train.signal.key, "residual_sd", "<=", 0.5 * residual, window=(0.5, 1.0), source="half of this run's")
    return SuccessRule(
        all=(calm, end), sentence=f"The {name} scatters at most half as much over its second half and ends no worse than {train.end:.4g}."
    )


def _swings(view: View, train: CurveFacts) -> Sign | None:
    """Rises of the smoothed training loss at the scale of its range, at least three times."""
    y = train.trace.shape
    blocks = min(40, y.size // 2) if y.size >= 40 else y.size
    level = running_median(y, 3) if y.size < 3 * blocks else y  # medians of two points hold single spikes
    level = block_medians(level, blocks) if blocks < y.size else level
    skip = max(1, level.size // 20)
    level = level[skip:]
    if level.size < 8:
        return None
    logarithmic = train.trace.shape is not train.trace.cost
    height = max(view["swing_range"] * float(np.ptp(level)), np.log(1.5) if logarithmic else 0.25 * abs(median(level)))
    if float((level - np.minimum.accumulate(level)).max()) <= height or find_swings(level, height).rises < view["swings"]:
        return None  # a higher bar finds no more of them: the noise is not needed
    noise = train.trace.shape_noise
    points = max(y.size / blocks, 1.0)
    # Slow swings look like strongly autocorrelated noise; minibatch noise is not, so the correction is capped.
    r = min(noise.r1, 0.6)
    sigma = noise.sigma * np.sqrt((1 - noise.r1) / (1 - r))
    block_sigma = 1.25 * sigma * np.sqrt((1 + r) / (1 - r) / points)
    threshold = max(5 * block_sigma, height)
    swings = find_swings(level, threshold)
    if swings.rises < view["swings"]:
        return None
    begin = int((swings.first_rise + skip) * y.size / max(level.size + skip, 1))
    return (
        min(swings.rises / view["swings"], swings.median_rise / threshold) * 1.0,
        say(
            f"The smoothed {label(train)} rises {{rises}} times at the scale of its range, the largest time by {{largest:.3g}}"
            + (" (in logarithms)." if logarithmic else "."),
            (train,),
            rises=swings.rises,
            largest=swings.largest,
        ),
        begin,
    )


def _exploded(view: View, train: CurveFacts) -> Sign | None:
    """A rise of more than a factor of ten that lasts for many blocks and comes back in the end."""
    trace = train.trace
    if trace.shape is trace.cost or trace.n < 20:
        return None
    if float(np.ptp(trace.shape)) < np.log(view["explosion"]):
        return None
    smooth = trace.smooth_shape
    low = np.minimum.accumulate(smooth)
    climb = smooth - low
    peak = int(np.argmax(climb))
    if climb[peak] < np.log(view["explosion"]) or climb[peak] < 8 * min(trace.shape_noise.sigma, mad(np.diff(smooth)) + 1e-12):
        return None
    if float(np.exp(smooth[peak])) < float(train.cost[:3].max()):
        return None  # near zero a factor of ten is nothing: it must get back above where it began
    high = climb > 0.5 * climb[peak]
    if float(np.mean(high)) < 0.04:
        return None
    begin = int(np.argmin(smooth[: peak + 1]))
    lost = train.bad_step.size > 0 and int(train.bad_step[-1]) > int(train.step[-1])
    came_down = not lost and smooth[-1] < smooth[peak] - 0.5 * climb[peak]
    ends = " before it came down" if came_down else ", and is NaN or infinite in the end" if lost else ""
    return (
        float(climb[peak] / np.log(view["explosion"])),
        say(
            f"The {label(train)} rose from {{low:.3g}} to {{high:.3g}} by {unit(train)} {{step:,}}{ends}.",
            (train,),
            low=float(np.exp(low[peak])),
            high=float(np.exp(smooth[peak])),
            step=int(trace.last_step[peak]),
        ),
        begin,
    )


def _alternates(view: View, train: CurveFacts, val: CurveFacts | None) -> Sign | None:
    """Few points that go up and down by a third of their level."""
    margins = []
    for curve in (train, val):
        if curve is None or curve.n < 4:
            continue
        steps = np.diff(curve.value)
        level = abs(median(curve.value))
        turns = int(np.sum(np.sign(steps[1:]) * np.sign(steps[:-1]) < 0))
        if turns < 2 or level == 0:
            return None
        up = steps[curve.sign * steps > 0]
        # Both directions count: a fall from a high first point is learning.
        size = min(float(np.median(np.abs(steps))), float(np.max(np.abs(up))) if up.size else 0.0) / level
        margins.append(size / view["few_points_swing"])
    if not margins or min(margins) < 1:
        return None
    return (
        min(margins),
        say(
            f"The {label(train)} alternates between {{low:.4g}} and {{high:.4g}} from point to point.",
            (train,) if val is None else (train, val),
            low=float(train.value.min()),
            high=float(train.value.max()),
        ),
        0,
    )


def _swinging() -> Run:
    rng = np.random.default_rng(51)
    n = 300
    x = np.linspace(0, 1, n)
    loss = np.exp(0.7 - 0.3 * x + 0.6 * np.sin(2 * np.pi * (6 * x + 0.4 * np.sin(7 * x))) + rng.normal(0, 0.05, n))
    return _synth.make_run({"train/loss": loss})


def _restless_run() -> Run:
    rng = np.random.default_rng(52)
    val = np.exp(rng.normal(0.1, 0.35, 25))
    train = np.exp(np.interp(np.arange(125), np.arange(0, 125, 5), np.log(val)) + rng.normal(0, 0.2, 125))
    return _synth.make_run(
        {"train/loss": _synth.make_series("train/loss", train, every=3), "val/loss": _synth.make_series("val/loss", val, every=15)}
    )


def _four_epochs() -> Run:
    return _synth.make_run({"train/loss": [0.80, 1.65, 0.72, 1.48], "val/loss": [0.85, 1.70, 0.79, 1.55]})


def _small_batches() -> Run:
    rng = np.random.default_rng(53)
    n = 600
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 2.3, 0.5) * np.exp(rng.normal(0, 0.25, n)),
            "val/loss": _synth.make_series("val/loss", _synth.decay(30, 2.3, 0.6) + rng.normal(0, 0.01, 30), every=20),
        }
    )


def _cyclic() -> Run:
    n = 240
    x = np.arange(n)
    lr = 1e-3 * (0.55 + 0.45 * np.cos(2 * np.pi * x / 40))
    loss = _synth.decay(n, 2.3, 0.6) * (1 + 250 * lr)
    return _synth.make_run({"train/loss": loss + np.random.default_rng(54).normal(0, 0.02, n), "lr": lr})


def _thrown_back() -> Run:
    rng = np.random.default_rng(55)
    val = np.array([1.35, 1.17, 1.48, 1.23, 1.06, 1.06, 0.88, 0.88, 1.57, 0.94, 1.02, 1.0])
    train = np.interp(np.arange(120), np.arange(0, 120, 10), 0.25 + 0.75 * np.minimum.accumulate(val)) + rng.normal(0, 0.15, 120)
    return _synth.make_run({"train/loss": np.append(1.6, train[1:]), "val/loss": _synth.make_series("val/loss", val, every=10)})


EXAMPLES = (
    Example("the loss swings by half its level", _swinging, fires=True),
    Example("training and validation jump about", _restless_run, fires=True),
    Example("single evaluations lose what was learned", _thrown_back, fires=True),
    Example("four epochs", _four_epochs, fires=True),
    Example("noise of small batches", _small_batches, fires=False),
    Example("cyclic learning rate", _cyclic, fires=False),
)

DETECTOR = Detector(
    id="instability",
    title="Instability",
    summary="The loss swings up and down far more than minibatch noise explains.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "reward", "train_reward"),),
    wants=("val_loss", "lr", "train_accuracy", "train_metric", Role.LOSS.value),
    domains=DIRECTED | {Domain.REINFORCEMENT},
    thresholds={
        "swings": Threshold(3, "one or two may be a warm-up or a change of schedule"),
        "swing_range": Threshold(0.25, "a quarter of the range of the smoothed curve"),
        "restless": Threshold(0.12, "evaluations on a fixed set normally scatter by 1 to 3 %"),
        "restless_gain": Threshold(0.15, "of what validation had gained; healthy runs with dropout reach 0.25 of it at 8 % of the level"),
        "relapse": Threshold(
            0.06, "of the first loss; where training is as restless the second largest rise reaches 0.02 of it in 767 healthy trainings"
        ),
        "relapse_level": Threshold(
            0.11, "of the level; where little was to be learned, evaluations of few samples scatter by some per cent"
        ),
        "relapse_together": Threshold(
            0.07, "geometric mean of training's scatter and of its ratio to validation's; below 0.06 where only the evaluation is noisy"
        ),
        "rouse": Threshold(4.5, "times the scatter before; healthy trainings that scatter by a twentieth of their start reach 2.8"),
        "rouse_level": Threshold(0.07, "of the level; minibatch noise of a loss that is not small is 1 to 5 % of it"),
        "rouse_start": Threshold(0.05, "of the start: of what little is left any share is nothing"),
        "by_epoch": Threshold(
            0.125, "of its gain: by so little the means of epochs that fall throughout scatter, where it is the batches that differ"
        ),
        "explosion": Threshold(10.0, "a factor that no warm-up bump reaches"),
        "few_points_swing": Threshold(0.33, "a third of the level; the seed texts' history alternates by 80 %"),
    },
    examples=EXAMPLES,
    explains=("spikes", "noisy-validation"),
)
