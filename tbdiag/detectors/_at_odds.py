"""A loss that is at odds with itself, with its metric or with the number of classes: impossible values, wrong directions, first losses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import e, log

import numpy as np

from tbdiag.detectors._base import Cause, Evidence, Predicate, Severity, View, predicate
from tbdiag.detectors._words import braced, label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, metric_level
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
    check: str = "What does the model put out (logits or probabilities), what does the loss expect, and in which form are the labels?"


def falls_below(loss: CurveFacts, level: float) -> tuple[Predicate, str]:
    """The usual rule of an `Odds` and its sentence: the loss gets below nine tenths of a level (or below one that is not positive)."""
    least = 0.9 * level if level > 0 else level
    return predicate(loss.signal.key, "best", "<", least, source="nine tenths of the level"), f"The {label(loss)} falls below {least:.4g}."


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


def goes_the_wrong_way(view: View) -> Odds | None:
    """A metric that gets worse while the loss of the same split gets better."""
    for split in ("train", "val"):
        loss, metric = view.curve(f"{split}_loss"), view.curve(f"{split}_metric")
        if loss is None or metric is None or min(loss.n, metric.n) < 10:
            continue
        level = metric_level(metric, view.features)
        if level is None or loss.gain <= 0:
            continue
        scale = abs(level.best - level.chance)
        begin, end = median(metric.trace.cost[: max(3, metric.trace.n // 10)]), metric.end_cost
        worse = end - begin
        if worse < view["against"] * scale:
            continue
        falls = find_trend(loss.trace.cost).falling and loss.drop > view["against_fall"] * max(abs(loss.first), 1e-12)
        trend = find_trend(metric.trace.cost)
        if not falls or not trend.rising or worse < 6 * metric.trace.noise.sigma:
            continue
        evidence = say(
            f"The {label(loss)} falls from {{first:.4g}} to {{end:.4g}} while the {label(metric)} goes the wrong way, from {{begin:.4g}} to {{stop:.4g}}.",
            (loss, metric),
            first=loss.first,
            end=loss.end,
            begin=metric.sign * begin,
            stop=metric.end,
        )
        return Odds(
            loss,
            (evidence,),
            confidence(worse / (view["against"] * scale), doubts=1),
            f"The {label(metric)} does not follow its loss",
            (
                Cause("The loss is computed against other targets than the metric"),
                Cause("The metric's sign or its averaging is wrong"),
                Cause("Labels are encoded wrongly: indices where one-hot is expected, or the reverse"),
            ),
            "Compute loss and metric by hand for one batch and compare both with the log.",
            *falls_below(loss, loss.end),
        )
    return None


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
