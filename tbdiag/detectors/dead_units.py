"""The activations of a layer are (nearly) all zero.

What it means
    A layer's units answer zero to every input. Nothing passes through them and no gradient comes back, so they cannot recover.

Why it matters
    The network has lost the layer; what lies behind it sees a constant. Training on goes nowhere.

How it is told
    From scalars or from histograms whose zero bucket is exact (TF1, PyTorch). In a layer the share of zeros is at least
    0.99 over the last 30 % of the run; or at least 0.95, if the run is still at the level of knowing nothing, or if the
    zeros were there from the first logged point or came within two (a trained network gets sparse slowly; not judged in
    language models). A logged share of dead units counts from 0.7 on. Histograms with 30 linear buckets (TF2, Keras) prove
    it only where every value is zero.

First check
    Look at the bias and the input scale of the first layer that is dead, and at the learning rate where it died.

First action
    Rerun unchanged with the learning rate divided by 10.

Success rule
    The share of zeros in every layer ends at 0.9 or below.

Not to be confused with
    ordinary sparsity (ReLU layers with 50 to 90 % zeros are normal; trained transformers reach 95 %), saturated-activations
    (stuck at a limit that is not zero), vanishing-gradients without dead layers.

Limits
    The share is over activations, not over units; dropout and padding add zeros. Inputs that are sparse themselves are left out by name,
    and so are the codes of sparse autoencoders (told by an L0 or a sparsity penalty that is logged) unless all of them are zero.

Sources
    TFCheck and DLCheck (0.95), AutoTrainer (0.7 of gradients), SageMaker Debugger DeadRelu; for the sparsity of healthy transformers Li et
    al., "The lazy neuron phenomenon" (2022).
"""

from __future__ import annotations

import re

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
from tbdiag.features.progress import PROGRESS_ROLES, measure_progress
from tbdiag.model import Domain
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

_SPARSE_BY_DESIGN = re.compile(r"input|mask|pad|dropout|one_?hot|router|expert|gate|attn_?(prob|weight)|attention_?(prob|weight)")

_SPARSE_CODE = re.compile(r"(^|[^a-z0-9])(l_?0(_norm)?|sae|sparsity_(loss|penalty|coef\w*)|sparse_autoencoder)([^a-z0-9]|$)")
_CODE = re.compile(r"latent|code|feature|sae|dict|hidden|encoder|acts?([^a-z]|$)")
"""Series and settings of sparse autoencoders, and names of the layer whose few units at a time are the aim."""

_COUNTS_UNITS = re.compile(r"dead|dying|inactive")
"""Names of shares of units that never fire, which are more telling than shares of zeros."""


def detect(view: View) -> Finding | NotApplicable | None:
    """Layers whose share of zeros stays at the limit to the end of the run."""
    layers = [x for x in view.layers("zero") if x.curve.n and not _SPARSE_BY_DESIGN.search(x.name.lower())]
    if not layers:
        return NotApplicable("no activation statistics were logged", ("activation_stat",))
    if _has_sparse_code(view):
        layers = [x for x in layers if not _CODE.search(x.name.lower()) or float(tail(x.curve).min()) >= view["all_zero"]]
    progress = measure_progress(view.curve, view.signals)
    dead = [x for x in layers if _is_dead(x, view["dead_units"] if _COUNTS_UNITS.search(x.name.lower()) else view["dead"])]
    sure = bool(dead)
    if not dead:
        nearly = [x for x in layers if _is_dead(x, view["nearly_dead"])]
        # Sparsity of a healthy network grows slowly; a language model may have been trained before this log began.
        sudden = view.signals.domain is not Domain.LANGUAGE_MODEL
        dead = nearly if progress.bad else [x for x in nearly if sudden and _died(x, view["nearly_dead"])]
    if not dead:
        return None
    worst = max(dead, key=lambda x: (median(tail(x.curve)), -x.rank))
    level = median(tail(worst.curve))
    index = since(worst.curve.value >= min(view["nearly_dead"], level - 0.05))
    index = worst.curve.n - 1 if index is None else index
    rest = [median(tail(x.curve)) for x in layers if x not in dead]
    evidence = [
        say(
            f"In layer {name_some([worst.layer])} {{zero:.1%}} of the activations are zero over the last part of the run "
            "({dead:.0f} of {layers:.0f} layers are dead).",
            [x.name for x in dead],
            zero=level,
            dead=float(len(dead)),
            layers=float(len(layers)),
        )
    ]
    if rest:
        evidence.append(say("The other layers have up to {other:.1%} zeros.", (), other=max(rest)))
    start = index == 0
    causes = (
        (
            Cause("Strongly negative biases or a bad initialisation", "dead from the first logged point"),
            Cause("A learning rate that is too high"),
        )
        if start
        else (Cause("A learning rate that is too high: one large step pushed the biases down"), Cause("Strongly negative biases"))
    )
    return Finding(
        id="dead-units",
        severity=Severity.ERROR,
        confidence=confidence((1.0 - view["nearly_dead"]) / max(1.0 - level, 1e-6), supports=int(bool(progress.bad)), doubts=int(not sure)),
        title=f"Dead units: layer '{worst.layer}' outputs zero for {level:.1%} of its activations",
        onset=begins(worst.curve.step, index),
        extent=lasts(worst.curve.step, index),
        evidence=tuple(evidence),
        causes=(*causes, Cause("Inputs that are not normalised")),
        first_check="Look at the bias and the input scale of the first layer that is dead, and at the learning rate where it died.",
        first_action=_action(view, start),
        fixes=(
            "Divide the learning rate by 10, or warm it up",
            "Use the standard initialiser for the activation (He for ReLU) and biases of zero",
            "Normalise the inputs, or add normalisation before the layer",
            "Replace ReLU by a function that passes gradient below zero (leaky ReLU, GELU)",
        ),
        success_rule=SuccessRule(
            all=(predicate("zero_fraction", "median", "<=", 0.9, window=(0.7, 1.0), source="below the share of any dead layer"),),
            sentence="In every layer at most nine tenths of the activations are zero in the last 30 % of the run.",
        ),
        phase=GRADIENTS,
        roles=("activation_stat",),
    )


def _has_sparse_code(view: View) -> bool:
    """Whether the number of active units is logged or penalised, or the names speak of a sparse autoencoder."""
    names = [*view.features.run.series, view.features.run.name, *(str(v) for v in view.signals.config.values())]
    return any(_SPARSE_CODE.search(name.lower()) for name in names)


def _is_dead(layer: LayerFacts, limit: float) -> bool:
    last = tail(layer.curve, TAIL, least=min(3, layer.curve.n))
    return bool(np.median(last) >= limit and last.min() >= limit - 0.05 and last[-1] >= limit - 0.02)


def _died(layer: LayerFacts, limit: float) -> bool:
    """Whether the zeros were there from the first logged point, or came within two points."""
    value = layer.curve.value
    index = since(value >= limit - 0.02)
    return layer.curve.n >= 5 and index is not None and (index == 0 or float(value[index] - value[max(index - 2, 0)]) >= 0.3)


def _action(view: View, start: bool) -> str:
    lr = view.curve("lr")
    if start:
        return "Reset biases and initialisation of the dead layer to the framework's defaults (He initialisation, biases zero) and rerun."
    if lr is not None and float(lr.value.max()) > 0:
        peak = float(lr.value.max())
        return f"Rerun unchanged with the learning rate lowered from {peak:g} to {peak / 10:g}."
    return "Rerun unchanged with the learning rate divided by 10."


def _dead() -> object:
    rng = np.random.default_rng(31)
    n = 15
    return _synth.make_run(
        {
            "loss/train": 2.3 + rng.normal(0, 0.005, n),
            "activations/1/zero_fraction": np.clip(0.5 + rng.normal(0, 0.02, n), 0, 1),
            "activations/3/zero_fraction": np.concatenate(([0.6, 0.97], np.ones(n - 2))),
        }
    )


def _sparse() -> object:
    rng = np.random.default_rng(32)
    n = 15
    return _synth.make_run(
        {
            "loss/train": _synth.decay(n, 2.3, 0.2) + rng.normal(0, 0.005, n),
            "activations/1/zero_fraction": np.linspace(0.5, 0.9, n),
            "activations/3/zero_fraction": np.linspace(0.5, 0.96, n),
        }
    )


def _dead_histograms() -> object:
    rng = np.random.default_rng(33)
    alive = [np.maximum(rng.normal(0, 1, 400), 0) for _ in range(8)]
    made = [
        _synth.make_histograms("activations/1", alive, every=50),
        _synth.make_histograms("activations/3", [np.zeros(400)] * 8, every=50),
    ]
    return _synth.make_run({"loss/train": 2.3 + rng.normal(0, 0.005, 80)}, every=5, histograms=made)


def _alive_histograms() -> object:
    rng = np.random.default_rng(34)
    made = [_synth.make_histograms("activations/1", [np.maximum(rng.normal(-1, 1, 400), 0) for _ in range(8)], every=50)]
    return _synth.make_run({"loss/train": _synth.decay(80, 2.3, 0.3)}, every=5, histograms=made)


def _sparse_code(zeros: float) -> object:
    rng = np.random.default_rng(35)
    made = {"train/loss": _synth.decay(60, 2.3, 0.3), "train/l0": rng.normal(30, 1, 60)}
    latents = [np.where(rng.random(4000) < zeros, 0.0, np.abs(rng.normal(0, 1, 4000))) for _ in range(8)]
    return _synth.make_run(made, histograms=[_synth.make_histograms("activations/latents", latents, every=8)])


EXAMPLES = (
    Example("a layer dies after two points", _dead, fires=True, onset=(0, 2)),
    Example("a layer of zeros in PyTorch histograms", _dead_histograms, fires=True, onset=(0, 0)),
    Example("sparse but alive, and the loss falls", _sparse, fires=False),
    Example("the code of a sparse autoencoder of which nothing is left", lambda: _sparse_code(1.0), fires=True),
    Example("the code of a sparse autoencoder, 30 units of 4000", lambda: _sparse_code(0.9925), fires=False),
    Example("84 % zeros in PyTorch histograms", _alive_histograms, fires=False),
)

DETECTOR = Detector(
    id="dead-units",
    title="Dead units",
    summary="The activations of a layer are (nearly) all zero.",
    severity=Severity.ERROR,
    phase=GRADIENTS,
    detect=detect,
    doc=__doc__ or "",
    needs=(("activation_stat", "activation_histogram"),),
    wants=("lr", *PROGRESS_ROLES),
    domains=EVERY,
    thresholds={
        "dead": Threshold(0.99, "healthy transformers reach 0.97 (lazy neurons); a dead layer has 1"),
        "dead_units": Threshold(0.7, "where the tag says that units are counted; AutoTrainer: 0.7"),
        "all_zero": Threshold(0.9999, "of a sparse code, of which one unit in a thousand answers by design"),
        "nearly_dead": Threshold(0.95, "literature 7.3, asked for together with a run at the level of knowing nothing"),
    },
    examples=EXAMPLES,
    scale_free=False,
    explains=("vanishing-gradients", "no-learning", "prediction-collapse"),
)
