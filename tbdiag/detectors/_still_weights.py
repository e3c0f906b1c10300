"""Weight matrices that stand still: the identical points at their end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbdiag.features import LayerFacts


@dataclass(frozen=True)
class Still:
    """A parameter that stands still from a point on."""

    layer: LayerFacts
    index: int
    points: int


def points(layer: LayerFacts) -> int:
    return layer.histogram.n if layer.histogram is not None else layer.curve.n


def steps(layer: LayerFacts) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return layer.histogram.step if layer.histogram is not None else layer.curve.step


def stands(layer: LayerFacts) -> Still | None:
    """The run of identical points at the end, by the histogram where there is one (it sees more than a norm)."""
    if layer.histogram is not None:
        same = layer.histogram.unchanged
    else:
        value = layer.curve.value
        if value.size < 2 or layer.curve.bad_step.size:
            return None
        same = np.concatenate(([False], np.diff(value) == 0.0))
        if value[-1] == 0.0:
            return None  # zeros are a placeholder or an untouched output layer, not a trained matrix
    moved = np.flatnonzero(~same)
    index = int(moved[-1])
    points = int(same.size - index)
    return Still(layer, index, points) if points >= 2 else None


def share(still: Still) -> float:
    step = steps(still.layer)
    span = float(step[-1] - step[0])
    return float(step[-1] - step[still.index]) / span if span > 0 else 0.0
