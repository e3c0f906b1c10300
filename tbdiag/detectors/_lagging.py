"""Validation that stops half-way while training goes on learning, of a task that neither of them solves."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features.levels import end_quality
from tbdiag.features.pairs import Pair
from tbdiag.stats.noise import median


def lag_behind(view: View, pair: Pair) -> list[float]:
    """Margins of a gap that is a good part of all that training gained, where a validation metric says that the level is not good.

    A gap that was there from the start is another definition of the loss; a validation loss that still falls is behind only for now.
    """
    train, val, quality = pair.train, pair.val, end_quality(view.curve("val_metric"), view.features)
    if quality is None or quality >= view["lag_good"] or val.trace.n < 8 or train.n < 8:
        return [0.0]
    cost, n = val.trace.cost, val.trace.n
    few = max(2, n // 5)
    behind, trained = median(cost[-few:]), median(pair.train_at[-few:])
    half = median(cost[n // 2 - few // 2 : n // 2 + few // 2 + 1])
    start = max(train.start_cost, float(pair.train_at[0]))
    gain, gap = start - trained, behind - trained
    if start <= 0 or gain < view["lag_gain"] * start or half - behind > view["lag_falls"] * gain:
        return [0.0]
    if gap < view["lag_opened"] * max(float(pair.gap[0]), 0.0):
        return [0.0]
    # The median of single batches says little where they scatter as far as validation lies.
    if float(np.quantile(train.cost[train.n // 2 :], 0.9)) > behind:
        return [0.0]
    return [gap / (view["lag"] * gain), 1.5 if gap > view["lag_matters"] * start else 0.0]
