"""A classification loss that is summed over the samples of a batch instead of averaged."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.model import Mark, Role
from tbdiag.stats.noise import median

MANY = 1000
"""Number of classes that is assumed where none is known: few problems have more, and what a loss may be grows with its logarithm."""


@dataclass(frozen=True)
class Summed:
    """How many times the loss is what a mean would be; `known` where that is the batch size of the configuration, `equal` where it is one factor."""

    loss: CurveFacts
    chance: float
    times: float
    known: bool
    equal: bool
    evidence: tuple[Evidence, ...]


def find_summed(view: View, loss: CurveFacts, split: str) -> Summed | None:
    """A loss that is the same multiple of what its accuracy costs at the beginning, in the middle and at the end.

    An untrained classifier of K classes loses ln K. A trained one with a share e of errors that means what it says loses at most
    h(e) + e ln(K - 1), h the entropy of e. Where begin, middle and end all exceed that by one factor of three or more (equal to a
    factor of two, or to a third where the accuracy stays below one half), the loss is another unit, not worse. Where K is not known, all
    that holds for a thousand classes (by a factor of twenty where most answers are wrong), and no other term of the loss is logged that could explain it.
    """
    guess = guessing(view.features)
    accuracy = view.curve(f"{split}_accuracy")
    known_k = guess.classes is not None
    if not known_k and any(x.role is Role.LOSS_COMPONENT for x in view.signals.all):
        return None
    k = MANY if guess.classes is None else guess.classes
    if k < 2 or accuracy is None or accuracy.n < 6 or loss.n < 6 or float(loss.value.min()) <= 0:
        return None
    chance = log(k)
    first = float(loss.value[0]) / (chance if known_k else min(chance, _honest(1.0 - float(accuracy.value[0]), k)))
    if first < view["summed"] or (
        first < 4 * view["summed"] and loss.trace.noise_bounds[0] > 0.1 * loss.end and not bool(np.all(np.diff(loss.trace.cost) < 0))
    ):
        return None
    ratios = [first]
    for low, high in ((0.4, 0.6), (0.85, 1.0)):
        part, right = loss.value[loss.between(low, high)], accuracy.value[accuracy.between(low, high)]
        if not part.size or not right.size:
            return None
        ratios.append(median(part) / _honest(1.0 - median(right), k))
    times = float(np.median(ratios))
    # What is hard to predict costs nearly as much as guessing: there one factor must hold all the more closely.
    apart = 2.0 if accuracy.end >= max(0.5, 2 / k) else 1.33
    if not known_k and accuracy.end < 0.5 and min(ratios) < view["summed_unknown"] * view["summed"]:
        return None
    equal = max(ratios) <= apart * min(ratios)
    # No loss that is minimised stays so far above what its own answers cost, whatever the number of classes.
    train = view.curve("train_loss")
    absurd = min(ratios) >= 2 * view["summed"] and (split == "train" or (train is not None and train.end > 0.3 * loss.end))
    if (k * accuracy.end - 1) / (k - 1) < 0.2 or min(ratios) < view["summed"] or not (equal or absurd):
        return None
    batch = view.signals.config.get("batch_size")
    size = float(batch) if isinstance(batch, (int, float)) and not isinstance(batch, bool) else None
    known = size is not None and 0.67 < first / size < 1.5
    among = "{classes:.0f} classes" if known_k else "even {classes:,.0f} classes"
    costs = f"the {{chance:.4g}} of guessing among {among}" if known_k else f"what its accuracy costs at most among {among}"
    text = (
        f"The {label(loss)} begins at {{begin:.4g}}, {{first:.3g}} times {costs}, and ends at {{end:.4g}} with an "
        "accuracy of {accuracy:.3g}, {last:.3g} times what that costs at most."
    )
    numbers = {
        "begin": float(loss.value[0]),
        "first": first,
        "classes": float(k),
        "end": loss.end,
        "accuracy": accuracy.end,
    }
    if known_k:
        numbers["chance"] = chance
    marks = (Mark("level", "ln K", None, chance),) if known_k else ()
    evidence = [say(text, (loss, accuracy.signal.why), marks, **numbers, last=ratios[-1])]
    if known and size is not None:
        evidence.append(say("The batch size in the configuration is {size:g}.", (), (), size=size))
    return Summed(loss, chance, first if known else times, known, equal, tuple(evidence))


def _honest(error: float, classes: int) -> float:
    """Largest cross-entropy of a model with this share of errors that is honest about them; never below that of 2 % of errors."""
    e = min(max(error, 0.02), 1.0 - 1.0 / classes)
    return -e * log(e) - (1 - e) * log(1 - e) + e * log(max(classes - 1, 1))
