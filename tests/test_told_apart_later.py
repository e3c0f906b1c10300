"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_later.py`."""

from __future__ import annotations

import pytest

from tests import neighbours_later as later
from tests.test_told_apart import said

CASES = [
    (later.losses_that_climb(both=True), "divergence", True),
    (later.losses_that_climb(both=False), "divergence", False),
    (later.losses_that_climb(both=False), "overfitting", True),
    (later.worse_from_the_second_evaluation(), "overfitting", True),
    (later.rises_in_two_steps(), "overfitting", True),
    (later.metric_falls_where_the_loss_breaks(breaks=False), "sudden-shift", True),
    (later.metric_falls_where_the_loss_breaks(breaks=True), "sudden-shift", False),
    (later.level_that_doubles(), "sudden-shift", True),
    (later.six_evaluations(constant=True), "unconverged", True),
    (later.six_evaluations(constant=False), "unconverged", False),
    (later.below_the_mean(fits=False), "underfitting", True),
    (later.below_the_mean(fits=True), "underfitting", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named
