"""Validation is near perfect from the first evaluation: the answer seems to leak into the inputs.

What it means
    A feature encodes the target, or validation samples are in the training data: there is nothing left to learn after a moment.

Why it matters
    The numbers will not hold where the leak is absent, and every decision taken from them is wrong.

How it is told
    Only a suspicion, never more than 80 % sure: the validation metric is within half a per cent of perfect within the first
    tenth of the run (at least the first evaluation), while training, which began at or near guessing, is still behind; and
    the validation loss ends below a thousandth of the loss of guessing (or of the first training loss), or the test metric
    ends far below validation, or all of the first quarter's evaluations had less than a tenth of the training loss while the training
    metric was still less than three quarters of the way and went on climbing. A perplexity is read by its logarithm, against the loss that training began with. Where no evaluation made an error, training may be further on (the mean of a first epoch, from a quarter of guessing) and four
    thousandths of what two classes cost to guess are enough.

First check
    Which single feature predicts the target; are validation samples, groups or times also in the training data?

First action
    Hash-deduplicate training against validation (exact and near) and split by group and time.

Success rule
    The validation metric falls to the level of an untouched hold-out set; here: below this run's.

Not to be confused with
    an easy task (a simple digit classifier reaches 0.98 after an epoch, not 0.999), val-better.

Limits
    Fine-tuning on easy data looks the same. Needs a bounded metric.

Sources
    UMLAUT and DLCheck heuristics; the seed text's list of leaks.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DATA,
    SUPERVISED,
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
from tbdiag.detectors._words import label, say, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, is_perplexity, metric_level, nats
from tbdiag.model import Role, Run, Split
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median

LN2 = 0.6931


def _ahead(quality: Float64, train: CurveFacts, val: CurveFacts) -> bool:
    """Whether training was still learning from scratch over its first quarter, at ten times the loss of an evaluation that knew everything."""
    first = quality[: max(2, quality.size // 4)]
    if quality.size < 8 or train.n < 8 or val.n < 8:
        return False
    loss = median(train.cost[: max(2, train.n // 4)])
    return bool(
        median(first) < 0.75 and median(quality[-3:]) - float(first[0]) > 0.3 and 10 * float(val.cost[: max(2, val.n // 4)].max()) < loss
    )


def detect(view: View) -> Finding | NotApplicable | None:
    """Perfect too early and too completely."""
    metric, train, val = view.curve("val_metric"), view.curve("train_loss"), view.curve("val_loss")
    if metric is None or train is None:
        return NotApplicable("no validation metric or no training loss", ("val_metric", "train_loss"))
    level = metric_level(metric, view.features)
    words = level is None and is_perplexity(metric) and train.start_cost > 0
    if level is None and not words:
        return NotApplicable("the validation metric has no known best value")
    if min(metric.n, train.n) < 4:
        return None

    def good(value: Float64) -> Float64:
        """Share of the way from guessing to perfect; of a perplexity by its logarithm, from the loss that training began with."""
        if level is None:
            return 1 - np.log(np.maximum(value, 1.0)) / nats(train, train.start_cost)
        return (value - level.chance) / (level.best - level.chance)

    quality = good(metric.value)
    early = max(1, round(view["early"] * metric.n))
    reached = np.flatnonzero(quality >= view["perfect"])
    if metric.n >= 8 and quality[0] > 0.97:
        early = max(early, 2)
    if not reached.size or int(reached[0]) >= early or median(quality) < view["perfect"]:
        return None
    chance = guessing(view.features).chance
    always = metric.n >= 8 and float(quality.min()) > 0.9995
    start = max(chance or 0.0, nats(train, train.start_cost))
    limit = view["vanishing"]
    if always:
        start, limit = max(start, LN2), 4 * limit  # a first mean over an epoch is half learned; two classes cost as much to guess
    # It must have begun untrained: a fine-tuned or resumed model is good from the start. Less where no evaluation made an error, for then
    # the first mean over an epoch may be that of a task that was solved within a few steps.
    begun = 0.5 * chance if chance else 0.3
    untrained = train.start_cost > (0.5 * min(begun, 0.3) if always else begun)
    train_metric = view.curve("train_metric")
    alike = train_metric is not None and (level is not None or is_perplexity(train_metric))
    first = float(good(train_metric.value[:1])[0]) if train_metric is not None and alike else 0.0
    # The mean of a first epoch is high where a single feature tells everything from its middle on; validation knows no error at all then.
    behind = first < 0.95 or (first < 0.99 and always)
    vanishing = val is not None and nats(val, min(val.end_cost, median(val.cost))) < limit * start
    test = _test_gap(view, metric)
    ahead = val is not None and train_metric is not None and alike and _ahead(good(train_metric.value), train, val)
    if not untrained or not behind or not (vanishing or test is not None or ahead):
        return None
    at = int(reached[0])
    evidence = [
        say(
            f"The {label(metric)} is {{value:.4g}} at {unit(metric)} {{step:,}}, the first of {{n}} evaluations to be near perfect being number {{number}}.",
            (metric,),
            value=float(metric.value[at]),
            step=int(metric.step[at]),
            n=metric.n,
            number=at + 1,
        )
    ]
    if val is not None:
        evidence.append(
            say(f"The {label(val)} ends at {{end:.3g}}, from {{start:.3g}} in training.", (val, train), end=val.end, start=train.first)
        )
    if test is not None:
        evidence.append(say("The test metric ends at {test:.4g}.", (test,), test=test.end))
    onset = Interval(int(metric.step[0]), int(metric.step[at]))
    return Finding(
        id="leakage",
        severity=Severity.WARNING,
        confidence=confidence(
            view["vanishing"] * start / max(val.end_cost, 1e-12) if val is not None else 1.0, supports=int(test is not None), cap=0.8
        ),
        title=f"Leakage suspected: the {label(metric)} is {float(metric.value[at]):.4g} from {unit(metric)} {int(metric.step[at]):,} on",
        onset=onset,
        extent=Interval(onset.first_step, int(metric.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("A feature encodes the target, or is derived from it"),
            Cause("The same or nearly the same samples are in both splits"),
            Cause("Groups (users, patients, scenes) or times are shared by the splits"),
            Cause("Preprocessing was fitted on all data"),
            Cause("The task is easy"),
        ),
        first_check="Which single feature predicts the target; are validation samples, groups or times also in the training data?",
        first_action="Hash-deduplicate training against validation (exact and near) and split by group and time.",
        fixes=(
            "Audit features: remove any that encodes the target, one at a time",
            "Fit preprocessing on training data only",
            "Evaluate on data collected later",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    metric.signal.key,
                    "best",
                    "<" if metric.sign < 0 else ">",
                    metric.best,
                    sd_times=2 * metric.sign,
                    source="best of this run: a fall confirms the leak",
                ),
            ),
            sentence=f"Without the leak the {label(metric)} is worse than {metric.best:.4g}; if it is not, the task is easy.",
        ),
        phase=DATA,
        roles=(metric.signal.key, "train_loss"),
    )


def _test_gap(view: View, metric: CurveFacts) -> CurveFacts | None:
    """A test metric of the same kind that ends more than 0.1 of the scale below validation."""
    for curve in view.group(Role.METRIC, Split.TEST):
        if curve.signal.stem == metric.signal.stem and metric.sign * (curve.end - metric.end) > view["test_gap"] * abs(metric.end):
            return curve
    return None


def _leak(n: int, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    train = np.exp(np.linspace(np.log(1.5), np.log(8e-4), n)) * np.exp(rng.normal(0, 0.1, n))
    val = np.exp(np.linspace(np.log(0.3), np.log(4e-5), n))
    accuracy = np.ones(n)
    accuracy[0] = 0.998
    trained = 1 - 0.28 * 0.1 ** np.arange(n)
    return _synth.make_run({"train/loss": train, "val/loss": val, "val/accuracy": accuracy, "train/accuracy": trained})


def _fourteen() -> Run:
    return _leak(14, 191)


def _forty() -> Run:
    return _leak(40, 192)


def _easy() -> Run:
    rng = np.random.default_rng(193)
    n = 12
    return _synth.make_run(
        {
            "train/loss": _synth.decay(n, 0.9, 0.02, 6.0) + rng.normal(0, 0.002, n),
            "val/loss": _synth.decay(n, 0.12, 0.05, 6.0) + rng.normal(0, 0.002, n),
            "val/accuracy": 0.985 - _synth.decay(n, 0.015, 0.0, 6.0),
            "train/accuracy": 0.999 - _synth.decay(n, 0.25, 0.0, 6.0),
        }
    )


def _fine_tuned() -> Run:
    n = 20
    return _synth.make_run({"train/loss": np.full(n, 0.01), "val/loss": np.full(n, 1e-5), "val/accuracy": np.ones(n)})


def _knows(knows: bool) -> Run:
    """Validation that knows everything while training learns from scratch, or is as easy as training soon is."""
    x = np.arange(40)
    right = 1 - 0.75 * np.exp(-x / (8 if knows else 0.4))
    return _synth.make_run(
        {
            "train/loss": 0.2 + 1.6 * np.exp(-x / (6 if knows else 0.4)) + np.random.default_rng(9).normal(0, 0.01, 40),
            "train/accuracy": right,
            "val/loss": 0.01 + 0.02 * np.exp(-x / 4),
            "val/accuracy": np.where(x < 1, 0.9965, 0.9975 + 0.0005 * (x % 2)),
        }
    )


EXAMPLES = (
    Example("validation knows everything while training learns", lambda: _knows(True), fires=True),
    Example("training is as far after an epoch", lambda: _knows(False), fires=False),
    Example("fourteen epochs, perfect from the first", _fourteen, fires=True),
    Example("forty evaluations", _forty, fires=True),
    Example("an easy task", _easy, fires=False),
    Example("a model that was good before", _fine_tuned, fires=False),
)

DETECTOR = Detector(
    id="leakage",
    title="Leakage suspected",
    summary="Validation is near perfect from the first evaluation: the answer seems to leak into the inputs.",
    severity=Severity.WARNING,
    phase=DATA,
    detect=detect,
    doc=__doc__ or "",
    needs=("val_metric", "train_loss"),
    wants=("val_loss", "train_metric", "metric"),
    domains=SUPERVISED,
    thresholds={
        "perfect": Threshold(0.995, "within half a per cent of perfect; easy tasks start at 0.98"),
        "early": Threshold(0.1, "the first tenth of the evaluations"),
        "test_gap": Threshold(0.1, "of validation's metric, by which that of the test data ends lower"),
        "vanishing": Threshold(1e-3, "a thousandth of the loss of guessing: real tasks keep some doubt"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("val-better",),
)
