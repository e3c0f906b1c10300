"""Making derived signals: several curves laid over each other on common steps, and a signal made of the result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tbdiag.features.curves import CurveFacts
from tbdiag.model import Direction, Role, Series, Signal, Split

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


def overlay(curves: Sequence[CurveFacts]) -> tuple[Int64, Float64, Float64]:
    """All steps of some curves int64 ``[n]``, their wall times float64 ``[n]``, and values float64 ``[len(curves), n]`` (NaN: none)."""
    step = np.unique(np.concatenate([c.step for c in curves])) if curves else np.empty(0, dtype=np.int64)
    wall = np.full(step.size, np.nan)
    value = np.full((len(curves), step.size), np.nan)
    for row, curve in enumerate(curves):
        at = np.searchsorted(step, curve.step)
        value[row, at] = curve.value
        wall[at] = curve.wall_time
    return step, wall, value


def make_signal(
    name: str,
    step: Int64,
    wall_time: Float64,
    value: Float64,
    why: str,
    *,
    role: Role = Role.UNKNOWN,
    split: Split = Split.NONE,
    direction: Direction = Direction.NONE,
    layer: str | None = None,
    depth: int | None = None,
) -> Signal | None:
    """A derived signal; None without points."""
    if not step.size:
        return None
    series = Series(tag=name, subrun="", step=step, wall_time=wall_time, value=value, plugin="derived")
    return Signal(
        name=name,
        role=role,
        split=split,
        direction=direction,
        stem=name,
        why=why,
        series=series,
        layer=layer,
        depth=depth,
        main=True,
        convention="derived",
    )


def nan_reduce(how: str, value: Float64) -> Float64:
    """``max``, ``min`` or ``sum`` over the first axis, NaN ignored, NaN only where a column holds nothing else; float64 ``[n]``."""
    empty = np.isnan(value).all(axis=0)
    if how == "max":
        out = np.where(np.isnan(value), -np.inf, value).max(axis=0)
    elif how == "min":
        out = np.where(np.isnan(value), np.inf, value).min(axis=0)
    else:
        out = np.nansum(value, axis=0)
    return np.where(empty, np.nan, out)
