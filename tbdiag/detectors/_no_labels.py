"""An evaluation without labels: a part of its loss and its metric are exactly zero throughout, while that part of the training loss never is."""

from __future__ import annotations

from tbdiag.detectors._base import NotApplicable, View
from tbdiag.features import CurveFacts
from tbdiag.model import Role, Split

LABEL_ROLES = ("val_metric", "loss_component")
"""What `find_empty_parts` looks at; a detector that uses it declares them."""
FEWEST = 4
"""Evaluations; a part of the loss that has a label to be wrong about is not exactly zero even once."""


def find_empty_parts(view: View) -> tuple[CurveFacts, ...]:
    """Parts of the validation loss that no label ever entered; empty where the metric is above zero or any evaluation had some.

    A term that is computed in training only (a penalty, an auxiliary head) is zero in evaluation, too; there the metric is not.
    """
    metric = view.curve("val_metric")
    if metric is None or metric.n < FEWEST or metric.sign > 0 or metric.bad_step.size or metric.value.any():
        return ()
    trained = {c.signal.stem for c in view.group(Role.LOSS_COMPONENT, Split.TRAIN) if c.value.all()}
    return tuple(c for c in view.group(Role.LOSS_COMPONENT, Split.VAL) if c.n >= FEWEST and not c.value.any() and c.signal.stem in trained)


def no_labels(view: View) -> NotApplicable | None:
    """Why two losses cannot be compared, where that of validation lacks the parts that labels make."""
    if not find_empty_parts(view):
        return None
    return NotApplicable("the evaluation seems to have no labels: its metric and a part of its loss are exactly 0 throughout")
