"""The weight norm grows without bound.

What it means
    The norm of the weights grows exponentially, or several times over at a pace that never slows: nothing holds the weights.

Why it matters
    Outputs and gradients grow with it; the loss follows sooner or later, and mixed precision overflows.

How it is told
    On the total norm or, without one, on at least half of the layers: from the middle to the end of the run the norm grows
    at least 1.5 times, at least three times over the whole run, and the last quarter adds as much to its logarithm as the
    quarter before (85 % of it): a power of the step number adds less. Growth by four times in the second half counts in any
    case, and so does threefold growth in a straight line: every quarter adds as much as the one before (90 % of it), the
    second half as much as the first (95 %), in the total and in every layer. The square root of a random walk and weights
    that decay holds add less and less.

First check
    Compare the weight decay that the optimiser really applies (sign, parameter groups) with the one intended.

First action
    Rerun unchanged with decoupled weight decay of 0.01 (AdamW), or 5 times the present value.

Success rule
    The weight norm grows by at most a fifth in the second half of the run.

Not to be confused with
    the growth of every training from small initial weights (slows down), divergence (the loss tells it), scale-invariant layers below a
    normalisation, whose norm drifts up harmlessly and slowly.

Limits
    Needs weight norms or weight histograms at six points or more.

Sources
    Literature 7.3 (norm ~ t^0.5 without decay; exponential growth is flagged). The ratio of the two quarters is 1 for an exponential,
    0.71 for a straight line and for any power of t. Of the labelled healthy trainings none grew more than 2.2-fold over the run.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    GRADIENTS,
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
from tbdiag.detectors._tails import name_some, say
from tbdiag.detectors._words import unit
from tbdiag.features import CurveFacts
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

Float64 = npt.NDArray[np.float64]

SLACK = 1.2
"""How far above its median the norm may end in the second half: a straight line that grows threefold reaches it."""


def detect(view: View) -> Finding | NotApplicable | None:
    """The total norm, else the layers one by one."""
    total = view.curve("weight_norm")
    layers = [x for x in view.layers("weight") if x.matrix and not x.buffer and x.curve.n >= view["points"]]
    if (total is None or total.n < view["points"]) and not layers:
        return NotApplicable("fewer than six weight norms were logged", ("weight_norm",))
    if total is not None and total.n < view["points"]:
        total = None
    # One of several layers may well grow in a straight line; that all of them do, and the total with them, is a push.
    curves = [*([] if total is None else [total]), *(x.curve for x in layers)]
    straight = all(measure_growth(c, view, straight=True) for c in curves)
    growth = measure_growth(total, view, straight=straight) if total is not None else None
    grown = [(x, g) for x, g in ((x, measure_growth(x.curve, view, straight=straight)) for x in layers) if g is not None]
    if growth is None and (not layers or 2 * len(grown) < len(layers) or len(layers) < 2):
        return None
    if total is None or growth is None:
        lead, growth = max(grown, key=lambda pair: pair[1][0])
        total = lead.curve
    if layers and 2 * len(grown) < len(layers):
        return None  # one layer that catches up is not a runaway
    second, whole, _ = growth
    names = [x.name for x, _ in grown] or [total.name]
    middle, end = _at(total, 0.5), median(total.value[-2:])
    evidence = [
        say(
            "The weight norm grows from {first:.4g} to {middle:.4g} in the first half of the run and to {end:.4g} in the second: {whole:.3g} times "
            "in all, {second:.3g} times in the second half.",
            names,
            first=float(total.value[0]),
            middle=middle,
            end=end,
            whole=whole,
            second=second,
        )
    ]
    if layers:
        text = f"{{grown:.0f}} of {{layers:.0f}} weight matrices grow like this ({name_some([x.layer for x, _ in grown])})."
        evidence.append(say(text, names, grown=float(len(grown)), layers=float(len(layers))))
    loss = view.curve("val_loss") or view.curve("train_loss")
    late_best = loss is not None and loss.best_index >= 0.9 * (loss.n - 1)
    worse = loss is not None and loss.n >= 4 and not late_best and loss.rise > 4 * loss.sigma and loss.rise > 0.05 * abs(loss.best_cost)
    # Weights that grow while the loss comes down by half are learning: a late start from small values looks like this.
    late_start = total.step[_begun(total)[0]] - total.step[0] > 0.25 * (total.step[-1] - total.step[0])
    learns = (
        late_start
        and loss is not None
        and loss.n >= 8
        and late_best
        and loss.sign * (_at(loss, 0.5) - _at(loss, 1.0)) > 0.3 * abs(_at(loss, 0.5))
    )
    if worse and loss is not None:
        evidence.append(say("The loss ends at {end:.4g} after {best:.4g} at its best.", (loss,), end=loss.end, best=loss.best))
    decay = view.signals.setting("weight_decay")
    action = (
        f"Rerun unchanged with weight decay raised from {decay:g} to {5 * decay:g} (decoupled), after checking its sign."
        if decay is not None and decay > 0
        else "Rerun unchanged with decoupled weight decay of 0.01 (AdamW), or 5 times the present value, after checking its sign."
    )
    step, begun = total.step, _begun(total)
    return Finding(
        id="weight-growth",
        severity=Severity.ERROR if worse else Severity.NOTE if learns else Severity.WARNING,
        confidence=confidence(second / view["second_half"], whole / view["whole"], supports=int(worse)),
        title=f"Weight growth: the weight norm grows {whole:.3g}-fold{_manner(total, growth, begun)}",
        onset=Interval(int(step[begun[0]]), int(step[begun[1]])),
        extent=Interval(int(step[0]), int(step[-1])),
        evidence=tuple(evidence),
        causes=(
            Cause("Weight decay with the wrong sign, or none"),
            Cause("A learning rate that is too high"),
            Cause("Logits that drift up because nothing holds them (no z-loss, no normalisation)"),
        ),
        first_check="Compare the weight decay that the optimiser really applies (sign, parameter groups) with the one intended.",
        first_action=action,
        fixes=(
            "Check the sign of every regularisation term in the loss",
            "Enable decoupled weight decay (0.01 to 0.1 with AdamW)",
            "Lower the learning rate by a factor of 3",
            "Add normalisation or a penalty on the logits",
        ),
        success_rule=SuccessRule(
            all=(
                predicate(
                    "weight_norm",
                    "end",
                    "<=",
                    0.0,
                    minus="median",
                    minus_times=SLACK,
                    window=(0.5, 1.0),
                    source="1.2 times its median there",
                ),
            ),
            sentence="In the second half of the run the weight norm ends at most a fifth above its median.",
        ),
        phase=GRADIENTS,
        roles=("weight_norm",),
    )


def _begun(curve: CurveFacts) -> tuple[int, int]:
    """Indices of the points between which the growth began: a tenth and a sixth of all that the logarithm gained.

    A growth that fills the run began with it.
    """
    gained = np.log(curve.value / curve.value[0]) / np.log(float(curve.value[-1]) / float(curve.value[0]))
    after = int(np.argmax(gained >= 1 / 6))
    before = int(np.flatnonzero(gained[: after + 1] <= 0.1)[-1])
    if curve.step[before] - curve.step[0] <= 0.2 * (curve.step[-1] - curve.step[0]):
        before = 0
    return before, max(after, before + 1)


def _manner(curve: CurveFacts, growth: tuple[float, float, float], begun: tuple[int, int]) -> str:
    """How it grows: on and on, or nearly all of it at some point of the run."""
    start = (float(curve.step[begun[0]]) - float(curve.step[0])) / max(float(curve.step[-1] - curve.step[0]), 1.0)
    if growth[2] >= 0.71:
        return " and does not slow down"
    return f", nearly all of it after {unit(curve)} {int(curve.step[begun[0]]):,}" if start > 0 else ""


def _at(curve: CurveFacts, share: float) -> float:
    low, high = float(curve.step[0]), float(curve.step[-1])
    return float(np.interp(low + share * (high - low), curve.step, curve.value))


def measure_growth(curve: CurveFacts, view: View, *, straight: bool) -> tuple[float, float, float] | None:
    """Growth in the second half, over the whole run, and last quarter over the quarter before (logarithms); None if bounded.

    With `straight` severalfold growth in a straight line is unbounded too.
    """
    if curve.n < view["points"] or float(curve.value.min()) <= 0:
        return None
    quarter = [_at(curve, q) for q in (0.0, 0.5, 0.75)]
    end = median(curve.value[-2:]) if curve.n >= 12 else float(curve.value[-1])
    second, whole = end / quarter[1], end / quarter[0]
    before, last = np.log(quarter[2] / quarter[1]), np.log(end / quarter[2])
    steady = float(last / before) if before > 0 else 0.0
    runaway = second >= view["second_half"] and whole >= view["whole"] and steady >= view["steady"]
    steep = second >= view["any_case"] and whole >= view["any_case"] and last > 0
    gained = np.diff([*(_at(curve, q) for q in (0.0, 0.25, 0.5, 0.75)), end])
    # What diffuses (a square root) or is held by decay gains less and less; a push that nothing answers gains the same or more.
    # Learning adds to the first quarter.
    least = np.array([view["straight"] - 0.1, view["straight"], view["straight"]])
    even = bool(np.all(gained[1:] >= least * gained[:-1])) and gained[2:].sum() >= 0.95 * gained[:2].sum() > 0
    line = straight and even and whole >= view["whole"] and end > SLACK * median(curve.value[curve.between(0.5, 1.0)])
    return (second, whole, steady) if runaway or steep or line else None


def _runaway() -> object:
    n = 20
    series = {f"weight_norm/{i}.weight": 3.0 * np.exp(0.13 * np.arange(n)) for i in (0, 2, 4)}
    return _synth.make_run({"loss/train": _synth.decay(n, 3.0, 2.3) + 0.05 * np.arange(n), **series})


def _usual() -> object:
    n = 40
    t = np.arange(1, n + 1)
    series = {"weight_norm/0.weight": 2.0 + 0.5 * t, "weight_norm/2.weight": np.sqrt(t), "weight_norm/4.weight": 3.0 + np.log(t)}
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.1), **series})


def _total(power: float) -> object:
    rng = np.random.default_rng(81)
    t = np.linspace(0, 1, 60)
    return _synth.make_run({"loss/train": _synth.decay(60, 2.3, 0.1), "weight_norm": 8.0 + 27.0 * t**power + rng.normal(0, 0.02, 60)})


EXAMPLES = (
    Example("all norms grow exponentially", _runaway, fires=True),
    Example("the norm of all weights grows fourfold in a straight line", lambda: _total(1.0), fires=True),
    Example("the norm of all weights grows fourfold like a random walk", lambda: _total(0.5), fires=False),
    Example("a straight line, a square root and a logarithm", _usual, fires=False),
)

DETECTOR = Detector(
    id="weight-growth",
    title="Weight growth",
    summary="The weight norm grows without bound.",
    severity=Severity.WARNING,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("weight_norm", "layer_weight_norm", "weight_histogram"),),
    wants=("weight_norm", "layer_weight_norm", "weight_histogram", "val_loss", "train_loss"),
    domains=EVERY,
    thresholds={
        "points": Threshold(6, "fewer points do not show a shape"),
        "second_half": Threshold(1.5, "growth from the middle to the end"),
        "whole": Threshold(3.0, "growth over the run"),
        "steady": Threshold(0.85, "last quarter over the one before: 1 exponential, 0.71 straight line"),
        "straight": Threshold(
            0.9,
            "what a quarter gains over the one before: 1 straight line; a square root gains 0.41, 0.77 and 0.84; 0.1 less behind the first",
        ),
        "any_case": Threshold(4.0, "a power of two and more in the second half"),
    },
    examples=EXAMPLES,
    scale_free=True,
    explains=("divergence", "instability"),
)
