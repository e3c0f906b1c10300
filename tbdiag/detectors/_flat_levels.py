"""The flat part of a loss and whether its level is bad: too little of the way from guessing, weights that stand still, nothing ever gained."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import Evidence, NotApplicable, View
from tbdiag.detectors._flatness import (
    climbs,
    flat_part,
    longest_flat_part,
    share_gained,
    stands_half_way,
    stands_since_first,
    stays_where_it_was,
    stopped_early,
)
from tbdiag.detectors._standstill import annealed_late, crawls, stopped_moving
from tbdiag.detectors._words import label, say, say_left, schedule
from tbdiag.features import CurveFacts
from tbdiag.features.levels import counts_words, end_quality, loss_left, rest_of_loss
from tbdiag.features.onsets import swings_about
from tbdiag.features.schedule import decayed_by
from tbdiag.model import Domain

Flat = tuple[int, float, str, list[float], list[Evidence]]
"""Block at which it begins, share of the run, reason, margins over thresholds, evidence."""


def find_flat(view: View, curve: CurveFacts, train: CurveFacts, metric: CurveFacts | None, learned: float) -> Flat | NotApplicable | None:
    """The flat part of a curve whose level is bad."""
    val = view.curve("val_loss")
    stopped = (stopped_early(curve) and stopped_early(train)) or (
        curve is not train and stands_since_first(curve, train, view["since_first"])
    )
    crawl = None if annealed_late(view) else crawls(view, curve, train, metric)
    stopped = stopped or crawl is not None
    if (not stopped and longest_flat_part(curve, train) < view["share"]) or not (crawl or may_be_bad(view, curve, train, metric)):
        return None
    since, share = flat_part(curve, learned)
    # Both splits must stand still; a training loss that goes on falling is overfitting or a generalisation gap.
    if stopped:
        since, share = min(since, curve.trace.within(0.0, 0.2).stop - 1), max(share, 0.8)
    if share < view["share"] or (
        curve is val and train.n >= 8 and flat_part(train)[1] < 0.5 * view["share"] and not (stopped or stopped_early(train))
    ):
        return None
    if (end_quality(view.curve("train_metric"), view.features, 2) or 0.0) >= view["trained"]:
        return None  # training has nothing left to learn; what is missing in validation is a gap
    end = curve.end_cost
    only_val = curve is val and val.best_index <= max(1, val.n // 20) and share_gained(train) > 0.5
    if only_val or max(share_gained(curve), share_gained(train)) < 0.03:
        return None  # only validation stands, where it began, a generalisation gap; or nothing was ever learned
    if swings_about(curve, since, learned):
        return None  # it stands nowhere
    if curve.trace.noise.quantum > max(0.1 * abs(end), 0.02 * curve.gain):
        return NotApplicable("the loss is rounded so coarsely that it may have gone on falling")
    if curve.rise > max(0.1 * curve.gain, 0.02 * abs(curve.best)) and curve.beyond_noise(curve.rise, 4):
        return None
    reason, margins, evidence = bad_level(view, curve, train, metric, since=since, share=share)
    if not reason and crawl is not None:
        reason, margins, evidence = "frozen", [1.5], [crawl]
    return (since, share, reason, margins, evidence) if reason else None


def may_be_bad(view: View, curve: CurveFacts, train: CurveFacts, metric: CurveFacts | None) -> bool:
    """False where a metric that is good leaves none of the reasons of `bad_level`; most healthy runs end here, at little cost."""
    quality = end_quality(metric, view.features, 2)
    if quality is None or quality < view["half_way"]:
        return True
    spent, last = view.curve("lr"), curve.trace.cost[-4:]
    if spent is not None and quality < 0.9 and decayed_by(spent, view["spent_by"], view["spent"]):
        return True
    still = quality < 0.97 and float(np.ptp(last)) <= view["frozen"] * abs(float(last[-1]))
    return still and curve is not train and not annealed_late(view)


def bad_level(
    view: View, curve: CurveFacts, train: CurveFacts, metric: CurveFacts | None, *, since: int, share: float
) -> tuple[str, list[float], list[Evidence]]:
    """Why the level is not good: ``level``, ``frozen`` or ``no-reference`` with margins and evidence; empty where it may be good."""
    left = loss_left(curve, view.features, curve.end)
    quality = end_quality(metric, view.features, 2)
    words = counts_words(view.features)
    rest = rest_of_loss(curve, view.features, curve.end)
    known = left is not None or (rest or 0) > 0.8
    if (
        metric is not None
        and quality is not None
        and quality < view["quality"]
        and rest is not None
        and rest > view["left"]
        and known
        and not words
    ):
        return (
            "level",
            [view["quality"] / max(quality, 0.05), rest / view["left"]],
            [
                say(
                    f"The {label(metric)} is {{value:.4g}}, {{quality:.0%}} of the way from guessing to perfect; {say_left(rest, 'rest')}.",
                    (metric,),
                    value=metric.end,
                    quality=quality,
                    rest=rest,
                )
            ],
        )
    if left is not None and left > view["guessing"] and (quality is None or quality < view["quality"]):
        return "level", [left / view["guessing"]], [say(f"At the end {say_left(left, 'left')}.", (curve,), left=left)]
    spent = view.curve("lr")
    frozen = None if annealed_late(view) else stopped_moving(view, curve, train, since)
    # A schedule brings a good run to a stand as well; much of the loss must be left.
    much = rest is None or rest > view["much"]
    if frozen is not None and (quality is None or quality < 0.97) and much and curve.end_cost > 0:
        return "frozen", [2.0], [frozen]
    if spent is not None and decayed_by(spent, view["spent_by"], view["spent"]) and (quality is None or quality < 0.9) and much:
        last = float(spent.value[-1])
        return (
            "frozen",
            [1.0],
            [say("The learning rate was down to {last:.3g} by then, from {peak:.3g}.", (spent,), last=last, peak=float(spent.value.max()))],
        )
    plan = schedule(view)
    if metric is not None and quality is not None and quality < view["quality"] and (plan is None or plan.end > 0.5 * plan.peak):
        stands = stays_where_it_was(metric, view["share"])
        if stands and (rest is None or rest > view["left"]) and share > 0.6:
            return "level", [view["quality"] / max(quality, 0.05)], [stands]
    kept = plan is None or (plan.end > 0.5 * plan.peak and not plan.cyclic)
    # An area under a curve ranks what may be chance itself: good models of clicks, loans and illnesses stand at 0.75 to 0.85.
    ranks = metric is not None and "auc" in metric.signal.stem.lower()
    half = (
        metric is not None and quality is not None and quality < view["quality" if ranks else "half_way"] and kept and share >= view["long"]
    )
    if half and metric is not None and rest is not None and stands_half_way(train, rest, view["left"]):
        text = f"The {label(metric)} is {{value:.4g}}, {{quality:.0%}} of the way from guessing to perfect; neither split gains, and {say_left(rest, 'rest')}."
        found = say(text, (metric,), value=metric.end, quality=quality or 0.0, rest=rest)
        return "level", [share / view["long"], rest / view["left"]], [found]
    total, train_total = share_gained(curve), share_gained(train)
    # A fine-tuning gains as little and stands as long; that the learning rate was kept up all the while tells them apart, or a gain beyond theirs.
    kept_up = plan is not None and plan.end > 0.5 * plan.peak and not plan.cyclic
    ends = (rest, rest_of_loss(train, view.features, train.end))
    unreached = (quality is None or quality < view["quality"]) and all(r is not None and r > view["left"] for r in ends)
    own_work = not words and view.signals.domain is Domain.SUPERVISED and (kept_up or (plan is None and train_total > view["tuned"]))
    if unreached and own_work and curve is not train and stands_since_first(curve, train, view["since_first"]):
        text = f"In {{n}} evaluations the {label(curve)} hardly left the level of its first ones, {{first:.4g}}, while {{rest:.0%}} of the loss that training began with remains."
        found = say(text, (curve, train), n=curve.n, first=curve.first, rest=rest or 0.0)
        return "no-reference", [(rest or 0.0) / view["left"], 1.5], [found]
    gained_little = total < view["gained"] and 0.03 < train_total < view["train_gained"]
    if quality is None and left is None and not words and kept_up and share > 0.6 and gained_little:
        return (
            "no-reference",
            [view["gained"] / max(total, 0.01)],
            [
                say(
                    f"In all the {label(train)} gained {{train_gain:.0%}} of its start"
                    + (f" and the {label(curve)} {{gain:.0%}}." if curve is not train else "."),
                    (train,),
                    train_gain=train_total,
                    **({"gain": total} if curve is not train else {}),
                )
            ],
        )
    return "", [], []


def moved_on(view: View, train: CurveFacts) -> bool:
    """Whether a loss that gains nothing beyond the noise of the whole run moved after all: a metric says so, or its own calm end.

    An explosion that came back makes the noise of the whole run larger than all that was gained; the last quarter has its own.
    """
    if any(m is not None and m.n >= 8 and climbs(m) for m in map(view.curve, ("train_metric", "val_metric"))):
        return True
    late = train.trace.cost[train.trace.n * 3 // 4 :]
    gain = train.start_cost - train.end_cost
    return late.size >= 8 and gain > max(0.2 * abs(train.start_cost), 4 * float(np.std(late)))
