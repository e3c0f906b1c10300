"""Updates that are far smaller than the weights: logged update-to-weight ratios, and weight histograms that hardly change over a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tbdiag.detectors._base import GRADIENTS, Cause, Evidence, Finding, Interval, Severity, SuccessRule, View, predicate
from tbdiag.detectors._tails import name_some, say
from tbdiag.detectors._words import label, learning_rate
from tbdiag.features import CurveFacts, LayerFacts
from tbdiag.features.levels import end_quality, loss_left
from tbdiag.model import Role
from tbdiag.stats.confidence import confidence
from tbdiag.stats.noise import median

FLOAT32 = 2.0**-24
"""Half the distance of neighbouring float32 numbers to their size: an update that is smaller, relative to a weight, leaves it as it is."""

USUAL = 1e-3
"""Update-to-weight ratio of trainings that go well (cs231n)."""


@dataclass(frozen=True)
class Updates:
    """Largest of the median update-to-weight ratios of a run, the curves that tell it, and whether they were logged as powers of ten."""

    ratio: float
    curves: tuple[CurveFacts, ...]
    logarithmic: bool


def measure_updates(view: View) -> Updates | None:
    """Logged update-to-weight ratios of at least five points each; some writers log powers of ten. None where nothing was, or zeros."""
    curves = tuple(c for c in view.group(Role.UPDATE_RATIO) if c.n >= 5 and not c.bad_step.size)
    middles = [median(c.value) for c in curves]
    if not curves or len({m < 0 for m in middles}) > 1:
        return None
    powers = middles[0] < 0
    ratio = max(10.0**m if powers else m for m in middles)
    return Updates(ratio, curves, powers) if ratio > 0 else None


def say_updates(found: Updates, rate: float | None) -> Evidence:
    """Sentence that sets the ratio against the usual one, and beside the learning rate where that is known."""
    at, numbers = _at(rate)
    what = "the update-to-weight ratio" if len(found.curves) == 1 else "the largest of {curves:.0f} update-to-weight ratios"
    if len(found.curves) > 1:
        numbers["curves"] = float(len(found.curves))
    return say(f"The median of {what} is {{ratio:.2g}}{at}; {{usual:g}} is usual.", found.curves, ratio=found.ratio, usual=USUAL, **numbers)


def _at(rate: float | None) -> tuple[str, dict[str, float]]:
    """Clause that names a learning rate, where it is known, and its number."""
    return (" at a learning rate of {rate:.3g}", {"rate": rate}) if rate is not None else ("", {})


def stands_still(view: View) -> CurveFacts | None:
    """The loss of a run that gained nothing from its first point to its end."""
    loss = view.curve("train_loss") or view.curve("val_loss")
    return loss if loss is not None and loss.n >= 4 and abs(loss.drop) <= 0.05 * abs(loss.first) + 2 * loss.sigma else None


Found = tuple[tuple[Evidence, ...], Interval, str]
"""Evidence, extent and title."""


def find_small_updates(view: View, layers: Sequence[LayerFacts]) -> Finding | None:
    """Weights that move by less than makes a difference, while the rate is one that should move them and nothing is learned."""
    lr, loss = view.curve("lr"), stands_still(view)
    if loss is None or (lr is not None and median(np.abs(lr.value)) <= 1e-3 * float(np.abs(lr.value).max())):
        return None  # a schedule that ran down to nothing is the schedule's matter
    quality = end_quality(view.curve("val_metric") or view.curve("train_metric"), view.features, 2)
    if (quality or 0.0) >= 0.5 or (loss_left(loss, view.features, loss.end) or 1.0) < 0.5:
        return None  # a good model that hardly moves may be meant
    found = _hardly_moved(view, layers, loss) or _below_resolution(view, loss)
    if found is None:
        return None
    evidence, extent, title = found
    return Finding(
        id="frozen-weights",
        severity=Severity.ERROR,
        confidence=confidence(2.0),
        title=title,
        onset=Interval(extent.first_step, extent.first_step),
        extent=extent,
        evidence=evidence,
        causes=(
            Cause("Gradients are divided before the step: unscaled or averaged twice, a loss multiplied by a tiny weight"),
            Cause("The optimiser does not hold these parameters, so that nothing but rounding or decay moves them"),
            Cause("The learning rate that the optimiser uses is far below the one that is logged"),
            Cause("Updates below the resolution of the number format (bfloat16 weights with a tiny learning rate)"),
        ),
        first_check="Print, for each parameter, the norm of its gradient, of its change in one step and of itself, and the rate of its group.",
        first_action="Undo what divides the gradients or the rate before the optimiser's step, and give the optimiser all parameters.",
        fixes=(
            "Unscale mixed-precision gradients once, and before clipping",
            "Divide the loss by the accumulation steps once",
            "Compare the number of trainable parameters with the number that the optimiser holds",
            "Raise the learning rate until an update is about a thousandth of the weights",
        ),
        success_rule=_rule(view, loss),
        phase=GRADIENTS,
        roles=("update_ratio",) if measure_updates(view) is not None else ("weight_histogram",),
    )


def _below_resolution(view: View, loss: CurveFacts) -> Found | None:
    """Logged update ratios that float32 does not resolve, under a loss that stands where it began."""
    found = measure_updates(view)
    if found is None or found.ratio >= FLOAT32:
        return None
    still = say(
        f"Weights in single precision do not change by less than {{least:.1g}} of themselves, and the {label(loss)} stays at {{loss:.4g}}.",
        (loss,),
        least=FLOAT32,
        loss=loss.end,
    )
    step = found.curves[0].step
    title = f"Frozen weights: the updates are {found.ratio:.1g} of the weights, too small to change them"
    return (say_updates(found, learning_rate(view)), still), Interval(int(step[0]), int(step[-1])), title


def _hardly_moved(view: View, layers: Sequence[LayerFacts], loss: CurveFacts) -> Found | None:
    """Weight histograms whose norm, smallest and largest value are the same to five digits from the first point to the last.

    A norm alone may be held by design, and a histogram by chance; the smallest and largest value are single weights, which every step moves.
    """
    moved = []
    for layer in layers:
        facts = layer.histogram
        if facts is None or facts.n < 5:
            return None
        series = facts.series
        for value in (series.minimum, series.maximum, facts.norm):
            if not np.isfinite(value).all() or value[0] == 0:
                return None
            moved.append(float(np.max(np.abs(value / value[0] - 1))))
    largest = max(moved, default=0.0)
    if not 0 < largest < view["hardly"]:
        return None
    step, rate = layers[0].curve.step, learning_rate(view)
    if rate is not None and rate < 2e-6:
        return None  # lr-too-low says why
    steps = max(float(step[-1] - step[0]), 1.0)
    at, numbers = _at(rate)
    text = (
        f"In {{steps:,.0f}} steps{at} the norm, the smallest and the largest value of {name_some([x.layer for x in layers])} changed by {{moved:.1g}} "
        f"of themselves at most, and the {label(loss)} stays at {{loss:.4g}}: updates of {{usual:g}} of the weights a step are usual."
    )
    evidence = say(text, [*(x.name for x in layers), loss.name], steps=steps, moved=largest, loss=loss.end, usual=USUAL, **numbers)
    title = f"Frozen weights: in {int(steps):,} steps no weight matrix changes by more than {largest:.1g} of itself"
    return (evidence,), Interval(int(step[0]), int(step[-1])), title


def _rule(view: View, loss: CurveFacts) -> SuccessRule:
    """What the next run must show: updates of a thousandth of the usual size at least where they were logged, and a loss that falls."""
    found = measure_updates(view)
    rules = [predicate(loss.signal.key, "drop", ">", 0.05 * abs(loss.first), sd_times=2.0, source="a twentieth of this run's first loss")]
    sentence = f"The {label(loss)} falls by a twentieth of {abs(loss.first):.4g} and twice its noise"
    if found is not None:
        least = float(np.log10(1e-3 * USUAL)) if found.logarithmic else 1e-3 * USUAL
        rules.append(predicate("update_ratio", "median", ">=", least, source="a thousandth of the usual ratio"))
        sentence += f", and the update-to-weight ratio is at least {1e-3 * USUAL:.0e} in its median"
    return SuccessRule(all=tuple(rules), sentence=f"{sentence}.")
