"""Confidence against accuracy: what low-confidence and over-confidence share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.detectors._base import Evidence, Interval, SuccessRule, View, predicate
from tbdiag.detectors._tails import begins, lasts, say, since, tail
from tbdiag.features.predictions import confidence_and_accuracy, share_unit
from tbdiag.stats.noise import median

WANTS = ("confidence", "confidence_gap", "val_accuracy", "train_accuracy", "val_loss", "train_loss", "calibration_error")
"""Roles that both detectors look at."""

BEGUN = 0.05
"""Gap from which on it has begun: the resolution of a logged mean over a thousand samples."""


@dataclass(frozen=True)
class Gap:
    """Mean confidence minus accuracy over the last 30 % of the run; `steady` is the part of it that every point there has."""

    value: float
    steady: float
    confidence: float
    accuracy: float
    evidence: Evidence
    onset: Interval
    extent: Interval


def measure_gap(view: View) -> Gap | None:
    """The gap at the end of the run; None where confidence or the accuracy of the same split was not logged."""
    curve = view.curve("confidence_gap")
    pair = confidence_and_accuracy(view.features)
    if curve is None or pair is None:
        return None
    last = tail(curve, least=min(3, curve.n))
    value = median(last)
    steady = float(last.min()) if value > 0 else float(last.max())
    index = since(np.sign(curve.value) * np.abs(curve.value) * np.sign(value) >= min(BEGUN, abs(value)))
    index = curve.n - 1 if index is None else index
    confidence, accuracy = pair
    accurate = median(tail(accuracy)) * share_unit(accuracy.value)
    statement = (
        "The mean confidence is {confidence:.3g} while the accuracy is {accuracy:.3g} over the last part of the run, a gap of {gap:+.3g}."
    )
    evidence = say(statement, (confidence, accuracy), confidence=accurate + value, accuracy=accurate, gap=value)
    return Gap(value, steady, accurate + value, accurate, evidence, begins(curve.step, index), lasts(curve.step, index))


def gap_rule(low: float, high: float) -> SuccessRule:
    """The gap ends within a band."""
    return SuccessRule(
        all=(
            predicate("confidence_gap", "median", "<=", high, window=(0.7, 1.0)),
            predicate("confidence_gap", "median", ">=", low, window=(0.7, 1.0)),
        ),
        sentence=f"In the last 30 % of the run the mean confidence lies between {-low:g} below and {high:g} above the accuracy.",
    )
