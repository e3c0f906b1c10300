"""The level of a curve changes in one step for the worse, and stays, without the optimiser being to blame.

What it means
    From one point to the next validation (or training) is measured on something else: the data, the preprocessing or the metric
    changed.

Why it matters
    Before and after cannot be compared, and a model may be trained or judged on broken data without anybody noticing.

How it is told
    Within one interval the curve worsens by more than 8 noise standard deviations and by more than 30 % of what it had
    gained (or to twice its level, and by a tenth of the gain; 5.5 deviations are enough where it loses more than all that, two fifths of its
    level, and more than it moves behind the step); the level before it was quiet, and the level behind it stays closer to the new than to the old value for the
    rest of the run (a tenth of it, three points, at least). The training loss must not have left for good itself, which is
    divergence (unless it stepped to a calm new level, and a logged learning rate did not move or the accuracy is what it was).
    Where training jumps and then falls smoothly but validation does not recover, the shift is in the training data. A jump of
    the learning rate at that step explains it away. Or the training loss jumps as far between two points and learns anew from
    there, not back to where it was by a tenth, while validation is worse ever after, by a fifth of what it had gained. Where nothing was
    evaluated, a training loss of 60 points or more counts that steps by a fifth of its level, calm on either side, for a quarter of the run.

First check
    Compare 32 samples with labels from just before and just after that step.

First action
    Diff the data pipeline and the evaluation code at that step: dump inputs and labels before and after and compare their
    statistics.

Success rule
    The next run passes that step without worsening by more than 4 noise standard deviations.

Not to be confused with
    overfitting (a gradual rise), divergence (training goes up for good), restart-overlap (the seam of two runs), spikes (it
    comes back).

Limits
    Shifts for the better are not reported; they usually are learning-rate decays.

Sources
    Single-split statistics in units of the noise before; threshold simulated at p99 and doubled.
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
from tbdiag.detectors._jumps import rate_jumped, spared
from tbdiag.detectors._relearning import relearned
from tbdiag.detectors._steps import Step, find_step
from tbdiag.detectors._words import label, say, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import metric_level
from tbdiag.features.pairs import pair_up
from tbdiag.model import Mark, Role, Run, Split
from tbdiag.stats.change import levels_around
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, estimate_noise, median, running_median


def detect(view: View) -> Finding | NotApplicable | None:
    """Look for a lasting step in validation, then in its metric."""
    train = view.curve("train_loss")
    val = view.curve("val_loss") or view.curve("val_metric")
    if val is None and (train is None or train.n < view["points_alone"]):
        return NotApplicable("no validation loss or metric", ("val_loss",))
    if val is not None and val.n < 6:
        return NotApplicable(f"only {val.n} points")
    found = _find(view, val, train) if val is not None else _find_alone(view, train)
    if found is None:
        return None
    curve, training, (at, size, before, behind) = found
    on_train = curve.signal.split is Split.TRAIN
    trace = curve.trace
    first, last = int(trace.last_step[at]), int(trace.last_step[at + 1])
    if rate_jumped(view, first, last, curve) or any(_breaks(c, curve, first, last) for c in (train, view.curve("val_loss"))):
        return None
    jumped = training in ("recovers", "stays", "comes down") or on_train
    where = "training data" if jumped else "validation data or its evaluation"
    evidence = [
        say(
            f"Between {unit(curve)} {{first:,}} and {{last:,}} the {label(curve)} went from {{before:.4g}} to {{behind:.4g}}, "
            "{sigmas:.0f} noise standard deviations, and "
            + (
                f"came down slowly from there; the {label(val)} was worse ever after."
                if val is not None and training == "comes down"
                else "stayed."
            ),
            (curve,),
            (Mark("event", "shift", last),),
            first=first,
            last=last,
            before=curve.sign * before,
            behind=curve.sign * behind,
            sigmas=round(min(size, 1e6)),
        )
    ]
    if train is not None and training != "unknown" and not on_train:
        did = {"recovers": "jumped too, and came down from there", "stays": "jumped too, under an unchanged learning rate"}
        evidence.append(
            say(
                f"The {label(train)} "
                + did.get(training, "did not jump there")
                + ("; it ended at {end:.4g}." if train is not None else "."),
                (train,),
                end=train.end,
            )
        )
    return Finding(
        id="sudden-shift",
        severity=Severity.WARNING,
        confidence=confidence(
            size / view["sigmas"], supports=int(training in ("calm", "recovers")), doubts=int(on_train or training == "stays")
        ),
        title=f"Sudden shift: the {label(curve)} steps from {curve.sign * before:.4g} to {curve.sign * behind:.4g} at {unit(curve)} {last:,} and "
        + ("comes down slowly while validation stays worse" if training == "comes down" else "stays"),
        onset=Interval(first, last),
        extent=Interval(last, int(curve.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause(
                f"The {where} changed: loader, shard, mixture or preprocessing",
                "training jumps too" if jumped else "training does not jump",
            ),
            Cause("A bug in preprocessing after a resume"),
            Cause("The evaluation set or the metric's code changed"),
            Cause("A hardware fault"),
        ),
        first_check=f"Compare 32 samples with labels from just before and just after {unit(curve)} {last:,}.",
        first_action=f"Diff the data pipeline and the evaluation code at {unit(curve)} {last:,}: dump inputs and labels before and after, compare statistics.",
        fixes=(
            "Print sample batches; verify preprocessing and split",
            "Re-evaluate the checkpoints around the step with one fixed evaluation",
            "Pin the versions of data, split and evaluation code",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(curve.signal.key, "last_step", ">", float(last), source="the step of the shift"),
                predicate(curve.signal.key, "rise", "<=", 0.0, sd_times=4.0),
            ),
            sentence=f"The {label(curve)} passes {unit(curve)} {last:,} and ends within 4 sd of its best.",
        ),
        phase=CURVES,
        roles=(curve.signal.key,),
    )


def _find(view: View, val: CurveFacts, train: CurveFacts | None) -> tuple[CurveFacts, str, Step] | None:
    """The first of validation, its metric and training that steps for the worse, with what training did there."""
    metric = view.curve("val_metric")
    for curve in (val, metric):
        if curve is None or curve.n < 6 or _at_guessing(view, curve):
            continue
        found = find_step(view, curve)
        if found is None:
            continue
        if train is None or train.n < 8:
            return curve, "unknown", found
        training, at = _training(train, curve, found[0]), found[0]
        if training == "gone" and spared(view, curve, at) and not _goes_on(curve, at) and _gone_calmly(train, curve, at):
            training = "stays"
        if training != "gone" and not (training == "calm" and _goes_on(curve, at)):
            return curve, training, found
    # A mean over each epoch shows what single batches hide.
    means = [
        c for c in view.group(Role.LOSS, Split.TRAIN) if train is not None and c.signal.stem == train.signal.stem and c.name != train.name
    ]
    for loss in [c for c in (train, *means) if c is not None and c.n >= 12]:
        found = find_step(view, loss)
        if found is not None and spared(view, loss, found[0]) and _calm_behind(loss, found[0]):
            return loss, "stays", found
    if train is not None and train.n >= 12 and val is not None and val.n >= 8:
        found = relearned(view, train, val)
        if found is not None:
            return train, "comes down", found
    return None


def _find_alone(view: View, train: CurveFacts | None) -> tuple[CurveFacts, str, Step] | None:
    """A step of a training loss beside which nothing was evaluated: by a fifth of its level, calm on either side, for a quarter of the run."""
    found = find_step(view, train) if train is not None else None
    if train is None or found is None:
        return None
    at, _, before, behind = found
    lasts = train.trace.n - 1 - at >= view["lasts_alone"] * train.trace.n
    large = behind - before > view["of_level_alone"] * abs(before)
    return (train, "stays", found) if lasts and large and _calm_behind(train, at) else None


def _at_guessing(view: View, curve: CurveFacts) -> bool:
    """Whether a metric never left guessing: from one constant answer to another nothing shifts."""
    level = metric_level(curve, view.features) if curve.signal.role is Role.METRIC else None
    return level is not None and level.chance > 0 and level.quality(curve.best) < 0.1


def _goes_on(curve: CurveFacts, at: int) -> bool:
    """Whether what follows the step rises by more than the step itself: a drift with a fast beginning."""
    before, behind = levels_around(curve.trace.shape, at)
    return median(curve.trace.shape[-3:]) - behind > 0.7 * (behind - before)


def _training(train: CurveFacts, curve: CurveFacts, at: int) -> str:
    """What training did there: ``gone`` (left for good), ``recovers``, or ``calm``."""
    values: Float64 = pair_up(train, curve).train_at
    before = median(values[max(at - 2, 0) : at + 1])
    noise = estimate_noise(values[: at + 1]).sigma if at >= 8 else 0.0
    near = float(values[at : at + 3].max())
    end = median(running_median(values, 3)[-max(2, values.size // 10) :])
    gained = max(float(values[0]) - before, 0.0)
    limit = before + max(6 * noise, 0.25 * gained, 0.2 * abs(before))
    if near <= limit:
        return "calm" if end <= limit else "gone"
    # New data are learned: the loss falls smoothly from its jump. An optimiser that lost its way swings.
    behind = values[at + int(np.argmax(values[at : at + 3])) :]
    falls = (
        behind.size >= 4 and float(np.sum(np.maximum(np.diff(behind), 0))) < 0.1 * (near - before) and end < near - 0.2 * (near - before)
    )
    return "recovers" if end < before + 0.3 * (near - before) or falls else "gone"


def _calm_behind(train: CurveFacts, at: int) -> bool:
    """Whether a training loss is as quiet behind its step as before it; an optimiser that lost its way swings."""
    before, behind = levels_around(train.trace.shape, at)
    jump, late = behind - before, train.trace.shape[at + 3 :]
    return bool(estimate_noise(late).sigma < 0.15 * jump and float(late.max()) < behind + 0.25 * jump)


def _gone_calmly(train: CurveFacts, curve: CurveFacts, at: int) -> bool:
    """The same for a step of validation: training steps within the same interval and is quiet afterwards."""
    values: Float64 = pair_up(train, curve).train_at
    behind = values[at + 1 :]
    if behind.size < 4:
        return False
    before, level = levels_around(values, at)
    jump = level - before
    return bool(
        jump > 0
        and float(np.median(np.abs(np.diff(behind[1:])))) < 0.1 * jump
        and float(behind[1:].max()) < float(behind[:2].max()) + 0.1 * jump
    )


def _breaks(loss: CurveFacts | None, curve: CurveFacts, first: int, last: int) -> bool:
    """Whether a loss stops being finite within a few points of the step: then the model broke, not the data."""
    if loss is None or not loss.bad_step.size or loss.signal.axis is not curve.signal.axis:
        return False
    slack = max(last - first, int(0.02 * (curve.step[-1] - curve.step[0])))
    return bool(np.any((loss.bad_step >= first - slack) & (loss.bad_step <= last + slack)))


def _val_shift() -> Run:
    rng = np.random.default_rng(101)
    val = _synth.decay(30, 2.3, 0.4, 5.0) + rng.normal(0, 0.01, 30)
    val[18:] += 1.5
    return _synth.make_run({"train/loss": _synth.decay(30, 2.3, 0.35, 5.0) + rng.normal(0, 0.01, 30), "val/loss": val})


def _train_shift() -> Run:
    rng = np.random.default_rng(102)
    train = _synth.decay(24, 2.0, 0.15, 6.0)
    train[12:] = _synth.decay(12, 2.6, 0.2, 5.0)
    val = _synth.decay(24, 1.8, 0.15, 6.0)
    val[12:] = 2.5 + 0.05 * np.arange(12)
    return _synth.make_run({"train/loss": train + rng.normal(0, 0.01, 24), "val/loss": val + rng.normal(0, 0.01, 24)})


def _overfit() -> Run:
    rng = np.random.default_rng(103)
    x = np.linspace(0, 1, 60)
    val = _synth.decay(60, 2.3, 0.6, 12.0) + 0.9 * np.clip(x - 0.3, 0, None) + rng.normal(0, 0.01, 60)
    return _synth.make_run({"train/loss": _synth.decay(60, 2.3, 0.05) + rng.normal(0, 0.01, 60), "val/loss": val})


def _step_decay() -> Run:
    rng = np.random.default_rng(104)
    val = _synth.decay(60, 2.3, 0.6, 8.0)
    val[40:] -= 0.2
    return _synth.make_run({"train/loss": val + rng.normal(0, 0.01, 60), "val/loss": val + 0.05 + rng.normal(0, 0.01, 60)})


def _ten_evaluations() -> Run:
    train = _synth.decay(40, 2.3, 0.3, 5.0)
    val = [1.9, 1.2, 0.8, 0.6, 0.5, 1.75, 1.72, 1.7, 1.71, 1.69, 1.7, 1.7, 1.69, 1.7, 1.71, 1.7]
    return _synth.make_run({"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.linspace(3, 39, 16).astype(int))})


def _another_gauge(scale: float) -> Run:
    """Six evaluations before the step, and five behind it that scatter more than those did."""
    train = _synth.decay(46, 0.8, 0.35, 6.0) + np.random.default_rng(106).normal(0, 0.1, 46)
    val = np.array([0.5, 0.424, 0.416, 0.399, 0.387, 0.383, 0.656, 0.625, 0.606, 0.619, 0.699])
    val[6:] = 0.383 + scale * (val[6:] - 0.383)
    return _synth.make_run({"train/loss": train, "val/loss": _synth.make_series("val/loss", val, np.arange(4, 46, 4)[:11])})


def _both_step(lost: float) -> Run:
    """A loss of another definition from half-way on; `lost`: what the accuracy loses there."""
    rng = np.random.default_rng(105)
    train, acc = _synth.decay(40, 2.3, 0.2, 8.0), 0.95 - _synth.decay(40, 0.7, 0.0, 8.0)
    train[20:], acc[20:] = 1.1, 0.95 - lost
    made = {"train/loss": train, "val/loss": train + 0.05, "val/acc": acc}
    return _synth.make_run({k: v + rng.normal(0, 0.005, 40) for k, v in made.items()})


def _alone(jump: float) -> Run:
    """A language model's training loss, and nothing else, that steps half-way."""
    loss = (
        2.9
        + _synth.decay(400, 2.0, 0.0, 30.0)
        + np.where(np.arange(400) < 200, 0.0, jump)
        + np.random.default_rng(107).normal(0, 0.03, 400)
    )
    return _synth.make_run({"train/loss": loss, "lr": 3e-4 * np.cos(np.linspace(0, 1.5, 400))})


EXAMPLES = (
    Example("validation steps up, training does not", _val_shift, fires=True, onset=(17, 18)),
    Example("training jumps and recovers, validation does not", _train_shift, fires=True, onset=(11, 12)),
    Example("both losses step, no rate is logged, the accuracy stays", lambda: _both_step(0.0), fires=True),
    Example("both losses step, no rate is logged, the accuracy falls", lambda: _both_step(0.3), fires=False),
    Example("after five evaluations of a steep descent", _ten_evaluations, fires=True),
    Example("six quiet evaluations, then five at twice the level", lambda: _another_gauge(1.0), fires=True),
    Example("six quiet evaluations, then five somewhat higher", lambda: _another_gauge(0.25), fires=False),
    Example("a training loss alone that steps by a third", lambda: _alone(1.0), fires=True),
    Example("a training loss alone that steps by a tenth", lambda: _alone(0.3), fires=False),
    Example("a gradual rise", _overfit, fires=False),
    Example("a learning-rate decay", _step_decay, fires=False),
)

DETECTOR = Detector(
    id="sudden-shift",
    title="Sudden shift",
    summary="The level of validation changes in one step for the worse, and stays.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("val_loss", "val_metric", "train_loss"),),
    wants=("val_loss", "val_metric", "train_loss", "lr", "val_accuracy", "loss"),
    domains=DIRECTED,
    thresholds={
        "sigmas": Threshold(8.0, "twice the p99 of the largest single-split statistic under AR(1) noise"),
        "sigmas_of_all": Threshold(
            5.5, "where the step is larger than all that had been gained; of 855 healthy labelled trainings none made such a step of 4.5"
        ),
        "points_alone": Threshold(60, "of training, where nothing was evaluated: enough for the noise on either side"),
        "of_level_alone": Threshold(0.2, "of its level, then: a change of the mixture or of the batch that is meant moves a loss by less"),
        "lasts_alone": Threshold(0.25, "of the run, behind the step, then"),
        "of_gain": Threshold(0.3, "three tenths of what had been gained"),
        "of_level": Threshold(0.1, "a tenth of the level (or of the gain, where that is more)"),
        "doubled": Threshold(1.0, "of its level: a loss that doubles shifts, however much had been gained before"),
        "doubled_of_gain": Threshold(0.1, "of what had been gained, then"),
        "worse_after": Threshold(0.2, "of its gain, by which validation is worse ever after a training loss that jumps and learns anew"),
    },
    examples=EXAMPLES,
    explains=("overfitting", "generalization-gap", "noisy-validation", "val-better"),
)
