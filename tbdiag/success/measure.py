"""One statistic of one role of a run, as a number or with the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tbdiag.features import CurveFacts
from tbdiag.features.statistics import LOG_STATISTICS, STATISTICS
from tbdiag.model import Predicate, Role, Window
from tbdiag.success.parse import LOG_ROLE, SERIES_ROLE
from tbdiag.success.stored import StoredFeatures
from tbdiag.success.syntax import Quantity

if TYPE_CHECKING:
    from tbdiag.features import Features


@dataclass(frozen=True, slots=True)
class Taken:
    """A statistic's value; None with the reason `why` where it cannot be had. `sigma` is the noise of the series it came from."""

    value: float | None
    why: str = ""
    sigma: float = 0.0


def curves_of(features: Features, role: str, tag: str | None = None) -> tuple[CurveFacts, ...]:
    """Series that a rule's role stands for: the one with the tag, else the main one or the derived one, else all of the role."""
    if tag is not None:
        named = [s for s in features.signals.all if s.series is not None and tag in (s.name, s.series.tag)]
        if role != SERIES_ROLE:
            named = [s for s in named if role in (s.key, s.role.value)]
        return tuple(features.of(s) for s in named[:1])
    curve = features.curve(role)
    if curve is not None:
        return (curve,)
    many = [s for s in features.signals.all if s.series is not None and role in (s.key, s.role.value) and s.role is not Role.IGNORED]
    return tuple(features.of(s) for s in many)


def take(features: Features, what: Quantity) -> Taken:
    """A quantity of a run; of the first series that has it, where several play the role (per layer, per class).

    The value is None where the role was not logged, has no finite point in the window, or the statistic is undefined there.
    """
    found = take_all(features, what)
    return next((t for t in found if t.value is not None), found[0])


def take_all(features: Features, what: Quantity) -> tuple[Taken, ...]:
    """A quantity of every series that stands for its role; at least one, which says why where there is none."""
    if what.role == LOG_ROLE:
        return (_of_log(features, what),)
    found = tuple(_of_curve(c, what) for c in curves_of(features, what.role, what.tag))
    return found or (_absent(what),)


def _absent(what: Quantity) -> Taken:
    if what.statistic == "points":
        return Taken(0.0)
    return Taken(None, f"{what.role} was not logged" + (f" under the tag {what.tag}" if what.tag is not None else ""))


def _of_log(features: Features, what: Quantity) -> Taken:
    if isinstance(features, StoredFeatures):
        value = features.log_values.get(what.statistic)
        return Taken(None, f"the report does not keep {what.statistic} of the log") if value is None else Taken(value)
    return _finite(LOG_STATISTICS[what.statistic](features, what.argument), what.statistic)


def _of_curve(curve: CurveFacts, what: Quantity) -> Taken:
    if what.statistic == "points" and what.window is None:
        return Taken(float(curve.total - curve.bad_step.size), sigma=curve.sigma)  # a stored curve holds fewer than it counts
    part = cut_window(curve, what.window)
    if part.n == 0 and what.statistic not in ("points", "nonfinite"):
        where = "" if what.window is None else " in the rule's window"
        return Taken(None, f"{curve.name} has no finite point{where}")
    taken = _finite(STATISTICS[what.statistic](part, what.argument), f"{what.statistic} of {curve.name}")
    return replace(taken, sigma=curve.sigma)


def _finite(value: float, what: str) -> Taken:
    return Taken(None, f"{what} is undefined") if math.isnan(value) else Taken(float(value))


def left_quantity(p: Predicate) -> Quantity:
    """What a predicate measures first."""
    return Quantity(p.statistic, p.role, p.tag, p.argument, p.window)


def minus_quantity(p: Predicate) -> Quantity | None:
    """What a predicate subtracts, or None."""
    if p.minus is None:
        return None
    tag = p.minus_tag if p.minus_tag is not None or p.minus_role is not None else p.tag
    return Quantity(p.minus, p.minus_role or p.role, tag, p.minus_argument, p.window)


def cut_window(curve: CurveFacts, window: Window | None) -> CurveFacts:
    """The part of a curve within a window; steps outside and shares of the span are cut, both ends inclusive."""
    if window is None or not curve.total:
        return curve
    low, high = _bounds(curve, window)
    keep = (curve.step >= low) & (curve.step <= high)
    bad = (curve.bad_step >= low) & (curve.bad_step <= high)
    return CurveFacts(
        signal=curve.signal,
        step=curve.step[keep],
        wall_time=curve.wall_time[keep],
        value=curve.value[keep],
        bad_step=curve.bad_step[bad],
        bad_value=curve.bad_value[bad],
        total=int(np.sum(keep) + np.sum(bad)),
    )


def _bounds(curve: CurveFacts, window: Window) -> tuple[float, float]:
    steps = np.concatenate((curve.step, curve.bad_step))
    first, last = float(steps.min()), float(steps.max())
    low, high = -math.inf, math.inf
    if window.first_share is not None:
        low = first + window.first_share * (last - first)
    if window.last_share is not None:
        high = first + window.last_share * (last - first)
    if window.first_step is not None:
        low = max(low, window.first_step)
    if window.last_step is not None:
        high = min(high, window.last_step)
    return low, high
