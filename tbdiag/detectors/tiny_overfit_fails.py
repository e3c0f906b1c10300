"""A tiny overfit test does not reach zero: the model cannot learn even a handful of samples by heart.

What it means
    A network with thousands of weights can memorise a few dozen samples whatever they are. One that cannot has a mistake in its data,
    its loss, its optimiser's wiring or its gradients; no amount of data or time repairs that.

Why it matters
    It is the cheapest experiment there is, and it tells a broken pipeline from a hard problem before days are spent.

How it is told
    The run says that it is such a test: a setting (overfit_batches, a switch, a limit on the training samples or batches),
    or its name. A small data set alone does not make one. It passes where the training accuracy reaches 0.99, or the
    training loss 5 % of the loss of guessing (of its first value where guessing is unknown). An error where it stands still
    above that; a warning where it was still falling when it ended. An accuracy of 0.99 with a loss that stands above a
    quarter of the start fails too: the output and the loss do not fit. Ten logged points are the least that it is judged
    from.

First check
    Print one batch, inputs and labels side by side, and the loss of the first step against that of guessing.

First action
    By what the log shows: pass raw logits to the loss; raise a rate that is zero or tiny; check that the optimiser holds the parameters
    where nothing moves; switch off dropout, label smoothing and augmentation where it stops half-way.

Success rule
    The training accuracy reaches 0.99, or the training loss 5 % of where it began.

Not to be confused with
    underfitting and no-learning on the whole training set; overfitting, which is the aim of such a run and is not reported there.

Limits
    A loss that can be negative has no zero to reach; only its accuracy can be judged. Labels that contradict each other on equal inputs
    cannot be memorised at all.

Sources
    Source text 2, "Tiny overfit test" and the systematic workflow's second step; literature 7.1 (no-learning, underfitting: 5 % of the
    first loss, 0.99 accuracy).
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
    Threshold,
    View,
)
from tbdiag.detectors._tiny import WANTS, Attempt, measure_attempt, pass_rule
from tbdiag.detectors._words import label, learning_rate, say, short
from tbdiag.model import Run
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """What the test reached against what it must reach."""
    attempt = measure_attempt(view)
    if isinstance(attempt, NotApplicable):
        return attempt
    if attempt.passed:
        return None
    falling = attempt.falling
    what = label(attempt.curve)
    reached = "{reached:.4g} = {left:.0%} of {reference}" if attempt.left is not None else "{reached:.4g}"
    evidence = [say(f"This is a tiny overfit test: {attempt.test.why}.", (), (), **attempt.test.numbers)]
    numbers = {"reached": attempt.reached, "first": attempt.first}
    if attempt.left is not None:
        numbers |= {"left": attempt.left}
        reached = reached.replace("{reference}", attempt.reference)
    trend = "it was still improving" if falling else "it stands still"
    evidence.append(say(f"The {what} went from {{first:.4g}} to {reached}, and {trend} at the end.", (attempt.curve,), (), **numbers))
    if attempt.accuracy is not None and attempt.mismatch:
        evidence.append(
            say(
                "The training accuracy reached {accuracy:.4g} all the same.",
                (attempt.accuracy.signal.why,),
                (),
                accuracy=attempt.accuracy.best,
            )
        )
    action, causes = _advise(view, attempt)
    step = attempt.curve.step
    return Finding(
        id="tiny-overfit-fails",
        severity=Severity.WARNING if falling else Severity.ERROR,
        confidence=confidence(attempt.margin, supports=1, doubts=int(falling)),
        title=(
            f"The tiny overfit test ended before it passed: the {what} got to {attempt.reached:.4g}"
            if falling
            else f"The tiny overfit test fails: the {what} does not get beyond {attempt.reached:.4g}"
        ),
        extent=Interval(int(step[0]), int(step[-1])),
        evidence=tuple(evidence),
        causes=causes,
        first_check="Print one batch, inputs and labels side by side, and compare the loss of the first step with that of guessing.",
        first_action=action,
        fixes=(
            "Check the labels: are they those of these inputs, and encoded as the loss expects them?",
            "Check the pair of output and loss: raw logits into a loss that takes logits, one output a class",
            "Check the optimiser's wiring: does it hold all trainable parameters, is step() called after backward(), is the rate above zero?",
            "Check the gradient flow: is any layer's gradient zero or not finite?",
            "Turn off dropout, weight decay and augmentation for the test",
        ),
        success_rule=pass_rule(attempt),
        phase=DATA,
        roles=(attempt.curve.signal.key,),
    )


def _advise(view: View, attempt: Attempt) -> tuple[str, tuple[Cause, ...]]:
    """The first action and the causes, by what the log shows."""
    rate = learning_rate(view)
    data = Cause("Labels that do not belong to these inputs, or contradict each other")
    pair = Cause("The output does not fit the loss (softmax or sigmoid twice, wrong number of outputs, wrong label format)")
    wiring = Cause("The optimiser does not hold the parameters, or never steps")
    flow = Cause("Gradients do not reach the layers: detached, saturated, dead or vanishing")
    lr = view.curve("lr")
    if attempt.mismatch:
        why = "the accuracy is as good as perfect while the loss stands still"
        return "Pass raw logits to the loss: remove the softmax or sigmoid of the model's head.", (replace(pair, why=why), data)
    if lr is not None and float(lr.value.max()) <= 0:
        return "Set the learning rate above zero and run the test again.", (replace(wiring, why="the logged learning rate is zero"), flow)
    if not attempt.unmoved:
        brake = next((k for k in ("dropout", "label_smoothing") if (view.signals.setting(k) or 0.0) > 0), None)
        if brake is not None:
            word = brake.replace("_", " ")
            return f"Set {word} to 0 (it is {view.signals.setting(brake):g}) and run the test again.", (
                Cause(f"The {word} keeps the model from memorising"),
                data,
                pair,
            )
    if attempt.falling:
        return "Run the same test for three times as many steps.", (Cause("Too few steps for the test"), wiring, data)
    if attempt.unmoved and rate is not None and rate < view["tiny_rate"]:
        return (
            f"Raise the learning rate from {short(rate)} to 1e-3 and run the test again.",
            (Cause("A learning rate that is far too low", f"it is {short(rate)}"), wiring, flow, data),
        )
    norm = view.curve("grad_norm")
    if attempt.unmoved and norm is not None and median(norm.value) < view["no_gradient"]:
        return (
            "Print the gradient norm of every layer after one backward pass and repair the first layer at which it becomes zero.",
            (replace(flow, why="the logged gradient norm is as good as zero"), wiring, pair, data),
        )
    if attempt.unmoved:
        return (
            "Print the number of trainable parameters that the optimiser holds and how much each changes in one step; add what is missing.",
            (replace(wiring, why="the loss never moved"), flow, pair, data),
        )
    return (
        "Check the labels of these samples one by one against their inputs, with augmentation switched off, and run the test again.",
        (replace(data, why="the loss moved, and stopped half-way"), pair, Cause("Dropout, augmentation or weight decay"), flow),
    )


def _named(run: Run, **hparams: float | str | bool) -> Run:
    return replace(run, hparams=hparams)


def _stuck() -> Run:
    rng = np.random.default_rng(301)
    return _named(_synth.make_run({"train_loss": 2.3 + rng.normal(0, 0.01, 60), "train_acc": np.full(60, 0.125)}), overfit_batches=1.0)


def _half_way() -> Run:
    rng = np.random.default_rng(302)
    return _synth.make_run({"train/loss": _synth.decay(200, 2.3, 0.9, 12.0) + rng.normal(0, 0.01, 200)}, name="runs/overfit-one-batch")


def _squashed() -> Run:
    rng = np.random.default_rng(303)
    loss = _synth.decay(100, 2.3, 1.47, 8.0) + rng.normal(0, 0.003, 100)
    return _named(_synth.make_run({"train/loss": loss, "train/accuracy": np.clip(np.linspace(0.1, 3, 100), 0, 1)}), max_train_samples=64.0)


def _passes() -> Run:
    rng = np.random.default_rng(304)
    return _synth.make_run({"train/loss": _synth.decay(100, 2.3, 0.002, 9.0) * np.exp(rng.normal(0, 0.05, 100))}, name="tiny_overfit")


def _small_data() -> Run:
    rng = np.random.default_rng(305)
    series = {
        "train/loss": _synth.decay(50, 2.3, 0.5, 5.0) + rng.normal(0, 0.01, 50),
        "val/loss": _synth.decay(50, 2.3, 0.8, 5.0) + rng.normal(0, 0.01, 50),
    }
    return _named(_synth.make_run(series), n_train=300.0)


EXAMPLES = (
    Example("one batch, and the loss never moves", _stuck, fires=True),
    Example("one batch, and the loss stops half-way", _half_way, fires=True),
    Example("64 samples, accuracy 1, and a loss that stays at the floor of a softmax applied twice", _squashed, fires=True),
    Example("a test that reaches zero", _passes, fires=False),
    Example("an ordinary run on few data", _small_data, fires=False),
)

DETECTOR = Detector(
    id="tiny-overfit-fails",
    title="Tiny overfit test fails",
    summary="A tiny overfit test does not reach zero: the model cannot learn even a handful of samples by heart.",
    severity=Severity.ERROR,
    phase=DATA,
    detect=detect,
    doc=__doc__ or "",
    needs=(("train_loss", "train_accuracy", "val_loss", "val_accuracy"),),
    wants=(*WANTS, "lr", "grad_norm"),
    domains=DIRECTED,
    thresholds={
        "accuracy": Threshold(0.99, "source text 2: the accuracy should approach 100 %"),
        "loss_left": Threshold(0.05, "literature 7.1: the loss of a tiny run falls to a twentieth"),
        "stuck_left": Threshold(0.25, "above a quarter of the start a perfect accuracy does not fit the loss"),
        "least_points": Threshold(10.0, "fewer points do not tell standing still from falling"),
        "tiny_rate": Threshold(1e-6, "no optimiser memorises from scratch below"),
        "no_gradient": Threshold(1e-7, "DeepDiagnosis: gradients below 1e-7 have vanished"),
    },
    examples=EXAMPLES,
    scale_free=False,
)
