"""The mixed-precision loss scale falls again and again.

What it means
    The gradient scaler halves its scale each time a gradient overflows. A scale that falls to almost nothing says that gradients
    overflow on nearly every step: those steps are skipped.

Why it matters
    Skipped steps train nothing, and a tiny scale makes small gradients underflow to zero. Some trainers stop at the minimum.

How it is told
    After its first calibration (until the scale first grows, or stays for three points) the scale ends at least eight
    halvings below its largest value and has not recovered; or it falls to 1 or less; or it falls by four halvings or more
    over the last quarter of the run without growing once. The fall begins at the first of the halvings that follow each other
    until the end; single ones long before it, and the search at the start, are not part of it.

First check
    Look for the first step that overflows: its batch, the loss, and the largest activation or logit.

First action
    Continue from the last good checkpoint in bfloat16 (or float32) for one run.

Success rule
    Beyond the step at which this run's scale began to fall the loss is finite, and the loss scale stays above a sixty-fourth of its first
    value after the first twentieth of the run, or none is logged any more (bfloat16 and float32 have none).

Not to be confused with
    the calibration at the start (a scale that begins at 2^16 or 2^32 and finds its level), bfloat16 (scale constant at 1), nan-inf.

Limits
    Writers that log rarely hide halvings in between; only the values are used.

Sources
    PyTorch GradScaler (factor 2, growth after 2,000 clean steps), Megatron, DeepSpeed and fairseq scalers; literature 3.10 and 7.4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    HYPERPARAMETERS,
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
from tbdiag.detectors._tails import say
from tbdiag.model import Mark
from tbdiag.stats.confidence import confidence


def detect(view: View) -> Finding | NotApplicable | None:
    """Halvings that remain at the end, after the first calibration."""
    scale = view.curve("loss_scale")
    if scale is None or scale.n < 5:
        return NotApplicable("fewer than five loss scales were logged", ("loss_scale",))
    if float(scale.value.min()) < 0 or float(scale.value.max()) <= 0 or float(scale.value.max()) == float(scale.value.min()):
        return None
    # Halved a hundred and fifty times a float32 scale is zero.
    log = np.log2(np.maximum(scale.value, 2.0**-150))
    start = _calibrated_at(log)
    settled = log[start:]
    peak = int(np.argmax(settled[::-1]))
    peak = settled.size - 1 - peak  # the last of equal maxima
    fallen = float(settled[peak] - settled[-1])
    quarter = settled[-max(settled.size // 4, 2) :]
    steadily = float(quarter[0] - quarter[-1]) >= view["still_falling"] and not bool((np.diff(quarter) > 0).any())
    falling = steadily and fallen >= view["still_falling"] + 2  # a scaler moves within a band of two halvings either way
    floor = float(scale.value[-1]) <= view["floor"] and float(settled.max()) - settled[-1] >= view["still_falling"]
    collapsed = fallen >= view["halvings"] or floor or falling
    if not collapsed:
        return None
    first = start + peak
    # A scaler moves within a band of two halvings; the fall is sure where it leaves the band for good, and began a little before.
    left = int(np.flatnonzero(log[first:] >= log[first] - min(2.0, fallen - 1.0))[-1]) + first
    onset_index = _begun_at(log, scale.step, first, left, view["apart"])
    onset = Interval(int(scale.step[onset_index]), int(scale.step[min(onset_index + 1, scale.n - 1)]))
    lowest = float(scale.value[first:].min())
    text = "The loss scale falls from {peak:.4g} at step {step:,.0f} to {end:.3g} at the end, {halvings:.0f} halvings that it does not make up for."
    mark = (Mark("event", "loss scale starts to fall", int(scale.step[onset_index])),)
    numbers = {
        "peak": float(scale.value[onset_index]),
        "step": float(scale.step[onset_index]),
        "end": float(scale.value[-1]),
        "halvings": round(float(log[onset_index] - log[-1])),
    }
    evidence = [say(text, (scale,), mark, **numbers)]
    norm = view.features.curve("grad_norm")
    if norm is not None and norm.bad_step.size:
        evidence.append(say("The gradient norm is not finite at {bad:.0f} logged points.", (norm,), bad=float(norm.bad_step.size)))
    return Finding(
        id="loss-scale-collapse",
        severity=Severity.ERROR,
        confidence=confidence(
            max(fallen / view["halvings"], 1.0),
            supports=int(floor) + int(bool(norm is not None and norm.bad_step.size)),
            doubts=int(fallen < view["halvings"]),
        ),
        title=f"Loss scale collapse: the loss scale falls from {float(scale.value[onset_index]):.4g} to {lowest:.3g}",
        onset=onset,
        extent=Interval(int(scale.step[onset_index]), int(scale.step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("Activations, logits or a summed loss overflow in float16"),
            Cause("Training diverges: gradients overflow because they explode"),
            Cause("An infinite or NaN value in the data or in a custom operation"),
        ),
        first_check="Look for the first step that overflows: its batch, the loss, and the largest activation or logit.",
        first_action="Continue from the last good checkpoint in bfloat16 (or float32) for one run.",
        fixes=(
            "Train in bfloat16 or float32",
            "Compute softmax, norms and the loss in float32",
            "Lower the learning rate and clip gradients after unscaling",
            "Check the data and custom operations for infinities",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    "loss_scale",
                    "min",
                    ">=",
                    float(scale.value[0]) / 64.0,
                    window=(0.05, 1.0),
                    source="this run's first loss scale divided by 64",
                    if_logged=True,
                ),
                predicate("train_loss", "nonfinite", "==", 0.0, if_logged=True),
                predicate("log", "last_step", ">", float(onset.last_step), source="where this run's scale began to fall"),
            ),
            sentence=f"Beyond step {onset.last_step:,} the loss is finite, and the loss scale stays at {float(scale.value[0]) / 64.0:g} or above "
            "after the first twentieth of the run, or none is logged any more.",
        ),
        phase=HYPERPARAMETERS,
        roles=("loss_scale",),
    )


def _calibrated_at(log: npt.NDArray[np.float64]) -> int:
    """Index at which the first search for a scale ends: it grew, or stayed for three points above one."""
    for i in range(log.size - 2):
        if log[i + 1] > log[i] or (log[i] == log[i + 1] == log[i + 2] and log[i] > 0):
            return i
    return 0


def _begun_at(log: npt.NDArray[np.float64], step: npt.NDArray[np.int64], first: int, left: int, apart: float) -> int:
    """Index of the last point before the fall: back from the one at which the scale leaves its band, over halvings that follow each other.

    Halvings much further apart than those of the fall, or with a growth between, are single overflows, or the search at the start of the run.
    """
    falls = np.flatnonzero(np.diff(log) < 0)
    falls = falls[falls >= first]
    at = int(np.searchsorted(falls, left))
    gaps = np.diff(step[falls[at:]])
    usual = float(np.median(gaps)) if gaps.size else 0.0
    usual = max(usual, float(np.median(np.diff(step[first:]))))
    while (
        at > 0
        and step[falls[at]] - step[falls[at - 1]] <= apart * usual
        and not np.any(np.diff(log[falls[at - 1] + 1 : falls[at] + 1]) > 0)
    ):
        at -= 1
    return int(falls[at])


def _collapse() -> object:
    n = 120
    log = np.concatenate((np.full(40, 16.0), np.full(20, 17.0), np.maximum(17.0 - np.arange(60), -20.0)))
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.4), "train/loss_scale": 2.0**log}, every=10)


def _slow_collapse(single: int) -> object:
    """Halved every 20 points from the 121st on; one halving more at `single`, long before."""
    n = 300
    log = 16.0 - np.maximum(np.arange(n) - 100, 0) // 20 - (np.arange(n) >= single)
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.4), "train/loss_scale": 2.0**log}, every=20)


def _calibrates() -> object:
    n = 120
    log = np.concatenate((np.maximum(32.0 - 4 * np.arange(6), 14.0), np.full(50, 14.0), np.full(30, 15.0), np.full(34, 14.0)))
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.4), "train/loss_scale": 2.0 ** log[:n]}, every=10)


def _bfloat16() -> object:
    return _synth.make_run({"loss/train": _synth.decay(60, 2.3, 0.4), "train/loss_scale": np.ones(60)})


EXAMPLES = (
    Example("halved on every logged step from the middle on", _collapse, fires=True, onset=(550, 640)),
    Example("halved every 400 steps from step 2,400 on", lambda: _slow_collapse(999), fires=True, onset=(2380, 2400)),
    Example("the same after a single overflow in the beginning", lambda: _slow_collapse(2), fires=True, onset=(2380, 2400)),
    Example("calibrates from 2^32, then moves by one halving", _calibrates, fires=False),
    Example("bfloat16: constant at one", _bfloat16, fires=False),
)

DETECTOR = Detector(
    id="loss-scale-collapse",
    title="Loss scale collapse",
    summary="The mixed-precision loss scale falls again and again.",
    severity=Severity.ERROR,
    phase=HYPERPARAMETERS,
    detect=detect,
    doc=__doc__ or "",
    needs=("loss_scale",),
    wants=("grad_norm",),
    domains=EVERY,
    thresholds={
        "halvings": Threshold(8, "healthy scalers move by one or two halvings after their calibration (literature 3.10)"),
        "still_falling": Threshold(4, "literature 7.4: four halvings without a doubling"),
        "apart": Threshold(3.0, "halvings further apart than that many of their usual distance do not belong to one fall"),
        "floor": Threshold(1.0, "smallest scale of Megatron and DeepSpeed"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("nan-inf",),
)
