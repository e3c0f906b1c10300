"""Validation is too noisy to choose a checkpoint from.

What it means
    Neighbouring evaluations differ by so much that the best one is best by luck: the validation set is too small or drawn anew
    each time.

Why it matters
    Early stopping, checkpoint choice and comparisons of runs follow the noise.

How it is told
    The scatter of the validation loss around the line between neighbours exceeds 15 % of its level and a tenth of what it
    had gained, at eight evaluations or more, and is more than three times that of the training loss averaged over the same
    intervals (if training were as restless, that is instability). A loss that goes below zero has no level: twice what it
    gained stands for it, and training must have learned two and a half times the scatter. Or one evaluation in eight, four
    at least, lies at twice the level around it and comes back, beside a calm training loss. Without a validation loss a
    metric must scatter by more than a quarter of what it gained and by 0.04 of its scale, and have gained more than that; beside a
    loss that scatters by less than 7 % of its level, a bounded metric of twelve evaluations that gained a tenth of its scale must
    scatter by 0.08 of it. What scatters below a hundredth of the first training loss is next to nothing. A loss whose last quarter (five
    evaluations at least) spans less than 5 % has calmed down, as one does under a learning rate that decays.

First check
    How many samples does one evaluation use, and are they the same each time?

First action
    Evaluate on the full (or a four times larger, fixed) validation set. Where the log tells a learning rate beyond what its optimiser bears
    (above 0.01 for Adam, above 1 for SGD), the weights themselves jump about: lower it to a tenth of that.
    Where a rate of 0.05 or more was logged that never decays: lower it tenfold and go on for a tenth of the budget, which calms the weights.

Success rule
    The noise of validation is at most 0.6 of this run's (four times the data give half).

Not to be confused with
    instability (training is restless too), overfitting (a lasting rise).

Limits
    With fewer than eight evaluations nothing is said.

Sources
    Tuning playbook on step-to-step variance; binomial noise of accuracies; simulation of healthy families.
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
from tbdiag.detectors._words import label, learning_rate, lower_unbearable_rate, say, scale_lr, schedule, short, unbearable_limit, unit
from tbdiag.features import CurveFacts
from tbdiag.features.disagreement import is_one_sided
from tbdiag.features.levels import metric_level
from tbdiag.features.pairs import measure_restlessness, pair_up
from tbdiag.model import Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median, sliding
from tbdiag.stats.oscillation import scatter


def detect(view: View) -> Finding | NotApplicable | None:
    """Scatter of validation against its level, its gain, and training's scatter; else single evaluations that are far off."""
    val = view.curve("val_loss") or view.curve("val_metric")
    if val is None:
        return NotApplicable("no validation loss or metric", ("val_loss",))
    if val.n < 8:
        return NotApplicable(f"only {val.n} evaluations")
    if val is not view.curve("val_loss"):
        return _scatters(view, val)
    found = _scatters(view, val) or (_wild(view, val) if not val.signed else None)
    metric = view.curve("val_metric")
    if found is not None or metric is None or metric.n < 12 or not _alone(view, metric, val):
        return found
    return _scatters(view, metric, val)


def _alone(view: View, metric: CurveFacts, loss: CurveFacts) -> bool:
    """Whether a bounded metric that has learned something may be noisy for itself: its loss and the same metric of training are calm."""
    bounds = metric_level(metric, view.features)
    if (
        bounds is None
        or is_one_sided(metric)
        or metric.start_cost - metric.end_cost < view["metric_learned"] * abs(bounds.best - bounds.chance)
    ):
        return False
    late, train = loss.trace.cost[loss.trace.n // 4 :], view.curve("train_metric")
    if scatter(late) > view["calm"] * abs(median(late)):
        return False
    if train is None or train.n < 8 or train.signal.stem != metric.signal.stem:
        return True
    at = pair_up(train, metric).train_at[metric.trace.n // 4 :]
    return scatter(at) < scatter(metric.trace.cost[metric.trace.n // 4 :]) / view["than_training"]


def _scatters(view: View, val: CurveFacts, beside: CurveFacts | None = None) -> Finding | None:
    """The usual case: most evaluations are noisy. `beside`: the calm validation loss under which a metric is judged."""
    by_loss = val is view.curve("val_loss")
    signed = by_loss and val.signed
    late = val.trace.cost[val.trace.n // 4 :]
    spread, level = scatter(late), abs(median(late))
    # The scatter of few points is itself uncertain by a factor.
    unsure = 1 + 4 / late.size
    if by_loss and not signed and level > 0 and spread / (view["of_level"] * level) / unsure < 1:
        return None
    train = view.curve("train_loss")
    if by_loss and ((train is not None and next_to_nothing(train, level)) or (not signed and _calms_down(view, val))):
        return None
    early = median(val.trace.cost[: max(1, val.trace.n // 10)])
    if train is not None and by_loss:
        # Most is often gained before the second evaluation; that the first one is no mere outlier, training's beginning tells.
        early = max(early, min(val.start_cost, train.start_cost))
    gain = max(early - median(late[late.size // 2 :]), 0.0)
    if signed:
        learned = max(train.start_cost - train.end_cost, 0.0) if train is not None else gain
        if learned < view["signed"] * spread:
            return None  # a signed loss has no scale but what was learned
        level = max(2 * gain, 0.5 * learned)
    if spread <= 0 or level <= 0:
        return None
    if by_loss:
        of_gain = spread / (view["of_gain"] * max(gain, 0.3 * level))
        if not signed and train is not None and spread > view["of_start"] * train.start_cost:
            # Beside so much of the level it does not matter from how high a first evaluation it came.
            of_gain = max(of_gain, spread / (view["of_level_alone"] * level))
        margins = [spread / (view["of_level"] * level), of_gain]
    else:
        bounds = metric_level(val, view.features)
        size = abs(bounds.best - bounds.chance) if bounds is not None else level
        if gain < 1.5 * spread:
            return None  # nothing was gained: there is no checkpoint to choose
        # Beside a calm loss the checkpoint can be chosen by that: twice the scatter, forty samples instead of a hundred and fifty.
        if beside is not None and bounds is not None:
            size = 2 * max(abs(bounds.best), abs(bounds.chance))
        margins = [
            spread / (view["metric_of_gain"] * gain),
            spread / (view["metric_of_scale"] * size),
            spread / (view["metric_of_level"] * level),
        ]
    margins = [m / unsure for m in margins]
    if min(margins) < 1:
        return None
    restless = 0.0
    if train is not None and train.n >= 8:
        at = pair_up(train, val).train_at[val.trace.n // 4 :]
        restless = scatter(at) / level if signed and at.size >= 5 else _relative(at)
        together = measure_restlessness(train, val)
        if by_loss and (spread / level < view["than_training"] * restless or (together is not None and together.together)):
            return None
    better = _near_best(val, spread)
    what = "twice the gain" if signed else "its level"
    evidence = [
        say(
            f"From one evaluation to the next the {label(val)} scatters by {{spread:.3g}}, {{share:.0%}} of {what} of {{level:.4g}}"
            + ("; the training loss by {train:.1%}." if restless else "."),
            (val,) if train is None else (val, train),
            spread=spread,
            share=spread / level,
            level=level,
            **({"train": restless} if restless else {}),
        ),
        say("{count} of {n} evaluations are within two such deviations of the best.", (val,), count=better, n=val.trace.n),
    ]
    if beside is not None:
        text = f"The {label(beside)} of the same evaluations scatters by {{calm:.2%}} only: the {label(val)} is taken from fewer samples, or decided by fewer."
        evidence.append(say(text, (beside,), calm=_relative(beside.trace.cost[beside.trace.n // 4 :])))
    limit = unbearable_limit(view)
    high = limit is None and _stays_high(view)
    return Finding(
        id="noisy-validation",
        severity=Severity.WARNING,
        confidence=confidence(*margins, supports=int(restless > 0), doubts=int(beside is not None)),
        title=f"Noisy validation: the {label(val)} scatters by {spread / level:.0%} of {what} from one evaluation to the next"
        + ("" if beside is None else f", the {label(beside)} does not"),
        onset=None,
        extent=Interval(int(val.step[0]), int(val.step[-1])),
        evidence=tuple(evidence),
        causes=_causes(learning_rate(view) if limit is not None or high else None, stays=high),
        first_check="How many samples does one evaluation use, and are they the same each time?",
        first_action=f"{scale_lr(view, 0.1)} and resume from the last checkpoint for a tenth of the budget."
        if high
        else "Evaluate on the full (or a four times larger, fixed) validation set."
        if limit is None
        else lower_unbearable_rate(view, limit),
        fixes=(
            *(() if limit is None and not high else ("Evaluate on the full (or a four times larger, fixed) validation set",)),
            "Fix the validation samples and their order",
            "Average weights (EMA) for evaluation",
            "Decay the learning rate towards the end",
        ),
        success_rule=SuccessRule(
            all=(predicate(val.signal.key, "sd", "<=", 0.6 * spread, source="0.6 of this run's"),),
            sentence=f"The {label(val)} scatters by at most {0.6 * spread:.3g} from one evaluation to the next.",
        ),
        phase=CURVES,
        roles=(val.signal.key,),
    )


def _wild(view: View, val: CurveFacts) -> Finding | None:
    """Single evaluations that lie far above their neighbours and come back, four of them and one in eight at least.

    A scatter that is told from medians does not see them. Training that jumps as well is instability.
    """
    train, cost = view.curve("train_loss"), val.trace.cost
    n = cost.size
    if train is None or train.n < val.n or n < 12 or float(cost.min()) <= 0:
        return None
    # Lower on both sides: the lowest of three before and of three behind, since bad evaluations may come several in a row.
    low = sliding(np.pad(cost, 3, constant_values=np.inf), 3).min(axis=1)
    level = np.maximum(low[:n], low[4 : n + 4])
    above = np.flatnonzero(cost > np.maximum(view["wild"] * level, level + view["wild_of_first"] * float(cost[0])))
    calm = train.trace.cost[train.trace.n // 4 :]
    if above.size < max(4, n // 8) or above.size > 0.45 * n or scatter(calm) > 0.25 * abs(median(calm)):
        return None
    worst = int(above[np.argmax(cost[above])])
    text = f"{{count}} of {{n}} evaluations of the {label(val)} lie at twice the level around them or more and come back, the highest at "
    text += f"{unit(val)} {{step:,}} with {{peak:.4g}} against {{usual:.4g}}; the training loss scatters by {{train:.1%}}."
    evidence = say(
        text,
        (val, train),
        count=int(above.size),
        n=n,
        step=int(val.trace.last_step[worst]),
        peak=float(cost[worst]),
        usual=float(level[worst]),
        train=scatter(calm) / max(abs(median(calm)), 1e-12),
    )
    limit = 0.5 * float(np.median(cost[above] - level[above]))
    rule = predicate(
        val.signal.key, "excursions", "<=", float(above.size // 4), argument=float(f"{limit:.3g}"), source="a quarter of this run's"
    )
    return Finding(
        id="noisy-validation",
        severity=Severity.WARNING,
        confidence=confidence(above.size / max(4, n // 8), float(np.median(cost[above] / level[above])) / view["wild"], supports=1),
        title=f"Noisy validation: {above.size} of {n} evaluations jump to twice the {label(val)} around them and come back",
        onset=None,
        extent=Interval(int(val.step[0]), int(val.step[-1])),
        evidence=(evidence,),
        causes=(
            Cause("Evaluation is stochastic: dropout, augmentation or simulated failures are left on"),
            Cause("Each evaluation draws other samples, some of them broken"),
            Cause("Batch-norm statistics depend on the batch that is evaluated"),
        ),
        first_check="Does evaluating one checkpoint twice give the same loss?",
        first_action="Evaluate one checkpoint ten times on the same samples in evaluation mode, and remove whatever makes the losses differ.",
        fixes=("Fix the validation samples and their order", "Turn dropout and augmentation off while evaluating"),
        success_rule=SuccessRule(all=(rule,), sentence=f"At most {above.size // 4} evaluations jump by {limit:.3g} and come back."),
        phase=CURVES,
        roles=(val.signal.key,),
    )


def _stays_high(view: View) -> bool:
    """Whether the log shows a constant rate that only SGD trains with, and that no recipe ends with."""
    plan, optimizer = schedule(view), str(view.signals.config.get("optimizer", "sgd")).lower()
    return plan is not None and plan.constant and plan.peak >= view["high"] and "adam" not in optimizer


def _causes(rate: float | None, *, stays: bool = False) -> tuple[Cause, ...]:
    """Too few samples first, unless weights that jump about with a rate beyond what the optimiser bears explain it."""
    causes = (
        Cause("The validation set is too small, or only a batch of it is evaluated"),
        Cause("Each evaluation draws other samples"),
        Cause("Batch-norm statistics or a stochastic evaluation"),
        Cause(
            "The learning rate is too high at the end, without averaging of weights",
            "" if rate is None else f"the rate is {short(rate)}" + " to the end" * stays,
        ),
    )
    return causes if rate is None else (causes[-1], *causes[:-1])


def _relative(values: Float64) -> float:
    level = abs(median(values))
    return scatter(values) / level if level > 0 and values.size >= 5 else 0.0


def _calms_down(view: View, val: CurveFacts) -> bool:
    """Whether the last quarter, five evaluations at least, spans less than a third of the limit: whatever threw it about, a checkpoint can be chosen."""
    last = val.trace.cost[-(val.trace.n // 4) :]
    return last.size >= 5 and float(np.ptp(last)) < view["of_level"] / 3 * abs(median(last))


def _near_best(val: CurveFacts, spread: float) -> int:
    return int(np.sum(val.trace.cost <= float(val.trace.cost.min()) + 2 * spread))


def _run(noise: float, seed: int, train_noise: float = 0.03, n: int = 32) -> Run:
    rng = np.random.default_rng(seed)
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 1.0, 0.18, 5.0) * np.exp(rng.normal(0, train_noise, n)),
            "val/loss": _synth.decay(n, 0.9, 0.2, 5.0) * np.exp(rng.normal(0, noise, n)),
        }
    )


def _one_batch() -> Run:
    return _run(0.8, 91)


def _one_batch_long() -> Run:
    return _run(0.6, 92, n=150)


def _usual() -> Run:
    return _run(0.03, 93)


def _metric_beside_loss(noise: float) -> Run:
    """A calm validation loss and an accuracy of a few samples."""
    rng = np.random.default_rng(95)
    accuracy = 0.75 - _synth.decay(40, 0.5, 0.0, 6.0) + rng.normal(0, noise, 40)
    losses = {"train/loss": _synth.decay(40, 2.0, 0.3), "val/loss": _synth.decay(40, 2.0, 0.35) + rng.normal(0, 0.005, 40)}
    return _synth.make_run({**losses, "val/accuracy": np.clip(accuracy, 0, 1)})


def _both_restless() -> Run:
    return _run(0.4, 94, train_noise=0.4)


EXAMPLES = (
    Example("one random batch", _one_batch, fires=True),
    Example("150 evaluations", _one_batch_long, fires=True),
    Example("usual scatter", _usual, fires=False),
    Example("an accuracy of seven samples beside a calm loss", lambda: _metric_beside_loss(0.19), fires=True),
    Example("an accuracy of two hundred samples", lambda: _metric_beside_loss(0.03), fires=False),
    Example("training as restless", _both_restless, fires=False),
)

DETECTOR = Detector(
    id="noisy-validation",
    title="Noisy validation",
    summary="Validation is too noisy to choose a checkpoint from.",
    severity=Severity.WARNING,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("val_loss", "val_metric"),),
    wants=("train_loss", "lr", "train_metric"),
    domains=DIRECTED,
    thresholds={
        "of_level": Threshold(0.15, "evaluations on a fixed set normally scatter by 1 to 3 %"),
        "of_gain": Threshold(0.10, "of what validation had gained: scatter near zero does not matter"),
        "than_training": Threshold(3.0, "training averaged over an interval scatters about as much when weights jump about"),
        "calm": Threshold(0.07, "half of what is noisy; evaluations on a fixed set scatter by 1 to 3 %"),
        "metric_of_scale": Threshold(0.04, "binomial noise of an accuracy of 0.8 on a hundred samples"),
        "metric_of_level": Threshold(0.05, "of its level, beside the shares of what it gained and of its scale"),
        "metric_learned": Threshold(0.1, "of the way from guessing to perfect, gained before scatter beside a calm loss matters"),
        "signed": Threshold(2.5, "times the scatter: what training must have learned where the loss goes below zero and has no level"),
        "of_start": Threshold(0.3, "of the first training loss: scatter that large matters whatever validation had gained"),
        "of_level_alone": Threshold(0.4, "of the level, then, in place of a share of the gain"),
        "wild": Threshold(2.0, "times the level around them: single evaluations that lie so high and come back"),
        "wild_of_first": Threshold(0.15, "of the first evaluation above the level around them: twice next to nothing is nothing"),
        "high": Threshold(0.05, "SGD's recipes begin at 0.05 to 0.1 and none ends there; Adam does not train with it"),
        "metric_of_gain": Threshold(0.25, "a quarter of what the metric had gained"),
    },
    examples=EXAMPLES,
)
