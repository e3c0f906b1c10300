"""A tiny overfit test reached zero: the pipeline can learn.

What it means
    The model learned a handful of samples by heart, as a working pipeline must: data, loss, gradients and optimiser fit together.

Why it matters
    From here on a run that does not learn has another reason than broken wiring: too little capacity, a bad rate, or hard data.

How it is told
    The run says that it is such a test (see tiny-overfit-fails), and its training accuracy reached 0.99, or its training
    loss 5 % of the loss of guessing (of its first value where guessing is unknown).

First check
    Were dropout, augmentation and weight decay switched off for the test? Switch them on again before the real run.

First action
    Train on the whole training set, with the same code and a validation split.

Success rule
    The run on the whole training set logs a validation loss or metric; where this one did, it gets below this run's best.

Not to be confused with
    overfitting: validation that worsens, generalisation gaps and leakage are not reported on such a run, since memorising is its aim.

Limits
    It says nothing about what the model does on data that it has not seen.

Sources
    Source text 2, "Tiny overfit test".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DATA,
    DIRECTED,
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
from tbdiag.detectors._tiny import WANTS, measure_attempt
from tbdiag.detectors._words import label, say
from tbdiag.model import Run
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """Whether the test reached what it must reach."""
    attempt = measure_attempt(view)
    if isinstance(attempt, NotApplicable):
        return attempt
    if not attempt.passed:
        return None
    evidence = [say(f"This is a tiny overfit test: {attempt.test.why}.", (), (), **attempt.test.numbers)]
    what = label(attempt.curve)
    evidence.append(
        say(f"The {what} went from {{first:.4g}} to {{reached:.4g}}.", (attempt.curve,), (), first=attempt.first, reached=attempt.reached)
    )
    if attempt.accuracy is not None and attempt.left is not None:
        evidence.append(say("The accuracy reached {accuracy:.4g}.", (attempt.accuracy.signal.why,), (), accuracy=attempt.accuracy.best))
    step = attempt.curve.step
    return Finding(
        id="tiny-overfit-passed",
        severity=Severity.NOTE,
        confidence=confidence(supports=1),
        title=f"The tiny overfit test passed: the {what} reached {attempt.reached:.4g}",
        onset=Interval(int(step[0]), int(attempt.curve.best_step)),
        extent=Interval(int(step[0]), int(step[-1])),
        evidence=tuple(evidence),
        causes=(Cause("Data, loss, gradients and optimiser fit together"),),
        first_check="Were dropout, augmentation and weight decay switched off for the test? Switch them on again before the real run.",
        first_action="Train on the whole training set, with the same code and a validation split.",
        fixes=("Keep this run as the reference and repeat it after every change of the model or of the data code",),
        success_rule=_next_rule(view),
        phase=DATA,
        roles=(attempt.curve.signal.key,),
    )


def _next_rule(view: View) -> SuccessRule:
    """What the run on the whole training set must show."""
    val = view.curve("val_loss")
    if val is not None:
        rule = predicate("val_loss", "best", "<", val.best, source="best(val_loss) of this run")
        return SuccessRule(all=(rule,), sentence=f"The run on the whole training set validates better than {val.best:.4g}.")
    rule = predicate("log", "has_val_curve", "==", 1.0)
    return SuccessRule(all=(rule,), sentence="The run on the whole training set logs a validation loss or metric.", guards=())


def _by_loss() -> Run:
    rng = np.random.default_rng(311)
    return _synth.make_run({"train/loss": _synth.decay(100, 2.3, 0.002, 9.0) * np.exp(rng.normal(0, 0.05, 100))}, name="tiny_overfit")


def _by_accuracy() -> Run:
    rng = np.random.default_rng(312)
    loss = _synth.decay(80, 0.7, 0.05, 5.0) + rng.normal(0, 0.005, 80)
    run = _synth.make_run({"train_loss": loss, "train_acc": np.clip(np.linspace(0.5, 1.6, 80), 0, 1)})
    return replace(run, hparams={"overfit_batches": 2.0})


def _fails() -> Run:
    rng = np.random.default_rng(313)
    return _synth.make_run({"train/loss": 2.3 + rng.normal(0, 0.01, 60)}, name="overfit-one-batch")


def _ordinary() -> Run:
    rng = np.random.default_rng(314)
    loss = _synth.decay(100, 2.3, 0.01, 9.0) + rng.normal(0, 0.001, 100)
    return _synth.make_run({"train/loss": loss, "val/loss": loss * 1.1}, name="tiny-imagenet-resnet18")


EXAMPLES = (
    Example("the loss reaches zero", _by_loss, fires=True),
    Example("the accuracy reaches one", _by_accuracy, fires=True),
    Example("a test that fails", _fails, fires=False),
    Example("an ordinary run with a small name", _ordinary, fires=False),
)

DETECTOR = Detector(
    id="tiny-overfit-passed",
    title="Tiny overfit test passed",
    summary="A tiny overfit test reached zero: the pipeline can learn.",
    severity=Severity.NOTE,
    phase=DATA,
    detect=detect,
    doc=__doc__ or "",
    needs=(WANTS,),
    wants=WANTS,
    domains=DIRECTED,
    thresholds={
        "accuracy": Threshold(0.99, "source text 2: the accuracy should approach 100 %"),
        "loss_left": Threshold(0.05, "literature 7.1: the loss of a tiny run falls to a twentieth"),
        "stuck_left": Threshold(0.25, "above a quarter of the start a perfect accuracy does not fit the loss"),
        "least_points": Threshold(10.0, "fewer points do not tell standing still from falling"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
