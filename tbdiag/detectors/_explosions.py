"""Lasting rises of the gradient norm: the ones that break the loss, and the ones that it does not answer yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tbdiag.detectors._base import Evidence, Interval, Severity, View
from tbdiag.detectors._tails import leaves_level, say, tail
from tbdiag.features import CurveFacts
from tbdiag.model import Mark
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.rises import find_rise

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Explosion:
    onset: Interval
    extent: Interval
    evidence: tuple[Evidence, ...]
    severity: Severity
    confidence: float
    title: str
    calm: Float64
    """Norms before the rise, from which the clipping limit is taken."""


def parts(view: View, norm: CurveFacts) -> tuple[str, ...]:
    """Layers that a total norm was made of, where none was logged; four are enough for a chart."""
    return tuple(x.name for x in view.layers("gradient")[:4]) if norm.signal.convention == "derived" else ()


def lasting_rise(view: View, norm: CurveFacts, loss: CurveFacts | None, broken_loss: int | None) -> Explosion | None:
    # A negative value is no norm, and without positive ones there is no ratio.
    if loss is None or float(norm.value.min()) < 0 or median(norm.value) <= 0:
        return None
    index = find_rise(norm.value, float(view["rise"]))
    if index is None:
        return None
    step, middle, reached = _size_of(norm, index)
    if middle <= 0:
        return None
    broke = broken_loss is not None and broken_loss >= step - (norm.step[-1] - norm.step[0]) // 10
    # A validation loss alone may rise because the model overfits.
    left = leaves_level(view, loss, step) if view.curve("train_loss") is not None else None
    factor = reached / middle
    gradual = False
    numbers = {"before": middle, "after": reached, "factor": factor, "step": float(step)}
    statement = "The gradient norm rises from a median of {before:.3g} to {after:.3g} at step {step:,.0f}, {factor:.3g} times as much, and stays there."
    marks = (Mark("event", "gradient norm rises", step), Mark("level", "median before", None, middle))
    evidence = [say(statement, (norm, *parts(view, norm)), marks, **numbers)]
    if broke and broken_loss is not None:
        evidence.append(say("The loss is not finite from step {broken:,.0f} on.", (loss.name,), broken=float(broken_loss)))
        severity, sure = Severity.ERROR, confidence(factor / view["rise"], supports=1)
    elif left is not None:
        text = "The loss leaves its level of {level:.4g} after step {left:,.0f} and ends at {end:.4g}."
        evidence.append(say(text, (loss.name,), level=left[1], left=float(left[0]), end=loss.end))
        if left[0] > step:
            ahead = say("The gradient norm rose {ahead:,.0f} steps before the loss did.", (norm, loss), ahead=float(left[0] - step))
            evidence.append(ahead)
        severity, sure = Severity.WARNING, confidence(factor / view["rise"], supports=1)
    elif factor >= view["early_warning"] and index >= norm.n - max(3, norm.n // 10):
        # The run ends shortly after the jump: the loss may not have had the time to break.
        severity, sure = Severity.WARNING, confidence(factor / view["early_warning"], doubts=1)
    elif (grown := _unanswered(view, norm, loss, index, middle)) is not None:
        factor, gradual = grown / middle, True
        text = (
            "The gradient norm rises from a median of {before:.3g} to {after:.3g} in the last tenth of the run, {factor:.3g} times as much."
        )
        evidence = [
            say(text, (norm, *parts(view, norm)), marks, before=middle, after=grown, factor=factor),
            say(
                "It began to rise at step {step:,.0f}, and the loss does not answer it yet: it ends at {end:.4g}.",
                (loss,),
                step=float(step),
                end=loss.end,
            ),
        ]
        severity, sure = Severity.WARNING, confidence(factor / view["unanswered"], doubts=1)
    else:
        return None
    begun = _left(norm, index, middle) if gradual else index
    onset = Interval(int(norm.step[max(begun - 1, 0)]), int(norm.step[min(index + 1, norm.n - 1)]))
    title = f"Exploding gradients: the gradient norm rises {factor:,.0f}-fold from step {step:,} on"
    return Explosion(onset, Interval(step, int(norm.step[-1])), tuple(evidence), severity, sure, title, norm.value[:index])


def _unanswered(view: View, norm: CurveFacts, loss: CurveFacts, index: int, before: float) -> float | None:
    """The norm of the last tenth where it is orders of magnitude above that of before and no progress of the loss goes with it.

    Norms also grow where learning begins late, on the way off a shelf: there most of the loss falls after the rise. And the gradient
    of a likelihood whose loss falls without bound grows like the inverse variance, at most with the cube of what the loss gains.
    """
    grown = median(tail(norm, 0.1, least=3))
    if norm.n - index < 3 or grown < view["unanswered"] * before:
        return None
    at = int(np.searchsorted(loss.step, norm.step[index]))
    if at < 2 or at >= loss.n:
        return None
    level = median(loss.cost[max(at - max(3, loss.n // 20), 0) : at])
    gained_before, gained_after = loss.start_cost - level, max(level - loss.end_cost, 0.0)
    if gained_after > gained_before:
        return None
    likelihood = float(loss.value.min()) < 0
    return grown if not likelihood or np.log(grown / before) > np.log(view["unanswered"]) + 3 * gained_after else None


def _left(norm: CurveFacts, index: int, middle: float) -> int:
    """Index at which the norm left the level of before for good: a rise over many points begins long before it is tenfold."""
    level = min(middle, median(norm.value[index // 2 : max(index - index // 8, index // 2 + 1)]))
    near = np.flatnonzero(norm.value[:index] <= 1.5 * level)
    return int(near[-1]) + 1 if near.size else index


def _size_of(norm: CurveFacts, index: int) -> tuple[int, float, float]:
    return int(norm.step[index]), median(norm.value[:index]), median(norm.value[index : index + max(3, norm.n // 100)])
