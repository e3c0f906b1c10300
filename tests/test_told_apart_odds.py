"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_odds.py`."""

from __future__ import annotations

import pytest

import tbdiag
from tbdiag.model import Run
from tests import neighbours_odds as odds
from tests.test_told_apart import said

CASES = [
    (odds.training_is_a_sum(128), "loss-mismatch", True),
    (odds.training_is_a_sum(2), "loss-mismatch", False),
    (odds.goes_below_zero("cross_entropy"), "loss-mismatch", True),
    (odds.goes_below_zero("log_cross_entropy"), "loss-mismatch", False),
    (odds.goes_below_zero("loss"), "loss-mismatch", False),
    (odds.stands_at_guessing(0.95), "loss-mismatch", True),
    (odds.stands_at_guessing(0.3), "loss-mismatch", False),
    (odds.stands_at_guessing(0.9, left=0.93), "loss-mismatch", False),
]


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named


NOTED = [
    (odds.without_accuracy(), "loss-mismatch", True),
    (odds.without_accuracy(floor=-0.4), "loss-mismatch", False),
    (odds.without_accuracy(floor=0.25), "loss-mismatch", False),
    (odds.begins_high(10), "loss-mismatch", True),
    (odds.begins_high(1), "loss-mismatch", False),
    (odds.squared_error(10), "loss-mismatch", True),
    (odds.squared_error(2), "loss-mismatch", False),
]


@pytest.mark.parametrize(("run", "finding", "noted"), NOTED, ids=lambda x: x if isinstance(x, str) else "")
def test_what_may_have_another_reason_is_a_note(run: Run, finding: str, noted: bool) -> None:
    found = {f.id: f.severity.value for f in tbdiag.diagnose([run]).runs[0].findings}
    assert found.get(finding) == ("note" if noted else None)
