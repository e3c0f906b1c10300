"""What a tiny overfit test reached: shared by the detector of its failure and the note of its success."""

from __future__ import annotations

from dataclasses import dataclass

from tbdiag.detectors._base import NotApplicable, SuccessRule, View, predicate
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing
from tbdiag.features.tiny import TinyTest
from tbdiag.stats.noise import median

WANTS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
"""Roles that tell what the test reached; those of validation where the test's samples are all that was logged."""


@dataclass(frozen=True)
class Attempt:
    """A tiny overfit test and how far it got.

    Attributes:
        curve: what it is judged by (the loss, else the accuracy); accuracy: the training accuracy as a fraction, where logged.
        first, reached: first and best value of `curve`; left: share of `reference` that is left of the loss (None for an accuracy).
        mismatch: perfect accuracy with a loss that stands high; unmoved: less than 2 % of the start was gained.
        falling: still improving in its last quarter; margin: how far beyond the limit it ended (at least 1 where it failed).
    """

    test: TinyTest
    curve: CurveFacts
    accuracy: CurveFacts | None
    first: float
    reached: float
    left: float | None
    reference: str
    passed: bool
    mismatch: bool
    unmoved: bool
    falling: bool
    margin: float


def measure_attempt(view: View) -> Attempt | NotApplicable:
    """How far the test got, by the training loss and accuracy (validation's where training's were not logged)."""
    test = view.features.tiny_test
    if test is None:
        return NotApplicable("the run does not say that it is a tiny overfit test")
    loss = view.curve("train_loss") or view.curve("val_loss")
    accuracy = view.curve("train_accuracy") or view.curve("val_accuracy")
    perfect = accuracy is not None and accuracy.best >= view["accuracy"]
    if loss is not None and float(loss.value.min()) >= 0 and loss.n >= view["least_points"]:
        chance = guessing(view.features).chance
        start = float(loss.start_cost)
        reference, words = (chance, "the loss of guessing") if chance else (start, "its first value")
        left = loss.best_cost / reference if reference > 0 else 0.0
        unmoved = loss.first_cost - loss.best_cost < 0.02 * abs(loss.first_cost)
        falling = _falls(loss) and not unmoved
        mismatch = perfect and left > view["stuck_left"] and not falling
        passed = left <= view["loss_left"] or (perfect and not mismatch)
        margin = left / (view["stuck_left"] if mismatch else view["loss_left"])
        return Attempt(test, loss, accuracy, loss.first, loss.best, left, words, passed, mismatch, unmoved, falling, margin)
    if accuracy is None or accuracy.n < view["least_points"]:
        return NotApplicable(f"no accuracy, and no loss that is at least zero, at {view['least_points']:g} points or more")
    missing = (1.0 - accuracy.best) / (1.0 - view["accuracy"])
    unmoved = accuracy.best - accuracy.first < 0.02
    return Attempt(test, accuracy, accuracy, accuracy.first, accuracy.best, None, "", perfect, False, unmoved, _falls(accuracy), missing)


def _falls(curve: CurveFacts) -> bool:
    """Whether the last quarter of the run still brought more than a twentieth of the whole gain, and more than its noise."""
    trace = curve.trace
    before, last = trace.cost[trace.within(0.65, 0.8)], trace.cost[trace.within(0.85, 1.0)]
    if not before.size or not last.size:
        return False
    gained = median(before) - median(last)
    return gained > max(0.05 * max(curve.start_cost - curve.best_cost, 0.0), 2 * trace.noise.sigma)


def pass_rule(attempt: Attempt) -> SuccessRule:
    """What the next test must reach; the loss decides where the accuracy was perfect and the loss was not."""
    by_accuracy = attempt.accuracy is not None and not attempt.mismatch and attempt.left is None
    if by_accuracy:
        key = "train_accuracy" if attempt.curve.signal.name == "train_accuracy" else "val_accuracy"
        rule = predicate(key, "best", ">=", 0.99, source="a perfect accuracy, up to one sample in a hundred")
        return SuccessRule(
            all=(rule,), sentence="The accuracy of the tiny overfit test reaches 0.99.", guards=("same-signals", "nothing-non-finite")
        )
    reference = attempt.reached / attempt.left if attempt.left else abs(attempt.first)
    limit = 0.05 * reference
    key = attempt.curve.signal.key
    rule = predicate(key, "best", "<=", limit, source=f"a twentieth of {attempt.reference} of this run")
    return SuccessRule(
        all=(rule,),
        sentence=f"The loss of the tiny overfit test falls to {limit:.4g} or less.",
        guards=("same-signals", "nothing-non-finite"),
    )
