"""A NaN or an infinity was logged where it matters.

What it means
    A loss, a metric or a gradient norm is not a number any more. From there on the weights are usually not numbers either.

Why it matters
    Training does not come back by itself; every later step and checkpoint is lost.

How it is told
    Any non-finite point of a loss, loss component or reward is an error. Gradient norms count unless they are isolated
    infinities, which loss scaling produces by design. Metrics count where they stay non-finite; an isolated undefined
    metric is a note, and one that is undefined only before its first value (a score that is computed from some epoch on) is nothing;
    one that never had a value is a note. A loss that turns to exact zeros to the end, where the writer is known to replace NaN, or with a flag
    of NaN gradients, counts too. So does a logged check of the gradients (has_nan_grad) or a gradient histogram that held NaN, at the end
    of the run or at a tenth of its points. Series whose role is unknown never count. The onset lies between the last finite and the first
    non-finite point, of the training loss or a gradient norm that is lost for good, whichever broke first.

First check
    Look at the gradient norm and the learning rate just before the first non-finite step.

First action
    Where the gradient norm or the loss grew tenfold before it broke, or it broke within 40 steps: lower the learning rate by a factor
    of 10, within 40 steps of 100 (to overflow float32 so soon every step must multiply by ten or more). Where the run is known to use float16: rerun
    in bfloat16. Out of the blue: skip every update whose loss or gradient is not finite, leave it out of the log and note its batch; a
    single bad batch then costs one update, and if updates go on failing it is the computation and not the batch. Where no point ever was
    finite: look for NaN in the data. Anomaly
    detection finds the operation; it is a check, and mends nothing.

Success rule
    The series that broke stay finite in the next run, which gets at least 10 % beyond this run's first non-finite step.

Not to be confused with
    divergence (the loss goes up but stays finite), loss-scale-collapse.

Limits
    Writers that leave NaN points out, or stop at the first one, hide it; then only the early end shows.

Sources
    Deterministic. Writers that filter or replace NaN: Hugging Face Trainer, Coqui; PyTorch GradScaler skips steps with infinite
    gradients.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    CURVES,
    EVERY,
    Cause,
    Detector,
    Evidence,
    Example,
    Finding,
    Interval,
    NotApplicable,
    Predicate,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._flagged import find_flagged, tell_undefined
from tbdiag.detectors._words import breaks_soon, lower_broken_rate
from tbdiag.features import CurveFacts
from tbdiag.model import Mark, Role, Run
from tbdiag.stats.confidence import confidence

LOSSES = (Role.LOSS, Role.LOSS_COMPONENT, Role.POLICY_LOSS, Role.VALUE_LOSS, Role.GENERATOR_LOSS, Role.DISCRIMINATOR_LOSS)
SKIP = "Skip every update whose loss or gradient is not finite (leave it out of the log, note its batch) and rerun otherwise unchanged."
INPUTS = "Look through all inputs and targets for NaN and infinity, leave out or fill what holds one, and rerun otherwise unchanged."
PRECISION = "Rerun in bfloat16 (or float32) otherwise unchanged: float16 ends at 65,504."
HALF = frozenset({"fp16", "float16", "16", "16.0", "16-mixed", "16-true", "half"})
FLAGS = (Role.HAS_NAN_GRAD, Role.GRADIENT_HISTOGRAM)
OTHERS = (Role.METRIC, Role.REWARD, Role.GRAD_NORM, Role.CONFIDENCE)


def detect(view: View) -> Finding | NotApplicable | None:
    """Collect non-finite points of the series that matter."""
    losses = [c for role in LOSSES for c in view.features.group(role) if c.total]
    others = [c for role in OTHERS for c in view.features.group(role) if c.total]
    if not losses and not others:
        return NotApplicable("no loss, metric, reward or gradient norm was logged")
    serious = [c for c in losses if c.bad_step.size]
    side = [c for c in others if c.bad_step.size and _matters(c, view)]
    zeros = _replaced(view) if all(c.signal.key != "train_loss" for c in serious) else None
    if zeros is not None and (not serious or all(int(c.bad_step[0]) > int(zeros[0].step[zeros[1] + 1]) for c in side)):
        return _finding(view, [zeros[0]], zeros[1], Severity.ERROR, replaced=True)
    if serious and zeros is not None:
        found = _finding(view, serious + side, None, Severity.ERROR)
        return replace(found, evidence=(*found.evidence, _tell_zeros(*zeros)))
    if serious:
        return _finding(view, serious + side, None, Severity.ERROR)
    if side:
        # With finite losses a metric that is not a number is undefined, not broken; gradients that stay broken are.
        broken = any(_lasting(c) and (c.signal.role is not Role.METRIC or not losses) for c in side)
        if broken:
            return _finding(view, side, None, Severity.ERROR)
        # A loss scaler's skipped steps leave NaN norms too; a check of the gradients that says NaN as well means what it says.
        flag = view.curve("has_nan_grad")
        told = flag is not None and bool((flag.value > 0).any()) and any(c.signal.role is Role.GRAD_NORM for c in side)
        return _finding(view, side, None, Severity.WARNING if told else Severity.NOTE)
    undefined = [c for c in view.features.group(Role.METRIC) if c.total > 1 and not c.n]
    if undefined:
        return tell_undefined(_finding(view, undefined, None, Severity.NOTE), undefined[0].name)
    flagged = [c for c in find_flagged(view) if c.bad_step.size]
    if flagged:
        # Loss scaling meets single NaN gradients and skips the step; a run that ends with them, or has many, is broken.
        broken = any(c.bad_step.size > max(view["flagged_share"] * c.total, 1) or (_lasting(c) and c.n > 0) for c in flagged)
        return _finding(view, flagged, None, Severity.ERROR if broken else Severity.NOTE)
    return None


def _stays(curve: CurveFacts) -> bool:
    """Whether the series ends non-finite."""
    return curve.n == 0 or bool(curve.bad_step[-1] > curve.step[-1] and curve.bad_step.size >= 2)


def _lasting(curve: CurveFacts) -> bool:
    """Whether the series ends non-finite, or is mostly non-finite."""
    return _stays(curve) or curve.bad_step.size > 0.5 * curve.total


def _matters(curve: CurveFacts, view: View) -> bool:
    """Leave out isolated infinite gradient norms (loss scaling) and metrics that are undefined only at first."""
    if curve.signal.role is Role.GRAD_NORM:
        return bool(np.isnan(curve.bad_value).any()) or curve.bad_step.size > max(view["inf_grad_share"] * curve.total, 3)
    if curve.n and curve.signal.role is Role.METRIC and curve.bad_step[-1] < curve.step[0]:
        return False
    if curve.n and not _lasting(curve):
        return curve.bad_step.size >= 2
    # A metric that never had a value is undefined (no sample of the class), not broken; the main loss would tell.
    return curve.n > 0


def _replaced(view: View) -> tuple[CurveFacts, int] | None:
    """A training loss that becomes exact zeros to the end although it was noisy and positive before."""
    curve = view.curve("train_loss")
    if curve is None or curve.n < 8:
        return None
    nonzero = np.flatnonzero(curve.value != 0)
    if not nonzero.size or curve.n - 1 - nonzero[-1] < 3:
        return None
    last = int(nonzero[-1])
    flag = view.curve("has_nan_grad")
    flagged = flag is not None and bool((flag.value > 0).any())
    broken = any(c.bad_step.size for role in (Role.GRAD_NORM, Role.METRIC) for c in view.features.group(role))
    broken = broken or any(c.bad_step.size and _lasting(c) for c in view.features.group(Role.LOSS))
    writer = curve.signal.writer.nan_as == 0.0
    # A loss does not fall to exact zero from one point to the next unless it was about to.
    abrupt = float(curve.value[last]) > 0.01 * float(np.median(np.abs(curve.value[: last + 1])))
    return (curve, last) if abrupt and (flagged or broken or writer) else None


def _tell_zeros(curve: CurveFacts, last: int) -> Evidence:
    """The training loss that a writer logs as zero once it is not a number."""
    first = int(curve.step[last + 1])
    return Evidence(
        f"{curve.name} is exactly zero from step {first:,} on: its writer replaces NaN by zero, so it is no loss that was reached.",
        {"first_zero": float(first)},
        (curve.name,),
    )


def _finding(view: View, curves: list[CurveFacts], zeros: int | None, severity: Severity, *, replaced: bool = False) -> Finding:
    if zeros is not None:
        first_curve, first = curves[0], int(curves[0].step[zeros + 1])
        before, count = int(curves[0].step[zeros]), curves[0].n - 1 - zeros
    else:
        first_curve = min(curves, key=_first_share)
        first = int(first_curve.bad_step[0])
        earlier = first_curve.step[first_curve.step < first]
        before = int(earlier[-1]) if earlier.size else min(first, 0)
        count = int(sum(c.bad_step.size for c in curves))
    series = tuple(c.name for c in curves[:8])
    lasting, forever = zeros is not None or _lasting(first_curve), zeros is not None or _stays(first_curve)
    told = first_curve.signal.role is Role.HAS_NAN_GRAD
    what = "turned to exact zeros" if replaced else "reported NaN gradients" if told else "became NaN or infinite"
    others = f" and {len(series) - 1} more series" if len(series) > 1 else ""
    numbers = {"first_step": float(first), "before": float(before), "count": float(count), "total": float(first_curve.total)}
    if others:
        numbers["others"] = len(series) - 1.0
    never = zeros is None and not first_curve.n
    late = not never and int(first_curve.step[0]) > first
    known = "no good value before" if late else f"last good value at step {before:,}"
    when = f"from the first point, step {first:,}, on" if never else f"first at step {first:,}, {known}"
    evidence = Evidence(
        f"{first_curve.name}{others} {what}: {when}; {count:,} points in all"
        + (", and it stays so to the end." if forever else "; it recovers in between."),
        numbers,
        series,
        (Mark("event", "first non-finite", first),),
    )
    found = [evidence]
    grad = view.curve("grad_norm")
    if grad is not None and grad.n >= 10 and first_curve.name != grad.name and zeros is None:
        recent = grad.value[(grad.step < first)]
        if recent.size >= 10 and recent[-3:].max() > 10 * float(np.median(recent)):
            peak, usual = float(recent[-3:].max()), float(np.median(recent))
            found.append(
                Evidence(
                    f"The gradient norm reached {peak:.3g} just before, against {usual:.3g} usually.",
                    {"peak": peak, "usual": usual},
                    (grad.name,),
                )
            )
    lr_cause = Cause("Learning rate too high: the updates exploded", "the gradient norm jumped just before" if len(found) > 1 else "")
    causes = [
        lr_cause,
        Cause("Numerical overflow in half precision, or loss scaling missing"),
        Cause("Logarithm or division of zero, square root of a negative number in the loss"),
        Cause("A broken sample in the batch at that step"),
    ]
    if len(found) == 1 and severity is Severity.ERROR and not lasting:
        causes = [causes[3], causes[2], causes[1], causes[0]]
    grew = len(found) > 1 or _grew(first_curve, first) or (severity is Severity.ERROR and breaks_soon(view, first_curve, first))
    lower = lower_broken_rate(view, first_curve, first)
    half = str(view.signals.config.get("precision", "")).lower() in HALF
    action, rest = (lower, SKIP) if grew else (PRECISION, SKIP) if half else (INPUTS if never else SKIP, lower)
    return Finding(
        id="nan-inf",
        severity=severity,
        confidence=confidence(supports=int(lasting), doubts=0 if severity is Severity.ERROR else 1) if not replaced else confidence(4.0),
        title=f"{first_curve.name} is NaN or infinite from its first point, step {first:,}"
        if never
        else f"{first_curve.name} {what} at step {first:,}" + (" and stays so" if forever else ""),
        onset=Interval(min(before + 1, first), first),
        extent=Interval(first, int(max(int(c.bad_step[-1]) for c in curves)) if zeros is None else int(first_curve.step[-1])),
        evidence=tuple(found),
        causes=tuple(causes),
        first_check=f"Look at the gradient norm and the learning rate just before step {first:,}."
        if grew
        else f"Rerun the steps from {before:,} to {first:,} in float32 with anomaly detection on the same batches: which operation is it?",
        # What grew before it broke was driven there: the rate is the lever. Out of the blue it is a batch or an operation.
        first_action=action,
        fixes=(
            rest,
            "Enable gradient clipping at a global norm of 1",
            "Verify input scaling: minimum, mean and maximum per feature",
            "Use the numerically stable loss that takes logits",
            "Check initialisation and layer scaling",
            "With mixed precision: enable dynamic loss scaling, or try bfloat16 or float32",
        ),
        success_rule=SuccessRule(
            all=(
                *_reports(curves),
                *(
                    predicate(key, "nonfinite", "==", 0.0)
                    for key in dict.fromkeys(c.signal.key for c in curves if c.signal.role not in FLAGS)
                ),
                predicate(
                    "log", "last_step", ">", first + 0.1 * max(first - view.features.steps[0], 1), source="10 % beyond the first NaN"
                ),
            ),
            sentence=f"None of these series is NaN or infinite anywhere, and training gets beyond step {first + int(0.1 * max(first, 10)):,}.",
        ),
        phase=CURVES,
        roles=tuple(dict.fromkeys(c.signal.key for c in curves)),
    )


def _reports(curves: list[CurveFacts]) -> tuple[Predicate, ...]:
    """What a check of the gradients, or their histograms, must not report again."""
    roles = {c.signal.role for c in curves}
    flag = (predicate("has_nan_grad", "max", "<=", 0.0),) if Role.HAS_NAN_GRAD in roles else ()
    held = (predicate("nonfinite_gradients", "max", "<=", 0.0),) if Role.GRADIENT_HISTOGRAM in roles else ()
    return flag + held


def _grew(curve: CurveFacts, first: int) -> bool:
    """Whether a loss had already left its level for more than ten times of it just before it broke."""
    good = curve.value[curve.step < first]
    if curve.signal.role is not Role.LOSS or good.size < 2:
        return False
    usual = float(np.median(np.abs(good[: max(good.size // 2, 1)])))
    return float(good[-3:].max()) > 10 * usual > 0


def _first_share(curve: CurveFacts) -> tuple[int, float]:
    """The training loss, or a gradient norm that never was finite again, whichever broke first; then other losses, then the rest.

    The two have the same steps, and of those that broke at once the loss leads. The others have an axis of their own: they are ordered
    by how early in its series the first bad point comes.
    """
    # Gradients that are not finite once or twice and then are again were skipped by a loss scaler.
    gone = curve.signal.role is Role.GRAD_NORM and bool(curve.n) and curve.bad_step[0] > curve.step[-1] and curve.bad_step.size >= 3
    if gone or curve.signal.key == "train_loss":
        return 0, float(curve.bad_step[0]) + 0.5 * gone
    order = 1 if curve.signal.role is Role.LOSS else 2
    last = max(int(curve.bad_step[-1]), int(curve.step[-1]) if curve.n else 0, 1)
    return order, float(curve.bad_step[0]) / last


def _nan_run() -> Run:
    loss = _synth.decay(100, 2.3, 0.4) + np.random.default_rng(1).normal(0, 0.02, 100)
    loss[60:] = np.nan
    return _synth.make_run({"train/loss": loss}, every=10)


def _isolated_inf_grad() -> Run:
    rng = np.random.default_rng(2)
    grad = np.exp(rng.normal(0, 0.2, 300))
    grad[[20, 170]] = np.inf
    return _synth.make_run({"train/loss": _synth.decay(300, 2.3, 0.4) + rng.normal(0, 0.02, 300), "train/grad_norm": grad})


def _unknown_tag() -> Run:
    rng = np.random.default_rng(3)
    return _synth.make_run({"train/loss": _synth.decay(50, 2.3, 0.4) + rng.normal(0, 0.02, 50), "debug/whatever": np.full(50, np.nan)})


def _scored_late(gaps: tuple[int, ...]) -> Run:
    """A word error rate that is not taken in the first 60 of 100 evaluations, nor at those given."""
    rng = np.random.default_rng(7)
    rate = _synth.decay(100, 0.9, 0.05) + rng.normal(0, 0.005, 100)
    rate[[*range(60), *gaps]] = np.nan
    return _synth.make_run({"val/wer": rate}, every=10)


def _epochs() -> Run:
    return _synth.make_run({"epoch_loss/train": [0.9, 0.6, 1.9, np.nan, np.nan], "epoch_loss/val": [0.95, 0.7, 2.2, np.nan, np.nan]})


def _flag_raised() -> Run:
    flag = np.zeros(60)
    flag[40:] = 1
    return _synth.make_run({"train/loss": _synth.decay(60, 2.3, 0.4), "train/has_nan_grad": flag}, every=10)


def _flag_and_norm() -> Run:
    rng = np.random.default_rng(5)
    norm, flag = np.exp(rng.normal(0, 0.2, 200)), np.zeros(200)
    norm[[100, 101, 140]], flag[[100, 101, 140]] = np.nan, 1
    return _synth.make_run({"train/loss": _synth.decay(200, 2.3, 0.4), "train/grad_norm": norm, "train/has_nan_grad": flag})


def _nan_histograms() -> Run:
    rng = np.random.default_rng(4)
    samples = [rng.normal(0, 0.1, 100) for _ in range(10)]
    for late in samples[6:]:
        late[:7] = np.nan
    made = _synth.make_histograms("gradients/0.weight", samples, every=60)
    return _synth.make_run({"train/loss": _synth.decay(60, 2.3, 0.4)}, every=10, histograms=[made])


def _gradients_first(zeros: bool) -> Run:
    rng = np.random.default_rng(6)
    loss, norm = _synth.decay(90, 1.7, 1.2) + rng.normal(0, 0.02, 90), np.exp(rng.normal(0, 0.1, 90))
    norm[30:] = np.nan
    loss[30 if zeros else 34 :] = 0.0 if zeros else np.nan
    loss_val = np.full(90, np.nan)
    loss_val[29] = 1.31
    return _synth.make_run({"train/loss": loss, "train/grad_norm": norm, "eval/loss": loss_val}, every=10)


def _flag_once() -> Run:
    flag = np.zeros(200)
    flag[[30, 120]] = 1
    return _synth.make_run({"train/loss": _synth.decay(200, 2.3, 0.4), "train/has_nan_grad": flag})


EXAMPLES = (
    Example("a check reports NaN gradients from step 400 on", _flag_raised, fires=True, onset=(391, 400)),
    Example("a check and the gradient norm report NaN three times", _flag_and_norm, fires=True, onset=(99, 100)),
    Example("gradient histograms hold NaN from step 360 on", _nan_histograms, fires=True, onset=(301, 360)),
    Example("a check reports NaN gradients twice", _flag_once, fires=False),
    Example("NaN gradients from step 300 on, the loss logged as zero", lambda: _gradients_first(True), fires=True, onset=(291, 300)),
    Example("NaN gradients from step 300 on, the loss from 340", lambda: _gradients_first(False), fires=True, onset=(291, 300)),
    Example("loss NaN from step 600 on", _nan_run, fires=True, onset=(591, 600)),
    Example("five epochs", _epochs, fires=True, onset=(2, 3)),
    Example("two infinite gradient norms skipped by loss scaling", _isolated_inf_grad, fires=False),
    Example("a word error rate undefined before its first value", lambda: _scored_late(()), fires=False),
    Example("a word error rate undefined again at the end", lambda: _scored_late((97, 98, 99)), fires=True),
    Example("NaN in a tag of unknown meaning", _unknown_tag, fires=False),
)

DETECTOR = Detector(
    id="nan-inf",
    title="NaN or infinity",
    summary="A NaN or an infinity was logged in a loss, metric or gradient norm.",
    severity=Severity.ERROR,
    phase=CURVES,
    detect=detect,
    doc=__doc__ or "",
    needs=("log",),
    wants=("train_loss", "grad_norm", "has_nan_grad", "gradient_histogram", "lr"),
    domains=EVERY,
    thresholds={
        "inf_grad_share": Threshold(0.02, "loss scaling skips a step once in hundreds to thousands (PyTorch GradScaler)"),
        "flagged_share": Threshold(0.1, "reports of NaN gradients that loss scaling does not explain"),
    },
    examples=EXAMPLES,
)
