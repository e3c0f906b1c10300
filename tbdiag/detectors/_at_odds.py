"""A loss that is at odds with itself, with the other split or with the number of classes: impossible values, reductions, first losses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import e, log

import numpy as np

from tbdiag.detectors._base import Cause, Evidence, Predicate, Severity, View, predicate
from tbdiag.detectors._words import braced, label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, metric_level
from tbdiag.features.pairs import pair_up
from tbdiag.model import Domain, Mark, Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend

_ENTROPY = re.compile(r"cross_?entropy|(^|[^a-z])(bce|xent|ce)(_?loss)?([^a-z]|$)")
_OTHER_SCALE = re.compile(r"(^|[^a-z])(log|log10|ln|delta|diff|norm|normed|normali[sz]ed|relative|excess|neg)([^a-z]|$)")
"""Names of a cross-entropy, and words that make something else of it."""
_SQUARES = re.compile(r"(^|[^a-z])(mse|mean_squared|l2_loss)([^a-z]|$)")


@dataclass(frozen=True)
class Odds:
    """What does not fit, its evidence, causes, action and the rule that it must meet; a note where something else may explain it."""

    loss: CurveFacts
    evidence: tuple[Evidence, ...]
    sure: float
    title: str
    causes: tuple[Cause, ...]
    action: str
    rule: Predicate
    sentence: str
    severity: Severity = Severity.WARNING


def _plain(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def below_zero(view: View, loss: CurveFacts) -> Odds | None:
    """A cross-entropy below zero: of labels that say one class, or shares that add up to one, it is never negative."""
    name = _plain(loss.name)
    if not _ENTROPY.search(name) or _OTHER_SCALE.search(name):
        return None
    last = median(loss.value[loss.between(0.7, 1.0)])
    below = loss.smooth * loss.sign < -3 * loss.sigma
    if last >= 0 or not below[-1] or last > -view["below_zero"] * float(np.ptp(loss.smooth)):
        return None
    first = int(np.argmax(below))
    evidence = [
        say(
            f"The {label(loss)} ('{braced(loss.name)}') is below zero from step {{step:,.0f}} on and ends at {{end:.4g}}; a cross-entropy cannot be.",
            (loss,),
            (Mark("level", "zero", None, 0.0),),
            step=float(loss.step[first]),
            end=loss.end,
        )
    ]
    return Odds(
        loss,
        tuple(evidence),
        confidence(supports=1),
        f"Loss mismatch: a cross-entropy cannot fall below zero, and the {label(loss)} ends at {loss.end:.4g}",
        (
            Cause("Targets outside 0 to 1: class indices, ±1 or values that were not normalised where probabilities are expected"),
            Cause("Log-probabilities or logits where the loss expects the other, so that nothing bounds it"),
            Cause("The sign or a term of the loss is wrong"),
        ),
        "Compute the loss by hand for one batch: print the targets' smallest and largest value and what the loss expects of them.",
        predicate(loss.signal.key, "min", ">=", 0.0, source="the least that a cross-entropy can be"),
        f"The {label(loss)} never falls below zero.",
    )


def stands_at_guessing(view: View, loss: CurveFacts, split: str) -> Odds | None:
    """A loss that never leaves ln K beside an accuracy that did: what is measured is not what is answered."""
    guess, accuracy = guessing(view.features), view.curve(f"{split}_accuracy")
    if guess.classes is None or guess.chance is None or accuracy is None or min(accuracy.n, loss.n) < 6:
        return None
    chance, level = guess.chance, metric_level(accuracy, view.features)
    low, high = float(loss.trace.smooth.min()), float(loss.trace.smooth.max())
    if level is None or max(chance - low, high - chance) > view["at_guessing"] * chance or find_trend(loss.trace.cost).falling:
        return None  # a rate far too low makes answers right long before it makes them sure; there the loss falls, however slowly
    quality = level.quality(accuracy.end)
    if quality < view["far_above"] or quality - level.quality(accuracy.first) < 0.5 * view["far_above"]:
        return None  # an accuracy that was there from the start is that of the most frequent class
    label_split = "training" if split == "train" else "validation"
    evidence = say(
        f"The {label(loss)} stays between {{low:.4g}} and {{high:.4g}}, the {{chance:.4g}} of guessing among {{classes:.0f}} classes, while the "
        f"{label_split} accuracy ends at {{accuracy:.3g}}.",
        (loss, accuracy.signal.why),
        (Mark("level", "ln K", None, chance),),
        low=low,
        high=high,
        chance=chance,
        classes=float(guess.classes),
        accuracy=accuracy.end,
    )
    return Odds(
        loss,
        (evidence,),
        confidence(quality / view["far_above"], doubts=1),
        f"Loss mismatch: the {label(loss)} stays at the loss of guessing while the {label_split} accuracy is {accuracy.end:.3g}",
        (
            Cause("The logged loss is not the loss of these answers: another head, other targets, or computed before the model"),
            Cause("Logits are divided by a large temperature, or normalised without a scale"),
            Cause("Accuracy and loss are computed on other data or other labels"),
        ),
        "Compute loss and accuracy by hand for one batch from the same logits and labels, and compare both with the log.",
        predicate(loss.signal.key, "best", "<", 0.9 * chance, source="nine tenths of the loss of guessing"),
        f"The {label(loss)} falls below {0.9 * chance:.4g}.",
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
    batch = view.signals.config.get("batch_size")
    size = float(batch) if isinstance(batch, (int, float)) and not isinstance(batch, bool) else None
    known = size is not None and 0.67 < times / size < 1.5
    evidence = [
        say(
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
    ]
    if known and size is not None:
        evidence.append(say("The batch size in the configuration is {size:g}.", (), (), size=size))
    return Odds(
        train,
        tuple(evidence),
        confidence(min(parts) / view["reduction"], supports=int(known), doubts=int(not known)),
        f"Loss mismatch: the {label(train)} is about {times:.0f} times a mean cross-entropy, the {label(val)} is one",
        (
            Cause(
                "The training loss is summed over the samples instead of averaged",
                "the factor is the batch size" if known else "one factor",
            ),
            Cause("What is logged is a sum over batches that was never divided by their number"),
            Cause("A weight or a scale multiplies the training loss"),
        ),
        "Average the training loss over the samples (reduction='mean'; a sum multiplies every step), or divide what is logged, and check that "
        "the first loss is ln K.",
        predicate("train_loss", "first", "<", view["summed"] * chance, source=f"{view['summed']:g} times ln K"),
        f"The training loss begins below {view['summed'] * chance:.4g}.",
    )


def first_above(view: View) -> Odds | None:
    """Note on a first training loss that is a multiple of ln K: logits too large, a sum, or first updates that threw it up."""
    loss, guess = view.curve("train_loss"), guessing(view.features)
    accuracy = view.curve("train_accuracy") or view.curve("val_accuracy")
    if loss is None or guess.classes is None or guess.chance is None or accuracy is None or loss.n < 6 or float(loss.value.min()) <= 0:
        return None
    others = any(x.role is Role.LOSS_COMPONENT for x in view.signals.all)
    first = float(loss.value[0])
    if others or view.signals.domain is not Domain.SUPERVISED or first < view["summed"] * guess.chance:
        return None
    evidence = say(
        f"The {label(loss)} begins at {{first:.4g}}; guessing among {{classes:.0f}} classes costs {{chance:.4g}}.",
        (loss,),
        (Mark("level", "ln K", None, guess.chance),),
        first=first,
        classes=float(guess.classes),
        chance=guess.chance,
    )
    return Odds(
        loss,
        (evidence,),
        confidence(first / (view["summed"] * guess.chance), doubts=2),
        f"The first {label(loss)} is {first / guess.chance:.1f} times the loss of guessing among {guess.classes} classes",
        (
            Cause("Initial weights of the wrong scale (of the head first), or inputs that are not normalised: logits are far too large"),
            Cause("The loss is summed instead of averaged, or other terms are in it"),
            Cause("The first updates threw it up before it was logged"),
        ),
        "Log the loss of the first batch before any update, and scale the head's initial weights until it is ln K.",
        predicate("train_loss", "first", "<", 1.5 * guess.chance, source="one and a half times ln K"),
        f"The training loss begins below {1.5 * guess.chance:.4g}.",
        Severity.NOTE,
    )


def stands_at_floor(view: View) -> Odds | None:
    """Note on two losses that stand at the floor of a double softmax where no metric says how good the answers are."""
    train, val, guess = view.curve("train_loss"), view.curve("val_loss"), guessing(view.features)
    if train is None or val is None or guess.classes is None or guess.classes < 3 or guess.chance is None or min(train.n, val.n) < 8:
        return None
    if view.curve("train_metric") is not None or view.curve("val_metric") is not None:
        return None
    floor = log(e + guess.classes - 1) - 1
    for loss in (train, val):
        fallen = loss.start_cost - loss.end
        late = loss.trace.cost[loss.trace.within(0.6, 0.8)]
        still = late.size > 0 and median(late) - loss.end < 0.05 * fallen
        near = float(loss.trace.smooth.min()) > 0.98 * floor and loss.end < (1 + 1.5 * view["floor"]) * floor
        if not near or not still or fallen < 0.08 * guess.chance or loss.start_cost > 1.2 * guess.chance:
            return None
    evidence = say(
        "The training loss stands at {train:.4g} and the validation loss at {val:.4g}. With {classes:.0f} classes and softmax applied twice no loss "
        "falls below {floor:.4g}, however good the answers.",
        (train, val),
        (Mark("level", "floor", None, floor),),
        train=train.end,
        val=val.end,
        classes=float(guess.classes),
        floor=floor,
    )
    return Odds(
        train,
        (evidence,),
        confidence(1.0, doubts=1),
        f"Both losses stand at {train.end:.4g}, the floor of softmax applied twice",
        (
            Cause("The head applies a softmax and the loss expects logits"),
            Cause("The data allow no more: the level is one of many, and no accuracy was logged"),
        ),
        "Log the accuracy: if it is far above one half, remove the softmax in the head.",
        predicate("train_loss", "best", "<", 0.9 * floor, source="nine tenths of the floor"),
        f"The training loss falls below {0.9 * floor:.4g}.",
        Severity.NOTE,
    )


def squares(view: View) -> Odds | None:
    """Note on a squared error in a run that tells several classes apart."""
    loss, guess = view.curve("train_loss"), guessing(view.features)
    accuracy = view.curve("train_accuracy") or view.curve("val_accuracy")
    if loss is None or guess.classes is None or guess.classes < 3 or accuracy is None or not _SQUARES.search(_plain(loss.name)):
        return None
    evidence = say(
        f"The loss is a squared error ('{braced(loss.name)}') while {{classes:.0f}} classes are told apart with an accuracy of {{accuracy:.3g}}.",
        (loss, accuracy.signal.why),
        classes=float(guess.classes),
        accuracy=accuracy.end,
    )
    return Odds(
        loss,
        (evidence,),
        confidence(1.0, doubts=1),
        f"A squared error trains a classifier of {guess.classes} classes",
        (Cause("A loss for regression was taken for classification"), Cause("It was chosen on purpose (Brier score, distillation)")),
        "Rerun unchanged except for a cross-entropy on the logits, and compare the accuracy.",
        predicate(accuracy.name, "end", ">", accuracy.end, source="this run's accuracy"),
        f"The accuracy ends above {accuracy.end:.3g}.",
        Severity.NOTE,
    )
