"""The training loss does not move from the start.

What it means
    Nothing that the optimiser does reaches the loss: it stays where an untrained model is, at chance.

Why it matters
    The whole budget is lost, and the cause is usually a bug that takes minutes to find.

How it is told
    The training loss gains less than 3 % from its start to its smoothed best and shows no trend beyond its noise, and one thing
    says that this is not a run that had converged before: the loss stays within 5 % of the loss of guessing (10 % of that of a
    language model among 10,000 pieces of text or more; with a metric below a quarter of its scale, or below half of it that
    stands as still, with 98 %); or a bounded metric stays near chance (less than a tenth of the way to perfect, with a training loss
    that gained less than 10 %; an F1 all but its luckiest hundredth, and no AUC that leaves guessing; an R2 below zero throughout); or every
    evaluation gives exactly the same number, or the training loss is the same to four digits throughout while a bounded metric is less
    than half-way to perfect, so the weights do not change at all; or the metric is the same to the last digit in every evaluation,
    so that one answer is given to everything; or the gradients fell at the beginning to less than 40 %, as an untrained model's
    do when it finds the mean; or, as a warning, eight evaluations or more vary by less than 1 % of their level in all, which is one half
    or more, and no metric with a known scale was logged. Without such a sign, or with a metric alone over fewer than five points, a flat
    loss is a note, unless a metric climbs or the last quarter lies a fifth and four of its own deviations below the start. Without any loss the metrics of both splits must stay
    below a tenth (a fifth, where guessing is not known) of the way to perfect, without a trend. A return in reinforcement
    learning must show no trend over the whole run while the policy's entropy stays where it began (or falls to less than two
    fifths and the return ends below its first points: the policy has settled on actions that bring less), or fall by more than six deviations (four, once it has
    settled; tau above 0.4) and 15 % of its size without ever having risen by four; where the first points are the best, they are
    the start, and 30 % must be lost. Not so where lessons go on, or a rating of self-play or another return climbs. Or it is 0,
    or a success rate that was never above 5 % is 0 and the return at its lowest, at all points of the last quarter. A return
    that moves about and ends no better is a note. Preference tuning is judged by its loss.

First check
    Are the parameters in the optimiser and trainable, is the learning rate above zero, and are gradients above zero?

First action
    Run the tiny overfit test: 64 training samples, no regularisation, until the loss is near zero.

Success rule
    The training loss falls below four fifths of this run's start by more than its noise: in the tiny run if the code can learn
    at all, in a full run once it is mended.

Not to be confused with
    plateau (it did learn before), lr-zero, frozen-weights and vanishing-gradients (which name the cause), a fine-tuning that starts good.

Limits
    A flat loss alone cannot be told from a resumed, converged run.

Sources
    Karpathy, "A Recipe for Training Neural Networks" (initial loss ln K, overfit one batch); trainproof's 5 % rule; simulation.
"""

from __future__ import annotations

import re

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
from tbdiag.detectors._flat_levels import moved_on
from tbdiag.detectors._flatness import (
    climbs,
    evaluations_stand,
    gained,
    gains,
    is_lifeless,
    is_rounded,
    is_steady,
    moves,
    never_changes,
    settled,
    still_falls,
)
from tbdiag.detectors._luck import AUC_ROLES, best_without_luck, ranks
from tbdiag.detectors._returns import no_return
from tbdiag.detectors._words import label, learning_rate, say, say_still, short
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guesses_text, guessing, is_determination, loss_left, metric_level, validates_below
from tbdiag.model import Domain, Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Is the loss flat, and does anything say that flat means untrained?"""
    if view.signals.domain is Domain.REINFORCEMENT:
        return no_return(view)
    train = view.curve("train_loss") or view.curve("val_loss")
    if train is None:
        return _metrics_at_chance(view)
    if train.n < 3:
        return NotApplicable(f"only {train.n} points")
    val, metric = view.curve("val_loss"), view.curve("val_metric") or view.curve("train_metric")
    other = val if val is not None and val is not train and val.n >= 3 else None
    if other is not None and (validates_below(other, train, view.features) or (gains(other, 2 * view["flat"]) and moves(other))):
        return None
    gain = gained(train)
    evidence: list[Evidence] = [
        say(
            f"The {label(train)} began at {{first:.4g}}, was {{best:.4g}} at best and ended at {{end:.4g}}, a gain of {{gain:.1%}}{' beyond its noise' * (train.n >= 10)}.",
            (train,),
            first=train.first,
            best=train.best,
            end=train.end,
            gain=gain,
        )
    ]
    if train.n >= 10 and train.end_cost - train.start_cost > max(6 * train.sigma, 0.2 * abs(train.start_cost)):
        return None  # it left where it was, for worse
    flat = gain < view["flat"] and not moves(train)
    margins, signs = _signs(view, train, val, metric, gain=gain, flat=flat, evidence=evidence)
    if not signs and (not flat or train.n < 10):
        return None
    severity = Severity.ERROR if signs and (train.n >= 5 or not {"metric", "moves"}.issuperset(signs)) else Severity.NOTE
    spread = evaluations_stand(view, other, metric) if not signs and other is not None else None
    if spread is not None and other is not None:
        severity, signs, margins = Severity.WARNING, ["evaluations"], [min(view["evaluations"] / max(spread, 1e-9), 1.5)]
        text = f"In {{n}} evaluations the {label(other)} varies by {{spread:.2%}} of its level in all; weights that had been learned move it by more."
        evidence.append(say(text, (other,), n=other.n, spread=spread))
    if severity is Severity.NOTE and (say_still(train) is None or moved_on(view, train)):
        return None
    return _finding(view, train, severity=severity, evidence=evidence, signs=signs, margins=margins, gain=gain)


def _finding(
    view: View,
    train: CurveFacts,
    *,
    severity: Severity,
    evidence: list[Evidence],
    signs: list[str],
    margins: list[float],
    gain: float,
) -> Finding:
    rate = learning_rate(view)
    causes = [
        Cause("The optimiser does not step the parameters: frozen, not passed to it, or a detached graph"),
        Cause("The learning rate is too low", f"it is {short(rate)}" if rate is not None and rate < 0.99e-6 else ""),
        Cause("Labels are shuffled against the inputs, constant, or wrongly encoded"),
        Cause("Loss and output activation do not match"),
        Cause("The learning rate is so high that the model is lost from the first steps"),
    ]
    if "moves" in signs:
        causes = [causes[2], causes[3], causes[1], causes[4]]
    return Finding(
        id="no-learning",
        severity=severity,
        confidence=confidence(*margins, supports=len(signs) - 1) if severity is not Severity.NOTE else 0.5,
        title=f"No learning: the {label(train)} {'stays' if gain < 0.2 else 'stands'} at {train.end:.4g} (it began at {train.first:.4g})"
        if signs
        else say_still(train) or "",
        onset=Interval(int(train.step[0]), int(train.trace.last_step[min(1, train.trace.n - 1)])),
        extent=Interval(int(train.step[0]), int(train.step[-1])),
        evidence=tuple(evidence),
        causes=tuple(causes),
        first_check="Are the parameters in the optimiser and trainable, is the learning rate above zero, and are gradients above zero?",
        first_action="Run the tiny overfit test: 64 training samples, no regularisation, the same code, until the loss is near zero.",
        fixes=(
            "Check trainable parameters and that the optimiser includes them",
            "Inspect gradient norms per layer: near zero means saturation or a disconnected graph",
            "Raise the learning rate 2 to 5 times",
            "Print a batch: input statistics, unique labels, label frequency",
            "Check what the loss expects: logits or probabilities, indices or one-hot",
            "Reduce model complexity for a test",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    train.signal.key,
                    "best",
                    "<" if train.sign > 0 else ">",
                    0.8 * train.first if train.first > 0 and train.sign > 0 else train.best,
                    sd_times=-4.0 * train.sign,
                    source="four fifths of the start" if train.first > 0 and train.sign > 0 else "best of this run",
                ),
            ),
            sentence=f"The {label(train)} gets better than {0.8 * train.first if train.first > 0 and train.sign > 0 else train.best:.4g} by more than its noise: "
            "in the tiny run if the code can learn at all, in a full run once it is mended.",
            guards=("same-signals", "nothing-non-finite"),
        ),
        phase=CURVES,
        roles=(train.signal.key,),
    )


def _metrics_at_chance(view: View) -> Finding | NotApplicable | None:
    """Without any loss: the metrics of both splits stay where they began, near the bottom of their scale."""
    train, val = view.curve("train_metric"), view.curve("val_metric")
    levels = [metric_level(c, view.features) if c is not None and c.n >= 5 else None for c in (train, val)]
    if train is None or val is None or levels[0] is None or levels[1] is None:
        return NotApplicable("no loss", ("train_loss",))
    best = [level.quality(c.best) for c, level in zip((train, val), levels, strict=True) if level is not None]
    limit = view["quality"] if levels[1].chance else view["quality_unknown"]
    if max(best) > limit or climbs(train) or climbs(val):
        return None
    numbers = {"train": train.best, "val": val.best, "perfect": levels[1].best, **_digits(levels[1].why)}
    text = f"The {label(train)} never got better than {{train:.4g}} and the {label(val)} than {{val:.4g}}; {levels[1].why}, and {{perfect:.4g}} is perfect."
    evidence = [say(text, (train, val), **numbers)]
    margins = [limit / max(*best, 0.02)]
    return _finding(view, train, severity=Severity.ERROR, evidence=evidence, signs=["metric"], margins=margins, gain=0.0)


def _signs(
    view: View,
    train: CurveFacts,
    val: CurveFacts | None,
    metric: CurveFacts | None,
    *,
    gain: float,
    flat: bool,
    evidence: list[Evidence],
) -> tuple[list[float], list[str]]:
    """What says that the flat loss is that of an untrained model."""
    margins: list[float] = []
    signs: list[str] = []
    # At its best: a loss that learned and diverged ends at chance, too.
    left = loss_left(train, view.features, min(train.best, train.end))
    level = metric_level(metric, view.features) if metric is not None and metric.n >= 2 else None
    quality = max(level.quality(metric.best), level.quality(metric.end)) if level is not None and metric is not None else None
    if quality is not None and level is not None and metric is not None and metric.best_index == 0 and is_determination(metric):
        quality = level.quality(metric.end)  # an R2 that only ever got worse was not learned
    constant = val is not None and val.n >= 4 and float(np.ptp(val.value)) <= 2e-6 * float(np.abs(val.value).max())
    constant = constant and val is not None and not is_rounded(float(val.value[0]))
    limit = view["text"] if guesses_text(view.features) else view["chance"]
    # A loss that came down from above must have stopped at guessing.
    stopped = gain < view["gain"] or (left is not None and left < 1.1 and not still_falls(train))
    if (
        left is not None
        and left > limit
        and stopped
        and (quality is None or quality < 0.25 or constant or is_lifeless(metric, quality, left))
    ):
        signs.append("chance")
        margins.append(max(1.0, 2 * (left - limit) / (1 - limit)))
        text = "The loss of guessing is {chance:.4g}; {left:.0%} of it is left."
        evidence.append(say(text, (train,), chance=guessing(view.features).chance or 0.0, left=left))
    poor = quality is not None and quality < view["quality"] and gain < view["gain"] and metric is not None and metric.n >= 3
    if poor and metric is not None and level is not None and level.chance == 0:  # no noise lifts an F1 far above nothing
        poor = level.quality(best_without_luck(metric)) < 1.5 * view["quality"] and not ranks(view, view["quality"])
    skilled = quality is not None and quality > 0  # below no skill at all (an R2 that never leaves zero) nothing climbs
    if poor and metric is not None and level is not None and not (climbs(metric) and skilled):
        signs.append("metric" if flat else "moves")
        margins.append(view["quality"] / max(quality or 0.0, 0.01) if quality is not None else 1.0)
        evidence.append(
            say(
                f"The {label(metric)} never got better than {{best:.4g}}; {level.why}, and {{perfect:.4g}} is perfect.",
                (metric,),
                best=metric.sign * float(metric.cost.min()),
                perfect=level.best,
                **_digits(level.why),
            )
        )
    if constant and val is not None and gain < view["gain"] and is_steady(train):
        signs.append("constant")
        margins.append(4.0)
        text = f"All {{n}} evaluations gave the same {label(val)}, {{value:.6g}}: the weights do not change."
        evidence.append(say(text, (val,), n=val.n, value=float(val.value[0])))
    same = metric is not None and quality is not None and quality < 0.9 and never_changes(metric) and gain < 0.15 and settled(train)
    if same and not signs and metric is not None and (left > view["same_left"] if left is not None else metric.n >= 10):
        signs.append("same answer")
        margins.append(metric.n / 5)
        evidence.append(
            say(
                f"{{n}} evaluations in a row gave the same {label(metric)}, {{value:.4g}}: the model gives one answer to everything.",
                (metric,),
                n=metric.n - metric.n // 10,
                value=float(metric.value[-1]),
            )
        )
    still = train.n >= 8 and float(np.ptp(train.value)) <= view["still"] * abs(median(train.value))
    if still and not signs and quality is not None and quality < 0.5:
        signs.append("still")
        margins.append(2.0)
        evidence.append(
            say(
                f"Its {{n}} points differ by {{spread:.2g}} in all while the {label(metric) if metric is not None else 'metric'} is {{value:.4g}}: "
                "the weights hardly move.",
                (train,) if metric is None else (train, metric),
                n=train.n,
                spread=float(np.ptp(train.value)),
                value=metric.end if metric is not None else float("nan"),
            )
        )
    grad = view.curve("grad_norm")
    if flat and not signs and grad is not None and grad.n >= 20 and (metric is None or not climbs(metric)):
        early, late = median(grad.value[: max(2, grad.n // 20)]), median(grad.value[grad.n // 5 :])
        if early > view["transient"] * late > 0:
            signs.append("transient")
            margins.append(early / late / view["transient"])
            evidence.append(
                say(
                    "Gradients were {early:.3g} at first and {late:.3g} later: the model did move, to what needs no learning.",
                    (grad,),
                    early=early,
                    late=late,
                )
            )
    return margins, signs


def _digits(text: str) -> dict[str, float]:
    """Numbers that a sentence from elsewhere mentions, so that evidence carries them."""
    return {f"said_{i}": float(x) for i, x in enumerate(re.findall(r"(?<![\w.])\d+(?:\.\d+)?", text))}


def _at_chance() -> Run:
    rng = np.random.default_rng(11)
    return _synth.make_run(
        {
            "train/loss": 2.3026 + rng.normal(0, 0.01, 80),
            "val/loss": 2.304 + rng.normal(0, 0.003, 80),
            "val/accuracy": 0.1 + rng.normal(0, 0.004, 80),
        },
        every=20,
    )


def _frozen_evaluation() -> Run:
    rng = np.random.default_rng(12)
    return _synth.make_run({"Loss/train": 0.94 + rng.normal(0, 0.02, 30), "Loss/val": np.full(30, 0.9405)})


def _four_epochs() -> Run:
    return _synth.make_run(
        {"train/loss": [2.31, 2.304, 2.303, 2.303], "val/loss": [2.305, 2.304, 2.303, 2.304], "val/accuracy": [0.1, 0.098, 0.101, 0.1]}
    )


def _converged_before() -> Run:
    rng = np.random.default_rng(13)
    return _synth.make_run(
        {
            "train/loss": 0.05 + rng.normal(0, 0.003, 80),
            "val/loss": 0.08 + rng.normal(0, 0.002, 80),
            "val/accuracy": 0.97 + rng.normal(0, 0.002, 80),
        }
    )


def _slow_start() -> Run:
    rng = np.random.default_rng(14)
    x = np.linspace(0, 1, 100)
    loss = 2.3 - 1.8 / (1 + np.exp(-14 * (x - 0.5)))
    return _synth.make_run({"train/loss": loss + rng.normal(0, 0.02, 100), "val/loss": loss + rng.normal(0, 0.02, 100)})


EXAMPLES = (
    Example("ten classes, loss at ln 10, accuracy at chance", _at_chance, fires=True),
    Example("every evaluation the same", _frozen_evaluation, fires=True),
    Example("four epochs at chance", _four_epochs, fires=True),
    Example("a resumed run that is good", _converged_before, fires=False),
    Example("learns after a slow start", _slow_start, fires=False),
)

DETECTOR = Detector(
    id="no-learning",
    title="No learning",
    summary="The training loss does not move from the start.",
    severity=Severity.ERROR,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "val_loss", "train_metric", "reward", "train_reward", "val_reward"),),
    wants=("val_metric", "train_metric", "lr", "entropy", "grad_norm", "reward_std", *AUC_ROLES),
    domains=SUPERVISED | {Domain.REINFORCEMENT, Domain.PREFERENCE},
    thresholds={
        "flat": Threshold(0.03, "the noise of a flat loss over a run; trainproof uses 5 %"),
        "chance": Threshold(0.95, "within 5 % of the loss of guessing"),
        "text": Threshold(0.9, "the same among 10,000 pieces of text and more; their frequencies alone bring the loss to 60 or 70 % of it"),
        "never_met": Threshold(0.9, "share of the points at which a sparse reward is zero, and at all of the last quarter"),
        "lucky": Threshold(0.05, "successes that an untrained policy meets by chance; two runs that learned nothing had 0.01 and 0.03"),
        "settled": Threshold(0.4, "of its first entropy: the policy has settled, on actions that bring less than its first ones"),
        "unmoved": Threshold(0.03, "range of the policy's entropy, of its start: the policy does not change"),
        "transient": Threshold(2.5, "gradients of a converged, resumed run do not fall at its beginning"),
        "evaluations": Threshold(0.01, "of 8 healthy fine-tunings that gained nothing none moved its evaluations by less than 1.5 %"),
        "worse": Threshold(0.15, "of its size; returns of solved tasks hardly scatter, and one that began solved ended 9 % lower"),
        "lost": Threshold(0.3, "of its size, where the first points were best: few episodes, mostly short ones"),
        "gain": Threshold(0.1, "of its start; a loss that fell by more learned something, be it only to guess"),
        "same_left": Threshold(0.75, "share of the loss of guessing that is left where the metric gives one answer"),
        "still": Threshold(2e-4, "of its level: training losses of batches differ by more, whatever the weights"),
        "quality_unknown": Threshold(0.2, "the same as `quality` where a metric's chance level is not known"),
        "quality": Threshold(0.1, "less than a tenth of the way from chance to perfect"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("plateau", "underfitting", "preference-at-chance"),
)
