"""Experiments that tell causes apart without being the cure: what to do, what each outcome would mean, and the rule that reads it.

Each is written for one run: it names tags and steps of that run, and its rule holds this run's numbers, so that ``tbdiag verify`` can
read the outcome from the log that the experiment leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tbdiag.diagnosis.facts import Case, known_facts
from tbdiag.features import CurveFacts
from tbdiag.model import Domain, SuccessRule
from tbdiag.success import compile_rule

TINY_SAMPLES = 64
"""Source text 2 takes 64 to 256 samples for the tiny overfit test."""
NEAR_ZERO = 0.1
"""Share of the first loss that a memorised handful of samples must fall below."""
TRAIN_EVAL = "train_eval/loss"
FIXED_EVAL = "fixed_eval/loss"


EASIEST = "Run the same agent on the easiest version of the environment."


class Cost(IntEnum):
    """What an experiment costs, in relative seconds: a look at code or data, a part of a run, a whole run."""

    LOOK = 1
    SHORT = 3
    RERUN = 8

    @property
    def word(self) -> str:
        """The cost as the report names it."""
        return {Cost.LOOK: "look", Cost.SHORT: "short-run", Cost.RERUN: "rerun"}[self]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which an experiment can end, the kinds of hypotheses that predict it, and what to do then (else their remedy)."""

    seen: str
    kinds: frozenset[str]
    then: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment.

    Attributes:
        action: what to do, in one or two sentences.
        outcomes: the first is what `rule` passes on; kinds that no outcome names belong to the last.
        rule: read by ``tbdiag verify``; None where only a look tells, and the finding's own rule judges the run after it.
        id: name by which `tbdiag.compare.experiment` knows how to tell that a run is this experiment; only with a rule.
    """

    action: str
    cost: Cost
    outcomes: tuple[Outcome, ...]
    rule: SuccessRule | None = None
    id: str = ""


def tiny_overfit(case: Case) -> Trial | None:
    """The tiny overfit test, with the gradient norm logged where it was not."""
    curve = case.features.curve("train_loss")
    if curve is None or curve.first <= 0 or curve.sign < 0:
        return None
    # The noise that a diffusion model predicts is drawn anew at every step, and no return is memorised.
    if case.features.signals.domain in (Domain.DIFFUSION, Domain.REINFORCEMENT):
        return None
    limit = float(f"{NEAR_ZERO * curve.first:.3g}")
    log = "" if case.features.curve("grad_norm") is not None else ", with the gradient norm logged"
    stays = Outcome(
        "it stays up, with gradients that are not zero",
        frozenset({"rate", "output", "lost", "inputs"}),
        "repeat it with a tenth of and with ten times the learning rate; if neither learns, check output, loss and input scales",
    )
    dead = Outcome("it stays up, with gradients of zero or none at all", frozenset({"wiring"}))
    falls = Outcome(f"the training loss falls below {limit:g}", frozenset({"labels", "capacity", "budget", "floor"}))
    return Trial(
        f"Run the tiny overfit test into a directory named tiny-overfit: {TINY_SAMPLES} training samples, no regularisation or augmentation, "
        f"the same code{log}, until the loss is near zero or stands still.",
        Cost.SHORT,
        (falls, dead, stays) if case.head.id == "no-learning" else (falls, Outcome("it stays up", stays.kinds | dead.kinds, stays.then)),
        _rule(
            f"best(train_loss) <= {limit:g}",
            f"In the tiny run the training loss falls below {limit:g}, a tenth of this run's first value.",
            ("nothing-non-finite",),
        ),
        "tiny-overfit",
    )


def train_eval(case: Case) -> Trial | None:
    """The training set through the validation code: the same number on the same data, or not."""
    train, val = case.features.curve("train_loss"), case.features.curve("val_loss")
    if train is None or val is None or train.signal.stem != val.signal.stem or _logged(case, TRAIN_EVAL):
        return None
    middle = float(f"{0.5 * (train.end + val.end):.4g}")
    do = f"Evaluate the last checkpoint on the training set with the validation code (evaluation mode, no augmentation) and log it as {TRAIN_EVAL}."
    rule = _rule(
        f'end(series "{TRAIN_EVAL}") <= {middle:g}',
        f"{TRAIN_EVAL} ends at or below {middle:g}, halfway between this run's training loss ({train.end:.4g}) and validation loss ({val.end:.4g}).",
        (),
    )
    below, above = f"{TRAIN_EVAL} ends at or below {middle:g}", f"it ends above {middle:g}"
    if case.head.id == "val-better":
        outcomes = (
            Outcome(f"{below}, near validation", frozenset({"handicap"})),
            Outcome(f"{above}, near training", frozenset({"leak", "easy", "labels"})),
        )
    else:
        outcomes = (
            Outcome(f"{below}, near training", frozenset({"split", "capacity", "noise"})),
            Outcome(f"{above}, near validation", frozenset({"preprocessing"})),
        )
    return Trial(do, Cost.LOOK, outcomes, rule, "train-eval")


def replay_in_float32(case: Case) -> Trial | None:
    """The steps around a NaN once more, in full precision and with anomaly detection."""
    interval = case.head.drawn
    if interval is None:
        return None
    told = case.head.onset or interval
    first, unit = max(told.first_step - 1, 0), case.unit
    start = "from the start" if case.from_start else f"from the last checkpoint before {unit} {first:,}"
    seed = "" if "seed" in case.features.signals.config else " Fix and log the seed."
    return Trial(
        f"Rerun {start} to {unit} {told.last_step:,} on the same batches in float32 with anomaly detection.{seed}",
        Cost.SHORT,
        (
            Outcome("no NaN or infinity comes", frozenset({"precision"})),
            Outcome("the loss or the gradients grow until it comes", frozenset({"rate"})),
            Outcome("it comes at once, and anomaly detection names an operation whose inputs are finite", frozenset({"operation"})),
            Outcome("it comes at once, and the batch itself holds a value that is not finite or far out of range", frozenset({"sample"})),
        ),
        _rule(
            f"nonfinite(log) == 0 and last_step(log) >= {interval.last_step}",
            f"The replay logs no NaN or infinity up to {unit} {told.last_step:,}.",
            (),
        ),
        "replay",
    )


def print_inputs(case: Case) -> Trial | None:
    """Scales at the first step: of the inputs, then of every layer."""
    if not case.from_start or "tokens" in known_facts(case):
        return None
    return Trial(
        "Print minimum, mean and standard deviation of each input feature of one batch, and of every layer's output before the first step.",
        Cost.LOOK,
        (
            Outcome("features differ from mean 0 and deviation 1 by more than ten times", frozenset({"inputs"})),
            Outcome("inputs are in range, and the deviation grows from layer to layer", frozenset({"scale"})),
            Outcome("both are in range", frozenset({"rate", "batch", "clip"})),
        ),
    )


def reevaluate(case: Case) -> Trial | None:
    """Two checkpoints, one evaluation: did the model change, or what it is measured with?"""
    interval = case.head.drawn
    curve = next((c for c in map(case.features.curve, case.head.roles) if c is not None and c.n), None)
    if interval is None or curve is None or _logged(case, FIXED_EVAL):
        return None
    shift = _shift(curve, interval.last_step)
    if shift <= 0:
        return None
    told, unit = case.head.onset or interval, case.unit
    half = float(f"{0.5 * shift:.3g}")
    what = "loss" if curve.signal.role.value == "loss" else curve.signal.stem or "metric"
    tag = FIXED_EVAL if what == "loss" else f"fixed_eval/{what}"
    return Trial(
        f"Evaluate the checkpoints before {unit} {told.first_step:,} and after {unit} {told.last_step:,} with one and the same evaluation code "
        f"and data, and log both as {tag}.",
        Cost.LOOK,
        (
            Outcome(f"both give the same {what} within {half:g}", frozenset({"evaluation"})),
            Outcome("they differ like the two levels of the log", frozenset({"data", "hardware"})),
        ),
        _rule(
            f'points(series "{tag}") >= 2 and range(series "{tag}") <= {half:g}',
            f"The two values of {tag} differ by at most {half:g}, half of the shift in the log.",
            (),
        ),
        "fixed-eval",
    )


def count_labels(case: Case) -> Trial | None:
    """What the loader really delivers, class by class."""
    if "no-classes" in known_facts(case):
        return None
    classes = case.features.signals.classes
    share = f" (1/{classes} each, if they are balanced)" if classes else ""
    return Trial(
        f"Count the labels of each class over 100 training batches as the loss receives them{share}, and print shape and range of the model's output.",
        Cost.LOOK,
        (
            Outcome("one class holds nearly all labels, or they are no class numbers", frozenset({"labels", "imbalance"})),
            Outcome("labels are in order, and the output has another shape or range than the loss expects", frozenset({"output"})),
            Outcome("labels and output are in order", frozenset({"killed"})),
        ),
    )


def replay_in_other_order(case: Case) -> Trial | None:
    """The same steps with other batches: does the event follow the step or the data?"""
    interval = case.head.onset
    if interval is None or case.from_start:
        return None
    return Trial(
        f"Continue from the last checkpoint before {case.unit} {interval.first_step:,} with another data order and nothing else changed, for a tenth of the run.",
        Cost.SHORT,
        (
            Outcome(f"it does not come at that {case.unit} again", frozenset({"batch"})),
            Outcome(f"it comes again near that {case.unit}", frozenset({"rate", "clip", "precision", "objective"})),
        ),
    )


def compare_launches(case: Case) -> Trial | None:
    """What a restart changed besides going on."""
    if case.head.onset is None or "restarted" not in known_facts(case):
        return None
    return Trial(
        f"Compare code version, settings, data and the restored optimiser and schedule before and after the restart at {case.unit} "
        f"{case.head.onset.last_step:,}.",
        Cost.LOOK,
        (
            Outcome("something differs", frozenset({"objective", "data", "evaluation"})),
            Outcome("nothing differs", frozenset({"rate", "batch", "precision", "hardware"})),
        ),
    )


def print_updates(case: Case) -> Trial | None:
    """One step, looked at parameter by parameter."""
    return Trial(
        "Print whether it is trainable (requires_grad), the gradient norm, and the largest change after one optimiser step, of every parameter that does not move.",
        Cost.LOOK,
        (
            Outcome("the gradient is there, and nothing changes", frozenset({"optimiser"})),
            Outcome("requires_grad is off, or the gradient is None or zero", frozenset({"graph"})),
        ),
    )


def time_the_parts(case: Case) -> Trial | None:
    """Where a step spends its time; after a single gap first whether the job was stopped at all."""
    if any("seconds" in e.numbers for e in case.head.evidence):
        return Trial(
            "Read the scheduler's and the system's log of the time of the gap; if they tell of no suspension, log loader time and step time "
            "separately.",
            Cost.LOOK,
            (
                Outcome("the logs tell of a preemption, a suspension or a restart", frozenset({"pause"})),
                Outcome("they do not, and the loader's time grows", frozenset({"loader"})),
                Outcome("they do not, and the step's own time grows", frozenset({"contention"})),
            ),
        )
    return Trial(
        "Log loader time and step time separately for 200 steps, and look into the system's and the scheduler's log at the time of the onset.",
        Cost.LOOK,
        (
            Outcome("the loader's time grows", frozenset({"loader"})),
            Outcome("the step's own time grows", frozenset({"contention"})),
            Outcome("neither grows, and the logs tell of a suspension or a restart", frozenset({"pause"})),
        ),
    )


def look_for_leaks(_: Case) -> Trial | None:
    """Duplicates first, then features, then groups: one script over both splits."""
    return Trial(
        "Hash all samples of both splits and count those that they share, exactly and nearly; then train a one-feature classifier on each feature.",
        Cost.LOOK,
        (
            Outcome("samples are shared", frozenset({"duplicates"})),
            Outcome("a single feature is enough for the metric", frozenset({"feature"})),
            Outcome("neither", frozenset({"groups", "easy"})),
        ),
    )


def log_zeros_at_once(_: Case) -> Trial | None:
    """Whether a layer is born dead or dies: its zeros before the first step and at every step after it."""
    limit = 0.9
    return Trial(
        "Log the share of zero activations of every layer before the first step (as step 0) and at each of the next 50 steps.",
        Cost.SHORT,
        (
            Outcome("the layer is dead at step 0", frozenset({"initialisation", "inputs"})),
            Outcome(f"it begins below {limit:g} and dies later", frozenset({"rate"})),
        ),
    )


def check_signs(case: Case) -> Trial | None:
    """Where the policy gets worse the longer it is trained: one batch tells whether it is trained to."""
    if not any("gets worse" in c.why for c in case.head.causes):
        return None
    return Trial(
        case.head.first_action,
        Cost.LOOK,
        (
            Outcome("a sign is wrong", frozenset({"sign"}), "turn it round"),
            Outcome(
                "all signs are right",
                frozenset({"sparse", "rate", "scale"}),
                "run the same agent on the easiest version of the environment",
            ),
        ),
    )


def easiest_version(_: Case) -> Trial:
    """The same agent where anything that learns at all does."""
    return Trial(
        EASIEST,
        Cost.SHORT,
        (
            Outcome("the return rises there", frozenset({"sparse"})),
            Outcome("it does not rise there, either", frozenset({"rate", "sign", "scale"})),
        ),
    )


TRIALS: dict[str, tuple[Callable[[Case], Trial | None], ...]] = {
    "no-learning": (tiny_overfit,),
    "no-learning/agent": (check_signs, easiest_version),
    "underfitting": (tiny_overfit,),
    "plateau": (tiny_overfit,),
    "overfitting": (train_eval,),
    "generalization-gap": (train_eval,),
    "val-better": (train_eval,),
    "nan-inf": (replay_in_float32,),
    "exploding-gradients": (print_inputs,),
    "instability": (print_inputs,),
    "divergence": (compare_launches, replay_in_other_order),
    "divergence/agent": (compare_launches,),
    "spikes": (replay_in_other_order,),
    "sudden-shift": (compare_launches, reevaluate),
    "prediction-collapse": (count_labels,),
    "frozen-weights": (print_updates,),
    "dead-units": (log_zeros_at_once,),
    "stalled": (time_the_parts,),
    "leakage": (look_for_leaks,),
}
"""Finding -> experiments that can separate its rivals."""

CURES: dict[str, frozenset[str]] = {
    "stalled": frozenset(),
    "leakage": frozenset({"duplicates", "groups"}),
    "overfitting": frozenset({"capacity"}),
    "unconverged": frozenset({"budget"}),
    "no-learning": frozenset(),
    "frozen-weights": frozenset({"optimiser", "graph"}),
}
"""Kinds that a finding's first action would remedy, where its words do not tell (`Rival.acts`) and it is not the heaviest alone."""


def _rule(text: str, sentence: str, guards: tuple[str, ...]) -> SuccessRule:
    return compile_rule(text, sentence=sentence, guards=guards)


def _logged(case: Case, tag: str) -> bool:
    return any(s.name == tag or (s.series is not None and s.series.tag == tag) for s in case.features.signals.all)


def _shift(curve: CurveFacts, step: int) -> float:
    before, after = curve.value[curve.step < step][-5:], curve.value[curve.step >= step][:5]
    return abs(float(np.median(after) - np.median(before))) if before.size and after.size else 0.0
