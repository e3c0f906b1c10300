"""Words that several detectors share: evidence sentences bound to their numbers, and actions adapted to what the log tells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts
from tbdiag.features.planned import Planned
from tbdiag.features.schedule import Schedule, read_schedule
from tbdiag.features.tasks import usual_rate
from tbdiag.model import Axis, Evidence, Mark
from tbdiag.stats.monotone import FEWEST

SOON = 40
"""Steps within which only a growth of ten or more a step overflows float32 (10^38): five times the edge of stability, where it is two."""


def say(template: str, series: Iterable[CurveFacts | str] = (), marks: tuple[Mark, ...] = (), /, **numbers: float) -> Evidence:
    """Evidence whose sentence is `template` with its `numbers` filled in, so that sentence and numbers cannot disagree."""
    names = tuple(s if isinstance(s, str) else s.name for s in series)
    return Evidence(template.format(**numbers), {k: float(v) for k, v in numbers.items()}, names, marks)


def say_left(left: float, name: str) -> str:
    """Clause on what is left of the loss of guessing, the number `name` in it: a share, or where it is far above that, a multiple."""
    return f"{{{name}:.0%}} of the loss of guessing is left" if left < 2 else f"the loss is {{{name}:.3g}} times that of guessing"


SUMMED = 10
"""Times the loss of guessing above which a loss is a sum (of CTC over an utterance) rather than a cross-entropy of one answer."""


def tell_left(curve: CurveFacts, left: float, metric: CurveFacts | None, quality: float | None) -> Evidence:
    """What is left of the loss of guessing at the end; of a loss that is a sum, what its metric says instead."""
    if left <= SUMMED or metric is None or quality is None:
        return say(f"At the end {say_left(left, 'left')}.", (curve,), left=left)
    text = f"The {label(metric)} ended at {{value:.4g}} (best {{best:.4g}}), {{reached:.1%}} of the way from guessing to perfect."
    return say(text, (metric,), value=metric.end, best=metric.best, reached=quality)


def short(value: float) -> str:
    """A number as people write a learning rate: two significant digits, ``3e-4`` rather than ``0.0003``."""
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 1000:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def learning_rate(view: View) -> float | None:
    """Peak of the logged learning rate, else the configured one; None where neither is known or it is not positive."""
    curve = view.curve("lr")
    if curve is not None and float(curve.value.max()) > 0:
        return float(curve.value.max())
    known = view.signals.setting("learning_rate")
    return known if known is not None and known > 0 else None


def schedule(view: View) -> Schedule | None:
    """Shape of the logged learning rate, or None."""
    curve = view.curve("lr")
    return read_schedule(curve) if curve is not None and curve.n >= 2 else None


def about(value: float) -> str:
    """A count that is only estimated, to two digits: ``8,300``."""
    return f"{float(f'{value:.2g}'):,.0f}"


def say_planned(planned: Planned, *series: str) -> Evidence:
    """How far the log came of the epochs that the configuration plans."""
    where = "in epoch {reached:g}" if planned.whole else "at epoch {reached:.2g}"
    if planned.limit is not None:
        text = f"The run ended with the {{limit:,.0f}} steps of its configuration, {where} of the {{epochs:g}} that it plans as well."
        return say(text, series, limit=planned.limit, reached=planned.reached, epochs=planned.epochs)
    text = f"The configuration plans {{epochs:g}} epochs; the log ends {where}, {{share:.0%}} of the way."
    return say(text, series, epochs=planned.epochs, reached=planned.reached, share=planned.share)


def scale_lr(view: View, factor: float, what: str = "learning rate") -> str:
    """Clause that changes the learning rate by a factor, with both values where the log tells the present one."""
    rate = learning_rate(view)
    verb = "Lower" if factor < 1 else "Raise"
    if rate is None:
        by = 1 / factor if factor < 1 else factor
        return f"{verb} the {what} by a factor of {by:g}"
    # One digit reads best, where it is near enough.
    exact = rate * factor
    rounded = float(f"{exact:.1g}")
    return f"{verb} the {what} from {short(rate)} to {short(rounded if abs(rounded / exact - 1) < 0.1 else exact)}"


def raise_tiny_rate(view: View, *, scratch: bool) -> str:
    """Clause that raises a rate far below any usual one: to that of the task, to 1e-4 where the model knows nothing, else a hundredfold at most."""
    rate, usual = learning_rate(view), usual_rate(view.features)
    if rate is None:
        return scale_lr(view, 100)
    if usual is not None and rate < usual.rate:
        return f"{scale_lr(view, usual.rate / rate)}, a usual rate of {usual.task} ({short(usual.adapters)} with LoRA),"
    return scale_lr(view, max(1e-4 / rate, 5.0) if scratch and usual is None else 100)


def lower_to_usual(view: View, otherwise: float = 1 / 3) -> str:
    """Clause that lowers the rate to a usual one of the task where it is at least twice that, else by a factor.

    What is far beyond a usual rate for all weights was meant for adapters.
    """
    rate, usual = learning_rate(view), usual_rate(view.features)
    if rate is None or usual is None or rate < 2 * usual.rate:
        return scale_lr(view, otherwise)
    if rate < 2 * usual.adapters:
        return scale_lr(view, usual.rate / rate)
    return f"{scale_lr(view, usual.adapters / rate)} (with LoRA; to {short(usual.rate)} where all weights are trained)"


def breaks_soon(view: View, curve: CurveFacts, first: int) -> bool:
    """Whether a curve breaks within `SOON` steps of the run's beginning, which lies one interval before its first point."""
    if curve.signal.axis is not Axis.STEP:
        return False
    every = sorted({*curve.step[:2].tolist(), *curve.bad_step[:2].tolist()})
    interval = every[1] - every[0] if len(every) > 1 else every[0]
    return bool(first - max(min(every[0] - interval, view.features.steps[0]), 0) <= SOON)


def lower_broken_rate(view: View, curve: CurveFacts, first: int) -> str:
    """Action against a rate that broke `curve` at step `first`: a tenth of it, a hundredth where it broke soon."""
    return f"{scale_lr(view, 0.01 if breaks_soon(view, curve, first) else 0.1)} and rerun otherwise unchanged."


def stop_early(val: CurveFacts, told: int, rise: float) -> str:
    """Early stopping with a patience that the noise of a few evaluations does not use up (Prechelt: the fifth of strips, three at least).

    Where so many evaluations worsen it by more than the share `rise` of its best and 4 noise standard deviations, only as many as do not, or one.
    """
    patience = max(3, -(-val.n // 20)) if val.n >= 10 else 1
    best = int(val.cost.argmin())
    # Of so few points a steep descent makes up most of the noise that is estimated.
    noise = val.sigma if val.n >= FEWEST else min(val.sigma, val.rise / 8)
    allowed = max(rise * abs(float(val.cost[best])), 4 * noise)
    over = np.flatnonzero(val.cost[best + 1 : best + 1 + patience] - val.cost[best] > allowed)
    patience = max(int(over[0]), 1) if over.size else patience
    times = "one evaluation" if patience == 1 else f"{patience} evaluations"
    return (
        f"Rerun with early stopping: end the run after {times} without a better {label(val)}, and keep the best checkpoint "
        f"(in this run {unit(val)} {told:,})."
    )


BEARABLE = {"adam": 0.01, "sgd": 1.0}
"""Rates from which on an optimiser of this name throws most models about (see lr-too-high)."""


def unbearable_limit(view: View) -> float | None:
    """Limit of a known optimiser that the run's learning rate exceeds; None where either is unknown or the rate is within."""
    rate, optimizer = learning_rate(view), str(view.signals.config.get("optimizer", "")).lower()
    limit = next((limit for name, limit in BEARABLE.items() if name in optimizer), None)
    return limit if rate is not None and limit is not None and rate > limit else None


def bears(view: View, factor: float) -> bool:
    """Whether the known learning rate times a factor stays within what its optimiser bears; of an unknown optimiser a twentieth."""
    rate, optimizer = learning_rate(view), str(view.signals.config.get("optimizer", "")).lower()
    return rate is not None and factor * rate <= next((limit for name, limit in BEARABLE.items() if name in optimizer), 0.05)


def lower_unbearable_rate(view: View, limit: float | None, *, lost: bool = False) -> str:
    """Action against a rate beyond a limit: a tenth of the lower of both, since a rate that is still beyond it would be thrown about again.

    A hundredth where the run was `lost` at once: what never trained tells nothing of the rate it bears.
    """
    rate = learning_rate(view)
    factor = (0.01 if lost else 0.1) * (1.0 if rate is None or limit is None else min(1.0, limit / rate))
    return f"{scale_lr(view, factor)} and rerun otherwise unchanged."


def unit(curve: CurveFacts) -> str:
    """Word for one step of a curve's axis: ``step``, ``epoch``, ``sample``; ``step`` where it was put on the steps of another curve."""
    if curve.signal.logged is not None:
        return "step"
    return {"env_step": "environment step"}.get(curve.signal.axis.value, curve.signal.axis.value)


def label(curve: CurveFacts) -> str:
    """Name of a curve in a sentence: ``validation loss``, ``training accuracy``, ``reward``, ``training log likelihood``."""
    split = {"train": "training ", "val": "validation ", "test": "test "}.get(curve.signal.split.value, "")
    # A log likelihood that is trained on plays the part of the loss, but a sentence on a loss that rises would read backwards.
    by_stem = curve.signal.role.value == "metric" or (curve.signal.role.value == "loss" and curve.sign < 0)
    what = (curve.signal.stem if by_stem else curve.signal.role.value).replace("_", " ").strip()
    return f"{split}{what or 'metric'}"


def say_still(curve: CurveFacts) -> str | None:
    """What a curve that gained nothing did, as a sentence; None where it was better in between and got worse: that one moved."""
    size = abs(curve.first_cost)
    # Half as much again is no standing, and a twentieth is none where it is beyond the noise.
    if curve.end_cost - curve.first_cost <= max(0.05 * size, min(3 * curve.sigma, 0.5 * size)):
        return f"The {label(curve)} does not move; a run that had converged before looks the same"
    if curve.best_index > 0:
        return None
    return f"The {label(curve)} is worse at the end than at its start: {curve.end:.4g} against {curve.first:.4g}"


def braced(name: str) -> str:
    """A series' name as it may stand in a sentence that `say` fills in: its own braces doubled."""
    return name.replace("{", "{{").replace("}", "}}")
