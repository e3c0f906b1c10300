"""What is said of logs that are odd, and not wrong: several points a step, scores that begin late, minus entropies, ends that are not numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tbdiag.detectors import _synth
from tbdiag.diagnosis import diagnose_run
from tbdiag.model import Finding, Restart, Run, RunReport, Severity
from tbdiag.render.text import _reading

NOISE = np.random.default_rng(11).normal(0, 0.01, 60)
FALL = _synth.decay(60, 2.3, 0.4) + NOISE


def find(run: Run, name: str) -> Finding | None:
    return next((f for f in diagnose(run).findings if f.id == name), None)


def diagnose(run: Run) -> RunReport:
    return diagnose_run(run)


def repeated(kind: str) -> Finding:
    run = _synth.make_run({"train/loss": FALL, "val/loss": FALL + 0.05}, every=50)
    again = _synth.make_series("train/loss", FALL + 0.2, np.arange(60) * 50)
    restart = Restart(kind, 0, 2950, 1.7e9, points=60, tags=1, agree=False)
    found = find(replace(run, restarts=(restart,), superseded={"train/loss": again}), "restart-overlap")
    assert found is not None
    return found


def test_several_points_a_step_are_not_told_as_a_restart() -> None:
    found = repeated("duplicate-step")
    assert found.severity is Severity.NOTE
    words = f"{found.title} {found.evidence[0].statement} {found.first_action}"
    assert "no step goes back" in words
    assert "backwards" not in words
    assert "purge_step" not in words
    assert "'train/loss'" in words


@pytest.mark.parametrize(("at", "told"), [((290, 590), False), ((290, 400), True), ((290, 290), True)])
def test_means_of_epochs_under_the_name_of_the_batch_are_what_lightning_writes(at: tuple[int, ...], told: bool) -> None:
    """Six epochs: one point more than the batches' at the end of two of them, or elsewhere, or two more."""
    ends = np.arange(90, 600, 100)
    series = {"epoch": np.arange(60) // 10, "train_loss": FALL, "train/mae": FALL, "hp_metric": _synth.make_series("hp_metric", [-1.0])}
    run = _synth.make_run({**series, "val_loss": _synth.make_series("val_loss", FALL[9::10] + 0.05, ends)}, every=10)
    again = _synth.make_series("train/mae", [0.9, 0.8], at)
    restart = Restart("duplicate-step", min(at), max(at), 1.7e9, points=2, tags=1, agree=False)
    found = find(replace(run, restarts=(restart,), superseded={"train/mae": again}), "restart-overlap")
    assert (found is not None) is told


@pytest.mark.parametrize(("at", "told"), [(60, False), (30, True)])
def test_the_final_evaluation_of_ultralytics_is_no_repeat(at: int, told: bool) -> None:
    epochs = np.arange(1, 61)
    losses = {f"{s}/{part}_loss": FALL for s in ("train", "val") for part in ("box", "cls", "dfl")}
    scores = {f"metrics/{name}(B)": 0.9 - FALL / 3 for name in ("precision", "recall", "mAP50", "mAP50-95")}
    rates = {f"lr/pg{i}": np.linspace(1e-2, 1e-4, 60) for i in range(3)}
    run = _synth.make_run({t: _synth.make_series(t, v, epochs) for t, v in {**losses, **scores, **rates}.items()})
    again = _synth.make_series("metrics/recall(B)", [0.5], [at])
    restart = Restart("duplicate-step", at, at, 1.7e9, points=1, tags=1, agree=False)
    found = find(replace(run, restarts=(restart,), superseded={"metrics/recall(B)": again}), "restart-overlap")
    assert (found is not None) is told


@pytest.mark.parametrize(("agree", "severity"), [(None, Severity.NOTE), (False, Severity.WARNING)])
def test_phases_whose_histograms_alone_go_back_are_no_restart(agree: bool | None, severity: Severity) -> None:
    """One process logs the weights from step 0 on in each of its phases; a loss has two points a step of the last one."""
    run = _synth.make_run({"train/loss": FALL, "gan/loss": FALL[:40] + 1})
    again = _synth.make_series("gan/loss", FALL[:40] + 1.2, np.arange(40))
    restarts = (Restart("step-regression", 20, 59, 1.7e9, 96, 16, agree), Restart("duplicate-step", 0, 39, 1.7e9, 40, 1, False))
    found = find(replace(run, restarts=restarts, superseded={"gan/loss": again}), "restart-overlap")
    assert found is not None
    assert found.severity is severity


def test_launches_without_steps_are_told() -> None:
    run = _synth.make_run({"loss": FALL})
    run = replace(run, series={"loss": replace(run.series["loss"], step=np.zeros(60, dtype=np.int64))})
    again = _synth.make_series("loss", FALL, np.zeros(60))
    found = find(replace(run, restarts=(Restart("step-regression", 0, 0, 1.7e9, 60, 1),), superseded={"loss": again}), "restart-overlap")
    assert found is not None
    assert "begins anew" in found.title


def test_steps_that_go_back_still_are() -> None:
    found = repeated("step-regression")
    assert found.severity is Severity.WARNING
    assert "backwards" in found.title
    assert "purge_step=0" in found.first_action


def rate(bad: slice) -> Finding | None:
    value = _synth.decay(60, 0.9, 0.1)
    value[bad] = np.nan
    return find(_synth.make_run({"train/loss": FALL, "val/loss": FALL + 0.05, "val/wer": value}, every=50), "nan-inf")


def test_a_score_that_begins_late_is_nothing_and_one_that_ends_early_is_told() -> None:
    assert rate(slice(0, 45)) is None
    told = rate(slice(45, 60))
    assert told is not None
    assert "stays so" in told.title


def test_a_score_that_is_mostly_undefined_does_not_stay_so() -> None:
    value = np.full(60, np.nan)
    value[[2, 30, 59]] = 0.5
    found = find(_synth.make_run({"train/loss": FALL, "val/loss": FALL + 0.05, "val/wer": value}, every=50), "nan-inf")
    assert found is not None
    assert "stays so" not in found.title + found.evidence[0].statement


def test_a_metric_that_never_had_a_value_is_told_where_an_error_stands_for_the_loss() -> None:
    logged = {"mse": FALL, "abs_rel": np.full(60, np.inf)}
    found = find(_synth.make_run(logged), "nan-inf")
    assert found is not None
    assert found.severity is Severity.NOTE
    assert "abs_rel" in found.title
    assert "update" not in found.first_action


@pytest.mark.parametrize(("tag", "sign"), [("train/entropy_loss", -1.0), ("train/entropy", 1.0)])
def test_the_note_tells_the_entropy_with_its_own_sign(tag: str, sign: float) -> None:
    reward, entropy = 100 - _synth.decay(60, 80.0, 0.0), np.linspace(1.4, 0.3, 60)
    run = _synth.make_run({"rollout/ep_rew_mean": reward + NOISE, tag: sign * entropy}, every=2048)
    assert diagnose(run).note.prediction_signal.startswith("policy entropy 1.")


def test_the_end_of_a_best_metric_that_became_nan_is_no_number() -> None:
    loss = FALL.copy()
    loss[50:] = np.nan
    told = diagnose(_synth.make_run({"train/loss": loss, "val/loss": loss + 0.05}, every=50)).note.curve_pattern
    assert "not a finite number from 2,500 on" in told


def test_a_loss_that_only_rose_is_not_said_to_stand_still() -> None:
    run = _synth.make_run({"loss": [2.0, 9.0, 2.1, 8.0, 2.6, 7.0, 2.9, 9.5, 3.0, 3.3]})
    found = find(run, "no-learning")
    assert found is not None
    assert "is worse at the end than at its start" in found.title
    assert "does not move" not in found.title


def test_of_many_like_observations_the_first_few_are_listed() -> None:
    issues = [{"kind": "restart", "message": f"number {i}"} for i in range(44)] + [{"kind": "epoch-steps", "message": "once"}]
    told = _reading(issues)
    assert len(told) == 7
    assert told[5] == "restart: 39 more of this kind"
    assert told[6] == "epoch-steps: once"
    assert len(_reading(issues[:6])) == 6
