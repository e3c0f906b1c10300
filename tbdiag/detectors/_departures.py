"""Losses that leave for good though no single one rises far beyond its noise: both climb, validation runs away, both splits forget."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._returns import is_slight
from tbdiag.detectors._words import label, say, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import guessing, metric_level
from tbdiag.model import Role
from tbdiag.stats.noise import Float64, estimate_noise, mad, median, running_median
from tbdiag.stats.rise import measure_rise
from tbdiag.stats.trend import find_trend


def forgets(view: View, train: CurveFacts, val: CurveFacts) -> float:
    """How surely both accuracies lost half of what they had above guessing, while both losses rose; 1 and more is sure.

    `train` and `val` are the losses. Validation's must end above its start, training's a tenth above its smoothed best.
    """
    scores = [view.curve("train_accuracy"), view.curve("val_accuracy")]
    if train.n < 8 or val.n < 6 or val.first_cost <= 0 or val.end_cost <= val.first_cost:
        return 0.0
    if train.n < 20 and not all(bool(np.all(np.diff(c.cost[-5:]) > 0)) for c in (train, val)):
        return 0.0  # of few points each must be worse than the one before
    if train.end_cost < 1.1 * train.best_cost:
        return 0.0
    margins = []
    for score in scores:
        level = metric_level(score, view.features) if score is not None and score.n >= 6 else None
        if score is None or level is None:
            return 0.0
        smooth = running_median(score.value, 3 if score.n < 30 else max(3, score.n // 10) | 1)
        quality = np.asarray([level.quality(float(v)) for v in smooth])
        ends = score.value[-1:] if score.n < 20 else smooth[-(score.n // 5) :]
        best, late = float(quality.max()), np.asarray([level.quality(float(v)) for v in ends])
        if best < view["forgotten_from"] or int(np.argmax(quality)) > 0.6 * quality.size:
            return 0.0
        margins.append((1 - view["forgotten"]) * best / max(median(late), 1e-3))
    return float(min(margins))


def knew_nothing(view: View, curve: CurveFacts) -> bool:
    """Whether a curve is a bounded metric that never got far from guessing: what it loses again it had by luck."""
    level = metric_level(curve, view.features) if curve.signal.role is Role.METRIC else None
    return level is not None and level.quality(curve.best) < view["metric_learned"]


def both_climb(view: View, train: CurveFacts, val: CurveFacts) -> float:
    """Both losses climb through nearly the whole run to a quarter above where they began, or three eighths above their best."""
    lowest = [float(c.value.min()) for c in (val, train)]
    if min(train.trace.n, val.trace.n) < 12 or min(lowest) <= 0:
        return 0.0
    if any(c.end_cost < view["both_climb"] * min(c.first_cost, 1.1 * low) for c, low in zip((val, train), lowest, strict=True)):
        return 0.0  # the same as below, without looking for the best smoothed point
    above = min(c.end_cost / (view["both_climb"] * min(c.start_cost, 1.1 * float(c.best_cost))) for c in (train, val))
    if above < 1 or any(c.best_index > 0.25 * c.n for c in (train, val)):
        return 0.0
    trends = [find_trend(c.trace.cost, 6) for c in (train, val)]
    return float(above) if all(t.tau > 0.5 and t.p < 0.05 for t in trends) else 0.0


def both_jump(view: View, cost: Float64, val: CurveFacts | None) -> float:
    """Few points: training and validation both step above where they began, from below half of that level, and stay for three points."""
    margins = []
    for values in (cost, val.trace.cost if val is not None else np.empty(0)):
        if values.size < 5 or float(values.min()) <= 0 or int(np.argmin(values)) > values.size - 4:
            return 0.0
        worst = float(values[-3:].min())
        margins.append(min(worst / (view["both_jump"] * float(values[0])), worst / (view["few_points_best"] * float(values.min()))))
    return float(min(margins))


def both_rise(view: View, train: CurveFacts) -> float:
    """A noisy training loss that rises throughout, with a validation loss that ends far above where it began."""
    val = view.curve("val_loss")
    if val is None or val.n < 8 or train.n < 30 or val.first_cost <= 0:
        return 0.0
    if val.trace.n >= 10 and median(val.trace.cost[-max(3, val.trace.n // 10) :]) < view["both_rise"] * val.first_cost:
        return 0.0  # what is returned at last would be below 1
    begin = train.trace.step >= float(val.trace.step[measure_rise(val.trace.cost, 0.0).best_index])
    tail = train.trace.cost[begin]
    trend = find_trend(tail)
    up = trend.rising and trend.change > max(0.5 * abs(median(tail[: max(3, tail.size // 8)])), 2 * train.trace.noise.sigma)
    if not up or tail.size < 20:
        return 0.0
    rise = measure_rise(val.trace.cost, quiet_sigma(val.trace.cost, val.trace.n // 2, val.trace.noise.sigma))
    if rise.sigmas < view["sigmas"]:
        return 0.0
    return float(rise.end / (view["both_rise"] * val.first_cost))


def quiet_sigma(y: Float64, best: int, sigma: float) -> float:
    """Noise before the rise; a diverged loss is noisy itself, and its rise looks like autocorrelation."""
    if best >= 8:
        return min(estimate_noise(y[: best + 1]).sigma, sigma)
    plain = mad(np.diff(y)) / 1.414
    if best >= 5 and plain > 0:
        # Six points know their noise within a factor of two; the steps of the whole curve bound it from below.
        return min(max(2 * estimate_noise(y[: best + 1]).sigma, 0.3 * plain), sigma)
    return min(1.5 * plain, sigma) if plain > 0 else sigma


def runs_away(view: View, train: CurveFacts, val: CurveFacts) -> float:
    """A validation loss that climbs through the whole run to twice its start while training gains nothing: nobody's overfitting."""
    if (
        train.n < 10
        or val.n < 6
        or val.first_cost <= 0
        or val.end_cost < view["runs_away"] * val.first_cost
        or val.best_index > 0.2 * val.n
    ):
        return 0.0
    if train.start_cost - train.end_cost > max(2 * train.sigma, 0.1 * abs(train.start_cost)):
        return 0.0
    trend = find_trend(val.trace.cost, 6)
    if trend.tau < 0.7 or not val.trace.beyond_noise(val.end_cost - val.first_cost, 4):
        return 0.0
    return float(val.end_cost / (view["runs_away"] * val.first_cost))


def step_up_together(view: View, train: CurveFacts, val: CurveFacts) -> float:
    """How far beyond its limits both losses went up for good at one place, against their levels and noise just before; below 1 they did not.

    From a first loss of ten a language model's nat is little; from the three that it had come to it is a third, and lost for good.
    """
    if train.signed or val.signed or train.signal.axis is not val.signal.axis or min(train.trace.n, val.trace.n) < 15:
        return 0.0
    found = [_step_up(view, c) for c in (train, val)]
    span = max(float(train.step[-1] - train.step[0]), 1.0)
    if abs(found[0][1] - found[1][1]) > 0.15 * span:
        return 0.0
    return min(found[0][0], found[1][0])


def _step_up(view: View, curve: CurveFacts) -> tuple[float, float]:
    """The strongest rise for good of a loss, in its limits (of the level and of the noise before), and the step before it."""
    trace = curve.trace
    y, n = trace.smooth, trace.n
    gap = max(1, n // 8)  # a ramp may take so long
    lowest = np.minimum.accumulate(y[::-1])[::-1]
    places = np.arange(max(5, n // 5), n - gap - max(3, n // 5))
    if not places.size:
        return 0.0, 0.0
    before = np.array([median(y[max(0, i - max(3, n // 20)) : i + 1]) for i in places.tolist()])
    rises = lowest[places + gap] - before
    at = int(np.argmax(rises))
    i, rise, level = int(places[at]), float(rises[at]), float(before[at])
    if rise <= 0 or level <= 0:
        return 0.0, 0.0
    sigma = max(min(estimate_noise(trace.cost[i // 2 : i + 1]).sigma, trace.noise.sigma), 1e-4 * level)
    return min(rise / (view["step_level"] * level), rise / (view["step_sigmas"] * sigma)), float(trace.step[i])


def worse_than_guessing(view: View, curve: CurveFacts) -> float:
    """A classifier that began near the loss of guessing and stays well above it has diverged, however it scatters."""
    chance = guessing(view.features).chance
    if chance is None or curve.n < 6:
        return 0.0
    late = curve.trace.cost[curve.trace.within(0.4, 1.0)]
    if late.size < 3 or float(late.min()) < view["guessing"] * chance:
        return 0.0
    began = curve.start_cost < 1.15 * chance or float(curve.trace.cost[0]) < 1.15 * chance
    return float(late.min()) / (view["guessing"] * chance) if began else 0.0


def tell_validation(val: CurveFacts, *, follows: bool) -> Evidence:
    """Sentence on what validation did meanwhile, with its very last values where those left and the median of its end does not show it."""
    if val.bad_step.size and int(val.bad_step[-1]) > int(val.step[-1]):
        text = f"The {label(val)} followed: from {{best:.4g}} to {{last:.4g}} at {unit(val)} {{step:,}}, and it is NaN or infinite from {{bad:,}} on."
        return say(text, (val,), best=val.best, last=float(val.value[-1]), step=int(val.step[-1]), bad=int(val.bad_step[0]))
    if not follows and float(val.cost[-1]) > val.best_cost + max(4 * val.sigma, 0.3 * max(val.gain, 0.0)):
        text = f"The {label(val)} followed with its last evaluation: from {{best:.4g}} to {{last:.4g}}."
        return say(text, (val,), best=val.best, last=float(val.value[-1]))
    text = f"The {label(val)} {'followed' if follows else 'did not follow'}: from {{best:.4g}} to {{end:.4g}}."
    return say(text, (val,), best=val.best, end=val.end)


def gives_up(view: View, curve: CurveFacts) -> float:
    """How far beyond the thresholds a reward fell for good."""
    trace = curve.trace
    if trace.n < 20:
        return 0.0
    smooth = trace.smooth
    b = int(np.argmin(smooth))
    # As no-learning has it: above the first tenth of the run, or it never rose.
    gain = min(curve.first_cost, median(trace.cost[: max(3, trace.n // 10)])) - float(smooth[b])
    tail = trace.cost[-max(4, trace.n // 5) :]
    fall = median(tail) - float(smooth[b])
    if gain <= 0 or b > 0.8 * trace.n or float(tail.min()) < smooth[b] + 0.4 * gain:
        return 0.0
    if curve.signal.role is Role.REWARD and is_slight(gain, fall, abs(float(smooth[b]))):
        return 0.0
    sigma = trace.noise.sigma
    return float(
        min(
            fall / (view["reward_lost"] * gain),
            fall / (view["sigmas"] * sigma) if sigma > 0 else float("inf"),
            gain / (view["reward_sigmas"] * sigma) if sigma > 0 else 2.0,
        )
    )
