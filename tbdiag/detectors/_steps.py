"""The largest lasting step of a curve for the worse, against the noise on either side of it."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts
from tbdiag.model import Role
from tbdiag.stats.change import levels_around
from tbdiag.stats.noise import Float64, estimate_noise, median

Step = tuple[int, float, float, float]
"""Block before the step, its size in sigmas, the cost before and behind."""


def find_step(view: View, curve: CurveFacts) -> Step | None:
    """Block before the largest lasting worsening, its size in sigmas, the cost before and behind; None where there is none."""
    found = _step_of(view, curve, curve.trace.shape)
    if found is not None or curve.n == curve.trace.n or curve.trace.n < 20:
        return found
    # A block that holds points of both levels makes two steps of one.
    y = curve.trace.shape
    mixed = int(np.argmax(y[2:] - y[:-2])) + 1
    found = _step_of(view, curve, np.delete(y, mixed))
    return found if found is not None and found[0] == mixed - 1 else None


def _step_of(view: View, curve: CurveFacts, y: Float64) -> Step | None:
    n = y.size
    steps = y[1:] - y[:-1]
    lasting = max(3, n // 10)
    for at in steps.argsort()[::-1][:3].tolist():
        if steps[at] <= 0 or at < 2 or n - 1 - at < lasting:
            continue
        # Nothing before it moved like that: the cheap half of what makes a step, first. Rises are noise, falls may be learning.
        earlier = steps[max(at - 3, 0) : at].tolist()
        if not steps[at] > max(3 * max(earlier), -min(earlier)):
            continue
        before = y[max(0, at - max(3, n // 10)) : at + 1]
        behind = y[at + 1 :]
        # The level before: where a falling curve had come to, not its mean.
        low = median(before[-3:])
        jump = median(behind[:3]) - low
        gained = max(float(y[:3].max()) - low, 0.0)
        if gained <= 0 and curve.signal.role is Role.METRIC:
            continue  # a metric that had never become better has nothing to fall from
        # A level that doubles is a shift however much had been gained before.
        doubled = (
            not curve.signed
            and curve.trace.shape is curve.trace.cost
            and jump > view["doubled"] * low > 0
            and jump > view["doubled_of_gain"] * gained
        )
        if not ((jump > view["of_gain"] * gained or doubled) and steps[at] > 0.5 * jump):  # ... and it is most of the change
            continue
        sigma = estimate_noise(y[: at + 1]).sigma if at >= 8 else np.inf
        sigma = min(sigma, _few_points_sigma(y, at)) if at < 20 else sigma  # few points of a steep descent pass for noise
        sigma = max(sigma, 1e-4 * abs(low) if curve.trace.shape is curve.trace.cost else 1e-3)
        size = jump / sigma
        stays = float(behind[-lasting:].min()) > low + 0.5 * jump and float(np.quantile(behind, 0.05)) > low + 0.4 * jump
        # What loses more than all that had been gained, and stands there, needs less proof.
        plain = size > view["sigmas_of_all"] and jump > max(gained, 0.4 * abs(low), float(np.ptp(behind)))
        if (size > view["sigmas"] or plain) and stays and _matters(curve, at, view["of_level"]):
            return at, size, *levels_around(curve.trace.cost, at)
    return None


def _few_points_sigma(y: Float64, at: int) -> float:
    """Noise where few points precede the step: the rises before it, and how the curve moves behind it, whichever is more.

    Behind it, the range of four points and more tells the noise as well, by the range that is expected of so many (d2 of control charts).
    """
    rises = np.maximum(np.diff(y[: at + 1]), 0.0)
    behind = np.abs(np.diff(y[at + 1 :]))
    moves = 1.5 * median(behind) if behind.size >= 3 else float(behind.max())
    if behind.size >= 4:
        moves = min(moves, float(np.ptp(y[at + 1 :])) / _EXPECTED_RANGE[min(behind.size - 3, 6)])
    return max(float(rises.max()), moves)


_EXPECTED_RANGE = (2.06, 2.33, 2.53, 2.70, 2.85, 2.97, 3.08)
"""Of 4, 5, ... 10 normal deviates, in standard deviations."""


def _matters(curve: CurveFacts, at: int, least: float) -> bool:
    """At least that share of the level, or of the gain where levels mean little."""
    cost = curve.trace.cost
    before, behind = levels_around(cost, at)
    return behind - before > least * max(abs(before), float(cost[0] - cost[at]))
