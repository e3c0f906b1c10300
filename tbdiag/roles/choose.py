"""Choosing the one series that stands for a role: the train loss, the validation loss, the main metric, the learning rate."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from tbdiag.model import Direction, Role, Run, Scale, Series, Split
from tbdiag.roles.layers import natural_key
from tbdiag.roles.plan import Draft
from tbdiag.roles.words import tokenize

GROUPS = frozenset(
    {
        Role.LOSS_COMPONENT,
        Role.LAYER_GRAD_NORM,
        Role.LAYER_WEIGHT_NORM,
        Role.PREDICTION_SHARE,
        Role.LABEL_SHARE,
        Role.PREDICTION_STAT,
        Role.CLASS_METRIC,
        Role.SAMPLE_LOSS,
        Role.ACTIVATION_STAT,
        Role.DISCRIMINATOR_SCORE,
        Role.COUNTER,
        Role.UNKNOWN,
        Role.IGNORED,
    }
)
"""Roles that several series play together: none of them stands for the others."""

METRIC_ORDER = [
    "balanced_accuracy",
    "accuracy",
    "hit_rate",
    "mean_iou",
    "miou",
    "map50_95",
    "map_50_95",
    "map",
    "ap",
    "hota",
    "pq",
    "dice",
    "mdice",
    "f1",
    "macro_f1",
    "f1_macro",
    "auc",
    "auroc",
    "bleu",
    "sacrebleu",
    "chrf",
    "rougel",
    "rouge",
    "wer",
    "cer",
    "r2",
    "mae",
    "rmse",
    "mse",
    "perplexity",
    "bits",
    "psnr",
    "ssim",
    "fid",
    "exact_match",
    "ndcg",
    "mrr",
    "success_rate",
    "error",
    "error_rate",
    "top5_accuracy",
    "map50",
    "ap50",
    "iou",
    "precision",
    "recall",
]
"""Metrics that say most about a model first; what is not listed comes after them."""

NEVER_A_NUMBER = "never a number, although the loss is"
"""Why a metric is set aside whose every value is NaN or infinite; its name still tells what was measured."""


def settle_unusable(drafts: list[Draft], run: Run, forced: Collection[str] = ()) -> None:
    """Set aside what no curve can be read from: a metric that was never a number, the single point that ``add_hparams`` repeats, the batches of an evaluation."""
    curves = [d for d in drafts if d.role in {Role.LOSS, Role.METRIC} and d.name in run.series and len(run.series[d.name]) > 1]
    tags = {(d.subrun, d.tag) for d in drafts if not d.histogram and d.name in run.series}
    lives = any(d.role is Role.LOSS and np.isfinite(run.series[d.name].value).any() for d in curves)
    for d in drafts:
        series = run.series.get(d.name)
        if d.role not in {Role.METRIC, Role.LOSS} or d.name in forced or not curves or series is None or not len(series):
            continue
        if d.role is Role.METRIC and lives and len(series) > 1 and not np.isfinite(series.value).any():
            d.role, d.why = Role.IGNORED, f"{d.why}; {NEVER_A_NUMBER}"
        elif len(series) == 1 and (_STUB.search(d.subrun) or d.tag.startswith("hparam/")):
            d.role, d.why = Role.IGNORED, f"{d.why}; the single point that add_hparams repeats"
        elif d.split in {Split.VAL, Split.TEST} and d.tag.endswith("_step") and (d.subrun, f"{d.tag[:-5]}_epoch") in tags:
            d.role, d.why = Role.IGNORED, f"{d.why}; batches of the evaluations of which {d.tag[:-5]}_epoch is the mean"


_STUB = re.compile(r"(^|/)\d{9,}(\.\d+)?$")
"""Directory that ``add_hparams`` makes: named like the second in which it was written."""


def settle_adversaries(drafts: list[Draft], forced: Collection[str] = ()) -> None:
    """The accuracy of a domain classifier that the features are trained against is no quality of the model: they are to hide the domain.

    A model may as well be asked for the domain (of an utterance); only what is named after an adversary elsewhere in the run tells the two apart.
    """
    if not any(_AGAINST.search(d.tag) for d in drafts):
        return
    for d in drafts:
        named = set(d.extra) <= _DOMAIN_WORDS and "domain" in d.extra
        if d.role is Role.METRIC and d.stem.startswith(("accuracy", "f1", "auc")) and named and d.name not in forced:
            d.role, d.direction, d.why = Role.UNKNOWN, Direction.NONE, f"{d.why}, of the domain that training is to hide"


_AGAINST = re.compile(
    r"(?<![a-z])(adv|adversarial|adversary|grl|dann|cdan|grad(ient)?_?reversal|reversal|lambda_?(adv|domain|grl))(?![a-z])",
    re.IGNORECASE,
)
_DOMAIN_WORDS = frozenset({"domain", "classifier", "clf", "disc", "discriminator", "critic"})


def settle_splits(drafts: list[Draft], run: Run) -> None:
    """Give losses and metrics without a split word the split that the rest of the run implies."""
    losses = sorted((d for d in drafts if d.role in {Role.LOSS, Role.LOSS_COMPONENT}), key=lambda d: d.role is not Role.LOSS)
    train = next((d for d in losses if d.split is Split.TRAIN), None) or next((d for d in losses if d.split is Split.NONE), None)
    val = next((d for d in losses if d.split is Split.VAL), None)
    order = ((val, Split.VAL), (train, Split.TRAIN))
    if train is not None and train.split is Split.NONE:  # loss, acc, val_loss: what has no split word belongs together
        order = order[::-1]
    known = {(d.role, d.stem, d.split) for d in drafts}
    for d in drafts:
        if d.split is not Split.NONE or d.histogram:
            continue
        if d.role is Role.LOSS and val is None and d is not train and _is_evaluated(d, train, drafts, run):
            d.split = Split.VAL
            d.why += ", validation because it is logged with the metrics, and more rarely than the training loss"
        elif d.role in {Role.LOSS, Role.LOSS_COMPONENT}:
            d.split = Split.TRAIN
            d.why += ", train because no split is named"
        elif d.role in {Role.METRIC, Role.CLASS_METRIC, Role.CALIBRATION_ERROR}:
            d.split, clause = _metric_split(d, run, order, known)
            d.why += clause
        elif d.role in {Role.REWARD, Role.PREFERENCE_ACCURACY, Role.REWARD_MARGIN}:
            d.split = Split.TRAIN
            d.why += (
                ", of the training rollouts because no split is named" if d.role is Role.REWARD else ", train because no split is named"
            )
    if not any(d.split is Split.VAL and d.role in {Role.LOSS, Role.METRIC, Role.LOSS_COMPONENT, Role.REWARD} for d in drafts):
        for d in drafts:
            if d.split is Split.TEST and d.role is not Role.UNKNOWN:
                d.split = Split.VAL
                d.why += "; the test series stand for validation, which was not logged"


def _is_evaluated(d: Draft, train: Draft | None, drafts: list[Draft], run: Run) -> bool:
    """Whether a loss without a split stands at the steps of a metric, and a denser loss beside it at others (MMEngine logs so)."""
    if train is None or d.name not in run.series or train.name not in run.series:
        return False
    own = run.series[d.name].step
    if any(
        o.role is Role.LOSS and o.split is Split.TEST and o.name in run.series and np.array_equal(run.series[o.name].step, own)
        for o in drafts
    ):
        return False  # the metrics are those of the test set beside it: this is training's mean over the same epochs
    metrics = (m for m in drafts if m.role is Role.METRIC and m.split is not Split.TRAIN and m.name in run.series)
    return (
        own.size >= 3 and 2 * own.size <= len(run.series[train.name]) and any(np.array_equal(run.series[m.name].step, own) for m in metrics)
    )


def _metric_split(
    d: Draft, run: Run, order: tuple[tuple[Draft | None, Split], ...], known: set[tuple[Role, str, Split]]
) -> tuple[Split, str]:
    if (d.role, d.stem, Split.VAL) in known:
        return Split.TRAIN, ", train because it has a validation twin"
    if (d.role, d.stem, Split.TRAIN) in known:
        return Split.VAL, ", validation because it has a train twin"
    held_out = d.role is Role.METRIC and bool(_HELD_OUT.match(d.stem) or not _PROBES.isdisjoint(d.extra))
    if held_out and not any(role is d.role and split is Split.VAL for role, _, split in known):
        return Split.VAL, ", validation because it is taken on held-out data"
    own = run.series[d.name].step
    for other, split in order:
        if other is not None and other.name in run.series and np.array_equal(run.series[other.name].step, own):
            return split, f", {split.value} because it has the steps of {other.name}"
    if d.role is Role.CLASS_METRIC:
        return Split.VAL, ", validation because metrics of classes are taken there"
    losses = {split: loss for loss, split in order}
    train, val = losses[Split.TRAIN], losses[Split.VAL]
    if train is not None and train.name in run.series and 2 * own.size <= len(run.series[train.name]):
        return Split.VAL, ", validation because it is logged more rarely than the train loss"
    if val is not None:
        return Split.VAL, ", validation because a validation loss is logged and no split is named"
    return Split.TRAIN, ", train because no split is named"


_HELD_OUT = re.compile(
    r"(sacre)?bleu|rouge|meteor|cider|spice|chrf|[wc]er$|map($|_|\d)|ndcg|mrr|hits|hit_ratio|hr_|rank(1|5|10)$|minp|medr|fid|hota|mota|idf1"
)
"""Measures of ranked, generated, detected or tracked things: where their tags name no split, public scripts take them on held-out data (69 of 70 tags)."""
_PROBES = frozenset({"knn", "probe", "lfw", "nn"})
"""Beside an accuracy: a test of the features on data that they were not trained on."""


def settle_scales(drafts: list[Draft], run: Run) -> None:
    """Percent or fraction, from the values: a metric bounded by 1 that passes 1.5 is in percent."""
    for d in drafts:
        stated = d.scale is not Scale.UNKNOWN and not (d.scale is Scale.PERCENT and d.role is Role.METRIC)
        if stated or d.histogram or d.role not in _BOUNDED or d.name not in run.series:
            continue
        if d.role is Role.METRIC and not any(d.stem.startswith(s) for s in _SHARES):
            continue
        value = run.series[d.name].value
        finite = value[np.isfinite(value)]
        if finite.size:
            top = float(np.max(np.abs(finite)))
            d.scale = (
                Scale.PERCENT if 1.5 < top <= 100.5 else Scale.FRACTION if top <= 1.5 else Scale.UNKNOWN
            )  # also where a framework says per cent


_BOUNDED = frozenset(
    {
        Role.METRIC,
        Role.CLASS_METRIC,
        Role.CONFIDENCE,
        Role.PREDICTION_SHARE,
        Role.LABEL_SHARE,
        Role.BASELINE,
        Role.CLIP_FRACTION,
        Role.POLICY_CLIP_FRACTION,
        Role.PREFERENCE_ACCURACY,
        Role.ACTIVATION_STAT,
    }
)
_SHARES = (
    "accuracy",
    "top5",
    "f1",
    "precision",
    "recall",
    "auc",
    "auroc",
    "map",
    "ap",
    "iou",
    "miou",
    "dice",
    "error",
    "balanced",
    "exact",
    "success",
    "sensitivity",
    "specificity",
    "macro",
    "micro",
    "wer",
    "cer",
)


def settle_counters(drafts: list[Draft], run: Run) -> None:
    """A series of unknown meaning whose values only ever grow by whole numbers counts something."""
    for d in drafts:
        if d.role is Role.GRAD_NORM and d.writer.nan_as == 0.0 and d.name in run.series and not np.any(run.series[d.name].value):
            d.role, d.why = Role.IGNORED, f"{d.why}; all zero: norms are measured only where gradients are clipped"
        if d.role is Role.EPOCH and d.name in run.series and _wavers(run.series[d.name].value):
            d.role, d.why = Role.UNKNOWN, f"{d.why}, but it goes up and down"
        if d.role is Role.UNKNOWN and d.name in run.series and tokenize(d.tag)[-1:] == ("ep",) and _counts(run.series[d.name].value):
            d.role, d.stem, d.why = Role.EPOCH, "epoch", '"ep", and its values only grow by whole numbers'
        if d.role in {Role.UNKNOWN, Role.STEP_TIME} and not d.histogram and d.name in run.series:
            value = run.series[d.name].value
            if value.size >= 5 and np.all(np.isfinite(value)) and np.all(np.diff(value) > 0) and np.all(value == np.round(value)):
                d.role, d.why = Role.COUNTER, "whole numbers that only grow"
            elif d.role is Role.STEP_TIME and d.why != "set by the user" and _is_clock(d, run.series[d.name]):
                d.role, d.direction, d.why = Role.COUNTER, Direction.NONE, f"{d.why}, which goes on from point to point as a clock does"


_CLOCK_WORDS = frozenset({"total", "elapsed", "cumulative", "cum", "since"})
"""Words of a time that is counted from the start: ``Timing/total_sec`` beside ``Timing/sec_per_tick``."""
_UNITS = (1.0, 1e3, 1 / 60, 1 / 3600, 1 / 86400)
"""Seconds, milliseconds, minutes, hours and days in a second."""


def _is_clock(d: Draft, series: Series) -> bool:
    """Whether times never go back and either are called a total, or grow as the clock of the log does (within a tenth, in any unit)."""
    value, wall = series.value.astype(np.float64), series.wall_time
    if value.size < 8 or not np.all(np.isfinite(value)) or np.any(np.diff(value) < 0) or value[-1] <= value[0]:
        return False
    if not _CLOCK_WORDS.isdisjoint(tokenize(d.tag)):
        return True
    if not np.all(np.isfinite(wall)) or wall[-1] <= wall[0]:
        return False
    pace = float(value[-1] - value[0]) / float(wall[-1] - wall[0])
    apart = np.abs(value - value[0] - pace * (wall - wall[0]))
    return min(abs(pace / u - 1) for u in _UNITS) < 0.1 and float(apart.max()) < 0.1 * float(value[-1] - value[0])


def _counts(value: npt.NDArray[np.floating]) -> bool:
    """Whether whole numbers stay or go on by one."""
    return (
        value.size > 2
        and bool(np.all(np.isin(np.diff(value), (0, 1))))
        and float(value[0]) in (0, 1)
        and float(value[-1]) > float(value[0])
    )


def _wavers(value: npt.NDArray[np.floating]) -> bool:
    """Whether more than a quarter of the steps lead down, which no count of epochs does."""
    return value.size > 4 and int(np.count_nonzero(value[1:] < value[:-1])) > 0.25 * value.size


def choose_mains(drafts: list[Draft], series: Mapping[str, Series], forced: frozenset[str]) -> None:
    """Mark one draft of each key as main."""
    groups: dict[tuple[Role, Split], list[Draft]] = {}
    spare: dict[tuple[Role, Split], list[Draft]] = {}
    for d in drafts:
        if d.histogram or d.role in GROUPS or d.name not in series or not len(series[d.name]) or d.layer is not None:
            continue
        split = d.split if d.role in _BY_SPLIT else Split.NONE
        (groups if d.preferred >= 0 else spare).setdefault((d.role, split), []).append(d)
    for key, rest in spare.items():
        # What is second choice beside others is all there is; a mean over the epoch rather than one that is still running.
        if key[0] is Role.LOSS and key not in groups:
            steady = [d for d in rest if not d.writer.running_mean]
            groups[key] = steady or rest
    val = groups.get((Role.METRIC, Split.VAL), [])
    stem = max(val, key=lambda d: _metric_rank(d, series)).stem if val else None
    for (role, split), found in groups.items():
        group = _in_order(found)
        if role is Role.METRIC:
            best = max(group, key=lambda d: (d.name in forced, d.stem == stem, *_metric_rank(d, series)))
        else:
            best = max(
                group, key=lambda d: (d.name in forced, d.preferred, _LATE.get(d.split, 0) if split is Split.NONE else 0, *_rank(d, series))
            )
        best.main = True


def _in_order(drafts: list[Draft]) -> list[Draft]:
    """As they were logged, but names that differ by a number only in the order of the number: of equals lr/pg0 stands for lr/pg1."""
    first: dict[str, int] = {}
    for i, d in enumerate(drafts):
        first.setdefault(_DIGITS.sub("", d.name), i)
    return sorted(drafts, key=lambda d: (first[_DIGITS.sub("", d.name)], natural_key(d.name)))


_LATE = {Split.TRAIN: 1, Split.VAL: -1, Split.TEST: -1}
"""Of a role that knows no splits (a rate, the loss of a generator) the training series stands first, an evaluation's last."""
_DIGITS = re.compile(r"\d+")
_BY_SPLIT = frozenset(
    {Role.LOSS, Role.METRIC, Role.CONFIDENCE, Role.CALIBRATION_ERROR, Role.REWARD, Role.PREFERENCE_ACCURACY, Role.REWARD_MARGIN}
)


_CLIPPED = frozenset({"clipped", "after", "post"})
"""Words of a gradient norm that was taken after clipping, which hides what clipping did."""


def _rank(d: Draft, series: Mapping[str, Series]) -> tuple[float, ...]:
    n = len(series[d.name])
    return (
        min(n, 2),
        d.rank,
        -len(d.extra),
        not d.writer.running_mean,
        n if d.role in {Role.LOSS, Role.GRAD_NORM, Role.LR, Role.REWARD} else 0,
        d.role is not Role.LOSS or not {"ctc", "nll", "ce", "mse"}.intersection(tokenize(d.tag)),  # epoch/loss before epoch/loss_ctc
    )


def _metric_rank(d: Draft, series: Mapping[str, Series]) -> tuple[float, ...]:
    stem = d.stem if not d.extra else d.stem.removesuffix("_" + "_".join(d.extra))
    order = METRIC_ORDER.index(stem) if stem in METRIC_ORDER else len(METRIC_ORDER)
    return (d.preferred, min(len(series[d.name]), 2), -len(d.extra), d.rank < 0 and -1, -order, len(series[d.name]))
