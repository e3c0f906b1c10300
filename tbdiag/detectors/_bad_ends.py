"""Whether the ends of both splits are bad, as `underfitting` asks: against guessing, against the mean, against what few answers leave to chance."""

from __future__ import annotations

import re
from math import log

import numpy as np

from tbdiag.detectors._base import Evidence, View
from tbdiag.detectors._words import label, say, tell_left
from tbdiag.features import CurveFacts
from tbdiag.features.levels import counts_words, end_quality, is_determination, loss_left, metric_level, rest_of_loss

_OVERLAP = re.compile(r"(^|[^a-z])(m?ap(\d|_|$|[^a-z])|average_precision|auprc|pr_auc|m?iou|jaccard|pq$)")


def judge_ends(view: View, train: CurveFacts, val: CurveFacts, gained: tuple[float, float]) -> tuple[list[float], list[Evidence], int]:
    """Margins, evidence and doubts of a bad level; no margins where the level may be good."""
    metric = view.curve("val_metric") or view.curve("train_metric")
    quality = end_quality(metric, view.features)
    left = loss_left(val, view.features, val.end)
    rest = rest_of_loss(val, view.features, val.end)
    words = counts_words(view.features)
    if left is not None and left > view["guessing"] and (quality is None or quality < view["quality"]):
        return (
            [left / view["guessing"]],
            [tell_left(val, left, metric, quality)],
            int(words),
        )
    if metric is not None and quality is not None and rest is not None and not words:
        # Without the number of classes 0.4 may be good; then nearly all of the loss must be left. To answer with the mean is an R2 of 0.
        known = left is not None or (is_determination(metric) and quality < view["surely"]) or has_few_answers(view, train, val, quality)
        if quality >= view["quality"] or rest <= (view["left"] if known else view["left_unknown"]):
            return [], [], 0
        return (
            [view["quality"] / max(quality, 0.05), rest / view["left"]],
            [
                say(
                    f"The {label(metric)} ended at {{value:.4g}}, {{quality:.0%}} of the way from guessing to perfect.",
                    (metric,),
                    value=metric.end,
                    quality=quality,
                )
            ],
            0,
        )
    if lost_again(train, val):
        return (
            [1.5],
            [
                say(
                    "It had been better in between: {best:.4g} in training, but the run ends no better than it began.",
                    (train, val),
                    best=train.best,
                )
            ],
            1,
        )
    few = max(train.n, val.n) < 6  # with more points a healthy model of text or clicks looks the same
    if few and metric is None and left is None and not words and max(gained) < view["few_points_gain"] and min(gained) > view["learned"]:
        share = max(gained)
        return (
            [view["few_points_gain"] / share],
            [say("In all they gained no more than {share:.0%} of their start.", (train, val), share=share)],
            2,
        )
    return [], [], 0


def has_few_answers(view: View, train: CurveFacts, val: CurveFacts, quality: float) -> bool:
    """Whether a mediocre level is a bad one: few answers are possible, and both splits keep most of what they began with.

    Sources of many symbols (characters, moves, notes) leave as much to chance, and healthy models of them end at 0.35 to 0.45 of the
    way; their loss is that of five or more equally likely answers. Average precisions and overlaps are that low where models are good.
    """
    metric = view.curve("val_metric") or view.curve("train_metric")
    if metric is None or is_determination(metric) or _OVERLAP.search(metric.signal.stem.lower()) or counts_words(view.features):
        return False
    level = metric_level(metric, view.features)
    if view.signals.chance is None and (level is None or level.quality(metric.first) > view["untrained"]):
        return False  # the first loss is none of guessing: a log that begins after an epoch
    rests = [rest_of_loss(c, view.features, c.end) for c in (train, val)]
    kept = all(r is not None and r > view["kept"] for r in rests)
    # A loss that began above that of a few answers had more to choose from, however few it needs now.
    kept = kept and max(float(c.value[0]) for c in (train, val)) < view["begun"] * log(5)
    return kept and quality < view["mediocre"] and view["sparse"] < val.end < log(5)


def lost_again(train: CurveFacts, val: CurveFacts) -> bool:
    """Whether validation had improved clearly, lost it again, and stands there: neither split ends better than it began."""
    if min(train.n, val.n) < 10 or train.end_cost < 0.97 * train.start_cost:
        return False
    trace = val.trace
    start = float(trace.cost[0])
    best = float(trace.smooth.min()) if trace.n >= 30 else float(trace.cost.min())
    tail = trace.cost[trace.within(0.6, 1.0)]
    stands = float(np.median(tail[-3:])) - float(np.median(tail[:3]))
    return (
        start > 0
        and val.end_cost >= 0.97 * start
        and val.end_cost < 1.5 * start
        and start - best > max(0.05 * start, 4 * trace.noise.sigma)
        and abs(stands) < 0.05 * start
    )


def below_the_mean(view: View) -> list[Evidence]:
    """Evidence that no evaluation explained a twentieth of the variance (R2) of either split: the mean of the targets does as well."""
    val, train = view.curve("val_metric"), view.curve("train_metric")
    if val is None or val.n < 4 or any(c is not None and not is_determination(c) for c in (val, train)):
        return []
    if val.best > view["explained"] or (train is not None and train.end > view["explained_in_training"]):
        return []
    return [
        say(
            f"The {label(val)} was {{best:.3g}} at best and {{end:.3g}} at the end; to answer with the mean gives 0.",
            (val,),
            best=val.best,
            end=val.end,
        )
    ]
