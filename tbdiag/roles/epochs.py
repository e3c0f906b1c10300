"""Where epochs ended, in steps of the training axis."""

from __future__ import annotations

import numpy as np

from tbdiag.model import Role, Series, Signal
from tbdiag.model.runs import Int64

MOST = 100_000
"""More boundaries than this say nothing."""


def find_epochs(signals: list[Signal], moved: Series | None) -> tuple[Int64 | None, str]:
    """Steps at which epochs ended (int64, growing) and how they were found; (None, "") where that is unknown."""
    train = next((s for s in signals if s.main and s.key == "train_loss" and s.series is not None), None)
    if moved is not None:
        return moved.step, f"the points of {moved.name}, logged once an epoch"
    epoch = next((s for s in signals if s.main and s.role is Role.EPOCH and s.series is not None), None)
    if epoch is not None and epoch.series is not None:
        steps = _from_counter(epoch.series)
        if steps is not None and steps.size:
            return steps, f"the series {epoch.name}"
    if train is None or train.series is None:
        return None, ""
    for signal in signals:
        per_epoch = "epoch" in signal.name.lower() or signal.name.lower().startswith("train/")
        if signal.series is None or not per_epoch or signal.role is not Role.LOSS or signal.main or len(signal.series) < 2:
            continue
        if 2 * len(signal.series) <= len(train.series) and _regular(signal.series):
            return signal.series.step, f"the points of {signal.name}, one an epoch"
    val = next((s for s in signals if s.main and s.key in {"val_loss", "val_metric"} and s.series is not None), None)
    if (
        val is not None
        and val.series is not None
        and 3 * len(val.series) <= len(train.series)
        and len(val.series) >= 3
        and _regular(val.series)
    ):
        return val.series.step, f"the points of {val.name}, taken for one an epoch"
    return None, ""


def _regular(series: Series) -> bool:
    gaps = np.diff(series.step)
    return bool(gaps.size and np.all(gaps > 0) and np.max(gaps) <= 1.2 * np.min(gaps) + 1)


def _from_counter(series: Series) -> Int64 | None:
    """Boundaries from a series that holds the epoch number, whole (0, 0, 1, 1) or as a fraction (0.25, 0.5)."""
    value = series.value.astype(np.float64)
    good = np.isfinite(value)
    value, step = value[good], series.step[good]
    if value.size < 2 or np.any(np.diff(value) < 0) or value[-1] - value[0] > MOST:
        return None
    if np.all(value == np.round(value)):
        at = np.flatnonzero(np.diff(value) > 0)
        return step[at] if at.size else None
    whole = np.arange(np.floor(value[0]) + 1, np.floor(value[-1]) + 1)
    if not whole.size:
        return None
    found: Int64 = np.unique(np.round(np.interp(whole, value, step)).astype(np.int64))
    return found
