"""Whether a curve stands still, or still moves at its end."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._tails import since
from tbdiag.detectors._words import label, say
from tbdiag.features import CurveFacts
from tbdiag.features.levels import counts_words, metric_level
from tbdiag.features.onsets import flat_since
from tbdiag.model import Domain
from tbdiag.stats.noise import median
from tbdiag.stats.trend import find_trend


def still_falls(curve: CurveFacts) -> bool:
    """Whether the curve still falls in its second half."""
    tail = curve.trace.cost[curve.trace.within(0.5, 1.0)]
    trend = find_trend(tail)
    return trend.falling and -trend.change > 0.02 * abs(median(tail))


def gained(curve: CurveFacts) -> float:
    """Share of the starting value that was gained at best (at the end, for fewer than ten points)."""
    start = abs(curve.start_cost)
    best = curve.best_cost if curve.n >= 10 else curve.end_cost
    # The smallest of many noisy points lies below the level; so much of the gain is luck.
    luck = 1.5 * curve.sigma if curve.n >= 10 else 0.0
    return max(curve.start_cost - best - luck, 0.0) / start if start > 0 else 0.0


def gains(curve: CurveFacts, share: float) -> bool:
    """Whether ``gained(curve) > share``; from the bounds of the noise, where they are enough."""
    best, luck = (curve.best_cost, 1.5 * curve.noise_bounds[1]) if curve.n >= 10 else (curve.end_cost, 0.0)
    sure = curve.first_cost - best - luck > share * max(abs(curve.first_cost), abs(float(curve.cost[0])))
    return sure or gained(curve) > share


def moves(curve: CurveFacts) -> bool:
    """Whether the curve improves beyond its noise and by more than 1 % of its start."""
    trend = find_trend(curve.trace.cost)
    return trend.falling and -trend.change > 0.01 * abs(curve.first_cost) and curve.trace.beyond_noise(-trend.change, 2)


def never_changes(metric: CurveFacts) -> bool:
    """Whether the metric is the same to the last digit; the first tenth of ten evaluations or more apart."""
    late = metric.value[metric.n // 10 :]
    return metric.n >= 6 and float(np.ptp(late)) <= 2e-6 * float(np.abs(late).max())


def settled(curve: CurveFacts) -> bool:
    """Whether nothing was gained after the first tenth of the run."""
    late = curve.trace.cost[curve.trace.within(0.1, 1.0)]
    return late.size >= 5 and not find_trend(late).falling


def is_rounded(value: float) -> bool:
    """Whether a number has three decimals at most, as one that a script rounded before it logged it: constancy then proves little."""
    return abs(1000 * value - round(1000 * value)) < 1e-3 * max(abs(value), 0.1)


def flat_part(curve: CurveFacts, learned: float = 0.0) -> tuple[int, float]:
    """First block of the flat part, and its share of the run; nothing beyond noise is gained there.

    `learned` is what training gained: the first evaluation comes when much is gained already.
    """
    trace = curve.trace
    sigma = trace.noise.sigma
    gain = max(curve.first_cost - float(trace.smooth.min()), learned)
    since = flat_since(trace.cost, max(0.01 * gain, 1.5 * sigma / np.sqrt(5)))
    # A slow descent under noise is still a descent: the trend over the rest decides.
    while since < trace.n - 6:
        trend = find_trend(trace.cost[since:])
        if not (trend.falling and -trend.change > max(0.02 * gain, 0.5 * sigma)):
            break
        since += max(1, trace.n // 20)
    span = max(float(trace.step[-1] - trace.step[0]), 1.0)
    return since, float(trace.step[-1] - trace.step[since]) / span


def longest_flat_part(curve: CurveFacts, train: CurveFacts) -> float:
    """The largest share of the run that `flat_part` can find, from the bounds of the noise: mostly enough to know that it is too short."""
    trace = curve.trace
    learned = max(train.first_cost, float(train.cost[0])) - train.end_cost
    gain = max(curve.first_cost - float(trace.smooth.min()), learned)
    since = flat_since(trace.cost, max(0.01 * gain, 1.5 * trace.noise_bounds[1] / np.sqrt(5)))
    return float(trace.step[-1] - trace.step[since]) / max(float(trace.step[-1] - trace.step[0]), 1.0)


def stays_where_it_was(metric: CurveFacts, share: float) -> Evidence | None:
    """A metric that was exactly the same at its last evaluations (a `share` of all), or never got better than at its first ones."""
    value = metric.value
    if metric.n < 8 or value[-1] <= 0:
        return None
    same = metric.n - (since(value == value[-1]) or 0)
    if same >= max(8, share * metric.n):
        text = f"The {label(metric)} was exactly {{end:.4g}} at the last {{same:.0f}} evaluations: no answer changes any more."
        return say(text, (metric,), end=float(value[-1]), same=float(same))
    early = float(metric.cost[: max(2, metric.n // 10)].min())
    if metric.n < 10 or metric.end_cost < early or find_trend(metric.trace.cost).falling:
        return None
    text = f"The {label(metric)} ended at {{end:.4g}} and had been {{first:.4g}} at its first evaluations: none of the fall of the loss reached it."
    return say(text, (metric,), end=metric.end, first=metric.sign * early)


def is_lifeless(metric: CurveFacts | None, quality: float, left: float) -> bool:
    """Whether a metric of less than half its scale (the F1 of any fixed answer is of that size) stands, with all of guessing's loss left."""
    return metric is not None and left > 0.98 and quality < 0.5 and abs(metric.end - metric.first) < 0.03 * max(abs(metric.first), 1e-12)


def stopped_early(curve: CurveFacts) -> bool:
    """Whether nothing was gained after the first fifth of the run: less than 2 % of the level (of all that was gained, for signed losses)."""
    trace = curve.trace
    early = median(trace.cost[trace.within(0.05, 0.25)]) if trace.n >= 10 else float("nan")
    if curve.signed:
        return early - curve.end_cost < max(0.02 * (curve.start_cost - curve.end_cost), 0.5 * trace.noise.sigma)
    return early - curve.end_cost < 0.02 * abs(early)


def stands_since_first(val: CurveFacts, train: CurveFacts, least: float) -> bool:
    """Whether nine evaluations or more stay within a share `least` of the first ones, and training gains less than a tenth in its second half."""
    if val.n < 9 or train.n < 8 or val.signed or train.signed or abs(val.first_cost - val.end_cost) >= least * val.first_cost:
        return False
    cost = train.trace.cost
    middle, end = median(cost[cost.size // 2 : cost.size * 6 // 10 + 1]), median(cost[-max(1, cost.size // 10) :])
    return middle - end < 0.1 * (train.start_cost - train.end_cost)


def stands_half_way(train: CurveFacts, rest: float, left: float) -> bool:
    """Whether training stands for six tenths of the run as well, with more than a share `left` of the loss remaining (`rest`)."""
    return rest > left and train.n >= 8 and flat_part(train)[1] >= 0.6


def share_gained(curve: CurveFacts) -> float:
    """Share of the start that was gained to the end; 0 where that is within the noise."""
    start, fall = abs(curve.start_cost), curve.start_cost - curve.end_cost
    return fall / start if start > 0 and curve.beyond_noise(fall, 2) else 0.0


def is_steady(curve: CurveFacts) -> bool:
    """Whether a curve does not improve throughout by a twentieth of its start, beyond its noise."""
    trend = find_trend(curve.trace.cost)
    return not (trend.falling and -trend.change > max(3 * curve.trace.noise.sigma, 0.05 * abs(curve.first_cost)))


def climbs(metric: CurveFacts) -> bool:
    """Whether a metric improves throughout."""
    trend = find_trend(metric.trace.cost)
    return trend.falling and -trend.change > 3 * metric.trace.noise.sigma


def evaluations_stand(view: View, val: CurveFacts, metric: CurveFacts | None) -> float | None:
    """Range of all evaluations as a share of their level, where that is too little for weights that were learned; None where it is not.

    Training of weights that are any good moves its evaluations, however little it gains. A level below one half (of the variance, for targets
    of a usual scale) and a metric with a known scale leave the question open.
    """
    known = metric is not None and metric.n >= 2 and metric_level(metric, view.features) is not None
    if val.n < 8 or val.signed or known or view.signals.domain is not Domain.SUPERVISED or counts_words(view.features):
        return None
    spread = float(np.ptp(val.value)) / max(abs(val.end_cost), 1e-12)
    return spread if spread < view["evaluations"] and val.end_cost >= 0.5 else None
