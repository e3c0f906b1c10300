"""The gradient shrinks on its way through the network, or is as good as zero, while nothing is learned.

What it means
    Layers near the input get a gradient that is thousands of times smaller than those near the output: they do not learn. Or the whole
    gradient has become negligible although the loss is still bad.

Why it matters
    Only the last layers are trained, on random features; the loss stays at chance.

How it is told
    Only while the run is still at the level of knowing nothing (a converged model has small gradients too). Across depth:
    with at least three weight layers the median gradient norm of the first (of the first third, where that of the first is
    no more than ten times as large) over that of the last is below 0.001 in the second half of the run (0.00001 where the run learned up to 60 % of the way: the last layers learn without the first),
    and the norms rise from the input to the output. Globally: the median norm of the second half is below 0.001 of its
    first values, or below one millionth of the loss.

First check
    Plot the gradient norms of all layers on one logarithmic axis.

First action
    Insert a normalisation layer, or replace the saturating activation by ReLU or GELU, at the first layer that loses the gradient.

Success rule
    The gradient norm of the first layer is at least a hundredth of the last one's, and the training loss falls further than in this run.

Not to be confused with
    frozen-weights (gradients exactly zero), lr-too-low (gradients are there, steps are small), a converged model, dead-units.

Limits
    Without gradients by layer only the total is seen, which the last layer dominates.

Sources
    AutoTrainer (first over last below 0.001 with a small first), SageMaker Debugger VanishingGradient (1e-7); literature 7.3. The limit
    relative to the loss replaces absolute limits, which a scaled loss would shift.
"""

from __future__ import annotations

import numpy as np

from tbdiag.detectors import _synth
from tbdiag.detectors._base import (
    DIRECTED,
    GRADIENTS,
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
from tbdiag.detectors._tails import name_some, say, tail
from tbdiag.features import LayerFacts
from tbdiag.features.layers import depth_curves
from tbdiag.features.progress import PROGRESS_ROLES, measure_progress
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median


def detect(view: View) -> Finding | NotApplicable | None:
    """Across depth where layers were logged, else the total norm; never in a run that learned something."""
    loss = view.curve("train_loss") or view.curve("val_loss")
    if loss is None:
        return NotApplicable("no loss tells whether anything was learned", ("train_loss",))
    progress = measure_progress(view.curve, view.signals)
    learned = max((s for s in (progress.loss_share, progress.accuracy_share) if s is not None), default=0.0)
    if not progress.bad and learned >= view["learned"]:
        return None
    layers = depth_curves(view.layers("gradient"))
    found = _across_depth(view, layers, view["depth_ratio"] if progress.bad else view["extreme_ratio"])
    found = found or (_in_total(view) if progress.bad else None)
    if found is None:
        return None
    evidence, where, rule, sure, title = found
    first, last = int(loss.step[0]), int(loss.step[-1])
    drop = predicate("train_loss", "drop", ">", max(loss.drop, 0.0), sd_times=4.0, source="drop(train_loss) of this run")
    action = (
        f"Insert a normalisation layer {where}, or replace the saturating activation there by ReLU or GELU."
        if where
        else "Log the gradient norm of every layer for 100 steps, to see where the gradient is lost."
    )
    return Finding(
        id="vanishing-gradients",
        severity=Severity.ERROR,
        confidence=sure,
        title=title,
        onset=Interval(first, first),
        extent=Interval(first, last),
        evidence=(evidence,),
        causes=(
            Cause("Saturating activations (sigmoid, tanh) through many layers without skip connections or normalisation"),
            Cause("Weights initialised too small for the depth"),
            Cause("Dead ReLU layers in between"),
            Cause("A softmax or sigmoid applied twice before the loss"),
        ),
        first_check="Plot the gradient norms of all layers on one logarithmic axis.",
        first_action=action,
        fixes=(
            "Replace saturating activations by ReLU or GELU",
            "Add normalisation layers or skip connections",
            "Use the initialisation that fits the activation (He, Xavier)",
            "Normalise the inputs",
            "Try a shallower model: if it learns, depth is the cause",
        ),
        success_rule=SuccessRule(
            all=(rule, drop),
            sentence=(
                "The first layer's gradient norm is at least a hundredth of the last one's and the training loss falls further than in this run."
                if where
                else "The gradient norm does not fall below a hundredth of its first values and the training loss falls further than in this run."
            ),
        ),
        phase=GRADIENTS,
        roles=("layer_grad_norm",) if where else ("grad_norm",),
    )


def _across_depth(view: View, layers: tuple[LayerFacts, ...], limit: float) -> tuple[Evidence, str, Predicate, float, str] | None:
    if len(layers) < 3:
        return None
    level = np.array([median(tail(x.curve, 0.5)) for x in layers])
    k = max(1, len(layers) // 3)
    # A first layer with many inputs has the largest norm of the front; it must be far behind as well.
    front = float(np.median(level[:k])) if level[0] < 10 * limit * level[-1] else float(level[0])
    if not level[-1] > 0 or min(front, float(level[0])) >= limit * level[-1]:
        return None
    # Exact zeros in front are frozen or dead layers, unless the norms behind them fade out step by step.
    alive = np.flatnonzero(level > 0)
    fading = np.diff(np.log10(level[alive]))
    if alive.size < 3 or min(front, float(level[alive[0]])) >= limit * level[-1] or float(np.mean(fading > 0)) < 0.6:
        return None
    if float(np.median(level[:k])) >= 10 * limit * float(np.median(level[-k:])):
        return None
    # One place that loses more than half of all decades, or a loss in every layer?
    steps = np.diff(np.log10(np.maximum(level, level[alive[0]])))
    steepest = int(np.argmax(steps))
    where = f"at '{layers[steepest].layer}'" if steps[steepest] > 0.5 * steps.sum() else ""
    ratio = level[0] / level[-1]
    evidence = say(
        f"The gradient norm is {{first:.2e}} in layer {name_some([layers[0].layer])} and {{last:.2e}} in layer {name_some([layers[-1].layer])}, "
        "a ratio of {ratio:.1e} over {layers:.0f} layers.",
        [x.name for x in layers],
        first=float(level[0]),
        last=float(level[-1]),
        ratio=float(ratio),
        layers=float(len(layers)),
    )
    rule = predicate("grad_depth_ratio", "median", ">=", 0.01, source="a hundredth from first to last layer")
    title = f"Vanishing gradients: layer '{layers[0].layer}' gets {ratio:.0e} of the gradient of '{layers[-1].layer}'"
    where = where or f"in every hidden layer (each loses a factor of {10 ** (float(steps.sum()) / steps.size):.2g})"
    return evidence, where, rule, confidence(limit / max(float(ratio), 1e-300), supports=int(limit == view["depth_ratio"])), title


def _in_total(view: View) -> tuple[Evidence, str, Predicate, float, str] | None:
    norm, loss = view.curve("grad_norm"), view.curve("train_loss") or view.curve("val_loss")
    if norm is None or loss is None or norm.n < 10:
        return None
    late = median(tail(norm, 0.5))
    if late <= 0:
        return None  # exactly zero: nothing is trained, see frozen-weights
    early = norm.first
    size = abs(loss.end)
    if late < view["fall"] * early:
        text = "The gradient norm falls from {early:.3g} to {late:.2e} while the loss ends at {loss:.4g}."
        title = f"Vanishing gradients: the gradient norm falls from {early:.3g} to {late:.1e} while nothing is learned"
    elif abs(loss.end) < 2 * abs(loss.first) and late < view["of_loss"] * size and early < 10 * view["of_loss"] * size:
        text = "The gradient norm is {late:.2e} over the second half of the run ({early:.2e} at first) while the loss ends at {loss:.4g}."
        title = f"Vanishing gradients: the gradient norm is only {late:.1e} while nothing is learned"
    else:
        return None
    evidence = say(text, (norm, loss), early=early, late=late, loss=loss.end)
    rule = predicate("grad_norm", "median", ">=", early / 100, window=(0.5, 1.0), source="a hundredth of this run's first gradient norm")
    return evidence, "", rule, confidence(max(view["fall"] * early, view["of_loss"] * size) / late, doubts=1, cap=0.9), title


def _deep_sigmoid() -> object:
    rng = np.random.default_rng(51)
    n = 20
    series = {f"grad_norm/{2 * i}.weight": 3e-8 * 6.0**i * np.exp(rng.normal(0, 0.3, n)) for i in range(10)}
    return _synth.make_run({"loss/train": 2.303 + rng.normal(0, 0.003, n), **series})


def _converged() -> object:
    rng = np.random.default_rng(52)
    n = 40
    series = {f"grad_norm/{2 * i}.weight": _synth.decay(n, 1.0, 1e-5, 9.0) * 2.0**i * np.exp(rng.normal(0, 0.2, n)) for i in range(4)}
    return _synth.make_run({"loss/train": _synth.decay(n, 2.3, 0.001, 8.0), **series})


def _no_signal() -> object:
    rng = np.random.default_rng(53)
    n = 40
    series = {f"grad_norm/{2 * i}.weight": 0.2 * 1.5**i * np.exp(rng.normal(0, 0.2, n)) for i in range(4)}
    return _synth.make_run({"loss/train": 2.303 + rng.normal(0, 0.003, n), **series})


def _deep_histograms() -> object:
    rng = np.random.default_rng(54)
    made = [
        _synth.make_histograms(f"gradients/{2 * i}.weight", [3e-9 * 8.0**i * rng.normal(0, 1, 200) for _ in range(8)], every=50)
        for i in range(9)
    ]
    return _synth.make_run({"loss/train": 2.303 + rng.normal(0, 0.003, 80)}, every=5, histograms=made)


EXAMPLES = (
    Example("ten sigmoid layers at chance level", _deep_sigmoid, fires=True),
    Example("nine layers of gradient histograms", _deep_histograms, fires=True),
    Example("a converged model with small gradients", _converged, fires=False),
    Example("nothing is learned, but gradients reach every layer", _no_signal, fires=False),
)

DETECTOR = Detector(
    id="vanishing-gradients",
    title="Vanishing gradients",
    summary="The gradient shrinks on its way through the network, or is as good as zero, while nothing is learned.",
    severity=Severity.ERROR,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("layer_grad_norm", "gradient_histogram", "grad_norm"),),
    wants=("layer_grad_norm", "gradient_histogram", "grad_norm", *PROGRESS_ROLES),
    domains=DIRECTED,
    thresholds={
        "depth_ratio": Threshold(1e-3, "AutoTrainer: first layer over last layer"),
        "extreme_ratio": Threshold(1e-5, "no healthy network of the calibration set is below 1e-3"),
        "learned": Threshold(0.6, "share of the loss or accuracy that the last layers alone may reach"),
        "fall": Threshold(1e-3, "literature 7.3: median of the second half against the first values"),
        "of_loss": Threshold(1e-6, "gradient norm over loss; healthy runs have 1e-3 and more"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("no-learning", "plateau", "underfitting", "prediction-collapse"),
)
