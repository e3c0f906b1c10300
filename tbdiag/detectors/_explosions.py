"""Gradient norms out of range: lasting rises (that break the loss, or that it does not answer yet), and starts beyond guessing."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from tbdiag.detectors._base import Evidence, Interval, Severity, SuccessRule, View, predicate
from tbdiag.detectors._tails import leaves_level, name_some, say, tail
from tbdiag.detectors._words import SOON
from tbdiag.features import CurveFacts
from tbdiag.features.layers import depth_curves
from tbdiag.features.levels import counts_words, end_quality, is_determination
from tbdiag.features.predictions import share_unit
from tbdiag.features.progress import measure_progress
from tbdiag.model import Mark
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median
from tbdiag.stats.rises import find_rise
from tbdiag.stats.trend import find_trend

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
    born: bool = False
    """Whether the norms were out of range before training could have made them so."""


def rule_against_explosion(view: View, found: Explosion, loss: CurveFacts | None) -> SuccessRule:
    """What the next run must show: norms without outliers that neither grow nor stay above their level of before, and a loss that falls."""
    calm = median(found.calm) if found.calm.size >= 3 and not found.born else 0.0
    start = 0.1 * loss.start_cost if loss is not None and found.born else 0.0
    late, times = (0.2, 1.0), view["rise"]
    norms = [
        predicate(
            "grad_norm",
            "quantile",
            "<=",
            0.0,
            argument=0.99,
            minus="median",
            minus_times=times,
            window=late,
            source="the next run's median",
        ),
        # Where most of the window exploded its median did, too.
        predicate("grad_norm", "growth", "<=", view["burst"], window=late, source="healthy norms grow twentyfold where minima sharpen"),
        predicate("grad_norm", "nonfinite", "==", 0.0),
    ]
    said = f"After the first fifth the 99th percentile of the gradient norm is at most {view['rise']:g} times its median, it grows at most "
    said += f"{view['burst']:g}-fold"
    if calm > 0:
        norms.append(predicate("grad_norm", "median", "<=", view["burst"] * calm, source="times the median before the rise"))
        said += f" and its median stays below {view['burst'] * calm:.3g}"
    said += ", no norm is NaN or infinite"
    soon = found.onset.first_step - view.features.steps[0] <= SOON
    if loss is not None and soon and not found.born and loss.n and float(loss.value[0]) > 0:
        norms.append(predicate(loss.signal.key, "max", "<=", 10 * float(loss.value[0]), source="ten times where this run's log begins"))
        said += f", the loss never exceeds {10 * float(loss.value[0]):.3g}"
    if loss is not None and start > 0:
        norms.append(predicate(loss.signal.key, "max", "<", start, source="a tenth of where this run started"))
        said += ", the loss stays below a tenth of this run's start"
    if loss is not None:
        norms.append(predicate(loss.signal.key, "drop", ">", 0.0, sd_times=2.0, source="it learns"))
        said += ", and the loss falls"
    return SuccessRule(all=tuple(norms), sentence=f"{said}.")


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
    elif factor >= view["early_warning"] and _has_just_begun(norm, index) and reached >= view["rise"] * _at_first(norm):
        # The run ends shortly after the jump: the loss may not have had the time to break.
        severity, sure = Severity.WARNING, confidence(factor / view["early_warning"], doubts=1)
    elif (found := _unanswered(view, norm, loss, index, middle)) is not None:
        grown, need = found
        factor, gradual = grown / middle, True
        text = "The gradient norm rises from a median of {before:.3g} to {after:.3g} by the end of the log, {factor:.3g} times as much."
        evidence = [
            say(text, (norm, *parts(view, norm)), marks, before=middle, after=grown, factor=factor),
            say(
                "It is ten times its level from step {step:,.0f} on, and the loss does not answer it yet: it ends at {end:.4g}.",
                (loss,),
                step=float(step),
                end=loss.end,
            ),
        ]
        severity, sure = Severity.WARNING, confidence(factor / need, doubts=1)
    else:
        return None
    begun = _left(norm, index, middle) if gradual else index
    onset = Interval(int(norm.step[max(begun - 1, 0)]), int(norm.step[min(index + 1, norm.n - 1)]))
    title = f"Exploding gradients: the gradient norm rises {factor:,.0f}-fold from step {step:,} on"
    return Explosion(onset, Interval(step, int(norm.step[-1])), tuple(evidence), severity, sure, title, norm.value[:index])


def _at_first(norm: CurveFacts) -> float:
    """The norm that the run began with: one that comes back to it, from the depths of a loss near zero, is in no new range."""
    return median(norm.value[: max(3, norm.n // 50)])


def _has_just_begun(norm: CurveFacts, index: int) -> bool:
    """Whether a rise began in the last tenth of the norms, where the loss may not have had the time to break."""
    return index >= norm.n - max(4, norm.n // 10)


def _unanswered(view: View, norm: CurveFacts, loss: CurveFacts, index: int, before: float) -> tuple[float, float] | None:
    """The norm that the log ends with and the factor asked of it, where it is orders of magnitude above that of before and no progress
    of the loss goes with it: a hundredfold where it has just begun or still goes on, a thousandfold where it came to a stand.

    Norms also grow where learning begins late, on the way off a shelf: there most of the loss falls after the rise. And the gradient
    of a likelihood whose loss falls without bound grows like the inverse variance, at most with the cube of what the loss gains.
    """
    grown = max(median(tail(norm, 0.1, least=3)), median(norm.value[-max(3, norm.n // 100) :]))
    need = view["early_warning"] if _has_just_begun(norm, index) or _goes_on(norm, index) else view["unanswered"]
    scale = view.curve("loss_scale")
    if scale is not None and scale.n >= 2:
        # A scaler that grows its factor lifts norms that are logged before they are divided by it again.
        then = scale.value[scale.step <= norm.step[index]]
        need *= max(float(scale.value[-1]) / max(median(then) if then.size else float(scale.value[0]), 1e-300), 1.0)
    if norm.n - index < 3 or grown < need * before or grown < view["rise"] * _at_first(norm):
        return None
    at = int(np.searchsorted(loss.step, norm.step[index]))
    if at < 2 or at >= loss.n:
        return None
    level = median(loss.cost[max(at - max(3, loss.n // 20), 0) : at])
    gained_before, gained_after = loss.start_cost - level, max(level - loss.end_cost, 0.0)
    if gained_after > gained_before:
        return None
    likelihood = float(loss.value.min()) < 0
    return (grown, need) if not likelihood or np.log(grown / before) > np.log(need) + 3 * gained_after else None


def _goes_on(norm: CurveFacts, index: int) -> bool:
    """Whether a rise is a ramp that the log ends in, by threefold from its first half to its second and on to its last quarter.

    Layers that are unfrozen or a loss that is weighted anew lift norms once, and leave them there.
    """
    risen = norm.value[index:]
    if risen.size < 8:
        return False
    first, third, last = (median(risen[int(a * risen.size) : int(b * risen.size)]) for a, b in ((0, 0.5), (0.5, 0.75), (0.75, 1)))
    return min(third, last) > 0 and median(risen[risen.size // 2 :]) >= 3 * first and last >= 1.3 * third


def _left(norm: CurveFacts, index: int, middle: float) -> int:
    """Index at which the norm left the level of before for good: a rise over many points begins long before it is tenfold."""
    level = min(middle, median(norm.value[index // 2 : max(index - index // 8, index // 2 + 1)]))
    near = np.flatnonzero(norm.value[:index] <= 1.5 * level)
    return int(near[-1]) + 1 if near.size else index


def _size_of(norm: CurveFacts, index: int) -> tuple[int, float, float]:
    return int(norm.step[index]), median(norm.value[:index]), median(norm.value[index : index + max(3, norm.n // 100)])


def starts_beyond_guessing(view: View, norm: CurveFacts, loss: CurveFacts | None) -> Explosion | None:
    """Huge norms from the first points on, of outputs that are orders of magnitude off whatever the unit of the loss.

    A loss that is summed or scaled has large norms too, and so have targets that are not. What tells a start out of range:
    a coefficient of determination, which no constant scales, below -100 and still worse than a constant after a fifth of the run;
    or a cross-entropy of more nats than guessing among a million classes costs, in a unit that its own end bounds: every error costs
    ln 2 or more, so with a share e of errors the end is at least e ln 2 of that unit; or, as a warning, both the loss and the norms fall to
    a fraction while no metric says that the end is good, as it does where only the unit is large.
    """
    if loss is None or norm.n < 8 or float(norm.value.min()) < 0:
        return None
    first = median(norm.value[:3])
    found = _worse_than_constant(view) if first >= view["norm_at_start"] else None
    found = found or _too_many_nats(view, loss, first) or _falls_from_far(view, norm, loss, first)
    if found is None:
        return None
    statement, curve, margin, still = found
    start = int(norm.step[0])
    evidence = [
        say(
            "The gradient norm starts at {first:.4g} (median of the first three points), against {late:.4g} in the second half of the run; "
            "the loss starts at {loss:.4g} and ends at {end:.4g}.",
            (norm, *parts(view, norm), loss),
            first=first,
            late=median(tail(norm, 0.5)),
            loss=loss.sign * loss.start_cost,
            end=loss.end,
        ),
        statement,
    ]
    before = [float(x.curve.value[0]) for x in view.layers("gradient") if x.curve.n and int(x.curve.step[0]) < start]
    thrown = bool(before) and float(np.linalg.norm(before)) * view["depth_ratio"] < first
    if thrown:
        evidence.append(
            say(
                "At the first step of all the layers' norms made {before:.3g}: the first updates threw the weights out of range.",
                [x.name for x in view.layers("gradient")[:4]],
                before=float(np.linalg.norm(before)),
            )
        )
    return Explosion(
        Interval(start, start),
        Interval(start, int(norm.step[-1]) if still else int(curve.step[max(1, curve.n // 5)])),
        tuple(evidence),
        Severity.ERROR if still else Severity.WARNING,
        confidence(margin),
        f"Exploding gradients: the gradient norm starts at {first:,.0f}, with outputs that are orders of magnitude off",
        np.empty(0),
        born=not thrown,
    )


def _worse_than_constant(view: View) -> tuple[Evidence, CurveFacts, float, bool] | None:
    for key in ("train_metric", "val_metric"):
        curve = view.curve(key)
        if curve is None or curve.n < 8 or not is_determination(curve) or curve.value.max() > 1:
            continue
        start = median(curve.value[:3])
        later = curve.value[curve.between(0.15, 0.25)]
        if start > -view["times_constant"] or not later.size or median(later) > 0:
            continue
        statement = say(
            "R2 starts at {start:,.0f}: the squared errors are {times:,.0f} times those of always giving the mean. After a fifth of the run it is {later:.3g}, "
            "at the end {end:.3g}.",
            (curve,),
            start=start,
            times=1 - start,
            later=median(later),
            end=curve.end,
        )
        return statement, curve, -start / view["times_constant"], curve.end < 0
    return None


def _too_many_nats(view: View, loss: CurveFacts, norm: float) -> tuple[Evidence, CurveFacts, float, bool] | None:
    if norm < view["nats"]:
        return None
    for split in ("train", "val"):
        curve, accuracy = view.curve(f"{split}_loss"), view.curve(f"{split}_accuracy")
        if curve is None or accuracy is None or accuracy.n < 4 or loss.n < 8 or float(loss.value.min()) < 0 or counts_words(view.features):
            continue
        scale = share_unit(accuracy.value)
        error = 1 - scale * accuracy.end
        if not 0.02 < error < 1:
            continue
        times = max(curve.end / (error * log(2)), 1.0)
        if norm / times < view["nats"] or loss.start_cost / times < view["nats"]:
            continue
        nats = loss.start_cost / times
        statement = say(
            "With an accuracy of {accuracy:.3g} at the end the "
            + ("training" if split == "train" else "validation")
            + " loss of {end:.4g} is at most {times:.3g} times a mean cross-entropy, so the start was {nats:.3g} nats or more; guessing among a "
            "million classes costs 13.8.",
            (curve, accuracy.signal.why),
            accuracy=accuracy.end,
            end=curve.end,
            times=times,
            nats=nats,
        )
        return statement, loss, nats / view["nats"], loss.end > view["nats"]
    return None


def _falls_from_far(view: View, norm: CurveFacts, loss: CurveFacts, first: float) -> tuple[Evidence, CurveFacts, float, bool] | None:
    """A start at twenty times the end, and at five times the later norms: targets without a scale look so too, and want the same first look."""
    late = median(tail(norm, 0.5))
    times = loss.start_cost / max(loss.end_cost, 1e-300)
    if (
        first < view["norm_at_start"]
        or loss.n < 8
        or loss.signed
        or loss.start_cost < view["loss_at_start"]
        or times < view["far"]
        or first < view["norms_fall"] * late
    ):
        return None
    quality = end_quality(view.curve("val_metric") or view.curve("train_metric"), view.features, 2)
    if quality is not None and quality >= view["good_end"]:
        return None
    statement = say(
        "The loss ends at 1/{times:.0f} of what it began with: outputs that begin in range have no such way to go.", (loss,), times=times
    )
    return statement, loss, min(times / view["far"], 1.2), False


def grows_with_loss(view: View, norm: CurveFacts, loss: CurveFacts | None) -> Explosion | None:
    """A norm that grows from the first points on, to thirty times what it began with, while the loss rises to several times its start.

    Or one that is ten times its level at the last point, after three rises in a row, where the run ends in the middle of the explosion.
    """
    if loss is None or norm.n < 10 or loss.n < 6 or float(loss.value.min()) <= 0 or loss.end_cost < view["loss_rise"] * loss.first_cost:
        return None
    if loss.end_cost < view["loss_rise"] * loss.start_cost:
        return None
    before, last = norm.value[:-3], norm.value[-4:]
    if norm.n < 100 and median(before) > 0 and last[-1] > view["rise"] * median(before) and bool(np.all(np.diff(last) > 0)):
        text = "The gradient norm rises from a median of {before:.3g} to {last:.3g} in the last three points, and the loss from {start:.4g} to {end:.4g}."
        evidence = say(text, (norm, loss), before=median(before), last=float(last[-1]), start=loss.best, end=float(loss.value[-1]))
        onset = Interval(int(norm.step[-4]), int(norm.step[-2]))
        title = f"Exploding gradients: the gradient norm rises {last[-1] / median(before):,.0f}-fold in the last three points"
        sure = confidence(float(last[-1]) / median(before) / view["rise"], supports=1)
        return Explosion(onset, Interval(onset.first_step, int(norm.step[-1])), (evidence,), Severity.WARNING, sure, title, before)
    if norm.n < 20:
        return None
    first, late = median(norm.value[:3]), median(tail(norm, 0.5))
    trend = find_trend(norm.trace.cost)
    if first <= 0 or late < view["whole_rise"] * first or trend.tau < 0.5:
        return None
    text = "The gradient norm grows from {first:.3g} at first to {late:.3g} over the second half of the run, and the loss from {start:.4g} to {end:.4g}."
    evidence = say(text, (norm, loss), first=first, late=late, start=loss.first, end=loss.end)
    index = int(np.argmax(norm.value > view["rise"] * first))
    onset = Interval(int(norm.step[0]), int(norm.step[max(index, 1)]))
    title = f"Exploding gradients: the gradient norm grows {late / first:,.0f}-fold from the start"
    sure = confidence(late / first / view["whole_rise"], supports=1)
    return Explosion(onset, Interval(onset.first_step, int(norm.step[-1])), (evidence,), Severity.WARNING, sure, title, np.empty(0))


def across_depth(view: View) -> Explosion | None:
    layers = depth_curves(view.layers("gradient"))
    if len(layers) < 4 or not measure_progress(view.curve, view.signals).bad:
        return None
    level = np.array([median(tail(x.curve, 0.5)) for x in layers])
    if not (level > 0).all() or level[0] < view["depth_ratio"] * level[-1]:
        return None
    if float(np.mean(np.diff(np.log10(level)) < 0)) < 0.6:
        return None
    evidence = say(
        f"The gradient norm is {{first:.2e}} in layer {name_some([layers[0].layer])} and {{last:.2e}} in layer {name_some([layers[-1].layer])}: it "
        "grows {ratio:.1e} times on its way back through {layers:.0f} layers.",
        [x.name for x in layers],
        first=float(level[0]),
        last=float(level[-1]),
        ratio=float(level[0] / level[-1]),
        layers=float(len(layers)),
    )
    curve = layers[0].curve
    whole = Interval(int(curve.step[0]), int(curve.step[-1]))
    title = f"Exploding gradients: the gradient grows {level[0] / level[-1]:.0e}-fold from the last to the first layer"
    sure = confidence(float(level[0] / level[-1]) / view["depth_ratio"])
    return Explosion(Interval(whole.first_step, whole.first_step), whole, (evidence,), Severity.ERROR, sure, title, np.empty(0))
