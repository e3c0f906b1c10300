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
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named
