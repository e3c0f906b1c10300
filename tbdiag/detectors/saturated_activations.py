"""Most activations of a tanh or sigmoid layer sit at a limit, where the gradient is nearly zero.

What it means
    The pre-activations are so large that the function answers its limit: a unit is on or off and hardly depends on its input.

Why it matters
    The gradient through a saturated unit is close to zero: the layers below learn slowly or not at all.

How it is told
    In a layer the share of activations within 5 % of a limit is above 0.5 over the last 30 % of the run, from a logged
    saturated fraction, or from histograms whose values lie within [-1, 1] (tanh) or within [0, 1] with both ends used
    (sigmoid; where a third of the values are zeros only if nearly all the others are ones). Output layers, gates, masks and attention weights saturate by design and are left out by name.

First check
    Print mean and standard deviation of the inputs and of the first saturated layer's pre-activations.

First action
    Standardise the inputs (mean 0, standard deviation 1), or add normalisation before the first saturated layer.

Success rule
    The share of saturated activations ends at half of this run's or below, in every layer.

Not to be confused with
    dead-units (stuck at zero), vanishing-gradients (the consequence), confident output probabilities.

Limits
    From histograms the function is guessed from the range of the values. A ReLU that stays below one is not judged.

Sources
    DeepDiagnosis (pre-activations beyond 5 for more than half of the units), SageMaker Debugger SaturatedActivation, TheDeepChecker.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    EVERY,
    GRADIENTS,
    Cause,
    Detector,
    Example,
    Finding,
    NotApplicable,
    Severity,
    SuccessRule,
    Threshold,
    View,
    predicate,
)
from tbdiag.detectors._tails import TAIL, begins, lasts, name_some, say, since, tail
from tbdiag.features import LayerFacts
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import Float64, median

_LIMITED_BY_DESIGN = re.compile(
    r"gate|mask|attn|attention|softmax|logit|prob|head|classifier|(^|[/_. ])out(put)?([/_. ]|$)|dropout|input|router|policy"
)


def detect(view: View) -> Finding | NotApplicable | None:
    """Layers whose saturated share stays above the limit to the end of the run."""
    layers = [x for x in view.layers("saturated") if x.curve.n and not _by_design(x)]
    if not layers:
        return NotApplicable("no activations of a bounded function were logged", ("activation_stat",))
    full = [x for x in layers if _is_saturated(x, view["share"])]
    if not full:
        return None
    first = min(full, key=lambda x: x.rank)
    worst = max(full, key=lambda x: median(tail(x.curve)))
    level = median(tail(worst.curve))
    index = since(first.curve.value > view["share"])
    index = first.curve.n - 1 if index is None else index
    start = index == 0
    evidence = say(
        f"In layer {name_some([worst.layer])} {{saturated:.1%}} of the activations are at a limit over the last part of the run "
        "({full:.0f} of {layers:.0f} layers are above {limit:.0%}).",
        [x.name for x in full],
        saturated=level,
        full=float(len(full)),
        layers=float(len(layers)),
        limit=view["share"],
    )
    early = first.rank == min(x.rank for x in layers)
    causes = [
        Cause("Inputs that are not normalised", "the layer nearest to the input is saturated from the start" if early and start else ""),
        Cause(
            "Weights initialised too large for a bounded activation",
            "all layers are saturated from the start" if start and len(full) > 1 else "",
        ),
        Cause("A learning rate that drove the weights up", "" if start else "the share rose during training"),
    ]
    if start and len(full) == len(layers) and len(full) > 1:
        causes = [causes[1], causes[0], causes[2]]
    elif not start:
        causes = [causes[2], causes[0], causes[1]]
    action = (
        f"Add normalisation (LayerNorm or BatchNorm) before layer '{first.layer}' and rerun."
        if not early or not start
        else "Standardise the inputs (mean 0, standard deviation 1 per feature) and rerun."
    )
    return Finding(
        id="saturated-activations",
        severity=Severity.WARNING,
        confidence=confidence((1.0 - view["share"]) / max(1.0 - level, 1e-6), supports=int(len(full) > 1), doubts=1),
        title=f"Saturated activations: {level:.0%} of layer '{worst.layer}' is at a limit",
        onset=begins(first.curve.step, index),
        extent=lasts(first.curve.step, index),
        evidence=(evidence,),
        causes=tuple(causes),
        first_check="Print mean and standard deviation of the inputs and of the first saturated layer's pre-activations.",
        first_action=action,
        fixes=(
            "Standardise the inputs",
            "Use Xavier initialisation with the gain of the activation",
            "Add normalisation before the saturated layers",
            "Replace tanh or sigmoid in hidden layers by ReLU or GELU",
            "Lower the learning rate",
        ),
        success_rule=SuccessRule(
            all=(predicate("saturated_fraction", "median", "<=", level / 2, window=(0.7, 1.0), source="half of this run's share"),),
            sentence=f"No layer has more than {level / 2:.3g} of its activations at a limit in the last 30 % of the run.",
        ),
        phase=GRADIENTS,
        roles=("activation_stat",),
    )


def _by_design(layer: LayerFacts) -> bool:
    # Keras names every layer's output 'outputs/NAME': the word alone says nothing there.
    name = re.sub(r"outputs?/", "", layer.name.lower())
    return bool(_LIMITED_BY_DESIGN.search(name))


def _is_saturated(layer: LayerFacts, limit: float) -> bool:
    last = tail(layer.curve, TAIL, least=min(3, layer.curve.n))
    return bool(np.median(last) > limit and last[-1] > limit - 0.05)


def _saturated() -> object:
    rng = np.random.default_rng(41)
    n = 20
    series = {f"activations/{i}/saturated_fraction": 0.87 + rng.normal(0, 0.003, n) for i in (1, 3, 5)}
    return _synth.make_run({"loss/train": _synth.decay(n, 2.6, 1.6), **series})


def _in_range() -> object:
    rng = np.random.default_rng(42)
    n = 20
    series = {f"activations/{i}/saturated_fraction": np.linspace(0.0, 0.3, n) + rng.normal(0, 0.003, n) for i in (1, 3)}
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.1), **series})


def _saturated_histograms(encoding: str, spread: float, function: Callable[[Float64], Float64] = np.tanh) -> object:
    rng = np.random.default_rng(43)
    made = [
        _synth.make_histograms(f"activations/{i}", [function(rng.normal(0, spread, 500)) for _ in range(8)], every=50, encoding=encoding)
        for i in (1, 3)
    ]
    return _synth.make_run({"loss/train": _synth.decay(80, 2.6, 1.6)}, every=5, histograms=made)


def _sigmoid(x: Float64) -> Float64:
    return np.asarray(np.exp(-np.maximum(-x, 0)) / (1 + np.exp(-np.abs(x))), np.float64)


def _relu(x: Float64) -> Float64:
    return np.maximum(x, 0)


EXAMPLES = (
    Example("three tanh layers with large initial weights", _saturated, fires=True),
    Example("tanh in PyTorch histograms, pre-activations of 6", lambda: _saturated_histograms("histo", 6.0), fires=True),
    Example("tanh in TensorFlow histograms, pre-activations of 6", lambda: _saturated_histograms("tensor", 6.0), fires=True),
    Example("sigmoid of raw pixels, rounded to zeros and ones", lambda: _saturated_histograms("histo", 99.0, _sigmoid), fires=True),
    Example("ReLU that stays below one", lambda: _saturated_histograms("histo", 0.2, _relu), fires=False),
    Example("saturation grows to 0.3 while the model learns", _in_range, fires=False),
    Example("tanh in PyTorch histograms, pre-activations of 1", lambda: _saturated_histograms("histo", 1.0), fires=False),
    Example("tanh in TensorFlow histograms, pre-activations of 1", lambda: _saturated_histograms("tensor", 1.0), fires=False),
)

DETECTOR = Detector(
    id="saturated-activations",
    title="Saturated activations",
    summary="Most activations of a tanh or sigmoid layer sit at a limit, where the gradient is nearly zero.",
    severity=Severity.WARNING,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("activation_stat", "activation_histogram"),),
    domains=EVERY,
    thresholds={"share": Threshold(0.5, "DeepDiagnosis and literature 7.3: more than half of the activations")},
    examples=EXAMPLES,
    scale_free=False,
    explains=("vanishing-gradients",),
)
