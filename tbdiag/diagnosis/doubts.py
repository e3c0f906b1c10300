"""Why a run without an error or a warning is not called healthy: what its curves or its notes say against that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.detectors._base import CURVES, PREDICTIONS
from tbdiag.detectors._returns import RETURNS
from tbdiag.detectors._words import label, unit
from tbdiag.diagnosis.words import say_clause
from tbdiag.features import CurveFacts, Features
from tbdiag.features.disagreement import look_behind
from tbdiag.features.levels import counts_words, metric_level
from tbdiag.features.tasks import never_succeeds, task_moves
from tbdiag.model import Domain, Finding, Role

LAST, SMOOTHED, OF_GAIN = 0.10, 0.05, 0.15
"""A validation loss left its best where its last value lies a tenth above it, its end as a median a twentieth, and that is 15 % of all that it
had gained; 2 of 756 healthy labelled runs do."""
OF_THREE = 0.2
"""Of the best of three evaluations, by which the last must lie above it, and each above the one before: by chance one in six rises so."""
AT_GUESSING = 0.05
"""Of the way from guessing to perfect, that no evaluation passes; the best evaluation of every healthy labelled run passes 0.26."""
FEW = 3
"""Evaluations from which on a course is told."""
LEARNED = 0.5
"""Share of its first value at which a training loss ends that has learned something: then the only evaluations must show it."""
OTHER_SCALE = 10.0
"""Times training's highest loss from which on a validation loss is rather a sum beside a mean."""
RULE = "the next run logs at least 10 evaluations, of which the last is better than the first"
MANY, UNMOVED = 20, 0.05
"""Points from which on losses of exactly 0 are no rounding; range of the entropy, of its first value, of a policy that hardly changed."""

USUAL = frozenset({"no-learning", "underfitting", "spikes", "low-confidence"})
"""Notes on curves and predictions that healthy runs carry too (a hard task, one spike); `no-learning` has its own words."""

SHOWN = frozenset({"kl-blow-up"})
"""Notes on settings that are seen in the curves as well."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against calling a run healthy, as a clause, what to do about it, and the rule for the next run."""

    seen: str
    action: str
    rule: str = "the next run ends no worse"


def find_doubt(findings: tuple[Finding, ...], features: Features) -> Doubt | None:
    """The first of: a note on the curves or the predictions, validation that never left guessing, or that ended far above its best.

    Of an agent: successes that never came, losses that are nothing, a return of few points that never rose.
    """
    # Where the opponent or the task changes, a return says little of what was learned.
    usual = USUAL | {"return-collapse"} if task_moves(features.signals) else USUAL
    notes = [f for f in findings if f.severity.rank == 2 and f.id not in usual]
    told = next((f for f in notes if f.phase in (CURVES, PREDICTIONS) or f.id in SHOWN), None)
    if told is not None:
        return Doubt(say_clause(told.title), told.first_action, told.success_rule.sentence)
    if features.signals.domain is Domain.REINFORCEMENT:
        return _never_solved(features) or _nothing_arrives(features) or _no_better(features)
    return _at_guessing(features) or _ends_badly(features) or _left_its_best(features)


def _at_guessing(features: Features) -> Doubt | None:
    metric = features.curve("val_metric")
    level = metric_level(metric, features) if metric is not None and metric.n >= FEW and not counts_words(features) else None
    if level is None or metric is None:
        return None
    best = float(metric.value[int(np.argmin(metric.cost))])
    if level.quality(best) >= AT_GUESSING:
        return None
    return Doubt(
        f"the {label(metric)} never got better than {best:.3g}, where guessing gives {level.chance:.3g}",
        "none that is sure: look at 20 validation samples with their labels and predictions first",
        f"the {label(metric)} leaves what guessing gives",
    )


def _ends_badly(features: Features) -> Doubt | None:
    """One evaluation or two behind the middle of a training whose loss halved: a metric at guessing, or a loss above training's first."""
    train = features.curve("train_loss")
    if train is None or train.n < 5 or train.signed or train.end_cost > LEARNED * train.first or counts_words(features):
        return None
    middle = 0.5 * (float(train.step[0]) + float(train.step[-1]))
    metric, val = (
        c if c is not None and 0 < c.n < FEW and c.step[0] >= middle else None for c in map(features.curve, ("val_metric", "val_loss"))
    )
    level = metric_level(metric, features) if metric is not None else None
    seen = []
    if metric is not None and level is not None and level.quality(metric.sign * float(metric.cost.min())) < AT_GUESSING:
        best = metric.sign * float(metric.cost.min())
        seen.append(f"the {label(metric)} is {best:.3g} at the end, where guessing gives {level.chance:.3g}")
    top = float(train.cost.max())
    if val is not None and val.signal.stem == train.signal.stem and top < val.best_cost < OTHER_SCALE * top:
        seen.append(f"the {label(val)} is {val.best:.4g} at the end, above all {train.n:,} points of the training loss")
    if not seen:
        return None
    return Doubt(
        ", and ".join(seen), "none that is sure: evaluate ten times in the next run, and look at 20 validation samples first", RULE
    )


def _never_solved(features: Features) -> Doubt | None:
    unsolved = never_succeeds(features.signals)
    if unsolved is None or unsolved.series is None:
        return None
    return Doubt(
        f"{unsolved.name} is 0 at all {len(unsolved.series)} points",
        "none that is sure: watch ten episodes first, and see what keeps them from success, or whether it is counted at all",
        f"{unsolved.name} leaves 0",
    )


def _nothing_arrives(features: Features) -> Doubt | None:
    """Both losses of an actor and its critic at exactly 0: no reward and no advantage ever differs from nothing."""
    losses = [features.curve(key) for key in ("policy_loss", "value_loss")]
    if any(c is None or c.n < MANY or np.any(c.value) for c in losses):
        return None
    return Doubt(
        f"policy loss and value loss are exactly 0 at all {min(c.n for c in losses if c is not None)} points: no reward reaches this policy",
        "none that is sure: check first that its agents get rewards and are trained at all",
        "policy loss and value loss leave 0",
    )


def _no_better(features: Features) -> Doubt | None:
    """A return of few points that ended no higher than it began, beside a policy whose entropy stayed where it was."""
    curve = next((c for c in map(features.curve, RETURNS) if c is not None and c.n), None)
    entropy = features.curve("entropy")
    if curve is None or not FEW + 2 <= curve.n < 15 or entropy is None or entropy.n < FEW or task_moves(features.signals):
        return None
    gain, size = curve.first_cost - curve.end_cost, max(abs(curve.first), abs(curve.end))
    late = int(np.argmin(curve.cost)) >= 0.8 * (curve.n - 1)
    if late or gain > max(2 * curve.sigma, 0.02 * size) or float(np.ptp(entropy.value)) > UNMOVED * abs(entropy.first):
        return None
    return Doubt(
        f"the {label(curve)} ended at {curve.end:.4g}, no better than it began ({curve.first:.4g}), and the policy's entropy stayed where it was",
        "none that is sure: let it run on, with ten times as many points of the return, until it moves",
        f"the {label(curve)} ends above {curve.first:.4g} by more than its noise",
    )


def _left_its_best(features: Features) -> Doubt | None:
    val = features.curve("val_loss")
    if val is None or val.n < FEW or val.signal.role is not Role.LOSS or float(val.cost.min()) <= 0:
        return None
    i = int(np.argmin(val.cost))
    best, last = float(val.cost[i]), float(val.cost[-1])
    if last - best <= LAST * best or val.end_cost - best <= max(SMOOTHED * best, OF_GAIN * (float(val.cost[0]) - best)):
        return None
    if val.n == FEW and (np.any(np.diff(val.cost) <= 0) or last < (1 + OF_THREE) * best):
        return None
    metric = features.curve("val_metric")
    keep = f"keep the checkpoint of {unit(val)} {int(val.step[i]):,}"
    if metric is not None and _goes_on(val, metric):
        keep = f"choose the checkpoint by the {label(metric)}, which went on improving"
    return Doubt(
        f"the {label(val)} ended at {last:.4g}, {(last - best) / best:.0%} above its best of {best:.4g} at {unit(val)} {int(val.step[i]):,}",
        f"none that is sure: {keep}",
        f"the {label(val)} ends within a twentieth of its best",
    )


def _goes_on(val: CurveFacts, metric: CurveFacts) -> bool:
    """Whether the metric went on improving behind the best of the loss: of three evaluations in a row each must be better than the one before."""
    behind = look_behind(val, metric)
    return behind.gains if behind is not None else metric.n == FEW and bool(np.all(np.diff(metric.cost) < 0))
