"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_odds.py`."""

from __future__ import annotations

import pytest

import tbdiag
from tbdiag.features import Features
from tbdiag.model import Finding, Run
from tbdiag.roles.resolve import resolve
from tbdiag.success.check import Status, check
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
    (odds.answers_the_majority(), "loss-mismatch", False),
    (odds.overlaps(0.9, 0.8, 0.85, 0.02), "class-imbalance", True),
    (odds.overlaps(0.9, 0.8, 0.85, 0.02, metric="AP"), "class-imbalance", True),
    (odds.overlaps(0.9, 0.8, 0.7, 0.55, 0.4, 0.22, 0.06), "class-imbalance", False),
    (odds.overlaps(0.9, 0.8, 0.85, 0.0), "class-imbalance", False),
    (odds.majority(0.9), "class-imbalance", True),
    (odds.majority(0.9, counts='{"well": 900, "ill": 100}'), "class-imbalance", True),
    (odds.majority(0.9, counts="[5000, 5000]"), "class-imbalance", False),
    (odds.majority(0.95), "class-imbalance", False),
    (odds.majority(0.9, auc=0.85), "class-imbalance", False),
    (odds.frozen("head.fc", 2.25, "backbone.conv1", "backbone.conv2"), "frozen-weights", True),
    (odds.frozen("head.fc", 0.3, "backbone.conv1", "backbone.conv2"), "frozen-weights", False),
    (odds.frozen("backbone.conv1", 2.25, "backbone.conv2", "head.fc"), "frozen-weights", False),
    (odds.frozen("base_model.lm_head", 2.25, "base_model.lora_A", "base_model.lora_B"), "frozen-weights", False),
    (odds.validation_ahead(), "val-better", True),
    (odds.validation_ahead(label_smoothing=0.01, dropout=0.1), "val-better", True),
    (odds.validation_ahead(mixup_alpha=0.8), "val-better", False),
    (odds.metric_that_stands(0.0), "loss-mismatch", True),
    (odds.metric_that_stands(0.005), "loss-mismatch", True),
    (odds.metric_that_stands(0.0, falls=False), "loss-mismatch", False),
    (odds.metric_that_stands(0.0, gains=True), "loss-mismatch", False),
    (odds.metric_that_stands(0.3), "loss-mismatch", False),
    (odds.paced(10), "stalled", True),
    (odds.paced(1.6), "stalled", False),
    (odds.paced(8, "samples_per_sec"), "stalled", True),
    (odds.paced(2.6, "samples_per_sec"), "stalled", False),
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
    (odds.overlaps(0.9, 0.8, 0.85, 0.0), "class-imbalance", True),
    (odds.squared_error(2), "loss-mismatch", False),
]


@pytest.mark.parametrize(("run", "finding", "noted"), NOTED, ids=lambda x: x if isinstance(x, str) else "")
def test_what_may_have_another_reason_is_a_note(run: Run, finding: str, noted: bool) -> None:
    found = {f.id: f.severity.value for f in tbdiag.diagnose([run]).runs[0].findings}
    assert found.get(finding) == ("note" if noted else None)


def _told(run: Run, finding: str) -> Finding:
    return next(f for f in tbdiag.diagnose([run]).runs[0].findings if f.id == finding)


def test_the_class_that_is_missed_is_named() -> None:
    found = _told(odds.class_breaks(None), "class-imbalance")
    assert "'d'" in found.title
    assert "'d'" in found.evidence[0].statement
    assert "class-weighted" in found.first_action


def test_a_class_that_breaks_is_told_with_its_step() -> None:
    found = _told(odds.class_breaks(25), "class-imbalance")
    assert "breaks at step 25" in found.title
    assert "'d'" in found.title
    assert found.onset is not None
    assert (found.onset.first_step, found.onset.last_step) == (24, 25)
    assert "before step 25" in found.first_action


def test_a_class_that_falls_with_all_others_did_not_break_alone() -> None:
    assert "breaks" not in _told(odds.class_breaks(25, others=0.6), "class-imbalance").title


def test_a_loss_that_hardly_fell_is_not_said_to_have_fallen() -> None:
    said_of = [e.statement for e in _told(odds.score_of_nothing(), "loss-mismatch").evidence]
    assert any(x.startswith("The training loss fell from") for x in said_of)
    assert any(x.startswith("The validation loss went from") for x in said_of)


@pytest.mark.parametrize("tag", [None, "samples_per_sec"])
def test_a_run_that_became_slower_fails_its_own_rule(tag: str | None) -> None:
    slow = odds.paced(10, tag)
    found = _told(slow, "stalled")
    assert not _passes(found, slow)
    assert _passes(found, odds.paced(1, tag))


def _passes(finding: Finding, run: Run) -> bool:
    return check(finding.success_rule, Features(resolve(run))).status is Status.PASSED
