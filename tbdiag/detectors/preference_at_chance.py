"""Preference tuning does not tell chosen from rejected answers.

What it means
    The model prefers the chosen answer in about half of the pairs, as a coin would.

Why it matters
    Nothing of the preferences is learned, whatever the budget.

How it is told
    Over the last half of the run the preference accuracy has a median within 0.03 of 0.5, no trend away from it, and the
    loss, where it was logged, is still within 2 % of ln 2 (the value of the sigmoid loss at the start).

First check
    Read ten pairs as the model gets them (after the chat template), chosen and rejected side by side.

First action
    Check that chosen and rejected are not swapped or equal after tokenisation and truncation.

Success rule
    The preference accuracy ends above 0.6.

Not to be confused with
    lr-too-low (accuracy rises, slowly), label-noise (accuracy stops above chance).

Limits
    Accuracies of small batches scatter; below ten points nothing is said.

Sources
    Literature 6.2 (chance 0.5, loss ln 2 at the start).
"""

from __future__ import annotations

import math

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DATA,
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
from tbdiag.detectors._tails import say, tail
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

_ACCURACIES = ("train_preference_accuracy", "val_preference_accuracy", "preference_accuracy")


def detect(view: View) -> Finding | NotApplicable | None:
    """Accuracy around one half, loss around ln 2."""
    accuracy = next((c for c in (view.curve(k) for k in _ACCURACIES) if c is not None and c.n >= 10), None)
    if accuracy is None:
        return NotApplicable("fewer than ten points of a preference accuracy", ("train_preference_accuracy",))
    late = tail(accuracy, 0.5)
    level = median(late)
    error = 1.25 * float(np.std(late)) / math.sqrt(late.size)
    third = max(late.size // 3, 1)
    trend = float(np.median(late[-third:]) - np.median(late[:third]))
    if abs(level - 0.5) > view["chance"] or error > view["chance"] or trend > 2 * view["chance"]:
        return None
    loss = view.curve("train_loss")
    if loss is not None and abs(median(tail(loss, 0.5)) - math.log(2)) > view["loss"] * math.log(2):
        return None
    evidence = [say("The preference accuracy has a median of {level:.3g} over the last half of the run.", (accuracy,), level=level)]
    if loss is not None:
        evidence.append(say("The loss is {loss:.4g}; knowing nothing gives {chance:.4g}.", (loss,), loss=loss.end, chance=math.log(2)))
    return Finding(
        id="preference-at-chance",
        severity=Severity.WARNING,
        confidence=confidence(view["chance"] / max(abs(level - 0.5), error, 1e-3), doubts=1 + int(loss is None)),
        title=f"Preferences are not learned: accuracy {level:.3g}",
        onset=Interval(int(accuracy.step[0]), int(accuracy.step[0])),
        extent=Interval(int(accuracy.step[0]), int(accuracy.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("Chosen and rejected answers that are equal after truncation, or swapped at random"),
            Cause("A learning rate that is too low, or adapters that are not trained"),
            Cause("Preferences that cannot be told from the text"),
        ),
        first_check="Read ten pairs as the model gets them (after the chat template), chosen and rejected side by side.",
        first_action="Check that chosen and rejected are not swapped or equal after tokenisation and truncation.",
        fixes=(
            "Overfit 32 pairs: the accuracy must reach 1",
            "Raise the learning rate 5 times",
            "Check that the adapter's parameters require gradients",
        ),
        success_rule=SuccessRule(
            all=(predicate(accuracy.signal.key, "end", ">", 0.6),),
            sentence="The preference accuracy ends above 0.6.",
        ),
        phase=DATA,
        roles=(accuracy.signal.key,),
    )


def _chance() -> object:
    rng = np.random.default_rng(181)
    n = 60
    return _synth.make_run(
        {
            "train/loss": math.log(2) + rng.normal(0, 0.002, n),
            "train/rewards/accuracies": 0.5 + rng.normal(0, 0.04, n),
            "train/rewards/margins": rng.normal(0, 0.01, n),
            "train/rewards/chosen": rng.normal(0, 0.01, n),
            "train/rewards/rejected": rng.normal(0, 0.01, n),
        },
        every=10,
    )


def _learns() -> object:
    rng = np.random.default_rng(182)
    n = 60
    x = np.linspace(0, 1, n)
    return _synth.make_run(
        {
            "train/loss": math.log(2) - 0.4 * x,
            "train/rewards/accuracies": 0.5 + 0.3 * x + rng.normal(0, 0.04, n),
            "train/rewards/margins": 2 * x,
            "train/rewards/chosen": x,
            "train/rewards/rejected": -x,
        },
        every=10,
    )


EXAMPLES = (
    Example("accuracy around one half, loss at ln 2", _chance, fires=True),
    Example("accuracy rises to 0.8", _learns, fires=False),
)

DETECTOR = Detector(
    id="preference-at-chance",
    title="Preferences at chance",
    summary="Preference tuning does not tell chosen from rejected answers.",
    severity=Severity.WARNING,
    phase=DATA,
    detect=detect,
    doc=__doc__ or "",
    needs=(_ACCURACIES,),
    wants=("train_loss",),
    domains=frozenset({Domain.PREFERENCE}),
    thresholds={
        "chance": Threshold(0.03, "three standard errors of a thousand pairs are 0.05"),
        "loss": Threshold(0.02, "2 % of ln 2"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
