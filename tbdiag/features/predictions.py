"""What the model predicts: class shares, per-class metrics, accuracy as a fraction, confidence against accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tbdiag.features.curves import CurveFacts
from tbdiag.features.derived import derived
from tbdiag.features.series import make_signal, nan_reduce, overlay
from tbdiag.model import Direction, Role, Scale, Signal, Split
from tbdiag.roles.metrics import METRIC_NAMES, is_error_rate, is_named, is_other_accuracy

if TYPE_CHECKING:
    from tbdiag.features import Features


def named_metric(features: Features, kind: str, split: Split) -> CurveFacts | None:
    """The metric of a kind (see `roles.metrics`) on a split, the main metric first; None where none was logged."""
    fits = []
    for signal in features.signals.role(Role.METRIC, split):
        if signal.series is None or not len(signal.series) or signal.layer or signal.class_id:
            continue
        if is_named(kind, signal.stem, signal.series.tag):
            fits.append(signal)
    if not fits:
        return None
    best = max(fits, key=lambda s: (s.main, len(s.series) if s.series is not None else 0))
    curve = features.of(best)
    return curve if curve.n else None


def as_fraction(curve: CurveFacts) -> float:
    """Factor that turns a metric into a fraction: 0.01 for percentages, else 1."""
    if curve.signal.scale is Scale.PERCENT or (curve.signal.scale is Scale.UNKNOWN and curve.n and float(curve.value.max()) > 1.5):
        return 0.01
    return 1.0


def share_unit(*values: np.ndarray) -> float:
    """Factor that turns shares of unknown unit into fractions: 0.01 where any of them is above 1.5, as only percentages are; else 1."""
    return 0.01 if max(float(np.nanmax(v)) for v in values) > 1.5 else 1.0


def _fraction_signal(name: str, curve: CurveFacts | None, direction: Direction = Direction.HIGHER) -> Signal | None:
    if curve is None:
        return None
    value = curve.value * as_fraction(curve)
    return make_signal(
        name, curve.step, curve.wall_time, value, curve.name, role=Role.METRIC, split=curve.signal.split, direction=direction
    )


def _register(kind: str, split: Split) -> None:
    name = f"{split.value}_{kind}"

    @derived(name)
    def make(features: Features) -> Signal | None:
        found = named_metric(features, kind, split)
        if found is None and kind == "accuracy":
            found = (_accuracy_by_value(features) if split is Split.VAL else None) or _accuracy_of_something(features, split)
            return _fraction_signal(name, found) if found is not None else _accuracy_of_errors(features, name, split)
        return _fraction_signal(name, found)


def _accuracy_of_something(features: Features, split: Split) -> CurveFacts | None:
    """The main metric of a split where it is an accuracy with a word more: ``mean_fg_acc``, ``loss_viewpoint - acc``."""
    curve = features.curve(f"{split.value}_metric")
    if curve is None or not curve.n or not is_other_accuracy(curve.signal.stem):
        return None
    return curve


def _accuracy_of_errors(features: Features, name: str, split: Split) -> Signal | None:
    """One minus the error rate of a classifier, where only that was logged: classes are known, or how sure it is of its answers."""
    if not features.signals.classes and not features.group(Role.CONFIDENCE):
        return None
    for curve in features.group(Role.METRIC, split):
        signal = curve.signal
        if not curve.n or signal.layer or signal.class_id or signal.direction is not Direction.LOWER or not is_error_rate(signal.stem):
            continue
        rate = curve.value * as_fraction(curve)
        if float(rate.min()) >= 0 and float(rate.max()) <= 1:
            why = f"one minus {curve.name}"
            return make_signal(name, curve.step, curve.wall_time, 1 - rate, why, role=Role.METRIC, split=split, direction=Direction.HIGHER)
    return None


def _accuracy_by_value(features: Features) -> CurveFacts | None:
    """A main metric called just ``metric`` or ``score`` that lies between the recalls of the classes and well above their mean.

    Only accuracy, the mean weighted by the frequency of the classes, gets there: a macro F1 or a balanced accuracy does not.
    """
    metric = features.curve("val_metric")
    if metric is None or metric.signal.stem not in {"metric", "score"}:
        return None
    recalls = class_curves(features, Role.CLASS_METRIC, kind="recall")
    if len(recalls) < 2:
        return None
    ends = [curve.end * as_fraction(curve) for curve in recalls]
    return metric if float(np.mean(ends)) + 0.1 < metric.end * as_fraction(metric) <= max(ends) + 1e-6 else None


for _kind in METRIC_NAMES:
    for _split in (Split.TRAIN, Split.VAL):
        if (_kind, _split) != ("balanced_accuracy", Split.VAL):
            _register(_kind, _split)


@derived("val_balanced_accuracy")
def _balanced_accuracy(features: Features) -> Signal | None:
    """Logged balanced accuracy, else the mean of the logged class recalls."""
    logged = named_metric(features, "balanced_accuracy", Split.VAL)
    if logged is not None:
        return _fraction_signal("val_balanced_accuracy", logged)
    curves = class_curves(features, Role.CLASS_METRIC, kind="recall")
    if len(curves) < 2:
        return None
    step, wall, value = overlay(curves)
    full = ~np.isnan(value).any(axis=0)
    if not full.any():
        return None
    mean = value[:, full].mean(axis=0) * share_unit(value)
    return make_signal(
        "val_balanced_accuracy", step[full], wall[full], mean, f"mean of {len(curves)} class recalls", direction=Direction.HIGHER
    )


def class_curves(features: Features, role: Role, split: Split | None = None, kind: str = "") -> tuple[CurveFacts, ...]:
    """Curves of the classes of one metric (or of the shares), of the split with the most classes; validation wins ties."""
    groups: dict[tuple[int, str], list[CurveFacts]] = {}
    order = {Split.VAL: 0, Split.TEST: 1, Split.NONE: 2, Split.TRAIN: 3}
    for curve in features.group(role, split):
        if curve.n and (not kind or kind in f"{curve.signal.stem} {curve.signal.sub_kind or ''} {curve.name}".lower()):
            groups.setdefault((order[curve.signal.split], curve.signal.sub_kind or ""), []).append(curve)
    if not groups:
        return ()
    best = min(groups, key=lambda key: (-len(groups[key]), key))
    return tuple(groups[best])


def normalised_shares(curves: tuple[CurveFacts, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps, wall times and shares ``[classes, n]`` of prediction (or label) shares or counts; each column adds up to at most one.

    Shares that were logged as fractions stay as they are (a class may be missing); counts and percentages are divided by their sum.
    """
    step, wall, value = overlay(curves)
    filled = np.nan_to_num(value, nan=0.0)
    total = filled.sum(axis=0)
    counts = bool((filled > 1.0 + 1e-6).any())
    share = filled / np.where(total > 0, total, 1.0) if counts or bool((total > 1.0 + 0.02).any()) else filled
    seen = ~np.isnan(value).all(axis=0) & (total > 0)
    return step[seen], wall[seen], share[:, seen]


def _largest_share(features: Features, role: Role) -> tuple[tuple[CurveFacts, ...], np.ndarray, np.ndarray, np.ndarray] | None:
    """Curves of the classes, steps, wall times and the largest of their shares; None without any."""
    curves = class_curves(features, role)
    if not curves:
        return None
    step, wall, share = normalised_shares(curves)
    if len(curves) == 1 and not bool((share >= 0.5).all()):
        # One class of two: the other has the rest.
        share = np.maximum(share, 1.0 - share)
    return curves, step, wall, share.max(axis=0)


def bound_recall(share: float, accuracy: float) -> float:
    """Largest recall of all other classes together, where one class holds `share` of the predictions.

    With a share p of other predictions and an error rate e it is ``p / (e + p)``: of the samples of other classes, e at least were missed.
    """
    other, error = 1.0 - share, 1.0 - accuracy
    return other / (error + other) if error + other > 0 else 1.0


@derived("max_class_share")
def _max_class_share(features: Features) -> Signal | None:
    """Largest share of a predicted class."""
    found = _largest_share(features, Role.PREDICTION_SHARE)
    if found is None:
        return None
    curves, step, wall, largest = found
    return make_signal("max_class_share", step, wall, largest, f"largest of {len(curves)} predicted shares", split=curves[0].signal.split)


@derived("predicted_classes")
def _predicted_classes(features: Features) -> Signal | None:
    """Number of classes that are predicted at all."""
    curves = class_curves(features, Role.PREDICTION_SHARE)
    if len(curves) < 2:
        return None
    step, wall, share = normalised_shares(curves)
    return make_signal("predicted_classes", step, wall, (share > 0).sum(axis=0).astype(np.float64), f"of {len(curves)} classes")


@derived("max_label_share")
def _max_label_share(features: Features) -> Signal | None:
    """Largest share of a class among the labels."""
    found = _largest_share(features, Role.LABEL_SHARE)
    if found is None:
        return None
    curves, step, wall, largest = found
    return make_signal("max_label_share", step, wall, largest, f"largest of {len(curves)} label shares")


@derived("min_class_recall")
def _min_class_recall(features: Features) -> Signal | None:
    """Smallest recall (or other metric) of a class, else the recall of a binary task."""
    curves = class_curves(features, Role.CLASS_METRIC, kind="recall") or class_curves(features, Role.CLASS_METRIC)
    if len(curves) < 2:
        single = named_metric(features, "recall", Split.VAL) or (curves[0] if curves else None)
        return _fraction_signal("min_class_recall", single)
    step, wall, value = overlay(curves)
    scale = share_unit(value)
    lowest = nan_reduce("min", value) * scale
    return make_signal("min_class_recall", step, wall, lowest, f"smallest of {len(curves)} classes", direction=Direction.HIGHER)


@derived("confidence_gap")
def _confidence_gap(features: Features) -> Signal | None:
    """Mean confidence minus accuracy of the same split, at the steps of the confidence."""
    pair = confidence_and_accuracy(features)
    if pair is None:
        return None
    confidence, accuracy = pair
    at = np.searchsorted(accuracy.step, confidence.step, side="right") - 1
    keep = at >= 0
    gap = confidence.value[keep] * as_fraction(confidence) - accuracy.value[at[keep]] * as_fraction(accuracy)
    why = f"{confidence.name} minus {accuracy.name}"
    return make_signal("confidence_gap", confidence.step[keep], confidence.wall_time[keep], gap, why)


def confidence_and_accuracy(features: Features) -> tuple[CurveFacts, CurveFacts] | None:
    """The mean confidence and the accuracy to compare it with: the same split, validation first.

    Where the tag itself names no split (Keras callbacks write into the train directory what they measured on the validation data) the
    accuracy that lies nearer to the confidence is taken, so that a gap is one against either.
    """
    for split in (Split.VAL, Split.NONE, Split.TEST, Split.TRAIN):
        confidence = next((c for c in features.group(Role.CONFIDENCE, split) if c.n), None)
        if confidence is None:
            continue
        tag = confidence.signal.series.tag.lower() if confidence.signal.series is not None else ""
        named = split in (Split.VAL, Split.TEST) or (split is Split.TRAIN and "train" in tag)
        wanted = (split,) if named else (Split.VAL, Split.TRAIN, Split.NONE)
        known = [a for a in (named_metric(features, "accuracy", w) for w in wanted) if a is not None]
        if not known and split is Split.TRAIN:
            # Trainers that put every extra value under train/ log what was measured in an evaluation at its steps.
            other = named_metric(features, "accuracy", Split.VAL)
            known = [other] if other is not None and np.array_equal(other.step, confidence.step) else []
        if not known and split in (Split.VAL, Split.TRAIN):
            by_errors = features.curve(f"{split.value}_accuracy")
            known = [by_errors] if by_errors is not None and by_errors.n else []
        if known:
            end = confidence.end * as_fraction(confidence)
            return confidence, min(known, key=lambda a: abs(a.end * as_fraction(a) - end))
    return None


@derived("clip_share")
def _clip_share(features: Features) -> Signal | None:
    """Share of steps on which the gradient was clipped: logged, or the logged norm against the limit in the configuration."""
    logged = features.signals.main("clip_fraction") or next(iter(features.signals.role(Role.CLIP_FRACTION)), None)
    if logged is not None and logged.series is not None and len(logged.series):
        curve = features.of(logged)
        return _fraction_signal("clip_share", curve, Direction.NONE) if curve.n else None
    limit = features.signals.setting("max_grad_norm")
    norm = features.signals.main("grad_norm")
    if limit is None or limit <= 0 or norm is None or norm.series is None:
        pair = find_cut_norms(features.group(Role.GRAD_NORM))
        if pair is None:
            return None
        before, after = pair
        clipped = (after.value < 0.999 * before.value).astype(np.float64)
        return make_signal("clip_share", before.step, before.wall_time, clipped, f"{before.name} cut to {float(after.value.max()):g}")
    curve = features.of(norm)
    if not curve.n:
        return None
    clipped = (curve.value > float(limit)).astype(np.float64)
    return make_signal("clip_share", curve.step, curve.wall_time, clipped, f"{curve.name} above the clipping limit {limit:g}")


def find_cut_norms(norms: Sequence[CurveFacts]) -> tuple[CurveFacts, CurveFacts] | None:
    """Two gradient norms on the same steps, before and after clipping: the second is the first, or its own ceiling where that is lower."""
    for before in norms:
        for after in norms:
            if after is before or not before.n or not np.array_equal(before.step, after.step):
                continue
            cut = after.value < 0.999 * before.value
            limit = float(after.value.max())
            same = not cut.any() and "clip" not in after.name.lower()
            if (
                limit > 0
                and not same
                and bool((after.value <= 1.001 * before.value).all())
                and bool((after.value[cut] >= 0.999 * limit).all())
            ):
                return before, after
    return None
