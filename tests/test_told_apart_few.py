"""Few points, totals without the word loss, and what is said of a run in which no check found a fault."""

from __future__ import annotations

from dataclasses import replace

import neighbours_few
import numpy as np
import pytest
from test_told_apart import said

from tbdiag import diagnose
from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import EventFile, Role, Run
from tbdiag.render import render
from tbdiag.roles import resolve


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: neighbours_few.overall_of_parts(jumps=True), "divergence"),
        (lambda: neighbours_few.rises_but_for_one_evaluation(0.6), "overfitting"),
        (lambda: neighbours_few.four_points_of_training(0.45), "generalization-gap"),
        (lambda: neighbours_few.metric_climbs_beside_a_swing(late=True), "unconverged"),
    ],
)
def test_the_fault_is_named(make: object, expected: str) -> None:
    assert expected in said(make())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "unwanted"),
    [
        (lambda: neighbours_few.overall_of_parts(jumps=False), "divergence"),
        (lambda: neighbours_few.rises_but_for_one_evaluation(0.15), "overfitting"),
        (lambda: neighbours_few.four_points_of_training(0.9), "generalization-gap"),
        (lambda: neighbours_few.metric_climbs_beside_a_swing(late=False), "unconverged"),
    ],
)
def test_its_neighbour_is_not(make: object, unwanted: str) -> None:
    assert unwanted not in said(make())  # type: ignore[operator]


def main_losses(run: Run) -> set[str]:
    return {s.name for s in resolve(run).all if s.role is Role.LOSS and s.main}


def test_overall_is_the_loss_beside_parts_of_one_and_no_accuracy() -> None:
    assert main_losses(neighbours_few.overall_of_parts(jumps=True)) == {"Training/Overall", "Validation/Overall"}
    assert not any("Overall" in name for name in main_losses(neighbours_few.overall_accuracy()))


def test_no_run_is_called_healthy_that_ends_far_above_its_best() -> None:
    report = diagnose_run(neighbours_few.ends_above_its_best(0.12))
    assert report.verdict == "unclear"
    assert "12% above its best" in report.headline
    assert report.note.curve_pattern.startswith("unclear: the validation loss ended at")
    assert report.note.chosen_action.endswith("keep the checkpoint of step 8")
    assert diagnose_run(neighbours_few.ends_above_its_best(0.04)).verdict == "healthy"


def test_its_page_asks_for_the_best_checkpoint() -> None:
    page = render(diagnose([neighbours_few.ends_above_its_best(0.12)]), "html")
    assert "None is needed" not in page
    assert '<p class="act">None that is sure: keep the checkpoint of step 8</p>' in page


def test_no_run_is_called_healthy_whose_metric_never_left_guessing() -> None:
    report = diagnose_run(neighbours_few.never_left_guessing(0.003))
    assert report.verdict == "unclear"
    assert "never got better than 0.003" in report.note.curve_pattern
    assert report.note.chosen_action != "none: keep this configuration"
    assert diagnose_run(neighbours_few.never_left_guessing(0.3)).verdict == "healthy"


@pytest.mark.parametrize(("split", "verdict"), [("train", "unclear"), ("val", "healthy")])
def test_the_score_of_training_alone_is_no_proof_of_health(split: str, verdict: str) -> None:
    rng = np.random.default_rng(12)
    loss = 0.2 + 1.1 * np.exp(-np.arange(60) / 9) + rng.normal(0, 0.01, 60)
    run = _synth.make_run({"train/loss": loss, f"{split}/accuracy": 0.93 - 0.6 * np.exp(-np.arange(60) / 9) + rng.normal(0, 0.005, 60)})
    assert diagnose_run(run).verdict == verdict


@pytest.mark.parametrize(
    ("losses", "verdict"), [((1.94, 2.38, 2.76), "unclear"), ((1.94, 2.38, 2.2), "healthy"), ((1.94, 2.0, 2.1), "healthy")]
)
def test_three_evaluations_tell_of_a_loss_that_only_rose(losses: tuple[float, ...], verdict: str) -> None:
    report = diagnose_run(neighbours_few.three_evaluations(losses))
    assert report.verdict == verdict
    if verdict == "unclear":
        assert report.note.chosen_action.endswith("choose the checkpoint by the validation accuracy, which went on improving")


@pytest.mark.parametrize(("precision", "loss", "words"), [(0.004, 1.6, ("0.004", "above all 40 points")), (0.6, 0.4, ())])
def test_a_single_evaluation_at_guessing_is_told(precision: float, loss: float, words: tuple[str, ...]) -> None:
    """As programs do that evaluate once, when training has ended."""
    end = np.array([39])
    series = {"val/loss": _synth.make_series("val/loss", [loss], end), "val/mAP": _synth.make_series("val/mAP", [precision], end)}
    report = diagnose_run(_synth.make_run({"train/loss": _synth.decay(40, 1.2, 0.3), **series}))
    assert report.verdict == "unclear"
    assert all(word in report.headline for word in words)
    assert ("at the end" in report.headline) is bool(words)


def test_the_time_of_a_run_is_that_of_its_points_where_they_have_a_clock_of_their_own() -> None:
    """Some writers give seconds since the start as the wall time of a point, below a version record with the real one."""
    run = _synth.make_run({"train/loss": _synth.make_series("train/loss", _synth.decay(40, 1.2, 0.3), seconds=60.0)})
    series = {n: replace(s, wall_time=s.wall_time - s.wall_time[0] + 60) for n, s in run.series.items()}
    own = replace(run, series=series, files=(EventFile("events", 10, 10, 41, first_wall_time=1.7e9, last_wall_time=2400.0),))
    same = replace(own, files=(EventFile("events", 10, 10, 41, first_wall_time=50.0, last_wall_time=2400.0),))
    assert diagnose_run(own).span["seconds"] == 39 * 60
    assert diagnose_run(same).span["seconds"] == 2350
