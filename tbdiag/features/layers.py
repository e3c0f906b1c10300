"""Layer by layer: gradients, weights and activations ordered from the input to the output, from scalars or from histograms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tbdiag.features.curves import CurveFacts, build_curve
from tbdiag.features.derived import derived
from tbdiag.features.histograms import HistogramFacts
from tbdiag.features.series import make_signal, nan_reduce, overlay
from tbdiag.model import Role, Signal

if TYPE_CHECKING:
    from tbdiag.features import Features

SOURCES: dict[str, tuple[Role, str, Role]] = {
    "gradient": (Role.LAYER_GRAD_NORM, "", Role.GRADIENT_HISTOGRAM),
    "weight": (Role.LAYER_WEIGHT_NORM, "", Role.WEIGHT_HISTOGRAM),
    "zero": (Role.ACTIVATION_STAT, "zero_fraction", Role.ACTIVATION_HISTOGRAM),
    "saturated": (Role.ACTIVATION_STAT, "saturated_fraction", Role.ACTIVATION_HISTOGRAM),
    "spread": (Role.ACTIVATION_STAT, "std", Role.ACTIVATION_HISTOGRAM),
}
"""What is known of a layer -> role of its scalars, their `sub_kind`, role of the histograms that tell the same."""

_FIRST = re.compile(r"(^|[._/ ])(wte|wpe|emb\w*|stem|patch\w*|tok\w*|input\w*|conv_?1|conv1d|features?[._]0)([._/ ]|$)")
_LAST = re.compile(r"(^|[._/ ])(head|lm_head|\w*classifier|fc_out|out\w*|logits?|predictions?|score|final\w*|ln_f|to_logits)([._/ ]|$)")
_SMALL = re.compile(r"(^|[._/ ])(bias\w*|b|beta|gamma|scale|offset|n\d|ln_?\w{0,2}|\w*norm\w*|bn\d*|batch_?norm\w*|alpha|gate)([._/ ]|$)")
_BUFFER = re.compile(
    r"running_(mean|var)|moving_(mean|var\w*)|num_batches|inv_freq|pos(ition)?_?(emb|enc|ids|table)\w*|\bwpe\b|mask|\bema\b|_ema|anchor|"
    r"rotary|sinusoid|frozen|teacher|target_net|momentum_encoder|relative_position|seed_generator|buffer"
)


@dataclass(frozen=True, eq=False)
class LayerFacts:
    """One layer and one curve of it.

    Attributes:
        layer: its name; rank: position from the input, counted over the layers of the same kind (0 first).
        curve: the values over time; `name` of the series that they come from, a key of `Run.series` or `Run.histograms`.
        histogram: the histogram facts that the curve was made of, or None for scalars.
        matrix: a weight matrix or kernel rather than a bias, a norm's gain or a gate.
    """

    layer: str
    rank: int
    curve: CurveFacts
    name: str
    histogram: HistogramFacts | None
    matrix: bool

    @property
    def buffer(self) -> bool:
        """Whether the name is of something that is not trained by design (running statistics, masks, fixed tables, copies)."""
        return bool(_BUFFER.search(self.name.lower()))


def layer_facts(features: Features, kind: str) -> tuple[LayerFacts, ...]:
    """Every layer of a kind (see `SOURCES`), from the input to the output; a scalar is preferred to a histogram of the same layer, unless it was
    rounded to zero."""
    scalar_role, sub_kind, histogram_role = SOURCES[kind]
    found: dict[str, tuple[Signal, CurveFacts, HistogramFacts | None]] = {}
    for signal in features.signals.role(histogram_role):
        if signal.histogram is None or not len(signal.histogram):
            continue
        facts = features.histogram(signal)
        curve = _histogram_curve(kind, signal, facts)
        if curve is not None and curve.total:
            found[_layer_of(signal)] = (signal, curve, facts)
    for signal in features.signals.role(scalar_role):
        if signal.series is None or not len(signal.series) or (sub_kind and signal.sub_kind != sub_kind):
            continue
        curve = features.of(signal)
        if kind in ("zero", "saturated") and curve.n and float(curve.value.max()) > 1.0 + 1e-6:
            percent = _as_share(signal, curve)
            if percent is None:
                continue  # a count of units says nothing without the size of the layer
            curve = percent
        key = _layer_of(signal)
        known = found.get(key)
        if known is not None and kind == "gradient" and _rounded_away(curve, known[1]):
            continue
        found[key] = (signal, curve, known[2] if known else None)
    ordered = sorted(found, key=lambda key: _position(key, found[key][0], tuple(found)))
    return tuple(
        LayerFacts(key, rank, found[key][1], found[key][0].name, found[key][2], _is_matrix(key)) for rank, key in enumerate(ordered)
    )


def _rounded_away(scalar: CurveFacts, exact: CurveFacts) -> bool:
    """Whether a scalar norm is zero at most of its points while the histogram of the same layer is not: the writer rounded."""
    return bool(scalar.n and exact.n and float(np.median(scalar.value)) == 0.0 and float(np.median(exact.value)) > 0.0)


def depth_curves(layers: Sequence[LayerFacts]) -> tuple[LayerFacts, ...]:
    """The weight matrices of some layers, or all of them where fewer than two are matrices."""
    matrices = tuple(x for x in layers if x.matrix and x.curve.n)
    return matrices if len(matrices) >= 2 else tuple(x for x in layers if x.curve.n)


def _histogram_curve(kind: str, signal: Signal, facts: HistogramFacts) -> CurveFacts | None:
    if kind in ("gradient", "weight"):
        value = np.where(facts.nan_share > 0, np.nan, facts.norm)
        # A histogram without mass, or of NaN alone, is a point without a value, not a norm of zero.
    elif kind == "zero":
        value = facts.zero
    elif kind == "saturated":
        value = facts.saturated
        if np.isnan(value).all():
            return None
    else:
        value = facts.std
    made = make_signal(
        signal.name,
        facts.step,
        facts.series.wall_time,
        value,
        "from the histogram",
        role=SOURCES[kind][0],
        layer=signal.layer,
        depth=signal.depth,
    )
    return None if made is None else build_curve(made)


def _as_share(signal: Signal, curve: CurveFacts) -> CurveFacts | None:
    """Percentages, which must be called so, as fractions; None for anything else above one."""
    if not re.search(r"percent|pct|%", signal.name.lower()) or float(curve.value.max()) > 100.0:
        return None
    made = make_signal(signal.name, curve.step, curve.wall_time, curve.value / 100.0, "percent", role=signal.role, layer=signal.layer)
    return None if made is None else build_curve(made)


def _layer_of(signal: Signal) -> str:
    if signal.layer:
        return signal.layer
    return signal.histogram.tag if signal.histogram is not None else signal.series.tag if signal.series is not None else signal.name


def _position(key: str, signal: Signal, every: tuple[str, ...]) -> tuple[int, float, tuple[tuple[int, int, str], ...]]:
    """Sort key from the input to the output: the depth that the roles found, else what names say, else numbers in names."""
    low = key.lower()
    place = -1 if _FIRST.search(low) else 1 if _LAST.search(low) else 0
    if signal.depth is not None:
        return (0, float(signal.depth), ())
    return (place if len(every) > 1 else 0, 0.0, natural(key))


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which ``layer10`` comes after ``layer9``."""
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", text) if p)


def _is_matrix(layer: str) -> bool:
    # The word norm of 'weight_norm/0.weight' says what was measured, not what the layer is.
    return not _SMALL.search(re.sub(r"(weight|grad\w*|param\w*)[._-]norm", "", layer.lower()))


@derived("grad_depth_ratio")
def _grad_depth_ratio(features: Features) -> Signal | None:
    """Gradient norm of the layer nearest to the input over that of the layer nearest to the output."""
    layers = depth_curves(features.layers("gradient"))
    if len(layers) < 2:
        return None
    step, wall, value = overlay([layers[0].curve, layers[-1].curve])
    both = np.isfinite(value).all(axis=0) & (value[1] > 0)
    why = f"gradient norm of {layers[0].layer} over that of {layers[-1].layer}"
    return make_signal("grad_depth_ratio", step[both], wall[both], value[0, both] / value[1, both], why)


@derived("grad_norm")
def _total_gradient(features: Features) -> Signal | None:
    """Norm over all layers, where no global gradient norm was logged."""
    return _total(features, "gradient", "grad_norm", Role.GRAD_NORM)


@derived("weight_norm")
def _total_weight(features: Features) -> Signal | None:
    """Norm over all layers, where no global weight norm was logged."""
    return _total(features, "weight", "weight_norm", Role.WEIGHT_NORM)


def _total(features: Features, kind: str, name: str, role: Role) -> Signal | None:
    layers = features.layers(kind)
    if not layers:
        return None
    steps = np.unique(np.concatenate([np.concatenate([x.curve.step, x.curve.bad_step]) for x in layers]))
    wall = np.full(steps.size, np.nan)
    square = np.zeros(steps.size)
    seen = np.zeros(steps.size, dtype=np.int64)
    for x in layers:
        at = np.searchsorted(steps, x.curve.step)
        with np.errstate(over="ignore"):
            square[at] += x.curve.value**2
        wall[at] = x.curve.wall_time
        seen[at] += 1
        bad = np.searchsorted(steps, x.curve.bad_step)
        square[bad] += np.where(np.isnan(x.curve.bad_value), np.nan, np.inf)
        seen[bad] += 1
    full = seen == seen.max()
    return make_signal(name, steps[full], wall[full], np.sqrt(square[full]), f"norm over {len(layers)} layers", role=role)


@derived("zero_fraction")
def _zero_fraction(features: Features) -> Signal | None:
    """Largest share of zero activations over the layers."""
    return _extreme(features, "zero", "zero_fraction", "max")


@derived("saturated_fraction")
def _saturated_fraction(features: Features) -> Signal | None:
    """Largest share of saturated activations over the layers."""
    return _extreme(features, "saturated", "saturated_fraction", "max")


def _extreme(features: Features, kind: str, name: str, how: str) -> Signal | None:
    curves = [x.curve for x in features.layers(kind) if x.curve.n]
    if not curves:
        return None
    step, wall, value = overlay(curves)
    return make_signal(name, step, wall, nan_reduce(how, value), f"{how} over {len(curves)} layers")


@derived("min_weight_change")
def _min_weight_change(features: Features) -> Signal | None:
    """Smallest relative change of a weight matrix since its last logged point, over the layers."""
    curves = []
    for x in features.layers("weight"):
        if not x.matrix or x.buffer or x.curve.n < 2:
            continue
        if x.histogram is not None and x.histogram.n >= 2:
            step, wall, change = x.histogram.step, x.histogram.series.wall_time, x.histogram.change
        else:
            base = np.abs(x.curve.value[:-1])
            moved = np.abs(np.diff(x.curve.value))
            step, wall = x.curve.step, x.curve.wall_time
            change = np.concatenate(([np.nan], np.where(base > 0, moved / np.where(base > 0, base, 1.0), np.where(moved > 0, 1.0, 0.0))))
        keep = np.isfinite(change)
        made = make_signal(x.layer, step[keep], wall[keep], change[keep], "relative change")
        if made is not None:
            curves.append(build_curve(made))
    if not curves:
        return None
    step, wall, value = overlay(curves)
    return make_signal("min_weight_change", step, wall, nan_reduce("min", value), f"smallest over {len(curves)} layers")


@derived("nonfinite_gradients")
def _nonfinite_gradients(features: Features) -> Signal | None:
    """Largest share of NaN or infinite values in any gradient histogram."""
    facts = [features.histogram(s) for s in features.signals.role(Role.GRADIENT_HISTOGRAM) if s.histogram is not None and len(s.histogram)]
    curves = []
    for f in facts:
        made = make_signal(f.name, f.step, f.series.wall_time, f.nan_share, "share of non-finite gradients")
        if made is not None:
            curves.append(build_curve(made))
    if not curves:
        return None
    step, wall, value = overlay(curves)
    return make_signal("nonfinite_gradients", step, wall, nan_reduce("max", value), f"largest over {len(curves)} gradient histograms")
