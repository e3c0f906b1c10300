"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_courses.py`."""

from __future__ import annotations

import pytest

from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Run
from tests import neighbours_courses as courses
from tests.test_told_apart import said

CASES = [
    (courses.restless_in_the_middle(), "overfitting", True),
    (courses.restless_in_the_middle(back=True), "overfitting", False),
    (courses.rate_decays(calms=False), "noisy-validation", True),
    (courses.rate_decays(calms=True), "noisy-validation", False),
    (courses.validation_jumps(training=0.3), "lr-too-high", True),
    (courses.validation_jumps(training=0.01), "lr-too-high", False),
    (courses.batches_differ(by_epoch=False), "instability", True),
    (courses.batches_differ(by_epoch=True), "instability", False),
    (courses.swings_late(level=0.1), "instability", True),
    (courses.swings_late(level=2e-4), "instability", False),
    (courses.one_spike(at=200), "spikes", True),
    (courses.one_spike(at=20), "spikes", False),
    (courses.one_spike(at=200, peak=4.5, scatter=0.005, falls=0.4), "spikes", True),
    (courses.one_spike(at=200, peak=3.3, scatter=0.005, falls=0.4), "spikes", False),
    (courses.falls_to_nothing(best=50), "divergence", True),
    (courses.falls_to_nothing(best=5), "divergence", False),
    (courses.loss_rises("val/mAP_0.5:0.95", behind=0.1), "overfitting", True),
    (courses.loss_rises("val/mAP_0.5:0.95", behind=0.5), "overfitting", False),
    (courses.loss_rises("val/accuracy", behind=0.5), "overfitting", True),
    (courses.warms_up(8), "no-learning", True),
    (courses.warms_up(3), "no-learning", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named


def test_a_loss_that_rises_beside_a_metric_that_gains_is_doubted() -> None:
    half, tenth = (
        next(f for f in diagnose_run(courses.loss_rises("val/accuracy", behind=b)).findings if f.id == "overfitting") for b in (0.5, 0.1)
    )
    assert half.confidence <= 0.8 < tenth.confidence


def test_the_average_precision_of_a_detector_is_what_its_checkpoint_is_chosen_by() -> None:
    found = next(f for f in diagnose_run(courses.loss_rises("val/mAP_0.5:0.95", behind=0.5)).findings if f.id == "overfitting")
    assert "go on choosing by that" in found.first_action
    assert "weight decay" not in found.first_action
