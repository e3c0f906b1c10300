"""What guessing would score: number of classes and chance level of the main loss, only where the log gives them away."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping

import numpy as np

from tbdiag.model import Domain, Role, Scale, Signal, Split

COMMON_CLASSES = (
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
    15,
    16,
    20,
    25,
    30,
    40,
    47,
    50,
    62,
    64,
    80,
    100,
    200,
    256,
    365,
    500,
    512,
    1000,
    1024,
    10000,
    21841,
)
"""Numbers of classes that data sets have; an initial loss is taken for the log of one of these or of none."""
_LOGS = [math.log(k) for k in COMMON_CLASSES]
CLOSE = 0.03
"""Largest distance in nats between an initial loss and ln K for K up to 10 (neighbours are at least 0.1 apart), ..."""
CLOSE_MANY = 0.012
"""... and for more classes, whose logarithms lie close together."""
FRESH = 0.02
"""A first point within this share of the run was taken before anything was learnt."""
CLASSIFICATION = (
    "accuracy",
    "f1",
    "top5_accuracy",
    "balanced_accuracy",
    "auc",
    "auroc",
    "precision",
    "recall",
    "macro_f1",
    "f1_macro",
    "error",
)


def find_chance(signals: list[Signal], config: Mapping[str, float | str | bool], domain: Domain) -> tuple[int | None, float | None, str]:
    """Number of classes, chance level in nats, and where they come from; (None, None, "") where nothing gives them away."""
    if domain is Domain.PREFERENCE:
        return 2, math.log(2), "a preference loss starts at ln 2"
    if domain in {Domain.REINFORCEMENT, Domain.GAN, Domain.DIFFUSION}:
        return None, None, ""
    metrics = [s for s in signals if s.role is Role.METRIC]
    regression = any(s.stem in {"mae", "mse", "rmse", "r2", "mape", "smape", "psnr"} for s in metrics)
    classify = any(s.stem.startswith(CLASSIFICATION) for s in metrics) or any(
        s.role in {Role.PREDICTION_SHARE, Role.CLASS_METRIC} for s in signals
    )
    detection = any(s.stem.startswith(("map", "ap", "iou", "miou")) for s in metrics) or any(
        s.role is Role.LOSS_COMPONENT and s.stem in {"box_loss", "loss_bbox"} for s in signals
    )
    classes, why = _count(signals, config)
    if classes is None and domain is Domain.LANGUAGE_MODEL and isinstance(config.get("vocab_size"), (int, float)):
        classes, why = int(float(config["vocab_size"])), "vocab_size of the model's configuration"
    if detection or regression:
        return classes, None, why
    if classes is not None and classes >= 2:
        if any(s.role is Role.PREDICTION_SHARE for s in signals) and not _sums_to_one(signals):
            return classes, None, why
        return classes, math.log(classes), why
    if classify and domain is not Domain.LANGUAGE_MODEL:
        return _guess(signals)
    return None, None, ""


def _count(signals: list[Signal], config: Mapping[str, float | str | bool]) -> tuple[int | None, str]:
    for role in (Role.PREDICTION_SHARE, Role.CLASS_METRIC, Role.LABEL_SHARE):
        ids = {s.class_id for s in signals if s.role is role and s.class_id is not None}
        if len(ids) >= 2:
            numbers = [int(i) for i in ids if i.isdigit()]
            if len(numbers) == len(ids) and min(numbers) in {0, 1}:
                return max(len(ids), max(numbers) + (1 if min(numbers) == 0 else 0)), f"{len(ids)} classes were logged one by one"
            return len(ids), f"{len(ids)} classes were logged one by one"
    found = config.get("classes")
    if isinstance(found, (int, float)) and found >= 2:
        return int(found), "number of classes in the configuration"
    return None, ""


def _sums_to_one(signals: list[Signal]) -> bool:
    """Whether the predicted shares of classes make a whole (they do not where a sample has several labels)."""
    by_split: dict[Split, list[float]] = {}
    for s in signals:
        if s.role is Role.PREDICTION_SHARE and s.series is not None and len(s.series):
            by_split.setdefault(s.split, []).append(float(s.series.value[-1]))
    totals = [sum(v) for v in by_split.values()]
    return all(abs(t - 1) < 0.06 or abs(t - 100) < 6 or t > 110 for t in totals if math.isfinite(t))


def _guess(signals: list[Signal]) -> tuple[int | None, float | None, str]:
    """Number of classes from a loss that begins at ln K: its very first steps, or points that stay there."""
    for key in ("train_loss", "val_loss"):
        signal = next((s for s in signals if s.main and s.key == key), None)
        if signal is None or signal.series is None or not len(signal.series):
            continue
        head = signal.series.value[:3].astype(np.float64) * (math.log(2) if signal.scale is Scale.BITS else 1.0)
        first = float(head[0])
        if not math.isfinite(first) or first <= 0:
            continue
        k = _nearest(first)
        close = CLOSE if k <= 10 else CLOSE_MANY
        if abs(math.log(k) - first) > close:
            continue
        stays = head.size == 3 and bool(np.all(np.abs(head - math.log(k)) <= close))
        fresh = (
            int(signal.series.step[0]) <= FRESH * int(signal.series.step[-1])
            and len(signal.series) >= 30
            and bool(np.all(head <= 1.3 * first))
        )
        agree = _accuracy_agrees(signals, k)
        if (agree is True or (stays and agree is None)) and (stays or fresh):
            return (
                k,
                math.log(k),
                f"the first {key.replace('_', ' ')} of {first:.3f} nats is within {abs(math.log(k) - first):.3f} of ln {k}",
            )
    return None, None, ""


def _nearest(loss: float) -> int:
    """Number of classes whose logarithm is nearest to a loss, the smaller of two."""
    at = bisect_left(_LOGS, loss)
    return COMMON_CLASSES[min(range(max(at - 1, 0), min(at + 1, len(_LOGS))), key=lambda i: abs(_LOGS[i] - loss))]


def _accuracy_agrees(signals: list[Signal], k: int) -> bool | None:
    """Whether an accuracy begins as guessing among `k` classes would have it; None where no accuracy was logged."""
    firsts: list[float] = []
    for s in signals:
        if s.role is Role.METRIC and s.stem == "accuracy" and s.series is not None and len(s.series):
            value = s.series.value[: max(3, len(s.series) // 20)].astype(np.float64)
            value = value[np.isfinite(value)] / (100.0 if s.scale is Scale.PERCENT else 1.0)
            if value.size:
                firsts += [float(value[0]), float(np.median(value))]
    return any(0.5 / k <= v <= 1.6 / k for v in firsts) if firsts else None
