"""A fault is named, and its neighbour is not: the runs of `tests/neighbours_measures.py`, and what is said and advised about them."""

from __future__ import annotations

import pytest

from tbdiag.config import Config
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Finding, Run, Severity
from tests import neighbours_measures as measures
from tests.test_told_apart import said

RISES = (1.8, 1.25, 0.95, 0.78, 0.74, 0.80, 0.85, 0.91, 0.94, 1.03)
SCATTERS = (1.8, 1.25, 0.95, 0.78, 0.74, 0.86, 0.75, 0.91, 0.78, 0.86)
CASES = [
    (measures.few_evaluations(*RISES), "overfitting", True),
    (measures.few_evaluations(*SCATTERS), "overfitting", False),
    (measures.few_evaluations(2.2, 1.2, 0.78, 0.80, 0.84, 0.90, 0.96), "overfitting", True),
    (measures.few_evaluations(2.2, 1.2, 0.78, 0.79, 0.80, 0.81, 0.83), "overfitting", False),
    (measures.score_falls(0.2), "overfitting", True),
    (measures.score_falls(0.03), "overfitting", False),
    (measures.score_falls(0.2, seen=0.2), "overfitting", False),
    (measures.score_falls(0.2, name="recall"), "overfitting", False),
]


def findings(run: Run) -> dict[str, Finding]:
    return {f.id: f for f in diagnose_run(run, Config()).findings}


@pytest.mark.parametrize(("run", "finding", "named"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_neighbours_are_told_apart(run: Run, finding: str, named: bool) -> None:
    assert (finding in said(run)) == named


@pytest.mark.parametrize(("run", "suspected"), [(measures.memorised(0.35), True), (measures.memorised(0.02), False)])
def test_labels_learned_by_heart_after_a_stand_are_a_suspicion_behind_overfitting(run: Run, suspected: bool) -> None:
    told = findings(run)
    assert "overfitting" in told
    assert ("label-noise" in told) == suspected
    assert not suspected or (told["label-noise"].severity is Severity.NOTE and told["label-noise"].caused_by == "overfitting")


@pytest.mark.parametrize(("floor", "suspected"), [(1.0, True), (0.7, False)])
def test_few_wrong_labels_that_set_the_floor_are_a_suspicion(floor: float, suspected: bool) -> None:
    told = findings(measures.at_the_floor(floor))
    assert ("label-noise" in told) == suspected
    assert all(f.severity is Severity.NOTE for f in told.values())


def test_a_gap_says_by_how_much_validation_has_risen() -> None:
    for run in (measures.few_evaluations(*RISES), measures.few_evaluations(*SCATTERS)):
        gap = findings(run)["generalization-gap"]
        assert "above its smoothed best" in gap.evidence[0].statement
        assert "without rising" not in gap.evidence[0].statement


def test_ten_evaluations_tell_the_onset_and_the_checkpoint() -> None:
    found = findings(measures.few_evaluations(*RISES))["overfitting"]
    assert found.onset is not None
    assert found.onset.first_step == 4
    assert "5 of 5 evaluations" in found.evidence[0].statement


def test_an_accuracy_that_still_climbs_is_not_to_be_given_up() -> None:
    run = diagnose_run(measures.goes_apart(0.1), Config())
    told = {f.id: f for f in run.findings}
    over = told["overfitting"]
    assert "still improves" in over.title
    assert "best by validation accuracy" in over.first_action
    assert "early stopping" not in over.first_action
    assert told["over-confidence"].severity is Severity.NOTE
    climbed = next(e for e in over.evidence if "still improved" in e.statement)
    assert 0.7 < climbed.numbers["start"] < 0.78 < 0.83 < climbed.numbers["stop"]
    assert run.best_checkpoint is not None
    assert run.best_checkpoint["role"] == "val_loss"
    assert run.best_checkpoint["other"]["name"] == "accuracy"
    assert run.best_checkpoint["other"]["step"] > 2 * run.best_checkpoint["step"]


def test_an_accuracy_that_falls_with_the_loss_is_stopped_early() -> None:
    run = diagnose_run(measures.goes_apart(-0.1), Config())
    told = {f.id: f for f in run.findings}
    assert "early stopping" in told["overfitting"].first_action
    assert "over-confidence" not in told
    assert run.best_checkpoint is not None
    assert "other" not in run.best_checkpoint


def test_a_score_that_falls_alone_names_its_own_best_checkpoint() -> None:
    run = diagnose_run(measures.score_falls(0.2), Config())
    found = next(f for f in run.findings if f.id == "overfitting")
    assert run.best_checkpoint is not None
    assert run.best_checkpoint["other"]["name"] == "f1"
    assert run.best_checkpoint["other"]["step"] < run.best_checkpoint["step"]
    assert "validation f1" in found.title
    assert "the validation loss does not" in found.title
    assert "better validation f1" in found.first_action
