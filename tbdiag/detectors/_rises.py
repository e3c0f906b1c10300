"""How much worse than its best a validation curve ends: the deciding ratios of overfitting."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts
from tbdiag.features.levels import loss_left
from tbdiag.features.pairs import Pair
from tbdiag.model import Role
from tbdiag.stats.monotone import FEWEST, find_turn
from tbdiag.stats.noise import Float64, estimate_noise, median
from tbdiag.stats.rise import Rise
from tbdiag.stats.spikes import largest_climb
from tbdiag.stats.trend import find_trend, kendall_p, order_score


def is_small(view: View, val: CurveFacts, rise: Rise, by_loss: bool) -> bool:
    """Whether the rise is too small for `measure_strength`, whatever the noise: most runs end here, before their noise is worked out."""
    relative = rise.amount / abs(rise.best) if rise.best else float("inf")
    span = max(val.first_cost - rise.best, 0.1 * abs(median(val.trace.cost)))
    of_range = rise.amount / (view["range_share"] * span) if span > 0 else float("inf")
    positive = by_loss and float(val.value.min()) > 0
    return (max(relative / view["relative_rise"], min(of_range, relative / view["least_of_level"])) if positive else of_range) < 1


def measure_strength(view: View, val: CurveFacts, rise: Rise, by_loss: bool) -> float:
    """The deciding ratio to its threshold; below 1 nothing is found."""
    span = max(val.start_cost - rise.best, 0.0)
    relative = rise.amount / abs(rise.best) if rise.best else float("inf")
    positive = by_loss and float(val.value.min()) > 0
    if val.n < 10:
        before = val.trace.cost[: rise.best_index + 1]
        if before.size > 2 and rise.amount < 2 * largest_climb(before, before.size):
            return 0.0  # what came back before may come back again
        # A rise that went on but for one evaluation: twice as large as it must be, and in an order that is no luck.
        on = rise.streak >= 4 or (positive and relative > 2 * view["few_points_rise"] and climbs_to_the_end(val.trace.cost, rise.amount))
        if rise.streak < 2 and not on:
            return 0.0
        if not positive:
            return rise.amount / max(view["few_points_signed"] * span, 1e-12)
        # Noise of a few per cent can rise twice in a row; it does not lose a seventh of what was gained, nor a third of the level.
        gone = max(rise.amount / max(view["few_points_of_gain"] * span, 1e-12), relative / view["few_points_of_level"])
        if on:
            gone = max(gone, relative / (2 * view["few_points_rise"]))  # four times in a row, not a fifth of the level
        # Three evaluations of plain noise are in order once in six times, four once in twenty-four: two rises must be twice as large.
        least = view["few_points_rise"] * (2 if rise.streak == 2 and not on else 1)
        return min(relative / least, gone)
    share = (val.trace.step[rise.best_index] - val.trace.step[0]) / max(val.trace.step[-1] - val.trace.step[0], 1.0)
    if share >= view["latest_best"]:
        return 0.0
    level = abs(median(val.trace.cost))
    of_range = rise.amount / (view["range_share"] * max(span, 0.1 * level)) if span > 0 or level > 0 else 0.0
    # A fifteenth of a tiny gain is nothing: some of the level as well.
    size = max(relative / view["relative_rise"], min(of_range, relative / view["least_of_level"])) if positive else of_range
    # With few points the noise itself is known within a factor only (41 % at ten points).
    sure = rise.sigmas / (view["sigmas"] * (1 + 3 / val.trace.n))
    plain = relative > 2 * view["relative_rise"] if positive else of_range > 3
    if sure < 1 and rise.sigmas > view["trend_sigmas"] and plain:
        # A rise twice as large as it must be that goes on block by block needs fewer sigmas: the trend test has its own level.
        trend = find_trend(val.trace.cost[rise.best_index :], 6)
        sure = 1.0 if trend.tau > 0 and trend.p < 0.02 and trend.blocks >= 6 else sure
    if sure < 1 and size >= 2:
        # Noise may hide the end in single points; all of them together tell a curve that turned from one that only fell.
        sure = max(sure, min(find_turn(val.trace.cost).ratio, 1.9))
    # Smoothing of so few points lifts the best of them; their order is judged as logged, and so is their rise.
    clear = not positive or rise.end - float(val.cost.min()) > 2 * view["few_points_rise"] * float(val.cost.min())
    if sure < 1 and val.n < FEWEST and plain and clear and climbs_to_the_end(val.trace.cost, rise.amount):
        sure = 1.5
    if sure < 1 and positive and relative > view["doubled"] and rise.sigmas > view["trend_sigmas"]:
        # What doubled and scatters there: none of the last third comes half-way back.
        late = float(val.trace.cost[-max(val.trace.n // 3, 3) :].min())
        sure = 1.2 if late > rise.best + 0.5 * rise.amount else sure
    return float(min(sure, size))


def climbs_to_the_end(cost: Float64, amount: float) -> bool:
    """Whether fewer than fifteen points rise from their best on to the end, and by twice what they had climbed before.

    A steep descent makes up half of so few points, so that no estimate of the noise is left; the order of the points needs none. Without
    exception over four steps, or by Kendall's score (two-sided p < 0.005): with a rise of 20 % and training falling, wrong on at most 0.1 % of curves
    with white noise of 1 to 8 % (simulated). No healthy labelled run of so few points rises in order by more than 2 %.
    """
    best = int(np.argmin(cost))
    tail, before = cost[best:], cost[: best + 1]
    k = tail.size
    if k < 5 or (before.size > 2 and amount < 2 * largest_climb(before, before.size)):
        return False
    score = order_score(tail)
    return 2 * score == k * (k - 1) or (score > 0 and kendall_p(score, k) < 0.005)


def stays_up(view: View, val: CurveFacts, rise: Rise) -> bool:
    """Whether a positive loss of twenty evaluations ends far above its best, by a part of its gain too, and none of the last quarter comes half-way back.

    Its noise may be that of the middle of the run, which says nothing of an end that is calm.
    """
    least = max(view["stays_up"] * rise.best, view["range_share"] * (val.start_cost - rise.best))
    if val.n < 20 or rise.best <= 0 or rise.amount < least:
        return False
    return float(val.trace.cost[-(val.trace.n // 4) :].min()) > rise.best + 0.5 * rise.amount


def has_jumped(val: CurveFacts, rise: Rise) -> bool:
    """Whether the rise is one single step between two levels, or the last point before NaN and no other."""
    after = val.trace.cost[rise.best_index :]
    if val.bad_step.size and val.bad_step[-1] > val.step[-1] and 1 < after.size <= 4:
        return bool(after[-2] - rise.best < 0.5 * rise.amount)
    if after.size < 6 or val.n < 10:
        return False
    steps = np.diff(after)
    i = int(np.argmax(steps))
    before, behind = after[: i + 1], after[i + 1 :]
    if before.size < 2 or behind.size < 3:
        return False  # what is worse from the second evaluation on had no level to leave
    # No other step comes near it; the level before had not yet risen, the level behind no longer rises much.
    return bool(
        steps[i] > max(0.6 * rise.amount, 2 * float(np.partition(steps, -2)[-2]))
        and median(before) - rise.best < 0.1 * rise.amount
        and behind[-1] - behind[0] < 0.4 * rise.amount
        and behind.min() - rise.best > 0.5 * rise.amount
    )


def training_since(pair: Pair, best: int) -> tuple[float, float, float]:
    """Training cost around the best validation point, at the end, and the noise of their difference."""
    at = pair.train_at
    if pair.train.n < pair.val.trace.n:  # the first value that was logged behind the best point; the one at it dates from before
        best += int(np.argmax(at[best:] != at[best]))
    # Behind the best point: before it training was still falling fast.
    then = median(at[best : best + 3]) if at.size >= 10 else median(at[max(best - 1, 0) : best + 2])
    now = median(at[-max(1, at.size // 10) :])
    # A median of several points is no noisier than one of them; of few intervals the steep descent makes up the rest.
    return then, now, min(estimate_noise(at).sigma, pair.train.sigma) if at.size >= 10 else 0.0


def best_at_once(view: View, val: CurveFacts, rise: Rise) -> bool:
    """Whether validation was at its best at once, and nothing says that it had learned anything until then."""
    if rise.best_index > 0 and not (val.n >= 20 and rise.best_index <= val.trace.n // 25):
        return False
    left = loss_left(val, view.features, val.best) if val.signal.role is Role.LOSS else None
    gained = float(val.cost[0]) - rise.best
    return not ((left is not None and left < 0.9) or gained > max(4 * val.sigma, rise.amount))
