"""What a model that has learned nothing scores for once, and whether another measure says that it has learned."""

from __future__ import annotations

import numpy as np

from tbdiag.detectors._base import View
from tbdiag.features import CurveFacts

AUC_ROLES = ("train_auc", "val_auc")
"""What `ranks` looks at; a detector that uses it declares them."""


def best_without_luck(metric: CurveFacts) -> float:
    """Best single value; of a hundred evaluations or more without the luckiest hundredth.

    A model that answers nothing at all may call everything positive for once: its F1 is then ``2p / (1 + p)``, p the share of positives.
    """
    return metric.sign * float(np.quantile(metric.cost, 0.01) if metric.n >= 100 else metric.cost.min())


def ranks(view: View, share: float) -> bool:
    """Whether the AUC of either split, where one was logged, ever got a share of the way from guessing to perfect."""
    curves = [view.curve(key) for key in AUC_ROLES]
    return any(c is not None and c.n >= 3 and 2 * max(c.best, c.end) - 1 >= share for c in curves)
