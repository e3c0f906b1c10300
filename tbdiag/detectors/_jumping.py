"""Signs of instability: evaluations that jump with training, evaluations that are thrown back, a scatter that rises for good."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._words import label, say, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import stays_at_guessing
from tbdiag.features.pairs import measure_restlessness, pair_up, progress
from tbdiag.model import Role, Split
from tbdiag.stats.change import locate_step
from tbdiag.stats.dispersion import find_scatter_rise
from tbdiag.stats.noise import median
from tbdiag.stats.oscillation import detrended, scatter
from tbdiag.stats.trend import find_trend

Sign = tuple[float, Evidence, int]
"""Margin over the threshold, evidence, and the block of the trace at which it begins."""
LOG_OF_NOISE = 1.11
"""Standard deviation of the logarithm of the size of normal noise."""


def jump_together(view: View, train: CurveFacts, val: CurveFacts | None) -> Sign | None:
    """Validation and training losses that both jump from point to point, late in the run."""
    found = measure_restlessness(train, val) if val is not None else None
    if found is None or val is None or not found.together:
        return None
    margin = min(found.val_level / view["restless"], found.val_gain / view["restless_gain"])
    if margin < 1 or stays_at_guessing(val, view.features):
        return None  # validation that knows nothing is another trouble, and jumps as it likes
    if not val.signed and median(val.trace.cost[val.trace.n // 2 :]) < 0.05 * min(float(train.value[0]), 3 * val.first):
        return None  # of what little is left any share is nothing
    return (
        margin,
        say(
            "From one evaluation to the next the validation loss jumps by {val:.0%} of its level and the training loss by {train:.0%}.",
            (val, train),
            val=found.val_level,
            train=found.train_level,
        ),
        _first_jump(train, val),
    )


def relapses(view: View, train: CurveFacts, val: CurveFacts | None) -> Sign | None:
    """Evaluations that give back a good part of all there was to learn, more than once, in a training that is not done.

    A scatter that is told from medians sees neither few evaluations nor single ones.
    """
    if val is None or val.signed or train.signed or val.trace.n < 6:
        return None
    cost, late = val.trace.cost, val.trace.n // 4
    typical = float(np.sort(np.diff(cost))[-max(2, -(-cost.size // 8))])
    first, level = max(train.start_cost, float(cost[0])), median(cost[late:])
    if min(first, level) <= 0 or train.end_cost < 0.25 * train.start_cost:
        return None
    beside = pair_up(train, val).train_at[late:]
    of_val, of_train = scatter(cost[late:]) / level, scatter(beside) / max(median(beside), 1e-12)
    # Of a noisy evaluation training knows nothing: the geometric mean of its scatter and of its ratio to validation's stays small.
    together = of_train / max(of_val, 1e-12) ** 0.5
    margin = min(typical / (view["relapse"] * first), of_val / view["relapse_level"], together / view["relapse_together"])
    if margin < 1 or stays_at_guessing(val, view.features):
        return None
    return (
        margin,
        say(
            "From one evaluation to the next the validation loss rises {count} times by {size:.3g} or more, {share:.0%} of the first loss.",
            (val, train),
            count=int(np.sum(np.diff(cost) >= typical)),
            size=typical,
            share=typical / first,
        ),
        _first_jump(train, val),
    )


def rouses(view: View, train: CurveFacts) -> Sign | None:
    """A training loss that was calm and whose scatter, of whatever period up to a twelfth of the run, rises for good, to a good part of its level and of its start."""
    thinned = slice(0, None, max(1, train.n // 480))
    found = None if train.signed or train.signal.role is not Role.LOSS else find_scatter_rise(train.cost[thinned])
    if found is None or train.start_cost <= 0:
        return None
    cost, step = train.cost[thinned], train.step[thinned]
    level, before = median(cost[found.last :]), median(cost[found.before : found.last - (found.last - found.first) // 2])
    # Near chance every batch has the same loss, and scatter comes with learning; a loss that has left its level for good is a divergence.
    if level <= 0 or before > 1.15 * level or median(cost[-max(3, cost.size // 10) :]) > 3 * before:
        return None
    of_level, of_start = found.after / (view["rouse_level"] * level), found.after / (view["rouse_start"] * train.start_cost)
    margin = min(found.ratio / view["rouse"], of_level, of_start)
    if margin < 1:
        return None
    # The first point that is as far from the calm level as the restless ones are.
    calm = found.after / found.ratio
    place = locate_step(np.log(np.abs(cost[found.before : found.last + 1 + cost.size // 12] - before) + 0.1 * calm), LOG_OF_NOISE, margin=5)
    begin = found.before + place.best + 1 if place is not None else found.first
    return (
        margin,
        say(
            f"The {label(train)} was calm and scatters {{ratio:.2g}} times as much from {unit(train)} {{step:,}} on, by {{share:.0%}} of its level.",
            (train,),
            ratio=found.ratio,
            step=int(step[begin]),
            share=found.after / level,
        ),
        int(np.clip(np.searchsorted(train.trace.last_step, step[begin]), 0, train.trace.n - 1)),
    )


def descends_by_epoch(view: View, train: CurveFacts) -> bool:
    """Whether a loss of single batches has a mean by the epoch, or a metric of training beside it, that gets better throughout and hardly scatters.

    Then it is the batches that differ. Of the labelled runs whose weights jump none has one that falls so, and it scatters by 0.16 of its gain at least.
    """
    metric = view.curve("train_metric")
    means = [c for c in view.group(Role.LOSS, Split.TRAIN) if c.signal.stem == train.signal.stem]
    for curve in (*means, *((metric,) if metric is not None else ())):
        if 6 <= curve.n <= train.n / 3 and find_trend(curve.cost).falling:
            gain = curve.first_cost - curve.best_cost
            if scatter(curve.cost[curve.n // 4 :]) < view["by_epoch"] * gain:
                return True
    return False


def _first_jump(train: CurveFacts, val: CurveFacts) -> int:
    """Block of the training loss at which validation first jumps half as far as it typically does late in the run."""
    off = np.abs(detrended(val.trace.cost))
    typical = median(off[off.size // 4 :])
    first = int(np.argmax(off >= 0.5 * typical))
    at = float(progress(val, val.trace.step[first : first + 1], train)[0])
    return int(np.clip(np.searchsorted(train.trace.step, at), 0, train.trace.n - 1))
