"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_courses.py`."""

from __future__ import annotations

import pytest

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
    (courses.warms_up(8), "no-learning", True),
    (courses.warms_up(3), "no-learning", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named
