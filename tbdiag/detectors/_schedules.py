"""Faults of a learning-rate schedule: shapes of the logged rate, each with what the training loss did about it."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import SUPERVISED, Interval, View
from tbdiag.detectors._flatness import flat_part, share_gained
from tbdiag.detectors._words import label, say, unit
from tbdiag.features import CurveFacts
from tbdiag.features.levels import end_quality, rest_of_loss
from tbdiag.features.schedule import Schedule
from tbdiag.model import Domain, Evidence
from tbdiag.stats.noise import Float64, estimate_noise, median

Fault = tuple[Evidence, Interval, float]
"""What tells it, where it begins, and by how much it exceeds its limit."""

SELF_TUNING = ("prodigy", "dadapt", "d-adapt", "schedule", "mechanic", "dowg")
"""Optimisers that choose or average away the rate themselves: a constant one is their design."""


def never_warm(view: View, lr: CurveFacts, plan: Schedule) -> Fault | None:
    steps = np.diff(lr.value)
    rising = bool(np.all(steps >= -1e-6 * plan.peak)) and float(np.mean(steps > 0)) > 0.8
    if not rising or plan.peak_share < view["warm_share"] or float(lr.value[0]) > 0.5 * plan.peak:
        return None
    evidence = say(
        "The learning rate rises throughout, from {first:.3g} to {last:.3g} at the last point.",
        (lr,),
        first=float(lr.value[0]),
        last=float(lr.value[-1]),
    )
    return evidence, Interval(int(lr.step[0]), int(lr.step[min(1, lr.n - 1)])), 4.0


def collapsed(view: View, lr: CurveFacts, plan: Schedule) -> Fault | None:
    found = _below(lr, plan, view["collapse"], view["collapse_share"]) or _below(lr, plan, view["early_collapse"], view["early_share"])
    return found or _stopped_the_fall(view, lr, plan)


def _stopped_the_fall(view: View, lr: CurveFacts, plan: Schedule) -> Fault | None:
    """A small share of the peak before half of the run, where the loss fell until then and does nothing in all the rest."""
    found, train = _below(lr, plan, view["stopped"], view["stopped_share"]), view.curve("train_loss")
    if (
        found is None
        or train is None
        or view.signals.domain is Domain.REINFORCEMENT
        or train.n < 12
        or train.signal.axis is not lr.signal.axis
    ):
        return None
    low = float(found[1].last_step)
    quarter = (low - float(lr.step[0])) / 4
    # Medians a quarter of the way there apart: what the loss lost in the last quarter, and in all that was left of the run.
    near = [train.cost[np.abs(train.step - at) <= 0.3 * quarter] for at in (low - quarter, low)]
    if min(v.size for v in near) < 3:
        return None
    before, level = (median(v) for v in near)
    fell, gained = before - level, train.start_cost - level
    if fell < view["still_fell"] * gained or fell < 3 * train.sigma or level - train.end_cost > 0.2 * fell:
        return None
    evidence = say(
        f"The {label(train)} fell from {{before:.4g}} to {{level:.4g}} in the quarter of the way before the rate was down to {{limit:.2g}} (peak "
        f"{{peak:.3g}}) at {unit(lr)} {{step:,}}, {{share:.0%}} of the run, and ends at {{end:.4g}}.",
        (lr, train),
        before=before,
        level=level,
        limit=view["stopped"] * plan.peak,
        peak=plan.peak,
        step=int(low),
        share=4 * quarter / max(float(lr.step[-1] - lr.step[0]), 1.0),
        end=train.end,
    )
    return evidence, found[1], fell / (view["still_fell"] * gained)


def _below(lr: CurveFacts, plan: Schedule, level: float, latest: float) -> Fault | None:
    """A learning rate that stays below `level` of its peak from a share of the run before `latest` on."""
    low = lr.value < (1 - 1e-3) * level * plan.peak  # three steps by ten come to the limit, but for rounding
    alive = np.flatnonzero(~low)
    begin = int(alive[-1]) + 1
    if begin >= lr.n or plan.zero_share > 0.2 or plan.cyclic:
        return None
    span = max(float(lr.step[-1] - lr.step[0]), 1.0)
    share = float(lr.step[begin] - lr.step[0]) / span
    if share > latest or lr.n - begin < 5:
        return None
    evidence = say(
        f"The learning rate falls below {{limit:.2g}} (peak {{peak:.3g}}) by {unit(lr)} {{step:,}}, {{share:.0%}} of the run.",
        (lr,),
        limit=level * plan.peak,
        peak=plan.peak,
        step=int(lr.step[begin]),
        share=share,
    )
    # Where it began to fall is where the mistake begins, if that was at once.
    first = lr.step[0] if share < 0.15 else lr.step[begin - 1]
    return evidence, Interval(int(first), int(lr.step[begin])), latest / max(share, 0.05)


def jumped(view: View, lr: CurveFacts, plan: Schedule) -> Fault | None:
    train = view.curve("train_reward") if view.signals.domain is Domain.REINFORCEMENT else view.curve("train_loss")
    if plan.cyclic or plan.adaptive or train is None or train.n < 10 or train.signal.axis is not lr.signal.axis:
        return None
    span = max(float(lr.step[-1] - lr.step[0]), 1.0)
    for i in plan.jumps:
        before, after = float(lr.value[i]), float(lr.value[i + 1])
        if after < view["jump"] * before or float(lr.step[i + 1] - lr.step[0]) < 0.1 * span:
            continue
        left = train.cost[train.step <= lr.step[i]][-20:]
        # A rate that is back at the next point has thrown what follows at once: later points only show the recovery.
        single = i + 2 < lr.n and float(lr.value[i + 2]) < 0.5 * after
        right = train.cost[train.step >= lr.step[i + 1]][: 5 if single else 20]
        few = train.n < 20 and left.size >= 4 and _all_above(left[-4:], right, 3)
        # Beyond any rate before it no restart is meant.
        beyond = after > 2 * float(lr.value[: i + 1].max())
        # A loss that still falls, or is thrown up for a few points only, is told by the points next to the jump.
        near = beyond and left.size >= 4 and _all_above(left[-4:], right, 2)
        if after > view["far"] * float(lr.value[: i + 1].max()) and (thrown := _throws_validation(view, lr, i)) is not None:
            return thrown
        if left.size < 8 and not (few or near):
            continue
        said = f"At {unit(lr)} {{step:,}} the learning rate jumps from {{before:.3g}} to {{after:.3g}}, and the {label(train)} "
        numbers = {"step": int(lr.step[i + 1]), "before": before, "after": after}
        onset = Interval(int(lr.step[i]), int(lr.step[i + 1]))
        lost = _lost_after(train, lr.step[i + 1])
        if lost is not None:
            return say(said + "is NaN or infinite from {lost:,} on.", (lr, train), **numbers, lost=lost), onset, 4.0
        if right.size < 3:
            continue
        sigma = max(estimate_noise(left).sigma, 1e-12)
        # Against the better half of what was before, at its worst within the next points.
        level = median(left[-4:] if near else left)
        rise = max(float(np.quantile(right, 0.75)), float(np.mean(right[:2])) if near else -np.inf) - level
        # A fifth of the level; or a third of what had been gained, where the run never gets it back (a warm restart does).
        lost_gain = rise > (train.start_cost - level) / 3 > 0 and train.end_cost > level + 3 * sigma
        # There twenty points against twenty tell what single points hide in their noise.
        lasts = beyond and (few or (right.size >= 10 and _outlasts(train.cost[train.step <= lr.step[i]], right)))
        if (rise < view["near_sigmas" if near else "jump_sigmas"] * sigma and not lasts) or (
            rise < view["jump_harm"] * abs(level) and not lost_gain
        ):
            continue
        evidence = say(said + ("rises" if train.sign > 0 else "falls") + " by {rise:.3g}.", (lr, train), **numbers, rise=rise)
        return evidence, onset, rise / (view["jump_sigmas"] * sigma)
    return None


def _throws_validation(view: View, lr: CurveFacts, i: int) -> Fault | None:
    """Whether the evaluation after a jump of the rate lies at several times the worst before it, which the batches may not show."""
    val = view.curve("val_loss")
    if val is None or val.signed or val.signal.axis is not lr.signal.axis:
        return None
    left, right = val.cost[val.step <= lr.step[i]][-4:], val.cost[val.step > lr.step[i]][:2]
    if left.size < 2 or not right.size or float(right.max()) < view["evaluation"] * float(left.max()):
        return None
    text = f"At {unit(lr)} {{step:,}} the learning rate jumps from {{before:.3g}} to {{after:.3g}}, and the {label(val)} from {{usual:.4g}} to {{peak:.4g}}."
    numbers = {"step": int(lr.step[i + 1]), "before": float(lr.value[i]), "after": float(lr.value[i + 1])}
    found = say(text, (lr, val), **numbers, usual=float(left[-1]), peak=float(right.max()))
    return found, Interval(int(lr.step[i]), int(lr.step[i + 1])), 2.0


def _all_above(left: Float64, right: Float64, points: int) -> bool:
    """Whether the next losses lie above the last four: two of them by chance once in 15 times, three once in 35."""
    return right.size >= 3 and float(right[:points].min()) > float(left.max())


def _outlasts(before: Float64, right: Float64) -> bool:
    """Whether the medians of the last twenty points and of those after differ by four standard errors (of a median: 1.25 sd / sqrt(n))."""
    left, sigma = before[-20:], estimate_noise(before[-60:]).sigma
    return bool(median(right) - median(left) > 4 * 1.25 * sigma * np.sqrt(1 / left.size + 1 / right.size))


def cold_start(view: View, lr: CurveFacts, plan: Schedule) -> Fault | None:
    """A loss that the full rate of the first steps threw far above its start, for more than a tenth of the run."""
    train = view.curve("train_loss") if view.signals.domain is not Domain.REINFORCEMENT else None  # its losses have no direction
    if train is None or train.n < 40 or float(lr.value[0]) < 0.9 * plan.peak or train.signal.axis is not lr.signal.axis:
        return None
    first, smooth = float(train.cost[0]), train.smooth
    early = train.between(0.0, 0.1)
    if int(np.count_nonzero(smooth[early] > first + view["thrown"] * abs(first))) < 3:
        return None
    above = smooth > first + max(view["thrown"] * abs(first), 8 * train.sigma)
    back = np.flatnonzero(smooth[int(np.argmax(smooth[early])) :] <= first)
    if int(np.sum(above[early])) < 3 or not back.size or train.end_cost > first:
        return None  # never thrown, or never back: then divergence or instability tell it
    begin, end = int(np.argmax(above)), int(np.argmax(smooth[early])) + int(back[0])
    share = float(train.step[end] - train.step[0]) / max(float(train.step[-1] - train.step[0]), 1.0)
    if share < view["cold_share"]:
        return None
    evidence = say(
        f"At the full rate of {{rate:.3g}} from the first point on, the {label(train)} rose from {{first:.4g}} to {{top:.4g}} and was back only at "
        f"{unit(train)} {{back:,}}, {{share:.0%}} of the run.",
        (lr, train),
        rate=float(lr.value[0]),
        first=first,
        top=float(smooth[early].max()),
        back=int(train.step[end]),
        share=share,
    )
    return evidence, Interval(int(train.step[max(begin - 1, 0)]), int(train.step[begin])), share / view["cold_share"]


def _lost_after(train: CurveFacts, jump: int) -> int | None:
    """Step from which the loss is non-finite for good, if it was finite up to a jump and broke within the next twenty points."""
    if not train.bad_step.size or train.bad_step[0] < jump or train.step[-1] > train.bad_step[0]:
        return None
    return int(train.bad_step[0]) if int(np.sum(train.step >= jump)) < 20 else None


def never_decays(view: View, lr: CurveFacts, plan: Schedule) -> Fault | None:
    """A constant rate beside losses that stand restless, at a level that leaves much: lower rates may find what lies below their bouncing."""
    train, val = view.curve("train_loss"), view.curve("val_loss")
    if train is None or train.n < 20 or not plan.constant or view.signals.domain not in SUPERVISED or train.end_cost <= 0:
        return None
    optimizer = str(view.signals.config.get("optimizer", "")).lower()
    restless = train.sigma / train.end_cost
    # What never learned, or began good, stands for other reasons.
    if restless < view["restless"] or share_gained(train) < 0.2 or any(name in optimizer for name in SELF_TUNING):
        return None
    metric = view.curve("val_metric") or view.curve("train_metric")
    quality, rest = end_quality(metric, view.features, 2), rest_of_loss(train, view.features, train.end)
    good = quality >= view["good"] if quality is not None else (rest or 0.0) < 1 - view["good"]
    # Objectives that draw their own difficulty, as those of diffusion, scatter by nature: held-out data tell that the level stands.
    if good or rest is None or rest < 0.1 or (metric is None and val is None):
        return None
    since, share = flat_part(train)
    # Few evaluations tell later that they stand.
    if (
        share < view["stands"]
        or (val is not None and val.n >= 8 and flat_part(val)[1] < 0.6 * view["stands"])
        or train.rise > 4 * train.sigma
    ):
        return None
    step = int(train.trace.last_step[since])
    evidence = say(
        f"The learning rate is {{rate:.3g}} throughout, and since {unit(train)} {{since:,}} ({{share:.0%}} of the run) the {label(train)} bounces about "
        "{end:.4g} by {restless:.0%} from point to point.",
        (lr, train),
        rate=float(lr.value[-1]),
        since=step,
        share=share,
        end=train.end,
        restless=restless,
    )
    return evidence, Interval(int(train.trace.last_step[max(since - 1, 0)]), step), restless / view["restless"]
