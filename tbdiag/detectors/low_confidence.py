"""The model is less certain than it is right.

What it means
    The mean of the largest predicted probability is well below the share of right answers: the model knows more than it says.

Why it matters
    Thresholds on probabilities reject right answers; often a softmax applied twice or a far too strong smoothing is the reason.

How it is told
    Mean confidence minus accuracy of the same split is below -0.2 over the last 30 % of the run (a note from -0.1 on: label
    smoothing and mixup give that by design).

First check
    Check whether the logged probabilities went through softmax once, and how strong label smoothing, mixup or temperature are.

First action
    Fit one temperature on the validation logits of the best checkpoint (no retraining).

Success rule
    The mean confidence ends at most 0.1 below the accuracy.

Not to be confused with
    loss-mismatch (softmax twice: confidence has a ceiling), underfitting (confidence and accuracy are both low).

Limits
    Label smoothing, mixup and distillation lower the confidence on purpose.

Sources
    Literature 7.2; Mueller et al., "When does label smoothing help?" (2019) for the size of the effect that is intended.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DIRECTED,
    PREDICTIONS,
    Cause,
    Detector,
    Example,
    Finding,
    NotApplicable,
    Severity,
    Threshold,
    View,
)
from tbdiag.detectors._confidence import WANTS, gap_rule, measure_gap
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """The gap between confidence and accuracy at the end of the run."""
    gap = measure_gap(view)
    if gap is None:
        return NotApplicable("no confidence with an accuracy of the same split", ("confidence",))
    if gap.value > -view["noted"]:
        return None
    strong = gap.value <= -view["gap"] and gap.steady <= -view["gap"] / 2
    return Finding(
        id="low-confidence",
        severity=Severity.WARNING if strong else Severity.NOTE,
        confidence=confidence(gap.value / -view["gap"], doubts=0 if strong else 2),
        title=f"Low confidence: mean confidence {gap.confidence:.3g} at an accuracy of {gap.accuracy:.3g}",
        onset=gap.onset,
        extent=gap.extent,
        evidence=(gap.evidence,),
        causes=(
            Cause("Label smoothing, mixup or distillation that is too strong"),
            Cause("A softmax applied twice, or probabilities taken for logits"),
            Cause("A temperature or a loss that punishes certainty"),
        ),
        first_check="Check whether the logged probabilities went through softmax once, and how strong label smoothing, mixup or temperature are.",
        first_action="Fit one temperature on the validation logits of the best checkpoint (no retraining).",
        fixes=(
            "Set label smoothing to 0.1 or less",
            "Pass raw logits to the loss (one softmax only)",
            "Train longer: confidence follows accuracy",
        ),
        success_rule=gap_rule(-0.1, 1.0),
        phase=PREDICTIONS,
        roles=("confidence", "val_metric"),
    )


def _smoothed() -> object:
    rng = np.random.default_rng(91)
    n = 20
    accuracy = 0.99 - 0.6 * np.exp(-np.arange(n) / 3)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 2.3, 2.13),
            "accuracy/val": accuracy + rng.normal(0, 0.003, n),
            "val/mean_confidence": 0.11 + 0.17 * (1 - np.exp(-np.arange(n) / 3)),
        }
    )


def _usual_smoothing() -> object:
    rng = np.random.default_rng(92)
    n = 20
    accuracy = 0.98 - 0.6 * np.exp(-np.arange(n) / 3)
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 2.3, 0.55),
            "accuracy/val": accuracy + rng.normal(0, 0.003, n),
            "val/mean_confidence": accuracy - 0.07 + rng.normal(0, 0.003, n),
        }
    )


EXAMPLES = (
    Example("confidence 0.28 at an accuracy of 0.99", _smoothed, fires=True),
    Example("label smoothing of 0.1", _usual_smoothing, fires=False),
)

DETECTOR = Detector(
    id="low-confidence",
    title="Low confidence",
    summary="The model is less certain than it is right.",
    severity=Severity.WARNING,
    phase=PREDICTIONS,
    detect=detect,
    doc=__doc__ or "",
    needs=("confidence",),
    wants=WANTS,
    domains=DIRECTED,
    thresholds={
        "gap": Threshold(0.2, "label smoothing of 0.1 and mixup stay below"),
        "noted": Threshold(0.1, "beyond what label smoothing of 0.1 does"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
