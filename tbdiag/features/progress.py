"""How far a run got: whether the loss or the accuracy left the level that knowing nothing gives.

The share that was learned is measured from chance (ln K) to zero where the chance level is known, else from the first loss to zero;
an accuracy is measured from its chance level (1 / K, or the share of the largest class) to one. Literature: bad is a loss above three
quarters of chance, an accuracy below a quarter of the way from chance to one, or, without any reference, a drop below a fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tbdiag.features.curves import CurveFacts
from tbdiag.model import Signals

PROGRESS_ROLES = ("train_loss", "val_loss", "val_accuracy", "train_accuracy", "max_label_share")
"""What `measure_progress` looks at; a detector that uses it declares them."""

BAD_LOSS_SHARE = 0.25
BAD_ACCURACY_SHARE = 0.25
BAD_DROP = 0.20


@dataclass(frozen=True, slots=True)
class Progress:
    """What was learned.

    Attributes:
        bad: still at the level of knowing nothing; None where neither a loss nor an accuracy was logged.
        loss_share: learned share of the loss, or None; accuracy_share: the same of the accuracy, or None.
        reference: what the loss share is measured from, in words.
    """

    bad: bool | None
    loss_share: float | None
    accuracy_share: float | None
    reference: str


def measure_progress(look: Callable[[str], CurveFacts | None], signals: Signals) -> Progress:
    """Learned shares of a run, from the curves that `look` gives for `PROGRESS_ROLES`; training loss first, validation else."""
    loss = look("train_loss") or look("val_loss")
    accuracy = look("val_accuracy") or look("train_accuracy")
    chance = signals.chance
    loss_share, reference, loss_bad = None, "", None
    if loss is not None and loss.n:
        start = chance if chance else loss.first
        reference = "chance" if chance else "the first loss"
        if start and abs(start) > 0:
            loss_share = (start - loss.end) / abs(start)
            loss_bad = loss_share < (BAD_LOSS_SHARE if chance else BAD_DROP)
    accuracy_share, accuracy_bad = None, None
    if accuracy is not None and accuracy.n:
        classes = signals.classes
        floor = 1.0 / classes if classes else 0.0
        label = look("max_label_share")
        if label is not None and label.n:
            floor = max(floor, min(label.end, 0.99))
        accuracy_share = (accuracy.end - floor) / (1.0 - floor) if floor < 1 else 0.0
        if accuracy.n >= 6 and accuracy.end < 0.95 and float(np.ptp(accuracy.value)) == 0:
            accuracy_share = 0.0  # one answer to everything, however often it is right
        accuracy_bad = accuracy_share < BAD_ACCURACY_SHARE
    if loss_bad is None and accuracy_bad is None:
        return Progress(None, None, None, "")
    # An accuracy well above chance outweighs a loss that label smoothing or regularisation keeps high.
    bad = bool(loss_bad) if accuracy_bad is None else bool(accuracy_bad) if loss_bad is None else bool(loss_bad and accuracy_bad)
    return Progress(bad, loss_share, accuracy_share, reference)
