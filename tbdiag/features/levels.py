"""How good a value is, where that can be told: bounded metrics against chance, losses against the loss of guessing.

A loss without a known chance level has no bad level; functions return None then, and detectors stay careful.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tbdiag.features.curves import CurveFacts
from tbdiag.model import Direction, Domain, Scale, Signals

_ZERO = re.compile(
    r"(^|[^a-z])(f1|f_?score|fbeta|precision|recall|m?ap(\d|$|_|\b)|map|m?iou|jaccard|dice|kappa|mcc|matthews|r2|r_squared|exact_match|em$)"
)
_ACCURACY = re.compile(r"acc|top_?\d|hits?_?(at|@)|correct")
_AUC = re.compile(r"auc|auroc|roc")
_ERROR = re.compile(r"error|(^|[^a-z])(wer|cer|err)([^a-z]|$)")


@dataclass(frozen=True, slots=True)
class Level:
    """Meaning of a metric's values: the value of guessing, the best value, and how the guess is known."""

    chance: float
    best: float
    why: str

    def quality(self, value: float) -> float:
        """0 at chance, 1 at the best possible value; negative below chance."""
        return (value - self.chance) / (self.best - self.chance)


def metric_level(curve: CurveFacts, signals: Signals) -> Level | None:
    """Chance and best value of a metric with bounds; None for metrics without (MAE, BLEU, perplexity, unknown names)."""
    name = (curve.signal.stem or curve.signal.name).lower()
    unit = 100.0 if curve.signal.scale is Scale.PERCENT or (curve.signal.scale is Scale.UNKNOWN and float(curve.value.max()) > 1.5) else 1.0
    if float(curve.value.max()) > 1.01 * unit or (unit == 100.0 and float(curve.value.max()) > 100.5):
        return None
    if curve.signal.direction is Direction.LOWER:
        return Level(unit, 0.0, "an error rate of 1 is the worst") if _ERROR.search(name) else None
    if curve.signal.direction is not Direction.HIGHER:
        return None
    if _AUC.search(name):
        return Level(0.5 * unit, unit, "an AUC of 0.5 is guessing")
    if _ZERO.search(name):
        return Level(0.0, unit, "0 is no skill")
    if _ACCURACY.search(name):
        classes = signals.classes
        if classes and classes >= 2:
            return Level(unit / classes, unit, f"guessing among {classes} classes")
        return Level(0.0, unit, "the number of classes is not known")
    return None


def loss_left(curve: CurveFacts, signals: Signals, value: float) -> float | None:
    """Share of the loss of guessing that is left at `value`; None where that loss is not known or the loss can be negative."""
    chance = signals.chance
    if chance is None or chance <= 0 or float(curve.value.min()) < 0:
        return None
    return value / chance


def counts_words(signals: Signals) -> bool:
    """Whether the targets are tokens, whose entropy is high and unknown, so that a low accuracy is normal."""
    return signals.domain in (Domain.LANGUAGE_MODEL, Domain.PREFERENCE, Domain.DIFFUSION) or (signals.classes or 0) > 40
