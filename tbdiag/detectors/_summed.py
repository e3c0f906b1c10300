"""A classification loss that is summed over the samples of a batch instead of averaged: against its own accuracy, and against validation."""

from __future__ import annotations

from math import log

import numpy as np

from tbdiag.detectors._at_odds import Odds, falls_below
from tbdiag.detectors._base import Cause, Evidence, View, predicate
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.features.pairs import pair_up
from tbdiag.model import Mark, Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

MANY = 1000
"""Number of classes that is assumed where none is known: few problems have more, and what a loss may be grows with its logarithm."""


def tell_batch_size(view: View, times: float) -> tuple[Evidence, ...]:
    """Evidence that a factor is the batch size of the configuration, to a third up or down; empty where it is not, or none is known."""
    size = view.signals.setting("batch_size")
    if size is None or size <= 0 or not 0.67 < times / size < 1.5:
        return ()
    return (say("The batch size in the configuration is {size:g}.", (), (), size=size),)


def find_summed(view: View, loss: CurveFacts, split: str) -> Odds | None:
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
    batch = tell_batch_size(view, first)
    evidence = (say(text, (loss, accuracy.signal.why), marks, **numbers, last=ratios[-1]), *batch)
    times = first if batch else times
    logits = Cause("Logits are far too large: initial weights of the wrong scale, or inputs that are not normalised")
    if not equal:
        return Odds(
            loss,
            evidence,
            confidence(times / 8.0, doubts=1),
            f"Loss mismatch: the {label(loss)} is about {times:.0f} times what its accuracy costs",
            (
                logits,
                Cause("The loss is summed instead of averaged, or multiplied by a scale"),
                Cause("Other terms dominate the loss"),
            ),
            "Normalise the inputs and scale the initial weights (of the head first) until the first batch's loss is ln K.",
            *falls_below(loss, chance),
        )
    return Odds(
        loss,
        evidence,
        confidence(times / 4.0, supports=int(bool(batch)), doubts=int(not batch)),
        f"Loss mismatch: the {label(loss)} is about {times:.0f} times a mean cross-entropy",
        (
            Cause("The loss is summed over the samples instead of averaged", "the factor is the batch size" if batch else ""),
            Cause("A weight or a scale multiplies the loss"),
            logits,
        ),
        "Average the loss over the samples (reduction='mean'; a sum multiplies the step by the "
        f"{'batch size' if batch else 'number of samples'}), and check that the first loss is ln K.",
        *falls_below(loss, chance),
    )


def other_reduction(view: View) -> Odds | None:
    """Training that is one multiple of validation while both fall, and begins far above guessing, where validation does not."""
    train, val, guess = view.curve("train_loss"), view.curve("val_loss"), guessing(view.features)
    if train is None or val is None or guess.classes is None or guess.chance is None or min(train.n, val.n) < 6:
        return None
    if train.signal.stem != val.signal.stem:
        return None
    chance, first = guess.chance, float(train.value[0])
    pair = pair_up(train, val)
    ratio = pair.train_at / np.maximum(pair.val.trace.cost, 1e-12)
    cost = pair.val.trace.cost
    if min(float(pair.train_at.min()), float(cost.min())) <= 0:
        return None
    if first < 2 * view["summed"] * chance or float(np.max(cost)) > 1.5 * chance or float(cost[0]) < view["both_fall"] * val.end:
        return None
    third = max(ratio.size // 3, 1)
    parts = [median(ratio[:third]), median(ratio[third : 2 * third] if ratio.size > 2 else ratio), median(ratio[-third:])]
    times = float(np.median(parts))
    if min(parts) < view["reduction"] or max(parts) > 2 * min(parts):
        return None
    batch = tell_batch_size(view, times)
    evidence = say(
        f"The {label(train)} begins at {{begin:.4g}} and ends at {{end:.4g}}, the {label(val)} at {{val_begin:.4g}} and {{val_end:.4g}}: {{times:.3g}} "
        "times as much throughout. Guessing among {classes:.0f} classes costs {chance:.4g}.",
        (train, val),
        (Mark("level", "ln K", None, chance),),
        begin=first,
        end=train.end,
        val_begin=float(cost[0]),
        val_end=val.end,
        times=times,
        classes=float(guess.classes),
        chance=chance,
    )
    return Odds(
        train,
        (evidence, *batch),
        confidence(min(parts) / view["reduction"], supports=int(bool(batch)), doubts=int(not batch)),
        f"Loss mismatch: the {label(train)} is about {times:.0f} times a mean cross-entropy, the {label(val)} is one",
        (
            Cause(
                "The training loss is summed over the samples instead of averaged",
                "the factor is the batch size" if batch else "one factor",
            ),
            Cause("What is logged is a sum over batches that was never divided by their number"),
            Cause("A weight or a scale multiplies the training loss"),
        ),
        "Average the training loss over the samples (reduction='mean'; a sum multiplies every step), or divide what is logged, and check that "
        "the first loss is ln K.",
        predicate("train_loss", "first", "<", view["summed"] * chance, source=f"{view['summed']:g} times ln K"),
        f"The training loss begins below {view['summed'] * chance:.4g}.",
    )


def _honest(error: float, classes: int) -> float:
    """Largest cross-entropy of a model with this share of errors that is honest about them; never below that of 2 % of errors."""
    e = min(max(error, 0.02), 1.0 - 1.0 / classes)
    return -e * log(e) - (1 - e) * log(1 - e) + e * log(max(classes - 1, 1))
