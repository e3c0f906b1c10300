"""Small helpers of detectors that judge the last part of a curve: its tail, since when a state holds, names in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tbdiag.detectors._base import Evidence, Interval, View
from tbdiag.features import CurveFacts
from tbdiag.model import Mark
from tbdiag.stats.noise import median

TAIL = 0.3
"""Share of the run that a lasting state must cover."""


def tail(curve: CurveFacts, share: float = TAIL, least: int = 1) -> npt.NDArray[np.float64]:
    """Values within the last `share` of the curve's steps, at least `least` of them (or all there are)."""
    part = curve.value[curve.between(1.0 - share, 1.0)]
    return part if part.size >= least else curve.value[-min(least, curve.n) :]


def since(holds: npt.NDArray[np.bool_]) -> int | None:
    """Index from which a condition holds without a break to the end, or None where it does not hold at the end."""
    if not holds.size or not holds[-1]:
        return None
    broken = np.flatnonzero(~holds)
    return int(broken[-1]) + 1 if broken.size else 0


def begins(step: npt.NDArray[np.int64], index: int) -> Interval:
    """Onset of a state first seen at a point: some step after the point before, up to that point."""
    return Interval(int(step[max(index - 1, 0)]), int(step[index]))


def lasts(step: npt.NDArray[np.int64], index: int) -> Interval:
    """Extent of a state from a point to the end."""
    return Interval(int(step[index]), int(step[-1]))


def say(template: str, series: Iterable[CurveFacts | str] = (), marks: tuple[Mark, ...] = (), /, **numbers: float) -> Evidence:
    """Evidence whose sentence is `template` with its `numbers` filled in, so that sentence and numbers cannot disagree.

    A derived curve was not logged, so its name proves nothing: name the series that it was made of instead.
    """
    names = tuple(
        dict.fromkeys(s if isinstance(s, str) else s.name for s in series if isinstance(s, str) or s.signal.convention != "derived")
    )
    return Evidence(template.format(**numbers), {k: float(v) for k, v in numbers.items()}, names, marks)


def name_some(names: Sequence[str], most: int = 3) -> str:
    """Names for the template of a sentence: the first few in quotes, braces doubled."""
    shown = ", ".join(f"'{n}'" for n in names[:most]).replace("{", "{{").replace("}", "}}")
    return shown if len(names) <= most else f"{shown} and more"


def fits_training(view: View) -> bool:
    """Whether the training data are fitted as good as perfectly, by accuracy or, without one, by a cross-entropy near zero."""
    accuracy, loss = view.curve("train_accuracy"), view.curve("train_loss")
    if accuracy is not None:
        return median(tail(accuracy)) >= 0.98
    return loss is not None and 0 <= loss.end <= 0.02 < loss.first


def first_broken_loss(view: View) -> int | None:
    """First step at which a training or validation loss is not finite."""
    steps = []
    for key in ("train_loss", "val_loss"):
        curve = view.features.curve(key)
        if curve is not None and curve.bad_step.size:
            steps.append(int(curve.bad_step[0]))
    return min(steps) if steps else None


def leaves_level(view: View, loss: CurveFacts, step: int) -> tuple[int, float] | None:
    """First step after `step` at which the loss has left its level for good, and that level; None where it did not or came back."""
    first_after = int(np.searchsorted(loss.step, step, side="left"))
    if first_after < 2 or first_after >= loss.n:
        return None
    level = median(loss.cost[max(first_after - max(3, loss.n // 20), 0) : first_after])
    learned = max(loss.first_cost - level, 0.0)
    margin = max(view["sigmas"] * loss.sigma, view["learned_share"] * learned, 0.02 * abs(level))
    if loss.end_cost <= level + margin:
        return None
    above = np.flatnonzero(loss.smooth[first_after:] > level + margin)
    at = int(above[0]) + first_after if above.size else loss.n - 1
    return int(loss.step[at]), loss.sign * level
